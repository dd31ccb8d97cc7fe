/* It never exits, aborts or corrupts: every allocation failing in turn, every bad field, NaN in
 * rewards and weights, failing callbacks. After each, a code, a sentence, and a usable object. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"
#include "tiny.h"

typedef struct memory { int calls, fail_at, living; } memory;

static void *failing_allocate(size_t size, void *user) {
    memory *m = (memory *)user;
    void *p;
    if (m->calls++ == m->fail_at) return NULL;
    p = malloc(size);
    m->living += p != NULL;
    return p;
}

static void counting_release(void *p, void *user) {
    ((memory *)user)->living--;
    free(p);
}

static void prompts_of(grpo_prompt *p) {
    p[0] = grpo_question("ab", "c");
    p[1] = grpo_question("c", "ab");
}

static void download(grpo *g, float *to) {
    g->machinery->backend->download(g->machinery->context, to, g->machinery->weights,
                                    g->num_parameters * sizeof(float));
}

static void upload(grpo *g, const float *from) {
    g->machinery->backend->upload(g->machinery->context, g->machinery->weights, from,
                                  g->num_parameters * sizeof(float));
    grpo__weights_changed(g, GRPO_POLICY);
}

/* ---- memory */
static void test_allocations(void) {
    memory m = { 0, -1, 0 };
    int n, total;
    grpo_config c = tiny();
    grpo *g;
    c.allocate = failing_allocate;
    c.release = counting_release;
    c.user = &m;
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    grpo_save(g, "test_failures_checkpoint", GRPO_SAVE_STATE);
    CHECK(!grpo_resume(g, "test_failures_checkpoint"), "%s", grpo_error(g));
    grpo_free(g);
    CHECK(m.living == 0, "%d blocks leak", m.living);
    total = m.calls;
    for (n = 0; n < total; n++) {
        grpo_prompt p[2];
        int code = 0;
        memset(&m, 0, sizeof m);
        m.fail_at = n;
        prompts_of(p);
        c.error[0] = 0;
        g = grpo_new(&c);
        if (g) {
            code = grpo_save(g, "test_failures_checkpoint", GRPO_SAVE_STATE);
            if (!code) code = grpo_resume(g, "test_failures_checkpoint");
            CHECK(code == GRPO_NO_MEMORY && grpo_error(g)[0], "allocation %d: code %d, \"%s\"", n,
                  code, grpo_error(g));
            CHECK(!grpo_step(g, p, 2, NULL), "unusable after allocation %d failed: %s", n,
                  grpo_error(g));
        } else CHECK(c.error[0], "allocation %d fails without a word", n);
        grpo_free(g);
        CHECK(m.living == 0, "allocation %d: %d blocks leak", n, m.living);
    }
    remove("test_failures_checkpoint/config.json");
    remove("test_failures_checkpoint/model.safetensors");
    remove("test_failures_checkpoint/trainer_state.safetensors");
    remove("test_failures_checkpoint");
}

/* ---- configs */
typedef void (*spoil)(grpo_config *c);
static void no_heads(grpo_config *c) { c->model.num_attention_heads = 0; }
static void odd_head(grpo_config *c) { c->model.head_dim = 3; }
static void odd_group(grpo_config *c) {
    c->model.num_key_value_heads = 3;
    c->model.num_attention_heads = 4;
}
static void huge_model(grpo_config *c) { c->model.hidden_size = INT32_MAX; }
static void huge_batch(grpo_config *c) { c->num_prompts = 1 << 20; c->num_generations = 1 << 20; }
static void big_batch(grpo_config *c) { c->num_prompts = 1 << 17; c->num_generations = 1 << 9; }
static void huge_vocab(grpo_config *c) { c->model.vocab_size = INT32_MAX; }
static void no_completion(grpo_config *c) { c->max_completion_length = 0; }
static void long_prompt(grpo_config *c) { c->max_prompt_length = 2000; }
static void nan_lr(grpo_config *c) { c->learning_rate = NAN; }
static void no_adam_epsilon(grpo_config *c) { c->adam_epsilon = 0; }
static void negative_beta(grpo_config *c) { c->objective.beta = -1; }
static void inf_epsilon(grpo_config *c) { c->objective.epsilon = INFINITY; }
static void small_dual(grpo_config *c) { c->objective.dual_clip = 0.5f; }
static void bad_kl(grpo_config *c) { c->objective.kl = 17; }
static void bad_top_p(grpo_config *c) { c->sampling.top_p = 0; }
static void cold(grpo_config *c) { c->sampling.temperature = -1; }
static void twice(grpo_config *c) { c->vocabulary = "aba"; }
static void not_utf8(grpo_config *c) { c->vocabulary = "\xff\xfe"; }
static void half_hook(grpo_config *c) { c->allocate = failing_allocate; }
static void empty_reward(grpo_config *c) { c->rewards[0].function = NULL; }
static void schedule(grpo_config *c) {
    c->lr_scheduler_type = GRPO_SCHEDULE_LINEAR;
    c->max_steps = 0;
}
static void no_beta(grpo_config *c) { c->objective.beta = 0; c->objective.kl_target = 0.1f; }
static void theta(grpo_config *c) { c->model.rope_theta = 0; }

static void test_configs(void) {
    static const spoil spoils[] = {
        no_heads, odd_head, odd_group, huge_model, huge_batch, big_batch, huge_vocab, no_completion,
        long_prompt, nan_lr, no_adam_epsilon, negative_beta, inf_epsilon, small_dual, bad_kl,
        bad_top_p, cold, twice, not_utf8, half_hook, empty_reward, schedule, no_beta,
        theta };
    size_t i;
    for (i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        grpo_config c = tiny();
        grpo_memory needed;
        grpo *g;
        spoils[i](&c);
        g = grpo_new(&c);
        CHECK(g == NULL && strlen(c.error) > 10, "spoil %d: \"%s\"", (int)i, c.error);
        grpo_free(g);
        c.error[0] = 0;
        CHECK(grpo_memory_needed(&c, &needed) < 0 && c.error[0],
              "spoil %d passes memory_needed", (int)i);
    }
}

/* ---- calls in the wrong order, and prompts that make no sense */
static void test_calls(void) {
    grpo_config c = tiny();
    static const int bad_tokens[2] = { 0, 77 };
    grpo_prompt p[2], bad;
    grpo_sampling nonsense = { -1, 0, 1, 0 }, fine = { 1, 0, 1, 0 };
    grpo_evaluation e;
    char text[64];
    float x[64];
    const grpo_per_token tokens = { x, x, NULL, NULL };
    grpo *g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    prompts_of(p);
    CHECK(grpo_score(g) == GRPO_BAD_INPUT && grpo_advantage(g) == GRPO_BAD_INPUT
          && grpo_update(g, NULL) == GRPO_BAD_INPUT
          && grpo_forward(g, 0, NULL, &tokens) == GRPO_BAD_INPUT
          && grpo_backward(g, NULL, &tokens) == GRPO_BAD_INPUT,
          "calls out of order must be refused");
    CHECK(grpo_step(g, p, 0, NULL) == GRPO_BAD_INPUT && grpo_step(g, p, 3, NULL) == GRPO_BAD_INPUT,
          "0 or 3 prompts where 2 fit");
    bad = grpo_question("xyz", NULL);
    CHECK(grpo_step(g, &bad, 1, NULL) == GRPO_BAD_INPUT && strstr(grpo_error(g), "vocabulary"),
          "%s", grpo_error(g));
    bad = grpo_question("abcabc", NULL);
    CHECK(grpo_step(g, &bad, 1, NULL) == GRPO_BAD_INPUT, "too long");
    bad = grpo_question("", NULL);
    CHECK(grpo_step(g, &bad, 1, NULL) == GRPO_BAD_INPUT, "empty");
    bad = grpo_question(NULL, NULL);
    CHECK(grpo_step(g, &bad, 1, NULL) == GRPO_BAD_INPUT, "neither text nor tokens");
    bad.tokens = bad_tokens;
    bad.num_tokens = 2;
    CHECK(grpo_step(g, &bad, 1, NULL) == GRPO_BAD_INPUT, "token out of range");
    CHECK(grpo_sft(g, &bad, 1, 0.1f, NULL) == GRPO_BAD_INPUT, "sft without answer");
    CHECK(grpo_generate(g, p, &nonsense, 1, text, 64) == GRPO_BAD_INPUT, "negative temperature");
    CHECK(grpo_generate(g, p, &fine, 1, text, 0) == GRPO_BAD_INPUT, "no room");
    CHECK(grpo_evaluate(g, p, 2, 1000, 1, &e) == GRPO_BAD_INPUT, "too many samples");
    CHECK(grpo_evaluate(g, p, 2, 2, 3, &e) == GRPO_BAD_INPUT, "k above n");
    CHECK(grpo_set_reference(g, 1) == 0, "%s", grpo_error(g));
    CHECK(!grpo_step(g, p, 2, NULL), "usable after all that: %s", grpo_error(g));
    grpo_free(g);
    grpo_free(NULL);
    CHECK(strlen(grpo_error(NULL)) > 0, "grpo_error(NULL)");
    CHECK(grpo_add_reward(&c, "a", length_reward, 1, NULL) == 0, "second reward");
    while (c.num_rewards < GRPO_MAX_REWARDS) grpo_add_reward(&c, "a", length_reward, 1, NULL);
    CHECK(grpo_add_reward(&c, "a", length_reward, 1, NULL) == GRPO_BAD_INPUT, "a ninth reward");
}

/* ---- NaN and failing callbacks */
typedef struct mood { int nan_at, batch_fails, warnings; } mood;

static float moody(const grpo_sample *s, void *user) {
    int i = s->prompt_index * 3 + s->completion_index;
    return i == ((mood *)user)->nan_at ? NAN : (float)(i % 3);
}

static int moody_batch(const grpo_sample *s, int n, float *rewards, void *user) {
    int i;
    for (i = 0; i < n; i++) rewards[i] = (float)s[i].completion_index;
    return ((mood *)user)->batch_fails;
}

static void hear(const char *message, void *user) {
    ((mood *)user)->warnings += strlen(message) > 10;
}

/* Rewards that are compared one by one (GDPO): a sample of which one is missing learns from the
 * other; one of which both are is left out. */
static void test_missing_parts(void) {
    mood first = { 1, 0, 0 }, second = { -1, 0, 0 };
    grpo_config c = tiny();
    grpo_prompt p[2];
    grpo_metrics metrics;
    int both, t, out, left;
    grpo *g;
    c.num_rewards = 0;
    c.objective = grpo_objective_preset("gdpo", NULL);
    grpo_add_reward(&c, "first", moody, 1, &first);
    grpo_add_reward(&c, "second", moody, -2, &second);
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    prompts_of(p);
    for (both = 0; both < 2; both++) {
        second.nan_at = both ? 1 : 2;
        CHECK(!grpo_rollout(g, p, 2) && !grpo_score(g) && !grpo_advantage(g), "%s", grpo_error(g));
        for (t = g->batch.offsets[0], out = 0; t < g->batch.offsets[3]; t++) {
            left = both && t >= g->batch.offsets[1] && t < g->batch.offsets[2];
            out += !g->batch.mask[t];
            CHECK(g->batch.mask[t] == !left && (g->batch.advantages[t] != 0) == !left,
                  "both missing %d, token %d: mask %d, A %g", both, t, g->batch.mask[t],
                  (double)g->batch.advantages[t]);
        }
        CHECK(!grpo_update(g, &metrics) && metrics.num_left_out == both, "left out: %d",
              metrics.num_left_out);
    }
    grpo_free(g);
}

static void test_nan(void) {
    mood m = { 1, 0, 0 };
    grpo_config c = tiny();
    grpo_prompt p[2];
    grpo_metrics metrics;
    grpo_per_token gradient = { NULL, NULL, NULL, NULL };
    float *before, *after;
    size_t bytes, i;
    int t;
    grpo *g;
    c.num_rewards = 0;
    c.log = hear;
    c.user = &m;
    grpo_add_reward(&c, "moody", moody, 1, &m);
    grpo_add_reward(&c, "batch", NULL, 0.5f, &m);
    c.rewards[1].batch = moody_batch;
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    prompts_of(p);
    bytes = g->num_parameters * sizeof(float);
    before = (float *)malloc(bytes);
    after = (float *)malloc(bytes);

    CHECK(!grpo_rollout(g, p, 2) && !grpo_score(g) && !grpo_advantage(g), "%s", grpo_error(g));
    CHECK(m.warnings > 0, "a NaN reward must be said");
    for (t = g->batch.offsets[1]; t < g->batch.offsets[2]; t++)
        CHECK(!g->batch.mask[t] && g->batch.advantages[t] == 0, "sample 1 must be left out");
    CHECK(g->batch.mask[0] && g->batch.advantages[0] < 0, "the rest of its group goes on");
    CHECK(!grpo_update(g, &metrics) && metrics.num_left_out == 1, "%s", grpo_error(g));

    m.batch_fails = 1;
    download(g, before);
    CHECK(grpo_step(g, p, 2, &metrics) == GRPO_CALLBACK && strstr(grpo_error(g), "batch"), "%s",
          grpo_error(g));
    m.batch_fails = 0;
    m.nan_at = -1;

    CHECK(!grpo_rollout(g, p, 2) && !grpo_score(g) && !grpo_advantage(g), "%s", grpo_error(g));
    g->batch.advantages[0] = NAN;
    download(g, before);
    CHECK(grpo_update(g, &metrics) == GRPO_NONFINITE && metrics.skipped, "NaN advantage: %s",
          grpo_error(g));
    download(g, after);
    CHECK(!memcmp(before, after, bytes), "a skipped update moved the weights");

    memcpy(after, before, bytes);
    for (i = 0; i < 8; i++) after[i] = NAN;             /* the embedding of 'a' */
    upload(g, after);
    CHECK(grpo_step(g, p, 2, &metrics) == GRPO_NONFINITE, "NaN weights: %s", grpo_error(g));
    upload(g, before);
    CHECK(!grpo_step(g, p, 2, &metrics), "usable again: %s", grpo_error(g));

    CHECK(!grpo_rollout(g, p, 2), "%s", grpo_error(g));
    download(g, before);
    for (t = 0; t < g->batch.offsets[g->batch.num_sequences]; t++)
        g->machinery->new_dlogprobs[t] = INFINITY;
    gradient.logprobs = g->machinery->new_dlogprobs;
    CHECK(!grpo_backward(g, NULL, &gradient), "%s", grpo_error(g));
    CHECK(grpo_optimize(g, 0.1f, NULL) == GRPO_NONFINITE && strstr(grpo_error(g), "gradient of"),
          "the culprit must be named: %s", grpo_error(g));
    download(g, after);
    CHECK(!memcmp(before, after, bytes), "a non-finite gradient moved the weights");
    CHECK(!grpo_step(g, p, 2, &metrics), "usable again: %s", grpo_error(g));
    free(before);
    free(after);
    grpo_free(g);
}

/* The caller's own tokenizer, failing in its ways. */
static int own_encode(void *tokenizer, const char *text, int *tokens, int capacity) {
    int n = 0;
    if (*(int *)tokenizer == 1) return -5;
    for (; text[n]; n++)
        if (n < capacity) tokens[n] = *(int *)tokenizer == 2 ? 1000 : text[n] % 8;
    return n;
}
static int own_decode(void *tokenizer, const int *tokens, int num_tokens, char *text,
                      int capacity) {
    int i;
    if (*(int *)tokenizer == 3) return -1;
    if (*(int *)tokenizer == 4) return 1 << 20;
    for (i = 0; i < num_tokens && i < capacity; i++) text[i] = (char)('a' + tokens[i]);
    return num_tokens;
}

static void test_tokenizer(void) {
    int mode = 0;
    grpo_config c = tiny();
    grpo_prompt p[2];
    grpo *g;
    prompts_of(p);
    c.encode = own_encode;
    c.decode = own_decode;
    c.tokenizer = &mode;
    CHECK(grpo_new(&c) == NULL, "needs vocab_size and eos_token_id");
    c.model.vocab_size = 9;
    c.eos_token_id = 8;
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) return;
    for (mode = 1; mode <= 4; mode++)
        CHECK(grpo_step(g, p, 2, NULL) < 0 && grpo_error(g)[0], "mode %d must fail", mode);
    mode = 0;
    CHECK(!grpo_step(g, p, 2, NULL), "%s", grpo_error(g));
    grpo_free(g);
}

int main(void) {
    test_configs();
    test_calls();
    test_nan();
    test_missing_parts();
    test_tokenizer();
    test_allocations();
    return check_finish();
}
