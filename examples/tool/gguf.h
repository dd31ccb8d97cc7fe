/* gguf.h: a llama.cpp model file (GGUF) becomes a Hugging Face folder, which can be trained.
 *
 *     char error[GGUF_ERROR_LENGTH];
 *     gguf_summary s;
 *     if (!gguf_convert("model.gguf", "folder", GGUF_AUTO, &s, error)) return puts(error), 1;
 *
 * The folder gets config.json, generation_config.json, model.safetensors and, if the file has a
 * tokenizer, tokenizer.json and tokenizer_config.json: all of them or none. Architectures llama
 * (Mistral's and SmolLM2's files say so too), qwen2 and qwen3; numbers as F32, F16, BF16, Q8_0,
 * Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K or Q6_K. What would change the model is refused by its name.
 *
 * Quantised numbers come out as llama.cpp's own scripts compute them, bit for bit, in F32. Memory:
 * what stands before the tensors, at most twice, and the rows of one head. Little-endian files of
 * version 2 and 3; ggml's docs/gguf.md describes the format, its ggml-common.h the blocks. */
#ifndef GGUF_H
#define GGUF_H

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tokenizer.h"

enum { GGUF_ERROR_LENGTH = JSON_ERROR_LENGTH, GGUF_NAME = 64, GGUF_KEY = 96, GGUF_PATH = 1024 };
enum { GGUF_MOST_ENTRIES = 1 << 16, GGUF_MOST_DIMENSION = 1 << 28 };      /* beyond any model's  */

/* How numbers are written. AUTO: the smallest of BF16, F16, F32 in which all of the file's are
 * exact. NO_TEMPLATE may be added: the chat template is left out. */
enum { GGUF_AUTO, GGUF_F32, GGUF_BF16, GGUF_F16, GGUF_NO_TEMPLATE = 16 };

typedef struct gguf_summary {       /* what gguf_convert() has done                              */
    char   architecture[GGUF_NAME];
    int    layers, dtype, has_tokenizer, has_template, rope_scaling;
    double parameters;
} gguf_summary;

enum { GGUF_UINT8, GGUF_INT8, GGUF_UINT16, GGUF_INT16, GGUF_UINT32, GGUF_INT32, GGUF_FLOAT32,
       GGUF_BOOL, GGUF_STRING, GGUF_LIST, GGUF_UINT64, GGUF_INT64, GGUF_FLOAT64, GGUF_TYPES };

typedef struct gguf_text { const char *text; size_t length; } gguf_text;  /* no NUL after it     */

typedef struct gguf_entry {         /* one line of metadata                                      */
    size_t   key, key_length;       /* where in head                                             */
    uint32_t type, element;         /* element: the type of what is in a list                    */
    size_t   count, at;             /* how many; the first byte, in head                         */
} gguf_entry;

typedef struct gguf_tensor {
    char     name[GGUF_NAME + 1];
    int      rank, kind;            /* kind: index of gguf_kinds                                 */
    uint64_t cols, rows;            /* numbers in a row; rows, 1 for a vector                    */
    uint64_t at, bytes;             /* in the file                                               */
    int      used;
} gguf_tensor;

typedef struct gguf_file {
    FILE *file;
    const char *path;
    char *error;                    /* of the caller: the sentence of the first failure          */
    int failed;
    uint64_t size;
    unsigned char *head;            /* the file's first `loaded` bytes                           */
    size_t loaded, capacity, at;
    gguf_entry *entries;
    gguf_tensor *tensors;           /* sorted by name                                            */
    size_t num_entries, num_tensors;
} gguf_file;

/* ---- failures and memory */

#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
static inline int gguf_fail(gguf_file *g, const char *format, ...) {
    va_list arguments;
    size_t n, length = strlen(g->path);
    if (g->failed) return 0;
    g->failed = 1;
    snprintf(g->error, GGUF_ERROR_LENGTH, "%s: ", g->path + (length > 90 ? length - 90 : 0));
    n = strlen(g->error);
    va_start(arguments, format);
    vsnprintf(g->error + n, GGUF_ERROR_LENGTH - n, format, arguments);
    va_end(arguments);
    return 0;
}

/* Room for n things of a size; NULL after a failure, and then there is a sentence. */
static inline void *gguf_memory(gguf_file *g, uint64_t n, size_t size) {
    void *memory = n < SIZE_MAX / size ? malloc((size_t)(n ? n : 1) * size) : NULL;
    if (!memory) gguf_fail(g, "there is not enough memory for it");
    return memory;
}

static inline void gguf_close(gguf_file *g) {
    if (g->file) fclose(g->file);
    free(g->head);
    free(g->entries);
    free(g->tensors);
    g->file = NULL;
    g->head = NULL;
    g->entries = NULL;
    g->tensors = NULL;
}

/* ---- bytes: little-endian on any machine */

static inline uint32_t gguf_le16(const unsigned char *b) { return b[0] | (uint32_t)b[1] << 8; }
static inline uint32_t gguf_le32(const unsigned char *b) {
    return gguf_le16(b) | gguf_le16(b + 2) << 16;
}
static inline uint64_t gguf_le64(const unsigned char *b) {
    return gguf_le32(b) | (uint64_t)gguf_le32(b + 4) << 32;
}

static inline float gguf_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t gguf_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* 1 sign, 5 exponent, 10 fraction bits. A float's exponent is 112 more, subnormal or not; 31 stands
 * for Inf and NaN. */
static inline float gguf_half(const unsigned char *b) {
    uint32_t bits = gguf_le16(b), sign = (bits & 0x8000) << 16;
    if ((bits & 0x7c00) == 0x7c00) return gguf_float(sign | 0x7f800000 | (bits & 0x3ff) << 13);
    return gguf_float(sign | (bits & 0x7fff) << 13) * 5192296858534827628530496329220096.0f;
}

/* To nearest, ties to even. Returns 0 if x is too large. */
static inline int gguf_to_half(float x, uint32_t *half) {
    uint32_t bits = gguf_bits(x), sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits >= 0x477ff000) return 0;                         /* 65520 rounds to infinity        */
    if (bits >= 0x38800000) bits = (bits - 0x38000000 + 0xfff + (bits >> 13 & 1)) >> 13;
    else {                                                    /* below 2^-14: in steps of 2^-24  */
        float steps = gguf_float(bits) * 16777216.0f, left;
        bits = (uint32_t)steps;
        left = steps - (float)bits;
        bits += left > 0.5f || (left == 0.5f && (bits & 1));
    }
    *half = sign | bits;
    return 1;
}

static inline uint32_t gguf_to_bf16(float x) {
    uint32_t bits = gguf_bits(x);
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/* ---- reading what comes before the tensors, checked against the file's size at every step */

static inline int gguf_seek(gguf_file *g, uint64_t at) {
#if defined(_WIN32)
    int bad = at > INT64_MAX || _fseeki64(g->file, (int64_t)at, SEEK_SET);
#else
    int bad = at > LONG_MAX || fseek(g->file, (long)at, SEEK_SET);
#endif
    return !bad || gguf_fail(g, "cannot be read: %s", strerror(errno));
}

static inline int gguf_measure(gguf_file *g) {
#if defined(_WIN32)
    int64_t size = _fseeki64(g->file, 0, SEEK_END) ? -1 : _ftelli64(g->file);
#else
    long size = fseek(g->file, 0, SEEK_END) ? -1 : ftell(g->file);
#endif
    if (size < 0) return gguf_fail(g, "its size cannot be found: %s", strerror(errno));
    g->size = (uint64_t)size;
    return gguf_seek(g, 0);
}

static inline int gguf_fetch(gguf_file *g, void *to, size_t n) {
    if (fread(to, 1, n, g->file) == n) return 1;
    return gguf_fail(g, "cannot be read: %s",
                     ferror(g->file) ? strerror(errno) : "it is shorter than it was");
}

/* Makes sure of n more bytes behind `at`. The buffer doubles, but never beyond the file. */
static inline int gguf_need(gguf_file *g, uint64_t n) {
    size_t end, capacity;
    unsigned char *head;
    if (n > g->size - g->at || g->size - g->at > SIZE_MAX)
        return gguf_fail(g, "it ends too early: it was not copied completely");
    end = g->at + (size_t)n;
    if (end <= g->loaded) return 1;
    capacity = end > SIZE_MAX / 2 ? end : 2 * end;
    if (capacity < 1 << 16) capacity = 1 << 16;
    if (capacity > g->size) capacity = (size_t)g->size;
    head = (unsigned char *)realloc(g->head, capacity);
    if (!head) return gguf_fail(g, "there is not enough memory for its metadata");
    g->head = head;
    g->capacity = capacity;
    if (!gguf_fetch(g, head + g->loaded, capacity - g->loaded)) return 0;
    g->loaded = capacity;
    return 1;
}

static inline int gguf_take32(gguf_file *g, uint32_t *x) {
    if (!gguf_need(g, 4)) return 0;
    *x = gguf_le32(g->head + g->at);
    g->at += 4;
    return 1;
}

static inline int gguf_take64(gguf_file *g, uint64_t *x) {
    if (!gguf_need(g, 8)) return 0;
    *x = gguf_le64(g->head + g->at);
    g->at += 8;
    return 1;
}

/* A string: 8 bytes of length, then its bytes, which begin at *at. */
static inline int gguf_take_text(gguf_file *g, size_t *at, size_t *length) {
    uint64_t n;
    if (!gguf_take64(g, &n) || !gguf_need(g, n)) return 0;
    *at = g->at;
    *length = (size_t)n;
    g->at += (size_t)n;
    return 1;
}

static inline size_t gguf_type_size(uint32_t type) {
    static const unsigned char sizes[GGUF_TYPES] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    return type < GGUF_TYPES ? sizes[type] : 0;
}

static inline int gguf_take_list(gguf_file *g, gguf_entry *e) {
    uint64_t count, i;
    size_t size, at, length;
    if (!gguf_take32(g, &e->element) || !gguf_take64(g, &count)) return 0;
    e->at = g->at;
    size = e->element == GGUF_STRING ? 8 : gguf_type_size(e->element);
    if (size == 0) return gguf_fail(g, "a list of type %lu is not supported",
                                    (unsigned long)e->element);
    if (count > (g->size - g->at) / size)
        return gguf_fail(g, "it ends too early: it was not copied completely");
    e->count = (size_t)count;
    if (e->element != GGUF_STRING) {
        if (!gguf_need(g, count * size)) return 0;
        g->at += e->count * size;
    } else for (i = 0; i < count; i++)
        if (!gguf_take_text(g, &at, &length)) return 0;
    return 1;
}

static inline int gguf_take_entry(gguf_file *g, gguf_entry *e) {
    size_t at, length;
    memset(e, 0, sizeof *e);
    if (!gguf_take_text(g, &e->key, &e->key_length) || !gguf_take32(g, &e->type)) return 0;
    if (e->type == GGUF_LIST) return gguf_take_list(g, e);
    e->count = 1;
    e->at = g->at;
    if (e->type == GGUF_STRING) return gguf_take_text(g, &at, &length);
    if (!gguf_type_size(e->type))
        return gguf_fail(g, "a value of type %lu in its metadata: it is damaged, or newer than "
                         "this program", (unsigned long)e->type);
    if (!gguf_need(g, gguf_type_size(e->type))) return 0;
    g->at += gguf_type_size(e->type);
    return 1;
}

/* ---- metadata by name */

static inline const gguf_entry *gguf_find(const gguf_file *g, const char *key) {
    size_t i, n = strlen(key);
    for (i = 0; i < g->num_entries; i++) {
        const gguf_entry *e = &g->entries[i];
        if (e->key_length == n && !memcmp(g->head + e->key, key, n)) return e;
    }
    return NULL;
}

/* Text at a place in head where a string begins with its length; *next is where it ends. */
static inline gguf_text gguf_text_at(const gguf_file *g, size_t at, size_t *next) {
    gguf_text t;
    t.length = (size_t)gguf_le64(g->head + at);
    t.text = (const char *)g->head + at + 8;
    if (next) *next = at + 8 + t.length;
    return t;
}

/* The functions below return 0 with a sentence if the value is there but not what it should be; if
 * it is not there, they leave what they were given and return 1. */
static inline int gguf_string(gguf_file *g, const char *key, gguf_text *t) {
    const gguf_entry *e = gguf_find(g, key);
    if (e && e->type != GGUF_STRING) return gguf_fail(g, "%s is not a text", key);
    if (e) *t = gguf_text_at(g, e->at, NULL);
    return 1;
}

static inline int gguf_number(gguf_file *g, const char *key, double *x) {
    const gguf_entry *e = gguf_find(g, key);
    const unsigned char *b;
    uint64_t bits;
    if (!e) return 1;
    b = g->head + e->at;
    switch (e->type) {
    case GGUF_UINT8: case GGUF_BOOL: *x = b[0]; return 1;
    case GGUF_INT8: *x = (int8_t)b[0]; return 1;
    case GGUF_UINT16: *x = gguf_le16(b); return 1;
    case GGUF_INT16: *x = (int16_t)gguf_le16(b); return 1;
    case GGUF_UINT32: *x = gguf_le32(b); return 1;
    case GGUF_INT32: *x = (int32_t)gguf_le32(b); return 1;
    case GGUF_FLOAT32: *x = (double)gguf_float(gguf_le32(b)); return 1;
    case GGUF_UINT64: *x = (double)gguf_le64(b); return 1;
    case GGUF_INT64: *x = (double)(int64_t)gguf_le64(b); return 1;
    case GGUF_FLOAT64: bits = gguf_le64(b); memcpy(x, &bits, sizeof bits); return 1;
    default: return gguf_fail(g, "%s is not a single number", key);
    }
}

/* A list whose elements have this type; *e stays NULL if there is none. */
static inline int gguf_list(gguf_file *g, const char *key, uint32_t element, const gguf_entry **e) {
    *e = gguf_find(g, key);
    if (!*e || ((*e)->type == GGUF_LIST && (*e)->element == element)) return 1;
    return gguf_fail(g, "%s is not a list of %s", key, element == GGUF_STRING ? "texts"
                     : element == GGUF_INT32 ? "32-bit integers" : "32-bit floats");
}

/* The value of "ARCHITECTURE.name". */
static inline int gguf_of_model(gguf_file *g, const char *architecture, const char *name,
                                double *x) {
    char key[GGUF_NAME + GGUF_KEY];
    snprintf(key, sizeof key, "%s.%s", architecture, name);
    return gguf_number(g, key, x);
}

/* The same, a whole number that a model can have; *x negative at first: it must be there. */
static inline int gguf_dimension(gguf_file *g, const char *architecture, const char *name, int *x) {
    double value = -1;
    if (!gguf_of_model(g, architecture, name, &value)) return 0;
    if (value == -1 && *x >= 0) return 1;
    if (value == -1)
        return gguf_fail(g, "%s.%s is missing: is this a model?", architecture, name);
    if (!(value >= 1 && value <= (double)GGUF_MOST_DIMENSION) || floor(value) != value)
        return gguf_fail(g, "%s.%s is %g: it must be a whole number from 1 to 2^28",
                         architecture, name, value);
    *x = (int)value;
    return 1;
}

/* ---- kinds of numbers: a row is blocks of `numbers` numbers in `bytes` bytes. In all formulas d
 * and m have 11 bits, scales at most 8 and integers at most 8, so that every product is exact in a
 * float, a sum is rounded once, and nothing depends on fused multiply-adds. */

static inline void gguf_decode_f32(const unsigned char *b, float *x) {
    *x = gguf_float(gguf_le32(b));
}
static inline void gguf_decode_f16(const unsigned char *b, float *x) { *x = gguf_half(b); }
static inline void gguf_decode_bf16(const unsigned char *b, float *x) {
    *x = gguf_float(gguf_le16(b) << 16);
}

/* d, 32 signed bytes: d q */
static inline void gguf_decode_q8_0(const unsigned char *b, float *x) {
    float d = gguf_half(b);
    int i;
    for (i = 0; i < 32; i++) x[i] = d * (float)(int8_t)b[2 + i];
}

/* 32 integers of 4 bits, the lower halves of 16 bytes and then the upper, and where there are
 * fifth bits (NULL: none), those: x = d (q - less) + m. An m of -0 leaves even a product of -0. */
static inline void gguf_decode_halves(const unsigned char *q, const unsigned char *fifth, float d,
                                      int less, float m, float *x) {
    uint32_t more = fifth ? gguf_le32(fifth) : 0;
    int i;
    for (i = 0; i < 32; i++) {
        int n = (i < 16 ? q[i] & 15 : q[i - 16] >> 4) | (int)(more >> i & 1) << 4;
        x[i] = d * (float)(n - less) + m;
    }
}

static inline void gguf_decode_q4_0(const unsigned char *b, float *x) {
    gguf_decode_halves(b + 2, NULL, gguf_half(b), 8, -0.0f, x);
}
static inline void gguf_decode_q4_1(const unsigned char *b, float *x) {
    gguf_decode_halves(b + 4, NULL, gguf_half(b), 0, gguf_half(b + 2), x);
}
static inline void gguf_decode_q5_0(const unsigned char *b, float *x) {
    gguf_decode_halves(b + 6, b + 2, gguf_half(b), 16, -0.0f, x);
}
static inline void gguf_decode_q5_1(const unsigned char *b, float *x) {
    gguf_decode_halves(b + 8, b + 4, gguf_half(b), 0, gguf_half(b + 2), x);
}

/* Of 8 groups of 32 numbers, the scale and the offset of one: 6 bits each, all in 12 bytes. */
static inline void gguf_scales(const unsigned char *b, int group, int *scale, int *offset) {
    if (group < 4) {
        *scale = b[group] & 63;
        *offset = b[group + 4] & 63;
    } else {
        *scale = (b[group + 4] & 15) | (b[group - 4] >> 6) << 4;
        *offset = b[group + 4] >> 4 | (b[group] >> 6) << 4;
    }
}

/* d, m, scales, [fifth bits of 256 numbers, one bit of 32 bytes a group], 128 bytes of halves: two
 * groups lie in 32 bytes. x = d scale q - m offset */
static inline void gguf_decode_k(const unsigned char *b, int fifth, float *x) {
    const unsigned char *high = b + 16, *q = b + 16 + (fifth ? 32 : 0);
    float d = gguf_half(b), m = gguf_half(b + 2);
    int group, i, scale, offset;
    for (group = 0; group < 8; group++) {
        gguf_scales(b + 4, group, &scale, &offset);
        for (i = 0; i < 32; i++) {
            int n = q[32 * (group / 2) + i] >> 4 * (group % 2) & 15;
            if (fifth) n |= (high[i] >> group & 1) << 4;
            x[32 * group + i] = d * (float)scale * (float)n - m * (float)offset;
        }
    }
}

static inline void gguf_decode_q4_k(const unsigned char *b, float *x) { gguf_decode_k(b, 0, x); }
static inline void gguf_decode_q5_k(const unsigned char *b, float *x) { gguf_decode_k(b, 1, x); }

/* 128 bytes of lower halves, 64 bytes of upper pairs of bits, 16 signed scales, d: two times 128
 * numbers, in four rows of 32. x = d scale (q - 32) */
static inline void gguf_decode_q6_k(const unsigned char *b, float *x) {
    float d = gguf_half(b + 208);
    int part, row, i;
    for (part = 0; part < 2; part++)
        for (row = 0; row < 4; row++)
            for (i = 0; i < 32; i++) {
                int low = b[64 * part + 32 * (row % 2) + i] >> 4 * (row / 2) & 15;
                int high = b[128 + 32 * part + i] >> 2 * row & 3;
                int scale = (int8_t)b[192 + 8 * part + 2 * row + i / 16];
                x[128 * part + 32 * row + i] = d * (float)scale * (float)((low | high << 4) - 32);
            }
}

typedef struct gguf_kind {
    uint32_t type;                  /* ggml's number for it                                      */
    const char *name;
    unsigned numbers, bytes;        /* of a block; 0: not supported                              */
    void (*decode)(const unsigned char *b, float *x);
} gguf_kind;

static const gguf_kind gguf_kinds[] = {
    { 0, "F32", 1, 4, gguf_decode_f32 }, { 1, "F16", 1, 2, gguf_decode_f16 },
    { 30, "BF16", 1, 2, gguf_decode_bf16 }, { 8, "Q8_0", 32, 34, gguf_decode_q8_0 },
    { 2, "Q4_0", 32, 18, gguf_decode_q4_0 }, { 3, "Q4_1", 32, 20, gguf_decode_q4_1 },
    { 6, "Q5_0", 32, 22, gguf_decode_q5_0 }, { 7, "Q5_1", 32, 24, gguf_decode_q5_1 },
    { 12, "Q4_K", 256, 144, gguf_decode_q4_k }, { 13, "Q5_K", 256, 176, gguf_decode_q5_k },
    { 14, "Q6_K", 256, 210, gguf_decode_q6_k }, { 9, "Q8_1", 0, 0, NULL },
    { 10, "Q2_K", 0, 0, NULL }, { 11, "Q3_K", 0, 0, NULL }, { 15, "Q8_K", 0, 0, NULL },
    { 16, "IQ2_XXS", 0, 0, NULL }, { 17, "IQ2_XS", 0, 0, NULL }, { 18, "IQ3_XXS", 0, 0, NULL },
    { 19, "IQ1_S", 0, 0, NULL }, { 20, "IQ4_NL", 0, 0, NULL }, { 21, "IQ3_S", 0, 0, NULL },
    { 22, "IQ2_S", 0, 0, NULL }, { 23, "IQ4_XS", 0, 0, NULL }, { 24, "I8", 0, 0, NULL },
    { 25, "I16", 0, 0, NULL }, { 26, "I32", 0, 0, NULL }, { 27, "I64", 0, 0, NULL },
    { 28, "F64", 0, 0, NULL }, { 29, "IQ1_M", 0, 0, NULL }, { 34, "TQ1_0", 0, 0, NULL },
    { 35, "TQ2_0", 0, 0, NULL }, { 39, "MXFP4", 0, 0, NULL } };

enum { GGUF_KINDS = (int)(sizeof gguf_kinds / sizeof *gguf_kinds) };

/* ---- the list of tensors */

static inline int gguf_take_kind(gguf_file *g, gguf_tensor *t) {
    uint32_t type;
    if (!gguf_take32(g, &type)) return 0;
    for (t->kind = 0; t->kind < GGUF_KINDS; t->kind++)
        if (gguf_kinds[t->kind].type == type) break;
    if (t->kind < GGUF_KINDS && gguf_kinds[t->kind].numbers) return 1;
    if (t->kind < GGUF_KINDS)
        return gguf_fail(g, "tensor %s is %s, which is not supported: use another quantisation "
                         "(F32, F16, BF16, Q8_0, Q4_0 to Q5_1, Q4_K to Q6_K)", t->name,
                         gguf_kinds[t->kind].name);
    return gguf_fail(g, "tensor %s is of type %lu, which this program does not know", t->name,
                     (unsigned long)type);
}

/* Name, rank, dimensions (columns first), type, place after the start of the data. */
static inline int gguf_take_tensor(gguf_file *g, gguf_tensor *t) {
    const gguf_kind *kind;
    uint64_t n, total;
    uint32_t rank, i;
    size_t at, length;
    memset(t, 0, sizeof *t);
    if (!gguf_take_text(g, &at, &length)) return 0;
    if (length > GGUF_NAME || memchr(g->head + at, 0, length))
        return gguf_fail(g, "the name of a tensor is longer than 64 bytes, or has a 0 in it");
    memcpy(t->name, g->head + at, length);
    if (!gguf_take32(g, &rank)) return 0;
    if (rank < 1 || rank > 4) return gguf_fail(g, "tensor %s has no rank from 1 to 4", t->name);
    t->rank = (int)rank;
    t->rows = 1;
    for (i = 0; i < rank; i++) {
        if (!gguf_take64(g, &n)) return 0;
        total = i ? t->rows * n : n;                          /* both factors are at most 2^28   */
        if (n < 1 || n > GGUF_MOST_DIMENSION || total > GGUF_MOST_DIMENSION)
            return gguf_fail(g, "tensor %s has a dimension of 0, or too many numbers", t->name);
        if (i) t->rows = total;
        else t->cols = total;
    }
    if (!gguf_take_kind(g, t) || !gguf_take64(g, &t->at)) return 0;
    kind = &gguf_kinds[t->kind];
    if (t->cols % kind->numbers)
        return gguf_fail(g, "tensor %s is %s, but its rows are no multiple of %u", t->name,
                         kind->name, kind->numbers);
    t->bytes = t->cols / kind->numbers * kind->bytes * t->rows;               /* below 2^58      */
    return 1;
}

/* As in llama.cpp, each begins where the one before it ends, rounded up. */
static inline int gguf_place_tensors(gguf_file *g) {
    double alignment = 32;
    uint64_t step, data, at = 0;
    size_t i;
    if (!gguf_number(g, "general.alignment", &alignment)) return 0;
    if (!(alignment >= 1 && alignment <= 1 << 20) || floor(alignment) != alignment)
        return gguf_fail(g, "general.alignment is %g: it must be a whole number", alignment);
    step = (uint64_t)alignment;
    data = (g->at + step - 1) / step * step;
    for (i = 0; i < g->num_tensors; i++) {
        gguf_tensor *t = &g->tensors[i];
        if (t->at != at)
            return gguf_fail(g, "tensor %s does not follow the one before it: it is damaged",
                             t->name);
        if (data > g->size || at > g->size - data || t->bytes > g->size - data - at)
            return gguf_fail(g, "it ends before tensor %s does: it was not copied completely",
                             t->name);
        t->at = data + at;
        at = (at + t->bytes + step - 1) / step * step;
    }
    return 1;
}

static inline int gguf_by_name(const void *a, const void *b) {
    return strcmp(((const gguf_tensor *)a)->name, ((const gguf_tensor *)b)->name);
}

static inline int gguf_named(const void *name, const void *tensor) {
    return strcmp((const char *)name, ((const gguf_tensor *)tensor)->name);
}

static inline gguf_tensor *gguf_tensor_of(const gguf_file *g, const char *name) {
    if (!g->num_tensors) return NULL;
    return (gguf_tensor *)bsearch(name, g->tensors, g->num_tensors, sizeof *g->tensors, gguf_named);
}

/* "GGUF", version, how many tensors, how many lines of metadata. */
static inline int gguf_take_counts(gguf_file *g) {
    uint64_t tensors = 0, entries = 0;
    uint32_t version = 0;
    if (g->size < 24 || !gguf_need(g, 24) || memcmp(g->head, "GGUF", 4))
        return gguf_fail(g, "this is no GGUF file");
    g->at = 4;
    gguf_take32(g, &version);
    gguf_take64(g, &tensors);
    gguf_take64(g, &entries);
    if (version && !(version & 0xffff))
        return gguf_fail(g, "it is big-endian, which is not supported: convert it");
    if (version != 2 && version != 3)
        return gguf_fail(g, "GGUF version %lu is not supported, only 2 and 3: convert it anew",
                         (unsigned long)version);
    if (entries > GGUF_MOST_ENTRIES || entries > g->size / 13 || tensors > GGUF_MOST_ENTRIES
        || tensors > g->size / 32)
        return gguf_fail(g, "it cannot hold as much as it claims: it is damaged");
    g->num_entries = (size_t)entries;
    g->num_tensors = (size_t)tensors;
    return 1;
}

static inline int gguf_take_all(gguf_file *g) {
    size_t i, entries, tensors;
    if (!gguf_measure(g) || !gguf_take_counts(g)) return 0;
    entries = g->num_entries;
    tensors = g->num_tensors;
    g->num_entries = g->num_tensors = 0;                      /* as many as have been read       */
    g->entries = (gguf_entry *)gguf_memory(g, entries, sizeof *g->entries);
    g->tensors = (gguf_tensor *)gguf_memory(g, tensors, sizeof *g->tensors);
    if (!g->entries || !g->tensors) return 0;
    for (i = 0; i < entries; i++, g->num_entries++)
        if (!gguf_take_entry(g, &g->entries[i])) return 0;
    for (i = 0; i < tensors; i++, g->num_tensors++)
        if (!gguf_take_tensor(g, &g->tensors[i])) return 0;
    if (!gguf_place_tensors(g)) return 0;
    qsort(g->tensors, tensors, sizeof *g->tensors, gguf_by_name);
    for (i = 1; i < tensors; i++)
        if (!strcmp(g->tensors[i - 1].name, g->tensors[i].name))
            return gguf_fail(g, "tensor %s is there twice", g->tensors[i].name);
    return 1;
}

/* 1, or 0 with a sentence in error[GGUF_ERROR_LENGTH]; gguf_close() either way. path and error are
 * used as long as the file is open. */
static inline int gguf_open(gguf_file *g, const char *path, char *error) {
    memset(g, 0, sizeof *g);
    g->path = path;
    g->error = error;
    g->file = json_open(path, error);
    g->failed = !g->file;
    return g->file && gguf_take_all(g);
}

/* ---- the model: what config.json says of it */

enum { GGUF_LLAMA, GGUF_QWEN2, GGUF_QWEN3, GGUF_FAMILIES };
static const char *const gguf_families[GGUF_FAMILIES][2] = {
    { "llama", "LlamaForCausalLM" }, { "qwen2", "Qwen2ForCausalLM" },
    { "qwen3", "Qwen3ForCausalLM" } };

enum { GGUF_ROPE_PLAIN, GGUF_ROPE_LINEAR, GGUF_ROPE_LLAMA3 };

typedef struct gguf_model {
    int family;
    const char *architecture;
    int vocab_size, hidden_size, intermediate_size, num_layers, num_heads, num_kv_heads, head_dim;
    int context, tied, biased;      /* biased: llama with a bias on q, k, v and o                */
    double theta, eps;
    int rope;                       /* GGUF_ROPE_*                                               */
    double factor, high_freq_factor, original_context;        /* llama3; low_freq_factor is 1    */
} gguf_model;

static inline int gguf_is(gguf_text t, const char *s) {
    return t.length == strlen(s) && !memcmp(t.text, s, t.length);
}

static inline int gguf_read_family(gguf_file *g, gguf_model *m) {
    gguf_text name = { "", 0 };
    double parts = 0;
    if (!gguf_string(g, "general.architecture", &name) || !gguf_number(g, "split.count", &parts))
        return 0;
    if (parts > 1)
        return gguf_fail(g, "it is one of %.0f parts: join them with llama-gguf-split --merge",
                         parts);
    for (m->family = 0; m->family < GGUF_FAMILIES; m->family++) {
        m->architecture = gguf_families[m->family][0];
        if (gguf_is(name, m->architecture)) return 1;
    }
    if (!name.length) return gguf_fail(g, "general.architecture is missing: is this a model?");
    return gguf_fail(g, "its architecture is %.*s: only llama, qwen2 and qwen3 are supported",
                     (int)(name.length < GGUF_NAME ? name.length : (size_t)GGUF_NAME), name.text);
}

/* What these architectures leave out, but others of the same name have had. */
static inline int gguf_refuse_rest(gguf_file *g, const gguf_model *m) {
    static const char *const names[] = {
        "expert_count", "attention.scale", "attention.clamp_kqv", "attention.max_alibi_bias",
        "logit_scale", "residual_scale", "embedding_scale", "final_logit_softcapping",
        "attn_logit_softcapping", "use_parallel_residual", "pooling_type" };
    double x = 0;
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        if (!gguf_of_model(g, m->architecture, names[i], &x)) return 0;
        if (x != 0) return gguf_fail(g, "%s.%s is %g, which is not supported", m->architecture,
                                     names[i], x);
    }
    if (!gguf_of_model(g, m->architecture, "attention.sliding_window", &x)) return 0;
    if (x > 0 && x < m->context)
        return gguf_fail(g, "%s.attention.sliding_window is %g, which is not supported",
                         m->architecture, x);
    return 1;
}

/* llama.cpp stores Llama 3's rope scaling as what it divides each frequency by, f[n]. With w the
 * wavelength, 1/f is 1/factor + s (1 - 1/factor), where s = original_context / w / (high - low)
 * - low / (high - low), kept between 0 and 1: a line in 1/w that two points between give. Only
 * the ratios of high, low and original_context matter, so low is 1, as in every such model. */
static inline int gguf_fit_llama3(gguf_model *m, const float *f, int n) {
    double least = 1.0 / (double)f[n - 1], s[2] = { 0, 0 }, turns[2] = { 0, 0 }, slope, high;
    int i, found = 0;
    for (i = 0; i < n; i++)
        if (f[i] > 1 && f[i] < f[n - 1]) {
            int to = found++ ? 1 : 0;
            s[to] = (1.0 / (double)f[i] - least) / (1 - least);
            turns[to] = pow(m->theta, -(double)i / n) / 6.283185307179586;
        }
    if (found < 2) return 0;
    slope = (s[0] - s[1]) / (turns[0] - turns[1]);
    high = 1 + 1 / (slope * turns[0] - s[0]);
    m->factor = (double)f[n - 1];
    m->high_freq_factor = floor(high * 64 + 0.5) / 64;
    m->original_context = floor(slope * (high - 1) + 0.5);
    if (!(m->high_freq_factor > 1 && m->high_freq_factor < 1e6 && m->original_context >= 1
          && m->original_context <= (double)GGUF_MOST_DIMENSION)) return 0;
    for (i = 0; i < n; i++) {
        double rounds = m->original_context * pow(m->theta, -(double)i / n) / 6.283185307179586;
        double x = (rounds - 1) / (m->high_freq_factor - 1);
        x = x < 0 ? 0 : x > 1 ? 1 : x;
        x = least + x * (1 - least);
        if (!(fabs(x - 1.0 / (double)f[i]) <= 4e-6)) return 0;                /* float's rounding */
    }
    return 1;
}

static inline int gguf_read_factors(gguf_file *g, gguf_model *m) {
    gguf_tensor *t = gguf_tensor_of(g, "rope_freqs.weight");
    unsigned char bytes[4];
    float *f;
    int i, n = m->head_dim / 2, good = 1, plain = 1;
    if (!t) return 1;
    t->used = 1;
    if (gguf_kinds[t->kind].type != 0 || t->rank != 1 || t->cols != (uint64_t)n)
        return gguf_fail(g, "tensor rope_freqs.weight is not %d numbers in F32", n);
    f = (float *)gguf_memory(g, (uint64_t)n, sizeof *f);
    good = f && gguf_seek(g, t->at);
    for (i = 0; i < n && good; i++) {
        good = gguf_fetch(g, bytes, 4);
        f[i] = gguf_float(gguf_le32(bytes));
        plain &= f[i] == 1;
    }
    if (good && !plain) {
        m->rope = GGUF_ROPE_LLAMA3;
        if (!gguf_fit_llama3(m, f, n))
            good = gguf_fail(g, "tensor rope_freqs.weight is not a rope_scaling of type llama3, "
                             "the only one that can be told from it");
    }
    free(f);
    return good;
}

static inline int gguf_read_rope(gguf_file *g, gguf_model *m) {
    gguf_text type = { "none", 4 };
    double old = 0, turning = m->head_dim;
    char key[GGUF_KEY];
    m->theta = 10000;
    m->factor = 1;
    snprintf(key, sizeof key, "%s.rope.scaling.type", m->architecture);
    if (!gguf_of_model(g, m->architecture, "rope.freq_base", &m->theta)
        || !gguf_of_model(g, m->architecture, "rope.dimension_count", &turning)
        || !gguf_of_model(g, m->architecture, "rope.scale_linear", &old)
        || !gguf_of_model(g, m->architecture, "rope.scaling.factor", &m->factor)
        || !gguf_string(g, key, &type)) return 0;
    if (!(m->theta > 0 && m->theta <= 1e30))
        return gguf_fail(g, "%s.rope.freq_base is %g", m->architecture, m->theta);
    if (turning != m->head_dim)
        return gguf_fail(g, "%s.rope.dimension_count is %g, but the heads have %d dimensions: "
                         "only rotation of all is supported", m->architecture, turning,
                         m->head_dim);
    if (old != 0 && old != 1) { m->factor = old; type.text = "linear"; type.length = 6; }
    if (gguf_is(type, "linear") && m->factor != 1) m->rope = GGUF_ROPE_LINEAR;
    else if (!gguf_is(type, "linear") && !gguf_is(type, "none") && type.length)
        return gguf_fail(g, "%s is %.*s, which is not supported", key,
                         (int)(type.length < 32 ? type.length : 32), type.text);
    if (!(m->factor > 0 && m->factor <= 1e6))
        return gguf_fail(g, "%s.rope.scaling.factor is %g", m->architecture, m->factor);
    if (m->rope == GGUF_ROPE_PLAIN) return gguf_read_factors(g, m);
    return !gguf_tensor_of(g, "rope_freqs.weight")
           || gguf_fail(g, "it has both a linear rope scaling and a tensor rope_freqs.weight");
}

/* Are the bytes of two tensors the same? */
static inline int gguf_same(gguf_file *g, const gguf_tensor *a, const gguf_tensor *b) {
    unsigned char from[2][4096];
    uint64_t at, n;
    if (a->bytes != b->bytes || a->kind != b->kind || a->cols != b->cols) return 0;
    for (at = 0; at < a->bytes; at += n) {
        n = a->bytes - at < sizeof *from ? a->bytes - at : sizeof *from;
        if (!gguf_seek(g, a->at + at) || !gguf_fetch(g, from[0], (size_t)n)
            || !gguf_seek(g, b->at + at) || !gguf_fetch(g, from[1], (size_t)n)
            || memcmp(from[0], from[1], (size_t)n)) return 0;
    }
    return 1;
}

/* An LM head of its own, or the embeddings again: some converters write those twice. */
static inline int gguf_read_ends(gguf_file *g, gguf_model *m) {
    gguf_tensor *table = gguf_tensor_of(g, "token_embd.weight");
    gguf_tensor *head = gguf_tensor_of(g, "output.weight");
    if (!table) return gguf_fail(g, "tensor token_embd.weight is missing: is this a model?");
    m->vocab_size = (int)table->rows;
    m->tied = !head || gguf_same(g, table, head);
    if (head && m->tied) head->used = 1;
    return !g->failed;
}

static inline int gguf_read_model(gguf_file *g, gguf_model *m) {
    int value_length;
    memset(m, 0, sizeof *m);
    m->hidden_size = m->intermediate_size = m->num_layers = m->num_heads = m->context = -1;
    m->eps = -1;
    if (!gguf_read_family(g, m)
        || !gguf_dimension(g, m->architecture, "embedding_length", &m->hidden_size)
        || !gguf_dimension(g, m->architecture, "feed_forward_length", &m->intermediate_size)
        || !gguf_dimension(g, m->architecture, "block_count", &m->num_layers)
        || !gguf_dimension(g, m->architecture, "context_length", &m->context)
        || !gguf_dimension(g, m->architecture, "attention.head_count", &m->num_heads)) return 0;
    m->num_kv_heads = m->num_heads;
    m->head_dim = m->hidden_size / m->num_heads;
    if (!gguf_dimension(g, m->architecture, "attention.head_count_kv", &m->num_kv_heads)
        || !gguf_dimension(g, m->architecture, "attention.key_length", &m->head_dim)) return 0;
    value_length = m->head_dim;
    if (!gguf_dimension(g, m->architecture, "attention.value_length", &value_length)) return 0;
    if (!gguf_of_model(g, m->architecture, "attention.layer_norm_rms_epsilon", &m->eps)) return 0;
    if (!(m->eps >= 0 && m->eps < 1))
        return gguf_fail(g, "%s.attention.layer_norm_rms_epsilon is missing, or no such number",
                         m->architecture);
    if (m->head_dim % 2 || m->head_dim < 2 || value_length != m->head_dim
        || m->num_heads % m->num_kv_heads)
        return gguf_fail(g, "%d heads (%d of keys) of %d dimensions (values: %d) do not fit "
                         "together", m->num_heads, m->num_kv_heads, m->head_dim, value_length);
    m->biased = m->family == GGUF_LLAMA && gguf_tensor_of(g, "blk.0.attn_q.bias") != NULL;
    return gguf_refuse_rest(g, m) && gguf_read_rope(g, m) && gguf_read_ends(g, m);
}

/* ---- tensors by their names here and there */

typedef struct gguf_output {        /* a tensor to be written                                    */
    char name[GGUF_KEY];
    const gguf_tensor *from;
    int head;                       /* rows of a head, to be put in order; 0: as they are        */
} gguf_output;

typedef struct gguf_plan {
    gguf_output *outputs;           /* sorted by name, as safetensors' own writer does it        */
    size_t count;
    double parameters;
} gguf_plan;

enum { GGUF_ALL = 7, GGUF_BIASED = 8 };     /* which families: bits, and llama with biases       */
enum { GGUF_WITH_BIAS = 1 << GGUF_QWEN2 | GGUF_BIASED,
       GGUF_WITH_NORM = 1 << GGUF_QWEN3 };
enum { GGUF_HIDDEN, GGUF_INNER, GGUF_QUERY, GGUF_KEYS, GGUF_DIM, GGUF_WORDS, GGUF_ONE };

typedef struct gguf_rule {
    const char *from, *to;
    int rows, cols;                 /* cols GGUF_ONE: a vector                                   */
    int families, rotated;
} gguf_rule;

static const gguf_rule gguf_rules[] = {
    { "attn_norm.weight", "input_layernorm.weight", GGUF_HIDDEN, GGUF_ONE, GGUF_ALL, 0 },
    { "attn_q.weight", "self_attn.q_proj.weight", GGUF_QUERY, GGUF_HIDDEN, GGUF_ALL, 1 },
    { "attn_k.weight", "self_attn.k_proj.weight", GGUF_KEYS, GGUF_HIDDEN, GGUF_ALL, 1 },
    { "attn_v.weight", "self_attn.v_proj.weight", GGUF_KEYS, GGUF_HIDDEN, GGUF_ALL, 0 },
    { "attn_output.weight", "self_attn.o_proj.weight", GGUF_HIDDEN, GGUF_QUERY, GGUF_ALL, 0 },
    { "attn_q.bias", "self_attn.q_proj.bias", GGUF_QUERY, GGUF_ONE, GGUF_WITH_BIAS, 1 },
    { "attn_k.bias", "self_attn.k_proj.bias", GGUF_KEYS, GGUF_ONE, GGUF_WITH_BIAS, 1 },
    { "attn_v.bias", "self_attn.v_proj.bias", GGUF_KEYS, GGUF_ONE, GGUF_WITH_BIAS, 0 },
    { "attn_output.bias", "self_attn.o_proj.bias", GGUF_HIDDEN, GGUF_ONE, GGUF_BIASED, 0 },
    { "attn_q_norm.weight", "self_attn.q_norm.weight", GGUF_DIM, GGUF_ONE, GGUF_WITH_NORM, 0 },
    { "attn_k_norm.weight", "self_attn.k_norm.weight", GGUF_DIM, GGUF_ONE, GGUF_WITH_NORM, 0 },
    { "ffn_norm.weight", "post_attention_layernorm.weight", GGUF_HIDDEN, GGUF_ONE, GGUF_ALL, 0 },
    { "ffn_gate.weight", "mlp.gate_proj.weight", GGUF_INNER, GGUF_HIDDEN, GGUF_ALL, 0 },
    { "ffn_up.weight", "mlp.up_proj.weight", GGUF_INNER, GGUF_HIDDEN, GGUF_ALL, 0 },
    { "ffn_down.weight", "mlp.down_proj.weight", GGUF_HIDDEN, GGUF_INNER, GGUF_ALL, 0 } };

static const gguf_rule gguf_ends[] = {
    { "token_embd.weight", "model.embed_tokens.weight", GGUF_WORDS, GGUF_HIDDEN, GGUF_ALL, 0 },
    { "output_norm.weight", "model.norm.weight", GGUF_HIDDEN, GGUF_ONE, GGUF_ALL, 0 },
    { "output.weight", "lm_head.weight", GGUF_WORDS, GGUF_HIDDEN, GGUF_ALL, 0 } };

static inline uint64_t gguf_extent(const gguf_model *m, int size) {
    switch (size) {
    case GGUF_HIDDEN: return (uint64_t)m->hidden_size;
    case GGUF_INNER: return (uint64_t)m->intermediate_size;
    case GGUF_QUERY: return (uint64_t)m->num_heads * (uint64_t)m->head_dim;
    case GGUF_KEYS: return (uint64_t)m->num_kv_heads * (uint64_t)m->head_dim;
    case GGUF_DIM: return (uint64_t)m->head_dim;
    case GGUF_WORDS: return (uint64_t)m->vocab_size;
    default: return 1;
    }
}

/* Llama's rotary halves lie interleaved in GGUF (rows 2i and 2i + 1 of a head are i and i + half of
 * Hugging Face's); Qwen's do not. */
static inline int gguf_add_output(gguf_file *g, const gguf_model *m, gguf_plan *plan,
                                  const gguf_rule *rule, int layer) {
    char name[GGUF_KEY];
    gguf_tensor *t;
    gguf_output *o;
    uint64_t rows = gguf_extent(m, rule->rows), cols = gguf_extent(m, rule->cols);
    int vector = rule->cols == GGUF_ONE;
    if (layer < 0) snprintf(name, sizeof name, "%s", rule->from);
    else snprintf(name, sizeof name, "blk.%d.%s", layer, rule->from);
    t = gguf_tensor_of(g, name);
    if (!t) return gguf_fail(g, "tensor %s is missing", name);
    if (t->rank != 2 - vector || t->cols != (vector ? rows : cols)
        || t->rows != (vector ? 1 : rows))
        return gguf_fail(g, "tensor %s is %llu x %llu, but should be %llu x %llu", name,
                         (unsigned long long)t->rows, (unsigned long long)t->cols,
                         (unsigned long long)(vector ? 1 : rows),
                         (unsigned long long)(vector ? rows : cols));
    t->used = 1;
    o = &plan->outputs[plan->count++];          /* each takes a tensor of its own: there is room */
    o->from = t;
    o->head = rule->rotated && m->family == GGUF_LLAMA ? m->head_dim : 0;
    if (layer < 0) snprintf(o->name, sizeof o->name, "%s", rule->to);
    else snprintf(o->name, sizeof o->name, "model.layers.%d.%s", layer, rule->to);
    plan->parameters += (double)t->rows * (double)t->cols;
    return 1;
}

static inline int gguf_by_output(const void *a, const void *b) {
    return strcmp(((const gguf_output *)a)->name, ((const gguf_output *)b)->name);
}

/* Every tensor that the model needs, and no other. */
static inline int gguf_make_plan(gguf_file *g, const gguf_model *m, gguf_plan *plan) {
    int families = 1 << m->family | (m->biased ? GGUF_BIASED : 0), layer;
    size_t i;
    memset(plan, 0, sizeof *plan);
    plan->outputs = (gguf_output *)gguf_memory(g, g->num_tensors, sizeof *plan->outputs);
    if (!plan->outputs) return 0;
    for (i = 0; i < 3; i++)
        if ((i < 2 || !m->tied) && !gguf_add_output(g, m, plan, &gguf_ends[i], -1)) return 0;
    for (layer = 0; layer < m->num_layers; layer++)
        for (i = 0; i < sizeof gguf_rules / sizeof *gguf_rules; i++)
            if ((gguf_rules[i].families & families)
                && !gguf_add_output(g, m, plan, &gguf_rules[i], layer)) return 0;
    for (i = 0; i < g->num_tensors; i++)
        if (!g->tensors[i].used)
            return gguf_fail(g, "tensor %s is not part of a %s model as this program knows it",
                             g->tensors[i].name, m->architecture);
    qsort(plan->outputs, plan->count, sizeof *plan->outputs, gguf_by_output);
    return 1;
}

/* ---- numbers, row by row */

/* What is done with a row of n numbers; 0: enough. */
typedef int (*gguf_visit)(void *user, const float *row, size_t n);

/* One row of bytes as floats; 0 if one is not finite. */
static inline int gguf_decode(const gguf_kind *kind, const unsigned char *b, float *x, size_t n) {
    size_t i;
    int good = 1;
    for (i = 0; i < n; i += kind->numbers, b += kind->bytes) kind->decode(b, x + i);
    for (i = 0; i < n; i++) good &= (gguf_bits(x[i]) & 0x7f800000) != 0x7f800000;
    return good;
}

/* A vector is a matrix of one column here. Returns 0 after a failure or when visit() says so. */
static inline int gguf_walk(gguf_file *g, const gguf_output *o, gguf_visit visit, void *user) {
    const gguf_tensor *t = o->from;
    const gguf_kind *kind = &gguf_kinds[t->kind];
    size_t cols = (size_t)(t->rank == 1 && o->head ? 1 : t->cols), unit = 1, r, from, row;
    size_t rows = (size_t)(t->rows * t->cols / cols), bytes = cols / kind->numbers * kind->bytes;
    unsigned char *raw = NULL;
    float *x = NULL;
    int good;
    if (o->head) unit = (size_t)o->head;
    if (cols % kind->numbers) return gguf_fail(g, "tensor %s cannot be quantised", t->name);
    raw = (unsigned char *)gguf_memory(g, unit, bytes);
    x = (float *)gguf_memory(g, cols, sizeof *x);
    good = raw && x && gguf_seek(g, t->at);
    for (row = 0; row < rows && good; row += unit) {
        good = gguf_fetch(g, raw, unit * bytes);
        for (r = 0; r < unit && good; r++) {
            from = !o->head ? r : r < unit / 2 ? 2 * r : 2 * (r - unit / 2) + 1;
            good = gguf_decode(kind, raw + from * bytes, x, cols)
                   || gguf_fail(g, "tensor %s holds a number that is not finite", t->name);
            good = good && visit(user, x, cols);
        }
    }
    free(raw);
    free(x);
    return good;
}

typedef struct gguf_exact { int bf16, f16; } gguf_exact;

static inline int gguf_see_exact(void *user, const float *row, size_t n) {
    gguf_exact *e = (gguf_exact *)user;
    unsigned char bytes[2];
    uint32_t half = 0;
    size_t i;
    for (i = 0; i < n; i++) {
        if (gguf_bits(row[i]) & 0xffff) e->bf16 = 0;
        if (!e->f16) continue;
        e->f16 = gguf_to_half(row[i], &half);
        bytes[0] = (unsigned char)half;
        bytes[1] = (unsigned char)(half >> 8);
        if (e->f16) e->f16 = gguf_bits(gguf_half(bytes)) == gguf_bits(row[i]);
    }
    return e->bf16 || e->f16;
}

static inline int gguf_choose(gguf_file *g, const gguf_plan *plan, int *dtype) {
    gguf_exact e = { 1, 1 };
    size_t i;
    if (*dtype != GGUF_AUTO) return 1;
    for (i = 0; i < plan->count && (e.bf16 || e.f16) && !g->failed; i++)
        gguf_walk(g, &plan->outputs[i], gguf_see_exact, &e);
    *dtype = e.bf16 ? GGUF_BF16 : e.f16 ? GGUF_F16 : GGUF_F32;
    return !g->failed;
}

/* ---- the vocabulary */

enum { GGUF_NORMAL = 1, GGUF_UNKNOWN, GGUF_CONTROL, GGUF_USER, GGUF_UNUSED, GGUF_BYTE };
enum { GGUF_BOS, GGUF_EOS, GGUF_UNK, GGUF_PAD, GGUF_EOT, GGUF_EOM, GGUF_SPECIALS };

/* A way to split text into words before byte-level BPE: the Split expressions one after another,
 * individual digits before them, the normalizer; as the family's own tokenizer.json has it. */
typedef struct gguf_splitter {
    const char *pre;                /* tokenizer.ggml.pre                                        */
    const char *regex[4];           /* empty: ByteLevel's own                                    */
    int digits, nfc, whole_words, add_bos;
} gguf_splitter;

#define GGUF_GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
#define GGUF_CL100K(digits) "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits \
                            "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const gguf_splitter gguf_splitters[] = {
    { "gpt-2", { NULL }, 0, 0, 0, 0 }, { "smollm", { NULL }, 1, 0, 0, 0 },
    { "starcoder", { NULL }, 1, 0, 0, 0 },
    { "qwen2", { GGUF_CL100K("\\p{N}") }, 0, 1, 0, 0 },
    { "deepseek-r1-qwen", { GGUF_CL100K("\\p{N}") }, 0, 1, 0, 0 },
    { "llama-bpe", { GGUF_CL100K("\\p{N}{1,3}") }, 0, 0, 1, 1 },
    { "llama3", { GGUF_CL100K("\\p{N}{1,3}") }, 0, 0, 1, 1 },
    { "llama-v3", { GGUF_CL100K("\\p{N}{1,3}") }, 0, 0, 1, 1 },
    /* nobody's own: what llama.cpp does when it is not told, four expressions in turn */
    { "default", { "[\\p{P}\\$\\+<=>\\^~\\|]+", GGUF_GPT2, "\\p{N}+", "[0-9][0-9][0-9]" },
      0, 0, 0, 0 } };

typedef struct gguf_vocab {
    int pieces;                     /* 1: SentencePiece, 0: byte-level BPE; -1: no tokenizer     */
    size_t count;
    gguf_text *tokens;              /* [count]                                                   */
    const unsigned char *types;     /* [count] 32 bits each; NULL: all normal                    */
    const unsigned char *scores;    /* [count] floats                                            */
    const gguf_entry *merges;
    const gguf_splitter *splitter;
    uint32_t *table;                /* [mask + 1] token + 1 by the hash of its text; 0: free     */
    size_t mask;
    int64_t special[GGUF_SPECIALS]; /* -1: none                                                  */
    int add_bos, add_eos, add_space_prefix;
    gguf_text chat_template;
} gguf_vocab;

static inline void gguf_free_vocab(gguf_vocab *v) {
    free(v->tokens);
    free(v->table);
    v->tokens = NULL;
    v->table = NULL;
}

static inline uint32_t gguf_type_of(const gguf_vocab *v, size_t token) {
    return v->types ? gguf_le32(v->types + 4 * token) : (uint32_t)GGUF_NORMAL;
}

/* Where a text is in the table, or the free place where it would be. FNV-1a. */
static inline size_t gguf_slot(const gguf_vocab *v, const char *text, size_t length) {
    uint64_t hash = UINT64_C(14695981039346656037);
    size_t i, slot;
    for (i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
    slot = (size_t)(hash ^ hash >> 32) & v->mask;
    for (; v->table[slot]; slot = (slot + 1) & v->mask) {
        gguf_text t = v->tokens[v->table[slot] - 1];
        if (t.length == length && !memcmp(t.text, text, length)) break;
    }
    return slot;
}

/* A token's id, or -1. */
static inline int64_t gguf_id(const gguf_vocab *v, const char *text, size_t length) {
    return (int64_t)v->table[gguf_slot(v, text, length)] - 1;
}

static inline int gguf_is_utf8(gguf_text t) {
    size_t i;
    uint32_t code;
    int bytes;
    for (i = 0; i < t.length; i += (size_t)bytes)
        if ((bytes = json_utf8(t.text + i, t.length - i, &code)) == 0) return 0;
    return 1;
}

static inline int gguf_read_tokens(gguf_file *g, gguf_vocab *v, const gguf_entry *list) {
    size_t i, at = list->at, slot;
    v->count = list->count;
    if (!v->count || v->count > GGUF_MOST_DIMENSION)
        return gguf_fail(g, "tokenizer.ggml.tokens is empty or too long");
    for (v->mask = 1; v->mask < 2 * v->count; v->mask = 2 * v->mask + 1) {}
    v->tokens = (gguf_text *)gguf_memory(g, v->count, sizeof *v->tokens);
    v->table = (uint32_t *)gguf_memory(g, v->mask + 1, sizeof *v->table);
    if (!v->tokens || !v->table) return 0;
    memset(v->table, 0, (v->mask + 1) * sizeof *v->table);
    for (i = 0; i < v->count; i++) {
        gguf_text t = v->tokens[i] = gguf_text_at(g, at, &at);
        if (!gguf_is_utf8(t))
            return gguf_fail(g, "token %lu of tokenizer.ggml.tokens is not UTF-8",
                             (unsigned long)i);
        slot = gguf_slot(v, t.text, t.length);
        if (v->table[slot])
            return gguf_fail(g, "tokens %lu and %lu of tokenizer.ggml.tokens are the same",
                             (unsigned long)v->table[slot] - 1, (unsigned long)i);
        v->table[slot] = (uint32_t)i + 1;
    }
    return 1;
}

/* Types and scores, one for each token. */
static inline int gguf_read_columns(gguf_file *g, gguf_vocab *v) {
    const gguf_entry *types, *scores;
    size_t i;
    if (!gguf_list(g, "tokenizer.ggml.token_type", GGUF_INT32, &types)
        || !gguf_list(g, "tokenizer.ggml.scores", GGUF_FLOAT32, &scores)) return 0;
    if ((types && types->count != v->count) || (scores && scores->count != v->count))
        return gguf_fail(g, "tokenizer.ggml.%s is not as long as tokenizer.ggml.tokens",
                         types && types->count != v->count ? "token_type" : "scores");
    if (types) v->types = g->head + types->at;
    if (scores) v->scores = g->head + scores->at;
    if (v->pieces && !scores)
        return gguf_fail(g, "tokenizer.ggml.scores is missing: a SentencePiece needs it");
    for (i = 0; i < v->count && v->pieces; i++)
        if ((gguf_le32(v->scores + 4 * i) & 0x7f800000) == 0x7f800000)
            return gguf_fail(g, "the score of token %lu is not finite", (unsigned long)i);
    return 1;
}

/* 4294967295 and -1 stand for none. Where nothing is said, llama.cpp's SentencePiece has <unk>,
 * <s>, </s> as its first three. */
static inline int gguf_read_specials(gguf_file *g, gguf_vocab *v, size_t count) {
    static const char *const names[GGUF_SPECIALS] = { "bos", "eos", "unknown", "padding", "eot",
                                                      "eom" };
    static const int usual[GGUF_SPECIALS] = { 1, 2, 0, -1, -1, -1 };
    char key[GGUF_KEY];
    int i;
    for (i = 0; i < GGUF_SPECIALS; i++) {
        double x = v->pieces == 1 && count > 2 ? usual[i] : -1;
        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", names[i]);
        if (!gguf_number(g, key, &x)) return 0;
        if (x == 4294967295.0) x = -1;
        if (!(x >= -1 && x < (double)count) || floor(x) != x)
            return gguf_fail(g, "%s is %g, but there are %lu tokens", key, x,
                             (unsigned long)count);
        v->special[i] = (int64_t)x;
    }
    return 1;
}

static inline int gguf_read_splitter(gguf_file *g, gguf_vocab *v) {
    gguf_text pre = { "default", 7 };
    size_t i;
    if (!gguf_string(g, "tokenizer.ggml.pre", &pre)) return 0;
    for (i = 0; i < sizeof gguf_splitters / sizeof *gguf_splitters; i++)
        if (gguf_is(pre, gguf_splitters[i].pre)) v->splitter = &gguf_splitters[i];
    if (v->splitter) return 1;
    return gguf_fail(g, "tokenizer.ggml.pre is %.*s: how that splits text is not known here; "
                     "gpt-2, smollm, starcoder, qwen2, llama-bpe and default are",
                     (int)(pre.length < 32 ? pre.length : 32), pre.text);
}

static inline int gguf_read_flags(gguf_file *g, gguf_vocab *v) {
    double bos = v->pieces ? 1 : v->splitter->add_bos, eos = 0, space = v->pieces;
    if (!gguf_number(g, "tokenizer.ggml.add_bos_token", &bos)
        || !gguf_number(g, "tokenizer.ggml.add_eos_token", &eos)
        || !gguf_number(g, "tokenizer.ggml.add_space_prefix", &space)
        || !gguf_string(g, "tokenizer.chat_template", &v->chat_template)) return 0;
    v->add_bos = bos != 0 && v->special[GGUF_BOS] >= 0;
    v->add_eos = eos != 0 && v->special[GGUF_EOS] >= 0;
    v->add_space_prefix = space != 0;
    return gguf_is_utf8(v->chat_template)
           || gguf_fail(g, "tokenizer.chat_template is not UTF-8");
}

/* vocab_size 0: whatever the tokenizer has. gguf_free_vocab() in any case. */
static inline int gguf_read_vocab(gguf_file *g, gguf_vocab *v, int vocab_size) {
    gguf_text model = { "none", 4 };
    const gguf_entry *list;
    memset(v, 0, sizeof *v);
    v->chat_template.text = "";
    v->pieces = -1;
    if (!gguf_string(g, "tokenizer.ggml.model", &model)) return 0;
    if (gguf_is(model, "none") || gguf_is(model, "no_vocab"))
        return vocab_size ? gguf_read_specials(g, v, (size_t)vocab_size)
                          : gguf_fail(g, "it has no tokenizer");
    if (gguf_is(model, "llama")) v->pieces = 1;
    else if (gguf_is(model, "gpt2")) v->pieces = 0;
    else return gguf_fail(g, "tokenizer.ggml.model is %.*s: only gpt2 (byte-level BPE) and llama "
                          "(SentencePiece) are supported",
                          (int)(model.length < 32 ? model.length : 32), model.text);
    if (!gguf_list(g, "tokenizer.ggml.tokens", GGUF_STRING, &list)
        || !gguf_list(g, "tokenizer.ggml.merges", GGUF_STRING, &v->merges)) return 0;
    if (!list || (!v->merges && !v->pieces))
        return gguf_fail(g, "tokenizer.ggml.%s is missing", list ? "merges" : "tokens");
    if (!gguf_read_tokens(g, v, list) || !gguf_read_columns(g, v)
        || !gguf_read_specials(g, v, v->count)) return 0;
    if (vocab_size && v->count != (size_t)vocab_size)
        return gguf_fail(g, "there are %lu tokens, but %d rows in tensor token_embd.weight",
                         (unsigned long)v->count, vocab_size);
    return (v->pieces || gguf_read_splitter(g, v)) && gguf_read_flags(g, v);
}

/* ---- SentencePiece's merges. It joins the two neighbours whose piece has the highest score; a
 * Hugging Face BPE has a list of pairs instead, the first of which is joined first. As in
 * generate_merges() of transformers' convert_slow_tokenizer.py: every pair of pieces that makes a
 * piece, by score, then by the length of the left and of the right in characters, all falling; then
 * in the order of the pieces, and of the left. */
typedef struct gguf_merge {
    float score;
    uint32_t left, right, made;     /* tokens                                                    */
    uint32_t left_length, right_length;
} gguf_merge;

static inline int gguf_by_rank(const void *a, const void *b) {
    const gguf_merge *x = (const gguf_merge *)a, *y = (const gguf_merge *)b;
    if (x->score > y->score || x->score < y->score) return x->score > y->score ? -1 : 1;
    if (x->left_length != y->left_length) return x->left_length > y->left_length ? -1 : 1;
    if (x->right_length != y->right_length) return x->right_length > y->right_length ? -1 : 1;
    if (x->made != y->made) return x->made < y->made ? -1 : 1;
    return x->left == y->left ? 0 : x->left < y->left ? -1 : 1;
}

/* Control tokens, bytes and <unk> are no pieces of text; a piece with a blank cannot come up, for
 * blanks become U+2581, and would not fit "left right". */
static inline int gguf_is_piece(const gguf_vocab *v, size_t token) {
    uint32_t type = gguf_type_of(v, token);
    gguf_text t = v->tokens[token];
    return type != GGUF_UNKNOWN && type != GGUF_CONTROL && type != GGUF_BYTE && t.length
           && !memchr(t.text, ' ', t.length);
}

/* The pairs that make a token, to merges (NULL: none); returns how many. */
static inline size_t gguf_pairs(const gguf_vocab *v, size_t token, gguf_merge *merges) {
    gguf_text t = v->tokens[token];
    size_t at, count = 0, from = 0;
    uint32_t characters = 0, code;
    if (!gguf_is_piece(v, token)) return 0;
    for (at = 0; at < t.length; characters++)
        at += (size_t)json_utf8(t.text + at, t.length - at, &code);
    for (at = 0, code = 0; at < t.length; from++) {
        int64_t left, right;
        gguf_merge m;
        if (at) {
            left = gguf_id(v, t.text, at);
            right = left < 0 ? -1 : gguf_id(v, t.text + at, t.length - at);
            if (right >= 0 && gguf_is_piece(v, (size_t)left) && gguf_is_piece(v, (size_t)right)) {
                m.score = gguf_float(gguf_le32(v->scores + 4 * token));
                m.left = (uint32_t)left;
                m.right = (uint32_t)right;
                m.made = (uint32_t)token;
                m.left_length = (uint32_t)from;
                m.right_length = characters - (uint32_t)from;
                if (merges) merges[count] = m;
                count++;
            }
        }
        at += (size_t)json_utf8(t.text + at, t.length - at, &code);
    }
    return count;
}

/* All merges, sorted; *count of them. NULL after a failure. */
static inline gguf_merge *gguf_make_merges(gguf_file *g, const gguf_vocab *v, size_t *count) {
    gguf_merge *merges;
    size_t i;
    *count = 0;
    for (i = 0; i < v->count; i++) *count += gguf_pairs(v, i, NULL);
    merges = (gguf_merge *)gguf_memory(g, *count, sizeof *merges);
    if (!merges) return NULL;
    *count = 0;
    for (i = 0; i < v->count; i++) *count += gguf_pairs(v, i, merges + *count);
    qsort(merges, *count, sizeof *merges, gguf_by_rank);
    return merges;
}

/* ---- tokenizer.json */

/* What a failure of the disk leaves behind is seen when the file is closed. */
static inline int gguf_write_piece_merges(gguf_file *g, FILE *file, const gguf_vocab *v) {
    size_t count, i, longest = 0;
    gguf_merge *merges = gguf_make_merges(g, v, &count);
    char *both;
    for (i = 0; i < v->count; i++)
        if (v->tokens[i].length > longest) longest = v->tokens[i].length;
    both = (char *)gguf_memory(g, longest, 2);
    for (i = 0; i < count && merges && both; i++) {
        gguf_text left = v->tokens[merges[i].left], right = v->tokens[merges[i].right];
        memcpy(both, left.text, left.length);
        both[left.length] = ' ';
        memcpy(both + left.length + 1, right.text, right.length);
        fputs(i ? ",\n      " : "\n      ", file);
        json_write(file, both, left.length + 1 + right.length);
    }
    free(merges);
    free(both);
    return !g->failed;
}

/* Hugging Face's reader wants both sides and what they make to be tokens. */
static inline int gguf_check_merge(gguf_file *g, const gguf_vocab *v, gguf_text t, size_t i,
                                   char *scratch) {
    const char *blank = t.length > 1 ? (const char *)memchr(t.text + 1, ' ', t.length - 1) : NULL;
    size_t left = blank ? (size_t)(blank - t.text) : 0, right = t.length - left - 1;
    int64_t ids[3];
    int k;
    if (!blank || !right || memchr(blank + 1, ' ', right))
        return gguf_fail(g, "merge %lu of tokenizer.ggml.merges is not two tokens with a blank "
                         "between", (unsigned long)i);
    memcpy(scratch, t.text, left);
    memcpy(scratch + left, blank + 1, right);
    ids[0] = gguf_id(v, t.text, left);
    ids[1] = gguf_id(v, blank + 1, right);
    ids[2] = gguf_id(v, scratch, left + right);
    for (k = 0; k < 3; k++)
        if (ids[k] < 0 || gguf_type_of(v, (size_t)ids[k]) == GGUF_UNUSED)
            return gguf_fail(g, "merge %lu of tokenizer.ggml.merges, or what it makes, is not "
                             "among the tokens", (unsigned long)i);
    return 1;
}

static inline int gguf_write_byte_merges(gguf_file *g, FILE *file, const gguf_vocab *v) {
    size_t i, at, longest = 0;
    char *scratch;
    for (i = 0, at = v->merges->at; i < v->merges->count; i++) {
        gguf_text t = gguf_text_at(g, at, &at);
        if (t.length > longest) longest = t.length;
    }
    scratch = (char *)gguf_memory(g, longest, 1);
    for (i = 0, at = v->merges->at; i < v->merges->count && scratch && !g->failed; i++) {
        gguf_text t = gguf_text_at(g, at, &at);
        if (!gguf_check_merge(g, v, t, i, scratch)) break;
        fputs(i ? ",\n      " : "\n      ", file);
        json_write(file, t.text, t.length);
    }
    free(scratch);
    return !g->failed;
}

static inline void gguf_write_token(FILE *file, const gguf_vocab *v, int64_t token) {
    json_write(file, v->tokens[token].text, v->tokens[token].length);
}

/* Tokens that are found in a text before it is split: control tokens, <unk>, the users' own. */
static inline void gguf_write_added(FILE *file, const gguf_vocab *v) {
    const char *first = "\n    ";
    size_t i;
    fputs("  \"added_tokens\": [", file);
    for (i = 0; i < v->count; i++) {
        uint32_t type = gguf_type_of(v, i);
        if ((type != GGUF_CONTROL && type != GGUF_UNKNOWN && type != GGUF_USER)
            || !v->tokens[i].length) continue;
        fprintf(file, "%s{\"id\": %lu, \"content\": ", first, (unsigned long)i);
        gguf_write_token(file, v, (int64_t)i);
        fprintf(file, ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
                "\"normalized\": false, \"special\": %s}", type == GGUF_USER ? "false" : "true");
        first = ",\n    ";
    }
    fputs("\n  ],\n", file);
}

/* From a text to what is merged, and back. */
static inline void gguf_write_byte_level(FILE *file, const gguf_splitter *s) {
    static const char level[] = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                                "\"trim_offsets\": true, \"use_regex\": %s}";
    int i;
    fprintf(file, "  \"normalizer\": %s,\n", s->nfc ? "{\"type\": \"NFC\"}" : "null");
    fputs("  \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [\n", file);
    if (s->digits) fputs("    {\"type\": \"Digits\", \"individual_digits\": true},\n", file);
    for (i = 0; i < 4 && s->regex[i]; i++) {
        fputs("    {\"type\": \"Split\", \"pattern\": {\"Regex\": ", file);
        json_write(file, s->regex[i], strlen(s->regex[i]));
        fputs("}, \"behavior\": \"Isolated\", \"invert\": false},\n    ", file);
    }
    fprintf(file, level, i ? "false" : "true");
    fputs("]},\n  \"decoder\": ", file);
    fprintf(file, level, "true");
    fputs(",\n", file);
}

static inline void gguf_write_pieces(FILE *file, const gguf_vocab *v) {
    fprintf(file, "  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [%s\n    "
            "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": "
            "\"\xe2\x96\x81\"}]},\n  \"pre_tokenizer\": null,\n",
            v->add_space_prefix ? "\n    {\"type\": \"Prepend\", \"prepend\": \"\xe2\x96\x81\"},"
            : "");
    fprintf(file, "  \"decoder\": {\"type\": \"Sequence\", \"decoders\": [\n    {\"type\": "
            "\"Replace\", \"pattern\": {\"String\": \"\xe2\x96\x81\"}, \"content\": \" \"},\n    "
            "{\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}%s]},\n", v->add_space_prefix
            ? ",\n    {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}" : "");
}

/* One text of a template: [bos] text [eos]. */
static inline void gguf_write_template(FILE *file, const gguf_vocab *v, char sequence, int type) {
    if (v->add_bos) {
        fputs("{\"SpecialToken\": {\"id\": ", file);
        gguf_write_token(file, v, v->special[GGUF_BOS]);
        fprintf(file, ", \"type_id\": %d}}, ", type);
    }
    fprintf(file, "{\"Sequence\": {\"id\": \"%c\", \"type_id\": %d}}", sequence, type);
    if (!v->add_eos) return;
    fputs(", {\"SpecialToken\": {\"id\": ", file);
    gguf_write_token(file, v, v->special[GGUF_EOS]);
    fprintf(file, ", \"type_id\": %d}}", type);
}

static inline void gguf_write_post_processor(FILE *file, const gguf_vocab *v) {
    int i, last = v->add_eos && v->special[GGUF_EOS] != (v->add_bos ? v->special[GGUF_BOS] : -1);
    if (!v->add_bos && !v->add_eos) { fputs("  \"post_processor\": null,\n", file); return; }
    fputs("  \"post_processor\": {\"type\": \"TemplateProcessing\",\n    \"single\": [", file);
    gguf_write_template(file, v, 'A', 0);
    fputs("],\n    \"pair\": [", file);
    gguf_write_template(file, v, 'A', 0);
    fputs(", ", file);
    gguf_write_template(file, v, 'B', 1);
    fputs("],\n    \"special_tokens\": {", file);
    for (i = v->add_bos ? 0 : 1; i < 1 + last; i++) {
        int64_t id = v->special[i ? GGUF_EOS : GGUF_BOS];
        fputs(i && v->add_bos ? ", " : "", file);
        gguf_write_token(file, v, id);
        fputs(": {\"id\": ", file);
        gguf_write_token(file, v, id);
        fprintf(file, ", \"ids\": [%ld], \"tokens\": [", (long)id);
        gguf_write_token(file, v, id);
        fputs("]}", file);
    }
    fputs("}},\n", file);
}

/* Added tokens are in the vocabulary too, so that each id stands beside its text. */
static inline void gguf_write_vocab(FILE *file, const gguf_vocab *v) {
    const char *first = "\n      ";
    size_t i;
    fputs("    \"vocab\": {", file);
    for (i = 0; i < v->count; i++) {
        if (!v->pieces && gguf_type_of(v, i) == GGUF_UNUSED) continue;        /* [PAD17]         */
        fputs(first, file);
        gguf_write_token(file, v, (int64_t)i);
        fprintf(file, ": %lu", (unsigned long)i);
        first = ",\n      ";
    }
    fputs("},\n", file);
}

static inline int gguf_write_tokenizer(gguf_file *g, FILE *file, const gguf_vocab *v) {
    fputs("{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n", file);
    gguf_write_added(file, v);
    if (v->pieces) gguf_write_pieces(file, v);
    else gguf_write_byte_level(file, v->splitter);
    gguf_write_post_processor(file, v);
    fputs("  \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": ", file);
    if (v->pieces && v->special[GGUF_UNK] >= 0) gguf_write_token(file, v, v->special[GGUF_UNK]);
    else fputs("null", file);
    fprintf(file, ", \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, "
            "\"fuse_unk\": %s, \"byte_fallback\": %s, \"ignore_merges\": %s,\n",
            v->pieces ? "true" : "false", v->pieces ? "true" : "false",
            !v->pieces && v->splitter->whole_words ? "true" : "false");
    gguf_write_vocab(file, v);
    fputs("    \"merges\": [", file);
    if (!(v->pieces ? gguf_write_piece_merges(g, file, v) : gguf_write_byte_merges(g, file, v)))
        return 0;
    fputs("]}\n}\n", file);
    return 1;
}

/* The class that takes tokenizer.json as it is: others build their own from parts of it. */
static inline int gguf_write_tokenizer_config(FILE *file, const gguf_vocab *v, int context) {
    static const char *const names[4] = { "bos_token", "eos_token", "unk_token", "pad_token" };
    int i;
    fprintf(file, "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n  \"add_bos_token\": %s,"
            "\n  \"add_eos_token\": %s", v->add_bos ? "true" : "false",
            v->add_eos ? "true" : "false");
    for (i = 0; i < 4; i++)
        if (v->special[i] >= 0) {
            fprintf(file, ",\n  \"%s\": ", names[i]);
            gguf_write_token(file, v, v->special[i]);
        }
    fputs(",\n  \"clean_up_tokenization_spaces\": false,\n  \"model_input_names\": [\"input_ids\", "
          "\"attention_mask\"]", file);
    if (context > 0) fprintf(file, ",\n  \"model_max_length\": %d", context);
    if (v->chat_template.length) {
        fputs(",\n  \"chat_template\": ", file);
        json_write(file, v->chat_template.text, v->chat_template.length);
    }
    fputs("\n}\n", file);
    return 1;
}

/* ---- config.json and generation_config.json */

/* A float in as few digits as make it again, with a point, as Python writes it. */
static inline void gguf_write_float(FILE *file, const char *name, double x) {
    char text[40];
    int digits = 6;
    do snprintf(text, sizeof text, "%.*g", digits, x);
    while (digits++ < 9 && (float)strtod(text, NULL) != (float)x);
    fprintf(file, "  \"%s\": %s%s,\n", name, text, strpbrk(text, ".e") ? "" : ".0");
}

static inline void gguf_write_rope(FILE *file, const gguf_model *m) {
    gguf_write_float(file, "rope_theta", m->theta);
    if (m->rope == GGUF_ROPE_PLAIN) { fputs("  \"rope_scaling\": null,\n", file); return; }
    fputs("  \"rope_scaling\": {\n  ", file);
    gguf_write_float(file, "factor", m->factor);
    if (m->rope == GGUF_ROPE_LLAMA3) {
        fputs("  ", file);
        gguf_write_float(file, "high_freq_factor", m->high_freq_factor);
        fprintf(file, "    \"low_freq_factor\": 1.0,\n    \"original_max_position_embeddings\": "
                "%.0f,\n", m->original_context);
    }
    fprintf(file, "    \"rope_type\": \"%s\"\n  },\n",
            m->rope == GGUF_ROPE_LINEAR ? "linear" : "llama3");
}

static inline void gguf_write_id(FILE *file, const char *name, int64_t id) {
    if (id >= 0) fprintf(file, "  \"%s\": %ld,\n", name, (long)id);
}

/* Text ends with any of eos, eot (of a turn) and eom (of a message): a list if they differ. Returns
 * how many. */
static inline int gguf_write_ends(FILE *file, const gguf_vocab *v, const char *before) {
    static const int ends[3] = { GGUF_EOS, GGUF_EOT, GGUF_EOM };
    int64_t ids[3];
    int i, k, n = 0;
    for (i = 0; i < 3; i++) {
        for (k = 0; k < n && ids[k] != v->special[ends[i]]; k++) {}
        if (k == n && v->special[ends[i]] >= 0) ids[n++] = v->special[ends[i]];
    }
    if (n) fprintf(file, "%s\"eos_token_id\": %s", before, n > 1 ? "[" : "");
    for (i = 0; i < n; i++) fprintf(file, "%s%ld", i ? ", " : "", (long)ids[i]);
    if (n > 1) fputs("]", file);
    return n;
}

static inline int gguf_write_config(FILE *file, const gguf_model *m, const gguf_vocab *v,
                                    int dtype) {
    static const char *const dtypes[] = { "", "float32", "bfloat16", "float16" };
    fprintf(file, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n",
            gguf_families[m->family][1], gguf_families[m->family][0]);
    fprintf(file, "  \"vocab_size\": %d,\n  \"hidden_size\": %d,\n  \"intermediate_size\": %d,\n"
            "  \"num_hidden_layers\": %d,\n  \"num_attention_heads\": %d,\n"
            "  \"num_key_value_heads\": %d,\n  \"head_dim\": %d,\n"
            "  \"max_position_embeddings\": %d,\n", m->vocab_size, m->hidden_size,
            m->intermediate_size, m->num_layers, m->num_heads, m->num_kv_heads, m->head_dim,
            m->context);
    gguf_write_float(file, "rms_norm_eps", m->eps);
    gguf_write_rope(file, m);
    gguf_write_id(file, "bos_token_id", v->special[GGUF_BOS]);
    if (gguf_write_ends(file, v, "  ")) fputs(",\n", file);
    gguf_write_id(file, "pad_token_id", v->special[GGUF_PAD]);
    if (m->family == GGUF_LLAMA)
        fprintf(file, "  \"attention_bias\": %s,\n  \"mlp_bias\": false,\n",
                m->biased ? "true" : "false");
    else fputs("  \"use_sliding_window\": false,\n", file);
    fprintf(file, "  \"hidden_act\": \"silu\",\n  \"tie_word_embeddings\": %s,\n"
            "  \"torch_dtype\": \"%s\"\n}\n", m->tied ? "true" : "false", dtypes[dtype]);
    return 1;
}

static inline int gguf_write_generation(FILE *file, const gguf_vocab *v) {
    int i, n;
    fputs("{", file);
    n = gguf_write_ends(file, v, "\n  ");
    for (i = 0; i < 2; i++) {
        int64_t id = v->special[i ? GGUF_PAD : GGUF_BOS];
        if (id < 0) continue;
        fprintf(file, "%s\n  \"%s_token_id\": %ld", n++ ? "," : "", i ? "pad" : "bos", (long)id);
    }
    fputs("\n}\n", file);
    return 1;
}

/* ---- model.safetensors: 8 bytes n, little-endian | n bytes of JSON | the numbers */

typedef struct gguf_writer { gguf_file *g; FILE *file; int dtype; const char *name; } gguf_writer;

static inline int gguf_write_row(void *user, const float *row, size_t n) {
    gguf_writer *w = (gguf_writer *)user;
    unsigned char bytes[4096];
    size_t i, used = 0, size = w->dtype == GGUF_F32 ? 4 : 2;
    for (i = 0; i < n; i++) {
        uint32_t bits = gguf_bits(row[i]);
        int good = 1;
        if (w->dtype == GGUF_F16) good = gguf_to_half(row[i], &bits);
        if (w->dtype == GGUF_BF16) good = ((bits = gguf_to_bf16(row[i])) & 0x7f80) != 0x7f80;
        if (!good) return gguf_fail(w->g, "tensor %s holds %g, which is too large for %s", w->name,
                                    (double)row[i], w->dtype == GGUF_F16 ? "F16" : "BF16");
        bytes[used] = (unsigned char)bits;
        bytes[used + 1] = (unsigned char)(bits >> 8);
        if (size == 4) {
            bytes[used + 2] = (unsigned char)(bits >> 16);
            bytes[used + 3] = (unsigned char)(bits >> 24);
        }
        used += size;
        if (used == sizeof bytes || i + 1 == n) {
            if (fwrite(bytes, 1, used, w->file) != used) return 0;
            used = 0;
        }
    }
    return 1;
}

static inline int gguf_write_header(gguf_file *g, FILE *file, const gguf_plan *plan, int dtype) {
    static const char *const names[] = { "", "F32", "BF16", "F16" };
    uint64_t at = 0, size = dtype == GGUF_F32 ? 4 : 2;
    size_t i, n = 0, capacity = 320 * (plan->count + 1);      /* no entry is as long as that     */
    char *text = (char *)gguf_memory(g, capacity, 1);
    if (!text) return 0;
    n = (size_t)snprintf(text, capacity, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (i = 0; i < plan->count; i++) {
        const gguf_tensor *t = plan->outputs[i].from;
        uint64_t end = at + t->rows * t->cols * size;
        n += (size_t)snprintf(text + n, capacity - n, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                              plan->outputs[i].name, names[dtype]);
        if (t->rank > 1) n += (size_t)snprintf(text + n, capacity - n, "%llu,",
                                               (unsigned long long)t->rows);
        n += (size_t)snprintf(text + n, capacity - n, "%llu],\"data_offsets\":[%llu,%llu]}",
                              (unsigned long long)t->cols, (unsigned long long)at,
                              (unsigned long long)end);
        at = end;
    }
    text[n++] = '}';
    while (n % 8) text[n++] = ' ';
    for (i = 0; i < 8; i++) fputc((int)((uint64_t)n >> 8 * i & 255), file);
    fwrite(text, 1, n, file);
    free(text);
    return 1;
}

static inline int gguf_write_model(gguf_file *g, FILE *file, const gguf_plan *plan, int dtype) {
    gguf_writer w;
    size_t i;
    w.g = g;
    w.file = file;
    w.dtype = dtype;
    if (!gguf_write_header(g, file, plan, dtype)) return 0;
    for (i = 0; i < plan->count; i++) {
        w.name = plan->outputs[i].from->name;
        if (!gguf_walk(g, &plan->outputs[i], gguf_write_row, &w)) return 0;
    }
    return 1;
}

/* ---- the folder: every file as NAME.tmp first, and only then under its name */

enum { GGUF_TOKENIZER, GGUF_TOKENIZER_CONFIG, GGUF_CONFIG, GGUF_GENERATION, GGUF_MODEL,
       GGUF_FILES };
static const char *const gguf_names[GGUF_FILES] = {
    "tokenizer.json", "tokenizer_config.json", "config.json", "generation_config.json",
    "model.safetensors" };

/* Looks at a folder that has all but the weights yet: 1, or 0 with the reason to write none. */
typedef int (*gguf_check)(const char *folder, char *why);

typedef struct gguf_job {           /* all that is written                                       */
    gguf_file g;
    gguf_model model;
    gguf_plan plan;
    gguf_vocab vocab;
    int dtype;
    const char *folder;
    gguf_check check;               /* NULL: none                                                */
} gguf_job;

static inline void gguf_path(char *path, const gguf_job *j, int which, const char *end) {
    snprintf(path, GGUF_PATH, "%s/%s%s", j->folder, gguf_names[which], end);
}

static inline int gguf_write_contents(gguf_job *j, FILE *file, int which) {
    switch (which) {
    case GGUF_CONFIG: return gguf_write_config(file, &j->model, &j->vocab, j->dtype);
    case GGUF_GENERATION: return gguf_write_generation(file, &j->vocab);
    case GGUF_TOKENIZER: return gguf_write_tokenizer(&j->g, file, &j->vocab);
    case GGUF_TOKENIZER_CONFIG:
        return gguf_write_tokenizer_config(file, &j->vocab, j->model.context);
    default: return gguf_write_model(&j->g, file, &j->plan, j->dtype);
    }
}

static inline int gguf_write_file(gguf_job *j, int which) {
    char path[GGUF_PATH];
    FILE *file;
    int good, full;
    gguf_path(path, j, which, ".tmp");
    file = system_open(path, "wb");
    if (!file) return gguf_fail(&j->g, "%s/%s.tmp cannot be opened: %s", j->folder,
                                gguf_names[which], strerror(errno));
    good = gguf_write_contents(j, file, which);
    full = ferror(file);
    if (fclose(file)) full = 1;
    if (full) gguf_fail(&j->g, "%s/%s cannot be written, is the disk full? %s", j->folder,
                        gguf_names[which], strerror(errno));
    return good && !full;
}

/* The tokenizer, while its files have .tmp behind their names, as it will be read. */
static inline int gguf_check_tokenizer(gguf_job *j) {
    char why[JSON_ERROR_LENGTH];
    tokenizer *t = tokenizer_load_parts(j->folder, ".tmp", why);
    if (!t) return gguf_fail(&j->g, "as a folder it could not be read, so none is written: %.150s",
                             strrchr(why, '/') ? strrchr(why, '/') + 1 : why);
    tokenizer_free(t);
    return 1;
}

/* The files before the weights have their names within a folder of their own while the caller looks
 * at them. */
static inline void gguf_check_folder(gguf_job *j) {
    char from[GGUF_PATH], to[GGUF_PATH], aside[GGUF_PATH], why[GGUF_ERROR_LENGTH];
    const char *said = why;
    int i;
    snprintf(aside, sizeof aside, "%s/gguf2hf.tmp", j->folder);
    if (system_make_folder(aside)) {
        gguf_fail(&j->g, "%s cannot be made: %s", aside, strerror(errno));
        return;
    }
    for (i = 0; i < GGUF_MODEL; i++) {
        gguf_path(from, j, i, ".tmp");
        snprintf(to, sizeof to, "%.990s/%s", aside, gguf_names[i]);
        system_replace(from, to);
    }
    if (!j->check(aside, why)) {
        if (!strncmp(said, aside, strlen(aside))) said += strlen(aside) + 1;
        gguf_fail(&j->g, "as a folder it would be refused, so none is written: %.170s", said);
    }
    for (i = 0; i < GGUF_MODEL; i++) {
        gguf_path(from, j, i, ".tmp");
        snprintf(to, sizeof to, "%.990s/%s", aside, gguf_names[i]);
        system_replace(to, from);
    }
    system_remove_folder(aside);
}

/* The files from `first` to before `end`: all, or none, nor a folder. */
static inline int gguf_write_files(gguf_job *j, int first, int end) {
    char from[GGUF_PATH], to[GGUF_PATH];
    int i, made = !system_exists(j->folder);
    system_make_folder(j->folder);
    for (i = first; i < end && !j->g.failed; i++) {
        gguf_write_file(j, i);
        if (i == GGUF_TOKENIZER_CONFIG && !j->g.failed) gguf_check_tokenizer(j);
        if (i == GGUF_GENERATION && !j->g.failed && j->check) gguf_check_folder(j);
    }
    for (i = first; i < end; i++) {
        gguf_path(from, j, i, ".tmp");
        gguf_path(to, j, i, "");
        if (!j->g.failed && system_replace(from, to))
            gguf_fail(&j->g, "%s cannot be replaced: %s", to, strerror(errno));
        if (j->g.failed) system_remove(from);
    }
    if (j->g.failed && made) system_remove_folder(j->folder);
    return !j->g.failed;
}

static inline int gguf_start(gguf_job *j, const char *path, const char *folder, char *error) {
    memset(j, 0, sizeof *j);
    j->folder = folder;
    if (!gguf_open(&j->g, path, error)) return 0;
    if (*folder && strlen(folder) < GGUF_PATH - 64) return 1;
    return gguf_fail(&j->g, "the name of the folder is empty or too long");
}

static inline int gguf_end(gguf_job *j) {
    free(j->plan.outputs);
    gguf_free_vocab(&j->vocab);
    gguf_close(&j->g);
    return !j->g.failed;
}

/* A GGUF file into a folder, which is made if need be; dtype as in GGUF_AUTO. 1, or 0 with a
 * sentence in error[GGUF_ERROR_LENGTH]; then the folder's files are as they were. check and summary
 * may be NULL. */
static inline int gguf_convert_if(const char *path, const char *folder, int dtype,
                                  gguf_check check, gguf_summary *summary, char *error) {
    gguf_job j;
    if (gguf_start(&j, path, folder, error) && gguf_read_model(&j.g, &j.model)
        && gguf_read_vocab(&j.g, &j.vocab, j.model.vocab_size)
        && gguf_make_plan(&j.g, &j.model, &j.plan)) {
        j.dtype = dtype & ~GGUF_NO_TEMPLATE;
        if (dtype & GGUF_NO_TEMPLATE) j.vocab.chat_template.length = 0;
        j.check = check;
        if (gguf_choose(&j.g, &j.plan, &j.dtype))
            gguf_write_files(&j, j.vocab.pieces < 0 ? GGUF_CONFIG : 0, GGUF_FILES);
    }
    if (summary && !j.g.failed) {
        memset(summary, 0, sizeof *summary);
        snprintf(summary->architecture, GGUF_NAME, "%s", j.model.architecture);
        summary->layers = j.model.num_layers;
        summary->dtype = j.dtype;
        summary->has_tokenizer = j.vocab.pieces >= 0;
        summary->has_template = j.vocab.pieces >= 0 && j.vocab.chat_template.length > 0;
        summary->rope_scaling = j.model.rope != GGUF_ROPE_PLAIN;
        summary->parameters = j.plan.parameters;
    }
    return gguf_end(&j);
}

static inline int gguf_convert(const char *path, const char *folder, int dtype,
                               gguf_summary *summary, char *error) {
    return gguf_convert_if(path, folder, dtype, NULL, summary, error);
}

/* The tokenizer's two files alone: of a file of any architecture, even without tensors. */
static inline int gguf_convert_tokenizer(const char *path, const char *folder, char *error) {
    gguf_job j;
    if (gguf_start(&j, path, folder, error) && gguf_read_vocab(&j.g, &j.vocab, 0))
        gguf_write_files(&j, GGUF_TOKENIZER, GGUF_CONFIG);
    return gguf_end(&j);
}

#endif
