/* steps.h: whole GRPO steps of models of some size, timed; what bench.c and cuda.c share. */
#ifndef STEPS_H
#define STEPS_H

#define GRPO_IMPLEMENTATION
#include "grpo.h"

typedef struct size {
    const char *name;
    int hidden, layers, heads, kv_heads, ffn, vocab, bias, prompts, group, prompt, completion;
    int head_dim, qk_norm;          /* head_dim 0: hidden / heads                                */
} size;

static const grpo_backend *backend; /* NULL: the CPU                                             */

/* The reward: completions that never end early have no text to speak of. */
static float modulo(const grpo_sample *s, void *user) {
    float sum = 0;
    int i;
    (void)user;
    for (i = 0; i < s->num_tokens; i++) sum += (float)(s->tokens[i] % 3);
    return sum / (float)s->num_tokens;
}
static int no_encode(void *t, const char *text, int *tokens, int capacity) {
    (void)t; (void)text; (void)tokens; (void)capacity;
    return -1;
}
static int no_decode(void *t, const int *tokens, int n, char *text, int capacity) {
    (void)t; (void)tokens; (void)n; (void)text; (void)capacity;
    return 0;
}

static grpo_config config_of(const size *s, int num_threads) {
    grpo_config c = grpo_defaults();
    c.model.vocab_size = s->vocab;
    c.model.hidden_size = s->hidden;
    c.model.num_hidden_layers = s->layers;
    c.model.num_attention_heads = s->heads;
    c.model.num_key_value_heads = s->kv_heads;
    c.model.head_dim = s->head_dim;
    c.model.attention_bias = s->bias;
    c.model.qk_norm = s->qk_norm;
    c.model.intermediate_size = s->ffn;
    c.model.max_position_embeddings = s->prompt + s->completion;
    c.encode = no_encode; c.decode = no_decode;
    c.eos_token_id = s->vocab - 1;
    c.max_token_bytes = 1;
    c.num_prompts = s->prompts; c.num_generations = s->group;
    c.max_prompt_length = s->prompt; c.max_completion_length = s->completion;
    c.threads = num_threads;
    c.backend = backend;
    if (backend) c.model.initializer_range = 0;               /* fill_matrices() does it         */
    grpo_add_reward(&c, "modulo", modulo, 1.0f, NULL);
    return c;
}

/* Matrices of initializer_range 0, filled from one block of random numbers: grpo_new() draws every
 * weight by itself and copies 4 KB at a time, half a minute of a large model on a device. */
static void fill_matrices(grpo *g) {
    enum { BLOCK = 1 << 22 };
    struct grpo__machinery *w = g->machinery;
    float *block = (float *)malloc(BLOCK * sizeof *block);
    size_t at, n, i;
    int t;
    if (!block) { puts("bench: no memory"); exit(1); }
    for (i = 0; i < BLOCK; i++) block[i] = 0.0346f * (2 * grpo_uniform(1, 2, 3, 4, i) - 1);
    for (t = 0; t < w->num_tensors; t++)
        for (at = 0; w->tensors[t].cols && at < grpo__size(w->tensors[t].rows, w->tensors[t].cols);
             at += n) {
            n = grpo__size(w->tensors[t].rows, w->tensors[t].cols) - at;
            i = (size_t)t * 65521 % BLOCK;                    /* no two tensors begin alike      */
            if (n > BLOCK - i) n = BLOCK - i;
            w->backend->upload(w->context, w->tensors[t].at + at, block + i, n * sizeof *block);
        }
    free(block);
}

/* The first component of every embedding is 2, of end-of-text -2: with a tied head, whatever the
 * state, end-of-text has the lowest logit by far. */
static grpo *policy_of(grpo_config *c) {
    grpo *g = grpo_new(c);
    size_t count = grpo__size(c->model.vocab_size, c->model.hidden_size), i;
    float *embedding = (float *)malloc(count * sizeof *embedding);
    if (!g || !embedding) { printf("bench: %s\n", g ? "no memory" : c->error); exit(1); }
    if (c->model.initializer_range == 0) fill_matrices(g);
    g->config.backend->download(g->machinery->context, embedding, g->machinery->weights,
                                count * sizeof *embedding);
    for (i = 0; i < count; i += (size_t)c->model.hidden_size) embedding[i] = 2.0f;
    embedding[grpo__size(c->eos_token_id, c->model.hidden_size)] = -2.0f;
    g->config.backend->upload(g->machinery->context, g->machinery->weights, embedding,
                              count * sizeof *embedding);
    free(embedding);
    grpo__weights_changed(g, GRPO_POLICY);
    if (g->machinery->reference) grpo_set_reference(g, 1.0f);
    return g;
}

static grpo_prompt *prompts_of(const size *s, int same) {
    grpo_prompt *p = (grpo_prompt *)calloc((size_t)s->prompts, sizeof *p);
    int *tokens = (int *)malloc(sizeof(int) * grpo__size(s->prompts, s->prompt)), i, j;
    if (!p || !tokens) { puts("bench: no memory"); exit(1); }
    for (i = 0; i < s->prompts; i++) {
        p[i].tokens = tokens + i * s->prompt;
        p[i].num_tokens = s->prompt;
        for (j = 0; j < s->prompt; j++)
            tokens[i * s->prompt + j] = ((same ? 0 : i * 7) + j * 3) % (s->vocab - 1);
    }
    return p;
}

static void free_prompts(grpo_prompt *p) {
    free((void *)(uintptr_t)p[0].tokens);
    free(p);
}

typedef struct times { double rollout, score, update, step; grpo_memory memory; } times;

static void check_code(const grpo *g, int code) {
    if (code < 0) { printf("bench: %s\n", grpo_error(g)); exit(1); }
}

static int by_step(const void *a, const void *b) {
    double x = ((const times *)a)->step, y = ((const times *)b)->step;
    return (x > y) - (x < y);
}

/* The median step, after one that is not counted, and its parts. */
static times time_steps(const size *s, grpo_config *c, int same, double seconds) {
    enum { MOST = 400 };
    static times all[MOST];
    grpo *g = policy_of(c);
    grpo_prompt *p = prompts_of(s, same);
    double begin = grpo__seconds();
    int i;
    for (i = 0; i < 4 || (i < MOST && grpo__seconds() - begin < seconds); i++) {
        times *t = &all[i ? i - 1 : 0];
        double start = grpo__seconds();
        check_code(g, grpo_rollout(g, p, s->prompts));
        t->rollout = grpo__seconds() - start;
        check_code(g, grpo_score(g));
        check_code(g, grpo_advantage(g));
        t->score = grpo__seconds() - start - t->rollout;
        check_code(g, grpo_update(g, NULL));
        t->step = grpo__seconds() - start;
        t->update = t->step - t->score - t->rollout;
    }
    qsort(all, (size_t)(i - 1), sizeof *all, by_step);
    all[0] = all[(i - 1) / 2];
    grpo_memory_needed(c, &all[0].memory);
    free_prompts(p);
    grpo_free(g);
    return all[0];
}

/* Seconds a token of a rollout of `count` prompts, the best of so many tries. */
static double token_seconds(grpo *g, const grpo_prompt *p, int count, int completion, int tries) {
    double best = 1e9, t;
    for (; tries > 0; tries--) {
        t = grpo__seconds();
        check_code(g, grpo_rollout(g, p, count));
        t = (grpo__seconds() - t) / completion;
        if (t < best) best = t;
    }
    return best;
}

/* Of all heads together. */
static double attention_width(const size *s) {
    return s->head_dim ? (double)s->heads * s->head_dim : s->hidden;
}

/* Of the matrices of a layer. */
static double layer_weights(const size *s) {
    return s->hidden * (2.0 * attention_width(s) * (1 + (double)s->kv_heads / s->heads)
                        + 3.0 * s->ffn);
}

/* What a token that is sampled alone must read: every matrix, once. */
static double weights_read(const size *s) {
    return layer_weights(s) * s->layers + (double)s->hidden * s->vocab;
}

/* Necessary operations of one forward pass over the batch. */
static double forward_flops(const size *s) {
    double rows = (double)s->prompts * (s->prompt + s->group * (s->completion - 1));
    double heads = (double)s->prompts * (1 + s->group * (s->completion - 1));
    double matrices = layer_weights(s) * s->layers;
    double keys = s->prompts * (0.5 * s->prompt * (s->prompt + 1) + s->group
                                * (double)(s->completion - 1)
                                * (s->prompt + 0.5 * s->completion));
    return 2 * rows * matrices + 2 * heads * s->hidden * s->vocab
           + 4 * keys * attention_width(s) * s->layers;
}

#endif
