/* libFuzzer harness for the tokenizer. The first byte of an input says which of the files below it
 * is for: either the rest is a text for it, or (128 and more) the rest is itself a tokenizer.json,
 * with which the texts below are encoded. Whatever it holds: no crash, a sentence for what is
 * refused, tokens that exist, and as many of them whether there is room or not. In the
 * repository's root:
 *
 *   clang -std=c99 -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz_tokenizer.c -o fuzz
 *   mkdir corpus; ./fuzz -max_len=4096 -max_total_time=180 corpus
 *
 * Without libFuzzer, so many seconds of changing what is below at random, from a seed:
 *
 *   cc -g -O1 -fsanitize=address,undefined -DFUZZ_STANDALONE -I. tests/fuzz_tokenizer.c -o fuzz
 *   ./fuzz 60 1 */
#include "examples/tool/tokenizer.h"
#include <time.h>

#ifdef __cplusplus
extern "C"
#endif
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES = 5, TEXTS = 8, MOST_BYTES = 4096 };

#define SPLIT(digits) "{ `type`: `Sequence`, `pretokenizers`: [ { `type`: `Split`, `pattern`: " \
    "{ `Regex`: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|" \
    "\\\\p{N}" digits "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|" \
    "\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+` }, " \
    "`behavior`: `Isolated`, `invert`: false }, { `type`: `ByteLevel`, " \
    "`add_prefix_space`: false, " \
    "`use_regex`: false } ] }"
#define SOME_BYTES "`vocab`: { `a`: 0, `b`: 1, `Ġ`: 2, `1`: 3, `'`: 4, `s`: 5, `Ì`: 6, `ģ`: 7, " \
    "`Ċ`: 8, `Ġa`: 9, `ab`: 10, `'s`: 11, `Ġab`: 12, `Ìģ`: 13 }, `merges`: [`Ġ a`, `a b`, `' s`, " \
    "`Ġa b`, `Ì ģ`]"
#define SOME_PIECES "`vocab`: { `<unk>`: 0, `<s>`: 1, `▁`: 2, `a`: 3, `b`: 4, `<0x0A>`: 5, " \
    "`<0xC3>`: 6, `<0xA9>`: 7, `▁a`: 8, `ab`: 9, `▁▁`: 10, `▁ab`: 11 }, `merges`: [[`▁`, `a`], " \
    "[`a`, `b`], [`▁`, `▁`], [`▁a`, `b`]]"

/* ` stands for a double quote */
static const char *const files[FILES] = {
    "{ `model`: { `type`: `BPE`, `unk_token`: `a`, `fuse_unk`: true, " SOME_BYTES " }, "
    "`pre_tokenizer`: { `type`: `ByteLevel`, `add_prefix_space`: true, `use_regex`: true }, "
    "`decoder`: { `type`: `ByteLevel` } }",
    "{ `model`: { `type`: `BPE`, `ignore_merges`: true, " SOME_BYTES " }, `pre_tokenizer`: "
    SPLIT("{1,3}") ", `decoder`: { `type`: `ByteLevel` }, `post_processor`: { `type`: "
    "`TemplateProcessing`, `single`: [ { `SpecialToken`: { `id`: `a` } }, { `Sequence`: { `id`: "
    "`A` } } ], `special_tokens`: { `a`: { `ids`: [0] } } } }",
    "{ `version`: `1.0`, `added_tokens`: [ { `id`: 14, `content`: `<a>`, `lstrip`: true, "
    "`normalized`: false, `special`: true }, { `id`: 15, `content`: `<ab>`, `rstrip`: true, "
    "`normalized`: true }, { `id`: 16, `content`: `ab 1`, `single_word`: true } ], "
    "`normalizer`: { `type`: `NFC` }, `model`: { " SOME_BYTES " }, `pre_tokenizer`: " SPLIT("")
    ", `decoder`: { `type`: `ByteLevel` } }",
    "{ `added_tokens`: [ { `id`: 1, `content`: `<s>`, `special`: true } ], `normalizer`: { `type`: "
    "`Sequence`, `normalizers`: [ { `type`: `Prepend`, `prepend`: `▁` }, { `type`: `Replace`, "
    "`pattern`: { `String`: ` ` }, `content`: `▁` } ] }, `model`: { `unk_token`: `<unk>`, "
    "`byte_fallback`: true, `fuse_unk`: true, `dropout`: null, " SOME_PIECES " }, `decoder`: { "
    "`type`: `Sequence`, `decoders`: [ { `type`: `Replace`, `pattern`: { `String`: `▁` }, "
    "`content`: ` ` }, { `type`: `ByteFallback` }, { `type`: `Fuse` }, { `type`: `Strip`, "
    "`content`: ` `, `start`: 1, `stop`: 0 } ] } }",
    "{ `pre_tokenizer`: { `type`: `Sequence`, `pretokenizers`: [ { `type`: `Digits`, "
    "`individual_digits`: true }, { `type`: `Metaspace`, `replacement`: `▁`, `prepend_scheme`: "
    "`first`, `split`: true } ] }, `model`: { `unk_token`: `<unk>`, " SOME_PIECES " }, `decoder`: "
    "{ `type`: `Metaspace`, `replacement`: `▁`, `prepend_scheme`: `always` } }"
};

static const char *const texts[TEXTS] = {
    "ab ab's A'LL 1234 a1b22 <a> b <ab>  a ab 1 b", "  a\n\n \r\n\tb   <s>ab",
    "a\314\201 e\314\201\314\243 \341\204\222\341\205\241\341\206\253 \340\245\230 \342\204\253",
    "\342\226\201a \342\226\201\342\226\201ab",
    "\360\237\230\200\342\200\215 \357\277\275 \377\300",
    "\314\201\314\243\314\225\314\201\314\201", "'\305\277 \302\240\343\200\200\342\200\203x", ""
};

static tokenizer *known[FILES];

static void need(int condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static size_t write_file(int number, char *to) {
    size_t i, n = strlen(files[number]);
    for (i = 0; i < n; i++) to[i] = files[number][i] == '`' ? '"' : files[number][i];
    to[n] = 0;
    return n;
}

static tokenizer *parse(const char *text, size_t n) {
    char error[JSON_ERROR_LENGTH] = "", *copy = (char *)malloc(n + 1);
    tokenizer *t;
    need(copy != NULL, "out of memory");
    memcpy(copy, text, n);
    copy[n] = 0;
    t = tokenizer_parse(copy, n, "fuzz", error);
    need(t || strlen(error) > 10, "no sentence");
    return t;
}

static void try_text(tokenizer *t, const char *text, size_t n) {
    int ids[4 * MOST_BYTES], half[4], count, again, length, i;
    char *back;
    if (n > MOST_BYTES) return;
    count = tokenizer_encode_bytes(t, text, n, ids, 4 * MOST_BYTES);
    again = tokenizer_encode_bytes(t, text, n, half, 4);
    need(count == again && count >= -1, "another number of tokens when there is less room");
    if (count > 4 * MOST_BYTES) count = 4 * MOST_BYTES;     /* a normalizer can add any amount   */
    for (i = 0; i < count; i++) {
        need(ids[i] >= 0 && ids[i] < tokenizer_size(t), "a token beyond the vocabulary");
        need(i >= 4 || half[i] == ids[i], "other tokens when there is less room");
    }
    if (count <= 0) return;
    t->show_special = n & 1;
    length = tokenizer_decode(t, ids, count, NULL, 0);
    need(length >= 0 && length <= (double)count * tokenizer_longest(t), "a text that is too long");
    back = (char *)malloc((size_t)length + 1);
    need(back && tokenizer_decode(t, ids, count, back, length) == length, "another length");
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *rest = (const char *)data + 1;
    char file[MOST_BYTES];
    tokenizer *t;
    int i;
    if (!size) return 0;
    if (data[0] < 128) {
        int number = data[0] % FILES;
        if (!known[number]) known[number] = parse(file, write_file(number, file));
        need(known[number] != NULL, "a file from here is refused");
        try_text(known[number], rest, size - 1);
        return 0;
    }
    t = parse(rest, size - 1);
    for (i = 0; t && i < TEXTS; i++) try_text(t, texts[i], strlen(texts[i]));
    tokenizer_free(t);
    return 0;
}

#ifdef FUZZ_STANDALONE
static uint64_t state;

static uint32_t below(size_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % (uint32_t)(n ? n : 1);
}

/* Puts m bytes in place of `out` bytes at a random place. */
static size_t splice(char *s, size_t n, const char *in, size_t m, size_t out) {
    size_t at = below(n + 1);
    if (out > n - at) out = n - at;
    if (n - out + m > MOST_BYTES - 2) return n;
    memmove(s + at + m, s + at + out, n - at - out);
    memcpy(s + at, in, m);
    return n - out + m;
}

static size_t change(char *s, size_t n) {
    static const char *const parts[] = {
        "null", "true", "false", "\"", "{", "}", "[", "]", ",", ":", "0", "-1", "1e9", "4194304",
        "2147483648", "\\u0000", "\\ud83d\\ude00", "NFC", "Prepend", "Replace", "Metaspace",
        "ByteFallback", "Digits", "Strip", "first", "never", "<0x61>", "Ġ", "\342\226\201",
        "\314\201", "\341\205\241", "\377", "\360\237\230\200", " ", "\n", "'s", "ab",
        "\"a b\"", "\"\"", "12345"
    };
    char other[MOST_BYTES];
    const char *part = parts[below(sizeof parts / sizeof *parts)];
    char byte = (char)below(256);
    size_t m;
    switch (below(6)) {
    case 0: return splice(s, n, &byte, 1, below(2));
    case 1: return splice(s, n, part, strlen(part), below(2) ? strlen(part) : 0);
    case 2: return splice(s, n, "", 0, 1 + below(below(4) ? 4 : 60));
    case 3: m = 1 + below(40);
            if (m > n) return n;
            memcpy(other, s + below(n - m + 1), m);
            return splice(s, n, other, m, below(2) ? m : 0);
    case 4: m = write_file((int)below(FILES), other);
            byte = (char)(1 + below(60));
            return splice(s, n, other + below(m - (size_t)byte), (size_t)byte, below(60));
    }
    part = texts[below(TEXTS)];
    return splice(s, n, part, strlen(part), 0);
}

int main(int argc, char **argv) {
    double most = argc > 1 ? atof(argv[1]) : 10;
    time_t start = time(NULL);
    unsigned long tries = 0, i;
    state = 88172645463325252u ^ (argc > 2 ? (uint64_t)atol(argv[2]) << 20 : 0);
    while (difftime(time(NULL), start) < most) {
        char input[MOST_BYTES];
        size_t n;
        int is_file = below(2) == 0;
        input[0] = (char)(is_file ? 128 : below(128));
        if (is_file) n = write_file((int)below(FILES), input + 1);
        else {
            const char *text = texts[below(TEXTS)];
            n = strlen(text);
            memcpy(input + 1, text, n);
        }
        for (i = 1 + below(below(3) ? 4 : 30); i > 0; i--) n = change(input + 1, n);
        LLVMFuzzerTestOneInput((const uint8_t *)input, n + 1);
        tries++;
    }
    for (i = 0; i < FILES; i++) tokenizer_free(known[i]);
    printf("%lu inputs in %.0f seconds\n", tries, most);
    return 0;
}
#endif
