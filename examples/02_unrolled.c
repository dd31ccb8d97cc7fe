/* 02 unrolled: one GRPO step, line by line.
 *
 *     cc -O2 -I.. 02_unrolled.c -o unrolled -lm && ./unrolled
 *
 * grpo_step() is here taken apart into the lines of Algorithm 1 of the DeepSeekMath paper
 * (arXiv:2402.03300), its symbols beside them; what comes out is the same, bit for bit. The task is
 * sums with one digit, "3+4=" -> "7", after a short supervised warm-up that leaves the policy right
 * now and then.
 *
 * What to see: in the first pass over a batch the policy is still the one that sampled it, so the
 * ratio is 1, exactly, and nothing can be clipped. In the second pass it has moved: ratios spread
 * around 1 and those that went too far in the direction they were pushed are clipped, which takes
 * them out of the gradient. KL, the distance from the warm-up policy, grows with what is learnt.
 */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "backend.h"
#include "show.h"
#include <stdio.h>
#include <stdlib.h>

enum { SUMS = 55, BATCH = 16, GROUP = 16, LENGTH = 2, STEPS = 200 };

static grpo_prompt sums[SUMS];                                /* all a + b < 10                  */

static void make_sums(void) {
    static char text[SUMS][8], answer[SUMS][8];
    int a, b, n = 0;
    for (a = 0; a < 10; a++)
        for (b = 0; a + b < 10; b++, n++) {
            snprintf(text[n], sizeof text[n], "%d+%d=", a, b);
            snprintf(answer[n], sizeof answer[n], "%d", a + b);
            sums[n] = grpo_question(text[n], answer[n]);
        }
}

/* These functions return 0, or an error whose reason grpo_error() has. */
static void check(grpo *g, int code) {
    if (!code) return;
    fprintf(stderr, "%s\n", grpo_error(g));
    exit(1);
}

/* One step of Algorithm 1. Returns the mean reward. */
static double one_step(grpo *g, int step, int print) {
    static float logprobs[BATCH * GROUP * LENGTH], dlogprobs[BATCH * GROUP * LENGTH];
    const grpo_objective *o = &g->config.objective;           /* epsilon, beta, ...              */
    const grpo_batch *b = &g->batch;
    grpo_prompt q[BATCH];
    grpo_loss_stats s;
    grpo_sequences all;
    double mean = 0;
    int i, pass;

    for (i = 0; i < BATCH; i++)                               /* sample a batch of questions q   */
        q[i] = sums[(int)(grpo_uniform(7, (uint64_t)step, (uint64_t)i, 0, 0) * (float)SUMS)];

    check(g, grpo_rollout(g, q, BATCH));      /* o_1 .. o_G ~ pi_old(. | q), for each q;
                                                 b->logprobs = log pi_old(o_it | q, o_i<t)       */
    check(g, grpo_score(g));                  /* b->rewards = r_1 .. r_G, by the reward function;
                                                 b->ref_logprobs = log pi_ref(o_it | q, o_i<t)   */
    check(g, grpo_advantage(g));              /* b->advantages = A_it = (r_i - mean(r)) / std(r) */

    for (i = 0; i < b->num_sequences; i++) mean += (double)b->rewards[i] / b->num_sequences;

    for (pass = 1; pass <= g->config.num_iterations; pass++) {         /* iteration = 1 .. mu    */
        check(g, grpo_forward(g, GRPO_POLICY, logprobs, NULL));        /* log pi_theta(o_it)     */

        /* loss = -1/G sum_i 1/|o_i| sum_t { min(w A, clip(w, 1-eps, 1+eps) A) - beta KL }, where
         * w = pi_theta / pi_old and KL = pi_ref/pi_theta - log(pi_ref/pi_theta) - 1, and the mean
         * of that over all q;  dlogprobs = d(loss) / d(log pi_theta(o_it)) */
        all = grpo_batch_sequences(g, logprobs);
        grpo_loss(o, &all, dlogprobs, NULL, &s);

        check(g, grpo_backward(g, dlogprobs, NULL));          /* d(loss) / d(theta)              */
        check(g, grpo_optimize(g, g->config.learning_rate, NULL));     /* theta moves: AdamW     */
        if (print)
            printf("%4d %4d   %6.2f %+8.4f %8.3f %6.3f %7.1f %% %5.1f %% %7.3f\n", step, pass,
                   mean, s.loss, s.ratio_mean, s.ratio_max, 100 * s.clip_low_mean,
                   100 * s.clip_high_mean, s.kl);
    }
    return mean;
}

static double accuracy(grpo *g) {
    grpo_evaluation e;
    check(g, grpo_evaluate(g, sums, SUMS, 0, 0, &e));
    return (double)e.accuracy;
}

static const char intro[] =
    "One GRPO step line by line, on sums of one digit. Two passes learn from each batch: in the\n"
    "first pi is the policy that sampled, in the second it has moved.";

int main(int argc, char **argv) {
    grpo_config config = grpo_defaults();
    double first = 0, last = 0, before;
    grpo *g;
    int i;
    if (show_lesson(argc, argv, intro, SHOW_BACKEND)) return 0;
    config.backend = backend_argument(&argc, argv);
    if (argc > 1) return show_misuse(argv[1], SHOW_BACKEND);
    make_sums();
    config.vocabulary = "0123456789+=";
    config.model.num_hidden_layers = 1;
    config.num_prompts = SUMS;
    config.num_generations = GROUP;                           /* G                               */
    config.num_iterations = 2;                                /* mu                              */
    config.max_prompt_length = 4;
    config.max_completion_length = LENGTH;                    /* a digit and end-of-text         */
    grpo_add_reward(&config, "exact", grpo_reward_exact_match, 1.0f, NULL);
    g = grpo_new(&config);                                    /* pi_theta = pi_init              */
    if (!g) return fprintf(stderr, "%s\n", config.error), 1;

    for (i = 0; i < 30; i++) check(g, grpo_sft(g, sums, SUMS, 3e-3f, NULL));
    check(g, grpo_set_reference(g, 1));                       /* pi_ref = pi_theta               */
    before = accuracy(g);

    printf("\nratio: pi/pi_old of a token; clipped: share of tokens that have gone too far down or "
           "up;\nKL: how far pi is from the policy as warmed up\n\n"
           "                              ratio           clipped\n"
           "step pass   reward    loss    mean    max      low     high      KL\n");
    for (i = 1; i <= STEPS; i++) {
        double reward = one_step(g, i, i <= 3 || i % 50 == 0);
        if (i <= 10) first += reward / 10;
        if (i > STEPS - 10) last += reward / 10;
    }
    printf("mean reward: %.2f in the first 10 steps, %.2f in the last 10\n"
           "all %d sums, greedily: %.0f %% right before, %.0f %% after\n",
           first, last, SUMS, 100 * before, 100 * accuracy(g));
    puts("Notice: in pass 1 the ratio is exactly 1 and nothing is clipped; in pass 2 it spreads.");
    grpo_free(g);
    return 0;
}
