/* 00_from_scratch.c and grpo.h are the same algorithm: from the same weights and samples both
 * find the same log-probs, advantages, loss and gradient to 1e-5, and AdamW takes both to the
 * same weights. grpo.h is used by its public functions alone: its weights, AdamW's moments and, by
 * them, its gradient are read from the state that grpo_save() writes. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#define FROM_SCRATCH_NO_MAIN
#include "examples/00_from_scratch.c"
#include "check.h"

enum { BATCHES = 3, PASSES = 5 };

static const char folder[] = "test_from_scratch_folder";
static const double tolerance = 1e-5;

/* The tensors of a model of 00's, by the names that files have for them. */
enum { TENSORS = 12 };

typedef struct tensor { const char *name; double *x; int n; } tensor;

static void list_tensors(model *m, tensor list[TENSORS]) {
    const tensor all[TENSORS] = {
        { "model.embed_tokens.weight", m->embedding[0], V * H },
        { "model.layers.0.input_layernorm.weight", m->norm1, H },
        { "model.layers.0.self_attn.q_proj.weight", m->wq[0], H * H },
        { "model.layers.0.self_attn.k_proj.weight", m->wk[0], H * H },
        { "model.layers.0.self_attn.v_proj.weight", m->wv[0], H * H },
        { "model.layers.0.self_attn.o_proj.weight", m->wo[0], H * H },
        { "model.layers.0.post_attention_layernorm.weight", m->norm2, H },
        { "model.layers.0.mlp.gate_proj.weight", m->gate[0], F * H },
        { "model.layers.0.mlp.up_proj.weight", m->up[0], F * H },
        { "model.layers.0.mlp.down_proj.weight", m->down[0], H * F },
        { "model.norm.weight", m->norm3, H },
        { "lm_head.weight", m->head[0], V * H } };
    memcpy(list, all, sizeof all);
}

/* ---- trainer_state.safetensors: 8 bytes, the length of the header; the header; floats */

/* One kind of a state's tensors, "weights.", "exp_avg." or "exp_avg_sq.". */
static void read_tensors(const unsigned char *file, const char *kind, model *m) {
    const char *header = (const char *)file + 8;
    const size_t length = file[0] + 256u * file[1];
    tensor list[TENSORS];
    int i, k, total = 0;
    list_tensors(m, list);
    for (i = 0; i < TENSORS; i++) {
        char name[96];
        const char *at;
        unsigned long from = 0, to = 0;
        snprintf(name, sizeof name, "\"%s%s\"", kind, list[i].name);
        at = strstr(header, name);
        if (at) at = strstr(at, "\"data_offsets\":[");
        if (at) sscanf(at, "\"data_offsets\":[%lu,%lu]", &from, &to);
        if (to - from != 4ul * (unsigned long)list[i].n) continue;
        for (k = 0; k < list[i].n; k++) {
            float x;
            memcpy(&x, header + length + from + 4 * (size_t)k, sizeof x);
            list[i].x[k] = (double)x;
        }
        total += list[i].n;
    }
    CHECK(total == WEIGHTS, "%s: %d numbers of %d", kind, total, (int)WEIGHTS);
}

typedef struct state { model weights, m, v; } state;

static void read_state(grpo *g, state *s) {
    static unsigned char file[1 << 18];
    char path[64];
    size_t n = 0;
    FILE *f;
    CHECK(!grpo_save(g, folder, GRPO_SAVE_STATE), "%s", grpo_error(g));
    snprintf(path, sizeof path, "%s/trainer_state.safetensors", folder);
    f = fopen(path, "rb");
    CHECK(f != NULL, "%s is not there", path);
    if (f) n = fread(file, 1, sizeof file - 1, f);
    if (f) fclose(f);
    CHECK(n > 8 && n < sizeof file - 1 && !file[2], "%s: %d bytes", path, (int)n);
    read_tensors(file, "weights.", &s->weights);
    read_tensors(file, "exp_avg.", &s->m);
    read_tensors(file, "exp_avg_sq.", &s->v);
}

/* Whether x[n] is y[n] to the tolerance, as a share of y's largest number. */
static void compare(const char *what, const double *x, const double *y, int n) {
    double most = 0, off = 0;
    int i;
    for (i = 0; i < n; i++) {
        most = fmax(most, fabs(y[i]));
        if (!(fabs(x[i] - y[i]) <= off)) off = fabs(x[i] - y[i]);       /* NaN is off too        */
    }
    CHECK(most > 0 && off <= tolerance * most, "%s: off by %g of %g", what, off, most);
}

/* The same for numbers of the batch, of tokens or of samples. */
static void compare_floats(const char *what, const float *x, const double *y, int n) {
    static double wide[SAMPLES * ANSWER];
    int i;
    for (i = 0; i < n; i++) wide[i] = (double)x[i];
    compare(what, wide, y, n);
}

/* Every tensor by itself. */
static void compare_models(const char *what, model *x, model *y) {
    tensor a[TENSORS], b[TENSORS];
    char name[96];
    int i;
    list_tensors(x, a);
    list_tensors(y, b);
    for (i = 0; i < TENSORS; i++) {
        snprintf(name, sizeof name, "%s of %s", what, a[i].name);
        compare(name, a[i].x, b[i].x, a[i].n);
    }
}

/* ---- the trainer */
static grpo *begin(void) {
    grpo_config c = grpo_defaults();            /* deepseekmath                                  */
    grpo *g;
    c.vocabulary = "0123456789+=";              /* and end-of-text, "." in 00                    */
    c.model.hidden_size = H;
    c.model.intermediate_size = F;
    c.model.num_hidden_layers = 1;
    c.model.num_attention_heads = 1;
    c.model.tie_word_embeddings = 0;
    c.model.initializer_range = 0.2f;
    c.num_prompts = QUESTIONS;
    c.num_generations = G;
    c.max_prompt_length = PROMPT;
    c.max_completion_length = ANSWER;
    c.max_grad_norm = 0;                        /* 00 does not clip the gradient                 */
    c.learning_rate = (float)RATE;
    grpo_add_reward(&c, "exact", grpo_reward_exact_match, 1.0f, NULL);
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) exit(check_finish());
    CHECK(g->num_parameters == WEIGHTS, "%d weights", (int)g->num_parameters);
    CHECK_CLOSE(c.objective.epsilon, EPSILON, 1e-7);
    CHECK_CLOSE(c.objective.beta, BETA, 1e-8);
    return g;
}

static grpo_prompt prompts[QUESTIONS];

static void make_prompts(void) {
    static char text[QUESTIONS][8], sum[QUESTIONS][4];
    int i;
    for (i = 0; i < QUESTIONS; i++) {
        snprintf(text[i], sizeof text[i], "%d+%d=", i / NUMBERS, i % NUMBERS);
        snprintf(sum[i], sizeof sum[i], "%d", i / NUMBERS + i % NUMBERS);
        prompts[i] = grpo_question(text[i], sum[i]);
    }
}

/* 00 draws; grpo.h takes the tokens as its own. Both say how probable they were, reward them and
 * compare them. Returns how many tokens the completions have. */
static int compare_samples(grpo *g, const model *policy, const model *reference, sample *o,
                           uint64_t *random) {
    static grpo_completion completions[SAMPLES];
    static double old[SAMPLES * ANSWER], ref[SAMPLES * ANSWER], A[SAMPLES * ANSWER], r[SAMPLES];
    int i, t, n = 0;
    memset(completions, 0, sizeof completions);
    for (i = 0; i < SAMPLES; i++) {
        complete(policy, reference, i / G / NUMBERS, i / G % NUMBERS, &o[i], random);
        o[i].r = r[i] = reward(&o[i]);
        completions[i].tokens = o[i].tokens + PROMPT;
        completions[i].num_tokens = o[i].length - PROMPT;
        completions[i].truncated = o[i].tokens[o[i].length - 1] != END;
    }
    for (i = 0; i < SAMPLES; i += G) advantages(&o[i]);
    for (i = 0; i < SAMPLES; i++)
        for (t = PROMPT; t < o[i].length; t++, n++) {
            old[n] = o[i].logp_old[t];
            ref[n] = o[i].logp_ref[t];
            A[n] = o[i].A;
        }
    CHECK(!grpo_adopt(g, prompts, QUESTIONS, completions) && !grpo_score(g) && !grpo_advantage(g),
          "%s", grpo_error(g));
    CHECK(g->batch.offsets[SAMPLES] == n, "%d tokens of %d", g->batch.offsets[SAMPLES], n);
    compare_floats("log pi_old", g->batch.logprobs, old, n);
    compare_floats("log pi_ref", g->batch.ref_logprobs, ref, n);
    compare_floats("rewards", g->batch.rewards, r, SAMPLES);
    compare_floats("advantages", g->batch.advantages, A, n);
    return n;
}

/* One update: log-probs, loss, gradient, AdamW. Adds up what the loss had to show. */
static void compare_update(grpo *g, const sample *o, int n, double *clipped, double *kl) {
    static float logprobs[SAMPLES * ANSWER], dlogprobs[SAMPLES * ANSWER];
    static double now[SAMPLES * ANSWER];
    static state before, after;
    static model ours, theirs;
    static activations a;
    grpo_per_token found = { 0 }, gradients = { 0 };
    grpo_sequences all;
    grpo_loss_stats stats;
    double loss, their_loss;
    int i, t, k = 0;

    read_state(g, &before);
    for (i = 0; i < SAMPLES; i++) {
        forward(&before.weights, &a, o[i].tokens, o[i].length);
        for (t = PROMPT; t < o[i].length; t++) now[k++] = log(a.pi[t - 1][o[i].tokens[t]]);
    }
    loss = loss_and_gradient(&before.weights, &ours, o, SAMPLES);

    found.logprobs = logprobs;
    gradients.logprobs = dlogprobs;
    CHECK(!grpo_forward(g, GRPO_POLICY, NULL, &found), "%s", grpo_error(g));
    all = grpo_batch_sequences(g, logprobs);
    their_loss = grpo_loss(&g->config.objective, &all, dlogprobs, NULL, &stats);
    compare_floats("log pi", logprobs, now, n);
    CHECK_CLOSE(their_loss, loss, tolerance);

    g->config.adam_beta1 = 0;                   /* m = gradient; and no weight moves             */
    CHECK(!grpo_backward(g, NULL, &gradients) && !grpo_optimize(g, 0, NULL), "%s", grpo_error(g));
    read_state(g, &before);
    theirs = before.m;
    compare_models("gradient", &theirs, &ours);

    g->config.adam_beta1 = 0.9f;
    CHECK(!grpo_backward(g, NULL, &gradients) && !grpo_optimize(g, (float)RATE, NULL), "%s",
          grpo_error(g));
    read_state(g, &after);
    adamw((double *)&before.weights, (double *)&theirs, (double *)&before.m,
          (double *)&before.v, (int)g->state.adam_step);
    compare_models("weights after AdamW", &after.weights, &before.weights);
    *clipped += stats.clip_low_mean + stats.clip_high_mean;
    *kl += stats.kl;
}

/* The same token for the same number in [0, 1). */
static void compare_draws(const model *policy) {
    static activations a;
    const int tokens[PROMPT] = { 2, 10, 3, 11 };
    float logits[V];
    uint64_t random = 5;
    int t, v, i, different = 0;
    forward(policy, &a, tokens, PROMPT);
    for (t = 0; t < PROMPT; t++) {
        for (v = 0; v < V; v++) logits[v] = (float)log(a.pi[t][v]);
        for (i = 0; i < 1000; i++) {
            double u = (double)(float)uniform(&random);
            different += draw(a.pi[t], u) != grpo_sample_token(logits, V, 1, NULL, (float)u);
        }
    }
    CHECK(different == 0, "%d of 4000 draws", different);
}

int main(void) {
    static sample o[SAMPLES];
    static state s;
    static model reference;
    uint64_t random = 1;
    double clipped = 0, kl = 0;
    grpo *g = begin();
    int batch, pass, i, n;
    make_prompts();
    for (i = 0; i < 30; i++)                    /* so that some completions are right            */
        CHECK(!grpo_sft(g, prompts, QUESTIONS, 3e-3f, NULL), "%s", grpo_error(g));
    for (batch = 0; batch < BATCHES; batch++) {
        read_state(g, &s);
        if (!batch) reference = s.weights;
        n = compare_samples(g, &s.weights, &reference, o, &random);
        for (pass = 0; pass < PASSES; pass++) compare_update(g, o, n, &clipped, &kl);
    }
    compare_draws(&s.weights);
    CHECK(clipped > 0.01 && kl > 0.01, "clipped %g, KL %g: nothing was to be seen", clipped, kl);
    grpo_free(g);
    return check_finish();
}
