/* Fuzzing of examples/tool/gguf.h: whatever a GGUF file holds, it becomes a folder of well-formed
 * files or is refused with a sentence, and nothing is left over. Files go to $TMPDIR (or /dev/shm). In
 * the repository's root, damaged copies of a few good files for 60 seconds, from seed 1:
 *
 *   cc -DFUZZ_STANDALONE -g -O1 -fsanitize=address,undefined -I. tests/fuzz_gguf.c -o fuzz -lm
 *   ./fuzz 60 1
 *
 * or, with libFuzzer, from the same good files, without which it hardly gets beyond the header:
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz_gguf.c -o fuzzer -lm
 *   mkdir corpus; ./fuzz --corpus corpus; ./fuzzer -max_len=16384 -max_total_time=180 corpus */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include <time.h>
#include "make_gguf.h"
#include "examples/tool/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[512], path[600];
static long converted;

static void need(int condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

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
    need(json_read(&j, file, error), error);
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
    need(bytes && size >= 8, "no archive");
    for (i = 8; i-- > 0;) start = start << 8 | (unsigned char)bytes[i];
    need(start <= size - 8 && start % 8 == 0, "the header's length");
    memmove(bytes, bytes + 8, start);
    bytes[start] = 0;
    need(json_parse(&j, bytes, start, "header", error), error);
    for (v = json_first(j.values); v; v = json_next(j.values, v)) {
        const json_value *place = json_find(v, "data_offsets");
        if (!place) continue;
        need(json_number(json_first(place), -1) == end, "a hole");
        end = json_number(json_next(place, json_first(place)), -1);
    }
    need(end == (double)(size - 8 - start), "the end of the archive");
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
            need(!left, "something is left over");
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char error[GGUF_ERROR_LENGTH] = "";
    gguf_summary s;
    FILE *file;
    if (!*folder) prepare();
    file = fopen(path, "wb");
    need(file && fwrite(data, 1, size, file) == size && !fclose(file), "cannot write the input");
    if (gguf_convert(path, folder, GGUF_AUTO, &s, error)) {
        grpo_config c = grpo_defaults();
        int code = grpo_load_config(&c, folder);
        need(code <= 0 && (!code || strlen(c.error) > 10), "no sentence");
        check_json("config.json");
        check_json("generation_config.json");
        if (s.has_tokenizer) { check_json("tokenizer.json"); check_json("tokenizer_config.json"); }
        check_archive();
        check_nothing_left(0);
        converted++;
        remove_results();
    } else {
        need(strlen(error) > strlen(path) % 90 + 5, "no sentence");
        check_nothing_left(1);
    }
    error[0] = 0;
    if (gguf_convert_tokenizer(path, folder, error)) check_json("tokenizer.json");
    else need(strlen(error) > 10, "no sentence");
    remove_results();
    return 0;
}

#ifdef FUZZ_STANDALONE
static uint64_t state;

static size_t below(size_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(state >> 33) % n;
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

static void make_corpus(make_file *files) {
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

/* Changes bytes in place: one, a length, a run of a neighbour, or the end. Most of what is worth
 * changing stands at the beginning. */
static size_t mutate(uint8_t *data, size_t size) {
    static const uint64_t lengths[] = { 0, 1, 2, 3, 8, 13, 255, 65536, 0x7fffffff, 0xffffffff,
                                        UINT64_C(0x100000000), UINT64_C(0x7fffffffffffffff),
                                        UINT64_MAX };
    size_t at = below(below(4) && size > 2600 ? 2600 : size), from, n, i;
    uint64_t x = lengths[below(sizeof lengths / sizeof *lengths)];
    switch (below(7)) {
    case 0: data[at] = (uint8_t)(data[at] ^ (1u << below(8))); break;
    case 1: data[at] = (uint8_t)below(256); break;
    case 2: data[at] = (uint8_t)(data[at] + below(5) - 2); break;
    case 3: for (i = 0; i < 8 && at + i < size; i++) data[at + i] = (uint8_t)(x >> 8 * i); break;
    case 4: for (i = 0; i < 4 && at + i < size; i++) data[at + i] = (uint8_t)(x >> 8 * i); break;
    case 5:
        n = 1 + below(16);
        from = below(size);
        for (i = 0; i < n && at + i < size && from + i < size; i++) data[at + i] = data[from + i];
        break;
    default: if (below(8) == 0) size = 1 + at; break;
    }
    return size;
}

static void write_corpus(const make_file *files, const char *to) {
    char name[600];
    FILE *file;
    int i;
    for (i = 0; i < CORPUS; i++) {
        snprintf(name, sizeof name, "%.500s/%d.gguf", to, i);
        file = fopen(name, "wb");
        need(file && fwrite(files[i].bytes, 1, files[i].size, file) == files[i].size
             && !fclose(file), name);
    }
}

int main(int argc, char **argv) {
    static make_file files[CORPUS];
    long seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 10, runs = 0;
    time_t end = time(NULL) + seconds;
    uint8_t *data;
    size_t size;
    int i;
    state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    make_corpus(files);
    if (argc > 2 && !strcmp(argv[1], "--corpus")) {
        write_corpus(files, argv[2]);
        seconds = 0;
    }
    for (i = 0; i < CORPUS; i++) LLVMFuzzerTestOneInput(files[i].bytes, files[i].size);
    need(converted == CORPUS, "the corpus is not good");
    for (; time(NULL) < end; runs++) {
        const make_file *f = &files[below(32) ? below(CORPUS - 1) : CORPUS - 1];  /* it is large */
        data = (uint8_t *)malloc(f->size);                    /* of its own: what reads too far   */
        need(data != NULL, "out of memory");
        memcpy(data, f->bytes, size = f->size);
        for (i = (int)below(4); i >= 0; i--) size = mutate(data, size);
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    for (i = 0; i < CORPUS; i++) make_free(&files[i]);
    remove(path);
    rmdir(folder);
    printf("%ld files, %ld of them still good\n", runs, converted - CORPUS);
    return 0;
}
#endif
