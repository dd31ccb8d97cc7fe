/* cuda - how fast grpo_cuda.cu is on this card, and how far that is from what the card can do.
 *
 *   make cuda-bench                         everything, under eight minutes
 *   build/cuda_bench [--quick] [part ...]   parts: product attention rows decode step torch
 *
 * Limits are measured on the same card in the same process: a copy of memory for all that moves
 * bytes, and for products the largest that cuBLAS does here, where the toolkit has it (cuBLAS is
 * loaded while running; nothing needs it). PyTorch comes last, where python3 has it with CUDA.
 * FLOPs are the necessary ones. --quick: small shapes once, to see that it works. */
#define _XOPEN_SOURCE 700           /* popen */
#include "tests/bench/steps.h"
#ifndef GRPO_CUDA_SHIM
#include <dlfcn.h>
int cudaDeviceSynchronize(void);    /* all that is needed of cuda_runtime_api.h                  */
#endif

static const size sizes[] = {       /* the shapes of stories15M, SmolLM2-135M and Qwen2.5-0.5B   */
    { "15M", 288, 6, 6, 6, 768, 32000, 0, 4, 16, 64, 256 },
    { "135M", 576, 30, 9, 3, 1536, 49152, 0, 4, 16, 64, 256 },
    { "0.5B", 896, 24, 14, 2, 4864, 151936, 1, 4, 16, 64, 256 } };
static const size tiny[] = { { "tiny", 64, 1, 2, 1, 96, 64, 1, 2, 2, 4, 4 } };

static int quick;
static void *context;               /* of the backend, for its single operations                 */
static double copy_peak, product_peak;                        /* bytes/s, FLOP/s                 */

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
    memset(&p, 0, sizeof p);
    p.m = m; p.n = n; p.k = k;
    p.x = elements(grpo__size(m, k));
    p.y = elements(grpo__size(m, n));
    p.dw = (float *)room(grpo__size(n, k) * sizeof(float));
    p.w.rows = p.w.y_stride = n; p.w.cols = k;
    p.w.weights = (float *)room(grpo__size(n, k) * sizeof(float));
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
    static const int shapes[][3] = {          /* m, n, k: rows, out, in                          */
        { 4096, 4096, 4096 }, { 8192, 1152, 896 }, { 8192, 896, 896 }, { 8192, 9728, 896 },
        { 8192, 896, 4864 }, { 2048, 151936, 896 }, { 8192, 3072, 576 }, { 8192, 576, 1536 },
        { 64, 9728, 896 }, { 64, 896, 4864 }, { 1, 9728, 896 } };
    static const int small[][3] = { { 33, 40, 24 } };
    const int (*list)[3] = quick ? small : shapes;
    int count = quick ? 1 : (int)(sizeof shapes / sizeof *shapes), i, kind, has = find_cublas();
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
            if (!has) continue;
            theirs = cublas_seconds(&p);
            printf(" (%3.0f%%", 100 * theirs / ours);
            if (hopper) printf(", %3.0f%%", 100 * theirs / wide);
            printf(")");
            if (flops / theirs > product_peak) product_peak = flops / theirs;
        }
        stop_on_error("a product");
        printf("\n");
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

static void attention_of(int num, int length, int heads, int kv_heads, int d) {
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
    backend->release(context, a.q); backend->release(context, a.k); backend->release(context, a.v);
    backend->release(context, a.y); backend->release(context, a.dq);
    backend->release(context, a.dk); backend->release(context, a.dv);
    backend->release(context, dy); backend->release(context, a.lse);
    backend->release(context, (void *)(uintptr_t)rows.slots);
    backend->release(context, (void *)(uintptr_t)rows.groups);
    backend->release(context, (void *)(uintptr_t)rows.segments);
}

static void attention(void) {
    printf("attention    causal: 2 products forward, 5 backward\n");
    if (quick) attention_of(2, 33, 2, 1, 16);
    else {
        attention_of(16, 1024, 16, 16, 64);
        attention_of(16, 1024, 16, 16, 128);
        attention_of(16, 1024, 14, 2, 64);
        attention_of(64, 320, 14, 2, 64);
        attention_of(4, 4096, 16, 16, 128);
    }
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
    bytes_line("norm, backward", run_norm_backward, &r, 4 * e * count);
    bytes_line("SwiGLU", run_swiglu, &r, 1.5 * e * count);
    bytes_line("SwiGLU, backward", run_swiglu_backward, &r, 2.5 * e * count);
    bytes_line("RoPE", run_rotate, &r, 2 * e * count);
    bytes_line("embedding, backward", run_embed_backward, &r, (e + 2) * count);
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

/* ---- whole rollouts and steps */
static void decode(void) {
    const size *list = quick ? tiny : sizes;
    int i, b, count = quick ? 1 : 3;
    printf("decode       ms a token of each sequence; weights read in GB/s (share of a copy)\n");
    for (i = 0; i < count; i++)
        for (b = 1; b <= (quick ? 4 : 64); b *= quick ? 4 : 8) {
            double t = decode_seconds(&list[i], b, 0);
            double bytes = weights_read(&list[i]) * (double)backend->element_size;
            printf("             %-5s batch %2d: %7.3f ms   %5.0f GB/s", list[i].name, b, 1e3 * t,
                   1e-9 * bytes / t);
            if (copy_peak > 0) printf(" (%3.0f%%)", 100 * bytes / t / copy_peak);
            printf("   %.0f tokens/s\n", b / t);
        }
    printf("\n");
}

static times steps[3];

static void step(void) {
    const size *list = quick ? tiny : sizes;
    int i, count = quick ? 1 : 3;
    printf("step         one GRPO step: rollout + reference + update; share of the largest "
           "product\n");
    for (i = 0; i < count; i++) {
        const size *s = &list[i];
        grpo_config c = config_of(s, 0);
        double f = forward_flops(s), tokens = (double)s->prompts * s->group * s->completion;
        times t = steps[i] = time_steps(s, &c, 0, quick ? 0 : 3);
        printf("             %-5s %.4f = %.4f + %.4f + %.4f s   tokens/s: rollout %.0f, update "
               "%.0f, step %.0f   memory %.2f GB\n", s->name, t.step, t.rollout, t.score, t.update,
               tokens / t.rollout, tokens / t.update, tokens / t.step,
               (double)t.memory.total / 1e9);
        if (product_peak > 0)
            printf("                   of %.0f TFLOP/s: sampling %.1f%%, reference %.1f%%, update "
                   "%.1f%%\n", 1e-12 * product_peak, 100 * f / t.rollout / product_peak,
                   100 * f / t.score / product_peak, 200 * f / t.update / product_peak);
        fflush(stdout);
    }
    printf("\n");
}

/* ---- PyTorch on the same card */
static void torch(void) {
    char line[256];
    FILE *pipe = popen("python3 tests/bench/torch_cuda.py 2>&1", "r");
    while (pipe && fgets(line, sizeof line, pipe)) {
        char name[16];
        double rollout, reference, update, gb;
        int i;
        printf("torch        %s", line);
        if (sscanf(line, "step %15s rollout %lf reference %lf update %lf memory_gb %lf", name,
                   &rollout, &reference, &update, &gb) != 5) continue;
        for (i = 0; i < 3; i++)
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
        if (!strcmp(argv[i], "--quick")) quick = 1;
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
    PART("product", product())
    PART("attention", attention())
    PART("rows", rows())
    PART("decode", decode())
    PART("step", step())
    PART("torch", torch())
    backend->close(context);
    return 0;
}
