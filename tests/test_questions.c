/* The questions that training asks: files of JSON as people have them, their order, splits, and
 * countdown puzzles. With GRPO_DATA set to a folder that holds gsm8k/ and svamp/, those too. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "examples/tool/gguf.h"
#include "examples/tool/questions.h"
#include "check.h"
#if defined(__unix__) || defined(__APPLE__)
#include <sys/stat.h>
#include <unistd.h>
#endif

static char error[JSON_ERROR_LENGTH];

static int parse(questions *q, const char *text, const char *question, const char *answer) {
    error[0] = 0;
    return questions_parse(q, text, strlen(text), "some.jsonl", question, answer, error);
}

/* A text that must be refused with these words in the sentence, nothing kept. */
static void refused(const char *text, const char *words) {
    questions q = { 0 };
    int good = parse(&q, text, "question", "answer");
    CHECK(!good && strstr(error, words), "\"%s\" gave \"%s\"", text, error);
    CHECK(q.count == 0, "%d questions of a refused file", q.count);
    questions_free(&q);
}

static int is(const questions_item *q, const char *text, const char *answer,
              const char *json_text) {
    return strcmp(q->text, text) == 0 && strcmp(q->json, json_text) == 0
           && (answer ? q->answer && strcmp(q->answer, answer) == 0 : !q->answer);
}

static void check_lines(void) {
    questions q = { 0 };
    CHECK(parse(&q, "\xef\xbb\xbf{\"question\": \"2+2?\", \"answer\": \"4\"}\r\n\n  \r\n"
                "{\"x\": [1, {\"y\": \" }\\\"\"}], \"answer\": -1.50, \"question\":\"\\u00e9\\n\"}",
                "question", "answer"), "%s", error);
    CHECK(q.count == 2, "%d questions", q.count);
    CHECK(is(&q.items[0], "2+2?", "4", "{\"question\":\"2+2?\",\"answer\":\"4\"}"), "%s",
          q.items[0].json);
    CHECK(is(&q.items[1], "\xc3\xa9\n", "-1.50",
             "{\"x\":[1,{\"y\":\" }\\\"\"}],\"answer\":-1.50,\"question\":\"\\u00e9\\n\"}"), "%s",
          q.items[1].json);
    CHECK(parse(&q, "{\"problem\": 12}", "problem", NULL) && q.count == 3, "%s", error);
    CHECK(is(&q.items[2], "12", NULL, "{\"problem\":12}"), "%s", q.items[2].text);
    CHECK(!parse(&q, "{\"problem\": 1}\n{\"problem\": }", "problem", "") && q.count == 3,
          "what came before a bad line stayed: %d", q.count);
    CHECK(strstr(error, "some.jsonl, line 2, column 13"), "%s", error);
    questions_free(&q);
}

static void check_array(void) {
    questions q = { 0 };
    CHECK(parse(&q, " [ {\"Body\": \"One [dvd,\", \"Question\": \"costs?\",\n"
                " \"Answer\": 51.0 } ,\n"
                "{\"Answer\": 1, \"Body\": \"}\", \"Question\": \"q\"}]\n", "Body,Question",
                "Answer"), "%s", error);
    CHECK(q.count == 2, "%d questions", q.count);
    CHECK(is(&q.items[0], "One [dvd, costs?", "51.0",
             "{\"Body\":\"One [dvd,\",\"Question\":\"costs?\",\"Answer\":51.0}"), "%s",
          q.items[0].json);
    CHECK(is(&q.items[1], "} q", "1", "{\"Answer\":1,\"Body\":\"}\",\"Question\":\"q\"}"), "%s",
          q.items[1].json);
    questions_free(&q);
}

static void check_refusals(void) {
    refused("", "no questions");
    refused("\n \n", "no questions");
    refused("[]", "no questions");
    refused("{\"question\": \"a\", \"answer\": \"b\"}\n\n{\"question\": \"a\"",
            "line 3, column 17");
    refused("{\"question\": \"a\"}", "line 1: there is no field \"answer\" (there is: question)");
    refused("{}", "there is: nothing");
    refused("{\"question\": [\"a\"], \"answer\": 1}", "no string and no number");
    refused("{\"question\": \"a\", \"answer\": null}", "\"answer\" is no string");
    refused("{\"question\": \"\", \"answer\": 1}", "empty");
    refused("{\"question\": \"a\\u0000b\", \"answer\": 1}", "\\u0000");
    refused("\"question\"", "no object");
    refused("{\"question\": \"a\", \"answer\": 1} {}", "something follows");
    refused("[{\"question\": \"a\", \"answer\": 1},\n\n 7]",
            "some.jsonl, line 3: this is no object");
    refused("[\n{\"question\": \"a\", \"answer\": 1}\n,\n{\"question\": 1}]",
            "line 4: there is no");
    refused("[{\"question\": \"a\", \"answer\": 1}", "line 1, column 32");
    refused("{\"question\": \"\xff\", \"answer\": 1}", "UTF-8");
    refused("{\"question\": \"a\", \"answer\": 1, \"answer\": 4}",
            "line 1, column 40: the name \"answer\" is there twice");
    refused("{\"question\": \"a\", \"answer\": 1}\n{\"question\": \"a\", \"answer\": 1, \"x\": "
            "[{\"y\": 1, \"z\": {}, \"\\u0079\": 2}]}", "line 2, column 64: the name \"y\"");
    refused("[{\"question\": \"a\", \"answer\": 1, \"question\": \"a\"}]",
            "\"question\" is there twice");
    refused("{\"question\": \"a\", \"answer\": 1, \"\": 1, \"\": 1}", "\"\" is there twice");
}

/* Each epoch has each question once; orders differ between epochs and seeds, and a place is equally
 * likely for all: chi-square of the first place over 2,000 epochs. */
static void check_order(void) {
    static const int counts[] = { 1, 2, 3, 5, 16, 17, 1319 };
    unsigned char seen[1319];
    size_t k;
    for (k = 0; k < sizeof counts / sizeof *counts; k++) {
        questions q = { 0 };
        int epoch, i, twice = 0, moved = 0, same_seed = 0, n = q.count = counts[k];
        int first[1319] = { 0 };
        double chi = 0, expected = 2000.0 / n;
        for (epoch = 0; epoch < 2000; epoch++) {
            first[questions_at(&q, 7, (uint64_t)epoch * (uint64_t)n)]++;
            if (epoch >= 3) continue;
            memset(seen, 0, sizeof seen);
            for (i = 0; i < n; i++) {
                uint64_t position = (uint64_t)epoch * (uint64_t)n + (uint64_t)i;
                int at = questions_at(&q, 7, position);
                twice += at < 0 || at >= n || seen[at]++;
                moved += at != questions_at(&q, 7, (uint64_t)i);
                same_seed += at == questions_at(&q, 8, position);
            }
        }
        for (i = 0; i < n; i++) chi += (first[i] - expected) * (first[i] - expected) / expected;
        CHECK(!twice, "%d of %d questions are asked twice in an epoch", twice, n);
        CHECK(n < 16 || (moved > n && same_seed < n), "%d: the same order again", n);
        CHECK(chi <= n - 1 + 5 * sqrt(2.0 * n), "%d: chi-square %g of the first place", n, chi);
    }
}

/* count numbered questions */
static questions numbered(int count) {
    questions q = { 0 };
    char text[64];
    int i;
    for (i = 0; i < count; i++) {
        snprintf(text, sizeof text, "{\"question\": %d, \"answer\": 0}", i);
        CHECK(parse(&q, text, "question", "answer"), "%s", error);
    }
    return q;
}

static void check_splits(void) {
    questions q = numbered(20), held = { 0 }, other = numbered(20), shared = { 0 };
    int i, in_order = 1, differ = 0;
    CHECK(!questions_hold_out(&q, &held, 1, error) && !questions_hold_out(&q, &held, 21, error),
          "everything or nothing was held out");
    CHECK(questions_hold_out(&q, &held, 7, error), "%s", error);
    CHECK(q.count == 18 && held.count == 2 && is(&held.items[0], "6", "0", held.items[0].json)
          && is(&held.items[1], "13", "0", held.items[1].json), "not every seventh");
    CHECK(!questions_hold_out_share(&other, &shared, 0.02, 1, error)
          && !questions_hold_out_share(&other, &shared, 0.99, 1, error)
          && !questions_hold_out_share(&other, &shared, (double)NAN, 1, error), "an empty side");
    CHECK(questions_hold_out_share(&other, &shared, 0.25, 1, error), "%s", error);
    CHECK(shared.count == 5 && other.count == 15, "%d of 20 is no quarter", shared.count);
    for (i = 1; i < other.count; i++)
        in_order &= atoi(other.items[i - 1].text) < atoi(other.items[i].text);
    CHECK(in_order, "the order changed");
    for (i = 0; i < shared.count; i++) differ += atoi(shared.items[i].text) != 4 * i;
    CHECK(differ, "the share was not drawn");
    questions_free(&q);
    questions_free(&held);
    questions_free(&other);
    questions_free(&shared);
}

/* Each puzzle's own solution earns the reward, and a change of it does not. */
static int puzzles_solved(const questions *q, const char *tail) {
    int i, solved = 0;
    for (i = 0; i < q->count; i++) {
        char *copy = (char *)malloc(strlen(q->items[i].json) + 1), text[256];
        grpo_sample s;
        json j;
        memset(&s, 0, sizeof s);
        strcpy(copy, q->items[i].json);
        if (!json_parse(&j, copy, strlen(copy), NULL, error)) continue;
        snprintf(text, sizeof text, "%s%s", json_string(json_find(j.values, "solution"), ""), tail);
        s.completion = text;
        s.answer = q->items[i].answer;
        solved += grpo_reward_countdown(&s, NULL) == 1;
        json_free(&j);
    }
    return solved;
}

static int overlap(const questions *a, const questions *b) {
    int i, j, same = 0;
    for (i = 0; i < a->count; i++)
        for (j = a == b ? i + 1 : 0; j < b->count; j++)
            same += strcmp(a->items[i].answer, b->items[j].answer) == 0;
    return same;
}

static void check_countdown(void) {
    questions_countdown_rule rule = { 600, 4, 1, 99, 0, 1 }, tiny = { 500, 2, 1, 3, 0, 1 };
    questions train = { 0 }, again = { 0 }, test = { 0 };
    int i, equal = 1;
    CHECK(questions_countdown(&train, &rule, error) && train.count == 600, "%s", error);
    CHECK(questions_countdown(&again, &rule, error), "%s", error);
    for (i = 0; i < 600; i++) equal &= !strcmp(train.items[i].json, again.items[i].json);
    CHECK(equal, "the same seed gave other puzzles");
    CHECK(puzzles_solved(&train, "") == 600, "%d of 600 solved", puzzles_solved(&train, ""));
    CHECK(puzzles_solved(&train, " + 1") == 0, "a wrong solution was rewarded");
    rule.seed = 2;
    rule.held_out = 1;
    CHECK(questions_countdown(&test, &rule, error) && puzzles_solved(&test, "") == 600, "%s",
          error);
    CHECK(overlap(&train, &test) == 0 && overlap(&train, &train) == 0, "a puzzle came twice");
    CHECK(strstr(train.items[0].text, " and ") && strstr(train.items[0].text, " to make "), "%s",
          train.items[0].text);
    CHECK(!questions_countdown(&train, &tiny, error) && train.count == 600, "%d", train.count);
    CHECK(strstr(error, "different countdown puzzles"), "%s", error);
    tiny.high = 0;
    CHECK(!questions_countdown(&train, &tiny, error), "an empty range was accepted");
    tiny.count = 30;
    tiny.numbers = 8;
    tiny.high = 9999;
    CHECK(questions_countdown(&train, &tiny, error) && puzzles_solved(&train, "") == 630, "%s",
          error);
    questions_free(&train);
    questions_free(&again);
    questions_free(&test);
}

/* How many of the questions earn the reward when their answer, changed by `change`, is given. */
static int rewarded(const questions *q, int change) {
    int i, sum = 0;
    for (i = 0; i < q->count; i++) {
        grpo_sample s;
        double value;
        char text[64];
        memset(&s, 0, sizeof s);
        s.answer = s.completion = q->items[i].answer;
        if (change && grpo_last_number(s.answer, &value)) {
            snprintf(text, sizeof text, "The answer is %.17g.", value + change);
            s.completion = text;
        }
        sum += grpo_reward_last_number(&s, NULL) == 1;
    }
    return sum;
}

/* Names may come again in other objects; n different ones, then the one at `again`. */
static void check_names(int n, int again) {
    char *text = (char *)malloc(32 * (size_t)n + 64);
    size_t length = 0;
    json j;
    int i, good;
    if (!text) return;
    text[length++] = '{';
    for (i = 0; i < n; i++)
        length += (size_t)sprintf(text + length, "\"%d\": {\"a\": 1, \"b\": 2},\n", i);
    length += (size_t)sprintf(text + length, "\"%d\": 0}", again);
    good = json_parse(&j, text, length, "names", error);
    CHECK(good == (again >= n), "%d names, then \"%d\"", n, again);
    if (good) {
        CHECK(json_find(j.values, "0") != NULL && j.values->length == (size_t)n + 1, "%d names", n);
        json_free(&j);
    } else {
        char place[64];
        snprintf(place, sizeof place, "line %d, column ", n + 1);
        CHECK(strstr(error, place) && strstr(error, "is there twice"), "%s", error);
    }
}

#if defined(__unix__) || defined(__APPLE__)
/* What would be waited for, or never end, where a file should be. */
static void check_no_files(void) {
    static const char *const paths[] = { ".", "/dev/zero", "test_questions_pipe" };
    questions q = { 0 };
    gguf_file g;
    size_t i;
    unlink(paths[2]);
    CHECK(mkfifo(paths[2], 0600) == 0, "%s cannot be made", paths[2]);
    for (i = 0; i < sizeof paths / sizeof *paths; i++) {
        CHECK(!questions_read(&q, paths[i], "question", "answer", error)
              && strstr(error, "it is no regular file"), "%s: %s", paths[i], error);
        CHECK(!gguf_open(&g, paths[i], error) && strstr(error, "it is no regular file"), "%s: %s",
              paths[i], error);
        gguf_close(&g);
    }
    unlink(paths[2]);
}

/* A pipe on purpose is read to its end. */
static void check_pipe(void) {
    static const char line[] = "{\"question\": \"a\", \"answer\": 1e-05}\n";
    questions q = { 0 };
    char path[32];
    int ends[2];
    CHECK(!pipe(ends) && write(ends[1], line, sizeof line - 1) == sizeof line - 1, "no pipe");
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    CHECK(questions_read(&q, path, "question", "answer", error) && q.count == 1
          && !strcmp(q.items[0].answer, "1e-05"), "%s", error);
    close(ends[0]);
    questions_free(&q);
    CHECK(!questions_read(&q, "/dev/fd/777", "question", "answer", error)
          && strstr(error, "cannot be opened"), "%s", error);
}
#endif

static void check_file(const char *folder, const char *name, const char *question,
                       const char *answer, int count, const char *begins) {
    questions q = { 0 };
    char path[512];
    snprintf(path, sizeof path, "%.400s/%s", folder, name);
    CHECK(questions_read(&q, path, question, answer, error), "%s", error);
    CHECK(q.count == count, "%s: %d questions", name, q.count);
    CHECK(q.count && strncmp(q.items[0].text, begins, strlen(begins)) == 0, "%s", name);
    CHECK(rewarded(&q, 0) == count, "%s: %d solutions score 1", name, rewarded(&q, 0));
    CHECK(rewarded(&q, 1) == 0, "%s: %d wrong answers score 1", name, rewarded(&q, 1));
    questions_free(&q);
}

static void check_real_files(void) {
    const char *data = getenv("GRPO_DATA");
    questions q = { 0 };
    CHECK(!questions_read(&q, "no/such/file", "question", "answer", error)
          && strstr(error, "no/such/file cannot be read"), "%s", error);
    if (!data) {
        printf("skipped: GSM8K and SVAMP, for GRPO_DATA is not set\n");
        return;
    }
    check_file(data, "gsm8k/test.jsonl", "question", "answer", 1319, "Janet\xe2\x80\x99s ducks");
    check_file(data, "gsm8k/train.jsonl", "question", "answer", 7473, "Natalia sold clips");
    check_file(data, "svamp/SVAMP.json", "Body,Question", "Answer", 1000,
               "Each pack of dvds costs 76 dollars. If there is a discount of 25 dollars on each "
               "pack How much do you have to pay to buy each pack?");
}

int main(void) {
    check_lines();
    check_array();
    check_refusals();
    check_order();
    check_splits();
    check_countdown();
    check_names(3, 2);
    check_names(3, 3);
    check_names(5000, 4711);
    check_names(5000, 5000);
#if defined(__unix__) || defined(__APPLE__)
    check_no_files();
    check_pipe();
#endif
    check_real_files();
    return check_finish();
}
