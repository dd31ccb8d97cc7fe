/* check.h: counted checks for the tests. A check that fails prints where and why; the program ends
 * with the line "N passed, N failed" and a non-zero status if anything failed. */
#ifndef CHECK_H
#define CHECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_passed, check_failed;

#define CHECK(condition, ...)                                                       \
    do {                                                                            \
        if (condition) check_passed++;                                              \
        else {                                                                      \
            check_failed++;                                                         \
            printf("%s:%d: not %s: ", __FILE__, __LINE__, #condition);              \
            printf(__VA_ARGS__);                                                    \
            printf("\n");                                                           \
        }                                                                           \
    } while (0)

/* |value - expected| <= tolerance; NaN fails. */
#define CHECK_CLOSE(value, expected, tolerance)                                     \
    CHECK(fabs((double)(value) - (double)(expected)) <= (double)(tolerance),        \
          "got %.12g, expected %.12g", (double)(value), (double)(expected))

static int check_finish(void) {
    printf("%d passed, %d failed\n", check_passed, check_failed);
    return check_failed != 0;
}

#endif
