/* Variants in whole steps: exact KL and KL outside the comparison, completions from elsewhere,
 * rewards of steps, rewards compared one by one, a second update on a batch, controllers. Exactly,
 * where bits must be equal; by learning, where that is the proof. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"
#include "fours.h"

/* Exact KL: 0 to the bit before the first update, beside the estimators afterwards; in the loss and
 * in the reward. */
static void test_exact_kl(void) {
    static const char *const where[2] = {
        "deepseekmath kl=full beta=0.1", "deepseekmath kl=full beta=0.1 kl_in_reward=1" };
    int i, t;
    for (i = 0; i < 2; i++) {
        grpo_config c = config_of(where[i]);
        grpo *g = policy_of(&c);
        grpo_metrics m;
        reward_after(g, 1, &m);
        for (t = 0; t < g->batch.offsets[g->batch.num_sequences]; t++)
            CHECK(g->batch.kl[t] == 0, "token %d: %g", t, (double)g->batch.kl[t]);
        CHECK(m.kl == 0, "kl %g", m.kl);
        reward_after(g, 40, &m);
        printf("exact KL %.4f, k1 %.4f k2 %.4f k3 %.4f; reward %.2f\n", m.kl, m.kl_estimates[0],
               m.kl_estimates[1], m.kl_estimates[2], m.reward);
        CHECK(m.kl > 0 && fabs(m.kl - m.kl_estimates[GRPO_KL_K3]) < 0.5 * m.kl + 0.02,
              "exact %g, k3 %g", m.kl, m.kl_estimates[GRPO_KL_K3]);
        grpo_free(g);
    }
}

/* The same batch, once sampled and once adopted, gives the same bits; with somebody else's
 * log-probs the correction is at work. */
static void test_adopt(void) {
    grpo_config c = config_of("trl importance=token importance_cap=1.5");
    grpo *a, *b;
    grpo_prompt prompts[PROMPTS];
    grpo_completion completions[PROMPTS * GROUP];
    float theirs[TOKENS];
    grpo_metrics x, y;
    size_t n;
    int i, t;
    make_prompts(prompts);
    a = policy_of(&c); b = policy_of(&c);
    CHECK(!grpo_rollout(a, prompts, PROMPTS), "%s", grpo_error(a));
    memset(completions, 0, sizeof completions);
    for (i = 0; i < PROMPTS * GROUP; i++) {
        completions[i].tokens = a->batch.samples[i].tokens;
        completions[i].num_tokens = a->batch.samples[i].num_tokens;
        for (t = a->batch.offsets[i]; t < a->batch.offsets[i + 1]; t++)
            theirs[t] = a->batch.logprobs[t] + (t % 2 ? 0.5f : -0.5f);
    }
    CHECK(!grpo_adopt(b, prompts, PROMPTS, completions), "%s", grpo_error(b));
    n = (size_t)a->batch.offsets[PROMPTS * GROUP] * sizeof(float);
    CHECK(!memcmp(a->batch.logprobs, b->batch.logprobs, n), "log-probs of adopted tokens");
    CHECK(!grpo_score(a) && !grpo_advantage(a) && !grpo_update(a, &x), "%s", grpo_error(a));
    CHECK(!grpo_score(b) && !grpo_advantage(b) && !grpo_update(b, &y), "%s", grpo_error(b));
    CHECK(x.loss == y.loss && x.grad_norm == y.grad_norm && y.ratio_mean == 1,
          "loss %g, %g", x.loss, y.loss);
    for (i = 0; i < PROMPTS * GROUP; i++) completions[i].logprobs = theirs + a->batch.offsets[i];
    CHECK(!grpo_adopt(b, prompts, PROMPTS, completions) && !grpo_score(b) && !grpo_advantage(b)
          && !grpo_update(b, &y), "%s", grpo_error(b));
    CHECK(y.importance_max == (double)1.5f && y.importance_min > 0.3 && y.importance_min < 0.9
          && y.sampling_difference_max > 0.4,
          "importance %g to %g", y.importance_min, y.importance_max);
    b->config.objective.equal_rewards = GRPO_EQUAL_RESAMPLE;  /* of what others drew: nothing    */
    b->config.objective.max_resamples = 2;
    CHECK(!grpo_adopt(b, prompts, PROMPTS, completions) && !grpo_score(b) && !grpo_advantage(b)
          && !grpo_update(b, &y) && y.frac_reward_zero_std > 0 && y.num_resampled == 0
          && !memcmp(b->batch.tokens, a->batch.tokens, n), "%d groups drawn anew, %g dead",
          y.num_resampled, y.frac_reward_zero_std);
    completions[3].tokens = NULL;
    CHECK(grpo_adopt(b, prompts, PROMPTS, completions) == GRPO_BAD_INPUT,
          "neither text nor tokens");
    grpo_free(a); grpo_free(b);
}

static int four_steps(const grpo_sample *s, int *ends, float *rewards, int capacity, void *user) {
    int i;
    (void)user;
    for (i = 0; i < s->num_tokens && i < capacity; i++) {
        ends[i] = i;
        rewards[i] = s->tokens[i] == 4;
    }
    return i;
}

/* Rewards of steps alone teach; a token's advantage does not grow after the last step. */
static void test_process(void) {
    grpo_config c = config_of("trl");
    grpo *g;
    grpo_metrics m;
    double before, fours_of = 0;
    int i;
    c.num_rewards = 1;
    snprintf(c.rewards[0].name, GRPO_NAME_LENGTH, "steps");
    c.rewards[0].weight = 1;
    c.rewards[0].steps = four_steps;
    g = policy_of(&c);
    reward_after(g, 1, &m);
    before = m.reward_means[0];
    CHECK(m.reward == 0 && m.frac_reward_zero_std < 1, "steps are not in the sum, but count");
    reward_after(g, 80, &m);
    for (i = 0; i < g->batch.num_sequences; i++)
        fours_of += (double)fours(&g->batch.samples[i], NULL);
    printf("process supervision: steps' rewards %.2f -> %.2f\n", before, m.reward_means[0]);
    CHECK(fours_of / g->batch.num_sequences > 0.7, "fours %g", fours_of / g->batch.num_sequences);
    grpo_free(g);
}

/* Process supervision under dynamic sampling: groups drawn anew have other lengths, and the
 * advantages of the others must move along. One step, which ends with the completion: A is the same
 * for all its tokens. */
static int first_is_four(const grpo_sample *s, int *ends, float *rewards, int capacity,
                         void *user) {
    (void)user; (void)capacity;
    ends[0] = s->num_tokens - 1;
    rewards[0] = s->tokens[0] == 4;
    return 1;
}

static void test_process_resampled(void) {
    grpo_config c = config_of("dapo mask_truncated_completions=0");
    grpo *g;
    grpo_metrics m;
    int step, i, t, resampled = 0;
    c.num_rewards = 1;
    snprintf(c.rewards[0].name, GRPO_NAME_LENGTH, "steps");
    c.rewards[0].weight = 1;
    c.rewards[0].steps = first_is_four;
    g = policy_of(&c);
    for (step = 0; step < 10; step++) {
        reward_after(g, 1, &m);
        resampled += m.num_resampled;
        for (i = 0; i < g->batch.num_sequences; i++)
            for (t = g->batch.offsets[i]; t < g->batch.offsets[i + 1]; t++)
                CHECK(g->batch.process[t] == g->batch.process[g->batch.offsets[i]],
                      "step %d, sequence %d", step, i);
    }
    CHECK(resampled > 5, "%d groups were drawn anew", resampled);
    grpo_free(g);
}

/* GDPO compares each reward by itself: those whose weighted sum is always the same still teach. */
static float odd(const grpo_sample *s, void *user) {
    (void)user;
    return (float)(s->completion_index % 2);
}
static float even(const grpo_sample *s, void *user) { return 2 - 2 * odd(s, user); }

static void test_rewards_that_cancel(void) {
    static const char *const settings[2] = { "gdpo equal_rewards=skip", "trl equal_rewards=skip" };
    int i;
    for (i = 0; i < 2; i++) {
        grpo_config c = config_of(settings[i]);
        grpo *g;
        grpo_metrics m;
        grpo_add_reward(&c, "odd", odd, 1, NULL);
        grpo_add_reward(&c, "even", even, 0.5f, NULL);
        g = policy_of(&c);
        reward_after(g, 1, &m);
        CHECK(m.frac_reward_zero_std == i && m.num_updates == !i && (m.grad_norm > 0) == !i,
              "%s: %g of the groups are equal", settings[i], m.frac_reward_zero_std);
        grpo_free(g);
    }
}

static float odd_or_equal(const grpo_sample *s, void *user) {
    return s->prompt_index % 2 ? 1 : odd(s, user);
}

/* OpenRLHF compares rewards alone, and takes from each token's A the KL still to come: where all
 * rewards are equal, KL is all there is, and it is not scaled up to the size of a reward. */
static void test_kl_after_comparison(void) {
    grpo_config c = config_of("openrlhf");
    grpo *g;
    grpo_metrics m;
    float compared[PROMPTS * GROUP];
    int i, t;
    grpo_add_reward(&c, "odd", odd_or_equal, 1, NULL);
    g = policy_of(&c);
    reward_after(g, 3, &m);
    CHECK(!grpo_advantages(&c.objective, g->batch.rewards, PROMPTS, GROUP, NULL, compared, NULL)
          && m.kl > 0, "kl %g", m.kl);
    for (i = 0; i < PROMPTS * GROUP; i++) {
        double A = (double)compared[i];
        for (t = g->batch.offsets[i + 1]; t-- > g->batch.offsets[i]; ) {
            A -= 0.01 * ((double)g->batch.logprobs[t] - (double)g->batch.ref_logprobs[t]);
            CHECK_CLOSE(g->batch.advantages[t], A, 1e-6);
        }
    }
    grpo_free(g);
}

/* A step that learned nothing measured nothing: no controller moves. */
static void test_controllers_at_rest(void) {
    grpo_config c = config_of("deepseekmath equal_rewards=skip kl_target=0.1 entropy_coef=0.01 "
                              "entropy_target=5");
    grpo *g;
    grpo_metrics m;
    grpo_add_reward(&c, "none", odd, 0, NULL);
    g = policy_of(&c);
    reward_after(g, 2, &m);
    CHECK(m.num_updates == 0 && g->config.objective.beta == c.objective.beta
          && g->config.objective.entropy_coef == c.objective.entropy_coef,
          "%d updates, beta %g, entropy_coef %g", m.num_updates,
          (double)g->config.objective.beta, (double)g->config.objective.entropy_coef);
    grpo_free(g);
}

/* A second update on the same batch is that of grpo_loss() on all its tokens, also where A is 0:
 * DRO holds those to pi_old all the same. */
static void test_second_update(void) {
    static const char *const settings[4] = { "trl", "dro", "dro dro_beta=0", "deepseekmath" };
    int i, idle[4] = { 2, 0, 2, 0 };
    for (i = 0; i < 4; i++) {
        grpo_config c = config_of(settings[i]);
        grpo *g;
        grpo_prompt prompts[PROMPTS];
        grpo_metrics m;
        grpo_sequences s;
        float logprobs[TOKENS];
        const grpo_per_token now = { logprobs, NULL, NULL, NULL };
        double loss;
        make_prompts(prompts);
        grpo_add_reward(&c, "odd", odd_or_equal, 1, NULL);
        g = policy_of(&c);
        CHECK(!grpo_rollout(g, prompts, PROMPTS) && !grpo_score(g) && !grpo_advantage(g)
              && !grpo_update(g, &m) && !grpo_forward(g, GRPO_POLICY, NULL, &now), "%s",
              grpo_error(g));
        s = grpo_batch_sequences(g, logprobs);
        loss = grpo_loss(&g->config.objective, &s, NULL, NULL, NULL);
        CHECK(!grpo_update(g, &m), "%s", grpo_error(g));
        CHECK_CLOSE(m.loss, loss, 1e-7);
        CHECK(m.num_idle == idle[i], "%s: %d idle groups", settings[i], m.num_idle);
        grpo_free(g);
    }
}

/* Controllers move in the right direction and are saved; the entropy mask leaves its share. */
static void test_controllers(void) {
    grpo_config c = config_of("deepseekmath kl_target=1e-6 kl_horizon=100 entropy_coef=0.01 "
                              "entropy_target=5 top_entropy_quantile=0.2");
    grpo *g = policy_of(&c), *again;
    grpo_metrics m;
    int t, trained = 0, all;
    reward_after(g, 1, &m);
    CHECK(g->config.objective.beta < 0.04f,
          "KL 0 is below its target: beta %g", (double)g->config.objective.beta);
    reward_after(g, 5, &m);
    CHECK(g->config.objective.beta > (float)m.beta, "KL above its target: beta must grow");
    CHECK_CLOSE(g->config.objective.entropy_coef, 0.01 + 6 * 0.005, 1e-6);
    {   /* a fifth of a step's completions or less: beta would fall to 0 or below */
        grpo_memory needed;
        c.objective.kl_horizon = PROMPTS * GROUP / 6;
        CHECK(grpo_memory_needed(&c, &needed) == GRPO_BAD_INPUT && strstr(c.error, "kl_horizon"),
              "%s", c.error);
        c.objective.kl_horizon = 100;
    }
    all = g->batch.offsets[g->batch.num_sequences];
    for (t = 0; t < all; t++) trained += g->batch.mask[t] == 1;
    CHECK(trained >= all / 5 && trained <= all / 4 + 1, "%d of %d tokens train", trained, all);
    CHECK(!grpo_save(g, "variants_state", GRPO_SAVE_STATE), "%s", grpo_error(g));
    again = policy_of(&c);
    CHECK(!grpo_resume(again, "variants_state"), "%s", grpo_error(again));
    CHECK(again->config.objective.beta == g->config.objective.beta
          && again->config.objective.entropy_coef == g->config.objective.entropy_coef,
          "coefficients resume");
    grpo_free(g); grpo_free(again);
}

int main(void) {
    test_exact_kl();
    test_adopt();
    test_process();
    test_process_resampled();
    test_rewards_that_cancel();
    test_kl_after_comparison();
    test_controllers_at_rest();
    test_second_update();
    test_controllers();
    return check_finish();
}
