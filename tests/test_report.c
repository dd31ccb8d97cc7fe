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
static float is_even(const grpo_sample *s, void *user) {
    (void)user;
    return s->num_tokens % 2 ? 0.5f : 0;
}
static float always(const grpo_sample *s, void *user) { (void)s; (void)user; return 1; }
static float never(const grpo_sample *s, void *user) { (void)s; (void)user; return 0; }

static grpo_config small(const char *path) {
    grpo_config c = grpo_defaults();
    c.vocabulary = "0127<&\">\xc3\xa9=";
    c.model.hidden_size = 16;
    c.model.intermediate_size = 32;
    c.model.num_hidden_layers = 1;
    c.num_prompts = 2;
    c.max_prompt_length = 4;
    c.max_completion_length = 6;
    c.metrics_path = path;
    c.threads = 1;
    return c;
}

static grpo *policy(grpo_reward_function reward, const char *path) {
    grpo_config c = small(path);
    grpo *g;
    c.learning_rate = 3e-3f;
    grpo_add_reward(&c, "sev<en>", reward, 1, NULL);
    if (path) grpo_add_reward(&c, "even", is_even, 1, NULL);
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
    const char *const about[] = { "command", "grpo train <toy> --steps 40", NULL };
    grpo_evaluation e;
    grpo_metrics m;
    screen view;
    grpo *g;
    char *text, *drawn = (char *)malloc(SCREEN_ROOM);
    int i, lines;
    remove(log_path);
    g = policy(is_seven, log_path);
    if (!g) return;
    report_log_config(log_path, g, about);
    memset(&view, 0, sizeof view);
    view.steps = 40;
    memset(&e, 0, sizeof e);
    for (i = 0; i < 40; i++) {
        step(g, &m);
        screen_remember(&view, g, &m);
        if (i % 10 == 9) {
            report_log_samples(log_path, g, 0);
            e.accuracy = (float)i / 40;
            e.num_prompts = 20;
            e.num_samples = e.k = 4;
            e.pass_at_1 = 0.25f;
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
    CHECK(strstr(text, "held-out accuracy, greedy") && strstr(text, "pass@4, sampled"), "both");
    CHECK(strstr(text, "rewards/sev&lt;en&gt;/mean"), "a curve is missing");
    CHECK(strstr(text, "&lt;7&gt;") && !strstr(text, "<7>"), "the answer is not escaped");
    CHECK(strstr(text, "rgba("), "no token has a colour");
    CHECK(strstr(text, "grpo train &lt;toy&gt; --steps 40"), "the command is missing");
    CHECK(strstr(text, "trl beta=") || strstr(text, "<td class=\"c\">grpo"), "the objective");
    CHECK(strstr(text, "learning_rate <b>0.003</b>"), "a hyper-parameter is missing");
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
    report_log_samples(log_path, g, 0);
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

/* A text of so many words, and how it is shown; the answer is at its end. */
static void test_ends(void) {
    static const char said[] = "one two three four five six seven eight nine ten so it is 42";
    char text[512];
    screen_text t = { NULL, 0, sizeof text, 0 };
    int columns, most, lines, counted;
    t.bytes = text;
    for (columns = 5; columns < 90; columns++)
        for (most = 1; most < 6; most++) {
            t.length = 0;
            t.lines = 0;
            screen_put(&t, "%3s", "");
            lines = screen_ends(&t, said, columns % 2, 3, columns, most);
            screen_line(&t);
            CHECK(lines == t.lines && lines <= most, "%d lines, %d drawn, %d allowed", lines,
                  t.lines, most);
            CHECK(widest(text, &counted) <= columns + 3, "%d of %d columns", widest(text, &counted),
                  columns);
            CHECK(most > 1 || columns < 10 || strstr(text, " 42"), "the end is missing: %s", text);
            CHECK(columns < 40 || !(columns % 2) || strstr(text, " [cut off]") || most > 1,
                  "the mark is missing: %s", text);
            CHECK((int)strlen(said) + 20 + most > columns * most || strstr(text, "... ") == NULL,
                  "it is shortened without need: %s", text);
        }
}

/* A group, its answer and its ends are on the picture where they fit. */
static void test_group(void) {
    static screen view;
    char *drawn = (char *)malloc(SCREEN_ROOM);
    grpo_metrics m;
    grpo *g = policy(is_seven, NULL);
    const char *at;
    int i, found = 0;
    step(g, &m);
    view.steps = 1;
    screen_remember(&view, g, &m);
    view.live = 1;
    screen_evaluated(&view, "held out: greedy accuracy 0.5");
    screen_draw(&view, g, &m, 80, 40, drawn, SCREEN_ROOM);
    CHECK(strstr(drawn, "<7>"), "the expected answer is missing");
    CHECK(strstr(drawn, "held out: greedy"), "the evaluation is missing");
    for (i = 0; i < g->batch.num_sequences; i++) found += g->batch.samples[i].truncated;
    for (i = 0, at = drawn; (at = strstr(at, "[cut off]")) != NULL; at++) i++;
    CHECK(i == found && found, "%d marks for %d that were cut off", i, found);
    free(drawn);
    grpo_free(g);
}

/* Of a reward alone one panel; of two evaluations no line; a run that was resumed tells each step
 * and each group once, and its curves go on. */
static void test_panels(void) {
    doctor_point points[4];
    char *text;
    int i;
    const char *at;
    log_lines("{\"step\":1,\"reward\":0.1,\"rewards/a/mean\":0.1,\"kl\":1}\n"
              "{\"eval\":{\"step\":0,\"accuracy\":0.25,\"questions\":20}}\n"
              "{\"samples\":{\"step\":1,\"prompt\":\"old\",\"answer\":\"\",\"completions\":[]}}\n"
              "{\"config\":{\"data\":\"<x>\"}}\n"
              "{\"samples\":{\"step\":1,\"prompt\":\"new\",\"answer\":\"\",\"completions\":"
              "[{\"truncated\":1,\"reward\":1,\"text\":[\"a\"],\"advantages\":[1]}]}}\n"
              "{\"step\":1,\"reward\":0.2,\"rewards/a/mean\":0.2,\"kl\":2}\n"
              "{\"step\":2,\"reward\":0.3,\"rewards/a/mean\":0.3,\"kl\":3}\n"
              "{\"eval\":{\"step\":2,\"accuracy\":0.5,\"questions\":20}}\n");
    text = page();
    CHECK(!not_well_formed(text) && has_numbers_only(text), "a short log");
    CHECK(!strstr(text, "rewards/a/mean"), "the reward has two panels");
    for (at = text; (at = strstr(at, "<path")) != NULL; at++)
        CHECK(!strchr(at, 'L') || strchr(at, 'L') > strstr(at, "/>")
              || !strncmp(at, "<path class=\"r\"", 15), "a line: %.60s", at);
    for (at = text, i = 0; (at = strstr(at, "<circle")) != NULL; at++) i++;
    CHECK(i == 3 * 2, "%d points", i);
    CHECK(!strstr(text, "<pre>old") && strstr(text, "<pre>new"), "a group that is told twice");
    CHECK(strstr(text, "cut off</b>"), "no mark where it was cut off");
    CHECK(strstr(text, "<th>data</th><td class=\"c\">&lt;x&gt;"), "the data");
    free(text);
    CHECK(report_points(log_path, 1, points, 4) == 1 && points[0].kl == 2, "a run to resume");
    CHECK(report_points(log_path, 9, points, 1) == 1 && points[0].kl == 3, "its end");
    CHECK(report_points("none", 9, points, 1) == 0, "no log");
}

/* Each start of a run: after which step, its command, what it changed; the last one's settings. */
static void test_starts(void) {
    char *text;
    log_lines("{\"config\":{\"command\":\"train a\",\"seed\":\"1\",\"learning_rate\":0.001,"
              "\"loss\":\"dapo\",\"after\":0}}\n{\"step\":1,\"reward\":0.5}\n");
    text = page();
    CHECK(!strstr(text, "Started") && strstr(text, "train a"), "one start");
    free(text);
    log_lines("{\"config\":{\"command\":\"train a\",\"seed\":\"1\",\"learning_rate\":0.001,"
              "\"loss\":\"dapo\",\"after\":0}}\n{\"step\":1,\"reward\":0.5}\n"
              "{\"config\":{\"command\":\"train <b>\",\"seed\":\"1\",\"learning_rate\":5e-4,"
              "\"loss\":\"grpo\",\"top_k\":5,\"after\":1}}\n{\"step\":2,\"reward\":0.5}\n"
              "{\"config\":{\"command\":\"train c\",\"seed\":\"1\",\"learning_rate\":0.0005,"
              "\"loss\":\"grpo\",\"top_k\":5,\"after\":2}}\n{\"step\":3,\"reward\":0.5}\n");
    text = page();
    CHECK(!not_well_formed(text), "%.60s", not_well_formed(text));
    CHECK(strstr(text, "Started 3 times"), "how often");
    CHECK(strstr(text, "<td>1</td><td class=\"c\">train &lt;b&gt;</td><td>learning_rate 0.001 "
                       "&#8594; <b>5e-4</b>; loss dapo &#8594; <b>grpo</b>; top_k - &#8594; "
                       "<b>5</b></td>"), "the second");
    CHECK(strstr(text, "<td>2</td><td class=\"c\">train c</td><td>nothing</td>"), "the third");
    CHECK(!strstr(text, "after</th><td"), "a row for the step");
    free(text);
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
    for (i = 0; i < DOCTOR_STEPS; i++) { step(g, &m); screen_remember(&view, g, &m); }
    view.doctor = doctor_says(view.points, view.count);
    CHECK(view.doctor && strstr(view.doctor, sentence), "%s: %s", sentence,
          view.doctor ? view.doctor : "nothing");
    grpo_free(g);
}

static float no_number(const grpo_sample *s, void *user) { (void)s; (void)user; return (float)NAN; }

/* Means of nothing are no zeros: where every completion was cut off and is masked, where no reward
 * is a number. On the screen, in lines, in the report; and the doctor has a sentence. */
static void test_nothing(int masked) {
    const char *const about[] = { "command", "grpo", NULL };
    char *text, line[512], drawn[4096];
    screen view;
    grpo_metrics m;
    grpo_config c = small(log_path);
    grpo *g;
    FILE *f;
    int i;
    remove(log_path);
    if (masked) c.max_completion_length = 1;
    c.objective.mask_truncated_completions = masked;
    c.objective.beta = 0.01f;
    grpo_add_reward(&c, "one", masked ? is_seven : no_number, 1, NULL);
    grpo_add_reward(&c, "even", is_even, 1, NULL);
    g = grpo_new(&c);
    CHECK(g, "%s", c.error);
    if (!g) return;
    report_log_config(log_path, g, about);
    memset(&view, 0, sizeof view);
    for (i = 0; i < DOCTOR_STEPS; i++) {
        step(g, &m);
        screen_remember(&view, g, &m);
        if (masked && m.completions_clipped_ratio < 1) i = -1, view.count = 0, remove(log_path);
    }
    f = fopen(page_path, "wb+");
    screen_plain(f, &view, &m);
    rewind(f);
    CHECK(fgets(line, sizeof line, f) != NULL, "a line");
    fclose(f);
    CHECK(strstr(line, "kl -  entropy -  ") && strstr(line, " clip -  ")
          && strstr(line, "grad -  "), "%s", line);
    CHECK(!strstr(line, masked ? "reward -" : "reward 0"), "%s", line);
    view.doctor = doctor_says(view.points, view.count);
    CHECK(view.doctor && strstr(view.doctor, masked ? "left out of the loss"
                                                    : "reward that is a number"),
          "%s", view.doctor ? view.doctor : "nothing");
    screen_draw(&view, g, &m, 80, 24, drawn, sizeof drawn);
    CHECK(strstr(drawn, "entropy              -  ") && !strstr(drawn, "nan"), "%s", drawn);
    text = page();
    CHECK(!not_well_formed(text) && has_numbers_only(text), "a page of means of nothing");
    CHECK(strstr(text, "entropy <b>-</b>") && !strstr(text, ">entropy</text>"), "the entropy");
    CHECK(masked || strstr(text, "nothing to measure by: reward, sampled <b>-</b>"), "the reward");
    CHECK(strstr(text, view.doctor), "the doctor");
    free(text);
    grpo_free(g);
}

static void test_doctor(void) {
    const doctor_point well = { 0.5, 0.1, 0.2, 0.01, 1, 10, 0.05, 0, 0, 0 };
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
    for (i = 0; i < DOCTOR_SOON; i++) {
        CHECK(!doctor_says(p, DOCTOR_SOON), "a mask after %d steps", i);
        p[i].clipped = p[i].masked = 1;
    }
    CHECK(strstr(doctor_says(p, DOCTOR_SOON), "left out of the loss"), "masked");
    for (i = 0; i < DOCTOR_SOON; i++) p[i] = well;
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
    test_ends();
    test_group();
    test_panels();
    test_logs();
    test_starts();
    test_nothing(0);
    test_nothing(1);
    test_doctor();
    test_clip();
    return check_finish();
}
