/* The questions of the two models that README.md beside this file trains, a JSON object a line:
 *
 *   ./build/make_questions sums          360 sums that SmolLM2-135M-Instruct half knows
 *   ./build/make_questions beginnings    100 beginnings of children's stories, each with its hero
 *
 * The same lines on every machine: random numbers are drawn here, not by the system. */
#include "examples/words.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { SUMS = 360, BACK = 31, NEAR = 3, UNUSED = 310 };

/* x[n] = x[n - 3] + x[n - 31], without its lowest bit: additive feedback, as in many a libc. */
typedef struct numbers { uint32_t last[BACK]; int at; } numbers;

static uint32_t draw(numbers *x) {
    uint32_t *oldest = &x->last[x->at];
    *oldest += x->last[(x->at + BACK - NEAR) % BACK];
    x->at = (x->at + 1) % BACK;
    return *oldest >> 1;
}

/* The 31 numbers to begin with are powers of 16807 modulo 2^31 - 1. */
static void begin(numbers *x) {
    uint64_t power = 1;
    int i;
    for (i = 0; i < BACK; i++) {
        x->last[i] = (uint32_t)power;
        power = power * 16807 % 2147483647u;
    }
    x->at = NEAR;
    for (i = 0; i < UNUSED; i++) draw(x);
}

static int from_2_to_20(numbers *x) {
    return 2 + (int)(19 * (draw(x) / 2147483647.0));
}

static void sums(void) {
    numbers x;
    int i;
    begin(&x);
    for (i = 0; i < SUMS; i++) {
        int a = from_2_to_20(&x), b = from_2_to_20(&x);
        printf("{\"question\": \"What is %d + %d?\", \"answer\": \"%d\"}\n", a, b, a + b);
    }
}

static void beginnings(void) {
    static const char *const heroes[] = { "Lily", "Tom", "Mia", "Ben", "Sue", "Tim", "Anna", "Max",
                                          "Lucy", "Sam" };
    static const char *const things[] = { "little dog", "red ball", "big tree", "small bird",
        "blue car", "cat", "sad bear", "toy", "new hat", "fish" };
    size_t hero, thing;
    for (thing = 0; thing < sizeof things / sizeof *things; thing++)
        for (hero = 0; hero < sizeof heroes / sizeof *heroes; hero++) {
            int boy = hero % 2 == 1;
            printf("{\"question\": \"Once upon a time, there was a %s named %s. %s had a %s.\", "
                   "\"answer\": \"%s\"}\n", boy ? "boy" : "girl", heroes[hero],
                   boy ? "He" : "She", things[thing], heroes[hero]);
        }
}

static int usage(void) {
    puts("usage:   make_questions sums | beginnings\n"
         "example: make_questions sums > sums.jsonl\n\n"
         "Prints questions with answers, a JSON object a line, the same on every machine.\n\n"
         "Required, one of:\n"
         "  sums         360 sums of two numbers from 2 to 20\n"
         "  beginnings   100 beginnings of children's stories; the answer is the hero's name");
    return 0;
}

int main(int argc, char **argv) {
    words_guess g = words_of(argc > 1 ? argv[1] : "");
    if (argc == 2 && !strcmp(argv[1], "sums")) sums();
    else if (argc == 2 && !strcmp(argv[1], "beginnings")) beginnings();
    else if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) return usage();
    else {
        words_offer_all(&g, "sums beginnings");
        fprintf(stderr, "make_questions: one argument, sums or beginnings, and not %s%s\n",
                argc == 1 ? "none" : argc > 2 ? "more" : argv[1], words_meant(&g, "", ""));
        return 2;
    }
    return 0;
}
