/* A stand-in for CUDA on the CPU, for tests alone: with it g++ or clang++ compiles grpo_cuda.cu as
 * it is (-x c++ -DGRPO_CUDA_SHIM -include tests/cuda_shim.h) and its kernels run, exactly and the
 * same way each time. A block's threads are fibers that run until they meet a barrier, a shuffle or
 * a tensor instruction.
 *
 * Up to four blocks of a grid are live at once, in an order that changes from launch to launch
 * but not from run to run, and take turns at atomics, fences and some barriers.
 *
 * What it finds that a GPU may hide: a barrier that not all threads reach (it stops with the
 * kernel's name), shared or device memory read before it was written (both are filled with
 * NaN), a copy used before it was waited for (copies happen at the wait), memory still read
 * when a copy into it is issued (it is filled with NaN at once), a source that changes under a
 * copy, a missing barrier (GRPO_SHIM_ORDER=reverse runs the threads in reverse order, and those
 * that wait for an mbarrier as soon as they can: results must not change), a wait for an
 * mbarrier that could never end, memory that wgmma still reads overwritten, writing past the
 * end (canaries, or the address sanitizer). With GRPO_SHIM_RACE (make build/test_cuda_race,
 * some five times slower) also two accesses of a word with nothing between them that orders
 * them: see "races" below; so that a missing fence around a ticket is found, and a barrier
 * whose absence the order of the threads hides. GRPO_SHIM_REMOVE="line kind" takes one of them
 * away: tests/cuda_barriers.sh.
 *
 * What it cannot find: anything about time, how the hardware rounds inside a tensor
 * instruction, that what is written down here of descriptors and swizzles is not what the
 * hardware does; races of which one side is an atomic, an mbarrier, wgmma or the bulk copy
 * engine (these have checks of their own); a reader that two readers of other warps followed
 * before the write it races with; the address sanitizer does not see the ends of static shared
 * arrays. */
#ifndef GRPO_CUDA_SHIM_H
#define GRPO_CUDA_SHIM_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <functional>
#include <link.h>
#include <map>
#include <string>
#include <vector>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static thread_local  /* a program's lie side by side, and can be exchanged     */
#define __launch_bounds__(...)
#define __grid_constant__

/* ---- vectors, and who a thread is */
struct dim3 {
    unsigned x, y, z;
    dim3(int X) : x((unsigned)X), y(1), z(1) { }
    dim3(unsigned X = 1, unsigned Y = 1, unsigned Z = 1) : x(X), y(Y), z(Z) { }
};
struct uint4 { unsigned x, y, z, w; };
struct float2 { float x, y; };
static inline float2 make_float2(float x, float y) { float2 two = { x, y }; return two; }
static dim3 threadIdx, blockIdx, blockDim, gridDim;

/* ---- bf16 */
struct __nv_bfloat16 { uint16_t bits; };
struct __nv_bfloat162 { __nv_bfloat16 x, y; };

static inline float __uint_as_float(uint32_t bits) { float x; memcpy(&x, &bits, 4); return x; }
static inline uint32_t __float_as_uint(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}
static inline float __bfloat162float(__nv_bfloat16 x) {
    return __uint_as_float((uint32_t)x.bits << 16);
}
static inline __nv_bfloat16 __float2bfloat16(float x) {       /* to the nearest, ties to even    */
    uint32_t bits = __float_as_uint(x);
    __nv_bfloat16 y;
    if (x != x) bits = 0x7fff0000u;
    else bits += 0x7fffu + (bits >> 16 & 1u);
    y.bits = (uint16_t)(bits >> 16);
    return y;
}
static inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
    __nv_bfloat162 two = { __float2bfloat16(x), __float2bfloat16(y) };
    return two;
}

static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }

/* ---- fibers: a small switch of stacks, by hand where we can */
enum { GRPO_SHIM_STACK = 128 * 1024, GRPO_SHIM_MOST = 1024 };

struct grpo_shim_copy {             /* of 16 bytes: cp.async. What it should find at its end     */
    void *to;
    const void *from;
    int valid;
    unsigned char found[16];
};

typedef struct { uint32_t block, warp; } grpo_shim_time;      /* barriers passed: of either      */

struct grpo_shim_fiber {
    void *sp;                       /* its stack pointer while it does not run                   */
    char *stack;
    int waited;                     /* for the previous kernel                                   */
    int turn;
    void *fake;                     /* address sanitizer's                                       */
    std::vector<grpo_shim_copy> copies[64];                   /* cp.async groups under way       */
    int first_group, last_group;
    uint64_t *barrier;              /* that it waits for, and of which parity; NULL: for others   */
    int parity;
    std::map<int, grpo_shim_time> knows, releases, offered;   /* races: see there                */
    float *d, D[2][32];             /* wgmma: where the sums will be seen; rows of them till then */
    int fenced, issued, ended;      /* numbers of instructions                                   */
    std::vector<int> groups;        /* issued, as each group was committed                       */
    uint64_t trace;                 /* of all its descriptors                                    */
};
enum { GRPO_SHIM_RUNS, GRPO_SHIM_BLOCK, GRPO_SHIM_WARP, GRPO_SHIM_BARRIER, GRPO_SHIM_CLUSTER,
       GRPO_SHIM_ENDED };

/* What a warp's wgmma reads: 16 rows of A and all of B, as they were when it was issued. */
enum { GRPO_SHIM_OPERATIONS = 16 };
struct grpo_shim_operation {
    int number, a_turned, b_turned;
    uint64_t a, b;
    float A[16][16], B[16][4][32];  /* B's columns by the lanes that they concern                */
};
struct grpo_shim_load {             /* of a box, by the copy engine                              */
    uint64_t *barrier;
    int bytes;
    std::function<void()> copy;
};

struct grpo_shim_warp {
    int waiting;                    /* lanes that have come to a shuffle, or the like            */
    int syncs;                      /* they came to __syncwarp()                                 */
    uint32_t passed;                /* how many of these are passed                              */
    std::map<int, grpo_shim_time> knows;
    uint64_t gift[2][32];           /* what each hands to the others, by turns                   */
    struct { float A[16][16], B[16][8], D[16][8]; int done; } mma[2];         /* A, B, C; then D  */
};
struct grpo_shim_block {            /* that is live                                              */
    dim3 index;
    grpo_shim_fiber *fibers;        /* [GRPO_SHIM_MOST]                                          */
    unsigned char state[GRPO_SHIM_MOST];                      /* what each thread waits for      */
    grpo_shim_warp warps[GRPO_SHIM_MOST / 32];
    unsigned char *dynamic;         /* shared memory, at the same address in all blocks, modulo
                                       GRPO_SHIM_SHARED                                          */
    std::vector<char> fixed;        /* its static shared memory while another block runs         */
    int live, fresh, rank;          /* rank: in its cluster                                      */
    int or_result, or_next, number; /* number: in the grid                                       */
    uint32_t passed;                /* barriers                                                  */
    std::map<int, grpo_shim_time> knows;
    std::vector<grpo_shim_load> loads;                        /* under way                       */
    int barriers_hidden;            /* new ones that the copy engine may not see yet             */
    std::vector<grpo_shim_operation> operations;              /* by warp and number              */
};
enum { GRPO_SHIM_LIVE = 4, GRPO_SHIM_SHARED = 1 << 18, GRPO_SHIM_CANARY = 64 };

struct grpo_shim_state {
    grpo_shim_block blocks[GRPO_SHIM_LIVE], *here;            /* the block that runs, its thread  */
    grpo_shim_fiber *me;
    int current, count, cluster;    /* threads of a block, blocks of a cluster                   */
    int live, leave;                /* blocks; this one lets another run                         */
    uint32_t random, launches, first_launch;                  /* of this graph                   */
    std::map<const void *, std::map<int, grpo_shim_time> > tickets;
    int quiet;                      /* memory is touched by the stand-in itself                  */
    char *fixed;                    /* static shared memory of the block that runs               */
    size_t fixed_size, shared;
    int fixed_used;
    void *host_sp, *host_fake;
    const void *host_bottom;
    size_t host_size;
    int from_host;
    const char *kernel;
    std::function<void()> body;
    int reverse;
    /* the runtime */
    int error, sticky;
    int fail_malloc_in, fault_in, no_device, no_graphs;       /* counters of injected faults     */
    long allocated, graphs;         /* pieces of memory; graphs launched so far                  */
    std::vector<std::function<void()> > *recording;           /* the graph, while one is recorded */
    int playing, early, device;     /* a graph; this kernel was launched early; the chosen device */
    std::map<const void *, std::string> read_early;           /* since the graph was recorded     */
};
static grpo_shim_state grpo_shim_only;
static inline grpo_shim_state &grpo_shim() { return grpo_shim_only; }

extern "C" void grpo_shim_switch(void **save, void *load);
#if defined(__x86_64__)
__asm__(".text\n.globl grpo_shim_switch\n.type grpo_shim_switch,@function\ngrpo_shim_switch:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp, (%rdi)\nmovq %rsi, %rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
        ".size grpo_shim_switch,.-grpo_shim_switch\n");
enum { GRPO_SHIM_SAVED = 7, GRPO_SHIM_ENTRY = 6 };            /* words on a sleeping stack       */
#elif defined(__aarch64__)
__asm__(".text\n.globl grpo_shim_switch\n.type grpo_shim_switch,%function\ngrpo_shim_switch:\n"
        "sub sp, sp, #160\nstp x19, x20, [sp, #0]\nstp x21, x22, [sp, #16]\n"
        "stp x23, x24, [sp, #32]\nstp x25, x26, [sp, #48]\nstp x27, x28, [sp, #64]\n"
        "stp x29, x30, [sp, #80]\nstp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\n"
        "stp d12, d13, [sp, #128]\nstp d14, d15, [sp, #144]\n"
        "mov x2, sp\nstr x2, [x0]\nmov sp, x1\n"
        "ldp x19, x20, [sp, #0]\nldp x21, x22, [sp, #16]\n"
        "ldp x23, x24, [sp, #32]\nldp x25, x26, [sp, #48]\nldp x27, x28, [sp, #64]\n"
        "ldp x29, x30, [sp, #80]\nldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\n"
        "ldp d12, d13, [sp, #128]\nldp d14, d15, [sp, #144]\nadd sp, sp, #160\nret\n"
        ".size grpo_shim_switch,.-grpo_shim_switch\n");
enum { GRPO_SHIM_SAVED = 20, GRPO_SHIM_ENTRY = 11 };
#else
#error "tests/cuda_shim.h knows x86-64 and aarch64"
#endif

/* ---- sites: each call of a barrier, wait or fence, by its line and kind. GRPO_SHIM_REMOVE is a
 * line, or "line kind": there it does nothing; GRPO_SHIM_SITES a file, to which those that were
 * reached are added. */
enum { GRPO_SHIM_LINES = 8192, GRPO_SHIM_KINDS = 2 };
struct grpo_shim_site_list {
    int removed;
    std::string removed_kind;       /* "": all of the line                                       */
    const char *kinds[GRPO_SHIM_LINES][GRPO_SHIM_KINDS];
    grpo_shim_site_list() : removed(-1), kinds() {
        const char *line = getenv("GRPO_SHIM_REMOVE"), *kind = line ? strchr(line, ' ') : NULL;
        if (line) removed = atoi(line);
        if (kind) removed_kind = kind + 1;
    }
    void reached(int line, const char *kind) {
        const char *name = getenv("GRPO_SHIM_SITES");
        FILE *file;
        int i;
        for (i = 0; i < GRPO_SHIM_KINDS && kinds[line][i]; i++)
            if (!strcmp(kinds[line][i], kind)) return;
        if (i == GRPO_SHIM_KINDS) return;
        kinds[line][i] = kind;
        file = name ? fopen(name, "a") : NULL;
        if (file) fprintf(file, "%d %s\n", line, kind);
        if (file) fclose(file);
    }
};
static grpo_shim_site_list grpo_shim_sites;
static inline int grpo_shim_removed(int line, const char *kind) {
    if (line && grpo_shim_sites.kinds[line][0] != kind) grpo_shim_sites.reached(line, kind);
    return line == grpo_shim_sites.removed
        && (grpo_shim_sites.removed_kind.empty() || grpo_shim_sites.removed_kind == kind);
}
#define GRPO_SHIM_SITE int line = __builtin_LINE()

/* From this stack to that of a thread, or (-1) to the host's. */
static inline void grpo_shim_go(void **save, void **fake, int next) {
    grpo_shim_state &s = grpo_shim();
    void *to = s.host_sp;
    (void)fake;
    if (next >= 0) {
        s.current = next;
        s.me = &s.here->fibers[next];
        threadIdx.x = (unsigned)next;
        to = s.me->sp;
    }
#ifdef __SANITIZE_ADDRESS__
    s.from_host = save == &s.host_sp;
    __sanitizer_start_switch_fiber(fake, next >= 0 ? s.me->stack : s.host_bottom,
                                   next >= 0 ? (size_t)GRPO_SHIM_STACK : s.host_size);
#endif
    grpo_shim_switch(save, to);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake ? *fake : NULL, NULL, NULL);
#endif
}

static inline void grpo_shim_wrong(const char *what) {
    fprintf(stderr, "shim: %s: %s\n", grpo_shim().kernel, what);
    abort();
}

/* ---- races, where every access is seen (GRPO_SHIM_RACE: compiled by -fsanitize=thread, whose
 * calls come here). Two accesses of one word by different threads, one a write, need something
 * between them: __syncthreads(); in a warp __syncwarp() (a shuffle orders no memory); between
 * blocks a barrier, a fence, a ticket (an atomic on device memory) taken by both, a fence, a
 * barrier; between a kernel and one that is launched early, its wait. mbarriers, and what the copy
 * engine and wgmma do, are checked where they are defined, not here. */
struct grpo_shim_silence {
    grpo_shim_silence() { grpo_shim().quiet++; }
    ~grpo_shim_silence() { grpo_shim().quiet--; }
};
enum { GRPO_SHIM_WHOLE = 63 };      /* all warps of a block                                      */
static inline void grpo_shim_learn(std::map<int, grpo_shim_time> &to,
                                   const std::map<int, grpo_shim_time> &from) {
    for (const auto &one : from) {
        grpo_shim_time &t = to[one.first];
        if (t.block < one.second.block) t = one.second;
        else if (t.block == one.second.block && t.warp < one.second.warp) t = one.second;
    }
}
/* What a thread released, or acquired, by a fence. */
static inline void grpo_shim_fences() {
    grpo_shim_state &s = grpo_shim();
    grpo_shim_warp &w = s.here->warps[s.current / 32];
    grpo_shim_time now = { s.here->passed, w.passed };
    std::map<int, grpo_shim_time> mine;
    grpo_shim_learn(s.me->knows, s.me->offered);
    mine[s.here->number * 64 + GRPO_SHIM_WHOLE] = now;
    mine[s.here->number * 64 + s.current / 32] = now;
    grpo_shim_learn(mine, s.here->knows);
    grpo_shim_learn(mine, w.knows);
    grpo_shim_learn(mine, s.me->knows);
    s.me->releases.swap(mine);
}
static inline void grpo_shim_takes(const void *ticket) {
    grpo_shim_state &s = grpo_shim();
    grpo_shim_learn(s.tickets[ticket], s.me->releases);
    grpo_shim_learn(s.me->offered, s.tickets[ticket]);
}
static inline void grpo_shim_warp_passes(int first) {
    grpo_shim_block &b = *grpo_shim().here;
    grpo_shim_warp &w = b.warps[first / 32];
    w.syncs = 0;
    w.passed++;
    for (int i = 0; i < 32; i++)
        if (!b.fibers[first + i].knows.empty()) grpo_shim_learn(w.knows, b.fibers[first + i].knows);
}
static inline void grpo_shim_block_passes() {
    grpo_shim_block &b = *grpo_shim().here;
    b.passed++;
    for (int i = 0; i < grpo_shim().count; i++)
        if (!b.fibers[i].knows.empty()) grpo_shim_learn(b.knows, b.fibers[i].knows);
}

#ifdef GRPO_SHIM_RACE
#include <sys/mman.h>
#define GRPO_SHIM_UNSEEN __attribute__((no_sanitize("thread")))
struct grpo_shim_access {           /* launch 0: none                                            */
    uint32_t launch;
    int block;
    uint16_t thread, bytes;         /* bytes: which of the four                                  */
    grpo_shim_time time;
};
struct grpo_shim_cell { grpo_shim_access write, read[2]; };   /* of 4 bytes                      */
enum : size_t { GRPO_SHIM_ARENA = (size_t)1 << 37 };          /* device memory, never used twice */
static char *grpo_shim_arena;
static size_t grpo_shim_arena_used;
static grpo_shim_cell *grpo_shim_cells, *grpo_shim_shared_cells[GRPO_SHIM_LIVE][2];

static inline void *grpo_shim_reserve(size_t size) {
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) { perror("shim: mmap"); abort(); }
    return at;
}
static inline int grpo_shim_find_memory(void **at, size_t size) {
    if (!grpo_shim_arena) {
        grpo_shim_arena = (char *)grpo_shim_reserve(GRPO_SHIM_ARENA);
        grpo_shim_cells = (grpo_shim_cell *)grpo_shim_reserve(GRPO_SHIM_ARENA / 4
                                                              * sizeof(grpo_shim_cell));
    }
    *at = grpo_shim_arena + grpo_shim_arena_used;
    grpo_shim_arena_used += (size + 4095) / 4096 * 4096;
    return grpo_shim_arena_used > GRPO_SHIM_ARENA;
}
static inline void grpo_shim_free_memory(char *at, size_t size) {
    size_t first = (size_t)(at - grpo_shim_arena) / 4, end = first + size / 4;
    uintptr_t cells = ((uintptr_t)(grpo_shim_cells + first) + 4095) & ~(uintptr_t)4095;
    madvise(at, (size + 4095) / 4096 * 4096, MADV_DONTNEED);
    if (cells < (uintptr_t)(grpo_shim_cells + end))
        madvise((void *)cells, (uintptr_t)(grpo_shim_cells + end) - cells, MADV_DONTNEED);
}

static inline int grpo_shim_knows(const std::map<int, grpo_shim_time> &knows,
                                  const grpo_shim_access &a) {
    auto whole = knows.find(a.block * 64 + GRPO_SHIM_WHOLE);
    auto warp = knows.find(a.block * 64 + a.thread / 32);
    return (whole != knows.end() && a.time.block < whole->second.block)
        || (warp != knows.end() && (a.time.block < warp->second.block
                                    || a.time.warp < warp->second.warp));
}
/* Did it certainly happen before what this thread does now? */
GRPO_SHIM_UNSEEN
static inline int grpo_shim_before(const grpo_shim_access &a, const grpo_shim_access &now) {
    grpo_shim_state &s = grpo_shim();
    if (!a.launch || !(a.bytes & now.bytes)) return 1;
    if (a.launch != now.launch)
        return !s.early || s.me->waited || a.launch < s.first_launch;
    if (a.block == now.block)
        return a.thread == now.thread || a.time.block < now.time.block
            || (a.thread / 32 == now.thread / 32 && a.time.warp < now.time.warp);
    return grpo_shim_knows(s.here->knows, a) || grpo_shim_knows(s.me->knows, a)
        || grpo_shim_knows(s.here->warps[now.thread / 32].knows, a);
}
static inline void grpo_shim_race(const grpo_shim_access &a, const grpo_shim_access &now,
                                  const char *what, const char *where) {
    fprintf(stderr, "shim: %s: a race for %s memory: thread %d of block %d %s what thread %d of "
            "block %d %s %s\n", grpo_shim().kernel, where, now.thread, now.block,
            what[0] == 'r' ? "reads" : "writes", a.thread, a.block,
            what[1] == 'r' ? "reads" : "writes",
            a.launch == now.launch ? "" : "in a kernel that it has not waited for");
    abort();
}
GRPO_SHIM_UNSEEN
static void grpo_shim_touch(const void *at, size_t size, int writes) {
    grpo_shim_state &s = grpo_shim();
    size_t offset = (size_t)((const char *)at - grpo_shim_arena), i, end;
    grpo_shim_cell *cells = grpo_shim_cells;
    grpo_shim_access now;
    const char *where = "device";
    if (!s.here || s.quiet) return;
    if (offset >= GRPO_SHIM_ARENA || !grpo_shim_arena) {
        grpo_shim_cell **all = grpo_shim_shared_cells[s.here - s.blocks];
        int fixed = 0;
        where = "shared";
        offset = (size_t)((const unsigned char *)at - s.here->dynamic);
        if (offset >= s.shared) {
            offset = (size_t)((const char *)at - s.fixed);
            fixed = 1;
            if (offset >= s.fixed_size) return;
        }
        if (!all[fixed]) all[fixed] = (grpo_shim_cell *)grpo_shim_reserve(
            (fixed ? s.fixed_size : (size_t)GRPO_SHIM_SHARED) / 4 * sizeof *cells + 4096);
        cells = all[fixed];
    }
    now.launch = s.launches;
    now.block = s.here->number;
    now.thread = (uint16_t)s.current;
    now.time = { s.here->passed, s.here->warps[s.current / 32].passed };
    for (i = offset / 4, end = offset + size; 4 * i < end; i++) {
        grpo_shim_cell &c = cells[i];
        size_t first = 4 * i < offset ? offset - 4 * i : 0, last = end - 4 * i;
        now.bytes = (uint16_t)((last >= 4 ? 15 : 15 >> (4 - last)) & 15 << first);
        if (where[0] == 's') {      /* what another block had there is of no matter               */
            if (c.write.launch != now.launch || c.write.block != now.block) c.write.launch = 0;
            for (int r = 0; r < 2; r++)
                if (c.read[r].launch != now.launch || c.read[r].block != now.block)
                    c.read[r].launch = 0;
        }
        if (!grpo_shim_before(c.write, now))
            grpo_shim_race(c.write, now, writes ? "ww" : "rw", where);
        if (!writes) {              /* the last two readers, of different warps                  */
            if (c.read[0].launch != now.launch || c.read[0].block != now.block
                || c.read[0].thread / 32 != now.thread / 32) c.read[1] = c.read[0];
            c.read[0] = now;
            continue;
        }
        for (int r = 0; r < 2; r++)
            if (!grpo_shim_before(c.read[r], now)) grpo_shim_race(c.read[r], now, "wr", where);
        c.write = now;
    }
}
#define GRPO_SHIM_HOOKS(n)                                                                        \
    extern "C" void __tsan_read##n(void *at) { grpo_shim_touch(at, n, 0); }                       \
    extern "C" void __tsan_write##n(void *at) { grpo_shim_touch(at, n, 1); }                      \
    extern "C" void __tsan_unaligned_read##n(void *at) { grpo_shim_touch(at, n, 0); }             \
    extern "C" void __tsan_unaligned_write##n(void *at) { grpo_shim_touch(at, n, 1); }
GRPO_SHIM_HOOKS(1) GRPO_SHIM_HOOKS(2) GRPO_SHIM_HOOKS(4) GRPO_SHIM_HOOKS(8) GRPO_SHIM_HOOKS(16)
extern "C" void __tsan_read_range(void *at, size_t n) { grpo_shim_touch(at, n, 0); }
extern "C" void __tsan_write_range(void *at, size_t n) { grpo_shim_touch(at, n, 1); }
extern "C" void __tsan_vptr_update(void *, void *) { }
extern "C" void __tsan_vptr_read(void *) { }
extern "C" void __tsan_func_entry(void *) { }
extern "C" void __tsan_func_exit(void) { }
extern "C" void __tsan_init(void) { }
#else
static inline void grpo_shim_touch(const void *, size_t, int) { }
static inline int grpo_shim_find_memory(void **at, size_t size) {
    return posix_memalign(at, 256, size);
}
static inline void grpo_shim_free_memory(char *at, size_t) { free(at); }
#endif

/* The lane of this warp that goes on now; all once all have come. -1: none can. */
static inline int grpo_shim_next() {
    grpo_shim_state &s = grpo_shim();
    int lane = s.current % 32, first = s.current - lane, i;
    unsigned char *state = s.here->state + first;
    int &waiting = s.here->warps[first / 32].waiting;
    waiting += state[lane] == GRPO_SHIM_WARP;
    if (s.reverse) { for (i = lane - 1; i >= 0; i--) if (!state[i]) return first + i; }
    else for (i = lane + 1; i < 32; i++) if (!state[i]) return first + i;
    if (waiting < 32) return -1;
    waiting = 0;
    s.fixed_used = 1;
    if (s.here->warps[first / 32].syncs) grpo_shim_warp_passes(first);
    memset(state, GRPO_SHIM_RUNS, 32);
    return first + (s.reverse ? 31 : 0);
}

static inline void grpo_shim_wait(int what) {
    grpo_shim_state &s = grpo_shim();
    grpo_shim_fiber &f = *s.me;
    int next;
    s.here->state[s.current] = (unsigned char)what;
    next = grpo_shim_next();
    if (next != s.current) grpo_shim_go(&f.sp, &f.fake, next);
}

/* Others may run now, of other blocks too. */
static inline void grpo_shim_let_others() {
    grpo_shim_state &s = grpo_shim();
    if (s.live < 2) return;
    s.leave = 1;
    grpo_shim_go(&s.me->sp, &s.me->fake, -1);
}

static void grpo_shim_begin() {
    grpo_shim_state &s = grpo_shim();
#ifdef __SANITIZE_ADDRESS__
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(NULL, &bottom, &size);
    if (s.from_host) { s.host_bottom = bottom; s.host_size = size; }
#endif
    s.body();
    if (s.early && !s.me->waited)
        grpo_shim_wrong("a thread of a kernel launched early ended without waiting for the last");
    s.here->state[s.current] = GRPO_SHIM_ENDED;
    grpo_shim_go(&s.me->sp, NULL, grpo_shim_next());
}

static inline void grpo_shim_make(grpo_shim_fiber &f, int i) {
    void **top;
    if (!f.stack) f.stack = (char *)malloc(GRPO_SHIM_STACK);
    top = (void **)(((uintptr_t)f.stack + GRPO_SHIM_STACK) & ~(uintptr_t)63);
    top -= i % 32 * 24 + GRPO_SHIM_SAVED + 1;       /* stacks do not meet in the cache; on x86-64 */
#if defined(__aarch64__)                            /* the entry sees its own as after a call     */
    top--;
#endif
    memset(top, 0, (GRPO_SHIM_SAVED + 1) * sizeof *top);
    top[GRPO_SHIM_ENTRY] = (void *)(uintptr_t)grpo_shim_begin;
    f.sp = top;
    f.waited = 0;
    f.first_group = f.last_group = 0;
    f.copies[0].clear();
    f.knows.clear();
    f.releases.clear();
    f.offered.clear();
    f.d = NULL;
    f.fenced = f.issued = f.ended = 0;
    f.trace = 0;
    f.groups.clear();
}

static inline void grpo_shim_stuck() {
    static const char *const names[] = { "runs", "block", "warp", "mbarrier", "cluster", "ended" };
    grpo_shim_state &s = grpo_shim();
    int i;
    fprintf(stderr, "shim: %s, block (%u, %u, %u): the threads wait for different things:\n",
            s.kernel, blockIdx.x, blockIdx.y, blockIdx.z);
    for (i = 0; i < s.count; i++)
        fprintf(stderr, "%s%d:%s", i % 16 ? " " : "\n  ", i, names[s.here->state[i]]);
    fprintf(stderr, "\n");
    abort();
}

static int grpo_shim_phase_ended(uint64_t *barrier, int parity);

/* Run a warp until its lanes have ended, or wait for the block or for a barrier. Did any run? */
static inline int grpo_shim_run_warp(int warp) {
    grpo_shim_state &s = grpo_shim();
    grpo_shim_block &b = *s.here;
    int i, first = -1, barriers = 0;
    for (i = 0; i < 32; i++) {
        int lane = 32 * warp + (s.reverse ? 31 - i : i);
        grpo_shim_fiber &f = b.fibers[lane];
        if (b.state[lane] == GRPO_SHIM_BARRIER && f.barrier
            && grpo_shim_phase_ended(f.barrier, f.parity)) b.state[lane] = GRPO_SHIM_RUNS;
        if (b.state[lane] == GRPO_SHIM_RUNS && first < 0) first = lane;
    }
    if (first < 0) return 0;
    grpo_shim_go(&s.host_sp, &s.host_fake, first);
    if (s.leave || !b.warps[warp].waiting) return 1;
    for (i = 0; i < 32; i++) barriers += b.state[32 * warp + i] == GRPO_SHIM_BARRIER;
    if (!barriers) grpo_shim_stuck();                         /* all lanes take part, always     */
    return 1;
}

/* Another block's static shared memory takes its place. */
static inline void grpo_shim_enter(grpo_shim_block *b) {
    grpo_shim_state &s = grpo_shim();
    if (s.here && s.here != b && s.here->live)
        memcpy(s.here->fixed.data(), s.fixed, s.fixed_size);
    if (b->fresh && s.fixed_used) memset(s.fixed, 0xff, s.fixed_size);
    if (!b->fresh && s.here != b) memcpy(s.fixed, b->fixed.data(), s.fixed_size);
    s.fixed_used = !b->fresh;
    b->fresh = 0;
    s.here = b;
    blockIdx = b->index;
}

static inline void grpo_shim_block_begins(grpo_shim_block *b, dim3 index, int rank) {
    grpo_shim_state &s = grpo_shim();
    int i;
    if (!b->fibers) {
        b->fibers = (grpo_shim_fiber *)calloc(GRPO_SHIM_MOST, sizeof *b->fibers);
        if (posix_memalign((void **)&b->dynamic, GRPO_SHIM_SHARED, GRPO_SHIM_SHARED)) abort();
        b->dynamic += 128;          /* shared memory need not begin where a swizzle does         */
        b->fixed.resize(s.fixed_size);
    }
    memset(b->dynamic, 0xff, s.shared);
    memset(b->dynamic + s.shared, 0x5a, GRPO_SHIM_CANARY);
    for (i = 0; i < s.count; i++) grpo_shim_make(b->fibers[i], i);
    memset(b->state, GRPO_SHIM_RUNS, sizeof b->state);
    for (i = 0; i < s.count / 32; i++) {
        grpo_shim_warp &w = b->warps[i];
        w.waiting = w.syncs = 0;
        w.passed = 0;
        w.knows.clear();
    }
    b->passed = 0;
    b->knows.clear();
    b->number = (int)((index.z * gridDim.y + index.y) * gridDim.x + index.x);
    b->index = index;
    b->rank = rank;
    b->live = b->fresh = 1;
    b->or_next = b->barriers_hidden = 0;
    s.live++;
}

static inline void grpo_shim_block_ends(grpo_shim_block *b) {
    grpo_shim_state &s = grpo_shim();
    int i;
    if (!b->loads.empty())
        grpo_shim_wrong("it ended while the copy engine wrote to its memory");
    for (i = 0; i < GRPO_SHIM_CANARY; i++)
        if (b->dynamic[s.shared + (size_t)i] != 0x5a)
            grpo_shim_wrong("something wrote past the end of shared memory");
    for (i = 0; i < s.count; i++)   /* a warpgroup's four warps must have issued the same         */
        if (b->fibers[i].trace != b->fibers[i / 128 * 128].trace)
            grpo_shim_wrong("the threads of a warpgroup issued different wgmmas");
    b->live = 0;
    s.live--;
}

static inline int grpo_shim_random() {
    uint32_t &x = grpo_shim().random;
    x = x * 1664525u + 1013904223u;
    return (int)(x >> 8);
}

/* A block runs until it ends, has to wait for another, or lets others run: at fences, atomics and
 * some barriers. Did it get on? */
static inline int grpo_shim_turn(grpo_shim_block *b) {
    grpo_shim_state &s = grpo_shim();
    int i, j, warps = s.count / 32, progress = 0, ran, count[GRPO_SHIM_ENDED + 1];
    grpo_shim_enter(b);
    for (;;) {
        for (ran = i = 0; i < warps; i++) {
            ran |= grpo_shim_run_warp(s.reverse ? warps - 1 - i : i);
            for (j = s.reverse ? 0 : warps; j < warps && !s.leave; j++)       /* who waited for   */
                if (b->state[32 * j] == GRPO_SHIM_BARRIER) ran |= grpo_shim_run_warp(j);
            if (s.leave) { s.leave = 0; return 1; }           /* it goes first                   */
        }
        progress |= ran;
        memset(count, 0, sizeof count);
        for (i = 0; i < s.count; i++) {
            count[b->state[i]]++;
            if (b->state[i] == GRPO_SHIM_BARRIER && !b->fibers[i].barrier)
                b->state[i] = GRPO_SHIM_RUNS;                 /* the others have had their turn  */
        }
        if (count[GRPO_SHIM_ENDED] == s.count) { grpo_shim_block_ends(b); return 1; }
        if (count[GRPO_SHIM_BARRIER] && ran) continue;
        if (count[GRPO_SHIM_BARRIER] || count[GRPO_SHIM_CLUSTER]) return progress;
        for (i = 0; i < s.count; i++)                         /* all are there                   */
            if (b->state[i] == GRPO_SHIM_BLOCK) b->state[i] = GRPO_SHIM_RUNS;
        b->or_result = b->or_next;
        b->or_next = 0;
        grpo_shim_block_passes();
        s.fixed_used = 1;
        if (s.live > 1 && grpo_shim_random() % 8 == 0) return 1;
    }
}

/* Have all threads of a cluster come to its barrier? Then they go on. */
static inline int grpo_shim_cluster_goes_on(grpo_shim_block *first) {
    grpo_shim_state &s = grpo_shim();
    int i, j, come = 0;
    for (j = 0; j < s.cluster; j++)
        for (i = 0; i < s.count; i++) {
            int state = first[j].live ? (int)first[j].state[i] : (int)GRPO_SHIM_ENDED;
            if (state != GRPO_SHIM_CLUSTER && state != GRPO_SHIM_ENDED) return 0;
            come += state == GRPO_SHIM_CLUSTER;
        }
    for (j = 0; j < s.cluster && come; j++)
        for (i = 0; i < s.count; i++)
            if (first[j].live && first[j].state[i] == GRPO_SHIM_CLUSTER)
                first[j].state[i] = GRPO_SHIM_RUNS;
    return come;
}

static int grpo_shim_find_fixed(dl_phdr_info *program, size_t, void *) {
    grpo_shim_state &s = grpo_shim();
    for (int i = 0; i < program->dlpi_phnum; i++)
        if (program->dlpi_phdr[i].p_type == PT_TLS) {
            s.fixed = (char *)program->dlpi_tls_data;
            s.fixed_size = program->dlpi_phdr[i].p_memsz;
        }
    return 1;                       /* the first is the program itself                           */
}

/* All blocks of a grid, up to GRPO_SHIM_LIVE at once, in an order that changes: by x, or by z
 * first, from either end. The blocks of a cluster begin together. */
static inline void grpo_shim_run_grid(dim3 grid, dim3 cluster) {
    grpo_shim_state &s = grpo_shim();
    unsigned X = grid.x / cluster.x, Y = grid.y / cluster.y, Z = grid.z / cluster.z, next = 0;
    unsigned units = X * Y * Z, order = s.launches++ + (unsigned)s.reverse;
    int size = (int)(cluster.x * cluster.y * cluster.z), groups = GRPO_SHIM_LIVE / size, g, i;
    if (!s.fixed) dl_iterate_phdr(grpo_shim_find_fixed, NULL);
    if (size > GRPO_SHIM_LIVE || grid.x % cluster.x || grid.y % cluster.y || grid.z % cluster.z)
        grpo_shim_wrong("a grid that is not a number of clusters, or a cluster that is too large");
    s.cluster = size;
    s.here = NULL;
    s.fixed_used = 1;
    s.tickets.clear();
    do {
        int progress = 0, begin = grpo_shim_random() % groups;
        for (g = 0; g < groups; g++) {
            grpo_shim_block *first = &s.blocks[(begin + g) % groups * size];
            int live = 0;
            for (i = 0; i < size; i++) live += first[i].live;
            for (i = 0; !live && next < units && i < size; i++) {
                unsigned u = order & 2 ? units - 1 - next : next, r = (unsigned)i;
                unsigned x = order & 1 ? u / Z / Y : u % X, y = order & 1 ? u / Z % Y : u / X % Y;
                unsigned z = order & 1 ? u % Z : u / X / Y;
                grpo_shim_block_begins(&first[i], dim3(x * cluster.x + r % cluster.x,
                                       y * cluster.y + r / cluster.x % cluster.y,
                                       z * cluster.z + r / cluster.x / cluster.y), i);
            }
            if (!live && next < units) next++;
            for (i = 0; i < size; i++)
                if (first[i].live) progress |= grpo_shim_turn(&first[i]);
            progress |= grpo_shim_cluster_goes_on(first);
        }
        if (s.live && !progress) grpo_shim_stuck();           /* a wait that could never end     */
    } while (s.live || next < units);
    s.here = NULL;
}

/* Where the block of this rank in the cluster has what this block has at `mine` in shared memory:
 * for what reaches into other blocks, as mbarrier.arrive.shared::cluster does. */
template <typename T> T *grpo_shim_peer(T *mine, int rank) {
    grpo_shim_state &s = grpo_shim();
    grpo_shim_block *b = s.here - s.here->rank + rank;
    size_t fixed = (size_t)((char *)mine - s.fixed);
    if (rank < 0 || rank >= s.cluster) grpo_shim_wrong("a block that the cluster does not have");
    if (!b->live) grpo_shim_wrong("shared memory of a block that has ended");
    if (b == s.here) return mine;
    if (fixed < s.fixed_size) {
        if (b->fresh) grpo_shim_wrong("shared memory of a block that may not have begun");
        return (T *)(void *)(b->fixed.data() + fixed);
    }
    return (T *)(void *)(b->dynamic + ((unsigned char *)mine - s.here->dynamic));
}

/* ---- what threads do together */
static inline grpo_shim_fiber &grpo_shim_me() { return *grpo_shim().me; }

static inline float grpo_shim_half(uint32_t two, int which) {
    return __uint_as_float(which ? two & 0xffff0000u : two << 16);
}

static inline void __syncthreads(GRPO_SHIM_SITE) {
    if (!grpo_shim_removed(line, "barrier")) grpo_shim_wait(GRPO_SHIM_BLOCK);
}
static inline int __syncthreads_or(int x, GRPO_SHIM_SITE) {
    grpo_shim_block &b = *grpo_shim().here;
    if (grpo_shim_removed(line, "barrier")) return x;
    b.or_next |= x != 0;            /* read before any thread can come to the next one           */
    grpo_shim_wait(GRPO_SHIM_BLOCK);
    return b.or_result;
}
static inline void __threadfence(GRPO_SHIM_SITE) {
    if (grpo_shim_removed(line, "fence")) return;
    grpo_shim_fences();
    grpo_shim_let_others();
}
static inline int grpo_shim_is_shared(const void *x) {
    grpo_shim_state &s = grpo_shim();
    return (size_t)((const char *)x - s.fixed) < s.fixed_size
        || (size_t)((const unsigned char *)x - s.here->dynamic) < s.shared;
}
static inline int atomicAdd(int *x, int more) {
    int was, shared = grpo_shim_is_shared(x);
    {
        grpo_shim_silence silence;
        was = *x;
        *x += more;
        if (!shared) grpo_shim_takes(x);
    }
    if (!shared) grpo_shim_let_others();
    return was;
}
/* A cluster: its blocks are live together. This block's number in it, its barrier. */
static inline int grpo__cluster_rank() { return grpo_shim().here->rank; }
static inline void grpo__cluster_sync(GRPO_SHIM_SITE) {
    if (!grpo_shim_removed(line, "cluster barrier")) grpo_shim_wait(GRPO_SHIM_CLUSTER);
}
template <typename T> T __ldcg(const T *x) { return *x; }
static inline float __ldg(const float *x) { return *x; }
static inline void __syncwarp(GRPO_SHIM_SITE) {
    if (grpo_shim_removed(line, "warp barrier")) return;
    grpo_shim().here->warps[threadIdx.x / 32].syncs = 1;
    grpo_shim_wait(GRPO_SHIM_WARP);
}

/* Everyone leaves something in gift[turn]; then all see all, until they have met again. */
static inline uint64_t *grpo_shim_gift() {
    grpo_shim_state &s = grpo_shim();
    s.me->turn ^= 1;
    return &s.here->warps[s.current / 32].gift[s.me->turn][s.current % 32];
}
static inline const uint64_t *grpo_shim_of(int lane) {
    grpo_shim_state &s = grpo_shim();
    return &s.here->warps[s.current / 32].gift[s.me->turn][lane];
}

template <typename T> T __shfl_xor_sync(unsigned, T x, int mask) {
    T y;
    memcpy(grpo_shim_gift(), &x, sizeof x);
    grpo_shim_wait(GRPO_SHIM_WARP);
    memcpy(&y, grpo_shim_of((int)threadIdx.x % 32 ^ mask), sizeof y);
    return y;
}

/* D += A B, sums in fp32, in the order of k; eight columns at once. */
typedef float grpo_shim_eight __attribute__((vector_size(32)));
static inline void grpo_shim_mma_all(float (*D)[8], const float (*A)[16], const float (*B)[8]) {
    grpo_shim_eight d[8], b;
    int first, i, k;
    for (first = 0; first < 16; first += 8) {
        memcpy(d, D[first], sizeof d);
        for (k = 0; k < 16; k++) {
            memcpy(&b, B[k], sizeof b);
            for (i = 0; i < 8; i++) d[i] += A[first + i][k] * b;
        }
        memcpy(D[first], d, sizeof d);
    }
}

/* The PTX manual's layout: see grpo__mma. The first lane that goes on computes D for all. */
static inline void grpo__mma(float d[4], const uint32_t a[4], const uint32_t b[2],
                             const float c[4]) {
    grpo_shim_state &s = grpo_shim();
    int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4 * 2, e;
    auto &w = s.here->warps[threadIdx.x / 32].mma[s.me->turn ^= 1];
    for (e = 0; e < 8; e++)
        w.A[g + e / 2 % 2 * 8][t + e / 4 * 8 + e % 2] = grpo_shim_half(a[e / 2], e % 2);
    for (e = 0; e < 4; e++) w.B[t + e / 2 * 8 + e % 2][g] = grpo_shim_half(b[e / 2], e % 2);
    for (e = 0; e < 4; e++) w.D[g + e / 2 * 8][t + e % 2] = c[e];
    w.done = 0;
    grpo_shim_wait(GRPO_SHIM_WARP);
    if (!w.done) grpo_shim_mma_all(w.D, w.A, w.B);
    w.done = 1;
    for (e = 0; e < 4; e++) d[e] = w.D[g + e / 2 * 8][t + e % 2];
}

static inline float grpo__exp2(float x) {
    float y = exp2f(fabsf(x) < FLT_MIN ? 0.0f : x);
    return y < FLT_MIN ? 0.0f : y;
}

template <bool TRANSPOSED> void grpo__load_matrices(uint32_t r[4], const __nv_bfloat16 *row) {
    int lane = (int)threadIdx.x % 32, i, h;
    if ((uintptr_t)row % 16) { fprintf(stderr, "shim: ldmatrix: unaligned row\n"); abort(); }
    memcpy(grpo_shim_gift(), &row, sizeof row);
    grpo_shim_wait(GRPO_SHIM_WARP);
    for (i = 0; i < 4; i++)
        for (r[i] = 0, h = 0; h < 2; h++) {
            int line = lane / 4, at = lane % 4 * 2 + h;
            const uint16_t *from;
            memcpy(&from, grpo_shim_of(8 * i + (TRANSPOSED ? at : line)), sizeof from);
            r[i] |= (uint32_t)from[TRANSPOSED ? line : at] << 16 * h;
        }
}

static inline void grpo__wait_for_previous(GRPO_SHIM_SITE) {
    if (!grpo_shim().early || grpo_shim_removed(line, "grid wait")) return;
    grpo_shim_me().waited = 1;
}

/* 16 bytes of weights, read before the previous kernel has ended. */
static inline void grpo_shim_read_early(const void *from) {
    std::string now((const char *)from, 16);
    std::string &was = grpo_shim().read_early[from];
    if (was.empty()) was = now;
    if (was != now) grpo_shim_wrong("it reads early what another kernel writes");
}

/* ---- asynchronous copies happen when they are waited for, not before; but as soon as one is on
 * its way, what was there before is gone, and what it reads must stay as it is */
static inline void grpo__copy_16(void *to, const void *from, int valid) {
    grpo_shim_fiber &f = grpo_shim_me();
    grpo_shim_copy copy = { to, from, valid, { 0 } };
    if ((uintptr_t)to % 16 || (valid && (uintptr_t)from % 16))
        grpo_shim_wrong("cp.async of unaligned memory");
    if (valid) memcpy(copy.found, from, (size_t)valid);
    if (valid) grpo_shim_touch(from, (size_t)valid, 0);
    if (valid && grpo_shim().early && !f.waited) grpo_shim_read_early(from);
    memset(to, 0xff, 16);
    grpo_shim_touch(to, 16, 1);
    f.copies[f.last_group % 64].push_back(copy);
}
static inline void grpo__copy_fence(GRPO_SHIM_SITE) {
    if (grpo_shim_removed(line, "copy group")) return;
    grpo_shim_fiber &f = grpo_shim_me();
    f.copies[++f.last_group % 64].clear();
}
static inline void grpo__copy_wait(int left, GRPO_SHIM_SITE) {
    if (grpo_shim_removed(line, "copy wait")) return;
    grpo_shim_fiber &f = grpo_shim_me();
    for (; f.last_group - f.first_group > left; f.first_group++)
        for (const grpo_shim_copy &copy : f.copies[f.first_group % 64]) {
            if (copy.valid && memcmp(copy.from, copy.found, (size_t)copy.valid))
                grpo_shim_wrong("what a cp.async reads was overwritten before it had ended");
            memcpy(copy.to, copy.found, 16);
            grpo_shim_touch(copy.to, 16, 1);
        }
}
static inline void *grpo_shim_dynamic() {
    return grpo_shim().here->dynamic;
}

/* ---- Hopper: the wrappers of grpo_cuda.cu by their definition. A shared address is the low 18
 * bits of a pointer, as many as a descriptor holds. */

static inline size_t __cvta_generic_to_shared(const void *at) {
    return (size_t)((uintptr_t)at % GRPO_SHIM_SHARED);
}

static inline const unsigned char *grpo_shim_at(uint32_t address) {
    const unsigned char *base = (const unsigned char *)grpo_shim_dynamic();
    size_t offset = (address - __cvta_generic_to_shared(base)) % GRPO_SHIM_SHARED;
    if (offset >= grpo_shim().shared)
        grpo_shim_wrong("a descriptor leads out of shared memory");
    return base + offset;
}

/* Bits 4 to 6 of an address, exclusive-or'd with bits 7 to 9 (PTX ISA, Swizzling Modes: 128 bytes,
 * in pieces of 16, a pattern that repeats after 1024). */
static inline uint32_t grpo_shim_swizzled(uint32_t address) {
    return address ^ (address >> 7 & 7) << 4;
}

/* mbarrier (PTX ISA, Contents of the mbarrier object): a phase ends when no arrival is pending and
 * the bytes expected have come. */
struct grpo_shim_mbarrier { int32_t bytes; uint8_t count, pending, phase, made; };
enum { GRPO_SHIM_MADE = 0x5a };

static inline grpo_shim_mbarrier &grpo_shim_mbarrier_of(uint64_t *at) {
    static_assert(sizeof(grpo_shim_mbarrier) == sizeof(uint64_t), "an mbarrier has 64 bits");
    grpo_shim_mbarrier *b = (grpo_shim_mbarrier *)(void *)at;
    if (b->made != GRPO_SHIM_MADE) grpo_shim_wrong("an mbarrier was used before it was made");
    return *b;
}
static inline void grpo__barrier_init(uint64_t *at, int count) {
    grpo_shim_silence silence;
    grpo_shim_mbarrier b = { 0, (uint8_t)count, (uint8_t)count, 0, GRPO_SHIM_MADE };
    if (count < 1 || count > 255) grpo_shim_wrong("an mbarrier of so many arrivals");
    memcpy(at, &b, sizeof b);
    grpo_shim().here->barriers_hidden = 1;
}
static inline void grpo__barrier_fence(GRPO_SHIM_SITE) {
    if (grpo_shim_removed(line, "mbarrier fence")) return;
    grpo_shim().here->barriers_hidden = 0; }
static inline void grpo_shim_mbarrier_end(grpo_shim_mbarrier &b) {
    if (b.pending || b.bytes) return;
    b.phase ^= 1;
    b.pending = b.count;
}
static inline void grpo__barrier_expect(uint64_t *at, int bytes, GRPO_SHIM_SITE) {
    if (grpo_shim_removed(line, "mbarrier expect")) return;
    grpo_shim_silence silence;
    grpo_shim_mbarrier &b = grpo_shim_mbarrier_of(at);
    if (!b.pending) grpo_shim_wrong("more arrivals at an mbarrier than a phase has");
    b.bytes += bytes;
    b.pending--;
    grpo_shim_mbarrier_end(b);
}
static inline void grpo__barrier_arrive(uint64_t *at, int rank, GRPO_SHIM_SITE) {
    if (!grpo_shim_removed(line, "mbarrier arrival"))
        grpo__barrier_expect(grpo_shim_peer(at, rank), 0, 0);
}

/* Copies are made when somebody looks whether they have been, and no more than end the phase. */
static inline int grpo_shim_phase_ended(uint64_t *at, int parity) {
    grpo_shim_silence silence;
    std::vector<grpo_shim_load> &loads = grpo_shim().here->loads;
    grpo_shim_mbarrier &b = grpo_shim_mbarrier_of(at);
    for (size_t i = 0; i < loads.size() && b.phase == parity; ) {
        if (loads[i].barrier != at) { i++; continue; }
        loads[i].copy();
        b.bytes -= loads[i].bytes;
        grpo_shim_mbarrier_end(b);
        loads.erase(loads.begin() + (long)i);
    }
    return b.phase != parity;
}
static inline void grpo__barrier_wait(uint64_t *at, int parity, GRPO_SHIM_SITE) {
    if (grpo_shim_removed(line, "mbarrier wait")) return;
    grpo_shim_me().barrier = at;
    grpo_shim_me().parity = parity;
    if (!grpo_shim_phase_ended(at, parity)) grpo_shim_wait(GRPO_SHIM_BARRIER);
}

/* ---- the driver's tensor maps, with the conditions of cuTensorMapEncodeTiled */
typedef uint32_t cuuint32_t;
typedef uint64_t cuuint64_t;
typedef int CUresult;
enum { CUDA_SUCCESS = 0, CUDA_ERROR_INVALID_VALUE = 1, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 = 9,
       CU_TENSOR_MAP_INTERLEAVE_NONE = 0, CU_TENSOR_MAP_SWIZZLE_128B = 3,
       CU_TENSOR_MAP_L2_PROMOTION_L2_128B = 2, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE = 0 };
struct alignas(64) CUtensorMap {
    const unsigned char *from;
    uint64_t size[2], stride;
    uint32_t box[2];
};

static inline CUresult cuTensorMapEncodeTiled(CUtensorMap *map, int type, cuuint32_t rank,
                                              void *from, const cuuint64_t *size,
                                              const cuuint64_t *strides, const cuuint32_t *box,
                                              const cuuint32_t *every, int interleave, int swizzle,
                                              int, int) {
    CUtensorMap m = { (const unsigned char *)from, { size[0], size[1] }, strides[0],
                      { box[0], box[1] } };
    if (type != CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 || rank != 2 || interleave || every[0] != 1
        || every[1] != 1 || swizzle != CU_TENSOR_MAP_SWIZZLE_128B || (uintptr_t)map % 64
        || (uintptr_t)from % 16 || strides[0] % 16 || strides[0] >= (uint64_t)1 << 40
        || !size[0] || !size[1] || size[0] > (uint64_t)1 << 32 || size[1] > (uint64_t)1 << 32
        || !box[0] || box[0] > 256 || !box[1] || box[1] > 256 || box[0] * 2 % 16
        || box[0] * 2 > 128) return CUDA_ERROR_INVALID_VALUE;
    *map = m;
    return CUDA_SUCCESS;
}

static inline void grpo__prefetch_map(const CUtensorMap *map) {
    if ((uintptr_t)map % 64) grpo_shim_wrong("a tensor map that is not aligned");
}

/* Line y of the box lies from byte 128 y on, each 16 bytes of it where the swizzle says. As soon as
 * it is on its way, what was there before is gone. In the block of this rank in the cluster, as
 * are the mbarrier and the memory that this block has at `barrier` and `mine`. */
static inline void grpo_shim_load_into(int rank, void *mine, const CUtensorMap *map, int x0, int y0,
                                       uint64_t *barrier) {
    grpo_shim_silence silence;
    CUtensorMap m = *map;
    int bytes = (int)(m.box[0] * m.box[1] * 2);
    char *to = grpo_shim_peer((char *)mine, rank);
    grpo_shim_block *b = grpo_shim().here - grpo_shim().here->rank + rank;
    grpo_shim_load load = { barrier, bytes, [=]() {
        uint32_t base = (uint32_t)__cvta_generic_to_shared(to), x, y;
        for (y = 0; y < m.box[1]; y++)
            for (x = 0; x < m.box[0]; x++) {
                int64_t column = (int64_t)x0 + x, line = (int64_t)y0 + y;
                uint32_t at = grpo_shim_swizzled(base + 128 * y + 2 * x) - base;
                int inside = column >= 0 && column < (int64_t)m.size[0]
                          && line >= 0 && line < (int64_t)m.size[1];
                memset(to + at, 0, 2);
                if (inside) memcpy(to + at, m.from + (uint64_t)line * m.stride
                                   + 2 * (uint64_t)column, 2);
            }
    } };
    grpo_shim_mbarrier_of(grpo_shim_peer(barrier, rank));
    if ((uintptr_t)to % 1024 || m.box[0] != 64)
        grpo_shim_wrong("a swizzled box that does not begin where the pattern does");
    if (b->barriers_hidden)
        grpo_shim_wrong("the copy engine may not see an mbarrier: a fence is missing");
    memset(to, 0xff, (size_t)bytes);
    b->loads.push_back(load);
}
template <bool BOTH> void grpo__load_box(void *to, const CUtensorMap *map, int x0, int y0,
                                         uint64_t *barrier) {
    int rank = grpo_shim().here->rank, r;
    for (r = BOTH ? 0 : rank; r < (BOTH ? 2 : rank + 1); r++)
        grpo_shim_load_into(r, to, map, x0, y0, barrier);
}

/* ---- wgmma. Element (line, k) of an operand whose descriptor this is (PTX ISA, Matrix Descriptor
 * Format, and Strides, of layouts with a swizzle of 128 bytes; a line: a row of A, a column of B):
 * k's side by side: lines 128 bytes apart, in eights that lie `stride` apart;
 * turned: 64 lines side by side, the next 64 `leading` on; k's 128 bytes apart, eights `stride`. */
static inline float grpo_shim_element(uint64_t descriptor, int turned, int line, int k) {
    uint32_t start = (uint32_t)(descriptor & 0x3fff) << 4;
    uint32_t leading = (uint32_t)(descriptor >> 16 & 0x3fff) << 4;
    uint32_t stride = (uint32_t)(descriptor >> 32 & 0x3fff) << 4;
    uint32_t l = (uint32_t)line, p = (uint32_t)k;
    uint16_t bits;
    if (descriptor & ~0xc0003fff3fff3fffu || descriptor >> 62 != 1)
        grpo_shim_wrong("a matrix descriptor with other bits than it should have");
    start += turned ? l / 64 * leading + l % 64 * 2 + p / 8 * stride + p % 8 * 128
                    : l / 8 * stride + l % 8 * 128 + p * 2;
    memcpy(&bits, grpo_shim_at(grpo_shim_swizzled(start % GRPO_SHIM_SHARED)), 2);
    return __uint_as_float((uint32_t)bits << 16);
}

static inline void grpo_shim_read(grpo_shim_operation *o) {
    grpo_shim_silence silence;
    int i, j, k, row = (int)threadIdx.x / 32 % 4 * 16;
    for (k = 0; k < 16; k++) {
        for (i = 0; i < 16; i++) o->A[i][k] = grpo_shim_element(o->a, o->a_turned, row + i, k);
        for (j = 0; j < 128; j++)
            o->B[k][j / 2 % 4][j / 8 * 2 + j % 2] = grpo_shim_element(o->b, o->b_turned, j, k);
    }
}

static inline grpo_shim_operation *grpo_shim_operations(int number) {
    std::vector<grpo_shim_operation> &all = grpo_shim().here->operations;
    if (all.empty()) all.resize(GRPO_SHIM_MOST / 32 * GRPO_SHIM_OPERATIONS);
    return &all[threadIdx.x / 32 * GRPO_SHIM_OPERATIONS + (unsigned)number % GRPO_SHIM_OPERATIONS];
}

static inline void grpo__wgmma_fence(GRPO_SHIM_SITE) {
    if (grpo_shim_removed(line, "wgmma fence")) return;
    grpo_shim_me().fenced = 1; }

/* The sums are made at once, but seen only after the wait; the first lane to come reads A and B. */
template <bool AT, bool BT> void grpo__wgmma(float d[64], uint64_t a, uint64_t b, int add) {
    grpo_shim_fiber &f = grpo_shim_me();
    int lane = (int)threadIdx.x % 32, number = ++f.issued, h, e, k;
    grpo_shim_operation *o = grpo_shim_operations(number);
    if (!f.fenced) grpo_shim_wrong("wgmma without a wgmma.fence before it");
    if (number - f.ended > GRPO_SHIM_OPERATIONS / 2) grpo_shim_wrong("too many wgmmas under way");
    if (f.d && f.d != d) grpo_shim_wrong("another accumulator while a wgmma is under way");
    for (e = 0; e < 64; e++)
        if (!f.d || !add) f.D[e / 2 % 2][e / 4 * 2 + e % 2] = add ? d[e] : 0;
    if (o->number != number || lane == (grpo_shim().reverse ? 31 : 0)) {
        o->number = number; o->a = a; o->b = b; o->a_turned = AT; o->b_turned = BT;
        grpo_shim_read(o);
    }
    if (o->a != a || o->b != b) grpo_shim_wrong("lanes of a warp with different descriptors");
    f.trace = f.trace * 31 + a * 7 + b + (uint64_t)(add != 0);
    f.d = d;
    for (e = 0; e < 64; e++) d[e] = NAN;
    for (h = 0; h < 2; h++)
        for (k = 0; k < 16; k++)
            for (e = 0; e < 32; e++) f.D[h][e] += o->A[lane / 4 + 8 * h][k] * o->B[k][lane % 4][e];
}
static inline void grpo__wgmma_commit(GRPO_SHIM_SITE) {
    if (grpo_shim_removed(line, "wgmma group")) return;
    grpo_shim_me().groups.push_back(grpo_shim_me().issued);
}
template <int LEFT> void grpo__wgmma_wait(float *, GRPO_SHIM_SITE) {
    if (grpo_shim_removed(line, "wgmma wait")) return;
    grpo_shim_fiber &f = grpo_shim_me();
    int e;
    f.barrier = NULL;               /* as long as it can take                                    */
    grpo_shim_wait(GRPO_SHIM_BARRIER);
    while ((int)f.groups.size() > LEFT) {
        for (; f.ended < f.groups[0]; f.ended++) {            /* were A and B left alone?        */
            static grpo_shim_operation now;
            const grpo_shim_operation &o = *grpo_shim_operations(f.ended + 1);
            if (threadIdx.x % 32) continue;
            now = o;
            grpo_shim_read(&now);
            if (memcmp(&now, &o, sizeof now))
                grpo_shim_wrong("what a wgmma reads was overwritten before it had ended");
        }
        f.groups.erase(f.groups.begin());
    }
    if (f.ended == f.issued && f.d) {
        for (e = 0; e < 64; e++) f.d[e] = f.D[e / 2 % 2][e / 4 * 2 + e % 2];
        f.d = NULL;
        f.fenced = 0;
    }
}

/* ---- the runtime */
typedef int cudaError_t;
typedef int cudaStream_t;
enum { cudaStreamCaptureModeRelaxed = 2, cudaSuccess = 0, cudaErrorInvalidValue = 1,
       cudaErrorMemoryAllocation = 2, cudaErrorInvalidConfiguration = 9,
       cudaErrorInsufficientDriver = 35, cudaErrorNoDevice = 100, cudaErrorIllegalAddress = 700,
       cudaErrorStreamCapture = 900, cudaErrorGraphExecUpdateFailure = 910 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
enum { cudaStreamNonBlocking = 1, cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
       cudaDevAttrMultiProcessorCount = 16, cudaDevAttrComputeCapabilityMajor = 75,
       cudaDevAttrComputeCapabilityMinor = 76, cudaEnableDefault = 0 };
struct cudaFuncAttributes { size_t sharedSizeBytes; int ptxVersion; };
#define CUDART_VERSION 12050

static inline const char *cudaGetErrorName(cudaError_t e) {
    switch (e) {
    case cudaSuccess:                   return "cudaSuccess";
    case cudaErrorMemoryAllocation:     return "cudaErrorMemoryAllocation";
    case cudaErrorNoDevice:             return "cudaErrorNoDevice";
    case cudaErrorInsufficientDriver:   return "cudaErrorInsufficientDriver";
    case cudaErrorIllegalAddress:       return "cudaErrorIllegalAddress";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    default:                            return "cudaErrorInvalidValue";
    }
}
static inline const char *cudaGetErrorString(cudaError_t e) {
    return e == cudaErrorMemoryAllocation ? "out of memory"
         : e == cudaErrorNoDevice ? "no CUDA-capable device is detected"
         : e == cudaErrorIllegalAddress ? "an illegal memory access was encountered" : "error";
}
static inline cudaError_t grpo_shim_code(int e) {
    if (grpo_shim().sticky) e = grpo_shim().sticky;
    if (e) grpo_shim().error = e;
    return e;
}
static inline cudaError_t cudaGetLastError() {
    int e = grpo_shim().error;
    grpo_shim().error = grpo_shim().sticky;
    return e;
}
static inline cudaError_t cudaGetDeviceCount(int *count) {
    *count = grpo_shim().no_device ? 0 : 1;
    return grpo_shim_code(grpo_shim().no_device);
}
/* Device 0 has all streams and memory; a test may choose device 1 in between. */
static inline cudaError_t cudaSetDevice(int device) {
    grpo_shim().device = device;
    return grpo_shim_code(0);
}
static inline void grpo_shim_right_device() {
    if (grpo_shim().device) grpo_shim_wrong("another device was chosen");
}
extern "C" void grpo_shim_choose(int device) { grpo_shim().device = device; }
static inline cudaError_t cudaDriverGetVersion(int *version) {
    *version = CUDART_VERSION;
    return grpo_shim_code(0);
}
static inline cudaError_t cudaGetDevice(int *device) {
    *device = grpo_shim().device;
    return grpo_shim_code(grpo_shim().no_device);
}
static inline int grpo_shim_sm() {
    const char *sm = getenv("GRPO_SHIM_SM");
    return sm ? atoi(sm) : 90;
}
static inline cudaError_t cudaDeviceGetAttribute(int *value, int which, int) {
    int number = grpo_shim_sm();
    *value = which == cudaDevAttrMultiProcessorCount ? 4
           : which == cudaDevAttrComputeCapabilityMajor ? number / 10 : number % 10;
    return grpo_shim_code(0);
}
static inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, int) {
    *s = 1;
    return grpo_shim_code(0);
}
static inline cudaError_t cudaStreamDestroy(cudaStream_t) { return grpo_shim_code(0); }
/* Nothing that waits, or finds memory, may be done while work is recorded. */
static inline void grpo_shim_not_recording() {
    if (grpo_shim().recording) grpo_shim().sticky = cudaErrorStreamCapture;
}
static inline cudaError_t cudaStreamSynchronize(cudaStream_t) {
    grpo_shim_right_device();
    grpo_shim_not_recording();
    return grpo_shim_code(0);
}

static inline cudaError_t cudaMalloc(void **memory, size_t size) {
    grpo_shim_state &s = grpo_shim();
    char *at = NULL;
    *memory = NULL;
    grpo_shim_not_recording();
    grpo_shim_right_device();
    if (s.sticky || (s.fail_malloc_in && --s.fail_malloc_in == 0))
        return grpo_shim_code(cudaErrorMemoryAllocation);
    if (grpo_shim_find_memory((void **)&at, size + 256 + GRPO_SHIM_CANARY))
        return grpo_shim_code(cudaErrorMemoryAllocation);
    memset(at, 0xff, size + 256);   /* NaN, as floats                                            */
    memcpy(at, &size, sizeof size);
    memset(at + 256 + size, 0x5a, GRPO_SHIM_CANARY);
    s.allocated++;
    *memory = at + 256;
    return grpo_shim_code(0);
}
static inline cudaError_t cudaFree(void *memory) {
    char *at = (char *)memory;
    size_t size;
    int i;
    if (!at) return grpo_shim_code(0);
    memcpy(&size, at - 256, sizeof size);
    for (i = 0; i < GRPO_SHIM_CANARY; i++)
        if (at[size + (size_t)i] != 0x5a) {
            fprintf(stderr, "shim: something wrote past the end of %zu bytes\n", size);
            abort();
        }
    grpo_shim_free_memory(at - 256, size + 256 + GRPO_SHIM_CANARY);
    grpo_shim().allocated--;
    return grpo_shim_code(0);
}
static inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, cudaMemcpyKind,
                                          cudaStream_t) {
    grpo_shim_not_recording();
    if (!grpo_shim().sticky) memcpy(to, from, size);
    return grpo_shim_code(0);
}
static inline cudaError_t cudaMemsetAsync(void *to, int value, size_t size, cudaStream_t) {
    grpo_shim_right_device();
    if (grpo_shim().recording)
        grpo_shim().recording->push_back([=]() { cudaMemsetAsync(to, value, size, 0); });
    else if (!grpo_shim().sticky) memset(to, value, size);
    return grpo_shim_code(0);
}
/* ---- graphs: what is launched while one is recorded, to be done later */
typedef std::vector<std::function<void()> > grpo_shim_graph, *cudaGraph_t, *cudaGraphExec_t;
typedef int cudaGraphExecUpdateResultInfo;
static inline cudaError_t cudaStreamBeginCapture(cudaStream_t, int) {
    if (grpo_shim().recording) return grpo_shim_code(cudaErrorStreamCapture);
    grpo_shim().recording = new grpo_shim_graph;
    grpo_shim().read_early.clear();
    return grpo_shim_code(0);
}
static inline cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *graph) {
    *graph = grpo_shim().recording;
    grpo_shim().recording = NULL;
    return grpo_shim_code(0);
}
static inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t *to, cudaGraph_t graph, int) {
    if (grpo_shim().no_graphs) return grpo_shim_code(cudaErrorMemoryAllocation);
    *to = new grpo_shim_graph(*graph);
    return grpo_shim_code(0);
}
static inline cudaError_t cudaGraphExecUpdate(cudaGraphExec_t to, cudaGraph_t graph,
                                              cudaGraphExecUpdateResultInfo *) {
    if (to->size() != graph->size()) return grpo_shim_code(cudaErrorGraphExecUpdateFailure);
    *to = *graph;
    return grpo_shim_code(0);
}
static inline cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t) {
    grpo_shim_right_device();
    grpo_shim().graphs++;
    grpo_shim().playing = 1;
    grpo_shim().first_launch = grpo_shim().launches + 1;
    for (size_t i = 0; i < graph->size(); i++) (*graph)[i]();
    grpo_shim().playing = 0;
    return grpo_shim_code(0);
}
static inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return grpo_shim_code(0);
}
static inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    return cudaGraphDestroy(graph);
}

/* Shared memory of a block, less 1 KB for what lies there besides. */
template <typename Kernel> cudaError_t cudaFuncSetAttribute(Kernel, int, int bytes) {
    int sm = grpo_shim_sm(), most = sm == 90 ? 227 : sm == 80 ? 163 : sm >= 86 ? 99 : 64;
    return grpo_shim_code(bytes > (most - 1) * 1024 ? cudaErrorInvalidValue : cudaSuccess);
}

template <typename Kernel> cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *a, Kernel) {
    a->sharedSizeBytes = 1;
    a->ptxVersion = grpo_shim_sm();
    return grpo_shim_code(0);
}
static inline cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **entry, unsigned,
                                                           int) {
    int known = !strcmp(name, "cuTensorMapEncodeTiled");
    *entry = known ? (void *)(uintptr_t)cuTensorMapEncodeTiled : NULL;
    return grpo_shim_code(known ? cudaSuccess : cudaErrorInvalidValue);
}

/* Programmatic dependent launch. A kernel launched early must call grpo__wait_for_previous() in all
 * threads, and what it reads by cp.async before that must be what no kernel ever writes: it is the
 * same whenever the graph is played. (Other reads before it are not seen here.) */
template <typename Body>
cudaError_t grpo_shim_launch(const char *kernel, int early, dim3 cluster, dim3 grid, dim3 block,
                             size_t shared, Body body) {
    grpo_shim_state &s = grpo_shim();
    if (!grid.x || !grid.y || !grid.z || grid.y > 65535 || grid.z > 65535 || !block.x
        || block.x > GRPO_SHIM_MOST || block.x % 32) {
        return grpo_shim_code(cudaErrorInvalidConfiguration);
    }
    grpo_shim_right_device();
    if (s.recording) {
        s.recording->push_back([=]() { grpo_shim_launch(kernel, early, cluster, grid, block,
                                                        shared, body); });
        return 0;
    }
    if (early && !s.playing) grpo_shim_wrong("a kernel was launched early outside of a graph");
    if (s.fault_in && --s.fault_in == 0) s.sticky = cudaErrorIllegalAddress;
    if (s.sticky) return grpo_shim_code(0);
    s.kernel = kernel;
    s.early = early;
    s.reverse = getenv("GRPO_SHIM_ORDER") && !strcmp(getenv("GRPO_SHIM_ORDER"), "reverse");
    s.body = body;
    s.count = (int)block.x;
    s.shared = shared;
    gridDim = grid;
    blockDim = block;
    grpo_shim_run_grid(grid, cluster);
    return grpo_shim_code(0);
}
/* For the tests, which are C: faults to come, and what is still allocated. */
extern "C" void grpo_shim_inject(int malloc_fails_in, int launch_faults_in, int no_device) {
    grpo_shim_state &s = grpo_shim();
    s.fail_malloc_in = malloc_fails_in;
    s.fault_in = launch_faults_in;
    s.no_device = no_device ? cudaErrorNoDevice : 0;
    s.error = s.sticky = 0;
}
extern "C" long grpo_shim_allocated(void) { return grpo_shim().allocated; }
extern "C" long grpo_shim_graphs(void) { return grpo_shim().graphs; }
extern "C" void grpo_shim_refuse_graphs(int refuse) { grpo_shim().no_graphs = refuse; }

/* A launch has the arguments as they are now; a graph plays it again with the same. */
template <typename K, typename... A>
static inline std::function<void()> grpo_shim_bind(K *kernel, A... arguments) {
    return [=]() { kernel(arguments...); };
}
/* The blocks of a cluster (of nvcc's launch: cudaLaunchAttributeClusterDimension), which are
 * grpo__cluster_rank() 0, 1, ..., are live together, and wait for each other in
 * grpo__cluster_sync(); memory of another: by grpo_shim_peer(); a box for several: by
 * grpo_shim_load_into(). */
#define GRPO__LAUNCH(name, stream, early, kernel, cluster, grid, block, shared, ...)              \
    grpo_shim_launch(name, early, cluster, grid, block, shared,                                   \
                     grpo_shim_bind(kernel, __VA_ARGS__))
#endif
