#!/bin/sh
# How many single changes of the algorithm does no test notice?
#
#   sh tests/mutants.sh [COUNT [FIRST [CHAPTERS]]]      (300 0 sampling,advantage,loss,optimize)
#
# COUNT changes, evenly spaced over all that tests/mutate.c can make, the FIRST being that of the
# first. Each is tested, the quick tests first, until one notices; survivors are listed. With tcc
# at hand, which compiles in no time, half an hour; JOBS at once.
: "${CC:=cc}" "${BUILD:=build}" "${JOBS:=2}"
count=${1:-300} first=${2:-0} chapters=${3:-sampling,advantage,loss,optimize}
quick="maths failures rewards objectives derivatives misuse"
slow="filters exact variants ppo"
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
        (cd "$1" && timeout 30 "./$name") > "$1/log" 2>&1 < /dev/null || { echo "$name"; return; }
    done
}
one() { # one NUMBER COMPILER TESTS: prints its fate
    at=$dir/$1
    rm -rf "$at"; mkdir -p "$at"
    "$dir/mutate" grpo.h "$chapters" "$1" > "$at/grpo.h"
    name=$(notice "$at" "$2" "$3")
    case $name in
    "") echo "$1 survived" ;;
    -)  echo "$1 does not compile" ;;
    *)  echo "$1 noticed by $name" ;;
    esac
    rm -rf "$at"
}
all_of() { # all_of COMPILER TESTS < numbers > fates
    sort -n > "$dir/numbers"
    for job in $(seq "$JOBS"); do
        awk "NR % $JOBS == $job % $JOBS" "$dir/numbers" | while read -r number; do
            one "$number" "$1" "$2"
        done > "$dir/fate.$job" &
    done
    wait
    cat "$dir"/fate.*
}

rm -f "$dir"/fate.*
i=0
while [ $i -lt "$count" ]; do echo $((i * all / count + first)); i=$((i + 1)); done \
    | all_of "$(command -v tcc || echo "$CC -O0")" "$quick" > "$dir/fates"
grep survived "$dir/fates" | cut -d' ' -f1 | all_of "$CC -O1" "$slow" > "$dir/fates.slow"
grep -v survived "$dir/fates" | cat - "$dir/fates.slow" | sort -n > "$dir/all"
grep survived "$dir/all" | while read -r number rest; do grep "^$number	" "$dir/list"; done
awk '{ n[$2]++ } END { printf "%d changes: %d noticed, %d do not compile, %d survived\n", \
    NR, n["noticed"], n["does"], n["survived"] }' "$dir/all"
