/* verifier.h: rewards from a program of the user's, in any language.
 *
 *     verifier v;
 *     if (!verifier_open(&v, "./verify.py --strict", error)) return fail(error);
 *     v.seconds = 30;
 *     if (verifier_check(&v)) return fail(v.error);
 *     puts(verifier_sentence(&v));
 *     grpo_add_reward(&config, "verify", NULL, 1, &v);
 *     config.rewards[0].batch = verifier_reward;      (grpo_prompt.data: its questions_item)
 *     ... if (v.error[0]) puts(v.error); ...
 *     verifier_close(&v);
 *
 * The program is run once for each batch. Its stdin has one line for each completion:
 *     {"index":0,"prompt":"2+2?","completion":"4","answer":"4","truncated":false,"data":{...}}
 * where data is the question's own line. It writes one line for each to stdout: a number, the k-th
 * such line for the k-th completion; or {"index":0,"reward":1}, in any order. null means that it
 * cannot say, and so does NaN, which is told. What it does not answer, answers twice or answers
 * with something else scores 0, v.error has a sentence about the first such thing, with the last
 * line of its stderr, and v.bad and v.unanswered the counts. Training stops if the program cannot
 * be started and, with v.must_answer, if it answers nothing of a batch; v.error then has the
 * command too.
 *
 * verifier_try(&v, samples, n, rewards) before a long run: known answers as completions.
 *
 * verifier_check(&v), before the first batch, starts everything but the program: v.isolated and
 * v.warning then say how far it will be isolated, verifier_sentence(&v) puts it into one sentence,
 * and no later batch runs with less.
 *
 * The command is split at blanks, with '...', "..." and \ as in a shell, but no shell runs it.
 * Words with a '/' or '.' that name a file of the folder in which verifier_open() is called become
 * absolute: the program itself runs in an empty folder of its own (also HOME and TMPDIR), which is
 * removed after the batch; if we are killed, by the next run of the same user. Of the environment
 * it has PATH, LANG, LC_ALL, LC_CTYPE, TZ, VIRTUAL_ENV, PYTHONPATH and LD_LIBRARY_PATH.
 *
 * On every POSIX system: wall-clock time for the batch; for each process its processor time,
 * address space (not on macOS), size of files and number of open ones; no core files; what it
 * writes to stdout and stderr is bounded; no open file and no terminal is inherited; at the end its
 * whole process group is killed.
 *
 * On Linux moreover, as far as the kernel lets an ordinary user (v.isolated says what holds,
 * v.warning what does not; with v.isolate = VERIFIER_MUST it will not run with less):
 *   VERIFIER_FILES      it reads system folders (/usr /bin /lib ...), the folders of the files that
 *                       the command names, and v.readable (Landlock); outside its own folder it
 *                       changes nothing, neither contents nor names, modes, owners, times or
 *                       attributes (Landlock, and a mount namespace in which all else is read-only;
 *                       without namespaces seccomp refuses to set modes, owners, times and
 *                       attributes, in its own folder too, so that what it compiles does not run)
 *   VERIFIER_NETWORK    no network and nobody's sockets: seccomp refuses all but connected pairs of
 *                       them, and the network namespace, where there is one, is empty
 *   VERIFIER_PROCESSES  it sees, signals or traces no process but its own: Landlock, and a PID
 *                       namespace; without one Landlock's scopes, and seccomp refuses to set limits
 *                       and priorities of others
 *   VERIFIER_HELD       its memory is what its addresses count: seccomp refuses memory files,
 *                       System V's IPC, POSIX message queues and new mounts
 * and whatever it has started dies with it, a session of its own or not, also if we are killed.
 * (seccomp: on x86, Arm and RISC-V of 64 bits, where it then runs programs of that kind alone.)
 * The folder of a file is never opened as a whole if it is /, the home folder or one above it (that
 * of the environment, of the user, of the folder's owner): only the file itself then.
 *
 * Not protected: the disk (or what TMPDIR lies on) against many files, the memory against many
 * processes (only each one is bounded; their number is where namespaces work and the user is not
 * root), the processor for the time that you grant, names and sizes of files anywhere (Landlock
 * guards what is in them), and rewards against a verifier that runs what the model wrote within its
 * own process.
 *
 * Include this header before any other (after #define GRPO_IMPLEMENTATION, for it includes grpo.h),
 * or compile with -D_GNU_SOURCE: -std=c99 hides POSIX. */
#ifndef VERIFIER_H
#define VERIFIER_H

#if (defined(__unix__) || defined(__APPLE__)) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "grpo.h"
#include "json.h"
#include "questions.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>

#if defined(__unix__) || defined(__APPLE__)
#define VERIFIER_POSIX
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__GLIBC__) && !defined(__USE_GNU)
#error "verifier.h: include it before any other header, or compile with -D_GNU_SOURCE"
#endif
#endif

#if defined(__linux__)
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

/* What the kernel calls this architecture's system calls. Not of 32 bits: these run programs of 64.
 * Its numbers for Landlock and seccomp are given here, for not every system has headers as new as
 * its kernel, or any (musl). */
#if defined(__linux__)
#if defined(__x86_64__) && !defined(__ILP32__)
#define VERIFIER_ARCHITECTURE 0xc000003eu
#elif defined(__aarch64__) && defined(__AARCH64EL__) && !defined(__ILP32__)
#define VERIFIER_ARCHITECTURE 0xc00000b7u
#elif defined(__riscv) && __riscv_xlen == 64
#define VERIFIER_ARCHITECTURE 0xc00000f3u
#endif
#endif

enum { VERIFIER_FILES = 1, VERIFIER_NETWORK = 2, VERIFIER_PROCESSES = 4, VERIFIER_HELD = 8,
       VERIFIER_ALL = 15 };
enum { VERIFIER_NOT, VERIFIER_TRY, VERIFIER_MUST };           /* isolate it?                     */
enum { VERIFIER_WORDS = 64, VERIFIER_READS = 64, VERIFIER_SENTENCE = 960, VERIFIER_TAIL = 200,
       VERIFIER_SECONDS = 60, VERIFIER_OPEN = 1024,
       VERIFIER_SILENT = 32 };
#define VERIFIER_MEMORY ((size_t)(sizeof(size_t) > 4 ? (uint64_t)4 << 30 : (uint64_t)1 << 30))

typedef struct verifier {
    /* set by verifier_open(), yours to change */
    double seconds;                 /* of a batch, on the wall                          60       */
    int cpu_seconds;                /* of each process; 0: no limit                     60       */
    size_t memory;                  /* bytes of addresses of each process; 0: no limit  4 GiB.
                                       Java, Go, Node and sanitizers reserve more        */
    size_t file_size;               /* bytes of each file it writes                     64 MiB   */
    size_t output;                  /* bytes it may write to stdout and stderr          16 MiB   */
    int processes;                  /* at a time (see above)                            256      */
    int isolate;                    /* VERIFIER_NOT ...                                 _TRY     */
    const char *readable;           /* more files and folders that it may read, ':' between; NULL */
    int must_answer;                /* 1: a batch with no answer is a failure; 2: VERIFIER_SILENT
                                       completions in a row without a number too        0        */

    /* what came of it */
    int isolated;                   /* VERIFIER_FILES | ... of the last batch                    */
    int bad;                        /* lines of the last batch that are no answers               */
    int unanswered;                 /* completions of the last batch without a good answer       */
    int abstained;                  /* and those of which it says that it cannot tell            */
    int killed;                     /* 1: the last batch was ended for its time or its output    */
    long total_unanswered;
    char error[VERIFIER_SENTENCE];  /* what went wrong first in the last batch; "" if nothing    */
    char warning[VERIFIER_SENTENCE];                          /* what it is not kept from: the
                                                                 same each time, to be said once */

    /* private */
    char *argv[VERIFIER_WORDS + 1]; /* the command, made absolute                                */
    size_t cut[VERIFIER_WORDS];     /* of each word, the bytes in front that were not given      */
    char *command;                  /* as it was given                                           */
    char *reads[VERIFIER_READS];    /* what it may read                                          */
    int num_reads, no_namespaces, tidied;
    int silent;                     /* completions in a row without a number                     */
    int promised;                   /* what was said of isolation: no later batch has less       */
} verifier;

static inline void verifier_say(verifier *v, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* Only the first sentence of a batch is kept. */
static inline void verifier_say(verifier *v, const char *format, ...) {
    va_list arguments;
    if (v->error[0]) return;
    va_start(arguments, format);
    vsnprintf(v->error, sizeof v->error, format, arguments);
    va_end(arguments);
}

/* Goes on with that sentence. */
static inline void verifier_add(verifier *v, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;
static inline void verifier_add(verifier *v, const char *format, ...) {
    size_t said = strlen(v->error);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(v->error + said, sizeof v->error - said, format, arguments);
    va_end(arguments);
}

/* ---- what it answers */

enum { VERIFIER_ANSWERED = 1, VERIFIER_SPOILT = 2, VERIFIER_PLAIN = 4 };

typedef struct verifier_answers {
    verifier *v;
    float *rewards;                 /* [n]                                                       */
    unsigned char *state;           /* [n] VERIFIER_ANSWERED ...                                 */
    int n, plain;                   /* completions; lines that are no objects                    */
    int nan;                        /* of these                                                  */
    const char *hint;               /* about the first that is no answer                         */
    long line;
} verifier_answers;

/* What to do about a line that is no number. */
static inline const char *verifier_about(const char *s, size_t n) {
    if ((n == 4 && !memcmp(s, "True", 4)) || (n == 5 && !memcmp(s, "False", 5)))
        return "; print 1 or 0 instead";
    if (n == 4 && !memcmp(s, "None", 4)) return "; print null where it cannot tell";
    return "; stdout is for rewards alone, one a line: what else it prints belongs on stderr";
}

/* At most 40 bytes of a line, fit for a sentence. */
static inline const char *verifier_quote(char *to, const char *s, size_t n) {
    size_t i;
    for (i = 0; i < n && i < 40; i++) to[i] = (char)(s[i] >= 32 && s[i] < 127 ? s[i] : '?');
    snprintf(to + i, 4, "%s", i < n ? "..." : "");
    return to;
}

static inline void verifier_bad(verifier_answers *a, const char *what, const char *s, size_t n) {
    char quoted[48];
    if (!a->v->bad++ && !a->v->error[0])
        a->hint = !strncmp(what, "is no number", 12) || !strncmp(what, "is one too", 10)
                ? verifier_about(s, n) : "";
    verifier_say(a->v, "line %ld of what the verifier wrote %s: %s", a->line, what,
                 verifier_quote(quoted, s, n));
}

/* A number that a float can hold, null or NaN, and nothing else. */
static inline int verifier_number(const char *s, size_t n, double *value) {
    char text[64], *end;
    if (n == 0 || n >= sizeof text) return 0;
    memcpy(text, s, n);
    text[n] = 0;
    *value = (double)NAN;
    if (!strcmp(text, "null") || !strcmp(text, "NaN") || !strcmp(text, "nan")) return 1;
    if (strspn(text, "+-.0123456789eE") != n) return 0;
    *value = strtod(text, &end);
    return *end == 0 && end > text && fabs(*value) <= (double)FLT_MAX;
}

/* flag: VERIFIER_PLAIN or 0. Returns 0 if there was an answer already: then none counts. */
static inline int verifier_set(verifier_answers *a, int i, double reward, int flag) {
    int again = a->state[i] != 0;
    a->rewards[i] = (float)reward;
    a->state[i] = (unsigned char)(a->state[i] | VERIFIER_ANSWERED | flag
                                  | (again ? VERIFIER_SPOILT : 0));
    return !again;
}

/* A line that is no object: the answer to the next completion. If there are more such lines than
 * completions, nobody knows which is whose. */
static inline void verifier_plain_line(verifier_answers *a, const char *s, size_t n) {
    double value = 0;
    int i, k = a->plain++, good = verifier_number(s, n, &value);
    a->nan += good && isnan(value) && (*s == 'n' || *s == 'N') && s[1] != 'u';
    if (k == a->n) {
        for (i = 0; i < a->n; i++)
            if (a->state[i] & VERIFIER_PLAIN) a->state[i] |= VERIFIER_SPOILT;
        verifier_bad(a, "is one too many", s, n);
    } else if (k < a->n && !good) {
        a->state[k] |= VERIFIER_SPOILT | VERIFIER_PLAIN;
        verifier_bad(a, "is no number", s, n);
    } else if (k > a->n) {
        a->v->bad++;
    } else if (!verifier_set(a, k, value, VERIFIER_PLAIN)) {
        verifier_bad(a, "answers a completion again", s, n);
    }
}

/* A copy of a line of JSON in which NaN, that Python writes, is null; NULL: no memory. */
static inline char *verifier_without_nan(const char *s, size_t n, size_t *length) {
    char *copy = (char *)malloc(2 * n + 1);
    size_t i, size = 0;
    int inside = 0;
    if (!copy) return NULL;
    for (i = 0; i < n; i++) {
        if (!inside && n - i >= 3 && memcmp(s + i, "NaN", 3) == 0) {
            memcpy(copy + size, "null", 4);
            size += 4;
            i += 2;
            continue;
        }
        if (s[i] == '"') inside = !inside;
        copy[size++] = s[i];
        if (inside && s[i] == '\\' && i + 1 < n) copy[size++] = s[++i];
    }
    copy[size] = 0;
    *length = size;
    return copy;
}

static inline void verifier_object_line(verifier_answers *a, const char *s, size_t n) {
    char why[JSON_ERROR_LENGTH], *copy;
    const json_value *reward;
    size_t length = 0;
    double value, at;
    json j;
    copy = verifier_without_nan(s, n, &length);
    if (!copy || !json_parse(&j, copy, length, NULL, why)) {
        verifier_bad(a, "is no JSON", s, n);
        return;
    }
    at = json_number(json_find(j.values, "index"), -1);
    reward = json_find(j.values, "reward");
    value = json_number(reward, (double)NAN);
    if (!(at >= 0 && at < a->n) || floor(at) != at) {
        verifier_bad(a, "has no \"index\" of a completion", s, n);
    } else if (!(json_is(reward, JSON_NUMBER) && fabs(value) <= (double)FLT_MAX)
               && !json_is(reward, JSON_NULL)) {
        a->state[(int)at] |= VERIFIER_SPOILT;
        verifier_bad(a, "has no number as \"reward\"", s, n);
    } else if (!verifier_set(a, (int)at, value, 0)) {
        verifier_bad(a, "answers a completion again", s, n);
    }
    json_free(&j);
}

/* All that it wrote. complete 0: it was stopped, so what follows the last end of a line is none.
 * Sets all rewards[n]. Returns 0 without memory. */
static inline int verifier_read_answers(verifier *v, const char *text, size_t length, int complete,
                                        int n, float *rewards) {
    const char *at = text, *end = text + length, *stop;
    verifier_answers a;
    int i;
    memset(&a, 0, sizeof a);
    a.v = v;
    a.n = n;
    a.rewards = rewards;
    if (n < 1) return 1;
    a.state = (unsigned char *)calloc((size_t)n, 1);
    if (!a.state) return 0;
    for (; at < end; at = stop + 1) {
        const char *from = at, *to;
        to = stop = (const char *)memchr(at, '\n', (size_t)(end - at));
        if (!stop && !complete) break;
        if (!stop) to = stop = end;
        a.line++;
        while (from < to && memchr(" \t\r", *from, 3)) from++;
        while (to > from && memchr(" \t\r", to[-1], 3)) to--;
        if (from == to) continue;
        if (*from == '{') verifier_object_line(&a, from, (size_t)(to - from));
        else verifier_plain_line(&a, from, (size_t)(to - from));
    }
    for (i = 0; i < n; i++) {
        int good = a.state[i] & VERIFIER_ANSWERED && !(a.state[i] & VERIFIER_SPOILT);
        v->unanswered += !good;
        if (!good) rewards[i] = 0;
        else v->abstained += isnan(rewards[i]) != 0;
    }
    free(a.state);
    if (a.hint && v->bad > 1) verifier_add(v, " (and %d more such lines)", v->bad - 1);
    if (a.hint) verifier_add(v, "%s", a.hint);
    if (v->unanswered && !v->bad)
        verifier_say(v, "the verifier answered %d of %d completions", n - v->unanswered, n);
    if (a.nan)
        verifier_say(v, "the verifier wrote nan for %d of %d completions, which counts as null: "
                     "it cannot tell", a.nan, n);
    v->total_unanswered += v->unanswered;
    return 1;
}

#ifdef VERIFIER_POSIX

/* ---- opening: the command's words, and what it may read */

static inline int verifier_wrong(char *error, const char *what, const char *of) {
    snprintf(error, JSON_ERROR_LENGTH, "the verifier %s: %.180s", what, of);
    return 0;
}

static inline void verifier_close(verifier *v) {
    int i;
    for (i = 0; i < v->num_reads; i++) free(v->reads[i]);
    for (i = 0; i < VERIFIER_WORDS; i++) free(v->argv[i]);
    free(v->command);
    memset(v, 0, sizeof *v);
}

static inline char *verifier_copy(const char *s, size_t n) {
    char *copy = (char *)malloc(n + 1);
    if (copy) {
        memcpy(copy, s, n);
        copy[n] = 0;
    }
    return copy;
}

/* The next word of a command, quotes undone, into word, which has room for the command. Returns
 * what follows it, NULL if a quote does not end. */
static inline const char *verifier_word(const char *at, char *word) {
    char quote = 0;
    for (; *at && (quote || !strchr(" \t\n", *at)); at++) {
        if (quote && *at == quote) quote = 0;
        else if (!quote && (*at == '\'' || *at == '"')) quote = *at;
        else if (*at == '\\' && quote != '\'' && at[1]) *word++ = *++at;
        else *word++ = *at;
    }
    *word = 0;
    return quote ? NULL : at;
}

/* Does a word of n bytes, without quotes, mean something to a shell alone? */
static inline int verifier_is_shell(const char *s, size_t n) {
    static const char *const signs[] = { "|", "||", "&&", "&", ";", "<", "<<", "&>" };
    size_t i, digit = n > 1 && *s >= '0' && *s <= '9';
    for (i = 0; i < n; i++) if (strchr("'\"\\", s[i])) return 0;
    for (i = 0; i < sizeof signs / sizeof *signs; i++)
        if (n == strlen(signs[i]) && !memcmp(s, signs[i], n)) return 1;
    for (i = 0; i + 1 < n; i++) if (s[i] == '$' && (s[i + 1] == '(' || s[i + 1] == '{')) return 1;
    return s[digit] == '>' || s[n - 1] == ';' || memchr(s, '`', n)
        || (n > 1 && (!memcmp(s, "~/", 2) || (*s == '$' && (s[1] == '_'
            || (s[1] >= 'A' && s[1] <= 'Z') || (s[1] >= 'a' && s[1] <= 'z')))));
}

static inline int verifier_split(verifier *v, const char *command, char *error) {
    char *word = (char *)malloc(strlen(command) + 1);
    const char *at = command, *from;
    int n = 0, good = word != NULL;
    while (good) {
        while (*at && strchr(" \t\n", *at)) at++;
        if (!*at || n == VERIFIER_WORDS) break;
        from = at;
        at = verifier_word(at, word);
        if (at && verifier_is_shell(from, (size_t)(at - from))) {
            snprintf(error, JSON_ERROR_LENGTH, "the verifier's command has %.*s, and no shell runs "
                     "it: write cmd:sh -c '...' around all of it (or quotes around this word, if "
                     "it is meant as it stands)", (int)(at - from < 40 ? at - from : 40), from);
            free(word);
            return 0;
        }
        if (!at || (v->argv[n++] = verifier_copy(word, strlen(word))) == NULL) good = 0;
    }
    free(word);
    if (!good) return verifier_wrong(error, at ? "has no memory for its command"
                                               : "has a quote without end in its command", command);
    if (n == 0) return verifier_wrong(error, "needs a command", "\"cmd:./verify\"");
    return !*at || verifier_wrong(error, "has too long a command", command);
}

/* Notes that a file, or a folder with all in it, may be read; what is not there is no matter. */
static inline int verifier_may_read(verifier *v, const char *path) {
    char *real = realpath(path, NULL);
    int i;
    if (!real) return 1;
    for (i = 0; i < v->num_reads && strcmp(v->reads[i], real) != 0; ) i++;
    if (i < v->num_reads || i == VERIFIER_READS) free(real);
    else v->reads[v->num_reads++] = real;
    return i < VERIFIER_READS;
}

/* Is `folder`, a real path, a home folder or one above it? What does not exist is none. */
static inline int verifier_holds_home(const char *folder, const char *home) {
    char *real = home && home[0] ? realpath(home, NULL) : NULL;
    size_t n = strlen(folder);
    int holds = real && !strncmp(folder, real, n) && (!real[n] || real[n] == '/');
    free(real);
    return holds;
}

/* The home folder that the system's list of users has, in room[n]; NULL: it has none. */
static inline const char *verifier_home_of(uid_t user, char *room, size_t n) {
    struct passwd entry, *found = NULL;
    return getpwuid_r(user, &entry, room, n, &found) == 0 && found ? found->pw_dir : NULL;
}

/* Is it /, a home folder or one above it? Homes are that of the environment, the user's and, so
 * that sudo opens nobody's, its owner's. Where nobody knows the user's, any folder might be it. */
static inline int verifier_is_wide(const char *folder) {
    const char *home = getenv("HOME"), *own;
    char *real = realpath(folder, NULL), room[4096];
    struct stat s;
    int wide = real && (!strcmp(real, "/") || verifier_holds_home(real, home));
    if (real && !wide) {
        own = verifier_home_of(geteuid(), room, sizeof room);
        wide = own ? verifier_holds_home(real, own) : !home || !home[0];
    }
    if (real && !wide && stat(real, &s) == 0)
        wide = verifier_holds_home(real, verifier_home_of(s.st_uid, room, sizeof room));
    free(real);
    return wide;
}

/* The folder of a file, so that a program finds what lies beside it (if up, as for X/bin/python,
 * the folder of that), or a folder with all in it: but none that is wide. */
static inline int verifier_may_read_around(verifier *v, const char *path, int up) {
    char *folder = verifier_copy(path, strlen(path)), *slash;
    struct stat s;
    int good = folder != NULL, there = good && stat(folder, &s) == 0;
    if (there && !S_ISDIR(s.st_mode)) {
        for (up++; up > 0 && (slash = strrchr(folder, '/')) != NULL && slash > folder; up--) {
            *slash = 0;
            if (verifier_is_wide(folder)) {
                *slash = '/';
                break;
            }
        }
    }
    if (!(there && S_ISDIR(s.st_mode) && verifier_is_wide(folder)))
        good = good && verifier_may_read(v, folder);
    free(folder);
    return good;
}

/* The same for the file itself and for what it is a link to. */
static inline int verifier_may_read_file(verifier *v, const char *path, int up) {
    char *real = realpath(path, NULL);
    int good = verifier_may_read_around(v, path, up)
               && (!real || verifier_may_read_around(v, real, up));
    free(real);
    return good;
}

static inline char *verifier_join(const char *folder, size_t n, const char *name) {
    char *path = (char *)malloc(n + strlen(name) + 2);
    if (!path) return NULL;
    memcpy(path, folder, n);
    path[n] = '/';
    strcpy(path + n + 1, name);
    return path;
}

/* A program without a '/' in its name, by PATH. */
static inline char *verifier_search(const char *name, const char *here) {
    const char *at = getenv("PATH"), *end;
    if (!at) at = "/usr/local/bin:/usr/bin:/bin";
    for (; ; at = end + 1) {
        size_t n;
        char *path;
        end = strchr(at, ':');
        n = end ? (size_t)(end - at) : strlen(at);
        if (n && *at == '/') path = verifier_join(at, n, name);
        else path = verifier_join(here, strlen(here), name);
        if (!path || access(path, X_OK) == 0) return path;
        free(path);
        if (!end) return NULL;
    }
}

/* Is it X/bin/NAME, which has more of what it needs in X? */
static inline int verifier_is_in_bin(const char *path) {
    const char *name = strrchr(path, '/');
    return name && name - path > 4 && memcmp(name - 4, "/bin", 4) == 0;
}

/* The words that name files, made absolute. */
static inline int verifier_resolve(verifier *v, const char *here, char *error) {
    int i, up, searched = !strchr(v->argv[0], '/');
    for (i = 0; v->argv[i]; i++) {
        const char *word = v->argv[i];
        char *path = NULL;
        if (i == 0 && searched) path = verifier_search(word, here);
        else if (word[0] != '/' && word[0] && strpbrk(word, "/.") && access(word, F_OK) == 0)
            path = verifier_join(here, strlen(here), word);
        if (i == 0 && access(path ? path : word, X_OK) != 0) {
            const int denied = errno == EACCES;
            snprintf(error, JSON_ERROR_LENGTH, "the verifier %.100s cannot be started: %s%s", word,
                     searched ? "no folder of PATH has it" : strerror(errno), strchr(word, '=')
                     ? " (env before it sets variables)" : searched && access(word, F_OK) == 0
                     ? " (./ before it means the one that is here)" : !searched && denied
                     ? " (chmod +x makes it a program, or name what runs it: python3 ...)" : "");
            free(path);
            return 0;
        }
        if (path) {
            v->cut[i] = strlen(path) - strlen(word);
            free(v->argv[i]);
            v->argv[i] = path;
        }
        up = i == 0 && (searched || verifier_is_in_bin(v->argv[i]));
        if (v->argv[i][0] == '/' && !verifier_may_read_file(v, v->argv[i], up))
            return verifier_wrong(error, "names too many files", v->argv[i]);
    }
    return 1;
}

/* command: as on a command line (see above), without "cmd:". 1, or 0 with a sentence in
 * error[JSON_ERROR_LENGTH]; then there is nothing to close. */
static inline int verifier_open(verifier *v, const char *command, char *error) {
    char *here = realpath(".", NULL);
    int good;
    memset(v, 0, sizeof *v);
    v->seconds = VERIFIER_SECONDS;
    v->cpu_seconds = VERIFIER_SECONDS;
    v->memory = VERIFIER_MEMORY;
    v->file_size = (size_t)64 << 20;
    v->output = (size_t)16 << 20;
    v->processes = 256;
    v->isolate = VERIFIER_TRY;
    v->command = verifier_copy(command, strlen(command));
    good = here && v->command
         ? verifier_split(v, command, error) && verifier_resolve(v, here, error)
                : verifier_wrong(error, "cannot be found from this folder", strerror(errno));
    free(here);
    if (!good) verifier_close(v);
    return good;
}

/* ---- its folder */

/* Deletes what is in the folder `at`, and moves up into root the folders in it that are not empty.
 * So no depth and no length of a path is too much. Links are deleted, never followed. Returns how
 * many entries were dealt with, -1 if it cannot be read. */
static inline long verifier_clear(int root, int at, unsigned long *serial) {
    int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;
    long done = 0;
    char name[40];
    if (!folder) {
        if (fd >= 0) close(fd);
        return -1;
    }
    while ((e = readdir(folder)) != NULL) {
        int sub;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (unlinkat(at, e->d_name, 0) == 0 || unlinkat(at, e->d_name, AT_REMOVEDIR) == 0) {
            done++;
            continue;
        }
        if (fchmodat(at, e->d_name, 0700, 0) != 0) continue;
        if (at != root) {
            snprintf(name, sizeof name, ".verifier-%lu", (*serial)++);
            done += renameat(at, e->d_name, root, name) == 0;
            continue;
        }
        sub = openat(at, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub < 0) continue;
        if (verifier_clear(root, sub, serial) > 0) done++;
        done += unlinkat(at, e->d_name, AT_REMOVEDIR) == 0;
        close(sub);
    }
    closedir(folder);
    return done;
}

/* Removes the folder open as root, called path. What was killed may need a moment to be gone. */
static inline int verifier_remove(int root, const char *path) {
    struct timespec moment = { 0, 10000000 };
    unsigned long serial = 0;
    int patience = 100;
    fchmod(root, 0700);
    while (rmdir(path) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) break;
        if (verifier_clear(root, root, &serial) > 0) continue;
        if (--patience == 0) break;
        nanosleep(&moment, NULL);
    }
    close(root);
    return patience > 0;
}

/* Its folder `own` is in one of ours, beside a file that is locked as long as we live: what a kill
 * has left behind is known by a lock that can be had. */
static inline int verifier_lock(const char *folder, int flags) {
    char path[512];
    struct stat s;
    int fd;
    snprintf(path, sizeof path, "%.480s/verifier.lock", folder);
    fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
    if (fd < 0) return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &s) == 0 && S_ISREG(s.st_mode)
        && s.st_nlink == 1 && s.st_uid == geteuid()) return fd;
    close(fd);
    return -1;
}

/* Removes own (open as root; -1: it is not there), the lock and the folder around them. */
static inline int verifier_leave(const char *folder, int root, int lock) {
    char path[512];
    int good = 1;
    snprintf(path, sizeof path, "%.480s/own", folder);
    if (root >= 0) good = verifier_remove(root, path);
    if (lock < 0) return good;
    snprintf(path, sizeof path, "%.480s/verifier.lock", folder);
    good = good && unlink(path) == 0 && rmdir(folder) == 0;
    close(lock);
    return good;
}

/* Removes what killed runs of this user have left in a folder of which no other user can exchange
 * what is ours. */
static inline void verifier_tidy(const char *where) {
    DIR *list = opendir(where);
    struct dirent *e;
    struct stat s;
    if (!list) return;
    if (fstat(dirfd(list), &s) != 0 || (s.st_uid != 0 && s.st_uid != geteuid())
        || (s.st_mode & (S_IWGRP | S_IWOTH) && !(s.st_mode & S_ISVTX))) {
        closedir(list);
        return;
    }
    while ((e = readdir(list)) != NULL) {
        char folder[512], own[512];
        int lock;
        if (strncmp(e->d_name, "verifier-", 9) != 0 || strlen(e->d_name) != 15) continue;
        snprintf(folder, sizeof folder, "%.400s/%.15s", where, e->d_name);
        if (lstat(folder, &s) != 0 || !S_ISDIR(s.st_mode) || s.st_uid != geteuid()
            || (lock = verifier_lock(folder, 0)) < 0) continue;
        snprintf(own, sizeof own, "%.480s/own", folder);
        if (lstat(own, &s) == 0 && S_ISDIR(s.st_mode)) chmod(own, 0700);
        verifier_leave(folder, open(own, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), lock);
    }
    closedir(list);
}

/* ---- the process: what is settled before it starts */

typedef struct verifier_run {       /* all of one batch                                          */
    verifier *v;
    char around[440], folder[448];  /* ours; the verifier's own in it                            */
    char *env[16];
    char uid_map[64], gid_map[64];
    int root, lock;                 /* its folder, open; the file beside it                      */
    int check;                      /* all but the program is started                            */
    int read_only;                  /* mounts are, but for its folder                            */
    int input, output[2], errors[2], news[2];                 /* -1: closed; [0] is ours         */
    pid_t parent, pid;
    int namespaces;                 /* to be tried                                               */
    char *text;                     /* what it wrote to stdout                                   */
    size_t length, capacity, errors_length;
    char tail[VERIFIER_TAIL + 1];   /* the last of what it wrote to stderr                       */
    int status, ended;              /* as waitpid() tells it, once it has ended                  */
    int failure, why;               /* not started: VERIFIER_NEWS_..., errno                     */
} verifier_run;

/* What the child tells us: `what`, and a value. */
enum { VERIFIER_NEWS_ISOLATED = 1, VERIFIER_NEWS_ENDED, VERIFIER_NEWS_NO_NAMESPACES,
       VERIFIER_NEWS_NOT_SET_UP, VERIFIER_NEWS_NOT_STARTED, VERIFIER_NEWS_TOO_OPEN };

typedef struct verifier_news { int what, value; } verifier_news;

static inline void verifier_tell(int what, int value) {
    verifier_news news;
    ssize_t written;
    news.what = what;
    news.value = value;
    written = write(3, &news, sizeof news);
    (void)written;                  /* nobody is left to be told                                 */
}

/* ---- in the child: only what may be called between fork() and exec() */

#ifdef __linux__
typedef struct verifier_ruleset { uint64_t files, network, scoped; } verifier_ruleset;
#pragma pack(push, 1)
typedef struct verifier_rule { uint64_t allowed; int32_t folder; } verifier_rule;
#pragma pack(pop)

enum { VERIFIER_EXECUTE = 1, VERIFIER_WRITE = 2, VERIFIER_READ = 4, VERIFIER_LIST = 8,
       VERIFIER_TRUNCATE = 1 << 14 };

/* Allows what is beneath a path; where there is no such path there is nothing to allow. */
static inline void verifier_allow(int ruleset, const char *path, uint64_t allowed) {
    verifier_rule rule;
    struct stat s;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) return;
    if (fstat(fd, &s) == 0 && !S_ISDIR(s.st_mode))
        allowed &= VERIFIER_EXECUTE | VERIFIER_WRITE | VERIFIER_READ | VERIFIER_TRUNCATE;
    rule.allowed = allowed;
    rule.folder = fd;
    syscall(445, ruleset, 1, &rule, 0);                       /* landlock_add_rule               */
    close(fd);
}

static inline void verifier_allow_readable(int ruleset, const char *list, uint64_t allowed) {
    char path[512];
    while (list && *list) {
        size_t n = strcspn(list, ":");
        if (n > 0 && n < sizeof path) {
            memcpy(path, list, n);
            path[n] = 0;
            verifier_allow(ruleset, path, allowed);
        }
        list += n + (list[n] == ':');
    }
}

/* Landlock. Returns its version if it holds, else 0. */
static inline long verifier_landlock(const verifier_run *r) {
    static const char *const system_files[] = {
        "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/nix/store",
        "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload",
        "/etc/alternatives", "/etc/localtime", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf",
        "/etc/ssl/openssl.cnf", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat",
        "/proc/filesystems", "/sys/devices/system/cpu"
    };
    static const char *const devices[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                           "/dev/urandom" };
    uint64_t read = VERIFIER_EXECUTE | VERIFIER_READ | VERIFIER_LIST;
    long version = syscall(444, NULL, 0, 1);                  /* landlock_create_ruleset         */
    verifier_ruleset rules;
    int fd, good;
    size_t i;
    if (version < 1) return 0;
    rules.files = version >= 5 ? 0xffff : version >= 3 ? 0x7fff : version == 2 ? 0x3fff : 0x1fff;
    rules.network = version >= 4 ? 3 : 0;                     /* TCP: bind, connect              */
    rules.scoped = version >= 6 ? 3 : 0;                      /* abstract sockets, signals       */
    fd = (int)syscall(444, &rules, version >= 6 ? sizeof rules : version >= 4 ? 16 : 8, 0);
    if (fd < 0) return 0;
    for (i = 0; i < sizeof system_files / sizeof *system_files; i++)
        verifier_allow(fd, system_files[i], read & rules.files);
    for (i = 0; i < sizeof devices / sizeof *devices; i++)
        verifier_allow(fd, devices[i], VERIFIER_READ | VERIFIER_WRITE);
    for (i = 0; i < (size_t)r->v->num_reads; i++) verifier_allow(fd, r->v->reads[i], read);
    verifier_allow_readable(fd, r->v->readable, read);
    verifier_allow(fd, r->folder, rules.files);
    good = syscall(446, fd, 0) == 0;                          /* landlock_restrict_self          */
    close(fd);
    return good ? version : 0;
}

#ifdef VERIFIER_ARCHITECTURE
typedef struct verifier_order { uint16_t code; uint8_t yes, no; uint32_t k; } verifier_order;
typedef struct verifier_filter { verifier_order code[320]; int n; } verifier_filter;

/* The kernel's small machine: load, mask, compare, return. */
enum { VERIFIER_LOAD = 0x20, VERIFIER_MASK = 0x54, VERIFIER_IS = 0x15, VERIFIER_IS_FROM = 0x35,
       VERIFIER_JUMP = 0x05, VERIFIER_RETURN = 0x06 };
enum { VERIFIER_ERRNO = 0x50000, VERIFIER_ALLOWED = 0x7fff0000 };
enum { VERIFIER_CALL = 0, VERIFIER_WHOSE = 4, VERIFIER_ARGUMENTS = 16 };   /* what is loaded: at */

static inline void verifier_put(verifier_filter *f, int code, int yes, int no, uint32_t k) {
    verifier_order *at = &f->code[f->n++];
    at->code = (uint16_t)code;
    at->yes = (uint8_t)yes;
    at->no = (uint8_t)no;
    at->k = k;
}

static inline void verifier_refuse(verifier_filter *f, long call, int why) {
    verifier_put(f, VERIFIER_IS, 0, 1, (uint32_t)call);
    verifier_put(f, VERIFIER_RETURN, 0, 0, VERIFIER_ERRNO | (uint32_t)why);
}

/* Refuses a call unless its argument, masked, is among the values; or, if `these`, if it is. The
 * kernel takes the lower halves of all arguments that are looked at here. */
static inline void verifier_refuse_by(verifier_filter *f, long call, int argument, uint32_t mask,
                                      int these, const uint32_t *values, int count) {
    int i;
    verifier_put(f, VERIFIER_IS, 0, count + 4 + (these != 0), (uint32_t)call);
    verifier_put(f, VERIFIER_LOAD, 0, 0, VERIFIER_ARGUMENTS + 8 * (uint32_t)argument);
    verifier_put(f, VERIFIER_MASK, 0, 0, mask);
    for (i = 0; i < count; i++) verifier_put(f, VERIFIER_IS, count - i, 0, values[i]);
    if (these) verifier_put(f, VERIFIER_JUMP, 0, 0, 1);
    verifier_put(f, VERIFIER_RETURN, 0, 0, VERIFIER_ERRNO | EACCES);
    verifier_put(f, VERIFIER_LOAD, 0, 0, VERIFIER_CALL);
}

/* For this process and what it will be. PR_SET_NO_NEW_PRIVS comes first. */
static inline int verifier_install(verifier_filter *f) {
    struct { unsigned short length; verifier_order *code; } program;
    verifier_put(f, VERIFIER_RETURN, 0, 0, VERIFIER_ALLOWED);
    program.length = (unsigned short)f->n;
    program.code = f->code;
    return prctl(PR_SET_SECCOMP, 2, &program, 0, 0) == 0;     /* SECCOMP_MODE_FILTER             */
}
#endif

/* seccomp: what neither Landlock nor namespaces keep it from, and what they do not where there are
 * none. Other architectures' calls, which have other numbers, are refused altogether. Numbers are
 * given where headers may be older than the kernel: these are the same everywhere. */
static inline int verifier_seccomp(const verifier_run *r) {
#ifdef VERIFIER_ARCHITECTURE
    static const short always[] = {
        SYS_socket, 425,                                      /* io_uring_setup                  */
        SYS_shmget, SYS_msgget, SYS_semget, SYS_mq_open,
        SYS_memfd_create, 447,                                /* memfd_secret                    */
        SYS_add_key, SYS_request_key, SYS_keyctl,             /* the user's keyrings             */
        SYS_mount, SYS_umount2, SYS_pivot_root, SYS_unshare, SYS_setns,
        428, 429, 430, 442                  /* open_tree, move_mount, fsopen, mount_setattr      */
    };
    static const short where_mounts_can_be_written[] = {
#ifdef SYS_chmod
        SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat,
#endif
        SYS_fchmod, SYS_fchmodat, 452, SYS_fchown, SYS_fchownat, SYS_utimensat,
        SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, 463, SYS_removexattr, SYS_lremovexattr,
        SYS_fremovexattr, 466, 469   /* fchmodat2, setxattrat, removexattrat, file_setattr       */
    };
    static const short where_others_are_seen[] = {
        SYS_setpriority, SYS_ioprio_set, SYS_sched_setparam, SYS_sched_setscheduler,
        SYS_sched_setaffinity, SYS_sched_setattr, SYS_migrate_pages, SYS_move_pages
    };
    static const uint32_t no_spaces[] = { 0 }, streams[] = { 1, 5 }, ourselves[] = { 0 };
    static const uint32_t controls[] = { 0x5412, 0x541c,      /* TIOCSTI, TIOCLINUX; attributes: */
        0x40086602, 0x40046602, 0x401c5820, 0x40087602, 0x40047602, 0x40047211 };
    verifier_filter f;
    size_t i;
    f.n = 0;
    verifier_put(&f, VERIFIER_LOAD, 0, 0, VERIFIER_WHOSE);
    verifier_put(&f, VERIFIER_IS, 1, 0, VERIFIER_ARCHITECTURE);
    verifier_put(&f, VERIFIER_RETURN, 0, 0, VERIFIER_ERRNO | EACCES);
    verifier_put(&f, VERIFIER_LOAD, 0, 0, VERIFIER_CALL);
    verifier_put(&f, VERIFIER_IS_FROM, 0, 1, 0x40000000);     /* x32's                           */
    verifier_put(&f, VERIFIER_RETURN, 0, 0, VERIFIER_ERRNO | EACCES);
    for (i = 0; i < sizeof always / sizeof *always; i++) verifier_refuse(&f, always[i], EACCES);
    verifier_refuse(&f, 435, ENOSYS);       /* clone3, whose flags cannot be seen; so to clone:  */
    verifier_refuse_by(&f, SYS_clone, 0, 0x7e020000, 0, no_spaces, 1);
    verifier_refuse_by(&f, SYS_socketpair, 1, 15, 0, streams, 2);     /* others can be addressed */
    verifier_refuse_by(&f, SYS_ioctl, 1, ~(uint32_t)0, 1, controls, r->read_only ? 2 : 8);
    for (i = 0; !r->read_only && i < sizeof where_mounts_can_be_written / sizeof *always; i++)
        verifier_refuse(&f, where_mounts_can_be_written[i], EACCES);
    for (i = 0; !r->namespaces && i < sizeof where_others_are_seen / sizeof *always; i++)
        verifier_refuse(&f, where_others_are_seen[i], EACCES);
    if (!r->namespaces)
        verifier_refuse_by(&f, SYS_prlimit64, 0, ~(uint32_t)0, 0, ourselves, 1);
    return verifier_install(&f);
#else
    (void)r;
    return 0;
#endif
}

static inline int verifier_write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC), good;
    if (fd < 0) return 0;
    good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return good;
}

/* All mounts become read-only but a new one of its folder. In a mount namespace of its own; what it
 * may start cannot undo it. */
static inline int verifier_mounts(const verifier_run *r) {
    struct { uint64_t set, clear, propagation, user; } change = { 1, 0, 0, 0 };
    if (mount("none", "/", "none", MS_REC | MS_PRIVATE, "") != 0
        || mount(r->folder, r->folder, "none", MS_BIND, "") != 0
        || syscall(442, AT_FDCWD, "/", 0x8000, &change, sizeof change) != 0) return 0;
    change.set = 0;                         /* mount_setattr: MOUNT_ATTR_RDONLY, AT_RECURSIVE    */
    change.clear = 1;
    return syscall(442, AT_FDCWD, r->folder, 0, &change, sizeof change) == 0;
}

/* Namespaces of its own for processes, network, IPC and mounts: in a user namespace in which it is
 * who it was, or as root without one. */
static inline int verifier_unshare(verifier_run *r) {
    int spaces = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS;
    if (unshare(CLONE_NEWUSER | spaces) == 0) {
        verifier_write_file("/proc/self/setgroups", "deny");
        if (!verifier_write_file("/proc/self/uid_map", r->uid_map)
            || !verifier_write_file("/proc/self/gid_map", r->gid_map)) return 0;
    } else if (unshare(spaces) != 0) return 0;
    r->read_only = verifier_mounts(r);
    return 1;
}

/* Returns the kinds of isolation that hold from here on, also after exec(). Landlock's versions: 1
 * forbids to trace others, 3 to truncate files, 6 to signal others. */
static inline int verifier_isolate(const verifier_run *r) {
    long landlock;
    int i, filter, held = 0;
    for (i = 0; i < 64; i++) prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    if (r->v->isolate == VERIFIER_NOT || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 0;
    landlock = verifier_landlock(r);
    filter = verifier_seccomp(r);
    if (landlock && (r->read_only || (filter && landlock >= 3))) held |= VERIFIER_FILES;
    if (landlock && (r->namespaces || (filter && landlock >= 6))) held |= VERIFIER_PROCESSES;
    return filter ? held | VERIFIER_NETWORK | VERIFIER_HELD : held;
}
#else
static inline int verifier_unshare(verifier_run *r) { (void)r; return 0; }
static inline int verifier_isolate(const verifier_run *r) { (void)r; return 0; }
#endif

#ifdef __GLIBC__
typedef __rlimit_resource_t verifier_resource;
#else
typedef int verifier_resource;
#endif

static inline int verifier_limit(verifier_resource what, uint64_t least, uint64_t most) {
    struct rlimit limit;
    if (getrlimit(what, &limit) != 0) return 0;
    if (limit.rlim_max == RLIM_INFINITY || most < limit.rlim_max) limit.rlim_max = (rlim_t)most;
    limit.rlim_cur = (rlim_t)least < limit.rlim_max ? (rlim_t)least : limit.rlim_max;
    return setrlimit(what, &limit) == 0;
}

static inline int verifier_limits(const verifier_run *r) {
    const verifier *v = r->v;
    uint64_t cpu = (uint64_t)(v->cpu_seconds > 0 ? v->cpu_seconds : 0);
#ifdef __linux__
    int good = verifier_limit(RLIMIT_CORE, 1, 1);             /* 0 would not stop a collector    */
#else
    int good = verifier_limit(RLIMIT_CORE, 0, 0);
#endif
    if (cpu) good &= verifier_limit(RLIMIT_CPU, cpu, cpu + 1);
    if (v->file_size) good &= verifier_limit(RLIMIT_FSIZE, v->file_size, v->file_size);
    verifier_limit(RLIMIT_NOFILE, VERIFIER_OPEN, VERIFIER_OPEN);  /* each has buffers; valgrind's
                                                                     cannot be lowered           */
#if defined(RLIMIT_AS) && !defined(__APPLE__)
    if (v->memory) good &= verifier_limit(RLIMIT_AS, v->memory, v->memory);
#endif
#ifdef __linux__
    if (r->namespaces && v->processes > 0)                    /* counted within the namespace    */
        verifier_limit(RLIMIT_NPROC, (uint64_t)v->processes, (uint64_t)v->processes);
#endif
    return good;
}

/* The process that becomes the verifier. */
static inline void verifier_become(const verifier_run *r) {
    sigset_t none;
    int held;
    setsid();
    held = verifier_isolate(r);     /* where a relative v.readable still means what it did       */
    if (chdir(r->folder) != 0 || !verifier_limits(r)) {
        verifier_tell(VERIFIER_NEWS_NOT_SET_UP, errno);
        _exit(127);
    }
    verifier_tell(VERIFIER_NEWS_ISOLATED, held);
    if ((r->v->isolate == VERIFIER_MUST && held != VERIFIER_ALL)
        || (r->v->isolate == VERIFIER_TRY && r->v->promised & ~held)) {
        verifier_tell(VERIFIER_NEWS_TOO_OPEN, held);
        _exit(127);
    }
    if (r->check) _exit(0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(r->v->argv[0], r->v->argv, r->env);
    verifier_tell(VERIFIER_NEWS_NOT_STARTED, errno);
    _exit(127);
}

/* The first process of a PID namespace: when it ends, the kernel kills all others in there. */
static inline void verifier_first(const verifier_run *r) {
    int status = 0;
    pid_t pid, ended;
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
#endif
    pid = fork();
    if (pid == 0) verifier_become(r);
    if (pid < 0) {
        verifier_tell(VERIFIER_NEWS_NOT_SET_UP, errno);
        _exit(127);
    }
    close(0);
    close(1);
    close(2);
    do ended = waitpid(-1, &status, 0); while (ended != pid && (ended > 0 || errno == EINTR));
    verifier_tell(VERIFIER_NEWS_ENDED, status);
    _exit(0);
}

/* Whoever is left of what it has started: they became our children when their parents ended. */
static inline void verifier_sweep(void) {
    struct timespec moment = { 0, 1000000 };
    int round;
    for (round = 0; round < 1000; round++) {
        char text[4096], *at = text;
        int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
        if (fd >= 0) close(fd);
        text[n > 0 ? n : 0] = 0;
        while (*at) {
            long pid = 0;
            for (; *at >= '0' && *at <= '9'; at++) pid = pid * 10 + (*at - '0');
            if (pid > 1) kill((pid_t)pid, SIGKILL);
            while (*at && (*at < '0' || *at > '9')) at++;
        }
        if (n <= 0) break;
        if (round > 10) nanosleep(&moment, NULL);
        while (waitpid(-1, NULL, WNOHANG) > 0) { }
    }
}

/* Waits until the child has ended or SIGTERM asks for its end, then kills all that is left. */
static inline void verifier_watch(const verifier_run *r, pid_t pid, const sigset_t *signals) {
    siginfo_t info;
    int status = 0, which = 0;
    for (;;) {
        memset(&info, 0, sizeof info);
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0
            || info.si_pid == pid || which == SIGTERM) break;
        if (sigwait(signals, &which) != 0) break;
    }
    kill(-pid, SIGKILL);            /* it is not waited for yet, so its number is its own still  */
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) { }
    if (!r->namespaces) {
        verifier_tell(VERIFIER_NEWS_ENDED, status);
        verifier_sweep();
    }
    _exit(0);
}

static inline void verifier_close_others(void) {
    struct rlimit limit;
    int fd, most = 1024;
#if defined(__linux__)
    if (syscall(436, 4u, ~0u, 0u) == 0) return;               /* close_range                     */
#endif
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        most = limit.rlim_cur < 1 << 20 ? (int)limit.rlim_cur : 1 << 20;
    for (fd = 4; fd < most; fd++) close(fd);
}

/* stdin, stdout, stderr and where to tell news become 0 ... 3, by way of places beyond them. */
static inline int verifier_place(const verifier_run *r) {
    int from[4], i;
    from[0] = r->input;
    from[1] = r->output[1];
    from[2] = r->errors[1];
    from[3] = r->news[1];
    for (i = 0; i < 4; i++) if ((from[i] = fcntl(from[i], F_DUPFD, 4)) < 0) return 0;
    for (i = 0; i < 4; i++) if (dup2(from[i], i) < 0) return 0;
    fcntl(3, F_SETFD, FD_CLOEXEC);
    verifier_close_others();
    return 1;
}

static inline void verifier_nothing(int number) { (void)number; }

/* The child of ours that starts, watches and buries the verifier. All signals are blocked. */
static inline void verifier_supervise(verifier_run *r) {
    sigset_t signals;
    pid_t pid;
    int i;
    for (i = 1; i < 32; i++) if (i != SIGKILL && i != SIGSTOP) signal(i, SIG_DFL);
    signal(SIGCHLD, verifier_nothing);        /* else it might be discarded                      */
    setsid();
    if (!verifier_place(r)) _exit(127);
    if (r->namespaces && !verifier_unshare(r)) {
        verifier_tell(VERIFIER_NEWS_NO_NAMESPACES, errno);
        _exit(127);
    }
#ifdef __linux__
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);                /* if our parent dies, end it all  */
    if (getppid() != r->parent) _exit(127);
#endif
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    pid = fork();
    if (pid == 0 && r->namespaces) verifier_first(r);
    if (pid == 0) verifier_become(r);
    if (pid < 0) {
        verifier_tell(VERIFIER_NEWS_NOT_SET_UP, errno);
        _exit(127);
    }
    close(0);
    close(1);
    close(2);
    verifier_watch(r, pid, &signals);
}

/* ---- in our own process */

static inline void verifier_shut(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* A pipe that exec() closes, whose reading end does not wait. */
static inline int verifier_pipe(int *fds) {
    if (pipe(fds) != 0) {
        fds[0] = fds[1] = -1;
        return 0;
    }
    fcntl(fds[0], F_SETFD, FD_CLOEXEC);
    fcntl(fds[1], F_SETFD, FD_CLOEXEC);
    return fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0;
}

static inline int verifier_start(verifier_run *r) {
    sigset_t all, before;
    if (!verifier_pipe(r->output) || !verifier_pipe(r->errors) || !verifier_pipe(r->news)) return 0;
    r->parent = getpid();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    r->pid = fork();
    if (r->pid == 0) verifier_supervise(r);
    sigprocmask(SIG_SETMASK, &before, NULL);
    verifier_shut(&r->output[1]);
    verifier_shut(&r->errors[1]);
    verifier_shut(&r->news[1]);
    return r->pid > 0;
}

static inline int verifier_keep(verifier_run *r, const char *from, size_t n) {
    if (r->capacity - r->length < n) {
        size_t more = 2 * (r->length + n);
        char *text = (char *)realloc(r->text, more);
        if (!text) return 0;
        r->text = text;
        r->capacity = more;
    }
    memcpy(r->text + r->length, from, n);
    r->length += n;
    return 1;
}

static inline void verifier_keep_tail(verifier_run *r, const char *from, size_t n) {
    size_t has = strlen(r->tail), i;
    r->errors_length += n;
    if (n > VERIFIER_TAIL) {
        from += n - VERIFIER_TAIL;
        n = VERIFIER_TAIL;
    }
    if (has + n > VERIFIER_TAIL) {
        memmove(r->tail, r->tail + (has + n - VERIFIER_TAIL), VERIFIER_TAIL - n);
        has = VERIFIER_TAIL - n;
    }
    for (i = 0; i < n; i++)
        r->tail[has + i] = (char)(from[i] == '\n' || (from[i] >= 32 && from[i] < 127) ? from[i]
                                                                                      : '?');
    r->tail[has + n] = 0;
}

static inline void verifier_hear(verifier_run *r, const verifier_news *news) {
    if (news->what == VERIFIER_NEWS_ISOLATED) r->v->isolated = news->value;
    else if (news->what == VERIFIER_NEWS_ENDED) {
        r->status = news->value;
        r->ended = 1;
    } else {
        r->failure = news->what;
        r->why = news->value;
    }
}

static inline void verifier_drain_news(verifier_run *r) {
    verifier_news news;
    ssize_t n = 1;
    while (r->news[0] >= 0 && n > 0) {
        n = read(r->news[0], &news, sizeof news);
        if (n == (ssize_t)sizeof news) verifier_hear(r, &news);
    }
    if (n == 0) verifier_shut(&r->news[0]);
}

/* Reads what there is of its output; closes the pipe at its end. Returns 0 if it wrote too much. */
static inline int verifier_drain(verifier_run *r, int *fd) {
    char bytes[16384];
    while (*fd >= 0 && r->length + r->errors_length <= r->v->output) {
        ssize_t n = read(*fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        if (n == 0) verifier_shut(fd);
        else if (fd == &r->errors[0]) verifier_keep_tail(r, bytes, (size_t)n);
        else if (!verifier_keep(r, bytes, (size_t)n)) return 0;
    }
    return r->length + r->errors_length <= r->v->output;
}

static inline double verifier_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Until nobody can tell news any more, which is when all is over. Returns 0, or why it had to be
 * stopped: 1 its time, 2 its output. */
static inline int verifier_listen(verifier_run *r) {
    double deadline = verifier_now() + r->v->seconds, left = r->v->seconds;
    int stopped = 0, good = 1, i;
    while (r->news[0] >= 0 && !(stopped && left <= 0)) {
        struct pollfd polled[3];
        polled[0].fd = r->news[0];
        polled[1].fd = stopped == 2 ? -1 : r->output[0];
        polled[2].fd = stopped == 2 ? -1 : r->errors[0];
        for (i = 0; i < 3; i++) {
            polled[i].events = POLLIN;
            polled[i].revents = 0;
        }
        if (left > 0) poll(polled, 3, left > 60 ? 60000 : (int)(left * 1000) + 1);
        verifier_drain_news(r);
        good = verifier_drain(r, &r->output[0]) && verifier_drain(r, &r->errors[0]);
        left = deadline - verifier_now();
        if (stopped || r->news[0] < 0 || (good && left > 0)) continue;
        stopped = good ? 1 : 2;
        deadline = verifier_now() + (left = 5);
        kill(r->pid, SIGTERM);      /* our own child, who ends all of it                         */
    }
    return !good ? 2 : stopped;
}

/* ---- a batch */

static inline void verifier_put_text(FILE *file, const char *name, const char *text) {
    fprintf(file, "\"%s\":", name);
    if (text) json_write(file, text, strlen(text));
    else fputs("null", file);
    fputc(',', file);
}

/* The completions in a file without a name, which becomes stdin: so nothing has to be pumped into a
 * child that does not read. */
static inline int verifier_put_batch(verifier_run *r, const grpo_sample *samples, int n) {
    int fd = openat(r->root, "batch", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), i, good;
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) {
        if (fd >= 0) close(fd);
        return 0;
    }
    for (i = 0; i < n; i++) {
        const questions_item *data = (const questions_item *)samples[i].data;
        fprintf(file, "{\"index\":%d,", i);
        verifier_put_text(file, "prompt", samples[i].prompt);
        verifier_put_text(file, "completion", samples[i].completion);
        verifier_put_text(file, "answer", samples[i].answer);
        fprintf(file, "\"truncated\":%s,\"data\":%s}\n", samples[i].truncated ? "true" : "false",
                data && data->json ? data->json : "null");
    }
    r->input = openat(r->root, "batch", O_RDONLY | O_CLOEXEC);
    unlinkat(r->root, "batch", 0);
    good = !ferror(file);
    good &= fclose(file) == 0;
    return good && r->input >= 0;
}

static inline int verifier_put_env(verifier_run *r) {
    static const char *const kept[] = { "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "VIRTUAL_ENV",
                                        "PYTHONPATH", "LD_LIBRARY_PATH" };
    static const char *const here[] = { "HOME", "TMPDIR" };
    size_t i, n = 0;
    for (i = 0; i < 10; i++) {
        const char *name = i < 8 ? kept[i] : here[i - 8], *value = i < 8 ? getenv(name) : r->folder;
        size_t size = strlen(name) + (value ? strlen(value) : 0) + 2;
        if (!value) continue;
        r->env[n] = (char *)malloc(size);
        if (!r->env[n]) return 0;
        snprintf(r->env[n++], size, "%s=%s", name, value);
    }
    return 1;
}

/* Everything before the first process; 0: what errno says. */
static inline int verifier_prepare(verifier_run *r, const grpo_sample *samples, int n) {
    const char *where = getenv("TMPDIR");
    int tries;
    if (!where || where[0] != '/' || strlen(where) > 400) where = "/tmp";
    if (!r->v->tidied) verifier_tidy(where);
    r->v->tidied = 1;
    for (tries = 0; r->lock < 0; tries++) { /* another run might remove it before it is locked   */
        snprintf(r->around, sizeof r->around, "%s/verifier-XXXXXX", where);
        if (!mkdtemp(r->around)) return 0;
        r->lock = verifier_lock(r->around, O_CREAT | O_EXCL);
        if (r->lock < 0 && (rmdir(r->around) == 0 || tries == 8)) return 0;
    }
    snprintf(r->folder, sizeof r->folder, "%s/own", r->around);
    if (mkdir(r->folder, 0700) != 0) return 0;
    r->root = open(r->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    snprintf(r->uid_map, sizeof r->uid_map, "%lu %lu 1", (unsigned long)geteuid(),
             (unsigned long)geteuid());
    snprintf(r->gid_map, sizeof r->gid_map, "%lu %lu 1", (unsigned long)getegid(),
             (unsigned long)getegid());
    return r->root >= 0 && verifier_put_env(r) && verifier_put_batch(r, samples, n);
}

static inline void verifier_bury(verifier_run *r) {
    if (r->pid > 0) {
        if (r->news[0] >= 0) {      /* it was not over                                           */
            kill(-r->pid, SIGKILL);
            kill(r->pid, SIGKILL);
        }
        while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR) { }
    }
    r->pid = 0;
    verifier_shut(&r->output[0]);
    verifier_shut(&r->output[1]);
    verifier_shut(&r->errors[0]);
    verifier_shut(&r->errors[1]);
    verifier_shut(&r->news[0]);
    verifier_shut(&r->news[1]);
}

static inline void verifier_finish(verifier_run *r) {
    size_t i;
    verifier_bury(r);
    verifier_shut(&r->input);
    if (!verifier_leave(r->around, r->root, r->lock))
        verifier_say(r->v, "the verifier's folder %.300s could not be removed", r->around);
    for (i = 0; i < sizeof r->env / sizeof *r->env; i++) free(r->env[i]);
    free(r->text);
}

/* Drops the first n bytes of `path` wherever it is in the text. */
static inline void verifier_shorten(char *text, const char *path, size_t n) {
    char *at = text;
    while (n && (at = strstr(at, path)) != NULL) memmove(at, at + n, strlen(at + n) + 1);
}

/* The last line that it wrote to stderr, for a sentence. Paths are as the user has given them: its
 * own folder, in which it has looked for files that are not there, is left out, and so is what was
 * put before the words of the command. */
static inline const char *verifier_last_words(verifier_run *r) {
    char own[sizeof r->folder + 1], *line;
    size_t n;
    int i;
    snprintf(own, sizeof own, "%s/", r->folder);
    verifier_shorten(r->tail, own, strlen(own));
    verifier_shorten(r->tail, r->folder, strlen(r->folder));
    for (i = 0; r->v->argv[i]; i++) verifier_shorten(r->tail, r->v->argv[i], r->v->cut[i]);
    n = strlen(r->tail);
    while (n && (r->tail[n - 1] == '\n' || r->tail[n - 1] == ' ')) r->tail[--n] = 0;
    line = strrchr(r->tail, '\n');
    return line ? line + 1 : r->tail;
}

static inline void verifier_judge_end(verifier_run *r, int stopped) {
    verifier *v = r->v;
    v->killed = stopped != 0;
    if (stopped == 1)
        verifier_say(v, "the verifier took more than %g seconds and was ended", v->seconds);
    else if (stopped == 2)
        verifier_say(v, "the verifier wrote more than %lu bytes and was ended",
                     (unsigned long)v->output);
    else if (r->ended && WIFSIGNALED(r->status))
        verifier_say(v, "the verifier was ended by signal %d%s",
                     WTERMSIG(r->status), WTERMSIG(r->status) == SIGXCPU
                     ? " (its processor time is up)" : "");
    else if (r->ended && WEXITSTATUS(r->status))
        verifier_say(v, "the verifier ended with status %d", WEXITSTATUS(r->status));
    else if (!r->ended) verifier_say(v, "the verifier was killed by somebody else");
}

/* Where there is a sentence, its last words, and, if it misses a file, what its author may not
 * know: where it runs. */
static inline void verifier_explain(verifier_run *r) {
    static const char *const missing[] = { "No such file", "FileNotFoundError", "Permission denied",
        "PermissionError", "No module named", "ENOENT", "EACCES", "can't open", "cannot open" };
    const char *words = verifier_last_words(r);
    size_t i = 0;
    if (!r->v->error[0]) return;
    if (*words || !r->ended || r->status)
        verifier_add(r->v, "; its last words: %s", *words ? words : "(nothing on stderr)");
    while (i < sizeof missing / sizeof *missing && !strstr(words, missing[i])) i++;
    if (i < sizeof missing / sizeof *missing)
        verifier_add(r->v, ". It runs in an empty folder of its own, and reads the system's files, "
                     "those beside the ones that its command names, and what --verifier-reads "
                     "names: give it absolute paths");
}

/* The sentence about what it is not kept from. */
static inline void verifier_warn(verifier *v) {
    int open = v->isolated < 0 ? 0 : VERIFIER_ALL & ~v->isolated;
    v->warning[0] = 0;
    if (v->isolated < 0) v->isolated = 0;                     /* it was over before that         */
    if (!open) return;
    snprintf(v->warning, sizeof v->warning, "the verifier is %s isolated: nothing keeps it from"
             "%s%s%s%s", open == VERIFIER_ALL ? "not" : "partly",
             open & VERIFIER_FILES ? " your files," : "", open & VERIFIER_NETWORK
             ? " the network," : "", open & VERIFIER_PROCESSES ? " your other processes," : "",
             open & VERIFIER_HELD ? " taking more memory than it is granted," : "");
    v->warning[strlen(v->warning) - 1] = 0;
    strcat(v->warning, v->isolate == VERIFIER_NOT ? ", as you asked for"
                                                  : ", for this system offers nothing against it");
}

/* After verifier_check(): how far it is isolated. */
static inline const char *verifier_sentence(const verifier *v) {
    return v->warning[0] ? v->warning : "the verifier is fully isolated: it has no network, reads "
        "only what it may, and changes nothing outside its own folder";
}

static inline void verifier_not_started(verifier_run *r) {
    verifier *v = r->v;
    v->error[0] = 0;
    if (r->failure == VERIFIER_NEWS_TOO_OPEN) {
        verifier_warn(v);
        verifier_say(v, "the verifier was not started: %.400s", v->warning);
    } else if (r->failure == VERIFIER_NEWS_NOT_STARTED) {
        verifier_say(v, "the verifier \"%.200s\" cannot be started: %s%s", v->command,
                     strerror(r->why), r->why == ENOEXEC ? " (a script needs a first line such as "
                     "#!/bin/sh)" : r->why == EACCES && v->isolated > 0
                     && v->isolated & VERIFIER_FILES
                     ? " (is what runs it in a folder that it may read?)" : "");
    } else {
        verifier_say(v, "the verifier cannot be started: %s", strerror(r->why));
    }
}

/* A batch; check: without the program. */
static inline int verifier_batch(verifier *v, const grpo_sample *samples, int n, float *rewards,
                                 int check) {
    verifier_run r;
    int i, stopped = 0;
    memset(&r, 0, sizeof r);
    r.v = v;
    r.check = check;
    r.root = r.lock = r.input = -1;
    r.output[0] = r.output[1] = r.errors[0] = r.errors[1] = r.news[0] = r.news[1] = -1;
    v->error[0] = 0;
    v->bad = v->unanswered = v->abstained = v->killed = 0;
    v->isolated = -1;               /* not told yet                                              */
    for (i = 0; i < n; i++) rewards[i] = 0;
    if (!verifier_prepare(&r, samples, n)) {
        r.failure = VERIFIER_NEWS_NOT_SET_UP;
        r.why = errno;
    }
    while (!r.failure) {
        r.namespaces = v->isolate != VERIFIER_NOT && !v->no_namespaces;
        if (!verifier_start(&r)) {
            r.failure = VERIFIER_NEWS_NOT_SET_UP;
            r.why = errno;
            break;
        }
        stopped = verifier_listen(&r);
        verifier_drain(&r, &r.output[0]);
        verifier_drain(&r, &r.errors[0]);
        if (r.failure != VERIFIER_NEWS_NO_NAMESPACES) break;
        verifier_bury(&r);
        v->no_namespaces = 1;
        r.failure = 0;
    }
    if (r.failure) verifier_not_started(&r);
    else {
        int complete = !stopped && r.ended && WIFEXITED(r.status);
        verifier_judge_end(&r, stopped);
        verifier_warn(v);
        if (!verifier_read_answers(v, r.text ? r.text : "", r.length, complete, n, rewards)) {
            r.failure = VERIFIER_NEWS_NOT_SET_UP;
            verifier_say(v, "there is not enough memory for the verifier's answers");
        }
        verifier_explain(&r);
    }
    if (v->isolated < 0) v->isolated = 0;
    if (!r.failure) v->promised |= v->isolated;
    verifier_finish(&r);
    return r.failure != 0;
}

/* Not one number for n completions: says whose fault it is, in the words that there are. */
static inline void verifier_useless(verifier *v, int n) {
    static const char name[] = "the verifier ";
    char why[VERIFIER_SENTENCE];
    snprintf(why, sizeof why, "%s", v->error[0] ? v->error : v->abstained
             ? "it said null, that it cannot tell" : "it wrote nothing");
    v->error[0] = 0;
    verifier_say(v, "the verifier \"%.120s\" gave none of %d completions a reward: %s%.760s",
                 v->command, n, strncmp(why, name, sizeof name - 1) ? "" : "it ",
                 strncmp(why, name, sizeof name - 1) ? why : why + sizeof name - 1);
}

/* A reward for grpo_reward.batch; user: a verifier. The samples' data: questions_item, or NULL. */
static inline int verifier_reward(const grpo_sample *samples, int n, float *rewards, void *user) {
    verifier *v = (verifier *)user;
    int code = verifier_batch(v, samples, n, rewards, 0), none = v->unanswered + v->abstained == n;
    v->silent = none ? v->silent + n : 0;
    if (code || n < 1 || !none || !v->must_answer) return code;
    if (v->abstained && (v->must_answer < 2 || v->silent < VERIFIER_SILENT)) return 0;
    verifier_useless(v, n);
    return 1;
}

/* A batch of known answers as completions, before anything depends on it. Not 0: it answered for
 * none of them, or (must_answer 2) had no number for any, and v->error says why. */
static inline int verifier_try(verifier *v, const grpo_sample *samples, int n, float *rewards) {
    int before = v->must_answer, code;
    if (!before) v->must_answer = 1;
    v->silent = VERIFIER_SILENT - n;
    code = verifier_reward(samples, n, rewards, v);
    v->must_answer = before;
    v->silent = 0;
    return code;
}

/* Before the first batch: how far it will be isolated. Not 0: v->error says why it cannot run. */
static inline int verifier_check(verifier *v) {
    return verifier_batch(v, NULL, 0, NULL, 1);
}

#else

static inline void verifier_close(verifier *v) { memset(v, 0, sizeof *v); }

static inline int verifier_open(verifier *v, const char *command, char *error) {
    (void)command;
    memset(v, 0, sizeof *v);
    snprintf(error, JSON_ERROR_LENGTH, "a verifier of your own needs Linux, macOS or another POSIX "
             "system: use one of the built-in rewards here");
    return 0;
}

static inline int verifier_reward(const grpo_sample *samples, int n, float *rewards, void *user) {
    (void)samples;
    (void)n;
    (void)rewards;
    (void)user;
    return 1;
}

static inline int verifier_try(verifier *v, const grpo_sample *samples, int n, float *rewards) {
    return verifier_reward(samples, n, rewards, v);
}

static inline int verifier_check(verifier *v) { (void)v; return 1; }
static inline const char *verifier_sentence(const verifier *v) { return v->warning; }

#endif
#endif
