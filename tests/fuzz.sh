#!/bin/sh
# Each fuzzer alone, for some seconds, under AddressSanitizer and UndefinedBehaviorSanitizer; with
# another seed each time, printed if anything breaks. fuzz.sh [SECONDS [SEED]]       (10 seconds)
: "${CC:=cc}" "${BUILD:=build}"
mkdir -p "$BUILD/fuzz"
dir=$(cd "$BUILD/fuzz" && pwd)
TMPDIR=$dir
export TMPDIR
passed=0 failed=0
for source in tests/fuzz_*.c; do
    name=$(basename "$source" .c)
    if $CC -std=c99 -g -O1 -DFUZZ_STANDALONE -fsanitize=address,undefined \
           -fno-sanitize-recover=all -Wall -Wextra -Wpedantic -Werror -I. "$source" \
           -o "$dir/$name" -lm > "$dir/log" 2>&1 \
       && "$dir/$name" "${1:-10}" ${2:+"$2"} > "$dir/log" 2>&1; then
        passed=$((passed + 1))
        echo "$name: $(tail -n 1 "$dir/log")"
    else
        failed=$((failed + 1))
        echo "failed: $name"
        sed 's/^/    /' "$dir/log" | head -n 40
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
