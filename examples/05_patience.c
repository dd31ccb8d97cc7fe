/* 05 patience: reward 0, 0, 0, ... and then 1.
 *
 *     cc -O2 -I.. 05_patience.c -o patience -lm && ./patience
 *
 * A group in which every reward is the same teaches nothing, so a random policy waits until chance
 * gives it a first success. How long? If one attempt succeeds with probability p, about 1/p
 * attempts. This program asks for longer and longer answers, and for two that cannot come.
 *
 * What to see: each character more makes the wait 11 times longer (10 digits and end-of-text), and
 * hardly changes what comes after it: from the first hit to an always right answer is a matter of
 * some dozen steps. With p = 0 nothing ever happens. With credit for each right character the first
 * success is never far away, and the longest answer is learnt as fast as the shortest.
 */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP = 64, SEEDS = 8, TOKENS = 11, PATIENCE = 1000 };

typedef struct task { const char *answer, *remark; double p; int greedy, partial; } task;
typedef struct run { double first_hit; int steps_after; } run;    /* first_hit: 0 if there was none */

static float exact(const grpo_sample *s, void *user)
{
    (void)user;
    return strcmp(s->completion, s->answer) == 0 && !s->truncated;
}

/* The share of the answer's characters, and of its end, that are in their places. */
static float partly(const grpo_sample *s, void *user)
{
    int i, n = (int)strlen(s->answer), right = 0;
    (void)user;
    for (i = 0; i < n && s->completion[i] == s->answer[i]; i++) right++;
    right += i == n && !s->completion[i] && !s->truncated;
    return (float)right / (float)(n + 1);
}

static grpo *policy_for(const task *t, int seed)
{
    grpo_config config = grpo_defaults();
    grpo *g;
    config.model.hidden_size = 16;
    config.model.intermediate_size = 32;
    config.model.num_hidden_layers = 1;
    config.vocabulary = "0123456789";
    config.num_prompts = 1;
    config.num_generations = GROUP;
    config.max_prompt_length = 1;
    config.max_completion_length = (int)strlen(t->answer) + 1;
    config.objective.beta = 0;
    config.objective.equal_rewards = GRPO_EQUAL_SKIP;         /* nothing to learn: save the time */
    config.learning_rate = 3e-3f;
    config.seed = (uint64_t)seed;
    config.threads = 1;
    if (t->greedy) config.sampling.temperature = 0;
    grpo_add_reward(&config, "answer", t->partial ? partly : exact, 1.0f, NULL);
    if ((g = grpo_new(&config)) == NULL) fprintf(stderr, "%s\n", config.error);
    return g;
}

/* Train until every completion of the group is right. */
static run train(const task *t, int seed)
{
    grpo *g = policy_for(t, seed);
    grpo_prompt prompt = grpo_question("0", t->answer);
    double most = t->p > 0 ? 1e9 : PATIENCE;
    run r = { 0, 0 };
    grpo_metrics m;
    int i;
    do {
        if (!g || grpo_step(g, &prompt, 1, &m)) exit(1);
        for (i = 0; i < GROUP && r.first_hit <= 0; i++)
            if (g->batch.rewards[i] >= 1) r.first_hit = (m.step - 1.0) * GROUP + i + 1;
        r.steps_after += r.first_hit > 0;
    } while (m.reward < 1 && m.step < most);
    grpo_free(g);
    return r;
}

int main(void)
{
    static const task tasks[] = {
        { "4",    "",                             1 / 121.0,    0, 0 },
        { "42",   "",                             1 / 1331.0,   0, 0 },
        { "420",  "",                             1 / 14641.0,  0, 0 },
        { "4207", "",                             1 / 161051.0, 0, 0 },
        { "x",    "not in its alphabet",          0,            0, 0 },
        { "42",   "temperature 0: never varies",  0,            1, 0 },
        { "4207", "credit for each character",    1 / 161051.0, 0, 1 }
    };
    size_t i;
    int seed, j;
    for (i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        printf("%-6s", tasks[i].answer);
        for (seed = 1; seed <= SEEDS; seed++) {
            run r = train(&tasks[i], seed);
            printf(" %.0f+%d", r.first_hit, r.steps_after);
        }
        printf("\n"); (void)j;
    }
    return 0;
}
