/* grpo - a Hugging Face folder in, a better one out, from one command and without Python.
 *
 *     grpo train MODEL --data train.jsonl --reward gsm8k --out better    learn by GRPO
 *     grpo eval MODEL --data test.jsonl --reward gsm8k                   greedy accuracy, pass@k
 *     grpo chat MODEL                                                    talk to it
 *     grpo inspect MODEL                                                 what it is, what it needs
 *     grpo plot better [report.html | curves.svg]                        a run as a picture
 *     grpo help [COMMAND | OPTION | PRESET | REWARD]                     every option, or one
 *     grpo train ... --processes 4     in several processes; those of mpirun, built by `make mpi`
 *
 * A verifier is one of those built in, or a program of yours in any language: --reward
 * "cmd:./verify" (verifier.h says how they talk). Ctrl-C ends the step under way and saves;
 * --resume goes on with the same bits, after a crash too. The status is 0 when all is done, 1 after
 * an error, 2 if the command is not understood, and that of the signal (Ctrl-C: 130) of a run that
 * was interrupted, which is saved. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE                 /* sigaction, fcntl; namespaces for verifiers */
#endif
#define GRPO_IMPLEMENTATION
#define PROGRAM_SAYS "grpo: "
#include "grpo.h"
#include "examples/backend.h"
#include "examples/team.h"
#include "examples/words.h"
#include "answers.h"
#include "chat.h"
#include "json.h"
#include "questions.h"
#include "report.h"
#include "screen.h"
#include "system.h"
#include "tokenizer.h"
#include "verifier.h"

#include <float.h>
#include <signal.h>
#include <stdarg.h>

/* ---------------------------------------------------------------------------- the options ---- */
enum { MOST_EVALUATED = 200, NAME_ROOM = 1024, PATH_ROOM = 900, SAID = 1000, TRIED = 4,
       REPLY_ROOM = 1 << 20,
       INTERRUPTED = 128 };         /* and the signal: the status of such a run                  */

typedef struct settings {
    const char *model, *data, *eval, *out, *question, *answer, *prompt_format, *system,
               *template_of, *variables, *dtype, *lora_targets, *adapter;
    int steps, save_steps, eval_steps, eval_questions, eval_samples, sample_steps, limit, hold_out,
        resume, merge, num_processes;
    float verifier_seconds;         /* of all verifiers, like the two that follow                */
    size_t verifier_memory;
    const char *verifier_reads;
    int verifier_isolated;          /* they must be                                              */
    grpo_config c;
    verifier verifiers[GRPO_MAX_REWARDS];
    grpo_format formats[GRPO_MAX_REWARDS];
    int overlong[GRPO_MAX_REWARDS];
    tokenizer *tokens;
    chat_template chat;
    screen view;
    int unheard;                    /* standard output has failed                                */
    double memory_there, memory_free;     /* the machine's when this began, in bytes; 0: unknown */
    const char *words;              /* the folder of the tokenizer and the template              */
    char base[1024];                /* of a MODEL that is adapters: its model                    */
    int learned;                    /* a step has been done                                      */
    char *vocabulary;               /* the characters of a toy model, which has no tokenizer     */
    char *members;                  /* of the chat template's variables                          */
    char trouble[SAID];             /* what a verifier last complained of, and in how many steps */
    int troubles;
    int64_t saved, tried;           /* the step that OUT has; the last that was to be saved      */
    int measured;                   /* the result, by the held-out questions                     */
    int logged;                     /* completions in the log, of this start                     */
    char command[2 * NAME_ROOM];    /* the line that was typed, for the report                   */
    char judged[4 * NAME_ROOM];     /* the rewards as they were typed, with their weights        */
    int asked;                      /* which command: TRAIN ...                                  */
    unsigned char given[256];       /* 1: option i (option_at) is on that line; 2: on that of    */
    json before;                    /* the run that is gone on with, whose settings these are    */
    double seconds;                 /* of an evaluation                                          */
    double at_first;                /* greedy accuracy before the first step; 0: not measured    */
    grpo *policy;                   /* chat: whose answer is printed as it comes                 */
    char *reply;
    int printed;                    /* bytes of it                                               */
} settings;

enum { FIELD,                       /* a number of the config: its table has the rest            */
       COUNT, SOME,                 /* whole numbers: from 0, from 1                             */
       NUMBER, TEXT, FLAG, BYTES,
       OTHER,                       /* read by what it is: a reward, an objective ...            */
       GROUP };                     /* no option: the heading of those that follow               */
enum { TRAIN = 1, EVAL = 2, CHAT = 4, INSPECT = 8, ALL = 15, RUN = TRAIN | EVAL,
       PLAN = TRAIN | INSPECT };

typedef struct option {
    const char *name, *value;       /* "steps", "N"; NULL: by the field's type, or a flag        */
    const char *help;               /* NULL: the field's                                         */
    const char *given;              /* what is taken without it; NULL: what set_defaults() sets  */
    int kind, commands;
    size_t at;
} option;

#define AT(field) offsetof(settings, field)
#define HEADING(words) { words, NULL, NULL, NULL, GROUP, 0, 0 }
#define OF_CONFIG(field, commands) { #field, NULL, NULL, NULL, FIELD, commands, 0 }
#define AS(field, commands, help, given) { #field, NULL, help, given, FIELD, commands, 0 }
static const option options[] = {
    HEADING("Required"),
    { "data", "QUESTIONS", "a file of JSON lines or .csv, - for either from a pipe, or puzzles: "
      "countdown:COUNT[:NUMBERS[:LARGEST]]", NULL, TEXT, RUN, AT(data) },
    { "reward", "R", "what is rewarded, as often as you like: one of those listed below", NULL,
      OTHER, RUN, 0 },
    { "out", "FOLDER", "for the result, its checkpoints and log.jsonl", NULL, TEXT, TRAIN,
      AT(out) },
    HEADING("Questions, and how they are asked"),
    { "question", "NAME", "the field that holds the question; several with commas are "
      "joined; a list of messages is a conversation. Without \"question\": prompt or messages",
      NULL, TEXT, RUN, AT(question) },
    { "answer", "NAME", "the field that holds the answer; within another: "
      "reward_model.ground_truth", NULL, TEXT, RUN, AT(answer) },
    { "limit", "N", "use the first N questions; 0: all", NULL, COUNT, RUN, AT(limit) },
    { "system", "TEXT", "system message of the chat template", "the template's", TEXT, RUN | CHAT,
      AT(system) },
    { "template", "NAME", "a chat template to use instead of the folder's own [" CHAT_NAMES "]",
      "the folder's", TEXT, RUN | CHAT, AT(template_of) },
    { "template-variables", "JSON", "what the template asks for besides: "
      "{\"enable_thinking\": false}", NULL, TEXT, ALL, AT(variables) },
    { "prompt-format", "TEXT", "text around {question}, instead of a chat template", NULL, TEXT,
      RUN | CHAT, AT(prompt_format) },
    AS(max_prompt_length, RUN, "tokens of a question at most; longer ones are left out", NULL),
    AS(max_prompt_length, CHAT, "tokens of the talk so far at most",
       "2048, or what positions and memory leave"),
    AS(max_prompt_length, INSPECT, "tokens of a question at most", NULL),
    HEADING("The run"),
    { "steps", "N", "steps of training, each of --num-prompts questions; an epoch is questions / "
      "num-prompts", NULL, SOME, TRAIN, AT(steps) },
    AS(num_prompts, PLAN, "questions in a step", NULL),
    AS(num_prompts, EVAL, "questions that are answered together. Speed, not results", NULL),
    OF_CONFIG(num_generations, PLAN),
    AS(max_completion_length, ALL, "tokens of an answer at most", NULL),
    AS(seed, RUN | CHAT, "of all that is drawn at random", NULL),
    { "resume", NULL, "go on from the checkpoint in --out, if there is one", NULL, FLAG, TRAIN,
      AT(resume) },
    { "save-steps", "N", "write a checkpoint every N steps; 0: at the end alone", NULL, COUNT,
      TRAIN, AT(save_steps) },
    { "sample-steps", "N", "log a group's completions every N steps; 0: never", NULL, COUNT, TRAIN,
      AT(sample_steps) },
    { "dtype", "WORD", "of the weights that are written [f32 | bf16 | f16]", "f32", TEXT, TRAIN,
      AT(dtype) },
    HEADING("Measuring"),
    { "eval", "QUESTIONS", "to measure by, held out of training; as --data", NULL, TEXT, TRAIN,
      AT(eval) },
    { "hold-out", "N", "without --eval: every Nth question of --data is held out; 0: none", NULL,
      COUNT, TRAIN, AT(hold_out) },
    { "eval-steps", "N", "measure every N steps; 0: before and after alone", NULL, COUNT, TRAIN,
      AT(eval_steps) },
    { "eval-questions", "N", "ask the first N of them at most", NULL, SOME, RUN,
      AT(eval_questions) },
    { "eval-samples", "N", "for pass@1 and pass@N, N samples of each; 0: the greedy answer alone",
      NULL, COUNT, RUN, AT(eval_samples) },
    { "out", "FILE", "for what was asked and answered, a JSON object a line", NULL, TEXT, EVAL,
      AT(out) },
    AS(success_reward, RUN, "an answer is right if the first reward gives at least this", NULL),
    HEADING("How it is judged"),
    { "weight", "X", "of the --reward before it; several are added up", "1", OTHER, RUN, 0 },
    { "verifier-seconds", "X", "that a cmd: may take for a batch", NULL, NUMBER, RUN,
      AT(verifier_seconds) },
    { "verifier-memory", "SIZE", "limit of the address space (ulimit -v) of each process of a "
      "cmd:; 0: none", NULL, BYTES, RUN, AT(verifier_memory) },
    { "verifier-reads", "PATHS", "files and folders that a cmd: may read too, with ':' between",
      NULL, TEXT, RUN, AT(verifier_reads) },
    { "verifier-must-be-isolated", NULL, "do not run a cmd: that cannot be isolated fully", NULL,
      FLAG, RUN, AT(verifier_isolated) },
    HEADING("LoRA: adapters beside weights that are frozen, in less memory"),
    AS(lora.rank, PLAN, "of the adapters; 0: train all weights instead", NULL),
    AS(lora.alpha, PLAN, "the adapters' factor is alpha / r", NULL),
    { "lora-targets", "NAMES", "which matrices have adapters: of q,k,v,o,gate,up,down with commas",
      "all", TEXT, PLAN, AT(lora_targets) },
    { "adapter", "FOLDER", "of adapters (PEFT's, or of this program) to put on MODEL first; "
      "one that names its model can be MODEL itself", NULL, TEXT, RUN | CHAT, AT(adapter) },
    { "merge", NULL, "write a whole model, with the adapters in its weights", NULL, FLAG, TRAIN,
      AT(merge) },
    HEADING("How answers are drawn"),
    AS(sampling.temperature, TRAIN, "of sampling, more than 0", NULL),
    AS(sampling.temperature, EVAL, "of --eval-samples; the greedy answer has none", NULL),
    AS(sampling.temperature, CHAT, "of sampling; 0: always the most probable token", NULL),
    OF_CONFIG(sampling.top_k, RUN | CHAT),
    OF_CONFIG(sampling.top_p, RUN | CHAT),
    AS(sampling.min_p, RUN | CHAT,
       "leave out tokens less probable than this share of the most probable", NULL),
    HEADING("The optimizer: AdamW"),
    AS(learning_rate, TRAIN, "size of a step; with LoRA some 1e-4", NULL),
    AS(lr_scheduler_type, TRAIN, "how the rate changes over all steps", NULL),
    AS(warmup_steps, TRAIN, "optimizer steps in which the rate rises from 0", NULL),
    AS(num_iterations, TRAIN, "passes over the completions of a step", NULL),
    AS(steps_per_generation, TRAIN, "optimizer steps in each pass", NULL),
    AS(max_grad_norm, TRAIN, "clip the gradient to this norm; 0: do not", NULL),
    AS(weight_decay, TRAIN, "of matrices", NULL),
    OF_CONFIG(adam_beta1, TRAIN),
    AS(adam_beta2, TRAIN, "decay of the mean of the gradients' squares", NULL),
    AS(adam_epsilon, TRAIN, "added to the root of that mean", NULL),
    HEADING("Memory, speed, machines"),
    AS(memory_budget, ALL, "within this much memory; 0: any. Speed, not results",
       "what the machine has free"),
    AS(rollout_batch_prompts, PLAN,
       "questions that are answered together; 0: all. Speed, not results", NULL),
    AS(micro_batch_prompts, PLAN,
       "questions that are trained together. Speed, not results", "what fits"),
    AS(threads, ALL, "of this machine. Speed, not results", "one per core"),
    { "processes", "N", "on this machine, a power of two; the same results with any", NULL, SOME,
      RUN | INSPECT, AT(num_processes) },
    AS(lanes, PLAN, "parts of an update, a power of two, for up to so many processes. "
       "Results depend on it", "one a process"),
    { "backend", "WORD", "what computes [" BACKEND_CHOICES "]", BACKEND_DEFAULT, OTHER, ALL, 0 },
    HEADING("The objective"),
    { "objective", "WORDS", "a preset of those below, and fields: \"dapo beta=0.01\"", "trl",
      OTHER, PLAN, 0 },
    AS(ref_model_sync_steps, TRAIN, "move the reference policy every N steps; 0: never", NULL),
    AS(ref_model_mixup_alpha, TRAIN, "how far it moves; 1: it becomes the policy", NULL) };
#undef AT
#undef HEADING
#undef OF_CONFIG
#undef AS
enum { OPTIONS = (int)(sizeof options / sizeof *options) };

/* Rewards by name. `wants`: what the question's answer must be for it to judge at all. */
static const struct built_in {
    const char *name, *help, *wants;
    grpo_reward_function function;  /* NULL: it has words of its own, and a setting              */
} built_in[] = {
    { "gsm8k", "its last or boxed number is the answer's: 1,234, -3/4, 3 1/2, 50%", "a number",
      answers_reward_number },
    { "number", "the same", "a number", answers_reward_number },
    { "match", "the completion is the answer, blanks aside", "any answer",
      grpo_reward_exact_match },
    { "countdown", "an expression with the answer's value and numbers", "\"24: 1 2 3 4\", the "
      "value and the numbers", grpo_reward_countdown },
    { "repetition", "-(1 - unique / all token 3-grams)", NULL, grpo_reward_repetition },
    { "format:BEGIN...END", "the completion begins and ends so", NULL, NULL },
    { "overlong:N", "0 to -1 over the last N tokens (DAPO)", NULL, NULL },
    { "cmd:PROGRAM", "a verifier of yours, run once for a batch. Its stdin has a line for each "
      "completion: {\"index\":0,\"prompt\":\"2+2?\",\"completion\":\"4\",\"answer\":\"4\",...} "
      "with \"data\", the question's own line, and \"truncated\". It prints a line for each: a "
      "number, or null where it cannot tell. It is tried on known answers first. "
      "examples/tool/README.md has one of ten lines", NULL, NULL } };
enum { BUILT_IN = (int)(sizeof built_in / sizeof *built_in) };

/* What other programs call an option: its name here, or why there is none. */
static const struct { const char *theirs, *ours, *why; } elsewhere[] = {
    { "lr", "learning-rate", NULL }, { "max-steps", "steps", NULL },
    { "epochs", "steps", NULL }, { "num-epochs", "steps", NULL },
    { "num-train-epochs", "steps", NULL }, { "max-new-tokens", "max-completion-length", NULL },
    { "max-tokens", "max-completion-length", NULL }, { "n-predict", "max-completion-length", NULL },
    { "max-length", "max-completion-length", NULL }, { "ctx-size", "max-prompt-length", NULL },
    { "batch-size", "num-prompts", NULL }, { "per-device-train-batch-size", "num-prompts", NULL },
    { "output", "out", NULL }, { "output-dir", "out", NULL }, { "save-dir", "out", NULL },
    { "dataset", "data", NULL }, { "dataset-name", "data", NULL }, { "train-file", "data", NULL },
    { "eval-data", "eval", NULL }, { "eval-dataset", "eval", NULL },
    { "group-size", "num-generations", NULL }, { "num-samples", "eval-samples", NULL },
    { "kl-coef", "beta", NULL }, { "cliprange", "epsilon", NULL },
    { "clip-range", "epsilon", NULL }, { "epsilon-low", "epsilon", NULL },
    { "loss-type", "objective", NULL }, { "scale-rewards", "advantage", NULL },
    { "reward-weights", "weight", NULL }, { "reward-funcs", "reward", NULL },
    { "lora-r", "lora-rank", NULL }, { "device", "backend", NULL }, { "gpu", "backend", NULL },
    { "chat-template", "template", NULL }, { "system-prompt", "system", NULL },
    { "resume-from-checkpoint", "resume", NULL }, { "temp", "temperature", NULL },
    { "warmup-ratio", "warmup-steps", NULL }, { "precision", "dtype", NULL },
    { "num-workers", "processes", NULL }, { "scheduler", "lr-scheduler-type", NULL },
    { "gradient-accumulation-steps", NULL, "what does not fit at once is split by itself, with the "
      "same results" },
    { "bf16", NULL, "weights are trained in float32; --dtype bf16 writes them so" },
    { "fp16", NULL, "weights are trained in float32; --dtype f16 writes them so" },
    { "lora-dropout", NULL, "the adapters have none: a step has the same bits each time" },
    { "load-in-4bit", NULL, "weights are not quantised; --lora-rank takes the least memory" },
    { "save-total-limit", NULL, "--out has one checkpoint, the last" },
    { "logging-steps", NULL, "every step is in log.jsonl" },
    { "report-to", NULL, "--out has log.jsonl, which `grpo plot` draws" },
    { "stop", NULL, "an answer ends by the tokens that config.json and the template name" } };

static void set_defaults(settings *s) {
    memset(s, 0, sizeof *s);
    s->c = grpo_defaults();
    s->question = "question";
    s->answer = "answer";
    s->num_processes = 1;
    s->steps = 200;
    s->save_steps = 50;
    s->eval_steps = 50;
    s->eval_questions = MOST_EVALUATED;
    s->sample_steps = 10;
    s->verifier_seconds = VERIFIER_SECONDS;
    s->verifier_memory = VERIFIER_MEMORY;
    s->c.objective = grpo_objective_preset("trl", NULL);
    s->c.learning_rate = 1e-6f;     /* TRL                                                       */
    s->c.max_prompt_length = 256;
    s->c.max_completion_length = 256;
    s->c.memory_budget = SIZE_MAX;  /* not said                                                  */
    system_memory(&s->memory_there, &s->memory_free);
}

/* Of several processes one talks, process 0: what another last had to say is kept for it. */
static struct { int rank; char said[4 * NAME_ROOM]; } self;

static void say(const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 1, 2)))
#endif
    ;
static void say(const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(self.said, sizeof self.said, format, list);
    va_end(list);
    if (!self.rank) fprintf(stderr, "grpo: %s\n", self.said);
}

static int complain(const char *sentence) {
    say("%s", sentence);
    return -1;
}

/* Is it one of these words? */
static int one_of(const char *words, const char *word) {
    size_t n = strlen(word);
    for (; *words; words += strcspn(words, " "), words += *words == ' ')
        if (strcspn(words, " ") == n && !strncmp(words, word, n)) return 1;
    return 0;
}

/* "learning_rate" of the config; NULL: no such field. */
static const grpo_field *field_of(const char *name) {
    const grpo_field *f;
    int i = 0;
    while ((f = grpo_field_at(i)) != NULL && strcmp(f->name, name) != 0) i++;
    return f;
}

/* Field k of those of the objective that are options: all but what grpo_new() sets. NULL after the
 * last. */
static const grpo_field *objective_at(int k) {
    const grpo_field *f;
    int i;
    for (i = 0; (f = grpo_field_at(i)) != NULL; i++)
        if (!strncmp(f->name, "objective.", 10)
            && strcmp(f->name + 10, "max_completion_length") && !k--) return f;
    return NULL;
}

/* A field's name as an option: "lora-rank", "top-p". */
static const char *spell(const char *field, char *name) {
    int i;
    if (!strncmp(field, "sampling.", 9)) field += 9;
    if (!strncmp(field, "objective.", 10)) field += 10;
    for (i = 0; i < NAME_ROOM - 1 && field[i]; i++)
        name[i] = field[i] == '.' || field[i] == '_' ? '-' : field[i];
    name[i] = 0;
    return name;
}

/* A field's value as one would type it: a word, all digits of a seed, the fewest of a fraction. */
static void write_value(const grpo_config *c, const grpo_field *f, char *text) {
    const double value = grpo_config_get(c, f->name);
    const char *word = report_word(f, value);
    int digits = 0;
    if (word) snprintf(text, NAME_ROOM, "%.*s", (int)strcspn(word, " "), word);
    else if (f->type == GRPO_FIELD_UINT64)
        snprintf(text, NAME_ROOM, "%llu", (unsigned long long)c->seed);
    else if (f->type != GRPO_FIELD_FLOAT) snprintf(text, NAME_ROOM, "%.0f", value);
    else do snprintf(text, NAME_ROOM, "%.*g", ++digits, value);
    while (digits < 9 && (float)strtod(text, NULL) != (float)value);
}

/* The value of option o, or of field f, as text, perhaps in `room`; "" where it is nothing. */
static const char *value_of(const settings *s, const option *o, const grpo_field *f, char *room) {
    const void *at = (const char *)s + (o ? o->at : 0);
    *room = 0;
    if (f) write_value(&s->c, f, room);
    else if (o->kind == TEXT && *(const char *const *)at) return *(const char *const *)at;
    else if (o->kind == NUMBER) snprintf(room, NAME_ROOM, "%.9g", (double)*(const float *)at);
    else if (o->kind == BYTES) snprintf(room, NAME_ROOM, "%.0f", (double)*(const size_t *)at);
    else if (o->kind == COUNT || o->kind == SOME || o->kind == FLAG)
        snprintf(room, NAME_ROOM, "%d", *(const int *)at);
    return room;
}

/* What is taken if it is not given; "" where that is nothing. */
static const char *default_of(const option *o, const grpo_field *f, char *text) {
    static settings fresh;          /* the command line may have changed *s already              */
    if (!fresh.question) set_defaults(&fresh);
    if (o && o->given) return o->given;
    if (o && o->kind == BYTES)
        return words_write_size((double)*(const size_t *)(const void *)((const char *)&fresh
                                                                        + o->at), text);
    return o && o->kind == FLAG ? "" : value_of(&fresh, o, f, text);
}

/* "--steps N" of an option, or of a field that is one without standing in the table (o NULL). */
static void write_option(const option *o, const grpo_field *f, char *text, size_t room) {
    char name[NAME_ROOM];
    const char *value = o ? o->value : NULL;
    if (!value && f)
        value = f->words ? "WORD" : f->type == GRPO_FIELD_FLOAT ? "X"
              : f->type == GRPO_FIELD_SIZE ? "SIZE" : "N";
    snprintf(text, room, "--%s%s%s", spell(f ? f->name : o->name, name), value ? " " : "",
             value ? value : "");
}

/* Its meaning, "[its choices]" and "(its symbol; default ...)". */
static void write_meaning(const option *o, const grpo_field *f, char *text, size_t room) {
    const char *help = o && o->help ? o->help : f->help, *word = f && f->words ? f->words : "";
    const char *symbol = f ? f->symbol : "";
    char taken[NAME_ROOM];
    const char *without = default_of(o, f, taken);
    size_t n = strlen(help);
    n -= n && help[n - 1] == ':';
    snprintf(text, room, "%.*s%s", (int)n, help, *word ? " [" : "");
    for (; *word; word += strcspn(word, " "), word += *word == ' ')
        snprintf(text + strlen(text), room - strlen(text), "%.*s%s", (int)strcspn(word, " "), word,
                 word[strcspn(word, " ")] ? " | " : "]");
    if (!*symbol && !*without) return;
    snprintf(text + strlen(text), room - strlen(text), " (%s%s%s%s)", symbol,
             *symbol && *without ? "; " : "", *without ? "default\t" : "", without);
}

static void print_option(const option *o, const grpo_field *f) {
    enum { COLUMN = 36 };
    char text[2 * NAME_ROOM];
    write_option(o, f, text, sizeof text);
    printf("  %-*s", COLUMN - 2, text);
    write_meaning(o, f, text, sizeof text);
    words_print(stdout, COLUMN, text);
}

/* A line of a list: a word, and what it means. */
static void print_row(const char *word, const char *meaning) {
    printf("  %-34s", word);
    words_print(stdout, 36, meaning);
}

static void print_rewards(void) {
    char word[64];
    int i;
    for (i = 0; i < BUILT_IN; i++) {
        snprintf(word, sizeof word, "--reward %s", built_in[i].name);
        print_row(word, built_in[i].help);
    }
}

static void print_presets(void) {
    const char *name, *source;
    int i;
    for (i = 0; grpo_objective_name(i, &name, &source); i++) print_row(name, source);
}

static void print_columns(void) {
    static const char *const columns[][2] = {
        { "reward X +- S", "mean of the completions' rewards, and their standard deviation" },
        { "kl", "D_KL of the policy from the reference, mean of tokens; - where beta is 0" },
        { "entropy", "of the policy where it chose, nats a token" },
        { "length", "tokens of a completion, mean" },
        { "clipped", "share of completions that were cut off by --max-completion-length" },
        { "clip", "share of tokens whose ratio pi / pi_old was clipped" },
        { "dead", "share of groups whose rewards are all equal: they teach nothing" },
        { "grad", "norm of the gradient, before --max-grad-norm" },
        { "s, tokens/s", "seconds of the step, and tokens that it has drawn in one" } };
    size_t i;
    for (i = 0; i < sizeof columns / sizeof *columns; i++) print_row(columns[i][0], columns[i][1]);
}

/* One of the commands that work on a model, its shortest use, and one to copy. */
typedef struct subcommand {
    const char *name, *what, *usage, *example;
    int command;
    int (*run)(settings *s);
} subcommand;
static int train(settings *s), eval(settings *s), chat(settings *s), inspect(settings *s);
static const subcommand commands[] = {
    { "train", "learn by GRPO; the result is another folder",
      "MODEL --data QUESTIONS --reward R --out FOLDER [options]",
      "Qwen2.5-0.5B-Instruct --data train.jsonl --reward gsm8k --out better", TRAIN, train },
    { "eval", "how many of its answers are right", "MODEL --data QUESTIONS --reward R [options]",
      "better --data test.jsonl --reward gsm8k --eval-samples 8", EVAL, eval },
    { "chat", "talk to it: a line is a turn, an empty one begins anew, Ctrl-D ends",
      "MODEL [options]", "better --temperature 0.7 --max-completion-length 512", CHAT, chat },
    { "inspect", "what it is, how it is asked, and the memory that training takes",
      "MODEL [options]", "Qwen2.5-0.5B-Instruct --num-generations 16 --lora-rank 16", INSPECT,
      inspect } };
enum { COMMANDS = (int)(sizeof commands / sizeof *commands) };
static const char model_is[] = "MODEL is a folder as Hugging Face has them, with config.json, "
    "tokenizer.json and model.safetensors; or one of LoRA's adapters, that names its model.";

static const char model_line[] = "  MODEL                             the model's folder";

static void print_help(const subcommand *c) {
    const option *o, *heading = NULL;
    int i;
    printf("usage:   grpo %s %s\nexample: grpo %s %s\n\n%s: %s.\n", c->name, c->usage, c->name,
           c->example, c->name, c->what);
    words_print(stdout, 0, model_is);
    words_print(stdout, 0, "Below, in brackets: the choices. In parentheses: the papers' symbol, "
                "and what is taken if the option is not given. A SIZE is a number of bytes, or "
                "500M, 4G (thousands), 4Gi (1024s).");
    if (c->command & (CHAT | INSPECT)) printf("\nRequired:\n%s\n", model_line);
    for (o = options; o < options + OPTIONS; o++) {
        if (o->kind == GROUP) heading = o;
        if (!(o->commands & c->command)) continue;
        if (heading) printf("\n%s:\n", heading->name);
        if (heading == options) puts(model_line);
        heading = NULL;
        print_option(o, o->kind == FIELD ? field_of(o->name) : NULL);
    }
    for (i = 0; c->command == TRAIN && objective_at(i); i++) print_option(NULL, objective_at(i));
    if (c->command == TRAIN) {
        printf("\nWhat the line of a step has:\n");
        print_columns();
        printf("\nPresets of --objective, and where each is from (T, V, O: the code of TRL, veRL "
               "and OpenRLHF):\n");
        print_presets();
    }
    if (c->command & RUN) {
        printf("\nWhat can be rewarded:\n");
        print_rewards();
    }
}

/* Option i of all: those of the table, then the objective's fields. 0 after the last. */
static int option_at(int i, const option **o, const grpo_field **f) {
    *o = i < OPTIONS ? &options[i] : NULL;
    *f = !*o ? objective_at(i - OPTIONS) : (*o)->kind == FIELD ? field_of((*o)->name) : NULL;
    return *o || *f;
}

static int commands_of(const option *o) { return o ? o->commands : PLAN; }

static const char *name_of(const option *o, const grpo_field *f, char *name) {
    return spell(f ? f->name : o->name, name);
}

/* "train and eval": the commands that have it. */
static void write_commands(int which, char *text, size_t room) {
    int i;
    *text = 0;
    for (i = 0; i < COMMANDS; i++)
        if (which & commands[i].command)
            snprintf(text + strlen(text), room - strlen(text), "%s%s", *text ? ", " : "",
                     commands[i].name);
}

/* `grpo help steps`: one option, with the range of a number. */
static void print_one(const option *o, const grpo_field *f) {
    char text[2 * NAME_ROOM], most[32] = "up";
    write_option(o, f, text, sizeof text);
    printf("%s\n    ", text);
    write_meaning(o, f, text, sizeof text);
    words_print(stdout, 4, text);
    if (f && !f->words && f->least < f->most) {
        if (f->most < 1e18) snprintf(most, sizeof most, "to %.10g", f->most);
        printf("    %s from %.10g %s%s\n", f->type == GRPO_FIELD_FLOAT ? "a number"
               : f->type == GRPO_FIELD_SIZE ? "a size, 4G or 500M," : "a whole number", f->least,
               most, f->initial < f->least ? ", or as by default" : "");
    }
    write_commands(commands_of(o), text, sizeof text);
    printf("    an option of: %s\n", text);
}

/* ---------------------------------------------------------------------------- reading them --- */

/* Is this --name of an argument? '_' and '-' are the same. */
static int is_option(const char *argument, const char *name) {
    if (strncmp(argument, "--", 2) != 0) return 0;
    for (argument += 2; *argument && *name; argument++, name++)
        if (*argument != *name && (!strchr("_-", *argument) || !strchr("_-", *name))) return 0;
    return !*argument && !*name;
}

/* A number within bounds; NaN and what follows a number are none. */
static int read_number(const char *text, double least, double most, double *number) {
    char *end;
    *number = strtod(text, &end);
    return end != text && !*end && *number >= least && *number <= most;
}

static int set_option(settings *s, const option *o, const char *value) {
    void *at = (char *)s + o->at;
    const int kind = o->kind;
    double x = 0, least = kind == NUMBER ? -DBL_MAX : kind == SOME;
    double most = kind == NUMBER ? (double)FLT_MAX : 2147483647;
    int good = kind == TEXT;
    if (kind == BYTES) good = (x = words_size(value)) >= 0 && x < (double)SIZE_MAX;
    else if (!good)
        good = read_number(value, least, most, &x) && (kind == NUMBER || x == floor(x));
    if (kind == TEXT) *(const char **)at = value;
    else if (kind == NUMBER) *(float *)at = (float)x;
    else if (good && kind == BYTES) *(size_t *)at = (size_t)x;
    else if (good) *(int *)at = (int)x;
    if (good) return 0;
    say("--%s needs %s, not \"%s\"", o->name, kind == NUMBER ? "a number"
        : kind == BYTES ? "a size such as 500M, 4G or 4Gi" : kind == SOME
        ? "a whole number from 1 up" : "a whole number from 0 up", value);
    return -1;
}

static int is_given(const settings *s, const char *name) {
    const option *o;
    const grpo_field *f;
    char spelled[NAME_ROOM];
    int i;
    for (i = 0; option_at(i, &o, &f); i++)
        if (s->given[i] == 1 && !strcmp(name_of(o, f, spelled), name)) return 1;
    return 0;
}

/* The sentence, and which of these words (blanks between) may have been meant. */
static int complain_of(const char *sentence, const char *typed, const char *words) {
    words_guess g = words_of(typed);
    words_offer_all(&g, words);
    say("%s%s", sentence, words_meant(&g, "", ""));
    return -1;
}

/* A field of the config in the library's words, "learning_rate=1e-4", and its sentences. Those know
 * JSON's numbers alone: "1.", "+2" and "007" are written as it has them. */
static int set_field(settings *s, const char *name, const char *typed) {
    const grpo_field *f = field_of(name);
    const char *value = typed;
    char words[NAME_ROOM], error[GRPO_ERROR_LENGTH], number[32], *end, *rest;
    double x = strtod(value, &end);
    words_guess g;
    const int follows = !strcmp(name, "objective.epsilon") && !is_given(s, "epsilon-high")
                        && s->c.objective.epsilon_high <= s->c.objective.epsilon;
    while ((*value == '0' || *value == '+') && value[1] >= '0' && value[1] <= '9') value++;
    if (f && f->type == GRPO_FIELD_SIZE && words_size(value) < 0) {
        say("--%s needs a size such as 500M, 4G or 4Gi, not \"%s\"", spell(name, words), value);
        return -1;
    }
    if (f && f->type == GRPO_FIELD_SIZE) {
        snprintf(number, sizeof number, "%.17g", floor(words_size(value)));
        value = number;
    } else if (f && !f->words && f->type != GRPO_FIELD_UINT64 && *value && !*end) {
        snprintf(number, sizeof number, "%.17g", x);
        value = number;
    }
    if (!*value || strpbrk(value, " \t\n")) {
        say("--%s \"%s\" is not one value", spell(name, words), typed);
        return -1;
    }
    snprintf(words, sizeof words, "%s=%s", name, value);
    if (!grpo_config_set(&s->c, words, error)) {              /* as in TRL, one that is not said */
        if (follows) s->c.objective.epsilon_high = s->c.objective.epsilon;
        return 0;
    }
    rest = strchr(error + 1, '"');  /* behind "NAME=VALUE", which are an option's here           */
    g = words_of(typed);
    words_offer_all(&g, f && f->words ? f->words : "");
    say("--%s %s%s%s", spell(name, words), typed, rest ? rest + 1 : "", words_meant(&g, "", ""));
    return -1;
}

/* A second reward of a name gets one of its own, for the log. */
static int add_named(settings *s, const char *name, grpo_reward_function function, void *user) {
    char own[GRPO_NAME_LENGTH];
    int i, n = s->c.num_rewards;
    snprintf(own, sizeof own, "%s", name);
    for (i = 0; i < n; i++)
        if (!strcmp(s->c.rewards[i].name, name)) snprintf(own, sizeof own, "%.20s_%d", name, n + 1);
    return grpo_add_reward(&s->c, own, function, 1, user);
}

/* "format:BEGIN...END": the text is cut where it lies, in the program's arguments. */
static int add_format(settings *s, char *text) {
    grpo_format *f = &s->formats[s->c.num_rewards];
    char *dots = strstr(text, "...");
    if (!dots) return complain("--reward format:BEGIN...END needs the three dots");
    if (!strcmp(text, "..."))
        return complain("--reward format:... asks for nothing: give a BEGIN or an END");
    *dots = 0;
    f->prefix = *text ? text : NULL;
    f->suffix = dots[3] ? dots + 3 : NULL;
    return add_named(s, "format", grpo_reward_format, f);
}

static int add_command(settings *s, const char *command) {
    verifier *v = &s->verifiers[s->c.num_rewards];
    grpo_reward *r = &s->c.rewards[s->c.num_rewards];
    char error[JSON_ERROR_LENGTH];
    if (!verifier_open(v, command, error)) return complain(error);
    if (add_named(s, "cmd", NULL, v)) return -1;
    r->batch = verifier_reward;
    return 0;
}

static int add_reward(settings *s, char *name) {
    char error[NAME_ROOM];
    int i;
    if (s->c.num_rewards == GRPO_MAX_REWARDS) return complain("too many rewards");
    for (i = 0; i < BUILT_IN; i++)
        if (built_in[i].function && !strcmp(name, built_in[i].name))
            return add_named(s, name, built_in[i].function, NULL);
    if (!strncmp(name, "format:", 7)) return add_format(s, name + 7);
    if (!strncmp(name, "cmd:", 4)) return add_command(s, name + 4);
    if (!strncmp(name, "overlong:", 9)) {
        int *tokens = &s->overlong[s->c.num_rewards];
        double number;
        if (!read_number(name + 9, 1, 1e9, &number))
            return complain("--reward overlong:N needs a number of tokens");
        *tokens = (int)number;
        return add_named(s, "overlong", grpo_reward_overlong, tokens);
    }
    if (system_exists(name)) {
        say("--reward %s is not known: a program of yours that judges is cmd:PROGRAM", name);
        return -1;
    }
    snprintf(error, sizeof error, "--reward %.100s is not known; `grpo help reward` lists them",
             name);
    return complain_of(error, name, "gsm8k number match countdown repetition format: overlong: "
                       "cmd:");
}

/* --objective: presets, and fields with values. The library's sentence begins with the word that is
 * wrong, in quotes: what was meant is a value of its field, a field, or a preset. */
static int set_objective(settings *s, const char *value) {
    char error[GRPO_ERROR_LENGTH], word[NAME_ROOM], whole[NAME_ROOM], *equals;
    const char *name;
    const grpo_field *f;
    words_guess g;
    int i, field;
    if (!grpo_objective_set(&s->c.objective, value, error)) return 0;
    snprintf(word, sizeof word, "%s", error + 1);
    word[strcspn(word, "\"")] = 0;
    equals = strchr(word, '=');
    if (equals) *equals = 0;
    snprintf(whole, sizeof whole, "objective.%.100s", word);
    f = field_of(whole);
    field = equals && f;
    g = words_of(field ? equals + 1 : word);
    if (field) words_offer_all(&g, f->words ? f->words : "");
    for (i = 0; !field && (f = objective_at(i)) != NULL; i++) {
        snprintf(whole, sizeof whole, "%s%s", f->name + strlen("objective."), equals ? "" : "=X");
        words_offer(&g, whole);
    }
    for (i = 0; !equals && grpo_objective_name(i, &name, NULL); i++) words_offer(&g, name);
    say("--objective: %s%s", error, words_meant(&g, "", ""));
    return -1;
}

static int set_weight(settings *s, const char *value) {
    double weight;
    if (!s->c.num_rewards) return complain("--weight is of the --reward before it: there is none");
    if (!read_number(value, -(double)FLT_MAX, (double)FLT_MAX, &weight))
        return complain("--weight needs a number");
    s->c.rewards[s->c.num_rewards - 1].weight = (float)weight;
    return 0;
}

/* The option of these commands that an argument is: its number (option_at), or -1. */
static int find_option(const char *argument, int which) {
    const option *o;
    const grpo_field *f;
    char name[NAME_ROOM];
    int i;
    for (i = 0; option_at(i, &o, &f); i++)
        if ((commands_of(o) & which) && is_option(argument, name_of(o, f, name))) return i;
    return -1;
}

/* Where `elsewhere` has this argument, or -1. */
static int theirs_at(const char *argument) {
    int k = (int)(sizeof elsewhere / sizeof *elsewhere) - 1;
    while (k >= 0 && !is_option(argument, elsewhere[k].theirs)) k--;
    return k;
}

/* An argument that is no option of these commands: what is wrong with it. */
static int complain_of_option(const char *argument, int which) {
    const option *o;
    const grpo_field *f;
    char name[NAME_ROOM], all[2 * NAME_ROOM], here[NAME_ROOM];
    words_guess g = words_of(argument + strspn(argument, "-"));
    int i = find_option(argument, ALL), k;
    write_commands(which, here, sizeof here);
    if (strncmp(argument, "--", 2) != 0) {
        say("\"%s\" is not understood: an option should stand there, and they begin with --",
            argument);
        return -1;
    }
    if (i >= 0) {
        option_at(i, &o, &f);
        write_commands(commands_of(o), all, sizeof all);
        say("%s is not understood: it is an option of %s, not of %s", argument, all, here);
        return -1;
    }
    if ((k = theirs_at(argument)) >= 0 && elsewhere[k].why) {
        say("%s is not there: %s", argument, elsewhere[k].why);
        return -1;
    }
    snprintf(name, sizeof name, "--%s", k < 0 ? "" : elsewhere[k].ours);
    if (k >= 0 && (i = find_option(name, which)) >= 0) {
        option_at(i, &o, &f);
        write_option(o, f, name, sizeof name);
        write_meaning(o, f, all, sizeof all);
        for (i = 0; all[i]; i++) if (all[i] == '\t') all[i] = ' ';
        say("%s is not understood; here it is %s: %s", argument, name, all);
        return -1;
    }
    for (i = 0; option_at(i, &o, &f); i++)
        if (commands_of(o) & which) words_offer(&g, name_of(o, f, name));
    snprintf(all, sizeof all, "; `grpo help %s` lists them", here);
    say("%s is not understood: %s has no such option%s", argument, here,
        words_meant(&g, "--", all));
    return -1;
}

#ifdef GRPO_MPI
#define PROCESSES_ELSEWHERE "--processes: those of this program are mpirun's, which says how many"
#else
#define PROCESSES_ELSEWHERE "--processes is given twice"      /* the first was taken out before  */
#endif

/* Options are read in three turns, wherever they stand: what run is gone on with, whose settings
 * are taken first; presets of the objective; and all others, which so have the last word. */
enum { RESUMED, PRESETS, OTHERS, TURNS };
static int turn_of(const option *o) {
    return !o ? OTHERS : !strcmp(o->name, "objective") ? PRESETS : one_of("out resume", o->name)
           ? RESUMED : OTHERS;
}

/* One option and its value, if it is its turn; *used says how many arguments that took. */
static int read_option(settings *s, int command, int turn, char **at, int left, int *used) {
    char text[NAME_ROOM];
    const option *o;
    const grpo_field *f;
    size_t n;
    int i = find_option(at[0], command);
    *used = 2;
    if (i < 0) return complain_of_option(at[0], command);
    option_at(i, &o, &f);
    if (o && o->kind == FLAG) *used = 1;
    else if (left < 2 || find_option(at[1], ALL) >= 0) {
        write_option(o, f, text, sizeof text);
        say("%s needs a value: %s%s%s", at[0], text, left < 2 ? "" : "; behind it stands ",
            left < 2 ? "" : at[1]);
        return -1;
    }
    if (turn != turn_of(o)) return 0;
    if (o && !strcmp(o->name, "backend")) return complain("--backend is given twice");
    if (s->given[i] == 1 && o && one_of("data eval", o->name))
        say("%s is given twice, and the last is read: `cat` several files into one", at[0]);
    s->given[i] = 1;
    if (f) return set_field(s, f->name, at[1]);
    if (o->kind != OTHER) return set_option(s, o, o->kind == FLAG ? "1" : at[1]);
    n = strlen(s->judged);
    if (!strcmp(o->name, "reward"))
        snprintf(s->judged + n, sizeof s->judged - n, "%s%s", n ? ", " : "", at[1]);
    if (!strcmp(o->name, "weight"))
        snprintf(s->judged + n, sizeof s->judged - n, " (weight %s)", at[1]);
    if (!strcmp(o->name, "reward")) return add_reward(s, at[1]);
    return !strcmp(o->name, "weight") ? set_weight(s, at[1]) : set_objective(s, at[1]);
}

/* What verifiers may take, wherever among the options it stands. */
static void limit_verifiers(settings *s) {
    verifier *v = s->verifiers, *end = v + s->c.num_rewards;
    for (; v < end; v++) {
        v->seconds = (double)s->verifier_seconds;
        v->cpu_seconds = (int)ceil(fmin(v->seconds, 1e9));
        v->memory = s->verifier_memory;
        v->readable = s->verifier_reads;
        v->must_answer = s->c.num_rewards == 1 ? 2 : 1;
        if (s->verifier_isolated) v->isolate = VERIFIER_MUST;
    }
}

/* Before any of them runs: how far verifiers are isolated, each such sentence once. */
static int check_verifiers(settings *s) {
    int i, k;
    for (i = 0; i < s->c.num_rewards; i++) {
        verifier *v = &s->verifiers[i];
        if (!v->argv[0]) continue;
        if (verifier_check(v)) return complain(v->error);
        for (k = 0; k < i; k++)
            if (s->verifiers[k].argv[0] && !strcmp(s->verifiers[k].warning, v->warning)) break;
        if (k == i) say("%s", verifier_sentence(v));
    }
    return 0;
}

/* --lora-targets, words with commas, into c.lora. */
static int read_targets(settings *s) {
    static const char *const names[GRPO_LORA_TARGETS] = { "q", "k", "v", "o", "gate", "up",
                                                          "down" };
    const char *at = s->lora_targets;
    int i;
    if (at && !*at) return complain("--lora-targets is empty: it is of q,k,v,o,gate,up,down");
    if (at) s->c.lora.targets = 0;
    while (at && *at) {
        size_t n = strcspn(at, ",");
        for (i = 0; i < GRPO_LORA_TARGETS; i++)
            if (strlen(names[i]) == n && !strncmp(at, names[i], n)) break;
        if (i == GRPO_LORA_TARGETS)
            return complain("--lora-targets are of q,k,v,o,gate,up,down, with commas");
        s->c.lora.targets |= 1 << i;
        at += n + (at[n] == ',');
    }
    return 0;
}

/* What is wrong with a value whatever the folder has; a template that is not the folder's is read. */
static int check_values(settings *s) {
    const struct { const char *name; int value; } halved[] = {
        { "processes", s->num_processes }, { "lanes", s->c.lanes } };
    char error[JSON_ERROR_LENGTH];
    int i, good = 1;
    for (i = 0; i < 2; i++) {
        if (!(halved[i].value & (halved[i].value - 1))) continue;
        say("--%s is %d: it must be a power of two", halved[i].name, halved[i].value);
        return -1;
    }
    if (read_targets(s)) return -1;
    if (s->prompt_format) good = chat_plain(&s->chat, s->prompt_format, error);
    else if (s->template_of) good = chat_named(&s->chat, s->template_of, error);
    return good ? 0 : complain(error);
}

static int take_settings(settings *s);

static int read_options(settings *s, int command, int argc, char **argv) {
    int i, turn, used;
    for (turn = 0; turn < TURNS; turn++) {
        for (i = 0; i < argc; i += used)
            if (read_option(s, command, turn, argv + i, argc - i, &used)) return -1;
        if (turn == RESUMED && command == TRAIN && s->resume && s->out && take_settings(s))
            return -1;
    }
    if ((command & RUN) && s->num_processes > 1)
        return complain(PROCESSES_ELSEWHERE);
    if (s->verifier_seconds <= 0) return complain("--verifier-seconds must be more than 0");
    limit_verifiers(s);
    if ((command & RUN) && !s->data) return complain("--data is missing: a file of questions");
    if (command == TRAIN && !s->out) return complain("--out is missing: the folder to write");
    if (strlen(s->model) > PATH_ROOM || (s->out && strlen(s->out) > PATH_ROOM))
        return complain("the name of a folder is too long");
    if (s->dtype && !one_of("f32 bf16 f16", s->dtype))
        return complain_of("--dtype is f32, bf16 or f16", s->dtype, "f32 bf16 f16");
    if ((command & RUN) && !s->c.num_rewards)
        return complain("--reward is missing: gsm8k, match, cmd:./verify ...; see --help");
    if (s->c.objective.equal_rewards == GRPO_EQUAL_RESAMPLE && !s->c.objective.max_resamples)
        return complain("--equal-rewards resample samples a group anew --max-resamples times, "
                        "which is 0: give at least 1");
    if (s->hold_out == 1)
        return complain("--hold-out 1 would hold out every question: 2 or more, or 0");
    if ((command & PLAN) && s->c.num_generations < 2)
        return complain("--num-generations is 1: a completion is compared with the others of its "
                        "question, so there must be 2 at least");
    if (command == TRAIN && s->c.sampling.temperature <= 0)
        return complain("--temperature is 0: all completions of a question would be the same, and "
                        "nothing could be learned from comparing them; 1 is usual");
    if (command == EVAL && s->eval_samples > s->c.num_prompts)        /* sampled together        */
        s->c.num_prompts = s->eval_samples;
    if (command == TRAIN && s->eval_samples > (double)s->c.num_prompts * s->c.num_generations) {
        say("--eval-samples %d are sampled together, and a step has room for %d completions, "
            "--num-prompts %d times --num-generations %d", s->eval_samples,
            s->c.num_prompts * s->c.num_generations, s->c.num_prompts, s->c.num_generations);
        return -1;
    }
    return check_values(s);
}

/* ---------------------------------------------------------------------------- the team ------- */

/* Several processes do all that follows, each for its share of the prompts; the first writes. */

/* The sentence of the first process that has one, in all. */
static int first_said(const settings *s, char *sentence) {
    const grpo_team *t = &s->c.team;
    char other[SAID];
    int d;
    for (d = 1; d < t->size; d *= 2) {
        if (t->exchange(t->user, t->rank ^ d, sentence, other, SAID))
            return complain("another process has ended");
        if (other[0] && (!sentence[0] || (t->rank & d))) memcpy(sentence, other, SAID);
    }
    return 0;
}

/* Where one process has failed all do, and process 0 says why. */
static int agree(const settings *s, int code) {
    char why[SAID] = "";
    if (code) snprintf(why, SAID, "process %d: %.960s", self.rank, self.said);
    if (first_said(s, why)) return -1;
    return !code && why[0] ? complain(why) : code;
}

/* ---------------------------------------------------------------------------- the model ------ */

/* Does the library say that a verifier, of some process, has failed? */
static int is_verifiers(const char *message) {
    const char *end = strstr(message, "\" reported a failure");
    return end && strstr(message, "reward \"");
}

/* What the library says, of all that fails too: below the picture while there is one. */
static void on_message(const char *message, void *user) {
    screen *view = &((settings *)user)->view;
    if (is_verifiers(message)) return;                        /* whose own words follow          */
    if (view->live) screen_note(view, message);
    else say("%s", message);
}

static int file_exists(const char *folder, const char *name) {
    char path[NAME_ROOM];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return system_exists(path);
}

static char *copy_text(const char *s) {
    char *copy = (char *)malloc(strlen(s) + 1);
    return copy ? strcpy(copy, s) : NULL;
}

/* A prompt and its completion must fit into the model's positions. */
static void fit_lengths(grpo_config *c) {
    int most = c->model.max_position_embeddings;
    if (!c->max_prompt_length) return;                        /* fit_talk() chooses it           */
    if ((double)c->max_prompt_length + c->max_completion_length <= most || most < 2) return;
    if (c->max_completion_length > most / 2) c->max_completion_length = most / 2;
    if (c->max_prompt_length > most - c->max_completion_length)
        c->max_prompt_length = most - c->max_completion_length;
    say("the model has %d positions: --max-prompt-length becomes %d, "
        "--max-completion-length %d", most, c->max_prompt_length, c->max_completion_length);
}

/* --adapter's adapter_config.json into c.lora. */
static int read_lora(settings *s) {
    const int rank = s->c.lora.rank;
    if (!s->adapter) return 0;
    if (file_exists(s->adapter, "adapter_config.json")) {
        if (grpo_load_config(&s->c, s->adapter)) return -1;
        if (rank && rank != s->c.lora.rank)
            say("--lora-rank is that of the adapters in %s: %d", s->adapter, s->c.lora.rank);
        return 0;
    }
    say("--adapter %s is no folder of adapters: it has no adapter_config.json", s->adapter);
    return -1;
}

/* A text in a JSON file of a folder, from malloc. NULL: there is none, or, *bad, it cannot be read,
 * and a sentence says why. */
static char *text_of(const char *folder, const char *file, const char *name, int *bad) {
    char path[2 * NAME_ROOM], error[JSON_ERROR_LENGTH], *text, *found = NULL;
    const json_value *v;
    json parsed = { NULL, NULL, 0, 0 };
    size_t length;
    *bad = 0;
    if (!file_exists(folder, file)) return NULL;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    text = json_load(path, &length, error);
    if (!text || !json_parse(&parsed, text, length, path, error)) {
        *bad = complain(error);
        return NULL;
    }
    v = json_find(parsed.values, name);
    if (json_string(v, NULL)) found = copy_text(json_string(v, NULL));
    json_free(&parsed);
    return found;
}

/* MODEL may be adapters that name their model: base_model_name_or_path, which is absolute, or
 * relative to their folder or to where this was started (as PEFT has it). */
static int follow_adapters(settings *s) {
    char *name;
    int bad;
    s->words = s->model;
    if (!file_exists(s->model, "adapter_config.json")
        || (file_exists(s->model, "config.json")
            && (file_exists(s->model, "model.safetensors")
                || file_exists(s->model, "model.safetensors.index.json")))) return 0;
    if (s->adapter) {
        say("%s is adapters, and so is --adapter: name their model instead", s->model);
        return -1;
    }
    name = text_of(s->model, "adapter_config.json", "base_model_name_or_path", &bad);
    if (bad) return -1;
    if (!name || !*name) {
        free(name);
        say("%s is adapters, and its adapter_config.json has no base_model_name_or_path: name "
            "their model, and them by --adapter", s->model);
        return -1;
    }
    if (!system_is_absolute(name)) snprintf(s->base, sizeof s->base, "%s/%s", s->model, name);
    if (system_is_absolute(name) || !file_exists(s->base, "config.json"))
        snprintf(s->base, sizeof s->base, "%s", name);
    free(name);
    if (!file_exists(s->base, "config.json")) {
        say("%s is adapters of %s, which is no model's folder on this machine: name the folder of "
            "their model, and them by --adapter", s->model, s->base);
        return -1;
    }
    printf("%s: adapters of %s\n", s->model, s->base);
    s->adapter = s->model;
    s->model = s->base;
    if (!file_exists(s->words, "tokenizer.json")) s->words = s->base;
    return 0;
}

/* The folder's tokenizer; or the characters that a toy model has in its config.json. */
static int open_words(settings *s) {
    char error[JSON_ERROR_LENGTH];
    grpo_config *c = &s->c;
    int bad;
    if (!file_exists(s->words, "tokenizer.json")) {
        s->vocabulary = text_of(s->model, "config.json", "vocabulary", &bad);
        c->vocabulary = s->vocabulary;
        if (s->vocabulary || bad) return bad;
        say("%s has no tokenizer.json: transformers writes one, by AutoTokenizer."
            "from_pretrained(...).save_pretrained(...)", s->words);
        return -1;
    }
    s->tokens = tokenizer_load(s->words, error);
    if (!s->tokens) return complain(error);
    c->tokenizer = s->tokens;
    c->encode = tokenizer_encode;
    c->decode = tokenizer_decode;
    c->max_token_bytes = tokenizer_longest(s->tokens);
    return 0;
}

static int has_verifier(const settings *s) {
    int i = 0;
    while (i < s->c.num_rewards && !s->verifiers[i].argv[0]) i++;
    return i < s->c.num_rewards;
}

/* An option that changes nothing here is told, not passed over in silence. */
static void tell_idle(const settings *s) {
    const int lora = s->c.lora.rank > 0 || s->adapter, measured = s->asked == EVAL || s->eval
              || s->hold_out, sampled = s->asked != EVAL || s->eval_samples;
    const struct { const char *names; int works; const char *why; } all[] = {
        { "merge lora.alpha lora-targets", lora, "without --lora-rank or --adapter" },
        { "eval-steps eval-questions eval-samples success_reward", measured,
          "without --eval or --hold-out" },
        { "seed", sampled || !strncmp(s->data ? s->data : "", "countdown:", 10),
          "without --eval-samples: the greedy answer is not drawn" },
        { "sampling.temperature sampling.top_k sampling.top_p sampling.min_p", sampled,
          "without --eval-samples: the greedy answer is not drawn" },
        { "hold-out", !s->eval, "beside --eval" },
        { "template template-variables", !s->prompt_format, "beside --prompt-format" },
        { "ref_model_mixup_alpha", s->c.ref_model_sync_steps > 0,
          "without --ref-model-sync-steps" },
        { "verifier-seconds verifier-memory verifier-reads verifier-must-be-isolated",
          has_verifier(s), "without a verifier, --reward cmd:" } };
    char name[NAME_ROOM];
    size_t k;
    int i;
    for (k = 0; k < sizeof all / sizeof *all; k++)
        for (i = 0; i < OPTIONS && !all[k].works; i++)
            if (s->given[i] == 1 && one_of(all[k].names, options[i].name))
                say("--%s does nothing %s", spell(options[i].name, name), all[k].why);
}

/* The folder's config.json and tokenizer, before any memory is taken for weights. */
static int open_folder(settings *s) {
    grpo_config *c = &s->c;
    int more;
    c->log = on_message;
    c->user = s;
    if (!file_exists(s->model, ".")) {
        const char *why = strerror(errno), *end = strrchr(s->model, '.');
        say("the folder %s cannot be opened: %s. It is to be one as Hugging Face has them, on this "
            "machine%s", s->model, why, end && !strcmp(end, ".gguf") ? "; gguf2hf makes one of a "
            ".gguf file" : strchr(s->model, '/') ? "; `hf download` fetches one, --local-dir says "
            "where to" : "");
        return -1;
    }
    if (follow_adapters(s) || open_words(s)) return -1;
    if (grpo_load_config(c, s->model)) return -1;             /* on_message has said why         */
    tell_idle(s);
    if (read_lora(s)) return -1;
    if (*s->base && s->resume && system_is_same(s->adapter, s->out))
        s->adapter = NULL;          /* MODEL is what --resume goes on with                       */
    more = s->tokens ? tokenizer_cut_off(s->tokens, c->model.vocab_size) : 0;
    if (more)
        say("%s: added tokens from id %d on (%d of them, of tokenizer_config.json and the like) "
            "are beyond config.json's vocab_size and read as text", s->words, c->model.vocab_size,
            more);
    if (s->tokens && tokenizer_size(s->tokens) > c->model.vocab_size) {
        say("%s: tokenizer.json has %d tokens, config.json's vocab_size is %d: "
            "they are not of the same model", s->words, tokenizer_size(s->tokens),
            c->model.vocab_size);
        return -1;
    }
    fit_lengths(c);
    return 0;
}

/* A token that ends an answer, and is what an answer ought to end with. */
static void add_end(grpo_config *c, int id) {
    int i = 0;
    while (i < c->num_eos && c->eos_token_ids[i] != id) i++;
    if (i == c->num_eos && i < GRPO_MAX_EOS) c->eos_token_ids[c->num_eos++] = id;
    c->eos_token_id = id;
}

/* What reads as a marker of the template ought to be one token, and so ought each end of an answer.
 * Some models were trained otherwise (Zephyr's <|user|> is text), so it is said and not refused. */
static void check_markers(const settings *s, const char *const *stops, int num_stops) {
    static const chat_turn turns[] = { { "user", "?" }, { "assistant", "." }, { "user", "?" } };
    char error[JSON_ERROR_LENGTH], list[400];
    chat_text text = { NULL, 0, 0 };
    int i, ends = 0;
    if (s->prompt_format) return;
    if (!chat_render(&s->chat, s->system, turns, 3, 1, &text, error)
        && !chat_render(&s->chat, s->system, turns, 1, 1, &text, error)) return;
    for (i = 0; i < num_stops; i++) ends += tokenizer_id(s->tokens, stops[i]) >= 0;
    if (text.text && tokenizer_broken(s->tokens, text.text, list, sizeof list))
        say("markers of the chat template that are not one token of %s each: %s. They are read as "
            "text, which is right only if the model was trained so: is the template another "
            "model's, or are added tokens missing?", s->model, list);
    if (num_stops && !ends)
        say("the chat template ends an answer with %s, which is no token of %s: answers end where "
            "config.json says", stops[0], s->model);
    chat_text_free(&text);
}

/* The template has to write whatever is said; one that tells the day tells always the same, so that
 * a run can be repeated. One that refuses a single question may yet be right for the conversations
 * of the data: the first of these will tell. */
static int check_template(settings *s) {
    static const chat_turn turn = { "user", "?" },
                           talk[] = { { "user", "?" }, { "assistant", "." }, { "user", "?" } };
    char error[JSON_ERROR_LENGTH];
    chat_text today = { NULL, 0, 0 }, kept = { NULL, 0, 0 };
    if (!chat_check(&s->chat, s->system, &turn, 1, error)) return complain(error);
    if (!s->data && !chat_check(&s->chat, s->system, talk, 3, error)) complain(error);
    if (!chat_render(&s->chat, s->system, &turn, 1, 1, &today, error) && !s->data) {
        say("the chat template of %s: %s", s->words, error);
        return -1;
    }
    chat_keep_day(&s->chat);
    chat_render(&s->chat, s->system, &turn, 1, 1, &kept, error);
    if (today.text && kept.text && strcmp(today.text, kept.text) != 0)
        say("the chat template tells the day: it is always 26 July 2024, so that a run can be "
            "repeated");
    chat_text_free(&today);
    chat_text_free(&kept);
    return 0;
}

/* --template-variables, an object, into chat.variables, which are its members. */
static int read_variables(settings *s) {
    static const char *const taken[] = { "messages", "tools", "documents",
                                         "add_generation_prompt", "bos_token", "eos_token" };
    const char *known = s->chat.variables;
    char name[64];
    const size_t room = s->variables ? strlen(s->variables) + (known ? strlen(known) : 0) + 3 : 0;
    char error[JSON_ERROR_LENGTH], *text = s->variables ? copy_text(s->variables) : NULL;
    json parsed = { NULL, NULL, 0, 0 };
    size_t i;
    int code = 0;
    if (!text) return s->variables ? complain("out of memory") : 0;
    if (!json_parse(&parsed, text, strlen(text), "--template-variables", error))
        return complain(error);
    if (!json_is(parsed.values, JSON_OBJECT))
        code = complain("--template-variables is an object: '{\"enable_thinking\": false}'");
    snprintf(name, sizeof name, "%.*s", known ? (int)strcspn(known + 1, "\"") : 0,
             known ? known + 1 : "");
    if (json_find(parsed.values, name)) known = NULL;         /* another instead of it           */
    for (i = 0; i < sizeof taken / sizeof *taken && !code; i++)
        if (json_find(parsed.values, taken[i])) {
            say("--template-variables: %s is what this program gives the template", taken[i]);
            code = -1;
        }
    s->members = (char *)malloc(room);
    if (!code && !s->members) code = complain("out of memory");
    if (!code && json_first(parsed.values)) {
        snprintf(s->members, room, "%s%s%s", known ? known : "", known ? ", " : "",
                 strchr(s->variables, '{') + 1);
        *strrchr(s->members, '}') = 0;
        s->chat.variables = s->members;
    }
    json_free(&parsed);
    return code;
}

/* How it is asked, and by which tokens its answers end: those of the folder, and the template's. */
static int open_chat(settings *s) {
    char error[JSON_ERROR_LENGTH];
    const char *stops[CHAT_STOPS] = { NULL };
    int i, id, good, n;
    if (s->prompt_format || s->template_of) good = 1;         /* check_values() has read it      */
    else if (s->vocabulary) good = chat_plain(&s->chat, "{question}", error);
    else good = chat_recognise(&s->chat, s->words, error);
    if (!good) return complain(error);
    if (read_variables(s)) return -1;
    if (s->vocabulary) return 0;    /* its last token, of no character, ends an answer           */
    if (check_template(s)) return -1;
    n = chat_stops(&s->chat, stops);
    check_markers(s, stops, n);
    for (i = n - 1; i >= 0; i--)
        if ((id = tokenizer_id(s->tokens, stops[i])) >= 0) add_end(&s->c, id);
    for (i = 0; i < s->c.num_eos || i == 0; i++) {
        id = s->c.num_eos ? s->c.eos_token_ids[i] : s->c.eos_token_id;
        if (id >= 0 && !tokenizer_has(s->tokens, id))
            say("%s: config.json or generation_config.json ends answers with token %d, which its "
                "tokenizer does not have", s->model, id);
    }
    if (s->c.eos_token_id >= 0) return 0;
    return complain("neither config.json, generation_config.json nor the template names a token "
                    "that ends an answer");
}

/* A talk in the model's words, from malloc; NULL with a sentence on stderr. */
static char *render(const settings *s, const chat_turn *turns, int n) {
    char error[JSON_ERROR_LENGTH];
    chat_text text = { NULL, 0, 0 };
    if (chat_render(&s->chat, s->system, turns, n, 1, &text, error)) return text.text;
    say("the chat template of %s: %s", s->words, error);
    chat_text_free(&text);
    return NULL;
}

/* ---------------------------------------------------------------------------- questions ------ */

typedef struct task {               /* questions, as the policy is asked them                    */
    questions list;
    grpo_prompt *prompts;           /* [count] of those that are short enough                    */
    int count, left_out;
} task;

static void forget_prompt(grpo_prompt *p) {
    free((void *)(uintptr_t)p->text);
    free((void *)(uintptr_t)p->tokens);
}

static void free_task(task *t) {
    int i;
    for (i = 0; i < t->count; i++) forget_prompt(&t->prompts[i]);
    free(t->prompts);
    questions_free(&t->list);
    memset(t, 0, sizeof *t);
}

/* A text's tokens where each is a character of the vocabulary, from malloc. */
static int *characters_of(const char *vocabulary, const char *text, int *count) {
    int *tokens = (int *)malloc((strlen(text) + 1) * sizeof *tokens);
    size_t n;
    *count = 0;
    for (; tokens && *text; text += n) {
        const char *at = vocabulary;
        int i = 0;
        for (n = 1; (text[n] & 0xC0) == 0x80; n++) {}
        for (; *at && strncmp(at, text, n) != 0; i++)
            for (at++; (*at & 0xC0) == 0x80; at++) {}
        if (!*at) {
            say("\"%.*s\" is none of the characters that this model has: %s", (int)n, text,
                vocabulary);
            free(tokens);
            return NULL;
        }
        tokens[(*count)++] = i;
    }
    return tokens;
}

/* A rendered text's tokens, from malloc. A template has written begin-of-text where it should
 * stand; in front of a format it is put where the model wants one. */
static int *tokens_of(const settings *s, const char *text, int *count) {
    int bos = -1, n, *tokens;
    if (s->vocabulary) return characters_of(s->vocabulary, text, count);
    if (s->prompt_format) bos = tokenizer_bos(s->tokens);
    n = tokenizer_encode(s->tokens, text, NULL, 0);
    tokens = n < 0 ? NULL : (int *)malloc(((size_t)n + 1) * sizeof *tokens);
    if (!tokens) return NULL;
    tokenizer_encode(s->tokens, text, tokens + 1, n);
    tokens[0] = bos;
    *count = n + 1;
    if (bos >= 0 && (n == 0 || tokens[1] != bos)) return tokens;
    memmove(tokens, tokens + 1, (size_t)n * sizeof *tokens);
    *count = n;
    return tokens;
}

/* A question's text for the model, from malloc. A conversation has all its turns, and its own
 * system message if it has one. NULL with a sentence. */
static char *render_question(const settings *s, const questions_item *q) {
    const char *system = q->turns && !strcmp(q->turns[0].role, "system") ? q->turns[0].text : NULL;
    const int own = system != NULL, n = q->turns ? q->num_turns - own : 1;
    char error[JSON_ERROR_LENGTH];
    chat_turn *turns = (chat_turn *)malloc((size_t)n * sizeof *turns);
    const char **thoughts = (const char **)malloc((size_t)n * sizeof *thoughts);
    chat_text text = { NULL, 0, 0 };
    int i, good = turns && thoughts;
    for (i = 0; good && i < n; i++) {
        turns[i].role = q->turns ? q->turns[own + i].role : "user";
        turns[i].text = q->turns ? q->turns[own + i].text : q->text;
        thoughts[i] = q->turns ? q->turns[own + i].thought : NULL;
    }
    if (!own) system = s->system;
    if (!good) complain("out of memory");
    else if (q->turns && !chat_check(&s->chat, system, turns, n, error)) complain(error);
    else if (!chat_render_thoughts(&s->chat, system, turns, thoughts, n, 1, &text, error)) {
        say("the chat template of %s: %s", s->words, error);
        chat_text_free(&text);
    }
    free(turns);
    free(thoughts);
    return text.text;
}

/* Question i as a prompt. 1: done; 0: it is too long; -1: it cannot be. */
static int ask(settings *s, const task *t, int i, grpo_prompt *p) {
    const questions_item *q = &t->list.items[i];
    int fits;
    memset(p, 0, sizeof *p);
    p->text = render_question(s, q);
    if (!p->text) return -1;
    p->tokens = tokens_of(s, p->text, &p->num_tokens);
    p->answer = q->answer;
    p->data = q;
    if (p->tokens && p->num_tokens <= s->c.max_prompt_length) return 1;
    fits = p->tokens ? 0 : s->vocabulary ? -1
         : complain("a question cannot be made tokens: out of memory");
    forget_prompt(p);
    return fits;
}

/* Appends what --data or --eval names; puzzles held out are none of the others. */
static int read_questions(const settings *s, const char *source, int held_out, questions *q) {
    char error[JSON_ERROR_LENGTH];
    questions_countdown_rule rule = { 0, 3, 1, 20, 0, 0 };
    rule.held_out = held_out;
    rule.seed = s->c.seed;
    if (s->c.team.size > 1 && (!strcmp(source, "-") || !strncmp(source, "/dev/", 5)))
        return complain("several processes cannot read one pipe: give the questions in a file");
    if (strncmp(source, "countdown:", 10) != 0)
        return questions_read(q, source, s->question, s->answer, error) ? 0 : complain(error);
    if (sscanf(source + 10, "%d:%d:%d", &rule.count, &rule.numbers, &rule.high) < 1)
        return complain("countdown:COUNT needs a number of questions");
    return questions_countdown(q, &rule, error) ? 0 : complain(error);
}

/* What a reward that compares with the answer makes of question i's own answer; NaN: it will say
 * nothing of any completion. */
static float own_answer(const grpo_reward *r, const grpo_prompt *p) {
    grpo_sample known;
    memset(&known, 0, sizeof known);
    known.prompt = p->text;
    known.completion = p->answer ? p->answer : "";
    known.answer = p->answer;
    known.data = p->data;
    return r->function(&known, r->user);
}

/* Questions that a built-in reward can say nothing of would be asked in vain: told once, with how
 * many, and left out, unless other rewards count without it. 0; -1: none is left. */
static int leave_out_unjudged(const settings *s, const char *source, task *t) {
    const int together = s->c.objective.combine == GRPO_COMBINE_REWARDS;
    char first[SAID], judged[24];
    int i, k, n;
    for (k = 0; k < s->c.num_rewards; k++) {
        const grpo_reward *r = &s->c.rewards[k];
        const char *wants = NULL, *answer = "";
        const int out = together || s->c.num_rewards == 1, all = t->count;
        for (i = 0; i < BUILT_IN; i++)
            if (r->function && built_in[i].function == r->function) wants = built_in[i].wants;
        for (i = n = 0; wants && i < all; i++) {
            const grpo_prompt p = t->prompts[i];
            const float said = own_answer(r, &p);
            if (said != said && !n++) answer = p.answer;
            if (said != said && out) forget_prompt(&t->prompts[i]), t->count--;
            else t->prompts[i - (out ? n : 0)] = p;
        }
        if (!wants || !n) continue;
        snprintf(first, sizeof first, answer ? "the answer \"%.60s\"" : "no answer", answer);
        snprintf(judged, sizeof judged, n < all ? "%d" : "none", all - n);
        say("--reward %s can judge %s of %d questions of %s: it wants %s, and %s has %s%s", r->name,
            judged, all, source, wants, n < all ? "another" : "the first", first, n == all
            ? ". --answer names the answer's field" : out ? "; such questions are left out"
            : "; such questions have their other rewards alone");
        if (n == all) return -1;
    }
    return 0;
}

/* The task's questions as prompts, in the model's words, that can be judged. */
static int prepare_task(settings *s, const char *source, task *t) {
    int i, n = t->list.count, code = 1, shortest = INT_MAX;
    char nothing[64];
    if (s->limit > 0 && s->limit < n) n = s->limit;
    t->prompts = (grpo_prompt *)calloc((size_t)n + 1, sizeof *t->prompts);
    for (i = 0; i < n && t->prompts && code >= 0; i++) {
        code = ask(s, t, i, &t->prompts[t->count]);
        if (!code && t->prompts[t->count].num_tokens < shortest)
            shortest = t->prompts[t->count].num_tokens;
        t->count += code == 1;
        t->left_out += code == 0;
    }
    snprintf(nothing, sizeof nothing, ": none is left; the shortest has %d tokens", shortest);
    if (code < 0) say("that is question %d of %s", i, source);
    if (code < 0 || !t->prompts) return -1;
    if (t->left_out)
        say("%d of %d questions of %s are longer than --max-prompt-length %d%s",
            t->left_out, n, source, s->c.max_prompt_length, t->count ? " and left out" : nothing);
    return t->count ? leave_out_unjudged(s, source, t) : -1;
}

/* The user's verifiers on answers that are known, before the weights are loaded: a few questions,
 * the completion of each its own answer. What rewards none of these will reward none later. */
static int try_verifiers(settings *s, const task *t) {
    grpo_sample known[TRIED];
    float rewards[TRIED];
    char given[40 * TRIED];
    int i, k, n = 0, right, at, best;
    memset(known, 0, sizeof known);
    for (i = 0; i < t->count && n < TRIED; i++) {
        if (!t->prompts[i].answer) continue;
        known[n].prompt = t->prompts[i].text;
        known[n].completion = known[n].answer = t->prompts[i].answer;
        known[n++].data = t->prompts[i].data;
    }
    for (i = 0; i < s->c.num_rewards; i++) {
        verifier *v = &s->verifiers[i];
        if (!v->argv[0]) continue;
        if (!n) {
            say("the verifier is not tried first: the questions have no answers");
            return 0;
        }
        if (verifier_try(v, known, n, rewards)) return complain(v->error);
        for (k = at = right = best = 0; k < n; k++) {
            right += rewards[k] > 0 || rewards[k] < 0;
            if (isnan(rewards[best]) || rewards[k] > rewards[best]) best = k;
            at += snprintf(given + at, sizeof given - (size_t)at,
                           isnan(rewards[k]) ? " null" : " %g", (double)rewards[k]);
        }
        say("the verifier gives the answers of %d questions%s%s", n, given, right ? ""
            : ": is that right? They were its completions, as they stand in the data");
        if (right && i == 0 && rewards[best] < s->c.success_reward)
            say("no known answer reaches --success-reward %g, so no answer will count as right: "
                "--success-reward %g?", (double)s->c.success_reward, (double)rewards[best]);
        if (v->error[0]) complain(v->error);
    }
    return 0;
}

/* ---------------------------------------------------------------------------- folders -------- */

/* generation_config.json, which transformers obeys, with the ends of answers of config.json. */
static int write_generation(FILE *file, const json_value *of, const grpo_config *c) {
    const json_value *v;
    int i;
    fprintf(file, "{\n  \"eos_token_id\": %s%d", c->num_eos ? "[" : "", c->eos_token_id);
    for (i = 0; i < c->num_eos; i++)
        if (c->eos_token_ids[i] != c->eos_token_id) fprintf(file, ", %d", c->eos_token_ids[i]);
    fputs(c->num_eos ? "]" : "", file);
    for (v = json_first(of); v; v = json_next(of, v)) {
        if (!strcmp(v->key, "eos_token_id")) continue;
        fputs(",\n  ", file);
        json_write(file, v->key, v->key_length);
        fputs(": ", file);
        json_write_value(file, v);
    }
    fputs("\n}\n", file);
    return !ferror(file);
}

/* Byte for byte (but for the ends of answers, where they are given), by way of NAME.tmp; what is
 * not there is not missed. */
static int copy_file(const char *from, const char *to, const char *name, const grpo_config *ends) {
    char source[NAME_ROOM], target[NAME_ROOM], part[NAME_ROOM], error[JSON_ERROR_LENGTH];
    size_t length;
    json parsed = { NULL, NULL, 0, 0 };
    char *text;
    FILE *file;
    int done;
    snprintf(source, sizeof source, "%s/%s", from, name);
    snprintf(target, sizeof target, "%s/%s", to, name);
    snprintf(part, sizeof part, "%s/%s.tmp", to, name);
    if (!file_exists(from, name)) return 0;
    text = json_load(source, &length, error);
    if (!text || (ends && !json_parse(&parsed, text, length, source, error)))
        return complain(error);
    file = system_open(part, "wb");
    done = file && (ends ? write_generation(file, parsed.values, ends)
                         : fwrite(text, 1, length, file) == length);
    if (file && fclose(file)) done = 0;
    if (ends) json_free(&parsed);
    else free(text);
    if (done && !system_replace(part, target)) return 0;
    say("%s cannot be written: %s", target, strerror(errno));
    system_remove(part);
    return -1;
}

static int make_folder(const char *name) {
    if (!system_make_folder(name)) return 0;
    say("the folder %s cannot be made: %s", name, strerror(errno));
    return -1;
}

/* What transformers and others want beside the weights. */
static const char *const companions[] = {
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja" };

/* The folder of a run. Two that write one spoil both: the second is refused. A lock ends with its
 * run. Where nothing was learned, what the run has put there is removed again. */
enum { PUT = (int)(sizeof companions / sizeof *companions) + 3 };
static struct {
    int lock;                       /* less than 0: none, or it is another's                     */
    int is_new, trained;            /* before this run; has it a checkpoint?                     */
    int nothing;                    /* was learned so far, by it or before                       */
    char aside[2][2][NAME_ROOM];    /* of a run without a checkpoint: its files, as now called   */
    char folder[NAME_ROOM], lock_file[NAME_ROOM], put[PUT][NAME_ROOM];
    char saved[2 * NAME_ROOM];      /* a sentence: what there is of the run                      */
} home = { -1, 0, 0, 1, { { "" } }, "", "", { "" }, "" };

static int lock_folder(const char *folder) {
    static const char *const others[] = { "generation_config.json", "settings.jsonl", "log.jsonl" };
    char process[40] = "";
    long holder;
    int i;
    snprintf(home.lock_file, NAME_ROOM, "%s/training.lock", folder);
    home.lock = system_lock(home.lock_file, &holder);
    if (home.lock == -1)
        say("nothing can be written to %s: %s", folder, strerror(errno));
    else if (home.lock < 0) {
        if (holder) snprintf(process, sizeof process, " (process %ld)", holder);
        say("%s is being written by another run%s: wait for it, end it, or "
            "choose another --out", folder, process);
    }
    for (i = 0; i < PUT && home.lock >= 0; i++) {
        const char *name = i < PUT - 3 ? companions[i] : others[i - PUT + 3];
        if (!file_exists(folder, name))
            snprintf(home.put[i], NAME_ROOM, "%.*s/%s", PATH_ROOM, folder, name);
    }
    return home.lock < 0 ? -1 : 0;
}

/* A run that has ended before its first checkpoint has left a log and settings, which are not those
 * of the one that begins: they are kept, as log.before.jsonl, or log.before2.jsonl ... 0, or -1. */
static int put_aside(const char *folder) {
    static const char *const names[] = { "log", "settings" };
    char from[NAME_ROOM], to[NAME_ROOM], number[16] = "";
    int i, n = 1;
    for (i = 0; i < 2; i++) {
        snprintf(from, sizeof from, "%.*s/%s.jsonl", PATH_ROOM, folder, names[i]);
        if (!system_exists(from)) continue;
        while (snprintf(to, sizeof to, "%.*s/%s.before%s.jsonl", PATH_ROOM, folder, names[i],
                        number), system_exists(to))
            snprintf(number, sizeof number, "%d", ++n);
        if (system_replace(from, to)) {
            say("%s cannot be renamed: %s", from, strerror(errno));
            return -1;
        }
        memcpy(home.aside[i][0], from, NAME_ROOM);
        memcpy(home.aside[i][1], to, NAME_ROOM);
        if (i == 0) say("%s has the log of a run that ended before its first checkpoint: it is %s "
                        "now", folder, to);
    }
    return 0;
}

/* What there is of a run that has failed or was interrupted, and how to go on. */
static const char *tell_saved(const settings *s) {
    home.nothing = !s->learned && !home.trained;
    if (s->saved && s->saved >= s->steps)
        snprintf(home.saved, sizeof home.saved, "all %d steps are saved in %s%s", (int)s->saved,
                 s->out, s->measured || (!s->eval && !s->hold_out) ? ""
                 : "; \"held out, after\" was not measured: --resume measures it");
    else if (s->saved)
        snprintf(home.saved, sizeof home.saved, "%s has the run up to step %d; --resume goes on "
                 "from there", s->out, (int)s->saved);
    else
        snprintf(home.saved, sizeof home.saved, s->learned ? "nothing is saved in %s yet: begin "
                 "again" : "nothing was learned, and %s is as it was", s->out);
    return home.saved;
}

/* At the end, also at once, by a signal: leaves no lock, and nothing where nothing was learned. */
static void leave_folder(void) {
    int i;
    if (home.lock >= 0) system_unlock(home.lock_file, home.lock);
    home.lock = -1;
    for (i = 0; i < PUT && home.nothing; i++) if (home.put[i][0]) system_remove(home.put[i]);
    for (i = 0; i < 2 && home.nothing; i++)
        if (home.aside[i][1][0]) system_replace(home.aside[i][1], home.aside[i][0]);
    if (home.nothing && home.is_new && !self.rank) system_remove_folder(home.folder);
}

/* A file of another model that would stay in OUT is not left to be read with the result. */
static int is_stale(const settings *s, const char *of, const char *name) {
    if (file_exists(of, name) || !file_exists(s->out, name)) return 0;
    say("%s has %s, which %s has not: the result would be read by it. Choose another --out, or "
        "remove it", s->out, name, of);
    return 1;
}

static int copy_companions(const settings *s) {
    size_t i, count = sizeof companions / sizeof *companions;
    if (is_stale(s, s->model, "generation_config.json")) return -1;
    for (i = 0; i < count; i++) if (is_stale(s, s->words, companions[i])) return -1;
    for (i = 0; i < count; i++)
        if (copy_file(s->words, s->out, companions[i], NULL)) return -1;
    return copy_file(s->model, s->out, "generation_config.json", &s->c);
}

/* ---- OUT/settings.jsonl: what a run was told, a line at each start. --resume compares */

/* Files and folders are called so that they are found from wherever the run is gone on with. */
static const char *whole_path(const char *name, const char *text, char *room) {
    const char *whole = one_of("MODEL data eval adapter", name) && system_exists(text)
                      ? system_absolute(text, room, NAME_ROOM) : NULL;
    return whole ? whole : text;
}

/* Setting i as text, its name, and whether the run is the same without it; NULL after the last. The
 * name is "" of what is the machine's or this start's, and none of the run's. */
static const char *setting_at(const settings *s, int i, const char **name, int *same, char *room) {
    static const char never[] = "out resume processes reward weight objective backend threads "
        "memory_budget rollout_batch_prompts micro_batch_prompts";
    static const char follows[] = "steps save-steps eval eval-steps eval-questions eval-samples "
        "sample-steps dtype merge verifier-seconds verifier-memory verifier-reads";
    static char spelled[NAME_ROOM];
    const option *o = NULL;
    const grpo_field *f = NULL;
    *name = i == 0 ? "MODEL" : "reward";
    *same = 0;
    if (i < 2) return i == 0 ? whole_path(*name, s->model, room) : s->judged;
    if (!option_at(i - 2, &o, &f)) return NULL;
    *name = "";
    if (o && (!(o->commands & TRAIN) || one_of(never, o->name))) return *name;
    *name = name_of(o, f, spelled);
    *same = o && one_of(follows, o->name)                     /* but the rate may go by steps    */
            && (strcmp(o->name, "steps") != 0 || !s->c.lr_scheduler_type);
    return whole_path(*name, value_of(s, o, f, room), room);
}

static int record_settings(const settings *s, int step) {
    char path[NAME_ROOM], room[NAME_ROOM];
    const char *name, *text;
    FILE *file;
    int i, bad, same;
    snprintf(path, sizeof path, "%s/settings.jsonl", s->out);
    file = report_append(path);
    if (file) fprintf(file, "{\"step\": %d", step);
    for (i = 0; file && (text = setting_at(s, i, &name, &same, room)) != NULL; i++) {
        if (!*name) continue;
        fprintf(file, ", \"%s\": ", name);
        json_write(file, text, strlen(text));
    }
    if (file) fputs("}\n", file);
    bad = !file || ferror(file);
    if (file && fclose(file)) bad = 1;
    if (bad) say("%s cannot be written: %s", path, strerror(errno));
    return bad ? -1 : 0;
}

/* The last whole line of settings.jsonl. */
static json last_settings(const settings *s) {
    json last = { NULL, NULL, 0, 0 }, next;
    char path[NAME_ROOM], error[JSON_ERROR_LENGTH], *text, *line, *end, *copy;
    size_t length;
    snprintf(path, sizeof path, "%s/settings.jsonl", s->out);
    text = json_load(path, &length, error);
    for (line = text; line && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = 0;
        copy = copy_text(line);
        if (!copy || !json_parse(&next, copy, strlen(copy), NULL, error)) continue;
        json_free(&last);
        last = next;
    }
    free(text);
    return last;
}

/* --resume: what is not on this command line is as the run had it. */
static int take_settings(settings *s) {
    char room[NAME_ROOM];
    const option *o;
    const grpo_field *f;
    const char *name, *was, *text;
    int i, same, code = 0;
    if (!file_exists(s->out, "trainer_state.safetensors")) return 0;
    s->before = last_settings(s);
    for (i = 2; !code && (text = setting_at(s, i, &name, &same, room)) != NULL; i++) {
        was = json_string(json_find(s->before.values, name), text);
        if (!strcmp(was, text) || !strcmp(name, "adapter")) continue;
        option_at(i - 2, &o, &f);
        s->given[i - 2] = 2;
        code = f ? set_field(s, f->name, was) : set_option(s, o, was);
    }
    return code;
}

/* MODEL is the adapters that --resume goes on with: --adapter is as it was when they were begun. */
static void keep_adapter(settings *s) {
    s->adapter = json_string(json_find(s->before.values, "adapter"), "");
    if (!*s->adapter) s->adapter = NULL;
}

/* A setting that has changed takes effect from here on, and is told; or it cannot, and is refused:
 * what is drawn, where coefficients that adapt stand, and whether there is a reference, is the
 * state's. What was taken from the run is told too. */
static int compare_settings(const settings *s) {
    const grpo_objective *j = &s->c.objective;
    char room[NAME_ROOM], taken[SAID + 2 * NAME_ROOM] = "";
    const char *name, *was, *text;
    int i, same, code = 0;
    for (i = 0; (text = setting_at(s, i, &name, &same, room)) != NULL; i++) {
        int refused = one_of("seed adapter lora-rank lora-targets", name)
                      || (!strcmp(name, "entropy-coef") && j->entropy_target > 0);
        was = json_string(json_find(s->before.values, name), text);
        if (!strcmp(name, "beta")) refused = j->kl_target > 0 || atof(was) == 0;
        if (i >= 2 && s->given[i - 2] == 2 && !strcmp(was, text) && strlen(taken) < SAID)
            snprintf(taken + strlen(taken), 2 * NAME_ROOM, "%s--%s %s",
                     *taken ? ", " : "", name, text);
        if (same || !strcmp(was, text) || (!i && system_is_same(was, text))) continue;
        if (refused) code = -1;
        say("%s%s is %s, and was %s in the run that --resume goes on with%s", i ? "--" : "", name,
            *text ? text : "not given", *was ? was : "not given", refused
            ? ": that cannot change, so give it as it was" : ", which it changes from here on");
    }
    if (*taken) say("as in the run that --resume goes on with: %s", taken);
    return code;
}

/* ---------------------------------------------------------------------------- training ------- */

/* The first Ctrl-C ends the step under way, a second one the program, which leaves no lock and says
 * what there is of the run; but not while a folder is being written: then it waits for that. In a
 * talk it ends an answer, and at the prompt the program. What it says stands where the cursor is;
 * below a picture it begins at the left, and the next picture goes over it. */
enum { BEGINNING, STEPPING, ASKING, SAVING, ANSWERING, AT_PROMPT };
static volatile sig_atomic_t interrupted, below_picture, doing;
static void on_interrupt(int signal_number) {
    static const char *const lines[] = {
        "\rending when all is loaded (Ctrl-C: now)\n",
        "\rending after this step (Ctrl-C: now)\n",
        "\rending after these questions (Ctrl-C: now)\n", "\rending when this is saved\n", "\r" };
    const char *line = lines[doing == AT_PROMPT ? ANSWERING : doing];
    int before = errno;
    if (doing == AT_PROMPT) _exit(0);                         /* as by Ctrl-D                    */
    if (interrupted && doing != SAVING) {
        leave_folder();
        if (!self.rank && home.saved[0] && (write(2, "\r", below_picture ? 1 : 0) < 0
            || write(2, home.saved, strlen(home.saved)) < 0 || write(2, "\n", 1) < 0)) return;
        signal(signal_number, SIG_DFL);
        raise(signal_number);       /* it ends us when this returns                              */
        return;
    }
    interrupted = signal_number;
    if (!self.rank && write(2, line + !below_picture, strlen(line) - 1) < 0) return;
    errno = before;
}

/* ---- what takes long has a line, by a timer, as the library has the processor meanwhile: of files
 * the share of their bytes, which the system counts; of batches those that are done, and of that
 * under way what it should have come to if it goes as they did */
static struct {
    screen *view;
    double from, bytes;             /* of files; 0: batches                                      */
    int written;
    double done, batch, rate, began;          /* shares; seconds of all of it, as far as known   */
} waiting;

static void on_timer(int signal_number) {
    int before = errno;
    double share = waiting.done, more;
    (void)signal_number;
    if (waiting.bytes > 0) share = (system_moved(waiting.written) - waiting.from) / waiting.bytes;
    else if (waiting.rate > 0) {
        more = (system_seconds() - waiting.began) / waiting.rate;
        share += more < 0.95 * waiting.batch ? more : 0.95 * waiting.batch;
    }
    if (waiting.view) screen_wait(waiting.view, share);
    errno = before;
}

static void wait_begin(settings *s, const char *what) {
    memset(&waiting, 0, sizeof waiting);
    screen_begin(&s->view, what);
    waiting.view = &s->view;
    system_every(200, on_timer);
}

static void wait_end(settings *s) {
    system_every(0, NULL);
    waiting.view = NULL;
    screen_done(&s->view);
}

/* The batch of shares that begins now; what has been done is the measure. */
static void wait_batch(settings *s, double done, double batch) {
    double now = system_seconds();
    if (done > 0) waiting.rate = (now - s->view.waiting.began) / done;
    waiting.done = done;
    waiting.batch = batch;
    waiting.began = now;
}

static void move_begin(settings *s, const char *what, double bytes, int written) {
    char line[100], size[32];
    snprintf(line, sizeof line, "%s %sB", what, words_write_size(bytes, size));
    wait_begin(s, line);
    if (!s->view.waiting.terminal && bytes >= 1e8) printf("%s\n", line), fflush(stdout);
    waiting.from = system_moved(written);
    waiting.written = written;
    if (waiting.from >= 0) waiting.bytes = bytes * (written ? 1 : 2); /* what is read is checked */
}

/* Share correct, half the width of its 95 % interval, and the rest. */
static const char *describe_evaluation(const char *when, const grpo_evaluation *e, char *line) {
    char reward[32];
    int at = snprintf(line, SAID, "%.200s: greedy accuracy %.3f +- %.3f on %d questions, mean "
                      "reward %s, length %.0f", when, (double)e->accuracy,
                      report_interval((double)e->accuracy, e->num_prompts), e->num_prompts,
                      screen_number(reward, "%.3f", (double)e->reward), (double)e->mean_length);
    if (e->num_samples)
        at += snprintf(line + at, (size_t)(SAID - at), "; sampled, %d each: pass@1 %.3f",
                       e->num_samples, (double)e->pass_at_1);
    if (e->num_samples && e->k > 1)
        snprintf(line + at, (size_t)(SAID - at), ", pass@%d %.3f", e->k, (double)e->pass_at_k);
    return line;
}

/* What reward i's verifier, if it is one, has complained of: in a process's share, or another's. */
static int ask_verifier(const settings *s, int i, char *error) {
    const verifier *v = &s->verifiers[i];
    snprintf(error, SAID, "%s", v->error);
    return v->argv[0] ? first_said(s, error) : 0;
}

static int tell_verifiers(settings *s) {
    char error[SAID] = "";
    int i;
    for (i = 0; i < s->c.num_rewards; i++) {
        if (ask_verifier(s, i, error)) return -1;
        if (error[0]) complain(error);
        s->verifiers[i].error[0] = 0;
    }
    return 0;
}

/* A step or an evaluation has failed: what the verifiers have to say of it, if they were the cause,
 * and if no process of the team is lost, which is another one. */
static int tell_failure(settings *s, grpo *g, int code) {
    if (code == GRPO_CALLBACK && grpo_team_any(g, 0) >= 0) tell_verifiers(s);
    return code;
}

/* What a question asks, without the template around it. */
static const char *question_of(const grpo_sample *a) {
    const questions_item *q = (const questions_item *)a->data;
    return q && q->text ? q->text : a->prompt ? a->prompt : "";
}

/* Bytes of s[n] that are whole UTF-8 characters, as far as its end says. */
static int whole_characters(const char *s, int n) {
    int back = 1, lead;
    if (n < 1) return 0;
    while (back < 4 && back < n && (s[n - back] & 0xc0) == 0x80) back++;
    lead = (unsigned char)s[n - back];
    return back < (lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1) ? n - back : n;
}

/* Each token of an answer, on its way to the screen; Ctrl-C ends it there. */
static int on_token(int sequence, const int *tokens, int n, void *user) {
    settings *s = (settings *)user;
    int length;
    (void)sequence;
    length = grpo_decode(s->policy, tokens, n, s->reply, REPLY_ROOM);
    length = whole_characters(s->reply, length);
    s->reply[length] = 0;
    if (length > s->printed) {
        fwrite(s->reply + s->printed, 1, (size_t)(length - s->printed), stdout);
        fflush(stdout);
        s->printed = length;
    }
    return interrupted;
}

/* One completion of an evaluation, as it was judged. */
static void write_prediction(FILE *file, const grpo *g, int i, int sample) {
    const grpo_sample *a = &g->batch.samples[i];
    int k;
    fputs("{\"question\": ", file);
    json_write(file, question_of(a), strlen(question_of(a)));
    fputs(", \"answer\": ", file);
    json_write(file, a->answer ? a->answer : "", strlen(a->answer ? a->answer : ""));
    fprintf(file, ", \"sampling\": \"%s\", \"sample\": %d, \"completion\": ",
            sample < 0 ? "greedy" : "sampled", sample < 0 ? 0 : sample);
    json_write(file, a->completion, strlen(a->completion));
    fprintf(file, ", \"tokens\": %d, \"truncated\": %s, \"correct\": %s, \"reward\": ",
            a->num_tokens, a->truncated ? "true" : "false",
            g->batch.reward_parts[i] >= g->config.success_reward ? "true" : "false");
    report_number(file, (double)g->batch.rewards[i]);
    for (k = 0; k < g->config.num_rewards; k++) {
        fprintf(file, "%s\"%s\": ", k ? ", " : ", \"rewards\": {", g->config.rewards[k].name);
        report_number(file, (double)g->batch.reward_parts[k * g->batch.num_sequences + i]);
    }
    fputs("}}\n", file);
}

/* What an evaluation has added up, in the order of the questions, as grpo_evaluate() does. */
typedef struct sums { double correct, reward, length, at_1, at_k; int judged; } sums;

/* One batch of questions, their completions `samples` each (0: one, greedy), into the sums, the
 * file and, the first few, the screen. */
static void judge(settings *s, const grpo *g, int samples, FILE *file, int *shown, sums *x) {
    const grpo_batch *b = &g->batch;
    int each = samples ? samples : 1, i, right = 0;
    for (i = 0; i < b->num_sequences; i++) {
        int good = b->reward_parts[i] >= g->config.success_reward;
        right += good;
        if (file) write_prediction(file, g, i, samples ? i % each : -1);
        if (!samples) {
            x->correct += good;
            if (fabs((double)b->rewards[i]) <= DBL_MAX) {
                x->reward += (double)b->rewards[i];
                x->judged++;
            }
            x->length += b->samples[i].num_tokens;
            if (shown && *shown > 0 && (*shown)--) screen_completion(&s->view, &b->samples[i],
                                                                     (double)b->rewards[i], good);
        } else if (i % each == each - 1) {
            x->at_1 += grpo_pass_at_k(samples, right, 1);
            x->at_k += grpo_pass_at_k(samples, right, samples);
            right = 0;
        }
    }
}

/* grpo_evaluate(), a batch at a time: the same completions and numbers, to the bit, and one sees
 * how far it is, and may end it. With samples the library draws the greedy ones again. 0;
 * 1: it was interrupted; less: an error; *e is of the questions that were judged. */
static int evaluate(settings *s, grpo *g, const task *t, const char *when, FILE *file, int *shown,
                    grpo_evaluation *e) {
    int n = t->count < s->eval_questions ? t->count : s->eval_questions, samples = s->eval_samples;
    int per = g->config.num_prompts * g->config.num_generations / (samples ? samples : 1);
    int first, now = 0, code = 0, rolled = g->config.rollout_batch_prompts;
    char line[SAID];
    sums x = { 0, 0, 0, 0, 0, 0 }, before = x;
    if (rolled && per > rolled) per = rolled;
    if (per < 1) per = 1;
    snprintf(line, sizeof line, "%.80s, %d questions", when, n);
    wait_begin(s, line);
    waiting.rate = s->seconds;
    doing = ASKING;
    code = grpo_team_any(g, interrupted);
    for (first = 0; first < n && !code; first += now) {
        before = x;
        now = n - first < per ? n - first : per;
        wait_batch(s, (double)first / n, (double)now / n / (1 + samples));
        code = grpo_evaluate(g, t->prompts + first, now, 0, 1, e);
        if (!code) judge(s, g, 0, file, shown, &x);
        wait_batch(s, waiting.done + waiting.batch, waiting.batch * samples);
        if (!code && samples) code = grpo_evaluate(g, t->prompts + first, now, samples, samples, e);
        if (!code && samples) judge(s, g, samples, file, NULL, &x);
        if (!code) code = grpo_team_any(g, interrupted);
    }
    doing = STEPPING;
    s->seconds = system_seconds() - s->view.waiting.began;
    wait_end(s);
    tell_failure(s, g, code);
    e->num_prompts = n = code < 0 ? first - now : code ? first : n;     /* those that were judged */
    if (code < 0) x = before;
    if (!n) return code;
    e->num_samples = e->k = samples;
    e->accuracy = (float)(x.correct / n);
    e->reward = x.judged ? (float)(x.reward / n) : (float)NAN;
    e->mean_length = (float)(x.length / n);
    e->pass_at_1 = (float)(x.at_1 / n);
    e->pass_at_k = (float)(x.at_k / n);
    if (code) return code;
    screen_evaluated(&s->view, describe_evaluation(when, e, line));
    return tell_verifiers(s);
}

/* Of a checkpoint: the weights, and the state, which has AdamW's moments too. */
static double saved_bytes(const settings *s, const grpo *g) {
    const double trained = (double)g->num_trained, all = (double)g->num_parameters;
    const int adapters = s->c.lora.rank && !s->merge, half = s->dtype && strcmp(s->dtype, "f32");
    return (adapters ? trained : all) * (half ? 2 : 4) + 8 * trained
           + 4 * (s->c.lora.rank ? trained : all * (s->c.objective.beta > 0 ? 2 : 1));
}

/* The state that --resume needs; the weights alone when the run is over would do too, but then one
 * could not go on from there. What no step has changed since is not written again. */
static int save(settings *s, grpo *g) {
    int flags = GRPO_SAVE_STATE | (s->merge ? GRPO_SAVE_MERGED : 0), code;
    if (s->saved == g->state.step) return 0;
    if (s->tried == g->state.step) return GRPO_IO;
    s->tried = g->state.step;
    if (s->dtype && !strcmp(s->dtype, "bf16")) flags |= GRPO_SAVE_BF16;
    if (s->dtype && !strcmp(s->dtype, "f16")) flags |= GRPO_SAVE_F16;
    doing = SAVING;
    move_begin(s, interrupted ? "not to be interrupted: saving" : "saving", saved_bytes(s, g), 1);
    code = grpo_save(g, s->out, flags);
    wait_end(s);
    doing = STEPPING;
    if (!code) s->saved = g->state.step;
    tell_saved(s);
    return code;
}

/* Is there room for a checkpoint, beside the one that it replaces? 0, or -1. */
static int fit_disk(const settings *s, const grpo *g) {
    const double bytes = saved_bytes(s, g), room = system_room(s->out);
    const int again = !s->saved && s->save_steps && s->save_steps < s->steps;
    char size[2][32];
    if (room < 0 || room >= (1 + again) * bytes) return 0;
    say("a checkpoint takes %sB%s, and %s has %sB free: make room, or choose another --out%s",
        words_write_size(bytes, size[0]), again ? ", and as much again while the next replaces it"
        : "", s->out, words_write_size(room, size[1]), again && room >= bytes
        ? ", or save at the end alone, by --save-steps 0" : "");
    return -1;
}

/* ---- memory: what it takes at its fastest and at its least, and what the machine has */
static void print_memory(const grpo_memory *m) {
    const struct { const char *name; size_t bytes; } parts[] = {
        { "weights", m->weights }, { "reference", m->reference }, { "gradients", m->gradients },
        { "AdamW", m->optimizer }, { "activations", m->activations }, { "K and V", m->cache },
        { "logits", m->logits }, { "the batch", m->host } };
    char size[32];
    size_t i;
    printf("memory %sB", words_write_size((double)m->total, size));
    for (i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].bytes) printf("%s %s %sB", i ? "," : ":", parts[i].name,
                                   words_write_size((double)parts[i].bytes, size));
    printf("\n");
}

/* Without a budget, and within the smallest that is not refused; 0, or -1: both are refused. */
static int memory_bounds(const grpo_config *of, grpo_memory *fastest, double *least) {
    grpo_config c = *of;
    grpo_memory m;
    size_t low = 1;
    c.log = NULL;                   /* not each attempt's refusal                                */
    c.memory_budget = 0;
    if (grpo_memory_needed(&c, fastest)) return -1;
    *least = (double)fastest->total;
    while (low < (size_t)*least) {  /* low is refused, or is 1; *least is not                    */
        c.memory_budget = low + ((size_t)*least - low) / 2;
        if (grpo_memory_needed(&c, &m)) low = c.memory_budget + 1;
        else *least = (double)(m.total < c.memory_budget ? m.total : c.memory_budget);
    }
    return 0;
}

/* What would take less than so much, at the least: "--lora-rank 16 (2.1GB), ...". */
static void write_savings(const settings *s, double than, char *text, size_t room) {
    grpo_config c = s->c;
    const struct { const char *option; int *at, to; } ways[] = {
        { "lora-rank", &c.lora.rank, c.lora.rank ? 0 : 16 },
        { "num-generations", &c.num_generations, c.num_generations < 4 ? 0
          : c.num_generations / 2 },
        { "num-prompts", &c.num_prompts, c.num_prompts / 2 },
        { "max-completion-length", &c.max_completion_length, c.max_completion_length / 2 } };
    grpo_memory fastest;
    double least;
    char size[32];
    size_t i;
    *text = 0;
    for (i = 0; i < sizeof ways / sizeof *ways; i++) {
        const int before = *ways[i].at;
        if (!ways[i].to) continue;
        *ways[i].at = ways[i].to;
        if (!memory_bounds(&c, &fastest, &least) && least < 0.97 * than)
            snprintf(text + strlen(text), room - strlen(text), "%s--%s %d (%sB)",
                     *text ? ", " : "", ways[i].option, ways[i].to, words_write_size(least, size));
        *ways[i].at = before;
    }
}

/* How many processes share this machine. */
static int processes_here(const settings *s) {
#ifdef GRPO_MPI
    const char *openmpi = getenv("OMPI_COMM_WORLD_LOCAL_SIZE"), *mpich = getenv("MPI_LOCALNRANKS");
    const int here = openmpi ? atoi(openmpi) : mpich ? atoi(mpich) : 1;
    (void)s;
    return here > 0 ? here : 1;
#else
    return s->c.team.size > 1 ? s->c.team.size : 1;
#endif
}

/* Memory of this machine counts, not a card's. */
static int is_on_host(const settings *s) {
#ifdef GRPO_CUDA
    return s->c.backend == grpo_cpu();
#else
    (void)s;
    return 1;
#endif
}

/* "this machine has 24.7GB, 20.4GB of them free"; "" where that is not known. */
static const char *write_machine(const settings *s, char *text) {
    char all[32], left[32];
    *text = 0;
    if (is_on_host(s) && s->memory_there > 0)
        snprintf(text, NAME_ROOM, "this machine has %sB, %sB of them free",
                 words_write_size(s->memory_there, all), words_write_size(s->memory_free, left));
    return text;
}

/* --memory-budget, if it was not given: what is free. 1: it was not. */
static int choose_budget(settings *s) {
    if (s->c.memory_budget != SIZE_MAX) return 0;
    s->c.memory_budget = is_on_host(s) ? (size_t)(s->memory_free / processes_here(s)) : 0;
    return 1;
}

/* It is not within --memory-budget, which was chosen here or not: both numbers, and what helps. */
static int complain_of_memory(const settings *s, int chosen, double fastest, double least) {
    char machine[NAME_ROOM], savings[NAME_ROOM], budget[64], size[3][32];
    write_machine(s, machine);
    write_savings(s, least, savings, sizeof savings);
    words_write_size((double)s->c.memory_budget, size[2]);
    snprintf(budget, sizeof budget, "--memory-budget is %s%s", size[2], *machine ? " and " : "");
    say("%s %sB of memory at the fastest, %sB at the least, but %s%s%s%s%s",
        s->c.team.size > 1 ? "each process takes" : "this takes",
        words_write_size(fastest, size[0]), words_write_size(least, size[1]),
        chosen ? "" : budget, machine,
        *savings ? "; less, at the least: " : "", savings,
        chosen ? "; --memory-budget 0 tries all the same" : "");
    return -1;
}

/* The library's sentence, "num_prompts is 0; ...", of the option that sets the field. */
static int complain_of_config(const settings *s, const char *error) {
    char name[NAME_ROOM], option_name[NAME_ROOM];
    const size_t n = strcspn(error, " ");
    snprintf(name, sizeof name, "%.*s", (int)n, error);
    if (!strncmp(name, "model.", 6)) say("%s/config.json: %s", s->model, error + 6);
    else if (!field_of(name)) complain(error);
    else say("--%s%s", spell(name, option_name), error + n);
    return -1;
}

/* Is it within --memory-budget? Then all that it takes is printed. 0, or -1. */
static int fit_memory(settings *s) {
    const int chosen = choose_budget(s);
    const char *each = s->c.team.size > 1 ? "each process" : "it";
    grpo_memory needed, fastest;
    grpo_config c = s->c;
    double least;
    char machine[NAME_ROOM], size[32];
    int code;
    c.log = NULL;                   /* the sentence below says more                              */
    code = grpo_memory_needed(&c, &needed);
    if (code && code != GRPO_NO_MEMORY) return complain_of_config(s, c.error);
    if (memory_bounds(&c, &fastest, &least)) return complain("that is more than can be counted");
    if (code) return complain_of_memory(s, chosen, (double)fastest.total, least);
    if (s->c.team.size > 1) printf("each of %d processes: ", s->c.team.size);
    print_memory(&needed);
    words_write_size((double)fastest.total, size);
    if (needed.total < fastest.total)
        printf("it would be faster with %sB, and come to the same\n", size);
    if (chosen && *write_machine(s, machine))
        printf("%s, within which %s stays; --memory-budget sets another bound\n", machine, each);
    fflush(stdout);
    return 0;
}

/* Weights: of --out where --resume finds some, else of MODEL; adapters stand beside MODEL's. */
static int load_weights(const settings *s, grpo *g) {
    int resume = s->resume && file_exists(s->out, "trainer_state.safetensors");
    char whole[NAME_ROOM];          /* adapters name their model, from wherever they are opened  */
    const char *model = s->c.lora.rank ? system_absolute(s->model, whole, sizeof whole) : NULL;
    int code = resume && !s->c.lora.rank ? 0 : grpo_load(g, model ? model : s->model);
    if (!code && resume) return grpo_resume(g, s->out);
    return !code && s->adapter ? grpo_load(g, s->adapter) : code;
}

static grpo *make_policy(settings *s) {
    grpo *g;
    float range = s->c.model.initializer_range;
    int code, most;
    char size[32];
    if (fit_memory(s)) return NULL;
    s->view.question = question_of;
    s->c.model.initializer_range = 0; /* no random weights: the folder's follow                  */
    wait_begin(s, "making room for the weights");
    g = grpo_new(&s->c);
    wait_end(s);
    if (!g) return NULL;
    most = g->config.rollout_batch_prompts ? g->config.rollout_batch_prompts : s->c.num_prompts;
    if (s->eval_samples > most * g->config.num_generations) {
        say("--eval-samples %d are sampled together, and within --memory-budget %s there is room "
            "for %d", s->eval_samples, words_write_size((double)s->c.memory_budget, size),
            most * g->config.num_generations);
        grpo_free(g);
        return NULL;
    }
    g->config.model.initializer_range = range;
    move_begin(s, "loading", 4 * (double)g->num_parameters, 0);
    code = load_weights(s, g);
    wait_end(s);
    s->saved = g->state.step;
    if (!code) return g;
    grpo_free(g);
    return NULL;
}

/* The questions of the step that comes next: which ones depends on the seed and its number alone,
 * so that a resumed run meets those that it would have met. */
static int one_step(settings *s, grpo *g, const task *t, grpo_prompt *asked, grpo_metrics *m) {
    questions order = { NULL, 0, 0 };
    int i;
    order.count = t->count;
    for (i = 0; i < s->c.num_prompts; i++) {
        uint64_t position = (uint64_t)g->state.step * (uint64_t)s->c.num_prompts + (uint64_t)i;
        asked[i] = t->prompts[questions_at(&order, s->c.seed, position)];
    }
    return grpo_step(g, asked, s->c.num_prompts, m);
}

static int is_time(int every, int64_t step) { return every > 0 && step % every == 0; }

/* Are two sentences the same but for the numbers in them? */
static int same_words(const char *a, const char *b) {
    static const char digits[] = "0123456789";
    for (; *a || *b; a++, b++) {
        a += strspn(a, digits);
        b += strspn(b, digits);
        if (*a != *b) return 0;
        if (!*a) break;
    }
    return 1;
}

/* A step in which a verifier went wrong: said once below one another, each time below a picture. */
static void note_trouble(settings *s, const char *error) {
    if (s->view.live || !same_words(error, s->trouble)) screen_note(&s->view, error);
    snprintf(s->trouble, sizeof s->trouble, "%s", error);
    s->troubles++;
}

/* What follows a step: the screen, the log, a checkpoint, an evaluation. */
static int after_step(settings *s, grpo *g, const task *held_out, const grpo_metrics *m) {
    enum { LEAST_LOGGED = 10 };     /* completions of any run                                    */
    screen *view = &s->view;
    grpo_evaluation e;
    char error[SAID] = "";
    int i, code = 0, last = m->step == s->steps;
    for (i = 0; i < s->c.num_rewards; i++) {
        if (ask_verifier(s, i, error)) return -1;
        if (error[0]) note_trouble(s, error);
    }
    screen_step(view, g, m);
    if (ferror(stdout) && !s->unheard++)
        complain("nobody reads standard output any more: training goes on, and is saved");
    for (i = 0; s->sample_steps && i < g->batch.num_prompts; i++) {
        int due = !i && (last || is_time(s->sample_steps, m->step));
        if (s->logged >= LEAST_LOGGED && !due) break;
        report_log_samples(s->c.metrics_path, g, i);
        s->logged += g->batch.group_size;
    }
    if (is_time(s->eval_steps, m->step) && held_out->count && !last) {
        code = evaluate(s, g, held_out, "held out", NULL, NULL, &e);
        if (!code) report_log_eval(s->c.metrics_path, m->step, &e);
    }
    if (code < 0) return code;      /* else it was interrupted, which is asked again              */
    return is_time(s->save_steps, m->step) ? save(s, g) : 0;
}

/* One line where an epoch ends, unless there is a picture, or they are short. */
static void tell_epoch(const settings *s, const task *t, int64_t step) {
    const int64_t asked = step * s->c.num_prompts, epoch = asked / t->count;
    if (s->view.live || t->count < 10 * s->c.num_prompts
        || (asked - s->c.num_prompts) / t->count == epoch) return;
    printf("epoch %d of %.2f is over: %d questions\n", (int)epoch,
           (double)s->steps * s->c.num_prompts / t->count, t->count);
}

/* A step that failed, and nothing has moved: no verdict, or no number where it has one update. */
static int is_unmade(const settings *s, int code) {
    return code == GRPO_CALLBACK || (code == GRPO_NONFINITE && s->c.num_iterations == 1
                                     && s->c.steps_per_generation == 1);
}

/* Steps, until there is no more to do, or a process is interrupted: *cut is then not 0. */
static int train_all(settings *s, grpo *g, const task *t, const task *held_out, int *cut) {
    grpo_prompt *asked = (grpo_prompt *)calloc((size_t)s->c.num_prompts, sizeof *asked);
    grpo_metrics m;
    screen *view = &s->view;
    char line[80];
    int code = asked ? 0 : complain("out of memory"), live;
    if (code) return code;
    doing = STEPPING;
    screen_start(view, s->steps);
    view->count = report_points(s->c.metrics_path, (int)g->state.step, view->points, SCREEN_POINTS);
    below_picture = view->live;
    snprintf(line, sizeof line, "step %d of %d ...", (int)g->state.step + 1, s->steps);
    wait_begin(s, line);
    while (!code && !(*cut = grpo_team_any(g, interrupted)) && g->state.step < s->steps) {
        const grpo_state before = g->state;
        code = one_step(s, g, t, asked, &m);
        if (view->waiting.what[0]) wait_end(s);
        if (is_unmade(s, code)) g->state = before;
        if ((!code || code == GRPO_IO) && grpo_team_any(g, code != 0))
            code = GRPO_IO;         /* process 0 could not log it                                */
        s->learned |= g->state.step > before.step;
        tell_saved(s);
        if (!code) code = after_step(s, g, held_out, &m);
        if (!code) tell_epoch(s, t, g->state.step);
    }
    wait_end(s);
    if (*cut < 0) code = *cut;
    live = view->live;
    screen_end(view);
    if (code && live && !is_verifiers(g->config.error))
        complain(view->note);       /* the error, which no picture has shown                     */
    tell_failure(s, g, code);
    if (s->troubles > 1) say("so it was in %d steps; last: %s", s->troubles, s->trouble);
    free(asked);
    return code;
}

/* A pipe that nobody reads and a file over its limit (ulimit -f) are errors like a full disk:
 * whoever writes says so, and a run goes on, or leaves its folder as it was. */
static void make_signals_errors(void) {
#ifdef SIGPIPE
    signal(SIGPIPE, SIG_IGN);
#endif
#ifdef SIGXFSZ
    signal(SIGXFSZ, SIG_IGN);
#endif
}

/* The first n of these signals. One that was ignored when the program began (nohup) stays so. */
static void catch_interrupts(int n) {
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action, before;
    int i;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_RESTART;   /* or a line that is being written would be lost             */
    for (i = 0; i < n; i++)
        if (!sigaction(signals[i], NULL, &before) && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
}

/* What the report says of the run beside its numbers. */
static void log_config(const settings *s, const grpo *g, const task *t, const task *held_out) {
    char data[SAID], asked[SAID], rewards[SAID] = "";
    const char *about[] = { "command", s->command, "model", s->model, "data", data, "held out",
                            asked, "reward", rewards, NULL };
    int i, n = 0;
    snprintf(data, sizeof data, "%.300s, %d questions", s->data, t->count);
    snprintf(asked, sizeof asked, held_out->count ? "%.250s, %d questions, at most %d asked"
             : "none", s->eval ? s->eval : "of the same", held_out->count, s->eval_questions);
    for (i = 0; i < s->c.num_rewards && n < SAID; i++) {
        const char *command = s->verifiers[i].argv[0];
        n += snprintf(rewards + n, (size_t)(SAID - n), "%s%s%s%.100s, weight %g", i ? "; " : "",
                      s->c.rewards[i].name, command ? " " : "", command ? command : "",
                      (double)s->c.rewards[i].weight);
    }
    report_log_config(s->c.metrics_path, g, about);
}

/* Does the log say how the held-out questions were answered after this step? */
static int is_measured(const char *log, int64_t step) {
    char error[JSON_ERROR_LENGTH];
    report r;
    int i, accuracy, found = 0;
    if (report_read(&r, log, error)) return 0;
    accuracy = report_curve(&r, "eval/accuracy", 0);
    for (i = 0; i < r.count && accuracy >= 0; i++)
        if (r.rows[i].step == step) found = !isnan(r.rows[i].values[accuracy]);
    report_free(&r);
    return found;
}

/* The steps that are left, what is measured before the first and what is saved after the last.
 * *cut is not 0 if a process was interrupted. */
static int learn(settings *s, grpo *g, const task *t, const task *held_out, int *cut) {
    grpo_evaluation before;
    int code, overflows;
    printf("step %d of %d, epoch %.2f of %.2f, %d questions; the first as the model sees it:\n%s\n",
           (int)g->state.step, s->steps, (double)g->state.step * s->c.num_prompts / t->count,
           (double)s->steps * s->c.num_prompts / t->count, t->count, t->prompts[0].text);
    code = agree(s, !self.rank && !home.trained ? put_aside(s->out) : 0);
    if (code) return code;
    log_config(s, g, t, held_out);
    code = agree(s, self.rank ? 0 : record_settings(s, (int)g->state.step));
    tell_saved(s);
    if (!code && held_out->count && g->state.step == 0) {
        code = evaluate(s, g, held_out, "held out, before", NULL, NULL, &before);
        if (!code) report_log_eval(s->c.metrics_path, 0, &before);
        if (!code) s->at_first = (double)before.accuracy;
        if (code > 0) code = 0;     /* interrupted, which is asked again                         */
    }
    if (!code) code = train_all(s, g, t, held_out, cut);
    /* a verifier has failed, in whichever process, or the log: what was learned is saved before
       that, if it can be; a team that has lost a process cannot. What overflows was spoiled before:
       it is better than nothing, and no better than an earlier checkpoint */
    overflows = code == GRPO_NONFINITE && is_unmade(s, code) && !s->saved;
    if ((code == GRPO_CALLBACK || code == GRPO_IO || overflows) && grpo_team_any(g, 0) >= 0)
        save(s, g);
    return code ? code : save(s, g);
}

/* The result by the held-out questions; 1: it was interrupted. */
static int measure(settings *s, grpo *g, const task *held_out) {
    grpo_evaluation after;
    double p;
    int code = grpo_team_any(g, interrupted);
    if (!code) code = evaluate(s, g, held_out, "held out, after", NULL, NULL, &after);
    if (code) return code;
    report_log_eval(s->c.metrics_path, (int)g->state.step, &after);
    s->measured = 1;
    p = ((double)after.accuracy + s->at_first) / 2;           /* of two equal shares             */
    if (s->at_first - (double)after.accuracy > 1.96 * sqrt(2 * p * (1 - p) / after.num_prompts))
        say("held-out accuracy has fallen from %.3f to %.3f: was the learning rate too high, or is "
            "what is rewarded not what is measured?", s->at_first, (double)after.accuracy);
    return 0;
}

/* How the run has ended, interrupted or not, where nothing has failed. */
static void tell_end(settings *s, const grpo *g, int cut) {
    if (cut && g->state.step >= s->steps) printf("%s\n", tell_saved(s));
    else if (cut && g->state.step)
        printf("interrupted after step %d; --resume goes on\n", (int)g->state.step);
    else if (cut) say("interrupted before the first step was done: %s", tell_saved(s));
    fflush(stdout);
    if (g->state.step) printf("%s has the %s; `grpo plot %s` draws the run\n", s->out,
                              s->c.lora.rank && !s->merge ? "adapters" : "model", s->out);
}

/* A run that has all its steps may still have to be measured, as that was interrupted or failed. */
static int run_training(settings *s, const task *t, const task *held_out) {
    grpo *g = make_policy(s);
    int code = 0, cut = 0, asks = held_out->count > 0;
    char given[24], begun[24], size[32];
    if (!g) return -1;
    if (g->config.seed != s->c.seed) {                        /* no settings.jsonl said so       */
        snprintf(begun, sizeof begun, "%llu", (unsigned long long)g->config.seed);
        snprintf(given, sizeof given, "%llu", (unsigned long long)s->c.seed);
        say("--seed is %s, but the run in %s was begun with %s: give that", given, s->out, begun);
        grpo_free(g);
        return -1;
    }
    if (g->state.step < s->steps) {
        code = agree(s, self.rank ? 0 : fit_disk(s, g));
        if (!code) code = learn(s, g, t, held_out, &cut);
    } else {
        asks = grpo_team_any(g, asks && !self.rank
                                && !is_measured(s->c.metrics_path, g->state.step)) > 0;
        if (!asks) printf("%s has had its %d steps; more --steps would go on\n", s->out,
                          (int)g->state.step);
    }
    tell_saved(s);
    if (!code && !cut && asks) code = measure(s, g, held_out);
    if (code > 0) cut = 1, code = 0;
    if (cut) cut = interrupted ? interrupted : SIGTERM;
    if (code < 0 && !self.rank) say("%s", tell_saved(s));
    if (code == GRPO_IO && !self.rank)
        say("a checkpoint takes %sB there, and as much again while the next replaces it: make room "
            "first", words_write_size(saved_bytes(s, g), size));
    if (!code && (cut || s->learned || s->measured)) tell_end(s, g, cut);
    grpo_free(g);
    return !code && cut ? INTERRUPTED + cut : code;
}

/* The same gradients take as many lanes as before; a new run one a process. */
static void choose_lanes(settings *s) {
    const int size = s->c.team.size > 1 ? s->c.team.size : 1;
    if (s->c.lanes) return;         /* as given, or as in the run that is gone on with           */
    s->c.lanes = size;
    if (size > 1) printf("lanes %d, one a process; results depend on --lanes, not on the number of "
                         "processes\n", size);
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Questions that are in the training's too measure what was learned by heart: how many is told. And
 * a step that asks more questions than there are asks some twice. */
static void tell_overlap(const settings *s, const task *t, const task *held_out) {
    const char **texts = (const char **)malloc((size_t)t->count * sizeof *texts);
    int i, n = 0;
    for (i = 0; texts && i < t->count; i++) texts[i] = t->prompts[i].text;
    if (texts) qsort(texts, (size_t)t->count, sizeof *texts, compare_texts);
    for (i = 0; texts && i < held_out->count; i++)
        n += bsearch(&held_out->prompts[i].text, texts, (size_t)t->count, sizeof *texts,
                     compare_texts) != NULL;
    free(texts);
    if (n) say("%d of the %d held-out questions are asked in training too, so they do not measure "
               "what is new", n, held_out->count);
    if (s->c.num_prompts > t->count)
        say("a step asks --num-prompts %d questions, and there are %d: some are asked twice in it",
            s->c.num_prompts, t->count);
}

/* What comes before the first step that needs all processes. */
static int prepare_training(settings *s, task *t, task *held_out) {
    char error[JSON_ERROR_LENGTH];
    int trained;
    if (open_folder(s) || open_chat(s) || make_folder(s->out)) return -1;
    home.trained = trained = file_exists(s->out, "trainer_state.safetensors");
    home.nothing = !trained;
    if (!trained && (system_is_same(s->model, s->out)
                     || (s->adapter && system_is_same(s->adapter, s->out))))
        return complain("--out is MODEL's own folder, which would be written over: choose another");
    if (!self.rank && lock_folder(s->out)) return -1;
    if (trained && !s->resume) {
        say("%s has a trained model: --resume goes on with it, or choose another --out", s->out);
        return -1;
    }
    if (s->resume && !trained)
        say("--resume: %s has no checkpoint, so a new run begins", s->out);
    choose_lanes(s);
    if (s->c.lr_scheduler_type && !s->c.max_steps)
        s->c.max_steps = s->steps * s->c.num_iterations * s->c.steps_per_generation;
    if (trained && *s->base && !s->adapter) keep_adapter(s);
    if (trained && compare_settings(s)) return -1;
    if (!self.rank && copy_companions(s)) return -1;
    if (read_questions(s, s->data, 0, &t->list)) return -1;
    if (s->eval && read_questions(s, s->eval, 1, &held_out->list)) return -1;
    if (!s->eval && s->hold_out
        && !questions_hold_out(&t->list, &held_out->list, s->hold_out, error))
        return complain(error);
    if (prepare_task(s, s->data, t) || try_verifiers(s, t)) return -1;
    if (held_out->list.count
        && prepare_task(s, s->eval ? s->eval : "those held out", held_out)) return -1;
    tell_overlap(s, t, held_out);
    return 0;
}

static int train(settings *s) {
    char log[NAME_ROOM];
    task t, held_out;
    int code;
    memset(&t, 0, sizeof t);
    memset(&held_out, 0, sizeof held_out);
    snprintf(log, sizeof log, "%s/log.jsonl", s->out);
    if (!self.rank) s->c.metrics_path = log;
    snprintf(home.folder, sizeof home.folder, "%s", s->out);
    home.is_new = !file_exists(s->out, ".");
    catch_interrupts(3);
    code = agree(s, prepare_training(s, &t, &held_out));
    if (!code) code = run_training(s, &t, &held_out);
    if (!code) home.nothing = 0;
    leave_folder();
    free_task(&t);
    free_task(&held_out);
    return code;
}

/* ---------------------------------------------------------------------------- the others ----- */

/* Nothing is learned: the weights are frozen, without gradients and moments, beside an adapter of
 * zeros, the smallest there is, unless there are others. */
static void only_ask(grpo_config *c) {
    static const grpo_lora nothing = { 1, 1, GRPO_LORA_Q };
    if (!c->lora.rank) c->lora = nothing;
    c->objective.beta = 0;
    c->num_generations = 1;
}

static int eval(settings *s) {
    enum { SHOWN = 5 };             /* completions                                               */
    grpo_evaluation e;
    task t;
    grpo *g = NULL;
    FILE *file = NULL;
    char line[SAID];
    int code, shown = SHOWN;
    memset(&t, 0, sizeof t);
    memset(&e, 0, sizeof e);
    catch_interrupts(3);
    code = agree(s, open_folder(s) || open_chat(s) || read_questions(s, s->data, 1, &t.list)
                    || prepare_task(s, s->data, &t) || try_verifiers(s, &t));
    if (!code && s->out && !self.rank) {
        if ((file = system_open(s->out, "rb")) != NULL) {     /* whatever it is, it stays        */
            say("--out %s is there already: remove it, or choose another name", s->out);
            code = (fclose(file), file = NULL, -1);
        } else if ((file = system_open(s->out, "wb")) == NULL) {
            say("%s cannot be written: %s", s->out, strerror(errno));
            code = -1;
        }
    }
    code = agree(s, code);
    only_ask(&s->c);
    s->c.lanes = s->c.team.size > 1 ? s->c.team.size : 1;
    if (!code) g = make_policy(s);
    code = g ? evaluate(s, g, &t, *s->base ? s->adapter : s->model, file, &shown, &e) : -1;
    if (file && (ferror(file) | fclose(file)) && !code) {
        say("%s cannot be written: %s", s->out, strerror(errno));
        code = -1;
        e.num_prompts = 0;
    }
    if (code && e.num_prompts)
        printf("%s\n", describe_evaluation("what was asked until then", &e, line)), fflush(stdout);
    if (file && code && !e.num_prompts) system_remove(s->out);
    else if (file && code) say("%s has what was asked until then", s->out);
    if (code > 0) code = INTERRUPTED + (interrupted ? interrupted : SIGTERM);
    grpo_free(g);
    free_task(&t);
    return code;
}

/* ---- a talk: the user's turns and the answers by turns */
enum { LONGEST_LINE = 1 << 20, LEAST_TALK = 64, MOST_TALK = 2048 };
typedef struct talk { chat_turn *turns; int count, room; } talk;

static void forget(talk *t, int all_but) {
    while (t->count > all_but) free((void *)(uintptr_t)t->turns[--t->count].text);
}

/* A text from malloc is the next turn; 0, or -1 with a sentence, without memory (NULL: neither). */
static int add_turn(talk *t, char *text) {
    const int room = t->count < t->room ? t->room : 2 * t->room + 16;
    void *turns = text ? realloc(t->turns, (size_t)room * sizeof *t->turns) : NULL;
    if (turns) t->turns = (chat_turn *)turns;
    else return free(text), complain("out of memory");
    t->room = room;
    t->turns[t->count].role = t->count % 2 ? "assistant" : "user";
    t->turns[t->count++].text = text;
    return 0;
}

/* 1: a line, from malloc; 0: there is no more; -1: it is too long, which is told. */
static int read_line(char **line) {
    size_t n = 0, room = 0;
    char *more;
    int c, whole = 1;
    for (*line = NULL; (c = getchar()) != EOF && c != '\n'; ) {
        if (whole && n + 1 >= room) {
            more = n < LONGEST_LINE ? (char *)realloc(*line, room = 2 * room + 256) : NULL;
            if (more) *line = more;
            else whole = 0;
        }
        if (whole && c) (*line)[n++] = (char)c;
    }
    if (c == EOF && !n) return 0;
    if (!whole) say("a line has at most %d bytes: that one is left out", LONGEST_LINE);
    while (n && (*line)[n - 1] == '\r') n--;
    if (*line) (*line)[n] = 0;
    return whole ? 1 : -1;
}

/* The answer to the talk's last turn becomes its next. -1: it cannot be given, and why was told. */
static int answer(settings *s, grpo *g, talk *t, uint64_t seed) {
    static const char stopped[] = " [ended by Ctrl-C]", full[] = " [cut off: "
        "--max-completion-length]";
    const int most = g->config.max_prompt_length;
    char *whole = render(s, t->turns, t->count), *text = (char *)malloc(REPLY_ROOM);
    grpo_prompt p;
    int code = -1;
    memset(&p, 0, sizeof p);
    p.tokens = whole && text ? tokens_of(s, whole, &p.num_tokens) : NULL;
    if (whole && !p.tokens && !s->vocabulary) complain("out of memory");
    if (p.tokens && p.num_tokens > most)
        say(t->count > 1 ? "with that the talk has %d tokens, more than --max-prompt-length %d: it "
            "is left out. Say something shorter, or begin anew with an empty line"
            : "that is %d tokens, more than --max-prompt-length %d: say something shorter",
            p.num_tokens, most);
    else if (p.tokens) {
        s->printed = 0;
        code = grpo_generate(g, &p, &s->c.sampling, seed, text, REPLY_ROOM);
        if (code == GRPO_CALLBACK) strcpy(text, s->reply);
        if (code >= 0 || code == GRPO_CALLBACK)
            printf("%s%s", (int)strlen(text) > s->printed ? text + s->printed : "",
                   code < 0 ? stopped : g->batch.samples[0].truncated ? full : "");
        if (code >= 0 || s->printed) printf("\n");
        if (code >= 0 || code == GRPO_CALLBACK) code = add_turn(t, copy_text(text));
    }
    free((void *)(uintptr_t)p.tokens);
    free(whole);
    free(text);
    return code < 0 ? -1 : 0;
}

/* A line is a turn, an empty one begins anew, the end of input ends, and so does Ctrl-C, which
 * within an answer ends that. A turn that cannot be answered is left out of the talk. */
static int talk_on(settings *s, grpo *g) {
    char *line = NULL;
    talk t = { NULL, 0, 0 };
    uint64_t seed = s->c.seed;
    int is_line;
    for (;; free(line), line = NULL) {
        doing = AT_PROMPT;
        catch_interrupts(1);
        printf("> ");
        if (fflush(stdout) || !(is_line = read_line(&line))) break;
        interrupted = 0;
        doing = ANSWERING;
        if (is_line < 0) continue;
        if (!line || !*line) { forget(&t, 0); continue; }
        if (add_turn(&t, copy_text(line))) continue;
        if (answer(s, g, &t, seed)) forget(&t, t.count - 1);
        else seed++;
    }
    printf("\n");
    free(line);
    forget(&t, 0);
    free(t.turns);
    return 0;
}

/* A talk grows. Without --max-prompt-length it may have 2,048 tokens, as each takes memory from the
 * start (0.7 MB with SmolLM2-135M); less where the model has no positions for them; and half of it,
 * or half of that, to stay within --memory-budget or, without, half of the memory that is free. */
static void fit_talk(settings *s) {
    grpo_config *c = &s->c, asked;
    const int given = c->memory_budget != SIZE_MAX;
    const double most = given ? (double)c->memory_budget : s->memory_free / 2;
    grpo_memory m;
    int all = c->model.max_position_embeddings, fits;
    if (c->max_prompt_length) return;
    if (c->max_completion_length > all / 2 && all > 1) {
        c->max_completion_length = all / 2;
        say("the model has %d positions: --max-completion-length becomes %d", all, all / 2);
    }
    fits = all - c->max_completion_length;
    for (fits = fits < MOST_TALK ? fits : MOST_TALK; ; fits /= 2) {
        c->max_prompt_length = fits;
        asked = *c;
        asked.log = NULL;           /* a refusal is no error                                     */
        asked.memory_budget = 0;
        if (fits <= LEAST_TALK || (given && !c->memory_budget)
            || (!grpo_memory_needed(&asked, &m) && (double)m.total <= most)) break;
    }
    printf("a talk may have %d tokens (--max-prompt-length)\n", c->max_prompt_length);
}

/* What the library says, but for an end that was asked for. */
static void on_failure(const char *message, void *user) {
    if (!interrupted) on_message(message, user);
}

static int chat(settings *s) {
    grpo *g;
    int code = -1;
    if (open_folder(s) || open_chat(s)) return -1;
    only_ask(&s->c);
    s->c.num_prompts = s->c.lanes = 1;
    s->c.on_token = on_token;
    s->c.log = on_failure;
    fit_talk(s);
    s->reply = (char *)malloc(REPLY_ROOM);
    g = s->policy = s->reply ? make_policy(s) : NULL;
    if (g) code = talk_on(s, g);
    grpo_free(g);
    free(s->reply);
    return code;
}

/* ---- what a folder holds, and what training it would take */
static void print_model(const settings *s) {
    const grpo_model_config *m = &s->c.model;
    printf("%s: %s\n  %d layers, hidden %d, feed-forward %d, %d heads of %d over %d for K and V\n"
           "  vocabulary %d (%d of them in %s), positions up to %d, rope_theta %g, %s head\n",
           s->model, m->qk_norm ? "Qwen3ForCausalLM" : m->attention_bias
           ? "Qwen2ForCausalLM" : "LlamaForCausalLM", m->num_hidden_layers, m->hidden_size,
           m->intermediate_size, m->num_attention_heads, m->head_dim, m->num_key_value_heads,
           m->vocab_size, s->tokens ? tokenizer_size(s->tokens) : m->vocab_size,
           s->tokens ? "tokenizer.json" : "config.json", m->max_position_embeddings,
           (double)m->rope_theta, m->tie_word_embeddings ? "a tied" : "its own");
    if (s->adapter)
        printf("  adapters of %s: rank %d, alpha %g\n", s->adapter, s->c.lora.rank,
               (double)s->c.lora.alpha);
}

/* How a question reads, as training asks it; -1: the template does not write it. A folder without a
 * template is a base model, and as it should be. */
static int print_asking(settings *s) {
    const chat_turn turn = { "user", "..." };
    char error[JSON_ERROR_LENGTH], *text;
    int code;
    if (s->vocabulary) { printf("  asked in its characters: %s\n", s->vocabulary); return 0; }
    if (!chat_recognise(&s->chat, s->words, error)) {
        if (!strstr(error, "it has no chat template")) return complain(error);
        printf("  %s\n", error);
        return 0;
    }
    code = read_variables(s) || check_template(s) ? -1 : 0;
    text = code ? NULL : render(s, &turn, 1);
    if (text) printf("  asked by its chat template:\n%s\n", text);
    free(text);
    return code;
}

/* What each process takes, all of them on this machine: within --memory-budget if it was given, at
 * the fastest, at the least, and what would take less; and whether there is so much. */
static int print_needs(settings *s) {
    const double here = s->c.team.size > 1 ? s->c.team.size : 1;
    grpo_memory needed, fastest;
    grpo_config c = s->c;
    double least;
    char machine[NAME_ROOM], savings[NAME_ROOM], size[32];
    int code;
    c.log = NULL;
    if (c.memory_budget == SIZE_MAX) c.memory_budget = 0;
    code = grpo_memory_needed(&c, &needed);
    if (code && code != GRPO_NO_MEMORY) return complain_of_config(s, c.error);
    if (memory_bounds(&c, &fastest, &least)) return complain("that is more than can be counted");
    if (code) return complain_of_memory(s, 0, (double)fastest.total, least);
    printf("  ");
    print_memory(&needed);
    words_write_size((double)fastest.total, size);
    printf("  at the fastest %sB (--memory-budget %s), ", size, size);
    words_write_size(least, size);
    if (least >= (double)fastest.total) printf("which is the least too\n");
    else printf("at the least %sB (--memory-budget %s: slower, the same results)\n", size, size);
    write_savings(s, least, savings, sizeof savings);
    if (*savings) printf("  less, at the least: %s\n", savings);
    if (!*write_machine(s, machine)) return 0;
    printf("  %s: %s\n", machine, here * (double)fastest.total <= s->memory_free
           ? "enough for the fastest" : here * least <= s->memory_free
           ? "enough, but not for the fastest" : "not enough");
    return 0;
}

static int inspect(settings *s) {
    const char *stops[CHAT_STOPS] = { NULL };
    grpo_memory needed;
    double least;
    int code, asks;
    if (open_folder(s)) return -1;
    print_model(s);
    asks = print_asking(s);
    if (s->tokens) check_markers(s, stops, chat_stops(&s->chat, stops));
    if (s->c.eos_token_id < 0) s->c.eos_token_id = 0;         /* memory does not depend on it    */
    if (!s->c.lanes) s->c.lanes = s->num_processes;
    if (memory_bounds(&s->c, &needed, &least)) return print_needs(s);         /* which says why */
    printf("  %.*f million weights. To train %d questions x %d completions of %d tokens:\n",
           (double)needed.num_parameters < 1e6 ? 3 : 1, (double)needed.num_parameters / 1e6,
           s->c.num_prompts, s->c.num_generations, s->c.max_completion_length);
    code = print_needs(s);
    if (!code && s->num_processes > 1) {
        s->c.team.size = s->num_processes;
        printf("  Each of %d processes:\n", s->num_processes);
        code = print_needs(s);
    }
    return code ? code : asks;
}

static const char plot_usage[] = "grpo plot RUN [OUT.html | OUT.svg]";

static int print_plot_help(void) {
    printf("usage:   %s\nexample: grpo plot better report.html\n\n"
           "Required:\n"
           "  RUN                               a run's --out, or the log.jsonl in it\n\n"
           "Options:\n  OUT.html or OUT.svg               a page of all there is, or its curves "
           "(default report.html)\n", plot_usage);
    return 0;
}

static int plot(int argc, char **argv) {
    char error[JSON_ERROR_LENGTH];
    char within[PATH_ROOM + 16];
    const char *out = argc > 1 ? argv[1] : "report.html", *ending, *run = argv[0];
    int i;
    for (i = 0; i < argc; i++) if (is_option(argv[i], "help")) return print_plot_help();
    if (argc < 1 || argc > 2) {
        say("%s: %s", argc ? "there are more arguments than two" : "the log of a run is missing",
            plot_usage);
        return 2;
    }
    ending = strrchr(out, '.');
    if (!ending || (strcmp(ending, ".html") != 0 && strcmp(ending, ".svg") != 0)) {
        say("%s: a picture's name ends in .html or .svg", out);
        return 2;
    }
    snprintf(within, sizeof within, "%.*s/log.jsonl", (int)PATH_ROOM, run);
    if (system_exists(within)) run = within;                  /* its folder was given            */
    if (report_write(run, out, error)) {
        if (strstr(error, "it is no regular file"))
            say("%s has no log.jsonl: is it the --out of a run?", run);
        else complain(error);
        return 1;
    }
    if (error[0]) say("left out of the report: %s", error);
    printf("%s\n", out);
    return 0;
}

static int usage(void) {
    int i;
    printf("usage:   grpo COMMAND MODEL [options]\nexample: grpo train %s\n\n",
           commands[0].example);
    words_print(stdout, 0, model_is);
    printf("\nCommands:\n");
    for (i = 0; i < COMMANDS; i++) printf("  %-9s %s\n", commands[i].name, commands[i].what);
    printf("  plot      a run as a picture: %s\n"
           "  help      of a command or an option: grpo help train, grpo help learning-rate\n\n",
           plot_usage);
    words_print(stdout, 0, "The status is 0 when all is done, 1 after an error, 2 if the command "
                "is not understood. A run that was interrupted (Ctrl-C) is saved, and ends with "
                "the signal's status, 130 in a shell.");
    return 0;
}

static int help(const char *topic);

/* What a preset sets: the fields in which it is another objective than the defaults. */
static void print_preset(const char *name, const char *source) {
    static settings of, none;
    const grpo_field *f;
    char spelled[NAME_ROOM], text[NAME_ROOM], other[NAME_ROOM];
    int i;
    set_defaults(&of);
    set_defaults(&none);
    of.c.objective = grpo_objective_preset(name, NULL);
    printf("--objective %s\n    ", name);
    words_print(stdout, 4, source);
    for (i = 0; (f = objective_at(i)) != NULL; i++) {
        write_value(&of.c, f, text);
        write_value(&none.c, f, other);
        if (strcmp(text, other) != 0)
            printf("    --%s %s  (default %s)\n", spell(f->name, spelled), text, other);
    }
}

/* Help of a word that is a value: a reward, a preset; or is an option's name elsewhere. */
static int help_of_word(const char *word, const char *dashed) {
    const char *name, *source;
    char ours[NAME_ROOM];
    size_t n;
    int i, found = 0, k = theirs_at(dashed);
    for (i = 0; grpo_objective_name(i, &name, &source); i++)
        if (!strcmp(name, word)) print_preset(name, source), found = 1;
    for (i = 0; i < BUILT_IN; i++) {
        n = strcspn(built_in[i].name, ":");
        if (strncmp(built_in[i].name, word, n) != 0 || (word[n] && word[n] != ':')) continue;
        printf("--reward %s\n    ", built_in[i].name);
        words_print(stdout, 4, built_in[i].help);
        found = 1;
    }
    if (found || k < 0) return found;
    if (elsewhere[k].why) {
        printf("%s is not there: ", dashed);
        words_print(stdout, 2 * (int)strlen(dashed), elsewhere[k].why);
        return 1;
    }
    snprintf(ours, sizeof ours, "--%s", elsewhere[k].ours);
    printf("%s is here\n", dashed);
    return !help(ours);
}

/* grpo help, help COMMAND, help OPTION (with or without its --), help MODEL. */
static int help(const char *topic) {
    const option *o;
    const grpo_field *f;
    char dashed[NAME_ROOM], name[NAME_ROOM];
    words_guess g = words_of(topic ? topic + strspn(topic, "-") : "");
    int i, found = 0;
    if (!topic || one_of("help --help -h", topic)) return usage();
    snprintf(dashed, sizeof dashed, "--%.100s", g.typed);
    for (i = 0; i < COMMANDS; i++) {
        if (!strcmp(topic, commands[i].name)) { print_help(&commands[i]); return 0; }
        words_offer(&g, commands[i].name);
    }
    if (!strcmp(topic, "plot")) return print_plot_help();
    if (!strcmp(topic, "MODEL")) { words_print(stdout, 0, model_is); return 0; }
    for (i = 0; option_at(i, &o, &f); i++) {
        if (!commands_of(o)) continue;
        words_offer(&g, name_of(o, f, name));
        if (!is_option(dashed, name)) continue;
        print_one(o, f);         /* commands may have it in different senses                  */
        if (!strcmp(name, "reward")) print_rewards();
        if (!strcmp(name, "objective")) print_presets();
        found = 1;
    }
    if (!found) found = help_of_word(topic, dashed);
    if (found) return 0;
    words_offer_all(&g, "help plot");
    say("there is no command and no option \"%s\"%s `grpo help` has the commands, `grpo help "
        "train` the options", topic, words_meant(&g, "", ";"));
    return 2;
}

/* Appends an argument as a shell reads it. */
static void quote(char *line, size_t room, const char *word) {
    size_t n = strlen(line);
    int plain = *word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789-_=+./,:@%")];
    if (n && n + 2 < room) line[n++] = ' ';
    if (!plain && n + 2 < room) line[n++] = '\'';
    for (; *word && n + 8 < room; word++) {
        if (*word == '\'') memcpy(line + n, "'\\'", 3), n += 3;
        line[n++] = *word;
    }
    if (!plain && n + 2 < room) line[n++] = '\'';
    line[n] = 0;
    if (*word) strcpy(line + n - 3, "...");                   /* there is no room for all of it  */
}

/* The whole command; returns its status, and that of a signal that has interrupted it. */
static int run(settings *s, int argc, char **argv) {
    const grpo_backend *backend;
    words_guess g = words_of(argc > 1 ? argv[1] : "");
    int i, code, k;
    if (argc < 2) { usage(); return 2; }
    if (!strcmp(argv[1], "plot")) return plot(argc - 2, argv + 2);
    if (is_option(argv[1], "version") || !strcmp(argv[1], "version")) {
        printf("grpo %s, backends: %s\n", GRPO_VERSION, BACKEND_CHOICES);
        return 0;
    }
    if (!strcmp(argv[1], "help") || is_option(argv[1], "help") || !strcmp(argv[1], "-h"))
        return help(argc > 2 ? argv[2] : NULL);
    backend = backend_argument(&argc, argv);
    for (i = 0; i < COMMANDS && strcmp(argv[1], commands[i].name) != 0; i++)
        words_offer(&g, commands[i].name);
    if (i == COMMANDS) {
        words_offer_all(&g, "plot help");
        say("there is no command \"%s\"%s `grpo help` lists them", argv[1],
            words_meant(&g, "", ";"));
        return 2;
    }
    for (k = 2; k < argc; k++)
        if (is_option(argv[k], "help") || !strcmp(argv[k], "-h")) {
            print_help(&commands[i]);
            return 0;
        }
    if (argc == 2 || !strncmp(argv[2], "--", 2)) {
        say("the folder of a model comes first: grpo %s %s", commands[i].name, commands[i].usage);
        return 2;
    }
    s->asked = commands[i].command;
    s->model = argv[2];
    s->c.backend = backend;
    s->c.lanes = 0;                 /* not said                                                  */
    if (commands[i].command == CHAT) s->c.max_prompt_length = 0;
    if (read_options(s, commands[i].command, argc - 3, argv + 3)) return 2;
    code = agree(s, check_verifiers(s));
    if (!code) code = commands[i].run(s);
    for (i = 0; i < GRPO_MAX_REWARDS; i++) verifier_close(&s->verifiers[i]);
    json_free(&s->before);
    free(s->vocabulary);
    free(s->members);
    tokenizer_free(s->tokens);
    chat_free(&s->chat);
    if (fflush(stdout) || ferror(stdout))
        code = code > INTERRUPTED ? code : complain("not all that was printed could be written");
    return code < 0 ? 1 : code;
}

/* "--steps=5" is "--steps 5". Returns the arguments that are now, from malloc; NULL: as before. */
static char **split_arguments(int *argc, char ***argv) {
    char **all = (char **)malloc((2 * (size_t)*argc + 1) * sizeof *all), *equals;
    int i, n = 0;
    if (!all) return NULL;
    for (i = 0; i < *argc; i++) {
        all[n++] = (*argv)[i];
        equals = strncmp(all[n - 1], "--", 2) ? NULL : strchr(all[n - 1], '=');
        if (!equals || strcspn(all[n - 1], " {") < (size_t)(equals - all[n - 1])) continue;
        *equals = 0;
        all[n++] = equals + 1;
    }
    all[n] = NULL;
    *argc = n;
    return *argv = all;
}

int main(int argc, char **argv) {
    static settings s;
    static team t;
    char **arguments;
    int code, asked, i;
    make_signals_errors();
    system_arguments(&argc, &argv);
    arguments = split_arguments(&argc, &argv);
    set_defaults(&s);
    for (i = 0; i < argc; i++) quote(s.command, sizeof s.command, argv[i]);
    asked = argc > 1 && (!strcmp(argv[1], "train") || !strcmp(argv[1], "eval"));
    if (asked) team_start(&t, &argc, &argv);
    s.c.team = t.of;
    s.c.threads = t.threads;
    self.rank = t.of.rank;
    code = run(&s, argc, argv);
    if (asked) code = team_end(&t, code, self.said);
    free(arguments);
    if (code > INTERRUPTED) {       /* end by the signal, so that a script's loop ends too        */
        signal(code - INTERRUPTED, SIG_DFL);
        raise(code - INTERRUPTED);
    }
    return code;
}
