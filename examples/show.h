/* show.h: what the lessons show with: their first lines and --help, a curve in the terminal, an SVG
 * chart. */
#ifndef SHOW_H
#define SHOW_H

#include "tool/system.h"
#include "words.h"

#include <stdio.h>
#include <string.h>
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

enum { SHOW_POINTS = 8192, SHOW_COLUMNS = 64, SHOW_ROWS = 10 };

typedef struct show_curve {         /* y over x, both growing from 0; y up to 1 */
    const char *name, *color;
    int count;
    double x[SHOW_POINTS], y[SHOW_POINTS];
} show_curve;

/* All functions are inline: an example that leaves one unused then gets no warning. */
static inline int show_is_terminal(void) {
#if defined(__unix__) || defined(__APPLE__)
    return isatty(1);
#else
    return 0;
#endif
}

/* ---- a lesson's first two lines, and its options: a line each, two blanks before it */
#ifdef GRPO_CUDA
#define SHOW_BACKEND "  --backend B   cuda, cuda_fp32, hopper or cpu (cuda)\n"
#else
#define SHOW_BACKEND "  --backend B   cpu alone in this program; make cuda builds more (cpu)\n"
#endif
#define SHOW_THREADS "  --threads N   0: one per core; the same results with any (0)\n"

static inline int show_given(int argc, char **argv, const char *option) {
    int i = 1;
    while (i < argc && strcmp(argv[i], option) != 0) i++;
    return i < argc;
}

/* The lines, unless --quiet is among the arguments. Where --help is, usage, lines and options, and
 * 1. */
static inline int show_lesson(int argc, char **argv, const char *lines, const char *options) {
    const int help = show_given(argc, argv, "--help") || show_given(argc, argv, "-h");
    const int quiet = show_given(argc, argv, "--quiet");
    if (help) printf("usage: %s [options]; nothing is required\n\n", argv[0]);
    if (help || !quiet) printf("%s\n", lines);
    if (help) printf("\nOptions, and in parentheses what is taken without them:\n%s", options);
    return help;
}

/* Option i of such lines, "--steps", and whether it takes a value: 1 or 0; -1: there is none. */
static inline int show_option(const char *options, int i, char name[WORDS_LONGEST + 1]) {
    const char *line = options;
    size_t n;
    for (; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, "  --", 4) != 0 || i--) continue;
        line += 2;
        n = strcspn(line, " \n");
        snprintf(name, WORDS_LONGEST + 1, "%.*s", (int)n, line);
        return line[n] == ' ' && line[n + 1] >= 'A' && line[n + 1] <= 'Z';
    }
    return -1;
}

/* For an argument that is none of the options, or lacks its value; or whose value is none. Returns
 * 2, main's status. */
static inline int show_misuse(const char *argument, const char *options) {
    char name[WORDS_LONGEST + 1];
    words_guess g = words_of(argument + strspn(argument, "-"));
    int i, takes;
    for (i = 0; (takes = show_option(options, i, name)) >= 0; i++) {
        if (!strcmp(name, argument)) break;
        words_offer(&g, name + 2);
    }
    if (takes > 0) fprintf(stderr, "%s needs a value, within its bounds.", argument);
    else if (*argument != '-') fprintf(stderr, "%s is not understood.", argument);
    else fprintf(stderr, "there is no option %s%s", argument, words_meant(&g, "--", "."));
    fprintf(stderr, " Options:\n%s", options);
    return 2;
}

/* The whole number that argument i, an option, has behind it; ends the program if it has none. */
static inline int show_number(char **arguments, int i) {
    const char *value = arguments[i + 1] ? arguments[i + 1] : "";
    const size_t n = strspn(value, "0123456789");
    if (n && n < 10 && !value[n]) return atoi(value);
    fprintf(stderr, "%s needs a whole number from 0 to 999999999, not \"%s\"\n", arguments[i],
            value);
    exit(2);
}

static inline void show_add(show_curve *c, double x, double y) {
    if (c->count == SHOW_POINTS) return;
    c->x[c->count] = x;
    c->y[c->count++] = y;
}

/* Mean of the points that fall into one of `columns` equal parts of [0, end]; -1 if none do. */
static inline double show_column(const show_curve *c, int column, int columns, double end) {
    double sum = 0;
    int i, n = 0;
    for (i = 0; i < c->count; i++)
        if ((int)(c->x[i] / end * (columns - 1) + 0.5) == column) { sum += c->y[i]; n++; }
    return n ? sum / n : -1;
}

static inline int show_row(double y) { return (int)(y * (double)SHOW_ROWS + 0.5); }

/* Up to four curves in the terminal, '.', 'o', 'x' and '+', in SHOW_ROWS + 3 lines. */
static inline void show_plot(const show_curve *const *curves, int n, double end) {
    static const char marks[] = ".ox+";
    int row, column, i;
    for (row = SHOW_ROWS; row >= 0; row--) {
        char line[SHOW_COLUMNS + 1];
        memset(line, ' ', SHOW_COLUMNS);
        line[SHOW_COLUMNS] = 0;
        for (column = 0; column < SHOW_COLUMNS; column++)
            for (i = 0; i < n; i++) {
                double y = show_column(curves[i], column, SHOW_COLUMNS, end);
                if (y >= 0 && show_row(y) == row) line[column] = marks[i];
            }
        if (row % 5 == 0) printf("  %3.1f |%s\n", (double)row / (double)SHOW_ROWS, line);
        else printf("      |%s\n", line);
    }
    printf("      +----------------------------------------------------------------\n      ");
    for (i = 0; i < n; i++) printf(" %c %s  ", marks[i], curves[i]->name);
    printf(" steps 0 to %.0f\n", end);
}

/* ---- an SVG chart of any number of curves, readable on light and on dark pages */
enum { SHOW_LEFT = 60, SHOW_TOP = 60, SHOW_WIDTH = 640, SHOW_HEIGHT = 260 };

static inline void show_svg_axes(FILE *f, const char *title, double end) {
    int i;
    fprintf(f, "<text x='%d' y='24' font-size='15' font-weight='bold'>%s</text>\n",
            SHOW_LEFT, title);
    for (i = 0; i <= 4; i++) {
        int y = SHOW_TOP + SHOW_HEIGHT - i * SHOW_HEIGHT / 4, x = SHOW_LEFT + i * SHOW_WIDTH / 4;
        fprintf(f, "<path d='M%d %dh%d' stroke='#888' stroke-opacity='.3'/>\n",
                SHOW_LEFT, y, SHOW_WIDTH);
        fprintf(f, "<text x='%d' y='%d' text-anchor='end'>%.2f</text>\n",
                SHOW_LEFT - 8, y + 4, i / 4.0);
        fprintf(f, "<text x='%d' y='%d' text-anchor='middle'>%.0f</text>\n", x,
                SHOW_TOP + SHOW_HEIGHT + 20, end * i / 4);
    }
    fprintf(f, "<text x='%d' y='%d' text-anchor='middle'>steps</text>\n",
            SHOW_LEFT + SHOW_WIDTH / 2, SHOW_TOP + SHOW_HEIGHT + 40);
}

/* A curve, and its name in a line above all curves, x from the left. */
static inline void show_svg_curve(FILE *f, const show_curve *c, double end, int x) {
    enum { COLUMNS = 200 };
    int columns = c->count < COLUMNS ? c->count : COLUMNS, i;
    char command = 'M';
    fprintf(f, "<path fill='none' stroke='%s' stroke-width='2' stroke-linejoin='round' d='",
            c->color);
    for (i = 0; i < columns; i++) {
        double value = show_column(c, i, columns, end);
        if (value < 0) continue;
        fprintf(f, "%c%.1f %.1f", command,
                (double)SHOW_LEFT + (double)i / (columns - 1) * (double)SHOW_WIDTH,
                (double)SHOW_TOP + (double)SHOW_HEIGHT * (1 - value));
        command = 'L';
    }
    fprintf(f, "'/>\n<path d='M%d %dh24' stroke='%s' stroke-width='3'/>", SHOW_LEFT + x,
            SHOW_TOP - 18, c->color);
    fprintf(f, "<text x='%d' y='%d'>%s</text>\n", SHOW_LEFT + x + 32, SHOW_TOP - 14, c->name);
}

/* Returns 0, or -1 if the file could not be written. */
static inline int show_svg(const char *path, const char *title, const show_curve *const *curves,
                           int n, double end) {
    FILE *f = system_open(path, "w");
    int i, failed;
    if (!f) return -1;
    fprintf(f, "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' "
            "font-family='sans-serif' font-size='12' fill='#777'>\n",
            SHOW_LEFT + SHOW_WIDTH + 30, SHOW_TOP + SHOW_HEIGHT + 60);
    show_svg_axes(f, title, end);
    for (i = 0; i < n; i++) show_svg_curve(f, curves[i], end, i * SHOW_WIDTH / n);
    failed = fprintf(f, "</svg>\n") < 0;
    return fclose(f) || failed ? -1 : 0;
}

#endif
