/* chat.h: questions as a chat model wants to be asked them.
 *
 *     chat_template chat;
 *     if (!chat_open(&chat, folder, NULL, NULL, error)) return complain(error);
 *     char *text = chat_ask(&chat, NULL, "2+2=?");           (from malloc; free it)
 *
 * There is no interpreter of templates here. The families below are written out, and chosen by name
 * or by what stands in the folder's tokenizer_config.json (or chat_template.jinja); what is not
 * recognised is refused. The text equals what transformers' apply_chat_template() gives with
 * add_generation_prompt, begin-of-text included where the template has it.
 *
 *     chatml    Qwen2, Qwen2.5, Qwen3, SmolLM2 ... with the default system message found in there
 *     llama3    Meta Llama 3          llama3.1  3.1 and later: it dates itself 26 Jul 2024
 *     llama2    Llama 2, Mistral-like "[INST]" with its <<SYS>>
 *     zephyr    Zephyr, TinyLlama-Chat
 *     plain     a text of your own around {question}; \n in it is a new line */
#ifndef CHAT_H
#define CHAT_H

#include "json.h"

enum { CHAT_SYSTEM = 1024 };

typedef struct chat_format {
    const char *name, *marker;      /* marker: what no other family's template has in it         */
    const char *begin;              /* of the text                                               */
    const char *system[2], *user[2], *assistant[2];           /* before and after each message   */
    const char *default_system;     /* if the template has one of its own; NULL: none            */
    int joined;                     /* 1: the system message opens the first user's              */
    int trimmed;                    /* 1: blanks at both ends of a message are left out          */
} chat_format;

/* In the order in which markers are looked for. Sources: the chat_template of the tokenizer configs
 * of Qwen/Qwen2.5-0.5B-Instruct, meta-llama/Llama-3.1-8B-Instruct, Meta-Llama-3-8B-Instruct,
 * Llama-2-7b-chat-hf and TinyLlama/TinyLlama-1.1B-Chat-v1.0. */
#define CHAT_HEADER(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"
static const chat_format chat_formats[] = {
    { "chatml", "<|im_start|>", "", { "<|im_start|>system\n", "<|im_end|>\n" },
      { "<|im_start|>user\n", "<|im_end|>\n" }, { "<|im_start|>assistant\n", "<|im_end|>\n" },
      NULL, 0, 0 },
    { "llama3.1", "Cutting Knowledge Date", "<|begin_of_text|>",
      { CHAT_HEADER("system") "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n",
        "<|eot_id|>" },
      { CHAT_HEADER("user"), "<|eot_id|>" }, { CHAT_HEADER("assistant"), "<|eot_id|>" }, "", 0, 1 },
    { "llama3", "<|start_header_id|>", "<|begin_of_text|>",
      { CHAT_HEADER("system"), "<|eot_id|>" }, { CHAT_HEADER("user"), "<|eot_id|>" },
      { CHAT_HEADER("assistant"), "<|eot_id|>" }, NULL, 0, 1 },
    { "llama2", "<<SYS>>", "", { "<s>[INST] <<SYS>>\n", "\n<</SYS>>\n\n" },
      { "<s>[INST] ", " [/INST]" }, { " ", " </s>" }, NULL, 1, 1 },
    { "zephyr", "<|user|>", "", { "<|system|>\n", "</s>\n" }, { "<|user|>\n", "</s>\n" },
      { "<|assistant|>\n", "</s>\n" }, NULL, 0, 0 },
    { "plain", NULL, "", { "", "" }, { "", "" }, { "", "\n" }, NULL, 0, 0 } };
#undef CHAT_HEADER
enum { CHAT_FORMATS = (int)(sizeof chat_formats / sizeof *chat_formats),
       CHAT_PLAIN = CHAT_FORMATS - 1, CHAT_LLAMA2 = 3 };

typedef struct chat_template {
    const chat_format *format;
    const char *pattern;            /* of plain: text with {question}; the caller's              */
    char system[CHAT_SYSTEM];       /* the default system message                                */
    int has_system;
} chat_template;

/* ---- text that grows; NULL once memory has run out */
typedef struct chat_text { char *bytes; size_t length, capacity; int failed; } chat_text;

static inline void chat_append(chat_text *t, const char *s, size_t n) {
    if (!t->failed && t->length + n + 1 > t->capacity) {
        size_t more = 2 * t->capacity + n + 256;
        char *bytes = (char *)realloc(t->bytes, more);
        if (!bytes) { free(t->bytes); t->bytes = NULL; t->failed = 1; return; }
        t->bytes = bytes;
        t->capacity = more;
    }
    if (t->failed) return;
    memcpy(t->bytes + t->length, s, n);
    t->bytes[t->length += n] = 0;
}

static inline void chat_put(chat_text *t, const char *s) { chat_append(t, s, strlen(s)); }

/* A message between its two ends. */
static inline void chat_message(chat_text *t, const chat_format *f, const char *const ends[2],
                                const char *s) {
    static const char blanks[] = " \t\n\r\v\f";
    size_t n = strlen(s), skip = f->trimmed ? strspn(s, blanks) : 0;
    while (f->trimmed && n > skip && strchr(blanks, s[n - 1])) n--;
    chat_put(t, ends[0]);
    chat_append(t, s + skip, n - skip);
    chat_put(t, ends[1]);
}

/* The pattern, with the question in its place and \n undone. */
static inline void chat_fill(chat_text *t, const char *pattern, const char *question) {
    const char *hole = strstr(pattern, "{question}"), *s;
    for (s = pattern; *s; s++) {
        if (s == hole) { chat_put(t, question); s += strlen("{question}") - 1; }
        else if (*s == '\\' && s[1] == 'n') { chat_put(t, "\n"); s++; }
        else chat_append(t, s, 1);
    }
}

/* The text of a talk that waits for the assistant: turns [n] are the user's and the assistant's by
 * turns, so n is odd. system NULL: the template's own, if any. From malloc; NULL: no memory. */
static inline char *chat_render(const chat_template *c, const char *system,
                                const char *const *turns, int n) {
    const chat_format *f = c->format;
    chat_text t = { NULL, 0, 0, 0 };
    int i;
    chat_put(&t, f->begin);
    if (!system && c->has_system) system = c->system;
    if (system && f != &chat_formats[CHAT_PLAIN]) chat_message(&t, f, f->system, system);
    for (i = 0; i < n; i++) {
        const char *ends[2];
        ends[0] = i == 0 && f->joined && system ? "" : f->user[0];
        ends[1] = f->user[1];
        if (i % 2 == 1) chat_message(&t, f, f->assistant, turns[i]);
        else if (f == &chat_formats[CHAT_PLAIN]) chat_fill(&t, c->pattern, turns[i]);
        else chat_message(&t, f, ends, turns[i]);
    }
    if (f != &chat_formats[CHAT_LLAMA2]) chat_put(&t, f->assistant[0]);
    return t.bytes;
}

static inline char *chat_ask(const chat_template *c, const char *system, const char *question) {
    return chat_render(c, system, &question, 1);
}

/* The token that ends the assistant's turn, as text; NULL: end-of-text alone does. */
static inline const char *chat_stop(const chat_template *c) {
    static const char *const stops[CHAT_FORMATS] = { "<|im_end|>", "<|eot_id|>", "<|eot_id|>",
                                                     "</s>", "</s>", NULL };
    return stops[c->format - chat_formats];
}

/* ---- which one is it? */

/* ChatML's default system message: what stands, without a quote or a brace in it, between
 * "<|im_start|>system\n" and "<|im_end|>" in the template; \n is a new line or its escape. */
static inline void chat_find_system(chat_template *c, const char *source) {
    const char *open = "<|im_start|>system", *s = source, *end;
    while ((s = strstr(s, open)) != NULL) {
        s += strlen(open);
        if (*s == '\n') s++;
        else if (!strncmp(s, "\\n", 2)) s += 2;
        else continue;
        end = strstr(s, "<|im_end|>");
        if (!end || end == s || (size_t)(end - s) >= CHAT_SYSTEM
            || strcspn(s, "'\"{}") < (size_t)(end - s)) continue;
        memcpy(c->system, s, (size_t)(end - s));
        c->system[end - s] = 0;
        c->has_system = 1;
        return;
    }
}

/* From the text of a template; 0 if no family has such. */
static inline int chat_recognise(chat_template *c, const char *source) {
    int i;
    memset(c, 0, sizeof *c);
    for (i = 0; i < CHAT_PLAIN; i++)
        if (strstr(source, chat_formats[i].marker)) break;
    if (i == CHAT_PLAIN) return 0;
    c->format = &chat_formats[i];
    if (i == 0) chat_find_system(c, source);
    if (c->format->default_system) {
        c->has_system = 1;
        snprintf(c->system, sizeof c->system, "%s", c->format->default_system);
    }
    return 1;
}

/* The template of a folder: chat_template.jinja, or the field of tokenizer_config.json, which may
 * be a list of them of which "default" counts. From malloc; NULL: none, with a sentence. */
static inline char *chat_source(const char *folder, char *error) {
    char path[1024], *source = NULL;
    const json_value *v, *one;
    size_t length;
    json j;
    snprintf(path, sizeof path, "%s/chat_template.jinja", folder);
    source = json_load(path, &length, error);
    if (source) return source;
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    if (!json_read(&j, path, error)) return NULL;
    v = json_find(j.values, "chat_template");
    for (one = json_first(v); json_is(v, JSON_ARRAY) && one; one = json_next(v, one))
        if (!strcmp(json_string(json_find(one, "name"), ""), "default")) {
            v = json_find(one, "template");
            break;
        }
    if (json_is(v, JSON_STRING)) {
        source = (char *)malloc(v->length + 1);
        if (source) memcpy(source, v->text, v->length + 1);
    }
    if (!source)
        snprintf(error, JSON_ERROR_LENGTH, "%.120s has no chat template: say how to ask, with "
                 "--prompt-format \"Question: {question}\\nAnswer:\", say, or --template chatml",
                 folder);
    json_free(&j);
    return source;
}

/* A format by name, a pattern for plain, or (both NULL) the folder's own. 1, or 0 with a sentence
 * in error[JSON_ERROR_LENGTH]. The pattern must live as long as the template. */
static inline int chat_open(chat_template *c, const char *folder, const char *name,
                            const char *pattern, char *error) {
    char *source;
    int i;
    memset(c, 0, sizeof *c);
    if (pattern) {
        c->format = &chat_formats[CHAT_PLAIN];
        c->pattern = pattern;
        if (strstr(pattern, "{question}")) return 1;
        snprintf(error, JSON_ERROR_LENGTH, "the prompt format \"%.80s\" has no {question} in it",
                 pattern);
        return 0;
    }
    for (i = 0; name && i < CHAT_PLAIN; i++)
        if (!strcmp(name, chat_formats[i].name)) return chat_recognise(c, chat_formats[i].marker);
    if (name) {
        snprintf(error, JSON_ERROR_LENGTH, "no chat template is called %.40s: chatml, llama3.1, "
                 "llama3, llama2 and zephyr are", name);
        return 0;
    }
    source = chat_source(folder, error);
    if (!source) return 0;
    i = chat_recognise(c, source);
    free(source);
    if (!i) snprintf(error, JSON_ERROR_LENGTH, "%.120s: its chat template is of no family known "
                     "here: say how to ask, with --prompt-format or --template", folder);
    return i;
}

#endif
