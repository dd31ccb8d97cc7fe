/* The whole library compiled a second time with every float a double: the same source, so its
 * finite differences say with 1e-6 instead of 1e-2 whether each derivative is right. */
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#endif
#include "check.h"

#define float double
#define expf exp
#define logf log
#define sqrtf sqrt
#define fabsf fabs
#define GRPO_NO_SIMD                /* vector instructions and bit patterns are for floats */
#define GRPO_IMPLEMENTATION
#include "grpo.h"

static void print_line(const char *message, void *user) { (void)user; printf("  %s\n", message); }

int main(void)
{
    int failures = grpo_selftest(NULL, print_line, NULL);
    CHECK(sizeof(float) == 8, "floats must be doubles here");
    CHECK(failures == 0, "%d self-tests failed", failures);
    return check_finish();
}
