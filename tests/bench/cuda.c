/* cuda - how fast grpo_cuda.cu is on this card, and how far that is from what the card can do.
 *
 *   make cuda-bench                         everything, in some minutes
 *   build/cuda/cuda [--quick] [--size NAME] [--memory MB] [--tsv FILE] [part ...]
 *
 * Parts: same product attention rows decode step torch. same is no measurement: are the sampler's
 * log-probs those of the trainer, and are two runs the same? --size: one model alone. --memory: the
 * most that a step may take. --tsv: every number a line, "part, name, unit, value", as it comes.
 *
 * Limits are measured on the same card in the same process: a copy of memory for all that moves
 * bytes, and for products the largest that cuBLAS does here, where the toolkit has it (cuBLAS is
 * loaded while running; nothing needs it). PyTorch comes last, where python3 has it with CUDA.
 * FLOPs are the necessary ones. --quick: small shapes once, to see that it works. */
#define _XOPEN_SOURCE 700           /* popen */
#include "tests/bench/shapes.h"
#include "tests/bench/steps.h"
#include <stdarg.h>
#ifndef GRPO_CUDA_SHIM
#include <dlfcn.h>
int cudaDeviceSynchronize(void);    /* all that is needed of cuda_runtime_api.h                  */
#endif

/* The shapes of Qwen2.5-0.5B, Qwen3-0.6B, SmolLM2-135M and stories15M: the first say the most. */
static const size sizes[] = {
    { "0.5B", 896, 24, 14, 2, 4864, 151936, 1, 4, 16, 64, 256, 0, 0 },
    { "0.6B", 1024, 28, 16, 8, 3072, 151936, 0, 32, 8, 64, 256, 128, 1 },
    { "135M", 576, 30, 9, 3, 1536, 49152, 0, 4, 16, 64, 256, 0, 0 },
    { "15M", 288, 6, 6, 6, 768, 32000, 0, 4, 16, 64, 256, 0, 0 } };
static const size tiny[] = { { "tiny", 64, 1, 2, 1, 96, 64, 1, 2, 2, 4, 4, 64, 1 } };
enum { SIZES = 4 };

static int quick, not_same;         /* not_same: bits that were to be the same                    */
static const char *only;            /* the size that was asked for, or NULL                      */
static size_t memory_budget;        /* bytes; 0: any                                             */
static FILE *tsv;
static void *context;               /* of the backend, for its single operations                 */
static double copy_peak, product_peak;                        /* bytes/s, FLOP/s                 */

/* ---- what is said: to people, and a line each to --tsv */
static void record(const char *part, const char *unit, double value, const char *name, ...) {
    va_list more;
    if (!tsv) return;
    fprintf(tsv, "%s\t", part);
    va_start(more, name);
    vfprintf(tsv, name, more);
    va_end(more);
    fprintf(tsv, "\t%s\t%.6g\n", unit, value);
    fflush(tsv);
}

/* The model of number i of those that are to be measured; NULL: it was not asked for. */
static const size *size_of(int i) {
    const size *s = quick ? &tiny[0] : &sizes[i];
    return !only || !strcmp(only, s->name) ? s : NULL;
}

/* ---- memory of the card, and time on it */
static void stop_on_error(const char *what) {
    const char *error = backend->error(context);
    if (!error) return;
    printf("bench: %s: %s\n", what, error);
    exit(1);
}

static void *room(size_t bytes) {
    void *memory = backend->allocate(context, bytes + 256);
    stop_on_error("allocating");
    if (!memory) { puts("bench: the card has too little memory"); exit(1); }
    backend->zero(context, memory, bytes);
    return memory;
}

/* n elements that look like activations. */
static void *elements(size_t n) {
    enum { BLOCK = 1 << 20 };
    float *host = (float *)malloc((size_t)BLOCK * sizeof *host), *staged;
    void *x = room(n * backend->element_size);
    size_t at, i;
    if (!host) { puts("bench: no memory"); exit(1); }
    for (i = 0; i < BLOCK; i++) host[i] = 2 * grpo_uniform(1, 2, 3, 4, i) - 1;
    staged = (float *)room(BLOCK * sizeof *host);
    backend->upload(context, staged, host, BLOCK * sizeof *host);
    for (at = 0; at < n; at += BLOCK)
        backend->from_floats(context, (char *)x + at * backend->element_size, staged,
                             n - at < BLOCK ? n - at : BLOCK);
    backend->release(context, staged);
    free(host);
    return x;
}

static void *integers(const int *from, size_t n) {
    void *x = room(n * sizeof(int));
    backend->upload(context, x, from, n * sizeof(int));
    return x;
}

static void wait_for_it(void) {
    static void *word;
    int host;
    if (!word) word = room(sizeof host);
    backend->download(context, &host, word, sizeof host);
}

/* Seconds of one run, the best of three tries of some 50 milliseconds. */
typedef void (*work)(void *job);
static double seconds_of(work run, void *job) {
    double best = 1e9, start, t;
    int i, try, count = 1;
    run(job);
    wait_for_it();
    if (quick) return 1;
    for (t = 0; t < 0.05; count *= 2) {
        start = grpo__seconds();
        for (i = 0; i < count; i++) run(job);
        wait_for_it();
        t = grpo__seconds() - start;
    }
    for (try = 0; try < 3; try++) {
        start = grpo__seconds();
        for (i = 0; i < count / 2; i++) run(job);
        wait_for_it();
        t = (grpo__seconds() - start) / (count / 2);
        if (t < best) best = t;
    }
    return best;
}

/* ---- cuBLAS, by name */
typedef struct product_job {
    int m, n, k, kind;              /* kind: which of the three products                         */
    void *x, *y;
    grpo_matrix w;
    float *dw;
} product_job;

#ifndef GRPO_CUDA_SHIM
enum { CUBLAS_N = 0, CUBLAS_T = 1, CUDA_BF16 = 14, CUDA_F32 = 0, CUBLAS_F32 = 68,
       CUBLAS_BEST = 99 };
typedef int (*cublas_gemm)(void *, int, int, int, int, int, const void *, const void *, int, int,
                           const void *, int, int, const void *, void *, int, int, int, int);
static cublas_gemm gemm;
static void *cublas;

static int find_cublas(void) {
    static const char *const names[] = {
        "libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so",
        "/usr/local/cuda/lib64/libcublas.so" };
    int (*create)(void **);
    void *library = NULL, *symbol;
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names && !library; i++)
        library = dlopen(names[i], RTLD_NOW);
    if (!library || !(symbol = dlsym(library, "cublasCreate_v2"))) return 0;
    memcpy(&create, &symbol, sizeof create);
    if (!(symbol = dlsym(library, "cublasGemmEx")) || create(&cublas)) return 0;
    memcpy(&gemm, &symbol, sizeof gemm);
    return 1;
}

/* The three products of a layer as cuBLAS takes them: its matrices lie by columns, so a row-major
 * C = A B is its C' = B' A'. y = x W', dx = dy W, dW += dy' x. */
static void run_cublas(void *job) {
    product_job *p = (product_job *)job;
    float one = 1, none = 0;
    int bad;
    if (p->kind == 0)
        bad = gemm(cublas, CUBLAS_T, CUBLAS_N, p->n, p->m, p->k, &one, p->w.operand, CUDA_BF16,
                   p->k, p->x, CUDA_BF16, p->k, &none, p->y, CUDA_BF16, p->n, CUBLAS_F32,
                   CUBLAS_BEST);
    else if (p->kind == 1)
        bad = gemm(cublas, CUBLAS_N, CUBLAS_N, p->k, p->m, p->n, &one, p->w.operand, CUDA_BF16,
                   p->k, p->y, CUDA_BF16, p->n, &none, p->x, CUDA_BF16, p->k, CUBLAS_F32,
                   CUBLAS_BEST);
    else
        bad = gemm(cublas, CUBLAS_N, CUBLAS_T, p->k, p->n, p->m, &one, p->x, CUDA_BF16, p->k,
                   p->y, CUDA_BF16, p->n, &one, p->dw, CUDA_F32, p->k, CUBLAS_F32, CUBLAS_BEST);
    if (bad) { printf("bench: cuBLAS answers %d\n", bad); exit(1); }
}

static double cublas_seconds(product_job *p) {
    double best = 1e9, start, t;
    int i, try;
    for (try = 0; try < 4; try++) {
        cudaDeviceSynchronize();
        start = grpo__seconds();
        for (i = 0; i < 20; i++) run_cublas(p);
        cudaDeviceSynchronize();
        t = (grpo__seconds() - start) / 20;
        if (try > 0 && t < best) best = t;
    }
    return best;
}
#else
static int find_cublas(void) { return 0; }
static double cublas_seconds(product_job *p) { (void)p; return 1; }
#endif

/* ---- products: y [m, n] = x [m, k] W [n, k]', and the two of its backward pass */
static void run_product(void *job) {
    product_job *p = (product_job *)job;
    const grpo_product o = { &p->w, p->m, p->x, p->y, NULL, NULL, p->y, p->x, p->dw, NULL };
    if (p->kind == 0) backend->matmul(context, &o);
    if (p->kind == 1) backend->matmul_dx(context, &o);
    if (p->kind == 2) backend->matmul_dw(context, &o);
}

/* Seconds of it by grpo_cuda_hopper(), whose context this is. */
static double hopper_seconds(product_job *p, void *hopper) {
    void *usual = context;
    double t;
    backend = grpo_cuda_hopper();
    context = hopper;
    t = seconds_of(run_product, p);
    stop_on_error("a product by wgmma");
    backend = grpo_cuda();
    context = usual;
    return t;
}

static product_job product_of(int m, int n, int k) {
    product_job p;
    void *weights;
    memset(&p, 0, sizeof p);
    p.m = m; p.n = n; p.k = k;
    p.x = elements(grpo__size(m, k));
    p.y = elements(grpo__size(m, n));
    p.dw = (float *)room(grpo__size(n, k) * sizeof(float));
    p.w.rows = p.w.y_stride = n; p.w.cols = k;
    p.w.weights = (float *)room(grpo__size(n, k) * sizeof(float));
    weights = elements(grpo__size(n, k));         /* zeros would cost less power, and flatter    */
    backend->to_floats(context, p.w.weights, weights, grpo__size(n, k));
    backend->release(context, weights);
    p.w.operand = room(backend->operand_size(n, k));
    backend->prepare(context, &p.w);
    return p;
}

static void free_product(product_job *p) {
    backend->release(context, p->x);
    backend->release(context, p->y);
    backend->release(context, p->dw);
    backend->release(context, p->w.weights);
    backend->release(context, p->w.operand);
}

static void product(void) {
    static const char *const kinds[3] = { "y = x W'", "dx = dy W", "dW += dy' x" };
    static const char *const short_kinds[3] = { "y", "dx", "dw" };
    static const int small[][3] = { { 33, 40, 24 } };
    const int (*list)[3] = quick ? small : product_shapes;
    int count = quick ? 1 : PRODUCT_SHAPES, i, kind, has = find_cublas();
    char error[GRPO_ERROR_LENGTH] = "";
    grpo_config c = grpo_defaults();
    void *hopper = grpo_cuda_hopper()->open(&c, error);
    printf("product      bf16, TFLOP/s and share of cuBLAS%s\n", has ? "" : " (which is not here)");
    printf("             by wgmma: %s\n", hopper ? "the second number" : error);
    for (i = 0; i < count; i++) {
        product_job p = product_of(list[i][0], list[i][1], list[i][2]);
        double flops = 2.0 * p.m * p.n * p.k;
        printf("             %5d x %6d x %4d", p.m, p.n, p.k);
        for (kind = 0; kind < (p.m > 64 || quick ? 3 : 1); kind++) {
            double ours, wide = 0, theirs;
            p.kind = kind;
            ours = seconds_of(run_product, &p);
            if (hopper) wide = hopper_seconds(&p, hopper);
            printf("   %s %6.1f", kinds[kind], 1e-12 * flops / ours);
            if (hopper) printf(", %6.1f", 1e-12 * flops / wide);
            record("product", "TFLOP/s", 1e-12 * flops / ours, "%dx%dx%d %s", p.m, p.n, p.k,
                   short_kinds[kind]);
            if (hopper) record("product.hopper", "TFLOP/s", 1e-12 * flops / wide, "%dx%dx%d %s",
                               p.m, p.n, p.k, short_kinds[kind]);
            if (!has) continue;
            theirs = cublas_seconds(&p);
            printf(" (%3.0f%%", 100 * theirs / ours);
            if (hopper) printf(", %3.0f%%", 100 * theirs / wide);
            printf(")");
            record("product.cublas", "TFLOP/s", 1e-12 * flops / theirs, "%dx%dx%d %s", p.m, p.n,
                   p.k, short_kinds[kind]);
            if (flops / theirs > product_peak) product_peak = flops / theirs;
        }
        stop_on_error("a product");
        printf("\n");
        fflush(stdout);
        free_product(&p);
    }
    if (product_peak > 0)
        printf("             the most that cuBLAS does here: %.0f TFLOP/s\n", 1e-12 * product_peak);
    if (hopper) grpo_cuda_hopper()->close(hopper);
    printf("\n");
}

/* ---- attention: `num` prompts of `length`, causal */
static void run_attention(void *job) { backend->attention(context, (const grpo_attention *)job); }
static void run_attention_backward(void *job) {
    backend->attention_backward(context, (const grpo_attention *)job);
}

/* num prompts, one after another, each row's K and V in the slot of its number. */
static grpo_rows causal_rows(int num, int length) {
    int n = num * length, i;
    int *numbers = (int *)malloc(grpo__size(n + num + 2, 1) * sizeof(int));
    grpo_segment *segments = (grpo_segment *)calloc((size_t)num, sizeof *segments);
    void *on_device = room((size_t)num * sizeof *segments);
    grpo_rows rows;
    if (!numbers || !segments) { puts("bench: no memory"); exit(1); }
    memset(&rows, 0, sizeof rows);
    rows.num_rows = n; rows.num_segments = rows.num_groups = num;
    rows.num_slots = (n + 31) / 32 * 32;
    rows.max_keys = length;
    for (i = 0; i < n; i++) numbers[i] = i;
    rows.slots = rows.positions = rows.tokens = (const int *)integers(numbers, (size_t)n);
    rows.groups = (const int *)integers(numbers, (size_t)num + 1);
    for (i = 0; i < num; i++) {
        segments[i].row = segments[i].own = i * length;
        segments[i].num_rows = length;
    }
    backend->upload(context, on_device, segments, (size_t)num * sizeof *segments);
    rows.segments = (const grpo_segment *)on_device;
    free(numbers);
    free(segments);
    return rows;
}

static void attention_of(const int shape[5]) {
    int num = shape[0], length = shape[1], heads = shape[2], kv_heads = shape[3], d = shape[4];
    grpo_attention a;
    void *dy;
    size_t q, kv;
    double flops = 4.0 * num * heads * d * (0.5 * length * (length + 1.0)), forward, backward;
    grpo_rows rows = causal_rows(num, length);
    memset(&a, 0, sizeof a);
    a.rows = &rows;
    a.heads.num_heads = heads; a.heads.num_kv_heads = kv_heads; a.heads.head_dim = d;
    q = grpo__size(rows.num_rows, heads * d);
    kv = grpo__size(rows.num_slots, kv_heads * d);
    a.q = elements(q); a.k = elements(kv); a.v = elements(kv); dy = elements(q); a.dy = dy;
    a.y = elements(q); a.dq = elements(q); a.dk = elements(kv); a.dv = elements(kv);
    a.lse = (float *)room(grpo__size(rows.num_rows, heads) * sizeof(float));
    forward = seconds_of(run_attention, &a);
    backward = seconds_of(run_attention_backward, &a);
    stop_on_error("attention");
    printf("             %2d x %4d, %2d heads (%d) of %3d: forward %6.1f TFLOP/s, backward %6.1f\n",
           num, length, heads, kv_heads, d, 1e-12 * flops / forward, 2.5e-12 * flops / backward);
    fflush(stdout);
    record("attention", "TFLOP/s", 1e-12 * flops / forward, "%dx%d h%d/%d d%d forward", num,
           length, heads, kv_heads, d);
    record("attention", "TFLOP/s", 2.5e-12 * flops / backward, "%dx%d h%d/%d d%d backward", num,
           length, heads, kv_heads, d);
    backend->release(context, a.q); backend->release(context, a.k); backend->release(context, a.v);
    backend->release(context, a.y); backend->release(context, a.dq);
    backend->release(context, a.dk); backend->release(context, a.dv);
    backend->release(context, dy); backend->release(context, a.lse);
    backend->release(context, (void *)(uintptr_t)rows.slots);
    backend->release(context, (void *)(uintptr_t)rows.groups);
    backend->release(context, (void *)(uintptr_t)rows.segments);
}

static void attention(void) {
    static const int small[5] = { 2, 33, 2, 1, 16 };
    int i;
    printf("attention    causal: 2 products forward, 5 backward\n");
    if (quick) attention_of(small);
    for (i = 0; i < ATTENTION_SHAPES && !quick; i++) attention_of(attention_shapes[i]);
    printf("\n");
}

/* ---- what moves bytes */
typedef struct row_job {
    int n, width;
    void *a, *b, *c;
    float *f[4];
    int *rows, *tokens;
} row_job;

static void run_copy(void *job) {
    row_job *r = (row_job *)job;
    backend->gather(context, r->b, r->a, r->rows, r->n, grpo__size(r->width, 2));
}
static grpo_norm norm_of(const row_job *r) {
    const grpo_norm o = { r->a, NULL, r->f[1], 1e-6f, r->n, r->width, r->b, r->f[0], r->b, r->c,
                          r->f[2] };
    return o;
}
static void run_norm(void *job) {
    const grpo_norm o = norm_of((const row_job *)job);
    backend->rmsnorm(context, &o);
}
static void run_norm_backward(void *job) {
    const grpo_norm o = norm_of((const row_job *)job);
    backend->rmsnorm_backward(context, &o);
}
static void run_swiglu(void *job) {
    row_job *r = (row_job *)job;
    const grpo_swiglu o = { r->a, r->n / 2, r->width, r->b, NULL, NULL };
    backend->swiglu(context, &o);
}
static void run_swiglu_backward(void *job) {
    row_job *r = (row_job *)job;
    const grpo_swiglu o = { r->a, r->n / 2, r->width, NULL, r->b, r->c };
    backend->swiglu_backward(context, &o);
}
static void run_rotate(void *job) {
    row_job *r = (row_job *)job;
    grpo_rows rows;
    grpo_attention o;
    memset(&rows, 0, sizeof rows);
    memset(&o, 0, sizeof o);
    rows.num_rows = r->n;
    rows.positions = rows.slots = r->rows;
    o.rows = &rows; o.qkv = r->a; o.angles = r->f[1]; o.eps = 1e-6f;
    o.heads.num_heads = 12; o.heads.num_kv_heads = 2; o.heads.head_dim = r->width / 16;
    o.q = r->b; o.k = r->c; o.v = (char *)r->c + grpo__size(r->n, r->width);
    backend->rotate(context, &o);
}
static void run_embed_backward(void *job) {
    row_job *r = (row_job *)job;
    const grpo_embedding o = { r->tokens, r->n, r->width, NULL, NULL, r->a, r->f[0] };
    backend->embed_backward(context, &o);
}
static void run_from_floats(void *job) {
    row_job *r = (row_job *)job;
    backend->from_floats(context, r->b, r->f[0], grpo__size(r->n, r->width) / 4);
}
static void run_adamw(void *job) {
    row_job *r = (row_job *)job;
    const grpo_optimizer o = { r->f[0], r->f[2], r->f[3], r->f[1],
                               grpo__size(r->n, r->width) / 4, 1e-3f, 0.9f, 0.999f, 1e-8f, 0, 1,
                               3 };
    backend->adamw(context, &o);
}
static void run_squares(void *job) {
    row_job *r = (row_job *)job;
    backend->sum_of_squares(context, r->f[0], grpo__size(r->n, r->width) / 4);
}

static void bytes_line(const char *what, work run, row_job *r, double bytes) {
    double t = seconds_of(run, r);
    stop_on_error(what);
    if (run == run_copy) copy_peak = bytes / t;
    printf("             %-20s %7.0f GB/s (%3.0f%%)\n", what, 1e-9 * bytes / t,
           100 * bytes / t / copy_peak);
    record("rows", "GB/s", 1e-9 * bytes / t, "%s", what);
}

static void rows(void) {
    row_job r;
    double e = (double)backend->element_size, count;
    int i, *order;
    r.n = quick ? 8 : 65536;
    r.width = quick ? 64 : 1024;
    count = (double)r.n * r.width;
    order = (int *)malloc((size_t)r.n * sizeof *order);
    if (!order) { puts("bench: no memory"); exit(1); }
    for (i = 0; i < r.n; i++) order[i] = i;
    r.rows = (int *)integers(order, (size_t)r.n);
    for (i = 0; i < r.n; i++) order[i] = i * 7 % (r.n / 4);   /* tokens, each four times         */
    r.tokens = (int *)integers(order, (size_t)r.n);
    r.a = elements((size_t)count);
    r.b = elements((size_t)count);
    r.c = elements((size_t)count);
    for (i = 0; i < 4; i++) r.f[i] = (float *)room((size_t)count);
    printf("rows         bytes moved, as a share of a copy's\n");
    bytes_line("copy", run_copy, &r, 2 * 2 * count);
    bytes_line("norm", run_norm, &r, 2 * e * count);
    bytes_line("norm backward", run_norm_backward, &r, 4 * e * count);
    bytes_line("SwiGLU", run_swiglu, &r, 1.5 * e * count);
    bytes_line("SwiGLU backward", run_swiglu_backward, &r, 2.5 * e * count);
    bytes_line("RoPE", run_rotate, &r, 2 * e * count);
    bytes_line("embedding backward", run_embed_backward, &r, (e + 2) * count);
    bytes_line("weights to elements", run_from_floats, &r, (4 + e) * count / 4);
    bytes_line("AdamW", run_adamw, &r, 7 * count);
    bytes_line("gradient norm", run_squares, &r, count);
    backend->release(context, r.a); backend->release(context, r.b); backend->release(context, r.c);
    for (i = 0; i < 4; i++) backend->release(context, r.f[i]);
    backend->release(context, r.rows);
    backend->release(context, r.tokens);
    free(order);
    printf("\n");
}

/* ---- the same bits: of the sampler and the trainer, and of two runs */
typedef struct sameness { double equal, count; uint64_t before, after; } sameness;

static uint64_t hash_of_weights(grpo *g) {                    /* FNV-1a, 32 bits at a time       */
    enum { BLOCK = 1 << 20 };
    uint32_t *words = (uint32_t *)malloc(BLOCK * sizeof *words);
    uint64_t hash = 0xcbf29ce484222325u;
    size_t at, n, i;
    if (!words) { puts("bench: no memory"); exit(1); }
    for (at = 0; at < g->num_trained; at += n) {
        n = g->num_trained - at < BLOCK ? g->num_trained - at : BLOCK;
        backend->download(g->machinery->context, words, g->machinery->trained + at,
                          n * sizeof *words);
        for (i = 0; i < n; i++) hash = (hash ^ words[i]) * 0x100000001b3u;
    }
    free(words);
    return hash;
}

/* Steps from the first weights on. The rollout's log-probs are computed once more by
 * grpo_forward(), which takes whole sequences together. */
static sameness run_of(const size *s, int num_steps) {
    sameness r = { 0, 0, 0, 0 };
    grpo_config c = config_of(s, 0);
    grpo_prompt *p = prompts_of(s, 0);
    grpo *g;
    float *again;
    int i, t, n;
    c.learning_rate = 1e-4f;
    c.memory_budget = memory_budget;
    g = policy_of(&c);
    r.before = hash_of_weights(g);
    for (i = 0; i < num_steps; i++) {
        check_code(g, grpo_rollout(g, p, s->prompts));
        n = g->batch.offsets[g->batch.num_sequences];
        again = (float *)calloc((size_t)n, sizeof *again);
        if (!again) { puts("bench: no memory"); exit(1); }
        check_code(g, grpo_forward(g, GRPO_POLICY, again, NULL));
        for (t = 0; t < n; t++) r.equal += !memcmp(&again[t], &g->batch.logprobs[t], sizeof *again);
        r.count += n;
        free(again);
        check_code(g, grpo_score(g));
        check_code(g, grpo_advantage(g));
        check_code(g, grpo_update(g, NULL));
    }
    r.after = hash_of_weights(g);
    free_prompts(p);
    grpo_free(g);
    return r;
}

static void same_of(const grpo_backend *b, const size *model) {
    size s = *model;
    sameness one, two;
    int num_steps = quick ? 2 : 3, equal, repeats;
    if (!quick) { s.prompts = 4; s.group = 16; }
    if (!quick && b == grpo_cuda_fp32()) { s.group = 4; s.completion = 64; }    /* slow kernels   */
    backend = b;
    one = run_of(&s, num_steps);
    equal = one.equal == one.count;
    printf("             %-11s %-5s log-probs of rollouts, computed again: %.0f of %.0f are equal%s"
           "\n", b->name, s.name, one.equal, one.count, equal ? "" : ": FAILED");
    fflush(stdout);
    record("same", "equal", one.equal, "%s %s", b->name, s.name);
    record("same", "of", one.count, "%s %s", b->name, s.name);
    two = run_of(&s, num_steps);
    repeats = one.after == two.after && one.after != one.before;
    printf("             %-11s %-5s weights after %d steps: %016llx, again %016llx%s\n", b->name,
           s.name, num_steps, (unsigned long long)one.after, (unsigned long long)two.after,
           repeats ? "" : one.after == one.before ? ": FAILED, as at first" : ": FAILED");
    fflush(stdout);
    record("same", "runs", repeats, "%s %s", b->name, s.name);
    if (!equal || !repeats) not_same = 1;
    backend = grpo_cuda();
}

static int has_hopper(void) {
    char error[GRPO_ERROR_LENGTH] = "";
    grpo_config c = grpo_defaults();
    void *hopper = grpo_cuda_hopper()->open(&c, error);
    if (hopper) grpo_cuda_hopper()->close(hopper);
    return hopper != NULL;
}

static void same(void) {
    int i;
    printf("same         bits: the sampler's and the trainer's; of two runs\n");
    for (i = 0; i < (quick ? 1 : 2); i++) {
        if (!size_of(i)) continue;
        same_of(grpo_cuda(), size_of(i));
        if (has_hopper()) same_of(grpo_cuda_hopper(), size_of(i));
    }
    if (size_of(3)) same_of(grpo_cuda_fp32(), size_of(3));
    printf("\n");
}

/* ---- whole rollouts and steps */
/* Milliseconds a token of each of several sequences, the best of several rollouts. */
static void decode_of(const size *model) {
    static const int batches[] = { 1, 8, 64, 256 };
    size s = *model;
    grpo_config c;
    grpo_prompt *p;
    grpo *g;
    int i, count = quick ? 1 : strcmp(s.name, "0.6B") ? 3 : 4;
    s.prompts = quick ? 4 : batches[count - 1];
    s.group = 1; s.prompt = 1; s.completion = quick ? 4 : 33;
    c = config_of(&s, 0);
    c.objective.beta = 0;
    c.memory_budget = memory_budget;
    g = policy_of(&c);
    p = prompts_of(&s, 0);
    for (i = 0; i < count; i++) {
        int b = quick ? s.prompts : batches[i];
        double best = token_seconds(g, p, b, s.completion, quick ? 2 : 8);
        double bytes = weights_read(&s) * (double)backend->element_size;
        printf("             %-5s batch %3d: %7.3f ms   %5.0f GB/s", s.name, b, 1e3 * best,
               1e-9 * bytes / best);
        if (copy_peak > 0) printf(" (%3.0f%%)", 100 * bytes / best / copy_peak);
        printf("   %.0f tokens/s\n", b / best);
        fflush(stdout);
        record("decode", "ms", 1e3 * best, "%s batch %d", s.name, b);
        record("decode", "GB/s", 1e-9 * bytes / best, "%s batch %d", s.name, b);
    }
    free_prompts(p);
    grpo_free(g);
}

static void decode(void) {
    int i;
    printf("decode       ms a token of each sequence; weights read in GB/s (share of a copy)\n");
    for (i = 0; i < (quick ? 1 : SIZES); i++) if (size_of(i)) decode_of(size_of(i));
    printf("\n");
}

static times steps[SIZES];

static times step_of(const char *part, const size *s) {
    grpo_config c = config_of(s, 0);
    double f = forward_flops(s), tokens = (double)s->prompts * s->group * s->completion, gb;
    times t;
    c.memory_budget = memory_budget;
    t = time_steps(s, &c, 0, quick ? 0 : 3);
    gb = (double)t.memory.total / 1e9;
    printf("             %-5s %.4f = %.4f + %.4f + %.4f s   tokens/s: rollout %.0f, update %.0f, "
           "step %.0f   memory %.2f GB%s\n", s->name, t.step, t.rollout, t.score, t.update,
           tokens / t.rollout, tokens / t.update, tokens / t.step, gb,
           backend == grpo_cuda_hopper() ? "   by wgmma" : "");
    if (product_peak > 0)
        printf("                   of %.0f TFLOP/s: sampling %.1f%%, reference %.1f%%, update "
               "%.1f%%\n", 1e-12 * product_peak, 100 * f / t.rollout / product_peak,
               100 * f / t.score / product_peak, 200 * f / t.update / product_peak);
    fflush(stdout);
    record(part, "s", t.rollout, "%s rollout", s->name);
    record(part, "s", t.score, "%s reference", s->name);
    record(part, "s", t.update, "%s update", s->name);
    record(part, "s", t.step, "%s step", s->name);
    record(part, "GB", gb, "%s memory", s->name);
    return t;
}

static void step(void) {
    int i, hopper = has_hopper();
    printf("step         one GRPO step: rollout + reference + update; share of the largest "
           "product\n");
    for (i = 0; i < (quick ? 1 : SIZES); i++) {
        if (!size_of(i)) continue;
        steps[i] = step_of("step", size_of(i));
        if (!hopper || i > 1) continue;
        backend = grpo_cuda_hopper();
        step_of("step.hopper", size_of(i));
        backend = grpo_cuda();
    }
    printf("\n");
}

/* ---- PyTorch on the same card */
static void torch(void) {
    char line[256];
    FILE *pipe = popen(quick ? "python3 tests/bench/torch_cuda.py --quick 2>&1"
                             : "python3 tests/bench/torch_cuda.py 2>&1", "r");
    while (pipe && fgets(line, sizeof line, pipe)) {
        char name[16];
        double rollout, reference, update, gb;
        int i;
        printf("torch        %s", line);
        if (sscanf(line, "step %15s rollout %lf reference %lf update %lf memory_gb %lf", name,
                   &rollout, &reference, &update, &gb) != 5) continue;
        for (i = 0; i < SIZES; i++)
            if (!strcmp(name, sizes[i].name) && steps[i].step > 0)
                printf("             grpo.h: rollout %.2fx, reference %.2fx, update %.2fx as fast, "
                       "in %.2fx the memory\n", rollout / steps[i].rollout,
                       reference / steps[i].score, update / steps[i].update,
                       (double)steps[i].memory.total / 1e9 / gb);
    }
    if (pipe) pclose(pipe);
}

int main(int argc, char **argv) {
    const char *parts[16];
    char error[GRPO_ERROR_LENGTH] = "";
    grpo_config c = grpo_defaults();
    int i, n = 0;
    for (i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--quick")) quick = 1;
        else if (!strcmp(argv[i], "--size")) { only = value; i++; }
        else if (!strcmp(argv[i], "--memory")) { memory_budget = (size_t)(1e6 * atof(value)); i++; }
        else if (!strcmp(argv[i], "--tsv")) {
            if (!(tsv = fopen(value, "ab"))) {
                printf("bench: %s cannot be written\n", value);
                return 2;
            }
            i++;
        }
        else if (n < 16) parts[n++] = argv[i];
    }
    backend = grpo_cuda();
    c.model.vocab_size = 16;
    context = backend->open(&c, error);
    if (!context) {
        printf("skipped: %s\n", error);
        return 0;
    }
#define PART(name, call)                                                                        \
    for (i = 0; i < n && strcmp(parts[i], name); i++) { }                                       \
    if (n == 0 || i < n) { call; fflush(stdout); }
    PART("same", same())
    PART("product", product())
    PART("attention", attention())
    PART("rows", rows())
    PART("decode", decode())
    PART("step", step())
    PART("torch", torch())
    backend->close(context);
    return not_same;
}
