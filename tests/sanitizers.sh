#!/bin/sh
# The tests under AddressSanitizer, UndefinedBehaviorSanitizer, ThreadSanitizer and
# MemorySanitizer, and valgrind. JOBS of them at once, as many as there are cores.
: "${BUILD:=build}" "${SAN_CC:=gcc}"
cores() { nproc || getconf _NPROCESSORS_ONLN || echo 2; }
: "${JOBS:=$(cores 2> /dev/null)}"
rm -rf "$BUILD/sanitizers"
mkdir -p "$BUILD/sanitizers"
dir=$(cd "$BUILD/sanitizers" && pwd)
count=0
# under NAME RUN COMPILE...: tests/NAME.c so compiled, then run (RUN: "" or a program that runs it)
# in a folder of its own
under() {
    name=$1 run=$2 at=$dir/$((count += 1))
    shift 2
    mkdir "$at"
    echo "$* -std=c99 -g -I. tests/$name.c -o $at/$name -lm && cd $at && $run ./$name" > "$at/sh"
}
for t in test_maths test_rewards test_exact test_files test_backend test_failures test_ppo \
         test_variants test_interpreter test_tokenizer test_gguf test_questions test_chat \
         test_jinja test_report test_lora test_misuse test_reference test_verifier test_team; do
    under $t "" "$SAN_CC" -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
done
for t in test_exact test_verifier; do under $t "" "$SAN_CC" -O1 -fsanitize=thread; done
# clang's MemorySanitizer; at -O0 it sees each step by itself, and padding lanes as what they are
if echo 'int main(void){return 0;}' | clang -fsanitize=memory -x c - -o "$dir/memory" 2> /dev/null
then
    for t in test_maths test_reference; do
        under $t "" clang -O1 -DCHECK_QUICK -fsanitize=memory
    done
    under test_exact "" clang -O0 -DCHECK_QUICK -fsanitize=memory
else echo "skipped: no MemorySanitizer"; fi
if command -v valgrind > /dev/null; then
    for t in test_failures test_files test_verifier; do
        under $t "valgrind -q --leak-check=full --error-exitcode=9" "$SAN_CC" -O1 -DCHECK_QUICK
    done
else echo "skipped: no valgrind"; fi

# A line tells of each that fails, with its last words.
i=0
while [ $i -lt $count ]; do echo $((i += 1)); done | xargs -P "$JOBS" -n 1 sh -c '
    if sh "$0/$1/sh" > "$0/$1/log" 2>&1 < /dev/null; then echo > "$0/$1/passed"
    else echo "failed: $(cat "$0/$1/sh")"; tail -n 20 "$0/$1/log"; fi' "$dir"
passed=$(find "$dir" -name passed | wc -l)
failed=$((count - passed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
