# The summary of tests/cuda_first.sh. out: the folder with info, parts, expected.tsv, measured.tsv;
# tsv: where every number goes; taken: seconds so far; all: names of the parts, in their order.
function lines(path, kind,   line, w) {
    while ((getline line < path) > 0) {
        if (line ~ /^#/) continue
        split(line, w, "\t")
        if (kind == "info") info[w[1]] = w[2]
        else if (kind == "part") { state[w[1]] = w[2]; seconds[w[1]] = w[3]; note[w[1]] = w[4] }
        else {
            if (!((w[1] "\t" w[2] "\t" w[3]) in seen)) keys[++num_keys] = w[1] "\t" w[2] "\t" w[3]
            seen[w[1] "\t" w[2] "\t" w[3]] = 1
            if (kind == "expected") E[w[1], w[2], w[3]] = w[4]
            else M[w[1], w[2], w[3]] = w[4]
        }
    }
    close(path)
}
function cut(text, n) { return length(text) > n ? substr(text, 1, n - 2) ".." : text }
function exact(x) { return x > 0 ? sprintf("%.8g", x) : "-" }
function short(x) {
    return !(x > 0) ? "-" : sprintf(x >= 1000 ? "%.0f" : x >= 100 ? "%.1f" : x >= 10 ? "%.2f" \
                                    : "%.3g", x)
}
function head(what, against, mine) {
    printf "\n%-56s%10s%10s %-8s%6s\n", what, against, mine, "", "ratio"
}
# One row: what, a figure to be held against, what was measured, and how they compare. way 1: more
# is better; -1: less is. What is not there is "-"; without both figures there is no row, except of
# goals (always).
function row(what, against, mine, unit, way,   ratio) {
    if (!always && !(against > 0) && !(mine > 0)) return
    if (against > 0 && mine > 0) ratio = way > 0 ? mine / against : against / mine
    printf "%-56s%10s%10s %-8s%6s%s\n", cut(what, 55), short(against), short(mine), unit,
           (ratio ? sprintf("%.2f", ratio) : "-"),
           (!always || !ratio ? "" : ratio >= 1 ? "  reached" : "  short")
    printf "row\t%s\t%s\t%s\t%s\t%s\n", what, unit, exact(against), exact(mine), exact(ratio) > tsv
}
function expect(what, part, name, unit, way) {
    row(what, E[part, name, unit], M[part, name, unit], unit, way)
}
# The three products of a layer together: FLOPs over the sum of their times; 0: not all are there.
function together(from, part, shape,   i, k, x, sum) {
    split("y dx dw", k, " ")
    for (i = 1; i <= 3; i++) {
        x = from == "M" ? M[part, shape " " k[i], "TFLOP/s"] : E[part, shape " " k[i], "TFLOP/s"]
        if (!(x > 0)) return 0
        sum += 1 / x
    }
    return 3 / sum
}
function products(part, label,   i) {
    for (i = 1; i <= num_shapes; i++) {
        row("product " shape[i] ", " of_what[i] label, together("E", part, shape[i]),
            together("M", part, shape[i]), "TFLOP/s", 1)
    }
}
# Of the training shapes: cuBLAS's time of all, over ours, as a percentage.
function share_of_cublas(part,   i, a, b, ours, theirs) {
    for (i = 1; i <= num_shapes; i++) {
        a = together("M", part, shape[i])
        b = together("M", "product.cublas", shape[i])
        if (!a || !b) return 0
        split(shape[i], w, "x")
        ours += w[1] * w[2] * w[3] / a
        theirs += w[1] * w[2] * w[3] / b
    }
    return 100 * theirs / ours
}
function share(part, name, of) { return of > 0 ? 100 * M[part, name, "GB/s"] / of : 0 }
function faster(name, part) {
    return M[part, name, "s"] > 0 ? M["step.torch", name, "s"] / M[part, name, "s"] : 0
}
function file_lines(path, pattern,   line, n) {
    while ((getline line < path) > 0)
        if (line ~ pattern) { sub(/^             /, "", line); print "  " cut(line, 97); n++ }
    close(path)
    return n
}
BEGIN {
    lines(out "/info", "info")
    lines(out "/parts", "part")
    lines(out "/expected.tsv", "expected")
    lines(out "/measured.tsv", "measured")
    num_parts = split(all, order, " ")
    num_shapes = split("8192x1152x896 8192x896x896 8192x9728x896 8192x896x4864 2048x151936x896 " \
                       "8192x6144x1024", shape, " ")
    split("QKV of 0.5B;output of 0.5B;gate and up of 0.5B;down of 0.5B;head of 0.5B;" \
          "gate and up of 0.6B", of_what, ";")
    for (i = 1; i <= num_parts; i++) count[order[i] in state ? state[order[i]] : "not begun"]++

    printf "grpo.h, first run on a card: %s, commit %s\n\n", info["date"], info["commit"]
    printf "card     %s, %s\n", info["card"], info["capability"]
    printf "memory   %s; driver %s\n", info["memory"], info["driver"]
    printf "clocks   %s\n", (now_clock ? now_clock : "not known")
    printf "host     %s; %s\n", info["host"], info["python"]
    printf "time     %d of %d s: %d passed, %d failed, %d timed out, %d skipped, %d not begun\n\n",
           taken, info["limit"], count["passed"], count["failed"], count["timed out"],
           count["skipped"], count["not begun"]
    for (name in info) printf "info\t%s\t%s\n", name, info[name] > tsv
    printf "info\tclocks\t%s\n", (now_clock ? now_clock : "-") > tsv
    printf "info\ttaken\t%d\n", taken > tsv

    print "part         state          s"
    for (i = 1; i <= num_parts; i++) {
        name = order[i]
        if (!(name in state)) { state[name] = "not begun"; seconds[name] = 0 }
        sub(/^ */, "", note[name])
        printf "%-12s %-10s %5d  %s\n", name, state[name], seconds[name], cut(note[name], 65)
        printf "part\t%s\t%s\t%d\t%s\n", name, state[name], seconds[name], note[name] > tsv
    }
    print "\nThe same bits"
    if (!file_lines(out "/same.log", "log-probs|weights after")) print "  not known"
    print "\nA training run, examples/03_arithmetic, beside the CPU's"
    if (!file_lines(out "/curve.log", "^(cpu|cuda|hopper|cuda_fp32|table) ")) print "  not known"

    always = 1
    head("Goals (ratio: 1 or more is reached)", "goal", "measured")
    copy = M["rows", "copy", "GB/s"]
    row("products, training shapes, of cuBLAS: first goal", 80, share_of_cublas("product"),
         "%", 1)
    row("    second goal", 95, share_of_cublas("product"), "%", 1)
    row("    by wgmma: second goal", 95, share_of_cublas("product.hopper"), "%", 1)
    row("attention forward, 16 x 1024, 16 heads of 64", 200,
         M["attention", "16x1024 h16/16 d64 forward", "TFLOP/s"], "TFLOP/s", 1)
    row("norm, of a copy", 85, share("rows", "norm", copy), "%", 1)
    row("norm backward, of a copy", 85, share("rows", "norm backward", copy), "%", 1)
    row("AdamW, of a copy", 85, share("rows", "AdamW", copy), "%", 1)
    row("0.5B decode, batch 1: weights read, of a copy", 45,
         share("decode", "0.5B batch 1", copy), "%", 1)
    row("0.5B decode, batch 64: weights read, of a copy", 60,
         share("decode", "0.5B batch 64", copy), "%", 1)
    row("0.5B update: seconds of PyTorch compiled, of grpo.h's", 1,
         faster("0.5B update", "step"), "x", 1)
    row("    by wgmma", 1, faster("0.5B update", "step.hopper"), "x", 1)
    row("0.5B step: memory (goal: less than PyTorch's)", M["step.torch", "0.5B memory", "GB"],
         M["step", "0.5B memory", "GB"], "GB", -1)
    row("0.5B rollout: seconds of HF generate, of grpo.h's", 5,
         faster("0.5B rollout", "step"), "x", 1)

    always = 0
    printf "\n%-56s%10s%10s %-8s%6s\n", "Expected by make cuda-model (ratio: as fast as that)",
           "expected", "measured", "", "ratio"
    products("product", "")
    products("product.hopper", ", wgmma")
    expect("attention 16 x 1024, 14 heads (2) of 64, forward", "attention",
           "16x1024 h14/2 d64 forward", "TFLOP/s", 1)
    expect("    backward", "attention", "16x1024 h14/2 d64 backward", "TFLOP/s", 1)
    expect("attention 16 x 1024, 16 heads (8) of 128, forward", "attention",
           "16x1024 h16/8 d128 forward", "TFLOP/s", 1)
    expect("    backward", "attention", "16x1024 h16/8 d128 backward", "TFLOP/s", 1)
    n = split("copy;norm backward;SwiGLU;AdamW", w, ";")
    for (i = 1; i <= n; i++) expect("rows: " w[i], "rows", w[i], "GB/s", 1)
    n = split("0.5B batch 1;0.5B batch 64;0.6B batch 256;135M batch 64;15M batch 64", w, ";")
    for (i = 1; i <= n; i++) expect("decode: " w[i], "decode", w[i], "ms", -1)
    n = split("0.5B rollout;0.5B reference;0.5B update;0.6B rollout;0.6B update;135M step;15M step",
              w, ";")
    for (i = 1; i <= n; i++) expect("step: " w[i], "step", w[i], "s", -1)
    expect("step: 0.5B update, wgmma", "step.hopper", "0.5B update", "s", -1)
    expect("step: 0.6B update, wgmma", "step.hopper", "0.6B update", "s", -1)

    printf "\n%-56s%10s%10s %-8s%6s\n", "Beside others (ratio: grpo.h is so many times as fast)",
           "theirs", "grpo.h", "", "ratio"
    n = split("0.5B rollout by HF generate;0.5B update, compiled;0.6B rollout by HF generate;" \
              "0.6B update, compiled;135M step;15M step", w, ";")
    for (i = 1; i <= n; i++) {
        split(w[i], word, /[ ,]/)
        name = word[1] " " word[2]
        row("PyTorch, " w[i], M["step.torch", name, "s"], M["step", name, "s"], "s", -1)
    }
    row("PyTorch: attention 16 x 1024, 16 heads of 64, forward",
        M["attention.torch", "16x1024 h16/16 d64 forward", "TFLOP/s"],
        M["attention", "16x1024 h16/16 d64 forward", "TFLOP/s"], "TFLOP/s", 1)
    # KJLdefeated/RL.cu, README.md of commit a9dc240, on an RTX PRO 6000: 256 sequences queued; and
    # generation within GRPO training, 8 prompts x 8.
    t = M["step", "0.6B rollout", "s"]
    row("RL.cu, Qwen3-0.6B, 256 sequences (RTX PRO 6000)", 6963, t > 0 ? 65536 / t : 0,
        "tokens/s", 1)
    t = M["decode", "0.6B batch 64", "ms"]
    row("RL.cu, 64 sequences within training (RTX PRO 6000)", 3834, t > 0 ? 64000 / t : 0,
        "tokens/s", 1)
    printf "\nAll numbers: summary.tsv; what each part said: its .log, both beside this file.\n"

    for (i = 1; i <= num_keys; i++) {
        split(keys[i], w, "\t")
        printf "number\t%s\t%s\t%s\n", keys[i], exact(E[w[1], w[2], w[3]]),
               exact(M[w[1], w[2], w[3]]) > tsv
    }
}
