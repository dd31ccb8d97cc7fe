/* fours.h: a small policy over digits that is paid for fours, and steps of it. After grpo.h and
 * check.h. */
#ifndef FOURS_H
#define FOURS_H

enum { PROMPTS = 4, GROUP = 6, LENGTH = 5, TOKENS = PROMPTS * GROUP * LENGTH };

static inline float fours(const grpo_sample *s, void *user) {
    float n = 0;
    const char *c;
    (void)user;
    for (c = s->completion; *c; c++) n += *c == '4';
    return n / (float)LENGTH;
}

static inline grpo_config config_of(const char *settings) {
    grpo_config c = grpo_defaults();
    char error[GRPO_ERROR_LENGTH] = "";
    c.vocabulary = "0123456789";
    c.model.hidden_size = 24; c.model.intermediate_size = 40; c.model.num_key_value_heads = 2;
    c.num_prompts = PROMPTS; c.num_generations = GROUP;
    c.max_prompt_length = 4; c.max_completion_length = LENGTH;
    c.learning_rate = 3e-3f;
    CHECK(!grpo_objective_set(&c.objective, settings, error), "%s", error);
    return c;
}

static inline void make_prompts(grpo_prompt *prompts) {
    static const char *const texts[PROMPTS] = { "12", "345", "6", "7890" };
    int i;
    for (i = 0; i < PROMPTS; i++) prompts[i] = grpo_question(texts[i], "4");
}

static inline grpo *policy_of(grpo_config *c) {
    grpo *g;
    if (!c->num_rewards) grpo_add_reward(c, "fours", fours, 1, NULL);
    g = grpo_new(c);
    CHECK(g != NULL, "%s", c->error);
    return g;
}

static inline double reward_after(grpo *g, int steps, grpo_metrics *m) {
    grpo_prompt prompts[PROMPTS];
    int i, code = 0;
    make_prompts(prompts);
    for (i = 0; i < steps && !code; i++) code = grpo_step(g, prompts, PROMPTS, m);
    CHECK(!code, "step %d: %s", i, grpo_error(g));
    return m->reward;
}

#endif
