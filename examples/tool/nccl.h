/* nccl.h: beside the exchange of another team NCCL's, for what lies in the memory of cards; each
 * process has a card of its own. It has been compiled, and not yet been run.
 *     nccl_team n;                 after the other team has been started, with config.team
 *     if (nccl_team_start(&n, &config.team)) ...              not 0: it goes on without NCCL
 *     nccl_team_end(&n);           after grpo_free()                                             */
#ifndef NCCL_TEAM_H
#define NCCL_TEAM_H
#include "grpo.h"
#include <cuda_runtime.h>
#include <nccl.h>
#include <string.h>
#include <time.h>

typedef struct nccl_team {
    grpo_team other;
    ncclComm_t cards;               /* NULL after a failure: for good                            */
    cudaStream_t stream;
} nccl_team;

/* A peer that is silent for half an hour has failed. */
static inline int nccl_team_exchange(void *user, int peer, const void *out, void *in, size_t size) {
    nccl_team *n = (nccl_team *)user;
    const time_t late = time(NULL) + 1800;
    struct cudaPointerAttributes from, to;
    ncclResult_t state = ncclInternalError;
    cudaError_t done = cudaErrorNotReady;
    if (cudaPointerGetAttributes(&from, out) || cudaPointerGetAttributes(&to, in)
        || from.type != cudaMemoryTypeDevice || to.type != cudaMemoryTypeDevice)
        return n->other.exchange(n->other.user, peer, out, in, size);
    if (!n->cards || cudaDeviceSynchronize()) return -1;      /* what is sent has been computed  */
    if (!ncclGroupStart() && !ncclSend(out, size, ncclChar, peer, n->cards, n->stream)
        && !ncclRecv(in, size, ncclChar, peer, n->cards, n->stream)) state = ncclGroupEnd();
    while (!state && (done = cudaStreamQuery(n->stream)) == cudaErrorNotReady)
        if (ncclCommGetAsyncError(n->cards, &state) || time(NULL) > late) break;
    if (!state && !done) return 0;
    ncclCommAbort(n->cards);
    n->cards = NULL;
    return -1;
}

/* Process 0's name of the communicator goes from r to r + 1, 2, 4 ...; all fail where one does. */
static inline int nccl_team_start(nccl_team *n, grpo_team *team) {
    ncclUniqueId id, got;
    int failed, others, d;
    memset(n, 0, sizeof *n);
    memset(&id, 0, sizeof id);
    n->other = *team;
    failed = (!team->rank && ncclGetUniqueId(&id)) || cudaStreamCreate(&n->stream);
    for (d = 1; d < team->size; d *= 2) {
        if (team->exchange(team->user, team->rank ^ d, &id, &got, sizeof id)) return -1;
        if (team->rank & d) id = got;
    }
    if (ncclCommInitRank(&n->cards, team->size, id, team->rank)) failed = 1;
    for (d = 1; d < team->size; d *= 2) {
        if (team->exchange(team->user, team->rank ^ d, &failed, &others, sizeof failed)) return -1;
        failed |= others;
    }
    if (failed) return -1;
    team->exchange = nccl_team_exchange;
    team->user = n;
    team->device_memory = 1;
    return 0;
}

static inline void nccl_team_end(nccl_team *n) {
    if (n->cards) ncclCommDestroy(n->cards);
}
#endif
