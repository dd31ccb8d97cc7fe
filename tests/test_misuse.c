/* Misuse: every public function with NULL for each argument that is not documented as optional, and
 * with sizes, counts, tokens and numbers out of range; every field of the config changed after
 * grpo_new(); counters beyond their range. Each is refused with a sentence, or, where the maths has
 * no code to return, does nothing or answers NaN; and the object works on. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"
#include "tiny.h"

static const char folder[] = "test_misuse_folder";
static int tried;

#define TRY(condition, ...) do { tried++; CHECK(condition, __VA_ARGS__); } while (0)
#define REFUSED(call) TRY((call) == GRPO_BAD_INPUT, "%s", #call)
#define REFUSED_BY(g, call)                                                              \
    do {                                                                                 \
        (g)->config.error[0] = 0;                                                        \
        TRY((call) == GRPO_BAD_INPUT && (g)->config.error[0], "%s", grpo_error(g));      \
    } while (0)
#define NOT_A_NUMBER(call) TRY(!grpo__finite((double)(call)), "%s", #call)
#define EQUALS(call, value) TRY((call) == (value), "%s", #call)
#define HARMLESS(call) do { (void)(call); TRY(1, "%s", #call); } while (0)

/* Everything that one can ask of an object, with arguments that make sense. */
static grpo_prompt prompts[2];
static const grpo_completion said[6] = {
    { "a", NULL, 0, NULL, 0 }, { "b", NULL, 0, NULL, 0 }, { "c", NULL, 0, NULL, 0 },
    { "ab", NULL, 0, NULL, 0 }, { "bc", NULL, 0, NULL, 0 }, { "ca", NULL, 0, NULL, 0 } };
static float per_token[64];
static const grpo_per_token one_each = { per_token, NULL, NULL, NULL };
static const grpo_sampling plain = { 1, 0, 1, 0 };

enum { CALLS = 18 };
static int call(grpo *g, grpo *other, int which, const char **name) {
    static const char *const names[CALLS] = { "rollout", "score", "advantage", "update", "forward",
        "backward", "optimize", "set_reference", "adopt", "generate", "sft", "evaluate", "step",
        "encode", "decode", "copy_weights", "save", "resume" };
    grpo_evaluation e;
    int tokens[8] = { 0, 1, 2, 0, 0, 0, 0, 0 };
    char text[64];
    *name = names[which];
    switch (which) {
    case 0: return grpo_rollout(g, prompts, 2);
    case 1: return grpo_score(g);
    case 2: return grpo_advantage(g);
    case 3: return grpo_update(g, NULL);
    case 4: return grpo_forward(g, GRPO_POLICY, NULL, &one_each);
    case 5: return grpo_backward(g, NULL, &one_each);
    case 6: return grpo_optimize(g, 0, NULL);
    case 7: return grpo_set_reference(g, 1);
    case 8: return grpo_adopt(g, prompts, 2, said);
    case 9: return grpo__min(0, grpo_generate(g, prompts, &plain, 1, text, sizeof text));
    case 10: return grpo_sft(g, prompts, 2, 0, NULL);
    case 11: return grpo_evaluate(g, prompts, 2, 2, 1, &e);
    case 12: return grpo_step(g, prompts, 2, NULL);
    case 13: return grpo__min(0, grpo_encode(g, "ab", tokens, 8));
    case 14: return grpo__min(0, grpo_decode(g, tokens, 3, text, sizeof text));
    case 15: return grpo_copy_weights(g, other);
    case 16: return grpo_save(g, folder, GRPO_SAVE_STATE);
    default: return grpo_resume(g, folder);
    }
}

static void all_refused(grpo *g, grpo *other, const char *what) {
    const char *name;
    int i;
    for (i = 0; i < CALLS; i++) {
        int code;
        g->config.error[0] = 0;
        code = call(g, other, i, &name);
        TRY(code == GRPO_BAD_INPUT && g->config.error[0], "%s, grpo_%s: %d %s", what, name, code,
              grpo_error(g));
    }
}

static void all_well(grpo *g, grpo *other, const char *what) {
    const char *name;
    int i, code;
    for (i = 0; i < CALLS; i++) {
        if (i == 1 || i == 4) call(g, other, 0, &name);
        code = call(g, other, i, &name);
        CHECK(!code, "%s, grpo_%s: %s", what, name, grpo_error(g));
    }
}

static grpo *begin(grpo_config c) {
    grpo *g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) exit(check_finish());
    return g;
}

static void *some_memory(size_t size, void *user) { (void)user; return malloc(size); }
static void no_memory(void *memory, void *user) { (void)user; free(memory); }

/* Shapes that memory was laid out by, and numbers beyond their range. Each after grpo_new(), with a
 * batch that has been compared, so that grpo_update() is only refused for what is tried. */
#define CHANGE(field, value)                                                             \
    do {                                                                                 \
        g->config.field = (value);                                                       \
        all_refused(g, other, #field " = " #value);                                      \
        g->config = as_it_was;                                                           \
    } while (0)

static void test_changed(void) {
    static grpo_backend another;
    grpo *g = begin(tiny()), *other = begin(tiny());
    grpo_config as_it_was = g->config;
    int i;
    all_well(g, other, "before");
    CHECK(!grpo_rollout(g, prompts, 2) && !grpo_score(g) && !grpo_advantage(g), "%s",
          grpo_error(g));
    another = *grpo_cpu();
    CHANGE(max_completion_length, 10000);
    CHANGE(max_completion_length, 3);
    CHANGE(max_prompt_length, 1000);
    CHANGE(max_prompt_length, 1);
    CHANGE(num_prompts, 1 << 20);
    CHANGE(num_prompts, 1);
    CHANGE(num_generations, 4);
    CHANGE(num_generations, 1);
    CHANGE(num_generations, -1);
    CHANGE(micro_batch_prompts, 1);
    CHANGE(rollout_batch_prompts, 1);
    CHANGE(memory_budget, 1);
    CHANGE(threads, 64);
    CHANGE(max_token_bytes, 1);
    CHANGE(vocabulary, "abcdefgh");
    CHANGE(vocabulary, NULL);
    CHANGE(backend, NULL);
    CHANGE(backend, &another);
    CHANGE(allocate, some_memory);
    CHANGE(release, no_memory);
    CHANGE(model.vocab_size, 1 << 20);
    CHANGE(model.hidden_size, 16);
    CHANGE(model.intermediate_size, 1);
    CHANGE(model.num_hidden_layers, 7);
    CHANGE(model.num_attention_heads, 1);
    CHANGE(model.num_key_value_heads, 1);
    CHANGE(model.head_dim, 8);
    CHANGE(model.max_position_embeddings, 2);
    CHANGE(model.rope_theta, 1.0f);
    CHANGE(model.rms_norm_eps, 1.0f);
    CHANGE(model.rope_scaling.rope_type, 1);
    CHANGE(model.tie_word_embeddings, 0);
    CHANGE(model.attention_bias, 1);
    CHANGE(model.qk_norm, 1);
    CHANGE(model.num_labels, 1);
    CHANGE(model.value_head, 1);
    CHANGE(lora.rank, 4);
    CHANGE(lora.alpha, 1.0f);
    CHANGE(lora.targets, 1);
    CHANGE(eos_token_id, 4);
    CHANGE(num_eos, 9);
    CHANGE(num_rewards, 9);
    CHANGE(num_rewards, 2);                     /* the second is none */
    CHANGE(num_rewards, -1);
    CHANGE(num_iterations, 0);
    CHANGE(steps_per_generation, -1);
    CHANGE(sampling.temperature, (float)NAN);
    CHANGE(sampling.top_k, -1);
    CHANGE(sampling.top_p, 2.0f);
    CHANGE(learning_rate, (float)NAN);
    CHANGE(adam_beta1, 1.0f);
    CHANGE(adam_beta2, -1.0f);
    CHANGE(adam_epsilon, 0);
    CHANGE(max_grad_norm, (float)NAN);
    CHANGE(lr_scheduler_type, 3);
    CHANGE(objective.epsilon, (float)NAN);
    CHANGE(objective.advantage, 99);
    CHANGE(objective.loss, -1);
    CHANGE(objective.kl, GRPO_KL_FULL);         /* these two have no memory */
    CHANGE(encode, (grpo_encode_function)(uintptr_t)1);
    for (i = 0; i < 2; i++) {
        int64_t wrong = i ? -1 : INT64_MAX;
        grpo_state state = g->state;
        g->state.step = wrong; all_refused(g, other, "state.step"); g->state = state;
        g->state.optimizer_step = wrong; all_refused(g, other, "state.optimizer_step");
        g->state = state;
        g->state.adam_step = wrong; all_refused(g, other, "state.adam_step"); g->state = state;
        g->state.num_tokens = i ? -1 : (double)NAN; all_refused(g, other, "state.num_tokens");
        g->state = state;
    }
    CHECK(!grpo_update(g, NULL), "a refusal has touched the batch: %s", grpo_error(g));
    all_well(g, other, "after");
    g->config.learning_rate = 0.5f;             /* hyper-parameters may change */
    g->config.sampling.temperature = 0.5f;
    g->config.objective.beta = 0;
    g->config.success_reward = (float)NAN;
    g->config.model.initializer_range = 0;
    g->config.seed = 0;
    all_well(g, other, "hyper-parameters");
    grpo_free(g); grpo_free(other);
    g = begin(tiny());
    {
        grpo_config c = tiny();
        c.objective.beta = 0;
        other = begin(c);
        other->config.objective.beta = 0.1f;
        all_refused(other, g, "beta without a reference");
        grpo_free(other);
    }
    grpo_free(g);
}

static void test_object(void) {
    grpo *g = begin(tiny()), *none = NULL;
    grpo_config c = tiny();
    grpo_memory needed;
    grpo_evaluation e;
    grpo_metrics m;
    grpo_prompt odd = prompts[0];
    grpo_completion wrong[6];
    const int tokens[4] = { 0, 1, 2, 4 }, below[1] = { -1 };
    const grpo_per_token nothing = { NULL, NULL, NULL, NULL };
    const grpo_per_token kl = { NULL, NULL, per_token, NULL };
    const grpo_per_token values = { NULL, NULL, NULL, per_token };
    const char *name;
    int out[8], i;
    char text[64];
    memset(&m, 0, sizeof m);
    for (i = 0; i < CALLS; i++) TRY(call(none, g, i, &name) == GRPO_BAD_INPUT, "%s of NULL", name);
    REFUSED(grpo_add_reward(NULL, "x", length_reward, 1, NULL));
    REFUSED(grpo_add_reward(&c, NULL, length_reward, 1, NULL));
    REFUSED(grpo_add_reward(&c, "", length_reward, 1, NULL));
    REFUSED(grpo_memory_needed(NULL, &needed));
    REFUSED(grpo_memory_needed(&c, NULL));
    EQUALS(grpo_new(NULL), NULL);
    HARMLESS(grpo_free(NULL));
    EQUALS(grpo_error(NULL) == NULL, 0);
    REFUSED_BY(g, grpo_rollout(g, NULL, 1));
    REFUSED_BY(g, grpo_rollout(g, prompts, 0));
    REFUSED_BY(g, grpo_rollout(g, prompts, -1));
    REFUSED_BY(g, grpo_rollout(g, prompts, INT32_MAX));
    REFUSED_BY(g, grpo_step(g, NULL, 1, &m));
    REFUSED_BY(g, grpo_step(g, prompts, -5, &m));
    REFUSED_BY(g, grpo_step(g, prompts, 3, NULL));
    odd.text = NULL;
    REFUSED_BY(g, grpo_rollout(g, &odd, 1));
    odd.tokens = tokens; odd.num_tokens = -1;
    REFUSED_BY(g, grpo_rollout(g, &odd, 1));
    odd.num_tokens = 0;
    REFUSED_BY(g, grpo_rollout(g, &odd, 1));
    odd.num_tokens = INT32_MAX;
    REFUSED_BY(g, grpo_rollout(g, &odd, 1));
    odd.tokens = tokens + 3; odd.num_tokens = 1;
    REFUSED_BY(g, grpo_rollout(g, &odd, 1));
    odd.tokens = below;
    REFUSED_BY(g, grpo_rollout(g, &odd, 1));
    odd = grpo_question(NULL, NULL);
    REFUSED_BY(g, grpo_step(g, &odd, 1, NULL));
    odd = grpo_question("abcabc", "a");
    REFUSED_BY(g, grpo_rollout(g, &odd, 1));
    REFUSED_BY(g, grpo_score(g));
    REFUSED_BY(g, grpo_advantage(g));
    REFUSED_BY(g, grpo_update(g, &m));
    REFUSED_BY(g, grpo_forward(g, GRPO_POLICY, NULL, &one_each));
    REFUSED_BY(g, grpo_backward(g, NULL, &one_each));
    CHECK(!grpo_rollout(g, prompts, 2), "%s", grpo_error(g));
    REFUSED_BY(g, grpo_advantage(g));
    REFUSED_BY(g, grpo_forward(g, GRPO_POLICY, NULL, NULL));
    REFUSED_BY(g, grpo_forward(g, GRPO_POLICY, NULL, &nothing));
    REFUSED_BY(g, grpo_forward(g, GRPO_POLICY, NULL, &values));     /* no scalar head           */
    REFUSED_BY(g, grpo_forward(g, GRPO_POLICY, NULL, &kl));         /* no memory for it         */
    REFUSED_BY(g, grpo_forward(g, 2, NULL, &one_each));
    REFUSED_BY(g, grpo_forward(g, -1, NULL, &one_each));
    REFUSED_BY(g, grpo_backward(g, NULL, NULL));
    REFUSED_BY(g, grpo_backward(g, NULL, &nothing));
    REFUSED_BY(g, grpo_backward(g, NULL, &values));
    REFUSED_BY(g, grpo_backward(g, NULL, &kl));
    per_token[0] = (float)NAN;
    CHECK(!grpo_backward(g, NULL, &one_each) && grpo_optimize(g, 1, NULL) == GRPO_NONFINITE, "NaN");
    per_token[0] = 0;
    CHECK(grpo_optimize(g, (float)NAN, NULL) == GRPO_NONFINITE, "a learning rate of NaN");
    REFUSED_BY(g, grpo_set_reference(g, (float)NAN));
    REFUSED_BY(g, grpo_set_reference(g, 1e30f));
    REFUSED_BY(g, grpo_set_reference(g, -0.1f));
    REFUSED_BY(g, grpo_adopt(g, NULL, 1, said));
    REFUSED_BY(g, grpo_adopt(g, prompts, 2, NULL));
    REFUSED_BY(g, grpo_adopt(g, prompts, 3, said));
    REFUSED_BY(g, grpo_adopt(g, prompts, -1, said));
    for (i = 0; i < 6; i++) {
        memcpy(wrong, said, sizeof wrong);
        wrong[5].text = NULL;
        if (i) wrong[5].tokens = tokens;
        wrong[5].num_tokens = i == 1 ? 0 : i == 2 ? -1 : i == 3 ? 5 : i == 4 ? INT32_MAX : 4;
        REFUSED_BY(g, grpo_adopt(g, prompts, 2, wrong));
    }
    EQUALS(grpo_generate(g, prompts, NULL, 1, text, sizeof text) < 0, 0);
    REFUSED_BY(g, grpo_generate(g, NULL, &plain, 1, text, sizeof text));
    REFUSED_BY(g, grpo_generate(g, prompts, &plain, 1, NULL, sizeof text));
    REFUSED_BY(g, grpo_generate(g, prompts, &plain, 1, text, 0));
    {
        static const grpo_sampling wrongs[] = { { -1, 0, 1, 0 }, { 1, -1, 1, 0 }, { 1, 0, 0, 0 },
                                                { 1, 0, 1, 2 }, { 1, 0, 2, 0 } };
        for (i = 0; i < 5; i++) REFUSED_BY(g, grpo_generate(g, prompts, wrongs + i, 1, text, 64));
    }
    REFUSED_BY(g, grpo_sft(g, NULL, 1, 0.1f, NULL));
    REFUSED_BY(g, grpo_sft(g, prompts, 0, 0.1f, NULL));
    REFUSED_BY(g, grpo_sft(g, prompts, -1, 0.1f, NULL));
    REFUSED_BY(g, grpo_sft(g, prompts, INT32_MAX, 0.1f, NULL));
    CHECK(grpo_sft(g, prompts, 2, (float)NAN, NULL) == GRPO_NONFINITE, "a learning rate of NaN");
    REFUSED_BY(g, grpo_evaluate(g, NULL, 1, 0, 0, &e));
    REFUSED_BY(g, grpo_evaluate(g, prompts, 1, 0, 0, NULL));
    REFUSED_BY(g, grpo_evaluate(g, prompts, 0, 0, 0, &e));
    REFUSED_BY(g, grpo_evaluate(g, prompts, 1, -1, 0, &e));
    REFUSED_BY(g, grpo_evaluate(g, prompts, 1, 2, 3, &e));
    REFUSED_BY(g, grpo_evaluate(g, prompts, 1, 2, 0, &e));
    REFUSED_BY(g, grpo_evaluate(g, prompts, 1, INT32_MAX, 1, &e));
    REFUSED_BY(g, grpo_encode(g, NULL, out, 8));
    REFUSED_BY(g, grpo_encode(g, "ab", NULL, 8));
    REFUSED_BY(g, grpo_encode(g, "ab", out, 1));
    REFUSED_BY(g, grpo_encode(g, "ab", out, -1));
    REFUSED_BY(g, grpo_encode(g, "xyz", out, 8));
    REFUSED_BY(g, grpo_decode(g, NULL, 1, text, 64));
    REFUSED_BY(g, grpo_decode(g, tokens, 1, NULL, 64));
    REFUSED_BY(g, grpo_decode(g, tokens, -1, text, 64));
    REFUSED_BY(g, grpo_decode(g, tokens, 1, text, 0));
    REFUSED_BY(g, grpo_decode(g, tokens, 1, text, -5));
    REFUSED_BY(g, grpo_decode(g, tokens, 3, text, 2));
    REFUSED_BY(g, grpo_decode(g, tokens, 4, text, 64));
    REFUSED_BY(g, grpo_decode(g, below, 1, text, 64));
    REFUSED_BY(g, grpo_save(g, NULL, 0));
    REFUSED_BY(g, grpo_save(g, "", 0));
    REFUSED_BY(g, grpo_save(g, folder, GRPO_SAVE_F16 | GRPO_SAVE_BF16));
    REFUSED_BY(g, grpo_load(g, NULL));
    REFUSED(grpo_load(NULL, folder));
    REFUSED_BY(g, grpo_resume(g, NULL));
    REFUSED(grpo_load_config(NULL, folder));
    REFUSED(grpo_load_config(&c, NULL));
    REFUSED(grpo_metrics_json(NULL, text, sizeof text));
    REFUSED(grpo_metrics_json(&m, NULL, 5));
    EQUALS(grpo_metrics_json(&m, NULL, 0) > 100, 1);
    m.num_rewards = INT32_MAX;
    memset(m.reward_names, 'x', sizeof m.reward_names);
    EQUALS(grpo_metrics_json(&m, text, sizeof text) > 100, 1);
    m.num_rewards = INT32_MIN;
    EQUALS(grpo_metrics_json(&m, text, sizeof text) > 100, 1);
    CHECK(!grpo_step(g, prompts, 2, NULL), "it works on: %s", grpo_error(g));
    grpo_free(g);
}

/* What is refused leaves the batch, its sampling and all weights as they were. */
static void test_as_before(void) {
    grpo_config c = tiny();
    grpo *g = begin(c), *twin = begin(c), *wider;
    size_t size = g->num_parameters * sizeof(float), i;
    float d[24], *before = (float *)malloc(size);
    int some = 0;
    c.model.intermediate_size += 8;         /* the first tensors fit, later ones do not           */
    c.seed++;
    wider = begin(c);
    memcpy(before, g->machinery->weights, size);
    REFUSED_BY(g, grpo_copy_weights(g, wider));
    CHECK(!memcmp(before, g->machinery->weights, size), "half of the weights were copied");

    for (i = 0; i < 24; i++) d[i] = 1;
    CHECK(!grpo_rollout(g, prompts, 2) && !grpo_rollout(twin, prompts, 2), "%s", grpo_error(g));
    g->config.sampling.temperature = 0.5f;
    REFUSED_BY(g, grpo_rollout(g, prompts, 0));
    CHECK(!grpo_backward(g, d, NULL) && !grpo_backward(twin, d, NULL), "%s", grpo_error(g));
    for (i = 0; i < g->num_parameters; i++) some += twin->machinery->gradient[i] != 0;
    CHECK(some > 0 && !memcmp(g->machinery->gradient, twin->machinery->gradient, size),
          "a refused rollout's temperature is in the old batch's gradient");
    free(before);
    grpo_free(g); grpo_free(twin); grpo_free(wider);
}

/* A value model adopts and values; it writes nothing and is not rewarded. */
static void test_critics(void) {
    const grpo_per_token values = { NULL, NULL, NULL, per_token };
    grpo_config c = tiny();
    grpo *g = begin(c), *critic, *another;
    grpo_evaluation e;
    char text[64];
    c.model.num_labels = 1;
    critic = begin(c);
    c.model.hidden_size = 16;
    another = begin(c);
    CHECK(!grpo_rollout(g, prompts, 2), "%s", grpo_error(g));
    REFUSED_BY(critic, grpo_forward(critic, GRPO_POLICY, NULL, &values));     /* no batch        */
    REFUSED_BY(critic, grpo_backward(critic, NULL, &values));
    REFUSED_BY(critic, grpo_minibatch(critic, 0, 1));
    CHECK(!grpo_adopt(critic, prompts, 2, said), "%s", grpo_error(critic));
    EQUALS(grpo_forward(critic, GRPO_POLICY, NULL, &values), 0);
    EQUALS(grpo_backward(critic, NULL, &values), 0);
    REFUSED_BY(critic, grpo_forward(critic, GRPO_POLICY, NULL, &one_each));   /* no LM head      */
    REFUSED_BY(critic, grpo_backward(critic, NULL, &one_each));
    REFUSED_BY(critic, grpo_forward(critic, GRPO_REFERENCE, NULL, &values));
    REFUSED_BY(critic, grpo_minibatch(critic, -1, 1));
    REFUSED_BY(critic, grpo_minibatch(critic, 0, 0));
    REFUSED_BY(critic, grpo_minibatch(critic, 0, 3));
    REFUSED_BY(critic, grpo_minibatch(critic, 2, 1));
    REFUSED_BY(critic, grpo_minibatch(critic, 1, INT32_MAX));
    REFUSED_BY(critic, grpo_minibatch(critic, INT32_MAX, INT32_MAX));
    EQUALS(grpo_minibatch(critic, 1, 1), 0);
    EQUALS(grpo_forward(critic, GRPO_POLICY, NULL, &values), 0);
    REFUSED(grpo_copy_weights(NULL, g));
    REFUSED_BY(g, grpo_copy_weights(g, NULL));
    REFUSED_BY(another, grpo_copy_weights(another, g));
    REFUSED_BY(critic, grpo_score(critic));
    REFUSED_BY(critic, grpo_rollout(critic, prompts, 1));
    REFUSED_BY(critic, grpo_step(critic, prompts, 1, NULL));
    REFUSED_BY(critic, grpo_sft(critic, prompts, 1, 0.1f, NULL));
    REFUSED_BY(critic, grpo_generate(critic, prompts, &plain, 1, text, sizeof text));
    REFUSED_BY(critic, grpo_evaluate(critic, prompts, 1, 0, 0, &e));
    CHECK(!grpo_step(g, prompts, 2, NULL), "it works on: %s", grpo_error(g));
    grpo_free(another); grpo_free(critic); grpo_free(g);
}

static void test_rewards(void) {
    static const struct { const char *name; grpo_reward_function function; } rewards[] = {
        { "exact_match", grpo_reward_exact_match }, { "last_number", grpo_reward_last_number },
        { "countdown", grpo_reward_countdown }, { "format", grpo_reward_format },
        { "overlong", grpo_reward_overlong }, { "repetition", grpo_reward_repetition } };
    grpo_sample empty;
    double value, numbers[2];
    float x;
    int i, count;
    memset(&empty, 0, sizeof empty);
    for (i = 0; i < 6; i++) {
        NOT_A_NUMBER(rewards[i].function(NULL, NULL));
        x = rewards[i].function(&empty, NULL);
        TRY(i == 5 ? x == 0 : !grpo__finite((double)x), "%s of nothing", rewards[i].name);
    }
    empty.num_tokens = 5;
    EQUALS(grpo_reward_repetition(&empty, NULL), 0);
    empty.num_tokens = INT32_MIN;
    EQUALS(grpo_reward_repetition(&empty, NULL), 0);
    EQUALS(grpo_evaluate_expression(NULL, &value, numbers, 2, &count), 0);
    EQUALS(grpo_evaluate_expression("1+2", NULL, NULL, 2, NULL), 1);
    EQUALS(grpo_evaluate_expression("1+2", &value, numbers, -2, &count), 1);
    EQUALS(grpo_evaluate_expression("1+2+3", &value, numbers, 2, &count), 1);
    EQUALS(grpo_last_number(NULL, &value), 0);
    EQUALS(grpo_last_number("3", NULL), 1);
}

static void test_maths(void) {
    grpo_objective o = grpo_objective_preset("deepseekmath", NULL), broken = o;
    grpo_sequences s, none;
    float r[4] = { 1, 0, 1, 0 }, a[4], w[1] = { 1 }, z[4] = { 1, 2, 3, 4 };
    const int offsets[3] = { 0, 2, 4 }, ends[2] = { 0, 1 }, steps[5] = { 0, 1, 2, 2, 2 };
    const int targets[1] = { 1 }, beyond[1] = { 4 }, below[1] = { -1 };
    uint32_t kept[1] = { 0xf };
    grpo_loss_stats stats;
    unsigned char equal[2];
    int i, found;
    char error[GRPO_ERROR_LENGTH];
    grpo_config c = grpo_defaults();
    memset(&s, 0, sizeof s);
    none = s;
    s.num_sequences = 2; s.offsets = offsets;
    s.logprobs = s.old_logprobs = s.advantages = r;
    grpo_objective_preset(NULL, &found);
    EQUALS(found, 0);
    HARMLESS(grpo_objective_preset("dapo", NULL));
    REFUSED(grpo_objective_set(NULL, "dapo", error));
    REFUSED(grpo_objective_set(&o, NULL, error));
    REFUSED(grpo_objective_set(NULL, NULL, NULL));
    REFUSED(grpo_config_set(NULL, "dapo", error));
    REFUSED(grpo_config_set(&c, NULL, error));
    REFUSED(grpo_config_set(NULL, NULL, NULL));
    EQUALS(grpo_field_at(-1) == NULL && grpo_field_at(INT32_MAX) == NULL, 1);
    EQUALS(isnan(grpo_config_get(NULL, "threads")), 1);
    EQUALS(isnan(grpo_config_get(&c, NULL)) && isnan(grpo_config_get(&c, "objective.")), 1);
    EQUALS(grpo_objective_name(-1, NULL, NULL), 0);
    EQUALS(grpo_objective_name(INT32_MAX, NULL, NULL), 0);
    EQUALS(grpo_objective_name(0, NULL, NULL), 1);
    REFUSED(grpo_advantages(NULL, r, 2, 2, NULL, a, equal));
    REFUSED(grpo_advantages(&o, NULL, 2, 2, NULL, a, equal));
    REFUSED(grpo_advantages(&o, r, 2, 2, NULL, NULL, equal));
    REFUSED(grpo_advantages(&o, r, 0, 2, NULL, a, NULL));
    REFUSED(grpo_advantages(&o, r, 2, -2, NULL, a, NULL));
    REFUSED(grpo_advantages(&o, r, INT32_MAX, INT32_MAX, NULL, a, NULL));
    EQUALS(grpo_advantages(&o, r, 2, 2, NULL, a, NULL), 0);
    REFUSED(grpo_combine_advantages(NULL, r, w, 1, 2, 2, NULL, a));
    REFUSED(grpo_combine_advantages(&o, NULL, w, 1, 2, 2, NULL, a));
    REFUSED(grpo_combine_advantages(&o, r, NULL, 1, 2, 2, NULL, a));
    REFUSED(grpo_combine_advantages(&o, r, w, 1, 2, 2, NULL, NULL));
    REFUSED(grpo_combine_advantages(&o, r, w, -1, 2, 2, NULL, a));
    REFUSED(grpo_combine_advantages(&o, r, w, 1, -2, 2, NULL, a));
    REFUSED(grpo_combine_advantages(&o, r, w, 1, 2, INT32_MAX, NULL, a));
    REFUSED(grpo_process_advantages(NULL, 2, 2, steps, ends, r, steps, a));
    REFUSED(grpo_process_advantages(&o, 2, 2, NULL, ends, r, steps, a));
    REFUSED(grpo_process_advantages(&o, 2, 2, steps, NULL, r, steps, a));
    REFUSED(grpo_process_advantages(&o, 2, 2, steps, ends, NULL, steps, a));
    REFUSED(grpo_process_advantages(&o, 2, 2, steps, ends, r, NULL, a));
    REFUSED(grpo_process_advantages(&o, 2, 2, steps, ends, r, steps, NULL));
    REFUSED(grpo_process_advantages(&o, 0, 2, steps, ends, r, steps, a));
    HARMLESS(grpo_whiten(NULL, NULL, 4));
    HARMLESS(grpo_whiten(z, NULL, -1));
    NOT_A_NUMBER(grpo_loss(NULL, &s, a, a, &stats));
    NOT_A_NUMBER(grpo_loss(&o, NULL, a, a, &stats));
    NOT_A_NUMBER(grpo_loss(&o, &none, NULL, NULL, NULL));
    for (i = 0; i < 4; i++) {
        grpo_sequences t = s;
        if (i == 0) t.offsets = NULL;
        if (i == 1) t.logprobs = NULL;
        if (i == 2) t.old_logprobs = NULL;
        if (i == 3) t.advantages = NULL;
        NOT_A_NUMBER(grpo_loss(&o, &t, a, a, &stats));
    }
    EQUALS(grpo__finite(grpo_loss(&o, &s, NULL, NULL, NULL)), 1);
    s.num_sequences = -1;
    HARMLESS(grpo_loss(&o, &s, a, a, &stats));
    s.num_sequences = 2;
    broken.kl = GRPO_KL_FULL;                   /* without s.kl */
    HARMLESS(grpo_loss(&broken, &s, a, NULL, NULL));
    s.ref_logprobs = r;
    HARMLESS(grpo_loss(&broken, &s, a, NULL, NULL));
    broken.loss = broken.ratio = broken.average = broken.kl = broken.importance = 99;
    HARMLESS(grpo_loss(&broken, &s, a, NULL, NULL));
    EQUALS(grpo_batch_sequences(NULL, r).num_sequences, 0);
    HARMLESS(grpo_kl(99, 0, 0, NULL));
    HARMLESS(grpo_kl(GRPO_KL_K3, (float)NAN, 0, a));
    NOT_A_NUMBER(grpo_full_kl(NULL, z, 4, 1, NULL, NULL));
    NOT_A_NUMBER(grpo_full_kl(z, NULL, 4, 1, NULL, NULL));
    NOT_A_NUMBER(grpo_full_kl(z, z, 0, 1, NULL, NULL));
    NOT_A_NUMBER(grpo_full_kl(z, z, -4, 1, NULL, NULL));
    EQUALS(grpo_full_kl(z, z, 4, 1, NULL, NULL), 0);
    HARMLESS(grpo_adaptive_kl(1, 1, 0, 0, INT32_MIN));
    HARMLESS(grpo_gae(2, NULL, r, r, 1, 1, a, a));
    HARMLESS(grpo_gae(2, offsets, NULL, r, 1, 1, a, a));
    HARMLESS(grpo_gae(2, offsets, r, r, 1, 1, NULL, a));
    HARMLESS(grpo_gae(2, offsets, r, NULL, 1, 1, a, NULL));
    HARMLESS(grpo_gae(-2, offsets, r, r, 1, 1, a, a));
    NOT_A_NUMBER(grpo_value_loss(4, NULL, r, r, NULL, 0, a, NULL));
    NOT_A_NUMBER(grpo_value_loss(4, r, NULL, r, NULL, 0, a, NULL));
    NOT_A_NUMBER(grpo_value_loss(4, r, r, NULL, NULL, 0, a, NULL));
    HARMLESS(grpo_value_loss(-4, r, r, r, NULL, 0, a, NULL));
    NOT_A_NUMBER(grpo_preference_loss(2, NULL, a));
    HARMLESS(grpo_preference_loss(-2, r, a));
    HARMLESS(grpo_adamw(NULL, r, a, a, 4, 1, 0.9f, 0.9f, 1e-8f, 0, 1, 1));
    HARMLESS(grpo_adamw(z, NULL, a, a, 4, 1, 0.9f, 0.9f, 1e-8f, 0, 1, 1));
    HARMLESS(grpo_adamw(z, r, NULL, a, 4, 1, 0.9f, 0.9f, 1e-8f, 0, 1, 1));
    HARMLESS(grpo_adamw(z, r, a, NULL, 4, 1, 0.9f, 0.9f, 1e-8f, 0, 1, 1));
    HARMLESS(grpo_schedule(99, -1, -5, -5));
    HARMLESS(grpo_schedule(GRPO_SCHEDULE_COSINE, INT64_MAX, INT32_MIN, INT32_MAX));
    HARMLESS(grpo_schedule(GRPO_SCHEDULE_LINEAR, INT64_MIN, INT32_MAX, INT32_MIN));
    EQUALS(grpo_pass_at_k(INT32_MIN, 1, 1), 0);
    EQUALS(grpo_pass_at_k(4, INT32_MIN, 1), 0);
    HARMLESS(grpo_pass_at_k(4, INT32_MAX, INT32_MAX));
    EQUALS(grpo_pass_at_k(4, 2, -1), 0);
    HARMLESS(grpo_filter(NULL, z, 4, kept));
    HARMLESS(grpo_filter(&plain, NULL, 4, kept));
    HARMLESS(grpo_filter(&plain, z, 4, NULL));
    HARMLESS(grpo_filter(&plain, z, 0, kept));
    HARMLESS(grpo_filter(&plain, z, -4, kept));
    CHECK(kept[0] == 0xf, "something was written");
    NOT_A_NUMBER(grpo_logprob(NULL, 4, 1, NULL, 0, NULL));
    NOT_A_NUMBER(grpo_logprob(z, 4, 1, NULL, 4, a));
    NOT_A_NUMBER(a[0]);
    NOT_A_NUMBER(grpo_logprob(z, 4, 1, NULL, -1, NULL));
    NOT_A_NUMBER(grpo_logprob(z, -4, 1, NULL, 0, NULL));
    NOT_A_NUMBER(grpo_logprob(z, 0, 1, NULL, 0, NULL));
    HARMLESS(grpo_logprob_backward(NULL, 4, 1, NULL, 1, targets, r, 0));
    HARMLESS(grpo_logprob_backward(z, 4, 1, NULL, 1, NULL, r, 0));
    HARMLESS(grpo_logprob_backward(z, 4, 1, NULL, 1, targets, NULL, 0));
    HARMLESS(grpo_logprob_backward(z, 4, 1, NULL, 1, beyond, r, 0));
    HARMLESS(grpo_logprob_backward(z, 4, 1, NULL, 1, below, r, 0));
    HARMLESS(grpo_logprob_backward(z, -4, 1, NULL, 1, targets, r, 0));
    CHECK(z[0] == 1 && z[1] == 2 && z[2] == 3 && z[3] == 4, "something was written");
    HARMLESS(grpo_logprob_backward(z, 4, 1, NULL, -1, NULL, NULL, 0));
    REFUSED(grpo_sample_token(NULL, 4, 1, NULL, 0.5f));
    REFUSED(grpo_sample_token(z, 0, 1, NULL, 0.5f));
    REFUSED(grpo_sample_token(z, -4, 1, NULL, 0.5f));
    for (i = 0; i < 4; i++) {
        static const float wrong[] = { -1, 1, 1e30f, (float)NAN };
        int token = grpo_sample_token(z, 4, 1, NULL, wrong[i]);
        TRY(token >= 0 && token < 4, "uniform %g: token %d", (double)wrong[i], token);
    }
}

/* The self-test takes its memory where the caller says. */
static int living, taken, left;

static void *counted(size_t size, void *user) {
    (void)user;
    if (taken++ >= left) return NULL;
    living++;
    return malloc(size);
}

static void counted_back(void *memory, void *user) { (void)user; living--; free(memory); }

static void test_selftest(void) {
    grpo_config c = tiny();
    c.allocate = counted;
    REFUSED(grpo_selftest(&c));                 /* no release */
    c.release = counted_back;
    for (left = 0; left < 8; left++) {
        taken = 0;
        TRY(grpo_selftest(&c) < 0 && !living, "%d allocations: %d left", left, living);
    }
    left = INT32_MAX;
    taken = 0;
    TRY(grpo_selftest(&c) == 0 && taken > 20 && !living, "%d taken, %d left", taken, living);
}

/* Counters of a state near 2^32 and 2^63. */
static void test_counters(void) {
    static const char *const names[] = { "\"step\":\"", "\"optimizer_step\":\"",
                                         "\"adam_step\":\"" };
    static const char *const wrong[] = { "2147483647", "2147483648", "4294967295", "4294967296",
        "9223372036854775806", "9223372036854775807", "18446744073709551615" };
    enum { MOST = 1 << 16 };
    static char bytes[MOST], changed[MOST + 64];
    grpo *g = begin(tiny());
    size_t size, n, w, i;
    char path[64];
    FILE *file;
    snprintf(path, sizeof path, "%s/trainer_state.safetensors", folder);
    CHECK(!grpo_step(g, prompts, 2, NULL) && !grpo_save(g, folder, GRPO_SAVE_STATE), "%s",
          grpo_error(g));
    file = fopen(path, "rb");
    size = file ? fread(bytes, 1, MOST, file) : 0;
    if (file) fclose(file);
    CHECK(size > 100 && size < MOST, "the state has %.0f bytes", (double)size);
    for (n = 0; n < 3; n++)
        for (w = 0; w < sizeof wrong / sizeof *wrong; w++) {
            const char *at = strstr(bytes + 8, names[n]);
            size_t before, header = 0, extra = strlen(wrong[w]) - 1;
            CHECK(at != NULL, "no %s", names[n]);
            if (!at) continue;
            before = (size_t)(at - bytes) + strlen(names[n]);       /* one digit */
            memcpy(changed, bytes, before);
            memcpy(changed + before, wrong[w], extra + 1);
            memcpy(changed + before + extra + 1, bytes + before + 1, size - before - 1);
            for (i = 0; i < 8; i++) header |= (size_t)(unsigned char)bytes[i] << 8 * i;
            for (i = 0; i < 8; i++) changed[i] = (char)((uint64_t)(header + extra) >> 8 * i);
            file = fopen(path, "wb");
            CHECK(file && fwrite(changed, 1, size + extra, file) == size + extra, "%s", path);
            if (file) fclose(file);
            TRY(grpo_resume(g, folder) == GRPO_BAD_FILE && strstr(grpo_error(g), "step"),
                  "%s%s: %s", names[n], wrong[w], grpo_error(g));
        }
    CHECK(!grpo_step(g, prompts, 2, NULL), "it works on: %s", grpo_error(g));
    grpo_free(g);
}

/* ---- generation: greedy by zeros, several at once, token by token; training that cannot teach */
typedef struct heard { int calls, last, whole, enough; } heard;

static int on_token(int prompt, const int *tokens, int num_tokens, void *user) {
    heard *h = (heard *)user;
    h->calls++;
    h->whole += num_tokens == 1 ? 1 : prompt != 0 || tokens[num_tokens - 2] == h->last;
    h->last = tokens[num_tokens - 1];
    return num_tokens == h->enough;
}

static void test_generation(void) {
    const grpo_sampling zeros = { 0, 0, 0, 0 }, greedily = { 0, 0, 1, 0 };
    grpo_config c = tiny();
    char one[64], same[64];
    heard h = { 0, 0, 0, 0 };
    grpo *g;
    int i;
    c.user = &h;
    g = begin(c);
    CHECK(grpo_generate(g, &prompts[0], &zeros, 1, one, sizeof one) >= 0
          && grpo_generate(g, &prompts[0], &greedily, 2, same, sizeof same) >= 0
          && !strcmp(one, same), "zeros are greedy: \"%s\", \"%s\" %s", one, same, grpo_error(g));
    CHECK(h.calls == 0, "no callback was set");
    for (i = 0; i < 2; i++) {                                 /* each as it is alone             */
        const grpo_sample *s;
        CHECK(grpo_generate(g, &prompts[i], NULL, 3, one, sizeof one) >= 0, "%s", grpo_error(g));
        CHECK(!grpo_generate_all(g, prompts, 2, NULL, 3), "%s", grpo_error(g));
        s = &g->batch.samples[i];
        CHECK(!strcmp(s->completion, one), "\"%s\" together, \"%s\" alone", s->completion, one);
        CHECK(s->truncated == (s->tokens[s->num_tokens - 1] != g->config.eos_token_id),
              "how it ended");
    }
    g->config.on_token = on_token;
    CHECK(grpo_generate(g, &prompts[0], NULL, 4, one, sizeof one) >= 0, "%s", grpo_error(g));
    CHECK(h.calls == g->batch.samples[0].num_tokens && h.whole == h.calls, "%d calls, %d whole",
          h.calls, h.whole);
    CHECK(!grpo_step(g, prompts, 2, NULL) && h.calls == h.whole, "%s", grpo_error(g));
    CHECK(h.calls <= g->config.max_completion_length, "training calls it not: %d", h.calls);
    h.calls = h.whole = 0;
    h.enough = 1;
    TRY(grpo_generate(g, &prompts[0], NULL, 4, same, sizeof same) == GRPO_CALLBACK
        && h.calls == 1 && strstr(grpo_error(g), "on_token"), "%d: %s", h.calls, grpo_error(g));
    h.enough = 0;
    CHECK(grpo_generate(g, &prompts[0], NULL, 4, same, sizeof same) >= 0 && !strcmp(one, same),
          "after one that was ended: \"%s\", \"%s\"", one, same);
    REFUSED_BY(g, grpo_generate_all(g, NULL, 1, NULL, 1));
    REFUSED_BY(g, grpo_generate_all(g, prompts, 0, NULL, 1));
    REFUSED_BY(g, grpo_generate_all(g, prompts, 7, NULL, 1));
    g->config.sampling = zeros;
    CHECK(grpo_generate(g, &prompts[0], NULL, 1, one, sizeof one) >= 0, "%s", grpo_error(g));
    CHECK(grpo_step(g, prompts, 2, NULL) == GRPO_BAD_INPUT && strstr(grpo_error(g), "temperature"),
          "%s", grpo_error(g));
    grpo_free(g);
    c = tiny();
    c.num_generations = 1;
    g = begin(c);
    CHECK(grpo_step(g, prompts, 2, NULL) == GRPO_BAD_INPUT
          && strstr(grpo_error(g), "num_generations"), "%s", grpo_error(g));
    CHECK(!grpo_objective_set(&g->config.objective, "advantage=return", NULL)
          && !grpo_step(g, prompts, 2, NULL), "%s", grpo_error(g));
    grpo_free(g);
    c = tiny();
    c.model.hidden_size = 65;
    CHECK(!grpo_new(&c) && strstr(c.error, "hidden_size 65"), "%s", c.error);
    c = tiny();
    c.max_completion_length = 2000;
    CHECK(!grpo_new(&c) && strstr(c.error, "max_position_embeddings"), "%s", c.error);
}

int main(void) {
    prompts[0] = grpo_question("ab", "c");
    prompts[1] = grpo_question("c", "ab");
    test_object();
    test_changed();
    test_as_before();
    test_critics();
    test_rewards();
    test_maths();
    test_counters();
    test_selftest();
    test_generation();
    printf("%d misuses tried\n", tried);
    return check_finish();
}
