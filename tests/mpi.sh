#!/bin/sh
# The same bytes from one, two and four processes that mpirun starts, as from the command alone:
# lesson 03's log and the command's folder; a run of four that is killed goes on with two. What
# `make mpi` builds; without it or without mpirun: skipped.
: "${BUILD:=build}"
dir=$BUILD/mpi_test
. tests/check.sh
command -v mpirun > /dev/null || { echo "skipped: mpirun is not installed"; finish; }
for program in mpi/03_arithmetic mpi/grpo 03_arithmetic grpo toy_folder; do
    [ -x "$BUILD/$program" ] && continue
    echo "skipped: there is no $BUILD/$program: make mpi, and make all"
    finish
done
options=
if mpirun --version 2>&1 | grep -q 'Open MPI'; then
    options="--oversubscribe --bind-to none"
    [ "$(id -u)" -ne 0 ] || options="$options --allow-run-as-root"
fi
in_place=
run() { # run PROCESSES PROGRAM...; 0: by the command itself
    n=$1
    shift
    if [ "$n" -eq 0 ]; then "$BUILD/$@"
    else program=mpi/$1; shift; $in_place mpirun $options -n "$n" "$BUILD/$program" "$@"; fi
}
train() { # train PROCESSES OUT OPTIONS...
    n=$1 out=$2
    shift 2
    run "$n" grpo train "$dir/toy" --data "$dir/toy/train.jsonl" --reward match --out "$out" \
        --save-steps 5 --num-prompts 8 --num-generations 4 --learning-rate 1e-3 --threads 1 \
        --max-prompt-length 64 --max-completion-length 4 --beta 0.01 --lanes 4 "$@"
}
same() { # same DESCRIPTION FOLDER
    for file in model.safetensors trainer_state.safetensors; do
        cmp "$dir/on0/$file" "$2/$file"
        check "$1: $file has the same bytes" $?
    done
}
rm -rf "$dir"
mkdir -p "$dir"
"$BUILD/toy_folder" "$dir/toy"
check "a toy folder" $?
run 1 grpo train --help > "$dir/said" 2>&1
check "mpirun starts what was built: $(tail -n 3 "$dir/said")" $?
for n in 0 1 2 4; do
    train $n "$dir/on$n" --steps 30 > "$dir/on$n.txt" 2>&1
    check "$n processes: $(tail -n 1 "$dir/on$n.txt")" $?
    same "$n processes" "$dir/on$n"
    run $n 03_arithmetic --quiet --steps 3 --threads 1 --lanes 4 --log "$dir/log$n" \
        > "$dir/lesson$n.txt" 2>&1
    sed 's/"step_time": *[^,]*,//' "$dir/log$n" > "$dir/log$n.same"
    [ -s "$dir/log$n.same" ] && cmp "$dir/log0.same" "$dir/log$n.same"
    check "lesson 03 by $n processes has the same log" $?
done

# One of four is killed: mpirun ends the rest; two go on from the folder.
(in_place=exec; train 4 "$dir/killed" --steps 1000000 > "$dir/killed.txt" 2>&1) &
pid=$! tries=0
until [ "$(grep -sc '"step"' "$dir/killed/log.jsonl")" -ge 8 ] 2> /dev/null \
    || [ $((tries += 1)) -gt 200 ]; do sleep 0.1; done
kill -9 "$(ps -A -o ppid= -o pid= | awk -v of=$pid '$1 == of { pid = $2 } END { print pid }')"
began=$(date +%s)
wait $pid
check "a process that is killed is an error of all" $(($? == 0))
check "within ten seconds" $(($(date +%s) - began > 10))
steps=$(sed -n 's/.*"step": *\([0-9]*\).*/\1/p' "$dir/killed/log.jsonl" | tail -n 1)
[ "${steps:-0}" -le 29 ] && steps=30
train 2 "$dir/killed" --steps "$steps" --resume > "$dir/resumed.txt" 2>&1
check "two processes go on: $(tail -n 1 "$dir/resumed.txt")" $?
train 0 "$dir/on0" --steps "$steps" --resume > "$dir/on0.txt" 2>&1
check "one process goes on: $(tail -n 1 "$dir/on0.txt")" $?
same "killed and resumed by two" "$dir/killed"
finish
