/* 07 PPO against GRPO: what the value model and the reward model cost, and what they bring.
 *
 *     cc -O2 -I.. 07_ppo_vs_grpo.c -o versus -lm && ./versus [--seeds N] [--svg FILE | --search]
 *
 * Three trainers begin with the same policy, the same questions (one-digit sums) and the same
 * random numbers, and see equally many samples:
 *
 *     GRPO   policy, reference                               A from the group, r by verifying
 *     PPO    policy, reference, value model                  A from the value model, r by verifying
 *     RLHF   policy, reference, value model, reward model    PPO again, nobody verifies: r is what
 *                                                            a model says that learned from pairs
 *
 * Printed: accuracy on all hundred sums for every seed, the bytes of each model, the processor's
 * time for a step, means with their 95 % intervals, and the differences seed by seed. Look at
 * RLHF's reward and accuracy together: a learned judge is right about the pairs it has seen, and
 * the policy looks for answers that it has not. A verifier cannot be talked round. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "backend.h"
#include "ppo.h"
#include "seeds.h"
#include "show.h"
#include <time.h>

enum { QUESTIONS = 100, PROMPTS = 32, GROUP = 8, PAIRS = 64, OLD_PAIRS = 512, EVERY = 10,
       TIMES = 50, METHODS = 3, SHOWN = 4 };

typedef struct method {
    const char *name;
    int valued;                         /* PPO: by a value model; 0: GRPO                        */
    const char *objective;              /* changes to that of either                             */
    float learning_rate, value_rate;    /* of the policy, of the value model                     */
    int judged;                         /* by a reward model                                     */
} method;

/* The settings, by --search: GRPO and PPO tried twelve each, with as many samples, on seeds other
 * than those reported: four learning rates (2.5e-4, 5e-4, 1e-3, 2e-3) times three weights of the
 * KL (GRPO .01, .04, .1; PPO .1, .2, .5), of which the best is not at an end. A value model learns
 * at three times the policy's rate. The measure is the accuracy, averaged over the run. RLHF has
 * PPO's settings. */
static const method methods[METHODS] = {
    { "GRPO", 0, "beta=0.04", 1e-3f, 0, 0 },
    { "PPO", 1, "beta=0.2", 1e-3f, 3e-3f, 0 },
    { "RLHF", 1, "beta=0.2", 1e-3f, 3e-3f, 1 } };

static const int shown[SHOWN] = { 0, 20, 60, 100 };     /* the steps of the table                */

typedef struct sum { char question[8], answer[4]; } sum;

typedef struct pair { ppo_preference preference; char texts[2][8]; } pair;

typedef struct trainer {
    grpo *policy, *critic, *reward_model;     /* the last two NULL where there is none           */
    ppo p;                          /* PPO's arrays, and the judge's                             */
    ppo_judge judge;
    double bytes[4], seconds;       /* of policy, reference, value and reward model; of all steps */
    double accuracy[TIMES + 1], reward[TIMES + 1];      /* after every EVERY steps               */
    double ordered;                 /* share of pairs that the judge has right as training begins */
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
static int threads = 1;             /* 0: one per core; for weights so few one is as fast        */

static grpo_config config_of(int valued, const char *objective, int seed) {
    grpo_config c = grpo_defaults();
    c.vocabulary = "0123456789+=";
    c.max_prompt_length = 4;
    c.max_completion_length = 3;
    c.num_prompts = PROMPTS;
    c.num_generations = GROUP;
    c.num_iterations = 2;           /* all methods look at their samples twice                   */
    c.model.initializer_range = 0.1f;
    c.seed = (uint64_t)seed;
    c.backend = backend;
    c.threads = threads;
    grpo_objective_set(&c.objective, valued ? PPO_OBJECTIVE : "deepseekmath", NULL);
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
    ppo_preference list[PAIRS];
    int i;
    for (i = 0; i < n; i++) {
        list[i] = pairs[i].preference;
        list[i].chosen.text = pairs[i].texts[0];
        list[i].rejected.text = pairs[i].texts[1];
    }
    if (!ppo_train_preferences(&t->judge, list, n, 2e-3f, loss, accuracy)) return 0;
    return fail(t->reward_model);
}

static void remember(trainer *t, const pair *p) { t->old[t->num_old++ % OLD_PAIRS] = *p; }

/* Before the policy trains: pairs of a right sum and a number beside it. */
static int first_lessons(trainer *t, int seed, int steps) {
    int s, i;
    for (s = 0; s < steps; s++) {
        pair pairs[PAIRS];
        for (i = 0; i < PAIRS; i++) {
            uint64_t key = (uint64_t)(10 * seed + 1);
            int q = (int)((float)QUESTIONS * grpo_uniform(key, (uint64_t)s, (uint64_t)i, 0, 0));
            int off = 1 + (int)(18 * grpo_uniform(key, (uint64_t)s, (uint64_t)i, 1, 0));
            char wrong[8];
            snprintf(wrong, sizeof wrong, "%d", (q / 10 + q % 10 + off) % 19);
            make_pair(&pairs[i], q, wrong);
            remember(t, &pairs[i]);
        }
        if (teach(t, pairs, PAIRS, NULL, &t->ordered)) return -1;
    }
    return 0;
}

/* While it trains: its own wrong answers against the right ones, and a tenth of old pairs beside
 * them (DeepSeekMath's replay), so that the judge does not forget what the policy no longer
 * says. */
static int lesson(trainer *t, int seed, int step) {
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
        uint64_t key = (uint64_t)(10 * seed + 2);
        float u = grpo_uniform(key, (uint64_t)step, (uint64_t)i, 0, 0);
        pairs[n++] = t->old[(int)((float)known * u)];
    }
    return teach(t, pairs, n, NULL, NULL);
}

/* ---- a trainer */
static int begin(trainer *t, const method *m, const grpo *from, int seed) {
    grpo_config c = config_of(m->valued, m->objective, seed), scalar;
    grpo_memory needed;
    memset(t, 0, sizeof *t);
    c.learning_rate = m->learning_rate;
    if (m->judged) {
        scalar = ppo_judge_config(&c, PAIRS);
        if (grpo_memory_needed(&scalar, &needed) || !(t->reward_model = grpo_new(&scalar))
            || ppo_judge_begin(&t->judge, t->reward_model)) return puts(scalar.error), -1;
        t->bytes[3] = (double)needed.total;
        grpo_add_reward(&c, "judge", NULL, 0.1f, &t->judge);  /* scores are some ten apart      */
        c.rewards[0].batch = ppo_score;
    } else {
        grpo_add_reward(&c, "correct", grpo_reward_exact_match, 1, NULL);
    }
    if (grpo_memory_needed(&c, &needed) || !(t->policy = grpo_new(&c))) return puts(c.error), -1;
    t->bytes[0] = (double)(needed.total - needed.reference);
    t->bytes[1] = (double)needed.reference;
    if (grpo_copy_weights(t->policy, from)) return fail(t->policy);
    if (c.objective.beta > 0 && grpo_set_reference(t->policy, 1)) return fail(t->policy);
    if (!m->valued) return 0;
    scalar = ppo_value_config(&c);
    scalar.learning_rate = m->value_rate;
    if (grpo_memory_needed(&scalar, &needed) || !(t->critic = grpo_new(&scalar)))
        return puts(scalar.error), -1;
    t->bytes[2] = (double)needed.total;
    if (grpo_copy_weights(t->critic, from)) return fail(t->critic);
    return ppo_begin(&t->p, t->policy, t->critic) ? puts(t->p.error), -1 : 0;
}

static void end(trainer *t) {
    ppo_end(&t->p);
    ppo_judge_end(&t->judge);
    grpo_free(t->policy);
    grpo_free(t->critic);
    grpo_free(t->reward_model);
}

/* One step by either; its mean reward. */
static int step(trainer *t, const grpo_prompt *some, double *reward) {
    grpo_metrics m;
    ppo_metrics n;
    if (t->critic) {
        if (ppo_step(&t->p, some, PROMPTS, &n)) return fprintf(stderr, "%s\n", t->p.error), -1;
        *reward = n.reward;
    } else {
        if (grpo_step(t->policy, some, PROMPTS, &m)) return fail(t->policy);
        *reward = m.reward;
    }
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

static void draw(grpo_prompt *some, int key, int step) {
    int i;
    for (i = 0; i < PROMPTS; i++) {
        float u = grpo_uniform((uint64_t)key, (uint64_t)step, (uint64_t)i, 0, 0);
        some[i] = prompts[(int)((float)QUESTIONS * u)];
    }
}

/* The policy that all begin with: a little supervision, so that the right answer has a chance. */
static grpo *warm_up(int seed) {
    grpo_config c = config_of(0, "trl", seed);
    double accuracy = 0;
    grpo *g;
    int s;
    grpo_add_reward(&c, "correct", grpo_reward_exact_match, 1, NULL);
    if (!(g = grpo_new(&c))) { puts(c.error); return NULL; }
    for (s = 0; s < 400 && accuracy < 0.2; s++) {
        grpo_prompt some[PROMPTS];
        draw(some, 10 * seed + 3, s);
        if (grpo_sft(g, some, PROMPTS, 3e-3f, NULL)) { fail(g); return NULL; }
        if (s % 5 == 4) accuracy = accuracy_of(g);
    }
    return g;
}

static int train(trainer *t, int seed, int steps) {
    double reward = 0;
    int s;
    t->accuracy[0] = accuracy_of(t->policy);
    for (s = 1; s <= steps; s++) {
        grpo_prompt some[PROMPTS];
        clock_t start = clock();
        draw(some, 10 * seed + 4, s);
        if (step(t, some, &reward)) return -1;
        if (t->reward_model && s % EVERY == 0 && lesson(t, seed, s)) return -1;
        t->seconds += (double)(clock() - start) / CLOCKS_PER_SEC;
        if (s == 1) t->reward[0] = reward;
        if (s % EVERY) continue;
        t->reward[s / EVERY] = reward;
        t->accuracy[s / EVERY] = accuracy_of(t->policy);
    }
    return 0;
}

/* ---- the comparison */
static double accuracies[METHODS][TIMES + 1][SEEDS_MOST], rewards[METHODS][TIMES + 1][SEEDS_MOST],
              ordered[SEEDS_MOST], milliseconds[METHODS], bytes[METHODS][4];

static int run_seed(int s, int seeds, int steps) {
    static trainer t;
    grpo *warm = warm_up(s + 1);
    int i, k;
    if (!warm) return -1;
    for (i = 0; i < METHODS; i++) {
        if (begin(&t, &methods[i], warm, s + 1)
            || (t.reward_model && first_lessons(&t, s + 1, 100)) || train(&t, s + 1, steps))
            return -1;
        for (k = 0; k <= steps / EVERY; k++) {
            accuracies[i][k][s] = t.accuracy[k];
            rewards[i][k][s] = t.reward[k];
        }
        for (k = 0; k < 4; k++) bytes[i][k] = t.bytes[k];
        milliseconds[i] += 1e3 * t.seconds / steps / seeds;
        ordered[s] = t.ordered;
        end(&t);
    }
    grpo_free(warm);
    for (k = 0; k < SHOWN && shown[k] <= steps; k++) {
        printf("| %d | %d ", s + 1, shown[k]);
        for (i = 0; i < METHODS; i++) printf("| %.2f ", accuracies[i][shown[k] / EVERY][s]);
        printf("| %.2f |\n", rewards[METHODS - 1][shown[k] / EVERY][s]);
    }
    fflush(stdout);
    return 0;
}

static void print_bytes(void) {
    static const char *const models[4] = { "policy, its gradients, AdamW, batch", "reference",
                                           "value model, the same", "reward model, the same" };
    int i, k;
    printf("\n| one-digit sums ");
    for (i = 0; i < METHODS; i++) printf("| %s ", methods[i].name);
    printf("|\n|---|---|---|---|\n");
    for (k = 0; k < 4; k++) {
        printf("| %s ", models[k]);
        for (i = 0; i < METHODS; i++)
            if (bytes[i][k] > 0) printf("| %.1f MB ", bytes[i][k] / 1e6);
            else printf("| ");
        printf("|\n");
    }
    printf("| together ");
    for (i = 0; i < METHODS; i++)
        printf("| %.1f MB ", (bytes[i][0] + bytes[i][1] + bytes[i][2] + bytes[i][3]) / 1e6);
    printf("|\n");
}

static void print_means(int seeds, int steps) {
    int i, k, last = steps / EVERY;
    printf("| processor time of a step ");
    for (i = 0; i < METHODS; i++) printf("| %.1f ms ", milliseconds[i]);
    for (k = 0; k < SHOWN && shown[k] <= steps; k++) {
        printf("|\n| accuracy after %d steps ", shown[k]);
        for (i = 0; i < METHODS; i++) seeds_print(accuracies[i][shown[k] / EVERY], seeds);
    }
    printf("|\n| mean reward, first step ");
    for (i = 0; i < METHODS; i++) seeds_print(rewards[i][0], seeds);
    printf("|\n| mean reward, last step ");
    for (i = 0; i < METHODS; i++) seeds_print(rewards[i][last], seeds);
    printf("|\n\n%d seeds, %d samples a step; +- is half of a 95 %% interval, * differs from 0. As "
           "training begins,\nthe reward model has %.0f %% of its pairs in the right order.\n\n"
           "| difference of accuracy ", seeds, PROMPTS * GROUP, 100 * seeds_mean(ordered, seeds));
    for (k = 1; k < SHOWN && shown[k] <= steps; k++) printf("| after %d steps ", shown[k]);
    printf("|\n|---|");
    for (k = 1; k < SHOWN && shown[k] <= steps; k++) printf("---|");
    for (i = 1; i < METHODS; i++) {
        printf("\n| %s less %s ", methods[i].name, methods[i - 1].name);
        for (k = 1; k < SHOWN && shown[k] <= steps; k++)
            seeds_print_difference(accuracies[i][shown[k] / EVERY],
                                   accuracies[i - 1][shown[k] / EVERY], seeds);
        printf("|");
    }
    printf("\n");
}

/* The mean curves, in the terminal and as an SVG chart. */
static int plot(const char *svg, int seeds, int steps) {
    static const char *const colors[METHODS] = { "#d9622b", "#8ab4d8", "#888888" };
    static show_curve curves[METHODS];
    const show_curve *all[METHODS];
    int i, k;
    for (i = 0; i < METHODS; i++) {
        curves[i].name = methods[i].name;
        curves[i].color = colors[i];
        for (k = 0; k <= steps / EVERY; k++)
            show_add(&curves[i], k * EVERY, seeds_mean(accuracies[i][k], seeds));
        all[i] = &curves[i];
    }
    printf("\n");
    show_plot(all, METHODS, steps);
    if (!svg || !show_svg(svg, "One-digit sums: accuracy at equal samples", all, METHODS, steps))
        return 0;
    fprintf(stderr, "%s cannot be written\n", svg);
    return -1;
}

/* ---- the search */
enum { TRIED = 12, SEARCH_SEEDS = 3, FIRST_SEARCH_SEED = 101 };

/* Setting i of GRPO (valued 0) or PPO (1). */
static method setting(int valued, int i, char words[64]) {
    static const float rates[4] = { 2.5e-4f, 5e-4f, 1e-3f, 2e-3f };
    static const char *const own[2][3] = {
        { "beta=0.01", "beta=0.04", "beta=0.1" }, { "beta=0.1", "beta=0.2", "beta=0.5" } };
    method m = methods[valued];
    m.objective = own[valued][i % 3];
    m.learning_rate = rates[i / 3];
    m.value_rate = 3 * m.learning_rate;
    if (valued)
        snprintf(words, 64, "ppo %s, rates %g and %g", m.objective, (double)m.learning_rate,
                 (double)m.value_rate);
    else snprintf(words, 64, "deepseekmath %s, rate %g", m.objective, (double)m.learning_rate);
    return m;
}

static int search(int steps) {
    static trainer t;
    grpo *warm[SEARCH_SEEDS];
    char words[64];
    int valued, i, k, s;
    for (s = 0; s < SEARCH_SEEDS; s++)
        if (!(warm[s] = warm_up(FIRST_SEARCH_SEED + s))) return -1;
    printf("| setting | accuracy, averaged over %d steps: seeds %d to %d | mean |\n|---|---|---|\n",
           steps, FIRST_SEARCH_SEED, FIRST_SEARCH_SEED + SEARCH_SEEDS - 1);
    for (valued = 0; valued < 2; valued++)
        for (i = 0; i < TRIED; i++) {
            method m = setting(valued, i, words);
            double area[SEARCH_SEEDS] = { 0 };
            printf("| %s |", words);
            for (s = 0; s < SEARCH_SEEDS; s++) {
                if (begin(&t, &m, warm[s], FIRST_SEARCH_SEED + s)
                    || train(&t, FIRST_SEARCH_SEED + s, steps)) return -1;
                for (k = 1; k <= steps / EVERY; k++)
                    area[s] += t.accuracy[k] * (double)EVERY / steps;
                printf(" %.3f", area[s]);
                fflush(stdout);
                end(&t);
            }
            printf(" | %.3f |\n", seeds_mean(area, SEARCH_SEEDS));
        }
    for (s = 0; s < SEARCH_SEEDS; s++) grpo_free(warm[s]);
    return 0;
}

static const char intro[] =
    "GRPO beside PPO, with a value model, and RLHF, with a value and a reward model: the same\n"
    "policy, questions (one-digit sums) and random numbers, and equally many samples.";
static const char options[] =
    "  --seeds N     1 to 50 (10)\n"
    "  --steps N     GRPO steps of each, 10 to 500 (100)\n"
    "  --quick       one seed, 20 steps\n"
    "  --search      the settings tried, on other seeds: a table\n"
    "  --svg FILE    the mean curves\n" SHOW_THREADS SHOW_BACKEND;

int main(int argc, char **argv) {
    int seeds = 10, steps = shown[SHOWN - 1], searches = 0, i;
    const char *svg = NULL;
    if (show_lesson(argc, argv, intro, options)) return 0;
    backend = backend_argument(&argc, argv);
    for (i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--quick")) { seeds = 1; steps = shown[1]; }
        else if (!strcmp(argv[i], "--search")) searches = 1;
        else if (!strcmp(argv[i], "--seeds")) seeds = show_number(argv, i++);
        else if (!strcmp(argv[i], "--steps")) steps = show_number(argv, i++);
        else if (!strcmp(argv[i], "--threads")) threads = show_number(argv, i++);
        else if (!strcmp(argv[i], "--svg") && i + 1 < argc) svg = argv[++i];
        else break;
    }
    if (i < argc) return show_misuse(argv[i], options);
    if (seeds < 1 || seeds > SEEDS_MOST) return show_misuse("--seeds", options);
    if (steps < EVERY || steps > EVERY * TIMES) return show_misuse("--steps", options);
    make_sums();
    if (searches) return search(steps) != 0;
    printf("\nAccuracy of the greedy answers, and what RLHF's judge says of the samples\n\n"
           "| seed | steps | GRPO | PPO | RLHF | RLHF's reward |\n|---|---|---|---|---|---|\n");
    for (i = 0; i < seeds; i++)
        if (run_seed(i, seeds, steps)) return 1;
    print_bytes();
    if (seeds > 1) print_means(seeds, steps);
    if (plot(svg, seeds, steps)) return 1;
    puts("\nNotice: a value model doubles memory and time. Does a starred difference pay for it?");
    return 0;
}
