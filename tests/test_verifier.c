/* The user's own verifier: what it is given, what is made of its answers, and that no misbehaviour
 * hangs, escapes or leaves anything behind. Children are sh scripts, or this program itself. */
#define GRPO_IMPLEMENTATION
#include "examples/tool/verifier.h"
#include "check.h"

#ifdef __linux__
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#endif

extern char **environ;
enum { N = 4 };

static char error[JSON_ERROR_LENGTH], here[1024], self[1100];
static grpo_sample samples[N];
static questions_item items[N];
static float rewards[N];

/* ---- this program as a verifier: `test_verifier child NAME` */

/* Rewards each line that is as it should be with 1. */
static void child_check(void) {
    static char line[1 << 16];
    int i;
    for (i = 0; i < N && fgets(line, sizeof line, stdin); i++) {
        size_t n = strlen(line);
        char *copy = (char *)malloc(n + 1), data[64];
        const json_value *v, *d;
        json j;
        int good;
        strcpy(copy, line);
        if (!json_parse(&j, copy, n, NULL, error)) continue;
        v = j.values;
        d = json_find(v, "data");
        snprintf(data, sizeof data, "field %d", i);
        good = json_number(json_find(v, "index"), -1) == i
               && !strcmp(json_string(json_find(v, "prompt"), ""), "2+2?")
               && !strcmp(json_string(json_find(v, "completion"), ""), i ? "\"4\"\n\xef\xbf\xbd"
                                                                       : "5")
               && (i == 2 ? json_is(json_find(v, "answer"), JSON_NULL)
                          : !strcmp(json_string(json_find(v, "answer"), ""), "4"))
               && json_is(json_find(v, "truncated"), i == 1 ? JSON_TRUE : JSON_FALSE)
               && (i == 3 ? json_is(d, JSON_NULL)
                          : !strcmp(json_string(json_find(d, "extra"), ""), data));
        printf("{\"index\": %d, \"reward\": %d}\n", N - 1 - i, good);
        json_free(&j);
    }
}

/* What no verifier has: how many files are open beyond the three; how many of the three are a
 * terminal, and is there one; variables that it should not have; room for a core file or for more
 * open files than it may have. */
static void child_look(void) {
    static const char *const kept[] = { "PATH=", "LANG=", "LC_ALL=", "LC_CTYPE=", "TZ=",
        "VIRTUAL_ENV=", "PYTHONPATH=", "LD_LIBRARY_PATH=", "HOME=", "TMPDIR=" };
    struct rlimit core, open_files;
    int fd, files = 0, terminals = 0, variables = 0;
    size_t k;
    char **at;
    for (fd = 3; fd < 1000; fd++) files += fcntl(fd, F_GETFD) >= 0;
    for (fd = 0; fd < 3; fd++) terminals += isatty(fd) != 0;
    terminals += open("/dev/tty", O_RDWR) >= 0;
    for (at = environ; *at; at++) {
        for (k = 0; k < 10; k++) if (!strncmp(*at, kept[k], strlen(kept[k]))) break;
        variables += k == 10;
    }
    getrlimit(RLIMIT_CORE, &core);
    getrlimit(RLIMIT_NOFILE, &open_files);
#ifdef CHECK_QUICK
    open_files.rlim_max = 0;        /* valgrind does not let it be lowered                       */
#endif
    printf("%d\n%d\n%d\n%d\n", files, terminals, variables,
           core.rlim_max > 1 || open_files.rlim_max > VERIFIER_OPEN);
}

#ifdef __linux__
/* Everything that an isolated verifier must not be able to do: how much of it goes, of files, the
 * network, other processes and memory; stderr has the names. */
static int tried(const char *what, int done) {
    if (done) fprintf(stderr, "%s ", what);
    return done != 0;
}

/* file: outside its folder, may be read; what is done is undone, so that the next can be tried. */
static int child_files(const char *file) {
    char folder[1200], there[1300];
    struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
    struct timeval times[2] = { { 1, 0 }, { 1, 0 } };
    int fd = open(file, O_RDONLY), done = 0, flags = 0;
    uid_t me = geteuid();
    gid_t us = getegid();
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(file, '/') - file), file);
    snprintf(there, sizeof there, "%s/made", folder);
    close(open("mine", O_WRONLY | O_CREAT, 0600));
    done += tried("chmod", !chmod(file, 0600));
    done += tried("fchmod", !fchmod(fd, 0600));
    done += tried("fchmodat", !fchmodat(AT_FDCWD, file, 0600, 0));
    done += tried("chown", !chown(file, me, us));
    done += tried("lchown", !lchown(file, me, us));
    done += tried("fchown", !fchown(fd, me, us));
    done += tried("fchownat", !fchownat(AT_FDCWD, file, me, us, 0));
    done += tried("utimes", !utimes(file, times));
    done += tried("futimens", !futimens(fd, now));
    done += tried("utimensat", !utimensat(AT_FDCWD, file, now, 0));
    done += tried("utimensat of a folder", !utimensat(AT_FDCWD, folder, NULL, 0));
    done += tried("setxattr", !setxattr(file, "user.a", "1", 1, 0));
    done += tried("lsetxattr", !lsetxattr(file, "user.a", "1", 1, 0));
    done += tried("fsetxattr", !fsetxattr(fd, "user.a", "1", 1, 0));
    done += tried("removexattr", !removexattr(file, "user.a"));
    done += tried("flags", syscall(SYS_ioctl, fd, 0x80086601, &flags) == 0
                           && syscall(SYS_ioctl, fd, 0x40086602, &flags) == 0);
    done += tried("truncate", !truncate(file, 1));
    done += tried("O_WRONLY", open(file, O_WRONLY) >= 0);
    done += tried("O_APPEND", open(file, O_WRONLY | O_APPEND) >= 0);
    done += tried("O_TRUNC", open(file, O_RDONLY | O_TRUNC) >= 0);
    done += tried("rename here", !rename(file, "taken") && !rename("taken", file));
    done += tried("link here", !link(file, "linked") && !unlink("linked"));
    done += tried("O_CREAT", open(there, O_WRONLY | O_CREAT, 0600) >= 0 && !unlink(there));
    done += tried("link there", !link("mine", there) && !unlink(there));
    done += tried("rename there", !rename("mine", there) && !rename(there, "mine"));
    done += tried("symlink", !symlink("x", there) && !unlink(there));
    done += tried("mkfifo", !mkfifo(there, 0600) && !unlink(there));
    done += tried("mkdir", !mkdir(there, 0700) && !rmdir(there));
    done += tried("unlink", !unlink(file) && open(file, O_WRONLY | O_CREAT, 0600) >= 0);
    done += tried("/dev/shm", open("/dev/shm/verifier", O_RDWR | O_CREAT, 0600) >= 0
                              && !unlink("/dev/shm/verifier"));
    return done;
}

static int child_network(void) {
    int pair[2], done = 0;
    done += tried("TCP", socket(AF_INET, SOCK_STREAM, 0) >= 0);
    done += tried("UDP", socket(AF_INET, SOCK_DGRAM, 0) >= 0);
    done += tried("TCP6", socket(AF_INET6, SOCK_STREAM, 0) >= 0);
    done += tried("unix", socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    done += tried("netlink", socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
    done += tried("socketpair of datagrams", !socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    done += tried("io_uring", syscall(425, 1, NULL) >= 0 || errno != EACCES);
    return done;
}

static int child_processes(pid_t other) {
    char path[64], byte;
    struct iovec here_is, there_is;
    struct rlimit limit;
    int done = 0;
    here_is.iov_base = &byte;
    there_is.iov_base = (void *)environ;
    here_is.iov_len = there_is.iov_len = 1;
    done += tried("kill", !kill(other, 0));
    done += tried("prlimit", !syscall(SYS_prlimit64, other, RLIMIT_NOFILE, NULL, &limit));
    done += tried("setpriority", !setpriority(PRIO_PROCESS, (id_t)other,
                                              getpriority(PRIO_PROCESS, (id_t)other)));
    snprintf(path, sizeof path, "/proc/%ld/mem", (long)other);
    done += tried("its memory", open(path, O_RDONLY) >= 0);
    snprintf(path, sizeof path, "/proc/%ld/environ", (long)other);
    done += tried("its environment", open(path, O_RDONLY) >= 0);
    done += tried("process_vm_readv", process_vm_readv(other, &here_is, 1, &there_is, 1, 0) >= 0);
    done += tried("ptrace", syscall(SYS_ptrace, 0x4206, other, NULL, NULL) == 0);
    return done;
}

static int child_memory(void) {
    int done = 0;
    long at;
    done += tried("memfd_create", syscall(SYS_memfd_create, "x", 0) >= 0);
    done += tried("memfd_secret", syscall(447, 0) >= 0 || errno != EACCES);
#ifdef SYS_shmget
    if (tried("shmget", (at = syscall(SYS_shmget, 0, 4096, 01600)) >= 0))
        done += syscall(SYS_shmctl, at, 0, NULL) == 0;
    if (tried("msgget", (at = syscall(SYS_msgget, 0, 01600)) >= 0))
        done += syscall(SYS_msgctl, at, 0, NULL) == 0;
    if (tried("semget", (at = syscall(SYS_semget, 0, 1, 01600)) >= 0))
        done += syscall(SYS_semctl, at, 0, 0, 0) == 0;
#endif
    at = syscall(SYS_mq_open, "verifier", O_RDWR | O_CREAT, 0600, NULL);
    if (tried("mq_open", at >= 0))
        done += syscall(SYS_mq_unlink, "verifier") == 0;
    done += tried("keyctl", syscall(SYS_keyctl, 0, -4, 1) >= 0 || errno != EACCES);
    done += tried("TIOCSTI", ioctl(0, TIOCSTI, "x") == 0 || errno != EACCES);
    done += tried("clone3", syscall(435, NULL, 0) >= 0 || errno != ENOSYS);
    return done;
}

/* Namespaces of its own, in which it would be root; only tried where that is refused. */
static int child_spaces(const char *folder) {
    int done = 0;
    long cloned;
    done += tried("mount", mount("x", folder, "tmpfs", 0, NULL) == 0);
    done += tried("remount", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
    cloned = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
    if (cloned == 0) _exit(0);
    done += tried("clone", cloned >= 0 || errno != EACCES);
    done += tried("unshare", unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 || errno != EACCES);
    return done;
}

/* And what it must be able to do; all: where it has namespaces. Returns what fails. */
static int child_plain(int all) {
    int fd = open("plain", O_RDWR | O_CREAT, 0600), pair[2], failed = 0;
    failed += tried("no write", write(fd, "abc", 3) != 3);
    failed += tried("no ftruncate", ftruncate(fd, 1) != 0);
    failed += tried("no mkdir", mkdir("folder", 0700) != 0);
    failed += tried("no rename", rename("plain", "folder/plain") != 0);
    failed += tried("no link", link("folder/plain", "folder/other") != 0);
    failed += tried("no symlink", symlink("folder", "points") != 0);
    failed += tried("no mkfifo", mkfifo("pipe", 0600) != 0);
    failed += tried("no unlink", unlink("points/other") != 0);
    failed += tried("no socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0);
    failed += tried("no pipe", pipe(pair) != 0);
    failed += tried("no /dev/null", write(open("/dev/null", O_WRONLY), "x", 1) != 1);
    failed += tried("no /dev/urandom", open("/dev/urandom", O_RDONLY) < 0);
    failed += tried("no chmod", all && chmod("folder/plain", 0700) != 0);
    failed += tried("no utimensat", all && utimensat(AT_FDCWD, "folder", NULL, 0) != 0);
    return failed;
}

static void child_reach(char **words) {       /* FILE PROCESS isolated|open [all]                */
    char folder[1200];
    int plain;
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(words[0], '/') - words[0]), words[0]);
    plain = child_plain(words[3] != NULL);
    printf("%d\n%d\n", child_files(words[0]) + plain * 1000, child_network());
    printf("%d\n%d\n", child_processes((pid_t)atol(words[1])), child_memory()
           + (strcmp(words[2], "open") ? child_spaces(folder) : 0));
}

#endif

/* As on a kernel without Landlock, or with it but without seccomp: what follows is started so. */
static int weaken(char **command, int seccomp) {
#ifdef VERIFIER_ARCHITECTURE
    static const uint32_t set_seccomp = 22;
    verifier_filter f;
    f.n = 0;
    verifier_put(&f, VERIFIER_LOAD, 0, 0, VERIFIER_CALL);
    if (seccomp) verifier_refuse_by(&f, SYS_prctl, 0, ~(uint32_t)0, 1, &set_seccomp, 1);
    else verifier_refuse(&f, 444, ENOSYS);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && verifier_install(&f)) {
        if (!command) return 0;
        execv(command[0], command);
    }
#endif
    (void)command;
    (void)seccomp;
    printf("skipped: no seccomp here\n");
    return 1;
}

static int child(char **words) {
    if (!strcmp(words[0], "check")) child_check();
#ifdef __linux__
    else if (!strcmp(words[0], "reach")) child_reach(words + 1);
#endif
    else child_look();
    fflush(stdout);
    _exit(0);
}

/* ---- a run */

static void make_samples(void) {
    static char data[N][64];
    int i;
    memset(samples, 0, sizeof samples);
    for (i = 0; i < N; i++) {
        snprintf(data[i], sizeof data[i], "{\"extra\":\"field %d\"}", i);
        items[i].json = data[i];
        samples[i].prompt = "2+2?";
        samples[i].completion = i ? "\"4\"\n\xff" : "5";
        samples[i].answer = i == 2 ? NULL : "4";
        samples[i].truncated = i == 1;
        samples[i].data = i == 3 ? NULL : &items[i];
    }
}

static verifier ready(const char *command) {
    verifier v;
    CHECK(verifier_open(&v, command, error), "%s", error);
    v.seconds = 8;
    return v;
}

/* Runs a shell script; returns verifier_reward()'s code. */
static int run_script(verifier *v, const char *script) {
    int code;
    free(v->argv[2]);
    v->argv[2] = verifier_copy(script, strlen(script));
    code = verifier_reward(samples, N, rewards, v);
    return code;
}

static verifier shell(void) { return ready("sh -c ''"); }

static void rewards_are(const verifier *v, float a, float b, float c, float d) {
    CHECK(rewards[0] == a && rewards[1] == b && rewards[2] == c && rewards[3] == d,
          "%g %g %g %g instead of %g %g %g %g: %s", (double)rewards[0], (double)rewards[1],
          (double)rewards[2], (double)rewards[3], (double)a, (double)b, (double)c, (double)d,
          v->error);
}

static void check_input(void) {
    char command[1200];
    verifier v;
    snprintf(command, sizeof command, "'%s' child check", self);
    v = ready(command);
    v.memory = 0;                   /* sanitizers reserve more than any limit                    */
    CHECK(verifier_reward(samples, N, rewards, &v) == 0, "%s", v.error);
    rewards_are(&v, 1, 1, 1, 1);
    CHECK(!v.error[0] && !v.bad && !v.unanswered && !v.killed, "%s", v.error);
    verifier_close(&v);
    CHECK(verifier_open(&v, "./test_verifier child check", error), "%s", error);
    v.memory = 0;
    CHECK(verifier_reward(samples, N, rewards, &v) == 0, "%s", v.error);
    rewards_are(&v, 1, 1, 1, 1);
    CHECK(verifier_reward(samples, 0, rewards, &v) == 0 && !v.error[0], "no samples: %s", v.error);
    verifier_close(&v);
}

/* What a shell alone understands is refused, unless it is quoted. */
static void check_shell(void) {
    static const char *const signs[] = { "|", "||", "&&", "&", ";", "<", ">", ">>", "2>", ">log",
        "2>/dev/null", "2>&1", "x;", "$HOME/x", "${X}", "a$(b)", "`b`", "~/x" };
    static const char *const plain[] = { "'|'", "\">\"", "\\;", "'$HOME'", "a$", "^a$b$", "<think>",
        "http://x?a=1&b=2", "a~/", "$1", "-", "a|b" };
    char command[80];
    verifier v;
    size_t i;
    for (i = 0; i < sizeof signs / sizeof *signs; i++) {
        snprintf(command, sizeof command, "sh -c true %s x", signs[i]);
        CHECK(!verifier_open(&v, command, error) && strstr(error, signs[i])
              && strstr(error, "write cmd:sh -c '...'"), "%s: %s", command, error);
    }
    for (i = 0; i < sizeof plain / sizeof *plain; i++) {
        snprintf(command, sizeof command, "sh -c true %s x", plain[i]);
        CHECK(verifier_open(&v, command, error), "%s: %s", command, error);
        verifier_close(&v);
    }
}

/* Sentences have the paths of the command as they were typed. */
static void check_typed(void) {
    FILE *file = fopen("typed.sh", "w");
    verifier v;
    CHECK(file && fputs("echo \"$0: no\" >&2; exit 1\n", file) >= 0 && !fclose(file), "no file");
    CHECK(!verifier_open(&v, "./typed.sh", error) && strstr(error, "chmod +x"), "%s", error);
    CHECK(!verifier_open(&v, "typed.sh", error) && strstr(error, "./ before it"), "%s", error);
    v = ready("sh ./typed.sh");
    CHECK(!verifier_reward(samples, N, rewards, &v) && strstr(v.error, "words: ./typed.sh: no"),
          "%s", v.error);
    verifier_close(&v);
    remove("typed.sh");
}

static void check_command(void) {
    verifier v = ready(" sh  -c 'a \"b\"\\' \"c'\\\"d\" e\\ f");
    CHECK(v.argv[0][0] == '/' && !strcmp(v.argv[2], "a \"b\"\\") && !strcmp(v.argv[3], "c'\"d")
          && !strcmp(v.argv[4], "e f") && !v.argv[5], "%s|%s|%s", v.argv[2], v.argv[3], v.argv[4]);
    verifier_close(&v);
    CHECK(!verifier_open(&v, "", error) && strstr(error, "needs a command"), "%s", error);
    CHECK(!verifier_open(&v, "sh -c 'echo", error) && strstr(error, "quote"), "%s", error);
    CHECK(!verifier_open(&v, "./no_such_verifier", error)
          && strstr(error, "./no_such_verifier cannot be started"), "%s", error);
    CHECK(!verifier_open(&v, "no_such_verifier -x", error) && strstr(error, "PATH"), "%s", error);
    CHECK(!verifier_open(&v, "A=1 sh", error) && strstr(error, "env before it"), "%s", error);
    check_shell();
    check_typed();
}

/* ---- answers */

static const struct said {
    const char *text, *says;
    int complete, bad, unanswered;
    float a, b, c;
} said[] = {
    { "1\n 0.5 \r\n\n-2e1\n", "", 1, 0, 0, 1, .5f, -20 },
    { "1\n2\n3", "", 1, 0, 0, 1, 2, 3 },
    { "1\n2\n3", "2 of 3", 0, 0, 1, 1, 2, 0 },
    { "", "0 of 3", 1, 0, 3, 0, 0, 0 },
    { "{\"index\":2,\"reward\":3}\n{\"reward\":1,\"index\":0}\n{\"index\":1,\"reward\":2,\"x\":[]}",
      "", 1, 0, 0, 1, 2, 3 },
    { "1\n{\"index\":2,\"reward\":3}\n2\n", "", 1, 0, 0, 1, 2, 3 },
    { "1\nhello\n3\n", "line 2 of what the verifier wrote is no number: hello", 1, 1, 1, 1, 0, 3 },
    { "loading\n1\n2\n3\n", "is no number: loading", 1, 2, 3, 0, 0, 0 },
    { "1\n2\n3\n4\n5\n", "line 4 of what the verifier wrote is one too many: 4", 1, 2, 3, 0, 0, 0 },
    { "1\n2\n3 4\n", "is no number: 3 4", 1, 1, 1, 1, 2, 0 },
    { "0x1\ninf\n1e39\n", "is no number: 0x1", 1, 3, 3, 0, 0, 0 },
    { "{\"index\":0,\"reward\":1}\n{\"index\":0,\"reward\":1}\n{\"index\":1,\"reward\":1}\n",
      "again", 1, 1, 2, 0, 1, 0 },
    { "{\"index\":3,\"reward\":1}\n{\"index\":-1,\"reward\":1}\n{\"index\":0.5,\"reward\":1}\n",
      "has no \"index\" of a completion", 1, 3, 3, 0, 0, 0 },
    { "{\"reward\":1}\n{\"index\":1}\n{\"index\":2,\"reward\":\"1\"}\n"
      "{\"index\":0,\"reward\":1e999}", "has no \"index\"", 1, 4, 3, 0, 0, 0 },
    { "{\"index\":0,\"reward\":1\n{}\n{{\n", "is no JSON", 1, 3, 3, 0, 0, 0 },
    { "1\n2\n3\n{\"index\":1,\"reward\":2}\n", "again", 1, 1, 1, 1, 0, 3 },
    { "{\"index\":0,\"reward\":true}\n1\n2\n3\n", "has no number", 1, 2, 1, 0, 2, 3 },
};

static void check_answers(void) {
    const char *none = "null\nNaN\n{\"index\":2,\"reward\":NaN,\"NaN\":\"\\\"NaN\"}\n";
    size_t i;
    verifier v;
    float r[3];
    for (i = 0; i < sizeof said / sizeof *said; i++) {
        memset(&v, 0, sizeof v);
        CHECK(verifier_read_answers(&v, said[i].text, strlen(said[i].text), said[i].complete, 3, r),
              "memory");
        CHECK(r[0] == said[i].a && r[1] == said[i].b && r[2] == said[i].c, "%s: %g %g %g",
              said[i].text, (double)r[0], (double)r[1], (double)r[2]);
        CHECK(v.bad == said[i].bad && v.unanswered == said[i].unanswered, "%s: %d bad, %d open",
              said[i].text, v.bad, v.unanswered);
        CHECK(said[i].says[0] ? strstr(v.error, said[i].says) != NULL : !v.error[0], "%s: \"%s\"",
              said[i].text, v.error);
    }
    memset(&v, 0, sizeof v);
    CHECK(verifier_read_answers(&v, none, strlen(none), 1, 3, r)
          && isnan(r[0]) && isnan(r[1]) && isnan(r[2]) && !v.bad && !v.unanswered, "NaN: %s",
          v.error);
}

/* ---- misbehaviour */

/* A script whose answers, rewards and sentence are these, within so many seconds. */
static void behaves(verifier *v, const char *script, double seconds, const char *says, float a,
                    float b, float c, float d) {
    double before = verifier_now(), took;
    int code = run_script(v, script);
    took = verifier_now() - before;
    CHECK(code == 0, "%s: %s", script, v->error);
    rewards_are(v, a, b, c, d);
    CHECK(says[0] ? strstr(v->error, says) != NULL : !v->error[0], "%s: \"%s\"", script, v->error);
    CHECK(took < seconds, "%s: took %g s", script, took);
}

static void check_misbehaviour(int isolate) {
    const char *four = "echo 1; echo 2; echo 3; echo 4";
    char script[300];
    verifier v = shell();
    v.isolate = isolate;
    v.seconds = 0.3;
    behaves(&v, "echo 1; sleep 100", 3, "took more than 0.3 seconds", 1, 0, 0, 0);
    CHECK(v.killed && v.unanswered == 3, "%d %d", v.killed, v.unanswered);
    behaves(&v, "trap '' TERM INT HUP; echo 1; printf 23; while :; do sleep 1; done", 3,
            "took more than", 1, 0, 0, 0);
    behaves(&v, "exec <&- >&- 2>&-; sleep 100", 3, "took more than", 0, 0, 0, 0);
    behaves(&v, "kill -STOP $$", 3, "took more than", 0, 0, 0, 0);
    v.seconds = 8;
    v.output = 100000;
    behaves(&v, "echo 1; yes", 6, "wrote more than 100000 bytes", 0, 0, 0, 0);
    behaves(&v, "echo 1; echo 2; sleep 0.1; yes >&2", 6, "wrote more than", 1, 2, 0, 0);
    snprintf(script, sizeof script, "%s; sleep 100 & sleep 100 2>&1 &", four);
    behaves(&v, script, 4, "", 1, 2, 3, 4);
    snprintf(script, sizeof script, "%s; (setsid sleep 100 &) ; (trap '' HUP; setsid sh -c 'setsid "
             "sleep 100 & sleep 100' &)", four);
    behaves(&v, script, 4, "", 1, 2, 3, 4);
    snprintf(script, sizeof script, "exec <&-; %s; exec >&-; sleep 0.1", four);
    behaves(&v, script, 4, "", 1, 2, 3, 4);
    behaves(&v, "echo 1; echo 'it broke\n ' >&2; exit 7", 4,
            "status 7; its last words: it broke", 1, 0, 0, 0);
    behaves(&v, "echo 1; printf 2; kill -KILL $$", 4, "signal 9", 1, 0, 0, 0);
    verifier_close(&v);
}

static void check_limits(void) {
    verifier v = shell();
    v.cpu_seconds = 1;
    behaves(&v, "echo 1; while :; do :; done", 6, "processor time", 1, 0, 0, 0);
    v.cpu_seconds = 0;
    v.file_size = 1 << 20;
    behaves(&v, "head -c 3000000 /dev/zero 2>/dev/null > f; wc -c < f; ulimit -c; echo 0; echo 0",
            6, "", 1048576, 0, 0, 0);
#ifndef __APPLE__
    v.memory = (size_t)64 << 20;
    behaves(&v, "awk 'BEGIN { s = \"x\"; while (length(s) < 300000000) s = s s; print 1 }' || "
            "echo 0; echo 0; echo 0; echo 0", 6, "", 0, 0, 0, 0);
    v.memory = (size_t)4 << 30;
    behaves(&v, "awk 'BEGIN { s = \"x\"; while (length(s) < 200000000) s = s s; print 1 }' || "
            "echo 0; echo 0; echo 0; echo 0", 6, "", 1, 0, 0, 0);
#endif
    verifier_close(&v);
}

/* A batch larger than any pipe holds, for a verifier that does not read it. */
static void check_large_batch(void) {
    enum { MANY = 64, LONG = 1 << 16 };
    static grpo_sample many[MANY];
    static float r[MANY];
    static char text[LONG];
    verifier v = shell();
    int i, good = 1;
    memset(text, '"', LONG - 1);
    for (i = 0; i < MANY; i++) many[i].completion = text;
    free(v.argv[2]);
    v.argv[2] = verifier_copy("i=0; while [ $i -lt 64 ]; do echo $i; i=$((i + 1)); done", 56);
    CHECK(verifier_reward(many, MANY, r, &v) == 0 && !v.error[0], "%s", v.error);
    for (i = 0; i < MANY; i++) good &= r[i] == (float)i;
    CHECK(good, "unread");
    free(v.argv[2]);
    v.argv[2] = verifier_copy("awk '{ print length($0) }'", 26);
    CHECK(verifier_reward(many, MANY, r, &v) == 0 && !v.error[0], "%s", v.error);
    for (good = 1, i = 0; i < MANY; i++)
        good &= r[i] == (float)(2 * (LONG - 1) + (i < 10 ? 85 : 86));
    CHECK(good, "line of %g bytes", (double)r[0]);
    verifier_close(&v);
}

/* ---- what it leaves behind, and what it can reach */

#ifdef __linux__
/* Processes that would make a file after a while if they lived: one in a session of its own, after
 * the verifier has ended, and a verifier whose trainer is killed. */
static void check_survivors(void) {
    struct timespec moment = { 0, 300000000 };
    char file[2][1100], script[4096], orphans[1100];
    verifier v = shell();
    pid_t trainer;
    int i;
    snprintf(orphans, sizeof orphans, "%s/verifier_orphans", here);
    mkdir(orphans, 0777);
    v.isolate = VERIFIER_NOT;
    for (i = 0; i < 2; i++) snprintf(file[i], sizeof file[i], "%s/verifier_survived_%d", here, i);
    fflush(stdout);
    trainer = fork();
    if (trainer == 0) {             /* it cannot remove its folder: so that goes elsewhere       */
        setenv("TMPDIR", orphans, 1);
        snprintf(script, sizeof script, "sleep 0.7; touch '%s'", file[0]);
        run_script(&v, script);
        _exit(0);
    }
    snprintf(script, sizeof script, "(setsid sh -c \"sleep 0.5; touch '%s'\" &); echo 1", file[1]);
    CHECK(run_script(&v, script) == 0, "%s", v.error);
    nanosleep(&moment, NULL);
    kill(trainer, SIGKILL);
    waitpid(trainer, NULL, 0);
    moment.tv_nsec = 800000000;
    nanosleep(&moment, NULL);
    for (i = 0; i < 2; i++) CHECK(remove(file[i]) != 0, "a process survived: %d", i);
    i = open(orphans, O_RDONLY | O_DIRECTORY);
    CHECK(i >= 0 && verifier_remove(i, orphans), "%s", orphans);
    verifier_close(&v);
}
#endif

static void write_text(const char *path, const char *text, mode_t mode) {
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && !fclose(file) && !chmod(path, mode), "%s", path);
}

static int folder_is_empty(const char *path) {
    DIR *folder = opendir(path);
    struct dirent *e;
    int count = 0;
    CHECK(folder != NULL, "%s", path);
    while (folder && (e = readdir(folder)) != NULL) count++;
    if (folder) closedir(folder);
    return count == 2;
}

static void check_folder(void) {
    char script[4096], outside[1200];
    FILE *file;
    verifier v = shell();
    snprintf(outside, sizeof outside, "%s/verifier_outside", here);
    mkdir(outside, 0777);
    snprintf(script, sizeof script, "%s/verifier_outside/kept", here);
    file = fopen(script, "w");
    CHECK(file && !fclose(file), "%s", script);
    snprintf(script, sizeof script, "cat > /dev/null; ln -s '%s' link; mkdir a b; ln -s '%s' "
             "a/link; touch a/x b/y; chmod 0 b; i=0; while [ $i -lt 250 ]; do mkdir "
             "dddddddddddddddddddddddddddddd && cd dddddddddddddddddddddddddddddd; "
             "i=$((i + 1)); done; touch z; chmod 0 .; [ \"$HOME\" = \"$TMPDIR\" ] && echo 1; echo "
             "${SECRET-0}; echo 0; echo 0", outside, outside);
    CHECK(run_script(&v, script) == 0 && !v.error[0], "%s", v.error);
    rewards_are(&v, 1, 0, 0, 0);
    snprintf(script, sizeof script, "%s/verifier_tmp", here);
    CHECK(folder_is_empty(script), "something was left");
    CHECK(!folder_is_empty(outside), "a link was followed");
    strcat(outside, "/kept");
    CHECK(remove(outside) == 0, "a link was followed");
    outside[strlen(outside) - 5] = 0;
    remove(outside);
    verifier_close(&v);
}

static void check_isolation(void) {
    char script[4096], secret[1100];
    FILE *file;
    verifier v = shell();
    snprintf(secret, sizeof secret, "%s/verifier_secret", here);
    file = fopen(secret, "w");
    CHECK(file && fputs("1\n", file) >= 0 && !fclose(file), "%s", secret);
    CHECK(run_script(&v, "echo 1; echo 1; echo 1; echo 1") == 0, "%s", v.error);
    CHECK((v.isolated == VERIFIER_ALL) == !v.warning[0], "%d: %s", v.isolated, v.warning);
    if (v.isolated & VERIFIER_FILES) {
        snprintf(script, sizeof script, "cat '%s' 2> /dev/null || echo 0; (echo 2 >> '%s') "
                 "2> /dev/null && echo 1 || echo 0; rm -f '%s' 2> /dev/null && echo 1 || echo 0; "
                 "cat /etc/hostname 2> /dev/null && echo 1 || echo 0", secret, secret, secret);
        behaves(&v, script, 5, "", 0, 0, 0, 0);
        v.readable = secret;
        snprintf(script, sizeof script, "cat '%s'; (echo 2 >> '%s') 2> /dev/null && echo 1 || "
                 "echo 0; echo 0; echo 0", secret, secret);
        behaves(&v, script, 5, "", 1, 0, 0, 0);
        v.readable = "verifier_secret";
        behaves(&v, script, 5, "", 1, 0, 0, 0);
    } else printf("skipped: no Landlock here\n");
    v.isolate = VERIFIER_MUST;
    CHECK((run_script(&v, "echo 1") == 0) == (v.isolated == VERIFIER_ALL), "%s", v.error);
    v.isolate = VERIFIER_NOT;
    snprintf(script, sizeof script, "cat '%s'; echo 0; echo 0; echo 0", secret);
    behaves(&v, script, 5, "", 1, 0, 0, 0);
    CHECK(strstr(v.warning, "not isolated: nothing keeps it from your files, the network, your "
                 "other processes, taking more memory than it is granted, as you asked"), "%s",
          v.warning);
    remove(secret);
    verifier_close(&v);
}

#ifdef __linux__
/* All of child_reach(), with namespaces, also on another mount, without them, and open: there it
 * must go, for else it is not isolation that it fails by. */
static void check_reach(void) {
    static const char *const how[] = { "isolated all", "isolated", "open", "isolated all" };
    char command[4096], folder[1100], file[1200], path[1200];
    int i, k;
    for (i = 0; i < 4; i++) {
        verifier v;
        FILE *made;
        snprintf(folder, sizeof folder, "%s/verifier_reached_%ld", i == 3 ? "/dev/shm" : here,
                 (long)getpid());
        snprintf(file, sizeof file, "%s/file", folder);
        if (mkdir(folder, 0700) != 0 && i == 3) {
            printf("skipped: no /dev/shm here\n");
            continue;
        }
        made = fopen(file, "w");
        CHECK(made && fputs("content\n", made) >= 0 && !fclose(made), "%s", file);
        snprintf(command, sizeof command, "'%s' child reach '%s' %ld %s", self, file,
                 (long)getpid(), how[i]);
        v = ready(command);
        v.memory = 0;               /* sanitizers                                                */
        v.no_namespaces = i == 1;
        v.readable = folder;
        if (i == 2) v.isolate = VERIFIER_NOT;
        CHECK(verifier_reward(samples, N, rewards, &v) == 0 && !v.unanswered, "%s", v.error);
        if ((i == 0 || i == 3) && v.no_namespaces) printf("skipped: no namespaces here\n");
        else for (k = 0; k < 4; k++) {
            int kind = 1 << k;      /* VERIFIER_FILES ...                                        */
            if (i != 2 && !(v.isolated & kind)) {
                printf("skipped: kind %d of isolation is not to be had here%s\n", kind,
                       i == 1 ? " without namespaces" : "");
            } else if (i != 2) CHECK(rewards[k] == 0, "%s: %g of kind %d: %s", how[i],
                                    (double)rewards[k], kind, v.error);
            else CHECK(rewards[k] > (k == 0 ? 15 : k == 2 ? 1 : 3), "open: %g of kind %d",
                       (double)rewards[k], kind);
        }
        verifier_close(&v);
        remove(file);
        snprintf(path, sizeof path, "%s/made", folder);
        remove(path);
        CHECK(rmdir(folder) == 0, "%s", folder);
    }
}

#ifndef CHECK_QUICK
/* On a system that offers less: it says so before it runs, and does not run if it must be isolated.
 * No later batch is isolated less than the check said. */
static void check_promise(void) {
    verifier v = shell();
    int status = 0;
    pid_t pid;
    CHECK(verifier_check(&v) == 0 && !v.error[0], "%s", v.error);
    CHECK((strstr(verifier_sentence(&v), "fully isolated") != NULL) == (v.isolated == VERIFIER_ALL),
          "%d: %s", v.isolated, verifier_sentence(&v));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (weaken(NULL, 0)) _exit(0);
        CHECK(!(v.isolated & VERIFIER_FILES) || run_script(&v, "echo 1") != 0,
              "less than promised");
        verifier_close(&v);
        v = shell();
        CHECK(verifier_check(&v) == 0 && strstr(v.warning, "isolated: nothing keeps it from your "
              "files"), "%d: %s", v.isolated, v.warning);
        CHECK((strstr(v.warning, "partly") != NULL) == (v.isolated != 0), "%s", v.warning);
        CHECK(run_script(&v, "echo 1; echo 2; echo 3; echo 4") == 0, "%s", v.error);
        rewards_are(&v, 1, 2, 3, 4);
        v.isolate = VERIFIER_MUST;
        CHECK(verifier_check(&v) != 0 && strstr(v.error, "was not started: the verifier is ")
              && strstr(v.error, " isolated: nothing keeps"), "%s", v.error);
        CHECK(run_script(&v, "echo 1") != 0 && strstr(v.error, "was not started"), "%s", v.error);
        verifier_close(&v);
        fflush(stdout);
        _exit(check_failed != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0, "see above");
    pid = fork();
    if (pid == 0) {
        if (weaken(NULL, 1)) _exit(0);
        verifier_close(&v);
        v = shell();
        CHECK(verifier_check(&v) == 0 && !(v.isolated & (VERIFIER_NETWORK | VERIFIER_HELD)), "%d",
              v.isolated);
        v.promised = 0;
        v.no_namespaces = 1;        /* so nothing keeps it from setting modes                    */
        CHECK(verifier_check(&v) == 0 && !v.isolated, "%d", v.isolated);
        fflush(stdout);
        _exit(check_failed != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0, "see above");
    verifier_close(&v);
}
#endif
#endif

/* The home folder is not opened by a program that lies in it, nor what is above it, whoever knows
 * where it is; what is beside a program elsewhere is. */
static void check_home(void) {
    const struct passwd *user = getpwuid(geteuid());
    char *home = getenv("HOME"), *kept = home ? verifier_copy(home, strlen(home)) : NULL;
    char script[4096], real[4096];
    verifier v;
    mkdir("home", 0700);
    mkdir("home/tools", 0700);
    snprintf(script, sizeof script, "%s/home", here);
    setenv("HOME", script, 1);
    snprintf(script, sizeof script, "#!/bin/sh\ncat '%s/home/secret' 2> /dev/null || echo 0\n"
             "cat '%s/home/tools/table' 2> /dev/null || echo 0\necho 0; echo 0\n", here, here);
    write_text("home/ask", script, 0700);
    write_text("home/tools/ask", script, 0700);
    write_text("home/secret", "1\n", 0600);
    write_text("home/tools/table", "1\n", 0600);
    v = ready("home/ask");
    CHECK(verifier_reward(samples, N, rewards, &v) == 0, "%s", v.error);
    if (v.isolated & VERIFIER_FILES) rewards_are(&v, 0, 0, 0, 0);
    else printf("skipped: no Landlock here\n");
    verifier_close(&v);
    v = ready("home/ask ./home");
    CHECK(verifier_reward(samples, N, rewards, &v) == 0, "%s", v.error);
    if (v.isolated & VERIFIER_FILES) rewards_are(&v, 0, 0, 0, 0);
    verifier_close(&v);
    v = ready("home/tools/ask");
    CHECK(verifier_reward(samples, N, rewards, &v) == 0, "%s", v.error);
    if (v.isolated & VERIFIER_FILES) rewards_are(&v, 0, 1, 0, 0);
    verifier_close(&v);
    CHECK(verifier_is_wide("home") && verifier_is_wide(".") && verifier_is_wide("/")
          && !verifier_is_wide("home/tools"), "HOME");
    unsetenv("HOME");
    if (user && realpath(user->pw_dir, real)) {
        CHECK(verifier_is_wide(real) && !verifier_is_wide("home/tools"), "no HOME: %s", real);
    } else if (!user) CHECK(verifier_is_wide("home/tools"), "no HOME, and nobody knows it");
    setenv("HOME", "/nonexistent", 1);
    if (user && realpath(user->pw_dir, real)) CHECK(verifier_is_wide(real), "%s", real);
    if (kept) setenv("HOME", kept, 1);
    else unsetenv("HOME");
    free(kept);
    remove("home/ask");
    remove("home/secret");
    remove("home/tools/ask");
    remove("home/tools/table");
    CHECK(!rmdir("home/tools") && !rmdir("home"), "home");
}

/* A verifier in Python: threads, processes, temporary files and what lies beside it. */
static void check_python(void) {
    verifier v;
    if (access("/usr/bin/python3", X_OK) != 0) { printf("skipped: no /usr/bin/python3\n"); return; }
    mkdir("python", 0700);
    write_text("python/beside.py", "answer = 1\n", 0600);
    write_text("python/verify.py",
        "import sys, json, os, tempfile, subprocess, threading, shutil\n"
        "import beside\n"
        "with tempfile.TemporaryDirectory() as d, tempfile.NamedTemporaryFile('w') as f:\n"
        "    f.write('1'); f.flush()\n"
        "    shutil.copyfile(f.name, d + '/copy')\n"
        "    copied = int(open(d + '/copy').read())\n"
        "ran = int(subprocess.check_output([sys.executable, '-c', 'print(1)']))\n"
        "told = []\n"
        "t = threading.Thread(target=lambda: told.append(1)); t.start(); t.join()\n"
        "good = [beside.answer, copied, ran, told[0]]\n"
        "for k, line in enumerate(sys.stdin):\n"
        "    print(json.dumps({'index': json.loads(line)['index'], 'reward': good[k]}))\n", 0600);
    v = ready("/usr/bin/python3 -B python/verify.py");
    CHECK(verifier_reward(samples, N, rewards, &v) == 0, "%s", v.error);
    rewards_are(&v, 1, 1, 1, 1);
    verifier_close(&v);
    v = ready("/usr/bin/python3 -B python/verify.py");
    v.no_namespaces = 1;
    CHECK(verifier_reward(samples, N, rewards, &v) == 0, "%s", v.error);
    rewards_are(&v, 1, 1, 1, 1);
    verifier_close(&v);
    remove("python/beside.py");
    remove("python/verify.py");
    CHECK(rmdir("python") == 0, "python");
}

#ifdef __linux__
/* What a killed run leaves is removed by the next one; what only looks like it, and what belongs to
 * a run that lives, is not. */
static void check_left_behind(void) {
    struct timespec moment = { 0, 300000000 };
    char left[1100], path[1200], before[1200];
    const char *tmp = getenv("TMPDIR");
    verifier v = shell();
    pid_t trainer;
    snprintf(before, sizeof before, "%s", tmp);
    snprintf(left, sizeof left, "%s/verifier_left", here);
    mkdir(left, 0700);
    setenv("TMPDIR", left, 1);
    fflush(stdout);
    trainer = fork();
    if (trainer == 0) {
        run_script(&v, "mkdir a; touch a/b; chmod 0 a .; sleep 30");
        _exit(0);
    }
    nanosleep(&moment, NULL);
    CHECK(!folder_is_empty(left), "it has not begun");
    CHECK(run_script(&v, "echo 1; echo 1; echo 1; echo 1") == 0 && !v.error[0], "%s", v.error);
    CHECK(!folder_is_empty(left) && waitpid(trainer, NULL, WNOHANG) == 0, "one that lives is gone");
    kill(trainer, SIGKILL);
    waitpid(trainer, NULL, 0);
    snprintf(path, sizeof path, "%s/verifier-backup", left);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/verifier-backup/own", left);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/verifier-linked", left);
    CHECK(symlink("verifier-backup", path) == 0, "%s", path);
    verifier_close(&v);
    v = shell();
    CHECK(verifier_check(&v) == 0, "%s", v.error);
    CHECK(remove(path) == 0, "a link is gone");
    snprintf(path, sizeof path, "%s/verifier-backup/own", left);
    CHECK(rmdir(path) == 0, "a folder of somebody's is gone");
    *strrchr(path, '/') = 0;
    CHECK(rmdir(path) == 0, "a folder of somebody's is gone");
    CHECK(folder_is_empty(left) && rmdir(left) == 0, "what a kill has left is still there");
    setenv("TMPDIR", before, 1);
    verifier_close(&v);
}
#endif

/* tree/bin/ask, by its path, finds what it has in tree/lib, as a Python of one's own does. */
static void check_bin(void) {
    static const char *const folders[] = { "tree", "tree/bin", "tree/lib" };
    char script[1200];
    verifier v;
    int i;
    for (i = 0; i < 3; i++) CHECK(!mkdir(folders[i], 0700), "%s", folders[i]);
    snprintf(script, sizeof script, "#!/bin/sh\ncat '%s/tree/lib/answers'\n", here);
    write_text("tree/bin/ask", script, 0700);
    write_text("tree/lib/answers", "1\n0.5\n0\n1\n", 0600);
    v = ready("tree/bin/ask");
    CHECK(verifier_reward(samples, N, rewards, &v) == 0, "%s", v.error);
    rewards_are(&v, 1, 0.5f, 0, 1);
    verifier_close(&v);
    remove("tree/bin/ask");
    remove("tree/lib/answers");
    for (i = 2; i >= 0; i--) rmdir(folders[i]);
}

/* Neither our open files nor our signals are touched. */
static void check_ourselves(void) {
    char command[1200];
    struct sigaction pipe_before, pipe_after;
    sigset_t mask;
    int fds[20], i, lowest;
    verifier v;
    for (i = 0; i < 20; i++) fds[i] = dup(1);
    lowest = fds[0];
    sigaction(SIGPIPE, NULL, &pipe_before);
    signal(SIGCHLD, SIG_IGN);
    snprintf(command, sizeof command, "'%s' child look", self);
    v = ready(command);
    v.memory = 0;
    for (i = 0; i < 3; i++) {
        CHECK(verifier_reward(samples, N, rewards, &v) == 0, "%s", v.error);
        rewards_are(&v, 0, 0, 0, 0);
    }
    verifier_close(&v);
    signal(SIGCHLD, SIG_DFL);
    sigaction(SIGPIPE, NULL, &pipe_after);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    CHECK(pipe_after.sa_handler == pipe_before.sa_handler && !sigismember(&mask, SIGTERM),
          "signals changed");
    for (i = 0; i < 20; i++) close(fds[i]);
    i = dup(1);
    CHECK(i == lowest, "files stay open: %d instead of %d", i, lowest);
    close(i);
}

static void check_no_start(void) {
    verifier v;
    FILE *file = fopen("verifier_script", "w");
    CHECK(file && fputs("echo 1\n", file) >= 0 && !fclose(file) && !chmod("verifier_script", 0777),
          "no file");
    v = ready("./verifier_script");
    CHECK(verifier_reward(samples, N, rewards, &v) != 0 && strstr(v.error, "#!/bin/sh"), "%s",
          v.error);
    remove("verifier_script");
    CHECK(verifier_reward(samples, N, rewards, &v) != 0 && strstr(v.error, "cannot be started"),
          "%s", v.error);
    verifier_close(&v);
}

/* A verifier that rewards nothing stops a run in its own words, if that is wanted; one that answers
 * some of a batch, or abstains beside others, does not. */
static void check_useless(void) {
    static const struct { const char *script, *says; int one, two; } cases[] = {
        { "echo cannot import grader >&2; exit 3", "none of 4 completions a reward: it ended with "
          "status 3; its last words: cannot import grader", 1, 1 },
        { "echo \"$PWD/mine/rules.txt is not there\" >&2; exit 1",
          "last words: mine/rules.txt is not there", 1, 1 },
        { "echo \"$PWD $PWD\" >&2; exit 1", "last words: (nothing on stderr)", 1, 1 },
        { "kill -9 $$", "it was ended by signal 9", 1, 1 },
        { "true", "it answered 0 of 4 completions", 1, 1 },
        { "echo hat; echo hat; echo hat; echo hat", "line 1 of what the verifier wrote is no "
          "number: hat (and 3 more such lines)", 1, 1 },
        { "echo null; echo null; echo null; echo null", "it said null", 0, 1 },
        { "echo null; echo null; echo null; echo NaN", "it wrote nan for 1 of 4 completions, which "
          "counts as null", 0, 1 },
        { "echo \"$PWD/x: No such file\" >&2; exit 1", "last words: x: No such file. It runs in an "
          "empty folder of its own", 1, 1 },
        { "echo True; echo True; echo False; echo True", "is no number: True (and 3 more such "
          "lines); print 1 or 0 instead", 1, 1 },
        { "echo None; echo None; echo None; echo 1x; echo why >&2", "number: None (and 3 more such "
          "lines); print null where it cannot tell; its last words: why", 1, 1 },
        { "echo hat; echo hat; echo hat; echo hat", "lines); stdout is for rewards alone, one a "
          "line", 1, 1 },
        { "echo x; exit 4", "it ended with status 4; its last words: (nothing on stderr)", 1, 1 },
        { "echo null; echo null", "answered 2 of 4", 0, 1 },
        { "echo null; echo null; echo 0", "answered 3 of 4", 0, 0 },
        { "echo 1; exit 3", "status 3", 0, 0 }, { "echo 0; echo 0; echo 0; echo 0", "", 0, 0 } };
    verifier v = shell();
    int k, code;
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        v.must_answer = 0;
        CHECK(run_script(&v, cases[i].script) == 0, "%s: %s", cases[i].script, v.error);
        v.must_answer = 1;
        CHECK(run_script(&v, cases[i].script) == cases[i].one, "%s: %s", cases[i].script, v.error);
        v.must_answer = 2;
        v.silent = 0;
        for (k = code = 0; k < VERIFIER_SILENT / N && !code; k++)
            code = run_script(&v, cases[i].script);
        CHECK(code == cases[i].two && strstr(v.error, cases[i].says), "%s: %s", cases[i].script,
              v.error);
        CHECK(!code || k == (cases[i].one ? 1 : VERIFIER_SILENT / N), "%s: %d batches",
              cases[i].script, k);
        CHECK(verifier_try(&v, samples, N, rewards) == cases[i].two && v.must_answer == 2, "%s: %s",
              cases[i].script, v.error);
        CHECK(!cases[i].two == !strstr(v.error, "\"sh -c ''\" gave none of 4"), "%s", v.error);
        CHECK(!cases[i].two == !strstr(v.error, "\"sh -c ''\" gave none"), "%s", v.error);
        v.must_answer = 0;
        CHECK(verifier_try(&v, samples, N, rewards) == cases[i].one && !v.must_answer, "%s: %s",
              cases[i].script, v.error);
    }
    v.seconds = 0.3;
    CHECK(verifier_try(&v, samples, 0, rewards) == 0, "%s", v.error);
    v.must_answer = 1;
    CHECK(run_script(&v, "sleep 20") == 1 && strstr(v.error, "it took more than 0.3 seconds"), "%s",
          v.error);
    verifier_close(&v);
}

int main(int argc, char **argv) {
    char path[1200];
    if (argc > 2 && !strcmp(argv[1], "child")) return child(argv + 2);
    if (argc > 2 && !strcmp(argv[1], "weaken")) return weaken(argv + 2, 0);
    if (!realpath(".", here) || strlen(here) > 900) return 1;
    snprintf(self, sizeof self, "%s/test_verifier", here);
    snprintf(path, sizeof path, "%s/verifier_tmp", here);
    mkdir(path, 0777);
    setenv("TMPDIR", path, 1);
    setenv("SECRET", "7", 1);
    make_samples();
    check_input();
    check_command();
    check_answers();
    check_misbehaviour(VERIFIER_TRY);
    check_misbehaviour(VERIFIER_NOT);
    check_limits();
    check_large_batch();
#ifdef __linux__
    check_survivors();
#endif
    check_folder();
    check_isolation();
#ifdef __linux__
    check_reach();
#ifdef CHECK_QUICK
    printf("skipped: a weaker kernel, which valgrind's children cannot be told from\n");
#else
    check_promise();
#endif
    check_left_behind();
#endif
    check_home();
    check_python();
    check_bin();
    check_ourselves();
    check_no_start();
    check_useless();
    CHECK(rmdir(path) == 0, "folders were left in %s", path);
    return check_finish();
}
