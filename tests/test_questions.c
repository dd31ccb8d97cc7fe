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

/* A conversation as a prompt: its turns, in this notation: role>text|role>text. */
static void talks(const char *text, const char *question, const char *turns) {
    questions q = { 0 };
    char got[512] = "";
    int i, n = 0;
    CHECK(parse(&q, text, question, "answer") && q.count == 1, "%s: %s", text, error);
    if (q.count == 1) {
        const questions_item *item = &q.items[0];
        for (i = 0; i < item->num_turns; i++)
            n += snprintf(got + n, sizeof got - (size_t)n, "%s%s>%s%s%s", i ? "|" : "",
                          item->turns[i].role, item->turns[i].text,
                          item->turns[i].thought ? "<" : "",
                          item->turns[i].thought ? item->turns[i].thought : "");
        CHECK(!strcmp(got, turns), "%s became %s", text, got);
        CHECK(!item->num_turns || item->text == item->turns[item->num_turns - 1].text, "%s",
              item->text);
        CHECK(!strcmp(item->answer, "4"), "%s", item->answer);
    }
    questions_free(&q);
}

#define USER "{\"role\": \"user\", \"content\": \"2+2?\"}"
#define SYSTEM "{\"role\": \"system\", \"content\": \"Be \\\"brief\\\".\"}"
#define REPLY "{\"role\": \"assistant\", \"content\": \"What?\"}"
#define ANSWERED(messages) "{\"messages\": [" messages "], \"answer\": 4}"

static void check_conversations(void) {
    questions q = { 0 }, held = { 0 };
    int i;
    talks(ANSWERED(USER), "messages", "user>2+2?");
    talks(ANSWERED(USER), "question", "user>2+2?");           /* as others call it               */
    talks(ANSWERED(SYSTEM "," USER "," REPLY "," USER), "messages",
          "system>Be \"brief\".|user>2+2?|assistant>What?|user>2+2?");
    talks("{\"prompt\": [" USER "], \"messages\": 1, \"answer\": 4}", "question", "user>2+2?");
    talks("{\"prompt\": \"2+2?\", \"messages\": [], \"answer\": 4}", "question", "");
    talks("{\"question\": \"q\", \"messages\": [" REPLY "], \"answer\": 4}", "question", "");
    talks("{\"x\": {\"y\": [" USER "]}, \"answer\": 4}", "x.y", "user>2+2?");
    talks(ANSWERED("{\"content\": [{\"type\": \"text\", \"text\": \"2+\"}, {\"text\": \"2?\", "
                   "\"type\": \"text\"}], \"role\": \"user\", \"name\": null}"), "messages",
          "user>2+2?");
    talks(ANSWERED(USER "," REPLY ",{\"role\": \"tool\", \"content\": \"4\"}"), "messages",
          "user>2+2?|assistant>What?|tool>4");
    talks(ANSWERED(USER ",{\"thinking\": \"Hm.\", \"role\": \"assistant\", \"content\": \"What?\", "
                   "\"reasoning_content\": null},{\"role\": \"assistant\", \"content\": \"\", "
                   "\"reasoning_content\": \"\"}," USER), "messages",
          "user>2+2?|assistant>What?<Hm.|assistant><|user>2+2?");
    refused(ANSWERED("{\"role\": \"user\", \"content\": \"?\", \"thinking\": \"a\", "
                     "\"reasoning_content\": \"b\"}"), "not understood: reasoning_content");
    refused(ANSWERED("{\"role\": \"user\", \"content\": \"?\", \"thinking\": 1}"),
            "not understood: thinking");
    refused(ANSWERED(USER "," REPLY), "message 2 is the last and nothing that can be answered, but "
                                      "of role assistant");
    refused(ANSWERED(SYSTEM), "of role system");
    refused(ANSWERED(USER "," SYSTEM "," USER), "message 2 is the system's");
    refused(ANSWERED(""), "the field \"messages\" is no string and no number");
    refused(ANSWERED("\"2+2?\""), "is no string and no number");
    refused(ANSWERED("{\"content\": \"2+2?\"}"), "message 1 has no role");
    refused(ANSWERED(USER ", 5"), "message 2 has no role");
    refused(ANSWERED("{\"role\": \"user\"}"), "message 1 has no content");
    refused(ANSWERED("{\"role\": \"user\", \"content\": \"\"}"), "is empty");
    refused(ANSWERED("{\"role\": \"user\", \"content\": \"a\\u0000\"}"), "\\u0000");
    refused(ANSWERED("{\"role\": \"user\", \"content\": \"\", \"tool_calls\": []}"),
            "message 1 has what is not understood: tool_calls");
    refused(ANSWERED("{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"text\": \"\"}]}"),
            "a part that is no text, of type image");
    refused("{\"messages\": [" USER "]}", "there is no field \"answer\" (there is: messages)");
    for (i = 0; i < 10; i++) CHECK(parse(&q, ANSWERED(SYSTEM "," USER), "messages", "answer"), "%s",
                                   error);
    CHECK(questions_hold_out(&q, &held, 3, error) && held.count == 3 && q.count == 7, "%s", error);
    CHECK(held.items[2].num_turns == 2 && !strcmp(held.items[2].turns[1].text, "2+2?"), "%s",
          "its turns");
    questions_free(&q);
    questions_free(&held);
}

/* Fields in fields. */
static void check_paths(void) {
    static const char line[] = "{\"p\": {\"q\": \"2+2?\", \"list\": [3, {\"z\": \"four\"}]}, "
        "\"a.b\": 4, \"a\": {\"b\": 5, \"c.d\": {\"e\": 6}}}";
    static const char *const paths[][2] = { { "a.b", "4" }, { "a.c.d.e", "6" }, { "p.list.0", "3" },
        { "p.list.1.z", "four" }, { "p.q", "2+2?" }, { "p.list.0,a.b", "3 4" } };
    static const char *const wrong[][2] = {
        { "p.x", "there is no field \"p.x\" (of it there is: q, list)" },
        { "x.q", "there is no field \"x.q\" (there is: p, a.b, a)" },
        { "p", "is no string and no number; choose of what is in it, with a point: q, list" },
        { "p.list", "\"p.list\" is no string and no number" },
        { "p.list.2", "there is no field \"p.list.2\"" }, { "p.list.01", "there is no field" },
        { "p.", "there is no field \"p.\"" }, { ".q", "there is no field" },
        { "p..q", "there is no field" }, { "p.q.x", "of it there is: nothing" },
        { "p.q,", "empty" } };
    questions q = { 0 };
    size_t i;
    for (i = 0; i < sizeof paths / sizeof *paths; i++) {
        CHECK(parse(&q, line, "p.q", paths[i][0]), "%s: %s", paths[i][0], error);
        CHECK(q.count == (int)i + 1 && !strcmp(q.items[i].answer, paths[i][1])
              && !strcmp(q.items[i].text, "2+2?"), "%s", paths[i][0]);
    }
    questions_free(&q);
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(!parse(&q, line, "p.q", wrong[i][0]) && strstr(error, wrong[i][1]), "%s: %s",
              wrong[i][0], error);
    CHECK(!parse(&q, line, "p.y", "a.b") && strstr(error, "of it there is: q, list"), "%s", error);
}

static int parse_csv(questions *q, const char *text) {
    error[0] = 0;
    return questions_parse(q, text, strlen(text), "some.CSV", "question", "answer", error);
}

static void check_csv(void) {
    static const struct { const char *text, *question, *answer, *json; } good[] = {
        { "question,answer\n2+2?,4\n", "2+2?", "4", "{\"question\":\"2+2?\",\"answer\":\"4\"}" },
        { "question,answer\r\n2+2?,4", "2+2?", "4", "{\"question\":\"2+2?\",\"answer\":\"4\"}" },
        { "\xef\xbb\xbf" "answer,question\n\r\n4,2+2?\r\n\r\n", "2+2?", "4",
          "{\"answer\":\"4\",\"question\":\"2+2?\"}" },
        { "\"question\",\"answer\"\n\"a, \"\"b\"\"\nc\\\",\"\"\n", "a, \"b\"\nc\\", "",
          "{\"question\":\"a, \\\"b\\\"\\u000ac\\\\\",\"answer\":\"\"}" },
        { "question,answer,\"x,y\"\n a ,\"4\",\t\xc3\xa9\n", " a ", "4",
          "{\"question\":\" a \",\"answer\":\"4\",\"x,y\":\"\\u0009\xc3\xa9\"}" },
        { "question,answer\n\"a\r\nb\",4\n", "a\r\nb", "4",
          "{\"question\":\"a\\u000d\\u000ab\",\"answer\":\"4\"}" },
        { "question,answer\n\"\"\"\",\"\"\"\"", "\"", "\"",
          "{\"question\":\"\\\"\",\"answer\":\"\\\"\"}" },
        { "question,answer\na\rb,4\n", "a\rb", "4",
          "{\"question\":\"a\\u000db\",\"answer\":\"4\"}" } };
    static const struct { const char *text, *says; } wrong[] = {
        { "question,answer\n", "has no questions in it" }, { "", "no questions" },
        { "question;answer\n1;2\n", "line 2: there is no field \"question\" (there is: "
          "question;answer)" },
        { "question,answer\n1,2\n3\n4,5\n", "line 3: it has 1 fields, and the line of names at the "
          "head has 2" },
        { "question,answer\n1,2,3\n", "line 2: it has 3 fields" },
        { "question,answer\n1,2\n\"a\nb,4\n5,6\n", "line 3: the field in quotes that begins in "
          "line 3 does not end" },
        { "question,answer\n\"a\nb\",4\n5,6,7\n", "line 4: it has 3 fields" },
        { "question,answer\na\"b,4\n", "line 2: a double quote within a field" },
        { "question,answer\n\"a\"b,4\n", "line 2: something follows a field's closing quote" },
        { "question,answer\na\xff,4\n", "line 2: a byte that is not UTF-8" },
        { "question,question,answer\na,b,4\n", "some.CSV, line 1: the line of names at the head has "
          "\"question\" twice, for columns 1 and 2: give each column a name of its own" },
        { "question,answer,,\na,4,,\n", "has \"\" twice, for columns 3 and 4" },
        { "\"question,answer\n", "line 1: the field in quotes" },
        { "question,answer\n,4\n", "line 2: the question is empty" },
        { "question,answer\n1\n2\n3,3\n4\n", "line 2: it has 1 fields, and the line of names at "
          "the head has 2 (and 2 more are wrong)" } };
    questions q = { 0 };
    char big[20000] = "question,answer\n\"";
    size_t i;
    for (i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK(parse_csv(&q, good[i].text) && q.count == 1, "%s: %d, %s", good[i].text, q.count,
              error);
        CHECK(q.count == 1 && is(&q.items[0], good[i].question, good[i].answer, good[i].json),
              "%s", q.count ? q.items[0].json : error);
        questions_free(&q);
    }
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(!parse_csv(&q, wrong[i].text) && strstr(error, wrong[i].says) && !q.count, "%s: %s",
              wrong[i].text, error);
    for (i = strlen(big); i < 9000; i++) big[i] = i % 2 ? '\n' : '\1';
    strcpy(big + i, "\",4\nshort,5\n");
    CHECK(parse_csv(&q, big) && q.count == 2 && strlen(q.items[0].text) == 9000 - 17
          && !strcmp(q.items[1].answer, "5"), "%d: %s", q.count, error);
    questions_free(&q);
}

/* What is said of many wrong lines, and of files that are no text. */
static void check_faults(void) {
    static const char parquet[] = "PAR1\0\0", zipped[] = "\x1f\x8b\x08";
    questions q = { 0 };
    refused("{\"question\": \"a\", \"answer\": 1}\n{\n{\"question\": 1}\n\n7\n",
            "line 2, column 2: ");
    CHECK(strstr(error, " (and 2 more are wrong)"), "%s", error);
    refused("[{\"question\": 1}, {\"question\": 1, \"answer\": 2},\n{\"question\": 1}]",
            "line 1: there is no field \"answer\" (there is: question) (and 1 more are wrong)");
    CHECK(!questions_parse(&q, parquet, 6, "x", "question", "answer", error)
          && strstr(error, "x is Parquet: duckdb -json -c \"FROM 'x'\" | grpo ... --data - reads"),
          "%s", error);
    CHECK(!questions_read(&q, "a/train.parquet", "question", "answer", error)
          && strstr(error, "a/train.parquet"), "%s", error);
    CHECK(!questions_parse(&q, zipped, 3, "x.jsonl.gz", "question", "answer", error)
          && strstr(error, "gzip -dc 'x.jsonl.gz' | grpo ... --data - reads it"), "%s", error);
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
    static const char csv[] = "question,answer\n\"a,b\",1\n";
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
    CHECK(!pipe(ends) && write(ends[1], csv, sizeof csv - 1) == sizeof csv - 1, "no pipe");
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    CHECK(questions_read(&q, path, "question", "answer", error) && q.count == 1
          && !strcmp(q.items[0].text, "a,b"), "%s", error);
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
    check_conversations();
    check_paths();
    check_csv();
    check_faults();
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
