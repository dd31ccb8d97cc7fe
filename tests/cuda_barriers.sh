#!/bin/sh
# Each barrier, wait and fence of grpo_cuda.cu is removed in turn, while it runs on the CPU's
# stand-in (tests/cuda_shim.h, GRPO_SHIM_REMOVE=line); the tests must notice, each time: by a race,
# a wrong result, a wait that never ends. Or it is named below, with the reason.
#
#   sh tests/cuda_barriers.sh [line ...]     build/test_cuda_race first: make cuda-barriers
set -u
cd "$(dirname "$0")/.."
test=./${BUILD:-build}/test_cuda_race
dir=${BUILD:-build}/barriers
file=grpo_cuda.cu
jobs=${JOBS:-$(nproc 2> /dev/null || echo 2)}
rm -rf "$dir"
mkdir -p "$dir"

# Redundant: a piece of the source line's text | why. None of them may be noticed.
redundant() {
    cat << 'END'
END
}

# What is to run, the quickest first: tables and a part.
parts() {
    cat << 'END'
bf16 rows
fp32 rows
bf16 flat
bf16 tiles
hopper tiles
bf16 sums
bf16 decode
fp32 products
bf16 attention
bf16 training
bf16 head
fp32 head
fp32 decode
fp32 attention
fp32 training
hopper training
END
}

# 1. Where are sites, and which does each part reach? Lines are written as they are first reached:
# a part that takes longer than LIMIT seconds is good for what it reached till then.
limit=${LIMIT:-120}
calls='(__syncthreads|__syncthreads_or|__syncwarp|__threadfence|grpo__copy_fence|grpo__copy_wait|grpo__wait_for_previous|grpo__barrier_(fence|expect|arrive|wait)|grpo__wgmma_(fence|commit|wait)|grpo__cluster_sync)(<[A-Z0-9]+>)?\('
grep -n -E "$calls" $file | grep -v -E '__forceinline__|#define|^[0-9]+: \*|\\$|/\* .*\(\)' \
    | sed -E 's/:.*//' | sort -n > "$dir/written"
one() { # one LINE|all PART WORDS: its own files; 0: noticed
    name=$(echo "$1 $2" | tr ' ' '-')
    if [ "$1" = all ]; then GRPO_SHIM_SITES="$dir/$name"; export GRPO_SHIM_SITES
    else GRPO_SHIM_REMOVE=$1; export GRPO_SHIM_REMOVE; fi
    timeout "$limit" "$test" $2 > "$dir/$name.txt" 2>&1
    status=$?
    unset GRPO_SHIM_SITES GRPO_SHIM_REMOVE
    test $status = 0 || test $status = 124
}
each() { # each FUNCTION: of lines from stdin, $jobs at once
    running=0
    while read -r line; do
        "$1" "$line" < /dev/null &
        running=$((running + 1))
        if [ $running -ge "$jobs" ]; then wait; running=0; fi
    done
    wait
}
reach() {
    one all "$1" && return
    echo "failed, with all barriers: $1"; tail -n 3 "$dir/all-$(echo "$1" | tr ' ' '-').txt"
    echo "$1" >> "$dir/broken"
}
parts | each reach
test ! -e "$dir/broken" || exit 1
cat "$dir"/all-* 2> /dev/null | grep -E '^[0-9]+ [a-z ]+$' | sort -n -u > "$dir/sites"

# 2. Each site is removed, in each part that reaches it until one notices.
remove() {
    line=${1%% *}
    kind=${1#* }
    text=$(sed -n "${line}p" $file)
    known=$(redundant | while IFS='|' read -r piece why; do
        case $text in *"$piece"*) echo "$why"; break;; esac; done)
    parts | while read -r part; do
        grep -q "^$line " "$dir/all-$(echo "$part" | tr ' ' '-')" 2> /dev/null || continue
        if ! one "$line" "$part"; then
            echo "$line $kind: $part: $(grep -m 1 -e '^shim:' -e FAIL \
                "$dir/$line-$(echo "$part" | tr ' ' '-').txt" | cut -c 1-110)" > "$dir/noticed-$line"
            break
        fi
    done
    if [ -e "$dir/noticed-$line" ]; then
        test -z "$known" || echo "$line $kind is named redundant, and was noticed" \
            >> "$dir/unnoticed"
    elif [ -n "$known" ]; then echo "$line $kind: $known" >> "$dir/named"
    else echo "$line $kind: $text" >> "$dir/unnoticed"; fi
}
for line in "$@"; do grep "^$line " "$dir/sites"; done > "$dir/asked"
test $# -gt 0 || cp "$dir/sites" "$dir/asked"
each remove < "$dir/asked"
touch "$dir/named" "$dir/unnoticed"
for line in $(cat "$dir/written"); do
    grep -q "^$line " "$dir/sites" \
        || echo "$line is reached by no test: $(sed -n "${line}p" $file)" >> "$dir/unnoticed"
done
cat "$dir"/noticed-* 2> /dev/null | sort -n > "$dir/noticed"
cat "$dir/named" "$dir/unnoticed"
echo "$(wc -l < "$dir/asked") removed: $(wc -l < "$dir/noticed") noticed," \
    "$(wc -l < "$dir/named") named redundant, $(wc -l < "$dir/unnoticed") unnoticed"
test ! -s "$dir/unnoticed"
