/* The maths on plain arrays: golden numbers, finite differences of every loss, the worked example digit
 * for digit, statistics that must be exact, and what NaN may not do. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"
#include "golden.h"

static void to_floats(float *to, const double *from, int n)
{
    int i;
    for (i = 0; i < n; i++) to[i] = (float)from[i];
}

/* Largest |a - b| / max(1, |b|), NaN counting as infinite. */
static double difference(const float *a, const double *b, int n)
{
    double worst = 0;
    int i;
    for (i = 0; i < n; i++) {
        double error = fabs((double)a[i] - b[i]) / fmax(1, fabs(b[i]));
        if (!(error <= worst)) worst = error;
    }
    return worst;
}

static void test_golden_advantages(void)
{
    size_t i;
    double worst = 0;
    for (i = 0; i < sizeof golden_advantages / sizeof *golden_advantages; i++) {
        const golden_advantage *want = &golden_advantages[i];
        grpo_objective o = grpo_objective_preset("trl", NULL);
        float rewards[8], advantages[8];
        double error;
        o.advantage = want->kind;
        o.advantage_eps = (float)want->eps;
        o.advantage_ddof = want->ddof;
        to_floats(rewards, golden_rewards, 8);
        CHECK(!grpo_advantages(&o, rewards, 2, 4, advantages, NULL), "%s", want->name);
        error = difference(advantages, want->advantages, 8);
        CHECK(error <= 1e-6, "%s: error %g", want->name, error);
        worst = fmax(worst, error);
    }
    printf("advantages: worst error %.1e\n", worst);
}

/* The advantages that the golden losses were computed with: TRL's. */
static void golden_inputs(float *logp, float *old, float *ref, float *advantages)
{
    int i, t;
    to_floats(logp, golden_new, 32);
    to_floats(old, golden_old, 32);
    to_floats(ref, golden_ref, 32);
    for (i = 0; i < 8; i++)
        for (t = golden_offsets[i]; t < golden_offsets[i + 1]; t++)
            advantages[t] = (float)golden_advantages[0].advantages[i];
}

static void test_golden_losses(void)
{
    float logp[32], old[32], ref[32], advantages[32], gradient[32];
    double worst = 0;
    size_t i;
    golden_inputs(logp, old, ref, advantages);
    for (i = 0; i < sizeof golden_cases / sizeof *golden_cases; i++) {
        const golden_case *want = &golden_cases[i];
        grpo_objective o = grpo_objective_preset("trl", NULL);
        grpo_loss_stats stats;
        double loss, error;
        o.loss = want->loss_kind;
        o.average = want->average;
        o.max_completion_length = GOLDEN_LENGTH;
        o.epsilon = (float)want->epsilon;
        o.epsilon_high = (float)want->epsilon_high;
        o.delta = (float)want->delta;
        o.dual_clip = (float)want->dual_clip;
        o.beta = (float)want->beta;
        loss = grpo_loss(&o, 8, golden_offsets, logp, old, ref, advantages, NULL, NULL, gradient, &stats);
        error = fmax(fabs(loss - want->loss), difference(gradient, want->gradient, 32));
        CHECK(error <= 1e-6, "%s: loss %.9f, expected %.9f; error %g", want->name, loss, want->loss, error);
        worst = fmax(worst, error);
        if (want->low >= 0) {
            CHECK_CLOSE(stats.clip_low_mean, want->low, 1e-12);
            CHECK_CLOSE(stats.clip_high_mean, want->high, 1e-12);
            CHECK_CLOSE(stats.clip_region_mean, want->low + want->high, 1e-12);
        }
    }
    printf("losses and gradients: worst error %.1e\n", worst);
}

static void test_golden_kl(void)
{
    float logp[32], old[32], ref[32], advantages[32];
    int kind, t;
    golden_inputs(logp, old, ref, advantages);
    for (kind = GRPO_KL_K1; kind <= GRPO_KL_K3; kind++) {
        grpo_objective o = grpo_objective_preset("trl", NULL);
        grpo_loss_stats stats;
        double mean = 0;
        o.kl = kind;
        grpo_loss(&o, 8, golden_offsets, logp, old, ref, advantages, NULL, NULL, NULL, &stats);
        for (t = 0; t < 32; t++) mean += (double)grpo_kl(kind, logp[t], ref[t], NULL) / 32;
        CHECK_CLOSE(stats.kl, golden_kl[kind], 1e-7);
        CHECK_CLOSE(mean, golden_kl[kind], 1e-7);
    }
    for (t = 0; t < 32; t++) CHECK(grpo_kl(GRPO_KL_K3, logp[t], logp[t], NULL) == 0, "k3 of equals");
}

static void test_golden_adamw(void)
{
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
                       (float)want->weight_decay, norm > 1 ? (float)(1 / (norm + 1e-6)) : 1.0f, s + 1);
            error = difference(weights, want->weights + 5 * s, 5);
            CHECK(error <= 1e-6, "%s, step %d: error %g", want->name, s + 1, error);
            worst = fmax(worst, error);
        }
    }
    printf("AdamW: worst error %.1e\n", worst);
}

/* d(loss)/d(logp) of every token against (L(x+h) - L(x-h)) / 2h, for every composition. Tokens within
 * h of a kink have no derivative and are left out (counted: few). */
static int near_kink(const grpo_objective *o, double r, double h)
{
    double kinks[4];
    int i;
    kinks[0] = 1 - (double)o->epsilon; kinks[1] = 1 + (double)o->epsilon_high;
    kinks[2] = (double)o->delta; kinks[3] = (double)o->dual_clip;
    for (i = 0; i < 4; i++)
        if (kinks[i] > 0 && fabs(log(r / kinks[i])) < 2 * h) return 1;
    return 0;
}

static void difference_of(const grpo_objective *o, const unsigned char *mask, double *worst, int *left_out)
{
    float logp[32], old[32], ref[32], advantages[32], gradient[32];
    const double h = 1e-3;
    int t;
    golden_inputs(logp, old, ref, advantages);
    grpo_loss(o, 8, golden_offsets, logp, old, ref, advantages, mask, NULL, gradient, NULL);
    for (t = 0; t < 32; t++) {
        float x = logp[t], up = (float)((double)x + h), down = (float)((double)x - h);
        double above, below, error;
        if (near_kink(o, exp((double)x - (double)old[t]), h)) { ++*left_out; continue; }
        logp[t] = up;
        above = grpo_loss(o, 8, golden_offsets, logp, old, ref, advantages, mask, NULL, NULL, NULL);
        logp[t] = down;
        below = grpo_loss(o, 8, golden_offsets, logp, old, ref, advantages, mask, NULL, NULL, NULL);
        logp[t] = x;
        error = fabs((above - below) / ((double)up - (double)down) - (double)gradient[t]);
        if (!(error <= *worst)) *worst = error;
    }
}

static void test_finite_differences(void)
{
    int loss, average, kl, beta, delta, dual, masked, t, left_out = 0, all = 0;
    unsigned char mask[32];
    double worst = 0;
    for (t = 0; t < 32; t++) mask[t] = t % 5 != 2 && (t < 9 || t > 13);   /* sequence 2: no token */
    for (loss = 0; loss <= GRPO_LOSS_REINFORCE; loss++)
        for (average = 0; average <= GRPO_AVERAGE_CONSTANT; average++)
            for (kl = 0; kl <= GRPO_KL_K3; kl++)
                for (beta = 0; beta < 2; beta++)
                    for (delta = 0; delta < 2; delta++)
                        for (dual = 0; dual < 2; dual++)
                            for (masked = 0; masked < 2; masked++) {
                                grpo_objective o = grpo_objective_preset("dapo", NULL);
                                o.loss = loss; o.average = average; o.kl = kl;
                                o.max_completion_length = 8;
                                o.beta = beta ? 0.3f : 0.0f;
                                o.delta = delta ? 1.35f : 0.0f;
                                o.dual_clip = dual ? 1.15f : 0.0f;
                                difference_of(&o, masked ? mask : NULL, &worst, &left_out);
                                all += 32;
                            }
    printf("finite differences: worst error %.1e, %d of %d tokens at a kink\n", worst, left_out, all);
    CHECK(worst < 1e-6, "worst error %g", worst);
    CHECK(left_out * 20 < all, "%d of %d left out", left_out, all);
}

/* Cut at any sequence, the sums are the same bits. */
static void test_parts(void)
{
    float logp[32], old[32], ref[32], advantages[32], whole[32], parts[32], entropies[32];
    grpo_objective o = grpo_objective_preset("deepseekmath", NULL);
    grpo__normalizer n = grpo__count(8, golden_offsets, NULL);
    grpo_loss_stats a, b;
    int cut, t;
    golden_inputs(logp, old, ref, advantages);
    o.entropy_coef = 0.01f;
    for (t = 0; t < 32; t++) entropies[t] = 0.1f * (float)t;
    grpo_loss(&o, 8, golden_offsets, logp, old, ref, advantages, NULL, entropies, whole, &a);
    for (cut = 1; cut < 8; cut++) {
        grpo__loss_sums sums;
        memset(&sums, 0, sizeof sums);
        grpo__loss_part(&o, &n, cut, golden_offsets, logp, old, ref, advantages, NULL, entropies, parts, &sums);
        grpo__loss_part(&o, &n, 8 - cut, golden_offsets + cut, logp, old, ref, advantages, NULL, entropies,
                        parts, &sums);
        b = grpo__loss_finish(&o, &n, &sums);
        CHECK(!memcmp(&a, &b, sizeof a) && !memcmp(whole, parts, sizeof whole), "cut at %d", cut);
    }
    CHECK_CLOSE(a.loss, a.policy_loss - 0.01 * a.entropy, 1e-9);
    CHECK_CLOSE(a.entropy, 1.55, 1e-6);
}

/* "2+2=", rewards 1 0 1 0, as the header works it out. */
static void test_worked_example(void)
{
    static const float rewards[4] = { 1, 0, 1, 0 };
    static const int offsets[2] = { 0, 1 };
    grpo_objective o = grpo_objective_preset("deepseekmath", NULL);
    float advantages[4], old = logf(0.40f), now = logf(0.44f), A = 1, d;
    char digits[16];
    int i;
    grpo_loss_stats stats;
    o.advantage_eps = 0;
    o.advantage_ddof = 0;
    grpo_advantages(&o, rewards, 1, 4, advantages, NULL);
    for (i = 0; i < 4; i++) CHECK(advantages[i] == (i % 2 ? -1 : 1), "population std: %g", (double)advantages[i]);
    o.advantage_ddof = 1;
    grpo_advantages(&o, rewards, 1, 4, advantages, NULL);
    for (i = 0; i < 4; i++) {
        snprintf(digits, sizeof digits, "%+.3f", (double)advantages[i]);
        CHECK(!strcmp(digits, i % 2 ? "-0.866" : "+0.866"), "sample std: %s", digits);
    }
    grpo_loss(&o, 1, offsets, &now, &old, &old, &A, NULL, NULL, &d, &stats);
    snprintf(digits, sizeof digits, "%.2f", stats.ratio_mean);
    CHECK(!strcmp(digits, "1.10"), "ratio %s", digits);
    snprintf(digits, sizeof digits, "%+.3f", (double)d);
    CHECK(!strcmp(digits, "-1.096"), "d(loss)/d(log pi) %s", digits);
    now = logf(0.55f);
    grpo_loss(&o, 1, offsets, &now, &old, &old, &A, NULL, NULL, &d, &stats);
    snprintf(digits, sizeof digits, "%.3f", stats.ratio_mean);
    CHECK(!strcmp(digits, "1.375") && stats.clip_high_mean == 1, "ratio %s", digits);
    snprintf(digits, sizeof digits, "%+.3f", (double)d);
    CHECK(!strcmp(digits, "+0.011"), "d(loss)/d(log pi) %s", digits);
    now = old;
    grpo_loss(&o, 1, offsets, &now, &old, &old, &A, NULL, NULL, &d, &stats);
    CHECK(stats.ratio_mean == 1 && stats.kl == 0 && d == -1, "first update: ratio %g", stats.ratio_mean);
}

static void test_equal_groups(void)
{
    float equal[3], mixed[6] = { 1, NAN, 0, INFINITY, 5, 5 }, advantages[6];
    unsigned char is_equal[2];
    grpo_objective o = grpo_objective_preset("verl", NULL);
    int i, kind;
    equal[0] = equal[1] = equal[2] = 0.1f;          /* a float mean of these is not 0.1f exactly */
    for (kind = 0; kind <= GRPO_ADVANTAGE_RLOO; kind++) {
        o.advantage = kind;
        grpo_advantages(&o, equal, 1, 3, advantages, is_equal);
        CHECK(is_equal[0] && advantages[0] == 0 && advantages[1] == 0 && advantages[2] == 0,
              "kind %d: equal rewards must teach nothing", kind);
        grpo_advantages(&o, mixed, 2, 3, advantages, is_equal);
        CHECK(!is_equal[0] && is_equal[1], "kind %d: NaN and Inf are left out", kind);
        for (i = 0; i < 6; i++) CHECK(isfinite((double)advantages[i]), "kind %d: advantage %d", kind, i);
        CHECK(advantages[0] > 0 && advantages[1] == 0 && advantages[2] < 0 && advantages[3] == 0,
              "kind %d", kind);
    }
    CHECK(grpo_advantages(&o, equal, 0, 3, advantages, NULL) == GRPO_BAD_INPUT, "no groups");
    CHECK(grpo_advantages(&o, equal, 1, 0, advantages, NULL) == GRPO_BAD_INPUT, "empty groups");
}

static void test_nan_propagates(void)
{
    int t, which;
    for (which = 0; which < 4; which++)
        for (t = 0; t < 32; t += 7) {
            float logp[32], old[32], ref[32], advantages[32];
            grpo_objective o = grpo_objective_preset("deepseekmath", NULL);
            o.delta = 2;
            o.dual_clip = 3;
            golden_inputs(logp, old, ref, advantages);
            (which == 0 ? logp : which == 1 ? old : which == 2 ? ref : advantages)[t] = NAN;
            CHECK(isnan(grpo_loss(&o, 8, golden_offsets, logp, old, ref, advantages, NULL, NULL, NULL, NULL)),
                  "NaN in input %d, token %d was swallowed", which, t);
        }
}

/* Against all subsets of n samples. */
static void test_pass_at_k(void)
{
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

static void test_schedules(void)
{
    int s;
    CHECK(grpo_schedule(GRPO_SCHEDULE_CONSTANT, 0, 0, 0) == 1, "no warm-up");
    for (s = 0; s <= 120; s++) {
        double warm = s / 10.0, linear = (100.0 - s) / 90, cosine = 0.5 * (1 + cos(3.141592653589793 * (s - 10) / 90));
        CHECK_CLOSE(grpo_schedule(GRPO_SCHEDULE_CONSTANT, s, 10, 0), s < 10 ? warm : 1, 1e-6);
        CHECK_CLOSE(grpo_schedule(GRPO_SCHEDULE_LINEAR, s, 10, 100), s < 10 ? warm : s < 100 ? linear : 0, 1e-6);
        CHECK_CLOSE(grpo_schedule(GRPO_SCHEDULE_COSINE, s, 10, 100), s < 10 ? warm : s < 100 ? cosine : 0, 1e-6);
    }
}

/* ---- sampling on plain arrays */
static int count_kept(const uint32_t *kept, int vocab)
{
    int v, n = 0;
    for (v = 0; v < vocab; v++) n += grpo__is_kept(kept, v);
    return n;
}

/* The filters against sorting. */
static void test_filters(void)
{
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
        for (i = 0; i < V; i++) total += p[i] = exp(((double)z[i] - (double)z[order[0]]) / (double)s.temperature);
        s.top_k = k;
        grpo_filter(&s, z, V, kept);
        CHECK(count_kept(kept, V) == k, "top_k %d kept %d", k, count_kept(kept, V));
        for (i = 0; i < V; i++) CHECK(grpo__is_kept(kept, order[i]) == (i < k), "top_k %d, rank %d", k, i);
        s.top_k = 0;
        s.top_p = 0.05f + 0.015f * (float)round;
        grpo_filter(&s, z, V, kept);
        while (want < V && sum < (double)s.top_p * total) sum += p[order[want++]];
        CHECK(abs(count_kept(kept, V) - want) <= (fabs(sum - (double)s.top_p * total) < 1e-4 * total),
              "top_p %g kept %d, expected %d", (double)s.top_p, count_kept(kept, V), want);
        for (i = 0; i + 1 < V; i++)
            CHECK(grpo__is_kept(kept, order[i]) >= grpo__is_kept(kept, order[i + 1]), "top_p: rank %d", i);
        s.top_p = 1;
        s.min_p = 0.01f * (float)(round % 20 + 1);
        grpo_filter(&s, z, V, kept);
        for (i = 0; i < V; i++)
            if (fabs(p[i] - (double)s.min_p) > 1e-5)
                CHECK(grpo__is_kept(kept, i) == (p[i] >= (double)s.min_p), "min_p: token %d", i);
        s.temperature = 0;
        s.min_p = 0;
        grpo_filter(&s, z, V, kept);
        CHECK(count_kept(kept, V) == 1 && grpo__is_kept(kept, order[0]), "greedy");
        CHECK(grpo_logprob(z, V, 0, kept, order[0], NULL) == 0, "greedy has log-prob 0 exactly");
    }
}

/* Frequencies of drawn tokens against the probabilities, and log-probs that sum to 1. */
static void test_sampling(void)
{
    enum { V = 21, DRAWS = 40000 };
    float z[V], entropy;
    uint32_t kept[1];
    int counts[V] = { 0 }, i;
    grpo_sampling s = { 0.9f, 0, 0.9f, 0 };
    double sum = 0, chi = 0, h = 0;
    for (i = 0; i < V; i++) z[i] = 2 * grpo__normal(5, (uint64_t)i);
    grpo_filter(&s, z, V, kept);
    for (i = 0; i < DRAWS; i++)
        counts[grpo_sample_token(z, V, s.temperature, kept, grpo_uniform(1, 2, 3, 4, (uint64_t)i))]++;
    for (i = 0; i < V; i++) {
        double p = exp((double)grpo_logprob(z, V, s.temperature, kept, i, &entropy));
        if (!grpo__is_kept(kept, i)) { CHECK(counts[i] == 0, "token %d is not kept", i); continue; }
        sum += p;
        h -= p * log(p);
        chi += (counts[i] - p * DRAWS) * (counts[i] - p * DRAWS) / (p * DRAWS);
    }
    CHECK_CLOSE(sum, 1, 1e-6);
    CHECK_CLOSE(entropy, h, 1e-5);
    CHECK(chi < 45, "chi squared %g", chi);
    for (i = 0; i <= 1000; i++) {
        float u = (float)i / 1000 * 0.99999994f;
        CHECK(grpo__is_kept(kept, grpo_sample_token(z, V, s.temperature, kept, u)), "u = %g", (double)u);
    }
}

/* Our exp against libm's, over its whole range. */
static void test_exp(void)
{
    double worst = 0;
    int i;
    for (i = -87 * 4096; i <= 88 * 4096; i++) {
        float x = (float)i / 4096;
        worst = fmax(worst, fabs((double)grpo__exp(x) / exp((double)x) - 1));
    }
    printf("exp: worst relative error %.1e\n", worst);
    CHECK(worst < 3e-7, "worst relative error %g", worst);
    CHECK(grpo__exp(0) == 1 && grpo__exp(-1000) < 2e-38f && isnan(grpo__exp(NAN)), "edges");
    CHECK(grpo__exp(-HUGE_VALF) < 2e-38f && grpo__exp(HUGE_VALF) > 1e38f, "infinities");
}

static void test_uniform(void)
{
    double mean = 0, square = 0;
    int i, n = 100000;
    for (i = 0; i < n; i++) {
        double u = (double)grpo_uniform(7, (uint64_t)(i % 10), (uint64_t)(i / 10 % 10), (uint64_t)(i / 100 % 10),
                                        (uint64_t)(i / 1000));
        CHECK(u >= 0 && u < 1, "u = %g", u);
        mean += u / n;
        square += u * u / n;
    }
    CHECK_CLOSE(mean, 0.5, 0.005);
    CHECK_CLOSE(square, 1.0 / 3, 0.005);
    CHECK(grpo_uniform(1, 2, 3, 4, 5) == grpo_uniform(1, 2, 3, 4, 5), "pure");
}

int main(void)
{
    int found;
    test_golden_advantages();
    test_golden_losses();
    test_golden_kl();
    test_golden_adamw();
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
    test_uniform();
    grpo_objective_preset("no such thing", &found);
    CHECK(!found, "unknown presets must be said");
    return check_finish();
}
