/* The invariants, bit for bit: sampler == trainer, any thread count, any split, any order, replay,
 * resume, the matrix product's definition; and no allocation in a step. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"

enum { PROMPTS = 5, GROUP = 4, LENGTH = 7 };

static const char *const questions[PROMPTS] = { "1+1=", "2+23=", "9", "30+4=", "1+1=" };

static float digit_sum(const grpo_sample *s, void *user) {
    float sum = 0;
    int i;
    (void)user;
    for (i = 0; s->completion[i]; i++) sum += (float)(s->completion[i] % 3);
    return sum;
}

static grpo_config small_config(void) {
    grpo_config c = grpo_defaults();
    c.vocabulary = "0123456789+=";
    c.model.hidden_size = 24;
    c.model.intermediate_size = 40;
    c.model.num_attention_heads = 4;
    c.model.num_key_value_heads = 2;
    c.model.initializer_range = 0.2f;
    c.num_prompts = PROMPTS;
    c.num_generations = GROUP;
    c.max_prompt_length = 6;
    c.max_completion_length = LENGTH;
    c.objective.beta = 0.05f;
    c.learning_rate = 0.01f;
    c.threads = 1;
    grpo_add_reward(&c, "digits", digit_sum, 1.0f, NULL);
    return c;
}

static void make_prompts(grpo_prompt *prompts, const int *order) {
    int i;
    for (i = 0; i < PROMPTS; i++)
        prompts[i] = grpo_question(questions[order ? order[i] : i], "12");
}

static void download_weights(grpo *g, float *to) {
    g->machinery->backend->download(g->machinery->context, to, g->machinery->weights,
                                    g->num_parameters * sizeof(float));
}

/* A run of steps; returns the weights (malloc) and the last metrics. */
static float *run(const grpo_config *c, int steps, grpo_metrics *m, size_t *n) {
    grpo_config copy = *c;
    grpo *g = grpo_new(&copy);
    grpo_prompt prompts[PROMPTS];
    float *weights;
    int i, code = 0;
    CHECK(g != NULL, "grpo_new: %s", copy.error);
    if (!g) return NULL;
    make_prompts(prompts, NULL);
    code = grpo_sft(g, prompts, PROMPTS, 0.003f, NULL);
    for (i = 0; i < steps && !code; i++) code = grpo_step(g, prompts, PROMPTS, m);
    CHECK(!code, "step %d: %s", i, grpo_error(g));
    m->step_time = 0;
    *n = g->num_parameters;
    weights = (float *)malloc(*n * sizeof(float));
    download_weights(g, weights);
    grpo_free(g);
    return weights;
}

static void same_run(const grpo_config *a, const grpo_config *b, const char *what) {
    grpo_metrics ma, mb;
    size_t n = 0, n2 = 0;
    float *wa, *wb;
    memset(&ma, 0, sizeof ma);
    memset(&mb, 0, sizeof mb);
    wa = run(a, 3, &ma, &n);
    wb = run(b, 3, &mb, &n2);
    CHECK(wa && wb && n == n2 && !memcmp(wa, wb, n * sizeof(float)), "%s: weights differ", what);
    CHECK(!memcmp(&ma, &mb, sizeof ma), "%s: metrics differ", what);
    free(wa);
    free(wb);
}

static void test_splits(void) {
    int variant, threads, micro, together;
    for (variant = 0; variant < 4; variant++) {
        grpo_config a = small_config(), b;
        char what[80];
        if (variant == 1) {
            a.sampling.top_k = 5;
            a.model.qk_norm = 1;
            a.model.tie_word_embeddings = 0;
        }
        if (variant == 2) {
            a.num_iterations = 2;
            a.steps_per_generation = 2;
            a.model.attention_bias = 1;
        }
        if (variant == 3) {
            a.objective.equal_rewards = GRPO_EQUAL_RESAMPLE;
            a.objective.max_resamples = 2;
            a.sampling.temperature = 0.5f;
            a.objective.entropy_coef = 0.01f;
        }
        for (threads = 2; threads <= 3; threads++) {
            b = a;
            b.threads = threads;
            snprintf(what, sizeof what, "variant %d, %d threads", variant, threads);
            same_run(&a, &b, what);
        }
        for (micro = 1; micro <= 2; micro++) {
            b = a;
            b.micro_batch_prompts = micro;
            snprintf(what, sizeof what, "variant %d, micro-batches of %d", variant, micro);
            same_run(&a, &b, what);
        }
        for (together = 1; together <= 3; together += 2) {
            b = a;
            b.rollout_batch_prompts = together;
            b.micro_batch_prompts = 3;
            b.threads = 2;
            snprintf(what, sizeof what, "variant %d, %d prompts sampled together", variant,
                     together);
            same_run(&a, &b, what);
        }
    }
}

/* The least budget with which a config is accepted, by bisection. */
static size_t least_budget(grpo_config c) {
    grpo_memory needed;
    size_t no = 0, yes;
    c.memory_budget = 0;
    CHECK(!grpo_memory_needed(&c, &needed), "%s", c.error);
    for (yes = needed.total; yes - no > 1; ) {
        size_t middle = no + (yes - no) / 2;
        int code;
        c.memory_budget = middle;
        code = grpo_memory_needed(&c, &needed);
        CHECK(code == GRPO_NO_MEMORY || (!code && needed.total <= middle), "%.0f: %s",
              (double)middle, c.error);
        if (code) no = middle; else yes = middle;
    }
    return yes;
}

/* Within a memory budget activations are computed again instead of stored, then passes have fewer
 * groups, down to one, whatever they may have: less memory, same bits. */
static void test_budget(void) {
    static const int asked[][2] = { { 0, 0 }, { 3, 0 }, { 0, 2 }, { 4, 4 } };
    grpo_config a = small_config(), b;
    grpo_memory all, one, needed;
    size_t i, least, part;
    int shape;
    a.memory_budget = 1;
    CHECK(!grpo_new(&a) && strstr(a.error, "memory_budget"), "a policy within one byte: %s",
          a.error);
    for (shape = 0; shape < 3; shape++) {
        a = small_config();
        if (shape == 1) { a.num_generations = 3; a.model.value_head = 1; a.num_prompts = 9; }
        if (shape == 2) { a.sampling.top_k = 5; a.objective.kl = GRPO_KL_FULL; }
        if (shape == 2) a.max_prompt_length = 60;
        CHECK(!grpo_memory_needed(&a, &all), "%s", a.error);
        b = a;
        b.micro_batch_prompts = b.rollout_batch_prompts = 1;
        CHECK(!grpo_memory_needed(&b, &one) && one.total < all.total, "%s", b.error);
        for (i = 0; i < sizeof asked / sizeof *asked; i++) {
            b = a;
            b.micro_batch_prompts = asked[i][0];
            b.rollout_batch_prompts = asked[i][1];
            least = least_budget(b);
            CHECK(least == one.total, "shape %d, %d and %d asked for: %.0f bytes at least, a group "
                  "needs %.0f", shape, asked[i][0], asked[i][1], (double)least, (double)one.total);
        }
        for (part = 0; part < 4; part++) {
            b = a;
            b.memory_budget = one.total + part * (all.total - one.total) / 4;
            same_run(&a, &b, "memory budget");
        }
        b.memory_budget = all.total;
        CHECK(!grpo_memory_needed(&b, &needed) && needed.total == all.total, "it is enough");
    }
}

/* Equal rewards and no KL: the group has no gradient and is left out, and the gradient is the one
 * that all groups give. */
static float not_nine(const grpo_sample *s, void *user) {
    return strcmp(s->prompt, "9") ? digit_sum(s, user) : 1.0f;
}

static void test_idle(void) {
    int stored;
    for (stored = 0; stored < 2; stored++) {
        grpo_config c = small_config();
        grpo_prompt prompts[PROMPTS];
        grpo__sums sums;
        grpo_metrics m;
        grpo *g;
        size_t i, bad = 0;
        float *gradient;
        grpo_per_token d = { NULL, NULL, NULL, NULL };
        c.objective.beta = 0;
        c.rewards[0].function = not_nine;
        if (!stored) c.rollout_batch_prompts = 2;
        g = grpo_new(&c);
        make_prompts(prompts, NULL);
        CHECK(g && !grpo_sft(g, prompts, PROMPTS, 0.01f, NULL), "%s", c.error);
        if (!g) return;
        CHECK(!grpo_rollout(g, prompts, PROMPTS) && !grpo_score(g) && !grpo_advantage(g), "%s",
              grpo_error(g));
        CHECK(g->machinery->stored_valid == stored, "stored %d", stored);
        gradient = (float *)calloc(g->num_parameters, sizeof(float));
        CHECK(!grpo__accumulate(g, &g->config.objective, 0, PROMPTS, &sums), "%s",
              grpo_error(g));
        CHECK(g->machinery->idle[2] == 1, "the group of equal rewards is not idle");
        memcpy(gradient, g->machinery->gradient, g->num_parameters * sizeof(float));
        grpo__clear_gradient(g);
        d.logprobs = g->machinery->new_dlogprobs;
        CHECK(!grpo_backward(g, NULL, &d), "%s", grpo_error(g));
        for (i = 0; i < g->num_parameters; i++) bad += gradient[i] != g->machinery->gradient[i];
        CHECK(!bad, "stored %d: %d elements of the gradient differ", stored, (int)bad);
        grpo__clear_gradient(g);
        CHECK(!grpo_update(g, &m) && m.num_idle >= 1, "num_idle %d", m.num_idle);
        free(gradient);
        grpo_free(g);
    }
}

/* AVX-512 and AVX2 add up the same products in the same order. */
static void test_units(void) {
    int widest;
    float *first = NULL;
    for (widest = 32; widest >= 16; widest /= 2) {
        grpo_config c = small_config();
        grpo_prompt prompts[PROMPTS];
        grpo *g = grpo_new(&c);
        float *weights;
        int i, code = 0;
        make_prompts(prompts, NULL);
        CHECK(g != NULL, "%s", c.error);
        if (!g) return;
        ((grpo__cpu *)g->machinery->context)->kernel = grpo__choose_kernel(widest);
        grpo__weights_changed(g, GRPO_POLICY);
        grpo__weights_changed(g, GRPO_REFERENCE);
        for (i = 0; i < 4 && !code; i++) code = grpo_step(g, prompts, PROMPTS, NULL);
        CHECK(!code, "%s", grpo_error(g));
        weights = (float *)malloc(g->num_parameters * sizeof(float));
        download_weights(g, weights);
        if (first && grpo__choose_kernel(16).rows[0] > 4)     /* fused like the widest           */
            CHECK(!memcmp(first, weights, g->num_parameters * sizeof(float)), "units differ");
        if (first) free(weights);
        else first = weights;
        grpo_free(g);
    }
    free(first);
}

/* Under every sampling setting: training log-probs == sampling log-probs, ratio 1, KL 0. */
static void test_sampler_is_trainer(void) {
    static const grpo_sampling settings[] = {
        { 1, 0, 1, 0 }, { 0.6f, 0, 1, 0 }, { 1.7f, 0, 1, 0 }, { 1, 3, 1, 0 },
        { 1, 0, 0.7f, 0 }, { 1, 0, 1, 0.2f }, { 0.8f, 6, 0.9f, 0.05f }, { 0, 0, 1, 0 } };
    size_t i;
    for (i = 0; i < sizeof settings / sizeof *settings; i++) {
        grpo_config c = small_config();
        grpo_prompt prompts[PROMPTS];
        float logprobs[PROMPTS * GROUP * LENGTH], entropies[PROMPTS * GROUP * LENGTH];
        const grpo_per_token to = { logprobs, entropies, NULL, NULL };
        grpo_metrics m;
        size_t n;
        grpo *g;
        c.sampling = settings[i];
        c.model.qk_norm = (int)i % 2;
        c.micro_batch_prompts = 1 + (int)i % 3;
        c.threads = 1 + (int)i % 2;
        g = grpo_new(&c);
        make_prompts(prompts, NULL);
        CHECK(g && !grpo_sft(g, prompts, PROMPTS, 0.01f, NULL), "setting %d: sft", (int)i);
        if (!g) continue;
        grpo_set_reference(g, 1.0f);
        CHECK(!grpo_rollout(g, prompts, PROMPTS), "%s", grpo_error(g));
        CHECK(!grpo_forward(g, GRPO_POLICY, NULL, &to), "%s", grpo_error(g));
        n = (size_t)g->batch.offsets[g->batch.num_sequences] * sizeof(float);
        CHECK(!memcmp(logprobs, g->batch.logprobs, n), "setting %d: log-probs differ", (int)i);
        CHECK(!memcmp(entropies, g->batch.entropies, n), "setting %d: entropies differ", (int)i);
        CHECK(!grpo_forward(g, GRPO_REFERENCE, NULL, &to)
              && !memcmp(logprobs, g->batch.logprobs, n), "setting %d: reference differs", (int)i);
        CHECK(!grpo_score(g) && !grpo_advantage(g) && !grpo_update(g, &m), "%s", grpo_error(g));
        CHECK(m.ratio_mean == 1 && m.ratio_max == 1, "setting %d: ratio %.9g", (int)i, m.ratio_max);
        CHECK(m.kl == 0, "setting %d: k3 is %g", (int)i, m.kl);
        grpo_free(g);
    }
}

/* A prompt's completions do not depend on its neighbours or its place, and can be drawn alone. */
static void test_order_and_replay(void) {
    static const int order[PROMPTS] = { 3, 0, 2, 1, 4 };
    grpo_config c = small_config();
    grpo *a, *b, *alone;
    grpo_prompt pa[PROMPTS], pb[PROMPTS];
    int p, i;
    c.threads = 2;
    a = grpo_new(&c);
    b = grpo_new(&c);
    alone = grpo_new(&c);
    make_prompts(pa, NULL);
    make_prompts(pb, order);
    CHECK(a && b && alone, "%s", c.error);
    if (!a || !b || !alone) return;
    CHECK(!grpo_rollout(a, pa, PROMPTS) && !grpo_rollout(b, pb, PROMPTS)
          && !grpo_rollout(alone, &pa[3], 1), "rollout");
    for (p = 0; p < PROMPTS; p++)
        for (i = 0; i < GROUP; i++) {
            int ia = order[p] * GROUP + i, ib = p * GROUP + i;
            int na = a->batch.offsets[ia + 1] - a->batch.offsets[ia];
            int nb = b->batch.offsets[ib + 1] - b->batch.offsets[ib];
            CHECK(na == nb
                  && !memcmp(a->batch.tokens + a->batch.offsets[ia],
                             b->batch.tokens + b->batch.offsets[ib], (size_t)na * sizeof(int))
                  && !memcmp(a->batch.logprobs + a->batch.offsets[ia],
                             b->batch.logprobs + b->batch.offsets[ib], (size_t)na * sizeof(float)),
                  "completion %d of prompt %d changed with the order", i, order[p]);
        }
    for (i = 0; i < GROUP; i++)
        CHECK(!strcmp(a->batch.samples[3 * GROUP + i].completion,
                      alone->batch.samples[i].completion),
              "completion %d of prompt 3 is another when drawn alone", i);
    CHECK(strcmp(a->batch.samples[0].completion, a->batch.samples[4 * GROUP].completion)
          || strcmp(a->batch.samples[1].completion, a->batch.samples[4 * GROUP + 1].completion),
          "equal prompts in one batch must not get equal samples");
    grpo_free(a);
    grpo_free(b);
    grpo_free(alone);
}

/* grpo_step() is nothing but its parts; and they may be taken further apart still: log-probs alone,
 * or exact KL and entropy with their gradients too. */
static void test_unrolled(int full) {
    enum { MOST = PROMPTS * GROUP * LENGTH };
    grpo_config c = small_config();
    grpo *whole, *parts;
    grpo_prompt prompts[PROMPTS];
    grpo_metrics m;
    float logprobs[MOST], entropies[MOST], kl[MOST], d[MOST], dentropies[MOST], dkl[MOST], *a, *b;
    const grpo_per_token now = { logprobs, full ? entropies : NULL, full ? kl : NULL, NULL };
    const grpo_per_token gradient = { d, full ? dentropies : NULL, full ? dkl : NULL, NULL };
    double loss = 0, norm;
    int step, t;
    if (full) grpo_objective_set(&c.objective, "kl=full beta=0.1 entropy_coef=0.02", NULL);
    whole = grpo_new(&c); parts = grpo_new(&c);
    CHECK(whole && parts, "%s", c.error);
    if (!whole || !parts) return;
    make_prompts(prompts, NULL);
    for (step = 0; step < 3; step++) {
        grpo_sequences s;
        CHECK(!grpo_step(whole, prompts, PROMPTS, &m), "%s", grpo_error(whole));
        CHECK(!grpo_rollout(parts, prompts, PROMPTS) && !grpo_score(parts)
              && !grpo_advantage(parts), "%s", grpo_error(parts));
        CHECK(!grpo_forward(parts, GRPO_POLICY, NULL, &now), "%s", grpo_error(parts));
        s = grpo_batch_sequences(parts, logprobs);
        if (full) { s.kl = kl; s.entropies = entropies; }
        loss = grpo_loss(&c.objective, &s, d, full ? dkl : NULL, NULL);
        for (t = 0; t < MOST; t++)
            dentropies[t] = -c.objective.entropy_coef
                          / (float)parts->batch.offsets[parts->batch.num_sequences];
        CHECK(!grpo_backward(parts, NULL, &gradient), "%s", grpo_error(parts));
        CHECK(!grpo_optimize(parts, c.learning_rate, &norm), "%s", grpo_error(parts));
        CHECK(loss == m.loss && norm == m.grad_norm, "step %d: loss %g, %g", step, loss, m.loss);
    }
    a = (float *)malloc(whole->num_parameters * sizeof(float));
    b = (float *)malloc(whole->num_parameters * sizeof(float));
    download_weights(whole, a);
    download_weights(parts, b);
    CHECK(!memcmp(a, b, whole->num_parameters * sizeof(float)), "weights differ");
    free(a);
    free(b);
    grpo_free(whole);
    grpo_free(parts);
}

/* grpo_backward() may find the activations that grpo_forward() has left, but only while they are
 * the right ones; and minibatches add up to the batch. */
static void test_activations(void) {
    enum { MOST = PROMPTS * GROUP * LENGTH, WAYS = 5 };
    static const char *const ways[WAYS] = { "backward alone", "after a forward",
        "after one of the reference too", "after forwards of other weights", "in minibatches" };
    grpo_config c = small_config();
    grpo *g, *other, *saved;
    grpo_prompt prompts[PROMPTS];
    float x[MOST], d[MOST], *first = NULL;
    const grpo_per_token now = { x, NULL, NULL, NULL }, gradient = { d, NULL, NULL, NULL };
    int way, p, t, code;
    size_t bytes;
    c.rollout_batch_prompts = 2;    /* sampling stores nothing                                   */
    c.micro_batch_prompts = PROMPTS;
    g = grpo_new(&c);
    c.seed = 77;
    other = grpo_new(&c); saved = grpo_new(&c);
    CHECK(g && other && saved, "%s", c.error);
    if (!g || !other || !saved) return;
    make_prompts(prompts, NULL);
    for (t = 0; t < MOST; t++) d[t] = grpo__normal(3, (uint64_t)t);
    bytes = g->num_parameters * sizeof(float);
    code = grpo_rollout(g, prompts, PROMPTS);
    for (way = 0; way < WAYS && !code; way++) {
        for (p = 0; p < (way == 4 ? PROMPTS : 1) && !code; p++) {
            if (way == 3) {
                code = grpo_copy_weights(saved, g) || grpo_copy_weights(g, other)
                    || grpo_forward(g, GRPO_POLICY, NULL, &now) || grpo_copy_weights(g, saved);
            }
            if (way == 4) code = grpo_minibatch(g, p, 1);
            if (way && way != 3 && !code) code = grpo_forward(g, GRPO_POLICY, NULL, &now);
            CHECK(code || g->machinery->forward_valid == (way && way != 3), "%s", ways[way]);
            if (way == 2 && !code) code = grpo_forward(g, GRPO_REFERENCE, NULL, &now);
            if (!code) code = grpo_backward(g, NULL, &gradient);
        }
        if (!first) {
            first = (float *)malloc(bytes);
            memcpy(first, g->machinery->gradient, bytes);
        }
        CHECK(!memcmp(first, g->machinery->gradient, bytes), "%s: another gradient", ways[way]);
        grpo__clear_gradient(g);
    }
    CHECK(!code, "%s", grpo_error(g));
    free(first);
    grpo_free(g); grpo_free(other); grpo_free(saved);
}

/* Stop at a step, resume in a new object: every later number is the same. */
static void test_resume(void) {
    grpo_config c = small_config();
    grpo *through = grpo_new(&c), *first = grpo_new(&c), *second;
    grpo_prompt prompts[PROMPTS];
    grpo_metrics ma, mb;
    float *a, *b;
    int i;
    c.seed = 99;                    /* the file's seed must win */
    second = grpo_new(&c);
    CHECK(through && first && second, "%s", c.error);
    if (!through || !first || !second) return;
    make_prompts(prompts, NULL);
    for (i = 0; i < 4; i++) CHECK(!grpo_step(through, prompts, PROMPTS, &ma), "step");
    for (i = 0; i < 2; i++) CHECK(!grpo_step(first, prompts, PROMPTS, &mb), "step");
    CHECK(!grpo_save(first, "test_exact_checkpoint", GRPO_SAVE_STATE), "%s", grpo_error(first));
    CHECK(!grpo_resume(second, "test_exact_checkpoint"), "%s", grpo_error(second));
    for (i = 0; i < 2; i++) CHECK(!grpo_step(second, prompts, PROMPTS, &mb), "step");
    ma.step_time = mb.step_time = 0;
    CHECK(!memcmp(&ma, &mb, sizeof ma), "metrics after resuming differ");
    a = (float *)malloc(through->num_parameters * sizeof(float));
    b = (float *)malloc(through->num_parameters * sizeof(float));
    download_weights(through, a);
    download_weights(second, b);
    CHECK(!memcmp(a, b, through->num_parameters * sizeof(float)), "weights after resuming differ");
    free(a);
    free(b);
    grpo_free(through);
    grpo_free(first);
    grpo_free(second);
    remove("test_exact_checkpoint/model.safetensors");
    remove("test_exact_checkpoint/config.json");
    remove("test_exact_checkpoint/trainer_state.safetensors");
    rmdir("test_exact_checkpoint");
}

/* a b + c, rounded once: not every C library's fmaf() does that (mingw's rounds twice). The
 * product is exact in double. The sum is rounded to odd, after which rounding it to float is as if
 * only that had been done (Boldo and Melquiond 2008). */
static float fused_once(float a, float b, float c) {
    double product = (double)a * (double)b, sum = product + (double)c, part = sum - product;
    double error = (product - (sum - part)) + ((double)c - part);
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    if ((error > 0 || error < 0) && !(bits & 1)) {
        if ((error > 0) == (sum > 0)) bits++;
        else bits--;
    }
    memcpy(&sum, &bits, sizeof sum);
    return (float)sum;
}

#if defined(GRPO__X86)
#define PROCESSOR_FUSES __builtin_cpu_supports("fma")
__attribute__((target("fma"))) static float fused_by_processor(float a, float b, float c) {
    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
}
#elif defined(FP_FAST_FMAF)
#define PROCESSOR_FUSES 1
static float fused_by_processor(float a, float b, float c) { return fmaf(a, b, c); }
#else
#define PROCESSOR_FUSES 0
static float fused_by_processor(float a, float b, float c) { return fused_once(a, b, c); }
#endif

/* fused_once() is the processor's: any floats, and sums in which nearly all cancels, is lost, or
 * lies at a tie. */
static void test_fused(void) {
    int i, j, bad = 0;
    for (i = 0; i < 1000000 && PROCESSOR_FUSES; i++) {
        float x[3], want, got;
        for (j = 0; j < 3; j++) {
            uint32_t bits = (uint32_t)(grpo__hash(5, (uint64_t)i, (uint64_t)j, 0, 0) >> 32);
            if (i % 4) bits = (bits & 0x807fffffu) | (120 + bits % 13) << 23;
            if (i % 4 == 2) bits &= 0xfffff000u;              /* few digits: ties                */
            memcpy(&x[j], &bits, sizeof bits);
        }
        if (i % 4 == 3) x[2] = -x[0] * x[1];
        want = fused_by_processor(x[0], x[1], x[2]);
        got = fused_once(x[0], x[1], x[2]);
        bad += memcmp(&want, &got, sizeof got) != 0 && !(want != want && got != got);
    }
    CHECK(!bad, "%d of 1000000 fused products and sums differ from the processor's", bad);
    if (!PROCESSOR_FUSES) printf("skipped: the processor has no fused multiply-add\n");
}

/* The definition of an element of y or dx: products in blocks of 256, each summed from zero. */
static float sum_of_blocks(int fused, int k, const float *a, int a_step, const float *b,
                           int b_step, float sum) {
    int p, q;
    for (p = 0; p < k; p = q) {
        float s = 0;
        for (q = p; q < k && q < p + 256; q++)
            s = fused ? fused_once(a[q * a_step], b[q * b_step], s)
                      : s + a[q * a_step] * b[q * b_step];
        sum += s;
    }
    return sum;
}

/* The matrix product against its definition, and its two derivatives: on one of the vector units
 * that this machine has. */
static void test_matmul(int widest) {
    static const int shapes[][3] = { { 1, 1, 1 }, { 1, 33, 7 }, { 3, 32, 64 }, { 13, 31, 5 },
        { 14, 64, 300 }, { 29, 65, 257 }, { 170, 40, 259 }, { 37, 300, 515 }, { 8, 1, 1000 },
        { 16, 70, 600 }, { 2, 2100, 33 } };
    grpo_config c = grpo_defaults();
    char error[GRPO_ERROR_LENGTH];
    size_t s;
    grpo__cpu *cpu;
    c.threads = 2;
    cpu = (grpo__cpu *)grpo_cpu()->open(&c, error);
    CHECK(cpu != NULL, "%s", error);
    if (!cpu) return;
    cpu->kernel = grpo__choose_kernel(widest);
    for (s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
        int i, j, p, bad = 0, bad_dx = 0, bad_dw = 0;
        int fused = cpu->kernel.rows[0] > 4;
        float *x = (float *)malloc(sizeof(float) * (size_t)(m * k));
        float *y = (float *)malloc(sizeof(float) * (size_t)(m * n));
        float *r = (float *)malloc(sizeof(float) * (size_t)(m * n));
        float *dw = (float *)calloc((size_t)(n * k), sizeof(float));
        float *dx = (float *)malloc(sizeof(float) * (size_t)(m * k));
        grpo_product product;
        grpo_matrix w;
        w.rows = w.y_stride = n; w.cols = k;
        w.weights = (float *)malloc(sizeof(float) * (size_t)(n * k));
        w.operand = malloc(grpo_cpu()->operand_size(n, k));
        for (i = 0; i < m * k; i++) x[i] = grpo__normal(1, (uint64_t)i);
        for (i = 0; i < n * k; i++) dw[i] = w.weights[i] = grpo__normal(2, (uint64_t)i);
        for (i = 0; i < m * n; i++) r[i] = grpo__normal(3, (uint64_t)i);
        grpo_cpu()->prepare(cpu, &w);
        product.w = &w; product.n = m; product.x = x; product.y = y; product.bias = NULL;
        product.residual = product.dy = r;
        product.dx = dx; product.dw = dw; product.dbias = NULL;
        grpo_cpu()->matmul(cpu, &product);
        grpo_cpu()->matmul_dx(cpu, &product);
        grpo_cpu()->matmul_dw(cpu, &product);
        for (i = 0; i < m; i++)
            for (j = 0; j < n; j++) {
                float sum = sum_of_blocks(fused, k, x + i * k, 1, w.weights + j * k, 1,
                                          r[i * n + j]);
                bad += memcmp(&sum, &y[i * n + j], sizeof sum) != 0;
            }
        for (i = 0; i < m; i++)
            for (j = 0; j < k; j++) {
                float sum = sum_of_blocks(fused, n, r + i * n, 1, w.weights + j, k, 0);
                bad_dx += memcmp(&sum, &dx[i * k + j], sizeof sum) != 0;
            }
        for (i = 0; i < n; i++)
            for (j = 0; j < k; j++) {
                float sum = w.weights[i * k + j];
                for (p = 0; p < m; p++)
                    sum = fused ? fused_once(r[p * n + i], x[p * k + j], sum)
                                : sum + r[p * n + i] * x[p * k + j];
                bad_dw += memcmp(&sum, &dw[i * k + j], sizeof sum) != 0;
            }
        CHECK(!bad && !bad_dx && !bad_dw,
              "%d x %d x %d: %d, %d, %d elements are not the definition's",
              m, n, k, bad, bad_dx, bad_dw);
        free(x); free(y); free(r); free(dx); free(dw); free(w.weights); free(w.operand);
    }
    grpo_cpu()->close(cpu);
}

/* No padding, and a prompt is computed once per group: the rows of a pass are the prompts' tokens
 * and the completions' but the last of each, and so are those of a rollout. Counted where the first
 * layer's first product is taken. */
static const void *counted_matrix;
static int counted_rows;

static void counting_matmul(void *context, const grpo_product *p) {
    if (!counted_matrix) counted_matrix = p->w->weights;
    if (p->w->weights == counted_matrix) counted_rows += p->n;
    grpo_cpu()->matmul(context, p);
}

static void test_rows(void) {
    grpo_config c = small_config();
    grpo_backend counting = *grpo_cpu();
    grpo_prompt prompts[PROMPTS];
    float logprobs[PROMPTS * GROUP * LENGTH];
    const grpo_per_token to = { logprobs, NULL, NULL, NULL };
    grpo *g;
    int i, rows = 0, longest = 0;
    counting.matmul = counting_matmul;
    c.backend = &counting;
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) return;
    make_prompts(prompts, NULL);
    counted_matrix = NULL; counted_rows = 0;
    CHECK(!grpo_rollout(g, prompts, PROMPTS), "%s", grpo_error(g));
    for (i = 0; i < g->batch.num_sequences; i++) {
        const grpo_sample *s = &g->batch.samples[i];
        rows += s->num_tokens - 1 + (i % GROUP == 0 ? s->num_prompt_tokens : 0);
        if (s->num_tokens > longest) longest = s->num_tokens;
        CHECK(g->batch.offsets[i + 1] - g->batch.offsets[i] == s->num_tokens, "sequence %d", i);
    }
    CHECK(rows < PROMPTS * (6 + GROUP * (longest - 1)), "of one length: padding would not be seen");
    CHECK(counted_rows == rows, "a rollout of %d rows computed %d", rows, counted_rows);
    counted_rows = 0;
    CHECK(!grpo_forward(g, GRPO_POLICY, NULL, &to), "%s", grpo_error(g));
    CHECK(counted_rows == rows, "a pass over %d rows computed %d", rows, counted_rows);
    grpo_free(g);
}

/* Logits never all in memory: however many tokens there are, those of some rows. */
static void test_logits(void) {
    enum { VOCABULARY = 50000, TOKENS = 64 * 8 * 64 };
    grpo_config c = grpo_defaults();
    grpo_memory few, many;
    c.model.vocab_size = VOCABULARY;
    c.eos_token_id = 1;
    c.num_generations = 8;
    c.max_prompt_length = c.max_completion_length = 64;
    c.threads = 1;
    grpo_add_reward(&c, "digits", digit_sum, 1.0f, NULL);
    c.num_prompts = 16;
    CHECK(!grpo_memory_needed(&c, &few), "%s", c.error);
    c.num_prompts = 64;
    CHECK(!grpo_memory_needed(&c, &many), "%s", c.error);
    CHECK(many.logits == few.logits && many.logits < sizeof(float) * VOCABULARY * (TOKENS / 64),
          "logits: %.0f bytes for 16 prompts, %.0f for 64", (double)few.logits,
          (double)many.logits);
}

/* Memory: predicted to the byte; none taken in a step. */
typedef struct counter { size_t bytes; int calls; } counter;
static void *count_allocate(size_t size, void *user) {
    counter *n = (counter *)user;
    n->bytes += size;
    n->calls++;
    return malloc(size);
}
static void count_release(void *memory, void *user) { (void)user; free(memory); }

static void test_memory(void) {
    counter n = { 0, 0 };
    grpo_config c = small_config();
    grpo_memory needed;
    grpo_prompt prompts[PROMPTS];
    grpo_evaluation e;
    grpo *g;
    size_t after_new;
    int calls;
    c.allocate = count_allocate;
    c.release = count_release;
    c.user = &n;
    CHECK(!grpo_memory_needed(&c, &needed), "%s", c.error);
    n.bytes = 0;
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) return;
    after_new = n.bytes;
    calls = n.calls;
    CHECK(after_new == needed.total, "predicted %.0f bytes, took %.0f", (double)needed.total,
          (double)after_new);
    make_prompts(prompts, NULL);
    CHECK(!grpo_sft(g, prompts, PROMPTS, 0.01f, NULL), "%s", grpo_error(g));
    CHECK(!grpo_step(g, prompts, PROMPTS, NULL), "%s", grpo_error(g));
    CHECK(!grpo_evaluate(g, prompts, PROMPTS, 4, 2, &e), "%s", grpo_error(g));
    CHECK(n.calls == calls, "%d allocations during training", n.calls - calls);
    grpo_free(g);
}

/* A reward that never comes teaches nothing: not one weight moves. */
static float never(const grpo_sample *s, void *user) { (void)s; (void)user; return 0; }

static void test_never(void) {
    grpo_config c = grpo_defaults();
    grpo_prompt question = grpo_question("2+2=", NULL);
    grpo *g;
    float *before, *after;
    int i;
    c.vocabulary = "0123456789+=";
    c.objective = grpo_objective_preset("trl", NULL);   /* beta 0 */
    c.num_prompts = 1;
    grpo_add_reward(&c, "never", never, 1.0f, NULL);
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) return;
    before = (float *)malloc(g->num_parameters * sizeof(float));
    after = (float *)malloc(g->num_parameters * sizeof(float));
    download_weights(g, before);
    for (i = 0; i < 5; i++) CHECK(!grpo_step(g, &question, 1, NULL), "%s", grpo_error(g));
    download_weights(g, after);
    CHECK(!memcmp(before, after, g->num_parameters * sizeof(float)),
          "weights moved without a reward");
    free(before);
    free(after);
    grpo_free(g);
}

int main(void) {
    int widest;
    test_fused();
    for (widest = 32; widest >= 8; widest /= 2) test_matmul(widest);
    test_sampler_is_trainer();
    test_order_and_replay();
    test_unrolled(0);
    test_unrolled(1);
    test_activations();
    test_splits();
    test_budget();
    test_idle();
    test_units();
    test_rows();
    test_logits();
    test_memory();
    test_never();
    test_resume();
    return check_finish();
}
