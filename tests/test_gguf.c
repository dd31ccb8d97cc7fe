/* GGUF files become folders: every kind of number bit for bit, tensors where they belong, both
 * kinds of tokenizer, and whatever would change the model, or is damaged, refused with a sentence.
 * The files are made here; with GRPO_DATA in the environment real ones are converted too. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"
#include "make_gguf.h"
#include "examples/tool/gguf.h"
#include "examples/tool/tokenizer.h"

static const char path[] = "test_gguf.gguf", folder[] = "gguf_folder";
static char error[GGUF_ERROR_LENGTH];

/* ---- the format again, number by number: type, numbers and bytes of a block */

static const struct { int type, numbers, bytes; const char *name; } kinds[] = {
    { 0, 1, 4, "F32" }, { 1, 1, 2, "F16" }, { 30, 1, 2, "BF16" }, { 8, 32, 34, "Q8_0" },
    { 2, 32, 18, "Q4_0" }, { 3, 32, 20, "Q4_1" }, { 6, 32, 22, "Q5_0" }, { 7, 32, 24, "Q5_1" },
    { 12, 256, 144, "Q4_K" }, { 13, 256, 176, "Q5_K" }, { 14, 256, 210, "Q6_K" } };
enum { KINDS = 11 };

static int kind_of(int type) {
    int i;
    for (i = 0; i < KINDS && kinds[i].type != type; i++) {}
    return i < KINDS ? i : 0;
}

static size_t bytes_of(int type, size_t numbers) {
    int kind = kind_of(type);
    return numbers / (size_t)kinds[kind].numbers * (size_t)kinds[kind].bytes;
}

static double half(const unsigned char *b) {
    int bits = b[0] | b[1] << 8, exponent = bits >> 10 & 31, fraction = bits & 1023;
    double x = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return bits & 0x8000 ? -x : x;
}

/* Bits [from, from + n) of a byte. */
static int bits(unsigned char byte, int from, int n) { return byte >> from & ((1 << n) - 1); }

/* The i-th of 32 halves of bytes: first all lower ones. */
static int nibble(const unsigned char *b, int i) { return bits(b[i % 16], i / 16 * 4, 4); }

static double k_number(const unsigned char *b, int fifth, int i) {
    const unsigned char *scales = b + 4, *low = b + 16 + (fifth ? 32 : 0);
    int j = i / 32, scale, least, q = bits(low[i / 64 * 32 + i % 32], j % 2 * 4, 4);
    if (fifth) q += 16 * bits(b[16 + i % 32], j, 1);
    if (j < 4) {
        scale = bits(scales[j], 0, 6);
        least = bits(scales[j + 4], 0, 6);
    } else {
        scale = bits(scales[j + 4], 0, 4) + 16 * bits(scales[j - 4], 6, 2);
        least = bits(scales[j + 4], 4, 4) + 16 * bits(scales[j], 6, 2);
    }
    return half(b) * scale * q - half(b + 2) * least;
}

/* Number i of a block, exactly: 53 bits hold it before it is rounded to a float. */
static double number(int type, const unsigned char *b, int i) {
    unsigned char upper[4] = { 0, 0, 0, 0 };
    float x;
    switch (type) {
    case 0: memcpy(&x, b, 4); return (double)x;               /* this machine is little-endian   */
    case 30: memcpy(upper + 2, b, 2); memcpy(&x, upper, 4); return (double)x;
    case 1: return half(b);
    case 8: return half(b) * (b[2 + i] < 128 ? b[2 + i] : b[2 + i] - 256);
    case 2: return half(b) * (nibble(b + 2, i) - 8);
    case 3: return half(b) * nibble(b + 4, i) + half(b + 2);
    case 6: return half(b) * (nibble(b + 6, i) + 16 * bits(b[2 + i / 8], i % 8, 1) - 16);
    case 7: return half(b) * (nibble(b + 8, i) + 16 * bits(b[4 + i / 8], i % 8, 1)) + half(b + 2);
    case 12: return k_number(b, 0, i);
    case 13: return k_number(b, 1, i);
    default: {
        int scale = b[192 + i / 16], r = i % 128;
        int q = bits(b[i / 128 * 64 + r % 64], r / 64 * 4, 4)
              + 16 * bits(b[128 + i / 128 * 32 + r % 32], r / 32 * 2, 2);
        return half(b + 208) * (scale < 128 ? scale : scale - 256) * (q - 32);
    }
    }
}

static float number_at(const make_tensor *t, int row, int col) {
    int kind = kind_of(t->type), n = kinds[kind].numbers;
    size_t block = ((size_t)row * (size_t)t->cols + (size_t)col) / (size_t)n;
    return (float)number(t->type, t->data + block * (size_t)kinds[kind].bytes, col % n);
}

/* ---- contents by chance */

static unsigned random_state = 1;

static unsigned chance(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 8;
}

/* Vectors get eighths, which are exact in every dtype; matrices random bits, but finite scales. */
static void fill(make_tensor *t) {
    int kind = kind_of(t->type);
    size_t i, n = (size_t)kinds[kind].bytes;
    for (i = 0; i < t->bytes; i++) t->data[i] = (unsigned char)chance();
    for (i = 0; i + n <= t->bytes; i += n) {
        unsigned char *b = t->data + i;
        unsigned char *d = t->type == 14 ? b + 208 : b;
        if (t->type == 0) make_put_float(b, t->rank == 1 ? (float)(chance() % 64) / 8 - 4
                                            : (float)chance() / 16777216.0f - 0.5f);
        else if (t->type == 30) b[1] = (unsigned char)(0x3c | (b[1] & 0x83));
        else if ((d[1] & 0x7c) == 0x7c) d[1] = (unsigned char)(d[1] & 0xbf);
        if ((t->type == 3 || t->type == 7 || t->type == 12 || t->type == 13)
            && (b[3] & 0x7c) == 0x7c) b[3] = (unsigned char)(b[3] & 0xbf);
    }
}

static void fill_all(make_file *f) {
    int i;
    for (i = 0; i < f->num_tensors; i++) fill(&f->tensors[i]);
}

static int convert(make_file *f, int dtype, gguf_summary *s) {
    error[0] = 0;
    return make_write(f, path) && gguf_convert(path, folder, dtype, s, error);
}

/* ---- what grpo_load() finds in the folder */

static int no_text(void *user, const char *text, int *tokens, int capacity) {
    (void)user; (void)text; (void)tokens; (void)capacity;
    return -1;
}

static int no_tokens(void *user, const int *tokens, int n, char *text, int capacity) {
    (void)user; (void)tokens; (void)n; (void)text; (void)capacity;
    return -1;
}

static grpo *load_from(const char *where) {
    grpo_config c = grpo_defaults();
    grpo *g = NULL;
    c.encode = no_text;
    c.decode = no_tokens;
    c.eos_token_id = 1;
    c.num_prompts = 1;
    c.num_generations = 2;
    c.max_prompt_length = c.max_completion_length = 4;
    c.threads = 1;
    if (grpo_load_config(&c, where) == 0) g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (g && grpo_load(g, where)) {
        CHECK(0, "%s", grpo_error(g));
        grpo_free(g);
        g = NULL;
    }
    return g;
}

/* The tensor of a GGUF file that a tensor of Hugging Face's comes from, and the row. */
static const make_tensor *source(make_file *f, const make_shape *s, const char *name, int *row) {
    static const char *const names[][2] = {
        { "self_attn.q_proj", "attn_q" }, { "self_attn.k_proj", "attn_k" },
        { "self_attn.v_proj", "attn_v" }, { "self_attn.o_proj", "attn_output" },
        { "self_attn.q_norm", "attn_q_norm" }, { "self_attn.k_norm", "attn_k_norm" },
        { "mlp.gate_proj", "ffn_gate" }, { "mlp.up_proj", "ffn_up" },
        { "mlp.down_proj", "ffn_down" }, { "input_layernorm", "attn_norm" },
        { "post_attention_layernorm", "ffn_norm" } };
    char from[96];
    int layer, n = 0, half_head = s->head_dim / 2, r = *row % s->head_dim;
    size_t i;
    if (!strcmp(name, "model.embed_tokens.weight")) return make_find(f, "token_embd.weight");
    if (!strcmp(name, "model.norm.weight")) return make_find(f, "output_norm.weight");
    if (!strcmp(name, "lm_head.weight")) return make_find(f, "output.weight");
    if (sscanf(name, "model.layers.%d.%n", &layer, &n) != 1 || !n) return NULL;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        size_t length = strlen(names[i][0]);
        if (strncmp(name + n, names[i][0], length) || name[(size_t)n + length] != '.') continue;
        snprintf(from, sizeof from, "blk.%d.%s%s", layer, names[i][1], name + (size_t)n + length);
        if (i < 2 && !strcmp(s->architecture, "llama"))
            *row += (r < half_head ? 2 * r : 2 * (r - half_head) + 1) - r;
        return make_find(f, from);
    }
    return NULL;
}

static void check_weights(make_file *f, const make_shape *s, const grpo *g) {
    int i, row, col;
    for (i = 0; i < g->machinery->num_tensors; i++) {
        grpo__tensor t = g->machinery->tensors[i];
        int cols = t.cols ? t.cols : 1, wrong = 0;
        for (row = 0; row < t.rows; row++)
            for (col = 0; col < cols; col++) {
                int from_row = row;
                const make_tensor *from = source(f, s, t.name, &from_row);
                float x = g->machinery->weights[t.offset + (size_t)(row * cols + col)], y;
                if (!from) { wrong++; continue; }
                y = t.cols ? number_at(from, from_row, col) : number_at(from, 0, from_row);
                wrong += memcmp(&x, &y, sizeof x) != 0;
            }
        CHECK(wrong == 0, "%s: %d of %d numbers", t.name, wrong, t.rows * cols);
    }
}

static void convert_and_check(make_file *f, const make_shape *s, int dtype) {
    gguf_summary summary;
    grpo *g;
    CHECK(convert(f, GGUF_AUTO, &summary), "%s", error);
    CHECK(summary.dtype == dtype, "dtype %d", summary.dtype);
    CHECK(!strcmp(summary.architecture, s->architecture) && summary.layers == s->layers,
          "%s", summary.architecture);
    g = load_from(folder);
    if (!g) return;
    CHECK_CLOSE(summary.parameters, g->num_parameters, 0);
    CHECK(g->config.model.tie_word_embeddings == s->tied, "tied or not");
    check_weights(f, s, g);
    grpo_free(g);
}

static void test_kinds(void) {
    static const make_shape s = { "llama", 256, 256, 1, 4, 2, 64, MAKE_BYTE_TOKENS, 1, 0 };
    make_file f;
    int i;
    for (i = 0; i < KINDS; i++) {
        printf("    %s\n", kinds[i].name);
        make_model(&f, &s, kinds[i].type, bytes_of);
        fill_all(&f);
        f.version = 2 + i % 2;
        convert_and_check(&f, &s, kinds[i].type == 1 ? GGUF_F16 : kinds[i].type == 30 ? GGUF_BF16
                          : GGUF_F32);
        make_free(&f);
    }
}

static void test_families(void) {
    static const make_shape shapes[] = {
        { "llama", 12, 20, 2, 3, 1, 4, MAKE_BYTE_TOKENS, 0, 0 },
        { "llama", 8, 20, 12, 2, 2, 6, MAKE_BYTE_TOKENS, 1, 0 },
        { "qwen2", 12, 20, 2, 3, 3, 4, MAKE_BYTE_TOKENS, 1, 1 },
        { "qwen2", 12, 20, 1, 6, 3, 2, MAKE_BYTE_TOKENS, 0, 1 },
        { "qwen3", 12, 20, 2, 2, 1, 8, MAKE_BYTE_TOKENS, 1, 0 },
        { "qwen3", 12, 20, 1, 3, 3, 4, MAKE_BYTE_TOKENS, 0, 0 } };
    make_file f;
    size_t i;
    for (i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const make_shape *s = &shapes[i];
        grpo_config c = grpo_defaults();
        make_model(&f, s, 0, bytes_of);
        fill_all(&f);
        convert_and_check(&f, s, GGUF_F32);
        CHECK(grpo_load_config(&c, folder) == 0, "%s", c.error);
        CHECK(c.model.hidden_size == s->hidden && c.model.intermediate_size == s->inner
              && c.model.num_hidden_layers == s->layers && c.model.head_dim == s->head_dim
              && c.model.num_attention_heads == s->heads && c.model.vocab_size == s->vocab
              && c.model.num_key_value_heads == s->kv_heads
              && c.model.max_position_embeddings == 77, "%s", s->architecture);
        CHECK(c.model.tie_word_embeddings == s->tied
              && c.model.attention_bias == !strcmp(s->architecture, "qwen2")
              && c.model.qk_norm == !strcmp(s->architecture, "qwen3"), "%s", s->architecture);
        CHECK_CLOSE(c.model.rope_theta, 50000, 0);
        CHECK_CLOSE(c.model.rms_norm_eps, (float)1e-5f, 0);
        make_free(&f);
    }
}

/* An LM head that is the embeddings again is not written twice. */
static void test_head_twice(void) {
    static const make_shape s = { "llama", 8, 12, 1, 2, 2, 4, MAKE_BYTE_TOKENS, 0, 0 };
    make_shape tied = s;
    make_file f;
    make_model(&f, &s, 0, bytes_of);
    fill_all(&f);
    tied.tied = 1;
    memcpy(make_find(&f, "output.weight")->data, make_find(&f, "token_embd.weight")->data,
           make_find(&f, "output.weight")->bytes);
    convert_and_check(&f, &tied, GGUF_F32);
    make_free(&f);
}

/* ---- model.safetensors, read by hand */

typedef struct archive { char *bytes; size_t size, start; json header; } archive;

static int open_archive(archive *a) {
    char name[64], *copy;
    size_t i;
    memset(a, 0, sizeof *a);
    snprintf(name, sizeof name, "%s/model.safetensors", folder);
    a->bytes = json_load(name, &a->size, error);
    if (!a->bytes || a->size < 8) return 0;
    for (i = 8; i-- > 0;) a->start = a->start << 8 | (unsigned char)a->bytes[i];
    if (a->start > a->size - 8) return 0;
    copy = (char *)calloc(1, a->start + 1);
    if (!copy) return 0;
    memcpy(copy, a->bytes + 8, a->start);
    a->start += 8;
    return json_parse(&a->header, copy, a->start - 8, name, error);
}

static void close_archive(archive *a) {
    if (a->header.text) json_free(&a->header);
    free(a->bytes);
}

/* The bytes of a tensor. */
static const unsigned char *in_archive(const archive *a, const char *name, const char *dtype) {
    const json_value *t = a->header.values ? json_find(a->header.values, name) : NULL;
    const json_value *place = json_find(t, "data_offsets");
    if (!place || strcmp(json_string(json_find(t, "dtype"), ""), dtype)) return NULL;
    return (const unsigned char *)a->bytes + a->start + (size_t)json_number(json_first(place), 0);
}

/* Names rise, the numbers begin at a multiple of 8, each tensor where the last one ends. */
static void test_archive(void) {
    static const make_shape s = { "llama", 8, 12, 2, 2, 2, 4, MAKE_BYTE_TOKENS, 0, 0 };
    const json_value *v;
    const char *last = "";
    double at = 0;
    make_file f;
    archive a;
    make_model(&f, &s, 0, bytes_of);
    fill_all(&f);
    CHECK(convert(&f, GGUF_AUTO, NULL), "%s", error);
    CHECK(open_archive(&a), "%s", error);
    CHECK(a.start % 8 == 0, "%lu", (unsigned long)a.start);
    v = json_first(a.header.values);
    CHECK(v && !strcmp(v->key, "__metadata__")
          && !strcmp(json_string(json_find(v, "format"), ""), "pt"), "no metadata");
    while (v && (v = json_next(a.header.values, v)) != NULL) {
        const json_value *place = json_find(v, "data_offsets");
        CHECK(strcmp(v->key, last) > 0, "%s after %s", v->key, last);
        CHECK_CLOSE(json_number(json_first(place), -1), at, 0);
        at = json_number(json_next(place, json_first(place)), -1);
        last = v->key;
    }
    CHECK((double)(a.size - a.start) == at, "%g", at);
    close_archive(&a);
    make_free(&f);
}

/* Rounding to the nearest, ties to even; what is too large is refused. */
static void test_dtypes(void) {
    static const make_shape s = { "llama", 8, 12, 1, 2, 2, 4, MAKE_BYTE_TOKENS, 1, 0 };
    static const struct { double x; int bf16, f16; } cases[8] = {
        { 1.0, 0x3f80, 0x3c00 }, { -1.00390625, 0xbf80, 0xbc04 },             /* 1 + 2^-8: a tie */
        { 1.01171875, 0x3f82, 0x3c0c }, { 1.00048828125, 0x3f80, 0x3c00 },    /* 1 + 2^-11: a tie */
        { 0.00000002980232238769531250, 0x3300, 0 },          /* 2^-25: halfway to F16's least   */
        { -0.00000008940696716308593750, 0xb3c0, 0x8002 },    /* 3 2^-25                         */
        { 65519.9, 0x4780, 0x7bff }, { 0.000060975551605224609375, 0x3880, 0x03ff } };
    make_file f;
    make_tensor *norm;
    archive a;
    const unsigned char *b;
    int i, dtype;
    make_model(&f, &s, 0, bytes_of);
    fill_all(&f);
    norm = make_find(&f, "output_norm.weight");
    for (i = 0; i < 8; i++) make_put_float(norm->data + 4 * i, (float)cases[i].x);
    for (dtype = GGUF_BF16; dtype <= GGUF_F16; dtype++) {
        CHECK(convert(&f, dtype, NULL), "%s", error);
        CHECK(open_archive(&a), "%s", error);
        b = in_archive(&a, "model.norm.weight", dtype == GGUF_BF16 ? "BF16" : "F16");
        CHECK(b != NULL, "no norm");
        for (i = 0; b && i < 8; i++)
            CHECK((b[2 * i] | b[2 * i + 1] << 8) == (dtype == GGUF_BF16 ? cases[i].bf16
                                                     : cases[i].f16),
                  "%.9g became %04x", cases[i].x, (unsigned)(b[2 * i] | b[2 * i + 1] << 8));
        close_archive(&a);
    }
    make_put_float(norm->data, 65520);
    CHECK(!convert(&f, GGUF_F16, NULL) && strstr(error, "output_norm.weight holds 65520, which is "
          "too large for F16"), "%s", error);
    make_put_float(norm->data, 3.4e38f);
    CHECK(!convert(&f, GGUF_BF16, NULL) && strstr(error, "too large for BF16"), "%s", error);
    norm->data[3] = 0x7f;
    norm->data[2] = 0x80;
    CHECK(!convert(&f, GGUF_AUTO, NULL) && strstr(error, "output_norm.weight holds a number that "
          "is not finite"), "%s", error);
    make_free(&f);
}

/* Llama with biases: grpo.h does not know it, transformers does. Rows of q and k, and their biases,
 * are put in order: with rotation of neighbours on one side and of halves on the other, the
 * attention scores are the same. */
static void turn(double *x, int n, int position, int halves) {
    int i;
    for (i = 0; i < n / 2; i++) {
        int a = halves ? i : 2 * i, b = halves ? i + n / 2 : 2 * i + 1;
        double angle = position * pow(10000, -2.0 * i / n), y = x[a];
        x[a] = y * cos(angle) - x[b] * sin(angle);
        x[b] = y * sin(angle) + x[b] * cos(angle);
    }
}

static double score(const unsigned char *const w[4], const double *x, int halves) {
    enum { HEAD = 6, HIDDEN = 12 };
    double to[2][HEAD], sum = 0;
    int i, k, side;
    for (side = 0; side < 2; side++) {
        for (i = 0; i < HEAD; i++) {
            to[side][i] = number(0, w[2 + side] + 4 * i, 0);
            for (k = 0; k < HIDDEN; k++)
                to[side][i] += number(0, w[side] + 4 * (HIDDEN * i + k), 0) * x[k];
        }
        turn(to[side], HEAD, 3 + 8 * side, halves);
    }
    for (i = 0; i < HEAD; i++) sum += to[0][i] * to[1][i];
    return sum;
}

static int refuse(const char *where, char *why) {
    char name[300];
    grpo_config c = grpo_defaults();
    FILE *file;
    snprintf(name, sizeof name, "%.200s/tokenizer_config.json", where);
    if ((file = fopen(name, "rb")) == NULL) return 1;         /* the check is to have all        */
    fclose(file);
    if (!grpo_load_config(&c, where)) return 1;
    snprintf(why, GGUF_ERROR_LENGTH, "%.300s", c.error);
    return 0;
}

/* A file whose model the caller refuses, before its weights are written: nothing is left. */
static void check_refusal(const char *sentence) {
    static const char other[] = "test_gguf.refused";
    const char *said = strrchr(sentence, '/');
    CHECK(!gguf_convert_if(path, other, GGUF_AUTO, refuse, NULL, error)
          && strstr(error, "none is written: config.json: "), "%s", error);
    CHECK(said && strstr(error, "attention_bias"), "%s", error);
    CHECK(!system_exists(other), "%s is left", other);
    CHECK(!gguf_convert_if(path, folder, GGUF_AUTO, refuse, NULL, error)
          && system_exists(folder), "%s", error);
}

static void test_rotation(void) {
    static const make_shape s = { "llama", 12, 20, 1, 2, 2, 6, MAKE_BYTE_TOKENS, 1, 1 };
    static const char *const names[4][2] = {
        { "blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight" },
        { "blk.0.attn_k.weight", "model.layers.0.self_attn.k_proj.weight" },
        { "blk.0.attn_q.bias", "model.layers.0.self_attn.q_proj.bias" },
        { "blk.0.attn_k.bias", "model.layers.0.self_attn.k_proj.bias" } };
    const unsigned char *here[4], *there[4];
    double x[12];
    make_file f;
    archive a;
    grpo_config c = grpo_defaults();
    int i, head, good = 1;
    make_model(&f, &s, 0, bytes_of);
    fill_all(&f);
    CHECK(convert(&f, GGUF_AUTO, NULL), "%s", error);
    CHECK(grpo_load_config(&c, folder) && strstr(c.error, "attention_bias"), "%s", c.error);
    check_refusal(c.error);
    CHECK(open_archive(&a), "%s", error);
    CHECK(in_archive(&a, "model.layers.0.self_attn.o_proj.bias", "F32") != NULL, "no o bias");
    for (i = 0; i < 12; i++) x[i] = (double)chance() / 16777216.0 - 0.5;
    for (head = 0; head < 2; head++) {
        for (i = 0; i < 4; i++) {
            int skip = 4 * 6 * head * (i < 2 ? 12 : 1);
            here[i] = make_find(&f, names[i][0])->data + skip;
            there[i] = in_archive(&a, names[i][1], "F32");
            good &= there[i] != NULL;
            if (there[i]) there[i] += skip;
        }
        CHECK(good, "q or k is missing");
        if (good) CHECK_CLOSE(score(there, x, 1), score(here, x, 0), 1e-12);
        if (good) CHECK(fabs(score(there, x, 0) - score(here, x, 0)) > 1e-3, "no difference");
    }
    close_archive(&a);
    make_drop(&f, "blk.0.attn_output.bias");
    CHECK(!convert(&f, GGUF_AUTO, NULL) && strstr(error, "blk.0.attn_output.bias is missing"),
          "%s", error);
    make_free(&f);
}

/* ---- rope_scaling */

/* What Llama 3's converter divides the frequencies by, from the definition of the scaling. */
static void llama3_factors(make_file *f, int head_dim, double theta, double factor, double high,
                           double context) {
    make_tensor *t = make_find(f, "rope_freqs.weight");
    int i, n = head_dim / 2;
    if (!t) t = make_add(f, "rope_freqs.weight", 0, 0, n, 4 * (size_t)n);
    for (i = 0; i < n; i++) {
        float wave = (float)(2 * 3.14159265358979323846 * pow(theta, 2.0 * i / head_dim));
        float smooth = ((float)context / wave - 1) / ((float)high - 1);
        float x = 1 / ((1 - smooth) / (float)factor + smooth);
        if ((double)wave < context / high) x = 1;
        if ((double)wave > context) x = (float)factor;
        make_put_float(t->data + 4 * i, x);
    }
}

static double rope_field(const char *name) {
    char file[64];
    double x = -1;
    json j;
    snprintf(file, sizeof file, "%s/config.json", folder);
    if (!json_read(&j, file, error)) return -1;
    if (!name) x = json_is(json_find(j.values, "rope_scaling"), JSON_NULL) ? 0 : 1;
    else if (!strcmp(name, "type"))
        x = json_string(json_find(json_find(j.values, "rope_scaling"), "rope_type"), "?")[1];
    else x = json_number(json_find(json_find(j.values, "rope_scaling"), name), -1);
    json_free(&j);
    return x;
}

static void test_rope(void) {
    static const make_shape s = { "llama", 64, 12, 1, 1, 1, 64, MAKE_BYTE_TOKENS, 1, 0 };
    static const double cases[][4] = { { 500000, 8, 4, 8192 }, { 500000, 32, 4, 8192 },
                                       { 10000, 2.5, 8, 4096 }, { 500000, 8, 4, 131072 } };
    make_file f;
    grpo_config c = grpo_defaults();
    size_t i;
    make_model(&f, &s, 0, bytes_of);
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_number(&f, "llama.rope.freq_base", MAKE_F32, cases[i][0]);
        llama3_factors(&f, 64, cases[i][0], cases[i][1], cases[i][2], cases[i][3]);
        CHECK(convert(&f, GGUF_AUTO, NULL), "%s", error);
        CHECK(rope_field("type") == 'l', "not llama3");
        CHECK_CLOSE(rope_field("factor"), cases[i][1], 0);
        CHECK_CLOSE(rope_field("low_freq_factor"), 1, 0);
        CHECK_CLOSE(rope_field("high_freq_factor"), cases[i][2], 0);
        CHECK_CLOSE(rope_field("original_max_position_embeddings"), cases[i][3], 0);
    }
    for (i = 3; i < 23; i += 19) {                            /* where 1 is; between 1 and 8     */
        make_tensor *t = make_find(&f, "rope_freqs.weight");
        float was = (float)number(0, t->data + 4 * i, 0);
        make_put_float(t->data + 4 * i, was * 1.0001f);
        CHECK(!convert(&f, GGUF_AUTO, NULL) && strstr(error, "rope_freqs.weight is not a "
              "rope_scaling"), "%s", error);
        make_put_float(t->data + 4 * i, was);
    }
    for (i = 0; i < 32; i++) make_put_float(make_find(&f, "rope_freqs.weight")->data + 4 * i, 1);
    CHECK(convert(&f, GGUF_AUTO, NULL) && rope_field(NULL) == 0, "%s", error);
    make_number(&f, "llama.rope.scaling.factor", MAKE_F32, 4);
    make_text(&f, "llama.rope.scaling.type", "linear");
    CHECK(!convert(&f, GGUF_AUTO, NULL) && strstr(error, "both"), "%s", error);
    make_drop(&f, "rope_freqs.weight");
    CHECK(convert(&f, GGUF_AUTO, NULL) && rope_field("type") == 'i', "%s", error);
    CHECK_CLOSE(rope_field("factor"), 4, 0);
    CHECK(!grpo_load_config(&c, folder) && c.model.rope_scaling.rope_type == GRPO_ROPE_LINEAR
          && c.model.rope_scaling.factor == 4, "%s", c.error);
    make_free(&f);
}

/* ---- tokenizers */

static int read_json(json *j, const char *name) {
    char file[80];
    snprintf(file, sizeof file, "%s/%s", folder, name);
    return json_read(j, file, error);
}

static int text_is(const json_value *v, const char *text) {
    return !strcmp(json_string(v, "\1"), text);
}

static int text_of_is(const json_value *v, const char *name, const char *text) {
    return text_is(json_find(v, name), text);
}

/* The n-th value of a list or object. */
static const json_value *nth(const json_value *list, int n) {
    const json_value *v = json_first(list);
    while (v && n-- > 0) v = json_next(list, v);
    return v;
}

static size_t length_of(const json_value *v) { return v ? v->length : 0; }

static void check_merges(const json_value *model, const char *const *merges, int count) {
    const json_value *list = json_find(model, "merges");
    int i;
    CHECK(length_of(list) == (size_t)count, "%lu merges", (unsigned long)length_of(list));
    for (i = 0; i < count; i++)
        CHECK(text_is(nth(list, i), merges[i]), "merge %d is %s, not %s", i,
              json_string(nth(list, i), "?"), merges[i]);
}

static void check_added(const json_value *written, int place, const char *text, int id,
                        int special) {
    const json_value *v = nth(json_find(written, "added_tokens"), place);
    CHECK(text_of_is(v, "content", text) && json_number(json_find(v, "id"), -1) == id
          && json_is(json_find(v, "special"), special ? JSON_TRUE : JSON_FALSE)
          && json_is(json_find(v, "normalized"), JSON_FALSE), "added token %s", text);
}

static void test_byte_level(void) {
    static const make_shape s = { "qwen2", 8, 12, 1, 2, 2, 4, MAKE_BYTE_TOKENS, 1, 1 };
    const json_value *model, *vocab, *split;
    make_file f;
    json j;
    int i;
    make_model(&f, &s, 0, bytes_of);
    CHECK(convert(&f, GGUF_AUTO, NULL), "%s", error);
    CHECK(read_json(&j, "tokenizer.json"), "%s", error);
    model = json_find(j.values, "model");
    vocab = json_find(model, "vocab");
    CHECK(length_of(vocab) == 12, "the vocabulary");
    for (i = 0; i < 12; i++)
        CHECK(json_number(json_find(vocab, make_byte_tokens[i]), -1) == i, "%s",
              make_byte_tokens[i]);
    CHECK(!json_find(vocab, "[PAD12]"), "padding");
    check_merges(model, make_byte_merges, 3);
    CHECK(json_is(json_find(model, "byte_fallback"), JSON_FALSE)
          && json_is(json_find(model, "ignore_merges"), JSON_FALSE), "flags");
    check_added(j.values, 0, "<|end|>", 9, 1);
    check_added(j.values, 1, "<|user|>", 10, 1);
    check_added(j.values, 2, "<tool>", 11, 0);
    CHECK(length_of(json_find(j.values, "added_tokens")) == 3, "added tokens");
    CHECK(text_of_is(json_find(j.values, "normalizer"), "type", "NFC"), "normalizer");
    split = nth(json_find(json_find(j.values, "pre_tokenizer"), "pretokenizers"), 0);
    CHECK(text_of_is(json_find(split, "pattern"), "Regex", "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n"
          "\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|"
          "\\s+") && text_of_is(split, "behavior", "Isolated"), "how text is split");
    CHECK(json_is(json_find(j.values, "post_processor"), JSON_NULL), "post_processor");
    json_free(&j);
    CHECK(read_json(&j, "tokenizer_config.json"), "%s", error);
    CHECK(text_of_is(j.values, "bos_token", "<|user|>")
          && text_of_is(j.values, "eos_token", "<|end|>") && !json_find(j.values, "pad_token")
          && text_of_is(j.values, "chat_template", "{{ bos_token }}\n{% \"x\" %}")
          && json_is(json_find(j.values, "add_bos_token"), JSON_FALSE)
          && json_number(json_find(j.values, "model_max_length"), 0) == 77, "tokenizer_config");
    json_free(&j);
    make_free(&f);
}

/* How each family splits, and whether a text begins with bos. */
static void test_splitters(void) {
    static const struct { const char *pre, *first; int splits, bos, whole; } cases[] = {
        { "gpt-2", "ByteLevel", 0, 0, 0 }, { "smollm", "Digits", 0, 0, 0 },
        { "llama-bpe", "Split", 1, 1, 1 }, { "qwen2", "Split", 1, 0, 0 },
        { "default", "Split", 4, 0, 0 }, { NULL, "Split", 4, 0, 0 } };
    static const make_shape s = { "llama", 8, 12, 1, 2, 2, 4, MAKE_BYTE_TOKENS, 1, 0 };
    make_file f;
    tokenizer *t;
    json j;
    size_t i;
    make_model(&f, &s, 0, bytes_of);
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const json_value *list, *v;
        int splits = 0;
        if (cases[i].pre) make_text(&f, "tokenizer.ggml.pre", cases[i].pre);
        else make_remove(&f, "tokenizer.ggml.pre");
        CHECK(convert(&f, GGUF_AUTO, NULL), "%s", error);
        t = tokenizer_load(folder, error);
        CHECK(t != NULL, "what is written is read: %s", error);
        tokenizer_free(t);
        CHECK(read_json(&j, "tokenizer.json"), "%s", error);
        list = json_find(json_find(j.values, "pre_tokenizer"), "pretokenizers");
        CHECK(text_of_is(nth(list, 0), "type", cases[i].first), "pre %d", (int)i);
        for (v = json_first(list); v; v = json_next(list, v))
            splits += text_of_is(v, "type", "Split");
        CHECK(splits == cases[i].splits, "%d splits", splits);
        v = json_find(j.values, "post_processor");
        CHECK(text_of_is(v, "type", "TemplateProcessing") == cases[i].bos, "bos");
        if (cases[i].bos)
            CHECK(json_number(json_first(json_find(json_find(json_find(v, "special_tokens"),
                  "<|user|>"), "ids")), -1) == 10, "the id of bos");
        CHECK(json_is(json_find(json_find(j.values, "model"), "ignore_merges"),
                      cases[i].whole ? JSON_TRUE : JSON_FALSE), "whole words");
        json_free(&j);
    }
    make_free(&f);
}

#define SPACE "\xe2\x96\x81"

/* Merges follow from the pieces: by score, then the longer left part. A piece that is a control
 * token takes no part. */
static void test_pieces(void) {
    static const make_shape s = { "llama", 8, 12, 1, 2, 2, 4, 13, 1, 0 };
    static const char *const tokens[] = { "<unk>", "<s>", "</s>", "<0x0A>", "a", "b", SPACE, "ab",
                                          SPACE "a", SPACE "ab", "abab", "ba", "aba" };
    static const double types[] = { 2, 3, 3, 6, 1, 1, 1, 1, 1, 1, 1, 3, 1 };
    static const double scores[] = { 0, 0, 0, 0, -9, -9, -9, -2, -1, -3, -4, 0, -4 };
    static const char *const merges[] = { SPACE " a", "a b", SPACE "a b", SPACE " ab", "aba b",
                                          "ab ab", "ab a" };
    const json_value *model, *normalizers;
    make_file f;
    json j;
    make_model(&f, &s, 0, bytes_of);
    make_text(&f, "tokenizer.ggml.model", "llama");
    make_texts(&f, "tokenizer.ggml.tokens", tokens, 13);
    make_numbers(&f, "tokenizer.ggml.token_type", MAKE_I32, types, 13);
    make_numbers(&f, "tokenizer.ggml.scores", MAKE_F32, scores, 13);
    make_remove(&f, "tokenizer.ggml.bos_token_id");
    make_remove(&f, "tokenizer.ggml.eos_token_id");
    make_number(&f, "tokenizer.ggml.eot_token_id", MAKE_U32, 3);
    CHECK(convert(&f, GGUF_AUTO, NULL), "%s", error);
    CHECK(read_json(&j, "tokenizer.json"), "%s", error);
    model = json_find(j.values, "model");
    check_merges(model, merges, 7);
    CHECK(text_of_is(model, "unk_token", "<unk>")
          && json_is(json_find(model, "byte_fallback"), JSON_TRUE)
          && json_is(json_find(model, "fuse_unk"), JSON_TRUE), "the model");
    check_added(j.values, 0, "<unk>", 0, 1);
    check_added(j.values, 2, "</s>", 2, 1);
    normalizers = json_find(json_find(j.values, "normalizer"), "normalizers");
    CHECK(text_of_is(nth(normalizers, 0), "prepend", SPACE)
          && text_of_is(nth(normalizers, 1), "content", SPACE), "normalizers");
    CHECK(text_of_is(json_find(nth(json_find(json_find(j.values, "post_processor"), "single"), 0),
                               "SpecialToken"), "id", "<s>"), "bos");
    json_free(&j);
    CHECK(read_json(&j, "generation_config.json"), "%s", error);
    CHECK(json_number(json_find(j.values, "bos_token_id"), -1) == 1
          && json_number(nth(json_find(j.values, "eos_token_id"), 0), -1) == 2
          && json_number(nth(json_find(j.values, "eos_token_id"), 1), -1) == 3, "ends of text");
    json_free(&j);
    CHECK(read_json(&j, "config.json"), "%s", error);
    CHECK(json_number(nth(json_find(j.values, "eos_token_id"), 0), -1) == 2
          && json_number(nth(json_find(j.values, "eos_token_id"), 1), -1) == 3, "the same ends");
    json_free(&j);
    make_number(&f, "tokenizer.ggml.add_space_prefix", MAKE_BOOL, 0);
    make_number(&f, "tokenizer.ggml.add_bos_token", MAKE_BOOL, 0);
    make_number(&f, "tokenizer.ggml.add_eos_token", MAKE_BOOL, 1);
    CHECK(make_write(&f, path) && gguf_convert_tokenizer(path, folder, error), "%s", error);
    CHECK(read_json(&j, "tokenizer.json"), "%s", error);
    CHECK(length_of(json_find(json_find(j.values, "normalizer"), "normalizers")) == 1, "prefix");
    CHECK(text_of_is(json_find(nth(json_find(json_find(j.values, "post_processor"), "single"), 1),
                               "SpecialToken"), "id", "</s>"), "eos");
    json_free(&j);
    make_free(&f);
}

/* ---- refusals */

typedef struct refusal {
    const char *key;                /* a line of metadata (or, with type -1, to be removed), or the
                                       name of a tensor: -2 to be dropped, -3 added, -4 of another
                                       type, -5 of one row more                                  */
    int type;
    double number;
    const char *text, *sentence;
} refusal;

static const refusal refusals[] = {
    { "general.architecture", MAKE_TEXT, 0, "gemma3", "its architecture is gemma3: only llama" },
    { "general.architecture", -1, 0, NULL, "general.architecture is missing" },
    { "general.architecture", MAKE_U32, 3, NULL, "general.architecture is not a text" },
    { "general.alignment", MAKE_U32, 0, NULL, "general.alignment is 0" },
    { "split.count", MAKE_U32, 3, NULL, "one of 3 parts" },
    { "llama.block_count", -1, 0, NULL, "llama.block_count is missing" },
    { "llama.block_count", MAKE_U32, 2, NULL, "tensor blk.1.attn_norm.weight is missing" },
    { "llama.block_count", MAKE_TEXT, 0, "1", "llama.block_count is not a single number" },
    { "llama.embedding_length", MAKE_F32, 8.5, NULL, "llama.embedding_length is 8.5" },
    { "llama.embedding_length", MAKE_U32, 16, NULL, "tensor token_embd.weight is 13 x 8, but "
                                                    "should be 13 x 16" },
    { "llama.attention.head_count", MAKE_U32, 0, NULL, "llama.attention.head_count is 0" },
    { "llama.attention.head_count_kv", MAKE_U32, 3, NULL, "do not fit together" },
    { "llama.attention.value_length", MAKE_U32, 2, NULL, "do not fit together" },
    { "llama.attention.layer_norm_rms_epsilon", -1, 0, NULL, "layer_norm_rms_epsilon is missing" },
    { "llama.rope.dimension_count", MAKE_U32, 2, NULL, "rope.dimension_count is 2" },
    { "llama.rope.freq_base", MAKE_F32, -1, NULL, "llama.rope.freq_base is -1" },
    { "llama.rope.scaling.type", MAKE_TEXT, 0, "yarn", "llama.rope.scaling.type is yarn, which is "
                                                       "not supported" },
    { "llama.expert_count", MAKE_U32, 8, NULL, "llama.expert_count is 8, which is not supported" },
    { "llama.attention.sliding_window", MAKE_U32, 70, NULL, "sliding_window is 70" },
    { "tokenizer.ggml.model", MAKE_TEXT, 0, "bert", "tokenizer.ggml.model is bert" },
    { "tokenizer.ggml.model", MAKE_TEXT, 0, "llama", "tokenizer.ggml.scores is missing" },
    { "tokenizer.ggml.pre", MAKE_TEXT, 0, "tekken", "tokenizer.ggml.pre is tekken" },
    { "tokenizer.ggml.tokens", -1, 0, NULL, "tokenizer.ggml.tokens is missing" },
    { "tokenizer.ggml.tokens", MAKE_TEXT, 0, "x", "tokenizer.ggml.tokens is not a list of texts" },
    { "tokenizer.ggml.merges", -1, 0, NULL, "tokenizer.ggml.merges is missing" },
    { "tokenizer.ggml.eos_token_id", MAKE_U32, 13, NULL, "eos_token_id is 13, but there are 13" },
    { "tokenizer.ggml.eos_token_id", MAKE_I32, -2, NULL, "eos_token_id is -2" },
    { "tokenizer.chat_template", MAKE_TEXT, 0, "\xff", "tokenizer.chat_template is not UTF-8" },
    { "unknown.type", 13, 0, NULL, "a value of type 13" },
    { "token_embd.weight", -2, 0, NULL, "tensor token_embd.weight is missing" },
    { "blk.0.ffn_up.weight", -2, 0, NULL, "tensor blk.0.ffn_up.weight is missing" },
    { "blk.0.ffn_gate_inp.weight", -3, 0, NULL, "tensor blk.0.ffn_gate_inp.weight is not part of "
                                                "a llama model" },
    { "blk.0.attn_q.bias", -3, 0, NULL, "tensor blk.0.attn_k.bias is missing" },
    { "blk.0.ffn_up.weight", -3, 0, NULL, "tensor blk.0.ffn_up.weight is there twice" },
    { "token_embd.weight", -4, 10, NULL, "tensor token_embd.weight is Q2_K, which is not" },
    { "token_embd.weight", -4, 20, NULL, "tensor token_embd.weight is IQ4_NL, which is not" },
    { "token_embd.weight", -4, 99, NULL, "tensor token_embd.weight is of type 99" },
    { "token_embd.weight", -4, 8, NULL, "token_embd.weight is Q8_0, but its rows are no multiple" },
    { "output_norm.weight", -5, 0, NULL, "output_norm.weight is 1 x 9, but should be 1 x 8" },
    { "token_embd.weight", -5, 0, NULL, "there are 13 tokens, but 14 rows" } };

static void spoil(make_file *f, const refusal *r) {
    make_tensor *t = make_find(f, r->key);
    if (r->type == -1) make_remove(f, r->key);
    else if (r->type == -2) make_drop(f, r->key);
    else if (r->type == -3) make_add(f, r->key, 0, 0, 8, 32);
    else if (r->type == -4) t->type = (int)r->number;
    else if (r->type == -5) {
        t->cols += t->rank == 1;
        t->rows += t->rank == 2;
        t->bytes += t->rank == 1 ? 4 : 32;
        t->data = (unsigned char *)realloc(t->data, t->bytes);
        memset(t->data, 0, t->bytes);
    } else if (r->type == MAKE_TEXT) make_text(f, r->key, r->text);
    else make_number(f, r->key, r->type, r->number);
}

static void check_refused(const char *sentence) {
    CHECK(!gguf_convert(path, folder, GGUF_AUTO, NULL, error), "converted: %s", sentence);
    CHECK(!strncmp(error, path, strlen(path)) && strstr(error, sentence), "it says: %s", error);
}

static const make_shape small = { "llama", 8, 12, 1, 2, 2, 4, MAKE_BYTE_TOKENS, 1, 0 };

static void test_refusals(void) {
    make_file f;
    size_t i;
    for (i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        make_model(&f, &small, 0, bytes_of);
        spoil(&f, &refusals[i]);
        CHECK(make_write(&f, path), "write");
        error[0] = 0;
        check_refused(refusals[i].sentence);
        make_free(&f);
    }
    CHECK(!gguf_convert("no such file", folder, GGUF_AUTO, NULL, error)
          && strstr(error, "cannot be read"), "%s", error);
    make_model(&f, &small, 0, bytes_of);
    CHECK(make_write(&f, path) && !gguf_convert(path, "no/such/folder", GGUF_AUTO, NULL, error)
          && strstr(error, "tokenizer.json.tmp cannot be opened"), "%s", error);
    make_free(&f);
}

/* Of the vocabulary and of the first bytes. */
static void test_more_refusals(void) {
    static const char *const twice[MAKE_BYTE_TOKENS] = { "a", "b", "a", "d", "e", "f", "g", "h",
                                                         "i", "j", "k", "l", "m" };
    static const char *const bad[MAKE_BYTE_TOKENS] = { "a", "b", "\xc3", "d", "e", "f", "g", "h",
                                                       "i", "j", "k", "l", "m" };
    static const char *const merges[][1] = { { "ab" }, { "a b c" }, { "a c" }, { "x a" },
                                             { "a " } };
    static const double types[2] = { 1, 1 };
    make_file f;
    size_t i;
    make_model(&f, &small, 0, bytes_of);
    make_texts(&f, "tokenizer.ggml.tokens", twice, MAKE_BYTE_TOKENS);
    CHECK(make_write(&f, path), "write");
    check_refused("tokens 0 and 2 of tokenizer.ggml.tokens are the same");
    make_texts(&f, "tokenizer.ggml.tokens", bad, MAKE_BYTE_TOKENS);
    CHECK(make_write(&f, path), "write");
    check_refused("token 2 of tokenizer.ggml.tokens is not UTF-8");
    make_byte_vocabulary(&f);
    for (i = 0; i < sizeof merges / sizeof *merges; i++) {
        make_texts(&f, "tokenizer.ggml.merges", merges[i], 1);
        CHECK(make_write(&f, path), "write");
        check_refused("merge 0 of tokenizer.ggml.merges");
    }
    make_byte_vocabulary(&f);
    make_numbers(&f, "tokenizer.ggml.token_type", MAKE_I32, types, 2);
    CHECK(make_write(&f, path), "write");
    check_refused("token_type is not as long as");
    make_byte_vocabulary(&f);
    f.version = 1;
    CHECK(make_write(&f, path), "write");
    check_refused("GGUF version 1 is not supported");
    f.version = 3 << 24;
    CHECK(make_write(&f, path), "write");
    check_refused("big-endian");
    make_free(&f);
}

/* ---- damage */

static int write_part(const make_file *f, size_t size) {
    FILE *file = fopen(path, "wb");
    int good = file && fwrite(f->bytes, 1, size, file) == size;
    if (file && fclose(file)) good = 0;
    return good;
}

/* However much is missing at the end. The last tensor has 32 bytes: none are padding. */
static void test_truncated(void) {
    make_file f;
    size_t n, refused = 0;
    make_model(&f, &small, 0, bytes_of);
    make_bytes(&f);
    for (n = 0; n < f.size; n++) {
        error[0] = 0;
        refused += write_part(&f, n) && !gguf_convert(path, folder, GGUF_AUTO, NULL, error)
                   && strlen(error) > strlen(path) + 10;
    }
    CHECK(refused == f.size, "%lu of %lu", (unsigned long)refused, (unsigned long)f.size);
    CHECK(strstr(error, "it ends before tensor output_norm.weight does"), "%s", error);
    CHECK(write_part(&f, n) && gguf_convert(path, folder, GGUF_AUTO, NULL, error), "%s", error);
    make_free(&f);
}

/* Eight bytes of 255, 127 or 0 at every place before the numbers: lengths and counts that nothing
 * can hold. */
static void test_lengths(void) {
    static const unsigned char with[3] = { 255, 127, 0 };
    unsigned char kept[8];
    make_file f;
    size_t n, end, wrong = 0;
    int i;
    make_model(&f, &small, 0, bytes_of);
    make_bytes(&f);
    for (end = f.size, i = 0; i < f.num_tensors; i++) end -= (f.tensors[i].bytes + 31) / 32 * 32;
    for (n = 0; n + 8 <= end; n++) {
        memcpy(kept, f.bytes + n, 8);
        memset(f.bytes + n, with[n % 3], 8);
        error[0] = 0;
        wrong += !write_part(&f, f.size) || (!gguf_convert_tokenizer(path, folder, error)
                                             && strlen(error) < strlen(path) + 10);
        memcpy(f.bytes + n, kept, 8);
    }
    CHECK(end > 1000 && wrong == 0, "%lu without a sentence", (unsigned long)wrong);
    make_free(&f);
}

/* A file that is refused late leaves the folder as it was. */
static void test_kept(void) {
    static const char *const names[] = { "tokenizer.json", "tokenizer_config.json", "config.json",
                                         "generation_config.json", "model.safetensors" };
    char name[80], *before[5], *after;
    size_t length[5], n;
    make_file f;
    FILE *file;
    int i;
    make_model(&f, &small, 0, bytes_of);
    fill_all(&f);
    CHECK(convert(&f, GGUF_AUTO, NULL), "%s", error);
    for (i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, names[i]);
        before[i] = json_load(name, &length[i], error);
    }
    fill_all(&f);
    make_number(&f, "llama.context_length", MAKE_U32, 99);
    make_find(&f, "output_norm.weight")->data[3] = 0x7f;
    make_find(&f, "output_norm.weight")->data[2] = 0x80;
    CHECK(!convert(&f, GGUF_F32, NULL) && strstr(error, "not finite"), "%s", error);
    for (i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, names[i]);
        after = json_load(name, &n, error);
        CHECK(before[i] && after && n == length[i] && !memcmp(before[i], after, n), "%s", name);
        free(before[i]);
        free(after);
        snprintf(name, sizeof name, "%s/%s.tmp", folder, names[i]);
        file = fopen(name, "rb");
        CHECK(file == NULL, "%s is still there", name);
        if (file) fclose(file);
    }
    make_free(&f);
}

/* No folder is written that could not be read: here one with another model's added tokens. */
static void test_unreadable(void) {
    char name[80], *before, *after;
    size_t length, n;
    make_file f;
    FILE *file;
    make_model(&f, &small, 0, bytes_of);
    CHECK(convert(&f, GGUF_AUTO, NULL), "%s", error);
    snprintf(name, sizeof name, "%s/tokenizer.json", folder);
    before = json_load(name, &length, error);
    snprintf(name, sizeof name, "%s/added_tokens.json", folder);
    file = fopen(name, "wb");
    CHECK(file && fputs("{\"<a>\": 5000}", file) >= 0, "%s", name);
    if (file) fclose(file);
    make_text(&f, "tokenizer.ggml.pre", "qwen2");
    CHECK(!convert(&f, GGUF_AUTO, NULL) && strstr(error, "none is written: added_tokens.json: the "
          "added token \"<a>\" has the id 5000"), "%s", error);
    remove(name);
    snprintf(name, sizeof name, "%s/tokenizer.json", folder);
    after = json_load(name, &n, error);
    CHECK(before && after && n == length && !memcmp(before, after, n), "it is another");
    free(before);
    free(after);
    make_free(&f);
}

/* Without a tokenizer its two files are not written. */
static void test_no_tokenizer(void) {
    gguf_summary s;
    make_file f;
    make_model(&f, &small, 0, bytes_of);
    make_text(&f, "tokenizer.ggml.model", "no_vocab");
    CHECK(convert(&f, GGUF_AUTO, &s) && !s.has_tokenizer, "%s", error);
    CHECK(!gguf_convert_tokenizer(path, folder, error) && strstr(error, "no tokenizer"), "%s",
          error);
    make_free(&f);
}

/* ---- real files */

static void test_stories(const char *data) {
    char from[600], reference[600];
    grpo *a, *b;
    snprintf(reference, sizeof reference, "%.500s/stories260K", data);
    snprintf(from, sizeof from, "%.500s/stories260K/stories260K.gguf", data);
    CHECK(gguf_convert(from, folder, GGUF_AUTO, NULL, error), "%s", error);
    a = load_from(folder);
    b = load_from(reference);
    CHECK(a && b && a->num_parameters == b->num_parameters
          && !memcmp(a->machinery->weights, b->machinery->weights,
                     a->num_parameters * sizeof(float)), "the weights differ");
    grpo_free(a);
    grpo_free(b);
}

/* A vocabulary of llama.cpp's tests, converted: its tokens and merges, and each of the texts beside
 * it gets the ids that stand there, which are llama.cpp's own. */
static void test_vectors(const char *data, const char *model, int tokens, int merges) {
    static const char mark[] = "\n__ggml_vocab_test__\n";
    static int ids[1 << 14];
    char name[700], *texts, *lines, *at, *line;
    size_t n;
    tokenizer *t;
    json j;
    int count = 0;
    snprintf(name, sizeof name, "%.500s/tokenizers/vectors/ggml-vocab-%s.gguf", data, model);
    if (!gguf_convert_tokenizer(name, folder, error)) {
        CHECK(strstr(error, "No such file"), "%s", error);
        printf("skipped: %s is not there\n", name);
        return;
    }
    CHECK(read_json(&j, "tokenizer.json"), "%s", error);
    CHECK((int)length_of(json_find(json_find(j.values, "model"), "merges")) == merges, "%s", model);
    json_free(&j);
    t = tokenizer_load(folder, error);
    CHECK(t && tokenizer_size(t) == tokens, "%s: %s", model, error);
    strcat(name, ".inp");
    texts = at = json_load(name, &n, error);
    memcpy(name + strlen(name) - 3, "out", 3);
    lines = line = json_load(name, &n, error);
    while (t && at && line) {
        char *end = strstr(at, mark), *rest = line + strcspn(line, "\n");
        int i, got;
        if (end) *end = 0;
        got = tokenizer_encode(t, at, ids, (int)(sizeof ids / sizeof *ids));
        for (i = 0; i < got && strtol(line, &line, 10) == ids[i]; i++) {}
        CHECK(i == got && line + strspn(line, " ") == rest, "%s, text %d: \"%s\"", model, count,
              at);
        at = end ? end + sizeof mark - 1 : NULL;
        line = rest + (*rest != 0);
        count++;
    }
    CHECK(count > 40, "%s has %d texts", model, count);
    tokenizer_free(t);
    free(texts);
    free(lines);
}

int main(void) {
    const char *data = getenv("GRPO_DATA");
    test_kinds();
    test_families();
    test_head_twice();
    test_archive();
    test_dtypes();
    test_rotation();
    test_rope();
    test_byte_level();
    test_splitters();
    test_pieces();
    test_refusals();
    test_more_refusals();
    test_truncated();
    test_lengths();
    test_kept();
    test_no_tokenizer();
    test_unreadable();
    if (data) {
        test_stories(data);
        test_vectors(data, "gpt-2", 50257, 50000);
        test_vectors(data, "starcoder", 49152, 48872);
        test_vectors(data, "qwen2", 151936, 151387);
        test_vectors(data, "llama-bpe", 128256, 280147);
        test_vectors(data, "llama-spm", 32000, 61249);
        test_vectors(data, "phi-3", 32064, 61249);
    } else puts("skipped: real files, for GRPO_DATA is not set");
    return check_finish();
}
