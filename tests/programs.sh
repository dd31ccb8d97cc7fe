#!/bin/sh
# The programs printed in grpo.h and README.md are what they say: extract, build, run;
# the two are one program; no warnings.
: "${CC:=cc}" "${BUILD:=build}"
passed=0 failed=0
dir=$BUILD/programs
rm -rf "$dir"
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
check() { # check DESCRIPTION STATUS: 0 is good
    if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "$1"; fi
}
diff -B "$dir/header.c" "$dir/readme.c"
check "README.md and grpo.h print different programs" $?
$CC -std=c99 -O1 -Wall -Wextra -Wpedantic -Werror -I. "$dir/header.c" -o "$dir/header" -lm \
    && "$dir/header" > "$dir/out"
for text in header readme; do
    grep -q '^solved at step' "$dir/out" && diff "$dir/$text.txt" "$dir/out"
    check "it does not print what $text has beside it" $?
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
