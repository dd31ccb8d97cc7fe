/* 05 patience: reward 0, 0, 0, ... and then 1.
 *
 *     cc -O2 -I.. 05_patience.c -o patience -lm && ./patience
 *
 * A group in which all rewards are equal teaches nothing, so a random policy waits until chance
 * gives it a first success. How long? If one attempt succeeds with probability p, about 1/p
 * attempts. This program asks for longer and longer answers, spelt with 4 digits and end-of-text:
 * n tokens come right by chance once in 5^n attempts. And for two that cannot come at all.
 *
 * What to see: each character more makes the wait five times longer. The climb, from the first hit
 * to an always right answer, is short while every group of 64 has hits in it, and longer when the
 * second hit has to be waited for, too. With p = 0 nothing ever happens. With credit for each right
 * character an answer for which chance alone would need 30000 steps is learnt in some 240.
 */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "backend.h"
#include "show.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP = 64, SEEDS = 8, PATIENCE = 150, MOST = 5000 };

typedef struct task {
    const char *answer, *remark;
    int possible, greedy, partial;
} task;

typedef struct run {
    int first_hit;                  /* the number of the first right completion; 0: none came    */
    int wait, climb;                /* steps up to the first hit; from there to 64 right of 64   */
} run;

static float exact(const grpo_sample *s, void *user) {
    (void)user;
    return strcmp(s->completion, s->answer) == 0;
}

/* The share of the answer's characters up to the first wrong one. */
static float partly(const grpo_sample *s, void *user) {
    int n = (int)strlen(s->answer), right = 0;
    (void)user;
    while (right < n && s->completion[right] == s->answer[right]) right++;
    return (float)right / (float)n;
}

static const grpo_backend *backend;  /* of --backend */

static grpo *new_policy(const task *t, int seed) {
    grpo_config config = grpo_defaults();
    grpo *g;
    config.model.hidden_size = 16;
    config.model.intermediate_size = 32;
    config.model.num_hidden_layers = 1;
    config.vocabulary = "0123";
    config.num_prompts = 1;
    config.num_generations = GROUP;
    config.max_prompt_length = 1;
    config.max_completion_length = (int)strlen(t->answer);
    config.objective.beta = 0;
    config.learning_rate = 3e-3f;
    config.seed = (uint64_t)seed;
    config.threads = 1;
    config.backend = backend;
    if (t->greedy) config.sampling.temperature = 1e-3f;       /* 0 is refused: it never explores */
    grpo_add_reward(&config, "answer", t->partial ? partly : exact, 1.0f, NULL);
    if ((g = grpo_new(&config)) != NULL) return g;
    fprintf(stderr, "%s\n", config.error);
    exit(1);
}

/* Train until every completion of a group is right. */
static run train(const task *t, int seed) {
    grpo *g = new_policy(t, seed);
    grpo_prompt prompt = grpo_question("0", t->answer);
    run r = { 0, 0, 0 };
    grpo_metrics m;
    int i;
    do {
        if (grpo_step(g, &prompt, 1, &m)) fprintf(stderr, "%s\n", grpo_error(g)), exit(1);
        for (i = 0; i < GROUP && !r.first_hit; i++)
            if (g->batch.rewards[i] >= 1) r.first_hit = (m.step - 1) * GROUP + i + 1;
        if (r.first_hit) r.climb++;
        else r.wait++;
    } while (m.reward < 1 && m.step < (t->possible ? MOST : PATIENCE));
    grpo_free(g);
    return r;
}

/* One line of the table: means over all seeds. */
static void try_task(const task *t) {
    double first = 0, wait = 0, climb = 0, chance = pow(5, (double)strlen(t->answer));
    int seed, hits = 0;
    for (seed = 1; seed <= SEEDS; seed++) {
        run r = train(t, seed);
        hits += r.first_hit > 0;
        first += r.first_hit;
        wait += r.wait;
        climb += r.climb;
    }
    if (t->possible) printf("%-10s 1/%-7.0f %9.0f ", t->answer, chance, chance);
    else printf("%-10s 0                 - ", t->answer);
    if (hits) printf("%8.0f %6.0f %6.0f", first / hits, wait / hits, climb / hits);
    else printf("   never      -      -");
    printf("   %s\n", t->remark);
    fflush(stdout);
}

static const char intro[] =
    "How long until the first success? Longer and longer answers, each hit by chance with the\n"
    "probability p, and two that never are: samples and steps to it, and from it to all right.";

int main(int argc, char **argv) {
    static const task tasks[] = {   /* possible, greedy, partial                                 */
        { "21",        "five tokens, two places", 1, 0, 0 },
        { "213",       "three places",            1, 0, 0 },
        { "2130",      "four",                    1, 0, 0 },
        { "21302",     "five",                    1, 0, 0 },
        { "x",         "not in the alphabet",     0, 0, 0 },
        { "21302",     "temperature 1/1000",      0, 1, 0 },
        { "213021302", "credit for each",         1, 0, 1 }
    };
    size_t i;
    if (show_lesson(argc, argv, intro, SHOW_BACKEND)) return 0;
    backend = backend_argument(&argc, argv);
    if (argc > 1) return show_misuse(argv[1], SHOW_BACKEND);
    printf("\n                          samples to      steps to\n"
           "answer     p               1/p  1st hit   wait  climb   (means of %d runs)\n", SEEDS);
    for (i = 0; i < sizeof tasks / sizeof *tasks; i++) try_task(&tasks[i]);
    puts("Notice: the wait is some 1/p samples. Too long? Warm up, ask easier, credit parts.");
    return 0;
}
