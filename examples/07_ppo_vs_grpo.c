/* 07 PPO against GRPO: what the value model and the reward model cost, and what they bring.
 *
 *     cc -O2 -I.. 07_ppo_vs_grpo.c -o versus -lm && ./versus [--quick | --svg FILE]
 *
 * Three trainers begin with the same policy, the same questions (one-digit sums) and the same
 * random numbers, and see equally many samples:
 *
 *     GRPO   policy, reference                               A from the group, r by verifying
 *     PPO    policy, reference, value model                  A from the value model, r by verifying
 *     RLHF   policy, reference, value model, reward model    PPO again, nobody verifies: r is what
 *                                                            a model says that learned from pairs
 *
 * Printed side by side: bytes of each model, seconds of a step, accuracy on all hundred sums. Look
 * at RLHF's reward and accuracy together: a learned judge is right about the pairs it has seen, and
 * the policy looks for answers that it has not. A verifier cannot be talked round. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "backend.h"
#include "show.h"

enum { QUESTIONS = 100, PROMPTS = 32, GROUP = 8, PAIRS = 64, OLD_PAIRS = 512, EVERY = 10 };

typedef struct sum { char question[8], answer[4]; } sum;

typedef struct pair { grpo_preference preference; char texts[2][8]; } pair;

typedef struct trainer {
    const char *name;
    grpo *policy, *critic, *judge;  /* the last two NULL where there is none                     */
    double bytes[4], seconds;       /* of policy, reference, value and reward model; of all steps */
    double first_reward, last_reward;
    show_curve accuracy;
    pair old[OLD_PAIRS];            /* RLHF: what the reward model has been shown                */
    int num_old;
} trainer;

static sum sums[QUESTIONS];
static grpo_prompt prompts[QUESTIONS];

static void make_sums(void) {
    int i;
    for (i = 0; i < QUESTIONS; i++) {
        snprintf(sums[i].question, sizeof sums[i].question, "%d+%d=", i / 10, i % 10);
        snprintf(sums[i].answer, sizeof sums[i].answer, "%d", i / 10 + i % 10);
        prompts[i] = grpo_question(sums[i].question, sums[i].answer);
    }
}

static int fail(const grpo *g) {
    fprintf(stderr, "%s\n", grpo_error(g));
    return -1;
}

static const grpo_backend *backend;  /* of --backend */

static grpo_config config_of(const char *objective) {
    grpo_config c = grpo_defaults();
    c.vocabulary = "0123456789+=";
    c.max_prompt_length = 4;
    c.max_completion_length = 3;
    c.num_prompts = PROMPTS;
    c.num_generations = GROUP;
    c.num_iterations = 2;           /* both methods look at their samples twice                  */
    c.learning_rate = 1e-3f;
    c.model.initializer_range = 0.1f;
    c.backend = backend;
    grpo_objective_set(&c.objective, objective, NULL);
    return c;
}

/* ---- the reward model's pairs: a right answer and a wrong one */
static void make_pair(pair *p, int question, const char *wrong) {
    memset(p, 0, sizeof *p);
    snprintf(p->texts[0], sizeof p->texts[0], "%s", sums[question].answer);
    snprintf(p->texts[1], sizeof p->texts[1], "%s", wrong);
    p->preference.prompt = prompts[question];
}

static int teach(trainer *t, pair *pairs, int n, double *loss, double *accuracy) {
    grpo_preference list[PAIRS];
    int i;
    for (i = 0; i < n; i++) {
        list[i] = pairs[i].preference;
        list[i].chosen.text = pairs[i].texts[0];
        list[i].rejected.text = pairs[i].texts[1];
    }
    return grpo_train_preferences(t->judge, list, n, 2e-3f, loss, accuracy) ? fail(t->judge) : 0;
}

static void remember(trainer *t, const pair *p) { t->old[t->num_old++ % OLD_PAIRS] = *p; }

/* Before the policy trains: pairs of a right sum and a number beside it. */
static int first_lessons(trainer *t, int steps) {
    double loss = 0, accuracy = 0;
    int s, i;
    for (s = 0; s < steps; s++) {
        pair pairs[PAIRS];
        for (i = 0; i < PAIRS; i++) {
            int q = (int)((float)QUESTIONS * grpo_uniform(11, (uint64_t)s, (uint64_t)i, 0, 0));
            int off = 1 + (int)(18 * grpo_uniform(11, (uint64_t)s, (uint64_t)i, 1, 0));
            char wrong[8];
            snprintf(wrong, sizeof wrong, "%d", (q / 10 + q % 10 + off) % 19);
            make_pair(&pairs[i], q, wrong);
            remember(t, &pairs[i]);
        }
        if (teach(t, pairs, PAIRS, &loss, &accuracy)) return -1;
    }
    printf("The reward model after %d steps on pairs: loss %.3f, %.0f %% in the right order\n\n",
           steps, loss, 100 * accuracy);
    return 0;
}

/* While it trains: its own wrong answers against the right ones, and a tenth of old pairs beside
 * them (DeepSeekMath's replay), so that the judge does not forget what the policy no longer
 * says. */
static int lesson(trainer *t, int step) {
    const grpo_batch *b = &t->policy->batch;
    pair pairs[PAIRS];
    int i, n = 0;
    for (i = 0; i < b->num_sequences && n < PAIRS * 9 / 10; i++) {
        const grpo_sample *s = &b->samples[i];
        int q = (s->prompt[0] - '0') * 10 + s->prompt[2] - '0';
        if (!s->truncated && !strcmp(s->completion, s->answer)) continue;
        make_pair(&pairs[n], q, s->completion);
        pairs[n].preference.rejected.truncated = s->truncated;
        remember(t, &pairs[n++]);
    }
    for (i = 0; i < PAIRS / 10; i++) {
        int known = t->num_old < OLD_PAIRS ? t->num_old : OLD_PAIRS;
        float u = grpo_uniform(12, (uint64_t)step, (uint64_t)i, 0, 0);
        pairs[n++] = t->old[(int)((float)known * u)];
    }
    return teach(t, pairs, n, NULL, NULL);
}

/* ---- the three trainers */
static int begin(trainer *t, const char *name, const char *objective, int valued, int judged) {
    grpo_config c = config_of(objective), scalar = grpo_critic_config(&c);
    grpo_memory m;
    t->name = name;
    if (judged) {
        if (grpo_memory_needed(&scalar, &m) || !(t->judge = grpo_new(&scalar)))
            return puts(scalar.error), -1;
        t->bytes[3] = (double)m.total;
        grpo_add_reward(&c, "judge", NULL, 0.1f, t->judge);   /* scores are some ten apart      */
        c.rewards[0].batch = grpo_reward_model;
    } else {
        grpo_add_reward(&c, "correct", grpo_reward_exact_match, 1, NULL);
    }
    if (grpo_memory_needed(&c, &m) || !(t->policy = grpo_new(&c))) return puts(c.error), -1;
    t->bytes[0] = (double)(m.total - m.reference);
    t->bytes[1] = (double)m.reference;
    if (!valued) return 0;
    if (grpo_memory_needed(&scalar, &m) || !(t->critic = grpo_new(&scalar)))
        return puts(scalar.error), -1;
    t->bytes[2] = (double)m.total;
    t->policy->config.critic = t->critic;
    return 0;
}

/* Correct answers among all questions, greedy, whoever gave the rewards. */
static double accuracy_of(grpo *g) {
    grpo_sampling greedy = { 0, 0, 1, 0 };
    int i, right = 0;
    for (i = 0; i < QUESTIONS; i++) {
        char text[16];
        if (grpo_generate(g, &prompts[i], &greedy, 1, text, sizeof text) < 0) return -1;
        right += !strcmp(text, sums[i].answer);
    }
    return (double)right / (double)QUESTIONS;
}

static void draw(grpo_prompt *some, uint64_t seed, int step) {
    int i;
    for (i = 0; i < PROMPTS; i++) {
        float u = grpo_uniform(seed, (uint64_t)step, (uint64_t)i, 0, 0);
        some[i] = prompts[(int)((float)QUESTIONS * u)];
    }
}

/* The same policy for all: a little supervision, so that the right answer has a chance. */
static int warm_up(grpo *g, double until) {
    double accuracy = 0;
    int s;
    for (s = 0; s < 400 && accuracy < until; s++) {
        grpo_prompt some[PROMPTS];
        draw(some, 5, s);
        if (grpo_sft(g, some, PROMPTS, 3e-3f, NULL)) return fail(g);
        if (s % 5 == 4 && (accuracy = accuracy_of(g)) < 0) return fail(g);
    }
    printf("%d supervised steps leave every policy at %.2f\n", s, accuracy);
    return 0;
}

static int share_policy(const grpo *from, trainer *t) {
    if (grpo_copy_weights(t->policy, from) || grpo_set_reference(t->policy, 1))
        return fail(t->policy);
    if (t->critic && grpo_copy_weights(t->critic, from)) return fail(t->critic);
    return 0;
}

static int train(trainer *t, int steps) {
    grpo_metrics m;
    int s;
    show_add(&t->accuracy, 0, accuracy_of(t->policy));
    for (s = 1; s <= steps; s++) {
        grpo_prompt some[PROMPTS];
        double start = grpo__seconds();
        draw(some, 6, s);
        if (grpo_step(t->policy, some, PROMPTS, &m)) return fail(t->policy);
        if (t->judge && s % EVERY == 0 && lesson(t, s)) return -1;
        t->seconds += grpo__seconds() - start;
        if (s == 1) t->first_reward = m.reward;
        t->last_reward = m.reward;
        if (s % EVERY == 0) show_add(&t->accuracy, s, accuracy_of(t->policy));
    }
    return 0;
}

static void print_table(const trainer *t, int n, int steps) {
    static const char *const models[4] = { "policy, its gradients, AdamW, batch", "reference",
                                           "value model, the same", "reward model, the same" };
    int i, k;
    printf("\n%-40s", "");
    for (i = 0; i < n; i++) printf("%12s", t[i].name);
    for (k = 0; k < 4; k++) {
        printf("\n%-40s", models[k]);
        for (i = 0; i < n; i++) printf("%12.0f", t[i].bytes[k]);
    }
    printf("\n%-40s", "bytes together");
    for (i = 0; i < n; i++)
        printf("%12.0f", t[i].bytes[0] + t[i].bytes[1] + t[i].bytes[2] + t[i].bytes[3]);
    printf("\n%-40s", "milliseconds a step");
    for (i = 0; i < n; i++) printf("%12.2f", 1e3 * t[i].seconds / steps);
    for (k = 0; k < t[0].accuracy.count; k += (t[0].accuracy.count + 8) / 9) {
        printf("\naccuracy after %4.0f steps, %7.0f samples  ", t[0].accuracy.x[k],
               t[0].accuracy.x[k] * (double)(PROMPTS * GROUP));
        for (i = 0; i < n; i++) printf(i ? "%12.2f" : "%10.2f", t[i].accuracy.y[k]);
    }
    printf("\n%-40s", "mean reward, first step");
    for (i = 0; i < n; i++) printf("%12.2f", t[i].first_reward);
    printf("\n%-40s", "mean reward, last step");
    for (i = 0; i < n; i++) printf("%12.2f", t[i].last_reward);
    printf("\naccuracy at the end%*s", 21, "");
    for (i = 0; i < n; i++) printf("%12.2f", t[i].accuracy.y[t[i].accuracy.count - 1]);
    printf("\n");
}

int main(int argc, char **argv) {
    static trainer t[3];
    static const char *const colors[3] = { "#d9622b", "#8ab4d8", "#888888" };
    const char *svg;
    int quick, steps, i;
    backend = backend_argument(&argc, argv);
    quick = argc > 1 && !strcmp(argv[1], "--quick");
    steps = quick ? 30 : 150;
    svg = argc > 2 && !strcmp(argv[1], "--svg") ? argv[2] : NULL;
    if (argc > 1 && !quick && !svg) {
        fprintf(stderr, "07_ppo_vs_grpo [--quick | --svg FILE]\n");
        return 2;
    }
    make_sums();
    if (begin(&t[0], "GRPO", "deepseekmath beta=0.01", 0, 0)
        || begin(&t[1], "PPO", "ppo beta=0.01", 1, 0)
        || begin(&t[2], "RLHF", "ppo beta=0.01", 1, 1)) return 1;
    if (warm_up(t[0].policy, 0.2) || first_lessons(&t[2], quick ? 50 : 300)) return 1;
    for (i = 1; i < 3; i++)
        if (share_policy(t[0].policy, &t[i])) return 1;
    if (grpo_set_reference(t[0].policy, 1)) return 1;
    for (i = 0; i < 3; i++)
        if (train(&t[i], steps)) return 1;
    for (i = 0; i < 3; i++) { t[i].accuracy.name = t[i].name; t[i].accuracy.color = colors[i]; }
    show_plot(&t[0].accuracy, &t[1].accuracy, steps);
    if (svg) {
        const show_curve *curves[3];
        for (i = 0; i < 3; i++) curves[i] = &t[i].accuracy;
        if (show_svg(svg, "One-digit sums: accuracy at equal samples", curves, 3, steps)) return 1;
    }
    print_table(t, 3, steps);
    for (i = 0; i < 3; i++) {
        grpo_free(t[i].policy);
        grpo_free(t[i].critic);
        grpo_free(t[i].judge);
    }
    return 0;
}
