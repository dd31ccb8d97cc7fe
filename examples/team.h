/* team.h: --processes N for the examples, taken out of their arguments: so many processes train one
 * model. In a program compiled with -DGRPO_MPI (make mpi) they are those that mpirun has started.
 *
 *     team t;
 *     team_start(&t, &argc, &argv);     first of all
 *     config.team = t.of;               config.lanes is at least t.of.size
 *     return team_end(&t, code, why);   last of all, in each; why: a sentence, if code is not 0
 *
 * Process 0 has the standard output alone. Compile with -D_GNU_SOURCE or -std=gnu99. */
#ifndef TEAM_H
#define TEAM_H

#include "grpo.h"

#ifndef PROGRAM_SAYS                /* what stands before a sentence on stderr                   */
#define PROGRAM_SAYS ""
#endif

#ifdef GRPO_MPI
#include "tool/mpi.h"
#else
#include "tool/processes.h"
#endif
#ifdef GRPO_NCCL
#include "tool/nccl.h"
#endif

#include <stdlib.h>
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

typedef struct team {
    grpo_team of;
    int threads;                    /* its share of the machine's, for config.threads; 0: alone  */
#ifndef GRPO_MPI
    processes others;
#endif
#ifdef GRPO_NCCL
    nccl_team cards;
#endif
} team;

#ifdef GRPO_MPI
/* Each process of a machine takes a card: of those in CUDA_VISIBLE_DEVICES if it lists several, in
 * turn, else the one of its number; a card that stands there alone is everybody's. */
static inline void team_choose_card(void) {
    const char *openmpi = getenv("OMPI_COMM_WORLD_LOCAL_RANK"), *mpich = getenv("MPI_LOCALRANKID"),
               *number = openmpi ? openmpi : mpich ? mpich : getenv("SLURM_LOCALID"),
               *cards = getenv("CUDA_VISIBLE_DEVICES"), *card = cards;
    char chosen[64];
    int i;
    if (!number || (cards && !strchr(cards, ','))) return;
    for (i = cards ? atoi(number) : 0; i > 0; i--)
        card = strchr(card, ',') ? strchr(card, ',') + 1 : cards;
    if (!card) card = number;
    snprintf(chosen, sizeof chosen, "%.*s", (int)strcspn(card, ","), card);
    setenv("CUDA_VISIBLE_DEVICES", chosen, 1);
}
#endif

/* Ends the program if there cannot be so many. */
static inline void team_start(team *t, int *argc, char ***argv) {
    int here = 1;
    memset(t, 0, sizeof *t);
#ifdef GRPO_MPI
    setenv("NO_COLOR", "1", 1);     /* the terminal that mpirun shows is none                    */
    team_choose_card();                                       /* before anything looks for one   */
    here = mpi_team_start(argc, argv, &t->of);
    if (t->of.size & (t->of.size - 1)) {
        if (!t->of.rank) fprintf(stderr, PROGRAM_SAYS "%d processes: it must be a power of two\n",
                                 t->of.size);
        mpi_team_end(0, NULL);
        exit(2);
    }
#else
    char error[GRPO_ERROR_LENGTH], **a = *argv, *end;
    int i, at = 1;
    while (at + 1 < *argc && strcmp(a[at], "--processes") != 0) at++;
    if (at + 1 < *argc) {
        const long asked = strtol(a[at + 1], &end, 10);
        if (*end || asked < 1 || asked > PROCESSES_MOST || asked & (asked - 1)) {
            fprintf(stderr, PROGRAM_SAYS "--processes needs a power of two, from 1 to %d, not "
                    "\"%s\"\n", PROCESSES_MOST, a[at + 1]);
            exit(2);
        }
        here = (int)asked;
        for (i = at + 2; i <= *argc; i++) a[i - 2] = a[i];    /* and the NULL after the last     */
        *argc -= 2;
    }
    if (here != 1 && processes_start(&t->others, here, &t->of, error)) {
        fprintf(stderr, PROGRAM_SAYS "%s\n", error);
        exit(2);
    }
#endif
    if (t->of.rank && !freopen("/dev/null", "w", stdout)) exit(1);
#if defined(__unix__) || defined(__APPLE__)
    if (here > 1) t->threads = (int)sysconf(_SC_NPROCESSORS_ONLN) / here;
    if (here > 1 && !t->threads) t->threads = 1;
#endif
#ifdef GRPO_NCCL
    if (t->of.size > 1) nccl_team_start(&t->cards, &t->of);   /* or by way of the host           */
#endif
}

/* The status that main() returns: code, not 0 if it has failed; a signal's, 128 and more, ends all
 * alike. What process 0 cannot say, because it has ended or waits for another, one that knows
 * says. */
static inline int team_end(team *t, int code, const char *why) {
    char line[512];
    snprintf(line, sizeof line, PROGRAM_SAYS "process %d: %.400s", t->of.rank, why);
#ifdef GRPO_NCCL
    nccl_team_end(&t->cards);
#endif
#ifdef GRPO_MPI
    mpi_team_end(code < 128 ? code : 0, t->of.rank ? line : NULL);
#else
    if (t->of.size > 1 && processes_end(&t->others)) {
        if (t->of.rank && code) fprintf(stderr, PROGRAM_SAYS "process 0 has ended; %s\n",
                                     line + sizeof PROGRAM_SAYS - 1);
        if (t->others.killed)
            fprintf(stderr, PROGRAM_SAYS "signal %d ended process %d\n", t->others.by,
                    t->others.killed);
        else if (!t->of.rank && !code) fprintf(stderr, PROGRAM_SAYS "another process has failed\n");
        if (!code) code = 1;
    }
#endif
    return code;
}
#endif
