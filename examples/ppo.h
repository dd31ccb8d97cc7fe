/* ppo.h: PPO and RLHF over grpo.h: what GRPO took away, so that it can be measured.
 *
 *     #define GRPO_IMPLEMENTATION
 *     #include "grpo.h"
 *     #include "ppo.h"
 *
 *     grpo_objective_set(&config.objective, PPO_OBJECTIVE, NULL);
 *     policy = grpo_new(&config);
 *     config = ppo_value_config(&config);
 *     critic = grpo_new(&config);
 *     grpo_copy_weights(critic, policy);
 *     ppo_begin(&p, policy, critic);
 *     while (...) if (ppo_step(&p, prompts, n, &metrics)) puts(p.error);
 *     ppo_end(&p);
 *
 * GRPO asks the group what to expect of an answer; PPO asks a value model (the critic): V(o_<t),
 * what is still to come when token t is about to be written. It is the same transformer with one
 * number per position for its output. It has weights of its own, or, where it is the policy itself
 * (model.value_head 1, critic = policy), a second head on the policy's.
 *
 * RLHF asks a reward model (the judge) for rewards where nothing can verify an answer: the same
 * kind of model, trained on pairs of which people prefer one. PPO's four models are then the
 * policy, its reference, the critic and the judge.
 *
 * A run that stops goes on to the bit if both models are saved, grpo_save(..., GRPO_SAVE_STATE),
 * and resumed: no state is here.
 *
 * Nothing here is private to grpo.h: this is an example of training with another algorithm. All
 * functions are inline: who leaves one unused gets no warning. */
#ifndef PPO_H
#define PPO_H

#include "grpo.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* PPO (arXiv:1707.06347) as RLHF uses it, after TRL's ppo_config.py: the clipped loss over tokens,
 * whitened advantages, the KL to the reference taken from each token's reward. */
#define PPO_OBJECTIVE "trl advantage=return whiten=1 beta=0.05 kl=k1 kl_in_reward=1"

typedef struct ppo {
    float lam;                      /* lambda of GAE                                             */
    float vf_coef;                  /* weight of the value loss where the weights are shared     */
    float cliprange_value;          /* V stays this close to its value at sampling; 0: anywhere  */
    char error[GRPO_ERROR_LENGTH];  /* out: why a function failed                                */

    grpo *policy, *critic;          /* the same object: shared weights                           */
    grpo_prompt *prompts;           /* [num_prompts], and                                        */
    grpo_completion *completions;   /* [num_prompts * G]: the batch, as the critic adopts it     */
    float *values, *returns;        /* per token: V when it was sampled, and what V should say   */
    float *rewards;                 /* of each token                                             */
    float *logprobs, *entropies, *new_values;                 /* of the models as they are now   */
    float *dlogprobs, *dentropies, *dvalues;                  /* d(loss) / d(these)              */
} ppo;

typedef struct ppo_metrics {
    double reward;                  /* mean over the batch                                       */
    double loss, kl, entropy, clipped, grad_norm;             /* means over the step's updates   */
    double value_loss, value_clipped;                         /* the same                        */
    double explained;               /* share of the returns' variance that V knew at sampling    */
    int num_updates;
} ppo_metrics;

/* -------------------------------------------------------------------------------------- models */

/* The config of a value model that has room for this policy's batches. */
static inline grpo_config ppo_value_config(const grpo_config *policy) {
    grpo_config c = *policy;
    c.model.num_labels = 1;
    c.model.value_head = 0;
    grpo_objective_set(&c.objective, "trl", NULL);            /* beta 0: no reference            */
    c.num_rewards = 0;
    c.lora.rank = 0;
    c.on_step = NULL;
    c.metrics_path = NULL;
    c.rollout_batch_prompts = 1;    /* it never samples: no room for that                        */
    return c;
}

static inline int ppo__fail(ppo *p, int code, const char *who, const char *why) {
    snprintf(p->error, sizeof p->error, "%s%.200s", who, why);
    return code;
}

/* The code of a call on one of the models, whose reason is copied. */
static inline int ppo__check(ppo *p, const grpo *g, int code) {
    if (!code) return 0;
    return ppo__fail(p, code, g == p->policy ? "" : "critic: ", grpo_error(g));
}

/* What of the objective is not PPO's, or not done here. */
static inline const char *ppo__refused(const grpo *policy, const grpo *critic) {
    const grpo_config *a = &policy->config, *b = &critic->config;
    const grpo_objective *o = &a->objective;
    if (o->advantage != GRPO_ADVANTAGE_RETURN)
        return "objective.advantage must be return: begin with PPO_OBJECTIVE";
    if (o->beta > 0 && o->kl == GRPO_KL_FULL && !o->kl_in_reward)
        return "exact KL is taken from the reward here: set kl_in_reward";
    if (o->kl_target > 0 || o->entropy_target > 0)
        return "kl_target and entropy_target do not move their coefficients here: set them to 0";
    if (critic == policy)
        return a->model.value_head ? NULL : "the policy has no scalar head: set model.value_head, "
                                            "or give a critic of its own";
    if (!b->model.num_labels) return "the critic is no value model: begin with ppo_value_config()";
    if (b->num_prompts < a->num_prompts || b->num_generations != a->num_generations
        || b->max_prompt_length < a->max_prompt_length
        || b->max_completion_length < a->max_completion_length
        || b->model.vocab_size != a->model.vocab_size)
        return "the critic has no room for the policy's batch: begin with ppo_value_config()";
    return NULL;
}

static inline void ppo_end(ppo *p) {
    free(p->prompts);
    free(p->completions);
    free(p->values);
    memset(p, 0, sizeof *p);
}

/* The models stay the caller's. Fails, with the reason in p->error, if they do not fit. */
static inline int ppo_begin(ppo *p, grpo *policy, grpo *critic) {
    float **const arrays[] = { &p->values, &p->returns, &p->rewards, &p->logprobs, &p->entropies,
                               &p->new_values, &p->dlogprobs, &p->dentropies, &p->dvalues };
    enum { ARRAYS = (int)(sizeof arrays / sizeof *arrays) };
    const char *refused = policy && critic ? ppo__refused(policy, critic) : "a model is NULL";
    size_t P, G, tokens, i;
    memset(p, 0, sizeof *p);
    p->policy = policy; p->critic = critic;
    p->lam = 0.95f; p->vf_coef = 0.1f; p->cliprange_value = 0.2f;             /* TRL             */
    if (refused) return ppo__fail(p, GRPO_BAD_INPUT, "", refused);
    P = (size_t)policy->config.num_prompts; G = (size_t)policy->config.num_generations;
    tokens = P * G * (size_t)policy->config.max_completion_length;
    p->prompts = (grpo_prompt *)calloc(P, sizeof *p->prompts);
    p->completions = (grpo_completion *)calloc(P * G, sizeof *p->completions);
    p->values = (float *)calloc(tokens * ARRAYS, sizeof(float));
    if (!p->prompts || !p->completions || !p->values) {
        ppo_end(p);
        return ppo__fail(p, GRPO_NO_MEMORY, "", "out of memory");
    }
    for (i = 1; i < ARRAYS; i++) *arrays[i] = p->values + i * tokens;
    return GRPO_OK;
}

/* ----------------------------------------------------------------------------------- advantages */

/* values: V before each token of the policy's batch. The critic adopts the batch for that. */
static inline int ppo__values(ppo *p) {
    const grpo_batch *b = &p->policy->batch;
    grpo_per_token to = { NULL, NULL, NULL, NULL };
    int i, code = GRPO_OK;
    for (i = 0; i < b->num_prompts; i++) {
        p->prompts[i].tokens = b->samples[i * b->group_size].prompt_tokens;
        p->prompts[i].num_tokens = b->samples[i * b->group_size].num_prompt_tokens;
    }
    for (i = 0; i < b->num_sequences; i++) {
        p->completions[i].tokens = b->samples[i].tokens;
        p->completions[i].num_tokens = b->samples[i].num_tokens;
    }
    to.values = p->values;
    if (p->critic != p->policy)
        code = grpo_adopt(p->critic, p->prompts, b->num_prompts, p->completions);
    if (!code) code = grpo_forward(p->critic, GRPO_POLICY, NULL, &to);
    return ppo__check(p, p->critic, code);
}

/* A completion's reward belongs to its last token, the KL penalty to each. */
static inline void ppo__rewards(ppo *p) {
    const grpo_batch *b = &p->policy->batch;
    const grpo_objective *o = &p->policy->config.objective;
    int i, t;
    for (i = 0; i < b->num_sequences; i++) {
        for (t = b->offsets[i]; t < b->offsets[i + 1]; t++) {
            float kl = 0;
            if (o->beta > 0 && o->kl_in_reward && o->kl == GRPO_KL_FULL) kl = b->kl[t];
            else if (o->beta > 0 && o->kl_in_reward)
                kl = grpo_kl(o->kl, b->logprobs[t], b->ref_logprobs[t], NULL);
            p->rewards[t] = (float)-((double)o->beta * (double)kl);
        }
        if (isfinite((double)b->rewards[i])) p->rewards[t - 1] += b->rewards[i];
    }
}

/* 1 - var(R - V) / var(R) over the tokens that count: 0 if V knows no more than the mean, 1 if all;
 * 0 if there is nothing but rounding to explain. */
static inline double ppo_explained(int num_tokens, const float *values, const float *returns,
                             const unsigned char *mask) {
    double n = 0, R = 0, RR = 0, e = 0, ee = 0, spread;
    int t;
    for (t = 0; t < num_tokens; t++) {
        double r = (double)returns[t], error = r - (double)values[t];
        if (!mask[t]) continue;
        n++; R += r; RR += r * r; e += error; ee += error * error;
    }
    spread = n > 0 ? RR / n - R / n * (R / n) : 0;
    return spread * n > 1e-12 * RR ? 1 - (ee / n - e / n * (e / n)) / spread : 0;
}

/* delta_t = r_t + gamma V_t+1 - V_t,  A_t = delta_t + gamma lam A_t+1,  R_t = A_t + V_t */
static inline int ppo__advantages(ppo *p) {
    const grpo_objective *o = &p->policy->config.objective;
    grpo_batch *b = &p->policy->batch;
    int t, n = b->offsets[b->num_sequences];
    int code = ppo__values(p);
    if (!code) code = ppo__check(p, p->policy, grpo_advantage(p->policy));    /* who takes part  */
    if (code) return code;
    ppo__rewards(p);
    grpo_gae(b->num_sequences, b->offsets, p->rewards, p->values, o->gamma, p->lam, b->advantages,
             p->returns);
    for (t = 0; t < n && b->process; t++) b->advantages[t] += b->process[t];
    if (o->whiten) grpo_whiten(b->advantages, b->mask, n);
    return GRPO_OK;
}

/* -------------------------------------------------------------------------------------- updates */

static inline float ppo__rate(grpo *g) {
    return g->config.learning_rate * grpo_schedule(g->config.lr_scheduler_type,
                                                   g->state.optimizer_step,
                                                   g->config.warmup_steps, g->config.max_steps);
}

/* What both models say now of the tokens [from, to) of the minibatch. fresh: the weights are those
 * that sampled, and a forward pass would find these very bits. */
static inline int ppo__forward(ppo *p, int from, int to, int fresh) {
    const grpo_batch *b = &p->policy->batch;
    int shared = p->critic == p->policy, code;
    grpo_per_token now = { NULL, NULL, NULL, NULL }, value = { NULL, NULL, NULL, NULL };
    if (fresh) {
        size_t size = (size_t)(to - from) * sizeof(float);
        memcpy(p->logprobs + from, b->logprobs + from, size);
        memcpy(p->entropies + from, b->entropies + from, size);
        memcpy(p->new_values + from, p->values + from, size);
        return GRPO_OK;
    }
    now.logprobs = p->logprobs; now.entropies = p->entropies;
    value.values = p->new_values;
    if (shared) now.values = p->new_values;
    code = ppo__check(p, p->policy, grpo_forward(p->policy, GRPO_POLICY, NULL, &now));
    if (shared || code) return code;
    return ppo__check(p, p->critic, grpo_forward(p->critic, GRPO_POLICY, NULL, &value));
}

/* Their gradients, and a step of AdamW each: of one model, if they are one. */
static inline int ppo__learn(ppo *p, int from, int to, int num_tokens, double *norm) {
    const grpo_batch *b = &p->policy->batch;
    float entropy_coef = p->policy->config.objective.entropy_coef;
    int shared = p->critic == p->policy, t, code;
    grpo_per_token d = { NULL, NULL, NULL, NULL }, dvalue = { NULL, NULL, NULL, NULL };
    for (t = from; t < to; t++) {
        p->dentropies[t] = b->mask[t] ? -entropy_coef / (float)num_tokens : 0;
        if (shared) p->dvalues[t] *= p->vf_coef;
    }
    d.logprobs = p->dlogprobs; dvalue.values = p->dvalues;
    if (entropy_coef != 0) d.entropies = p->dentropies;
    if (shared) d.values = p->dvalues;
    code = grpo_backward(p->policy, NULL, &d);
    if (!code) code = grpo_optimize(p->policy, ppo__rate(p->policy), norm);
    p->policy->state.optimizer_step += !code;
    if (code || shared) return ppo__check(p, p->policy, code);
    code = grpo_backward(p->critic, NULL, &dvalue);
    if (!code) code = grpo_optimize(p->critic, ppo__rate(p->critic), NULL);
    p->critic->state.optimizer_step += !code;
    return ppo__check(p, p->critic, code);
}

/* One optimizer update on prompts [first, end). */
static inline int ppo__update(ppo *p, int first, int end, int fresh, ppo_metrics *m) {
    const grpo_batch *b = &p->policy->batch;
    int G = b->group_size, from = b->offsets[first * G], to = b->offsets[end * G], code;
    double loss, value_loss, clipped, norm = 0;
    grpo_loss_stats stats;
    grpo_sequences s;
    code = ppo__check(p, p->policy, grpo_minibatch(p->policy, first, end - first));
    if (!code) code = ppo__check(p, p->critic, grpo_minibatch(p->critic, first, end - first));
    if (!code) code = ppo__forward(p, from, to, fresh);
    if (code) return code;
    s = grpo_batch_sequences(p->policy, p->logprobs);
    s.num_sequences = (end - first) * G;
    s.offsets += first * G;
    s.entropies = p->entropies;
    loss = grpo_loss(&p->policy->config.objective, &s, p->dlogprobs, NULL, &stats);
    value_loss = grpo_value_loss(to - from, p->new_values + from, p->values + from,
                                 p->returns + from, b->mask + from, p->cliprange_value,
                                 p->dvalues + from, &clipped);
    if (!stats.num_tokens) return GRPO_OK;                    /* nobody takes part               */
    if (!isfinite(loss) || !isfinite(value_loss))
        return ppo__fail(p, GRPO_NONFINITE, "", "the loss is not finite: the update was skipped, "
                         "the weights are as before");
    code = ppo__learn(p, from, to, stats.num_tokens, &norm);
    if (code) return code;
    m->num_updates++;
    m->loss += loss;
    m->kl += stats.kl;
    m->entropy += stats.entropy;
    m->clipped += stats.clip_region_mean;
    m->grad_norm += norm;
    m->value_loss += value_loss;
    m->value_clipped += clipped;
    return GRPO_OK;
}

/* Reward, over the completions that have one; and sums over updates -> means. */
static inline void ppo__measure(const ppo *p, ppo_metrics *m) {
    const grpo_batch *b = &p->policy->batch;
    double n = m->num_updates ? m->num_updates : 1;
    int i, count = 0;
    for (i = 0; i < b->num_sequences; i++)
        if (isfinite((double)b->rewards[i])) { m->reward += (double)b->rewards[i]; count++; }
    if (count) m->reward /= count;
    m->loss /= n; m->kl /= n; m->entropy /= n; m->clipped /= n; m->grad_norm /= n;
    m->value_loss /= n; m->value_clipped /= n;
    m->explained = ppo_explained(b->offsets[b->num_sequences], p->values, p->returns, b->mask);
}

/* One step of PPO on 1..num_prompts prompts, as grpo_step() is one of GRPO; metrics may be NULL. Of
 * the configs, mu and minibatches are the policy's; each model has its own learning rate, schedule
 * and max_grad_norm. on_step and metrics_path are grpo_step()'s. The reason of a failure is in
 * p->error. */
static inline int ppo_step(ppo *p, const grpo_prompt *prompts, int num_prompts,
                           ppo_metrics *metrics) {
    grpo *g = p->policy;
    int mu = g->config.num_iterations, parts = g->config.steps_per_generation, pass, i;
    int every = g->config.ref_model_sync_steps;
    int code = ppo__check(p, g, grpo_rollout(g, prompts, num_prompts));       /* 1. sample       */
    ppo_metrics m;
    memset(&m, 0, sizeof m);
    if (!code) code = ppo__check(p, g, grpo_score(g));                        /* 2. reward       */
    if (!code) code = ppo__advantages(p);                                     /* 3. expect       */
    for (pass = 0; pass < mu && !code; pass++)                                /* 4. learn        */
        for (i = 0; i < parts && !code; i++) {
            int first = (int)((int64_t)num_prompts * i / parts);
            int end = (int)((int64_t)num_prompts * (i + 1) / parts);
            if (first < end) code = ppo__update(p, first, end, !m.num_updates, &m);
        }
    if (!code && every > 0 && g->batch.ref_logprobs && g->state.step % every == 0)
        code = ppo__check(p, g, grpo_set_reference(g, g->config.ref_model_mixup_alpha));
    if (!code) ppo__measure(p, &m);
    if (metrics) *metrics = m;
    return code;
}

/* ----------------------------------------------------------------------------- the reward model --
 * s(o), one number for a whole completion. grpo_forward() says V before each token; the score is
 * read where a token after the last would be, so one more is put there. */
typedef struct ppo_preference {     /* two answers of which people prefer the first              */
    grpo_prompt prompt;
    grpo_completion chosen, rejected;
} ppo_preference;

typedef struct ppo_judge {
    grpo *model;
    grpo_prompt *prompts;           /* [num_prompts] pairs: two completions of one prompt each   */
    grpo_completion *completions;   /* [2 num_prompts]                                           */
    int *tokens;                    /* [2 num_prompts, max_completion_length] of these           */
    int *samples;                   /* [2 num_prompts] which sample it is that is scored         */
    float *values, *dvalues;        /* per token                                                 */
    float *scores, *dscores;        /* [2 num_prompts]                                           */
} ppo_judge;

/* The config of a reward model for this policy's completions that takes so many pairs at a time. */
static inline grpo_config ppo_judge_config(const grpo_config *policy, int num_pairs) {
    grpo_config c = ppo_value_config(policy);
    int longest = c.max_prompt_length + ++c.max_completion_length;
    if (c.model.max_position_embeddings < longest) c.model.max_position_embeddings = longest;
    c.num_prompts = num_pairs;
    c.num_generations = 2;
    return c;
}

static inline void ppo_judge_end(ppo_judge *j) {
    free(j->prompts);
    free(j->completions);
    free(j->tokens);
    free(j->values);
    memset(j, 0, sizeof *j);
}

/* The model stays the caller's. GRPO_BAD_INPUT: it is not of ppo_judge_config(). */
static inline int ppo_judge_begin(ppo_judge *j, grpo *model) {
    size_t n, all;
    memset(j, 0, sizeof *j);
    if (!model || !model->config.model.num_labels || model->config.num_generations != 2)
        return GRPO_BAD_INPUT;
    j->model = model;
    n = 2 * (size_t)model->config.num_prompts;
    all = n * (size_t)model->config.max_completion_length;
    j->prompts = (grpo_prompt *)calloc(n, sizeof *j->prompts);
    j->completions = (grpo_completion *)calloc(n, sizeof *j->completions);
    j->tokens = (int *)calloc(all + n, sizeof(int));
    j->values = (float *)calloc(2 * (all + n), sizeof(float));
    if (!j->prompts || !j->completions || !j->tokens || !j->values) {
        ppo_judge_end(j);
        return GRPO_NO_MEMORY;
    }
    j->samples = j->tokens + all;
    j->dvalues = j->values + all;
    j->scores = j->dvalues + all;
    j->dscores = j->scores + n;
    return GRPO_OK;
}

/* Completion i, and one token more. */
static inline int ppo__place(ppo_judge *j, int i, const grpo_completion *c) {
    const grpo_config *config = &j->model->config;
    int L = config->max_completion_length, n = c->num_tokens;
    int *tokens = j->tokens + (size_t)i * (size_t)L;
    if (c->tokens) {
        if (n < 1 || n >= L) return GRPO_BAD_INPUT;
        memcpy(tokens, c->tokens, (size_t)n * sizeof *tokens);
    } else {
        n = c->text ? grpo_encode(j->model, c->text, tokens, L - 1 - !c->truncated) : -1;
        if (n < 0) return GRPO_BAD_INPUT;
        if (!c->truncated) tokens[n++] = config->eos_token_id;
    }
    tokens[n] = config->eos_token_id;
    j->completions[i].tokens = tokens;
    j->completions[i].num_tokens = n + 1;
    return GRPO_OK;
}

/* scores of the pairs that are placed */
static inline int ppo__scores(ppo_judge *j, int num_pairs) {
    grpo_per_token to = { NULL, NULL, NULL, NULL };
    int i, code = grpo_adopt(j->model, j->prompts, num_pairs, j->completions);
    to.values = j->values;
    if (!code) code = grpo_forward(j->model, GRPO_POLICY, NULL, &to);
    for (i = 0; i < 2 * num_pairs && !code; i++)
        j->scores[i] = j->values[j->model->batch.offsets[i + 1] - 1];
    return code;
}

/* Bradley-Terry, -log sigmoid(s_chosen - s_rejected): the gradient of its mean over the pairs. */
static inline int ppo__pairs_gradient(ppo_judge *j, const ppo_preference *pairs, int num_pairs,
                               double *loss) {
    grpo_per_token d = { NULL, NULL, NULL, NULL };
    const int *offsets = j->model->batch.offsets;
    int i, code = GRPO_OK;
    if (!pairs || num_pairs < 1 || num_pairs > j->model->config.num_prompts) return GRPO_BAD_INPUT;
    for (i = 0; i < num_pairs && !code; i++) {
        j->prompts[i] = pairs[i].prompt;
        code = ppo__place(j, 2 * i, &pairs[i].chosen);
        if (!code) code = ppo__place(j, 2 * i + 1, &pairs[i].rejected);
    }
    if (!code) code = ppo__scores(j, num_pairs);
    if (code) return code;
    *loss = grpo_preference_loss(num_pairs, j->scores, j->dscores);
    if (!isfinite(*loss)) return GRPO_NONFINITE;
    memset(j->dvalues, 0, (size_t)offsets[2 * num_pairs] * sizeof *j->dvalues);
    for (i = 0; i < 2 * num_pairs; i++) j->dvalues[offsets[i + 1] - 1] = j->dscores[i];
    d.values = j->dvalues;
    return grpo_backward(j->model, NULL, &d);
}

/* One step on pairs. loss and accuracy (share of pairs in the right order, before the step) may be
 * NULL. GRPO_BAD_INPUT: no pair, more than ppo_judge_config() made room for, one too long; or what
 * grpo_error() of the model says. */
static inline int ppo_train_preferences(ppo_judge *j, const ppo_preference *pairs, int num_pairs,
                                  float learning_rate, double *loss, double *accuracy) {
    double found = 0;
    int i, right = 0, code = ppo__pairs_gradient(j, pairs, num_pairs, &found);
    if (!code) code = grpo_optimize(j->model, learning_rate, NULL);
    if (code) return code;
    for (i = 0; i < num_pairs; i++) right += j->scores[2 * i] > j->scores[2 * i + 1];
    if (loss) *loss = found;
    if (accuracy) *accuracy = (double)right / (double)num_pairs;
    return GRPO_OK;
}

/* A batch reward (grpo_reward.batch): the score of each completion. user is a ppo_judge *. Two
 * samples of one prompt make a pair; one that is left over is placed twice. */
static inline int ppo_score(const grpo_sample *samples, int n, float *rewards, void *user) {
    ppo_judge *j = (ppo_judge *)user;
    int i = 0, k, side, pairs, code = GRPO_OK;
    if (!j || !samples || !rewards || n < 0) return GRPO_BAD_INPUT;
    while (i < n && !code) {
        for (pairs = 0; i < n && pairs < j->model->config.num_prompts && !code; pairs++) {
            int two = i + 1 < n && samples[i + 1].prompt_index == samples[i].prompt_index;
            memset(&j->prompts[pairs], 0, sizeof j->prompts[pairs]);
            j->prompts[pairs].tokens = samples[i].prompt_tokens;
            j->prompts[pairs].num_tokens = samples[i].num_prompt_tokens;
            for (side = 0; side < 2 && !code; side++) {
                grpo_completion c = { NULL, NULL, 0, NULL, 0 };
                j->samples[2 * pairs + side] = i + (side && two);
                c.tokens = samples[i + (side && two)].tokens;
                c.num_tokens = samples[i + (side && two)].num_tokens;
                code = ppo__place(j, 2 * pairs + side, &c);
            }
            i += 1 + two;
        }
        if (!code) code = ppo__scores(j, pairs);
        for (k = 0; k < 2 * pairs && !code; k++) rewards[j->samples[k]] = j->scores[k];
    }
    return code;
}

#endif
