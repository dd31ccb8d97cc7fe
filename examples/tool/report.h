/* report.h: a run's log as a picture: one HTML file with nothing to load, or an SVG for a README.
 *
 *     if (report_write("log.jsonl", "report.html", error)) return complain(error);
 *
 * The log has one JSON object a line: grpo_step()'s metrics (config.metrics_path), and between them
 *
 *     {"config": {...}}                          report_log_config()
 *     {"eval": {"step":50,"accuracy":...}}       report_log_eval()
 *     {"samples": {"step":10,"prompt":...}}      report_log_samples()
 *
 * A run that was resumed has a config for each start, of which the last is shown whole, and may
 * tell some steps twice: the later line holds. What a step had nothing to measure by (grpo.h writes
 * 0) is "-", and a gap in its curve. Lines that are none of these are counted, at the foot of the
 * report and in `error`, with what is wrong with the first; it is empty if there are none. What is
 * written is well-formed, as HTML and as XML, whatever the log holds. */
#ifndef REPORT_H
#define REPORT_H

#include "grpo.h"
#include "doctor.h"
#include "json.h"

#include <float.h>
#include <math.h>

enum { REPORT_CURVES = 32, REPORT_NAME = 80, REPORT_GROUPS = 6, REPORT_WIDTH = 300,
       REPORT_HEIGHT = 150, REPORT_COLUMNS = 3 };

/* ---- writing the log */

/* A line that a crash has cut short is ended first, so that it takes no other with it. */
static inline FILE *report_append(const char *path) {
    FILE *f = path ? system_open(path, "ab+") : NULL;
    int cut = f && !fseek(f, -1, SEEK_END) && fgetc(f) != '\n';
    if (f) fseek(f, 0, SEEK_END);   /* between reading and writing                               */
    if (cut) fputc('\n', f);
    return f;
}

static inline void report_close(FILE *f) { if (f) fclose(f); }

/* JSON has no infinity and no NaN, which is what an unanswered question earns. */
static inline void report_number(FILE *f, double x) {
    if (fabs(x) <= DBL_MAX) fprintf(f, "%.6g", x);
    else fputs("null", f);
}

/* The preset that differs from an objective in the fewest fields, and these: "trl beta=0.01". */
static inline void report_objective(const grpo *g, char *text, size_t room) {
    grpo_config c = g->config;
    const grpo_field *f;
    const char *name, *best = "";
    int i, k, differ, least = 1 << 20;
    size_t n;
    for (k = 0; grpo_objective_name(k, &name, NULL); k++) {
        c.objective = grpo_objective_preset(name, NULL);
        c.objective.max_completion_length = g->config.objective.max_completion_length;
        for (i = differ = 0; (f = grpo_field_at(i)) != NULL; i++)
            differ += grpo_config_get(&c, f->name) != grpo_config_get(&g->config, f->name);
        if (differ < least) { least = differ; best = name; }
    }
    c.objective = grpo_objective_preset(best, NULL);
    c.objective.max_completion_length = g->config.objective.max_completion_length;
    snprintf(text, room, "%s", best);
    for (i = 0; (f = grpo_field_at(i)) != NULL; i++) {
        double x = grpo_config_get(&g->config, f->name);
        n = strlen(text);
        if (grpo_config_get(&c, f->name) != x && n < room)
            snprintf(text + n, room - n, " %s=%g", f->name + strlen("objective."), x);
    }
}

/* The word of a field's value, to the next blank; NULL: it is a number. */
static inline const char *report_word(const grpo_field *f, double value) {
    const char *word = f->words;
    int i;
    for (i = 0; word && i < (int)value; i++) word += strcspn(word, " "), word += *word == ' ';
    return word && *word ? word : NULL;
}

/* A field's value: a number, or its word. */
static inline void report_field(FILE *f, const grpo *g, const grpo_field *field) {
    double x = grpo_config_get(&g->config, field->name);
    const char *word = report_word(field, x);
    fprintf(f, ", \"%s\": ", field->name);
    if (field->type == GRPO_FIELD_UINT64)
        fprintf(f, "\"%llu\"", (unsigned long long)g->config.seed);
    else if (word) json_write(f, word, strcspn(word, " "));
    else if (fabs(x) <= DBL_MAX) fprintf(f, x == floor(x) && fabs(x) < 1e15 ? "%.0f" : "%.7g", x);
    else fputs("null", f);
}

/* What a run is: `about` has names and texts in turn, to be shown first (the command, the data),
 * then NULL; its objective; and every field of the config that moves results. */
static inline void report_log_config(const char *path, const grpo *g, const char *const *about) {
    FILE *f = report_append(path);
    const grpo_field *field;
    char objective[GRPO_ERROR_LENGTH];
    int i;
    if (!f) return;
    fputs("{\"config\": {", f);
    for (i = 0; about && about[i]; i += 2) {
        json_write(f, about[i], strlen(about[i]));
        fputs(": ", f);
        json_write(f, about[i + 1], strlen(about[i + 1]));
        fputs(", ", f);
    }
    report_objective(g, objective, sizeof objective);
    fputs("\"objective\": ", f);
    json_write(f, objective, strlen(objective));
    fprintf(f, ", \"parameters\": %.0f, \"after\": %.0f", (double)g->num_parameters,
            (double)g->state.step);
    for (i = 0; (field = grpo_field_at(i)) != NULL; i++)
        if (field->fixed != 2) report_field(f, g, field);
    fputs("}}\n", f);
    report_close(f);
}

static inline void report_log_eval(const char *path, int step, const grpo_evaluation *e) {
    FILE *f = report_append(path);
    if (!f) return;
    fprintf(f, "{\"eval\": {\"step\": %d, \"accuracy\": %g, \"reward\": ", step,
            (double)e->accuracy);
    report_number(f, (double)e->reward);
    fprintf(f, ", \"questions\": %d", e->num_prompts);
    if (e->num_samples)
        fprintf(f, ", \"samples\": %d, \"pass@1\": %g, \"k\": %d, \"pass@k\": %g", e->num_samples,
                (double)e->pass_at_1, e->k, (double)e->pass_at_k);
    fprintf(f, "}}\n");
    report_close(f);
}

/* The text of each token: what it adds to the text of those before it. */
static inline void report_pieces(FILE *f, grpo *g, const int *tokens, int n) {
    enum { ROOM = 1 << 16 };
    char *text = (char *)malloc(ROOM);
    int i, length = 0;
    for (i = 0; text && i < n; i++) {
        int now = grpo_decode(g, tokens, i + 1, text, ROOM);
        fputs(i ? ", " : "", f);
        json_write(f, text + length, now > length && now <= ROOM ? (size_t)(now - length) : 0);
        if (now > length && now <= ROOM) length = now;
    }
    free(text);
}

/* A group of the batch: each completion in the pieces that are its tokens, and their advantages. */
static inline void report_log_samples(const char *path, grpo *g, int group) {
    const grpo_batch *b = &g->batch;
    FILE *f = report_append(path);
    int first = group * b->group_size, i, t;
    const grpo_sample *a = &b->samples[first];
    if (!f) return;
    fprintf(f, "{\"samples\": {\"step\": %.0f, \"prompt\": ", (double)g->state.step);
    json_write(f, a->prompt, strlen(a->prompt));
    fprintf(f, ", \"answer\": ");
    json_write(f, a->answer ? a->answer : "", a->answer ? strlen(a->answer) : 0);
    for (i = first; i < first + b->group_size; i++) {
        fprintf(f, "%s{\"truncated\": %d, \"reward\": ", i > first ? ", " : ", \"completions\": [",
                b->truncated[i]);
        report_number(f, (double)b->rewards[i]);
        fprintf(f, ", \"text\": [");
        report_pieces(f, g, b->tokens + b->offsets[i], b->offsets[i + 1] - b->offsets[i]);
        fprintf(f, "], \"advantages\": [");
        for (t = b->offsets[i]; t < b->offsets[i + 1]; t++) {
            fputs(t > b->offsets[i] ? ", " : "", f);
            report_number(f, (double)b->advantages[t]);
        }
        fprintf(f, "]}");
    }
    fprintf(f, "]}}\n");
    report_close(f);
}

/* ---- reading it */

typedef struct report_row {
    int step, told;                 /* told: 1: it was done, 0: evaluated alone                  */
    int unjudged, masked;           /* no reward was a number; no token counts in the loss       */
    double values[REPORT_CURVES];
} report_row;

typedef struct report {
    char names[REPORT_CURVES][REPORT_NAME];
    int curves, evaluated;          /* evaluated: index of the held-out accuracy, or -1          */
    report_row *rows;
    int count, capacity;
    json *starts;                   /* a config each                                             */
    int num_starts;
    json groups[REPORT_GROUPS];     /* the first group and the last                              */
    int num_groups, resumed, bad_lines;                       /* resumed: since the last group   */
    int k;                          /* of pass@k                                                 */
    char first_bad[JSON_ERROR_LENGTH];                        /* what is wrong with it           */
    double tokens;                  /* of the row before                                         */
} report;

/* What is drawn, in this order; rewards of the rubric follow. */
static const char *const report_titles[][2] = {
    { "reward", "reward, sampled" }, { "eval/accuracy", "held-out accuracy, greedy" },
    { "eval/pass@1", "held-out pass@1, sampled" }, { "eval/pass@k", "held-out pass@k, sampled" },
    { "kl", "KL to the reference" },
    { "entropy", "entropy" }, { "completions/mean_length", "length, tokens" },
    { "completions/clipped_ratio", "share cut off" },
    { "frac_reward_zero_std", "dead groups" }, { "clip_ratio/region_mean", "clipped tokens" },
    { "reward_std", "reward, std" }, { "grad_norm", "gradient norm" },
    { "learning_rate", "learning rate" }, { "loss", "loss" }, { "tokens/s", "tokens a second" } };
enum { REPORT_TITLES = (int)(sizeof report_titles / sizeof *report_titles) };

static inline void report_free(report *r) {
    int i;
    for (i = 0; i < r->num_groups; i++) json_free(&r->groups[i]);
    for (i = 0; i < r->num_starts; i++) json_free(&r->starts[i]);
    free(r->starts);
    free(r->rows);
    memset(r, 0, sizeof *r);
}

/* The curve of a name; with `add` a new one if there is room. -1: none. */
static inline int report_curve(report *r, const char *name, int add) {
    int i;
    for (i = 0; i < r->curves; i++)
        if (!strcmp(r->names[i], name)) return i;
    if (!add || r->curves == REPORT_CURVES || strlen(name) >= REPORT_NAME) return -1;
    snprintf(r->names[r->curves], REPORT_NAME, "%s", name);
    return r->curves++;
}

/* The row of a step; those after it are forgotten if `anew`, for the run was resumed there. */
static inline report_row *report_row_of(report *r, int step, int anew) {
    int i, k;
    while (anew && r->count && r->rows[r->count - 1].step > step) r->count--;
    for (i = r->count; i > 0 && r->rows[i - 1].step >= step; i--)
        if (r->rows[i - 1].step == step) return &r->rows[i - 1];
    if (r->count == r->capacity) {
        int more = r->capacity ? 2 * r->capacity : 256;
        report_row *rows = (report_row *)realloc(r->rows, (size_t)more * sizeof *rows);
        if (!rows) return NULL;
        r->rows = rows;
        r->capacity = more;
    }
    memmove(&r->rows[i + 1], &r->rows[i], (size_t)(r->count - i) * sizeof *r->rows);
    r->count++;
    memset(&r->rows[i], 0, sizeof *r->rows);
    r->rows[i].step = step;
    for (k = 0; k < REPORT_CURVES; k++) r->rows[i].values[k] = (double)NAN;
    return &r->rows[i];
}

static inline void report_set(report *r, report_row *row, const char *name, double x) {
    int i = report_curve(r, name, 1);
    if (i >= 0) row->values[i] = x;
}

static inline int report_step_of(const json_value *v) {
    double step = json_number(json_find(v, "step"), -1);
    return step >= 0 && step < 1e9 ? (int)step : -1;
}

/* The config of the last start; NULL: the log has none. */
static inline const json_value *report_config_of(const report *r) {
    return r->num_starts ? json_find(r->starts[r->num_starts - 1].values, "config") : NULL;
}

/* What the metrics of a step say that was measured by nothing becomes NaN. */
static inline void report_forget(report *r, report_row *row, const json_value *line) {
    static const char *const of_rewards[] = { "reward", "reward_std", "frac_reward_zero_std" };
    static const char *const of_tokens[] = { "kl", "entropy", "loss", "grad_norm",
                                             "clip_ratio/region_mean" };
    const json_value *config = report_config_of(r);
    double all = json_number(json_find(config, "num_prompts"), 1)
                 * json_number(json_find(config, "num_generations"), 1);
    size_t i;
    int c;
    row->told = 1;
    row->unjudged = json_number(json_find(line, "num_left_out"), 0) >= all
                    && json_number(json_find(line, "reward"), 1) == 0
                    && json_number(json_find(line, "reward_std"), 1) == 0;
    row->masked = json_number(json_find(line, "ratio/mean"), 1) == 0;
    for (i = 0; row->unjudged && i < sizeof of_rewards / sizeof *of_rewards; i++)
        if ((c = report_curve(r, of_rewards[i], 0)) >= 0) row->values[c] = (double)NAN;
    for (c = 0; row->unjudged && c < r->curves; c++)
        if (!strncmp(r->names[c], "rewards/", 8) && row->values[c] == 0)
            row->values[c] = (double)NAN;
    if (json_number(json_find(line, "beta"), 1) == 0 && (c = report_curve(r, "kl", 0)) >= 0)
        row->values[c] = (double)NAN;                         /* there is no reference           */
    for (i = 0; row->masked && i < sizeof of_tokens / sizeof *of_tokens; i++)
        if ((c = report_curve(r, of_tokens[i], 0)) >= 0) row->values[c] = (double)NAN;
}

/* A line of metrics: the curves that have a title, and the rubric's means. */
static inline int report_metrics(report *r, const json_value *line) {
    const json_value *v;
    double tokens = json_number(json_find(line, "num_tokens"), (double)NAN);
    double seconds = json_number(json_find(line, "step_time"), (double)NAN);
    int i, step = report_step_of(line);
    report_row *row = step < 0 ? NULL : report_row_of(r, step, 1);
    if (!row) return 0;
    for (v = json_first(line); v; v = json_next(line, v)) {
        size_t n = strlen(v->key);
        int wanted = !strncmp(v->key, "rewards/", 8) && n > 13 && !strcmp(v->key + n - 5, "/mean");
        for (i = 0; i < REPORT_TITLES; i++) wanted |= !strcmp(v->key, report_titles[i][0]);
        if (wanted) report_set(r, row, v->key, json_number(v, (double)NAN));
    }
    report_forget(r, row, line);
    if (seconds > 0 && tokens > r->tokens)
        report_set(r, row, "tokens/s", (tokens - r->tokens) / seconds);
    r->tokens = tokens;
    return 1;
}

static inline int report_eval(report *r, const json_value *v) {
    int step = report_step_of(v);
    report_row *row = step < 0 ? NULL : report_row_of(r, step, 0);
    if (!row) return 0;
    report_set(r, row, "eval/accuracy", json_number(json_find(v, "accuracy"), (double)NAN));
    report_set(r, row, "eval/questions", json_number(json_find(v, "questions"), (double)NAN));
    if (json_find(v, "pass@1"))
        report_set(r, row, "eval/pass@1", json_number(json_find(v, "pass@1"), (double)NAN));
    r->k = (int)fmin(fmax(json_number(json_find(v, "k"), 1), 1), 1e6);
    if (r->k > 1)                   /* else that is the same                                     */
        report_set(r, row, "eval/pass@k", json_number(json_find(v, "pass@k"), (double)NAN));
    return 1;
}

static inline int report_group_step(const report *r, int i) {
    return report_step_of(json_find(r->groups[i].values, "samples"));
}

/* Room for one more group: what a run that was resumed tells again is forgotten, and, if there are
 * too many, the second. */
static inline json *report_group_slot(report *r, int step) {
    while (r->resumed && r->num_groups && report_group_step(r, r->num_groups - 1) >= step)
        json_free(&r->groups[--r->num_groups]);
    r->resumed = 0;
    if (r->num_groups == REPORT_GROUPS) {
        json_free(&r->groups[1]);
        memmove(&r->groups[1], &r->groups[2], (REPORT_GROUPS - 2) * sizeof *r->groups);
        r->num_groups--;
    }
    return &r->groups[r->num_groups++];
}

/* Takes over j if it is kept. */
static inline int report_line(report *r, json *j) {
    const json_value *v = j->values;
    if (json_is(json_find(v, "samples"), JSON_OBJECT)) {
        *report_group_slot(r, report_step_of(json_find(v, "samples"))) = *j;
        memset(j, 0, sizeof *j);
        return 1;
    }
    if (json_is(json_find(v, "config"), JSON_OBJECT)) {
        json *starts = (json *)realloc(r->starts, (size_t)(r->num_starts + 1) * sizeof *starts);
        if (!starts) return 0;
        r->starts = starts;
        starts[r->num_starts++] = *j;
        r->resumed = 1;
        memset(j, 0, sizeof *j);
        return 1;
    }
    if (json_is(json_find(v, "eval"), JSON_OBJECT)) return report_eval(r, json_find(v, "eval"));
    return report_metrics(r, v);
}

/* One line of n bytes. 1, or 0 with what is wrong with it. */
static inline int report_take(report *r, const char *at, size_t n, const char *name,
                              unsigned long number, char *wrong) {
    char *copy = (char *)malloc(n + 1);
    json j;
    int kept;
    if (!copy) {
        snprintf(wrong, JSON_ERROR_LENGTH, "%.120s: line %lu: out of memory", name, number);
        return 0;
    }
    memcpy(copy, at, n);
    copy[n] = 0;
    if (!json_parse_line(&j, copy, n, name, number, wrong)) return 0;
    kept = report_line(r, &j);
    if (!kept)
        snprintf(wrong, JSON_ERROR_LENGTH, "%.120s: line %lu: neither a step nor an evaluation, "
                 "samples or a config", name, number);
    json_free(&j);
    return kept;
}

/* The lines of a text; 0, or -1 with a sentence that says whose text it is. */
static inline int report_parse(report *r, const char *text, size_t length, const char *name,
                               char *error) {
    unsigned long number = 1;
    size_t from, to, blank;
    memset(r, 0, sizeof *r);
    report_curve(r, "reward", 1);   /* values[0]                                                 */
    for (from = 0; from < length; from = to + 1, number++) {
        char wrong[JSON_ERROR_LENGTH];
        for (to = from; to < length && text[to] != '\n'; to++) {}
        for (blank = from; blank < to && (text[blank] == ' ' || text[blank] == '\t'
                                          || text[blank] == '\r'); blank++) {}
        if (blank == to || report_take(r, text + from, to - from, name, number, wrong)) continue;
        if (!r->bad_lines++) memcpy(r->first_bad, wrong, sizeof wrong);
    }
    if (r->count) return 0;
    snprintf(error, JSON_ERROR_LENGTH, "%.180s has no steps in it: is it a run's log.jsonl?", name);
    report_free(r);
    return -1;
}

static inline int report_read(report *r, const char *path, char *error) {
    size_t length;
    char *text = json_load(path, &length, error);
    int code = text ? report_parse(r, text, length, path, error) : -1;
    free(text);
    return code;
}

/* ---- text that cannot break the page */
static inline void report_bytes(FILE *f, const char *s, size_t n) {
    while (n) {
        uint32_t code = 0;
        int bytes = json_utf8(s, n, &code);
        if (*s == '<') fputs("&lt;", f);
        else if (*s == '>') fputs("&gt;", f);
        else if (*s == '&') fputs("&amp;", f);
        else if (*s == '"') fputs("&quot;", f);
        else if (!bytes || (code < 0x20 && code != '\n' && code != '\t')
                 || (code >= 0x7f && code < 0xa0) || (code & 0xfffe) == 0xfffe)
            fputs("\xc2\xb7", f);   /* no character, or none that XML and HTML may hold          */
        else fwrite(s, 1, (size_t)bytes, f);
        s += bytes ? bytes : 1;
        n -= (size_t)(bytes ? bytes : 1);
    }
}

static inline void report_text(FILE *f, const char *s) { report_bytes(f, s, strlen(s)); }

static inline void report_string(FILE *f, const json_value *v) {
    if (json_is(v, JSON_STRING)) report_bytes(f, v->text, v->length);
}

/* ---- curves */

typedef struct report_scale { double least, most, first, last; } report_scale;

static inline double report_x(const report_scale *s, double step) {
    return 44 + (REPORT_WIDTH - 60) * (step - s->first) / (s->last > s->first
                                                           ? s->last - s->first : 1);
}
static inline double report_y(const report_scale *s, double y) {
    return REPORT_HEIGHT - 24 - (REPORT_HEIGHT - 56) * (y - s->least) / (s->most - s->least);
}

static inline int report_points_of(const report *r, int i) {
    int k, n = 0;
    for (k = 0; k < r->count; k++) n += fabs(r->rows[k].values[i]) < 1e300;
    return n;
}

/* Half of the 95 % interval of a share p of n: that of two more right and two more wrong (Agresti
 * and Coull 1998), so that none right of few is not 0 +- 0. */
static inline double report_interval(double p, double n) {
    p = (p * n + 2) / (n + 4);
    return 1.96 * sqrt(p * (1 - p) / (n + 4));
}

/* The greedy accuracy's; 0: it has none. */
static inline double report_half(const report *r, int i, int k) {
    int c = report_curve((report *)(uintptr_t)r, "eval/questions", 0);
    double n = c < 0 ? (double)NAN : r->rows[k].values[c], p = r->rows[k].values[i];
    if (strcmp(r->names[i], "eval/accuracy") != 0 || !(n > 0 && n < 1e300)) return 0;
    return p >= 0 && p <= 1 ? report_interval(p, n) : 0;      /* a log may hold anything         */
}

/* The range of curve i, with some air if it is flat; 0: it has no numbers. */
static inline int report_range(const report *r, int i, report_scale *s) {
    int k, any = 0;
    s->first = r->rows[0].step;
    s->last = r->rows[r->count - 1].step;
    s->least = HUGE_VAL;
    s->most = -HUGE_VAL;
    for (k = 0; k < r->count; k++) {
        double y = r->rows[k].values[i];
        if (!(fabs(y) < 1e300)) continue;
        any = 1;
        s->least = fmin(s->least, y - report_half(r, i, k));
        s->most = fmax(s->most, y + report_half(r, i, k));
    }
    if (!strncmp(r->names[i], "eval/", 5)) {                  /* a share of the questions        */
        s->least = fmax(s->least, 0);
        s->most = fmin(s->most, 1);
    }
    if (any && s->most - s->least <= 1e-9 * fabs(s->most)) {
        s->least -= 0.5 * fabs(s->least) + 1e-9;
        s->most += 0.5 * fabs(s->most) + 1e-9;
    }
    return any;
}

/* A path through the curve, smoothed by 1 - keep; it begins anew after a gap. */
static inline void report_path(FILE *f, const report *r, int i, const report_scale *s, double keep,
                               const char *kind) {
    double mean = 0, weight = 0;
    int k, pen = 0, joined = !strncmp(r->names[i], "eval/", 5);           /* over its gaps       */
    fprintf(f, "<path class=\"%s\" d=\"", kind);
    for (k = 0; k < r->count; k++) {
        double y = r->rows[k].values[i];
        if (!(fabs(y) < 1e300)) { pen = pen && joined; continue; }
        mean = keep * mean + (1 - keep) * y;
        weight = keep * weight + (1 - keep);
        fprintf(f, "%c%.1f %.1f", pen ? 'L' : 'M', report_x(s, r->rows[k].step),
                report_y(s, mean / weight));
        pen = 1;
    }
    fprintf(f, "\"/>\n");
}

/* The last value, as text; "-": the last step had none. */
static inline const char *report_last(const report *r, int i, const char *format, char text[32]) {
    int k = r->count - 1;
    while (k > 0 && !(fabs(r->rows[k].values[i]) < 1e300)
           && (!r->rows[k].told || !strncmp(r->names[i], "eval/", 5))) k--;
    snprintf(text, 32, fabs(r->rows[k].values[i]) < 1e300 ? format : "-", r->rows[k].values[i]);
    return text;
}

/* Has it one value only, and more than a point, or none? Then a sentence says so, and no panel. */
static inline int report_is_flat(const report *r, int i) {
    double least = HUGE_VAL, most = -HUGE_VAL;
    int k;
    for (k = 0; k < r->count; k++) {
        double y = r->rows[k].values[i];
        if (!(fabs(y) < 1e300)) continue;
        least = fmin(least, y);
        most = fmax(most, y);
    }
    if (!strncmp(r->names[i], "eval/", 5)) return 0;
    return least > most || (report_points_of(r, i) > 1 && least == most
                            && strcmp(r->names[i], "reward") != 0);
}

static inline const char *report_title(const char *name) {
    int k;
    for (k = 0; k < REPORT_TITLES; k++)
        if (!strcmp(name, report_titles[k][0])) return report_titles[k][1];
    return name;
}

/* A number in few characters: 0.0568, 41.2k, 1.3M. */
static inline const char *report_short(double y, char text[32]) {
    static const struct { double least; const char *letter; } units[] = {
        { 1e9, "G" }, { 1e6, "M" }, { 1e4, "k" } };
    int i = 0;
    while (i < 3 && !(fabs(y) >= units[i].least)) i++;
    if (i < 3 && fabs(y) < 1e12)
        snprintf(text, 32, fabs(y) >= 1e5 && i == 2 ? "%.0f%s" : "%.3g%s",
                 y / (i == 2 ? 1e3 : units[i].least), units[i].letter);
    else snprintf(text, 32, fabs(y) >= 100 && i == 3 ? "%.0f" : fabs(y) < 1e-4 ? "%.2g" : "%.3g",
                  y);
    return text;
}

/* One panel, its left upper corner at the origin. */
static inline void report_panel(FILE *f, const report *r, int i, const char *title) {
    report_scale s;
    char last[32], number[32], *end;
    int k, few;
    if (!report_range(r, i, &s)) return;
    fprintf(f, "<text class=\"t\" x=\"12\" y=\"20\">");
    if (!strcmp(r->names[i], "eval/pass@k")) fprintf(f, "held-out pass@%d, sampled", r->k);
    else report_text(f, title);
    if (fabs(strtod(report_last(r, i, "%.17g", last), &end)) >= 1e4 && !*end)
        report_short(strtod(last, NULL), last);
    else report_last(r, i, "%.4g", last);
    fprintf(f, "</text><text class=\"v\" x=\"%d\" y=\"20\">%s</text>\n", REPORT_WIDTH - 16, last);
    for (k = 0; k < 2; k++) {
        double y = k ? s.most : s.least;
        fprintf(f, "<line class=\"g\" x1=\"44\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text class=\"a\" x=\"40\" y=\"%.1f\" text-anchor=\"end\">",
                REPORT_WIDTH - 16, report_y(&s, y), report_y(&s, y), report_y(&s, y) + 3);
        if (fabs(y) < 1e-3 * (s.most - s.least)) y = 0;
        fprintf(f, "%s</text>\n", report_short(y, number));
    }
    fprintf(f, "<text class=\"a\" x=\"44\" y=\"%d\">%.0f</text>"
            "<text class=\"a\" x=\"%d\" y=\"%d\" text-anchor=\"end\">step %.0f</text>\n",
            REPORT_HEIGHT - 8, s.first, REPORT_WIDTH - 16, REPORT_HEIGHT - 8, s.last);
    few = report_points_of(r, i) < 3;
    if (strncmp(r->names[i], "eval/", 5) != 0 && !few) {
        if (!strcmp(r->names[i], "learning_rate")) {          /* no noise to be smoothed         */
            report_path(f, r, i, &s, 0, "s");
            return;
        }
        report_path(f, r, i, &s, 0, "r");
        report_path(f, r, i, &s, r->count > 20 ? 0.9 : 0.5, "s");
        return;
    }
    if (!few) report_path(f, r, i, &s, 0, "s");
    for (k = 0; k < r->count; k++) {
        double y = r->rows[k].values[i], x = report_x(&s, r->rows[k].step), half;
        if (!(fabs(y) < 1e300)) continue;
        half = report_half(r, i, k);
        if (half > 0)
            fprintf(f, "<path class=\"r\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", x,
                    report_y(&s, fmax(y - half, s.least)), x, report_y(&s, fmin(y + half, s.most)));
        fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n", x, report_y(&s, y));
    }
}

/* Is it the reward once more? Of a rubric of one it is, whatever its weight. */
static inline int report_is_twice(const report *r, int i) {
    int k, rewards = 0, same = 1, c = report_curve((report *)(uintptr_t)r, "reward", 0);
    if (strncmp(r->names[i], "rewards/", 8) != 0 || c < 0) return 0;
    for (k = 0; k < r->curves; k++) rewards += !strncmp(r->names[k], "rewards/", 8);
    for (k = 0; k < r->count; k++) {
        double a = r->rows[k].values[i], b = r->rows[k].values[c];
        same &= a == b || (isnan(a) && isnan(b));
    }
    return rewards == 1 || same;
}

/* All panels in one SVG. */
static inline void report_svg(FILE *f, const report *r) {
    int order[(int)REPORT_TITLES + (int)REPORT_CURVES], n = 0, i, rows;
    report_scale s;
    for (i = 0; i < REPORT_TITLES; i++) {
        int c = report_curve((report *)(uintptr_t)r, report_titles[i][0], 0);
        if (c >= 0 && !report_is_flat(r, c) && report_range(r, c, &s)) order[n++] = c;
        for (c = 0; i == 3 && c < r->curves; c++)             /* after what is held out          */
            if (!strncmp(r->names[c], "rewards/", 8) && !report_is_twice(r, c)
                && !report_is_flat(r, c) && report_range(r, c, &s)) order[n++] = c;
    }
    rows = (n + REPORT_COLUMNS - 1) / REPORT_COLUMNS;
    fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
            "font-family=\"system-ui, sans-serif\">\n<style>.p{fill:#fff;stroke:#ddd}"
            ".t{font-size:12px;fill:#333}.v{font-size:12px;font-weight:600;fill:#333;"
            "text-anchor:end}.a{font-size:9px;fill:#888}.g{stroke:#eee}.r{fill:none;"
            "stroke:#0b66c3;stroke-opacity:.3}.s{fill:none;stroke:#0b66c3;stroke-width:1.8}"
            "circle{fill:#0b66c3}@media(prefers-color-scheme:dark){.p{fill:#181b20;stroke:#333}"
            ".t,.v{fill:#ddd}.g{stroke:#2a2e35}.r,.s{stroke:#6cb2ff}circle{fill:#6cb2ff}}"
            "</style>\n", REPORT_COLUMNS * (REPORT_WIDTH + 8), rows * (REPORT_HEIGHT + 8));
    for (i = 0; i < n; i++) {
        const char *title = report_title(r->names[order[i]]);
        fprintf(f, "<g transform=\"translate(%d %d)\"><rect class=\"p\" width=\"%d\" height=\"%d\" "
                "rx=\"6\"/>\n", 4 + i % REPORT_COLUMNS * (REPORT_WIDTH + 8),
                4 + i / REPORT_COLUMNS * (REPORT_HEIGHT + 8), REPORT_WIDTH, REPORT_HEIGHT);
        report_panel(f, r, order[i], title);
        fprintf(f, "</g>\n");
    }
    fprintf(f, "</svg>\n");
}

/* What has been the same all the time, and what no step had anything to measure by. */
static inline void report_flat(FILE *f, const report *r) {
    static const char *const heads[2] = { "unchanged: ", "nothing to measure by: " };
    char last[32];
    int i, none, any;
    for (none = 0; none < 2; none++) {
        for (i = any = 0; i < r->curves; i++) {
            if (!report_is_flat(r, i) || report_is_twice(r, i)
                || (report_points_of(r, i) == 0) != none) continue;
            fprintf(f, "%s", any++ ? "; " : "<p class=\"k\">");
            if (any == 1) fprintf(f, "%s", heads[none]);
            report_text(f, report_title(r->names[i]));
            fprintf(f, " <b>%s</b>", report_last(r, i, "%.6g", last));
        }
        fprintf(f, any ? "</p>\n" : "");
    }
}

/* ---- completions, each token coloured by its advantage: blue is good, orange is bad */

static inline void report_cell(FILE *f, double x) {
    if (fabs(x) <= DBL_MAX) fprintf(f, "<td>%.3g</td>", x);
    else fprintf(f, "<td>none</td>");
}

static inline void report_completion(FILE *f, const json_value *c) {
    const json_value *texts = json_find(c, "text"), *As = json_find(c, "advantages");
    const json_value *t = json_first(texts), *a = json_first(As);
    fprintf(f, "<tr>");
    report_cell(f, json_number(json_find(c, "reward"), (double)NAN));
    report_cell(f, json_number(a, (double)NAN));
    fprintf(f, "<td class=\"c\">");
    for (; t; t = json_next(texts, t)) {
        double A = json_number(a, 0), strength = fabs(A) / 2 > 1 ? 0.6 : 0.3 * fabs(A);
        fprintf(f, "<span style=\"background:rgba(%s,%.2f)\">", A > 0 ? "11,102,195" : "214,96,30",
                fabs(A) < 1e30 ? strength : 0);
        report_string(f, t);
        fprintf(f, "</span>");
        if (a) a = json_next(As, a);
    }
    if (json_number(json_find(c, "truncated"), 0) > 0) fprintf(f, " <b class=\"x\">cut off</b>");
    fprintf(f, "</td></tr>\n");
}

static inline void report_group(FILE *f, const json_value *samples) {
    const json_value *list = json_find(samples, "completions"), *c;
    fprintf(f, "<h3>step %d</h3><pre>", report_step_of(samples));
    report_string(f, json_find(samples, "prompt"));
    fprintf(f, "</pre><p>answer: <b>");
    report_string(f, json_find(samples, "answer"));
    fprintf(f, "</b></p><table class=\"q\"><tr><th>reward</th><th>A</th><th>completion</th></tr>"
            "\n");
    for (c = json_first(list); c; c = json_next(list, c)) report_completion(f, c);
    fprintf(f, "</table>\n");
}

static inline void report_value(FILE *f, const json_value *v) {
    size_t n = v->type == JSON_NUMBER ? strspn(v->text, "+-.0123456789eE") : 0;
    if (n) report_bytes(f, v->text, n);
    else report_string(f, v);
}

/* The field of the config that a value is of, or NULL; *usual: it need not be shown at once, as it
 * is what it is if nobody says, or stands in the model's folder. */
static inline const grpo_field *report_field_of(const json_value *v, int *usual) {
    static const char *const always[] = {
        "num_prompts", "num_generations", "max_completion_length", "num_iterations",
        "learning_rate", "objective.beta", "objective.epsilon", "objective.epsilon_high",
        "sampling.temperature", "seed" };
    static const char *const never[] = { "max_token_bytes", "eos_token_id", "num_eos",
                                         "num_rewards", "objective.max_completion_length" };
    const grpo_field *f;
    const char *word;
    int i = 0;
    while ((f = grpo_field_at(i)) != NULL && strcmp(f->name, v->key) != 0) i++;
    *usual = f && !f->words && fabs(json_number(v, (double)NAN) - f->initial)
                               <= 1e-6 * fabs(f->initial);
    word = f ? report_word(f, f->initial) : NULL;
    if (word && json_is(v, JSON_STRING))
        *usual = strlen(v->text) == strcspn(word, " ") && !strncmp(v->text, word, strlen(v->text));
    for (i = 0; i < (int)(sizeof always / sizeof *always); i++)
        if (!strcmp(v->key, always[i])) *usual = 0;
    for (i = 0; i < (int)(sizeof never / sizeof *never); i++)
        if (!strcmp(v->key, never[i])) *usual = 1;
    if (!strncmp(v->key, "model.", 6)) *usual = 1;
    return f;
}

/* What the run is: first what is no number of the config, a line each; then what was set, and, to
 * be opened, what was not. */
static inline void report_config(FILE *f, const json_value *config) {
    const json_value *v;
    int usual, pass;
    fprintf(f, "<table class=\"w\">\n");
    for (v = json_first(config); v; v = json_next(config, v)) {
        if (report_field_of(v, &usual) || !strcmp(v->key, "after")) continue;
        fprintf(f, "<tr><th>");
        report_bytes(f, v->key, v->key_length);
        fprintf(f, "</th><td class=\"c\">");
        report_value(f, v);
        fprintf(f, "</td></tr>\n");
    }
    fprintf(f, "</table>\n");
    for (pass = 0; pass < 2; pass++) {
        fprintf(f, pass ? "<details><summary>the model's shape, and what nobody has set</summary>"
                          "<p class=\"k\">" : "<p class=\"k\">");
        for (v = json_first(config); v; v = json_next(config, v)) {
            if (!report_field_of(v, &usual) || usual != pass) continue;
            report_bytes(f, v->key, v->key_length);
            fprintf(f, " <b>");
            report_value(f, v);
            fprintf(f, "</b> &#160; ");
        }
        fprintf(f, pass ? "</p></details>\n" : "</p>\n");
    }
}

static inline int report_same(const json_value *a, const json_value *b) {
    if (!a || a->type != b->type) return 0;
    if (b->type == JSON_STRING)
        return a->length == b->length && !memcmp(a->text, b->text, a->length);
    return b->type != JSON_NUMBER || json_number(a, 0) == json_number(b, 0);
}

/* What differs from one config to the next, the command aside; "nothing". */
static inline void report_changes(FILE *f, const json_value *before, const json_value *now) {
    const json_value *a, *b;
    int any = 0;
    for (b = json_first(now); b; b = json_next(now, b)) {
        a = json_find(before, b->key);
        if (!strcmp(b->key, "command") || !strcmp(b->key, "after") || report_same(a, b)) continue;
        fputs(any++ ? "; " : "", f);
        report_bytes(f, b->key, b->key_length);
        fputs(" ", f);
        if (a) report_value(f, a);
        else fputs("-", f);
        fputs(" &#8594; <b>", f);
        report_value(f, b);
        fputs("</b>", f);
    }
    if (!any) fputs("nothing", f);
}

/* A run that was gone on with: when, by what command, and with what that differed. */
static inline void report_starts(FILE *f, const report *r) {
    const json_value *before = NULL, *now;
    int i;
    fprintf(f, "<h2>Started %d times</h2>\n<table><tr><th>after step</th><th>command</th>"
            "<th>changed</th></tr>\n", r->num_starts);
    for (i = 0; i < r->num_starts; i++, before = now) {
        now = json_find(r->starts[i].values, "config");
        fputs("<tr><td>", f);
        if (json_find(now, "after")) report_value(f, json_find(now, "after"));
        fputs("</td><td class=\"c\">", f);
        if (json_find(now, "command")) report_value(f, json_find(now, "command"));
        fputs("</td><td>", f);
        if (before) report_changes(f, before, now);
        fputs("</td></tr>\n", f);
    }
    fputs("</table>\n", f);
}

/* The last steps up to a number of them, at most `most`, oldest first; returns how many. */
static inline int report_doctor_points(report *r, int step, doctor_point *points, int most) {
    static const struct { const char *name; size_t at; } fields[] = {
        { "reward", offsetof(doctor_point, reward) },
        { "frac_reward_zero_std", offsetof(doctor_point, dead) },
        { "completions/clipped_ratio", offsetof(doctor_point, clipped) },
        { "kl", offsetof(doctor_point, kl) }, { "entropy", offsetof(doctor_point, entropy) },
        { "completions/mean_length", offsetof(doctor_point, length) },
        { "clip_ratio/region_mean", offsetof(doctor_point, clip_region) } };
    int i, n = 0, k = r->count;
    size_t j;
    while (k > 0 && n < most) n += r->rows[--k].told && r->rows[k].step <= step;
    for (i = 0; i < n; k++) {
        if (!r->rows[k].told) continue;
        memset(&points[i], 0, sizeof *points);
        for (j = 0; j < sizeof fields / sizeof *fields; j++) {
            int c = report_curve(r, fields[j].name, 0);
            double x = c < 0 ? 0 : r->rows[k].values[c];
            *(double *)(void *)((char *)&points[i] + fields[j].at) = x;
        }
        points[i].unjudged = r->rows[k].unjudged;
        points[i].masked = r->rows[k].masked;
        i++;
    }
    return n;
}

/* Those of a run that is resumed after a step, from its log; 0 if there is none. */
static inline int report_points(const char *path, int step, doctor_point *points, int most) {
    char error[JSON_ERROR_LENGTH];
    report r;
    int n;
    if (!path || step < 1 || report_read(&r, path, error)) return 0;
    n = report_doctor_points(&r, step, points, most);
    report_free(&r);
    return n;
}

/* The doctor looks at the run's end. */
static inline const char *report_doctor(report *r) {
    doctor_point points[DOCTOR_STEPS];
    int n = report_doctor_points(r, r->rows[r->count - 1].step, points, DOCTOR_STEPS);
    return doctor_says(points, n);
}

static inline void report_html(FILE *f, report *r, const char *name) {
    const char *doctor = report_doctor(r);
    int i;
    fprintf(f, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><title>");
    report_text(f, name);
    fprintf(f, "</title><style>body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2em "
            "auto;padding:0 1em;color:#222;background:#fafafa}pre,.c{white-space:pre-wrap;"
            "font:13px/1.5 ui-monospace,monospace}table{border-collapse:collapse;width:100%%}td,th{"
            "border-top:1px solid #ddd;padding:.3em .6em;text-align:left;vertical-align:top}.k,"
            "footer,summary{color:#777}.w th{color:#777;font-weight:400;white-space:nowrap}.w{"
            "margin-bottom:1em}.q .c{width:100%%}svg{display:block;margin:1em 0}"
            ".x{color:#d6601e;font-weight:600;"
            "white-space:nowrap}.d{"
            "border-left:4px solid #d6601e;padding-left:.8em}"
            "@media(prefers-color-scheme:dark){body{background:#111418;color:#ddd}td,th{"
            "border-color:#333}}</style></head><body>\n<h1>");
    report_text(f, name);
    fprintf(f, "</h1>\n");
    if (r->num_starts) report_config(f, report_config_of(r));
    if (r->num_starts > 1) report_starts(f, r);
    if (doctor) {
        fprintf(f, "<p class=\"d\">");
        report_text(f, doctor);
        fprintf(f, "</p>\n");
    }
    report_svg(f, r);
    report_flat(f, r);
    if (r->num_groups) fprintf(f, "<h2>Completions</h2><p class=\"k\">Each token's shade is its "
                               "advantage: blue is pulled up, orange pushed down.</p>\n");
    for (i = 0; i < r->num_groups; i++)
        report_group(f, json_find(r->groups[i].values, "samples"));
    fprintf(f, "<footer>");
    if (r->bad_lines) {
        fprintf(f, "<p>Lines that could not be read: %d. The first: ", r->bad_lines);
        report_text(f, r->first_bad);
        fprintf(f, "</p>");
    }
    fprintf(f, "</footer></body></html>\n");
}

/* out ends with .svg: the curves alone; else the whole report. 0, where error has a sentence if
 * lines were left out, or -1 with a sentence. */
static inline int report_write(const char *log, const char *out, char *error) {
    report r;
    size_t n = strlen(out);
    FILE *f;
    int done, why;
    if (report_read(&r, log, error)) return -1;
    f = system_open(out, "wb");
    if (f && n > 4 && !strcmp(out + n - 4, ".svg")) report_svg(f, &r);
    else if (f) report_html(f, &r, log);
    done = f && !ferror(f);
    if (f && fclose(f)) done = 0;
    why = errno;
    if (r.bad_lines) memcpy(error, r.first_bad, JSON_ERROR_LENGTH);
    else error[0] = 0;
    report_free(&r);
    if (done) return 0;
    snprintf(error, JSON_ERROR_LENGTH, "%.180s cannot be written: %s", out, strerror(why));
    return -1;
}

#endif
