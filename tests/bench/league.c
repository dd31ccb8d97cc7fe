/* The league: every preset, and PPO (examples/ppo.h), over several seeds and two tasks, from the
 * same weights, with equal samples and equal time. make league; the tables of tests/bench/README.md
 * are its output.
 *
 *     build/league [--seeds N] [--steps N] [--only "NAME NAME ..."] [--threads N]
 *
 * Each seed draws its own weights, questions and samples, and warms up its policy by supervision;
 * all presets then begin with that policy. Every batch is learned from twice (mu = 2), so that
 * ratios leave 1. pass@1 is estimated from 8 samples of every question of the task: of each seed,
 * then the mean with its 95 % interval, then the difference from trl, seed by seed (* differs from
 * 0). "equal time" is the pass@1 when a run had used as many seconds of the processor as trl's took
 * on average. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "examples/ppo.h"
#include "examples/seeds.h"
#include "examples/show.h"
#include <stdio.h>
#include <time.h>

enum { QUESTIONS = 128, PROMPTS = 32, GROUP = 8, MOST_PRESETS = 64, TIMES = 8 };

typedef struct task {
    const char *name;
    int prompt_length, completion_length, steps;
    double warm;                    /* accuracy at which supervision ends                        */
    void (*make)(int i, char *question, char *answer);
} task;

typedef struct result { double start, end, seconds, times[TIMES], values[TIMES]; } result;

static char questions[QUESTIONS][16], answers[QUESTIONS][16];
static grpo_prompt prompts[QUESTIONS];

/* "3+9=" -> "12" */
static void make_sum(int i, char *question, char *answer) {
    int a = i % 10, b = i / 10 % 10;
    sprintf(question, "%d+%d=", a, b);
    sprintf(answer, "%d", a + b);
}

/* "3141=" -> "1134" */
static void make_order(int i, char *question, char *answer) {
    int n = (int)(grpo__mix((uint64_t)i) % 10000), count[10] = { 0 }, d;
    sprintf(question, "%04d=", n);
    for (d = 0; d < 4; d++) count[question[d] - '0']++;
    for (d = 0; d < 10; d++)
        while (count[d]-- > 0) *answer++ = (char)('0' + d);
    *answer = 0;
}

static const task tasks[2] = {
    { "one-digit sums", 4, 3, 64, 0.2, make_sum },
    { "four digits in order", 5, 5, 64, 0.2, make_order } };

/* The presets by number, then PPO; 0 beyond. */
static int name_of(int i, const char **name) {
    if (grpo_objective_name(i, name, NULL)) return 1;
    *name = "ppo";
    return i == 0 || grpo_objective_name(i - 1, NULL, NULL);
}

static grpo_prompt draw(uint64_t seed, int what, int step, int i) {
    float u = grpo_uniform(seed, (uint64_t)what, (uint64_t)step, (uint64_t)i, 0);
    return prompts[(int)((float)QUESTIONS * u)];
}

static void make_prompts(const task *t) {
    int i;
    for (i = 0; i < QUESTIONS; i++) {
        t->make(i, questions[i], answers[i]);
        prompts[i] = grpo_question(questions[i], answers[i]);
    }
}

static grpo *make_policy(const task *t, const char *preset, uint64_t seed, int threads) {
    grpo_config c = grpo_defaults();
    grpo *g;
    c.vocabulary = "0123456789+=";
    c.max_prompt_length = t->prompt_length;
    c.max_completion_length = t->completion_length;
    c.num_prompts = PROMPTS;
    c.num_generations = GROUP;
    c.num_iterations = 2;
    c.learning_rate = 1e-3f;
    c.model.initializer_range = 0.1f;
    c.seed = seed;
    c.threads = threads;
    grpo_objective_set(&c.objective, strcmp(preset, "ppo") ? preset : PPO_OBJECTIVE, NULL);
    grpo_add_reward(&c, "correct", grpo_reward_exact_match, 1, NULL);
    g = grpo_new(&c);
    if (!g) fprintf(stderr, "%s: %s\n", preset, c.error);
    return g;
}

/* PPO, and its value model; non-zero on failure. */
static int add_critic(ppo *p, grpo *g) {
    grpo_config c = ppo_value_config(&g->config);
    grpo *critic = grpo_new(&c);
    return !critic || grpo_copy_weights(critic, g) || ppo_begin(p, g, critic);
}

static double pass_at_1(grpo *g) {
    grpo_evaluation e;
    return grpo_evaluate(g, prompts, QUESTIONS, 8, 1, &e) ? -1 : (double)e.pass_at_1;
}

/* The policy that all presets of a seed begin with. */
static grpo *warm_up(const task *t, uint64_t seed, int threads) {
    grpo *g = make_policy(t, "trl", seed, threads);
    grpo_evaluation e;
    int s, i;
    for (s = 1; g && s <= 1000; s++) {
        grpo_prompt some[PROMPTS];
        for (i = 0; i < PROMPTS; i++) some[i] = draw(seed, 1, s, i);
        if (grpo_sft(g, some, PROMPTS, 3e-3f, NULL)) return NULL;
        if (s % 5 == 0 && !grpo_evaluate(g, prompts, QUESTIONS, 0, 0, &e)
            && (double)e.accuracy > t->warm)
            return g;
    }
    return g;
}

static int run(const task *t, const char *preset, const grpo *from, uint64_t seed, int steps,
               int threads, result *r) {
    grpo *g = make_policy(t, preset, seed, threads);
    int s, i, valued = !strcmp(preset, "ppo"), code = !g;
    ppo p;
    memset(&p, 0, sizeof p);
    memset(r, 0, sizeof *r);
    if (!code) code = grpo_copy_weights(g, from) || (valued && add_critic(&p, g));
    if (!code && g->config.objective.beta > 0) code = grpo_set_reference(g, 1);
    if (!code) r->start = pass_at_1(g);
    for (s = 1; s <= steps && !code; s++) {
        grpo_prompt some[PROMPTS];
        clock_t start = clock();
        for (i = 0; i < PROMPTS; i++) some[i] = draw(seed, 2, s, i);
        code = valued ? ppo_step(&p, some, PROMPTS, NULL) : grpo_step(g, some, PROMPTS, NULL);
        r->seconds += (double)(clock() - start) / CLOCKS_PER_SEC;
        if (s % (steps / TIMES) == 0 && s / (steps / TIMES) <= TIMES) {
            r->times[s / (steps / TIMES) - 1] = r->seconds;
            r->values[s / (steps / TIMES) - 1] = r->end = pass_at_1(g);
        }
    }
    if (code) fprintf(stderr, "%s: %s\n", preset, valued ? p.error : grpo_error(g));
    grpo_free(p.critic);
    ppo_end(&p);
    grpo_free(g);
    return code;
}

/* pass@1 after so many seconds: that of the last point before. */
static double at_time(const result *r, double seconds) {
    double value = r->start;
    int i;
    for (i = 0; i < TIMES; i++)
        if (r->times[i] > 0 && r->times[i] <= seconds * 1.02) value = r->values[i];
    return value;
}

static int is_asked_for(const char *only, const char *name) {
    size_t n = strlen(name);
    const char *at = only;
    if (!only || !strcmp(name, "trl")) return 1;    /* what the others are compared with       */
    while ((at = strstr(at, name)) != NULL) {
        if ((at == only || at[-1] == ' ') && (at[n] == ' ' || !at[n])) return 1;
        at += n;
    }
    return 0;
}

/* The end of a row whose seeds are printed. */
static void print_means(const result *r, const result *trl, int seeds, double budget) {
    double end[SEEDS_MOST], timed[SEEDS_MOST], seconds[SEEDS_MOST], of_trl[SEEDS_MOST];
    int i;
    for (i = 0; i < seeds; i++) {
        end[i] = r[i].end; seconds[i] = r[i].seconds; of_trl[i] = trl[i].end;
        timed[i] = at_time(&r[i], budget);
    }
    seeds_print(end, seeds);
    if (r != trl) seeds_print_difference(end, of_trl, seeds);
    else printf("| ");
    seeds_print(timed, seeds);
    printf("| %.2f s ", seeds_mean(seconds, seeds));
}

static int play(const task *t, int seeds, int steps, const char *only, int threads) {
    static result results[MOST_PRESETS][SEEDS_MOST];
    const char *name;
    double budget = 0;
    int i, s, trl = 0;
    make_prompts(t);
    for (s = 0; s < seeds; s++) {
        grpo *warm = warm_up(t, (uint64_t)s + 1, threads);
        if (!warm) return 1;
        for (i = 0; i < MOST_PRESETS && name_of(i, &name); i++)
            if (is_asked_for(only, name)
                && run(t, name, warm, (uint64_t)s + 1, steps, threads, &results[i][s]))
                return 1;
        grpo_free(warm);
    }
    while (name_of(trl, &name) && strcmp(name, "trl")) trl++;
    for (s = 0; s < seeds; s++) budget += results[trl][s].seconds / seeds;
    printf("\n%s: %d seeds, %d steps of %d samples, each learned from twice\n\n| preset ",
           t->name, seeds, steps, PROMPTS * GROUP);
    for (s = 0; s < seeds; s++) printf("| seed %d ", s + 1);
    printf(seeds > 1 ? "| mean | less trl | at equal time | processor time |\n|---|---|---|---|---"
                     : "|\n|---");
    for (s = 0; s < seeds; s++) printf("|---");
    printf("|\n| before ");
    for (s = 0; s < seeds; s++) printf("| %.3f ", results[trl][s].start);
    printf(seeds > 1 ? "| | | | |\n" : "|\n");
    for (i = 0; i < MOST_PRESETS && name_of(i, &name); i++) {
        if (!is_asked_for(only, name)) continue;
        printf("| `%s` ", name);
        for (s = 0; s < seeds; s++) printf("| %.3f ", results[i][s].end);
        if (seeds > 1) print_means(results[i], results[trl], seeds, budget);
        printf("|\n");
    }
    return 0;
}

/* Are they all, with blanks between? */
static int are_presets(const char *names) {
    char name[64];
    int i, used;
    const char *known;
    for (; sscanf(names, "%63s%n", name, &used) == 1; names += used) {
        for (i = 0; name_of(i, &known) && strcmp(known, name) != 0; i++) {}
        if (!name_of(i, &known)) return 0;
    }
    return 1;
}

static const char about[] = "Every preset, and PPO, over several seeds and two tasks, as tables.";
static const char options[] =
    "  --seeds N     1 to 50 (5)\n"
    "  --steps N     of each run, 8 or more (each task's own)\n"
    "  --only NAMES  of presets, with blanks between (all)\n" SHOW_THREADS;

int main(int argc, char **argv) {
    int seeds = 5, steps = 0, threads = 1, i, code = 0;
    const char *only = NULL;
    if (show_given(argc, argv, "--help")) return show_lesson(argc, argv, about, options), 0;
    for (i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--seeds")) seeds = show_number(argv, i);
        else if (!strcmp(argv[i], "--steps")) steps = show_number(argv, i);
        else if (!strcmp(argv[i], "--threads")) threads = show_number(argv, i);
        else if (!strcmp(argv[i], "--only")) only = argv[i + 1];
        else break;
    }
    if (i < argc) return show_misuse(argv[i], options);
    if (only && !are_presets(only)) return show_misuse("--only", options);
    if (seeds < 1 || seeds > SEEDS_MOST) return show_misuse("--seeds", options);
    if (steps && steps < TIMES) return show_misuse("--steps", options);
    for (i = 0; i < 2 && !code; i++)
        code = play(&tasks[i], seeds, steps ? steps : tasks[i].steps, only, threads);
    return code;
}
