/* libFuzzer harness for the readers of files: safetensors (grpo_load, grpo_resume), config.json,
 * generation_config.json and model.safetensors.index.json. The first byte of an input says which of
 * the five; the rest is the file, which is written to $TMPDIR (or /dev/shm) and read back. Whatever
 * it holds: no crash, and a refused file changes nothing. In the repository's root:
 *
 *   clang -std=c99 -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz_files.c -o fuzz -lm
 *   mkdir corpus; ./fuzz -max_len=8192 -max_total_time=180 corpus
 *
 * Without libFuzzer, files as arguments are tried one by one:
 *
 *   cc -DFUZZ_STANDALONE -I. tests/fuzz_files.c -o fuzz -lm && ./fuzz corpus/x */
#define GRPO_IMPLEMENTATION
#include "grpo.h"

#ifdef __cplusplus
extern "C"
#endif
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[512], config_path[600], model_path[600], state_path[600];
static char parts[512], generation_path[600], index_path[600];        /* a model in two files    */
static grpo *object;
static float *before[4], *after[4];
static char good_config[2048];      /* what grpo_load() compares with                            */
static size_t good_size;
static int config_is_good;

static void need(int condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static float no_reward(const grpo_sample *s, void *user)
{
    (void)user;
    return (float)s->num_tokens;
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file;
    remove(path);
    file = fopen(path, "wb");
    need(file && fwrite(data, 1, size, file) == size && !fclose(file), "cannot write the input");
}

static void arrays_of(const float *arrays[4])
{
    arrays[0] = object->machinery->weights;
    arrays[1] = object->machinery->adam_m;
    arrays[2] = object->machinery->adam_v;
    arrays[3] = object->machinery->reference;
}

static void download(float *to[4])
{
    const float *arrays[4];
    int i;
    arrays_of(arrays);
    for (i = 0; i < 4; i++)
        object->machinery->backend->download(object->machinery->context, to[i], arrays[i],
                                             object->num_parameters * sizeof(float));
}

static void upload(float *from[4])
{
    const float *arrays[4];
    int i;
    arrays_of(arrays);
    for (i = 0; i < 4; i++)
        object->machinery->backend->upload(object->machinery->context,
                                           (float *)(uintptr_t)arrays[i], from[i],
                                           object->num_parameters * sizeof(float));
    grpo__weights_changed(object, GRPO_POLICY);
    grpo__weights_changed(object, GRPO_REFERENCE);
}

/* The tensors of the object, by turns, into part0.safetensors and part1.safetensors. */
static void write_parts(void)
{
    int part, t, i;
    for (part = 0; part < 2; part++) {
        static char bytes[1 << 16];
        char path[600];
        size_t n = 8, at = 0;
        n += (size_t)sprintf(bytes + n, "{");
        for (t = part; t < grpo__num_tensors(&object->config.model); t += 2) {
            grpo__tensor x = grpo__tensor_at(&object->config.model, t);
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

static void prepare(void)
{
    const char *where = getenv("TMPDIR");
    grpo_config c = grpo_defaults();
    FILE *file;
    int i;
    snprintf(folder, sizeof folder, "%.400s/grpo_fuzz_%ld", where ? where : "/dev/shm",
             (long)getpid());
    snprintf(config_path, sizeof config_path, "%s/config.json", folder);
    snprintf(model_path, sizeof model_path, "%s/model.safetensors", folder);
    snprintf(state_path, sizeof state_path, "%s/trainer_state.safetensors", folder);
    snprintf(parts, sizeof parts, "%.480s_parts", folder);
    snprintf(generation_path, sizeof generation_path, "%s/generation_config.json", parts);
    snprintf(index_path, sizeof index_path, "%s/model.safetensors.index.json", parts);
    c.vocabulary = "a";
    c.model.hidden_size = 2;
    c.model.intermediate_size = 1;
    c.model.num_hidden_layers = 1;
    c.model.num_attention_heads = 1;
    c.num_prompts = c.num_generations = c.max_prompt_length = c.max_completion_length = 1;
    c.objective.beta = 1;
    c.threads = 1;
    grpo_add_reward(&c, "none", no_reward, 1, NULL);
    object = grpo_new(&c);
    need(object != NULL, c.error);
    need(!grpo_save(object, folder, GRPO_SAVE_STATE), grpo_error(object));
    for (i = 0; i < 4; i++) {
        before[i] = (float *)malloc(object->num_parameters * sizeof(float));
        after[i] = (float *)malloc(object->num_parameters * sizeof(float));
        need(before[i] && after[i], "out of memory");
    }
    download(before);
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

static void try_config(const uint8_t *data, size_t size)
{
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

static int encode_nothing(void *tokenizer, const char *text, int *tokens, int capacity)
{
    (void)tokenizer; (void)text; (void)tokens; (void)capacity;
    return 0;
}

static void try_generation(const uint8_t *data, size_t size)
{
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

static void try_archive(const char *path, int resume, const uint8_t *data, size_t size)
{
    const char *where = path == index_path ? parts : folder;
    int code, i;
    size_t k;
    if (!config_is_good) write_file(config_path, good_config, good_size);
    config_is_good = 1;
    write_file(path, data, size);
    code = resume ? grpo_resume(object, where) : grpo_load(object, where);
    need(code <= 0 && (!code || strlen(grpo_error(object)) > 10), "no sentence");
    download(after);
    for (i = 0; i < 4; i++) {
        need(!code || !memcmp(before[i], after[i], object->num_parameters * sizeof(float)),
             "a refused file changed the weights");
        for (k = 0; k < object->num_parameters; k++)
            need(grpo__finite((double)after[i][k]), "a number that is not finite was loaded");
    }
    need(object->state.step >= 0 && object->state.optimizer_step >= 0
         && object->state.adam_step >= 0 && object->state.num_tokens >= 0, "negative counters");
    if (!code) upload(before);
    memset(&object->state, 0, sizeof object->state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!object) prepare();
    if (!size) return 0;
    switch (data[0] % 5) {
    case 0: try_config(data + 1, size - 1); break;
    case 1: try_archive(model_path, 0, data + 1, size - 1); break;
    case 2: try_archive(state_path, 1, data + 1, size - 1); break;
    case 3: try_archive(index_path, 0, data + 1, size - 1); break;
    default: try_generation(data + 1, size - 1);
    }
    return 0;
}

#ifdef FUZZ_STANDALONE
int main(int argc, char **argv)
{
    static uint8_t data[1 << 20];
    int i;
    for (i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        size_t size = file ? fread(data, 1, sizeof data, file) : 0;
        if (file) fclose(file);
        LLVMFuzzerTestOneInput(data, size);
        printf("%s: %s\n", argv[i], object ? grpo_error(object) : "empty");
    }
    return 0;
}
#endif
