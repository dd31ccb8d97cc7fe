/* questions.h: what a policy is asked, and in which order.
 *
 *     questions q;
 *     if (!questions_open(&q, "train.jsonl", "question", "answer", error)) return complain(error);
 *     for (position = 0; ; position++) ask(&q.items[questions_at(q.count, seed, position)]);
 *     questions_free(&q);
 *
 * A source is a file of JSON objects, one a line, or a JSON array of them; or "countdown:SEED:N",
 * N puzzles drawn from a seed. The question may be made of several fields, "Body,Question", joined
 * by blanks; answers may be numbers. Anything malformed is refused with its line.
 *
 * The order of each epoch is a permutation that depends on the seed and the epoch alone, so a run
 * that is resumed at a position goes on as it would have: there is no state to save. */
#ifndef QUESTIONS_H
#define QUESTIONS_H

#include "json.h"

typedef struct question {
    char *text, *answer;            /* answer: "" if there is none                               */
    char *json;                     /* the object of the file, on one line; NULL for countdown   */
} question;

typedef struct questions {
    question *items;
    int count, capacity;
} questions;

static inline void questions_free(questions *q) {
    int i;
    for (i = 0; i < q->count; i++) {
        free(q->items[i].text);
        free(q->items[i].answer);
        free(q->items[i].json);
    }
    free(q->items);
    memset(q, 0, sizeof *q);
}

/* ---- the order */

/* A 64-bit number that looks random and is a function of x alone (Steele et al. 2014, splitmix). */
static inline uint64_t questions_mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Where x goes in a permutation of [0, 4^half): four rounds of a Feistel network. */
static inline uint64_t questions_shuffle(uint64_t x, int half, uint64_t key) {
    uint64_t mask = (UINT64_C(1) << half) - 1, left = x >> half, right = x & mask, next;
    int round;
    for (round = 0; round < 4; round++) {
        next = left ^ (questions_mix(key ^ questions_mix(right * 4 + (uint64_t)round)) & mask);
        left = right;
        right = next;
    }
    return left << half | right;
}

/* Which of count questions comes at a position, counted from the start of the run: every epoch
 * (position / count) meets each once. */
static inline int questions_at(int count, uint64_t seed, uint64_t position) {
    uint64_t n = (uint64_t)count, key = questions_mix(seed ^ questions_mix(position / n));
    uint64_t x = position % n;
    int half = 1;
    while (UINT64_C(1) << 2 * half < n) half++;
    do x = questions_shuffle(x, half, key); while (x >= n);   /* walk on until it is one of them */
    return (int)x;
}

/* ---- files */

static inline int questions_fail(char *error, const char *name, unsigned long line,
                                 const char *what, const char *field) {
    snprintf(error, JSON_ERROR_LENGTH, "%.120s: line %lu: %s %.60s", name, line, what, field);
    return 0;
}

static inline char *questions_copy(const char *s, size_t n) {
    char *copy = (char *)malloc(n + 1);
    if (copy) { memcpy(copy, s, n); copy[n] = 0; }
    return copy;
}

/* Takes over the three texts; 0 (and they are freed) without memory. */
static inline int questions_add(questions *q, char *text, char *answer, char *raw) {
    if (q->count == q->capacity) {
        int more = q->capacity ? 2 * q->capacity : 256;
        question *items = more > 1 << 28 ? NULL
                        : (question *)realloc(q->items, (size_t)more * sizeof *items);
        if (items) { q->items = items; q->capacity = more; }
    }
    if (q->count == q->capacity || !text || !answer) {
        free(text); free(answer); free(raw);
        return 0;
    }
    q->items[q->count].text = text;
    q->items[q->count].answer = answer;
    q->items[q->count++].json = raw;
    return 1;
}

/* The value of a field as text, appended with a blank between: a string, a number, true or false.
 * A string with a NUL inside is none. Returns 0 if it is not there. */
static inline int questions_append(const json_value *object, const char *field, size_t n,
                                   char *to, size_t *length) {
    static const char *const words[3] = { "null", "false", "true" };
    const json_value *v;
    const char *text;
    size_t size;
    for (v = json_first(object); v; v = json_next(object, v))
        if (strlen(v->key) == n && !memcmp(v->key, field, n)) break;
    if (!v || v->type >= JSON_ARRAY || v->type == JSON_NULL) return 0;
    text = v->type < JSON_NUMBER ? words[v->type] : v->text;
    size = v->type == JSON_STRING ? v->length
         : v->type == JSON_NUMBER ? strspn(text, "+-.0123456789eE") : strlen(text);
    if (memchr(text, 0, size)) return 0;
    if (*length) to[(*length)++] = ' ';
    memcpy(to + *length, text, size);
    *length += size;
    to[*length] = 0;
    return 1;
}

/* Every field of a list with commas, into a new text; NULL: `*missing` is not there. */
static inline char *questions_fields(const json_value *object, const char *list, size_t room,
                                     const char **missing) {
    char *text = (char *)malloc(room + strlen(list) + 1);
    size_t length = 0, n;
    if (text) *text = 0;
    for (; text && *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        if (questions_append(object, list, n, text, &length)) continue;
        *missing = list;
        free(text);
        text = NULL;
    }
    return text;
}

/* A record on one line, for who reads lines: the end of one stands between its values only. */
static inline char *questions_one_line(const char *s, size_t n) {
    char *copy = questions_copy(s, n);
    size_t i;
    for (i = 0; copy && i < n; i++) if (copy[i] == '\n' || copy[i] == '\r') copy[i] = ' ';
    return copy;
}

/* One object, n bytes at s, which begin in a line of the file. */
static inline int questions_record(questions *q, const char *s, size_t n, const char *fields[2],
                                   const char *name, unsigned long line, char *error) {
    const char *missing = NULL;
    char *copy = questions_copy(s, n), *text, *answer;
    json j;
    if (!copy) return questions_fail(error, name, line, "out of memory", "");
    if (!json_parse_line(&j, copy, n, name, line, error)) return 0;
    text = answer = NULL;
    if (j.values->type != JSON_OBJECT) missing = "";
    else text = questions_fields(j.values, fields[0], n, &missing);
    if (text) answer = fields[1] ? questions_fields(j.values, fields[1], n, &missing)
                                 : questions_copy("", 0);
    json_free(&j);
    if (missing) {
        free(text);
        return questions_fail(error, name, line, *missing ? "this object has no text in"
                              : "this is no JSON object", missing);
    }
    return questions_add(q, text, answer, questions_one_line(s, n))
           || questions_fail(error, name, line, "out of memory", "");
}

/* The end of the value at s: the comma or bracket after it, or the end of the text. */
static inline const char *questions_end(const char *s) {
    int depth = 0, quoted = 0;
    for (; *s; s++) {
        if (quoted && *s == '\\' && s[1]) { s++; continue; }
        if (*s == '"') quoted = !quoted;
        if (quoted) continue;
        if (depth == 0 && (*s == ',' || *s == ']')) break;
        depth += (*s == '{' || *s == '[') - (*s == '}' || *s == ']');
    }
    return s;
}

static inline size_t questions_blank(const char *s, unsigned long *line) {
    size_t n = strspn(s, " \t\r\n"), i;
    for (i = 0; i < n; i++) *line += s[i] == '\n';
    return n;
}

/* All records of a text: the lines, or the elements of the array that it is. */
static inline int questions_read(questions *q, const char *s, const char *fields[2],
                                 const char *name, char *error) {
    unsigned long line = 1;
    int array;
    s += questions_blank(s, &line);
    array = *s == '[';
    if (array) s++;
    for (;;) {
        const char *end;
        s += questions_blank(s, &line);
        if (!*s || (array && *s == ']')) break;
        end = array ? questions_end(s) : s + strcspn(s, "\n");
        if (!questions_record(q, s, (size_t)(end - s), fields, name, line, error)) return 0;
        for (; s < end; s++) line += *s == '\n';
        if (array && *s == ',') s++;
        else if (array && *s != ']')
            return questions_fail(error, name, line, "the list does not end", "");
    }
    return q->count ? 1 : questions_fail(error, name, line, "there is no question in it", "");
}

/* ---- countdown */

enum { QUESTIONS_NUMBERS = 3, QUESTIONS_LARGEST = 20, QUESTIONS_TARGET = 99, QUESTIONS_SETS = 16 };

/* Puzzle `draw` of a seed: numbers, and a target that they make, joined from left to right by + -
 * or *. 0 if the target is no good, or the puzzle belongs to another seed's set: puzzles are dealt
 * to 16 sets by what they are, so seeds that differ modulo 16 have none in common. */
static inline int questions_puzzle(uint64_t seed, uint64_t draw, int numbers[QUESTIONS_NUMBERS],
                                   int *target) {
    uint64_t h = questions_mix(seed ^ questions_mix(draw)), name = 0;
    int i;
    for (i = 0; i < QUESTIONS_NUMBERS; i++, h = questions_mix(h)) {
        int x = numbers[i] = 1 + (int)(h % QUESTIONS_LARGEST), how = (int)(h >> 32) % 3;
        *target = i == 0 ? x : how == 0 ? *target + x : how == 1 ? *target - x : *target * x;
        name += questions_mix((uint64_t)x);                   /* in whatever order they stand    */
        if (*target > 9999 || *target < -9999) return 0;
    }
    name = questions_mix(name) + (uint64_t)*target;
    return *target > 0 && *target <= QUESTIONS_TARGET
           && questions_mix(name) % QUESTIONS_SETS == seed % QUESTIONS_SETS;
}

static inline int questions_countdown(questions *q, uint64_t seed, int count) {
    uint64_t draw;
    for (draw = 0; q->count < count; draw++) {
        char text[160], answer[64];
        int x[QUESTIONS_NUMBERS], target;
        if (!questions_puzzle(seed, draw, x, &target)) continue;
        snprintf(text, sizeof text, "Use each of the numbers %d, %d and %d once, with + - * / and "
                 "brackets, to make %d.", x[0], x[1], x[2], target);
        snprintf(answer, sizeof answer, "%d: %d %d %d", target, x[0], x[1], x[2]);
        if (!questions_add(q, questions_copy(text, strlen(text)),
                           questions_copy(answer, strlen(answer)), NULL)) return 0;
    }
    return 1;
}

/* ---- the whole */

/* 1, or 0 with a sentence in error[JSON_ERROR_LENGTH] and nothing to free. answer_field NULL: the
 * questions have none. */
static inline int questions_open(questions *q, const char *source, const char *question_field,
                                 const char *answer_field, char *error) {
    const char *fields[2];
    unsigned long seed = 0;
    int count = 0, done = 0;
    size_t length;
    char *text;
    memset(q, 0, sizeof *q);
    if (!strncmp(source, "countdown:", 10)) {
        if (sscanf(source, "countdown:%lu:%d", &seed, &count) != 2 || count < 1 || count > 1000000)
            snprintf(error, JSON_ERROR_LENGTH, "%.60s: it should be countdown:SEED:COUNT, up to a "
                     "million", source);
        else if (!(done = questions_countdown(q, seed, count)))
            snprintf(error, JSON_ERROR_LENGTH, "%.60s: out of memory", source);
    } else {
        text = json_load(source, &length, error);
        fields[0] = question_field;
        fields[1] = answer_field;
        if (text && strlen(text) < length)
            questions_fail(error, source, 1, "it holds a NUL byte: this is no text", "");
        else if (text) done = questions_read(q, text, fields, source, error);
        free(text);
    }
    if (!done) questions_free(q);
    return done;
}

#endif
