/* Fuzzing of what reads other people's text: json.h, files of questions, chat templates, and a
 * verifier's answers and command. With libFuzzer, in the repository's root:
 *
 *     clang -std=c99 -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz_questions.c \
 *         -o fuzz -lm
 *     mkdir corpus; ./fuzz -max_len=4096 -max_total_time=180 corpus
 *
 * Or alone, where main() changes texts of its own for some seconds (60 if not said; the seed that
 * it prints repeats a run), or tries files:
 *
 *     cc -std=c99 -g -O1 -DFUZZ_STANDALONE -fsanitize=address,undefined -I. \
 *         tests/fuzz_questions.c -o fuzz -lm
 *     ./fuzz [SECONDS [SEED]]
 *     ./fuzz FILE...
 *
 * The first byte of an input says which reader the rest is for. */
#define GRPO_IMPLEMENTATION
#include "examples/tool/verifier.h"
#include "examples/tool/chat.h"

#ifdef __cplusplus
extern "C"
#endif
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stops the run where an answer breaks its contract. */
static void require(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

/* A heap block of exactly the text's size, so that the sanitizer sees any step beyond it. */
static char *copy_text(const uint8_t *data, size_t size) {
    char *text = (char *)malloc(size + 1);
    if (!text) exit(0);
    if (size) memcpy(text, data, size);
    text[size] = 0;
    return text;
}

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

static void fuzz_json(const uint8_t *data, size_t size) {
    char error[JSON_ERROR_LENGTH] = "";
    json j;
    if (json_parse(&j, copy_text(data, size), size, "file", error)) {
        require(walk(j.values) == j.count, "more values than one tree");
        json_free(&j);
    } else need_sentence(error);
}

/* What is accepted is JSON on one line, and comes back as it was when it is read again. */
static void fuzz_questions(const uint8_t *data, size_t size, const char *names) {
    char error[JSON_ERROR_LENGTH] = "", *text = copy_text(data, size);
    questions q = { NULL, 0, 0 }, again = { NULL, 0, 0 };
    int i, good = questions_parse(&q, text, size, "file", names, "answer", error);
    if (!good) need_sentence(error);
    require(good ? q.count > 0 : q.count == 0, "questions of a refused file");
    for (i = 0; i < q.count; i++) {
        const questions_item *item = &q.items[i];
        require(item->text[0] && item->answer && !strchr(item->json, '\n'), "a question");
        require(questions_parse(&again, item->json, strlen(item->json), "line", names, "answer",
                                error) && again.count == i + 1, error);
        require(!strcmp(again.items[i].text, item->text) && !strcmp(again.items[i].json, item->json)
                && !strcmp(again.items[i].answer, item->answer), "it was read differently");
    }
    questions_free(&q);
    questions_free(&again);
    free(text);
}

static void fuzz_chat(const uint8_t *data, size_t size) {
    static const chat_turn turns[3] = { { "user", " a" }, { "assistant", "<think>b</think>c" },
                                        { "user", "d\xff\xc2" } };
    const char *stops[CHAT_STOPS];
    char error[JSON_ERROR_LENGTH] = "", *text = copy_text(data, size);
    chat_text out = { NULL, 0, 0 };
    chat_template t;
    int n;
    if (chat_from_jinja(&t, text, size, "<s>", "</s>", error)) {
        require(chat_render(&t, NULL, turns, 3, 1, &out, error) && out.length == strlen(out.text),
                error);
        n = chat_stops(&t, stops);
        require(n >= 0 && n <= CHAT_STOPS, "stops");
    } else need_sentence(error);
    if (!chat_plain(&t, text, error)) need_sentence(error);
    else require(chat_render(&t, text, turns, 3, 1, &out, error), error);
    chat_text_free(&out);
    if (size > 1) {                 /* the text as an answer and as its own turns                */
        chat_turn own[2] = { { "user", "?" }, { "assistant", "" } };
        own[1].text = text;
        require(chat_named(&t, data[0] & 1 ? "qwen3" : "llama2", error), error);
        require(chat_render(&t, NULL, own, 2, 1, &out, error), error);
        chat_text_free(&out);
    }
    free(text);
}

static void fuzz_answers(const uint8_t *data, size_t size) {
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
    require(!(v.bad || v.unanswered) == !v.error[0], "a sentence where something was wrong");
    for (i = 0; i < N; i++) require(!isinf(rewards[i]), "a reward without end");
    free(text);
}

static void fuzz_command(const uint8_t *data, size_t size) {
    char error[JSON_ERROR_LENGTH] = "", *text = copy_text(data, size);
    verifier v;
    if (verifier_open(&v, text, error)) {
        require(v.argv[0] && v.argv[0][0], "a command without a program");
        verifier_close(&v);
    } else need_sentence(error);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    switch (data[0] % 6) {
    case 0: fuzz_json(data + 1, size - 1); break;
    case 1: fuzz_questions(data + 1, size - 1, "question"); break;
    case 2: fuzz_questions(data + 1, size - 1, "b,question"); break;
    case 3: fuzz_chat(data + 1, size - 1); break;
    case 4: fuzz_answers(data + 1, size - 1); break;
    default: fuzz_command(data + 1, size - 1); break;
    }
    return 0;
}

#ifdef FUZZ_STANDALONE
static const char *const corpus[] = {
    "6{\"a\": [1, -2.5e+3, true, false, null, \"\\u00e9\\ud83d\\ude00\\n\"], \"b\": {}}",
    "7{\"question\": \"2+2?\", \"answer\": \"#### 4\"}\n\n{\"answer\": 1.5, \"question\": \"\\t\"}",
    "8[{\"b\": \"Body\", \"question\": 1, \"answer\": \"x]\"},\n {\"question\": \"q\", "
    "\"answer\": 0, \"b\": \"{\\\"\"}]",
    "9{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\\n'}}{% endfor %}{{ '<|im_start|>assistant\n' }}",
    "9{{- '<|im_start|>system\\nBe \\'so\\'<|im_end|>\\n' -}}{#- c -#}{{'<|im_start|>' + "
    "message.role + '\\n' + message.content + '<|im_end|>\\n'}}{{'<|im_start|>assistant\\n'}}",
    "9Q: {question}\\nA: <think>\n</think>\n\n",
    "9{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + "
    "message['content'] | trim + '<|eot_id|>' %}{%set content = bos_token + content%}"
    "{{'<|start_header_id|>assistant<|end_header_id|>\n\n'}}",
    ":1\n0.5\nnull\nNaN\n-3e2",
    ":{\"index\": 0, \"reward\": 1}\n{\"reward\": NaN, \"index\": 4}\n2\n{\"index\": 2}\n",
    ";sh -c 'echo \"1\"' \\a ./tests/check.h",
};

static uint64_t next(uint64_t *state) { return questions_mix((*state)++); }

/* One change: a byte, a piece removed, repeated or taken from another text. */
static size_t mutate(uint8_t *text, size_t n, size_t room, uint64_t *state) {
    size_t at = next(state) % n, piece = next(state) % (n - at) + 1, from;
    const char *other;
    switch (next(state) % 5) {
    case 0: text[at] = (uint8_t)next(state); return n;
    case 1: text[at] = (uint8_t)"{}[]\",:\\'%#-<|>\n\0 \x80\xff" "09eEnNu"[next(state) % 28];
            return n;
    case 2: memmove(text + at, text + at + piece, n - at - piece); return n - piece;
    case 3:
        if (n + piece > room) return n;
        memmove(text + at + piece, text + at, n - at);
        return n + piece;
    default:
        other = corpus[next(state) % (sizeof corpus / sizeof *corpus)];
        from = next(state) % strlen(other);
        piece = next(state) % (strlen(other) - from) + 1;
        if (n + piece > room) return n;
        memmove(text + at + piece, text + at, n - at);
        memcpy(text + at, other + from, piece);
        return n + piece;
    }
}

static int try_file(const char *path) {
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(data, 1, sizeof data, file) : 0;
    if (!file) return 0;
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    printf("%s: %lu bytes\n", path, (unsigned long)size);
    return 1;
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 60, start = verifier_now();
    unsigned long count = 0;
    uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL) << 20;
    int i;
    if (argc > 1 && seconds <= 0) {
        for (i = 1; i < argc; i++) if (!try_file(argv[i])) return 1;
        return 0;
    }
    printf("seed %llu\n", (unsigned long long)state);
    fflush(stdout);
    while (verifier_now() - start < seconds) {
        uint8_t text[4096];
        const char *seed = corpus[count++ % (sizeof corpus / sizeof *corpus)];
        size_t n = strlen(seed), changes = next(&state) % 8;
        memcpy(text, seed, n);
        while (changes-- > 0 && n > 0) n = mutate(text, n, sizeof text, &state);
        LLVMFuzzerTestOneInput(text, n);
    }
    printf("%lu inputs\n", count);
    return 0;
}
#endif
