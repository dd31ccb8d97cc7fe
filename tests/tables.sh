#!/bin/sh
# The tables of README.md and tests/bench/README.md are what their commands print. Of each command
# the quick part is run, a seed or its first steps: every row of it begins a row of
# tests/bench/README.md. And every row of README.md with an interval, with bytes or of a seed is a
# row there. Times are not compared. The drawings, which show these tables, are drawn anew.
: "${BUILD:=build}"
passed=0 failed=0
dir=$BUILD/tables
mkdir -p "$dir"
mask() { sed -e 's/ [0-9.][0-9.]* m*s |/ - |/g' "$@"; }
mask tests/bench/README.md > "$dir/bench.md"
# rows FILE NAME: how many of its rows begin a row of tests/bench/README.md; the others are printed
rows() {
    awk -v name="$2" 'NR == FNR { there[n++] = $0; next }
        { row = $0; sub(/ \|$/, " ", row); found = 0
          for (i = 0; i < n && !found; i++) found = index(there[i], row) == 1
          if (found) passed++
          else { failed++; print "a row of " name ", but not of tests/bench/README.md:\n    " $0 } }
        END { print passed + 0, failed + 0 }' "$dir/bench.md" "$1" > "$dir/found"
    set -- $(tail -n 1 "$dir/found")
    sed '$d' "$dir/found"
    [ "$1" -gt 0 ] || { echo "no row of $name"; set -- 0 1; }
    passed=$((passed + $1)) failed=$((failed + $2))
}
quick() { # quick PROGRAM ARGUMENTS
    name="$*"
    "$BUILD/$@" 2>&1 | grep '^| ' | mask > "$dir/rows"
    rows "$dir/rows" "$name"
}
drawings="models step ladder speed league"
for drawing in $drawings; do rm -f "$dir/$drawing.svg"; done
"$BUILD/drawings" tests/bench/README.md "$dir" || failed=$((failed + 1))
for drawing in $drawings; do
    if cmp "$dir/$drawing.svg" "examples/pictures/$drawing.svg"; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "examples/pictures/$drawing.svg is old: make drawings"; fi
done
quick cuda_model
quick team
grep -e ' +- ' -e ' MB |' -e '^| seed ' -e '^| [0-9]* | ' README.md | grep '^| ' \
    | mask > "$dir/rows"
name=README.md
rows "$dir/rows" README.md
if grep -q '^flags.* sse2' /proc/cpuinfo 2> /dev/null \
   && ! grep -q '^flags.* fma' /proc/cpuinfo; then
    echo "skipped: without fused multiply-add the last bits, and so the curves, are others"
else
    if getconf GNU_LIBC_VERSION > /dev/null 2>&1; then
        sh tests/bench/from_scratch.sh 1 | grep "^| " > "$dir/rows"
        rows "$dir/rows" "from_scratch.sh 1"
    else echo "skipped: the table of 00_from_scratch is that of glibc's exp and log"; fi
    quick 10_luck
    quick 03_arithmetic --seeds 1 --steps 50
    quick 03_arithmetic --presets deepseekmath --seeds 1
    quick 06_ladder --seeds 1 --steps 45
    quick 07_ppo_vs_grpo --seeds 1 --steps 20
    quick 08_code --seeds 1 --steps 25
    quick 09_rubric --seeds 1 --steps 25
    quick league --seeds 1 --only "trl"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
