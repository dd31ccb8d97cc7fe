/* Fuzzing of examples/tool/gguf.h: whatever a GGUF file holds, it becomes a folder of well-formed
 * files or is refused with a sentence, and nothing is left over. Files go to $TMPDIR (or /dev/shm).
 * fuzz.h says how it is run; from nothing libFuzzer hardly gets beyond the header. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "fuzz.h"
#include "make_gguf.h"
#include "examples/tool/gguf.h"

static char folder[512], path[600];

static void prepare(void) {
    const char *where = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.400s/grpo_fuzz_gguf_%ld", where ? where : "/dev/shm",
             (long)getpid());
    snprintf(path, sizeof path, "%s.gguf", folder);
}

static void check_json(const char *name) {
    char file[600], error[JSON_ERROR_LENGTH] = "";
    json j;
    snprintf(file, sizeof file, "%s/%s", folder, name);
    require(json_read(&j, file, error), error);
    json_free(&j);
}

/* The header is JSON, and the last tensor ends where the file does. */
static void check_archive(void) {
    char file[600], error[JSON_ERROR_LENGTH] = "", *bytes;
    const json_value *v;
    double end = 0;
    size_t size, start = 0, i;
    json j;
    snprintf(file, sizeof file, "%s/model.safetensors", folder);
    bytes = json_load(file, &size, error);
    require(bytes && size >= 8, "no archive");
    for (i = 8; i-- > 0;) start = start << 8 | (unsigned char)bytes[i];
    require(start <= size - 8 && start % 8 == 0, "the header's length");
    memmove(bytes, bytes + 8, start);
    bytes[start] = 0;
    require(json_parse(&j, bytes, start, "header", error), error);
    for (v = json_first(j.values); v; v = json_next(j.values, v)) {
        const json_value *place = json_find(v, "data_offsets");
        if (!place) continue;
        require(json_number(json_first(place), -1) == end, "a hole");
        end = json_number(json_next(place, json_first(place)), -1);
    }
    require(end == (double)(size - 8 - start), "the end of the archive");
    json_free(&j);
}

static void check_nothing_left(int also_results) {
    static const char *const names[] = { "tokenizer.json", "tokenizer_config.json", "config.json",
                                         "generation_config.json", "model.safetensors" };
    char file[600];
    int i, results;
    for (results = 0; results <= also_results; results++)
        for (i = 0; i < 5; i++) {
            FILE *left;
            snprintf(file, sizeof file, "%s/%s%s", folder, names[i], results ? "" : ".tmp");
            left = fopen(file, "rb");
            require(!left, "something is left over");
        }
}

static void remove_results(void) {
    static const char *const names[] = { "tokenizer.json", "tokenizer_config.json", "config.json",
                                         "generation_config.json", "model.safetensors" };
    char file[600];
    int i;
    for (i = 0; i < 5; i++) {
        snprintf(file, sizeof file, "%s/%s", folder, names[i]);
        remove(file);
    }
}

static int fuzz_one(const uint8_t *data, size_t size) {
    char error[GGUF_ERROR_LENGTH] = "";
    gguf_summary s;
    int good;
    if (!*folder) prepare();
    fuzz_write_file(path, data, size);
    good = gguf_convert(path, folder, GGUF_AUTO, &s, error);
    if (good) {
        grpo_config c = grpo_defaults();
        int code = grpo_load_config(&c, folder);
        require(code <= 0 && (!code || strlen(c.error) > 10), "no sentence");
        check_json("config.json");
        check_json("generation_config.json");
        if (s.has_tokenizer) { check_json("tokenizer.json"); check_json("tokenizer_config.json"); }
        check_archive();
        check_nothing_left(0);
        remove_results();
    } else {
        require(strlen(error) > strlen(path) % 90 + 5, "no sentence");
        check_nothing_left(1);
    }
    error[0] = 0;
    if (gguf_convert_tokenizer(path, folder, error)) check_json("tokenizer.json");
    else require(strlen(error) > 10, "no sentence");
    remove_results();
    return good;
}

/* F32, Q8_0 and Q4_K as the corpus needs them. */
static size_t bytes_of(int type, size_t numbers) {
    return type == 8 ? numbers / 32 * 34 : type == 12 ? numbers / 256 * 144
           : type == 1 || type == 30 ? 2 * numbers : 4 * numbers;
}

static const char *const pieces[] = { "<unk>", "<s>", "</s>", "<0x0A>", "a", "b", "\xe2\x96\x81",
                                      "ab", "aa", "aaa", "aab", "bab", "abab" };
static const double piece_types[] = { 2, 3, 3, 6, 1, 1, 1, 1, 1, 1, 1, 1, 4 };
static const double scores[] = { 0, 0, 0, 0, -1, -1, -1, -2, -2, -3, -3, -4, 0 };

enum { CORPUS = 5 };

static make_file files[CORPUS];

static void make_corpus(void) {
    static const make_shape shapes[CORPUS] = {
        { "llama", 8, 12, 1, 2, 2, 4, MAKE_BYTE_TOKENS, 1, 0 },
        { "llama", 4, 4, 1, 1, 1, 4, MAKE_BYTE_TOKENS, 0, 1 },
        { "qwen2", 32, 32, 1, 2, 1, 16, MAKE_BYTE_TOKENS, 1, 1 },
        { "qwen3", 8, 4, 1, 2, 1, 6, MAKE_BYTE_TOKENS, 0, 0 },
        { "llama", 256, 256, 1, 1, 1, 256, MAKE_BYTE_TOKENS, 1, 0 } };
    static const int types[CORPUS] = { 0, 30, 8, 1, 12 };
    make_tensor *factors;
    int i;
    for (i = 0; i < CORPUS; i++) {
        make_model(&files[i], &shapes[i], types[i], bytes_of);
        if (i % 2 == 0) continue;
        make_text(&files[i], "tokenizer.ggml.model", "llama");
        make_texts(&files[i], "tokenizer.ggml.tokens", pieces, 13);
        make_numbers(&files[i], "tokenizer.ggml.token_type", MAKE_I32, piece_types, 13);
        make_numbers(&files[i], "tokenizer.ggml.scores", MAKE_F32, scores, 13);
    }
    factors = make_add(&files[0], "rope_freqs.weight", 0, 0, 2, 8);
    for (i = 0; i < 2; i++) make_put_float(factors->data + 4 * i, 1);
    for (i = 0; i < CORPUS; i++) make_bytes(&files[i]);
}

static size_t fuzz_begin_with(int i, uint8_t *to) {
    if (i >= CORPUS) return 0;
    if (!files[0].bytes) make_corpus();
    require(files[i].size <= FUZZ_ROOM, "a file that is too large");
    memcpy(to, files[i].bytes, files[i].size);
    return files[i].size;
}

static const char *const *fuzz_words(void) {
    static const char *const words[] = { "GGUF", "tokenizer.ggml.model", "llama", "qwen2",
        "general.alignment", ".attention.head_count", "token_embd.weight", NULL };
    return words;
}

static void fuzz_end(void) {
    int i;
    for (i = 0; i < CORPUS && files[0].bytes; i++) make_free(&files[i]);
    remove(path);
    rmdir(folder);
}
