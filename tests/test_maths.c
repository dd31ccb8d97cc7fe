/* The maths on plain arrays: golden numbers, finite differences of every loss, the worked example
 * digit for digit, statistics that must be exact, and what NaN may not do. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"

#ifdef CHECK_QUICK
enum { STRIDE = 10 };               /* where a machine is emulated: every tenth of what is drawn */
#else
enum { STRIDE = 1 };
#endif
#include "golden.h"

static void to_floats(float *to, const double *from, int n) {
    int i;
    for (i = 0; i < n; i++) to[i] = (float)from[i];
}

/* Largest |a - b| / max(1, |b|), NaN counting as infinite. */
static double difference(const float *a, const double *b, int n) {
    double worst = 0;
    int i;
    for (i = 0; i < n; i++) {
        double error = fabs((double)a[i] - b[i]) / fmax(1, fabs(b[i]));
        if (!(error <= worst)) worst = error;
    }
    return worst;
}

static grpo_objective objective(const char *settings) {
    char error[GRPO_ERROR_LENGTH] = "";
    grpo_objective o = grpo_objective_preset(NULL, NULL);
    CHECK(!grpo_objective_set(&o, settings, error), "%s: %s", settings, error);
    return o;
}

static void test_golden_advantages(void) {
    size_t i;
    double worst = 0;
    int s, t, lengths[8];
    for (i = 0; i < 8; i++) lengths[i] = golden_offsets[i + 1] - golden_offsets[i];
    for (i = 0; i < sizeof golden_advantages / sizeof *golden_advantages; i++) {
        const golden_advantage *want = &golden_advantages[i];
        grpo_objective o = objective(want->settings);
        float rewards[8], advantages[8], tokens[32];
        double error;
        to_floats(rewards, golden_rewards, 8);
        CHECK(!grpo_advantages(&o, rewards, 2, 4, lengths, advantages, NULL), "%s", want->name);
        for (s = 0; s < 8; s++)
            for (t = golden_offsets[s]; t < golden_offsets[s + 1]; t++) tokens[t] = advantages[s];
        if (o.whiten) grpo_whiten(tokens, NULL, 32);
        for (s = 0; s < 8; s++) advantages[s] = tokens[golden_offsets[s]];
        error = difference(advantages, want->advantages, 8);
        CHECK(error <= 1e-6, "%s: error %g", want->name, error);
        worst = fmax(worst, error);
    }
    printf("advantages: worst error %.1e\n", worst);
}

/* Packed inputs of the golden losses, with TRL's advantages. */
typedef struct inputs {
    float logp[32], old[32], ref[32], advantages[32], kl[32], sampling[32], entropies[32];
    grpo_sequences s;
} inputs;

static void golden_inputs(inputs *in) {
    int i, t;
    memset(in, 0, sizeof *in);
    to_floats(in->logp, golden_new, 32);
    to_floats(in->old, golden_old, 32);
    to_floats(in->ref, golden_ref, 32);
    for (i = 0; i < 8; i++)
        for (t = golden_offsets[i]; t < golden_offsets[i + 1]; t++) {
            in->advantages[t] = (float)golden_advantages[0].advantages[i];
            in->entropies[t] = 0.1f * (float)t;
            in->sampling[t] = in->old[t] + 0.3f * sinf((float)t);
        }
    in->s.num_sequences = 8; in->s.offsets = golden_offsets;
    in->s.logprobs = in->logp; in->s.old_logprobs = in->old; in->s.ref_logprobs = in->ref;
    in->s.advantages = in->advantages;
}

static void test_golden_losses(void) {
    inputs in;
    float gradient[32];
    double worst = 0;
    size_t i;
    golden_inputs(&in);
    for (i = 0; i < sizeof golden_cases / sizeof *golden_cases; i++) {
        const golden_case *want = &golden_cases[i];
        grpo_objective o = objective(want->settings);
        grpo_loss_stats stats;
        double loss = grpo_loss(&o, &in.s, gradient, NULL, &stats);
        double error = fmax(fabs(loss - want->loss), difference(gradient, want->gradient, 32));
        CHECK(error <= 1e-6, "%s: loss %.9f, expected %.9f; error %g",
              want->name, loss, want->loss, error);
        worst = fmax(worst, error);
        if (want->low >= 0) {
            CHECK_CLOSE(stats.clip_low_mean, want->low, 1e-12);
            CHECK_CLOSE(stats.clip_high_mean, want->high, 1e-12);
            CHECK_CLOSE(stats.clip_region_mean, want->low + want->high, 1e-12);
        }
    }
    printf("losses and gradients: worst error %.1e\n", worst);
}

static void test_golden_kl(void) {
    inputs in;
    float gradient[32];
    int kind, t, i;
    grpo_objective o = objective("trl beta=1 kl_straight_through=1");
    grpo_loss_stats stats;
    static const float kls[5] = { .05f, .1f, .2f, .5f, .11f };
    float beta = .001f;
    golden_inputs(&in);
    for (kind = GRPO_KL_K1; kind < GRPO_KL_ESTIMATORS; kind++) {
        double mean = 0;
        o = objective("trl");
        o.kl = kind;
        grpo_loss(&o, &in.s, NULL, NULL, &stats);
        for (t = 0; t < 32; t++) mean += (double)grpo_kl(kind, in.logp[t], in.ref[t], NULL) / 32;
        CHECK_CLOSE(stats.kl, golden_kl[kind], 1e-7);
        CHECK_CLOSE(mean, golden_kl[kind], 1e-7);
        for (i = 0; i < GRPO_KL_ESTIMATORS; i++)
            CHECK_CLOSE(stats.kl_estimates[i], golden_kl[i], 1e-7);
    }
    for (t = 0; t < 32; t++) {
        CHECK(grpo_kl(GRPO_KL_K3, in.logp[t], in.logp[t], NULL) == 0, "k3 of equals");
        in.advantages[t] = 0;
    }
    o = objective("trl beta=1 kl_straight_through=1");
    CHECK_CLOSE(grpo_loss(&o, &in.s, gradient, NULL, NULL), golden_straight_value, 1e-7);
    CHECK(difference(gradient, golden_straight_gradient, 32) < 1e-7,
          "gradient of k2 under the value of k3");
    for (i = 0; i < 5; i++) {
        beta = grpo_adaptive_kl(beta, kls[i], .1f, 10000, 512);
        CHECK_CLOSE(beta, golden_adaptive_kl[i], 1e-9);
    }
}

/* Exact KL against a loop in double, its gradient against differences, and the estimators' means
 * over many draws: k1 and k3 are unbiased. */
static void test_full_kl(void) {
    enum { V = 37, DRAWS = 200000 / STRIDE };
    float z[V], q[V], gradient[V], k1 = 0;
    uint32_t kept[2] = { 0xdb6db6dbu, 0x1fu };
    double means[GRPO_KL_ESTIMATORS] = { 0 }, worst = 0;
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 2
    const double rounds = 1e-15;    /* x87: one of two equal doubles may be held with more digits */
#else
    const double rounds = 0;
#endif
    int v, i, masked;
    for (v = 0; v < V; v++) {
        z[v] = grpo__normal(1, (uint64_t)v);
        q[v] = z[v] + 0.3f * grpo__normal(2, (uint64_t)v);
    }
    for (masked = 0; masked < 2; masked++) {
        const uint32_t *set = masked ? kept : NULL;
        double kl = 0, P = 0, Q = 0, T = 0.7;
        for (v = 0; v < V; v++)
            if (grpo__is_allowed(set, v)) {
                P += exp((double)z[v] / T);
                Q += exp((double)q[v] / T);
            }
        for (v = 0; v < V; v++)
            if (grpo__is_allowed(set, v))
                kl += exp((double)z[v] / T) / P
                      * (((double)z[v] - (double)q[v]) / T - log(P) + log(Q));
        CHECK_CLOSE(grpo_full_kl(z, q, V, 0.7f, set, gradient), kl, 1e-6);
        for (v = 0; v < V; v++) {
            float x = z[v];
            double above, below;
            z[v] = x + 1e-2f; above = (double)grpo_full_kl(z, q, V, 0.7f, set, NULL);
            z[v] = x - 1e-2f; below = (double)grpo_full_kl(z, q, V, 0.7f, set, NULL);
            z[v] = x;
            worst = fmax(worst, fabs((above - below) / 2e-2 - (double)gradient[v]));
        }
        CHECK(fabs((double)grpo_full_kl(z, z, V, 0.7f, set, NULL)) <= rounds, "exact KL of equals");
    }
    CHECK(worst < 1e-4, "exact KL: gradient off by %g", worst);
    for (i = 0; i < DRAWS; i++) {
        int token = grpo_sample_token(z, V, 1, NULL, grpo_uniform(9, 0, 0, 0, (uint64_t)i));
        float p = grpo_logprob(z, V, 1, NULL, token, NULL);
        float r = grpo_logprob(q, V, 1, NULL, token, NULL);
        int kind;
        for (kind = 0; kind < GRPO_KL_ESTIMATORS; kind++)
            means[kind] += (double)grpo_kl(kind, p, r, NULL) / DRAWS;
    }
    k1 = grpo_full_kl(z, q, V, 1, NULL, NULL);
    CHECK_CLOSE(means[GRPO_KL_K1], k1, 0.003);
    CHECK_CLOSE(means[GRPO_KL_K3], k1, 0.001);
}

/* GAE and the value loss of veRL; Bradley-Terry against differences. */
static void test_golden_ppo(void) {
    float values[32], rewards[32] = { 0 }, advantages[32], returns[32], predicted[32], gradient[32];
    float scores[6] = { 0.3f, -0.2f, 1.5f, 2.5f, -30, 30 }, dscores[6];
    double loss, clipfrac, worst = 0;
    int i;
    to_floats(values, golden_values, 32);
    to_floats(predicted, golden_vpred, 32);
    for (i = 0; i < 8; i++) rewards[golden_offsets[i + 1] - 1] = (float)golden_rewards[i];
    grpo_gae(8, golden_offsets, rewards, values, .99f, .95f, advantages, returns);
    CHECK(difference(returns, golden_returns, 32) < 1e-6, "returns");
    grpo_whiten(advantages, NULL, 32);
    CHECK(difference(advantages, golden_whitened, 32) < 1e-6, "GAE, whitened: %g",
          difference(advantages, golden_whitened, 32));
    loss = grpo_value_loss(32, predicted, values, returns, NULL, .2f, gradient, &clipfrac);
    CHECK_CLOSE(loss, golden_value_loss, 1e-7);
    CHECK_CLOSE(clipfrac, golden_value_clipfrac, 1e-6);
    CHECK(difference(gradient, golden_value_gradient, 32) < 1e-7, "value gradient");
    grpo_preference_loss(3, scores, dscores);
    for (i = 0; i < 6; i++) {
        float x = scores[i];
        double above, below, up, down;
        scores[i] = x + 1e-2f;
        up = (double)scores[i];
        above = grpo_preference_loss(3, scores, NULL);
        scores[i] = x - 1e-2f;
        down = (double)scores[i];
        below = grpo_preference_loss(3, scores, NULL);
        worst = fmax(worst, fabs((above - below) / (up - down) - (double)dscores[i]));
        scores[i] = x;
    }
    CHECK(worst < 1e-5, "Bradley-Terry: gradient off by %g", worst);
    CHECK_CLOSE(grpo_preference_loss(1, scores + 4, NULL), 60, 1e-6);
}

/* GDPO where rewards are missing: one of two, so that the other alone speaks, and both. What TRL's
 * nanmean, nanstd and nansum make of it. */
static void test_missing_parts(const grpo_objective *o) {
    static const float parts[12] = {                          /* [3 rewards][4 samples]          */
        1, NAN, 0, NAN, 0.2f, 0.5f, NAN, NAN, 3, 1, 4, 1 };
    static const float weights[3] = { 1, 0.5f, 0 };           /* the third says nothing          */
    double s0 = sqrt(0.5) + 1e-4, s1 = sqrt(0.045) + 1e-4, sums[3], mean = 0, var = 0;
    float combined[4];
    int i;
    sums[0] = 0.5 / s0 - 0.5 * 0.15 / s1;
    sums[1] = 0.5 * 0.15 / s1;
    sums[2] = -0.5 / s0;
    for (i = 0; i < 3; i++) mean += sums[i] / 3;
    for (i = 0; i < 3; i++) var += (sums[i] - mean) * (sums[i] - mean) / 2;
    CHECK(!grpo_combine_advantages(o, parts, weights, 3, 1, 4, NULL, combined), "missing parts");
    for (i = 0; i < 3; i++)
        CHECK_CLOSE(combined[i], (sums[i] - mean) / (sqrt(var) + 1e-4), 1e-5);
    CHECK(combined[3] == 0, "no reward says anything of it: %g", (double)combined[3]);
}

/* The same steps as two groups, and an eps that counts: each group has its own mean and std. */
static void test_groups_of_steps(void) {
    static const int offsets[5] = { 0, 5, 8, 12, 14 }, steps[5] = { 0, 2, 3, 5, 5 };
    static const int ends[5] = { 1, 4, 2, 0, 3 };
    static const float rewards[5] = { 1, 0, 0.5f, -1, 2 };
    grpo_objective o = objective("deepseekmath advantage_eps=0.5");
    float advantages[14];
    double s0 = 0.5 + 0.5, s1 = sqrt(4.5) + 0.5;              /* sample std, and eps             */
    CHECK(!grpo_process_advantages(&o, 2, 2, steps, ends, rewards, offsets, advantages), "process");
    CHECK_CLOSE(advantages[0], 0.5 / s0 - 0.5 / s0, 1e-6);    /* 1 and 0 around .5               */
    CHECK_CLOSE(advantages[4], -0.5 / s0, 1e-6);
    CHECK_CLOSE(advantages[5], 0, 1e-6);
    CHECK_CLOSE(advantages[8], -1.5 / s1 + 1.5 / s1, 1e-6);   /* -1 and 2 around .5              */
    CHECK_CLOSE(advantages[11], 1.5 / s1, 1e-6);
}

/* What lies on a boundary. */
static void test_boundaries(void) {
    static const float rewards[4] = { -1, 1, 0, 2 };
    static const struct { size_t at; int words; } fields[] = {
        { offsetof(grpo_objective, loss), GRPO_LOSS_DRO + 1 },
        { offsetof(grpo_objective, ratio), GRPO_RATIO_SUM + 1 },
        { offsetof(grpo_objective, average), GRPO_AVERAGE_SUM + 1 },
        { offsetof(grpo_objective, importance), GRPO_IMPORTANCE_SEQUENCE_MASK + 1 },
        { offsetof(grpo_objective, kl), GRPO_KL_FULL + 1 } };
    grpo_objective o = objective("max_rl");
    grpo_config c = grpo_defaults();
    grpo_memory needed;
    float A[4], d = 9;
    size_t i;
    CHECK(!grpo_advantages(&o, rewards, 2, 2, NULL, A, NULL), "max_rl");
    CHECK(A[0] == 0 && A[1] == 0, "a mean of 0: %g, %g", (double)A[0], (double)A[1]);
    CHECK(A[2] == -1 && A[3] == 1, "a mean of 1: %g, %g", (double)A[2], (double)A[3]);
    grpo_logprob_backward(A, 4, 1, NULL, 0, NULL, NULL, 1);   /* the entropy's gradient alone     */
    CHECK(A[3] < 0 && fabsf(A[0] + A[1] + A[2] + A[3]) < 1e-6f, "entropy: %g", (double)A[3]);
    grpo_logprob_backward(&d, 1, 1, NULL, 0, NULL, NULL, 1);
    CHECK(d == 0, "a vocabulary of one token: %g", (double)d);
    CHECK(grpo_kl(GRPO_KL_ABS, -1, -1, &d) == 0 && d == 0, "|x| at 0: slope %g", (double)d);
    CHECK(grpo_kl(GRPO_KL_ABS, -1, -2, &d) == 1 && d == 1, "|x| above 0: slope %g", (double)d);
    CHECK(grpo_kl(GRPO_KL_ABS, -2, -1, &d) == 1 && d == -1, "|x| below 0: slope %g", (double)d);
    c.vocabulary = "01";
    c.num_prompts = 16;
    c.num_generations = 8;
    c.objective.kl_target = 0.1f;
    c.objective.kl_horizon = 25;                              /* a fifth of 128 is 25.6          */
    CHECK(grpo_memory_needed(&c, &needed) == GRPO_BAD_INPUT, "a horizon of 25");
    c.objective.kl_horizon = 26;
    CHECK(!grpo_memory_needed(&c, &needed), "a horizon of 26: %s", c.error);
    c.objective.top_entropy_quantile = 0.2f;
    CHECK(!grpo_memory_needed(&c, &needed), "a fifth of the tokens: %s", c.error);
    c.objective.combine = GRPO_COMBINE_ADVANTAGES;
    CHECK(!grpo_memory_needed(&c, &needed), "GDPO: %s", c.error);
    c.objective.kl_in_reward = 1;
    CHECK(grpo_memory_needed(&c, &needed) == GRPO_BAD_INPUT, "GDPO with KL in the reward");
    c.objective.kl_in_reward = 0;
    c.objective.advantage = GRPO_ADVANTAGE_RETURN;
    CHECK(grpo_memory_needed(&c, &needed) == GRPO_BAD_INPUT, "GDPO of returns");
    c.objective = grpo_defaults().objective;
    for (i = 0; i < sizeof fields / sizeof *fields; i++) {
        int *field = (int *)(void *)((char *)&c.objective + fields[i].at), was = *field;
        *field = fields[i].words - 1;
        CHECK(!grpo_memory_needed(&c, &needed), "%s", c.error);
        *field = fields[i].words;
        CHECK(grpo_memory_needed(&c, &needed) == GRPO_BAD_INPUT, "a word too many");
        *field = was;
    }
}

/* The optimizer's operations on arrays of several blocks and chunks, against one pass. */
static void test_flat_operations(void) {
    enum { N = 3 * 16384 + 5, MANY = 256 * 16384 + 16384 + 5 };
    grpo_config c = grpo_defaults();
    char error[GRPO_ERROR_LENGTH];
    float *x = (float *)malloc(MANY * sizeof *x), *g = (float *)malloc(N * sizeof *g);
    float *a = (float *)calloc(6 * (size_t)N, sizeof *a), *b = a + 3 * (size_t)N;
    size_t i, sizes[4] = { 5, 16384, N, MANY };
    int k, step;
    void *cpu;
    c.threads = 2;
    cpu = grpo_cpu()->open(&c, error);
    CHECK(cpu != NULL, "%s", error);
    for (i = 0; i < MANY; i++) x[i] = (float)(i % 1009) / 1009 - 0.25f;
    for (k = 0; k < 4 && cpu; k++) {
        double sum = 0;
        for (i = 0; i < sizes[k]; i++) sum += (double)x[i] * (double)x[i];
        CHECK_CLOSE(grpo_cpu()->sum_of_squares(cpu, x, sizes[k]) / sum, 1, 1e-12);
    }
    for (i = 0; i < N; i++) a[i] = b[i] = x[i];               /* weights, then moments of 0      */
    for (step = 1; step <= 3 && cpu; step++) {
        const grpo_optimizer o = { a, a + N, a + 2 * N, g, N, 1e-3f, 0.9f, 0.99f, 1e-8f, 0.1f,
                                   0.5f, step };
        for (i = 0; i < N; i++) g[i] = x[i + (size_t)step];
        grpo_cpu()->adamw(cpu, &o);
        grpo_adamw(b, g, b + N, b + 2 * N, N, 1e-3f, 0.9f, 0.99f, 1e-8f, 0.1f, 0.5f, step);
    }
    CHECK(!memcmp(a, b, 3 * N * sizeof *a), "AdamW in blocks");
    if (cpu) {
        double worst = 0;
        grpo_cpu()->mix(cpu, a, x, 0.5f, 2, N);
        for (i = 0; i < N; i++)
            worst = fmax(worst, fabs((double)a[i] - 0.5 * (double)b[i] - 2 * (double)x[i]));
        CHECK(worst < 3e-7, "mix in blocks: off by %g", worst);
        grpo_cpu()->close(cpu);
    }
    free(x); free(g); free(a);
}

/* Process supervision by the paper's words, and GDPO by TRL's. */
static void test_steps_and_parts(void) {
    static const int offsets[5] = { 0, 5, 8, 12, 14 }, steps[5] = { 0, 2, 3, 5, 5 };
    static const int ends[5] = { 1, 4, 2, 0, 3 };
    static const float rewards[5] = { 1, 0, 0.5f, -1, 2 };
    static const float parts[8] = { 1, 0, 0, 1, 0.2f, 0.4f, 0.1f, 0.9f }, weights[2] = { 1, 0.5f };
    static const float equal[8] = { 1, 1, 0, 0, 0.1f, 0.1f, 0.1f, 0.1f };
    grpo_objective o = objective("deepseekmath advantage_eps=0");
    double z[5], mean = 0.5, std = 0, sums[4], m = 0, v = 0;
    float advantages[14], combined[4];
    int i, j, t, k;
    for (j = 0; j < 5; j++) std += ((double)rewards[j] - mean) * ((double)rewards[j] - mean) / 4;
    for (j = 0; j < 5; j++) z[j] = ((double)rewards[j] - mean) / sqrt(std);
    CHECK(!grpo_process_advantages(&o, 1, 4, steps, ends, rewards, offsets, advantages), "process");
    for (i = 0; i < 4; i++)
        for (t = 0; t < offsets[i + 1] - offsets[i]; t++) {
            double want = 0;
            for (j = steps[i]; j < steps[i + 1]; j++) if (ends[j] >= t) want += z[j];
            CHECK_CLOSE(advantages[offsets[i] + t], want, 1e-6);
        }
    o = objective("gdpo");
    CHECK(!grpo_combine_advantages(&o, parts, weights, 2, 2, 2, NULL, combined), "GDPO");
    for (i = 0; i < 4; i++)
        for (sums[i] = 0, k = 0; k < 2; k++) {
            double a = (double)parts[4 * k + i / 2 * 2], b = (double)parts[4 * k + i / 2 * 2 + 1];
            double s = fabs(a - b) / sqrt(2.0), own = (double)parts[4 * k + i];
            sums[i] += (double)weights[k] * (own - (a + b) / 2) / (s + 1e-4);
        }
    for (i = 0; i < 4; i++) m += sums[i] / 4;
    for (i = 0; i < 4; i++) v += (sums[i] - m) * (sums[i] - m) / 3;
    for (i = 0; i < 4; i++) CHECK_CLOSE(combined[i], (sums[i] - m) / (sqrt(v) + 1e-4), 1e-5);
    test_missing_parts(&o);
    o.advantage_eps = 0;
    CHECK(!grpo_combine_advantages(&o, equal, weights, 2, 2, 2, NULL, combined), "GDPO of equals");
    for (i = 0; i < 4; i++) CHECK(combined[i] == 0, "nothing to compare: %g", (double)combined[i]);
}

/* Numbers of groups that make no sense, or whose product is no int: refused, nothing written. */
static void test_group_sizes(void) {
    static const int sizes[][2] = { { 0, 2 }, { 2, 0 }, { -1, -1 }, { 65536, 65537 } };
    static const float parts[4] = { 1, 0, 0, 1 }, weights[1] = { 1 };
    static const int steps[5] = { 0, 1, 2, 3, 4 }, ends[4] = { 0, 0, 0, 0 };
    static float out[65536];
    grpo_objective o = objective("gdpo");
    size_t i;
    int j;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int n = sizes[i][0], G = sizes[i][1];
        for (j = 0; j < 65536; j++) out[j] = 7;
        CHECK(grpo_advantages(&o, parts, n, G, NULL, out, NULL) == GRPO_BAD_INPUT, "%d, %d", n, G);
        CHECK(grpo_combine_advantages(&o, parts, weights, 1, n, G, NULL, out) == GRPO_BAD_INPUT,
              "%d, %d", n, G);
        CHECK(grpo_process_advantages(&o, n, G, steps, ends, parts, steps, out) == GRPO_BAD_INPUT,
              "%d, %d", n, G);
        for (j = 0; j < 65536 && out[j] == 7; ) j++;
        CHECK(j == 65536, "%d, %d: number %d was written", n, G, j);
    }
}

/* What leaves a token out, or weighs it, against the rules in words. */
static void test_masks_and_importance(void) {
    static const char *const kinds[5] = {
        "none", "token", "token_mask", "sequence", "sequence_mask" };
    inputs in;
    float plain[32], gradient[32];
    unsigned char mask[32];
    int i, t, kind;
    golden_inputs(&in);
    in.s.ref_logprobs = NULL;
    in.s.sampling_logprobs = in.sampling;
    for (kind = 0; kind < 5; kind++) {
        char settings[64];
        grpo_objective o = objective("trl");
        grpo_loss_stats stats;
        double least = 1e9, most = 0;
        grpo_loss(&o, &in.s, plain, NULL, NULL);
        snprintf(settings, sizeof settings, "importance=%s importance_cap=1.2", kinds[kind]);
        CHECK(!grpo_objective_set(&o, settings, NULL), "%s", settings);
        grpo_loss(&o, &in.s, gradient, NULL, &stats);
        for (i = 0; i < 8; i++) {
            double whole = 0;
            for (t = golden_offsets[i]; t < golden_offsets[i + 1]; t++)
                whole += (double)in.old[t] - (double)in.sampling[t];
            for (t = golden_offsets[i]; t < golden_offsets[i + 1]; t++) {
                double w = exp(kind > 2 ? whole : (double)in.old[t] - (double)in.sampling[t]);
                if (kind == 0) w = 1;
                else if (w > 1.2) w = kind % 2 ? (double)1.2f : 0;
                CHECK_CLOSE(gradient[t], w * (double)plain[t], 1e-7);
                least = fmin(least, w); most = fmax(most, w);
            }
        }
        CHECK_CLOSE(stats.importance_min, least, 1e-6);
        CHECK_CLOSE(stats.importance_max, most, 1e-6);
    }
    for (t = 0; t < 32; t++) mask[t] = (unsigned char)(t % 3);
    in.s.mask = mask;
    {   /* pi_old / pi_sampling is measured on tokens without a policy loss too */
        grpo_objective o = objective("trl importance=token importance_cap=9");
        grpo_loss_stats stats;
        double least = 1e9, mean = 0;
        grpo_loss(&o, &in.s, NULL, NULL, &stats);
        for (t = 0; t < 32; t++)
            if (mask[t]) {
                double w = exp((double)in.old[t] - (double)in.sampling[t]);
                least = fmin(least, w); mean += w / stats.num_tokens;
            }
        CHECK_CLOSE(stats.importance_min, least, 1e-6);
        CHECK_CLOSE(stats.importance_mean, mean, 1e-6);
    }
    in.s.sampling_logprobs = NULL;
    in.s.ref_logprobs = in.ref;
    {
        grpo_objective o = objective("deepseekmath"), kl = o;
        float only_kl[32], zeros[32] = { 0 };
        grpo_loss(&o, &in.s, gradient, NULL, NULL);
        in.s.advantages = zeros;
        grpo_loss(&kl, &in.s, only_kl, NULL, NULL);
        for (t = 0; t < 32; t++) {
            if (mask[t] == 0) CHECK(gradient[t] == 0, "token %d does not count", t);
            if (mask[t] == 2)
                CHECK(gradient[t] == only_kl[t] && gradient[t] != 0, "token %d: KL alone", t);
        }
        in.s.advantages = in.advantages;
    }
    in.s.mask = NULL;
    {
        grpo_objective o = objective("trl off_policy_mask_threshold=0.05");
        grpo_objective open = objective("trl");
        grpo_loss(&o, &in.s, gradient, NULL, NULL);
        grpo_loss(&open, &in.s, plain, NULL, NULL);
        for (i = 0; i < 8; i++) {
            double drift = 0;
            int n = golden_offsets[i + 1] - golden_offsets[i], out;
            for (t = golden_offsets[i]; t < golden_offsets[i + 1]; t++)
                drift += ((double)in.old[t] - (double)in.logp[t]) / n;
            out = in.advantages[golden_offsets[i]] < 0 && drift > 0.05;
            for (t = golden_offsets[i]; t < golden_offsets[i + 1]; t++)
                CHECK(gradient[t] == (out ? 0 : plain[t]), "sequence %d, token %d", i, t);
        }
    }
}

/* DPPO at the edge: a token that was certain (log pi_old = 0) and is so no more has left; one that
 * has become certain by a hair has not. */
static void test_certain_tokens(void) {
    static const int offsets[2] = { 0, 1 };
    static const float now[2] = { -0.5f, 0 }, old[2] = { 0, -1e-3f }, A[2] = { -1, 1 };
    grpo_objective o = objective("dppo_kl");
    int i;
    for (i = 0; i < 2; i++) {
        float d;
        grpo_sequences s;
        memset(&s, 0, sizeof s);
        s.num_sequences = 1; s.offsets = offsets;
        s.logprobs = &now[i]; s.old_logprobs = &old[i]; s.advantages = &A[i];
        CHECK(isfinite(grpo_loss(&o, &s, &d, NULL, NULL)) && (d != 0) == i, "token %d: %g", i,
              (double)d);
    }
}

/* The objective in words. */
static void test_settings(void) {
    grpo_objective o = grpo_objective_preset("dapo", NULL), before = o;
    char error[GRPO_ERROR_LENGTH];
    const char *name, *source, *bad[] = {
        "nonsense", "epsilon=", "epsilon=abc", "epsilon=-1", "loss=what", "nofield=1", "dapo =3",
        "beta=0.1x", "epsilon=0.1 loss=", "=", "max_resamples=1.5" };
    size_t i;
    int n;
    CHECK(o.epsilon_high == (float)0.28f && o.equal_rewards == GRPO_EQUAL_RESAMPLE
          && o.max_resamples == 4 && o.advantage_eps == (float)1e-6f && o.dual_clip == 0
          && o.beta == 0, "dapo");
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(grpo_objective_set(&o, bad[i], error) == GRPO_BAD_INPUT && *error, "\"%s\"", bad[i]);
        CHECK(!memcmp(&o, &before, sizeof o), "\"%s\" changed something", bad[i]);
    }
    CHECK(!grpo_objective_set(&o, "", NULL) && !memcmp(&o, &before, sizeof o), "no words");
    CHECK(!grpo_objective_set(&o, " beta=1e-3\tkl=abs  loss=geometric ", NULL)
          && o.beta == (float)1e-3f && o.kl == GRPO_KL_ABS && o.loss == GRPO_LOSS_GEOMETRIC
          && o.epsilon_high == (float)0.28f,
          "words");
    for (n = 0; grpo_objective_name(n, &name, &source); n++) {
        int found;
        grpo_objective preset = grpo_objective_preset(name, &found);
        grpo_config c = grpo_defaults();
        grpo_memory needed;
        c.objective = preset;
        c.vocabulary = "01";
        c.num_prompts = 1;
        CHECK(found && *source && !grpo_memory_needed(&c, &needed), "%s: %s", name, c.error);
    }
    CHECK(n >= 30, "%d presets", n);
}

/* Every number of the config by name: none of those in nested structs is missing; each takes its
 * least, its most and its words, and nothing beyond; what is refused changes nothing. */
static void test_fields(void) {
    grpo_config c = grpo_defaults(), before;
    char words[128], error[GRPO_ERROR_LENGTH];
    const grpo_field *f;
    size_t nested = 0;
    int i, k;
    for (i = 0; (f = grpo_field_at(i)) != NULL; i++) {
        const int is_float = f->type == GRPO_FIELD_FLOAT;
        const char *word = f->words;
        if (strchr(f->name, '.')) nested += is_float ? sizeof(float) : sizeof(int);
        CHECK(*f->help && grpo_config_get(&c, f->name) == (is_float ? (double)(float)f->initial
                                                              : f->initial), "%s", f->name);
        for (k = 0; k < 2 && !f->words && f->most < 1e19 && f->least < f->most; k++) {
            double x = k ? f->most : f->least;
            snprintf(words, sizeof words, "%s=%.*g", f->name, is_float ? 9 : 17, x);
            CHECK(!grpo_config_set(&c, words, error), "%s: %s", words, error);
            CHECK(grpo_config_get(&c, f->name) == (is_float ? (double)(float)x : x), "%s", words);
            x = k ? 2 * x + 1 : x - 1 - fabs(x);
            snprintf(words, sizeof words, "%s=%.9g", f->name, x == f->initial ? x - 1 : x);
            before = c;
            CHECK(grpo_config_set(&c, words, error) && strstr(error, "out of range")
                  && !memcmp(&c, &before, sizeof c), "%s: %s", words, error);
        }
        snprintf(words, sizeof words, "%s=%.17g", f->name, f->initial);       /* its default     */
        CHECK(f->words || f->most >= 1e19 || !grpo_config_set(&c, words, error), "%s: %s", words,
              error);
        for (k = 0; word; k++) {
            size_t n = strcspn(word, " ");
            snprintf(words, sizeof words, "%s=%.*s", f->name, (int)n, word);
            CHECK(!grpo_config_set(&c, words, error) && grpo_config_get(&c, f->name) == k, "%s",
                  words);
            if (!word[n]) CHECK(k == f->most, "%s has %d words", f->name, k + 1);
            word = word[n] ? word + n + 1 : NULL;
        }
    }
    CHECK(nested == sizeof(grpo_model_config) + sizeof(grpo_lora) + sizeof(grpo_sampling)
                  + sizeof(grpo_objective), "a nested number is not in the table, or twice");
    CHECK(!grpo_config_set(&c, "seed=12345678901234567890 memory_budget=6e9 dapo "
                           "objective.beta=0.5 sampling.top_p=0.25", error)
          && c.seed == UINT64_C(12345678901234567890) && (double)c.memory_budget >= 4e9
          && c.objective.epsilon_high == (float)0.28f && c.objective.beta == 0.5f
          && c.sampling.top_p == 0.25f, "several at once: %s", error);
    CHECK(!grpo_config_set(&c, "seed=18446744073709551615", error) && c.seed == UINT64_MAX, "%s",
          error);
    before = c;
    CHECK(grpo_config_set(&c, "seed=18446744073709551616", error) && strstr(error, "out of range")
          && !memcmp(&c, &before, sizeof c), "a seed of 2^64: %s", error);
    CHECK(grpo_config_set(&c, "threads=1 top_p=0.5", error) && !memcmp(&c, &before, sizeof c)
          && strstr(error, "top_p=0.5"), "a field is known by its whole name: %s", error);
}

static void test_golden_adamw(void) {
    static const double start[5] = { 0.5, -1.25, 2, 0, 0.003 };
    double worst = 0;
    int i, s, p;
    for (i = 0; i < 3; i++) {
        const golden_optimizer *want = &golden_adamw[i];
        float weights[5], m[5] = { 0 }, v[5] = { 0 };
        to_floats(weights, start, 5);
        for (s = 0; s < 5; s++) {
            double raw[5], norm = 0, error;
            float gradient[5];
            raw[0] = sin(1.0 + s); raw[1] = 0.1 * s - 0.2; raw[2] = s % 2 ? -5 : 5; raw[3] = 1e-6;
            raw[4] = cos((double)s);
            to_floats(gradient, raw, 5);
            for (p = 0; p < 5; p++) norm += raw[p] * raw[p];
            norm = sqrt(norm);
            CHECK_CLOSE(norm, want->norms[s], 1e-6);
            grpo_adamw(weights, gradient, m, v, 5, 1e-3f, 0.9f, (float)want->beta2, 1e-8f,
                       (float)want->weight_decay, norm > 1 ? (float)(1 / (norm + 1e-6)) : 1.0f,
                       s + 1);
            error = difference(weights, want->weights + 5 * s, 5);
            CHECK(error <= 1e-6, "%s, step %d: error %g", want->name, s + 1, error);
            worst = fmax(worst, error);
        }
    }
    printf("AdamW: worst error %.1e\n", worst);
}

/* d(loss)/d(logp) of every token against (L(x+h) - L(x-h)) / 2h, for every composition. Tokens
 * within h of a kink have no derivative and are left out (counted: few). */
static int near_kink(const grpo_objective *o, double r, double h) {
    double kinks[4];
    int i;
    kinks[0] = 1 - (double)o->epsilon; kinks[1] = 1 + (double)o->epsilon_high;
    kinks[2] = (double)o->delta; kinks[3] = (double)o->dual_clip;
    for (i = 0; i < 4; i++)
        if (kinks[i] > 0 && fabs(log(r / kinks[i])) < 2 * h) return 1;
    return 0;
}

static void difference_of(const grpo_objective *o, const unsigned char *mask, double *worst,
                          int *left_out) {
    inputs in;
    float gradient[32];
    const double h = 1e-3;
    int t, i;
    golden_inputs(&in);
    in.s.mask = mask;
    grpo_loss(o, &in.s, gradient, NULL, NULL);
    for (i = 0; i < 8; i++)
        for (t = golden_offsets[i]; t < golden_offsets[i + 1]; t++) {
            float x = in.logp[t], up = (float)((double)x + h), down = (float)((double)x - h);
            double above, below, error, r = (double)x - (double)in.old[t];
            grpo__sequence q = grpo__sequence_of(o, &in.s, i);
            if (o->ratio == GRPO_RATIO_SUM) r = q.log_ratio;
            if (o->ratio == GRPO_RATIO_SEQUENCE && q.tokens) r = q.log_ratio / q.tokens;
            if ((o->loss == GRPO_LOSS_GEOMETRIC && fabs(fabs(r) - (double)o->epsilon) < 2 * h)
                || near_kink(o, exp(r), h) || fabs((double)x - (double)in.ref[t]) < 2 * h) {
                ++*left_out;
                continue;
            }
            in.logp[t] = up;
            above = grpo_loss(o, &in.s, NULL, NULL, NULL);
            in.logp[t] = down;
            below = grpo_loss(o, &in.s, NULL, NULL, NULL);
            in.logp[t] = x;
            error = fabs((above - below) / ((double)up - (double)down) - (double)gradient[t]);
            if (!(error <= *worst)) *worst = error;
        }
}

/* A token whose log r is at its bound of 20 has no part in the derivative of its sequence's r. */
static void test_bounded_ratios(void) {
    static const char *const settings[4] = {
        "gspo epsilon_high=0.9", "rloo beta=0 epsilon_high=0.9", "sapo ratio=sequence",
        "dro ratio=sum" };
    static const int offsets[2] = { 0, 3 };
    static const float old[3] = { -26, -1.1f, -1.2f }, A[3] = { 1, 1, 1 };
    int i, t;
    for (i = 0; i < 4; i++) {
        float now[3] = { -1, -21, -1 }, gradient[3];
        grpo_objective o = objective(settings[i]);
        grpo_sequences s;
        memset(&s, 0, sizeof s);
        s.num_sequences = 1; s.offsets = offsets;
        s.logprobs = now; s.old_logprobs = old; s.advantages = A;
        grpo_loss(&o, &s, gradient, NULL, NULL);
        for (t = 0; t < 3; t++) {
            float x = now[t], up = x + 1e-3f, down = x - 1e-3f;
            double above, below;
            now[t] = up; above = grpo_loss(&o, &s, NULL, NULL, NULL);
            now[t] = down; below = grpo_loss(&o, &s, NULL, NULL, NULL);
            now[t] = x;
            CHECK_CLOSE(gradient[t], (above - below) / ((double)up - (double)down), 1e-5);
        }
    }
}

/* All losses without a constant in them, which golden numbers check. */
static void test_finite_differences(void) {
    static const char *const losses[5] = { "clip", "reinforce", "sapo", "geometric", "dro" };
    static const char *const ratios[3] = { "token", "sequence", "sum" };
    static const char *const averages[5] = {
        "sequence", "token", "constant", "sequence_sum", "sum" };
    int loss, ratio, average, kl, capped, masked, t, left_out = 0, all = 0;
    unsigned char mask[32];
    double worst = 0;
    for (t = 0; t < 32; t++) mask[t] = t % 5 != 2 && (t < 9 || t > 13);   /* sequence 2: no token */
    for (loss = 0; loss < 5; loss++)
        for (ratio = 0; ratio < 3; ratio++)
            for (average = 0; average < 5; average += STRIDE)
                for (kl = 0; kl < GRPO_KL_ESTIMATORS; kl++)
                    for (capped = 0; capped < 2; capped++)
                        for (masked = 0; masked < 2; masked++) {
                            char settings[160];
                            grpo_objective o;
                            double scale = average == 4 ? 32 : average > 2 ? 6 : 1;
                            snprintf(settings, sizeof settings, "dapo loss=%s ratio=%s average=%s "
                                     "max_completion_length=8 beta=0.3%s",
                                     losses[loss], ratios[ratio], averages[average],
                                     capped ? " delta=1.35 dual_clip=1.15" : "");
                            o = objective(settings);
                            o.kl = kl;
                            {
                                double w = 0;
                                difference_of(&o, masked ? mask : NULL, &w, &left_out);
                                if (!(w / scale <= worst)) worst = w / scale;
                            }
                            all += 32;
                        }
    printf("finite differences: worst error %.1e, %d of %d tokens at a kink\n",
           worst, left_out, all);
    CHECK(worst < 3e-6, "worst error %g", worst);
    CHECK(left_out * 10 < all, "%d of %d left out", left_out, all);
}

/* Cut at any sequence, the sums are the same bits. */
static void test_parts(void) {
    inputs in;
    float whole[32], parts[32];
    grpo_objective o = objective("deepseekmath entropy_coef=0.01");
    grpo__normalizer n = grpo__count(8, golden_offsets, NULL);
    grpo_loss_stats a, b;
    int cut;
    golden_inputs(&in);
    in.s.entropies = in.entropies;
    grpo_loss(&o, &in.s, whole, NULL, &a);
    for (cut = 1; cut < 8; cut++) {
        memset(&b, 0, sizeof b);
        grpo__loss_part(&o, &n, &in.s, 0, cut, parts, NULL, &b);
        grpo__loss_part(&o, &n, &in.s, cut, 8, parts, NULL, &b);
        grpo__loss_finish(&o, &b);
        CHECK(!memcmp(&a, &b, sizeof a) && !memcmp(whole, parts, sizeof whole), "cut at %d", cut);
    }
    CHECK_CLOSE(a.loss, a.policy_loss - 0.01 * a.entropy, 1e-9);
    CHECK_CLOSE(a.entropy, 1.55, 1e-6);
}

/* "2+2=", rewards 1 0 1 0, as the header works it out. */
static void test_worked_example(void) {
    static const float rewards[4] = { 1, 0, 1, 0 };
    static const int offsets[2] = { 0, 1 };
    grpo_objective o = grpo_objective_preset("deepseekmath", NULL);
    float advantages[4], old = logf(0.40f), now = logf(0.44f), A = 1, d;
    char digits[16];
    int i;
    grpo_loss_stats stats;
    grpo_sequences s;
    memset(&s, 0, sizeof s);
    s.num_sequences = 1;
    s.offsets = offsets;
    s.logprobs = &now;
    s.old_logprobs = s.ref_logprobs = &old;
    s.advantages = &A;
    o.advantage_eps = 0;
    o.advantage_ddof = 0;
    grpo_advantages(&o, rewards, 1, 4, NULL, advantages, NULL);
    for (i = 0; i < 4; i++)
        CHECK(advantages[i] == (i % 2 ? -1 : 1), "population std: %g", (double)advantages[i]);
    o.advantage_ddof = 1;
    grpo_advantages(&o, rewards, 1, 4, NULL, advantages, NULL);
    for (i = 0; i < 4; i++) {
        snprintf(digits, sizeof digits, "%+.3f", (double)advantages[i]);
        CHECK(!strcmp(digits, i % 2 ? "-0.866" : "+0.866"), "sample std: %s", digits);
    }
    grpo_loss(&o, &s, &d, NULL, &stats);
    snprintf(digits, sizeof digits, "%.2f", stats.ratio_mean);
    CHECK(!strcmp(digits, "1.10"), "ratio %s", digits);
    snprintf(digits, sizeof digits, "%+.3f", (double)d);
    CHECK(!strcmp(digits, "-1.096"), "d(loss)/d(log pi) %s", digits);
    now = logf(0.55f);
    grpo_loss(&o, &s, &d, NULL, &stats);
    snprintf(digits, sizeof digits, "%.3f", stats.ratio_mean);
    CHECK(!strcmp(digits, "1.375") && stats.clip_high_mean == 1, "ratio %s", digits);
    snprintf(digits, sizeof digits, "%+.3f", (double)d);
    CHECK(!strcmp(digits, "+0.011"), "d(loss)/d(log pi) %s", digits);
    now = old;
    grpo_loss(&o, &s, &d, NULL, &stats);
    CHECK(stats.ratio_mean == 1 && stats.kl == 0 && d == -1,
          "first update: ratio %g", stats.ratio_mean);
}

static void test_equal_groups(void) {
    float equal[3], mixed[6] = { 1, NAN, 0, INFINITY, 5, 5 }, advantages[6];
    unsigned char is_equal[2];
    grpo_objective o = grpo_objective_preset("verl", NULL);
    int i, kind;
    equal[0] = equal[1] = equal[2] = 0.1f;          /* a float mean of these is not 0.1f exactly */
    for (kind = 0; kind < GRPO_ADVANTAGE_RETURN; kind++) {
        o.advantage = kind;
        grpo_advantages(&o, equal, 1, 3, NULL, advantages, is_equal);
        CHECK(is_equal[0] && advantages[0] == 0 && advantages[1] == 0 && advantages[2] == 0,
              "kind %d: equal rewards must teach nothing", kind);
        grpo_advantages(&o, mixed, 2, 3, NULL, advantages, is_equal);
        CHECK(!is_equal[0] && is_equal[1], "kind %d: NaN and Inf are left out", kind);
        for (i = 0; i < 6; i++)
            CHECK(isfinite((double)advantages[i]), "kind %d: advantage %d", kind, i);
        CHECK(advantages[0] > 0 && advantages[1] == 0 && advantages[3] == 0
              && (advantages[2] < 0 || kind == GRPO_ADVANTAGE_PASS_K),
              "kind %d", kind);
    }
    CHECK(grpo_advantages(&o, equal, 0, 3, NULL, advantages, NULL) == GRPO_BAD_INPUT, "no groups");
    CHECK(grpo_advantages(&o, equal, 1, 0, NULL, advantages, NULL) == GRPO_BAD_INPUT,
          "empty groups");
}

static void test_nan_propagates(void) {
    int t, which;
    for (which = 0; which < 4; which++)
        for (t = 0; t < 32; t += 7) {
            inputs in;
            float *arrays[4];
            grpo_objective o = grpo_objective_preset("deepseekmath", NULL);
            o.delta = 2;
            o.dual_clip = 3;
            golden_inputs(&in);
            arrays[0] = in.logp; arrays[1] = in.old; arrays[2] = in.ref; arrays[3] = in.advantages;
            arrays[which][t] = NAN;
            CHECK(isnan(grpo_loss(&o, &in.s, NULL, NULL, NULL)),
                  "NaN in input %d, token %d was swallowed", which, t);
        }
}

/* Against all subsets of n samples. */
static void test_pass_at_k(void) {
    int n, c, k, set;
    for (n = 1; n <= 8; n++)
        for (c = 0; c <= n; c++)
            for (k = 1; k <= n; k++) {
                double sets = 0, hits = 0;
                for (set = 0; set < 1 << n; set++) {
                    int size = 0, i;
                    for (i = 0; i < n; i++) size += set >> i & 1;
                    if (size != k) continue;
                    sets++;
                    hits += (set & ((1 << c) - 1)) != 0;
                }
                CHECK_CLOSE(grpo_pass_at_k(n, c, k), hits / sets, 1e-12);
            }
}

static void test_schedules(void) {
    int s;
    CHECK(grpo_schedule(GRPO_SCHEDULE_CONSTANT, 0, 0, 0) == 1, "no warm-up");
    for (s = 0; s <= 120; s++) {
        double warm = s / 10.0, linear = (100.0 - s) / 90;
        double cosine = 0.5 * (1 + cos(3.141592653589793 * (s - 10) / 90));
        double constant = s < 10 ? warm : 1;
        if (s >= 100) linear = cosine = 0;
        CHECK_CLOSE(grpo_schedule(GRPO_SCHEDULE_CONSTANT, s, 10, 0), constant, 1e-6);
        CHECK_CLOSE(grpo_schedule(GRPO_SCHEDULE_LINEAR, s, 10, 100), s < 10 ? warm : linear, 1e-6);
        CHECK_CLOSE(grpo_schedule(GRPO_SCHEDULE_COSINE, s, 10, 100), s < 10 ? warm : cosine, 1e-6);
    }
}

/* ---- sampling on plain arrays */
static int count_kept(const uint32_t *kept, int vocab) {
    int v, n = 0;
    for (v = 0; v < vocab; v++) n += grpo__is_allowed(kept, v);
    return n;
}

/* The filters against sorting. */
static void test_filters(void) {
    enum { V = 301 };
    int round, i, j, order[V];
    for (round = 0; round < 60; round++) {
        float z[V];
        double p[V], total = 0, sum = 0;
        uint32_t kept[(V + 31) / 32];
        grpo_sampling s = { 1, 0, 1, 0 };
        int k = 1 + round * 5 % V, want = 0;
        for (i = 0; i < V; i++) {
            z[i] = 3 * grpo__normal((uint64_t)round, (uint64_t)i);
            if (round % 3 == 0) z[i] = floorf(z[i]);            /* many ties */
            order[i] = i;
        }
        for (i = 1; i < V; i++)                                 /* by falling logit, then index */
            for (j = i; j > 0 && z[order[j]] > z[order[j - 1]]; j--) {
                int t = order[j]; order[j] = order[j - 1]; order[j - 1] = t;
            }
        s.temperature = 0.5f + 0.02f * (float)round;
        for (i = 0; i < V; i++) {
            p[i] = exp(((double)z[i] - (double)z[order[0]]) / (double)s.temperature);
            total += p[i];
        }
        s.top_k = k;
        grpo_filter(&s, z, V, kept);
        CHECK(count_kept(kept, V) == k, "top_k %d kept %d", k, count_kept(kept, V));
        for (i = 0; i < V; i++)
            CHECK(grpo__is_allowed(kept, order[i]) == (i < k), "top_k %d, rank %d", k, i);
        s.top_k = 0;
        s.top_p = 0.05f + 0.015f * (float)round;
        grpo_filter(&s, z, V, kept);
        while (want < V && sum < (double)s.top_p * total) sum += p[order[want++]];
        CHECK(abs(count_kept(kept, V) - want)
              <= (fabs(sum - (double)s.top_p * total) < 1e-4 * total),
              "top_p %g kept %d, expected %d", (double)s.top_p, count_kept(kept, V), want);
        for (i = 0; i + 1 < V; i++)
            CHECK(grpo__is_allowed(kept, order[i]) >= grpo__is_allowed(kept, order[i + 1]),
                  "top_p: rank %d", i);
        s.top_p = 1;
        s.min_p = 0.01f * (float)(round % 20 + 1);
        grpo_filter(&s, z, V, kept);
        for (i = 0; i < V; i++)
            if (fabs(p[i] - (double)s.min_p) > 1e-5)
                CHECK(grpo__is_allowed(kept, i) == (p[i] >= (double)s.min_p), "min_p: token %d", i);
        s.temperature = 0;
        s.min_p = 0;
        grpo_filter(&s, z, V, kept);
        CHECK(count_kept(kept, V) == 1 && grpo__is_allowed(kept, order[0]), "greedy");
        CHECK(grpo_logprob(z, V, 0, kept, order[0], NULL) == 0, "greedy has log-prob 0 exactly");
    }
}

/* Frequencies of drawn tokens against the probabilities, and log-probs that sum to 1. */
static void test_sampling(void) {
    enum { V = 21, DRAWS = 40000 };
    float z[V], entropy;
    uint32_t kept[1];
    int counts[V] = { 0 }, i;
    grpo_sampling s = { 0.9f, 0, 0.9f, 0 };
    double sum = 0, chi = 0, h = 0;
    for (i = 0; i < V; i++) z[i] = 2 * grpo__normal(5, (uint64_t)i);
    grpo_filter(&s, z, V, kept);
    for (i = 0; i < DRAWS; i++) {
        float u = grpo_uniform(1, 2, 3, 4, (uint64_t)i);
        counts[grpo_sample_token(z, V, s.temperature, kept, u)]++;
    }
    for (i = 0; i < V; i++) {
        double p = exp((double)grpo_logprob(z, V, s.temperature, kept, i, &entropy));
        if (!grpo__is_allowed(kept, i)) {
            CHECK(counts[i] == 0, "token %d is not kept", i);
            continue;
        }
        sum += p;
        h -= p * log(p);
        chi += (counts[i] - p * DRAWS) * (counts[i] - p * DRAWS) / (p * DRAWS);
    }
    CHECK_CLOSE(sum, 1, 1e-6);
    CHECK_CLOSE(entropy, h, 1e-5);
    CHECK(chi < 45, "chi squared %g", chi);
    for (i = 0; i <= 1000; i++) {
        float u = (float)i / 1000 * 0.99999994f;
        CHECK(grpo__is_allowed(kept, grpo_sample_token(z, V, s.temperature, kept, u)),
              "u = %g", (double)u);
    }
}

/* Our exp against libm's, over its whole range. */
static void test_exp(void) {
    double worst = 0;
    int i;
    for (i = -87 * 4096; i <= 88 * 4096; i += STRIDE) {
        float x = (float)i / 4096;
        worst = fmax(worst, fabs((double)grpo__exp(x) / exp((double)x) - 1));
    }
    printf("exp: worst relative error %.1e\n", worst);
    CHECK(worst < 3e-7, "worst relative error %g", worst);
    for (i = 0; i < 4096; i++)                                /* a little is left, then nothing  */
        CHECK(fabs((double)grpo__exp(-87 - (float)i / 4096) - exp(-87 - i / 4096.0)) < 1e-38
              && grpo__exp(-88 - (float)i * (float)i) == 0, "e^-%g", 87 + i / 4096.0);
    for (worst = 0, i = 1; i < 1 << 20; i += STRIDE) {        /* to 1 unit in the last place      */
        float x = (float)i * 1e-9f, unit = FLT_EPSILON * powf(2, floorf(log2f(sqrtf(x))));
        worst = fmax(worst, fabs((double)grpo__root(x) - sqrt((double)x)) / (double)unit);
    }
    CHECK(worst < 1, "root: %g units", worst);
    CHECK(grpo__exp(0) == 1 && grpo__exp(-1000) == 0 && isnan(grpo__exp(NAN)), "edges");
    CHECK(grpo__exp(-HUGE_VALF) == 0 && grpo__exp(HUGE_VALF) > 1e38f, "infinities");
}

/* Sums of many small numbers beside a large one: a row of a large vocabulary whose likeliest token
 * outweighs each other by far, and 2,048 products added to a large residual. */
static void test_long_sums(void) {
    enum { V = 49152, INPUTS = 2048, OUTPUTS = 4 };
    grpo_config c = grpo_defaults();
    char error[GRPO_ERROR_LENGTH];
    float *z = (float *)malloc(V * sizeof *z), *x = (float *)malloc(INPUTS * sizeof *x);
    float y[OUTPUTS], residual[OUTPUTS], entropy;
    double sum = 0, weighted = 0, worst = 0, exact;
    grpo_matrix w;
    void *cpu = grpo_cpu()->open(&c, error);
    int i, j;
    for (i = 0; i < V; i++) {
        z[i] = i == 777 ? 0.0f : -17 - grpo_uniform(1, 2, 3, 4, (uint64_t)i);
        sum += exp((double)z[i]);
        weighted += (double)z[i] * exp((double)z[i]);
    }
    CHECK_CLOSE(grpo_logprob(z, V, 1, NULL, 777, &entropy), -log(sum), 2e-8);
    CHECK_CLOSE(entropy, log(sum) - weighted / sum, 2e-8);
    w.rows = w.y_stride = OUTPUTS; w.cols = INPUTS;
    w.weights = (float *)malloc(OUTPUTS * INPUTS * sizeof(float));
    w.operand = malloc(grpo_cpu()->operand_size(OUTPUTS, INPUTS));
    for (i = 0; i < INPUTS; i++) x[i] = grpo__normal(5, (uint64_t)i);
    for (i = 0; i < OUTPUTS * INPUTS; i++) w.weights[i] = grpo__normal(6, (uint64_t)i) / 64;
    for (i = 0; i < OUTPUTS; i++) residual[i] = 300 + (float)i;
    CHECK(cpu != NULL, "%s", error);
    if (cpu) {
        const grpo_product o = { &w, 1, x, y, NULL, residual, NULL, NULL, NULL, NULL };
        grpo_cpu()->prepare(cpu, &w);
        grpo_cpu()->matmul(cpu, &o);
        for (i = 0; i < OUTPUTS; i++) {
            for (exact = (double)residual[i], j = 0; j < INPUTS; j++)
                exact += (double)x[j] * (double)w.weights[i * INPUTS + j];
            worst = fmax(worst, fabs((double)y[i] - exact) / exact);
        }
        CHECK(worst < 3e-7, "%d products and a residual: relative error %g", INPUTS, worst);
        grpo_cpu()->close(cpu);
    }
    free(z); free(x); free(w.weights); free(w.operand);
}

static void test_uniform(void) {
    double mean = 0, square = 0;
    int i, n = 100000;
    for (i = 0; i < n; i++) {
        double u = (double)grpo_uniform(7, (uint64_t)(i % 10), (uint64_t)(i / 10 % 10),
                                        (uint64_t)(i / 100 % 10), (uint64_t)(i / 1000));
        CHECK(u >= 0 && u < 1, "u = %g", u);
        mean += u / n;
        square += u * u / n;
    }
    CHECK_CLOSE(mean, 0.5, 0.005);
    CHECK_CLOSE(square, 1.0 / 3, 0.005);
    CHECK(grpo_uniform(1, 2, 3, 4, 5) == grpo_uniform(1, 2, 3, 4, 5), "pure");
}

int main(void) {
    int found;
    test_golden_advantages();
    test_golden_losses();
    test_golden_kl();
    test_full_kl();
    test_golden_ppo();
    test_steps_and_parts();
    test_groups_of_steps();
    test_boundaries();
    test_flat_operations();
    test_group_sizes();
    test_masks_and_importance();
    test_certain_tokens();
    test_settings();
    test_fields();
    test_golden_adamw();
    test_bounded_ratios();
    test_finite_differences();
    test_parts();
    test_worked_example();
    test_equal_groups();
    test_nan_propagates();
    test_pass_at_k();
    test_schedules();
    test_filters();
    test_sampling();
    test_exp();
    test_long_sums();
    test_uniform();
    grpo_objective_preset("no such thing", &found);
    CHECK(!found, "unknown presets must be said");
    return check_finish();
}
