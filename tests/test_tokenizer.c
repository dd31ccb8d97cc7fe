/* The tokenizer: small tokenizer.json texts made here, one for each family, with the words and
 * tokens that the Python package tokenizers 0.23.3 gives for the same texts; the tables of Unicode,
 * checked as a whole; what is refused; and, with GRPO_DATA, Qwen's own vocabulary. In what is
 * expected, blanks separate tokens and bars separate words. */
#define _POSIX_C_SOURCE 199309L
#include "grpo.h"
#include "examples/tool/tokenizer.h"
#include "check.h"
#include <time.h>

enum { MOST = 4096 };

/* ---- making a tokenizer.json; a ` in what stands here is a double quote */

static void put(tokenizer_text *x, const char *s) {
    for (; *s; s++) tokenizer__append(x, *s == '`' ? "\"" : s, 1);
}

static void put_string(tokenizer_text *x, const char *s) {
    put(x, "`");
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') put(x, "\\");
        if (*s == '\n') put(x, "\\n");
        else tokenizer__append(x, s, 1);
    }
    put(x, "`");
}

static void put_token(tokenizer_text *x, const char *token, int id) {
    char number[32];
    if (id) put(x, ", ");
    put_string(x, token);
    snprintf(number, sizeof number, ": %d", id);
    put(x, number);
}

/* What one is made of; NULL: nothing. */
typedef struct recipe {
    const char *normalizer, *pre_tokenizer, *decoder, *post_processor, *model, *added;
    int sentencepiece, as_strings, no_fallback;
} recipe;

static const char *const byte_merges[][2] = {
    { "h", "e" }, { "Ġ", "t" }, { "Ġt", "he" }, { "Ġ", "a" }, { "i", "n" }, { "Ġ", "w" },
    { "o", "r" }, { "Ġw", "or" }, { "l", "d" }, { "Ġwor", "ld" }, { "'", "s" }, { "'", "S" },
    { "'", "l" }, { "'l", "l" }, { "1", "2" }, { "12", "3" }, { "123", "4" }, { "3", "4" },
    { "Ġ", "Ġ" }, { "ĠĠ", "ĠĠ" }, { "Ċ", "Ċ" }, { ".", "Ċ" }, { "Ġ", "1" }, { "Ã", "©" },
    { "e", "Ì" }, { "eÌ", "ģ" }, { "Ġ", "(" }, { "(", ")" }, { "()", ";" }, { "T", "he" },
    { "a", "a" }, { "b", "b" }, { "aa", "b" }, { "ä", "½" }, { "ä½", "ł" }, { "ł", "å" },
    { "c", "d" }, { "b", "cd" }, { "a", "b" }, { NULL, NULL }
};

static const char *const piece_merges[][2] = {
    { "▁", "t" }, { "h", "e" }, { "▁t", "he" }, { "▁", "a" }, { "▁", "▁" }, { "a", "b" },
    { "ab", "c" }, { "▁a", "b" }, { "e", "." }, { NULL, NULL }
};

static int put_base(tokenizer_text *x, const recipe *r) {
    static const char *const pieces[] = { "▁", "a", "b", "c", "t", "h", "e", ".", "\n", "é" };
    uint32_t other = 256;
    int id = 0, i;
    char name[8];
    if (r->sentencepiece) {
        put_token(x, "<unk>", id++);
        put_token(x, "<s>", id++);
        put_token(x, "</s>", id++);
        for (i = 0; i < 256 && !r->no_fallback; i++) {
            snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
            put_token(x, name, id++);
        }
        for (i = 0; i < 10; i++) put_token(x, pieces[i], id++);
        return id;
    }
    for (i = 0; i < 256; i++) {
        int printable = (i > 32 && i < 127) || (i > 160 && i != 173);
        name[json_put_utf8(name, printable ? (uint32_t)i : other++)] = 0;
        put_token(x, name, id++);
    }
    return id;
}

static void put_merges(tokenizer_text *x, const recipe *r) {
    int i;
    put(x, " }, `merges`: [");
    for (i = 0; (r->sentencepiece ? piece_merges : byte_merges)[i][0]; i++) {
        const char *const *m = (r->sentencepiece ? piece_merges : byte_merges)[i];
        if (i) put(x, ", ");
        if (!r->as_strings) put(x, "[");
        if (r->as_strings) put(x, "`");
        if (r->as_strings) put(x, m[0]);
        else put_string(x, m[0]);
        put(x, r->as_strings ? " " : ", ");
        if (r->as_strings) put(x, m[1]);
        else put_string(x, m[1]);
        put(x, r->as_strings ? "`" : "]");
    }
    put(x, "]");
}

static char *write_json(const recipe *r, size_t *length) {
    tokenizer_text x;
    char both[64];
    int id, i;
    memset(&x, 0, sizeof x);
    put(&x, "{ `version`: `1.0`, `truncation`: null, `padding`: null, `added_tokens`: [");
    put(&x, r->added ? r->added : "");
    put(&x, "], `normalizer`: ");
    put(&x, r->normalizer ? r->normalizer : "null");
    put(&x, ", `pre_tokenizer`: ");
    put(&x, r->pre_tokenizer ? r->pre_tokenizer : "null");
    put(&x, ", `post_processor`: ");
    put(&x, r->post_processor ? r->post_processor : "null");
    put(&x, ", `decoder`: ");
    put(&x, r->decoder ? r->decoder : "null");
    put(&x, ", `model`: { `type`: `BPE`, ");
    put(&x, r->model ? r->model : "");
    put(&x, "`vocab`: { ");
    id = put_base(&x, r);
    for (i = 0; (r->sentencepiece ? piece_merges : byte_merges)[i][0]; i++) {
        const char *const *m = (r->sentencepiece ? piece_merges : byte_merges)[i];
        snprintf(both, sizeof both, "%s%s", m[0], m[1]);
        put_token(&x, both, id++);
    }
    if (!r->sentencepiece) {
        put_token(&x, "Ġwhole", id++);
        put_token(&x, "whole", id++);
    }
    put_merges(&x, r);
    put(&x, " } }");
    tokenizer__append(&x, "", 1);
    *length = x.length - 1;
    return x.bytes;
}

static tokenizer *make(const recipe *r) {
    char error[JSON_ERROR_LENGTH] = "";
    size_t length;
    char *text = write_json(r, &length);
    tokenizer *t = tokenizer_parse(text, length, "made here", error);
    CHECK(t != NULL, "%s", error);
    return t;
}

#define BYTE_LEVEL(space, regex) "{ `type`: `ByteLevel`, `add_prefix_space`: " space \
    ", `trim_offsets`: true, `use_regex`: " regex " }"
#define SPLIT(pattern) "{ `type`: `Split`, `pattern`: { `Regex`: `" pattern "` }, " \
    "`behavior`: `Isolated`, `invert`: false }"
#define SEQUENCE(a, b) "{ `type`: `Sequence`, `pretokenizers`: [" a ", " b "] }"
#define MODERN(digits) "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|" \
    digits "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"

static const char gpt2[] = BYTE_LEVEL("false", "true");
static const char llama3[] = SEQUENCE(SPLIT(MODERN("\\\\p{N}{1,3}")), BYTE_LEVEL("false", "false"));
static const char qwen2[] = SEQUENCE(SPLIT(MODERN("\\\\p{N}")), BYTE_LEVEL("false", "false"));
static const char smollm2[] = SEQUENCE("{ `type`: `Digits`, `individual_digits`: true }",
                                       BYTE_LEVEL("false", "true"));
static const char bytes_back[] = BYTE_LEVEL("false", "true");
static const char nfc[] = "{ `type`: `NFC` }";

/* The four families, in the order of the columns below. */
static recipe family(int i) {
    static const char *const pre_tokenizers[] = { gpt2, llama3, qwen2, smollm2 };
    recipe r;
    memset(&r, 0, sizeof r);
    r.pre_tokenizer = pre_tokenizers[i];
    r.decoder = bytes_back;
    if (i == 1) r.model = "`ignore_merges`: true, ";
    if (i == 2) r.normalizer = nfc;
    return r;
}

/* ---- comparing */

static int encode(tokenizer *t, const char *text, int *ids) {
    int n = tokenizer_encode(t, text, ids, MOST);
    CHECK(n >= 0 && n <= MOST, "\"%s\": %d", text, n);
    return n < 0 ? 0 : n > MOST ? MOST : n;
}

/* The tokens of text are these; in `expected` _ stands for a blank within a token. */
static void tokens_are(tokenizer *t, const char *text, const char *expected) {
    int ids[MOST], n = encode(t, text, ids), i;
    char got[MOST] = "";
    size_t at = 0, k;
    for (i = 0; i < n; i++) {
        const tokenizer_token *token = &t->tokens[ids[i]];
        if (i) got[at++] = ' ';
        for (k = 0; k < token->length; k++, at++)
            got[at] = token->text[k] == ' ' ? '_' : token->text[k];
        CHECK(tokenizer_id(t, token->text) == ids[i], "%d is not %s", ids[i], token->text);
    }
    CHECK(strcmp(got, expected) == 0, "\"%s\" became\n  %s\n  not\n  %s", text, got, expected);
}

static void text_is(tokenizer *t, const char *text, const char *expected) {
    int ids[MOST], n = encode(t, text, ids), length;
    char got[MOST] = "";
    length = tokenizer_decode(t, ids, n, got, MOST - 1);
    CHECK(length == (int)strlen(expected) && strcmp(got, expected) == 0,
          "\"%s\" came back as \"%s\", not \"%s\"", text, got, expected);
    CHECK(length <= n * tokenizer_longest(t), "%d bytes of %d tokens of at most %d", length, n,
          tokenizer_longest(t));
}

/* ---- the families with bytes */

/* The words into which steps from `number` on cut s, each with a bar behind it, appended to got. */
static void cut(const tokenizer *t, int number, const char *s, size_t n, char *got) {
    const tokenizer_step *step = &t->pre_tokenizer.step[number];
    if (number == t->pre_tokenizer.count) {
        got += strlen(got);
        memcpy(got, s, n);
        strcpy(got + n, "|");
    } else while (n > 0) {
        size_t length = step->cut(t, step, s, n);
        cut(t, number + 1, s, length, got);
        s += length;
        n -= length;
    }
}

static void test_words(void) {
    static const char *const rows[][5] = {
        { "Hello, World! isn't I'LL we'Ve 'Sx 'ſt don'",
          "Hello|,| World|!| isn|'t| I|'|LL| we|'|Ve| '|Sx| '|ſt| don|'",
          "Hello|,| World|!| isn|'t| I|'LL| we|'Ve| '|Sx| '|ſt| don|'",
          "Hello|,| World|!| isn|'t| I|'LL| we|'Ve| '|Sx| '|ſt| don|'",
          "Hello|,| World|!| isn|'t| I|'|LL| we|'|Ve| '|Sx| '|ſt| don|'" },
        { "  two  spaces   \n\n  and\r\n\tlines \n",
          " | two| | spaces|   \n\n | and|\r\n|\t|lines| \n",
          " | two| | spaces|   \n\n| | and|\r\n|\tlines| \n",
          " | two| | spaces|   \n\n| | and|\r\n|\tlines| \n",
          " | two| | spaces|   \n\n | and|\r\n|\t|lines| \n" },
        { "12345 a1b22 3.14 ½² Ⅻ٣٤",
          "12345| a|1|b|22| 3|.|14| ½²| Ⅻ٣٤",
          "123|45| a|1|b|22| |3|.|14| |½²| |Ⅻ٣٤",
          "1|2|3|4|5| a|1|b|2|2| |3|.|1|4| |½|²| |Ⅻ|٣|٤",
          "1|2|3|4|5| a|1|b|2|2| |3|.|1|4| |½|²| |Ⅻ|٣|٤" },
        { "x=(a+b)*c; // ok!!!\n\n}\n",
          "x|=(|a|+|b|)*|c|;| //| ok|!!!|\n|\n|}|\n",
          "x|=(|a|+b|)*|c|;| //| ok|!!!\n\n|}\n",
          "x|=(|a|+b|)*|c|;| //| ok|!!!\n\n|}\n",
          "x|=(|a|+|b|)*|c|;| //| ok|!!!|\n|\n|}|\n" },
        { "naïve Größe Привет 你好世界 नमस\340\245\215त\340\245\207",
          "naïve| Größe| Привет| 你好世界| नमस|\340\245\215|त|\340\245\207",
          "naïve| Größe| Привет| 你好世界| नमस|\340\245\215त|\340\245\207",
          "naïve| Größe| Привет| 你好世界| नमस|\340\245\215त|\340\245\207",
          "naïve| Größe| Привет| 你好世界| नमस|\340\245\215|त|\340\245\207" },
        { "\302\240\342\200\203x \343\200\200\343\200\200y\302\205z",
          "\302\240|\342\200\203|x| \343\200\200|\343\200\200|y|\302\205|z",
          "\302\240|\342\200\203x| \343\200\200|\343\200\200y|\302\205z",
          "\302\240|\342\200\203x| \343\200\200|\343\200\200y|\302\205z",
          "\302\240|\342\200\203|x| \343\200\200|\343\200\200|y|\302\205|z" },
        { "e\314\201 \314\201a \360\237\230\200\342\200\215\360\237\230\200!",
          "e|\314\201| \314\201|a| \360\237\230\200\342\200\215\360\237\230\200!",
          "e|\314\201| \314\201|a| \360\237\230\200\342\200\215\360\237\230\200!",
          "e|\314\201| \314\201|a| \360\237\230\200\342\200\215\360\237\230\200!",
          "e|\314\201| \314\201|a| \360\237\230\200\342\200\215\360\237\230\200!" },
        { "_a-b'c\"d",
          "_|a|-|b|'|c|\"|d",
          "_a|-b|'c|\"d",
          "_a|-b|'c|\"d",
          "_|a|-|b|'|c|\"|d" },
        { "\341\262\211\352\237\213\360\221\267\240\360\226\277\264x1",
          "\341\262\211\352\237\213|\360\221\267\240\360\226\277\264|x|1",
          "\341\262\211\352\237\213|\360\221\267\240\360\226\277\264|x|1",
          "\341\262\211\352\237\213|\360\221\267\240\360\226\277\264|x|1",
          "\341\262\211\352\237\213|\360\221\267\240|\360\226\277\264|x|1" },
        { "  'll '",
          " | '|ll| '",
          " | '|ll| '",
          " | '|ll| '",
          " | '|ll| '" },
        { ".\n.\r\n!\n\n x",
          ".|\n|.|\r|\n|!|\n\n| x",
          ".\n|.\r\n|!\n\n| x",
          ".\n|.\r\n|!\n\n| x",
          ".|\n|.|\r|\n|!|\n\n| x" },
    };
    size_t i;
    int f;
    for (f = 0; f < 4; f++) {
        recipe r = family(f);
        tokenizer *t = make(&r);
        for (i = 0; t && i < sizeof rows / sizeof *rows; i++) {
            char got[MOST] = "";
            cut(t, 0, rows[i][0], strlen(rows[i][0]), got);
            if (got[0]) got[strlen(got) - 1] = 0;
            CHECK(strcmp(got, rows[i][1 + f]) == 0, "family %d cut\n  %s\n  not\n  %s", f, got,
                  rows[i][1 + f]);
        }
        tokenizer_free(t);
    }
}

static void test_tokens(void) {
    static const char *const rows[][5] = {
        { "The world's in the (); world",
          "The Ġworld 's Ġ in Ġthe Ġ( ) ; Ġworld",
          "The Ġworld 's Ġ in Ġthe Ġ( ) ; Ġworld",
          "The Ġworld 's Ġ in Ġthe Ġ( ) ; Ġworld",
          "The Ġworld 's Ġ in Ġthe Ġ( ) ; Ġworld" },
        { "'S 'll 1234 12 34 112",
          "' S Ġ ' l l Ġ 1234 Ġ 12 Ġ 34 Ġ1 12",
          "'S Ġ ' l l Ġ 123 4 Ġ 12 Ġ 34 Ġ 1 12",
          "'S Ġ ' l l Ġ 1 2 3 4 Ġ 1 2 Ġ 3 4 Ġ 1 1 2",
          "' S Ġ ' l l Ġ 1 2 3 4 Ġ 1 2 Ġ 3 4 Ġ 1 1 2" },
        { "café cafe\314\201",
          "c a f Ã© Ġ c a f e Ì ģ",
          "c a f Ã© Ġ c a f e Ì ģ",
          "c a f Ã© Ġ c a f Ã©",
          "c a f Ã© Ġ c a f e Ì ģ" },
        { "aaab aab abcd aabbcd",
          "aa ab Ġa ab Ġa bcd Ġa a bb cd",
          "aa ab Ġa ab Ġa bcd Ġa a bb cd",
          "aa ab Ġa ab Ġa bcd Ġa a bb cd",
          "aa ab Ġa ab Ġa bcd Ġa a bb cd" },
        { "     a\n\n\n.\n.",
          "ĠĠĠĠ Ġa ĊĊ Ċ . Ċ .",
          "ĠĠĠĠ Ġa ĊĊ Ċ .Ċ .",
          "ĠĠĠĠ Ġa ĊĊ Ċ .Ċ .",
          "ĠĠĠĠ Ġa ĊĊ Ċ . Ċ ." },
        { "whole whole 你好",
          "w h o l e Ġw h o l e Ġ ä½ł å ¥ ½",
          "whole Ġwhole Ġ ä½ł å ¥ ½",
          "w h o l e Ġw h o l e Ġ ä½ł å ¥ ½",
          "w h o l e Ġw h o l e Ġ ä½ł å ¥ ½" },
    };
    size_t i;
    int f;
    for (f = 0; f < 8; f++) {
        recipe r = family(f % 4);
        tokenizer *t;
        r.as_strings = f >= 4;      /* the merges in their other form                            */
        t = make(&r);
        for (i = 0; t && i < sizeof rows / sizeof *rows; i++) {
            tokens_are(t, rows[i][0], rows[i][1 + f % 4]);
            tokens_are(t, rows[i][0], rows[i][1 + f % 4]);      /* now from memory               */
        }
        tokenizer_free(t);
    }
}

static void test_prefix(void) {
    recipe r = family(0);
    tokenizer *t;
    r.pre_tokenizer = BYTE_LEVEL("true", "true");
    t = make(&r);
    if (!t) return;
    tokens_are(t, "the", "Ġthe");
    tokens_are(t, " the", "Ġthe");
    tokens_are(t, "\nthe", "Ġ Ċ t he");
    tokens_are(t, "", "");
    tokenizer_free(t);
}

#define ADDED(id, content, single, left, right, normal, special) "{ `id`: " #id \
    ", `content`: `" content "`, `single_word`: " #single ", `lstrip`: " #left ", `rstrip`: " \
    #right ", `normalized`: " #normal ", `special`: " #special " }"

static void test_added(void) {
    static const char *const rows[][4] = {
        { "a<|end|>b<|end|>>c<|end|",
          "a <|end|> b <|end|>> c < | e n d |",
          "abc<|end|", "a<|end|>b<|end|>>c<|end|" },
        { "a <l> b \n <l>",
          "a <l> Ġ b <l>",
          "a<l> b<l>", "a<l> b<l>" },
        { "a <r> b<r> \n\302\240c<r>",
          "a Ġ <r> b <r> c <r>",
          "a <r>b<r>c<r>", "a <r>b<r>c<r>" },
        { "cat scat cat's cat_ (cat) cate\314\201 \314\201cat",
          "cat Ġ s c a t Ġ cat 's Ġ c a t _ Ġ( cat ) Ġ c a t Ã© Ġ Ì ģ c a t",
          "cat scat cat's cat_ (cat) caté \314\201cat",
          "cat scat cat's cat_ (cat) caté \314\201cat" },
        { "é! e\314\201! xe\314\201!",
          "e\314\201! Ġ e\314\201! Ġ x e\314\201!",
          "\351! \351! x\351!", "\351! \351! x\351!" },
        { "a   b    c     ",
          "a ___ b ___ Ġ c ___ ĠĠ",
          "a   b    c     ", "a   b    c     " },
        { "Ġthe the",
          "Ġthe Ġthe",
          " the the", " the the" },
        { "a <b> b <r>  <l> <b>",
          "a <b> b Ġ <r> <l> <b>",
          "a<b>b <r><l><b>", "a<b>b <r><l><b>" },
        { "<|end|><|end|>>",
          "<|end|> <|end|>>",
          "", "<|end|><|end|>>" },
        { "<r>   <l>",
          "<r> ___ <l>",
          "<r>   <l>", "<r>   <l>" },
        { "<r> \342\200\203 <l>   x",
          "<r> <l> ___ x",
          "<r><l>   x", "<r><l>   x" },
    };
    recipe r = family(2);
    tokenizer *t;
    size_t i;
    r.added = ADDED(297, "<|end|>", false, false, false, false, true) ", "
        ADDED(298, "<|end|>>", false, false, false, false, true) ", "
        ADDED(299, "<l>", false, true, false, false, false) ", "
        ADDED(300, "<r>", false, false, true, false, false) ", "
        ADDED(301, "cat", true, false, false, false, false) ", "
        ADDED(302, "e\314\201!", false, false, false, true, false) ", "
        ADDED(303, "   ", false, false, false, false, false) ", "
        ADDED(258, "Ġthe", false, false, false, false, false) ", "
        ADDED(304, "<b>", false, true, true, true, false);
    t = make(&r);
    if (!t) return;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        /* the library's names are those of the file, in which the fourth is not composed */
        t->show_special = 0;
        tokens_are(t, rows[i][0], rows[i][1]);
        text_is(t, rows[i][0], rows[i][2]);
        t->show_special = 1;
        text_is(t, rows[i][0], rows[i][3]);
    }
    CHECK(tokenizer_size(t) == 305, "%d", tokenizer_size(t));
    CHECK(tokenizer_id(t, "<|end|>") == 297 && tokenizer_id(t, "Ġthe") == 258, "ids by text");
    CHECK(tokenizer_id(t, "<|end|") == -1 && tokenizer_id(t, "") == -1, "ids of what is not there");
    CHECK(tokenizer_longest(t) == 8, "%d", tokenizer_longest(t));
    tokenizer_free(t);
}

/* ---- added tokens that stand beside tokenizer.json, as transformers 5.24 adds them */

static void write_file(const char *folder, const char *name, const char *text, size_t length) {
    char path[200];
    FILE *file;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    CHECK(file && fwrite(text, 1, length, file) == length, "%s", path);
    if (file) fclose(file);
}

static void write_text(const char *folder, const char *name, const char *text) {
    char path[200];
    tokenizer_text x;
    memset(&x, 0, sizeof x);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    remove(path);
    if (!text) return;
    put(&x, text);
    write_file(folder, name, x.bytes, x.length);
    tokenizer__free_text(&x);
}

typedef struct beside {             /* the files beside one with <|end|>, special, id 297        */
    const char *config, *map, *list;
} beside;

static const char *write_beside(const beside *b, int number) {
    static char folder[40];
    recipe r = family(0);
    size_t length;
    char *text;
    r.added = ADDED(297, "<|end|>", false, false, false, false, true);
    snprintf(folder, sizeof folder, "tokens_beside%d", number);
    system_make_folder(folder);
    text = write_json(&r, &length);
    write_file(folder, "tokenizer.json", text, length);
    free(text);
    write_text(folder, "tokenizer_config.json", b->config);
    write_text(folder, "special_tokens_map.json", b->map);
    write_text(folder, "added_tokens.json", b->list);
    return folder;
}

static void test_beside(void) {
    static const struct { beside files; const char *text, *tokens, *shown; int size; } rows[] = {
        { { NULL, NULL, "{ `<tool>`: 298 }" },
          "a <tool> b<tool>", "a Ġ <tool> Ġ b <tool>", "a <tool> b<tool>", 299 },
        { { "{ `eos_token`: `<tool>` }", NULL, "{ `<b>`: 299, `<tool>`: 298 }" },
          "a <tool> <b>", "a Ġ <tool> Ġ <b>", "a  <b>", 300 },
        { { "{ `added_tokens_decoder`: { `299`: { `content`: `<l>`, `lstrip`: true, `rstrip`: "
            "false, `single_word`: false, `normalized`: false, `special`: false }, `298`: { "
            "`content`: `<r>`, `lstrip`: false, `rstrip`: true, `single_word`: false, "
            "`normalized`: false, `special`: true } } }", "{ `pad_token`: `<pad>` }",
            "{ `<q>`: 7 }" },
          "a <l> <r> c<q><pad>", "a <l> Ġ <r> c < q > < p a d >", "a<l> c<q><pad>", 300 },
        { { "{ `added_tokens_decoder`: { `297`: { `content`: `<|end|>`, `lstrip`: false, "
            "`rstrip`: true, `single_word`: true, `normalized`: false, `special`: false } } }",
            NULL, NULL },
          "a <|end|>  b<|end|> c", "a Ġ <|end|> b < | e n d | > Ġ c", "a b<|end|> c", 298 },
        { { "{ `additional_special_tokens`: [`<x>`, `<y>`], `bos_token`: { `__type`: `AddedToken`, "
            "`content`: `<b>`, `lstrip`: true, `rstrip`: false, `normalized`: false, "
            "`single_word`: false }, `unk_token`: null }",
            "{ `pad_token`: { `content`: `<pad>`, `lstrip`: false, `rstrip`: true, `normalized`: "
            "false, `single_word`: false }, `eos_token`: `<|end|>` }", NULL },
          "a <b> <x><y> <pad> c<|end|>", "a <b> Ġ <x> <y> Ġ <pad> c <|end|>", "a  c", 302 },
        { { "{ `image_token`: `<image>`, `use_token`: true, `extra_special_tokens`: { "
            "`audio_token`: `<audio>` } }", NULL, NULL },
          "<audio> <image>", "<audio> Ġ <image>", " ", 300 },
        { { "{ `extra_special_tokens`: [`<x>`] }",          /* which the old name does not join  */
            "{ `additional_special_tokens`: [`<y>`], `extra_special_tokens`: [`<z>`] }", NULL },
          "<x><y><z>", "<x> < y > <z>", "<y>", 300 },
        { { "{ `image_token`: `<x>`, `k_token`: { `content`: `<y>` } }",
            "{ `image_token`: `<z>` }", NULL },
          "<x><y><z>", "<x> < y > < z >", "<y><z>", 299 },
        { { "{ `unk_token`: `<x>`, `pad_token`: { `__type`: `AddedToken`, `content`: `<x>`, "
            "`lstrip`: true }, `extra_special_tokens`: [`<x>`, `<y>`] }", NULL, NULL },
          "a <x> <y>", "a <x> Ġ <y>", "a ", 300 },          /* the object counts, not the third  */
        { { "{ `pad_token`: { `__type`: `AddedToken`, `content`: `<x>`, `lstrip`: true }, "
            "`k_token`: { `__type`: `AddedToken`, `content`: `<x>`, `rstrip`: true } }", NULL,
            NULL },
          "a <x> b", "a Ġ <x> b", "a b", 299 },
        { { "{ `eos_token`: `Ġthe` }", NULL, NULL },        /* a token of the model, now added   */
          "Ġthe the", "Ġthe Ġthe", "", 298 },
        { { "{ `split_special_tokens`: false, `added_tokens_decoder`: null }", NULL, NULL },
          "<|end|>", "<|end|>", "", 298 },
    };
    static const struct { beside files; const char *sentence; } refused[] = {
        { { "{ `added_tokens_decoder`: { `400`: { `content`: `<b>` } } }", NULL, NULL },
          "tokens_beside/tokenizer_config.json: the added token \"<b>\" has the id 400, but would "
          "get 298" },
        { { "{ `added_tokens_decoder`: { `x`: { `content`: `<b>` } } }", NULL, NULL },
          "tokens_beside/tokenizer_config.json: \"x\" in added_tokens_decoder should be the id of "
          "a token" },
        { { "{ `added_tokens_decoder`: { `298`: 7 } }", NULL, NULL },
          "tokens_beside/tokenizer_config.json: each added token should have a string \"content\"" },
        { { "{ `added_tokens_decoder`: [7] }", NULL, NULL },
          "tokens_beside/tokenizer_config.json: added_tokens_decoder should be an object" },
        { { "{ `split_special_tokens`: true }", NULL, NULL },
          "tokens_beside/tokenizer_config.json: split_special_tokens is not known here; set it to "
          "false" },
        { { NULL, NULL, "{ `<b>`: `x` }" },
          "tokens_beside/added_tokens.json: each id in added_tokens.json should be a whole number "
          "from 0 to 8388608" },
        { { NULL, NULL, "{ `<|end|>`: 5 }" },
          "tokens_beside/added_tokens.json: the added token \"<|end|>\" has the id 5, but would get "
          "297" },
        { { NULL, "[]", NULL }, "tokens_beside/special_tokens_map.json: it should be an object" },
    };
    char error[JSON_ERROR_LENGTH], expected[JSON_ERROR_LENGTH];
    size_t i;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        tokenizer *t = tokenizer_load(write_beside(&rows[i].files, (int)i), error);
        CHECK(t != NULL, "%s", error);
        if (!t) continue;
        tokens_are(t, rows[i].text, rows[i].tokens);
        text_is(t, rows[i].text, rows[i].shown);
        CHECK(tokenizer_size(t) == rows[i].size, "%d: %d", (int)i, tokenizer_size(t));
        tokenizer_free(t);
    }
    for (i = 0; i < sizeof refused / sizeof *refused; i++) {
        tokenizer *t = tokenizer_load(write_beside(&refused[i].files, 99), error);
        snprintf(expected, sizeof expected, "tokens_beside99%s",
                 refused[i].sentence + strlen("tokens_beside"));
        CHECK(!t && strcmp(error, expected) == 0, "%d: %s", (int)i, error);
        tokenizer_free(t);
    }
}

/* The order in which they are added, which gives them their ids: that of transformers 5.24. */
static void test_order(void) {
    static const beside files = { "{ `a_token`: `<1>`, `b_token`: { `__type`: `AddedToken`, "
        "`content`: `<2>` }, `extra_special_tokens`: { `c`: `<3>` } }", "{ `d_token`: `<4>`, "
        "`pad_token`: `<5>`, `additional_special_tokens`: [`<6>`] }", NULL };
    static const beside typed = { "{ `bos_token`: { `__type`: `AddedToken`, `content`: `<x>` }, "
        "`eos_token`: `<y>` }", NULL, "{ `<x>`: 298, `<y>`: 299 }" };
    static const int ids[] = { 301, 299, 302, 300, 298, 303 };
    char error[JSON_ERROR_LENGTH], text[4] = "<?>";
    tokenizer *t = tokenizer_load(write_beside(&files, 98), error);
    int i;
    CHECK(t != NULL, "%s", error);
    for (i = 0; t && i < 6; i++) {
        text[1] = (char)('1' + i);
        CHECK(tokenizer_id(t, text) == ids[i], "%s: %d", text, tokenizer_id(t, text));
    }
    tokenizer_free(t);
    t = tokenizer_load(write_beside(&typed, 97), error);
    CHECK(t && t->found[1].normalized && t->found[1].special && !t->found[2].normalized,
          "an object with a type is none of the names that added_tokens.json is compared with");
    tokenizer_free(t);
}

/* What a model has no rows for is given up, if tokenizer.json does not have it itself. */
static void test_cut_off(void) {
    static const beside two = { "{ `pad_token`: `<pad>`, `eos_token`: `<e>` }", NULL, NULL };
    char error[JSON_ERROR_LENGTH];
    tokenizer *t = tokenizer_load(write_beside(&two, 99), error);
    CHECK(t != NULL, "%s", error);
    if (!t) return;
    CHECK(tokenizer_size(t) == 300 && tokenizer_cut_off(t, 300) == 0
          && tokenizer_cut_off(t, 297) == 0 && tokenizer_size(t) == 300, "nothing to give up");
    CHECK(tokenizer_id(t, "<e>") == 298 && tokenizer_id(t, "<pad>") == 299, "ids");
    CHECK(tokenizer_cut_off(t, 299) == 1 && tokenizer_size(t) == 299, "%d", tokenizer_size(t));
    CHECK(tokenizer_id(t, "<pad>") == -1 && !tokenizer_has(t, 299) && tokenizer_has(t, 298)
          && !tokenizer_has(t, -1), "what is there");
    tokens_are(t, "<pad><e><|end|>", "< p a d > <e> <|end|>");
    tokenizer_free(t);
}

/* Markers of a template that are not one token, each once. */
static void test_broken(void) {
    static const char text[] = "<s><|end|>a <tool> <|user|>\n<|user|>\n<|us er|> <\357\275\234x"
                               "\357\275\234><start_of_turn><|end|> <b> <|> [|user|] <|";
    recipe r = family(0);
    tokenizer *t;
    char list[200];
    r.added = ADDED(297, "<|end|>", false, false, false, false, true);
    t = make(&r);
    if (!t) return;
    CHECK(tokenizer_broken(t, text, list, sizeof list) == 5
          && strcmp(list, "<s> (3 tokens), <|user|> (8 tokens), <\357\275\234x\357\275\234> "
                    "(9 tokens), <start_of_turn> (15 tokens), [|user|] (8 tokens)") == 0, "%s", list);
    CHECK(tokenizer_broken(t, text, list, 30) > 0 && strcmp(list, "<s> (3 tokens)") == 0, "%s",
          list);
    CHECK(tokenizer_broken(t, "<|end|> is <b>one</b>", list, sizeof list) == 0 && !*list, "%s",
          list);
    tokenizer_free(t);
}

/* llama.cpp's default, four patterns in turn. */
static void test_default(void) {
    static const char *const rows[][2] = {
        { "don't 12345, a+b<=c  \n\nx!?«7»", "don|'|t| |123|45|,| a|+|b|<=|c|  \n|\n|x|!?«|7|»|" },
        { "a`b ²1234 _x $5", "a|`|b| |²|123|4| |_|x| |$|5|" },
    };
    recipe r = family(0);
    tokenizer *t;
    size_t i;
    r.pre_tokenizer = "{ `type`: `Sequence`, `pretokenizers`: ["
        SPLIT("[\\\\p{P}\\\\$\\\\+<=>\\\\^~\\\\|]+") ", "
        SPLIT("'s|'t|'re|'ve|'m|'ll|'d| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|"
              "\\\\s+(?!\\\\S)")
        ", " SPLIT("\\\\p{N}+") ", " SPLIT("[0-9][0-9][0-9]") ", " BYTE_LEVEL("false", "false") "] }";
    t = make(&r);
    for (i = 0; i < sizeof rows / sizeof *rows && t; i++) {
        char got[MOST] = "";
        cut(t, 0, rows[i][0], strlen(rows[i][0]), got);
        CHECK(strcmp(got, rows[i][1]) == 0, "\"%s\" became\n  %s\n  not\n  %s", rows[i][0], got,
              rows[i][1]);
    }
    tokenizer_free(t);
}

/* ---- the families with pieces */

#define METASPACE(scheme, split) "{ `type`: `Metaspace`, `replacement`: `▁`, `prepend_scheme`: `" \
    scheme "`, `split`: " split " }"

static const char legacy[] = "{ `type`: `Sequence`, `normalizers`: [ { `type`: `Prepend`, "
    "`prepend`: `▁` }, { `type`: `Replace`, `pattern`: { `String`: ` ` }, `content`: `▁` } ] }";
static const char pieces_back[] = "{ `type`: `Sequence`, `decoders`: [ { `type`: `Replace`, "
    "`pattern`: { `String`: `▁` }, `content`: ` ` }, { `type`: `ByteFallback` }, "
    "{ `type`: `Fuse` }, { `type`: `Strip`, `content`: ` `, `start`: 1, `stop`: 0 } ] }";
static const char specials[] = ADDED(0, "<unk>", false, false, false, false, true) ", "
    ADDED(1, "<s>", false, false, false, false, true) ", "
    ADDED(2, "</s>", false, false, false, false, true);
static const char fallback[] = "`unk_token`: `<unk>`, `fuse_unk`: true, `byte_fallback`: true, ";

static recipe pieces(int i) {
    recipe r;
    memset(&r, 0, sizeof r);
    r.sentencepiece = 1;
    r.as_strings = i % 2;
    r.added = specials;
    r.decoder = pieces_back;
    r.model = fallback;
    r.no_fallback = i >= 4;
    if (i == 0 || i >= 4) r.normalizer = legacy;
    if (i == 1) r.pre_tokenizer = METASPACE("first", "false");
    if (i == 2) r.pre_tokenizer = r.decoder = METASPACE("always", "true");
    if (i == 3) r.pre_tokenizer = r.decoder = METASPACE("never", "true");
    if (i == 5) r.model = "`unk_token`: `<unk>`, `fuse_unk`: false, `byte_fallback`: false, ";
    if (i == 6) r.model = "`unk_token`: null, `byte_fallback`: true, ";
    if (i == 6) r.decoder = NULL;
    return r;
}

static void test_pieces(void) {
    static const struct { const char *text, *columns[7][2]; } rows[] = {
        { "the ab abc the.", {
          { "▁the ▁ab ▁ab c ▁the .", "the ab abc the." },
          { "▁the ▁ab ▁ab c ▁the .", "the ab abc the." },
          { "▁the ▁ab ▁ab c ▁the .", "the ab abc the." },
          { "t he ▁ab ▁ab c ▁the .", "the ab abc the." },
          { "▁the ▁ab ▁ab c ▁the .", "the ab abc the." },
          { "▁the ▁ab ▁ab c ▁the .", "the ab abc the." },
          { "▁the ▁ab ▁ab c ▁the .", "▁the ▁ab ▁ab c ▁the ." },
        } },
        { "  the  a", {
          { "▁▁ ▁the ▁ ▁a", "  the  a" },
          { "▁ ▁the ▁ ▁a", " the  a" },
          { "▁ ▁the ▁ ▁a", " the  a" },
          { "▁ ▁the ▁ ▁a", "  the  a" },
          { "▁▁ ▁the ▁ ▁a", "  the  a" },
          { "▁▁ ▁the ▁ ▁a", "  the  a" },
          { "▁▁ ▁the ▁ ▁a", "▁▁ ▁the ▁ ▁a" },
        } },
        { "a<s>the</s> b\n", {
          { "▁a <s> ▁the </s> ▁▁ b \n", "a the  b\n" },
          { "▁a <s> t he </s> ▁ b \n", "athe b\n" },
          { "▁a <s> ▁the </s> ▁ b \n", "a the b\n" },
          { "a <s> t he </s> ▁ b \n", "athe b\n" },
          { "▁a <s> ▁the </s> ▁▁ b \n", "a the  b\n" },
          { "▁a <s> ▁the </s> ▁▁ b \n", "a the  b\n" },
          { "▁a <s> ▁the </s> ▁▁ b \n", "▁a ▁the ▁▁ b \n" },
        } },
        { "aéñ你x \007b", {
          { "▁a é <0xC3> <0xB1> <0xE4> <0xBD> <0xA0> <0x78> ▁ <0x07> b", "aéñ你x \007b" },
          { "▁a é <0xC3> <0xB1> <0xE4> <0xBD> <0xA0> <0x78> ▁ <0x07> b", "aéñ你x \007b" },
          { "▁a é <0xC3> <0xB1> <0xE4> <0xBD> <0xA0> <0x78> ▁ <0x07> b",
            "aé<0xC3><0xB1><0xE4><0xBD><0xA0><0x78> <0x07>b" },
          { "a é <0xC3> <0xB1> <0xE4> <0xBD> <0xA0> <0x78> ▁ <0x07> b",
            "aé<0xC3><0xB1><0xE4><0xBD><0xA0><0x78> <0x07>b" },
          { "▁a é <unk> ▁ <unk> b", "aé b" },
          { "▁a é <unk> <unk> <unk> ▁ <unk> b", "aé b" },
          { "▁a é ▁ b", "▁a é ▁ b" },
        } },
        { "▁the ▁▁a", {
          { "▁ ▁the ▁▁ ▁a", " the   a" },
          { "▁the ▁▁ ▁a", "the   a" },
          { "▁the ▁ ▁ ▁a", "the   a" },
          { "▁the ▁ ▁ ▁a", " the   a" },
          { "▁ ▁the ▁▁ ▁a", " the   a" },
          { "▁ ▁the ▁▁ ▁a", " the   a" },
          { "▁ ▁the ▁▁ ▁a", "▁ ▁the ▁▁ ▁a" },
        } },
        { "x<s>", {
          { "▁ <0x78> <s>", "x" },
          { "▁ <0x78> <s>", "x" },
          { "▁ <0x78> <s>", "<0x78>" },
          { "<0x78> <s>", "<0x78>" },
          { "▁ <unk> <s>", "" },
          { "▁ <unk> <s>", "" },
          { "▁ <s>", "▁" },
        } },
        { "hehe éñ", {
          { "▁ he he ▁ é <0xC3> <0xB1>", "hehe éñ" },
          { "▁ he he ▁ é <0xC3> <0xB1>", "hehe éñ" },
          { "▁ he he ▁ é <0xC3> <0xB1>", "hehe é<0xC3><0xB1>" },
          { "he he ▁ é <0xC3> <0xB1>", "hehe é<0xC3><0xB1>" },
          { "▁ he he ▁ é <unk>", "hehe é" },
          { "▁ he he ▁ é <unk>", "hehe é" },
          { "▁ he he ▁ é", "▁ he he ▁ é" },
        } },
        { "x x b", {
          { "▁ <0x78> ▁ <0x78> ▁ b", "x x b" },
          { "▁ <0x78> ▁ <0x78> ▁ b", "x x b" },
          { "▁ <0x78> ▁ <0x78> ▁ b", "<0x78> <0x78> b" },
          { "<0x78> ▁ <0x78> ▁ b", "<0x78> <0x78> b" },
          { "▁ <unk> ▁ <unk> ▁ b", "  b" },
          { "▁ <unk> ▁ <unk> ▁ b", "  b" },
          { "▁▁ ▁ b", "▁▁ ▁ b" },
        } },
    };
    size_t i;
    int f;
    for (f = 0; f < 7; f++) {
        recipe r = pieces(f);
        tokenizer *t = make(&r);
        for (i = 0; t && i < sizeof rows / sizeof *rows; i++) {
            tokens_are(t, rows[i].text, rows[i].columns[f][0]);
            text_is(t, rows[i].text, rows[i].columns[f][1]);
        }
        tokenizer_free(t);
    }
}

/* A letter that is not in the vocabulary and no unk_token to say so. */
static void test_impossible(void) {
    recipe r = pieces(4);
    tokenizer *t;
    int ids[8];
    r.model = "`unk_token`: `<none>`, ";
    t = make(&r);
    if (!t) return;
    CHECK(tokenizer_encode(t, "the", ids, 8) == 1, "a text without it");
    CHECK(tokenizer_encode(t, "xe", ids, 8) == -1, "an unk_token that is not there");
    tokenizer_free(t);
}

/* ---- what goes in front and behind */

static void test_template(void) {
    static const char middle[] = "{ `type`: `TemplateProcessing`, `single`: ["
        "{ `SpecialToken`: { `id`: `a`, `type_id`: 0 } }, { `Sequence`: { `id`: `A`, `type_id`: 0 }"
        " }, { `SpecialToken`: { `id`: `b`, `type_id`: 0 } }], `pair`: [], `special_tokens`: {"
        "`a`: { `id`: `a`, `ids`: [7], `tokens`: [`a`] }, `b`: { `id`: `b`, `ids`: [9], "
        "`tokens`: [`b`] } } }";
    char both[1024];
    recipe r = family(1);
    tokenizer *t = make(&r);
    if (!t) return;
    CHECK(tokenizer_bos(t) == -1 && tokenizer_eos(t) == -1, "nothing");
    tokenizer_free(t);
    snprintf(both, sizeof both, "{ `type`: `Sequence`, `processors`: [%s, %s] }",
             BYTE_LEVEL("true", "true"), middle);
    r.post_processor = both;
    t = make(&r);
    if (!t) return;
    CHECK(tokenizer_bos(t) == 7, "%d", tokenizer_bos(t));
    CHECK(tokenizer_eos(t) == 9, "%d", tokenizer_eos(t));
    tokens_are(t, "the", "t he");   /* never put there by encode                                 */
    tokenizer_free(t);
}

/* ---- Unicode, as a whole: sums over every code point of what tokenizers 0.23.3 says of it */

static uint64_t sum(uint64_t so_far, const char *s, size_t n) {
    for (; n > 0; n--) so_far = (so_far ^ (unsigned char)*s++) * 0x100000001b3u;
    return so_far;
}

static uint64_t sum_of_nfc(const unicode_tables *u, const char *before, const char *behind) {
    unicode_work w;
    uint64_t total = 0xcbf29ce484222325u;
    uint32_t code;
    char text[32];
    memset(&w, 0, sizeof w);
    for (code = 1; code < UNICODE_CODES; code++) {
        size_t n = strlen(before);
        const char *same;
        if (code >= 0xd800 && code < 0xe000) continue;
        memcpy(text, before, n);
        n += (size_t)json_put_utf8(text + n, code);
        memcpy(text + n, behind, strlen(behind));
        same = unicode_nfc(u, &w, text, n + strlen(behind), &n);
        total = sum(total, same, n);
    }
    unicode_work_free(&w);
    return total;
}

static void test_unicode(void) {
    unicode_tables *u = unicode_new();
    uint64_t kinds = 0xcbf29ce484222325u, marks, syllables;
    int code;
    CHECK(u != NULL, "no memory");
    if (!u) return;
    for (code = 0; code < UNICODE_CODES; code++) {
        char kind = (char)(u->kinds[code] & (UNICODE_NFC - 1));
        kinds = sum(kinds, &kind, 1);
    }
    CHECK(kinds == 0x43424ada22358c0fu, "letters, numbers, spaces, words: %llx",
          (unsigned long long)kinds);
    kinds = 0xcbf29ce484222325u;
    for (code = 0; code < UNICODE_CODES; code++) {
        char kind = (char)(u->kinds[code] & UNICODE_PUNCTUATION);
        kinds = sum(kinds, &kind, 1);
    }
    CHECK(kinds == 0x929e93aa62a9d885u, "punctuation: %llx", (unsigned long long)kinds);
    marks = sum_of_nfc(u, "", "\314\201\314\243");                  /* acute, dot below          */
    CHECK(marks == 0x7364dadc2be94fcu, "%llx", (unsigned long long)marks);
    syllables = sum_of_nfc(u, "q\314\225", "\341\205\241\341\206\250");     /* comma; Hangul     */
    CHECK(syllables == 0x3ed5b64b520299fdu, "%llx", (unsigned long long)syllables);
    free(u);
}

static void composes(const unicode_tables *u, const char *text, const char *expected) {
    unicode_work w;
    size_t n;
    const char *got;
    memset(&w, 0, sizeof w);
    got = unicode_nfc(u, &w, text, strlen(text), &n);
    CHECK(n == strlen(expected) && memcmp(got, expected, n) == 0, "\"%s\" became \"%.*s\"", text,
          (int)n, got);
    unicode_work_free(&w);
}

static void test_nfc(void) {
    unicode_tables *u = unicode_new();
    unicode_work w;
    size_t n;
    memset(&w, 0, sizeof w);
    if (!u) return;
    CHECK(unicode_nfc(u, &w, "plain, déjà vu", 16, &n) && n == 16 && !w.text, "it was copied");
    composes(u, "e\314\201", "é");
    composes(u, "a\314\243\314\202", "ậ");                  /* one after the other               */
    composes(u, "a\314\202\314\243", "ậ");                  /* in the wrong order                */
    composes(u, "a\314\201\314\201", "á\314\201");          /* the second is blocked             */
    composes(u, "\304\244\314\243", "\341\270\244\314\202");        /* Ĥ and a dot below: another */
    composes(u, "\342\204\253 \342\204\246", "Å Ω");        /* one other character               */
    composes(u, "\340\245\230", "\340\244\225\340\244\274");        /* never composed again      */
    composes(u, "\341\204\222\341\205\241\341\206\253", "한");
    composes(u, "하\341\206\253 한\341\206\253", "한 한\341\206\253");
    composes(u, "\314\201e", "\314\201e");                  /* nothing before it                 */
    composes(u, "e\377\314\201\300", "e\377\314\201\300");  /* not UTF-8: nothing joins it       */
    composes(u, "e\314\201\377e\314\201\355\240\200", "é\377é\355\240\200");
    free(u);
}

/* ---- any bytes: never a crash, and back they come */

static uint64_t random_state = 88172645463325252u;

static uint32_t random_below(uint32_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % n;
}

/* Bytes, or characters from everywhere, or pieces of text. */
static size_t random_text(char *text, size_t room) {
    static const char *const parts[] = { " ", "  ", "\n", "the", " world", "'s", "e\314\201", "12",
        "\342\226\201", "<s>", "한", "\360\237\230\200", "\377", "\303", "<|end|>", ")" };
    size_t n = 0, want = random_below((uint32_t)room - 32);
    uint32_t how = random_below(3);
    while (n < want) {
        const char *part = parts[random_below(16)];
        if (how == 0) text[n++] = (char)random_below(256);
        else if (how == 1) n += (size_t)json_put_utf8(text + n, random_below(0x30000));
        else { memcpy(text + n, part, strlen(part)); n += strlen(part); }
    }
    return n;
}

/* Without normalizer every byte comes back, whole or token by token. */
static void round_trips(tokenizer *t, int rounds) {
    char text[600], back[MOST];
    int ids[MOST], i, k, n, length, right = 0, alone = 0;
    for (i = 0; i < rounds; i++) {
        size_t size = random_text(text, sizeof text);
        n = tokenizer_encode_bytes(t, text, size, ids, MOST);
        length = tokenizer_decode(t, ids, n, back, MOST);
        right += length == (int)size && memcmp(text, back, size) == 0;
        for (length = k = 0; k < n; k++)
            length += tokenizer_decode(t, ids + k, 1, back + length, MOST - length);
        alone += length == (int)size && memcmp(text, back, size) == 0;
    }
    CHECK(right == rounds, "%d of %d came back", right, rounds);
    CHECK(alone == rounds, "%d of %d came back token by token", alone, rounds);
}

static void test_round_trips(void) {
    int f;
    for (f = 0; f < 4; f++) {
        recipe r = family(f);
        tokenizer *t;
        r.normalizer = NULL;
        r.added = ADDED(297, "<|end|>", false, false, false, false, false);
        t = make(&r);
        if (t) round_trips(t, 500);
        tokenizer_free(t);
    }
    for (f = 0; f < 7; f++) {       /* the others forget blanks or what is not in the vocabulary */
        recipe r = pieces(f);
        tokenizer *t = make(&r);
        char text[600], back[MOST];
        int ids[MOST], i, n = 0;
        for (i = 0; t && i < 300 && n >= 0; i++) {
            n = tokenizer_encode_bytes(t, text, random_text(text, sizeof text), ids, MOST);
            if (n >= 0 && tokenizer_decode(t, ids, n, back, MOST) > n * t->longest) n = -1;
        }
        CHECK(n >= 0, "family %d", f);
        tokenizer_free(t);
    }
}

static void test_invalid(void) {
    recipe r = pieces(0);
    tokenizer *t = make(&r);
    int ids[16], n, i;
    char back[16];
    if (!t) return;
    tokens_are(t, "a\377\303", "▁a <0xFF> <0xC3>");
    text_is(t, "a\377\303", "a\377\303");
    n = tokenizer_encode(t, "你", ids, 16);                 /* a part of a character is bytes    */
    CHECK(n == 4, "%d", n);
    CHECK(tokenizer_decode(t, ids + 2, 2, back, 16) == 2 && !memcmp(back, "\275\240", 2), "bytes");
    for (i = 0; i < 3; i++) ids[i] = i == 0 ? -5 : i == 1 ? tokenizer_size(t) : INT_MAX;
    CHECK(tokenizer_decode(t, ids, 3, back, 16) == 0, "tokens that do not exist have no text");
    tokenizer_free(t);
}

/* A character NUL in a name of the vocabulary and in a text. */
static void test_nul(void) {
    char error[JSON_ERROR_LENGTH] = "";
    tokenizer_text x;
    tokenizer *t;
    int ids[4];
    memset(&x, 0, sizeof x);
    put(&x, "{ `model`: { `vocab`: { `a`: 0, `\\u0000`: 1, `a\\u0000`: 2 }, "
            "`merges`: [[`a`, `\\u0000`]] } }");
    tokenizer__append(&x, "", 1);
    t = tokenizer_parse(x.bytes, x.length - 1, NULL, error);
    CHECK(t != NULL, "%s", error);
    if (!t) return;
    CHECK(tokenizer_encode_bytes(t, "aa\0\0", 4, ids, 4) == 3, "three tokens");
    CHECK(ids[0] == 0 && ids[1] == 2 && ids[2] == 1, "%d %d %d", ids[0], ids[1], ids[2]);
    tokenizer_free(t);
}

/* As grpo.h has it: what does not fit is counted and not written. */
static void test_room(void) {
    grpo_encode_function encoder = tokenizer_encode;
    grpo_decode_function decoder = tokenizer_decode;
    recipe r = family(0);
    tokenizer *t = make(&r);
    int ids[8] = { -7, -7, -7, -7, -7, -7, -7, -7 };
    char text[8] = "*******";
    if (!t) return;
    CHECK(encoder(t, "The world's", ids, 2) == 3, "all are counted");
    CHECK(ids[0] >= 0 && ids[1] >= 0 && ids[2] == -7, "two are written");
    CHECK(encoder(t, "The world's", NULL, 0) == 3, "none are written");
    CHECK(encoder(t, "The world's", ids, 8) == 3 && ids[2] >= 0 && ids[3] == -7, "all three");
    CHECK(decoder(t, ids, 3, text, 5) == 11, "all are counted");
    CHECK(strcmp(text, "The w**") == 0, "five are written: %s", text);
    CHECK(decoder(t, ids, 0, text, 8) == 0 && decoder(t, ids, 3, NULL, 0) == 11, "nothing");
    tokenizer_free(t);
}

/* A word of a megabyte takes n log n. */
static void test_long_word(void) {
    enum { LONG = 1000003 };
    recipe r = family(0);
    tokenizer *t = make(&r);
    char *text = (char *)malloc(LONG + 1);
    int *ids = (int *)malloc(LONG * sizeof *ids), n, i, pairs = 0;
    if (t && text && ids) {
        memset(text, 'a', LONG);
        text[LONG] = 0;
        n = tokenizer_encode(t, text, ids, LONG);
        CHECK(n == LONG / 2 + 1, "%d", n);
        for (i = 0; i + 1 < n; i++) pairs += ids[i] == tokenizer_id(t, "aa");
        CHECK(pairs == LONG / 2 && ids[n - 1] == tokenizer_id(t, "a"), "%d pairs, then one", pairs);
    }
    free(text);
    free(ids);
    tokenizer_free(t);
}

/* ---- what is refused, and in which words */

static void refuses_text(const char *text, const char *sentence) {
    char error[JSON_ERROR_LENGTH] = "";
    tokenizer_text x;
    tokenizer *t;
    memset(&x, 0, sizeof x);
    put(&x, text);
    tokenizer__append(&x, "", 1);
    t = tokenizer_parse(x.bytes, x.length - 1, NULL, error);
    CHECK(!t && strcmp(error, sentence) == 0, "%s\n  said: %s", text, error);
    tokenizer_free(t);
}

static void refuses(const recipe *r, const char *sentence) {
    char error[JSON_ERROR_LENGTH] = "";
    size_t length;
    char *text = write_json(r, &length);
    tokenizer *t = tokenizer_parse(text, length, NULL, error);
    CHECK(!t && strcmp(error, sentence) == 0, "expected: %s\n  said: %s", sentence, error);
    tokenizer_free(t);
}

static void test_refused_parts(void) {
    recipe r = family(0);
    r.normalizer = "{ `type`: `Lowercase` }";
    refuses(&r, "the normalizer \"Lowercase\" is not known here, only NFC, Prepend, Replace and "
            "Sequence");
    r.normalizer = "{ `type`: `Replace`, `pattern`: { `Regex`: ` +` }, `content`: ` ` }";
    refuses(&r, "a Replace should have a \"pattern\" that is a \"String\"; regular expressions are "
            "not known here");
    r = family(0);
    r.pre_tokenizer = SPLIT("[0-9]+|[a-z]+|[A-Z]+|[^0-9a-zA-Z]+|x");
    refuses(&r, "a Split with the pattern \"[0-9]+|[a-z]+|[A-Z]+|[^0-9a-zA-Z]+|x\" is not known "
            "here, only with those of GPT-2, Llama 3, Qwen2 and llama.cpp's default");
    r.pre_tokenizer = "{ `type`: `Split`, `pattern`: { `Regex`: `x` }, `behavior`: `Removed`, "
                      "`invert`: false }";
    refuses(&r, "a Split is known here with behavior \"Isolated\" and invert false only, not with "
            "\"Removed\" and false");
    r.pre_tokenizer = "{ `type`: `Whitespace` }";
    refuses(&r, "the pre_tokenizer \"Whitespace\" is not known here, only ByteLevel, Split, "
            "Digits, Metaspace and Sequence");
    r.pre_tokenizer = SEQUENCE(BYTE_LEVEL("false", "true"), "{ `type`: `Digits` }");
    refuses(&r, "a pre_tokenizer behind ByteLevel is not known here");
    r.pre_tokenizer = METASPACE("sometimes", "true");
    refuses(&r, "the prepend_scheme \"sometimes\" of a Metaspace is not known here, only always, "
            "first and never");
    r = family(0);
    r.decoder = "{ `type`: `WordPiece`, `prefix`: `##` }";
    refuses(&r, "the decoder \"WordPiece\" is not known here, only ByteLevel, Metaspace, Replace, "
            "ByteFallback, Fuse, Strip and Sequence");
    r = family(0);
    r.post_processor = "{ `type`: `BertProcessing` }";
    refuses(&r, "the post_processor \"BertProcessing\" is not known here, only ByteLevel, "
            "TemplateProcessing and Sequence");
    r = family(0);
    r.added = ADDED(400, "<x>", false, false, false, false, false);
    refuses(&r, "the added token \"<x>\" has the id 400, but would get 297");
    r.added = ADDED(297, "<x>", false, false, false, false, false) ", "
              ADDED(298, "<x>", false, false, false, false, false);
    refuses(&r, "the added token \"<x>\" has the id 298, but would get 297");
    r.added = ADDED(297, "<x>", false, 1, false, false, false);
    refuses(&r, "\"lstrip\" should be true or false");
    r.normalizer = nfc;
    r.added = ADDED(297, "e\314\201!", false, false, false, true, false) ", "
              ADDED(298, "é!", false, false, false, true, false);
    refuses(&r, "the added tokens 297 and 298 are found by the same text");
}

static void test_refused_models(void) {
    recipe r = family(0);
    refuses_text("{ `model`: { `type`: `Unigram`, `vocab`: [] } }",
                 "a model of type \"Unigram\" is not known here, only BPE");
    refuses_text("{}", "it has no object \"model\"");
    refuses_text("[", "line 1, column 2: this is no JSON value");
    refuses_text("{ `version`: `2.0` }", "its version is not known here, only \"1.0\"");
    r.model = "`dropout`: 0.1, ";
    refuses(&r, "model.dropout is not known here; set it to null");
    r.model = "`end_of_word_suffix`: `</w>`, ";
    refuses(&r, "model.end_of_word_suffix is not known here, only null or \"\"");
    r.model = "`continuing_subword_prefix`: `##`, ";
    refuses(&r, "model.continuing_subword_prefix is not known here, only null or \"\"");
    r.model = "`byte_fallback`: 1, ";
    refuses(&r, "\"byte_fallback\" should be true or false");
    refuses_text("{ `model`: { `vocab`: { `a`: 0, `b`: 0 }, `merges`: [] } }",
                 "\"a\" and \"b\" have the same id, 0");
    refuses_text("{ `model`: { `vocab`: { `a`: 0, `a`: 1 }, `merges`: [] } }",
                 "line 1, column 36: the name \"a\" is there twice: remove one");
    refuses_text("{ `model`: { `vocab`: { `a`: 0.5 }, `merges`: [] } }",
                 "each id in model.vocab should be a whole number from 0 to 4194304");
    refuses_text("{ `model`: { `vocab`: { `a`: -1 }, `merges`: [] } }",
                 "each id in model.vocab should be a whole number from 0 to 4194304");
    refuses_text("{ `model`: { `vocab`: { `a`: `0` }, `merges`: [] } }",
                 "each id in model.vocab should be a whole number from 0 to 4194304");
    refuses_text("{ `model`: { `vocab`: { `a`: 0, `b`: 1 }, `merges`: [`a b`] } }",
                 "model.merges: number 0, \"a\" and \"b\": one of them or both together are not in "
                 "model.vocab");
    refuses_text("{ `model`: { `vocab`: { `a`: 0 }, `merges`: [`aa`] } }",
                 "model.merges: number 0 should be two tokens, \"a b\" or [\"a\", \"b\"]");
}

/* ---- Qwen's own */

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Texts with a line __ggml_vocab_test__ between them, and for each a line of ids. */
static void test_vectors(tokenizer *t, const char *folder) {
    static const char between[] = "\n__ggml_vocab_test__\n";
    char path[1024], error[JSON_ERROR_LENGTH];
    size_t length;
    char *texts, *lines, *at, *line;
    int count = 0;
    snprintf(path, sizeof path, "%s/tokenizers/vectors/ggml-vocab-qwen2.gguf.inp", folder);
    texts = at = json_load(path, &length, error);
    snprintf(path, sizeof path, "%s/tokenizers/vectors/ggml-vocab-qwen2.gguf.out", folder);
    lines = line = json_load(path, &length, error);
    CHECK(texts && lines, "%s", error);
    while (at && line) {
        char *end = strstr(at, between), *rest = line + strcspn(line, "\n");
        int ids[MOST], n, i;
        if (end) *end = 0;
        n = encode(t, at, ids);
        for (i = 0; i < n && strtol(line, &line, 10) == ids[i]; i++) {}
        CHECK(i == n && line + strspn(line, " ") == rest, "text %d: \"%s\"", count, at);
        count++;
        at = end ? end + strlen(between) : NULL;
        line = rest + 1;
    }
    CHECK(count == 47, "%d texts", count);
    free(texts);
    free(lines);
}

static void test_speed(tokenizer *t, const char *path) {
    char error[JSON_ERROR_LENGTH];
    size_t length;
    char *text = json_load(path, &length, error), *back;
    int *ids, n;
    double start;
    CHECK(text != NULL, "%s", error);
    if (!text) return;
    ids = (int *)malloc(length * sizeof *ids + 1);
    back = (char *)malloc(length + 1);
    start = seconds();
    n = tokenizer_encode(t, text, ids, (int)length);
    printf("%s: %d tokens, %.1f MB/s", path, n, (double)length / 1e6 / (seconds() - start));
    start = seconds();
    CHECK(tokenizer_decode(t, ids, n, back, (int)length) == (int)length
          && memcmp(text, back, length) == 0, "it did not come back");
    printf(", back %.1f MB/s\n", (double)length / 1e6 / (seconds() - start));
    free(text);
    free(ids);
    free(back);
}

static void test_qwen(void) {
    const char *folder = getenv("GRPO_DATA");
    char path[1024], error[JSON_ERROR_LENGTH];
    double start = seconds();
    tokenizer *t;
    if (!folder) {
        printf("skipped: Qwen's vocabulary, for GRPO_DATA is not set\n");
        return;
    }
    snprintf(path, sizeof path, "%s/tokenizers", folder);
    t = tokenizer_load(path, error);
    CHECK(t != NULL, "%s", error);
    if (!t) return;
    printf("%s: loaded in %.2f s\n", path, seconds() - start);
    CHECK(tokenizer_size(t) == 151669 && tokenizer_id(t, "<|im_end|>") == 151645, "its ids");
    test_vectors(t, folder);
    snprintf(path, sizeof path, "%s/gsm8k/train.jsonl", folder);
    test_speed(t, path);
    test_speed(t, getenv("GRPO_HEADER") ? getenv("GRPO_HEADER") : "../grpo.h");
    tokenizer_free(t);
}

static void test_no_file(void) {
    char error[JSON_ERROR_LENGTH] = "", long_name[2000];
    CHECK(!tokenizer_load("no/such/folder", error)
          && strcmp(error, "no/such/folder/tokenizer.json cannot be read: No such file or "
                    "directory") == 0, "%s", error);
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = 0;
    CHECK(!tokenizer_load(long_name, error) && strstr(error, "this name is too long"), "%s", error);
}

int main(void) {
    test_words();
    test_tokens();
    test_prefix();
    test_added();
    test_beside();
    test_order();
    test_cut_off();
    test_broken();
    test_default();
    test_pieces();
    test_impossible();
    test_template();
    test_unicode();
    test_nfc();
    test_round_trips();
    test_invalid();
    test_nul();
    test_room();
    test_long_word();
    test_refused_parts();
    test_refused_models();
    test_no_file();
    test_qwen();
    return check_finish();
}
