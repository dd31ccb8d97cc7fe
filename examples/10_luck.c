/* 10 luck: the wait for the first 4, and what shortens it.
 *
 *     cc -O2 -I.. 10_luck.c -o luck -lm && ./luck
 *
 * "2+2=" is answered with one of 24 words; "4" comes once in 200. Until it does the rewards are 0,
 * 0, 0, ... The policy is a bare softmax over the words, theta their logits, taught by the pure
 * maths of grpo.h, 8 words a step. The same random numbers, so the same luck, five times:
 *
 *     waiting      nothing is learnt.
 *     GRPO         r = 1 if right, else 0. The rewards of a group without a 4 are equal, every A is
 *                  0 and theta does not move by a bit: no signal before the first hit, which comes
 *                  at the very word at which waiting finds it.
 *     REINFORCE    r = 1 if right, else -1, without a baseline: every wrong word that is drawn is
 *                  pushed down, and the others, each by its share, up.
 *     ... by SGD   the same gradient, but theta moves by it, not by AdamW. On average all pushes
 *                  but those for 4 cancel, and nothing is won (at higher rates much is lost: a
 *                  wrong word that luck spares runs away). AdamW divides a gradient by its own
 *                  size: a rare word's small but steady push up is a full step.
 *     rubric       GRPO, r = 1 if right, and half a point more for any number: a signal at once, as
 *                  long as a group has a "cat" in it. Once all 8 are numbers all are equal again.
 *
 * What is shown of 50 runs: how many words until the first 4, how the mass of the others falls,
 * and what a run ends on. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "seeds.h"
#include "show.h"
#include <math.h>

enum { WORDS = 24, FOUR = WORDS - 1, GROUP = 8, STEPS = 500, RUNS = 50, WAYS = 5, TIMES = 6 };

static const char *const words[WORDS] = {
    "0", "cat", "-10", "128", "3", "A", "B", "122", "17", "C", "dog", "7", "12", "?", "5", "99",
    "the", "-1", "x", "8", "1000", "D", "2", "4" };

static const float rate = 0.2f, sgd_rate = 0.5f;

typedef struct way {
    const char *name, *objective;   /* NULL: nothing is learnt                                   */
    float wrong, number;            /* reward of a wrong word; on top, of a number               */
    int sgd;
} way;

static const way ways[WAYS] = {
    { "waiting",    NULL,                  0,  0,    0 },
    { "GRPO",       "deepseekmath beta=0", 0,  0,    0 },
    { "REINFORCE",  "reinforce",           -1, 0,    0 },
    { "... by SGD", "reinforce",           -1, 0,    1 },
    { "rubric",     "deepseekmath beta=0", 0,  0.5f, 0 } };

static const int shown[TIMES] = { 0, 10, 25, 50, 100, 500 };   /* steps of the table             */

typedef struct run {
    int drawn[STEPS * GROUP], first;        /* words; the number of the first 4, or 0            */
    double bad[STEPS + 1];                  /* mass of all words but 4, after so many steps      */
    int last;                               /* the most probable word in the end                 */
} run;

static int is_number(int word) {
    double value;
    return grpo_last_number(words[word], &value);
}

/* theta moves once, by the words drawn and what they earned. */
static void learn(const way *w, float *theta, float *m, float *v, const int *drawn, int step) {
    grpo_objective o = grpo_objective_preset(NULL, NULL);
    float r[GROUP], A[GROUP], logp[GROUP], dlogp[GROUP], gradient[WORDS];
    int offsets[GROUP + 1], i;
    grpo_sequences all;
    grpo_objective_set(&o, w->objective, NULL);
    for (i = 0; i < GROUP; i++) {
        r[i] = (drawn[i] == FOUR ? 1 : w->wrong) + (is_number(drawn[i]) ? w->number : 0);
        logp[i] = grpo_logprob(theta, WORDS, 1, NULL, drawn[i], NULL);
    }
    for (i = 0; i <= GROUP; i++) offsets[i] = i;            /* completions of one token          */
    grpo_advantages(&o, r, 1, GROUP, NULL, A, NULL);
    memset(&all, 0, sizeof all);
    all.num_sequences = GROUP;
    all.offsets = offsets;
    all.logprobs = all.old_logprobs = logp;
    all.advantages = A;
    grpo_loss(&o, &all, dlogp, NULL, NULL);
    memcpy(gradient, theta, sizeof gradient);               /* logits become their gradient      */
    grpo_logprob_backward(gradient, WORDS, 1, NULL, GROUP, drawn, dlogp, 0);
    if (w->sgd) for (i = 0; i < WORDS; i++) theta[i] -= sgd_rate * gradient[i];
    else grpo_adamw(theta, gradient, m, v, WORDS, rate, 0.9f, 0.999f, 1e-8f, 0, 1, step);
}

static void train(const way *w, int seed, run *r) {
    float theta[WORDS] = { 0 }, m[WORDS] = { 0 }, v[WORDS] = { 0 };
    int step, i, n = 0;
    memset(r, 0, sizeof *r);
    theta[FOUR] = logf((WORDS - 1) / 199.0f);               /* pi(4) = 1/200, the others alike   */
    for (step = 0; step <= STEPS; step++) {
        r->bad[step] = 1 - exp((double)grpo_logprob(theta, WORDS, 1, NULL, FOUR, NULL));
        if (step == STEPS) break;
        for (i = 0; i < GROUP; i++, n++) {
            float u = grpo_uniform((uint64_t)seed, (uint64_t)step, 0, (uint64_t)i, 0);
            r->drawn[n] = grpo_sample_token(theta, WORDS, 1, NULL, u);
            if (r->drawn[n] == FOUR && !r->first) r->first = n + 1;
        }
        if (w->objective) learn(w, theta, m, v, &r->drawn[n - GROUP], step + 1);
    }
    for (i = 0; i < WORDS; i++) if (theta[i] > theta[r->last]) r->last = i;
}

/* The words over their rewards, up to the first 4; of a long wait the middle is left out. */
static void print_stream(const run *r) {
    enum { ROW = 16 };
    int row, i, rows = (r->first + ROW - 1) / ROW;
    for (row = 0; row < rows; row++) {
        int end = row + 1 < rows ? (row + 1) * ROW : r->first;
        if (row == 2 && rows > 4) printf("    ... %d rows more of 0 ...\n", rows - 3);
        if (row >= 2 && row + 1 < rows && rows > 4) continue;
        for (i = row * ROW; i < end; i++) printf("%5s", words[r->drawn[i]]);
        printf("\n");
        for (i = row * ROW; i < end; i++) printf("%5d", r->drawn[i] == FOUR);
        printf("\n");
    }
}

static run runs[WAYS][RUNS];

static void print_first(void) {
    static double first[WAYS][RUNS];
    int w, s;
    printf("\n| | words until the first 4 | less waiting | never came | ends on 4 "
           "| on a wrong number |\n|---|---|---|---|---|---|\n");
    for (w = 0; w < WAYS; w++) {
        int never = 0, four = 0, number = 0, differs;
        double mean, half;
        for (s = 0; s < RUNS; s++) {
            const run *r = &runs[w][s];
            first[w][s] = r->first ? r->first : STEPS * GROUP;
            never += !r->first;
            four += r->last == FOUR;
            number += r->last != FOUR && is_number(r->last);
        }
        printf("| %s | %s%.0f +- %.0f ", ways[w].name, never ? "over " : "",
               seeds_mean(first[w], RUNS), seeds_interval(first[w], RUNS));
        differs = seeds_difference(first[w], first[0], RUNS, &mean, &half);
        if (w) printf("| %+.0f +- %.0f %s| %d ", mean, half, differs ? "* " : "", never);
        else printf("| | %d ", never);
        if (ways[w].objective) printf("| %d | %d |\n", four, number);
        else printf("| | |\n");
    }
}

static void print_mass(void) {
    double bad[RUNS];
    int w, s, k;
    printf("\n| mass of the other words after ");
    for (k = 0; k < TIMES; k++) printf("| %d words ", shown[k] * GROUP);
    printf("|\n|---|---|---|---|---|---|---|");
    for (w = 0; w < WAYS; w++) {
        printf("\n| %s ", ways[w].name);
        for (k = 0; k < TIMES; k++) {
            for (s = 0; s < RUNS; s++) bad[s] = runs[w][s].bad[shown[k]];
            seeds_print(bad, RUNS);
        }
        printf("|");
    }
    printf("\n");
}

static const char intro[] =
    "\"2+2=\" is answered with one of 24 words, \"4\" once in 200: how long until it comes, and\n"
    "what shortens the wait? Five ways to learn, 50 runs each, with the same luck.";

int main(int argc, char **argv) {
    static const char options[] = "  none: it takes some seconds\n";
    int w, s, stuck = 0;
    if (show_lesson(argc, argv, intro, options)) return 0;
    if (argc > 1) return show_misuse(argv[1], options);
    for (w = 0; w < WAYS; w++)
        for (s = 0; s < RUNS; s++) train(&ways[w], s + 1, &runs[w][s]);
    printf("\nWaiting, the first run: words, and under each its reward, until the first 4\n");
    print_stream(&runs[0][0]);
    print_first();
    print_mass();
    for (s = 0; s < RUNS; s++) stuck += runs[WAYS - 1][s].last != FOUR;
    printf("\n%d runs of %d words, %d a step; +- is half of a 95 %% interval, * differs from 0.\n",
           RUNS, STEPS * GROUP, GROUP);
    printf("Notice: no signal, no shorter wait; but points for any number end on a wrong one in %d "
           "of %d runs.\n", stuck, RUNS);
    return 0;
}
