#!/bin/sh
# A team of four processes that train a toy folder, one of which, process 0 too, is killed at a
# random moment, 20 times: the others must end within seconds, naming it, and whatever number of
# processes goes on from the folder must come to the bytes of the run of one process that was left
# alone. Prints how long the longest end took. team_kill.sh [KILLS]
: "${BUILD:=build}"
kills=${1:-20}
dir=$BUILD/team_kill grpo=$BUILD/grpo
. tests/check.sh
now() { date +%s%N | cut -c1-13; }          # milliseconds
in_place=
train() { # train OUT PROCESSES OPTIONS...; in_place=exec: instead of the shell
    out=$1 processes=$2
    shift 2
    $in_place "$grpo" train "$dir/toy" --data "$dir/toy/train.jsonl" --reward match --out "$out" \
        --steps 200 --save-steps 5 --num-prompts 8 --num-generations 4 --learning-rate 1e-3 \
        --max-prompt-length 64 --max-completion-length 4 --beta 0.01 --epsilon-high 0.28 \
        --lanes 8 --processes "$processes" --threads 1 "$@"
}
team_of() { # team_of PID: it and its children, in the order in which they were started
    ps -A -o pid= -o ppid= | awk -v top="$1" '$2 == top { print $1 + 0 }' | sort -n | tr '\n' ' ' \
        | sed "s/^/$1 /"
}
lives() { # lives PID: it runs; what is dead and not yet waited for does not
    case $(ps -o stat= -p "$1" 2> /dev/null) in "" | Z* | X*) return 1 ;; esac
}
same() { # same DESCRIPTION FOLDER: weights and the trainer's state are those of the run left alone
    for file in model.safetensors trainer_state.safetensors; do
        cmp "$dir/whole/$file" "$2/$file"
        check "$1: $file has the same bytes" $?
    done
}
command -v ps > /dev/null || { echo "skipped: no ps"; finish; }
rm -rf "$dir"
mkdir -p "$dir"
"$BUILD/toy_folder" "$dir/toy"
check "a toy folder" $?
train "$dir/whole" 1 > "$dir/whole.txt" 2>&1
check "one process: $(tail -n 1 "$dir/whole.txt")" $?
began=$(now)
train "$dir/four" 4 > "$dir/four.txt" 2>&1
check "four processes: $(tail -n 1 "$dir/four.txt")" $?
took=$(($(now) - began))
same "four processes" "$dir/four"

killed=0 tries=0 longest=0 named=0
while [ $killed -lt "$kills" ] && [ $tries -lt $((4 * kills)) ]; do
    tries=$((tries + 1))
    lines=$(grep -c '"step"' "$dir/killed/log.jsonl" 2> /dev/null)
    [ "${lines:-0}" -gt 100 ] && rm -rf "$dir/killed"         # begin anew, or it would end by itself
    (in_place=exec; train "$dir/killed" 4 --resume > "$dir/killed.txt" 2>&1) &
    pid=$!
    sleep "$(awk -v s=$tries -v t="$took" -v n="$kills" \
        'BEGIN { srand(s); rand(); print rand() * t * 1.5 / n / 1e3 + 0.02 }')"
    team=$(team_of $pid)
    set -- $team
    if [ $# -ne 4 ]; then           # not yet, or no longer four
        kill -9 $pid 2> /dev/null
        wait $pid 2> /dev/null
        continue
    fi
    rank=$((tries % 4))
    shift $rank
    began=$(now)
    kill -9 "$1" 2> /dev/null && killed=$((killed + 1))
    for p in $team; do
        while lives "$p" && [ $(($(now) - began)) -lt 20000 ]; do sleep 0.02; done
        ! lives "$p"
        check "kill $killed of process $rank: process $p of $team has ended" $?
        kill -9 "$p" 2> /dev/null
    done
    took_to_end=$(($(now) - began))
    wait $pid 2> /dev/null
    [ $took_to_end -gt $longest ] && longest=$took_to_end
    grep -q "the exchange with process [0-3] of 4 failed, and the team cannot go on" \
        "$dir/killed.txt"
    check "kill $killed of process $rank is said: $(tail -n 3 "$dir/killed.txt")" $?
    grep -q "process $rank" "$dir/killed.txt" && named=$((named + 1))
    lines=$(grep -c '"step"' "$dir/killed/log.jsonl" 2> /dev/null)
    echo "kill $killed, process $rank, at line $lines of the log: all ended in $took_to_end ms:" \
        "$(grep 'cannot go on' "$dir/killed.txt" | tail -n 1 | cut -c1-100)"
done
echo "killed $killed times, a run of $took ms; the longest end of the others took $longest ms;" \
    "what is said names the process that was killed $named times"
check "$kills kills met a living team" $((killed < kills))
check "all $killed are named: $named" $((named < killed))
check "they end within 5 seconds: $longest ms" $((longest > 5000))
for processes in 1 2 4 8; do
    cp -r "$dir/killed" "$dir/on$processes"
    train "$dir/on$processes" $processes --resume > "$dir/on$processes.txt" 2>&1
    check "$processes processes go on: $(tail -n 1 "$dir/on$processes.txt")" $?
    same "resumed by $processes" "$dir/on$processes"
done
finish
