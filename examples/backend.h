/* backend.h: --backend NAME for the examples, taken out of their arguments.
 *
 *     cpu         grpo_cpu(), the default
 *     cuda        grpo_cuda(): bf16 on tensor cores; the default of programs built by `make cuda`
 *     cuda_fp32   grpo_cuda_fp32(): plain float32
 *     hopper      grpo_cuda_hopper(): as cuda, by what only sm_90a has; not yet run on a card
 *
 * The last three are there in programs compiled with -DGRPO_CUDA and linked with grpo_cuda.o. */
#ifndef BACKEND_H
#define BACKEND_H

#include "grpo.h"

#ifndef PROGRAM_SAYS                /* what stands before a sentence on stderr                   */
#define PROGRAM_SAYS ""
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Those of this build, the default first. */
#ifdef GRPO_CUDA
#define BACKEND_DEFAULT "cuda"
#define BACKEND_CHOICES "cuda | cuda_fp32 | hopper | cpu"
#define BACKEND_ELSEWHERE ""
#else
#define BACKEND_DEFAULT "cpu"
#define BACKEND_CHOICES "cpu"
#define BACKEND_ELSEWHERE "; make cuda builds one in build/cuda that has the GPU's"
#endif

/* NULL (the default) if it is not among the arguments; ends the program if it makes no sense. */
static inline const grpo_backend *backend_argument(int *argc, char **argv) {
    const char *name;
    int i, at = 1;
    while (at < *argc && strcmp(argv[at], "--backend") != 0) at++;
    if (at == *argc) return NULL;
    if (at + 1 == *argc) {
        fprintf(stderr, PROGRAM_SAYS "--backend needs a value: %s\n", BACKEND_CHOICES);
        exit(2);
    }
    name = argv[at + 1];
    for (i = at + 2; i <= *argc; i++) argv[i - 2] = argv[i];  /* and the NULL behind them       */
    *argc -= 2;
    if (!strcmp(name, "cpu")) return grpo_cpu();
#ifdef GRPO_CUDA
    if (!strcmp(name, "cuda")) return grpo_cuda();
    if (!strcmp(name, "cuda_fp32")) return grpo_cuda_fp32();
    if (!strcmp(name, "hopper")) return grpo_cuda_hopper();
#endif
    fprintf(stderr, PROGRAM_SAYS "--backend: this program has %s, not %s%s\n", BACKEND_CHOICES,
            name, BACKEND_ELSEWHERE);
    exit(2);
}

#endif
