#!/bin/sh
# The tests under AddressSanitizer, UndefinedBehaviorSanitizer, ThreadSanitizer and
# MemorySanitizer, and valgrind.
passed=0 failed=0
dir=${BUILD:-build}/sanitizers
mkdir -p "$dir"; dir=$(cd "$dir" && pwd)
try() {
    if "$@" > "$dir/log" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "failed: $*"; tail -n 20 "$dir/log"; fi
}
here=$(pwd)
build() { # build NAME FLAGS: tests/NAME.c -> $dir/NAME
    name=$1; shift
    try ${SAN_CC:-gcc} -std=c99 -g -O1 -I. "$@" "tests/$name.c" -o "$dir/$name" -lm
}
for t in test_maths test_rewards test_exact test_files test_backend test_failures test_ppo \
         test_interpreter test_tokenizer test_gguf test_questions test_chat test_report test_lora \
         test_misuse test_reference test_verifier; do
    build $t -fsanitize=address,undefined -fno-sanitize-recover=all
    cd "$dir" && try "./$t"; cd "$here" || exit 1
done
for t in test_exact test_verifier; do
    build $t -fsanitize=thread
    cd "$dir" && try "./$t"; cd "$here" || exit 1
done
# clang's MemorySanitizer; -O0, where it sees each step by itself, and padding lanes as what they are
if echo 'int main(void){return 0;}' | clang -fsanitize=memory -x c - -o "$dir/memory" 2> /dev/null
then
    for t in test_maths test_exact test_reference; do
        o=-O1
        [ $t = test_exact ] && o=-O0
        try clang -std=c99 -g $o -DCHECK_QUICK -fsanitize=memory -I. tests/$t.c -o "$dir/$t" -lm
        cd "$dir" && try "./$t"; cd "$here" || exit 1
    done
else echo "skipped: no MemorySanitizer"; fi
if command -v valgrind > /dev/null; then
    for t in test_failures test_files test_verifier; do
        build $t -DCHECK_QUICK
        cd "$dir" && try valgrind -q --leak-check=full --error-exitcode=9 "./$t"
        cd "$here" || exit 1
    done
else echo "skipped: no valgrind"; fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
