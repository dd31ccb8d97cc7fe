/* Objectives drawn at random, each field over its whole range, and data drawn to lie close to their
 * boundaries on both sides: values and derivatives against
 *     - the formulas read once more, plainly, in numbers that carry their derivative along, and
 *     - finite differences, where a loss has no constant in it that a difference would move.
 * As in test_derivatives.c every float is a double, so that both can be told from rounding. */
#include "as_double.h"

/* ---- random numbers */
static uint64_t counter;
static double uniform(void) { return (double)(grpo__mix(++counter) >> 11) / 9007199254740992.0; }
static double between(double low, double high) { return low + (high - low) * uniform(); }
static int below(int n) { return (int)(n * uniform()); }
static int one_in(int n) { return below(n) == 0; }
static double sign(void) { return one_in(2) ? -1 : 1; }
static double power(double low, double high) { return exp(between(log(low), log(high))); }
static double near_(double x) { return x + sign() * power(2e-4, 0.1); }

/* Counts a check. 0: it is one of the first ten that failed, to be shown. */
static int quiet(int ok) {
    if (ok) check_passed++;
    else check_failed++;
    return ok || check_failed > 10;
}

/* ---- numbers with a derivative */
typedef struct dual { double v, d; } dual;
static dual number(double v) { dual a; a.v = v; a.d = 0; return a; }
static dual variable(double v, double d) { dual a; a.v = v; a.d = d; return a; }
static dual add(dual a, dual b) { return variable(a.v + b.v, a.d + b.d); }
static dual times(double s, dual a) { return s == 0 ? number(0) : variable(s * a.v, s * a.d); }
static dual product(dual a, dual b) { return variable(a.v * b.v, a.d * b.v + a.v * b.d); }
static dual exponential(dual a) { return variable(exp(a.v), a.d == 0 ? 0 : exp(a.v) * a.d); }
static dual lesser(dual a, dual b) { return a.v <= b.v ? a : b; }
static dual larger(dual a, dual b) { return a.v >= b.v ? a : b; }
static dual clip(dual a, double low, double high) {
    return lesser(larger(a, number(low)), number(high));
}
static dual sigmoid(dual a) {
    double s = a.v < 0 ? exp(a.v) / (1 + exp(a.v)) : 1 / (1 + exp(-a.v));
    return variable(s, s * (1 - s) * a.d);
}

/* ---- a batch */
enum { SEQUENCES = 3, LONGEST = 4, TOKENS = SEQUENCES * LONGEST };
typedef struct batch {
    double now[TOKENS], old[TOKENS], ref[TOKENS], sampling[TOKENS], A[TOKENS], kl[TOKENS];
    double entropies[TOKENS];
    unsigned char mask[TOKENS];
    int offsets[SEQUENCES + 1], sequence[TOKENS];
    grpo_sequences s;
} batch;

static int counts(const batch *b, int t) { return !b->s.mask || b->mask[t]; }
static int counted(const batch *b, int i) {
    int t, n = 0;
    for (t = b->offsets[i]; t < b->offsets[i + 1]; t++) n += counts(b, t);
    return n;
}

/* Where d(log pi) of one token is 1, and log r of any is kept within 20. */
static dual log_ratio(const batch *b, int t, int seed) {
    return variable(b->now[t] - b->old[t], t == seed);
}

/* ---- the formulas. Derivatives are those of token t, the other tokens of its sequence having the
 * same A and weight (GSPO-token). */
static dual policy_loss(const grpo_objective *o, const batch *b, int t) {
    int i = b->sequence[t], n = counted(b, i), j;
    double A = b->A[t], p = exp(b->now[t]), q = exp(b->old[t]), k, l, kl;
    dual x = log_ratio(b, t, t), sum = number(0), geometric = number(0), lp, r, tau, u, both;
    for (j = b->offsets[i]; j < b->offsets[i + 1]; j++) {
        dual y = clip(log_ratio(b, j, t), -20, 20);
        if (!counts(b, j)) continue;
        sum = add(sum, y);
        if (b->A[j] > 0) y = lesser(y, number(o->epsilon_high));
        if (b->A[j] < 0) y = larger(y, number(-o->epsilon));
        geometric = add(geometric, y);
    }
    sum.d *= n;
    geometric.d *= n;
    if (o->ratio == GRPO_RATIO_SEQUENCE) x = times(1.0 / n, sum);
    if (o->ratio == GRPO_RATIO_SUM) x = sum;
    r = exponential(clip(x, -20, 20));
    lp = variable(b->now[t], 1);
    switch (o->loss) {
    case GRPO_LOSS_REINFORCE:
        return times(-A, lp);
    case GRPO_LOSS_CISPO:
        return times(-A * clip(r, 1 - o->epsilon, 1 + o->epsilon_high).v, lp);
    case GRPO_LOSS_SAPO:
        tau = number(A > 0 ? o->sapo_temperature_pos : o->sapo_temperature_neg);
        u = sigmoid(product(tau, add(r, number(-1))));
        return times(-A * 4 / tau.v, u);
    case GRPO_LOSS_GEOMETRIC:
        return times(-A, exponential(times(1.0 / n, geometric)));
    case GRPO_LOSS_VESPO:
        k = A < 0 ? 3 : 2;
        l = A < 0 ? 2 : 3;
        sum = clip(sum, log(1e-8), 20);
        return times(-A * exp(l + k * sum.v - l * exp(sum.v)), lp);
    case GRPO_LOSS_DPPO_TV:
        if (A > 0 ? p - q > o->epsilon_high : q - p > o->epsilon) return number(0);
        return times(-A * fmin(r.v, 20), lp);
    case GRPO_LOSS_DPPO_KL:
        kl = q * log(q / p) + (1 - q) * log((1 - q + 1e-8) / (1 - p + 1e-8));
        if (A > 0 ? p > q && kl > o->epsilon_high : p < q && kl > o->epsilon) return number(0);
        return times(-A * fmin(r.v, 20), lp);
    case GRPO_LOSS_DRO:
        return add(times(-A, lp), times(o->dro_beta / 2, product(x, x)));
    default:
        both = lesser(times(A, o->delta > 0 ? lesser(r, number(o->delta)) : r),
                      times(A, clip(r, 1 - o->epsilon, 1 + o->epsilon_high)));
        both = times(-1, both);
        return o->dual_clip > 0 && A < 0 ? lesser(both, number(-o->dual_clip * A)) : both;
    }
}

static double correction(const grpo_objective *o, const batch *b, int t) {
    int i = b->sequence[t], j;
    double sum = b->old[t] - b->sampling[t], w;
    if (!o->importance || !b->s.sampling_logprobs) return 1;
    if (o->importance > 2)
        for (sum = 0, j = b->offsets[i]; j < b->offsets[i + 1]; j++)
            if (counts(b, j)) sum += b->old[j] - b->sampling[j];
    w = exp(fmax(-20, fmin(20, sum)));
    if (w <= o->importance_cap) return w;
    return o->importance % 2 ? o->importance_cap : 0;
}

static int is_left_out(const grpo_objective *o, const batch *b, int t) {
    int i = b->sequence[t], j;
    double drift = 0;
    if (b->s.mask && b->mask[t] == 2) return 1;
    for (j = b->offsets[i]; j < b->offsets[i + 1]; j++)
        if (counts(b, j))
            drift += (b->s.sampling_logprobs ? b->sampling[j] : b->old[j]) - b->now[j];
    return b->A[t] < 0 && o->off_policy_mask_threshold > 0
        && drift / counted(b, i) > o->off_policy_mask_threshold;
}

/* Estimate `kind` of the KL, and exact KL's derivative. */
static dual kl_estimate(const grpo_objective *o, int kind, const batch *b, int t, double *exact) {
    double x = b->now[t] - b->ref[t];
    dual kl = kind == GRPO_KL_K1 ? variable(x, 1) : kind == GRPO_KL_K2 ? variable(x * x / 2, x)
            : kind == GRPO_KL_K3 ? variable(expm1(-x) + x, -expm1(-x))
            : kind == GRPO_KL_ABS ? variable(fabs(x), x > 0 ? 1 : x < 0 ? -1 : 0)
            : number(b->s.kl ? b->kl[t] : 0);
    *exact = kind == GRPO_KL_FULL && !o->kl_straight_through;
    if (o->kl_straight_through) kl.d = x;
    return kl;
}

typedef struct expected {
    double loss, size, gradient[TOKENS], gradient_size[TOKENS], dkl[TOKENS];
    double kl, entropy, ratio, most_ratio, low, high, least_low, most_high;
    double importance, least_importance, most_importance, difference;
    int tokens, sequences;
} expected;

static expected read_plainly(const grpo_objective *o, const batch *b) {
    expected e;
    int i, t;
    memset(&e, 0, sizeof e);
    for (i = 0; i < b->s.num_sequences; i++) {
        e.sequences += counted(b, i) > 0;
        e.tokens += counted(b, i);
    }
    e.least_low = e.least_importance = HUGE_VAL;
    for (i = 0; i < b->s.num_sequences; i++) {
        double n = counted(b, i), S = e.sequences, low = 0, high = 0, weight
            = o->average == GRPO_AVERAGE_TOKEN ? 1.0 / e.tokens
            : o->average == GRPO_AVERAGE_CONSTANT ? 1 / (S * fmax(o->max_completion_length, 1))
            : o->average == GRPO_AVERAGE_SEQUENCE_SUM ? 1 / S
            : o->average == GRPO_AVERAGE_SUM ? 1 : 1 / (S * n);
        for (t = b->offsets[i]; t < b->offsets[i + 1]; t++) {
            double beta = o->kl_in_reward ? 0 : o->beta, exact, w, x = b->now[t] - b->old[t], r;
            dual policy, kl = number(0);
            int j;
            if (!counts(b, t)) continue;
            policy = policy_loss(o, b, t);
            w = correction(o, b, t);
            if (b->s.sampling_logprobs) {
                e.importance += w / e.tokens;
                e.least_importance = fmin(e.least_importance, w);
                e.most_importance = fmax(e.most_importance, w);
                e.difference += fabs(b->old[t] - b->sampling[t]) / e.tokens;
            }
            policy = times(is_left_out(o, b, t) ? 0 : w, policy);
            if (b->s.ref_logprobs) kl = kl_estimate(o, o->kl, b, t, &exact);
            if (b->s.ref_logprobs && beta != 0) e.dkl[t] = weight * beta * exact;
            e.kl += kl.v / e.tokens;
            kl = times(beta, kl);
            e.loss += weight * (policy.v + kl.v);
            e.size += weight * (fabs(policy.v) + fabs(kl.v));
            e.gradient[t] = weight * (policy.d + kl.d);
            e.gradient_size[t] = weight * (fabs(policy.d) + fabs(kl.d));
            if (b->s.entropies) e.entropy += b->entropies[t] / e.tokens;
            if (o->ratio != GRPO_RATIO_TOKEN) {
                for (x = 0, j = b->offsets[i]; j < b->offsets[i + 1]; j++)
                    if (counts(b, j)) x += fmax(-20, fmin(20, b->now[j] - b->old[j]));
                if (o->ratio == GRPO_RATIO_SEQUENCE) x /= n;
            }
            r = exp(fmax(-20, fmin(20, x)));
            e.ratio += r / e.tokens;
            e.most_ratio = fmax(e.most_ratio, r);
            low += b->A[t] < 0 && r < 1 - o->epsilon;
            high += b->A[t] > 0 && r > 1 + o->epsilon_high;
        }
        if (n == 0) continue;
        e.low += low / e.tokens;
        e.high += high / e.tokens;
        e.least_low = fmin(e.least_low, low / n);
        e.most_high = fmax(e.most_high, high / n);
    }
    e.loss -= o->entropy_coef * e.entropy;
    e.size += fabs(o->entropy_coef * e.entropy);
    return e;
}

/* ---- drawing */
static void draw_objective(grpo_objective *o) {
    const grpo_field *field;
    grpo_config c;
    int i;
    memset(&c, 0, sizeof c);
    for (i = 0; (field = grpo_field_at(i)) != NULL; i++) {
        double x;
        if (strncmp(field->name, "objective.", 10)) continue;
        x = power(1e-3, 10);
        if (field->type == GRPO_FIELD_INT)
            x = field->least + below((int)(field->most - field->least) + 1);
        else if (one_in(32)) x = field->most;
        else if (one_in(4)) x = field->least;
        else if (field->least < 0) x *= sign();
        grpo__put_field(&c, field, fmax(field->least, fmin(field->most, x)));
    }
    *o = c.objective;
    if (o->dual_clip > 0 && o->dual_clip < 1) o->dual_clip = 1 / o->dual_clip;
    if (one_in(4)) o->delta = 1 + o->epsilon_high * uniform();
    if (one_in(8)) o->delta = 1 - fmin(o->epsilon, 1) * uniform();
    if (one_in(8)) o->epsilon = 1;
    if (one_in(2)) o->max_completion_length = below(20);
    if (one_in(2)) o->loss = GRPO_LOSS_CLIP;
}

/* A log-ratio at one of the places where something changes, or anywhere. */
static double draw_log_ratio(const grpo_objective *o) {
    double at[10];
    int n = 0;
    at[n++] = 0; at[n++] = 20; at[n++] = -20; at[n++] = log(20); at[n++] = -o->epsilon;
    if (o->epsilon < 1) at[n++] = log(1 - o->epsilon);
    at[n++] = log(1 + o->epsilon_high);
    if (o->delta > 0) at[n++] = log(o->delta);
    if (o->dual_clip > 0) at[n++] = log(o->dual_clip);
    at[n++] = o->epsilon_high;
    n = below(2 * n);
    return n < 10 && (n > 0 || one_in(2)) && fabs(at[n % 10]) < 25 ? near_(at[n % 10])
                                                                     : between(-3, 3);
}

/* Returns 1 if the tokens of each sequence have the same A and weight. */
static int draw_batch(batch *b, const grpo_objective *o) {
    int i, t, alike = !one_in(3), masks = below(3);
    memset(b, 0, sizeof *b);
    b->s.num_sequences = 1 + below(SEQUENCES);
    for (i = 0; i < b->s.num_sequences; i++) {
        double A = one_in(20) ? 0 : sign() * power(0.05, 5), x, sum = 0, n;
        int first = b->offsets[i], end = first + (one_in(12) ? 0 : 1 + below(LONGEST));
        b->offsets[i + 1] = end;
        for (t = first; t < end; t++) {
            b->sequence[t] = i;
            b->A[t] = alike ? A : one_in(20) ? 0 : sign() * power(0.05, 5);
            b->mask[t] = (unsigned char)(!masks || !one_in(4) ? 1 : one_in(2) && !alike ? 2 : 0);
        }
        if (masks) b->s.mask = b->mask;
        n = counted(b, i);
        x = draw_log_ratio(o);
        for (t = first; t < end; t++) {
            double log_r = draw_log_ratio(o), p;
            if (o->ratio != GRPO_RATIO_TOKEN && !one_in(8) && counts(b, t)) {
                double last = x * (o->ratio == GRPO_RATIO_SEQUENCE ? n : 1) - sum;
                log_r = --n > 0 ? last / (n + 1) + between(-0.3, 0.3) : last;
                sum += log_r;
            }
            b->now[t] = -power(0.01, 8);
            b->old[t] = b->now[t] - log_r;
            if (b->old[t] > -1e-3) {
                b->now[t] -= b->old[t] + 0.01;
                b->old[t] = -0.01;
            }
            p = exp(b->old[t]) + sign() * near_(sign() * fmin(o->epsilon, 1));
            if (o->loss == GRPO_LOSS_DPPO_TV && one_in(2) && p > 0 && p < 1) b->now[t] = log(p);
            b->ref[t] = one_in(2) ? near_(b->now[t]) : -power(0.01, 8);
            b->sampling[t] = one_in(2) ? near_(b->old[t] - log(o->importance_cap))
                           : o->off_policy_mask_threshold < 10 && one_in(2)
                           ? near_(b->now[t] + o->off_policy_mask_threshold)
                           : b->old[t] + between(-1, 1);
            b->kl[t] = power(1e-3, 1);
            b->entropies[t] = between(0, 3);
        }
    }
    b->s.offsets = b->offsets;
    b->s.logprobs = b->now; b->s.old_logprobs = b->old; b->s.advantages = b->A;
    if (!one_in(4)) b->s.ref_logprobs = b->ref;
    if (!one_in(4)) b->s.kl = b->kl;
    if (!one_in(2)) b->s.sampling_logprobs = b->sampling;
    if (!one_in(4)) b->s.entropies = b->entropies;
    return alike;
}

/* ---- comparing */
typedef struct tally { int draws, tokens, differences, kinks; } tally;

static int close_to(double a, double b, double size) {
    return fabs(a - b) <= 1e-9 * size + 1e-300;
}

static void show(const char *what, int draw, const grpo_objective *o, const batch *b, int t,
                 double got, double want) {
    printf("draw %d: %s is %.12g, not %.12g (loss %d, ratio %d, average %d, kl %d, epsilon %g %g, "
           "delta %g, dual_clip %g", draw, what, got, want, o->loss, o->ratio, o->average, o->kl,
           o->epsilon, o->epsilon_high, o->delta, o->dual_clip);
    if (t >= 0) printf("; token %d: A %g, r %g", t, b->A[t], exp(b->now[t] - b->old[t]));
    printf(")\n");
}

/* d(loss)/d(x), x being token t's, which has derivative d. */
static void difference(tally *all, const grpo_objective *o, const batch *b, double *x, int t,
                       double d, const expected *e) {
    const double h = 1e-5;
    double at = *x, middle = grpo_loss(o, &b->s, NULL, NULL, NULL), up, down, left, right, noise;
    *x = at + h; up = grpo_loss(o, &b->s, NULL, NULL, NULL);
    *x = at - h; down = grpo_loss(o, &b->s, NULL, NULL, NULL);
    *x = at;
    right = (up - middle) / h;
    left = (middle - down) / h;
    noise = 1e-10 * (e->size + fabs(d));
    all->differences++;
    all->kinks += fabs(right - left) > 1e-2 * fabs(d) + 1e-4 + noise;
    if (!quiet(fabs((left + right) / 2 - d) <= 0.6 * fabs(right - left) + 1e-7 * fabs(d) + noise))
        show("a derivative by differences", all->draws, o, b, t, d, (left + right) / 2);
}

static void compare_stats(tally *all, const grpo_objective *o, const batch *b, const expected *e,
                          const grpo_loss_stats *s) {
    double got[14], want[14];
    static const char *const names[14] = {
        "kl", "entropy", "ratio_mean", "ratio_max", "clip_low_mean", "clip_high_mean",
        "clip_region_mean", "clip_low_min", "clip_high_max", "importance_mean", "importance_min",
        "importance_max", "sampling_difference_mean", "num_tokens" };
    int i, n = 0;
    got[n] = s->kl; want[n++] = e->kl;
    got[n] = s->entropy; want[n++] = e->entropy;
    got[n] = s->ratio_mean; want[n++] = e->ratio;
    got[n] = s->ratio_max; want[n++] = e->most_ratio;
    got[n] = s->clip_low_mean; want[n++] = e->low;
    got[n] = s->clip_high_mean; want[n++] = e->high;
    got[n] = s->clip_region_mean; want[n++] = e->low + e->high;
    got[n] = s->clip_low_min; want[n++] = e->sequences ? e->least_low : 0;
    got[n] = s->clip_high_max; want[n++] = e->most_high;
    got[n] = s->importance_mean; want[n++] = e->importance;
    got[n] = s->importance_min; want[n++] = b->s.sampling_logprobs && e->tokens
                                          ? e->least_importance : 0;
    got[n] = s->importance_max; want[n++] = e->most_importance;
    got[n] = s->sampling_difference_mean; want[n++] = e->difference;
    got[n] = s->num_tokens; want[n++] = e->tokens;
    for (i = 0; i < n; i++)
        if (!quiet(close_to(got[i], want[i], 1 + fabs(want[i]))))
            show(names[i], all->draws, o, b, -1, got[i], want[i]);
    quiet(s->num_sequences == e->sequences);
}

static void compare(tally *all, const grpo_objective *o, batch *b, int alike) {
    double gradient[TOKENS], dkl[TOKENS];
    grpo_loss_stats stats;
    expected e = read_plainly(o, b);
    double loss = grpo_loss(o, &b->s, gradient, dkl, &stats);
    int t, n = b->offsets[b->s.num_sequences];
    int constant = o->loss == GRPO_LOSS_CISPO || o->loss == GRPO_LOSS_VESPO
                || o->loss == GRPO_LOSS_DPPO_TV || o->loss == GRPO_LOSS_DPPO_KL
                || o->kl_straight_through;
    int whole = o->ratio != GRPO_RATIO_TOKEN || o->loss == GRPO_LOSS_GEOMETRIC;
    int weighed = b->s.sampling_logprobs && (o->importance == 1 || o->importance == 2);
    all->draws++;
    if (!quiet(close_to(loss, e.loss, e.size)))
        show("the loss", all->draws, o, b, -1, loss, e.loss);
    for (t = 0; t < n; t++) {
        all->tokens++;
        if (!quiet(close_to(gradient[t], e.gradient[t], e.gradient_size[t])))
            show("a derivative", all->draws, o, b, t, gradient[t], e.gradient[t]);
        if (!quiet(close_to(dkl[t], e.dkl[t], e.dkl[t])))
            show("a derivative of exact KL", all->draws, o, b, t, dkl[t], e.dkl[t]);
        if (!constant && !(whole && (!alike || weighed)))
            difference(all, o, b, &b->now[t], t, gradient[t], &e);
    }
    if (n && b->s.kl && !o->kl_straight_through)
        difference(all, o, b, &b->kl[n - 1], n - 1, dkl[n - 1], &e);
    compare_stats(all, o, b, &e, &stats);
}

static void test_objectives(int draws) {
    tally all = { 0, 0, 0, 0 };
    while (all.draws < draws) {
        grpo_objective o;
        batch b;
        int alike;
        draw_objective(&o);
        alike = draw_batch(&b, &o);
        compare(&all, &o, &b, alike);
    }
    printf("objectives: %d drawn, %d tokens' derivatives by the formulas, %d by differences (%d at "
           "a kink): %d checks failed\n", all.draws, all.tokens, all.differences, all.kinks,
           check_failed);
    CHECK(all.kinks * 50 < all.differences, "%d of %d at a kink", all.kinks, all.differences);
}

int main(void) {
    CHECK(sizeof(float) == 8, "floats must be doubles here");
#ifdef CHECK_QUICK
    test_objectives(10000);
#else
    test_objectives(100000);
#endif
    return check_finish();
}
