/* 04 your own model: GRPO for a policy that is not ours.
 *
 *     cc -O2 -I.. 04_your_own_model.c -o own -lm && ./own
 *
 * Advantages, loss, log-probs, sampling and AdamW are functions on plain arrays. Whoever can turn
 * a state into logits, and a gradient of logits into a gradient of weights, can train with them;
 * here a network with one hidden layer, in 25 lines. It is given a number from 1 to 18 and writes
 * digits that add up to it, then END; at most three tokens, so 18 is 9 9 END and nothing else.
 *
 * What to see: each column is a number. Small ones are often hit by chance and are learnt first,
 * as themselves; 18 is hit once in 1331 attempts and comes late, with some seeds not at all in
 * these steps. The bonus for entropy keeps the policy trying: set it to 0 and more columns stay
 * empty. Nobody showed it an answer; which of several right ones it settles on is its own choice.
 */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "show.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { END = 10, VOCAB = 11, LENGTH = 3, NUMBERS = 18, GROUP = 32, SEQUENCES = NUMBERS * GROUP,
       TOKENS = SEQUENCES * LENGTH, STEPS = 260, SEED = 3 };

/* ---- the policy: logits = out tanh(sum of the rows of in for the number and the tokens so far) */
enum { INPUTS = NUMBERS + LENGTH * VOCAB, HIDDEN = 64, WEIGHTS = (INPUTS + VOCAB) * HIDDEN };

static float theta[WEIGHTS], gradient[WEIGHTS], adam_m[WEIGHTS], adam_v[WEIGHTS];

static int in(int i, int j)  { return i * HIDDEN + j; }       /* where in theta                  */
static int out(int v, int j) { return (INPUTS + v) * HIDDEN + j; }
static int seen(int token, int position) { return NUMBERS + position * VOCAB + token; }

static void forward(int number, const int *tokens, int t, float *hidden, float *logits) {
    int i, j, v;
    for (j = 0; j < HIDDEN; j++) {
        float x = theta[in(number - 1, j)];
        for (i = 0; i < t; i++) x += theta[in(seen(tokens[i], i), j)];
        hidden[j] = tanhf(x);
    }
    for (v = 0; v < VOCAB; v++)
        for (logits[v] = 0, j = 0; j < HIDDEN; j++) logits[v] += theta[out(v, j)] * hidden[j];
}

static void backward(int number, const int *tokens, int t, const float *hidden,
                     const float *dlogits) {
    int i, j, v;
    for (j = 0; j < HIDDEN; j++) {
        float dx = 0;
        for (v = 0; v < VOCAB; v++) {
            gradient[out(v, j)] += dlogits[v] * hidden[j];
            dx += dlogits[v] * theta[out(v, j)];
        }
        dx *= 1 - hidden[j] * hidden[j];
        gradient[in(number - 1, j)] += dx;
        for (i = 0; i < t; i++) gradient[in(seen(tokens[i], i), j)] += dx;
    }
}

/* ---- one batch, packed: sequence i has the tokens [offsets[i], offsets[i + 1]) */
static int   offsets[SEQUENCES + 1], tokens[TOKENS];
static float rewards[SEQUENCES], per_sequence[SEQUENCES], advantages[TOKENS];
static float old_logprobs[TOKENS], logprobs[TOKENS], entropies[TOKENS], dlogprobs[TOKENS];
static float hidden[TOKENS][HIDDEN], logits[TOKENS][VOCAB];

static int number_of(int sequence) { return 1 + sequence / GROUP; }

static void rollout(int step) {
    int i, t, k = 0, token = 0;
    for (i = 0; i < SEQUENCES; i++) {
        int left = number_of(i);
        offsets[i] = k;
        for (t = 0; t == 0 || (t < LENGTH && token != END); t++, k++) {
            float u = grpo_uniform(SEED, (uint64_t)step, 0, (uint64_t)i, (uint64_t)t);
            forward(number_of(i), tokens + offsets[i], t, hidden[k], logits[k]);
            token = grpo_sample_token(logits[k], VOCAB, 1, NULL, u);
            old_logprobs[k] = grpo_logprob(logits[k], VOCAB, 1, NULL, token, NULL);
            tokens[k] = token;
            if (token != END) left -= token;
        }
        rewards[i] = token == END && left == 0;
    }
    offsets[SEQUENCES] = k;
}

static void learn(const grpo_objective *o, int update) {
    float dentropy = -o->entropy_coef / (float)offsets[SEQUENCES];
    grpo_sequences all;
    int i, k;
    for (i = 0; i < SEQUENCES; i++)
        for (k = offsets[i]; k < offsets[i + 1]; k++) {
            forward(number_of(i), tokens + offsets[i], k - offsets[i], hidden[k], logits[k]);
            logprobs[k] = grpo_logprob(logits[k], VOCAB, 1, NULL, tokens[k], &entropies[k]);
        }
    memset(&all, 0, sizeof all);
    all.num_sequences = SEQUENCES; all.offsets = offsets;
    all.logprobs = logprobs; all.old_logprobs = old_logprobs;
    all.advantages = advantages; all.entropies = entropies;
    grpo_loss(o, &all, dlogprobs, NULL, NULL);
    memset(gradient, 0, sizeof gradient);
    for (i = 0; i < SEQUENCES; i++)
        for (k = offsets[i]; k < offsets[i + 1]; k++) {       /* logits become their gradient    */
            grpo_logprob_backward(logits[k], VOCAB, 1, NULL, 1, &tokens[k], &dlogprobs[k],
                                  dentropy);
            backward(number_of(i), tokens + offsets[i], k - offsets[i], hidden[k], logits[k]);
        }
    grpo_adamw(theta, gradient, adam_m, adam_v, WEIGHTS, 3e-3f, 0.9f, 0.999f, 1e-8f, 0, 1, update);
}

/* ---- what was learnt: the share of right answers to each number, and an answer to two of them */
static void print_answer(int number) {
    int k = offsets[(number - 1) * GROUP];
    printf("   %d =", number);
    for (; k < offsets[(number - 1) * GROUP + 1]; k++)
        if (tokens[k] != END) printf(" %d", tokens[k]);
}

static void print_step(int step) {
    int n, i, right, all = 0;
    printf("%4d  |", step);
    for (n = 0; n < NUMBERS; n++, all += right) {
        for (right = i = 0; i < GROUP; i++) right += rewards[n * GROUP + i] > 0;
        putchar(" .:-=+*#%@"[9 * right / GROUP]);
    }
    printf("| %3d %%", 100 * all / SEQUENCES);
    print_answer(7);
    print_answer(17);
    printf("\n");
}

static const char intro[] =
    "GRPO for a network that is not grpo.h's, by its pure maths. Given a number from 1 to 18,\n"
    "write digits that add up to it, then END; at most three tokens, so 18 is 9 9 END.";

int main(int argc, char **argv) {
    grpo_objective o = grpo_objective_preset("trl", NULL);    /* beta is 0: no reference needed  */
    int step, i, k, update = 0;
    if (show_lesson(argc, argv, intro, "  none\n")) return 0;
    if (argc > 1) return show_misuse(argv[1], "  none\n");
    o.entropy_coef = 0.02f;
    for (k = 0; k < WEIGHTS; k++)
        theta[k] = 0.6f * (grpo_uniform(SEED, 0, 0, 0, (uint64_t)k) - 0.5f);
    printf("\nA column a number, from ' ' no attempt right to '@' all; then an answer to 7 and 17\n"
           "step  |1        10      18| right\n");
    for (step = 1; step <= STEPS; step++) {
        rollout(step);
        grpo_advantages(&o, rewards, NUMBERS, GROUP, NULL, per_sequence, NULL);
        for (i = 0; i < SEQUENCES; i++)
            for (k = offsets[i]; k < offsets[i + 1]; k++) advantages[k] = per_sequence[i];
        learn(&o, ++update);                                  /* mu = 2: two updates a batch     */
        learn(&o, ++update);
        if (step == 1 || step % 20 == 0) print_step(step);
    }
    puts("Notice: what chance hits often is learnt first; which right answer, is its own choice.");
    return 0;
}
