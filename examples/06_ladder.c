/* 06 the ladder: from REINFORCE to GRPO, one rung at a time.
 *
 *     cc -O2 -I.. 06_ladder.c -o ladder -lm && ./ladder [--seeds N | --quick]
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
 * What is shown is the average over seeds, with the standard error of the mean: without it, luck
 * would look like progress. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "backend.h"

enum { QUESTIONS = 100, PROMPTS = 16, GROUP = 8, RUNGS = 5, MOST_SEEDS = 32, POINTS = 12 };

typedef struct rung { const char *name, *objective; int num_iterations; } rung;

static const rung rungs[RUNGS] = {
    { "REINFORCE", "reinforce", 1 },
    { "+ mean", "reinforce advantage=mean", 1 },
    { "+ std", "reinforce advantage=zscore", 1 },
    { "+ ratio, clip", "trl", 2 },
    { "+ KL", "trl beta=0.04", 2 } };

typedef struct climb {              /* of one rung, one number a seed                            */
    double accuracy[POINTS + 1][MOST_SEEDS];
    double grad_norm[MOST_SEEDS];
} climb;

static char questions[QUESTIONS][8], answers[QUESTIONS][4];
static grpo_prompt prompts[QUESTIONS];
static climb climbs[RUNGS];

static void make_sums(void) {
    int i;
    for (i = 0; i < QUESTIONS; i++) {
        snprintf(questions[i], sizeof questions[i], "%d+%d=", i / 10, i % 10);
        snprintf(answers[i], sizeof answers[i], "%d", i / 10 + i % 10);
        prompts[i] = grpo_question(questions[i], answers[i]);
    }
}

static const grpo_backend *backend;  /* of --backend */

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

static int climb_once(const rung *r, const grpo *from, climb *c, int seed, int steps) {
    grpo *g = make_policy(r, seed + 1);
    grpo_prompt some[PROMPTS];
    grpo_metrics m;
    int s, code = !g || grpo_copy_weights(g, from);
    if (!code && g->config.objective.beta > 0) code = grpo_set_reference(g, 1);
    if (!code) c->accuracy[0][seed] = accuracy_of(g);
    c->grad_norm[seed] = 0;
    for (s = 1; s <= steps && !code; s++) {
        draw(some, seed + 1, 2, s);
        code = grpo_step(g, some, PROMPTS, &m);
        c->grad_norm[seed] += m.grad_norm / steps;
        if (s % (steps / POINTS) == 0) c->accuracy[s / (steps / POINTS)][seed] = accuracy_of(g);
    }
    if (code && g) fprintf(stderr, "%s: %s\n", r->name, grpo_error(g));
    grpo_free(g);
    return code;
}

static double mean_of(const double *x, int n) {
    double sum = 0;
    int i;
    for (i = 0; i < n; i++) sum += x[i];
    return sum / n;
}

static double error_of(const double *x, int n) {
    double mean = mean_of(x, n), squares = 0;
    int i;
    for (i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sqrt(squares / (n - 1) / n) : 0;
}

/* A curve in one line, eight heights. */
static void print_curve(const climb *c, int seeds) {
    static const char *const bars[8] = {
        "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
        "\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88" };
    int i;
    for (i = 0; i <= POINTS; i++) fputs(bars[(int)(7.99 * mean_of(c->accuracy[i], seeds))], stdout);
}

static void print_table(int seeds, int steps) {
    int i, quarter = POINTS / 4;
    printf("%d seeds, %d steps of %d samples; pass@1 +- standard error over seeds\n\n",
           seeds, steps, PROMPTS * GROUP);
    printf("%-14s %-30s %-14s after 1/4     after 1/2     at the end      |gradient|\n",
           "rung", "objective", "");
    for (i = 0; i < RUNGS; i++) {
        const climb *c = &climbs[i];
        printf("%-14s %-30s ", rungs[i].name, rungs[i].objective);
        print_curve(c, seeds);
        printf("  %.2f +- %.2f  %.2f +- %.2f  %.2f +- %.2f  %8.3f\n",
               mean_of(c->accuracy[quarter], seeds), error_of(c->accuracy[quarter], seeds),
               mean_of(c->accuracy[2 * quarter], seeds), error_of(c->accuracy[2 * quarter], seeds),
               mean_of(c->accuracy[POINTS], seeds), error_of(c->accuracy[POINTS], seeds),
               mean_of(c->grad_norm, seeds));
    }
}

int main(int argc, char **argv) {
    int seeds = 5, steps = 180, s, i;
    backend = backend_argument(&argc, argv);
    if (argc > 1 && !strcmp(argv[1], "--quick")) { seeds = 1; steps = 24; }
    else if (argc > 2 && !strcmp(argv[1], "--seeds")) seeds = atoi(argv[2]);
    else if (argc > 1) seeds = 0;
    if (seeds < 1 || seeds > MOST_SEEDS) {
        fprintf(stderr, "06_ladder [--quick | --seeds N], N from 1 to %d\n", MOST_SEEDS);
        return 2;
    }
    make_sums();
    for (s = 0; s < seeds; s++) {
        grpo *warm = warm_up(s + 1);
        if (!warm) return 1;
        for (i = 0; i < RUNGS; i++)
            if (climb_once(&rungs[i], warm, &climbs[i], s, steps)) return 1;
        grpo_free(warm);
    }
    print_table(seeds, steps);
    return 0;
}
