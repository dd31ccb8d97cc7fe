/* 03 arithmetic: the main job. A transformer with random weights learns to add two numbers below
 * 100, "47+85=" -> "231", "07+12=" -> "91": the digits of the sum, units first.
 *
 *     cc -O2 -I.. 03_arithmetic.c -o arithmetic -lm && ./arithmetic        (or: make run)
 *     ./arithmetic --processes 4               in four processes: the bits of --lanes 4 in one
 *
 * 1. Warm-up. GRPO can only reward what is sometimes said. A few hundred supervised steps teach the
 *    form, and a seventh of the sums; they stop as soon as a probe says so.
 * 2. GRPO. From here on nobody shows an answer: a function says right or wrong of each of the 8
 *    attempts at each of 64 questions, and the group decides which were better than expected.
 * 3. A tenth of all 10,000 questions is trained on in neither phase: accuracy is measured there.
 *
 * What to see: the loss means nothing, the reward everything. pass@8 leads and pass@1 follows: GRPO
 * makes reliable what the policy could already do at times. An entropy bonus keeps it curious. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "backend.h"
#include "seeds.h"
#include "show.h"
#include "team.h"
#include <time.h>

enum { PROMPTS = 64, GROUP = 8, HELD_OUT = 1100, EVALUATE_EVERY = 25, PROBE = 300 };

typedef struct options {
    uint64_t seed;
    int seeds, steps, threads, lanes, quiet;
    const char *log, *svg, *preset, *presets;
    const grpo_backend *backend;
    grpo_team team;
} options;

typedef struct question { char text[16], answer[8]; } question;

typedef struct run {                /* everything of one training run */
    const options *o;
    grpo *g;
    uint64_t asked;                 /* training questions drawn so far */
    question train[PROMPTS * GROUP], held_out[HELD_OUT];
    grpo_prompt prompts[PROMPTS * GROUP], test[HELD_OUT];
    show_curve reward, accuracy;
    int num_test, steps, warmup_steps;
    double seconds, tokens;         /* of the GRPO steps */
    grpo_evaluation before, after;
} run;

/* The same tenth for every run. */
static int is_held_out(int a, int b) {
    return grpo_uniform(2024, 0, 0, (uint64_t)a, (uint64_t)b) < 0.1f;
}

/* The sum is written units first, as one adds by hand: each digit then needs only what is there
 * already. (Tens first, the first digit must guess the carry; that is learnt too, but not within
 * a minute.) */
static grpo_prompt ask(question *q, int a, int b) {
    int sum = a + b, n = 0;
    snprintf(q->text, sizeof q->text, "%02d+%02d=", a, b);
    do q->answer[n++] = (char)('0' + sum % 10); while (sum /= 10);
    q->answer[n] = 0;
    return grpo_question(q->text, q->answer);
}

static void draw_questions(run *r, int n) {
    int i;
    for (i = 0; i < n; r->asked++) {
        int a = (int)(100 * grpo_uniform(r->o->seed, 1, r->asked, 0, 0));
        int b = (int)(100 * grpo_uniform(r->o->seed, 1, r->asked, 0, 1));
        if (is_held_out(a, b)) continue;
        r->prompts[i] = ask(&r->train[i], a, b);
        i++;
    }
}

/* All held-out questions, in an order that has nothing to do with their sums. */
static void collect_held_out(run *r) {
    int i;
    for (i = 0; i < 10000 && r->num_test < HELD_OUT; i++) {
        int k = i * 7919 % 10000, n = r->num_test;
        if (!is_held_out(k / 100, k % 100)) continue;
        r->test[n] = ask(&r->held_out[n], k / 100, k % 100);
        r->num_test++;
    }
}

static void on_message(const char *message, void *user) {
    (void)user;
    fprintf(stderr, "%s\n", message);
}

static grpo *make_policy(const options *o) {
    grpo_config c = grpo_defaults();
    grpo *g;
    char error[GRPO_ERROR_LENGTH];
    c.seed = o->seed;
    c.threads = o->threads;
    c.lanes = o->lanes;
    c.team = o->team;
    c.log = o->team.rank ? NULL : on_message;
    c.backend = o->backend;
    c.metrics_path = o->log;
    c.vocabulary = "0123456789+=";
    c.max_prompt_length = 6;        /* "99+99=" */
    c.max_completion_length = 4;    /* "891" and end-of-text */
    c.num_prompts = PROMPTS;
    c.num_generations = GROUP;
    if (grpo_objective_set(&c.objective, o->preset, error)) {
        on_message(error, NULL);
        return NULL;
    }
    c.learning_rate = 1.5e-3f;
    c.model.initializer_range = 0.1f;
    grpo_add_reward(&c, "correct", grpo_reward_exact_match, 1.0f, NULL);
    g = grpo_new(&c);
    return g;                       /* NULL: on_message has said why */
}

static double accuracy_on(run *r, int n) {
    grpo_evaluation e;
    return grpo_evaluate(r->g, r->test, n, 0, 0, &e) ? -1 : (double)e.accuracy;
}

/* Supervised steps until a seventh of the probe is right. */
static int warm_up(run *r) {
    double loss, accuracy = 0;
    while (accuracy < 0.15 && r->warmup_steps < 2000) {
        draw_questions(r, 256);
        if (grpo_sft(r->g, r->prompts, 256, 3e-3f, &loss)) return -1;
        if (++r->warmup_steps % 5 == 0 && (accuracy = accuracy_on(r, PROBE)) < 0) return -1;
    }
    return 0;
}

/* One group: attempts, rewards, advantages. */
static void print_group(const grpo_batch *b, int group) {
    int i;
    printf("    %s  ", b->samples[group * b->group_size].prompt);
    for (i = group * b->group_size; i < (group + 1) * b->group_size; i++)
        printf(" %s%s", b->samples[i].completion, b->rewards[i] > 0 ? "*" : "");
    printf("\n    A     ");
    for (i = group * b->group_size; i < (group + 1) * b->group_size; i++)
        printf(" %+.1f", (double)b->advantages[b->offsets[i]]);
    printf("\n");
}

static void show_progress(run *r, const grpo_metrics *m, double accuracy) {
    static const char clear[] = "\033[15A\033[J";
    const show_curve *const curves[2] = { &r->reward, &r->accuracy };
    if (r->o->quiet) return;
    if (show_is_terminal() && r->steps > EVALUATE_EVERY) fputs(clear, stdout);
    if (show_is_terminal()) show_plot(curves, 2, r->steps);
    printf("step %4d  reward %.2f  held-out %.3f  entropy %.2f  dead groups %.2f  length %.1f  "
           "%3.0f ms/step\n", m->step, m->reward, accuracy, m->entropy, m->frac_reward_zero_std,
           m->completions_mean_length, 1e3 * m->step_time);
    if (show_is_terminal()) printf("\n");
    fflush(stdout);
}

static int train(run *r) {
    const double warmup_tokens = r->g->state.num_tokens;
    grpo_metrics m;
    while (r->steps < r->o->steps) {
        double accuracy;
        draw_questions(r, PROMPTS);
        if (grpo_step(r->g, r->prompts, PROMPTS, &m)) return -1;
        r->seconds += m.step_time;
        r->tokens = m.num_tokens - warmup_tokens;
        show_add(&r->reward, ++r->steps, m.reward);
        if (r->steps == 1 && !r->o->quiet) {
            printf("\nA group at the first step (* is right, A its advantage):\n");
            print_group(&r->g->batch, 0);
            printf("\nheld-out: accuracy of the greedy answers; dead groups: all rewards equal, so "
                   "nothing to learn\n\n");
        }
        if (r->steps % EVALUATE_EVERY) continue;
        if ((accuracy = accuracy_on(r, r->num_test)) < 0) return -1;
        show_add(&r->accuracy, r->steps, accuracy);
        show_progress(r, &m, accuracy);
        if (accuracy >= 0.96) break;
    }
    return 0;
}

/* Warm-up, GRPO, verdict. Returns the final accuracy, negative on failure. */
static double train_once(run *r, const options *o) {
    const int k = o->presets || (o->seeds && o->steps <= 200) ? 0 : 8;        /* of pass@k       */
    memset(r, 0, sizeof *r);
    r->o = o;
    r->reward.name = "reward";
    r->reward.color = "#8ab4d8";
    r->accuracy.name = "held-out accuracy";
    r->accuracy.color = "#d9622b";
    r->g = make_policy(o);
    if (!r->g) return -1;
    collect_held_out(r);
    if (warm_up(r) || grpo_evaluate(r->g, r->test, r->num_test, k, k, &r->before)) return -1;
    show_add(&r->accuracy, 0, (double)r->before.accuracy);
    if (!o->quiet)
        printf("\n%.0f parameters. After %d supervised steps: held-out accuracy %.3f, pass@1 %.3f, "
               "pass@8 %.3f\n", (double)r->g->num_parameters, r->warmup_steps,
               (double)r->before.accuracy, (double)r->before.pass_at_1,
               (double)r->before.pass_at_k);
    if (train(r) || grpo_evaluate(r->g, r->test, r->num_test, k, k, &r->after)) return -1;
    return (double)r->after.accuracy;
}

/* ---- tables over seeds, for the README */

static int fail(const run *r) {
    if (r->g && !r->o->team.rank) fprintf(stderr, "%s\n", grpo_error(r->g));
    return 1;
}

/* Held-out accuracy of the greedy policy after so many steps; -1 if the run was shorter. */
static double accuracy_after(const run *r, int steps) {
    int i;
    for (i = 0; i < r->accuracy.count; i++)
        if ((int)r->accuracy.x[i] == steps) return r->accuracy.y[i];
    return -1;
}

static int print_seeds(run *r, options *o) {
    static const int shown[3] = { 0, 50, 200 };
    double after[SEEDS_MOST];
    int i, k;
    printf("| seed | after warm-up | after 50 steps | after 200 | at the end | steps | pass@1 | "
           "pass@8 | processor time |\n|---|---|---|---|---|---|---|---|---|\n");
    for (i = 0; i < o->seeds; i++, o->seed++) {
        clock_t start = clock();
        after[i] = train_once(r, o);
        if (after[i] < 0) return fail(r);
        printf("| %d ", (int)o->seed);
        for (k = 0; k < 3; k++)
            if (shown[k] <= r->steps) printf("| %.3f ", accuracy_after(r, shown[k]));
            else if (o->steps > shown[k]) printf("| ");
        if (o->steps > shown[2])
            printf("| %.3f | %d | %.2f -> %.2f | %.2f -> %.2f | %.1f s ", after[i], r->steps,
                   (double)r->before.pass_at_1, (double)r->after.pass_at_1,
                   (double)r->before.pass_at_k, (double)r->after.pass_at_k,
                   (double)(clock() - start) / CLOCKS_PER_SEC);
        printf("|\n");
        fflush(stdout);
        grpo_free(r->g);
    }
    return 0;
}

/* Every preset as its table has it, without the entropy bonus; or one. */
static int print_presets(run *r, options *o) {
    double before[SEEDS_MOST], after[SEEDS_MOST];
    const uint64_t first = o->seed;
    const int several = o->seeds > 1;
    int p, i;
    printf("| preset ");
    for (i = 0; i < o->seeds; i++) printf("| seed %d ", (int)first + i);
    printf(several ? "| after %d steps | gained |\n|---|---|---|" : "|\n|---|", o->steps);
    for (i = 0; i < o->seeds; i++) printf("---|");
    printf("\n");
    for (p = 0; grpo_objective_name(p, &o->preset, NULL); p++) {
        if (strcmp(o->presets, "all") && strcmp(o->presets, o->preset)) continue;
        printf("| `%s` ", o->preset);
        for (i = 0; i < o->seeds; i++) {
            o->seed = first + (uint64_t)i;
            after[i] = train_once(r, o);
            if (after[i] < 0) return fail(r);
            before[i] = (double)r->before.accuracy;
            printf("| %.3f -> %.3f ", before[i], after[i]);
            grpo_free(r->g);
        }
        if (several) seeds_print(after, o->seeds);
        if (several) seeds_print_difference(after, before, o->seeds);
        printf("|\n");
        fflush(stdout);
    }
    return 0;
}

static const char option_lines[] =
    "  --seed N      of weights and samples (1)\n"
    "  --seeds N     run that many, from --seed on, up to 50: a table\n"
    "  --presets P   a table of all presets (P: all) or of P, over --seeds (3)\n"
    "  --steps N     most GRPO steps (2500; 100 of each preset)\n"
    "  --preset P    the objective in words, a preset and fields with values (\"trl\n"
    "                entropy_coef=0.015\"); --help has all presets\n"
    "  --log FILE    one JSON object a step\n"
    "  --svg FILE    the learning curve\n"
    "  --quiet       the verdict alone\n"
    "  --lanes N     parts of an update, a power of two; results depend on it (one a process)\n"
    "  --processes N share the lanes: the same results with any (1)\n" SHOW_THREADS SHOW_BACKEND;

static int parse(options *o, int argc, char **argv) {
    int i, known;
    for (i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(argv[i], "--quiet")) { o->quiet = 1; continue; }
        if (!value) break;
        if (!strcmp(argv[i], "--seed")) o->seed = (uint64_t)show_number(argv, i);
        else if (!strcmp(argv[i], "--seeds")) o->seeds = show_number(argv, i);
        else if (!strcmp(argv[i], "--steps")) o->steps = show_number(argv, i);
        else if (!strcmp(argv[i], "--threads")) o->threads = show_number(argv, i);
        else if (!strcmp(argv[i], "--lanes")) o->lanes = show_number(argv, i);
        else if (!strcmp(argv[i], "--log")) o->log = value;
        else if (!strcmp(argv[i], "--svg")) o->svg = value;
        else if (!strcmp(argv[i], "--preset")) o->preset = value;
        else if (!strcmp(argv[i], "--presets")) o->presets = value;
        else break;
        i++;
    }
    if (o->seeds > SEEDS_MOST) o->seeds = SEEDS_MOST;
    if (o->presets && strcmp(o->presets, "all") != 0) {
        grpo_objective_preset(o->presets, &known);
        if (!known) return show_misuse("--presets", option_lines);
    }
    if (o->presets && !o->seeds) o->seeds = 3;
    if (!o->steps) o->steps = o->presets ? 100 : 2500;
    if (o->seeds) o->quiet = 1;
    return i < argc ? show_misuse(argv[i], option_lines) : 0;
}

static void print_preset_names(void) {
    const char *name;
    int i;
    printf("Presets:");
    for (i = 0; grpo_objective_name(i, &name, NULL); i++)
        printf("%s%s", i % 6 == 0 && i ? "\n         " : " ", name);
    printf("\n");
}

static const char intro[] =
    "A transformer with random weights learns to add two numbers below 100: a supervised warm-up,\n"
    "then GRPO, which is told right or wrong alone. Measured on sums that neither is shown.";
static const char notice[] =
    "Notice: pass@8 leads and pass@1 follows; GRPO makes reliable what came now and then.";

static int lesson(int argc, char **argv, const team *t) {
    static run r;
    /* beta 0: no reference to stay near, the warm-up is far from the goal */
    static options o = { 1, 0, 0, 0, 0, 0, NULL, NULL, "trl entropy_coef=0.015", NULL, NULL,
                         { 0, 0, NULL, NULL, 0 } };
    const show_curve *curves[2];
    double accuracy;
    if (show_lesson(argc, argv, intro, option_lines)) return print_preset_names(), 0;
    o.backend = backend_argument(&argc, argv);
    o.team = t->of;
    o.lanes = t->of.size > 1 ? t->of.size : 1;
    o.threads = t->threads;
    if (parse(&o, argc, argv)) return 2;
    if (o.presets || o.seeds) {
        printf("\n");
        if (o.presets ? print_presets(&r, &o) : print_seeds(&r, &o)) return 1;
        printf("\n%s\n", notice);
        return 0;
    }
    accuracy = train_once(&r, &o);
    if (accuracy < 0) return fail(&r);
    printf("%sseed %d: held-out accuracy %.3f -> %.3f, pass@1 %.3f -> %.3f, pass@8 %.3f -> %.3f; "
           "%d steps, %.1f s, %.0f tokens/s\n", o.quiet ? "" : "\n", (int)o.seed,
           (double)r.before.accuracy, accuracy, (double)r.before.pass_at_1,
           (double)r.after.pass_at_1, (double)r.before.pass_at_k, (double)r.after.pass_at_k,
           r.steps, r.seconds, r.tokens / r.seconds);
    if (!o.quiet) puts(notice);
    curves[0] = &r.reward;
    curves[1] = &r.accuracy;
    if (o.svg && !o.team.rank
        && show_svg(o.svg, "Two-digit addition, from random weights by GRPO", curves, 2, r.steps)) {
        fprintf(stderr, "%s cannot be written\n", o.svg);
        return 1;
    }
    grpo_free(r.g);
    return accuracy < 0.95 || r.before.accuracy > 0.35f;
}

int main(int argc, char **argv) {
    static team t;
    team_start(&t, &argc, &argv);
    return team_end(&t, lesson(argc, argv, &t), "the lesson was not learned");
}
