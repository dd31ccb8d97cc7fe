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

static int read_numbers(grpo__json *j, double *to)
{
    int n = 0;
    while (grpo__json_item(j, &n))
        if (n <= MOST) to[n - 1] = grpo__json_number(j);
    return n;
}

static int read_reference(grpo_config *c, const char *path, reference *r)
{
    double tokens[MOST];
    char key[64], *bytes;
    grpo__json j;
    size_t size;
    int code, count = 0, i;
    bytes = grpo__read_file(c, path, &size, &code);
    if (!bytes) return 0;
    j = grpo__json_of(bytes, size);
    while (grpo__json_key(&j, &count, key, sizeof key)) {
        if (!strcmp(key, "tokens")) r->num_tokens = read_numbers(&j, tokens);
        else if (!strcmp(key, "logprobs")) read_numbers(&j, r->logprobs);
        else if (!strcmp(key, "entropy")) read_numbers(&j, r->entropy);
        else if (!strcmp(key, "prompt_len")) r->prompt_len = (int)grpo__json_number(&j);
        else if (!strcmp(key, "loss_mean_nll_completion")) r->loss = grpo__json_number(&j);
        else grpo__json_skip(&j, 32);
    }
    for (i = 0; i < r->num_tokens; i++) r->tokens[i] = (int)tokens[i];
    grpo__release(c, bytes);
    return !j.failed;
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
static int decode_nothing(void *tokenizer, const int *tokens, int num_tokens, char *text, int capacity)
{
    (void)tokenizer; (void)tokens; (void)num_tokens; (void)text; (void)capacity;
    return 0;
}

static void compare_gradients(grpo *g, const char *path)
{
    struct grpo__machinery *w = g->machinery;
    grpo__archive a;
    double worst = 0;
    int i;
    size_t k;
    CHECK(!grpo__open_archive(&a, &g->config, path), "%s", g->config.error);
    for (i = 0; i < grpo__num_tensors(&g->config.model); i++) {
        grpo__tensor t = grpo__tensor_at(&g->config.model, i);
        int code;
        grpo__entry *e = grpo__find_entry(&a, "", &t, &code);
        size_t n = grpo__tensor_size(&t);
        float *ours = (float *)malloc(n * sizeof(float));
        double norm = 0, error = 0;
        CHECK(e != NULL, "%s", g->config.error);
        if (!e) { free(ours); continue; }
        w->backend->download(w->context, ours, w->gradient + t.offset, n * sizeof(float));
        for (k = 0; k < n; k++) {
            double theirs = (double)grpo__read_element(a.data + (size_t)e->begin + 4 * k, "F32");
            norm += theirs * theirs;
            error += ((double)ours[k] - theirs) * ((double)ours[k] - theirs);
        }
        error = sqrt(error) / (sqrt(norm) + 1e-12);
        CHECK(error < 1e-4, "%s: relative error %g", t.name, error);
        if (error > worst) worst = error;
        free(ours);
    }
    printf("  gradients: worst relative error of a tensor %.1e\n", worst);
    grpo__close_archive(&a);
}

static void test_model(const char *data, const char *folder, const char *json, const char *gradients)
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
    if (!read_reference(&c, path, &r)) { printf("skipped: no %s\n", path); return; }
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
        loss -= (double)logprobs[t] / n;
        worst = fmax(worst, fabs((double)logprobs[t] - r.logprobs[r.prompt_len - 1 + t]));
        worst_entropy = fmax(worst_entropy, fabs((double)entropies[t] - r.entropy[r.prompt_len - 1 + t]));
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
    snprintf(path, sizeof path, "%s/%s", model, gradients);
    compare_gradients(g, path);
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
