#!/bin/sh
# What nvcc makes of grpo_cuda.cu, compared with tests/cuda_made.txt:
#   sh tests/cuda_made.sh             a difference is a sentence, and fails
#   sh tests/cuda_made.sh --write     the table is written anew
# Of each kernel and architecture: registers, static shared memory, and how many of its blocks a
# multiprocessor holds at once. Of the important kernels' main loop, where nvdisasm is in PATH:
# instructions. Spilled registers, memory that is private to a thread, and wgmmas that wait for each
# other fail whatever the table says. Numbers are compared only if nvcc has the table's version.
: "${BUILD:=build}"
table=tests/cuda_made.txt
dir=$BUILD/made
nvcc=${NVCC:-$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2> /dev/null)}
[ -n "$nvcc" ] || { echo "skipped: no nvcc, so what it makes of grpo_cuda.cu is not seen"; exit 0; }
mkdir -p "$dir"
version=$("$nvcc" --version | sed -n 's/.*, V\([0-9.]*\).*/\1/p')

# ---- the compiler, for two architectures at a time
compile() { # compile ARCHITECTURE, unless it is younger than what it is made of
    [ -z "$(find grpo_cuda.cu grpo.h -newer "$dir/sm_$1.cubin" 2>&1)" ] && return
    mkdir -p "$dir/$1"
    "$nvcc" -std=c++17 -gencode=arch=compute_"$1",code=sm_"$1" -Werror all-warnings -Xptxas -v \
        -I. --keep --keep-dir "$dir/$1" -c grpo_cuda.cu -o "$dir/sm_$1.o" > "$dir/sm_$1.txt" 2>&1 \
        && mv "$dir/$1"/*.cubin "$dir/sm_$1.cubin" || touch "$dir/sm_$1.failed"
    rm -rf "${dir:?}/$1"
}
rm -f "$dir"/*.failed
(compile 75; compile 90) & (compile 80; compile 90a) &
wait
for failed in "$dir"/*.failed; do
    [ -e "$failed" ] || break
    cat "${failed%.failed}.txt"; echo "failed: nvcc, ${failed##*/}"; exit 1
done

# ---- what it made. _Z18grpo__flash_kernelILi64ELi4EE... is flash<64,4>.
short='function short(s,   n, name, list, part) {
    sub(/^_Z/, "", s); n = s + 0; sub(/^[0-9]+/, "", s)
    name = substr(s, 1, n); s = substr(s, n + 1)
    sub(/^grpo__/, "", name); sub(/_kernel$/, "", name)
    if (s !~ /^I/) return name
    for (s = substr(s, 2); s != "" && s !~ /^E/; list = list (list == "" ? "" : ",") part) {
        if (s ~ /^L[a-z]/) { part = substr(s, 3) + 0; s = substr(s, index(s, "E") + 1) }
        else if (s ~ /^[0-9]/) {
            n = s + 0; sub(/^[0-9]+/, "", s); part = substr(s, 1, n); s = substr(s, n + 1) }
        else { part = s ~ /^f/ ? "float" : s ~ /^h/ ? "char" : substr(s, 1, 1); s = substr(s, 2) }
        sub(/^__nv_bfloat16$/, "bf16", part) }
    return name "<" list ">" }'
for arch in 75 80 90 90a; do
    awk -v arch="sm_$arch" "$short"'
        /Compiling entry function/ { split($0, q, "\047"); name = short(q[2]) }
        / bytes stack frame/ { frame = $1; spill = $5 + $9 }
        /C75[0-9][0-9]/ { print "wait", arch, name }
        / Used [0-9]+ registers/ {
            registers = shared = 0
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^registers/) registers = $(i - 1)
                if ($i ~ /^smem/) shared = $(i - 2) }
            print "made", arch, name, registers, shared, frame, spill }' "$dir/sm_$arch.txt"
done > "$dir/made"

# ---- launches: threads of a block and bytes of dynamic shared memory, as grpo_cuda.cu has them, by
# a program that holds all of it but its last chapter. Other kernels: 256 threads, no such memory.
{
    sed '/^\/\* --* >>tables --/,$d' grpo_cuda.cu
    echo 'int main(void) {'
    awk '{ print $3 }' "$dir/made" | sort -u | awk '
        function of(threads, bytes) {
            print "printf(\"" $0 "\\t%d\\t%d\\n\", (int)(" threads "), (int)(" bytes "));" }
        { args = $0; sub(/^[a-z_0-9A-Z]*/, "", args); split(args, arg, /[<,>]/) }
        /^mma_product</ { of("grpo__tile" args "::THREADS", "grpo__tile" args "::BYTES") }
        /^wgmma_product</ { wide = "grpo__wide<" arg[2] ">"; of(wide "::THREADS", wide "::BYTES") }
        /^flash/ { flash = "grpo__flash_size<" arg[2] ">::" }
        /^flash</ { of("32 * " arg[3], flash "FORWARD + " arg[3] " * " flash "QUERY_ROWS") }
        /^flash_dq</ { of(128, flash "DQ") }
        /^flash_dkv</ { of(128, flash "DKV") }
        /^(swiglu|rotate|attention_D|gather_rows)</ || $0 == "store" { of(128, 0) }
        /^attention(_dq)?</ { of(128, "128 * 4") }            # a head of 128
        /^attention_dkv</ { of(128, "2 * 128 * 4") }'
    echo 'return 0; }'
} > "$dir/launches.cpp"
g++ -w -Wno-psabi -std=c++17 -DGRPO_CUDA_SHIM -I. -include tests/cuda_shim.h "$dir/launches.cpp" \
    -o "$dir/launches" -lm && "$dir/launches" > "$dir/launches.txt" \
    || { echo "failed: what tests/cuda_made.sh knows of launches no longer fits grpo_cuda.cu"
         exit 1; }

# ---- instructions of the main loop: of all backward branches the smallest loop that has most
# tensor instructions or, without any, most loads.
: > "$dir/loops"
if command -v nvdisasm > /dev/null; then
    for arch in 80 90a; do
        nvdisasm -c "$dir/sm_$arch.cubin" | awk -v arch="sm_$arch" "$short"'
            BEGIN { n = split("mma_product.* wgmma_product.* flash.* rmsnorm.*<bf16,8> " \
                    "swiglu<bf16,8> sum_rows<bf16,8> adamw<float,4> squares<float,4> " \
                    "logprobs<bf16> logprobs_backward<bf16> sample<bf16> filter.* pick", like, " ")
                    for (i = 1; i <= n; i++) wanted = wanted (i > 1 ? "|" : "") like[i]
                    wanted = "^(" wanted ")$" }
            function flush() {
                if (best != "" && name ~ wanted) print "loop", arch, name, best
                best = ""; most = size = n = 0; split("", at) }
            /^\.text\./ { flush(); name = $1; sub(/^\.text\./, "", name); sub(/:$/, "", name)
                          name = short(name); next }
            /^\.L[a-z0-9_]+:/ { label = $1; sub(/:$/, "", label); at[label] = n + 1; next }
            /^ *\/\*[0-9a-f]+\*\// {
                i = 2; if ($i ~ /^@/) i++
                op = $i; n++
                T[n] = T[n - 1] + (op ~ /^HG?MMA/); M[n] = M[n - 1] + (op ~ /^LDSM/)
                C[n] = C[n - 1] + (op ~ /^(LDGSTS|UTMALDG)/); G[n] = G[n - 1] + (op ~ /^LDG?(\.|$)/)
                W[n] = W[n - 1] + (op ~ /^U?IMAD\.(WIDE|HI)/); L[n] = L[n - 1] + (op ~ /^(LDL|STL)/)
                if (op !~ /^BRA/ || !match($0, /\.L[a-z0-9_]+/)) next
                label = substr($0, RSTART, RLENGTH)
                if (!(label in at)) next
                b = at[label] - 1; t = T[n] - T[b]; g = G[n] - G[b] + C[n] - C[b]
                value = t ? 10000 * t : g
                if (value > most || (value == most && n - b < size)) {
                    most = value; size = n - b
                    best = size " " t " " M[n] - M[b] " " C[n] - C[b] " " G[n] - G[b] " " \
                           W[n] - W[b] " " L[n] - L[b] } }
            END { flush() }'
    done > "$dir/loops"
fi

# ---- the table, in the order of names
write() {
    cat << END
# What nvcc $version makes of grpo_cuda.cu: written by sh tests/cuda_made.sh --write, compared by
# .ci/run. made: threads of a block, its bytes of dynamic shared memory, then for each architecture
# registers / static shared memory / blocks that a multiprocessor holds at once.
# loop: instructions of the main loop, all / tensor / ldmatrix / asynchronous copies / loads /
# multiplies to 64 bits / accesses to memory that is private to a thread.
nvcc $version
END
    awk '
        function least(a, b) { return a < b ? a : b }
        function blocks(arch, registers, shared, bytes, threads,   warps, most, all, each, n,
                        each_warp) {
            warps = int((threads + 31) / 32)
            most = arch == "sm_75" ? 32 : 64
            all = arch == "sm_75" ? 65536 : arch == "sm_80" ? 167936 : 233472
            each = shared + bytes + (arch == "sm_75" ? 0 : 1024)
            n = least(int(most / warps), arch == "sm_75" ? 16 : 32)
            each_warp = int((registers * 32 + 255) / 256) * 256
            n = least(n, int(int(65536 / each_warp / 4) * 4 / warps))
            return each ? least(n, int(all / each)) : n }
        FILENAME ~ /launches/ { threads[$1] = $2; dynamic[$1] = $3; next }
        $1 == "made" {
            if (!($3 in threads)) { threads[$3] = 256; dynamic[$3] = 0 }
            cell[$2, $3, 1] = $4 "/" $5 "/" blocks($2, $4, $5, dynamic[$3], threads[$3]); made[$3] }
        $1 == "loop" {
            cell[$2, $3, 2] = $4 "/" $5 "/" $6 "/" $7 "/" $8 "/" $9 "/" $10; loop[$3] }
        function of(a, k, n) { return (a, k, n) in cell ? cell[a, k, n] : "-" }
        END {
            for (k in made)
                printf "made %-36s %4d %6d  %-14s %-14s %-14s %s\n", k, threads[k], dynamic[k],
                    of("sm_75", k, 1), of("sm_80", k, 1), of("sm_90", k, 1), of("sm_90a", k, 1)
            for (k in loop)
                printf "loop %-36s sm_80 %-26s sm_90a %s\n", k, of("sm_80", k, 2),
                    of("sm_90a", k, 2) }' \
        FS='\t' "$dir/launches.txt" FS=' ' "$dir/made" "$dir/loops" \
        | LC_ALL=C sort -k1,1r -k2,2
    [ -s "$dir/loops" ] || { [ -f "$table" ] && grep '^loop ' "$table"; } || true
}
write > "$dir/table.txt"
case $1 in
--write)
    cp "$dir/table.txt" "$table"
    [ -s "$dir/loops" ] || echo "no nvdisasm in PATH: its lines (loop) stay as they were"
    echo "written: $table" ;;
esac

# ---- what is wrong whatever the table says (no tensor kernel runs on sm_75, where it is empty) ...
awk '{ found = 0 }
    $1 == "wait" {
        found = 1; print $3 " on " $2 ": wgmmas wait for each other (C75..)" }
    FILENAME ~ /made$/ && $7 > 0 {
        found = 1; print $3 " on " $2 ": " $7 " bytes of registers spilled" }
    FILENAME ~ /made$/ && $6 > 0 && $7 == 0 && $2 != "sm_75" {
        found = 1; print $3 " on " $2 ": " $6 " bytes of memory that is private to a thread" }
    FILENAME ~ /loops$/ && $10 > 0 {
        found = 1; print $3 " on " $2 ": memory that is private to a thread, in its main loop" }
    FILENAME ~ /table.txt/ && $1 != "made" { next }
    FILENAME ~ /table.txt/ {        # more than sm_86, 89 and 120 have, 99 KB; than sm_90 has
        split($6, on_80, "/"); split($8, on_90a, "/")
        found = $2 !~ /^wgmma/ && $4 + on_80[2] > 101376 || on_90a[3] == 0
        if (found) print $2 ": " $4 " bytes of dynamic shared memory are more than there are" }
    { if (found) failed++; else passed++ }
    END { print passed + 0, failed + 0 }' "$dir/made" "$dir/loops" "$dir/table.txt" > "$dir/wrong"

# ... and what differs from it. A number of instructions may be 5 % off.
if [ "$(sed -n 's/^nvcc //p' "$table")" = "$version" ]; then
    awk -v seen="$(grep -c . "$dir/loops")" '
        function say(text) { found = 1; print text }
        function compare(what, old, new, slack,   a, b, n, i, name) {
            n = split(old, a, "/"); split(new, b, "/")
            split(slack ? loops : made, name, "/")
            if ((old == "-") != (new == "-")) say(what " it is " new ", " old " in the table")
            if (old == "-" || new == "-") return
            for (i = 1; i <= n; i++)
                if (b[i] > a[i] * (1 + slack) || b[i] < a[i] * (1 - slack))
                    say(what ": " b[i] " " name[i] ", " a[i] " in the table") }
        BEGIN { made = "registers/bytes of static shared memory/blocks at once"
                loops = "instructions in its main loop/tensor instructions/ldmatrix/" \
                "asynchronous copies/loads/multiplies to 64 bits/accesses to private memory" }
        !/^(made|loop) / || ($1 == "loop" && !seen) { next }
        { key = $1 " " $2 }
        FILENAME !~ /table.txt$/ { old[key] = $0; next }
        { new[key] }
        !(key in old) { print $2 " is not in the table (" $1 ")"; failed++; next }
        { split(old[key], was); found = 0
          if ($1 == "made") {
              if (was[3] != $3) say($2 ": blocks of " $3 " threads, " was[3] " in the table")
              if (was[4] != $4) say($2 ": " $4 " bytes of dynamic shared memory, " was[4] \
                                    " in the table")
              split("sm_75 sm_80 sm_90 sm_90a", arch)
              for (a = 1; a <= 4; a++) compare($2 " on " arch[a], was[4 + a], $(4 + a), 0)
          } else {
              compare($2 " on sm_80", was[4], $4, 0.05)
              compare($2 " on sm_90a", was[6], $6, 0.05) }
          if (found) failed++; else passed++ }
        END { for (key in old)
                  if (!(key in new)) { print key " is in the table, and gone"; failed++ }
              print passed + 0, failed + 0 }' "$table" "$dir/table.txt" > "$dir/differs"
    [ -s "$dir/loops" ] || echo "skipped: no nvdisasm in PATH, so instructions are not counted"
else
    echo "skipped: this nvcc is $version, and $table of another: only spills are looked for"
    echo "0 0" > "$dir/differs"
fi
sed '$d' "$dir/wrong"; sed '$d' "$dir/differs"
set -- $(tail -n 1 "$dir/wrong") $(tail -n 1 "$dir/differs")
[ "$4" -eq 0 ] || echo "if all of this is meant: sh tests/cuda_made.sh --write"
echo "$(($1 + $3)) passed, $(($2 + $4)) failed"
[ $(($2 + $4)) -eq 0 ]
