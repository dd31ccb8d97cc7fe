/* The verifier of verifier.h against children that do everything wrong. Each child is a line of sh.
 * What it may not do is tried only where the system isolates it. */
#define _GNU_SOURCE
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"
#include "examples/verifier.h"

enum { N = 4 };

static grpo_sample samples[N];

static void make_samples(void) {
    static const char *const texts[N] = { "1", "a \"quoted\"\n\\ line", "\xc3\xa9 \x80 \x01", "" };
    int i;
    memset(samples, 0, sizeof samples);
    for (i = 0; i < N; i++) {
        samples[i].completion_index = i;
        samples[i].prompt = "q";
        samples[i].completion = texts[i];
        samples[i].answer = i ? "x" : NULL;
        samples[i].truncated = i == 2;
        samples[i].data = i == 1 ? "{\"k\":[1]}" : NULL;
    }
}

typedef struct answer { int code; float rewards[N]; verifier v; double seconds; } answer;

static answer ask(const char *command, double seconds) {
    answer a;
    double start = grpo__seconds();
    memset(&a, 0, sizeof a);
    a.v = verifier_defaults(command);
    a.v.seconds = seconds;
    a.v.output = 4000;
    a.code = verifier_reward(samples, N, a.rewards, &a.v);
    a.seconds = grpo__seconds() - start;
    return a;
}

static void expect(const char *command, const float *rewards, const char *sentence) {
    answer a = ask(command, 5);
    int i;
    CHECK(a.code == 0, "%s: %s", command, a.v.error);
    for (i = 0; i < N; i++)
        CHECK(a.rewards[i] == rewards[i] || (isnan(rewards[i]) && isnan(a.rewards[i])),
              "%s: reward %d is %g", command, i, (double)a.rewards[i]);
    CHECK(sentence ? strstr(a.v.error, sentence) != NULL : !a.v.error[0], "%s: \"%s\"", command,
          a.v.error);
    CHECK(a.seconds < 3, "%s took %g s", command, a.seconds);
}

static void test_answers(void) {
    const float ones[N] = { 1, 1, 1, 1 }, none[N] = { 0, 0, 0, 0 }, half[N] = { 0.5f, -2, 0, 0 };
    const float mixed[N] = { 3, 2, NAN, 0 }, second[N] = { 0, 1, 0, 0 };
    expect("while read -r line; do echo 1; done", ones, NULL);
    expect("cat > /dev/null; printf '0.5\\r\\n-2\\n0\\n0'", half, NULL);
    expect("echo '{\"index\":2,\"reward\":null}'; echo '{\"index\":1,\"reward\":2}'; "
           "echo '{\"reward\":3,\"index\":0,\"why\":\"x\"}'; echo '{\"index\":3,\"reward\":0}'",
           mixed, NULL);
    expect("echo 0.5; echo -2", half, "left 2 of 4 without a reward");
    expect("true", none, "left 4 of 4");
    expect("exit 3", none, "exit status 3");
    expect("echo oh dear >&2; exit 1", none, "it said: oh dear");
    expect("kill -9 $$", none, "left 4 of 4");
    expect("echo hello; echo 1", second, "no answer is: hello");
    expect("echo '{\"index\":9,\"reward\":1}'; echo '{\"index\":-1,\"reward\":1}'; "
           "echo '{\"index\":1.5,\"reward\":1}'; echo '{\"index\":1,\"reward\":1}'; "
           "echo '{\"index\":1,\"reward\":7}'; echo '[]'; echo '\"x\"'; echo 1e999", second,
           "left 3 of 4");
    expect("echo 1; echo 1; echo 1; echo 1; echo 1", ones, "no answer is: 1");
    expect("exec < /dev/null; echo 1; echo 1; echo 1; echo 1", ones, NULL);
}

/* What it is sent is JSON that says what the samples say. */
static void test_request(void) {
    size_t length, line;
    char *text = verifier_request(samples, N, &length), *at = text, error[JSON_ERROR_LENGTH];
    int i;
    for (i = 0; i < N; i++, at += line + 1) {
        char *copy;
        json j;
        line = strcspn(at, "\n");
        copy = (char *)malloc(line + 1);
        memcpy(copy, at, line);
        copy[line] = 0;
        CHECK(json_parse(&j, copy, line, "a request", error), "%s", error);
        CHECK(json_number(json_find(j.values, "index"), -1) == i, "line %d", i);
        if (i != 2) CHECK(!strcmp(json_string(json_find(j.values, "completion"), "?"),
                                  samples[i].completion), "line %d: %.*s", i, (int)line, at);
        CHECK(json_is(json_find(j.values, "truncated"), i == 2 ? JSON_TRUE : JSON_FALSE), "%d", i);
        CHECK(json_is(json_find(j.values, "data"), i == 1 ? JSON_OBJECT : JSON_NULL), "%d", i);
        json_free(&j);
    }
    CHECK(at == text + length, "%d bytes are left", (int)(text + length - at));
    free(text);
}

/* Too slow, too much, deaf, and with children that live on: killed in time, nothing left. */
static void test_misbehaviour(void) {
    answer a = ask("sleep 60", 0.3);
    CHECK(a.code == 0 && a.seconds < 2 && strstr(a.v.error, "killed after 0.3 s"), "%g s: %s",
          a.seconds, a.v.error);
    a = ask("trap '' TERM INT HUP; while :; do :; done", 0.3);
    CHECK(a.code == 0 && a.seconds < 2 && strstr(a.v.error, "killed"), "%g s: %s", a.seconds,
          a.v.error);
    a = ask("while :; do echo 1111111111111111111111111; done", 5);
    CHECK(a.code == 0 && a.seconds < 3 && strstr(a.v.error, "writing too much"), "%g s: %s",
          a.seconds, a.v.error);
    a = ask("sleep 60 & echo 1; echo 1; echo 1; echo 1", 5);
    CHECK(a.code == 0 && a.rewards[3] == 1 && a.seconds < 3, "%g s: %s", a.seconds, a.v.error);
    a = ask("echo 1; exec 1>&-; sleep 60", 5);
    CHECK(a.code == 0 && a.rewards[0] == 1 && a.seconds < 3, "%g s: %s", a.seconds, a.v.error);
    a = ask("/none/such", 5);
    CHECK(a.code != 0 && strstr(a.v.error, "/none/such"), "%s", a.v.error);
}

/* A large request to a child that reads nothing, and SIGPIPE as it was. */
static void test_large(void) {
    static char large[1 << 20];
    const grpo_sample saved = samples[0];
    answer a;
    memset(large, 'x', sizeof large - 1);
    samples[0].completion = large;
    a = ask("echo 1; echo 1; echo 1; echo 1", 5);
    CHECK(a.code == 0 && a.rewards[0] == 1 && a.seconds < 3, "%g s: %s", a.seconds, a.v.error);
    a = ask("wc -c | tr -d ' '", 5);
    CHECK(a.rewards[0] > 1048576, "it read %g bytes", (double)a.rewards[0]);
    samples[0] = saved;
    CHECK(signal(SIGPIPE, SIG_DFL) == SIG_DFL, "SIGPIPE is handled otherwise than before");
}

static void test_limits(void) {
    answer a = ask("touch \"$TMPDIR/x\" && mkdir \"$TMPDIR/y\" && ln -s / \"$TMPDIR/y/root\" && "
                   "echo 1", 5);
    CHECK(a.rewards[0] == 1, "its own folder: %s", a.v.error);
    a = ask("head -c 100000000 /dev/zero > \"$TMPDIR/big\"; wc -c < \"$TMPDIR/big\"", 5);
    CHECK(a.rewards[0] > 0 && a.rewards[0] <= 67108864.0f, "a file of %g bytes",
          (double)a.rewards[0]);
    printf("isolated: network %s, writing %s\n", a.v.isolated & VERIFIER_NO_NETWORK ? "off" : "on",
           a.v.isolated & VERIFIER_NO_WRITING ? "off" : "on");
    if (a.v.isolated & VERIFIER_NO_WRITING) {
        a = ask("echo x > verifier_was_here || echo 1", 5);
        CHECK(a.rewards[0] == 1 && !fopen("verifier_was_here", "rb"), "it wrote: %s", a.v.error);
        a = ask("echo x > /dev/null && echo 1", 5);
        CHECK(a.rewards[0] == 1, "/dev/null: %s", a.v.error);
    } else printf("skipped: Landlock is not to be had here\n");
    if (a.v.isolated & VERIFIER_NO_NETWORK) {
        a = ask("cat /proc/net/dev | grep -c : ; grep -c ' 0100007F' /proc/net/route", 5);
        CHECK(a.rewards[0] <= 2, "%g network devices", (double)a.rewards[0]);
        a = ask("(setsid sleep 61.25 &) ; echo 1", 5);
        CHECK(a.rewards[0] == 1 && system("pgrep -f '[s]leep 61.25' > /dev/null") != 0,
              "what it started lives on");
    } else printf("skipped: namespaces are not to be had here\n");
}

int main(void) {
    make_samples();
    test_request();
    test_answers();
    test_misbehaviour();
    test_large();
    test_limits();
    return check_finish();
}
