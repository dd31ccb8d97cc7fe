#!/bin/sh
# How many single changes of the algorithm does no test notice?
#
#   sh tests/mutants.sh [COUNT [FIRST [CHAPTERS]]]      (300 0 sampling,advantage,loss,adamw)
#
# COUNT changes, evenly spaced over all that tests/mutate.c can make, beginning with the FIRST of a
# space. Each is built and tested until a test notices; survivors are tried once more with
# sanitizers, then listed. Minutes to hours; JOBS at once.
: "${CC:=cc}" "${BUILD:=build}" "${JOBS:=2}"
count=${1:-300} first=${2:-0} chapters=${3:-sampling,advantage,loss,adamw}
tests="maths objectives filters exact ppo rewards learning double lora"
dir=$BUILD/mutants
mkdir -p "$dir"
$CC -O2 -std=c99 tests/mutate.c -o "$dir/mutate" || exit 2
"$dir/mutate" grpo.h "$chapters" list > "$dir/list"
all=$(wc -l < "$dir/list")

one() { # one NUMBER: prints its fate
    at=$dir/$1
    rm -rf "$at"; mkdir -p "$at"
    "$dir/mutate" grpo.h "$chapters" "$1" > "$at/grpo.h"
    for flags in "-O0" "-O1 -fsanitize=address,undefined -fno-sanitize-recover"; do
        for name in $tests; do
            [ -f "tests/test_$name.c" ] || continue
            if ! $CC $flags -w -std=c99 -I"$at" -I. "tests/test_$name.c" -o "$at/$name" -lm \
                > "$at/log" 2>&1; then echo "$1 does not compile"; rm -rf "$at"; return; fi
            if ! (cd "$at" && timeout 120 "./$name") > "$at/log" 2>&1; then
                echo "$1 noticed by $name"; rm -rf "$at"; return
            fi
        done
    done
    echo "$1 survived"
    rm -rf "$at"
}

rm -f "$dir"/fate.*
for job in $(seq "$JOBS"); do
    ( i=$job
      while [ "$i" -le "$count" ]; do
          one $(( (i - 1) * all / count + first )) >> "$dir/fate.$job"
          i=$((i + JOBS))
      done ) &
done
wait
cat "$dir"/fate.* | sort -n > "$dir/fates"
grep survived "$dir/fates" | while read -r number rest; do
    grep "^$number	" "$dir/list"
done
awk '{ n[$2]++ } END { printf "%d changes: %d noticed, %d do not compile, %d survived\n", \
    NR, n["noticed"], n["does"], n["survived"] }' "$dir/fates"
