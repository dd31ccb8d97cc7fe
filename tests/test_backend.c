/* Nothing outside the table of operations touches backend memory: a backend that hands out
 * addresses at which nothing lies, and translates them only inside its operations, trains bit for
 * bit like the CPU, though it samples several tokens before the host looks. A host dereference
 * anywhere would be a crash. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"

/* Non-canonical on 64-bit machines: any access through such a pointer faults. */
#define FAR_AWAY ((uintptr_t)1 << (sizeof(void *) * 8 - 2))

static void *near_(const void *p) { return p ? (void *)((uintptr_t)p ^ FAR_AWAY) : NULL; }
static float *nearf(const float *p) { return (float *)near_(p); }
static int *neari(const int *p) { return (int *)near_(p); }
static const grpo_backend *cpu(void) { return grpo_cpu(); }

static grpo_matrix near_matrix(const grpo_matrix *w) {
    grpo_matrix m = *w;
    m.weights = nearf(w->weights);
    m.operand = near_(w->operand);
    return m;
}

static grpo_rows near_rows(const grpo_rows *rows) {
    grpo_rows r = *rows;
    r.tokens = neari(r.tokens); r.positions = neari(r.positions); r.slots = neari(r.slots);
    r.segments = (const grpo_segment *)near_(r.segments); r.groups = neari(r.groups);
    r.done = neari(r.done);
    return r;
}

static grpo_targets near_targets(const grpo_targets *targets) {
    grpo_targets t = *targets;
    t.offsets = neari(t.offsets); t.tokens = neari(t.tokens); t.kept_rows = neari(t.kept_rows);
    t.kept = (const uint32_t *)near_(t.kept);
    return t;
}

static void *far_allocate(void *c, size_t n) {
    void *p = cpu()->allocate(c, n);
    return p ? (void *)((uintptr_t)p ^ FAR_AWAY) : NULL;
}
static void far_release(void *c, void *p) { cpu()->release(c, near_(p)); }
static void far_upload(void *c, void *to, const void *from, size_t n) {
    cpu()->upload(c, near_(to), from, n);
}
static void far_download(void *c, void *to, const void *from, size_t n) {
    cpu()->download(c, to, near_(from), n);
}
static void far_zero(void *c, void *p, size_t n) { cpu()->zero(c, near_(p), n); }
static void far_prepare(void *c, const grpo_matrix *w) {
    grpo_matrix m = near_matrix(w);
    cpu()->prepare(c, &m);
}
static void far_write_operand(void *c, const grpo_matrix *w, size_t at, const float *x, size_t n) {
    grpo_matrix m = near_matrix(w);
    cpu()->write_operand(c, &m, at, x, n);
}
static void far_read_operand(void *c, float *x, const grpo_matrix *w, size_t at, size_t n) {
    grpo_matrix m = near_matrix(w);
    cpu()->read_operand(c, x, &m, at, n);
}
static void far_gather(void *c, void *y, const void *x, const int *rows, int n, size_t size) {
    cpu()->gather(c, near_(y), near_(x), neari(rows), n, size);
}
static void far_embed(void *c, void *x, const float *table, const int *tokens, int n, int hidden) {
    cpu()->embed(c, near_(x), nearf(table), neari(tokens), n, hidden);
}
static void far_embed_backward(void *c, float *dtable, const void *dx, const int *tokens, int n,
                               int hidden) {
    cpu()->embed_backward(c, nearf(dtable), near_(dx), neari(tokens), n, hidden);
}
static void far_rmsnorm(void *c, void *y, float *rstd, const void *x, const int *rows,
                        const float *gain, int n, int hidden, float eps) {
    cpu()->rmsnorm(c, near_(y), nearf(rstd), near_(x), neari(rows), nearf(gain), n, hidden, eps);
}
static void far_rmsnorm_backward(void *c, void *dx, float *dgain, const void *dy, const void *x,
                                 const float *rstd, const int *rows, const float *gain, int n,
                                 int hidden) {
    cpu()->rmsnorm_backward(c, near_(dx), nearf(dgain), near_(dy), near_(x), nearf(rstd),
                            neari(rows), nearf(gain), n, hidden);
}
static void far_matmul(void *c, void *y, const void *x, const grpo_matrix *w, const float *bias,
                       const void *residual, int n) {
    grpo_matrix m = near_matrix(w);
    cpu()->matmul(c, near_(y), near_(x), &m, nearf(bias), near_(residual), n);
}
static void far_matmul_dx(void *c, void *dx, const void *dy, const grpo_matrix *w, int n) {
    grpo_matrix m = near_matrix(w);
    cpu()->matmul_dx(c, near_(dx), near_(dy), &m, n);
}
static void far_matmul_dw(void *c, float *dw, float *dbias, const void *dy, const void *x,
                          const grpo_matrix *w, int n) {
    grpo_matrix m = near_matrix(w);
    cpu()->matmul_dw(c, nearf(dw), nearf(dbias), near_(dy), near_(x), &m, n);
}
static void far_rotate(void *c, void *q, void *k, void *v, const void *qkv, const float *turns,
                       const float *q_gain, const float *k_gain, float eps, const grpo_rows *rows,
                       const grpo_heads *heads) {
    grpo_rows r = near_rows(rows);
    cpu()->rotate(c, near_(q), near_(k), near_(v), near_(qkv), nearf(turns), nearf(q_gain),
                  nearf(k_gain), eps, &r, heads);
}
static void far_rotate_backward(void *c, void *dqkv, float *dq_gain, float *dk_gain, void *dq,
                                void *dk, void *dv, const void *qkv, const float *turns,
                                const float *q_gain, const float *k_gain, float eps,
                                const grpo_rows *rows, const grpo_heads *heads) {
    grpo_rows r = near_rows(rows);
    cpu()->rotate_backward(c, near_(dqkv), nearf(dq_gain), nearf(dk_gain), near_(dq), near_(dk),
                           near_(dv), near_(qkv), nearf(turns), nearf(q_gain), nearf(k_gain), eps,
                           &r, heads);
}
static void far_attention(void *c, void *y, float *lse, const void *q, const void *k, const void *v,
                          const grpo_rows *rows, const grpo_heads *heads) {
    grpo_rows r = near_rows(rows);
    int width = heads->num_heads * heads->head_dim, row, i;
    cpu()->attention(c, near_(y), nearf(lse), near_(q), near_(k), near_(v), &r, heads);
    for (row = 0; r.done && row < r.num_rows; row++)          /* then it may be anything         */
        for (i = 0; r.done[row] && i < width; i++) nearf((float *)y)[row * width + i] = NAN;
}
static void far_attention_backward(void *c, void *dq, void *dk, void *dv, const void *dy,
                                   const void *y, const float *lse, const void *q, const void *k,
                                   const void *v, const grpo_rows *rows, const grpo_heads *heads) {
    grpo_rows r = near_rows(rows);
    cpu()->attention_backward(c, near_(dq), near_(dk), near_(dv), near_(dy), near_(y), nearf(lse),
                              near_(q), near_(k), near_(v), &r, heads);
}
static void far_swiglu(void *c, void *y, const void *gate_up, int n, int width) {
    cpu()->swiglu(c, near_(y), near_(gate_up), n, width);
}
static void far_swiglu_backward(void *c, void *d, const void *dy, const void *gate_up, int n,
                                int width) {
    cpu()->swiglu_backward(c, near_(d), near_(dy), near_(gate_up), n, width);
}
static void far_logprobs(void *c, float *logprobs, float *entropies, void *logits, int keep,
                         const void *hidden, const grpo_matrix *head, const grpo_targets *targets) {
    grpo_targets t = near_targets(targets);
    grpo_matrix h = near_matrix(head);
    cpu()->logprobs(c, nearf(logprobs), nearf(entropies), near_(logits), keep, near_(hidden), &h,
                    &t);
    if (!keep) memset(near_(logits), 0xff, grpo__size(t.num_rows, h.rows) * sizeof(float));
}
static void far_logprobs_backward(void *c, void *logits, const float *dlogprobs,
                                  const float *dentropies, const void *more, int vocab,
                                  const grpo_targets *targets) {
    grpo_targets t = near_targets(targets);
    cpu()->logprobs_backward(c, near_(logits), nearf(dlogprobs), nearf(dentropies), near_(more),
                             vocab, &t);
}
static void far_kl(void *c, float *kl, const void *logits, const void *ref_logits, int vocab,
                   const grpo_targets *targets) {
    grpo_targets t = near_targets(targets);
    cpu()->kl(c, nearf(kl), near_(logits), near_(ref_logits), vocab, &t);
}
static void far_kl_backward(void *c, void *ref_logits, const void *logits, const float *dkl,
                            int vocab, const grpo_targets *targets) {
    grpo_targets t = near_targets(targets);
    cpu()->kl_backward(c, near_(ref_logits), near_(logits), nearf(dkl), vocab, &t);
}
static void far_to_floats(void *c, float *to, const void *from, size_t n) {
    cpu()->to_floats(c, nearf(to), near_(from), n);
}
static void far_from_floats(void *c, void *to, const float *from, size_t n) {
    cpu()->from_floats(c, near_(to), nearf(from), n);
}
static void far_sample(void *c, int *tokens, float *logprobs, float *entropies, uint32_t *kept,
                       void *logits, const void *hidden, const grpo_matrix *head,
                       const float *uniforms, const grpo_sampling *sampling,
                       const grpo_targets *targets) {
    grpo_targets t = near_targets(targets);
    grpo_matrix h = near_matrix(head);
    cpu()->sample(c, neari(tokens), nearf(logprobs), nearf(entropies), (uint32_t *)near_(kept),
                  near_(logits), near_(hidden), &h, nearf(uniforms), sampling, &t);
}
static void far_keep(void *c, const grpo_array *arrays, int num_arrays, int from, int to, int n,
                     const int *turn) {
    const grpo_array *list = (const grpo_array *)near_(arrays);
    int i;
    for (i = 0; i < num_arrays; i++) {
        grpo_array one = list[i];
        one.at = (char *)near_(one.at);
        cpu()->keep(c, &one, 1, from, to, n, neari(turn));
    }
}
static void far_next(void *c, const grpo_turn *turn) {
    grpo_turn t = *turn;
    t.turn = neari(t.turn); t.tokens = neari(t.tokens); t.positions = neari(t.positions);
    t.slots = neari(t.slots); t.segments = (grpo_segment *)near_(t.segments);
    t.done = neari(t.done); t.eos = neari(t.eos); t.kept_rows = neari(t.kept_rows);
    t.uniforms = nearf(t.uniforms); t.drawn = neari(t.drawn);
    t.logprobs = nearf(t.logprobs); t.entropies = nearf(t.entropies);
    cpu()->next(c, &t);
}
static void far_adamw(void *c, float *weights, const float *gradient, float *m, float *v, size_t n,
                      float lr, float beta1, float beta2, float epsilon, float decay, float scale,
                      int64_t step) {
    cpu()->adamw(c, nearf(weights), nearf(gradient), nearf(m), nearf(v), n, lr, beta1, beta2,
                 epsilon, decay, scale, step);
}
static double far_sum_of_squares(void *c, const float *x, size_t n) {
    return cpu()->sum_of_squares(c, nearf(x), n);
}
static void far_mix(void *c, float *y, const float *x, float a, float b, size_t n) {
    cpu()->mix(c, nearf(y), nearf(x), a, b, n);
}

static grpo_backend far_backend(void) {
    grpo_backend b = *grpo_cpu();
    b.name = "far";
    b.allocate = far_allocate; b.release = far_release; b.upload = far_upload;
    b.download = far_download; b.zero = far_zero; b.prepare = far_prepare;
    b.write_operand = far_write_operand; b.read_operand = far_read_operand;
    b.gather = far_gather; b.embed = far_embed;
    b.embed_backward = far_embed_backward; b.rmsnorm = far_rmsnorm;
    b.rmsnorm_backward = far_rmsnorm_backward; b.matmul = far_matmul; b.matmul_dx = far_matmul_dx;
    b.matmul_dw = far_matmul_dw; b.rotate = far_rotate; b.rotate_backward = far_rotate_backward;
    b.attention = far_attention; b.attention_backward = far_attention_backward;
    b.swiglu = far_swiglu; b.swiglu_backward = far_swiglu_backward; b.logprobs = far_logprobs;
    b.logprobs_backward = far_logprobs_backward; b.sample = far_sample;
    b.kl = far_kl; b.kl_backward = far_kl_backward; b.to_floats = far_to_floats;
    b.from_floats = far_from_floats; b.adamw = far_adamw;
    b.sum_of_squares = far_sum_of_squares; b.mix = far_mix; b.next = far_next;
    b.keep = far_keep;
    return b;
}

static float even_digits(const grpo_sample *s, void *user) {
    float n = 0;
    int i;
    (void)user;
    for (i = 0; s->completion[i]; i++) n += (float)((s->completion[i] & 1) == 0);
    return n;
}

/* Everything the library does, on one backend; the metrics of the last step, the text it speaks. */
static void whole_life(const grpo_backend *backend, int variant, int more, grpo_metrics *m,
                       char *text, const char *folder) {
    grpo_config c = grpo_defaults();
    grpo_prompt prompts[3];
    grpo_evaluation e;
    grpo_sampling plain = { 1, 0, 1, 0 };
    grpo *g, *copy;
    int i;
    c.backend = backend;
    c.vocabulary = "0123456789";
    c.num_prompts = 3;
    c.num_generations = 4;
    c.max_prompt_length = 4;
    c.max_completion_length = 6;
    c.micro_batch_prompts = 2;
    c.ref_model_sync_steps = 2;
    c.model.qk_norm = variant;
    c.model.attention_bias = !variant;
    c.model.tie_word_embeddings = !variant;
    c.sampling.top_p = variant ? 0.8f : 1.0f;
    c.objective.entropy_coef = 0.01f;
    c.num_iterations = 2;
    c.rollout_batch_prompts = more;
    c.eos_token_ids[0] = 3;
    c.num_eos = more;
    c.threads = 2;
    grpo_add_reward(&c, "even", even_digits, 1.0f, NULL);
    g = grpo_new(&c);
    copy = grpo_new(&c);
    CHECK(g && copy, "%s", c.error);
    if (!g || !copy) return;
    prompts[0] = grpo_question("12", "24");
    prompts[1] = grpo_question("7", "8");
    prompts[2] = grpo_question("345", "0");
    CHECK(!grpo_sft(g, prompts, 3, 0.01f, NULL), "%s", grpo_error(g));
    for (i = 0; i < 3; i++) CHECK(!grpo_step(g, prompts, 3, m), "%s", grpo_error(g));
    CHECK(!grpo_evaluate(g, prompts, 3, 4, 2, &e), "%s", grpo_error(g));
    CHECK(!grpo_save(g, folder, GRPO_SAVE_STATE), "%s", grpo_error(g));
    CHECK(!grpo_load(copy, folder) && !grpo_resume(copy, folder), "%s", grpo_error(copy));
    CHECK(!grpo_step(copy, prompts, 3, m), "%s", grpo_error(copy));
    CHECK(grpo_generate(copy, &prompts[1], &plain, 5, text, 64) >= 0, "%s", grpo_error(copy));
    m->step_time = 0;
    grpo_free(g);
    grpo_free(copy);
}

static void remove_checkpoint(const char *folder) {
    static const char *const files[] = {
        "config.json", "model.safetensors", "trainer_state.safetensors" };
    char path[128];
    size_t i;
    for (i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        remove(path);
    }
    remove(folder);
}

static void print_line(const char *message, void *user) { (void)user; printf("  %s\n", message); }

int main(void) {
    grpo_backend far = far_backend();
    grpo_config c = grpo_defaults();
    grpo_metrics on_cpu, on_far;
    char said_cpu[64] = "", said_far[64] = "";
    int variant, more, failures;
    far.turns_at_once = 4;          /* of the six that there are at most; the CPU does one       */
    for (variant = 0; variant < 4 && sizeof(void *) == 8; variant++) {
        more = variant / 2;         /* 1: nothing is kept while sampling, and there are two ends */
        memset(&on_cpu, 0, sizeof on_cpu);
        memset(&on_far, 0, sizeof on_far);
        whole_life(NULL, variant % 2, more, &on_cpu, said_cpu, "test_backend_checkpoint");
        whole_life(&far, variant % 2, more, &on_far, said_far, "test_backend_checkpoint");
        CHECK(!memcmp(&on_cpu, &on_far, sizeof on_cpu), "variant %d: metrics differ", variant);
        CHECK(!strcmp(said_cpu, said_far), "variant %d: texts differ", variant);
    }
    if (sizeof(void *) != 8) printf("skipped: addresses that fault need 64 bits\n");
    remove_checkpoint("test_backend_checkpoint");
    c.backend = sizeof(void *) == 8 ? &far : NULL;
    c.log = print_line;
    failures = grpo_selftest(&c);
    CHECK(failures == 0, "%d self-tests failed", failures);
    return check_finish();
}
