/* 09 rubric: a reward is what is maximised, not what was meant.
 *
 *     cc -O2 -I.. 09_rubric.c -o rubric -lm && ./rubric
 *
 * Meant: sort the four letters of a word, "hbea" -> "abeh". Two policies with the same random
 * weights learn it from graders that never see the sorted word:
 *
 * 1. One cheap grader, as one that looks for keywords: which share of the word's letters occurs in
 *    the answer? It sounds like the task; and it has a hole.
 * 2. A rubric of four small ones, each worth a quarter: letters (the same), none else (which share
 *    of the answer's letters is in the word), order (which share of neighbours is in order),
 *    length. Each has a hole of its own, but only the sorted word has full marks on all four.
 *
 * In both runs a fifth reward of weight 0 says whether the answer is the sorted word. It teaches
 * nothing: it is watched. What to see: under the one grader the reward climbs to 1 and the truth
 * does not move, for the policy babbles to the end, most of the alphabet; under the rubric both
 * climb. Nothing in the reward's own curve tells the two apart: measure what you mean, and read
 * what the policy writes. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "backend.h"
#include "seeds.h"
#include "show.h"
#include <time.h>

enum { LETTERS = 8, ONE_WORD = 4, PROMPTS = 32, GROUP = 16, MOST_WORDS = 8 * 7 * 6 * 5,
       EVALUATE_EVERY = 25, REPORT_EVERY = 50, COLUMNS = 3 };
enum { TRUTH, COVER, ONLY, ORDER, LENGTH, GRADERS };

typedef struct options {
    uint64_t seed;
    int seeds, steps, threads, quiet;
    const char *svg;
    const grpo_backend *backend;
} options;

typedef struct word { char text[ONE_WORD + 1], sorted[ONE_WORD + 1]; } word;

typedef struct run {                /* one policy under one way of grading                       */
    const options *o;
    grpo *g;
    grpo_prompt prompts[PROMPTS];
    uint64_t drawn;
    int steps;
    show_curve reward, truth;
} run;

static word words[MOST_WORDS];
static grpo_prompt train_words[MOST_WORDS], held_out[MOST_WORDS];
static int num_words, num_train, num_held_out;

/* ---- the graders: five functions from 0 to 1 */

/* What is meant: the answer is the sorted word. */
static float is_sorted_word(const grpo_sample *s, void *user) {
    (void)user;
    return !s->truncated && strcmp(s->completion, s->answer) == 0;
}

/* Which share of the letters of a occurs in b? */
static float share_in(const char *a, const char *b) {
    int i, n = (int)strlen(a), found = 0;
    for (i = 0; i < n; i++) found += strchr(b, a[i]) != NULL;
    return n ? (float)found / (float)n : 0;
}

static float letters_are_there(const grpo_sample *s, void *user) {
    (void)user;
    return share_in(s->prompt, s->completion);
}

static float none_else(const grpo_sample *s, void *user) {
    (void)user;
    return share_in(s->completion, s->prompt);
}

/* The share of neighbours that stand in order, each letter before a later one of the alphabet. */
static float in_order(const grpo_sample *s, void *user) {
    const char *c = s->completion;
    int i, n = (int)strlen(c), right = 0;
    (void)user;
    for (i = 1; i < n; i++) right += c[i - 1] < c[i];
    return n > 1 ? (float)right / (float)(n - 1) : 0;
}

/* 1 for as many letters as the word has, a quarter less for each too many or too few. */
static float right_length(const grpo_sample *s, void *user) {
    int off = abs((int)strlen(s->completion) - ONE_WORD);
    (void)user;
    return off < ONE_WORD ? 1 - (float)off / (float)ONE_WORD : 0;
}

static void add_graders(grpo_config *c, int rubric) {
    const float each = rubric ? 0.25f : 0;
    grpo_add_reward(c, "truth", is_sorted_word, 0, NULL);     /* watched, weight 0               */
    grpo_add_reward(c, "letters", letters_are_there, rubric ? each : 1, NULL);
    grpo_add_reward(c, "none else", none_else, each, NULL);
    grpo_add_reward(c, "order", in_order, each, NULL);
    grpo_add_reward(c, "length", right_length, each, NULL);
}

/* ---- the words */

static void add_word(const int *letters) {
    word *w = &words[num_words];
    grpo_prompt p;
    int i, n = 0;
    for (i = 0; i < ONE_WORD; i++) w->text[i] = (char)('a' + letters[i]);
    for (i = 'a'; i < 'a' + LETTERS; i++)
        if (strchr(w->text, i)) w->sorted[n++] = (char)i;
    p = grpo_question(w->text, w->sorted);
    if (grpo_uniform(2024, 0, 0, (uint64_t)num_words++, 0) < 0.2f) held_out[num_held_out++] = p;
    else train_words[num_train++] = p;
}

/* All words of ONE_WORD different letters, one letter more with each call; the same fifth of them
 * is held out in every run. */
static void collect_words(int *letters, int n) {
    int i, k;
    if (n == ONE_WORD) { add_word(letters); return; }
    for (i = 0; i < LETTERS; i++) {
        for (k = 0; k < n && letters[k] != i; k++) continue;
        letters[n] = i;
        if (k == n) collect_words(letters, n + 1);
    }
}

static void draw_words(run *r) {
    int i;
    for (i = 0; i < PROMPTS; i++) {
        float u = grpo_uniform(r->o->seed, 1, r->drawn++, 0, 0);
        r->prompts[i] = train_words[(int)(u * (float)num_train)];
    }
}

/* ---- a run */

static void on_message(const char *message, void *user) {
    (void)user;
    fprintf(stderr, "%s\n", message);
}

static grpo *make_policy(const options *o, int rubric) {
    grpo_config c = grpo_defaults();
    c.seed = o->seed;
    c.threads = o->threads;
    c.backend = o->backend;
    c.log = on_message;
    c.vocabulary = "abcdefgh";
    c.max_prompt_length = ONE_WORD;
    c.max_completion_length = 10;
    c.num_prompts = PROMPTS;
    c.num_generations = GROUP;
    c.objective = grpo_objective_preset("trl", NULL);
    c.objective.beta = 0;
    c.objective.entropy_coef = 0;
    c.learning_rate = 1e-3f;
    c.model.initializer_range = 0.1f;
    add_graders(&c, rubric);
    return grpo_new(&c);            /* NULL: on_message has said why */
}

/* The share of sorted words, greedy, of all that are held out. */
static int add_truth(run *r) {
    grpo_evaluation e;
    if (grpo_evaluate(r->g, held_out, num_held_out, 0, 0, &e)) return -1;
    show_add(&r->truth, r->steps, (double)e.accuracy);
    return 0;
}

static void report(const run *r, const grpo_metrics *m, double truth) {
    static const char clear[] = "\033[14A\033[J";
    const show_curve *const curves[2] = { &r->reward, &r->truth };
    if (r->o->quiet) return;
    if (show_is_terminal() && r->steps > REPORT_EVERY) fputs(clear, stdout);
    if (show_is_terminal()) show_plot(curves, 2, r->steps);
    printf("step %4d  reward %.2f  truth %.3f | letters %.2f  none else %.2f  order %.2f  length "
           "%.2f\n", m->step, m->reward, truth, m->reward_means[COVER], m->reward_means[ONLY],
           m->reward_means[ORDER], m->reward_means[LENGTH]);
    fflush(stdout);
}

static int train(run *r) {
    grpo_metrics m;
    if (add_truth(r)) return -1;
    while (r->steps < r->o->steps) {
        draw_words(r);
        if (grpo_step(r->g, r->prompts, PROMPTS, &m)) return -1;
        show_add(&r->reward, ++r->steps, m.reward);
        if (r->steps % EVALUATE_EVERY) continue;
        if (add_truth(r)) return -1;
        if (r->steps % REPORT_EVERY == 0) report(r, &m, r->truth.y[r->truth.count - 1]);
    }
    return 0;
}

static void name_curves(run *r) {
    r->reward.name = "reward (trained on)";
    r->reward.color = "#8ab4d8";
    r->truth.name = "truth (watched, held-out words)";
    r->truth.color = "#d9622b";
}

/* Returns 0, or -1 on failure. */
static int train_once(run *r, const options *o, int rubric) {
    const show_curve *const curves[2] = { &r->reward, &r->truth };
    memset(r, 0, sizeof *r);
    r->o = o;
    name_curves(r);
    if ((r->g = make_policy(o, rubric)) == NULL) return -1;
    if (!o->quiet) printf("\n%s\n", rubric ? "Under the rubric of four:" : "Under the one grader:");
    if (train(r)) return -1;
    if (!o->quiet && !show_is_terminal()) show_plot(curves, 2, r->steps);
    return 0;
}

/* ---- what came of it */

static int print_answer(grpo *g, const grpo_prompt *p) {
    const grpo_sampling greedy = { 0, 0, 1, 0 };
    grpo_sample s;
    char text[32];
    memset(&s, 0, sizeof s);
    if (grpo_generate(g, p, &greedy, 1, text, sizeof text) < 0) return -1;
    s.prompt = p->text;
    s.completion = text;
    printf("  %-10s %.2f %.2f %.2f %.2f ", text, (double)letters_are_there(&s, NULL),
           (double)none_else(&s, NULL), (double)in_order(&s, NULL), (double)right_length(&s, NULL));
    return printf("%s", strcmp(text, p->answer) ? "     " : "right") < 0;
}

/* Both policies on the same held-out words, with the marks of each grader. */
static int print_answers(run *one, run *rubric) {
    int i;
    printf("\nThe marks of each grader, 0 to 1: letters, none else, order, length\n"
           "        under the one grader                  under the rubric\n"
           "word    answer     lett none ordr leng        answer     lett none ordr leng\n");
    for (i = 0; i < num_held_out; i += num_held_out / 7) {
        printf("%s  ", held_out[i].text);
        if (print_answer(one->g, &held_out[i]) || print_answer(rubric->g, &held_out[i])) return -1;
        printf("\n");
    }
    return 0;
}

static const char option_lines[] =
    "  --seed N      of weights and samples (1)\n"
    "  --seeds N     run that many, from --seed on, up to 50: a table\n"
    "  --steps N     GRPO steps of each policy (200)\n"
    "  --quick       50 of them\n"
    "  --svg FILE    the curves of the two runs\n" SHOW_THREADS SHOW_BACKEND;

static int parse(options *o, int argc, char **argv) {
    int i;
    for (i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(argv[i], "--quick")) { o->steps = REPORT_EVERY; continue; }
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

static int save_chart(run *one, run *rubric, const char *path) {
    const show_curve *curves[4];
    curves[0] = &one->reward;
    curves[1] = &one->truth;
    curves[2] = &rubric->reward;
    curves[3] = &rubric->truth;
    one->reward.name = "one grader: reward";
    one->truth.name = "one grader: truth";
    rubric->reward.name = "rubric: reward";
    rubric->truth.name = "rubric: truth";
    rubric->reward.color = "#7cb98b";
    rubric->truth.color = "#2f7d46";
    if (!show_svg(path, "A hole in the reward, and a rubric", curves, 4, one->steps)) return 0;
    fprintf(stderr, "%s cannot be written\n", path);
    return -1;
}

/* ---- a table over seeds: reward and truth after so many steps */
static const int columns[COLUMNS] = { 25, 100, 200 };

typedef struct outcome { double reward[COLUMNS][SEEDS_MOST], truth[COLUMNS][SEEDS_MOST]; } outcome;

static void print_row(const run *r, const char *name, outcome *all, int seed) {
    int k;
    printf("| %d | %s ", (int)r->o->seed, name);
    for (k = 0; k < COLUMNS && columns[k] <= r->steps; k++) {
        all->reward[k][seed] = r->reward.y[columns[k] - 1];
        all->truth[k][seed] = r->truth.y[columns[k] / EVALUATE_EVERY];
        printf("| %.2f, %.3f ", all->reward[k][seed], all->truth[k][seed]);
    }
    printf("|\n");
    fflush(stdout);
}

/* Mean truth, its interval, and what the rubric brings more than the one grader, seed by seed. */
static void print_means(const outcome *one, const outcome *rubric, int n, int steps) {
    int k;
    printf("| | truth, one grader ");
    for (k = 0; k < COLUMNS && columns[k] <= steps; k++) seeds_print(one->truth[k], n);
    printf("|\n| | truth, rubric ");
    for (k = 0; k < COLUMNS && columns[k] <= steps; k++) seeds_print(rubric->truth[k], n);
    printf("|\n| | rubric less one grader ");
    for (k = 0; k < COLUMNS && columns[k] <= steps; k++)
        seeds_print_difference(rubric->truth[k], one->truth[k], n);
    printf("|\n");
}

static const char intro[] =
    "Sort the letters of a word, \"hbea\" -> \"abeh\". One policy is taught by one cheap grader,\n"
    "the other by a rubric of four; whether the answer is right is watched, not taught.";

int main(int argc, char **argv) {
    static run one, rubric;
    static outcome of_one, of_rubric;
    static options o = { 1, 0, 200, 0, 0, NULL, NULL };
    int letters[ONE_WORD], i, k;
    if (show_lesson(argc, argv, intro, option_lines)) return 0;
    o.backend = backend_argument(&argc, argv);
    if (parse(&o, argc, argv)) return 2;
    collect_words(letters, 0);
    for (i = 0; i < o.seeds || i < 1; i++, o.seed++) {
        if (train_once(&one, &o, 0) || train_once(&rubric, &o, 1)
            || (!o.quiet && print_answers(&one, &rubric))) {
            fprintf(stderr, "%s%s\n", one.g ? grpo_error(one.g) : "",
                    rubric.g ? grpo_error(rubric.g) : "");
            return 1;
        }
        if (i == 0) {
            printf("%s| seed | reward, truth ", o.quiet ? "" : "\n");
            for (k = 0; k < COLUMNS; k++) printf("| after %d steps ", columns[k]);
            printf("|\n|---|---|---|---|---|\n");
        }
        print_row(&one, "one grader", &of_one, i);
        print_row(&rubric, "rubric", &of_rubric, i);
        if (o.svg && save_chart(&one, &rubric, o.svg)) return 1;
        grpo_free(one.g);
        grpo_free(rubric.g);
    }
    if (i > 1) print_means(&of_one, &of_rubric, i, o.steps);
    puts("\nNotice: both rewards climb, one truth does not. Measure what you mean, read answers.");
    return 0;
}
