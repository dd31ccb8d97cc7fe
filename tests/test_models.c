/* Models against references. Small random ones of every family and kind of rotary positions: their
 * log-probs, from folders, against a forward pass in double that is written here a second time.
 * Real ones against float64 references of PyTorch: logits, log-probs, entropies, loss, every
 * gradient, and the greedy text; these need the folder of models in the environment variable
 * GRPO_DATA, and say "skipped" without it. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"

enum { MOST = 1024 };               /* tokens, or entries of a vocabulary                        */

typedef struct reference {
    int num_tokens, prompt_len, tokens[MOST], vocab;
    double loss, logprobs[MOST], entropy[MOST], logits[2][MOST];      /* first and last row      */
} reference;

/* A whole file, with a NUL after it. */
static char *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    char *bytes = (char *)calloc(1, 1 << 22);
    *size = f ? fread(bytes, 1, (1 << 22) - 1, f) : 0;
    if (f) fclose(f);
    return bytes;
}

/* The numbers after "key": or "key": [ in a JSON text. Returns how many. */
static int read_numbers(const char *json, const char *key, double *to) {
    char quoted[64], *end;
    const char *at;
    int n = 0;
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    at = strstr(json, quoted);
    for (at = at ? at + strlen(quoted) : ""; n < MOST; at = end) {
        double x;
        at += strspn(at, " \n[,");
        x = strtod(at, &end);
        if (end == at) break;
        to[n++] = x;
        if (*end != ',') break;
    }
    return n;
}

static int read_reference(const char *path, reference *r) {
    double tokens[MOST], prompt_len = 0;
    size_t size;
    char *json = read_file(path, &size);
    int i, good;
    r->vocab = read_numbers(json, "logits_first", r->logits[0]);
    r->num_tokens = read_numbers(json, "tokens", tokens);
    for (i = 0; i < r->num_tokens; i++) r->tokens[i] = (int)tokens[i];
    good = read_numbers(json, "logprobs", r->logprobs) && read_numbers(json, "entropy", r->entropy)
        && read_numbers(json, "prompt_len", &prompt_len)
        && read_numbers(json, "loss_mean_nll_completion", &r->loss)
        && r->vocab && read_numbers(json, "logits_last", r->logits[1]) == r->vocab;
    r->prompt_len = (int)prompt_len;
    free(json);
    return good && r->num_tokens > 0;
}

/* A tokenizer for texts that are the address of a list of tokens' reference. */
static int encode_completion(void *tokenizer, const char *text, int *tokens, int capacity) {
    const reference *r = (const reference *)tokenizer;
    int i, n = r->num_tokens - r->prompt_len;
    (void)text;
    for (i = 0; i < n && i < capacity; i++) tokens[i] = r->tokens[r->prompt_len + i];
    return n;
}
static int decode_nothing(void *tokenizer, const int *tokens, int num_tokens, char *text,
                          int capacity) {
    (void)tokenizer; (void)tokens; (void)num_tokens; (void)text; (void)capacity;
    return 0;
}

/* The reference's gradients have the names and shapes of the weights: load them as if they were. */
static void compare_gradients(grpo *g, const char *model, const char *gradients) {
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
    for (i = 0; i < g->machinery->num_tensors; i++) {
        grpo__tensor t = g->machinery->tensors[i];
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

/* A real model, with room for so many tokens; 9 ends a text, and is in no reference's. */
static grpo *load_real(const char *model, reference *r, int prompt, int completion) {
    grpo_config c = grpo_defaults();
    grpo *g;
    CHECK(!grpo_load_config(&c, model), "%s", c.error);
    c.encode = encode_completion;
    c.decode = decode_nothing;
    c.tokenizer = r;
    c.eos_token_id = 9;
    c.num_prompts = c.num_generations = 1;
    c.max_prompt_length = prompt;
    c.max_completion_length = completion;
    g = grpo_new(&c);
    CHECK(g && !grpo_load(g, model), "%s", g ? grpo_error(g) : c.error);
    return g;
}

/* What follows the first n tokens, greedily: as many as there is room for. */
static const int *say_greedily(grpo *g, const reference *r, int n) {
    static const grpo_sampling greedy = { 0, 0, 1, 0 };
    grpo_prompt prompt = grpo_question("prompt", "completion");
    char nothing[1];
    prompt.tokens = r->tokens;
    prompt.num_tokens = n;
    CHECK(grpo_generate(g, &prompt, &greedy, 1, nothing, 1) == 0, "%s", grpo_error(g));
    return g->batch.tokens;
}

/* The logits that a token was drawn from stay where they were. */
static void compare_logits(const char *model, reference *r) {
    grpo *g = load_real(model, r, r->num_tokens, 1);
    struct grpo__machinery *w = g ? g->machinery : NULL;
    float logits[MOST];
    double worst = 0;
    int i, last;
    for (last = 0; last < 2 && w; last++) {
        say_greedily(g, r, last ? r->num_tokens : 1);
        w->backend->download(w->context, logits, w->logits, (size_t)r->vocab * sizeof(float));
        for (i = 0; i < r->vocab; i++)
            worst = fmax(worst, fabs((double)logits[i] - r->logits[last][i])
                                / fmax(1, fabs(r->logits[last][i])));
    }
    printf("  logits of the first and last token: worst error %.1e of their size\n", worst);
    CHECK(w && r->vocab == g->config.model.vocab_size && worst < 1e-4, "logits %g", worst);
    grpo_free(g);
}

/* The text that the reference is of, token for token, as sampling says it. */
static void compare_greedy(grpo *g, const reference *r) {
    int t, n = r->num_tokens - r->prompt_len;
    const int *tokens = say_greedily(g, r, r->prompt_len);
    CHECK(g->batch.offsets[1] == n + 1, "%d tokens", (int)g->batch.offsets[1]);
    for (t = 0; t < n && tokens[t] == r->tokens[r->prompt_len + t]; t++) {}
    CHECK(t == n, "token %d of %d is another", t, n);
    printf("  greedy text: %d of %d tokens equal\n", t, n);
}

static void test_model(const char *data, const char *folder, const char *json,
                       const char *gradients) {
    static reference r;
    char path[2048], model[1024];
    grpo_prompt prompt;
    float logprobs[MOST], entropies[MOST], d[MOST];
    const grpo_per_token to = { logprobs, entropies, NULL, NULL };
    const grpo_per_token gradient = { d, NULL, NULL, NULL };
    double loss = 0, worst = 0, worst_entropy = 0;
    int t, n;
    grpo *g;
    memset(&r, 0, sizeof r);
    snprintf(model, sizeof model, "%s/%s", data, folder);
    snprintf(path, sizeof path, "%s/%s", model, json);
    if (!read_reference(path, &r)) { printf("skipped: no %s\n", path); return; }
    g = load_real(model, &r, r.prompt_len, r.num_tokens - r.prompt_len + 1);
    if (!g) return;
    prompt = grpo_question("prompt", "completion");
    prompt.tokens = r.tokens;
    prompt.num_tokens = r.prompt_len;
    printf("%s:\n", folder);
    compare_greedy(g, &r);
    CHECK(!grpo__answers_batch(g, &prompt, 1), "%s", grpo_error(g));
    g->machinery->stage = GRPO__ROLLED;
    CHECK(!grpo_forward(g, GRPO_POLICY, NULL, &to), "%s", grpo_error(g));
    n = r.num_tokens - r.prompt_len;
    for (t = 0; t < n; t++) {
        int at = r.prompt_len - 1 + t;
        loss -= (double)logprobs[t] / n;
        worst = fmax(worst, fabs((double)logprobs[t] - r.logprobs[at]));
        worst_entropy = fmax(worst_entropy, fabs((double)entropies[t] - r.entropy[at]));
        d[t] = -1.0f / (float)n;
    }
    d[n] = 0;                       /* the end-of-text that was put behind it */
    printf("  loss %.6f, reference %.6f\n", loss, r.loss);
    printf("  log-probs: worst error %.1e, entropies %.1e\n", worst, worst_entropy);
    CHECK(worst < 1e-4 && worst_entropy < 1e-4, "log-probs %g, entropies %g", worst, worst_entropy);
    CHECK_CLOSE(loss, r.loss, 1e-5);
    CHECK(!grpo_backward(g, NULL, &gradient), "%s", grpo_error(g));
    if (g->machinery->dembed)
        grpo_cpu()->mix(g->machinery->context, g->machinery->gradient, g->machinery->dembed, 1, 1,
                        grpo__size(r.vocab, g->config.model.hidden_size));
    compare_gradients(g, model, gradients);
    grpo_free(g);
    compare_logits(model, &r);
}

/* ---- a forward pass in double, plain loops over the tensors by their names */
enum { LENGTH = 48, WIDEST = 96 };  /* tokens; most of any width                                 */

static double *tensor(grpo *g, int layer, const char *name) {
    struct grpo__machinery *w = g->machinery;
    char whole[128];
    int i;
    size_t k;
    if (layer < 0) snprintf(whole, sizeof whole, "%s", name);
    else snprintf(whole, sizeof whole, "model.layers.%d.%s", layer, name);
    for (i = 0; i < g->machinery->num_tensors; i++) {
        grpo__tensor t = g->machinery->tensors[i];
        size_t n = (size_t)t.rows * (size_t)(t.cols ? t.cols : 1);
        float *x = (float *)malloc(n * sizeof(float));
        double *y = (double *)malloc(n * sizeof(double));
        w->backend->download(w->context, x, w->weights + t.offset, n * sizeof(float));
        for (k = 0; k < n; k++) y[k] = (double)x[k];
        free(x);
        if (!strcmp(t.name, whole)) return y;
        free(y);
    }
    return NULL;
}

/* y[rows] (+)= W[rows, cols] x + bias */
static void product(double *y, double *matrix, const double *x, double *bias, int rows, int cols) {
    int i, j;
    for (i = 0; i < rows; i++)
        for (j = 0, y[i] = bias ? bias[i] : 0; j < cols; j++) y[i] += matrix[i * cols + j] * x[j];
}

static void norm(double *y, const double *x, const double *gain, int n, double eps) {
    double sum = 0;
    int i;
    for (i = 0; i < n; i++) sum += x[i] * x[i];
    for (i = 0; i < n; i++) y[i] = x[i] / sqrt(sum / n + eps) * gain[i];
}

/* transformers' modeling_rope_utils, in its own terms: wavelengths */
static double frequency(const grpo_model_config *m, int i) {
    const grpo_rope_scaling *r = &m->rope_scaling;
    double inv = 1 / pow((double)m->rope_theta, 2.0 * i / m->head_dim), wave = 2 * acos(-1.0) / inv;
    double old = r->original_max_position_embeddings, factor = (double)r->factor;
    double low = (double)r->low_freq_factor, high = (double)r->high_freq_factor, smooth;
    if (r->rope_type == GRPO_ROPE_LINEAR) return inv / factor;
    if (r->rope_type == GRPO_ROPE_DEFAULT || wave < old / high) return inv;
    if (wave > old / low) return inv / factor;
    smooth = (old / wave - low) / (high - low);
    return (1 - smooth) * inv / factor + smooth * inv;
}

static void rotate(double *x, const grpo_model_config *m, int position) {
    int i, half = m->head_dim / 2;
    for (i = 0; i < half; i++) {
        double a = position * frequency(m, i), first = x[i], second = x[half + i];
        x[i] = first * cos(a) - second * sin(a);
        x[half + i] = second * cos(a) + first * sin(a);
    }
}

/* y[n][heads * head_dim] from q likewise, k and v [n][kv_heads * head_dim] */
static void attend(double (*y)[WIDEST], double (*q)[WIDEST], double (*k)[WIDEST],
                   double (*v)[WIDEST], const grpo_model_config *m, int n) {
    int d = m->head_dim, group = m->num_attention_heads / m->num_key_value_heads, t, u, h, i;
    for (t = 0; t < n; t++)
        for (h = 0; h < m->num_attention_heads; h++) {
            double p[LENGTH], sum = 0;
            for (u = 0; u <= t; u++) {
                for (i = 0, p[u] = 0; i < d; i++) p[u] += q[t][h * d + i] * k[u][h / group * d + i];
                sum += p[u] = exp(p[u] / sqrt(d));
            }
            for (i = 0; i < d; i++)
                for (u = 0, y[t][h * d + i] = 0; u <= t; u++)
                    y[t][h * d + i] += p[u] / sum * v[u][h / group * d + i];
        }
}

/* The rows of x through one layer. */
static void layer_of(grpo *g, int layer, double (*x)[WIDEST], int n) {
    static const char *const names[] = { "self_attn.q_proj.weight", "self_attn.k_proj.weight",
        "self_attn.v_proj.weight", "self_attn.o_proj.weight", "mlp.gate_proj.weight",
        "mlp.up_proj.weight", "mlp.down_proj.weight", "input_layernorm.weight",
        "post_attention_layernorm.weight", "self_attn.q_proj.bias", "self_attn.k_proj.bias",
        "self_attn.v_proj.bias", "self_attn.q_norm.weight", "self_attn.k_norm.weight" };
    static double qkv[3][LENGTH][WIDEST], y[LENGTH][WIDEST];
    const grpo_model_config *m = &g->config.model;
    double *w[14], z[WIDEST], up[WIDEST], eps = (double)m->rms_norm_eps;
    int H = m->hidden_size, F = m->intermediate_size, d = m->head_dim, t, h, i, heads;
    for (i = 0; i < 14; i++) w[i] = tensor(g, layer, names[i]);
    for (t = 0; t < n; t++) {
        norm(z, x[t], w[7], H, eps);
        for (i = 0; i < 3; i++) {
            heads = i ? m->num_key_value_heads : m->num_attention_heads;
            product(qkv[i][t], w[i], z, w[9 + i], heads * d, H);
            for (h = 0; i < 2 && h < heads; h++) {
                if (w[12]) norm(qkv[i][t] + h * d, qkv[i][t] + h * d, w[12 + i], d, eps);
                rotate(qkv[i][t] + h * d, m, t);
            }
        }
    }
    attend(y, qkv[0], qkv[1], qkv[2], m, n);
    for (t = 0; t < n; t++) {
        product(z, w[3], y[t], NULL, H, m->num_attention_heads * d);
        for (i = 0; i < H; i++) x[t][i] += z[i];
        norm(z, x[t], w[8], H, eps);
        product(up, w[5], z, NULL, F, H);
        product(y[t], w[4], z, NULL, F, H);
        for (i = 0; i < F; i++) up[i] *= y[t][i] / (1 + exp(-y[t][i]));
        product(z, w[6], up, NULL, H, F);
        for (i = 0; i < H; i++) x[t][i] += z[i];
    }
    for (i = 0; i < 14; i++) free(w[i]);
}

/* log p(tokens[t + 1] | tokens[0..t]) */
static void forward(grpo *g, const int *tokens, int n, double *logprobs) {
    static double x[LENGTH][WIDEST];
    const grpo_model_config *m = &g->config.model;
    double *embed = tensor(g, -1, "model.embed_tokens.weight"), z[WIDEST], logits[WIDEST];
    double *head = tensor(g, -1, "lm_head.weight"), *gain = tensor(g, -1, "model.norm.weight");
    int t, i, H = m->hidden_size;
    for (t = 0; t < n; t++)
        for (i = 0; i < H; i++) x[t][i] = embed[tokens[t] * H + i];
    for (i = 0; i < m->num_hidden_layers; i++) layer_of(g, i, x, n);
    for (t = 0; t + 1 < n; t++) {
        double sum = 0;
        norm(z, x[t], gain, H, (double)m->rms_norm_eps);
        product(logits, head ? head : embed, z, NULL, m->vocab_size, H);
        for (i = 0; i < m->vocab_size; i++) sum += exp(logits[i]);
        logprobs[t] = logits[tokens[t + 1]] - log(sum);
    }
    free(embed); free(head); free(gain);
}

/* A random model is saved, what is wanted of config.json is put in place of what was written, and
 * the folder is read into a second object: its log-probs are those of the forward pass above. */
static void test_small(const char *what, int bias, int qk_norm, int tied, const char *rope,
                       const grpo_rope_scaling *scaling) {
    static reference r;
    grpo_config c = grpo_defaults();
    grpo_prompt prompt = grpo_question("prompt", "completion");
    char *json, *at, *rest;
    double expected[LENGTH], worst = 0;
    float logprobs[LENGTH];
    const grpo_per_token to = { logprobs, NULL, NULL, NULL };
    size_t size;
    FILE *f;
    grpo *g;
    int t, n = LENGTH - 1;
    r.num_tokens = n;
    r.prompt_len = 1;
    for (t = 0; t < n; t++) r.tokens[t] = (t * t * 7 + 3 * t + 5) % 30;
    c.vocabulary = "abcdefghijklmnopqrstuvwxyz0123";          /* 30, and end-of-text             */
    c.model.hidden_size = 32; c.model.intermediate_size = 48; c.model.num_key_value_heads = 2;
    c.model.head_dim = qk_norm ? 16 : 8; c.model.attention_bias = bias; c.model.qk_norm = qk_norm;
    c.model.tie_word_embeddings = tied; c.model.initializer_range = 0.3f;
    c.model.rope_theta = 1000;
    c.num_prompts = c.num_generations = c.max_prompt_length = 1;
    c.max_completion_length = LENGTH;
    g = grpo_new(&c);
    CHECK(g && !grpo_save(g, "test_models_folder", 0), "%s", g ? grpo_error(g) : c.error);
    if (!g) return;
    grpo_free(g);
    json = read_file("test_models_folder/config.json", &size);
    at = strstr(json, "\"rope_scaling\": null");
    f = fopen("test_models_folder/config.json", "wb");
    CHECK(at && f, "no rope_scaling in %s", json);
    if (!at || !f) return;
    rest = at + strlen("\"rope_scaling\": null");
    fprintf(f, "%.*s%s%s", (int)(at - json), json, rope, rest);
    fclose(f);
    free(json);
    CHECK(!grpo_load_config(&c, "test_models_folder"), "%s", c.error);
    CHECK(!memcmp(&c.model.rope_scaling, scaling, sizeof *scaling), "%s: the scaling", what);
    c.vocabulary = NULL; c.encode = encode_completion; c.decode = decode_nothing;
    c.tokenizer = &r; c.eos_token_id = 30; c.seed = 9;
    g = grpo_new(&c);
    CHECK(g && !grpo_load(g, "test_models_folder"), "%s", g ? grpo_error(g) : c.error);
    if (!g) return;
    prompt.tokens = r.tokens;
    prompt.num_tokens = 1;
    CHECK(!grpo__answers_batch(g, &prompt, 1), "%s", grpo_error(g));
    g->machinery->stage = GRPO__ROLLED;
    CHECK(!grpo_forward(g, GRPO_POLICY, NULL, &to), "%s", grpo_error(g));
    forward(g, r.tokens, n, expected);
    for (t = 0; t + 1 < n; t++) worst = fmax(worst, fabs((double)logprobs[t] - expected[t]));
    printf("%s: worst error of a log-prob %.1e\n", what, worst);
    CHECK(worst < 1e-5, "%s: %g", what, worst);
    grpo_free(g);
    remove("test_models_folder/config.json");
    remove("test_models_folder/model.safetensors");
    remove("test_models_folder");
}

static void test_families(void) {
    static const grpo_rope_scaling plain = { GRPO_ROPE_DEFAULT, 0, 0, 0, 0 };
    static const grpo_rope_scaling linear = { GRPO_ROPE_LINEAR, 2.5f, 0, 0, 0 };
    static const grpo_rope_scaling llama3 = { GRPO_ROPE_LLAMA3, 8, 1, 4, 40 };
    test_small("llama", 0, 0, 0, "\"rope_scaling\": null", &plain);
    test_small("qwen2", 1, 0, 1, "\"rope_parameters\": {\"rope_type\": \"default\"}", &plain);
    test_small("qwen3", 0, 1, 1, "\"rope_scaling\": {}", &plain);
    test_small("llama, linear", 0, 0, 1,
               "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.5}", &linear);
    test_small("llama, llama3", 0, 0, 1, "\"rope_parameters\": {\"rope_type\": \"llama3\", "
               "\"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4, "
               "\"original_max_position_embeddings\": 40, \"rope_theta\": 1000.0}", &llama3);
}

int main(void) {
    const char *data = getenv("GRPO_DATA");
    test_families();
    if (data) {
        test_model(data, "stories260K", "ref_greedy200.json", "ref_greedy200_grads.safetensors");
        test_model(data, "qwen3_adder/hf_137", "ref.json", "ref_grads.safetensors");
    } else printf("skipped: real models (set GRPO_DATA to their folder)\n");
    return check_finish();
}
