/* Fuzzing of what `grpo plot` reads, a run's log: hostile, cut short, or of another program. A page
 * and a drawing of it are well-formed whatever the log holds, and a refused log gets a sentence.
 * The first line of an input is the log's name. fuzz.h says how it is run. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "examples/tool/report.h"
#include "fuzz.h"
#include "well_formed.h"

enum { PAGE = 1 << 22 };

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

static FILE *page_file;             /* written, read back and written again */

static int fuzz_one(const uint8_t *data, size_t size) {
    const char *page;
    char error[JSON_ERROR_LENGTH] = "", name[64];
    const uint8_t *end = size ? (const uint8_t *)memchr(data, '\n', size) : NULL;
    size_t n = end ? (size_t)(end - data) : 0, left = end ? size - n - 1 : 0;
    char *text = (char *)malloc(left ? left : 1);             /* no NUL ends it                  */
    report r;
    int good;
    if (!page_file) page_file = tmpfile();
    require(text && page_file, "no memory, or no file");
    snprintf(name, sizeof name, "%.*s", (int)(n < 60 ? n : 60), (const char *)data);
    if (left) memcpy(text, end + 1, left);
    good = !report_parse(&r, text, left, name, error);
    if (!good) {
        require(strlen(error) > 10 && strstr(error, "has no steps"), "no sentence");
    } else {
        require_rows(&r);
        report_svg(page_file, &r);
        require_well_formed(written(page_file));
        report_html(page_file, &r, name);
        page = written(page_file);
        require_well_formed(page);
        require_numbers(page);
        report_free(&r);
    }
    free(text);
    return good;
}

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
    "{\"eval\":{}}\n{\"samples\":[]}\n{\"config\":{\"a&\":1e5,\"b\":[1,{\"c\":2}],\"d\":null}}"
};

static size_t fuzz_begin_with(int i, uint8_t *to) {
    return fuzz_put_text(corpus, (int)(sizeof corpus / sizeof *corpus), i, to);
}

static const char *const *fuzz_words(void) {
    static const char *const words[] = { "{", "}", "[", "]", "\"", ",", ":", "\\", "&", "<", ">",
        "'", "-", "\n", " ", "\x80", "\xff", "0", "1", "9", "e", "E", "nan", "/", "]]>",
        "\"step\":", "\"reward\":", "1e308", "null", NULL };
    return words;
}

static void fuzz_end(void) {
    if (page_file) fclose(page_file);
}
