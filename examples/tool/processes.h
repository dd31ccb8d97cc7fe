/* processes.h: the team of grpo.h as processes of this machine, over pairs of sockets.
 *
 *     processes p;                                    before there are threads, or large data:
 *     if (processes_start(&p, 4, &config.team, error)) ...
 *     ... grpo_new(&config), grpo_step() ...          from here on in each of four processes
 *     worst = processes_end(&p);                      the first, who called, waits for the rest */
#ifndef PROCESSES_H
#define PROCESSES_H

#include "grpo.h"

#include <stdio.h>
#include <string.h>

enum { PROCESSES_MOST = 64, PROCESSES_PATIENCE = 1800 };      /* seconds without a byte: failed  */

typedef struct processes {
    int sockets[PROCESSES_MOST];    /* one to each other process; -1: closed                     */
    long first, children[PROCESSES_MOST];                     /* process 0, and those of its own */
    int killed, by;                 /* after the end: one that a signal ended (0: none); which   */
} processes;

#if defined(__unix__) || defined(__APPLE__)
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static inline void processes_close(int *sockets) {
    int i;
    for (i = 0; i < PROCESSES_MOST; i++) {
        if (sockets[i] >= 0) close(sockets[i]);
        sockets[i] = -1;
    }
}

/* Both ways at once, as there is room or there are bytes. A failure is for good: all sockets are
 * closed, so that nobody waits for this process any more. */
static inline int processes_exchange(void *user, int peer, const void *out, void *in, size_t size) {
    processes *p = (processes *)user;
    size_t sent = 0, got = 0;
    while (p->sockets[peer] >= 0 && (sent < size || got < size)) {
        const int wanted = (sent < size ? POLLOUT : 0) | (got < size ? POLLIN : 0);
        struct pollfd f = { p->sockets[peer], (short)wanted, 0 };
        ssize_t n = poll(&f, 1, PROCESSES_PATIENCE * 1000);
        if (n > 0 && (f.revents & POLLOUT)) {
            n = send(f.fd, (const char *)out + sent, size - sent, MSG_DONTWAIT);
            sent += n > 0 ? (size_t)n : 0;
        } else if (n > 0) {
            n = recv(f.fd, (char *)in + got, size - got, MSG_DONTWAIT);
            got += n > 0 ? (size_t)n : 0;
        }
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) processes_close(p->sockets);
    }
    return p->sockets[peer] < 0;
}

/* In process 0 the worst status of the others, 128 and more for a signal's; in one of these 0, or 1
 * if process 0 is no more, and cannot tell of a failure. */
static inline int processes_end(processes *p) {
    int i, status = 0, worst = 0, failed = p->sockets[0] < 0;
    processes_close(p->sockets);
    if (p->first != (long)getpid())
        return failed && (poll(NULL, 0, 100), p->first != (long)getppid());
    for (i = 1; i < PROCESSES_MOST; i++) {
        pid_t child = (pid_t)p->children[i], ended;
        do ended = child ? waitpid(child, &status, 0) : 0; while (ended < 0 && errno == EINTR);
        if (ended <= 0) continue;
        if (WIFSIGNALED(status) && !p->killed) { p->killed = i; p->by = WTERMSIG(status); }
        status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (status > worst) worst = status;
    }
    return worst;
}

/* Each process closes the sockets of all others, so that one that ends, however it does, has closed
 * its own. 0, or -1 and a sentence in error[GRPO_ERROR_LENGTH]. */
static inline int processes_start(processes *p, int n, grpo_team *team, char *error) {
    const char *why = n > 0 && n <= PROCESSES_MOST && !(n & (n - 1)) ? NULL
                    : "it must be a power of two, from 1 to 64";
    int ends[PROCESSES_MOST][PROCESSES_MOST], pair[2], rank = 0, a, b;
    memset(p, 0, sizeof *p);
    p->first = (long)getpid();
    memset(ends, -1, sizeof ends);
    signal(SIGPIPE, SIG_IGN);       /* an error of send() instead                                */
    fflush(stdout);                 /* or each would print what waits there                      */
    for (a = 1; a < n && !why; a++)
        for (b = 0; b < a && !why; b++) {
            if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) { why = strerror(errno); break; }
            fcntl(ends[a][b] = pair[0], F_SETFD, FD_CLOEXEC);
            fcntl(ends[b][a] = pair[1], F_SETFD, FD_CLOEXEC);
        }
    for (a = 1; a < n && !why && !rank; a++) {
        const pid_t child = fork();
        if (child < 0) why = strerror(errno);
        else if (child) p->children[a] = child;
        else rank = a;
    }
    for (a = 0; a < PROCESSES_MOST; a++)
        if (a != rank || why) processes_close(ends[a]);
    memcpy(p->sockets, ends[rank], sizeof p->sockets);
    team->rank = rank;
    team->size = n;
    team->exchange = processes_exchange;
    team->user = p;
    if (why) snprintf(error, GRPO_ERROR_LENGTH, "%d processes cannot be started: %s", n, why);
    return why ? processes_end(p), -1 : 0;
}
#else
static inline int processes_start(processes *p, int n, grpo_team *team, char *error) {
    (void)p;
    (void)team;
    snprintf(error, GRPO_ERROR_LENGTH, "%d processes cannot be started: no fork() here", n);
    return n == 1 ? 0 : -1;
}

static inline int processes_end(processes *p) { (void)p; return 0; }
#endif
#endif
