/* Each row of the GPU's two tables against the CPU's, over ragged shapes; the same bits from two
 * runs, from any tile and from a team of processes; a whole training run; what happens when the
 * device fails. On a card (make cuda-test) or, on tiny shapes, on the CPU's stand-in for one
 * (tests/cuda_shim.h).
 *
 *   test_cuda [--quick | --small] [table ...] [part ...]
 *
 * tables: fp32 bf16 hopper; parts: team products repeat tiles rows sums attention decode flat head
 * derivatives training failures; none: all. --small: a few cases of each, the smallest that come to
 * every barrier (tests/cuda_barriers.sh) */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE                 /* fork, for a team of processes */
#endif
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"
#include "examples/tool/processes.h"
#include <float.h>

#ifdef GRPO_CUDA_SHIM
void grpo_shim_inject(int malloc_fails_in, int launch_faults_in, int no_device);
long grpo_shim_allocated(void), grpo_shim_graphs(void);
void grpo_shim_refuse_graphs(int refuse), grpo_shim_choose(int device);
#endif

static int tiny;                    /* few and small cases: for the stand-in, for --quick        */
static int small;                   /* fewer, for --small                                        */
static const char *const *asked;    /* parts, by name; none: all                                 */
static int num_asked;

/* ---- one operation on both backends. Inputs are rounded to what the device stores. */
typedef struct side { const grpo_backend *b; void *context; } side;

static side cpu, gpu;
static uint64_t stream, counter;

static float noise(void) { return 2 * grpo_uniform(7, stream, 0, 0, counter++) - 1; }

/* Is a part of the test to be run? Each has random numbers of its own. */
static int wanted(const char *part) {
    int i;
    for (stream = counter = 0; part[counter]; counter++)
        stream = 31 * stream + (uint64_t)part[counter];
    for (counter = 0, i = 0; i < num_asked && strcmp(asked[i], part); i++) { }
    return num_asked == 0 || i < num_asked;
}

static int is_bf16(void) { return gpu.b->element_size == 2; }

/* n numbers of size scale, as elements can hold them. */
static float *random_floats(size_t n, float scale) {
    float *x = (float *)malloc((n + 1) * sizeof *x);
    size_t i;
    for (i = 0; i < n; i++) {
        x[i] = scale * noise();
        if (is_bf16()) {
            uint32_t bits;
            memcpy(&bits, &x[i], 4);
            bits &= 0xffff0000u;
            memcpy(&x[i], &bits, 4);
        }
    }
    return x;
}

static void *to_side(side s, const void *x, size_t bytes) {
    void *to = s.b->allocate(s.context, bytes + 16);
    s.b->upload(s.context, to, x, bytes);
    return to;
}
static float *floats_to(side s, const float *x, size_t n) {
    return (float *)to_side(s, x, n * sizeof *x);
}
static int *ints_to(side s, const int *x, size_t n) { return (int *)to_side(s, x, n * sizeof *x); }

static void *elements_to(side s, const float *x, size_t n) {
    float *staged = floats_to(s, x, n);
    void *to = s.b->allocate(s.context, n * s.b->element_size + 16);
    s.b->from_floats(s.context, to, staged, n);
    s.b->release(s.context, staged);
    return to;
}
static void floats_from(side s, float *to, const float *x, size_t n) {
    s.b->download(s.context, to, x, n * sizeof *to);
}
static void elements_from(side s, float *to, const void *x, size_t n) {
    float *staged = (float *)s.b->allocate(s.context, n * sizeof *to + 16);
    s.b->to_floats(s.context, staged, x, n);
    floats_from(s, to, staged, n);
    s.b->release(s.context, staged);
}

/* Everything an operation may touch, on one side. */
enum { ARRAYS = 15 };
typedef struct operands { void *p[ARRAYS]; } operands;
typedef struct array { float *x; size_t n; char kind; } array;    /* E elements, F floats, I ints */

static array elements(float *x, size_t n) { array a = { x, n, 'E' }; return a; }
static array floats(float *x, size_t n) { array a = { x, n, 'F' }; return a; }
static array ints(int *x, size_t n) { array a = { (float *)(void *)x, n, 'I' }; return a; }

static operands place(side s, const array *arrays, int n) {
    operands o;
    int i;
    memset(&o, 0, sizeof o);
    for (i = 0; i < n; i++)
        o.p[i] = arrays[i].kind == 'E' ? elements_to(s, arrays[i].x, arrays[i].n)
               : to_side(s, arrays[i].x, arrays[i].n * 4);
    return o;
}
static void drop(side s, operands *o) {
    int i;
    for (i = 0; i < ARRAYS; i++) if (o->p[i]) s.b->release(s.context, o->p[i]);
}

/* Largest difference of array i, relative to its largest number. */
static double difference(const array *a, void *x, void *y) {
    float *p = (float *)malloc((a->n + 1) * sizeof *p);
    float *q = (float *)malloc((a->n + 1) * sizeof *q);
    double worst = 0, most = 1e-30;
    size_t i;
    if (a->kind == 'E') { elements_from(cpu, p, x, a->n); elements_from(gpu, q, y, a->n); }
    else { floats_from(cpu, p, (float *)x, a->n); floats_from(gpu, q, (float *)y, a->n); }
    for (i = 0; i < a->n; i++) {
        double d = fabs((double)p[i] - (double)q[i]);
        if (!(d < 1e30)) { worst = HUGE_VAL; break; }         /* NaN must not be forgotten       */
        if (d > worst) worst = d;
        if (fabs((double)p[i]) > most) most = fabs((double)p[i]);
    }
    free(p);
    free(q);
    return worst / most;
}

static double worst_of[2];

/* The outputs among the arrays agree; E's to what an element can hold, F's to fp32 (or, if they are
 * sums over rounded products, to the tolerance given). */
static void compare(const char *what, const array *arrays, const char *outputs, operands *a,
                    operands *b, double tolerance) {
    int i;
    for (; *outputs; outputs++) {
        double d, limit = tolerance;
        i = *outputs <= '9' ? *outputs - '0' : *outputs - 'a' + 10;
        if (is_bf16() && arrays[i].kind == 'E' && limit < 0.008) limit = 0.008;
        d = difference(&arrays[i], a->p[i], b->p[i]);
        if (d > worst_of[is_bf16()]) worst_of[is_bf16()] = d;
        CHECK(d <= limit, "%s, %s: output %d differs by %.3g of its size", gpu.b->name, what, i, d);
    }
}

/* One operation, by a callback, on both sides. */
typedef void (*operation)(side s, operands *o, const void *more);

static void both(const char *what, operation run, const void *more, array *arrays, int n,
                 const char *outputs, double tolerance) {
    operands a = place(cpu, arrays, n), b = place(gpu, arrays, n);
    int i;
    run(cpu, &a, more);
    run(gpu, &b, more);
    CHECK(!gpu.b->error(gpu.context), "%s: %s", what, gpu.b->error(gpu.context));
    compare(what, arrays, outputs, &a, &b, tolerance);
    drop(cpu, &a);
    drop(gpu, &b);
    for (i = 0; i < n; i++) free(arrays[i].x);
}

static float *zeros(size_t n) { return (float *)calloc(n + 1, sizeof(float)); }

static int *numbers(int n, int below) {
    int *x = (int *)malloc((size_t)(n + 1) * sizeof *x), i;
    for (i = 0; i < n; i++) x[i] = (int)((float)below * 0.5f * (noise() + 1)) % below;
    return x;
}

/* ---- rows */
typedef struct size2 { int n, width; } size2;

static void run_embed(side s, operands *o, const void *more) {
    const size2 *z = (const size2 *)more;
    const grpo_embedding e = { o->p[1], z->n, z->width, o->p[0], o->p[2], o->p[3], o->p[4] };
    s.b->embed(s.context, &e);
    s.b->embed_backward(s.context, &e);
}
static void run_norm(side s, operands *o, const void *more) {
    const size2 *z = (const size2 *)more;
    const grpo_norm norm = { o->p[0], o->p[2], o->p[1], 1e-5f, z->n, z->width, o->p[3], o->p[4],
                             o->p[5], o->p[6], o->p[7] };
    s.b->rmsnorm(s.context, &norm);
    s.b->rmsnorm_backward(s.context, &norm);
}
static void run_swiglu(side s, operands *o, const void *more) {
    const size2 *z = (const size2 *)more;
    const grpo_swiglu swiglu = { o->p[0], z->n, z->width, o->p[1], o->p[2], o->p[3] };
    s.b->swiglu(s.context, &swiglu);
    s.b->swiglu_backward(s.context, &swiglu);
}
static void run_gather(side s, operands *o, const void *more) {
    const size2 *z = (const size2 *)more;
    s.b->gather(s.context, o->p[2], o->p[0], (int *)o->p[1], z->n,
                (size_t)z->width * s.b->element_size);
}

static int *reversed(int n) {
    int *x = (int *)malloc((size_t)(n + 1) * sizeof *x), i;
    for (i = 0; i < n; i++) x[i] = n - 1 - i;
    return x;
}

/* Tokens of which every third row's is the same. */
static int *tokens_below(int n, int below) {
    int *x = numbers(n, below), i;
    for (i = 0; i < n; i += 3) x[i] = below / 2;
    return x;
}

static void test_rows(void) {
    const size2 sizes[] = { { 1, 8 }, { 5, 12 }, { 17, 40 }, { 3, 300 }, { 70, 64 }, { 700, 24 },
                            { 257, 13 }, { 40, 1040 }, { 37, 2051 }, { 2, 8208 }, { 9, 3000 } };
    const size2 few[] = { { 9, 300 }, { 257, 13 }, { 34, 1040 } };
    size_t i, count = small ? sizeof few / sizeof *few : sizeof sizes / sizeof *sizes;
    for (i = 0; i < count; i++) {
        size2 z = small ? few[i] : sizes[i];
        size_t all = (size_t)z.n * (size_t)z.width, w = (size_t)z.width, n = (size_t)z.n;
        array embed[5], norm[8], swiglu[4], gather[3];
        embed[0] = floats(random_floats(9 * w, 1), 9 * w); embed[1] = ints(tokens_below(z.n, 9), n);
        embed[2] = elements(zeros(all), all); embed[3] = elements(random_floats(all, 1), all);
        embed[4] = floats(random_floats(9 * w, 1), 9 * w);
        both("embedding", run_embed, &z, embed, 5, "24", 0);    /* in the order of rows       */
        norm[0] = elements(random_floats(all, 1), all); norm[1] = floats(random_floats(w, 1), w);
        norm[2] = ints(reversed(z.n), n); norm[3] = elements(zeros(all), all);
        norm[4] = floats(zeros(n), n); norm[5] = elements(random_floats(all, 1), all);
        norm[6] = elements(random_floats(all, 1), all); norm[7] = floats(random_floats(w, 1), w);
        both("norm", run_norm, &z, norm, 8, "3467", 4e-6);
        swiglu[0] = elements(random_floats(2 * all, 6), 2 * all);
        swiglu[1] = elements(zeros(all), all); swiglu[2] = elements(random_floats(all, 1), all);
        swiglu[3] = elements(zeros(2 * all), 2 * all);
        both("swiglu", run_swiglu, &z, swiglu, 4, "13", 2e-6);
        gather[0] = elements(random_floats(all, 1), all); gather[1] = ints(numbers(z.n, z.n), n);
        gather[2] = elements(zeros(all), all);
        both("gather", run_gather, &z, gather, 3, "2", 0);
    }
}

/* The same bits, and numbers: two NaN must not pass for the same result. */
static int same_floats(const float *a, const float *b, size_t n) {
    size_t i;
    for (i = 0; i < n && fabsf(a[i]) <= FLT_MAX; i++) { }
    return i == n && !memcmp(a, b, n * sizeof *a);
}

/* Some elements of one array are those of another, from number at on. */
static void same_elements(const char *what, int width, const void *x, size_t at, const void *part,
                          size_t n) {
    const char *from = (const char *)x + at * gpu.b->element_size;
    float *p = zeros(n), *q = zeros(n);
    elements_from(gpu, p, from, n);
    elements_from(gpu, q, part, n);
    CHECK(same_floats(p, q, n), "%s: %s, width %d, from %zu: not the bits of its row alone",
          gpu.b->name, what, width, at);
    free(p);
    free(q);
}

static void *at_element(void *x, size_t at) { return (char *)x + at * gpu.b->element_size; }

/* One row, or few, computed alone are the same bits as among many. */
static void test_alone(int width) {
    enum { ROWS = 37 };
    size_t w = (size_t)width, all = ROWS * w, r;
    const grpo_backend *b = gpu.b;
    void *c = gpu.context;
    float *host = random_floats(2 * all, 3);
    void *x = elements_to(gpu, host, 2 * all), *y = elements_to(gpu, host, 2 * all);
    void *one = elements_to(gpu, host, 2 * all), *dx = elements_to(gpu, host, all);
    float *gain = floats_to(gpu, host, w), *rstd = floats_to(gpu, host, ROWS);
    int *order = reversed(ROWS), *rows = ints_to(gpu, order, ROWS);
    for (r = 0; r < ROWS; r += 9) {
        int few = r % 2 ? 9 : 1;
        size_t n = (size_t)few * w;
        const grpo_norm some = { x, rows + r, gain, 1e-5f, few, width, one, rstd, NULL, NULL,
                                 NULL };
        const grpo_norm all_rows = { x, rows, gain, 1e-5f, ROWS, width, y, rstd, NULL, NULL, NULL };
        const grpo_norm back = { y, NULL, gain, 1e-5f, 1, width, NULL, rstd, x, dx, NULL };
        const grpo_norm back_of_more = { y, NULL, gain, 1e-5f, 1 + (int)r, width, NULL, rstd, x,
                                         one, NULL };
        const grpo_swiglu swiglu = { x, ROWS, width, y, NULL, NULL };
        const grpo_swiglu part = { at_element(x, 2 * r * w), few, width, one, NULL, NULL };
        const grpo_swiglu swiglu_back = { x, ROWS, width, NULL, x, y };
        const grpo_swiglu part_back = { at_element(x, 2 * r * w), few, width, NULL,
                                        at_element(x, r * w), one };
        b->rmsnorm(c, &some);
        b->rmsnorm(c, &all_rows);
        same_elements("norm", width, y, r * w, one, n);
        b->from_floats(c, dx, gain, w);
        b->from_floats(c, one, gain, w);
        b->rmsnorm_backward(c, &back);
        b->rmsnorm_backward(c, &back_of_more);
        same_elements("norm, backward", width, one, 0, dx, w);
        b->swiglu(c, &swiglu);
        b->swiglu(c, &part);
        same_elements("swiglu", width, y, r * w, one, n);
        b->swiglu_backward(c, &swiglu_back);
        b->swiglu_backward(c, &part_back);
        same_elements("swiglu, backward", width, y, 2 * r * w, one, 2 * n);
    }
    b->release(c, x); b->release(c, y); b->release(c, one); b->release(c, dx);
    b->release(c, gain); b->release(c, rstd); b->release(c, rows);
    free(host);
    free(order);
}

/* Rotation of all rows, or of each alone, into slots in another order. */
static void test_rotate_alone(grpo_heads h) {
    enum { ROWS = 37 };
    size_t d = (size_t)h.head_dim, q_row = (size_t)h.num_heads * d, r;
    size_t kv_row = (size_t)h.num_kv_heads * d, row = q_row + 2 * kv_row;
    float *host = random_floats(ROWS * row, 2);
    void *c = gpu.context, *qkv = elements_to(gpu, host, ROWS * row), *part[2][3];
    float *angles = floats_to(gpu, host, 32 * d), *gain = floats_to(gpu, host, d);
    int *numbers_of[2] = { numbers(ROWS, 32), reversed(ROWS) }, i;
    int *positions = ints_to(gpu, numbers_of[0], ROWS), *slots = ints_to(gpu, numbers_of[1], ROWS);
    grpo_attention o;
    grpo_rows rows;
    memset(&o, 0, sizeof o);
    memset(&rows, 0, sizeof rows);
    rows.num_rows = ROWS; rows.positions = positions; rows.slots = slots;
    for (i = 0; i < 6; i++) part[i / 3][i % 3] = elements_to(gpu, host, ROWS * q_row);
    o.rows = &rows; o.heads = h; o.qkv = qkv; o.angles = angles; o.q_gain = o.k_gain = gain;
    o.eps = 1e-5f; o.q = part[0][0]; o.k = part[0][1]; o.v = part[0][2];
    gpu.b->rotate(c, &o);
    o.q = part[1][0]; o.k = part[1][1]; o.v = part[1][2];
    rows.num_rows = 1;
    for (r = 0; r < ROWS; r++, rows.positions++, rows.slots++) {
        o.qkv = at_element(qkv, r * row);
        gpu.b->rotate(c, &o);
        same_elements("rotate", h.head_dim, part[0][0], r * q_row, part[1][0], q_row);
    }
    for (i = 1; i < 3; i++)
        same_elements("rotate, keys and values", h.head_dim, part[0][i], 0, part[1][i],
                      ROWS * kv_row);
    for (i = 0; i < 6; i++) gpu.b->release(c, part[i / 3][i % 3]);
    gpu.b->release(c, qkv); gpu.b->release(c, angles); gpu.b->release(c, gain);
    gpu.b->release(c, positions); gpu.b->release(c, slots);
    free(host); free(numbers_of[0]); free(numbers_of[1]);
}

/* Every gradient that is a sum over rows, [begin, end) of them. */
enum { SUM_ROWS = 701, SUM_WIDTH = 40, SUM_HEAD = 16, SUM_TOKENS = 7,
       SUM_ALL = (SUM_TOKENS + 2 + SUM_WIDTH) * SUM_WIDTH + 2 * SUM_HEAD };
typedef struct sums { void *x, *dy, *qkv, *dq, *dk, *dv; float *rstd, *y; int *tokens; } sums;

static void add_gradients(const sums *s, int begin, int end) {
    const grpo_backend *b = gpu.b;
    const grpo_heads heads = { 4, 2, SUM_HEAD };
    size_t first = (size_t)begin * SUM_WIDTH;
    void *c = gpu.context, *dy = at_element(s->dy, first), *x = at_element(s->x, first);
    float *gains = s->y + (SUM_TOKENS + 2 + SUM_WIDTH) * SUM_WIDTH, *dw = s->y + 9 * SUM_WIDTH;
    grpo_matrix w;
    grpo_rows rows;
    memset(&w, 0, sizeof w);
    memset(&rows, 0, sizeof rows);
    w.rows = w.cols = w.y_stride = SUM_WIDTH;
    rows.num_rows = end - begin;
    rows.positions = rows.slots = s->tokens + SUM_ROWS + begin;
    {
        const grpo_embedding e = { s->tokens + begin, end - begin, SUM_WIDTH, NULL, NULL, dy,
                                   s->y };
        const grpo_norm norm = { x, NULL, s->rstd, 1e-5f, end - begin, SUM_WIDTH, NULL,
                                 s->rstd + begin, dy, at_element(s->dv, 0), s->y + 7 * SUM_WIDTH };
        const grpo_product product = { &w, end - begin, x, NULL, NULL, NULL, dy, NULL, dw,
                                       s->y + 8 * SUM_WIDTH };
        const grpo_attention attention = {
            &rows, heads, at_element(s->qkv, (size_t)begin * 8 * SUM_HEAD), s->rstd, s->rstd,
            s->rstd, 1e-5f, NULL, NULL, NULL, NULL, NULL, NULL,
            at_element(s->dq, (size_t)begin * 4 * SUM_HEAD), s->dk, s->dv,
            at_element(s->qkv, SUM_ROWS * 8 * SUM_HEAD), gains, gains + SUM_HEAD };
        b->embed_backward(c, &e);
        b->rmsnorm_backward(c, &norm);
        b->matmul_dw(c, &product);
        b->rotate_backward(c, &attention);
    }
}

/* All of them, in one pass or in two, into y. */
static void sum_gradients(float *y, int split) {
    const size_t head = SUM_ROWS * SUM_HEAD, x = SUM_ROWS * SUM_WIDTH;
    float *host = random_floats(16 * head, 1), *start = random_floats(SUM_ALL, 1);
    int *tokens = (int *)malloc(2 * SUM_ROWS * sizeof *tokens), i;
    sums s;
    for (i = 0; i < SUM_ROWS; i++) {
        tokens[i] = i % 3 ? i % SUM_TOKENS : 5;
        tokens[SUM_ROWS + i] = SUM_ROWS - 1 - i;              /* positions, and slots            */
    }
    s.x = elements_to(gpu, host, x); s.dy = elements_to(gpu, host + x, x);
    s.qkv = elements_to(gpu, host, 16 * head); s.dq = elements_to(gpu, host, 4 * head);
    s.dk = elements_to(gpu, host, 4 * head); s.dv = elements_to(gpu, host, 4 * head);
    s.rstd = floats_to(gpu, host, 2 * head); s.y = floats_to(gpu, start, SUM_ALL);
    s.tokens = ints_to(gpu, tokens, 2 * SUM_ROWS);
    if (split) add_gradients(&s, 0, split);
    add_gradients(&s, split, SUM_ROWS);
    floats_from(gpu, y, s.y, SUM_ALL);
    gpu.b->release(gpu.context, s.x); gpu.b->release(gpu.context, s.dy);
    gpu.b->release(gpu.context, s.qkv); gpu.b->release(gpu.context, s.dq);
    gpu.b->release(gpu.context, s.dk); gpu.b->release(gpu.context, s.dv);
    gpu.b->release(gpu.context, s.rstd); gpu.b->release(gpu.context, s.y);
    gpu.b->release(gpu.context, s.tokens);
    free(host); free(start); free(tokens);
}

/* The same bits twice, and in fp32 from any split into passes. */
static void test_sums(void) {
    const int splits[] = { 0, 1, 250, 700 };
    float *y = zeros(SUM_ALL), *again = zeros(SUM_ALL);
    uint64_t start = counter;
    size_t i;
    sum_gradients(y, 0);
    for (i = 0; i < (is_bf16() ? 1 : 4); i++) {
        counter = start;
        sum_gradients(again, splits[i]);
        CHECK(same_floats(y, again, SUM_ALL), "%s: sums over rows, split at %d: other bits",
              gpu.b->name, splits[i]);
    }
    free(y);
    free(again);
}

static void test_alone_and_sums(void) {
    const int widths[] = { 8, 12, 40, 300, 896, 1032, 4104 };
    const grpo_heads heads[] = { { 4, 2, 16 }, { 3, 3, 6 }, { 2, 2, 128 }, { 5, 1, 24 },
                                 { 3, 1, 96 }, { 7, 1, 64 } };
    size_t i;
    for (i = 0; i < sizeof widths / sizeof *widths; i++) test_alone(widths[i]);
    for (i = 0; i < sizeof heads / sizeof *heads; i++) test_rotate_alone(heads[i]);
    test_sums();
}

/* ---- products */
typedef struct size3 { int n, out, in; } size3;

/* The same matrix, some of its numbers written anew, makes columns [8, 8 + out) of wider rows. */
static void run_columns(side s, operands *o, grpo_matrix *w, int n) {
    const float some[3] = { 0.5f, -0.25f, 3 };
    float back[3] = { 0, 0, 0 };
    size_t at = (size_t)w->rows * (size_t)w->cols / 2;
    char *columns = (char *)o->p[10] + 8 * s.b->element_size;
    const grpo_product p = { w, n, o->p[0], columns, NULL, columns, columns, o->p[11], o->p[8],
                             NULL };
    w->weights = NULL;
    w->y_stride += 16;
    s.b->write_operand(s.context, w, at, some, 3);
    s.b->read_operand(s.context, back, w, at, 3);
    CHECK(!memcmp(some, back, sizeof some), "%s: an operand's numbers", s.b->name);
    s.b->matmul_dx(s.context, &p);
    s.b->matmul_dw(s.context, &p);
    s.b->matmul(s.context, &p);
}

static void run_products(side s, operands *o, const void *more) {
    const size3 *z = (const size3 *)more;
    size_t size = s.b->operand_size(z->out, z->in);
    grpo_matrix w;
    grpo_product p = { &w, z->n, o->p[0], o->p[4], o->p[2], o->p[3], o->p[6], o->p[7], o->p[8],
                       o->p[9] };
    w.weights = (float *)o->p[1];
    w.operand = s.b->allocate(s.context, size + 16);
    w.rows = w.y_stride = z->out; w.cols = z->in;
    s.b->prepare(s.context, &w);
    s.b->matmul(s.context, &p);
    s.b->matmul_dx(s.context, &p);
    s.b->matmul_dw(s.context, &p);
    p.y = o->p[5]; p.bias = NULL; p.residual = NULL;
    s.b->matmul(s.context, &p);
    run_columns(s, o, &w, z->n);
    s.b->release(s.context, w.operand);
}

static void test_products(void) {
    const size3 sizes[] = { { 1, 8, 16 }, { 3, 5, 7 }, { 16, 136, 40 }, { 17, 64, 264 },
                            { 70, 72, 24 }, { 129, 40, 56 }, { 2, 1, 24 }, { 33, 48, 520 },
                            { 330, 376, 648 }, { 40, 1032, 328 }, { 264, 200, 600 },
                            { 520, 256, 256 }, { 300, 896, 896 }, { 1000, 1536, 512 },
                            { 64, 4864, 896 } };
    const size3 few[] = { { 17, 40, 264 }, { 3, 72, 520 }, { 130, 136, 520 }, { 264, 136, 264 } };
    size_t i, count = sizeof sizes / sizeof *sizes - (tiny ? 3 : 0);
    if (small) count = gpu.b == grpo_cuda_hopper() ? 4 : is_bf16() ? 2 : 1;
    for (i = 0; i < count; i++) {
        size3 z = small ? few[i] : sizes[i];
        size_t x = (size_t)z.n * (size_t)z.in, y = (size_t)z.n * (size_t)z.out;
        size_t w = (size_t)z.out * (size_t)z.in, out = (size_t)z.out;
        size_t wide = y + 16 * (size_t)z.n;
        array p[12];
        p[0] = elements(random_floats(x, 1), x); p[1] = floats(random_floats(w, 1), w);
        p[2] = floats(random_floats(out, 1), out); p[3] = elements(random_floats(y, 1), y);
        p[4] = elements(zeros(y), y); p[5] = elements(zeros(y), y);
        p[6] = elements(random_floats(y, 1), y); p[7] = elements(zeros(x), x);
        p[8] = floats(random_floats(w, 1), w); p[9] = floats(random_floats(out, 1), out);
        p[10] = elements(random_floats(wide, 1), wide); p[11] = elements(zeros(x), x);
        both("products", run_products, &z, p, 12, "45789ab", is_bf16() ? 1e-5 : 0);
    }
}

/* Three times y = x W', dW += y' x, x = y W: one after another, or repeated, when each product may
 * be launched while the one before it still runs; all depend on each other. */
static void three_products(void *user) {
    const grpo_product *p = (const grpo_product *)user;
    gpu.b->matmul(gpu.context, p);
    gpu.b->matmul_dw(gpu.context, p);
    gpu.b->matmul_dx(gpu.context, p);
}

static void test_repeat(int n, int out, int in) {
    size_t x_size = (size_t)n * (size_t)in, y_size = (size_t)n * (size_t)out;
    size_t w_size = (size_t)out * (size_t)in, all = x_size + y_size + w_size;
    float *x = random_floats(x_size, 1), *w = random_floats(w_size, 0.1f), *found[2];
    float *none = zeros(y_size);
    int i, repeated;
    for (repeated = 0; repeated < 2; repeated++) {
        float *weights = floats_to(gpu, w, w_size), *dw = floats_to(gpu, w, w_size);
        void *dx = elements_to(gpu, x, x_size), *dy = elements_to(gpu, none, y_size);
        grpo_matrix m;
        grpo_product p = { &m, n, dx, dy, NULL, NULL, dy, dx, dw, NULL };
        m.weights = weights; m.rows = m.y_stride = out; m.cols = in;
        m.operand = gpu.b->allocate(gpu.context, gpu.b->operand_size(out, in) + 16);
        gpu.b->prepare(gpu.context, &m);
        if (repeated) gpu.b->repeat(gpu.context, three_products, &p, 3);
        else for (i = 0; i < 3; i++) three_products(&p);
        found[repeated] = zeros(all);
        elements_from(gpu, found[repeated], dx, x_size);
        elements_from(gpu, found[repeated] + x_size, dy, y_size);
        floats_from(gpu, found[repeated] + x_size + y_size, dw, w_size);
        gpu.b->release(gpu.context, weights); gpu.b->release(gpu.context, dw);
        gpu.b->release(gpu.context, dx); gpu.b->release(gpu.context, dy);
        gpu.b->release(gpu.context, m.operand);
    }
    CHECK(same_floats(found[0], found[1], all), "%s: products repeated: other bits", gpu.b->name);
    free(found[0]); free(found[1]); free(x); free(w); free(none);
}

/* The same rows, multiplied by one or many together, are the same bits. */
static void test_tiles(void) {
    const int in = 520, out = 264, most = tiny ? 300 : 700;
    size_t x_size = (size_t)most * (size_t)in, y_size = (size_t)most * (size_t)out;
    float *x = random_floats(x_size, 1), *w = random_floats((size_t)in * (size_t)out, 1);
    float *y = zeros(y_size), *again = zeros(y_size);
    float *staged = floats_to(gpu, w, (size_t)in * (size_t)out);
    void *dx = elements_to(gpu, x, x_size), *dy = elements_to(gpu, y, y_size);
    const int counts[] = { 1, 16, 17, 65, 150 };
    grpo_matrix m;
    grpo_product p = { &m, most, dx, dy, NULL, NULL, NULL, NULL, NULL, NULL };
    size_t i;
    m.weights = staged; m.rows = m.y_stride = out; m.cols = in;
    m.operand = gpu.b->allocate(gpu.context, gpu.b->operand_size(out, in) + 16);
    gpu.b->prepare(gpu.context, &m);
    gpu.b->matmul(gpu.context, &p);
    elements_from(gpu, y, dy, y_size);
    for (i = 0; i < sizeof counts / sizeof *counts; i++) {
        size_t part = (size_t)counts[i] * (size_t)out;
        p.n = counts[i];
        gpu.b->matmul(gpu.context, &p);
        elements_from(gpu, again, dy, part);
        CHECK(same_floats(y, again, part), "%s: %d rows of a product of %d", gpu.b->name,
              counts[i], most);
    }
    gpu.b->release(gpu.context, dx); gpu.b->release(gpu.context, dy);
    gpu.b->release(gpu.context, staged); gpu.b->release(gpu.context, m.operand);
    free(x); free(w); free(y); free(again);
}

/* ---- attention: groups of a prompt and completions of many lengths */
typedef struct layout {
    int n, num_segments, num_groups, slots, max_keys;
    int tokens[4096], positions[4096], slot[4096], groups[16];
    grpo_segment segments[64];
} layout;

static void add_segment(layout *l, int prefix, int prefix_length, int own, int count) {
    grpo_segment *s = &l->segments[l->num_segments++];
    int i;
    s->row = l->n; s->num_rows = count; s->prefix = prefix; s->prefix_length = prefix_length;
    s->own = own; s->start = 0;
    for (i = 0; i < count; i++, l->n++) {
        l->tokens[l->n] = 0;
        l->positions[l->n] = prefix_length + i;
        l->slot[l->n] = own + i;
    }
}

/* Prompts of 70, 3 and 300 tokens, with completions of 1 to 90. */
enum { POSITIONS = 400 };
static void make_layout(layout *l) {
    const int prompts[3] = { small ? 200 : 70, 3, 300 }, lengths[4] = { 5, tiny ? 66 : 90, 1, 13 };
    int p, c, slot = 4;
    memset(l, 0, sizeof *l);
    for (p = 0; p < (small ? 2 : 3); p++) {
        int first = slot;
        add_segment(l, 0, 0, slot, prompts[p]);
        slot += prompts[p];
        for (c = 0; c < 4 - p; c++, slot += 96) add_segment(l, first, prompts[p], slot, lengths[c]);
        l->groups[++l->num_groups] = l->num_segments;
    }
    l->slots = (slot + 63) / 32 * 32;
    l->max_keys = POSITIONS;
}

typedef struct attention_case { layout *l; grpo_heads heads; int gains; } attention_case;

static grpo_rows rows_on(side s, const layout *l) {
    grpo_rows r;
    memset(&r, 0, sizeof r);
    r.num_rows = l->n; r.num_segments = l->num_segments; r.num_groups = l->num_groups;
    r.num_slots = l->slots; r.max_keys = l->max_keys;
    r.tokens = ints_to(s, l->tokens, (size_t)l->n);
    r.positions = ints_to(s, l->positions, (size_t)l->n);
    r.slots = ints_to(s, l->slot, (size_t)l->n);
    r.groups = ints_to(s, l->groups, 16);
    r.segments = (const grpo_segment *)to_side(s, l->segments, sizeof l->segments);
    return r;
}
static void drop_rows(side s, grpo_rows *r) {
    s.b->release(s.context, (void *)(uintptr_t)r->tokens);
    s.b->release(s.context, (void *)(uintptr_t)r->positions);
    s.b->release(s.context, (void *)(uintptr_t)r->slots);
    s.b->release(s.context, (void *)(uintptr_t)r->groups);
    s.b->release(s.context, (void *)(uintptr_t)r->segments);
}

/* 0 qkv, 1 angles, 2 q gain, 3 k gain, 4 dy -> 5 q, 6 y, 7 lse, 8 dqkv, 9 dq gain, 10 dk gain */
static void run_attention(side s, operands *o, const void *more) {
    const attention_case *t = (const attention_case *)more;
    const grpo_heads *h = &t->heads;
    grpo_rows rows = rows_on(s, t->l);
    size_t KV = (size_t)t->l->slots * (size_t)(h->num_kv_heads * h->head_dim) * s.b->element_size;
    size_t Q = (size_t)t->l->n * (size_t)(h->num_heads * h->head_dim) * s.b->element_size;
    void *kv[4], *dq = s.b->allocate(s.context, Q + 16);
    int i;
    for (i = 0; i < 4; i++) {
        kv[i] = s.b->allocate(s.context, KV + 16);
        s.b->zero(s.context, kv[i], KV);
    }
    {
        grpo_attention a = { &rows, *h, o->p[0], o->p[1], NULL, NULL, 1e-5f, o->p[5], kv[0], kv[1],
                             o->p[6], o->p[7], o->p[4], dq, kv[2], kv[3], o->p[8], NULL, NULL };
        if (t->gains) { a.q_gain = o->p[2]; a.k_gain = o->p[3]; }
        if (t->gains) { a.dq_gain = o->p[9]; a.dk_gain = o->p[10]; }
        s.b->rotate(s.context, &a);
        s.b->attention(s.context, &a);
        s.b->attention_backward(s.context, &a);
        s.b->rotate_backward(s.context, &a);
    }
    for (i = 0; i < 4; i++) s.b->release(s.context, kv[i]);
    s.b->release(s.context, dq);
    drop_rows(s, &rows);
}

static void test_attention(void) {
    const grpo_heads all[] = { { 4, 2, 16 }, { 2, 1, 64 }, { 3, 3, 6 }, { 2, 2, 128 }, { 5, 1, 24 },
                               { 14, 2, 64 } };
    layout *l = (layout *)malloc(sizeof *l);
    const grpo_heads few[] = { { 1, 1, 16 }, { 2, 1, 128 } };
    size_t i, count = sizeof all / sizeof *all - (tiny ? 1 : 0);
    int gains, j, position;
    make_layout(l);
    if (small) count = is_bf16() ? 2 : 1;
    for (i = 0; i < count; i++)
        for (gains = small; gains < 2; gains++) {
            grpo_heads heads = small ? few[i] : all[i];
            attention_case t = { l, heads, gains };
            size_t d = (size_t)heads.head_dim, n = (size_t)l->n;
            size_t q = n * (size_t)heads.num_heads * d;
            size_t qkv = q + 2 * n * (size_t)heads.num_kv_heads * d, angles = POSITIONS * d;
            char what[64];
            array p[11];
            p[0] = elements(random_floats(qkv, 2), qkv); p[1] = floats(zeros(angles), angles);
            for (position = 0; position < POSITIONS; position++)
                for (j = 0; j < (int)d / 2; j++) {
                    double angle = position * pow(10000.0, -2.0 * j / (double)d);
                    p[1].x[(size_t)position * d + (size_t)j] = (float)cos(angle);
                    p[1].x[(size_t)position * d + d / 2 + (size_t)j] = (float)sin(angle);
                }
            p[2] = floats(random_floats(d, 2), d); p[3] = floats(random_floats(d, 2), d);
            p[4] = elements(random_floats(q, 1), q); p[5] = elements(zeros(q), q);
            p[6] = elements(zeros(q), q); p[7] = floats(zeros(q / d), q / d);
            p[8] = elements(zeros(qkv), qkv); p[9] = floats(zeros(d), d);
            p[10] = floats(zeros(d), d);
            snprintf(what, sizeof what, "attention %d/%d heads of %d%s", heads.num_heads,
                     heads.num_kv_heads, heads.head_dim, gains ? ", normed" : "");
            both(what, run_attention, &t, p, 11, gains ? "56789a" : "5678",
                 is_bf16() ? 0.02 : 3e-5);
        }
    free(l);
}

/* A row alone, as it is sampled, attends to the same bits as among all rows: by one block, and by
 * blocks of one span each. */
static void test_decode(void) {
    layout *l = (layout *)malloc(sizeof *l), *one = (layout *)malloc(sizeof *one);
    const grpo_heads all[] = { { 4, 2, 16 }, { 4, 1, 64 }, { 2, 2, 128 } };
    const grpo_heads few = { 4, 1, 16 };
    size_t i;
    make_layout(l);
    for (i = 0; i < (small ? 1 : 3); i++) {
        const grpo_heads *h = small ? &few : &all[i];
        size_t d = (size_t)h->head_dim, n = (size_t)l->n, row = (size_t)h->num_heads * d;
        size_t kv = (size_t)l->slots * (size_t)h->num_kv_heads * d;
        float *q = random_floats(n * row, 2), *k = random_floats(kv, 2), *v = random_floats(kv, 1);
        float *y = zeros(n * row), *y1 = zeros(n * row), *logs = zeros(n * (size_t)h->num_heads);
        void *dq = elements_to(gpu, q, n * row), *dk = elements_to(gpu, k, kv);
        void *dv = elements_to(gpu, v, kv), *dy = elements_to(gpu, y, n * row);
        float *lse = floats_to(gpu, y, n * (size_t)h->num_heads);
        grpo_rows rows = rows_on(gpu, l);
        grpo_attention o;
        int s, r, step = small ? 67 : tiny ? 11 : 3;
        memset(&o, 0, sizeof o);
        o.rows = &rows; o.heads = *h; o.q = dq; o.k = dk; o.v = dv; o.y = dy; o.lse = lse;
        gpu.b->attention(gpu.context, &o);
        elements_from(gpu, y, dy, n * row);
        floats_from(gpu, logs, lse, n * (size_t)h->num_heads);
        drop_rows(gpu, &rows);
        for (s = 0; s < l->num_segments; s++)
            for (r = 0; r < l->segments[s].num_rows; r += step) {
                int at = l->segments[s].row + r;
                memset(one, 0, sizeof *one);
                one->n = one->num_segments = one->num_groups = one->groups[1] = 1;
                one->slots = l->slots;
                one->segments[0] = l->segments[s];
                one->segments[0].row = 0; one->segments[0].num_rows = 1;
                one->segments[0].start = r;
                one->max_keys = at / step % 2 * POSITIONS;
                rows = rows_on(gpu, one);
                o.q = at_element(dq, (size_t)at * row);
                gpu.b->attention(gpu.context, &o);
                elements_from(gpu, y1, dy, row);
                CHECK(same_floats(y1, y + (size_t)at * row, row),
                      "%s: row %d of segment %d alone", gpu.b->name, r, s);
                floats_from(gpu, y1, lse, (size_t)h->num_heads);
                CHECK(same_floats(y1, logs + at * h->num_heads, (size_t)h->num_heads),
                      "%s: log of the sum of row %d of segment %d alone", gpu.b->name, r, s);
                drop_rows(gpu, &rows);
            }
        gpu.b->release(gpu.context, dq); gpu.b->release(gpu.context, dk);
        gpu.b->release(gpu.context, dv); gpu.b->release(gpu.context, dy);
        gpu.b->release(gpu.context, lse);
        free(q); free(k); free(v); free(y); free(y1); free(logs);
    }
    free(l); free(one);
}

/* ---- the head, and logits */
typedef struct vocab_case { int rows, vocab, targets; grpo_sampling sampling; } vocab_case;
enum { HEAD_WIDTH = 264 };          /* more than the slice in which a product sums               */

/* From one row of logits to the next, in elements. */
static int padded(int vocab) { return grpo__logits_stride(gpu.b, vocab); }

/* Elements that nothing may depend on. */
static void fill_padding(side s, void *x, int rows, int vocab, float value) {
    size_t row = (size_t)padded(vocab), n = (size_t)rows * row, i;
    float *host = zeros(n), *staged = floats_to(s, host, n);
    elements_from(s, host, x, n);
    for (i = 0; i < n; i++) if (i % row >= (size_t)vocab) host[i] = value;
    s.b->upload(s.context, staged, host, n * sizeof *host);
    s.b->from_floats(s.context, x, staged, n);
    s.b->release(s.context, staged);
    free(host);
}

/* 0 hidden, 1 ref logits, 2 offsets, 3 targets, 4 dlogprobs, 5 dentropies, 6 uniforms, 7 dkl, 12 W,
 * 13 logits -> 8 drawn log-probs and entropies, and given ones; 14 kl; 13 gradient, 1 KL's;
 * 9 tokens, 10 sets */
static void run_vocab(side s, operands *o, const void *more) {
    const vocab_case *z = (const vocab_case *)more;
    float *out = (float *)o->p[8];
    size_t targets = (size_t)z->targets, rows = (size_t)z->rows;
    int filters = grpo__filters(&z->sampling);
    grpo_matrix w;
    grpo_head h;
    w.weights = (float *)o->p[12];
    w.operand = s.b->allocate(s.context, s.b->operand_size(z->vocab, HEAD_WIDTH) + 16);
    w.rows = z->vocab; w.cols = HEAD_WIDTH; w.y_stride = padded(z->vocab);
    fill_padding(s, o->p[1], z->rows, z->vocab, NAN);
    fill_padding(s, o->p[13], z->rows, z->vocab, NAN);
    s.b->prepare(s.context, &w);
    memset(&h, 0, sizeof h);
    h.w = &w; h.hidden = o->p[0]; h.logits = o->p[13]; h.ref_logits = o->p[1];
    h.targets.num_rows = z->rows; h.targets.offsets = o->p[2]; h.targets.tokens = o->p[3];
    h.targets.allowed = filters ? o->p[10] : NULL; h.targets.allowed_rows = o->p[11];
    h.targets.temperature = z->sampling.temperature;
    h.logprobs = out; h.entropies = out + targets; h.drawn = o->p[9]; h.uniforms = o->p[6];
    h.sampling = &z->sampling;
    s.b->sample(s.context, &h);
    h.targets.tokens = o->p[9];     /* those just drawn, so that they are in the sets            */
    out += targets + rows;
    h.logprobs = out; h.entropies = out + targets; h.keep_logits = 1;
    h.kl = o->p[14]; h.dkl = o->p[7];
    h.dlogprobs = o->p[4]; h.dentropies = o->p[5]; h.more = o->p[1];
    s.b->logprobs(s.context, &h);
    s.b->kl(s.context, &h);
    s.b->kl_backward(s.context, &h);
    s.b->logprobs_backward(s.context, &h);
    fill_padding(s, o->p[1], z->rows, z->vocab, 0);           /* these are compared              */
    fill_padding(s, o->p[13], z->rows, z->vocab, 0);
    s.b->release(s.context, w.operand);
}

/* Hidden states of powers of 2 and a head with one number a row: logits that bf16 holds exactly,
 * for where they are written, and both sides are to filter the same ones. masked: a third is
 * -inf. */
static void make_exact(float *hidden, size_t n, float *w, int vocab, int masked) {
    float *few = random_floats((size_t)vocab, 4);
    size_t i;
    for (i = 0; i < n; i++) hidden[i] = hidden[i] < 0 ? 0.5f : 1;
    memset(w, 0, (size_t)vocab * HEAD_WIDTH * sizeof *w);
    for (i = 0; i < (size_t)vocab; i++)
        w[i * HEAD_WIDTH + i % HEAD_WIDTH] = masked && i % 3 == 1 ? -HUGE_VALF : few[i];
    free(few);
}

static void test_vocab_case(const char *what, vocab_case z) {
    size_t rows = (size_t)z.rows, all = rows * (size_t)padded(z.vocab), targets = (size_t)z.targets;
    size_t words = rows * (size_t)((z.vocab + 31) / 32), outs = 2 * (targets + rows), i;
    size_t hidden = rows * HEAD_WIDTH, w = (size_t)z.vocab * HEAD_WIDTH;
    int *tokens, *offsets = (int *)calloc(rows + 1, sizeof *offsets), *uniform_bits;
    double rounded = 0.02;          /* what bf16 makes of logits near 5                          */
    array p[15];
    for (i = 1; i <= rows; i++)
        offsets[i] = i == rows ? z.targets : (int)i * z.targets / (int)rows;
    p[0] = elements(random_floats(hidden, 1), hidden);
    p[1] = elements(random_floats(all, 4), all);
    p[12] = floats(random_floats(w, 0.2f), w); p[13] = elements(zeros(all), all);
    p[14] = floats(zeros(rows), rows);
    if (!is_bf16()) rounded = 1e-5;
    if (grpo__filters(&z.sampling) || z.vocab % 8 || gpu.b == grpo_cuda_hopper()) {
        make_exact(p[0].x, hidden, p[12].x, z.vocab, z.sampling.top_k == 30);
        rounded = 1e-5;
    }
    p[2] = ints(offsets, rows + 1); p[3] = ints(numbers(z.targets, z.vocab), targets);
    p[4] = floats(random_floats(targets, 1), targets); p[5] = floats(random_floats(rows, 1), rows);
    p[6] = floats(random_floats(targets, 1), targets);
    for (i = 0; i < targets; i++) p[6].x[i] = fabsf(p[6].x[i]) * 0.999f;
    p[7] = floats(random_floats(rows, 1), rows); p[8] = floats(zeros(outs), outs);
    p[9] = ints(numbers(z.targets, 1), targets); p[10] = ints(numbers((int)words, 1), words);
    p[11] = ints(reversed(z.rows), rows);
    {
        operands a = place(cpu, p, 15), b = place(gpu, p, 15);
        float *out = zeros(outs);
        run_vocab(cpu, &a, &z);
        run_vocab(gpu, &b, &z);
        CHECK(!gpu.b->error(gpu.context), "%s: %s", what, gpu.b->error(gpu.context));
        tokens = (int *)malloc((targets + words + 1) * sizeof *tokens);
        uniform_bits = (int *)malloc((targets + words + 1) * sizeof *tokens);
        cpu.b->download(cpu.context, tokens, a.p[9], targets * 4);
        gpu.b->download(gpu.context, uniform_bits, b.p[9], targets * 4);
        CHECK(!memcmp(tokens, uniform_bits, targets * 4), "%s, %s: other tokens were drawn",
              gpu.b->name, what);
        cpu.b->download(cpu.context, tokens, a.p[10], words * 4);
        gpu.b->download(gpu.context, uniform_bits, b.p[10], words * 4);
        CHECK(!memcmp(tokens, uniform_bits, words * 4), "%s, %s: other tokens are allowed",
              gpu.b->name, what);
        compare(what, p, "8", &a, &b, 1e-5);
        compare(what, p, "1de", &a, &b, rounded);
        floats_from(gpu, out, (float *)b.p[8], outs);
        CHECK(same_floats(out, out + targets + rows, targets + rows),
              "%s, %s: sampled and scored log-probs differ", gpu.b->name, what);
        free(out); free(tokens); free(uniform_bits);
        drop(cpu, &a);
        drop(gpu, &b);
    }
    for (i = 0; i < 15; i++) free(p[i].x);
}

static void test_vocab(void) {
    const grpo_sampling all[] = { { 1, 0, 1, 0 }, { 0.7f, 0, 1, 0 }, { 1, 3, 1, 0 },
                                  { 1, 0, 0.8f, 0 }, { 1.3f, 0, 1, 0.2f }, { 0, 0, 1, 0 },
                                  { 1, 20, 0.9f, 0.05f }, { 1, 0, 0.9999999f, 0 },
                                  { 1, 30, 0.9999999f, 0 } };
    const int vocabs[] = { 37, 304, 1001, 32000, 50257, 151936 };
    size_t i, j, count = tiny ? 3 : 6;
    if (small) {                    /* a plain one, of which a warp has several targets; filters  */
        vocab_case plain = { 2, 304, 40, { 1, 0, 1, 0 } }, filtered = { 3, 304, 9, { 0, 0, 0, 0 } };
        test_vocab_case("a vocabulary of 304", plain);
        for (i = 4; i <= 6; i += 2) {
            filtered.sampling = all[i];
            test_vocab_case(i == 4 ? "of 304, min p" : "of 304, all filters", filtered);
        }
        return;
    }
    for (i = 0; i < sizeof all / sizeof *all; i++)
        for (j = 0; j < count; j++) {
            vocab_case z = { 3, 0, 9, { 0, 0, 0, 0 } };
            char what[80];
            if (j == 1) { z.rows = 70; z.targets = 150; }
            z.vocab = vocabs[j];
            z.sampling = all[i];
            snprintf(what, sizeof what, "vocabulary %d, temperature %g, k %d, p %g, min p %g",
                     z.vocab, (double)all[i].temperature, all[i].top_k, (double)all[i].top_p,
                     (double)all[i].min_p);
            test_vocab_case(what, z);
        }
}

/* A head whose rows of logits are padded: tensor cores multiply it, as they do the same head with
 * rows of zeros where the padding is. That holds NaN, which must reach nothing. */
static void test_padding(int vocab, int rows) {
    const grpo_backend *b = gpu.b;
    void *c = gpu.context;
    size_t stride = (size_t)padded(vocab), n = (size_t)rows, all = n * stride, i;
    size_t w_size = stride * HEAD_WIDTH, x_size = n * HEAD_WIDTH;
    float *w = random_floats(w_size, 1), *x = random_floats(x_size, 1), *dy = random_floats(all, 1);
    float *out[2][3], *z = zeros(all), *staged, logprob[2];
    const int offsets[2] = { 0, 1 };
    int wide, *offset = ints_to(gpu, offsets, 2);
    for (i = (size_t)vocab * HEAD_WIDTH; i < w_size; i++) w[i] = 0;
    for (i = 0; i < all; i++) z[i] = NAN;
    staged = floats_to(gpu, z, all);
    for (wide = 0; wide < 2; wide++) {
        float *weights = floats_to(gpu, w, w_size), *dw = floats_to(gpu, w, w_size);
        void *hidden = elements_to(gpu, x, x_size), *dx = elements_to(gpu, x, x_size);
        void *y = elements_to(gpu, dy, all), *d = elements_to(gpu, dy, all);
        grpo_matrix m = { weights, NULL, wide ? (int)stride : vocab, HEAD_WIDTH, (int)stride };
        grpo_product p = { &m, rows, hidden, y, NULL, NULL, d, dx, dw, NULL };
        grpo_head h;
        for (i = 0; i < 3; i++) out[wide][i] = zeros(w_size + all + x_size);
        m.operand = b->allocate(c, b->operand_size(m.rows, m.cols));
        fill_padding(gpu, y, rows, vocab, NAN);
        fill_padding(gpu, d, rows, vocab, wide ? 0 : NAN);
        b->prepare(c, &m);
        b->matmul(c, &p); b->matmul_dx(c, &p); b->matmul_dw(c, &p);
        fill_padding(gpu, y, rows, vocab, 0);
        elements_from(gpu, out[wide][0], y, all);
        elements_from(gpu, out[wide][1], dx, x_size);
        floats_from(gpu, out[wide][2], dw, (size_t)vocab * HEAD_WIDTH);
        memset(&h, 0, sizeof h);    /* and, of one row, its log-prob by strips                   */
        h.w = &m; h.hidden = hidden; h.logits = y; h.targets.num_rows = 1;
        h.targets.offsets = offset; h.targets.tokens = offset; h.targets.temperature = 1;
        h.logprobs = h.entropies = weights;
        b->from_floats(c, y, staged, all);
        b->logprobs(c, &h);
        floats_from(gpu, &logprob[wide], weights, 1);
        elements_from(gpu, z, y, all);
        CHECK(!is_bf16() || b == grpo_cuda_hopper() || isnan(z[vocab - 1]),
              "%s, vocabulary %d: logits were written", b->name, m.rows);
        b->release(c, weights); b->release(c, dw); b->release(c, hidden); b->release(c, dx);
        b->release(c, y); b->release(c, d); b->release(c, m.operand);
    }
    for (i = 0; i < 3; i++) {
        size_t size = i == 0 ? all : i == 1 ? x_size : (size_t)vocab * HEAD_WIDTH;
        CHECK(!memcmp(out[0][i], out[1][i], size * sizeof **out[0]),
              "%s, vocabulary %d: output %d is not the bits of a multiple of 8", b->name, vocab,
              (int)i);
        free(out[0][i]); free(out[1][i]);
    }
    CHECK(isfinite(logprob[0]), "%s, vocabulary %d: a log-prob of %g", b->name, vocab,
          (double)logprob[0]);
    b->release(c, offset); b->release(c, staged);
    free(w); free(x); free(dy); free(z);
}

/* One NaN among a row's logits, which are filtered: all threads leave it alone, and the log-probs
 * become NaN. */
static void test_odd(int vocab) {
    const int offsets[2] = { 0, 1 };
    const grpo_sampling sampling = { 1, 3, 0.9f, 0 };
    const grpo_backend *b = gpu.b;
    void *c = gpu.context;
    size_t w_size = (size_t)vocab * HEAD_WIDTH, row = (size_t)padded(vocab);
    float *w = random_floats(w_size, 1), *x = random_floats(HEAD_WIDTH, 1), found[2] = { 0, 0 };
    float *host = zeros(row), *weights, *out = floats_to(gpu, found, 2);
    int *offset = ints_to(gpu, offsets, 2), *drawn = ints_to(gpu, offsets, 2);
    int words = (vocab + 31) / 32, *none = numbers(words, 1);
    int *set = ints_to(gpu, none, (size_t)words);
    void *hidden = elements_to(gpu, x, HEAD_WIDTH), *logits = elements_to(gpu, host, row);
    grpo_matrix m;
    grpo_head h;
    w[w_size / 2] = NAN;
    weights = floats_to(gpu, w, w_size);
    m.weights = weights; m.rows = vocab; m.cols = HEAD_WIDTH; m.y_stride = (int)row;
    m.operand = b->allocate(c, b->operand_size(m.rows, m.cols) + 16);
    b->prepare(c, &m);
    memset(&h, 0, sizeof h);
    h.w = &m; h.hidden = hidden; h.logits = logits; h.targets.num_rows = 1;
    h.targets.offsets = offset; h.targets.allowed = (uint32_t *)(void *)set;
    h.targets.allowed_rows = offset; h.targets.temperature = 1; h.sampling = &sampling;
    h.logprobs = out; h.entropies = out + 1; h.drawn = drawn; h.uniforms = out;
    b->sample(c, &h);
    floats_from(gpu, found, out, 2);
    CHECK(!b->error(c) && isnan(found[0]) && isnan(found[1]),
          "%s, vocabulary %d, a NaN: a log-prob of %g, an entropy of %g", b->name, vocab,
          (double)found[0], (double)found[1]);
    b->release(c, out); b->release(c, offset); b->release(c, drawn); b->release(c, set);
    b->release(c, hidden); b->release(c, logits); b->release(c, weights); b->release(c, m.operand);
    free(w); free(x); free(host); free(none);
}

/* ---- the optimizer */
static void run_flat(side s, operands *o, const void *more) {
    const int n = *(const int *)more;
    const grpo_optimizer adamw = { o->p[0], o->p[2], o->p[3], o->p[1], (size_t)n, 1e-2f, 0.9f,
                                   0.99f, 1e-8f, 0.1f, 0.5f, 3 };
    float sum;
    s.b->adamw(s.context, &adamw);
    s.b->mix(s.context, (float *)o->p[4], (float *)o->p[1], 0.3f, 0.7f, (size_t)n);
    s.b->mix(s.context, (float *)o->p[5], (float *)o->p[1], 0.0f, 1.0f, (size_t)n);
    sum = (float)s.b->sum_of_squares(s.context, (float *)o->p[1], (size_t)n);
    s.b->upload(s.context, o->p[6], &sum, sizeof sum);
}

static void test_flat(void) {
    const int sizes[] = { 1, 100, 5000, 40000 };
    size_t i, j;
    for (i = small ? 3 : 0; i < 4; i++) {
        size_t n = (size_t)sizes[i];
        array p[7];
        for (j = 0; j < 6; j++) p[j] = floats(random_floats(n, 1), n);
        for (j = 0; j < n; j++) p[3].x[j] = fabsf(p[3].x[j]);
        for (j = 0; j < n; j++) p[5].x[j] = NAN;              /* a 0: what was there is no matter */
        p[6] = floats(zeros(1), 1);
        both("optimizer", run_flat, &sizes[i], p, 7, "0123456", 1e-6);
    }
}

/* ---- a whole run */
static float sum_reward(const grpo_sample *s, void *user) {
    (void)user;
    return grpo_reward_exact_match(s, NULL) + 0.1f * (float)(s->num_tokens == 2);
}

static grpo_config small_config(const grpo_backend *b, int variant) {
    grpo_config c = grpo_defaults();
    c.vocabulary = "0123456789+=";
    c.model.hidden_size = 32;
    c.model.intermediate_size = 48;
    c.model.num_attention_heads = 4;
    c.model.num_key_value_heads = 2;
    c.model.head_dim = 8;
    c.model.qk_norm = variant == 1;
    c.model.attention_bias = variant == 2;
    c.model.tie_word_embeddings = variant != 2;
    c.model.vocab_size = 16;
    c.num_prompts = small ? 1 : tiny ? 2 : 4;
    c.num_generations = small ? 2 : tiny ? 3 : 6;
    c.max_prompt_length = 5;
    c.max_completion_length = 4;
    c.num_iterations = 2;
    c.objective.beta = 0.02f;
    if (variant == 2) { c.sampling.top_k = 7; c.objective.kl = GRPO_KL_FULL; }
    if (variant == 3) { c.lora.rank = 8; c.model.attention_bias = c.model.qk_norm = 1; }
    c.learning_rate = 3e-3f;
    c.backend = b;
    grpo_add_reward(&c, "sum", sum_reward, 1, NULL);
    return c;
}

typedef struct run {
    double reward[30], kl[30], loss[30];
    int same, steps;
    float *weights;
} run;

static void train(run *r, grpo_config c, int steps) {
    const grpo_prompt prompts[4] = {
        { "1+1=", "2", NULL, 0, NULL }, { "2+2=", "4", NULL, 0, NULL },
        { "3+4=", "7", NULL, 0, NULL }, { "0+5=", "5", NULL, 0, NULL } };
    grpo *g = grpo_new(&c);
    int i, t, code = 0;
    memset(r, 0, sizeof *r);
    CHECK(g, "%s", c.error);
    if (!g) return;
    r->same = 1;
    for (r->steps = 0; r->steps < steps && !code; r->steps++) {
        grpo_metrics m;
        grpo_per_token to = { NULL, NULL, NULL, NULL };
        float *now;
        code = grpo_rollout(g, prompts, c.num_prompts);
        now = zeros((size_t)g->batch.offsets[g->batch.num_sequences]);
        to.logprobs = now;
        if (!code) code = grpo_forward(g, GRPO_POLICY, NULL, &to);
        for (t = 0; !code && t < g->batch.offsets[g->batch.num_sequences]; t++)
            r->same &= now[t] == g->batch.logprobs[t];
        free(now);
        if (!code) code = grpo_score(g);
        if (!code) code = grpo_advantage(g);
        if (!code) code = grpo_update(g, &m);
        if (code) break;
        for (i = 0; i < g->batch.num_sequences; i++)
            r->reward[r->steps] += (double)g->batch.rewards[i];
        r->kl[r->steps] = m.kl;
        r->loss[r->steps] = m.loss;
    }
    CHECK(!code, "%s: %s", c.backend->name, grpo_error(g));
    r->weights = zeros(g->num_trained);
    c.backend->download(g->machinery->context, r->weights, g->machinery->trained,
                        g->num_trained * sizeof(float));
    if (!code) {                    /* text and its log-probs once more, by the other entrances  */
        char text[64];
        CHECK(grpo_generate(g, &prompts[0], &c.sampling, 5, text, sizeof text) >= 0, "%s",
              grpo_error(g));
    }
    grpo_free(g);
}

static void test_training(const grpo_backend *b, int fp32) {
    int variant, i, steps = small ? 1 : tiny ? 2 : 30;
    for (variant = 0; variant < (small ? 1 : 4); variant++) {
        grpo_config c = small_config(b, variant);
        run host, one, two, split;
        double worst = 0;
        train(&host, small_config(grpo_cpu(), variant), steps);
        train(&one, c, steps);
        train(&two, c, steps);
        c.micro_batch_prompts = 1;
        c.rollout_batch_prompts = tiny ? 1 : 3;
        train(&split, c, steps);
#ifdef GRPO_CUDA_SHIM
        CHECK(grpo_shim_graphs() > 0, "%s, variant %d: no graph was launched", b->name, variant);
#endif
        CHECK(one.same, "%s, variant %d: the trainer's log-probs are not the sampler's", b->name,
              variant);
        for (i = 0; i < steps; i++) {
            CHECK(one.reward[i] == two.reward[i] && one.loss[i] == two.loss[i]
                  && one.kl[i] == two.kl[i], "%s, variant %d: step %d is not the same twice",
                  b->name, variant, i);
            if (fp32 || i == 0) CHECK(one.reward[i] == split.reward[i],     /* before an update  */
                            "%s, variant %d: step %d depends on the split", b->name, variant, i);
            if (i < 4 && fabs(one.loss[i] - host.loss[i]) > worst)
                worst = fabs(one.loss[i] - host.loss[i]);
        }
        CHECK(worst < (fp32 ? 1e-4 : 0.3), "%s, variant %d: loss off by %g", b->name, variant,
              worst);
        if (fp32 && one.weights && split.weights) {
            grpo_config check = small_config(b, variant);
            grpo *g = grpo_new(&check);
            CHECK(g && same_floats(one.weights, split.weights, g->num_trained),
                  "%s, variant %d: weights depend on the micro-batch", b->name, variant);
            grpo_free(g);
        }
        printf("%s, variant %d: loss of the first steps within %.2g of the CPU's\n", b->name,
               variant, worst);
        free(host.weights); free(one.weights); free(two.weights); free(split.weights);
    }
}

/* ---- a device that fails: a sentence, and nothing lost or leaked */
static void test_failures(const grpo_backend *b) {
#ifdef GRPO_CUDA_SHIM
    const grpo_prompt prompt = { "1+1=", "2", NULL, 0, NULL };
    grpo_config c = small_config(b, 0);
    long before = grpo_shim_allocated();
    grpo_metrics m;
    grpo *g;
    int n;
    grpo_shim_inject(0, 0, 1);
    CHECK(!grpo_new(&c) && strstr(c.error, "no NVIDIA GPU"), "no device: %s", c.error);
    grpo_shim_inject(0, 0, 0);
    for (n = 1; n <= 3; n++) {
        grpo_shim_inject(n, 0, 0);
        CHECK(!grpo_new(&c) && strstr(c.error, "memory"), "no memory, %d: %s", n, c.error);
    }
    grpo_shim_inject(0, 0, 0);
    CHECK(grpo_shim_allocated() == before, "%ld allocations are left",
          grpo_shim_allocated() - before);
    for (n = 1; n < 200; n += 41) {
        g = grpo_new(&c);
        CHECK(g, "%s", c.error);
        if (!g) return;
        grpo_shim_inject(0, n, 0);
        CHECK(grpo_step(g, &prompt, 1, &m) < 0 && strstr(grpo_error(g), "GPU failed"),
              "fault in kernel %d: %s", n, grpo_error(g));
        grpo_shim_inject(0, 0, 0);
        grpo_free(g);
    }
    g = grpo_new(&c);               /* the caller may choose another device meanwhile            */
    grpo_shim_choose(1);
    CHECK(g && !grpo_step(g, &prompt, 1, &m), "another device: %s", g ? grpo_error(g) : c.error);
    grpo_shim_choose(1);
    grpo_free(g);
    grpo_shim_choose(0);
    grpo_shim_refuse_graphs(1);     /* then kernels are launched one by one                      */
    g = grpo_new(&c);
    n = (int)grpo_shim_graphs();
    CHECK(g && !grpo_step(g, &prompt, 1, &m), "without graphs: %s", g ? grpo_error(g) : c.error);
    CHECK(grpo_shim_graphs() == n, "graphs were refused, and launched");
    grpo_free(g);
    grpo_shim_refuse_graphs(0);
    CHECK(grpo_shim_allocated() == before, "%ld allocations are left",
          grpo_shim_allocated() - before);
#else
    (void)b;
#endif
}

static void note(const char *line, void *user) {
    (void)user;
    if (strstr(line, "FAIL")) printf("%s\n", line);
}

static void test_backend(const grpo_backend *b) {
    grpo_config c = small_config(b, 0);
    char error[GRPO_ERROR_LENGTH] = "";
    int fp32 = b->element_size == sizeof(float), failures;
    gpu.b = b;
    gpu.context = b->open(&c, error);
    CHECK(gpu.context, "%s", error);
    if (!gpu.context) return;
    cpu.b = grpo_cpu();
    c.max_prompt_length = c.max_completion_length = POSITIONS;        /* for the layouts below   */
    c.model.head_dim = 128;
    cpu.context = cpu.b->open(&c, error);
    if (wanted("products")) test_products();
    if (wanted("repeat")) { test_repeat(70, 40, 264); test_repeat(3, 136, 40); }
    if (wanted("tiles")) test_tiles();
    if (b != grpo_cuda_hopper()) {  /* its others are grpo_cuda()'s                              */
        if (wanted("rows")) test_rows();
        if (wanted("sums")) test_alone_and_sums();
        if (wanted("attention")) test_attention();
        if (wanted("decode")) test_decode();
        if (wanted("flat")) test_flat();
    }
    if (wanted("head")) {
        if (!small) { test_padding(37, 70); test_padding(1001, 3); }
        if (!tiny) test_padding(50257, 300);
        test_odd(304);
        test_vocab();
    }
    gpu.b->close(gpu.context);
    cpu.b->close(cpu.context);
    printf("%s: worst difference of one operation %.2g\n", b->name, worst_of[is_bf16()]);
    if (fp32 && wanted("derivatives")) {
        c = grpo_defaults();
        c.backend = b; c.log = note;
        failures = grpo_selftest(&c);
        CHECK(failures == 0, "%s: %d failures of grpo_selftest()", b->name, failures);
    }
    if (wanted("training")) test_training(b, fp32);
    if (wanted("failures")) test_failures(b);
}

/* Is there a card for it? If not, why. */
static int has_device(const grpo_backend *b, char *error) {
    grpo_config c = grpo_defaults();
    void *context;
    c.model.vocab_size = 16;
    context = b->open(&c, error);
    if (context) b->close(context);
    return context != NULL;
}

/* ---- a team of processes on the device. Each has a context of its own: they are begun before this
 * process opens one, which children could not use. */
static float odd_tokens(const grpo_sample *s, void *user) {
    int i, odd = 0;
    (void)user;
    for (i = 0; i < s->num_tokens; i++) odd += s->tokens[i] & 1;
    return (float)odd / (float)s->num_tokens;
}

/* Three steps in a process of a team; a hash of the weights, 0 after an error. */
static uint64_t train_in_team(const grpo_backend *b, const grpo_team *team) {
    const grpo_prompt prompts[4] = { grpo_question("a", NULL), grpo_question("bb", NULL),
                                     grpo_question("ca", NULL), grpo_question("b", NULL) };
    grpo_config c = small_config(b, 4);
    uint64_t hash = 1;
    size_t i;
    float *weights;
    grpo *g;
    c.vocabulary = "abc";
    c.num_prompts = 4;
    c.lanes = 4;
    c.team = *team;
    c.num_rewards = 0;
    grpo_add_reward(&c, "odd", odd_tokens, 1, NULL);
    if (!(g = grpo_new(&c))) return printf("%s\n", c.error), 0;
    weights = (float *)malloc(g->num_trained * sizeof *weights);
    for (i = 0; i < 3; i++)
        if (grpo_step(g, prompts, 4, NULL)) return printf("%s\n", grpo_error(g)), 0;
    b->download(g->machinery->context, weights, g->machinery->trained,
                g->num_trained * sizeof *weights);
    for (i = 0; i < g->num_trained; i++) hash = grpo__mix(hash ^ grpo__bits(weights[i]));
    free(weights);
    grpo_free(g);
    return hash;
}

/* What process 0 of so many finds; 1: there is no device. */
static uint64_t team_hash(const grpo_backend *b, int size) {
    char error[GRPO_ERROR_LENGTH] = "";
    uint64_t hash = 0;
    processes all;
    grpo_team team;
    int ends[2], status = 0;
    if (pipe(ends) || fflush(stdout)) return 0;
    memset(&team, 0, sizeof team);
    if (fork() == 0) {
        if (processes_start(&all, size, &team, error)) _exit(1);
        hash = has_device(b, error) ? train_in_team(b, &team) : 1;
        status = !team.rank && write(ends[1], &hash, sizeof hash) < 0;
        fflush(stdout);
        _exit(processes_end(&all) || status || !hash);
    }
    close(ends[1]);
    if (read(ends[0], &hash, sizeof hash) != (ssize_t)sizeof hash) hash = 0;
    close(ends[0]);
    return wait(&status) > 0 && !status ? hash : 0;
}

static void test_team(const grpo_backend *b) {
    uint64_t alone = team_hash(b, 1);
    int size;
    for (size = 2; size <= 4 && alone != 1; size *= 2) {
        uint64_t hash = team_hash(b, size);
        CHECK(alone && hash == alone, "%s: %d processes end with other weights than one", b->name,
              size);
    }
}

static int table_of(const char *name) {
    return !strcmp(name, "fp32") ? 1 : !strcmp(name, "bf16") ? 2 : !strcmp(name, "hopper") ? 4 : 0;
}

int main(int argc, char **argv) {
    char error[GRPO_ERROR_LENGTH] = "";
    int tables;
#ifdef GRPO_CUDA_SHIM
    tiny = 1;
#endif
    if (argc > 1 && !strcmp(argv[1], "--quick")) { tiny = 1; argc--; argv++; }
    else if (argc > 1 && !strcmp(argv[1], "--small")) { tiny = small = 1; argc--; argv++; }
    num_asked = argc - 1;
    asked = (const char *const *)(argv + 1);
    for (tables = 0; num_asked && table_of(*asked); num_asked--) tables |= table_of(*asked++);
    if (!tables) tables = 7;
    if (!small && wanted("team")) {
        if (tables & 1) test_team(grpo_cuda_fp32());
        if (tables & 2 && grpo_cuda() != grpo_cuda_fp32()) test_team(grpo_cuda());
        if (tables & 4) test_team(grpo_cuda_hopper());
    }
    if (!has_device(grpo_cuda(), error)) {
        printf("skipped: %s\n", error);
        return 0;
    }
    if (tables & 1) test_backend(grpo_cuda_fp32());
    if (tables & 2 && grpo_cuda() != grpo_cuda_fp32()) test_backend(grpo_cuda());
    if (tables & 4 && has_device(grpo_cuda_hopper(), error)) test_backend(grpo_cuda_hopper());
    else if (tables & 4) printf("skipped: %s\n", error);
    return check_finish();
}
