/* 00 from scratch: all of GRPO in one file, without grpo.h.
 *
 *     cc -O2 00_from_scratch.c -o scratch -lm && ./scratch            (./scratch 7: with seed 7)
 *
 * Plain loops over doubles, one sequence at a time, nothing cached; to be read from top to bottom,
 * in the letters of the paper (DeepSeekMath, arXiv:2402.03300, Algorithm 1):
 *
 *     1 the transformer   tokens -> pi(next token)
 *     2 its derivative    d(loss)/d(log pi) -> d(loss)/d(weights)
 *     3 sampling          question q -> completions o_1 ... o_G
 *     4 advantage         r_i = right or wrong,  A_i = (r_i - mean(r)) / std(r)
 *     5 loss              -min(ratio A, clip(ratio) A) + beta KL
 *     6 AdamW             the weights move
 *     7 one step          3, 4, and mu times 5, 2, 6
 *
 * grpo.h is the same in float32, fast and with every variant: tests/test_from_scratch.c gives both
 * the same weights and samples, and compares log-probs, advantages, loss and gradients. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { H = 16, F = 32,                              /* widths: of the whole, of SwiGLU            */
       V = 13, END = 12,                            /* tokens: places in the vocabulary, "." ends */
       PROMPT = 4, ANSWER = 2, T = PROMPT + ANSWER, /* tokens of "3+4=", of "7.", of both         */
       NUMBERS = 5, QUESTIONS = NUMBERS * NUMBERS,  /* 0+0= to 4+4=                               */
       G = 16, SAMPLES = QUESTIONS * G,             /* completions of a question, of all          */
       MU = 2, STEPS = 200 };                       /* updates from the same samples; all steps   */
static const char vocabulary[] = "0123456789+=.";
static const double EPSILON = 0.2, BETA = 0.04, RATE = 3e-3;

/* ---- 1 the transformer --------------------------------------------------------------------------
 * A Llama with one layer and one head: RMSNorm, attention with rotary positions, RMSNorm, SwiGLU.
 * Weights, gradient and AdamW's moments are each one such struct, of nothing but doubles. */
typedef struct model {
    double embedding[V][H];
    double norm1[H], wq[H][H], wk[H][H], wv[H][H], wo[H][H];        /* W[out][in]                */
    double norm2[H], gate[F][H], up[F][H], down[H][F];
    double norm3[H], head[V][H];
} model;
enum { WEIGHTS = sizeof(model) / sizeof(double) };

/* All that forward computes, in its order; the first index is the position t. */
typedef struct activations {
    double x[T][H], n1[T][H], q[T][H], k[T][H], v[T][H];
    double p[T][T], mix[T][H];                                      /* p[t][j]: t attends j      */
    double y[T][H], n2[T][H], g[T][F], u[T][F], s[T][F];
    double z[T][H], n3[T][H], pi[T][V];                             /* pi[t]: of token t + 1     */
} activations;

/* y[out] = W[out][in] x[in] */
static void multiply(double *y, const double *w, const double *x, int out, int in) {
    int i, j;
    for (i = 0; i < out; i++)
        for (y[i] = 0, j = 0; j < in; j++) y[i] += w[i * in + j] * x[j];
}

static double root_mean_square(const double *x) {
    double squares = 0;
    int i;
    for (i = 0; i < H; i++) squares += x[i] * x[i];
    return sqrt(squares / (double)H + 1e-6);
}

/* y[H] = x / rms(x) * gain */
static void normalize(double *y, const double *x, const double *gain) {
    double rms = root_mean_square(x);
    int i;
    for (i = 0; i < H; i++) y[i] = x[i] / rms * gain[i];
}

/* Positions: the pair (i, i + H/2) is rotated by the angle t 10000^(-2i/H); for the derivative by
 * the opposite angle, direction -1. */
static void rotate(double *x, int t, int direction) {
    int i;
    for (i = 0; i < H / 2; i++) {
        double angle = direction * t * pow(10000, -2.0 * i / (double)H);
        double a = x[i], b = x[i + H / 2];
        x[i] = a * cos(angle) - b * sin(angle);
        x[i + H / 2] = a * sin(angle) + b * cos(angle);
    }
}

/* x[n] -> e^x / sum e^x, in place */
static void softmax(double *x, int n) {
    double most = x[0], sum = 0;
    int i;
    for (i = 1; i < n; i++) most = fmax(most, x[i]);
    for (i = 0; i < n; i++) sum += x[i] = exp(x[i] - most);
    for (i = 0; i < n; i++) x[i] /= sum;
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* tokens[n] -> a->pi[n][V] */
static void forward(const model *m, activations *a, const int *tokens, int n) {
    int t, j, i;
    for (t = 0; t < n; t++) {
        memcpy(a->x[t], m->embedding[tokens[t]], sizeof a->x[t]);
        normalize(a->n1[t], a->x[t], m->norm1);
        multiply(a->q[t], m->wq[0], a->n1[t], H, H);
        multiply(a->k[t], m->wk[0], a->n1[t], H, H);
        multiply(a->v[t], m->wv[0], a->n1[t], H, H);
        rotate(a->q[t], t, 1);
        rotate(a->k[t], t, 1);

        for (j = 0; j <= t; j++)                    /* p = softmax(q k / sqrt(H)) over j <= t    */
            for (a->p[t][j] = 0, i = 0; i < H; i++)
                a->p[t][j] += a->q[t][i] * a->k[j][i] / sqrt((double)H);
        softmax(a->p[t], t + 1);
        for (i = 0; i < H; i++)                     /* mix = sum of p_j v_j                      */
            for (a->mix[t][i] = 0, j = 0; j <= t; j++) a->mix[t][i] += a->p[t][j] * a->v[j][i];
        multiply(a->y[t], m->wo[0], a->mix[t], H, H);
        for (i = 0; i < H; i++) a->y[t][i] += a->x[t][i];

        normalize(a->n2[t], a->y[t], m->norm2);
        multiply(a->g[t], m->gate[0], a->n2[t], F, H);
        multiply(a->u[t], m->up[0], a->n2[t], F, H);
        for (i = 0; i < F; i++) a->s[t][i] = a->g[t][i] * sigmoid(a->g[t][i]) * a->u[t][i];
        multiply(a->z[t], m->down[0], a->s[t], H, F);
        for (i = 0; i < H; i++) a->z[t][i] += a->y[t][i];

        normalize(a->n3[t], a->z[t], m->norm3);
        multiply(a->pi[t], m->head[0], a->n3[t], V, H);
        softmax(a->pi[t], V);
    }
}

/* ---- 2 its derivative ---------------------------------------------------------------------------
 * The same from the end to the beginning. dx is d(loss)/dx; a value used twice gets two terms, so
 * derivatives accumulate. y = W x:  dx += W^T dy,  dW += dy x^T */
static void multiply_backward(double *dx, double *dw, const double *dy, const double *w,
                              const double *x, int out, int in) {
    int i, j;
    for (i = 0; i < out; i++)
        for (j = 0; j < in; j++) {
            dx[j] += w[i * in + j] * dy[i];
            dw[i * in + j] += dy[i] * x[j];
        }
}

static void normalize_backward(double *dx, double *dgain, const double *dy, const double *x,
                               const double *gain) {
    double rms = root_mean_square(x), dot = 0;
    int i;
    for (i = 0; i < H; i++) dot += dy[i] * gain[i] * x[i];
    for (i = 0; i < H; i++) {
        dx[i] += (dy[i] * gain[i] - x[i] * dot / ((double)H * rms * rms)) / rms;
        dgain[i] += dy[i] * x[i] / rms;
    }
}

/* dlogp[t] = d(loss)/d(log pi(token t)), 0 in the prompt. d adds up d(loss)/d(weights). A later
 * position's derivative reaches k and v of the earlier ones, so t goes down. */
static void backward(const model *m, model *d, const activations *a, const int *tokens, int n,
                     const double *dlogp) {
    double dk[T][H] = { { 0 } }, dv[T][H] = { { 0 } };
    int t, j, i;
    for (t = n - 1; t >= 0; t--) {
        double dlogits[V], dn3[H] = { 0 }, dz[H] = { 0 }, ds[F] = { 0 }, dg[F], du[F];
        double dn2[H] = { 0 }, dmix[H] = { 0 }, dq[H] = { 0 }, dn1[H] = { 0 };
        double dp[T] = { 0 }, mean = 0;
        for (i = 0; i < V; i++)                     /* d(log pi_k)/d(logit_i) = (i is k) - pi_i  */
            dlogits[i] = t + 1 < n ? dlogp[t + 1] * ((i == tokens[t + 1]) - a->pi[t][i]) : 0;
        multiply_backward(dn3, d->head[0], dlogits, m->head[0], a->n3[t], V, H);
        normalize_backward(dz, d->norm3, dn3, a->z[t], m->norm3);

        multiply_backward(ds, d->down[0], dz, m->down[0], a->s[t], H, F);
        for (i = 0; i < F; i++) {
            double x = a->g[t][i], y = sigmoid(x);
            dg[i] = ds[i] * a->u[t][i] * y * (1 + x * (1 - y));
            du[i] = ds[i] * x * y;
        }
        multiply_backward(dn2, d->gate[0], dg, m->gate[0], a->n2[t], F, H);
        multiply_backward(dn2, d->up[0], du, m->up[0], a->n2[t], F, H);
        normalize_backward(dz, d->norm2, dn2, a->y[t], m->norm2);   /* z = y + ...: dz is dy now */

        multiply_backward(dmix, d->wo[0], dz, m->wo[0], a->mix[t], H, H);
        for (j = 0; j <= t; j++) {
            for (i = 0; i < H; i++) {
                dp[j] += dmix[i] * a->v[j][i];
                dv[j][i] += dmix[i] * a->p[t][j];
            }
            mean += a->p[t][j] * dp[j];
        }
        for (j = 0; j <= t; j++)
            for (i = 0; i < H; i++) {               /* through the softmax: p_j (dp_j - mean)    */
                double dscore = a->p[t][j] * (dp[j] - mean) / sqrt((double)H);
                dq[i] += dscore * a->k[j][i];
                dk[j][i] += dscore * a->q[t][i];
            }
        rotate(dq, t, -1);
        rotate(dk[t], t, -1);
        multiply_backward(dn1, d->wq[0], dq, m->wq[0], a->n1[t], H, H);
        multiply_backward(dn1, d->wk[0], dk[t], m->wk[0], a->n1[t], H, H);
        multiply_backward(dn1, d->wv[0], dv[t], m->wv[0], a->n1[t], H, H);
        normalize_backward(dz, d->norm1, dn1, a->x[t], m->norm1);   /* y = x + ...: and dx now   */
        for (i = 0; i < H; i++) d->embedding[tokens[t]][i] += dz[i];
    }
}

/* ---- 3 sampling ------------------------------------------------------------------------------ */
typedef struct sample {
    int tokens[T], length;                                          /* q, then o_i               */
    double logp_old[T], logp_ref[T], r, A;                          /* log pi of o_i's tokens    */
} sample;

/* A number in [0, 1), from a linear congruential generator */
static double uniform(uint64_t *random) {
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*random >> 11) / 9007199254740992.0;
}

/* The first token at which the sum of p exceeds u */
static int draw(const double *pi, double u) {
    int v = 0;
    while (v < V - 1 && (u -= pi[v]) >= 0) v++;
    return v;
}

/* o ~ pi_old(. | q) for q = "a+b=", a token at a time up to END; then its log-probs by pi_ref */
static void complete(const model *old, const model *ref, int a, int b, sample *o,
                     uint64_t *random) {
    const int q[PROMPT] = { a, 10, b, 11 };
    static activations s;
    int t;
    memcpy(o->tokens, q, sizeof q);
    for (t = PROMPT; t < T && o->tokens[t - 1] != END; t++) {
        forward(old, &s, o->tokens, t);
        o->tokens[t] = draw(s.pi[t - 1], uniform(random));
        o->logp_old[t] = log(s.pi[t - 1][o->tokens[t]]);
    }
    o->length = t;
    forward(ref, &s, o->tokens, o->length);
    for (t = PROMPT; t < o->length; t++) o->logp_ref[t] = log(s.pi[t - 1][o->tokens[t]]);
}

/* ---- 4 reward, 1 if o is the sum and END, else 0; and advantage ------------------------------ */
static double reward(const sample *o) {
    return o->length == T && o->tokens[4] == o->tokens[0] + o->tokens[2] && o->tokens[5] == END;
}

/* A_i = (r_i - mean(r)) / std(r), for every token of o_i. All right, or all wrong: A = 0. */
static void advantages(sample *group) {
    double mean = 0, squares = 0, std;
    int i;
    for (i = 0; i < G; i++) mean += group[i].r / (double)G;
    for (i = 0; i < G; i++) squares += (group[i].r - mean) * (group[i].r - mean);
    std = sqrt(squares / (double)(G - 1)) + 1e-4;
    for (i = 0; i < G; i++) group[i].A = (group[i].r - mean) / std;
}

/* ---- 5 loss -------------------------------------------------------------------------------------
 * of one token:  -min(ratio A, clip(ratio, 1-epsilon, 1+epsilon) A) + beta KL(pi || pi_ref)
 * with  ratio = pi / pi_old  and  KL = pi_ref/pi - log(pi_ref/pi) - 1,  the estimate named k3 */
static double token_loss(double logp, double logp_old, double logp_ref, double A, double *dlogp) {
    double ratio = exp(logp - logp_old), clipped = fmin(fmax(ratio, 1 - EPSILON), 1 + EPSILON);
    double ref = exp(logp_ref - logp);                              /* pi_ref / pi               */
    *dlogp = (ratio * A <= clipped * A ? -ratio * A : 0) + BETA * (1 - ref);
    return -fmin(ratio * A, clipped * A) + BETA * (ref - log(ref) - 1);
}

/* loss = 1/n sum_i 1/|o_i| sum_t token_loss, and its gradient */
static double loss_and_gradient(const model *m, model *gradient, const sample *o, int n) {
    static activations a;
    double loss = 0;
    int i, t;
    memset(gradient, 0, sizeof *gradient);
    for (i = 0; i < n; i++, o++) {
        double dlogp[T] = { 0 }, share = 1.0 / n / (o->length - PROMPT);
        forward(m, &a, o->tokens, o->length);
        for (t = PROMPT; t < o->length; t++) {
            double logp = log(a.pi[t - 1][o->tokens[t]]);
            loss += share * token_loss(logp, o->logp_old[t], o->logp_ref[t], o->A, &dlogp[t]);
            dlogp[t] *= share;
        }
        backward(m, gradient, &a, o->tokens, o->length, dlogp);
    }
    return loss;
}

/* ---- 6 AdamW: against the gradient's running mean, in units of its running size -------------- */
static void adamw(double *w, const double *gradient, double *m, double *v, int update) {
    const double decay = 0;                                         /* the W: seldom used in GRPO */
    int i;
    for (i = 0; i < WEIGHTS; i++) {
        m[i] = 0.9 * m[i] + 0.1 * gradient[i];
        v[i] = 0.999 * v[i] + 0.001 * gradient[i] * gradient[i];
        w[i] -= RATE * (m[i] / (1 - pow(0.9, update))
                        / (sqrt(v[i] / (1 - pow(0.999, update))) + 1e-8) + decay * w[i]);
    }
}

#ifndef FROM_SCRATCH_NO_MAIN        /* the test takes its own steps */
/* ---- 7 one step, and many -------------------------------------------------------------------- */
static void step(model *policy, const model *reference, sample *o, uint64_t *random, int steps) {
    static model gradient, m, v;
    int i, pass;
    for (i = 0; i < SAMPLES; i++) {
        complete(policy, reference, i / G / NUMBERS, i / G % NUMBERS, &o[i], random);
        o[i].r = reward(&o[i]);
    }
    for (i = 0; i < SAMPLES; i += G) advantages(&o[i]);
    for (pass = 1; pass <= MU; pass++) {
        loss_and_gradient(policy, &gradient, o, SAMPLES);
        adamw((double *)policy, (double *)&gradient, (double *)&m, (double *)&v,
              MU * (steps - 1) + pass);
    }
}

/* How many of each question's G are right; and some completions of 2+3=, with A */
static void print_step(int steps, const sample *o) {
    int i, j, t, right, all = 0;
    printf("%4d |", steps);
    for (i = 0; i < SAMPLES; i += G, all += right) {
        for (right = 0, j = i; j < i + G; j++) right += o[j].r > 0;
        putchar(" .:-=+*#%@"[9 * right / G]);
    }
    printf("| %3d %%  ", 100 * all / SAMPLES);
    for (i = (2 * NUMBERS + 3) * G, j = 0; j < 5; j++, i++) {
        for (t = PROMPT; t < T; t++) putchar(t < o[i].length ? vocabulary[o[i].tokens[t]] : ' ');
        printf(" %+.1f  ", o[i].A);
    }
    printf("\n");
}

int main(int argc, char **argv) {
    static model policy, reference;
    static sample o[SAMPLES];
    uint64_t random = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    int steps, i;
    printf("GRPO without grpo.h: %d random weights learn the sums 0+0= to 4+4= from right or\n"
           "wrong alone. A step: %d questions, %d completions of each, %d updates.\n",
           (int)WEIGHTS, (int)QUESTIONS, (int)G, (int)MU);
    if (argc > 1 && (*argv[1] < '0' || *argv[1] > '9'))
        return puts("usage: 00_from_scratch [SEED (1)]"), strcmp(argv[1], "--help") ? 2 : 0;
    printf("Columns: questions, from ' ' none right to '@' all; then completions of 2+3= and A\n"
           "step |0+0=                4+4=| right\n");
    for (i = 0; i < WEIGHTS; i++) ((double *)&policy)[i] = 0.4 * uniform(&random) - 0.2;
    for (i = 0; i < H; i++) policy.norm1[i] = policy.norm2[i] = policy.norm3[i] = 1;
    reference = policy;
    for (steps = 1; steps <= STEPS; steps++) {
        step(&policy, &reference, o, &random, steps);
        if (steps == 1 || steps % 10 == 0) print_step(steps, o);
    }
    printf("Notice: a column is blank until chance writes its sum once; from then on it fills.\n");
    return 0;
}
#endif
