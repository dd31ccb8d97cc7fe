#!/bin/sh
# Each barrier, wait and fence of grpo_cuda.cu is removed in turn, while it runs on the CPU's
# stand-in (tests/cuda_shim.h, GRPO_SHIM_REMOVE=line); the tests must notice, each time: by a failed
# check, a race, a wait that never ends. Or it is named below, with the reason.
#
#   sh tests/cuda_barriers.sh [line ...]     build/test_cuda_shim and test_cuda_race first:
#                                            make cuda-barriers
# First the quick build, its threads in either order; then, of what that does not notice, the build
# that looks at every access. Only small cases (test_cuda --small), in the parts that reach the line.
# Lines are found anew at each run.
set -u
cd "$(dirname "$0")/.."
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
grpo__attention_kernel|2|__syncthreads();|p is written again after the next block's sums, which have barriers; y is a thread's own
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
END
}

# ---- one run: its output in a file named after it. 0: it passed. Ten times what it took unchanged,
# and at least ten seconds, is taken for a hang.
name_of() { echo "$*" | tr ' ' '-'; }
once() { # once BUILD ORDER PART LINE: ORDER forward or reverse; LINE or none
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
    echo "failed, with all barriers: $1, $2: $(grep -h -m 1 -e '^shim:' -e ': not ' \
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

# ---- 1. the calls in the source: line, function, which of its calls with this text, text; and those
# that run
calls='(__syncthreads|__syncthreads_or|__syncwarp|__threadfence|grpo__copy_fence|grpo__copy_wait|'
calls=$calls'grpo__wait_for_previous|grpo__barrier_(fence|expect|arrive|wait)|'
calls=$calls'grpo__wgmma_(fence|commit|wait)|grpo__cluster_sync)(<[A-Z0-9]+>)?\(.*'
awk -v calls="$calls" '
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
    if (!match(text, calls)) next
    text = substr(text, RSTART)
    sub(/ +$/, "", text)
    print NR "|" name "|" ++seen[name, text] "|" text
}' $file > "$dir/written"
plain | share unchanged shim
whole
cat "$dir"/shim-*.sites | sort -n -u > "$dir/sites"

# ---- 2. each is removed, in each part that reaches it until one notices
place() { awk -F '|' -v line="$1" '$1 == line { print $2 ": " $4 }' "$dir/written"; }
try() { # try BUILD PARTS LINE
    "$2" | while read -r part; do
        grep -q "^$3 " "$dir/shim-$(name_of "$part").sites" || continue
        for order in forward reverse; do
            once "$1" $order "$part" "$3" && continue
            echo "$3 $(place "$3"): $part, $1 $order: $(grep -m 1 -e '^shim:' -e ': not ' \
                "$dir/$(name_of "$1" $order "$part" "$3").txt" | cut -c 1-150)" \
                > "$dir/noticed-$3"
            break 2
        done
    done
}
sed 's/ .*//' "$dir/sites" > "$dir/lines"
if [ $# -gt 0 ]; then
    for line in "$@"; do grep -x "$line" "$dir/lines"; done > "$dir/asked"
else cp "$dir/lines" "$dir/asked"; fi
share try shim plain < "$dir/asked"

# ---- 3. the rest, with every access looked at
while read -r line; do test -e "$dir/noticed-$line" || echo "$line"; done < "$dir/asked" > "$dir/rest"
race | while read -r part; do
    while read -r line; do grep "^$line " "$dir/shim-$(name_of "$part").sites"; done < "$dir/rest" \
        | grep -q . && echo "$part"
done > "$dir/parts"
share unchanged race < "$dir/parts"
whole
share try race race < "$dir/rest"

# ---- 4. what came of it
touch "$dir/named" "$dir/unnoticed"
while read -r line; do
    known=$(redundant | while IFS='|' read -r name which text why; do
        grep -q -x -F "$line|$name|$which|$text" "$dir/written" && echo "$why"; done)
    if [ -e "$dir/noticed-$line" ]; then
        test -z "$known" || echo "$line $(place "$line"): named redundant, and noticed" \
            >> "$dir/unnoticed"
    elif [ -n "$known" ]; then echo "$line $(place "$line"): redundant: $known" >> "$dir/named"
    else echo "$line $(place "$line"): UNNOTICED" >> "$dir/unnoticed"; fi
done < "$dir/asked"
while IFS='|' read -r line name which text; do
    grep -q -x "$line" "$dir/lines" || echo "$line $name: $text: NO TEST REACHES IT"
done < "$dir/written" >> "$dir/unnoticed"
redundant | while IFS='|' read -r name which text why; do
    grep -q -F "|$name|$which|$text" "$dir/written" \
        || echo "$name: $text: named redundant, and not there"
done >> "$dir/unnoticed"
cat "$dir"/noticed-* 2> /dev/null | sort -n > "$dir/noticed"
cat "$dir/noticed" "$dir/named" "$dir/unnoticed"
echo "$(wc -l < "$dir/asked") removed: $(wc -l < "$dir/noticed") noticed," \
    "$(wc -l < "$dir/named") named redundant, $(wc -l < "$dir/unnoticed") unnoticed"
test ! -s "$dir/unnoticed"
