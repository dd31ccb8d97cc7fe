#!/bin/sh
# The command as people use it, on a toy folder: inspect, eval, train, chat, plot, what it says of
# wrong input; and a run that is killed at 20 random moments and resumed, whose result must have the
# bytes of the run that was left alone. command.sh [KILLS]
: "${BUILD:=build}"
kills=${1:-20}
dir=$BUILD/command grpo=$BUILD/grpo
. tests/check.sh
says() { # says DESCRIPTION PATTERN COMMAND...: it prints the pattern, and its failure is its own
    what=$1 pattern=$2
    shift 2
    "$@" > "$dir/said" 2>&1 < /dev/null
    if grep -q -- "$pattern" "$dir/said"; then check "$what" 0
    else check "$what" 1; sed 's/^/    /' "$dir/said" | head -5; fi
}
says_too() { grep -q -- "$2" "$dir/said"; check "$1" $?; }
rm -rf "$dir"
mkdir -p "$dir"
"$BUILD/toy_folder" "$dir/toy"
check "a toy folder" $?
task="--data $dir/toy/train.jsonl --reward match"
in_place=
train() { # train OUT OPTIONS...; in_place=exec: instead of the shell, so that a kill meets it
    out=$1
    shift
    $in_place "$grpo" train "$dir/toy" $task --out "$out" --steps 300 --save-steps 5 \
        --eval-steps 100 --eval "$dir/toy/test.jsonl" --num-prompts 4 --num-generations 4 --learning-rate 1e-3 \
        --max-prompt-length 64 --max-completion-length 4 --beta 0.01 --epsilon-high 0.28 "$@"
}
says "inspect" "LlamaForCausalLM" "$grpo" inspect "$dir/toy"
says "inspect tells the memory" "MB" "$grpo" inspect "$dir/toy" --num-prompts 4
says "eval" "greedy accuracy" "$grpo" eval "$dir/toy" $task --eval-samples 4 \
    --max-prompt-length 64 --max-completion-length 4
says "help has the paper's symbols" "num-generations N .*(G; default 8)" "$grpo" train --help
fields() { # fields STRUCT: the names of its numbers in grpo.h, as options are spelled
    awk -v first="typedef struct $1 {" '
        $0 == first { on = 1; next }
        on && /^}/ { exit }
        on && comment { if (!sub(/^.*\*\//, "")) next; comment = 0 }
        on { gsub(/\/\*.*\*\//, ""); if (sub(/\/\*.*/, "")) comment = 1 }
        on && /^ *(int|float|size_t|uint64_t) / {
            sub(/^ *[a-z0-9_]+ +/, ""); gsub(/[; ]|\[[^]]*\]/, ""); gsub(/,/, "\n"); gsub(/_/, "-")
            print
        }' grpo.h
}
"$grpo" train --help > "$dir/help"
[ "$(fields grpo_objective | wc -l)" -gt 30 ]
check "fields are found" $?
for field in $(fields grpo_config; fields grpo_objective; fields grpo_sampling); do
    case $field in
    eos-token-id | eos-token-ids | num-eos | max-token-bytes) continue ;;      # of the folder
    num-rewards | max-steps) continue ;;                                       # counted
    esac
    grep -q -- "^  --$field " "$dir/help"
    check "help has --$field" $?
done
says "no folder" "$dir/none cannot be opened" "$grpo" train "$dir/none" $task --out "$dir/x"
says "a name of the hub" "hf download" "$grpo" inspect Qwen/Qwen3-0.6B
says "a file of llama.cpp" "gguf2hf makes one" "$grpo" inspect "$dir/model.gguf"
says "no command" "no command .trian." "$grpo" trian "$dir/toy"
says "no model" "the folder of a model comes first" "$grpo" train
says "an option instead" "the folder of a model comes first" "$grpo" eval --data x --reward match
says "no data" "--data is missing" "$grpo" train "$dir/toy" --reward match --out "$dir/x"
says "no reward" "--reward is missing" "$grpo" train "$dir/toy" --data x --out "$dir/x"
says "an unknown option" "--hat is not understood" "$grpo" train "$dir/toy" --hat 1
says "an unknown reward" "--reward hat is not known" "$grpo" train "$dir/toy" --reward hat
says "no number" "needs a whole number from 1 up" "$grpo" train "$dir/toy" --steps many
says "a number out of range" "--num-prompts 0 is out of range: it must be from 1 to 1048576" train "$dir/x" --num-prompts 0
says "a number that is none" "--learning-rate nan is not a number" train "$dir/x" --learning-rate nan
says "a wrong dtype" "f32, bf16 or f16" train "$dir/x" --dtype fp8
says "a preset that needs another model" "value model" train "$dir/x" --objective ppo
echo '{"question": "1+1=", "answer"' > "$dir/bad.jsonl"
says "a bad line of questions" "bad.jsonl" "$grpo" train "$dir/toy" --data "$dir/bad.jsonl" \
    --reward match --out "$dir/x"
cp -r "$dir/toy" "$dir/mute" && rm "$dir/mute/tokenizer.json"
says "no tokenizer" "mute has no tokenizer.json: transformers writes" "$grpo" inspect "$dir/mute"
says "the model is not written over" "MODEL's own folder" train "$dir/toy"
says "however it is called" "MODEL's own folder" train "$dir/mute/../toy/" --resume
now() { date +%s%N | cut -c1-13; }          # milliseconds
began=$(now)
train "$dir/whole" > "$dir/whole.txt" 2>&1
check "training" $?
took=$(($(now) - began))
(ulimit -s 512 && train "$dir/small_stack" --steps 2) > "$dir/said" 2>&1
check "a stack of 512 KB is enough" $?
says "the prompt is shown" "im_start" cat "$dir/whole.txt"
for file in config.json model.safetensors tokenizer.json tokenizer_config.json \
            generation_config.json log.jsonl; do
    [ -s "$dir/whole/$file" ]
    check "the result has $file" $?
done
says "the result can be asked" "$(sed -n 's/^held out, after: //p' "$dir/whole.txt")" \
    "$grpo" eval "$dir/whole" --data "$dir/toy/test.jsonl" --reward match --max-prompt-length 64 \
    --max-completion-length 4
echo "2+3=" | "$grpo" chat "$dir/whole" --max-completion-length 8 > "$dir/said" 2>&1
check "chat" $?
"$grpo" plot "$dir/whole/log.jsonl" "$dir/run.html" > "$dir/said" 2>&1 && [ -s "$dir/run.html" ]
check "plot" $?
"$grpo" plot "$dir/whole" "$dir/folder.html" > "$dir/said" 2>&1 && cmp "$dir/folder.html" "$dir/run.html"
check "plot takes a run's folder" $?
says "a folder without a log" "toy has no log.jsonl" "$grpo" plot "$dir/toy" "$dir/none.html"
cat > "$dir/verify" << 'END'
#!/bin/sh
while read -r line; do echo 1; done
END
chmod +x "$dir/verify"
says "a verifier of one's own" "reward 1.00\|1.000" "$grpo" eval "$dir/toy" \
    --data "$dir/toy/test.jsonl" --reward "cmd:$dir/verify" --max-prompt-length 64 \
    --max-completion-length 4
judge() { # judge OPTIONS...: by a verifier that reads a file of another folder
    "$grpo" eval "$dir/toy" --data "$dir/toy/test.jsonl" --max-prompt-length 64 \
        --max-completion-length 4 "$@"
}
mkdir "$dir/aside"
echo 1 > "$dir/aside/one"
says "a verifier may read what is said" "accuracy 1.000" judge --verifier-reads "$dir/aside" \
    --reward "cmd:sh -c 'while read -r line; do cat $(cd "$dir" && pwd)/aside/one; done'"
says "a verifier's time is up" "took more than 0.3 seconds" judge --verifier-seconds 0.3 \
    --reward "cmd:sleep 30"
says "how far it is isolated is said" "^grpo: the verifier is \(fully\|partly\|not\) isolated" \
    judge --reward "cmd:$dir/verify"
if grep -q "fully isolated" "$dir/said"; then
    says "isolated, it runs" "accuracy 1.000" judge --reward "cmd:$dir/verify" \
        --verifier-must-be-isolated
else echo "skipped: verifiers cannot be isolated fully here"; fi
# As on a kernel without Landlock: said before it runs, in every command, on resume too; or refused.
weaken="$BUILD/test_verifier weaken"
if [ "$($weaken /bin/echo works)" = works ]; then
    judged="--reward cmd:$dir/verify"
    weak() { # weak COMMAND...: it must say so before its first batch
        $weaken "$grpo" "$@" > "$dir/weak.txt" 2>&1
        weak_status=$?
        awk '/isolated: nothing keeps it from your files/ { print "first" }
            /accuracy|step.*reward/ { exit }' "$dir/weak.txt"
    }
    small="--max-prompt-length 64 --max-completion-length 4 $judged --data $dir/toy/train.jsonl"
    says "eval says it" first weak eval "$dir/toy" $small
    says "train says it" first weak train "$dir/toy" $small --out "$dir/weak" --steps 2
    says "train --resume says it" first weak train "$dir/toy" $small --out "$dir/weak" --steps 4 \
        --resume
    for command in "eval $dir/toy" "train $dir/toy --out $dir/weak2" \
                   "train $dir/toy --out $dir/weak --resume --steps 6"; do
        weak $command $small --verifier-must-be-isolated > /dev/null
        check "it is refused: $command" $((weak_status != 1))
        says "and why" "was not started: the verifier is [a-z]* isolated" cat "$dir/weak.txt"
    done
    [ ! -e "$dir/weak2" ]
    check "refused before anything is written" $?
else echo "skipped: no seccomp, so no kernel without Landlock"; fi
says "no time at all" "must be more than 0" judge --verifier-seconds 0 --reward "cmd:sleep 30"

# ---- a verifier is tried on known answers before the weights are loaded; if it dies the run stops
grader() { # grader WHERE WORDS: rewards 1 and 0; once there is a file `gone`, none where n is WHERE
    cat << END
n=0
while read -r line; do n=\$((n + 1)); done
[ -e "\$(dirname "\$0")/gone" ] && [ \$n $1 ] && { echo "$2" >&2; exit 5; }
while [ \$n -gt 0 ]; do n=\$((n - 1)); echo \$((n % 2)); done
END
}
grader "-gt 4" "the grader is gone" > "$dir/kind.sh"
says "known answers first" "the verifier gives the answers of 4 questions 1 0 1 0" \
    judge --reward "cmd:sh $dir/kind.sh"
says "a verifier that is not there has its own name" \
    '"sh not/there.sh" gave none of 4 completions a reward: .*not/there.sh' \
    judge --reward "cmd:sh not/there.sh"
grep -q "memory\|/verifier-" "$dir/said"
check "and nothing is loaded for it" $((! $?))
sed -n '/^```python/,/^```/{/^```/!p;}' examples/tool/README.md > "$dir/readme.py"
if python3 -c 'import json' 2> /dev/null; then
    says "the README's verifier" "the verifier gives the answers of 4 questions 1 1 1 1" \
        judge --reward "cmd:python3 $dir/readme.py"
else echo "skipped: no python3 for the README's verifier"; fi
says "a file that it misses" "last words: .*nowhere.*It runs in an empty folder of its own" \
    judge --reward "cmd:sh -c 'cat nowhere'"
says "what only a shell understands" "has |, and no shell runs it: write cmd:sh -c" \
    judge --reward "cmd:cat | sort"
says "one without a word" "gave none of 4 completions a reward: it answered 0 of 4" judge \
    --reward cmd:true
says "one that is always wrong" "questions 0 0 0 0: is that right" judge \
    --reward "cmd:sh -c 'while read -r line; do echo 0; done'"
says "no answers, no trial" "is not tried first: the questions have no answers" judge --answer "" \
    --reward "cmd:sh $dir/kind.sh"
train "$dir/graded" --reward "cmd:sh $dir/kind.sh" --steps 2 > /dev/null 2>&1
touch "$dir/gone"
says "a verifier that dies stops the run" \
    "completions a reward: it ended with status 5; its last words: the grader is gone" \
    train "$dir/graded" --reward "cmd:sh $dir/kind.sh" --steps 4 --resume
grep -q "graded has the run up to step 2; --resume goes on" "$dir/said"
check "which is saved" $?
[ "$(grep -c "reported a failure" "$dir/said")" -eq 0 ]
check "in the verifier's words alone" $?
train "$dir/asked" --reward "cmd:sh $dir/kind.sh" --steps 4 --eval-steps 2 --eval-questions 8 \
    > "$dir/said" 2>&1
[ "$(grep -c "the grader is gone" "$dir/said")" -eq 1 ]
check "it is told once" $?
cat > "$dir/kind8.sh" << 'END'
n=0
while read -r line; do n=$((n + 1)); done
[ -e "$(dirname "$0")/gone" ] && [ $n -lt 16 ] && [ $n -gt 4 ] && { echo "no more" >&2; exit 5; }
while [ $n -gt 0 ]; do n=$((n - 1)); echo $((n % 2)); done
END
rm "$dir/gone"
train "$dir/asked" --reward "cmd:sh $dir/kind8.sh" --steps 1 --save-steps 0 > /dev/null 2>&1
touch "$dir/gone"
train "$dir/asked" --reward "cmd:sh $dir/kind8.sh" --steps 4 --eval-steps 2 --save-steps 0 --resume \
    --eval-questions 8 > "$dir/said" 2>&1
grep -q "asked has the run up to step 2; --resume goes on" "$dir/said"
check "saved too if it dies in an evaluation" $?
rm "$dir/gone"
train "$dir/graded" --reward "cmd:sh $dir/kind.sh" --steps 4 --resume > /dev/null 2>&1
train "$dir/graded2" --reward "cmd:sh $dir/kind.sh" --steps 4 > /dev/null 2>&1
cmp "$dir/graded/model.safetensors" "$dir/graded2/model.safetensors"
check "and goes on to the bytes of one that lived" $?
says "a trouble of every step is said once" "^1$" sh -c "'$grpo' train '$dir/toy' $task --out \
    '$dir/partly' --reward 'cmd:sh -c \"echo 1\"' --num-prompts 2 --num-generations 2 --steps 5 \
    --max-prompt-length 64 --max-completion-length 4 2>&1 | grep -c '^the verifier answered 1 of 4'"
says "with a count" "so it was in 5 steps" "$grpo" train "$dir/toy" $task --out "$dir/partly2" \
    --reward 'cmd:sh -c "echo 1"' --num-prompts 2 --num-generations 2 --steps 5 \
    --max-prompt-length 64 --max-completion-length 4

# ---- words: markers that are no tokens, tokens without rows, ends that are no token
says "markers that are no tokens are told" "one token of .*: <|begin_of_text|> ([0-9]* tok" "$grpo" \
    eval "$dir/toy" $task --template llama3 --max-prompt-length 200 --max-completion-length 4
grep -q "ends an answer with <|eot_id|>, which is no token" "$dir/said"
check "an end that is none, too" $?
"$grpo" eval "$dir/toy" $task --max-prompt-length 64 --max-completion-length 4 2>&1 \
    | grep "no token\|one token" > "$dir/said"
check "and nothing where they are" $(($? != 1))
cp -r "$dir/toy" "$dir/foreign"
sed 's/<|im_start|>/<|im_begin|>/g' "$dir/toy/tokenizer_config.json" \
    > "$dir/foreign/tokenizer_config.json"
says "in the folder's own template too" "one token of .*foreign each: <|im_begin|> (12 tokens)[.]" \
    "$grpo" inspect "$dir/foreign"
templated() { # templated TEMPLATE: a folder that is asked by it
    [ -d "$dir/templated" ] || cp -r "$dir/toy" "$dir/templated"
    printf %s "$1" > "$dir/templated/chat_template.jinja"
}
turns='{% for m in messages %}{{ "<|im_start|>" ~ m.role ~ m.content|trim|upper ~ "<|im_end|>" }}'
templated "$turns{% endfor %}"
says "a template that trims and shouts is honest" "greedy accuracy" "$grpo" eval "$dir/templated" \
    $task --system "sums " --max-prompt-length 64 --max-completion-length 4
templated '{{ "<|im_start|>" ~ messages[0].role ~ "<|im_end|>" }}'
for command in "eval $dir/templated $task" "chat $dir/templated" "inspect $dir/templated" \
    "train $dir/templated $task --out $dir/x"; do
    says "a template drops the question: ${command%% *}" "drops the question: .*--prompt-format" \
        "$grpo" $command
    "$grpo" $command > /dev/null 2>&1 < /dev/null
    check "with status 1" $(($? != 1))
done
"$grpo" inspect "$dir/templated" 2> /dev/null | grep -q "at the least"
check "inspect tells the memory all the same" $?
templated '{{ messages[-1].content.split("\n")[0] }}'
says "or a part of it" "drops the question" "$grpo" chat "$dir/templated"
templated "{% if messages[0].role == 'system' %}{% set messages = messages[1:] %}{% endif %}$turns\
{% endfor %}"
says "a template drops the system message" "drops the system message: .*do without" \
    "$grpo" eval "$dir/templated" $task --system Sums
says "where there is none it does not" "greedy accuracy" "$grpo" eval "$dir/templated" $task \
    --max-prompt-length 64 --max-completion-length 4
echo '{"messages": [{"role": "system", "content": "Sums"}, {"role": "user", "content": "1+1="}],
    "answer": 2}' | tr '\n' ' ' > "$dir/one.jsonl"
says "one that the data has, too" "drops the system message" "$grpo" eval "$dir/templated" \
    --data "$dir/one.jsonl" --reward match
grep -q "that is question 1" "$dir/said"
check "and says where" $?
templated "{{ raise_exception('No such language!') if messages[0].content != 'German' }}$turns\
{% endfor %}"
says "a system message that chooses is as it was given" "2+3" sh -c "echo 2+3 | '$grpo' chat \
    '$dir/templated' --system German --max-completion-length 2 && echo 2+3"
templated "{{ raise_exception('No system role!') if messages[0].role == 'system' }}$turns{% endfor %}"
says "a template refuses a system message by itself" "No system role!" "$grpo" chat \
    "$dir/templated" --system Sums
templated "{{ raise_exception('Never!') }}"
says "inspect has a template's own reason" "Never!" "$grpo" inspect "$dir/templated"
"$grpo" inspect "$dir/templated" > "$dir/said" 2> /dev/null
check "with status 1" $(($? != 1))
grep -q "asked by" "$dir/said"
check "and no heading over nothing" $(($? != 1))
templated "{% for m in messages %}{{ m.content }"
says "a template that cannot be read" "its chat template: line 1" "$grpo" inspect "$dir/templated"
"$grpo" inspect "$dir/templated" > "$dir/said" 2> /dev/null
check "with status 1" $(($? != 1))
grep -q "at the least" "$dir/said"
check "the memory is told" $?
templated "{{ '<|im_start|>' ~ messages[-1].content }}"
says "a template without memory is told in a talk" "drops messages of the role assistant" "$grpo" \
    chat "$dir/templated"
"$grpo" eval "$dir/templated" $task --max-prompt-length 64 --max-completion-length 4 2>&1 \
    | grep -q drops
check "and where questions are asked alone it is not" $(($? != 1))
templated "{{ strftime_now('%d %b %Y') }}$turns{% endfor %}"
says "a template tells the day" "it is always 26 July 2024" "$grpo" inspect \
    "$dir/templated"
grep -q "26 Jul 2024<|im_start|>" "$dir/said"
check "and inspect shows which" $?
cp -r "$dir/toy" "$dir/padded"
sed 's/{/{"pad_token": "[PAD]", /' "$dir/toy/tokenizer_config.json" \
    > "$dir/padded/tokenizer_config.json"
says "an added token without a row" "from id 259 on (1 of them, .* beyond config.json" \
    "$grpo" eval "$dir/padded" $task --max-prompt-length 64 --max-completion-length 4
grep -q "greedy accuracy" "$dir/said"
check "it is no obstacle" $?
cp -r "$dir/toy" "$dir/endless"
sed 's/, {"id": 258[^}]*}//' "$dir/toy/tokenizer.json" > "$dir/endless/tokenizer.json"
sed 's/"<|im_end|>"/"<|im_start|>"/' "$dir/toy/tokenizer_config.json" \
    > "$dir/endless/tokenizer_config.json"
says "an end that the tokenizer lacks" "ends answers with token 258, which its tokenizer" \
    "$grpo" eval "$dir/endless" $task --max-prompt-length 64 --max-completion-length 4

mkdir "$dir/stale"
echo '{"<q>": 999}' > "$dir/stale/added_tokens.json"
says "another model's files are not mixed in" "stale has added_tokens.json, which .*toy has not" \
    train "$dir/stale" --steps 1

# ---- on a terminal of its own, of several sizes; then Ctrl-C there, and an error in the middle
on_terminal() { # on_terminal "ROWS COLUMNS [-c]" OUT OPTIONS...
    in_place="$BUILD/on_terminal $1"
    shift
    train "$@"
    code=$?
    in_place=
    return $code
}
if "$BUILD/on_terminal" 24 80 /bin/sh -c true | grep '^skipped'; then :; else
    for size in "40 120" "24 80" "10 40" "2 1"; do
        says "a terminal of $size" "120 pictures; all as" on_terminal "$size" \
            "$dir/screen$size" --steps 120
    done
    mkdir -p "$dir/spoilt/model.safetensors"
    says "an error on a terminal" "all as" on_terminal "24 80" "$dir/spoilt" --steps 120
    on_terminal "24 80 -c" "$dir/stopped" --steps 1000000 > "$dir/stopped.txt" 2>&1
    check "Ctrl-C: $(tail -n 1 "$dir/stopped.txt")" $?
    says "Ctrl-C says how to go on" "interrupted after step" cat "$dir/stopped.txt"
fi

# ---- eval tells the greedy answer from the sampled ones, shows some and writes all
asked() { "$grpo" eval "$dir/whole" --data "$dir/toy/test.jsonl" --reward match \
    --max-prompt-length 64 --max-completion-length 4 "$@"; }
says "samples are told apart" "greedy accuracy.*; sampled, 3 each: pass@1 [0-9.]*, pass@3" asked \
    --eval-samples 3 --out "$dir/predictions.jsonl" --num-prompts 4
cp "$dir/said" "$dir/asked.txt"
says "completions are shown" "right\|wrong" cat "$dir/asked.txt"
questions=$(wc -l < "$dir/toy/test.jsonl")
[ "$(grep -c '"sampling": "greedy"' "$dir/predictions.jsonl")" -eq "$questions" ] \
    && [ "$(grep -c '"sampling": "sampled"' "$dir/predictions.jsonl")" -eq $((3 * questions)) ]
check "all are written" $?
right=$(grep -c '"sampling": "greedy".*"correct": true' "$dir/predictions.jsonl")
says "as many right ones as are told" "accuracy $(awk -v r="$right" -v n="$questions" \
    'BEGIN { printf "%.3f", r / n }') " cat "$dir/asked.txt"
sort "$dir/predictions.jsonl" > "$dir/one.jsonl"
rm -f "$dir/predictions.jsonl"
asked --eval-samples 3 --out "$dir/predictions.jsonl" --num-prompts 16 --processes 2 \
    > /dev/null 2>&1
sort "$dir/predictions.jsonl" | cmp "$dir/one.jsonl" -
check "however many at once, and by two processes" $?
cp "$dir/toy/test.jsonl" "$dir/kept.jsonl"
says "nothing that is there is written over" "is there already" asked --out "$dir/toy/test.jsonl"
cmp "$dir/toy/test.jsonl" "$dir/kept.jsonl"
check "not one byte of it" $?
cp "$dir/whole/log.jsonl" "$dir/kept.jsonl"
says "a log is no picture" "ends in .html or .svg" "$grpo" plot "$dir/whole/log.jsonl" \
    "$dir/whole/log.jsonl"
cmp "$dir/whole/log.jsonl" "$dir/kept.jsonl"
check "and stays" $?
[ "$(wc -l < "$dir/toy/test.jsonl")" -eq "$questions" ]
check "indeed" $?

cat > "$dir/tires.sh" << 'END'
n=0
while read -r line; do n=$((n + 1)); done
[ $n -lt 4 ] && { echo "no more of $n" >&2; exit 5; }
while [ $n -gt 0 ]; do n=$((n - 1)); echo $((n % 2)); done
END
rm -f "$dir/predictions.jsonl"
says "an eval whose verifier dies shows what it has" \
    "^what was asked until then: greedy accuracy 0.400 .* on 20 questions" "$grpo" eval "$dir/toy" \
    --data "$dir/toy/test.jsonl" --reward "cmd:sh $dir/tires.sh" --num-prompts 5 \
    --max-prompt-length 64 --max-completion-length 4 --out "$dir/predictions.jsonl"
[ "$(wc -l < "$dir/predictions.jsonl")" -eq 20 ]
check "and keeps it" $?
says "as many samples as one likes" "pass@16" asked --eval-samples 16
says "in training as many as a step has" "has room for 4 completions" train "$dir/many" \
    --num-prompts 2 --num-generations 2 --eval-samples 5
says "a model is not converted into another's folder" "has a model already" \
    "$BUILD/gguf2hf" "$dir/none.gguf" "$dir/toy"
convert() { # convert TEMPLATE OPTIONS...: a llama.cpp file with that template, into a new folder
    template=$1
    shift
    rm -rf "$dir/converted"
    "$BUILD/toy_folder" "$dir/toy.gguf" "$template" && "$BUILD/gguf2hf" "$@" "$dir/toy.gguf" \
        "$dir/converted"
}
echo '{"question": "ab c", "answer": "a"}' > "$dir/letters.jsonl"
says "a model is converted" "converted: llama, 1 layers" convert "$turns{% endfor %}"
says "and can be asked by its template" "asked by" "$grpo" inspect "$dir/converted"
for words in "drops the question:{{ messages[0].role }}" \
             "its chat template.*line 1:{% for m in messages %}{{ m.content }"; do
    says "a template that grpo refuses: ${words%%:*}" "none is written: .*${words%%:*}" \
        convert "${words#*:}"
    says_too "says what to do" "--no-template leaves that template out; .*--prompt-format"
    [ ! -e "$dir/converted" ]
    check "no folder is written" $?
    says "without it one is" "converted: llama" convert "${words#*:}" --no-template
    says "that is asked as one is told" "greedy accuracy" "$grpo" eval "$dir/converted" --data \
        "$dir/letters.jsonl" --reward match --prompt-format "{question}" --max-completion-length 4
    says "its tokenizer alone" "grpo needs --template or --prompt-format: .*${words%%:*}" \
        convert "${words#*:}" --tokenizer
done
says "one that asks no single question is told" "by itself: .*In turn" convert \
    "{{ raise_exception('In turn!') if messages|length < 2 }}$turns{% endfor %}"
[ -s "$dir/converted/model.safetensors" ]
check "and written" $?
"$BUILD/toy_folder" --help > "$dir/said" 2>&1
check "toy_folder --help" $?
says_too "has a line of usage" "^usage: toy_folder FOLDER"
"$BUILD/toy_folder" --hlep > "$dir/said" 2>&1
check "an option that is none has status 2" $(($? != 2))
[ ! -e ./--help ] && [ ! -e ./--hlep ]
check "and is no folder's name" $?

# ---- a step is saved once; Ctrl-C twice while a folder is written waits for that (strace counts
# the files, and makes each take a while)
traced() { # traced FILTER OUT OPTIONS...
    filter=$1 out=$2
    shift 2
    timeout 120 strace -f -o "$dir/trace" -e trace=rename -e "$filter" "$grpo" train "$dir/toy" \
        $task --out "$out" --save-steps 2 --num-prompts 2 --num-generations 2 --max-prompt-length 64 \
        --max-completion-length 4 "$@"
}
if command -v strace > /dev/null && traced trace=rename "$dir/once" --steps 4 > "$dir/said" 2>&1
then
    [ "$(grep -c 'trainer_state.*= 0$' "$dir/trace")" -eq 2 ]
    check "four steps, every second one saved, are two saves" $?
    slow() { # slow OUT OPTIONS...: a run that is about to have its first checkpoint, and its number
        out=$1
        shift
        (traced inject=rename:delay_enter=300000 "$out" "$@" > "$dir/slow.txt" 2>&1) &
        pid=$! tries=0
        until ls "$out/model"*.tmp > /dev/null 2>&1 || [ $((tries += 1)) -gt 200 ]; do
            sleep 0.05
        done
        run=$(ps -A -o pid= -o args= | awk -v out="$out" -v grpo="$grpo" \
            '$2 == grpo && index($0, out) { print $1; exit }')
    }
    slow "$dir/slow" --steps 1000000
    kill -INT "$run" && sleep 0.1 && kill -INT "$run"
    wait $pid
    check "Ctrl-C twice within a save ends by that signal" $(($? != 130))
    says "when that is done" "ending when this is saved" cat "$dir/slow.txt"
    says "and tells" "interrupted after step 2; --resume goes on" cat "$dir/slow.txt"
    says "it is whole" "step 2 of 3" traced trace=none "$dir/slow" --steps 3 --resume
    ls "$dir/slow" | grep -q tmp
    check "nothing half written is left" $(($? == 0))
    slow "$dir/ended" --steps 2 --eval "$dir/toy/test.jsonl"
    kill -INT "$run"
    wait $pid
    check "Ctrl-C within the last save" $(($? != 130))
    says "says what was not measured" 'all 2 steps are saved.*"held out, after" was not' cat \
        "$dir/slow.txt"
    says "which --resume measures" "^held out, after" traced trace=none "$dir/ended" --steps 2 \
        --eval "$dir/toy/test.jsonl" --resume
else echo "skipped: no strace here"; fi

# ---- one folder, one run
(in_place=exec; train "$dir/busy" --steps 1000000 > "$dir/busy.txt" 2>&1) &
pid=$!
tries=0
until grep -qs '"step"' "$dir/busy/log.jsonl" || [ $((tries += 1)) -gt 100 ]; do sleep 0.1; done
says "a second run in one folder" "written by another run (process $pid)" train "$dir/busy" --resume
kill -TERM $pid
wait $pid
check "a run that is asked to end ends by that signal" $(($? != 143))
says "it says how to go on" "interrupted after step [0-9]*; --resume goes on" cat "$dir/busy.txt"
[ ! -e "$dir/busy/training.lock" ]
check "no lock is left" $?
[ -s "$dir/busy/model.safetensors" ]
check "it is saved" $?
says "a run is not overwritten by another" "--resume goes on with it" train "$dir/busy"

# ---- interrupted before a first step: nothing is left; at once, by a second signal: no lock
cat > "$dir/held.sh" << 'END'
n=0
while read -r line; do n=$((n + 1)); done
while [ $n -gt 4 ] && [ ! -e "$(dirname "$0")/go" ]; do sleep 0.05; done
while [ $n -gt 0 ]; do n=$((n - 1)); echo $((n % 2)); done
END
hold() { # hold OUT FILE OPTIONS...: a run whose verifier waits, once it has written this file
    out=$1 file=$2
    shift 2
    (in_place=exec; train "$out" --reward "cmd:sh $dir/held.sh" "$@" > "$dir/held.txt" 2>&1) &
    pid=$! tries=0
    until [ -e "$out/$file" ] || [ $((tries += 1)) -gt 200 ]; do sleep 0.05; done
}
end() { # end WORDS: a signal, and what it is answered
    kill -TERM $pid
    tries=0
    until grep -q "$1" "$dir/held.txt" || [ $((tries += 1)) -gt 200 ]; do sleep 0.05; done
}
rm -f "$dir/go"
hold "$dir/early" settings.jsonl
end "ending"
touch "$dir/go"
wait $pid
check "interrupted before the first step" $(($? != 143))
says "it says so" "before the first step was done: nothing was learned" cat "$dir/held.txt"
[ ! -e "$dir/early" ]
check "no folder is left" $?
rm -f "$dir/go"
mkdir "$dir/early"
echo mine > "$dir/early/notes"
hold "$dir/early" settings.jsonl
end "ending"
end "nothing was learned"
wait $pid
check "twice before the first step" $(($? != 143))
[ "$(ls "$dir/early")" = notes ]
check "what was there is left alone" $?
touch "$dir/go"
hold "$dir/later" model.safetensors --save-steps 1 --eval-steps 0 --steps 100000
rm -f "$dir/go"
end "ending"
end "later has the run up to step [0-9]*; --resume goes on"
wait $pid
check "twice within a later step" $(($? != 143))
[ ! -e "$dir/later/training.lock" ]
check "no lock is left" $?
touch "$dir/go"
steps=$(sed -n 's/.*up to step \([0-9]*\);.*/\1/p' "$dir/held.txt")
for out in later never; do
    train "$dir/$out" --reward "cmd:sh $dir/held.sh" --eval-steps 0 --steps $((steps + 5)) --resume \
        > /dev/null 2>&1
done
cmp "$dir/later/model.safetensors" "$dir/never/model.safetensors" \
    && cmp "$dir/later/trainer_state.safetensors" "$dir/never/trainer_state.safetensors"
check "it goes on to the bytes of one that was left alone" $?

# ---- interrupted when all steps are saved: what was not measured then is measured by --resume
cat > "$dir/last.sh" << 'END'
n=0 here=$(dirname "$0")
while read -r line; do n=$((n + 1)); done
[ ! -e "$here/last/config.json" ] || while [ $n -gt 4 ] && [ ! -e "$here/go" ]; do sleep 0.05; done
while [ $n -gt 0 ]; do n=$((n - 1)); echo $((n % 2)); done
END
unmeasured='all 2 steps are saved in .*; "held out, after" was not measured: --resume measures it'
last() { train "$dir/last" --reward "cmd:sh $dir/last.sh" --steps 2 --save-steps 0 --lanes 2 "$@"; }
for signals in one two; do
    rm -rf "$dir/last" "$dir/go"
    (in_place=exec; last > "$dir/held.txt" 2>&1) &
    pid=$! tries=0
    until [ -e "$dir/last/config.json" ] || [ $((tries += 1)) -gt 200 ]; do sleep 0.05; done
    sleep 0.3
    end "ending"
    [ $signals = one ] || end "all 2 steps"
    touch "$dir/go"
    wait $pid
    check "interrupted by $signals when all is saved" $(($? != 143))
    says "it says what is left to do" "$unmeasured" cat "$dir/held.txt"
done
cp "$dir/last/log.jsonl" "$dir/before.jsonl"
inode() { ls -i "$dir/last/model.safetensors" "$dir/last/trainer_state.safetensors"; }
inode > "$dir/inodes"
says "--resume measures it" "^held out, after: greedy accuracy" last --resume
cat "$dir/before.jsonl" > "$dir/expected"
grep '"eval": {"step": 2,' "$dir/last/log.jsonl" >> "$dir/expected"
cmp "$dir/last/log.jsonl" "$dir/expected" && ! cmp -s "$dir/last/log.jsonl" "$dir/before.jsonl"
check "and logs it, and nothing else" $?
inode | cmp "$dir/inodes" -
check "no weights are written" $?
says "once" "last has had its 2 steps; more" last --resume
[ "$(grep -c "held out" "$dir/said")" -eq 0 ] && cmp "$dir/last/log.jsonl" "$dir/expected"
check "indeed" $?
cp "$dir/before.jsonl" "$dir/last/log.jsonl"
says "so do two processes" "^held out, after: greedy accuracy" last --resume --processes 2

# ---- a run that is killed before its first checkpoint leaves a log, which is not the next one's
rm -f "$dir/go"
fresh() { train "$dir/fresh" --reward "cmd:sh $dir/held.sh" --save-steps 0 "$@"; }
(in_place=exec; fresh --eval-steps 0 --hold-out 0 > "$dir/held.txt" 2>&1) &
pid=$! tries=0
until [ -e "$dir/fresh/settings.jsonl" ] || [ $((tries += 1)) -gt 200 ]; do sleep 0.05; done
kill -KILL $pid
wait $pid 2> /dev/null
cp "$dir/fresh/log.jsonl" "$dir/before.jsonl"
(in_place=exec; fresh --steps 2 > "$dir/held.txt" 2>&1) &
pid=$! tries=0
until [ -e "$dir/fresh/settings.jsonl" ] && [ -e "$dir/fresh/settings.before.jsonl" ] \
        || [ $((tries += 1)) -gt 200 ]; do sleep 0.05; done
end "ending"
touch "$dir/go"
wait $pid
cmp "$dir/fresh/log.jsonl" "$dir/before.jsonl"
check "one that learns nothing leaves it as it was" $?
says "as it says" "nothing was learned, and .* is as it was" cat "$dir/held.txt"
ls "$dir/fresh" | grep -q before
check "and by its name" $(($? != 1))
for kept in before before2; do
    says "the log of a killed run is kept" "it is .*/fresh/log.$kept.jsonl now" fresh --steps 2
    cmp "$dir/fresh/log.$kept.jsonl" "$dir/before.jsonl"
    check "every byte of it" $?
    [ "$(grep -c '"config"' "$dir/fresh/log.jsonl")" -eq 1 ] \
        && [ "$(wc -l < "$dir/fresh/settings.jsonl")" -eq 1 ]
    check "and the next has its own" $?
    cp "$dir/fresh/log.jsonl" "$dir/before.jsonl"
    rm "$dir/fresh/trainer_state.safetensors"                 # as if it had been killed too
done

# ---- several processes come to the bytes of one, stop together, and end if one is killed
same() { # same DESCRIPTION OUT OUT
    cmp "$2/model.safetensors" "$3/model.safetensors" \
        && cmp "$2/trainer_state.safetensors" "$3/trainer_state.safetensors"
    check "$1" $?
}
train "$dir/lanes" --lanes 4 --steps 20 > /dev/null 2>&1
train "$dir/two" --lanes 4 --steps 20 --processes 2 > /dev/null 2>&1
same "two processes have the bytes of one" "$dir/lanes" "$dir/two"
train "$dir/four" --processes 4 --steps 10 > "$dir/four.txt" 2>&1
says "the lanes are said" "^lanes 4, one a process" cat "$dir/four.txt"
train "$dir/four" --resume --steps 20 > /dev/null 2>&1
same "what four begin one ends, with its lanes" "$dir/lanes" "$dir/four"
[ "$(grep -c '"step"' "$dir/two/log.jsonl")" -eq "$(grep -c '"step"' "$dir/lanes/log.jsonl")" ]
check "one of them writes the log" $?
for number in 3 x 4x 0 -2 128 ""; do
    says "$number processes" "processes needs a power of two, from 1 to 64, not \"$number\"" \
        train "$dir/x" --processes "$number"
done
says "more processes than lanes" "at most lanes" train "$dir/x" --processes 4 --lanes 2
says "one pipe for all" "cannot read one pipe" train "$dir/x" --processes 2 --data -
says "an error is said once" "^1$" sh -c "'$grpo' eval '$dir/toy' $task --template none \
    --processes 4 2>&1 | grep -c 'no chat template'"
says "eval by several" "$(sed -n 's/^held out, after: //p' "$dir/whole.txt")" "$grpo" eval \
    "$dir/whole" --data "$dir/toy/test.jsonl" --reward match --max-prompt-length 64 \
    --max-completion-length 4 --processes 2
says "inspect tells the memory of each" "Each of 8 processes" "$grpo" inspect "$dir/toy" \
    --processes 8
grader "-lt 4" "no more of \$n" > "$dir/three.sh"
rm -f "$dir/gone"
graded() { train "$dir/judged" --reward "cmd:sh $dir/three.sh" --processes 2 --save-steps 0 \
    --eval-questions 6 --eval-steps 2 "$@"; }
graded --steps 1 > /dev/null 2>&1
touch "$dir/gone"
says "a team's verifier that dies in an evaluation: saved" \
    "judged has the run up to step 2; --resume goes on" graded --steps 4 --resume
grep -q "ended with status 5; its last words: no more of 3" "$dir/said"
check "and says so" $?
[ "$(grep -c "reported a failure" "$dir/said")" -eq 0 ]
check "in its own words alone" $?
rm -f "$dir/gone"
for signal in TERM KILL; do
    (in_place=exec; train "$dir/$signal" --processes 4 --steps 1000000 > "$dir/said" 2>&1) &
    pid=$! tries=0
    until grep -qs '"step"' "$dir/$signal/log.jsonl" || [ $((tries += 1)) -gt 100 ]; do
        sleep 0.1
    done
    kill -$signal "$(ps -A -o ppid= -o pid= | awk -v of=$pid '$1 == of { print $2; exit }')"
    wait $pid
    status=$?
    cp "$dir/said" "$dir/$signal.txt"
    if [ $signal = TERM ]; then
        check "a signal to one ends all by that signal" $((status != 143))
        says "and is told" "interrupted after step" cat "$dir/$signal.txt"
    else
        check "one that is killed is an error of all" $((status != 1))
        says "and is told" "the exchange with process [0-9] of 4 failed" cat "$dir/$signal.txt"
    fi
done

# ---- nobody reads what it prints; a file must not become so large
{ train "$dir/unread" --steps 30; echo $? > "$dir/status"; } 2> "$dir/unread.txt" \
    | head -n 1 > /dev/null
train "$dir/read" --steps 30 > /dev/null 2>&1
cmp "$dir/unread/model.safetensors" "$dir/read/model.safetensors"
check "a run into head goes on to its end" $?
says "its status tells" "^1$" cat "$dir/status"
says "and says so" "nobody reads standard output any more: training goes on" cat "$dir/unread.txt"
"$grpo" eval "$dir/toy" $task --max-prompt-length 64 --max-completion-length 4 2> "$dir/said" | true
grep -q "could be written" "$dir/said"
check "so does eval" $?
cp -r "$dir/read" "$dir/limited"
(ulimit -f 20; train "$dir/limited" --steps 40 --resume > "$dir/limited.txt" 2>&1)
check "a file over its limit is an error, no signal" $(($? != 1))
says "with a sentence" "File too large" cat "$dir/limited.txt"
says "what is saved" "limited has the run up to step 30; --resume goes on" cat "$dir/limited.txt"
says "and how much room it takes" "a checkpoint takes [0-9.]*kB there" cat "$dir/limited.txt"
cmp "$dir/read/model.safetensors" "$dir/limited/model.safetensors" \
    && cmp "$dir/read/trainer_state.safetensors" "$dir/limited/trainer_state.safetensors"
check "and the folder is as it was" $?
train "$dir/limited" --steps 40 --resume > /dev/null 2>&1
train "$dir/read" --steps 40 --resume > /dev/null 2>&1
cmp "$dir/read/model.safetensors" "$dir/limited/model.safetensors"
check "from which it goes on to the same bytes" $?

# ---- a disk without room for a checkpoint is refused before the first step; one that fills up while
# the log is written does not cost the steps that are done
train "$dir/logless" --steps 2 --save-steps 0 --lanes 2 > /dev/null 2>&1
rm "$dir/logless/log.jsonl" && mkdir "$dir/logless/log.jsonl"
says "a log that cannot be written" "the step is done but not logged" train "$dir/logless" \
    --steps 9 --resume
says_too "costs no step that is done" "logless has the run up to step 3; --resume goes on"
says "of a team neither" "logless has the run up to step 4; --resume goes on" train "$dir/logless" \
    --steps 9 --resume --processes 2
rmdir "$dir/logless/log.jsonl"
says "from which it goes on" "logless has the model" train "$dir/logless" --steps 9 --resume
cat > "$dir/disk.sh" << 'END'
mount -t tmpfs -o size="$1" tmpfs "$2" || exit 9
shift 2
"$@"
END
mkdir "$dir/disk"
on_disk() { # on_disk SIZE COMMAND...: with a disk of that size in $dir/disk
    size=$1
    shift
    unshare -rm sh "$dir/disk.sh" "$size" "$dir/disk" "$@"
}
if on_disk 1m true 2> /dev/null; then
    disk() { # disk SIZE OPTIONS...: a run there, and what is left of it
        on_disk "$1" sh -c '"$@"; echo "status $?"; ls -A "'"$dir"'/disk"' sh "$grpo" train \
            "$dir/toy" $task --out "$dir/disk/run" --num-prompts 2 --num-generations 2 --steps 4 \
            --max-prompt-length 64 --max-completion-length 4 $2
    }
    says "no room for a checkpoint" \
        "a checkpoint takes 562kB, and .*disk/run has [0-9.]*kB free: make room, or choose" disk 500k
    grep -q "^step" "$dir/said"
    check "no step is done for it" $(($? != 1))
    says_too "with status 1" "^status 1"
    [ "$(tail -n 1 "$dir/said")" = "status 1" ]
    check "and nothing is left" $?
    says "room for one" "disk/run has the model" disk 640k
    says "and not for the next beside it" \
        "as much again while the next replaces it, .*or save at the end alone" disk 640k \
        "--save-steps 2"
    says "as for one that is LoRA's" "disk/run has the adapters" disk 300k \
        "--save-steps 2 --lora-rank 4"
else echo "skipped: no disk of a test's own can be had here"; fi

# ---- what a folder says agrees, what is given on resume is compared, what is no file is no file
cp -r "$dir/toy" "$dir/base"
echo '{"top_k": 20, "eos_token_id": 256, "x": [1.50, {"a": "b"}, null]}' \
    > "$dir/base/generation_config.json"
small="--data $dir/base/train.jsonl --reward match --reward match --num-prompts 2
    --num-generations 2 --max-prompt-length 64 --max-completion-length 4"
"$grpo" train "$dir/base" $small --steps 2 --seed 1 --out "$dir/agreed" > "$dir/said" 2>&1
check "a run of a base model" $?
eos=$(grep -o '"eos_token_id": [^]]*]' "$dir/agreed/config.json" | tr '[]' ..)
says "all that ends an answer" "258, 256\|256, 258" echo "$eos"
says "generation_config.json agrees with config.json" "$eos" \
    cat "$dir/agreed/generation_config.json"
says "and keeps the rest" '"x": .1.50, {"a": "b"}, null.' cat "$dir/agreed/generation_config.json"
says "two rewards of one kind have two names" '"rewards/match_2/mean"' cat "$dir/agreed/log.jsonl"
again() { "$grpo" train "$dir/base" $small --steps 3 --out "$dir/agreed" --resume "$@"; }
says "another seed is refused" '--seed is 999, and was 1 in.*cannot change' again --seed 999
mkdir "$dir/other"
echo '{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}' \
    > "$dir/other/adapter_config.json"
says "another adapter is refused" '--adapter is .*other, and was not given.*cannot change' again \
    --seed 1 --adapter "$dir/other"
[ "$(wc -l < "$dir/agreed/settings.jsonl")" -eq 1 ]
check "what is refused is not recorded" $?
says "adapters where there were none are refused" '--lora-rank is 2, and was 0 in.*cannot change' \
    again --seed 1 --lora-rank 2
says "a choice is told by its word" '--loss is cispo, and was clip in.*from here on' again --seed 1 \
    --steps 2 --loss cispo
says "another rate takes effect" '--learning-rate is 0.5, and was 1e-06 in.*from here on' again \
    --seed 1 --learning-rate 0.5
says "and is recorded" '"step": 2.*"learning-rate": "0.5"' tail -1 "$dir/agreed/settings.jsonl"
"$grpo" train "$dir/base" $small --objective dapo --beta 0.1 --steps 1 --learning-rate 1e-3 \
    --epsilon-high 0.5 --out "$dir/kept" > "$dir/said" 2>&1
says "what is not given on resume is as it was" "goes on with: --data .*--learning-rate 0.001, .*0.5" \
    "$grpo" train "$dir/base" --reward match --reward match --steps 2 --resume --out "$dir/kept"
says "and recorded" '"step": 1.*"learning-rate": "0.001".*"epsilon-high": "0.5"' tail -n 1 \
    "$dir/kept/settings.jsonl"
says "a preset comes before fields, wherever it stands" '"epsilon-high": "0.5"' sh -c \
    "'$grpo' train '$dir/base' $(echo $small) --epsilon-high 0.5 --objective dapo --steps 1 \
        --out '$dir/after' > /dev/null 2>&1; cat '$dir/after/settings.jsonl'"
says "and their reference stays" "--beta is 0.2, and was 0 in .*cannot change" again --seed 1 --beta 0.2
says "epsilon is both" '"epsilon": "0.3", "epsilon-high": "0.3"' sh -c \
    "'$grpo' train '$dir/base' $(echo $small) --epsilon 0.3 --steps 1 --out '$dir/both' \
        > /dev/null 2>&1; cat '$dir/both/settings.jsonl'"
says "variables of a template" "</think>" "$grpo" train "$dir/toy" $task --template qwen3 \
    --template-variables '{"enable_thinking": false}' --steps 1 --num-prompts 1 --out "$dir/thinks" \
    --max-completion-length 4
says "they are an object" "--template-variables is an object" judge --reward match \
    --template-variables '[1]'
says "and none of the program's" "messages is what this program gives" judge --reward match \
    --template-variables '{"messages": []}'
says "what no known answer reaches" "no known answer reaches --success-reward 1.*0.9?" judge \
    --reward "cmd:sh -c 'while read -r line; do echo 0.9; done'"
says "held-out questions of training" "22 of the 22 held-out questions are asked in training too" \
    train "$dir/leak" --steps 1 --data "$dir/toy/test.jsonl"
says "more questions than there are" "asks --num-prompts 100 questions, and there are 42" \
    train "$dir/leak" --resume --steps 2 --num-prompts 100
says "the library's reasons name the option" "--beta is 0; it must be from" train "$dir/x" \
    --beta 0 --kl-target 0.1
says "nothing is left to ask" "--hold-out 1 would hold out every question" "$grpo" train "$dir/toy" \
    $task --out "$dir/x" --hold-out 1
says "an empty pipe" "standard input has no questions" judge --reward match --data -
says "a fall is told" "held-out accuracy has fallen from 0.[0-9]* to 0.000" train "$dir/fallen" \
    --steps 4 --learning-rate 1 --num-prompts 8
says "a variable that the template has" "Count" "$grpo" train "$dir/toy" $task --template qwen2.5 \
    --template-variables '{"default_system": "Count"}' --steps 1 --num-prompts 1 --out "$dir/counts" \
    --max-completion-length 4
long=$(head -c 1500 /dev/zero | tr '\0' x)
"$grpo" train "$dir/toy" $task --template-variables "{\"x\": \"$long\"}" --steps 1 --num-prompts 1 \
    --max-completion-length 4 --out "$dir/long" > "$dir/said" 2>&1
"$grpo" train "$dir/toy" --reward match --resume --steps 2 --out "$dir/long" > "$dir/said" 2>&1
says "a long setting stays whole" "^2$" grep -c "$long" "$dir/long/settings.jsonl"
says "the report has the whole command" "train .*--processes 2 --backend cpu" sh -c \
    "'$grpo' train '$dir/toy' $task --steps 1 --processes 2 --backend cpu --out '$dir/quoted' \
        --max-completion-length 4 > /dev/null 2>&1; cat '$dir/quoted/log.jsonl'"
(echo 1+1=; sleep 1; echo 2+2=; sleep 1; echo 3+3=) | { "$grpo" chat "$dir/toy" \
    --max-completion-length 4; echo $? > "$dir/status"; } 2> "$dir/chat.txt" | head -c 1 > "$dir/head"
says "a talk that nobody reads any more" "^1$" cat "$dir/status"
says "targets of nothing" "--lora-targets is empty" "$grpo" inspect "$dir/toy" --lora-targets ""
says "a format of nothing" "asks for nothing" "$grpo" train "$dir/toy" --reward format:...
says "an option taken twice" "--backend is given twice" "$grpo" inspect "$dir/toy" --backend cpu \
    --backend cpu
says "questions that are all too long" "none is left; the shortest has 2[0-9] tokens" "$grpo" eval \
    "$dir/toy" --data "$dir/toy/test.jsonl" --reward match --max-prompt-length 5
says "what overflows costs no step that is done" "has the run up to step 1" train "$dir/overflow" \
    --steps 4 --learning-rate 1e30 --num-prompts 8 --beta 0.01
says "a file named twice" "--data is given twice" judge --reward match --data "$dir/toy/test.jsonl"
says "another verifier is told" "--reward is .*kind.sh (weight 2), and was match, match in.*from here on" \
    again --seed 1 --learning-rate 0.5 --steps 4 --reward "cmd:sh $dir/kind.sh" --weight 2
scheduled() { train "$dir/scheduled" --resume --lr-scheduler-type linear "$@"; }
scheduled --steps 2 > "$dir/said" 2>&1
says "a schedule that goes on longer" "--steps is 3, and was 2 in the run" scheduled --steps 3
rm "$dir/agreed/settings.jsonl"
rm -rf "$dir/fresh"
says "to go on with nothing is told" "--resume: .*fresh has no checkpoint, so a new run begins" \
    train "$dir/fresh" --steps 1 --resume
says "an option without effect is told" "--merge does nothing without --lora-rank or --adapter" \
    train "$dir/idle" --steps 1 --merge
says "each of them" "--verifier-seconds does nothing without a verifier" train "$dir/idle" --steps 1 \
    --resume --verifier-seconds 3
says "one that has an effect is not" "--temperature does nothing without --eval-samples" judge \
    --reward match --temperature 0.5
judge --reward match --temperature 0.5 --eval-samples 2 2>&1 | grep -q "does nothing"
check "nor where there are samples" $((! $?))
says "others' names are known" "--lr is not understood; here it is --learning-rate X: size of a step" \
    "$grpo" train "$dir/toy" --lr 1
says "and why they have none" "--bf16 is not there: weights are trained in float32" "$grpo" train \
    "$dir/toy" --bf16
says "help knows them too" "^--learning-rate X" "$grpo" help lr
says "help of a preset" "--epsilon-high 0.28  (default 0.2)" "$grpo" help dapo
says "help of a reward" "its last or boxed number" "$grpo" help gsm8k
says "a line's columns" "dead .*share of groups whose rewards are all equal" "$grpo" help train
says "a field of the objective was meant" 'bta=0.1.*no such field: did you mean beta?' "$grpo" train \
    "$dir/toy" --objective "dapo bta=0.1"
says "a value of it" 'loss=clp".*it has clip .*: did you mean clip?' "$grpo" train "$dir/toy" \
    --objective "loss=clp"
says "a preset" 'dapx" is not a preset: did you mean dapo?' "$grpo" train "$dir/toy" --objective dapx
says "help tells each sense" "for what was asked and answered" "$grpo" help out
says "a version" "^grpo [0-9]" "$grpo" --version
"$grpo" inspect "$dir/toy" --objective "trl" | grep "at the fastest" > "$dir/without"
"$grpo" inspect "$dir/toy" --beta 0.1 | grep "at the fastest" > "$dir/with"
! cmp -s "$dir/without" "$dir/with"
check "inspect counts the reference" $?
ask() { # ask DATA: eval of one question from there
    timeout 60 "$grpo" eval "$dir/toy" --data "$1" --reward gsm8k --max-prompt-length 64 \
        --max-completion-length 4
}
printf '%s\n' '{"question": "1+1=", "answer": "two"}' '{"question": "1+2=", "answer": "three"}' \
    > "$dir/in_words.jsonl"
says "a reward that can judge nothing" "gsm8k can judge none of 2 questions.*the answer \"two\"" ask \
    "$dir/in_words.jsonl"
says "nor where there are no answers" "match can judge none of .* the first has no answer" judge \
    --reward match --answer ""
echo '{"question": "1+2=", "answer": "3"}' >> "$dir/in_words.jsonl"
ask "$dir/in_words.jsonl" > "$dir/in_words.txt" 2>&1
says "what it cannot judge is left out" "gsm8k can judge 1 of 3 questions.*are left out" cat \
    "$dir/in_words.txt"
says "and the rest is asked" "on 1 questions" cat "$dir/in_words.txt"
says "the state knows the seed too" "--seed is 7, but the run.*was begun with 1" again --seed 7
line='{"question": "1+1=", "answer": 2e0}'
says "questions from a pipe" "on 1 questions" sh -c "echo '$line' | $grpo eval $dir/toy --data - \
    --reward gsm8k --max-prompt-length 64 --max-completion-length 4"
echo '{"question": "1+1=", "answer": 1, "answer": 2}' > "$dir/twice.jsonl"
says "a name twice" 'twice.jsonl, line 1, column 43: the name "answer" is there twice' \
    ask "$dir/twice.jsonl"
asks() { # asks DESCRIPTION PATTERN LINE OPTIONS...: a first step's words, with that question
    about=$1 for=$2
    printf '%s\n' "$3" > "$dir/one.jsonl"
    shift 3
    rm -rf "$dir/one_step"
    says "$about" "$for" "$grpo" train "$dir/toy" --data "$dir/one.jsonl" --reward gsm8k --steps 1 \
        --num-prompts 1 --num-generations 2 --max-prompt-length 128 --max-completion-length 2 \
        --out "$dir/one_step" "$@"
}
u='{"role": "user", "content": "1+1="}'
asks "a conversation is asked" "^1+1=<|im_end|>" '{"messages": ['"$u"'], "answer": 2}'
says_too "as a question is" "im_start|>user"
s='{"role": "system", "content": "Sums"}' a='{"role": "assistant", "content": "2"}'
asks "with all its turns" "Sums<|im_end|>" \
    '{"chat": ['"$s,$u,$a"',{"role": "user", "content": "2+2="}], "answer": 4}' --question chat
says_too "the answer to the first" "assistant"
says_too "the last question" "^2+2=<|im_end|>"
printf %s "{% for m in messages %}{{ m.role ~ m.content ~ '<' ~ m.reasoning_content ~ '>' }}\
{% endfor %}" > "$dir/templated/chat_template.jinja"
printf '%s\n' '{"messages": ['"$u"',{"role": "assistant", "content": "2", "reasoning_content":
    "Sure"},{"role": "user", "content": "2+2="}], "answer": 4}' | tr '\n' ' ' > "$dir/one.jsonl"
says "the thoughts of an earlier answer" "1+1=<>assistant2<Sure>user2+2=<>" "$grpo" train \
    "$dir/templated" --data "$dir/one.jsonl" --reward gsm8k --steps 1 --num-prompts 1 \
    --num-generations 2 --max-prompt-length 128 --max-completion-length 2 --out "$dir/thoughtful"
asks "fields in fields" "^1+1=<|im_end|>" \
    '{"prompt": ['"$u"'], "reward_model": {"ground_truth": "2"}}' --answer reward_model.ground_truth
asks "or what there is of them" "of it there is: truth" \
    '{"prompt": ['"$u"'], "reward_model": {"truth": "2"}}' --answer reward_model.ground_truth
printf 'Frage,Antwort\r\n"1,1=",2\r\n' > "$dir/one.csv"
says "CSV" "^1,1=<|im_end|>" "$grpo" train "$dir/toy" --data "$dir/one.csv" --reward gsm8k \
    --num-prompts 1 --num-generations 2 --steps 1 --max-prompt-length 128 \
    --max-completion-length 2 --out "$dir/csv" --question Frage --answer Antwort
printf 'PAR1\000PAR1' > "$dir/x.parquet"
says "Parquet" "is Parquet: duckdb -json -c .*x.parquet'. | grpo ... --data - reads" \
    ask "$dir/x.parquet"
says "the end of an epoch" "^epoch 1 of 2.00 is over: 42 questions" train "$dir/epochs" \
    --num-prompts 4 --steps 21
mkfifo "$dir/pipe"
says "a pipe instead of questions" "pipe cannot be read: it is no regular file" ask "$dir/pipe"
says "a device" "/dev/zero cannot be read: it is no regular file" ask /dev/zero
says "a folder" "toy cannot be read: it is no regular file" ask "$dir/toy"
for file in config.json generation_config.json model.safetensors tokenizer.json \
            tokenizer_config.json chat_template.jinja; do
    rm -rf "$dir/piped"
    cp -r "$dir/toy" "$dir/piped" && rm -f "$dir/piped/$file" && mkfifo "$dir/piped/$file"
    says "a pipe instead of $file" "$file.*is no regular file" timeout 60 "$grpo" train \
        "$dir/piped" $task --steps 1 --out "$dir/unpiped" --max-prompt-length 64 \
        --max-completion-length 4
done

# ---- LoRA: adapters beside the folder's weights, resumed to the same bytes, merged into a model
train "$dir/adapted" --lora-rank 4 --steps 20 > "$dir/adapted.txt" 2>&1
check "training adapters" $?
for file in adapter_config.json adapter_model.safetensors tokenizer.json; do
    [ -s "$dir/adapted/$file" ]
    check "the adapters' folder has $file" $?
done
train "$dir/half" --lora-rank 4 --steps 10 > "$dir/half.txt" 2>&1
train "$dir/half" --lora-rank 4 --steps 20 --resume > "$dir/half.txt" 2>&1
questions=$(wc -l < "$dir/toy/train.jsonl")
says "the epoch survives" "step 10 of 20, epoch $(awk -v n="$questions" \
    'BEGIN { printf "%.2f of %.2f, %d", 40 / n, 80 / n, n }') questions" cat "$dir/half.txt"
cmp "$dir/adapted/adapter_model.safetensors" "$dir/half/adapter_model.safetensors"
check "adapters resumed have the same bytes" $?
says "adapters can be asked" "greedy accuracy" "$grpo" eval "$dir/toy" --adapter "$dir/adapted" \
    $task --max-prompt-length 64 --max-completion-length 4
train "$dir/merged" --lora-rank 4 --steps 20 --merge > "$dir/merged.txt" 2>&1
says "merged, it is a model" "greedy accuracy" "$grpo" eval "$dir/merged" $task \
    --max-prompt-length 64 --max-completion-length 4
says "inspect tells what LoRA saves" "memory" "$grpo" inspect "$dir/toy" --lora-rank 4
says "a wrong target" "--lora-targets are of" "$grpo" inspect "$dir/toy" --lora-targets qkv

# ---- a talk: what is too long is told in tokens and left out, lines of any length, Ctrl-C
talk() { # talk TEXT OPTIONS...: printf's text, said to the toy
    text=$1
    shift
    printf "$text" | timeout 60 "$grpo" chat "$dir/toy" --max-completion-length 4 "$@"
}
says "a talk may be as long as the model has positions" "a talk may have 252 tokens" talk ""
cp -r "$dir/toy" "$dir/wide"
sed 's/\("max_position_embeddings": \)256/\18192/' "$dir/toy/config.json" > "$dir/wide/config.json"
says "or 2,048" "a talk may have 2048 tokens" sh -c "'$grpo' chat '$dir/wide' < /dev/null"
says "or as memory lets it" "a talk may have 126 tokens" talk "" --memory-budget 4M
long=$(printf '%300s' | tr ' ' 9)
says "a first question that is too long" \
    "that is 3[0-9]* tokens, more than --max-prompt-length 252: say something shorter$" talk "$long"
says "a later one" \
    "with that the talk has [0-9]* tokens, more than --max-prompt-length 90: it is left out" \
    talk "2+3=\n$(printf '%50s' | tr ' ' 9)\n4+4=\n" --max-prompt-length 90
talk "2+3=\n4+4=\n" --max-prompt-length 90 2>&1 | grep '^>' > "$dir/talk.txt"
grep '^>' "$dir/said" | grep -v 'grpo: with that' | cmp "$dir/talk.txt" -
check "and the talk before it is kept" $?
says "a line of 9,000 bytes is one turn" "^1$" sh -c "head -c 9000 /dev/zero | tr '\\0' 9 \
    | '$grpo' chat '$dir/toy' 2>&1 | grep -c 'that is 90[0-9]* tokens'"
says "there is a bound, which is told" "a line has at most 1048576 bytes: that one is left out" \
    sh -c "(head -c 3000000 /dev/zero | tr '\\0' 9; echo; echo 2+3=) | '$grpo' chat '$dir/toy'"
[ "$(grep -c '^>' "$dir/said")" -eq 3 ]
check "and the next one is answered" $?
if "$BUILD/on_terminal" 24 80 /bin/sh -c true | grep '^skipped'; then :; else
    tries=0                         # an answer takes some 10 ms: on a busy machine it may be over
    until { grep -qs 'ended by Ctrl-C' "$dir/talk.txt" \
            && grep -q "all as it should be" "$dir/talk.txt"; } || [ $((tries += 1)) -gt 30 ]; do
        timeout 60 "$BUILD/on_terminal" 24 80 -t hello "$grpo" chat "$dir/toy" --temperature 5 \
            --max-completion-length 128 --seed 14 > "$dir/talk.txt" 2>&1
    done
    check "Ctrl-C ends an answer, and at the prompt the talk, well" $((tries > 30))
fi

# ---- adapters name their model: absolute as it was written, relative to their folder or from here
follow() { # follow FOLDER: its model's answers, from another folder
    (cd "$dir/aside" && "$1" eval "$2" --data "$home/toy/train.jsonl" --reward match \
        --max-prompt-length 64 --max-completion-length 4)
}
home=$(cd "$dir" && pwd) program=$(cd "$(dirname "$grpo")" && pwd)/$(basename "$grpo")
accuracy=$("$grpo" eval "$dir/toy" --adapter "$dir/adapted" $task --max-prompt-length 64 \
    --max-completion-length 4 2> /dev/null | sed -n 's/.*: greedy/greedy/p')
says "adapters name their model, whole" "\"base_model_name_or_path\": \"$home/toy\"" \
    cat "$dir/adapted/adapter_config.json"
says "and are followed from anywhere" "adapted: $accuracy" follow "$program" "$home/adapted"
rename() { # rename FOLDER BASE: adapters that name this model
    rm -rf "$1"
    cp -r "$dir/adapted" "$1"
    sed "s|\"base_model_name_or_path\": \"[^\"]*\"|\"base_model_name_or_path\": $2|" \
        "$dir/adapted/adapter_config.json" > "$1/adapter_config.json"
}
rename "$dir/near" '"../toy"'
says "a name relative to their folder" "near: $accuracy" follow "$program" "$home/near"
rename "$dir/near" '"../none"'
says "a model that is not there" 'near is adapters of ../none, which is no model' follow \
    "$program" "$home/near"
rename "$dir/near" null
says "no name" "has no base_model_name_or_path" follow "$program" "$home/near"
says "chat with adapters" "adapted: adapters of" sh -c \
    "echo 2+3= | '$grpo' chat '$dir/adapted' --max-prompt-length 64 --max-completion-length 4"
"$grpo" train "$dir/adapted" $task --steps 2 --max-prompt-length 64 --max-completion-length 4 \
    --out "$dir/further" > "$dir/said" 2>&1
check "training begins with adapters" $?
says "and names their model" "\"base_model_name_or_path\": \"$home/toy\"" \
    cat "$dir/further/adapter_config.json"
says "another rank is told" "lora-rank is that of the adapters in .*adapted: 4" "$grpo" inspect \
    "$dir/adapted" --lora-rank 8
says "their folder is not written over" "adapted has a trained model" "$grpo" train \
    "$dir/adapted" $task --out "$dir/adapted"
"$grpo" train "$dir/further" $task --steps 3 --max-prompt-length 64 --max-completion-length 4 \
    --out "$dir/further" --resume > "$dir/said" 2>&1
check "resumed by their own name" $?
refuse() { # refuse NAME VALUE: an adapter's setting
    rename "$dir/strange" '"../toy"'
    sed "s|\"peft_type\"|\"$1\": $2, \"peft_type\"|" "$dir/strange/adapter_config.json" \
        > "$dir/strange/next" && mv "$dir/strange/next" "$dir/strange/adapter_config.json"
    says "an adapter's $1" "$3\"$1\".* \|$1" follow "$program" "$home/strange"
    grep -q "accuracy" "$dir/said"
    check "is refused" $((! $?))
}
refuse use_rslora true
refuse use_dora true
refuse alpha_pattern '{"q_proj": 3}'
refuse rank_pattern '{"q_proj": 3}'
refuse modules_to_save '["lm_head"]'
refuse layers_to_transform '[0]'
refuse fan_in_fan_out true
refuse a_setting_of_next_year 3

# ---- the characters of a toy model are in its config.json, where another process finds them
cp -r "$dir/toy" "$dir/letters"
rm -f "$dir/letters"/tokenizer*.json "$dir/letters/generation_config.json"
awk 'BEGIN { printf "0123456789+="; for (i = 0; i < 246; i++) printf "\\u%04x", 256 + i }' \
    > "$dir/characters"
sed "s|\"model_type\"|\"vocabulary\": \"$(sed 's/\\/&&/g' "$dir/characters")\", \"model_type\"|
    s|\"eos_token_id\": [0-9]*|\"eos_token_id\": 258|" "$dir/toy/config.json" \
    > "$dir/letters/config.json"
lettered() { # lettered COMMAND FOLDER ...
    "$grpo" "$@" $task --max-prompt-length 64 --max-completion-length 4
}
lettered train "$dir/letters" --steps 2 --out "$dir/lettered" > "$dir/said" 2>&1
check "a model of characters is trained" $?
[ ! -e "$dir/lettered/tokenizer.json" ] && grep -q '"vocabulary": "0123' "$dir/lettered/config.json"
check "its characters are written" $?
says "another process asks it" "greedy accuracy" lettered eval "$dir/lettered"
says "and goes on" "lettered has the model" lettered train "$dir/letters" --steps 3 --resume \
    --out "$dir/lettered"
says "a character that it has not" '" " is none of the characters' sh -c \
    "echo '2 3' | '$grpo' chat '$dir/lettered' --max-completion-length 4"

# ---- a train that is refused leaves no folder behind
gone() { # gone DESCRIPTION PATTERN OPTIONS...
    what=$1 pattern=$2
    shift 2
    says "$what" "$pattern" train "$dir/gone" "$@"
    [ ! -e "$dir/gone" ]
    check "$what: no folder is left" $?
}
gone "nothing to compare" "--num-generations is 1" --num-generations 1
gone "nothing at random" "--temperature is 0" --temperature 0
gone "no memory" "14.[0-9]*MB at the least\|MB at the least, but --memory-budget is 50" \
    --memory-budget 50k
gone "no questions" "cannot be read" --eval "$dir/nowhere.jsonl"
gone "no adapters" "aside is no folder of adapters" --adapter "$dir/aside"
says "nor takes one that was there" "is no folder of adapters" train "$dir/aside" --adapter "$dir/toy"
[ -d "$dir/aside" ]
check "a folder that was there stays" $?

# ---- memory, in sizes that people write
says "fastest and least" "at the fastest .*MB (--memory-budget .*M), at the least" "$grpo" \
    inspect "$dir/toy"
cp "$dir/said" "$dir/needs"
most=$(sed -n 's/.*at the fastest [0-9.]*MB (--memory-budget \([0-9.]*M\)).*/\1/p' "$dir/needs")
least=$(sed -n 's/.*at the least [0-9.]*MB (--memory-budget \([0-9.]*M\):.*/\1/p' "$dir/needs")
says "and what the machine has" "this machine has .*B, .*B of them free: enough" cat "$dir/needs"
says "the least is enough" "at the fastest ${most}B" "$grpo" inspect "$dir/toy" \
    --memory-budget "$least"
says "less is not" "${most}B of memory at the fastest, ${least}B at the least, but" "$grpo" \
    inspect "$dir/toy" --memory-budget "$(echo "$least" | awk '{ print $1 - 0.2 }')M"
says "and how to need less" "--num-generations 4 ([0-9.]*MB)" cat "$dir/needs"
says "a run says what it may take" "^this machine has .*, within which it stays" \
    cat "$dir/whole.txt"
for size in 500M 4G 4Gi 1.5GiB 2000000000 3e9 800000k; do
    says "a size of $size" "at the fastest" "$grpo" inspect "$dir/toy" --memory-budget $size
done
for size in 4X G -1 "" 1e30 nan; do
    says "no size: $size" "memory-budget needs a size such as 500M, 4G or 4Gi" "$grpo" \
        inspect "$dir/toy" --memory-budget "$size"
done
says "other sizes too" "verifier-memory needs a size" judge --verifier-memory some

# ---- help: of every command and program; what is required; no line too wide; what was meant
page() { # page PROGRAM PATTERN ARGUMENTS...: its help has the pattern and lines of 100 columns
    program=$1 pattern=$2
    shift 2
    "$BUILD/$program" "$@" > "$dir/page" 2> "$dir/said" < /dev/null
    check "$program $*: its status" $?
    [ ! -s "$dir/said" ] && [ -s "$dir/page" ] && ! grep -q '.\{101\}' "$dir/page"
    check "$program $*: lines of at most 100 columns" $?
    grep -q -- "$pattern" "$dir/page"
    check "$program $*: $pattern" $?
}
for command in train eval chat inspect plot; do
    page grpo "^Required" $command --help
    cp "$dir/page" "$dir/first"
    page grpo "^example: grpo $command" help $command
    cmp "$dir/page" "$dir/first"
    check "help $command is $command --help" $?
    [ "$(head -c 7 "$dir/page")" = "usage: " ]
    check "$command: usage comes first" $?
done
page grpo "--reward cmd:" help reward
page grpo "--objective WORDS" help objective
page grpo "a whole number from 1 to" help --num-generations
page grpo "\[k1 | k2 | k3 | abs | full\] (D_KL; default k3)" help kl
page grpo "what the machine has free" help memory_budget
page grpo "^  inspect" --help
page grpo "^  inspect" help
page grpo "what computes .cpu. " help backend
for option in $(sed -n 's/^  --\([a-z0-9-]*\).*/\1/p' "$dir/help" | sort -u); do
    "$grpo" help "--$option" > "$dir/page" 2>&1 && head -1 "$dir/page" | grep -q "^--$option" \
        && ! grep -q '.\{101\}' "$dir/page" && grep -q "an option of: .*train" "$dir/page"
    check "help $option" $?
done
for program in gguf2hf make_questions story_verifier drawings 00_from_scratch 01_hello 02_unrolled \
               03_arithmetic 04_your_own_model 05_patience 06_ladder 07_ppo_vs_grpo 08_code \
               09_rubric 10_luck bench league team cuda_model; do
    [ -x "$BUILD/$program" ] || continue
    page $program "^usage" --help
    timeout 20 "$BUILD/$program" --tpyo > "$dir/said" 2>&1 < /dev/null
    check "$program: an option that is none has status 2" $(($? != 2))
    grep -q -- "-steps N" "$dir/page" || continue
    says "$program: a number that is none" '--steps needs a whole number.* not "x"' timeout 20 \
        "$BUILD/$program" --steps x
done
bad() { # bad PATTERN ARGUMENTS...: not understood, with this sentence
    pattern=$1
    shift
    says "$*" "$pattern" "$grpo" "$@"
    "$grpo" "$@" > /dev/null 2>&1
    check "$*: status 2" $(($? != 2))
}
bad "did you mean train?" trian "$dir/toy"
bad "did you mean --steps?" train "$dir/toy" --stpes 3
bad "did you mean --max-prompt-length?" eval "$dir/toy" --max-prompt 3
bad "--steps needs a value: --steps N" train "$dir/toy" --steps
bad "--out needs a value: --out FOLDER; behind it stands --resume" train "$dir/toy" --out --resume
bad "it is an option of train, not of chat" chat "$dir/toy" --steps 3
bad "an option should stand there" chat "$dir/toy" steps 3
bad "did you mean zscore?" train "$dir/toy" --advantage zsocre
bad "did you mean dapo?" train "$dir/toy" --objective dapoo
bad "did you mean gsm8k?" train "$dir/toy" --reward gsm8
bad "of yours that judges is cmd:PROGRAM" train "$dir/toy" --reward "$dir/verify"
bad "^grpo: --processes is 3: it must be a power of two" inspect "$dir/toy" --processes 3
bad "^grpo: --processes needs a power of two" train "$dir/toy" --processes 3
some="$dir/toy --reward match --data $dir/toy/test.jsonl"
bad "^grpo: --lanes is 3: it must be a power of two" train $some --out "$dir/x" --lanes 3
bad "^grpo: there is no chat template \"foo\"" eval $some --template foo
bad "^grpo: a prompt format needs {question}" eval $some --prompt-format hello
bad "^grpo: --lora-targets are of q,k,v,o,gate" train $some --out "$dir/x" --lora-targets q,z
bad "^grpo: --backend: this program has cpu, not gpu; make cuda" train "$dir/toy" --backend gpu
bad "did you mean learning-rate?" help learnin-rate
bad "the log of a run is missing: grpo plot RUN" plot
says "nothing near" "has no such option; .grpo help train. lists" "$grpo" train "$dir/toy" --qqq 1
says "= is a blank" "on 2 questions" "$grpo" eval "$dir/toy" "--data=$dir/toy/test.jsonl" \
    --reward=match --limit=2 --max-prompt-length=64 --max-completion-length=4

# ---- GSM8K as with Qwen2.5, on a narrow random model that has its shape and tokenizer
gsm8k() { # gsm8k COMMAND MODEL OPTIONS...
    "$grpo" "$@" --reward gsm8k --max-completion-length 16 --eval-questions 8
}
learn() { # learn OUT OPTIONS...
    out=$1
    shift
    gsm8k train "$dir/narrow" --data "$GRPO_DATA/gsm8k/train.jsonl" --num-prompts 2 \
        --eval "$GRPO_DATA/gsm8k/test.jsonl" --num-generations 2 --out "$dir/$out" "$@"
}
if [ -f "$GRPO_DATA/gsm8k/train.jsonl" ] && [ -f "$GRPO_DATA/tokenizers/tokenizer.json" ]; then
    "$BUILD/toy_folder" "$dir/narrow" "$GRPO_DATA/tokenizers"
    check "a narrow Qwen2" $?
    says "it is one" "Qwen2ForCausalLM" "$grpo" inspect "$dir/narrow"
    says "all questions fit" "step 0 of 2, epoch 0.00 of 0.00, 7473 questions" learn narrow_two --steps 2
    says "GSM8K is asked" "on 8 questions" gsm8k eval "$dir/narrow_two" --eval-samples 2 \
        --data "$GRPO_DATA/gsm8k/test.jsonl"
    grep -q "gradients [0-9]*B, AdamW [0-9.]*kB, act" "$dir/said"
    check "asking takes no gradients" $?
    learn narrow_one --steps 1 > "$dir/one.txt" 2>&1
    says "one step, then another" "step 2/2" learn narrow_one --steps 2 --resume
    cmp "$dir/narrow_one/model.safetensors" "$dir/narrow_two/model.safetensors"
    check "come to the same bytes" $?
    says "and then there is no more" "has had its 2 steps" learn narrow_one --steps 2 --resume
    says "its log is drawn" "gsm8k.html" "$grpo" plot "$dir/narrow_one/log.jsonl" "$dir/gsm8k.html"
else
    echo "skipped: GSM8K; GRPO_DATA is to be a folder with gsm8k/train.jsonl, gsm8k/test.jsonl" \
        "and tokenizers/tokenizer.json (Qwen2's)"
fi

# ---- killed and resumed: of 20 kills, each after at most a tenth of what the whole run took
killed=0 tries=0
while [ $killed -lt "$kills" ] && [ $tries -lt $((4 * kills)) ]; do
    tries=$((tries + 1))
    lines=$(grep -c '"step"' "$dir/killed/log.jsonl" 2> /dev/null)
    [ "${lines:-0}" -gt 100 ] && rm -rf "$dir/killed"         # begin anew, or it would end by itself
    (in_place=exec; train "$dir/killed" --resume > "$dir/killed.txt" 2>&1) &
    pid=$!
    sleep "$(awk -v s=$tries -v t="$took" -v n="$kills" \
        'BEGIN { srand(s); rand(); print rand() * t * 2 / n / 1e3 }')"
    kill -9 $pid 2> /dev/null && killed=$((killed + 1))
    wait $pid 2> /dev/null
    [ -f "$dir/killed/model.safetensors" ] || continue
    "$grpo" eval "$dir/killed" $task --limit 1 --max-prompt-length 64 --max-completion-length 4 \
        > "$dir/said" 2>&1
    check "after kill $killed the folder can be read: $(tail -n 1 "$dir/said")" $?
done
echo "killed $killed times, a run of $took ms; it had come to" \
    "$(grep -c '"step"' "$dir/killed/log.jsonl") lines of the log"
check "$kills kills met a living run" $((killed < kills))
train "$dir/killed" --resume > "$dir/killed.txt" 2>&1
check "the last resumed run" $?
cmp "$dir/whole/model.safetensors" "$dir/killed/model.safetensors"
check "$kills kills change no bit of the weights" $?
cmp "$dir/whole/trainer_state.safetensors" "$dir/killed/trainer_state.safetensors"
check "nor of the trainer's state" $?
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
