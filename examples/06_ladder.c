/* 06 the ladder: from REINFORCE to GRPO, one rung at a time.
 *
 *     cc -O2 -I.. 06_ladder.c -o ladder -lm && ./ladder [--seeds N] [--steps N | --quick]
 *
 * The same policy, warmed up by supervision, climbs five times, each time by an objective with one
 * part more. Every rung sees the same questions and equally many samples:
 *
 *     REINFORCE   -r log pi                      each sample with a reward is pulled, none pushed
 *     + mean      -(r - mean_g) log pi           the group says what was to be expected: the same
 *                                                gradient on average, with far less noise
 *     + std       A = (r - mean_g) / std_g       hard and easy questions teach with equal strength
 *     + ratio     -min(w A, clip(w) A), mu = 2   samples are learned from twice: w = pi / pi_old
 *                                                corrects for the policy's move, clip says how far
 *     + KL        ... + beta KL(pi || pi_ref)    and it stays near the policy that it began as
 *
 * What is shown is pass@1 of every seed, then means with their 95 % intervals over the seeds, and
 * what a rung adds to the one before, seed by seed: without that, luck would look like progress. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "backend.h"
#include "seeds.h"
#include "show.h"

enum { QUESTIONS = 100, PROMPTS = 16, GROUP = 8, RUNGS = 5, EVERY = 15, TIMES = 32, SHOWN = 3 };

typedef struct rung { const char *name, *objective; int num_iterations; } rung;

static const rung rungs[RUNGS] = {
    { "REINFORCE", "reinforce", 1 },
    { "+ mean", "reinforce advantage=mean", 1 },
    { "+ std", "reinforce advantage=zscore", 1 },
    { "+ ratio, clip", "trl", 2 },
    { "+ KL", "trl beta=0.04", 2 } };

static const int shown[SHOWN] = { 45, 90, 180 };    /* the steps of the table                    */

/* pass@1 after every EVERY steps */
static double accuracy[RUNGS][TIMES + 1][SEEDS_MOST], grad_norm[RUNGS][SEEDS_MOST];

static char questions[QUESTIONS][8], answers[QUESTIONS][4];
static grpo_prompt prompts[QUESTIONS];

static void make_sums(void) {
    int i;
    for (i = 0; i < QUESTIONS; i++) {
        snprintf(questions[i], sizeof questions[i], "%d+%d=", i / 10, i % 10);
        snprintf(answers[i], sizeof answers[i], "%d", i / 10 + i % 10);
        prompts[i] = grpo_question(questions[i], answers[i]);
    }
}

static const grpo_backend *backend;  /* of --backend */
static int threads = 1;             /* 0: one per core; for weights so few one is as fast        */

static grpo *make_policy(const rung *r, int seed) {
    grpo_config c = grpo_defaults();
    grpo *g;
    c.vocabulary = "0123456789+=";
    c.max_prompt_length = 4;
    c.max_completion_length = 3;
    c.num_prompts = QUESTIONS;
    c.num_generations = GROUP;
    c.num_iterations = r->num_iterations;
    c.learning_rate = 1e-3f;
    c.model.initializer_range = 0.1f;
    c.seed = (uint64_t)seed;
    c.backend = backend;
    c.threads = threads;
    grpo_objective_set(&c.objective, r->objective, NULL);
    grpo_add_reward(&c, "correct", grpo_reward_exact_match, 1, NULL);
    g = grpo_new(&c);
    if (!g) fprintf(stderr, "%s\n", c.error);
    return g;
}

/* The questions of a step: the same for every rung. */
static void draw(grpo_prompt *some, int seed, int what, int step) {
    int i;
    for (i = 0; i < PROMPTS; i++) {
        float u = grpo_uniform((uint64_t)seed, (uint64_t)what, (uint64_t)step, (uint64_t)i, 0);
        some[i] = prompts[(int)((float)QUESTIONS * u)];
    }
}

/* pass@1 over all questions, from 8 samples of each. */
static double accuracy_of(grpo *g) {
    grpo_evaluation e;
    return grpo_evaluate(g, prompts, QUESTIONS, GROUP, 1, &e) ? -1 : (double)e.pass_at_1;
}

/* The policy that all rungs of a seed begin with: right answers have a chance. */
static grpo *warm_up(int seed) {
    grpo *g = make_policy(&rungs[0], seed);
    grpo_prompt some[PROMPTS];
    int s;
    for (s = 1; g && s <= 400; s++) {
        draw(some, seed, 1, s);
        if (grpo_sft(g, some, PROMPTS, 3e-3f, NULL)) return NULL;
        if (s % 5 == 0 && accuracy_of(g) > 0.1) break;
    }
    return g;
}

static int climb(int at, const grpo *from, int seed, int steps) {
    grpo *g = make_policy(&rungs[at], seed + 1);
    grpo_prompt some[PROMPTS];
    grpo_metrics m;
    int s, code = !g || grpo_copy_weights(g, from);
    if (!code && g->config.objective.beta > 0) code = grpo_set_reference(g, 1);
    if (!code) accuracy[at][0][seed] = accuracy_of(g);
    for (s = 1; s <= steps && !code; s++) {
        draw(some, seed + 1, 2, s);
        code = grpo_step(g, some, PROMPTS, &m);
        grad_norm[at][seed] += m.grad_norm / steps;
        if (s % EVERY == 0) accuracy[at][s / EVERY][seed] = accuracy_of(g);
    }
    if (code && g) fprintf(stderr, "%s: %s\n", rungs[at].name, grpo_error(g));
    grpo_free(g);
    return code;
}

/* One line for each of the steps shown. */
static void print_seed(int seed, int steps) {
    int i, k;
    for (k = 0; k < SHOWN && shown[k] <= steps; k++) {
        printf("| %d | %d ", seed + 1, shown[k]);
        for (i = 0; i < RUNGS; i++) printf("| %.3f ", accuracy[i][shown[k] / EVERY][seed]);
        printf("|\n");
    }
    fflush(stdout);
}

/* A curve in one line, eight heights. */
static void print_curve(int at, int seeds, int steps) {
    static const char *const bars[8] = {
        "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
        "\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88" };
    int i;
    printf("| ");
    for (i = 0; i <= steps / EVERY; i++)
        fputs(bars[(int)(7.99 * seeds_mean(accuracy[at][i], seeds))], stdout);
    printf(" ");
}

static void print_means(int seeds, int steps) {
    int i, k, last = steps / EVERY;
    printf("\n%d seeds, %d samples a step: pass@1 with its 95 %% interval; * differs from 0.\n"
           "Curve: every %d steps, from 0, lowest height, to 1, full; gradient: its norm\n\n"
           "| rung | objective | curve ", seeds, PROMPTS * GROUP, EVERY);
    for (k = 0; k < SHOWN && shown[k] <= steps; k++) printf("| after %d steps ", shown[k]);
    printf("| less the rung before | gradient |\n|---|---|---|---|---|");
    for (k = 0; k < SHOWN && shown[k] <= steps; k++) printf("---|");
    for (i = 0; i < RUNGS; i++) {
        printf("\n| %s | `%s` ", rungs[i].name, rungs[i].objective);
        print_curve(i, seeds, steps);
        for (k = 0; k < SHOWN && shown[k] <= steps; k++)
            seeds_print(accuracy[i][shown[k] / EVERY], seeds);
        if (i) seeds_print_difference(accuracy[i][last], accuracy[i - 1][last], seeds);
        else printf("| ");
        printf("| %.2f |", seeds_mean(grad_norm[i], seeds));
    }
    printf("\n");
}

static const char intro[] =
    "From REINFORCE to GRPO, one rung at a time: each adds a part to the objective. All begin\n"
    "with the same warmed-up policy and see the same questions and equally many samples.";

int main(int argc, char **argv) {
    static const char options[] =
        "  --seeds N     runs of each rung, 1 to 50 (10)\n"
        "  --steps N     GRPO steps of each, 15 to 480 (180)\n"
        "  --quick       one seed, 45 steps\n" SHOW_THREADS SHOW_BACKEND;
    int seeds = 10, steps = shown[SHOWN - 1], s, i;
    if (show_lesson(argc, argv, intro, options)) return 0;
    backend = backend_argument(&argc, argv);
    for (i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--quick")) { seeds = 1; steps = shown[0]; }
        else if (!strcmp(argv[i], "--seeds")) seeds = show_number(argv, i++);
        else if (!strcmp(argv[i], "--steps")) steps = show_number(argv, i++);
        else if (!strcmp(argv[i], "--threads")) threads = show_number(argv, i++);
        else break;
    }
    if (i < argc) return show_misuse(argv[i], options);
    if (seeds < 1 || seeds > SEEDS_MOST) return show_misuse("--seeds", options);
    if (steps < EVERY || steps > EVERY * TIMES) return show_misuse("--steps", options);
    make_sums();
    printf("\npass@1 of each rung\n\n| seed | steps ");
    for (i = 0; i < RUNGS; i++) printf("| %s ", rungs[i].name);
    printf("|\n|---|---|---|---|---|---|---|\n");
    for (s = 0; s < seeds; s++) {
        grpo *warm = warm_up(s + 1);
        if (!warm) return 1;
        for (i = 0; i < RUNGS; i++)
            if (climb(i, warm, s, steps)) return 1;
        grpo_free(warm);
        print_seed(s, steps);
    }
    if (seeds > 1) print_means(seeds, steps);
    puts("\nNotice: a rung is better where its difference has a star; the others may be luck.");
    return 0;
}
