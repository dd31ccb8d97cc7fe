/* The text codecs, the number and expression parsers and the built-in verifiers.
 *
 *     cc -O2 -I. tests/test_rewards.c -o test_rewards -lm && ./test_rewards
 *
 * With GRPO_DATA=folder in the environment, folder/gsm8k/test.jsonl is scored as well. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "examples/tool/answers.h"
#include "check.h"

#define NAN_REWARD (-1000.0)         /* stands for NaN in the tables below                     */

/* ------------------------------------------------------------------------------------- helpers */

/* The same sequence in every run: a linear congruence with Knuth's constants, upper bits. */
static int random_below(int n) {
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int)((state >> 33) % (uint64_t)n);
}

static grpo_sample sample_of(const char *completion, const char *answer) {
    grpo_sample s;
    memset(&s, 0, sizeof s);
    s.prompt = "";
    s.completion = completion;
    s.answer = answer;
    return s;
}

/* Compares rewards, NaN included; -0 is not 0. */
static int same_reward(double got, double expected) {
    if (expected <= NAN_REWARD) return got != got;
    return got == expected && !(expected == 0 && signbit(got));
}

static double score(grpo_reward_function f, const char *completion, const char *answer,
                    void *user) {
    grpo_sample s = sample_of(completion, answer);
    return (double)f(&s, user);
}

static const char *or_null(const char *text) { return text ? text : "(null)"; }

/* A string in a heap block of exactly its size, so that a sanitizer sees any step beyond it. */
static char *exact_copy(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = (char *)malloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

/* text repeated n times; the caller frees it. */
static char *repeated(const char *text, size_t n) {
    size_t i, length = strlen(text);
    char *out = (char *)malloc(n * length + 1);
    if (!out) return NULL;
    for (i = 0; i < n; i++) memcpy(out + i * length, text, length);
    out[n * length] = '\0';
    return out;
}

/* --------------------------------------------------------------------------------------- codec */

static void test_vocabulary_size(void) {
    static const struct { const char *vocabulary; int size; } cases[] = {
        { NULL, 257 }, { "", -1 }, { "a", 2 }, { "0123456789+=", 13 }, { " \n", 3 },
        { "aba", -3 }, { "aa", -2 },
        { "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 5 },       /* a, e acute, euro, a smiley       */
        { "\xC3\xA9z\xC3\xA9", -4 },                          /* e acute twice                    */
        { "\xC3\xA9\xC3\xA8", 3 },                            /* they share their first byte      */
        { "a\x80", -2 }, { "\xFF", -1 }, { "ab\xC3", -3 },    /* stray, impossible, cut off       */
        { "\xC0\xAF", -1 }, { "\xC1\xBF", -1 },               /* longer than needed               */
        { "\xE0\x9F\xBF", -1 }, { "\xE0\xA0\x80", 2 },
        { "\xF0\x8F\xBF\xBF", -1 }, { "\xF0\x90\x80\x80", 2 },
        { "\xED\xA0\x80", -1 }, { "\xED\x9F\xBF", 2 }, { "\xEE\x80\x80", 2 },    /* surrogates    */
        { "\xF4\x8F\xBF\xBF", 2 }, { "\xF4\x90\x80\x80", -1 }, { "\xF5\x80\x80\x80", -1 },
        { "\xE2\x82", -1 }, { "\xF0\x9F\x98", -1 }, { "\xE2" "a", -1 }
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int size = grpo__vocabulary_size(cases[i].vocabulary);
        CHECK(size == cases[i].size, "vocabulary %d: size %d, not %d", (int)i, size, cases[i].size);
    }
}

static void check_round_trip(const char *vocabulary, const char *text, int num_tokens) {
    int tokens[64], i, n, bytes;
    char back[64];
    n = grpo__encode_text(vocabulary, text, tokens, 64);
    CHECK(n == num_tokens, "\"%s\": %d tokens, not %d", text, n, num_tokens);
    bytes = grpo__decode_text(vocabulary, tokens, n, back, 64);
    CHECK(bytes == (int)strlen(text) && memcmp(back, text, strlen(text)) == 0,
          "\"%s\" does not come back", text);
    for (i = 0; i < n; i++)
        CHECK(tokens[i] >= 0 && tokens[i] < grpo__vocabulary_size(vocabulary) - 1,
              "\"%s\": token %d is %d", text, i, tokens[i]);
    CHECK(grpo__encode_text(vocabulary, text, NULL, 0) == n, "\"%s\": count with no room", text);
    CHECK(grpo__decode_text(vocabulary, tokens, n, NULL, 0) == bytes, "\"%s\": bytes with no room",
          text);
}

static void test_codec(void) {
    static const char mixed[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z";
    static const int wild[] = { -1, 2, INT32_MAX, 5, 0, INT32_MIN, 4, 6, 3, 257, 1 };
    int tokens[8], i, n;
    char text[16];

    check_round_trip("0123456789+= ", "12+34= 46", 9);
    check_round_trip("0123456789", "", 0);
    check_round_trip(mixed, mixed, 5);
    check_round_trip(mixed, "z\xE2\x82\xAC" "a\xF0\x9F\x98\x80\xC3\xA9z", 6);
    check_round_trip(NULL, "any bytes: \x01\x7F\x80\xFF\xC3", 16);

    for (i = 1; i < 256; i++) {                               /* every byte is its own token      */
        char one[2];
        one[0] = (char)i;
        one[1] = '\0';
        n = grpo__encode_text(NULL, one, tokens, 8);
        CHECK(n == 1 && tokens[0] == i, "byte %d is token %d", i, tokens[0]);
        check_round_trip(NULL, one, 1);
    }
    tokens[0] = 0;
    CHECK(grpo__decode_text(NULL, tokens, 1, text, 16) == 0, "token 0 is %s",
          "NUL");
    tokens[0] = 256;
    CHECK(grpo__decode_text(NULL, tokens, 1, text, 16) == 0, "end-of-text has %s", "no text");

    CHECK(grpo__encode_text("abc", "abXc", tokens, 8) == -3, "X at byte %d", 2);
    CHECK(grpo__encode_text("abc", "Xabc", tokens, 8) == -1, "X at byte %d", 0);
    CHECK(grpo__encode_text(mixed, "\xC3\xA9" "b", tokens, 8) == -3, "b at byte %d", 2);
    CHECK(grpo__encode_text(mixed, "a\xC3", tokens, 8) == -2, "cut off at byte %d", 1);
    CHECK(grpo__encode_text("a\xFF", "b", tokens, 8) == -1, "%s vocabulary", "invalid");
    CHECK(grpo__encode_text("", "b", tokens, 8) == -1, "%s vocabulary", "empty");

    for (i = 0; i < 8; i++) tokens[i] = -7;                   /* nothing beyond the capacity      */
    n = grpo__encode_text("abc", "abcabc", tokens, 4);
    CHECK(n == 6 && tokens[3] == 0 && tokens[4] == -7, "%d tokens, then %d", n, tokens[4]);
    memset(text, '#', sizeof text);
    n = grpo__decode_text(mixed, wild, 11, text, 6);          /* euro, a, z, smiley, e acute      */
    CHECK(n == 11, "wild ids: %d bytes", n);
    CHECK(memcmp(text, "\xE2\x82\xAC" "az\xF0" "##", 8) == 0, "wild ids: %.8s", text);
    n = grpo__decode_text("a\xFF" "b", wild, 11, text, 16);
    CHECK(n == 1 && text[0] == 'a', "decoding stops at an invalid character: %d", n);
}

/* ------------------------------------------------------------------------------------- numbers */

static void test_last_number(void) {
    static const struct { const char *text; double value; } cases[] = {
        { "72", 72 }, { "is 72.", 72 }, { "is 72. ", 72 }, { "3.", 3 }, { "3.14", 3.14 },
        { ".5", .5 }, { "0.5", .5 }, { "-.5", -.5 }, { "$.50", .5 }, { "-$.50", -.5 },
        { "$-.50", -.5 }, { "$1,234.50", 1234.5 }, { "-$1,234.50", -1234.5 }, { "10%", 10 },
        { "(-10%)", -10 }, { "**72**", 72 }, { "\\boxed{-3}", -3 }, { "\\boxed{\\$5}", 5 },
        { "x = -3", -3 }, { "x=-3", -3 }, { "-3", -3 }, { "- 3", 3 }, { "--3", -3 }, { "+3", 3 },
        { "5-3", 3 }, { "5 -3", -3 }, { "5 - 3", 3 }, { "x-3", 3 }, { "X-3", 3 }, { "(1)-3", 3 },
        { "a[1]-3", 3 }, { "\\boxed{5}-3", 3 }, { "<<16-3-4=9>>9", 9 }, { "2*-3", -3 },
        { "1,234,567", 1234567 }, { "#### 1,234", 1234 }, { "1,2", 2 }, { "1,23", 23 },
        { "1,2345", 2345 }, { "1,234,5", 5 }, { "1234,567", 567 }, { "12,345", 12345 },
        { "123,456", 123456 }, { "1,234,", 1234 }, { "1,,234", 234 }, { "1, 234", 234 },
        { ",234", 234 }, { "0,123", 123 }, { "1,234.5,678", 678 }, { "-1,000", -1000 },
        { "5-1,000", 1000 }, { "100,200", 100200 }, { "1,234,5678", 5678 },
        { "1.2.3", 3 }, { "v1.2.3", 3 }, { "5..6", 6 }, { "5...6", 6 }, { "end.5", 5 },
        { "1.-5", -5 }, { "..5", 5 }, { " .5", .5 }, { "5.5.5", 5 }, { "5-.5", .5 },
        { "1/2", 2 }, { "1e5", 1e5 }, { "4.35e2", 435 }, { "H2O", 2 }, { "0x1F", 1 },
        { "7 apples", 7 },
        { "12:30", 30 }, { "-0", 0 }, { "007", 7 }, { "1 000", 0 }, { "9\n\t8\r\n", 8 },
        { "\xC2\xA3" "5", 5 }, { "\xFF" "4\xFE", 4 }, { "0.1", .1 }, { "123456.789", 123456.789 },
        { "0.3333333333333333", 1.0 / 3 }, { "9007199254740991", 9007199254740991.0 },
        { "0.000001", 1e-6 }, { "99999999999999999999", 1e20 }
    };
    static const char *const none[] = { "", "abc", ".", "-", "$", "-$", ",", "...", "-.", "%" };
    double value;
    size_t i;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int found;
        value = NAN_REWARD;
        found = grpo_last_number(cases[i].text, &value);
        CHECK(found == 1 && fabs(value - cases[i].value) <= 1e-15 * fabs(cases[i].value),
              "last number of \"%s\": %.17g, not %.17g", cases[i].text, value, cases[i].value);
    }
    for (i = 0; i < sizeof none / sizeof none[0]; i++) {
        value = 5;
        CHECK(grpo_last_number(none[i], &value) == 0 && value == 5, "a number in \"%s\"", none[i]);
    }
    CHECK(grpo_last_number(NULL, &value) == 0, "a number in %s", "NULL");
    CHECK(grpo_last_number("4", NULL) == 1, "value may be %s", "NULL");
}

/* Short decimals are read as the compiler reads them, to the last bit. */
static void test_number_rounding(void) {
    int i, wrong = 0;
    for (i = 0; i < 20000; i++) {
        char text[40];
        double value = 0, expected;
        int whole = random_below(1000000), fraction = random_below(1000000);
        snprintf(text, sizeof text, "%d.%0*d", whole, 1 + random_below(8), fraction);
        expected = strtod(text, NULL);
        if (!grpo_last_number(text, &value) || value != expected) wrong++;
    }
    CHECK(wrong == 0, "%d of 20000 decimals are off by a bit", wrong);
}

static void test_reward_last_number(void) {
    static const struct { const char *completion, *answer; double reward; } cases[] = {
        { "So it is 72.", "... #### 72", 1 }, { "So it is 73.", "... #### 72", 0 },
        { "72", "#### 72", 1 }, { "72.0", "#### 72", 1 }, { "$72.00", "72", 1 },
        { "1234", "#### 1,234", 1 }, { "1,234", "#### 1234", 1 }, { "234", "#### 1,234", 0 },
        { "-3", "3", 0 }, { "x = -3", "-3", 1 }, { "5-3", "-3", 0 }, { "0", "-0", 1 },
        { "0.1", ".10", 1 }, { "0.10000000001", "0.1", 1 }, { "0.1000001", "0.1", 0 },
        { "10000000001", "10000000000", 0 },                  /* whole numbers: exactly           */
        { "10000000000.1", "10000000000", 1 },                /* others: to 9 digits              */
        { "1e-12", "0", 0 }, { "no idea", "5", 0 }, { "", "5", 0 }, { NULL, "5", 0 },
        { "5", NULL, NAN_REWARD }, { "5", "", NAN_REWARD }, { "5", "five", NAN_REWARD }
    };
    char *huge = repeated("9", 400), *huger = repeated("9", 401);
    char *zeros = repeated("0", 400);
    size_t i;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double r = score(grpo_reward_last_number, cases[i].completion, cases[i].answer, NULL);
        CHECK(same_reward(r, cases[i].reward), "last_number(\"%s\", \"%s\") = %g, not %g",
              or_null(cases[i].completion), or_null(cases[i].answer), r, cases[i].reward);
    }
    if (huge && huger) {                                      /* too large for a double           */
        double r = score(grpo_reward_last_number, huge, "5", NULL);
        CHECK(same_reward(r, 0), "a completion of 400 nines gives %g", r);
        r = score(grpo_reward_last_number, huge, huger, NULL);
        CHECK(same_reward(r, NAN_REWARD), "an answer of 401 nines gives %g", r);
        huge[1] = '.';
        r = score(grpo_reward_last_number, huge, "10", NULL);
        CHECK(same_reward(r, 1), "9.99... with 398 decimals gives %g", r);
    }
    if (zeros) {
        double r;
        zeros[1] = '.';
        r = score(grpo_reward_last_number, zeros, "0", NULL);
        CHECK(same_reward(r, 1), "0.00... with 398 decimals gives %g", r);
    }
    free(huge);
    free(huger);
    free(zeros);
}

/* How people and models write a number, and what each way is worth. */
static const struct { const char *completion, *answer; double reward; } ways[] = {
    /* JSON's numbers, as a file of questions has them */
    { "0.00001", "1e-05", 1 }, { "5", "1e-05", 0 }, { "-5", "1e-05", 0 }, { "1", "1e-05", 0 },
    { "10000000000000000", "1e+16", 1 }, { "16", "1e+16", 0 }, { "1e16", "1e+16", 1 },
    { "1500", "1.5e3", 1 }, { "3", "1.5e3", 0 }, { "1,500", "1.5E3", 1 },
    { "1.5e3", "1500", 1 }, { "15e2", "1500", 1 }, { "1.5E+03", "1500", 1 },
    { "150000e-2", "1500", 1 }, { "1500.0", "1.5e3", 1 }, { "1500.1", "1.5e3", 0 },
    { "-1500", "-1.5e3", 1 }, { "1500", "-1.5e3", 0 }, { "0", "0e5", 1 }, { "0.0", "-0.0", 1 },
    { "1e-5", "0.00001", 1 }, { "0.000015", "1.5e-05", 1 }, { "0.000015", "1.5e-06", 0 },
    { "1e5", "100000", 1 }, { "1e5", "5", 0 }, { "1e5", "1", 0 },
    { "100000000000000000000000", "1e+23", 1 }, { "1e23", "100000000000000000000000", 1 },
    { "99999999999999999999999", "1e+22", 0 }, { "1e300", "1e+300", 1 },
    { "1e-300", "1e-300", 1 }, { "4.35e2", "435", 1 }, { "435", "4.35e2", 1 },
    { "1.1e1", "11", 1 }, { "2.5", "25e-1", 1 }, { "3.14", "314e-2", 1 },
    { "6.02e23", "6.02E+23", 1 }, { "6.02e22", "6.02E+23", 0 },
    { "9007199254740993", "9007199254740992", 1 }, { "123456789012345", "123456789012346", 0 },
    { "1234567890123456789", "1.234567890123456789e18", 1 }, { "1e", "1", 1 },
    { "1e+", "1", 1 }, { "1em", "1", 1 }, { "2e5f", "5", 1 }, { "3 e5", "5", 1 },
    { "1e999", "5", 0 }, { "1e-999", "0", 1 },
    /* powers of ten in prose and in LaTeX */
    { "1.5 \\times 10^{3}", "1500", 1 }, { "1.5 \\times 10^{3}", "3", 0 },
    { "1.5 \\times 10^3", "1500", 1 }, { "1.5\\times10^{-5}", "1.5e-05", 1 },
    { "1.5\\times10^{-5}", "5", 0 }, { "$2 \\cdot 10^{4}$", "20000", 1 },
    { "1.5 x 10^3", "1500", 1 }, { "1.5x10^3", "1500", 1 }, { "1.5 * 10^3", "1500", 1 },
    { "1.5*10^-3", "0.0015", 1 }, { "1.5 \xC3\x97 10^3", "1500", 1 },
    { "1.5 \xC2\xB7 10^3", "1500", 1 }, { "1.5 \xC3\x97 10^\xE2\x88\x92" "3", "0.0015", 1 },
    { "-2 \\times 10^{2}", "-200", 1 }, { "10^{16}", "1e+16", 1 }, { "10^5", "100000", 1 },
    { "-10^2", "-100", 1 }, { "10^{-2}", "0.01", 1 }, { "10^{+2}", "100", 1 },
    { "10^n = 7", "7", 1 }, { "2^3", "3", 1 }, { "110^2", "2", 1 },
    { "2 \\times 10 = 20", "20", 1 }, { "2 \\times 10", "10", 1 }, { "10^{2", "2", 1 },
    { "3 \\times 5", "5", 1 },
    { "10\xE2\x81\xB6", "1000000", 1 }, { "10\xE2\x81\xB6", "10", 0 },
    { "10\xE2\x81\xBB\xC2\xB3", "0.001", 1 }, { "-10\xE2\x81\xB6", "-1000000", 1 },
    { "2 \xC3\x97 10\xC2\xB9\xE2\x81\xB0", "20000000000", 1 },
    { "6.02\xC3\x97" "10\xC2\xB2\xC2\xB3", "6.02e23", 1 },
    { "1.5\xE2\x8B\x85" "10\xE2\x81\xBB\xE2\x81\xB5", "1.5e-05", 1 },
    { "10 cm\xC2\xB2", "10", 1 }, { "10\xC2\xB0", "10", 1 }, { "10\xC2\xB5m", "10", 1 },
    { "10 \xE2\x81\xB1", "10", 1 }, { "10**6", "1000000", 1 }, { "10**6", "6", 0 },
    { "1.5*10**-3", "0.0015", 1 }, { "**10** 6", "6", 1 }, { "10^(6)", "1000000", 1 },
    { "10^(-2)", "0.01", 1 }, { "10 ^ 6", "1000000", 1 }, { "10^ {6}", "1000000", 1 },
    { "10^{ 6 }", "1000000", 1 }, { "1.5\\,\\times\\,10^{3}", "1500", 1 },
    { "1.5 \\times 10 ^ 3", "1500", 1 }, { "10^(6", "6", 1 }, { "10^{6)", "6", 1 },
    { "10 * 10^3", "10000", 1 }, { "10e5", "1000000", 1 }, { "10 (5)", "5", 1 },
    { "2 \\times 105", "105", 1 }, { "10^", "10", 1 }, { "1E5", "100000", 1 },
    /* minus signs */
    { "-\\,5", "-5", 1 }, { "\xE2\x88\x92\\!$5", "-5", 1 }, { "{-}5", "-5", 1 }, { "{-}5", "5", 0 },
    { "\xE2\x81\xBB" "5", "-5", 1 },
    { "9{-}4", "4", 1 }, { "#### -5", "#### -5", 1 }, { "#### -5", "#### 5", 0 },
    { "It fell to -12 degrees.", "12", 0 }, { "-7", "#### -7", 1 }, { "7", "#### -7", 0 },
    { "9-4", "4", 1 }, { "9-4", "-4", 0 }, { "x-4", "4", 1 },
    { "#### \xE2\x88\x92" "5", "#### -5", 1 }, { "#### \xE2\x88\x92" "5", "#### 5", 0 },
    { "It fell to \xE2\x88\x92" "12 degrees.", "12", 0 }, { "-7", "#### \xE2\x88\x92" "7", 1 },
    { "7", "#### \xE2\x88\x92" "7", 0 }, { "9\xE2\x88\x92" "4", "4", 1 },
    { "9\xE2\x88\x92" "4", "-4", 0 }, { "x\xE2\x88\x92" "4", "4", 1 },
    { "#### \xE2\x80\x90" "5", "#### -5", 1 }, { "#### \xE2\x80\x90" "5", "#### 5", 0 },
    { "It fell to \xE2\x80\x90" "12 degrees.", "12", 0 }, { "-7", "#### \xE2\x80\x90" "7", 1 },
    { "7", "#### \xE2\x80\x90" "7", 0 }, { "9\xE2\x80\x90" "4", "4", 1 },
    { "9\xE2\x80\x90" "4", "-4", 0 }, { "x\xE2\x80\x90" "4", "4", 1 },
    { "#### \xE2\x80\x91" "5", "#### -5", 1 }, { "#### \xE2\x80\x91" "5", "#### 5", 0 },
    { "It fell to \xE2\x80\x91" "12 degrees.", "12", 0 }, { "-7", "#### \xE2\x80\x91" "7", 1 },
    { "7", "#### \xE2\x80\x91" "7", 0 }, { "9\xE2\x80\x91" "4", "4", 1 },
    { "9\xE2\x80\x91" "4", "-4", 0 }, { "x\xE2\x80\x91" "4", "4", 1 },
    { "#### \xE2\x80\x92" "5", "#### -5", 1 }, { "#### \xE2\x80\x92" "5", "#### 5", 0 },
    { "It fell to \xE2\x80\x92" "12 degrees.", "12", 0 }, { "-7", "#### \xE2\x80\x92" "7", 1 },
    { "7", "#### \xE2\x80\x92" "7", 0 }, { "9\xE2\x80\x92" "4", "4", 1 },
    { "9\xE2\x80\x92" "4", "-4", 0 }, { "x\xE2\x80\x92" "4", "4", 1 },
    { "#### \xE2\x80\x93" "5", "#### -5", 1 }, { "#### \xE2\x80\x93" "5", "#### 5", 0 },
    { "It fell to \xE2\x80\x93" "12 degrees.", "12", 0 }, { "-7", "#### \xE2\x80\x93" "7", 1 },
    { "7", "#### \xE2\x80\x93" "7", 0 }, { "9\xE2\x80\x93" "4", "4", 1 },
    { "9\xE2\x80\x93" "4", "-4", 0 }, { "x\xE2\x80\x93" "4", "4", 1 },
    { "#### \xEF\xB9\xA3" "5", "#### -5", 1 }, { "#### \xEF\xB9\xA3" "5", "#### 5", 0 },
    { "It fell to \xEF\xB9\xA3" "12 degrees.", "12", 0 }, { "-7", "#### \xEF\xB9\xA3" "7", 1 },
    { "7", "#### \xEF\xB9\xA3" "7", 0 }, { "9\xEF\xB9\xA3" "4", "4", 1 },
    { "9\xEF\xB9\xA3" "4", "-4", 0 }, { "x\xEF\xB9\xA3" "4", "4", 1 },
    { "#### \xEF\xBC\x8D" "5", "#### -5", 1 }, { "#### \xEF\xBC\x8D" "5", "#### 5", 0 },
    { "It fell to \xEF\xBC\x8D" "12 degrees.", "12", 0 }, { "-7", "#### \xEF\xBC\x8D" "7", 1 },
    { "7", "#### \xEF\xBC\x8D" "7", 0 }, { "9\xEF\xBC\x8D" "4", "4", 1 },
    { "9\xEF\xBC\x8D" "4", "-4", 0 }, { "x\xEF\xBC\x8D" "4", "4", 1 }, { "+5", "5", 1 },
    { "+5", "-5", 0 }, { "\xEF\xBC\x8B" "5", "5", 1 }, { "-5", "+5", 0 }, { "= - 5", "-5", 1 },
    { "= \xE2\x88\x92 5", "-5", 1 }, { "#### - 5", "-5", 1 }, { "(- 5)", "-5", 1 },
    { "{- 5}", "-5", 1 }, { "5 - 3", "3", 1 }, { "- 5 apples", "5", 1 },
    { "total: 8\n- 5", "5", 1 }, { "(5)", "5", 1 }, { "(5)", "-5", 0 }, { "(-5)", "-5", 1 },
    { "(\xE2\x88\x92" "5)", "-5", 1 }, { "\\boxed{\xE2\x88\x92" "5}", "-5", 1 },
    { "\\boxed{-5}", "5", 0 }, { "$-5$", "-5", 1 }, { "\\(-5\\)", "-5", 1 },
    { "=\xE2\x88\x92" "5", "-5", 1 }, { "2*-3", "-3", 1 }, { "(1)-3", "3", 1 },
    { "--5", "-5", 1 }, { "-.5", "-0.5", 1 }, { "\xE2\x88\x92.5", "-.5", 1 },
    { "\xE2\x88\x92" "1,234.5", "-1234.5", 1 }, { "**-5**", "-5", 1 },
    { "\xE2\x80\x94" "5", "5", 1 },
    { "5 \xE2\x80\x94 3", "3", 1 }, { "minus 5", "5", 1 }, { "5-", "5", 1 },
    { "5\xC2\xB0-10\xC2\xB0", "-10", 1 }, { "-5%", "-5", 1 }, { "5%-10%", "10", 1 },
    { "5%-10%", "-10", 0 }, { "3\xE2\x80\x93" "7", "7", 1 }, { "-0", "0", 1 },
    { "1 \xE2\x88\x92 5 = \xE2\x88\x92" "4", "-4", 1 },
    /* currencies */
    { "-$5", "-5", 1 }, { "$-5", "-5", 1 }, { "\\$-5", "-5", 1 }, { "-\\$5", "-5", 1 },
    { "\xE2\x88\x92$5", "-5", 1 }, { "$\xE2\x88\x92" "5", "-5", 1 },
    { "\xE2\x88\x92\\$5", "-5", 1 }, { "\\$\xE2\x88\x92" "5", "-5", 1 }, { "-$5", "5", 0 },
    { "$-5", "5", 0 }, { "$5", "5", 1 }, { "\\$5", "5", 1 }, { "$ 5", "5", 1 },
    { "-\xE2\x82\xAC" "5", "-5", 1 }, { "\xE2\x82\xAC-5", "-5", 1 },
    { "\xE2\x82\xAC\xE2\x88\x92" "5", "-5", 1 }, { "-\xC2\xA3" "5", "-5", 1 },
    { "\xC2\xA3-5", "-5", 1 }, { "-\xC2\xA5" "5", "-5", 1 }, { "-\xE2\x82\xB9" "5", "-5", 1 },
    { "\xE2\x82\xB9-5", "-5", 1 }, { "-US$5", "-5", 1 }, { "US$-5", "-5", 1 },
    { "-R$1,234", "-1234", 1 }, { "US$5", "5", 1 }, { "$5-$10", "10", 1 },
    { "$5-$10", "-10", 0 }, { "$5$-$10$", "10", 1 },
    { "5\xE2\x82\xAC-10\xE2\x82\xAC", "10", 1 }, { "5$-10$", "10", 1 },
    { "$-1,234.50", "-1234.5", 1 }, { "-$1{,}234.50", "-1234.5", 1 }, { "+$5", "5", 1 },
    { "($5)", "5", 1 }, { "($5)", "-5", 0 }, { "-$.50", "-.5", 1 }, { "$-.50", "-.5", 1 },
    { "= - $5", "-5", 1 }, { "saved $5.", "5", 1 }, { "-USD 5", "5", 1 }, { "5 USD", "5", 1 },
    { "-$", "5", 0 },
    /* thousands */
    { "\\boxed{9,500}", "9500", 1 }, { "\\boxed{9,500}", "500", 0 },
    { "-1,234,567.5", "-1234567.5", 1 }, { "1,23", "23", 1 }, { "1,2345", "2345", 1 },
    { "1234,567", "567", 1 }, { "\\boxed{9{,}500}", "9500", 1 },
    { "\\boxed{9{,}500}", "500", 0 }, { "-1{,}234{,}567.5", "-1234567.5", 1 },
    { "9'500", "9500", 1 }, { "9'500", "500", 0 }, { "9\xE2\x80\x99" "500", "9500", 1 },
    { "1'234'567.5", "1234567.5", 1 }, { "5'23", "23", 1 }, { "1_234_567", "1234567", 1 },
    { "x_1, 5", "5", 1 }, { "1{,}23", "23", 1 }, { "1{,}2345", "2345", 1 },
    { "1234{,}567", "567", 1 },
    { "\\boxed{9,\\!500}", "9500", 1 }, { "\\boxed{9,\\!500}", "500", 0 },
    { "-1,\\!234,\\!567.5", "-1234567.5", 1 }, { "1,\\!23", "23", 1 },
    { "1,\\!2345", "2345", 1 }, { "1234,\\!567", "567", 1 },
    { "\\boxed{9{,}\\!500}", "9500", 1 }, { "\\boxed{9{,}\\!500}", "500", 0 },
    { "-1{,}\\!234{,}\\!567.5", "-1234567.5", 1 }, { "1{,}\\!23", "23", 1 },
    { "1{,}\\!2345", "2345", 1 }, { "1234{,}\\!567", "567", 1 },
    { "\\boxed{9{\\,}500}", "9500", 1 }, { "\\boxed{9{\\,}500}", "500", 0 },
    { "-1{\\,}234{\\,}567.5", "-1234567.5", 1 }, { "1{\\,}23", "23", 1 },
    { "1{\\,}2345", "2345", 1 }, { "1234{\\,}567", "567", 1 },
    { "\\boxed{9\\,500}", "9500", 1 }, { "\\boxed{9\\,500}", "500", 0 },
    { "-1\\,234\\,567.5", "-1234567.5", 1 }, { "1\\,23", "23", 1 }, { "1\\,2345", "2345", 1 },
    { "1234\\,567", "567", 1 }, { "\\boxed{9\\!500}", "9500", 1 },
    { "\\boxed{9\\!500}", "500", 0 }, { "-1\\!234\\!567.5", "-1234567.5", 1 },
    { "1\\!23", "23", 1 }, { "1\\!2345", "2345", 1 }, { "1234\\!567", "567", 1 },
    { "\\boxed{9\\;500}", "9500", 1 }, { "\\boxed{9\\;500}", "500", 0 },
    { "-1\\;234\\;567.5", "-1234567.5", 1 }, { "1\\;23", "23", 1 }, { "1\\;2345", "2345", 1 },
    { "1234\\;567", "567", 1 }, { "\\boxed{9\\:500}", "9500", 1 },
    { "\\boxed{9\\:500}", "500", 0 }, { "-1\\:234\\:567.5", "-1234567.5", 1 },
    { "1\\:23", "23", 1 }, { "1\\:2345", "2345", 1 }, { "1234\\:567", "567", 1 },
    { "\\boxed{9\\ 500}", "9500", 1 }, { "\\boxed{9\\ 500}", "500", 0 },
    { "-1\\ 234\\ 567.5", "-1234567.5", 1 }, { "1\\ 23", "23", 1 }, { "1\\ 2345", "2345", 1 },
    { "1234\\ 567", "567", 1 }, { "\\boxed{9~500}", "9500", 1 }, { "\\boxed{9~500}", "500", 0 },
    { "-1~234~567.5", "-1234567.5", 1 }, { "1~23", "23", 1 }, { "1~2345", "2345", 1 },
    { "1234~567", "567", 1 }, { "\\boxed{9\xC2\xA0" "500}", "9500", 1 },
    { "\\boxed{9\xC2\xA0" "500}", "500", 0 },
    { "-1\xC2\xA0" "234\xC2\xA0" "567.5", "-1234567.5", 1 }, { "1\xC2\xA0" "23", "23", 1 },
    { "1\xC2\xA0" "2345", "2345", 1 }, { "1234\xC2\xA0" "567", "567", 1 },
    { "\\boxed{9\xE2\x80\x89" "500}", "9500", 1 }, { "\\boxed{9\xE2\x80\x89" "500}", "500", 0 },
    { "-1\xE2\x80\x89" "234\xE2\x80\x89" "567.5", "-1234567.5", 1 },
    { "1\xE2\x80\x89" "23", "23", 1 }, { "1\xE2\x80\x89" "2345", "2345", 1 },
    { "1234\xE2\x80\x89" "567", "567", 1 }, { "\\boxed{9\xE2\x80\xAF" "500}", "9500", 1 },
    { "\\boxed{9\xE2\x80\xAF" "500}", "500", 0 },
    { "-1\xE2\x80\xAF" "234\xE2\x80\xAF" "567.5", "-1234567.5", 1 },
    { "1\xE2\x80\xAF" "23", "23", 1 }, { "1\xE2\x80\xAF" "2345", "2345", 1 },
    { "1234\xE2\x80\xAF" "567", "567", 1 }, { "9500", "9{,}500", 1 },
    { "1234", "\\$1{,}234", 1 }, { "1 234", "234", 1 }, { "1 234", "1234", 0 },
    { "1, 234", "234", 1 }, { "1{,}234\\,567", "1234567", 1 }, { "1{,}234e2", "123400", 1 },
    { "1{,", "1", 1 }, { "\\text{1{,}234}", "1234", 1 }, { "0{,}123", "123", 1 },
    /* points, percents, text around */
    { "72.", "72", 1 }, { "72..", "72", 1 }, { "72...", "72", 1 }, { "is 72.\n", "72", 1 },
    { "72.0", "72", 1 }, { "72.50", "72.5", 1 }, { ".5", "0.5", 1 }, { "0.5", ".5", 1 },
    { "-.5", "-0.5", 1 }, { "$.50", "0.5", 1 }, { "end.5", "5", 1 }, { "..5", "5", 1 },
    { "3.14.", "3.14", 1 }, { "10%", "10", 1 }, { "10\\%", "10", 1 }, { "10%", "0.1", 0 },
    { "0.1", "10%", 0 }, { "50 percent", "50", 1 }, { "**72**", "72", 1 }, { "`72`", "72", 1 },
    { "\\boxed{72}", "72", 1 }, { "\\boxed{72}.", "72", 1 }, { "\\frac{1}{2}", "2", 1 },
    { "1/2", "2", 1 }, { "0.5", "1/2", 0 }, { "v1.2.3", "3", 1 }, { "12:30", "30", 1 },
    { "007", "7", 1 }, { "72 dollars", "72", 1 }, { "The answer is: 72", "72", 1 },
    { "A: 5, B: 6", "6", 1 }, { "A: 5, B: 6", "5", 0 }, { "none", "5", 0 },
    { "5", "#### 5", 1 }, { "0x1F", "1", 1 }, { "H2O", "2", 1 }
};

static void test_ways_to_write(void) {
    size_t i;
    for (i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        double r = score(grpo_reward_last_number, ways[i].completion, ways[i].answer, NULL);
        CHECK(same_reward(r, ways[i].reward), "last_number(\"%s\", \"%s\") = %g, not %g",
              ways[i].completion, ways[i].answer, r, ways[i].reward);
    }
}

/* What answers.h adds: completion, answer, the right verdict. */
static const struct { const char *completion, *answer; double reward; } verdicts[] = {
    /* signs */
    { "-5", "-5", 1 }, { "\xE2\x88\x92" "5", "-5", 1 }, { "\xE2\x88\x92" "5", "5", 0 },
    { "- 5 = \xE2\x88\x92" "5", "-5", 1 }, { "#### \xE2\x88\x92" "5", "5", 0 },
    { "\\boxed{-5}", "-5", 1 }, { "\\boxed{-5}", "5", 0 }, { "\\boxed{\xE2\x88\x92" "5}", "-5", 1 },
    { "\\boxed{ - 5}", "-5", 1 }, { "It is -$5.", "-5", 1 }, { "It is \xE2\x88\x92$5.", "-5", 1 },
    { "It is $-5.", "-5", 1 }, { "It is \xE2\x88\x92\xE2\x82\xAC" "5.", "-5", 1 },
    { "-\xC2\xA3" "5", "5", 0 }, { "\\boxed{-\\$5}", "-5", 1 }, { "-\\frac{1}{2}", "-0.5", 1 },
    { "-\\frac{1}{2}", "0.5", 0 }, { "\xE2\x88\x92\\frac{1}{2}", "-0.5", 1 },
    { "\\frac{-1}{2}", "-0.5", 1 }, { "\\frac{1}{-2}", "-0.5", 1 },
    { "\\frac{\xE2\x88\x92" "1}{2}", "-0.5", 1 }, { "\\frac{-1}{-2}", "0.5", 1 },
    { "= -\\frac12", "-0.5", 1 }, { "= - \\frac12", "-0.5", 1 }, { "-1/2", "-0.5", 1 },
    { "\xE2\x88\x92" "1/2", "-1/2", 1 }, { "-1/2", "1/2", 0 }, { "5-1/2", "0.5", 1 },
    { "x-1/2", "1/2", 1 }, { "-3 1/2", "-3.5", 1 }, { "-3 1/2", "3.5", 0 },
    { "-3\\frac{1}{2}", "-3.5", 1 }, { "\xE2\x88\x92" "3\\frac12", "-7/2", 1 },
    { "-\xC2\xBD", "-0.5", 1 }, { "-50%", "-0.5", 1 }, { "-50%", "0.5", 0 }, { "-50%", "-50", 1 },
    { "-$1/2", "-0.5", 1 }, { "$-1/2", "-0.5", 1 },
    /* exponents */
    { "1e-05", "0.00001", 1 }, { "1e-05", "5", 0 }, { "1e+16", "10000000000000000", 1 },
    { "1.5e3", "1500", 1 }, { "1.5E+03", "1500", 1 }, { "2 \\times 10^{3}", "2000", 1 },
    { "2 \\times 10^3", "2000", 1 }, { "2 \xC3\x97 10^3", "2000", 1 },
    { "2\\cdot10^{-3}", "1/500", 1 }, { "-2 \\times 10^{2}", "-200", 1 },
    { "\\boxed{10^{5}}", "100000", 1 }, { "\\boxed{10^5}", "5", 0 },
    { "\\frac{1}{2} \\times 10^{3}", "500", 1 }, { "\\frac12\\cdot10^2", "50", 1 },
    { "1/2 \\times 10^{2}", "50", 1 }, { "10^{-1}", "\\frac{1}{10}", 1 }, { "1e2/4", "4", 1 },
    { "2^3", "3", 0 }, { "1e-3", "0.1%", 1 },
    /* powers */
    { "2^3", "8", 1 }, { "2^{10}", "1024", 1 }, { "\\boxed{2^{10}}", "1024", 1 },
    { "2^{10}", "10", 0 }, { "2**10", "1024", 1 }, { "2^10", "1024", 1 }, { "2 ^ 10", "1024", 1 },
    { "2^(10)", "1024", 1 }, { "2^{-3}", "1/8", 1 }, { "2^-3", "0.125", 1 },
    { "2\xE2\x81\xBB\xC2\xB3", "0.125", 1 }, { "2\xC2\xB9\xE2\x81\xB0", "1024", 1 },
    { "5\xC2\xB2", "25", 1 }, { "5\xC2\xB2", "5", 0 }, { "-2^2", "-4", 1 },
    { "1.5^2", "2.25", 1 }, { "2^{ 3 }", "8", 1 }, { "2^{+3}", "8", 1 }, { "2^0", "1", 1 },
    { "2^{1/2}", "0.5", 0 }, { "2^{1/2}", "2", 0 }, { "2^{10000}", "5", 0 }, { "2^{x}", "2", 1 },
    { "5^{th}", "5", 1 }, { "90^{\\circ}", "90", 1 }, { "x^2 + 5^2 = 25", "25", 1 },
    { "2^3 \\times 10^2", "800", 1 }, { "10^{6}", "1000000", 1 },
    { "10\xE2\x81\xB6", "1000000", 1 }, { "6.02\xC3\x97" "10\xC2\xB2\xC2\xB3", "6.02E23", 1 },
    { "5 m\xC2\xB2", "5", 1 }, { "5 s\xE2\x81\xBB\xC2\xB9", "5", 1 }, { "2^{3", "3", 1 },
    /* decimal commas */
    { "1.234,56", "1234.56", 1 }, { "1.234,56", "56", 0 }, { "1 234,56", "1234.56", 1 },
    { "1.234.567,8", "1234567.8", 1 }, { "1.234.567", "1234567", 1 },
    { "1'234,56", "1234.56", 1 }, { "1\xE2\x80\xAF" "234,56", "1234.56", 1 },
    { "1\xC2\xA0" "234\xC2\xA0" "567,8", "1234567.8", 1 }, { "1.234,567", "1234.567", 1 },
    { "\xE2\x82\xAC 1.234,56", "1234.56", 1 }, { "-1.234,56", "-1234.56", 1 },
    { "-1.234,56", "1234.56", 0 }, { "1.234,56%", "12.3456", 1 }, { "1,234", "1234", 1 },
    { "1.234", "1.234", 1 }, { "1,23", "23", 1 }, { "1,234.56", "1234.56", 1 },
    { "1 234", "234", 1 }, { "1 234 567", "567", 1 }, { "1 234,567", "234567", 1 },
    { "1.234,5,6", "6", 1 }, { "1999 100,25", "25", 1 }, { "0.125.5", "5", 1 },
    { "12.5,7", "7", 1 }, { "1,234.5,678", "678", 1 },
    /* scales */
    { "5 million", "5000000", 1 }, { "5 million", "5", 1 }, { "5 million", "5 million", 1 },
    { "5000000", "5 million", 1 }, { "5", "5 million", 1 }, { "5 million", "50", 0 },
    { "5 million", "5 billion", 0 }, { "5 million", "5000 thousand", 1 },
    { "$2.3 Million.", "2300000", 1 }, { "\\$2.5\\text{ million}", "2500000", 1 },
    { "\\boxed{7\\ \\text{billion}}", "7e9", 1 }, { "\\boxed{5} million", "5000000", 1 },
    { "1.5 trillion", "1.5e12", 1 }, { "3 thousand", "3000", 1 }, { "5 thousandths", "5000", 0 },
    { "5 thousandths", "5", 1 }, { "2 million people in 3 cities", "3", 1 }, { "5M", "5000000", 0 },
    { "5 million", "5%", 0 }, { "-1/2 million", "-500000", 1 },
    /* spaces and rarer signs */
    { "-\\,5", "-5", 1 }, { "-\\,5", "5", 0 }, { "\xE2\x88\x92\\!5", "-5", 1 },
    { "{\xE2\x88\x92}5", "-5", 1 }, { "9\\thinspace 500", "9500", 1 },
    { "9\xE2\x80\x85" "500", "9500", 1 }, { "9\xE2\x80\x8A" "500", "9500", 1 },
    { "9{\\ }500", "9500", 1 }, { "9\\text{,}500", "9500", 1 },
    { "9\xEF\xBC\x8C" "500", "9500", 1 },
    { "\xEF\xBC\x91\xEF\xBC\x92", "12", 1 }, { "\xEF\xBC\x8D\xEF\xBC\x95", "-5", 1 },
    { "1.5\\,\\cdot\\,10^{3}", "1500", 1 },
    { "1.5\xE2\x80\x89\xC3\x97\xE2\x80\x89" "10^3", "1500", 1 },
    { "1.5 \\times\\ 10^{3}", "1500", 1 }, { "1.5 times 10^3", "1500", 1 },
    { "1.5 X 10^3", "1500", 1 }, { "1.5\\ast10^3", "1500", 1 }, { "{10}^{3}", "1000", 1 },
    { "1,\\ 234", "234", 1 }, { "5\\,\\text{cm}", "5", 1 }, { "x = 5", "5", 1 },
    { "\\text{5}", "5", 1 }, { "\\text{The answer is } 5.", "5", 1 }, { "5\\,\\%", "0.05", 1 },
    { "5.0", "5", 1 }, { "9\\,\\,500", "9500", 1 },
    /* thousands */
    { "1{,}234", "1234", 1 }, { "1{,}234", "234", 0 }, { "1\\,234", "1234", 1 },
    { "1\\,234\\,567", "1234567", 1 }, { "\\boxed{9{,}500}", "9500", 1 },
    { "\\boxed{9\\,500}", "9500", 1 }, { "\\boxed{9,500}", "9500", 1 },
    { "\\boxed{9500}", "9,500", 1 }, { "\\$1{,}234.50", "1234.5", 1 },
    { "12,345.67", "12345.67", 1 }, { "1,234/2", "617", 1 }, { "1,000 1/2", "1000.5", 1 },
    { "\\frac{1,000}{4}", "250", 1 }, { "\\frac{1{,}000}{4}", "250", 1 }, { "1 234", "1234", 0 },
    { "100 2/3", "100.666666667", 1 }, { "9\xE2\x80\xAF" "500 m", "9500", 1 },
    /* fractions in LaTeX */
    { "\\frac{1}{2}", "0.5", 1 }, { "\\frac{1}{2}", "1/2", 1 },
    { "\\frac{1}{2}", "\\frac{2}{4}", 1 }, { "\\frac{1}{2}", "2", 0 }, { "\\frac{1}{2}", "1", 0 },
    { "\\dfrac{3}{4}", "0.75", 1 }, { "\\tfrac{3}{4}", "0.75", 1 }, { "\\cfrac{3}{4}", "3/4", 1 },
    { "\\frac34", "0.75", 1 }, { "\\frac 34", "0.75", 1 }, { "\\frac 3 4", "0.75", 1 },
    { "\\frac3{4}", "0.75", 1 }, { "\\frac{3}4", "0.75", 1 }, { "\\frac {3} {4}", "0.75", 1 },
    { "\\frac{ 3 }{ 4 }", "0.75", 1 }, { "\\frac{10}{5}", "2", 1 }, { "\\frac{10}{5}", "5", 0 },
    { "\\frac{22}{7}", "3.142857143", 1 }, { "\\frac{22}{7}", "3.14", 0 },
    { "\\frac{1}{3}", "0.333333333", 1 }, { "\\frac{1}{3}", "0.33", 0 },
    { "0.3333333333333333", "\\frac13", 1 }, { "\\frac{2}{6}", "\\frac{1}{3}", 1 },
    { "\\frac{3}{1}", "3", 1 }, { "\\frac{1.5}{3}", "0.5", 1 }, { "\\frac{1+2}{4}", "0.75", 1 },
    { "\\frac{2*3}{4}", "1.5", 1 }, { "\\frac{(1+2)}{(4)}", "0.75", 1 },
    { "\\frac{1}{2}.", "0.5", 1 }, { "$\\frac{1}{2}$", "0.5", 1 }, { "$$\\frac{1}{2}$$", "0.5", 1 },
    { "\\(\\frac{1}{2}\\)", "0.5", 1 }, { "\\left(\\frac{1}{2}\\right)", "0.5", 1 },
    { "x = \\frac{7}{8}", "0.875", 1 }, { "\\frac{1}{2} + \\frac{1}{3} = \\frac{5}{6}", "5/6", 1 },
    { "\\frac{1}{2} + \\frac{1}{3} = \\frac{5}{6}", "1/3", 0 }, { "\\frac{4}{2} = 2", "2", 1 },
    { "\\frac{1}{2} cup", "0.5", 1 }, { "\\frac{1}{0}", "0", 0 }, { "\\frac{1}{0}", "1", 0 },
    { "\\frac{\\pi}{4}", "4", 0 }, { "\\frac{x}{2}", "2", 0 }, { "\\frac\\pi4", "4", 0 },
    { "\\frac{1}{", "1", 1 }, { "\\frac{1}{2", "0.5", 0 }, { "\\frac", "5", 0 },
    { "\\fracture 5", "5", 1 }, { "\\frac{}{}", "0", 0 },
    /* fractions with a stroke and as characters */
    { "1/2", "0.5", 1 }, { "1/2", "\\frac{1}{2}", 1 }, { "1/2", "2", 0 }, { "3/4", "0.75", 1 },
    { "3/4", ".75", 1 }, { "3 / 4", "0.75", 1 }, { "10/2", "5", 1 }, { "10/2", "2", 0 },
    { "6/8", "3/4", 1 }, { "1.5/3", "0.5", 1 }, { "$3/4", "0.75", 1 },
    { "\\boxed{3/4}", "0.75", 1 }, { "**3/4**", "0.75", 1 }, { "The answer is 3/4.", "0.75", 1 },
    { "3/4 of 8 is 6", "6", 1 }, { "about 3/4 (three quarters)", "0.75", 1 },
    { "1/3", "0.333333333", 1 }, { "1/3", "0.3333", 0 }, { "1\xE2\x81\x84" "2", "0.5", 1 },
    { "\xC2\xBD", "0.5", 1 }, { "\xC2\xBC cup", "0.25", 1 }, { "\xC2\xBE", "3/4", 1 },
    { "\xE2\x85\x93", "1/3", 1 }, { "\xE2\x85\x94", "\\frac23", 1 }, { "\xE2\x85\x9B", "0.125", 1 },
    { "\xC2\xBD", "2", 0 }, { "1/0", "0", 0 }, { "0/5", "0", 1 }, { "3/4/2024", "2024", 1 },
    { "3/4/2024", "0.75", 0 }, { "and/5", "5", 1 }, { "km/5", "5", 1 }, { "8/4/2", "2", 1 },
    { "5/x", "5", 1 }, { "http://a.b/5", "5", 1 },
    /* mixed numbers */
    { "3 1/2", "3.5", 1 }, { "3 1/2", "0.5", 0 }, { "3 1/2", "7/2", 1 }, { "3 1/2", "3 1/2", 1 },
    { "3 1/2", "\\frac{7}{2}", 1 }, { "3\\frac{1}{2}", "3.5", 1 }, { "3\\frac12", "3.5", 1 },
    { "3 \\frac{1}{2}", "3.5", 1 }, { "3\\,\\frac{1}{2}", "3.5", 1 },
    { "3~\\frac{1}{2}", "3.5", 1 }, { "3\\dfrac{1}{2}", "3.5", 1 },
    { "\\boxed{3\\frac{1}{2}}", "3.5", 1 }, { "\\boxed{3 1/2}", "3.5", 1 },
    { "$3\\frac{1}{2}$", "3.5", 1 }, { "3\xC2\xBD", "3.5", 1 }, { "3 \xC2\xBD", "3.5", 1 },
    { "3\xC2\xBD hours", "3.5", 1 }, { "3\\frac{1}{2}", "0.5", 0 }, { "2 3/4 cups", "2.75", 1 },
    { "$2 3/4", "2.75", 1 }, { "12 3/4", "12.75", 1 }, { "3.5 1/2", "0.5", 1 }, { "3 4/2", "2", 1 },
    { "3\\frac{4}{2}", "2", 1 }, { "3-1/2", "0.5", 1 }, { "3 + 1/2", "0.5", 1 },
    { "3 and 1/2", "0.5", 1 }, { "3, 1/2", "0.5", 1 }, { "3 1/2%", "0.035", 1 },
    { "3 1/2%", "3.5", 1 }, { "1 1/2 = 1.5", "1.5", 1 }, { "0 1/2", "0.5", 1 },
    /* boxes */
    { "\\boxed{72}", "72", 1 }, { "\\boxed{72}. Check: 72 / 2 = 36.", "72", 1 },
    { "\\boxed{72}. Check: 72 / 2 = 36.", "36", 0 }, { "\\boxed{71} no, \\boxed{72}", "72", 1 },
    { "\\boxed{71} no, \\boxed{72}", "71", 0 }, { "\\boxed {72}", "72", 1 },
    { "\\boxed 7", "7", 1 }, { "\\fbox{72}", "72", 1 }, { "\\boxed{\\boxed{72}}", "72", 1 },
    { "\\boxed{x = 72}", "72", 1 }, { "\\boxed{\\text{72 apples}}", "72", 1 },
    { "\\boxed{72\\text{ cm}^2}", "72", 1 }, { "\\boxed{72\\text{ cm}^{2}}", "72", 1 },
    { "\\boxed{72 \\text{ dollars}} for 3 days", "72", 1 }, { "\\boxed{\\$72}", "72", 1 },
    { "\\boxed{72", "72", 1 }, { "\\boxed{\\frac{1}{2}", "0.5", 1 },
    { "so 5, that is \\boxed{}", "5", 0 }, { "so 5, that is \\boxed{\\text{none}}", "5", 0 },
    { "\\boxed{A}", "5", 0 }, { "\\boxed{1, 2}", "2", 1 }, { "\\boxed{1, 2}", "1", 0 },
    { "72", "It is 7 + 65 = \\boxed{72}, of 80.", 1 },
    { "80", "It is 7 + 65 = \\boxed{72}, of 80.", 0 }, { "\\boxedness 5", "5", 1 },
    /* units */
    { "72 cm^2", "72", 1 }, { "72 cm^2", "2", 0 }, { "72 m^{3}", "72", 1 }, { "72 ft^2.", "72", 1 },
    { "72\\text{ m}^2", "72", 1 }, { "72\\,\\mathrm{m}^{2}", "72", 1 }, { "x^2 = 9", "9", 1 },
    { "90^\\circ", "90", 1 }, { "90\xC2\xB0", "90", 1 }, { "5 km/h", "5", 1 },
    /* percent */
    { "50%", "50", 1 }, { "50%", "0.5", 1 }, { "50%", "50%", 1 }, { "50%", "\\frac{1}{2}", 1 },
    { "50%", "1/2", 1 }, { "50%", "5", 0 }, { "50%", "0.05", 0 }, { "50", "50%", 1 },
    { "0.5", "50%", 1 }, { "0.5%", "50%", 0 }, { "0.5", "50", 0 }, { "50", "0.5", 0 },
    { "50\\%", "0.5", 1 }, { "50 \\%", "0.5", 1 }, { "$50\\%$", "0.5", 1 }, { "50 %", "0.5", 1 },
    { "50 percent", "0.5", 1 }, { "50 per cent", "0.5", 1 }, { "50\\text{ percent}", "0.5", 1 },
    { "**50%**", "0.5", 1 }, { "\\boxed{50\\%}", "0.5", 1 }, { "\\boxed{50}\\%", "0.5", 1 },
    { "\\boxed{50} percent", "0.5", 1 }, { "\\boxed{50} of 100%", "0.5", 0 },
    { "\\boxed{50}, or 20%", "50", 1 }, { "12.5%", "1/8", 1 }, { "\\frac{1}{2}\\%", "0.005", 1 },
    { "\\frac{1}{2}\\%", "0.5", 1 }, { "1%", "1", 1 }, { "100%", "1", 1 }, { "200%", "2", 1 },
    { "33.3%", "1/3", 0 }, { "50% of 80 is 40", "40", 1 }, { "50% of 80 is 40", "0.5", 0 },
    { "50% of 80 is 40", "0.4", 0 }, { "5%-10%", "10", 1 }, { "10%", "0.1", 1 },
    /* others */
    { "none", "5", 0 }, { "", "5", 0 }, { ".", "5", 0 }, { "5", "none", NAN_REWARD },
    { "5", "\\boxed{}", NAN_REWARD }, { "5", "1/0", NAN_REWARD }, { "5", "", NAN_REWARD },
    { "007", "7", 1 }, { "12:30", "30", 1 }, { "(5)", "5", 1 }, { "(5)", "-5", 0 },
    { "H2O", "2", 1 }, { "v1.2.3", "3", 1 }
};

/* The command's reward "number": the list above, and that of grpo_reward_last_number(), but for its
 * fractions and percentages. */
static void test_verdicts(void) {
    static const char *const other[][2] = {
        { "10%", "0.1" }, { "0.1", "10%" }, { "\\frac{1}{2}", "2" }, { "1/2", "2" },
        { "0.5", "1/2" }, { "2^3", "3" }, { "110^2", "2" } };
    size_t i, k;
    for (i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        double r = score(answers_reward_number, verdicts[i].completion, verdicts[i].answer, NULL);
        CHECK(same_reward(r, verdicts[i].reward), "number(\"%s\", \"%s\") = %g, not %g",
              verdicts[i].completion, verdicts[i].answer, r, verdicts[i].reward);
    }
    for (i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        double r = score(answers_reward_number, ways[i].completion, ways[i].answer, NULL);
        double right = ways[i].reward;
        for (k = 0; k < sizeof other / sizeof other[0]; k++)
            if (!strcmp(ways[i].completion, other[k][0]) && !strcmp(ways[i].answer, other[k][1]))
                right = 1 - right;
        CHECK(same_reward(r, right), "number(\"%s\", \"%s\") = %g, not %g", ways[i].completion,
              ways[i].answer, r, right);
    }
    CHECK(same_reward(score(answers_reward_number, NULL, "5", NULL), 0), "no %s", "completion");
    CHECK(same_reward(score(answers_reward_number, "5", NULL, NULL), NAN_REWARD), "no %s",
          "answer");
    CHECK(isnan(answers_reward_number(NULL, NULL)), "no %s", "sample");
}

/* Any text, in a block of its own size, is read to its end and not beyond it. */
static void test_random_answers(void) {
    static const char *const parts[] = { "\\frac", "\\boxed", "{", "}", "1", "2", "34", "0", " ",
        "/", "-", ".", ",", "%", "\\%", "^", "\\,", "\xC2\xBD", "$", "e5", "\\text", "cm", "\xE2",
        "\\", "**", "\xE2\x81\xB6", "\xC2\xB2", "\xE2\x81\xBB", "'", "million", "{-}",
        "\xEF\xBC\x91", "10", "\xE2\x80\x85", "\\times" };
    int i, k, strange = 0;
    for (i = 0; i < 20000; i++) {
        char text[256] = "", *copy;
        answers_number number = { 0, 0 };
        for (k = random_below(24); k > 0; k--)
            strcat(text, parts[random_below((int)(sizeof parts / sizeof parts[0]))]);
        copy = exact_copy(text);
        if (!copy) continue;
        if (answers_read(copy, &number)) {
            double r = score(answers_reward_number, copy, copy, NULL);
            strange += !(r == 1) || !(fabs(number.value) <= 1e300);
        }
        free(copy);
    }
    CHECK(strange == 0, "%d texts are not worth themselves", strange);
}

/* --------------------------------------------------------------------------------- expressions */

static void test_expressions(void) {
    static const struct { const char *text; double value; int count; } cases[] = {
        { "1", 1, 1 }, { " 1 ", 1, 1 }, { "1+2*3", 7, 3 }, { "(1+2)*3", 9, 3 }, { "8-3-2", 3, 3 },
        { "8/4/2", 1, 3 }, { "8/(4/2)", 4, 3 }, { "2*3-4*5", -14, 4 }, { "-3", -3, 1 },
        { "--3", 3, 1 }, { "-(1+2)", -3, 2 }, { "2--3", 5, 2 }, { "2*-3", -6, 2 },
        { "2- -3", 5, 2 }, { "-2*3", -6, 2 }, { "((((7))))", 7, 1 }, { "1.5*2", 3, 2 },
        { ".5+.5", 1, 2 }, { "3.+4", 7, 2 }, { "\t1\n+\r2\v\f ", 3, 2 }, { "( 1 + 2 ) ", 3, 2 },
        { "0/5", 0, 2 }, { "1/3*3", 1, 3 }, { "007", 7, 1 }, { "-0", 0, 1 }, { "1-1/(2-3)", 2, 4 }
    };
    static const char *const bad[] = {
        "", " ", "+", "-", "*", "()", "(", ")", "(1", "1)", "(1))", "1 2", "1+", "+1", "1+*2",
        "1**2", "1//2", "2(3)", "(2)(3)", "1,000", "1.2.3", ".", "1e5", "x", "1+x", "1=1", "=",
        "1/0", "1/(2-2)", "1/-0", "0/0", "1/0.0", "1;", "1 +", "$5", "5%", "2^3", "\xC3\x97",
        "1/(1/0)", "(1+2", "-", "--", "-(", "1+(2*(3-4)"
    };
    double value, numbers[4];
    size_t i;
    int count;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int ok;
        value = count = -1000;
        ok = grpo_evaluate_expression(cases[i].text, &value, NULL, 0, &count);
        CHECK(ok == 1 && fabs(value - cases[i].value) < 1e-12 && count == cases[i].count,
              "\"%s\" = %g from %d, not %g from %d", cases[i].text, value, count, cases[i].value,
              cases[i].count);
    }
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        value = 5;
        count = 6;
        CHECK(grpo_evaluate_expression(bad[i], &value, NULL, 0, &count) == 0 && value == 5 &&
              count == 6, "\"%s\" is an expression", bad[i]);
    }
    CHECK(grpo_evaluate_expression(NULL, &value, NULL, 0, &count) == 0, "%s", "NULL");
    CHECK(grpo_evaluate_expression("1+1", NULL, NULL, 0, NULL) == 1, "%s", "no outputs");

    numbers[2] = 99;                                          /* operands as they appear          */
    CHECK(grpo_evaluate_expression("7-(-3)*2.5/4", &value, numbers, 2, &count) == 1 && count == 4,
          "count %d", count);
    CHECK(numbers[0] == 7 && numbers[1] == 3 && numbers[2] == 99, "%g %g then %g", numbers[0],
          numbers[1], numbers[2]);
    CHECK(grpo_evaluate_expression("1+2", &value, numbers, -5, &count) == 1 && numbers[0] == 7,
          "capacity %d", -5);
}

static void check_refused(const char *what, char *text) {
    double value = 0;
    int count = 0;
    if (!text) return;
    CHECK(grpo_evaluate_expression(text, &value, NULL, 0, &count) == 0, "%s is accepted", what);
    free(text);
}

/* n opening brackets (or minuses), a 1, and as many closing ones. */
static char *nested(const char *open, size_t n, const char *close) {
    size_t a = strlen(open) * n, b = strlen(close) * n, i;
    char *text = (char *)malloc(a + b + 2);
    if (!text) return NULL;
    for (i = 0; i < n; i++) {
        memcpy(text + i * strlen(open), open, strlen(open));
        memcpy(text + a + 1 + i * strlen(close), close, strlen(close));
    }
    text[a] = '1';
    text[a + b + 1] = '\0';
    return text;
}

static void test_expression_limits(void) {
    double value = 0;
    int count = 0;
    char *text = nested("(", 64, ")");
    CHECK(text && grpo_evaluate_expression(text, &value, NULL, 0, &count) && value == 1,
          "%d brackets are refused", 64);
    free(text);
    check_refused("65 brackets", nested("(", 65, ")"));
    check_refused("65 minuses", nested("-", 65, ""));
    check_refused("a million brackets", repeated("(", 1000000));
    check_refused("a million minuses", repeated("-", 1000000));
    check_refused("a million times (-", repeated("(-", 1000000));
    check_refused("a million times 1+(", repeated("1+(", 1000000));
    check_refused("a million times 1*-", repeated("1*-", 1000000));
    check_refused("400 nines", repeated("9", 400));

    text = repeated("1+", 100001);                            /* long, but flat                   */
    if (text) text[200001] = '\0';
    CHECK(text && grpo_evaluate_expression(text, &value, NULL, 0, &count) && value == 100001 &&
          count == 100001, "100001 ones are %g", value);
    free(text);
    text = repeated("9999999999*", 40);                       /* overflows on the way             */
    if (text) memcpy(text + strlen(text) - 1, "\0", 1);
    check_refused("1e400", text);
    text = repeated("9999999999*", 40);
    if (text) memcpy(text + strlen(text) - 2, "*0", 2);
    check_refused("1e390*0", text);
}

/* A random expression, written and computed at once: the parser must find the same double. */
static int write_expression(char *out, int depth, double *value) {
    static const char operators[] = "+-*/";
    static const char *const blanks[] = { "", "", " ", "\t " };
    int kind = depth == 0 ? 0 : random_below(6), n;
    double left, right;
    volatile double result;                                   /* each operation rounds by itself  */
    if (kind == 0) {
        int whole = random_below(100);
        *value = whole;
        return snprintf(out, 32, "%s%d%s", blanks[random_below(4)], whole,
                        blanks[random_below(4)]);
    }
    if (kind == 1) {
        n = snprintf(out, 32, "-(");
        n += write_expression(out + n, depth - 1, &left);
        result = -left;
    } else {
        char operation = operators[kind - 2];
        n = snprintf(out, 32, "((");
        n += write_expression(out + n, depth - 1, &left);
        n += snprintf(out + n, 32, ")%c%s(", operation, blanks[random_below(4)]);
        n += write_expression(out + n, depth - 1, &right);
        n += snprintf(out + n, 32, ")");
        result = operation == '+' ? left + right : operation == '-' ? left - right
               : operation == '*' ? left * right : right == 0 ? (double)NAN : left / right;
    }
    *value = result;
    return n + snprintf(out + n, 32, ")");
}

static void test_random_expressions(void) {
    static char text[1 << 16];
    int i, wrong = 0, refused = 0;
    for (i = 0; i < 20000; i++) {
        double expected = 0, value = 0;
        int ok, count;
        write_expression(text, 1 + i % 6, &expected);
        ok = grpo_evaluate_expression(text, &value, NULL, 0, &count);
        refused += !ok;
        if (ok ? value != expected : fabs(expected) < HUGE_VAL) wrong++;
    }
    CHECK(wrong == 0, "%d of 20000 random expressions are wrong", wrong);
    CHECK(refused > 100 && refused < 10000, "%d divide by zero: no good mix", refused);
}

/* random flat expressions against a two-pass evaluation */
static void test_precedence(void) {
    int i, j, wrong = 0;
    for (i = 0; i < 20000; i++) {
        char text[128];
        int n = 0, terms = 1 + random_below(8);
        volatile double sum = 0, product = 0;                 /* each operation rounds by itself  */
        double value = 0;
        char before = '+';
        for (j = 0; j < terms; j++) {
            int number = 1 + random_below(9);
            char operation = "+-*/"[random_below(4)];
            if (j > 0) n += snprintf(text + n, 16, "%c", operation);
            n += snprintf(text + n, 16, "%d", number);
            if (j > 0 && operation == '*') product = product * number;
            else if (j > 0 && operation == '/') product = product / number;
            else {
                if (j > 0) sum = before == '+' ? sum + product : sum - product;
                if (j > 0) before = operation;
                product = number;
            }
        }
        sum = before == '+' ? sum + product : sum - product;
        if (!grpo_evaluate_expression(text, &value, NULL, 0, NULL) || value != sum) wrong++;
    }
    CHECK(wrong == 0, "%d of 20000 flat expressions are wrong", wrong);
}

static void test_countdown(void) {
    static const struct { const char *completion, *answer; double reward; } cases[] = {
        { "4*6*1*1", "24: 4 6 1 1", 1 }, { " (6-1-1)*4 \n", "16: 4 6 1 1", 1 },
        { "4 * 6 * 1 * 1 = 24", "24: 4 6 1 1", 1 }, { "4*6*1*1=24.0", "24: 4 6 1 1", 1 },
        { "4*6*1*1 = 4*6", "24: 4 6 1 1", 1 }, { "4*6*1*1 = 25", "24: 4 6 1 1", 0 },
        { "4*6*1*1 = 24 = 24", "24: 4 6 1 1", 0 }, { "4*6*1*1 =", "24: 4 6 1 1", 0 },
        { "= 24", "24: 4 6 1 1", 0 }, { "24 = 4*6*1*1", "24: 4 6 1 1", 0 },
        { "4*6*1*1 = 24.", "24: 4 6 1 1", 1 }, { "4*6*1*1 = 24!", "24: 4 6 1 1", 0 },
        { "4*6*1*1==24", "24: 4 6 1 1", 0 }, { "4*6*1*1 24", "24: 4 6 1 1", 0 },
        { "4*6*1", "24: 4 6 1 1", 0 }, { "4*6", "24: 4 6 1 1", 0 },       /* not all of them      */
        { "4*6*1*1*1", "24: 4 6 1 1", 0 }, { "24", "24: 4 6 1 1", 0 },
        { "4+4+4+6+6", "24: 4 6", 0 }, { "4*6*1*2/2", "24: 4 6 1 1", 0 }, /* not given            */
        { "4*4*1*1+6+2", "24: 4 6 1 1", 0 }, { "4*6+1-1", "24: 4 6 1 1", 1 },
        { "46-11*2", "24: 4 6 1 1", 0 }, { "4*6*1*1", "25: 4 6 1 1", 0 },
        { "6*4*1*1", "24:4 6 1 1", 1 }, { "6*4*1*1", "  24  :  4\t6 1 1  ", 1 },
        { "28-4", "24: 28 4", 1 }, { "-4+28", "24: 28 4", 1 }, { "-(4-28)", "24: 28 4", 1 },
        { "28+-4", "24: 28 4", 1 }, { "4.0+20", "24: 4 20", 1 }, { "4-28", "-24: 4 28", 1 },
        { "8/3", "2.6666667: 8 3", 1 }, { "8/3", "2.6667: 8 3", 0 }, { "1/3*3", "1: 3 3 1", 1 },
        { "5", "5: 5", 1 }, { "-5", "-5: 5", 1 }, { "1/(5-5)", "1: 1 5 5", 0 },
        { "answer: 4*6", "24: 4 6", 0 }, { "4x6", "24: 4 6", 0 }, { "", "24: 4 6", 0 },
        { NULL, "24: 4 6", 0 }, { "2*3*4", "24: 2 3 4", 1 }, { "2*2*6", "24: 2 6 6", 0 },
        { "2+2+6", "10: 2 2 6", 1 }, { "2+6+2", "10: 6 2 2", 1 },
        { "4*6", NULL, NAN_REWARD }, { "4*6", "", NAN_REWARD }, { "4*6", "24", NAN_REWARD },
        { "4*6", "24:", NAN_REWARD }, { "4*6", ": 4 6", NAN_REWARD },
        { "4*6", "24: 4 x", NAN_REWARD }, { "4*6", "24: 4,6", NAN_REWARD },
        { "4*6", "24: 4 -6", NAN_REWARD }, { "4*6", "x: 4 6", NAN_REWARD },
        { "4*6", "24 4 6", NAN_REWARD }, { "4*6", "24: 4.6.1", NAN_REWARD }
    };
    char *ones = repeated("1 ", 64), *sum = repeated("1+", 65);
    size_t i;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double r = score(grpo_reward_countdown, cases[i].completion, cases[i].answer, NULL);
        CHECK(same_reward(r, cases[i].reward), "countdown(\"%s\", \"%s\") = %g, not %g",
              or_null(cases[i].completion), or_null(cases[i].answer), r, cases[i].reward);
    }
    if (ones && sum) {                                        /* as many numbers as there may be  */
        char answer[256];
        double r;
        snprintf(answer, sizeof answer, "64: %s", ones);
        sum[127] = '\0';                                      /* 64 ones                          */
        r = score(grpo_reward_countdown, sum, answer, NULL);
        CHECK(same_reward(r, 1), "64 ones give %g", r);
        sum[127] = '+';
        sum[129] = '\0';                                      /* 65 ones                          */
        r = score(grpo_reward_countdown, sum, answer, NULL);
        CHECK(same_reward(r, 0), "65 ones for 64 give %g", r);
        snprintf(answer, sizeof answer, "65: %s1", ones);
        r = score(grpo_reward_countdown, sum, answer, NULL);
        CHECK(same_reward(r, NAN_REWARD), "an answer of 65 numbers gives %g", r);
    }
    free(ones);
    free(sum);
}

/* ------------------------------------------------------------------------------ the other ones */

static void test_exact_match(void) {
    static const struct { const char *completion, *answer; double reward; } cases[] = {
        { "4", "4", 1 }, { " 4\n", "4", 1 }, { "4", "\t4 \r\n", 1 }, { "4", "5", 0 },
        { "44", "4", 0 }, { "4", "44", 0 }, { "", "", 1 }, { " ", "\n", 1 }, { "", "4", 0 },
        { "a b", "a  b", 0 }, { "Yes", "yes", 0 }, { NULL, "4", 0 }, { "\xC3\xA9", "\xC3\xA9", 1 },
        { "\xC2\xA0" "4", "4", 0 }, { "4", NULL, NAN_REWARD }, { "", NULL, NAN_REWARD }
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double r = score(grpo_reward_exact_match, cases[i].completion, cases[i].answer, NULL);
        CHECK(same_reward(r, cases[i].reward), "exact_match(\"%s\", \"%s\") = %g, not %g",
              or_null(cases[i].completion), or_null(cases[i].answer), r, cases[i].reward);
    }
}

static void test_format(void) {
    static const struct { const char *completion, *prefix, *suffix; double reward; } cases[] = {
        { "<think>x</answer>", "<think>", "</answer>", 1 }, { "<think>", "<think>", NULL, 1 },
        { "<thin", "<think>", NULL, 0 }, { "x</answer>", NULL, "</answer>", 1 },
        { "x</answer> ", NULL, "</answer>", 0 }, { " <think>", "<think>", NULL, 0 },
        { "anything", NULL, NULL, 1 }, { "", NULL, NULL, 1 }, { "", "", "", 1 }, { "", "a", "", 0 },
        { "", "", "a", 0 }, { NULL, NULL, NULL, 1 }, { NULL, "a", NULL, 0 },
        { "\"", "\"", "\"", 0 }, { "\"\"", "\"", "\"", 1 }, { "abc", "ab", "bc", 0 }
    };
    size_t i;
    double r;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        grpo_format format;
        format.prefix = cases[i].prefix;
        format.suffix = cases[i].suffix;
        r = score(grpo_reward_format, cases[i].completion, NULL, &format);
        CHECK(same_reward(r, cases[i].reward), "format(\"%s\", \"%s\", \"%s\") = %g, not %g",
              or_null(cases[i].completion), or_null(cases[i].prefix), or_null(cases[i].suffix), r,
              cases[i].reward);
    }
    r = score(grpo_reward_format, "x", NULL, NULL);
    CHECK(same_reward(r, NAN_REWARD), "no format gives %g", r);
}

static void test_overlong(void) {
    static const struct { int length, maximum, cache; double reward; } cases[] = {
        { 0, 100, 20, 0 }, { 79, 100, 20, 0 }, { 80, 100, 20, 0 }, { 81, 100, 20, -.05 },
        { 90, 100, 20, -.5 }, { 99, 100, 20, -.95 }, { 100, 100, 20, -1 }, { 101, 100, 20, -1 },
        { 100, 100, 0, 0 }, { 101, 100, 0, -1 }, { 100, 100, -5, 0 }, { 0, 100, 100, 0 },
        { 50, 100, 100, -.5 }, { 100, 100, 100, -1 }, { 0, 100, 200, -.5 }, { 100, 100, 200, -1 },
        { 16384 + 2048, 20480, 4096, -.5 }, { INT32_MAX, INT32_MAX, 4, -1 },
        { 0, 0, INT32_MAX, -1 }, { 0, 0, 0, 0 }, { 5, 0, INT32_MIN, -1 }
    };
    size_t i;
    double r;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        grpo_sample s = sample_of("", NULL);
        int cache = cases[i].cache;
        s.num_tokens = cases[i].length;
        s.max_completion_length = cases[i].maximum;
        r = (double)grpo_reward_overlong(&s, &cache);
        CHECK(fabs(r - cases[i].reward) < 1e-6, "overlong(%d of %d, %d) = %g, not %g", s.num_tokens,
              s.max_completion_length, cache, r, cases[i].reward);
    }
    r = score(grpo_reward_overlong, "", NULL, NULL);
    CHECK(same_reward(r, NAN_REWARD), "no Lc gives %g", r);
}

static double repetition(const int *tokens, int n) {
    grpo_sample s = sample_of("", NULL);
    s.tokens = tokens;
    s.num_tokens = n;
    return (double)grpo_reward_repetition(&s, NULL);
}

static int compare_codes(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static void test_repetition(void) {
    static const int same[] = { 7, 7, 7, 7, 7, 7 }, pair[] = { 1, 2, 1, 2, 1, 2 };
    static const int order[] = { 1, 2, 3, 3, 2, 1 };
    int tokens[200], codes[200], i, j, n;
    CHECK(same_reward(repetition(NULL, 0), 0), "%d tokens", 0);
    CHECK(same_reward(repetition(same, 2), 0), "%d tokens", 2);
    CHECK(same_reward(repetition(same, 3), 0), "%d tokens", 3);
    CHECK(same_reward(repetition(same, 4), -.5), "%d equal tokens", 4);
    CHECK(same_reward(repetition(same, 6), -.75), "%d equal tokens", 6);
    CHECK(same_reward(repetition(pair, 6), -.5), "1 2 1 2 1 2: %g", repetition(pair, 6));
    CHECK(same_reward(repetition(order, 6), 0), "1 2 3 3 2 1: %g", repetition(order, 6));
    for (i = 0; i < 200; i++) {                               /* against sorting                  */
        int unique = 0, kinds = 1 + random_below(5);
        double r, expected;
        n = 3 + random_below(198);
        for (j = 0; j < n; j++) tokens[j] = random_below(kinds);
        for (j = 0; j + 2 < n; j++) codes[j] = tokens[j] * 25 + tokens[j + 1] * 5 + tokens[j + 2];
        qsort(codes, (size_t)(n - 2), sizeof codes[0], compare_codes);
        for (j = 0; j + 2 < n; j++) unique += j == 0 || codes[j] != codes[j - 1];
        expected = -(1 - (double)unique / (n - 2));
        r = repetition(tokens, n);
        CHECK(fabs(r - expected) < 1e-6, "%d tokens of %d kinds: %g, not %g", n, kinds, r,
              expected);
    }
}

static void test_add_reward(void) {
    static grpo_config config;      /* all zeros */
    static const char long_name[] = "0123456789012345678901234567890123456789";
    static const char accents[] = "012345678901234567890123456789\xC3\xA9";     /* 30 + 2 bytes   */
    int i, user = 0;
    CHECK(grpo_add_reward(&config, "exact", grpo_reward_exact_match, 1, NULL) == GRPO_OK,
          "%s", "1");
    CHECK(grpo_add_reward(&config, long_name, grpo_reward_overlong, .5f, &user) == GRPO_OK,
          "%s", "2");
    CHECK(grpo_add_reward(&config, accents, NULL, -1, NULL) == GRPO_OK, "%s", "3");
    CHECK(config.num_rewards == 3, "%d rewards", config.num_rewards);
    CHECK(strcmp(config.rewards[0].name, "exact") == 0, "name %s", config.rewards[0].name);
    CHECK(config.rewards[0].function == grpo_reward_exact_match && config.rewards[0].weight == 1 &&
          config.rewards[0].batch == NULL && config.rewards[0].user == NULL, "line %d", 0);
    CHECK(config.rewards[1].user == &user && config.rewards[1].weight == .5f, "line %d", 1);
    CHECK(strlen(config.rewards[1].name) == GRPO_NAME_LENGTH - 1 &&
          strncmp(config.rewards[1].name, long_name, GRPO_NAME_LENGTH - 1) == 0,
          "long name %s", config.rewards[1].name);
    CHECK(strlen(config.rewards[2].name) == 30, "a character is cut: %s", config.rewards[2].name);
    CHECK(grpo_add_reward(&config, NULL, NULL, 1, NULL) == GRPO_BAD_INPUT, "%s", "no name");
    CHECK(grpo_add_reward(&config, "", NULL, 1, NULL) == GRPO_BAD_INPUT, "%s", "empty name");
    CHECK(grpo_add_reward(NULL, "x", NULL, 1, NULL) == GRPO_BAD_INPUT, "%s", "no config");
    for (i = 3; i < GRPO_MAX_REWARDS; i++)
        CHECK(grpo_add_reward(&config, "more", grpo_reward_repetition, 1, NULL) == GRPO_OK,
              "line %d", i);
    CHECK(grpo_add_reward(&config, "more", grpo_reward_repetition, 1, NULL) == GRPO_BAD_INPUT &&
          config.num_rewards == GRPO_MAX_REWARDS && config.error[0], "a line %d", i);
    config.num_rewards = -1;
    CHECK(grpo_add_reward(&config, "more", NULL, 1, NULL) == GRPO_BAD_INPUT, "%d rewards", -1);
}

/* --------------------------------------------------------------------------------- random text */

/* Bytes, or pieces that make numbers and expressions likely. */
static int random_text(char *text, int capacity) {
    static const char likely[] = "00112345679..,,--++**//(())== :$%#ax\n\xC3\xA9\xE2";
    int n = random_below(capacity), bytes = random_below(4) == 0, i;
    for (i = 0; i < n; i++)
        text[i] = bytes ? (char)(1 + random_below(255))
                        : likely[random_below((int)sizeof likely - 1)];
    text[n] = '\0';
    return n;
}

static void test_random_text(void) {
    static const char vocabulary[] = "0123456789.,+-*/()= :$%#ax\n\xC3\xA9";
    int i, odd = 0, evaluated = 0, encoded = 0;
    for (i = 0; i < 100000; i++) {
        char buffer[48], other[48];
        char *text, *answer;
        int tokens[48], n, m, count = -1;
        double value = 0, again = 0, numbers[2], r;
        grpo_format format;
        n = random_text(buffer, 48);
        random_text(other, 48);
        text = exact_copy(buffer);
        answer = exact_copy(other);
        if (!text || !answer) { free(text); free(answer); break; }

        m = grpo__encode_text(NULL, text, tokens, 48);        /* raw bytes always come back       */
        odd += m != n || grpo__decode_text(NULL, tokens, m, buffer, 48) != n ||
               memcmp(buffer, text, (size_t)n) != 0;
        m = grpo__vocabulary_size(answer);
        odd += m == 0 || m > 48;
        m = grpo__encode_text(answer, text, tokens, 48);      /* mostly an invalid vocabulary     */
        odd += m > n || m < -n - 1;
        m = grpo__encode_text(vocabulary, text, tokens, 48);
        odd += m > n || m < -n - 1;
        if (m >= 0) {
            encoded++;
            odd += grpo__decode_text(vocabulary, tokens, m, buffer, 48) != n ||
                   memcmp(buffer, text, (size_t)n) != 0;
        }
        if (grpo_evaluate_expression(text, &value, numbers, 2, &count)) {
            evaluated++;
            odd += !(fabs(value) < HUGE_VAL) || count < 1 ||
                   !grpo_evaluate_expression(text, &again, NULL, 0, NULL) || again != value;
        }
        if (grpo_last_number(text, &value)) odd += value != value;
        format.prefix = answer;
        format.suffix = answer;
        r = score(grpo_reward_format, text, NULL, &format);
        odd += r != 0 && r != 1;
        r = score(grpo_reward_exact_match, text, answer, NULL);
        odd += r != 0 && r != 1;
        r = score(grpo_reward_last_number, text, answer, NULL);
        odd += r != 0 && r != 1 && r == r;
        r = score(grpo_reward_countdown, text, answer, NULL);
        odd += r != 0 && r != 1 && r == r;
        free(text);
        free(answer);
    }
    CHECK(i == 100000 && odd == 0, "%d of %d random texts behave oddly", odd, i);
    CHECK(evaluated > 100 && encoded > 100, "only %d expressions and %d encodings among them",
          evaluated, encoded);
}

/* --------------------------------------------------------------------------------------- GSM8K */

/* The "answer" of one line of JSON, \n and the like undone, \u written as '?'. */
static int json_answer(const char *line, char *out, size_t capacity) {
    static const char key[] = "\"answer\": \"";
    const char *at = strstr(line, key);
    size_t n = 0;
    if (!at) return 0;
    for (at += sizeof key - 1; *at && *at != '"' && n + 1 < capacity; at++) {
        char c = *at;
        if (c == '\\') {
            c = *++at;
            if (c == 'n') c = '\n';
            else if (c == 't') c = '\t';
            else if (c == 'u') {
                c = '?';
                if (strlen(at) > 4) at += 4;
            }
        }
        if (!*at) return 0;
        out[n++] = c;
    }
    out[n] = '\0';
    return *at == '"';
}

/* The number after "####", read without the library. */
static double final_number(const char *answer) {
    char digits[64];
    size_t n = 0;
    const char *at = strstr(answer, "#### ");
    if (!at) return (double)NAN;
    for (at += 5; *at && n + 1 < sizeof digits; at++)
        if (*at != ',') digits[n++] = *at;
    digits[n] = '\0';
    return strtod(digits, NULL);
}

static void test_gsm8k(void) {
    static char line[1 << 15], answer[1 << 15], wrong[(1 << 15) + 64];
    const char *folder = getenv("GRPO_DATA");
    int num_lines = 0, right = 0, refused = 0, read = 0;
    FILE *file;
    if (!folder) {
        printf("skipped: GSM8K (set GRPO_DATA to the folder that holds gsm8k/test.jsonl)\n");
        return;
    }
    snprintf(wrong, sizeof wrong, "%.1000s/gsm8k/test.jsonl", folder);
    file = fopen(wrong, "r");
    if (!file) {
        printf("skipped: GSM8K (cannot open %s)\n", wrong);
        return;
    }
    while (fgets(line, (int)sizeof line, file)) {
        double expected, value = 0;
        char *mark;
        num_lines++;
        if (!json_answer(line, answer, sizeof answer)) continue;
        expected = final_number(answer);
        read += grpo_last_number(answer, &value) && value == expected;
        right += score(grpo_reward_last_number, answer, answer, NULL) == 1;
        strcpy(wrong, answer);
        mark = strstr(wrong, "#### ");
        if (!mark) continue;
        snprintf(mark, 64, "#### %.17g", expected + 1);
        refused += score(grpo_reward_last_number, wrong, answer, NULL) == 0;
    }
    fclose(file);
    CHECK(num_lines == 1319, "gsm8k/test.jsonl has %d lines, not 1319", num_lines);
    CHECK(read == num_lines, "%d of %d final numbers are read right", read, num_lines);
    CHECK(right == num_lines, "%d of %d solutions score 1 against themselves", right, num_lines);
    CHECK(refused == num_lines, "%d of %d wrong solutions score 0", refused, num_lines);
}

int main(void) {
    test_vocabulary_size();
    test_codec();
    test_last_number();
    test_number_rounding();
    test_reward_last_number();
    test_ways_to_write();
    test_verdicts();
    test_random_answers();
    test_expressions();
    test_expression_limits();
    test_random_expressions();
    test_precedence();
    test_countdown();
    test_exact_match();
    test_format();
    test_overlong();
    test_repetition();
    test_add_reward();
    test_random_text();
    test_gsm8k();
    return check_finish();
}
