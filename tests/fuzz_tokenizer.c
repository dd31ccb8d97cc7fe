/* Fuzzing of the tokenizer. The first byte of an input says which of the files below it is for:
 * either the rest is a text for it, or (128 and more) the rest is itself a tokenizer.json, with
 * which the texts below are encoded, or (192 and more) a file beside one. Whatever it holds: no
 * crash, a sentence for what is refused, tokens that exist, as many of them whether there is room
 * or not. fuzz.h says how it is run. */
#include "examples/tool/tokenizer.h"
#include "fuzz.h"

enum { FILES = 5, TEXTS = 8, BESIDES = 3, MOST_BYTES = 4096 };

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

/* tokenizer_config.json, special_tokens_map.json, added_tokens.json; # is the next free id */
static const char *const besides[BESIDES] = {
    "{ `added_tokens_decoder`: { `#`: { `content`: `<z>`, `lstrip`: true, `special`: true }, "
    "`0`: { `content`: `` } }, `eos_token`: `<z>`, `pad_token`: null, `image_token`: `a`, "
    "`unk_token`: { `content`: `b`, `rstrip`: true }, `split_special_tokens`: false }",
    "{ `bos_token`: { `content`: `<s>`, `single_word`: true }, `extra_special_tokens`: [`<a>`, { "
    "`content`: `<b>` }], `additional_special_tokens`: { `k_token`: `<k>` } }",
    "{ `<z>`: #, ``: 7 }"
};

static tokenizer *known[FILES];

static size_t put_file(int number, char *to) {
    size_t i, n = strlen(files[number]);
    for (i = 0; i < n; i++) to[i] = files[number][i] == '`' ? '"' : files[number][i];
    to[n] = 0;
    return n;
}

static char *copy_of(const char *text, size_t n) {
    char *copy = (char *)malloc(n + 1);
    require(copy != NULL, "out of memory");
    memcpy(copy, text, n);
    copy[n] = 0;
    return copy;
}

static tokenizer *parse(const char *text, size_t n) {
    char error[JSON_ERROR_LENGTH] = "";
    tokenizer *t = tokenizer_parse(copy_of(text, n), n, "fuzz", error);
    require(t || strlen(error) > 10, "no sentence");
    return t;
}

/* One of the files from here with a text as one of the files beside it. */
static tokenizer *parse_beside(int number, int which, const char *text, size_t n) {
    char error[JSON_ERROR_LENGTH] = "", file[MOST_BYTES];
    size_t length = put_file(number, file);
    tokenizer_files f;
    tokenizer *t = NULL;
    memset(&f, 0, sizeof f);
    f.names[TOKENIZER_JSON] = f.names[which] = "fuzz";
    if (json_parse(&f.parsed[which], copy_of(text, n), n, "fuzz", error)) {
        require(json_parse(&f.parsed[TOKENIZER_JSON], copy_of(file, length), length, "fuzz", error),
                "a file from here is no JSON");
        t = tokenizer__new(&f, error);
    }
    require(t || strlen(error) > 10, "no sentence");
    return t;
}

static void try_text(tokenizer *t, const char *text, size_t n) {
    int ids[4 * MOST_BYTES], half[4], count, again, length, i;
    char *back;
    if (n > MOST_BYTES) return;
    count = tokenizer_encode_bytes(t, text, n, ids, 4 * MOST_BYTES);
    again = tokenizer_encode_bytes(t, text, n, half, 4);
    require(count == again && count >= -1, "another number of tokens when there is less room");
    if (count > 4 * MOST_BYTES) count = 4 * MOST_BYTES;     /* a normalizer can add any amount   */
    for (i = 0; i < count; i++) {
        require(ids[i] >= 0 && ids[i] < tokenizer_size(t), "a token beyond the vocabulary");
        require(i >= 4 || half[i] == ids[i], "other tokens when there is less room");
    }
    if (count <= 0) return;
    t->show_special = n & 1;
    length = tokenizer_decode(t, ids, count, NULL, 0);
    require(length >= 0 && length <= (double)count * tokenizer_longest(t), "too long a text");
    back = (char *)malloc((size_t)length + 1);
    require(back && tokenizer_decode(t, ids, count, back, length) == length, "another length");
    free(back);
}

static int fuzz_one(const uint8_t *data, size_t size) {
    const char *rest = (const char *)data + 1;
    char file[MOST_BYTES];
    tokenizer *t;
    int i;
    if (!size) return 0;
    if (data[0] < 128) {
        int number = data[0] % FILES;
        if (!known[number]) known[number] = parse(file, put_file(number, file));
        require(known[number] != NULL, "a file from here is refused");
        try_text(known[number], rest, size - 1);
        return 1;
    }
    if (data[0] < 192) t = parse(rest, size - 1);
    else t = parse_beside(data[0] / BESIDES % FILES, 1 + data[0] % BESIDES, rest, size - 1);
    for (i = 0; t && i < TEXTS; i++) try_text(t, texts[i], strlen(texts[i]));
    tokenizer_free(t);
    return t != NULL;
}

/* Each file, then each text for each file. */
static size_t fuzz_begin_with(int i, uint8_t *to) {
    const char *text;
    char file[MOST_BYTES];
    if (i >= FILES * (1 + TEXTS) + BESIDES * FILES) return 0;
    if (i >= FILES * (1 + TEXTS)) {
        size_t n = 1;
        i -= FILES * (1 + TEXTS);
        to[0] = (uint8_t)(192 + i);
        i = to[0] / BESIDES % FILES;
        if (!known[i]) known[i] = parse(file, put_file(i, file));
        for (text = besides[to[0] % BESIDES]; *text; text++)
            if (*text != '#') to[n++] = (uint8_t)(*text == '`' ? '"' : *text);
            else n += (size_t)sprintf((char *)to + n, "%d", tokenizer_size(known[i]));
        return n;
    }
    to[0] = (uint8_t)(i < FILES ? 128 : i % FILES);
    if (i < FILES) return 1 + put_file(i, (char *)to + 1);
    text = texts[i / FILES - 1];
    memcpy(to + 1, text, strlen(text));
    return 1 + strlen(text);
}

static const char *const *fuzz_words(void) {
    static const char *const words[] = {
        "null", "true", "false", "\"", "{", "}", "[", "]", ",", ":", "0", "-1", "1e9", "4194304",
        "2147483648", "\\u0000", "\\ud83d\\ude00", "NFC", "Prepend", "Replace", "Metaspace",
        "ByteFallback", "Digits", "Strip", "first", "never", "<0x61>", "Ġ", "\342\226\201",
        "\314\201", "\341\205\241", "\377", "\360\237\230\200", " ", "\n", "'s", "ab",
        "\"a b\"", "\"\"", "12345", "content", "lstrip", "_token", "special",
        "added_tokens_decoder", NULL };
    return words;
}

static void fuzz_end(void) {
    int i;
    for (i = 0; i < FILES; i++) tokenizer_free(known[i]);
}
