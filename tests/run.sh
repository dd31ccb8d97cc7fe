#!/bin/sh
# What `make test` runs.
#   run.sh one NAME     the program NAME, in a folder of its own, or tests/NAME.sh; prints a line
#   run.sh sum NAME...  what those that failed have said, and the sum of all checks
# Each test ends with a line "N passed, N failed"; one that does not has crashed: that is a failure.
: "${BUILD:=build}"
BUILD=$(cd "$BUILD" && pwd)
GRPO_HEADER=$(pwd)/grpo.h            # some text to read, wherever BUILD is
export BUILD GRPO_HEADER
mode=$1
shift
if [ "$mode" = one ]; then
    name=$1 at=$BUILD/run/$1
    rm -rf "$at"
    mkdir -p "$at"
    if [ -f "tests/$name.sh" ]; then sh "tests/$name.sh" > "$at/log" 2>&1 < /dev/null
    else                             # the program lies there too: test_verifier starts itself
        cp "$BUILD/$name" "$at/" && (cd "$at" && "./$name") > "$at/log" 2>&1 < /dev/null
    fi
    status=$?
    last=$(tail -n 1 "$at/log")
    p=$(expr "$last" : '\([0-9]*\) passed, [0-9]* failed')
    f=$(expr "$last" : '[0-9]* passed, \([0-9]*\) failed')
    if [ -z "$p" ] || { [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; }; then
        p=0 f=1
        echo "it ended with status $status and without its closing line" >> "$at/log"
    fi
    grep -h '^skipped' "$at/log" | sed "s/^/$name: /"
    echo "$name: $p passed, $f failed" | tee "$at/result"
    exit 0
fi
passed=0 failed=0
for name in "$@"; do
    at=$BUILD/run/$name
    result=$(tail -n 1 "$at/result" 2> /dev/null)
    p=$(expr "$result" : '.*: \([0-9]*\) passed, [0-9]* failed')
    f=$(expr "$result" : '.*: [0-9]* passed, \([0-9]*\) failed')
    if [ -z "$p" ]; then
        p=0 f=1
        echo "$name: what it needs has not been built"
    elif [ "$f" -ne 0 ]; then
        echo "$name:"
        sed 's/^/    /' "$at/log"
    fi
    passed=$((passed + p)) failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
