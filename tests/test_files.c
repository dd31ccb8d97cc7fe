/* Files: checkpoints go out and come back bit for bit; damaged ones, and a disk that fails at any
 * call, end in a code and a sentence, with the weights and the old files as they were. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#elif defined(_WIN32)
#include <windows.h>
#endif

/* ---- every file call of the library goes through these and can be made to fail */
static int file_calls, file_fail_at = -1, files_open, renames;
static const char *file_failed = "";

static int fails(const char *name) {
    if (file_calls++ != file_fail_at) return 0;
    file_failed = name;
    errno = EIO;
    return 1;
}

#ifdef _WIN32
static FILE *test_fopen(const wchar_t *path, const wchar_t *mode) {
    FILE *f = fails("fopen") ? NULL : _wfopen(path, mode);
    files_open += f != NULL;
    return f;
}
static int test_rename(const wchar_t *from, const wchar_t *to, DWORD how) {
    renames++;
    return fails("rename") ? 0 : MoveFileExW(from, to, how);
}
#define _wfopen test_fopen
#define MoveFileExW test_rename
#else
static FILE *test_fopen(const char *path, const char *mode) {
    FILE *f = fails("fopen") ? NULL : fopen(path, mode);
    files_open += f != NULL;
    return f;
}
static int test_rename(const char *from, const char *to) {
    renames++;
    return fails("rename") ? -1 : rename(from, to);
}
#define fopen test_fopen
#define rename test_rename
#endif
static size_t test_fread(void *to, size_t size, size_t n, FILE *f) {
    if (!fails("fread")) return fread(to, size, n, f);
    fputc(0, f);                    /* f is open for reading: this sets its error flag           */
    return 0;
}
static size_t test_fwrite(const void *from, size_t size, size_t n, FILE *f) {
    return fails("fwrite") ? fwrite(from, size, n / 2, f) : fwrite(from, size, n, f);
}
static int test_fflush(FILE *f) { return fails("fflush") ? EOF : fflush(f); }
static int test_fclose(FILE *f) {
    int bad = fclose(f);
    files_open--;
    return fails("fclose") ? EOF : bad;
}
#define fread test_fread
#define fwrite test_fwrite
#define fflush test_fflush
#define fclose test_fclose
#if defined(__unix__) || defined(__APPLE__)
static int test_fsync(int descriptor);
static int test_mkdir(const char *path, mode_t mode) {
    return fails("mkdir") ? -1 : mkdir(path, mode);
}
#define fsync test_fsync
#define mkdir test_mkdir
#endif
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#undef fopen
#undef _wfopen
#undef MoveFileExW
#undef fread
#undef fwrite
#undef fflush
#undef fclose
#undef rename
#undef fsync
#undef mkdir
#include "check.h"

#if defined(__unix__) || defined(__APPLE__)
static int test_fsync(int descriptor) { (void)descriptor; return fails("fsync") ? -1 : 0; }
#endif

#ifdef CHECK_QUICK
enum { STRIDE = 37 };               /* under valgrind: every 37th damage                         */
#else
enum { STRIDE = 1 };
#endif

#define FOLDER "test_files_checkpoint"
#define OTHER "test_files_other"
#define MODEL "/model.safetensors"
#define CONFIG "/config.json"
#define STATE "/trainer_state.safetensors"

/* ---- memory, files, weights */
static int living, fail_allocation = -1, allocations;

static void *count_allocate(size_t size, void *user) {
    void *p;
    (void)user;
    if (allocations++ == fail_allocation) return NULL;
    p = malloc(size);
    living += p != NULL;
    return p;
}

static void count_release(void *p, void *user) { (void)user; living -= p != NULL; free(p); }

typedef struct blob { char *bytes; size_t size; } blob;

static blob read_blob(const char *path) {
    blob b = { NULL, 0 };
    FILE *f = fopen(path, "rb");
    b.bytes = (char *)calloc(1, 1 << 21);
    if (f) {
        b.size = fread(b.bytes, 1, (1 << 21) - 1, f);
        fclose(f);
    }
    return b;
}

static void write_bytes(const char *path, const void *bytes, size_t size) {
    FILE *f;
    remove(path);                   /* some file systems wait for the disk when a file is cut    */
    f = fopen(path, "wb");
    if (!f) { CHECK(0, "cannot write %s", path); return; }
    CHECK(fwrite(bytes, 1, size, f) == size, "%s", path);
    fclose(f);
}

static int same_blob(blob a, blob b) {
    return a.size == b.size && !memcmp(a.bytes, b.bytes, a.size);
}

static void remove_folder(const char *folder) {
    static const char *const names[] = { MODEL, CONFIG, STATE, MODEL ".tmp", CONFIG ".tmp",
        STATE ".tmp" };
    char path[128];
    size_t i;
    for (i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "%s%s", folder, names[i]);
        remove(path);
    }
    remove(folder);
}

static grpo_config tiny(void) {
    grpo_config c = grpo_defaults();
    c.vocabulary = "0123456789+=";
    c.model.hidden_size = 4;
    c.model.intermediate_size = 6;
    c.model.num_hidden_layers = 1;
    c.model.num_attention_heads = 2;
    c.model.num_key_value_heads = 1;
    c.num_prompts = 2;
    c.num_generations = 2;
    c.max_prompt_length = 4;
    c.max_completion_length = 3;
    c.threads = 1;
    c.allocate = count_allocate;
    c.release = count_release;
    return c;
}

static grpo *make(grpo_config *c) {
    grpo *g = grpo_new(c);
    CHECK(g != NULL, "%s", c->error);
    if (!g) exit(1);
    return g;
}

static void download(grpo *g, const float *from, float *to) {
    g->machinery->backend->download(g->machinery->context, to, from,
                                    g->num_parameters * sizeof(float));
}

static void upload(grpo *g, const float *from) {
    g->machinery->backend->upload(g->machinery->context, g->machinery->weights, from,
                                  g->num_parameters * sizeof(float));
    grpo__weights_changed(g, GRPO_POLICY);
}

static float *weights_of(grpo *g) {
    float *w = (float *)malloc(g->num_parameters * sizeof(float));
    download(g, g->machinery->weights, w);
    return w;
}

/* Are these the weights, bit for bit? */
static int has_weights(grpo *g, const float *expected) {
    float *w = weights_of(g);
    int same = !memcmp(w, expected, g->num_parameters * sizeof(float));
    free(w);
    return same;
}

static float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t to_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint32_t noise(uint32_t i) {
    i = (i ^ 61u ^ (i >> 16)) * 9u;
    i = (i ^ (i >> 4)) * 0x27d4eb2du;
    return i ^ (i >> 15);
}

/* ---- round trips */
static void fill(grpo *g, float *w, uint32_t seed) {
    size_t i;
    for (i = 0; i < g->num_parameters; i++) {
        uint32_t bits = noise((uint32_t)i + seed);
        w[i] = (bits & 0x7f800000u) == 0x7f800000u ? 0.5f : from_bits(bits);   /* subnormals too */
    }
    w[1] = -0.0f;
    upload(g, w);
}

/* The bf16 number nearest to x, ties to even, found without the trick that the library uses. */
static float nearest_bf16(float x) {
    uint32_t down = to_bits(x) & 0xffff0000u, up = down + 0x10000u;
    double below = fabs((double)x - (double)from_bits(down));
    double above = fabs((double)from_bits(up) - (double)x);
    if (below < above) return from_bits(down);
    if (above < below) return from_bits(up);
    return from_bits(down & 0x10000u ? up : down);
}

/* The f16 number nearest to x, by its steps: 2^(exponent - 10), and 2^-24 below 2^-14. */
static float nearest_f16(float x) {
    int exponent;
    double step, down, rest;
    frexp((double)x, &exponent);
    step = ldexp(1, exponent - 11 > -24 ? exponent - 11 : -24);
    down = floor(fabs((double)x) / step);
    rest = fabs((double)x) / step - down;
    if (rest > 0.5 || (rest == 0.5 && fmod(down, 2) == 1)) down++;
    return (float)copysign(down * step, (double)x);
}

static void test_round_trip(int bias, int qk_norm, int tied) {
    grpo_config c = tiny(), read;
    grpo *a, *b;
    float *w, *rounded;
    size_t i;
    blob text;
    const char *family = qk_norm ? "Qwen3ForCausalLM"
                       : bias ? "Qwen2ForCausalLM" : "LlamaForCausalLM";
    c.model.attention_bias = bias;
    c.model.qk_norm = qk_norm;
    c.model.tie_word_embeddings = tied;
    c.model.head_dim = 6;
    c.model.rope_theta = tied ? 1234567.875f : 500000.0f;
    c.model.rms_norm_eps = bias ? 1e-5f : 9.9999999e-7f;
    c.model.initializer_range = 0.1f;
    c.model.max_position_embeddings = 77;
    c.model.rope_scaling.rope_type = bias + 2 * qk_norm == 3 ? 0 : bias + 2 * qk_norm;
    if (c.model.rope_scaling.rope_type) c.model.rope_scaling.factor = 3.3f;
    if (c.model.rope_scaling.rope_type == GRPO_ROPE_LLAMA3) {
        c.model.rope_scaling.low_freq_factor = 0.7f;
        c.model.rope_scaling.high_freq_factor = 4;
        c.model.rope_scaling.original_max_position_embeddings = 11;
    }
    a = make(&c);
    c.seed = 2;
    b = make(&c);
    w = weights_of(a);
    rounded = weights_of(a);
    CHECK(!has_weights(b, w), "another seed, other weights");
    fill(a, w, 3);
    CHECK(!grpo_save(a, FOLDER, 0), "%s: %s", family, grpo_error(a));
    CHECK(!grpo_load(b, FOLDER) && has_weights(b, w), "fp32 differs: %s", grpo_error(b));
    download(b, b->machinery->reference, rounded);
    CHECK(!memcmp(w, rounded, b->num_parameters * sizeof(float)),
          "the reference is not the policy");
    for (i = 0; i < a->num_parameters; i++) rounded[i] = nearest_bf16(w[i]);
    for (i = 0; i < a->num_parameters; i++)                   /* what rounds to Inf is refused   */
        if ((to_bits(rounded[i]) & 0x7f800000u) == 0x7f800000u) rounded[i] = w[i] = 1;
    w[2] = from_bits(0x3f808000u); rounded[2] = from_bits(0x3f800000u);       /* ties            */
    w[3] = from_bits(0x3f818000u); rounded[3] = from_bits(0x3f820000u);
    upload(a, w);
    CHECK(!grpo_save(a, FOLDER, GRPO_SAVE_BF16), "%s", grpo_error(a));
    CHECK(!grpo_load(b, FOLDER) && has_weights(b, rounded), "bf16 differs: %s", grpo_error(b));
    text = read_blob(FOLDER CONFIG);
    CHECK(strstr(text.bytes, "\"bfloat16\"") != NULL, "%s", text.bytes);
    free(text.bytes);
    for (i = 0; i < a->num_parameters; i++) {                 /* 2^-28 to 2^15              */
        uint32_t bits = noise((uint32_t)i + 7);
        w[i] = from_bits((bits & 0x807fffffu) | (99 + bits / 256 % 44) << 23);
        if (fabsf(w[i]) > 65504) w[i] = 65504;
        rounded[i] = nearest_f16(w[i]);
    }
    w[2] = 65519.996f; rounded[2] = 65504;                    /* the last that is not infinite   */
    w[3] = 1.00048828125f; rounded[3] = 1;                    /* ties                            */
    w[4] = 1.00146484375f; rounded[4] = 1.001953125f;
    w[5] = -2.98023223876953125e-8f; rounded[5] = -0.0f;
    upload(a, w);
    CHECK(!grpo_save(a, FOLDER, GRPO_SAVE_F16), "%s", grpo_error(a));
    CHECK(!grpo_load(b, FOLDER) && has_weights(b, rounded), "f16 differs: %s", grpo_error(b));

    read = grpo_defaults();
    CHECK(!grpo_load_config(&read, FOLDER), "%s", read.error);
    CHECK(!memcmp(&read.model, &a->config.model, sizeof read.model), "%s: config.json differs",
          family);
    text = read_blob(FOLDER CONFIG);
    CHECK(strstr(text.bytes, family) && strstr(text.bytes, "\"float16\"")
          && strstr(text.bytes, "\"eos_token_id\": 12"), "%s", text.bytes);
    free(text.bytes);
    free(w);
    free(rounded);
    grpo_free(a);
    grpo_free(b);
    remove_folder(FOLDER);
}

/* Numbers that cannot be written are refused, and the old checkpoint stays. */
static void test_unwritable(void) {
    grpo_config c = tiny();
    grpo *g = make(&c);
    float *w = weights_of(g), good = w[5];
    blob before, after;
    CHECK(!grpo_save(g, FOLDER, 0), "%s", grpo_error(g));
    before = read_blob(FOLDER MODEL);
    w[5] = from_bits(0x7f7fffffu);                            /* the largest float               */
    upload(g, w);
    CHECK(grpo_save(g, FOLDER, GRPO_SAVE_BF16) == GRPO_NONFINITE
          && strstr(grpo_error(g), "model.embed_tokens.weight"), "%s", grpo_error(g));
    w[5] = -65520;                                            /* halfway to what would be next   */
    upload(g, w);
    CHECK(grpo_save(g, FOLDER, GRPO_SAVE_F16 | GRPO_SAVE_STATE) == GRPO_NONFINITE
          && strstr(grpo_error(g), "65504"), "%s", grpo_error(g));
    CHECK(grpo_save(g, FOLDER, GRPO_SAVE_F16 | GRPO_SAVE_BF16) == GRPO_BAD_INPUT
          && strstr(grpo_error(g), "GRPO_SAVE_F16"), "%s", grpo_error(g));
    w[5] = from_bits(0x7fc00000u);
    upload(g, w);
    CHECK(grpo_save(g, FOLDER, 0) == GRPO_NONFINITE && grpo_error(g)[0], "%s", grpo_error(g));
    after = read_blob(FOLDER MODEL);
    CHECK(same_blob(before, after), "the old file is gone");
    w[5] = good;
    upload(g, w);
    CHECK(grpo_save(g, "", 0) == GRPO_BAD_INPUT || grpo_save(g, "", 0) == GRPO_IO, "no folder");
    CHECK(grpo_save(g, FOLDER "/is/not/there", 0) == GRPO_IO, "%s", grpo_error(g));
    CHECK(grpo_load(g, FOLDER "/is/not/there") == GRPO_IO, "%s", grpo_error(g));
    {
        static char name[5000];
        memset(name, 'x', sizeof name - 1);
        CHECK(grpo_save(g, name, 0) < 0 && grpo_load(g, name) < 0 && grpo_error(g)[0], "long name");
    }
    free(before.bytes);
    free(after.bytes);
    free(w);
    grpo_free(g);
    remove_folder(FOLDER);
}

/* ---- safetensors made here, entry by entry */
enum { MOST_ENTRIES = 40 };
typedef struct entry { char name[100], dtype[24], shape[64], begin[32], end[32]; int skip; } entry;
typedef struct archive {
    entry e[MOST_ENTRIES];
    int n;
    const char *first, *last;       /* of the header, around the entries                         */
    char *data;
    size_t size;
} archive;

/* A good file with the weights w, in 4 or 2 bytes a number. */
static archive good_archive(grpo *g, const float *w, const char *dtype) {
    archive a;
    size_t at = 0, i, bytes = strcmp(dtype, "F32") ? 2 : 4;
    int t;
    memset(&a, 0, sizeof a);
    a.first = "{";
    a.last = "}";
    a.data = (char *)calloc(g->num_parameters + 64, bytes);
    for (t = 0; t < g->machinery->num_tensors && t < MOST_ENTRIES; t++) {
        grpo__tensor x = g->machinery->tensors[t];
        entry *e = &a.e[a.n++];
        size_t count = (size_t)x.rows * (size_t)(x.cols ? x.cols : 1);
        snprintf(e->name, sizeof e->name, "%s", x.name);
        snprintf(e->dtype, sizeof e->dtype, "\"%s\"", dtype);
        if (x.cols) snprintf(e->shape, sizeof e->shape, "[%d, %d]", x.rows, x.cols);
        else snprintf(e->shape, sizeof e->shape, "[%d]", x.rows);
        snprintf(e->begin, sizeof e->begin, "%lu", (unsigned long)at);
        for (i = 0; i < count; i++, at += bytes) {
            uint32_t bits = to_bits(w[x.offset + i]);
            if (!strcmp(dtype, "BF16")) bits >>= 16;
            if (!strcmp(dtype, "F16")) bits = (uint32_t)(x.offset + i) & 0xffffu;   /* its index */
            a.data[at] = (char)(bits & 255);
            a.data[at + 1] = (char)(bits >> 8 & 255);
            if (bytes == 4) {
                a.data[at + 2] = (char)(bits >> 16 & 255);
                a.data[at + 3] = (char)(bits >> 24 & 255);
            }
        }
        snprintf(e->end, sizeof e->end, "%lu", (unsigned long)at);
    }
    a.size = at;
    return a;
}

static void write_raw(const char *path, uint64_t claimed, const char *header, size_t length,
                      const char *data, size_t size) {
    char *bytes = (char *)malloc(8 + length + size);
    size_t i;
    for (i = 0; i < 8; i++) bytes[i] = (char)(claimed >> 8 * i & 255);
    memcpy(bytes + 8, header, length);
    if (size) memcpy(bytes + 8 + length, data, size);
    write_bytes(path, bytes, 8 + length + size);
    free(bytes);
}

static void header_of(const archive *a, char *header, size_t room) {
    size_t n = (size_t)snprintf(header, room, "%s", a->first);
    int i, comma = 0;
    for (i = 0; i < a->n; i++) {
        const entry *e = &a->e[i];
        if (e->skip) continue;
        n += (size_t)snprintf(header + n, room - n, "%s\"%s\":{\"dtype\":%s, \"shape\":%s,\n"
                              "\"data_offsets\":[%s,%s]}", comma++ ? "," : "", e->name, e->dtype,
                              e->shape, e->begin, e->end);
    }
    snprintf(header + n, room - n, "%s", a->last);
}

static void write_archive(const archive *a) {
    static char header[1 << 16];
    header_of(a, header, sizeof header);
    write_raw(FOLDER MODEL, strlen(header), header, strlen(header), a->data, a->size);
}

static entry *find(archive *a, const char *name) {
    int i;
    for (i = 0; i < a->n; i++)
        if (strstr(a->e[i].name, name)) return &a->e[i];
    CHECK(0, "no tensor %s", name);
    return &a->e[0];
}

/* The file must be refused, with a sentence that holds a word, and nothing may change. */
static void refused(grpo *g, const float *w, const char *what, const char *word) {
    int blocks = living, code;
    g->config.error[0] = 0;
    code = grpo_load(g, FOLDER);
    CHECK(code == GRPO_BAD_FILE || code == GRPO_IO || code == GRPO_NO_MEMORY, "%s: code %d", what,
          code);
    CHECK(strlen(grpo_error(g)) > 20 && strstr(grpo_error(g), word), "%s: \"%s\" lacks \"%s\"",
          what,
          grpo_error(g), word);
    CHECK(has_weights(g, w), "%s: the weights have changed", what);
    if (!code) upload(g, w);
    CHECK(living == blocks && files_open == 0, "%s: leaks", what);
}

static void accepted(grpo *g, const float *w, const char *what) {
    CHECK(!grpo_load(g, FOLDER), "%s: %s", what, grpo_error(g));
    CHECK(has_weights(g, w), "%s: the weights differ", what);
}

/* One field of one entry replaced. */
static void test_fields(grpo *g, const float *before, const float *w) {
    static const struct { const char *tensor; int field; const char *value; } cases[] = {
        { "q_proj", 0, "\"F64\"" }, { "q_proj", 0, "\"f32\"" }, { "q_proj", 0, "\"I32\"" },
        { "q_proj", 0, "\"F16\"" }, { "q_proj", 0, "\"BF16\"" }, { "q_proj", 0, "32" },
        { "q_proj", 0, "null" }, { "q_proj", 0, "\"F32\", \"dtype\":\"F32\"" }, { "q_proj", 0, "" },
        { "q_proj", 1, "[4294967296,4294967296]" }, { "q_proj", 1, "[4,4,1]" },
        { "q_proj", 1, "[16]" },
        { "q_proj", 1, "[]" }, { "q_proj", 1, "[0,0]" }, { "q_proj", 1, "[2,8]" },
        { "q_proj", 1, "[-4,-4]" }, { "q_proj", 1, "[4.5,4]" }, { "q_proj", 1, "\"4,4\"" },
        { "q_proj", 1, "[[4],4]" }, { "q_proj", 1, "[18446744073709551620,4]" },
        { "q_proj", 1, "4" },
        { "q_proj", 1, "{}" }, { "embed", 1, "[4,13]" }, { "embed", 1, "[13]" },
        { "q_proj", 1, "[4,4" },
        { "model.norm", 1, "[4,1]" }, { "model.norm", 1, "[]" }, { "model.norm", 1, "[5]" },
        { "q_proj", 2, "4" }, { "q_proj", 2, "-4" }, { "q_proj", 2, "0" }, { "q_proj", 2, "1e2" },
        { "q_proj", 2, "999999999999999999999999" }, { "q_proj", 2, "00" },
        { "q_proj", 2, "\"0\"" },
        { "q_proj", 2, "18446744073709551615" }, { "q_proj", 2, "+208" },
        { "q_proj", 2, "208,208" },
        { "q_proj", 3, "4" }, { "q_proj", 3, "99999999" }, { "q_proj", 3, "18446744073709551616" },
        { "q_proj", 3, "272.5" }, { "q_proj", 3, "NaN" }, { "q_proj", 3, "" },
        { "q_proj", 3, "272,9" },
        { "model.norm", 3, "9223372036854775807" }, { "model.norm", 2, "9223372036854775000" }
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        archive a = good_archive(g, w, "F32");
        entry *e = find(&a, cases[i].tensor);
        char what[128];
        snprintf(what, sizeof what, "%s field %d = %s", cases[i].tensor, cases[i].field,
                 cases[i].value);
        if (cases[i].field == 0) snprintf(e->dtype, sizeof e->dtype, "%s", cases[i].value);
        if (cases[i].field == 1) snprintf(e->shape, sizeof e->shape, "%s", cases[i].value);
        if (cases[i].field == 2) snprintf(e->begin, sizeof e->begin, "%s", cases[i].value);
        if (cases[i].field == 3) snprintf(e->end, sizeof e->end, "%s", cases[i].value);
        write_archive(&a);
        refused(g, before, what, "model.safetensors");
        free(a.data);
    }
}

/* Whole entries: missing, twice, unknown, swapped, beside each other. */
static void test_entries(grpo *g, const float *before, const float *w) {
    archive a = good_archive(g, w, "F32"), b;
    int i;
    for (i = 0; i < a.n; i++) {
        b = a;
        b.e[i].skip = 1;                                      /* a tensor missing, and a hole    */
        write_archive(&b);
        refused(g, before, "missing", a.e[i].name);
        b = a;
        b.e[b.n++] = b.e[i];
        write_archive(&b);
        refused(g, before, "twice", "safetensors");
        snprintf(b.e[b.n - 1].name, sizeof b.e->name, "model.layers.1.%d", i);
        write_archive(&b);
        refused(g, before, "unknown, and over another", "safetensors");
    }
    b = a;                                                    /* an unknown one at the end       */
    b.e[b.n] = b.e[b.n - 1];
    snprintf(b.e[b.n].name, sizeof b.e->name, "score.weight");
    snprintf(b.e[b.n].shape, sizeof b.e->shape, "[1]");
    snprintf(b.e[b.n].begin, sizeof b.e->begin, "%lu", (unsigned long)b.size);
    snprintf(b.e[b.n++].end, sizeof b.e->end, "%lu", (unsigned long)b.size + 4);
    b.size += 4;
    write_archive(&b);
    refused(g, before, "unknown", "score.weight");
    b = a;                                                    /* two at one place, and a hole    */
    memcpy(find(&b, "input_layernorm")->begin, find(&b, "post_attention")->begin, 32);
    memcpy(find(&b, "input_layernorm")->end, find(&b, "post_attention")->end, 32);
    write_archive(&b);
    refused(g, before, "overlap", "safetensors");
    b = a;                                                    /* a hole before the last          */
    snprintf(find(&b, "model.norm")->begin, 32, "%lu", (unsigned long)b.size - 12);
    snprintf(find(&b, "model.norm")->end, 32, "%lu", (unsigned long)b.size + 4);
    b.size += 4;
    write_archive(&b);
    refused(g, before, "hole", "safetensors");
    b = a;
    b.size += 1;
    write_archive(&b);
    refused(g, before, "one byte more", "safetensors");
    b.size = a.size - 1;
    write_archive(&b);
    refused(g, before, "one byte less", "safetensors");
    b = a;                                                    /* another order in the header     */
    for (i = 0; i < a.n; i++) b.e[i] = a.e[a.n - 1 - i];
    write_archive(&b);
    accepted(g, w, "reversed header");
    upload(g, before);
    free(a.data);
}

/* What JSON may surround the entries, and what may not. */
static void test_json(grpo *g, const float *before, const float *w) {
    static const struct { int good; const char *first, *last; } cases[] = {
        { 1, "{\"__metadata__\":{\"format\":\"pt\"},", "}   " }, { 1, "{ \n\t\r", " } \n" },
        { 1, "{\"__metadata__\":{},", "}" },
        { 1, "{\"__metadata__\":{\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\":"
             "\"\xc3\xa9\"},", "}" },
        { 0, "{\"__metadata__\":{\"a\":1},", "}" }, { 0, "{\"__metadata__\":[],", "}" },
        { 0, "{\"__metadata__\":{\"a\":{}},", "}" }, { 0, "{\"__metadata__\":null,", "}" },
        { 0, "{\"__metadata__\":{},\"__metadata__\":{},", "}" },
        { 0, "{", "},", }, { 0, "{", "" }, { 0, "{", "}}" }, { 0, "{", ",}" }, { 0, "{,", "}" },
        { 0, "", "" },
        { 0, "[", "]" }, { 0, "{", "} x" }, { 0, "{", "}{}" }, { 0, "\xef\xbb\xbf{", "}" },
        { 0, "{'a':1,", "}" },
        { 0, "{\"a\\x\":1,", "}" }, { 0, "{\"a\\u12\":1,", "}" }, { 0, "{\"a\\u12g4\":1,", "}" },
        { 0, "{\"a\n\":1,", "}" }, { 0, "{\"a\xff\":1,", "}" }, { 0, "{\"a\xc3\":1,", "}" },
        { 0, "{\"a", "}" },
        { 0, "{/* */", "}" }, { 0, "{\"a\" 1,", "}" }, { 0, "{1:1,", "}" },
        { 0, "{\"a\":tru,", "}" },
        { 0, "{\"a\":nulll,", "}" }, { 0, "{\"a\":01,", "}" }, { 0, "{\"a\":1.,", "}" },
        { 0, "{\"a\":.5,", "}" },
        { 0, "{\"a\":-,", "}" }, { 0, "{\"a\":1e,", "}" }, { 0, "{\"a\":1e+,", "}" },
        { 0, "{\"a\":,", "}" },
        { 0, "{\"a\":[1,],", "}" }, { 0, "{\"a\":[1 2],", "}" }, { 0, "{\"a\":[1},", "}" },
        { 0, "{\"a\":\"", "}" },
        { 0, "{\"a\":\"\\", "}" }, { 0, "{\"a\":\"\\u", "}" }, { 0, "{\"a\":{\"b\"},", "}" }
    };
    static const char *const nests[] = { "[", "{\"a\":", "[{\"a\":" };
    archive a = good_archive(g, w, "F32");
    size_t i, k, big = 1 << 19;
    char *deep = (char *)malloc(big + 16), what[128];
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        a.first = cases[i].first;
        a.last = cases[i].last;
        snprintf(what, sizeof what, "JSON %d: %s...%s", (int)i, a.first, a.last);
        write_archive(&a);
        if (cases[i].good) { accepted(g, w, what); upload(g, before); }
        else refused(g, before, what, "safetensors");
    }
    a.first = "{";
    a.last = "}";
    for (i = 0; i < 3; i++) {       /* so deep that a careless reader runs out of stack          */
        size_t n = 0, length = strlen(nests[i]);
        n += (size_t)sprintf(deep, "{\"x\":");
        for (k = 0; n + length < big; k++, n += length) memcpy(deep + n, nests[i], length);
        write_raw(FOLDER MODEL, n, deep, n, a.data, a.size);
        refused(g, before, "deep", "safetensors");
        memcpy(deep, "{\"__metadata__\":{\"a\":", 21);
        write_raw(FOLDER MODEL, n, deep, n, a.data, a.size);
        refused(g, before, "deep metadata", "safetensors");
    }
    memset(deep, ' ', big);
    deep[0] = '{';
    write_raw(FOLDER MODEL, big, deep, big, a.data, a.size);
    refused(g, before, "blanks", "safetensors");
    memset(deep, 0, big);
    write_raw(FOLDER MODEL, big, deep, big, a.data, a.size);
    refused(g, before, "zeros", "safetensors");
    memcpy(deep, "{\"\\u006dodel.norm.weight\\u0000\":1}", 33);
    write_raw(FOLDER MODEL, 33, deep, 33, a.data, a.size);
    refused(g, before, "a NUL in a name", "safetensors");
    snprintf(find(&a, "model.norm")->name, 100, "\\u006dodel\\u002Enorm.weight");
    write_archive(&a);
    accepted(g, w, "an escaped name");
    upload(g, before);
    free(deep);
    free(a.data);
}

/* The first eight bytes, and the file cut at every length. */
static void test_sizes(grpo *g, const float *before, const float *w) {
    static const uint64_t claims[] = { 0, 1, 2, 7, 100000000, 100000001, UINT64_C(1) << 31,
        UINT64_C(1) << 32,
        UINT64_C(1) << 62, UINT64_C(1) << 63, UINT64_MAX - 8, UINT64_MAX };
    static char header[1 << 16];
    archive a = good_archive(g, w, "F32");
    size_t i, length;
    blob whole;
    header_of(&a, header, sizeof header);
    length = strlen(header);
    for (i = 0; i < sizeof claims / sizeof *claims; i++) {
        write_raw(FOLDER MODEL, claims[i], header, length, a.data, a.size);
        refused(g, before, "header length", "safetensors");
    }
    write_raw(FOLDER MODEL, length - 1, header, length, a.data, a.size);
    refused(g, before, "header length - 1", "safetensors");
    write_raw(FOLDER MODEL, length + 1, header, length, a.data, a.size);
    refused(g, before, "header length + 1", "safetensors");
    write_archive(&a);
    whole = read_blob(FOLDER MODEL);
    for (i = 0; i < whole.size; i += STRIDE) {
        write_bytes(FOLDER MODEL, whole.bytes, i);
        refused(g, before, "cut", "safetensors");
    }
    free(whole.bytes);
    free(a.data);
}

/* Each bit of the first eight bytes and of the header turned over: refused, or (inside a comment of
 * the metadata, say) without effect. Never half a load. */
static void test_flips(grpo *g, const float *before) {
    blob whole = read_blob(FOLDER MODEL);
    size_t end = 8, i;
    int bit, bad = 0, passed = 0;
    float *loaded;
    end += (unsigned char)whole.bytes[0] + 256u * (unsigned char)whole.bytes[1];
    CHECK(!grpo_load(g, FOLDER), "%s", grpo_error(g));
    loaded = weights_of(g);
    upload(g, before);
    for (i = 0; i < end; i += STRIDE)
        for (bit = 0; bit < 8; bit++) {
            whole.bytes[i] = (char)(whole.bytes[i] ^ 1 << bit);
            write_bytes(FOLDER MODEL, whole.bytes, whole.size);
            whole.bytes[i] = (char)(whole.bytes[i] ^ 1 << bit);
            g->config.error[0] = 0;
            if (grpo_load(g, FOLDER)) bad += !has_weights(g, before) || strlen(grpo_error(g)) < 20;
            else {
                bad += !has_weights(g, loaded);
                upload(g, before);
                passed++;
            }
        }
    CHECK(bad == 0, "%d of the flips do harm", bad);
    CHECK(passed < 1000, "%d flips pass unnoticed", passed);
    write_bytes(FOLDER MODEL, whole.bytes, whole.size);
    free(loaded);
    free(whole.bytes);
}

static void test_nonfinite(grpo *g, const float *before, float *w) {
    static const uint32_t odd[] = { 0x7f800000u, 0xff800000u, 0x7fc00000u, 0xffc00001u,
        0x7f800001u };
    static const char *const types[] = { "F32", "BF16", "F16" };
    int t, d, i;
    for (t = 0; t < g->machinery->num_tensors; t++) {
        grpo__tensor x = g->machinery->tensors[t];
        size_t at = x.offset + (size_t)(x.rows - 1);
        float keep = w[at];
        for (d = 0; d < 3; d++)
            for (i = 0; i < (d == 1 ? 4 : 5); i++) {
                archive a;
                w[at] = from_bits(odd[i] | (d == 1 ? 0x10000u * (unsigned)(i == 3) : 0));
                a = good_archive(g, w, types[d]);
                if (d == 2) {       /* F16 bytes are made from indices: set one by hand          */
                    size_t place = 2 * (at - x.offset) + strtoul(a.e[t].begin, NULL, 10);
                    a.data[place] = (char)(i & 1);
                    a.data[place + 1] = (char)(i & 2 ? 0xfc : 0x7c);
                }
                write_archive(&a);
                refused(g, before, types[d], x.name);
                free(a.data);
            }
        w[at] = keep;
    }
}

static void test_damage(void) {
    grpo_config c = tiny();
    grpo *g, *other;
    float *before, *w;
    g = make(&c);
    c.seed = 5;
    other = make(&c);
    before = weights_of(g);
    w = weights_of(other);
    CHECK(!grpo_save(other, FOLDER, 0), "%s", grpo_error(other));
    test_flips(g, before);
    test_fields(g, before, w);
    test_entries(g, before, w);
    test_json(g, before, w);
    test_sizes(g, before, w);
    test_nonfinite(g, before, w);
    remove(FOLDER MODEL);
    refused(g, before, "no file", "safetensors");
    grpo_free(other);
    c.model.hidden_size = 6;        /* another shape, named                                      */
    c.model.head_dim = 2;
    other = make(&c);
    CHECK(!grpo_save(other, FOLDER, 0), "%s", grpo_error(other));
    refused(g, before, "another width", "safetensors");
    grpo_free(other);
    free(before);
    free(w);
    grpo_free(g);
    remove_folder(FOLDER);
    CHECK(living == 0, "%d blocks leak", living);
}

/* A tied model's LM head and rotary frequencies are passed over; an untied one needs its head. */
static void test_optional(int tied) {
    grpo_config c = tiny();
    grpo *g;
    float *w, *before;
    archive a;
    entry *e;
    c.model.tie_word_embeddings = tied;
    g = make(&c);
    w = weights_of(g);
    before = weights_of(g);
    CHECK(!grpo_save(g, FOLDER, 0), "%s", grpo_error(g));
    w[0] += 1;
    a = good_archive(g, w, "F32");
    e = &a.e[a.n++];
    *e = *find(&a, "embed_tokens");
    snprintf(e->name, sizeof e->name, tied ? "lm_head.weight" : "lm_head.weights");
    snprintf(e->begin, sizeof e->begin, "%lu", (unsigned long)a.size);
    snprintf(e->end, sizeof e->end, "%lu", (unsigned long)a.size + 13 * 4 * 4);
    a.data = (char *)realloc(a.data, a.size + 13 * 4 * 4 + 8);
    memset(a.data + a.size, 0, 13 * 4 * 4 + 8);
    memcpy(a.data + a.size, a.data + atol(find(&a, "embed_tokens")->begin), 13 * 4 * 4);
    a.size += 13 * 4 * 4;
    e = &a.e[a.n++];
    snprintf(e->name, sizeof e->name, "model.layers.0.self_attn.rotary_emb.inv_freq");
    snprintf(e->dtype, sizeof e->dtype, "\"F32\"");
    snprintf(e->shape, sizeof e->shape, "[1]");
    snprintf(e->begin, sizeof e->begin, "%lu", (unsigned long)a.size);
    snprintf(e->end, sizeof e->end, "%lu", (unsigned long)a.size + 4);
    a.size += 4;
    write_archive(&a);
    if (tied) {
        char *head = a.data + a.size - 4 - 13 * 4 * 4 + 3;
        accepted(g, w, "LM head of a tied model");
        upload(g, before);
        *head = (char)(*head ^ 0x80);                         /* the sign of its first number    */
        write_archive(&a);
        refused(g, before, "another LM head in a tied model", "lm_head.weight differs");
        *head = (char)(*head ^ 0x80);
        a.e[a.n - 2].skip = 1;
        a.e[a.n - 1].skip = 1;
        a.size -= 13 * 4 * 4 + 4;
        write_archive(&a);
        accepted(g, w, "no LM head in a tied model");
    }
    else refused(g, before, "an unknown tensor", "lm_head.weights");
    if (!tied) {
        a.e[a.n - 2].skip = a.e[a.n - 1].skip = 1;
        a.size -= 13 * 4 * 4 + 4;
        write_archive(&a);
        accepted(g, w, "untied");
        upload(g, before);
        find(&a, "lm_head")->skip = 1;
        write_archive(&a);
        refused(g, before, "no LM head", "lm_head.weight");
    }
    free(a.data);
    free(w);
    free(before);
    grpo_free(g);
    remove_folder(FOLDER);
}

/* All 65536 F16 and BF16 patterns against their definition. */
static void test_half(void) {
    grpo_config c = tiny();
    grpo *g;
    float *w, *expected;
    archive a;
    size_t i;
    c.model.hidden_size = 64;
    c.model.intermediate_size = 360;
    g = make(&c);
    w = weights_of(g);
    expected = weights_of(g);
    CHECK(g->num_parameters > 65536, "only %d weights", (int)g->num_parameters);
    CHECK(!grpo_save(g, FOLDER, 0), "%s", grpo_error(g));
    for (i = 0; i < g->num_parameters; i++) {
        uint32_t bits = (uint32_t)i & 0xffffu;
        w[i] = (bits & 0x7f80u) == 0x7f80u ? 0 : from_bits(bits << 16);
    }
    a = good_archive(g, w, "BF16");
    write_archive(&a);
    accepted(g, w, "every BF16");
    free(a.data);
    a = good_archive(g, w, "F16");  /* each number's pattern is its place in the weights         */
    for (i = 0; i < g->num_parameters; i++) {
        int exponent = (int)(i >> 10 & 31), fraction = (int)(i & 1023);
        double x = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        expected[i] = exponent == 31 ? 0 : (float)(i & 0x8000u ? -x : x);
    }
    for (i = 0; i + 1 < a.size; i += 2)
        if ((a.data[i + 1] & 0x7c) == 0x7c) a.data[i] = a.data[i + 1] = 0;
    write_archive(&a);
    accepted(g, expected, "every F16");
    free(a.data);
    free(w);
    free(expected);
    grpo_free(g);
    remove_folder(FOLDER);
}

/* ---- a model in several files */
#define INDEX "/model.safetensors.index.json"
#define SHARDS 3

static void shard_path(char *path, int shard) {
    snprintf(path, 64, FOLDER "/part %d.safetensors", shard);
}

/* Tensor t goes into file t % SHARDS; one may claim to lie elsewhere. */
static void write_shards(const archive *whole, int which, const char *elsewhere, const char *before,
                         const char *after) {
    static char header[1 << 16], index[1 << 16];
    size_t n = (size_t)snprintf(index, sizeof index, "{\"metadata\":{\"total_size\":1},%s", before);
    char path[64];
    int shard, t;
    for (shard = 0; shard < SHARDS; shard++) {
        archive a = *whole;
        size_t at = 0;
        a.data = (char *)malloc(whole->size);
        for (t = 0; t < a.n; t++) {
            size_t begin = strtoul(a.e[t].begin, NULL, 10), end = strtoul(a.e[t].end, NULL, 10);
            if (t % SHARDS != shard) { a.e[t].skip = 1; continue; }
            memcpy(a.data + at, whole->data + begin, end - begin);
            snprintf(a.e[t].begin, 32, "%lu", (unsigned long)at);
            at += end - begin;
            snprintf(a.e[t].end, 32, "%lu", (unsigned long)at);
        }
        header_of(&a, header, sizeof header);
        shard_path(path, shard);
        write_raw(path, strlen(header), header, strlen(header), a.data, at);
        free(a.data);
    }
    for (t = 0; t < whole->n; t++) {
        snprintf(path, sizeof path, "part %d.safetensors", t % SHARDS);
        n += (size_t)snprintf(index + n, sizeof index - n, "%s\"%s\":\"%s\"", t ? ",\n" : "",
                              whole->e[t].name, t == which && elsewhere ? elsewhere : path);
    }
    snprintf(index + n, sizeof index - n, "%s", after);
    write_bytes(FOLDER INDEX, index, strlen(index));
}

#define MAP "\"weight_map\":{"
static void test_shards(void) {
    static const struct { const char *elsewhere, *before, *after, *word; int which; } cases[] = {
        { "../part 0.safetensors", MAP, "}}", "slashes", 0 }, { "..", MAP, "}}", "slashes", 0 },
        { "/etc/passwd", MAP, "}}", "slashes", 0 }, { "a\\\\b", MAP, "}}", "slashes", 0 },
        { "c:x", MAP, "}}", "slashes", 0 }, { "", MAP, "}}", "slashes", 0 },
        { "a\\u002fb", MAP, "}}", "slashes", 0 }, { "nul\\u0000", MAP, "}}", "slashes", 0 },
        { "part 1.safetensors", MAP, "}}", "embed_tokens.weight is not in this file", 0 },
        { "part 2.safetensors", MAP, "}}", "o_proj.weight is in another file", 4 },
        { "no such.safetensors", MAP, "}}", "no such.safetensors", 0 },
        { "config.json", MAP, "}}", "config.json", 0 },
        { NULL, MAP "\"x.weight\":\"part 0.safetensors\",", "}}", "x.weight is not part", 0 },
        { NULL, MAP "\"model.norm.weight\":\"part 0.safetensors\",", "}}", "twice", 0 },
        { NULL, MAP "\"model.norm.weight\":3,", "}}", "model.norm.weight", 0 },
        { NULL, "\"weight\":{", "}}", "weight_map", 0 }, { NULL, MAP, "}", "index", 0 },
        { NULL, "\"weight_map\":[],\"x\":{", "}}", "weight_map", 0 }
    };
    grpo_config c = tiny();
    grpo *g, *other;
    float *before, *w;
    archive a;
    char path[64];
    size_t i;
    int n, code;
    g = make(&c);
    c.seed = 5;
    other = make(&c);
    before = weights_of(g);
    w = weights_of(other);
    CHECK(!grpo_save(other, FOLDER, 0), "%s", grpo_error(other));
    remove(FOLDER MODEL);
    a = good_archive(other, w, "F32");
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_shards(&a, cases[i].which, cases[i].elsewhere, cases[i].before, cases[i].after);
        refused(g, before, cases[i].elsewhere ? cases[i].elsewhere : cases[i].before,
                cases[i].word);
    }
    find(&a, "model.norm")->skip = 1;                         /* in the index, not in its file   */
    write_shards(&a, 0, NULL, MAP, "}}");
    refused(g, before, "not in its file", "model.norm.weight");
    find(&a, "model.norm")->skip = 0;
    a.n--;                                                    /* in no file                      */
    write_shards(&a, 0, NULL, MAP, "}}");
    refused(g, before, "not in the index", "model.norm.weight is missing");
    a.n++;
    write_shards(&a, 0, NULL, MAP, "}}");
    accepted(g, w, "three files");
    download(g, g->machinery->reference, before);
    CHECK(!memcmp(before, w, g->num_parameters * sizeof(float)), "the reference is not the policy");
    for (n = 0, code = -1; code && n < 2000; n++) {           /* every file call fails           */
        file_calls = 0;
        file_fail_at = n;
        file_failed = "nothing";
        code = grpo_load(other, FOLDER);
        file_fail_at = -1;
        if (!strcmp(file_failed, "fclose")) code = -1;        /* of a file that was read: no harm */
        else CHECK(!strcmp(file_failed, "nothing") == !code, "%s (call %d)", file_failed, n);
        CHECK(has_weights(other, w) && files_open == 0, "%s (call %d)", file_failed, n);
    }
    CHECK(!code && n > 20, "only %d calls?", n);
    shard_path(path, 1);
    remove(path);
    refused(g, w, "a file is missing", "part 1.safetensors");
    CHECK(!grpo_save(g, FOLDER, 0) && !grpo_load(other, FOLDER), "model.safetensors first: %s",
          grpo_error(other));
    for (n = 0; n < SHARDS; n++) { shard_path(path, n); remove(path); }
    remove(FOLDER INDEX);
    remove(FOLDER MODEL);
    refused(g, w, "no file at all", "model.safetensors: cannot be opened");
    free(a.data);
    free(before);
    free(w);
    grpo_free(g);
    grpo_free(other);
    remove_folder(FOLDER);
    CHECK(living == 0, "%d blocks leak", living);
}

/* ---- config.json */
#define SIZES "\"vocab_size\":7,\"hidden_size\":8,\"intermediate_size\":9," \
              "\"num_hidden_layers\":2,\"num_attention_heads\":4"
#define LLAMA "{\"model_type\":\"llama\"," SIZES

static int config_code(const char *text, grpo_config *c) {
    *c = grpo_defaults();
    c->model.vocab_size = 4321;
    write_bytes(OTHER CONFIG, text, strlen(text));
    return grpo_load_config(c, OTHER);
}

static void test_config(void) {
    static const struct { const char *text, *word; } bad[] = {
        { "", "config.json" }, { "{", "config.json: line 1, column 2: the JSON is damaged" },
        { "[]", "config.json: line 1, column 1" },
        { "{\n \"a\": [1,\n 2, {\"b\": tru}]\n}", "line 3, column 11:" },
        { "{\n\n\"a\" 5}", "line 3, column 5:" }, { "{\n}\n{}", "line 3, column 1:" },
        { "{\"a\": 5,}", "line 1, column 9:" }, { "{\"a\": \"b\n\"}", "line 1, column 7:" },
        { "{}", "config.json" },
        { "{" SIZES "}", "config.json" }, { LLAMA, "config.json: line 1, column" },
        { LLAMA "}}", "config.json: line 1, column" },
        { "{\"model_type\":\"gemma\"," SIZES "}", "gemma" },
        { "{\"architectures\":[\"Phi3ForCausalLM\"],\"model_type\":\"llama\"," SIZES "}",
          "Phi3ForCausalLM" },
        { "{\"model_type\":\"mistral\"," SIZES "}", "sliding_window" },
        { "{\"model_type\":\"mistral\"," SIZES ",\"sliding_window\":4096}", "sliding_window" },
        { "{\"model_type\":\"mistral\"," SIZES ",\"sliding_window\":null,"
          "\"attention_bias\":true}", "attention_bias" },
        { "{\"model_type\":\"qwen3\"," SIZES ",\"layer_types\":[\"full_attention\","
          "\"sliding_attention\"]}", "layer_types" },
        { "{\"model_type\":\"qwen3\"," SIZES ",\"layer_types\":\"sliding_attention\"}",
          "layer_types" },
        { "{\"model_type\":3," SIZES "}", "config.json" },
        { "{\"architectures\":[\"LlamaForTokenClassification\"],\"model_type\":\"llama\","
          SIZES "}", "architectures" },
        { LLAMA ",\"rope_scaling\":{\"type\":\"linear\"}}", "factor" },
        { LLAMA ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":-2}}", "factor" },
        { LLAMA ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2,\"beta_fast\":2}}",
          "beta_fast" },
        { LLAMA ",\"rope_scaling\":{\"factor\":2}}", "factor" },
        { LLAMA ",\"rope_scaling\":[\"linear\",2]}", "rope_scaling" },
        { LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}}", "low_freq_factor" },
        { LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,"
          "\"high_freq_factor\":4}}", "original_max_position_embeddings" },
        { LLAMA ",\"rope_parameters\":{\"rope_type\":\"yarn\",\"rope_theta\":5}}", "rope" },
        { LLAMA ",\"rope_parameters\":{\"rope_type\":\"dynamic\",\"factor\":5}}", "rope" },
        { LLAMA ",\"rope_parameters\":{\"partial_rotary_factor\":0.5}}", "partial_rotary_factor" },
        { LLAMA ",\"partial_rotary_factor\":0.5}", "partial_rotary_factor" },
        { LLAMA ",\"rope_theta\":5,\"rope_parameters\":{\"rope_theta\":6}}", "two values" },
        { LLAMA ",\"rope_theta\":5,\"rope_scaling\":{\"rope_theta\":6}}", "two values" },
        { LLAMA ",\"rope_parameters\":{\"rope_type\":\"linear\",\"type\":\"default\","
          "\"factor\":2}}", "two types" },
        { LLAMA ",\"rope_parameters\":{\"rope_theta\":5,\"rope_theta\":5}}",
          "rope_theta is there twice" },
        { LLAMA ",\"rope_parameters\":{\"rope_theta\":500000},\"rope_scaling\":"
          "{\"type\":\"linear\",\"factor\":2}}", "contradict" },
        { LLAMA ",\"rope_parameters\":{\"rope_theta\":500000},\"rope_scaling\":"
          "{\"rope_type\":\"default\"}}", "contradict" },
        { LLAMA ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2},\"rope_parameters\":"
          "{\"type\":\"linear\",\"factor\":4}}", "contradict" },
        { LLAMA ",\"logits_scaling\":8.0}", "logits_scaling is not supported" },
        { LLAMA ",\"original_max_position_embeddings\":64}", "original_max_position_embeddings" },
        { LLAMA ",\"auto_map\":{\"AutoConfig\":\"x\"}}", "auto_map" },
        { LLAMA ",\"qk_layernorm\":true}", "qk_layernorm" },
        { LLAMA ",\"no_rope_layers\":[1,0]}", "no_rope_layers" },
        { LLAMA ",\"hidden_activation\":\"gelu\"}", "hidden_activation" },
        { LLAMA ",\"use_cache\":true,\"use_cache\":true}", "use_cache is there twice" },
        { LLAMA ",\"hidden_size\":8}", "hidden_size is there twice" },
        { LLAMA ",\"hidden_act\":\"gelu\"}", "hidden_act" },
        { LLAMA ",\"is_causal\":false}", "is_causal" },
        { LLAMA ",\"mlp_bias\":true}", "mlp_bias" },
        { LLAMA ",\"attention_bias\":true}", "attention_bias" },
        { "{\"model_type\":\"qwen2\"," SIZES ",\"use_sliding_window\":true}",
            "use_sliding_window" },
        { LLAMA ",\"quantization_config\":{\"bits\":4}}", "quantization_config" },
        { LLAMA ",\"head_dim\":0}", "head_dim" }, { LLAMA ",\"head_dim\":-4}", "head_dim" },
        { LLAMA ",\"head_dim\":2.5}", "head_dim" }, { LLAMA ",\"head_dim\":\"2\"}", "head_dim" },
        { LLAMA ",\"head_dim\":99999999999999999999}", "head_dim" },
        { LLAMA ",\"rope_theta\":\"x\"}", "rope_theta" },
        { LLAMA ",\"rope_theta\":1e400}", "rope_theta" },
        { LLAMA ",\"rms_norm_eps\":-1}", "rms_norm_eps" },
        { LLAMA ",\"tie_word_embeddings\":1}", "tie_word_embeddings" },
        { LLAMA ",\"vocab_size\":8}", "vocab_size" },
        { "{\"model_type\":\"llama\",\"hidden_size\":8}", "vocab_size" }
    };
    grpo_config c;
    grpo_model_config m;
    size_t i;
    grpo *g;
    c = tiny();
    g = make(&c);
    CHECK(!grpo_save(g, OTHER, 0), "%s", grpo_error(g));
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        int code = config_code(bad[i].text, &c);
        CHECK(code == GRPO_BAD_FILE && strstr(c.error, bad[i].word) && c.model.vocab_size == 4321,
              "%s: code %d, \"%s\"", bad[i].text, code, c.error);
    }
    CHECK(!config_code(LLAMA "}", &c), "%s", c.error);
    m = c.model;
    CHECK(m.vocab_size == 7 && m.hidden_size == 8 && m.intermediate_size == 9
          && m.num_hidden_layers == 2
          && m.num_attention_heads == 4 && m.max_position_embeddings == 2048
          && m.rope_theta == 10000.0f && m.rms_norm_eps == (float)1e-6f && !m.tie_word_embeddings
          && !m.attention_bias && !m.qk_norm && m.initializer_range == (float)0.02f,
          "Llama's defaults");
    CHECK((m.num_key_value_heads == 4 || !m.num_key_value_heads)
          && (m.head_dim == 2 || !m.head_dim), "heads");
    CHECK(!config_code("{\"architectures\":[\"Qwen3ForCausalLM\"],\"model_type\":\"qwen3\","
                       SIZES "}", &c), "%s", c.error);
    CHECK(c.model.qk_norm && !c.model.attention_bias && c.model.head_dim == 128
          && c.model.num_key_value_heads == 32 && c.model.max_position_embeddings == 32768,
          "Qwen3's defaults");
    CHECK(!config_code("{\"model_type\":\"qwen2\"," SIZES ",\"num_key_value_heads\":2,"
                       "\"head_dim\":null,\"sliding_window\":4096,\"use_sliding_window\":false,"
                       "\"eos_token_id\":[1,2]}", &c), "%s", c.error);
    CHECK(c.model.attention_bias && !c.model.qk_norm && c.model.num_key_value_heads == 2,
          "Qwen2's defaults");
    CHECK(!config_code(LLAMA ",\"dtype\":\"bfloat16\",\"rope_parameters\":{\"rope_theta\":500000.0,"
                       "\"rope_type\":\"default\"},\"_x\":{\"y\":[1,-2.5e-3,{}]}, "
                       "\"rope_scaling\" : null }\n", &c), "%s", c.error);
    CHECK(c.model.rope_theta == 500000.0f, "theta %g", (double)c.model.rope_theta);
    CHECK(!config_code(LLAMA ",\"rope_theta\":500000,\"rope_parameters\":{\"rope_type\":\"linear\","
                       "\"type\":\"linear\",\"factor\":4,\"rope_theta\":500000},\"rope_scaling\":"
                       "{\"type\":\"linear\",\"factor\":4.0}}", &c)
          && c.model.rope_theta == 500000.0f && c.model.rope_scaling.factor == 4, "the same: %s",
          c.error);
    CHECK(!config_code(LLAMA ",\"rope_scaling\":{},\"rope_parameters\":{\"rope_theta\":7}}", &c)
          && c.model.rope_theta == 7, "an empty rope_scaling: %s", c.error);
    CHECK(!config_code(LLAMA ",\"_name_or_path\":\"a/b\",\"transformers_version\":\"4.40.0\","
                       "\"attention_dropout\":0.1,\"pretraining_tp\":1,\"use_cache\":true,"
                       "\"is_llama_config\":true,\"rope_interleaved\":false,\"pad_token_id\":2,"
                       "\"transformers.js_config\":{\"dtype\":{\"q4\":1}},\"dtype\":\"float16\","
                       "\"unsloth_version\":\"2024.9\",\"max_window_layers\":28,\"auto_map\":{ },"
                       "\"pruned_heads\":{},\"task_specific_params\":null,\"layers\":[]}", &c),
          "harmless: %s", c.error);
    CHECK(!config_code("{\"model_type\":\"mistral\",\"architectures\":\"MistralForCausalLM\"," SIZES
                       ",\"sliding_window\":null,\"layer_types\":null}", &c)
          && c.model.num_key_value_heads == 8 && !c.model.qk_norm && !c.model.attention_bias
          && c.model.max_position_embeddings == 131072, "Mistral's defaults: %s", c.error);
    CHECK(!config_code("{\"model_type\":\"mistral\"," SIZES ",\"sliding_window\":64,"
                       "\"max_position_embeddings\":64}", &c), "as wide as all: %s", c.error);
    CHECK(!config_code(LLAMA ",\"partial_rotary_factor\":1.0,\"rope_scaling\":{\"type\":\"linear\","
                       "\"factor\":2,\"low_freq_factor\":null},\"layer_types\":[]}", &c)
          && c.model.rope_scaling.rope_type == GRPO_ROPE_LINEAR && c.model.rope_scaling.factor == 2
          && c.model.rope_theta == 10000.0f, "linear: %s", c.error);
    CHECK(!config_code("{\"model_type\":\"qwen3\"," SIZES ",\"attention_bias\":true}", &c)
          && c.model.attention_bias && c.model.qk_norm, "Qwen3 with bias: %s", c.error);
    /* a config.json that says what the weights cannot */
    CHECK(!config_code("{\"model_type\":\"llama\",\"vocab_size\":13,\"hidden_size\":4,"
                       "\"intermediate_size\":6,\"num_hidden_layers\":1,"
                       "\"num_attention_heads\":2,\"num_key_value_heads\":1,"
                       "\"tie_word_embeddings\":true,\"rope_theta\":77}", &c), "%s", c.error);
    CHECK(grpo_load(g, OTHER) == GRPO_BAD_FILE && strstr(grpo_error(g), "rope_theta 77"), "%s",
          grpo_error(g));
    CHECK(!config_code("{\"model_type\":\"llama\",\"vocab_size\":13,\"hidden_size\":4,"
                       "\"intermediate_size\":6,\"num_hidden_layers\":1,"
                       "\"num_attention_heads\":2,\"num_key_value_heads\":1,"
                       "\"tie_word_embeddings\":true,"
                       "\"rope_scaling\":{\"type\":\"linear\",\"factor\":3}}", &c), "%s", c.error);
    CHECK(grpo_load(g, OTHER) == GRPO_BAD_FILE && strstr(grpo_error(g), "linear"), "%s",
          grpo_error(g));
    remove(OTHER CONFIG);
    CHECK(grpo_load_config(&c, OTHER) == GRPO_IO && strstr(c.error, "config.json"), "%s", c.error);
    grpo_free(g);
    remove_folder(OTHER);
}

static int encode_digits(void *tokenizer, const char *text, int *tokens, int capacity) {
    int n;
    (void)tokenizer;
    for (n = 0; text[n]; n++)
        if (n < capacity) tokens[n] = text[n] - '0';
    return n;
}
static int decode_digits(void *tokenizer, const int *tokens, int n, char *text, int capacity) {
    int i;
    (void)tokenizer;
    for (i = 0; i < n && i < capacity; i++) text[i] = (char)('0' + tokens[i]);
    return n;
}

/* ---- the vocabulary of a model of characters */
static int vocabulary_code(const char *saved, const char *ours, int resume) {
    grpo_config c = tiny();
    int code;
    grpo *g;
    c.vocabulary = saved;
    g = make(&c);
    CHECK(!grpo_save(g, FOLDER, GRPO_SAVE_STATE), "%s", grpo_error(g));
    grpo_free(g);
    c = tiny();
    c.vocabulary = ours;
    g = make(&c);
    code = resume ? grpo_resume(g, FOLDER) : grpo_load(g, FOLDER);
    CHECK(!code || strstr(grpo_error(g), "vocabulary"), "%s", grpo_error(g));
    grpo_free(g);
    if (!code) code = grpo_load_config(&c, FOLDER);
    CHECK(c.vocabulary == ours, "the vocabulary is the caller's");
    return code;
}

static void test_vocabulary(void) {
    static const char escaped[] = "ab \n\"\\\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
    char *many = (char *)malloc(3 * 512 + 1), *json;
    grpo_config c = tiny();
    blob text;
    int i;
    for (i = 0; i < 2; i++) {
        CHECK(!vocabulary_code("0123456789+=", "0123456789+=", i), "the same, %d", i);
        CHECK(vocabulary_code("0123456789+=", "0123456789=+", i) == GRPO_BAD_FILE, "turned, %d", i);
        CHECK(vocabulary_code("0123456789+=", "0123456789+-", i) == GRPO_BAD_FILE, "other, %d", i);
        CHECK(!vocabulary_code(escaped, escaped, i), "escapes, %d", i);
    }
    text = read_blob(FOLDER CONFIG);
    CHECK(strstr(text.bytes, ",\n  \"vocabulary\": \"ab \\u000a\\\"\\\\\xC3\xA9\xE2\x82\xAC\xF0\x9F"
                 "\x98\x80\",\n") != NULL, "%s", text.bytes);
    json = strstr(text.bytes, "\"ab ");
    if (json) {                     /* as Python writes it                                       */
        static const char ascii[] = "\"ab \\n\\\"\\\\\\u00e9\\u20AC\\ud83d\\ude00\",";
        char other[4096];
        snprintf(other, sizeof other, "%.*s%s%s", (int)(json - text.bytes), text.bytes, ascii,
                 strchr(json, ',') + 1);
        write_bytes(FOLDER CONFIG, other, strlen(other));
        c.vocabulary = escaped;
        CHECK(!grpo_load_config(&c, FOLDER), "%s", c.error);
        c.vocabulary = "ab";
        CHECK(grpo_load_config(&c, FOLDER) == GRPO_BAD_FILE, "a shorter one");
    }
    free(text.bytes);
    for (i = 0; many && i < 512; i++) {                       /* U+4E00 and on                   */
        many[3 * i] = '\xE4';
        many[3 * i + 1] = (char)(0xB8 + i / 64);
        many[3 * i + 2] = (char)(0x80 + i % 64);
    }
    if (many) many[3 * 512] = 0;
    CHECK(many && !vocabulary_code(many, many, 0) && !vocabulary_code(many, many, 1), "512 signs");
    free(many);
    remove_folder(FOLDER);
}

#if defined(__unix__) || defined(__APPLE__)
/* A pipe where a file should be would be waited for: every file, for reading and for writing. */
static void test_pipes(void) {
    static const char *const names[] = { CONFIG, MODEL, STATE, "/adapter_config.json",
        "/generation_config.json", CONFIG ".tmp", MODEL ".tmp", STATE ".tmp" };
    grpo_config c = tiny();
    grpo *g = make(&c);
    char path[128];
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        int code;
        CHECK(!grpo_save(g, FOLDER, GRPO_SAVE_STATE), "%s", grpo_error(g));
        snprintf(path, sizeof path, "%s%s", FOLDER, names[i]);
        remove(path);
        CHECK(!mkfifo(path, 0600), "%s", path);
        c.encode = encode_digits;
        code = i == 1 ? grpo_load(g, FOLDER) : i == 2 ? grpo_resume(g, FOLDER)
             : i > 4 ? grpo_save(g, FOLDER, GRPO_SAVE_STATE) : grpo_load_config(&c, FOLDER);
        CHECK(code == GRPO_BAD_FILE && strstr(i == 1 || i == 2 || i > 4 ? grpo_error(g) : c.error,
                                              "is no regular file"), "%s: %s", path, c.error);
        remove(path);
    }
    grpo_free(g);
    remove_folder(FOLDER);
}
#endif

/* ---- what ends a completion */
#define GENERATION "/generation_config.json"

/* config.json and generation_config.json with these fields (NULL: no such file). */
static int eos_code(const char *field, const char *generation, grpo_config *c) {
    char text[512];
    *c = grpo_defaults();
    c->encode = encode_digits;
    c->decode = decode_digits;
    remove(OTHER GENERATION);
    snprintf(text, sizeof text, LLAMA "%s}", field);
    write_bytes(OTHER CONFIG, text, strlen(text));
    if (generation) write_bytes(OTHER GENERATION, generation, strlen(generation));
    return grpo_load_config(c, OTHER);
}

static void test_eos_files(void) {
    static const struct { const char *field, *generation; int code, num, first, last; } cases[] = {
        { ",\"eos_token_id\":3", NULL, 0, 1, 3, 3 }, { "", NULL, 0, 0, -1, 0 },
        { ",\"eos_token_id\":[4,5,2]", NULL, 0, 3, 4, 2 },
        { ",\"eos_token_id\":null", NULL, 0, 0, -1, 0 },
        { ",\"eos_token_id\":[]", "{}", 0, 0, -1, 0 },
        { ",\"eos_token_id\":[4,5]", "{\"eos_token_id\":6}", 0, 1, 6, 6 },
        { ",\"eos_token_id\":4", "{\"eos_token_id\":[6,1]}", 0, 2, 6, 1 },
        { ",\"eos_token_id\":4", "{\"eos_token_id\":null,\"x\":1}", 0, 1, 4, 4 },
        { ",\"eos_token_id\":[1,2,3,4,5,6,0,1]", NULL, 0, 8, 1, 1 },
        { ",\"eos_token_id\":[1,2,3,4,5,6,0,1,2]", NULL, GRPO_BAD_FILE, 0, -1, 0 },
        { ",\"eos_token_id\":-1", NULL, GRPO_BAD_FILE, 0, -1, 0 },
        { ",\"eos_token_id\":[1,\"2\"]", NULL, GRPO_BAD_FILE, 0, -1, 0 },
        { ",\"eos_token_id\":[[1]]", NULL, GRPO_BAD_FILE, 0, -1, 0 },
        { ",\"eos_token_id\":1.5", NULL, GRPO_BAD_FILE, 0, -1, 0 },
        { ",\"eos_token_id\":4", "{\"eos_token_id\":true}", GRPO_BAD_FILE, 0, -1, 0 },
        { ",\"eos_token_id\":4", "{\"eos_token_id\":6", GRPO_BAD_FILE, 0, -1, 0 } };
    grpo_config c;
    size_t i;
    grpo__make_folder(OTHER);
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        int code = eos_code(cases[i].field, cases[i].generation, &c), n = cases[i].num;
        CHECK(code == cases[i].code && c.num_eos == n && c.eos_token_id == cases[i].first
              && (!n || (c.eos_token_ids[0] == cases[i].first
                         && c.eos_token_ids[n - 1] == cases[i].last)),
              "case %d: code %d (%s), %d, %d", (int)i, code, c.error, c.num_eos, c.eos_token_id);
        CHECK(!code || strstr(c.error, cases[i].generation ? "generation_config" : "eos_token_id"),
              "case %d: %s", (int)i, c.error);
    }
    c = grpo_defaults();                                      /* a vocabulary of ours: not asked */
    CHECK(!eos_code(",\"eos_token_id\":4", "{\"eos_token_id\":[6,1]}", &c), "%s", c.error);
    c = grpo_defaults();
    CHECK(!grpo_load_config(&c, OTHER) && c.num_eos == 0 && c.eos_token_id == -1, "%d", c.num_eos);
    remove(OTHER GENERATION);
    remove_folder(OTHER);
}

/* Any of them ends what is sampled; answers end with eos_token_id; all come back from a file. */
static void test_eos(void) {
    grpo_config c = tiny(), read = grpo_defaults();
    grpo_prompt p[2];
    grpo *g;
    int i, ended = 0, seen[13] = { 0 };
    blob text;
    c.eos_token_id = 12;
    for (i = 0; i < 8; i++) c.eos_token_ids[i] = i;
    c.num_eos = 9;
    CHECK(!grpo_new(&c) && strstr(c.error, "num_eos"), "%s", c.error);
    c.num_eos = 8;
    c.eos_token_ids[3] = 13;
    CHECK(!grpo_new(&c) && strstr(c.error, "eos_token_ids[3]"), "%s", c.error);
    c.eos_token_ids[3] = 12;
    g = make(&c);
    p[0] = grpo_question("1+", "12");
    p[1] = grpo_question("2+", "2");
    for (g->state.step = 0; g->state.step < 20; g->state.step++) {
        const grpo_batch *b = &g->batch;
        CHECK(!grpo_rollout(g, p, 2), "%s", grpo_error(g));
        for (i = 0; i < b->num_sequences; i++) {
            int t, n = b->offsets[i + 1] - b->offsets[i], last = b->tokens[b->offsets[i + 1] - 1];
            int ends = last == 12 || (last < 8 && last != 3);
            CHECK(b->truncated[i] == !ends && (ends || n == c.max_completion_length)
                  && (int)strlen(b->samples[i].completion) == n - ends, "%d tokens, the last %d",
                  n, last);
            for (t = b->offsets[i]; t + 1 < b->offsets[i + 1]; t++)
                CHECK(b->tokens[t] == 3 || (b->tokens[t] > 7 && b->tokens[t] != 12),
                      "goes on after %d", b->tokens[t]);
            ended += ends;
            seen[last] += ends;
        }
    }
    CHECK(ended > 30 && seen[0] && seen[7] && seen[12], "%d ended", ended);
    CHECK(!grpo_sft(g, p, 2, 0, NULL) && g->batch.tokens[g->batch.offsets[1] - 1] == 12
          && !g->batch.truncated[0], "answers end with eos_token_id: %s", grpo_error(g));
    CHECK(!grpo_save(g, FOLDER, 0), "%s", grpo_error(g));
    text = read_blob(FOLDER CONFIG);
    CHECK(strstr(text.bytes, "\"eos_token_id\": [12, 0, 1, 2, 4, 5, 6, 7]\n") != NULL, "%s",
          text.bytes);
    free(text.bytes);
    read.encode = encode_digits;
    CHECK(!grpo_load_config(&read, FOLDER) && read.num_eos == 8 && read.eos_token_id == 12
          && read.eos_token_ids[7] == 7, "%s", read.error);
    grpo_free(g);
    remove_folder(FOLDER);
}

/* Numbers have points, whatever the locale. */
static void test_locale(void) {
    static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8",
        "ru_RU.UTF-8" };
    size_t i = 0;
    while (i < 5 && !setlocale(LC_ALL, names[i])) i++;
    if (i == 5 || *localeconv()->decimal_point == '.')
        printf("skipped: no locale with a decimal comma\n");
    else test_round_trip(0, 1, 1);
    setlocale(LC_ALL, "C");
}

/* ---- the trainer's state */
static float reward(const grpo_sample *s, void *user) {
    (void)user;
    return (float)(s->tokens[0] % 3);
}

static grpo *trained(grpo_config *c, int steps) {
    grpo_prompt p[2];
    grpo *g;
    p[0] = grpo_question("1+2=", "3");
    p[1] = grpo_question("2+2=", "4");
    c->num_rewards = 0;
    grpo_add_reward(c, "digit", reward, 1.0f, NULL);
    g = make(c);
    while (steps-- > 0) CHECK(!grpo_step(g, p, 2, NULL), "%s", grpo_error(g));
    return g;
}

/* Everything that counts, in one array of bytes: four arrays, counters, seed. */
static char *everything(grpo *g, size_t *size) {
    const float *arrays[4];
    size_t n = g->num_parameters * sizeof(float), k;
    char *x = (char *)calloc(1, *size = 4 * n + sizeof g->state + sizeof g->config.seed);
    arrays[0] = g->machinery->weights;
    arrays[1] = g->machinery->adam_m;
    arrays[2] = g->machinery->adam_v;
    arrays[3] = g->machinery->reference;
    for (k = 0; k < 4; k++)
        if (arrays[k]) download(g, arrays[k], (float *)(void *)(x + k * n));
    memcpy(x + 4 * n, &g->state, sizeof g->state);
    memcpy(x + 4 * n + sizeof g->state, &g->config.seed, sizeof g->config.seed);
    return x;
}

static int same_everything(grpo *g, const char *expected) {
    size_t size;
    char *x = everything(g, &size);
    int same = !memcmp(x, expected, size);
    free(x);
    return same;
}

static void test_state(void) {
    static const char *const counters[] = { "\"step\":\"", "\"optimizer_step\":\"",
        "\"adam_step\":\"",
                                            "\"num_tokens\":\"", "\"seed\":\"" };
    static const char wrong[] = "x-. \"";
    grpo_config c = tiny();
    grpo *a, *b, *plain;
    char *saved, *before;
    size_t size, i, k;
    blob file;
    c.seed = UINT64_MAX - 5;
    a = trained(&c, 3);
    c.seed = 8;
    b = trained(&c, 1);
    c.objective.beta = 0;
    plain = trained(&c, 0);
    a->state.step = INT32_MAX - 1;
    a->state.num_tokens = 9007199254740991.0;
    saved = everything(a, &size);
    before = everything(b, &size);
    CHECK(!grpo_save(a, FOLDER, GRPO_SAVE_STATE), "%s", grpo_error(a));
    file = read_blob(FOLDER STATE);
    for (i = 0; i < sizeof counters / sizeof *counters; i++)
        for (k = 0; k < sizeof wrong - 1; k++) {
            char *at = strstr(file.bytes + 8, counters[i]), keep;
            CHECK(at != NULL, "no %s", counters[i]);
            if (!at) continue;
            at += strlen(counters[i]);
            keep = *at;
            *at = wrong[k];
            write_bytes(FOLDER STATE, file.bytes, file.size);
            *at = keep;
            CHECK(grpo_resume(b, FOLDER) == GRPO_BAD_FILE && same_everything(b, before), "%s%c: %s",
                  counters[i], wrong[k], grpo_error(b));
        }
    for (i = 0; i < file.size; i += 61 * STRIDE) {
        write_bytes(FOLDER STATE, file.bytes, i);
        CHECK(grpo_resume(b, FOLDER) < 0 && same_everything(b, before), "cut at %d", (int)i);
    }
    remove(FOLDER STATE);
    CHECK(grpo_resume(b, FOLDER) == GRPO_IO && same_everything(b, before), "%s", grpo_error(b));
    write_bytes(FOLDER STATE, file.bytes, file.size);
    remove(FOLDER MODEL);
    remove(FOLDER CONFIG);          /* one file is all that it needs                             */
    CHECK(!grpo_resume(b, FOLDER) && same_everything(b, saved), "%s", grpo_error(b));
    CHECK(!grpo_resume(plain, FOLDER) && plain->state.step == a->state.step, "the reference is not "
          "needed: %s", grpo_error(plain));
    CHECK(!grpo_save(plain, FOLDER, GRPO_SAVE_STATE), "%s", grpo_error(plain));
    free(before);
    before = everything(b, &size);
    CHECK(grpo_resume(b, FOLDER) == GRPO_BAD_FILE && strstr(grpo_error(b), "reference.")
          && same_everything(b, before), "without a reference: %s", grpo_error(b));
    CHECK(!grpo_load(b, FOLDER) && b->state.step == a->state.step, "load leaves the counters: %s",
          grpo_error(b));
    free(saved);
    free(before);
    free(file.bytes);
    grpo_free(a);
    grpo_free(b);
    grpo_free(plain);
    remove_folder(FOLDER);
}

/* The same shapes, another model: its heads, or its rotary positions. */
static void test_other_model(void) {
    grpo_config c = tiny();
    grpo *a, *b;
    char *before;
    size_t size;
    int i;
    c.model.hidden_size = 8;
    c.model.num_key_value_heads = 2;
    a = trained(&c, 1);
    CHECK(!grpo_save(a, FOLDER, GRPO_SAVE_STATE), "%s", grpo_error(a));
    for (i = 0; i < 3; i++) {
        static const char *const words[] = { "4/4 heads", "rope_theta 9999.0",
                                             "2.0 0.0 0.0 0 linear" };
        grpo_config other = c;
        if (i == 0) { other.model.num_attention_heads = other.model.num_key_value_heads = 4;
                      other.model.head_dim = 2; }
        if (i == 1) other.model.rope_theta = 9999;
        if (i == 2) { other.model.rope_scaling.rope_type = GRPO_ROPE_LINEAR;
                      other.model.rope_scaling.factor = 2; }
        b = trained(&other, 2);
        before = everything(b, &size);
        CHECK(grpo_resume(b, FOLDER) == GRPO_BAD_FILE && strstr(grpo_error(b), words[i])
              && strstr(grpo_error(b), "2/2 heads") && strstr(grpo_error(b), "trainer_state")
              && same_everything(b, before), "%s", grpo_error(b));
        free(before);
        grpo_free(b);
    }
    CHECK(!grpo_resume(a, FOLDER), "%s", grpo_error(a));
    grpo_free(a);
    remove_folder(FOLDER);
}

/* ---- every file call, and every allocation, failing in turn */
static const char *const paths[3] = { MODEL, CONFIG, STATE };

static void read_all(const char *folder, blob *files) {
    char path[128];
    int i;
    for (i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", folder, paths[i]);
        files[i] = read_blob(path);
    }
}

static void free_all(blob *files) {
    int i;
    for (i = 0; i < 3; i++) free(files[i].bytes);
}

/* Each file is the old one or the new one; all are old but for those that have been renamed. */
static void check_files(const blob *was, const blob *fresh, const char *what, int n) {
    blob now[3];
    char path[128];
    static const int place[3] = { 1, 2, 0 };                  /* in the order of the renames     */
    int i, done = renames - !strcmp(what, "rename");
    read_all(FOLDER, now);
    for (i = 0; i < 3; i++) {
        FILE *left;
        CHECK(same_blob(now[i], place[i] < done ? fresh[i] : was[i]),
              "%s %d: %s is not the %s one", what, n, paths[i], place[i] < done ? "new" : "old");
        snprintf(path, sizeof path, "%s%s.tmp", FOLDER, paths[i]);
        left = fopen(path, "rb");
        CHECK(left == NULL, "%s %d: %s is left behind", what, n, path);
        if (left) fclose(left);
    }
    free_all(now);
}

static void test_failing_save(grpo *old, grpo *fresh) {
    blob was[3], now[3];
    int n, code = -1, syncs = 0;
    CHECK(!grpo_save(fresh, OTHER, GRPO_SAVE_STATE), "%s", grpo_error(fresh));
    read_all(OTHER, now);
    for (n = 0; code && n < 2000; n++) {
        int blocks = living;
        CHECK(!grpo_save(old, FOLDER, GRPO_SAVE_STATE), "%s", grpo_error(old));
        read_all(FOLDER, was);
        file_calls = 0;
        file_fail_at = n;
        file_failed = "nothing";
        renames = 0;
        fresh->config.error[0] = 0;
        code = grpo_save(fresh, FOLDER, GRPO_SAVE_STATE);
        file_fail_at = -1;
        syncs += !strcmp(file_failed, "fsync");
        if (!strcmp(file_failed, "mkdir") || (!code && !strcmp(file_failed, "fclose"))) {
                                    /* the folder is there already; it was forced to the disk    */
            free_all(was);
            code = -1;
            continue;
        }
        if (strcmp(file_failed, "nothing")) {
            CHECK(code == GRPO_IO && strlen(grpo_error(fresh)) > 20, "%s (call %d): %d \"%s\"",
                  file_failed, n,
                  code, grpo_error(fresh));
            check_files(was, now, file_failed, n);
        }
        CHECK(living == blocks && files_open == 0, "%s (call %d) leaks", file_failed, n);
        free_all(was);
    }
    CHECK(!code && n > 20, "only %d file calls?", n);
#if defined(__unix__) || defined(__APPLE__)
    CHECK(syncs == 4, "three files and the folder are forced to the disk, not %d", syncs);
#endif
    free_all(now);
    remove_folder(OTHER);
}

/* Nothing changes; or, where the second reading fails, all is as grpo_new() makes it. */
static void test_failing_load(grpo *g, grpo *fresh) {
    size_t size;
    char *before = everything(g, &size), *start = everything(fresh, &size);
    int n, which, restarts[3] = { 0, 0, 0 };
    for (which = 0; which < 3; which++)
        for (n = 0; n < 2000; n++) {
            grpo_config c = tiny();
            int blocks = living, code;
            file_calls = 0;
            file_fail_at = n;
            file_failed = "nothing";
            c.model.vocab_size = 99;
            g->config.error[0] = 0;
            code = which == 0 ? grpo_load_config(&c, FOLDER) : which == 1 ? grpo_load(g, FOLDER)
                                                                         : grpo_resume(g, FOLDER);
            file_fail_at = -1;
            if (!strcmp(file_failed, "nothing")) {
                CHECK(!code && n > 1, "load %d: %s", which, grpo_error(g));
                free(before);
                before = everything(g, &size);
                break;
            }
            if (!code) {            /* a file that was read could not be closed                  */
                free(before);
                before = everything(g, &size);
            }
            CHECK(code < 0 || !strcmp(file_failed, "fclose"),
                  "load %d, %s (call %d): goes unnoticed", which,
                  file_failed, n);
            CHECK(!code || strlen(which ? grpo_error(g) : c.error) > 20, "load %d: no sentence",
                  which);
            CHECK(!code || (c.model.vocab_size == 99
                            && (same_everything(g, before) || same_everything(g, start))),
                  "load %d: changed", which);
            if (code && same_everything(g, start) && !same_everything(g, before)) {
                restarts[which]++;
                free(before);
                before = everything(g, &size);
            }
            CHECK(living == blocks && files_open == 0, "load %d, %s (call %d) leaks", which,
                  file_failed, n);
        }
    CHECK(!restarts[0] && restarts[1] == 1 && restarts[2] == 1, "%d, %d", restarts[1], restarts[2]);
    free(before);
    free(start);
}

static void test_failing_memory(grpo *g) {
    size_t size;
    char *before = everything(g, &size);
    int n, which;
    for (which = 0; which < 3; which++)
        for (n = 0; n < 100; n++) {
            int blocks = living, code;
            allocations = 0;
            fail_allocation = n;
            code = which == 0 ? grpo_save(g, FOLDER, GRPO_SAVE_STATE)
                 : which == 1 ? grpo_resume(g, FOLDER) : grpo_load(g, FOLDER);
            fail_allocation = -1;
            CHECK(living == blocks && files_open == 0, "allocation %d leaks", n);
            if (allocations <= n) { CHECK(!code, "%s", grpo_error(g)); break; }
            CHECK(code == GRPO_NO_MEMORY && same_everything(g, before), "allocation %d: %d \"%s\"",
                  n, code,
                  grpo_error(g));
        }
    free(before);
}

static void test_failing(void) {
    grpo_config c = tiny();
    grpo *a = trained(&c, 1), *b = trained(&c, 2), *fresh = trained(&c, 0);
    test_failing_save(a, b);
    test_failing_load(a, fresh);
    test_failing_memory(a);
    grpo_free(fresh);
    remove_folder(FOLDER);
#if defined(__unix__) || defined(__APPLE__)
    file_calls = 0;
    file_fail_at = 0;               /* the folder is missing and cannot be made                  */
    CHECK(grpo_save(a, FOLDER, 0) == GRPO_IO, "%s", grpo_error(a));
    file_fail_at = -1;
#endif
    grpo_free(a);
    grpo_free(b);
    CHECK(living == 0, "%d blocks leak", living);
}

/* ---- metrics */

/* The text after "name": in a line of JSON, NULL if it is not there exactly once. */
static const char *value_of(const char *line, const char *name) {
    char key[128];
    const char *at;
    snprintf(key, sizeof key, "\"%s\":", name);
    at = strstr(line, key);
    if (!at || strstr(at + 1, key)) return NULL;
    at += strlen(key);
    return *at == ' ' ? at + 1 : at;
}

static void test_metrics_json(void) {
    static const char *const names[] = { "loss", "grad_norm", "learning_rate", "num_tokens",
        "step_time",
        "completions/mean_length", "completions/min_length", "completions/max_length",
        "completions/mean_terminated_length", "completions/min_terminated_length",
        "completions/max_terminated_length", "completions/clipped_ratio", "reward", "reward_std",
        "frac_reward_zero_std", "policy_loss", "entropy", "kl", "clip_ratio/low_mean",
        "clip_ratio/high_mean", "clip_ratio/region_mean", "clip_ratio/low_min",
            "clip_ratio/high_max",
        "rewards/correct/mean", "rewards/correct/std", "step", "ratio/mean", "ratio/max",
        "kl/k1", "kl/k2", "kl/k3", "kl/abs", "beta", "entropy_coef",
        "sampling/sampling_logp_difference/mean", "sampling/sampling_logp_difference/max",
        "sampling/importance_sampling_ratio/min", "sampling/importance_sampling_ratio/mean",
        "sampling/importance_sampling_ratio/max", "num_left_out", "num_resampled", "num_idle",
        "num_updates", "skipped" };
    grpo_metrics m;
    char line[8192], small[64];
    size_t i;
    int n;
    memset(&m, 0, sizeof m);
    m.step = 7;
    m.num_tokens = 12345678901234.0;
    m.loss = -0.1f;
    m.kl = from_bits(0x7fc00000u);
    m.grad_norm = (double)from_bits(0x7f800000u);
    m.num_rewards = 3;
    snprintf(m.reward_names[0], GRPO_NAME_LENGTH, "correct");
    snprintf(m.reward_names[1], GRPO_NAME_LENGTH, "a\"b\\c\n\001d");
    memset(m.reward_names[2], '"', GRPO_NAME_LENGTH);         /* no NUL at all                   */
    m.reward_means[0] = 0.25;
    n = grpo_metrics_json(&m, line, sizeof line);
    CHECK(n == (int)strlen(line) && line[0] == '{' && line[n - 1] == '}' && !strchr(line, '\n'),
          "%s", line);
    for (i = 0; i < sizeof names / sizeof *names; i++)
        CHECK(value_of(line, names[i]) != NULL, "%s is missing or there twice", names[i]);
    CHECK_CLOSE(strtod(value_of(line, "num_tokens"), NULL), 12345678901234.0, 0);
    CHECK_CLOSE((float)strtod(value_of(line, "loss"), NULL), (float)-0.1f, 0);
    CHECK_CLOSE(strtod(value_of(line, "rewards/correct/mean"), NULL), 0.25, 0);
    CHECK(!strncmp(value_of(line, "kl"), "null", 4)
          && !strncmp(value_of(line, "grad_norm"), "null", 4), "%s", line);
    CHECK(strstr(line, "rewards/a\\\"b\\\\c") != NULL, "%s", line);
    {                               /* the library's own reader takes it                         */
        char text[9000];
        snprintf(text, sizeof text, "{\"model_type\":\"llama\"," SIZES ",\"_metrics\":%s}", line);
        remove_folder(OTHER);
        {
            grpo_config c = tiny();
            grpo *g = make(&c);
            CHECK(!grpo_save(g, OTHER, 0), "%s", grpo_error(g));
            CHECK(!config_code(text, &c), "%s: %s", c.error, line);
            grpo_free(g);
        }
        remove_folder(OTHER);
    }
    CHECK(grpo_metrics_json(&m, NULL, 0) == n, "the length, without writing");
    memset(small, 'x', sizeof small);
    CHECK(grpo_metrics_json(&m, small, 40) == n && strlen(small) == 39 && small[40] == 'x'
          && !strncmp(small, line, 39), "%.60s", small);
}

static void test_metrics_file(void) {
    grpo_config c = tiny();
    grpo_prompt p = grpo_question("1=", "1");
    grpo *g;
    blob b;
    char *second;
    remove("test_files.jsonl");
    c.metrics_path = "test_files.jsonl";
    g = trained(&c, 2);
    b = read_blob("test_files.jsonl");
    second = strchr(b.bytes, '\n');
    CHECK(second && second[1] == '{' && strchr(second + 1, '\n') == b.bytes + b.size - 1, "%s",
          b.bytes);
    if (second) {
        *second = 0;
        CHECK(value_of(b.bytes, "step") && *value_of(b.bytes, "step") == '1'
              && *value_of(second + 1, "step") == '2', "%s", b.bytes);
    }
    free(b.bytes);
    for (file_fail_at = 0; file_fail_at < 9; file_fail_at++) {    /* fopen, fwrite, fclose       */
        int code;
        file_calls = 0;
        code = grpo_step(g, &p, 1, NULL);
        if (file_calls <= file_fail_at) break;
        CHECK(code == GRPO_IO && strstr(grpo_error(g), "test_files.jsonl")
              && strstr(grpo_error(g), strerror(EIO)), "%s: %s", file_failed, grpo_error(g));
    }
    CHECK(file_fail_at > 1, "only %d file calls?", file_fail_at);
    file_fail_at = -1;
    CHECK(!grpo_step(g, &p, 1, NULL) && files_open == 0, "%s", grpo_error(g));
    grpo_free(g);
    remove("test_files.jsonl");
}

/* ---- real checkpoints, if there are any: GRPO_DATA=folder */
static void test_real(const char *name) {
    const char *data = getenv("GRPO_DATA");
    char folder[512];
    grpo_config c = grpo_defaults();
    grpo *g;
    float *w;
    if (!data) { printf("skipped: GRPO_DATA names no folder that holds %s\n", name); return; }
    snprintf(folder, sizeof folder, "%s/%s", data, name);
    CHECK(!grpo_load_config(&c, folder), "%s", c.error);
    c.eos_token_id = 0;
    c.vocabulary = "0123456";
    c.num_prompts = 1;
    c.max_prompt_length = c.max_completion_length = 8;
    g = make(&c);
    CHECK(!grpo_load(g, folder), "%s", grpo_error(g));
    w = weights_of(g);
    CHECK(!grpo_save(g, FOLDER, 0) && !grpo_load(g, FOLDER) && has_weights(g, w), "%s",
          grpo_error(g));
    free(w);
    grpo_free(g);
    remove_folder(FOLDER);
}

int main(void) {
    int variant;
    for (variant = 0; variant < 8; variant++)
        test_round_trip(variant & 1, variant >> 1 & 1, variant >> 2);
    test_unwritable();
    test_damage();
    test_optional(1);
    test_optional(0);
    test_half();
    test_shards();
    test_config();
    test_eos_files();
    test_eos();
    test_vocabulary();
#if defined(__unix__) || defined(__APPLE__)
    test_pipes();
#endif
    test_locale();
    test_state();
    test_other_model();
    test_failing();
    test_metrics_json();
    test_metrics_file();
    test_real("stories260K");
    test_real("qwen3_adder/hf_137");
    return check_finish();
}
