#!/bin/sh
# The programs printed in grpo.h and README.md are what they say: extract, build, run; no warnings.
: "${CC:=cc}" "${BUILD:=build}"
passed=0 failed=0
dir=$BUILD/programs
mkdir -p "$dir"
# From the header's comment: behind "A WHOLE PROGRAM", from its first line to its closing brace.
sed -n '/A WHOLE PROGRAM/,/ \*   It prints/p' grpo.h | sed -n '/#define GRPO_IMPLEMENTATION/,$p' \
    | grep -v 'It prints' | sed -e 's/^ \*   //' -e 's/^ \*$//' > "$dir/header.c"
# From the README: its first C block.
sed -n '/^```c$/,/^```$/p' README.md | sed -e '/^```$/q' | grep -v '^```' > "$dir/readme.c"
# And what they print, as it is printed behind them.
sed -n '/^ \*   It prints$/,/^ \* WHAT/p' grpo.h | sed -n 's/^ \*       //p' > "$dir/header.txt"
sed -n '/main.c -o main/,$p' README.md | sed -n '/^```$/,/^```$/p' \
    | awk '/^```/ { if (n++) exit; next } { print }' > "$dir/readme.txt"
for program in header readme; do
    if $CC -std=c99 -O2 -Wall -Wextra -Wpedantic -Werror -I. "$dir/$program.c" \
           -o "$dir/$program" -lm \
       && "$dir/$program" > "$dir/$program.out" \
       && grep -q '^solved at step' "$dir/$program.out" \
       && diff "$dir/$program.txt" "$dir/$program.out"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "the program in $program does not do what is printed beside it:"
        tail -n 3 "$dir/$program.out"
    fi
done
diff -B "$dir/header.c" "$dir/readme.c" > /dev/null && passed=$((passed + 1)) || {
    failed=$((failed + 1)); echo "README.md and grpo.h print different programs"; }
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
