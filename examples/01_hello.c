/* 01 hello: "What is 2+2?" From noise to 4.
 *
 *     cc -O2 -I.. 01_hello.c -o hello -lm && ./hello        (./hello 7 is another run: seed 7)
 *
 * A small transformer with random weights is asked the same question again and again. Nobody tells
 * it the answer: a function looks at each of its attempts and says 1 or 0. Attempts that are better
 * than the mean of their group are made more likely, the others less.
 *
 * What to see: while all 64 attempts are wrong they are equally wrong, so every advantage is 0 and
 * nothing is learnt. Then one happens to be "4" (one in 20 * 20: the right one of 20 tokens, and
 * then end-of-text). It stands 7.9 standard deviations above its group, is made more likely, comes
 * up again; the more often it does, the less it stands out, until there is nothing else.
 */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "backend.h"
#include "show.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float says_four(const grpo_sample *s, void *user) {
    (void)user;
    return strcmp(s->completion, "4") == 0 && !s->truncated;
}

/* How often sample i occurs in the group; 0 if it was counted already, at an earlier one. */
static int times(const grpo_batch *b, int i) {
    int j, n = 0;
    for (j = 0; j < b->group_size; j++) {
        const grpo_sample *x = &b->samples[i], *y = &b->samples[j];
        if (strcmp(x->completion, y->completion) != 0 || x->truncated != y->truncated) continue;
        if (j < i) return 0;
        n++;
    }
    return n;
}

/* The group, best first: what it was, what it earned, and how far that is from the mean. */
static void print_group(const grpo_batch *b) {
    char text[64];
    int i, n, right, rows = 0, left = b->group_size;
    for (right = 1; right >= 0; right--)
        for (i = 0; i < b->group_size && rows < 4; i++) {
            const grpo_sample *s = &b->samples[i];
            if ((b->rewards[i] > 0) != right || (n = times(b, i)) == 0) continue;
            snprintf(text, sizeof text, "\"%s%s", s->completion, s->truncated ? "..." : "\"");
            printf("    %2d x  %-8s  reward %g  advantage %+.3f\n", n, text,
                   (double)b->rewards[i], (double)b->advantages[b->offsets[i]]);
            left -= n;
            rows++;
        }
    if (left > 0) printf("    %2d others\n", left);
}

/* A group of four, by hand: z-scores of its rewards. */
static void print_scores(void) {
    static const char *const said[4] = { "4", "3", "D", "C" };
    static const float rewards[4] = { 1, 0, 0, 0 };
    const grpo_objective o = grpo_objective_preset("deepseekmath", NULL);
    float A[4];
    int i;
    grpo_advantages(&o, rewards, 1, 4, NULL, A, NULL);
    printf("\n    2+2=       ");
    for (i = 0; i < 4; i++) printf("%7s", said[i]);
    printf("\n    reward r   ");
    for (i = 0; i < 4; i++) printf("%7g", (double)rewards[i]);
    printf("     mean 0.25, std 0.5\n    advantage A");
    for (i = 0; i < 4; i++) printf("%+7.2f", (double)A[i]);
    printf("     (r - mean) / std\n\n");
}

static void print_step(const grpo_metrics *m, const char *remark) {
    printf("step %3d  reward %.2f |%.*s%s\n", m->step, m->reward, (int)(40 * m->reward),
           "########################################", remark);
}

static const char intro[] =
    "A transformer with random weights is asked what 2+2 is, 64 times a step. It is told right\n"
    "or wrong, nothing else: what was better than the rest of its group becomes more likely.";

int main(int argc, char **argv) {
    grpo_prompt question = grpo_question("What is 2+2?", "4");
    grpo_config config = grpo_defaults();
    grpo_metrics m;
    grpo *g;
    char answer[16];
    static const char options[] = "  SEED          of weights and samples (1)\n" SHOW_BACKEND;
    double seconds = 0, best = 0;
    int hit = 0, table;
    if (show_lesson(argc, argv, intro, options)) return 0;
    config.backend = backend_argument(&argc, argv);       /* --backend cuda, where it is built in */
    config.vocabulary = "0123456789 +?Whatis";            /* end-of-text is added as the last one */
    config.num_prompts = 1;
    config.num_generations = 64;                              /* G, the size of the group        */
    config.max_prompt_length = 12;
    config.max_completion_length = 3;
    if (argc > 1 && argv[1][0] == '-') return show_misuse(argv[1], options);
    config.seed = argc > 1 ? (uint64_t)show_number(argv, 0) : 1;
    grpo_add_reward(&config, "four", says_four, 1.0f, NULL);
    g = grpo_new(&config);
    if (!g) return fprintf(stderr, "%s\n", config.error), 1;

    print_scores();
    printf("%d random weights are asked: %s    (#: the share that is right; n x: said n times)"
           "\n", (int)g->num_parameters, question.text);
    do {
        if (grpo_step(g, &question, 1, &m)) return fprintf(stderr, "%s\n", grpo_error(g)), 1;
        seconds += m.step_time;
        if (m.reward > 0 && !hit) hit = m.step;
        table = m.step == 1 || m.step == hit || m.reward >= 1 || (m.reward >= 0.5 && best < 0.5);
        if (table || m.step % 10 == 0) print_step(&m, m.step == hit ? " the first hit" : "");
        if (table) print_group(&g->batch);
        if (m.reward > best) best = m.reward;
    } while (m.reward < 1 && m.step < 1000);

    config.sampling.temperature = 0;                          /* greedy: its best answer         */
    if (grpo_generate(g, &question, &config.sampling, 0, answer, sizeof answer) < 0)
        return fprintf(stderr, "%s\n", grpo_error(g)), 1;
    printf("%s %s    (%d steps, %.2f seconds)\n", question.text, answer, m.step, seconds);
    printf("Notice: nothing is learnt before the first hit; the rarer a hit is, the stronger it "
           "pulls.\n");
    grpo_free(g);
    return 0;
}
