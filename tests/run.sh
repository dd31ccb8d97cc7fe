#!/bin/sh
# Run the test programs, then the programs and the tables printed in grpo.h, README.md and
# tests/bench/README.md; add up their checks.
# Each test ends with a line "N passed, N failed"; one that does not has crashed: that is a failure.
passed=0 failed=0
log=$BUILD/test.log
GRPO_HEADER=$(pwd)/grpo.h            # some text to read, wherever BUILD is
export GRPO_HEADER
for name in "$@" programs.sh symbols.sh command.sh tables.sh; do
    case $name in
    *.sh) sh "tests/$name" > "$log" 2>&1 ;;
    *)    (cd "$BUILD" && "./$name") > "$log" 2>&1 ;;
    esac
    status=$?
    last=$(tail -n 1 "$log")
    p=$(expr "$last" : '\([0-9]*\) passed, [0-9]* failed')
    f=$(expr "$last" : '[0-9]* passed, \([0-9]*\) failed')
    if [ -z "$p" ] || { [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; }; then
        p=0 f=1
        echo "$name ended with status $status and without its closing line:"
    fi
    if [ "$f" -ne 0 ]; then sed 's/^/    /' "$log"; fi
    grep -h '^skipped' "$log" | sed "s/^/$name: /"
    echo "$name: $p passed, $f failed"
    passed=$((passed + p)) failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
