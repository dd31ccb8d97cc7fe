/* The drawings of README.md and tests/bench/README.md, as SVG.
 *
 *   ./build/drawings TABLES FOLDER      (make drawings: tests/bench/README.md, examples/pictures)
 *
 *   models.svg    PPO's models beside GRPO's, and the memory that each takes
 *   step.svg      the way of a batch, from a question to new weights, with an example
 *   ladder.svg    from REINFORCE to GRPO, a rung at a time
 *   speed.svg     a step of grpo.h, and of PyTorch
 *   league.svg    every preset less trl
 *
 * Measured numbers are read from the tables, those of the example are computed by grpo.h. The same
 * bytes come out everywhere, so that tests/tables.sh can compare them with what is committed. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "system.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 860, MOST_ROWS = 40 };

static const char *folder;          /* where the drawings go                                     */
static char *tables;                /* the file of tables                                        */
static int failed;

/* ---- the tables: | name | cell 1 | cell 2 | ... */
typedef struct row { char name[64], cells[10][40]; } row;

/* Copies the cell at `at`, which begins behind a bar, without its blanks; returns the next one. */
static const char *copy_cell(char *to, size_t capacity, const char *at) {
    size_t length;
    while (*at == ' ') at++;
    length = strcspn(at, "|\n");
    snprintf(to, capacity, "%.*s", (int)length, at);
    for (length = strlen(to); length && to[length - 1] == ' ';) to[--length] = 0;
    at += strcspn(at, "|\n");
    return *at == '|' ? at + 1 : at;
}

/* The rows of the first table behind `heading` of which the first cell is `first`; the number of
 * rows below that one. */
static int read_table(const char *heading, const char *first, row *rows) {
    const char *at = strstr(tables, heading);
    char begin[96];
    int n = 0, cell;
    snprintf(begin, sizeof begin, "\n| %s |", first);
    at = at ? strstr(at, begin) : NULL;
    if (at) at = strchr(at + 1, '\n');                        /* the line |---|---|              */
    if (at) at = strchr(at + 1, '\n');
    for (; at && at[1] == '|' && n < MOST_ROWS; at = strchr(at + 1, '\n'), n++) {
        const char *next = at + 2;
        memset(&rows[n], 0, sizeof rows[n]);
        next = copy_cell(rows[n].name, sizeof rows[n].name, next);
        for (cell = 0; cell < 10 && *next && *next != '\n'; cell++)
            next = copy_cell(rows[n].cells[cell], sizeof rows[n].cells[cell], next);
    }
    if (!n) fprintf(stderr, "no table \"%s\" behind \"%s\"\n", first, heading), failed = 1;
    return n;
}

static double number(const char *cell) { return strtod(cell, NULL); }

/* "0.48 +- 0.06": half of the interval */
static double half_of(const char *cell) {
    const char *at = strstr(cell, "+- ");
    return at ? strtod(at + 3, NULL) : 0;
}

/* ---- SVG. The drawing has a ground of its own, so that it is readable on pages light and dark. */
static FILE *begin_drawing(const char *name, int height, const char *title) {
    char path[1024];
    FILE *f;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = system_open(path, "w");
    if (!f) {
        fprintf(stderr, "%s cannot be written\n", path);
        failed = 1;
        return NULL;
    }
    fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "font-family=\"system-ui, sans-serif\" font-size=\"13\">\n<title>%s</title>\n",
            (int)WIDTH, height, (int)WIDTH, title);
    fprintf(f, "<style>\n"
            "text{fill:#1f2328}.m{fill:#59636e}.b{font-weight:600}.t{font-size:16px}\n"
            ".e{font-family:ui-monospace,Menlo,Consolas,monospace}.s{font-size:12px}\n"
            ".ground{fill:#fff;stroke:#d0d7de}.l{fill:none;stroke:#59636e;stroke-width:1.4}\n"
            ".g{stroke:#d8dee4}.h{fill:#59636e}.z{stroke:#59636e;stroke-dasharray:3 3}\n"
            ".plain{fill:#f6f8fa;stroke:#afb8c1}.policy{fill:#ddf4ff;stroke:#0969da}\n"
            ".reference{fill:#eaeef2;stroke:#6e7781}.value{fill:#fff1e5;stroke:#bc4c00}\n"
            ".reward{fill:#fbefff;stroke:#8250df}.code{fill:#dafbe1;stroke:#1a7f37}\n"
            ".c0{fill:#0969da;stroke:#0969da}.c1{fill:#bc4c00;stroke:#bc4c00}"
            ".c2{fill:#6e7781;stroke:#6e7781}\n");
    fprintf(f, "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.m{fill:#9198a1}\n"
            ".ground{fill:#0d1117;stroke:#30363d}.l{stroke:#9198a1}.g{stroke:#262c34}\n"
            ".h{fill:#9198a1}.z{stroke:#9198a1}.plain{fill:#161b22;stroke:#484f58}\n"
            ".policy{fill:#0c2742;stroke:#4493f8}.reference{fill:#21262d;stroke:#8b949e}\n"
            ".value{fill:#3a1f0b;stroke:#f0883e}.reward{fill:#2b1a45;stroke:#ab7df8}\n"
            ".code{fill:#0f2d18;stroke:#3fb950}.c0{fill:#4493f8;stroke:#4493f8}\n"
            ".c1{fill:#f0883e;stroke:#f0883e}.c2{fill:#8b949e;stroke:#8b949e}}\n</style>\n");
    fprintf(f, "<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" "
            "markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path class=\"h\" "
            "d=\"M0 0L8 4L0 8z\"/></marker></defs>\n"
            "<rect class=\"ground\" x=\".5\" y=\".5\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n",
            (int)WIDTH - 1, height - 1);
    return f;
}

static void end_drawing(FILE *f) {
    int bad = fprintf(f, "</svg>\n") < 0;
    if (fclose(f) || bad) failed = 1;
}

enum { LEFT, MIDDLE, RIGHT };

static void text(FILE *f, int x, int y, int where, const char *class_name, const char *words) {
    static const char *const anchors[] = { "start", "middle", "end" };
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\" class=\"%s\">%s</text>\n", x, y,
            anchors[where], class_name, words);
}

static void rectangle(FILE *f, const char *class_name, double x, int y, double width, int height) {
    fprintf(f, "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"5\"/>\n",
            class_name, x, y, width, height);
}

/* A box around its centre, with up to three lines; the first is the name. */
static void box(FILE *f, const char *class_name, int x, int y, int width, int height,
                const char *name, const char *second, const char *third) {
    const char *const lines[3] = { name, second, third };
    int i, n = 1 + (second != NULL) + (third != NULL);
    rectangle(f, class_name, x - width / 2.0, y - height / 2, width, height);
    for (i = 0; i < n; i++)
        text(f, x, y + 5 + 17 * i - 17 * (n - 1) / 2, MIDDLE, i ? "m s" : "b", lines[i]);
}

/* A line with an arrow at its end, along "Mx yLx y..." or any path. */
static void arrow(FILE *f, const char *path) {
    fprintf(f, "<path class=\"l\" marker-end=\"url(#a)\" d=\"%s\"/>\n", path);
}

/* The mean and its interval: a line with a dot, and hollow if `hollow`. */
static void interval(FILE *f, const char *color, double x, double half, double scale, int y,
                     int hollow) {
    fprintf(f, "<path class=\"%s\" stroke-width=\"2\" d=\"M%.1f %dh%.1f\"/>\n"
            "<circle class=\"%s\" cx=\"%.1f\" cy=\"%d\" r=\"4\" stroke-width=\"2\"%s/>\n",
            color, x - half * scale, y, 2 * half * scale, color, x, y,
            hollow ? " style=\"fill-opacity:.15\"" : "");
}

/* ---- models.svg */
static void draw_ppo(FILE *f) {
    text(f, 24, 36, LEFT, "b t", "PPO with a reward model (RLHF): four models");
    box(f, "plain", 48, 140, 48, 36, "q", NULL, NULL);
    arrow(f, "M72 140H94");
    box(f, "policy", 162, 140, 132, 66, "policy", "answers", "trained");
    arrow(f, "M228 140H250");
    box(f, "plain", 276, 140, 48, 36, "o", NULL, NULL);
    arrow(f, "M300 140H314V82H338");
    arrow(f, "M300 140H338");
    arrow(f, "M300 140H314V198H338");
    box(f, "reference", 430, 82, 180, 50, "reference", "frozen copy of the policy", NULL);
    box(f, "reward", 430, 140, 180, 50, "reward model", "learned from preferences", NULL);
    box(f, "value", 430, 198, 180, 50, "value model", "predicts reward; trained", NULL);
    arrow(f, "M520 82H548"); arrow(f, "M520 140H548"); arrow(f, "M520 198H548");
    box(f, "plain", 570, 82, 40, 30, "KL", NULL, NULL);
    box(f, "plain", 570, 140, 40, 30, "r", NULL, NULL);
    box(f, "plain", 570, 198, 40, 30, "v", NULL, NULL);
    arrow(f, "M590 82H612V126H638"); arrow(f, "M590 140H638"); arrow(f, "M590 198H612V154H638");
    box(f, "plain", 702, 140, 124, 66, "GAE", "r - beta KL, less v", "token by token");
    arrow(f, "M764 140H786");
    box(f, "plain", 810, 140, 44, 36, "A_t", NULL, NULL);
    arrow(f, "M810 158V242H162V175");
    arrow(f, "M430 242V225");
    text(f, 186, 237, LEFT, "m s", "clipped loss");
    text(f, 444, 237, LEFT, "m s", "value loss");
}

/* Four boxes one behind the other, the first with its name: one of each completion. */
static void pile(FILE *f, int x, int y, int width, int height, const char *name) {
    int i;
    for (i = 3; i >= 0; i--)
        box(f, "plain", x + 3 * i, y - 3 * i, width, height, i ? "" : name, NULL, NULL);
}

static void draw_grpo(FILE *f) {
    text(f, 24, 292, LEFT, "b t", "GRPO: the group replaces the value model, a function the reward "
         "model");
    box(f, "plain", 48, 380, 48, 36, "q", NULL, NULL);
    arrow(f, "M72 380H94");
    box(f, "policy", 162, 380, 132, 66, "policy", "answers G times", "trained");
    arrow(f, "M228 380H250");
    pile(f, 276, 380, 48, 36, "o_i");
    arrow(f, "M300 380H314V340H338");
    arrow(f, "M300 380H314V412H338");
    box(f, "reference", 430, 340, 180, 50, "reference", "frozen; none if beta is 0", NULL);
    box(f, "code", 430, 412, 180, 50, "verifying function", "your code: right or wrong", NULL);
    arrow(f, "M520 412H548");
    pile(f, 570, 412, 40, 30, "r_i");
    arrow(f, "M590 412H612V380H638");
    box(f, "plain", 702, 380, 124, 66, "the group", "r_i less the mean,", "over the std");
    arrow(f, "M764 380H786");
    pile(f, 810, 380, 44, 36, "A_i");
    arrow(f, "M810 398V460H162V415");
    arrow(f, "M520 340H848V470H152V415");
    text(f, 186, 455, LEFT, "m s", "clipped loss");
    text(f, 530, 335, LEFT, "m s", "KL, a term of the loss");
}

/* Rows of the table: policy, reference, value model, reward model, together. */
static void draw_memory(FILE *f) {
    static const char *const names[3] = { "GRPO", "PPO", "RLHF" };
    static const char *const kinds[3] = { "", "with a verifying function", "with a reward model" };
    static const char *const colors[4] = { "policy", "reference", "value", "reward" };
    static const char *const words[4] = { "policy", "", "value model", "reward model" };
    row rows[MOST_ROWS];
    char label[64];
    int k, i;
    if (read_table("## PPO and RLHF", "one-digit sums", rows) < 5) { failed = 1; return; }
    text(f, 24, 512, LEFT, "b t", "What they take in memory");
    text(f, 836, 674, RIGHT, "m s", "measured by build/07_ppo_vs_grpo; trained models with "
         "gradients and AdamW's moments");
    for (k = 0; k < 3; k++) {
        int y = 526 + 44 * k;
        double x = 190;
        text(f, 24, y + (k ? 14 : 21), LEFT, "b", names[k]);
        text(f, 24, y + 29, LEFT, "m s", kinds[k]);
        for (i = 0; i < 4; i++) {
            double bytes = number(rows[i].cells[k]), width = 12.5 * bytes;
            if (bytes <= 0) continue;
            rectangle(f, colors[i], x, y, width, 32);
            snprintf(label, sizeof label, "%s %.1f", words[i], bytes);
            if (*words[i]) text(f, (int)(x + width / 2), y + 21, MIDDLE, "s", label);
            x += width;
        }
        text(f, (int)x + 10, y + 21, LEFT, "b", rows[4].cells[k]);
    }
    rectangle(f, "reference", 24, 664, 12, 12);
    snprintf(label, sizeof label, "reference %.1f: weights alone", number(rows[1].cells[0]));
    text(f, 42, 674, LEFT, "m s", label);
}

static void draw_models(void) {
    FILE *f = begin_drawing("models.svg", 692, "PPO's models beside GRPO's");
    if (!f) return;
    draw_ppo(f);
    fprintf(f, "<path class=\"g\" d=\"M24 264H836M24 484H836\"/>\n");
    draw_grpo(f);
    draw_memory(f);
    end_drawing(f);
}

/* ---- step.svg: a policy that knows four words, all alike, is asked 2+2= and says each once */
enum { SAID = 4 };
typedef struct example { float r[SAID], A[SAID], dlogp[SAID], pi[SAID]; double loss; } example;

static example compute_example(void) {
    example e;
    const grpo_objective o = grpo_objective_preset("deepseekmath", NULL);
    float logits[SAID] = { 0 }, m[SAID] = { 0 }, v[SAID] = { 0 }, logp[SAID], gradient[SAID];
    static const int offsets[SAID + 1] = { 0, 1, 2, 3, 4 }, words[SAID] = { 0, 1, 2, 3 };
    grpo_sequences s;
    int i;
    memset(&e, 0, sizeof e);
    memset(&s, 0, sizeof s);
    for (i = 0; i < SAID; i++) {
        e.r[i] = i == 0;
        logp[i] = grpo_logprob(logits, SAID, 1, NULL, i, NULL);
    }
    grpo_advantages(&o, e.r, 1, SAID, NULL, e.A, NULL);
    s.num_sequences = SAID;
    s.offsets = offsets;
    s.logprobs = s.old_logprobs = s.ref_logprobs = logp;
    s.advantages = e.A;
    e.loss = grpo_loss(&o, &s, e.dlogp, NULL, NULL);
    memcpy(gradient, logits, sizeof gradient);
    grpo_logprob_backward(gradient, SAID, 1, NULL, SAID, words, e.dlogp, 0);
    grpo_adamw(logits, gradient, m, v, SAID, 0.1f, 0.9f, 0.999f, 1e-8f, 0, 1, 1);
    for (i = 0; i < SAID; i++) e.pi[i] = expf(grpo_logprob(logits, SAID, 1, NULL, i, NULL));
    return e;
}

/* From x to x + width, above the boxes: one of grpo_step's four lines. */
static void brace(FILE *f, int x, int width, const char *line) {
    fprintf(f, "<path class=\"l\" d=\"M%d 78v-8h%dv8\"/>\n", x, width);
    text(f, x + width / 2, 62, MIDDLE, "e s", line);
}

static void draw_step(void) {
    static const char *const names[6] = { "question", "completions", "rewards", "advantages",
                                          "loss", "weights" };
    static const char *const tags[6] = { "&gt;&gt;text", "&gt;&gt;rollout",
        "&gt;&gt;reward", "&gt;&gt;advantage", "&gt;&gt;loss", "&gt;&gt;optimize" };
    static const char *const what[6] = { "q", "o_i, pi_old(o_i)", "r_i", "A_i",
                                         "d(loss)/d(log pi)", "pi(o_i | q)" };
    static const char *const how[6] = { "a prompt, G = 4", "drawn from pi_old",
        "1 if right, else 0", "(r - mean) / std", "ratio, clip, KL", "backward, AdamW" };
    static const char *const colors[6] = { "plain", "policy", "code", "plain", "plain", "policy" };
    static const char *const said[SAID] = { "4", "3", "D", "C" };
    const example e = compute_example();
    FILE *f = begin_drawing("step.svg", 348, "One GRPO step, from a question to new weights");
    char words[64];
    int i, k;
    if (!f) return;
    text(f, 24, 34, LEFT, "b t", "One step of GRPO, and the chapters of grpo.h");
    text(f, 836, 34, RIGHT, "m s", "the four calls are the whole of grpo_step (&gt;&gt;step)");
    brace(f, 16, 266, "grpo_rollout");
    brace(f, 298, 125, "grpo_score");
    brace(f, 439, 125, "grpo_advantage");
    brace(f, 580, 264, "grpo_update");
    for (k = 0; k < 6; k++) {
        int x = 78 + 141 * k + (k == 5 ? -2 : 0);
        rectangle(f, colors[k], x - 62, 86, k == 5 ? 126 : 125, 66);
        text(f, x, 108, MIDDLE, "b", names[k]);
        text(f, x, 126, MIDDLE, "e s", tags[k]);
        text(f, x, 144, MIDDLE, "m s", how[k]);
        if (k < 5) {
            snprintf(words, sizeof words, "M%d 119h12", x + 64);
            arrow(f, words);
        }
        text(f, x, 178, MIDDLE, "m s", what[k]);
    }
    text(f, 78, 242, MIDDLE, "e", "2+2=");
    for (i = 0; i < SAID; i++) {
        int y = 204 + 25 * i;
        fprintf(f, "<path class=\"g\" d=\"M157 %dH844\"/>\n", y - 17);
        snprintf(words, sizeof words, "\"%s\" 0.25", said[i]);
        text(f, 219, y, MIDDLE, "e", words);
        snprintf(words, sizeof words, "%.0f", (double)e.r[i]);
        text(f, 360, y, MIDDLE, "e", words);
        snprintf(words, sizeof words, "%+.2f", (double)e.A[i]);
        text(f, 501, y, MIDDLE, "e", words);
        snprintf(words, sizeof words, "%+.3f", (double)e.dlogp[i]);
        text(f, 642, y, MIDDLE, "e", words);
        snprintf(words, sizeof words, "0.25 -&gt; %.2f", (double)e.pi[i]);
        text(f, 781, y, MIDDLE, "e", words);
    }
    text(f, 360, 304, MIDDLE, "m s", "mean 0.25, std 0.50");
    snprintf(words, sizeof words, "loss %.2f; these are not", fabs(e.loss) < 5e-3 ? 0 : e.loss);
    text(f, 642, 304, MIDDLE, "m s", words);
    text(f, 781, 304, MIDDLE, "m s", "\"4\" is likelier");
    arrow(f, "M781 314V332H219V310");
    text(f, 500, 327, MIDDLE, "m s", "the next step samples from the new weights");
    end_drawing(f);
}

/* ---- ladder.svg */
static void draw_ladder(void) {
    enum { X = 150, SCALE = 880, ROW = 62, TIMES = 3 };
    static const char *const colors[TIMES] = { "c2", "c1", "c0" };
    static const char *const after[TIMES] = { "after 45 steps", "after 90", "after 180" };
    row rows[MOST_ROWS];
    int n = read_table("## From REINFORCE", "rung", rows), i, k;
    FILE *f = begin_drawing("ladder.svg", 122 + ROW * n, "From REINFORCE to GRPO");
    char words[64];
    if (!f) return;
    text(f, 24, 34, LEFT, "b t", "From REINFORCE to GRPO, a rung at a time: share of answers that "
         "are right");
    for (k = 0; k < TIMES; k++) {
        interval(f, colors[k], 40 + 150 * k, 14, 1, 58, 0);
        text(f, 62 + 150 * k, 62, LEFT, "m s", after[k]);
    }
    text(f, 836, 56, RIGHT, "m s", "after 180, less");
    text(f, 836, 72, RIGHT, "m s", "the rung before");
    for (k = 3; k <= 9; k++) {
        int x = X + SCALE * (k - 3) / 10;
        fprintf(f, "<path class=\"g\" d=\"M%d 84V%d\"/>\n", x, 88 + ROW * n);
        snprintf(words, sizeof words, "%.1f", k / 10.0);
        text(f, x, 106 + ROW * n, MIDDLE, "m s", words);
    }
    for (i = 0; i < n; i++) {
        int y = 118 + ROW * i;
        text(f, 24, y + 4, LEFT, "b", rows[i].name);
        for (k = 0; k < TIMES; k++) {
            double x = (double)X + (double)SCALE * (number(rows[i].cells[2 + k]) - 0.3);
            interval(f, colors[k], x, half_of(rows[i].cells[2 + k]), SCALE, y - 14 + 14 * k, 0);
        }
        text(f, 836, y + 4, RIGHT, "e s", rows[i].cells[5]);
    }
    end_drawing(f);
}

/* ---- speed.svg: how many times grpo.h's time */
static void draw_speed(void) {
    enum { X = 196, SCALE = 118, BAR = 20, GROUP = 96, SIZES = 3 };
    static const char *const names[SIZES] = { "toy, 0.1 M weights", "small, 15 M", "mid, 27 M" };
    static const char *const colors[3] = { "c0", "c2", "c1" };
    static const char *const who[3] = { "grpo.h", "PyTorch tuned", "PyTorch as it comes" };
    static const int from[3] = { 0, 4, 3 };                   /* rows of the table               */
    row rows[MOST_ROWS];
    FILE *f;
    char words[96];
    int k, i;
    if (read_table("## Speed", "one GRPO step: rollout + reference + update", rows) < 5) {
        failed = 1;
        return;
    }
    f = begin_drawing("speed.svg", 58 + GROUP * SIZES, "A step of grpo.h, and of PyTorch");
    if (!f) return;
    text(f, 24, 34, LEFT, "b t", "One GRPO step on two cores, in float32: how many times as "
         "long as grpo.h");
    for (k = 0; k < SIZES; k++) {
        int y = 62 + GROUP * k;
        text(f, 24, y + 36, LEFT, "b", names[k]);
        for (i = 0; i < 3; i++) {
            double times = i ? number(rows[from[i]].cells[k]) : 1;
            fprintf(f, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n",
                    colors[i], (int)X, y + (BAR + 4) * i, (double)SCALE * times, (int)BAR);
            if (i) snprintf(words, sizeof words, "%s %.1f", who[i], times);
            else snprintf(words, sizeof words, "%s %s", who[i], rows[0].cells[k]);
            text(f, X + (int)((double)SCALE * times) + 8, y + (BAR + 4) * i + 15, LEFT, "s", words);
        }
    }
    end_drawing(f);
}

/* ---- league.svg */
static void draw_league(void) {
    enum { ROW = 19, HALF = 290, TASKS = 2, SCALE = 390 };
    static const char *const task[TASKS] = { "one-digit sums", "four digits in order" };
    static row rows[TASKS][MOST_ROWS];
    int n = 0, i, k, x[TASKS];
    FILE *f;
    char words[128];
    for (k = 0; k < TASKS; k++) {
        snprintf(words, sizeof words, "\n%s: ", task[k]);
        i = read_table(words, "preset", rows[k]);
        if (k && i != n) failed = 1;
        n = i;
        x[k] = 200 + 160 + 320 * k;
    }
    f = begin_drawing("league.svg", 112 + ROW * n, "Every preset less trl");
    if (!f) return;
    text(f, 24, 34, LEFT, "b t", "Every preset less trl, over five seeds: difference of pass@1");
    interval(f, "c0", 40, 14, 1, 58, 0);
    text(f, 62, 62, LEFT, "m s", "better by its 95 % interval");
    interval(f, "c1", 250, 14, 1, 58, 0);
    text(f, 272, 62, LEFT, "m s", "worse");
    interval(f, "c2", 340, 14, 1, 58, 1);
    text(f, 362, 62, LEFT, "m s", "cannot be told from trl");
    for (k = 0; k < TASKS; k++) {
        text(f, x[k], 84, MIDDLE, "b", task[k]);
        for (i = -3; i <= 3; i++) {
            int at = x[k] + SCALE * i / 10;
            fprintf(f, "<path class=\"%s\" d=\"M%d 92V%d\"/>\n", i ? "g" : "z", at, 88 + ROW * n);
            snprintf(words, sizeof words, i ? "%+.1f" : "0", i / 10.0);
            text(f, at, 104 + ROW * n, MIDDLE, "m s", words);
        }
    }
    for (i = 1; i < n; i++) {                                 /* row 0 is the policy before      */
        int y = 84 + ROW * i, length = (int)strlen(rows[0][i].name);
        if (length > 2)
            snprintf(words, sizeof words, "%.*s", length - 2, rows[0][i].name + 1);
        else snprintf(words, sizeof words, "?");
        text(f, 24, y + 5, LEFT, "e s", words);
        for (k = 0; k < TASKS; k++) {
            const char *cell = rows[k][i].cells[6];
            double less = number(cell);
            int star = strchr(cell, '*') != NULL;
            if (*cell)
                interval(f, !star ? "c2" : less > 0 ? "c0" : "c1", x[k] + (double)SCALE * less,
                         half_of(cell), SCALE, y, !star);
        }
    }
    end_drawing(f);
}

/* The whole file, with a line's end before it; NULL if it cannot be read. */
static char *read_file(const char *path) {
    FILE *f = system_open(path, "rb");
    char *all = NULL;
    size_t n = 0, room = (size_t)1 << 20;
    if (!f) return NULL;
    all = (char *)malloc(room + 2);
    if (all) {
        *all = '\n';
        n = fread(all + 1, 1, room, f);
        all[n + 1] = 0;
    }
    fclose(f);
    return all;
}

static int usage(void) {
    puts("usage:   drawings TABLES FOLDER\n"
         "example: drawings tests/bench/README.md examples/pictures\n\n"
         "Draws the charts of README.md, as SVG.\n\n"
         "Required:\n"
         "  TABLES   a file with the tables that tests/bench/README.md has\n"
         "  FOLDER   where the pictures are written");
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) return usage();
    if (argc != 3) {
        fprintf(stderr, "drawings: two arguments, TABLES and FOLDER, and not %d; --help says what "
                "they are\n", argc - 1);
        return 2;
    }
    tables = read_file(argv[1]);
    folder = argv[2];
    if (!tables) return fprintf(stderr, "%s cannot be read\n", argv[1]), 1;
    draw_models();
    draw_step();
    draw_ladder();
    draw_speed();
    draw_league();
    free(tables);
    return failed;
}
