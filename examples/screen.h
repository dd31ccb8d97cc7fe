/* screen.h: a run while it runs. On a terminal a picture that is drawn over itself: curves, a group
 * with its rewards and advantages, speed, time left, and the doctor's line. Piped, or with NO_COLOR
 * set: a line a step.
 *
 *     screen view;
 *     screen_start(&view, steps);
 *     while (...) { grpo_step(...); screen_step(&view, g, &metrics); }
 *     screen_end(&view);
 *
 * It is drawn into memory first (screen_draw), which is how it is tested. */
#ifndef SCREEN_H
#define SCREEN_H

#include "grpo.h"
#include "doctor.h"
#include "json.h"

#include <stdarg.h>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/ioctl.h>
#include <unistd.h>
#endif

enum { SCREEN_POINTS = 4096, SCREEN_ROOM = 1 << 14, SCREEN_GROUP = 6, SCREEN_CURVES = 6 };

typedef struct screen {
    int steps, drawn, live, columns, count;                   /* drawn: lines to go up again     */
    double seconds, tokens;         /* of the last step: smoothed, and its tokens a second       */
    double last_tokens;
    doctor_point points[SCREEN_POINTS];                       /* halved when full                */
    const char *doctor;
    char note[400];
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

/* Text in at most `columns` columns: what cannot be shown as it is becomes a dot, wide characters
 * count twice. */
static inline void screen_clip(screen_text *t, const char *s, int columns) {
    size_t n = strlen(s);
    while (n && columns > 0) {
        uint32_t code = 0;
        int bytes = json_utf8(s, n, &code), width = 1;
        if (code >= 0x1100 && (code < 0x1160 || (code >= 0x2e80 && code < 0xd7b0)
                               || (code >= 0xf900 && code < 0xfb00)
                               || (code >= 0xff00 && code < 0xff61) || code >= 0x1f300)) width = 2;
        if (bytes == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0)) {
            screen_put(t, "%s", code == '\n' && bytes ? "\xe2\x8f\x8e" : "\xc2\xb7");
            if (!bytes) bytes = 1;
        } else if (width <= columns) {
            screen_put(t, "%.*s", bytes, s);
        }
        columns -= width;
        s += bytes;
        n -= (size_t)bytes;
    }
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
    static const char *const bars[8] = {
        "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
        "\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88" };
    double least = HUGE_VAL, most = -HUGE_VAL;
    int i, c, width = columns - 36;
    for (i = 0; i < v->count; i++) {
        least = fmin(least, screen_value(v, i, which));
        most = fmax(most, screen_value(v, i, which));
    }
    screen_put(t, "  %-12s %9.4g  ", name, screen_value(v, v->count - 1, which));
    if (width > v->count) width = v->count;
    for (c = 0; c < width; c++) {
        int from = (int)((double)v->count * c / width);
        int to = (int)((double)v->count * (c + 1) / width), at;
        double sum = 0;
        for (i = from; i < to; i++) sum += screen_value(v, i, which);
        at = most > least ? (int)(7.99 * (sum / (to - from) - least) / (most - least)) : 0;
        screen_put(t, "%s", bars[at < 0 ? 0 : at > 7 ? 7 : at]);
    }
    screen_line(t);
}

/* The first group of the batch: reward, advantage, the beginning of the text. */
static inline void screen_group(screen_text *t, const grpo *g, int columns) {
    const grpo_batch *b = &g->batch;
    int i, most = b->group_size < SCREEN_GROUP ? b->group_size : SCREEN_GROUP;
    if (!b->samples || b->num_sequences < most) return;
    screen_put(t, "  ");
    screen_clip(t, b->samples[0].prompt ? b->samples[0].prompt : "", columns - 4);
    screen_line(t);
    for (i = 0; i < most; i++) {
        float A = b->advantages[b->offsets[i]];
        screen_put(t, "  %7.3f %s%+7.2f\x1b[0m  ", (double)b->rewards[i],
                   A > 0 ? "\x1b[34m" : A < 0 ? "\x1b[31m" : "", (double)A);
        screen_clip(t, b->samples[i].completion, columns - 22);
        screen_line(t);
    }
}

/* The whole picture into text[room]; returns its number of lines. */
static inline int screen_draw(const screen *v, const grpo *g, const grpo_metrics *m, int columns,
                              char *text, size_t room) {
    static const char *const names[SCREEN_CURVES] = { "reward", "kl", "entropy", "length",
                                                      "clip ratio", "dead groups" };
    screen_text t = { NULL, 0, 0, 0 };
    int i, left = (int)(v->seconds * (v->steps - m->step) + 0.5);
    t.bytes = text;
    t.room = room;
    text[0] = 0;
    screen_put(&t, "  step %d of %d   %.2f s a step   %.0f tokens/s   %d:%02d left", m->step,
               v->steps, v->seconds, v->tokens, left / 60, left % 60);
    screen_line(&t);
    for (i = 0; i < SCREEN_CURVES; i++) screen_curve(&t, v, names[i], i, columns);
    screen_group(&t, g, columns);
    if (v->doctor || v->note[0]) {
        screen_put(&t, "  ");
        screen_clip(&t, v->doctor ? v->doctor : v->note, columns - 4);
        screen_line(&t);
    }
    return t.lines;
}

static inline void screen_plain(const screen *v, const grpo_metrics *m) {
    printf("step %d/%d  reward %.4f +- %.4f  kl %.4f  entropy %.3f  length %.1f  clipped %.2f  "
           "clip %.3f  dead %.2f  grad %.3g  %.2f s  %.0f tokens/s\n", m->step, v->steps, m->reward,
           m->reward_std, m->kl, m->entropy, m->completions_mean_length,
           m->completions_clipped_ratio, m->clip_ratio_region_mean, m->frac_reward_zero_std,
           m->grad_norm, m->step_time, v->tokens);
}

/* ---- the four calls */
static inline void screen_start(screen *v, int steps) {
    memset(v, 0, sizeof *v);
    v->steps = steps;
    v->columns = 100;
#if defined(__unix__) || defined(__APPLE__)
    v->live = isatty(1) && !getenv("NO_COLOR");
    if (v->live) {
        struct winsize size;
        if (!ioctl(1, TIOCGWINSZ, &size) && size.ws_col > 40) v->columns = size.ws_col;
        printf("\x1b[?25l");        /* no cursor                                                 */
    }
#endif
}

/* Something happened: on a terminal it is shown below the picture, else as a line of its own. */
static inline void screen_note(screen *v, const char *line) {
    snprintf(v->note, sizeof v->note, "%s", line);
    if (!v->live) printf("%s\n", line);
}

static inline void screen_remember(screen *v, const grpo_metrics *m) {
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
    p->kl = m->kl;
    p->entropy = m->entropy;
    p->length = m->completions_mean_length;
    p->clip_region = m->clip_ratio_region_mean;
    p->skipped = m->skipped;
    v->seconds = v->seconds > 0 ? 0.8 * v->seconds + 0.2 * m->step_time : m->step_time;
    v->tokens = v->last_tokens > 0 && m->step_time > 0
              ? (m->num_tokens - v->last_tokens) / m->step_time : 0;
    v->last_tokens = m->num_tokens;
}

static inline void screen_step(screen *v, const grpo *g, const grpo_metrics *m) {
    const char *before = v->doctor;
    char *text;
    screen_remember(v, m);
    v->doctor = doctor_says(v->points, v->count);
    if (!v->live) {
        screen_plain(v, m);
        if (v->doctor && v->doctor != before) printf("doctor: %s\n", v->doctor);
    } else if ((text = (char *)malloc(SCREEN_ROOM)) != NULL) {
        int lines = screen_draw(v, g, m, v->columns, text, SCREEN_ROOM);
        if (v->drawn) printf("\x1b[%dA", v->drawn);
        printf("%s\x1b[J", text);
        v->drawn = lines;
        free(text);
    }
    fflush(stdout);
}

/* What is printed next stands below the picture, which is not drawn over. */
static inline void screen_leave(screen *v) {
    v->drawn = 0;
}

static inline void screen_end(screen *v) {
    if (v->live) printf("\x1b[?25h");
    fflush(stdout);
}

#endif
