/* Rows of logits of every kind, and filters of every kind, against their definition in double; rows
 * of which some tokens are masked by -inf or a number as low, as callers of the pure maths do it;
 * and whole rollouts under filters at the edge. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"

#ifdef CHECK_QUICK
enum { STRIDE = 10 };               /* every tenth of what is drawn                              */
#else
enum { STRIDE = 1 };
#endif
enum { LARGEST = 151936 };          /* the vocabulary of Qwen                                    */

static uint64_t counter;
static double uniform(void) { return (double)(grpo__mix(++counter) >> 11) / 9007199254740992.0; }
static int below(int n) { return (int)(n * uniform()); }
static int one_in(int n) { return below(n) == 0; }
static float power(double low, double high) {
    return (float)exp(log(low) + (log(high) - log(low)) * uniform());
}

enum { NORMALS = 1 << 18 };
static float normals[NORMALS];      /* drawn once: rows take them from anywhere on               */
static float normal(uint64_t seed, int v) {
    return normals[(grpo__mix(seed) + (uint64_t)v) % NORMALS];
}

/* ---- drawing */
enum { FLAT, NEARLY_FLAT, NORMAL, PEAKED, TIES, TWO_VALUES, HUGE_ONES, TINY_ONES, KINDS };

static void draw_row(float *z, int V) {
    int kind = below(KINDS), v, gone = one_in(3) ? 1 + below(3) : 0;
    double portion = one_in(2) ? 0.9 : 0.3;
    float width = power(0.1, 40), middle = one_in(3) ? 100 * normal(counter, 1) : 0;
    uint64_t seed = ++counter;
    for (v = 0; v < V; v++) {
        float x = normal(seed, v);
        z[v] = middle + (kind == FLAT ? 0 : kind == NEARLY_FLAT ? 1e-6f * x : width * x);
        if (kind == PEAKED) z[v] = v == V / 3 ? 30 : x;
        if (kind == TIES) z[v] = floorf(width * x);
        if (kind == TWO_VALUES) z[v] = x > 1 ? 1.5f : -0.0f;
        if (kind == HUGE_ONES) z[v] = x * 5e37f;
        if (kind == TINY_ONES) z[v] = x * 1e-42f;
        if (gone && uniform() < portion)
            z[v] = gone == 1 ? -HUGE_VALF : gone == 2 ? -3e38f : -FLT_MAX;
    }
    z[below(V)] = middle;           /* something is there                                        */
}

static grpo_sampling draw_filters(int V) {
    static const float shares[8] = {
        0.9999999f, 0.99999994f, 0.999f, 0.9f, 0.5f, 0.1f, 1e-6f, FLT_MIN };
    grpo_sampling s = { 1, 0, 1, 0 };
    if (one_in(2)) s.temperature = power(0.05, 20);
    if (one_in(30)) s.temperature = 0;
    if (one_in(2)) s.top_k = 1 + below(one_in(2) ? 2 * V : V < 20 ? V : 20);
    if (one_in(2)) s.top_p = one_in(2) ? shares[below(8)] : (float)uniform();
    if (one_in(3)) s.min_p = one_in(8) ? 1 : power(1e-8, 1);
    return s;
}

/* ---- the definition */
static const float *sorted_row;     /* qsort has no way to hand it on                            */

static int by_logit(const void *a, const void *b) {
    int i = *(const int *)a, j = *(const int *)b;
    float x = sorted_row[i], y = sorted_row[j];
    return x > y ? -1 : x < y ? 1 : i < j ? -1 : i > j;
}

typedef struct row {
    const float *z;
    int V, *order, finite;          /* order: by falling logit, then index                       */
    double *share, *tail;           /* e^x of order[n]; and the sum from there on                */
} row;

static void sort_row(row *r, const grpo_sampling *s) {
    double T = s->temperature > 0 ? (double)s->temperature : 1;
    int v;
    for (v = 0; v < r->V; v++) r->order[v] = v;
    sorted_row = r->z;
    qsort(r->order, (size_t)r->V, sizeof *r->order, by_logit);
    for (r->finite = r->V; r->finite && r->z[r->order[r->finite - 1]] == -HUGE_VALF; ) r->finite--;
    for (r->tail[r->V] = 0, v = r->V; v-- > 0; r->tail[v] = r->tail[v + 1] + r->share[v])
        r->share[v] = exp(((double)r->z[r->order[v]] - (double)r->z[r->order[0]]) / T);
}

/* How many tokens are to be allowed: the fewest, and with slack < 0 the most, that rounding permits.
 * The mass left out is summed, which is small where top_p is near 1. */
static int how_many(const row *r, const grpo_sampling *s, double slack) {
    int k, top_k = s->temperature == 0 ? 1 : s->top_k > 0 && s->top_k < r->V ? s->top_k : r->V;
    int n = top_k == r->V && s->top_p >= 1 && s->min_p == 0 ? r->V : grpo__min(top_k, r->finite);
    double whole = r->tail[0] - r->tail[n], out = 1 - (double)s->top_p;
    for (k = 1; s->top_p < 1 && k < n; k++)
        if (r->tail[k] - r->tail[n] <= (out + slack * (3e-5 * out + 1e-10)) * whole) break;
    if (s->top_p < 1) n = k;
    while (n > 1 && !(r->share[n - 1] >= (double)s->min_p * (1 + 3e-5 * slack))) n--;
    return n;
}

/* ---- comparing */
typedef struct tally { int filters, empty, too_many, not_the_first, no_mass, not_minimal, drawn; }
    tally;

/* Entropy and log-probs of what is allowed. */
static void check_distribution(const row *r, const grpo_sampling *s, const uint32_t *allowed, int n,
                               tally *all) {
    double S = 0, H = 0, tolerance = 1e-6 * (10 + sqrt(n)), sum = 0;
    float entropy, uniforms[3] = { 0, 0.5f, 0.99999994f };
    int i;
    for (i = 0; i < n; i++) S += r->share[i];
    for (i = 0; i < n; i++) {
        double p = r->share[i] / S, T = s->temperature > 0 ? (double)s->temperature : 1;
        if (p > 0) H -= p * (((double)r->z[r->order[i]] - (double)r->z[r->order[0]]) / T - log(S));
    }
    uniforms[1] = (float)uniform();
    grpo_logprob(r->z, r->V, s->temperature, allowed, r->order[0], &entropy);
    CHECK(fabs((double)entropy - H) <= tolerance * (1 + H), "V %d, T %g: entropy %.9g, not %.9g",
          r->V, (double)s->temperature, (double)entropy, H);
    for (i = 0; i < n && n <= 8; i++)
        sum += exp((double)grpo_logprob(r->z, r->V, s->temperature, allowed, r->order[i], NULL));
    if (n <= 8) CHECK_CLOSE(sum, 1, 1e-5);
    for (i = 0; i < 3; i++) {
        int token = grpo_sample_token(r->z, r->V, s->temperature, allowed, uniforms[i]);
        float logprob = grpo_logprob(r->z, r->V, s->temperature, allowed, token, NULL);
        int good = grpo__is_allowed(allowed, token) && logprob <= 0 && logprob > -HUGE_VALF;
        all->drawn += good;
        CHECK(good, "token %d was drawn, log-prob %g", token, (double)logprob);
    }
}

static void check_filter(const row *r, const grpo_sampling *s, uint32_t *allowed, tally *all) {
    int n = 0, v, least, most, failed = check_failed;
    for (v = 0; v < grpo__blocks(r->V, 32); v++) allowed[v] = 0;
    grpo_filter(s, r->z, r->V, allowed);
    for (v = 0; v < r->V; v++) n += grpo__is_allowed(allowed, v);
    least = how_many(r, s, 1);
    most = how_many(r, s, -1);
    all->filters++;
    all->empty += n == 0;
    all->too_many += s->top_k > 0 && n > s->top_k;
    for (v = 0; v < n && grpo__is_allowed(allowed, r->order[v]); v++) { }
    all->not_the_first += v < n;
    all->no_mass += n && n < least;
    all->not_minimal += n > most;
    CHECK(n >= least && n <= most && v == n, "V %d, %d finite, T %g, top_k %d, top_p %.9g, min_p "
          "%g: %d are allowed, expected %d to %d, the first %d of them the largest", r->V,
          r->finite, (double)s->temperature, s->top_k, (double)s->top_p, (double)s->min_p, n,
          least, most, v);
    if (n && failed == check_failed) check_distribution(r, s, allowed, n, all);
}

static void test_random_filters(int small, int large) {
    static float z[LARGEST];
    static int order[LARGEST];
    static double shares[LARGEST], tail[LARGEST + 1];
    static uint32_t allowed[(LARGEST + 31) / 32];
    static const int sizes[4] = { 32000, 49152, 128256, LARGEST };
    tally all = { 0, 0, 0, 0, 0, 0, 0 };
    int i;
    for (i = 0; i < small + large; i++) {
        int V = i >= small ? sizes[i % 4] : one_in(2) ? 1 + below(70) : 1 + below(700);
        row r = { z, V, order, 0, shares, tail };
        grpo_sampling s = draw_filters(V);
        draw_row(z, V);
        sort_row(&r, &s);
        check_filter(&r, &s, allowed, &all);
    }
    printf("filters: %d drawn; %d allowed nothing, %d too many, %d not the largest, %d too little "
           "mass, %d more than needed; %d tokens drawn\n", all.filters, all.empty, all.too_many,
           all.not_the_first, all.no_mass, all.not_minimal, all.drawn);
}

/* ---- tokens masked by a low number are as if they were not allowed: bit for bit */
static void same(const char *what, const float *a, const float *b, int n, float mask, int V) {
    int i;
    for (i = 0; i < n && (a[i] == b[i] || (isnan(a[i]) && isnan(b[i]))); i++) { }
    CHECK(i == n, "%s, masked by %g, V %d: number %d is %g, not %g", what, (double)mask, V, i,
          (double)a[i], (double)b[i]);
}

static void test_masks(void) {
    const float masks[4] = { -HUGE_VALF, -3e38f, -FLT_MAX, -1e30f };
    static float z[2][1000], q[2][1000], gradient[2][1000];
    uint32_t allowed[32];
    int round, v, i;
    for (round = 0; round < 2000; round += STRIDE) {
        int V = 1 + below(one_in(2) ? 40 : 1000), first = below(V), targets[1];
        float mask = masks[round % 4], T = one_in(2) ? 1 : power(0.2, 5), kl[2], h[2], p[2];
        float dlogprobs[1] = { 0.7f };
        memset(allowed, 0, sizeof allowed);
        for (v = 0; v < V; v++) {
            int there = v == first || !one_in(3);
            z[1][v] = normal((uint64_t)round, v);
            q[1][v] = normal((uint64_t)round, V + v);
            z[0][v] = there ? z[1][v] : mask;
            q[0][v] = there ? q[1][v] : mask;
            if (there) allowed[v >> 5] |= 1u << (v & 31);
        }
        targets[0] = first;
        for (i = 0; i < 2; i++) {
            p[i] = grpo_logprob(z[i], V, T, i ? allowed : NULL, first, &h[i]);
            kl[i] = grpo_full_kl(z[i], q[i], V, T, i ? allowed : NULL, gradient[i]);
        }
        same("log-prob", &p[0], &p[1], 1, mask, V);
        same("entropy", &h[0], &h[1], 1, mask, V);
        same("exact KL", &kl[0], &kl[1], 1, mask, V);
        same("its gradient", gradient[0], gradient[1], V, mask, V);
        for (i = 0; i < 2; i++)
            grpo_logprob_backward(z[i], V, T, i ? allowed : NULL, 1, targets, dlogprobs, 0.3f);
        same("gradient", z[0], z[1], V, mask, V);
    }
}

/* A row that is no distribution comes through every filter, for the log-prob to say so. */
static void test_damaged_rows(void) {
    static const grpo_sampling filters[5] = {
        { 1, 2, 1, 0 }, { 1, 0, 0.9f, 0 }, { 1, 0, 1, 0.1f }, { 0, 0, 1, 0 },
        { 2, 3, 0.5f, 0.2f } };
    int damage, i, v;
    for (damage = 0; damage < 3; damage++)
        for (i = 0; i < 5; i++) {
            float z[40], bad[3] = { NAN, HUGE_VALF, -HUGE_VALF };
            uint32_t allowed[2];
            int token;
            for (v = 0; v < 40; v++)
                z[v] = damage == 2 || v == 17 ? bad[damage] : normal(1, v);
            grpo_filter(&filters[i], z, 40, allowed);
            CHECK(allowed[0] || allowed[1], "damage %d, filter %d: nothing is allowed", damage, i);
            token = grpo_sample_token(z, 40, filters[i].temperature, allowed, 0.5f);
            CHECK(token >= 0 && token < 40, "token %d", token);
            CHECK(!grpo__finite((double)grpo_logprob(z, 40, filters[i].temperature, allowed, token,
                                                     NULL)), "damage %d, filter %d: hidden",
                  damage, i);
        }
}

/* ---- the vector units add up the same bits, masked or not */
static void test_units(void) {
#ifdef GRPO__X86
    static float z[3][1000];
    int round, u, v, widest = __builtin_cpu_supports("avx512dq") ? 3
                            : __builtin_cpu_supports("avx2") ? 2 : 1;
    for (round = 0; round < 300; round++) {
        int V = 1 + below(1000);
        grpo__softmax s[3];
        draw_row(z[0], V);
        for (u = 1; u < 3; u++) memcpy(z[u], z[0], (size_t)V * sizeof(float));
        for (u = 0; u < widest; u++) {
            grpo__softmax empty = { z[u], V, NULL, 0, 1, 0, 0 };
            s[u] = empty;
            if (u == 0) grpo__find_sums_sse2(&s[u]);
            if (u == 1) grpo__find_sums_avx2(&s[u]);
            if (u == 2) grpo__find_sums_avx512(&s[u]);
            CHECK(!memcmp(&s[u].top, &s[0].top, sizeof s->top)
                  && !memcmp(&s[u].partition, &s[0].partition, 2 * sizeof s->partition),
                  "unit %d: %.17g %.17g, not %.17g %.17g", u, s[u].partition, s[u].weighted,
                  s[0].partition, s[0].weighted);
        }
        for (u = 0; u < widest; u++) {
            if (u == 0) grpo__softmax_backward_sse2(z[u], &s[u], 0.5f, 0.25f, 1);
            if (u == 1) grpo__softmax_backward_avx2(z[u], &s[u], 0.5f, 0.25f, 1);
            if (u == 2) grpo__softmax_backward_avx512(z[u], &s[u], 0.5f, 0.25f, 1);
            for (v = 0; v < V && z[u][v] == z[0][v]; v++) { }
            CHECK(v == V, "unit %d: the gradient of token %d is %g, not %g", u, v,
                  (double)z[u][v], (double)z[0][v]);
        }
    }
#else
    printf("skipped: one vector unit only\n");
#endif
}

/* ---- a rollout: what was drawn under a filter has the log-probs that training finds */
static int encode_text(void *tokenizer, const char *text, int *tokens, int capacity) {
    int n = 0;
    (void)tokenizer;
    for (; text[n]; n++) if (n < capacity) tokens[n] = text[n];
    return n;
}
static int decode_nothing(void *tokenizer, const int *tokens, int n, char *text, int capacity) {
    (void)tokenizer; (void)tokens; (void)n; (void)text; (void)capacity;
    return 0;
}
static float even(const grpo_sample *s, void *user) {
    (void)user;
    return (float)(s->tokens[0] % 2);
}

static void test_rollouts(void) {
    static const grpo_sampling settings[] = {
        { 1, 0, 0.9999999f, 0 }, { 1, 0, 0.99999994f, 0 }, { 1.5f, 49151, 0.9999999f, 0 },
        { 1, 0, FLT_MIN, 0 }, { 0.7f, 49152, 0.9999999f, 1e-6f } };
    grpo_config c = grpo_defaults();
    grpo_prompt prompts[2];
    size_t i, n;
    float *logprobs, *entropies;
    grpo *g;
    c.encode = encode_text; c.decode = decode_nothing;
    c.eos_token_id = 0;
    c.model.vocab_size = 49152;
    c.model.hidden_size = 16; c.model.intermediate_size = 16; c.model.num_hidden_layers = 1;
    c.model.initializer_range = 0.5f;
    c.num_prompts = 2; c.num_generations = 4;
    c.max_prompt_length = 4; c.max_completion_length = 8;
    c.sampling = settings[0];
    grpo_add_reward(&c, "even", even, 1, NULL);
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) return;
    prompts[0] = grpo_question("ab", NULL); prompts[1] = grpo_question("xyz", NULL);
    logprobs = (float *)malloc(2 * 8 * 8 * sizeof *logprobs);
    entropies = logprobs + 64;
    for (i = 0; i < sizeof settings / sizeof *settings; i++) {
        grpo_metrics m;
        grpo_per_token to = { NULL, NULL, NULL, NULL };
        g->config.sampling = settings[i];
        CHECK(!grpo_rollout(g, prompts, 2), "top_p %.9g: %s", (double)settings[i].top_p,
              grpo_error(g));
        n = (size_t)g->batch.offsets[8];
        to.logprobs = logprobs; to.entropies = entropies;
        CHECK(!grpo_forward(g, GRPO_POLICY, NULL, &to), "%s", grpo_error(g));
        CHECK(!memcmp(logprobs, g->batch.logprobs, n * sizeof(float))
              && !memcmp(entropies, g->batch.entropies, n * sizeof(float)),
              "top_p %.9g: sampler and trainer differ", (double)settings[i].top_p);
        CHECK(!grpo_step(g, prompts, 2, &m) && m.ratio_max == 1, "%s", grpo_error(g));
    }
    free(logprobs);
    grpo_free(g);
}

int main(void) {
    int i;
    for (i = 0; i < NORMALS; i++) normals[i] = grpo__normal(1, (uint64_t)i);
    test_random_filters(40000 / STRIDE, 24 / STRIDE);
    test_masks();
    test_damaged_rows();
    test_units();
    test_rollouts();
    return check_finish();
}
