/* Several processes, the same bits. A team here is threads of one program, each with an object of
 * its own and nothing in common but a mailbox, through which config.team.exchange hands bytes; it
 * counts them, fails exchange number k, lets a process vanish, and knows when all wait for ever.
 * Real processes: processes.h, team_kill.sh, mpi.sh. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "examples/ppo.h"
#include "check.h"

#ifndef GRPO__THREADS
int main(void) {
    printf("skipped: a team of threads, and there are no threads here\n");
    return check_finish();
}
#else

enum { MOST = 8, LANES = 8 };       /* processes of a team; lanes, where nothing is said         */
enum { PROMPTS = 11, GROUP = 3, LENGTH = 4 };

/* ---------------------------------------------------------------------------------- the mailbox
 * An exchange is a meeting of two: who comes first waits, who comes second copies both ways. */
enum { WAITS = 1, MET, FAILED };                              /* of a process in an exchange     */
enum { NEVER, BREAK, VANISH, DEAF };
/* what exchange fail_at does: fail on both sides; end the process; fail here and succeed there  */

struct hub;
typedef struct process {
    grpo__lock lock;                /* its state is written under this and the hub's             */
    grpo__wake wake;
    grpo__thread handle;
    struct hub *hub;
    const struct play *play;
    int rank, gone;
    int state, peer, broken;        /* of the exchange that it is in                             */
    const void *send;
    void *receive;
    size_t bytes;
    int exchanges, how, fail_at;    /* how many it has begun; how number fail_at fails           */
    size_t sent;
    grpo *g, *critic;
    grpo_backend backend;
    double seconds;                 /* of its last step                                          */
    int code, step;                 /* how its part has ended, and in which step                 */
    int disturbed, kept, again;     /* of disturbed(): the code, are its numbers as before, and  */
    int calm, saved;                /*     the next step's code; exchanges before; grpo_save()'s */
    char after[GRPO_ERROR_LENGTH];  /*     the next step's sentence                              */
    float *weights;                 /*     after what was disturbed                              */
    char error[GRPO_ERROR_LENGTH];
    char *noted;                    /* what it has seen, see note()                              */
    size_t used, room;
} process;

typedef struct hub {
    grpo__lock lock;
    grpo__wake wake;
    int size, living, waiting, restless;
    int deadlocks, mismatches, overlaps;                      /* all to be 0                     */
    process of[MOST];
} hub;

static void wake(hub *h, process *p, int state) {
    GRPO__LOCK(p);
    p->state = state;
    GRPO__WAKE(p);
    GRPO__UNLOCK(p);
    h->waiting--;
}

/* All that live wait, and nobody can come any more. */
static void find_deadlock(hub *h) {
    int i;
    if (!h->living || h->waiting < h->living) return;
    h->deadlocks++;
    for (i = 0; i < h->size; i++)
        if (h->of[i].state == WAITS) wake(h, &h->of[i], FAILED);
}

static void vanish(hub *h, process *p) {
    int i;
    if (p->gone) return;
    p->gone = 1;
    h->living--;
    for (i = 0; i < h->size; i++)
        if (h->of[i].state == WAITS && h->of[i].peer == p->rank) wake(h, &h->of[i], FAILED);
    find_deadlock(h);
}

static int overlap(const void *a, const void *b, size_t bytes) {
    uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return x < y + bytes && y < x + bytes;
}

/* Under the hub's lock. */
static void meet(hub *h, process *p, int how) {
    process *q = &h->of[p->peer];
    p->broken = how == BREAK;
    p->state = FAILED;
    if (how == VANISH) vanish(h, p);
    if (p->gone || q->gone || h->deadlocks) return;
    p->sent += p->bytes;
    p->state = WAITS;
    h->waiting++;
    if (q->state == WAITS && q->peer == p->rank) {
        const int met = q->bytes == p->bytes && !p->broken && !q->broken;
        h->mismatches += q->bytes != p->bytes;
        if (met) memcpy(q->receive, p->send, p->bytes);
        if (met) memcpy(p->receive, q->send, p->bytes);
        wake(h, p, met ? MET : FAILED);
        wake(h, q, met ? MET : FAILED);
    } else find_deadlock(h);
}

static int exchange(void *user, int peer, const void *send, void *receive, size_t bytes) {
    process *p = (process *)user;
    hub *h = p->hub;
    int i, how = ++p->exchanges == p->fail_at ? p->how : NEVER;
    if (peer < 0 || peer >= h->size || peer == p->rank) return -1;
    for (i = 0; i < h->restless * (int)(grpo_uniform(1, (uint64_t)p->rank,
                                                     (uint64_t)p->exchanges, 0, 0) * 3); i++)
        GRPO__YIELD();
    GRPO__LOCK(h);
    p->peer = peer; p->send = send; p->receive = receive; p->bytes = bytes;
    h->overlaps += overlap(send, receive, bytes);
    meet(h, p, how);
    GRPO__UNLOCK(h);
    GRPO__LOCK(p);
    while (p->state == WAITS) GRPO__WAIT(p);
    i = p->state;
    GRPO__UNLOCK(p);
    return i == MET && how != DEAF ? 0 : -1;
}

/* --------------------------------------------------------------------------- what is played
 * The same for each process, and for one alone. */
enum { TWO_REWARDS = 1, BATCH_REWARD = 2, STEPS_REWARD = 4, ZERO_ONE = 8, NANS = 16,   /* rubric */
       SFT = 32, ADOPT = 64, EVALUATE = 128, PPO = 256, SHARED = 512, BUDGET = 1024,
       ALL_PROMPTS = 2048, RESTLESS = 4096, MIXED = 8192,
       DIRTY = 16384, STAGED = 32768 };

typedef struct play {
    grpo_config config;
    int flags, first, steps;        /* steps [first, steps)                                      */
    const char *from, *to;          /* folders: resumed from and saved to; NULL: not             */
    int (*script)(process *p);
    void (*spoil)(process *p, grpo_config *c);                /* before grpo_new(); or NULL      */
    int victim, how, fail_at;       /* the process that fails, and in which exchange             */
    int (*act)(process *p);         /* what disturbed() does                                     */
    int mood;                       /* what act or spoil does, where it does one of several      */
} play;

static float letters(const grpo_sample *s, void *user) {
    float sum = 0;
    int i;
    (void)user;
    for (i = 0; s->completion[i]; i++) sum += (float)(s->completion[i] - 'a') * 0.3f + 0.1f;
    return sum;
}
static float begins_with_a(const grpo_sample *s, void *user) {
    (void)user;
    return s->completion[0] == 'a';
}
static float sometimes_missing(const grpo_sample *s, void *user) {
    return (s->prompt_index * GROUP + s->completion_index) % 7 == 3 ? NAN : letters(s, user);
}
static float shorter(const grpo_sample *s, void *user) { (void)user; return -(float)s->num_tokens; }
static int letters_batch(const grpo_sample *s, int n, float *rewards, void *user) {
    int i;
    for (i = 0; i < n; i++) rewards[i] = letters(&s[i], user);
    return 0;
}
static int letters_steps(const grpo_sample *s, int *ends, float *rewards, int capacity,
                         void *user) {
    int i;
    (void)user;
    for (i = 0; i < s->num_tokens && i < capacity; i++) {
        ends[i] = i;
        rewards[i] = s->tokens[i] == 1;
    }
    return i;
}

static grpo_config config_of(const char *words, int flags) {
    grpo_config c = grpo_defaults();
    char error[GRPO_ERROR_LENGTH] = "";
    c.vocabulary = "abcde";
    c.model.hidden_size = 8; c.model.intermediate_size = 12; c.model.num_attention_heads = 2;
    c.model.num_key_value_heads = 1;
    c.model.initializer_range = 0.3f;
    c.num_prompts = PROMPTS; c.num_generations = GROUP;
    c.max_prompt_length = 3; c.max_completion_length = LENGTH;
    c.learning_rate = 0.01f;
    c.lanes = LANES;
    c.threads = 1;
    c.objective.beta = 0.05f;
    if (flags & (PPO | SHARED))
        CHECK(!grpo_objective_set(&c.objective, PPO_OBJECTIVE, error), "%s", error);
    if (flags & SHARED) c.model.value_head = 1;
    CHECK(!grpo_config_set(&c, words, error), "%s", error);
    grpo_add_reward(&c, "letters", flags & ZERO_ONE ? begins_with_a
                    : flags & NANS ? sometimes_missing : letters, 1, NULL);
    if (flags & TWO_REWARDS) grpo_add_reward(&c, "shorter", shorter, 0.5f, NULL);
    if (flags & BATCH_REWARD) {
        grpo_add_reward(&c, "batch", NULL, 0.25f, NULL);
        c.rewards[c.num_rewards - 1].batch = letters_batch;
    }
    if (flags & STEPS_REWARD) {
        grpo_add_reward(&c, "steps", NULL, 2, NULL);
        c.rewards[c.num_rewards - 1].steps = letters_steps;
    }
    return c;
}

/* So many prompts in step s: fewer than lanes too, and not a multiple of them. */
static int prompts_of(const play *y, int s, grpo_prompt *prompts) {
    static const char *const texts[PROMPTS] = { "a", "bc", "cab", "d", "a", "ee", "bad", "cd", "ea",
                                                "b", "dec" };
    static const int counts[5] = { PROMPTS, 8, 3, 10, 1 };
    int i;
    for (i = 0; i < PROMPTS; i++) {
        prompts[i] = grpo_question(texts[(i + s) % PROMPTS], i % 2 ? "ab" : "c");
        prompts[i].data = &texts[i];
    }
    return y->flags & ALL_PROMPTS ? PROMPTS : counts[s % 5];
}

/* ---- what a process has seen, under names, to be compared byte for byte */
typedef struct note_head { char what[24]; int step; size_t bytes; } note_head;

static void note(process *p, const char *what, const void *x, size_t bytes) {
    note_head head;
    memset(&head, 0, sizeof head);
    snprintf(head.what, sizeof head.what, "%s", what);
    head.step = p->step;
    head.bytes = bytes;
    if (p->used + sizeof head + bytes > p->room) {
        p->room = 2 * (p->used + sizeof head + bytes);
        p->noted = (char *)realloc(p->noted, p->room);
        if (!p->noted) { perror("realloc"); exit(1); }
    }
    memcpy(p->noted + p->used, &head, sizeof head);
    if (bytes) memcpy(p->noted + p->used + sizeof head, x, bytes);
    p->used += sizeof head + bytes;
}

static void note_batch(process *p, const grpo *g) {
    const grpo_batch *b = &g->batch;
    size_t N = (size_t)b->num_sequences, n = (size_t)b->offsets[N], P = (size_t)b->num_prompts, i;
    note(p, "prompt_offsets", b->prompt_offsets, (P + 1) * sizeof(int));
    note(p, "prompt_tokens", b->prompt_tokens, (size_t)b->prompt_offsets[P] * sizeof(int));
    note(p, "offsets", b->offsets, (N + 1) * sizeof(int));
    note(p, "tokens", b->tokens, n * sizeof(int));
    note(p, "logprobs", b->logprobs, n * sizeof(float));
    note(p, "entropies", b->entropies, n * sizeof(float));
    note(p, "ref_logprobs", b->ref_logprobs, b->ref_logprobs ? n * sizeof(float) : 0);
    note(p, "kl", b->kl, b->kl ? n * sizeof(float) : 0);
    note(p, "sampling_logprobs", b->sampling_logprobs,
         b->sampling_logprobs ? n * sizeof(float) : 0);
    note(p, "process", b->process, b->process ? n * sizeof(float) : 0);
    note(p, "advantages", b->advantages, n * sizeof(float));
    note(p, "mask", b->mask, n);
    note(p, "truncated", b->truncated, N);
    note(p, "rewards", b->rewards, N * sizeof(float));
    note(p, "reward_parts", b->reward_parts, N * (size_t)g->config.num_rewards * sizeof(float));
    note(p, "resampled", b->resampled, P * sizeof(int));
    for (i = 0; i < N; i++) {
        const grpo_sample *s = &b->samples[i];
        const int numbers[8] = { s->prompt_index, s->completion_index, s->num_prompt_tokens,
                                 s->num_tokens, s->truncated, s->max_completion_length,
                                 (int)(s->tokens - b->tokens),
                                 (int)(s->prompt_tokens - b->prompt_tokens) };
        note(p, "samples' numbers", numbers, sizeof numbers);
        note(p, "samples' prompts", s->prompt, strlen(s->prompt) + 1);
        note(p, "samples' completions", s->completion, strlen(s->completion) + 1);
        note(p, "samples' answers", s->answer, strlen(s->answer) + 1);
        note(p, "samples' data", &s->data, sizeof s->data);
    }
}

static void note_state(process *p, const grpo *g) {
    const double numbers[7] = { (double)g->state.step, (double)g->state.optimizer_step,
                                (double)g->state.adam_step, g->state.num_tokens,
                                (double)(g->machinery->reference && g->state.reference_set),
                                (double)g->config.objective.beta,
                                (double)g->config.objective.entropy_coef };
    note(p, "state", numbers, sizeof numbers);
}

static float *download(const grpo *g, const float *from, size_t n) {
    float *to = (float *)malloc((n ? n : 1) * sizeof(float));
    g->machinery->backend->download(g->machinery->context, to, from, n * sizeof(float));
    return to;
}

/* How many of AdamW's moments a process holds. */
#define OWN_SHARE(g) ((g)->machinery->share)

static int same_numbers(const grpo *g, const float *now, const float *before, size_t n) {
    float *x = download(g, now, n);
    int same = !memcmp(x, before, n * sizeof(float));
    free(x);
    return same;
}

static void note_weights(process *p, const char *what, const grpo *g, const float *from,
                         size_t n) {
    float *to = download(g, from, n);
    note(p, what, to, n * sizeof(float));
    free(to);
}

static void note_models(process *p, const grpo *g) {
    note_weights(p, "weights", g, g->machinery->trained, g->num_trained);
    if (g->machinery->reference)
        note_weights(p, "reference", g, g->machinery->reference, g->num_parameters);
}

/* Where two have seen different things from step `from` on, in words; "" where they have not. */
static const char *first_difference(const process *a, const process *b, int from, char *words,
                                    size_t room) {
    size_t i = 0, j = 0;
    while (i < a->used && j < b->used) {
        note_head x, y;
        memcpy(&x, a->noted + i, sizeof x);
        memcpy(&y, b->noted + j, sizeof y);
        if (x.step >= from && y.step >= from
            && (memcmp(&x, &y, sizeof x)
                || memcmp(a->noted + i + sizeof x, b->noted + j + sizeof y, x.bytes))) {
            size_t k = 0;
            while (x.bytes == y.bytes && k < x.bytes
                   && a->noted[i + sizeof x + k] == b->noted[j + sizeof y + k]) k++;
            snprintf(words, room, "step %d: %s, byte %.0f of %.0f (%s of step %d, %.0f bytes)",
                     x.step, x.what, (double)k, (double)x.bytes, y.what, y.step, (double)y.bytes);
            return words;
        }
        if (x.step < from || y.step >= from) i += sizeof x + x.bytes;
        if (y.step < from || x.step >= from) j += sizeof y + y.bytes;
    }
    snprintf(words, room, "%s", i == a->used && j == b->used ? ""
                                : "one has seen more than the other");
    return words;
}

/* ---- one step of each kind */
static int adopt_only(process *p, const grpo_prompt *prompts, int n) {
    grpo_completion completions[PROMPTS * GROUP];
    float theirs[PROMPTS * GROUP][LENGTH];
    int tokens[PROMPTS * GROUP][LENGTH], i, t;
    memset(completions, 0, sizeof completions);
    for (i = 0; i < n * GROUP; i++) {
        for (t = 0; t < LENGTH; t++) {
            tokens[i][t] = (i * 7 + t * 3 + i / 4) % 5;
            theirs[i][t] = -1.2f - 0.1f * (float)((i + t) % 5);
        }
        completions[i].tokens = tokens[i];
        completions[i].num_tokens = 1 + i % LENGTH;
        completions[i].logprobs = i % 3 ? theirs[i] : NULL;
    }
    return grpo_adopt(p->g, prompts, n, completions);
}

static int adopt(process *p, const grpo_prompt *prompts, int n, grpo_metrics *m) {
    int code = adopt_only(p, prompts, n);
    if (!code) code = grpo_score(p->g);
    if (!code) code = grpo_advantage(p->g);
    return code ? code : grpo_update(p->g, m);
}

static int one_step(process *p, ppo *q) {
    grpo_prompt prompts[PROMPTS];
    grpo_metrics m;
    ppo_metrics pm;
    int n = prompts_of(p->play, p->step, prompts), flags = p->play->flags, code;
    memset(&m, 0, sizeof m);
    memset(&pm, 0, sizeof pm);
    if (flags & (PPO | SHARED)) {
        code = ppo_step(q, prompts, n, &pm);
        if (code && !grpo_error(p->g)[0]) snprintf(p->error, sizeof p->error, "%s", q->error);
        note(p, "PPO's metrics", &pm, sizeof pm);
    } else if (flags & ADOPT && p->step % 2) code = adopt(p, prompts, n, &m);
    else code = grpo_step(p->g, prompts, n, &m);
    p->seconds = m.step_time;
    m.step_time = 0;
    note(p, "metrics", &m, sizeof m);
    if (code) return code;
    note_batch(p, p->g);
    note_state(p, p->g);
    return 0;
}

/* Evaluation and generation are at other places than training. */
static int ask(process *p) {
    grpo_prompt prompts[PROMPTS];
    grpo_evaluation e;
    char text[64] = "";
    int n = prompts_of(p->play, p->step, prompts), code;
    memset(&e, 0, sizeof e);
    code = grpo_evaluate(p->g, prompts, n, p->step % 2 ? 0 : 4, 2, &e);
    note(p, "evaluation", &e, sizeof e);
    if (!code) code = grpo_generate(p->g, &prompts[n - 1], NULL, 7, text, sizeof text);
    note(p, "generated", text, sizeof text);
    return code < 0 ? code : 0;
}

static int train(process *p) {
    const play *y = p->play;
    grpo_prompt prompts[PROMPTS];
    ppo q;
    double loss = 0;
    int code = 0, i;
    memset(&q, 0, sizeof q);
    if (p->critic && !code) code = grpo_copy_weights(p->critic, p->g);
    if (!code && y->flags & (PPO | SHARED))
        code = ppo_begin(&q, p->g, p->critic ? p->critic : p->g);
    for (i = 0; i < 2 && !code && y->flags & SFT; i++) {
        code = grpo_sft(p->g, prompts, prompts_of(y, i, prompts), 0.003f, &loss);
        note(p, "loss of a warm-up", &loss, sizeof loss);
    }
    for (p->step = y->first; p->step < y->steps && !code; p->step++) {
        code = one_step(p, &q);
        if (!code && y->flags & EVALUATE && p->step % 3 == 1) code = ask(p);
        if (!code && y->to && p->step == y->steps - 2)        /* and goes on                     */
            code = grpo_save(p->g, y->to, GRPO_SAVE_STATE);
    }
    if (!code) note_models(p, p->g);
    if (!code && p->critic) note_models(p, p->critic);
    if (!code && y->to) code = grpo_save(p->g, y->to, GRPO_SAVE_STATE);
    ppo_end(&q);
    return code;
}

static int just_step(process *p) {
    grpo_prompt prompts[PROMPTS];
    return grpo_step(p->g, prompts, prompts_of(p->play, p->step, prompts), NULL);
}

static int save_step(process *p) {
    int code = just_step(p);
    return code ? code : grpo_save(p->g, p->play->to, GRPO_SAVE_STATE);
}

/* ---- a process, and a team of them */

/* Memory is full of NaN. */
static void *dirty_allocate(size_t size, void *user) {
    void *memory = malloc(size ? size : 1);
    (void)user;
    if (memory) memset(memory, 0xff, size);
    return memory;
}
static void plain_release(void *memory, void *user) { (void)user; free(memory); }

static void play_alone(process *p) {
    const play *y = p->play;
    grpo_config c = y->config;
    int i;
    for (i = 0; i < c.num_rewards; i++) c.rewards[i].user = p;
    if (p->hub->size > 1) {
        c.team.rank = p->rank;
        c.team.size = p->hub->size;
        c.team.exchange = exchange;
        c.team.user = p;
    }
    if (y->flags & MIXED) {         /* these need not be the same in each process                */
        c.threads = 1 + p->rank % 2;
        c.micro_batch_prompts = p->rank % 3;
        c.rollout_batch_prompts = p->rank / 2 % 3;
    }
    if (y->flags & DIRTY) {
        c.allocate = dirty_allocate;
        c.release = plain_release;
    }
    if (y->flags & STAGED) c.backend = &p->backend;           /* not known to be the host's      */
    p->backend = *grpo_cpu();
    if (y->flags & BUDGET) {
        grpo_config one = c;
        grpo_memory needed;
        one.micro_batch_prompts = one.rollout_batch_prompts = 1;
        if (!grpo_memory_needed(&one, &needed)) c.memory_budget = needed.total;
    }
    if (y->spoil) y->spoil(p, &c);
    p->g = grpo_new(&c);
    if (!p->g) {
        p->code = GRPO_BAD_INPUT;
        snprintf(p->error, sizeof p->error, "%s", c.error);
        return;
    }
    if (y->flags & PPO) {
        c = ppo_value_config(&p->g->config);
        p->critic = grpo_new(&c);
        if (!p->critic) snprintf(p->error, sizeof p->error, "%s", c.error);
    }
    p->code = y->flags & PPO && !p->critic ? GRPO_BAD_INPUT
            : y->from ? grpo_resume(p->g, y->from) : 0;
    if (!p->code) p->code = y->script(p);
    if (p->code && !p->error[0])
        snprintf(p->error, sizeof p->error, "%s", grpo_error(p->g)[0] ? grpo_error(p->g)
                 : p->critic ? grpo_error(p->critic) : "");
}

static GRPO__MAIN(process_main) {
    process *p = (process *)argument;
    hub *h = p->hub;
    play_alone(p);
    GRPO__LOCK(h);
    vanish(h, p);
    GRPO__UNLOCK(h);
    return 0;
}

static void forget(hub *h) {
    int i;
    for (i = 0; i < h->size; i++) {
        grpo_free(h->of[i].critic);
        grpo_free(h->of[i].g);
        free(h->of[i].noted);
        free(h->of[i].weights);
        GRPO__END(&h->of[i]);
    }
    GRPO__END(h);
}

static void play_team(hub *h, const play *y, int size) {
    int i;
    memset(h, 0, sizeof *h);
    GRPO__BEGIN(h);
    h->size = h->living = size;
    h->restless = (y->flags & RESTLESS) != 0;
    for (i = 0; i < size; i++) {
        process *p = &h->of[i];
        GRPO__BEGIN(p);
        p->hub = h;
        p->rank = i;
        p->play = y;
        if (y->how && i == y->victim) { p->how = y->how; p->fail_at = y->fail_at; }
    }
    if (size == 1) {
        play_alone(&h->of[0]);
        return;
    }
    for (i = 0; i < size; i++)
        if (!GRPO__START(&h->of[i], process_main)) { perror("no thread"); exit(1); }
    for (i = 0; i < size; i++) GRPO__JOIN(&h->of[i]);
    CHECK(!h->deadlocks, "all %d processes wait for ever", size);
    CHECK(!h->mismatches, "%d exchanges of different lengths", h->mismatches);
    CHECK(!h->overlaps, "%d exchanges into what is sent", h->overlaps);
}

/* Each process of the second has seen what the process alone has seen. */
static void check_same(const hub *one, const hub *many, const char *what) {
    char words[200];
    int i;
    for (i = 0; i < many->size; i++) {
        const process *p = &many->of[i];
        CHECK(!p->code, "%s: process %d of %d, step %d: %s", what, i, many->size, p->step,
              p->error);
        if (!p->code)
            CHECK(!first_difference(&one->of[0], p, p->play->first, words, sizeof words)[0],
                  "%s: process %d of %d differs at %s", what, i, many->size, words);
        CHECK(p->code || memcmp(&p->seconds, &many->of[0].seconds, sizeof p->seconds) == 0,
              "%s: process %d of %d: a step took %g s, in process 0 %g", what, i, many->size,
              p->seconds, many->of[0].seconds);
    }
}

/* ---- files */
static const char *const files[3] = { "model.safetensors", "trainer_state.safetensors",
                                      "config.json" };

static char *read_file(const char *folder, const char *name, size_t *n) {
    char path[256], *text = NULL;
    FILE *f;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    *n = 0;
    if ((f = fopen(path, "rb")) == NULL) return NULL;
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    text = (char *)malloc(*n + 1);
    if (fread(text, 1, *n, f) != *n) { free(text); text = NULL; }
    fclose(f);
    return text;
}

static void check_same_files(const char *a, const char *b, int lora, const char *what) {
    size_t i, n, m;
    for (i = 0; i < 3; i++) {
        const char *name = lora && i == 0 ? "adapter_model.safetensors"
                         : lora && i == 2 ? "adapter_config.json" : files[i];
        char *x = read_file(a, name, &n), *y = read_file(b, name, &m);
        CHECK(x && y && n == m && !memcmp(x, y, n), "%s: %s of %s and %s differ (%.0f bytes, %.0f)",
              what, name, a, b, (double)n, (double)m);
        free(x); free(y);
    }
}

static void remove_folder(const char *folder) {
    static const char *const more[2] = { "adapter_model.safetensors", "adapter_config.json" };
    char path[256];
    size_t i;
    for (i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, i < 3 ? files[i] : more[i - 3]);
        remove(path);
    }
    remove(folder);
}

/* -------------------------------------------------------------- a. any number of processes */
typedef struct setting { const char *name, *words; int flags; } setting;

static const setting settings[] = {
    { "full weights", "", 0 },
    { "LoRA", "lora.rank=2 lora.alpha=4", 0 },
    { "a head of its own, biases", "model.tie_word_embeddings=0 model.qk_norm=1 "
      "model.attention_bias=1 weight_decay=0.01", 0 },
    { "PPO, a critic of its own", "", PPO },
    { "PPO, shared weights", "num_iterations=2", SHARED },
    { "exact KL", "objective.kl=full objective.beta=0.1 objective.entropy_coef=0.02", 0 },
    { "exact KL in the reward", "objective.kl=full objective.kl_in_reward=1", 0 },
    { "KL of what follows", "objective.kl_in_reward=2", 0 },
    { "GDPO", "gdpo", TWO_REWARDS },
    { "GDPO, missing rewards", "gdpo", TWO_REWARDS | NANS },
    { "dynamic sampling", "dapo objective.equal_rewards=resample objective.max_resamples=3",
      ZERO_ONE },
    { "the most uncertain tokens", "objective.top_entropy_quantile=0.4", 0 },
    { "whitening", "objective.whiten=1", 0 },
    { "GPG", "gpg", ZERO_ONE },
    { "std of the batch", "objective.advantage=batch", 0 },
    { "controllers", "objective.kl_target=0.02 objective.kl_horizon=200 "
      "objective.entropy_coef=0.02 objective.entropy_target=1 objective.entropy_step=0.01", 0 },
    { "rewards of steps", "", STEPS_REWARD },
    { "rewards of steps, drawn anew", "dapo objective.equal_rewards=resample "
      "objective.max_resamples=2", ZERO_ONE | STEPS_REWARD },
    { "rewards of a batch", "", BATCH_REWARD },
    { "filters", "sampling.top_k=3 sampling.top_p=0.9 sampling.temperature=0.8", 0 },
    { "minibatches", "steps_per_generation=2 num_iterations=2 objective.epsilon=0.1", 0 },
    { "minibatches of single prompts", "steps_per_generation=16", 0 },
    { "adopted", "trl objective.importance=token objective.importance_cap=1.5", ADOPT },
    { "adopted, by sequence", "objective.importance=sequence_mask objective.importance_cap=2 "
      "objective.off_policy_mask_threshold=0.1", ADOPT },
    { "a warm-up", "", SFT },
    { "evaluation", "", EVALUATE },
    { "truncated left out", "objective.mask_truncated_completions=1", 0 },
    { "a reference that follows", "ref_model_sync_steps=3 ref_model_mixup_alpha=0.5", 0 },
    { "equal groups skipped", "objective.equal_rewards=skip", ZERO_ONE },
    { "a schedule", "lr_scheduler_type=cosine warmup_steps=3 max_steps=20 weight_decay=0.1 "
      "max_grad_norm=0.1", 0 },
    { "GSPO", "gspo num_iterations=2", 0 },
    { "no KL", "trl", ZERO_ONE },
    { "a small budget", "", BUDGET },
    { "a small budget, exact KL", "objective.kl=full", BUDGET | STEPS_REWARD }
};
enum { SETTINGS = (int)(sizeof settings / sizeof *settings) };

/* How the work is cut: processes, threads, micro_batch_prompts, rollout_batch_prompts. */
typedef struct cut { int size, threads, micro, together, flags; } cut;

static void apply(play *y, const cut *k) {
    y->config.threads = k->threads;
    y->config.micro_batch_prompts = k->micro;
    y->config.rollout_batch_prompts = k->together;
    y->flags |= k->flags;
}

static void test_cuts(const setting *s, int number, int steps) {
    static const int micros[3] = { 0, 1, 3 }, together[3] = { 0, 2, 5 };
    static const int flags[4] = { RESTLESS | MIXED, DIRTY, STAGED | RESTLESS,
                                  STAGED | DIRTY | MIXED };
    play y;
    hub one, many;
    int i;
    memset(&y, 0, sizeof y);
    y.config = config_of(s->words, s->flags);
    y.flags = s->flags;
    y.steps = steps;
    y.script = train;
    y.to = "team_alone";
    play_team(&one, &y, 1);
    CHECK(!one.of[0].code, "%s: %s", s->name, one.of[0].error);
    for (i = 0; i < 4; i++) {
        const cut k = { 1 << i, 1 + (number + i) % 2, micros[(number + i) % 3],
                        together[(number / 3 + i) % 3], flags[(number + i) % 4] };
        play z = y;
        char what[160];
        apply(&z, &k);
        z.to = "team_many";
        remove_folder(z.to);
        snprintf(what, sizeof what, "%s, threads %d, micro-batches of %d, %d sampled together, "
                 "flags %d", s->name, k.threads, k.micro, k.together, k.flags);
        play_team(&many, &z, k.size);
        check_same(&one, &many, what);
        check_same_files("team_alone", "team_many", y.config.lora.rank, what);
        forget(&many);
    }
    forget(&one);
    remove_folder("team_alone");
    remove_folder("team_many");
}

typedef struct draws { uint64_t number, drawn; } draws;
static int draw(draws *d, int n) {
    return (int)(grpo_uniform(18, d->number, d->drawn++, 0, 0) * (float)n);
}

/* Settings drawn at random from each of these lists. */
static void test_random(int number, int steps) {
    static const char *const lists[][6] = {
        { "", "trl objective.beta=0.02", "dapo", "gspo", "gdpo", "objective.advantage=rloo" },
        { "", "", "lora.rank=1 lora.alpha=2", "model.tie_word_embeddings=0",
          "model.tie_word_embeddings=0 model.attention_bias=1", "model.qk_norm=1" },
        { "", "", "sampling.top_k=2", "sampling.top_p=0.8", "sampling.temperature=0.5",
          "sampling.min_p=0.2" },
        { "", "", "objective.kl=k1", "objective.kl_in_reward=1", "objective.kl=full",
          "objective.kl=full objective.kl_in_reward=2" },
        { "", "", "objective.whiten=1", "objective.top_entropy_quantile=0.5",
          "objective.mask_truncated_completions=1", "objective.advantage=batch" },
        { "", "", "num_iterations=2", "steps_per_generation=3", "steps_per_generation=2 "
          "num_iterations=2", "num_iterations=3" },
        { "", "", "objective.entropy_coef=0.02", "objective.loss=cispo",
          "objective.loss=reinforce", "objective.average=constant" },
        { "", "", "objective.equal_rewards=skip", "objective.equal_rewards=resample "
          "objective.max_resamples=2", "objective.equal_rewards=resample objective.max_resamples=1",
          "objective.equal_rewards=keep" },
        { "lanes=8", "lanes=8", "lanes=8", "lanes=16", "lanes=4", "lanes=64" } };
    enum { LISTS = (int)(sizeof lists / sizeof *lists) };
    static const int bits[6] = { TWO_REWARDS, BATCH_REWARD, STEPS_REWARD, ADOPT, EVALUATE, SFT };
    char words[1000] = "", error[GRPO_ERROR_LENGTH];
    play y, z;
    hub one, many;
    cut k;
    grpo_memory needed;
    draws d = { (uint64_t)number, 0 };
    int i, legal = 0;
    while (!legal) {                                          /* some combinations make no sense */
        words[0] = 0;
        for (i = 0; i < LISTS; i++) {
            strcat(words, lists[i][draw(&d, 6)]);
            strcat(words, " ");
        }
        memset(&y, 0, sizeof y);
        for (i = 0; i < 6; i++) y.flags |= draw(&d, 4) ? 0 : bits[i];
        i = draw(&d, 5);
        y.flags |= i == 0 ? ZERO_ONE : i == 1 ? NANS : 0;
        y.config = config_of("", y.flags);
        i = grpo_config_set(&y.config, words, error);
        CHECK(!i, "%s: %s", words, error);
        legal = !grpo_memory_needed(&y.config, &needed);
    }
    y.config.seed = (uint64_t)number + 5;
    y.steps = steps;
    y.script = train;
    z = y;
    do k.size = 1 << draw(&d, 4); while (k.size > y.config.lanes);
    k.threads = 1 + draw(&d, 2);
    k.micro = draw(&d, 5);
    k.together = draw(&d, 5);
    k.flags = draw(&d, 3) ? 0 : BUDGET;
    k.flags |= draw(&d, 2) ? RESTLESS : 0;
    k.flags |= draw(&d, 3) ? 0 : MIXED;
    k.flags |= draw(&d, 3) ? 0 : STAGED;
    k.flags |= draw(&d, 3) ? 0 : DIRTY;
    apply(&z, &k);
    play_team(&one, &y, 1);
    i = (int)strlen(words);
    snprintf(words + i, sizeof words - (size_t)i, "seed=%d: flags %d, threads %d, micro-batches of "
             "%d, %d sampled together", number + 5, z.flags, k.threads, k.micro, k.together);
    CHECK(!one.of[0].code, "%s: %s", words, one.of[0].error);
    play_team(&many, &z, k.size);
    if (!one.of[0].code) check_same(&one, &many, words);
    forget(&one);
    forget(&many);
}

/* ---- a step's parts called one by one: ranges that are not the updates' parts, the batch forward
 * under both models, a reference that is moved, weights that are loaded */
static int by_hand(process *p) {
    grpo *g = p->g;
    grpo_prompt prompts[PROMPTS];
    float now[PROMPTS * GROUP * LENGTH], d[PROMPTS * GROUP * LENGTH];
    const grpo_per_token more = { NULL, d, NULL, NULL };
    grpo_metrics m;
    double norm = 0, loss;
    int code = 0, half;
    for (p->step = 0; p->step < 5 && !code; p->step++) {
        int n = prompts_of(p->play, p->step, prompts);
        size_t bytes;
        code = grpo_rollout(g, prompts, n);
        if (!code) code = grpo_score(g);
        if (!code) code = grpo_advantage(g);
        if (code) break;
        bytes = (size_t)g->batch.offsets[g->batch.num_sequences] * sizeof(float);
        for (half = 0; half < 2 && !code; half++) {
            grpo_sequences s;
            int first = half ? n / 3 : 0, end = half ? n : n / 3;
            if (first == end) continue;
            code = grpo_forward(g, GRPO_POLICY, now, NULL);   /* the whole batch or a minibatch  */
            if (!code) code = grpo_minibatch(g, 0, n);
            if (!code) code = grpo_forward(g, GRPO_POLICY, now, &more);
            if (code) break;
            note(p, "log-probs now", now, bytes);
            note(p, "entropies now", d, bytes);
            s = grpo_batch_sequences(g, now);
            loss = grpo_loss(&g->config.objective, &s, d, NULL, NULL);
            note(p, "loss", &loss, sizeof loss);
            code = grpo_minibatch(g, first, end - first);
            if (!code) code = grpo_backward(g, d, NULL);
            if (!code) code = grpo_optimize(g, 0.01f, &norm);
            note(p, "norm", &norm, sizeof norm);
        }
        if (!code) code = grpo_update(g, &m);
        if (!code && p->step == 2) code = grpo_set_reference(g, 0.3f);
        if (!code) code = grpo_forward(g, GRPO_REFERENCE, now, NULL);
        if (!code && p->step == 3) code = grpo_load(g, "team_loaded");
        m.step_time = 0;
        note(p, "metrics", &m, sizeof m);
        note(p, "reference's log-probs", now, bytes);
        note_models(p, g);
    }
    return code;
}

/* steps_per_generation, by which an update's lanes are cut, is changed after the rollout. */
static int cut_anew(process *p) {
    grpo_prompt prompts[PROMPTS];
    grpo_metrics m;
    int code = 0;
    memset(&m, 0, sizeof m);
    for (p->step = 0; p->step < 3 && !code; p->step++) {
        p->g->config.steps_per_generation = 2;
        code = grpo_rollout(p->g, prompts, prompts_of(p->play, p->step, prompts));
        if (!code) code = grpo_score(p->g);
        if (!code) code = grpo_advantage(p->g);
        p->g->config.steps_per_generation = 1 + 2 * p->step;
        if (!code) code = grpo_update(p->g, &m);
        m.step_time = 0;
        note(p, "metrics", &m, sizeof m);
        note_models(p, p->g);
    }
    return code;
}

static void test_scripts(const char *what, int (*script)(process *), const char *words, int flags) {
    play y;
    hub one, many;
    int size;
    memset(&y, 0, sizeof y);
    y.config = config_of(words, flags);
    y.config.seed = 77;
    y.flags = flags;
    y.script = save_step;
    y.to = "team_loaded";
    play_team(&one, &y, 1);
    CHECK(!one.of[0].code, "%s: %s", what, one.of[0].error);
    forget(&one);
    y.config.seed = 1;
    y.script = script;
    y.to = NULL;
    play_team(&one, &y, 1);
    CHECK(!one.of[0].code, "%s: step %d: %s", what, one.of[0].step, one.of[0].error);
    for (size = 2; size <= 8; size *= 2) {
        play_team(&many, &y, size);
        if (!one.of[0].code) check_same(&one, &many, what);
        forget(&many);
    }
    forget(&one);
    remove_folder("team_loaded");
}

/* ------------------------------------------------------------------- b. as it was before */

/* One lane is what there was before there were lanes: weights after five steps, hashed by the
 * commit before (3f95178), of x86's vector units with and without fused multiply-add. Whoever
 * changes the arithmetic on purpose writes what is printed here. */
static void test_before(void) {
    static const char *const words[4] = { "", "lora.rank=2 lora.alpha=4",
        "steps_per_generation=2 num_iterations=2 model.tie_word_embeddings=0 model.qk_norm=1 "
        "model.attention_bias=1 weight_decay=0.01",
        "gspo sampling.top_k=3 objective.kl=full objective.beta=0.1 objective.entropy_coef=0.02 "
        "sampling.temperature=0.8" };
    static const uint64_t was[2][4] = {
        { UINT64_C(0x2985a413b0e7db05), UINT64_C(0x999326d4504f16a4), UINT64_C(0xb9a0b828c6471890),
          UINT64_C(0x558172aa9261cd6e) },
        { UINT64_C(0x2647dce96f1251f1), UINT64_C(0x124610a86ab82dd5), UINT64_C(0x31232fcb717fbb1b),
          UINT64_C(0x1acc517153a4f911) } };
#ifdef GRPO__X86
    int i, fused, step;
    size_t j;
    for (fused = 0; fused < 2; fused++)
        for (i = 0; i < 4; i++) {
            grpo_config c = config_of(words[i], 0);
            grpo__kernel kernel = grpo__choose_kernel(fused ? 16 : 8);
            uint64_t hash = UINT64_C(14695981039346656037);   /* FNV-1a                          */
            play y;
            float *weights;
            grpo *g;
            int code = 0;
            memset(&y, 0, sizeof y);
            y.flags = ALL_PROMPTS;
            c.lanes = 1;
            if (fused && kernel.rows[0] <= 4) {
                printf("skipped: this processor has no fused multiply-add\n");
                return;
            }
            g = grpo_new(&c);
            CHECK(g != NULL, "%s", c.error);
            if (!g) return;
            ((grpo__cpu *)g->machinery->context)->kernel = kernel;
            grpo__weights_changed(g, GRPO_POLICY);
            if (g->machinery->reference) grpo__weights_changed(g, GRPO_REFERENCE);
            for (step = 0; step < 5 && !code; step++) {
                grpo_prompt prompts[PROMPTS];
                code = grpo_step(g, prompts, prompts_of(&y, step, prompts), NULL);
            }
            CHECK(!code, "%s", grpo_error(g));
            weights = download(g, g->machinery->trained, g->num_trained);
            for (j = 0; j < g->num_trained * sizeof(float); j++)
                hash = (hash ^ ((unsigned char *)weights)[j]) * UINT64_C(1099511628211);
            CHECK(hash == was[fused][i], "\"%s\", fused %d: weights are not as before lanes; hash "
                  "0x%08lx%08lx", words[i], fused, (unsigned long)(hash >> 32),
                  (unsigned long)(hash & 0xffffffffu));
            free(weights);
            grpo_free(g);
        }
#else
    (void)words;
    (void)was;
    printf("skipped: what weights were before lanes is known of x86's vector units\n");
#endif
}

/* ------------------------------------------------------- e. what fails, and how it is said */

/* One step in peace; then what act does, which fails; is all as before? Then another step. */
static int disturbed(process *p) {
    const struct grpo__machinery *w;
    float *weights, *m, *v;
    int code = one_step(p, NULL);
    if (code) return code;
    w = p->g->machinery;
    weights = download(p->g, w->trained, p->g->num_trained);
    m = download(p->g, w->adam_m, OWN_SHARE(p->g));
    v = download(p->g, w->adam_v, OWN_SHARE(p->g));
    p->step = 1;
    p->calm = p->exchanges;
    p->disturbed = p->play->act(p);
    snprintf(p->error, sizeof p->error, "%s", grpo_error(p->g));
    p->weights = download(p->g, w->trained, p->g->num_trained);
    p->kept = same_numbers(p->g, w->trained, weights, p->g->num_trained);
    if (!p->play->how) p->kept = p->kept
           && same_numbers(p->g, w->adam_m, m, OWN_SHARE(p->g))
           && same_numbers(p->g, w->adam_v, v, OWN_SHARE(p->g));
    free(weights); free(m); free(v);
    p->step = 2;
    p->used = 0;
    p->again = one_step(p, NULL);
    snprintf(p->after, sizeof p->after, "%s", grpo_error(p->g));
    if (!p->again) note_models(p, p->g);
    if (p->again && p->play->how) p->saved = grpo_save(p->g, "team_failed", GRPO_SAVE_STATE);
    return 0;
}

static int two_steps(process *p) {
    int code = one_step(p, NULL);
    p->step = 1;
    if (!code) code = just_step(p);
    p->weights = download(p->g, p->g->machinery->trained, p->g->num_trained);
    return code;
}

/* Every exchange of a step fails in turn, in one process, in each of three ways. Every process gets
 * an error in words, its weights are as before the update, and when asked again, or to save, it
 * says at once that the team is broken. The last exchanges of a step, log2 P, agree that all have
 * the new weights, and no message can tell that it was heard: where these fail, and only there, a
 * process that has heard all of them is done, GRPO_OK with the new weights, and hears of it in its
 * next call. */
static void test_exchanges(int size, int one_in) {
    static const char *const ways[4] = { "", "fails on both sides", "ends the process",
                                         "fails on one side" };
    play y;
    hub calm, whole, h;
    int victim, how, k, i, levels, cases = 0, done = 0;
    size_t bytes;
    memset(&y, 0, sizeof y);
    y.config = config_of("", TWO_REWARDS);
    y.flags = TWO_REWARDS;
    y.script = disturbed;
    y.act = just_step;
    for (levels = 0; 1 << levels < size; levels++) continue;
    remove_folder("team_failed");
    play_team(&calm, &y, size);
    y.script = two_steps;
    play_team(&whole, &y, size);
    for (i = 0; i < size; i++)
        CHECK(!calm.of[i].code && !calm.of[i].disturbed && !calm.of[i].again && !calm.of[i].kept
              && !whole.of[i].code, "process %d: %s", i, calm.of[i].error);
    bytes = whole.of[0].g->num_trained * sizeof(float);
    y.script = disturbed;
    for (victim = 0; victim < size; victim += one_in)
        for (how = BREAK; how <= DEAF; how++)
            for (k = calm.of[victim].calm + 1; k <= whole.of[victim].exchanges; k++, cases++) {
                int late = k > whole.of[victim].exchanges - levels;
                y.victim = victim;
                y.how = how;
                y.fail_at = k;
                play_team(&h, &y, size);
                for (i = 0; i < size; i++) {
                    const process *p = &h.of[i];
                    int new_ones = !memcmp(p->weights, whole.of[0].weights, bytes);
                    done += !p->disturbed;
                    CHECK(p->disturbed ? strlen(p->error) > 10 && p->kept : late && new_ones,
                          "exchange %d of %d to %d of process %d of %d %s: process %d: code %d, "
                          "weights %s: \"%s\"", k, calm.of[victim].calm + 1,
                          whole.of[victim].exchanges, victim, size, ways[how], i, p->disturbed,
                          p->kept ? "kept" : new_ones ? "new" : "of neither", p->error);
                    CHECK(p->again < 0 && p->saved < 0 && strlen(p->after) > 10, "exchange %d of "
                          "process %d of %d %s: then process %d: code %d, \"%s\", grpo_save %d", k,
                          victim, size, ways[how], i, p->again, p->after, p->saved);
                }
                forget(&h);
            }
    forget(&calm);
    forget(&whole);
    CHECK(remove("team_failed/trainer_state.safetensors"), "a broken team has saved");
    printf("%d processes: %d failing exchanges; of %d answers %d were GRPO_OK, by processes that "
           "had heard all\n", size, cases, cases * size, done);
}

/* ---- one process fails by itself, or does another thing than the others */
static int failing_batch(const grpo_sample *s, int n, float *rewards, void *user) {
    const process *p = (const process *)user;
    letters_batch(s, n, rewards, NULL);
    return p->step == 1 && p->rank == p->play->victim;
}
static int failing_steps(const grpo_sample *s, int *ends, float *rewards, int capacity,
                         void *user) {
    const process *p = (const process *)user;
    if (p->step == 1 && p->rank == p->play->victim) return -1;
    return letters_steps(s, ends, rewards, capacity, NULL);
}

/* NaN in what one process reads, which none of the others can see. */
static int nan_weights(process *p) {
    const struct grpo__machinery *w = p->g->machinery;
    size_t n = (size_t)(w->shape.V * w->shape.H), i;
    float *was, *now;
    int code;
    if (p->rank != p->play->victim) return just_step(p);
    was = download(p->g, w->models[0].embedding, n);
    now = download(p->g, w->models[0].embedding, n);
    for (i = 0; i < n; i++) now[i] = NAN;
    w->backend->upload(w->context, w->models[0].embedding, now, n * sizeof(float));
    code = just_step(p);
    w->backend->upload(w->context, w->models[0].embedding, was, n * sizeof(float));
    free(was); free(now);
    return code;
}

static int nan_advantages(process *p) {
    grpo_prompt prompts[PROMPTS];
    int n = prompts_of(p->play, p->step, prompts), t, code = grpo_rollout(p->g, prompts, n);
    if (!code) code = grpo_score(p->g);
    if (!code) code = grpo_advantage(p->g);
    for (t = 0; !code && t < p->g->batch.offsets[n * GROUP]; t++)
        if (p->rank == p->play->victim) p->g->batch.advantages[t] = NAN;
    return code ? code : grpo_update(p->g, NULL);
}

static int infinite_gradient(process *p) {
    grpo_prompt prompts[PROMPTS];
    float d[PROMPTS * GROUP * LENGTH];
    int n = prompts_of(p->play, p->step, prompts), t, code = grpo_rollout(p->g, prompts, n);
    for (t = 0; t < PROMPTS * GROUP * LENGTH; t++)
        d[t] = p->rank == p->play->victim ? (float)INFINITY : 0.1f;
    if (!code) code = grpo_backward(p->g, d, NULL);
    return code ? code : grpo_optimize(p->g, 0.1f, NULL);
}

/* Other prompts than the others'; or numbers of the config that may change, but not in one
 * alone. */
enum { OTHER_TEXT, FEWER_PROMPTS, OTHER_ORDER, WRONG_TEXT, NO_PROMPTS, NULL_PROMPTS,
       OTHER_RATE, OTHER_SEED, OTHER_CLIPPING, OTHER_TEMPERATURE, OTHER_ITERATIONS, OTHER_WEIGHT,
       DIFFERENCES };
static int other_prompts(process *p) {
    grpo_prompt prompts[PROMPTS];
    grpo_config was = p->g->config, *c = &p->g->config;
    int n = prompts_of(p->play, p->step, prompts), code;
    if (p->rank == p->play->victim) switch (p->play->mood) {
    case OTHER_TEXT: prompts[7].text = "dad"; break;
    case FEWER_PROMPTS: n--; break;
    case OTHER_ORDER: prompts[0].text = "d"; prompts[2].text = "bc"; break;
    case WRONG_TEXT: prompts[1].text = "xyz"; break;
    case NO_PROMPTS: n = 0; break;
    case OTHER_RATE: c->learning_rate *= 2; break;
    case OTHER_SEED: c->seed++; break;
    case OTHER_CLIPPING: c->max_grad_norm = 0.01f; break;
    case OTHER_TEMPERATURE: c->sampling.temperature = 0.5f; break;
    case OTHER_ITERATIONS: c->num_iterations = 2; break;
    case OTHER_WEIGHT: c->rewards[0].weight = 2; break;
    default: break;
    }
    code = grpo_step(p->g, p->rank == p->play->victim && p->play->mood == NULL_PROMPTS ? NULL
                     : prompts, n, NULL);
    was.error[0] = 0;
    memcpy(was.error, p->g->config.error, sizeof was.error);
    p->g->config = was;
    return code;
}

/* One process calls another function than the others, which step. */
enum { EVALUATES, WISHES, SAVES, SUPERVISES, UPDATES, RESUMES, ADOPTS, CALLS };
static int another_call(process *p) {
    grpo_prompt prompts[PROMPTS];
    grpo_completion completions[PROMPTS * GROUP];
    grpo_evaluation e;
    int n = prompts_of(p->play, p->step, prompts), i;
    if (p->rank != p->play->victim) return just_step(p);
    memset(completions, 0, sizeof completions);
    for (i = 0; i < n * GROUP; i++) completions[i].text = "ab";
    switch (p->play->mood) {
    case EVALUATES: return grpo_evaluate(p->g, prompts, n, 0, 0, &e);
    case WISHES: return grpo_team_any(p->g, 1);
    case SAVES: return grpo_save(p->g, "team_failed", GRPO_SAVE_STATE);
    case SUPERVISES: return grpo_sft(p->g, prompts, n, 0.01f, NULL);
    case UPDATES: return grpo_update(p->g, NULL);
    case RESUMES: return grpo_resume(p->g, "team_alone");
    default: return grpo_adopt(p->g, prompts, n, completions);
    }
}

/* Files: what cannot be read in one process, or written by process 0, which writes for all. */
enum { NOT_RESUMED, NOT_LOADED, NOT_SAVED, FILES };
static int failing_file(process *p) {
    const char *folder = p->rank == p->play->victim ? "team_of_nobody" : "team_alone";
    if (p->play->mood == NOT_RESUMED) return grpo_resume(p->g, folder);
    if (p->play->mood == NOT_LOADED) return grpo_load(p->g, folder);
    return grpo_save(p->g, "test_team.c/none/at/all", 0);
}

static int verbose;

/* Is process i spoken of? */
static int names(const char *text, int i) {
    char words[3][32];
    int j, found = 0;
    snprintf(words[0], sizeof words[0], "process %d", i);
    for (j = 0; j < MOST; j++) {
        snprintf(words[1], sizeof words[1], "processes %d and %d", i, j);
        snprintf(words[2], sizeof words[2], "processes %d and %d", j, i);
        found |= strstr(text, words[1]) || strstr(text, words[2]);
    }
    return found || strstr(text, words[0]) != NULL;
}

/* act fails in one process: all hear of it, keep their numbers and go on together. */
static void test_act(const char *what, int (*act)(process *), int mood, int flags, int victim,
                     int size) {
    /* sums that all have */
    const int common = act == nan_advantages || act == infinite_gradient;
    play y;
    hub h;
    char words[200];
    int i;
    memset(&y, 0, sizeof y);
    y.config = config_of("", flags & ~(BATCH_REWARD | STEPS_REWARD));
    if (flags & BATCH_REWARD) {
        grpo_add_reward(&y.config, "failing", NULL, 1, NULL);
        y.config.rewards[y.config.num_rewards - 1].batch = failing_batch;
    }
    if (flags & STEPS_REWARD) {
        grpo_add_reward(&y.config, "failing", NULL, 1, NULL);
        y.config.rewards[y.config.num_rewards - 1].steps = failing_steps;
    }
    y.flags = flags | ALL_PROMPTS;
    y.script = disturbed;
    y.act = act;
    y.mood = mood;
    y.victim = victim;
    play_team(&h, &y, size);
    for (i = 0; i < size; i++) {
        const process *p = &h.of[i];
        if (verbose) printf("%s, process %d of %d: %d, \"%s\"\n", what, i, size, p->disturbed,
                            p->error);
        CHECK(!p->code && p->disturbed < 0 && strlen(p->error) > 10 && p->kept,
              "%s: process %d of %d: code %d, weights %s: \"%s\"", what, i, size, p->disturbed,
              p->kept ? "kept" : "changed", p->error);
        CHECK(i == victim || common || names(p->error, victim), "%s: process %d does "
              "not name process %d: \"%s\"", what, i, victim, p->error);
        CHECK(!p->again, "%s: afterwards process %d of %d: \"%s\"", what, i, size, p->after);
        CHECK(!first_difference(&h.of[0], p, 0, words, sizeof words)[0],
              "%s: afterwards process %d of %d differs at %s", what, i, size, words);
    }
    forget(&h);
}

static void test_acts(void) {
    static const char *const differences[DIFFERENCES] = { "another text", "fewer prompts",
        "another order", "a text that is not encoded", "no prompts", "prompts NULL",
        "another rate", "another seed", "another max_grad_norm", "another temperature",
        "another num_iterations", "another weight of a reward" };
    static const char *const calls[CALLS] = { "grpo_evaluate", "grpo_team_any", "grpo_save",
        "grpo_sft", "grpo_update", "grpo_resume", "grpo_adopt" };
    static const char *const actions[FILES] = { "resume", "load", "save" };
    int size, victim, i;
    play y;
    hub h;
    memset(&y, 0, sizeof y);
    y.config = config_of("", 0);
    y.script = save_step;
    y.to = "team_alone";
    play_team(&h, &y, 1);
    CHECK(!h.of[0].code, "%s", h.of[0].error);
    forget(&h);
    for (size = 2; size <= 8; size *= 2)
        for (victim = 0; victim < size; victim += size / 2) {
            test_act("a batch reward fails", just_step, 0, BATCH_REWARD, victim, size);
            test_act("a reward of steps fails", just_step, 0, STEPS_REWARD, victim, size);
            test_act("NaN weights", nan_weights, 0, 0, victim, size);
            test_act("NaN advantages", nan_advantages, 0, 0, victim, size);
            test_act("an infinite gradient", infinite_gradient, 0, 0, victim, size);
            for (i = 0; i < DIFFERENCES; i++)
                test_act(differences[i], other_prompts, i, 0, victim, size);
            for (i = 0; i < CALLS; i++)
                test_act(calls[i], another_call, i, 0, victim, size);
            for (i = 0; i < FILES; i++)
                if (i != NOT_SAVED || !victim)
                    test_act(actions[i], failing_file, i, 0, victim, size);
        }
    remove_folder("team_alone");
}

/* ---- configs and weights that differ are refused at the start */
enum { LANES_DIFFER, HIDDEN, VOCABULARY, SEED, BETA, RATE, EOS, PROMPTS_DIFFER, GENERATIONS,
       REWARD_NAME, REWARD_WEIGHT, REWARD_COUNT, REWARD_KIND, LORA, OBJECTIVE, TIED, ADAM,
       LENGTHS, CONFIGS };
static void differ(process *p, grpo_config *c) {
    if (p->rank != p->play->victim) return;
    switch (p->play->mood) {
    case LANES_DIFFER: c->lanes = 16; break;
    case HIDDEN: c->model.intermediate_size = 16; break;
    case VOCABULARY: c->vocabulary = "abced"; break;
    case SEED: c->seed = 2; break;
    case BETA: c->objective.beta = 0.06f; break;
    case RATE: c->learning_rate = 0.02f; break;
    case EOS: c->eos_token_id = 0; break;
    case PROMPTS_DIFFER: c->num_prompts = 12; break;
    case GENERATIONS: c->num_generations = 4; break;
    case REWARD_NAME: strcpy(c->rewards[0].name, "others"); break;
    case REWARD_WEIGHT: c->rewards[0].weight = 0.7f; break;
    case REWARD_COUNT: grpo_add_reward(c, "more", letters, 1, NULL); break;
    case REWARD_KIND:
        c->rewards[0].function = NULL;
        c->rewards[0].batch = letters_batch;
        break;
    case LORA: c->lora.rank = 1; break;
    case OBJECTIVE: c->objective.advantage = GRPO_ADVANTAGE_MEAN; break;
    case TIED: c->model.tie_word_embeddings = 0; break;
    case ADAM: c->adam_beta2 = 0.99f; break;
    default: c->max_completion_length = LENGTH + 1; break;
    }
}

static int other_weights(process *p) {
    const struct grpo__machinery *w = p->g->machinery;
    float x;
    if (p->rank == p->play->victim) {
        w->backend->download(w->context, &x, w->trained + 5, sizeof x);
        x = -x;
        w->backend->upload(w->context, w->trained + 5, &x, sizeof x);
        grpo__weights_changed(p->g, GRPO_POLICY);
    }
    return just_step(p);
}

static int other_reference(process *p) {
    int code = just_step(p);
    if (!code && p->rank == p->play->victim) code = grpo_set_reference(p->g, 0.5f);
    return code ? code : just_step(p);
}

static void test_configs_differ(void) {
    static const char *const words[CONFIGS + 2] = { "lanes", "intermediate_size", "vocabulary",
        "seed", "beta", "learning_rate", "eos_token_id", "num_prompts", "num_generations",
        "names", "weights", "num_rewards", "kinds", "lora.rank", "advantage", "tie_word_embeddings",
        "adam_beta2", "max_completion_length", "weights", "weights" };
    play y;
    hub h;
    int i, size, victim, j;
    for (size = 2; size <= 8; size *= 2)
        for (victim = 0; victim < size; victim += size - 1)
            for (i = 0; i < CONFIGS + 2; i++) {
                memset(&y, 0, sizeof y);
                y.config = config_of("", 0);
                y.script = i < CONFIGS ? just_step
                         : i == CONFIGS ? other_weights : other_reference;
                y.spoil = i < CONFIGS ? differ : NULL;
                y.mood = i;
                y.victim = victim;
                play_team(&h, &y, size);
                for (j = 0; j < size; j++) {
                    if (verbose) printf("%s, process %d of %d: \"%s\"\n", words[i], j, size,
                                        h.of[j].error);
                    CHECK(h.of[j].code < 0 && strstr(h.of[j].error, words[i]), "process %d differs "
                          "in %s: process %d of %d: code %d, \"%s\"", victim, words[i], j, size,
                          h.of[j].code, h.of[j].error);
                }
                forget(&h);
            }
}

/* ---- teams that make no sense */
static int nobody(void *user, int peer, const void *send, void *receive, size_t bytes) {
    (void)user; (void)peer; (void)send; (void)receive; (void)bytes;
    return -1;
}

static void test_no_team(void) {
    static const struct { int lanes, rank, size, hook; const char *words; } wrong[] = {
        { 8, 0, 3, 1, "power of two" }, { 8, 0, 6, 1, "power of two" }, { 8, 0, 16, 1, "lanes" },
        { 1, 0, 2, 1, "lanes" }, { 8, 4, 4, 1, "rank" }, { 8, -1, 4, 1, "rank" },
        { 8, 0, -2, 1, "power of two" }, { 3, 0, 0, 0, "lanes" }, { 0, 0, 0, 0, "lanes" },
        { 2048, 0, 0, 0, "lanes" }, { 8, 0, 4, 0, "exchange" } };
    size_t i;
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        grpo_config c = config_of("", 0);
        grpo_memory needed;
        grpo *g;
        c.lanes = wrong[i].lanes;
        c.team.rank = wrong[i].rank;
        c.team.size = wrong[i].size;
        c.team.exchange = wrong[i].hook ? nobody : NULL;
        g = grpo_new(&c);
        if (verbose) printf("%d lanes, rank %d, size %d: \"%s\"\n", c.lanes, c.team.rank,
                            c.team.size, c.error);
        CHECK(!g && strstr(c.error, wrong[i].words), "%d lanes, rank %d, size %d: \"%s\"", c.lanes,
              c.team.rank, c.team.size, c.error);
        grpo_free(g);
        c.error[0] = 0;
        if (!strcmp(wrong[i].words, "exchange")) {            /* memory does not depend on it    */
            CHECK(!grpo_memory_needed(&c, &needed), "%s", c.error);
            continue;
        }
        CHECK(grpo_memory_needed(&c, &needed) == GRPO_BAD_INPUT && c.error[0],
              "%d lanes, rank %d, size %d pass grpo_memory_needed()", c.lanes, c.team.rank,
              c.team.size);
    }
}

/* ---- what a step tells: one file for all, and on_step in each process */
static void count_step(const grpo_metrics *m, void *user) { (void)m; ++*(int *)user; }

static int told_steps[MOST];
static void tell(process *p, grpo_config *c) {
    c->on_step = count_step;
    c->user = &told_steps[p->rank];
    c->metrics_path = "team_metrics.jsonl";
}

static int three_steps(process *p) {
    int code = 0;
    for (p->step = 0; p->step < 3 && !code; p->step++) code = just_step(p);
    return code;
}

static void test_told(void) {
    play y;
    hub h;
    char *text;
    size_t n, i, lines = 0;
    memset(&y, 0, sizeof y);
    memset(told_steps, 0, sizeof told_steps);
    y.config = config_of("", 0);
    y.script = three_steps;
    y.spoil = tell;
    remove("team_metrics.jsonl");
    play_team(&h, &y, 4);
    for (i = 0; i < 4; i++)
        CHECK(!h.of[i].code && told_steps[i] == 3, "process %d: on_step %d times: %s", (int)i,
              told_steps[i], h.of[i].error);
    text = read_file(".", "team_metrics.jsonl", &n);
    for (i = 0; text && i < n; i++) lines += text[i] == '\n';
    CHECK(lines == 3, "three steps of four processes: %d lines", (int)lines);
    free(text);
    forget(&h);
    remove("team_metrics.jsonl");
}

/* ---- stopping together */
static int wish(process *p) {
    int victim = p->play->victim, none, one, all;
    none = grpo_team_any(p->g, 0);
    one = grpo_team_any(p->g, p->rank == victim ? -7 : 0);
    all = grpo_team_any(p->g, 3);
    snprintf(p->error, sizeof p->error, "none %d, one %d, all %d", none, one, all);
    return none == 0 && one == 1 && all == 1 ? 0 : -1;
}

static void test_wishes(void) {
    play y;
    hub h;
    int size, i;
    memset(&y, 0, sizeof y);
    y.config = config_of("", 0);
    y.script = wish;
    for (size = 1; size <= 8; size *= 2)
        for (y.victim = 0; y.victim < size; y.victim++) {
            play_team(&h, &y, size);
            for (i = 0; i < size; i++)
                CHECK(!h.of[i].code, "process %d of %d, %d wishes: %s", i, size, y.victim,
                      h.of[i].error);
            forget(&h);
        }
}

/* ------------------------------------------------------------------------------ d. resumed */

/* Saved by so many and gone on with by so many: the bytes of a run that never stopped. */
static void test_resumed(void) {
    static const char *const words[4] = { "", "lora.rank=2 lora.alpha=4 objective.beta=0.1",
        ("num_iterations=2 objective.kl_target=0.02 objective.kl_horizon=200 "
         "objective.entropy_coef=0.02 objective.entropy_target=1 objective.entropy_step=0.01"),
        "model.tie_word_embeddings=0 model.attention_bias=1 ref_model_sync_steps=2" };
    static const int sizes[][2] = { { 4, 1 }, { 4, 2 }, { 4, 8 }, { 1, 4 }, { 2, 4 }, { 8, 8 } };
    play y, first, second;
    hub through, h;
    char what[300];
    size_t i, k;
    for (i = 0; i < 4; i++) {
        memset(&y, 0, sizeof y);
        y.config = config_of(words[i], 0);
        y.flags = SFT;
        y.steps = 7;
        y.script = train;
        y.to = "team_alone";
        first = second = y;
        first.steps = second.first = 4;
        first.to = second.from = "team_half";
        second.to = "team_many";
        second.flags = 0;
        if (!y.config.lora.rank) second.config.seed = 99;     /* the file's wins                 */
        play_team(&through, &y, 1);
        CHECK(!through.of[0].code, "%s", through.of[0].error);
        for (k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            snprintf(what, sizeof what, "\"%s\", saved by %d, resumed by %d", words[i],
                     sizes[k][0], sizes[k][1]);
            remove_folder("team_half");
            remove_folder("team_many");
            play_team(&h, &first, sizes[k][0]);
            CHECK(!h.of[0].code, "%s: %s", what, h.of[0].error);
            forget(&h);
            play_team(&h, &second, sizes[k][1]);
            check_same(&through, &h, what);
            check_same_files("team_alone", "team_many", y.config.lora.rank, what);
            forget(&h);
        }
        forget(&through);
    }
    remove_folder("team_alone");
    remove_folder("team_half");
    remove_folder("team_many");
}

/* ---------------------------------------------------------------------------- c. the tree */

/* With beta1 0 the first moment after one update is the gradient. */
static grpo *after_one_update(grpo_config c, int lanes, int n) {
    grpo_prompt prompts[PROMPTS];
    play y;
    grpo *g;
    memset(&y, 0, sizeof y);
    c.lanes = lanes;
    c.adam_beta1 = 0;
    c.max_grad_norm = 0;
    g = grpo_new(&c);
    CHECK(g != NULL, "%s", c.error);
    if (!g) return NULL;
    prompts_of(&y, 0, prompts);
    CHECK(!grpo_step(g, prompts, n, NULL), "%s", grpo_error(g));
    return g;
}

/* The gradient, by the public functions, of some of the prompts; sizes: of the sum of sizes of each
 * token's gradient. The embedding's part, where the head is tied, is kept apart. */
static void add_part(grpo *g, const float *d, int first, int n, float *sum, int sizes) {
    const struct grpo__machinery *w = g->machinery;
    size_t i, VH = (size_t)(w->shape.V * w->shape.H);
    float *x, *more = NULL;
    if (!n) return;
    CHECK(!grpo_minibatch(g, first, n) && !grpo_backward(g, d, NULL), "%s", grpo_error(g));
    x = download(g, w->gradient, g->num_trained);
    if (w->dembed) more = download(g, w->dembed, VH);
    for (i = 0; more && i < VH; i++) x[i] += more[i];
    for (i = 0; i < g->num_trained; i++) sum[i] += sizes ? fabsf(x[i]) : x[i];
    grpo__clear_gradient(g);
    free(x);
    free(more);
}

static void test_tree(const char *words, int n) {
    enum { TOKENS = PROMPTS * GROUP * LENGTH };
    grpo_config c = config_of(words, 0);
    grpo *one = after_one_update(c, 1, n), *parts;
    grpo_prompt prompts[PROMPTS];
    float d[TOKENS], alone[TOKENS], *sum[64], *sizes, *plain;
    grpo_sequences s;
    play y;
    size_t i, N;
    int lanes, j, step, t, rows;
    memset(&y, 0, sizeof y);
    c.lanes = 1;
    parts = grpo_new(&c);
    CHECK(parts != NULL, "%s", c.error);
    if (!one || !parts) return;
    N = one->num_trained;
    prompts_of(&y, 0, prompts);
    CHECK(!grpo_rollout(parts, prompts, n) && !grpo_score(parts) && !grpo_advantage(parts), "%s",
          grpo_error(parts));
    s = grpo_batch_sequences(parts, parts->batch.logprobs);
    grpo_loss(&parts->config.objective, &s, d, NULL, NULL);
    plain = download(one, one->machinery->adam_m, N);
    /* Each element of the gradient is a sum over rows; its order changes it by at most 2 rows 2^-24
     * times the sum of sizes (Higham 2002, 4.4), here taken of each token's gradient. */
    sizes = (float *)calloc(N, sizeof(float));
    memset(alone, 0, sizeof alone);
    rows = parts->batch.prompt_offsets[n] + parts->batch.offsets[n * GROUP];
    for (t = 0; t < parts->batch.offsets[n * GROUP]; t++) {
        alone[t] = d[t];
        add_part(parts, alone, 0, n, sizes, 1);
        alone[t] = 0;
    }
    for (lanes = 2; lanes <= 64; lanes *= 2) {
        grpo *tree = after_one_update(c, lanes, n);
        double off = 0, limit = 0;
        float *got;
        int bad = 0;
        if (!tree) return;
        got = download(tree, tree->machinery->adam_m, N);
        for (j = 0; j < lanes; j++) {
            sum[j] = (float *)calloc(N, sizeof(float));
            add_part(parts, d, n * j / lanes, n * (j + 1) / lanes - n * j / lanes, sum[j], 0);
        }
        for (step = 1; step < lanes; step *= 2)               /* neighbours first                */
            for (j = 0; j < lanes; j += 2 * step)
                for (i = 0; i < N; i++) sum[j][i] += sum[j + step][i];
        for (i = 0; i < N; i++) {
            bad += got[i] < sum[0][i] || got[i] > sum[0][i];
            off += pow((double)got[i] - (double)plain[i], 2);
            limit += pow((double)sizes[i] * 2 * rows / 16777216, 2);
        }
        CHECK(!bad, "\"%s\", %d prompts in %d lanes: %d of %d numbers of the gradient are not the "
              "tree's", words, n, lanes, bad, (int)N);
        CHECK(off <= limit, "\"%s\", %d prompts in %d lanes: the gradient is %g from the plain "
              "sum; rounding explains %g", words, n, lanes, sqrt(off), sqrt(limit));
        for (j = 0; j < lanes; j++) free(sum[j]);
        free(got);
        grpo_free(tree);
    }
    free(plain); free(sizes);
    grpo_free(one); grpo_free(parts);
}

/* What an update's metrics say does not depend on lanes, but for the last digits of sums: of tokens
 * whose ratio is off, as if another policy had drawn them, and whose log-probs are from
 * elsewhere. */
static void test_metrics(const char *words, int adopted) {
    enum { TOKENS = PROMPTS * GROUP * LENGTH };
    grpo_metrics m[2];
    int lanes, i, k, t;
    memset(m, 0, sizeof m);
    for (lanes = 1; lanes <= 64; lanes *= 2) {
        grpo_config c = config_of(words, 0);
        grpo_prompt prompts[PROMPTS];
        play y;
        process p;
        int code;
        memset(&y, 0, sizeof y);
        memset(&p, 0, sizeof p);
        p.play = &y;
        c.lanes = lanes;
        c.rollout_batch_prompts = 2;                          /* nothing is stored: log-probs are */
        p.g = grpo_new(&c);                                   /*     computed again              */
        CHECK(p.g != NULL, "%s", c.error);
        if (!p.g) return;
        prompts_of(&y, 0, prompts);
        code = adopted ? adopt_only(&p, prompts, PROMPTS) : grpo_rollout(p.g, prompts, PROMPTS);
        if (!code) code = grpo_score(p.g);
        if (!code) code = grpo_advantage(p.g);
        for (t = 0; !code && t < p.g->batch.offsets[PROMPTS * GROUP]; t++)
            p.g->batch.logprobs[t] += 0.4f * (float)(t % 7 - 3) / 3;
        if (!code) code = grpo_update(p.g, &m[lanes > 1]);
        CHECK(!code, "%s", grpo_error(p.g));
        if (lanes == 1) CHECK(m[0].ratio_max > 1.3 && m[0].clip_ratio_region_mean > 0.1,
                              "ratio %g, clipped %g", m[0].ratio_max, m[0].clip_ratio_region_mean);
        for (i = 0; i < GRPO__METRICS && lanes > 1; i++) {
            const grpo__metric *what = &grpo__metrics[i];
            double a, b;
            int number[2];
            for (k = 0; k < 2 && what->how == GRPO__WHOLE; k++)
                memcpy(&number[k], (char *)&m[k] + what->at, sizeof(int));
            if (what->how == GRPO__WHOLE)
                CHECK(number[0] == number[1], "\"%s\", %d lanes: %s is %d, of one lane %d", words,
                      lanes, what->name, number[1], number[0]);
            if (what->how == GRPO__WHOLE || !strcmp(what->name, "step_time")
                || !strcmp(what->name, "grad_norm")) continue;                /* the tree's test */
            memcpy(&a, (char *)&m[0] + what->at, sizeof a);
            memcpy(&b, (char *)&m[1] + what->at, sizeof b);
            /* a sum of at most TOKENS doubles below 10, in another order */
            CHECK(fabs(a - b) <= 2.0 * TOKENS * TOKENS * 10 * 1.2e-16, "\"%s\", %d lanes: %s is "
                  "%.17g, of one lane %.17g", words, lanes, what->name, b, a);
        }
        grpo_free(p.g);
    }
}

/* ------------------------------------------------------------------------- f. what is sent */

/* Of a gradient of n numbers, in `lanes` pieces of as many, on P processes: grpo_optimize() sends
 * half, a quarter ... of it and gets the sum of its share, then the share, twice that ... of new
 * weights: 2 (1 - 1 / P) 4 n bytes; a sum of squares of each piece of another's share; and two
 * agreements, of log2 P notices: that all call it, and that all have the new weights. */
static int optimize_alone(process *p) {
    grpo_prompt prompts[PROMPTS];
    float d[PROMPTS * GROUP * LENGTH];
    int t, n = prompts_of(p->play, 0, prompts), code = grpo_rollout(p->g, prompts, n);
    for (t = 0; t < PROMPTS * GROUP * LENGTH; t++) d[t] = 0.1f * (float)(t % 5);
    if (!code) code = grpo_backward(p->g, d, NULL);
    p->sent = 0;
    return code ? code : grpo_optimize(p->g, 0.1f, NULL);
}

/* A whole update: also each lane's sums of the loss, after a third agreement. */
static int update_alone(process *p) {
    grpo_prompt prompts[PROMPTS];
    int n = prompts_of(p->play, 0, prompts), code = grpo_rollout(p->g, prompts, n);
    if (!code) code = grpo_score(p->g);
    if (!code) code = grpo_advantage(p->g);
    p->sent = 0;
    return code ? code : grpo_update(p->g, NULL);
}

static void test_bytes(void) {
    play y;
    hub h;
    int size, lanes, levels, i, whole;
    for (size = 2, levels = 1; size <= 8; size *= 2, levels++)
        for (lanes = size; lanes <= 32; lanes *= 4)
            for (whole = 0; whole < 2; whole++) {
                size_t n, sums, notices, expected;
                memset(&y, 0, sizeof y);
                y.config = config_of("model.hidden_size=24 model.intermediate_size=40", 0);
                y.config.lanes = lanes;
                y.script = whole ? update_alone : optimize_alone;
                play_team(&h, &y, size);
                n = (size_t)lanes * h.of[0].g->machinery->piece;
                CHECK(n >= h.of[0].g->num_trained
                      && n <= h.of[0].g->num_trained + (size_t)lanes * 64, "%d numbers in %d "
                      "pieces of %d", (int)h.of[0].g->num_trained, lanes,
                      (int)h.of[0].g->machinery->piece);
                sums = (size_t)(lanes - lanes / size);
                notices = (size_t)(levels * (2 + whole)) * sizeof(grpo__notice);
                expected = 2 * (n - n / (size_t)size) * sizeof(float) + sums * sizeof(double)
                         + notices + (whole ? sums * sizeof(grpo_loss_stats) : 0);
                for (i = 0; i < size; i++)
                    CHECK(!h.of[i].code && h.of[i].sent == expected, "process %d of %d, %d lanes, "
                          "%s: %.0f bytes sent, not %.0f %s", i, size, lanes,
                          whole ? "grpo_update()" : "grpo_optimize()", (double)h.of[i].sent,
                          (double)expected, h.of[i].error);
                forget(&h);
            }
}

/* ------------------------------------------------------------------------- g. memory */
typedef struct counted { process *p; size_t bytes; int calls; } counted;
static void *count_allocate(size_t size, void *user) {
    ((counted *)user)->bytes += size;
    ((counted *)user)->calls++;
    return malloc(size);
}
static void count_release(void *memory, void *user) { (void)user; free(memory); }

static counted counts[MOST];
static void count(process *p, grpo_config *c) {
    c->allocate = count_allocate;
    c->release = count_release;
    c->user = &counts[p->rank];
}

static int spend(process *p) {
    const size_t before = counts[p->rank].bytes;
    const int calls = counts[p->rank].calls;
    grpo_memory needed;
    grpo_config c = p->g->config;
    int code = grpo_memory_needed(&c, &needed);
    counts[p->rank].bytes = before;
    if (code) return code;
    if (before != needed.total || counts[p->rank].calls != calls) {
        snprintf(p->error, sizeof p->error, "needed %.0f bytes, took %.0f", (double)needed.total,
                 (double)before);
        return -1;
    }
    for (p->step = 0; p->step < 3 && !code; p->step++) code = just_step(p);
    if (!code) code = ask(p);
    if (!code && counts[p->rank].calls != calls) {
        snprintf(p->error, sizeof p->error, "%d allocations in steps",
                 counts[p->rank].calls - calls);
        return -1;
    }
    p->used = 0;
    note(p, "memory", &needed, sizeof needed);
    return code;
}

/* AdamW's moments fall as 1 / processes; each holds log2(its lanes) + 1 gradients and, in a
 * team, what it receives at a time: half of one, at most 1 MB. All is as said, to the byte. */
static void test_memory(const char *words) {
    play y;
    hub h;
    grpo_memory m;
    size_t n = 0, trained = 0, share, total, all;
    int size, i, levels, adam;
    memset(&y, 0, sizeof y);
    y.config = config_of(words, 0);
    y.script = spend;
    y.spoil = count;
    for (size = 1; size <= 8; size *= 2) {
        memset(counts, 0, sizeof counts);
        play_team(&h, &y, size);
        total = 0;
        for (levels = 0; 1 << levels < LANES / size; levels++) continue;
        for (i = 0, adam = 1; i < size; i++) {
            const process *p = &h.of[i];
            CHECK(!p->code && p->used, "\"%s\", process %d of %d: %s", words, i, size, p->error);
            if (p->code || !p->used) continue;
            memcpy(&m, p->noted + sizeof(note_head), sizeof m);
            trained = p->g->num_trained;
            n = p->g->machinery->piece * LANES;
            share = p->g->machinery->share;
            total += share;
            adam &= m.optimizer >= 2 * share * sizeof(float)
                 && m.optimizer <= 2 * n / (size_t)size * sizeof(float) + 256;
            all = (size_t)(levels + 1) * n + (size > 1 ? n / 2 : 0);
            if (p->g->machinery->dembed) all += (size_t)(p->g->machinery->shape.V
                                                         * p->g->machinery->shape.H);
            CHECK(m.gradients >= all * sizeof(float) && m.gradients <= all * sizeof(float) + 256,
                  "\"%s\", process %d of %d: gradients take %.0f bytes, %d levels and a half %.0f",
                  words, i, size, (double)m.gradients, levels + 1, (double)(all * sizeof(float)));
        }
        CHECK(adam && total == trained, "\"%s\", %d processes: %.0f of %.0f moments", words, size,
              (double)total, (double)trained);
        forget(&h);
    }
}

int main(int argc, char **argv) {
    const char *only = argc > 1 ? argv[1] : "";               /* test_team PART [CASES [-v]]     */
    int i, cases = argc > 2 ? atoi(argv[2]) : 40;
    verbose = argc > 3;
#define PART(name) if (!*only || !strcmp(only, name))
    PART("teams") test_no_team();
    PART("told") test_told();
    PART("wishes") test_wishes();
    PART("configs") test_configs_differ();
    PART("acts") test_acts();
    PART("exchanges") test_exchanges(2, 1);
    PART("exchanges") test_exchanges(4, 2);
    PART("tree") test_tree("model.tie_word_embeddings=0", 8);
    PART("tree") test_tree("model.tie_word_embeddings=0 model.attention_bias=1", 11);
    PART("tree") test_tree("", 11);
    PART("tree") test_tree("objective.advantage=mean", 3);
    PART("scripts") test_scripts("parts by hand", by_hand, "", TWO_REWARDS);
    PART("scripts") test_scripts("parts by hand", by_hand, "model.tie_word_embeddings=0 "
                                 "steps_per_generation=3 sampling.top_k=4", STEPS_REWARD);
    PART("scripts") test_scripts("cut anew", cut_anew, "steps_per_generation=2", 0);
    PART("scripts") test_scripts("cut anew, filters", cut_anew,
                                 "steps_per_generation=2 sampling.top_p=0.9", 0);
    PART("bytes") test_bytes();
    PART("memory") test_memory("");
    PART("memory") test_memory("model.tie_word_embeddings=0 model.hidden_size=16");
    PART("memory") test_memory("lora.rank=4");
    PART("metrics") test_metrics("", 0);
    PART("metrics") test_metrics("trl objective.importance=token objective.importance_cap=1.5 "
                                 "objective.entropy_coef=0.01 objective.beta=0.1", 1);
    PART("metrics") test_metrics("gspo", 0);
    PART("before") test_before();
    PART("resumed") test_resumed();
    for (i = 0; i < SETTINGS; i++) PART("cuts") test_cuts(&settings[i], i, 20);
    for (i = 0; i < cases; i++) PART("random") test_random(i, 6);
    printf("%d settings of 20 steps by 1, 2, 4 and 8 processes; %d drawn at random\n",
           SETTINGS, cases);
    return check_finish();
}
#endif
