/* The reference policy: the policy as it was at the first rollout, after any warm-up, unless it was
 * set, loaded or resumed before. KL to it is exactly 0 at that step, and not 0 once the policy has
 * moved. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"

static const char folder[] = "test_reference_folder";
static grpo_prompt sums[3];

static float longer(const grpo_sample *s, void *user) {
    (void)user;
    return (float)(s->num_tokens * 7 % 5);
}

static grpo_config config(int rank) {
    grpo_config c = grpo_defaults();            /* deepseekmath: beta .04 */
    c.vocabulary = "0123456789+=";
    c.model.hidden_size = 16; c.model.intermediate_size = 24; c.model.num_hidden_layers = 1;
    c.model.initializer_range = 0.2f;
    c.num_prompts = 3; c.num_generations = 4;
    c.max_prompt_length = 4; c.max_completion_length = 3;
    c.lora.rank = rank;
    c.threads = 1;
    grpo_add_reward(&c, "longer", longer, 1.0f, NULL);
    return c;
}

static grpo *begin(grpo_config c) {
    grpo *g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) exit(check_finish());
    return g;
}

static void warm_up(grpo *g, int steps) {
    while (steps-- > 0) CHECK(!grpo_sft(g, sums, 3, 0.01f, NULL), "%s", grpo_error(g));
}

/* One step; the KL that it saw. */
static double kl_of_step(grpo *g) {
    grpo_metrics m;
    memset(&m, 0, sizeof m);
    CHECK(!grpo_step(g, sums, 3, &m), "%s", grpo_error(g));
    return m.kl;
}

/* The first rollout fixes it: not the steps, samples and evaluations before it. */
static void test_warm_up(void) {
    grpo *g = begin(config(0));
    grpo_evaluation e;
    grpo_sampling sampling = { 1, 0, 1, 0 };
    char text[64];
    size_t n;
    warm_up(g, 3);
    CHECK(grpo_generate(g, sums, &sampling, 1, text, sizeof text) >= 0, "%s", grpo_error(g));
    CHECK(!grpo_evaluate(g, sums, 3, 2, 1, &e), "%s", grpo_error(g));
    CHECK(!g->state.reference_set, "something before the first rollout has fixed the reference");
    warm_up(g, 3);
    CHECK(kl_of_step(g) == 0 && g->state.reference_set, "KL after a warm-up");
    n = (size_t)g->batch.offsets[g->batch.num_sequences];
    CHECK(!memcmp(g->batch.logprobs, g->batch.ref_logprobs, n * sizeof(float)), "by bits");
    CHECK(kl_of_step(g) > 0, "the reference has moved with the policy");
    warm_up(g, 1);
    CHECK(kl_of_step(g) > 0, "a later supervised step has moved the reference");
    grpo_free(g);
}

/* Completions from elsewhere are a rollout too. */
static void test_adopt(void) {
    grpo *g = begin(config(0));
    grpo_completion said[12];
    grpo_metrics m;
    int i;
    memset(said, 0, sizeof said);
    for (i = 0; i < 12; i++) said[i].text = i % 4 ? "12" : "3";
    warm_up(g, 3);
    CHECK(!grpo_adopt(g, sums, 3, said) && !grpo_score(g) && !grpo_advantage(g)
          && !grpo_update(g, &m), "%s", grpo_error(g));
    CHECK(m.kl == 0, "KL %g of the first batch, adopted after a warm-up", m.kl);
    CHECK(kl_of_step(g) > 0, "the reference has moved with the policy");
    grpo_free(g);
}

static void test_set(void) {
    static const float alphas[] = { 1.0f, 0.25f };
    int i;
    for (i = 0; i < 2; i++) {
        grpo *g = begin(config(0)), *same = begin(config(0));
        double kl;
        warm_up(g, 3);
        CHECK(!grpo_set_reference(g, alphas[i]), "%s", grpo_error(g));
        warm_up(g, 3);
        kl = kl_of_step(g);
        CHECK(kl > 0, "what was set did not stay");
        warm_up(same, 3);                       /* there is nothing to mix with: alpha is 1 */
        grpo_set_reference(same, 1);
        warm_up(same, 3);
        CHECK(kl_of_step(same) == kl, "alpha %g before the first rollout", (double)alphas[i]);
        grpo_free(g); grpo_free(same);
    }
}

/* Every second step the policy becomes its own reference. */
static void test_sync(void) {
    grpo_config c = config(0);
    grpo *g;
    int i;
    c.ref_model_sync_steps = 2;
    c.ref_model_mixup_alpha = 1;
    g = begin(c);
    warm_up(g, 3);
    for (i = 0; i < 6; i++) CHECK((kl_of_step(g) == 0) == (i % 2 == 0), "step %d", i + 1);
    grpo_free(g);
}

static void test_copied(void) {
    grpo *from = begin(config(0)), *g;
    grpo_config c = config(0);
    c.seed = 2;
    g = begin(c);
    warm_up(from, 3);
    CHECK(!grpo_copy_weights(g, from) && kl_of_step(g) == 0, "weights of another policy");
    grpo_free(from); grpo_free(g);
}

static void test_loaded(void) {
    grpo *saved = begin(config(0)), *g = begin(config(0));
    warm_up(saved, 3);
    CHECK(!grpo_save(saved, folder, 0) && !grpo_load(g, folder), "%s", grpo_error(g));
    CHECK(kl_of_step(g) == 0, "a model as loaded");
    CHECK(!grpo_load(g, folder), "%s", grpo_error(g));
    warm_up(g, 3);
    CHECK(kl_of_step(g) > 0, "the model that was loaded is not the reference");
    CHECK(!grpo_load(g, folder), "%s", grpo_error(g));
    warm_up(g, 3);
    CHECK(!grpo_set_reference(g, 1) && kl_of_step(g) == 0, "set after a load and a warm-up");
    grpo_free(saved); grpo_free(g);
}

/* A run in two halves is the run in one, wherever it is cut: in the warm-up, after the reference
 * was set by hand, after the first step. */
static void test_resumed(void) {
    int cut;
    for (cut = 0; cut < 3; cut++) {
        grpo *whole = begin(config(0)), *half = begin(config(0)), *rest = begin(config(0));
        grpo *both[2];
        double kl[3];
        size_t n = whole->num_parameters * sizeof(float);
        int i, s;
        both[0] = whole; both[1] = half;
        for (i = 0; i < 2; i++) {
            warm_up(both[i], 3);
            if (cut == 1) grpo_set_reference(both[i], 1);
            if (cut == 2) CHECK(kl_of_step(both[i]) == 0, "the first step");
        }
        CHECK(!grpo_save(half, folder, GRPO_SAVE_STATE), "%s", grpo_error(half));
        warm_up(rest, 1);
        kl_of_step(rest);                       /* what it was before is to be forgotten */
        CHECK(!grpo_resume(rest, folder), "%s", grpo_error(rest));
        CHECK(rest->state.reference_set == (cut > 0), "cut %d", cut);
        both[1] = rest;
        for (i = 0; i < 2; i++) warm_up(both[i], 2);
        for (s = 0; s < 3; s++) {
            for (i = 0; i < 2; i++) kl[i] = kl_of_step(both[i]);
            CHECK(kl[0] == kl[1] && (kl[0] == 0) == (cut == 0 && s == 0), "cut %d, step %d: KL %g "
                  "and %g", cut, s, kl[0], kl[1]);
        }
        CHECK(!memcmp(whole->machinery->weights, rest->machinery->weights, n)
              && !memcmp(whole->machinery->reference, rest->machinery->reference, n),
              "cut %d: other bits", cut);
        grpo_free(whole); grpo_free(half); grpo_free(rest);
    }
}

/* The frozen model, whatever the adapters have learnt. */
static void test_lora(void) {
    grpo *g = begin(config(4));
    CHECK(kl_of_step(g) == 0, "adapters that add nothing yet");
    grpo_free(g);
    g = begin(config(4));
    warm_up(g, 3);
    CHECK(kl_of_step(g) > 0, "the reference is not the model without its adapters");
    grpo_free(g);
}

int main(void) {
    sums[0] = grpo_question("1+2=", "3");
    sums[1] = grpo_question("4+5=", "9");
    sums[2] = grpo_question("7+6=", "13");
    test_warm_up();
    test_adopt();
    test_set();
    test_sync();
    test_copied();
    test_loaded();
    test_resumed();
    test_lora();
    return check_finish();
}
