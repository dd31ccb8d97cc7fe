/* answers.h: is the number that a completion comes to the number of the answer? The rewards "gsm8k"
 * and "number" of the command: grpo_reward_last_number() and what mathematicians write beside
 * decimals.
 *
 *     grpo_add_reward(&config, "number", answers_reward_number, 1, NULL);
 *
 * Of either text counts what its last \boxed{} (or \fbox{}) has in it, if there is one, else all;
 * and of that the last number. Signs, currencies, separators of thousands and powers of ten are
 * read as grpo_last_number() reads them. Besides, these are numbers:
 *     fractions       \frac{3}{4} (\dfrac, \tfrac, \cfrac, also \frac34), 3/4, U+00BD and its kin;
 *                     above and below may stand sums and products: \frac{1+2}{4}
 *     mixed numbers   3 1/2   3\frac{1}{2}   3 and U+00BD: whole, then a fraction below 1
 *     powers          2^{10}   2^10   2**10   2 and raised digits: of a number, to a whole one
 *     decimal commas  where two kinds of separators tell which is which: 1.234,56 and 1 234,56 are
 *                     1234.56; and where a point stands twice: 1.234.567
 *     scales          50%, 5 million: see below
 * and these are not: the 2 of cm^2, a fraction with a letter in it, one over 0, 3/4/2024.
 *
 * Where it could be argued:
 *     50% and 0.5     equal; 50% and 50 too, for questions ask "how many percent" as often as "what
 *                     share". So where one side alone has a %, either reading of it counts; where
 *                     both have, or none, the numbers must be equal: 0.5 is not 50.
 *     5 million       5000000, and 5 where the other side has no such word, for questions ask "how
 *                     many million"; thousand, billion and trillion too. 5M and 5k are units.
 *     1,234           1234: a comma alone before three digits is no decimal comma; 1,23 is a list,
 *                     whose last number is 23, 1 234 too, and 1.234 is a decimal number
 *     3-1/2           a difference, whose last number is 1/2; "3 1/2" is the mixed number
 *     3\frac{4}{2}    no mixed number, for 4/2 is not below 1: its last number is 2
 *     10/2            5, with blanks around the stroke too; 12/25 may be a date, and is 0.48
 *     \boxed{}        a box without a number is an answer without one: 0, whatever stands before it
 *     \boxed{1, 2}    the last: 2. Of a list, an interval, 3\sqrt{2} or 2\pi it knows no more than
 *                     the last number: give such questions a verifier of your own (verifier.h)
 *     (5)             5; accountants mean -5
 * Whole numbers are compared exactly, others to 9 digits: 0.333333333 is 1/3, 0.33 is not. */
#ifndef ANSWERS_H
#define ANSWERS_H

#include "grpo.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct answers_number {
    double value;
    double scale;                   /* what the sign or word after it means: % 0.01; none: 1     */
} answers_number;

static inline int answers_is_digit(char c) { return c >= '0' && c <= '9'; }
static inline int answers_is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Past the first of these words (each ends with a NUL, the list with an empty one) that stands at
 * `at`, or `at`. */
static inline const char *answers_skip(const char *at, const char *words) {
    for (; *words; words += strlen(words) + 1)
        if (!strncmp(at, words, strlen(words))) return at + strlen(words);
    return at;
}

static inline const char *answers_skip_all(const char *at, const char *words) {
    const char *next = answers_skip(at, words);
    while (next > at) next = answers_skip(at = next, words);
    return at;
}

/* LaTeX's and typesetters' spaces, which part thousands; minus signs; all blanks within a line. */
#define ANSWERS_SPACES "\\,\0\\;\0\\:\0\\!\0\\ \0~\0\xC2\xA0\0\xE2\x80\xAF\0\xE2\x80\x82\0" \
                       "\xE2\x80\x83\0\xE2\x80\x84\0\xE2\x80\x85\0\xE2\x80\x86\0\xE2\x80\x87\0" \
                       "\xE2\x80\x88\0\xE2\x80\x89\0\xE2\x80\x8A\0"
#define ANSWERS_MINUS "-\0\xE2\x88\x92\0\xE2\x80\x90\0\xE2\x80\x91\0\xE2\x80\x92\0" \
                      "\xE2\x80\x93\0\xEF\xB9\xA3\0\xEF\xBC\x8D\0"
#define ANSWERS_BLANKS " \0\t\0" ANSWERS_SPACES

/* The end of the number without a sign that begins at `at` ("12", "1,234.5", ".5"); NULL: there is
 * none. */
static inline const char *answers_plain(const char *at) {
    const char *from = at, *next;
    while (answers_is_digit(*at)) at++;
    while (at - from >= 1 && (next = answers_skip(at, ",\\!\0,\0{,}\\!\0{,}\0{\\,}\0'\0_\0"
                                                      "\xE2\x80\x99\0" ANSWERS_SPACES)) > at
           && answers_is_digit(next[0]) && answers_is_digit(next[1]) && answers_is_digit(next[2])
           && !answers_is_digit(next[3])) at = next + 3;
    if (*at == '.' && answers_is_digit(at[1]))
        for (at++; answers_is_digit(*at); ) at++;
    return at > from ? at : NULL;
}

enum { ANSWERS_ROOM = 128 };

/* The value of text[n]: one number, or a sum or product of numbers. 0: it has none. */
static inline int answers_value(const char *text, size_t n, double *value) {
    char copy[ANSWERS_ROOM];
    const char *from, *end;
    int negative;
    if (n == 0 || n >= sizeof copy) return 0;
    memcpy(copy, text, n);
    copy[n] = 0;
    if (grpo_evaluate_expression(copy, value, NULL, 0, NULL)) return 1;
    from = answers_skip_all(copy, ANSWERS_BLANKS);
    end = answers_skip(from, "-\0\xE2\x88\x92\0");
    negative = end > from;
    end = answers_plain(from = end);
    if (!end || *answers_skip_all(end, ANSWERS_BLANKS) || !grpo_last_number(from, value)) return 0;
    if (negative) *value = -*value;
    return 1;
}

/* Past the } of the group that begins with the { at `at`; NULL: it does not end. */
static inline const char *answers_group(const char *at) {
    int depth = 0;
    for (; *at; at++) {
        if (*at == '\\' && at[1]) at++;
        else if (*at == '{') depth++;
        else if (*at == '}' && --depth == 0) return at + 1;
    }
    return NULL;
}

/* An argument of \frac, {12} or a single digit: its value, and its end; NULL: there is none. *good
 * becomes 0 if it is no number. */
static inline const char *answers_argument(const char *at, double *value, int *good) {
    const char *end;
    at = answers_skip_all(at, " \0");
    if (*at != '{') {               /* or \pi                                                   */
        *good &= answers_is_digit(*at);
        *value = *at - '0';
        if (*at == '\\')
            while (answers_is_letter(at[1])) at++;
        return *at ? at + 1 : NULL;
    }
    end = answers_group(at);
    if (!end) return NULL;
    *good &= answers_value(at + 1, (size_t)(end - at) - 2, value);
    return end;
}

/* A fraction at `at`, LaTeX's, one with a stroke or a single character: its value, *good 0 if that
 * is no number, and its end. NULL: there is no fraction. */
static inline const char *answers_fraction(const char *at, double *value, int *good) {
    static const struct { const char *text; int above, below; } signs[] = {
        { "\xC2\xBC", 1, 4 }, { "\xC2\xBD", 1, 2 }, { "\xC2\xBE", 3, 4 }, { "\xE2\x85\x90", 1, 7 },
        { "\xE2\x85\x91", 1, 9 }, { "\xE2\x85\x92", 1, 10 }, { "\xE2\x85\x93", 1, 3 },
        { "\xE2\x85\x94", 2, 3 }, { "\xE2\x85\x95", 1, 5 }, { "\xE2\x85\x96", 2, 5 },
        { "\xE2\x85\x97", 3, 5 }, { "\xE2\x85\x98", 4, 5 }, { "\xE2\x85\x99", 1, 6 },
        { "\xE2\x85\x9A", 5, 6 }, { "\xE2\x85\x9B", 1, 8 }, { "\xE2\x85\x9C", 3, 8 },
        { "\xE2\x85\x9D", 5, 8 }, { "\xE2\x85\x9E", 7, 8 } };
    const char *next = answers_skip(at, "\\frac\0\\dfrac\0\\tfrac\0\\cfrac\0"), *end = at;
    double above = 0, below = 0;
    size_t i;
    *good = 1;
    if (next > at) {
        if (answers_is_letter(*next)) return NULL;
        end = answers_argument(next, &above, good);
        if (end) end = answers_argument(end, &below, good);
        if (!end) return NULL;
    } else if (answers_is_digit(*at) || *at == '.') {
        const char *stroke, *second;
        end = answers_plain(at);
        if (!end) return NULL;
        stroke = answers_skip_all(end, " \0");
        second = answers_skip(stroke, "/\0\xE2\x81\x84\0");
        if (second == stroke || !(next = answers_plain(second = answers_skip_all(second, " \0")))
            || (*next == '/' && answers_is_digit(next[1]))) return NULL;
        *good = answers_value(at, (size_t)(end - at), &above)
                && answers_value(second, (size_t)(next - second), &below);
        end = next;
    } else {
        for (i = 0; i < sizeof signs / sizeof *signs; i++)
            if (!strncmp(at, signs[i].text, strlen(signs[i].text))) break;
        if (i == sizeof signs / sizeof *signs) return NULL;
        end = at + strlen(signs[i].text);
        above = signs[i].above;
        below = signs[i].below;
    }
    if (below == 0) *good = 0;
    else *value = above / below;
    return end;
}

/* "3 1/2" at `at`: a whole number and a fraction below 1 after it. NULL: there is none. */
static inline const char *answers_mixed(const char *at, double *value) {
    const char *end = answers_plain(at), *next;
    double whole, part = 0;
    int good = 1;
    if (!end || memchr(at, '.', (size_t)(end - at))) return NULL;
    next = answers_skip_all(end, ANSWERS_BLANKS);
    if (next == end && answers_is_digit(*next)) return NULL;
    end = answers_fraction(next, &part, &good);
    if (!end || !good || !(part > 0 && part < 1)
        || !answers_value(at, (size_t)(answers_plain(at) - at), &whole)) return NULL;
    *value = whole + part;
    return end;
}

/* "2^{10}" at `at`, whose base ends at `end`: its value, and its end; the exponent is read as one
 * of ten is. *good is 0 if it is no number, as 2^{1/2} is none here. NULL: there is no power, but
 * perhaps an angle's sign or an ordinal, or it is one of ten, which grpo_last_number() reads. */
static inline const char *answers_power(const char *at, const char *end, double *value,
                                        int *good) {
    static const char signs[] = "+\0" ANSWERS_MINUS;
    const char *from = answers_skip(end, "^ \0^\0 ^ \0 ^\0**\0"), *stop = answers_skip(from, signs);
    char copy[ANSWERS_ROOM];
    double base = 0, ten = 0;
    *good = 1;
    if (end - at == 2 && !strncmp(at, "10", 2)) return NULL;
    if (from == end) {
        stop = answers_skip_all(end, "\xE2\x81\xBB\0\xE2\x81\xB0\0\xC2\xB9\0\xC2\xB2\0\xC2\xB3\0"
            "\xE2\x81\xB4\0\xE2\x81\xB5\0\xE2\x81\xB6\0\xE2\x81\xB7\0\xE2\x81\xB8\0\xE2\x81\xB9\0");
        if (stop == end) return NULL;
    } else if (*from == '{' || *from == '(') {
        stop = answers_skip(answers_skip_all(from + 1, " \0"), signs);
        if (!answers_is_digit(*stop)) return NULL;
        stop += strspn(stop, "0123456789 ");
        *good = *stop == '}' || *stop == ')';
        stop += strcspn(stop, "})");
        if (!*stop++) return NULL;
    } else {
        if (!answers_is_digit(*stop)) return NULL;
        stop += strspn(stop, "0123456789");
    }
    *good &= stop - end < ANSWERS_ROOM - 2 && answers_value(at, (size_t)(end - at), &base);
    if (!*good) return stop;
    snprintf(copy, sizeof copy, "10%.*s", (int)(stop - end), end);
    grpo_last_number(copy, &ten);
    *value = pow(base, floor(log10(ten) + 0.5));
    *good = ten > 0 && ten < 1e300 && fabs(*value) <= 1e300;
    return stop;
}

/* "1.234,56", "1 234,56" or "1.234.567" at `at`: its value, and its end. NULL: there is none. */
static inline const char *answers_decimal_comma(const char *at, double *value) {
    const char *end = at + strspn(at, "0123456789"), *mark = end, *next;
    char digits[ANSWERS_ROOM];
    size_t n = (size_t)(end - at), places;
    int groups = 0;
    if (n < 1 || n > 3) return NULL;
    memcpy(digits, at, n);
    for (; n + 3 < sizeof digits; n += 3, groups++) {
        next = answers_skip(end, ".\0'\0\xE2\x80\x99\0" ANSWERS_BLANKS);
        if (next == end || strspn(next, "0123456789") != 3
            || (groups && strncmp(end, mark, (size_t)(next - end)) != 0)) break;
        memcpy(digits + n, next, 3);
        mark = end;
        end = next + 3;
    }
    places = *end == ',' ? strspn(end + 1, "0123456789") : 0;
    next = end + (places ? 1 + places : 0);
    if (!groups || (*mark == '.' ? groups < 2 && !places : !places || places == 3)
        || ((*next == '.' || *next == ',') && answers_is_digit(next[1]))
        || n + 1 + places >= sizeof digits) return NULL;
    if (places) digits[n++] = '.';
    memcpy(digits + n, next - places, places);
    digits[n + places] = 0;
    return grpo_last_number(digits, value) ? next : NULL;
}

/* Rewrites what grpo_last_number() does not know, each by something no longer: full-width digits,
 * rarer signs, and spaces of LaTeX and typesetters that do not part thousands. */
static inline void answers_simplify(char *text) {
    static const char *const words[][2] = { { "\\thinspace{}", "\\," }, { "\\thinspace ", "\\," },
        { ",\\!", "," }, { "{,}\\!", "{,}" }, { "{,}\\,", "{,}" }, { "{\\,}", "{,}" },
        { "\\text{,}", "{,}" }, { "\\mathord{,}", "{,}" }, { "{\\ }", "~" }, { "{~}", "~" },
        { "{\\:}", "~" }, { "{\\;}", "~" }, { "{\\!}", "~" }, { "\xEF\xBC\x8C", "," },
        { "\xEF\xBC\x8E", "." }, { "{\xE2\x88\x92}", "\xE2\x88\x92" },
        { "\xE2\x88\x99", "\xC2\xB7" }, { "\xE2\x80\xA2", "\xC2\xB7" }, { "\\ast", "*" },
        { "X 10^", "x 10^" }, { " times 10^", " x 10^" }, { "{10}^", "10^" } };
    static const char operators[] = "\\times\0\\cdot\0*\0\xC3\x97\0\xC2\xB7\0\xE2\x8B\x85\0"
                                    ANSWERS_MINUS "{-}\0\xE2\x81\xBB\0";
    const char *at = text, *next, *sign;
    char *to = text;
    size_t i, n;
    while (*at) {
        if (!strncmp(at, "\xEF\xBC", 2) && (unsigned char)(at[2] - '\x90') <= 9) {
            *to++ = (char)('0' + (unsigned char)(at[2] - '\x90'));
            at += 3;
            continue;
        }
        for (i = 0; i < sizeof words / sizeof *words; i++)
            if (!strncmp(at, words[i][0], strlen(words[i][0]))) break;
        if (i == sizeof words / sizeof *words) { *to++ = *at++; continue; }
        memcpy(to, words[i][1], n = strlen(words[i][1]));
        to += n;
        at += strlen(words[i][0]);
    }
    *to = 0;
    for (at = to = text; *at; at = next) {
        next = answers_skip(at, ANSWERS_SPACES);
        if (next == at) { *to++ = *next++; continue; }
        n = (size_t)(next - at);
        next = answers_skip_all(next, ANSWERS_SPACES);
        if (to > text && answers_is_digit(to[-1]) && answers_is_digit(*next)) {
            memmove(to, at, n);     /* thousands, perhaps                                        */
            to += n;
            if (n == 3) to[-1] = '\x89';       /* U+2009, which is known                         */
            continue;
        }
        for (sign = operators; *sign; sign += n + 1) {
            n = strlen(sign);
            if (n <= (size_t)(to - text) && !memcmp(to - n, sign, n)) break;
        }
        if (!*sign) *to++ = ' ';
    }
    *to = 0;
}

/* text[n] with its fractions and mixed numbers as decimals, which grpo_last_number() reads, and
 * without what is none; from malloc. NULL: no memory. */
static inline char *answers_decimals(const char *text, size_t n) {
    const size_t most = 32;         /* "%.17g" and blanks; what it stands for has 2 bytes        */
    char *copy = (char *)malloc(n + 1), *out = (char *)malloc(n * most / 2 + most), *to = out;
    const char *at = copy, *end;
    if (!copy || !out) {
        free(copy);
        free(out);
        return NULL;
    }
    memcpy(copy, text, n);
    copy[n] = 0;
    answers_simplify(copy);
    while (*at) {
        char last = at > copy ? at[-1] : ' ', before = at > copy + 1 ? at[-2] : ' ';
        double value = 0;
        int good = 1, inside = answers_is_digit(last) || answers_is_letter(last)
                               || (last && strchr("._^/", last)) || (last == '{' && before == '^');
        int is_number = answers_is_digit(*at) || *at == '.';
        end = is_number && inside ? NULL : answers_mixed(at, &value);
        if (!end && !(is_number && inside)) end = answers_fraction(at, &value, &good);
        if (!end && is_number && !inside) end = answers_decimal_comma(at, &value);
        if (!end && is_number && !inside && (end = answers_plain(at)) != NULL)
            end = answers_power(at, end, &value, &good);
        if (end && good) {          /* its sign is no difference, its digits nobody else's       */
            to += snprintf(to, most, "%s%.17g", value < 0 || answers_is_digit(last) ? " " : "",
                           value);
            at = end;
        } else if (end) {
            *to++ = ' ';
            at = end;
        } else if (*at == '^' && (answers_is_letter(last)
                                  || (last == '}' && answers_is_letter(before)))) {
            end = at + 1;           /* a unit's power                                            */
            if (*end == '{') end = answers_group(end);
            else end += answers_is_digit(*end);
            at = end ? end : at + 1;
            *to++ = ' ';
        } else if (is_number && (end = answers_plain(at)) != NULL) {
            memcpy(to, at, (size_t)(end - at));               /* no fraction begins within       */
            to += end - at;
            at = end;
        } else {
            *to++ = *at++;
        }
    }
    *to = 0;
    free(copy);
    return out;
}

/* What the sign or word after a number makes of it: 0.01, 1000 ...; 1: nothing; 0: text ends. */
static inline double answers_scale(const char *at) {
    static const struct { const char *words; double scale; } scales[] = {
        { "%\0\\%\0percent\0per cent\0\xEF\xBC\x85\0", 0.01 }, { "thousand\0Thousand\0", 1e3 },
        { "million\0Million\0", 1e6 }, { "billion\0Billion\0", 1e9 },
        { "trillion\0Trillion\0", 1e12 } };
    size_t i;
    const char *end;
    at = answers_skip_all(at, ANSWERS_BLANKS "}\0)\0$\0*\0`\0.\0\\)\0\\text{\0\\mathrm{\0");
    if (!*at) return 0;
    for (i = 0; i < sizeof scales / sizeof *scales; i++)
        if ((end = answers_skip(at, scales[i].words)) > at)
            return strncmp(end, "th", 2) ? scales[i].scale : 1;         /* "5 thousandths"       */
    return 1;
}

/* What the text's last box has in it, and *after, what follows it; the whole text if it has none.
 * Returns its length. */
static inline size_t answers_boxed(const char **text, const char **after) {
    const char *at = *text, *box = NULL, *end;
    for (; *at; at++) {
        const char *next = answers_skip(at, "\\boxed\0\\fbox\0");
        if (next == at) continue;
        next = answers_skip_all(next, " \0");
        if (*next == '{' || answers_is_digit(*next)) box = next;
    }
    *after = "";
    if (!box) return strlen(*text);
    if (*box == '{') {
        end = answers_group(box);
        *text = box;
        if (!end) return strlen(box);                         /* it was cut off                  */
        *after = end;
        return (size_t)(end - box);
    }
    *text = box;                    /* \boxed 5                                                  */
    *after = box + 1;
    return 1;
}

/* The number that a text comes to. 0: there is none (or no memory to look for it). */
static inline int answers_read(const char *text, answers_number *number) {
    const char *after;
    char *decimals;
    size_t n;
    int found;
    if (!text) return 0;
    n = answers_boxed(&text, &after);
    decimals = answers_decimals(text, n);
    found = decimals && grpo_last_number(decimals, &number->value);
    if (found) {
        char *end = decimals + strlen(decimals);
        while (!answers_is_digit(end[-1])) end--;             /* the last digit is the number's  */
        number->scale = answers_scale(end);
        if (number->scale == 0) number->scale = answers_scale(after);
        if (number->scale == 0) number->scale = 1;
    }
    free(decimals);
    return found && fabs(number->value) <= 1e300;
}

/* Whole numbers exactly (from 2^53 on to their last bits), others to 9 digits. */
static inline int answers_equal(double a, double b) {
    double slack = 1e-9;
    if (floor(a) == a && floor(b) == b) slack = fabs(b) < 9007199254740992.0 ? 0 : 1e-15;
    return fabs(a - b) <= slack * fmax(fabs(a), fabs(b));
}

/* 1 if the completion comes to the number of the answer, else 0; NaN: the answer has none. */
static inline float answers_reward_number(const grpo_sample *s, void *user) {
    answers_number answer = { 0, 1 }, given = { 0, 1 };
    (void)user;
    if (!s || !answers_read(s->answer, &answer)) return (float)NAN;
    if (!answers_read(s->completion, &given)) return 0;
    if (answers_equal(given.value * given.scale, answer.value * answer.scale)) return 1;
    return (float)((answer.scale == 1) != (given.scale == 1)
                   && answers_equal(given.value, answer.value));
}

#endif
