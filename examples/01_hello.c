/* 01 hello: "What is 2+2?" From noise to 4.
 *
 * A small transformer with random weights is asked the same question again and again. Nobody tells
 * it the answer: a function looks at each of its attempts and says 1 or 0. Attempts better than the
 * group's mean are made more likely, the others less.
 *
 *     cc -O2 -I.. 01_hello.c -o hello -lm && ./hello
 */
#define GRPO_IMPLEMENTATION
#include "grpo.h"

static float says_four(const grpo_sample *s, void *user)
{
    (void)user;
    return strcmp(s->completion, "4") == 0;
}

/* One group: what was sampled, what it earned, and how that compares with the rest. */
static void print_group(const grpo_batch *b)
{
    int i;
    printf("    completion   reward   advantage\n");
    for (i = 0; i < b->group_size; i++)
        printf("    %-12s %6g   %+9.3f\n", b->samples[i].truncated ? "(no end)"
               : b->samples[i].completion[0] ? b->samples[i].completion : "(nothing)",
               (double)b->rewards[i], (double)b->advantages[b->offsets[i]]);
}

int main(void)
{
    grpo_prompt question = grpo_question("What is 2+2?", "4");
    grpo_config config = grpo_defaults();
    grpo_metrics m;
    grpo *g;
    int step;
    config.vocabulary = "0123456789 +?Whatis";
    config.num_prompts = 1;
    config.num_generations = 16;                      /* G, the size of the group */
    config.max_prompt_length = 16;
    config.max_completion_length = 3;
    config.model.max_position_embeddings = 32;
    grpo_add_reward(&config, "four", says_four, 1.0f, NULL);
    g = grpo_new(&config);
    if (!g) return fprintf(stderr, "%s\n", config.error), 1;

    for (step = 1; step <= 100; step++) {
        if (grpo_step(g, &question, 1, &m)) return fprintf(stderr, "%s\n", grpo_error(g)), 1;
        if (step % 10 == 1 || m.reward == 1)
            printf("step %3d   reward %.2f   loss %+.4f   kl %.4f   entropy %.2f\n", step, m.reward,
                   m.loss, m.kl, m.entropy);
        if (step % 20 == 1) print_group(&g->batch);
        if (m.reward == 1) break;
    }
    grpo_free(g);
    return 0;
}
