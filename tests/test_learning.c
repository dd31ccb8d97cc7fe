/* Learning itself: from random weights to a score in a bounded number of steps, for every seed. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"

static float is_four(const grpo_sample *s, void *user)
{
    (void)user;
    return strcmp(s->completion, "4") == 0;
}

/* The README's task. Returns the steps it took to a mean reward of .95, or -1. */
static int solve_four(const char *preset, uint64_t seed, int limit)
{
    grpo_config c = grpo_defaults();
    grpo_prompt question = grpo_question("2+2=", NULL);
    grpo_metrics m;
    grpo *g;
    int found, step;
    c.vocabulary = "0123456789+=";
    c.max_completion_length = 4;
    c.num_prompts = 1;
    c.num_generations = 64;
    c.seed = seed;
    c.objective = grpo_objective_preset(preset, &found);
    CHECK(found, "no preset %s", preset);
    c.model.value_head = c.objective.advantage == GRPO_ADVANTAGE_GAE;     /* PPO, shared weights */
    grpo_add_reward(&c, "is_four", is_four, 1.0f, NULL);
    g = grpo_new(&c);
    if (!g) { printf("%s\n", c.error); return -1; }
    for (step = 1; step <= limit; step++) {
        if (grpo_step(g, &question, 1, &m)) { printf("%s\n", grpo_error(g)); break; }
        if (m.reward >= 0.95) break;
    }
    grpo_free(g);
    return m.reward >= 0.95 ? step : -1;
}

static void test_four(void)
{
    const char *preset;
    int p;
    uint64_t seed;
    for (p = 0; grpo_objective_name(p, &preset, NULL); p++) {
        if (!strcmp(preset, "pass_k")) continue;    /* content with one right answer a group    */
        printf("%-21s steps to 0.95, seeds 1 to 5:", preset);
        for (seed = 1; seed <= 5; seed++) {
            double start = grpo__seconds();
            int steps = solve_four(preset, seed, 300);
            CHECK(steps > 0, "%s, seed %d: not learnt in 300 steps", preset, (int)seed);
            printf("  %d (%.2f s)", steps, grpo__seconds() - start);
        }
        printf("\n");
    }
}

/* A reward that never comes teaches nothing: not one weight moves. */
static float never(const grpo_sample *s, void *user) { (void)s; (void)user; return 0; }

static void test_never(void)
{
    grpo_config c = grpo_defaults();
    grpo_prompt question = grpo_question("2+2=", NULL);
    grpo *g;
    float *before, *after;
    int i;
    c.vocabulary = "0123456789+=";
    c.objective = grpo_objective_preset("trl", NULL);   /* beta 0 */
    c.num_prompts = 1;
    grpo_add_reward(&c, "never", never, 1.0f, NULL);
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) return;
    before = (float *)malloc(g->num_parameters * sizeof(float));
    after = (float *)malloc(g->num_parameters * sizeof(float));
    memcpy(before, g->machinery->weights, g->num_parameters * sizeof(float));
    for (i = 0; i < 5; i++) CHECK(!grpo_step(g, &question, 1, NULL), "%s", grpo_error(g));
    memcpy(after, g->machinery->weights, g->num_parameters * sizeof(float));
    CHECK(!memcmp(before, after, g->num_parameters * sizeof(float)),
          "weights moved without a reward");
    free(before);
    free(after);
    grpo_free(g);
}

/* End-of-text is a token like any other: reward short answers, and completions learn to stop. */
static float short_reward(const grpo_sample *s, void *user)
{
    (void)user;
    return -(float)s->num_tokens;
}

static void test_end_of_text(void)
{
    grpo_config c = grpo_defaults();
    grpo_prompt question = grpo_question("12", NULL);
    grpo_metrics first, last;
    grpo *g;
    int i;
    c.vocabulary = "0123456789";
    c.num_prompts = 1;
    c.num_generations = 16;
    c.max_completion_length = 20;
    grpo_add_reward(&c, "short", short_reward, 1.0f, NULL);
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) return;
    CHECK(!grpo_step(g, &question, 1, &first), "%s", grpo_error(g));
    for (i = 0; i < 60; i++) CHECK(!grpo_step(g, &question, 1, &last), "%s", grpo_error(g));
    CHECK(first.completions_mean_length > 5 && last.completions_mean_length < 2,
          "mean length %.2f -> %.2f", first.completions_mean_length, last.completions_mean_length);
    grpo_free(g);
}

/* Supervised steps drive the likelihood up, and greedy decoding then says what was taught. */
static void test_sft(void)
{
    grpo_config c = grpo_defaults();
    grpo_prompt p[3];
    grpo_evaluation e;
    double first = 0, last = 0;
    grpo *g;
    int i;
    c.vocabulary = "abcdefgh ";
    c.num_prompts = 3;
    p[0] = grpo_question("ab", "cd");
    p[1] = grpo_question("cd", "ef");
    p[2] = grpo_question("h", "a bad cab");
    grpo_add_reward(&c, "exact", grpo_reward_exact_match, 1.0f, NULL);
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) return;
    CHECK(!grpo_sft(g, p, 3, 0.01f, &first), "%s", grpo_error(g));
    for (i = 0; i < 60; i++) CHECK(!grpo_sft(g, p, 3, 0.01f, &last), "%s", grpo_error(g));
    CHECK(!grpo_evaluate(g, p, 3, 8, 4, &e), "%s", grpo_error(g));
    CHECK(first > 1.5 && last < 0.05, "loss %g -> %g", first, last);
    CHECK(e.accuracy == 1 && e.pass_at_1 > 0.9f && e.pass_at_k >= e.pass_at_1,
          "accuracy %g, pass@1 %g", (double)e.accuracy, (double)e.pass_at_1);
    grpo_free(g);
}

int main(void)
{
    test_four();
    test_never();
    test_end_of_text();
    test_sft();
    return check_finish();
}
