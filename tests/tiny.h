/* tiny.h: the smallest config that trains, and a reward for it, for what is tried a thousand times.
 * After grpo.h. */
#ifndef TINY_H
#define TINY_H

static inline float length_reward(const grpo_sample *s, void *user) {
    (void)user;
    return (float)s->num_tokens;
}

static inline grpo_config tiny(void) {
    grpo_config c = grpo_defaults();
    c.vocabulary = "abc";
    c.model.hidden_size = 8; c.model.intermediate_size = 8; c.model.num_attention_heads = 2;
    c.num_prompts = 2; c.num_generations = 3;
    c.max_prompt_length = 3; c.max_completion_length = 4;
    c.threads = 1;
    grpo_add_reward(&c, "length", length_reward, 1.0f, NULL);
    return c;
}

#endif
