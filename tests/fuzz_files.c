/* libFuzzer harness for the readers of files: safetensors (grpo_load, grpo_resume), config.json,
 * generation_config.json, model.safetensors.index.json, and of LoRA adapter_config.json,
 * adapter_model.safetensors and its state. The first byte of an input says which of the eight; the
 * rest is the file, which is written to $TMPDIR (or /dev/shm) and read back. Whatever it holds: no
 * crash, and a refused file changes nothing. In the repository's root:
 *
 *   clang -std=c99 -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz_files.c -o fuzz -lm
 *   mkdir corpus; ./fuzz -max_len=8192 -max_total_time=180 corpus
 *
 * Without libFuzzer, files as arguments are tried one by one; --corpus writes good ones to begin
 * with:
 *
 *   cc -DFUZZ_STANDALONE -I. tests/fuzz_files.c -o try -lm
 *   ./try --corpus corpus; ./try corpus/x */
#define GRPO_IMPLEMENTATION
#include "grpo.h"

#ifdef __cplusplus
extern "C"
#endif
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[512], config_path[600], model_path[600], state_path[600];
static char parts[512], generation_path[600], index_path[600];        /* a model in two files    */
static char adapters[512], lora_path[600], adapter_path[600], adapter_state_path[600];
typedef struct subject { grpo *g; float *before[4], *after[4]; } subject;
static subject whole, adapted;      /* all of its weights are trained, or adapters               */
static char good_config[2048];      /* what grpo_load() compares with                            */
static char good_lora[2048];
static size_t good_size, good_lora_size;
static int config_is_good;

static void need(int condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static float no_reward(const grpo_sample *s, void *user) {
    (void)user;
    return (float)s->num_tokens;
}

static void write_file(const char *path, const void *data, size_t size) {
    FILE *file;
    remove(path);
    file = fopen(path, "wb");
    need(file && fwrite(data, 1, size, file) == size && !fclose(file), "cannot write the input");
}

/* Array i of what may change; NULL: there is none. */
static float *array_of(const subject *s, int i) {
    struct grpo__machinery *w = s->g->machinery;
    return i == 0 ? w->trained : i == 1 ? w->adam_m : i == 2 ? w->adam_v : w->reference;
}

static void download(const subject *s, float *const to[4]) {
    int i;
    for (i = 0; i < 4; i++)
        if (array_of(s, i)) memcpy(to[i], array_of(s, i), s->g->num_trained * sizeof(float));
}

static void upload(const subject *s) {
    int i;
    for (i = 0; i < 4; i++)
        if (array_of(s, i))
            memcpy(array_of(s, i), s->before[i], s->g->num_trained * sizeof(float));
    grpo__weights_changed(s->g, GRPO_POLICY);
    if (s->g->machinery->reference) grpo__weights_changed(s->g, GRPO_REFERENCE);
}

static void make_subject(subject *s, grpo_config *c, const char *where) {
    int i;
    s->g = grpo_new(c);
    need(s->g != NULL, c->error);
    need(!grpo_save(s->g, where, GRPO_SAVE_STATE), grpo_error(s->g));
    for (i = 0; i < 4; i++) {
        s->before[i] = (float *)calloc(s->g->num_trained, sizeof(float));
        s->after[i] = (float *)calloc(s->g->num_trained, sizeof(float));
        need(s->before[i] && s->after[i], "out of memory");
    }
    download(s, s->before);
}

/* The tensors of the object, by turns, into part0.safetensors and part1.safetensors. */
static void write_parts(void) {
    int part, t, i;
    for (part = 0; part < 2; part++) {
        static char bytes[1 << 16];
        char path[600];
        size_t n = 8, at = 0;
        n += (size_t)sprintf(bytes + n, "{");
        for (t = part; t < whole.g->machinery->num_tensors; t += 2) {
            grpo__tensor x = whole.g->machinery->tensors[t];
            size_t size = 4 * (size_t)x.rows * (size_t)(x.cols ? x.cols : 1);
            n += (size_t)sprintf(bytes + n, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%d",
                                 at ? "," : "", x.name, x.rows);
            if (x.cols) n += (size_t)sprintf(bytes + n, ",%d", x.cols);
            n += (size_t)sprintf(bytes + n, "],\"data_offsets\":[%lu,%lu]}", (unsigned long)at,
                                 (unsigned long)(at + size));
            at += size;
        }
        n += (size_t)sprintf(bytes + n, "}");
        for (i = 0; i < 8; i++) bytes[i] = (char)((n - 8) >> 8 * i & 255);
        memset(bytes + n, 0, at);
        snprintf(path, sizeof path, "%s/part%d.safetensors", parts, part);
        write_file(path, bytes, n + at);
    }
}

static void prepare(void) {
    const char *where = getenv("TMPDIR");
    grpo_config c = grpo_defaults();
    FILE *file;
    snprintf(folder, sizeof folder, "%.400s/grpo_fuzz_%ld", where ? where : "/dev/shm",
             (long)getpid());
    snprintf(config_path, sizeof config_path, "%s/config.json", folder);
    snprintf(model_path, sizeof model_path, "%s/model.safetensors", folder);
    snprintf(state_path, sizeof state_path, "%s/trainer_state.safetensors", folder);
    snprintf(parts, sizeof parts, "%.480s_parts", folder);
    snprintf(generation_path, sizeof generation_path, "%s/generation_config.json", parts);
    snprintf(index_path, sizeof index_path, "%s/model.safetensors.index.json", parts);
    snprintf(adapters, sizeof adapters, "%.480s_adapters", folder);
    snprintf(lora_path, sizeof lora_path, "%s/adapter_config.json", adapters);
    snprintf(adapter_path, sizeof adapter_path, "%s/adapter_model.safetensors", adapters);
    snprintf(adapter_state_path, sizeof adapter_state_path, "%s/trainer_state.safetensors",
             adapters);
    c.vocabulary = "a";
    c.model.hidden_size = 2;
    c.model.intermediate_size = 1;
    c.model.num_hidden_layers = 1;
    c.model.num_attention_heads = 1;
    c.num_prompts = c.num_generations = c.max_prompt_length = c.max_completion_length = 1;
    c.objective.beta = 1;
    c.threads = 1;
    grpo_add_reward(&c, "none", no_reward, 1, NULL);
    make_subject(&whole, &c, folder);
    c.lora.rank = 1;
    c.lora.targets = GRPO_LORA_Q | GRPO_LORA_DOWN;
    make_subject(&adapted, &c, adapters);
    file = fopen(lora_path, "rb");
    need(file && (good_lora_size = fread(good_lora, 1, sizeof good_lora, file)) > 0,
         "no adapter_config.json");
    fclose(file);
    file = fopen(config_path, "rb");
    need(file && (good_size = fread(good_config, 1, sizeof good_config, file)) > 0,
         "no config.json");
    fclose(file);
    config_is_good = 1;
    {
        char path[600];
        grpo__make_folder(parts);
        snprintf(path, sizeof path, "%s/config.json", parts);
        write_file(path, good_config, good_size);
        write_parts();
    }
}

static void try_config(const uint8_t *data, size_t size) {
    grpo_config c = grpo_defaults(), was = c;
    int code;
    write_file(config_path, data, size);
    config_is_good = 0;
    code = grpo_load_config(&c, folder);
    need(code <= 0 && (!code || strlen(c.error) > 10), "no sentence");
    memset(c.error, 0, sizeof c.error);
    need(!code || !memcmp(&c, &was, sizeof c), "a refused config.json changed the config");
    c.vocabulary = NULL;
    if (!code && c.model.vocab_size < 1000) {
        grpo_memory needed;
        grpo_memory_needed(&c, &needed);
    }
}

static int encode_nothing(void *tokenizer, const char *text, int *tokens, int capacity) {
    (void)tokenizer; (void)text; (void)tokens; (void)capacity;
    return 0;
}

static void try_generation(const uint8_t *data, size_t size) {
    grpo_config c = grpo_defaults(), was;
    int code, i;
    write_file(generation_path, data, size);
    c.encode = encode_nothing;
    was = c;
    code = grpo_load_config(&c, parts);
    need(code <= 0 && (!code || strlen(c.error) > 10), "no sentence");
    memset(c.error, 0, sizeof c.error);
    need(!code || !memcmp(&c, &was, sizeof c), "a refused file changed the config");
    need(c.num_eos >= 0 && c.num_eos <= GRPO_MAX_EOS, "too many eos_token_ids");
    for (i = 0; i < c.num_eos; i++) need(c.eos_token_ids[i] >= 0, "a negative token");
    remove(generation_path);
}

static void try_lora(const uint8_t *data, size_t size) {
    grpo_config c = grpo_defaults(), was = c;
    int code;
    write_file(lora_path, data, size);
    code = grpo_load_config(&c, adapters);
    need(code <= 0 && (!code || strlen(c.error) > 10), "no sentence");
    memset(c.error, 0, sizeof c.error);
    need(!code || !memcmp(&c, &was, sizeof c), "a refused adapter_config.json changed the config");
    need(code || (c.lora.rank > 0 && c.lora.targets > 0 && c.lora.targets <= GRPO_LORA_ALL),
         "no such adapters");
    grpo_load(adapted.g, adapters); /* must fit the object, or not be loaded                     */
    upload(&adapted);
    memset(&adapted.g->state, 0, sizeof adapted.g->state);
    write_file(lora_path, good_lora, good_lora_size);
}

static void try_archive(const subject *s, const char *path, int resume, const uint8_t *data,
                        size_t size) {
    const char *where = s == &adapted ? adapters : path == index_path ? parts : folder;
    grpo *g = s->g;
    int code, i;
    size_t k;
    if (!config_is_good) write_file(config_path, good_config, good_size);
    config_is_good = 1;
    write_file(path, data, size);
    code = resume ? grpo_resume(g, where) : grpo_load(g, where);
    need(code <= 0 && (!code || strlen(grpo_error(g)) > 10), "no sentence");
    download(s, s->after);
    for (i = 0; i < 4; i++) {
        need(!code || !memcmp(s->before[i], s->after[i], g->num_trained * sizeof(float)),
             "a refused file changed the weights");
        for (k = 0; k < g->num_trained; k++)
            need(grpo__finite((double)s->after[i][k]), "a number that is not finite was loaded");
    }
    need(g->state.step >= 0 && g->state.optimizer_step >= 0 && g->state.adam_step >= 0
         && g->state.num_tokens >= 0, "negative counters");
    if (!code) upload(s);
    memset(&g->state, 0, sizeof g->state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!whole.g) prepare();
    if (!size) return 0;
    data++;
    size--;
    switch (data[-1] % 8) {
    case 0: try_config(data, size); break;
    case 1: try_archive(&whole, model_path, 0, data, size); break;
    case 2: try_archive(&whole, state_path, 1, data, size); break;
    case 3: try_archive(&whole, index_path, 0, data, size); break;
    case 4: try_generation(data, size); break;
    case 5: try_lora(data, size); break;
    case 6: try_archive(&adapted, adapter_path, 0, data, size); break;
    default: try_archive(&adapted, adapter_state_path, 1, data, size);
    }
    return 0;
}

#ifdef FUZZ_STANDALONE
/* A good file of each kind. */
static void write_corpus(const char *to) {
    static uint8_t data[1 << 16];
    const char *index = "{\"weight_map\": {\"model.norm.weight\": \"part1.safetensors\"}}";
    const char *paths[8];
    int i;
    paths[0] = config_path; paths[1] = model_path; paths[2] = state_path; paths[3] = index_path;
    paths[4] = generation_path; paths[5] = lora_path; paths[6] = adapter_path;
    paths[7] = adapter_state_path;
    write_file(index_path, index, strlen(index));
    write_file(generation_path, "{\"eos_token_id\": [1, 0]}", 24);
    for (i = 0; i < 8; i++) {
        char path[600];
        FILE *file = fopen(paths[i], "rb");
        size_t size = file ? fread(data + 1, 1, sizeof data - 1, file) : 0;
        need(size > 0, paths[i]);
        fclose(file);
        data[0] = (uint8_t)i;
        snprintf(path, sizeof path, "%.500s/%d", to, i);
        write_file(path, data, size + 1);
    }
}

int main(int argc, char **argv) {
    static uint8_t data[1 << 20];
    int i;
    if (argc == 3 && !strcmp(argv[1], "--corpus")) {
        prepare();
        write_corpus(argv[2]);
        return 0;
    }
    for (i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        size_t size = file ? fread(data, 1, sizeof data, file) : 0;
        if (file) fclose(file);
        LLVMFuzzerTestOneInput(data, size);
        printf("%s: %s\n", argv[i], whole.g ? grpo_error(data[0] % 8 < 5 ? whole.g : adapted.g)
               : "empty");
    }
    return 0;
}
#endif
