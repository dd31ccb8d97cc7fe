/* The stack machine of examples/interpreter.h: what programs mean, where it stops them, and that no
 * text whatever makes it crash, hang or compute what the rules do not say. */
#include "examples/interpreter.h"
#include "check.h"
#include <stdint.h>
#include <string.h>

static void means(const char *program, int x, int expected) {
    int result = -12345, error = run_program(program, x, 11, &result);
    CHECK(error == RUN_OK, "%s: %s", program, run_error(error));
    CHECK(result == expected, "%s of %d: %d, expected %d", program, x, result, expected);
}

static void fails(const char *program, int expected) {
    int result = -12345, error = run_program(program, 3, 4, &result);
    CHECK(error == expected, "%s: %s, expected %s", program, run_error(error), run_error(expected));
    CHECK(result == -12345, "%s: the result was touched", program);
}

static void test_meaning(void) {
    means("7", 3, 7);
    means("x", -3, -3);
    means("x3*5+", 4, 17);
    means("yx-", 4, 7);
    means("95-", 0, 4);             /* the first operand is the deeper one */
    means("59-", 0, -4);
    means("59s-", 0, 4);
    means("xd*", -7, 49);
    means("xd*x+1-", 5, 29);
}

static void test_loops(void) {
    means("1x(2*)", 10, 1024);
    means("1x(2*)", 0, 1);
    means("1x(2*)", -4, 1);         /* fewer than one time: not at all */
    means("3()5", 0, 5);
    means("02(3(1+))", 0, 6);       /* a loop in a loop */
    means("00((1+)(1+))4+", 0, 4);  /* skipped with all that is in it */
    means("01(1(1(1(1+))))", 0, 1); /* as deep as loops may be */
}

static void test_malformed(void) {
    fails("", RUN_NOT_ONE);
    fails("12", RUN_NOT_ONE);
    fails("+", RUN_TOO_FEW);
    fails("1+", RUN_TOO_FEW);
    fails("d", RUN_TOO_FEW);
    fails("1s", RUN_TOO_FEW);
    fails("(1)", RUN_TOO_FEW);
    fails("1)", RUN_BAD_LOOP);
    fails("12(", RUN_BAD_LOOP);
    fails("12(3", RUN_BAD_LOOP);
    fails("10(3", RUN_BAD_LOOP);    /* even where it would be skipped */
    fails("1z", RUN_UNKNOWN);
    fails("1 ", RUN_UNKNOWN);
    fails("1\xff", RUN_UNKNOWN);
}

static void test_bounds(void) {
    char many[RUN_MOST_STEPS + 3];
    fails("1(1(1(1(1(1)))))", RUN_BAD_LOOP);
    fails("29(9(d*))", RUN_TOO_LARGE);
    fails("09(9(9(9(1+))))", RUN_TOO_LONG);
    fails("99*(99*(99*()))", RUN_TOO_LONG);
    memset(many, '1', sizeof many);
    many[RUN_MOST_NUMBERS] = 0;
    fails(many, RUN_NOT_ONE);       /* as many numbers as there is room for */
    many[RUN_MOST_NUMBERS] = '1';
    many[RUN_MOST_NUMBERS + 1] = 0;
    fails(many, RUN_TOO_MANY);
    memset(many, 's', sizeof many);
    many[0] = many[1] = '1';
    many[RUN_MOST_STEPS - 1] = '+';
    many[RUN_MOST_STEPS] = 0;
    means(many, 0, 2);              /* as many steps as are allowed */
    many[RUN_MOST_STEPS - 1] = 's';
    many[RUN_MOST_STEPS] = '+';
    many[RUN_MOST_STEPS + 1] = 0;
    fails(many, RUN_TOO_LONG);
}

/* The largest numbers, from both ends: in range they are kept, one more is an error. */
static void test_largest(void) {
    int result;
    means("x", RUN_LARGEST, RUN_LARGEST);
    means("x", -RUN_LARGEST, -RUN_LARGEST);
    CHECK(run_program("x1+", RUN_LARGEST, 0, &result) == RUN_TOO_LARGE, "%d", result);
    CHECK(run_program("x1-", -RUN_LARGEST, 0, &result) == RUN_TOO_LARGE, "%d", result);
    CHECK(run_program("xd*", -RUN_LARGEST, 0, &result) == RUN_TOO_LARGE, "%d", result);
    CHECK(run_program("x", 2147483647, 0, &result) == RUN_TOO_LARGE, "%d", result);
    CHECK(run_program("x", -2147483647 - 1, 0, &result) == RUN_TOO_LARGE, "%d", result);
}

static unsigned next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

/* Random texts, from the instructions or from all bytes. A second run must say the same, and one in
 * bounds; with "1" before it, what was one result becomes two. */
static void test_random(void) {
    static const char letters[] = "0123456789xxy+++---***dds((()))";
    uint32_t state = 1;
    int i, j, ran = 0, bad = 0;
    for (i = 0; i < 200000; i++) {
        char program[32] = "1";
        int n = (int)(next_random(&state) % 24), x = (int)(next_random(&state) % 41) - 20;
        int a = 0, b = 0, c = 0, error;
        for (j = 1; j <= n; j++)
            program[j] = i % 4 ? letters[next_random(&state) % (sizeof letters - 1)]
                               : (char)(1 + next_random(&state) % 255);
        error = run_program(program + 1, x, 2, &a);
        if (error != run_program(program + 1, x, 2, &b) || a != b) bad++;
        if (error < RUN_OK || error > RUN_NOT_ONE) bad++;
        if (error) continue;
        if (a > RUN_LARGEST || a < -RUN_LARGEST) bad++;
        if (run_program(program, x, 2, &c) == RUN_OK) bad++;
        ran++;
    }
    CHECK(bad == 0, "%d random programs broke a rule", bad);
    CHECK(ran > 1000, "only %d of the random programs ran", ran);
}

int main(void) {
    test_meaning();
    test_loops();
    test_malformed();
    test_bounds();
    test_largest();
    test_random();
    return check_finish();
}
