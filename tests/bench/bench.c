/* bench - how fast grpo.h is on this machine, and how far that is from what the machine can do.
 *
 *   make bench                              everything, some minutes
 *   build/bench [part ...]                  parts: product memory decode step prompt scaling torch
 *   --threads N  --sizes toy,small,mid,0.5B (the last, of 11 GB, only if it is named)
 *
 * Every share is of a limit measured in the same process: a loop of fused multiply-adds, and a loop
 * that reads memory. FLOPs are the model's necessary ones: a prompt once per group, completions
 * forward once while sampling, the reference once, backward once. Steps are medians, after one to
 * warm up; the parts' times are the best of several. */
#define _XOPEN_SOURCE 700           /* popen */
#include "examples/show.h"
#include "tests/bench/steps.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#endif

static const size sizes[] = {
    { "toy", 64, 2, 4, 4, 192, 32, 0, 32, 8, 16, 32, 0, 0 },
    { "small", 288, 6, 6, 6, 768, 32000, 0, 2, 8, 16, 128, 0, 0 },
    { "mid", 512, 8, 8, 8, 1376, 4096, 0, 2, 8, 16, 256, 0, 0 },
    { "0.5B", 896, 24, 14, 2, 4864, 151936, 1, 2, 8, 64, 64, 0, 0 } };  /* Qwen2.5's: if named */
enum { SIZES = 4, LARGE = 3 };

static int threads;                 /* asked for on the command line; 0: one per core            */
static double fma_peak[2], read_peak[2];                      /* one thread, all: GFLOP/s, GB/s   */

/* ---- the machine's limits */
#define TEN(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
#ifdef GRPO__X86
#define SET(i)  a##i = SET1(0.1f * i);
#define MOVE(i) a##i = FMA(a##i, x, y);
#define SUM(i)  STORE(out, a##i); *sink += out[0];
#define FMA_LOOP(name, instructions, vector)                                                    \
    __attribute__((target(instructions)))                                                       \
    static void name(double *sink, float seven, float three, int n) {                           \
        vector a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, x = SET1(seven), y = SET1(three);        \
        float out[16];                                                                          \
        int i;                                                                                  \
        TEN(SET)                                                                                \
        for (i = 0; i < n; i++) { TEN(MOVE) }                                                   \
        TEN(SUM)                                                                                \
    }
#define SET1 _mm512_set1_ps
#define FMA _mm512_fmadd_ps
#define STORE _mm512_storeu_ps
FMA_LOOP(fma_avx512, "avx512f", __m512)
#undef SET1
#undef FMA
#undef STORE
#define SET1 _mm256_set1_ps
#define FMA _mm256_fmadd_ps
#define STORE _mm256_storeu_ps
FMA_LOOP(fma_avx2, "avx2,fma", __m256)
#endif

static void fma_plain(double *sink, float seven, float three, int n) {
    float a[80];
    int i, j;
    for (j = 0; j < 80; j++) a[j] = 0.1f * (float)j;
    for (i = 0; i < n; i++)
        for (j = 0; j < 80; j++) a[j] = a[j] * seven + three;
    for (j = 0; j < 80; j++) *sink += (double)a[j];
}

enum { FMA_STEPS = 2000000, READ_FLOATS = 1 << 26 };
typedef struct load { float *memory; size_t each; double sinks[GRPO__MAX_THREADS * 8]; } load;

static void run_fma(void *job, int task, int thread) {
    double *sink = ((load *)job)->sinks + 8 * task;
    (void)thread;
#ifdef GRPO__X86
    if (__builtin_cpu_supports("avx512f")) { fma_avx512(sink, 0.7f, 0.3f, FMA_STEPS); return; }
    if (__builtin_cpu_supports("avx2")) { fma_avx2(sink, 0.7f, 0.3f, FMA_STEPS); return; }
#endif
    fma_plain(sink, 0.7f, 0.3f, FMA_STEPS);
}

GRPO__INLINE void read_loop_plain(const float *x, size_t n, float *sum) {
    float s[64] = { 0 };
    size_t i;
    int j;
    for (i = 0; i + 64 <= n; i += 64) {
#ifdef __GNUC__
        for (j = 0; j < 64; j += 16) __builtin_prefetch(x + i + 2048 + j, 0, 2);
#endif
        for (j = 0; j < 64; j++) s[j] += x[i + (size_t)j];
    }
    for (j = 0; j < 64; j++) *sum += s[j];
}
GRPO__FOR_EACH_UNIT(read_loop, (const float *x, size_t n, float *sum), (x, n, sum))

static void run_read(void *job, int task, int thread) {
    load *l = (load *)job;
    float sum = 0;
    (void)thread;
    read_loop(l->memory + (size_t)task * l->each, l->each, &sum);
    l->sinks[8 * task] += (double)sum;
}

/* Best seconds of some runs of n tasks on as many threads. */
static double best_of(grpo__pool *pool, int n, grpo__task run, load *l) {
    double best = 1e9, start, t;
    int i;
    for (i = 0; i < 5; i++) {
        start = grpo__seconds();
        if (n == 1) run(l, 0, 0);
        else grpo__pool_run(pool, n, run, l);
        t = grpo__seconds() - start;
        if (t < best) best = t;
    }
    return best;
}

static void measure_machine(void) {
    static grpo__pool pool;
    static load l;
    int lanes = grpo__choose_kernel(GRPO__WIDEST).columns / 2, n = grpo__num_threads(threads), all;
    double flops = 2.0 * 10 * FMA_STEPS * (lanes == 4 ? 8 : lanes);
    l.memory = (float *)calloc(READ_FLOATS, sizeof(float));
    if (!l.memory) { puts("bench: no memory"); exit(1); }
    memset(l.memory, 1, READ_FLOATS * sizeof(float));
    grpo__pool_start(&pool, n);
    for (all = 0; all < 2; all++) {
        int tasks = all ? n : 1;
        l.each = READ_FLOATS / (size_t)tasks;
        fma_peak[all] = flops * tasks / best_of(&pool, tasks, run_fma, &l) / 1e9;
        read_peak[all] = 4.0 * READ_FLOATS / best_of(&pool, tasks, run_read, &l) / 1e9;
    }
    grpo__pool_stop(&pool);
    free(l.memory);
    printf("machine      fused multiply-add %.0f GFLOP/s on one thread, %.0f on %d (%.2fx); reads "
           "%.0f, %.0f GB/s\n\n", fma_peak[0], fma_peak[1], n, fma_peak[1] / fma_peak[0],
           read_peak[0], read_peak[1]);
}

/* ---- the matrix product */
static void *open_cpu(int num_threads) {
    grpo_config c = grpo_defaults();
    char error[GRPO_ERROR_LENGTH];
    c.threads = num_threads;
    return grpo_cpu()->open(&c, error);
}

static double product_seconds(void *cpu, int layout, float *x, float *y, grpo_matrix *w, int m) {
    const grpo_product o = { w, m, x, y, NULL, NULL, y, x, w->weights, NULL };
    double best = 1e9, flops = 2.0 * m * w->rows * w->cols;
    int i, j, repeat = (int)(2e9 / flops) + 1;
    for (i = 0; i < 4; i++) {
        double t = grpo__seconds();
        for (j = 0; j < repeat; j++) {
            if (layout == 0) grpo_cpu()->matmul(cpu, &o);
            if (layout == 1) grpo_cpu()->matmul_dx(cpu, &o);
            if (layout == 2) grpo_cpu()->matmul_dw(cpu, &o);
        }
        t = (grpo__seconds() - t) / repeat;
        if (t < best) best = t;
    }
    return best;
}

static float *numbers(size_t n) {
    float *x = (float *)malloc((n + 64) * sizeof(float));
    size_t i;
    if (!x) { puts("bench: no memory"); exit(1); }
    for (i = 0; i < n + 64; i++) x[i] = (float)(i % 17) * 0.01f - 0.08f;
    return x;
}

static void product(void) {
    static const int shapes[][3] = { { 512, 512, 512 }, { 1024, 1024, 1024 }, { 2048, 2048, 2048 },
                                     { 64, 1376, 512 }, { 64, 4864, 896 }, { 16, 2752, 512 } };
    int all, s, layout, n = grpo__num_threads(threads);
    for (all = 0; all < 2; all++) {
        void *cpu = open_cpu(all ? n : 1);
        printf("product      GFLOP/s (share of the FMA loop), %d thread%s\n", all ? n : 1,
               all ? "s" : "");
        printf("             %-18s %16s %16s %16s\n", "rows x out x in", "y = x W^T", "dx = dy W",
               "dW += dy^T x");
        for (s = 0; s < 6; s++) {
            int m = shapes[s][0];
            grpo_matrix w = { NULL, NULL, shapes[s][1], shapes[s][2], shapes[s][1] };
            float *x = numbers(grpo__size(m, w.cols)), *y = numbers(grpo__size(m, w.rows));
            w.weights = numbers(grpo__size(w.rows, w.cols));
            w.operand = numbers(grpo_cpu()->operand_size(w.rows, w.cols) / sizeof(float));
            grpo_cpu()->prepare(cpu, &w);
            printf("             %4d x %4d x %4d", m, w.rows, w.cols);
            for (layout = 0; layout < (m < 64 ? 1 : 3); layout++) {
                double rate = 2e-9 * m * w.rows * w.cols
                            / product_seconds(cpu, layout, x, y, &w, m);
                printf("     %6.0f (%2.0f%%)", rate, 100 * rate / fma_peak[all]);
            }
            printf("\n");
            free(x); free(y); free(w.weights); free(w.operand);
        }
        grpo_cpu()->close(cpu);
        if (n == 1) break;
    }
    printf("\n");
}

/* ---- the optimizer: bytes moved per second */
static void memory(void) {
    int n = 1 << 25, all, i, most = grpo__num_threads(threads);
    float *w = numbers((size_t)n), *g = numbers((size_t)n), *m = numbers((size_t)n), *v;
    v = (float *)calloc((size_t)n, sizeof(float));
    printf("memory       GB/s "
           "(share of the read loop; adamw reads four arrays and writes three)\n");
    for (all = 0; v && all < (most > 1 ? 2 : 1); all++) {
        void *cpu = open_cpu(all ? most : 1);
        grpo_optimizer o = { w, m, v, g, (size_t)n, 1e-3f, 0.9f, 0.999f, 1e-8f, 0, 1, 1 };
        double norm = 1e9, adamw = 1e9, t;
        for (i = 0; i < 4; i++) {
            t = grpo__seconds();
            if (!(grpo_cpu()->sum_of_squares(cpu, g, (size_t)n) > 0)) return;
            t = grpo__seconds() - t;
            if (t < norm) norm = t;
            t = grpo__seconds();
            o.step = 1 + i;
            grpo_cpu()->adamw(cpu, &o);
            t = grpo__seconds() - t;
            if (t < adamw) adamw = t;
        }
        printf("             %d thread%s: gradient norm %5.1f (%.0f%%)   adamw %5.1f (%.0f%%)\n",
               all ? most : 1, all ? "s" : " ", 4e-9 * n / norm,
               400e-9 * n / norm / read_peak[all], 28e-9 * n / adamw,
               2800e-9 * n / adamw / read_peak[all]);
        grpo_cpu()->close(cpu);
    }
    free(w); free(g); free(m); free(v);
    printf("\n");
}

static double peak_resident(void) {
#if defined(__unix__) || defined(__APPLE__)
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
    return (double)usage.ru_maxrss / 1e9;
#else
    return (double)usage.ru_maxrss * 1024 / 1e9;
#endif
#else
    return 0;
#endif
}

static int wanted(const char *list, const char *name) { return !list || strstr(list, name); }

/* Seconds a token of each of `batch` sequences, the best of several rollouts. */
static double decode_seconds(const size *model, int batch, int num_threads) {
    size s = *model;
    grpo_config c;
    grpo *g;
    grpo_prompt *p;
    double best;
    s.prompts = 1; s.group = batch; s.prompt = 1; s.completion = 33;
    c = config_of(&s, num_threads);
    c.objective.beta = 0;
    g = policy_of(&c);
    p = prompts_of(&s, 0);
    best = token_seconds(g, p, 1, s.completion, 8);
    free_prompts(p);
    grpo_free(g);
    return best;
}

static void decode(const char *list) {
    size_t i;
    int n = grpo__num_threads(threads), all;
    printf("decode       ms a token of each sequence, and weights read in GB/s (share of the read "
           "loop)\n");
    for (i = 1; i < 3; i++)
        for (all = 0; all < (n > 1 ? 2 : 1) && wanted(list, sizes[i].name); all++) {
            const size *s = &sizes[i];
            double one = decode_seconds(s, 1, all ? n : 1);
            double eight = decode_seconds(s, 8, all ? n : 1);
            double bytes = 4 * weights_read(s);
            printf("             %-5s %d thread%s: batch 1 %6.2f ms %5.1f GB/s (%.0f%%)   batch 8 "
                   "%6.2f ms (%.2fx)\n", s->name, all ? n : 1, all ? "s" : " ", 1e3 * one,
                   1e-9 * bytes / one, 100e-9 * bytes / one / read_peak[all], 1e3 * eight,
                   eight / one);
        }
    printf("\n");
}

/* ---- whole steps */
static times steps[SIZES][2];

static void step(const char *list) {
    int i, all, n = grpo__num_threads(threads);
    printf("step         seconds of one GRPO step: rollout + reference + update; tokens/s of each; "
           "share of the FMA loop\n");
    for (i = 0; i < (list ? SIZES : LARGE); i++)
        for (all = i == LARGE && n > 1; all < (n > 1 ? 2 : 1) && wanted(list, sizes[i].name);
             all++) {
            const size *s = &sizes[i];
            grpo_config c = config_of(s, all ? n : 1);
            double f = 1e-9 * forward_flops(s), tokens = (double)s->prompts * s->group
                                                        * s->completion;
            times t = steps[i][all] = time_steps(s, &c, 0, i ? 4 : 2);
            printf("             %-5s %d thread%s: %.4f = %.4f + %.4f + %.4f s   "
                   "tokens/s %.0f, %.0f, %.0f; step %.0f\n", s->name, all ? n : 1, all ? "s" : " ",
                   t.step, t.rollout, t.score, t.update, tokens / t.rollout, tokens / t.score,
                   tokens / t.update, tokens / t.step);
            printf("                   of peak: sampling %.0f%%, forward and backward %.0f%%, step "
                   "%.0f%%   arena %.2f GB (peak of this process so far %.2f)\n",
                   100 * f / t.rollout / fma_peak[all],
                   300 * f / (t.score + t.update) / fma_peak[all], 400 * f / t.step / fma_peak[all],
                   (double)t.memory.total / 1e9, peak_resident());
            if (all && i < LARGE)
                printf("                   %d threads are %.2fx one (the FMA loop: %.2fx)\n",
                            n, steps[i][0].step / t.step, fma_peak[1] / fma_peak[0]);
            if (!all && i == 2) {
                size_t least;
                c.memory_budget = 1;
                c.micro_batch_prompts = 1;
                if (grpo_memory_needed(&c, &t.memory) == GRPO_NO_MEMORY) {
                    least = t.memory.total;
                    c.memory_budget = least;
                    t = time_steps(s, &c, 0, 4);
                    printf("                   within memory_budget %.2f GB (activations computed "
                           "again): %.4f s, %.2fx\n", (double)least / 1e9, t.step,
                           t.step / steps[i][0].step);
                }
            }
        }
    printf("\n");
}

/* ---- a long prompt, shared by its group or computed for each completion */
static void prompt(void) {
    size shared = { "", 288, 6, 6, 6, 768, 4096, 0, 1, 16, 512, 64, 0, 0 }, apart = shared;
    grpo_config a = config_of(&shared, threads), b;
    times together, each;
    apart.prompts = 16; apart.group = 1;
    b = config_of(&apart, threads);
    together = time_steps(&shared, &a, 0, 2);
    each = time_steps(&apart, &b, 1, 2);
    printf("prompt       512 tokens, 16 completions of 64: computed once %.3f s a step, for each "
           "completion %.3f s: %.1fx\n             sampling and training alone: %.3f s, %.3f s: "
           "%.1fx\n\n", together.step, each.step, each.step / together.step,
           together.rollout + together.update, each.rollout + each.update,
           (each.rollout + each.update) / (together.rollout + together.update));
}

/* ---- how time grows */
static void grow(const char *what, int *field, size *s, int from, int to) {
    double before = 0;
    printf("             %-18s", what);
    for (*field = from; *field <= to; *field *= 2) {
        grpo_config c = config_of(s, threads);
        times t = time_steps(s, &c, 0, 0.5);
        printf("  %4d: %.3f s", *field, t.step);
        if (before > 0) printf(" (%.2fx)", t.step / before);
        before = t.step;
    }
    printf("\n");
}

static void scaling(void) {
    size base = { "", 128, 4, 4, 4, 384, 512, 0, 4, 8, 16, 32, 0, 0 }, s;
    printf("scaling      a step, and how many times the one before it\n");
    s = base; grow("group size", &s.group, &s, 4, 32);
    s = base; grow("completion length", &s.completion, &s, 16, 256);
    s = base; grow("layers", &s.layers, &s, 1, 8);
    s = base; grow("threads", &threads, &s, 1, grpo__num_threads(0));
    threads = 0;
    printf("\n");
}

/* ---- PyTorch beside it */
static void torch_line(const char *line, const char *how) {
    char name[16];
    int n, i, at;
    double all, rollout, reference, update, gb;
    if (sscanf(line, "torch %15s threads %d step %lf rollout %lf reference %lf update %lf "
               "memory_gb %lf", name, &n, &all, &rollout, &reference, &update, &gb) != 7) return;
    at = n > 1;
    for (i = 0; i < 3; i++) {
        const times *t = &steps[i][at];
        if (strcmp(name, sizes[i].name) || t->step == 0) continue;
        printf("torch        %-5s %d thread%s, PyTorch %s: %.4f s = %.4f + %.4f + %.4f, %.2f GB\n"
               "             grpo.h is %.2fx as fast (rollout %.2fx, reference %.2fx, "
               "update %.2fx) in %.2fx the memory\n", name, n, n > 1 ? "s" : " ", how, all,
               rollout, reference, update, gb, all / t->step, rollout / t->rollout,
               reference / t->score, update / t->update, (double)t->memory.total / 1e9 / gb);
    }
}

static void torch(const char *list) {
#if defined(__unix__) || defined(__APPLE__)
    int i, all, n = grpo__num_threads(threads);
    for (i = 0; i < 3; i++)
        for (all = 0; all < (n > 1 ? 2 : 1) && wanted(list, sizes[i].name); all++) {
            int stock;
            for (stock = 0; stock < 2; stock++) {
                char command[160], line[256];
                FILE *pipe;
                snprintf(command, sizeof command, "python3 tests/bench/torch_grpo.py --size %s "
                         "--threads %d %s 2>&1", sizes[i].name, all ? n : 1,
                         stock ? "--stock" : "");
                fflush(stdout);
                pipe = popen(command, "r");
                while (pipe && fgets(line, sizeof line, pipe)) {
                    if (strncmp(line, "torch ", 6)) printf("             %s", line);
                    torch_line(line, stock ? "as it comes" : "tuned");
                }
                if (pipe) pclose(pipe);
            }
        }
#else
    (void)list;
#endif
}

static const char about[] =
    "How fast grpo.h is here, and how far that is from what the machine can do. Arguments: the parts\n"
    "that are wanted, of product memory decode step prompt scaling torch (all).";
static const char options[] =
    "  --sizes LIST  of toy,small,mid,0.5B; the last takes 11 GB (toy,small,mid)\n" SHOW_THREADS;

int main(int argc, char **argv) {
    static const char known[] = " product memory decode step prompt scaling torch ";
    const char *parts[16], *list = NULL;
    int i, n = 0;
    char part[16];
    if (show_given(argc, argv, "--help")) return show_lesson(argc, argv, about, options), 0;
    for (i = 1; i < argc; i++) {
        snprintf(part, sizeof part, " %.12s ", argv[i]);
        if (!strcmp(argv[i], "--threads")) threads = show_number(argv, i++);
        else if (!strcmp(argv[i], "--sizes") && i + 1 < argc) list = argv[++i];
        else if (n < 16 && strstr(known, part)) parts[n++] = argv[i];
        else return show_misuse(argv[i], options);
    }
    measure_machine();
#define PART(name, call)                                                                        \
    for (i = 0; i < n && strcmp(parts[i], name); i++) { }                                       \
    if (n == 0 || i < n) { call; fflush(stdout); }
    PART("product", product())
    PART("memory", memory())
    PART("decode", decode(list))
    PART("step", step(list))
    PART("prompt", prompt())
    PART("scaling", scaling())
    PART("torch", torch(list))
    return 0;
}
