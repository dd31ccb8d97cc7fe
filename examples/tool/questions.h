/* questions.h: questions with answers, from files of JSON or made from a seed, and their order.
 *
 *     questions train = { 0 }, test = { 0 };
 *     if (!questions_read(&train, "train.jsonl", "question", "answer", error)) return fail(error);
 *     if (!questions_hold_out(&train, &test, 10, error)) return fail(error);    every tenth
 *     for (position = 0; ; position++) ask(&train.items[questions_at(&train, seed, position)]);
 *     questions_free(&train);
 *
 * A file is one JSON object a line (GSM8K as it is published), one array of objects (SVAMP), or CSV
 * (RFC 4180) with a line of names at its head, if its own name ends with .csv, or it comes by a
 * pipe and is no JSON. A question may be put together from several fields, "Body,Question". Fields
 * lie in others: "reward_model.ground_truth", "choices.0.text" (a field whose own name is that
 * comes first). One that is a list of messages, [{"role": "system", "content": "..."}, {"role":
 * "user", ...}], is a conversation, which ends with what is to be answered. Where there is no
 * "question" it is "prompt" or "messages", as others call it. The whole line stays within reach of
 * a verifier as JSON.
 *
 * Functions that can fail return 1, or 0 with a sentence in error[JSON_ERROR_LENGTH], which is
 * about the first line that is wrong and has the number of the others; the questions are then as
 * they were before. */
#ifndef QUESTIONS_H
#define QUESTIONS_H

#include "json.h"

#include <limits.h>

typedef struct questions_turn {
    const char *role, *text;
    const char *thought;            /* reasoning_content, as others call it; or NULL             */
} questions_turn;

typedef struct questions_item {
    const char *text;               /* of a conversation: its last turn's                        */
    const char *answer;             /* NULL if none was asked for                                */
    const char *json;               /* all its fields: an object on one line                     */
    char *memory;                   /* where all of it stands                                    */
    const questions_turn *turns;    /* of a conversation; NULL: text is the one                  */
    int num_turns;
} questions_item;

typedef struct questions {          /* all zeros: none                                           */
    questions_item *items;
    int count, capacity;
} questions;

static inline void questions_free(questions *q) {
    int i;
    for (i = 0; i < q->count; i++) free(q->items[i].memory);
    free(q->items);
    memset(q, 0, sizeof *q);
}

static inline int questions_wrong(char *error, const char *what) {
    snprintf(error, JSON_ERROR_LENGTH, "%s", what);
    return 0;
}

/* Takes over item.memory, also when it fails. */
static inline int questions_add(questions *q, questions_item item, char *error) {
    if (q->count == q->capacity) {
        size_t more = q->capacity ? 2 * (size_t)q->capacity : 256;
        questions_item *items = more > INT_MAX ? NULL
                          : (questions_item *)realloc(q->items, more * sizeof *items);
        if (!items) {
            free(item.memory);
            return questions_wrong(error, "there is not enough memory for so many questions");
        }
        q->items = items;
        q->capacity = (int)more;
    }
    q->items[q->count++] = item;
    return 1;
}

/* One turn, whose text stands at the beginning of memory. */
static inline int questions_append(questions *q, char *memory, const char *answer,
                                   const char *json_text, char *error) {
    questions_item item;
    memset(&item, 0, sizeof item);
    item.memory = memory;
    item.text = memory;
    item.answer = answer;
    item.json = json_text;
    return questions_add(q, item, error);
}

/* Forget what came after the first `count`. */
static inline void questions_shorten(questions *q, int count) {
    while (q->count > count) free(q->items[--q->count].memory);
}

/* ---- files */

/* The names of an object's fields, for a sentence about one that is missing. */
static inline void questions_names(const json_value *object, char *to, size_t size) {
    const json_value *v;
    size_t n = 0;
    to[0] = 0;
    for (v = json_first(object); v && n + 4 < size; v = json_next(object, v)) {
        snprintf(to + n, size - n, "%s%.30s", n ? ", " : "", v->key);
        n += strlen(to + n);
    }
}

/* The member of an object, or of an array by its number, that is called name[n]. */
static inline const json_value *questions_member(const json_value *of, const char *name, size_t n) {
    const json_value *v;
    size_t i = 0;
    char number[24];
    for (v = json_first(of); v; v = json_next(of, v), i++) {
        if (of->type == JSON_ARRAY) snprintf(number, sizeof number, "%lu", (unsigned long)i);
        if (of->type == JSON_ARRAY ? strlen(number) == n && !memcmp(number, name, n)
                                   : v->key_length == n && !memcmp(v->key, name, n)) return v;
    }
    return NULL;
}

/* The value at a path, "a.b.0"; NULL: there is none, and *deepest is the last value on the way. */
static inline const json_value *questions_path(const json_value *of, const char *path, size_t n,
                                               const json_value **deepest) {
    const json_value *v = questions_member(of, path, n);
    size_t i;
    *deepest = of;
    for (i = 1; i + 1 < n && !v; i++) {
        const json_value *inside = path[i] == '.' ? questions_member(of, path, i) : NULL;
        if (inside) v = questions_path(inside, path + i + 1, n - i - 1, deepest);
    }
    return v;
}

/* The field name[n]; NULL with a sentence. */
static inline const json_value *questions_find(const json_value *object, const char *name,
                                               size_t n, char *error) {
    char others[128];
    const json_value *v, *deepest;
    if (n == 0 || n >= 128) {
        questions_wrong(error, "the name of a field is empty or too long");
        return NULL;
    }
    v = questions_path(object, name, n, &deepest);
    if (v) return v;
    questions_names(deepest, others, sizeof others);
    snprintf(error, JSON_ERROR_LENGTH, "there is no field \"%.*s\" (%s: %s)", n < 60 ? (int)n : 60,
             name, deepest == object ? "there is" : "of it there is",
             others[0] ? others : "nothing");
    return NULL;
}

/* A field that is a string or a number, as text; NULL with a sentence. */
static inline const char *questions_field(const json_value *object, const char *name, size_t n,
                                          size_t *length, char *error) {
    const json_value *v = questions_find(object, name, n, error);
    char inside[100];
    int shown = n < 60 ? (int)n : 60;
    if (!v) return NULL;
    if (v->type != JSON_STRING && v->type != JSON_NUMBER) {
        inside[0] = 0;
        if (v->type == JSON_OBJECT) questions_names(v, inside, sizeof inside);
        snprintf(error, JSON_ERROR_LENGTH, "the field \"%.*s\" is no string and no number%s%s",
                 shown, name, inside[0] ? "; choose of what is in it, with a point: " : "", inside);
        return NULL;
    }
    *length = v->type == JSON_STRING ? strlen(v->text) : strspn(v->text, "+-.0123456789eE");
    if (v->type == JSON_STRING && v->length != *length) {
        snprintf(error, JSON_ERROR_LENGTH, "the field \"%.*s\" has a \\u0000 in it", shown, name);
        return NULL;
    }
    return v->text;
}

/* The fields of names ("Body,Question"), blanks between them, to `to` (NULL: only measure). */
static inline int questions_join(const json_value *object, const char *names, char *to,
                                 size_t *length, char *error) {
    size_t n, size;
    *length = 0;
    for (; ; names += n + 1) {
        const char *text;
        n = strcspn(names, ",");
        text = questions_field(object, names, n, &size, error);
        if (!text) return 0;
        if (*length && to) to[*length] = ' ';
        if (*length) ++*length;
        if (to) memcpy(to + *length, text, size);
        *length += size;
        if (!names[n]) return 1;
    }
}

/* ---- conversations: a list of messages, each a role and what is said */

static inline int questions_turn_wrong(char *error, int i, const char *what, const char *name) {
    snprintf(error, JSON_ERROR_LENGTH, "message %d %s%.60s", i + 1, what, name);
    return 0;
}

/* What a message says, a string or parts of type "text" one after the other, to `to` (NULL: only
 * measure). */
static inline int questions_content(const json_value *content, int i, char *to, size_t *length,
                                    char *error) {
    const json_value *part;
    *length = 0;
    if (json_is(content, JSON_STRING)) {
        *length = content->length;
        if (to) memcpy(to, content->text, content->length);
        return strlen(content->text) == content->length
               || questions_turn_wrong(error, i, "has a \\u0000 in it", "");
    }
    if (!json_is(content, JSON_ARRAY)) return questions_turn_wrong(error, i, "has no content", "");
    for (part = json_first(content); part; part = json_next(content, part)) {
        const json_value *text = json_find(part, "text");
        const char *type = json_string(json_find(part, "type"), "");
        if (strcmp(type, "text") != 0 || !json_is(text, JSON_STRING) || part->length != 2
            || strlen(text->text) != text->length)
            return questions_turn_wrong(error, i, "has a part that is no text, of type ", type);
        if (to) memcpy(to + *length, text->text, text->length);
        *length += text->length;
    }
    return 1;
}

/* The thoughts before what a message says, under one of two names; or NULL. *other: a member that
 * is not understood, or NULL. */
static inline const json_value *questions_thought(const json_value *message,
                                                  const json_value **other) {
    const json_value *v, *thought = NULL;
    *other = NULL;
    for (v = json_first(message); v; v = json_next(message, v)) {
        if (v->type == JSON_NULL || !strcmp(v->key, "role") || !strcmp(v->key, "content"))
            continue;
        if ((strcmp(v->key, "reasoning_content") && strcmp(v->key, "thinking")) || thought
            || v->type != JSON_STRING || strlen(v->text) != v->length) *other = v;
        else thought = v;
    }
    return thought;
}

/* A list of messages: the turns to `turns`, their texts to `to` (both NULL: only measure). */
static inline int questions_talk(const json_value *list, questions_turn *turns, char *to,
                                 size_t *length, char *error) {
    const json_value *message, *other, *thought;
    const char *role = "";
    size_t size = 0;
    int i = 0;
    *length = 0;
    for (message = json_first(list); message; message = json_next(list, message), i++) {
        role = json_string(json_find(message, "role"), "");
        if (!role[0]) return questions_turn_wrong(error, i, "has no role: {\"role\": \"user\", "
                                                  "\"content\": \"...\"}", "");
        thought = questions_thought(message, &other);
        if (other)
            return questions_turn_wrong(error, i, "has what is not understood: ", other->key);
        if (!strcmp(role, "system") && i)
            return questions_turn_wrong(error, i, "is the system's, which comes first", "");
        if (!questions_content(json_find(message, "content"), i, to ? to + *length : NULL, &size,
                               error)) return 0;
        if (turns) {
            turns[i].text = to + *length;
            turns[i].role = to + *length + size + 1;
            to[*length + size] = 0;
            strcpy(to + *length + size + 1, role);
            turns[i].thought = thought ? to + *length + size + strlen(role) + 2 : NULL;
            if (thought) strcpy(to + *length + size + strlen(role) + 2, thought->text);
        }
        *length += size + strlen(role) + 2 + (thought ? thought->length + 1 : 0);
    }
    if (i == 0) return questions_wrong(error, "the list of messages is empty");
    if (!strcmp(role, "assistant") || !strcmp(role, "system"))
        return questions_turn_wrong(error, i - 1, "is the last and nothing that can be answered, "
                                    "but of role ", role);
    if (size == 0) return questions_wrong(error, "the question, the last message, is empty");
    return 1;
}

/* JSON that is known to be well-formed, without the blanks between its parts; returns its length.
 * to has room for n bytes. */
static inline size_t questions_compact(char *to, const char *from, size_t n) {
    size_t i, size = 0;
    int inside = 0;
    for (i = 0; i < n; i++) {
        if (from[i] == '"') inside = !inside;
        if (!inside && strchr(" \t\r\n", from[i])) continue;
        to[size++] = from[i];
        if (inside && from[i] == '\\') to[size++] = from[++i];
    }
    return size;
}

/* What a question is called where it is not called "question". */
static inline const char *questions_called(const json_value *object, const char *names) {
    if (strcmp(names, "question") || json_find(object, names)) return names;
    if (json_find(object, "prompt")) return "prompt";
    return json_find(object, "messages") ? "messages" : names;
}

/* One object: its values, and how it is written, raw[n]. */
static inline int questions_take(questions *q, const json_value *object, const char *raw, size_t n,
                                 const char *question_names, const char *answer_names,
                                 char *error) {
    int answered = answer_names && *answer_names, talks;
    size_t text = 0, answer = 0, head = 0;
    const json_value *talk, *deepest;
    questions_turn *turns = NULL;
    questions_item item;
    char *at;
    if (!json_is(object, JSON_OBJECT))
        return questions_wrong(error, "this is no object: {\"question\": ..., \"answer\": ...}");
    question_names = questions_called(object, question_names);
    talk = questions_path(object, question_names, strlen(question_names), &deepest);
    talks = json_is(talk, JSON_ARRAY) && json_is(json_first(talk), JSON_OBJECT);
    if (!(talks ? questions_talk(talk, NULL, NULL, &text, error)
                : questions_join(object, question_names, NULL, &text, error))
        || (answered && !questions_join(object, answer_names, NULL, &answer, error))) return 0;
    if (text == 0) return questions_wrong(error, "the question is empty");
    if (talks) head = talk->length * sizeof *turns;
    memset(&item, 0, sizeof item);
    item.memory = (char *)malloc(head + text + answer + n + 3);
    if (!item.memory) return questions_wrong(error, "there is not enough memory for the questions");
    at = item.memory + head;
    item.text = at;
    if (talks) {
        turns = (questions_turn *)(void *)item.memory;
        questions_talk(talk, turns, at, &text, error);
        item.turns = turns;
        item.num_turns = (int)talk->length;
        item.text = turns[item.num_turns - 1].text;
    } else questions_join(object, question_names, at, &text, error);
    at[text] = 0;
    at += text + 1;
    if (answered) {
        questions_join(object, answer_names, at, &answer, error);
        item.answer = at;
    }
    at[answer] = 0;
    at += answer + 1;
    at[questions_compact(at, raw, n)] = 0;
    item.json = at;
    return questions_add(q, item, error);
}

/* A sentence with its file and line; json.h counts lines from the text that it was given. */
static inline int questions_place(const char *path, unsigned long line, char *error) {
    char what[JSON_ERROR_LENGTH];
    const char *at = strncmp(error, "line 1, ", 8) == 0 ? error + 8 : error;
    const char *tail = strlen(path) > 80 ? path + strlen(path) - 80 : path;
    snprintf(what, sizeof what, "%s", at);
    snprintf(error, JSON_ERROR_LENGTH, "%s, line %lu%s%.140s", tail, line,
             at == error ? ": " : ", ", what);
    return 0;
}

static inline int questions_line(questions *q, const char *raw, size_t n, const char *question,
                                 const char *answer, char *error) {
    char *copy = (char *)malloc(n + 1);
    json j;
    int good;
    if (!copy) return questions_wrong(error, "there is not enough memory for the questions");
    memcpy(copy, raw, n);
    copy[n] = 0;
    if (!json_parse(&j, copy, n, NULL, error)) return 0;
    good = questions_take(q, j.values, raw, n, question, answer, error);
    json_free(&j);
    return good;
}

/* Lines that are wrong: the first one's sentence, and how many there are. */
typedef struct questions_faults {
    unsigned long count;
    char first[JSON_ERROR_LENGTH];
} questions_faults;

/* One more line, if it is not good. */
static inline void questions_fault(questions_faults *f, int good, const char *path,
                                   unsigned long line, char *error) {
    if (good || f->count++) return;
    questions_place(path, line, error);
    memcpy(f->first, error, sizeof f->first);
}

static inline int questions_faultless(const questions_faults *f, char *error) {
    if (!f->count) return 1;
    snprintf(error, JSON_ERROR_LENGTH, "%s", f->first);
    if (f->count > 1)
        snprintf(error, JSON_ERROR_LENGTH, "%.200s (and %lu more are wrong)", f->first,
                 f->count - 1);
    return 0;
}

static inline int questions_lines(questions *q, const char *text, size_t length, const char *path,
                                  const char *question, const char *answer, char *error) {
    const char *at = text, *end = text + length, *stop;
    questions_faults faults;
    unsigned long line;
    faults.count = 0;
    for (line = 1; at < end; line++, at = stop + (stop < end)) {
        size_t n, blank = 0;
        stop = (const char *)memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        n = (size_t)(stop - at);
        while (blank < n && strchr(" \t\r", at[blank]) && at[blank]) blank++;
        if (blank < n) questions_fault(&faults, questions_line(q, at, n, question, answer, error),
                                       path, line, error);
    }
    return questions_faultless(&faults, error);
}

/* Where a value ends that begins at `at`, in text that is well-formed and ends with a NUL. */
static inline const char *questions_skip(const char *at) {
    int depth = 0, inside = 0;
    for (; *at; at++) {
        if (inside && *at == '\\') at++;
        else if (*at == '"') inside = !inside;
        else if (!inside && (*at == '{' || *at == '[')) depth++;
        else if (!inside && depth == 0 && strchr(",]} \t\r\n", *at)) break;
        else if (!inside && (*at == '}' || *at == ']')) depth--;
    }
    return at;
}

/* text is one array; the same text again in copy, which this takes over. */
static inline int questions_array(questions *q, const char *text, char *copy, size_t length,
                                  const char *path, const char *question, const char *answer,
                                  char *error) {
    const json_value *v;
    questions_faults faults;
    unsigned long line = 1;
    json j;
    faults.count = 0;
    if (!json_parse(&j, copy, length, path, error)) return 0;
    text = strchr(text, '[');
    for (v = json_first(j.values); v; v = json_next(j.values, v)) {
        const char *end;
        for (text++; strchr(" \t\r\n", *text); text++) line += *text == '\n';
        end = questions_skip(text);
        questions_fault(&faults, questions_take(q, v, text, (size_t)(end - text), question, answer,
                                                error), path, line, error);
        for (; text < end || (*text && *text != ',' && *text != ']'); text++)
            line += *text == '\n';
    }
    json_free(&j);
    return questions_faultless(&faults, error);
}

/* ---- CSV (RFC 4180): a line of names, then records; fields with commas, quotes or ends of lines
 * in them stand in double quotes, "" for one */

typedef struct questions_csv {
    const char *at, *end;
    unsigned long line;
    char *field;                    /* the last one that was read; room for all that is left     */
    size_t length;
} questions_csv;

/* One field to c->field; what ends it, ',' or '\n', is passed: *last 1 where it was the record's
 * last. */
static inline int questions_csv_field(questions_csv *c, int *last, char *error) {
    int quoted = c->at < c->end && *c->at == '"';
    unsigned long line = c->line;
    c->length = 0;
    for (c->at += quoted; c->at < c->end; c->at++) {
        char b = *c->at;
        if (quoted && b == '"' && c->at + 1 < c->end && c->at[1] == '"') c->at++;
        else if (quoted && b == '"') break;
        else if (!quoted && (b == ',' || b == '\n'
                             || (b == '\r' && c->at + 1 < c->end && c->at[1] == '\n'))) break;
        else if (!quoted && b == '"')
            return questions_wrong(error, "a double quote within a field that does not begin with "
                                          "one: put the field in quotes, and \"\" for each in it");
        else if (!b) return questions_wrong(error, "a NUL byte");
        c->line += b == '\n';
        c->field[c->length++] = b;
    }
    if (quoted && c->at == c->end) {
        snprintf(error, JSON_ERROR_LENGTH, "the field in quotes that begins in line %lu does not "
                 "end", line);
        return 0;
    }
    c->at += quoted;
    if (c->at + 1 < c->end && c->at[0] == '\r' && c->at[1] == '\n') c->at++;
    *last = c->at == c->end || *c->at == '\n';
    if (!*last && *c->at != ',')
        return questions_wrong(error, "something follows a field's closing quote");
    c->line += c->at < c->end && *c->at == '\n';
    c->at += c->at < c->end;
    return 1;
}

/* A string of JSON to `to`, which has room for 6 n + 2 bytes; returns its length. */
static inline size_t questions_quoted(char *to, const char *from, size_t n) {
    size_t i, size = 0;
    to[size++] = '"';
    for (i = 0; i < n; i++) {
        if (strchr("\"\\", from[i])) to[size++] = '\\';
        if ((unsigned char)from[i] >= 32) to[size++] = from[i];
        else size += (size_t)sprintf(to + size, "\\u%04x", (unsigned)from[i]);
    }
    to[size++] = '"';
    return size;
}

/* One record as an object: its fields under the names at `names` (quoted, each with a NUL; NULL:
 * the record is they). Room for 6 times what is left in to. Returns the number of fields, 0 with a
 * sentence. */
static inline int questions_csv_record(questions_csv *c, const char *names, int num_names, char *to,
                                       size_t *size, char *error) {
    int last = 0, n = 0;
    *size = 0;
    if (names) to[(*size)++] = '{';
    for (; !last; n++) {
        uint32_t code;
        size_t i;
        int k;
        if (!questions_csv_field(c, &last, error)) return 0;
        for (i = 0; i < c->length; i += (size_t)k)
            if ((k = json_utf8(c->field + i, c->length - i, &code)) == 0)
                return questions_wrong(error, "a byte that is not UTF-8");
        if (names && n < num_names) {
            *size += (size_t)sprintf(to + *size, "%s%s:", n ? "," : "", names);
            names += strlen(names) + 1;
        }
        if (!names || n < num_names) *size += questions_quoted(to + *size, c->field, c->length);
        if (!names) to[(*size)++] = 0;
    }
    if (names) to[(*size)++] = '}';
    if (!names || n == num_names) return n;
    snprintf(error, JSON_ERROR_LENGTH, "it has %d fields, and the line of names at the head has %d",
             n, num_names);
    return 0;
}

/* Are the names at the head all different? 0, with a sentence. */
static inline int questions_csv_differ(const char *names, int n, char *error) {
    const char *a = names, *b;
    int i, k;
    for (i = 0; i < n; i++, a += strlen(a) + 1)
        for (b = a + strlen(a) + 1, k = i + 1; k < n; k++, b += strlen(b) + 1)
            if (!strcmp(a, b)) {
                snprintf(error, JSON_ERROR_LENGTH, "the line of names at the head has %.60s twice, "
                         "for columns %d and %d: give each column a name of its own", a, i + 1,
                         k + 1);
                return 0;
            }
    return 1;
}

/* Where the record ends that begins at `at`, its end of line included. */
static inline const char *questions_csv_end(const char *at, const char *end) {
    int inside = 0;
    for (; at < end && (inside || *at != '\n'); at++) inside ^= *at == '"';
    return at + (at < end);
}

static inline int questions_csv_text(questions *q, const char *text, size_t length,
                                     const char *path, const char *question, const char *answer,
                                     char *error) {
    const char *end = text + length, *at = text, *stop;
    char *names = NULL, *room = NULL;
    size_t names_size = 0, largest = 0, size = 0;
    questions_csv c = { NULL, NULL, 1, NULL, 0 };
    questions_faults faults;
    int num_names = 0, good = 1;
    for (faults.count = 0; at < end && good; at = stop) {
        size_t n = (size_t)((stop = questions_csv_end(at, end)) - at);
        unsigned long line = c.line;
        if (!room || n > largest) { /* JSON has at most 9 bytes for each, names aside            */
            free(room);
            largest = 2 * n;
            room = (char *)malloc(names_size + 10 * largest + 20);
        }
        if (!room) {
            good = questions_wrong(error, "there is not enough memory for the questions");
            break;
        }
        c.at = at;
        c.end = stop;
        c.field = room + names_size + 9 * largest + 16;
        if (n - (size_t)(*at == '\r' && n == 2) == 1 && stop[-1] == '\n') {
            c.line++;               /* an empty line                                             */
        } else if (!names) {
            num_names = questions_csv_record(&c, NULL, 0, room, &names_size, error);
            names = room;
            room = NULL;
            if (!num_names || !questions_csv_differ(names, num_names, error))
                good = questions_place(path, line, error);
        } else if (!questions_csv_record(&c, names, num_names, room, &size, error)) {
            questions_fault(&faults, 0, path, line, error);
            stop = (const char *)memchr(at, '\n', n); /* try again with the next line            */
            stop = stop ? stop + 1 : end;
            c.line = line + 1;
        } else {
            questions_fault(&faults, questions_line(q, room, size, question, answer, error), path,
                            line, error);
        }
    }
    free(names);
    free(room);
    return good && questions_faultless(&faults, error);
}

/* Does a name end so, in whatever case? */
static inline int questions_ends(const char *name, const char *end) {
    size_t n = strlen(name), k = strlen(end), i;
    for (i = 0; i < k && i < n; i++) {
        char c = name[n - 1 - i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != end[k - 1 - i]) return 0;
    }
    return n >= k;
}

/* What is no text, and how it becomes one. */
static inline int questions_other_format(const char *text, size_t length, const char *path,
                                         char *error) {
    int parquet = questions_ends(path, ".parquet") || (length >= 4 && !memcmp(text, "PAR1", 4));
    int zipped = length >= 2 && !memcmp(text, "\x1f\x8b", 2);
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (strlen(path) > 120) path = "FILE";                    /* a command cut off is none       */
    if (parquet)
        snprintf(error, JSON_ERROR_LENGTH, "%.50s is Parquet: duckdb -json -c \"FROM '%s'\" | grpo "
                 "... --data - reads it", name, path);
    else if (zipped)
        snprintf(error, JSON_ERROR_LENGTH, "%.50s is compressed: gzip -dc '%s' | grpo ... --data - "
                 "reads it", name, path);
    else return 0;
    return 1;
}

/* A pipe on purpose: the standard input, or what a shell makes of <(a command). */
static inline int questions_is_pipe(const char *path) {
    return !strcmp(path, "-") || !strcmp(path, "/dev/stdin") || !strncmp(path, "/dev/fd/", 8);
}

/* text: length bytes and a NUL, which come from the file path. */
static inline int questions_parse(questions *q, const char *text, size_t length, const char *path,
                                  const char *question, const char *answer, char *error) {
    int before = q->count, good;
    size_t mark = length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0, blank;
    text += mark;                   /* a byte order mark is no part of the text                  */
    length -= mark;
    if (questions_other_format(text, length, path, error)) return 0;
    for (blank = 0; text[blank] && strchr(" \t\r\n", text[blank]); ) blank++;
    if (questions_ends(path, ".csv")
        || (questions_is_pipe(path) && text[blank] && !strchr("[{", text[blank]))) {
        good = questions_csv_text(q, text, length, path, question, answer, error);
    } else if (text[blank] == '[') {
        char *copy = (char *)malloc(length + 1);
        if (!copy) return questions_wrong(error, "there is not enough memory for the questions");
        memcpy(copy, text, length + 1);
        good = questions_array(q, text, copy, length, path, question, answer, error);
    } else {
        good = questions_lines(q, text, length, path, question, answer, error);
    }
    if (good && q->count == before) {
        snprintf(error, JSON_ERROR_LENGTH, "%.180s has no questions in it",
                 strcmp(path, "-") ? path : "standard input");
        good = 0;
    }
    if (!good) questions_shorten(q, before);
    return good;
}

/* Appends the questions of a file, or of a pipe that is one on purpose ("-" is the standard input).
 * question and answer are the names of fields, or of several with commas between them; answer NULL
 * or "": there are none, a verifier will know. */
static inline int questions_read(questions *q, const char *path, const char *question,
                                 const char *answer, char *error) {
    size_t length;
    int is_pipe = questions_is_pipe(path);
    FILE *file = !strcmp(path, "-") ? stdin : is_pipe ? fopen(path, "rb") : json_open(path, error);
    int other = file && questions_other_format("", 0, path, error);
    char *text = file && !other ? json_load_all(file, path, &length, error) : NULL;
    int good = text && questions_parse(q, text, length, path, question, answer, error);
    if (other) fclose(file);
    if (!file && is_pipe) questions_wrong(error, "the pipe with the questions cannot be opened");
    free(text);
    return good;
}

/* ---- random numbers and orders, pure functions of their keys */

/* A bijection of 64 bits in which every bit of x moves every bit of the result (the finaliser of
 * splitmix64: Steele, Lea and Flood 2014). */
static inline uint64_t questions_mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A permutation of 0 ... count - 1 chosen by key: a Feistel network on the smallest 2 b bits that
 * hold count, walked along its cycle until it comes back below count (Black and Rogaway 2002). */
static inline int questions_permute(int index, int count, uint64_t key) {
    uint64_t x = (uint64_t)index, mask;
    int bits = 1, round;
    while ((uint64_t)1 << 2 * bits < (uint64_t)count) bits++;
    mask = ((uint64_t)1 << bits) - 1;
    do {
        for (round = 0; round < 8; round++) {
            uint64_t left = x >> bits, right = x & mask;
            uint64_t turned = questions_mix(key ^ questions_mix((uint64_t)round << 32 | right));
            x = right << bits | (left ^ (turned & mask));
        }
    } while (x >= (uint64_t)count);
    return (int)x;
}

/* Which question comes at this position since the start of training. Every epoch of count
 * positions has each question once, in an order of its own; there is nothing to save but the
 * position. There must be a question. */
static inline int questions_at(const questions *q, uint64_t seed, uint64_t position) {
    uint64_t count = (uint64_t)q->count, epoch = position / count;
    uint64_t key = questions_mix(questions_mix(seed) + epoch);
    return questions_permute((int)(position % count), q->count, key);
}

/* ---- splits: some questions move from q to held, each side in its old order */

static inline int questions_move(questions *q, questions *held, const unsigned char *moves,
                                 char *error) {
    int i, k, kept = 0, before = held->count;
    for (i = 0; i < q->count; i++) {
        questions_item item = q->items[i];
        item.memory = NULL;         /* it is freed once only, whatever happens                   */
        if (moves[i] && !questions_add(held, item, error)) {
            held->count = before;
            return 0;
        }
    }
    for (i = k = 0; i < q->count; i++)
        if (moves[i]) held->items[before + k++].memory = q->items[i].memory;
    for (i = 0; i < q->count; i++)
        if (!moves[i]) q->items[kept++] = q->items[i];
    q->count = kept;
    return 1;
}

static inline int questions_split(questions *q, questions *held, int every, int share,
                                  uint64_t seed, char *error) {
    unsigned char *moves = (unsigned char *)malloc((size_t)q->count + 1);
    int i, good;
    if (!moves) return questions_wrong(error, "there is not enough memory to split the questions");
    for (i = 0; i < q->count; i++)
        moves[i] = (unsigned char)(every ? i % every == every - 1
                       : questions_permute(i, q->count, questions_mix(seed ^ 0x5d11)) < share);
    good = questions_move(q, held, moves, error);
    free(moves);
    return good;
}

/* Every k-th question moves to held: those at k - 1, 2 k - 1, ... */
static inline int questions_hold_out(questions *q, questions *held, int k, char *error) {
    if (k < 2 || k > q->count)
        return questions_wrong(error, "to hold out every k-th question, k must be 2 or more and "
                                      "no more than there are questions");
    return questions_split(q, held, k, 0, 0, error);
}

/* A share of the questions (0 ... 1, at least one stays and one goes), drawn by seed. */
static inline int questions_hold_out_share(questions *q, questions *held, double share,
                                           uint64_t seed, char *error) {
    double n = share * q->count + 0.5;
    if (!(n >= 1 && n < q->count))
        return questions_wrong(error, "the share of questions to hold out must leave at least one "
                                      "on either side");
    return questions_split(q, held, 0, (int)n, seed, error);
}

/* ---- countdown: reach a target with the numbers given, each once */

enum { QUESTIONS_MOST_NUMBERS = 8, QUESTIONS_EXPRESSION = 192 };

typedef struct questions_countdown_rule {
    int count;                      /* of questions                                              */
    int numbers;                    /* in each, 2 ... QUESTIONS_MOST_NUMBERS                     */
    int low, high;                  /* their range, 1 ... 9999; targets: 1 ... max(high, 100)    */
    int held_out;                   /* 0: four fifths of all puzzles, 1: the other fifth         */
    uint64_t seed;
} questions_countdown_rule;

typedef struct questions_puzzle {
    int given[QUESTIONS_MOST_NUMBERS], target;
    char solution[QUESTIONS_EXPRESSION];
} questions_puzzle;

static inline int questions_draw(uint64_t *state, int n) {
    return (int)((questions_mix((*state)++) >> 32) * (uint64_t)n >> 32);
}

/* a op b where the result is a whole number from 1 to a million; 0 where it is not. */
static inline long questions_combine(long a, long b, char op) {
    long value = op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a % b ? 0 : a / b;
    return value >= 1 && value <= 1000000 ? value : 0;
}

/* Draws numbers, then joins two of what is left until one value is left: that can be reached. */
static inline int questions_puzzle_draw(const questions_countdown_rule *rule, uint64_t *state,
                                        questions_puzzle *p) {
    char text[QUESTIONS_MOST_NUMBERS][QUESTIONS_EXPRESSION], joined[QUESTIONS_EXPRESSION];
    long values[QUESTIONS_MOST_NUMBERS];
    int i, left = rule->numbers;
    for (i = 0; i < left; i++) {
        p->given[i] = rule->low + questions_draw(state, rule->high - rule->low + 1);
        values[i] = p->given[i];
        snprintf(text[i], sizeof text[i], "%d", p->given[i]);
    }
    for (; left > 1; left--) {
        int a = questions_draw(state, left), b = (a + 1 + questions_draw(state, left - 1)) % left;
        char op = "+-*/"[questions_draw(state, 4)];
        long value = questions_combine(values[a], values[b], op);
        if (!value) return 0;
        snprintf(joined, sizeof joined, left > 2 ? "(%.90s %c %.90s)" : "%.90s %c %.90s", text[a],
                 op, text[b]);
        values[a] = value;
        memcpy(text[a], joined, sizeof joined);
        values[b] = values[left - 1];
        memmove(text[b], text[left - 1], sizeof joined);
    }
    p->target = (int)values[0];
    memcpy(p->solution, text[0], sizeof p->solution);
    return p->target <= (rule->high > 100 ? rule->high : 100);
}

/* The same for the same numbers, in whatever order, and target. */
static inline uint64_t questions_puzzle_key(const questions_puzzle *p, int numbers) {
    uint64_t sum = 0;
    int i;
    for (i = 0; i < numbers; i++) sum += questions_mix((uint64_t)p->given[i]);
    return questions_mix(sum ^ questions_mix((uint64_t)p->target << 20));
}

/* Adds key to table[size], a power of two more than it will ever hold; 0: it is there already. */
static inline int questions_is_new(uint64_t *table, size_t size, uint64_t key) {
    size_t at = (size_t)key & (size - 1);
    key |= !key;                    /* 0 marks a free place                                      */
    while (table[at] && table[at] != key) at = (at + 1) & (size - 1);
    if (table[at]) return 0;
    table[at] = key;
    return 1;
}

/* Two texts one after the other to memory + n; returns their length. */
static inline size_t questions_quote(char *memory, size_t n, const char *a, const char *b) {
    size_t length = strlen(a), more = strlen(b);
    memcpy(memory + n, a, length);
    memmove(memory + n + length, b, more);
    return length + more;
}

static inline int questions_puzzle_append(questions *q, const questions_puzzle *p, int numbers,
                                          char *error) {
    enum { ROOM = 1024 };
    char *memory = (char *)malloc(ROOM), *answer, *json_text;
    int i;
    size_t n;
    if (!memory) return questions_wrong(error, "there is not enough memory for the questions");
    n = (size_t)snprintf(memory, ROOM, "Use the numbers");
    for (i = 0; i < numbers; i++)
        n += (size_t)snprintf(memory + n, ROOM - n, "%s %d", !i ? "" : i < numbers - 1 ? ","
                              : " and", p->given[i]);
    n += (size_t)snprintf(memory + n, ROOM - n, " to make %d: each of them exactly once, with "
                          "+ - * / and parentheses. Answer with the expression alone.",
                          p->target) + 1;
    answer = memory + n;
    n += (size_t)snprintf(answer, ROOM - n, "%d:", p->target);
    for (i = 0; i < numbers; i++)
        n += (size_t)snprintf(memory + n, ROOM - n, " %d", p->given[i]);
    json_text = memory + ++n;
    n += questions_quote(memory, n, "{\"question\":\"", memory);
    n += questions_quote(memory, n, "\",\"answer\":\"", answer);
    n += questions_quote(memory, n, "\",\"solution\":\"", p->solution);
    memcpy(memory + n, "\"}", 3);
    return questions_append(q, memory, answer, json_text, error);
}

/* Appends rule->count puzzles, no two the same, each with a solution in its JSON; the answer is
 * "target: a b c", as grpo_reward_countdown() wants it. Whether a puzzle is held out is a matter of
 * its numbers, so questions to train on and held-out ones never overlap, whatever their seeds. */
static inline int questions_countdown(questions *q, const questions_countdown_rule *rule,
                                      char *error) {
    uint64_t state = questions_mix(rule->seed ^ 0xc0417d0), *seen;
    size_t size = 16;
    questions_puzzle p;
    int before = q->count, misses = 0, good = 1;
    if (rule->count < 1 || rule->count > 10000000 || rule->numbers < 2
        || rule->numbers > QUESTIONS_MOST_NUMBERS || rule->low < 1 || rule->high > 9999
        || rule->low > rule->high)
        return questions_wrong(error, "countdown needs 1 to 10000000 questions of 2 to 8 numbers "
                                      "from 1 to 9999");
    while (size < 2 * (size_t)rule->count) size *= 2;
    seen = (uint64_t *)calloc(size, sizeof *seen);
    if (!seen) return questions_wrong(error, "there is not enough memory for the questions");
    while (good && q->count - before < rule->count && misses < 100000) {
        uint64_t key;
        misses++;
        if (!questions_puzzle_draw(rule, &state, &p)) continue;
        key = questions_puzzle_key(&p, rule->numbers);
        if ((key % 5 == 0) != (rule->held_out != 0) || !questions_is_new(seen, size, key)) continue;
        misses = 0;
        good = questions_puzzle_append(q, &p, rule->numbers, error);
    }
    free(seen);
    if (good && q->count - before < rule->count) {
        snprintf(error, JSON_ERROR_LENGTH, "only %d different countdown puzzles were found: ask "
                 "for fewer, or for more or larger numbers", q->count - before);
        good = 0;
    }
    if (!good) questions_shorten(q, before);
    return good;
}

#endif
