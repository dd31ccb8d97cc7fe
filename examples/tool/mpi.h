/* mpi.h: the team of grpo.h as the processes that mpirun starts, on any number of machines.
 *     here = mpi_team_start(&argc, &argv, &config.team);      first of all; so many on this machine
 *     mpi_team_end(code, why);                                last of all; not 0: it has failed */
#ifndef MPI_TEAM_H
#define MPI_TEAM_H
#include "grpo.h"
#include <mpi.h>
#include <stdio.h>
#include <time.h>

/* In pieces of at most 1 GB: a message's length is an int. */
static inline int mpi_team_exchange(void *user, int peer, const void *out, void *in, size_t size) {
    size_t at = 0;
    for (; at < size; at += (size_t)1 << 30) {
        const int n = size - at < (size_t)1 << 30 ? (int)(size - at) : 1 << 30;
        if (MPI_Sendrecv((const char *)out + at, n, MPI_BYTE, peer, 0, (char *)in + at, n, MPI_BYTE,
                         peer, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE)) return -1;
    }
    return (void)user, 0;
}

static inline int mpi_team_start(int *argc, char ***argv, grpo_team *team) {
    MPI_Comm machine;
    int here = 1;
    MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &here);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &team->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &team->size);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine);
    MPI_Comm_size(machine, &here);
    team->exchange = mpi_team_exchange;
    return MPI_Comm_free(&machine), here;
}

/* A failure that all have met ends all within seconds. Else one waits for what will not come: MPI
 * ends it, and the reason (NULL: it has been told) is said. */
static inline void mpi_team_end(int code, const char *why) {
    const time_t late = time(NULL) + 10;
    MPI_Request all;
    int met = !code;
    if (code) MPI_Ibarrier(MPI_COMM_WORLD, &all);
    while (!met && time(NULL) < late) MPI_Test(&all, &met, MPI_STATUS_IGNORE);
    if (!met && why) fprintf(stderr, "%s\n", why);
    if (!met) MPI_Abort(MPI_COMM_WORLD, code);
    MPI_Finalize();
}
#endif
