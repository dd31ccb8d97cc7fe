/* Single changes of operators and constants, to see whether any test notices.
 *
 *     mutate grpo.h sampling,advantage,loss,adamw list         a line for each possible change
 *     mutate grpo.h sampling,advantage,loss,adamw 17           the header with change 17, to stdout
 *
 * A change is made in code only, in the named chapters: not in comments, strings, directives or
 * lines that only declare. tests/mutants.sh builds and runs the tests with each. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const swaps[][2] = {
    { " + ", " - " }, { " - ", " + " }, { " * ", " / " }, { " / ", " * " },
    { " < ", " <= " }, { " <= ", " < " }, { " > ", " >= " }, { " >= ", " > " },
    { " < ", " > " }, { " > ", " < " }, { " == ", " != " }, { " != ", " == " },
    { " && ", " || " }, { " || ", " && " }, { " += ", " -= " }, { " -= ", " += " },
    { " *= ", " /= " }, { "grpo__max(", "grpo__min(" }, { "grpo__min(", "grpo__max(" },
    { "fabs(", "(" }, { "exp(", "log(" }, { "log(", "exp(" }, { "sqrt(", "(" }, { "++", "--" },
    { "return -", "return " }, { "(!", "(" }, { " !", " " }, { " -", " " } };
enum { SWAPS = sizeof swaps / sizeof *swaps };

static char *read_whole(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    char *text;
    long n;
    if (!f || fseek(f, 0, SEEK_END) || (n = ftell(f)) < 0) { perror(path); exit(2); }
    rewind(f);
    text = (char *)calloc(1, (size_t)n + 1);
    if (!text || fread(text, 1, (size_t)n, f) != (size_t)n) { perror(path); exit(2); }
    fclose(f);
    *size = (size_t)n;
    return text;
}

/* code[i]: character i is code: of no comment, string, character or directive. */
static void find_code(const char *s, size_t n, char *code) {
    size_t i = 0;
    int at_start = 1;
    while (i < n) {
        if (s[i] == '/' && s[i + 1] == '*') {
            for (i += 2; i < n && !(s[i - 1] == '*' && s[i] == '/'); i++) { }
            i++;
        } else if (s[i] == '/' && s[i + 1] == '/') {
            while (i < n && s[i] != '\n') i++;
        } else if (s[i] == '"' || s[i] == '\'') {
            char quote = s[i++];
            for (; i < n && s[i] != quote; i++) i += s[i] == '\\';
            i++;
        } else if (at_start && s[i] == '#') {
            for (; i < n && s[i] != '\n'; i++) i += s[i] == '\\';
        } else {
            if (s[i] == '\n') at_start = 1;
            else if (!isspace((unsigned char)s[i])) at_start = 0;
            code[i++] = 1;
        }
    }
}

/* Where a chapter's heading stands ("---- >>name"), whether it is one of those asked for; elsewhere
 * inside, as before. */
static int in_chapter(const char *s, size_t at, const char *chapters, int inside) {
    char name[32] = ",";
    size_t n = 1;
    if (at < 3 || strncmp(s + at - 2, "- >", 3) || s[at + 1] != '>'
        || !isalpha((unsigned char)s[at + 2]))
        return inside;
    for (s += at + 1; *s == '>'; s++) { }
    for (; isalpha((unsigned char)*s) && n < 30; s++) name[n++] = *s;
    name[n++] = ',';
    name[n] = 0;
    return strstr(chapters, name) != NULL;
}

static size_t line_number(const char *s, size_t at) {
    size_t i, n = 1;
    for (i = 0; i < at; i++) n += s[i] == '\n';
    return n;
}

static void show(const char *s, size_t at, int number, const char *from, const char *to) {
    const char *begin = s + at, *end = s + at;
    while (begin > s && begin[-1] != '\n') begin--;
    while (*end && *end != '\n') end++;
    while (*begin == ' ') begin++;
    printf("%d\t%u\t\"%s\" -> \"%s\"\t%.*s\n", number, (unsigned)line_number(s, at), from, to,
           (int)(end - begin), begin);
}

/* The part of the file that changes: [at, at + length) becomes to. */
static void write_changed(const char *s, size_t size, size_t at, size_t length, const char *to) {
    fwrite(s, 1, at, stdout);
    fputs(to, stdout);
    fwrite(s + at + length, 1, size - at - length, stdout);
}

/* A number that stands by itself: its changed form. */
static int change_number(const char *s, size_t at, size_t *length, char *to, size_t room) {
    char *end, before = at ? s[at - 1] : ' ';
    double x;
    if (!isdigit((unsigned char)s[at]) || isalnum((unsigned char)before) || before == '_'
        || before == '.' || before == '[') return 0;
    x = strtod(s + at, &end);
    *length = (size_t)(end - (s + at));
    if (*end == 'u' || *end == 'x' || *end == 'f' || *end == ']') return 0;
    if (memchr(s + at, '.', *length) || memchr(s + at, 'e', *length))
        snprintf(to, room, "%.10g%s", x == 0 ? 1.0 : x * 2, x == 0 || x * 2 == 1 ? ".0" : "");
    else snprintf(to, room, "%d", x == 1 ? 0 : (int)x + 1);
    return 1;
}

int main(int argc, char **argv) {
    size_t size, at;
    char *s, *code, chapters[256];
    int wanted = -1, number = 0, inside = 0, i;
    if (argc != 4) {
        puts("usage: mutate grpo.h sampling,loss list | NUMBER");
        return 2;
    }
    s = read_whole(argv[1], &size);
    code = (char *)calloc(1, size + 1);
    snprintf(chapters, sizeof chapters, ",%s,", argv[2]);
    if (strcmp(argv[3], "list")) wanted = atoi(argv[3]);
    find_code(s, size, code);
    for (at = 0; at < size; at++) {
        size_t length;
        char to[64];
        inside = in_chapter(s, at, chapters, inside);
        if (!code[at] || !inside) continue;
        for (i = 0; i < SWAPS; i++) {
            length = strlen(swaps[i][0]);
            if (strncmp(s + at, swaps[i][0], length)) continue;
            if (!strcmp(swaps[i][0], " -") && !isalnum((unsigned char)s[at + 2])
                && s[at + 2] != '(') continue;
            if (isalpha((unsigned char)swaps[i][0][0]) && at
                && (isalnum((unsigned char)s[at - 1]) || s[at - 1] == '_')) continue;
            if (wanted < 0) show(s, at, number, swaps[i][0], swaps[i][1]);
            if (number++ == wanted) {
                write_changed(s, size, at, length, swaps[i][1]);
                return 0;
            }
        }
        if (change_number(s, at, &length, to, sizeof to)) {
            char from[64];
            snprintf(from, sizeof from, "%.*s", (int)length, s + at);
            if (wanted < 0) show(s, at, number, from, to);
            if (number++ == wanted) {
                write_changed(s, size, at, length, to);
                return 0;
            }
        }
    }
    return wanted >= 0;
}
