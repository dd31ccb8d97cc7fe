#!/bin/sh
# Each barrier, wait and fence of grpo_cuda.cu is removed in turn, while it runs on the CPU's
# stand-in (tests/cuda_shim.h, GRPO_SHIM_REMOVE="line kind"); the tests must notice, each time: by a
# failed check, a race, a wait that never ends. Or it is named below, with the reason.
#
#   sh tests/cuda_barriers.sh [line ...]     build/test_cuda_shim and test_cuda_race first:
#                                            make cuda-barriers
# First the quick build, its threads in either order; then, of what that does not notice, the build
# that looks at every access (which must also find nothing in the kernels as they are). Only small
# cases (test_cuda --small), in the parts that reach the line. Lines are found anew at each run.
set -u
cd "$(dirname "$0")/.." || exit 1
began=$(date +%s)
build=${BUILD:-build}
dir=$build/barriers
file=grpo_cuda.cu
jobs=${JOBS:-}
test -n "$jobs" || jobs=$(nproc 2> /dev/null || echo 2)
rm -rf "$dir"
mkdir -p "$dir"

# Redundant: function|which of its calls with this text|the text|why. None may be noticed.
redundant() {
    cat << 'END'
grpo__attention_kernel|2|__syncthreads();|p is written after the next sums' barriers; y: by thread
END
}

# What is to run, tables and a part, the quickest first; and what with every access looked at.
plain() {
    cat << 'END'
bf16 flat
bf16 head
fp32 head
bf16 rows
fp32 rows
bf16 products
fp32 products
bf16 repeat
bf16 decode
hopper repeat
fp32 attention
bf16 attention
hopper products
bf16 training
END
}
race() {
    cat << 'END'
bf16 flat
fp32 products
bf16 head
bf16 products
bf16 rows
fp32 rows
fp32 head
bf16 repeat
fp32 attention
bf16 decode
hopper repeat
bf16 attention
bf16 training
END
}

# ---- one run: its output in a file named after it. 0: it passed. Ten times what it took unchanged,
# and at least ten seconds, is taken for a hang.
said='^shim:\|: not '               # how the stand-in, or a check, says what is wrong
name_of() { echo "$*" | tr ' ' '-'; }
once() { # once BUILD ORDER PART SITE: ORDER forward or reverse; SITE: line and kind, or none
    out=$dir/$(name_of "$@").txt
    seconds=$(cat "$dir/$(name_of "$1" "$3").limit" 2> /dev/null || echo 300)
    (
        export GRPO_SHIM_ORDER="$2"
        test "$4" = none || export GRPO_SHIM_REMOVE="$4"
        # shellcheck disable=SC2086
        timeout "$seconds" "./$build/test_cuda_$1" --small $3
        exit $?
    ) > "$out" 2>&1
    status=$?
    test $status != 124 || echo "shim: it does not end, in $seconds seconds" >> "$out"
    test $status = 0 || grep -q "$said" "$out" || echo "shim: it ends with $status" >> "$out"
    return $status
}
unchanged() { # unchanged BUILD PART: which lines it reaches, how long it takes; must pass
    begun=$(date +%s)
    export GRPO_SHIM_SITES="$dir/$(name_of "$1" "$2").sites"
    once "$1" forward "$2" none && { unset GRPO_SHIM_SITES; once "$1" reverse "$2" none; }
    status=$?
    unset GRPO_SHIM_SITES
    echo $((10 * ($(date +%s) - begun) + 10)) > "$dir/$(name_of "$1" "$2").limit"
    test $status = 0 && return
    echo "failed, with all barriers: $1, $2: $(grep -h -m 1 "$said" \
        "$dir/$(name_of "$1" forward "$2" none).txt" "$dir/$(name_of "$1" reverse "$2" none).txt" \
        2> /dev/null | head -n 1)" >> "$dir/broken"
}
share() { # share COMMAND ...: for each line of stdin, $jobs at once
    cat > "$dir/work"
    worker=0
    while [ $worker -lt "$jobs" ]; do
        awk -v jobs="$jobs" -v worker=$worker 'NR % jobs == worker' "$dir/work" \
            > "$dir/work-$worker"
        while read -r line; do "$@" "$line" < /dev/null; done < "$dir/work-$worker" &
        worker=$((worker + 1))
    done
    wait
}
whole() {
    test ! -e "$dir/broken" || { cat "$dir/broken"; exit 1; }
}

# ---- 1. the calls in the source: site (line and kind), function, which of its calls of this kind
# and text, text; and those that run
awk '
BEGIN {
    kind["__syncthreads"] = kind["__syncthreads_or"] = "barrier"
    kind["__syncwarp"] = "warp barrier"
    kind["__threadfence"] = "fence"
    kind["grpo__copy_fence"] = "copy group"
    kind["grpo__copy_wait"] = "copy wait"
    kind["grpo__wait_for_previous"] = "grid wait"
    kind["grpo__barrier_fence"] = "mbarrier fence"
    kind["grpo__barrier_expect"] = "mbarrier expect"
    kind["grpo__barrier_arrive"] = "mbarrier arrival"
    kind["grpo__barrier_wait"] = "mbarrier wait"
    kind["grpo__wgmma_fence"] = "wgmma fence"
    kind["grpo__wgmma_commit"] = "wgmma group"
    kind["grpo__wgmma_wait"] = "wgmma wait"
    kind["grpo__cluster_sync"] = "cluster barrier"
}
/^[a-z_]/ {                         # a definition begins, or goes on
    rest = $0
    while (match(rest, /grpo__[a-z_A-Z0-9]+\(/)) {
        name = substr(rest, RSTART, RLENGTH - 1)
        rest = substr(rest, RSTART + RLENGTH)
    }
}
/__forceinline__/ || /^#define/ || /^ \*/ { next }
{
    text = $0
    sub(/\/\*.*/, "", text)
    gsub(/^ +| +$/, "", text)
    for (rest = text; match(rest, /[a-z_]+(<[A-Z0-9]+>)?\(/); ) {
        call = substr(rest, RSTART, RLENGTH - 1)
        rest = substr(rest, RSTART + RLENGTH)
        sub(/<.*/, "", call)
        if (call in kind)
            print NR " " kind[call] "|" name "|" ++seen[name, kind[call], text] "|" text
    }
}' $file > "$dir/written"
plain | share unchanged shim
whole
cat "$dir"/shim-*.sites | sort -u | sort -n > "$dir/sites"

# ---- 2. each is removed, in each part that reaches it until one notices
place() { awk -F '|' -v site="$1" '$1 == site { print $2 ": " $4 }' "$dir/written"; }
try() { # try BUILD PARTS SITE
    mark=$dir/$(name_of noticed "$3")
    "$2" | while read -r part; do
        grep -q -x "$3" "$dir/shim-$(name_of "$part").sites" || continue
        for order in forward reverse; do
            once "$1" $order "$part" "$3" && continue
            echo "$3, $(place "$3"): $part, $1 $order: $(grep -m 1 "$said" \
                "$dir/$(name_of "$1" $order "$part" "$3").txt" | cut -c 1-150)" \
                > "$mark"
            break 2
        done
    done
}
if [ $# -gt 0 ]; then
    for line in "$@"; do grep "^$line " "$dir/sites"; done > "$dir/asked"
else cp "$dir/sites" "$dir/asked"; fi
share try shim plain < "$dir/asked"

# ---- 3. the rest, with every access looked at
noticed() { test -e "$dir/$(name_of noticed "$1")"; }
while read -r site; do noticed "$site" || echo "$site"; done < "$dir/asked" > "$dir/rest"
race | share unchanged race
whole
share try race race < "$dir/rest"

# ---- 4. what came of it
touch "$dir/named" "$dir/unnoticed"
while read -r site; do
    known=$(redundant | while IFS='|' read -r name which text why; do
        grep -q -x -F "$site|$name|$which|$text" "$dir/written" && echo "$why"; done)
    if noticed "$site"; then
        test -z "$known" || echo "$site, $(place "$site"): named redundant, and noticed" \
            >> "$dir/unnoticed"
    elif [ -n "$known" ]; then echo "$site, $(place "$site"): redundant: $known" >> "$dir/named"
    else echo "$site, $(place "$site"): UNNOTICED" >> "$dir/unnoticed"; fi
done < "$dir/asked"
while IFS='|' read -r site name which text; do
    grep -q -x "$site" "$dir/sites" || echo "$site, $name: $text: NO TEST REACHES IT"
done < "$dir/written" >> "$dir/unnoticed"
redundant | while IFS='|' read -r name which text why; do
    grep -q -F "|$name|$which|$text" "$dir/written" \
        || echo "$name: $text: named redundant, and not there"
done >> "$dir/unnoticed"
cat "$dir"/noticed-* 2> /dev/null | sort -n > "$dir/noticed"
cat "$dir/noticed" "$dir/named" "$dir/unnoticed"
echo "$(wc -l < "$dir/asked") removed: $(wc -l < "$dir/noticed") noticed," \
    "$(wc -l < "$dir/named") named redundant, $(wc -l < "$dir/unnoticed") unnoticed;" \
    "$(($(date +%s) - began)) seconds"
test ! -s "$dir/unnoticed"
