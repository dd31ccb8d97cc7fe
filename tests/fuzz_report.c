/* Fuzzing of what `grpo plot` reads, a run's log: hostile, cut short, or of another program. A page
 * and a drawing of it are well-formed whatever the log holds, and a refused log gets a sentence.
 * With libFuzzer, in the repository's root:
 *
 *     clang -std=c99 -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz_report.c -o fuzz -lm
 *     mkdir corpus; ./fuzz -max_len=4096 -max_total_time=180 corpus
 *
 * Or alone, where main() changes logs of its own for some seconds (60 if not said; the seed that it
 * prints repeats a run), or tries files:
 *
 *     cc -std=c99 -g -O1 -DFUZZ_STANDALONE -fsanitize=address,undefined -I. \
 *         tests/fuzz_report.c -o fuzz -lm
 *     ./fuzz [SECONDS [SEED]]
 *     ./fuzz FILE...
 *
 * The first line of an input is the log's name. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "examples/tool/questions.h"
#include "examples/tool/report.h"
#include "well_formed.h"

#include <time.h>

#ifdef __cplusplus
extern "C"
#endif
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAGE = 1 << 22 };

/* Stops the run where an answer breaks its contract. */
static void require(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

/* What a function wrote to a file, as a text in a block that is used again. */
static const char *written(FILE *file) {
    static char page[PAGE];
    long n = ftell(file);
    require(n >= 0 && n < PAGE, "a page longer than its log allows");
    rewind(file);
    require(fread(page, 1, (size_t)n, file) == (size_t)n, "the page cannot be read back");
    page[n] = 0;
    require(strlen(page) == (size_t)n, "a NUL in the page");
    rewind(file);
    return page;
}

/* No attribute holds a number that is none: "nan", "inf", "-nan". */
static void require_numbers(const char *page) {
    for (; (page = strchr(page, '=')) != NULL; page++)
        if (page[1] == '"') {
            const char *value = page + 2 + (page[2] == '-');
            require(strncmp(value, "nan", 3) != 0 && strncmp(value, "inf", 3) != 0, "no number");
        }
}

static void require_well_formed(const char *page) {
    const char *wrong = not_well_formed(page);
    if (wrong) fprintf(stderr, "at \"%.60s\" of\n%s\n", wrong, page);
    require(!wrong, "a page that is not well-formed");
}

/* The rows are in order, each step once, and their names are those of curves. */
static void require_rows(const report *r) {
    int i;
    for (i = 1; i < r->count; i++)
        require(r->rows[i - 1].step < r->rows[i].step, "steps out of order");
    require(r->curves <= REPORT_CURVES && r->bad_lines >= 0, "counts");
    require(!r->bad_lines == !r->first_bad[0], "a sentence where a line is wrong");
    require(!r->bad_lines || strstr(r->first_bad, "line "), "a sentence without its line");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static FILE *file;
    const char *page;
    char error[JSON_ERROR_LENGTH] = "", name[64];
    const uint8_t *end = size ? (const uint8_t *)memchr(data, '\n', size) : NULL;
    size_t n = end ? (size_t)(end - data) : 0, left = end ? size - n - 1 : 0;
    char *text = (char *)malloc(left ? left : 1);             /* no NUL ends it                  */
    report r;
    if (!file) file = tmpfile();
    if (!text || !file) exit(1);
    snprintf(name, sizeof name, "%.*s", (int)(n < 60 ? n : 60), (const char *)data);
    if (left) memcpy(text, end + 1, left);
    if (report_parse(&r, text, left, name, error)) {
        require(strlen(error) > 10 && strstr(error, "has no steps"), "no sentence");
    } else {
        require_rows(&r);
        report_svg(file, &r);
        require_well_formed(written(file));
        report_html(file, &r, name);
        page = written(file);
        require_well_formed(page);
        require_numbers(page);
        report_free(&r);
    }
    free(text);
    return 0;
}

#ifdef FUZZ_STANDALONE
static const char *const corpus[] = {
    "log.jsonl\n{\"config\": {\"parameters\": 108000, \"beta\": 0.04, \"x\": \"<y>\"}}\n"
    "{\"step\":1,\"num_tokens\":96,\"loss\":-0.1,\"reward\":0.125,\"reward_std\":0.3,\"kl\":0,"
    "\"entropy\":2.5,\"step_time\":0.01,\"rewards/match/mean\":0.125,\"rewards/match/std\":0.3}\n"
    "{\"step\":2,\"num_tokens\":192,\"loss\":0.1,\"reward\":0.5,\"kl\":0.001,\"step_time\":0.01,"
    "\"entropy\":2.25,\"rewards/match/mean\":0.5,\"completions/mean_length\":4}\n"
    "{\"eval\": {\"step\": 2, \"accuracy\": 0.25, \"reward\": 0.25, \"questions\": 64}}\n",
    "a<b>&\"c\n{\"step\":1,\"reward\":1}\n{\"samples\": {\"step\": 1, \"prompt\": \"2<3 & "
    "\\u0000\", \"answer\": \"\\uffff]]>\", \"completions\": [{\"reward\": 1, \"text\": [\"<b\", "
    "\">&amp;\"], \"advantages\": [1, -0.5]}, {\"reward\": null, \"text\": [\"\\u001b[31m\"], "
    "\"advantages\": [1e999]}]}}\n",
    "\xff\xfe\n{\"step\":5,\"reward\":1e308}\n{\"step\":6,\"reward\":-1e308}\n{\"step\":4,"
    "\"reward\":5e-324}\n{\"step\":999999999,\"reward\":0}\n"
    "{\"eval\":{\"step\":0,\"accuracy\":1e299}}\n",
    "cut\n{\"step\":1,\"reward\":1,\"rewards/</text>/mean\":3}\n{\"step\":2,\"rew",
    "x\n[]\n{}\nnull\n\n  \t\r\n{\"step\":-1}\n{\"step\":\"1\"}\n{\"step\":2.5,\"reward\":\"a\"}\n"
    "{\"eval\":{}}\n{\"samples\":[]}\n{\"config\":{\"a&\":1e5,\"b\":[1,{\"c\":2}],\"d\":null}}",
};

static uint64_t next(uint64_t *state) { return questions_mix((*state)++); }

/* One change: a byte, a piece removed, repeated or taken from another log. */
static size_t mutate(uint8_t *text, size_t n, size_t room, uint64_t *state) {
    size_t at = next(state) % n, piece = next(state) % (n - at) + 1, from;
    const char *other;
    switch (next(state) % 5) {
    case 0: text[at] = (uint8_t)next(state); return n;
    case 1: text[at] = (uint8_t)"{}[]\",:\\&<>'-\n\0 \x80\xff" "019eEnNu/"[next(state) % 27];
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
    double seconds = argc > 1 ? atof(argv[1]) : 60;
    unsigned long count = 0;
    uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL) << 20;
    time_t start = time(NULL);
    int i;
    if (argc > 1 && seconds <= 0) {
        for (i = 1; i < argc; i++) if (!try_file(argv[i])) return 1;
        return 0;
    }
    printf("seed %llu\n", (unsigned long long)state);
    fflush(stdout);
    while (difftime(time(NULL), start) < seconds) {
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
