/* make_gguf.h: small GGUF files for tests, made from the format's description and not with the
 * reader's code: metadata and tensors in lists that a test changes before it writes them. */
#ifndef MAKE_GGUF_H
#define MAKE_GGUF_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAKE_U32 = 4, MAKE_I32 = 5, MAKE_F32 = 6, MAKE_BOOL = 7, MAKE_TEXT = 8, MAKE_LIST = 9,
       MAKE_U64 = 10 };
enum { MAKE_MOST = 160 };

typedef struct make_entry {
    char key[80];
    int type, element, count;       /* element and count of a list                               */
    double number;
    const char *text;
    const char *const *texts;       /* of a list of texts                                        */
    const double *numbers;          /* of other lists                                            */
} make_entry;

typedef struct make_tensor {
    char name[64];
    int type, rank, cols, rows;
    unsigned char *data;            /* from malloc                                               */
    size_t bytes;
} make_tensor;

typedef struct make_file {
    int version, num_entries, num_tensors;
    make_entry entries[MAKE_MOST];
    make_tensor tensors[MAKE_MOST];
    unsigned char *bytes;           /* the file, after make_bytes()                              */
    size_t size, capacity;
} make_file;

static inline void make_free(make_file *f) {
    int i;
    for (i = 0; i < f->num_tensors; i++) free(f->tensors[i].data);
    free(f->bytes);
    memset(f, 0, sizeof *f);
}

/* ---- metadata; a key that is there already is replaced */

static inline make_entry *make_set(make_file *f, const char *key, int type) {
    int i;
    for (i = 0; i < f->num_entries && strcmp(f->entries[i].key, key); i++) {}
    if (i == f->num_entries) f->num_entries++;
    memset(&f->entries[i], 0, sizeof *f->entries);
    snprintf(f->entries[i].key, sizeof f->entries[i].key, "%s", key);
    f->entries[i].type = type;
    return &f->entries[i];
}

static inline void make_number(make_file *f, const char *key, int type, double number) {
    make_set(f, key, type)->number = number;
}

static inline void make_text(make_file *f, const char *key, const char *text) {
    make_set(f, key, MAKE_TEXT)->text = text;
}

static inline void make_texts(make_file *f, const char *key, const char *const *texts, int count) {
    make_entry *e = make_set(f, key, MAKE_LIST);
    e->element = MAKE_TEXT;
    e->count = count;
    e->texts = texts;
}

static inline void make_numbers(make_file *f, const char *key, int element, const double *numbers,
                                int count) {
    make_entry *e = make_set(f, key, MAKE_LIST);
    e->element = element;
    e->count = count;
    e->numbers = numbers;
}

static inline void make_remove(make_file *f, const char *key) {
    int i;
    for (i = 0; i < f->num_entries; i++)
        if (!strcmp(f->entries[i].key, key)) f->entries[i--] = f->entries[--f->num_entries];
}

/* ---- tensors */

static inline make_tensor *make_find(make_file *f, const char *name) {
    int i;
    for (i = 0; i < f->num_tensors; i++)
        if (!strcmp(f->tensors[i].name, name)) return &f->tensors[i];
    return NULL;
}

/* rows 0: a vector. The bytes are 0 at first. */
static inline make_tensor *make_add(make_file *f, const char *name, int type, int rows, int cols,
                                    size_t bytes) {
    make_tensor *t = &f->tensors[f->num_tensors++];
    snprintf(t->name, sizeof t->name, "%s", name);
    t->type = type;
    t->rank = rows ? 2 : 1;
    t->rows = rows ? rows : 1;
    t->cols = cols;
    t->bytes = bytes;
    t->data = (unsigned char *)calloc(bytes ? bytes : 1, 1);
    return t;
}

static inline void make_drop(make_file *f, const char *name) {
    make_tensor *t = make_find(f, name);
    if (!t) return;
    free(t->data);
    *t = f->tensors[--f->num_tensors];
}

static inline void make_put_float(unsigned char *b, float x) {
    uint32_t bits;
    int i;
    memcpy(&bits, &x, sizeof bits);
    for (i = 0; i < 4; i++) b[i] = (unsigned char)(bits >> 8 * i);
}

/* ---- bytes */

static inline void make_put(make_file *f, const void *bytes, size_t n) {
    if (f->size + n > f->capacity) {
        unsigned char *more;
        f->capacity = 2 * (f->size + n) + 4096;
        more = (unsigned char *)realloc(f->bytes, f->capacity);
        if (!more) { fprintf(stderr, "out of memory\n"); exit(1); }
        f->bytes = more;
    }
    if (n) memcpy(f->bytes + f->size, bytes, n);
    f->size += n;
}

static inline void make_put_int(make_file *f, uint64_t x, size_t bytes) {
    unsigned char b[8];
    size_t i;
    for (i = 0; i < 8; i++) b[i] = (unsigned char)(x >> 8 * i);
    make_put(f, b, bytes);
}

static inline void make_put_text(make_file *f, const char *text) {
    make_put_int(f, strlen(text), 8);
    make_put(f, text, strlen(text));
}

static inline void make_put_number(make_file *f, int type, double x) {
    unsigned char b[4];
    if (type == MAKE_F32) { make_put_float(b, (float)x); make_put(f, b, 4); }
    else make_put_int(f, (uint64_t)(int64_t)x, type == MAKE_BOOL ? 1 : type == MAKE_U64 ? 8 : 4);
}

static inline void make_put_entry(make_file *f, const make_entry *e) {
    int i;
    make_put_text(f, e->key);
    make_put_int(f, (uint64_t)e->type, 4);
    if (e->type == MAKE_TEXT) make_put_text(f, e->text);
    else if (e->type != MAKE_LIST) make_put_number(f, e->type, e->number);
    else {
        make_put_int(f, (uint64_t)e->element, 4);
        make_put_int(f, (uint64_t)e->count, 8);
        for (i = 0; i < e->count; i++)
            if (e->texts) make_put_text(f, e->texts[i]);
            else make_put_number(f, e->element, e->numbers[i]);
    }
}

static inline void make_pad(make_file *f, size_t to) {
    while (f->size % to) make_put(f, "", 1);
}

static inline void make_bytes(make_file *f) {
    uint64_t at = 0;
    int i;
    f->size = 0;
    make_put(f, "GGUF", 4);
    make_put_int(f, (uint64_t)f->version, 4);
    make_put_int(f, (uint64_t)f->num_tensors, 8);
    make_put_int(f, (uint64_t)f->num_entries, 8);
    for (i = 0; i < f->num_entries; i++) make_put_entry(f, &f->entries[i]);
    for (i = 0; i < f->num_tensors; i++) {
        const make_tensor *t = &f->tensors[i];
        make_put_text(f, t->name);
        make_put_int(f, (uint64_t)t->rank, 4);
        make_put_int(f, (uint64_t)t->cols, 8);
        if (t->rank > 1) make_put_int(f, (uint64_t)t->rows, 8);
        make_put_int(f, (uint64_t)t->type, 4);
        make_put_int(f, at, 8);
        at += (t->bytes + 31) / 32 * 32;
    }
    make_pad(f, 32);
    for (i = 0; i < f->num_tensors; i++) {
        make_put(f, f->tensors[i].data, f->tensors[i].bytes);
        make_pad(f, 32);
    }
}

static inline int make_write(make_file *f, const char *path) {
    FILE *file = fopen(path, "wb");
    int good;
    make_bytes(f);
    good = file && fwrite(f->bytes, 1, f->size, file) == f->size;
    if (file && fclose(file)) good = 0;
    return good;
}

/* ---- a whole model */

typedef struct make_shape {
    const char *architecture;       /* llama, qwen2, qwen3                                       */
    int hidden, inner, layers, heads, kv_heads, head_dim, vocab, tied, biased;
} make_shape;

static const char *const make_byte_tokens[] = {
    "a", "b", "c", "\xc4\xa0", "\"", "\\", "ab", "\xc4\xa0\x61\x62", "bc", "<|end|>", "<|user|>",
    "<tool>", "[PAD12]" };
static const double make_byte_types[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 4, 5 };
static const char *const make_byte_merges[] = { "a b", "\xc4\xa0 ab", "b c" };
enum { MAKE_BYTE_TOKENS = 13 };

static inline void make_byte_vocabulary(make_file *f) {
    make_text(f, "tokenizer.ggml.model", "gpt2");
    make_text(f, "tokenizer.ggml.pre", "qwen2");
    make_texts(f, "tokenizer.ggml.tokens", make_byte_tokens, MAKE_BYTE_TOKENS);
    make_numbers(f, "tokenizer.ggml.token_type", MAKE_I32, make_byte_types, MAKE_BYTE_TOKENS);
    make_texts(f, "tokenizer.ggml.merges", make_byte_merges, 3);
    make_number(f, "tokenizer.ggml.bos_token_id", MAKE_U32, 10);
    make_number(f, "tokenizer.ggml.eos_token_id", MAKE_U32, 9);
    make_number(f, "tokenizer.ggml.padding_token_id", MAKE_U32, 4294967295.0);
    make_text(f, "tokenizer.chat_template", "{{ bos_token }}\n{% \"x\" %}");
}

static inline void make_model_number(make_file *f, const make_shape *s, const char *name, int type,
                                     double x) {
    char key[80];
    snprintf(key, sizeof key, "%s.%s", s->architecture, name);
    make_number(f, key, type, x);
}

static inline void make_layer(make_file *f, const make_shape *s, int layer, int type,
                              size_t (*bytes)(int type, size_t numbers)) {
    int q = s->heads * s->head_dim, k = s->kv_heads * s->head_dim, h = s->hidden, n = s->inner;
    const struct { const char *name; int rows, cols, when; } list[] = {
        { "attn_norm.weight", 0, h, 1 }, { "ffn_down.weight", h, n, 1 },
        { "ffn_gate.weight", n, h, 1 }, { "ffn_up.weight", n, h, 1 },
        { "ffn_norm.weight", 0, h, 1 }, { "attn_k.weight", k, h, 1 },
        { "attn_output.weight", h, q, 1 }, { "attn_q.weight", q, h, 1 },
        { "attn_v.weight", k, h, 1 }, { "attn_q.bias", 0, q, s->biased },
        { "attn_k.bias", 0, k, s->biased }, { "attn_v.bias", 0, k, s->biased },
        { "attn_output.bias", 0, h, s->biased && !strcmp(s->architecture, "llama") },
        { "attn_q_norm.weight", 0, s->head_dim, !strcmp(s->architecture, "qwen3") },
        { "attn_k_norm.weight", 0, s->head_dim, !strcmp(s->architecture, "qwen3") } };
    char name[64];
    size_t i;
    for (i = 0; i < sizeof list / sizeof *list; i++) {
        int kind = list[i].rows ? type : 0;                   /* vectors are always F32          */
        size_t numbers = (size_t)(list[i].rows ? list[i].rows : 1) * (size_t)list[i].cols;
        snprintf(name, sizeof name, "blk.%d.%s", layer, list[i].name);
        if (list[i].when)
            make_add(f, name, kind, list[i].rows, list[i].cols, bytes(kind, numbers));
    }
}

/* Metadata, and tensors all 0, matrices of a type; bytes() says how many some numbers take. */
static inline void make_model(make_file *f, const make_shape *s, int type,
                              size_t (*bytes)(int type, size_t numbers)) {
    size_t table = (size_t)s->vocab * (size_t)s->hidden;
    int i;
    memset(f, 0, sizeof *f);
    f->version = 3;
    make_text(f, "general.architecture", s->architecture);
    make_model_number(f, s, "embedding_length", MAKE_U32, s->hidden);
    make_model_number(f, s, "feed_forward_length", MAKE_U32, s->inner);
    make_model_number(f, s, "block_count", MAKE_U32, s->layers);
    make_model_number(f, s, "context_length", MAKE_U32, 77);
    make_model_number(f, s, "attention.head_count", MAKE_U32, s->heads);
    make_model_number(f, s, "attention.head_count_kv", MAKE_U64, s->kv_heads);
    if (s->head_dim * s->heads != s->hidden) {
        make_model_number(f, s, "attention.key_length", MAKE_U32, s->head_dim);
        make_model_number(f, s, "attention.value_length", MAKE_U32, s->head_dim);
    }
    make_model_number(f, s, "attention.layer_norm_rms_epsilon", MAKE_F32, 1e-5);
    make_model_number(f, s, "rope.freq_base", MAKE_F32, 50000);
    make_byte_vocabulary(f);
    make_add(f, "token_embd.weight", type, s->vocab, s->hidden, bytes(type, table));
    for (i = 0; i < s->layers; i++) make_layer(f, s, i, type, bytes);
    make_add(f, "output_norm.weight", 0, 0, s->hidden, bytes(0, (size_t)s->hidden));
    if (!s->tied) make_add(f, "output.weight", type, s->vocab, s->hidden, bytes(type, table));
}

#endif
