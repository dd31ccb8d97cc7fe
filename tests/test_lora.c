/* test_lora: adapters beside frozen weights. Their gradients are those that the full weights imply,
 * their updates PEFT's, their files go out and in, and the reference is the model without them. */
#define _XOPEN_SOURCE 700           /* mkdtemp, rmdir */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"

#include <unistd.h>

static char base[64], other[64], out[64];

static float is_sum(const grpo_sample *s, void *user) {
    (void)user;
    return strcmp(s->completion, s->answer) == 0 ? 1.0f : s->num_tokens == 2 ? 0.1f : 0.0f;
}

static const grpo_prompt sums[4] = {
    { "1+1=", "2", NULL, 0, NULL }, { "2+2=", "4", NULL, 0, NULL },
    { "3+4=", "7", NULL, 0, NULL }, { "0+5=", "5", NULL, 0, NULL } };

static grpo_config config(int rank) {
    grpo_config c = grpo_defaults();
    c.vocabulary = "0123456789+=";
    c.model.hidden_size = 32; c.model.intermediate_size = 56;
    c.model.num_attention_heads = 4; c.model.num_key_value_heads = 2; c.model.head_dim = 8;
    c.model.attention_bias = 1; c.model.qk_norm = 0;
    c.num_prompts = 4; c.num_generations = 8;
    c.max_prompt_length = 5; c.max_completion_length = 4;
    c.objective.beta = 0.02f;
    c.learning_rate = 3e-3f;
    c.lora.rank = rank;
    c.lora.alpha = 12;
    grpo_add_reward(&c, "sum", is_sum, 1, NULL);
    return c;
}

static grpo *create(grpo_config c) {
    grpo *g = grpo_new(&c);
    CHECK(g, "%s", c.error);
    if (!g) exit(check_finish());
    return g;
}

/* A policy with adapters (rank 0: without) on the model in base. */
static grpo *create_on_base(grpo_config c) {
    grpo *g = create(c);
    CHECK(!grpo_load(g, base), "%s", grpo_error(g));
    return g;
}

/* Models that have seen some sums. */
static void make_base(const char *folder, uint64_t seed) {
    grpo_config c = config(0);
    grpo *g;
    int i;
    c.seed = seed;
    c.model.initializer_range = 0.1f;
    g = create(c);
    for (i = 0; i < 15; i++) grpo_sft(g, sums, 4, 3e-3f, NULL);
    CHECK(!grpo_save(g, folder, 0), "%s", grpo_error(g));
    grpo_free(g);
}

static int count(const grpo *g) { return g->batch.offsets[g->batch.num_sequences]; }

static double furthest(const float *a, const float *b, size_t n) {
    double worst = 0;
    size_t i;
    for (i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= worst)) worst = d;
    }
    return worst;
}

static float *trained(const grpo *g) {
    float *x = (float *)malloc(g->num_trained * sizeof *x);
    memcpy(x, g->machinery->trained, g->num_trained * sizeof *x);
    return x;
}

static float *frozen(const grpo *g) {
    float *x = (float *)calloc(g->num_parameters, sizeof *x);
    int i;
    for (i = 0; i < g->machinery->num_tensors; i++) {
        grpo__tensor t = g->machinery->tensors[i];
        grpo__move_weights(g, &g->machinery->tensors[i], 0, NULL, x + t.offset,
                           grpo__size(t.rows, t.cols ? t.cols : 1));
    }
    return x;
}

/* The same completions, for another policy. */
static void adopt(grpo *to, const grpo *from) {
    grpo_completion c[32];
    int i;
    memset(c, 0, sizeof c);
    for (i = 0; i < 32; i++) {
        c[i].tokens = from->batch.tokens + from->batch.offsets[i];
        c[i].num_tokens = from->batch.offsets[i + 1] - from->batch.offsets[i];
        c[i].truncated = from->batch.truncated[i];
    }
    CHECK(!grpo_adopt(to, sums, 4, c), "%s", grpo_error(to));
}

/* ---- before and after the first steps */
static void test_invariants(void) {
    grpo *plain = create_on_base(config(0)), *g = create_on_base(config(6));
    float *x = (float *)malloc(4096), *y = (float *)malloc(4096);
    const grpo_per_token to_x = { x, NULL, NULL, NULL }, to_y = { y, NULL, NULL, NULL };
    float *before = frozen(g), *after, *loaded = frozen(plain);
    grpo_metrics m;
    int step;
    CHECK(!memcmp(before, loaded, g->num_parameters * sizeof *before), "what was loaded");
    CHECK(g->num_trained == 2 * 6 * (size_t)(3 * 32 + 32 + 16 + 16 + 32 + 32 + 2 * 32 + 2 * 56
                                             + 56 + 32), "%lu are trained",
          (unsigned long)g->num_trained);
    grpo_rollout(plain, sums, 4);
    CHECK(!grpo_rollout(g, sums, 4), "%s", grpo_error(g));
    CHECK(count(g) == count(plain) && furthest(g->batch.logprobs, plain->batch.logprobs,
                                               (size_t)count(g)) == 0,
          "before any step the policy is its model");
    for (step = 0; step < 3; step++) {
        CHECK(!grpo_step(g, sums, 4, &m), "%s", grpo_error(g));
        CHECK(step > 0 || (m.kl == 0 && m.ratio_max == 1), "the first KL is %g, ratio %g", m.kl,
              m.ratio_max);
    }
    CHECK(m.kl > 0, "the policy has moved: KL is %g", m.kl);
    CHECK(!grpo_rollout(g, sums, 4) && !grpo_forward(g, GRPO_POLICY, NULL, &to_x), "%s",
          grpo_error(g));
    CHECK(!memcmp(x, g->batch.logprobs, (size_t)count(g) * sizeof *x),
          "the trainer's log-probs are the sampler's");
    CHECK(!grpo_forward(g, GRPO_REFERENCE, NULL, &to_x), "%s", grpo_error(g));
    adopt(plain, g);
    CHECK(!grpo_forward(plain, GRPO_POLICY, NULL, &to_y)
          && furthest(x, y, (size_t)count(g)) == 0, "the reference is the model");
    after = frozen(g);
    CHECK(!memcmp(before, after, g->num_parameters * sizeof *before), "frozen weights have moved");
    free(x); free(y); free(before); free(after); free(loaded);
    grpo_free(plain); grpo_free(g);
}

/* Threads, micro-batches and stored activations do not change a bit. */
static void test_splits(void) {
    float *first = NULL;
    int way, step;
    for (way = 0; way < 4; way++) {
        grpo_config c = config(5);
        grpo *g;
        c.threads = way == 1 ? 3 : 1;
        c.micro_batch_prompts = way == 2 ? 1 : 0;
        c.rollout_batch_prompts = way == 3 ? 3 : 0;
        c.num_iterations = 2;
        g = create_on_base(c);
        for (step = 0; step < 2; step++)
            CHECK(!grpo_step(g, sums, 4, NULL), "%s", grpo_error(g));
        if (!first) first = trained(g);
        else CHECK(!memcmp(first, g->machinery->trained, g->num_trained * sizeof *first),
                   "way %d ends elsewhere", way);
        grpo_free(g);
    }
    free(first);
}

/* ---- W' = W + s B A: dA = s B^T dW', dB = s dW' A^T, where dW' is the full model's gradient */
static void test_gradients(void) {
    grpo *g = create_on_base(config(4)), *full;
    float d[256], scale = grpo__lora_scale(g);
    const grpo_per_token gradient = { d, NULL, NULL, NULL };
    double worst = 0;
    int i, a;
    for (i = 0; i < 4; i++) grpo_step(g, sums, 4, NULL);
    CHECK(!grpo_save(g, out, GRPO_SAVE_MERGED), "%s", grpo_error(g));
    full = create(config(0));
    CHECK(!grpo_load(full, out), "%s", grpo_error(full));
    grpo_rollout(g, sums, 4);
    adopt(full, g);
    CHECK(furthest(full->batch.logprobs, g->batch.logprobs, (size_t)count(g)) < 2e-6,
          "merged, log-probs are %g away",
          furthest(full->batch.logprobs, g->batch.logprobs, (size_t)count(g)));
    for (i = 0; i < count(g); i++) d[i] = grpo__normal(1, (uint64_t)i);
    CHECK(!grpo_backward(g, NULL, &gradient) && !grpo_backward(full, NULL, &gradient), "backward");
    for (i = 0, a = 0; i < g->machinery->num_tensors; i++) {
        const grpo__tensor *W = &g->machinery->tensors[i];
        const grpo_matrix A = W->adapter ? W->adapter->A : g->machinery->models[0].head;
        const grpo_matrix B = W->adapter ? W->adapter->B : A;
        const float *x = g->machinery->trained, *dx = g->machinery->gradient;
        const float *dA = dx + (A.weights - x), *dB = dx + (B.weights - x);
        const float *dW = full->machinery->gradient + full->machinery->tensors[i].offset;
        double error = 0, size = 1e-12;
        int r, o, in;
        if (!W->adapter) continue;
        for (r = 0; r < 4; r++) {
            for (in = 0; in < A.rows; in++) {                 /* the B there is s B              */
                double sum = 0, is = (double)dA[in * 4 + r];
                for (o = 0; o < B.rows; o++)
                    sum += (double)B.weights[o * 4 + r]
                         * (double)dW[o * A.rows + in];
                error = fmax(error, fabs(sum - is));
                size = fmax(size, fabs(sum));
            }
            for (o = 0; o < B.rows; o++) {
                double sum = 0, is = (double)(scale * dB[o * 4 + r]);
                for (in = 0; in < A.rows; in++)
                    sum += (double)scale * (double)dW[o * A.rows + in]
                         * (double)A.weights[in * 4 + r];
                error = fmax(error, fabs(sum - is));
                size = fmax(size, fabs(sum));
            }
        }
        CHECK(error < 1e-5 * size, "adapter %d: a gradient is off by %g of %g", a, error, size);
        a++;
        worst = fmax(worst, error / size);
    }
    CHECK(a == 2 * 7, "%d adapters", a);
    printf("gradients of A and B are the full weights' to %.1e\n", worst);
    grpo_free(g); grpo_free(full);
}

/* One update is AdamW's of A and of B itself, though s B is what is there. */
static void test_update(void) {
    grpo_config c = config(3);
    grpo *g;
    float *x, *dx, *m, *v, s, scale;
    double norm = 0, reported;
    size_t n, split, i;
    int step;
    c.weight_decay = 0.1f;
    g = create_on_base(c);
    n = g->num_trained; split = g->machinery->shape.all_a; s = grpo__lora_scale(g);
    CHECK(s == 4, "alpha / rank is %g", (double)s);
    x = trained(g);
    dx = (float *)malloc(n * sizeof *dx);
    m = (float *)calloc(n, sizeof *m); v = (float *)calloc(n, sizeof *v);
    for (step = 1; step <= 3; step++) {
        for (i = 0; i < n; i++)
            dx[i] = g->machinery->gradient[i] = 0.1f * grpo__normal((uint64_t)step, i);
        for (i = split; i < n; i++) dx[i] *= s;
        for (norm = 0, i = 0; i < n; i++) norm += (double)dx[i] * (double)dx[i];
        norm = sqrt(norm);
        scale = (float)(1 / (norm + 1e-6));
        for (i = split; i < n; i++) x[i] /= s;
        grpo_adamw(x, dx, m, v, n, 1e-2f, 0.9f, 0.999f, 1e-8f, 0.1f, scale, step);
        for (i = split; i < n; i++) x[i] *= s;
        CHECK(!grpo_optimize(g, 1e-2f, &reported), "%s", grpo_error(g));
        CHECK_CLOSE(reported, norm, 1e-6 * norm);
    }
    CHECK(furthest(x, g->machinery->trained, n) < 1e-6, "%g away from AdamW",
          furthest(x, g->machinery->trained, n));
    free(x); free(dx); free(m); free(v);
    grpo_free(g);
}

/* ---- files */
#define LORA_4 "\"peft_type\": \"LORA\", \"r\": 4, "
#define LORA_Q LORA_4 "\"target_modules\": [\"q_proj\"], "
static void write_settings(const char *fields) {
    char path[128];
    FILE *f;
    snprintf(path, sizeof path, "%s/adapter_config.json", out);
    f = fopen(path, "wb");
    if (!f) exit(2);
    fprintf(f, "{\"lora_alpha\": 8.5, %s}", fields);
    fclose(f);
}

/* adapter_config.json, but for one thing that must be refused. */
static void test_settings(void) {
    static const struct { const char *fields, *complaint; } bad[] = {
        { "\"peft_type\": \"IA3\", \"r\": 4, \"target_modules\": [\"q_proj\"]", "peft_type" },
        { "\"peft_type\": \"LORA\", \"target_modules\": [\"q_proj\"]", "is missing" },
        { "\"peft_type\": \"LORA\", \"r\": 0, \"target_modules\": [\"q_proj\"]", "r must be" },
        { LORA_4 "\"target_modules\": [\"qkv\"]", "target_modules must be of" },
        { LORA_4 "\"target_modules\": []", "names none" },
        { LORA_Q "\"use_rslora\": true", "use_rslora is not supported" },
        { LORA_Q "\"bias\": \"all\"", "bias must be" },
        { LORA_Q "\"rank_pattern\": {\"q_proj\": 8}", "rank_pattern is not supported" },
        { LORA_Q "\"modules_to_save\": [\"lm_head\"]", "modules_to_save is not supported" },
        { LORA_Q "\"alora_invocation_tokens\": [1, 2]", "alora_invocation_tokens" },
        { LORA_Q "\"layer_replication\": [[0, 2]]", "layer_replication is not supported" },
        { LORA_Q "\"use_qalora\": true", "use_qalora is not supported" },
        { LORA_Q "\"trainable_token_indices\": [1]", "trainable_token_indices is not supported" },
        { LORA_Q "\"init_lora_weights\": \"pissa_niter_4\"", "init_lora_weights must be" },
        { LORA_Q "\"not_thought_of_yet\": 1", "not_thought_of_yet is not supported" },
        { LORA_Q "\"r\": 4", "r is there twice" },
        { LORA_4, "adapter_config.json" } };
    grpo_config c = config(0);
    size_t i;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_settings(bad[i].fields);
        CHECK(grpo_load_config(&c, out) < 0 && strstr(c.error, bad[i].complaint), "%s", c.error);
        CHECK(c.lora.rank == 0, "a bad file has changed the config");
    }
    write_settings(LORA_4 "\"target_modules\": [\"up_proj\", \"q_proj\"], "
                   "\"bias\": \"none\", \"rank_pattern\": {}, \"modules_to_save\": null, "
                   "\"use_dora\": false, \"lora_dropout\": 0.05, \"loftq_config\": { }, "
                   "\"megatron_core\": \"megatron.core\", \"qalora_group_size\": 16, "
                   "\"init_lora_weights\": true, \"peft_version\": \"0.21.2\", "
                   "\"auto_mapping\": null, \"revision\": null, \"task_type\": \"CAUSAL_LM\", "
                   "\"inference_mode\": true, \"not_thought_of_yet\": false");
    CHECK(!grpo_load_config(&c, out) && c.lora.rank == 4 && c.lora.alpha == 8.5f
          && c.lora.targets == (GRPO_LORA_Q | GRPO_LORA_UP), "%s", c.error);
    write_settings(LORA_4 "\"target_modules\": \"all-linear\"");
    CHECK(!grpo_load_config(&c, out) && c.lora.targets == GRPO_LORA_ALL, "%s", c.error);
}

static void test_files(void) {
    grpo_config c = config(0), again;
    grpo *g, *h, *plain = create_on_base(config(0));
    float *x, logprobs[256];
    const grpo_per_token to = { logprobs, NULL, NULL, NULL };
    int step;
    c.lora.rank = 6; c.lora.alpha = 12; c.lora.targets = GRPO_LORA_ALL & ~GRPO_LORA_K;
    g = create_on_base(c);
    for (step = 0; step < 3; step++) grpo_step(g, sums, 4, NULL);
    CHECK(!grpo_save(g, out, GRPO_SAVE_STATE), "%s", grpo_error(g));
    again = config(0);
    CHECK(!grpo_load_config(&again, out) && again.lora.rank == 6 && again.lora.alpha == 12
          && again.lora.targets == c.lora.targets, "%s", again.error);
    h = create_on_base(again);
    CHECK(!grpo_load(h, out), "%s", grpo_error(h));
    CHECK(!memcmp(g->machinery->trained, h->machinery->trained, g->num_trained * sizeof(float)),
          "the adapters that were saved");
    CHECK(grpo_load(plain, out) == GRPO_BAD_FILE && strstr(grpo_error(plain), "LoRA"), "%s",
          grpo_error(plain));
    CHECK(!grpo_load(h, base), "%s", grpo_error(h));
    grpo_rollout(h, sums, 4); grpo_forward(h, GRPO_REFERENCE, NULL, &to);
    CHECK(!memcmp(h->batch.logprobs, logprobs, (size_t)count(h) * sizeof(float)),
          "a model that is loaded begins without adapters");
    grpo_free(h);

    for (step = 0; step < 2; step++) grpo_step(g, sums, 4, NULL);
    x = trained(g);
    grpo_free(g);
    g = create(c);                  /* resumed, the same five steps                              */
    CHECK(grpo_resume(g, out) == GRPO_BAD_FILE && strstr(grpo_error(g), "another model"), "%s",
          grpo_error(g));
    CHECK(!grpo_load(g, other) && grpo_resume(g, out) == GRPO_BAD_FILE, "%s", grpo_error(g));
    CHECK(!grpo_load(g, base) && !grpo_resume(g, out) && g->state.step == 3, "%s", grpo_error(g));
    for (step = 0; step < 2; step++) grpo_step(g, sums, 4, NULL);
    CHECK(!memcmp(x, g->machinery->trained, g->num_trained * sizeof(float)),
          "resumed, it ends elsewhere");
    free(x);
    grpo_free(g);
    c.lora.rank = 5;
    g = create_on_base(c);
    CHECK(grpo_resume(g, out) == GRPO_BAD_FILE && strstr(grpo_error(g), "LoRA rank 6"), "%s",
          grpo_error(g));
    CHECK(grpo_load(g, out) == GRPO_BAD_FILE && strstr(grpo_error(g), "rank 6"), "%s",
          grpo_error(g));
    CHECK(grpo_resume(plain, out) == GRPO_BAD_FILE, "%s", grpo_error(plain));
    grpo_free(g);
    grpo_free(plain);
}

/* ---- the rest */
static void test_refusals(void) {
    grpo_config c = config(4), k;
    grpo *g, *critic;
    float *x, *y;
    c.model.value_head = 1;
    CHECK(!grpo_new(&c) && strstr(c.error, "scalar head"), "%s", c.error);
    c = config(4); c.ref_model_sync_steps = 2;
    CHECK(!grpo_new(&c) && strstr(c.error, "cannot move"), "%s", c.error);
    c = config(4); c.lora.targets = 0;
    CHECK(!grpo_new(&c) && strstr(c.error, "lora.targets"), "%s", c.error);
    c = config(-1);
    CHECK(!grpo_new(&c) && strstr(c.error, "lora.rank"), "%s", c.error);
    c = config(4);
    g = create_on_base(c);
    CHECK(grpo_set_reference(g, 1) == GRPO_BAD_INPUT, "a reference that cannot move has moved");
    k = c;
    k.lora.rank = 0;
    k.model.num_labels = 1;
    critic = create(k);
    CHECK(!grpo_copy_weights(critic, g), "%s", grpo_error(critic));
    x = frozen(g); y = frozen(critic);
    CHECK(!memcmp(x, y, grpo__size(13, 32) * sizeof *x), "a critic begins as the model");
    free(x); free(y);
    grpo_free(critic); grpo_free(g);
}

static void test_memory(void) {
    grpo_config c = config(0);
    grpo_memory full, lora;
    grpo_model_config m = { 151936, 896, 4864, 24, 14, 2, 64, 32768, 1e6f, 1e-6f,
                            { 0, 0, 0, 0, 0 }, 1, 1, 0, 0, 0, 0.02f };        /* Qwen2.5-0.5B    */
    c.vocabulary = NULL;
    c.model = m;
    CHECK(!grpo_memory_needed(&c, &full), "%s", c.error);
    c.lora.rank = 16;
    CHECK(!grpo_memory_needed(&c, &lora), "%s", c.error);
    printf("Qwen2.5-0.5B: weights, reference, gradients, AdamW %.2f + %.2f + %.2f + %.2f GB; with "
           "LoRA of rank 16 %.2f + %.2f + %.2f + %.2f\n", (double)full.weights / 1e9,
           (double)full.reference / 1e9, (double)full.gradients / 1e9, (double)full.optimizer / 1e9,
           (double)lora.weights / 1e9, (double)lora.reference / 1e9, (double)lora.gradients / 1e9,
           (double)lora.optimizer / 1e9);
    CHECK(5 * lora.total < full.total, "LoRA needs %g of %g bytes", (double)lora.total,
          (double)full.total);
}

/* The model knows these sums; its adapters learn to answer one more. */
static void test_learning(void) {
    static const grpo_prompt more[4] = {
        { "1+1=", "3", NULL, 0, NULL }, { "2+2=", "5", NULL, 0, NULL },
        { "3+4=", "8", NULL, 0, NULL }, { "0+5=", "6", NULL, 0, NULL } };
    uint64_t seed;
    for (seed = 1; seed <= 3; seed++) {
        grpo_config c = config(4);
        grpo_evaluation before, after;
        grpo *g;
        int step;
        c.seed = seed;
        c.learning_rate = 5e-3f;
        g = create_on_base(c);
        grpo_evaluate(g, more, 4, 0, 1, &before);
        for (step = 0; step < 200; step++)
            if (grpo_step(g, more, 4, NULL)) { CHECK(0, "%s", grpo_error(g)); break; }
        grpo_evaluate(g, more, 4, 0, 1, &after);
        printf("seed %d: greedy accuracy %.2f -> %.2f\n", (int)seed, (double)before.accuracy,
               (double)after.accuracy);
        CHECK(after.accuracy == 1 && before.accuracy == 0, "seed %d has not learnt", (int)seed);
        grpo_free(g);
    }
}

static void remove_folder(const char *folder) {
    static const char *const names[] = { "config.json", "model.safetensors", "adapter_config.json",
                                         "adapter_model.safetensors", "trainer_state.safetensors" };
    char path[128];
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    rmdir(folder);
}

int main(void) {
    strcpy(base, "/tmp/grpo_lora_XXXXXX"); strcpy(other, base); strcpy(out, base);
    if (!mkdtemp(base) || !mkdtemp(other) || !mkdtemp(out)) { perror("/tmp"); return 2; }
    make_base(base, 1);
    make_base(other, 2);
    test_invariants();
    test_splits();
    test_gradients();
    remove_folder(out);             /* a folder is for a model or for adapters                   */
    test_update();
    test_files();
    test_settings();
    test_refusals();
    test_memory();
    test_learning();
    remove_folder(base); remove_folder(other); remove_folder(out);
    return check_finish();
}
