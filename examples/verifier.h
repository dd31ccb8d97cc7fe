/* verifier.h: rewards from a program of the user's, in any language, that may be wrong, slow or
 * hostile, for it runs what a policy wrote.
 *
 *     verifier v = verifier_defaults("python3 verify.py");
 *     grpo_add_reward(&config, "cmd", NULL, 1, &v);
 *     config.rewards[config.num_rewards - 1].batch = verifier_reward;
 *
 * It is started once a batch by /bin/sh, where you are, and reads a line for each completion:
 *
 *     {"index":0,"prompt":"...","completion":"...","answer":"...","truncated":false,"data":{...}}
 *
 * data is the question's own JSON (null if there is none). It writes a line for each: a number, in
 * the order of the completions, or {"index":0,"reward":1} in any order; a reward of null means that
 * it cannot say. What it has not answered when it ends, overruns its time or says too much scores
 * 0, and v.error tells why, with the end of what it wrote to stderr.
 *
 * What holds it: wall-clock and processor time, memory, the size of files, no core files; its whole
 * process group is killed at the end; TMPDIR is a folder of its own, removed afterwards. On Linux,
 * where the kernel lets an ordinary user do so, it has no network (a namespace of its own) and can
 * write nowhere but in that folder (Landlock). It can read what you can, and without those two
 * (v.isolated says) it is a program like any that you start: give it to a container if you must.
 *
 * For namespaces and Landlock _GNU_SOURCE must be defined before the first #include. POSIX only. */
#ifndef VERIFIER_H
#define VERIFIER_H

#include "grpo.h"
#include "json.h"

enum { VERIFIER_NO_NETWORK = 1, VERIFIER_NO_WRITING = 2, VERIFIER_ERROR_LENGTH = 320 };

typedef struct verifier {
    const char *command;
    double seconds;                 /* for a batch                                               */
    size_t memory, output;          /* most bytes that it may use, and write                     */
    int    isolated;                /* out: VERIFIER_NO_*                                        */
    int    problems;                /* out: completions not answered as they should be, so far   */
    char   error[VERIFIER_ERROR_LENGTH];                      /* out: the last problem, in words */
} verifier;

static inline verifier verifier_defaults(const char *command) {
    verifier v;
    memset(&v, 0, sizeof v);
    v.command = command;
    v.seconds = 30;
    v.memory = (size_t)1 << 30;
    v.output = (size_t)1 << 20;
    return v;
}

/* ---- what it answers */

/* One line, the count-th that is a bare number counted by *next: sets a reward. 0: it is no
 * answer. */
static inline int verifier_line(const char *line, size_t length, float *rewards,
                                unsigned char *answered, int n, int *next) {
    char error[JSON_ERROR_LENGTH], *copy = (char *)malloc(length + 1);
    const json_value *reward, *index;
    double at, x = 0;
    int good;
    json j;
    if (!copy) return 0;
    memcpy(copy, line, length);
    copy[length] = 0;
    if (!json_parse(&j, copy, length, NULL, error)) { ++*next; return 0; }
    index = json_find(j.values, "index");
    reward = j.values->type == JSON_OBJECT ? json_find(j.values, "reward") : j.values;
    at = j.values->type == JSON_OBJECT ? json_number(index, -1) : (*next)++;
    good = (json_is(reward, JSON_NUMBER) || json_is(reward, JSON_NULL))
        && at >= 0 && at < n && at == (int)at && !answered[(int)at];
    if (good) {
        x = json_number(reward, (double)NAN);
        good = !(x > 1e30 || x < -1e30);
    }
    if (good) {
        rewards[(int)at] = (float)x;
        answered[(int)at] = 1;
    }
    json_free(&j);
    return good;
}

/* All lines of what it wrote. Returns how many completions it has not answered; *bad (NULL: none)
 * is the first line that is no answer. */
static inline int verifier_parse(const char *text, size_t length, float *rewards, int n,
                                 const char **bad) {
    unsigned char *answered = (unsigned char *)calloc((size_t)n + 1, 1);
    int i, next = 0, missing = n;
    *bad = NULL;
    for (i = 0; i < n; i++) rewards[i] = 0;
    while (answered && length) {
        const char *end = (const char *)memchr(text, '\n', length);
        size_t size = end ? (size_t)(end - text) : length;
        if (size && text[0] != '\r' && !verifier_line(text, size, rewards, answered, n, &next)
            && !*bad) *bad = text;
        size += end != NULL;
        text += size;
        length -= size;
    }
    for (i = 0; answered && i < n; i++) missing -= answered[i];
    free(answered);
    return missing;
}

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__) && defined(_GNU_SOURCE)
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#if defined(__has_include)
#if __has_include(<linux/landlock.h>) && defined(SYS_landlock_create_ruleset)
#include <linux/landlock.h>
#define VERIFIER_LANDLOCK
#endif
#endif
#endif

/* ---- what it is asked */

static inline void verifier_field(FILE *f, const char *name, const char *text) {
    fprintf(f, ",\"%s\":", name);
    if (text) json_write(f, text, strlen(text));
    else fputs("null", f);
}

/* The lines for a batch, from malloc. */
static inline char *verifier_request(const grpo_sample *samples, int n, size_t *length) {
    char *text = NULL;
    FILE *f = open_memstream(&text, length);
    int i, done;
    for (i = 0; f && i < n; i++) {
        fprintf(f, "{\"index\":%d", i);
        verifier_field(f, "prompt", samples[i].prompt);
        verifier_field(f, "completion", samples[i].completion);
        verifier_field(f, "answer", samples[i].answer);
        fprintf(f, ",\"truncated\":%s,\"data\":%s}\n", samples[i].truncated ? "true" : "false",
                samples[i].data ? (const char *)samples[i].data : "null");
    }
    if (!f) return NULL;
    done = !ferror(f);
    if (fclose(f) || !done) { free(text); return NULL; }
    return text;
}

/* ---- the process */

typedef struct verifier_process {
    pid_t pid;
    int to, from;                   /* its stdin and stdout                                      */
    int ended, status, late, wordy;
    char folder[256], log[288];     /* its own folder, and its stderr there                      */
    char *said;                     /* what it wrote                                             */
    size_t length;
} verifier_process;

static inline double verifier_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline struct rlimit verifier_capped(struct rlimit limit, size_t most) {
    if (limit.rlim_max == RLIM_INFINITY || (rlim_t)most < limit.rlim_max)
        limit.rlim_max = (rlim_t)most;
    limit.rlim_cur = limit.rlim_max;
    return limit;
}

/* A macro, for the type of `what` has another name on every system. */
#define VERIFIER_LIMIT(what, most) do {                                    \
        struct rlimit limit_;                                              \
        if (!getrlimit(what, &limit_)) {                                   \
            limit_ = verifier_capped(limit_, most);                        \
            setrlimit(what, &limit_);                                      \
        }                                                                  \
    } while (0)

/* In the child: it may write in its folder alone. */
static inline int verifier_no_writing(const char *folder) {
#ifdef VERIFIER_LANDLOCK
    struct landlock_ruleset_attr rules;
    struct landlock_path_beneath_attr own;
    long set;
    int done, null;
    memset(&rules, 0, sizeof rules);
    memset(&own, 0, sizeof own);
    rules.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR
        | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR
        | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK
        | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK
        | LANDLOCK_ACCESS_FS_MAKE_SYM;
    set = syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
    if (set < 0) return 0;
    own.allowed_access = rules.handled_access_fs;
    own.parent_fd = open(folder, O_RDONLY);
    done = !syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &own, 0);
    null = open("/dev/null", O_RDONLY);
    own.allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE;
    own.parent_fd = null;
    done = done && !syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &own, 0)
        && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !syscall(SYS_landlock_restrict_self, set, 0);
    return done;
#else
    (void)folder;
    return 0;
#endif
}

/* In the child: no network, and process numbers of its own, so that nothing it starts can outlive
 * it: the process that goes on from here is the first of them, and this one waits for it. */
static inline int verifier_no_network(void) {
#if defined(__linux__) && defined(_GNU_SOURCE)
    pid_t first;
    int status = 0;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID)) return 0;
    first = fork();
    if (first < 0) _exit(126);
    if (first == 0) return 1;
    close(0);
    close(1);
    while (waitpid(first, &status, 0) < 0 && errno == EINTR) { }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
#else
    return 0;
#endif
}

/* The child's life, up to exec: nothing here allocates, for other threads may hold malloc's lock.
 * Its first byte of stdout is how it is isolated. */
static inline void verifier_child(const verifier *v, const verifier_process *p, int in, int out,
                                  char *const *environment) {
    char *arguments[4], isolated;
    sigset_t none;
    int fd, log = open(p->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    arguments[0] = (char *)(uintptr_t)"sh";
    arguments[1] = (char *)(uintptr_t)"-c";
    arguments[2] = (char *)(uintptr_t)v->command;
    arguments[3] = NULL;
    setpgid(0, 0);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || (log >= 0 && dup2(log, 2) < 0)) _exit(126);
    for (fd = 3; fd < 1024; fd++) close(fd);
    isolated = (char)((verifier_no_network() ? VERIFIER_NO_NETWORK : 0)
                      | (verifier_no_writing(p->folder) ? VERIFIER_NO_WRITING : 0));
    for (fd = 3; fd < 16; fd++) close(fd);
    if (write(1, &isolated, 1) != 1) _exit(126);
    VERIFIER_LIMIT(RLIMIT_CPU, (size_t)v->seconds + 1);
    VERIFIER_LIMIT(RLIMIT_FSIZE, (size_t)64 << 20);
    VERIFIER_LIMIT(RLIMIT_CORE, 0);
#ifdef RLIMIT_AS
    VERIFIER_LIMIT(RLIMIT_AS, v->memory);
#endif
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    execve("/bin/sh", arguments, environment);
    _exit(127);
}

extern char **environ;

/* The environment with TMPDIR set to the folder; setting is TMPDIR's line. */
static inline char **verifier_environment(const char *folder, char *setting, size_t size) {
    size_t n = 0, i, kept = 0;
    char **list;
    while (environ && environ[n]) n++;
    list = (char **)malloc((n + 2) * sizeof *list);
    if (!list) return NULL;
    snprintf(setting, size, "TMPDIR=%s", folder);
    for (i = 0; i < n; i++)
        if (strncmp(environ[i], "TMPDIR=", 7) != 0) list[kept++] = environ[i];
    list[kept++] = setting;
    list[kept] = NULL;
    return list;
}

/* 0, or -1: it could not be started, errno says why. */
static inline int verifier_start(const verifier *v, verifier_process *p) {
    const char *base = getenv("TMPDIR");
    char setting[288], **environment;
    int in[2] = { -1, -1 }, out[2] = { -1, -1 };
    memset(p, 0, sizeof *p);
    p->pid = p->to = p->from = -1;
    snprintf(p->folder, sizeof p->folder, "%.200s/grpo-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(p->folder)) { p->folder[0] = 0; return -1; }
    snprintf(p->log, sizeof p->log, "%s/stderr", p->folder);
    environment = verifier_environment(p->folder, setting, sizeof setting);
    if (environment && !pipe(in) && !pipe(out)) p->pid = fork();
    if (p->pid == 0) verifier_child(v, p, in[0], out[1], environment);
    free(environment);
    if (in[0] >= 0) close(in[0]);
    if (out[1] >= 0) close(out[1]);
    p->to = in[1];
    p->from = out[0];
    if (p->pid < 0) return -1;
    setpgid(p->pid, p->pid);        /* both do it: who comes first wins                          */
    fcntl(p->to, F_SETFL, O_NONBLOCK);
    fcntl(p->from, F_SETFL, O_NONBLOCK);
    return 0;
}

/* Writes what still fits, closes its stdin after the last byte, or when it has closed it. */
static inline void verifier_feed(verifier_process *p, const char *request, size_t length,
                                 size_t *sent) {
    ssize_t n = write(p->to, request + *sent, length - *sent);
    if (n > 0) *sent += (size_t)n;
    if (*sent < length && (n >= 0 || errno == EAGAIN || errno == EINTR)) return;
    close(p->to);
    p->to = -1;
}

/* Reads what is there. 0: its stdout has ended, or it has said too much. */
static inline int verifier_hear(verifier_process *p, size_t most) {
    ssize_t n = read(p->from, p->said + p->length, most + 1 - p->length);
    if (n > 0) p->length += (size_t)n;
    p->wordy = p->length > most;
    return !p->wordy && (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
}

/* Until it has ended, has closed its stdout, has overrun its time or has said too much. */
static inline void verifier_talk(const verifier *v, verifier_process *p, const char *request,
                                 size_t length) {
    double end = verifier_now() + v->seconds;
    size_t sent = 0;
    int hears = 1;
    while (hears) {
        struct pollfd polls[2];
        int count = 1, ready;
        double left = end - verifier_now();
        if (left <= 0) { p->late = 1; break; }
        polls[0].fd = p->from; polls[0].events = POLLIN; polls[0].revents = 0;
        if (p->to >= 0) {
            polls[1].fd = p->to; polls[1].events = POLLOUT; polls[1].revents = 0;
            count = 2;
        }
        ready = poll(polls, (nfds_t)count, left < 0.05 ? 1 + (int)(1e3 * left) : 50);
        if (ready > 0 && count == 2 && polls[1].revents) verifier_feed(p, request, length, &sent);
        if (ready > 0 && polls[0].revents) hears = verifier_hear(p, v->output);
        else if (p->ended) break;   /* its children may hold the pipe open: they are not asked   */
        else if (ready == 0) p->ended = waitpid(p->pid, &p->status, WNOHANG) == p->pid;
    }
}

static inline int verifier_remove(const char *path, const struct stat *s, int type,
                                  struct FTW *walk) {
    (void)s; (void)type; (void)walk;
    remove(path);
    return 0;
}

/* A moment to end by itself if it has closed its stdout, then its whole group is killed. */
static inline void verifier_stop(verifier_process *p) {
    int tries = p->late || p->wordy ? 0 : 20;
    const struct timespec moment = { 0, 5000000 };
    if (p->to >= 0) close(p->to);
    if (p->from >= 0) close(p->from);
    for (; p->pid > 0 && !p->ended && tries > 0; tries--) {
        p->ended = waitpid(p->pid, &p->status, WNOHANG) == p->pid;
        if (!p->ended) nanosleep(&moment, NULL);
    }
    if (p->pid <= 0) return;
    kill(-p->pid, SIGKILL);
    if (!p->ended) while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR) { }
}

/* ---- what went wrong, in words */

/* The end of its stderr, its lines joined. */
static inline void verifier_last_words(const verifier_process *p, char *words, size_t size) {
    FILE *f = fopen(p->log, "rb");
    size_t n = 0, i;
    if (f && !fseek(f, 0, SEEK_END)) {
        long end = ftell(f);
        fseek(f, end > (long)size - 1 ? end - (long)size + 1 : 0, SEEK_SET);
        n = fread(words, 1, size - 1, f);
    }
    if (f) fclose(f);
    while (n && strchr(" \r\n", words[n - 1])) n--;
    words[n] = 0;
    for (i = 0; i < n; i++) if ((unsigned char)words[i] < ' ') words[i] = ' ';
}

static inline void verifier_explain(verifier *v, const verifier_process *p, int missing, int n,
                                    const char *bad) {
    char words[96] = "", how[64] = "";
    int length = bad ? (int)strcspn(bad, "\r\n") : 0;
    verifier_last_words(p, words, sizeof words);
    if (p->late) snprintf(how, sizeof how, ", killed after %g s", v->seconds);
    else if (p->wordy) snprintf(how, sizeof how, ", killed for writing too much");
    else if (WIFSIGNALED(p->status))
        snprintf(how, sizeof how, ", ended by signal %d", WTERMSIG(p->status));
    else if (WEXITSTATUS(p->status))
        snprintf(how, sizeof how, ", exit status %d", WEXITSTATUS(p->status));
    snprintf(v->error, sizeof v->error, "cmd:%.60s left %d of %d without a reward%s: they score "
             "0%s%.*s%s%s", v->command, missing, n, how, bad ? "; no answer is: " : "",
             length < 40 ? length : 40, bad ? bad : "", *words ? "; it said: " : "", words);
}

/* The whole of its life. 0, or -1: it could not be started. */
static inline int verifier_run(verifier *v, verifier_process *p, const char *request,
                               size_t length) {
    sigset_t pipes, before, pending;
    int one, code;
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    sigprocmask(SIG_BLOCK, &pipes, &before);  /* a verifier that does not read must not end us    */
    code = verifier_start(v, p);
    if (!code) p->said = (char *)malloc(v->output + 2);
    if (!p->said) {
        snprintf(v->error, sizeof v->error, "cmd:%.80s cannot be started: %s", v->command,
                 strerror(errno));
        code = -1;
    } else {
        verifier_talk(v, p, request, length);
    }
    verifier_stop(p);
    if (!sigpending(&pending) && sigismember(&pending, SIGPIPE)) sigwait(&pipes, &one);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return code;
}

/* A grpo_reward_batch_function; user is a verifier *, samples' data a const char * of JSON or NULL.
 * Fails only if the command cannot be started at all. */
static inline int verifier_reward(const grpo_sample *samples, int n, float *rewards, void *user) {
    verifier *v = (verifier *)user;
    verifier_process p;
    size_t length = 0, first;
    char *request = verifier_request(samples, n, &length);
    const char *bad;
    int missing, code = -1;
    memset(&p, 0, sizeof p);
    v->error[0] = 0;
    if (request) code = verifier_run(v, &p, request, length);
    else snprintf(v->error, sizeof v->error, "cmd: out of memory");
    if (!code) {
        first = p.length > 0;       /* the child's word on its isolation                         */
        p.said[p.length] = 0;
        if (first) v->isolated = p.said[0];
        missing = verifier_parse(p.said + first, p.length - first, rewards, n, &bad);
        if (missing || bad) verifier_explain(v, &p, missing, n, bad);
        v->problems += missing;
        if (missing == n && WIFEXITED(p.status) && WEXITSTATUS(p.status) == 127) code = -1;
    }
    if (p.folder[0]) nftw(p.folder, verifier_remove, 16, FTW_DEPTH | FTW_PHYS);
    free(p.said);
    free(request);
    return code;
}
#else
static inline int verifier_reward(const grpo_sample *samples, int n, float *rewards, void *user) {
    verifier *v = (verifier *)user;
    (void)samples; (void)n; (void)rewards;
    snprintf(v->error, sizeof v->error, "cmd: needs a POSIX system");
    return -1;
}
#endif

#endif
