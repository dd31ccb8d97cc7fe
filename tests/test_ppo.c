/* What GRPO took away: PPO with a value model, of its own or in the policy, and a reward model, by
 * examples/ppo.h over the public interface. Exactly, where bits must be equal; by learning, where
 * that is the proof. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "examples/ppo.h"
#include "check.h"
#include "fours.h"

/* The critic's values of the policy's batch, which it adopts. */
static int values_of(grpo *critic, const grpo *g, float *values) {
    grpo_per_token to = { NULL, NULL, NULL, NULL };
    grpo_prompt prompts[PROMPTS];
    grpo_completion completions[PROMPTS * GROUP];
    int i;
    memset(prompts, 0, sizeof prompts);
    memset(completions, 0, sizeof completions);
    for (i = 0; i < PROMPTS * GROUP; i++) {
        prompts[i / GROUP].tokens = g->batch.samples[i].prompt_tokens;
        prompts[i / GROUP].num_tokens = g->batch.samples[i].num_prompt_tokens;
        completions[i].tokens = g->batch.samples[i].tokens;
        completions[i].num_tokens = g->batch.samples[i].num_tokens;
    }
    to.values = values;
    i = grpo_adopt(critic, prompts, PROMPTS, completions);
    return i ? i : grpo_forward(critic, GRPO_POLICY, NULL, &to);
}

/* Values do not depend on the micro-batch, and V before token t not on what follows it. */
static void test_values(void) {
    grpo_config c = config_of("trl"), small, large;
    grpo *g = policy_of(&c), *a, *b;
    grpo_per_token to = { NULL, NULL, NULL, NULL };
    grpo_prompt prompts[PROMPTS];
    float x[TOKENS], y[TOKENS];
    int n, i;
    small = large = ppo_value_config(&c);
    small.seed = large.seed = 9;    /* the body of seed 1 would be the policy's                */
    small.micro_batch_prompts = 1;
    small.threads = 1;
    large.micro_batch_prompts = PROMPTS;
    a = grpo_new(&small); b = grpo_new(&large);
    CHECK(a && b, "%s%s", small.error, large.error);
    make_prompts(prompts);
    CHECK(!grpo_rollout(g, prompts, PROMPTS), "%s", grpo_error(g));
    n = g->batch.offsets[g->batch.num_sequences];
    CHECK(!values_of(a, g, x) && !values_of(b, g, y), "%s%s", grpo_error(a), grpo_error(b));
    CHECK(!memcmp(x, y, (size_t)n * sizeof *x), "values depend on the micro-batch");
    for (i = 1; i < GROUP; i++)
        CHECK(x[g->batch.offsets[i]] == x[0], "V of a prompt is one number, whatever follows");
    to.values = y;
    CHECK(grpo_forward(g, GRPO_POLICY, NULL, &to) == GRPO_BAD_INPUT,
          "a policy without a value head");
    CHECK(grpo_copy_weights(a, g) == GRPO_OK && values_of(a, g, y) == GRPO_OK
          && memcmp(x, y, (size_t)n * sizeof *x), "the body is another now");
    CHECK(grpo_generate(a, prompts, &c.sampling, 1, NULL, 0) == GRPO_BAD_INPUT,
          "a critic cannot write");
    to.values = NULL; to.logprobs = y;
    CHECK(!values_of(a, g, x) && grpo_forward(a, GRPO_POLICY, NULL, &to) == GRPO_BAD_INPUT
          && grpo_score(a) == GRPO_BAD_INPUT, "a critic has no log-probs, and is not rewarded");
    grpo_free(a); grpo_free(b); grpo_free(g);
}

/* PPO's trainer on a policy with these words behind PPO_OBJECTIVE, and a critic of its own or the
 * policy's weights. */
static grpo *begin_ppo(ppo *p, const char *settings, int shared, int mu, int parts) {
    grpo_config c = config_of(PPO_OBJECTIVE), k;
    grpo *g, *critic;
    CHECK(!grpo_objective_set(&c.objective, settings, NULL), "%s", settings);
    c.model.value_head = shared;
    c.num_iterations = mu;
    c.steps_per_generation = parts;
    critic = g = policy_of(&c);
    k = ppo_value_config(&c);
    if (!shared) critic = grpo_new(&k);
    CHECK(critic && !grpo_copy_weights(critic, g), "%s", k.error);
    CHECK(!ppo_begin(p, g, critic), "%s", p->error);
    return g;
}

static void finish_ppo(ppo *p) {
    if (p->critic != p->policy) grpo_free(p->critic);
    grpo_free(p->policy);
    ppo_end(p);
}

static double ppo_after(ppo *p, int steps, ppo_metrics *m) {
    grpo_prompt prompts[PROMPTS];
    int i, code = 0;
    make_prompts(prompts);
    for (i = 0; i < steps && !code; i++) code = ppo_step(p, prompts, PROMPTS, m);
    CHECK(!code, "step %d: %s", i, p->error);
    return m->reward;
}

/* PPO with a critic of its own, and with shared weights: both learn, and the value model comes to
 * know more than the mean. */
static void test_ppo(void) {
    int shared;
    for (shared = 0; shared < 2; shared++) {
        ppo p;
        ppo_metrics m;
        begin_ppo(&p, "beta=0.01", shared, 2, 1);
        ppo_after(&p, 120, &m);
        printf("ppo, %s weights: reward %.2f, value loss %.4f, explained %.2f\n",
               shared ? "shared" : "own", m.reward, m.value_loss, m.explained);
        CHECK(m.reward > 0.8, "reward %g", m.reward);
        CHECK(m.value_loss > 0 && m.value_loss < 0.1, "value loss %g", m.value_loss);
        finish_ppo(&p);
    }
}

/* With a critic of its own the policy's updates are those of grpo_update() under PPO's advantages,
 * to the bit, minibatches and all. */
static void test_same_bits(void) {
    int parts;
    for (parts = 1; parts <= PROMPTS; parts += PROMPTS - 1) {
        grpo_config c = config_of(PPO_OBJECTIVE " entropy_coef=0.01");
        grpo *g;
        ppo p;
        ppo_metrics m;
        int step;
        c.num_iterations = 2; c.steps_per_generation = parts;
        g = policy_of(&c);
        begin_ppo(&p, "entropy_coef=0.01", 0, 2, parts);
        for (step = 0; step < 3; step++) {
            grpo_prompt prompts[PROMPTS];
            make_prompts(prompts);
            ppo_after(&p, 1, &m);
            CHECK(!grpo_rollout(g, prompts, PROMPTS) && !grpo_score(g) && !grpo_advantage(g), "%s",
                  grpo_error(g));
            memcpy(g->batch.advantages, p.policy->batch.advantages,
                   (size_t)g->batch.offsets[PROMPTS * GROUP] * sizeof(float));
            CHECK(!grpo_update(g, NULL), "%s", grpo_error(g));
        }
        CHECK(m.num_updates == 2 * parts, "%d updates", m.num_updates);
        CHECK(!memcmp(g->machinery->weights, p.policy->machinery->weights,
                      g->num_parameters * sizeof(float)), "%d parts: other weights", parts);
        grpo_free(g);
        finish_ppo(&p);
    }
}

/* A run that stops and goes on, both models by their folders, ends as one that never stopped; the
 * policy may be adapters. */
static void test_resumed(void) {
    static const char *const folders[2] = { "ppo_a", "ppo_b" };
    int lora, step, i;
    for (lora = 0; lora < 2; lora++) {
        ppo p[2];
        ppo_metrics m[2];
        grpo_config c = config_of(PPO_OBJECTIVE), k;
        c.num_iterations = 2;
        c.lora.rank = lora ? 4 : 0;
        if (lora) c.learning_rate = 0.03f;
        k = ppo_value_config(&c);
        for (i = 0; i < 2; i++) {
            grpo *g = policy_of(&c), *critic = grpo_new(&k);
            CHECK(critic && !ppo_begin(&p[i], g, critic), "%s%s", k.error, p[i].error);
        }
        ppo_after(&p[0], 3, &m[0]);
        for (i = 0; i < 2; i++) {
            grpo *from = i ? p[0].critic : p[0].policy, *to = i ? p[1].critic : p[1].policy;
            CHECK(!grpo_save(from, folders[i], GRPO_SAVE_STATE) && !grpo_resume(to, folders[i]),
                  "%s%s", grpo_error(from), grpo_error(to));
        }
        for (step = 0; step < 2; step++)
            for (i = 0; i < 2; i++) ppo_after(&p[i], 1, &m[i]);
        CHECK(m[0].loss == m[1].loss && m[0].value_loss == m[1].value_loss && m[0].loss != 0,
              "lora %d: loss %.9g, %.9g, values %.9g, %.9g", lora, m[0].loss, m[1].loss,
              m[0].value_loss, m[1].value_loss);
        for (i = 0; i < 2; i++) finish_ppo(&p[i]);
    }
}

/* From random weights to a score, by a value head on the policy. */
static float is_four(const grpo_sample *s, void *user) {
    (void)user;
    return strcmp(s->completion, "4") == 0;
}

static void test_four(void) {
    uint64_t seed;
    printf("ppo, steps to 0.95, seeds 1 to 5:");
    for (seed = 1; seed <= 5; seed++) {
        grpo_config c = grpo_defaults();
        grpo_prompt question = grpo_question("2+2=", NULL);
        ppo_metrics m;
        ppo p;
        grpo *g;
        int step;
        c.vocabulary = "0123456789+=";
        c.max_completion_length = 4;
        c.num_prompts = 1;
        c.num_generations = 64;
        c.seed = seed;
        c.model.value_head = 1;
        grpo_objective_set(&c.objective, PPO_OBJECTIVE, NULL);
        grpo_add_reward(&c, "is_four", is_four, 1.0f, NULL);
        g = grpo_new(&c);
        CHECK(g && !ppo_begin(&p, g, g), "%s", c.error);
        if (!g) return;
        memset(&m, 0, sizeof m);
        for (step = 1; step <= 300 && m.reward < 0.95; step++)
            if (ppo_step(&p, &question, 1, &m)) { printf("%s\n", p.error); break; }
        CHECK(m.reward >= 0.95, "seed %d: not learnt in 300 steps", (int)seed);
        printf("  %d", step - 1);
        finish_ppo(&p);
    }
    printf("\n");
}

/* What the value model explains is said of the whole batch, however many updates are made of it. */
static void test_explained(void) {
    double explained[2];
    int i;
    for (i = 0; i < 2; i++) {
        ppo p;
        ppo_metrics m;
        begin_ppo(&p, "beta=0", 1, 1, i ? PROMPTS : 1);
        ppo_after(&p, 1, &m);
        CHECK(m.num_updates == (i ? PROMPTS : 1), "%d updates", m.num_updates);
        explained[i] = m.explained;
        finish_ppo(&p);
    }
    CHECK(explained[0] != 0 && explained[0] == explained[1], "explained %g, %g", explained[0],
          explained[1]);
    {   /* returns that are all equal, up to rounding: nothing to explain */
        float returns[51], values[51];
        unsigned char mask[51];
        for (i = 0; i < 51; i++) { returns[i] = 0.1f; values[i] = 0.01f * (float)i; mask[i] = 1; }
        CHECK(ppo_explained(51, values, returns, mask) == 0, "explained %g",
              ppo_explained(51, values, returns, mask));
    }
}

/* What PPO is not asked to do is refused in words. */
static void test_refused(void) {
    static const char *const settings[4] = { "trl", PPO_OBJECTIVE " kl_target=0.1 kl_horizon=100",
        PPO_OBJECTIVE " kl=full kl_in_reward=0", PPO_OBJECTIVE };
    static const char *const words[4] = { "PPO_OBJECTIVE", "kl_target", "kl_in_reward", "room" };
    char error[GRPO_ERROR_LENGTH];
    grpo_objective o = grpo_objective_preset("trl", NULL);
    int i;
    for (i = 0; i < 4; i++) {
        grpo_config c = config_of(settings[i]), k;
        grpo *g = policy_of(&c), *critic;
        ppo p;
        CHECK(ppo_begin(&p, g, g) == GRPO_BAD_INPUT && *p.error, "no scalar head");
        CHECK(ppo_begin(&p, g, NULL) == GRPO_BAD_INPUT && *p.error, "no critic");
        k = ppo_value_config(&c);
        if (i == 3) k.num_generations++;
        critic = grpo_new(&k);
        CHECK(ppo_begin(&p, g, critic) == GRPO_BAD_INPUT && strstr(p.error, words[i]), "%s: \"%s\"",
              settings[i], p.error);
        grpo_free(critic); grpo_free(g);
    }
    CHECK(grpo_objective_set(&o, "ppo", error) == GRPO_BAD_INPUT && strstr(error, "ppo.h"), "%s",
          error);
}

/* Pairs in which more fours win; the model then judges, and a policy learns from that alone. */
static void test_reward_model(void) {
    grpo_config c = config_of("trl"), judge;
    grpo *g, *rm;
    ppo_judge j;
    ppo_preference pairs[PROMPTS * GROUP / 2];
    char texts[PROMPTS * GROUP][LENGTH];
    grpo_prompt prompts[PROMPTS];
    grpo_metrics m;
    double loss = 0, accuracy = 0, fours_of = 0;
    int step, i, side, n = PROMPTS * GROUP / 2;
    make_prompts(prompts);
    judge = ppo_judge_config(&c, PROMPTS * GROUP / 2);
    rm = grpo_new(&judge);
    CHECK(rm && !ppo_judge_begin(&j, rm), "%s", judge.error);
    memset(pairs, 0, sizeof pairs);
    for (step = 0; step < 150; step++) {
        for (i = 0; i < n; i++) {
            int count[2] = { 0, 0 }, first;
            for (side = 0; side < 2; side++) {
                char *text = texts[2 * i + side];
                uint64_t s = (uint64_t)step, pair = (uint64_t)i, of = (uint64_t)side;
                int k;
                for (k = 0; k < LENGTH - 1; k++) {
                    int four = grpo_uniform(7, s, pair, of, (uint64_t)k) < 0.4f;
                    int other = (int)(9 * grpo_uniform(8, s, pair, of, (uint64_t)k));
                    text[k] = (char)('0' + (four ? 4 : other));
                    count[side] += text[k] == '4';
                }
                text[LENGTH - 1] = 0;
            }
            if (count[0] == count[1]) {
                texts[2 * i][0] = texts[2 * i][1] = '4';
                texts[2 * i + 1][0] = texts[2 * i + 1][1] = '5';
                count[0] = 9;
            }
            first = count[0] > count[1] ? 0 : 1;
            pairs[i].prompt = prompts[i % PROMPTS];
            pairs[i].chosen.text = texts[2 * i + first];
            pairs[i].rejected.text = texts[2 * i + 1 - first];
        }
        CHECK(!ppo_train_preferences(&j, pairs, n, 3e-3f, &loss, &accuracy), "%s", grpo_error(rm));
        if (step == 0)
            CHECK(fabs(loss - log(2.0)) < 0.2, "a new model does not know: loss %g", loss);
    }
    printf("reward model: loss %.3f, accuracy %.2f\n", loss, accuracy);
    CHECK(loss < 0.35 && accuracy > 0.8, "loss %g, accuracy %g", loss, accuracy);
    c.num_rewards = 1;
    snprintf(c.rewards[0].name, GRPO_NAME_LENGTH, "judge");
    c.rewards[0].weight = 1;
    c.rewards[0].batch = ppo_score;
    c.rewards[0].user = &j;
    g = policy_of(&c);
    reward_after(g, 100, &m);
    for (i = 0; i < g->batch.num_sequences; i++)
        fours_of += (double)fours(&g->batch.samples[i], NULL);
    fours_of /= g->batch.num_sequences;
    printf("policy under the reward model: %.2f of its tokens are fours\n", fours_of);
    CHECK(fours_of > 0.6, "fours %g", fours_of);
    {   /* a score does not depend on the company it is in */
        float all[PROMPTS * GROUP], one;
        CHECK(!ppo_score(g->batch.samples, g->batch.num_sequences, all, &j),
              "%s", grpo_error(rm));
        for (i = 0; i < g->batch.num_sequences; i++) {
            CHECK(!ppo_score(&g->batch.samples[i], 1, &one, &j) && one == all[i],
                  "sample %d", i);
        }
    }
    CHECK(ppo_train_preferences(&j, pairs, 0, 1e-3f, NULL, NULL) == GRPO_BAD_INPUT
          && ppo_train_preferences(&j, pairs, n + 1, 1e-3f, NULL, NULL) == GRPO_BAD_INPUT
          && ppo_train_preferences(&j, NULL, 1, 1e-3f, NULL, NULL) == GRPO_BAD_INPUT, "pairs");
    pairs[1].chosen.text = NULL;
    CHECK(ppo_train_preferences(&j, pairs, n, 1e-3f, NULL, NULL) == GRPO_BAD_INPUT, "no text");
    pairs[1].chosen.text = "44444444";
    CHECK(ppo_train_preferences(&j, pairs, n, 1e-3f, NULL, NULL) == GRPO_BAD_INPUT, "too long");
    ppo_judge_end(&j);
    CHECK(ppo_judge_begin(&j, g) == GRPO_BAD_INPUT, "a policy is no judge");
    grpo_free(g); grpo_free(rm);
}

/* A critic's folder loads as itself; a policy's folder gives a critic its body. */
static void test_critic_files(void) {
    grpo_config c = config_of("trl"), k, loaded = grpo_defaults();
    grpo *g = policy_of(&c), *a, *b;
    grpo_prompt prompts[PROMPTS];
    float x[TOKENS], y[TOKENS], z[TOKENS];
    size_t n;
    make_prompts(prompts);
    k = ppo_value_config(&c);
    k.seed = 5;                     /* the body of seed 1 would be the policy's                */
    a = grpo_new(&k);
    k.seed = 9;
    b = grpo_new(&k);
    CHECK(a && b && !grpo_rollout(g, prompts, PROMPTS), "%s", k.error);
    n = (size_t)g->batch.offsets[g->batch.num_sequences] * sizeof(float);
    CHECK(!values_of(a, g, x) && !values_of(b, g, y) && memcmp(x, y, n),
          "two seeds, two critics");
    CHECK(!grpo_save(a, "ppo_critic", GRPO_SAVE_STATE) && !grpo_load(b, "ppo_critic"),
          "%s%s", grpo_error(a), grpo_error(b));
    CHECK(!values_of(b, g, y) && !memcmp(x, y, n), "the loaded critic is another");
    CHECK(!grpo_load_config(&loaded, "ppo_critic") && loaded.model.num_labels == 1,
          "%s", loaded.error);
    CHECK(!grpo_save(g, "ppo_policy", 0) && !grpo_load(b, "ppo_policy"),
          "%s%s", grpo_error(g), grpo_error(b));
    CHECK(!values_of(b, g, y) && memcmp(x, y, n), "another body");
    CHECK(!grpo_copy_weights(a, g) && !values_of(a, g, z) && !memcmp(y, z, n),
          "body by file, body by copy");
    grpo_free(a); grpo_free(b); grpo_free(g);
}

int main(void) {
    test_values();
    test_ppo();
    test_same_bits();
    test_resumed();
    test_four();
    test_explained();
    test_refused();
    test_reward_model();
    test_critic_files();
    return check_finish();
}
