/* Fuzzing of the readers of files: safetensors (grpo_load, grpo_resume), config.json,
 * generation_config.json, model.safetensors.index.json, and of LoRA adapter_config.json,
 * adapter_model.safetensors and its state. The first byte of an input says which of the eight; the
 * rest is the file, which is written to $TMPDIR (or /dev/shm) and read back. Whatever it holds: no
 * crash, and a refused file changes nothing. fuzz.h says how it is run. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "fuzz.h"

static char folder[512], config_path[600], model_path[600], state_path[600];
static char parts[512], generation_path[600], index_path[600];        /* a model in two files    */
static char adapters[512], lora_path[600], adapter_path[600], adapter_state_path[600];
typedef struct subject { grpo *g; float *before[4], *after[4]; } subject;
static subject whole, adapted;      /* all of its weights are trained, or adapters               */
static char good_config[2048];      /* what grpo_load() compares with                            */
static char good_lora[2048];
static size_t good_size, good_lora_size;
static int config_is_good;

static float no_reward(const grpo_sample *s, void *user) {
    (void)user;
    return (float)s->num_tokens;
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
    require(s->g != NULL, c->error);
    require(!grpo_save(s->g, where, GRPO_SAVE_STATE), grpo_error(s->g));
    for (i = 0; i < 4; i++) {
        s->before[i] = (float *)calloc(s->g->num_trained, sizeof(float));
        s->after[i] = (float *)calloc(s->g->num_trained, sizeof(float));
        require(s->before[i] && s->after[i], "out of memory");
    }
    download(s, s->before);
}

/* The tensors of the object, by turns, into part0.safetensors and part1.safetensors; and the index
 * that says so. */
static void write_parts(void) {
    static char index[1 << 12];
    size_t end = (size_t)sprintf(index, "{\"weight_map\": {");
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
            end += (size_t)snprintf(index + end, sizeof index - end,
                                    "%s\"%s\": \"part%d.safetensors\"", t ? ", " : "", x.name,
                                    part);
            require(end < sizeof index, "an index that is too long");
        }
        n += (size_t)sprintf(bytes + n, "}");
        for (i = 0; i < 8; i++) bytes[i] = (char)((n - 8) >> 8 * i & 255);
        memset(bytes + n, 0, at);
        snprintf(path, sizeof path, "%s/part%d.safetensors", parts, part);
        fuzz_write_file(path, bytes, n + at);
    }
    end += (size_t)snprintf(index + end, sizeof index - end, "}}");
    fuzz_write_file(index_path, index, end);
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
    require(file && (good_lora_size = fread(good_lora, 1, sizeof good_lora, file)) > 0,
         "no adapter_config.json");
    fclose(file);
    file = fopen(config_path, "rb");
    require(file && (good_size = fread(good_config, 1, sizeof good_config, file)) > 0,
         "no config.json");
    fclose(file);
    config_is_good = 1;
    {
        char path[600];
        grpo__make_folder(parts);
        snprintf(path, sizeof path, "%s/config.json", parts);
        fuzz_write_file(path, good_config, good_size);
        write_parts();
    }
}

static int try_config(const uint8_t *data, size_t size) {
    grpo_config c = grpo_defaults(), was = c;
    int code;
    fuzz_write_file(config_path, data, size);
    config_is_good = 0;
    code = grpo_load_config(&c, folder);
    require(code <= 0 && (!code || strlen(c.error) > 10), "no sentence");
    memset(c.error, 0, sizeof c.error);
    require(!code || !memcmp(&c, &was, sizeof c), "a refused config.json changed the config");
    c.vocabulary = NULL;
    if (!code && c.model.vocab_size < 1000) {
        grpo_memory needed;
        grpo_memory_needed(&c, &needed);
    }
    return !code;
}

static int encode_nothing(void *tokenizer, const char *text, int *tokens, int capacity) {
    (void)tokenizer; (void)text; (void)tokens; (void)capacity;
    return 0;
}

static int try_generation(const uint8_t *data, size_t size) {
    grpo_config c = grpo_defaults(), was;
    int code, i;
    fuzz_write_file(generation_path, data, size);
    c.encode = encode_nothing;
    was = c;
    code = grpo_load_config(&c, parts);
    require(code <= 0 && (!code || strlen(c.error) > 10), "no sentence");
    memset(c.error, 0, sizeof c.error);
    require(!code || !memcmp(&c, &was, sizeof c), "a refused file changed the config");
    require(c.num_eos >= 0 && c.num_eos <= GRPO_MAX_EOS, "too many eos_token_ids");
    for (i = 0; i < c.num_eos; i++) require(c.eos_token_ids[i] >= 0, "a negative token");
    remove(generation_path);
    return !code;
}

static int try_lora(const uint8_t *data, size_t size) {
    grpo_config c = grpo_defaults(), was = c;
    int code;
    fuzz_write_file(lora_path, data, size);
    code = grpo_load_config(&c, adapters);
    require(code <= 0 && (!code || strlen(c.error) > 10), "no sentence");
    memset(c.error, 0, sizeof c.error);
    require(!code || !memcmp(&c, &was, sizeof c), "a refused adapter_config changed the config");
    require(code || (c.lora.rank > 0 && c.lora.targets > 0 && c.lora.targets <= GRPO_LORA_ALL),
         "no such adapters");
    grpo_load(adapted.g, adapters); /* must fit the object, or not be loaded                     */
    upload(&adapted);
    memset(&adapted.g->state, 0, sizeof adapted.g->state);
    fuzz_write_file(lora_path, good_lora, good_lora_size);
    return !code;
}

static int try_archive(const subject *s, const char *path, int resume, const uint8_t *data,
                       size_t size) {
    const char *where = s == &adapted ? adapters : path == index_path ? parts : folder;
    grpo *g = s->g;
    int code, i;
    size_t k;
    if (!config_is_good) fuzz_write_file(config_path, good_config, good_size);
    config_is_good = 1;
    fuzz_write_file(path, data, size);
    code = resume ? grpo_resume(g, where) : grpo_load(g, where);
    require(code <= 0 && (!code || strlen(grpo_error(g)) > 10), "no sentence");
    download(s, s->after);
    for (i = 0; i < 4; i++) {
        require(!code || !memcmp(s->before[i], s->after[i], g->num_trained * sizeof(float)),
             "a refused file changed the weights");
        for (k = 0; k < g->num_trained; k++)
            require(grpo__finite((double)s->after[i][k]), "a number that is not finite was loaded");
    }
    require(g->state.step >= 0 && g->state.optimizer_step >= 0 && g->state.adam_step >= 0
         && g->state.num_tokens >= 0, "negative counters");
    if (!code) upload(s);
    memset(&g->state, 0, sizeof g->state);
    return !code;
}

static int fuzz_one(const uint8_t *data, size_t size) {
    if (!whole.g) prepare();
    if (!size) return 0;
    data++;
    size--;
    switch (data[-1] % 8) {
    case 0: return try_config(data, size);
    case 1: return try_archive(&whole, model_path, 0, data, size);
    case 2: return try_archive(&whole, state_path, 1, data, size);
    case 3: return try_archive(&whole, index_path, 0, data, size);
    case 4: return try_generation(data, size);
    case 5: return try_lora(data, size);
    case 6: return try_archive(&adapted, adapter_path, 0, data, size);
    default: return try_archive(&adapted, adapter_state_path, 1, data, size);
    }
}

/* A good file of each kind, read once: later files are those of other inputs. */
static size_t fuzz_begin_with(int i, uint8_t *to) {
    enum { KINDS = 8, MOST = 1 << 13 };
    static uint8_t good[KINDS][MOST];
    static size_t sizes[KINDS];
    const char *paths[KINDS];
    int k;
    if (i >= KINDS) return 0;
    if (!sizes[0]) {
        if (!whole.g) prepare();
        paths[0] = config_path; paths[1] = model_path; paths[2] = state_path; paths[3] = index_path;
        paths[4] = generation_path; paths[5] = lora_path; paths[6] = adapter_path;
        paths[7] = adapter_state_path;
        fuzz_write_file(generation_path, "{\"eos_token_id\": [1, 0]}", 24);
        for (k = 0; k < KINDS; k++) {
            FILE *file = fopen(paths[k], "rb");
            good[k][0] = (uint8_t)k;
            require(file && (sizes[k] = 1 + fread(good[k] + 1, 1, MOST - 1, file)) > 1
                    && sizes[k] < MOST, paths[k]);
            fclose(file);
        }
    }
    memcpy(to, good[i], sizes[i]);
    return sizes[i];
}

static const char *const *fuzz_words(void) {
    static const char *const words[] = { "{", "}", "[", "]", "\"", ",", ":", "null", "true", "-1",
        "1e99", "2147483648", "\"shape\":", "\"dtype\":", "BF16", "F16", "I64", "data_offsets",
        "__metadata__", "part0.safetensors", "part1.safetensors", "../", "eos_token_id", "\\u0000",
        "q_proj", "num_hidden_layers", NULL };
    return words;
}

static void fuzz_end(void) {
    int i, k;
    for (k = 0; k < 2; k++) {
        subject *s = k ? &adapted : &whole;
        for (i = 0; i < 4 && s->g; i++) { free(s->before[i]); free(s->after[i]); }
        grpo_free(s->g);
    }
}
