/* 05 patience: reward 0, 0, 0, ... and then 1.
 *
 *     cc -O2 -I.. 05_patience.c -o patience -lm && ./patience
 *
 * A group in which all rewards are equal teaches nothing, so a random policy waits until chance
 * gives it a first success. How long? If one attempt succeeds with probability p, about 1/p
 * attempts. This program asks for longer and longer answers, spelt with 4 digits and end-of-text:
 * n characters and the end come right by chance once in 5^(n + 1) attempts. Two cannot come at all.
 *
 * What to see: each character more makes the wait five times longer. The climb from the first hit
 * to an always right answer is short while some hits come in nearly every group of 64, and longer
 * when the second hit, too, has to be waited for. With p = 0 nothing ever happens. And with credit
 * for each right character there is nothing to wait for.
 */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP = 64, SEEDS = 12, PATIENCE = 100 };

typedef struct task {
    const char *answer, *remark;
    int possible, greedy, partial;
} task;

typedef struct run {
    int first_hit;                  /* the number of the first right completion; 0: none came    */
    int wait, climb;                /* steps up to the first hit; from there to 64 right of 64   */
} run;

static float exact(const grpo_sample *s, void *user)
{
    (void)user;
    return strcmp(s->completion, s->answer) == 0 && !s->truncated;
}

/* The share of the answer's tokens, its end included, up to the first wrong one. */
static float partly(const grpo_sample *s, void *user)
{
    int n = (int)strlen(s->answer), right = 0;
    (void)user;
    while (right < n && s->completion[right] == s->answer[right]) right++;
    if (exact(s, NULL) > 0) right++;
    return (float)right / (float)(n + 1);
}

static grpo *new_policy(const task *t, int seed)
{
    grpo_config config = grpo_defaults();
    grpo *g;
    config.model.hidden_size = 16;
    config.model.intermediate_size = 32;
    config.model.num_hidden_layers = 1;
    config.vocabulary = "0123";
    config.num_prompts = 1;
    config.num_generations = GROUP;
    config.max_prompt_length = 1;
    config.max_completion_length = (int)strlen(t->answer) + 1;
    config.objective.beta = 0;
    config.objective.equal_rewards = GRPO_EQUAL_SKIP;         /* no difference, no update        */
    config.learning_rate = 0.01f;
    config.seed = (uint64_t)seed;
    config.threads = 1;
    if (t->greedy) config.sampling.temperature = 0;
    grpo_add_reward(&config, "answer", t->partial ? partly : exact, 1.0f, NULL);
    if ((g = grpo_new(&config)) != NULL) return g;
    fprintf(stderr, "%s\n", config.error);
    exit(1);
}

/* Train until every completion of a group is right, or nothing came in PATIENCE steps. */
static run train(const task *t, int seed)
{
    grpo *g = new_policy(t, seed);
    grpo_prompt prompt = grpo_question("0", t->answer);
    run r = { 0, 0, 0 };
    double reward = 0;
    int i;
    while (reward < 1 && (t->possible || r.wait < PATIENCE)) {
        grpo_metrics m;
        if (grpo_step(g, &prompt, 1, &m)) fprintf(stderr, "%s\n", grpo_error(g)), exit(1);
        reward = m.reward;
        for (i = 0; i < GROUP && !r.first_hit; i++)
            if (g->batch.rewards[i] >= 1) r.first_hit = (m.step - 1) * GROUP + i + 1;
        if (r.climb || r.first_hit) r.climb++;
        else r.wait++;
    }
    grpo_free(g);
    return r;
}

/* One line of the table: the mean over all seeds. */
static void try_task(const task *t)
{
    double expected = pow(5, (double)strlen(t->answer) + 1), first = 0, wait = 0, climb = 0;
    char p[32] = "0", by_chance[32] = "-";
    int seed, hits = 0;
    for (seed = 1; seed <= SEEDS; seed++) {
        run r = train(t, seed);
        hits += r.first_hit > 0;
        first += (double)r.first_hit / SEEDS;
        wait += (double)r.wait / SEEDS;
        climb += (double)r.climb / SEEDS;
    }
    if (t->possible) {
        snprintf(p, sizeof p, "1/%.0f", expected);
        snprintf(by_chance, sizeof by_chance, "%.0f", expected);
    }
    printf("%-7s %-7s %6s ", t->answer, p, by_chance);
    if (hits) printf("%8.0f %6.0f %6.0f  %s\n", first, wait, climb, t->remark);
    else printf("%8s %6s %6s  %s, in %d samples\n", "never", "-", "-", t->remark,
                SEEDS * PATIENCE * GROUP);
}

int main(void)
{
    static const task tasks[] = {   /* possible, greedy, partial                                 */
        { "2",    "", 1, 0, 0 },
        { "21",   "", 1, 0, 0 },
        { "213",  "", 1, 0, 0 },
        { "2130", "", 1, 0, 0 },
        { "x",    "a character that it does not have", 0, 0, 0 },
        { "2130", "temperature 0: always the same",    0, 1, 0 },
        { "2130", "credit for each character",         1, 0, 1 }
    };
    size_t i;
    printf("                   samples to       steps to\n"
           "answer  p          1/p  1st hit   wait  climb\n");
    for (i = 0; i < sizeof tasks / sizeof *tasks; i++) try_task(&tasks[i]);
    printf("Without a difference in the group there is no gradient: chance has to find the first\n"
           "success, in about 1/p samples, and GRPO makes it common. It cannot make p from 0. If p is\n"
           "too small: ask easier questions first, warm up on answers, or give credit for parts.\n");
    return 0;
}
