#!/bin/sh
# The first thing to run on a card, make cuda-first: builds for it, proves, then measures, in at
# most 8 minutes. summary.txt says on a page what was expected and what came out, summary.tsv says
# it to programs.
#
#   cuda_first.sh [--limit SECONDS] [--out FOLDER] [--only "PART ..."]    FOLDER: $OUT, or
#                                      build/cuda-first
#   cuda_first.sh --stand-in [...]     the same on the CPU: `make cuda-shim`'s programs, tiny parts
#   cuda_first.sh --rehearse           does all this work? With parts that fail and hang, without
#                                      nvidia-smi, with too little time, killed in the middle
#   cuda_first.sh --summary --out F    F/summary.txt once more
#
# The parts come in order of what they are worth, each with a limit of its own; one that fails or
# hangs stops no other. The summary is written after each, so that it is there if all is killed.
# The status is 0 if nothing failed or ran out of time; what was skipped is said. Names in
# CUDA_FIRST_FAIL and CUDA_FIRST_HANG: parts that are to fail and to hang, for the rehearsal.
cd "$(dirname "$0")/.." || exit 2
mode=card limit=480 out=${OUT:-build/cuda-first} only=
while [ $# -gt 0 ]; do
    case $1 in
        --limit) limit=$2; shift ;;
        --out) out=$2; shift ;;
        --only) only=$2; shift ;;
        --stand-in) mode=stand-in ;;
        --rehearse | --curve | --summary) mode=${1#--} ;;
        *) sed -n '2,19s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
    shift
done

now() { date +%s; }

# ---- the card, by nvidia-smi or by the driver itself
ask_driver() { # prints "name, driver, MiB, MiB, capability" as nvidia-smi would
    cat > "$out/driver.c" << 'END'
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    void *cuda = dlopen("libcuda.so.1", RTLD_NOW), *f;
    int (*init)(unsigned), (*name)(char *, int, int), (*number)(int *, int, int), (*version)(int *);
    int (*memory)(size_t *, int);
    char text[256] = "";
    int major = 0, minor = 0, v = 0;
    size_t bytes = 0;
#define GET(p, symbol) if (!(f = dlsym(cuda, symbol))) return 1; memcpy(&p, &f, sizeof f)
    if (!cuda) return 1;
    GET(init, "cuInit"); GET(name, "cuDeviceGetName"); GET(number, "cuDeviceGetAttribute");
    GET(version, "cuDriverGetVersion"); GET(memory, "cuDeviceTotalMem_v2");
    if (init(0) || name(text, 256, 0) || number(&major, 75, 0) || number(&minor, 76, 0)) return 1;
    version(&v);
    memory(&bytes, 0);
    printf("%s, CUDA %d.%d, %lu, %lu, %d.%d\n", text, v / 1000, v % 1000 / 10,
           (unsigned long)(bytes >> 20), (unsigned long)(bytes >> 20), major, minor);
    return 0;
}
END
    ${CC:-cc} "$out/driver.c" -o "$out/driver" -ldl && timeout 20 "$out/driver"
    status=$?
    rm -f "$out/driver" "$out/driver.c"
    return $status
}

find_card() { # sets card, driver, memory, free, capability, arch
    line=$(timeout 20 nvidia-smi --format=csv,noheader,nounits -i 0 \
           --query-gpu=name,driver_version,memory.total,memory.free,compute_cap 2> /dev/null) ||
    line=$(ask_driver 2> /dev/null) || return 1
    IFS=, read -r card driver memory free capability << END
$(echo "$line" | sed 's/, */,/g')
END
    case $capability in
        9.0) arch=sm_90a ;;
        [0-9]*.[0-9]) arch=sm_$(echo "$capability" | tr -d .) ;;
        *) arch=native ;;
    esac
}

version_of() { # version_of PACKAGE: of python3's
    timeout 20 python3 -c "import importlib.metadata as m; print(m.version('$1'))" 2> /dev/null ||
        echo none
}

describe() { # what the summary begins with
    nvcc_version=$("${nvcc:-nvcc}" --version 2> /dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p')
    {
        echo "date	$(date '+%Y-%m-%d %H:%M')"
        echo "commit	$(git log -1 --format=%h 2> /dev/null || echo unknown)$(
            git diff --quiet HEAD 2> /dev/null || echo ', changed')"
        echo "card	$card"
        echo "capability	$capability, built for $arch"
        echo "memory	$memory MiB, $free free"
        echo "driver	$driver"
        echo "host	$(getconf _NPROCESSORS_ONLN) cores, nvcc ${nvcc_version:-none}, $(
            ${CC:-cc} --version 2> /dev/null | head -1 | cut -c 1-40)"
        echo "python	torch $(version_of torch), transformers $(version_of transformers)"
        echo "limit	$limit"
    } > "$out/info"
}

# ---- a part
listed() { case " $2 " in *" $1 "*) true ;; *) false ;; esac; }

# part NAME LIMIT RESERVE PROGRAM ARGUMENT...: its words go to NAME.log, its state, seconds and a
# note to NAME.part. RESERVE seconds are kept for the parts that follow.
part() {
    name=$1 seconds=$2 left=$((end - $(now) - $3)) begin=$(now)
    shift 3
    [ "$only" ] && ! listed "$name" "$only" && [ "$name" != build ] && return
    [ "$left" -lt "$seconds" ] && seconds=$left
    listed "$name" "$CUDA_FIRST_FAIL" && set -- sh -c 'echo "made to fail"; exit 3'
    listed "$name" "$CUDA_FIRST_HANG" &&
        set -- sh -c 'trap "" TERM; while :; do sleep 1; done' && seconds=3
    if [ "$seconds" -lt 2 ]; then result skipped "no time left"; return; fi
    if ! command -v "$1" > /dev/null; then result skipped "no $1 here"; return; fi
    timeout -k 2 "$seconds" "$@" > "$out/$name.log" 2>&1 < /dev/null
    status=$?
    if [ $status = 124 ] || { [ $status = 137 ] && [ $(($(now) - begin)) -ge "$seconds" ]; }; then
        result "timed out" "after $seconds s: $(tail -n 1 "$out/$name.log")"
    elif [ $status != 0 ]; then result failed "status $status: $(tail -n 1 "$out/$name.log")"
    elif head -n 1 "$out/$name.log" | grep -q '^skipped'; then       # these alone may be missing
        listed "$name" "torch expected" && state=skipped || state=failed
        result $state "$(sed -n '1s/^skipped: *//p' "$out/$name.log")"
    elif [ -f "$out/measured_$name.tsv" ]; then
        result passed "$(wc -l < "$out/measured_$name.tsv") numbers"
    else result passed "$(grep -v '^ *$' "$out/$name.log" | tail -n 1)"
    fi
}
result() { # result STATE NOTE, of the part `name`
    echo "$1	$(($(now) - begin))	$(echo "$2" | tr '\t' ' ' | sed 's/  */ /g')" > "$out/$name.new"
    mv "$out/$name.new" "$out/$name.part"
    [ "$at_once" ] || summary
}
parts="build expected test_quick test same curve racecheck synccheck initcheck memcheck product \
attention rows step decode torch"

# ---- a training run: the same seed on the CPU and by each table of the card
run_on_cpu() { # beside the build, for it needs no card
    { make -s BUILD="$build" "$build/03_arithmetic" &&
      timeout 200 "$build/03_arithmetic" --seed 1 $steps --log "$out/curve_cpu.jsonl"; } \
        > "$out/curve_cpu.txt" 2>&1 < /dev/null
    touch "$out/curve_cpu.done"
}

curve() {
    tables="cuda_fp32 cuda"
    [ "$arch" = sm_90a ] && tables="$tables hopper"
    [ "$standing_in" ] && tables=cuda_fp32
    # the stand-in trains by the program of the CPU's run, which that run builds
    while [ "$standing_in" ] && [ ! -f "$out/curve_cpu.done" ]; do sleep 1; done
    for table in $tables; do
        rm -f "$out/curve_$table.jsonl"
        backend=$table
        [ "$standing_in" ] && backend=cpu
        $trainer --backend $backend --seed 1 $steps --log "$out/curve_$table.jsonl" \
            > "$out/curve_$table.txt" 2>&1 &
    done
    wait
    [ -f "$out/curve_cpu.done" ] || echo "waits for the run of the CPU"
    while [ ! -f "$out/curve_cpu.done" ]; do sleep 1; done
    printf '%-9s %8s %11s %11s %11s %9s %6s\n' table warm-up 'loss of 1' 'worst of 5' \
        'reward 1-10' accuracy steps
    bad=0
    for table in cpu $tables; do
        # Limits. fp32: the same training with other rounding (plain C, libm's exp) has the same
        # warm-up, losses of the first five steps within 6e-6 and of the first twelve within 1.3e-3:
        # now and then another token is drawn. bf16: other seeds have a warm-up of 60 to 75 steps
        # and rewards of 0.06 to 0.095. All end at 0.95 or above.
        awk -v name="$table" -v limited="$steps" -v file="$out/curve_$table.jsonl" \
            -v said="$out/curve_$table.txt" -v cpu="$out/curve_cpu.jsonl" \
            -v cpu_said="$out/curve_cpu.txt" '
            function field(line, key) {
                sub(".*\"" key "\":", "", line)
                return line + 0
            }
            function warm_up(path,  line, n) {
                while ((getline line < path) > 0)
                    if (line ~ /supervised steps/) { sub(/.*After /, "", line); n = line + 0 }
                close(path)
                return n
            }
            BEGIN {
                while ((getline line < cpu) > 0) {
                    loss[++n] = field(line, "loss")
                    reward[n] = field(line, "reward")
                }
                close(cpu)
                while ((getline line < file) > 0) {
                    k++
                    if (k == 1) first = field(line, "loss")
                    d = field(line, "loss") - loss[k]
                    if (d < 0) d = -d
                    if (k <= 5 && d > worst) worst = d
                    if (k <= 10) { mine += field(line, "reward") / 10; theirs += reward[k] / 10 }
                }
                while ((getline line < said) > 0) {
                    if (line != "") last = line
                    if (line ~ /^seed /) { split(line, w, / -> |, /); accuracy = w[2] + 0 }
                }
                close(said)
                mine_up = warm_up(said); theirs_up = warm_up(cpu_said)
                why = ""
                if (k < 10 || !accuracy) why = "no whole run: " last
                else if (name == "cpu") why = ""
                else if (name == "cuda_fp32" && (worst > 1e-3 || mine_up != theirs_up))
                    why = "not the curve of the CPU"
                else if (mine_up > 1.5 * theirs_up || mine_up < theirs_up / 1.5)
                    why = "another warm-up than that of the CPU"
                else if (mine - theirs > 0.04 || theirs - mine > 0.04)
                    why = "other rewards than those of the CPU"
                if (!why && !limited && accuracy < 0.95) why = "not learned"
                printf "%-9s %8d %11.5f %11.2g %11.4f %9.3f %6d%s\n", name, mine_up, first, worst,
                       mine, accuracy, k, why ? "  FAILED: " why : ""
                exit why != ""
            }' || bad=1
    done
    return $bad
}

# ---- the summary
summary() {
    [ -f "$out/info" ] || return
    cat "$out"/measured_*.tsv > "$out/measured.tsv" 2> /dev/null
    touch "$out/expected.tsv"
    for name_of in $parts; do
        [ -f "$out/$name_of.part" ] && sed "s/^/$name_of	/" "$out/$name_of.part"
    done > "$out/parts"
    awk -v out="$out" -v taken=$(($(now) - start)) -v all="$parts" -v tsv="$out/summary.new.tsv" \
        -v now_clock="$(clocks)" -f tests/cuda_first.awk > "$out/summary.new" &&
    mv "$out/summary.new" "$out/summary.txt" && mv "$out/summary.new.tsv" "$out/summary.tsv"
}
clocks() { # while it was measured: least, middle and most MHz of the multiprocessors
    [ -s "$out/clocks.csv" ] && sort -n "$out/clocks.csv" | awk -F ', *' '
        $5 + 0 >= 50 {
            mhz[++n] = $1
            memory = $2
            if ($3 + 0 > watts) watts = $3 + 0
            if ($4 + 0 > hot) hot = $4 + 0
        }
        END { if (n) printf "%d to %d MHz (middle %d), memory %d MHz, up to %d W, %d C", mhz[1],
                            mhz[n], mhz[int((n + 1) / 2)], memory, watts, hot }'
}

watch=
cpu_run=
finish() { # TERM, INT: what has been done is told
    for process in $watch $cpu_run; do kill "$process" 2> /dev/null; done
    summary
    exit 1
}

everything() {
    mkdir -p "$out" || exit 2
    at_once=
    rm -f "$out"/*.part "$out"/*.log "$out"/*.tsv "$out"/*.txt "$out"/*.csv "$out"/curve_*
    start=$(now) end=$(($(now) + limit))
    trap finish INT TERM
    if [ "$standing_in" ] || ! find_card; then
        card="none: a rehearsal on the CPU, no number means anything" driver=none memory=0 free=0
        capability=none arch=none
    fi
    if [ ! "$standing_in" ] && [ $arch = none ]; then
        echo "cuda-first: neither nvidia-smi nor the driver finds a card: nothing was run"
        exit 1
    fi
    build=build/cuda-first-$arch jobs=$(getconf _NPROCESSORS_ONLN)
    test=$build/cuda/test_cuda bench=$build/cuda/cuda trainer=$build/cuda/03_arithmetic
    model= quick= test_parts= steps= python_quick=
    if [ "$standing_in" ]; then
        build=${BUILD:-build}
        test=$build/test_cuda_shim bench=$build/cuda_bench_shim trainer=$build/03_arithmetic
        model=H200 quick=--quick test_parts=flat steps="--steps 10" python_quick="--cpu --quick"
    fi
    nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2> /dev/null)
    [ "$nvcc" ] && PATH=$PATH:$(dirname "$nvcc")
    describe
    export arch out trainer steps standing_in
    summary
    if [ -z "$only" ] || listed curve "$only"; then run_on_cpu & cpu_run=$!; fi
    if [ "$standing_in" ]; then part build 300 0 make -s "$test" "$bench"
    else part build 150 240 make -k -j"$jobs" BUILD="$build" CUDA_ARCH="$arch" "$test" "$bench" \
             "$trainer"
    fi
    part expected 20 0 sh -c "make -s BUILD='$build' '$build/cuda_model' || exit 1
        '$build/cuda_model' --tsv '$out/expected.tsv' --card '${model:-$card}' 2> /dev/null
        status=\$?
        [ \$status = 2 ] && { echo 'skipped: there is no model of this card'; exit 0; }
        head -n 1 '$out/expected.tsv'
        exit \$status"
    most=$(echo "$free" | awk '{ if ($1 > 0) print "--memory " int(0.9 * $1) }')
    measured() { echo "$out/measured_$1.tsv"; }
    part test_quick 40 0 "$test" --quick $test_parts
    part test 75 200 "$test" $test_parts
    part same 60 160 "$bench" $quick $most --tsv "$(measured same)" same
    part curve 75 150 sh tests/cuda_first.sh --out "$out" --curve
    at_once=yes checks=
    for tool in racecheck synccheck initcheck memcheck; do    # together: nobody takes their time
        part $tool 75 130 compute-sanitizer --tool $tool --error-exitcode 1 "$test" --quick \
            ${test_parts:-products tiles rows sums attention decode flat head training} &
        checks="$checks $!"
    done
    wait $checks
    at_once=
    summary
    what=clocks.sm,clocks.mem,power.draw,temperature.gpu,utilization.gpu
    timeout "$limit" nvidia-smi --format=csv,noheader,nounits -i 0 -l 1 --query-gpu=$what \
        > "$out/clocks.csv" 2> /dev/null &
    watch=$!
    part product 60 75 "$bench" $quick --tsv "$(measured product)" product
    part attention 20 60 "$bench" $quick --tsv "$(measured attention)" attention
    part rows 20 50 "$bench" $quick --tsv "$(measured rows)" rows
    part step 90 25 "$bench" $quick $most --tsv "$(measured step)" step
    part decode 60 10 "$bench" $quick $most --tsv "$(measured decode)" decode
    part torch 200 0 python3 tests/bench/torch_cuda.py $python_quick --tsv "$(measured torch)"
    kill $watch 2> /dev/null
    summary
    cat "$out/summary.txt"
    ! grep -q -e '	failed	' -e '	timed out	' "$out/parts"
}

# ---- the rehearsal
passed=0 failed=0
check() { # check DESCRIPTION COMMAND...
    what=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $what"; fi
}
has() { grep -q -e "$2" "$1"; }
tab=$(printf '\t')

rehearse() {
    rehearsal=$out/rehearsal
    rm -rf "$rehearsal"
    mkdir -p "$rehearsal/bin" "$rehearsal/told"
    printf '#!/bin/sh\n%s\n' '[ $2 = racecheck ] && { echo "ERROR SUMMARY: 1 error"; exit $4; }
shift 4; exec "$@"' > "$rehearsal/bin/compute-sanitizer"
    printf '#!/bin/sh\n%s\n' 'echo "NVIDIA H200, 580.1, 143771, 143000, 9.0"' \
        > "$rehearsal/bin/nvidia-smi"
    chmod +x "$rehearsal/bin/compute-sanitizer" "$rehearsal/bin/nvidia-smi"
    me="sh tests/cuda_first.sh --stand-in --out"

    at=$rehearsal/faults             # parts that fail and hang: all others are as ever
    PATH=$rehearsal/bin:$PATH CUDA_FIRST_FAIL=rows CUDA_FIRST_HANG=attention $me "$at" \
        > /dev/null 2>&1
    check "a part that failed: the status" [ $? = 1 ]
    check "a part that is made to fail" has "$at/summary.txt" "^rows  *failed .* 3: made to fail"
    check "a part that hangs" has "$at/summary.txt" "^attention  *timed out  *[3-6]  after 3 s"
    check "a tool that finds errors" has "$at/summary.txt" "^racecheck  *failed .* 1 error"
    for name in build expected test_quick test same curve memcheck product step decode; do
        check "$name" has "$at/parts" "^$name${tab}passed"
    done
    check "PyTorch, or a word of it" has "$at/parts" "^torch${tab}\\(passed\\|skipped\\)"
    check "equal bits" has "$at/summary.txt" "cuda bf16 .* 32 of 32 are equal"
    check "a training run beside the CPU's" has "$at/summary.txt" "cuda_fp32 .*  10$"
    check "every number for programs" \
        has "$at/summary.tsv" "^number${tab}step${tab}tiny update${tab}s"
    check "no line above 100 columns" [ "$(awk 'length > 100' "$at/summary.txt" | wc -l)" = 0 ]

    from=$at at=$rehearsal/curve     # another curve than the CPU's
    mkdir "$at"
    cp "$from"/curve_cpu.* "$at"
    cat > "$at/trainer" << END
while [ "\$1" != --log ]; do shift; done
sed 's/"loss":-/"loss":/' "$at/curve_cpu.jsonl" > "\$2"
cat "$at/curve_cpu.txt"
END
    trainer="sh $at/trainer" steps="--steps 10" standing_in=yes sh tests/cuda_first.sh --curve \
        --out "$at" > "$at/curve.log"
    check "another curve: the status" [ $? = 1 ]
    check "another curve" has "$at/curve.log" "^cuda_fp32 .* FAILED: not the curve of the CPU"

    card_of() { (PATH=$1:$PATH; find_card && echo "$card, $arch, $driver, $free"); }
    check "a card" [ "$(card_of "$rehearsal/bin")" = "NVIDIA H200, sm_90a, 580.1, 143000" ]

    at=$rehearsal/time               # too little time
    $me "$at" --limit 1 --only "test product" > /dev/null 2>&1
    check "no time: what is skipped" has "$at/summary.txt" "^product  *skipped .* no time left"

    at=$rehearsal/killed             # killed in the middle, by a signal that nobody can catch
    CUDA_FIRST_HANG=test $me "$at" --only test > /dev/null 2>&1 &
    for second in 1 2 3 4 5 6 7 8 9 10; do [ -f "$at/build.part" ] || sleep 1; done
    sleep 1
    kill -9 $!
    check "killed: what was done is told" has "$at/summary.txt" "^build  *passed"
    check "killed: what was not" has "$at/summary.txt" "^test  *not begun"

    at=$rehearsal/told               # known numbers
    tell() { printf '%s\t%s\t%s\t%s\n' "$@"; }
    tell card "NVIDIA H200" '' '' > "$at/info"
    for kind in y dx dw; do
        for shape in 8192x1152x896 8192x896x896 8192x9728x896 8192x896x4864 2048x151936x896 \
                     8192x6144x1024; do
            tell product "$shape $kind" TFLOP/s 350
            tell product.cublas "$shape $kind" TFLOP/s 700
        done
        tell product.hopper "8192x9728x896 $kind" TFLOP/s 600
    done > "$at/measured_a.tsv"
    { tell rows copy GB/s 4000; tell rows AdamW GB/s 3600; tell decode "0.5B batch 1" ms 0.5
      tell decode "0.5B batch 1" GB/s 1000; tell step "0.6B rollout" s 2
      tell step "0.5B rollout" s 0.5; tell step.torch "0.5B rollout" s 4; } > "$at/measured_b.tsv"
    { tell "# card H200" '' '' ''; tell product "8192x9728x896 y" TFLOP/s 400
      tell product "8192x9728x896 dx" TFLOP/s 400; tell product "8192x9728x896 dw" TFLOP/s 200
      tell decode "0.5B batch 1" ms 0.25; tell rows copy GB/s 5000; } > "$at/expected.tsv"
    sh tests/cuda_first.sh --summary --out "$at" > /dev/null
    while read -r line; do           # what, against what, measured, ratio
        check "$line" has "$at/summary.txt" "$(echo "$line" | sed 's/  */  */g')"
    done << 'END'
of cuBLAS: first goal 80.00 50.00 % 0.62 short
by wgmma: second goal 95.00 - %
AdamW, of a copy 85.00 90.00 % 1.06 reached
batch 1: weights read, of a copy 45.00 25.00 % 0.56 short
HF generate, of grpo.h's 5 8 x 1.60 reached
gate and up of 0.5B 300.0 350.0 TFLOP/s 1.17
gate and up of 0.5B, wgmma - 600.0 TFLOP/s
rows: copy 5000 4000 GB/s 0.80
decode: 0.5B batch 1 0.25 0.5 ms 0.50
PyTorch, 0.5B rollout by HF generate 4 0.5 s 8.00
256 sequences (RTX PRO 6000) 6963 32768 tokens/s 4.71
END
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
}

case $mode in
    curve) curve ;;
    summary) start=$(now); summary; cat "$out/summary.txt" ;;
    rehearse) rehearse ;;
    stand-in) standing_in=yes; everything ;;
    *) standing_in=; everything ;;
esac
