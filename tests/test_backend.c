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
static void far_embed(void *c, const grpo_embedding *given) {
    grpo_embedding o = *given;
    o.tokens = neari(o.tokens); o.table = nearf(o.table); o.x = near_(o.x);
    cpu()->embed(c, &o);
}
static void far_embed_backward(void *c, const grpo_embedding *given) {
    grpo_embedding o = *given;
    o.tokens = neari(o.tokens); o.dx = near_(o.dx); o.dtable = nearf(o.dtable);
    cpu()->embed_backward(c, &o);
}
static grpo_norm near_norm(const grpo_norm *given) {
    grpo_norm o = *given;
    o.x = near_(o.x); o.rows = neari(o.rows); o.gain = nearf(o.gain); o.y = near_(o.y);
    o.rstd = nearf(o.rstd); o.dy = near_(o.dy); o.dx = near_(o.dx); o.dgain = nearf(o.dgain);
    return o;
}
static void far_rmsnorm(void *c, const grpo_norm *given) {
    grpo_norm o = near_norm(given);
    cpu()->rmsnorm(c, &o);
}
static void far_rmsnorm_backward(void *c, const grpo_norm *given) {
    grpo_norm o = near_norm(given);
    cpu()->rmsnorm_backward(c, &o);
}
static grpo_product near_product(const grpo_product *given, grpo_matrix *w) {
    grpo_product o = *given;
    *w = near_matrix(o.w);
    o.w = w; o.x = near_(o.x); o.y = near_(o.y); o.bias = nearf(o.bias);
    o.residual = near_(o.residual); o.dy = near_(o.dy); o.dx = near_(o.dx);
    o.dw = nearf(o.dw); o.dbias = nearf(o.dbias);
    return o;
}
static void far_matmul(void *c, const grpo_product *given) {
    grpo_matrix w;
    grpo_product o = near_product(given, &w);
    cpu()->matmul(c, &o);
}
static void far_matmul_dx(void *c, const grpo_product *given) {
    grpo_matrix w;
    grpo_product o = near_product(given, &w);
    cpu()->matmul_dx(c, &o);
}
static void far_matmul_dw(void *c, const grpo_product *given) {
    grpo_matrix w;
    grpo_product o = near_product(given, &w);
    cpu()->matmul_dw(c, &o);
}
static grpo_attention near_attention(const grpo_attention *given, grpo_rows *rows) {
    grpo_attention o = *given;
    *rows = near_rows(o.rows);
    o.rows = rows; o.qkv = near_(o.qkv); o.angles = nearf(o.angles);
    o.q_gain = nearf(o.q_gain); o.k_gain = nearf(o.k_gain);
    o.q = near_(o.q); o.k = near_(o.k); o.v = near_(o.v); o.y = near_(o.y); o.lse = nearf(o.lse);
    o.dy = near_(o.dy); o.dq = near_(o.dq); o.dk = near_(o.dk); o.dv = near_(o.dv);
    o.dqkv = near_(o.dqkv); o.dq_gain = nearf(o.dq_gain); o.dk_gain = nearf(o.dk_gain);
    return o;
}
static void far_rotate(void *c, const grpo_attention *given) {
    grpo_rows rows;
    grpo_attention o = near_attention(given, &rows);
    cpu()->rotate(c, &o);
}
static void far_rotate_backward(void *c, const grpo_attention *given) {
    grpo_rows rows;
    grpo_attention o = near_attention(given, &rows);
    cpu()->rotate_backward(c, &o);
}
static int spare_keys;              /* max_keys, less the most keys that a row of the pass had   */
static void far_attention(void *c, const grpo_attention *given) {
    grpo_rows r;
    grpo_attention o = near_attention(given, &r);
    int width = o.heads.num_heads * o.heads.head_dim, row, i;
    cpu()->attention(c, &o);
    for (spare_keys = r.max_keys, i = 0; i < r.num_segments; i++) {
        const grpo_segment *s = &r.segments[i];
        int spare = r.max_keys - s->prefix_length - s->start - s->num_rows;
        if (spare < spare_keys) spare_keys = spare;
    }
    CHECK(spare_keys >= 0, "a row has %d keys more than max_keys says", -spare_keys);
    for (row = 0; r.done && row < r.num_rows; row++)          /* then it may be anything         */
        for (i = 0; r.done[row] && i < width; i++) ((float *)o.y)[row * width + i] = NAN;
}
static void far_attention_backward(void *c, const grpo_attention *given) {
    grpo_rows rows;
    grpo_attention o = near_attention(given, &rows);
    cpu()->attention_backward(c, &o);
}
static grpo_swiglu near_swiglu(const grpo_swiglu *given) {
    grpo_swiglu o = *given;
    o.gate_up = near_(o.gate_up); o.y = near_(o.y);
    o.dy = near_(o.dy); o.dgate_up = near_(o.dgate_up);
    return o;
}
static void far_swiglu(void *c, const grpo_swiglu *given) {
    grpo_swiglu o = near_swiglu(given);
    cpu()->swiglu(c, &o);
}
static void far_swiglu_backward(void *c, const grpo_swiglu *given) {
    grpo_swiglu o = near_swiglu(given);
    cpu()->swiglu_backward(c, &o);
}
static grpo_head near_head(const grpo_head *given, grpo_matrix *w) {
    grpo_head o = *given;
    grpo_targets *t = &o.targets;
    *w = near_matrix(o.w);
    t->offsets = neari(t->offsets); t->tokens = neari(t->tokens);
    t->allowed = (uint32_t *)near_(t->allowed); t->allowed_rows = neari(t->allowed_rows);
    o.w = w; o.hidden = near_(o.hidden); o.logits = near_(o.logits);
    o.logprobs = nearf(o.logprobs); o.entropies = nearf(o.entropies);
    o.uniforms = nearf(o.uniforms); o.drawn = neari(o.drawn);
    o.dlogprobs = nearf(o.dlogprobs); o.dentropies = nearf(o.dentropies); o.more = near_(o.more);
    o.ref_logits = near_(o.ref_logits); o.kl = nearf(o.kl); o.dkl = nearf(o.dkl);
    return o;
}
static void far_logprobs(void *c, const grpo_head *given) {
    grpo_matrix w;
    grpo_head o = near_head(given, &w);
    cpu()->logprobs(c, &o);
    if (!o.keep_logits)
        memset(o.logits, 0xff, grpo__size(o.targets.num_rows, w.rows) * sizeof(float));
}
static void far_sample(void *c, const grpo_head *given) {
    grpo_matrix w;
    grpo_head o = near_head(given, &w);
    cpu()->sample(c, &o);
}
static void far_logprobs_backward(void *c, const grpo_head *given) {
    grpo_matrix w;
    grpo_head o = near_head(given, &w);
    cpu()->logprobs_backward(c, &o);
}
static void far_kl(void *c, const grpo_head *given) {
    grpo_matrix w;
    grpo_head o = near_head(given, &w);
    cpu()->kl(c, &o);
}
static void far_kl_backward(void *c, const grpo_head *given) {
    grpo_matrix w;
    grpo_head o = near_head(given, &w);
    cpu()->kl_backward(c, &o);
}
static void far_to_floats(void *c, float *to, const void *from, size_t n) {
    cpu()->to_floats(c, nearf(to), near_(from), n);
}
static void far_from_floats(void *c, void *to, const float *from, size_t n) {
    cpu()->from_floats(c, near_(to), nearf(from), n);
}
/* The CPU's host runs each tick itself: this is a device's way, in plain C. */
static void far_next(void *c, const grpo_tick *given) {
    grpo_tick o = *given;
    grpo_array arrays[32];
    size_t n = (size_t)o.num_rows, stored, line, r;
    int i;
    CHECK(o.num_arrays <= 32, "%d arrays", o.num_arrays);
    for (i = 0; i < o.num_arrays && i < 32; i++) {
        arrays[i] = ((const grpo_array *)near_(o.arrays))[i];
        arrays[i].at = (char *)near_(arrays[i].at);
    }
    o.arrays = arrays;
    o.tick = neari(o.tick); o.tokens = neari(o.tokens); o.positions = neari(o.positions);
    o.slots = neari(o.slots); o.segments = (grpo_segment *)near_(o.segments);
    o.done = neari(o.done); o.eos = neari(o.eos); o.allowed_rows = neari(o.allowed_rows);
    o.uniforms = nearf(o.uniforms); o.drawn = neari(o.drawn);
    o.logprobs = nearf(o.logprobs); o.entropies = nearf(o.entropies);
    (void)c;
    stored = (size_t)o.stored + n * (size_t)*o.tick;          /* staged rows to where they stay  */
    for (i = 0; i < o.num_arrays; i++)
        memcpy(arrays[i].at + stored * arrays[i].row,
               arrays[i].at + (size_t)o.staged * arrays[i].row, n * arrays[i].row);
    line = n * (size_t)++*o.tick;
    memcpy(o.drawn + line, o.drawn, n * sizeof(int));
    memcpy(o.logprobs + line, o.logprobs, n * sizeof(float));
    memcpy(o.entropies + line, o.entropies, n * sizeof(float));
    memmove(o.uniforms, o.uniforms + line, n * sizeof(float));
    for (r = 0; r < n; r++) {
        if (o.done[r]) continue;
        o.tokens[r] = o.drawn[r];
        o.positions[r]++;
        o.slots[r]++;
        o.segments[r].start++;
        o.allowed_rows[r] += o.allowed_step;
        for (i = 0; i < o.num_eos; i++) o.done[r] |= o.drawn[r] == o.eos[i];
    }
}
static void far_repeat(void *c, void (*work)(void *user), void *user, int times) {
    (void)c;
    while (times-- > 0) work(user);
    CHECK(spare_keys == 0, "max_keys is %d more than the last tick has", spare_keys);
}
static void far_adamw(void *c, const grpo_optimizer *given) {
    grpo_optimizer o = *given;
    o.weights = nearf(o.weights); o.m = nearf(o.m); o.v = nearf(o.v);
    o.gradient = nearf(o.gradient);
    cpu()->adamw(c, &o);
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
    b.repeat = far_repeat;
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
    far.ticks_at_once = 4;          /* of the six that there are at most; the CPU does one       */
    for (variant = 0; variant < 4 && sizeof(void *) == 8; variant++) {
        more = variant / 2;         /* 1: sampling stores nothing, and two tokens end a sequence */
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
