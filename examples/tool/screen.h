/* screen.h: a run while it runs. On a terminal a picture that is drawn over itself: curves, groups
 * with their rewards and advantages, speed, time left, and the doctor's lines, as much of it as the
 * terminal has room for. Piped, or with NO_COLOR set or TERM=dumb: a line a step.
 *
 *     screen view;
 *     screen_start(&view, steps);
 *     while (...) { grpo_step(...); screen_step(&view, g, &metrics); }
 *     screen_end(&view);
 *
 * What takes long besides has a line, over itself below the picture; piped, one every half minute:
 *
 *     screen_begin(&view, "loading 538 MB");
 *     while (...) screen_wait(&view, share);        0 to 1: how much is done, and the time left
 *     screen_done(&view);
 *
 * It is drawn into memory first (screen_draw), which is how it is tested, and written at once.
 * Between two pictures the terminal is as it was: nothing is to be restored, whatever ends it. */
#ifndef SCREEN_H
#define SCREEN_H

#include "grpo.h"
#include "doctor.h"
#include "json.h"
#include "system.h"

#include <errno.h>
#include <stdarg.h>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/ioctl.h>
#include <unistd.h>
#endif

enum { SCREEN_POINTS = 4096, SCREEN_ROOM = 1 << 18, SCREEN_GROUP = 6, SCREEN_CURVES = 6,
       SCREEN_WIDEST = 400, SCREEN_TALLEST = 200, SCREEN_NOTE = 3 };  /* lines of a note          */

typedef struct screen_waiting {     /* for what                                                  */
    char what[120];
    double began, shown;            /* seconds                                                   */
    int terminal;
} screen_waiting;

typedef struct screen {
    int steps, drawn, live, columns, rows, count;             /* drawn: lines to go up again     */
    double seconds, tokens;         /* of the last step: smoothed, and its tokens a second       */
    double last_tokens;
    doctor_point points[SCREEN_POINTS];                       /* halved when full                */
    const char *doctor;
    char note[400], evaluated[400]; /* what the last evaluation said                             */
    const char *(*question)(const grpo_sample *sample);       /* within its prompt; NULL: that   */
    screen_waiting waiting;
} screen;

/* ---- text of a bounded length */
typedef struct screen_text { char *bytes; size_t length, room; int lines; } screen_text;

static inline void screen_put(screen_text *t, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;
static inline void screen_put(screen_text *t, const char *format, ...) {
    va_list list;
    int n;
    va_start(list, format);
    n = vsnprintf(t->bytes + t->length, t->room - t->length, format, list);
    va_end(list);
    if (n > 0) t->length += (size_t)n < t->room - t->length ? (size_t)n : t->room - t->length - 1;
}

static inline void screen_line(screen_text *t) {
    screen_put(t, "\x1b[K\n");
    t->lines++;
}

/* Columns that a character takes, rather too many than too few (Unicode's East Asian Width: wide
 * ones and those that some terminals draw wide); 0: it is not shown, or turns the line round. */
static inline int screen_width(uint32_t code) {
    if (code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code < 0x2010)
        || (code >= 0x2028 && code < 0x202f) || (code >= 0x2060 && code < 0x2070)) return 0;
    return (code >= 0x1100 && code < 0x1160) || (code >= 0x2300 && code < 0x2c00)
           || (code >= 0x2e80 && code < 0xd7b0) || (code >= 0xf900 && code < 0xfb00)
           || (code >= 0xff00 && code < 0xff61) || code >= 0x1f000 ? 2 : 1;
}

/* Bytes of the character at s, and the columns that it takes as it is shown: what cannot be shown
 * as it is becomes a sign of one column. */
static inline size_t screen_character(const char *s, size_t n, int *columns, const char **sign) {
    uint32_t code = 0;
    int bytes = json_utf8(s, n, &code), width = bytes ? screen_width(code) : 0;
    *sign = width ? NULL : bytes && code == '\n' ? "\xe2\x8f\x8e" : "\xc2\xb7";
    *columns = width ? width : 1;
    return bytes ? (size_t)bytes : 1;
}

/* The n bytes at s in at most so many columns. */
static inline void screen_clip_bytes(screen_text *t, const char *s, size_t n, int columns) {
    const char *sign;
    size_t bytes;
    int width;
    for (; n; s += bytes, n -= bytes) {
        bytes = screen_character(s, n, &width, &sign);
        if ((columns -= width) < 0) return;
        if (sign) screen_put(t, "%s", sign);
        else screen_put(t, "%.*s", (int)bytes, s);
    }
}

/* The end of s that fits into so many columns. */
static inline const char *screen_tail(const char *s, int columns) {
    const char *sign, *at;
    int width, total = 0;
    for (at = s; *at; total += width) at += screen_character(at, strlen(at), &width, &sign);
    for (; *s && total > columns; total -= width)
        s += screen_character(s, strlen(s), &width, &sign);
    return s;
}

static inline void screen_clip(screen_text *t, const char *s, int columns) {
    screen_clip_bytes(t, s, strlen(s), columns);
}

/* Lines that a sentence takes if it is broken at blanks, at most `most`; drawn if t is given. */
static inline int screen_sentence(screen_text *t, const char *s, int columns, int most) {
    int lines = 0;
    while (*s && lines < most) {
        size_t n = strlen(s), room = columns > 4 ? (size_t)columns - 4 : 1, cut = n;
        if (n > room && lines + 1 < most) {
            for (cut = room; cut && s[cut] != ' '; cut--) {}
            if (!cut) cut = room;
        }
        if (t) {
            screen_put(t, "%s", columns > 3 ? "  " : "");
            screen_clip_bytes(t, s, cut, columns - 3);
            screen_line(t);
        }
        lines++;
        for (s += cut; *s == ' '; s++) {}
    }
    return lines;
}

/* "-" for a mean of nothing. */
static inline const char *screen_number(char text[32], const char *format, double x) {
    if (isnan(x)) snprintf(text, 32, "-");
    else snprintf(text, 32, format, x);
    return text;
}

/* ---- curves, one character high in eight steps: the mean of what falls into each column */
static inline double screen_value(const screen *v, int i, int which) {
    const doctor_point *p = &v->points[i];
    const double values[SCREEN_CURVES] = { p->reward, p->kl, p->entropy, p->length,
                                           p->clip_region, p->dead };
    return values[which];
}

static inline void screen_curve(screen_text *t, const screen *v, const char *name, int which,
                                int columns) {
    char label[64], now[32];
    static const char *const bars[8] = {
        "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
        "\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88" };
    double least = HUGE_VAL, most = -HUGE_VAL;
    int i, c, width = columns - 28;
    for (i = 0; i < v->count; i++) {
        least = fmin(least, screen_value(v, i, which));
        most = fmax(most, screen_value(v, i, which));
    }
    screen_number(now, "%.4g", screen_value(v, v->count - 1, which));
    snprintf(label, sizeof label, "  %-12s %9s  ", name, now);
    screen_clip(t, label, columns - 1);
    if (width > v->count) width = v->count;
    for (c = 0; c < width; c++) {
        int from = (int)((double)v->count * c / width);
        int to = (int)((double)v->count * (c + 1) / width), at;
        double sum = 0, x;
        int n = 0;
        for (i = from; i < to; i++) if (!isnan(x = screen_value(v, i, which))) sum += x, n++;
        at = most > least && n ? (int)(7.99 * (sum / n - least) / (most - least)) : 0;
        screen_put(t, "%s", !n ? " " : bars[at < 0 ? 0 : at > 7 ? 7 : at]);
    }
    screen_line(t);
}

/* ---- a text in so many columns and lines: its beginning and, as that is where the answer stands,
 * more of its end */
typedef struct screen_block { int columns, lines, at, indent, most; } screen_block;

static inline int screen_columns(const char *s) {
    const char *sign;
    int width, total = 0;
    for (; *s; total += width) s += screen_character(s, strlen(s), &width, &sign);
    return total;
}

/* The first `columns` columns of s, over as many lines as they need. */
static inline void screen_flow(screen_text *t, screen_block *b, const char *s, int columns) {
    const char *sign;
    size_t bytes;
    int width;
    for (; *s; s += bytes) {
        bytes = screen_character(s, strlen(s), &width, &sign);
        if ((columns -= width) < 0) return;
        if (b->at + width > b->columns) {
            if (b->lines == b->most) return;
            screen_line(t);
            screen_put(t, "%*s", b->indent, "");
            b->lines++;
            b->at = 0;
            if (*s == ' ') continue;          /* no line begins with one                         */
        }
        if (sign) screen_put(t, "%s", sign);
        else screen_put(t, "%.*s", (int)bytes, s);
        b->at += width;
    }
}

/* A completion beside what stands in the `indent` columns before it, in at most `most` lines; a
 * mark where it was cut off. Returns its lines. */
static inline int screen_ends(screen_text *t, const char *s, int cut, int indent, int columns,
                              int most) {
    static const char mark[] = " [cut off]", gap[] = " ... ";
    screen_block b = { 0, 1, 0, 0, 0 };
    int room, needed = screen_columns(s), head;
    b.columns = columns;
    b.indent = indent;
    b.most = most;
    room = (most > 1 ? columns - 1 : columns) * most;         /* a wide character leaves one free */
    if (cut && room > 3 * (int)sizeof mark) /* which is not broken                               */
        room -= ((int)sizeof mark - 1) * (most > 1 ? 2 : 1);
    else cut = 0;
    if (needed <= room) screen_flow(t, &b, s, needed);
    else if (room < 3 * (int)sizeof gap) screen_flow(t, &b, screen_tail(s, room), room);
    else {
        head = (room - (int)sizeof gap + 1) / 3;
        screen_flow(t, &b, s, head);
        screen_flow(t, &b, gap, (int)sizeof gap - 1);
        screen_flow(t, &b, screen_tail(s, room - head - (int)sizeof gap + 1), room);
    }
    if (!cut) return b.lines;
    if (b.at + (int)sizeof mark - 1 > columns) b.at = columns;
    screen_put(t, "\x1b[33m");
    screen_flow(t, &b, mark, (int)sizeof mark - 1);
    screen_put(t, "\x1b[0m");
    return b.lines;
}

/* The expected answer and the question, each by its end, in one line or, if there is room, as many
 * as the question needs. */
static inline void screen_question(screen_text *t, const screen *v, const grpo_sample *s,
                                   int columns, int most) {
    const char *question = v->question ? v->question(s) : s->prompt;
    const char *answer = s->answer ? s->answer : "", *last = strrchr(answer, '\n');
    int indent, third = columns / 3;
    if (last && last[1]) answer = last + 1;                   /* behind a solution: "#### 18"    */
    indent = screen_columns(answer);
    if (indent > third) answer = screen_tail(answer, indent = third);
    screen_put(t, "  %s\x1b[1m", *answer ? "answer " : "");
    screen_clip(t, answer, third);
    screen_put(t, "\x1b[0m%s", *answer ? "  " : "");
    indent += *answer ? 11 : 2;
    screen_ends(t, question ? question : "", 0, indent, columns - 1 - indent, most);
    screen_line(t);
}

/* Lines of the text of a sequence if it may have all it needs. */
static inline int screen_needs(const grpo_sample *s, int columns) {
    const int all = screen_columns(s->completion) + (s->truncated ? 20 : 0);
    return 1 + all / (columns > 1 ? columns - 1 : 1);
}

/* Group k of the batch, in at most so many lines: the answer and the question; then reward,
 * advantage and text of each. */
static inline void screen_group(screen_text *t, const screen *v, const grpo *g, int k, int columns,
                                int lines) {
    enum { BEFORE = 23 };           /* columns before the text                                   */
    const grpo_batch *b = &g->batch;
    const int first = k * b->group_size, width = columns - BEFORE - 1, end = t->lines + lines;
    char reward[32];
    int i, most, n = b->group_size < lines - 1 ? b->group_size : lines - 1;
    if (!b->samples || first + n > b->num_sequences || width < 5 || lines < 2) return;
    screen_question(t, v, &b->samples[first], columns, lines - n > n ? (lines - n) / 2 : 1);
    for (i = first; i < first + n; i++) {
        float A = b->advantages[b->offsets[i]];
        most = (end - t->lines) / (first + n - i);            /* what those before left over     */
        if (most > screen_needs(&b->samples[i], width)) most = screen_needs(&b->samples[i], width);
        screen_number(reward, "%.3g", (double)b->rewards[i]);
        screen_put(t, "  %9s %s%+9.3g\x1b[0m  ", reward,
                   A > 0 ? "\x1b[34m" : A < 0 ? "\x1b[31m" : "", (double)A);
        if (!*b->samples[i].completion) screen_clip(t, "(empty)", width);
        screen_ends(t, b->samples[i].completion, b->samples[i].truncated, BEFORE, width, most);
        screen_line(t);
    }
}

static inline void screen_status(screen_text *t, const screen *v, const grpo_metrics *m,
                                 int columns) {
    double left = v->seconds * (v->steps - m->step) / 60;
    char line[200], time_left[40] = "", speed[32];
    if (left >= 60) snprintf(time_left, sizeof time_left, "   %.1f h left", left / 60);
    else if (left >= 1.0 / 60) snprintf(time_left, sizeof time_left, "   %d:%02d left", (int)left,
                                        (int)(60 * (left - (int)left)));
    snprintf(line, sizeof line, "  step %d of %d%s   %.3g s a step   %s tokens/s", m->step,
             v->steps, time_left, v->seconds, screen_number(speed, "%.0f", v->tokens));
    screen_clip(t, line, columns - 1);
    screen_line(t);
}

/* The whole picture into text[room], under rows lines; returns how many. What does not fit is left
 * out: what is wrong comes first, then the curves and a group by halves, then more groups. */
static inline int screen_draw(const screen *v, const grpo *g, const grpo_metrics *m, int columns,
                              int rows, char *text, size_t room) {
    static const char *const names[SCREEN_CURVES] = { "reward", "kl", "entropy", "length",
                                                      "clip ratio", "dead groups" };
    const char *doctor = v->doctor ? v->doctor : "";
    screen_text t = { NULL, 0, 0, 0 };
    int i, said, told, curves, end, left = (rows < SCREEN_TALLEST ? rows : (int)SCREEN_TALLEST) - 2;
    t.bytes = text;
    t.room = room;
    text[0] = 0;
    said = screen_sentence(NULL, doctor, columns, SCREEN_NOTE)
         + screen_sentence(NULL, v->note, columns, SCREEN_NOTE);
    if (said > left / 2) said = left / 2;
    left -= said;
    told = left > SCREEN_CURVES + 2 ? screen_sentence(NULL, v->evaluated, columns, 2) : 0;
    left -= told;
    curves = left >= SCREEN_CURVES + SCREEN_GROUP + 1 ? SCREEN_CURVES : (left + 1) / 2;
    screen_status(&t, v, m, columns);
    screen_sentence(&t, v->evaluated, columns, told);
    for (i = 0; i < curves && i < SCREEN_CURVES; i++) screen_curve(&t, v, names[i], i, columns);
    for (i = 0, end = 1 + told + left; i < g->batch.num_prompts
         && end - t.lines > (i ? g->batch.group_size : 1); i++)
        screen_group(&t, v, g, i, columns, end - t.lines);
    said -= screen_sentence(&t, doctor, columns, said < SCREEN_NOTE ? said : SCREEN_NOTE);
    screen_sentence(&t, v->note, columns, said);
    return t.lines;
}

static inline void screen_plain(FILE *f, const screen *v, const grpo_metrics *m) {
    const doctor_point *p = &v->points[v->count - 1];
    char reward[64] = "-", n[6][32];
    if (!(p->unjudged > 0))
        snprintf(reward, sizeof reward, "%.4f +- %.4f", p->reward, m->reward_std);
    fprintf(f, "step %d/%d  reward %s  kl %s  entropy %s  length %.1f  clipped %.2f  "
            "clip %s  dead %s  grad %s  %.2f s  %s tokens/s\n", m->step, v->steps,
            reward, screen_number(n[0], "%.4f", p->kl), screen_number(n[1], "%.3f", p->entropy),
            m->completions_mean_length, m->completions_clipped_ratio,
            screen_number(n[2], "%.3f", p->clip_region), screen_number(n[3], "%.2f", p->dead),
            screen_number(n[4], "%.3g", p->masked > 0 ? (double)NAN : m->grad_norm), m->step_time,
            screen_number(n[5], "%.0f", v->tokens));
}

/* ---- the terminal */
#if defined(__unix__) || defined(__APPLE__)
/* Its size now; what it shows is wiped when that has changed, as lines may be broken anew. */
static inline void screen_measure(screen *v) {
    struct winsize size;
    int columns = 80, rows = 24;
    if (!ioctl(1, TIOCGWINSZ, &size) && size.ws_col && size.ws_row) {
        columns = size.ws_col < SCREEN_WIDEST ? size.ws_col : (int)SCREEN_WIDEST;
        rows = size.ws_row;
    }
    if (v->drawn && (columns != v->columns || rows != v->rows)) v->drawn = -1;
    v->columns = columns;
    v->rows = rows;
}

static inline int screen_is_terminal(void) {
    const char *kind = getenv("TERM");
    return isatty(1) && !getenv("NO_COLOR") && kind && strcmp(kind, "dumb") != 0;
}

static inline void screen_send(const char *text, size_t n) {
    ssize_t done;
    while (n && ((done = write(1, text, n)) > 0 || errno == EINTR))
        if (done > 0) { text += done; n -= (size_t)done; }
}
#else
static inline void screen_measure(screen *v) { (void)v; }
static inline int screen_is_terminal(void) { return 0; }
static inline void screen_send(const char *text, size_t n) { fwrite(text, 1, n, stdout); }
#endif

static inline void screen_write(const char *text, size_t n) {
    fflush(stdout);
    screen_send(text, n);
}

/* ---- what takes long: a line that goes over itself. screen_wait() may be called by a signal's
 * handler, so what it calls may be too: no printf */
static inline size_t screen_join(char *to, size_t n, size_t room, const char *s) {
    while (*s && n + 1 < room) to[n++] = *s++;
    to[n] = 0;
    return n;
}

static inline size_t screen_join_number(char *to, size_t n, size_t room, int number, int digits) {
    char text[16];
    int at = (int)sizeof text - 1;
    text[at] = 0;
    while (at && (number > 0 || digits > 0)) {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
        digits--;
    }
    return screen_join(to, n, room, text + at);
}

static inline void screen_wait(screen *v, double share) {
    screen_waiting *w = &v->waiting;
    double now = system_seconds(), taken = now - w->began;
    char text[200];
    size_t n, room = sizeof text - 1;
    int left;
    if (share > 1) share = 1;       /* what is not known to the byte                             */
    if (!w->what[0] || now - w->shown < (w->terminal ? 0.1 : 30)) return;
    w->shown = now;
    n = screen_join(text, 0, room, w->terminal ? "\r\x1b[K" : "");
    if (w->terminal && v->columns < 150) room = n + (v->columns > 3 ? (size_t)v->columns : 1);
    n = screen_join(text, n, room, w->terminal && v->columns > 40 ? "  " : "");
    n = screen_join(text, n, room, w->what);
    if (share > 0) {
        n = screen_join(text, n, room, ": ");
        n = screen_join_number(text, n, room, (int)(100 * share), 1);
        n = screen_join(text, n, room, " %");
    }
    if (share > 0.01 && taken > 0.5) taken *= (1 - share) / share;
    else if (share > 0 || taken < 1) taken = -1;
    if (taken >= 0) {
        left = taken < 1e6 ? (int)(taken + 0.5) : 999999;
        n = screen_join(text, n, room, share > 0 ? ", " : ": ");
        n = screen_join_number(text, n, room, left / 60, 1);
        n = screen_join(text, n, room, ":");
        n = screen_join_number(text, n, room, left % 60, 2);
        n = screen_join(text, n, room, share > 0 ? " left" : " so far");
    }
    if (!w->terminal) n = screen_join(text, n, sizeof text, "\n");
    screen_send(text, n);
}

static inline void screen_begin(screen *v, const char *what) {
    screen_waiting *w = &v->waiting;
    snprintf(w->what, sizeof w->what, "%.119s", what);
    w->began = w->shown = system_seconds();
    w->terminal = screen_is_terminal();
    fflush(stdout);
    if (!w->terminal) return;
    screen_measure(v);
    w->shown = 0;
    screen_wait(v, 0);
}

static inline void screen_done(screen *v) {
    if (v->waiting.what[0] && v->waiting.terminal) screen_send("\r\x1b[K", 4);
    v->waiting.what[0] = 0;
}

/* The picture over the one before, in one piece: no cursor meanwhile, and no line broken. */
static inline void screen_show(screen *v, const grpo *g, const grpo_metrics *m) {
    enum { AROUND = 64 };
    char *text = (char *)malloc(SCREEN_ROOM);
    size_t n;
    if (!text) return;
    screen_measure(v);
    n = (size_t)sprintf(text, "\r\x1b[?25l\x1b[?7l");
    if (v->drawn < 0) n += (size_t)sprintf(text + n, "\x1b[2J\x1b[H");
    if (v->drawn > 0) n += (size_t)sprintf(text + n, "\x1b[%dA", v->drawn);
    v->drawn = screen_draw(v, g, m, v->columns, v->rows, text + n, SCREEN_ROOM - n - AROUND);
    n += strlen(text + n);
    n += (size_t)sprintf(text + n, "\x1b[J\x1b[?7h\x1b[?25h");
    screen_write(text, n);
    free(text);
}

/* ---- the calls */
static inline void screen_start(screen *v, int steps) {
    const char *(*question)(const grpo_sample *) = v->question;
    memset(v, 0, sizeof *v);
    v->question = question;
    v->steps = steps;
    v->live = screen_is_terminal();
}

/* Something happened: on a terminal it is shown below the picture, else as a line of its own. */
static inline void screen_note(screen *v, const char *line) {
    snprintf(v->note, sizeof v->note, "%.399s", line);
    if (!v->live) printf("%s\n", line);
}

static inline void screen_remember(screen *v, const grpo *g, const grpo_metrics *m) {
    const grpo_batch *b = &g->batch;
    double tokens = m->num_tokens - v->last_tokens;
    doctor_point *p;
    int i;
    if (v->count == SCREEN_POINTS) {          /* every second one is enough for a curve          */
        for (i = 0; i < SCREEN_POINTS / 2; i++) v->points[i] = v->points[2 * i + 1];
        v->count = SCREEN_POINTS / 2;
    }
    p = &v->points[v->count++];
    p->reward = m->reward;
    p->dead = m->frac_reward_zero_std;
    p->clipped = m->completions_clipped_ratio;
    p->kl = m->beta > 0 ? m->kl : (double)NAN;                /* beta 0: there is no reference   */
    p->entropy = m->entropy;
    p->length = m->completions_mean_length;
    p->clip_region = m->clip_ratio_region_mean;
    p->skipped = m->skipped;
    p->unjudged = m->num_left_out >= b->num_sequences && m->reward == 0 && m->reward_std == 0;
    p->masked = m->ratio_mean == 0;           /* a ratio is above 0                              */
    doctor_forget(p);
    v->seconds = v->seconds > 0 ? 0.8 * v->seconds + 0.2 * m->step_time : m->step_time;
    if (!(v->last_tokens > 0) && m->step > 1) /* the first of a run that is gone on with         */
        for (i = 0, tokens = 0; i < b->num_sequences; i++)
            tokens += b->samples[i].num_prompt_tokens + b->samples[i].num_tokens;
    v->tokens = m->step_time > 0 ? tokens / m->step_time : (double)NAN;
    v->last_tokens = m->num_tokens;
}

static inline void screen_step(screen *v, const grpo *g, const grpo_metrics *m) {
    const char *before = v->doctor;
    screen_remember(v, g, m);
    v->doctor = doctor_says(v->points, v->count);
    if (v->live) screen_show(v, g, m);
    else {
        screen_plain(stdout, v, m);
        if (v->doctor && v->doctor != before) printf("doctor: %s\n", v->doctor);
    }
    fflush(stdout);
}

/* An evaluation: part of the picture, or a line of its own; on a terminal broken at blanks. */
static inline void screen_evaluated(screen *v, const char *line) {
    char text[2048];
    screen_text t = { text, 0, sizeof text, 0 };
    snprintf(v->evaluated, sizeof v->evaluated, "%.399s", line);
    if (v->live) return;
    if (screen_is_terminal()) {
        screen_measure(v);
        screen_sentence(&t, line, v->columns, SCREEN_NOTE);
        screen_write(text, t.length);
    } else printf("%s\n", line), fflush(stdout);
}

/* One completion of an evaluation, as it was judged, with its question. */
static inline void screen_completion(screen *v, const grpo_sample *a, double reward, int right) {
    enum { BEFORE = 18, PIPED = 100, LINES = 3 };
    char *text = (char *)malloc(SCREEN_ROOM), *from, *to, number[32];
    int columns = v->waiting.terminal ? v->columns : (int)PIPED;
    screen_text t = { NULL, 0, SCREEN_ROOM, 0 };
    if (!text || columns < BEFORE + 8) { free(text); return; }
    t.bytes = text;
    text[0] = 0;
    screen_put(&t, "%s", v->waiting.terminal ? "\r" : "");
    screen_question(&t, v, a, columns, LINES);
    screen_put(&t, "  %s%s\x1b[0m %9s  ", right ? "\x1b[34m" : "\x1b[31m",
               right ? "right" : "wrong", screen_number(number, "%.3g", reward));
    screen_ends(&t, a->completion, a->truncated, BEFORE + 1, columns - BEFORE - 2, LINES);
    screen_line(&t);
    for (from = to = text; *from && !v->waiting.terminal; from++) {
        if (*from == '\x1b') from += strcspn(from, "mK");
        else *to++ = *from;
    }
    if (!v->waiting.terminal) *to = 0, t.length = (size_t)(to - text);
    screen_write(text, t.length);
    free(text);
    if (v->waiting.terminal) v->waiting.shown = 0;
}

/* What is printed next stands below the picture, which is not drawn over. */
static inline void screen_leave(screen *v) {
    if (v->live) screen_write("\r\x1b[K", 4);                 /* a "^C", say                      */
    v->drawn = 0;
    fflush(stdout);
}

/* What is said from here on is said below it. */
static inline void screen_end(screen *v) {
    screen_leave(v);
    v->live = 0;
}

#endif
