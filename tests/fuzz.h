/* fuzz.h: the harness of the fuzzers. tests/fuzz_NAME.c says what must hold of one input, however
 * hostile, and gives a few inputs to begin with; the rest is here. With libFuzzer, in the
 * repository's root:
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz_NAME.c -o fuzzer -lm
 *     mkdir corpus; ./fuzz --corpus corpus; ./fuzzer -max_len=16384 -max_total_time=180 corpus
 *
 * Or alone, as tests/fuzz.sh runs all of them:
 *
 *     cc -std=c99 -g -O1 -DFUZZ_STANDALONE -fsanitize=address,undefined -I. tests/fuzz_NAME.c \
 *         -o fuzz -lm
 *     ./fuzz [SECONDS [SEED]]      the inputs to begin with, changed at random; 10 seconds. It
 *                                  prints the seed that repeats a run
 *     ./fuzz FILE...               files, say those that libFuzzer found
 *     ./fuzz --corpus FOLDER       writes the inputs to begin with there */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FUZZ_ROOM = 1 << 20 };       /* bytes of the largest input to begin with                   */

/* What a fuzzer defines. */
static int fuzz_one(const uint8_t *data, size_t size);        /* 1: accepted; 0: refused          */
static size_t fuzz_begin_with(int i, uint8_t *to);            /* input i; its size; 0: no more    */
static const char *const *fuzz_words(void);                   /* worth inserting; the last: NULL  */
static void fuzz_end(void);                                   /* undoes what fuzz_one() began     */

/* Stops the run where an answer breaks its contract. */
static void require(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

/* A heap block of exactly the text's size, so that the sanitizer sees any step beyond it. */
static inline char *fuzz_text(const uint8_t *data, size_t size) {
    char *text = (char *)malloc(size + 1);
    require(text != NULL, "out of memory");
    if (size) memcpy(text, data, size);
    text[size] = 0;
    return text;
}

/* Input i of texts[count], as fuzz_begin_with() gives it. */
static inline size_t fuzz_put_text(const char *const *texts, int count, int i, uint8_t *to) {
    size_t size = i < count ? strlen(texts[i]) : 0;
    memcpy(to, i < count ? texts[i] : "", size);
    return size;
}

static inline void fuzz_write_file(const char *path, const void *data, size_t size) {
    FILE *file;
    remove(path);
    file = fopen(path, "wb");
    require(file && fwrite(data, 1, size, file) == size && !fclose(file), path);
}

#ifdef __cplusplus
extern "C"
#endif
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    (void)fuzz_begin_with;
    (void)fuzz_words;
    (void)fuzz_end;
    fuzz_one(data, size);
    return 0;
}

#ifdef FUZZ_STANDALONE
static uint64_t fuzz_state;

static size_t fuzz_below(size_t n) {
    fuzz_state = fuzz_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(fuzz_state >> 33) % (n ? n : 1);
}

/* `in` takes the place of `out` bytes at `at`, as far as there is room. */
static size_t fuzz_splice(uint8_t *data, size_t size, size_t room, size_t at, size_t out,
                          const void *in, size_t n) {
    if (out > size - at) out = size - at;
    if (size - out + n > room) return size;
    memmove(data + at + n, data + at + out, size - at - out);
    memcpy(data + at, in, n);
    return size - out + n;
}

/* One change. Most of what is worth changing stands at the beginning. */
static size_t fuzz_change(uint8_t *data, size_t size, size_t room) {
    static const uint64_t lengths[] = { 0, 1, 2, 3, 8, 13, 255, 65536, 0x7fffffff, 0xffffffff,
                                        UINT64_C(0x100000000), UINT64_C(0x7fffffffffffffff),
                                        UINT64_MAX };
    static uint8_t other[FUZZ_ROOM];
    const char *const *words = fuzz_words();
    size_t at = fuzz_below(fuzz_below(4) && size > 2600 ? 2600 : size + 1);
    size_t rest = size - at, piece = 1 + fuzz_below(fuzz_below(4) ? 8 : 64), from, i;
    uint64_t x = lengths[fuzz_below(sizeof lengths / sizeof *lengths)];
    int count = 0;
    if (piece > rest) piece = rest;
    switch (fuzz_below(12)) {
    case 0: if (rest) data[at] = (uint8_t)fuzz_below(256); return size;
    case 1: if (rest) data[at] = (uint8_t)(data[at] ^ 1u << fuzz_below(8)); return size;
    case 2: if (rest) data[at] = (uint8_t)(data[at] + fuzz_below(5) - 2); return size;
    case 3:                                     /* a number of 8 or 4 bytes, the lowest first */
        for (i = 0; i < (fuzz_state & 1 << 20 ? 8u : 4u) && i < rest; i++)
            data[at + i] = (uint8_t)(x >> 8 * i);
        return size;
    case 4: return fuzz_splice(data, size, room, at, piece, "", 0);
    case 5: return fuzz_below(8) ? size : at;                           /* the end is missing     */
    case 6:                                                             /* a piece, twice         */
        memcpy(other, data + at, piece);
        return fuzz_splice(data, size, room, at, 0, other, piece);
    case 7:                                                             /* over another piece     */
        from = fuzz_below(size - piece + 1);
        memmove(data + at, data + from, piece);
        return size;
    case 8: case 9:                                                     /* a word                 */
        while (words[count]) count++;
        if (!count) return size;
        words += fuzz_below((size_t)count);
        return fuzz_splice(data, size, room, at, fuzz_below(2) ? strlen(*words) : 0, *words,
                           strlen(*words));
    default:                                                            /* of another input       */
        while (fuzz_begin_with(count, other)) count++;
        from = fuzz_begin_with((int)fuzz_below((size_t)count), other);
        at = at < size ? at : size;
        i = fuzz_below(from);
        if (piece > from - i) piece = from - i;
        return fuzz_splice(data, size, room, at, fuzz_below(2) ? piece : 0, other + i, piece);
    }
}

/* In a block of its own size: what reads too far is seen. */
static int fuzz_try(const uint8_t *data, size_t size) {
    uint8_t *own = (uint8_t *)malloc(size ? size : 1);
    int accepted;
    require(own != NULL, "out of memory");
    if (size) memcpy(own, data, size);
    accepted = fuzz_one(own, size);
    free(own);
    return accepted;
}

static int fuzz_file(const char *path) {
    static uint8_t data[FUZZ_ROOM];
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(data, 1, sizeof data, file) : 0;
    if (!file) {
        fprintf(stderr, "cannot open %s\n", path);
        return 0;
    }
    fclose(file);
    printf("%s: %lu bytes, %s\n", path, (unsigned long)size,
           fuzz_try(data, size) ? "accepted" : "refused");
    return 1;
}

int main(int argc, char **argv) {
    static uint8_t data[FUZZ_ROOM + 4096];
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 10;
    unsigned long tries = 0, accepted = 0;
    int i, inputs = 0, good = 1;
    time_t start;
    size_t n;
    for (; (n = fuzz_begin_with(inputs, data)) > 0; inputs++) {
        char path[600];
        if (argc != 3 || strcmp(argv[1], "--corpus") != 0) continue;
        snprintf(path, sizeof path, "%.500s/%d", argv[2], inputs);
        fuzz_write_file(path, data, n);
    }
    if (argc > 1 && !strcmp(argv[1], "--corpus")) { fuzz_end(); return argc != 3; }
    if (argc > 1 && seconds <= 0) {
        for (i = 1; i < argc && good; i++) good = fuzz_file(argv[i]);
        fuzz_end();
        return !good;
    }
    fuzz_state = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL) << 20;
    printf("seed %llu\n", (unsigned long long)fuzz_state);
    fflush(stdout);
    for (i = 0; i < inputs; i++) {
        n = fuzz_begin_with(i, data);
        if (fuzz_try(data, n)) continue;
        printf("input %d of those to begin with is refused\n", i);
        return 1;
    }
    for (start = time(NULL); difftime(time(NULL), start) < seconds; tries++) {
        do n = fuzz_begin_with((int)fuzz_below((size_t)inputs), data);
        while (n > 1 << 15 && fuzz_below(8));                           /* large ones are slow    */
        for (i = (int)fuzz_below(fuzz_below(3) ? 5 : 30); i > 0; i--)
            n = fuzz_change(data, n, n > 4096 ? n : 4096);
        accepted += (unsigned long)fuzz_try(data, n);
    }
    fuzz_end();
    printf("%lu inputs tried, %lu accepted\n", tries, accepted);
    return 0;
}
#endif

#endif
