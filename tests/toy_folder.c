/* toy_folder FOLDER: writes a model folder as Hugging Face has them, small enough for tests: a
 * Llama of 40 thousand weights that has seen some sums, a byte-level tokenizer.json without merges,
 * a ChatML template; and FOLDER/train.jsonl and FOLDER/test.jsonl, questions for it.
 *
 * toy_folder FOLDER TOKENIZER: one of the shape of Qwen2.5, random and narrow, with the tokenizer
 * of the folder TOKENIZER, which must be Qwen2's or Qwen3's.
 *
 * toy_folder FILE.gguf TEMPLATE: instead a file as llama.cpp's, with that chat template. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "examples/tool/json.h"
#include "tests/make_gguf.h"

enum { END = 256, START, STOP, VOCABULARY, SUMS = 64, ROOM = 160 };

static const char *const special[3] = { "<|endoftext|>", "<|im_start|>", "<|im_end|>" };

/* GPT-2's character for a byte: itself where it can be seen, else one from U+0100 on. */
static uint32_t character_of(int byte) {
    int i, hidden = 0;
    if ((byte > 32 && byte < 127) || (byte > 160 && byte != 173)) return (uint32_t)byte;
    for (i = 0; i < byte; i++)
        if (i <= 32 || (i >= 127 && i <= 160) || i == 173) hidden++;
    return 256u + (uint32_t)hidden;
}

static FILE *create(const char *folder, const char *name) {
    char path[1024];
    FILE *file;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = system_open(path, "wb");
    if (!file) { perror(path); exit(1); }
    return file;
}

static void write_tokenizer(const char *folder) {
    FILE *f = create(folder, "tokenizer.json");
    int i;
    fprintf(f, "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, "
            "\"added_tokens\": [");
    for (i = 0; i < 3; i++)
        fprintf(f, "%s{\"id\": %d, \"content\": \"%s\", \"single_word\": false, \"lstrip\": false, "
                "\"rstrip\": false, \"normalized\": false, \"special\": true}", i ? ", " : "",
                END + i, special[i]);
    fprintf(f, "], \"normalizer\": null, \"pre_tokenizer\": {\"type\": \"ByteLevel\", "
            "\"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true}, "
            "\"post_processor\": null, \"decoder\": {\"type\": \"ByteLevel\", "
            "\"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true}, "
            "\"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, "
            "\"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, "
            "\"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": false, "
            "\"vocab\": {");
    for (i = 0; i < 256; i++) {
        char text[4];
        int n = json_put_utf8(text, character_of(i));
        fputs(i ? ", " : "", f);
        json_write(f, text, (size_t)n);
        fprintf(f, ": %d", i);
    }
    fprintf(f, "}, \"merges\": []}}\n");
    fclose(f);
}

static void write_settings(const char *folder) {
    FILE *f = create(folder, "tokenizer_config.json");
    fprintf(f, "{\"eos_token\": \"<|im_end|>\", \"chat_template\": \""
            "{%% for message in messages %%}{{'<|im_start|>' + message['role'] + '\\n' + "
            "message['content'] + '<|im_end|>' + '\\n'"
            "}}{%% endfor %%}{%% if add_generation_prompt %%}{{ '<|im_start|>assistant\\n' }}"
            "{%% endif %%}\"}\n");
    fclose(f);
    f = create(folder, "generation_config.json");
    fprintf(f, "{\"eos_token_id\": [%d, %d]}\n", STOP, END);
    fclose(f);
}

/* Sum i of a list in which every third is held out. */
static void sum_of(int i, char *question, char *answer) {
    int a = (i * 7 + 3) % 8, b = i / 8 % 8;
    sprintf(question, "%d+%d=", a, b);
    sprintf(answer, "%d", a + b);
}

static void write_questions(const char *folder) {
    FILE *train = create(folder, "train.jsonl"), *test = create(folder, "test.jsonl");
    int i;
    for (i = 0; i < SUMS; i++) {
        char question[16], answer[8];
        sum_of(i, question, answer);
        fprintf(i % 3 ? train : test, "{\"question\": \"%s\", \"answer\": \"%s\"}\n", question,
                answer);
    }
    fclose(train);
    fclose(test);
}

static int encode(void *t, const char *text, int *tokens, int capacity) {
    int i, n = (int)strlen(text);
    (void)t;
    for (i = 0; i < n && i < capacity; i++) tokens[i] = (unsigned char)text[i];
    return n;
}
static int decode(void *t, const int *tokens, int n, char *text, int capacity) {
    int i, length = 0;
    (void)t;
    for (i = 0; i < n; i++)
        if (tokens[i] < END && length++ < capacity) text[length - 1] = (char)tokens[i];
    return length;
}

/* The question as ChatML has it, in bytes and special tokens. */
static int chat_of(const char *question, int *tokens) {
    static const char *const parts[4] = { "user\n", "\n", "assistant\n", NULL };
    int n = 0;
    tokens[n++] = START;
    n += encode(NULL, parts[0], tokens + n, ROOM);
    n += encode(NULL, question, tokens + n, ROOM);
    tokens[n++] = STOP;
    n += encode(NULL, parts[1], tokens + n, ROOM);
    tokens[n++] = START;
    return n + encode(NULL, parts[2], tokens + n, ROOM);
}

static int learn_some_sums(grpo *g, int steps) {
    static char questions[SUMS][16], answers[SUMS][8];
    static int tokens[SUMS][2 * ROOM];
    grpo_prompt prompts[SUMS];
    int i, step;
    memset(prompts, 0, sizeof prompts);
    for (i = 0; i < SUMS; i++) {
        sum_of(i, questions[i], answers[i]);
        prompts[i].num_tokens = chat_of(questions[i], tokens[i]);
        prompts[i].tokens = tokens[i];
        prompts[i].answer = answers[i];
    }
    for (step = 0; step < steps; step++)
        if (grpo_sft(g, prompts, SUMS, 3e-3f, NULL)) return -1;
    return 0;
}

static int write_sums_model(const char *folder) {
    grpo_config c = grpo_defaults();
    grpo *g;
    c.model.vocab_size = VOCABULARY;
    c.model.hidden_size = 32;
    c.model.intermediate_size = 96;
    c.model.max_position_embeddings = 256;
    c.model.initializer_range = 0.1f;
    c.encode = encode; c.decode = decode;
    c.eos_token_id = STOP;
    c.num_prompts = SUMS;
    c.num_generations = 1;
    c.max_completion_length = 4;
    c.objective.beta = 0;
    g = grpo_new(&c);
    if (!g || learn_some_sums(g, 60) || grpo_save(g, folder, 0)) {
        fprintf(stderr, "toy_folder: %s\n", g ? grpo_error(g) : c.error);
        return 1;
    }
    grpo_free(g);
    write_tokenizer(folder);
    write_settings(folder);
    write_questions(folder);
    return 0;
}

/* Qwen2.5-0.5B's config.json but for the sizes, which are 1/28 of its own. */
static int write_qwen(const char *folder, const char *tokenizer) {
    static const char *const names[2] = { "tokenizer.json", "tokenizer_config.json" };
    grpo_config c = grpo_defaults();
    FILE *f;
    grpo *g;
    int i;
    c.model.vocab_size = 151936;
    c.model.hidden_size = 32;
    c.model.intermediate_size = 176;
    c.model.num_hidden_layers = 2;
    c.model.num_attention_heads = 4;
    c.model.num_key_value_heads = 2;
    c.model.head_dim = 8;
    c.model.max_position_embeddings = 32768;
    c.model.rope_theta = 1e6f;
    c.model.rms_norm_eps = 1e-6f;
    c.model.tie_word_embeddings = c.model.attention_bias = 1;
    c.encode = encode; c.decode = decode;
    c.eos_token_id = 151645;
    c.num_prompts = c.num_generations = c.max_completion_length = c.max_prompt_length = 1;
    c.objective.beta = 0;
    g = grpo_new(&c);
    if (!g || grpo_save(g, folder, GRPO_SAVE_BF16)) {
        fprintf(stderr, "toy_folder: %s\n", g ? grpo_error(g) : c.error);
        return 1;
    }
    grpo_free(g);
    f = create(folder, "generation_config.json");
    fprintf(f, "{\"eos_token_id\": [151645, 151643], \"pad_token_id\": 151643}\n");
    fclose(f);
    for (i = 0; i < 2; i++) {
        char path[1024], error[JSON_ERROR_LENGTH];
        size_t length;
        char *text;
        snprintf(path, sizeof path, "%s/%s", tokenizer, names[i]);
        text = json_load(path, &length, error);
        if (!text) { fprintf(stderr, "toy_folder: %s\n", error); return 1; }
        f = create(folder, names[i]);
        fwrite(text, 1, length, f);
        fclose(f);
        free(text);
    }
    return 0;
}

static size_t bytes_of(int type, size_t numbers) { return numbers * (type == 0 ? 4 : 2); }

static int write_gguf(const char *path, const char *chat_template) {
    static const make_shape shape = { "llama", 16, 24, 1, 2, 2, 8, MAKE_BYTE_TOKENS, 1, 0 };
    static make_file f;
    int good;
    make_model(&f, &shape, 0, bytes_of);
    make_text(&f, "tokenizer.chat_template", chat_template);
    good = make_write(&f, path);
    make_free(&f);
    if (!good) perror(path);
    return !good;
}

int main(int argc, char **argv) {
    const int asked = argc == 2 && !strcmp(argv[1], "--help");
    const char *ending;
    system_arguments(&argc, &argv);
    if (asked || (argc != 2 && argc != 3) || !strncmp(argv[1], "--", 2)) {
        fprintf(asked ? stdout : stderr, "usage: toy_folder FOLDER [TOKENIZER]\n"
                "       toy_folder FILE.gguf TEMPLATE\n");
        return asked ? 0 : 2;
    }
    ending = strrchr(argv[1], '.');
    if (argc == 3 && ending && !strcmp(ending, ".gguf")) return write_gguf(argv[1], argv[2]);
    system_make_folder(argv[1]);
    return argc == 3 ? write_qwen(argv[1], argv[2]) : write_sums_model(argv[1]);
}
