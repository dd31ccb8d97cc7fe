/* The whole library compiled a second time with every float a double: the same source, so its
 * finite differences say with 1e-6 instead of 1e-2 whether each derivative is right. */
#include "as_double.h"

static void print_line(const char *message, void *user) { (void)user; printf("  %s\n", message); }

/* ---- value and reward models: d(loss) along a random direction of each tensor, by the graph */
typedef struct scene {
    grpo *g;                        /* the model that is differentiated                          */
    const grpo *policy;             /* whose batch it values; NULL: it judges pairs              */
} scene;

static double loss_of(const scene *s) {
    grpo__sums sums;
    double loss, accuracy;
    grpo_batch own = s->g->batch;
    memset(&sums, 0, sizeof sums);
    if (!s->policy) {
        CHECK(!grpo__preference_gradient(s->g, &loss, &accuracy), "%s", grpo_error(s->g));
        return loss;
    }
    sums.n = grpo__count(s->policy->batch.num_sequences, s->policy->batch.offsets,
                         s->policy->batch.mask);
    CHECK(!grpo__lend_batch(s->g, s->policy)
          && !grpo__critic_gradient(s->g, s->policy, 0, 2, &sums), "%s", grpo_error(s->g));
    s->g->batch = own;
    return sums.value;
}

static void check_tensors(const scene *s, const char *what) {
    float *weights = s->g->machinery->weights, *gradient = s->g->machinery->gradient;
    double worst = 0;
    int i, side;
    size_t j;
    for (i = 0; i < s->g->machinery->num_tensors; i++) {
        grpo__tensor t = s->g->machinery->tensors[i];
        size_t n = grpo__size(t.rows, t.cols ? t.cols : 1);
        double along = 0, losses[2], h = 1e-5, error;
        grpo__clear_gradient(s->g);
        loss_of(s);
        for (j = 0; j < n; j++) along += gradient[t.offset + j] * grpo__normal(3, j);
        for (side = 0; side < 2; side++) {
            for (j = 0; j < n; j++)
                weights[t.offset + j] += (side ? -2 : 1) * h * grpo__normal(3, j);
            grpo__weights_changed(s->g, GRPO_POLICY);
            losses[side] = loss_of(s);
        }
        for (j = 0; j < n; j++) weights[t.offset + j] += h * grpo__normal(3, j);
        grpo__weights_changed(s->g, GRPO_POLICY);
        error = fabs((losses[0] - losses[1]) / (2 * h) - along) / fmax(fabs(along), 1e-3);
        CHECK(error < 1e-6, "%s, %s: %g along the gradient, error %g", what, t.name, along, error);
        worst = fmax(worst, error);
    }
    printf("  %s: worst relative error of a tensor %.1e\n", what, worst);
}

static float length_reward(const grpo_sample *s, void *user) {
    (void)user;
    return s->num_tokens * 7 % 5;
}

static void test_scalar_models(void) {
    grpo_config c = grpo_defaults(), k;
    grpo_prompt prompts[2];
    grpo_preference pairs[2];
    scene value, judge;
    grpo *policy;
    c.vocabulary = "0123456789";
    c.threads = 1;
    c.model.hidden_size = 16; c.model.intermediate_size = 24; c.model.num_key_value_heads = 2;
    c.model.initializer_range = 0.3;
    c.num_prompts = 2; c.num_generations = 3; c.max_prompt_length = 4; c.max_completion_length = 5;
    c.objective = grpo_objective_preset("ppo", NULL);
    grpo_add_reward(&c, "length", length_reward, 1, NULL);
    policy = grpo_new(&c);
    k = grpo_critic_config(&c);
    k.seed = 5; k.micro_batch_prompts = 1;
    value.g = grpo_new(&k); judge.g = grpo_new(&k);
    value.policy = policy; judge.policy = NULL;
    policy->config.critic = value.g;
    prompts[0] = grpo_question("12", NULL); prompts[1] = grpo_question("345", NULL);
    CHECK(!grpo_rollout(policy, prompts, 2) && !grpo_score(policy) && !grpo_advantage(policy), "%s",
          grpo_error(policy));
    {   /* old values a little away from the present ones, some beyond the clip */
        int t, n = policy->batch.offsets[6];
        for (t = 0; t < n; t++) policy->batch.values[t] += 0.35 * grpo__normal(4, (uint64_t)t);
    }
    check_tensors(&value, "value model, clipped loss");
    memset(pairs, 0, sizeof pairs);
    pairs[0].prompt = prompts[0]; pairs[0].chosen.text = "44"; pairs[0].rejected.text = "123";
    pairs[1].prompt = prompts[1]; pairs[1].chosen.text = "4"; pairs[1].rejected.text = "87";
    CHECK(!grpo__place_pairs(judge.g, pairs, 2), "%s", grpo_error(judge.g));
    check_tensors(&judge, "reward model, Bradley-Terry");
    grpo_free(value.g); grpo_free(judge.g); grpo_free(policy);
}

int main(void) {
    grpo_config c = grpo_defaults();
    int failures;
    c.log = print_line;
    failures = grpo_selftest(&c);
    CHECK(sizeof(float) == 8, "floats must be doubles here");
    CHECK(failures == 0, "%d self-tests failed", failures);
    test_scalar_models();
    return check_finish();
}
