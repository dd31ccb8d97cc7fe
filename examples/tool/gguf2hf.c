/* A llama.cpp model file becomes a Hugging Face folder, which grpo_load() and transformers load:
 *
 *   ./build/gguf2hf model.gguf folder
 *   ./build/gguf2hf --dtype bf16 model.gguf folder
 *   ./build/gguf2hf --tokenizer vocabulary.gguf folder
 *
 * What it can read, and how it is done, stands in gguf.h. */
#include "gguf.h"

static int usage(FILE *to) {
    fputs("usage: gguf2hf [--dtype auto|f32|bf16|f16] [--tokenizer] FILE.gguf FOLDER\n"
          "Writes config.json, generation_config.json, model.safetensors, tokenizer.json and\n"
          "tokenizer_config.json into FOLDER. Architectures llama, qwen2, qwen3; F32, F16, BF16,\n"
          "Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K.\n"
          "  --dtype      how numbers are written. auto, the default: the smallest of bf16, f16,\n"
          "               f32 that holds all of them exactly, which for a quantised file is f32\n"
          "  --tokenizer  write tokenizer.json and tokenizer_config.json alone\n", to);
    return to == stdout ? 0 : 2;
}

static int dtype_of(const char *name) {
    static const char *const names[] = { "auto", "f32", "bf16", "f16" };
    int i;
    for (i = 0; i < 4; i++) if (!strcmp(name, names[i])) return i;
    return -1;
}

static void report(const gguf_summary *s, const char *folder) {
    static const char *const names[] = { "", "F32", "BF16", "F16" };
    printf("%s: %s, %d layers, %.0f parameters in %s%s\n", folder, s->architecture, s->layers,
           s->parameters, names[s->dtype], s->has_tokenizer ? "" : ", no tokenizer");
    if (!s->has_tokenizer)
        fprintf(stderr, "gguf2hf: grpo needs a tokenizer.json in that folder: this file has none\n");
}

int main(int argc, char **argv) {
    int i, dtype = GGUF_AUTO, words_alone = 0, count = 0;
    const char *names[2] = { NULL, NULL };
    char error[GGUF_ERROR_LENGTH];
    gguf_summary s;
    system_arguments(&argc, &argv);
    for (i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return usage(stdout);
        if (!strcmp(argv[i], "--tokenizer")) words_alone = 1;
        else if (!strcmp(argv[i], "--dtype")) {
            dtype = i + 1 < argc ? dtype_of(argv[++i]) : -1;
            if (dtype < 0) return usage(stderr);
        } else if (count == 2 || argv[i][0] == '-') return usage(stderr);
        else names[count++] = argv[i];
    }
    if (count < 2) return usage(stderr);
    if (words_alone ? gguf_convert_tokenizer(names[0], names[1], error)
                  : gguf_convert(names[0], names[1], dtype, &s, error)) {
        if (!words_alone) report(&s, names[1]);
        return 0;
    }
    fprintf(stderr, "gguf2hf: %s\n", error);
    return 1;
}
