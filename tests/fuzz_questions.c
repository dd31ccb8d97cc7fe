/* Fuzzing of what reads other people's text: json.h, files of questions, what a chat is made of, and
 * a verifier's answers and command. The first byte of an input says which reader the rest is for.
 * fuzz.h says how it is run. */
#define GRPO_IMPLEMENTATION
#include "examples/tool/verifier.h"
#include "examples/tool/chat.h"
#include "fuzz.h"

static void need_sentence(const char *error) {
    size_t n = strlen(error);
    require(n > 10 && n < JSON_ERROR_LENGTH, "no sentence");
}

/* Sizes and lengths agree with a walk. Returns the values inside v, itself included. */
static size_t walk(const json_value *v) {
    const json_value *inside;
    size_t size = 1, length = 0;
    if (v->type == JSON_STRING) require(v->text[v->length] == 0, "a string without its end");
    for (inside = json_first(v); inside; inside = json_next(v, inside), length++) {
        require((v->type == JSON_OBJECT) == (inside->key != NULL), "a name in the wrong place");
        size += walk(inside);
    }
    if (v->type == JSON_ARRAY || v->type == JSON_OBJECT) require(v->length == length, "a length");
    require(v->size == size, "a size");
    return size;
}

static int fuzz_json(const uint8_t *data, size_t size) {
    char error[JSON_ERROR_LENGTH] = "";
    json j;
    int good = json_parse(&j, fuzz_text(data, size), size, "file", error);
    if (good) {
        require(walk(j.values) == j.count, "more values than one tree");
        json_free(&j);
    } else need_sentence(error);
    return good;
}

/* What is accepted is JSON on one line, and comes back as it was when it is read again. */
static int fuzz_questions(const uint8_t *data, size_t size, const char *names, int csv) {
    char error[JSON_ERROR_LENGTH] = "", *text = fuzz_text(data, size);
    questions q = { NULL, 0, 0 }, again = { NULL, 0, 0 };
    int i, good = questions_parse(&q, text, size, csv ? "a.csv" : "file", names, "answer", error);
    if (!good) need_sentence(error);
    require(good ? q.count > 0 : q.count == 0, "questions of a refused file");
    for (i = 0; i < q.count; i++) {
        const questions_item *item = &q.items[i];
        require(item->text[0] && item->answer && !strchr(item->json, '\n'), "a question");
        require(questions_parse(&again, item->json, strlen(item->json), "line", names, "answer",
                                error) && again.count == i + 1, error);
        require(!strcmp(again.items[i].text, item->text) && !strcmp(again.items[i].json, item->json)
                && !strcmp(again.items[i].answer, item->answer)
                && again.items[i].num_turns == item->num_turns, "it was read differently");
    }
    questions_free(&q);
    questions_free(&again);
    free(text);
    return good;
}

/* A format, and the text as an answer and as its own turns. */
static int fuzz_chat(const uint8_t *data, size_t size) {
    static const chat_turn turns[3] = { { "user", " a" }, { "assistant", "<think>b</think>c" },
                                        { "user", "d\xff\xc2" } };
    char error[JSON_ERROR_LENGTH] = "", *text = fuzz_text(data, size);
    chat_text out = { NULL, 0, 0 };
    chat_turn own[2] = { { "user", "?" }, { "assistant", "" } };
    chat_template t;
    int good = chat_plain(&t, text, error);
    if (!good) need_sentence(error);
    else require(chat_render(&t, text, turns, 3, 1, &out, error), error);
    own[1].text = text;
    require(chat_named(&t, size && data[0] & 1 ? "qwen3" : "llama2", error), error);
    require(chat_render(&t, text, own, 2, 1, &out, error) && out.length == strlen(out.text), error);
    chat_text_free(&out);
    chat_free(&t);
    free(text);
    return good;
}

static int fuzz_answers(const uint8_t *data, size_t size) {
    enum { N = 5 };
    char *text = (char *)malloc(size ? size : 1);             /* no NUL ends what a child writes */
    verifier v;
    float rewards[N];
    int i, complete = size && data[0] & 1;
    if (!text) exit(0);
    if (size) memcpy(text, data, size);
    memset(&v, 0, sizeof v);
    require(verifier_read_answers(&v, text, size, complete, N, rewards), "memory");
    require(v.unanswered >= 0 && v.unanswered <= N && v.bad >= 0, "counts");
    require(!(v.bad || v.unanswered) || v.error[0], "a sentence where something was wrong");
    require(!v.error[0] || v.bad || v.unanswered || v.abstained, "none where nothing was");
    for (i = 0; i < N; i++) require(!isinf(rewards[i]), "a reward without end");
    free(text);
    return 1;
}

static int fuzz_command(const uint8_t *data, size_t size) {
    char error[JSON_ERROR_LENGTH] = "", *text = fuzz_text(data, size);
    verifier v;
    int good = verifier_open(&v, text, error);
    if (good) {
        require(v.argv[0] && v.argv[0][0], "a command without a program");
        verifier_close(&v);
    } else need_sentence(error);
    free(text);
    return good;
}

static int fuzz_one(const uint8_t *data, size_t size) {
    if (!size) return 0;
    switch (data[0] % 6) {
    case 0: return fuzz_json(data + 1, size - 1);
    case 1: return fuzz_questions(data + 1, size - 1, "question", data[0] < '6');
    case 2: return fuzz_questions(data + 1, size - 1, "b.c,question", data[0] < '6');
    case 3: return fuzz_chat(data + 1, size - 1);
    case 4: return fuzz_answers(data + 1, size - 1);
    default: return fuzz_command(data + 1, size - 1);
    }
}

static const char *const corpus[] = {
    "6{\"a\": [1, -2.5e+3, true, false, null, \"\\u00e9\\ud83d\\ude00\\n\"], \"b\": {}}",
    "7{\"question\": \"2+2?\", \"answer\": \"#### 4\"}\n\n{\"answer\": 1.5, \"question\": \"\\t\"}",
    "7{\"messages\": [{\"role\": \"system\", \"content\": \"a\"}, {\"role\": \"user\", "
    "\"content\": [{\"type\": \"text\", \"text\": \"b\"}]}], \"answer\": 1}",
    "8{\"b\": {\"c\": 3, \"d\": [1]}, \"question\": \"q\", \"answer\": 5}",
    "1question,answer,\"x\"\r\n\"2,\"\"\n\",4,\xc3\xa9\n\n3,5,6",
    "2b.c,answer,question\n1,2,3\n",
    "8[{\"b.c\": \"Body\", \"question\": 1, \"answer\": \"x]\"},\n {\"question\": \"q\", "
    "\"answer\": 0, \"b.c\": \"{\\\"\"}]",
    "9Q: {question}\\nA: <think>\n</think>\n\n",
    ":1\n0.5\nnull\nNaN\n-3e2",
    ":{\"index\": 0, \"reward\": 1}\n{\"reward\": NaN, \"index\": 4}\n2\n{\"index\": 2}\n",
    ";sh -c 'echo \"1\"' \\a ./tests/check.h"
};

static size_t fuzz_begin_with(int i, uint8_t *to) {
    return fuzz_put_text(corpus, (int)(sizeof corpus / sizeof *corpus), i, to);
}

static const char *const *fuzz_words(void) {
    static const char *const words[] = { "{", "}", "[", "]", "\"", ",", ":", "\\", "'", "%", "#",
        "-", "<|", "|>", "\n", " ", "\x80", "\xff", "0", "9", "e", "E", "null", "NaN", "\\u0000",
        "\\ud83d", "{%", "%}", "{{", "}}", "message", "content", "question", "answer", NULL };
    return words;
}

static void fuzz_end(void) {
}
