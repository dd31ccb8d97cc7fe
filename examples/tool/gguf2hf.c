/* A llama.cpp model file becomes a Hugging Face folder, which grpo_load() and transformers load:
 *
 *   ./build/gguf2hf model.gguf folder
 *   ./build/gguf2hf --dtype bf16 model.gguf folder
 *   ./build/gguf2hf --tokenizer vocabulary.gguf folder
 *
 * What it can read, and how it is done, stands in gguf.h. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "gguf.h"
#include "chat.h"
#include "examples/words.h"

static int usage(void) {
    puts("usage:   gguf2hf [options] FILE.gguf FOLDER\n"
         "example: gguf2hf --dtype bf16 Qwen2.5-0.5B-Instruct-Q8_0.gguf qwen\n\n"
         "Writes config.json, generation_config.json, model.safetensors, tokenizer.json and\n"
         "tokenizer_config.json into FOLDER, which `grpo` and transformers read.\n\n"
         "Required:\n"
         "  FILE.gguf      llama.cpp's; of the architectures llama, qwen2, qwen3; of the types\n"
         "                 F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K\n"
         "  FOLDER         is made if it is not there\n\n"
         "Options:\n"
         "  --dtype WORD   how numbers are written [auto | f32 | bf16 | f16] (default auto: the\n"
         "                 smallest that holds all of them exactly, for a quantised file f32)\n"
         "  --tokenizer    write tokenizer.json and tokenizer_config.json alone\n"
         "  --help         this page");
    return 0;
}

/* What is wrong with the arguments; returns main's status. */
static int misuse(const char *sentence, const char *typed, const char *words) {
    words_guess g = words_of(typed);
    words_offer_all(&g, words);
    fprintf(stderr, "gguf2hf: %s %s%s `gguf2hf --help` says how it is used\n", sentence, typed,
            words_meant(&g, strncmp(typed, "--", 2) ? "" : "--", ";"));
    return 2;
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

/* Is the model one that grpo trains? Asked before the weights are written. */
static int check(const char *folder, char *why) {
    grpo_config config = grpo_defaults();
    if (!grpo_load_config(&config, folder)) return 1;
    snprintf(why, GGUF_ERROR_LENGTH, "%.*s", (int)GGUF_ERROR_LENGTH - 1, config.error);
    return 0;
}

int main(int argc, char **argv) {
    int i, dtype = GGUF_AUTO, words_alone = 0, count = 0;
    const char *names[2] = { NULL, NULL };
    char error[GGUF_ERROR_LENGTH], there[1024];
    gguf_summary s;
    chat_template chat;
    FILE *file;
    system_arguments(&argc, &argv);
    for (i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return usage();
        if (!strcmp(argv[i], "--tokenizer")) words_alone = 1;
        else if (!strcmp(argv[i], "--dtype")) {
            if (i + 1 == argc)
                return misuse("--dtype needs a value:", "auto, f32, bf16 or f16", "");
            dtype = dtype_of(argv[++i]);
            if (dtype < 0) return misuse("--dtype is auto, f32, bf16 or f16, not", argv[i],
                                         "auto f32 bf16 f16");
        } else if (!strncmp(argv[i], "--", 2))
            return misuse("there is no option", argv[i], "dtype tokenizer help");
        else if (count == 2) return misuse("FILE.gguf and FOLDER are all it takes, not also",
                                           argv[i], "");
        else names[count++] = argv[i];
    }
    if (count < 2) return misuse("missing:", count ? "FOLDER" : "FILE.gguf and FOLDER", "");
    snprintf(there, sizeof there, "%.1000s/config.json", names[1]);
    if (!words_alone && (file = system_open(there, "rb")) != NULL) {
        fclose(file);
        fprintf(stderr, "gguf2hf: %s has a model already: choose another folder, or remove it\n",
                names[1]);
        return 1;
    }
    if (words_alone ? gguf_convert_tokenizer(names[0], names[1], error)
                  : gguf_convert_if(names[0], names[1], dtype, check, &s, error)) {
        if (words_alone) return 0;
        report(&s, names[1]);
        if (s.has_template && !chat_recognise(&chat, names[1], error))
            fprintf(stderr, "gguf2hf: grpo cannot run its chat template, and needs --template or "
                    "--prompt-format: %s\n", error);
        else if (s.has_template) chat_free(&chat);
        return 0;
    }
    fprintf(stderr, "gguf2hf: %s\n", error);
    return 1;
}
