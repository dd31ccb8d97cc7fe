/* The whole library compiled a second time with every float a double: the same source, so its
 * finite differences say with 1e-6 instead of 1e-2 whether each derivative is right. */
#include "as_double.h"
#include "examples/ppo.h"

static void print_line(const char *message, void *user) { (void)user; printf("  %s\n", message); }

/* ---- value and reward models: d(loss) along a random direction of each tensor, by the graph */
typedef struct scene {
    grpo *g;                        /* the model that is differentiated                          */
    ppo *p;                         /* of whose policy's batch it is the critic; or              */
    ppo_judge *judge;               /* NULL, and it judges                                       */
    const ppo_preference *pairs;
} scene;

/* ... which leaves the gradient. */
static double loss_of(const scene *s) {
    grpo_per_token now = { NULL, NULL, NULL, NULL }, d = { NULL, NULL, NULL, NULL };
    double loss = 0;
    if (s->judge) {
        CHECK(!ppo__pairs_gradient(s->judge, s->pairs, 2, &loss), "%s", grpo_error(s->g));
        return loss;
    }
    now.values = s->p->new_values; d.values = s->p->dvalues;
    CHECK(!grpo_forward(s->g, GRPO_POLICY, NULL, &now), "%s", grpo_error(s->g));
    loss = grpo_value_loss(s->p->policy->batch.offsets[6], s->p->new_values, s->p->values,
                           s->p->returns, s->p->policy->batch.mask, s->p->cliprange_value,
                           s->p->dvalues, NULL);
    CHECK(!grpo_backward(s->g, NULL, &d), "%s", grpo_error(s->g));
    return loss;
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
    ppo_preference pairs[2];
    scene value = { NULL, NULL, NULL, NULL }, judge = { NULL, NULL, NULL, NULL };
    ppo p;
    ppo_judge judging;
    grpo *policy;
    c.vocabulary = "0123456789";
    c.threads = 1;
    c.model.hidden_size = 16; c.model.intermediate_size = 24; c.model.num_key_value_heads = 2;
    c.model.initializer_range = 0.3;
    c.num_prompts = 2; c.num_generations = 3; c.max_prompt_length = 4; c.max_completion_length = 5;
    grpo_objective_set(&c.objective, PPO_OBJECTIVE, NULL);
    grpo_add_reward(&c, "length", length_reward, 1, NULL);
    policy = grpo_new(&c);
    k = ppo_value_config(&c);
    k.seed = 5; k.micro_batch_prompts = 1;
    value.g = grpo_new(&k);
    k = ppo_judge_config(&c, 2);
    k.seed = 5; k.micro_batch_prompts = 1;
    judge.g = grpo_new(&k);
    CHECK(!ppo_begin(&p, policy, value.g) && !ppo_judge_begin(&judging, judge.g), "%s", p.error);
    value.p = &p; judge.judge = &judging; judge.pairs = pairs;
    prompts[0] = grpo_question("12", NULL); prompts[1] = grpo_question("345", NULL);
    CHECK(!grpo_rollout(policy, prompts, 2) && !grpo_score(policy) && !ppo__advantages(&p), "%s%s",
          grpo_error(policy), p.error);
    {   /* old values a little away from the present ones, some beyond the clip */
        int t, n = policy->batch.offsets[6];
        for (t = 0; t < n; t++) p.values[t] += 0.35 * grpo__normal(4, (uint64_t)t);
    }
    check_tensors(&value, "value model, clipped loss");
    memset(pairs, 0, sizeof pairs);
    pairs[0].prompt = prompts[0]; pairs[0].chosen.text = "44"; pairs[0].rejected.text = "123";
    pairs[1].prompt = prompts[1]; pairs[1].chosen.text = "4"; pairs[1].rejected.text = "87";
    check_tensors(&judge, "reward model, Bradley-Terry");
    ppo_end(&p); ppo_judge_end(&judging);
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
