#!/bin/sh
# How many single changes of the algorithm does no test notice?
#
#   sh tests/mutants.sh [COUNT [FIRST [CHAPTERS]]]      (300 0 sampling,advantage,loss,adamw)
#
# COUNT changes, evenly spaced over all that tests/mutate.c can make, the FIRST being that of the
# first. Each is tested, the quick tests first, until one notices; survivors are listed. With tcc
# at hand, which compiles in no time, half an hour; JOBS at once.
: "${CC:=cc}" "${BUILD:=build}" "${JOBS:=2}"
count=${1:-300} first=${2:-0} chapters=${3:-sampling,advantage,loss,adamw}
quick="maths failures rewards objectives double"
slow="filters exact ppo lora learning"
dir=$BUILD/mutants
mkdir -p "$dir"
$CC -O2 -std=c99 tests/mutate.c -o "$dir/mutate" || exit 2
"$dir/mutate" grpo.h "$chapters" list > "$dir/list"
all=$(wc -l < "$dir/list")

# The first test that notices; "" if none does. A change that does not compile is not one.
notice() { # notice FOLDER COMPILER TESTS
    for name in $3; do
        $2 -w -std=c99 -DCHECK_QUICK -I"$1" -I. "tests/test_$name.c" -o "$1/$name" -lm \
            > "$1/log" 2>&1 || { echo "-"; return; }
        (cd "$1" && timeout 120 "./$name") > "$1/log" 2>&1 || { echo "$name"; return; }
    done
}
one() { # one NUMBER: prints its fate
    at=$dir/$1
    rm -rf "$at"; mkdir -p "$at"
    "$dir/mutate" grpo.h "$chapters" "$1" > "$at/grpo.h"
    name=$(notice "$at" "$(command -v tcc || echo "$CC -O0")" "$quick")
    [ -n "$name" ] || name=$(notice "$at" "$CC -O1" "$slow")
    case $name in
    "") echo "$1 survived" ;;
    -)  echo "$1 does not compile" ;;
    *)  echo "$1 noticed by $name" ;;
    esac
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
