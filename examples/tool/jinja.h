/* jinja.h: the language that chat templates are written in, as far as they are written in it.
 *
 *     jinja *t = jinja_parse(text, length, error);          (NULL: refused, with a sentence)
 *     char *out = jinja_render(t, variables, NULL, &n, error);
 *     free(out); jinja_free(t);
 *
 * `variables` is a JSON object: {"messages": [...], "add_generation_prompt": true, ...}. The text
 * is the one that jinja2 3.1 writes as transformers' apply_chat_template() sets it up: an immutable
 * sandbox, trim_blocks, lstrip_blocks, {% generation %}, {% break %} and {% continue %}, a tojson
 * that leaves < and non-ASCII as they are, raise_exception and strftime_now. Python shows through
 * where it does there: True and None, the repr() of lists, lengths in code points, iterators that
 * are used up, what is undefined printing as nothing and failing when one asks further.
 *
 * What is not here (include, recursive loops, filters that no template uses, ...) is refused by
 * name, line and column: when the template is parsed, or else, where only running it shows (the
 * method of a value), when it gets there. A template is others' program: the steps it may take, the
 * memory it may use and the text it may write are limited, and it can neither change its variables
 * nor reach anything outside.
 *
 * Otherwise than in Python: whole numbers beyond 64 bits and tuples as keys are refused; map(),
 * select() and their kin are computed where they stand, not item by item when asked; upper and
 * lower case are known of Latin, Cyrillic, Armenian and most of Greek, and refused of the rest.
 *
 * A template and a run take all their memory from blocks that are freed at once; a refusal leaves
 * by longjmp() to the one place that frees them. */
#ifndef JINJA_H
#define JINJA_H

#include "json.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

enum { JINJA_NESTS = 100,           /* values in values; blocks and brackets in a template       */
       JINJA_DEEPEST = 500 };       /* evaluations within evaluations: some 250 KB of stack      */

typedef struct jinja_limits {
    size_t steps;                   /* about one for each expression and 32 bytes of text        */
    size_t memory;                  /* bytes, all that it computes on the way                    */
    size_t output;                  /* bytes of any text                                         */
    const struct tm *now;           /* what strftime_now tells; NULL: the clock                  */
} jinja_limits;

/* ---- values */

enum { JINJA_MISSING,               /* an argument that was not given                            */
       JINJA_UNDEFINED, JINJA_NONE, JINJA_BOOL, JINJA_INT, JINJA_FLOAT, JINJA_STRING, JINJA_LIST,
       JINJA_TUPLE, JINJA_VIEW, JINJA_RANGE, JINJA_ITERATOR, JINJA_DICT, JINJA_NAMESPACE,
       JINJA_MACRO, JINJA_METHOD, JINJA_LOOP };

static const char *const jinja_types[] = { "missing", "Undefined", "NoneType", "bool", "int",
    "float", "str", "list", "tuple", "dict view", "range", "iterator", "dict", "Namespace", "macro",
    "method", "LoopContext" };

typedef struct jinja_value {
    unsigned char type, safe;       /* safe: a string marked so (|safe), which escapes others    */
    size_t n;                       /* bytes of a string                                         */
    union {
        int64_t i;                  /* BOOL, INT                                                 */
        double d;
        const char *s;              /* not ended by a NUL; UNDEFINED: whose name this is         */
        struct jinja_list *list;    /* LIST to ITERATOR                                          */
        struct jinja_dict *dict;    /* DICT, NAMESPACE                                           */
        struct jinja_macro *macro;
        struct jinja_bound *bound;  /* METHOD                                                    */
        struct jinja_loop *loop;
    } as;
} jinja_value;

typedef struct jinja_list {
    size_t n, used;                 /* used: items that an ITERATOR has given away               */
    int depth;                      /* 1 more than the deepest of its items                      */
    const char *name;               /* VIEW, RANGE: as Python writes it                          */
    jinja_value *items;
} jinja_list;

typedef struct jinja_dict {         /* in the order in which they came                           */
    size_t n, room;
    int depth;
    jinja_value *keys, *values;
} jinja_dict;

typedef struct jinja_node {         /* of a template, see the parser                             */
    int kind, op;
    const char *at;                 /* where it stands                                           */
    jinja_value value;
    struct jinja_node *part[5], *next;
} jinja_node;

typedef struct jinja_var { const char *name; jinja_value value; struct jinja_var *next; } jinja_var;
typedef struct jinja_scope { struct jinja_scope *up; jinja_var *vars; } jinja_scope;
typedef struct jinja_macro { const jinja_node *node; jinja_scope *scope; } jinja_macro;
typedef struct jinja_loop { jinja_list *items; size_t index; } jinja_loop;
typedef struct jinja_buffer { char *s; size_t n, room; } jinja_buffer;

typedef struct jinja_state {        /* of a parse or a run                                       */
    jmp_buf refused;
    char *error;
    const char *text;               /* the template                                              */
    const char *at;                 /* where in it something is wrong, if it is; NULL: nowhere   */
    void *blocks;                   /* each begins with a pointer to the next                    */
    char *free_at;
    size_t free_bytes;
    jinja_limits limits;            /* what is left of them                                      */
    int depth, loops;
    jinja_scope *scope;
    jinja_buffer *out;
    jinja_dict *variables;
} jinja_state;

typedef struct jinja {
    void *blocks;
    const char *text;
    jinja_node *body;
} jinja;

static inline void jinja_free_blocks(void *block) {
    while (block) {
        void *next = *(void **)block;
        free(block);
        block = next;
    }
}

/* Leaves with a sentence, about the place j->at. */
static inline void jinja_refuse(jinja_state *j, const char *format, ...) {
    unsigned long line = 1, column = 1;
    const char *s;
    va_list values;
    int n = 0;
    for (s = j->text; j->at && s < j->at; s++) {
        if (*s == '\n') { line++; column = 1; }
        else column += ((unsigned char)*s & 0xc0) != 0x80;
    }
    if (j->at) n = snprintf(j->error, JSON_ERROR_LENGTH, "line %lu, column %lu: ", line, column);
    va_start(values, format);
    vsnprintf(j->error + n, (size_t)(JSON_ERROR_LENGTH - n), format, values);
    va_end(values);
    longjmp(j->refused, 1);
}

static inline void *jinja_take(jinja_state *j, size_t n) {
    const size_t block = (size_t)1 << 16, head = 16;
    char *given;
    n = n ? (n + 15) & ~(size_t)15 : 16;
    if (n > j->free_bytes) {
        size_t size = n > block / 4 ? n : block;
        void *fresh = size > j->limits.memory ? NULL : malloc(size + head);
        if (!fresh) jinja_refuse(j, "the chat template needs more memory than it may have");
        j->limits.memory -= size;
        *(void **)fresh = j->blocks;
        j->blocks = fresh;
        given = (char *)fresh + head;
        if (size == n) return given;        /* a block of its own; the one begun goes on         */
        j->free_at = given;
        j->free_bytes = size;
    }
    given = j->free_at;
    j->free_at += n;
    j->free_bytes -= n;
    return given;
}

static inline void *jinja_new(jinja_state *j, size_t n) {
    return memset(jinja_take(j, n), 0, n);
}

static inline void jinja_spend(jinja_state *j, size_t steps) {
    if (steps >= j->limits.steps)
        jinja_refuse(j, "the chat template takes too many steps: it may not end");
    j->limits.steps -= steps;
}

static inline jinja_value jinja_of(int type) {
    jinja_value v;
    memset(&v, 0, sizeof v);
    v.type = (unsigned char)type;
    return v;
}

static inline jinja_value jinja_bool(int b) {
    jinja_value v = jinja_of(JINJA_BOOL);
    v.as.i = b != 0;
    return v;
}

static inline jinja_value jinja_int(int64_t i) {
    jinja_value v = jinja_of(JINJA_INT);
    v.as.i = i;
    return v;
}

static inline jinja_value jinja_float(double d) {
    jinja_value v = jinja_of(JINJA_FLOAT);
    v.as.d = d;
    return v;
}

static inline jinja_value jinja_string(const char *s, size_t n) {
    jinja_value v = jinja_of(JINJA_STRING);
    v.as.s = s;
    v.n = n;
    return v;
}

static inline jinja_value jinja_words(const char *s) { return jinja_string(s, strlen(s)); }

static inline jinja_value jinja_undefined(const char *name) {
    jinja_value v = jinja_of(JINJA_UNDEFINED);
    v.as.s = name;
    return v;
}

/* A part of a string, which points into it. */
static inline jinja_value jinja_part(jinja_value of, size_t from, size_t to) {
    of.as.s += from;
    of.n = to - from;
    return of;
}

static inline int jinja_is(jinja_value v, const char *s) {
    return v.type == JINJA_STRING && v.n == strlen(s) && memcmp(v.as.s, s, v.n) == 0;
}

static inline int jinja_is_list(jinja_value v) {
    return v.type >= JINJA_LIST && v.type <= JINJA_ITERATOR;
}

/* An integer, or a bool, which is one in Python. */
static inline int jinja_is_whole(jinja_value v) {
    return v.type == JINJA_INT || v.type == JINJA_BOOL;
}

static inline int jinja_is_number(jinja_value v) {
    return jinja_is_whole(v) || v.type == JINJA_FLOAT;
}

static inline double jinja_real(jinja_value v) {
    return v.type == JINJA_FLOAT ? v.as.d : (double)v.as.i;
}

static inline jinja_value jinja_list_of(jinja_state *j, int type, jinja_value *items, size_t n) {
    jinja_value v = jinja_of(type);
    size_t i;
    jinja_spend(j, n / 4);
    v.as.list = (jinja_list *)jinja_new(j, sizeof *v.as.list);
    v.as.list->items = items;
    v.as.list->n = n;
    for (i = 0; i < n; i++) {
        int depth = jinja_is_list(items[i]) ? items[i].as.list->depth
                  : items[i].type == JINJA_DICT ? items[i].as.dict->depth : 0;
        if (depth >= v.as.list->depth) v.as.list->depth = depth + 1;
    }
    if (v.as.list->depth > JINJA_NESTS) jinja_refuse(j, "a list or dict nests too deep");
    return v;
}

static inline jinja_value *jinja_items_new(jinja_state *j, size_t n) {
    const size_t most = ((size_t)-1 >> 2) / sizeof(jinja_value);
    return (jinja_value *)jinja_take(j, (n < most ? n : most) * sizeof(jinja_value));
}

/* ---- text */

static inline void jinja_add(jinja_state *j, jinja_buffer *b, const char *s, size_t n) {
    jinja_spend(j, n / 32);
    if (n > j->limits.output - b->n)
        jinja_refuse(j, "the chat template writes more text than it may");
    if (n > b->room - b->n) {
        size_t room = 2 * b->room + n + 64;
        char *more = (char *)jinja_take(j, room);
        if (b->n) memcpy(more, b->s, b->n);
        b->s = more;
        b->room = room;
    }
    if (n) memcpy(b->s + b->n, s, n);
    b->n += n;
}

static inline void jinja_put(jinja_state *j, jinja_buffer *b, const char *s) {
    jinja_add(j, b, s, strlen(s));
}

static inline jinja_value jinja_built(jinja_buffer b) { return jinja_string(b.s ? b.s : "", b.n); }

/* Bytes of the code point at s; all text is UTF-8, for json.h and jinja_parse() see to it. */
static inline size_t jinja_bytes(const char *s) {
    unsigned char c = (unsigned char)*s;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static inline uint32_t jinja_code(const char *s) {
    uint32_t code = 0;
    json_utf8(s, jinja_bytes(s), &code);
    return code;
}

static inline size_t jinja_length(jinja_value v) {
    size_t i, n = 0;
    for (i = 0; i < v.n; i++) n += ((unsigned char)v.as.s[i] & 0xc0) != 0x80;
    return n;
}

/* Where code point k begins, in bytes. */
static inline size_t jinja_offset(jinja_value v, size_t k) {
    size_t i = 0;
    while (k-- && i < v.n) i += jinja_bytes(v.as.s + i);
    return i;
}

/* Python's str.isspace() of a code point, which re's \s is too. */
static inline int jinja_is_space(uint32_t c) {
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xa0 || c == 0x1680
           || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f
           || c == 0x205f || c == 0x3000;
}

/* Without the code points at its ends (which: 1 the left, 2 the right, 3 both) that are in chars,
 * or are space where that is NULL. */
static inline jinja_value jinja_strip(jinja_value v, int which, const jinja_value *chars) {
    for (;;) {
        size_t at = 0, n, i;
        int hit;
        if (!v.n) return v;
        if (!(which & 1)) {
            at = v.n - 1;
            while (at && ((unsigned char)v.as.s[at] & 0xc0) == 0x80) at--;
        }
        n = jinja_bytes(v.as.s + at);
        hit = !chars && jinja_is_space(jinja_code(v.as.s + at));
        for (i = 0; chars && i < chars->n && !hit; i += jinja_bytes(chars->as.s + i))
            hit = chars->n - i >= n && memcmp(chars->as.s + i, v.as.s + at, n) == 0;
        if (hit) v = which & 1 ? jinja_part(v, n, v.n) : jinja_part(v, 0, at);
        else if (which == 3) which = 2;
        else return v;
    }
}

/* Where `what` is in v from byte `from`, or v.n + 1; `last` the last such place. */
static inline size_t jinja_find(jinja_state *j, jinja_value v, jinja_value what, size_t from,
                                int last) {
    size_t i, found = v.n + 1;
    jinja_spend(j, (v.n - from) / 32);
    for (i = from; i + what.n <= v.n; i++) {
        if (what.n && v.as.s[i] != *what.as.s) continue;
        jinja_spend(j, what.n / 32);
        if (what.n && memcmp(v.as.s + i, what.as.s, what.n) != 0) continue;
        found = i;
        if (!last) break;
    }
    return found;
}

static inline jinja_value jinja_replace(jinja_state *j, jinja_value v, jinja_value old,
                                        jinja_value by, int64_t count) {
    jinja_buffer b = { NULL, 0, 0 };
    size_t at = 0, hit = 0, step;
    for (; count != 0 && hit <= v.n; count--) {
        hit = jinja_find(j, v, old, at, 0);
        if (hit > v.n) break;
        jinja_spend(j, 1);
        jinja_add(j, &b, v.as.s + at, hit - at);
        jinja_add(j, &b, by.as.s, by.n);
        step = old.n || hit == v.n ? 0 : jinja_bytes(v.as.s + hit);   /* "" is before each        */
        jinja_add(j, &b, v.as.s + hit, step);
        at = hit + old.n + step;
        if (!old.n && hit == v.n) return jinja_built(b);
    }
    jinja_add(j, &b, v.as.s + at, v.n - at);
    return jinja_built(b);
}

static inline jinja_value jinja_escaped(jinja_state *j, jinja_value v) {
    static const char specials[] = "&<>'\"";
    static const char *const by[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
    jinja_buffer b = { NULL, 0, 0 };
    size_t i;
    if (v.safe) return v;
    jinja_spend(j, v.n / 32);
    for (i = 0; i < v.n; i++) {
        const char *special = v.as.s[i] ? strchr(specials, v.as.s[i]) : NULL;
        if (special) jinja_put(j, &b, by[special - specials]);
        else jinja_add(j, &b, v.as.s + i, 1);
    }
    v = jinja_built(b);
    v.safe = 1;
    return v;
}

/* The other case of a code point, itself where it has none; 0: it is not known here. The scripts
 * that are in everyday use with case are: Latin, Greek but for its sigmas, Cyrillic, Armenian. */
static inline uint32_t jinja_other_case(uint32_t c, int upper) {
    static const struct { uint32_t first, last, step, up; } runs[] = {   /* of lower case; up: - */
        { 'a', 'z', 1, 32 }, { 0xe0, 0xf6, 1, 32 }, { 0xf8, 0xfe, 1, 32 }, { 0x101, 0x12f, 2, 1 },
        { 0x133, 0x137, 2, 1 }, { 0x13a, 0x148, 2, 1 }, { 0x14b, 0x177, 2, 1 },
        { 0x17a, 0x17e, 2, 1 }, { 0x3b1, 0x3c1, 1, 32 }, { 0x3c4, 0x3cb, 1, 32 },
        { 0x3ad, 0x3af, 1, 37 }, { 0x430, 0x44f, 1, 32 }, { 0x450, 0x45f, 1, 80 },
        { 0x461, 0x481, 2, 1 }, { 0x48b, 0x4bf, 2, 1 }, { 0x4c2, 0x4ce, 2, 1 },
        { 0x4d1, 0x52f, 2, 1 }, { 0x561, 0x586, 1, 48 }, { 0x1e01, 0x1e95, 2, 1 },
        { 0x1ea1, 0x1eff, 2, 1 } };
    static const uint32_t unknown[][2] = {
        { 0xb5, 0xb5 }, { 0xff, 0xff }, { 0x130, 0x131 }, { 0x149, 0x149 },
        { 0x178, 0x178 }, { 0x17f, 0x2af }, { 0x345, 0x345 }, { 0x370, 0x3ff }, { 0x4c0, 0x4c0 },
        { 0x4cf, 0x4cf }, { 0x587, 0x587 }, { 0x10a0, 0x10ff }, { 0x13a0, 0x13ff },
        { 0x1c80, 0x1cbf }, { 0x1d79, 0x1d8e }, { 0x1e96, 0x1e9f }, { 0x1f00, 0x1fff },
        { 0x2126, 0x2188 }, { 0x24b6, 0x24e9 }, { 0x2c00, 0x2d2d }, { 0xa640, 0xa69b },
        { 0xa722, 0xa7f6 }, { 0xab53, 0xabbf }, { 0xfb00, 0xfb17 }, { 0xff21, 0xff5a },
        { 0x10400, 0x105bc }, { 0x10c80, 0x10d85 }, { 0x118a0, 0x118df }, { 0x16e40, 0x16e7f },
        { 0x1e900, 0x1e943 } };
    size_t i;
    if (c == 0xdf) return upper ? 0 : c;            /* "SS"                                      */
    for (i = 0; i < sizeof runs / sizeof *runs; i++) {
        uint32_t x = upper ? c : c + runs[i].up;
        if (x >= runs[i].first && x <= runs[i].last && (x - runs[i].first) % runs[i].step == 0)
            return upper ? c - runs[i].up : x;
        x = upper ? c + runs[i].up : c;
        if (x >= runs[i].first && x <= runs[i].last && (x - runs[i].first) % runs[i].step == 0)
            return c;
    }
    for (i = 0; i < sizeof unknown / sizeof *unknown; i++)
        if (c >= unknown[i][0] && c <= unknown[i][1]) return 0;
    return c;
}

enum { JINJA_LOWER, JINJA_UPPER, JINJA_CAPITALIZE, JINJA_TITLE, JINJA_TITLE_FILTER };

/* lower(), upper(), capitalize(), title() and the filter title, which counts other word ends. */
static inline jinja_value jinja_cased(jinja_state *j, jinja_value v, int how) {
    jinja_buffer b = { NULL, 0, 0 };
    int first = how != JINJA_LOWER;
    size_t i;
    char code[4];
    jinja_spend(j, v.n / 8);
    for (i = 0; i < v.n; i += jinja_bytes(v.as.s + i)) {
        uint32_t c = jinja_code(v.as.s + i), to = jinja_other_case(c, first);
        if (!to) jinja_refuse(j, "upper and lower case of U+%04lX are not known here",
                              (unsigned long)c);
        jinja_add(j, &b, code, (size_t)json_put_utf8(code, to));
        if (how == JINJA_CAPITALIZE) first = 0;
        if (how == JINJA_TITLE) {
            first = jinja_other_case(c, 0) == c && jinja_other_case(c, 1) == c;
            if (first && c >= 0x80)
                jinja_refuse(j, "title() knows no word ends around U+%04lX", (unsigned long)c);
        }
        if (how == JINJA_TITLE_FILTER)
            first = (c < 0x80 && c && strchr("-({[<", (int)c)) || jinja_is_space(c);
    }
    i = v.safe;
    v = jinja_built(b);
    v.safe = (unsigned char)i;
    return v;
}

/* ---- values as text */

/* As repr() writes it: the fewest digits that mean the same number. */
static inline void jinja_put_float(jinja_state *j, jinja_buffer *b, double d, int as_json) {
    char digits[40], text[64];
    int precision = 1, exponent;
    if (d != d || d > 1.7976931348623157e308 || d < -1.7976931348623157e308) {
        jinja_put(j, b, d != d ? (as_json ? "NaN" : "nan") : d > 0 ? (as_json ? "Infinity" : "inf")
                  : as_json ? "-Infinity" : "-inf");
        return;
    }
    do snprintf(digits, sizeof digits, "%.*e", precision - 1, d);
    while (strtod(digits, NULL) != d && ++precision <= 17);
    exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent < -4 || exponent >= 16) {
        jinja_put(j, b, digits);
        return;
    }
    snprintf(text, sizeof text, "%.*f", precision - 1 - exponent > 0 ? precision - 1 - exponent : 1,
             d);
    jinja_put(j, b, text);
}

static inline void jinja_put_int(jinja_state *j, jinja_buffer *b, int64_t i) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)i);
    jinja_put(j, b, text);
}

/* Does Python's repr() write it as an escape? (Code points without a meaning yet are taken to be
 * printable.) */
static inline int jinja_is_unprintable(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad || (c >= 0x600 && c <= 0x605)
           || c == 0x61c || c == 0x6dd || c == 0x70f || c == 0x1680 || c == 0x180e
           || (c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f)
           || (c >= 0x205f && c <= 0x206f) || c == 0x3000 || (c >= 0xe000 && c <= 0xf8ff)
           || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) || c >= 0xe0000;
}

static inline void jinja_put_quoted(jinja_state *j, jinja_buffer *b, jinja_value v) {
    static const char names[] = "\n\r\t\\";
    static const char *const formats[] = { "\\x%02lx", "\\u%04lx", "\\U%08lx" };
    char quote = memchr(v.as.s, '\'', v.n) && !memchr(v.as.s, '"', v.n) ? '"' : '\'', text[16];
    size_t i, n;
    jinja_spend(j, v.n / 32);
    jinja_add(j, b, &quote, 1);
    for (i = 0; i < v.n; i += n) {
        uint32_t c = jinja_code(v.as.s + i);
        const char *name = c && c < 0x80 ? strchr(names, (int)c) : NULL;
        n = jinja_bytes(v.as.s + i);
        if (name || c == (uint32_t)quote) {
            text[0] = '\\';
            text[1] = name ? "nrt\\"[name - names] : quote;
            jinja_add(j, b, text, 2);
        } else if (jinja_is_unprintable(c)) {
            snprintf(text, sizeof text, formats[(c > 0xff) + (c > 0xffff)], (unsigned long)c);
            jinja_put(j, b, text);
        } else jinja_add(j, b, v.as.s + i, n);
    }
    jinja_add(j, b, &quote, 1);
}

/* str(v), or repr(v) as inside of a list. */
static inline void jinja_put_value(jinja_state *j, jinja_buffer *b, jinja_value v, int quoted) {
    const char *open = "", *close = "";
    size_t i;
    jinja_spend(j, 1);
    switch (v.type) {
    case JINJA_UNDEFINED: if (quoted) jinja_put(j, b, "Undefined"); return;
    case JINJA_NONE: jinja_put(j, b, "None"); return;
    case JINJA_BOOL: jinja_put(j, b, v.as.i ? "True" : "False"); return;
    case JINJA_INT: jinja_put_int(j, b, v.as.i); return;
    case JINJA_FLOAT: jinja_put_float(j, b, v.as.d, 0); return;
    case JINJA_STRING:
        if (quoted && v.safe) jinja_put(j, b, "Markup(");
        if (quoted) jinja_put_quoted(j, b, v);
        else jinja_add(j, b, v.as.s, v.n);
        if (quoted && v.safe) jinja_put(j, b, ")");
        return;
    case JINJA_DICT:
        jinja_put(j, b, "{");
        for (i = 0; i < v.as.dict->n; i++) {
            if (i) jinja_put(j, b, ", ");
            jinja_put_value(j, b, v.as.dict->keys[i], 1);
            jinja_put(j, b, ": ");
            jinja_put_value(j, b, v.as.dict->values[i], 1);
        }
        jinja_put(j, b, "}");
        return;
    case JINJA_RANGE: jinja_put(j, b, v.as.list->name); return;
    case JINJA_LIST: open = "["; close = "]"; break;
    case JINJA_TUPLE: open = "("; close = v.as.list->n == 1 ? ",)" : ")"; break;
    case JINJA_VIEW: jinja_put(j, b, v.as.list->name); open = "(["; close = "])"; break;
    default: jinja_refuse(j, "a %s cannot be written as text", jinja_types[v.type]);
    }
    jinja_put(j, b, open);
    for (i = 0; i < v.as.list->n; i++) {
        if (i) jinja_put(j, b, ", ");
        jinja_put_value(j, b, v.as.list->items[i], 1);
    }
    jinja_put(j, b, close);
}

static inline jinja_value jinja_str(jinja_state *j, jinja_value v) {
    jinja_buffer b = { NULL, 0, 0 };
    if (v.type == JINJA_STRING) return v;
    jinja_put_value(j, &b, v, 0);
    return jinja_built(b);
}

typedef struct jinja_json {         /* how json.dumps() is to write                              */
    int ascii, sort;
    jinja_value indent, comma, colon;           /* indent: a string, or NONE                     */
} jinja_json;

static inline void jinja_put_json_string(jinja_state *j, jinja_buffer *b, jinja_value v,
                                         int ascii) {
    size_t i, n, from = 0;
    char text[16];
    jinja_put(j, b, "\"");
    for (i = 0; i < v.n; i += n) {
        uint32_t c = jinja_code(v.as.s + i);
        const char *names = "\"\\\n\r\t\f\b", *name = c && c < 0x80 ? strchr(names, (int)c) : NULL;
        n = jinja_bytes(v.as.s + i);
        if (!name && c >= 0x20 && (c < 0x7f || !ascii)) continue;
        if (!name && c == 0x7f) continue;
        jinja_add(j, b, v.as.s + from, i - from);
        from = i + n;
        if (name) snprintf(text, sizeof text, "\\%c", "\"\\nrtfb"[name - names]);
        else if (c < 0x10000) snprintf(text, sizeof text, "\\u%04lx", (unsigned long)c);
        else snprintf(text, sizeof text, "\\u%04lx\\u%04lx",
                      (unsigned long)(0xd800 + ((c - 0x10000) >> 10)),
                      (unsigned long)(0xdc00 + ((c - 0x10000) & 0x3ff)));
        jinja_put(j, b, text);
    }
    jinja_add(j, b, v.as.s + from, v.n - from);
    jinja_put(j, b, "\"");
}

static inline int jinja_order(jinja_state *j, jinja_value a, jinja_value b);

static inline void jinja_break_line(jinja_state *j, jinja_buffer *b, const jinja_json *how,
                                    int level) {
    if (how->indent.type != JINJA_STRING) return;
    jinja_put(j, b, "\n");
    while (level--) jinja_add(j, b, how->indent.as.s, how->indent.n);
}

static inline void jinja_put_json(jinja_state *j, jinja_buffer *b, jinja_value v,
                                  const jinja_json *how, int level) {
    int dict = v.type == JINJA_DICT;
    size_t i, n, k, *order = NULL;
    jinja_spend(j, 1);
    if (v.type == JINJA_STRING) { jinja_put_json_string(j, b, v, how->ascii); return; }
    if (v.type == JINJA_FLOAT) { jinja_put_float(j, b, v.as.d, 1); return; }
    if (v.type == JINJA_INT) { jinja_put_int(j, b, v.as.i); return; }
    if (v.type == JINJA_BOOL) { jinja_put(j, b, v.as.i ? "true" : "false"); return; }
    if (v.type == JINJA_NONE) { jinja_put(j, b, "null"); return; }
    if (!dict && v.type != JINJA_LIST && v.type != JINJA_TUPLE)
        jinja_refuse(j, "a value of type %s cannot be made JSON", jinja_types[v.type]);
    n = dict ? v.as.dict->n : v.as.list->n;
    jinja_put(j, b, dict ? "{" : "[");
    if (dict && how->sort) {
        order = (size_t *)jinja_new(j, (n + 1) * sizeof *order);
        for (i = 0; i < n; i++) {
            for (k = i; k && jinja_order(j, v.as.dict->keys[order[k - 1]],
                                         v.as.dict->keys[i]) > 0; k--) order[k] = order[k - 1];
            order[k] = i;
        }
    }
    for (i = 0; i < n; i++) {
        if (i) jinja_add(j, b, how->comma.as.s, how->comma.n);
        jinja_break_line(j, b, how, level + 1);
        if (dict) {
            jinja_buffer name = { NULL, 0, 0 };
            k = order ? order[i] : i;
            if (v.as.dict->keys[k].type == JINJA_STRING)
                jinja_put_json_string(j, b, v.as.dict->keys[k], how->ascii);
            else {
                jinja_put_json(j, &name, v.as.dict->keys[k], how, 0);
                jinja_put_json_string(j, b, jinja_built(name), how->ascii);
            }
            jinja_add(j, b, how->colon.as.s, how->colon.n);
            jinja_put_json(j, b, v.as.dict->values[k], how, level + 1);
        } else jinja_put_json(j, b, v.as.list->items[i], how, level + 1);
    }
    if (n) jinja_break_line(j, b, how, level);
    jinja_put(j, b, dict ? "}" : "]");
}

/* ---- what Python makes of values */

static inline int jinja_truth(jinja_value v) {
    switch (v.type) {
    case JINJA_MISSING: case JINJA_UNDEFINED: case JINJA_NONE: return 0;
    case JINJA_BOOL: case JINJA_INT: return v.as.i != 0;
    case JINJA_FLOAT: return v.as.d < 0 || v.as.d > 0 || v.as.d != v.as.d;
    case JINJA_STRING: return v.n > 0;
    case JINJA_LIST: case JINJA_TUPLE: case JINJA_VIEW: case JINJA_RANGE: return v.as.list->n > 0;
    case JINJA_DICT: return v.as.dict->n > 0;
    default: return 1;
    }
}

static inline jinja_value jinja_dict_get(jinja_state *j, const jinja_dict *d, jinja_value key);

static inline int jinja_equal(jinja_state *j, jinja_value a, jinja_value b) {
    size_t i;
    jinja_spend(j, 1);
    if (jinja_is_whole(a) && jinja_is_whole(b)) return a.as.i == b.as.i;
    if (jinja_is_number(a) && jinja_is_number(b))
        return !(jinja_real(a) < jinja_real(b)) && !(jinja_real(a) > jinja_real(b))
               && jinja_real(a) - jinja_real(a) <= 0 && jinja_real(b) - jinja_real(b) <= 0;
    if (a.type != b.type) return 0;
    switch (a.type) {
    case JINJA_UNDEFINED: case JINJA_NONE: return 1;
    case JINJA_STRING:
        if (a.n == b.n) jinja_spend(j, a.n / 32);
        return a.n == b.n && memcmp(a.as.s, b.as.s, a.n) == 0;
    case JINJA_LIST: case JINJA_TUPLE: case JINJA_RANGE:
        if (a.as.list->n != b.as.list->n) return 0;
        for (i = 0; i < a.as.list->n; i++)
            if (!jinja_equal(j, a.as.list->items[i], b.as.list->items[i])) return 0;
        return 1;
    case JINJA_DICT:
        if (a.as.dict->n != b.as.dict->n) return 0;
        for (i = 0; i < a.as.dict->n; i++) {
            jinja_value other = jinja_dict_get(j, b.as.dict, a.as.dict->keys[i]);
            if (!other.type || !jinja_equal(j, a.as.dict->values[i], other)) return 0;
        }
        return 1;
    default: return a.as.list == b.as.list;
    }
}

/* -1, 0 or 1; 2 where a float is no number. */
static inline int jinja_order(jinja_state *j, jinja_value a, jinja_value b) {
    size_t i, n;
    int order;
    jinja_spend(j, 1);
    if (jinja_is_whole(a) && jinja_is_whole(b)) return (a.as.i > b.as.i) - (a.as.i < b.as.i);
    if (jinja_is_number(a) && jinja_is_number(b)) {
        double x = jinja_real(a), y = jinja_real(b);
        return x < y ? -1 : x > y ? 1 : x != x || y != y ? 2 : 0;
    }
    if (a.type == JINJA_STRING && b.type == JINJA_STRING) {
        n = a.n < b.n ? a.n : b.n;
        jinja_spend(j, n / 32);
        order = n ? memcmp(a.as.s, b.as.s, n) : 0;
        return order ? (order > 0) - (order < 0) : (a.n > b.n) - (a.n < b.n);
    }
    if (a.type != b.type || (a.type != JINJA_LIST && a.type != JINJA_TUPLE))
        jinja_refuse(j, "%s and %s have no order", jinja_types[a.type], jinja_types[b.type]);
    for (i = 0; i < a.as.list->n && i < b.as.list->n; i++)
        if (!jinja_equal(j, a.as.list->items[i], b.as.list->items[i]))
            return jinja_order(j, a.as.list->items[i], b.as.list->items[i]);
    return (a.as.list->n > b.as.list->n) - (a.as.list->n < b.as.list->n);
}

/* The value of a key, MISSING if it is not there. */
static inline jinja_value jinja_dict_get(jinja_state *j, const jinja_dict *d, jinja_value key) {
    size_t i;
    for (i = 0; i < d->n; i++)
        if (jinja_equal(j, d->keys[i], key)) return d->values[i];
    return jinja_of(JINJA_MISSING);
}

static inline void jinja_dict_set(jinja_state *j, jinja_dict *d, jinja_value key,
                                  jinja_value value) {
    int depth = jinja_is_list(value) ? value.as.list->depth
              : value.type == JINJA_DICT ? value.as.dict->depth : 0;
    size_t i;
    if (depth >= d->depth) d->depth = depth + 1;
    if (d->depth > JINJA_NESTS) jinja_refuse(j, "a list or dict nests too deep");
    for (i = 0; i < d->n; i++)
        if (jinja_equal(j, d->keys[i], key)) { d->values[i] = value; return; }
    if (d->n == d->room) {
        jinja_value *more = jinja_items_new(j, 4 * (d->room + 4));
        d->room = 2 * (d->room + 4);
        if (d->n) memcpy(more, d->keys, d->n * sizeof *more);
        if (d->n) memcpy(more + d->room, d->values, d->n * sizeof *more);
        d->keys = more;
        d->values = more + d->room;
    }
    d->keys[d->n] = key;
    d->values[d->n++] = value;
}

static inline jinja_value jinja_dict_new(jinja_state *j, int type) {
    jinja_value v = jinja_of(type);
    v.as.dict = (jinja_dict *)jinja_new(j, sizeof *v.as.dict);
    v.as.dict->depth = 1;
    return v;
}

/* May it be a dict's key? */
static inline void jinja_need_key(jinja_state *j, jinja_value v) {
    if (v.type < JINJA_NONE || v.type > JINJA_STRING)
        jinja_refuse(j, "a value of type %s cannot be the key of a dict", jinja_types[v.type]);
}

/* May it be looked for among the keys of a dict? */
static inline void jinja_need_hash(jinja_state *j, jinja_value v) {
    if (v.type == JINJA_LIST || v.type == JINJA_DICT || v.type == JINJA_VIEW) jinja_need_key(j, v);
}

/* What a for or a filter goes through. An iterator is used up by that. */
static inline jinja_list *jinja_each(jinja_state *j, jinja_value v) {
    jinja_list *list = (jinja_list *)jinja_new(j, sizeof *list);
    size_t i;
    if (jinja_is_list(v)) {
        list->items = v.as.list->items + v.as.list->used;
        list->n = v.as.list->n - v.as.list->used;
        if (v.type == JINJA_ITERATOR) v.as.list->used = v.as.list->n;
    } else if (v.type == JINJA_DICT) {
        list->items = v.as.dict->keys;
        list->n = v.as.dict->n;
    } else if (v.type == JINJA_STRING) {
        v.safe = 0;
        list->items = jinja_items_new(j, v.n);
        jinja_spend(j, v.n);
        for (i = 0; i < v.n; i += jinja_bytes(v.as.s + i))
            list->items[list->n++] = jinja_part(v, i, i + jinja_bytes(v.as.s + i));
    } else if (v.type != JINJA_UNDEFINED)
        jinja_refuse(j, "a value of type %s cannot be gone through", jinja_types[v.type]);
    return list;
}

/* len(v); refused where it has none. */
static inline size_t jinja_len(jinja_state *j, jinja_value v) {
    if (v.type == JINJA_UNDEFINED) return 0;
    if (v.type == JINJA_STRING) {
        jinja_spend(j, v.n / 32);
        return jinja_length(v);
    }
    if (v.type == JINJA_DICT) return v.as.dict->n;
    if (v.type == JINJA_LOOP) return v.as.loop->items->n;
    if (!jinja_is_list(v) || v.type == JINJA_ITERATOR)
        jinja_refuse(j, "a value of type %s has no length", jinja_types[v.type]);
    return v.as.list->n;
}

/* `a in b` */
static inline int jinja_in(jinja_state *j, jinja_value a, jinja_value b) {
    jinja_list *list;
    size_t i;
    if (b.type == JINJA_STRING) {
        if (a.type != JINJA_STRING)
            jinja_refuse(j, "a %s cannot be in a string", jinja_types[a.type]);
        return jinja_find(j, b, a, 0, 0) <= b.n;
    }
    if (b.type == JINJA_DICT) {
        jinja_need_hash(j, a);
        return jinja_dict_get(j, b.as.dict, a).type != JINJA_MISSING;
    }
    list = jinja_each(j, b);
    for (i = 0; i < list->n; i++) if (jinja_equal(j, list->items[i], a)) return 1;
    return 0;
}

/* ---- what can be called by name. kinds: f filter, t test, g global function, and the methods of s
 * strings, d dicts, l lists and tuples. parameters: as Python names them; "*": any. */
enum { JINJA_UNSUPPORTED, JINJA_ABS, JINJA_BOOLEAN, JINJA_CALLABLE, JINJA_CASE_CAPITALIZE,
       JINJA_CASE_LOWER, JINJA_CASE_TITLE, JINJA_CASE_UPPER, JINJA_COUNT,
       JINJA_DEFAULT, JINJA_DEFINED, JINJA_DICT_OF, JINJA_DICTSORT, JINJA_DIVISIBLE,
       JINJA_ENDSWITH, JINJA_ESCAPE, JINJA_FIND, JINJA_FIRST, JINJA_FORMAT, JINJA_INDENT,
       JINJA_INDEX, JINJA_IN, JINJA_IS_EQ, JINJA_IS_FALSE, JINJA_IS_FLOAT, JINJA_IS_GE, JINJA_IS_GT,
       JINJA_IS_INT, JINJA_IS_LE, JINJA_IS_LT, JINJA_IS_NE, JINJA_IS_NONE,
       JINJA_IS_NUMBER, JINJA_IS_STRING, JINJA_IS_TRUE, 
       JINJA_ITEMS, JINJA_ITERABLE, JINJA_JOIN,
       JINJA_JOIN_METHOD, JINJA_KEYS, JINJA_LAST, JINJA_LEN, JINJA_LIST_OF, JINJA_MAP,
       JINJA_MAPPING, JINJA_MAX, JINJA_MIN, JINJA_NAMESPACE_OF, JINJA_ODD, 
       JINJA_PERCENT, JINJA_RAISE, JINJA_RANGE_OF, JINJA_REJECT, JINJA_REJECTATTR, JINJA_REMOVE,
       JINJA_REPLACE, JINJA_REVERSE, JINJA_ROUND, JINJA_SAFE, JINJA_SELECT, JINJA_SELECTATTR,
       JINJA_SEQUENCE, JINJA_SORT, JINJA_SPLIT, JINJA_SPLITLINES, JINJA_STARTSWITH, JINJA_STR_OF,
       JINJA_STRFTIME, JINJA_STRIP, JINJA_SUM, JINJA_TITLE_OF, JINJA_TO_FLOAT, JINJA_TO_INT,
       JINJA_TOJSON, JINJA_UNIQUE, JINJA_DICT_GET, JINJA_VALUES };

typedef struct jinja_entry {
    const char *kinds, *names;      /* of one meaning, with blanks between and after             */
    int what, option, least;        /* least: how many arguments must be given                   */
    const char *parameters;
} jinja_entry;

static const jinja_entry jinja_entries[] = {
    { "f", "abs ", JINJA_ABS, 0, 0, "" },
    { "fs", "capitalize ", JINJA_CASE_CAPITALIZE, 0, 0, "" },
    { "fs", "lower ", JINJA_CASE_LOWER, 0, 0, "" },
    { "fs", "upper ", JINJA_CASE_UPPER, 0, 0, "" },
    { "f", "title ", JINJA_TITLE_OF, 0, 0, "" },
    { "f", "length count ", JINJA_LEN, 0, 0, "" },
    { "f", "default d ", JINJA_DEFAULT, 0, 0, "default_value boolean" },
    { "f", "dictsort ", JINJA_DICTSORT, 0, 0, "case_sensitive by reverse" },
    { "f", "escape e ", JINJA_ESCAPE, 0, 0, "" },
    { "f", "first ", JINJA_FIRST, 0, 0, "" },
    { "f", "last ", JINJA_LAST, 0, 0, "" },
    { "f", "float ", JINJA_TO_FLOAT, 0, 0, "default" },
    { "f", "int ", JINJA_TO_INT, 0, 0, "default base" },
    { "f", "format ", JINJA_PERCENT, 0, 0, "*" },
    { "f", "indent ", JINJA_INDENT, 0, 0, "width first blank" },
    { "f", "items ", JINJA_ITEMS, 1, 0, "" },
    { "f", "join ", JINJA_JOIN, 0, 0, "d attribute" },
    { "f", "list ", JINJA_LIST_OF, 0, 0, "" },
    { "f", "map ", JINJA_MAP, 0, 0, "*" },
    { "f", "max ", JINJA_MAX, 0, 0, "case_sensitive attribute" },
    { "f", "min ", JINJA_MIN, 0, 0, "case_sensitive attribute" },
    { "f", "select ", JINJA_SELECT, 0, 0, "*" },
    { "f", "reject ", JINJA_REJECT, 0, 0, "*" },
    { "f", "selectattr ", JINJA_SELECTATTR, 0, 0, "*" },
    { "f", "rejectattr ", JINJA_REJECTATTR, 0, 0, "*" },
    { "f", "replace ", JINJA_REPLACE, 1, 2, "old new count" },
    { "f", "reverse ", JINJA_REVERSE, 0, 0, "" },
    { "f", "round ", JINJA_ROUND, 0, 0, "precision method" },
    { "f", "safe ", JINJA_SAFE, 0, 0, "" },
    { "f", "sort ", JINJA_SORT, 0, 0, "reverse case_sensitive attribute" },
    { "f", "string ", JINJA_STR_OF, 0, 0, "" },
    { "f", "sum ", JINJA_SUM, 0, 0, "attribute start" },
    { "f", "tojson ", JINJA_TOJSON, 0, 0, "ensure_ascii indent separators sort_keys" },
    { "f", "trim ", JINJA_STRIP, 3, 0, "chars" },
    { "f", "unique ", JINJA_UNIQUE, 0, 0, "case_sensitive attribute" },
    { "t", "boolean ", JINJA_BOOLEAN, 0, 0, "" },
    { "t", "callable ", JINJA_CALLABLE, 0, 0, "" },
    { "t", "defined ", JINJA_DEFINED, 1, 0, "" },
    { "t", "undefined ", JINJA_DEFINED, 0, 0, "" },
    { "t", "divisibleby ", JINJA_DIVISIBLE, 0, 1, "num" },
    { "t", "even ", JINJA_ODD, 0, 0, "" },
    { "t", "odd ", JINJA_ODD, 1, 0, "" },
    { "t", "eq equalto == ", JINJA_IS_EQ, 0, 1, "b" },
    { "t", "ne != ", JINJA_IS_NE, 0, 1, "b" },
    { "t", "lt lessthan < ", JINJA_IS_LT, 0, 1, "b" },
    { "t", "le <= ", JINJA_IS_LE, 0, 1, "b" },
    { "t", "gt greaterthan > ", JINJA_IS_GT, 0, 1, "b" },
    { "t", "ge >= ", JINJA_IS_GE, 0, 1, "b" },
    { "t", "in ", JINJA_IN, 0, 1, "seq" },
    { "t", "false ", JINJA_IS_FALSE, 0, 0, "" },
    { "t", "true ", JINJA_IS_TRUE, 0, 0, "" },
    { "t", "float ", JINJA_IS_FLOAT, 0, 0, "" },
    { "t", "integer ", JINJA_IS_INT, 0, 0, "" },
    { "t", "number ", JINJA_IS_NUMBER, 0, 0, "" },
    { "t", "iterable ", JINJA_ITERABLE, 0, 0, "" },
    { "t", "mapping ", JINJA_MAPPING, 0, 0, "" },
    { "t", "none ", JINJA_IS_NONE, 0, 0, "" },
    { "t", "sequence ", JINJA_SEQUENCE, 0, 0, "" },
    { "t", "string ", JINJA_IS_STRING, 0, 0, "" },
    { "s", "title ", JINJA_CASE_TITLE, 0, 0, "" },
    { "s", "strip ", JINJA_STRIP, 3, 0, "chars" },
    { "s", "lstrip ", JINJA_STRIP, 1, 0, "chars" },
    { "s", "rstrip ", JINJA_STRIP, 2, 0, "chars" },
    { "s", "split ", JINJA_SPLIT, 0, 0, "sep maxsplit" },
    { "s", "rsplit ", JINJA_SPLIT, 1, 0, "sep maxsplit" },
    { "s", "splitlines ", JINJA_SPLITLINES, 0, 0, "keepends" },
    { "s", "startswith ", JINJA_STARTSWITH, 0, 1, "prefix start end" },
    { "s", "endswith ", JINJA_ENDSWITH, 0, 1, "suffix start end" },
    { "s", "find ", JINJA_FIND, 0, 1, "sub start end" },
    { "s", "rfind ", JINJA_FIND, 1, 1, "sub start end" },
    { "s", "index ", JINJA_FIND, 2, 1, "sub start end" },
    { "s", "rindex ", JINJA_FIND, 3, 1, "sub start end" },
    { "s", "count ", JINJA_COUNT, 0, 1, "sub start end" },
    { "s", "replace ", JINJA_REPLACE, 0, 2, "old new count" },
    { "s", "join ", JINJA_JOIN_METHOD, 0, 1, "iterable" },
    { "s", "removeprefix ", JINJA_REMOVE, 0, 1, "prefix" },
    { "s", "removesuffix ", JINJA_REMOVE, 1, 1, "suffix" },
    { "s", "format ", JINJA_FORMAT, 0, 0, "*" },
    { "d", "get ", JINJA_DICT_GET, 0, 1, "key default" },
    { "d", "items ", JINJA_ITEMS, 0, 0, "" },
    { "d", "keys ", JINJA_KEYS, 0, 0, "" },
    { "d", "values ", JINJA_VALUES, 0, 0, "" },
    { "l", "index ", JINJA_INDEX, 1, 1, "value" },
    { "l", "count ", JINJA_INDEX, 0, 1, "value" },
    { "g", "dict ", JINJA_DICT_OF, 0, 0, "*" },
    { "g", "namespace ", JINJA_NAMESPACE_OF, 0, 0, "*" },
    { "g", "raise_exception ", JINJA_RAISE, 0, 1, "message" },
    { "g", "range ", JINJA_RANGE_OF, 0, 1, "start stop step" },
    { "g", "strftime_now ", JINJA_STRFTIME, 0, 1, "format" },
    { "f", "attr batch center filesizeformat forceescape groupby pprint random slice striptags "
           "truncate urlencode urlize wordcount wordwrap xmlattr ", JINJA_UNSUPPORTED, 0, 0, "" },
    { "t", "escaped filter lower sameas test upper ", JINJA_UNSUPPORTED, 0, 0, "" },
    { "s", "casefold center encode expandtabs format_map isalnum isalpha isascii isdecimal isdigit "
           "isidentifier islower isnumeric isprintable isspace istitle isupper ljust maketrans "
           "partition rjust rpartition swapcase translate zfill ", JINJA_UNSUPPORTED, 0, 0, "" },
    { "d", "clear copy fromkeys pop popitem setdefault update ", JINJA_UNSUPPORTED, 0, 0, "" },
    { "l", "append clear copy extend insert pop remove reverse sort ", JINJA_UNSUPPORTED, 0, 0,
      "" },
};

/* The entry of a name among those of a kind, -1: there is none. */
static inline int jinja_entry_find(char kind, jinja_value name) {
    int i, count = (int)(sizeof jinja_entries / sizeof *jinja_entries);
    for (i = 0; i < count; i++) {
        const char *at = jinja_entries[i].names;
        for (; strchr(jinja_entries[i].kinds, kind) && *at; at = strchr(at, ' ') + 1)
            if (strcspn(at, " ") == name.n && !memcmp(at, name.as.s, name.n)) return i;
    }
    return -1;
}

/* ---- parsing: text -> nodes. Their parts, and `value`:
 *
 *   CONST value   NAME value   LIST, TUPLE, DICT (keys and values by turns): [0] items
 *   GET a.value: [0] a   ITEM a[b]: [0] a, [1] b   SLICE a[b:c:d]: [0] a, [1] to [3] or NULL
 *   CALL: [0] what, [1] arguments (each ARG: value its name or nothing, [0])
 *   FILTER, TEST: [0] of what, [1] arguments; op: which of jinja_entries, -1: unknown; value: name
 *   NOT, NEG, POS, AND, OR, BINARY op, COMPARE ([0], then OPERANDs op: [0])
 *   CHOICE: [0] if [1] else [2]   CAPTURE: the text of the statements [0]   MACRO: [0] parameters
 *   (NAMEs, [0] the default), [1] body
 *   PRINT [0]   SET [0] = [1]   IF: clauses, each [0] test or NULL, [1] body
 *   FOR: [0] target, [1] of what, [2] test or NULL, [3] body, [4] otherwise   BREAK, CONTINUE
 *   a target: NAME, TUPLE of targets, GET of a NAME */
enum { JINJA_CONST, JINJA_NAME, JINJA_MAKE_LIST, JINJA_MAKE_TUPLE, JINJA_MAKE_DICT, JINJA_GET,
       JINJA_ITEM, JINJA_SLICE, JINJA_CALL, JINJA_ARG, JINJA_FILTER, JINJA_TEST, JINJA_NOT,
       JINJA_NEG, JINJA_POS, JINJA_AND, JINJA_OR, JINJA_BINARY, JINJA_COMPARE, JINJA_OPERAND,
       JINJA_CHOICE, JINJA_CAPTURE, JINJA_MAKE_MACRO, JINJA_PRINT, JINJA_SET, JINJA_IF, JINJA_FOR,
       JINJA_BREAK, JINJA_CONTINUE };

/* Operators of two characters are one here. */
enum { JINJA_END = 1, JINJA_WORD, JINJA_STR, JINJA_NUM, JINJA_EQ, JINJA_NE, JINJA_LE, JINJA_GE,
       JINJA_POW, JINJA_FLOOR, JINJA_IS_IN, JINJA_NOT_IN };

typedef struct jinja_parser {
    jinja_state *j;
    const char *at, *end;           /* what is not read yet                                      */
    int type;                       /* of the token last read: one of these, or a character      */
    const char *from;               /* where it begins                                           */
    jinja_value token;
    char closes;                    /* what ends this tag: '%' or '}'                            */
    int brackets;                   /* open in this tag                                          */
    const jinja_node *unknown;      /* the first filter or test unknown outside of any branch    */
    jinja_dict *names;
} jinja_parser;

static inline jinja_state *jinja_here(jinja_parser *p, const char *at) {
    p->j->at = at;
    return p->j;
}

static inline void jinja_no(jinja_parser *p, const char *what) {
    jinja_refuse(jinja_here(p, p->from), "%s", what);
}

/* Deeper by one for as long as something is read; the caller takes it back. */
static inline void jinja_deeper(jinja_parser *p) {
    if (++p->j->depth > JINJA_NESTS) jinja_no(p, "the chat template nests too deep");
}

static inline jinja_node *jinja_node_new(jinja_parser *p, int kind, const char *at, jinja_node *a,
                                         jinja_node *b) {
    jinja_node *n = (jinja_node *)jinja_new(p->j, sizeof *n);
    n->kind = kind;
    n->at = at;
    n->part[0] = a;
    n->part[1] = b;
    return n;
}

/* Names are equal where their pointers are. */
static inline jinja_value jinja_name(jinja_parser *p, jinja_value name) {
    size_t i;
    jinja_spend(p->j, p->names->n / 8);
    for (i = 0; i < p->names->n; i++)
        if (p->names->keys[i].n == name.n && !memcmp(p->names->keys[i].as.s, name.as.s, name.n))
            return p->names->keys[i];
    {
        char *copy = (char *)jinja_new(p->j, name.n + 1);
        memcpy(copy, name.as.s, name.n);
        name.as.s = copy;
    }
    jinja_dict_set(p->j, p->names, name, name);
    return name;
}

static inline const char *jinja_skip_space(const char *at, const char *end) {
    while (at < end && jinja_is_space(jinja_code(at))) at += jinja_bytes(at);
    return at;
}

/* The end of a tag, which has a '-' or '+' in front or not, at `at`; NULL: it is none. */
static inline const char *jinja_tag_end(const char *at, const char *end, char closes) {
    char sign = *at == '-' || (*at == '+' && closes != '}') ? *at : 0;
    at += sign != 0;
    if (end - at < 2 || at[0] != closes || at[1] != '}') return NULL;
    at += 2;
    if (sign == '-') return jinja_skip_space(at, end);
    return at + (!sign && closes != '}' && at < end && *at == '\n');
}

static inline int jinja_is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static inline int jinja_is_digit(char c) { return c >= '0' && c <= '9'; }

static inline void jinja_number_token(jinja_parser *p) {
    char digits[64];
    const char *from = p->at, *end = p->end;
    int real = 0, after_dot = p->at > p->j->text && p->at[-1] == '.';
    size_t n = 0;
    for (; p->at < end; p->at++) {
        char c = *p->at;
        int more = end - p->at > 1 && jinja_is_digit(p->at[1]);
        if (c == '_' && more) continue;
        if (c == '.' && !real && more && !after_dot) real = 1;
        else if ((c == 'e' || c == 'E') && real < 2 && !after_dot
                 && (more || (end - p->at > 2 && strchr("+-", p->at[1])
                              && jinja_is_digit(p->at[2])))) {
            real = 2;
            digits[n++] = c;
            c = *++p->at;
        } else if (!jinja_is_digit(c)) break;
        if (n + 3 > sizeof digits) jinja_no(p, "a number with so many digits is not understood");
        digits[n++] = c;
    }
    digits[n] = 0;
    errno = 0;
    p->token = real ? jinja_float(strtod(digits, NULL)) : jinja_int(strtoll(digits, NULL, 10));
    if ((errno && !real) || (*from == '0' && !real && n > 1)
        || (p->at < end && jinja_is_letter(*p->at)))
        jinja_no(p, "a number that is not understood here");
    p->type = JINJA_NUM;
}

static inline void jinja_string_token(jinja_parser *p) {
    static const char names[] = "nrtabfv\\'\"", meant[] = "\n\r\t\a\b\f\v\\'\"";
    char quote = *p->at++, *to, *s;
    const char *end = p->at;
    while (end < p->end && *end != quote) end += *end == '\\' && p->end - end > 1 ? 2 : 1;
    if (end >= p->end) jinja_no(p, "a string that does not end");
    s = to = (char *)jinja_take(p->j, (size_t)(end - p->at) + 1);
    while (p->at < end) {
        const char *name;
        uint32_t code = 0;
        int digits, i;
        if (*p->at != '\\') { *to++ = *p->at++; continue; }
        p->at++;
        name = *p->at ? strchr(names, *p->at) : NULL;
        digits = *p->at == 'x' ? 2 : *p->at == 'u' ? 4 : *p->at == 'U' ? 8 : 0;
        if (name) { *to++ = meant[name - names]; p->at++; continue; }
        if (*p->at == '\n') { p->at++; continue; }
        if (*p->at == 'N') jinja_no(p, "\\N{...} is not understood here: write \\u....");
        if (!digits && (*p->at < '0' || *p->at > '7')) { *to++ = '\\'; continue; }
        p->at += digits > 0;
        for (i = 0; i < (digits ? digits : 3) && p->at < end; i++, p->at++) {
            const char *all = "0123456789abcdefABCDEF", *d = *p->at ? strchr(all, *p->at) : NULL;
            uint32_t value = d ? (uint32_t)(d - all) : 99;
            if (value > 15 && d) value -= 6;
            if (value > (digits ? 15 : 7)) break;
            code = code * (digits ? 16 : 8) + value;
        }
        if ((digits && i < digits) || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
            jinja_no(p, "an escape in a string that stands for no character");
        to += json_put_utf8(to, code);
    }
    p->at = end + 1;
    p->token = jinja_string(s, (size_t)(to - s));
    p->type = JINJA_STR;
}

/* Reads the next token of a tag. */
static inline void jinja_next(jinja_parser *p) {
    static const char pairs[] = "==!=<=>=**//";
    const char *end, *pair;
    p->from = p->at = jinja_skip_space(p->at, p->end);
    if (p->at == p->end) jinja_no(p, "the template ends within a tag");
    end = p->brackets ? NULL : jinja_tag_end(p->at, p->end, p->closes);
    if (end) {
        p->at = end;
        p->type = JINJA_END;
    } else if (jinja_is_letter(*p->at)) {
        while (p->at < p->end && (jinja_is_letter(*p->at) || jinja_is_digit(*p->at))) p->at++;
        p->token = jinja_name(p, jinja_string(p->from, (size_t)(p->at - p->from)));
        p->type = JINJA_WORD;
    } else if (jinja_is_digit(*p->at)) jinja_number_token(p);
    else if (*p->at == '\'' || *p->at == '"') jinja_string_token(p);
    else {
        for (pair = pairs; *pair; pair += 2)
            if (p->end - p->at > 1 && p->at[0] == pair[0] && p->at[1] == pair[1]) break;
        if (!*pair && (!*p->at || !strchr("+-/*%~[](){}<>=.:|,", *p->at)))
            jinja_no(p, "a character that means nothing here");
        p->type = *pair ? JINJA_EQ + (int)(pair - pairs) / 2 : *p->at;
        p->at += *pair ? 2 : 1;
        if (p->type == '(' || p->type == '[' || p->type == '{') p->brackets++;
        if ((p->type == ')' || p->type == ']' || p->type == '}') && p->brackets-- == 0)
            jinja_no(p, "a bracket that was not opened");
    }
}

static inline int jinja_at_word(const jinja_parser *p, const char *word) {
    return p->type == JINJA_WORD && jinja_is(p->token, word);
}

/* 1: the token is this (and it is passed). */
static inline int jinja_take_word(jinja_parser *p, const char *word) {
    if (!jinja_at_word(p, word)) return 0;
    jinja_next(p);
    return 1;
}

static inline int jinja_take_sign(jinja_parser *p, int type) {
    if (p->type != type) return 0;
    jinja_next(p);
    return 1;
}

static inline void jinja_need(jinja_parser *p, int type, const char *otherwise) {
    if (!jinja_take_sign(p, type)) jinja_no(p, otherwise);
}

static inline jinja_value jinja_need_name(jinja_parser *p) {
    jinja_value name = p->token;
    jinja_need(p, JINJA_WORD, "a name should stand here");
    return name;
}

static inline jinja_node *jinja_expression(jinja_parser *p, int choice);

/* Expressions up to what ends them, with a comma after each but the last. alone 1: one without a
 * comma is that expression, not a tuple of it. */
static inline jinja_node *jinja_tuple(jinja_parser *p, int choice, int alone) {
    jinja_node *first = NULL, **to = &first, *n;
    const char *at = p->from;
    int comma = 0;
    while (p->type != JINJA_END && p->type != ')' && p->type != ']' && !jinja_at_word(p, "in")
           && !jinja_at_word(p, "recursive")) {
        *to = jinja_expression(p, choice);
        to = &(*to)->next;
        if (p->type != ',') break;
        comma = 1;
        jinja_next(p);
    }
    if (alone && !comma && first) return first;
    n = jinja_node_new(p, JINJA_MAKE_TUPLE, at, first, NULL);
    if (!first && p->type != ')') jinja_no(p, "an expression should stand here");
    return n;
}

static inline jinja_node *jinja_primary(jinja_parser *p) {
    static const char *const words[] = { "true", "True", "false", "False", "none", "None" };
    jinja_node *n, **to;
    const char *at = p->from;
    int i, close;
    if (p->type == JINJA_WORD) {
        n = jinja_node_new(p, JINJA_NAME, at, NULL, NULL);
        n->value = p->token;
        for (i = 0; i < 6 && !jinja_is(p->token, words[i]); ) i++;
        if (i < 6) {
            n->kind = JINJA_CONST;
            n->value = i < 4 ? jinja_bool(i < 2) : jinja_of(JINJA_NONE);
        }
        if (jinja_is(p->token, "varargs") || jinja_is(p->token, "kwargs"))
            jinja_no(p, "the names varargs and kwargs, of a macro's further arguments, are not "
                     "understood here");
        jinja_next(p);
        return n;
    }
    if (p->type == JINJA_STR || p->type == JINJA_NUM) {
        jinja_buffer b = { NULL, 0, 0 };
        n = jinja_node_new(p, JINJA_CONST, at, NULL, NULL);
        n->value = p->token;
        i = p->type == JINJA_STR;
        jinja_next(p);
        if (!i || p->type != JINJA_STR) return n;
        jinja_add(p->j, &b, n->value.as.s, n->value.n);
        for (; p->type == JINJA_STR; jinja_next(p)) jinja_add(p->j, &b, p->token.as.s, p->token.n);
        n->value = jinja_built(b);
        return n;
    }
    if (jinja_take_sign(p, '(')) {
        n = jinja_tuple(p, 1, 1);
        jinja_need(p, ')', "a ')' is missing");
        return n;
    }
    close = p->type == '[' ? ']' : '}';
    if (p->type != '[' && p->type != '{') jinja_no(p, "an expression should stand here");
    n = jinja_node_new(p, close == ']' ? JINJA_MAKE_LIST : JINJA_MAKE_DICT, at, NULL, NULL);
    jinja_next(p);
    for (to = &n->part[0]; p->type != close; ) {
        *to = jinja_expression(p, 1);
        to = &(*to)->next;
        if (close == '}') {
            jinja_need(p, ':', "a ':' should follow a key");
            *to = jinja_expression(p, 1);
            to = &(*to)->next;
        }
        if (p->type != close) jinja_need(p, ',', "a comma or a closing bracket is missing");
    }
    jinja_next(p);
    return n;
}

/* After '(': arguments and ')'. */
static inline jinja_node *jinja_arguments(jinja_parser *p) {
    jinja_node *first = NULL, **to = &first;
    int named = 0;
    while (p->type != ')') {
        const char *ahead = jinja_skip_space(p->at, p->end);
        if (p->type == JINJA_POW) jinja_no(p, "arguments by ** are not understood here");
        *to = jinja_node_new(p, JINJA_ARG, p->from, NULL, NULL);
        (*to)->op = p->type == '*';
        if ((*to)->op) jinja_next(p);
        else if (p->type == JINJA_WORD && p->end - ahead > 1 && ahead[0] == '='
                 && ahead[1] != '=') {
            (*to)->value = p->token;
            jinja_next(p);
            jinja_next(p);
            named = 1;
        } else if (named) jinja_no(p, "an argument without a name after one with a name");
        (*to)->part[0] = jinja_expression(p, 1);
        to = &(*to)->next;
        if (p->type != ')') jinja_need(p, ',', "a comma or a ')' is missing");
    }
    jinja_next(p);
    return first;
}

static inline jinja_node *jinja_subscript(jinja_parser *p, jinja_node *of) {
    jinja_node *n, *part[3] = { NULL, NULL, NULL };
    const char *at = p->from;
    int i = 0, slice = 0;
    if (jinja_take_sign(p, '.')) {
        n = jinja_node_new(p, p->type == JINJA_NUM ? JINJA_ITEM : JINJA_GET, at, of, NULL);
        n->value = p->token;
        if (p->type == JINJA_NUM) {
            n->part[1] = jinja_node_new(p, JINJA_CONST, p->from, NULL, NULL);
            n->part[1]->value = p->token;
            jinja_next(p);
        } else n->op = jinja_entry_find('d', jinja_need_name(p));
        return n;
    }
    jinja_next(p);
    for (; i < 3 && p->type != ']'; ) {
        if (p->type == ':') { jinja_next(p); slice = 1; i++; continue; }
        if (part[i]) break;
        part[i] = jinja_expression(p, 1);
        if (p->type == ',') jinja_no(p, "a comma in [] is not understood here");
    }
    if (i > 2 && p->type != ']') jinja_no(p, "a ']' is missing");
    if (!slice && !part[0]) jinja_no(p, "an expression should stand between [ and ]");
    jinja_need(p, ']', "a ']' is missing");
    n = jinja_node_new(p, slice ? JINJA_SLICE : JINJA_ITEM, at, of, part[0]);
    n->part[2] = part[1];
    n->part[3] = part[2];
    return n;
}

static inline jinja_node *jinja_postfix(jinja_parser *p, jinja_node *n) {
    for (;;) {
        const char *at = p->from;
        if (p->type == '.' || p->type == '[') n = jinja_subscript(p, n);
        else if (jinja_take_sign(p, '('))
            n = jinja_node_new(p, JINJA_CALL, at, n, jinja_arguments(p));
        else return n;
    }
}

/* Is this filter or test known? What jinja2 does not know either it allows in a branch, as long as
 * that is not taken. */
static inline void jinja_known(jinja_parser *p, jinja_node *n, char kind) {
    n->op = jinja_entry_find(kind, n->value);
    if (n->op >= 0 && jinja_entries[n->op].what == JINJA_UNSUPPORTED)
        jinja_refuse(jinja_here(p, n->at), "the %s %.*s is not understood here",
                     kind == 'f' ? "filter" : "test", (int)n->value.n, n->value.as.s);
    if (n->op < 0 && !p->unknown) p->unknown = n;
}

static inline void jinja_need_known(jinja_parser *p) {
    const jinja_node *n = p->unknown;
    if (n) jinja_refuse(jinja_here(p, n->at), "there is no %s %.*s",
                        n->kind == JINJA_FILTER ? "filter" : "test", (int)n->value.n,
                        n->value.as.s);
}

/* Filters, after a '|'. */
static inline jinja_node *jinja_filters(jinja_parser *p, jinja_node *n) {
    do {
        n = jinja_node_new(p, JINJA_FILTER, p->from, n, NULL);
        n->value = jinja_need_name(p);
        jinja_known(p, n, 'f');
        if (jinja_take_sign(p, '(')) n->part[1] = jinja_arguments(p);
    } while (jinja_take_sign(p, '|'));
    return n;
}

static inline jinja_node *jinja_test(jinja_parser *p, jinja_node *n) {
    int negated = jinja_take_word(p, "not");
    n = jinja_node_new(p, JINJA_TEST, p->from, n, NULL);
    n->value = jinja_need_name(p);
    jinja_known(p, n, 't');
    if (jinja_take_sign(p, '(')) n->part[1] = jinja_arguments(p);
    else if ((p->type == JINJA_WORD && !jinja_at_word(p, "else") && !jinja_at_word(p, "or")
              && !jinja_at_word(p, "and")) || p->type == JINJA_STR || p->type == JINJA_NUM
             || p->type == '[' || p->type == '{') {
        if (jinja_at_word(p, "is")) jinja_no(p, "tests cannot follow each other");
        n->part[1] = jinja_node_new(p, JINJA_ARG, p->from, NULL, NULL);
        n->part[1]->part[0] = jinja_postfix(p, jinja_primary(p));
    }
    return negated ? jinja_node_new(p, JINJA_NOT, n->at, n, NULL) : n;
}

static inline jinja_node *jinja_unary(jinja_parser *p, int filters) {
    const char *at = p->from;
    jinja_node *n;
    int sign = p->type;
    jinja_deeper(p);
    if (sign == '-' || sign == '+') {
        jinja_next(p);
        n = jinja_node_new(p, sign == '-' ? JINJA_NEG : JINJA_POS, at, jinja_unary(p, 0), NULL);
    } else n = jinja_primary(p);
    n = jinja_postfix(p, n);
    while (filters) {
        at = p->from;
        if (jinja_take_sign(p, '|')) n = jinja_filters(p, n);
        else if (jinja_take_word(p, "is")) n = jinja_test(p, n);
        else if (jinja_take_sign(p, '('))
            n = jinja_node_new(p, JINJA_CALL, at, n, jinja_arguments(p));
        else break;
    }
    p->j->depth--;
    return n;
}

/* level 0: + and -; 1: ~; 2: * / // %; 3: ** */
static inline jinja_node *jinja_binary(jinja_parser *p, int level) {
    static const char signs[4][5] = { "+-", "~", { '*', '/', '%', JINJA_FLOOR, 0 },
                                      { JINJA_POW, 0 } };
    jinja_node *n = level == 3 ? jinja_unary(p, 1) : jinja_binary(p, level + 1);
    while (p->type < 128 && strchr(signs[level], p->type)) {
        const char *at = p->from;
        int op = p->type;
        jinja_next(p);
        n = jinja_node_new(p, JINJA_BINARY, at, n,
                           level == 3 ? jinja_unary(p, 1) : jinja_binary(p, level + 1));
        n->op = op;
    }
    return n;
}

static inline jinja_node *jinja_compare(jinja_parser *p) {
    jinja_node *n, **to;
    if (p->type == JINJA_WORD && jinja_is(p->token, "not")) {
        const char *at = p->from;
        jinja_deeper(p);
        jinja_next(p);
        n = jinja_node_new(p, JINJA_NOT, at, jinja_compare(p), NULL);
        p->j->depth--;
        return n;
    }
    n = jinja_binary(p, 0);
    to = &n->next;
    for (;;) {
        const char *at = p->from, *ahead = jinja_skip_space(p->at, p->end);
        int op = p->type;
        if (jinja_at_word(p, "in")) op = JINJA_IS_IN;
        else if (jinja_at_word(p, "not") && p->end - ahead > 2 && !memcmp(ahead, "in", 2)
                 && !jinja_is_letter(ahead[2]) && !jinja_is_digit(ahead[2])) {
            op = JINJA_NOT_IN;
            jinja_next(p);
        } else if (op != '<' && op != '>' && (op < JINJA_EQ || op > JINJA_GE)) break;
        jinja_next(p);
        if (to == &n->next) {
            n = jinja_node_new(p, JINJA_COMPARE, at, n, NULL);
            to = &n->part[1];
        }
        *to = jinja_node_new(p, JINJA_OPERAND, at, jinja_binary(p, 0), NULL);
        (*to)->op = op;
        to = &(*to)->next;
    }
    return n;
}

static inline jinja_node *jinja_logic(jinja_parser *p, int or_too) {
    jinja_node *n = or_too ? jinja_logic(p, 0) : jinja_compare(p);
    const char *at = p->from;
    while (jinja_take_word(p, or_too ? "or" : "and")) {
        n = jinja_node_new(p, or_too ? JINJA_OR : JINJA_AND, at, n,
                           or_too ? jinja_logic(p, 0) : jinja_compare(p));
        at = p->from;
    }
    return n;
}

/* An expression; choice 1: it may be `a if b else c`. */
static inline jinja_node *jinja_expression(jinja_parser *p, int choice) {
    const jinja_node *unknown = p->unknown;
    const char *at;
    jinja_node *n, *test;
    jinja_deeper(p);
    n = jinja_logic(p, 1);
    at = p->from;
    while (choice && jinja_take_word(p, "if")) {
        test = jinja_logic(p, 1);
        n = jinja_node_new(p, JINJA_CHOICE, at, test, n);
        if (jinja_take_word(p, "else")) n->part[2] = jinja_expression(p, 1);
        p->unknown = unknown;
        at = p->from;
    }
    p->j->depth--;
    return n;
}

/* What a for or a set writes to; one name, or several with commas. */
static inline jinja_node *jinja_target(jinja_parser *p, int with_get) {
    jinja_node *first = NULL, **to = &first, *n;
    const char *at = p->from;
    int comma = 0;
    jinja_deeper(p);
    for (;;) {
        if (jinja_take_sign(p, '(')) {
            *to = jinja_target(p, with_get);
            jinja_need(p, ')', "a ')' is missing");
        } else {
            if (p->type != JINJA_WORD) jinja_no(p, "a name should stand here");
            *to = jinja_primary(p);
            if ((*to)->kind != JINJA_NAME) jinja_no(p, "this cannot be set");
            if (with_get && p->type == '.') {
                *to = jinja_subscript(p, *to);
                if ((*to)->kind != JINJA_GET) jinja_no(p, "this cannot be set");
            }
        }
        to = &(*to)->next;
        if (!jinja_take_sign(p, ',')) break;
        comma = 1;
        if (p->type != JINJA_WORD && p->type != '(') break;
        if (jinja_at_word(p, "in")) break;
    }
    p->j->depth--;
    if (!comma) return first;
    n = jinja_node_new(p, JINJA_MAKE_TUPLE, at, first, NULL);
    return n;
}

static inline jinja_node *jinja_statement(jinja_parser *p);

/* Is this {% word %}, with or without signs? */
static inline int jinja_is_tag(const char *at, const char *end, const char *word) {
    size_t n = strlen(word);
    if (at[1] != '%') return 0;
    at = jinja_skip_space(at + 2 + (at[2] == '-' || at[2] == '+'), end);
    if ((size_t)(end - at) < n || memcmp(at, word, n) != 0) return 0;
    at = jinja_skip_space(at + n, end);
    return at < end && jinja_tag_end(at, end, '%') != NULL;
}

/* Text and tags up to a tag whose first word is in `ends` ("elif else endif"), which is passed but
 * not what follows in its tag; without `ends` to the end of the template. */
static inline jinja_node *jinja_body(jinja_parser *p, const char *ends, const char *of) {
    jinja_node *first = NULL, **to = &first;
    int raw = 0;
    jinja_deeper(p);
    for (;;) {
        const char *from = p->at, *at = from, *tag, *data, *line;
        char kind = 0, sign;
        while (at < p->end && !kind) {
            if (*at == '{' && p->end - at > 1 && at[1] && strchr("{%#", at[1])
                && (!raw || jinja_is_tag(at, p->end, "endraw"))) kind = at[1];
            else at++;
        }
        tag = p->from = data = at;
        sign = kind && p->end - at > 2 && (at[2] == '-' || at[2] == '+') ? at[2] : 0;
        if (sign == '-') {          /* the space before a tag; or that from the line's beginning */
            jinja_value left = jinja_strip(jinja_string(from, (size_t)(at - from)), 2, NULL);
            data = from + left.n;
        } else if (!sign && (kind == '%' || kind == '#')) {
            for (line = at; line > from && line[-1] != '\n'; ) line--;
            if ((line > from || from == p->j->text || from[-1] == '\n')
                && jinja_skip_space(line, at) == at) data = line;
        }
        if (data > from) {
            *to = jinja_node_new(p, JINJA_PRINT, from, jinja_node_new(p, JINJA_CONST, from, NULL,
                                                                      NULL), NULL);
            (*to)->part[0]->value = jinja_string(from, (size_t)(data - from));
            to = &(*to)->next;
        }
        if (!kind) {
            if (raw) ends = "endraw";
            if (ends) jinja_refuse(jinja_here(p, of), "this does not end: %s is missing", ends);
            break;
        }
        p->at = at += 2 + (sign != 0);
        p->closes = kind == '{' ? '}' : kind;
        p->brackets = 0;
        if (kind == '#') {
            for (; p->end - at > 1 && (at[0] != '#' || at[1] != '}'); ) at++;
            if (p->end - at < 2) jinja_no(p, "a comment that does not end");
            p->at = jinja_tag_end(at > p->at && (at[-1] == '-' || at[-1] == '+') ? at - 1 : at,
                                  p->end, '#');
            continue;
        }
        if (raw || jinja_is_tag(tag, p->end, "raw")) {     /* tags are text up to {% endraw %}   */
            at = jinja_skip_space(jinja_skip_space(at, p->end) + (raw ? 6 : 3), p->end);
            p->at = jinja_tag_end(at, p->end, '%');
            if (!raw && *at != '-') p->at = at + 2;
            raw = !raw;
            continue;
        }
        jinja_next(p);
        if (kind == '{') *to = jinja_node_new(p, JINJA_PRINT, tag, jinja_tuple(p, 1, 1), NULL);
        else {
            size_t n = p->type == JINJA_WORD ? p->token.n : 0;
            const char *end = ends;
            for (; n && end; end = strchr(end, ' ') ? strchr(end, ' ') + 1 : NULL)
                if (strcspn(end, " ") == n && !memcmp(end, p->token.as.s, n)) break;
            if (n && end) break;
            *to = jinja_statement(p);
        }
        if (p->type != JINJA_END) jinja_no(p, "this is not expected here");
        while (*to) to = &(*to)->next;
    }
    p->j->depth--;
    return first;
}

/* The statements of something with its own names, up to its end; breaks do not leave it. */
static inline jinja_node *jinja_inner(jinja_parser *p, const char *ends, const char *of, int loop) {
    int loops = p->j->loops;
    const jinja_node *unknown = p->unknown;
    jinja_node *body;
    p->unknown = NULL;
    p->j->loops = loop ? loops + 1 : 0;
    body = jinja_body(p, ends, of);
    jinja_need_known(p);
    p->unknown = unknown;
    p->j->loops = loops;
    return body;
}

/* After a macro's name or `call`: its parameters, if there are any. */
static inline jinja_node *jinja_macro_of(jinja_parser *p, const char *at) {
    jinja_node *n = jinja_node_new(p, JINJA_MAKE_MACRO, at, NULL, NULL), **to = &n->part[0];
    if (!jinja_take_sign(p, '(')) return n;
    while (p->type != ')') {
        *to = jinja_node_new(p, JINJA_NAME, p->from, NULL, NULL);
        (*to)->value = jinja_need_name(p);
        if (jinja_take_sign(p, '=')) (*to)->part[0] = jinja_expression(p, 1);
        to = &(*to)->next;
        if (p->type != ')') jinja_need(p, ',', "a comma or a ')' is missing");
    }
    jinja_next(p);
    return n;
}

static inline jinja_node *jinja_if(jinja_parser *p, const char *at) {
    jinja_node *n = jinja_node_new(p, JINJA_IF, at, NULL, NULL), **to = &n->part[0];
    const jinja_node *unknown = p->unknown;
    int more = 1;
    while (more) {
        *to = jinja_node_new(p, JINJA_IF, p->from, more == 1 ? jinja_tuple(p, 0, 1) : NULL, NULL);
        if (p->type != JINJA_END) jinja_no(p, "the end of the tag should stand here");
        (*to)->part[1] = jinja_body(p, more == 1 ? "elif else endif" : "endif", at);
        to = &(*to)->next;
        more = jinja_is(p->token, "elif") ? 1 : jinja_is(p->token, "else") ? 2 : 0;
        jinja_next(p);
    }
    p->unknown = unknown;
    return n;
}

static inline jinja_node *jinja_for(jinja_parser *p, const char *at) {
    jinja_node *n = jinja_node_new(p, JINJA_FOR, at, jinja_target(p, 0), NULL);
    if (!jinja_take_word(p, "in")) jinja_no(p, "'in' should stand here");
    n->value = jinja_name(p, jinja_words("loop"));
    n->part[1] = jinja_tuple(p, 0, 1);
    if (jinja_take_word(p, "if")) n->part[2] = jinja_expression(p, 1);
    if (jinja_at_word(p, "recursive")) jinja_no(p, "recursive loops are not understood here");
    if (p->type != JINJA_END) jinja_no(p, "the end of the tag should stand here");
    n->part[3] = jinja_inner(p, "else endfor", at, 1);
    if (jinja_take_word(p, "else")) {
        if (p->type != JINJA_END) jinja_no(p, "the end of the tag should stand here");
        n->part[4] = jinja_inner(p, "endfor", at, p->j->loops > 0);
    }
    jinja_next(p);
    return n;
}

/* A tag from its first word to its last; its end is the token then. */
static inline jinja_node *jinja_statement(jinja_parser *p) {
    const char *at = p->from;
    jinja_value word = jinja_need_name(p);
    jinja_node *n, *inner;
    if (jinja_is(word, "if")) return jinja_if(p, at);
    if (jinja_is(word, "for")) return jinja_for(p, at);
    if (jinja_is(word, "break") || jinja_is(word, "continue")) {
        if (!p->j->loops) jinja_refuse(jinja_here(p, at), "this is in no loop");
        return jinja_node_new(p, jinja_is(word, "break") ? JINJA_BREAK : JINJA_CONTINUE, at, NULL,
                              NULL);
    }
    if (jinja_is(word, "generation") || jinja_is(word, "filter")) {
        int filter = jinja_is(word, "filter");
        inner = n = jinja_node_new(p, JINJA_CAPTURE, at, NULL, NULL);
        if (filter) n = jinja_filters(p, n);
        if (p->type != JINJA_END) jinja_no(p, "the end of the tag should stand here");
        inner->part[0] = jinja_inner(p, filter ? "endfilter" : "endgeneration", at, 0);
        jinja_next(p);
        return jinja_node_new(p, JINJA_PRINT, at, n, NULL);
    }
    if (jinja_is(word, "set")) {
        n = jinja_node_new(p, JINJA_SET, at, jinja_target(p, 1), NULL);
        if (jinja_take_sign(p, '=')) {
            n->part[1] = jinja_tuple(p, 1, 1);
            return n;
        }
        inner = n->part[1] = jinja_node_new(p, JINJA_CAPTURE, at, NULL, NULL);
        if (jinja_take_sign(p, '|')) n->part[1] = jinja_filters(p, inner);
        if (p->type != JINJA_END) jinja_no(p, "the end of the tag should stand here");
        inner->part[0] = jinja_inner(p, "endset", at, 0);
        jinja_next(p);
        return n;
    }
    if (jinja_is(word, "macro")) {
        n = jinja_node_new(p, JINJA_NAME, at, NULL, NULL);
        n->value = jinja_need_name(p);
        n = jinja_node_new(p, JINJA_SET, at, n, jinja_macro_of(p, at));
        n->part[1]->value = n->part[0]->value;
        if (p->type != JINJA_END) jinja_no(p, "the end of the tag should stand here");
        n->part[1]->part[1] = jinja_inner(p, "endmacro", at, 0);
        jinja_next(p);
        return n;
    }
    if (jinja_is(word, "call")) {   /* the body is one more argument: caller                     */
        inner = jinja_macro_of(p, at);
        inner->value = jinja_name(p, jinja_words("caller"));
        n = jinja_expression(p, 1);
        if (n->kind != JINJA_CALL) jinja_refuse(jinja_here(p, at), "a call should follow");
        if (p->type != JINJA_END) jinja_no(p, "the end of the tag should stand here");
        inner->part[1] = jinja_inner(p, "endcall", at, 0);
        jinja_next(p);
        {
            jinja_node **to = &n->part[1];
            while (*to) to = &(*to)->next;
            *to = jinja_node_new(p, JINJA_ARG, at, inner, NULL);
            (*to)->value = inner->value;
        }
        return jinja_node_new(p, JINJA_PRINT, at, n, NULL);
    }
    jinja_refuse(jinja_here(p, at), "the statement %.*s is not understood here", (int)word.n,
                 word.as.s);
    return NULL;
}

/* ---- running: arguments */

typedef struct jinja_args {         /* names[i] is MISSING where argument i has none             */
    size_t n;
    jinja_value *values, *names;
} jinja_args;

typedef struct jinja_bound { int entry; jinja_value self; } jinja_bound;

static inline jinja_value jinja_eval(jinja_state *j, const jinja_node *n);

static inline jinja_value jinja_bind_method(jinja_state *j, int entry, jinja_value self) {
    jinja_value v = jinja_of(JINJA_METHOD);
    v.as.bound = (jinja_bound *)jinja_new(j, sizeof *v.as.bound);
    v.as.bound->entry = entry;
    v.as.bound->self = self;
    return v;
}

/* The arguments in the order of the parameters, MISSING where there is none. */
static inline void jinja_bind(jinja_state *j, const jinja_entry *e, jinja_args args,
                              jinja_value to[4]) {
    const char *names[4], *s = e->parameters;
    int count = 0, k, len = (int)strcspn(e->names, " ");
    size_t i;
    memset(to, 0, 4 * sizeof *to);
    for (; *s && *s != '*'; s += strcspn(s, " "), s += *s == ' ') names[count++] = s;
    if (*s == '*') return;
    for (i = 0; i < args.n; i++) {
        k = (int)i;
        if (args.names[i].type == JINJA_STRING)
            for (k = 0; k < count && (strcspn(names[k], " ") != args.names[i].n
                                      || memcmp(names[k], args.names[i].as.s, args.names[i].n)); )
                k++;
        if (k >= count || i > 3 || to[k].type)
            jinja_refuse(j, "%.*s takes no such arguments", len, e->names);
        to[k] = args.values[i];
    }
    for (k = 0; k < e->least; k++)
        if (!to[k].type) jinja_refuse(j, "%.*s needs more arguments", len, e->names);
}

static inline void jinja_need_defined(jinja_state *j, jinja_value v) {
    if (v.type == JINJA_UNDEFINED)
        jinja_refuse(j, "'%.*s' is undefined", (int)(v.n < 80 ? v.n : 80), v.as.s);
}

static inline jinja_value jinja_need_text(jinja_state *j, jinja_value v) {
    jinja_need_defined(j, v);
    if (v.type != JINJA_STRING)
        jinja_refuse(j, "a string should stand here, not a %s", jinja_types[v.type]);
    return v;
}

static inline int64_t jinja_need_int(jinja_state *j, jinja_value v, int64_t otherwise) {
    if (v.type == JINJA_MISSING || v.type == JINJA_NONE) return otherwise;
    jinja_need_defined(j, v);
    if (!jinja_is_whole(v))
        jinja_refuse(j, "a whole number should stand here, not a %s", jinja_types[v.type]);
    return v.as.i;
}

/* ---- looking up */

static inline jinja_value jinja_loop_get(jinja_value loop, jinja_value name) {
    static const char *const names[] = { "index", "index0", "revindex", "revindex0", "first",
                                         "last", "length", "depth", "depth0", "previtem",
                                         "nextitem" };
    jinja_loop *l = loop.as.loop;
    int64_t at = (int64_t)l->index, n = (int64_t)l->items->n;
    int i = 0;
    while (i < 11 && !jinja_is(name, names[i])) i++;
    switch (i) {
    case 0: return jinja_int(at + 1);
    case 1: return jinja_int(at);
    case 2: return jinja_int(n - at);
    case 3: return jinja_int(n - at - 1);
    case 4: return jinja_bool(at == 0);
    case 5: return jinja_bool(at == n - 1);
    case 6: return jinja_int(n);
    case 7: return jinja_int(1);
    case 8: return jinja_int(0);
    case 9: return at > 0 ? l->items->items[at - 1] : jinja_undefined("loop.previtem");
    case 10: return at < n - 1 ? l->items->items[at + 1] : jinja_undefined("loop.nextitem");
    default: return jinja_of(JINJA_MISSING);
    }
}

/* of[key]; a method where there is no such item; else undefined. */
static inline jinja_value jinja_item(jinja_state *j, jinja_value of, jinja_value key) {
    jinja_value v = jinja_of(JINJA_MISSING);
    char kind = 0;
    int64_t i, n;
    int entry;
    jinja_need_defined(j, of);
    if (of.type == JINJA_DICT) {
        kind = 'd';
        if (key.type >= JINJA_NONE && key.type <= JINJA_STRING)
            v = jinja_dict_get(j, of.as.dict, key);
    } else if (of.type == JINJA_NAMESPACE) v = jinja_dict_get(j, of.as.dict, key);
    else if (of.type == JINJA_LOOP) v = jinja_loop_get(of, key);
    else if (of.type == JINJA_STRING || of.type == JINJA_LIST || of.type == JINJA_TUPLE
             || of.type == JINJA_RANGE) {
        kind = of.type == JINJA_STRING ? 's' : of.type == JINJA_RANGE ? 0 : 'l';
        if (jinja_is_whole(key)) {
            n = (int64_t)(of.type == JINJA_STRING ? jinja_length(of) : of.as.list->n);
            i = key.as.i < 0 ? key.as.i + n : key.as.i;
            if (i >= 0 && i < n && of.type == JINJA_STRING) {
                size_t from = jinja_offset(of, (size_t)i);
                jinja_spend(j, of.n / 32);
                v = jinja_part(of, from, from + jinja_bytes(of.as.s + from));
            } else if (i >= 0 && i < n) v = of.as.list->items[i];
        }
    }
    if (!v.type) jinja_spend(j, 8);
    if (!v.type && kind && key.type == JINJA_STRING && (entry = jinja_entry_find(kind, key)) >= 0)
        v = jinja_bind_method(j, entry, of);
    if (v.type) return v;
    v = jinja_undefined("that item");
    v.n = key.type == JINJA_STRING ? key.n : strlen(v.as.s);
    if (key.type == JINJA_STRING) v.as.s = key.as.s;
    return v;
}

/* An attribute by a path, "function.name" or "0", or a number; MISSING or None: v itself. */
static inline jinja_value jinja_path(jinja_state *j, jinja_value v, jinja_value path) {
    if (path.type == JINJA_MISSING || path.type == JINJA_NONE) return v;
    if (path.type != JINJA_STRING) return jinja_item(j, v, path);
    for (;;) {
        const char *dot = path.n ? (const char *)memchr(path.as.s, '.', path.n) : NULL;
        jinja_value part = jinja_part(path, 0, dot ? (size_t)(dot - path.as.s) : path.n);
        size_t i = 0;
        int64_t number = 0;
        for (; i < part.n && i < 18 && jinja_is_digit(part.as.s[i]); i++)
            number = 10 * number + (part.as.s[i] - '0');
        v = jinja_item(j, v, part.n && i == part.n ? jinja_int(number) : part);
        if (!dot) return v;
        path = jinja_part(path, part.n + 1, path.n);
    }
}

static inline jinja_var *jinja_var_in(const jinja_scope *scope, const char *name) {
    jinja_var *v = scope->vars;
    while (v && v->name != name) v = v->next;
    return v;
}

static inline void jinja_assign(jinja_state *j, const char *name, jinja_value value) {
    jinja_var *v = jinja_var_in(j->scope, name);
    if (!v) {
        v = (jinja_var *)jinja_new(j, sizeof *v);
        v->name = name;
        v->next = j->scope->vars;
        j->scope->vars = v;
    }
    v->value = value;
}

static inline jinja_value jinja_lookup(jinja_state *j, jinja_value name) {
    const jinja_scope *scope = j->scope;
    jinja_value v = jinja_of(JINJA_MISSING);
    int entry;
    for (; scope; scope = scope->up) {
        jinja_var *var = jinja_var_in(scope, name.as.s);
        if (var) return var->value;
    }
    v = jinja_dict_get(j, j->variables, name);
    if (v.type) return v;
    jinja_spend(j, 8);
    if (jinja_is(name, "self")) return jinja_dict_new(j, JINJA_NAMESPACE);  /* its blocks: none  */
    entry = jinja_entry_find('g', name);
    if (entry < 0) {
        v = jinja_undefined(name.as.s);
        v.n = name.n;
        return v;
    }
    return jinja_bind_method(j, entry, v);
}

static inline void jinja_open_scope(jinja_state *j, jinja_scope *up) {
    jinja_scope *scope = (jinja_scope *)jinja_new(j, sizeof *scope);
    scope->up = up;
    j->scope = scope;
}

/* ---- numbers */

static inline jinja_value jinja_arithmetic(jinja_state *j, int op, jinja_value a, jinja_value b) {
    double x = jinja_real(a), y = jinja_real(b), r;
    int64_t i = a.as.i, k = b.as.i, whole = 1;
    int ints = jinja_is_whole(a) && jinja_is_whole(b);
    if ((op == '/' || op == '%' || op == JINJA_FLOOR) && y == 0)
        jinja_refuse(j, "a division by zero");
    if (ints && (op == '%' || op == JINJA_FLOOR)) {
        if (k == -1) return op == '%' ? jinja_int(0) : jinja_arithmetic(j, '*', a, b);
        whole = i / k - (i % k != 0 && (i % k < 0) != (k < 0));
        return jinja_int(op == '%' ? i - whole * k : whole);
    }
    switch (op) {
    case '+': r = x + y; break;
    case '-': r = x - y; break;
    case '*': r = x * y; break;
    case '/': return jinja_float(x / y);
    case '%':
        r = fmod(x, y);
        return jinja_float(r == 0 ? copysign(0, y) : (r < 0) != (y < 0) ? r + y : r);
    case JINJA_FLOOR: return jinja_float(floor(x / y));
    default:
        r = pow(x, y);
        ints = ints && k >= 0;
        if (r - r != 0 && x - x == 0 && y - y == 0) jinja_refuse(j, "a power without a value");
        break;
    }
    if (!ints) return jinja_float(r);
    if (fabs(r) >= 9.2e18) jinja_refuse(j, "a whole number beyond 64 bits");
    if (op == JINJA_POW) {
        if (i == 0 || i == 1 || i == -1)
            return jinja_int(k == 0 ? 1 : i == -1 && k % 2 ? -1 : i * i);
        while (k--) whole *= i;
        return jinja_int(whole);
    }
    return jinja_int(op == '+' ? i + k : op == '-' ? i - k : i * k);
}

static inline jinja_value jinja_percent(jinja_state *j, jinja_value format, jinja_args args);

static inline jinja_value jinja_binary_of(jinja_state *j, int op, jinja_value a, jinja_value b) {
    jinja_buffer out = { NULL, 0, 0 };
    if (op == '~') {
        jinja_put_value(j, &out, a, 0);
        jinja_put_value(j, &out, b, 0);
        return jinja_built(out);
    }
    jinja_need_defined(j, a);
    if (op == '%' && a.type == JINJA_STRING) {
        jinja_args args;
        jinja_value none = jinja_of(JINJA_MISSING), *list = &b;
        args.n = 1;
        if (b.type == JINJA_TUPLE) {
            args.n = b.as.list->n;
            list = b.as.list->items;
        }
        args.values = list;
        args.names = &none;
        return jinja_percent(j, a, args);
    }
    jinja_need_defined(j, b);
    if (jinja_is_number(a) && jinja_is_number(b)) return jinja_arithmetic(j, op, a, b);
    if (op == '+' && a.type == JINJA_STRING && b.type == JINJA_STRING) {
        int safe = a.safe || b.safe;
        if (safe) { a = jinja_escaped(j, a); b = jinja_escaped(j, b); }
        jinja_add(j, &out, a.as.s, a.n);
        jinja_add(j, &out, b.as.s, b.n);
        a = jinja_built(out);
        a.safe = (unsigned char)safe;
        return a;
    }
    if (op == '+' && a.type == b.type && (a.type == JINJA_LIST || a.type == JINJA_TUPLE)) {
        size_t n = a.as.list->n, m = b.as.list->n;
        jinja_value *items = jinja_items_new(j, n + m);
        if (n) memcpy(items, a.as.list->items, n * sizeof *items);
        if (m) memcpy(items + n, b.as.list->items, m * sizeof *items);
        return jinja_list_of(j, a.type, items, n + m);
    }
    if (op == '*' && jinja_is_whole(a) && !jinja_is_number(b)) {
        jinja_value c = a;
        a = b;
        b = c;
    }
    if (op == '*' && jinja_is_whole(b) && a.type == JINJA_STRING) {
        jinja_value c;
        for (; b.as.i > 0 && a.n; b.as.i--) {
            jinja_spend(j, 1);
            jinja_add(j, &out, a.as.s, a.n);
        }
        c = jinja_built(out);
        c.safe = a.safe;
        return c;
    }
    if (op == '*' && jinja_is_whole(b) && (a.type == JINJA_LIST || a.type == JINJA_TUPLE)) {
        size_t n = a.as.list->n, i, times = b.as.i > 0 ? (size_t)b.as.i : 0;
        jinja_value *items;
        if (n && times > j->limits.steps / n) jinja_spend(j, j->limits.steps);
        items = jinja_items_new(j, n * times);
        for (i = 0; i < n * times; i++) items[i] = a.as.list->items[i % n];
        return jinja_list_of(j, a.type, items, n * times);
    }
    jinja_refuse(j, "%s and %s cannot be combined like this", jinja_types[a.type],
                 jinja_types[b.type]);
    return a;
}

/* ---- formats: "%-5s" % x and "{}".format(x) */

/* One value by a directive of C's: "%", flags, width, precision, and what it is. */
static inline void jinja_put_figure(jinja_state *j, jinja_buffer *out,
                                    const char *directive, size_t n, jinja_value v) {
    char format[16], text[512], kind = directive[n - 1];
    int width = 0, precision = -1, whole = kind && strchr("dixXo", kind) != NULL;
    const char *s = directive + 1 + strspn(directive + 1, "-+ 0#");
    size_t flags = (size_t)(s - directive), length;
    for (; jinja_is_digit(*s) && width < 1000; s++) width = 10 * width + (*s - '0');
    if (*s == '.')
        for (s++, precision = 0; jinja_is_digit(*s) && precision < 1000; s++)
            precision = 10 * precision + (*s - '0');
    if (n < 2 || s != directive + n - 1 || flags > 4 || !kind || !strchr("srdixXofFeEgG", kind)
        || width > 200 || precision > 200)
        jinja_refuse(j, "a format that is not understood here");
    if (kind == 's' || kind == 'r') {
        jinja_buffer b = { NULL, 0, 0 };
        jinja_put_value(j, &b, v, kind == 'r');
        v = jinja_built(b);
        if (precision >= 0) v = jinja_part(v, 0, jinja_offset(v, (size_t)precision));
        if (directive[1] == '-') jinja_add(j, out, v.as.s, v.n);
        for (length = jinja_length(v); length < (size_t)width; length++) jinja_put(j, out, " ");
        if (directive[1] != '-') jinja_add(j, out, v.as.s, v.n);
        return;
    }
    jinja_need_defined(j, v);
    if (!jinja_is_number(v) || !(fabs(jinja_real(v)) < (whole ? 9.2e18 : 1e200))
        || (strchr("xXo", kind) && (!jinja_is_whole(v) || v.as.i < 0)))
        jinja_refuse(j, "a format and its value do not fit");
    snprintf(format, sizeof format, "%.*s*.*%s%c", (int)flags, directive, whole ? "ll" : "", kind);
    if (!whole) snprintf(text, sizeof text, format, width, precision, jinja_real(v));
    else snprintf(text, sizeof text, format, width, precision, v.type == JINJA_FLOAT
                  ? (long long)v.as.d : (long long)v.as.i);
    jinja_put(j, out, text);
}

/* format % arguments */
static inline jinja_value jinja_percent(jinja_state *j, jinja_value format, jinja_args args) {
    jinja_buffer out = { NULL, 0, 0 };
    jinja_value v;
    size_t next = 0, i, n;
    for (i = 0; i < format.n; i += n) {
        const char *s = format.as.s + i;
        for (n = 0; i + n < format.n && s[n] != '%'; ) n++;
        jinja_add(j, &out, s, n);
        if (i + n++ == format.n) break;
        i += n - 1;
        s = format.as.s + i;
        for (n = 1; i + n < format.n && strchr("-+ 0#.123456789", s[n]) && s[n]; ) n++;
        if (i + n++ == format.n) jinja_refuse(j, "a format that is not understood here");
        if (n == 2 && s[1] == '%') { jinja_put(j, &out, "%"); continue; }
        if (next == args.n) jinja_refuse(j, "a format has more %% than values");
        v = args.values[next++];
        if (format.safe && (s[n - 1] == 's' || s[n - 1] == 'r'))
            v = jinja_escaped(j, jinja_str(j, v));
        jinja_put_figure(j, &out, s, n, v);
    }
    if (next < args.n) jinja_refuse(j, "a format has more values than %%");
    v = jinja_built(out);
    v.safe = format.safe;
    return v;
}

/* format.format(arguments): {}, {1} and {name}; numbers with what C's % has too, {:02d} */
static inline jinja_value jinja_braces(jinja_state *j, jinja_value format, jinja_args args) {
    const char *s = format.as.s, *end = s + format.n, *close, *name, *spec;
    jinja_buffer out = { NULL, 0, 0 };
    size_t next = 0, i, n;
    int counted = 0;                /* 1: {} were counted, 2: numbers were given; not both       */
    char directive[16] = "%";
    jinja_spend(j, format.n / 32);
    for (; s < end; s++) {
        if ((*s != '{' && *s != '}') || (end - s > 1 && s[1] == *s)) {
            jinja_add(j, &out, s, 1);
            s += *s == '{' || *s == '}';
            continue;
        }
        name = s + 1;
        close = *s == '{' ? (const char *)memchr(s, '}', (size_t)(end - s)) : NULL;
        spec = close ? (const char *)memchr(s, ':', (size_t)(close - s)) : NULL;
        n = close ? (size_t)((spec ? spec : close) - name) : 0;
        for (i = 0; i < args.n && n && !(args.names[i].n == n
                                         && !memcmp(args.names[i].as.s, name, n)); ) i++;
        if (!n) i = next++;
        else if (n == 1 && jinja_is_digit(*name)) i = (size_t)(*name - '0');
        counted |= !n ? 1 : jinja_is_digit(*name) ? 2 : 0;
        if (!close || i >= args.n || counted == 3 || format.safe
            || (n && !jinja_is_digit(*name) && !args.names[i].type)
            || (spec && (close - spec > 9 || close[-1] == 's')))
            jinja_refuse(j, "a format that is not understood here");
        if (spec) {
            memcpy(directive + 1, spec + 1, (size_t)(close - spec) - 1);
            jinja_put_figure(j, &out, directive, (size_t)(close - spec), args.values[i]);
        } else jinja_put_value(j, &out, args.values[i], 0);
        s = close;
    }
    return jinja_built(out);
}

/* ---- what the entries do */

static inline jinja_value jinja_apply(jinja_state *j, int entry, jinja_value self, jinja_args args);

/* The lower case of a string, for comparing without it. */
static inline jinja_value jinja_folded(jinja_state *j, jinja_value v, jinja_value case_sensitive) {
    return v.type == JINJA_STRING && !jinja_truth(case_sensitive)
           ? jinja_cased(j, v, JINJA_LOWER) : v;
}

/* The items in order of their keys (which are moved too); equal ones stay as they are. lists 1: as
 * if each key were in a list, so that equal ones need no order. */
static inline void jinja_sort(jinja_state *j, jinja_value *keys, jinja_value *items,
                              size_t n, int reverse, int lists) {
    size_t i, k;
    for (i = 1; i < n; i++) {
        jinja_value key = keys[i], item = items[i];
        for (k = i; k; k--) {
            int order = lists && jinja_equal(j, key, keys[k - 1]) ? 0
                      : jinja_order(j, key, keys[k - 1]);
            if (reverse ? order != 1 : order != -1) break;
            keys[k] = keys[k - 1];
            items[k] = items[k - 1];
        }
        keys[k] = key;
        items[k] = item;
    }
}

/* A dict as its keys (how 0), values (1) or pairs (2). */
static inline jinja_value jinja_of_dict(jinja_state *j, jinja_dict *d, int type, int how) {
    static const char *const names[] = { "dict_keys", "dict_values", "dict_items" };
    jinja_value *items = jinja_items_new(j, d->n), v;
    size_t i;
    for (i = 0; i < d->n; i++) {
        jinja_value *pair = how == 2 ? jinja_items_new(j, 2) : NULL;
        if (pair) {
            pair[0] = d->keys[i];
            pair[1] = d->values[i];
        }
        items[i] = pair ? jinja_list_of(j, JINJA_TUPLE, pair, 2) : how ? d->values[i] : d->keys[i];
    }
    v = jinja_list_of(j, type, items, d->n);
    v.as.list->name = names[how];
    return v;
}

/* map, select, reject, selectattr, rejectattr */
static inline jinja_value jinja_filtered(jinja_state *j, int what, jinja_value self,
                                         jinja_args args) {
    int by_path = what == JINJA_SELECTATTR || what == JINJA_REJECTATTR, entry = -1;
    int keep = what == JINJA_SELECT || what == JINJA_SELECTATTR;
    jinja_value path = jinja_of(JINJA_MISSING), otherwise = path, *items;
    jinja_list *list;
    size_t i, n = 0;
    if (what == JINJA_MAP && args.n && args.names[0].type) {
        for (i = 0; i < args.n; i++) {
            if (jinja_is(args.names[i], "attribute")) path = args.values[i];
            else if (jinja_is(args.names[i], "default")) otherwise = args.values[i];
            else jinja_refuse(j, "map takes no such arguments");
        }
    } else {
        if (by_path) {
            if (!args.n || args.names[0].type) jinja_refuse(j, "an attribute is missing");
            path = args.values[0];
            args.values++;
            args.names++;
            args.n--;
        }
        if (args.n && !args.names[0].type) {
            jinja_value name = jinja_need_text(j, args.values[0]);
            entry = jinja_entry_find(what == JINJA_MAP ? 'f' : 't', name);
            if (entry < 0) jinja_refuse(j, "there is no filter or test \"%.*s\"",
                                        (int)(name.n < 80 ? name.n : 80), name.as.s);
            args.values++;
            args.names++;
            args.n--;
        } else if (what == JINJA_MAP || args.n) jinja_refuse(j, "a filter's name is missing");
    }
    list = jinja_each(j, jinja_truth(self) ? self : jinja_undefined(""));
    items = jinja_items_new(j, list->n);
    for (i = 0; i < list->n; i++) {
        jinja_value v = jinja_path(j, list->items[i], path);
        if (v.type == JINJA_UNDEFINED && otherwise.type > JINJA_NONE) v = otherwise;
        if (entry >= 0) v = jinja_apply(j, entry, v, args);
        if (what == JINJA_MAP) items[n++] = v;
        else if (jinja_truth(v) == keep) items[n++] = list->items[i];
    }
    return jinja_list_of(j, JINJA_ITERATOR, items, n);
}

/* min, max, sort, unique, sum and dictsort, whose arguments a[] are the entries' */
static inline jinja_value jinja_ordered(jinja_state *j, int what, jinja_value self,
                                        const jinja_value a[4]) {
    jinja_list *list;
    jinja_value *keys, *items, path = a[what == JINJA_SORT ? 2 : what == JINJA_SUM ? 0 : 1], v;
    size_t i, k, n = 0, best = 0;
    if (what == JINJA_DICTSORT) {
        if (self.type != JINJA_DICT) jinja_refuse(j, "dictsort needs a dict");
        path = jinja_int(a[1].type && jinja_is(a[1], "value"));
        self = jinja_of_dict(j, self.as.dict, JINJA_LIST, 2);
    }
    if (what == JINJA_SORT && path.type == JINJA_STRING && memchr(path.as.s, ',', path.n))
        jinja_refuse(j, "sort by several attributes is not understood here");
    list = jinja_each(j, self);
    keys = jinja_items_new(j, list->n);
    items = jinja_items_new(j, list->n);
    if (list->n) memcpy(items, list->items, list->n * sizeof *items);
    for (i = 0; i < list->n; i++) {
        keys[i] = jinja_path(j, items[i], path);
        if (what != JINJA_SUM)
            keys[i] = jinja_folded(j, keys[i], a[what == JINJA_SORT ? 1 : 0]);
    }
    switch (what) {
    case JINJA_SUM:
        v = a[1].type ? a[1] : jinja_int(0);
        for (i = 0; i < list->n; i++) v = jinja_binary_of(j, '+', v, keys[i]);
        return v;
    case JINJA_UNIQUE:
        for (i = 0; i < list->n; i++) {
            jinja_need_key(j, keys[i]);
            for (k = 0; k < n && !jinja_equal(j, keys[k], keys[i]); ) k++;
            if (k < n) continue;
            keys[n] = keys[i];
            items[n++] = list->items[i];
        }
        return jinja_list_of(j, JINJA_ITERATOR, items, n);
    case JINJA_MIN: case JINJA_MAX:
        if (!list->n) return jinja_undefined("");
        for (i = 1; i < list->n; i++)
            if (jinja_order(j, keys[i], keys[best]) == (what == JINJA_MIN ? -1 : 1)) best = i;
        return items[best];
    default:
        jinja_sort(j, keys, items, list->n, jinja_truth(a[what == JINJA_SORT ? 0 : 2]),
                   what == JINJA_SORT);
        return jinja_list_of(j, JINJA_LIST, items, list->n);
    }
}

/* Bytes of the end of a line at s, 0: it is none. */
static inline size_t jinja_line_end(const char *s, size_t n) {
    uint32_t c = jinja_code(s);
    if (c == '\r' && n > 1 && s[1] == '\n') return 2;
    return (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029
           ? jinja_bytes(s) : 0;
}

/* One more item, of a list that `used` has the room of until it is whole. */
static inline void jinja_push(jinja_state *j, jinja_list *l, jinja_value v) {
    if (l->n == l->used) {
        jinja_value *more = jinja_items_new(j, l->used = 2 * l->used + 4);
        if (l->n) memcpy(more, l->items, l->n * sizeof *more);
        l->items = more;
    }
    l->items[l->n++] = v;
}

static inline jinja_value jinja_lines(jinja_state *j, jinja_value v, int keep) {
    jinja_list l = { 0, 0, 0, NULL, NULL };
    size_t i, from = 0, end;
    jinja_spend(j, v.n / 32);
    for (i = 0; i < v.n; ) {
        end = jinja_line_end(v.as.s + i, v.n - i);
        if (end) jinja_push(j, &l, jinja_part(v, from, i + (keep ? end : 0)));
        if (end) from = i += end;
        else i += jinja_bytes(v.as.s + i);
    }
    if (from < v.n) jinja_push(j, &l, jinja_part(v, from, v.n));
    return jinja_list_of(j, JINJA_LIST, l.items, l.n);
}

/* split(sep, most), from the right rsplit(); sep None: at space, however much of it. */
static inline jinja_value jinja_split(jinja_state *j, jinja_value v, jinja_value sep, int64_t most,
                                      int right) {
    jinja_list l = { 0, 0, 0, NULL, NULL };
    jinja_value part;
    size_t i, k;
    int space = sep.type == JINJA_MISSING || sep.type == JINJA_NONE;
    if (!space && !jinja_need_text(j, sep).n) jinja_refuse(j, "an empty separator");
    jinja_spend(j, v.n / 32);
    if (space) v = jinja_strip(v, right ? 2 : 1, NULL);
    while (v.n || !space) {
        i = v.n + 1;
        if (most-- == 0) { jinja_push(j, &l, v); break; }
        if (!space) i = jinja_find(j, v, sep, 0, right);
        else if (!right) {
            for (k = 0; k < v.n && i > v.n; k += jinja_bytes(v.as.s + k))
                if (jinja_is_space(jinja_code(v.as.s + k))) i = k;
        } else {
            jinja_spend(j, v.n / 32);
            for (k = 0; k < v.n; k += jinja_bytes(v.as.s + k))
                if (jinja_is_space(jinja_code(v.as.s + k))) i = k;
        }
        if (i > v.n) { jinja_push(j, &l, v); break; }
        k = space ? jinja_bytes(v.as.s + i) : sep.n;
        jinja_push(j, &l, right ? jinja_part(v, i + k, v.n) : jinja_part(v, 0, i));
        v = right ? jinja_part(v, 0, i) : jinja_part(v, i + k, v.n);
        if (space) v = jinja_strip(v, right ? 2 : 1, NULL);
    }
    for (i = 0; right && i < l.n / 2; i++) {
        part = l.items[i];
        l.items[i] = l.items[l.n - 1 - i];
        l.items[l.n - 1 - i] = part;
    }
    return jinja_list_of(j, JINJA_LIST, l.items, l.n);
}

/* The bounds that a slice's start and end, of n things, mean; step < 0: it goes backwards. */
static inline int64_t jinja_bound_of(jinja_state *j, jinja_value v, int64_t n,
                                     int64_t otherwise, int back) {
    int64_t i = jinja_need_int(j, v, otherwise);
    if (v.type == JINJA_MISSING || v.type == JINJA_NONE) return i;
    if (i < 0) i += n;
    if (i < 0) return back ? -1 : 0;
    return i < n ? i : back ? n - 1 : n;
}

static inline jinja_value jinja_slice(jinja_state *j, jinja_value v, const jinja_value by[3]) {
    int64_t step = jinja_need_int(j, by[2], 1), from, to, n, i;
    jinja_value *items;
    size_t count = 0;
    jinja_need_defined(j, v);
    if (v.type != JINJA_STRING && v.type != JINJA_LIST && v.type != JINJA_TUPLE
        && v.type != JINJA_RANGE)
        jinja_refuse(j, "a %s has no slices", jinja_types[v.type]);
    if (step == 0 || step < -INT_MAX || step > INT_MAX) jinja_refuse(j, "a slice's step is 0");
    n = (int64_t)(v.type == JINJA_STRING ? jinja_length(v) : v.as.list->n);
    from = jinja_bound_of(j, by[0], n, step < 0 ? n - 1 : 0, step < 0);
    to = jinja_bound_of(j, by[1], n, step < 0 ? -1 : n, step < 0);
    jinja_spend(j, (size_t)n / 32);
    if (v.type == JINJA_STRING && step == 1) {
        size_t first = jinja_offset(v, (size_t)from);
        v = jinja_part(v, first, v.n);
        return jinja_part(v, 0, from < to ? jinja_offset(v, (size_t)(to - from)) : 0);
    }
    if (v.type == JINJA_STRING) {
        jinja_value all = jinja_of(JINJA_LIST);
        jinja_buffer b = { NULL, 0, 0 };
        all.as.list = jinja_each(j, v);
        for (i = from; step < 0 ? i > to : i < to; i += step)
            jinja_add(j, &b, all.as.list->items[i].as.s, all.as.list->items[i].n);
        return jinja_built(b);
    }
    items = jinja_items_new(j, (size_t)n);
    for (i = from; step < 0 ? i > to : i < to; i += step) items[count++] = v.as.list->items[i];
    if (v.type == JINJA_RANGE) v.type = JINJA_LIST;
    return jinja_list_of(j, v.type, items, count);
}

static inline jinja_value jinja_joined(jinja_state *j, jinja_value between,
                                       jinja_value list, jinja_value path, int method) {
    jinja_list *l = jinja_each(j, list);
    jinja_buffer b = { NULL, 0, 0 };
    size_t i;
    if (method && between.safe) jinja_refuse(j, "join() by a safe text is not understood here");
    for (i = 0; i < l->n; i++) {
        jinja_value v = jinja_path(j, l->items[i], path);
        if (i) jinja_add(j, &b, between.as.s, between.n);
        if (method) jinja_need_text(j, v);
        jinja_put_value(j, &b, v, 0);
    }
    return jinja_built(b);
}

/* int(v) and float(v) of Python; 0: it cannot be. A text may be either's, with _ between digits. */
static inline int jinja_convert(jinja_value v, int64_t base, int *is_real, int64_t *i, double *d) {
    char text[64], *end = text;
    size_t n = 0, k;
    *is_real = 0;
    if (jinja_is_whole(v)) { *i = v.as.i; *d = (double)v.as.i; return 1; }
    if (v.type == JINJA_FLOAT) { *is_real = 1; *d = v.as.d; return 1; }
    if (v.type != JINJA_STRING) return 0;
    v = jinja_strip(v, 3, NULL);
    for (k = 0; k < v.n && n + 1 < sizeof text; k++) {
        if (v.as.s[k] == '_' && k && k + 1 < v.n && jinja_is_digit(v.as.s[k - 1])
            && jinja_is_digit(v.as.s[k + 1])) continue;
        text[n++] = v.as.s[k];
    }
    text[n] = 0;
    if (!n || k < v.n || strlen(text) != n) return 0;
    errno = 0;
    *i = strtoll(text, &end, (int)base);
    if (!*end && end > text && !errno && (base == 10 || base == 16)) {
        *d = (double)*i;
        return 1;
    }
    *is_real = 1;
    for (k = text[0] == '-' || text[0] == '+'; text[k]; k++)
        if (!strchr("0123456789.eE+-", text[k])) break;
    if (text[k] && strcmp(text + (text[0] == '-' || text[0] == '+'), "inf")
        && strcmp(text + (text[0] == '-' || text[0] == '+'), "nan")) return 0;
    *d = strtod(text, &end);
    return !*end && end > text;
}

/* What is in front of a number rounds as in Python: half to even, of the number as it is. */
static inline double jinja_rounded(double d, int64_t digits, int how) {
    char text[400];
    double scale = pow(10, (double)digits);
    if (how) return (how < 0 ? floor(d * scale) : ceil(d * scale)) / scale;
    if (digits < 0 || digits > 60 || !(fabs(d) < 1e300)) return floor(d * scale + 0.5) / scale;
    snprintf(text, sizeof text, "%.*f", (int)digits, d);
    return strtod(text, NULL);
}

/* What the clock says, in the directives of strftime() that templates use. */
static inline jinja_value jinja_time(jinja_state *j, jinja_value format) {
    time_t clock = time(NULL);
    const struct tm *now = j->limits.now ? j->limits.now : localtime(&clock);
    jinja_buffer b = { NULL, 0, 0 };
    char directive[3] = "%", text[64], *from;
    size_t i;
    jinja_spend(j, format.n);
    if (!now) jinja_refuse(j, "the time is not known");
    for (i = 0; i < format.n; i++) {
        int plain = format.n - i > 1 && format.as.s[i + 1] == '-';         /* no zero in front   */
        if (format.as.s[i] != '%') { jinja_add(j, &b, format.as.s + i, 1); continue; }
        i += 1 + (size_t)plain;
        directive[1] = i < format.n ? format.as.s[i] : 0;
        if (!directive[1] || !strchr("aAbBdeHIjmMpSyYFT%", directive[1]))
            jinja_refuse(j, "strftime_now does not understand this %% here");
        if (!strftime(text, sizeof text, directive[1] == 'F' ? "%Y-%m-%d" : directive[1] == 'T'
                      ? "%H:%M:%S" : directive, now)) text[0] = 0;
        for (from = text; plain && from[0] == '0' && from[1]; ) from++;
        jinja_put(j, &b, from);
    }
    return jinja_built(b);
}

/* range, dict and namespace */
static inline jinja_value jinja_made(jinja_state *j, int what, jinja_args args,
                                     const jinja_value a[4]) {
    jinja_value v, pair, *items;
    jinja_buffer b = { NULL, 0, 0 };
    jinja_list *list;
    size_t i;
    if (what == JINJA_RANGE_OF) {
        int64_t from = jinja_need_int(j, a[0], 0), to = jinja_need_int(j, a[1], 0);
        int64_t step = jinja_need_int(j, a[2], 1), n = 0;
        if (!a[1].type) { to = from; from = 0; }
        if (!step || step < -INT_MAX || step > INT_MAX || from < -INT_MAX || from > INT_MAX
            || to < -INT_MAX || to > INT_MAX) jinja_refuse(j, "such a range is not understood");
        if (step > 0 && to > from) n = (to - from + step - 1) / step;
        if (step < 0 && to < from) n = (from - to - step - 1) / -step;
        if (n > 100000) jinja_refuse(j, "a range of more than 100000 numbers is not allowed");
        items = jinja_items_new(j, (size_t)n);
        for (i = 0; i < (size_t)n; i++) items[i] = jinja_int(from + (int64_t)i * step);
        v = jinja_list_of(j, JINJA_RANGE, items, (size_t)n);
        jinja_put(j, &b, "range(");
        jinja_put_int(j, &b, from);
        jinja_put(j, &b, ", ");
        jinja_put_int(j, &b, to);
        if (step != 1) { jinja_put(j, &b, ", "); jinja_put_int(j, &b, step); }
        jinja_add(j, &b, ")", 2);
        v.as.list->name = b.s;
        return v;
    }
    v = jinja_dict_new(j, what == JINJA_DICT_OF ? JINJA_DICT : JINJA_NAMESPACE);
    for (i = 0; i < args.n; i++) {
        if (args.names[i].type) jinja_dict_set(j, v.as.dict, args.names[i], args.values[i]);
        else if (i) jinja_refuse(j, "a dict is made of one value, or of named ones");
        else if (args.values[0].type == JINJA_DICT) {
            const jinja_dict *d = args.values[0].as.dict;
            size_t k;
            for (k = 0; k < d->n; k++) jinja_dict_set(j, v.as.dict, d->keys[k], d->values[k]);
        } else {
            size_t k;
            jinja_need_defined(j, args.values[0]);
            list = jinja_each(j, args.values[0]);
            for (k = 0; k < list->n; k++) {
                pair = list->items[k];
                if (!jinja_is_list(pair) || pair.as.list->n != 2)
                    jinja_refuse(j, "a dict is made of pairs");
                jinja_need_key(j, pair.as.list->items[0]);
                jinja_dict_set(j, v.as.dict, pair.as.list->items[0], pair.as.list->items[1]);
            }
        }
    }
    for (i = 0; what == JINJA_NAMESPACE_OF && i < v.as.dict->n; i++)
        if (v.as.dict->keys[i].n && *v.as.dict->keys[i].as.s == '_')
            jinja_refuse(j, "a name in a namespace cannot begin with _");
    return v;
}

static inline jinja_value jinja_tojson(jinja_state *j, jinja_value self, const jinja_value a[4]) {
    jinja_buffer b = { NULL, 0, 0 }, blanks = { NULL, 0, 0 };
    jinja_json how;
    int64_t n;
    how.ascii = jinja_truth(a[0]);
    how.sort = jinja_truth(a[3]);
    how.indent = a[1].type ? a[1] : jinja_of(JINJA_NONE);
    if (how.indent.type != JINJA_NONE && how.indent.type != JINJA_STRING) {
        for (n = jinja_need_int(j, how.indent, 0); n > 0; n--) jinja_put(j, &blanks, " ");
        how.indent = jinja_built(blanks);
    }
    how.comma = jinja_words(how.indent.type == JINJA_STRING ? "," : ", ");
    how.colon = jinja_words(": ");
    if (a[2].type > JINJA_NONE) {
        if (!jinja_is_list(a[2]) || a[2].as.list->n != 2)
            jinja_refuse(j, "tojson's separators are two strings");
        how.comma = jinja_need_text(j, a[2].as.list->items[0]);
        how.colon = jinja_need_text(j, a[2].as.list->items[1]);
    }
    jinja_put_json(j, &b, self, &how, 0);
    return jinja_built(b);
}

static inline jinja_value jinja_indented(jinja_state *j, jinja_value v, const jinja_value a[4]) {
    jinja_buffer b = { NULL, 0, 0 }, blanks = { NULL, 0, 0 };
    jinja_value by = a[0], lines;
    int64_t n;
    size_t i;
    if (by.type != JINJA_STRING) {
        for (n = jinja_need_int(j, by, 4); n > 0; n--) jinja_put(j, &blanks, " ");
        by = jinja_built(blanks);
    }
    lines = jinja_lines(j, jinja_binary_of(j, '+', jinja_need_text(j, v), jinja_words("\n")), 0);
    for (i = 0; i < lines.as.list->n; i++) {
        jinja_value line = lines.as.list->items[i];
        if (i) jinja_put(j, &b, "\n");
        if (i ? line.n || jinja_truth(a[2]) : jinja_truth(a[1])) jinja_add(j, &b, by.as.s, by.n);
        jinja_add(j, &b, line.as.s, line.n);
    }
    return jinja_built(b);
}

/* Methods of strings that look for one in another: the part of self between the arguments start
 * and end, and where it begins. */
static inline jinja_value jinja_window(jinja_state *j, jinja_value self,
                                       const jinja_value a[4], size_t *from) {
    jinja_value by[3], part;
    *from = 0;
    if (!a[1].type && !a[2].type) return self;
    by[0] = a[1];
    by[1] = a[2];
    by[2] = jinja_of(JINJA_MISSING);
    part = jinja_slice(j, self, by);
    *from = jinja_length(jinja_part(self, 0, (size_t)(part.as.s - self.as.s)));
    return part;
}

static inline int jinja_has_end(jinja_value v, jinja_value end, int right) {
    return end.n <= v.n && memcmp(v.as.s + (right ? v.n - end.n : 0), end.as.s, end.n) == 0;
}

/* A method of a string, or a filter that is one. */
static inline jinja_value jinja_on_text(jinja_state *j, const jinja_entry *e,
                                        jinja_value self, const jinja_value a[4]) {
    int what = e->what, right = e->option & 1;
    jinja_value part;
    size_t from, hit, n, i;
    if (what == JINJA_STRIP) {
        if (a[0].type && a[0].type != JINJA_NONE) jinja_need_text(j, a[0]);
        jinja_spend(j, self.n / 32 * (a[0].type > JINJA_NONE ? a[0].n : 1));
        return jinja_strip(self, e->option, a[0].type > JINJA_NONE ? &a[0] : NULL);
    }
    if (what == JINJA_SPLIT) return jinja_split(j, self, a[0], jinja_need_int(j, a[1], -1),
                                                e->option);
    if (what == JINJA_SPLITLINES) return jinja_lines(j, self, jinja_truth(a[0]));
    if (what == JINJA_STARTSWITH || what == JINJA_ENDSWITH) {
        part = jinja_window(j, self, a, &from);
        if (a[0].type != JINJA_TUPLE)
            return jinja_bool(jinja_has_end(part, jinja_need_text(j, a[0]),
                                            what == JINJA_ENDSWITH));
        for (i = 0; i < a[0].as.list->n; i++)
            if (jinja_has_end(part, jinja_need_text(j, a[0].as.list->items[i]),
                              what == JINJA_ENDSWITH)) return jinja_bool(1);
        return jinja_bool(0);
    }
    jinja_need_text(j, a[0]);
    if (what == JINJA_REMOVE) {
        if (!jinja_has_end(self, a[0], right)) return self;
        return right ? jinja_part(self, 0, self.n - a[0].n) : jinja_part(self, a[0].n, self.n);
    }
    part = jinja_window(j, self, a, &from);
    if (what == JINJA_COUNT) {
        if (!a[0].n) return jinja_int((int64_t)jinja_length(part) + 1);
        for (n = 0, i = 0; (hit = jinja_find(j, part, a[0], i, 0)) <= part.n; n++)
            i = hit + a[0].n;
        return jinja_int((int64_t)n);
    }
    hit = jinja_find(j, part, a[0], 0, right);
    if (hit > part.n && e->option & 2) jinja_refuse(j, "index(): the text is not in it");
    return jinja_int(hit > part.n ? -1 : (int64_t)(from + jinja_length(jinja_part(part, 0, hit))));
}

/* Entry `entry` of self with arguments. */
static inline jinja_value jinja_apply(jinja_state *j, int entry, jinja_value self,
                                      jinja_args args) {
    const jinja_entry *e = &jinja_entries[entry];
    jinja_value a[4], v;
    jinja_list *list;
    int what = e->what, real = 0;
    int64_t n, whole = 0;
    double d = 0;
    size_t i;
    jinja_bind(j, e, args, a);
    switch (what) {
    case JINJA_ABS:
        jinja_need_defined(j, self);
        if (!jinja_is_number(self)) jinja_refuse(j, "abs of what is no number");
        return self.type == JINJA_FLOAT ? jinja_float(fabs(self.as.d))
               : jinja_arithmetic(j, self.as.i < 0 ? '-' : '+', jinja_int(0), self);
    case JINJA_CASE_CAPITALIZE: return jinja_cased(j, jinja_str(j, self), JINJA_CAPITALIZE);
    case JINJA_CASE_LOWER: return jinja_cased(j, jinja_str(j, self), JINJA_LOWER);
    case JINJA_CASE_UPPER: return jinja_cased(j, jinja_str(j, self), JINJA_UPPER);
    case JINJA_CASE_TITLE: return jinja_cased(j, self, JINJA_TITLE);
    case JINJA_TITLE_OF: return jinja_cased(j, jinja_str(j, self), JINJA_TITLE_FILTER);
    case JINJA_LEN: return jinja_int((int64_t)jinja_len(j, self));
    case JINJA_DEFAULT:
        if (self.type != JINJA_UNDEFINED && !(jinja_truth(a[1]) && !jinja_truth(self))) return self;
        return a[0].type ? a[0] : jinja_words("");
    case JINJA_ESCAPE: return jinja_escaped(j, jinja_str(j, self));
    case JINJA_SAFE:
        v = jinja_str(j, self);
        v.safe = 1;
        return v;
    case JINJA_FIRST: case JINJA_LAST:
        if (what == JINJA_LAST && self.type == JINJA_ITERATOR)
            jinja_refuse(j, "an iterator has no last item");
        if (self.type == JINJA_ITERATOR && self.as.list->used < self.as.list->n)
            return self.as.list->items[self.as.list->used++];
        list = jinja_each(j, self);
        return !list->n ? jinja_undefined("") : list->items[what == JINJA_LAST ? list->n - 1 : 0];
    case JINJA_TO_INT: case JINJA_TO_FLOAT:
        jinja_need_defined(j, self);
        v = a[0].type ? a[0] : what == JINJA_TO_INT ? jinja_int(0) : jinja_float(0);
        n = what == JINJA_TO_INT ? jinja_need_int(j, a[1], 10) : 10;
        if (n != 10 && n != 16) jinja_refuse(j, "int with such a base is not understood here");
        if (!jinja_convert(self, n, &real, &whole, &d)) return v;
        if (what == JINJA_TO_FLOAT) return jinja_float(d);
        if (!real) return jinja_int(whole);
        if (d != d || d - d != 0) return v;
        if (fabs(d) >= 9.2e18) jinja_refuse(j, "a whole number beyond 64 bits");
        return jinja_int((int64_t)d);
    case JINJA_PERCENT: return jinja_percent(j, jinja_str(j, self), args);
    case JINJA_FORMAT: return jinja_braces(j, self, args);
    case JINJA_INDENT: return jinja_indented(j, self, a);
    case JINJA_ITEMS:
        if (self.type == JINJA_UNDEFINED) return jinja_list_of(j, JINJA_ITERATOR, NULL, 0);
        if (self.type != JINJA_DICT) jinja_refuse(j, "items of what is no dict");
        return jinja_of_dict(j, self.as.dict, e->option ? JINJA_ITERATOR : JINJA_VIEW, 2);
    case JINJA_KEYS: return jinja_of_dict(j, self.as.dict, JINJA_VIEW, 0);
    case JINJA_VALUES: return jinja_of_dict(j, self.as.dict, JINJA_VIEW, 1);
    case JINJA_DICT_GET:
        jinja_need_hash(j, a[0]);
        v = jinja_dict_get(j, self.as.dict, a[0]);
        return v.type ? v : a[1].type ? a[1] : jinja_of(JINJA_NONE);
    case JINJA_JOIN:
        return jinja_joined(j, a[0].type ? jinja_str(j, a[0]) : jinja_words(""), self, a[1], 0);
    case JINJA_JOIN_METHOD:
        jinja_need_defined(j, a[0]);
        return jinja_joined(j, self, a[0], jinja_of(JINJA_MISSING), 1);
    case JINJA_LIST_OF:
        list = jinja_each(j, self);
        return jinja_list_of(j, JINJA_LIST, list->items, list->n);
    case JINJA_REVERSE:
        if (self.type == JINJA_STRING) {
            a[0] = a[1] = jinja_of(JINJA_NONE);
            a[2] = jinja_int(-1);
            return jinja_slice(j, self, a);
        }
        list = jinja_each(j, self);
        v = jinja_of(JINJA_LIST);
        v.as.list = list;
        a[0] = a[1] = jinja_of(JINJA_NONE);
        a[2] = jinja_int(-1);
        v = jinja_slice(j, v, a);
        v.type = JINJA_ITERATOR;
        return v;
    case JINJA_MAP: case JINJA_SELECT: case JINJA_REJECT: case JINJA_SELECTATTR:
    case JINJA_REJECTATTR: return jinja_filtered(j, what, self, args);
    case JINJA_MIN: case JINJA_MAX: case JINJA_SORT: case JINJA_UNIQUE: case JINJA_SUM:
    case JINJA_DICTSORT: return jinja_ordered(j, what, self, a);
    case JINJA_REPLACE:
        if (e->option) {            /* the filter takes what is no string, and forgets `safe`    */
            self = jinja_str(j, self);
            a[0] = jinja_str(j, a[0]);
            a[1] = jinja_str(j, a[1]);
            self.safe = 0;
        }
        jinja_need_text(j, a[0]);
        jinja_need_text(j, a[1]);
        n = jinja_need_int(j, a[2], -1);
        v = jinja_replace(j, self, a[0], self.safe ? jinja_escaped(j, a[1]) : a[1], n);
        v.safe = self.safe;
        return v;
    case JINJA_ROUND:
        jinja_need_defined(j, self);
        if (!jinja_is_number(self)) jinja_refuse(j, "round of what is no number");
        n = jinja_need_int(j, a[0], 0);
        real = a[1].type ? jinja_is(a[1], "floor") ? -1 : jinja_is(a[1], "ceil") ? 1
                           : jinja_is(a[1], "common") ? 0 : 2 : 0;
        if (real == 2) jinja_refuse(j, "round is common, floor or ceil");
        if (!real && jinja_is_whole(self) && n >= 0) return jinja_int(self.as.i);
        return jinja_float(jinja_rounded(jinja_real(self), n, real));
    case JINJA_STR_OF: return jinja_str(j, self);
    case JINJA_TOJSON: return jinja_tojson(j, self, a);
    case JINJA_BOOLEAN: return jinja_bool(self.type == JINJA_BOOL);
    case JINJA_CALLABLE: return jinja_bool(self.type == JINJA_MACRO || self.type == JINJA_METHOD
                                           || self.type == JINJA_UNDEFINED);
    case JINJA_DEFINED: return jinja_bool((self.type != JINJA_UNDEFINED) == e->option);
    case JINJA_DIVISIBLE:
    case JINJA_ODD:
        v = jinja_binary_of(j, '%', self, what == JINJA_ODD ? jinja_int(2) : a[0]);
        return jinja_bool(jinja_equal(j, v, jinja_int(e->option)));
    case JINJA_IS_EQ: return jinja_bool(jinja_equal(j, self, a[0]));
    case JINJA_IS_NE: return jinja_bool(!jinja_equal(j, self, a[0]));
    case JINJA_IS_LT: case JINJA_IS_LE: case JINJA_IS_GT: case JINJA_IS_GE:
        jinja_need_defined(j, self);
        jinja_need_defined(j, a[0]);
        real = jinja_order(j, self, a[0]);
        return jinja_bool(what == JINJA_IS_LT ? real == -1 : what == JINJA_IS_LE ? real < 1
                          : what == JINJA_IS_GT ? real == 1 : real == 0 || real == 1);
    case JINJA_IN: return jinja_bool(jinja_in(j, self, a[0]));
    case JINJA_IS_FALSE: return jinja_bool(self.type == JINJA_BOOL && !self.as.i);
    case JINJA_IS_TRUE: return jinja_bool(self.type == JINJA_BOOL && self.as.i);
    case JINJA_IS_FLOAT: return jinja_bool(self.type == JINJA_FLOAT);
    case JINJA_IS_INT: return jinja_bool(self.type == JINJA_INT);
    case JINJA_IS_NUMBER: return jinja_bool(jinja_is_number(self));
    case JINJA_ITERABLE:
        return jinja_bool(jinja_is_list(self) || self.type == JINJA_DICT || self.type == JINJA_LOOP
                          || self.type == JINJA_STRING || self.type == JINJA_UNDEFINED);
    case JINJA_MAPPING: return jinja_bool(self.type == JINJA_DICT);
    case JINJA_IS_NONE: return jinja_bool(self.type == JINJA_NONE);
    case JINJA_SEQUENCE:
        return jinja_bool(self.type == JINJA_LIST || self.type == JINJA_TUPLE
                          || self.type == JINJA_DICT || self.type == JINJA_STRING
                          || self.type == JINJA_RANGE || self.type == JINJA_UNDEFINED);
    case JINJA_IS_STRING: return jinja_bool(self.type == JINJA_STRING);
    case JINJA_STRIP: case JINJA_SPLIT: case JINJA_SPLITLINES: case JINJA_STARTSWITH:
    case JINJA_ENDSWITH: case JINJA_FIND: case JINJA_COUNT: case JINJA_REMOVE:
        return jinja_on_text(j, e, jinja_str(j, self), a);
    case JINJA_INDEX:
        for (i = 0, n = 0; i < self.as.list->n; i++) {
            if (!jinja_equal(j, self.as.list->items[i], a[0])) continue;
            if (e->option) return jinja_int((int64_t)i);
            n++;
        }
        if (e->option) jinja_refuse(j, "index(): the value is not in the list");
        return jinja_int(n);
    case JINJA_DICT_OF: case JINJA_NAMESPACE_OF: case JINJA_RANGE_OF:
        return jinja_made(j, what, args, a);
    case JINJA_STRFTIME: return jinja_time(j, jinja_need_text(j, a[0]));
    case JINJA_RAISE:
        v = jinja_str(j, a[0]);
        jinja_refuse(j, "the chat template says: %.*s", (int)(v.n < 200 ? v.n : 200), v.as.s);
        return v;
    default:
        jinja_refuse(j, "this is not understood here");
        return self;
    }
}

/* ---- running: expressions and statements */

static inline void jinja_deep(jinja_state *j, const jinja_node *n) {
    if (++j->depth <= JINJA_DEEPEST) return;
    j->at = n->at;
    jinja_refuse(j, "the chat template calls itself too deep");
}

static inline int jinja_run(jinja_state *j, const jinja_node *n);

/* What statements write, with names of their own over those of `up`. */
static inline jinja_value jinja_captured(jinja_state *j, const jinja_node *body) {
    jinja_buffer out = { NULL, 0, 0 }, *before = j->out;
    j->out = &out;
    jinja_run(j, body);
    j->out = before;
    return jinja_built(out);
}

static inline jinja_value jinja_call_macro(jinja_state *j, const jinja_macro *macro,
                                           jinja_args args) {
    const jinja_node *parameter = macro->node->part[0];
    jinja_scope *before = j->scope;
    jinja_value text;
    size_t i, k, taken = 0;
    jinja_open_scope(j, macro->scope);
    for (k = 0; parameter; parameter = parameter->next, k++) {
        jinja_value v = jinja_undefined(parameter->value.as.s);
        v.n = parameter->value.n;
        for (i = 0; i < args.n; i++)
            if (args.names[i].type ? args.names[i].as.s == parameter->value.as.s : i == k) {
                if (v.type != JINJA_UNDEFINED || v.as.s != parameter->value.as.s)
                    jinja_refuse(j, "an argument is given twice");
                v = args.values[i];
                taken++;
            }
        if (v.type == JINJA_UNDEFINED && v.as.s == parameter->value.as.s && parameter->part[0])
            v = jinja_eval(j, parameter->part[0]);
        jinja_assign(j, parameter->value.as.s, v);
    }
    for (i = 0; i < args.n; i++)
        if (args.names[i].type && jinja_is(args.names[i], "caller")) {
            jinja_assign(j, args.names[i].as.s, args.values[i]);
            taken++;
        }
    if (taken < args.n) jinja_refuse(j, "the macro %.*s takes no such arguments",
                                     (int)macro->node->value.n, macro->node->value.as.s);
    text = jinja_captured(j, macro->node->part[1]);
    j->scope = before;
    return text;
}

/* Arguments; *list stands for as many as it has items. */
static inline jinja_args jinja_args_of(jinja_state *j, const jinja_node *first) {
    const jinja_node *n;
    jinja_args args;
    size_t count = 0, i;
    for (n = first; n; n = n->next) count++;
    args.n = 0;
    args.values = jinja_items_new(j, 2 * count);
    args.names = args.values + count;
    for (n = first; n; n = n->next) {
        jinja_value v = jinja_eval(j, n->part[0]), *all = args.values;
        jinja_list *list = n->op ? jinja_each(j, v) : NULL;
        if (list) {
            all = jinja_items_new(j, 2 * (count += list->n));
            memcpy(all, args.values, args.n * sizeof *all);
            memcpy(all + count, args.names, args.n * sizeof *all);
            args.values = all;
            args.names = all + count;
        }
        for (i = 0; i < (list ? list->n : 1); i++) {
            args.values[args.n] = list ? list->items[i] : v;
            args.names[args.n++] = n->value;
        }
    }
    return args;
}

static inline jinja_value jinja_call(jinja_state *j, const jinja_node *n) {
    jinja_value f = jinja_eval(j, n->part[0]);
    jinja_args args = jinja_args_of(j, n->part[1]);
    j->at = n->at;
    jinja_need_defined(j, f);
    if (f.type == JINJA_MACRO) return jinja_call_macro(j, f.as.macro, args);
    if (f.type == JINJA_METHOD && jinja_entries[f.as.bound->entry].what == JINJA_UNSUPPORTED)
        jinja_refuse(j, "%.*s() is not understood here, or would change a value",
                     (int)n->part[0]->value.n, n->part[0]->value.as.s);
    if (f.type != JINJA_METHOD)
        jinja_refuse(j, "a %s cannot be called", jinja_types[f.type]);
    return jinja_apply(j, f.as.bound->entry, f.as.bound->self, args);
}

static inline jinja_value jinja_compared(jinja_state *j, const jinja_node *n) {
    jinja_value left = jinja_eval(j, n->part[0]), right;
    const jinja_node *o;
    int holds = 1, order;
    for (o = n->part[1]; o && holds; o = o->next, left = right) {
        right = jinja_eval(j, o->part[0]);
        j->at = o->at;
        if (o->op == JINJA_EQ || o->op == JINJA_NE)
            holds = jinja_equal(j, left, right) == (o->op == JINJA_EQ);
        else if (o->op == JINJA_IS_IN || o->op == JINJA_NOT_IN)
            holds = jinja_in(j, left, right) == (o->op == JINJA_IS_IN);
        else {
            jinja_need_defined(j, left);
            jinja_need_defined(j, right);
            order = jinja_order(j, left, right);
            holds = o->op == '<' ? order == -1 : o->op == '>' ? order == 1
                  : o->op == JINJA_LE ? order < 1 : order == 0 || order == 1;
        }
    }
    return jinja_bool(holds);
}

static inline jinja_value jinja_made_list(jinja_state *j, const jinja_node *n) {
    const jinja_node *item;
    jinja_value *items, dict;
    size_t count = 0;
    for (item = n->part[0]; item; item = item->next) count++;
    if (n->kind == JINJA_MAKE_DICT) {
        dict = jinja_dict_new(j, JINJA_DICT);
        for (item = n->part[0]; item; item = item->next->next) {
            jinja_value key = jinja_eval(j, item);
            j->at = item->at;
            jinja_need_key(j, key);
            jinja_dict_set(j, dict.as.dict, key, jinja_eval(j, item->next));
        }
        return dict;
    }
    items = jinja_items_new(j, count);
    count = 0;
    for (item = n->part[0]; item; item = item->next) items[count++] = jinja_eval(j, item);
    return jinja_list_of(j, n->kind == JINJA_MAKE_LIST ? JINJA_LIST : JINJA_TUPLE, items, count);
}

static inline jinja_value jinja_eval_rest(jinja_state *j, const jinja_node *n) {
    jinja_value v, by[3];
    jinja_scope *scope = j->scope;
    int i;
    switch (n->kind) {
    case JINJA_MAKE_LIST: case JINJA_MAKE_TUPLE: case JINJA_MAKE_DICT: return jinja_made_list(j, n);
    case JINJA_SLICE:
        v = jinja_eval(j, n->part[0]);
        for (i = 0; i < 3; i++)
            by[i] = n->part[i + 1] ? jinja_eval(j, n->part[i + 1]) : jinja_of(JINJA_MISSING);
        j->at = n->at;
        return jinja_slice(j, v, by);
    case JINJA_CAPTURE:
        jinja_open_scope(j, scope);
        v = jinja_captured(j, n->part[0]);
        j->scope = scope;
        return v;
    case JINJA_MAKE_MACRO:
        v = jinja_of(JINJA_MACRO);
        v.as.macro = (jinja_macro *)jinja_new(j, sizeof *v.as.macro);
        v.as.macro->node = n;
        v.as.macro->scope = scope;
        return v;
    default:                        /* NEG, POS                                                  */
        v = jinja_eval(j, n->part[0]);
        j->at = n->at;
        jinja_need_defined(j, v);
        if (!jinja_is_number(v))
            jinja_refuse(j, "a %s has no sign", jinja_types[v.type]);
        if (v.type == JINJA_FLOAT) return jinja_float(n->kind == JINJA_NEG ? -v.as.d : v.as.d);
        return jinja_arithmetic(j, n->kind == JINJA_NEG ? '-' : '+', jinja_int(0), v);
    }
}

static inline jinja_value jinja_eval_filter(jinja_state *j, const jinja_node *n) {
    jinja_value v = jinja_eval(j, n->part[0]);
    jinja_args args = jinja_args_of(j, n->part[1]);
    j->at = n->at;
    if (n->op < 0)
        jinja_refuse(j, "there is no %s %.*s", n->kind == JINJA_FILTER ? "filter" : "test",
                     (int)n->value.n, n->value.as.s);
    return jinja_apply(j, n->op, v, args);
}

static inline jinja_value jinja_eval(jinja_state *j, const jinja_node *n) {
    jinja_value v, w;
    jinja_spend(j, 1);
    jinja_deep(j, n);
    switch (n->kind) {
    case JINJA_CONST: v = n->value; break;
    case JINJA_NAME: v = jinja_lookup(j, n->value); break;
    case JINJA_GET:                 /* of a dict its methods come first                          */
        v = jinja_eval(j, n->part[0]);
        j->at = n->at;
        v = v.type == JINJA_DICT && n->op >= 0 ? jinja_bind_method(j, n->op, v)
                                               : jinja_item(j, v, n->value);
        break;
    case JINJA_ITEM:
        v = jinja_eval(j, n->part[0]);
        w = jinja_eval(j, n->part[1]);
        j->at = n->at;
        v = jinja_item(j, v, w);
        break;
    case JINJA_CALL: v = jinja_call(j, n); break;
    case JINJA_FILTER: case JINJA_TEST: v = jinja_eval_filter(j, n); break;
    case JINJA_NOT: v = jinja_bool(!jinja_truth(jinja_eval(j, n->part[0]))); break;
    case JINJA_AND: case JINJA_OR:
        v = jinja_eval(j, n->part[0]);
        if (jinja_truth(v) == (n->kind == JINJA_AND)) v = jinja_eval(j, n->part[1]);
        break;
    case JINJA_CHOICE:
        if (jinja_truth(jinja_eval(j, n->part[0]))) v = jinja_eval(j, n->part[1]);
        else v = n->part[2] ? jinja_eval(j, n->part[2]) : jinja_undefined("");
        break;
    case JINJA_BINARY:
        v = jinja_eval(j, n->part[0]);
        w = jinja_eval(j, n->part[1]);
        j->at = n->at;
        v = jinja_binary_of(j, n->op, v, w);
        break;
    case JINJA_COMPARE: v = jinja_compared(j, n); break;
    default: v = jinja_eval_rest(j, n); break;
    }
    j->depth--;
    return v;
}

static inline void jinja_set(jinja_state *j, const jinja_node *target, jinja_value v) {
    jinja_value of;
    jinja_list *list;
    const jinja_node *t;
    size_t i = 0;
    j->at = target->at;
    if (target->kind == JINJA_NAME) {
        jinja_assign(j, target->value.as.s, v);
    } else if (target->kind == JINJA_GET) {
        of = jinja_eval(j, target->part[0]);
        if (of.type != JINJA_NAMESPACE || *target->value.as.s == '_')
            jinja_refuse(j, "only what is in a namespace can be set like this");
        jinja_dict_set(j, of.as.dict, target->value, v);
        of.as.dict->depth = 1;
    } else {
        jinja_need_defined(j, v);
        list = jinja_each(j, v);
        for (t = target->part[0]; t; t = t->next, i++)
            if (i < list->n) jinja_set(j, t, list->items[i]);
        j->at = target->at;
        if (i != list->n) jinja_refuse(j, "%lu values cannot be given to %lu names",
                                       (unsigned long)list->n, (unsigned long)i);
    }
}

static inline int jinja_run_for(jinja_state *j, const jinja_node *n) {
    jinja_scope *scope = j->scope;
    jinja_value of = jinja_eval(j, n->part[1]), loop = jinja_of(JINJA_LOOP);
    jinja_list *list;
    size_t i, count = 0;
    int how = 0;
    j->at = n->at;
    list = jinja_each(j, of);
    if (n->part[2]) {
        jinja_value *items = jinja_items_new(j, list->n);
        for (i = 0; i < list->n; i++) {
            jinja_open_scope(j, scope);
            jinja_set(j, n->part[0], list->items[i]);
            if (jinja_truth(jinja_eval(j, n->part[2]))) items[count++] = list->items[i];
        }
        list->items = items;
        list->n = count;
    }
    loop.as.loop = (jinja_loop *)jinja_new(j, sizeof *loop.as.loop);
    loop.as.loop->items = list;
    for (i = 0; i < list->n && how != JINJA_BREAK; i++) {
        jinja_open_scope(j, scope);
        loop.as.loop->index = i;
        jinja_assign(j, n->value.as.s, loop);
        jinja_set(j, n->part[0], list->items[i]);
        how = jinja_run(j, n->part[3]);
    }
    how = 0;
    if (!list->n && n->part[4]) {
        jinja_open_scope(j, scope);
        how = jinja_run(j, n->part[4]);
    }
    j->scope = scope;
    return how;
}

/* Statements one after the other; returns BREAK or CONTINUE where one of them is, else 0. */
static inline int jinja_run(jinja_state *j, const jinja_node *n) {
    const jinja_node *clause;
    int how = 0;
    if (!n) return 0;
    jinja_deep(j, n);
    for (; n && !how; n = n->next) {
        jinja_spend(j, 1);
        switch (n->kind) {
        case JINJA_PRINT: jinja_put_value(j, j->out, jinja_eval(j, n->part[0]), 0); break;
        case JINJA_SET: jinja_set(j, n->part[0], jinja_eval(j, n->part[1])); break;
        case JINJA_IF:
            for (clause = n->part[0]; clause; clause = clause->next)
                if (!clause->part[0] || jinja_truth(jinja_eval(j, clause->part[0]))) {
                    how = jinja_run(j, clause->part[1]);
                    break;
                }
            break;
        case JINJA_FOR: how = jinja_run_for(j, n); break;
        default: how = n->kind; break;
        }
    }
    j->depth--;
    return how;
}

/* ---- from outside */

static inline void jinja_begin(jinja_state *j, const char *text, const jinja_limits *limits,
                               char *error) {
    memset(j, 0, sizeof *j);
    j->text = text;
    j->error = error;
    if (limits) j->limits = *limits;
    if (!j->limits.steps) j->limits.steps = 20000000;
    if (!j->limits.memory) j->limits.memory = (size_t)1 << 29;
    if (!j->limits.output) j->limits.output = (size_t)1 << 26;
}

/* The text as jinja2 reads it: every end of a line is "\n", one at the very end is dropped. */
static inline void jinja_read(jinja_parser *p, const char *s, size_t n) {
    char *to = (char *)jinja_take(p->j, n + 8);
    uint32_t code;
    size_t i = 0;
    p->j->text = p->at = to;
    for (; i < n; ) {
        int bytes = json_utf8(s + i, n - i, &code);
        if (!bytes || !code) {
            p->j->at = to;
            jinja_refuse(p->j, "a byte that is not UTF-8, or 0");
        }
        memcpy(to, s + i, (size_t)bytes);
        if (s[i] == '\r') *to = '\n';
        i += s[i] == '\r' && i + 1 < n && s[i + 1] == '\n' ? 2 : (size_t)bytes;
        to += bytes;
    }
    if (to > p->at && to[-1] == '\n') to--;
    memset(to, 0, 8);
    p->end = to;
}

static inline int jinja_parse_all(jinja_state *j, jinja *t, const char *text, size_t length) {
    jinja_parser p;
    memset(&p, 0, sizeof p);
    p.j = j;
    if (setjmp(j->refused)) return 0;
    p.names = jinja_dict_new(j, JINJA_DICT).as.dict;
    jinja_read(&p, text, length);
    t->body = jinja_body(&p, NULL, NULL);
    jinja_need_known(&p);
    return 1;
}

/* NULL with a sentence that has line and column. text need not live on. */
static inline jinja *jinja_parse(const char *text, size_t length, char *error) {
    jinja *t = (jinja *)calloc(1, sizeof *t);
    jinja_state j;
    int good;
    jinja_begin(&j, NULL, NULL, error);
    if (!t) {
        snprintf(error, JSON_ERROR_LENGTH, "there is not enough memory for the chat template");
        return NULL;
    }
    good = jinja_parse_all(&j, t, text, length);
    t->blocks = j.blocks;
    t->text = j.text;
    if (good) return t;
    jinja_free_blocks(j.blocks);
    free(t);
    return NULL;
}

static inline void jinja_free(jinja *t) {
    if (t) jinja_free_blocks(t->blocks);
    free(t);
}

static inline jinja_value jinja_from_json(jinja_state *j, const json_value *of) {
    const json_value *in;
    jinja_value v, *items;
    size_t n = 0;
    switch (of->type) {
    case JSON_NULL: return jinja_of(JINJA_NONE);
    case JSON_FALSE: case JSON_TRUE: return jinja_bool(of->type == JSON_TRUE);
    case JSON_STRING: return jinja_string(of->text, of->length);
    case JSON_NUMBER:
        n = strspn(of->text, "-0123456789");
        if (of->text[n] && strchr(".eE", of->text[n])) return jinja_float(strtod(of->text, NULL));
        errno = 0;
        v = jinja_int(strtoll(of->text, NULL, 10));
        if (errno) jinja_refuse(j, "%.40s is a whole number beyond 64 bits", of->text);
        return v;
    case JSON_ARRAY:
        items = jinja_items_new(j, of->length);
        for (in = json_first(of); in; in = json_next(of, in)) items[n++] = jinja_from_json(j, in);
        return jinja_list_of(j, JINJA_LIST, items, n);
    default:
        v = jinja_dict_new(j, JINJA_DICT);
        for (in = json_first(of); in; in = json_next(of, in))
            jinja_dict_set(j, v.as.dict, jinja_string(in->key, in->key_length),
                           jinja_from_json(j, in));
        return v;
    }
}

static inline int jinja_run_all(jinja_state *j, const jinja *t, const json_value *variables) {
    if (setjmp(j->refused)) return 0;
    j->variables = jinja_dict_new(j, JINJA_DICT).as.dict;
    if (json_is(variables, JSON_OBJECT))
        j->variables = jinja_from_json(j, variables).as.dict;
    jinja_open_scope(j, NULL);
    jinja_run(j, t->body);
    return 1;
}

/* What the template writes of these variables (a JSON object), from malloc and ended by a NUL that
 * is not counted; NULL with a sentence. limits: NULL, or those to take where they are not 0. */
static inline char *jinja_render(const jinja *t, const json_value *variables,
                                 const jinja_limits *limits, size_t *length, char *error) {
    jinja_buffer out = { NULL, 0, 0 };
    jinja_state j;
    char *text = NULL;
    jinja_begin(&j, t->text, limits, error);
    j.out = &out;
    if (jinja_run_all(&j, t, variables)) {
        text = (char *)malloc(out.n + 1);
        if (!text) snprintf(error, JSON_ERROR_LENGTH, "there is not enough memory for the text");
        else {
            if (out.n) memcpy(text, out.s, out.n);
            text[out.n] = 0;
            *length = out.n;
        }
    }
    jinja_free_blocks(j.blocks);
    return text;
}

#endif
