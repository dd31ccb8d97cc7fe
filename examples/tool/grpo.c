/* grpo - a Hugging Face folder in, a better one out, from one command and without Python.
 *
 *     grpo train MODEL --data train.jsonl --reward gsm8k --out better    learn by GRPO
 *     grpo eval MODEL --data test.jsonl --reward gsm8k                   greedy accuracy, pass@k
 *     grpo chat MODEL                                                    talk to it
 *     grpo inspect MODEL                                                 what it is, what it needs
 *     grpo plot better/log.jsonl [report.html | curves.svg]              a run as a picture
 *     grpo COMMAND --help                                                every option
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
#include "grpo.h"
#include "examples/backend.h"
#include "examples/team.h"
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
enum { MOST_EVALUATED = 200, NAME_ROOM = 1024, PATH_ROOM = 900, SAID = 400,
       INTERRUPTED = 128 };         /* and the signal: the status of such a run                  */

typedef struct settings {
    const char *model, *data, *eval, *out, *question, *answer, *prompt_format, *system,
               *template_of, *dtype, *lora_targets, *adapter;
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
} settings;

enum { FIELD,                       /* a number of the config: its table has the rest            */
       COUNT, SOME,                 /* whole numbers: from 0, from 1                             */
       NUMBER, TEXT, FLAG, BYTES };
enum { TRAIN = 1, EVAL = 2, CHAT = 4, INSPECT = 8, ALL = 15, RUN = TRAIN | EVAL };

typedef struct option {
    const char *name, *symbol, *help;
    int kind, commands;
    size_t at;
} option;

#define AT(field) offsetof(settings, field)
#define OF_CONFIG(field, commands) { #field, NULL, NULL, FIELD, commands, 0 }
static const option options[] = {
    { "data", "q", "questions: a file of JSON lines, - or countdown:COUNT[:NUMBERS[:LARGEST]]",
      TEXT, RUN, AT(data) },
    { "eval", "", "held-out questions, likewise", TEXT, TRAIN, AT(eval) },
    { "hold-out", "", "without --eval: every so many questions of --data are held out", COUNT,
      TRAIN, AT(hold_out) },
    { "out", "", "folder of the result, its checkpoints and log.jsonl", TEXT, TRAIN, AT(out) },
    { "question", "", "name of the question's field, or several with commas", TEXT, RUN,
      AT(question) },
    { "answer", "", "name of the answer's field", TEXT, RUN, AT(answer) },
    { "prompt-format", "", "text around {question}, instead of a chat template", TEXT,
      RUN | CHAT, AT(prompt_format) },
    { "template", "", "qwen2.5, qwen3, smollm2, llama3, llama2 ...: instead of the folder's own",
      TEXT, RUN | CHAT, AT(template_of) },
    { "system", "", "system message of the chat template", TEXT, RUN | CHAT, AT(system) },
    { "limit", "", "use the first so many questions; 0: all", COUNT, RUN, AT(limit) },
    { "steps", "", "GRPO steps", SOME, TRAIN, AT(steps) },
    { "save-steps", "", "write a checkpoint every so many steps", COUNT, TRAIN, AT(save_steps) },
    { "eval-steps", "", "evaluate every so many steps; 0: before and after", COUNT, TRAIN,
      AT(eval_steps) },
    { "eval-questions", "", "most held-out questions to ask", SOME, RUN, AT(eval_questions) },
    { "eval-samples", "", "samples of each for pass@k; 0: greedy alone", COUNT, RUN,
      AT(eval_samples) },
    { "sample-steps", "", "log a group's completions every so many steps", COUNT, TRAIN,
      AT(sample_steps) },
    { "resume", "", "go on from the checkpoint in --out, if there is one", FLAG, TRAIN,
      AT(resume) },
    { "dtype", "", "of the weights written: f32, bf16 or f16", TEXT, TRAIN, AT(dtype) },
    OF_CONFIG(lora.rank, TRAIN | INSPECT),
    OF_CONFIG(lora.alpha, TRAIN | INSPECT),
    { "lora-targets", "", "which matrices: of q,k,v,o,gate,up,down", TEXT, TRAIN | INSPECT,
      AT(lora_targets) },
    { "merge", "", "write the whole model, adapters in its weights, not a PEFT folder", FLAG, TRAIN,
      AT(merge) },
    { "adapter", "", "a PEFT folder of LoRA's adapters, to begin with", TEXT, RUN | CHAT,
      AT(adapter) },
    OF_CONFIG(num_prompts, RUN | INSPECT),
    OF_CONFIG(num_generations, TRAIN | INSPECT),
    OF_CONFIG(max_prompt_length, ALL),
    OF_CONFIG(max_completion_length, ALL),
    OF_CONFIG(num_iterations, TRAIN),
    OF_CONFIG(steps_per_generation, TRAIN),
    OF_CONFIG(rollout_batch_prompts, TRAIN | INSPECT),
    OF_CONFIG(micro_batch_prompts, TRAIN | INSPECT),
    OF_CONFIG(memory_budget, ALL),
    OF_CONFIG(sampling.temperature, TRAIN | CHAT),
    OF_CONFIG(sampling.top_k, TRAIN | CHAT),
    OF_CONFIG(sampling.top_p, TRAIN | CHAT),
    OF_CONFIG(sampling.min_p, TRAIN | CHAT),
    OF_CONFIG(learning_rate, TRAIN),
    OF_CONFIG(adam_beta1, TRAIN),
    OF_CONFIG(adam_beta2, TRAIN),
    OF_CONFIG(adam_epsilon, TRAIN),
    OF_CONFIG(weight_decay, TRAIN),
    OF_CONFIG(max_grad_norm, TRAIN),
    OF_CONFIG(lr_scheduler_type, TRAIN),
    OF_CONFIG(warmup_steps, TRAIN),
    OF_CONFIG(ref_model_sync_steps, TRAIN),
    OF_CONFIG(ref_model_mixup_alpha, TRAIN),
    OF_CONFIG(success_reward, RUN),
    { "verifier-seconds", "", "that a cmd: may take for a batch; then all is 0", NUMBER, RUN,
      AT(verifier_seconds) },
    { "verifier-memory", "", "bytes of addresses of each process of a cmd:; 0: any", BYTES, RUN,
      AT(verifier_memory) },
    { "verifier-reads", "", "files and folders that a cmd: may read too, with ':' between", TEXT,
      RUN, AT(verifier_reads) },
    { "verifier-must-be-isolated", "", "a cmd: does not run unless it is isolated fully", FLAG, RUN,
      AT(verifier_isolated) },
    OF_CONFIG(seed, ALL),
    OF_CONFIG(lanes, TRAIN | INSPECT),
    { "processes", "", "on this machine, a power of two; the same results with any", SOME,
      RUN | INSPECT, AT(num_processes) },
    OF_CONFIG(threads, ALL) };
#undef AT
#undef OF_CONFIG
enum { OPTIONS = (int)(sizeof options / sizeof *options) };

static const char *const built_in[][2] = {
    { "gsm8k", "the last number of the completion is that of the answer" },
    { "number", "the same" },
    { "match", "the completion is the answer, blanks aside" },
    { "countdown", "an expression with the answer's value and numbers" },
    { "format:BEGIN...END", "the completion begins and ends so" },
    { "overlong:N", "0 to -1 over the last N tokens (DAPO)" },
    { "repetition", "-(1 - unique / all token 3-grams)" },
    { "cmd:PROGRAM", "a verifier of yours" } };

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

static void print_default(const settings *s, const option *o) {
    const char *at = (const char *)s + o->at;
    if (o->kind == COUNT || o->kind == SOME) printf(" (%d)", *(const int *)(const void *)at);
    if (o->kind == BYTES) printf(" (%.0f)", (double)*(const size_t *)(const void *)at);
    if (o->kind == NUMBER) printf(" (%g)", (double)*(const float *)(const void *)at);
    if (o->kind == TEXT && *(const char *const *)(const void *)at)
        printf(" (%s)", *(const char *const *)(const void *)at);
}

/* A field as an option: its name, symbol, meaning, values and default. */
static void print_field(const settings *s, const grpo_field *f) {
    const char *words = f->words && strlen(f->words) > 3 ? f->words : "", *word = words;
    double value = grpo_config_get(&s->c, f->name);
    char name[NAME_ROOM];
    int i;
    printf("  --%-28s %-6s %s%s%s", spell(f->name, name), f->symbol, f->help, *words ? " " : "",
           words);
    for (i = 0; *words && i < (int)value; i++) word += strcspn(word, " ") + 1;
    if (*words) printf(" (%.*s)\n", (int)strcspn(word, " "), word);
    else if (f->type == GRPO_FIELD_FLOAT) printf(" (%g)\n", value);
    else if (f->type == GRPO_FIELD_UINT64) printf("\n");
    else printf(" (%.0f)\n", value);
}

static void print_help(const settings *s, int command) {
    const char *name;
    int i;
    for (i = 0; i < OPTIONS; i++) {
        if (!(options[i].commands & command)) continue;
        if (options[i].kind == FIELD) {
            print_field(s, field_of(options[i].name));
            continue;
        }
        printf("  --%-28s %-6s %s", options[i].name, options[i].symbol, options[i].help);
        print_default(s, &options[i]);
        printf("\n");
    }
    printf("  --%-28s %-6s %s\n", "backend", "", "cpu, cuda or cuda_fp32");
    if (command & RUN) {
        printf("\n  --reward R, as often as you like, each followed by --weight W if not 1:\n");
        for (i = 0; i < (int)(sizeof built_in / sizeof *built_in); i++)
            printf("    %-30s   %s\n", built_in[i][0], built_in[i][1]);
    }
    if (command != TRAIN) return;
    printf("\n  --%-28s %-6s a preset, and fields: \"dapo beta=0.01\" (trl)\n    ", "objective",
           "J");
    for (i = 0; grpo_objective_name(i, &name, NULL); i++)
        printf("%s%s", i % 10 == 0 && i ? "\n    " : " ", name);
    printf("\n");
    for (i = 0; objective_at(i); i++) print_field(s, objective_at(i));
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
    double most = kind == BYTES ? 9e15 : kind == NUMBER ? (double)FLT_MAX : 2147483647;
    int good = kind == TEXT
            || (read_number(value, least, most, &x) && (kind == NUMBER || x == floor(x)));
    if (kind == TEXT) *(const char **)at = value;
    else if (kind == NUMBER) *(float *)at = (float)x;
    else if (good && kind == BYTES) *(size_t *)at = (size_t)x;
    else if (good) *(int *)at = (int)x;
    if (good) return 0;
    say("--%s needs %s, not \"%s\"", o->name, kind == NUMBER ? "a number"
        : kind == SOME ? "a whole number from 1 up" : "a whole number from 0 up", value);
    return -1;
}

/* A field of the config in the library's words, "learning_rate=1e-4", and its sentences. Those know
 * JSON's numbers alone: "1.", "+2" and "007" are written as it has them. */
static int set_field(settings *s, const char *name, const char *value) {
    const grpo_field *f = field_of(name);
    char words[NAME_ROOM], error[GRPO_ERROR_LENGTH], number[32], *end;
    double x = strtod(value, &end);
    while ((*value == '0' || *value == '+') && value[1] >= '0' && value[1] <= '9') value++;
    if (f && !f->words && f->type != GRPO_FIELD_UINT64 && *value && !*end) {
        snprintf(number, sizeof number, "%.17g", x);
        value = number;
    }
    if (!*value || strpbrk(value, " \t\n")) {
        snprintf(error, sizeof error, "\"%.20s=%.100s\" is not one value", name, value);
        return complain(error);
    }
    snprintf(words, sizeof words, "%s=%s", name, value);
    return grpo_config_set(&s->c, words, error) ? complain(error) : 0;
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
    static const struct { const char *name; grpo_reward_function function; } plain[] = {
        { "gsm8k", grpo_reward_last_number }, { "number", grpo_reward_last_number },
        { "match", grpo_reward_exact_match }, { "countdown", grpo_reward_countdown },
        { "repetition", grpo_reward_repetition } };
    size_t i;
    if (s->c.num_rewards == GRPO_MAX_REWARDS) return complain("too many rewards");
    for (i = 0; i < sizeof plain / sizeof *plain; i++)
        if (!strcmp(name, plain[i].name))
            return add_named(s, name, plain[i].function, NULL);
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
    say("--reward %s is not known; grpo train --help lists them", name);
    return -1;
}

/* One option and its value; *used says how many arguments that took. */
static int read_option(settings *s, int command, char **at, int left, int *used) {
    char *value = left > 1 ? at[1] : NULL, name[NAME_ROOM], error[GRPO_ERROR_LENGTH];
    const grpo_field *f;
    int i;
    *used = 2;
    for (i = 0; i < OPTIONS; i++) {
        if (!(options[i].commands & command) || !is_option(at[0], spell(options[i].name, name)))
            continue;
        if (options[i].kind == FLAG) {
            *used = 1;
            *(int *)(void *)((char *)s + options[i].at) = 1;
            return 0;
        }
        if (!value) return complain("the last option has no value");
        return options[i].kind == FIELD ? set_field(s, options[i].name, value)
                                        : set_option(s, &options[i], value);
    }
    if (!value) i = -1;
    else if ((command & RUN) && is_option(at[0], "reward")) return add_reward(s, value);
    else if ((command & RUN) && is_option(at[0], "weight") && s->c.num_rewards) {
        double weight;
        if (!read_number(value, -(double)FLT_MAX, (double)FLT_MAX, &weight))
            return complain("--weight needs a number");
        s->c.rewards[s->c.num_rewards - 1].weight = (float)weight;
        return 0;
    } else if (command == TRAIN && is_option(at[0], "objective")) {
        return grpo_objective_set(&s->c.objective, value, error) ? complain(error) : 0;
    }
    for (i = 0; value && command == TRAIN && (f = objective_at(i)) != NULL; i++)
        if (is_option(at[0], spell(f->name, name))) return set_field(s, f->name, value);
    say("%s is not understood here, or has no value; --help lists the options", at[0]);
    return -1;
}

/* What verifiers may take, wherever among the options it stands. */
static void limit_verifiers(settings *s) {
    verifier *v = s->verifiers, *end = v + s->c.num_rewards;
    for (; v < end; v++) {
        v->seconds = (double)s->verifier_seconds;
        v->cpu_seconds = (int)ceil(fmin(v->seconds, 1e9));
        v->memory = s->verifier_memory;
        v->readable = s->verifier_reads;
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

static int read_options(settings *s, int command, int argc, char **argv) {
    int i, used;
    for (i = 0; i < argc; i += used)
        if (read_option(s, command, argv + i, argc - i, &used)) return -1;
    if ((command & RUN) && s->num_processes > 1)
        return complain("--processes: those of this program are mpirun's, which says how many");
    if (s->verifier_seconds <= 0) return complain("--verifier-seconds must be more than 0");
    limit_verifiers(s);
    if ((command & RUN) && !s->data) return complain("--data is missing: a file of questions");
    if (command == TRAIN && !s->out) return complain("--out is missing: the folder to write");
    if (strlen(s->model) > PATH_ROOM || (s->out && strlen(s->out) > PATH_ROOM))
        return complain("the name of a folder is too long");
    if (s->dtype && !one_of("f32 bf16 f16", s->dtype))
        return complain("--dtype is f32, bf16 or f16");
    if ((command & RUN) && !s->c.num_rewards)
        return complain("--reward is missing: gsm8k, match, cmd:./verify ...; see --help");
    return 0;
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
    if (code) snprintf(why, SAID, "process %d: %.360s", self.rank, self.said);
    if (first_said(s, why)) return -1;
    return !code && why[0] ? complain(why) : code;
}

/* ---------------------------------------------------------------------------- the model ------ */

/* What the library says, of all that fails too: below the picture while there is one. */
static void on_message(const char *message, void *user) {
    screen *view = (screen *)user;
    if (view->live) screen_note(view, message);
    else say("%s", message);
}

static int file_exists(const char *folder, const char *name) {
    char path[NAME_ROOM];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return system_exists(path);
}

/* A prompt and its completion must fit into the model's positions. */
static void fit_lengths(grpo_config *c) {
    int most = c->model.max_position_embeddings;
    if ((double)c->max_prompt_length + c->max_completion_length <= most || most < 2) return;
    if (c->max_completion_length > most / 2) c->max_completion_length = most / 2;
    if (c->max_prompt_length > most - c->max_completion_length)
        c->max_prompt_length = most - c->max_completion_length;
    say("the model has %d positions: --max-prompt-length becomes %d, "
        "--max-completion-length %d", most, c->max_prompt_length, c->max_completion_length);
}

/* --lora-targets, words with commas, or --adapter's adapter_config.json into c.lora. */
static int read_lora(settings *s) {
    static const char *const names[GRPO_LORA_TARGETS] = { "q", "k", "v", "o", "gate", "up",
                                                          "down" };
    const char *at = s->lora_targets;
    int i;
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
    return s->adapter ? grpo_load_config(&s->c, s->adapter) : 0;
}

/* The folder's config.json and tokenizer, before any memory is taken for weights. */
static int open_folder(settings *s) {
    char error[JSON_ERROR_LENGTH];
    grpo_config *c = &s->c;
    c->log = on_message;
    c->user = &s->view;
    if (!file_exists(s->model, ".")) {
        say("the folder %s cannot be opened: %s. It is to be one as Hugging Face "
            "has them, on this machine", s->model, strerror(errno));
        return -1;
    }
    if (!file_exists(s->model, "config.json") && file_exists(s->model, "adapter_config.json"))
        return complain("these are LoRA's adapters: name their model, and them by --adapter");
    if (!file_exists(s->model, "tokenizer.json")) {
        say("%s has no tokenizer.json: transformers writes one, by AutoTokenizer."
            "from_pretrained(...).save_pretrained(...)", s->model);
        return -1;
    }
    s->tokens = tokenizer_load(s->model, error);
    if (!s->tokens) return complain(error);
    c->tokenizer = s->tokens;
    c->encode = tokenizer_encode;
    c->decode = tokenizer_decode;
    c->max_token_bytes = tokenizer_longest(s->tokens);
    if (grpo_load_config(c, s->model)) return -1;             /* on_message has said why         */
    if (read_lora(s)) return -1;
    if (tokenizer_size(s->tokens) > c->model.vocab_size) {
        say("%s: tokenizer.json has %d tokens, config.json's vocab_size is %d: "
            "they are not of the same model", s->model, tokenizer_size(s->tokens),
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

/* How it is asked, and by which tokens its answers end: those of the folder, and the template's. A
 * template that tells the date tells always the same, so that a run can be repeated. */
static int open_chat(settings *s) {
    char error[JSON_ERROR_LENGTH];
    const char *stops[CHAT_STOPS];
    int i, id, good;
    if (s->prompt_format) good = chat_plain(&s->chat, s->prompt_format, error);
    else if (s->template_of) good = chat_named(&s->chat, s->template_of, error);
    else good = chat_recognise(&s->chat, s->model, error);
    if (!good) return complain(error);
    chat_keep_day(&s->chat);
    for (i = chat_stops(&s->chat, stops) - 1; i >= 0; i--)
        if ((id = tokenizer_id(s->tokens, stops[i])) >= 0) add_end(&s->c, id);
    if (s->c.eos_token_id >= 0) return 0;
    return complain("neither config.json, generation_config.json nor the template names a token "
                    "that ends an answer");
}

/* A talk in the model's words, from malloc; NULL with a sentence on stderr. */
static char *render(const settings *s, const chat_turn *turns, int n) {
    char error[JSON_ERROR_LENGTH];
    chat_text text = { NULL, 0, 0 };
    if (chat_render(&s->chat, s->system, turns, n, 1, &text, error)) return text.text;
    complain(error);
    chat_text_free(&text);
    return NULL;
}

/* ---------------------------------------------------------------------------- questions ------ */

typedef struct task {               /* questions, as the policy is asked them                    */
    questions list;
    grpo_prompt *prompts;           /* [count] of those that are short enough                    */
    int count, left_out;
} task;

static void free_task(task *t) {
    int i;
    for (i = 0; i < t->count; i++) {
        free((void *)(uintptr_t)t->prompts[i].text);
        free((void *)(uintptr_t)t->prompts[i].tokens);
    }
    free(t->prompts);
    questions_free(&t->list);
    memset(t, 0, sizeof *t);
}

/* A rendered text's tokens, from malloc. A template has written begin-of-text where it should stand;
 * in front of a format it is put where the model wants one. */
static int *tokens_of(const settings *s, const char *text, int *count) {
    int bos = s->prompt_format ? tokenizer_bos(s->tokens) : -1, n, *tokens;
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

/* Question i as a prompt. 1: done; 0: it is too long; -1: it cannot be. */
static int ask(settings *s, const task *t, int i, grpo_prompt *p) {
    const questions_item *q = &t->list.items[i];
    chat_turn turn = { "user", NULL };
    memset(p, 0, sizeof *p);
    turn.text = q->text;
    p->text = render(s, &turn, 1);
    p->tokens = p->text ? tokens_of(s, p->text, &p->num_tokens) : NULL;
    p->answer = q->answer;
    p->data = q;
    if (p->tokens && p->num_tokens <= s->c.max_prompt_length) return 1;
    free((void *)(uintptr_t)p->text);
    free((void *)(uintptr_t)p->tokens);
    return p->tokens ? 0 : complain("a question cannot be made tokens: out of memory");
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

/* The task's questions as prompts, in the model's words. */
static int prepare_task(settings *s, const char *source, task *t) {
    int i, n = t->list.count, code = 1;
    if (s->limit > 0 && s->limit < n) n = s->limit;
    t->prompts = (grpo_prompt *)calloc((size_t)n + 1, sizeof *t->prompts);
    for (i = 0; i < n && t->prompts && code >= 0; i++) {
        code = ask(s, t, i, &t->prompts[t->count]);
        t->count += code == 1;
        t->left_out += code == 0;
    }
    if (code < 0 || !t->prompts) return -1;
    if (t->left_out)
        say("%d of %d questions of %s are longer than --max-prompt-length %d%s",
            t->left_out, n, source, s->c.max_prompt_length, t->count ? " and left out"
            : ": none is left, so raise it");
    return t->count ? 0 : -1;
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

/* Two runs that write one folder spoil both: the second is refused. A lock ends with its run. */
typedef struct folder_lock { char path[NAME_ROOM]; int file; } folder_lock;

static int lock_folder(folder_lock *l, const char *folder) {
    char process[40] = "";
    long holder;
    snprintf(l->path, sizeof l->path, "%s/training.lock", folder);
    l->file = system_lock(l->path, &holder);
    if (l->file >= 0) return 0;
    if (l->file == -1)
        say("nothing can be written to %s: %s", folder, strerror(errno));
    else {
        if (holder) snprintf(process, sizeof process, " (process %ld)", holder);
        say("%s is being written by another run%s: wait for it, end it, or "
            "choose another --out", folder, process);
    }
    return -1;
}

static void unlock_folder(folder_lock *l) { system_unlock(l->path, l->file); }

/* What transformers and others want beside the weights. */
static int copy_companions(const settings *s) {
    static const char *const names[] = {
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja" };
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (copy_file(s->model, s->out, names[i], NULL)) return -1;
    return copy_file(s->model, s->out, "generation_config.json", &s->c);
}

static char *copy_text(const char *s) {
    char *copy = (char *)malloc(strlen(s) + 1);
    return copy ? strcpy(copy, s) : NULL;
}

/* ---- OUT/settings.jsonl: what a run was told, a line at each start. --resume compares */

/* Setting i, its name and its value as text; 0 after the last. The name is "" where none is kept:
 * what moves no result, or is meant to change. */
static int setting_at(const settings *s, int i, char *name, char *text) {
    static const char others[] = "out steps save-steps eval eval-steps eval-questions eval-samples "
        "sample-steps resume dtype merge rollout_batch_prompts micro_batch_prompts memory_budget "
        "threads processes verifier-seconds verifier-memory verifier-reads";
    const option *o = i >= 2 && i < 2 + OPTIONS ? &options[i - 2] : NULL;
    const grpo_field *f = o && o->kind == FIELD ? field_of(o->name) : objective_at(i - 2 - OPTIONS);
    const void *at = (const char *)s + (o ? o->at : 0);
    int k, n = 0;
    *name = *text = 0;
    if (o && (!(o->commands & TRAIN) || one_of(others, o->name))) return 1;
    if (i == 0) {
        strcpy(name, "MODEL");
        snprintf(text, NAME_ROOM, "%s", s->model);
    } else if (i == 1) {
        strcpy(name, "reward");
        for (k = 0; k < s->c.num_rewards && n < NAME_ROOM; k++)
            n += snprintf(text + n, (size_t)(NAME_ROOM - n), "%s%s %g", k ? ", " : "",
                          s->c.rewards[k].name, (double)s->c.rewards[k].weight);
    } else if (o && !f) {
        strcpy(name, o->name);
        if (o->kind != TEXT) snprintf(text, NAME_ROOM, "%d", *(const int *)at);
        else if (*(const char *const *)at)
            snprintf(text, NAME_ROOM, "%s", *(const char *const *)at);
    } else if (f) {
        if (o) spell(f->name, name);
        else strcpy(name, f->name + strlen("objective."));
        snprintf(text, NAME_ROOM, f->type == GRPO_FIELD_FLOAT ? "%.9g" : "%.0f",
                 grpo_config_get(&s->c, f->name));
        if (f->type == GRPO_FIELD_UINT64)                     /* all its digits                  */
            snprintf(text, NAME_ROOM, "%llu", (unsigned long long)s->c.seed);
    }
    return *name != 0;
}

static int record_settings(const settings *s, int step) {
    char path[NAME_ROOM], name[NAME_ROOM], text[NAME_ROOM];
    FILE *file;
    int i, bad;
    snprintf(path, sizeof path, "%s/settings.jsonl", s->out);
    file = report_append(path);
    if (file) fprintf(file, "{\"step\": %d", step);
    for (i = 0; file && setting_at(s, i, name, text); i++) {
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

/* A setting that has changed takes effect from here on, and is told; or it cannot, and is refused:
 * what is drawn, and where coefficients that adapt stand, is the state's. */
static int compare_settings(const settings *s) {
    const grpo_objective *j = &s->c.objective;
    json before = last_settings(s);
    char name[NAME_ROOM], text[NAME_ROOM];
    const char *was;
    int i, code = 0;
    for (i = 0; setting_at(s, i, name, text); i++) {
        int fixed = !strcmp(name, "seed") || !strcmp(name, "adapter")
                    || (!strcmp(name, "beta") && j->kl_target > 0)
                    || (!strcmp(name, "entropy_coef") && j->entropy_target > 0);
        was = json_string(json_find(before.values, name), text);
        if (!strcmp(was, text)) continue;
        if (fixed) code = -1;
        say("%s%s is \"%s\", and was \"%s\" in the run that --resume goes on with"
            "%s", strcmp(name, "MODEL") ? "--" : "", name, text, was, fixed
            ? ": that cannot change, so give it as it was" : ", which it changes from here on");
    }
    json_free(&before);
    return code;
}

/* ---------------------------------------------------------------------------- training ------- */

/* The first Ctrl-C ends the step under way, a second one the program. What it says stands where the
 * cursor is; below a picture it begins at the left, and the next picture goes over it. */
static volatile sig_atomic_t interrupted, below_picture;
static void on_interrupt(int signal_number) {
    static const char line[] = "\rending after this step (Ctrl-C: now)\n";
    int before = errno;
    if (interrupted) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
    interrupted = signal_number;
    if (!self.rank && write(2, line + !below_picture, sizeof line - 2) < 0) return;
    errno = before;
}

/* Share correct and half the width of its 95 % interval, which is that of two more right and two
 * more wrong (Agresti and Coull 1998): none right of few is not 0 +- 0. */
static void print_evaluation(const char *when, const grpo_evaluation *e) {
    double n = e->num_prompts + 4.0, p = ((double)e->accuracy * e->num_prompts + 2) / n;
    printf("%s: greedy accuracy %.3f +- %.3f on %d questions, mean reward %.3f, length %.0f", when,
           (double)e->accuracy, 1.96 * sqrt(p * (1 - p) / n), e->num_prompts, (double)e->reward,
           (double)e->mean_length);
    if (e->num_samples)
        printf(", pass@1 %.3f, pass@%d %.3f", (double)e->pass_at_1, e->k, (double)e->pass_at_k);
    printf("\n");
    fflush(stdout);
}

/* What reward i's verifier, if it is one, has complained of: in a process's share, or another's. */
static int ask_verifier(const settings *s, int i, char *error) {
    const verifier *v = &s->verifiers[i];
    snprintf(error, SAID, "%.390s", v->error);
    return v->argv[0] ? first_said(s, error) : 0;
}

static int evaluate(settings *s, grpo *g, const task *t, const char *when, grpo_evaluation *e) {
    int n = t->count < s->eval_questions ? t->count : s->eval_questions, i;
    char error[SAID] = "";
    if (grpo_evaluate(g, t->prompts, n, s->eval_samples, s->eval_samples, e)) return -1;
    print_evaluation(when, e);
    for (i = 0; i < s->c.num_rewards; i++) {
        if (ask_verifier(s, i, error)) return -1;
        if (error[0]) complain(error);
    }
    return 0;
}

/* The state that --resume needs; the weights alone when the run is over would do too, but then one
 * could not go on from there. */
static int save(const settings *s, grpo *g) {
    int flags = GRPO_SAVE_STATE | (s->merge ? GRPO_SAVE_MERGED : 0);
    if (s->dtype && !strcmp(s->dtype, "bf16")) flags |= GRPO_SAVE_BF16;
    if (s->dtype && !strcmp(s->dtype, "f16")) flags |= GRPO_SAVE_F16;
    return grpo_save(g, s->out, flags);
}

static void print_memory(const grpo_memory *m) {
    printf("memory %.0f MB: weights %.0f, reference %.0f, gradients %.0f, AdamW %.0f, activations "
           "%.0f, K and V %.0f, logits %.0f, the batch %.0f\n", (double)m->total / 1e6,
           (double)m->weights / 1e6, (double)m->reference / 1e6, (double)m->gradients / 1e6,
           (double)m->optimizer / 1e6, (double)m->activations / 1e6, (double)m->cache / 1e6,
           (double)m->logits / 1e6, (double)m->host / 1e6);
}

/* Weights: of --out where --resume finds some, else of MODEL; adapters stand beside MODEL's. */
static int load_weights(const settings *s, grpo *g) {
    int resume = s->resume && file_exists(s->out, "trainer_state.safetensors");
    int code = resume && !s->c.lora.rank ? 0 : grpo_load(g, s->model);
    if (!code && resume) return grpo_resume(g, s->out);
    return !code && s->adapter ? grpo_load(g, s->adapter) : code;
}

static grpo *make_policy(settings *s) {
    grpo_memory needed;
    grpo *g;
    float range = s->c.model.initializer_range;
    if (grpo_memory_needed(&s->c, &needed)) return NULL;      /* on_message has said why         */
    if (s->c.team.size > 1) printf("each of %d processes: ", s->c.team.size);
    print_memory(&needed);
    fflush(stdout);
    s->c.model.initializer_range = 0; /* no random weights: the folder's follow                  */
    g = grpo_new(&s->c);
    if (!g) return NULL;
    g->config.model.initializer_range = range;
    if (!load_weights(s, g)) return g;
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

/* What follows a step: the screen, the log, a checkpoint, an evaluation. */
static int after_step(settings *s, grpo *g, const task *held_out, const grpo_metrics *m) {
    screen *view = &s->view;
    grpo_evaluation e;
    char error[SAID] = "";
    int i;
    for (i = 0; i < s->c.num_rewards; i++) {
        if (ask_verifier(s, i, error)) return -1;
        if (error[0]) screen_note(view, error);
    }
    screen_step(view, g, m);
    if (ferror(stdout) && !s->unheard++)
        complain("nobody reads standard output any more: training goes on, and is saved");
    if (is_time(s->sample_steps, m->step)) report_log_samples(s->c.metrics_path, g);
    if (is_time(s->eval_steps, m->step) && held_out->count && m->step < s->steps) {
        screen_leave(view);
        if (evaluate(s, g, held_out, "held out", &e)) return -1;
        report_log_eval(s->c.metrics_path, m->step, &e);
    }
    return is_time(s->save_steps, m->step) ? save(s, g) : 0;
}

/* Steps, until there is no more to do, or a process is interrupted: *cut is then not 0. */
static int train_all(settings *s, grpo *g, const task *t, const task *held_out, int *cut) {
    grpo_prompt *asked = (grpo_prompt *)calloc((size_t)s->c.num_prompts, sizeof *asked);
    grpo_metrics m;
    int code = asked ? 0 : complain("out of memory"), live;
    if (code) return code;
    screen_start(&s->view, s->steps);
    below_picture = s->view.live;
    while (!code && !(*cut = grpo_team_any(g, interrupted)) && g->state.step < s->steps) {
        code = one_step(s, g, t, asked, &m);
        if (!code) code = after_step(s, g, held_out, &m);
    }
    if (*cut < 0) code = *cut;
    live = s->view.live;
    screen_end(&s->view);
    if (code && live) complain(s->view.note); /* the error, which no picture has shown            */
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

/* A signal that was ignored when the program began (nohup) stays so. */
static void catch_interrupts(void) {
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action, before;
    size_t i;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt;
    for (i = 0; i < sizeof signals / sizeof *signals; i++)
        if (!sigaction(signals[i], NULL, &before) && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
}

static int run_training(settings *s, const task *t, const task *held_out) {
    grpo *g = make_policy(s);
    grpo_evaluation before, after;
    int code = g ? 0 : -1, asks = held_out->count > 0, cut = 0;
    char given[24], begun[24];
    if (!g) return -1;
    if (g->config.seed != s->c.seed) {                        /* no settings.jsonl said so       */
        snprintf(begun, sizeof begun, "%llu", (unsigned long long)g->config.seed);
        snprintf(given, sizeof given, "%llu", (unsigned long long)s->c.seed);
        say("--seed is %s, but the run in %s was begun with %s: give that", given, s->out, begun);
        grpo_free(g);
        return -1;
    }
    if (g->state.step >= s->steps) {
        printf("%s has had its %d steps; more --steps would go on\n", s->out, (int)g->state.step);
        grpo_free(g);
        return 0;
    }
    printf("step %d of %d, epoch %.2f of %.2f, %d questions; the first as the model sees it:\n%s\n",
           (int)g->state.step, s->steps, (double)g->state.step * s->c.num_prompts / t->count,
           (double)s->steps * s->c.num_prompts / t->count, t->count, t->prompts[0].text);
    report_log_config(s->c.metrics_path, g);
    code = agree(s, self.rank ? 0 : record_settings(s, (int)g->state.step));
    if (!code && asks && g->state.step == 0) {
        code = evaluate(s, g, held_out, "held out, before", &before);
        if (!code) report_log_eval(s->c.metrics_path, 0, &before);
    }
    catch_interrupts();
    if (!code) code = train_all(s, g, t, held_out, &cut);
    if (cut) cut = interrupted ? interrupted : SIGTERM;
    if (!code && cut) printf("interrupted after step %d; --resume goes on\n", (int)g->state.step);
    if (!code) code = save(s, g);
    if (!code && !cut && asks) {
        code = evaluate(s, g, held_out, "held out, after", &after);
        if (!code) report_log_eval(s->c.metrics_path, s->steps, &after);
    }
    if (!code) printf("%s has the %s; `grpo plot %s` draws the run\n", s->out,
                      s->c.lora.rank && !s->merge ? "adapters" : "model", s->c.metrics_path);
    grpo_free(g);
    return !code && cut ? INTERRUPTED + cut : code;
}

/* The same gradients take as many lanes as before; a new run one a process. */
static void choose_lanes(settings *s, int resumes) {
    const int size = s->c.team.size > 1 ? s->c.team.size : 1;
    json before = { NULL, NULL, 0, 0 };
    if (s->c.lanes) return;
    if (resumes) before = last_settings(s);
    s->c.lanes = atoi(json_string(json_find(before.values, "lanes"), "0"));
    json_free(&before);
    if (s->c.lanes) return;
    s->c.lanes = size;
    if (size > 1) printf("lanes %d, one a process; results depend on --lanes, not on the number of "
                         "processes\n", size);
}

/* What comes before the first step that needs all processes. */
static int prepare_training(settings *s, folder_lock *lock, task *t, task *held_out) {
    char error[JSON_ERROR_LENGTH];
    int trained;
    if (open_folder(s) || open_chat(s) || make_folder(s->out)) return -1;
    trained = file_exists(s->out, "trainer_state.safetensors");
    if (!trained && system_is_same(s->model, s->out))
        return complain("--out is MODEL's own folder, which would be written over: choose another");
    if (!self.rank && lock_folder(lock, s->out)) return -1;
    if (trained && !s->resume) {
        say("%s has a trained model: --resume goes on with it, or choose another --out", s->out);
        return -1;
    }
    choose_lanes(s, trained);
    if (s->c.lr_scheduler_type && !s->c.max_steps)
        s->c.max_steps = s->steps * s->c.num_iterations * s->c.steps_per_generation;
    if (trained && compare_settings(s)) return -1;
    if (!self.rank && copy_companions(s)) return -1;
    if (read_questions(s, s->data, 0, &t->list)) return -1;
    if (s->eval && read_questions(s, s->eval, 1, &held_out->list)) return -1;
    if (!s->eval && s->hold_out
        && !questions_hold_out(&t->list, &held_out->list, s->hold_out, error))
        return complain(error);
    if (prepare_task(s, s->data, t)) return -1;
    return held_out->list.count ? prepare_task(s, "held-out questions", held_out) : 0;
}

static int train(settings *s) {
    folder_lock lock = { "", -1 };
    char log[NAME_ROOM];
    task t, held_out;
    int code;
    memset(&t, 0, sizeof t);
    memset(&held_out, 0, sizeof held_out);
    snprintf(log, sizeof log, "%s/log.jsonl", s->out);
    if (!self.rank) s->c.metrics_path = log;
    code = agree(s, prepare_training(s, &lock, &t, &held_out));
    if (!code) code = run_training(s, &t, &held_out);
    if (lock.file >= 0) unlock_folder(&lock);
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
    grpo_evaluation e;
    task t;
    grpo *g = NULL;
    int code;
    memset(&t, 0, sizeof t);
    code = agree(s, open_folder(s) || open_chat(s) || read_questions(s, s->data, 1, &t.list)
                    || prepare_task(s, s->data, &t));
    only_ask(&s->c);
    s->c.lanes = s->c.team.size > 1 ? s->c.team.size : 1;
    if (!code) g = make_policy(s);
    code = g ? evaluate(s, g, &t, s->model, &e) : -1;
    grpo_free(g);
    free_task(&t);
    return code;
}

/* The talk so far, the user's turns and the answers by turns. */
enum { MOST_TURNS = 63, LINE_ROOM = 8192 };
typedef struct talk { char *turns[MOST_TURNS + 1]; int count; } talk;

/* The answer to the talk's last turn; 0, or -1: it cannot be given. */
static int answer(settings *s, grpo *g, const talk *t, uint64_t seed, char *text, size_t room) {
    grpo_prompt p;
    chat_turn turns[MOST_TURNS + 1];
    char *whole;
    int i, code = -1;
    for (i = 0; i < t->count; i++) {
        turns[i].role = i % 2 ? "assistant" : "user";
        turns[i].text = t->turns[i];
    }
    whole = render(s, turns, t->count);
    memset(&p, 0, sizeof p);
    p.tokens = whole ? tokens_of(s, whole, &p.num_tokens) : NULL;
    if (p.tokens && p.num_tokens > s->c.max_prompt_length)
        complain("the talk is longer than --max-prompt-length: begin another with an empty line");
    else if (p.tokens)
        code = grpo_generate(g, &p, &s->c.sampling, seed, text, room) < 0 ? -1 : 0;
    free((void *)(uintptr_t)p.tokens);
    free(whole);
    return code;
}

static void forget(talk *t) {
    while (t->count) free(t->turns[--t->count]);
}

/* A line is a turn, an empty one begins anew, the end of input ends. */
static int talk_on(settings *s, grpo *g) {
    char line[LINE_ROOM], *reply = (char *)malloc(1 << 20);
    talk t = { { NULL }, 0 };
    uint64_t seed = s->c.seed;
    while (reply && (fputs("> ", stdout), !fflush(stdout)) && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (!*line || t.count + 2 > MOST_TURNS) forget(&t);
        if (!*line || !(t.turns[t.count] = copy_text(line))) continue;
        t.count++;
        if (answer(s, g, &t, seed++, reply, 1 << 20)) { forget(&t); continue; }
        printf("%s\n", reply);
        if ((t.turns[t.count] = copy_text(reply)) != NULL) t.count++;
    }
    printf("\n");
    forget(&t);
    free(reply);
    return 0;
}

static int chat(settings *s) {
    grpo *g;
    int code;
    if (open_folder(s) || open_chat(s)) return -1;
    only_ask(&s->c);
    s->c.num_prompts = s->c.lanes = 1;
    g = make_policy(s);
    code = g ? talk_on(s, g) : -1;
    grpo_free(g);
    return code;
}

/* ---- what a folder holds, and what training it would take */
static void print_model(const settings *s) {
    const grpo_model_config *m = &s->c.model;
    printf("%s: %s\n  %d layers, hidden %d, feed-forward %d, %d heads of %d over %d for K and V\n"
           "  vocabulary %d (tokenizer.json has %d tokens), positions up to %d, rope_theta %g, %s "
           "head\n", s->model, m->qk_norm ? "Qwen3ForCausalLM" : m->attention_bias
           ? "Qwen2ForCausalLM" : "LlamaForCausalLM", m->num_hidden_layers, m->hidden_size,
           m->intermediate_size, m->num_attention_heads, m->head_dim, m->num_key_value_heads,
           m->vocab_size, tokenizer_size(s->tokens), m->max_position_embeddings,
           (double)m->rope_theta, m->tie_word_embeddings ? "a tied" : "its own");
}

static void print_asking(settings *s) {
    const chat_turn turn = { "user", "..." };
    char error[JSON_ERROR_LENGTH], *text;
    if (!chat_recognise(&s->chat, s->model, error)) { printf("  %s\n", error); return; }
    text = render(s, &turn, 1);
    printf("  asked by its chat template:\n%s\n", text ? text : "");
    free(text);
}

static int inspect(settings *s) {
    grpo_memory needed;
    if (open_folder(s)) return -1;
    print_model(s);
    print_asking(s);
    if (s->c.eos_token_id < 0) s->c.eos_token_id = 0;         /* memory does not depend on it    */
    if (!s->c.lanes) s->c.lanes = s->num_processes;
    if (grpo_memory_needed(&s->c, &needed)) return -1;
    printf("  %.1f million weights. To train %d questions x %d completions of %d tokens:\n  ",
           (double)needed.num_parameters / 1e6, s->c.num_prompts, s->c.num_generations,
           s->c.max_completion_length);
    print_memory(&needed);
    if (s->num_processes == 1) return 0;
    s->c.team.size = s->num_processes;
    if (grpo_memory_needed(&s->c, &needed)) return -1;
    printf("  Each of %d processes:\n  ", s->num_processes);
    print_memory(&needed);
    return 0;
}

static int plot(int argc, char **argv) {
    char error[JSON_ERROR_LENGTH];
    const char *out = argc > 1 ? argv[1] : "report.html";
    if (argc < 1 || argc > 2) return complain("grpo plot LOG.jsonl [OUT.html | OUT.svg]");
    if (report_write(argv[0], out, error)) return complain(error);
    if (error[0]) say("left out of the report: %s", error);
    printf("%s\n", out);
    return 0;
}

typedef struct subcommand {
    const char *name, *what;
    int command;
    int (*run)(settings *s);
} subcommand;

static const subcommand commands[] = {
    { "train", "learn by GRPO", TRAIN, train },
    { "eval", "greedy accuracy and pass@k", EVAL, eval },
    { "chat", "talk to a model", CHAT, chat },
    { "inspect", "what a folder holds, and the memory it needs", INSPECT, inspect } };

static int usage(int code) {
    size_t i;
    printf("grpo COMMAND MODEL [options]; MODEL is a folder as Hugging Face has them\n");
    for (i = 0; i < sizeof commands / sizeof *commands; i++)
        printf("  %-8s %s (grpo %s --help)\n", commands[i].name, commands[i].what,
               commands[i].name);
    printf("  plot     LOG.jsonl [OUT.html | OUT.svg]: a run as a picture\n"
           "status: 0 all is done, 1 an error, 2 not understood; a run that was interrupted is\n"
           "  saved and ends with its signal's (Ctrl-C: 130)\n");
    return code;
}

/* The whole command; returns its status, and that of a signal that has interrupted it. */
static int run(settings *s, int argc, char **argv) {
    const grpo_backend *backend = backend_argument(&argc, argv);
    size_t i;
    int code, k;
    if (argc > 1 && !strcmp(argv[1], "plot")) return plot(argc - 2, argv + 2) ? 1 : 0;
    for (i = 0; i < sizeof commands / sizeof *commands; i++)
        if (argc > 1 && !strcmp(argv[1], commands[i].name)) break;
    if (argc > 1 && is_option(argv[1], "help")) return usage(0);
    if (i == sizeof commands / sizeof *commands) {
        if (argc > 1) say("there is no command \"%s\"", argv[1]);
        return usage(2);
    }
    for (k = 2; k < argc; k++)
        if (is_option(argv[k], "help")) { print_help(s, commands[i].command); return 0; }
    if (argc == 2 || !strncmp(argv[2], "--", 2)) {
        complain("the folder of a model comes first: grpo COMMAND MODEL [options]");
        return 2;
    }
    s->model = argv[2];
    s->c.backend = backend;
    s->c.lanes = 0;                 /* not said                                                  */
    if (read_options(s, commands[i].command, argc - 3, argv + 3)) return 2;
    code = agree(s, check_verifiers(s));
    if (!code) code = commands[i].run(s);
    for (i = 0; i < GRPO_MAX_REWARDS; i++) verifier_close(&s->verifiers[i]);
    tokenizer_free(s->tokens);
    chat_free(&s->chat);
    if (fflush(stdout) || ferror(stdout))
        code = code > INTERRUPTED ? code : complain("not all that was printed could be written");
    return code < 0 ? 1 : code;
}

int main(int argc, char **argv) {
    static settings s;
    static team t;
    int code, asked;
    make_signals_errors();
    system_arguments(&argc, &argv);
    set_defaults(&s);
    asked = argc > 1 && (!strcmp(argv[1], "train") || !strcmp(argv[1], "eval"));
    if (asked) team_start(&t, &argc, &argv);
    s.c.team = t.of;
    s.c.threads = t.threads;
    self.rank = t.of.rank;
    code = run(&s, argc, argv);
    if (asked) code = team_end(&t, code, self.said);
    if (code > INTERRUPTED) {       /* end by the signal, so that a script's loop ends too        */
        signal(code - INTERRUPTED, SIG_DFL);
        raise(code - INTERRUPTED);
    }
    return code;
}
