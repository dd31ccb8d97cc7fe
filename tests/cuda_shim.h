/* A stand-in for CUDA on the CPU, for tests alone: with it g++ or clang++ compiles grpo_cuda.cu as
 * it is (-x c++ -DGRPO_CUDA_SHIM -include tests/cuda_shim.h) and its kernels run, exactly and the
 * same way each time. A block's threads are fibers that run until they meet a barrier, a shuffle or
 * a tensor instruction.
 *
 * What it finds that a GPU may hide: a barrier that not all threads reach (it stops with the
 * kernel's name), shared or device memory read before it was written (both are filled with NaN), a
 * copy used before it was waited for (copies happen at the wait), a missing barrier
 * (GRPO_SHIM_ORDER=reverse runs the threads the other way round: results must not change), writing
 * past the end (canaries, or the address sanitizer). What it cannot find: anything about time, or
 * how the hardware rounds inside a tensor instruction. */
#ifndef GRPO_CUDA_SHIM_H
#define GRPO_CUDA_SHIM_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <functional>
#include <vector>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)

/* ---- vectors, and who a thread is */
struct dim3 {
    unsigned x, y, z;
    dim3(int X) : x((unsigned)X), y(1), z(1) { }
    dim3(unsigned X = 1, unsigned Y = 1, unsigned Z = 1) : x(X), y(Y), z(Z) { }
};
struct uint4 { unsigned x, y, z, w; };
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
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }

/* ---- fibers: a small switch of stacks, by hand where we can */
enum { GRPO_SHIM_STACK = 128 * 1024, GRPO_SHIM_MOST = 1024 };

struct grpo_shim_fiber {
    void *sp;                       /* its stack pointer while it does not run                   */
    char *stack;
    int state;                      /* what it waits for                                         */
    int done;
    float gift[2][16];              /* what it hands to its warp, by turns                       */
    int turn;
    void *fake;                     /* address sanitizer's                                       */
    std::vector<std::function<void()> > copies[64];           /* cp.async groups under way       */
    int first_group, last_group;
};
enum { GRPO_SHIM_RUNS, GRPO_SHIM_BLOCK, GRPO_SHIM_WARP };

struct grpo_shim_state {
    grpo_shim_fiber fibers[GRPO_SHIM_MOST];
    int current, count;
    void *host_sp, *host_fake;
    const void *host_bottom;
    size_t host_size;
    const char *kernel;
    std::function<void()> body;
    std::vector<char> dynamic;
    int or_result, or_next, reverse;
    int mma_done;                   /* D of this warp's tensor instruction is there               */
    float D[16][8];
    /* the runtime */
    int error, sticky;
    int fail_malloc_in, fault_in, no_device;                  /* counters of injected faults     */
    long allocated;
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

static inline void grpo_shim_to_fiber(int i) {
    grpo_shim_state &s = grpo_shim();
    s.current = i;
    threadIdx = dim3((unsigned)i);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&s.host_fake, s.fibers[i].stack, GRPO_SHIM_STACK);
#endif
    grpo_shim_switch(&s.host_sp, s.fibers[i].sp);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(s.host_fake, NULL, NULL);
#endif
}

static inline void grpo_shim_to_host(int last) {
    grpo_shim_state &s = grpo_shim();
    grpo_shim_fiber &f = s.fibers[s.current];
    (void)last;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(last ? NULL : &f.fake, s.host_bottom, s.host_size);
#endif
    grpo_shim_switch(&f.sp, s.host_sp);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(f.fake, NULL, NULL);
#endif
}

static void grpo_shim_begin() {
    grpo_shim_state &s = grpo_shim();
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(NULL, &s.host_bottom, &s.host_size);
#endif
    s.body();
    s.fibers[s.current].done = 1;
    grpo_shim_to_host(1);
}

static inline void grpo_shim_make(int i) {
    grpo_shim_fiber &f = grpo_shim().fibers[i];
    void **top;
    if (!f.stack) f.stack = (char *)malloc(GRPO_SHIM_STACK);
    top = (void **)(((uintptr_t)f.stack + GRPO_SHIM_STACK) & ~(uintptr_t)63);
    top -= GRPO_SHIM_SAVED + 1;     /* on x86-64 the entry then sees its stack as after a call   */
#if defined(__aarch64__)
    top--;
#endif
    memset(top, 0, (GRPO_SHIM_SAVED + 1) * sizeof *top);
    top[GRPO_SHIM_ENTRY] = (void *)(uintptr_t)grpo_shim_begin;
    f.sp = top;
    f.done = 0;
    f.state = GRPO_SHIM_RUNS;
    f.first_group = f.last_group = 0;
    f.copies[0].clear();
}

static inline void grpo_shim_wait(int what) {
    grpo_shim_state &s = grpo_shim();
    s.fibers[s.current].state = what;
    grpo_shim_to_host(0);
}

static inline void grpo_shim_stuck() {
    grpo_shim_state &s = grpo_shim();
    int i;
    fprintf(stderr, "shim: %s, block (%u, %u, %u): the threads wait for different things:\n",
            s.kernel, blockIdx.x, blockIdx.y, blockIdx.z);
    for (i = 0; i < s.count; i++)
        fprintf(stderr, "%s%d:%s", i % 16 ? " " : "\n  ", i, s.fibers[i].done ? "ended"
                : s.fibers[i].state == GRPO_SHIM_BLOCK ? "block" : "warp");
    fprintf(stderr, "\n");
    abort();
}

/* Run a warp until its lanes have ended or wait for the block. */
static inline void grpo_shim_run_warp(int first, int reverse) {
    grpo_shim_state &s = grpo_shim();
    int i, waiting;
    do {
        for (waiting = i = 0; i < 32; i++) {
            grpo_shim_fiber &f = s.fibers[first + (reverse ? 31 - i : i)];
            if (f.done) continue;
            if (f.state != GRPO_SHIM_BLOCK) grpo_shim_to_fiber(first + (reverse ? 31 - i : i));
            waiting += !f.done && f.state == GRPO_SHIM_WARP;
        }
        if (waiting && waiting != 32) grpo_shim_stuck();      /* all lanes take part, always     */
    } while (waiting);
}

static inline void grpo_shim_run_block() {
    grpo_shim_state &s = grpo_shim();
    int i, live = s.count, warps = s.count / 32;
    if (!s.dynamic.empty()) memset(s.dynamic.data(), 0xff, s.dynamic.size());
    for (i = 0; i < s.count; i++) grpo_shim_make(i);
    while (live) {
        for (i = 0; i < warps; i++)
            grpo_shim_run_warp(32 * (s.reverse ? warps - 1 - i : i), s.reverse);
        for (live = i = 0; i < s.count; i++) {                /* those left are at the barrier   */
            live += !s.fibers[i].done;
            s.fibers[i].state = GRPO_SHIM_RUNS;
        }
        s.or_result = s.or_next;
        s.or_next = 0;
    }
}

/* ---- what threads do together */
static inline grpo_shim_fiber &grpo_shim_me() { return grpo_shim().fibers[grpo_shim().current]; }

static inline float grpo_shim_half(uint32_t two, int which) {
    return __uint_as_float(which ? two & 0xffff0000u : two << 16);
}

static inline void __syncthreads() { grpo_shim_wait(GRPO_SHIM_BLOCK); }
static inline int __syncthreads_or(int x) {
    grpo_shim().or_next |= x != 0;  /* read before any thread can come to the next one           */
    grpo_shim_wait(GRPO_SHIM_BLOCK);
    return grpo_shim().or_result;
}
static inline void __syncwarp() { grpo_shim_wait(GRPO_SHIM_WARP); }

/* Everyone leaves something in gift[turn]; then all see all, until they have met again. */
static inline float *grpo_shim_gift() {
    grpo_shim_fiber &f = grpo_shim_me();
    f.turn ^= 1;
    return f.gift[f.turn];
}
static inline const float *grpo_shim_of(int lane) {
    grpo_shim_state &s = grpo_shim();
    grpo_shim_fiber &f = s.fibers[s.current / 32 * 32 + lane];
    return f.gift[s.fibers[s.current].turn];
}

template <typename T> T __shfl_xor_sync(unsigned, T x, int mask) {
    T y;
    memcpy(grpo_shim_gift(), &x, sizeof x);
    grpo_shim_wait(GRPO_SHIM_WARP);
    memcpy(&y, grpo_shim_of((int)threadIdx.x % 32 ^ mask), sizeof y);
    return y;
}

/* The PTX manual's layout: see grpo__mma. Sums in fp32, in the order of k. The first lane that goes
 * on computes D = A B for all. */
static inline void grpo_shim_mma_all(float D[16][8]) {
    float A[16][16], B[16][8];
    int lane, e, i, j, k;
    for (lane = 0; lane < 32; lane++) {
        const float *x = grpo_shim_of(lane);
        int g = lane / 4, t = lane % 4 * 2;
        for (e = 0; e < 8; e++) A[g + e / 2 % 2 * 8][t + e / 4 * 8 + e % 2] = x[e];
        for (e = 0; e < 4; e++) B[t + e / 2 * 8 + e % 2][g] = x[8 + e];
        for (e = 0; e < 4; e++) D[g + e / 2 * 8][t + e % 2] = x[12 + e];
    }
    for (i = 0; i < 16; i++)
        for (k = 0; k < 16; k++)
            for (j = 0; j < 8; j++) D[i][j] += A[i][k] * B[k][j];
}

static inline void grpo_shim_mma_m16n8k16_bf16(float d[4], const uint32_t a[4], const uint32_t b[2],
                                               const float c[4]) {
    grpo_shim_state &s = grpo_shim();
    int lane = (int)threadIdx.x % 32, e;
    float *mine = grpo_shim_gift();
    for (e = 0; e < 8; e++) mine[e] = grpo_shim_half(a[e / 2], e % 2);
    for (e = 0; e < 4; e++) mine[8 + e] = grpo_shim_half(b[e / 2], e % 2);
    for (e = 0; e < 4; e++) mine[12 + e] = c[e];
    s.mma_done = 0;
    grpo_shim_wait(GRPO_SHIM_WARP);
    if (!s.mma_done) grpo_shim_mma_all(s.D);
    s.mma_done = 1;
    for (e = 0; e < 4; e++) d[e] = s.D[lane / 4 + e / 2 * 8][lane % 4 * 2 + e % 2];
}

static inline void grpo_shim_ldmatrix_x4(uint32_t r[4], const void *row, int turned) {
    int lane = (int)threadIdx.x % 32, i, h;
    if ((uintptr_t)row % 16) { fprintf(stderr, "shim: ldmatrix: unaligned row\n"); abort(); }
    memcpy(grpo_shim_gift(), &row, sizeof row);
    grpo_shim_wait(GRPO_SHIM_WARP);
    for (i = 0; i < 4; i++)
        for (r[i] = 0, h = 0; h < 2; h++) {
            int line = lane / 4, at = lane % 4 * 2 + h;
            const uint16_t *from;
            memcpy(&from, grpo_shim_of(8 * i + (turned ? at : line)), sizeof from);
            r[i] |= (uint32_t)from[turned ? line : at] << 16 * h;
        }
}

/* ---- asynchronous copies happen when they are waited for, not before */
static inline void grpo_shim_cp_async16(void *to, const void *from, int valid) {
    grpo_shim_fiber &f = grpo_shim_me();
    if ((uintptr_t)to % 16 || (valid && (uintptr_t)from % 16)) {
        fprintf(stderr, "shim: %s: cp.async of unaligned memory\n", grpo_shim().kernel);
        abort();
    }
    f.copies[f.last_group % 64].push_back([=]() {
        memset(to, 0, 16);
        if (valid) memcpy(to, from, (size_t)valid);
    });
}
static inline void grpo_shim_cp_commit() {
    grpo_shim_fiber &f = grpo_shim_me();
    f.copies[++f.last_group % 64].clear();
}
static inline void grpo_shim_cp_wait(int left) {
    grpo_shim_fiber &f = grpo_shim_me();
    for (; f.last_group - f.first_group > left; f.first_group++)
        for (size_t i = 0; i < f.copies[f.first_group % 64].size(); i++)
            f.copies[f.first_group % 64][i]();
}
static inline void *grpo_shim_dynamic() {
    return (void *)(((uintptr_t)grpo_shim().dynamic.data() + 127) & ~(uintptr_t)127);
}

/* ---- the runtime */
typedef int cudaError_t;
typedef int cudaStream_t;
enum { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2,
       cudaErrorInvalidConfiguration = 9, cudaErrorInsufficientDriver = 35, cudaErrorNoDevice = 100,
       cudaErrorIllegalAddress = 700 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
enum { cudaStreamNonBlocking = 1, cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
       cudaDevAttrMultiProcessorCount = 16, cudaDevAttrComputeCapabilityMajor = 75 };
enum { GRPO_SHIM_CANARY = 64 };

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
static inline cudaError_t cudaGetDevice(int *device) {
    *device = 0;
    return grpo_shim_code(grpo_shim().no_device);
}
static inline cudaError_t cudaDeviceGetAttribute(int *value, int which, int) {
    const char *sm = getenv("GRPO_SHIM_SM");
    *value = which == cudaDevAttrMultiProcessorCount ? 4 : (sm ? atoi(sm) : 80) / 10;
    return grpo_shim_code(0);
}
static inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, int) {
    *s = 1;
    return grpo_shim_code(0);
}
static inline cudaError_t cudaStreamDestroy(cudaStream_t) { return grpo_shim_code(0); }
static inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return grpo_shim_code(0); }

static inline cudaError_t cudaMalloc(void **memory, size_t size) {
    grpo_shim_state &s = grpo_shim();
    char *at = NULL;
    *memory = NULL;
    if (s.sticky || (s.fail_malloc_in && --s.fail_malloc_in == 0))
        return grpo_shim_code(cudaErrorMemoryAllocation);
    if (posix_memalign((void **)&at, 256, size + 256 + GRPO_SHIM_CANARY))
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
    free(at - 256);
    grpo_shim().allocated--;
    return grpo_shim_code(0);
}
static inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, cudaMemcpyKind,
                                          cudaStream_t) {
    if (!grpo_shim().sticky) memcpy(to, from, size);
    return grpo_shim_code(0);
}
static inline cudaError_t cudaMemsetAsync(void *to, int value, size_t size, cudaStream_t) {
    if (!grpo_shim().sticky) memset(to, value, size);
    return grpo_shim_code(0);
}
template <typename Kernel> cudaError_t cudaFuncSetAttribute(Kernel, int, int bytes) {
    return grpo_shim_code(bytes > 227 * 1024 ? cudaErrorInvalidValue : cudaSuccess);
}

template <typename Body>
void grpo_shim_launch(const char *kernel, dim3 grid, dim3 block, size_t shared, Body body) {
    grpo_shim_state &s = grpo_shim();
    unsigned x, y, z;
    if (!grid.x || !grid.y || !grid.z || grid.y > 65535 || grid.z > 65535 || !block.x
        || block.x > GRPO_SHIM_MOST || block.x % 32) {
        grpo_shim_code(cudaErrorInvalidConfiguration);
        return;
    }
    if (s.fault_in && --s.fault_in == 0) s.sticky = cudaErrorIllegalAddress;
    if (s.sticky) { grpo_shim_code(0); return; }
    s.kernel = kernel;
    s.reverse = getenv("GRPO_SHIM_ORDER") && !strcmp(getenv("GRPO_SHIM_ORDER"), "reverse");
    s.body = body;
    s.count = (int)block.x;
    s.dynamic.assign(shared ? shared + 128 : 0, (char)0xff);
    gridDim = grid;
    blockDim = block;
    for (z = 0; z < grid.z; z++)
        for (y = 0; y < grid.y; y++)
            for (x = 0; x < grid.x; x++) {
                blockIdx.x = x; blockIdx.y = y; blockIdx.z = z;
                grpo_shim_run_block();
            }
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

#define GRPO__LAUNCH(kernel, grid, block, shared, stream, ...)                                    \
    grpo_shim_launch(#kernel, grid, block, (size_t)(shared), [=]() { kernel(__VA_ARGS__); })
#endif
