/* Learning itself: from random weights to a score in a bounded number of steps, for every seed. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"

#include <time.h>

static float is_four(const grpo_sample *s, void *user) {
    (void)user;
    return strcmp(s->completion, "4") == 0;
}

/* The README's task. Returns the steps it took to a mean reward of .95, or -1. */
static int solve_four(const char *preset, uint64_t seed, int limit) {
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
    c.threads = 1;
    c.objective = grpo_objective_preset(preset, &found);
    CHECK(found, "no preset %s", preset);
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

static void test_four(void) {
    const char *preset;
    int p;
    uint64_t seed;
    for (p = 0; grpo_objective_name(p, &preset, NULL); p++) {
        if (!strcmp(preset, "pass_k")) continue;    /* content with one right answer a group    */
        printf("%-21s steps to 0.95, seeds 1 to 5:", preset);
        for (seed = 1; seed <= 5; seed++) {
            clock_t start = clock();
            int steps = solve_four(preset, seed, 300);
            CHECK(steps > 0, "%s, seed %d: not learnt in 300 steps", preset, (int)seed);
            printf("  %d (%.2f s)", steps, (double)(clock() - start) / CLOCKS_PER_SEC);
        }
        printf("\n");
    }
}

/* End-of-text is a token like any other: reward short answers, and completions learn to stop. */
static float short_reward(const grpo_sample *s, void *user) {
    (void)user;
    return -(float)s->num_tokens;
}

static void test_end_of_text(void) {
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
static void test_sft(void) {
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

/* Lesson 03, small: sums of two numbers below 100, units first; a warm-up from random weights until
 * one in ten is right, then GRPO by presets that have a reference. Were that the random policy of
 * before the warm-up, KL would take back what was taught: both end at 0. */
enum { SUMS = 400, PROMPTS = 64, WARM_UP = 256 };

static void learn_sums(const char *preset) {
    char texts[SUMS][8], answers[SUMS][4];
    grpo_prompt sums[SUMS], some[WARM_UP];
    grpo_config c = grpo_defaults();
    grpo_evaluation before, after;
    grpo *g;
    int i, step, a, b, sum, n;
    for (i = 0; i < SUMS; i++) {
        a = i * 7919 % 10000 / 100; b = i * 7919 % 100;
        snprintf(texts[i], sizeof texts[i], "%02d+%02d=", a, b);
        for (sum = a + b, n = 0; !n || sum; sum /= 10) answers[i][n++] = (char)('0' + sum % 10);
        answers[i][n] = 0;
        sums[i] = grpo_question(texts[i], answers[i]);
    }
    c.vocabulary = "0123456789+=";
    c.max_prompt_length = 6; c.max_completion_length = 4;
    c.num_prompts = PROMPTS; c.num_generations = 8;
    c.objective = grpo_objective_preset(preset, NULL);
    c.model.hidden_size = 48; c.model.intermediate_size = 144; c.model.initializer_range = 0.1f;
    c.learning_rate = 1.5e-3f;
    c.threads = 1;
    grpo_add_reward(&c, "exact", grpo_reward_exact_match, 1.0f, NULL);
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) return;
    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    for (step = 0; step < 200 && before.accuracy < 0.1f; step++) {
        for (i = 0; i < WARM_UP; i++) some[i] = sums[(step * WARM_UP + i) % SUMS];
        CHECK(!grpo_sft(g, some, WARM_UP, 3e-3f, NULL), "%s", grpo_error(g));
        if (step % 5 == 4) CHECK(!grpo_evaluate(g, sums, SUMS, 0, 0, &before), "%s", grpo_error(g));
    }
    for (step = 0; step < 60; step++) {
        for (i = 0; i < PROMPTS; i++) some[i] = sums[(step * PROMPTS + i) % SUMS];
        CHECK(!grpo_step(g, some, PROMPTS, NULL), "%s", grpo_error(g));
    }
    CHECK(!grpo_evaluate(g, sums, SUMS, 0, 0, &after), "%s", grpo_error(g));
    printf("%s: accuracy %.3f after the warm-up, %.3f after GRPO\n", preset,
           (double)before.accuracy, (double)after.accuracy);
    CHECK(before.accuracy >= 0.1f && after.accuracy > 1.3f * before.accuracy, "%s: %g, then %g",
          preset, (double)before.accuracy, (double)after.accuracy);
    grpo_free(g);
}

int main(void) {
    test_four();
    learn_sums("deepseekmath");                 /* KL in the loss   */
    learn_sums("rloo");                         /* KL in the reward */
    test_end_of_text();
    test_sft();
    return check_finish();
}
