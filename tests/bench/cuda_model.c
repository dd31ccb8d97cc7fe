/* cuda_model - how long each kernel of grpo_cuda.cu should take: expected, not measured.
 *
 *   make cuda-model                         tables of all cards, then the kernels of one
 *   build/cuda_model [--card NAME] [--size NAME] [--batch B] [--hopper]   kernels of these alone
 *   build/cuda_model --tsv FILE [--card NAME]   what bench/cuda.c measures: part, name, unit, value
 *
 * Needs no card and no CUDA. Of each kernel are known: blocks, bytes from DRAM and from L2, and
 * FLOPs, from its shape; registers, shared memory and instructions of its main loop, from what nvcc
 * made (tests/cuda_made.txt). A kernel's time is the longest of
 *     bytes of DRAM / bandwidth, or / what the bytes under way at once allow,
 *     bytes of L2 / its bandwidth,
 *     rounds of blocks x steps x the longest of a step's tensor operations, accesses to shared
 *     memory (128 bytes a cycle; ldmatrix and cp.async move 512 a warp) and issue slots (4 a
 *     cycle),
 * and then its dependent waits for memory, and its launch. What is not in it: bank conflicts,
 * clocks that fall under load, hits in L1, instruction caches. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "examples/show.h"
#include "tests/bench/shapes.h"

/* ---- cards. Data sheets of NVIDIA, dense bf16 with fp32 sums: H100 SXM5 (989 TFLOP/s, 3.35 TB/s,
 * 50 MB of L2), H200 (4.8 TB/s), A100 SXM4 80 GB (312, 2.04, 40), GeForce RTX 4090 (165.2, 1.008,
 * 72); a multiprocessor's limits: CUDA C++ Programming Guide, Compute Capabilities. mma: what
 * mma.sync reaches of the peak, 63 % on Hopper (PERFORMANCE.md, section 4); wide: what cuBLAS
 * reaches, 798 of 989 (there). read: a copy's share of the bandwidth, 3.0 of 3.35 TB/s (there).
 * Assumed: these shares of the A100 and 4090, bandwidths of L2 and latencies of memory, rounded. */
typedef struct card {
    const char *name;
    int hopper, sms, warps, shared, blocks;
    double ghz, tflops, mma, wide, bandwidth, read, l2, l2_bandwidth, latency;
    double fp64;                    /* cycles of a dependent addition of doubles                 */
} card;
static const card cards[] = {
    { "H200", 1, 132, 64, 233472, 32, 1.83, 989e12, 0.63, 0.81, 4.8e12, 0.9, 50e6, 6.5e12, 7e-7,
      8 },
    { "H100", 1, 132, 64, 233472, 32, 1.83, 989e12, 0.63, 0.81, 3.35e12, 0.9, 50e6, 6.5e12, 7e-7,
      8 },
    { "A100", 0, 108, 64, 167936, 32, 1.41, 312e12, 0.95, 0, 2.04e12, 0.9, 40e6, 4e12, 6e-7, 8 },
    { "4090", 0, 128, 48, 102400, 24, 2.52, 165.2e12, 0.95, 0, 1.008e12, 0.9, 72e6, 4.5e12, 6e-7,
      48 } };
enum { CARDS = sizeof cards / sizeof *cards };

/* Launches. A node of a graph: 1.3 us (PERFORMANCE.md). Assumed: what is left of it where the next
 * kernel is launched early; a launch by the host; recording and updating a graph, of each node; a
 * wait of the host for the card. */
static const double node = 1.3e-6, early_node = 0.7e-6, launch = 2.5e-6, record = 1.5e-6,
                    poll = 3e-5;
enum { TICKS = 32, PASS_ROWS = 8192, LOGITS = 1 << 28, SLICE = 256, BAND = 16, PARTIAL = 64 << 20 };

/* ---- sizes: those of bench/cuda.c, and Qwen3-0.6B with 256 sequences */
typedef struct size {
    const char *name;
    double hidden, layers, heads, kv, d, ffn, vocab;
    int bias, normed;
    double prompts, group, prompt, completion;
} size;
static const size sizes[] = {
    { "15M", 288, 6, 6, 6, 48, 768, 32000, 0, 0, 4, 16, 64, 256 },
    { "135M", 576, 30, 9, 3, 64, 1536, 49152, 0, 0, 4, 16, 64, 256 },
    { "0.5B", 896, 24, 14, 2, 64, 4864, 151936, 1, 0, 4, 16, 64, 256 },
    { "0.6B", 1024, 28, 16, 8, 128, 3072, 151936, 0, 1, 32, 8, 64, 256 } };
enum { SIZES = sizeof sizes / sizeof *sizes };

/* ---- what nvcc made: [0] sm_80, [1] sm_90a */
typedef struct made {
    char name[64];
    int threads, dynamic, registers[2], shared[2];
    int loop[2][7];                 /* all, tensor, ldmatrix, copies, loads, multiplies, private */
} made;
static made table[256];
static int made_count;

static made *made_of(const char *name, int needed) {
    int i;
    for (i = 0; i < made_count; i++) if (!strcmp(table[i].name, name)) return &table[i];
    if (!needed) return NULL;
    printf("cuda_model: tests/cuda_made.txt has no kernel %s\n", name);
    exit(1);
}

static void read_made(void) {
    FILE *f = fopen("tests/cuda_made.txt", "r");
    char line[256], name[64], a[64], b[64];
    if (!f) { puts("cuda_model: run it where tests/cuda_made.txt is"); exit(1); }
    while (fgets(line, sizeof line, f)) {
        made *m = &table[made_count];
        int skip, k;
        if (sscanf(line, "made %63s %d %d %*s %d/%d/%d %*s %d/%d", m->name, &m->threads,
                   &m->dynamic, &m->registers[0], &m->shared[0], &skip, &m->registers[1],
                   &m->shared[1]) == 8) {
            if (++made_count == 255) break;
        } else if (sscanf(line, "loop %63s sm_80 %63s sm_90a %63s", name, a, b) == 3)
            for (m = made_of(name, 1), k = 0; k < 2; k++) {
                int *x = m->loop[k];
                sscanf(k ? b : a, "%d/%d/%d/%d/%d/%d/%d", x, x + 1, x + 2, x + 3, x + 4, x + 5,
                       x + 6);
            }
    }
    fclose(f);
}

/* ---- the time of one kernel */
typedef struct job {
    const char *kernel;             /* as in the table                                           */
    double blocks, steps;           /* a block's steps of the main loop (of each thread)         */
    double parts, part_steps;       /* further blocks, which compute parts of tiles              */
    double dram, l2, flops;         /* bytes, bytes, necessary operations                        */
    double in_flight;               /* bytes that a block loads at once; 0: enough               */
    double trips, serial;           /* dependent waits for memory; cycles of one thread          */
    double tile_trips;              /* such waits of a tile, where no other block runs meanwhile */
} job;

enum { BY_DRAM, BY_L2, BY_TENSOR, BY_SHARED, BY_ISSUE, BY_WAITS, BOUNDS };
static const char *const bound_names[] = { "DRAM", "L2", "tensor cores", "shared memory",
                                           "issue slots", "waits, launch" };
typedef struct cost { double seconds, by[BOUNDS]; } cost;

static double least(double a, double b) { return a < b ? a : b; }
static double most(double a, double b) { return a > b ? a : b; }

static double held(const card *c, const made *m) {
    double warps = ceil(m->threads / 32.0), room = m->shared[c->hopper] + m->dynamic + 1024.0;
    double each = 256 * ceil(m->registers[c->hopper] * 32 / 256.0);
    double n = least(floor(c->warps / warps), c->blocks);
    n = least(n, floor(4 * floor(65536 / each / 4) / warps));
    return most(1, least(n, floor(c->shared / room)));
}

/* FLOPs of a step of a block: an HMMA has 4096, an HGMMA 64 x 128 x 16 multiply-adds; the last warp
 * of a wgmma block loads. */
static double step_flops(const card *c, const made *m) {
    int wide = !strncmp(m->name, "wgmma", 5);
    double n = m->loop[c->hopper][1];
    return wide ? n * 2 * 64 * 128 * 16 * floor(m->threads / 128.0) : n * 4096 * m->threads / 32;
}

/* Cycles of tensor cores, of shared memory and of issue slots, of blocks that come in rounds; of[]:
 * those of a block's step. Blocks that are few also wait for their own instructions: a warp issues
 * one a cycle at most, and `alone` cycles are those of barriers, ldmatrix and the last mma. */
static void add_rounds(double cycles[3], const double of[3], double blocks, double steps,
                       double sms, double at_once, double own, double alone) {
    double rounds = floor(blocks / (sms * at_once)), rest = blocks - rounds * sms * at_once;
    double n = ceil(rest / sms - 1e-9);
    int k, longest = 0;
    for (k = 1; k < 3; k++) if (of[k] > of[longest]) longest = k;
    for (k = 0; k < 3; k++) {
        double least_of = k == 2 ? own + alone : k == longest ? of[k] + alone : 0;
        cycles[k] += rounds * steps * most(at_once * of[k], least_of);
        if (n > 0) cycles[k] += steps * most(n * of[k], least_of);
    }
}

static cost time_of(const card *c, const job *j, double gap) {
    const made *m = made_of(j->kernel, 1);
    const int *loop = m->loop[c->hopper];
    int wide = !strncmp(j->kernel, "wgmma", 5), k;
    double warps = ceil(m->threads / 32.0), at_once = held(c, m), hz = c->ghz * 1e9;
    double speed = c->bandwidth * c->read, blocks = j->blocks + j->parts, longest = 0, rounds, own;
    double of[3], cycles[3] = { 0, 0, 0 };                    /* tensor, shared memory, issue    */
    cost t = { 0, { 0 } };
    if (blocks <= 0) return t;
    of[0] = step_flops(c, m) / (c->tflops * (wide ? c->wide : c->mma) / c->sms / hz);
    of[1] = wide ? 0 : 4.0 * (loop[2] + loop[3]) * warps;
    of[2] = loop[0] * warps / 4;
    own = loop[0] * ceil(warps / 4);
    if (loop[1]) {                  /* tensor kernels go by rounds; others have many short blocks */
        add_rounds(cycles, of, j->blocks, j->steps, c->sms, at_once, own, wide ? 50 : 150);
        add_rounds(cycles, of, j->parts, j->part_steps, c->sms, at_once, own, wide ? 50 : 150);
        for (k = 0; k < 3; k++) t.by[BY_TENSOR + k] = cycles[k] / hz;
    } else t.by[BY_ISSUE] = j->blocks * j->steps * of[2] / c->sms / hz;
    if (j->in_flight > 0)
        speed = least(speed, least(blocks, c->sms * at_once) * j->in_flight / c->latency);
    t.by[BY_DRAM] = j->dram / speed;
    t.by[BY_L2] = j->l2 / c->l2_bandwidth;
    for (k = 0; k < BY_WAITS; k++) longest = most(longest, t.by[k]);
    rounds = at_once > 1 ? 0 : floor(blocks / c->sms);        /* else others run meanwhile       */
    t.by[BY_WAITS] = gap + c->latency * (j->trips + j->tile_trips * rounds) + j->serial / hz;
    t.seconds = longest + t.by[BY_WAITS];
    return t;
}

/* ---- plans: kernels that follow each other */
typedef struct line { const char *part, *kernel; double times; cost cost; } line;
typedef struct plan {
    const card *c;
    int wide;                       /* grpo_cuda_hopper()                                        */
    double gap;                     /* between two kernels                                       */
    line lines[128];
    int count;
    double seconds, launches, floor;                          /* floor: weights / bandwidth      */
} plan;

static plan plan_of(const card *c, int wide, double gap) {
    plan p;
    memset(&p, 0, sizeof p);
    p.c = c; p.wide = wide; p.gap = gap;
    return p;
}

static void add(plan *p, const char *part, job j, double times) {
    cost t = time_of(p->c, &j, p->gap);
    int i, k;
    if (times <= 0 || j.blocks + j.parts <= 0) return;
    for (i = 0; i < p->count; i++)
        if (!strcmp(p->lines[i].part, part) && !strcmp(p->lines[i].kernel, j.kernel)) break;
    if (i == p->count) {
        if (p->count == 127) { puts("cuda_model: too many kernels"); exit(1); }
        p->lines[p->count].part = part;
        p->lines[p->count++].kernel = made_of(j.kernel, 1)->name;
    }
    p->lines[i].times += times;
    p->lines[i].cost.seconds += times * t.seconds;
    for (k = 0; k < BOUNDS; k++) p->lines[i].cost.by[k] += times * t.by[k];
    p->seconds += times * t.seconds;
    p->launches += times;
}

/* Bytes that the kernel before has just written, or that are read again at once: from L2, unless
 * they are too many for it. */
static void near(const card *c, job *j, double bytes) {
    if (bytes < c->l2 / 2) j->l2 += bytes;
    else j->dram += bytes;
}

/* ---- products: C [m, n] = A [m, k] B [k, n], as grpo__mma_product() chooses tiles */
enum { FORWARD, BACK, WEIGHTS };    /* y = x W', dx = dy W, dW += dy' x                          */
typedef struct product { double m, n, k; int kind, strips, writes, residual; } product;

static void add_product(plan *p, const char *part, product s, double times) {
    static const char *const turned[] = { "0,0", "0,1", "1,1" };
    static char names[64][48];
    static int used;
    const card *c = p->c;
    int wide = p->wide && !s.strips, i;
    double large = ceil(s.m / 128) * ceil(s.n / 128), slices = ceil(s.k / SLICE), bm, bn, tiles;
    double blocks, rest, b_reads, weights = 2 * s.n * s.k;
    double stage;                   /* bytes of one in shared memory, padding included           */
    char tile[16], name[48];
    const made *m;
    job j;
    memset(&j, 0, sizeof j);
    if (wide) {
        bm = s.m <= 64 || large < c->sms ? 64 : 128; bn = 128;
        snprintf(name, sizeof name, "wgmma_product<%d,%s>", (int)bm / 64, turned[s.kind]);
    } else {
        if (s.m <= 16) { bm = 16; bn = 64; strcpy(tile, "16,32"); }
        else if (s.m <= 64 || large < c->sms) { bm = bn = 64; strcpy(tile, "32,32"); }
        else { bm = bn = 128; strcpy(tile, "64,32"); }
        snprintf(name, sizeof name, "mma_product<%d,%d,%s,%s>", (int)bm, (int)bn, tile,
                 turned[s.kind]);
    }
    for (i = 0; i < used && strcmp(names[i], name); i++) { }
    if (i == used && used < 64) strcpy(names[used++], name);
    j.kernel = names[i];
    tiles = ceil(s.m / bm) * ceil(s.n / bn);
    m = made_of(j.kernel, 1);
    j.blocks = tiles;
    j.flops = 2 * s.m * s.n * s.k;
    j.steps = 2 * bm * bn * ceil(s.k / 32) * 32 / most(1, step_flops(c, m));
    /* as grpo__split() */
    blocks = wide ? c->sms * held(c, m) : c->sms;
    rest = tiles - floor(tiles / blocks) * blocks;
    if (slices > 1 && rest > 0 && !s.strips && rest <= 1024
        && (tiles <= blocks || (bm * bn >= 128 * 128 && 2 * rest <= blocks))
        && rest * bm * bn * 4 * slices <= PARTIAL) {
        j.blocks = tiles - rest;
        j.parts = rest * slices;
        j.part_steps = j.steps / slices;
    }
    /* in bands of 16 tiles of rows: B is read from memory again for each */
    b_reads = weights > c->l2 / 2 ? ceil(ceil(s.m / bm) / BAND) : 1;
    j.dram = weights * b_reads;
    near(c, &j, 2 * s.m * s.k);
    if (s.kind == WEIGHTS) { j.dram = 0; near(c, &j, 2 * s.m * s.k); near(c, &j, weights); }
    j.l2 += tiles * (bm + bn) * s.k * 2 * (wide && bm == 128 ? 0.75 : 1);     /* clusters of two */
    j.l2 += 2 * j.parts * bm * bn * 4;                        /* partial sums                    */
    if (s.kind == WEIGHTS) j.dram += 8 * s.m * s.n;
    else if (s.writes) near(c, &j, 2 * s.m * s.n * (1 + s.residual));
    if (s.strips) near(c, &j, s.m * s.n / 2);
    stage = wide ? 128 * (bm + bn) : 64 * ((s.kind == WEIGHTS ? bm + 8 : bm * 1.25)
                                           + (s.kind == FORWARD ? bn * 1.25 : bn + 8));
    j.in_flight = (floor(m->dynamic / stage) - 1) * (bm + bn) * (wide ? 64 : 32) * 2;
    j.trips = 2 + (j.parts > 0 ? 2 : 0) + (s.residual || s.kind == WEIGHTS);
    /* wgmma's blocks stay, and load ahead: a tile waits for what it is added to, by quarters */
    j.tile_trips = wide ? 4 * (s.residual || s.kind == WEIGHTS) : j.trips;
    /* launched early, mma's asks for its first weights before the kernel before it has ended */
    if (p->gap == early_node && !wide && s.kind == FORWARD) j.trips--;
    add(p, part, j, times);
}

static void add_layer_product(plan *p, const char *part, double m, double n, double k, int residual,
                              double times) {
    product s = { 0, 0, 0, FORWARD, 0, 1, 0 };
    s.m = m; s.n = n; s.k = k; s.residual = residual;
    add_product(p, part, s, times);
}

/* dx and dW of y [rows, out] = x [rows, in] W' */
static void add_back(plan *p, const char *dx, const char *dw, double rows, double out, double in,
                     double times) {
    product s = { 0, 0, 0, BACK, 0, 1, 0 };
    s.m = rows; s.n = in; s.k = out;
    add_product(p, dx, s, times);
    s.m = out; s.n = in; s.k = rows; s.kind = WEIGHTS;
    add_product(p, dw, s, times);
}

/* ---- kernels that move bytes: n elements at `bytes` each, `each` of them a step of a thread (of
 * SwiGLU's loop 16 for 8: it holds both ways, forward and backward, of which one is taken) */
static void add_rows(plan *p, const char *part, const char *kernel, double n, double bytes,
                     double each, double blocks, double times) {
    const made *m = made_of(kernel, 1);
    job j;
    memset(&j, 0, sizeof j);
    j.kernel = kernel;
    j.blocks = most(1, blocks > 0 ? blocks : ceil(n / each / m->threads));
    j.steps = n / each / m->threads / j.blocks;
    j.trips = 2;
    near(p->c, &j, n * bytes);
    add(p, part, j, times);
}

/* ---- attention of rows that come as prompts, each with `group` completions */
static double pairs_of(const size *s, double prompts) {       /* of rows and keys, one head      */
    double rows = s->completion - 1;
    return prompts * (0.5 * s->prompt * (s->prompt + 1)
                      + s->group * rows * (s->prompt + 0.5 * (rows + 1)));
}
/* of which blocks of 64 rows and 64 keys compute more: the diagonal, and what crosses segments */
static double blocks_share(const size *s) {
    double rows = s->completion - 1, own = 0.5 * rows;
    return (s->prompt + own + 64) / (s->prompt + own) * (1 + 0.5 * 64 / rows);
}

static const char *by_width(const size *s, const char *narrow, const char *wide) {
    return s->d <= 64 ? narrow : wide;
}

static void add_attention(plan *p, const size *s, double rows, double pairs, double share,
                          int backward, double times) {
    double elements = rows * s->heads * s->d, keys = rows * s->kv * s->d;
    job j;
    memset(&j, 0, sizeof j);
    j.kernel = backward ? by_width(s, "flash_dq<64>", "flash_dq<128>")
                        : by_width(s, "flash<64,4>", "flash<128,4>");
    j.blocks = ceil(rows / 64) * s->heads;
    j.steps = pairs * share * s->heads / j.blocks / 64 / 64;
    j.flops = (backward ? 6 : 4) * pairs * s->heads * s->d;
    near(p->c, &j, 2 * (elements * (backward ? 4 : 2) + 2 * keys));
    j.l2 += j.blocks * j.steps * 64 * 2 * s->d * 2;
    j.trips = 3;
    add(p, backward ? "attention, dq" : "attention", j, times);
    if (!backward) return;
    j.kernel = by_width(s, "flash_dkv<64>", "flash_dkv<128>");
    j.blocks = ceil(rows / 64) * s->kv;
    j.steps = pairs * share * s->heads / j.blocks / 64 / 32;
    j.flops = 8 * pairs * s->heads * s->d;
    j.dram = j.l2 = 0;
    near(p->c, &j, 2 * (2 * elements + 4 * keys));
    j.l2 += j.blocks * j.steps * 32 * 2 * s->d * 2;
    add(p, "attention, dk dv", j, times);
    add_rows(p, "attention, D", "attention_D<bf16>", elements, 4, 4, 0, times);
}

/* ---- a forward pass over rows; decode: each row its own sequence of `keys` keys */
static void add_head(plan *p, const size *s, double rows, int draws, double times) {
    product h = { 0, 0, 0, FORWARD, 1, 0, 0 };
    const card *c = p->c;
    double at_once = least(rows, most(64, floor(LOGITS / s->vocab))), blocks = ceil(rows / at_once);
    job j;
    h.m = rows / blocks; h.n = s->vocab; h.k = s->hidden;
    if (p->wide) { h.strips = 0; h.writes = 1; }
    add_product(p, "head", h, times * blocks);
    memset(&j, 0, sizeof j);
    j.blocks = h.m;
    if (p->wide) {
        j.kernel = draws ? "sample<bf16>" : "logprobs<bf16>";
        near(c, &j, h.m * s->vocab * 2 * (draws ? 2 : 1));
        j.steps = s->vocab / 8 / 256 * (draws ? 2 : 1);
        j.trips = 4; j.serial = draws ? 512 * c->fp64 : 0;
    } else {
        j.kernel = "pick";
        near(c, &j, h.m * s->vocab / 2);
        j.dram += least(h.m * 32 * s->hidden * 2, s->vocab * s->hidden * 2);
        j.trips = 3 + s->hidden / 128 + (draws ? 2 : 0);      /* strips; rows of W; a drawn one   */
        j.serial = draws ? 512 * c->fp64 : 0;                 /* sums over 256 pieces, twice     */
    }
    add(p, draws ? "draw" : "log-probs", j, times * blocks);
}

static void add_forward(plan *p, const size *s, double rows, double pairs, double share,
                        double keys, double head_rows) {
    const card *c = p->c;
    double H = s->hidden, Q = s->heads * s->d, KV = s->kv * s->d, F = s->ffn, L = s->layers;
    double row_blocks = H > 1024 ? 2 : 1;
    add_rows(p, "embed", "convert<bf16,float,4>", rows * H, 6, 4, rows, 1);
    add_rows(p, "norm", "rmsnorm<bf16,8>", rows * H, 4, 32, ceil(rows * row_blocks / 8), 2 * L + 1);
    add_layer_product(p, "q, k, v", rows, Q + 2 * KV, H, 0, L);
    add_rows(p, "positions", "rotate<bf16,8>", rows * (Q + 2 * KV), 4, 16, 0, L);
    if (keys > 0) {
        double parts = rows * s->kv >= 2 * c->sms ? 1 : ceil(keys / 64);
        job j;
        memset(&j, 0, sizeof j);
        j.kernel = by_width(s, "flash<64,1>", "flash<128,1>");
        j.blocks = rows * s->kv * parts;
        j.steps = ceil(keys / parts / 64);
        j.flops = 4 * keys * rows * s->heads * s->d;
        near(c, &j, rows * most(0, keys - s->prompt) * 2 * KV * 2);
        j.l2 += rows * least(keys, s->prompt) * 2 * KV * 2;
        j.in_flight = 64 * 2 * s->d * 2;
        j.trips = 3 + (parts > 1 ? 2 : 0);
        add(p, "attention", j, L);
    } else add_attention(p, s, rows, pairs, share, 0, L);
    add_layer_product(p, "out", rows, H, Q, 1, L);
    add_layer_product(p, "gate, up", rows, 2 * F, H, 0, L);
    add_rows(p, "SwiGLU", "swiglu<bf16,8>", rows * F, 6, 16, 0, L);
    add_layer_product(p, "down", rows, H, F, 1, L);
    if (head_rows > 0) add_head(p, s, head_rows, keys > 0, 1);
}

/* ---- one token of each of B sequences, with `keys` keys each; the activations are stored */
static double matrices(const size *s) {
    double Q = s->heads * s->d, KV = s->kv * s->d;
    return s->layers * s->hidden * (2 * Q + 2 * KV + 3 * s->ffn);
}

static plan token_plan(const card *c, int wide, const size *s, double batch, double keys) {
    plan p = plan_of(c, wide, c->hopper ? early_node : node);
    double weights = 2 * (matrices(s) + s->vocab * s->hidden), state, scale;
    int i, k;
    add_forward(&p, s, batch, 0, 1, keys, batch);
    state = s->layers * (2 * s->hidden + 2 * s->heads * s->d + 2 * s->ffn);
    add_rows(&p, "store", "store", batch * state, 4, 8, batch * s->layers * 6, 1);
    add_rows(&p, "next", "next", batch, 64, 1, 1, 1);
    p.floor = (weights + batch * keys * s->layers * 2 * s->kv * s->d * 2) / c->bandwidth;
    /* a model that fits L2 is there already: what came from DRAM comes from L2 */
    if (weights < 0.6 * c->l2)
        for (p.seconds = 0, i = 0; i < p.count; i++) {
            cost *t = &p.lines[i].cost;
            double longest = 0;
            scale = c->bandwidth * c->read / c->l2_bandwidth;
            t->by[BY_DRAM] *= scale;
            for (k = 0; k < BY_WAITS; k++) longest = most(longest, t->by[k]);
            t->seconds = longest + t->by[BY_WAITS];
            p.seconds += t->seconds;
        }
    return p;
}

/* Of `ticks` tokens the first is launched by the host, which then records a graph of the others. */
static double ticks_seconds(const plan *p, double ticks) {
    double first = most(p->seconds, p->launches * launch);
    return first + p->launches * record + poll + (ticks - 1) * p->seconds;
}

static double rollout_seconds(const card *c, int wide, const size *s) {
    plan p = plan_of(c, wide, node);
    double batch = s->prompts * s->group, at, seconds, ticks;
    add_forward(&p, s, s->prompts * s->prompt, s->prompts * s->prompt * (s->prompt + 1) / 2, 1.5, 0,
                s->prompts);
    seconds = p.seconds + poll;
    for (at = 1; at < s->completion; at += TICKS) {           /* the prompt's pass drew the first */
        ticks = least(TICKS, s->completion - at);
        p = token_plan(c, wide, s, batch, s->prompt + at + ticks / 2);
        seconds += ticks_seconds(&p, ticks);
    }
    return seconds;
}

/* As bench/cuda.c has it: prompts of one token, 33 tokens drawn for each. */
static double decode_seconds(const card *c, int wide, const size *s, double batch) {
    size one = *s;
    one.prompts = batch; one.group = 1; one.prompt = 1; one.completion = 33;
    return rollout_seconds(c, wide, &one) / one.completion;
}

/* ---- training: passes of groups, some PASS_ROWS rows each */
static double passes_of(const size *s, double *groups, double *rows) {
    double group = s->prompt + s->group * (s->completion - 1);
    *groups = least(s->prompts, 1 + floor(PASS_ROWS / group));
    *rows = *groups * group;
    return s->prompts / *groups;
}

static double head_rows_of(const size *s, double groups) {
    return groups * (1 + s->group * (s->completion - 1));
}

static double parameters(const size *s) {
    return matrices(s) + s->vocab * s->hidden + (2 * s->layers + 1) * s->hidden;
}

static plan reference_plan(const card *c, int wide, const size *s) {
    plan p = plan_of(c, wide, node);
    double groups, rows, passes = passes_of(s, &groups, &rows), i;
    for (i = 0; i < passes; i++)
        add_forward(&p, s, rows, pairs_of(s, groups), blocks_share(s), 0, head_rows_of(s, groups));
    return p;
}

static void add_backward(plan *p, const size *s, double rows, double groups) {
    const char *const sum = "sum_rows<bf16,8>";
    double H = s->hidden, Q = s->heads * s->d, KV = s->kv * s->d, F = s->ffn, L = s->layers;
    double heads = head_rows_of(s, groups), at_once = floor(LOGITS / s->vocab), blocks;
    double stored = L * (2 * H + 2 * Q + 2 * F + (s->normed ? Q + 2 * KV : 0)), m;
    product h = { 0, 0, 0, FORWARD, 0, 1, 0 };
    add_rows(p, "recall", "gather_rows<uint4>", rows * stored / L / 6, 4, 8, rows, 6 * L);
    add_rows(p, "norm", "rmsnorm<bf16,8>", rows * H, 4, 32, 0, 2 * L + 1);
    blocks = ceil(heads / least(heads, at_once));
    m = heads / blocks;
    h.m = m; h.n = s->vocab; h.k = H;
    add_product(p, "head", h, blocks);
    add_rows(p, "log-probs, backward", "logprobs_backward<bf16>", m * s->vocab, 6, 8, m, blocks);
    add_back(p, "head, dx", "head, dW", m, s->vocab, H, blocks);
    add_rows(p, "norm, backward", "rmsnorm_backward<bf16,8>", rows * H, 8, 32, ceil(rows / 32),
             2 * L + 1);
    add_rows(p, "SwiGLU", "swiglu<bf16,8>", rows * F, 6, 16, 0, L);
    add_back(p, "down, dx", "down, dW", rows, H, F, L);
    add_rows(p, "SwiGLU, backward", "swiglu<bf16,8>", rows * F, 10, 16, 0, L);
    add_back(p, "gate, up, dx", "gate, up, dW", rows, 2 * F, H, L);
    add_back(p, "out, dx", "out, dW", rows, H, Q, L);
    add_attention(p, s, rows, pairs_of(s, groups), blocks_share(s), 1, L);
    add_rows(p, "positions, backward", "rotate<bf16,8>", rows * (Q + 2 * KV), 4, 16, 0, L);
    if (s->normed) add_rows(p, "sums of rows", sum, rows * (Q + KV), 2, 128, 0, L);
    add_back(p, "q, k, v, dx", "q, k, v, dW", rows, Q + 2 * KV, H, L);
    if (s->bias) add_rows(p, "sums of rows", sum, rows * (Q + 2 * KV), 2, 128, 0, L);
    add_rows(p, "embedding, backward", sum, rows * H, 6, 128, rows, 1);
}

static plan update_plan(const card *c, int wide, const size *s) {
    plan p = plan_of(c, wide, node);
    double groups, rows, passes = passes_of(s, &groups, &rows), n = parameters(s), i;
    for (i = 0; i < passes; i++) add_backward(&p, s, rows, groups);
    add_rows(&p, "gradient norm", "squares<float,4>", n, 4, 16, 0, 1);
    add_rows(&p, "gradients together", "mix<float,4>", s->vocab * s->hidden, 12, 4, 0, 1);
    add_rows(&p, "AdamW", "adamw<float,4>", n, 28, 4, 0, 1);
    add_rows(&p, "weights to elements", "convert<bf16,float,4>", n, 6, 4, 0, 1);
    add_rows(&p, "clear", "mix<float,4>", n + s->vocab * s->hidden, 4, 4, 0, 1);
    return p;
}

typedef struct times { double rollout, reference, update, step; } times;
static times step_of(const card *c, int wide, const size *s) {
    times t;
    t.rollout = rollout_seconds(c, wide, s);
    t.reference = reference_plan(c, wide, s).seconds + poll;
    t.update = update_plan(c, wide, s).seconds + 2 * poll;
    t.step = t.rollout + t.reference + t.update;
    return t;
}

/* Necessary operations of a forward pass, as forward_flops() of steps.h counts them. */
static double forward_flops(const size *s) {
    double rows = s->prompts * (s->prompt + s->group * (s->completion - 1));
    return 2 * rows * matrices(s) + 2 * head_rows_of(s, s->prompts) * s->hidden * s->vocab
           + 4 * pairs_of(s, s->prompts) * s->heads * s->d * s->layers;
}

/* ---- one line for each number that bench/cuda.c measures */
static double product_tflops(const card *c, int wide, const int shape[3], int kind) {
    plan p = plan_of(c, wide, node);
    product s = { 0, 0, 0, FORWARD, 0, 1, 0 };
    s.kind = kind;
    s.m = kind == WEIGHTS ? shape[1] : shape[0];
    s.n = kind == FORWARD ? shape[1] : shape[2];
    s.k = kind == FORWARD ? shape[2] : kind == BACK ? shape[1] : shape[0];
    add_product(&p, "product", s, 1);
    return 2e-12 * shape[0] * shape[1] * shape[2] / p.seconds;
}

static double attention_tflops(const card *c, const int shape[5], int backward) {
    plan p = plan_of(c, 0, node);
    size s = sizes[0];
    double length = shape[1], rows = shape[0] * length, pairs = rows * (length + 1) / 2;
    s.heads = shape[2]; s.kv = shape[3]; s.d = shape[4];
    add_attention(&p, &s, rows, pairs, (length + 64) / length, backward, 1);
    return (backward ? 10e-12 : 4e-12) * pairs * s.heads * s.d / p.seconds;
}

typedef struct row_shape {
    const char *name, *kernel;
    double elements, bytes, each, counted;
} row_shape;
static void rows_tsv(FILE *f, const card *c) {
    static const double n = 65536.0 * 1024;
    static const row_shape list[] = {         /* counted: bytes an element, as the bench counts  */
        { "copy", "gather_rows<uint4>", 1, 4, 8, 4 }, { "norm", "rmsnorm<bf16,8>", 1, 4, 32, 4 },
        { "norm backward", "rmsnorm_backward<bf16,8>", 1, 8, 32, 8 },
        { "SwiGLU", "swiglu<bf16,8>", 0.5, 6, 16, 6 },
        { "SwiGLU backward", "swiglu<bf16,8>", 0.5, 10, 16, 10 },
        { "RoPE", "rotate<bf16,8>", 1, 4, 16, 4 },
        { "embedding backward", "sum_rows<bf16,8>", 1, 3, 128, 4 },
        { "weights to elements", "convert<bf16,float,4>", 0.25, 6, 4, 6 },
        { "AdamW", "adamw<float,4>", 0.25, 28, 4, 28 },
        { "gradient norm", "squares<float,4>", 0.25, 4, 16, 4 } };
    size_t i;
    for (i = 0; i < sizeof list / sizeof *list; i++) {
        plan p = plan_of(c, 0, node);
        add_rows(&p, list[i].name, list[i].kernel, n * list[i].elements, list[i].bytes,
                 list[i].each, 0, 1);
        fprintf(f, "rows\t%s\tGB/s\t%.6g\n", list[i].name,
                1e-9 * n * list[i].elements * list[i].counted / p.seconds);
    }
}

static int write_tsv(const card *c, const char *path) {
    static const char *const kinds[] = { "y", "dx", "dw" };
    static const double batches[] = { 1, 8, 64, 256 };
    FILE *f = fopen(path, "w");
    int wide, kind, i, b, k;
    if (!f) { fprintf(stderr, "cuda_model: cannot write %s\n", path); return 1; }
    fprintf(f, "# card %s\n", c->name);
    for (wide = 0; wide <= c->hopper; wide++) {
        const char *table_name = wide ? ".hopper" : "";
        for (k = 0; k < PRODUCT_SHAPES; k++)
            for (kind = 0; kind < (product_shapes[k][0] > 64 ? 3 : 1); kind++)
                fprintf(f, "product%s\t%dx%dx%d %s\tTFLOP/s\t%.6g\n", table_name,
                        product_shapes[k][0], product_shapes[k][1], product_shapes[k][2],
                        kinds[kind], product_tflops(c, wide, product_shapes[k], kind));
        for (i = 0; i < SIZES; i++)
            for (b = 0; b < (i == SIZES - 1 ? 4 : 3); b++) {
                double t = decode_seconds(c, wide, &sizes[i], batches[b]);
                double bytes = 2 * (matrices(&sizes[i]) + sizes[i].vocab * sizes[i].hidden);
                fprintf(f, "decode%s\t%s batch %.0f\tms\t%.6g\n", table_name, sizes[i].name,
                        batches[b], 1e3 * t);
                fprintf(f, "decode%s\t%s batch %.0f\tGB/s\t%.6g\n", table_name, sizes[i].name,
                        batches[b], 1e-9 * bytes / t);
            }
        for (i = 0; i < SIZES; i++) {
            times t = step_of(c, wide, &sizes[i]);
            const double x[] = { t.rollout, t.reference, t.update, t.step };
            static const char *const names[] = { "rollout", "reference", "update", "step" };
            for (k = 0; k < 4; k++)
                fprintf(f, "step%s\t%s %s\ts\t%.6g\n", table_name, sizes[i].name, names[k], x[k]);
        }
    }
    for (k = 0; k < ATTENTION_SHAPES; k++)
        for (kind = 0; kind < 2; kind++) {
            const int *a = attention_shapes[k];
            fprintf(f, "attention\t%dx%d h%d/%d d%d %s\tTFLOP/s\t%.6g\n", a[0], a[1],
                    a[2], a[3], a[4], kind ? "backward" : "forward",
                    attention_tflops(c, a, kind));
        }
    rows_tsv(f, c);
    return fclose(f) ? 1 : 0;
}

/* ---- tables */
static void print_totals(void) {
    static const double batches[] = { 1, 8, 64, 256 };
    int i, k, b, wide;
    printf("Decode: ms a token of each of 1, 8, 64, 256 sequences, 33 tokens after a prompt of "
           "one; and the floor:\nweights, K and V at the card's bandwidth.\n\n"
           "| card | model | 1: ms, floor | 8: ms, floor | 64: ms, floor | 256: ms, floor "
           "| tokens/s |\n"
           "|---|---|---|---|---|---|---|\n");
    for (i = 0; i < CARDS; i++)
        for (k = 0; k < SIZES; k++) {
            printf("| %s | %s |", cards[i].name, sizes[k].name);
            for (b = 0; b < 4; b++)
                printf(" %.3f, %.3f |", 1e3 * decode_seconds(&cards[i], 0, &sizes[k], batches[b]),
                       1e3 * token_plan(&cards[i], 0, &sizes[k], batches[b], 17).floor);
            printf(" %.0f |\n", 256 / decode_seconds(&cards[i], 0, &sizes[k], 256));
        }
    printf("\nA GRPO step, seconds; TFLOP/s: necessary operations of the update, and their share "
           "of the card's peak;\nhopper: `grpo_cuda_hopper()`.\n\n"
           "| card | model | rollout | reference | update | step | tokens/s | TFLOP/s, share |\n"
           "|---|---|---|---|---|---|---|---|\n");
    for (i = 0; i < CARDS; i++)
        for (wide = 0; wide <= cards[i].hopper; wide++)
            for (k = 0; k < SIZES; k++) {
                times t = step_of(&cards[i], wide, &sizes[k]);
                double tokens = sizes[k].prompts * sizes[k].group * sizes[k].completion;
                double rate = 2 * forward_flops(&sizes[k]) / t.update;
                printf("| %s%s | %s | %.3f | %.3f | %.3f | %.3f | %.0f | %.0f, %.0f %% |\n",
                       cards[i].name, wide ? ", hopper" : "", sizes[k].name, t.rollout, t.reference,
                       t.update, t.step, tokens / t.step, 1e-12 * rate,
                       100 * rate / cards[i].tflops);
            }
}

static void print_plan(const char *title, const plan *p) {
    int i, k;
    printf("\n%s: %.3f ms, %.0f kernels\n\n| part | kernel | times | us | bound by | share |\n"
           "|---|---|---|---|---|---|\n", title, 1e3 * p->seconds, p->launches);
    for (i = 0; i < p->count; i++) {
        const line *l = &p->lines[i];
        int longest = 0;
        for (k = 1; k < BOUNDS; k++) if (l->cost.by[k] > l->cost.by[longest]) longest = k;
        printf("| %s | %s | %.0f | %.1f | %s | %.1f %% |\n", l->part, l->kernel, l->times,
               1e6 * l->cost.seconds, bound_names[longest], 100 * l->cost.seconds / p->seconds);
    }
}

static void print_kernels(const card *c, int wide, const size *s, double batch) {
    char title[128];
    plan p = token_plan(c, wide, s, batch, s->prompt + s->completion / 2);
    snprintf(title, sizeof title, "%s, %s%s: a token of %.0f sequences of %.0f keys", s->name,
             c->name, wide ? ", hopper" : "", batch, s->prompt + s->completion / 2);
    print_plan(title, &p);
    snprintf(title, sizeof title, "%s, %s%s: an update", s->name, c->name, wide ? ", hopper" : "");
    p = update_plan(c, wide, s);
    print_plan(title, &p);
}

/* The card whose name is in this one, of nvidia-smi; NULL: none of them. */
static const card *card_of(const char *name) {
    int i;
    for (i = 0; i < CARDS; i++) if (strstr(name, cards[i].name)) return &cards[i];
    return NULL;
}

static const char about[] =
    "How long each kernel of grpo_cuda.cu should take: expected, not measured; needs no card.";
static const char options[] =
    "  --card NAME   H200, H100, A100 or 4090 (tables of all, then the kernels of the first)\n"
    "  --size NAME   of the models in tests/bench/shapes.h\n"
    "  --batch B     sequences (64)\n"
    "  --hopper      the kernels that only sm_90a has\n"
    "  --tsv FILE    what the bench on a card measures, as lines of it\n";

int main(int argc, char **argv) {
    const char *card_name = NULL, *size_name = NULL, *tsv = NULL;
    const card *c = &cards[0];
    const size *s = &sizes[2];
    double batch = 64;
    int i, wide = 0;
    if (show_given(argc, argv, "--help")) return show_lesson(argc, argv, about, options), 0;
    for (i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(argv[i], "--hopper")) { wide = 1; continue; }
        if (value && !strcmp(argv[i], "--tsv")) tsv = value;
        else if (value && !strcmp(argv[i], "--card")) card_name = value;
        else if (value && !strcmp(argv[i], "--size")) size_name = value;
        else if (value && !strcmp(argv[i], "--batch")) batch = atof(value);
        else return show_misuse(argv[i], options);
        i++;
    }
    if (card_name && !(c = card_of(card_name))) {
        fprintf(stderr, "cuda_model: there is no model of the card \"%s\"\n", card_name);
        return 2;
    }
    for (i = 0; size_name && i < SIZES; i++)
        if (!strcmp(size_name, sizes[i].name)) s = &sizes[i];
    if (size_name && strcmp(size_name, s->name)) {
        fprintf(stderr, "cuda_model: there is no size %s\n", size_name);
        return 2;
    }
    read_made();
    if (tsv) return write_tsv(c, tsv);
    if (!card_name && !size_name) print_totals();
    print_kernels(c, wide && c->hopper, s, batch > 0 ? batch : 64);
    return 0;
}
