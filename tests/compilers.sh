#!/bin/sh
# The header and every example, by each compiler that is there, in each standard, with warnings as
# errors; and the smaller builds: no threads, no vector instructions, 32 bits, position in C++. JOBS
# of them at once, as many as there are cores.
: "${BUILD:=build}"
cores() { nproc || getconf _NPROCESSORS_ONLN || echo 2; }
: "${JOBS:=$(cores 2> /dev/null)}"
rm -rf "$BUILD/compilers"
mkdir -p "$BUILD/compilers"
dir=$(cd "$BUILD/compilers" && pwd)
warn="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
printf '#define GRPO_IMPLEMENTATION\n#include "grpo.h"\n' > "$dir/header.c"
cp "$dir/header.c" "$dir/header.cc"
count=0
line() { # line COMMAND...: one more to be tried; its output is "$dir/N"
    count=$((count + 1))
    echo "$*" > "$dir/$count.sh"
}
try() { # try COMMAND...: it compiles, to an object
    line "$* -o $dir/$((count + 1)).o"
}
try_running() { # try_running COMMAND...: it compiles, to a program that succeeds, in its own folder
    mkdir "$dir/$((count + 1))"
    line "$* -o $dir/$((count + 1))/program -lm && cd $dir/$((count + 1)) && ./program"
}
for c in gcc clang; do
    command -v $c > /dev/null || { echo "skipped: no $c"; continue; }
    for std in c99 gnu99 c11; do
        for o in -O0 -O3; do try $c -std=$std $o $warn -I. -c "$dir/header.c"; done
        for e in examples/*.c examples/tool/*.c; do try $c -std=$std -O0 $warn -I. -c "$e"; done
    done
    for macro in GRPO_NO_THREADS GRPO_NO_SIMD GRPO_STATIC; do
        try $c -std=c99 -O2 $warn -D$macro -I. -c "$dir/header.c"
    done
    try $c -std=c99 -O3 -march=native $warn -I. -c "$dir/header.c"
    # What the stack is asked for: 8 KB by a function of the header, 32 KB by one of the examples.
    # (Without optimisation a vector in registers would count as one in memory.)
    try $c -std=c99 -O2 $warn -Wframe-larger-than=8192 -I. -c "$dir/header.c"
    for e in 03_arithmetic 09_rubric tool/grpo tool/gguf2hf tool/story_verifier; do
        try $c -std=c99 -O2 $warn -Wframe-larger-than=32768 -I. -c examples/$e.c
    done
    # Debian's gcc-multilib, which links the system's own headers in, excludes cross compilers; they
    # are found without it too.
    m32="-m32 -idirafter /usr/include/x86_64-linux-gnu"
    if echo '#include <errno.h>
             int main(void){return 0;}' | $c $m32 -x c - -o "$dir/m32" 2> /dev/null; then
        try $c $m32 -std=c99 -O2 $warn -I. -c "$dir/header.c"
        try_running $c $m32 -msse2 -mfpmath=sse -std=c99 -O2 $warn -I. tests/test_exact.c
        # x87 holds floats with more digits: nothing relies on the bits of the maths. gcc rounds
        # where C says so, at assignments; clang does not, and has no float of 24 bits there.
        [ $c = clang ] || try_running $c $m32 -mfpmath=387 -std=c99 -O1 -I. tests/test_maths.c
    else echo "skipped: $c -m32 has no libraries here"; fi
done
for c in g++ clang++; do
    command -v $c > /dev/null || { echo "skipped: no $c"; continue; }
    for std in c++11 c++20; do
        try $c -std=$std -O2 $warn -I. -c "$dir/header.cc"
        for e in examples/*.c examples/tool/*.c; do
            try $c -x c++ -std=$std -O0 $warn -I. -c "$e"
        done
    done
done
# Windows: its compiler where it is there; and anywhere, the words that its headers take away.
try cc -std=c99 $warn -Dnear= -Dfar= -I. -c "$dir/header.c"
if command -v x86_64-w64-mingw32-gcc > /dev/null; then
    try x86_64-w64-mingw32-gcc -std=c99 -O2 $warn -I. -c "$dir/header.c"
else echo "skipped: no x86_64-w64-mingw32-gcc"; fi
# The same bits without threads, with another compiler and with -march=native: one test each.
for build in "gcc -O2 -DGRPO_NO_THREADS" "clang -O2" "gcc -O3 -march=native" \
             "gcc -O2 -DGRPO_NO_SIMD"; do
    set -- $build
    command -v "$1" > /dev/null || continue
    try_running $build -std=c99 -I. tests/test_exact.c
done

# A line tells of each that fails, with its first words.
i=0
while [ $i -lt $count ]; do echo $((i += 1)); done | xargs -P "$JOBS" -n 1 sh -c '
    if sh "$0/$1.sh" > "$0/$1.log" 2>&1; then echo > "$0/$1.passed"
    else echo "failed: $(cat "$0/$1.sh")"; head -n 5 "$0/$1.log"; fi
    rm -rf "$0/$1" "$0/$1.o"' "$dir"
passed=$(find "$dir" -name '*.passed' | wc -l)
failed=$((count - passed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
