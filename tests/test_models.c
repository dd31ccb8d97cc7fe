/* Real models against float64 references of PyTorch: log-probs, entropies, loss and every gradient.
 * Needs the folder of models in the environment variable GRPO_DATA; says "skipped" without it. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"

enum { MOST = 256 };

typedef struct reference {
    int num_tokens, prompt_len, tokens[MOST];
    double loss, logprobs[MOST], entropy[MOST];
} reference;

/* A whole file, with a NUL after it. */
static char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *bytes = (char *)calloc(1, 1 << 22);
    *size = f ? fread(bytes, 1, (1 << 22) - 1, f) : 0;
    if (f) fclose(f);
    return bytes;
}

/* The numbers after "key": or "key": [ in a JSON text. Returns how many. */
static int read_numbers(const char *json, const char *key, double *to)
{
    char quoted[64], *end;
    const char *at;
    int n = 0;
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    at = strstr(json, quoted);
    for (at = at ? at + strlen(quoted) : ""; n < MOST; at = end) {
        at += strspn(at, " \n[,");
        to[n] = strtod(at, &end);
        if (end == at) break;
        n++;
        if (*end != ',') break;
    }
    return n;
}

static int read_reference(const char *path, reference *r)
{
    double tokens[MOST], prompt_len = 0;
    size_t size;
    char *json = read_file(path, &size);
    int i, good;
    r->num_tokens = read_numbers(json, "tokens", tokens);
    for (i = 0; i < r->num_tokens; i++) r->tokens[i] = (int)tokens[i];
    good = read_numbers(json, "logprobs", r->logprobs) && read_numbers(json, "entropy", r->entropy)
        && read_numbers(json, "prompt_len", &prompt_len)
        && read_numbers(json, "loss_mean_nll_completion", &r->loss);
    r->prompt_len = (int)prompt_len;
    free(json);
    return good && r->num_tokens > 0;
}

/* A tokenizer for texts that are the address of a list of tokens' reference. */
static int encode_completion(void *tokenizer, const char *text, int *tokens, int capacity)
{
    const reference *r = (const reference *)tokenizer;
    int i, n = r->num_tokens - r->prompt_len;
    (void)text;
    for (i = 0; i < n && i < capacity; i++) tokens[i] = r->tokens[r->prompt_len + i];
    return n;
}
static int decode_nothing(void *tokenizer, const int *tokens, int num_tokens, char *text,
                          int capacity)
{
    (void)tokenizer; (void)tokens; (void)num_tokens; (void)text; (void)capacity;
    return 0;
}

/* The reference's gradients have the names and shapes of the weights: load them as if they were. */
static void compare_gradients(grpo *g, const char *model, const char *gradients)
{
    static const char *const to[] = { "test_models_folder/config.json",
                                      "test_models_folder/model.safetensors" };
    struct grpo__machinery *w = g->machinery;
    const char *from[2];
    float *ours = (float *)malloc(g->num_parameters * sizeof(float)), *theirs;
    double worst = 0;
    int i;
    size_t k;
    from[0] = "config.json";
    from[1] = gradients;
    grpo__make_folder("test_models_folder");
    for (i = 0; i < 2; i++) {
        char path[2048], *bytes;
        size_t size;
        FILE *f = fopen(to[i], "wb");
        snprintf(path, sizeof path, "%s/%s", model, from[i]);
        bytes = read_file(path, &size);
        CHECK(f && fwrite(bytes, 1, size, f) == size, "%s", to[i]);
        if (f) fclose(f);
        free(bytes);
    }
    theirs = (float *)malloc(g->num_parameters * sizeof(float));
    w->backend->download(w->context, ours, w->gradient, g->num_parameters * sizeof(float));
    CHECK(!grpo_load(g, "test_models_folder"), "%s", grpo_error(g));
    w->backend->download(w->context, theirs, w->weights, g->num_parameters * sizeof(float));
    for (i = 0; i < grpo__num_tensors(&g->config.model); i++) {
        grpo__tensor t = grpo__tensor_at(&g->config.model, i);
        size_t n = grpo__size(t.rows, t.cols ? t.cols : 1);
        double norm = 0, error = 0;
        for (k = t.offset; k < t.offset + n; k++) {
            norm += (double)theirs[k] * (double)theirs[k];
            error += ((double)ours[k] - (double)theirs[k]) * ((double)ours[k] - (double)theirs[k]);
        }
        error = sqrt(error) / (sqrt(norm) + 1e-12);
        CHECK(error < 1e-4, "%s: relative error %g", t.name, error);
        if (error > worst) worst = error;
    }
    printf("  gradients: worst relative error of a tensor %.1e\n", worst);
    free(ours);
    free(theirs);
    for (i = 0; i < 2; i++) remove(to[i]);
    remove("test_models_folder");
}

static void test_model(const char *data, const char *folder, const char *json,
                       const char *gradients)
{
    static reference r;
    grpo_config c = grpo_defaults();
    char path[2048], model[1024];
    grpo_prompt prompt;
    float logprobs[MOST], entropies[MOST], d[MOST];
    double loss = 0, worst = 0, worst_entropy = 0;
    int t, n;
    grpo *g;
    memset(&r, 0, sizeof r);
    snprintf(model, sizeof model, "%s/%s", data, folder);
    snprintf(path, sizeof path, "%s/%s", model, json);
    if (!read_reference(path, &r)) { printf("skipped: no %s\n", path); return; }
    CHECK(!grpo_load_config(&c, model), "%s", c.error);
    c.encode = encode_completion;
    c.decode = decode_nothing;
    c.tokenizer = &r;
    c.eos_token_id = 0;
    c.num_prompts = c.num_generations = 1;
    c.max_prompt_length = r.prompt_len;
    c.max_completion_length = r.num_tokens - r.prompt_len + 1;
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) return;
    CHECK(!grpo_load(g, model), "%s", grpo_error(g));
    prompt = grpo_question("prompt", "completion");
    prompt.tokens = r.tokens;
    prompt.num_tokens = r.prompt_len;
    CHECK(!grpo__answers_batch(g, &prompt, 1), "%s", grpo_error(g));
    g->machinery->stage = GRPO__ROLLED;
    CHECK(!grpo_forward(g, GRPO_POLICY, logprobs, entropies), "%s", grpo_error(g));
    n = r.num_tokens - r.prompt_len;
    for (t = 0; t < n; t++) {
        int at = r.prompt_len - 1 + t;
        loss -= (double)logprobs[t] / n;
        worst = fmax(worst, fabs((double)logprobs[t] - r.logprobs[at]));
        worst_entropy = fmax(worst_entropy, fabs((double)entropies[t] - r.entropy[at]));
        d[t] = -1.0f / (float)n;
    }
    d[n] = 0;                       /* the end-of-text that was put behind it */
    printf("%s: loss %.6f, reference %.6f\n", folder, loss, r.loss);
    printf("  log-probs: worst error %.1e, entropies %.1e\n", worst, worst_entropy);
    CHECK(worst < 1e-4 && worst_entropy < 1e-4, "log-probs %g, entropies %g", worst, worst_entropy);
    CHECK_CLOSE(loss, r.loss, 1e-5);
    CHECK(!grpo_backward(g, d, NULL), "%s", grpo_error(g));
    if (g->machinery->dembed)
        grpo_cpu()->mix(g->machinery->context, g->machinery->gradient, g->machinery->dembed, 1, 1,
                        grpo__size(c.model.vocab_size, c.model.hidden_size));
    compare_gradients(g, model, gradients);
    grpo_free(g);
}

int main(void)
{
    const char *data = getenv("GRPO_DATA");
    CHECK(1, "there is always one check");
    if (data) {
        test_model(data, "stories260K", "ref_greedy200.json", "ref_greedy200_grads.safetensors");
        test_model(data, "qwen3_adder/hf_137", "ref.json", "ref_grads.safetensors");
    } else printf("skipped: real models (set GRPO_DATA to their folder)\n");
    return check_finish();
}
