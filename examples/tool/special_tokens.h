/* special_tokens.h: the special tokens that a folder's files name, as transformers 5 takes them.
 *
 *     special_tokens *s = (special_tokens *)calloc(1, sizeof *s);
 *     if (!special_tokens_read(s, tokenizer_config, special_tokens_map)) return fail("too many");
 *     for (i = 0; i < s->named; i++) printf("%s\n", s->items[i].name);
 *
 * A token stands as its text, or as an object with its text as content. bos_token and six others
 * are everyone's; a model may name more (image_token), which its template then knows too; and some
 * have no name. Where tokenizer_config.json has added_tokens_decoder, special_tokens_map.json does
 * not count. */
#ifndef SPECIAL_TOKENS_H
#define SPECIAL_TOKENS_H

#include "json.h"

enum { SPECIAL_TOKENS_MOST = 4096 };

typedef struct special_token {
    const char *name;               /* "bos_token"; "": none                                     */
    const json_value *value;        /* its text or object, in the files' JSON                    */
} special_token;

typedef struct special_tokens {     /* in the order in which they are added to the vocabulary    */
    special_token items[SPECIAL_TOKENS_MOST];
    int usual;                      /* first those whose names are everyone's, so many           */
    int named;                      /* up to here they have a name                               */
    int count;
    int given;                      /* values, also those that were replaced by another          */
    int listed;                     /* the others up to here were known when added_tokens.json
                                       is read                                                   */
} special_tokens;

/* A token's text, or NULL. */
static inline const json_value *special_token_text(const json_value *v) {
    if (!json_is(v, JSON_STRING)) v = json_find(v, "content");
    return json_is(v, JSON_STRING) ? v : NULL;
}

/* Adds a token, or gives a name that is there another value; what is no token is passed over. Like
 * those that follow it returns 1, or 0: they are too many. */
static inline int special_tokens_put(special_tokens *s, const char *name, const json_value *v) {
    int i = 0;
    if (!special_token_text(v)) return 1;
    while (i < s->count && (!*name || strcmp(s->items[i].name, name))) i++;
    if (i == SPECIAL_TOKENS_MOST) return 0;
    s->items[i].name = name;
    s->items[i].value = v;
    s->count += i == s->count;
    s->given++;
    return 1;
}

/* An object's members, or an array's elements, which have no name. */
static inline int special_tokens_put_all(special_tokens *s, const json_value *of, int type) {
    const json_value *v;
    for (v = json_is(of, type) ? json_first(of) : NULL; v; v = json_next(of, v))
        if (!special_tokens_put(s, type == JSON_OBJECT ? v->key : "", v)) return 0;
    return 1;
}

static const char *const special_tokens_usual[] = { "bos_token", "eos_token", "unk_token",
                                                    "sep_token", "pad_token", "cls_token",
                                                    "mask_token" };
enum { SPECIAL_TOKENS_USUAL = 7 };

enum { SPECIAL_TOKENS_TEXTS, SPECIAL_TOKENS_OBJECTS, SPECIAL_TOKENS_ALL };

/* A model's own names, image_token and the like, where a file has such values. */
static inline int special_tokens_put_own(special_tokens *s, const json_value *of, int which) {
    const json_value *v;
    int i;
    for (v = json_first(of); v; v = json_next(of, v)) {
        if (v->key_length < 6 || strcmp(v->key + v->key_length - 6, "_token")) continue;
        if (which == SPECIAL_TOKENS_TEXTS ? v->type != JSON_STRING
            : which == SPECIAL_TOKENS_OBJECTS && !json_find(v, "__type")) continue;
        for (i = 0; i < SPECIAL_TOKENS_USUAL && strcmp(v->key, special_tokens_usual[i]); i++) {}
        if (i == SPECIAL_TOKENS_USUAL && !special_tokens_put(s, v->key, v)) return 0;
    }
    return 1;
}

/* Those without a name: extra_special_tokens, once called additional_special_tokens, which count
 * where there are none of the former. */
static inline int special_tokens_put_nameless(special_tokens *s, const json_value *config,
                                              const json_value *map) {
    const json_value *extra = json_find(config, "extra_special_tokens");
    const json_value *old = json_find(config, "additional_special_tokens");
    const json_value *more = json_find(map, "extra_special_tokens");
    int i;
    if (old && (!extra || !json_first(extra))) extra = old;
    if (json_find(map, "additional_special_tokens"))
        old = json_find(map, "additional_special_tokens");
    if (json_is(extra, JSON_OBJECT) || json_is(more, JSON_OBJECT)) extra = NULL;
    if (!special_tokens_put_all(s, extra, JSON_ARRAY)
        || !special_tokens_put_all(s, more, JSON_ARRAY)) return 0;
    s->listed = s->count;
    i = extra || json_is(more, JSON_ARRAY);
    return i || special_tokens_put_all(s, old, JSON_ARRAY);
}

/* config: tokenizer_config.json; map: special_tokens_map.json; either may be NULL. s is all
 * zeros. */
static inline int special_tokens_read(special_tokens *s, const json_value *config,
                                      const json_value *map) {
    const json_value *decoder = json_find(config, "added_tokens_decoder"), *v;
    int i, own, good = 1;
    if (decoder && decoder->type != JSON_NULL) map = NULL;
    for (i = 0; i < SPECIAL_TOKENS_USUAL && good; i++) {
        v = json_find(map, special_tokens_usual[i]);
        good = special_tokens_put(s, special_tokens_usual[i],
                                  v ? v : json_find(config, special_tokens_usual[i]));
    }
    s->usual = s->count;
    good = good && special_tokens_put_own(s, config, SPECIAL_TOKENS_OBJECTS)
           && special_tokens_put_own(s, map, SPECIAL_TOKENS_ALL);
    own = s->given;
    good = good && special_tokens_put_own(s, config, SPECIAL_TOKENS_TEXTS)
           && special_tokens_put_all(s, json_find(config, "extra_special_tokens"), JSON_OBJECT);
    if (good && s->given == own)
        good = special_tokens_put_all(s, json_find(config, "model_specific_special_tokens"),
                                      JSON_OBJECT);
    good = good && special_tokens_put_all(s, json_find(map, "extra_special_tokens"), JSON_OBJECT);
    s->named = s->count;
    return good && special_tokens_put_nameless(s, config, map);
}

#endif
