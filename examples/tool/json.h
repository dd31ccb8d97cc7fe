/* json.h: JSON in and out, for programs that read other people's files.
 *
 * A text becomes one array of values in the order in which they stand, each value followed by those
 * inside it; so a walk is an index and a step over a value is one addition:
 *
 *     json j;
 *     if (!json_read(&j, "config.json", error)) return complain(error);
 *     const json_value *size = json_find(j.values, "hidden_size");
 *     for (v = json_first(list); v; v = json_next(list, v)) ...
 *     json_free(&j);
 *
 * Strings are UTF-8 with their escapes undone, ended by a NUL that is not counted in their length
 * (which is how a \u0000 inside is seen; names have their length too). What is not JSON (RFC 8259)
 * or not UTF-8, nests deeper than JSON_DEPTH, or has a name twice in one object, of which readers
 * take now the first and now the last, is refused with a sentence that has its line and column. */
#ifndef JSON_H
#define JSON_H

#include "system.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_DEPTH = 64, JSON_ERROR_LENGTH = 256 };

enum { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

typedef struct json_value {
    int type;
    size_t length;                  /* string: its bytes; array, object: how many are in it      */
    size_t size;                    /* of values: this one and all inside it                     */
    const char *key;                /* its name, if it stands in an object; ends with a NUL      */
    size_t key_length;              /* its bytes                                                 */
    const char *text;               /* string: its text; number: as it is written                */
} json_value;

typedef struct json {
    char *text;                     /* what the values point into                                */
    json_value *values;             /* the first is the whole                                    */
    size_t count, capacity;
} json;

static inline void json_free(json *j) {
    free(j->text);
    free(j->values);
    memset(j, 0, sizeof *j);
}

/* ---- reading values */

static inline const json_value *json_first(const json_value *of) {
    return of && (of->type == JSON_ARRAY || of->type == JSON_OBJECT) && of->length ? of + 1 : NULL;
}

static inline const json_value *json_next(const json_value *of, const json_value *v) {
    v += v->size;
    return v < of + of->size ? v : NULL;
}

/* The value of a name; NULL if `of` is NULL, is no object or has none such. */
static inline const json_value *json_find(const json_value *of, const char *name) {
    const json_value *v = of && of->type == JSON_OBJECT ? json_first(of) : NULL;
    size_t n = strlen(name);
    while (v && (v->key_length != n || memcmp(v->key, name, n) != 0)) v = json_next(of, v);
    return v;
}

static inline int json_is(const json_value *v, int type) { return v && v->type == type; }

/* The text of a string, or `otherwise`. */
static inline const char *json_string(const json_value *v, const char *otherwise) {
    return json_is(v, JSON_STRING) ? v->text : otherwise;
}

static inline double json_number(const json_value *v, double otherwise) {
    return json_is(v, JSON_NUMBER) ? strtod(v->text, NULL) : otherwise;
}

/* ---- UTF-8 */

/* The code point at s, which has n bytes, and its own length; length 0: it is not UTF-8. */
static inline int json_utf8(const char *s, size_t n, uint32_t *code) {
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char *b = (const unsigned char *)s;
    int i, length = !n ? 0 : b[0] < 0x80 ? 1 : b[0] < 0xc0 ? 0 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3
                    : b[0] < 0xf8 ? 4 : 0;
    if (length == 0 || (size_t)length > n) return 0;
    *code = length == 1 ? b[0] : b[0] & (0x7fu >> length);
    for (i = 1; i < length; i++) {
        if ((b[i] & 0xc0) != 0x80) return 0;
        *code = *code << 6 | (b[i] & 0x3fu);
    }
    return *code < least[length] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000)
           ? 0 : length;
}

/* Writes a code point to s (room for four bytes); returns how many it took. */
static inline int json_put_utf8(char *s, uint32_t code) {
    int i, n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (i = n - 1; i > 0; i--, code >>= 6) s[i] = (char)(0x80 | (code & 0x3f));
    s[0] = (char)(n == 1 ? code : (0xf0u << (4 - n) & 0xff) | code);
    return n;
}

/* ---- parsing; `at` runs over the text, whose strings are decoded where they lie */

typedef struct json_name { const char *key; size_t length, object; } json_name;

typedef struct json_parser {
    json *j;
    json_name *names;               /* of all objects so far, by a hash; key NULL: a free place  */
    size_t num_names, room;         /* room: a power of two, more than num_names                 */
    char said[128];
    char *at, *end;
    const char *line_start;
    unsigned long line;             /* counted in blanks: a string cannot hold the end of one    */
    int depth;
    const char *wrong;              /* what was found, once it is over                           */
} json_parser;

static inline int json_wrong(json_parser *p, const char *what) {
    if (!p->wrong) p->wrong = what;
    return 0;
}

static inline void json_blank(json_parser *p) {
    for (; p->at < p->end && *p->at && strchr(" \t\n\r", *p->at); p->at++)
        if (*p->at == '\n') { p->line++; p->line_start = p->at + 1; }
}

static inline int json_take(json_parser *p, char c) {
    if (p->at == p->end || *p->at != c) return 0;
    p->at++;
    return 1;
}

/* Index of a new value; its pointers stay good when the array moves, for they point into text. */
static inline int json_new(json_parser *p, int type, size_t *index) {
    json *j = p->j;
    if (j->count == j->capacity) {
        size_t more = j->capacity ? 2 * j->capacity : 64;
        json_value *values = (json_value *)realloc(j->values, more * sizeof *values);
        if (!values) return json_wrong(p, "there is not enough memory for it");
        j->values = values;
        j->capacity = more;
    }
    *index = j->count++;
    memset(&j->values[*index], 0, sizeof *j->values);
    j->values[*index].type = type;
    j->values[*index].size = 1;
    return 1;
}

static inline int json_hex4(json_parser *p, uint32_t *code) {
    int i;
    *code = 0;
    for (i = 0; i < 4; i++, p->at++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *digit = p->at < p->end && *p->at ? strchr(digits, *p->at) : NULL;
        if (!digit) return json_wrong(p, "\\u needs four hexadecimal digits");
        *code = *code << 4 | ((uint32_t)(digit - digits) & 15u);
    }
    return 1;
}

/* After a backslash: the character it stands for, to `to`. Returns its bytes, 0 if it is none. */
static inline int json_escape(json_parser *p, char *to) {
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *name = p->at < p->end && *p->at ? strchr(names, *p->at) : NULL;
    uint32_t code, low;
    if (name) { p->at++; *to = meant[name - names]; return 1; }
    if (!json_take(p, 'u')) return json_wrong(p, "a backslash before a character that needs none");
    if (!json_hex4(p, &code)) return 0;
    if (code >= 0xd800 && code < 0xe000) {      /* half of a pair                                */
        if (code >= 0xdc00 || !json_take(p, '\\') || !json_take(p, 'u') || !json_hex4(p, &low)
            || low < 0xdc00 || low >= 0xe000)
            return json_wrong(p, "half of a \\u surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return json_put_utf8(to, code);
}

/* A string, decoded in place: what it stands for is never longer than how it is written. */
static inline int json_text(json_parser *p, const char **text, size_t *length) {
    char *to;
    if (!json_take(p, '"')) return json_wrong(p, "a string in double quotes should stand here");
    *text = to = p->at;
    while (p->at < p->end && *p->at != '"') {
        uint32_t code;
        int n;
        if (*p->at == '\\') {
            p->at++;
            if ((n = json_escape(p, to)) == 0) return 0;
        } else {
            n = json_utf8(p->at, (size_t)(p->end - p->at), &code);
            if (n == 0) return json_wrong(p, "a byte that is not UTF-8");
            if (code < 0x20) return json_wrong(p, "a control character in a string: write \\n");
            memmove(to, p->at, (size_t)n);
            p->at += n;
        }
        to += n;
    }
    if (p->at == p->end) return json_wrong(p, "a string that does not end");
    *length = (size_t)(to - *text);
    p->at++;
    *to = 0;                        /* no further than where the closing quote stood             */
    return 1;
}

static inline int json_digits(json_parser *p) {
    char *from = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9') p->at++;
    return p->at > from;
}

/* A number; its text ends where the next character stands, which json_value_at() has seen. */
static inline int json_figure(json_parser *p) {
    int good;
    json_take(p, '-');
    good = json_take(p, '0') || json_digits(p);
    if (good && json_take(p, '.')) good = json_digits(p);
    if (good && (json_take(p, 'e') || json_take(p, 'E'))) {
        if (!json_take(p, '-')) json_take(p, '+');
        good = json_digits(p);
    }
    return good || json_wrong(p, "this is no JSON value");
}

static inline int json_word(json_parser *p, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0) return 0;
    p->at += n;
    return 1;
}

static inline int json_value_at(json_parser *p);

/* The place of a name of an object, or a free one, in names[room]. */
static inline json_name *json_place(json_name *names, size_t room, json_name name) {
    uint64_t hash = 0xcbf29ce484222325u ^ name.object;        /* FNV-1a                          */
    size_t i;
    for (i = 0; i < name.length; i++) hash = (hash ^ (unsigned char)name.key[i]) * 0x100000001b3u;
    for (i = (size_t)(hash ^ hash >> 32); ; i++) {
        json_name *at = &names[i & (room - 1)];
        if (!at->key || (at->object == name.object && at->length == name.length
                         && !memcmp(at->key, name.key, name.length))) return at;
    }
}

/* A name that this object does not have yet. */
static inline int json_new_name(json_parser *p, size_t object, const char *key, size_t length) {
    json_name name, *at, *more;
    size_t i;
    name.key = key;
    name.length = length;
    name.object = object;
    if (2 * (p->num_names + 1) > p->room) {
        size_t room = p->room ? 4 * p->room : 64;
        more = (json_name *)calloc(room, sizeof *more);
        if (!more) return json_wrong(p, "there is not enough memory for it");
        for (i = 0; i < p->room; i++)
            if (p->names[i].key) *json_place(more, room, p->names[i]) = p->names[i];
        free(p->names);
        p->names = more;
        p->room = room;
    }
    at = json_place(p->names, p->room, name);
    if (at->key) {
        snprintf(p->said, sizeof p->said, "the name \"%.60s\" is there twice: remove one", key);
        return json_wrong(p, p->said);
    }
    *at = name;
    p->num_names++;
    return 1;
}

/* What stands between [ and ], or { and }. */
static inline int json_inside(json_parser *p, size_t index, char close) {
    size_t count = 0, member;
    if (++p->depth > JSON_DEPTH) return json_wrong(p, "it nests too deep");
    json_blank(p);
    if (!json_take(p, close)) for (;;) {
        const char *key = NULL;
        size_t length = 0;
        json_blank(p);
        if (close == '}') {
            if (!json_text(p, &key, &length) || !json_new_name(p, index, key, length)) return 0;
            json_blank(p);
            if (!json_take(p, ':')) return json_wrong(p, "':' should follow a name");
        }
        member = p->j->count;
        if (!json_value_at(p)) return 0;
        p->j->values[member].key = key;
        p->j->values[member].key_length = length;
        count++;
        json_blank(p);
        if (json_take(p, close)) break;
        if (!json_take(p, ',')) return json_wrong(p, "a comma or a closing bracket is missing");
    }
    p->depth--;
    p->j->values[index].length = count;
    p->j->values[index].size = p->j->count - index;
    return 1;
}

static inline int json_value_at(json_parser *p) {
    size_t index = 0, length = 0;
    const char *text = NULL;
    char c;
    json_blank(p);
    c = p->at < p->end ? *p->at : 0;
    if (c == '{' || c == '[') {
        p->at++;
        return json_new(p, c == '{' ? JSON_OBJECT : JSON_ARRAY, &index)
               && json_inside(p, index, c == '{' ? '}' : ']');
    }
    if (c == '"') {
        if (!json_text(p, &text, &length) || !json_new(p, JSON_STRING, &index)) return 0;
        p->j->values[index].text = text;
        p->j->values[index].length = length;
        return 1;
    }
    if (json_word(p, "null")) return json_new(p, JSON_NULL, &index);
    if (json_word(p, "true")) return json_new(p, JSON_TRUE, &index);
    if (json_word(p, "false")) return json_new(p, JSON_FALSE, &index);
    text = p->at;
    if (!json_figure(p) || !json_new(p, JSON_NUMBER, &index)) return 0;
    p->j->values[index].text = text;
    return 1;
}

/* Takes over text (from malloc, length bytes and then a NUL), which begins in some line of a file.
 * 1, or 0 with a sentence in error, in which name (may be NULL) says whose text it is; then there
 * is nothing to free. */
static inline int json_parse_line(json *j, char *text, size_t length, const char *name,
                                  unsigned long line, char *error) {
    json_parser p;
    int good;
    memset(&p, 0, sizeof p);
    memset(j, 0, sizeof *j);
    j->text = text;
    p.j = j;
    p.line_start = p.at = text;
    p.line = line;
    p.end = text + length;
    good = json_value_at(&p);
    free(p.names);
    if (good) {
        json_blank(&p);
        if (p.at == p.end) return 1;
        json_wrong(&p, "something follows after the end");
    }
    snprintf(error, JSON_ERROR_LENGTH, "%.120s%sline %lu, column %lu: %s", name ? name : "",
             name ? ": " : "", p.line, (unsigned long)(p.at - p.line_start) + 1, p.wrong);
    json_free(j);
    return 0;
}

/* The same for a whole text. */
static inline int json_parse(json *j, char *text, size_t length, const char *name, char *error) {
    return json_parse_line(j, text, length, name, 1, error);
}

/* A file to read, and a regular one: a pipe or a device in its place would be waited for, or never
 * end. NULL with a sentence in error. */
static inline FILE *json_open(const char *path, char *error) {
    int other = system_is_other(path);
    FILE *file = other ? NULL : system_open(path, "rb");
    if (!file) snprintf(error, JSON_ERROR_LENGTH, "%.180s cannot be read: %s", path,
                        other ? "it is no regular file" : strerror(errno));
    return file;
}

/* All of a file, which this closes, and a NUL after it; NULL with a sentence in error. The caller
 * frees it. */
static inline char *json_load_all(FILE *file, const char *path, size_t *length, char *error) {
    const size_t largest = (size_t)1 << 30;
    size_t capacity = 1 << 16, n = 0, got = 0;
    char *text = (char *)malloc(capacity), *more;
    const char *why = text ? NULL : "out of memory";
    while (!why && (got = fread(text + n, 1, capacity - n - 1, file)) > 0)
        if ((n += got) + 1 == capacity) {
            more = n + 1 < largest ? (char *)realloc(text, capacity *= 2) : NULL;
            if (more) text = more;
            else why = n + 1 < largest ? "out of memory" : "it has more than 1 GiB";
        }
    if (!why && ferror(file)) why = strerror(errno);
    if (why) snprintf(error, JSON_ERROR_LENGTH, "%.180s cannot be read: %s", path, why);
    if (why) free(text);
    else text[n] = 0;
    fclose(file);
    *length = why ? 0 : n;
    return why ? NULL : text;
}

/* A whole regular file. */
static inline char *json_load(const char *path, size_t *length, char *error) {
    FILE *file = json_open(path, error);
    *length = 0;
    return file ? json_load_all(file, path, length, error) : NULL;
}

static inline int json_read(json *j, const char *path, char *error) {
    size_t length;
    char *text = json_load(path, &length, error);
    memset(j, 0, sizeof *j);
    return text && json_parse(j, text, length, path, error);
}

/* ---- out */

/* A string in double quotes; bytes that are not UTF-8 become U+FFFD, as Python writes them. */
static inline void json_write(FILE *file, const char *s, size_t n) {
    size_t i = 0;
    fputc('"', file);
    while (i < n) {
        uint32_t code = 0;
        int bytes = json_utf8(s + i, n - i, &code);
        if (bytes == 0) { fputs("\xef\xbf\xbd", file); bytes = 1; }
        else if (code == '"' || code == '\\') fprintf(file, "\\%c", (char)code);
        else if (code == '\n') fputs("\\n", file);
        else if (code < 0x20 || code == 0x7f) fprintf(file, "\\u%04x", (unsigned)code);
        else fwrite(s + i, 1, (size_t)bytes, file);
        i += (size_t)bytes;
    }
    fputc('"', file);
}

/* A value as it was read; numbers keep their digits. */
static inline void json_write_value(FILE *file, const json_value *of) {
    static const char *const words[] = { "null", "false", "true" };
    int object = of->type == JSON_OBJECT;
    const json_value *v;
    if (of->type < JSON_NUMBER) fputs(words[of->type], file);
    else if (of->type == JSON_STRING) json_write(file, of->text, of->length);
    else if (of->type == JSON_NUMBER)
        fprintf(file, "%.*s", (int)strspn(of->text, "+-.0123456789eE"), of->text);
    else {
        fputc(object ? '{' : '[', file);
        for (v = json_first(of); v; v = json_next(of, v)) {
            if (v != of + 1) fputs(", ", file);
            if (object) json_write(file, v->key, v->key_length);
            if (object) fputs(": ", file);
            json_write_value(file, v);
        }
        fputc(object ? '}' : ']', file);
    }
}

#endif
