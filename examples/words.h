/* words.h: what a program says of its arguments: which word was meant ("did you mean --steps?"),
 * sizes such as 4G, text in columns. */
#ifndef WORDS_H
#define WORDS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_LONGEST = 48, WORDS_WIDTH = 98 };

/* '_' and '-' are the same, and so are a letter and its capital. */
static inline int words_letter(char c) {
    return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* How many letters must be left out, put in, replaced, or exchanged with the next, to make b of a:
 * cost[i][j] is that of the first i letters of a and the first j of b. */
static inline int words_distance(const char *a, const char *b) {
    int cost[WORDS_LONGEST + 1][WORDS_LONGEST + 1], i, j, n = (int)strlen(a), m = (int)strlen(b);
    if (n > WORDS_LONGEST || m > WORDS_LONGEST) return n + m;
    for (i = 0; i <= n; i++)
        for (j = 0; j <= m; j++) {
            int *c = &cost[i][j], same;
            *c = i + j;                                       /* where one of them is empty      */
            if (!i || !j) continue;
            same = words_letter(a[i - 1]) == words_letter(b[j - 1]);
            *c = cost[i - 1][j - 1] + !same;
            if (cost[i - 1][j] + 1 < *c) *c = cost[i - 1][j] + 1;
            if (cost[i][j - 1] + 1 < *c) *c = cost[i][j - 1] + 1;
            if (i > 1 && j > 1 && words_letter(a[i - 1]) == words_letter(b[j - 2])
                && words_letter(a[i - 2]) == words_letter(b[j - 1])
                && cost[i - 2][j - 2] + 1 < *c) *c = cost[i - 2][j - 2] + 1;
        }
    return cost[n][m];
}

/* words_guess g = words_of(typed); words_offer(&g, each word there is); g.best is then "" or the
 * nearest, within a third of its letters; near is also what begins or ends with what was typed. */
typedef struct words_guess {
    const char *typed;
    int distance;
    char best[WORDS_LONGEST + 1], sentence[WORDS_LONGEST + 24];
} words_guess;

static inline words_guess words_of(const char *typed) {
    words_guess g;
    memset(&g, 0, sizeof g);
    g.typed = typed;
    return g;
}

static inline void words_offer(words_guess *g, const char *word) {
    size_t n = strlen(g->typed), m = strlen(word), i;
    int d = words_distance(g->typed, word);
    if (m > WORDS_LONGEST || n < 1) return;
    for (i = 0; n >= 3 && n < m && i < n; i++)
        if (words_letter(word[i]) != words_letter(g->typed[i])) break;
    if (n >= 3 && n < m && i == n) d = 1;
    else if (n >= 4 && n < m && !strcmp(word + m - n, g->typed)) d = 2;
    else if (d > (int)(n > m ? n : m) / 3 && d > 1) return;
    if (2 * d >= (int)(n > m ? n : m) || (g->best[0] && d >= g->distance)) return;
    g->distance = d;
    snprintf(g->best, sizeof g->best, "%s", word);
}

/* Each of some words with blanks between. */
static inline void words_offer_all(words_guess *g, const char *words) {
    char word[WORDS_LONGEST + 1];
    while (*words) {
        size_t n = strcspn(words, " ");
        snprintf(word, sizeof word, "%.*s", (int)n, words);
        if (n && n < sizeof word) words_offer(g, word);
        words += n + (words[n] == ' ');
    }
}

/* To put behind what is wrong: ": did you mean --steps?", or else what is given as otherwise. */
static inline const char *words_meant(words_guess *g, const char *dashes, const char *otherwise) {
    if (!g->best[0]) return otherwise;
    snprintf(g->sentence, sizeof g->sentence, ": did you mean %.2s%s?", dashes, g->best);
    return g->sentence;
}

/* "4G", "500M", "1.5Gi", "2000000": k, M, G, T are thousands, Ki, Mi, Gi, Ti 1024ths; a B may
 * follow. -1: it is no size. */
static inline double words_size(const char *text) {
    static const char units[] = "kMGT";
    char *end;
    const char *unit;
    double size = strtod(text, &end), base = 1000;
    if (end == text || !(size >= 0 && size < 1e18) || strpbrk(text, "xX")) return -1;
    unit = *end ? strchr(units, *end == 'K' ? 'k' : *end == 'm' ? 'M' : *end == 'g' ? 'G' : *end)
                : NULL;
    if (unit) {
        if (*++end == 'i') { base = 1024; end++; }
        for (; unit >= units; unit--) size *= base;
    }
    if (*end == 'B') end++;
    return *end ? -1 : size;
}

/* A size as an option has it: a whole number of Gi as that, any other of three digits and rounded
 * up: "4Gi", "4.71G", "820M". */
static inline const char *words_write_size(double size, char text[32]) {
    static const char units[] = " kMGT";
    int unit = 0, digits, scale;
    long long whole = size < 9e18 ? (long long)size : 0;
    if (whole && whole % 1073741824 == 0) {
        snprintf(text, 32, "%lldGi", whole / 1073741824);
        return text;
    }
    while (size >= 1000 && unit < 4) { size /= 1000; unit++; }
    digits = !unit || size >= 100 ? 0 : size >= 10 ? 1 : 2;
    scale = digits == 2 ? 100 : digits == 1 ? 10 : 1;
    whole = (long long)(size * scale);
    if ((double)whole < size * scale) whole++;
    snprintf(text, 32, unit ? "%.*f%c" : "%.*f", digits, (double)whole / scale, units[unit]);
    return text;
}

/* The text from column `column` on, where the cursor is, in lines of at most WORDS_WIDTH. At a tab
 * it is not broken: a blank is written. */
static inline void words_print(FILE *to, int column, const char *text) {
    int at = column;
    while (*text) {
        int n = (int)strcspn(text, " \n");
        if (at > column && at + 1 + n > WORDS_WIDTH) {
            fprintf(to, "\n%*s", column, "");
            at = column;
        }
        if (n && at > column) fputc(' ', to);
        at += n + (n && at > column);
        for (; n; n--, text++) fputc(*text == '\t' ? ' ' : *text, to);
        if (*text == '\n') { fprintf(to, "\n%*s", text[1] ? column : 0, ""); at = column; }
        text += *text != 0;
    }
    fputc('\n', to);
}

#endif
