/* A llama.cpp model file becomes a Hugging Face folder, which grpo_load() and transformers load:
 *
 *   ./build/gguf2hf model.gguf folder
 *   ./build/gguf2hf --dtype bf16 model.gguf folder
 *   ./build/gguf2hf --no-template model.gguf folder
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
         "  --no-template  leave the chat template out. A file is refused whose template grpo\n"
         "                 cannot run, or that drops what is asked: grpo is told how to ask\n"
         "                 instead, by its --template or --prompt-format\n"
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
        fprintf(stderr, "gguf2hf: grpo needs a tokenizer.json in that folder, which this file has "
                "not\n");
}

/* Can grpo ask by the folder's chat template, if it has one? Else *why. */
static int check_template(const char *folder, char *why) {
    static const chat_turn turn = { "user", "?" };
    char said[JSON_ERROR_LENGTH], *reason;
    chat_template chat;
    int found;
    if (!chat_recognise(&chat, folder, said)) {
        reason = strstr(said, "its chat template");
        strcpy(why, reason ? reason : said);
        return strstr(said, "it has no chat template") != NULL;
    }
    found = chat_check(&chat, NULL, &turn, 1, said);
    chat_free(&chat);
    if (found < 0)                  /* conversations of some other kind it may write             */
        fprintf(stderr, "gguf2hf: its chat template does not write a question by itself: %s\n",
                said);
    snprintf(why, GGUF_ERROR_LENGTH, "its chat template drops the question: not all of its text "
             "stands in what that writes");
    return found != 0;
}

/* Is the folder one that grpo takes? Asked before the weights are written. */
static int bad_template;
static int check(const char *folder, char *why) {
    grpo_config config = grpo_defaults();
    if (!grpo_load_config(&config, folder)) return !(bad_template = !check_template(folder, why));
    snprintf(why, GGUF_ERROR_LENGTH, "%.*s", (int)GGUF_ERROR_LENGTH - 1, config.error);
    return 0;
}

int main(int argc, char **argv) {
    int i, dtype = GGUF_AUTO, words_alone = 0, left_out = 0, count = 0;
    const char *names[2] = { NULL, NULL };
    char error[GGUF_ERROR_LENGTH], there[1024];
    gguf_summary s;
    FILE *file;
    system_arguments(&argc, &argv);
    for (i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return usage();
        if (!strcmp(argv[i], "--tokenizer")) words_alone = 1;
        else if (!strcmp(argv[i], "--no-template")) left_out = GGUF_NO_TEMPLATE;
        else if (!strcmp(argv[i], "--dtype")) {
            if (i + 1 == argc)
                return misuse("--dtype needs a value:", "auto, f32, bf16 or f16", "");
            dtype = dtype_of(argv[++i]);
            if (dtype < 0) return misuse("--dtype is auto, f32, bf16 or f16, not", argv[i],
                                         "auto f32 bf16 f16");
        } else if (!strncmp(argv[i], "--", 2))
            return misuse("there is no option", argv[i], "dtype no-template tokenizer help");
        else if (count == 2) return misuse("FILE.gguf and FOLDER are all it takes, not also",
                                           argv[i], "");
        else names[count++] = argv[i];
    }
    if (count < 2) return misuse("missing:", count ? "FOLDER" : "FILE.gguf and FOLDER", "");
    if (words_alone && left_out) return misuse("--tokenizer writes the chat template, so without",
                                               "--no-template", "");
    snprintf(there, sizeof there, "%.1000s/config.json", names[1]);
    if (!words_alone && (file = system_open(there, "rb")) != NULL) {
        fclose(file);
        fprintf(stderr, "gguf2hf: %s has a model already: choose another folder, or remove it\n",
                names[1]);
        return 1;
    }
    if (words_alone ? gguf_convert_tokenizer(names[0], names[1], error)
                  : gguf_convert_if(names[0], names[1], dtype | left_out, check, &s, error)) {
        if (!words_alone) report(&s, names[1]);
        else if (!check_template(names[1], error))
            fprintf(stderr, "gguf2hf: with it grpo needs --template or --prompt-format: %s\n",
                    error);
        return 0;
    }
    fprintf(stderr, "gguf2hf: %s\n", error);
    if (bad_template)
        fprintf(stderr, "gguf2hf: --no-template leaves that template out; grpo is then told how to "
                "ask, by --template or --prompt-format\n");
    return 1;
}
