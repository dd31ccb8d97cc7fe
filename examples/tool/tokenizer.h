/* tokenizer.h: text to tokens and back, as a Hugging Face folder says.
 *
 *     tokenizer *t = tokenizer_load("Qwen2.5-0.5B", error);        (char error[JSON_ERROR_LENGTH])
 *     if (!t) return complain(error);
 *     config.encode = tokenizer_encode;
 *     config.decode = tokenizer_decode;
 *     config.tokenizer = t;
 *     config.max_token_bytes = tokenizer_longest(t);
 *     ...
 *     tokenizer_free(t);
 *
 * It does what the Python package tokenizers (0.23) does with the folder's tokenizer.json,
 * add_special_tokens off: added tokens are found first, what lies between is normalised, cut into
 * words, and each word is merged by byte pair encoding. It knows
 *
 *     normalizer      NFC, Prepend, Replace
 *     pre_tokenizer   ByteLevel, Digits, Metaspace, Split with the pattern of GPT-2, Llama 3,
 *                     Qwen2 or the four of llama.cpp's default (SmolLM2 is Digits and ByteLevel)
 *     model           BPE, with or without byte_fallback, unk_token, fuse_unk, ignore_merges
 *     decoder         ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip
 *     post_processor  ByteLevel, TemplateProcessing: only what it puts in front and behind
 *
 * and Sequences of these; anything else that would change the tokens is refused by name. Not read
 * are truncation and padding: those are the caller's. Added tokens are also those that transformers
 * takes from beside tokenizer.json: added_tokens_decoder and the special tokens (bos_token and the
 * like, extra_special_tokens, additional_special_tokens) of tokenizer_config.json, and where that
 * has no added_tokens_decoder also special_tokens_map.json and added_tokens.json. A text need not
 * be UTF-8: each byte that is not is a character of its own, and comes back as it was where the
 * vocabulary has all bytes.
 *
 * One tokenizer serves one thread at a time (it remembers words); two are independent. */
#ifndef TOKENIZER_H
#define TOKENIZER_H

#include <limits.h>
#include <stdarg.h>

#include "special_tokens.h"
#include "unicode.h"

enum { TOKENIZER_STEPS = 16, TOKENIZER_MOST_IDS = 1 << 22 };

typedef struct tokenizer tokenizer;
typedef struct tokenizer_step tokenizer_step;

/* The bytes, at least one, of the first piece of s, which has n > 0. */
typedef size_t (*tokenizer_cut)(const tokenizer *t, const tokenizer_step *step, const char *s,
                                size_t n);

enum { TOKENIZER_JSON, TOKENIZER_CONFIG, TOKENIZER_MAP, TOKENIZER_LIST, TOKENIZER_FILES };

enum { TOKENIZER_ALWAYS, TOKENIZER_FIRST, TOKENIZER_NEVER };        /* prepend_scheme            */

enum tokenizer_kind {
    TOKENIZER_NFC, TOKENIZER_PREPEND, TOKENIZER_REPLACE,            /* normalizer                */
    TOKENIZER_CUT, TOKENIZER_SPACE_BEFORE, TOKENIZER_METASPACE,     /* pre_tokenizer, decoder    */
    TOKENIZER_BYTES, TOKENIZER_FALLBACK, TOKENIZER_FUSE, TOKENIZER_STRIP    /* decoder           */
};

struct tokenizer_step {             /* of the normalizer, the pre_tokenizer or the decoder       */
    int kind;
    tokenizer_cut cut;
    const char *from, *to;          /* replace, strip, metaspace: what; replace, prepend: by what */
    size_t from_length, to_length;
    int scheme, start, stop;        /* metaspace; strip: most characters at either end           */
};

typedef struct tokenizer_steps {
    tokenizer_step step[TOKENIZER_STEPS];
    int count;
} tokenizer_steps;

typedef struct tokenizer_token {
    const char *text;               /* as in the vocabulary; NULL: no token has this id          */
    size_t length;
    const char *shown;              /* what is decoded: of an added token the normalised text    */
    size_t shown_length;
    int in_model, special;          /* in model.vocab; left out by tokenizer_decode()            */
    int added;                      /* while loading: its number among the added ones, from 1    */
} tokenizer_token;

typedef struct tokenizer_added {
    const char *content;            /* as in the file                                            */
    size_t content_length;
    char *text;                     /* what to look for: normalised if that is asked for         */
    size_t length;
    int id, special, single_word, lstrip, rstrip;
    int normalized;                 /* -1: if it is not special                                  */
} tokenizer_added;

typedef struct tokenizer_added_list {
    tokenizer_added *items;         /* in the order of their bytes                               */
    size_t count;
    unsigned char starts[256];      /* 1: one begins with this byte                              */
} tokenizer_added_list;

typedef struct tokenizer_merge {
    uint64_t pair;                  /* left id << 32 | right id; all ones: free                  */
    int rank, id;
} tokenizer_merge;

typedef struct tokenizer_symbol {
    int id, before, after;          /* id -1: merged into the one before; -1: nobody there       */
} tokenizer_symbol;

enum { TOKENIZER_WORDS = 1 << 16, TOKENIZER_WORD_BYTES = 22, TOKENIZER_WORD_TOKENS = 10 };

typedef struct tokenizer_word {     /* one cache line: a word and what it became; length 0: free */
    unsigned char length, count;
    char bytes[TOKENIZER_WORD_BYTES];
    int tokens[TOKENIZER_WORD_TOKENS];
} tokenizer_word;

typedef struct tokenizer_text {     /* a text that grows, perhaps made of pieces                 */
    char *bytes;
    size_t length, capacity;
    size_t *ends;                   /* of each piece                                             */
    size_t pieces, room;
} tokenizer_text;

struct tokenizer {
    int show_special;               /* yours: 1 to have special tokens decoded too               */

    char *files[TOKENIZER_FILES];   /* tokenizer.json and others, into which the texts point     */
    tokenizer_token *tokens;        /* [size]                                                    */
    int size, longest, bos, eos, own_size;
    int *slots;                     /* hash table of ids, -1: free                               */
    size_t slot_mask;
    tokenizer_merge *merges;        /* hash table                                                */
    size_t merge_mask;
    int *merged;                    /* by rank: the id that the merge makes                      */
    tokenizer_added_list added[2];  /* found in the text as it is; in the normalised text        */
    tokenizer_added *found;         /* while loading: all of them, in the order of the files     */
    size_t num_found;
    int next;                       /* while loading: the id of a token that is new              */

    tokenizer_steps normalizer, pre_tokenizer, decoder;
    int has_decoder, byte_level, byte_fallback, has_unk, unk, fuse_unk, ignore_merges;
    int byte_ids[256];              /* of the character that stands for a byte; -1: none         */
    int fallback_ids[256];          /* of <0x00> to <0xFF>; -1: none                             */
    uint32_t byte_codes[256];       /* the character that stands for a byte                      */
    int code_bytes[324];            /* ... and back; -1: none                                    */
    unicode_tables *unicode;

    tokenizer_word *words;          /* what was met before                                       */
    tokenizer_symbol *symbols;      /* the word at hand                                          */
    size_t num_symbols, symbol_room;
    uint64_t *heap;                 /* its possible merges: rank << 32 | left symbol             */
    size_t num_heap, heap_room;
    unicode_work nfc;
    tokenizer_text normal[2], spaced, scratch, decoded[2];
    int *out;                       /* where the tokens go, room for so many, and how many       */
    size_t out_room, out_count;

    char *error;                    /* while loading                                             */
    const char *name;
};

static inline tokenizer *tokenizer_load(const char *folder, char *error);
static inline tokenizer *tokenizer_load_parts(const char *folder, const char *end, char *error);
static inline tokenizer *tokenizer_parse(char *text, size_t length, const char *name, char *error);
static inline void tokenizer_free(tokenizer *t);
static inline int tokenizer_encode(void *t, const char *text, int *tokens, int capacity);
static inline int tokenizer_encode_bytes(tokenizer *t, const char *text, size_t length,
                                         int *tokens, int capacity);
static inline int tokenizer_decode(void *t, const int *tokens, int n, char *text, int capacity);
static inline int tokenizer_id(const tokenizer *t, const char *token);

/* Largest id + 1. */
static inline int tokenizer_size(const tokenizer *t) { return t->size; }

/* Whether there is a token of this id. */
static inline int tokenizer_has(const tokenizer *t, int id) {
    return id >= 0 && id < t->size && t->tokens[id].text != NULL;
}

/* n tokens never decode to more than n times so many bytes. */
static inline int tokenizer_longest(const tokenizer *t) { return t->longest; }

/* What add_special_tokens puts in front of a text, and behind it; -1: nothing. */
static inline int tokenizer_bos(const tokenizer *t) { return t->bos; }
static inline int tokenizer_eos(const tokenizer *t) { return t->eos; }

/* ---- growing things; 0: not enough memory */

/* Room for one more of size bytes in array, which has count of *room. */
static inline void *tokenizer__grow(void *array, size_t count, size_t *room, size_t size) {
    size_t more = 2 * *room + 64;
    if (count < *room) return array;
    array = more > SIZE_MAX / size ? NULL : realloc(array, more * size);
    if (array) *room = more;
    return array;
}

static inline int tokenizer__append(tokenizer_text *to, const char *s, size_t n) {
    if (n > to->capacity - to->length) {
        size_t more = 2 * to->capacity + n + 64;
        char *bytes = more > n ? (char *)realloc(to->bytes, more) : NULL;
        if (!bytes) return 0;
        to->bytes = bytes;
        to->capacity = more;
    }
    if (n) memcpy(to->bytes + to->length, s, n);
    to->length += n;
    return 1;
}

static inline void tokenizer__clear(tokenizer_text *x) { x->length = x->pieces = 0; }

/* What was appended since the last piece becomes one. */
static inline int tokenizer__end_piece(tokenizer_text *x) {
    size_t *ends = (size_t *)tokenizer__grow(x->ends, x->pieces, &x->room, sizeof *ends);
    if (!ends) return 0;
    x->ends = ends;
    x->ends[x->pieces++] = x->length;
    return 1;
}

static inline void tokenizer__free_text(tokenizer_text *x) {
    free(x->bytes);
    free(x->ends);
}

static inline void tokenizer_free(tokenizer *t) {
    int i;
    size_t k;
    if (!t) return;
    for (i = 0; i < 2; i++) {
        for (k = 0; k < t->added[i].count; k++) free(t->added[i].items[k].text);
        free(t->added[i].items);
        tokenizer__free_text(&t->normal[i]);
        tokenizer__free_text(&t->decoded[i]);
    }
    tokenizer__free_text(&t->spaced);
    tokenizer__free_text(&t->scratch);
    unicode_work_free(&t->nfc);
    for (i = 0; i < TOKENIZER_FILES; i++) free(t->files[i]);
    free(t->found); free(t->tokens); free(t->slots); free(t->merges); free(t->merged);
    free(t->unicode); free(t->words); free(t->symbols); free(t->heap);
    free(t);
}

/* ---- looking things up */

static inline uint64_t tokenizer__mix(uint64_t h) {
    h *= 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static inline size_t tokenizer__hash(const char *s, size_t n) {
    uint64_t h = n, x;
    for (; n >= 8; s += 8, n -= 8) {
        memcpy(&x, s, 8);
        h = tokenizer__mix(h ^ x);
    }
    for (x = 0; n > 0; n--) x = x << 8 | (unsigned char)*s++;
    return (size_t)tokenizer__mix(h ^ x);
}

/* Where a text is in the table of ids, or would be. */
static inline size_t tokenizer__slot(const tokenizer *t, const char *s, size_t n) {
    size_t i = tokenizer__hash(s, n) & t->slot_mask;
    for (; t->slots[i] >= 0; i = (i + 1) & t->slot_mask) {
        const tokenizer_token *token = &t->tokens[t->slots[i]];
        if (token->length == n && memcmp(token->text, s, n) == 0) break;
    }
    return i;
}

static inline int tokenizer_id(const tokenizer *t, const char *token) {
    int id = t->slots[tokenizer__slot(t, token, strlen(token))];
    return id < t->size ? id : -1;
}

/* The id of a text in model.vocab, or -1. */
static inline int tokenizer__find(const tokenizer *t, const char *s, size_t n) {
    int id = t->slots[tokenizer__slot(t, s, n)];
    return id >= 0 && t->tokens[id].in_model ? id : -1;
}

/* The merge of two ids in the table, or the free place for it. */
static inline tokenizer_merge *tokenizer__merge(const tokenizer *t, int left, int right) {
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t i = (size_t)tokenizer__mix(pair ^ pair >> 29) & t->merge_mask;
    while (t->merges[i].pair != pair && t->merges[i].pair != UINT64_MAX)
        i = (i + 1) & t->merge_mask;
    return &t->merges[i];
}

/* The character at s, n > 0: its bytes, and what it is; a byte that is not UTF-8 is nothing. */
static inline size_t tokenizer__character(const tokenizer *t, const char *s, size_t n, int *kind) {
    uint32_t code = (unsigned char)*s;
    int length = code < 0x80 ? 1 : json_utf8(s, n, &code);
    *kind = length ? t->unicode->kinds[code] : 0;
    return length ? (size_t)length : 1;
}

/* ---- cutting text into words. Each function does by hand what a regular expression says; like the
 * alternatives in it, its parts are tried from the first to the last. */

enum { TOKENIZER_CLASS = UNICODE_LETTER | UNICODE_NUMBER | UNICODE_SPACE };

/* The bytes at s of at most `most` characters of a class; 0: those of none. */
static inline size_t tokenizer__run(const tokenizer *t, const char *s, size_t n, int class_,
                                    int most) {
    size_t i = 0, length;
    int kind;
    for (; i < n && most > 0; i += length, most--) {
        length = tokenizer__character(t, s + i, n - i, &kind);
        if ((kind & TOKENIZER_CLASS) != class_) break;
    }
    return i;
}

/* 's|'t|'re|'ve|'m|'ll|'d, or (?i:...) of it, where also U+017F is an s. */
static inline size_t tokenizer__contraction(const char *s, size_t n, int any_case) {
    char a, b;
    if (n < 2 || s[0] != '\'') return 0;
    if (any_case && n > 2 && memcmp(s + 1, "\xc5\xbf", 2) == 0) return 3;
    a = any_case && s[1] >= 'A' && s[1] <= 'Z' ? (char)(s[1] + 32) : s[1];
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if (n < 3) return 0;
    b = any_case && s[2] >= 'A' && s[2] <= 'Z' ? (char)(s[2] + 32) : s[2];
    return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* \s+(?!\S)|\s+ : all of the white space at the end, otherwise all but its last character. */
static inline size_t tokenizer__space(const tokenizer *t, const char *s, size_t n) {
    size_t i = 0, last = 0, length;
    int kind;
    for (; i < n; i += length) {
        length = tokenizer__character(t, s + i, n - i, &kind);
        if (!(kind & UNICODE_SPACE)) return last ? last : i;
        last = i;
    }
    return n;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static inline size_t tokenizer__cut_gpt2(const tokenizer *t, const tokenizer_step *step,
                                         const char *s, size_t n) {
    size_t k = tokenizer__contraction(s, n, 0), skip = s[0] == ' ' && n > 1;
    int kind;
    (void)step;
    if (k) return k;
    tokenizer__character(t, s + skip, n - skip, &kind);
    if (kind & UNICODE_SPACE) return tokenizer__space(t, s, n);
    return skip + tokenizer__run(t, s + skip, n - skip, kind & TOKENIZER_CLASS, INT_MAX);
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*
 * |\s*[\r\n]+|\s+(?!\S)|\s+ */
static inline size_t tokenizer__cut_modern(const tokenizer *t, const char *s, size_t n,
                                           int digits) {
    size_t k = tokenizer__contraction(s, n, 1), skip;
    int kind, next = 0;
    if (k) return k;
    k = tokenizer__character(t, s, n, &kind);
    if (kind & UNICODE_NUMBER) return tokenizer__run(t, s, n, UNICODE_NUMBER, digits);
    if (kind & UNICODE_LETTER) return tokenizer__run(t, s, n, UNICODE_LETTER, INT_MAX);
    if (k < n) tokenizer__character(t, s + k, n - k, &next);
    if (*s != '\r' && *s != '\n' && next & UNICODE_LETTER)
        return k + tokenizer__run(t, s + k, n - k, UNICODE_LETTER, INT_MAX);
    skip = *s == ' ';
    k = skip + tokenizer__run(t, s + skip, n - skip, 0, INT_MAX);
    if (k > skip) {
        while (k < n && (s[k] == '\r' || s[k] == '\n')) k++;
        return k;
    }
    k = tokenizer__run(t, s, n, UNICODE_SPACE, INT_MAX);
    while (k > 0 && s[k - 1] != '\r' && s[k - 1] != '\n') k--;
    return k ? k : tokenizer__space(t, s, n);
}

static inline size_t tokenizer__cut_llama3(const tokenizer *t, const tokenizer_step *step,
                                           const char *s, size_t n) {
    (void)step;
    return tokenizer__cut_modern(t, s, n, 3);
}

static inline size_t tokenizer__cut_qwen2(const tokenizer *t, const tokenizer_step *step,
                                          const char *s, size_t n) {
    (void)step;
    return tokenizer__cut_modern(t, s, n, 1);
}

/* Whether llama.cpp's default takes it for punctuation: [\p{P}\$\+<=>\^~\|] */
static inline int tokenizer__punctuation(const tokenizer *t, const char *s, size_t n,
                                         size_t *length) {
    int kind;
    *length = tokenizer__character(t, s, n, &kind);
    return kind & UNICODE_PUNCTUATION || (*s && strchr("$+<=>^~|", *s));
}

/* A run of these or of others. */
static inline size_t tokenizer__cut_punctuation(const tokenizer *t, const tokenizer_step *step,
                                                const char *s, size_t n) {
    size_t i, length;
    int first = tokenizer__punctuation(t, s, n, &i);
    (void)step;
    for (; i < n; i += length)
        if (tokenizer__punctuation(t, s + i, n - i, &length) != first) break;
    return i;
}

/* \p{N}+ and what is between. */
static inline size_t tokenizer__cut_numbers(const tokenizer *t, const tokenizer_step *step,
                                            const char *s, size_t n) {
    size_t i, length;
    int first, kind;
    (void)step;
    i = tokenizer__character(t, s, n, &first);
    for (; i < n; i += length) {
        length = tokenizer__character(t, s + i, n - i, &kind);
        if ((kind & UNICODE_NUMBER) != (first & UNICODE_NUMBER)) break;
    }
    return i;
}

static inline int tokenizer__three_digits(const char *s, size_t n) {
    size_t i;
    for (i = 0; i < 3 && i < n && s[i] >= '0' && s[i] <= '9'; i++) {}
    return i == 3;
}

/* [0-9][0-9][0-9] and what is between. */
static inline size_t tokenizer__cut_three_digits(const tokenizer *t, const tokenizer_step *step,
                                                 const char *s, size_t n) {
    size_t i = 1;
    (void)t;
    (void)step;
    if (tokenizer__three_digits(s, n)) return 3;
    while (i < n && !tokenizer__three_digits(s + i, n - i)) i++;
    return i;
}

/* Rust's char::is_numeric; it has the thirteen of Unicode 17 too. */
static inline int tokenizer__numeric(const tokenizer *t, const char *s, size_t n, size_t *length) {
    uint32_t code = 0;
    int kind;
    *length = tokenizer__character(t, s, n, &kind);
    if (*length == 4) json_utf8(s, n, &code);
    return kind & UNICODE_NUMBER || (code >= 0x11de0 && code <= 0x11de9)
           || (code >= 0x16ff4 && code <= 0x16ff6);
}

/* A run of digits or one of anything else. */
static inline size_t tokenizer__cut_digits(const tokenizer *t, const tokenizer_step *step,
                                           const char *s, size_t n) {
    size_t i, length;
    int first = tokenizer__numeric(t, s, n, &i);
    (void)step;
    for (; i < n; i += length)
        if (tokenizer__numeric(t, s + i, n - i, &length) != first) break;
    return i;
}

/* One digit or a run of anything else. */
static inline size_t tokenizer__cut_each_digit(const tokenizer *t, const tokenizer_step *step,
                                               const char *s, size_t n) {
    size_t length;
    return tokenizer__numeric(t, s, n, &length) ? length : tokenizer__cut_digits(t, step, s, n);
}

static inline int tokenizer__begins(const char *s, size_t n, const char *with, size_t length) {
    return n >= length && memcmp(s, with, length) == 0;
}

/* Up to the next mark, with the one at which it begins. */
static inline size_t tokenizer__cut_at_mark(const tokenizer *t, const tokenizer_step *step,
                                            const char *s, size_t n) {
    size_t i = 1;
    (void)t;
    while (i < n && !tokenizer__begins(s + i, n - i, step->from, step->from_length)) i++;
    return i;
}

/* The same, with all the marks at which it begins. */
static inline size_t tokenizer__cut_after_word(const tokenizer *t, const tokenizer_step *step,
                                               const char *s, size_t n) {
    size_t i = 0;
    while (tokenizer__begins(s + i, n - i, step->from, step->from_length)) i += step->from_length;
    return i < n ? i + tokenizer__cut_at_mark(t, step, s + i, n - i) : n;
}

/* ---- byte pair encoding of one word; functions return 0 where it is impossible */

static inline int tokenizer__emit(tokenizer *t, int id) {
    if (t->out_count < t->out_room) t->out[t->out_count] = id;
    t->out_count++;
    return 1;
}

static inline int tokenizer__add_symbol(tokenizer *t, int id) {
    tokenizer_symbol *s = (tokenizer_symbol *)tokenizer__grow(t->symbols, t->num_symbols,
                                                              &t->symbol_room, sizeof *s);
    if (!s) return 0;
    t->symbols = s;
    s += t->num_symbols;
    s->id = id;
    s->before = (int)t->num_symbols - 1;
    s->after = -1;
    if (t->num_symbols) s[-1].after = (int)t->num_symbols;
    t->num_symbols++;
    return 1;
}

/* Whether there is a <0x..> for each byte of a character that is not in the vocabulary. */
static inline int tokenizer__can_fall_back(const tokenizer *t, const char *s, size_t n) {
    size_t i;
    for (i = 0; i < n && t->fallback_ids[(unsigned char)s[i]] >= 0; i++) {}
    return t->byte_fallback && i == n;
}

/* A character that is not in the vocabulary. *unknown: an unk_token waits to be added; it is so
 * only before the next character of the vocabulary, behind bytes that were fallen back to. */
static inline int tokenizer__add_strange(tokenizer *t, const char *s, size_t n, int *unknown) {
    char utf8[4];
    size_t i;
    if (t->byte_level) {
        n = (size_t)json_put_utf8(utf8, t->byte_codes[(unsigned char)*s]);
        s = utf8;
    }
    if (tokenizer__can_fall_back(t, s, n)) {
        for (i = 0; i < n; i++)
            if (!tokenizer__add_symbol(t, t->fallback_ids[(unsigned char)s[i]])) return 0;
        return 1;
    }
    if (!t->has_unk) return 1;      /* then it is left out                                       */
    if (t->unk < 0) return 0;
    if (*unknown && !t->fuse_unk && !tokenizer__add_symbol(t, t->unk)) return 0;
    *unknown = 1;
    return 1;
}

/* The characters of a word, one symbol each. */
static inline int tokenizer__add_symbols(tokenizer *t, const char *s, size_t n) {
    int unknown = 0, kind, id;
    size_t i, length;
    t->num_symbols = 0;
    for (i = 0; i < n; i += length) {
        length = t->byte_level ? 1 : tokenizer__character(t, s + i, n - i, &kind);
        id = t->byte_level ? t->byte_ids[(unsigned char)s[i]] : tokenizer__find(t, s + i, length);
        if (id < 0) {
            if (!tokenizer__add_strange(t, s + i, length, &unknown)) return 0;
            continue;
        }
        if (unknown && !tokenizer__add_symbol(t, t->unk)) return 0;
        unknown = 0;
        if (!tokenizer__add_symbol(t, id)) return 0;
    }
    return !unknown || tokenizer__add_symbol(t, t->unk);
}

/* A symbol and the one after it go on the heap, if they can be merged. */
static inline int tokenizer__offer(tokenizer *t, int left) {
    const tokenizer_symbol *s = &t->symbols[left];
    const tokenizer_merge *m;
    uint64_t *heap, key;
    size_t i;
    if (s->after < 0) return 1;
    m = tokenizer__merge(t, s->id, t->symbols[s->after].id);
    if (m->pair == UINT64_MAX) return 1;
    heap = (uint64_t *)tokenizer__grow(t->heap, t->num_heap, &t->heap_room, sizeof *heap);
    if (!heap) return 0;
    t->heap = heap;
    key = (uint64_t)m->rank << 32 | (uint32_t)left;
    for (i = t->num_heap++; i > 0 && heap[(i - 1) / 2] > key; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = key;
    return 1;
}

/* The least of a heap that is not empty. */
static inline uint64_t tokenizer__take_least(tokenizer *t) {
    uint64_t *heap = t->heap, least = heap[0], last = heap[--t->num_heap];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < t->num_heap) {
        if (child + 1 < t->num_heap && heap[child + 1] < heap[child]) child++;
        if (last <= heap[child]) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return least;
}

/* Merges the pair of lowest rank, the leftmost of these, until there is none. */
static inline int tokenizer__merge_all(tokenizer *t) {
    size_t i;
    t->num_heap = 0;
    for (i = 0; i + 1 < t->num_symbols; i++)
        if (!tokenizer__offer(t, (int)i)) return 0;
    while (t->num_heap) {
        uint64_t key = tokenizer__take_least(t);
        int left = (int)(key & UINT32_MAX), right;
        tokenizer_symbol *s = &t->symbols[left];
        const tokenizer_merge *m;
        if (s->id < 0 || (right = s->after) < 0) continue;
        m = tokenizer__merge(t, s->id, t->symbols[right].id);
        if (m->pair == UINT64_MAX || m->id != t->merged[key >> 32]) continue;   /* gone since    */
        s->id = m->id;
        s->after = t->symbols[right].after;
        t->symbols[right].id = -1;
        if (s->after >= 0) t->symbols[s->after].before = left;
        if (s->before >= 0 && !tokenizer__offer(t, s->before)) return 0;
        if (!tokenizer__offer(t, left)) return 0;
    }
    return 1;
}

/* The id of a whole word that stands in the vocabulary, or -1. */
static inline int tokenizer__find_word(tokenizer *t, const char *s, size_t n) {
    size_t i;
    char utf8[4];
    if (!t->byte_level) return tokenizer__find(t, s, n);
    tokenizer__clear(&t->scratch);
    for (i = 0; i < n; i++) {
        int length = json_put_utf8(utf8, t->byte_codes[(unsigned char)s[i]]);
        if (!tokenizer__append(&t->scratch, utf8, (size_t)length)) return -1;
    }
    return tokenizer__find(t, t->scratch.bytes, t->scratch.length);
}

static inline int tokenizer__new_word(tokenizer *t, const char *s, size_t n) {
    int id = t->ignore_merges ? tokenizer__find_word(t, s, n) : -1;
    size_t i;
    if (id >= 0) return tokenizer__emit(t, id);
    if (!tokenizer__add_symbols(t, s, n) || !tokenizer__merge_all(t)) return 0;
    for (i = 0; i < t->num_symbols; i++)
        if (t->symbols[i].id >= 0) tokenizer__emit(t, t->symbols[i].id);
    return 1;
}

static inline int tokenizer__word(tokenizer *t, const char *s, size_t n) {
    tokenizer_word *w;
    size_t from = t->out_count, i;
    if (n > TOKENIZER_WORD_BYTES) return tokenizer__new_word(t, s, n);
    w = &t->words[tokenizer__hash(s, n) & (TOKENIZER_WORDS - 1)];
    if (w->length == n && memcmp(w->bytes, s, n) == 0) {
        for (i = 0; i < w->count; i++) tokenizer__emit(t, w->tokens[i]);
        return 1;
    }
    if (!tokenizer__new_word(t, s, n)) return 0;
    if (t->out_count - from > TOKENIZER_WORD_TOKENS || t->out_count > t->out_room) return 1;
    w->length = (unsigned char)n;
    w->count = (unsigned char)(t->out_count - from);
    memcpy(w->bytes, s, n);
    for (i = 0; i < w->count; i++) w->tokens[i] = t->out[from + i];
    return 1;
}

/* ---- from a text to its words */

static inline int tokenizer__replace(tokenizer_text *to, const tokenizer_step *step,
                                     const char *s, size_t n) {
    size_t i = 0, done = 0;
    while (i < n) {
        if (!tokenizer__begins(s + i, n - i, step->from, step->from_length)) { i++; continue; }
        if (!tokenizer__append(to, s + done, i - done)
            || !tokenizer__append(to, step->to, step->to_length)) return 0;
        done = i += step->from_length;
    }
    return tokenizer__append(to, s + done, n - done);
}

static inline int tokenizer__pieces(tokenizer *t, int number, const char *s, size_t n, int first);

/* Blanks become marks, and one is put in front where there is none. */
static inline int tokenizer__metaspace(tokenizer *t, int number, const char *s, size_t n,
                                       int first) {
    const tokenizer_step *step = &t->pre_tokenizer.step[number];
    tokenizer_step blanks = *step;
    int before = step->scheme == TOKENIZER_ALWAYS || (step->scheme == TOKENIZER_FIRST && first);
    blanks.from = " ";
    blanks.from_length = 1;
    blanks.to = step->from;
    blanks.to_length = step->from_length;
    tokenizer__clear(&t->spaced);
    if (*s == ' ' || tokenizer__begins(s, n, step->from, step->from_length)) before = 0;
    return (!before || tokenizer__append(&t->spaced, step->from, step->from_length))
           && tokenizer__replace(&t->spaced, &blanks, s, n)
           && tokenizer__pieces(t, number + 1, t->spaced.bytes, t->spaced.length, first);
}

/* The steps of the pre_tokenizer from that number on, and then the words. first: s begins where the
 * whole text does. */
static inline int tokenizer__pieces(tokenizer *t, int number, const char *s, size_t n, int first) {
    const tokenizer_step *step = &t->pre_tokenizer.step[number];
    if (number == t->pre_tokenizer.count) return tokenizer__word(t, s, n);
    if (step->kind == TOKENIZER_METASPACE) return tokenizer__metaspace(t, number, s, n, first);
    if (step->kind == TOKENIZER_SPACE_BEFORE) {
        if (*s == ' ') return tokenizer__pieces(t, number + 1, s, n, first);
        tokenizer__clear(&t->spaced);
        return tokenizer__append(&t->spaced, " ", 1) && tokenizer__append(&t->spaced, s, n)
               && tokenizer__pieces(t, number + 1, t->spaced.bytes, t->spaced.length, first);
    }
    while (n > 0) {
        size_t length = step->cut(t, step, s, n);
        if (!tokenizer__pieces(t, number + 1, s, length, first)) return 0;
        s += length;
        n -= length;
        first = 0;
    }
    return 1;
}

/* Normalises *s, *n: afterwards it is itself or lies in t. */
static inline int tokenizer__normalize(tokenizer *t, const char **s, size_t *n) {
    int i, side = 0;
    for (i = 0; i < t->normalizer.count && *n > 0; i++) {
        const tokenizer_step *step = &t->normalizer.step[i];
        tokenizer_text *to = &t->normal[side];
        if (step->kind == TOKENIZER_NFC) {
            *s = unicode_nfc(t->unicode, &t->nfc, *s, *n, n);
            if (!*s) return 0;
            continue;
        }
        side = !side;
        tokenizer__clear(to);
        if (step->kind == TOKENIZER_PREPEND) {
            if (!tokenizer__append(to, step->to, step->to_length)
                || !tokenizer__append(to, *s, *n)) return 0;
        } else if (!tokenizer__replace(to, step, *s, *n)) return 0;
        *s = to->bytes;
        *n = to->length;
    }
    return 1;
}

/* The longest of the added tokens with which s begins, or NULL. */
static inline const tokenizer_added *tokenizer__added_at(const tokenizer_added_list *list,
                                                         const char *s, size_t n) {
    const tokenizer_added *best = NULL, *low = list->items, *high = low + list->count;
    size_t depth = 0;
    while (low < high) {            /* those from low to high agree with s in their first bytes  */
        const tokenizer_added *to = high, *middle;
        unsigned char byte;
        if (low->length == depth) best = low++;
        if (depth == n) break;
        byte = (unsigned char)s[depth];
        while (low < to) {
            middle = low + (to - low) / 2;
            if ((unsigned char)middle->text[depth] < byte) low = middle + 1;
            else to = middle;
        }
        for (to = low; to < high;) {
            middle = to + (high - to) / 2;
            if ((unsigned char)middle->text[depth] > byte) high = middle;
            else to = middle + 1;
        }
        depth++;
    }
    return best;
}

/* What the last character of s is. */
static inline int tokenizer__last_kind(const tokenizer *t, const char *s, size_t n,
                                       size_t *length) {
    int kind = 0;
    for (*length = 1; *length < 4 && *length < n && (s[n - *length] & 0xc0) == 0x80; ++*length) {}
    if (tokenizer__character(t, s + n - *length, *length, &kind) == *length) return kind;
    *length = 1;
    return 0;
}

static inline int tokenizer__stands_alone(const tokenizer *t, const char *s, size_t n,
                                          size_t start, size_t stop) {
    int kind = 0;
    size_t length;
    if (start > 0 && tokenizer__last_kind(t, s, start, &length) & UNICODE_WORD) return 0;
    if (stop < n) tokenizer__character(t, s + stop, n - stop, &kind);
    return !(kind & UNICODE_WORD);
}

/* Takes in the white space before start, but not what lies before least. */
static inline size_t tokenizer__strip_left(const tokenizer *t, const char *s, size_t start,
                                           size_t least) {
    size_t length;
    if (start < least) return least;
    while (start > least && tokenizer__last_kind(t, s, start, &length) & UNICODE_SPACE)
        start -= length;
    return start;
}

/* Finds added tokens, in the text as it is or (normalized 1) in a normalised one; what lies between
 * them goes on to the next stage. */
static inline int tokenizer__sections(tokenizer *t, int normalized, const char *s, size_t n,
                                      int first);

static inline int tokenizer__between(tokenizer *t, int normalized, const char *s, size_t n,
                                     int first) {
    if (normalized) return tokenizer__pieces(t, 0, s, n, first);
    return tokenizer__normalize(t, &s, &n) && tokenizer__sections(t, 1, s, n, first);
}

static inline int tokenizer__sections(tokenizer *t, int normalized, const char *s, size_t n,
                                      int first) {
    const tokenizer_added_list *list = &t->added[normalized];
    size_t done = 0, at = list->count ? 0 : n;
    while (at < n) {
        const tokenizer_added *a = NULL;
        size_t start, stop;
        if (list->starts[(unsigned char)s[at]]) a = tokenizer__added_at(list, s + at, n - at);
        if (!a) { at++; continue; }
        start = at;
        stop = at += a->length;
        if (a->single_word && !tokenizer__stands_alone(t, s, n, start, stop)) continue;
        if (a->lstrip) start = tokenizer__strip_left(t, s, start, done);
        if (a->rstrip) stop += tokenizer__run(t, s + stop, n - stop, UNICODE_SPACE, INT_MAX);
        if (done < start
            && !tokenizer__between(t, normalized, s + done, start - done, first && !done)) return 0;
        tokenizer__emit(t, a->id);
        done = stop;
    }
    return done == n || tokenizer__between(t, normalized, s + done, n - done, first && !done);
}

/* The number of tokens of a text, of which at most capacity are written; -1: it is too long, or has
 * a character for which there is no token, or there is not enough memory. */
static inline int tokenizer_encode_bytes(tokenizer *t, const char *text, size_t length,
                                         int *tokens, int capacity) {
    int good;
    if (length > INT_MAX / 4) return -1;
    t->out = tokens;
    t->out_room = capacity > 0 ? (size_t)capacity : 0;
    t->out_count = 0;
    good = tokenizer__sections(t, 0, text, length, 1);
    t->out = NULL;
    return good && t->out_count <= INT_MAX ? (int)t->out_count : -1;
}

/* grpo.h's grpo_encode_function. Nothing is put in front or behind. */
static inline int tokenizer_encode(void *t, const char *text, int *tokens, int capacity) {
    return tokenizer_encode_bytes((tokenizer *)t, text, strlen(text), tokens, capacity);
}

/* ---- markers: what a chat template writes between its texts, to be read as one token each */

/* The bytes of a marker at s, or 0: <|...|>, the same with the wide bars of DeepSeek, [|...|], <s>,
 * </s>, <bos>, <eos>, <sop>, <start_of_...> and <end_of_...>; other names may be plain text. */
static inline size_t tokenizer__marker(const char *s) {
    static const char *const whole[] = { "<s>", "</s>", "<bos>", "<eos>", "<sop>" };
    static const char *const ends[][2] = { { "<|", "|>" }, { "<\xef\xbd\x9c", "\xef\xbd\x9c>" },
                                           { "[|", "|]" }, { "<start_of_", ">" },
                                           { "<end_of_", ">" } };
    size_t i, n, k;
    for (i = 0; i < 5; i++) if (!strncmp(s, whole[i], strlen(whole[i]))) return strlen(whole[i]);
    for (i = 0; i < 5; i++) {
        n = strlen(ends[i][0]);
        k = strlen(ends[i][1]);
        if (strncmp(s, ends[i][0], n) != 0) continue;
        for (; s[n] && !strchr(" \t\r\n<", s[n]) && n < 64; n++)
            if (!strncmp(s + n, ends[i][1], k)) return n + k;
    }
    return 0;
}

/* How many different markers of a text are not exactly one token; list says which, and how many
 * tokens each is, as far as there is room: "<|user|> (5 tokens), <|end|> (4 tokens)". */
static inline int tokenizer_broken(tokenizer *t, const char *text, char *list, size_t room) {
    size_t length, used = 0;
    int count = 0, n;
    char marker[80], *seen;
    *list = 0;
    for (; *text; text += length ? length : 1) {
        length = tokenizer__marker(text);
        if (!length || length >= sizeof marker) continue;
        memcpy(marker, text, length);
        marker[length] = 0;
        n = tokenizer_encode_bytes(t, marker, length, NULL, 0);
        seen = strstr(list, marker);
        if (n == 1 || (seen && !strncmp(seen + length, " (", 2))) continue;
        count++;
        n = snprintf(list + used, room - used, "%s%s (%d tokens)", used ? ", " : "", marker, n);
        if (n < 0 || (size_t)n >= room - used) list[used] = 0;
        else used += (size_t)n;
    }
    return count;
}

/* Gives up added tokens from `count` on, which a model has no rows for, where they are not of
 * tokenizer.json itself. Returns how many. */
static inline int tokenizer_cut_off(tokenizer *t, int count) {
    int i, size = t->size;
    if (count >= t->size || count < t->own_size) return 0;
    for (i = 0; i < 2; i++) {
        tokenizer_added_list *list = &t->added[i];
        size_t k, kept = 0;
        for (k = 0; k < list->count; k++)
            if (list->items[k].id < count) list->items[kept++] = list->items[k];
            else free(list->items[k].text);
        list->count = kept;
    }
    if (t->bos >= count) t->bos = -1;
    if (t->eos >= count) t->eos = -1;
    t->size = count;
    return size - count;
}

/* ---- decoding: a list of texts, one for each token, goes through the steps of the decoder. What
 * is not whole UTF-8 is passed on as it is. middle 1: as if others stood before and behind. */

/* The byte that a token <0x..> stands for, or -1. */
static inline int tokenizer__fallback_byte(const char *s, size_t n) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *high, *low;
    if (n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>' || !s[3] || !s[4]) return -1;
    high = strchr(digits, s[3]);
    low = strchr(digits, s[4]);
    return high && low ? (int)((high - digits) % 16 * 16 + (low - digits) % 16) : -1;
}

/* The bytes for which the characters of a token stand; the token itself if one stands for none. */
static inline int tokenizer__append_bytes(const tokenizer *t, tokenizer_text *to, const char *s,
                                          size_t n) {
    size_t before = to->length, i = 0;
    while (i < n) {
        uint32_t code = 0;
        int length = json_utf8(s + i, n - i, &code);
        char byte;
        if (!length || code >= 324 || t->code_bytes[code] < 0) {
            to->length = before;
            return tokenizer__append(to, s, n);
        }
        byte = (char)t->code_bytes[code];
        if (!tokenizer__append(to, &byte, 1)) return 0;
        i += (size_t)length;
    }
    return 1;
}

/* Without up to `start` characters `from` in front and `stop` behind. */
static inline int tokenizer__append_stripped(tokenizer_text *to, const tokenizer_step *step,
                                             const char *s, size_t n) {
    size_t k = step->from_length;
    int i;
    for (i = 0; i < step->start && tokenizer__begins(s, n, step->from, k); i++) {
        s += k;
        n -= k;
    }
    for (i = 0; i < step->stop && n >= k && memcmp(s + n - k, step->from, k) == 0; i++) n -= k;
    return tokenizer__append(to, s, n);
}

/* Appends one piece; *joins: the next one joins it. */
static inline int tokenizer__decode_piece(const tokenizer *t, const tokenizer_step *step,
                                          tokenizer_text *to, const char *s, size_t n, int first,
                                          int middle) {
    tokenizer_step marks = *step;
    char byte;
    switch (step->kind) {
    case TOKENIZER_BYTES: return tokenizer__append_bytes(t, to, s, n);
    case TOKENIZER_REPLACE: return tokenizer__replace(to, step, s, n);
    case TOKENIZER_METASPACE:
        marks.to = " ";
        marks.to_length = !first || middle || step->scheme == TOKENIZER_NEVER;
        return tokenizer__replace(to, &marks, s, n);
    case TOKENIZER_STRIP:
        return middle ? tokenizer__append(to, s, n)
                      : tokenizer__append_stripped(to, step, s, n);
    case TOKENIZER_FALLBACK:
        byte = (char)tokenizer__fallback_byte(s, n);
        if (tokenizer__fallback_byte(s, n) >= 0) return tokenizer__append(to, &byte, 1);
    }
    return tokenizer__append(to, s, n);
}

/* Whether a piece ends where the next one begins, or the two become one. */
static inline int tokenizer__joins(const tokenizer_step *step, const char *s, size_t n,
                                   const char *next, size_t next_n) {
    if (step->kind == TOKENIZER_FALLBACK)
        return tokenizer__fallback_byte(s, n) >= 0 && tokenizer__fallback_byte(next, next_n) >= 0;
    return step->kind == TOKENIZER_BYTES || step->kind == TOKENIZER_FUSE;
}

static inline int tokenizer__decode_step(const tokenizer *t, const tokenizer_step *step,
                                         const tokenizer_text *from, tokenizer_text *to,
                                         int middle) {
    size_t i, start = 0;
    tokenizer__clear(to);
    for (i = 0; i < from->pieces; i++) {
        const char *s = from->bytes + start;
        size_t n = from->ends[i] - start;
        if (!tokenizer__decode_piece(t, step, to, s, n, i == 0, middle)) return 0;
        start = from->ends[i];
        if (i + 1 < from->pieces && tokenizer__joins(step, s, n, from->bytes + start,
                                                     from->ends[i + 1] - start)) continue;
        if (!tokenizer__end_piece(to)) return 0;
    }
    return 1;
}

/* The text of tokens; one that does not exist has none. NULL: not enough memory. */
static inline const tokenizer_text *tokenizer__decode(tokenizer *t, const int *tokens, int n,
                                                      int middle) {
    tokenizer_text *x = &t->decoded[0];
    int i;
    tokenizer__clear(x);
    if (!tokenizer__append(x, "", 0)) return NULL;
    for (i = 0; i < n; i++) {
        const tokenizer_token *token;
        if (tokens[i] < 0 || tokens[i] >= t->size) continue;
        token = &t->tokens[tokens[i]];
        if (!token->text) continue;
        if (token->special && !t->show_special && !middle) continue;    /* normalised or not     */
        if (!t->has_decoder && (x->pieces || middle) && !tokenizer__append(x, " ", 1)) return NULL;
        if (!tokenizer__append(x, token->shown, token->shown_length) || !tokenizer__end_piece(x))
            return NULL;
    }
    for (i = 0; i < t->decoder.count; i++) {
        tokenizer_text *to = &t->decoded[x == &t->decoded[0]];
        if (!tokenizer__decode_step(t, &t->decoder.step[i], x, to, middle)) return NULL;
        x = to;
    }
    return x;
}

/* grpo.h's grpo_decode_function: the bytes of the text, of which at most capacity are written; no
 * NUL. -1: it is too long, or there is not enough memory. */
static inline int tokenizer_decode(void *t, const int *tokens, int n, char *text, int capacity) {
    const tokenizer_text *x = tokenizer__decode((tokenizer *)t, tokens, n, 0);
    size_t room = capacity > 0 ? (size_t)capacity : 0;
    if (!x || x->length > INT_MAX) return -1;
    if (room > x->length) room = x->length;
    if (room) memcpy(text, x->bytes, room);
    return (int)x->length;
}

/* ---- loading; functions return 0 with a sentence in t->error */

static inline int tokenizer__refuse(tokenizer *t, const char *format, ...) {
    char what[JSON_ERROR_LENGTH];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(t->error, JSON_ERROR_LENGTH, "%.80s%s%.170s", t->name ? t->name : "",
             t->name ? ": " : "", what);
    return 0;
}

static inline int tokenizer__no_memory(tokenizer *t) {
    return tokenizer__refuse(t, "there is not enough memory for it");
}

static inline int tokenizer__is_nothing(const json_value *v) {
    return !v || v->type == JSON_NULL;
}

/* A field that is true, false or left out. */
static inline int tokenizer__flag(tokenizer *t, const json_value *of, const char *name,
                                  int otherwise, int *value) {
    const json_value *v = json_find(of, name);
    *value = tokenizer__is_nothing(v) ? otherwise : v->type == JSON_TRUE;
    return tokenizer__is_nothing(v) || v->type == JSON_TRUE || v->type == JSON_FALSE
           || tokenizer__refuse(t, "\"%.40s\" should be true or false", name);
}

/* A field that is a whole number from 0 to most. */
static inline int tokenizer__whole(tokenizer *t, const json_value *v, const char *what, int most,
                                   int *value) {
    double number = json_number(v, -1);
    *value = number >= 0 && number <= most ? (int)number : -1;
    return (*value >= 0 && *value == number)
           || tokenizer__refuse(t, "%.60s should be a whole number from 0 to %d", what, most);
}

/* A field that is a string of at least `least` bytes. */
static inline int tokenizer__string(tokenizer *t, const json_value *of, const char *name,
                                    size_t least, const char **text, size_t *length) {
    const json_value *v = json_find(of, name);
    if (!json_is(v, JSON_STRING) || v->length < least)
        return tokenizer__refuse(t, "\"%.40s\" of a \"%.40s\" should be a string%s", name,
                                 json_string(json_find(of, "type"), "part"),
                                 least ? " that is not empty" : "");
    *text = v->text;
    *length = v->length;
    return 1;
}

/* -- the model */

static inline int tokenizer__make_slots(tokenizer *t, size_t count) {
    size_t size = 64, i;
    while (size < 2 * count) size *= 2;
    t->slots = (int *)malloc(size * sizeof *t->slots);
    if (!t->slots) return tokenizer__no_memory(t);
    for (i = 0; i < size; i++) t->slots[i] = -1;
    t->slot_mask = size - 1;
    return 1;
}

static inline int tokenizer__name_token(tokenizer *t, int id, const char *text, size_t length) {
    size_t slot = tokenizer__slot(t, text, length);
    if (t->slots[slot] >= 0)
        return tokenizer__refuse(t, "the token \"%.60s\" is there twice", text);
    if (t->tokens[id].text)
        return tokenizer__refuse(t, "\"%.40s\" and \"%.40s\" have the same id, %d",
                                 t->tokens[id].text, text, id);
    t->tokens[id].text = t->tokens[id].shown = text;
    t->tokens[id].length = t->tokens[id].shown_length = length;
    t->slots[slot] = id;
    return 1;
}

/* model.vocab; room for as many added tokens. */
static inline int tokenizer__read_vocab(tokenizer *t, const json_value *vocab, size_t added) {
    const json_value *v;
    int id, largest = -1;
    if (!json_is(vocab, JSON_OBJECT))
        return tokenizer__refuse(t, "model.vocab should be an object of tokens and their ids");
    for (v = json_first(vocab); v; v = json_next(vocab, v)) {
        if (!tokenizer__whole(t, v, "each id in model.vocab", TOKENIZER_MOST_IDS, &id)) return 0;
        if (id > largest) largest = id;
    }
    if (added > TOKENIZER_MOST_IDS || vocab->length > TOKENIZER_MOST_IDS)
        return tokenizer__refuse(t, "it has more than %d tokens", TOKENIZER_MOST_IDS);
    t->size = largest + 1;
    if (t->size < (int)vocab->length) t->size = (int)vocab->length;
    t->tokens = (tokenizer_token *)calloc((size_t)t->size + added + 1, sizeof *t->tokens);
    if (!t->tokens) return tokenizer__no_memory(t);
    if (!tokenizer__make_slots(t, vocab->length + added)) return 0;
    for (v = json_first(vocab); v; v = json_next(vocab, v)) {
        tokenizer__whole(t, v, "", TOKENIZER_MOST_IDS, &id);
        if (!tokenizer__name_token(t, id, v->key, v->key_length)) return 0;
        t->tokens[id].in_model = 1;
    }
    t->size = largest + 1;
    return 1;
}

/* One of model.merges: "a b" or ["a", "b"]. */
static inline int tokenizer__split_merge(const json_value *v, const char *part[2],
                                         size_t length[2]) {
    if (v->type == JSON_STRING) {
        const char *blank = (const char *)memchr(v->text, ' ', v->length);
        if (!blank) return 0;
        part[0] = v->text;
        length[0] = (size_t)(blank - v->text);
        part[1] = blank + 1;
        length[1] = v->length - length[0] - 1;
        return !memchr(part[1], ' ', length[1]);
    }
    if (v->type != JSON_ARRAY || v->length != 2) return 0;
    if (v[1].type != JSON_STRING || v[2].type != JSON_STRING) return 0;
    part[0] = v[1].text;
    length[0] = v[1].length;
    part[1] = v[2].text;
    length[1] = v[2].length;
    return 1;
}

static inline int tokenizer__add_merge(tokenizer *t, const json_value *v, int rank) {
    const char *part[2];
    size_t length[2];
    tokenizer_merge *m;
    int left, right, both;
    if (!tokenizer__split_merge(v, part, length))
        return tokenizer__refuse(t, "model.merges: number %d should be two tokens, \"a b\" or "
                                 "[\"a\", \"b\"]", rank);
    tokenizer__clear(&t->scratch);
    if (!tokenizer__append(&t->scratch, part[0], length[0])
        || !tokenizer__append(&t->scratch, part[1], length[1])) return tokenizer__no_memory(t);
    left = tokenizer__find(t, part[0], length[0]);
    right = tokenizer__find(t, part[1], length[1]);
    both = tokenizer__find(t, t->scratch.bytes, t->scratch.length);
    if (left < 0 || right < 0 || both < 0)
        return tokenizer__refuse(t, "model.merges: number %d, \"%.*s\" and \"%.*s\": one of them "
                                 "or both together are not in model.vocab", rank,
                                 (int)(length[0] < 40 ? length[0] : 40), part[0],
                                 (int)(length[1] < 40 ? length[1] : 40), part[1]);
    m = tokenizer__merge(t, left, right);
    m->pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    m->rank = rank;                 /* of two that are equal the later counts                    */
    m->id = t->merged[rank] = both;
    return 1;
}

static inline int tokenizer__read_merges(tokenizer *t, const json_value *merges) {
    const json_value *v;
    size_t size = 64;
    int rank = 0;
    if (!json_is(merges, JSON_ARRAY) || merges->length > TOKENIZER_MOST_IDS)
        return tokenizer__refuse(t, "model.merges should be an array of at most %d",
                                 TOKENIZER_MOST_IDS);
    while (size < 2 * merges->length) size *= 2;
    t->merges = (tokenizer_merge *)malloc(size * sizeof *t->merges);
    t->merged = (int *)malloc((merges->length + 1) * sizeof *t->merged);
    if (!t->merges || !t->merged) return tokenizer__no_memory(t);
    memset(t->merges, 0xff, size * sizeof *t->merges);
    t->merge_mask = size - 1;
    for (v = json_first(merges); v; v = json_next(merges, v)) {
        if (v->type == JSON_STRING && strncmp(v->text, "#version", 8) == 0) continue;
        if (!tokenizer__add_merge(t, v, rank++)) return 0;
    }
    return 1;
}

/* The characters that stand for bytes: printable ones for themselves, the others from 256 on. */
static inline void tokenizer__name_bytes(tokenizer *t) {
    uint32_t next = 256;
    int i;
    char name[8];
    for (i = 0; i < 324; i++) t->code_bytes[i] = -1;
    for (i = 0; i < 256; i++) {
        int printable = (i > ' ' && i < 0x7f) || (i > 0xa0 && i != 0xad);
        t->byte_codes[i] = printable ? (uint32_t)i : next++;
        t->code_bytes[t->byte_codes[i]] = i;
        t->byte_ids[i] = tokenizer__find(t, name, (size_t)json_put_utf8(name, t->byte_codes[i]));
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        t->fallback_ids[i] = tokenizer__find(t, name, 6);
    }
}

static inline int tokenizer__read_model(tokenizer *t, const json_value *model, size_t added) {
    static const char *const affixes[2] = { "continuing_subword_prefix", "end_of_word_suffix" };
    const char *type = json_string(json_find(model, "type"), "BPE");
    const json_value *v;
    int i;
    if (!json_is(model, JSON_OBJECT)) return tokenizer__refuse(t, "it has no object \"model\"");
    if (strcmp(type, "BPE") != 0)
        return tokenizer__refuse(t, "a model of type \"%.40s\" is not known here, only BPE", type);
    v = json_find(model, "dropout");
    if (!tokenizer__is_nothing(v) && !(json_is(v, JSON_NUMBER) && json_number(v, 1) <= 0))
        return tokenizer__refuse(t, "model.dropout is not known here; set it to null");
    for (i = 0; i < 2; i++)
        if (!tokenizer__is_nothing(v = json_find(model, affixes[i]))
            && !(v->type == JSON_STRING && v->length == 0))
            return tokenizer__refuse(t, "model.%s is not known here, only null or \"\"",
                                     affixes[i]);
    if (!tokenizer__flag(t, model, "fuse_unk", 0, &t->fuse_unk)
        || !tokenizer__flag(t, model, "byte_fallback", 0, &t->byte_fallback)
        || !tokenizer__flag(t, model, "ignore_merges", 0, &t->ignore_merges)
        || !tokenizer__read_vocab(t, json_find(model, "vocab"), added)
        || !tokenizer__read_merges(t, json_find(model, "merges"))) return 0;
    v = json_find(model, "unk_token");
    if (!tokenizer__is_nothing(v) && v->type != JSON_STRING)
        return tokenizer__refuse(t, "model.unk_token should be a string or null");
    t->has_unk = json_is(v, JSON_STRING);
    t->unk = t->has_unk ? tokenizer__find(t, v->text, v->length) : -1;
    tokenizer__name_bytes(t);
    return 1;
}

/* -- normalizer, pre_tokenizer, decoder */

typedef int (*tokenizer_reader)(tokenizer *t, const json_value *v, const char *type);

/* Reads what may be nothing, one step or a Sequence of them, which then are under `parts`. */
static inline int tokenizer__read_steps(tokenizer *t, const json_value *v, const char *parts,
                                        tokenizer_reader read) {
    const char *type = json_string(json_find(v, "type"), "");
    const json_value *list, *part;
    if (tokenizer__is_nothing(v)) return 1;
    if (strcmp(type, "Sequence") != 0) return read(t, v, type);
    list = json_find(v, parts);
    if (!json_is(list, JSON_ARRAY))
        return tokenizer__refuse(t, "a Sequence should have an array \"%s\"", parts);
    for (part = json_first(list); part; part = json_next(list, part))
        if (!tokenizer__read_steps(t, part, parts, read)) return 0;
    return 1;
}

static inline tokenizer_step *tokenizer__add_step(tokenizer *t, tokenizer_steps *steps, int kind) {
    tokenizer_step *step = &steps->step[steps->count];
    if (steps->count == TOKENIZER_STEPS) {
        tokenizer__refuse(t, "a Sequence has more than %d parts", TOKENIZER_STEPS);
        return NULL;
    }
    memset(step, 0, sizeof *step);
    step->kind = kind;
    steps->count++;
    return step;
}

/* { "pattern": { "String": from }, "content": to } */
static inline int tokenizer__read_replace(tokenizer *t, tokenizer_steps *steps,
                                          const json_value *v) {
    tokenizer_step *step = tokenizer__add_step(t, steps, TOKENIZER_REPLACE);
    const json_value *from = json_find(json_find(v, "pattern"), "String");
    if (!step) return 0;
    if (!json_is(from, JSON_STRING) || !from->length)
        return tokenizer__refuse(t, "a Replace should have a \"pattern\" that is a \"String\"; "
                                 "regular expressions are not known here");
    step->from = from->text;
    step->from_length = from->length;
    return tokenizer__string(t, v, "content", 0, &step->to, &step->to_length);
}

static inline int tokenizer__read_normalizer(tokenizer *t, const json_value *v,
                                             const char *type) {
    tokenizer_steps *steps = &t->normalizer;
    tokenizer_step *step;
    if (strcmp(type, "Replace") == 0) return tokenizer__read_replace(t, steps, v);
    if (strcmp(type, "NFC") == 0) {
        if (steps->count && steps->step[steps->count - 1].kind == TOKENIZER_NFC) return 1;
        return tokenizer__add_step(t, steps, TOKENIZER_NFC) != NULL;
    }
    if (strcmp(type, "Prepend") != 0)
        return tokenizer__refuse(t, "the normalizer \"%.40s\" is not known here, only NFC, "
                                 "Prepend, Replace and Sequence", type);
    step = tokenizer__add_step(t, steps, TOKENIZER_PREPEND);
    return step && tokenizer__string(t, v, "prepend", 0, &step->to, &step->to_length);
}

/* { "Regex": ... } of a Split, for which there is a function. */
static inline int tokenizer__read_split(tokenizer *t, const json_value *v) {
    static const struct { const char *pattern; tokenizer_cut cut; } known[] = {
        { "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
          tokenizer__cut_gpt2 },        /* without its end, which is the same: */
        { "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)",
          tokenizer__cut_gpt2 },
        { "[\\p{P}\\$\\+<=>\\^~\\|]+", tokenizer__cut_punctuation },
        { "\\p{N}+", tokenizer__cut_numbers },
        { "[0-9][0-9][0-9]", tokenizer__cut_three_digits },
        { "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
          "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", tokenizer__cut_llama3 },
        { "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
          "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", tokenizer__cut_qwen2 }
    };
    const char *pattern = json_string(json_find(json_find(v, "pattern"), "Regex"), NULL);
    const char *behavior = json_string(json_find(v, "behavior"), "");
    tokenizer_step *step;
    size_t i;
    int invert;
    if (!tokenizer__flag(t, v, "invert", 0, &invert)) return 0;
    if (strcmp(behavior, "Isolated") != 0 || invert)
        return tokenizer__refuse(t, "a Split is known here with behavior \"Isolated\" and invert "
                                 "false only, not with \"%.20s\" and %s", behavior,
                                 invert ? "true" : "false");
    if (!pattern)
        return tokenizer__refuse(t, "a Split should have a \"pattern\" that is a \"Regex\"");
    step = tokenizer__add_step(t, &t->pre_tokenizer, TOKENIZER_CUT);
    for (i = 0; step && i < sizeof known / sizeof *known; i++)
        if (strcmp(pattern, known[i].pattern) == 0) {
            step->cut = known[i].cut;
            return 1;
        }
    return step && tokenizer__refuse(t, "a Split with the pattern \"%.40s%s\" is not known here, "
                                     "only with those of GPT-2, Llama 3, Qwen2 and llama.cpp's "
                                     "default", pattern, strlen(pattern) > 40 ? "..." : "");
}

static inline int tokenizer__read_byte_level(tokenizer *t, const json_value *v) {
    tokenizer_step *step;
    int space, regex;
    if (!tokenizer__flag(t, v, "add_prefix_space", 1, &space)
        || !tokenizer__flag(t, v, "use_regex", 1, &regex)) return 0;
    t->byte_level = 1;
    if (space && !tokenizer__add_step(t, &t->pre_tokenizer, TOKENIZER_SPACE_BEFORE)) return 0;
    if (!regex) return 1;
    step = tokenizer__add_step(t, &t->pre_tokenizer, TOKENIZER_CUT);
    if (step) step->cut = tokenizer__cut_gpt2;
    return step != NULL;
}

/* replacement and prepend_scheme, of the pre_tokenizer and the decoder alike. */
static inline int tokenizer__read_mark(tokenizer *t, const json_value *v, tokenizer_step *step) {
    static const char *const schemes[] = { "always", "first", "never" };
    const char *scheme = json_string(json_find(v, "prepend_scheme"), "always");
    uint32_t code;
    int i, space;
    if (!tokenizer__string(t, v, "replacement", 1, &step->from, &step->from_length)
        || !tokenizer__flag(t, v, "add_prefix_space", 1, &space)) return 0;
    if ((size_t)json_utf8(step->from, step->from_length, &code) != step->from_length)
        return tokenizer__refuse(t, "\"replacement\" of a \"Metaspace\" should be one character");
    for (i = 0; i < 3 && strcmp(scheme, schemes[i]) != 0; i++) {}
    step->scheme = i;
    if (i == 3 || (!space && i != TOKENIZER_NEVER))
        return tokenizer__refuse(t, "the prepend_scheme \"%.20s\" of a Metaspace is not known "
                                 "here, only always, first and never%s", scheme,
                                 i == 3 ? "" : " (and never if add_prefix_space is false)");
    return 1;
}

static inline int tokenizer__read_metaspace(tokenizer *t, const json_value *v) {
    tokenizer_step *step = tokenizer__add_step(t, &t->pre_tokenizer, TOKENIZER_METASPACE), *cut;
    int split;
    if (!step || !tokenizer__read_mark(t, v, step) || !tokenizer__flag(t, v, "split", 1, &split))
        return 0;
    if (!split) return 1;
    cut = tokenizer__add_step(t, &t->pre_tokenizer, TOKENIZER_CUT);
    if (!cut) return 0;
    cut->cut = tokenizer__cut_at_mark;
    cut->from = step->from;
    cut->from_length = step->from_length;
    return 1;
}

static inline int tokenizer__read_pre_tokenizer(tokenizer *t, const json_value *v,
                                                const char *type) {
    tokenizer_step *step;
    int each, i;
    if (t->byte_level)
        return tokenizer__refuse(t, "a pre_tokenizer behind ByteLevel is not known here");
    for (i = 0; i < t->pre_tokenizer.count; i++)
        if (t->pre_tokenizer.step[i].kind == TOKENIZER_METASPACE)
            return tokenizer__refuse(t, "a pre_tokenizer behind Metaspace is not known here");
    if (strcmp(type, "Split") == 0) return tokenizer__read_split(t, v);
    if (strcmp(type, "ByteLevel") == 0) return tokenizer__read_byte_level(t, v);
    if (strcmp(type, "Metaspace") == 0) return tokenizer__read_metaspace(t, v);
    if (strcmp(type, "Digits") != 0)
        return tokenizer__refuse(t, "the pre_tokenizer \"%.40s\" is not known here, only "
                                 "ByteLevel, Split, Digits, Metaspace and Sequence", type);
    step = tokenizer__add_step(t, &t->pre_tokenizer, TOKENIZER_CUT);
    if (!step || !tokenizer__flag(t, v, "individual_digits", 0, &each)) return 0;
    step->cut = each ? tokenizer__cut_each_digit : tokenizer__cut_digits;
    return 1;
}

static inline int tokenizer__read_decoder(tokenizer *t, const json_value *v, const char *type) {
    static const struct { const char *type; int kind; } known[] = {
        { "ByteLevel", TOKENIZER_BYTES }, { "ByteFallback", TOKENIZER_FALLBACK },
        { "Fuse", TOKENIZER_FUSE }, { "Strip", TOKENIZER_STRIP },
        { "Metaspace", TOKENIZER_METASPACE }
    };
    tokenizer_step *step;
    size_t i;
    t->has_decoder = 1;
    if (strcmp(type, "Replace") == 0) return tokenizer__read_replace(t, &t->decoder, v);
    for (i = 0; i < 5 && strcmp(type, known[i].type) != 0; i++) {}
    if (i == 5)
        return tokenizer__refuse(t, "the decoder \"%.40s\" is not known here, only ByteLevel, "
                                 "Metaspace, Replace, ByteFallback, Fuse, Strip and Sequence",
                                 type);
    step = tokenizer__add_step(t, &t->decoder, known[i].kind);
    if (!step) return 0;
    if (step->kind == TOKENIZER_METASPACE) return tokenizer__read_mark(t, v, step);
    if (step->kind != TOKENIZER_STRIP) return 1;
    return tokenizer__string(t, v, "content", 1, &step->from, &step->from_length)
           && tokenizer__whole(t, json_find(v, "start"), "\"start\" of a Strip", INT_MAX,
                               &step->start)
           && tokenizer__whole(t, json_find(v, "stop"), "\"stop\" of a Strip", INT_MAX,
                               &step->stop);
}

/* -- added tokens */

static inline int tokenizer__compare_added(const void *a, const void *b) {
    const tokenizer_added *x = (const tokenizer_added *)a, *y = (const tokenizer_added *)b;
    size_t n = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->text, y->text, n);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static inline int tokenizer__compare_ids(const void *a, const void *b) {
    int x = ((const tokenizer_added *)a)->id, y = ((const tokenizer_added *)b)->id;
    return (x > y) - (x < y);
}

/* What an object says of an added token, or a string, which is one without wishes. special: where
 * nothing is said of it. */
static inline int tokenizer__describe(tokenizer *t, const json_value *v, int special,
                                      tokenizer_added *a) {
    const json_value *content = json_is(v, JSON_STRING) ? v : json_find(v, "content");
    memset(a, 0, sizeof *a);
    a->id = -1;
    if (!json_is(content, JSON_STRING))
        return tokenizer__refuse(t, "each added token should have a string \"content\"");
    a->content = content->text;
    a->content_length = content->length;
    return tokenizer__flag(t, v, "special", special, &a->special)
           && tokenizer__flag(t, v, "normalized", -1, &a->normalized)
           && tokenizer__flag(t, v, "single_word", 0, &a->single_word)
           && tokenizer__flag(t, v, "lstrip", 0, &a->lstrip)
           && tokenizer__flag(t, v, "rstrip", 0, &a->rstrip);
}

/* The added token of this text so far, or NULL. */
static inline tokenizer_added *tokenizer__added_as(const tokenizer *t, const tokenizer_added *a) {
    int id = t->slots[tokenizer__slot(t, a->content, a->content_length)];
    return id >= 0 && t->tokens[id].added ? &t->found[t->tokens[id].added - 1] : NULL;
}

/* Adds a token, or tells one that was added before how it is found from now on. Its id is the one
 * in the vocabulary or the next free one; the library does not look at what the file says, which
 * has to be the same. Once special it stays so. */
static inline int tokenizer__add(tokenizer *t, const tokenizer_added *a) {
    int known = t->slots[tokenizer__slot(t, a->content, a->content_length)];
    int id = known >= 0 ? known : t->next;
    tokenizer_token *token = &t->tokens[id];
    tokenizer_added *found;
    if (!a->content_length) return 1;
    if (a->id >= 0 && a->id != id)
        return tokenizer__refuse(t, "the added token \"%.60s\" has the id %d, but would get %d",
                                 a->content, a->id, id);
    if (known < 0 && !tokenizer__name_token(t, id, a->content, a->content_length)) return 0;
    if (id >= t->size) t->size = id + 1;
    if (id >= t->next) t->next = id + 1;
    if (!token->added) token->added = (int)++t->num_found;
    token->special |= a->special;
    found = &t->found[token->added - 1];
    *found = *a;
    found->id = id;
    if (a->normalized < 0) found->normalized = !a->special;
    return 1;
}

/* added_tokens of tokenizer.json. */
static inline int tokenizer__read_added(tokenizer *t, const json_value *list) {
    const json_value *v;
    tokenizer_added a;
    for (v = json_first(list); v; v = json_next(list, v))
        if (!tokenizer__describe(t, v, 0, &a)
            || !tokenizer__whole(t, json_find(v, "id"), "the id of an added token",
                                 2 * TOKENIZER_MOST_IDS, &a.id) || !tokenizer__add(t, &a)) return 0;
    return 1;
}

/* Whether one of the names from `from` on and before `to` is this text; an object only where
 * `objects` says so, or where it is one without a type. */
static inline int tokenizer__is_named(const special_tokens *names, int from, int to, int objects,
                                      const tokenizer_added *a) {
    for (; from < to; from++) {
        const json_value *of = names->items[from].value, *v = special_token_text(of);
        if ((objects || !json_find(of, "__type")) && v->length == a->content_length
            && !memcmp(v->text, a->content, v->length)) return 1;
    }
    return 0;
}

/* One of added_tokens_decoder, which are objects by id, or of added_tokens.json: ids by text. */
static inline int tokenizer__read_numbered(tokenizer *t, const special_tokens *names,
                                           const json_value *v, int listed, tokenizer_added *a) {
    char *end;
    long id;
    if (!listed) {
        if (!tokenizer__describe(t, v, 0, a)) return 0;
        id = strtol(v->key, &end, 10);
        a->id = *end || end == v->key || id < 0 || id > 2 * TOKENIZER_MOST_IDS ? -1 : (int)id;
        return a->id >= 0 || tokenizer__refuse(t, "\"%.40s\" in added_tokens_decoder should be the "
                                               "id of a token", v->key);
    }
    memset(a, 0, sizeof *a);
    a->content = v->key;
    a->content_length = v->key_length;
    a->special = tokenizer__is_named(names, 0, names->usual, 0, a)
                 || tokenizer__is_named(names, names->named, names->listed, 0, a);
    a->normalized = !a->special;
    return tokenizer__whole(t, v, "each id in added_tokens.json", 2 * TOKENIZER_MOST_IDS, &a->id);
}

/* Those of one of the two, by rising id. */
static inline int tokenizer__add_numbered(tokenizer *t, const special_tokens *names,
                                          const json_value *of, int listed) {
    tokenizer_added *all = of ? (tokenizer_added *)calloc(of->length + 1, sizeof *all) : NULL;
    const json_value *v;
    size_t n = 0, i;
    int good = 1;
    if (!of) return 1;
    if (!all) return tokenizer__no_memory(t);
    if (of->type != JSON_OBJECT) good = tokenizer__refuse(t, "added_tokens_decoder should be an "
                                                          "object");
    for (v = json_first(of); v && good; v = json_next(of, v))
        good = tokenizer__read_numbered(t, names, v, listed, &all[n++]);
    qsort(all, good ? n : 0, sizeof *all, tokenizer__compare_ids);
    for (i = 0; i < n && good; i++) {
        tokenizer_added *a = &all[i], *same = tokenizer__added_as(t, a);
        if (listed && same && same->id == a->id) continue;      /* it says no more than its id  */
        a->special |= tokenizer__is_named(names, 0, names->named, 1, a);
        good = tokenizer__add(t, a);
    }
    free(all);
    return good;
}

/* Whether the same string is among those before number i. */
static inline int tokenizer__repeats(const special_tokens *names, int i) {
    const char *text = json_string(names->items[i].value, NULL);
    int k = 0;
    while (text && k < i && strcmp(json_string(names->items[k].value, ""), text)) k++;
    return text && k < i;
}

/* The names that are no added tokens so far; of several for one text the last counts. */
static inline int tokenizer__add_named(tokenizer *t, const special_tokens *names) {
    size_t before = t->num_found;
    tokenizer_added a, *same;
    int i;
    for (i = 0; i < names->count; i++) {
        if (tokenizer__repeats(names, i)) continue;
        if (!tokenizer__describe(t, names->items[i].value, 1, &a)) return 0;
        if (i < names->named) a.special = 1;
        same = tokenizer__added_as(t, &a);
        if ((!same || same >= t->found + before) && !tokenizer__add(t, &a)) return 0;
    }
    return 1;
}

/* One of those that were found goes where texts are searched for it. */
static inline int tokenizer__place_added(tokenizer *t, const tokenizer_added *of) {
    tokenizer_added_list *list = &t->added[of->normalized];
    tokenizer_added *a = &list->items[list->count];
    const char *text = of->content;
    size_t length = of->content_length;
    if (of->normalized && !tokenizer__normalize(t, &text, &length)) return tokenizer__no_memory(t);
    if (!length) return tokenizer__refuse(t, "the normalizer leaves nothing of the added token "
                                          "\"%.60s\"", of->content);
    *a = *of;
    a->text = (char *)malloc(length);
    if (!a->text) return tokenizer__no_memory(t);
    memcpy(a->text, text, length);
    a->length = length;
    t->tokens[a->id].shown = a->text;
    t->tokens[a->id].shown_length = length;
    list->starts[(unsigned char)*a->text] = 1;
    list->count++;
    return 1;
}

static inline int tokenizer__place_all_added(tokenizer *t) {
    int i;
    size_t k;
    for (i = 0; i < 2; i++) {
        t->added[i].items = (tokenizer_added *)calloc(t->num_found + 1, sizeof(tokenizer_added));
        if (!t->added[i].items) return tokenizer__no_memory(t);
    }
    for (k = 0; k < t->num_found; k++)
        if (!tokenizer__place_added(t, &t->found[k])) return 0;
    for (i = 0; i < 2; i++) {
        tokenizer_added_list *a = &t->added[i];
        qsort(a->items, a->count, sizeof *a->items, tokenizer__compare_added);
        for (k = 1; k < a->count; k++)
            if (tokenizer__compare_added(&a->items[k - 1], &a->items[k]) == 0)
                return tokenizer__refuse(t, "the added tokens %d and %d are found by the same text",
                                         a->items[k - 1].id, a->items[k].id);
    }
    return 1;
}

/* -- post_processor */

/* The one special token of a template that stands before ($A still to come) or behind; *id. */
static inline int tokenizer__read_special(tokenizer *t, const json_value *template_,
                                          const json_value *special, int *id) {
    const char *name = json_string(json_find(special, "id"), "");
    const json_value *ids = json_find(json_find(json_find(template_, "special_tokens"), name),
                                      "ids");
    if (*id >= 0 || !json_is(ids, JSON_ARRAY) || ids->length != 1)
        return tokenizer__refuse(t, "a TemplateProcessing is known here with at most one token in "
                                 "front and one behind");
    return tokenizer__whole(t, ids + 1, "the id in a TemplateProcessing", t->size - 1, id);
}

static inline int tokenizer__read_processor(tokenizer *t, const json_value *v, const char *type) {
    const json_value *single = json_find(v, "single"), *part;
    int seen = 0;
    if (strcmp(type, "ByteLevel") == 0) return 1;
    if (strcmp(type, "TemplateProcessing") != 0)
        return tokenizer__refuse(t, "the post_processor \"%.40s\" is not known here, only "
                                 "ByteLevel, TemplateProcessing and Sequence", type);
    if (!json_is(single, JSON_ARRAY))
        return tokenizer__refuse(t, "a TemplateProcessing should have an array \"single\"");
    for (part = json_first(single); part; part = json_next(single, part)) {
        const json_value *special = json_find(part, "SpecialToken");
        if (json_find(part, "Sequence")) seen++;
        else if (!special || !tokenizer__read_special(t, v, special, seen ? &t->eos : &t->bos))
            return special ? 0 : tokenizer__refuse(t, "the parts of a TemplateProcessing should be "
                                                   "SpecialToken or Sequence");
    }
    return seen == 1 || tokenizer__refuse(t, "a TemplateProcessing should have one Sequence in "
                                          "\"single\"");
}

/* -- the whole */

/* Whether a character that is not in the vocabulary still becomes some token. */
static inline int tokenizer__drops_nothing(const tokenizer *t) {
    int i;
    for (i = 0; i < 256 && t->fallback_ids[i] >= 0; i++) {}
    return t->has_unk || (t->byte_fallback && i == 256);
}

/* If no merge joins what stands before a U+2581 to it, and nothing between two of them can vanish,
 * words that begin with it can be merged one by one: nothing changes but the time it takes. */
static inline int tokenizer__cut_at_blanks(tokenizer *t) {
    static const char mark[] = "\xe2\x96\x81";
    tokenizer_step *step;
    int id;
    size_t i;
    if (t->byte_level || t->ignore_merges || tokenizer__find(t, mark, 3) < 0
        || !tokenizer__drops_nothing(t) || t->pre_tokenizer.count == TOKENIZER_STEPS) return 1;
    for (id = 0; id < t->size; id++) {
        const tokenizer_token *token = &t->tokens[id];
        for (i = 1; token->in_model && i + 2 < token->length; i++)
            if (memcmp(token->text + i, mark, 3) == 0
                && (i < 3 || memcmp(token->text + i - 3, mark, 3) != 0)) return 1;
    }
    step = tokenizer__add_step(t, &t->pre_tokenizer, TOKENIZER_CUT);
    step->cut = tokenizer__cut_after_word;
    step->from = mark;
    step->from_length = 3;
    return 1;
}

static inline int tokenizer__measure(tokenizer *t) {
    int id;
    for (id = 0; id < t->size; id++) {
        const tokenizer_text *x = tokenizer__decode(t, &id, 1, 1);
        if (!x) return tokenizer__no_memory(t);
        if (x->length > INT_MAX) return tokenizer__refuse(t, "token %d is too long", id);
        if ((int)x->length > t->longest) t->longest = (int)x->length;
    }
    return 1;
}

typedef struct tokenizer_files {
    json parsed[TOKENIZER_FILES];   /* no values: it is not there                                */
    const char *names[TOKENIZER_FILES];
} tokenizer_files;

/* All added tokens, of tokenizer.json first. */
static inline int tokenizer__read_named(tokenizer *t, const tokenizer_files *f,
                                        const json_value *list, special_tokens *names) {
    const json_value *config = f->parsed[TOKENIZER_CONFIG].values, *split;
    const json_value *decoder = json_find(config, "added_tokens_decoder");
    size_t k;
    if (tokenizer__is_nothing(decoder)) decoder = NULL;
    if (!tokenizer__read_added(t, list)) return 0;
    t->own_size = t->size;
    t->name = f->names[TOKENIZER_CONFIG];
    split = json_find(config, "split_special_tokens");
    if (json_is(split, JSON_TRUE))
        return tokenizer__refuse(t, "split_special_tokens is not known here; set it to false");
    if (!special_tokens_read(names, config, f->parsed[TOKENIZER_MAP].values))
        return tokenizer__refuse(t, "it names more than %d special tokens", SPECIAL_TOKENS_MOST);
    if (!tokenizer__add_numbered(t, names, decoder, 0)) return 0;
    for (k = 0; k < t->num_found && !decoder; k++)
        t->tokens[t->found[k].id].special |= tokenizer__is_named(names, 0, names->named, 1,
                                                                 &t->found[k]);
    t->name = f->names[TOKENIZER_LIST];
    if (!decoder && !tokenizer__add_numbered(t, names, f->parsed[TOKENIZER_LIST].values, 1))
        return 0;
    t->name = f->names[TOKENIZER_CONFIG];
    if (!tokenizer__add_named(t, names)) return 0;
    t->name = f->names[TOKENIZER_JSON];
    return tokenizer__place_all_added(t);
}

static inline int tokenizer__read_all_added(tokenizer *t, const tokenizer_files *f,
                                            const json_value *list) {
    special_tokens *names = (special_tokens *)calloc(1, sizeof *names);       /* 64 KB           */
    const int good = names ? tokenizer__read_named(t, f, list, names)
                           : tokenizer__refuse(t, "out of memory");
    free(names);
    return good;
}

static inline int tokenizer__read(tokenizer *t, const tokenizer_files *f) {
    const json_value *root = f->parsed[TOKENIZER_JSON].values;
    const json_value *added = json_find(root, "added_tokens"), *model = json_find(root, "model");
    const json_value *version = json_find(root, "version");
    size_t room = added ? added->length : 0;
    int i;
    if (version && strcmp(json_string(version, ""), "1.0") != 0)
        return tokenizer__refuse(t, "its version is not known here, only \"1.0\"");
    if (!tokenizer__is_nothing(added) && added->type != JSON_ARRAY)
        return tokenizer__refuse(t, "added_tokens should be an array");
    for (i = 1; i < TOKENIZER_FILES; i++) {
        t->name = f->names[i];
        if (f->parsed[i].values && f->parsed[i].values->type != JSON_OBJECT)
            return tokenizer__refuse(t, "it should be an object");
        room += f->parsed[i].count;
    }
    t->name = f->names[TOKENIZER_JSON];
    t->unicode = unicode_new();
    t->words = (tokenizer_word *)calloc(TOKENIZER_WORDS, sizeof *t->words);
    t->found = (tokenizer_added *)calloc(room + 1, sizeof *t->found);
    if (!t->unicode || !t->words || !t->found) return tokenizer__no_memory(t);
    if (!tokenizer__read_model(t, model, room)) return 0;
    t->next = (int)json_find(model, "vocab")->length;
    return tokenizer__read_steps(t, json_find(root, "normalizer"), "normalizers",
                                 tokenizer__read_normalizer)
           && tokenizer__read_steps(t, json_find(root, "pre_tokenizer"), "pretokenizers",
                                    tokenizer__read_pre_tokenizer)
           && tokenizer__read_steps(t, json_find(root, "decoder"), "decoders",
                                    tokenizer__read_decoder)
           && tokenizer__read_all_added(t, f, added)
           && tokenizer__read_steps(t, json_find(root, "post_processor"), "processors",
                                    tokenizer__read_processor)
           && tokenizer__cut_at_blanks(t) && tokenizer__measure(t);
}

/* Takes over the files. */
static inline tokenizer *tokenizer__new(tokenizer_files *f, char *error) {
    tokenizer *t = (tokenizer *)calloc(1, sizeof *t);
    int i;
    if (!t) snprintf(error, JSON_ERROR_LENGTH, "there is not enough memory for a tokenizer");
    for (i = 0; i < TOKENIZER_FILES && t; i++) {
        t->files[i] = f->parsed[i].text;
        f->parsed[i].text = NULL;
    }
    if (t) {
        t->bos = t->eos = -1;
        t->error = error;
        t->name = f->names[TOKENIZER_JSON];
        if (!tokenizer__read(t, f)) {
            tokenizer_free(t);
            t = NULL;
        } else t->error = NULL, t->name = NULL;
    }
    for (i = 0; i < TOKENIZER_FILES; i++) json_free(&f->parsed[i]);
    return t;
}

/* From the text of a tokenizer.json alone, which it takes over (from malloc, length bytes and then
 * a NUL). NULL with a sentence in error[JSON_ERROR_LENGTH], in which name (may be NULL) says whose
 * text it is. */
static inline tokenizer *tokenizer_parse(char *text, size_t length, const char *name,
                                         char *error) {
    tokenizer_files f;
    memset(&f, 0, sizeof f);
    f.names[TOKENIZER_JSON] = name;
    return json_parse(&f.parsed[TOKENIZER_JSON], text, length, name, error)
           ? tokenizer__new(&f, error) : NULL;
}

/* The same of a folder whose files have `end` behind their names, or not, where there is none. */
static inline tokenizer *tokenizer_load_parts(const char *folder, const char *end, char *error) {
    static const char *const names[TOKENIZER_FILES] = {
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json" };
    char paths[TOKENIZER_FILES][1024], *text;
    tokenizer_files f;
    size_t length;
    int i, n, bare, good = 1;
    memset(&f, 0, sizeof f);
    for (i = 0; i < TOKENIZER_FILES && good; i++) {
        f.names[i] = paths[i];
        for (bare = !*end, text = NULL; bare < 2 && !text && good; bare++) {
            n = snprintf(paths[i], sizeof paths[i], "%s/%s%s", folder, names[i], bare ? "" : end);
            good = n >= 0 && (size_t)n < sizeof paths[i];
            if (!good)
                snprintf(error, JSON_ERROR_LENGTH, "%.80s...: this name is too long", folder);
            errno = 0;
            text = good ? json_load(paths[i], &length, error) : NULL;
            if (good && !text && (errno != ENOENT || (bare && i == TOKENIZER_JSON))) good = 0;
        }
        if (text) good = json_parse(&f.parsed[i], text, length, paths[i], error);
    }
    if (good) return tokenizer__new(&f, error);
    for (i = 0; i < TOKENIZER_FILES; i++) json_free(&f.parsed[i]);
    return NULL;
}

/* folder/tokenizer.json, and what stands beside it. */
static inline tokenizer *tokenizer_load(const char *folder, char *error) {
    return tokenizer_load_parts(folder, "", error);
}

#endif
