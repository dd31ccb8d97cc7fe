/* 08 code: the reward runs what the policy writes. A transformer with random weights learns to
 * program a small stack machine (interpreter.h): shown three values of a hidden function of x and
 * y, as in "00>5 10>8 01>3;" for f(0,0) = 5, f(1,0) = 8, f(0,1) = 3, it writes "x3*y2*-5+".
 *
 *     cc -O2 -I.. 08_code.c -o code -lm && ./code
 *
 * 1. Warm-up. Supervised steps on training functions with a program for each, until 0.3 of a probe
 *    of them is right: a reward that nothing ever earns teaches nothing.
 * 2. GRPO. Nobody shows a program any more. Each of 8 attempts at each of 64 functions is run on
 *    five inputs that the prompt does not show, in a machine with a bound on everything. 1 if all
 *    outputs are right, 0 otherwise: for a wrong number, an unknown letter, a program without end.
 * 3. A fifth of the 1620 functions is in neither phase. What is measured is measured there.
 *
 * What to see: the attempts of a group differ in a digit or two, and running them tells which are
 * right. pass@8 leads, pass@1 follows: what came now and then becomes the rule. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "backend.h"
#include "interpreter.h"
#include "seeds.h"
#include "show.h"
#include <time.h>

enum { PROMPTS = 64, GROUP = 8, WARM_UP = 64, PROBE = 200, MOST_TASKS = 1620, SHOWN = 3, HIDDEN = 5,
       EVALUATE_EVERY = 25, COLUMNS = 4 };

typedef struct options {
    uint64_t seed;
    int seeds, steps, threads, quiet;
    const char *svg;
    const grpo_backend *backend;
} options;

typedef struct task {               /* a function to be found                                    */
    char prompt[48], program[48];   /* what is told of it; one program that computes it          */
    int values[SHOWN + HIDDEN];
} task;

typedef struct run {                /* everything of one training run                            */
    const options *o;
    grpo *g;
    task tasks[MOST_TASKS];
    grpo_prompt train[MOST_TASKS], held_out[MOST_TASKS], prompts[PROMPTS];
    int num_tasks, num_train, num_held_out, steps, warmup_steps;
    uint64_t drawn;                 /* training functions drawn so far                           */
    show_curve reward, accuracy;
    double seconds;                 /* of the processor, on all its cores                        */
    grpo_evaluation before, after;
} run;

/* x and y: the three points in the prompt, then the five that only the reward knows. */
static const int inputs[SHOWN + HIDDEN][2] = {
    { 0, 0 }, { 1, 0 }, { 0, 1 }, { 1, 1 }, { 2, 3 }, { -4, 5 }, { 9, -7 }, { 6, 8 }
};

static int value_at(const char *program, int i, int *value) {
    return run_program(program, inputs[i][0], inputs[i][1], value);
}

/* The reward: 1 if the program returns what the function does on every hidden input. */
static float passes_tests(const grpo_sample *s, void *user) {
    const task *t = (const task *)s->data;
    int i, value;
    (void)user;
    if (s->truncated) return 0;
    for (i = SHOWN; i < SHOWN + HIDDEN; i++)
        if (value_at(s->completion, i, &value) || value != t->values[i]) return 0;
    return 1;
}

/* The function a x + b y + c. */
static void add_task(run *r, int a, int b, int c) {
    task *t = &r->tasks[r->num_tasks];
    int i;
    snprintf(t->program, sizeof t->program, "x%d*y%d*%c%d+", a, abs(b), b < 0 ? '-' : '+', c);
    for (i = 0; i < SHOWN + HIDDEN; i++) value_at(t->program, i, &t->values[i]);
    snprintf(t->prompt, sizeof t->prompt, "00>%d 10>%d 01>%d;", t->values[0], t->values[1],
             t->values[2]);
    r->num_tasks++;
}

/* All functions with a = 1 ... 9, b = -9 ... 9 without 0, c = 0 ... 9; the same fifth of them is
 * held out in every run. */
static void collect_tasks(run *r) {
    int a, b, c, i;
    for (a = 1; a <= 9; a++)
        for (b = -9; b <= 9; b++)
            for (c = 0; c <= 9; c++)
                if (b != 0) add_task(r, a, b, c);
    for (i = 0; i < r->num_tasks; i++) {
        grpo_prompt p = grpo_question(r->tasks[i].prompt, r->tasks[i].program);
        p.data = &r->tasks[i];
        if (grpo_uniform(2024, 0, 0, (uint64_t)i, 0) < 0.2f) r->held_out[r->num_held_out++] = p;
        else r->train[r->num_train++] = p;
    }
}

static void draw_tasks(run *r, int n) {
    int i;
    for (i = 0; i < n; i++) {
        float u = grpo_uniform(r->o->seed, 1, r->drawn++, 0, 0);
        r->prompts[i] = r->train[(int)(u * (float)r->num_train)];
    }
}

static void on_message(const char *message, void *user) {
    (void)user;
    fprintf(stderr, "%s\n", message);
}

static grpo *make_policy(const options *o) {
    grpo_config c = grpo_defaults();
    c.seed = o->seed;
    c.threads = o->threads;
    c.backend = o->backend;
    c.log = on_message;
    c.vocabulary = "0123456789xy+-*ds()>; ";
    c.max_prompt_length = 24;
    c.max_completion_length = 10;   /* "x3*y2*-5+" and end-of-text */
    c.num_prompts = PROMPTS;
    c.num_generations = GROUP;
    c.objective = grpo_objective_preset("trl", NULL);
    c.objective.beta = 0;           /* no reference to stay near: the warm-up is far from good */
    c.objective.entropy_coef = 0.045f;
    c.learning_rate = 1e-3f;
    c.model.initializer_range = 0.1f;
    grpo_add_reward(&c, "tests", passes_tests, 1.0f, NULL);
    return grpo_new(&c);            /* NULL: on_message has said why */
}

static int evaluate(run *r, int samples, grpo_evaluation *e) {
    return grpo_evaluate(r->g, r->held_out, r->num_held_out, samples, samples, e);
}

/* Supervised steps until 0.3 of the probe, taken from the training functions, is right. */
static int warm_up(run *r) {
    grpo_prompt probe[PROBE];
    grpo_evaluation e;
    int i;
    for (i = 0; i < PROBE; i++) probe[i] = r->train[i * r->num_train / PROBE];
    do {
        for (i = 0; i < 10; i++, r->warmup_steps++) {
            draw_tasks(r, WARM_UP);
            if (grpo_sft(r->g, r->prompts, WARM_UP, 3e-3f, NULL)) return -1;
        }
        if (grpo_evaluate(r->g, probe, PROBE, 0, 0, &e)) return -1;
    } while (e.accuracy < 0.3f && r->warmup_steps < 1000);
    return 0;
}

/* Why a program failed: its error, or the first hidden input with another value. */
static void print_verdict(const grpo_sample *s) {
    const task *t = (const task *)s->data;
    int i, value, error;
    if (s->truncated) { printf("did not end\n"); return; }
    for (i = SHOWN; i < SHOWN + HIDDEN; i++) {
        if ((error = value_at(s->completion, i, &value)) != RUN_OK) {
            printf("%s\n", run_error(error));
            return;
        }
        if (value == t->values[i]) continue;
        printf("f(%d,%d) is %d, not %d\n", inputs[i][0], inputs[i][1], t->values[i], value);
        return;
    }
    printf("passes\n");
}

/* The first group in which some pass and some do not. */
static void print_group(const grpo_batch *b) {
    int i, first = 0, n = b->group_size;
    while (first + n < b->num_sequences && b->advantages[b->offsets[first]] == 0) first += n;
    printf("  %s\n", b->samples[first].prompt);
    for (i = first; i < first + n; i++) {
        printf("    %-10s reward %g  A %+.2f  ", b->samples[i].completion, (double)b->rewards[i],
               (double)b->advantages[b->offsets[i]]);
        print_verdict(&b->samples[i]);
    }
}

static void show_progress(const run *r, const grpo_metrics *m, double accuracy) {
    static const char clear[] = "\033[15A\033[J";
    const show_curve *const curves[2] = { &r->reward, &r->accuracy };
    if (r->o->quiet) return;
    if (show_is_terminal() && r->steps > EVALUATE_EVERY) fputs(clear, stdout);
    if (show_is_terminal()) show_plot(curves, 2, r->steps);
    printf("step %4d  reward %.2f  held-out %.3f  entropy %.2f  dead groups %.2f  %3.0f ms/step\n",
           m->step, m->reward, accuracy, m->entropy, m->frac_reward_zero_std, 1e3 * m->step_time);
    if (show_is_terminal()) printf("\n");
    fflush(stdout);
}

static int train(run *r) {
    grpo_metrics m;
    grpo_evaluation e;
    while (r->steps < r->o->steps) {
        draw_tasks(r, PROMPTS);
        if (grpo_step(r->g, r->prompts, PROMPTS, &m)) return -1;
        show_add(&r->reward, ++r->steps, m.reward);
        if (r->steps == 1 && !r->o->quiet) {
            printf("\nA group of the first step (00>1: f(0,0) is 1; A: advantage):\n");
            print_group(&r->g->batch);
            printf("\n");
        }
        if (r->steps % EVALUATE_EVERY) continue;
        if (evaluate(r, 0, &e)) return -1;
        show_add(&r->accuracy, r->steps, (double)e.accuracy);
        show_progress(r, &m, (double)e.accuracy);
    }
    return 0;
}

/* What the policy now writes for functions it has never seen. */
static int print_programs(run *r) {
    const grpo_sampling greedy = { 0, 0, 1, 0 };
    char text[32];
    int i;
    printf("\nGreedy programs for held-out functions:\n");
    for (i = 0; i < r->num_held_out; i += r->num_held_out / 7) {
        grpo_sample s;
        memset(&s, 0, sizeof s);
        if (grpo_generate(r->g, &r->held_out[i], &greedy, 1, text, sizeof text) < 0) return -1;
        s.completion = text;
        s.data = r->held_out[i].data;
        printf("    %-20s %-10s ", r->held_out[i].text, text);
        print_verdict(&s);
    }
    return 0;
}

static void print_evaluation(const char *when, const grpo_evaluation *e) {
    printf("%-14s held-out accuracy %.3f  pass@1 %.3f  pass@8 %.3f\n", when, (double)e->accuracy,
           (double)e->pass_at_1, (double)e->pass_at_k);
}

/* Warm-up, GRPO, verdict. Returns 0, or -1 on failure. */
static int train_once(run *r, const options *o) {
    clock_t start = clock();
    memset(r, 0, sizeof *r);
    r->o = o;
    r->reward.name = "reward";
    r->reward.color = "#8ab4d8";
    r->accuracy.name = "held-out accuracy";
    r->accuracy.color = "#d9622b";
    if ((r->g = make_policy(o)) == NULL) return -1;
    collect_tasks(r);
    if (warm_up(r) || evaluate(r, 8, &r->before)) return -1;
    show_add(&r->accuracy, 0, (double)r->before.accuracy);
    if (!o->quiet) {
        printf("%.0f parameters, %d functions to train on, %d held out; %d supervised steps.\n",
               (double)r->g->num_parameters, r->num_train, r->num_held_out, r->warmup_steps);
        print_evaluation("after warm-up:", &r->before);
    }
    if (train(r) || evaluate(r, 8, &r->after)) return -1;
    r->seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    if (o->quiet) return 0;
    if (print_programs(r)) return -1;
    printf("\n");
    print_evaluation("before GRPO:", &r->before);
    print_evaluation("after GRPO:", &r->after);
    return 0;
}

static const char option_lines[] =
    "  --seed N      of weights and samples (1)\n"
    "  --seeds N     run that many, from --seed on, up to 50: a table\n"
    "  --steps N     GRPO steps (200)\n"
    "  --quick       25 of them\n"
    "  --svg FILE    the learning curve\n" SHOW_THREADS SHOW_BACKEND;

static int parse(options *o, int argc, char **argv) {
    int i;
    for (i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(argv[i], "--quick")) { o->steps = EVALUATE_EVERY; continue; }
        if (!value) break;
        if (!strcmp(argv[i], "--seed")) o->seed = (uint64_t)show_number(argv, i);
        else if (!strcmp(argv[i], "--seeds")) o->seeds = show_number(argv, i);
        else if (!strcmp(argv[i], "--steps")) o->steps = show_number(argv, i);
        else if (!strcmp(argv[i], "--threads")) o->threads = show_number(argv, i);
        else if (!strcmp(argv[i], "--svg")) o->svg = value;
        else break;
        i++;
    }
    o->quiet = o->seeds > 0;
    if (i >= argc && o->seeds <= SEEDS_MOST) return 0;
    return show_misuse(i < argc ? argv[i] : "--seeds", option_lines);
}

static int save_chart(const run *r, const char *path) {
    const show_curve *curves[2];
    curves[0] = &r->reward;
    curves[1] = &r->accuracy;
    if (!show_svg(path, "Programs for a stack machine, by GRPO", curves, 2, r->steps)) return 0;
    fprintf(stderr, "%s cannot be written\n", path);
    return -1;
}

/* ---- a table over seeds: held-out accuracy after so many steps, then pass@k */
static int print_seeds(run *r, options *o) {
    static const int columns[COLUMNS] = { 0, 25, 100, 200 };
    double accuracy[COLUMNS][SEEDS_MOST];
    int i, k, n, whole = o->steps >= columns[COLUMNS - 1];
    printf("| seed ");
    for (k = 0; k < COLUMNS && columns[k] <= o->steps; k++) printf("| after %d ", columns[k]);
    if (whole) printf("| pass@1 | pass@8 | processor time ");
    printf("|\n|---|");
    for (n = whole ? k + 3 : k; n > 0; n--) printf("---|");
    printf("\n");
    for (i = 0; i < o->seeds; i++, o->seed++) {
        if (train_once(r, o)) return -1;
        printf("| %d ", (int)o->seed);
        for (n = 0; n < k; n++) {
            accuracy[n][i] = r->accuracy.y[columns[n] / EVALUATE_EVERY];
            printf("| %.3f ", accuracy[n][i]);
        }
        if (whole)
            printf("| %.3f -> %.3f | %.3f -> %.3f | %.0f s ", (double)r->before.pass_at_1,
                   (double)r->after.pass_at_1, (double)r->before.pass_at_k,
                   (double)r->after.pass_at_k, r->seconds);
        printf("|\n");
        fflush(stdout);
        grpo_free(r->g);
    }
    if (i == 1) return 0;
    printf("| mean, 95 %% interval ");
    for (n = 0; n < k; n++) seeds_print(accuracy[n], i);
    printf(whole ? "| | | |\n| gained, seed by seed " : "|\n| gained, seed by seed ");
    printf("| ");
    for (n = 1; n < k; n++) seeds_print_difference(accuracy[n], accuracy[0], i);
    printf(whole ? "| | | |\n" : "|\n");
    return 0;
}

static const char intro[] =
    "A transformer with random weights learns to program a stack machine. Shown three values of a\n"
    "function it writes a program; the reward runs it on five inputs it is not shown.";

int main(int argc, char **argv) {
    static run r;
    static options o = { 1, 0, 200, 0, 0, NULL, NULL };
    if (show_lesson(argc, argv, intro, option_lines)) return 0;
    o.backend = backend_argument(&argc, argv);
    if (parse(&o, argc, argv)) return 2;
    if (o.seeds ? print_seeds(&r, &o) : train_once(&r, &o)) {
        if (r.g) fprintf(stderr, "%s\n", grpo_error(r.g));
        return 1;
    }
    puts("\nNotice: running the attempts tells which are right; pass@8 leads, pass@1 follows.");
    if (o.seeds) return 0;
    if (o.svg && save_chart(&r, o.svg)) return 1;
    grpo_free(r.g);
    return r.after.accuracy <= r.before.accuracy && o.steps >= 200;
}
