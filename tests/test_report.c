/* The report of a run, the live screen and the doctor, on real runs of a tiny model: a healthy one
 * and some that are broken on purpose; then on logs that are wrong in every way. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "check.h"
#include "well_formed.h"
#include "examples/tool/report.h"
#include "examples/tool/screen.h"
#include "examples/seeds.h"

static const char log_path[] = "test_report.jsonl", page_path[] = "test_report.html";

static float is_seven(const grpo_sample *s, void *user) {
    (void)user;
    return strchr(s->completion, '7') != NULL;
}
static float always(const grpo_sample *s, void *user) { (void)s; (void)user; return 1; }
static float never(const grpo_sample *s, void *user) { (void)s; (void)user; return 0; }

static grpo *policy(grpo_reward_function reward, const char *path) {
    grpo_config c = grpo_defaults();
    grpo *g;
    c.vocabulary = "0127<&\">\xc3\xa9=";
    c.model.hidden_size = 16;
    c.model.intermediate_size = 32;
    c.model.num_hidden_layers = 1;
    c.num_prompts = 2;
    c.max_prompt_length = 4;
    c.max_completion_length = 6;
    c.metrics_path = path;
    c.learning_rate = 3e-3f;
    c.threads = 1;
    grpo_add_reward(&c, "sev<en>", reward, 1, NULL);
    g = grpo_new(&c);
    CHECK(g, "%s", c.error);
    return g;
}

static void step(grpo *g, grpo_metrics *m) {
    const grpo_prompt prompts[2] = { { "1=", "<7>", NULL, 0, NULL },
                                     { "2=", NULL, NULL, 0, NULL } };
    CHECK(!grpo_step(g, prompts, 2, m), "%s", grpo_error(g));
}

static char *page(void) {
    char error[JSON_ERROR_LENGTH];
    size_t n;
    char *text;
    CHECK(!report_write(log_path, page_path, error), "%s", error);
    text = json_load(page_path, &n, error);
    CHECK(text != NULL, "%s", error);
    return text;
}

/* Numbers after "d=", x, y and the like are finite. */
static int has_numbers_only(const char *s) {
    return !strstr(s, "nan") && !strstr(s, "inf");
}

/* The widest line of a picture, in columns; lines counts them. */
static int widest(const char *s, int *lines) {
    int most = 0, columns = 0;
    for (*lines = 0; *s; s++) {
        if (*s == '\x1b') { s += strcspn(s, "mK"); continue; }
        if (*s == '\n') { ++*lines; columns = 0; continue; }
        if (((unsigned char)*s & 0xc0) != 0x80) columns += (unsigned char)*s >= 0xe3 ? 2 : 1;
        if (columns > most) most = columns;
    }
    return most;
}

/* At every size a picture fits, with long sentences too; numbers as large as there are. */
static void check_sizes(const screen *seen, const grpo *g, const grpo_metrics *m, const char *note,
                        int huge) {
    static screen view;
    char *drawn = (char *)malloc(SCREEN_ROOM);
    int rows, columns, lines, counted, wide;
    view = *seen;
    if (note) snprintf(view.note, sizeof view.note, "%s %0200d a b", note, 7);
    view.doctor = note ? "one two three four five six seven eight nine ten eleven twelve" : NULL;
    if (huge) { view.seconds = 1e30; view.tokens = -1e30; view.points[0].kl = -1.234e-300; }
    for (rows = 2; rows < 40; rows++)
        for (columns = 1; columns < 130; columns += 1 + columns / 9) {
            lines = screen_draw(&view, g, m, columns, rows, drawn, SCREEN_ROOM);
            wide = widest(drawn, &counted);
            CHECK(lines == counted && lines < rows && lines > 0, "%d of %d lines in %d", counted,
                  lines, rows);
            CHECK(wide < columns || columns < 2, "%d of %d columns", wide, columns);
        }
    free(drawn);
}

static void test_run(void) {
    grpo_evaluation e;
    grpo_metrics m;
    screen view;
    grpo *g;
    char *text, *drawn = (char *)malloc(SCREEN_ROOM);
    int i, lines;
    remove(log_path);
    g = policy(is_seven, log_path);
    if (!g) return;
    report_log_config(log_path, g);
    memset(&view, 0, sizeof view);
    view.steps = 40;
    memset(&e, 0, sizeof e);
    for (i = 0; i < 40; i++) {
        step(g, &m);
        screen_remember(&view, &m);
        if (i % 10 == 9) {
            report_log_samples(log_path, g);
            e.accuracy = (float)i / 40;
            report_log_eval(log_path, i + 1, &e);
        }
        CHECK(!doctor_says(view.points, view.count) || i > 30, "step %d: %s", i,
              doctor_says(view.points, view.count));
    }
    lines = screen_draw(&view, g, &m, 80, 24, drawn, SCREEN_ROOM);
    CHECK(lines >= 1 + SCREEN_CURVES && strstr(drawn, "step 40 of 40"), "%d lines", lines);
    for (i = 0; i < 4; i++) check_sizes(&view, g, &m, i & 1 ? "kl:\xe4\xbd\xa0 b" : NULL, i > 1);
    text = page();
    CHECK(!not_well_formed(text), "the page goes wrong at %.60s", not_well_formed(text));
    CHECK(has_numbers_only(text), "a number is not finite");
    CHECK(strstr(text, "held-out accuracy") && strstr(text, "rewards/sev&lt;en&gt;/mean"),
          "a curve is missing");
    CHECK(strstr(text, "&lt;7&gt;") && !strstr(text, "<7>"), "the answer is not escaped");
    CHECK(strstr(text, "rgba("), "no token has a colour");
    free(text);
    free(drawn);
    grpo_free(g);
}

/* What a token adds to the text, put together again, is the completion. */
static void test_pieces(void) {
    char error[JSON_ERROR_LENGTH], whole[256];
    json j;
    const json_value *list, *one, *piece;
    grpo_metrics m;
    grpo *g;
    remove(log_path);
    g = policy(is_seven, NULL);
    step(g, &m);
    report_log_samples(log_path, g);
    CHECK(json_read(&j, log_path, error), "%s", error);
    list = json_find(json_find(j.values, "samples"), "completions");
    one = json_first(list);
    whole[0] = 0;
    for (piece = json_first(json_find(one, "text")); piece;
         piece = json_next(json_find(one, "text"), piece)) strcat(whole, piece->text);
    CHECK(!strcmp(whole, g->batch.samples[0].completion), "\"%s\" is not \"%s\"", whole,
          g->batch.samples[0].completion);
    CHECK((int)list->length == g->batch.group_size, "%d completions", (int)list->length);
    json_free(&j);
    grpo_free(g);
}

static void log_lines(const char *lines) {
    FILE *f = fopen(log_path, "wb");
    fputs(lines, f);
    fclose(f);
}

static void test_logs(void) {
    char error[JSON_ERROR_LENGTH], *text;
    report r;
    log_lines("{\"step\":1,\"reward\":0.1}\n{\"step\":2,\"reward\":0.2}\nhello\n"
              "{\"step\":3,\"reward\":null,\"kl\":1e999}\n{\"step\":2,\"reward\":0.5}\n[]\n{}\n"
              "{\"eval\":{\"step\":1,\"accuracy\":0.25}}\n");
    CHECK(!report_read(&r, log_path, error), "%s", error);
    CHECK(r.count == 2 && r.rows[1].step == 2 && r.rows[1].values[0] == 0.5,
          "%d rows, the last has %g", r.count, r.rows[r.count - 1].values[0]);
    CHECK(r.bad_lines == 3 && strstr(r.first_bad, "test_report.jsonl: line 3, column 1: "),
          "%d bad lines, the first is %s", r.bad_lines, r.first_bad);
    report_free(&r);
    text = page();
    CHECK(!not_well_formed(text) && has_numbers_only(text), "a log with gaps");
    CHECK(strstr(text, "could not be read: 3. The first: test_report.jsonl: line 3"), "the foot");
    free(text);
    log_lines("nothing\n");
    CHECK(report_write(log_path, page_path, error) && strstr(error, "no steps"), "%s", error);
    CHECK(report_write("none.jsonl", page_path, error) && strstr(error, "none.jsonl"), "%s", error);
    log_lines("{\"step\":1,\"reward\":1}\n");
    CHECK(report_write(log_path, "no/such/folder.html", error) && strstr(error, "no/such"), "%s",
          error);
}

/* What is broken on purpose is named. */
static void expect(grpo_reward_function reward, const char *sentence) {
    screen view;
    grpo_metrics m;
    grpo *g = policy(reward, NULL);
    int i;
    memset(&view, 0, sizeof view);
    for (i = 0; i < DOCTOR_STEPS; i++) { step(g, &m); screen_remember(&view, &m); }
    view.doctor = doctor_says(view.points, view.count);
    CHECK(view.doctor && strstr(view.doctor, sentence), "%s: %s", sentence,
          view.doctor ? view.doctor : "nothing");
    grpo_free(g);
}

static void test_doctor(void) {
    const doctor_point well = { 0.5, 0.1, 0.2, 0.01, 1, 10, 0.05, 0 };
    doctor_point p[DOCTOR_STEPS];
    int i;
    expect(never, "no completion earns anything");
    expect(always, "too easy or too hard");
    for (i = 0; i < DOCTOR_STEPS; i++) p[i] = well;
    CHECK(!doctor_says(p, DOCTOR_STEPS), "%s", doctor_says(p, DOCTOR_STEPS));
#define SICK(field, value, sentence)        /* only when it has lasted DOCTOR_STEPS steps */    \
    for (i = 0; i < DOCTOR_STEPS; i++) {                                                        \
        CHECK(!doctor_says(p, DOCTOR_STEPS), "%s after %d steps", sentence, i);                 \
        p[i].field = value;                                                                     \
    }                                                                                           \
    CHECK(strstr(doctor_says(p, DOCTOR_STEPS), sentence), "%s", sentence);                      \
    for (i = 0; i < DOCTOR_STEPS; i++) p[i] = well
    SICK(clipped, 1, "ends by itself");
    SICK(kl, 20, "left its reference");
    SICK(entropy, 0.001, "entropy is gone");
    SICK(skipped, 1, "not finite");
    SICK(clip_region, 0.5, "are clipped");
#undef SICK
    p[DOCTOR_STEPS - 1].length = 40;
    CHECK(strstr(doctor_says(p, DOCTOR_STEPS), "threefold"), "length");
}

/* Text is cut at the width, wide characters count twice, what cannot be shown is a dot. */
static void test_clip(void) {
    char text[64];
    screen_text t = { NULL, 0, sizeof text, 0 };
    t.bytes = text;
    screen_clip(&t, "a\x1b[31m\n\xe4\xbd\xa0\xff", 9);
    CHECK(!strcmp(text, "a\xc2\xb7[31m\xe2\x8f\x8e\xe4\xbd\xa0"), "\"%s\"", text);
}

/* Student's t for every number of seeds, against the integral of its density; and a paired
 * difference by hand: .04 .05 .03 .06 .01. */
static void test_seeds(void) {
    const double a[5] = { .80, .84, .78, .86, .82 }, b[5] = { .76, .79, .75, .80, .81 };
    double one[SEEDS_MOST] = { 1 }, mean, half;
    int n, i, steps = 20000;
    for (n = 2; n <= SEEDS_MOST; n++) {
        double t = n * seeds_interval(one, n), v = n - 1, sum = 0;    /* standard error: 1 / n   */
        for (i = 0; i < steps; i++) {
            double x = (i + .5) * t / steps;
            sum += pow(1 + x * x / v, -(v + 1) / 2) * t / steps;
        }
        sum *= exp(lgamma((v + 1) / 2) - lgamma(v / 2)) / sqrt(v * 3.14159265358979);
        CHECK_CLOSE(sum, .475, 3e-5);         /* t to .0005, where the density is .05            */
    }
    CHECK(seeds_interval(one, 1) == 0, "one seed has no interval");
    CHECK(seeds_difference(a, b, 5, &mean, &half), "not significant");
    CHECK_CLOSE(mean, .038, 1e-12);
    CHECK_CLOSE(half, 2.776 * .0086023, 1e-5);
    CHECK(!seeds_difference(a, a, 5, &mean, &half) && mean == 0, "no difference");
    CHECK(!seeds_difference(a, b, 1, &mean, &half), "one seed shows nothing");
}

int main(void) {
    test_seeds();
    test_run();
    test_pieces();
    test_logs();
    test_doctor();
    test_clip();
    return check_finish();
}
