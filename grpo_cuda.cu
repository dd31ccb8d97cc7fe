/* grpo_cuda.cu - the same training on an NVIDIA GPU. The second, optional file of grpo.h.
 *
 *     nvcc -O3 -arch=native -c grpo_cuda.cu            (CUDA 12 or newer, any GPU it knows)
 *     config.backend = grpo_cuda();                    in the program, which links grpo_cuda.o
 *                                                      and -lcudart
 *
 * The algorithm is not here: grpo.h runs it over a table of operations, and this file is another
 * such table. Weights, optimizer state, activations, K/V, logits and sampling live on the device;
 * tokens, masks and advantages go up, samples and a few scalars come down. The CUDA runtime is all
 * it needs.
 *
 *     grpo_cuda()        bf16 activations and operands on tensor cores, fp32 sums and fp32 weights
 *                        (sm_80 and up; on older cards the next one)
 *     grpo_cuda_fp32()   plain kernels in fp32: the definition that the fast ones are tested by
 *     grpo_cuda_hopper() as grpo_cuda(), but products by what only sm_90a has, wgmma and the bulk
 *                        copy engine (-gencode=arch=compute_90a,code=sm_90a). NOT YET RUN ON A CARD
 *                        and so nobody's default: tested on the CPU by what the PTX manual says
 *
 * What holds of the ten promises of grpo.h:
 *   - The sampler's log-probs are the trainer's, bit for bit, in all three: every product sums k in
 *     slices of the same size by the same instruction, whatever the tile, and whoever computes a
 *     slice; attention takes keys in the same blocks for one row as for sixty-four;
 *     no row's result depends on the other rows. There is no faster mode that gives this up.
 *     Of tensor cores it is deduced, not seen: a card has to pass make cuda-test first. Logits
 *     that are written (with filters; by grpo_cuda_hopper()) are bf16: 0.01 nat a token, in both.
 *   - Two runs give the same bits: no atomics on floats, and every sum has a fixed order.
 *   - fp32 gradients do not depend on the micro-batch split. bf16's do: a gradient's sum over rows
 *     is in groups of 16 rows or more, counted from the start of each pass.
 *   - A product in fp32 has the CPU's bits: one chain of fused multiply-adds in the order of k.
 *
 *     >>runtime     context, errors, memory              >>attention   plain, flash, and backward
 *     >>rows        gather, embedding, norm, SwiGLU       >>logits      log-probs, KL, sampling
 *     >>matmul      plain; PTX; tensor cores; wgmma       >>optimizer   AdamW, norms
 *     >>rotate      positions, q/k norm                   >>tables      the three backends
 *
 * Public domain or MIT, like grpo.h. */
#include "grpo.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef GRPO_CUDA_SHIM              /* a test's stand-in for the device, tests/cuda_shim.h        */
#include <cuda.h>                   /* types of tensor maps; nothing of it is linked              */
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#define GRPO__LAUNCH(name, ...) grpo__launch(__VA_ARGS__)
#define GRPO__DYNAMIC(name) extern __shared__ __align__(128) unsigned char name[]
#else
#define GRPO__DYNAMIC(name) unsigned char *name = (unsigned char *)grpo_shim_dynamic()
#endif

typedef __nv_bfloat16 grpo__bf16;

/* ------------------------------------------------------------------------------- the numbers --
 * Sizes that fix the order of sums, and so the bits, come first; the others are for speed. */
enum { GRPO__SLICE = 256,           /* k of a product is summed in slices of this length         */
       GRPO__KEYS = 64,             /* keys of flash attention summed separately, then combined  */
       GRPO__ROW_THREADS = 256,     /* threads that reduce a row: norms, vocabulary              */
       GRPO__SQUARES = 1 << 14,     /* numbers of a partial sum of squares                       */
       GRPO__ROWS = 8192,           /* of a pass; a product of fewer leaves multiprocessors idle */
       GRPO__LOGITS = 1 << 28,      /* at a time: enough rows to amortise loading W and dW       */
       GRPO__TICKS = 32,            /* between two polls by the host for ended sequences         */
       GRPO__EARLY = CUDART_VERSION >= 12030,                 /* 0: kernels never overlap        */
       GRPO__STEP = 32,             /* k of a product that is loaded at a time                   */
       GRPO__QUERIES = 64,          /* query rows of a block of flash attention                  */
       GRPO__BACKWARD_QUERIES = 32,
       GRPO__SHARE = 256,           /* least query rows of a block, where a group is split       */
       GRPO__SHARES = 8,            /*     into blocks, and the most such blocks                 */
       GRPO__PAD = 8,               /* elements after each row in shared memory, so that ldmatrix
                                       has no bank conflicts                                     */
       GRPO__PARTIAL_MB = 64,       /* megabytes of partial sums at most                         */
       GRPO__TICKETS = 1024,        /* most tiles whose slices are in different blocks           */
       GRPO__STRIP = 32,            /* columns of logits that have one partial sum               */
       GRPO__DEPTH = 64,            /* wgmma: k of a step, 128 bytes, the widest swizzle         */
       GRPO__WIDTH = 128,           /* columns of a tile: n of the one instruction used          */
       GRPO__BAND = 16,             /* rows of tiles whose columns are taken one after the other */
       GRPO__CHUNK = 64 * 128 };    /* bytes of 64 lines of a step                               */

/* --------------------------------------------------------------------------------- >>runtime --
 * Everything is queued on one stream. The first error of the device is stored as a sentence, for
 * which grpo.h asks before it uses a result. */
typedef decltype(&cuTensorMapEncodeTiled) grpo__encode_map;

typedef struct grpo__cuda {
    cudaStream_t stream;
    int    device;                  /* the caller's when it was opened: all calls choose it      */
    int    multiprocessors;
    int    early;                   /* kernels may be launched before the previous one has ended */
    grpo__encode_map encode_map;    /* the driver's; NULL: products by mma.sync                  */
    void  *scratch;                 /* device; grows to what the largest operation needs         */
    size_t scratch_size;
    cudaGraphExec_t graph;          /* of the last repeat()                                      */
    int   *tickets;                 /* device [8 GRPO__TICKETS], zeros between kernels           */
    int    failed;
    char   error[GRPO_ERROR_LENGTH];
} grpo__cuda;

static int grpo__blocks_of(size_t n, int size) {
    return (int)((n + (size_t)size - 1) / (size_t)size);
}

static void grpo__check_cuda(grpo__cuda *c, cudaError_t code, const char *what) {
    if (code == cudaSuccess || c->failed) return;
    c->failed = 1;
    snprintf(c->error, sizeof c->error, "the GPU failed in %s: %s (%s)%s", what,
             cudaGetErrorString(code), cudaGetErrorName(code),
             code == cudaErrorMemoryAllocation
             ? "; a smaller batch or memory_budget needs less" : "");
}

/* The context of a call, whose device becomes the calling thread's. */
static grpo__cuda *grpo__cuda_of(void *context) {
    grpo__cuda *c = (grpo__cuda *)context;
    cudaSetDevice(c->device);
    return c;
}

/* While a graph is recorded, most kernels of one token are launched early, before the previous one
 * has ended (programmatic dependent launch, sm_90 and up): each lets the next one begin, and waits
 * for the previous one before it reads or writes anything but weights. */
#ifndef GRPO_CUDA_SHIM
__device__ __forceinline__ void grpo__wait_for_previous() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;\n\tgriddepcontrol.wait;" ::: "memory");
#endif
}

template <typename... P, typename... A>
static cudaError_t grpo__launch(cudaStream_t stream, int early, void (*kernel)(P...), int cluster,
                                dim3 grid, int block, size_t shared, const A &...arguments) {
    cudaLaunchAttribute attributes[2] = { };
    cudaLaunchConfig_t how = { };
    attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[0].val.programmaticStreamSerializationAllowed = 1;
    attributes[1].id = cudaLaunchAttributeClusterDimension;
    attributes[1].val.clusterDim = { (unsigned)cluster, 1, 1 };
    how.gridDim = grid; how.blockDim = dim3((unsigned)block); how.dynamicSmemBytes = shared;
    how.stream = stream; how.attrs = attributes + !early; how.numAttrs = early + (cluster > 1);
    return cudaLaunchKernelEx(&how, kernel, arguments...);
}
#endif

/* Launch on the context's stream, and check for launch errors. RUN_EARLY: of a kernel that calls
 * grpo__wait_for_previous(). */
#define GRPO__LAUNCH_IF(c, early, cluster, kernel, grid, block, shared, ...) do {                 \
        if (!(c)->failed)                                                                         \
            grpo__check_cuda(c, GRPO__LAUNCH(#kernel, (c)->stream, early, kernel, cluster, grid,  \
                                             block, (size_t)(shared), __VA_ARGS__), #kernel);     \
    } while (0)
#define GRPO__RUN(c, ...) GRPO__LAUNCH_IF(c, 0, 1, __VA_ARGS__)
#define GRPO__RUN_EARLY(c, ...) GRPO__LAUNCH_IF(c, (c)->early, 1, __VA_ARGS__)

/* Device memory, valid until the next call; NULL after a failure. Growing waits for queued work. */
static void *grpo__cuda_scratch(grpo__cuda *c, size_t size) {
    if (size > c->scratch_size && !c->failed) {
        grpo__check_cuda(c, cudaStreamSynchronize(c->stream), "waiting for work to end");
        cudaFree(c->scratch);
        c->scratch = NULL;
        c->scratch_size = 0;
        grpo__check_cuda(c, cudaMalloc(&c->scratch, size), "finding room for scratch space");
        if (!c->failed) c->scratch_size = size;
    }
    return c->failed ? NULL : c->scratch;
}

/* Scratch allocated at open: for partial sums and, where logits are written too, for strips. It
 * grows only for passes of more than some million rows times heads. */
static size_t grpo__scratch_size(const grpo_config *config) {
    int keeps = config->objective.kl == GRPO_KL_FULL && config->objective.beta > 0;
    return ((size_t)GRPO__PARTIAL_MB << 20) + (keeps ? (size_t)GRPO__LOGITS / 2 : 0);
}

static size_t grpo__cuda_context_size(const grpo_config *config) {
    return sizeof(grpo__cuda) + grpo__scratch_size(config);
}

static void grpo__cuda_close(void *context) {
    grpo__cuda *c = grpo__cuda_of(context);
    if (c->graph) cudaGraphExecDestroy(c->graph);
    cudaFree(c->scratch);
    cudaFree(c->tickets);
    if (c->stream) cudaStreamDestroy(c->stream);
    free(c);
}

/* An error text if there is no card, or no driver that fits it; else NULL. */
static const char *grpo__cuda_missing(char *error) {
    int count = 0;
    cudaError_t code = cudaGetDeviceCount(&count);
    if (code == cudaSuccess && count > 0) return NULL;
    if (code == cudaErrorInsufficientDriver)
        snprintf(error, GRPO_ERROR_LENGTH, "the NVIDIA driver is missing, or older than this "
                 "program's CUDA runtime: install or update it, or build with an older toolkit");
    else
        snprintf(error, GRPO_ERROR_LENGTH, "no NVIDIA GPU to be used: %s (is the driver loaded, "
                 "and CUDA_VISIBLE_DEVICES not empty?)", cudaGetErrorString(code));
    cudaGetLastError();
    return error;
}

static void grpo__cuda_zero(void *context, void *memory, size_t size) {
    grpo__cuda *c = grpo__cuda_of(context);
    if (size && !c->failed)
        grpo__check_cuda(c, cudaMemsetAsync(memory, 0, size, c->stream), "clearing memory");
}

static void *grpo__cuda_open(const grpo_config *config, char *error) {
    grpo__cuda *c;
    if (grpo__cuda_missing(error)) return NULL;
    c = (grpo__cuda *)calloc(1, sizeof *c);
    if (!c) {
        snprintf(error, GRPO_ERROR_LENGTH, "out of memory");
        return NULL;
    }
    grpo__check_cuda(c, cudaGetDevice(&c->device), "choosing a device");
    grpo__check_cuda(c, cudaDeviceGetAttribute(&c->multiprocessors,
                                               cudaDevAttrMultiProcessorCount, c->device),
                     "asking for the device's size");
    grpo__check_cuda(c, cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking),
                     "making a stream");
    grpo__cuda_scratch(c, grpo__scratch_size(config));
    grpo__check_cuda(c, cudaMalloc((void **)&c->tickets, 8 * GRPO__TICKETS * sizeof(int)),
                     "finding room for tickets");
    grpo__cuda_zero(c, c->tickets, 8 * GRPO__TICKETS * sizeof(int));
    if (!c->failed) return c;
    memcpy(error, c->error, sizeof c->error);
    grpo__cuda_close(c);
    return NULL;
}

static const char *grpo__cuda_error(void *context) {
    grpo__cuda *c = grpo__cuda_of(context);
    grpo__check_cuda(c, cudaStreamSynchronize(c->stream), "a kernel");
    return c->failed ? c->error : NULL;
}

static void *grpo__cuda_allocate(void *context, size_t size) {
    void *memory = NULL;
    grpo__cuda_of(context);
    if (cudaMalloc(&memory, size) == cudaSuccess) return memory;
    cudaGetLastError();             /* grpo_new() reports the lack of memory                     */
    return NULL;
}

static void grpo__cuda_release(void *context, void *memory) {
    grpo__check_cuda(grpo__cuda_of(context), cudaFree(memory), "giving memory back");
}

static void grpo__cuda_copy(grpo__cuda *c, void *to, const void *from, size_t size,
                            cudaMemcpyKind kind) {
    if (!size || c->failed) return;
    grpo__check_cuda(c, cudaMemcpyAsync(to, from, size, kind, c->stream), "a copy");
    grpo__check_cuda(c, cudaStreamSynchronize(c->stream), "a kernel");        /* host is free   */
}

static void grpo__cuda_upload(void *context, void *to, const void *from, size_t size) {
    grpo__cuda_copy(grpo__cuda_of(context), to, from, size, cudaMemcpyHostToDevice);
}

/* After a failure the host reads zeros, never uninitialised memory. */
static void grpo__cuda_download(void *context, void *to, const void *from, size_t size) {
    grpo__cuda *c = grpo__cuda_of(context);
    grpo__cuda_copy(c, to, from, size, cudaMemcpyDeviceToHost);
    if (c->failed && size) memset(to, 0, size);
}

/* May kernels be launched early? By card, driver, and what they were compiled for. */
static __global__ void grpo__next_kernel(grpo_tick t);
static int grpo__may_be_early(grpo__cuda *c) {
    cudaFuncAttributes kernel = { };
    int major = 0, driver = 0;
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, c->device);
    cudaDriverGetVersion(&driver);
    cudaFuncGetAttributes(&kernel, grpo__next_kernel);
    return GRPO__EARLY && major >= 9 && driver >= 12030 && kernel.ptxVersion >= 90;
}

/* Records work as a graph in c->graph: updates the previous graph's arguments if both have the same
 * shape, else instantiates it anew. */
static void grpo__cuda_record(grpo__cuda *c, void (*work)(void *user), void *user) {
    cudaGraph_t graph = NULL;
    cudaGraphExecUpdateResultInfo why;
    grpo__check_cuda(c, cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeRelaxed),
                     "beginning to record a graph");
    if (c->failed) return;
    c->early = grpo__may_be_early(c);
    work(user);
    c->early = 0;
    grpo__check_cuda(c, cudaStreamEndCapture(c->stream, &graph), "recording a graph");
    if (graph && c->graph && cudaGraphExecUpdate(c->graph, graph, &why) != cudaSuccess) {
        cudaGetLastError();
        cudaGraphExecDestroy(c->graph);
        c->graph = NULL;
    }
    if (graph && !c->graph && cudaGraphInstantiate(&c->graph, graph, 0) != cudaSuccess) {
        cudaGetLastError();         /* no memory for a graph: launch each kernel instead         */
        c->graph = NULL;
    }
    if (graph) cudaGraphDestroy(graph);
}

/* The first time directly, which also allocates scratch space; then as a graph. */
static void grpo__cuda_repeat(void *context, void (*work)(void *user), void *user, int times) {
    grpo__cuda *c = grpo__cuda_of(context);
    int i, records = times > 2;
    if (times > 0) work(user);
    if (records && !c->failed) grpo__cuda_record(c, work, user);
    for (i = 1; i < times && !c->failed; i++)
        if (records && c->graph)
            grpo__check_cuda(c, cudaGraphLaunch(c->graph, c->stream), "a graph");
        else work(user);
}

/* ------------------------------------------------------------------------------------ >>rows --
 * Elements are float or bf16; all arithmetic is float. Kernels of this chapter move every byte
 * once: their floor is bytes / bandwidth. */
__device__ __forceinline__ float grpo__get(const float *x, size_t i) { return x[i]; }
__device__ __forceinline__ float grpo__get(const grpo__bf16 *x, size_t i) {
    return __bfloat162float(x[i]);
}
__device__ __forceinline__ void grpo__put(float *x, size_t i, float value) { x[i] = value; }
__device__ __forceinline__ void grpo__put(grpo__bf16 *x, size_t i, float value) {
    x[i] = __float2bfloat16(value);
}

#define GRPO__EACH(e, count) _Pragma("unroll") for (int e = 0; e < (count); e++)

/* N elements that a thread moves at once: 16 bytes, or one element where lengths or addresses are
 * not multiples of 16 bytes (which depends on the model alone, so that all passes do the same). A
 * register holds two of bf16. Beyond the end, if one is given, loads are zeros and stores are
 * dropped. */
template <typename T, int N> struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) grpo__vector {
    float x[N];
};
template <int N> struct alignas(N < 4 ? 4 : N < 8 ? 8 : 16) grpo__vector<grpo__bf16, N> {
    uint32_t x[(N + 1) / 2];
};
template <int N>
__device__ __forceinline__ float grpo__get(const grpo__vector<float, N> &v, int e) {
    return v.x[e];
}
template <int N>
__device__ __forceinline__ float grpo__get(const grpo__vector<grpo__bf16, N> &v, int e) {
    return __uint_as_float(e % 2 ? v.x[e / 2] & 0xffff0000u : v.x[e / 2] << 16);
}
template <int N>
__device__ __forceinline__ void grpo__put(grpo__vector<float, N> &v, int e, float value) {
    v.x[e] = value;
}
template <int N>
__device__ __forceinline__ void grpo__put(grpo__vector<grpo__bf16, N> &v, int e, float value) {
    grpo__bf16 x = __float2bfloat16(value);
    uint16_t bits;
    memcpy(&bits, &x, sizeof bits);
    v.x[e / 2] = e % 2 ? (v.x[e / 2] & 0xffffu) | (uint32_t)bits << 16
                       : (v.x[e / 2] & 0xffff0000u) | bits;
}
template <int N, typename T>
__device__ __forceinline__ grpo__vector<T, N> grpo__load_vector(const T *x, size_t i,
                                                                size_t end = SIZE_MAX) {
    grpo__vector<T, N> v = { };
    if (end != SIZE_MAX && i >= end) return v;
    if (sizeof(T) * N >= 4) return *(const grpo__vector<T, N> *)(const void *)(x + i);
    grpo__put(v, 0, grpo__get(x, i));
    return v;
}
template <int N, typename T>
__device__ __forceinline__ void grpo__store_vector(T *x, size_t i, const grpo__vector<T, N> &v,
                                                   size_t end = SIZE_MAX) {
    if (end != SIZE_MAX && i >= end) return;
    if (sizeof(T) * N >= 4) *(grpo__vector<T, N> *)(void *)(x + i) = v;
    else grpo__put(x, i, grpo__get(v, 0));
}

/* Are the number of bytes and these addresses multiples of 16? */
static int grpo__fits_vectors(size_t bytes, const void *a, const void *b, const void *c = NULL,
                              const void *d = NULL) {
    return (bytes | (uintptr_t)a | (uintptr_t)b | (uintptr_t)c | (uintptr_t)d) % 16 == 0;
}

/* run: GRPO__RUN or GRPO__RUN_EARLY */
#define GRPO__RUN_VECTORS(run, c, fits, kernel, E, grid, block, ...) do {                    \
        if (fits) run(c, (kernel<E, 16 / sizeof(E)>), grid, block, 0, __VA_ARGS__);          \
        else run(c, (kernel<E, 1>), grid, block, 0, __VA_ARGS__);                            \
    } while (0)

/* Sum, or MAX, over the `warps` warps of each row (default: the whole block), returned to all their
 * threads: in each warp by halves, then warps in order. */
template <bool MAX, typename T> __device__ __forceinline__ T grpo__joined(T x, T y) {
    return MAX ? (T)fmaxf((float)x, (float)y) : x + y;
}
template <typename T, bool MAX = false>
__device__ T grpo__block_sum(T x, int warps = (int)blockDim.x / 32) {
    __shared__ T parts[32];
    int i, first = (int)threadIdx.x / 32 / warps * warps;
    for (i = 16; i > 0; i /= 2) x = grpo__joined<MAX>(x, __shfl_xor_sync(0xffffffffu, x, i));
    if (warps == 1) return x;
    __syncthreads();                /* the previous result may still be read                     */
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    for (x = parts[first], i = 1; i < warps; i++) x = grpo__joined<MAX>(x, parts[first + i]);
    return x;
}
__device__ inline float grpo__block_max(float x) { return grpo__block_sum<float, true>(x); }

/* y[r] = x[rows[r]], in words of W bytes; a row is width words */
template <typename W>
__global__ void grpo__gather_rows_kernel(W *y, const W *x, const int *rows, size_t width) {
    size_t r = blockIdx.x, i;
    const W *from = x + (size_t)rows[r] * width;
    for (i = threadIdx.x; i < width; i += blockDim.x) y[r * width + i] = from[i];
}

static void grpo__cuda_gather(void *context, void *y, const void *x, const int *rows, int n,
                              size_t size) {
    grpo__cuda *c = grpo__cuda_of(context);
    uintptr_t all = (uintptr_t)y | (uintptr_t)x | (uintptr_t)size;
    if (n <= 0) return;
    if (all % 16 == 0)
        GRPO__RUN(c, grpo__gather_rows_kernel<uint4>, n, 128, 0, (uint4 *)y, (const uint4 *)x,
                  rows, size / 16);
    else
        GRPO__RUN(c, grpo__gather_rows_kernel<unsigned char>, n, 128, 0, (unsigned char *)y,
                  (const unsigned char *)x, rows, size);
}

/* ---- elements as floats, and back: to[r] = from[rows[r]], or one row if rows is NULL */
template <typename To, typename From, int N>
__global__ void grpo__convert_kernel(To *to, const From *from, const int *rows, size_t width) {
    size_t i = ((size_t)blockIdx.y * blockDim.x + threadIdx.x) * N;
    grpo__wait_for_previous();
    to += blockIdx.x * width;
    if (rows) from += (size_t)rows[blockIdx.x] * width;
    for (; i < width; i += (size_t)gridDim.y * blockDim.x * N) {
        grpo__vector<From, N> x = grpo__load_vector<N>(from, i);
        grpo__vector<To, N> y = { };
        GRPO__EACH(e, N) grpo__put(y, e, grpo__get(x, e));
        grpo__store_vector(to, i, y);
    }
}

/* Blocks of 256 threads for n elements, at least four a thread. */
static int grpo__flat_grid(size_t n) {
    size_t blocks = (n + 1023) / 1024;
    return (int)(blocks < 1 ? 1 : blocks > 8192 ? 8192 : blocks);
}

template <typename To, typename From>
static void grpo__convert(grpo__cuda *c, To *to, const From *from, size_t width,
                          const int *rows = NULL, int n = 1) {
    dim3 grid((unsigned)n, (unsigned)grpo__flat_grid(width));
    auto *convert = grpo__fits_vectors(4 * width, to, from) ? grpo__convert_kernel<To, From, 4>
                                                            : grpo__convert_kernel<To, From, 1>;
    if (n > 0 && width) GRPO__RUN_EARLY(c, convert, grid, 256, 0, to, from, rows, width);
}

template <typename E>
static void grpo__cuda_to_floats(void *context, float *to, const void *from, size_t n) {
    grpo__convert(grpo__cuda_of(context), to, (const E *)from, n);
}

template <typename E>
static void grpo__cuda_from_floats(void *context, void *to, const float *from, size_t n) {
    grpo__convert(grpo__cuda_of(context), (E *)to, from, n);
}

template <typename E>
static void grpo__cuda_embed(void *context, const grpo_embedding *o) {
    grpo__convert(grpo__cuda_of(context), (E *)o->x, o->table, (size_t)o->width, o->tokens, o->n);
}

/* ---- rows sorted by token, then row: keys (token, row), sorted in blocks by counting, then merged
 * in pairs. floor 16 bytes a row and merge, of which there are log2(n / 256) */
__device__ inline int grpo__first_from(const uint64_t *keys, int low, int high, uint64_t key) {
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (keys[middle] < key) low = middle + 1;
        else high = middle;
    }
    return low;
}

static __global__ void grpo__sort_kernel(uint64_t *keys, const int *tokens, int n) {
    __shared__ uint64_t block[GRPO__ROW_THREADS];
    int at = (int)(blockIdx.x * GRPO__ROW_THREADS), r = at + (int)threadIdx.x, i;
    uint64_t key = r < n ? (uint64_t)tokens[r] << 32 | (uint64_t)r : UINT64_MAX;
    block[threadIdx.x] = key;
    __syncthreads();
    for (i = 0; i < GRPO__ROW_THREADS; i++) at += block[i] < key;
    if (r < n) keys[at] = key;
}

/* A key's index: its own in its run plus the number of smaller keys in the other run. */
static __global__ void grpo__merge_kernel(uint64_t *to, const uint64_t *from, int n, int run) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x), other = min(n, (i / run ^ 1) * run);
    if (i < n)
        to[(i / run & ~1) * run + i % run - other
           + grpo__first_from(from, other, min(n, other + run), from[i])] = from[i];
}

static const uint64_t *grpo__rows_by_token(grpo__cuda *c, const int *tokens, int n) {
    uint64_t *keys = (uint64_t *)grpo__cuda_scratch(c, 2 * (size_t)n * sizeof *keys);
    uint64_t *other = keys + n, *merged;
    int blocks = grpo__blocks_of((size_t)n, GRPO__ROW_THREADS), run;
    GRPO__RUN(c, grpo__sort_kernel, blocks, GRPO__ROW_THREADS, 0, keys, tokens, n);
    for (run = GRPO__ROW_THREADS; run < n; run *= 2, merged = other, other = keys, keys = merged)
        GRPO__RUN(c, grpo__merge_kernel, blocks, GRPO__ROW_THREADS, 0, other, keys, n, run);
    return keys;
}

/* ---- sums over rows: gradients of biases, of gains and of the embedding. floor 2 bytes an element
 * of bf16, and a few percent more for partial sums; fp32 has none, but adds all rows in order. */
template <typename E> struct grpo__sum_job {
    float *y;                       /* [blocks, width] = sum of x, or of x * by * scale[r]       */
    const E *x, *by;
    const float *scale;
    const int *rows, *slots;        /* row r of by: rows[r]; of x: part r % parts of row         */
    const uint64_t *keys;           /* slots[r / parts], or that of key r. Each may be NULL: r.  */
                                    /* by only where a vector is one element                     */
    unsigned parts;
    int n, width;
    int block, lanes, add;          /* rows of a block; threads of a row; 1: accumulate into y   */
};

/* In the first `lanes` threads t: sum += those of threads t + lanes, t + 2 lanes, ..., in order. */
template <int N> __device__ __forceinline__ void grpo__add_abreast(float sum[N], int lanes) {
    __shared__ grpo__vector<float, N> parts[GRPO__ROW_THREADS];
    int t = (int)threadIdx.x;
    __syncthreads();                /* the previous sums may still read parts                    */
    GRPO__EACH(e, N) parts[t].x[e] = sum[e];
    __syncthreads();
    for (t += lanes; (int)threadIdx.x < lanes && t < (int)blockDim.x; t += lanes)
        GRPO__EACH(e, N) sum[e] += parts[t].x[e];
}

/* `lanes` threads share a row, N columns each; groups of that many threads take the block's rows
 * round robin, 16 loads at a time. With keys a block sums one token's rows, in one group: k rows
 * take k / 16 round trips to memory, while other blocks run. */
template <typename E, int N>
__global__ void __launch_bounds__(GRPO__ROW_THREADS, 2) grpo__sum_rows_kernel(grpo__sum_job<E> t) {
    enum { AHEAD = 16 };
    size_t W = (size_t)t.width, i = (blockIdx.y * t.lanes + threadIdx.x % t.lanes) * (size_t)N;
    size_t to = blockIdx.x;
    unsigned at[AHEAD];
    int r = (int)blockIdx.x * t.block, end = min(t.n, r + t.block);
    int step = (int)blockDim.x / t.lanes, leads = (int)threadIdx.x < t.lanes;
    grpo__vector<float, N> sum = { };
    grpo__vector<E, N> x[AHEAD];
    float by[AHEAD] = { };
    if (t.keys) {
        to = (size_t)(t.keys[r] >> 32);
        if (r && t.keys[r - 1] >> 32 == to) return;
        end = grpo__first_from(t.keys, r, t.n, (uint64_t)(to + 1) << 32);
    }
    if (t.add && leads) sum = grpo__load_vector<N>(t.y + to * W, i, W);
    for (r += (int)threadIdx.x / t.lanes; r < end && i < W; r += AHEAD * step) {
        GRPO__EACH(u, AHEAD) at[u] = (unsigned)min(r + u * step, end - 1);
        if (t.slots)
            GRPO__EACH(u, AHEAD)
                at[u] = (unsigned)(t.slots[at[u] / t.parts] * t.parts) + at[u] % t.parts;
        if (t.keys) GRPO__EACH(u, AHEAD) at[u] = (unsigned)t.keys[at[u]];
        GRPO__EACH(u, AHEAD) x[u] = grpo__load_vector<N>(t.x, at[u] * W + i);
        if (N == 1 && t.by)
            GRPO__EACH(u, AHEAD)
                by[u] = t.scale[at[u]] * grpo__get(t.by, (t.rows ? (unsigned)t.rows[at[u]] : at[u])
                                                         * W + i);
        GRPO__EACH(u, AHEAD)
            if (r + u * step < end)
                GRPO__EACH(e, N) sum.x[e] += grpo__get(x[u], e) * (N == 1 && t.by ? by[u] : 1.0f);
    }
    grpo__add_abreast<N>(sum.x, t.lanes);
    if (leads) grpo__store_vector(t.y + to * W, i, sum, W);
}

template <typename E>
static grpo__sum_job<E> grpo__new_sums(float *y, const void *x, int n, int width) {
    grpo__sum_job<E> t;
    memset(&t, 0, sizeof t);
    t.y = y; t.x = (const E *)x; t.n = t.block = n; t.width = width;
    t.add = t.parts = 1; t.lanes = 32;
    return t;
}

template <typename E>
static void grpo__run_sums(grpo__cuda *c, const grpo__sum_job<E> &t, int blocks, int threads,
                           int fits) {
    int columns = t.lanes * (fits ? 16 / (int)sizeof(E) : 1);
    dim3 grid((unsigned)blocks, (unsigned)grpo__blocks_of((size_t)t.width, columns));
    GRPO__RUN_VECTORS(GRPO__RUN, c, fits, grpo__sum_rows_kernel, E, grid, threads, t);
}

/* y += partial sums [n, width] */
static void grpo__add_partials(grpo__cuda *c, float *y, const float *partials, int n, int width) {
    grpo__sum_job<float> t = grpo__new_sums<float>(y, partials, n, width);
    t.lanes = 8;
    grpo__run_sums(c, t, 1, GRPO__ROW_THREADS, grpo__fits_vectors((size_t)width * 4, y, partials));
}

template <typename E> static void grpo__sum_rows(grpo__cuda *c, grpo__sum_job<E> t) {
    int fits = !t.by && grpo__fits_vectors((size_t)t.width * sizeof(E), t.x, NULL), blocks;
    int in_order = sizeof(E) == sizeof(float);
    float *y = t.y;
    if (in_order) { grpo__run_sums(c, t, 1, t.lanes, 0); return; }
    while (t.lanes > 1 && t.lanes * (fits ? 8 : 1) >= 2 * t.width) t.lanes /= 2;
    t.block = 16 * GRPO__ROW_THREADS / t.lanes;
    t.add = 0;
    blocks = grpo__blocks_of((size_t)t.n, t.block);
    t.y = (float *)grpo__cuda_scratch(c, (size_t)blocks * (size_t)t.width * sizeof(float));
    grpo__run_sums(c, t, blocks, GRPO__ROW_THREADS, fits);
    grpo__add_partials(c, y, t.y, blocks, t.width);
}

template <typename E>
static void grpo__cuda_embed_backward(void *context, const grpo_embedding *o) {
    grpo__cuda *c = grpo__cuda_of(context);
    grpo__sum_job<E> t = grpo__new_sums<E>(o->dtable, o->dx, o->n, o->width);
    if (o->n <= 0) return;
    t.keys = grpo__rows_by_token(c, o->tokens, o->n);
    t.block = 1;
    t.lanes = 64;
    grpo__run_sums(c, t, o->n, t.lanes,
                   grpo__fits_vectors((size_t)o->width * sizeof(E), o->dx, o->dtable));
}

/* ---- RMSNorm: y = x * rstd * gain. A row gets enough warps, up to all eight of the block, for
 * each thread to hold its vectors in registers; wider rows (than 8192 of bf16) are read twice. */
enum { GRPO__HELD = 4,              /* vectors in a thread's registers                           */
       GRPO__NORM_ROWS = 32 };      /* rows of a block, backward                                 */
static int grpo__row_warps(int width, int columns) {
    int warps = 1;
    while (warps < GRPO__ROW_THREADS / 32 && width > warps * 32 * GRPO__HELD * columns) warps *= 2;
    return warps;
}

/* floor 4 bytes an element of bf16 */
template <typename E, int N>
__global__ void __launch_bounds__(GRPO__ROW_THREADS)
grpo__rmsnorm_kernel(E *y, float *rstd, const E *x, const int *rows, const float *gain, int n,
                     int hidden, float eps, int warps) {
    int lanes = 32 * warps, r = (int)(blockIdx.x * (blockDim.x / lanes) + threadIdx.x / lanes);
    size_t H = r < n ? (size_t)hidden : 0, step = lanes * N, many = GRPO__HELD * step;
    size_t first = threadIdx.x % lanes * N, last = first, i;  /* last: of the vectors kept       */
    grpo__vector<E, N> v[GRPO__HELD] = { };
    float sum = 0, scale;
    grpo__wait_for_previous();
    x += (size_t)(rows && H ? rows[r] : r) * H;
    y += (size_t)r * H;
    for (i = first; i < H; last = i, i += many) {
        GRPO__EACH(k, GRPO__HELD) v[k] = grpo__load_vector<N>(x, i + k * step, H);
        GRPO__EACH(k, GRPO__HELD)
            GRPO__EACH(e, N) sum += grpo__get(v[k], e) * grpo__get(v[k], e);
    }
    scale = 1.0f / sqrtf(grpo__block_sum(sum, warps) / (float)hidden + eps);
    for (i = last; i + many > first; i -= many) {
        if (i != last) GRPO__EACH(k, GRPO__HELD) v[k] = grpo__load_vector<N>(x, i + k * step, H);
        GRPO__EACH(k, GRPO__HELD) {
            grpo__vector<float, N> g = grpo__load_vector<N>(gain, i + k * step, H);
            GRPO__EACH(e, N) grpo__put(v[k], e, grpo__get(v[k], e) * scale * g.x[e]);
            grpo__store_vector(y, i + k * step, v[k], H);
        }
    }
    if (H && first == 0) rstd[r] = scale;
}

/* With g = dy * gain:   dx += rstd * (g - x * rstd^2 * mean(g x)),   floor 8 bytes an element
 * partials, if not NULL: each block's sum of dy * x * rstd, for which it takes many rows */
template <typename E, int N>
__global__ void __launch_bounds__(GRPO__ROW_THREADS, 2)
grpo__rmsnorm_backward_kernel(E *dx, const E *dy, const E *x, const float *rstd, const int *rows,
                              const float *gain, float *partials, int n, int hidden, int warps) {
    int lanes = 32 * warps, r = (int)(blockIdx.x * GRPO__NORM_ROWS + threadIdx.x / lanes);
    int end = ((int)blockIdx.x + 1) * GRPO__NORM_ROWS;
    size_t step = lanes * N, many = GRPO__HELD * step, first = threadIdx.x % lanes * N, i;
    grpo__vector<float, N> dgain[GRPO__HELD] = { };
    for (; r < end; r += (int)blockDim.x / lanes) {
        size_t H = r < n ? (size_t)hidden : 0, last = first;
        size_t from = (size_t)(rows && H ? rows[r] : r) * H;
        float sum = 0, scale = H ? rstd[r] : 0.0f, mean;
        grpo__vector<E, N> d[GRPO__HELD] = { }, v[GRPO__HELD] = { }, to[GRPO__HELD] = { };
        auto load = [&]() {
            GRPO__EACH(k, GRPO__HELD) d[k] = grpo__load_vector<N>(dy + r * H, i + k * step, H);
            GRPO__EACH(k, GRPO__HELD) v[k] = grpo__load_vector<N>(x + from, i + k * step, H);
            GRPO__EACH(k, GRPO__HELD)
                to[k] = grpo__load_vector<N>((const E *)dx + from, i + k * step, H);
        };
        for (i = first; i < H; last = i, i += many) {
            load();
            GRPO__EACH(k, GRPO__HELD) {
                grpo__vector<float, N> g = grpo__load_vector<N>(gain, i + k * step, H);
                GRPO__EACH(e, N) sum += grpo__get(d[k], e) * g.x[e] * grpo__get(v[k], e);
            }
        }
        mean = grpo__block_sum(sum, warps) / (float)hidden * (scale * scale);
        for (i = last; i + many > first; i -= many) {
            if (i != last) load();
            GRPO__EACH(k, GRPO__HELD) {
                grpo__vector<float, N> g = grpo__load_vector<N>(gain, i + k * step, H);
                GRPO__EACH(e, N) {
                    float a = grpo__get(d[k], e), b = grpo__get(v[k], e);
                    grpo__put(to[k], e, grpo__get(to[k], e) + scale * (a * g.x[e] - b * mean));
                    dgain[k].x[e] += a * b * scale;
                }
                grpo__store_vector(dx + from, i + k * step, to[k], H);
            }
        }
    }
    if (partials)
        GRPO__EACH(k, GRPO__HELD) {
            grpo__add_abreast<N>(dgain[k].x, lanes);
            if ((int)threadIdx.x < lanes)
                grpo__store_vector(partials + blockIdx.x * (size_t)hidden, first + k * step,
                                   dgain[k], (size_t)hidden);
        }
}

template <typename E>
static void grpo__cuda_rmsnorm(void *context, const grpo_norm *o) {
    grpo__cuda *c = grpo__cuda_of(context);
    int fits = grpo__fits_vectors((size_t)o->width * sizeof(E), o->y, o->x, o->gain);
    int warps = grpo__row_warps(o->width, fits ? 16 / (int)sizeof(E) : 1);
    int blocks = grpo__blocks_of((size_t)o->n, GRPO__ROW_THREADS / 32 / warps);
    if (o->n > 0)
        GRPO__RUN_VECTORS(GRPO__RUN_EARLY, c, fits, grpo__rmsnorm_kernel, E, blocks,
                          GRPO__ROW_THREADS, (E *)o->y, o->rstd, (const E *)o->x, o->rows, o->gain,
                          o->n, o->width, o->eps, warps);
}

/* Gains' gradients in fp32, or of rows wider than a block's registers, are summed by a kernel of
 * their own. */
template <typename E>
static void grpo__cuda_rmsnorm_backward(void *context, const grpo_norm *o) {
    grpo__cuda *c = grpo__cuda_of(context);
    int fits = grpo__fits_vectors((size_t)o->width * sizeof(E), o->dx, o->dy, o->x, o->gain);
    int columns = fits ? 16 / (int)sizeof(E) : 1, warps = grpo__row_warps(o->width, columns);
    int blocks = grpo__blocks_of((size_t)o->n, GRPO__NORM_ROWS);
    float *partials = NULL;
    if (o->n <= 0) return;
    if (o->dgain && sizeof(E) == 2 && o->width <= warps * 32 * GRPO__HELD * columns)
        partials = (float *)grpo__cuda_scratch(c, (size_t)blocks * (size_t)o->width
                                                  * sizeof(float));
    else if (o->dgain) {
        grpo__sum_job<E> t = grpo__new_sums<E>(o->dgain, o->dy, o->n, o->width);
        t.by = (const E *)o->x; t.scale = o->rstd; t.rows = o->rows;
        grpo__sum_rows(c, t);
    }
    GRPO__RUN_VECTORS(GRPO__RUN, c, fits, grpo__rmsnorm_backward_kernel, E, blocks,
                      GRPO__ROW_THREADS, (E *)o->dx, (const E *)o->dy, (const E *)o->x,
                      (const float *)o->rstd, o->rows, o->gain, partials, o->n, o->width, warps);
    if (partials) grpo__add_partials(c, o->dgain, partials, blocks, o->width);
}

/* ---- SwiGLU: y = silu(gate) * up; silu'(x) = s (1 + x (1 - s)), s = sigmoid(x)
 * floor 6 bytes an element of bf16; backward, with dy, 10 */
template <typename E, int N>
__global__ void grpo__swiglu_kernel(E *to, const E *dy, const E *gate_up, int width) {
    size_t r = blockIdx.x, F = (size_t)width, i = (blockIdx.y * blockDim.x + threadIdx.x) * N;
    grpo__wait_for_previous();
    for (; i < F; i += gridDim.y * blockDim.x * N) {
        grpo__vector<E, N> gates = grpo__load_vector<N>(gate_up, 2 * r * F + i), d = gates;
        grpo__vector<E, N> ups = grpo__load_vector<N>(gate_up, (2 * r + 1) * F + i);
        if (dy) d = grpo__load_vector<N>(dy, r * F + i);
        GRPO__EACH(e, N) {
            float gate = grpo__get(gates, e), up = grpo__get(ups, e);
            float s = 1.0f / (1.0f + expf(-gate)), dup = grpo__get(d, e);
            grpo__put(ups, e, dy ? dup * gate * s : gate * s * up);
            grpo__put(gates, e, dup * up * s * (1.0f + gate * (1.0f - s)));
        }
        grpo__store_vector(to, (dy ? 2 * r + 1 : r) * F + i, ups);
        if (dy) grpo__store_vector(to, 2 * r * F + i, gates);
    }
}

template <typename E, bool BACKWARD>
static void grpo__cuda_swiglu(void *context, const grpo_swiglu *o) {
    size_t row = (size_t)o->width * sizeof(E);
    void *to = BACKWARD ? o->dgate_up : o->y;
    const void *dy = BACKWARD ? o->dy : NULL;
    dim3 grid((unsigned)o->n, (unsigned)grpo__blocks_of(row, 128 * 16));
    if (o->n > 0)
        GRPO__RUN_VECTORS(GRPO__RUN_EARLY, grpo__cuda_of(context),
                          grpo__fits_vectors(row, to, dy, o->gate_up), grpo__swiglu_kernel, E, grid,
                          128, (E *)to, (const E *)dy, (const E *)o->gate_up, o->width);
}

/* ---------------------------------------------------------------------------------- >>matmul --
 * C[m, n] = init + A[m, k] B[k, n]. The definition, on any type and strides: fused multiply-adds in
 * the order of k, dW in one chain, y and dx in blocks of 256 that are added to init, as on the
 * CPU. */
typedef struct alignas(16) grpo__strip { float top, sum, weighted, unused; } grpo__strip;

template <typename E> struct grpo__product {
    const E *a, *b;                 /* a[i * a_row + p * a_depth], b[p * b_depth + j * b_column]  */
    size_t a_row, a_depth, b_depth, b_column;
    int m, n, k;
    E *y;                           /* [m, n] = A B + bias[n] + residual[m, n], or               */
    size_t y_row;                   /* stride of the rows of y and residual                      */
    const float *bias;
    const E *residual;
    float *dw;                      /* [m, n] += A B, if not NULL                                */
    int    whole;                   /* where k is split: the first so many tiles are not         */
    float *partial;                 /* [split tiles, slices, tile], or NULL                      */
    int   *tickets;                 /* [split tiles, warps] how many slices are finished         */
    grpo__strip *strips;            /* [m, n / 32] of a head's product, or NULL                  */
    float inverse;                  /* 1 / T, for these                                          */
};

enum { GRPO__PLAIN_TILE = 32,       /* 32 x 32 outputs of 16 x 16 threads, k by 32               */
       GRPO__PLAIN_BLOCK = 256 };   /* products of y or dx that are summed from zero             */

template <typename E> __global__ void grpo__plain_product_kernel(grpo__product<E> t) {
    __shared__ float A[GRPO__PLAIN_TILE][GRPO__PLAIN_TILE + 1];
    __shared__ float B[GRPO__PLAIN_TILE][GRPO__PLAIN_TILE + 1];
    int i0 = (int)blockIdx.y * GRPO__PLAIN_TILE, j0 = (int)blockIdx.x * GRPO__PLAIN_TILE;
    int x = (int)threadIdx.x % 16, y = (int)threadIdx.x / 16, p0, p, e;
    float sum[2][2], block[2][2];
    GRPO__EACH(u, 2) GRPO__EACH(v, 2) {
        int i = i0 + y + 16 * u, j = j0 + x + 16 * v;
        size_t at = (size_t)i * t.y_row + (size_t)j;
        sum[u][v] = block[u][v] = 0;
        if (i >= t.m || j >= t.n) continue;
        if (t.dw) sum[u][v] = t.dw[at];
        if (t.residual) sum[u][v] = grpo__get(t.residual, at);
        if (t.bias) sum[u][v] += t.bias[j];
    }
    for (p0 = 0; p0 < t.k; p0 += GRPO__PLAIN_TILE) {
        __syncthreads();
        for (e = (int)threadIdx.x; e < GRPO__PLAIN_TILE * GRPO__PLAIN_TILE; e += 256) {
            int r = e / GRPO__PLAIN_TILE, s = e % GRPO__PLAIN_TILE;
            int ai = t.a_depth == 1 ? r : s, ap = t.a_depth == 1 ? s : r;     /* contiguous      */
            int bj = t.b_depth == 1 ? r : s, bp = t.b_depth == 1 ? s : r;
            A[ai][ap] = i0 + ai < t.m && p0 + ap < t.k
                      ? grpo__get(t.a, (size_t)(i0 + ai) * t.a_row + (size_t)(p0 + ap) * t.a_depth)
                      : 0.0f;
            B[bj][bp] = j0 + bj < t.n && p0 + bp < t.k
                      ? grpo__get(t.b, (size_t)(p0 + bp) * t.b_depth
                                       + (size_t)(j0 + bj) * t.b_column)
                      : 0.0f;
        }
        __syncthreads();
        for (p = 0; p < GRPO__PLAIN_TILE && p0 + p < t.k; p++)
            GRPO__EACH(u, 2) GRPO__EACH(v, 2)
                if (t.dw) sum[u][v] = fmaf(A[y + 16 * u][p], B[x + 16 * v][p], sum[u][v]);
                else block[u][v] = fmaf(A[y + 16 * u][p], B[x + 16 * v][p], block[u][v]);
        if (t.dw || (p0 + GRPO__PLAIN_TILE < t.k && (p0 + GRPO__PLAIN_TILE) % GRPO__PLAIN_BLOCK))
            continue;
        GRPO__EACH(u, 2) GRPO__EACH(v, 2) { sum[u][v] += block[u][v]; block[u][v] = 0; }
    }
    GRPO__EACH(u, 2) GRPO__EACH(v, 2) {
        int i = i0 + y + 16 * u, j = j0 + x + 16 * v;
        size_t at = (size_t)i * t.y_row + (size_t)j;
        if (i >= t.m || j >= t.n) continue;
        if (t.dw) t.dw[at] = sum[u][v];
        else grpo__put(t.y, at, sum[u][v]);
    }
}

template <typename E> static void grpo__plain_product(grpo__cuda *c, const grpo__product<E> &t) {
    dim3 grid((unsigned)grpo__blocks_of((size_t)t.n, GRPO__PLAIN_TILE),
              (unsigned)grpo__blocks_of((size_t)t.m, GRPO__PLAIN_TILE));
    if (t.m > 0) GRPO__RUN(c, grpo__plain_product_kernel<E>, grid, 256, 0, t);
}

/* ---- PTX, one wrapper an instruction: all that this file needs of the tensor cores (sm_80 up).
 * tests/cuda_shim.h replaces these and those of the next page. */
#ifndef GRPO_CUDA_SHIM
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define GRPO__PTX(...) asm volatile(__VA_ARGS__)
#else
#define GRPO__PTX(...) ((void)0)    /* older cards run the plain kernels                         */
#endif

/* D[16, 8] = A[16, 16] B[16, 8] + C. With g = lane / 4, t = 2 (lane % 4), a register holds two:
 * a: (g, t) (g + 8, t) (g, t + 8) (g + 8, t + 8);  b: (t, g) (t + 8, g);
 * c, d: (g, t) (g, t + 1) (g + 8, t) (g + 8, t + 1) */
__device__ __forceinline__ void grpo__mma(float d[4], const uint32_t a[4], const uint32_t b[2],
                                          const float c[4]) {
    GRPO__PTX("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
              "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"
              : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
              : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]),
                "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}

/* 2^x, 0 for -inf, with an error of 2 units in the last place; 0 instead of denormal numbers. */
__device__ __forceinline__ float grpo__exp2(float x) {
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(x) : "f"(x));
    return x;
}

/* Four 8 x 8 matrices; lanes 8 i to 8 i + 7 give the addresses of matrix i's rows. */
template <bool TRANSPOSED>
__device__ __forceinline__ void grpo__load_matrices(uint32_t r[4], const grpo__bf16 *row) {
    uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
    (void)at;
    if (TRANSPOSED)
        GRPO__PTX("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                  : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
    else
        GRPO__PTX("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                  : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}

/* 16 bytes from global to shared memory, without waiting; those past the first valid are 0. */
__device__ __forceinline__ void grpo__copy_16(void *to, const void *from, int valid) {
    uint32_t at = (uint32_t)__cvta_generic_to_shared(to);
    (void)at; (void)from; (void)valid;
    GRPO__PTX("cp.async.cg.shared.global [%0], [%1], 16, %2;"
              :: "r"(at), "l"(from), "r"(valid) : "memory");
}
__device__ __forceinline__ void grpo__copy_fence() {
    GRPO__PTX("cp.async.commit_group;" ::: "memory");
}
#define grpo__copy_wait(left) GRPO__PTX("cp.async.wait_group %0;" :: "n"(left) : "memory")
#endif

/* ---- PTX of sm_90a: barriers that count bytes, the bulk copy engine, wgmma. */
#if defined(GRPO_CUDA_SHIM) || !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define GRPO__WGMMA
#endif
#if defined(GRPO__WGMMA) && !defined(GRPO_CUDA_SHIM)
__device__ __forceinline__ uint32_t grpo__shared(const void *at) {
    return (uint32_t)__cvta_generic_to_shared(at);
}

/* A barrier's phase ends after count arrivals and all expected bytes; phases have parities 0, 1, 0,
 * ... The fence shows a new one to the copy engine and, after grpo__cluster_sync(), to the cluster.
 * arrive: at this barrier of the cluster's block `rank` (with .release.cluster nvcc 13 puts a fence
 * of the whole GPU into the loop; without, as here, none; only reads precede it). */
__device__ __forceinline__ void grpo__barrier_init(uint64_t *b, int count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(grpo__shared(b)), "r"(count)
                 : "memory");
}
__device__ __forceinline__ void grpo__barrier_fence() {
    asm volatile("fence.mbarrier_init.release.cluster; fence.proxy.async.shared::cta;"
                 ::: "memory");
}
__device__ __forceinline__ void grpo__barrier_arrive(uint64_t *b, int rank) {
    asm volatile("{.reg .b32 r; mapa.shared::cluster.u32 r, %0, %1; "
                 "mbarrier.arrive.shared::cluster.b64 _, [r];}"
                 :: "r"(grpo__shared(b)), "r"(rank) : "memory");
}
__device__ __forceinline__ void grpo__barrier_expect(uint64_t *b, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
                 :: "r"(grpo__shared(b)), "r"(bytes) : "memory");
}
/* Waits until the phase of this parity has ended; a phase of parity 1 precedes the first. */
__device__ __forceinline__ void grpo__barrier_wait(uint64_t *b, int parity) {
    int done;
    do asm volatile("{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; "
                    "selp.b32 %0, 1, 0, p;}"
                    : "=r"(done) : "r"(grpo__shared(b)), "r"(parity) : "memory");
    while (!done);
}

__device__ __forceinline__ void grpo__prefetch_map(const CUtensorMap *map) {
    asm volatile("prefetch.tensormap [%0];" :: "l"(map) : "memory");
}
/* Loads the map's box at element `at` of line `line`; its bytes count for the barrier. BOTH: to the
 * same place in both blocks of a cluster, where they count for the barriers of both. */
#define GRPO__LOAD(end) asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile"        \
    ".mbarrier::complete_tx::bytes" end :: "r"(grpo__shared(to)), "l"(map), "r"(at), "r"(line),   \
    "r"(grpo__shared(b)), "h"((short)3) : "memory")
template <bool BOTH>
__device__ __forceinline__ void grpo__load_box(void *to, const CUtensorMap *map, int at, int line,
                                               uint64_t *b) {
    if (BOTH) GRPO__LOAD(".multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;");
    else GRPO__LOAD(" [%0], [%1, {%2, %3}], [%4];");
}
__device__ __forceinline__ void grpo__cluster_sync() {
    asm volatile("barrier.cluster.arrive.relaxed; barrier.cluster.wait.acquire;" ::: "memory");
}

/* D[64, 128] = A[64, 16] B[16, 128] + (add ? D : 0) by four warps, from descriptors; AT, BT: lines
 * are k's. d[4 v + 2 h + i] of warp w, lane l: row 16 w + l / 4 + 8 h, column 8 v + 2 (l % 4) + i.
 * The fence comes after other uses of d, the wait (until LEFT groups are under way) before them. */
__device__ __forceinline__ void grpo__wgmma_fence() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void grpo__wgmma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
#define GRPO__D8(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]),   \
                    "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#define GRPO__D64 GRPO__D8(0), GRPO__D8(8), GRPO__D8(16), GRPO__D8(24), GRPO__D8(32),             \
                  GRPO__D8(40), GRPO__D8(48), GRPO__D8(56)
template <int LEFT> __device__ __forceinline__ void grpo__wgmma_wait(float d[64]) {
    asm volatile("wgmma.wait_group.sync.aligned %64;" : GRPO__D64 : "n"(LEFT) : "memory");
}
template <bool AT, bool BT>
__device__ __forceinline__ void grpo__wgmma(float d[64], uint64_t a, uint64_t b, int add) {
    asm volatile("{.reg .pred p; setp.ne.b32 p, %66, 0; "
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
                 "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,"
                 "%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,"
                 "%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,"
                 "%62,%63}, %64, %65, p, 1, 1, %67, %68;}"
                 : GRPO__D64 : "l"(a), "l"(b), "r"(add), "n"((int)AT), "n"((int)BT) : "memory");
}
#endif

__device__ __forceinline__ uint32_t grpo__two(const grpo__bf16 *x) {
    return *(const uint32_t *)(const void *)x;
}
__device__ __forceinline__ uint32_t grpo__pair(float low, float high) {
    __nv_bfloat162 two = __floats2bfloat162_rn(low, high);
    uint32_t bits;
    memcpy(&bits, &two, sizeof bits);
    return bits;
}

/* A's fragment [16, 16] at (row, k) from shared memory: k contiguous or (TRANSPOSED) rows. */
template <bool TRANSPOSED>
__device__ __forceinline__ void grpo__load_a(uint32_t a[4], const grpo__bf16 *tile, int stride,
                                             int row, int k) {
    int lane = (int)threadIdx.x % 32, in = lane % 8, which = lane / 8;
    row += which % 2 * 8 + (TRANSPOSED ? 0 : in);
    k += which / 2 * 8 + (TRANSPOSED ? in : 0);
    grpo__load_matrices<TRANSPOSED>(a, tile + (TRANSPOSED ? k * stride + row : row * stride + k));
}

/* B's fragments [16, 16] at (k, column), two of 8 columns: k contiguous or (TRANSPOSED) columns. */
template <bool TRANSPOSED>
__device__ __forceinline__ void grpo__load_b(uint32_t b[4], const grpo__bf16 *tile, int stride,
                                             int k, int column) {
    int lane = (int)threadIdx.x % 32, in = lane % 8, which = lane / 8;
    if (TRANSPOSED)
        grpo__load_matrices<true>(b, tile + (k + which % 2 * 8 + in) * stride
                                     + column + which / 2 * 8);
    else
        grpo__load_matrices<false>(b, tile + (column + which / 2 * 8 + in) * stride
                                      + k + which % 2 * 8);
}

/* ---- the product on tensor cores: floor 2 m n k FLOPs, or the bytes of B while m is small.
 * A block computes BM x BN, a warp WM x WN of it. k passes through shared memory in steps of 32.
 * Every 256 k's the sums are added to the total, so the bits do not depend on the tiles, or on
 * which block computes a slice. AT, BT: a line of A, of B is one k.
 * Loads are STAGES - 1 steps ahead: 24 KB of 64 columns, so one block a multiprocessor has under
 * way the 3 MB that 4.8 TB/s bring in 0.7 us. Three such blocks fit into 228 KB, one into 99. */

/* What a block does: a tile or, after the first `whole`, a slice of one. Tiles are in bands of 16
 * rows of them, in each a column after the other: those under way at a time share few lines of A
 * and B, which L2 holds, and B is read from memory once for every 16 rows of tiles. */
struct grpo__job { int part, i, j, begin, end; };             /* part: of all split tiles; or -1 */

__device__ __forceinline__ grpo__job grpo__job_of(const grpo__product<grpo__bf16> &t, int number,
                                                  const dim3 &tiles, int rows, int columns) {
    int part = number - t.whole, split = t.partial && part >= 0, slices = split ? (int)tiles.z : 1;
    int tile = split ? t.whole + part / slices : number, slice = split ? part % slices : 0;
    int band = tile / (GRPO__BAND * (int)tiles.x) * GRPO__BAND;
    int high = min(GRPO__BAND, (int)tiles.y - band), at = tile - band * (int)tiles.x;
    grpo__job job = { split ? part : -1, (band + at % high) * rows, at / high * columns,
                      slice * GRPO__SLICE, split ? min(t.k, (slice + 1) * GRPO__SLICE) : t.k };
    return job;
}

/* A thread's copies of a step of an operand, SIDE rows of A or columns of B, 16 bytes each: one
 * below the other, from addresses found once. */
template <bool LINES_OF_K, int SIDE, int THREADS> struct grpo__copies {
    enum { TURNED = LINES_OF_K, WIDTH = TURNED ? SIDE : GRPO__STEP,
           LINES = TURNED ? GRPO__STEP : SIDE, LINE = WIDTH + GRPO__PAD, SIZE = LINE * LINES,
           DOWN = THREADS * 8 / WIDTH, COUNT = (LINES + DOWN - 1) / DOWN };
    const grpo__bf16 *from[COUNT];
    size_t step;                    /* elements to the next step                                 */
    int line, i, k, end, wide;      /* place; next k; bytes of a line of rows or columns         */
};

/* Lines are `stride` apart. k's past the end are zeros. Past the last row or column the last line
 * is loaded again, or zeros at a line's end: such results are dropped. */
template <typename C>
__device__ __forceinline__ void grpo__aim(C &c, const grpo__bf16 *x, size_t stride, int first,
                                          int count, const grpo__job &job) {
    c.line = (int)threadIdx.x * 8 / C::WIDTH;
    c.i = (int)threadIdx.x * 8 % C::WIDTH;
    c.k = job.begin + (C::TURNED ? c.line : c.i);
    c.end = job.end;
    c.wide = max(0, min(16, 2 * (count - first - c.i)));
    c.step = GRPO__STEP * (C::TURNED ? stride : 1);
    GRPO__EACH(e, C::COUNT)
        c.from[e] = C::TURNED ? x + (size_t)(c.k + e * C::DOWN) * stride + (first + c.i)
                  : x + (size_t)min(first + c.line + e * C::DOWN, count - 1) * stride + c.k;
}
template <typename C> __device__ __forceinline__ void grpo__copy_step(C &c, grpo__bf16 *to) {
    GRPO__EACH(e, C::COUNT) {
        int line = c.line + e * C::DOWN;
        int valid = C::TURNED ? c.k + e * C::DOWN < c.end ? c.wide : 0
                  : max(0, min(16, 2 * (c.end - c.k)));
        if (C::LINES % C::DOWN == 0 || line < C::LINES)
            grpo__copy_16(to + line * C::LINE + c.i, c.from[e], valid);
        c.from[e] += c.step;
    }
    c.k += GRPO__STEP;
}

template <int BM, int BN, int WM, int WN, bool AT, bool BT> struct grpo__tile {
    enum { WARPS_N = BN / WN, THREADS = BM / WM * WARPS_N * 32 };
    typedef grpo__copies<AT, BM, THREADS> A;
    typedef grpo__copies<BT, BN, THREADS> B;
    enum { STAGE = A::SIZE + B::SIZE, STAGES = BM < 128 ? 7 : 4, ALL = STAGES * STAGE,
           BYTES = 2 * ALL, PAIRS = BM * BN / 2 / THREADS };
};

/* The result, by pairs of adjacent columns. A thread loads all its pairs before it uses any, so as
 * to wait for memory once; outside the matrix loads are 0 and stores dropped. DW: dW += it.
 * This loads what is added to a pair, as it lies in memory: dW so far, or two of the residual. */
template <bool DW>
__device__ __forceinline__ float2 grpo__load_pair(const grpo__product<grpo__bf16> &t, int i,
                                                  int j) {
    size_t at = (size_t)i * t.y_row + (size_t)j;
    float2 x = { 0, 0 };
    if (i >= t.m || j >= t.n || (!DW && !t.residual)) return x;
    if (DW) x = *(const float2 *)(const void *)(t.dw + at);
    else x.x = __uint_as_float(grpo__two(t.residual + at));
    return x;
}
__device__ __forceinline__ void grpo__add_bias(const grpo__product<grpo__bf16> &t, int j, float *x,
                                               float *y) {
    if (j < t.n) { *x += __ldg(t.bias + j); *y += __ldg(t.bias + j + 1); }
}
template <bool DW>
__device__ __forceinline__ void grpo__store_pair(const grpo__product<grpo__bf16> &t, int i, int j,
                                                 float x, float y, float2 more) {
    size_t at = (size_t)i * t.y_row + (size_t)j;
    uint32_t two = __float_as_uint(more.x);
    if (!DW) { more.x = __uint_as_float(two << 16); more.y = __uint_as_float(two & 0xffff0000u); }
    more.x += x;
    more.y += y;
    if (i >= t.m || j >= t.n) return;
    if (DW) *(float2 *)(void *)(t.dw + at) = more;
    else *(uint32_t *)(void *)(t.y + at) = grpo__pair(more.x, more.y);
}

/* Where a tile is split: a pair of one of its parts, as the tile's threads hold them. */
template <int PAIRS, int THREADS>
__device__ __forceinline__ float2 *grpo__part_pair(const grpo__product<grpo__bf16> &t, int part,
                                                   int pair) {
    return (float2 *)(void *)t.partial
         + ((size_t)part * PAIRS + (size_t)pair) * THREADS + threadIdx.x;
}
__device__ __forceinline__ void grpo__add_pair(const float2 *from, float *x, float *y) {
    float2 two = __ldcg(from);
    *x += two.x;
    *y += two.y;
}

/* Parts of a tile finish in any order; the block (or WARP) that finishes last sums them, in the
 * order of parts. Is it this one? Then the others' writes are visible to it. */
template <bool WARP = false> __device__ inline int grpo__is_last(int *ticket, int parts) {
    __shared__ int last[WARP ? 32 : 1];
    int which = WARP ? (int)threadIdx.x / 32 : 0;
    if (WARP) __syncwarp(); else __syncthreads();
    if (threadIdx.x % (WARP ? 32 : blockDim.x) == 0) {
        __threadfence();
        last[which] = atomicAdd(ticket, 1) == parts - 1;
        if (last[which]) *ticket = 0;                         /* reset for the next kernel       */
        __threadfence();
    }
    if (WARP) __syncwarp(); else __syncthreads();
    return last[which];
}

/* Stores a strip of each row of a warp's total, logits [j, j + 8 V) of rows i, i + 1, ...: the top
 * and, with x = (z - top) / T, the sums of e^x and e^x x; 0.5 bytes a logit. */
template <int U, int V>
__device__ __forceinline__ void grpo__store_strips(const grpo__product<grpo__bf16> &t,
                                                   const float (&z)[U][V][4], int i, int j) {
    int lane = (int)threadIdx.x % 32;
    i += lane / 4;
    j += lane % 4 * 2;
    GRPO__EACH(u, U)
        GRPO__EACH(h, 2) {
            grpo__strip s = { -FLT_MAX, 0, 0, 0 };
            int row = i + 16 * u + 8 * h;
            GRPO__EACH(e, 2 * V)
                if (j + e / 2 * 8 + e % 2 < t.n) s.top = fmaxf(s.top, z[u][e / 2][2 * h + e % 2]);
            s.top = fmaxf(s.top, __shfl_xor_sync(0xffffffffu, s.top, 1));
            s.top = fmaxf(s.top, __shfl_xor_sync(0xffffffffu, s.top, 2));
            GRPO__EACH(e, 2 * V) {
                float x = __fmul_rn(__fsub_rn(z[u][e / 2][2 * h + e % 2], s.top), t.inverse);
                float p = expf(x);
                if (j + e / 2 * 8 + e % 2 >= t.n) continue;
                s.sum = __fadd_rn(s.sum, p);
                s.weighted = __fadd_rn(s.weighted, p != 0.0f ? __fmul_rn(p, x) : 0.0f);
            }
            s.sum += __shfl_xor_sync(0xffffffffu, s.sum, 1);
            s.sum += __shfl_xor_sync(0xffffffffu, s.sum, 2);
            s.weighted += __shfl_xor_sync(0xffffffffu, s.weighted, 1);
            s.weighted += __shfl_xor_sync(0xffffffffu, s.weighted, 2);
            if (lane % 4 == 0 && row < t.m && j < t.n)
                t.strips[(size_t)row * (size_t)((t.n + GRPO__STRIP - 1) / GRPO__STRIP)
                         + (size_t)(j / GRPO__STRIP)] = s;
        }
}

template <int BM, int BN, int WM, int WN, bool AT, bool BT>
__global__ void __launch_bounds__(grpo__tile<BM, BN, WM, WN, AT, BT>::THREADS)
grpo__mma_product_kernel(dim3 tiles, grpo__product<grpo__bf16> t) {
    typedef grpo__tile<BM, BN, WM, WN, AT, BT> T;
    GRPO__DYNAMIC(memory);
    grpo__bf16 *stages = (grpo__bf16 *)(void *)memory;
    grpo__job job = grpo__job_of(t, (int)blockIdx.x, tiles, BM, BN);
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, i0 = job.i, j0 = job.j;
    int row = warp / T::WARPS_N * WM, column = warp % T::WARPS_N * WN;
    int steps = (job.end - job.begin + GRPO__STEP - 1) / GRPO__STEP, step, at, now = 0;
    typename T::A more_a;
    typename T::B more_b;
    float sum[WM / 16][WN / 8][4], total[WM / 16][WN / 8][4];
    GRPO__EACH(i, WM / 16) GRPO__EACH(j, WN / 8) GRPO__EACH(h, 4) sum[i][j][h] = total[i][j][h] = 0;
    if (AT) grpo__wait_for_previous();
    grpo__aim(more_b, t.b, BT ? t.b_depth : t.b_column, j0, t.n, job);
    for (at = 0; at < T::ALL - T::STAGE; at += T::STAGE)
        grpo__copy_step(more_b, stages + at + T::A::SIZE);
    if (!AT) grpo__wait_for_previous();                       /* B is weights                    */
    grpo__aim(more_a, t.a, AT ? t.a_depth : t.a_row, i0, t.m, job);
    for (at = 0; at < T::ALL - T::STAGE; at += T::STAGE) {
        grpo__copy_step(more_a, stages + at);
        grpo__copy_fence();
    }
    for (step = 0; step < steps; step++) {
        const grpo__bf16 *A = stages + now, *B = A + T::A::SIZE;
        grpo__copy_wait(T::STAGES - 2);
        __syncthreads();            /* this step is loaded, the one before is no longer read     */
        grpo__copy_step(more_b, stages + at + T::A::SIZE);    /* past the end: zeros, not read   */
        grpo__copy_step(more_a, stages + at);
        grpo__copy_fence();
        at = now;
        now = now == T::ALL - T::STAGE ? 0 : now + T::STAGE;
        GRPO__EACH(k, GRPO__STEP / 16) {
            uint32_t a[WM / 16][4], b[WN / 16][4];
            GRPO__EACH(i, WM / 16) grpo__load_a<AT>(a[i], A, T::A::LINE, row + 16 * i, 16 * k);
            GRPO__EACH(j, WN / 16) grpo__load_b<BT>(b[j], B, T::B::LINE, 16 * k, column + 16 * j);
            GRPO__EACH(i, WM / 16)
                GRPO__EACH(j, WN / 8)
                    grpo__mma(sum[i][j], a[i], b[j / 2] + j % 2 * 2, sum[i][j]);
        }
        if (step % (GRPO__SLICE / GRPO__STEP) != GRPO__SLICE / GRPO__STEP - 1 && step != steps - 1)
            continue;
        GRPO__EACH(i, WM / 16) GRPO__EACH(j, WN / 8) GRPO__EACH(h, 4) {
            total[i][j][h] += sum[i][j][h];
            sum[i][j][h] = 0;
        }
    }
    if (t.strips) grpo__store_strips(t, total, i0 + row, j0 + column);
    i0 += row + lane / 4;
    j0 += column + lane % 4 * 2;
#define GRPO__PAIRS GRPO__EACH(u, WM / 16) GRPO__EACH(v, WN / 8) GRPO__EACH(h, 2)
#define GRPO__PLACE i0 + 16 * u + 8 * h, j0 + 8 * v
#define GRPO__PART(p) grpo__part_pair<T::PAIRS, T::THREADS>(t, p, (u * (WN / 8) + v) * 2 + h)
    if (job.part >= 0) {
        int first = job.part - job.part % (int)tiles.z, tile = first / (int)tiles.z;
        GRPO__PAIRS if (i0 + 16 * u + 8 * h < t.m)
            *GRPO__PART(job.part) = make_float2(total[u][v][2 * h], total[u][v][2 * h + 1]);
        if (!grpo__is_last<true>(t.tickets + tile * (T::THREADS / 32) + warp, (int)tiles.z)) return;
        GRPO__PAIRS total[u][v][2 * h] = total[u][v][2 * h + 1] = 0;
        for (step = first; step < first + (int)tiles.z; step++)
            GRPO__PAIRS if (i0 + 16 * u + 8 * h < t.m)
                grpo__add_pair(GRPO__PART(step), &total[u][v][2 * h], &total[u][v][2 * h + 1]);
    }
    if (!t.y && !t.dw) return;      /* a head of which only strips are wanted                    */
    GRPO__PAIRS {
        float2 more = grpo__load_pair<AT>(t, GRPO__PLACE);
        sum[u][v][2 * h] = more.x;
        sum[u][v][2 * h + 1] = more.y;
    }
    if (!AT && t.bias)
        GRPO__PAIRS grpo__add_bias(t, j0 + 8 * v, &total[u][v][2 * h], &total[u][v][2 * h + 1]);
    GRPO__PAIRS {
        float2 more = { sum[u][v][2 * h], sum[u][v][2 * h + 1] };
        grpo__store_pair<AT>(t, GRPO__PLACE, total[u][v][2 * h], total[u][v][2 * h + 1], more);
    }
#undef GRPO__PAIRS
#undef GRPO__PART
#undef GRPO__PLACE
}

/* More than 48 KB of shared memory must be asked for. */
template <typename Kernel> static void grpo__allow_shared(grpo__cuda *c, Kernel kernel, int bytes) {
    if (bytes > 48 * 1024)
        grpo__check_cuda(c, cudaFuncSetAttribute(kernel,
                                                 cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                 bytes), "asking for shared memory");
}

static dim3 grpo__tiles_of(const grpo__product<grpo__bf16> &t, int rows, int columns) {
    return dim3((unsigned)grpo__blocks_of((size_t)t.n, columns),
                (unsigned)grpo__blocks_of((size_t)t.m, rows));
}

/* k is split where tiles, of `size` outputs, are fewer than `blocks`; of large ones also in a last
 * round that leaves most blocks idle. Returns the number of jobs. */
static int grpo__split(grpo__cuda *c, grpo__product<grpo__bf16> *t, dim3 *tiles, int size,
                       int blocks) {
    int all = (int)(tiles->x * tiles->y), rest = all % blocks;
    int slices = grpo__blocks_of((size_t)t->k, GRPO__SLICE);
    size_t room = (size_t)GRPO__PARTIAL_MB << 20;
    if (slices < 2 || rest == 0 || (all > blocks && (size < 128 * 128 || 2 * rest > blocks))
        || rest > GRPO__TICKETS || t->strips
        || (size_t)rest * (size_t)size > room / sizeof(float) / (size_t)slices) return all;
    tiles->z = (unsigned)slices;
    t->whole = all - rest;
    t->partial = (float *)grpo__cuda_scratch(c, room);
    t->tickets = c->tickets;
    return t->whole + rest * slices;
}

template <int BM, int BN, int WM, int WN, bool AT, bool BT>
static void grpo__mma_product_by(grpo__cuda *c, grpo__product<grpo__bf16> t) {
    typedef grpo__tile<BM, BN, WM, WN, AT, BT> T;
    dim3 tiles = grpo__tiles_of(t, BM, BN);
    int jobs = grpo__split(c, &t, &tiles, BM * BN, c->multiprocessors);
    grpo__allow_shared(c, grpo__mma_product_kernel<BM, BN, WM, WN, AT, BT>, T::BYTES);
    GRPO__RUN_EARLY(c, (grpo__mma_product_kernel<BM, BN, WM, WN, AT, BT>), jobs, T::THREADS,
                    T::BYTES, tiles, t);
}

/* The largest tiles that still give every multiprocessor one; their sizes change no bit. */
template <bool AT, bool BT>
static void grpo__mma_product(grpo__cuda *c, const grpo__product<grpo__bf16> &t) {
    int large = grpo__blocks_of((size_t)t.m, 128) * grpo__blocks_of((size_t)t.n, 128);
    if (t.m <= 0) return;
    if (t.m <= 16) grpo__mma_product_by<16, 64, 16, 32, AT, BT>(c, t);
    else if (t.m <= 64 || large < c->multiprocessors)
        grpo__mma_product_by<64, 64, 32, 32, AT, BT>(c, t);
    else grpo__mma_product_by<128, 128, 64, 32, AT, BT>(c, t);
}

/* ---- the product by wgmma and the bulk copy engine, for sm_90a: floor 2 m n k FLOPs.
 * A tile is 64 GROUPS x 128: each warpgroup of four warps computes 64 rows of it; one more warp
 * loads operands for them, up to PIPE steps of k ahead. There are as many blocks as fit at once;
 * each takes tile after tile: the next one's operands are loaded while one is stored. In shared
 * memory operands are chunks, 64 lines of 128 bytes, that the engine swizzles, with zeros outside
 * the matrix. AT, BT: a line is a k of 64 rows or columns, else 64 k's of one. Sums are in slices
 * of 256, as above, and always by one instruction: tiles and splits change no bit. */
template <int GROUPS> struct grpo__wide {
    enum { CHUNKS = GROUPS + GRPO__WIDTH / 64, STAGE = CHUNKS * GRPO__CHUNK,
           BLOCKS = GROUPS == 1 ? 2 : 1,                      /* of a multiprocessor             */
           PIPE = GROUPS == 1 ? 4 : 6,                        /* buffers of steps                */
           ALIGN = 1024,            /* bytes after which the swizzle repeats                     */
           THREADS = 128 * GROUPS + 32, BYTES = PIPE * STAGE + ALIGN };
};

#ifdef GRPO__WGMMA
/* A chunk's matrix descriptor at k (PTX ISA, wgmma: Matrix Descriptor Format, and Strides; units of
 * 16 bytes): from bit 0 the address, from 16 the offset to the next chunk if lines are k's (else
 * ignored), from 32 the offset to the next 8 lines, at 62 the swizzle of 128 bytes. */
template <bool TRANSPOSED>
__device__ __forceinline__ uint64_t grpo__chunk_at(uint32_t chunk, int k) {
    uint32_t at = chunk + (uint32_t)k * (TRANSPOSED ? 128 : 2);
    return (uint64_t)((at & 0x3ffff) >> 4) | (uint64_t)(TRANSPOSED ? GRPO__CHUNK / 16 : 1) << 16
         | (uint64_t)(8 * 128 / 16) << 32 | (uint64_t)1 << 62;
}

/* total = the 64 rows at A times the 128 columns at B, by a warpgroup, in steps turn to end since
 * the kernel's start. A buffer is released after the next step has been issued, the last of a slice
 * when it is summed: to all blocks of the cluster, since they load into it. */
template <int GROUPS, bool AT, bool BT>
__device__ __forceinline__ void grpo__consume(float total[64], uint32_t A, uint32_t B,
                                              uint64_t *full, uint64_t *empty, int turn, int end) {
    typedef grpo__wide<GROUPS> T;
    float sum[64];
    int lane = (int)threadIdx.x % 32, first;
    GRPO__EACH(e, 64) sum[e] = total[e] = 0;
    while (turn < end) {            /* a slice                                                   */
        for (first = turn; turn < min(end, first + GRPO__SLICE / GRPO__DEPTH); turn++) {
            int place = turn % T::PIPE;
            uint32_t at = (uint32_t)(place * T::STAGE);
            grpo__barrier_wait(&full[place], turn / T::PIPE & 1);
            grpo__wgmma_fence();
            GRPO__EACH(e, GRPO__DEPTH / 16)
                grpo__wgmma<AT, BT>(sum, grpo__chunk_at<AT>(A + at, 16 * e),
                                    grpo__chunk_at<BT>(B + at, 16 * e), e > 0 || turn > first);
            grpo__wgmma_commit();
            grpo__wgmma_wait<1>(sum);
            if (turn > first && lane < GROUPS)
                grpo__barrier_arrive(&empty[(turn - 1) % T::PIPE], lane);
        }
        grpo__wgmma_wait<0>(sum);
        if (lane < GROUPS) grpo__barrier_arrive(&empty[(turn - 1) % T::PIPE], lane);
        GRPO__EACH(e, 64) total[e] += sum[e];
    }
}
#endif

template <int GROUPS, bool AT, bool BT>
__global__ void __launch_bounds__(grpo__wide<GROUPS>::THREADS, grpo__wide<GROUPS>::BLOCKS)
grpo__wgmma_product_kernel(const __grid_constant__ CUtensorMap a,
                           const __grid_constant__ CUtensorMap b, dim3 tiles, int jobs, int high,
                           grpo__product<grpo__bf16> t) {
#ifdef GRPO__WGMMA
    typedef grpo__wide<GROUPS> T;
    GRPO__DYNAMIC(memory);
    __shared__ uint64_t full[T::PIPE], empty[T::PIPE];
    uint32_t at = (uint32_t)__cvta_generic_to_shared(memory), skip = (0u - at) % T::ALIGN;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, group = warp / 4;
    int number, rank = (int)blockIdx.x % GROUPS, turn = 0, v;
    float total[64];
    if (threadIdx.x == 0) {
        grpo__prefetch_map(&a);
        grpo__prefetch_map(&b);
        for (v = 0; v < T::PIPE; v++) {
            grpo__barrier_init(&full[v], 1);
            grpo__barrier_init(&empty[v], 4 * GROUPS * GROUPS);
        }
        grpo__barrier_fence();
    }
    if (GROUPS > 1) grpo__cluster_sync(); else __syncthreads();
    grpo__wait_for_previous();
    if (group == GROUPS && lane > 0) return;
    for (number = (int)blockIdx.x / GROUPS; number < jobs; number += (int)gridDim.x / GROUPS) {
        grpo__job job = grpo__job_of(t, number, tiles, 64 * GROUPS * high,
                                     GRPO__WIDTH * GROUPS / high);
        int i0 = job.i + rank % high * 64 * GROUPS, j0 = job.j + rank / high * GRPO__WIDTH;
        int i = i0 + warp * 16 + lane / 4, j = j0 + lane % 4 * 2, k = job.begin;
        int end = turn + (job.end - job.begin + GRPO__DEPTH - 1) / GRPO__DEPTH;
        for (; group == GROUPS && turn < end; turn++, k += GRPO__DEPTH) {     /* one lane loads   */
            int place = turn % T::PIPE;
            unsigned char *to = memory + skip + place * T::STAGE;
            grpo__barrier_wait(&empty[place], (turn / T::PIPE & 1) ^ 1);
            grpo__barrier_expect(&full[place], T::STAGE);
            for (v = 0; v < T::CHUNKS; v++, to += GRPO__CHUNK) {
                int in_a = v < GROUPS, line = in_a ? i0 + 64 * v : j0 + 64 * (v - GROUPS);
                int turned = in_a ? AT : BT, x = turned ? line : k, y = turned ? k : line;
                if (GROUPS == 1 || in_a == (high > 1))
                    grpo__load_box<false>(to, in_a ? &a : &b, x, y, &full[place]);
                else if (v % 2 == rank)                       /* each loads half of it for both  */
                    grpo__load_box<true>(to, in_a ? &a : &b, x, y, &full[place]);
            }
        }
        if (group == GROUPS) continue;
        grpo__consume<GROUPS, AT, BT>(total, at + skip + (uint32_t)(group * GRPO__CHUNK),
                                      at + skip + GROUPS * GRPO__CHUNK, full, empty, turn, end);
        turn = end;
        int first = job.part - job.part % (int)tiles.z;       /* the tile's parts, if it has any */
        if (job.part >= 0) {
            int tile = first / (int)tiles.z * GROUPS + rank;
            GRPO__EACH(p, 32) if (i + p % 2 * 8 < t.m)
                *grpo__part_pair<32, 128 * GROUPS>(t, job.part * GROUPS + rank, p)
                    = make_float2(total[2 * p], total[2 * p + 1]);
            if (!grpo__is_last<true>(t.tickets + tile * 4 * GROUPS + warp, (int)tiles.z)) continue;
            GRPO__EACH(p, 64) total[p] = 0;
        }
        GRPO__EACH(part, 4) {       /* a quarter at a time, to save registers                    */
            float2 more[8];
            float *x = total + 16 * part;
            int jj = j + 32 * part;
#pragma unroll 4
            for (v = first; v < (job.part < 0 ? first : first + (int)tiles.z); v++)
                GRPO__EACH(p, 8) if (i + p % 2 * 8 < t.m)
                    grpo__add_pair(grpo__part_pair<32, 128 * GROUPS>(t, v * GROUPS + rank,
                                                                      8 * part + p),
                                   &x[2 * p], &x[2 * p + 1]);
            GRPO__EACH(p, 8) more[p] = grpo__load_pair<AT>(t, i + p % 2 * 8, jj + p / 2 * 8);
            if (!AT && t.bias)
                GRPO__EACH(p, 8) grpo__add_bias(t, jj + p / 2 * 8, &x[2 * p], &x[2 * p + 1]);
            GRPO__EACH(p, 8)
                grpo__store_pair<AT>(t, i + p % 2 * 8, jj + p / 2 * 8, x[2 * p], x[2 * p + 1],
                                     more[p]);
        }
    }
    for (v = 0; GROUPS > 1 && group == GROUPS && v < T::PIPE; v++, turn++)    /* nothing more is  */
        grpo__barrier_wait(&empty[turn % T::PIPE], (turn / T::PIPE & 1) ^ 1); /* to come          */
#endif
}

/* A tensor map of a matrix of lines, `stride` elements apart, for boxes of 64 x 64. Made for each
 * product, in about a microsecond of the host. */
static CUtensorMap grpo__map_of(grpo__cuda *c, const grpo__bf16 *from, int length, int lines,
                                size_t stride) {
    CUtensorMap map;
    cuuint64_t size[2] = { (cuuint64_t)length, (cuuint64_t)lines }, bytes[1] = { 2 * stride };
    cuuint32_t box[2] = { 64, 64 }, every[2] = { 1, 1 };
    if (c->encode_map(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, (void *)(uintptr_t)from, size,
                      bytes, box, every, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                      CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE))
        grpo__check_cuda(c, cudaErrorInvalidValue, "describing a matrix to the copy engine");
    return map;
}

template <int GROUPS, bool AT, bool BT>
static void grpo__wgmma_product_by(grpo__cuda *c, grpo__product<grpo__bf16> t) {
    typedef grpo__wide<GROUPS> T;
    CUtensorMap a = AT ? grpo__map_of(c, t.a, t.m, t.k, t.a_depth)
                       : grpo__map_of(c, t.a, t.k, t.m, t.a_row);
    CUtensorMap b = BT ? grpo__map_of(c, t.b, t.n, t.k, t.b_depth)
                       : grpo__map_of(c, t.b, t.k, t.n, t.b_column);
    dim3 tiles = grpo__tiles_of(t, 64 * GROUPS, GRPO__WIDTH);
    int high = tiles.y % 2 && (tiles.x % 2 == 0 || tiles.x > tiles.y) ? 1 : GROUPS;
    int clusters = T::BLOCKS * c->multiprocessors / GROUPS, jobs;
    tiles.x = (unsigned)grpo__blocks_of(tiles.x, GROUPS / high);
    tiles.y = (unsigned)grpo__blocks_of(tiles.y, high);
    jobs = grpo__split(c, &t, &tiles, 64 * GROUPS * GROUPS * GRPO__WIDTH, clusters);
    grpo__allow_shared(c, grpo__wgmma_product_kernel<GROUPS, AT, BT>, T::BYTES);
    GRPO__LAUNCH_IF(c, c->early, GROUPS, (grpo__wgmma_product_kernel<GROUPS, AT, BT>),
                    min(clusters, jobs) * GROUPS, T::THREADS, T::BYTES, a, b, tiles, jobs, high, t);
}

template <bool AT, bool BT>
static void grpo__wgmma_product(grpo__cuda *c, const grpo__product<grpo__bf16> &t) {
    dim3 large = grpo__tiles_of(t, 128, GRPO__WIDTH);
    if (t.m <= 0) return;
    if (t.m <= 64 || large.x * large.y < (unsigned)c->multiprocessors)
        grpo__wgmma_product_by<1, AT, BT>(c, t);
    else grpo__wgmma_product_by<2, AT, BT>(c, t);
}

/* What is missing for wgmma, as text; NULL: nothing, and encode_map is set. Compiled for other
 * cards its kernel is empty: then it has no barriers in shared memory. */
static const char *grpo__wgmma_missing(grpo__cuda *c) {
    int major = 0, minor = 0;
    cudaFuncAttributes kernel = { };
    void *entry = NULL;
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, c->device);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, c->device);
    if (major != 9 || minor != 0)
        return "grpo_cuda_hopper() is for Hopper cards (sm_90), and this is none: use grpo_cuda()";
    if (cudaFuncGetAttributes(&kernel, grpo__wgmma_product_kernel<1, false, false>) != cudaSuccess
        || kernel.sharedSizeBytes == 0)
        return "grpo_cuda.cu was compiled without what grpo_cuda_hopper() needs: "
               "make -B cuda CUDA_ARCH=sm_90a";
#if CUDART_VERSION >= 12050
    cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &entry, 12000, cudaEnableDefault);
#else
    cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &entry, cudaEnableDefault);
#endif
    c->encode_map = (grpo__encode_map)entry;
    return entry ? NULL : "the NVIDIA driver is too old for grpo_cuda_hopper(): update it";
}

static void *grpo__cuda_open_hopper(const grpo_config *config, char *error) {
    grpo__cuda *c = (grpo__cuda *)grpo__cuda_open(config, error);
    const char *missing = c ? grpo__wgmma_missing(c) : NULL;
    cudaGetLastError();
    if (!missing) return c;
    snprintf(error, GRPO_ERROR_LENGTH, "%s", missing);
    grpo__cuda_close(c);
    return NULL;
}

/* ---- the three products of a layer. Tensor cores take sides that are multiples of 8 or (the
 * head's) padded, lines aligned to 16 bytes: by the model alone, so that all passes do the same. */
static int grpo__fits_mma(const grpo_matrix *w, const grpo__product<grpo__bf16> &t) {
    return (w->rows % 8 == 0 || !(t.bias || t.residual)) && w->cols % 8 == 0
        && w->y_stride % 8 == 0 && ((uintptr_t)t.a | (uintptr_t)t.y) % 16 == 0
        && (uintptr_t)t.dw % 8 == 0;
}

template <bool AT, bool BT>
static void grpo__tensor_product(grpo__cuda *c, const grpo__product<grpo__bf16> &t) {
    if (c->encode_map) grpo__wgmma_product<AT, BT>(c, t);
    else grpo__mma_product<AT, BT>(c, t);
}

static void grpo__matmul_by(grpo__cuda *c, const grpo_matrix *, grpo__product<float> &t, bool,
                            bool) {
    grpo__plain_product(c, t);
}
static void grpo__matmul_by(grpo__cuda *c, const grpo_matrix *w, grpo__product<grpo__bf16> &t,
                            bool a_turned, bool b_turned) {
    if (!grpo__fits_mma(w, t)) grpo__plain_product(c, t);
    else if (a_turned) grpo__tensor_product<true, true>(c, t);
    else if (b_turned) grpo__tensor_product<false, true>(c, t);
    else grpo__tensor_product<false, false>(c, t);
}

template <typename E>
static grpo__product<E> grpo__new_product(int m, int n, int k, const void *a, const E *b) {
    grpo__product<E> t;
    memset(&t, 0, sizeof t);
    t.m = m; t.n = n; t.k = k;
    t.a = (const E *)a; t.b = b;
    t.a_row = (size_t)k; t.a_depth = 1;
    t.b_depth = (size_t)n; t.b_column = 1;
    t.y_row = (size_t)n;
    return t;
}

/* y[n, out] = x[n, in] W^T + bias + residual */
template <typename E>
static grpo__product<E> grpo__forward_product(void *y, const void *x, const grpo_matrix *w, int n) {
    grpo__product<E> t = grpo__new_product(n, w->rows, w->cols, x, (const E *)w->operand);
    t.b_depth = 1; t.b_column = (size_t)w->cols;
    t.y_row = (size_t)w->y_stride;
    t.y = (E *)y;
    return t;
}
template <typename E> static void grpo__cuda_matmul(void *context, const grpo_product *o) {
    grpo__product<E> t = grpo__forward_product<E>(o->y, o->x, o->w, o->n);
    t.bias = o->bias; t.residual = (const E *)o->residual;
    grpo__matmul_by(grpo__cuda_of(context), o->w, t, false, false);
}

/* dx[n, in] = dy[n, out] W */
template <typename E> static void grpo__cuda_matmul_dx(void *context, const grpo_product *o) {
    const grpo_matrix *w = o->w;
    grpo__product<E> t = grpo__new_product(o->n, w->cols, w->rows, o->dy, (const E *)w->operand);
    t.a_row = (size_t)w->y_stride;
    t.y = (E *)o->dx;
    grpo__matmul_by(grpo__cuda_of(context), w, t, false, true);
}

/* dW[out, in] += dy^T x, dbias[out] += sum of dy */
template <typename E> static void grpo__cuda_matmul_dw(void *context, const grpo_product *o) {
    grpo__cuda *c = grpo__cuda_of(context);
    const grpo_matrix *w = o->w;
    grpo__product<E> t = grpo__new_product(w->rows, w->cols, o->n, o->dy, (const E *)o->x);
    t.a_row = 1; t.a_depth = (size_t)w->y_stride;
    t.dw = o->dw;
    if (o->n <= 0) return;
    grpo__matmul_by(c, w, t, true, true);
    if (o->dbias) grpo__sum_rows(c, grpo__new_sums<E>(o->dbias, o->dy, o->n, w->rows));
}

/* The operand: a copy of the weights as elements. */
template <typename E> static size_t grpo__cuda_operand_size(int rows, int cols) {
    return (size_t)rows * (size_t)cols * sizeof(E);
}
template <typename E> static void grpo__cuda_prepare(void *context, const grpo_matrix *w) {
    grpo__convert(grpo__cuda_of(context), (E *)w->operand, (const float *)w->weights,
                  (size_t)w->rows * (size_t)w->cols);
}

template <typename E>
static void grpo__cuda_write_operand(void *context, const grpo_matrix *w, size_t at,
                                     const float *x, size_t n) {
    grpo__cuda *c = grpo__cuda_of(context);
    float *staging = (float *)grpo__cuda_scratch(c, n * sizeof(float));
    grpo__cuda_upload(c, staging, x, n * sizeof(float));
    grpo__convert(c, (E *)w->operand + at, (const float *)staging, n);
}

template <typename E>
static void grpo__cuda_read_operand(void *context, float *x, const grpo_matrix *w, size_t at,
                                    size_t n) {
    grpo__cuda *c = grpo__cuda_of(context);
    float *staging = (float *)grpo__cuda_scratch(c, n * sizeof(float));
    grpo__convert(c, staging, (const E *)w->operand + at, n);
    grpo__cuda_download(c, x, staging, n * sizeof(float));
}

/* ---------------------------------------------------------------------------------- >>rotate --
 * A row's head is computed by as many lanes as it needs at N elements of each half a lane: norm (if
 * there are gains), then rotation. angles: d/2 cosines, d/2 sines. floor 4 bytes an element of
 * bf16. */
__device__ __forceinline__ float grpo__warp_sum(float x, int lanes = 32) {
    int i;
    for (i = lanes / 2; i > 0; i /= 2) x += __shfl_xor_sync(0xffffffffu, x, i);
    return x;
}

template <typename E> struct grpo__head_job {
    E *q, *k, *v, *dqkv;
    const E *qkv;
    const float *angles, *q_gain, *k_gain;
    const int *positions, *slots;
    float eps;
    int n, heads, kv_heads, d, lanes;
};

/* The head of this thread, of q, k or v: its address there (NULL beyond the last row) and its
 * offset in qkv; v's have no gain and no angles. */
template <typename E> struct grpo__head { E *y; const float *gain, *angles; size_t at; };

template <typename E>
__device__ __forceinline__ grpo__head<E> grpo__head_of(const grpo__head_job<E> &t) {
    unsigned job = blockIdx.x * (blockDim.x / t.lanes) + threadIdx.x / t.lanes;
    int all = t.heads + 2 * t.kv_heads, r = (int)(job / all), h = (int)(job % all) - t.heads;
    int there = r < t.n, in_q = h < 0, in_v = h >= t.kv_heads, row = there ? r : t.n - 1;
    size_t d = (size_t)t.d, kv = (size_t)t.slots[row] * t.kv_heads + h - (in_v ? t.kv_heads : 0);
    size_t at = in_q ? (size_t)row * t.heads + h + t.heads : kv;
    grpo__head<E> x = { (in_q ? t.q : in_v ? t.v : t.k) + at * d, in_q ? t.q_gain : t.k_gain,
                        t.angles + (size_t)t.positions[row] * d,
                        ((size_t)row * all + h + t.heads) * d };
    if (in_v) x.gain = x.angles = NULL;
    if (!there) x.y = NULL;
    return x;
}

/* Elements [i, i + N) of both halves of a head: loaded, rotated (back: sign -1) and stored */
template <int N, typename E>
__device__ __forceinline__ void grpo__load_halves(float a[N], float b[N], const E *x, int half,
                                                  int i) {
    grpo__vector<E, N> low = grpo__load_vector<N>(x, (size_t)i);
    grpo__vector<E, N> high = grpo__load_vector<N>(x, (size_t)(half + i));
    GRPO__EACH(e, N) { a[e] = grpo__get(low, e); b[e] = grpo__get(high, e); }
}
template <int N>
__device__ __forceinline__ void grpo__rotate(float a[N], float b[N], const float *angles, int half,
                                           int i, float sign) {
    float c[N], s[N], x;
    if (!angles) return;
    grpo__load_halves<N>(c, s, angles, half, i);
    GRPO__EACH(e, N) {
        x = a[e];
        a[e] = x * c[e] - sign * s[e] * b[e];
        b[e] = b[e] * c[e] + sign * s[e] * x;
    }
}
template <int N, typename E>
__device__ __forceinline__ void grpo__store_halves(E *y, const float a[N], const float b[N],
                                                   int half, int i) {
    grpo__vector<E, N> low = { }, high = { };
    GRPO__EACH(e, N) { grpo__put(low, e, a[e]); grpo__put(high, e, b[e]); }
    grpo__store_vector(y, (size_t)i, low);
    grpo__store_vector(y, (size_t)(half + i), high);
}

template <int N, typename E>
__device__ __forceinline__ float grpo__head_rstd(const E *x, const grpo__head_job<E> &t) {
    float sum = 0, a[N], b[N];
    int i;
    for (i = (int)threadIdx.x % t.lanes * N; i < t.d / 2; i += t.lanes * N) {
        grpo__load_halves<N>(a, b, x, t.d / 2, i);
        GRPO__EACH(e, N) sum += a[e] * a[e] + b[e] * b[e];
    }
    return 1.0f / sqrtf(grpo__warp_sum(sum, t.lanes) / (float)t.d + t.eps);
}

/* Backward: dy is rotated back, then differentiated through the norm to dqkv; dy is overwritten
 * with its terms of the gain's gradient, dy * x * rstd. */
template <typename E, int N>
__global__ void __launch_bounds__(128) grpo__rotate_kernel(grpo__head_job<E> t) {
    grpo__wait_for_previous();
    grpo__head<E> h = grpo__head_of(t);
    const E *x = t.qkv + h.at, *from = t.dqkv ? h.y : x;
    int half = t.d / 2, first = (int)threadIdx.x % t.lanes * N, i;
    float scale = 1, mean = 0, a[N], b[N], low[N], high[N];
    float g[N] = { }, gb[N] = { };
    if (t.q_gain) {                 /* taken by all lanes of a warp                              */
        scale = grpo__head_rstd<N>(x, t);
        for (i = first; i < half && t.dqkv && h.y && h.gain; i += t.lanes * N) {
            grpo__load_halves<N>(a, b, from, half, i);
            grpo__load_halves<N>(low, high, x, half, i);
            grpo__load_halves<N>(g, gb, h.gain, half, i);
            grpo__rotate<N>(a, b, h.angles, half, i, -1);
            GRPO__EACH(e, N) mean += a[e] * g[e] * low[e] + b[e] * gb[e] * high[e];
        }
        mean = grpo__warp_sum(mean, t.lanes) / (float)t.d * (scale * scale);
    }
    for (i = first; i < half && h.y; i += t.lanes * N) {
        grpo__load_halves<N>(a, b, from, half, i);
        if (h.gain) grpo__load_halves<N>(g, gb, h.gain, half, i);
        if (h.gain && !t.dqkv)
            GRPO__EACH(e, N) { a[e] = a[e] * scale * g[e]; b[e] = b[e] * scale * gb[e]; }
        grpo__rotate<N>(a, b, h.angles, half, i, t.dqkv ? -1.0f : 1.0f);
        if (h.gain && t.dqkv) {
            grpo__load_halves<N>(low, high, x, half, i);
            GRPO__EACH(e, N) {
                float da = a[e], db = b[e];
                a[e] = scale * (da * g[e] - low[e] * mean);
                b[e] = scale * (db * gb[e] - high[e] * mean);
                low[e] *= da * scale;
                high[e] *= db * scale;
            }
            grpo__store_halves<N>(h.y, low, high, half, i);
        }
        grpo__store_halves<N>(t.dqkv ? t.dqkv + h.at : h.y, a, b, half, i);
    }
}

/* Forward: q, k, v; backward: their gradients, and dqkv. */
template <typename E>
static grpo__head_job<E> grpo__new_head_job(const grpo_attention *o, void *q, void *k, void *v,
                                            void *dqkv) {
    grpo__head_job<E> t;
    memset(&t, 0, sizeof t);
    t.q = (E *)q; t.k = (E *)k; t.v = (E *)v; t.dqkv = (E *)dqkv;
    t.qkv = (const E *)o->qkv; t.angles = o->angles; t.eps = o->eps;
    t.q_gain = o->q_gain; t.k_gain = o->k_gain;
    t.positions = o->rows->positions; t.slots = o->rows->slots; t.n = o->rows->num_rows;
    t.heads = o->heads.num_heads; t.kv_heads = o->heads.num_kv_heads; t.d = o->heads.head_dim;
    return t;
}

/* As many lanes a head as have work, a power of two; blocks of 128 threads */
template <typename E> static void grpo__run_heads(grpo__cuda *c, grpo__head_job<E> t) {
    int fits = grpo__fits_vectors((size_t)(t.d / 2) * sizeof(E), t.q, t.k, t.v, t.qkv)
            && grpo__fits_vectors(0, t.dqkv, t.angles, t.q_gain, t.k_gain);
    int columns = fits ? 16 / (int)sizeof(E) : 1;
    size_t heads = (size_t)t.n * (size_t)(t.heads + 2 * t.kv_heads);
    for (t.lanes = 1; t.lanes < 32 && t.lanes * columns < t.d / 2; ) t.lanes *= 2;
    if (t.n > 0)
        GRPO__RUN_VECTORS(GRPO__RUN_EARLY, c, fits, grpo__rotate_kernel, E,
                          grpo__blocks_of(heads, 128 / t.lanes), 128, t);
}

template <typename E> static void grpo__cuda_rotate(void *context, const grpo_attention *o) {
    grpo__run_heads(grpo__cuda_of(context), grpo__new_head_job<E>(o, o->q, o->k, o->v, NULL));
}

template <typename E>
static void grpo__cuda_rotate_backward(void *context, const grpo_attention *o) {
    grpo__cuda *c = grpo__cuda_of(context);
    grpo__head_job<E> t = grpo__new_head_job<E>(o, o->dq, o->dk, o->dv, o->dqkv);
    grpo__sum_job<E> sums = grpo__new_sums<E>(o->dk_gain, o->dk, t.n * t.kv_heads, t.d);
    grpo__run_heads(c, t);
    if (t.n <= 0 || !o->dq_gain) return;
    grpo__sum_rows(c, grpo__new_sums<E>(o->dq_gain, o->dq, t.n * t.heads, t.d));
    sums.slots = t.slots; sums.parts = (unsigned)t.kv_heads;
    grpo__sum_rows(c, sums);
}

/* ------------------------------------------------------------------------------- >>attention --
 * Row r of head h attends keys j = 0, 1, ...: its prefix, then its own.
 *     s_j = q k_j / sqrt(d),  p_j = exp(s_j - lse),  y = sum_j p_j v_j,  lse = log sum_j e^s_j
 *     D = dy . y,  dp_j = dy . v_j,  ds_j = p_j (dp_j - D) / sqrt(d)
 *     dq = sum_j ds_j k_j,  dk_j = sum_r ds_j q,  dv_j = sum_r p_j dy
 * K and V are rows [slot, kv_heads * d]. */
template <typename E> struct grpo__attention_job {
    const E *q, *k, *v, *dy;
    E *y, *dq, *dk, *dv;
    float *lse, *D;                 /* [n, heads]                                                */
    const grpo_segment *segments;
    const int *groups, *slots, *done;
    int n, num_segments, num_groups, heads, kv_heads, d;
    float scale;                    /* 1 / sqrt(d)                                               */
    float *partial;                 /* forward: [n, heads, grid.z, d + 2] where a block takes    */
    int   *tickets;                 /*     64 keys, and [n, kv_heads]; dkv: see grpo__share_of   */
    int    prompt_blocks, shares;   /* dkv: of 64 keys, at the most; grid.z                      */
};

/* The last of the segments that begin at or before a row. */
__device__ inline int grpo__segment_of(const grpo_segment *segments, int count, int row) {
    int low = 0, high = count - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (segments[middle].row <= row) low = middle;
        else high = middle - 1;
    }
    return low;
}

template <typename E>
__device__ int grpo__group_of(const grpo__attention_job<E> &t, int segment) {
    int low = 0, high = t.num_groups - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (t.groups[middle] <= segment) low = middle;
        else high = middle - 1;
    }
    return low;
}

/* End of the rows that may attend the keys of a segment: a prompt, which is the first of its group,
 * is attended by the whole group, a completion by itself. */
template <typename E>
__device__ int grpo__last_query(const grpo__attention_job<E> &t, int segment) {
    int group = grpo__group_of(t, segment);
    int last = t.groups[group] == segment ? t.groups[group + 1] - 1 : segment;
    return t.segments[last].row + t.segments[last].num_rows;
}

/* ---- plain: a block per row and head; keys in blocks, one a thread */
enum { GRPO__PLAIN_KEYS = 128 };

__device__ inline int grpo__key_slot(const grpo_segment &s, int j) {
    return j < s.prefix_length ? s.prefix + j : s.own + j - s.prefix_length;
}

template <typename E>
__device__ float grpo__dot(const E *x, const E *y, int d) {
    float sum = 0;
    int i;
    for (i = 0; i < d; i++) sum = fmaf(grpo__get(x, (size_t)i), grpo__get(y, (size_t)i), sum);
    return sum;
}

template <typename E> __global__ void grpo__attention_kernel(grpo__attention_job<E> t) {
    GRPO__DYNAMIC(memory);
    __shared__ float p[GRPO__PLAIN_KEYS];
    float *y = (float *)(void *)memory, top = -INFINITY, sum = 0;   /* y [d]                     */
    int r = (int)blockIdx.x, h = (int)blockIdx.y, j0, j, i, thread = (int)threadIdx.x;
    if (t.done && t.done[r]) return;
    grpo_segment s = t.segments[grpo__segment_of(t.segments, t.num_segments, r)];
    int keys = s.prefix_length + s.start + r - s.row + 1;
    size_t d = (size_t)t.d, KV = (size_t)t.kv_heads * d;
    size_t head = (size_t)(h / (t.heads / t.kv_heads)) * d;
    size_t at = ((size_t)r * (size_t)t.heads + (size_t)h) * d;
    for (i = thread; i < t.d; i += GRPO__PLAIN_KEYS) y[i] = 0;
    for (j0 = 0; j0 < keys; j0 += GRPO__PLAIN_KEYS) {
        int slot = j0 + thread < keys ? grpo__key_slot(s, j0 + thread) : -1;
        float score = slot < 0 ? -INFINITY
                    : t.scale * grpo__dot(t.q + at, t.k + (size_t)slot * KV + head, t.d);
        float most = fmaxf(top, grpo__block_max(score)), again = expf(top - most);
        float e = slot < 0 ? 0.0f : expf(score - most);
        sum = sum * again + grpo__block_sum(e);
        top = most;
        p[thread] = e;
        __syncthreads();
        for (i = thread; i < t.d; i += GRPO__PLAIN_KEYS) {
            float value = y[i] * again;
            for (j = 0; j < GRPO__PLAIN_KEYS && j0 + j < keys; j++)
                value = fmaf(p[j], grpo__get(t.v, (size_t)grpo__key_slot(s, j0 + j) * KV + head
                                             + (size_t)i), value);
            y[i] = value;
        }
        __syncthreads();
    }
    for (i = thread; i < t.d; i += GRPO__PLAIN_KEYS)
        grpo__put(t.y, at + (size_t)i, y[i] / sum);
    if (thread == 0) t.lse[(size_t)r * (size_t)t.heads + (size_t)h] = top + logf(sum);
}

/* D [n, heads] = dy . y */
template <typename E> __global__ void grpo__attention_D_kernel(grpo__attention_job<E> t) {
    size_t rows = (size_t)t.n * (size_t)t.heads, d = (size_t)t.d, i;
    size_t r = (size_t)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    float sum = 0;
    if (r >= rows) return;
    for (i = threadIdx.x % 32; i < d; i += 32)
        sum += grpo__get(t.dy, r * d + i) * grpo__get(t.y, r * d + i);
    sum = grpo__warp_sum(sum);
    if (threadIdx.x % 32 == 0) t.D[r] = sum;
}

template <typename E> __global__ void grpo__attention_dq_kernel(grpo__attention_job<E> t) {
    GRPO__DYNAMIC(memory);
    __shared__ float ds[GRPO__PLAIN_KEYS];
    float *dq = (float *)(void *)memory;                      /* [d]                             */
    int r = (int)blockIdx.x, h = (int)blockIdx.y, j0, j, i, thread = (int)threadIdx.x;
    grpo_segment s = t.segments[grpo__segment_of(t.segments, t.num_segments, r)];
    int keys = s.prefix_length + s.start + r - s.row + 1;
    size_t d = (size_t)t.d, KV = (size_t)t.kv_heads * d;
    size_t row = (size_t)r * (size_t)t.heads + (size_t)h;
    size_t head = (size_t)(h / (t.heads / t.kv_heads)) * d;
    for (i = thread; i < t.d; i += GRPO__PLAIN_KEYS) dq[i] = 0;
    for (j0 = 0; j0 < keys; j0 += GRPO__PLAIN_KEYS) {
        ds[thread] = 0;
        if (j0 + thread < keys) {
            size_t slot = (size_t)grpo__key_slot(s, j0 + thread) * KV + head;
            float p = expf(t.scale * grpo__dot(t.q + row * d, t.k + slot, t.d) - t.lse[row]);
            ds[thread] = t.scale * p * (grpo__dot(t.dy + row * d, t.v + slot, t.d) - t.D[row]);
        }
        __syncthreads();
        for (i = thread; i < t.d; i += GRPO__PLAIN_KEYS)
            for (j = 0; j < GRPO__PLAIN_KEYS && j0 + j < keys; j++)
                dq[i] = fmaf(ds[j], grpo__get(t.k, (size_t)grpo__key_slot(s, j0 + j) * KV + head
                                              + (size_t)i), dq[i]);
        __syncthreads();
    }
    for (i = thread; i < t.d; i += GRPO__PLAIN_KEYS)
        grpo__put(t.dq, row * d + (size_t)i, dq[i]);
}

/* Does row r, of segment query, attend the key of row key, of segment s? */
__device__ inline int grpo__attends(const grpo_segment *segments, int query, int r, int s, int key,
                                    int slot) {
    if (query == s) return r >= key;
    return slot >= segments[query].prefix
        && slot < segments[query].prefix + segments[query].prefix_length;
}

/* A block per key row and head of k; query rows in blocks, one a thread */
template <typename E> __global__ void grpo__attention_dkv_kernel(grpo__attention_job<E> t) {
    GRPO__DYNAMIC(memory);
    __shared__ float p[GRPO__PLAIN_KEYS], ds[GRPO__PLAIN_KEYS];
    float *dk = (float *)(void *)memory, *dv = dk + t.d;      /* [d] each                        */
    int key = (int)blockIdx.x, kv_head = (int)blockIdx.y, shared = t.heads / t.kv_heads;
    int s = grpo__segment_of(t.segments, t.num_segments, key), slot = t.slots[key];
    int last = grpo__last_query(t, s), r0, h, i, j, thread = (int)threadIdx.x;
    size_t d = (size_t)t.d;
    size_t at = ((size_t)slot * (size_t)t.kv_heads + (size_t)kv_head) * d;
    for (i = thread; i < t.d; i += GRPO__PLAIN_KEYS) dk[i] = dv[i] = 0;
    for (r0 = key; r0 < last; r0 += GRPO__PLAIN_KEYS)
        for (h = kv_head * shared; h < (kv_head + 1) * shared; h++) {
            int r = r0 + thread, there = 0;
            size_t row = (size_t)r * (size_t)t.heads + (size_t)h;
            if (r < last)
                there = grpo__attends(t.segments, grpo__segment_of(t.segments, t.num_segments, r),
                                      r, s, key, slot);
            p[thread] = ds[thread] = 0;
            if (there) {
                p[thread] = expf(t.scale * grpo__dot(t.q + row * d, t.k + at, t.d) - t.lse[row]);
                ds[thread] = t.scale * p[thread]
                           * (grpo__dot(t.dy + row * d, t.v + at, t.d) - t.D[row]);
            }
            __syncthreads();
            for (i = thread; i < t.d; i += GRPO__PLAIN_KEYS)
                for (j = 0; j < GRPO__PLAIN_KEYS && r0 + j < last; j++) {
                    size_t from = ((size_t)(r0 + j) * (size_t)t.heads + (size_t)h) * d + (size_t)i;
                    dk[i] = fmaf(ds[j], grpo__get(t.q, from), dk[i]);
                    dv[i] = fmaf(p[j], grpo__get(t.dy, from), dv[i]);
                }
            __syncthreads();
        }
    for (i = thread; i < t.d; i += GRPO__PLAIN_KEYS) {
        grpo__put(t.dk, at + (size_t)i, dk[i]);
        grpo__put(t.dv, at + (size_t)i, dv[i]);
    }
}

/* ---- flash attention (Dao et al. 2022) on tensor cores, floor 4 d FLOPs per pair of row and key.
 * A block takes the query rows [64 b, 64 b + 64) of one head, whatever segments they belong to, and
 * walks over the runs of keys that any of them attends: each prefix once, then each segment's own.
 * While sampling, where every segment is one row, a block takes one row and all heads that share a
 * head of k instead, and where rows are few one block of keys. Either way a row takes its keys in
 * blocks of 64 from the start of each run, each block is summed separately, and the sums are added
 * in the same order; keys that a row does not attend change no bit of it. */
typedef struct grpo__key_walk {     /* over runs; the block of keys after the last one is at..   */
    int run, first, last;           /* 2 s: the prefix of segment s and others that share it;    */
    int row, slot, keys, at;        /*     2 s + 1: its own keys, up to those of row             */
} grpo__key_walk;

typedef struct grpo__key_block { int run, first, slot, count; } grpo__key_block;

__device__ inline void grpo__begin_run(grpo__key_walk *w, const grpo_segment *segments) {
    const grpo_segment *s = &segments[w->run / 2];
    int own = w->run % 2;
    int again = w->run > w->first && s[-1].prefix_length && s[-1].prefix == s->prefix;
    w->slot = own ? s->own : s->prefix;
    w->keys = own ? s->start + min(w->row + 1 - s->row, s->num_rows) : again ? 0 : s->prefix_length;
    w->at = 0;
}

/* The next block of keys; 0: no more. */
__device__ inline int grpo__next_keys(grpo__key_walk *w, const grpo_segment *segments,
                                      grpo__key_block *b) {
    while (w->at >= w->keys) {
        if (w->run >= w->last) return 0;
        w->run++;
        grpo__begin_run(w, segments);
    }
    b->run = w->run; b->first = w->at; b->slot = w->slot + w->at;
    b->count = min(w->keys - w->at, (int)GRPO__KEYS);
    w->at += GRPO__KEYS;
    return 1;
}

/* A query row of one head, number row * heads + head, or -1; its keys after its prefix. */
typedef struct grpo__query { int at, segment, prefix, keys; } grpo__query;

template <typename E>
__device__ grpo__query grpo__query_of(const grpo__attention_job<E> &t, int decode, int row,
                                      int head) {
    grpo__query q = { -1, -1, -1, 0 };
    if (row < t.n && head < t.heads) {
        int s = decode ? row : grpo__segment_of(t.segments, t.num_segments, row);
        q.at = row * t.heads + head;
        q.segment = s;
        if (t.segments[s].prefix_length) q.prefix = t.segments[s].prefix;
        q.keys = t.segments[s].start + row - t.segments[s].row + 1;
    }
    return q;
}

/* How many of a run's keys a row attends; these are the first. */
__device__ inline int grpo__sees(const grpo__query &q, int run, const grpo_segment *segments) {
    if (run % 2) return q.segment == run / 2 ? q.keys : 0;
    return q.prefix == segments[run / 2].prefix ? segments[run / 2].prefix_length : 0;
}

/* Head vectors of rows [row, row + count) into shared memory [LINES, D + pad], zeros where there is
 * none. A thread copies the same columns of every STEP-th row. */
template <int D, int LINES, int THREADS>
__device__ __forceinline__ void grpo__load_heads(grpo__bf16 *to, const grpo__bf16 *from,
                                                 int stride, int row, int count, int d) {
    enum { STEP = THREADS / (D / 8) };
    int r = (int)threadIdx.x / (D / 8), i = (int)threadIdx.x % (D / 8) * 8, e;
    int left = i < d ? count - r : 0;
    from += (ptrdiff_t)(row + r) * stride + i;
    to += r * (D + GRPO__PAD) + i;
#pragma unroll
    for (e = 0; e < LINES; e += STEP, from += (ptrdiff_t)STEP * stride)
        grpo__copy_16(to + e * (D + GRPO__PAD), from, e < left ? 16 : 0);
}

/* Accumulators of two neighbouring 16 x 8 tiles, as the fragment of A [16, 16] of bf16. */
__device__ __forceinline__ void grpo__as_a(uint32_t a[4], const float x[4], const float y[4]) {
    a[0] = grpo__pair(x[0], x[1]);
    a[1] = grpo__pair(x[2], x[3]);
    a[2] = grpo__pair(y[0], y[1]);
    a[3] = grpo__pair(y[2], y[3]);
}

/* S[16, 8 N] += A B^T over D; rows of A (from `row` on) and of B, 8 N of them, contiguous */
template <int D, int N>
__device__ __forceinline__ void grpo__scores(float S[N][4], const grpo__bf16 *A, int row,
                                             const grpo__bf16 *B) {
    GRPO__EACH(k, D / 16) {
        uint32_t a[4], b[4];
        grpo__load_a<false>(a, A, D + GRPO__PAD, row, 16 * k);
        GRPO__EACH(v, N / 2) {
            grpo__load_b<false>(b, B, D + GRPO__PAD, 16 * k, 16 * v);
            grpo__mma(S[2 * v], a, b, S[2 * v]);
            grpo__mma(S[2 * v + 1], a, b + 2, S[2 * v + 1]);
        }
    }
}

/* Y[16, D] += P[16, 8 N] B; rows of B contiguous */
template <int D, int N>
__device__ __forceinline__ void grpo__add_product(float Y[D / 8][4], const float P[N][4],
                                                  const grpo__bf16 *B) {
    GRPO__EACH(k, N / 2) {
        uint32_t a[4], b[4];
        grpo__as_a(a, P[2 * k], P[2 * k + 1]);
        GRPO__EACH(v, D / 16) {
            grpo__load_b<true>(b, B, D + GRPO__PAD, 16 * k, 16 * v);
            grpo__mma(Y[2 * v], a, b, Y[2 * v]);
            grpo__mma(Y[2 * v + 1], a, b + 2, Y[2 * v + 1]);
        }
    }
}

/* Row i of a block of query rows. */
template <typename E>
__device__ grpo__query grpo__block_query(const grpo__attention_job<E> &t, int decode, int i) {
    int shared = t.heads / t.kv_heads;
    if (!decode) return grpo__query_of(t, 0, (int)blockIdx.x * GRPO__QUERIES + i, (int)blockIdx.y);
    return grpo__query_of(t, 1, (int)blockIdx.x,
                          i < shared ? (int)blockIdx.y * shared + i : t.heads);
}

/* The walk over all keys that a block's rows attend. */
template <typename E>
__device__ grpo__key_walk grpo__begin_walk(const grpo__attention_job<E> &t, int decode) {
    int first = (int)blockIdx.x * (decode ? 1 : GRPO__QUERIES);
    int row = decode ? first : min(first + GRPO__QUERIES, t.n) - 1;
    int begin = decode ? row : grpo__segment_of(t.segments, t.num_segments, first);
    int end = decode ? row : grpo__segment_of(t.segments, t.num_segments, row);
    grpo__key_walk w = { 2 * begin - 1, 2 * begin, 2 * end + 1, row, 0, 0, 0 };
    return w;
}

/* One stage of K and V. */
template <int D, int THREADS>
__device__ __forceinline__ void grpo__load_keys(grpo__bf16 *to,
                                                const grpo__attention_job<grpo__bf16> &t,
                                                int kv_head, const grpo__key_block &b) {
    int KV = t.kv_heads * t.d, head = kv_head * t.d;
    grpo__load_heads<D, GRPO__KEYS, THREADS>(to, t.k + head, KV, b.slot, b.count, t.d);
    grpo__load_heads<D, GRPO__KEYS, THREADS>(to + GRPO__KEYS * (D + GRPO__PAD), t.v + head, KV,
                                             b.slot, b.count, t.d);
}

/* Bytes of shared memory: less than the 99 KB of sm_86, 89 and 120. */
template <int D> struct grpo__flash_size {
    enum { LINE = D + GRPO__PAD, STAGE = 2 * GRPO__KEYS * LINE, DQ_STAGES = D <= 64 ? 2 : 1,
           FORWARD = 2 * STAGE * 2, QUERY_ROWS = 16 * LINE * 2,              /* for each warp    */
           DQ = (2 * GRPO__QUERIES * LINE + DQ_STAGES * STAGE) * 2,
           DKV = (STAGE + 4 * GRPO__BACKWARD_QUERIES * LINE) * 2 };
};

/* Q's rows, or others of the same shape, of a block: [WARPS * 16, D + pad] */
template <int D, int WARPS>
__device__ __forceinline__ void grpo__load_queries(grpo__bf16 *to, const grpo__bf16 *from,
                                                   const grpo__attention_job<grpo__bf16> &t,
                                                   int decode) {
    int shared = t.heads / t.kv_heads, row = (int)blockIdx.x, h = (int)blockIdx.y;
    if (decode)
        grpo__load_heads<D, WARPS * 16, WARPS * 32>(to, from, t.d, row * t.heads + h * shared,
                                                    shared, t.d);
    else
        grpo__load_heads<D, WARPS * 16, WARPS * 32>(to, from + h * t.d, t.heads * t.d,
                                                    row * GRPO__QUERIES, t.n - row * GRPO__QUERIES,
                                                    t.d);
}

/* Sums of a row over some of its keys: m = max_j s_j, l = sum_j 2^(s_j - m), Y = sum_j 2^(s_j - m)
 * v_j, for the two rows of a thread. Scores s_j are in units of log 2. */
template <int D> struct grpo__attended { float m[2], l[2], Y[D / 8][4]; };

template <int D> __device__ __forceinline__ void grpo__attend_none(grpo__attended<D> *a) {
    a->m[0] = a->m[1] = -INFINITY;
    a->l[0] = a->l[1] = 0;
    GRPO__EACH(v, D / 8) a->Y[v][0] = a->Y[v][1] = a->Y[v][2] = a->Y[v][3] = 0;
}

/* Scores of a block's keys, of which the thread's two rows attend the first a and b: -inf for the
 * others. */
__device__ __forceinline__ void grpo__hide(float S[GRPO__KEYS / 8][4], int a, int b) {
    int j = (int)threadIdx.x % 4 * 2;
    if (min(a, b) >= GRPO__KEYS) return;
    GRPO__EACH(v, GRPO__KEYS / 8) GRPO__EACH(e, 4)
        if (8 * v + e % 2 + j >= (e < 2 ? a : b)) S[v][e] = -INFINITY;
}

/* The sums over a block of keys, from the products S = q k. */
template <int D>
__device__ __forceinline__ void grpo__attend(grpo__attended<D> *a, float S[GRPO__KEYS / 8][4],
                                             float unit, const grpo__bf16 *V) {
    grpo__attend_none(a);
    GRPO__EACH(u, 2) {
        float base;
        GRPO__EACH(v, GRPO__KEYS / 8) a->m[u] = fmaxf(a->m[u], fmaxf(S[v][2 * u], S[v][2 * u + 1]));
        a->m[u] = fmaxf(a->m[u], __shfl_xor_sync(0xffffffffu, a->m[u], 1));
        a->m[u] = fmaxf(a->m[u], __shfl_xor_sync(0xffffffffu, a->m[u], 2)) * unit;
        base = a->m[u] == -INFINITY ? 0.0f : a->m[u];
        GRPO__EACH(v, GRPO__KEYS / 8) {
            S[v][2 * u] = grpo__exp2(__fmaf_rn(S[v][2 * u], unit, -base));
            S[v][2 * u + 1] = grpo__exp2(__fmaf_rn(S[v][2 * u + 1], unit, -base));
            a->l[u] += S[v][2 * u] + S[v][2 * u + 1];
        }
        a->l[u] += __shfl_xor_sync(0xffffffffu, a->l[u], 1);
        a->l[u] += __shfl_xor_sync(0xffffffffu, a->l[u], 2);
    }
    grpo__add_product<D, GRPO__KEYS / 8>(a->Y, S, V);
}

/* all += the sums of a block. A block without keys changes nothing. */
template <int D>
__device__ __forceinline__ void grpo__add_block(grpo__attended<D> *all,
                                                const grpo__attended<D> &a) {
    GRPO__EACH(u, 2) {
        float most = fmaxf(all->m[u], a.m[u]), base = most == -INFINITY ? 0.0f : most;
        float old = grpo__exp2(all->m[u] - base), now = grpo__exp2(a.m[u] - base);
        all->m[u] = most;
        all->l[u] = __fmaf_rn(all->l[u], old, __fmul_rn(a.l[u], now));
        GRPO__EACH(v, D / 8) {
            all->Y[v][2 * u] = __fmaf_rn(all->Y[v][2 * u], old, __fmul_rn(a.Y[v][2 * u], now));
            all->Y[v][2 * u + 1] = __fmaf_rn(all->Y[v][2 * u + 1], old,
                                             __fmul_rn(a.Y[v][2 * u + 1], now));
        }
    }
}

/* Begins the walk at block blockIdx.z of a row's keys; returns how many blocks they have. */
__device__ inline int grpo__begin_part(grpo__key_walk *w, const grpo_segment *segments) {
    int shared = (segments[w->row].prefix_length + GRPO__KEYS - 1) / GRPO__KEYS;
    int part = (int)blockIdx.z;
    w->run += part < shared ? 1 : 2;
    grpo__begin_run(w, segments);
    w->at = (part < shared ? part : part - shared) * GRPO__KEYS;
    return shared + segments[w->row].start / GRPO__KEYS + 1;
}

/* Combines the blocks of keys of a row, each from its block of threads, in order. 1 in the one that
 * does it. Lines of partial: Y [d], m, l. */
template <int D>
__device__ int grpo__join_parts(const grpo__attention_job<grpo__bf16> &t, const grpo__query q[2],
                                grpo__attended<D> *a, int parts) {
    int i = (int)threadIdx.x % 4 * 2, line = t.d + 2, part, u;
    int shared = t.heads / t.kv_heads, rows = shared > 8 ? 2 : 1;
    int first = (int)blockIdx.x * t.heads + (int)blockIdx.y * shared;         /* in place of none */
    grpo__attended<D> one;
    float *at[2] = { }, *to;
    for (u = 0; u < rows; u++) {
        at[u] = t.partial + (size_t)max(q[u].at, first) * gridDim.z * (size_t)line;
        to = at[u] + blockIdx.z * (size_t)line;
        if (q[u].at < 0) continue;
        GRPO__EACH(v, D / 8)
            if (8 * v + i < t.d)
                *(float2 *)(void *)(to + 8 * v + i) = float2{ a->Y[v][2 * u], a->Y[v][2 * u + 1] };
        if (i == 0) *(float2 *)(void *)(to + t.d) = float2{ a->m[u], a->l[u] };
    }
    if (!grpo__is_last(t.tickets + blockIdx.x * gridDim.y + blockIdx.y, parts)) return 0;
    grpo__attend_none(a);
    grpo__attend_none(&one);
    for (part = 0; part < parts; part++) {
        GRPO__EACH(w, 2) {
            const float2 *from = (const float2 *)(const void *)(at[w] + (size_t)(part * line));
            if (w >= rows) continue;
            float2 x = __ldcg(from + t.d / 2);
            one.m[w] = x.x; one.l[w] = x.y;
            GRPO__EACH(v, D / 8) {
                if (8 * v + i < t.d) x = __ldcg(from + (8 * v + i) / 2);
                one.Y[v][2 * w] = x.x; one.Y[v][2 * w + 1] = x.y;
            }
        }
        grpo__add_block(a, one);
    }
    return 1;
}

template <int D, int WARPS>
__global__ void __launch_bounds__(WARPS * 32, D <= 64 ? 3 : 1)
grpo__flash_kernel(grpo__attention_job<grpo__bf16> t, int decode) {
    typedef grpo__flash_size<D> size;
    GRPO__DYNAMIC(memory);
    grpo__bf16 *Q = (grpo__bf16 *)(void *)memory, *stages = Q + WARPS * 16 * size::LINE;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, stage = 0, run = -1, more, u, v;
    int kv_head = decode ? (int)blockIdx.y : (int)blockIdx.y / (t.heads / t.kv_heads), parts = 1;
    float unit = t.scale * 1.44269504f;                       /* to powers of 2                  */
    int limit[2] = { 0, 0 };                                  /* keys of the run that a row sees */
    grpo__wait_for_previous();
    if (decode && t.done && t.done[blockIdx.x]) return;
    grpo__key_walk walk = grpo__begin_walk(t, decode);
    grpo__key_block now = { 0, 0, 0, 0 }, next = now;
    grpo__attended<D> all, block;
    grpo__query q[2];
    if (t.partial) parts = grpo__begin_part(&walk, t.segments);
    if ((int)blockIdx.z >= parts) return;
    for (u = 0; u < 2; u++) q[u] = grpo__block_query(t, decode, 16 * warp + lane / 4 + 8 * u);
    grpo__attend_none(&all);
    grpo__load_queries<D, WARPS>(Q, t.q, t, decode);
    more = grpo__next_keys(&walk, t.segments, &now);
    if (more) grpo__load_keys<D, WARPS * 32>(stages, t, kv_head, now);
    grpo__copy_fence();
    for (; more; now = next, stage ^= 1) {
        float S[GRPO__KEYS / 8][4] = { };
        const grpo__bf16 *K = stages + stage * size::STAGE, *V = K + GRPO__KEYS * size::LINE;
        more = !t.partial && grpo__next_keys(&walk, t.segments, &next);
        if (more)
            grpo__load_keys<D, WARPS * 32>(stages + (stage ^ 1) * size::STAGE, t, kv_head, next);
        grpo__copy_fence();
        grpo__copy_wait(1);
        __syncthreads();
        if (now.run != run)
            for (run = now.run, u = 0; u < 2; u++) limit[u] = grpo__sees(q[u], run, t.segments);
        grpo__scores<D, GRPO__KEYS / 8>(S, Q, 16 * warp, K);
        grpo__hide(S, limit[0] - now.first, limit[1] - now.first);
        grpo__attend(&block, S, unit, V);
        grpo__add_block(&all, block);
        __syncthreads();            /* before this stage is overwritten                          */
    }
    if (parts > 1 && !grpo__join_parts(t, q, &all, parts)) return;
    for (u = 0; u < 2; u++) {
        size_t at = (size_t)q[u].at;
        float inverse = 1 / all.l[u];
        if (q[u].at < 0) continue;
        for (v = 0; v < D / 8; v++) {
            int i = 8 * v + lane % 4 * 2;
            if (i < t.d)
                *(uint32_t *)(void *)(t.y + at * (size_t)t.d + (size_t)i)
                    = grpo__pair(all.Y[v][2 * u] * inverse, all.Y[v][2 * u + 1] * inverse);
        }
        if (lane % 4 == 0) t.lse[at] = (all.m[u] + log2f(all.l[u])) * 0.693147181f;
    }
}

/* dq: like forward, with p from lse. */
template <int D>
__global__ void __launch_bounds__(128, D <= 64 ? 3 : 1)
grpo__flash_dq_kernel(grpo__attention_job<grpo__bf16> t) {
    typedef grpo__flash_size<D> size;
    enum { AHEAD = size::DQ_STAGES - 1 };
    GRPO__DYNAMIC(memory);
    grpo__bf16 *Q = (grpo__bf16 *)(void *)memory, *dY = Q + GRPO__QUERIES * size::LINE;
    grpo__bf16 *stages = dY + GRPO__QUERIES * size::LINE;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, stage = 0, run = -1, more;
    int kv_head = (int)blockIdx.y / (t.heads / t.kv_heads), limit[2] = { 0, 0 }, u, v;
    float unit = t.scale * 1.44269504f, lse[2], Dr[2], dQ[D / 8][4];
    grpo__key_walk walk = grpo__begin_walk(t, 0);
    grpo__key_block now = { 0, 0, 0, 0 }, next = now;
    grpo__query q[2];
    for (u = 0; u < 2; u++) {
        q[u] = grpo__block_query(t, 0, 16 * warp + lane / 4 + 8 * u);
        lse[u] = q[u].at < 0 ? 0 : t.lse[q[u].at] * 1.44269504f;
        Dr[u] = q[u].at < 0 ? 0 : t.D[q[u].at];
    }
    GRPO__EACH(v, D / 8) GRPO__EACH(e, 4) dQ[v][e] = 0;
    grpo__load_queries<D, 4>(Q, t.q, t, 0);
    grpo__load_queries<D, 4>(dY, t.dy, t, 0);
    more = grpo__next_keys(&walk, t.segments, &now);
    if (more) grpo__load_keys<D, 128>(stages, t, kv_head, now);
    grpo__copy_fence();
    for (; more; now = next) {
        float S[GRPO__KEYS / 8][4] = { }, dP[GRPO__KEYS / 8][4];
        const grpo__bf16 *K = stages + stage * size::STAGE, *V = K + GRPO__KEYS * size::LINE;
        more = grpo__next_keys(&walk, t.segments, &next);
        if (AHEAD) stage ^= 1;
        if (AHEAD && more) grpo__load_keys<D, 128>(stages + stage * size::STAGE, t, kv_head, next);
        grpo__copy_fence();
        if (AHEAD) grpo__copy_wait(1);
        else grpo__copy_wait(0);
        __syncthreads();
        if (now.run != run)
            for (run = now.run, u = 0; u < 2; u++) limit[u] = grpo__sees(q[u], run, t.segments);
        GRPO__EACH(j, GRPO__KEYS / 8) GRPO__EACH(e, 4) dP[j][e] = -Dr[e / 2];
        grpo__scores<D, GRPO__KEYS / 8>(S, Q, 16 * warp, K);
        grpo__scores<D, GRPO__KEYS / 8>(dP, dY, 16 * warp, V);
        grpo__hide(S, limit[0] - now.first, limit[1] - now.first);
        GRPO__EACH(j, GRPO__KEYS / 8) GRPO__EACH(e, 4)
            S[j][e] = grpo__exp2(__fmaf_rn(S[j][e], unit, -lse[e / 2])) * dP[j][e];
        grpo__add_product<D, GRPO__KEYS / 8>(dQ, S, K);
        __syncthreads();
        if (!AHEAD && more) grpo__load_keys<D, 128>(stages, t, kv_head, next);
    }
    for (u = 0; u < 2; u++) {
        size_t at = (size_t)q[u].at * (size_t)t.d;
        if (q[u].at < 0) continue;
        for (v = 0; v < D / 8; v++) {
            int i = 8 * v + lane % 4 * 2;
            if (i < t.d)
                *(uint32_t *)(void *)(t.dq + at + (size_t)i)
                    = grpo__pair(dQ[v][2 * u] * t.scale, dQ[v][2 * u + 1] * t.scale);
        }
    }
}

/* One stage of query rows and their dy, rows [r, r + 32) of head h. */
template <int D>
__device__ __forceinline__ void grpo__load_query_stage(grpo__bf16 *to,
                                                       const grpo__attention_job<grpo__bf16> &t,
                                                       int r, int last, int h) {
    enum { N = GRPO__BACKWARD_QUERIES };
    int Q = t.heads * t.d, head = h * t.d;
    grpo__load_heads<D, N, 128>(to, t.q + head, Q, r, last - r, t.d);
    grpo__load_heads<D, N, 128>(to + N * (D + GRPO__PAD), t.dy + head, Q, r, last - r, t.d);
}

/* A prompt's keys are attended by the rows of its whole group, many more than a completion's: these
 * rows are split among grid.z blocks, whose sums go to partial [groups, prompt_blocks, kv_heads,
 * grid.z, {dk, dv}, 64, D]. */
typedef struct grpo__dkv_share { int part, parts, slot, last; } grpo__dkv_share;

__device__ inline grpo__dkv_share grpo__share_of(const grpo__attention_job<grpo__bf16> &t,
                                                 int first, int end) {
    grpo__dkv_share a = { (int)blockIdx.z, 1, -1, 0 };
    int s = grpo__segment_of(t.segments, t.num_segments, first), rows;
    for (; s < t.num_segments && t.segments[s].row < end; s++) {
        int group = grpo__group_of(t, s);
        a.last = max(a.last, grpo__last_query(t, s));
        if (a.slot < 0 && t.groups[group] == s)
            a.slot = group * t.prompt_blocks + (int)blockIdx.x - t.segments[s].row / GRPO__KEYS;
    }
    rows = a.last - first;
    if (a.slot >= 0) a.parts = min((int)gridDim.z, (rows + GRPO__SHARE - 1) / GRPO__SHARE);
    return a;
}

/* Adds up all parts, in order. 1 in the block that does it. */
template <int D>
__device__ int grpo__join_shares(const grpo__attention_job<grpo__bf16> &t,
                                 const grpo__dkv_share &a, float dK[D / 8][4],
                                 float dV[D / 8][4]) {
    enum { SIZE = GRPO__KEYS * D };
    int thread = (int)threadIdx.x, cell = a.slot * t.kv_heads + (int)blockIdx.y, part;
    float *all = t.partial + (size_t)cell * gridDim.z * (2 * SIZE) + thread;
    float *mine = all + a.part * (2 * SIZE);                  /* indexed by thread               */
    GRPO__EACH(v, D / 8) GRPO__EACH(e, 4) {
        mine[(4 * v + e) * 128] = dK[v][e];
        mine[(4 * v + e) * 128 + SIZE] = dV[v][e];
    }
    if (!grpo__is_last(t.tickets + cell, a.parts)) return 0;
    GRPO__EACH(v, D / 8) GRPO__EACH(e, 4) dK[v][e] = dV[v][e] = 0;
    for (part = 0; part < a.parts; part++, all += 2 * SIZE)
        GRPO__EACH(v, D / 8) GRPO__EACH(e, 4) {
            dK[v][e] += __ldcg(all + (4 * v + e) * 128);
            dV[v][e] += __ldcg(all + (4 * v + e) * 128 + SIZE);
        }
    return 1;
}

/* A query row, for a half of a block's keys: bit i of sees says whether it attends key i. */
struct alignas(16) grpo__query_row { float lse, D; uint32_t sees; int at; };

/* Bits [begin, end) of 64. */
__device__ inline uint64_t grpo__bits(int begin, int end) {
    begin = max(begin, 0); end = min(end, 64);
    return begin < end ? ~(uint64_t)0 >> (64 - end) & ~(uint64_t)0 << begin : 0;
}

/* Which of the key rows [first, first + 64) row r attends, a bit each. Its segment and group are
 * not before *s and *g. */
__device__ inline uint64_t grpo__attended_keys(const grpo__attention_job<grpo__bf16> &t, int first,
                                               int r, int *s, int *g) {
    while (*s + 1 < t.num_segments && t.segments[*s + 1].row <= r) ++*s;
    while (t.groups[*g + 1] <= *s) ++*g;
    const grpo_segment *own = t.segments + *s, *prompt = t.segments + t.groups[*g];
    int skip = own->prefix - prompt->own - prompt->start, at = prompt->row - first;
    uint64_t bits = grpo__bits(own->row - first, r + 1 - first);
    if (own == prompt) return bits; /* else those of the prompt's rows that are the prefix       */
    return bits | grpo__bits(at + max(skip, 0),
                             at + min(skip + own->prefix_length, prompt->num_rows));
}

/* dk, dv of 64 keys, the rows [64 b, 64 b + 64), of one head of k: over all query rows that may
 * attend them, and the heads that share k, in order. S, p, dp and ds are here [keys, queries]. */
template <int D>
__global__ void __launch_bounds__(128)
grpo__flash_dkv_kernel(grpo__attention_job<grpo__bf16> t) {
    typedef grpo__flash_size<D> size;
    enum { QUERIES = GRPO__BACKWARD_QUERIES, N = QUERIES / 8, STEP = 128 / (D / 8) };
    GRPO__DYNAMIC(memory);
    __shared__ grpo__query_row queries[2][QUERIES];           /* for each half of the keys;      */
                                                              /*     at: segment, and group      */
    grpo__bf16 *K = (grpo__bf16 *)(void *)memory, *V = K + GRPO__KEYS * size::LINE;
    grpo__bf16 *stages = K + size::STAGE;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, kv_head = (int)blockIdx.y;
    int first = (int)blockIdx.x * GRPO__KEYS, shared = t.heads / t.kv_heads, i = (int)threadIdx.x;
    int end = min(first + GRPO__KEYS, t.n), last, step, steps, u, r, h, stage = 0;
    int KV = t.kv_heads * t.d, column = i % (D / 8) * 8;
    uint32_t mine = 1u << (warp % 2 * 16 + lane / 4), both = mine | mine << 8;
    float unit = t.scale * 1.44269504f, dK[D / 8][4], dV[D / 8][4], lse = 0, Dr = 0;
    uint64_t sees = 0;
    grpo__dkv_share part = grpo__share_of(t, first, end);
    if (part.part >= part.parts) return;
    last = part.last;
    GRPO__EACH(v, D / 8) GRPO__EACH(e, 4) dK[v][e] = dV[v][e] = 0;
#pragma unroll
    for (int e = i / (D / 8); e < GRPO__KEYS; e += STEP) {
        int there = first + e < end && column < t.d;
        ptrdiff_t at = there ? (ptrdiff_t)t.slots[first + e] * KV + kv_head * t.d + column : 0;
        grpo__copy_16(K + e * size::LINE + column, t.k + at, there ? 16 : 0);
        grpo__copy_16(V + e * size::LINE + column, t.v + at, there ? 16 : 0);
    }
    steps = (last - first + QUERIES - 1) / QUERIES * shared;
    step = steps / part.parts * part.part;
    if (part.part < part.parts - 1) steps = step + steps / part.parts;
    r = first + step / shared * QUERIES;
    h = kv_head * shared + step % shared;
    if (i < QUERIES && r + i < last) {
        int s = grpo__segment_of(t.segments, t.num_segments, r + i), g = grpo__group_of(t, s);
        sees = grpo__attended_keys(t, first, r + i, &s, &g);
        lse = t.lse[(r + i) * t.heads + h];
        Dr = t.D[(r + i) * t.heads + h];
        queries[0][i].at = s; queries[1][i].at = g;
    }
    grpo__load_query_stage<D>(stages, t, r, last, h);
    grpo__copy_fence();
    for (; step < steps; step++, stage ^= 1) {
        const grpo__bf16 *Q = stages + stage * 2 * QUERIES * size::LINE;
        const grpo__bf16 *dY = Q + QUERIES * size::LINE;
        const grpo__query_row *rows = queries[warp / 2] + lane % 4 * 2;
        float S[N][4] = { }, dP[N][4];
        uint32_t all = both;
        for (u = 0; i < QUERIES && u < 2; u++) {
            queries[u][i].lse = lse * 1.44269504f; queries[u][i].D = Dr;
            queries[u][i].sees = (uint32_t)(sees >> 32 * u);
        }
        if (++h == (kv_head + 1) * shared) { h -= shared; r += QUERIES; }
        if (step + 1 < steps) {
            grpo__load_query_stage<D>(stages + (stage ^ 1) * 2 * QUERIES * size::LINE, t, r, last,
                                      h);
            if (i < QUERIES && r + i >= last) sees = 0;
            else if (i < QUERIES) {
                lse = t.lse[(r + i) * t.heads + h];
                Dr = t.D[(r + i) * t.heads + h];
                if (h == kv_head * shared)
                    sees = grpo__attended_keys(t, first, r + i, &queries[0][i].at,
                                               &queries[1][i].at);
            }
        }
        grpo__copy_fence();
        grpo__copy_wait(1);
        __syncthreads();
        grpo__scores<D, N>(S, K, 16 * warp, Q);
        GRPO__EACH(v, N) all &= rows[8 * v].sees & rows[8 * v + 1].sees;
        if (all != both) {
            GRPO__EACH(v, N) GRPO__EACH(e, 4)
                if (!(rows[8 * v + e % 2].sees & mine << e / 2 * 8)) S[v][e] = -INFINITY;
        }
        GRPO__EACH(v, N) GRPO__EACH(e, 4) {
            S[v][e] = grpo__exp2(__fmaf_rn(S[v][e], unit, -rows[8 * v + e % 2].lse));
            dP[v][e] = -rows[8 * v + e % 2].D;
        }
        grpo__add_product<D, N>(dV, S, dY);
        grpo__scores<D, N>(dP, V, 16 * warp, dY);
        GRPO__EACH(v, N) GRPO__EACH(e, 4) dP[v][e] *= S[v][e];
        grpo__add_product<D, N>(dK, dP, Q);
        __syncthreads();
    }
    if (gridDim.z > 1) {
        part = grpo__share_of(t, first, end);                 /* anew, for want of registers     */
        if (part.parts > 1 && !grpo__join_shares<D>(t, part, dK, dV)) return;
    }
    for (u = 0; u < 2; u++) {
        int key = first + 16 * warp + lane / 4 + 8 * u;
        if (key >= end) continue;
        ptrdiff_t at = (ptrdiff_t)t.slots[key] * KV + kv_head * t.d;
        GRPO__EACH(v, D / 8) {
            int c = 8 * v + lane % 4 * 2;
            if (c >= t.d) continue;
            *(uint32_t *)(void *)(t.dk + at + c) = grpo__pair(dK[v][2 * u] * t.scale,
                                                              dK[v][2 * u + 1] * t.scale);
            *(uint32_t *)(void *)(t.dv + at + c) = grpo__pair(dV[v][2 * u], dV[v][2 * u + 1]);
        }
    }
}

/* ---- the two operations */
template <typename E>
static grpo__attention_job<E> grpo__new_attention(const grpo_attention *o) {
    const grpo_rows *rows = o->rows;
    grpo__attention_job<E> t;
    memset(&t, 0, sizeof t);
    t.q = (const E *)o->q; t.k = (const E *)o->k; t.v = (const E *)o->v;
    t.y = (E *)o->y; t.lse = o->lse; t.dy = (const E *)o->dy;
    t.dq = (E *)o->dq; t.dk = (E *)o->dk; t.dv = (E *)o->dv;
    t.segments = rows->segments; t.groups = rows->groups;
    t.slots = rows->slots; t.done = rows->done;
    t.n = rows->num_rows; t.num_segments = rows->num_segments; t.num_groups = rows->num_groups;
    t.heads = o->heads.num_heads; t.kv_heads = o->heads.num_kv_heads; t.d = o->heads.head_dim;
    t.scale = 1.0f / sqrtf((float)t.d);
    return t;
}

/* Can flash attention be used? Depends on the model alone. */
template <typename E> static int grpo__fits_flash(const grpo__attention_job<E> &t) {
    return t.d % 8 == 0 && t.d <= 128 && t.heads / t.kv_heads <= 64;
}

template <typename E>
static void grpo__plain_attention(grpo__cuda *c, const grpo__attention_job<E> &t) {
    dim3 grid((unsigned)t.n, (unsigned)t.heads);
    GRPO__RUN(c, grpo__attention_kernel<E>, grid, GRPO__PLAIN_KEYS, (size_t)t.d * sizeof(float), t);
}

/* Parts of a row: while sampling few rows one for each block of keys that it can have, else 1. */
static unsigned grpo__split_keys(grpo__cuda *c, grpo__attention_job<grpo__bf16> *t, int max_keys) {
    int parts = max_keys / GRPO__KEYS + 2, blocks = t->n * t->kv_heads;
    size_t room = (size_t)GRPO__PARTIAL_MB << 20;
    size_t line = (size_t)t->heads * (size_t)parts * (size_t)(t->d + 2) * sizeof(float);
    if (max_keys <= 0 || blocks >= 2 * c->multiprocessors || blocks > GRPO__TICKETS
        || (size_t)t->n > room / line) return 1;
    t->partial = (float *)grpo__cuda_scratch(c, room);
    t->tickets = c->tickets;
    return (unsigned)parts;
}

template <int D, int WARPS>
static void grpo__flash(grpo__cuda *c, grpo__attention_job<grpo__bf16> t, int decode,
                        int max_keys) {
    dim3 grid((unsigned)(decode ? t.n : grpo__blocks_of((size_t)t.n, GRPO__QUERIES)),
              (unsigned)(decode ? t.kv_heads : t.heads));
    int bytes = grpo__flash_size<D>::FORWARD + WARPS * grpo__flash_size<D>::QUERY_ROWS;
    if (decode) grid.z = grpo__split_keys(c, &t, max_keys);
    grpo__allow_shared(c, grpo__flash_kernel<D, WARPS>, bytes);
    if (t.partial) bytes -= grpo__flash_size<D>::STAGE * 2;   /* one block of keys, one stage    */
    GRPO__RUN_EARLY(c, (grpo__flash_kernel<D, WARPS>), grid, WARPS * 32, bytes, t, decode);
}

static void grpo__attention_by(grpo__cuda *c, const grpo__attention_job<float> &t, int) {
    grpo__plain_attention(c, t);
}
static void grpo__attention_by(grpo__cuda *c, const grpo__attention_job<grpo__bf16> &t,
                               int max_keys) {
    int decode = t.n == t.num_segments, few = decode && t.heads / t.kv_heads <= 16;
    if (!grpo__fits_flash(t)) grpo__plain_attention(c, t);
    else if (t.d <= 64 && few) grpo__flash<64, 1>(c, t, decode, max_keys);
    else if (t.d <= 64) grpo__flash<64, 4>(c, t, decode, max_keys);
    else if (few) grpo__flash<128, 1>(c, t, decode, max_keys);
    else grpo__flash<128, 4>(c, t, decode, max_keys);
}

template <typename E> static void grpo__cuda_attention(void *context, const grpo_attention *o) {
    if (o->rows->num_rows > 0)
        grpo__attention_by(grpo__cuda_of(context), grpo__new_attention<E>(o), o->rows->max_keys);
}

template <typename E>
static void grpo__plain_attention_backward(grpo__cuda *c, const grpo__attention_job<E> &t) {
    size_t row = (size_t)t.d * sizeof(float);
    GRPO__RUN(c, grpo__attention_dq_kernel<E>, dim3((unsigned)t.n, (unsigned)t.heads),
              GRPO__PLAIN_KEYS, row, t);
    GRPO__RUN(c, grpo__attention_dkv_kernel<E>, dim3((unsigned)t.n, (unsigned)t.kv_heads),
              GRPO__PLAIN_KEYS, 2 * row, t);
}

template <int D>
static void grpo__flash_backward(grpo__cuda *c, const grpo__attention_job<grpo__bf16> &t) {
    unsigned shares = (unsigned)max(t.shares, 1);
    unsigned queries = (unsigned)grpo__blocks_of((size_t)t.n, GRPO__QUERIES);
    unsigned keys = (unsigned)grpo__blocks_of((size_t)t.n, GRPO__KEYS);
    int dq_bytes = grpo__flash_size<D>::DQ, dkv_bytes = grpo__flash_size<D>::DKV;
    grpo__allow_shared(c, grpo__flash_dq_kernel<D>, dq_bytes);
    grpo__allow_shared(c, grpo__flash_dkv_kernel<D>, dkv_bytes);
    GRPO__RUN(c, grpo__flash_dq_kernel<D>, dim3(queries, (unsigned)t.heads), 128, dq_bytes, t);
    GRPO__RUN(c, grpo__flash_dkv_kernel<D>, dim3(keys, (unsigned)t.kv_heads, shares), 128,
              dkv_bytes, t);
}

static void grpo__attention_backward_by(grpo__cuda *c, const grpo__attention_job<float> &t) {
    grpo__plain_attention_backward(c, t);
}
static void grpo__attention_backward_by(grpo__cuda *c, const grpo__attention_job<grpo__bf16> &t) {
    if (!grpo__fits_flash(t)) grpo__plain_attention_backward(c, t);
    else if (t.d <= 64) grpo__flash_backward<64>(c, t);
    else grpo__flash_backward<128>(c, t);
}

template <typename E>
static void grpo__cuda_attention_backward(void *context, const grpo_attention *o) {
    grpo__cuda *c = grpo__cuda_of(context);
    grpo__attention_job<E> t = grpo__new_attention<E>(o);
    size_t all = (size_t)t.n * (size_t)t.heads, cells, size;
    size_t room = ((size_t)GRPO__PARTIAL_MB << 20) / sizeof(float);
    if (t.n <= 0) return;
    t.prompt_blocks = o->rows->max_keys / GRPO__KEYS + 2;
    cells = (size_t)t.num_groups * (size_t)t.prompt_blocks * (size_t)t.kv_heads;
    size = 2 * GRPO__KEYS * (t.d <= 64 ? 64 : 128);
    t.D = (float *)grpo__cuda_scratch(c, all * sizeof(float));
    if (sizeof(E) == 2 && grpo__fits_flash(t) && t.n > GRPO__SHARE && o->rows->max_keys > 0
        && cells <= GRPO__TICKETS && all < room)
        t.shares = min((int)GRPO__SHARES, (int)((room - all) / (cells * size)));
    t.partial = t.D + all; t.tickets = c->tickets;
    GRPO__RUN(c, grpo__attention_D_kernel<E>, grpo__blocks_of(all, 4), 128, 0, t);
    grpo__attention_backward_by(c, t);
}

/* ---------------------------------------------------------------------------------- >>logits --
 * A block per row of logits z[vocab]. With K the allowed tokens, T the temperature:
 *     x_v = (z_v - max_K z) / T,  S = sum_K e^x,  p_v = e^x_v / S,  H = log S - 1/S sum_K e^x x
 * The sampler and the trainer call the same code, so their log-probs are the same bits. */
template <typename E> struct grpo__softmax_row {
    const E *z;
    const uint32_t *allowed;        /* K, one bit each; NULL: all                                */
    int vocab, stride;              /* elements that are used, and that there are                */
    float top, inverse;             /* max_K z, 1 / T                                            */
    double partition, weighted;     /* S, sum_K e^x x                                            */
};

template <typename E> struct grpo__vocab_job {
    E *logits;                      /* [rows, stride], of which vocab columns are used           */
    const E *more;
    E *ref_logits;                  /* with dkl they become the gradient of exact KL             */
    int vocab, stride;
    const int *offsets, *targets, *allowed_rows;
    uint32_t *allowed;              /* sets, by allowed_rows; NULL: all tokens                   */
    float temperature;
    float *logprobs, *entropies, *kl;
    const float *dlogprobs, *dentropies, *dkl;
    const float *uniforms;          /* NULL: the targets are given                               */
    int *drawn;
    grpo_sampling sampling;
};

/* Which of [v, v + N) are tokens, and allowed, one bit each; N divides 8, and v. */
template <int N>
__device__ __forceinline__ uint32_t grpo__allowed_bits(const uint32_t *allowed, int vocab, int v) {
    uint32_t bits = v + N <= vocab ? (1u << N) - 1 : v < vocab ? (1u << (vocab - v)) - 1 : 0;
    if (allowed && bits) bits &= (uint32_t)((const uint8_t *)allowed)[v >> 3] >> (v & 7);
    return bits;
}

template <typename E>
__device__ __forceinline__ float grpo__scaled(const grpo__softmax_row<E> &s, float z) {
    return (z - s.top) * s.inverse;
}

__device__ __host__ __forceinline__ float grpo__inverse(float temperature) {
    return temperature > 0 ? 1.0f / temperature : 1.0f;
}

/* Rescales the sums over part of a row to another top. */
__device__ __forceinline__ void grpo__lower(grpo__strip *a, float top, float inverse) {
    float x = __fmul_rn(__fsub_rn(a->top, top), inverse), p = expf(x);
    a->weighted = p != 0.0f ? __fmul_rn(p, __fmaf_rn(x, a->sum, a->weighted)) : 0.0f;
    a->sum *= p;
    a->top = top;
}

/* Top and sums of a thread's share of a row, read once. */
template <int N, typename E>
__device__ grpo__strip grpo__read_row(const grpo__softmax_row<E> &s) {
    grpo__strip a = { -FLT_MAX, 0, 0, 0 };
    int v;
    for (v = (int)threadIdx.x * N; v < s.vocab; v += (int)blockDim.x * N) {
        uint32_t bits = grpo__allowed_bits<N>(s.allowed, s.vocab, v);
        grpo__vector<E, N> x;
        float top = a.top;
        if (!bits) continue;        /* what is not allowed is not loaded                         */
        x = grpo__load_vector<N>(s.z, (size_t)v);
        GRPO__EACH(e, N) if (bits >> e & 1u) top = fmaxf(top, grpo__get(x, e));
        if (top > a.top) grpo__lower(&a, top, s.inverse);
        GRPO__EACH(e, N) {
            float y = __fmul_rn(__fsub_rn(grpo__get(x, e), a.top), s.inverse), p = expf(y);
            if (!(bits >> e & 1u)) continue;
            a.sum = __fadd_rn(a.sum, p);
            a.weighted = __fadd_rn(a.weighted, p != 0.0f ? __fmul_rn(p, y) : 0.0f);
        }
    }
    return a;
}

/* Are rows aligned to 16 bytes? Those of bf16 are padded. */
template <typename E>
__device__ __forceinline__ int grpo__fits_row(const grpo__softmax_row<E> &s) {
    return sizeof(E) == 2 || ((uintptr_t)s.z | (uintptr_t)s.stride * sizeof(E)) % 16 == 0;
}

/* This block's row of logits (or of an array like them) and its set; then also its sums. */
template <typename E>
__device__ grpo__softmax_row<E> grpo__row_of(const grpo__vocab_job<E> &t, const E *logits) {
    size_t r = blockIdx.x, words = (size_t)((t.vocab + 31) / 32);
    const uint32_t *set = t.allowed ? t.allowed + (size_t)t.allowed_rows[r] * words : NULL;
    grpo__softmax_row<E> s = { logits + r * (size_t)t.stride, set, t.vocab, t.stride, -FLT_MAX,
                               grpo__inverse(t.temperature), 0, 0 };
    return s;
}
template <typename E>
__device__ grpo__softmax_row<E> grpo__softmax_of(grpo__softmax_row<E> s) {
    grpo__strip a = grpo__fits_row(s) ? grpo__read_row<16 / sizeof(E)>(s) : grpo__read_row<1>(s);
    s.top = grpo__block_max(a.top);
    grpo__lower(&a, s.top, s.inverse);
    s.partition = grpo__block_sum((double)a.sum);
    s.weighted = grpo__block_sum((double)a.weighted);
    return s;
}

template <typename E>
__device__ float grpo__entropy(const grpo__softmax_row<E> &s) {
    return (float)(log(s.partition) - s.weighted / s.partition);
}

template <typename E>
__device__ float grpo__logprob(const grpo__softmax_row<E> &s, float z) {
    return (float)((double)grpo__scaled(s, z) - log(s.partition));
}

template <typename E> __global__ void grpo__logprobs_kernel(grpo__vocab_job<E> t) {
    int r = (int)blockIdx.x, i;
    grpo__softmax_row<E> s = grpo__softmax_of(grpo__row_of<E>(t, t.logits));
    if (threadIdx.x == 0) t.entropies[r] = grpo__entropy(s);
    for (i = t.offsets[r] + (int)threadIdx.x; i < t.offsets[r + 1]; i += (int)blockDim.x)
        t.logprobs[i] = grpo__logprob(s, grpo__get(s.z, (size_t)t.targets[i]));
}

/* dz_v = sum_i dlogp_i [v = token_i] / T - p_v / T (sum_i dlogp_i + dH (log p_v + H)) */
template <int N, typename E>
__device__ void grpo__write_gradient(const grpo__vocab_job<E> &t, const grpo__softmax_row<E> &s) {
    int r = (int)blockIdx.x, first = t.offsets[r], end = t.offsets[r + 1], i, v;
    float dentropy = t.dentropies ? t.dentropies[r] : 0.0f, entropy = grpo__entropy(s), total = 0;
    float share = (float)(1.0 / s.partition), log_partition = (float)log(s.partition);
    size_t row = (size_t)r * (size_t)t.stride;
    for (i = first; i < end; i++) total += t.dlogprobs[i];
    for (v = (int)threadIdx.x * N; v < t.vocab; v += (int)blockDim.x * N) {
        grpo__vector<E, N> z = grpo__load_vector<N>(t.logits, row + (size_t)v), more = { };
        uint32_t bits = grpo__allowed_bits<N>(s.allowed, t.vocab, v);
        if (t.more) more = grpo__load_vector<N>(t.more, row + (size_t)v);
        float d[N];
        GRPO__EACH(e, N) {
            float x = grpo__scaled(s, grpo__get(z, e)), weight = total;
            float p = bits >> e & 1u ? expf(x) : 0.0f;
            if (dentropy != 0) weight += dentropy * (x - log_partition + entropy);
            d[e] = p != 0.0f ? -s.inverse * (p * share) * weight : 0.0f;
        }
        for (i = first; i < end; i++)
            GRPO__EACH(e, N) if (t.targets[i] == v + e) d[e] += s.inverse * t.dlogprobs[i];
        GRPO__EACH(e, N) grpo__put(z, e, v + e < t.vocab ? d[e] + grpo__get(more, e) : 0.0f);
        grpo__store_vector(t.logits, row + (size_t)v, z);
    }
}

/* floor: logits read twice, written once */
template <typename E> __global__ void grpo__logprobs_backward_kernel(grpo__vocab_job<E> t) {
    grpo__softmax_row<E> s = grpo__softmax_of(grpo__row_of<E>(t, t.logits));
    if (grpo__fits_row(s)) grpo__write_gradient<16 / sizeof(E)>(t, s);
    else grpo__write_gradient<1>(t, s);
}

/* KL = sum_K p (log p - log q);  backward: dkl p (log p - log q - KL) / T, in place of the
 * reference's logits */
template <typename E> __global__ void grpo__kl_kernel(grpo__vocab_job<E> t) {
    int r = (int)blockIdx.x, v;
    E *ref = t.ref_logits + (size_t)r * (size_t)t.stride;
    grpo__softmax_row<E> p = grpo__softmax_of(grpo__row_of<E>(t, t.logits));
    grpo__softmax_row<E> q = grpo__softmax_of(grpo__row_of<E>(t, t.ref_logits));
    double kl = 0, shift = log(q.partition) - log(p.partition);
    for (v = (int)threadIdx.x; v < t.vocab; v += (int)blockDim.x)
        if (grpo__allowed_bits<1>(p.allowed, t.vocab, v)) {
            double x = (double)grpo__scaled(p, grpo__get(p.z, v)), share = exp(x) / p.partition;
            if (share != 0) kl += share * (x - (double)grpo__scaled(q, grpo__get(q.z, v)) + shift);
        }
    kl = grpo__block_sum(kl);
    if (!t.dkl && threadIdx.x == 0) t.kl[r] = (float)kl;
    if (!t.dkl) return;
    for (v = (int)threadIdx.x; v < t.vocab; v += (int)blockDim.x) {
        double x = (double)grpo__scaled(p, grpo__get(p.z, v));
        double gap = x - (double)grpo__scaled(q, grpo__get(q.z, v)) + shift;
        double share = grpo__allowed_bits<1>(p.allowed, t.vocab, v)
                     ? (double)p.inverse * exp(x) / p.partition : 0;
        float d = share != 0 ? (float)(share * (gap - kl)) : 0.0f;
        grpo__put(ref, (size_t)v, d * t.dkl[r]);
    }
}

/* Calls work(v, z_v) for all allowed v, by the block together or, given a piece, for those of one
 * of blockDim.x pieces, in order. Where it returns 0, v leaves `set`, if that is given: the row's.
 * A thread takes eight neighbours at a time, and has four such loads under way. */
template <typename E, typename F>
__device__ __forceinline__ void grpo__each_logit(const grpo__softmax_row<E> &s, int piece,
                                                 uint32_t *set, F work) {
    int threads = (int)blockDim.x, size = 32 * (((s.vocab + 31) / 32 + threads - 1) / threads);
    int first = piece < 0 ? 8 * (int)threadIdx.x : piece * size, step = piece < 0 ? 8 * threads : 8;
    int end = piece < 0 ? s.vocab : min(s.vocab, first + size);
    for (; first < end; first += 4 * step) {
        grpo__vector<E, 8> z[4] = { };
        uint32_t bits[4];
        GRPO__EACH(u, 4) bits[u] = grpo__allowed_bits<8>(s.allowed, end, first + u * step);
        GRPO__EACH(u, 4)
            if (sizeof(E) == 2 && bits[u]) z[u] = grpo__load_vector<8>(s.z, first + u * step);
            else if (sizeof(E) != 2) GRPO__EACH(e, 8)
                if (bits[u] >> e & 1u) grpo__put(z[u], e, grpo__get(s.z, first + u * step + e));
        GRPO__EACH(u, 4) {
            uint32_t left = bits[u];
            GRPO__EACH(e, 8)
                if (bits[u] >> e & 1u && !work(first + u * step + e, grpo__get(z[u], e)))
                    left &= ~(1u << e);
            if (set && left != bits[u])
                ((uint8_t *)set)[(first + u * step) >> 3] = (uint8_t)left;
        }
    }
}

/* ---- filters. Each allows the largest logits until their measure (a count, or a probability mass)
 * reaches a goal. Logits become integer keys of the same order; the key at which the goal is
 * reached is found four bits at a time from the top, while smaller ones leave the set. floor:
 * logits read 3 times (fp32 too: then few are left) */
template <typename E> __device__ __forceinline__ uint32_t grpo__key(float z) {
    uint32_t bits = __float_as_uint(z), key = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return sizeof(E) == 2 ? key >> 16 : key;                  /* only 16 bits of bf16's differ   */
}

template <typename E>
__device__ __forceinline__ double grpo__measure(const grpo__softmax_row<E> &s, int by_mass,
                                                float z) {
    if (by_mass) return (double)expf(grpo__scaled(s, z));
    return z >= -FLT_MAX ? 1.0 : 0.0;                         /* -inf is not allowed             */
}

/* The key at which the measure, from the largest on, reaches *goal; *above: measure of larger keys.
 * by_mass *goal is a share, which is multiplied by the whole mass, summed in the same order. */
template <typename E>
__device__ uint32_t grpo__find_cut(grpo__softmax_row<E> s, uint32_t *set, int by_mass,
                                   double *goal, double *above) {
    __shared__ double bins[16][GRPO__ROW_THREADS];
    int thread = (int)threadIdx.x, first = 8 * (int)sizeof(E) - 4, shift, digit, i;
    uint32_t cut = 0;               /* the key's bits from `shift` up                            */
    double whole = 0, sum;
    *above = 0;
    for (shift = first; shift >= 0; shift -= 4, s.allowed = set) {
        for (digit = 0; digit < 16; digit++) bins[digit][thread] = 0;
        grpo__each_logit(s, -1, shift < first ? set : NULL, [&](int, float z) {
            uint32_t key = grpo__key<E>(z) >> shift;
            if (key >> 4 == cut) bins[key & 15][thread] += grpo__measure(s, by_mass, z);
            return key >> 4 >= cut;
        });
        __syncthreads();
        for (sum = 0, i = thread % 16; i < GRPO__ROW_THREADS; i += 16) sum += bins[thread / 16][i];
        for (i = 8; i > 0; i /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, i);
        if (thread % 16 == 0) bins[thread / 16][0] = sum;
        __syncthreads();
        for (digit = 15; shift == first && digit >= 0; digit--) whole += bins[digit][0];
        if (shift == first) *goal = fmax(fmin(by_mass ? *goal * whole : *goal, whole), DBL_MIN);
        for (digit = 15; digit > 0 && *above + bins[digit][0] < *goal; digit--)
            *above += bins[digit][0];
        cut = cut << 4 | (uint32_t)digit;
        __syncthreads();            /* before the bins are overwritten                           */
    }
    return cut;
}

/* Reduces the set to its fewest tokens (never those of logit -inf, at least one, of equal logits
 * the first) that number `goal` or, by_mass, have that share of its mass. */
template <typename E>
__device__ void grpo__allow_most(grpo__softmax_row<E> &s, uint32_t *set, int by_mass, double goal) {
    __shared__ int equals[GRPO__ROW_THREADS];
    double above, one = 0;
    int i = 0, piece = (int)threadIdx.x, left = 0;
    uint32_t cut = grpo__find_cut(s, set, by_mass, &goal, &above);
    s.allowed = set;
    grpo__each_logit(s, piece, NULL, [&](int, float z) {
        if (grpo__key<E>(z) == cut) { one = grpo__measure(s, by_mass, z); i++; }
        return 1;
    });
    equals[piece] = i;
    __syncthreads();
    if (i) for (left = 0; above + left * one < goal && left < s.vocab; left++) { }
    for (i = 0; i < piece; i++) left -= equals[i];            /* for this thread's piece         */
    grpo__each_logit(s, piece, set, [&](int, float z) {
        uint32_t key = grpo__key<E>(z);
        return key > cut || (key == cut && left-- > 0);
    });
    __syncthreads();
}

template <typename E>
__device__ void grpo__filter(grpo__softmax_row<E> row, const grpo_sampling &s, uint32_t *set) {
    int w, words = (row.vocab + 31) / 32, top_k = s.temperature == 0 ? 1 : s.top_k, odd = 0;
    row.allowed = NULL; row.top = -HUGE_VALF;                 /* all, at first                   */
    for (w = (int)threadIdx.x; w < words; w += (int)blockDim.x)
        set[w] = w == words - 1 && row.vocab % 32 ? (1u << row.vocab % 32) - 1 : 0xffffffffu;
    grpo__each_logit(row, -1, NULL, [&](int, float z) {
        row.top = fmaxf(row.top, z);
        odd |= z != z;
        return 1;
    });
    row.top = grpo__block_max(row.top);
    odd |= (row.top - row.top) * row.inverse != 0;            /* infinite, or all are -inf       */
    if (__syncthreads_or(odd)) return;                        /* log-probs become NaN too        */
#pragma unroll 1
    for (w = 0; w < 2; w++)
        if (w ? s.top_p < 1 : top_k > 0 && top_k < row.vocab)
            grpo__allow_most(row, set, w, w ? (double)s.top_p : (double)top_k);
    row.allowed = set;
    if (s.min_p > 0)                /* p_v >= min_p p_max */
        grpo__each_logit(row, -1, set, [&](int, float z) {
            return !(z < row.top) || expf(grpo__scaled(row, z)) >= s.min_p;
        });
    __syncthreads();
}

/* ---- drawing: the first token at which the running sum of e^x exceeds uniform * S: pieces one by
 * one, then tokens. If rounding leaves a rest: the last of probability above 0. This stores each
 * thread's piece and, after them, their sum; the last piece above 0 becomes infinite. */
__device__ inline void grpo__sum_pieces(double *pieces, double mine) {
    double sum = 0;
    int i, last = 0;
    pieces[threadIdx.x] = mine;
    __syncthreads();
    for (i = 0; threadIdx.x == 0 && i < GRPO__ROW_THREADS; sum += pieces[i++])
        if (pieces[i] > 0) last = i;
    if (threadIdx.x == 0) { pieces[last] = HUGE_VAL; pieces[GRPO__ROW_THREADS] = sum; }
    __syncthreads();
}

/* The piece in which the running sum exceeds *left; *left becomes the rest within it. */
__device__ inline int grpo__draw_piece(const double *pieces, double *left) {
    int piece = 0, first;
    for (first = 0; piece == first; first += 8) {             /* eight loads at a time           */
        double sum[8];
        GRPO__EACH(e, 8) sum[e] = pieces[first + e];
        GRPO__EACH(e, 8) if (piece == first + e && *left >= sum[e]) { *left -= sum[e]; piece++; }
    }
    return piece;
}

template <typename E> __global__ void grpo__sample_kernel(grpo__vocab_job<E> t) {
    __shared__ double pieces[GRPO__ROW_THREADS + 1];
    int r = (int)blockIdx.x, i;
    grpo__softmax_row<E> s = grpo__row_of<E>(t, t.logits);
    double sum = 0;
    if (t.allowed) grpo__filter(s, t.sampling, (uint32_t *)(uintptr_t)s.allowed);
    s = grpo__softmax_of(s);
    grpo__each_logit(s, (int)threadIdx.x, NULL, [&](int, float z) {
        sum += (double)expf(grpo__scaled(s, z));
        return 1;
    });
    grpo__sum_pieces(pieces, sum);
    if (threadIdx.x == 0) t.entropies[r] = grpo__entropy(s);
    for (i = t.offsets[r] + (int)threadIdx.x; i < t.offsets[r + 1]; i += (int)blockDim.x) {
        double left = (double)t.uniforms[i] * pieces[GRPO__ROW_THREADS];
        int token = 0;
        grpo__each_logit(s, grpo__draw_piece(pieces, &left), NULL, [&](int v, float z) {
            double e = (double)expf(grpo__scaled(s, z));
            if (!(left < 0) && e > 0) { token = v; left -= e; }
            return 1;
        });
        t.drawn[i] = token;
        t.logprobs[i] = grpo__logprob(s, grpo__get(s.z, (size_t)token));
    }
}

template <typename E> static grpo__vocab_job<E> grpo__new_vocab_job(const grpo_head *o) {
    grpo__vocab_job<E> t;
    memset(&t, 0, sizeof t);
    t.logits = (E *)o->logits; t.vocab = o->w->rows; t.stride = o->w->y_stride;
    t.ref_logits = (E *)o->ref_logits; t.more = (const E *)o->more;
    t.offsets = o->targets.offsets; t.targets = o->targets.tokens;
    t.allowed = o->targets.allowed; t.allowed_rows = o->targets.allowed_rows;
    t.temperature = o->targets.temperature;
    t.logprobs = o->logprobs; t.entropies = o->entropies; t.kl = o->kl;
    t.dlogprobs = o->dlogprobs; t.dentropies = o->dentropies;
    return t;
}

/* A block per row of logits */
#define GRPO__EACH_LOGITS_ROW(context, kernel, o, t)                                         \
    if ((o)->targets.num_rows > 0)                                                           \
        GRPO__RUN(grpo__cuda_of(context), kernel, (o)->targets.num_rows, GRPO__ROW_THREADS, 0, t)

template <typename E> static void grpo__cuda_logprobs_backward(void *context, const grpo_head *o) {
    GRPO__EACH_LOGITS_ROW(context, grpo__logprobs_backward_kernel<E>, o, grpo__new_vocab_job<E>(o));
}

template <typename E, bool BACKWARD>
static void grpo__cuda_kl(void *context, const grpo_head *o) {
    grpo__vocab_job<E> t = grpo__new_vocab_job<E>(o);
    if (BACKWARD) t.dkl = o->dkl;
    GRPO__EACH_LOGITS_ROW(context, grpo__kl_kernel<E>, o, t);
}

/* ---- without logits: the head's product writes only the top and sums of strips of 32 columns; the
 * strip of a target, or of a drawn token, is computed again. Floor: the product's, and 0.5 bytes a
 * logit written and read. */

/* A strip of a row's logits by one warp, in the order of k of the product: the same bits. */
static __device__ void grpo__strip_logits(float z[GRPO__STRIP], const grpo__bf16 *x,
                                          const grpo__bf16 *W, int strip, int vocab, int k) {
    int g = (int)threadIdx.x % 32 / 4, at = (int)threadIdx.x % 4 * 2, first, p, v, e;
    float total[4][4], sum[4][4];
    for (v = 0; v < 4; v++) for (e = 0; e < 4; e++) total[v][e] = 0;
    for (first = 0; first < k; first += GRPO__SLICE) {
        for (v = 0; v < 4; v++) for (e = 0; e < 4; e++) sum[v][e] = 0;
#pragma unroll 8
        for (p = first; p < min(k, first + GRPO__SLICE); p += 16) {
            uint32_t a[4] = { 0, 0, 0, 0 };                   /* only row 0 is used              */
            int more = p + 8 < k;
            if (g == 0) a[0] = grpo__two(x + p + at);
            if (g == 0 && more) a[2] = grpo__two(x + p + 8 + at);
            GRPO__EACH(v, 4) {
                int column = GRPO__STRIP * strip + 8 * v + g, there = column < vocab;
                const grpo__bf16 *w = W + (size_t)(there ? column : 0) * (size_t)k + p + at;
                uint32_t b[2] = { there ? grpo__two(w) : 0, there && more ? grpo__two(w + 8) : 0 };
                grpo__mma(sum[v], a, b, sum[v]);
            }
        }
        for (v = 0; v < 4; v++) for (e = 0; e < 4; e++) total[v][e] += sum[v][e];
    }
    for (v = 0; v < 4 && g == 0; v++) for (e = 0; e < 2; e++) z[8 * v + at + e] = total[v][e];
    __syncwarp();
}

/* A row of strips is like one of logits. This is a strip, rescaled to the row's top. */
typedef grpo__softmax_row<grpo__strip> grpo__strips;
__device__ __forceinline__ grpo__strip grpo__strip_of(const grpo__strips &h, int s) {
    grpo__strip a = h.z[s];
    grpo__lower(&a, h.top, h.inverse);
    return a;
}

static __device__ void grpo__sum_strips(grpo__strips *h) {
    int s;
    for (s = (int)threadIdx.x; s < h->vocab; s += (int)blockDim.x)
        h->top = fmaxf(h->top, h->z[s].top);
    h->top = grpo__block_max(h->top);
    for (s = (int)threadIdx.x; s < h->vocab; s += (int)blockDim.x) {
        grpo__strip a = grpo__strip_of(*h, s);
        h->partition += (double)a.sum;
        h->weighted += (double)a.weighted;
    }
    h->partition = grpo__block_sum(h->partition);
    h->weighted = grpo__block_sum(h->weighted);
}

/* The strip in which the running sum exceeds *left, by a warp; *left becomes the rest within it.
 * pieces: of `size` strips. sums: room for a warp's. */
static __device__ int grpo__draw_strip(const grpo__strips &h, const double *pieces, int size,
                                       float *sums, double *left) {
    int s = grpo__draw_piece(pieces, left) * size, end = min(h.vocab, s + size), strip = 0, i;
    int lane = (int)threadIdx.x % 32;
    for (i = 32; s < end && i == 32; s += 32) {
        __syncwarp();               /* sums may still be read                                    */
        sums[lane] = s + lane < end ? grpo__strip_of(h, s + lane).sum : 0.0f;
        __syncwarp();
        for (i = 0; i < 32; i++) {
            if (!(sums[i] > 0)) continue;
            strip = s + i;
            if (*left < (double)sums[i]) break;
            *left -= (double)sums[i];
        }
    }
    return strip;
}

/* A block per row, a warp per target: tokens that are given, or (uniforms) drawn. */
static __global__ void grpo__pick_kernel(grpo__vocab_job<grpo__bf16> t, const grpo__strip *strips,
                                         const grpo__bf16 *hidden, const grpo__bf16 *W, int k) {
    __shared__ double pieces[GRPO__ROW_THREADS + 1];
    __shared__ float logits[2][GRPO__ROW_THREADS / 32][GRPO__STRIP];
    int r = (int)blockIdx.x, warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, i, s, v;
    int count = (t.vocab + GRPO__STRIP - 1) / GRPO__STRIP;
    int size = (count + (int)blockDim.x - 1) / (int)blockDim.x, first = (int)threadIdx.x * size;
    float *z = logits[0][warp], *p = logits[1][warp];         /* p: e^x                          */
    grpo__strips h = { strips + (size_t)r * (size_t)count, NULL, count, count, -FLT_MAX,
                       grpo__inverse(t.temperature), 0, 0 };
    double sum = 0;
    grpo__wait_for_previous();
    grpo__sum_strips(&h);
    for (s = first; t.uniforms && s < min(count, first + size); s++)
        sum += (double)grpo__strip_of(h, s).sum;
    if (t.uniforms) grpo__sum_pieces(pieces, sum);
    if (threadIdx.x == 0) t.entropies[r] = grpo__entropy(h);
    for (i = t.offsets[r] + warp; i < t.offsets[r + 1]; i += (int)blockDim.x / 32) {
        double left = t.uniforms ? (double)t.uniforms[i] * pieces[GRPO__ROW_THREADS] : 0;
        int strip = t.uniforms ? grpo__draw_strip(h, pieces, size, p, &left)
                               : t.targets[i] / GRPO__STRIP;
        int token = t.uniforms ? GRPO__STRIP * strip : t.targets[i];
        __syncwarp();               /* z and p may still be read                                 */
        grpo__strip_logits(z, hidden + (size_t)r * (size_t)k, W, strip, t.vocab, k);
        p[lane] = expf(grpo__scaled(h, z[lane]));
        __syncwarp();
        for (v = 0; t.uniforms && v < min(GRPO__STRIP, t.vocab - GRPO__STRIP * strip); v++) {
            if (!(p[v] > 0)) continue;
            token = GRPO__STRIP * strip + v;
            left -= (double)p[v];
            if (left < 0) break;
        }
        if (lane) continue;
        if (t.uniforms) t.drawn[i] = token;
        t.logprobs[i] = grpo__logprob(h, z[token % GRPO__STRIP]);
    }
}

/* ---- the two operations. Logits are written and read again with sets of allowed tokens, where
 * tensor cores do not fit, in plain kernels, and with wgmma, whose bits a single warp cannot
 * reproduce. The choice depends on the configuration alone: sampler and trainer make the same. */

/* 1: log-probs (and drawn tokens) are computed. 0: only the logits are. */
static int grpo__run_head(grpo__cuda *c, const grpo_head *o, const grpo__vocab_job<float> &) {
    grpo__product<float> p = grpo__forward_product<float>(o->logits, o->hidden, o->w,
                                                          o->targets.num_rows);
    grpo__matmul_by(c, o->w, p, false, false);
    return 0;
}
static int grpo__run_head(grpo__cuda *c, const grpo_head *o,
                          const grpo__vocab_job<grpo__bf16> &t) {
    int n = o->targets.num_rows, keeps = o->keep_logits && !t.uniforms;
    grpo__product<grpo__bf16> p = grpo__forward_product<grpo__bf16>(o->logits, o->hidden, o->w, n);
    size_t count = (size_t)grpo__blocks_of((size_t)t.vocab, GRPO__STRIP);
    if (t.allowed || c->encode_map || !grpo__fits_mma(o->w, p)) {
        grpo__matmul_by(c, o->w, p, false, false);
        return 0;
    }
    p.strips = (grpo__strip *)(keeps                          /* else they lie where logits would */
             ? grpo__cuda_scratch(c, (size_t)n * count * sizeof(grpo__strip)) : o->logits);
    if (!keeps) p.y = NULL;
    p.inverse = grpo__inverse(t.temperature);
    grpo__mma_product<false, false>(c, p);
    GRPO__RUN_EARLY(c, grpo__pick_kernel, n, GRPO__ROW_THREADS, 0, t,
                    (const grpo__strip *)p.strips, p.a, p.b, p.k);
    return 1;
}

template <typename E> static void grpo__cuda_logprobs(void *context, const grpo_head *o) {
    grpo__vocab_job<E> t = grpo__new_vocab_job<E>(o);
    if (o->targets.num_rows > 0 && !grpo__run_head(grpo__cuda_of(context), o, t))
        GRPO__EACH_LOGITS_ROW(context, grpo__logprobs_kernel<E>, o, t);
}

template <typename E> static void grpo__cuda_sample(void *context, const grpo_head *o) {
    grpo__vocab_job<E> t = grpo__new_vocab_job<E>(o);
    t.drawn = o->drawn; t.uniforms = o->uniforms; t.sampling = *o->sampling;
    if (o->targets.num_rows > 0 && !grpo__run_head(grpo__cuda_of(context), o, t))
        GRPO__EACH_LOGITS_ROW(context, grpo__sample_kernel<E>, o, t);
}

/* A block per row and array. Copies words of 16 bytes if aligned, else of 2. */
static __global__ void grpo__store_kernel(grpo_tick t) {
    grpo__wait_for_previous();
    grpo_array a = t.arrays[blockIdx.y];
    size_t row = blockIdx.x, i;
    const char *x = a.at + ((size_t)t.staged + row) * a.row;
    char *y = a.at + ((size_t)t.stored + (size_t)*t.tick * (size_t)t.num_rows + row) * a.row;
    if (a.row % 16 == 0 && (uintptr_t)a.at % 16 == 0)
        for (i = threadIdx.x; i < a.row / 16; i += blockDim.x)
            ((uint4 *)y)[i] = ((const uint4 *)x)[i];
    else
        for (i = threadIdx.x; i < a.row / 2; i += blockDim.x)
            ((uint16_t *)y)[i] = ((const uint16_t *)x)[i];
}

/* Copies what this tick drew to its line; each live row advances to its new token. One block. */
static __global__ void grpo__next_kernel(grpo_tick t) {
    grpo__wait_for_previous();
    size_t n = (size_t)t.num_rows, r, line = n * (size_t)(*t.tick + 1);
    int i;
    __syncthreads();                /* all have read *tick                                       */
    if (threadIdx.x == 0) ++*t.tick;
    for (r = threadIdx.x; r < n; r += blockDim.x) {
        int token = t.drawn[r];
        t.drawn[line + r] = token;
        t.logprobs[line + r] = t.logprobs[r];
        t.entropies[line + r] = t.entropies[r];
        t.uniforms[r] = t.uniforms[line + r];
        if (t.done[r]) continue;
        t.tokens[r] = token;
        t.positions[r]++;
        t.slots[r]++;
        t.segments[r].start++;
        t.allowed_rows[r] += t.allowed_step;
        for (i = 0; i < t.num_eos; i++) t.done[r] |= token == t.eos[i];
    }
}

static void grpo__cuda_next(void *context, const grpo_tick *o) {
    grpo__cuda *c = grpo__cuda_of(context);
    dim3 grid((unsigned)o->num_rows, (unsigned)o->num_arrays);
    if (o->num_rows > 0 && o->num_arrays) GRPO__RUN_EARLY(c, grpo__store_kernel, grid, 128, 0, *o);
    if (o->num_rows > 0) GRPO__RUN_EARLY(c, grpo__next_kernel, 1, GRPO__ROW_THREADS, 0, *o);
}

/* ------------------------------------------------------------------------------- >>optimizer --
 * Floors: AdamW 28 bytes a weight, the others 4 to 12. */
template <typename F, int N>
__global__ void grpo__adamw_kernel(F *weights, const F *gradient, F *m, F *v, size_t n, float beta1,
                                   float beta2, float epsilon, float scale, float rate, float root,
                                   float keep) {
    size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * N;
    for (; i < n; i += (size_t)gridDim.x * blockDim.x * N) {
        grpo__vector<F, N> w = grpo__load_vector<N>(weights, i);
        grpo__vector<F, N> gradients = grpo__load_vector<N>(gradient, i);
        grpo__vector<F, N> means = grpo__load_vector<N>(m, i);
        grpo__vector<F, N> squares = grpo__load_vector<N>(v, i);
        GRPO__EACH(e, N) {
            float g = scale * gradients.x[e];
            float mean = means.x[e] = beta1 * means.x[e] + (1.0f - beta1) * g;
            float square = squares.x[e] = beta2 * squares.x[e] + (1.0f - beta2) * g * g;
            w.x[e] = keep * w.x[e] - rate * mean / (sqrtf(square) * root + epsilon);
        }
        grpo__store_vector(m, i, means);
        grpo__store_vector(v, i, squares);
        grpo__store_vector(weights, i, w);
    }
}

static void grpo__cuda_adamw(void *context, const grpo_optimizer *o) {
    double correct1 = 1 - pow((double)o->beta1, (double)o->step);
    double correct2 = 1 - pow((double)o->beta2, (double)o->step);
    float rate = (float)((double)o->learning_rate / correct1), root = (float)(1 / sqrt(correct2));
    if (o->n)
        GRPO__RUN_VECTORS(GRPO__RUN, grpo__cuda_of(context),
                          grpo__fits_vectors(4 * o->n, o->weights, o->gradient, o->m, o->v),
                          grpo__adamw_kernel, float, grpo__flat_grid(o->n), 256, o->weights,
                          o->gradient, o->m, o->v, o->n, o->beta1, o->beta2, o->epsilon, o->scale,
                          rate, root, 1.0f - o->learning_rate * o->weight_decay);
}

/* sums[b] = sum of the squares of x[16384 b ...] */
template <typename F, int N>
__global__ void grpo__squares_kernel(double *sums, const F *x, size_t n) {
    enum { AHEAD = 4 };
    size_t step = blockDim.x * N, i = (size_t)blockIdx.x * GRPO__SQUARES, end = i + GRPO__SQUARES;
    double sum = 0;
    for (i += threadIdx.x * N; i < end; i += AHEAD * step) {
        grpo__vector<F, N> v[AHEAD];
        GRPO__EACH(u, AHEAD) v[u] = grpo__load_vector<N>(x, i + u * step, n);
        GRPO__EACH(u, AHEAD)
            GRPO__EACH(e, N) sum += (double)v[u].x[e] * (double)v[u].x[e];
    }
    sum = grpo__block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

static __global__ void grpo__add_sums_kernel(double *total, const double *sums, int n) {
    double sum = 0;
    int i;
#pragma unroll 8
    for (i = (int)threadIdx.x; i < n; i += (int)blockDim.x) sum += sums[i];
    sum = grpo__block_sum(sum);
    if (threadIdx.x == 0) *total = sum;
}

static double grpo__cuda_sum_of_squares(void *context, const float *x, size_t n) {
    grpo__cuda *c = grpo__cuda_of(context);
    int blocks = grpo__blocks_of(n, GRPO__SQUARES);
    double *sums, total = 0;
    if (!n) return 0;
    sums = (double *)grpo__cuda_scratch(c, (size_t)(blocks + 1) * sizeof(double));
    GRPO__RUN_VECTORS(GRPO__RUN, c, grpo__fits_vectors(4 * n, x, NULL), grpo__squares_kernel, float,
                      blocks, 256, sums + 1, x, n);
    GRPO__RUN(c, grpo__add_sums_kernel, 1, 256, 0, sums, sums + 1, blocks);
    grpo__cuda_download(c, &total, sums, sizeof total);
    return total;
}

template <typename F, int N>
__global__ void grpo__mix_kernel(F *y, const F *x, float a, float b, size_t n) {
    size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * N;
    for (; i < n; i += (size_t)gridDim.x * blockDim.x * N) {
        grpo__vector<F, N> from = grpo__load_vector<N>(x, i);
        grpo__vector<F, N> to = grpo__load_vector<N>(y, i);
        GRPO__EACH(e, N)
            to.x[e] = a == 0 ? b * from.x[e] : a * to.x[e] + b * from.x[e];
        grpo__store_vector(y, i, to);
    }
}

static void grpo__cuda_mix(void *context, float *y, const float *x, float a, float b, size_t n) {
    grpo__cuda *c = grpo__cuda_of(context);
    if (n)
        GRPO__RUN_VECTORS(GRPO__RUN, c, grpo__fits_vectors(4 * n, y, x), grpo__mix_kernel, float,
                          grpo__flat_grid(n), 256, y, x, a, b, n);
}

/* ---------------------------------------------------------------------------------- >>tables -- */
#define GRPO__TABLE(name, E, open) {                                                              \
        name, sizeof(E), GRPO__ROWS, GRPO__LOGITS, GRPO__TICKS,                                   \
        grpo__cuda_context_size, open, grpo__cuda_close, grpo__cuda_error,                        \
        grpo__cuda_allocate, grpo__cuda_release, grpo__cuda_upload, grpo__cuda_download,          \
        grpo__cuda_zero, grpo__cuda_operand_size<E>, grpo__cuda_prepare<E>,                       \
        grpo__cuda_write_operand<E>, grpo__cuda_read_operand<E>,                                  \
        grpo__cuda_gather, grpo__cuda_to_floats<E>, grpo__cuda_from_floats<E>,                    \
        grpo__cuda_embed<E>, grpo__cuda_embed_backward<E>,                                        \
        grpo__cuda_rmsnorm<E>, grpo__cuda_rmsnorm_backward<E>,                                    \
        grpo__cuda_matmul<E>, grpo__cuda_matmul_dx<E>, grpo__cuda_matmul_dw<E>,                   \
        grpo__cuda_rotate<E>, grpo__cuda_rotate_backward<E>,                                      \
        grpo__cuda_attention<E>, grpo__cuda_attention_backward<E>,                                \
        grpo__cuda_swiglu<E, false>, grpo__cuda_swiglu<E, true>,                                  \
        grpo__cuda_logprobs<E>, grpo__cuda_sample<E>, grpo__cuda_logprobs_backward<E>,            \
        grpo__cuda_kl<E, false>, grpo__cuda_kl<E, true>, grpo__cuda_next, grpo__cuda_repeat,      \
        grpo__cuda_adamw, grpo__cuda_sum_of_squares, grpo__cuda_mix }

const grpo_backend *grpo_cuda_fp32(void) {
    static const grpo_backend table = GRPO__TABLE("cuda fp32", float, grpo__cuda_open);
    return &table;
}

const grpo_backend *grpo_cuda(void) {
    static const grpo_backend table = GRPO__TABLE("cuda bf16", grpo__bf16, grpo__cuda_open);
    cudaFuncAttributes kernel = { };
    int device = 0, major = 8, there;
    if (cudaGetDevice(&device) == cudaSuccess)
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    there = cudaFuncGetAttributes(&kernel, grpo__pick_kernel) != cudaSuccess
         || kernel.ptxVersion >= 80;                          /* compiled with tensor cores      */
    cudaGetLastError();             /* without a card, open says so                              */
    return major >= 8 && there ? &table : grpo_cuda_fp32();
}

const grpo_backend *grpo_cuda_hopper(void) {
    static const grpo_backend table = GRPO__TABLE("cuda hopper", grpo__bf16,
                                                  grpo__cuda_open_hopper);
    return &table;
}
