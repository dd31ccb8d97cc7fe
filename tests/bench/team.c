/* team - what it costs that several processes train one model: expected, and measured.
 *
 *   build/team                     tables: how a step and its memory go with the processes
 *   build/team --tflops 40 --read 900 --gbs 12.5 --us 10   ... of such processes and such a network
 *   build/team --seconds 30        ... where a step takes so long alone, of every model
 *   build/team measure [--part cores|lanes|networks] [--sizes toy,short,mid] [--rounds N]
 *                                  processes of this machine, what they exchange, slower networks
 *
 * A step of P processes takes
 *     operations / P at a process's speed, but no token is sampled faster than weights are read;
 *     the exchange: of each message the latency and bytes / bandwidth, one after the other.
 * The messages are those that grpo.h sends, counted by traffic_of(); `measure` compares them with
 * what goes through the hook, and fails unless they are equal. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE                 /* sched_setaffinity, nanosleep                              */
#endif
#define GRPO_IMPLEMENTATION
#include "examples/show.h"
#include "examples/tool/processes.h"
#include "tests/bench/steps.h"

#ifdef __linux__
#include <sched.h>
#endif
#include <time.h>

typedef struct model { const char *name; size shape; int untied; } model;

/* Qwen2.5's shapes, and two of bench.c; a batch of 1024 prompts for each. */
#define BATCH 1024, 8, 128, 256, 0, 0
static const model models[] = {
    { "toy", { "", 64, 2, 4, 4, 192, 32, 0, BATCH }, 0 },
    { "mid", { "", 512, 8, 8, 8, 1376, 4096, 0, BATCH }, 0 },
    { "0.5B", { "", 896, 24, 14, 2, 4864, 151936, 1, BATCH }, 0 },
    { "1.5B", { "", 1536, 28, 12, 2, 8960, 151936, 1, BATCH }, 0 },
    { "7B", { "", 3584, 28, 28, 4, 18944, 152064, 1, BATCH }, 1 } };
enum { MODELS = sizeof models / sizeof *models, RANK = 16, MOST = 1024 };

/* What a process computes, 10^12 operations a second, in bytes of a weight as it is read; what it
 * reads, GB/s; what its network sends, GB/s each way at once, and a message's latency, us. */
typedef struct place {
    const char *name;
    double tflops, read, element, gbs, us;
} place;
static const place places[] = {
    { "servers of 16 cores, 10 Gbit/s Ethernet", 1, 80, 4, 1.25, 30 },
    { "cards, 400 Gbit/s for each", 200, 1000, 2, 50, 10 } };
enum { PLACES = sizeof places / sizeof *places };

static double least(double a, double b) { return a < b ? a : b; }

/* ---- what is exchanged: of one process, sent; it receives as much */
typedef struct traffic { double messages, bytes; } traffic;

static void add(traffic *t, double bytes) {
    t->messages++;
    t->bytes += bytes;
}

/* By doubling: each process has `own` bytes, then twice as many, until it has all. */
static void add_gather(traffic *t, int team, double own) {
    int n;
    for (n = 1; n < team; n *= 2) add(t, own * n);
}

static void add_agreements(traffic *t, int team, int count) {
    int n;
    for (; count > 0; count--)
        for (n = 1; n < team; n *= 2) add(t, sizeof(grpo__notice));
}

/* Floats of the gradient to a peer, in messages of 1 MB at most. */
static void add_floats(traffic *t, double n, double most) {
    for (; n > 0; n -= most) add(t, 4 * least(n, most));
}

/* A step of grpo_rollout(), grpo_score(), grpo_advantage() and grpo_update(), one reward, one
 * update, the prompts divided evenly; nothing in it is filtered or drawn anew. n are trained. */
static traffic traffic_of(const size *s, double n, int reference, int lanes, int team) {
    traffic t = { 0, 0 };
    double sequences = (double)s->prompts * s->group / team, tokens = sequences * s->completion;
    double piece = lanes == 1 ? n : 64 * floor((n / lanes + 64) / 64);
    double all = piece * lanes, most = least(all / 2, GRPO__PIECE);
    int i, part;
    if (team == 1) return t;
    add_gather(&t, team, 4 * sequences);                       /* lengths                         */
    for (i = 0; i < 3; i++) add_gather(&t, team, 4 * tokens);  /* tokens, log-probs, entropies    */
    for (i = 0; i < 2; i++) add_gather(&t, team, 4 * sequences);       /* rewards, of each part   */
    if (reference) add_gather(&t, team, 4 * tokens);           /* the reference's log-probs       */
    add_gather(&t, team, (double)lanes / team * sizeof(grpo_loss_stats));
    for (part = 2; part <= team; part *= 2) add_floats(&t, all / part, most);      /* halving    */
    add_gather(&t, team, 8.0 * lanes / team);                 /* squares of the norm             */
    for (part = team; part >= 2; part /= 2) add_floats(&t, all / part, most);      /* doubling   */
    /* before and after a batch is gathered, after its rewards, the reference, advantages and loss,
     * as the update begins, and before the new weights replace the old */
    add_agreements(&t, team, 7 + reference);
    return t;
}

/* ---- expected */
static int no_exchange(void *user, int peer, const void *out, void *in, size_t bytes) {
    (void)user; (void)peer; (void)out; (void)in; (void)bytes;
    return 1;
}

/* As many lanes as processes; the least memory: passes of one group, activations computed again. */
static grpo_memory least_memory(const model *m, int team, int lora) {
    grpo_config c = config_of(&m->shape, 1);
    grpo_memory memory;
    c.model.tie_word_embeddings = !m->untied;
    c.lora.rank = lora ? RANK : 0;
    c.lanes = c.team.size = team;
    c.team.exchange = no_exchange;
    c.memory_budget = 1;
    if (grpo_memory_needed(&c, &memory) != GRPO_NO_MEMORY) {
        printf("team: %s: %s\n", m->name, c.error);
        exit(1);
    }
    return memory;
}

/* Parameters that are trained: AdamW has two floats of each. */
static double trained(const model *m, int lora) {
    return (double)least_memory(m, 1, lora).optimizer / 8;
}

typedef struct cost { double step, reads, exchange; } cost;

static cost cost_of(const model *m, const place *p, double seconds, int team, int lora) {
    const size *s = &m->shape;
    double f = forward_flops(s), passes = lora ? 3 : 4;       /* reference, forward, backward    */
    double rate = seconds > 0 ? (1 + passes) * f / seconds : 1e12 * p->tflops;
    double rollout = f / team / rate;
    traffic t = traffic_of(s, trained(m, lora), 1, team, team);
    cost c;
    c.reads = s->completion * p->element * weights_read(s) / (1e9 * p->read);
    c.exchange = t.messages * 1e-6 * p->us + t.bytes / (1e9 * p->gbs);
    c.step = (rollout > c.reads ? rollout : c.reads) + passes * f / team / rate + c.exchange;
    return c;
}

static void print_place(const place *p, double seconds) {
    int i, lora, n;
    printf("%s: ", p->name);
    if (seconds > 0) printf("%g s of operations", seconds);
    else printf("%g TFLOP/s", p->tflops);
    printf(", weights read at %g GB/s; %g GB/s each way, %g us\n\n| processes |", p->read, p->gbs,
           p->us);
    for (n = 1; n <= MOST; n *= 2) printf(" %d |", n);
    printf(" half, limit |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (i = 0; i < MODELS; i++)
        for (lora = 0; lora < 2; lora++) {
            double alone = cost_of(&models[i], p, seconds, 1, lora).step;
            int half = 0;
            cost last;
            printf("| %s%s |", models[i].name, lora ? ", LoRA" : "");
            for (n = 1; n <= MOST; n *= 2) {
                cost c = cost_of(&models[i], p, seconds, n, lora);
                printf(c.step < 1000 ? " %.3g s, %.0f %% |" : " %.0f s, %.0f %% |", c.step,
                       100 * alone / n / c.step);
                if (alone / n / c.step >= 0.5) half = n;
                last = c;
            }
            printf(" %d, %s |\n", half, last.reads > last.exchange ? "reading" : "exchange");
        }
    printf("\n");
}

static void print_memory(void) {
    int i, lora, n;
    printf("GB of each process; MB that each sends in an update of 1024, and in all of a step; "
           "messages\n\n| processes | trained |");
    for (n = 1; n <= MOST; n *= 4) printf(" %d |", n);
    printf(" update | step | messages |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (i = 0; i < MODELS; i++)
        for (lora = 0; lora < 2; lora++) {
            double many = trained(&models[i], lora);
            traffic t = traffic_of(&models[i].shape, many, 1, MOST, MOST);
            printf("| %s%s | %.4g M |", models[i].name, lora ? ", LoRA" : "", 1e-6 * many);
            for (n = 1; n <= MOST; n *= 4)
                printf(" %.3g |", 1e-9 * (double)least_memory(&models[i], n, lora).total);
            printf(" %.4g | %.4g | %.0f |\n", 8e-6 * many * (MOST - 1) / MOST, 1e-6 * t.bytes,
                   t.messages);
        }
}

/* ---- measured */
enum { STEPS = 4 };                 /* of a run; the first is not counted                        */

/* A hook around the hook: it counts, and takes as long as a slower network would. */
typedef struct wire {
    grpo_team inner;
    double gbs, us;                 /* gbs 0: as it is, and not timed                            */
    double seconds;                 /* in messages, from when both processes are there           */
    traffic sent;
} wire;

static int slow_exchange(void *user, int peer, const void *out, void *in, size_t bytes) {
    wire *w = (wire *)user;
    char here = 0, there;
    double start, left;
    add(&w->sent, (double)bytes);
    if (w->gbs > 0 && w->inner.exchange(w->inner.user, peer, &here, &there, 1)) return 1;
    start = grpo__seconds();
    if (w->inner.exchange(w->inner.user, peer, out, in, bytes)) return 1;
    while (w->gbs > 0 && (left = start + 1e-6 * w->us + (double)bytes / (1e9 * w->gbs)
                               - grpo__seconds()) > 0) {
        struct timespec t;
        t.tv_sec = (time_t)left;
        t.tv_nsec = (long)(1e9 * (left - (double)t.tv_sec));
        nanosleep(&t, NULL);
    }
    w->seconds += grpo__seconds() - start;
    return 0;
}

/* Each process has cores of its own, as long as there are some; rank -1: all. */
static void pin(int rank, int num_threads) {
#ifdef __linux__
    cpu_set_t cores;
    int i, all = grpo__num_threads(0), n = rank < 0 ? all : num_threads;
    CPU_ZERO(&cores);
    for (i = 0; i < n; i++) CPU_SET((size_t)((rank < 0 ? i : rank * n + i) % all), &cores);
    sched_setaffinity(0, sizeof cores, &cores);
#else
    (void)rank; (void)num_threads;
#endif
}

/* Of a step of process 0, the least of all: seconds, of the clock and of the processor (of each
 * thread); in messages; what it sends. */
typedef struct trial {
    int team, threads, lanes;
    double gbs, us;
    double step, processor, exchange;
    traffic sent;
    grpo_memory memory;
} trial;

static trial trial_of(int team, int num_threads, int lanes, double gbs, double us) {
    trial t;
    memset(&t, 0, sizeof t);
    t.team = team; t.threads = num_threads; t.lanes = lanes; t.gbs = gbs; t.us = us;
    t.step = t.processor = t.exchange = 1e9;
    return t;
}

static void run_steps(const size *s, grpo_config *c, wire *w, trial *t) {
    grpo *g = policy_of(c);
    grpo_prompt *p = prompts_of(s, 0);
    int i;
    for (i = 0; i < STEPS; i++) {
        double start = grpo__seconds(), before = w->seconds, step;
        clock_t processor = clock();
        check_code(g, grpo_rollout(g, p, s->prompts));
        check_code(g, grpo_score(g));
        check_code(g, grpo_advantage(g));
        check_code(g, grpo_update(g, NULL));
        step = grpo__seconds() - start;
        if (i == 0) continue;
        t->step = least(t->step, step);
        t->processor = least(t->processor, (double)(clock() - processor) / CLOCKS_PER_SEC
                                           / t->threads);
        t->exchange = least(t->exchange, w->seconds - before);
    }
    grpo_memory_needed(c, &t->memory);
    free_prompts(p);
    grpo_free(g);
}

static double trained_by(grpo_config c) {
    grpo_memory memory;
    c.team.size = c.team.rank = 0;
    grpo_memory_needed(&c, &memory);
    return (double)memory.optimizer / 8;
}

/* One run of a trial. All processes compare what they have sent with what is expected. */
static void run(const size *s, trial *t) {
    grpo_config c = config_of(s, t->threads);
    processes p;
    wire w;
    traffic expected;
    int different;
    if (processes_start(&p, t->team, &c.team, c.error)) {
        printf("team: %s\n", c.error);
        exit(1);
    }
    memset(&w, 0, sizeof w);
    w.inner = c.team; w.gbs = t->gbs; w.us = t->us;
    c.team.exchange = slow_exchange;
    c.team.user = &w;
    c.lanes = t->lanes;
    pin(c.team.rank, t->threads);
    run_steps(s, &c, &w, t);
    t->sent = traffic_of(s, trained_by(c), c.objective.beta > 0, t->lanes, t->team);
    expected.messages = STEPS * t->sent.messages;
    expected.bytes = STEPS * t->sent.bytes;
    add_agreements(&expected, t->team, 1);                    /* grpo_new()                      */
    different = w.sent.messages != expected.messages || w.sent.bytes != expected.bytes;
    if (different)
        printf("team: process %d of %d sent %.0f messages, %.0f bytes together; expected: %.0f, "
               "%.0f\n", c.team.rank, c.team.size, w.sent.messages, w.sent.bytes,
               expected.messages, expected.bytes);
    if (c.team.rank) exit(different);
    if (processes_end(&p) || different) exit(1);
    pin(-1, 0);
}

/* In turn, several rounds: what else the machine does at a time hits all alike. */
static void run_all(const size *s, trial *trials, int n, int rounds) {
    int i;
    for (; rounds > 0; rounds--)
        for (i = 0; i < n; i++) run(s, &trials[i]);
}

/* All cores, as threads of one process or as processes of one thread. */
static void measure_cores(const size *s, int rounds) {
    int n = 1, all = grpo__num_threads(0), i;
    trial t[3];
    while (2 * n <= all && 2 * n <= s->prompts) n *= 2;
    t[0] = trial_of(1, n, 1, 0, 0);
    t[1] = trial_of(1, n, n, 0, 0);
    t[2] = trial_of(n, 1, n, HUGE_VAL, 0);
    run_all(s, t, 3, rounds);
    printf("| %s, %d cores |", s->name, n);
    t[2].processor += t[2].exchange;
    for (i = 0; i < 3; i++) printf(" %.4f s, %.4f s |", t[i].step, t[i].processor);
    printf(" %.2f, %.2f | %.0f | %.0f |\n", t[1].step / t[2].step,
           t[1].processor / t[2].processor, t[2].sent.messages, t[2].sent.bytes);
    fflush(stdout);
}

static void measure_lanes(const size *s, int rounds) {
    trial t[4];
    int i;
    for (i = 0; i < 4; i++) t[i] = trial_of(1, 1, 1 << i, 0, 0);
    run_all(s, t, 4, rounds);
    printf("| %s |", s->name);
    for (i = 0; i < 4; i++)
        printf(" %.4f s, %.3f, %.3f |", t[i].processor, t[i].processor / t[0].processor,
               1e-9 * (double)t[i].memory.total);
    printf("\n");
    fflush(stdout);
}

/* Processor seconds of one process alone with the prompts of one of n. */
static double share_seconds(const size *s, int n, int rounds) {
    size part = *s;
    trial t;
    part.prompts /= n;
    t = trial_of(1, 1, 1, 0, 0);
    run_all(&part, &t, 1, rounds);
    return t.processor;
}

/* Networks that are slower than this machine's memory. Where processes are more than cores, as many
 * share each. */
static void measure_networks(const size *s, int rounds) {
    static const double speeds[] = { HUGE_VAL, 1, 0.2, 0.05 };
    enum { SPEEDS = sizeof speeds / sizeof *speeds };
    trial t[SPEEDS];
    int n, i, all = grpo__num_threads(0);
    for (n = 2; n <= 4; n *= 2) {
        double compute = share_seconds(s, n, rounds) * (n > all ? (double)n / all : 1);
        for (i = 0; i < SPEEDS; i++)
            t[i] = trial_of(n, 1, n, speeds[i], speeds[i] < HUGE_VAL ? 100 : 0);
        run_all(s, t, SPEEDS, rounds);
        for (i = 0; i < SPEEDS; i++) {
            traffic e = t[i].sent;
            double exchange = 1e-6 * t[i].us * e.messages + e.bytes / (1e9 * t[i].gbs);
            double processor = t[i].processor * (n > all ? (double)n / all : 1);
            printf("| %s, %d processes | ", s->name, n);
            if (i) printf("%g GB/s, %g us", t[i].gbs, t[i].us);
            else printf("this machine's");
            printf(" | %.4f s, %.4f s | %.4f s, %.4f s | %.2f | %.4f s, %.2f |\n", compute,
                   processor, exchange, t[i].exchange,
                   (processor + t[i].exchange) / (compute + exchange), t[i].step,
                   t[i].step / (compute + exchange));
        }
        fflush(stdout);
    }
}

enum { TOY, SHORT, MID, MEASURED };
static const size measured[MEASURED] = {                      /* bench.c's; short: 16 of 256     */
    { "toy", 64, 2, 4, 4, 192, 32, 0, 32, 8, 16, 32, 0, 0 },
    { "short", 512, 8, 8, 8, 1376, 4096, 0, 8, 8, 16, 16, 0, 0 },
    { "mid", 512, 8, 8, 8, 1376, 4096, 0, 2, 8, 16, 256, 0, 0 } };

static int wanted(const char *list, int i) { return !list || strstr(list, measured[i].name); }

static void measure(const char *part, const char *list, int rounds) {
    int i;
    printf("The least of %d rounds of %d steps; seconds of the clock, and of the processor in each "
           "thread\n(of a team and in messages: what a step takes where nothing else runs)\n\n",
           rounds, STEPS - 1);
    if (!part || !strcmp(part, "cores")) {
        printf("| all cores | threads, lanes 1 | threads, as many lanes | processes, as many lanes "
               "| ratio | messages | bytes |\n|---|---|---|---|---|---|---|\n");
        for (i = 0; i < MEASURED; i++) if (wanted(list, i)) measure_cores(&measured[i], rounds);
        printf("\n");
    }
    if (!part || !strcmp(part, "lanes")) {
        printf("| one thread: processor, times lanes 1, GB | lanes 1 | lanes 2 | lanes 4 | lanes 8 "
               "|\n|---|---|---|---|---|\n");
        for (i = 0; i < MID; i++) if (wanted(list, i)) measure_lanes(&measured[i], rounds);
        printf("\n");
    }
    if (!part || !strcmp(part, "networks")) {
        printf("| %d cores | network | computing: expected, processor | exchange: expected, "
               "measured | ratio | a step by the clock, ratio |\n|---|---|---|---|---|---|\n",
               grpo__num_threads(0));
        for (i = 0; i < MID; i++) if (wanted(list, i)) measure_networks(&measured[i], rounds);
    }
}

static const char about[] =
    "What it costs that several processes train one model. Without arguments: expected, for some\n"
    "machines and networks; with `measure`: processes of this machine, what they exchange.";
static const char options[] =
    "  --tflops X    of a process, at whole batches\n"
    "  --read X      GB/s at which it reads weights\n"
    "  --gbs X       GB/s of the network, each way\n"
    "  --us X        of a message's latency, in microseconds\n"
    "  --seconds X   that a step takes alone (by --tflops and --read)\n"
    "  --part P      of `measure`: cores, lanes or networks (all)\n"
    "  --sizes LIST  of `measure`: of toy,short,mid (all)\n"
    "  --rounds N    of `measure` (3)\n";

int main(int argc, char **argv) {
    place own = places[0];
    const char *part = NULL, *list = NULL;
    double seconds = 0;
    int i, asked = 0, to_measure = 0, rounds = 3;
    (void)time_steps; (void)token_seconds;                    /* of steps.h, not needed here     */
    if (show_given(argc, argv, "--help")) return show_lesson(argc, argv, about, options), 0;
    for (i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        double x = atof(value);
        if (!strcmp(argv[i], "measure")) { to_measure = 1; continue; }
        if (!strcmp(argv[i], "--part")) part = value;
        else if (!strcmp(argv[i], "--sizes")) list = value;
        else if (!strcmp(argv[i], "--rounds") && x >= 1) rounds = (int)x;
        else if (!strcmp(argv[i], "--tflops") && x > 0) own.tflops = x, asked = 1;
        else if (!strcmp(argv[i], "--read") && x > 0) own.read = x, asked = 1;
        else if (!strcmp(argv[i], "--gbs") && x > 0) own.gbs = x, asked = 1;
        else if (!strcmp(argv[i], "--us") && x > 0) own.us = x, asked = 1;
        else if (!strcmp(argv[i], "--seconds") && x > 0) seconds = x, asked = 1;
        else return show_misuse(argv[i], options);
        i++;
    }
    if (to_measure) { measure(part, list, rounds); return 0; }
    if (asked) { own.name = "As asked"; print_place(&own, seconds); }
    for (i = 0; !asked && i < PLACES; i++) print_place(&places[i], 0);
    print_memory();
    return 0;
}
