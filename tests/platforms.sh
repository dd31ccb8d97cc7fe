#!/bin/sh
# The header and its tests on other machines and systems, as far as their compilers and emulators
# are here: aarch64 (its vector unit), 32-bit ARM, s390x (bytes the other way around) and RISC-V
# under qemu; Windows under wine; WebAssembly under node, on a stack of 64 KB; tcc; musl. A line for
# each: what passed and failed, and how long it took; what is not here is skipped by name.
# platforms.sh [NAME ...]; --install first gets what Debian has.
: "${BUILD:=build}"
mkdir -p "$BUILD/platforms"
dir=$(cd "$BUILD/platforms" && pwd)
all="aarch64 armhf s390x riscv64 windows webassembly tcc musl"
if [ "$1" = --install ]; then
    shift
    for package in qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf \
                   libc6-dev-armhf-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross \
                   gcc-riscv64-linux-gnu libc6-dev-riscv64-cross gcc-mingw-w64-x86-64 wine wine64 \
                   emscripten tcc musl-tools; do
        dpkg -s $package > /dev/null 2>&1 || missing="$missing $package"
    done
    # one after the other: what cannot be had is no reason to miss the rest
    [ -z "$missing" ] || apt-get update -qq
    for package in $missing; do
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $package
    done > "$dir/install.txt" 2>&1
fi
warn="-std=c99 -Wall -Wextra -Wpedantic -Wshadow -Werror"
printf '#define GRPO_IMPLEMENTATION\n#include "grpo.h"\n' > "$dir/header.c"

# Of one platform, in a shell of its own: counts in passed and failed, sentences in its log.
add() { # add PASSED FAILED
    passed=$((passed + $1)) failed=$((failed + $2))
}
try() { # try COMMAND...: it succeeds
    if "$@" > "$dir/$name/said" 2>&1; then add 1 0
    else add 0 1; echo "failed: $*"; tail -n 20 "$dir/$name/said"; fi
}
count() { # count COMMAND...: a test; its own counts, from its last line
    (cd "$dir/$name" && "$@") > "$dir/$name/said" 2>&1
    status=$?
    last=$(tail -n 1 "$dir/$name/said" | tr -d '\r')
    p=$(expr "$last" : '\([0-9]*\) passed, [0-9]* failed')
    f=$(expr "$last" : '[0-9]* passed, \([0-9]*\) failed')
    [ -n "$p" ] && { [ "$status" -eq 0 ] || [ "$f" -ne 0 ]; } || { p=0 f=1; }
    add "$p" "$f"
    [ "$f" -eq 0 ] || { echo "failed: $*, status $status"; tail -n 20 "$dir/$name/said"; }
}
needs() { # needs COMMAND...
    for c in "$@"; do
        command -v "$c" > /dev/null || { echo "skipped: $name: $c is not installed"; exit 0; }
    done
}
emulated() { # emulated COMPILER QEMU TEST...
    gcc=$1 qemu=$2
    shift 2
    needs "$gcc" "$qemu"
    for t in "$@"; do
        try "$gcc" $warn -O1 -DCHECK_QUICK -static -I. tests/$t.c -o "$dir/$name/$t" -lm
        count "$qemu" "./$t"
    done
}
platform() {
    case $name in
    aarch64)
        needs aarch64-linux-gnu-gcc
        for o in -O2 -O3; do
            try aarch64-linux-gnu-gcc $warn $o -I. -c "$dir/header.c" -o "$dir/$name/header.o"
        done
        emulated aarch64-linux-gnu-gcc qemu-aarch64 test_maths test_exact ;;
    armhf) emulated arm-linux-gnueabihf-gcc qemu-arm test_maths ;;
    s390x) emulated s390x-linux-gnu-gcc qemu-s390x test_maths test_files ;;
    riscv64) emulated riscv64-linux-gnu-gcc qemu-riscv64 test_maths ;;
    windows)
        needs x86_64-w64-mingw32-gcc wine
        export WINEDEBUG=-all WINEPREFIX="$dir/$name/wine"
        for t in test_maths test_files; do
            try x86_64-w64-mingw32-gcc $warn -O1 -DCHECK_QUICK -I. tests/$t.c \
                -o "$dir/$name/$t.exe" -lm
            count wine ./$t.exe
        done
        for e in examples/*.c examples/tool/*.c tests/toy_folder.c; do
            try x86_64-w64-mingw32-gcc $warn -O1 -I. "$e" \
                -o "$dir/$name/$(basename "$e" .c).exe" -lm
        done
        try wine "$dir/$name/01_hello.exe"
        # A name that no Windows code page of ours has: the tool and the library go by UTF-8.
        cd "$dir/$name" || return
        rm -rf toy-*
        toy="toy-Ωж" task="--max-prompt-length 64 --max-completion-length 4 --reward match"
        try wine ./toy_folder.exe "$toy"
        try wine ./grpo.exe train "$toy" --data "$toy/train.jsonl" --out "$toy-better" --steps 2 \
            --num-prompts 2 --num-generations 4 $task
        for file in model.safetensors tokenizer.json log.jsonl; do
            try test -s "$toy-better/$file"
        done
        try wine ./grpo.exe train "$toy" --data "$toy/train.jsonl" --out "$toy-better" --steps 3 \
            --num-prompts 2 --num-generations 4 $task --resume
        try wine ./grpo.exe plot "$toy-better/log.jsonl" "$toy-better/curves.svg"
        try test -s "$toy-better/curves.svg" ;;
    webassembly)
        needs emcc node
        for t in tests/test_maths examples/01_hello; do
            try emcc -std=c99 -O1 -sSINGLE_FILE=1 -sALLOW_MEMORY_GROWTH=1 \
                -sTOTAL_STACK=65536 -I. $t.c -o "$dir/$name/$(basename $t).js" -lm
        done
        count node ./test_maths.js
        try node "$dir/$name/01_hello.js" ;;
    tcc)
        needs tcc
        try tcc -std=c99 -Wall -I. tests/test_maths.c -o "$dir/$name/test_maths" -lm
        count ./test_maths
        try tcc -std=c99 -Wall -I. examples/01_hello.c -o "$dir/$name/hello" -lm
        try "$dir/$name/hello" ;;
    musl)
        needs musl-gcc
        for t in test_maths test_exact; do
            try musl-gcc $warn -O1 -static -I. tests/$t.c -o "$dir/$name/$t" -lm
            count ./$t
        done ;;
    *) echo "there is no platform $name"; add 0 1 ;;
    esac
}
one() { # one NAME: its log, and its line
    name=$1
    rm -rf "${dir:?}/$name"
    mkdir -p "$dir/$name"
    {
        passed=0 failed=0 start=$(date +%s)
        platform
        echo "$name: $passed passed, $failed failed, $(($(date +%s) - start)) s"
    } > "$dir/$name.txt" 2>&1
}

# Two at a time, by turns: every second name each.
names=${*:-$all}
( i=0; for n in $names; do i=$((i + 1)); [ $((i % 2)) -eq 1 ] || (one "$n"); done ) &
i=0
for n in $names; do i=$((i + 1)); [ $((i % 2)) -eq 0 ] || (one "$n"); done
wait
passed=0 failed=0
for n in $names; do
    cat "$dir/$n.txt"
    last=$(tail -n 1 "$dir/$n.txt")
    p=$(expr "$last" : '.*: \([0-9]*\) passed, [0-9]* failed')
    f=$(expr "$last" : '.*: [0-9]* passed, \([0-9]*\) failed')
    case $last in skipped*) continue ;; esac
    add "${p:-0}" "${f:-1}"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
