/* grpo.h with its implementation, every float a double. The system's own headers come first, where
 * a float is still one. */
#ifndef AS_DOUBLE_H
#define AS_DOUBLE_H

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

#endif
