/* chat.h: the text that a chat model was trained to read, made from the turns of a conversation.
 *
 *     chat_template t;
 *     if (!chat_recognise(&t, "Qwen2.5-0.5B-Instruct", error)) return fail(error);
 *     chat_turn turns[1] = { { "user", "What is 2+2?" } };
 *     chat_text text = { 0 };
 *     if (!chat_render(&t, NULL, turns, 1, 1, &text, error)) return fail(error);
 *     encode(text.text); ... chat_text_free(&text);
 *
 * The text is what transformers' apply_chat_template(tokenize=False, add_generation_prompt=True)
 * writes, BOS included exactly where the published template writes it (Llama 2 and 3 do; Qwen,
 * SmolLM2 and TinyLlama do not): encode it without adding one. There is no Jinja interpreter here.
 * A template is taken apart into its expressions and accepted only if those that write the turns
 * are ones known here, no unknown <|token|> occurs and nothing stands between them; every other is
 * refused with a sentence, and a format with {question} in it serves instead (chat_plain).
 *
 * What a user writes is not searched for special tokens: <|im_end|> in a question ends the turn,
 * as it does in transformers. */
#ifndef CHAT_H
#define CHAT_H

#include "json.h"

#include <time.h>

enum { CHAT_PLAIN, CHAT_CHATML, CHAT_LLAMA3, CHAT_LLAMA2, CHAT_ZEPHYR };
enum { CHAT_THINK_FREE,             /* the model decides whether to open a <think> block         */
       CHAT_THINK_NEVER,            /* an empty one is written for it (enable_thinking=False)    */
       CHAT_THINK_ALWAYS };         /* it is opened for it                                       */
enum { CHAT_ROOM = 2048, CHAT_TOKEN = 64, CHAT_STOPS = 4 };

typedef struct chat_template {
    int family;                     /* CHAT_PLAIN ...                                            */
    int has_system;                 /* system is what it says without a system message           */
    char system[CHAT_ROOM];
    char bos[CHAT_TOKEN], eos[CHAT_TOKEN];
    int bos_first;                  /* CHATML: BOS stands before everything                      */
    int reasoning;                  /* 1: <think> blocks of earlier answers are left out (Qwen3) */
    int can_think;                  /* 1: thinking is yours to choose                            */
    int thinking;                   /* CHAT_THINK_*                                              */
    char date[32];                  /* Llama 3.1 and later tell it: "26 Jul 2024". From 3.2 on it
                                       is today's: set it where a run must repeat itself         */
    char format[CHAT_ROOM];         /* PLAIN                                                     */
} chat_template;

typedef struct chat_turn {
    const char *role;               /* "user" or "assistant"                                     */
    const char *text;
} chat_turn;

typedef struct chat_text {          /* all zeros: empty; text is NULL until something is written */
    char *text;
    size_t length, capacity;
} chat_text;

static inline void chat_text_free(chat_text *t) {
    free(t->text);
    memset(t, 0, sizeof *t);
}

static inline int chat_wrong(char *error, const char *what) {
    snprintf(error, JSON_ERROR_LENGTH, "%s", what);
    return 0;
}

/* Appends n bytes, and a NUL that does not count. */
static inline int chat_add(chat_text *t, const char *s, size_t n) {
    if (t->capacity - t->length <= n) {
        size_t more = (t->length + n) / 2 * 3 + 256;
        char *text = more < n ? NULL : (char *)realloc(t->text, more);
        if (!text) return 0;
        t->text = text;
        t->capacity = more;
    }
    if (n) memcpy(t->text + t->length, s, n);
    t->text[t->length += n] = 0;
    return 1;
}

static inline int chat_put(chat_text *t, const char *s) { return chat_add(t, s, strlen(s)); }

/* ---- Python's str.strip() */

/* Bytes of the blank that s begins with, 0 if it is none. */
static inline size_t chat_blank(const char *s, size_t n) {
    uint32_t c = 0;
    int bytes = json_utf8(s, n, &c);
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xa0 || c == 0x1680
           || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f
           || c == 0x205f || c == 0x3000 ? (size_t)bytes : 0;
}

static inline int chat_put_stripped(chat_text *t, const char *s) {
    size_t n = strlen(s), k;
    while (n && (k = chat_blank(s, n)) > 0) { s += k; n -= k; }
    for (;;) {
        for (k = 1; k <= 3 && k <= n && chat_blank(s + n - k, k) != k; ) k++;
        if (k > 3 || k > n) return chat_add(t, s, n);
        n -= k;
    }
}

/* ---- the families */

static inline int chat_put_chatml(chat_text *t, const char *role, const char *text) {
    return chat_put(t, "<|im_start|>") && chat_put(t, role) && chat_put(t, "\n")
           && chat_put(t, text) && chat_put(t, "<|im_end|>\n");
}

static inline const char *chat_last(const char *in, const char *what) {
    const char *found = NULL, *at = strstr(in, what);
    for (; at; at = strstr(at + 1, what)) found = at;
    return found;
}

/* An answer of a model that thinks first. What it thought is shown only if the answer comes after
 * the last question: `late` 1, and 2 for the last turn of all. */
static inline int chat_put_thought(chat_text *t, const char *text, int late) {
    const char *begin = text, *end = strstr(text, "</think>"), *answer = text, *at;
    if (end) {
        answer = chat_last(text, "</think>") + strlen("</think>");
        while (*answer == '\n') answer++;
        for (at = text; (at = strstr(at, "<think>")) != NULL && at < end; begin = at)
            at += strlen("<think>");
    } else end = text;
    while (end > begin && end[-1] == '\n') end--;
    while (begin < end && *begin == '\n') begin++;
    if (!chat_put(t, "<|im_start|>assistant\n")) return 0;
    if (late == 2 || (late && end > begin)) {
        while (*answer == '\n') answer++;
        if (!chat_put(t, "<think>\n") || !chat_add(t, begin, (size_t)(end - begin))
            || !chat_put(t, "\n</think>\n\n")) return 0;
    }
    return chat_put(t, answer) && chat_put(t, "<|im_end|>\n");
}

/* The result of a tool, which Qwen3 wraps like this, is no question. */
static inline int chat_is_question(const chat_turn *turn) {
    const char *open = "<tool_response>", *close = "</tool_response>";
    size_t n = strlen(turn->text), tail = strlen(close);
    return strcmp(turn->role, "user") == 0
           && !(strncmp(turn->text, open, strlen(open)) == 0 && n >= tail
                && strcmp(turn->text + n - tail, close) == 0);
}

static inline int chat_chatml(const chat_template *t, const char *system, const chat_turn *turns,
                              int n, int generate, chat_text *out) {
    int i, last = n - 1;
    if (t->bos_first && !chat_put(out, t->bos)) return 0;
    if (!system && t->has_system) system = t->system;
    if (system && !chat_put_chatml(out, "system", system)) return 0;
    while (last >= 0 && !chat_is_question(&turns[last])) last--;
    if (last < 0) last = n - 1;
    for (i = 0; i < n; i++) {
        int thinks = t->reasoning && strcmp(turns[i].role, "assistant") == 0;
        if (thinks ? !chat_put_thought(out, turns[i].text, i <= last ? 0 : i < n - 1 ? 1 : 2)
                   : !chat_put_chatml(out, turns[i].role, turns[i].text)) return 0;
    }
    if (!generate) return 1;
    return chat_put(out, "<|im_start|>assistant\n")
           && (t->thinking != CHAT_THINK_NEVER || chat_put(out, "<think>\n\n</think>\n\n"))
           && (t->thinking != CHAT_THINK_ALWAYS || chat_put(out, "<think>\n"));
}

static inline int chat_put_llama3(chat_text *t, const char *role, const char *text) {
    return chat_put(t, "<|start_header_id|>") && chat_put(t, role)
           && chat_put(t, "<|end_header_id|>\n\n") && chat_put_stripped(t, text)
           && chat_put(t, "<|eot_id|>");
}

static inline int chat_llama3(const chat_template *t, const char *system, const chat_turn *turns,
                              int n, int generate, chat_text *out) {
    int i;
    if (!chat_put(out, t->bos)) return 0;
    if (t->date[0]) {
        if (!chat_put(out, "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: "
                      "December 2023\nToday Date: ") || !chat_put(out, t->date)
            || !chat_put(out, "\n\n") || !chat_put_stripped(out, system ? system : "")
            || !chat_put(out, "<|eot_id|>")) return 0;
    } else if (system && !chat_put_llama3(out, "system", system)) return 0;
    for (i = 0; i < n; i++)
        if (!chat_put_llama3(out, turns[i].role, turns[i].text)) return 0;
    return !generate || chat_put(out, "<|start_header_id|>assistant<|end_header_id|>\n\n");
}

/* Questions and answers take turns; it ends after a question whether or not an answer is asked. */
static inline int chat_llama2(const chat_template *t, const char *system, const chat_turn *turns,
                              int n, chat_text *out) {
    chat_text first = { NULL, 0, 0 };
    int i, good = 1;
    if (system && n)
        good = chat_put(&first, "<<SYS>>\n") && chat_put(&first, system)
               && chat_put(&first, "\n<</SYS>>\n\n") && chat_put(&first, turns[0].text);
    for (i = 0; i < n && good; i++) {
        const char *text = i == 0 && first.text ? first.text : turns[i].text;
        good = i % 2 == 0 ? chat_put(out, t->bos) && chat_put(out, "[INST] ")
                            && chat_put_stripped(out, text) && chat_put(out, " [/INST]")
                          : chat_put(out, " ") && chat_put_stripped(out, text)
                            && chat_put(out, " ") && chat_put(out, t->eos);
    }
    chat_text_free(&first);
    return good;
}

static inline int chat_put_zephyr(const chat_template *t, const char *role, const char *text,
                                  chat_text *out) {
    return chat_put(out, "<|") && chat_put(out, role) && chat_put(out, "|>\n")
           && chat_put(out, text) && chat_put(out, t->eos) && chat_put(out, "\n");
}

static inline int chat_zephyr(const chat_template *t, const char *system, const chat_turn *turns,
                              int n, int generate, chat_text *out) {
    int i;
    if (system && !chat_put_zephyr(t, "system", system, out)) return 0;
    for (i = 0; i < n; i++)
        if (!chat_put_zephyr(t, turns[i].role, turns[i].text, out)) return 0;
    return !generate || chat_put(out, "<|assistant|>\n");
}

/* A system message and an empty line; each question in the format, each answer and an empty line
 * after it. */
static inline int chat_format(const chat_template *t, const char *system, const chat_turn *turns,
                              int n, chat_text *out) {
    int i;
    if (system && (!chat_put(out, system) || !chat_put(out, "\n\n"))) return 0;
    for (i = 0; i < n; i++) {
        const char *at = t->format, *hole;
        if (strcmp(turns[i].role, "assistant") == 0) {
            if (!chat_put(out, turns[i].text) || !chat_put(out, "\n\n")) return 0;
            continue;
        }
        for (; (hole = strstr(at, "{question}")) != NULL; at = hole + strlen("{question}"))
            if (!chat_add(out, at, (size_t)(hole - at)) || !chat_put(out, turns[i].text)) return 0;
        if (!chat_put(out, at)) return 0;
    }
    return 1;
}

static inline int chat_turns_fit(const chat_template *t, const chat_turn *turns, int n,
                                 char *error) {
    int i;
    for (i = 0; i < n; i++) {
        int asks = strcmp(turns[i].role, "user") == 0;
        if (!asks && strcmp(turns[i].role, "assistant") != 0)
            return chat_wrong(error, "a turn of a conversation is the user's or the assistant's");
        if (t->family == CHAT_LLAMA2 && asks != (i % 2 == 0))
            return chat_wrong(error, "Llama 2 needs questions and answers in turn, a question "
                                     "first");
    }
    return 1;
}

/* Appends the conversation. system NULL: what the template says without a system message. With
 * add_generation_prompt 1 the text ends where the assistant's answer begins. Returns 1, or 0 with
 * a sentence; out is then as it was. */
static inline int chat_render(const chat_template *t, const char *system, const chat_turn *turns,
                              int n, int add_generation_prompt, chat_text *out, char *error) {
    size_t before = out->length;
    int good;
    if (!chat_turns_fit(t, turns, n, error)) return 0;
    switch (t->family) {
    case CHAT_CHATML: good = chat_chatml(t, system, turns, n, add_generation_prompt, out); break;
    case CHAT_LLAMA3: good = chat_llama3(t, system, turns, n, add_generation_prompt, out); break;
    case CHAT_LLAMA2: good = chat_llama2(t, system, turns, n, out); break;
    case CHAT_ZEPHYR: good = chat_zephyr(t, system, turns, n, add_generation_prompt, out); break;
    default:          good = chat_format(t, system, turns, n, out); break;
    }
    if (good) return 1;
    out->length = before;
    if (out->text) out->text[before] = 0;
    return chat_wrong(error, "there is not enough memory for the conversation");
}

/* The texts that end a turn, each one token where the vocabulary has it. Returns how many. */
static inline int chat_stops(const chat_template *t, const char *stops[CHAT_STOPS]) {
    int i, n = 0;
    if (t->family == CHAT_CHATML) stops[n++] = "<|im_end|>";
    if (t->family == CHAT_LLAMA3) {
        stops[n++] = "<|eot_id|>";
        stops[n++] = "<|end_of_text|>";
        if (t->date[0]) stops[n++] = "<|eom_id|>";
    }
    for (i = 0; i < n && strcmp(stops[i], t->eos) != 0; ) i++;
    if (i == n && t->eos[0] && n < CHAT_STOPS) stops[n++] = t->eos;
    return n;
}

/* ---- templates by name */

static inline void chat_today(char *date, size_t size) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm *day = localtime(&now);
    if (!day || day->tm_mon < 0 || day->tm_mon > 11) snprintf(date, size, "26 Jul 2024");
    else snprintf(date, size, "%02d %.3s %d", day->tm_mday, months + 3 * day->tm_mon,
                  day->tm_year + 1900);
}

/* A format for questions: "Question: {question}\nAnswer:", where \n, \t and \\ mean what they
 * mean in C, for a command line cannot easily hold them. */
static inline int chat_plain(chat_template *t, const char *format, char *error) {
    size_t n = 0;
    memset(t, 0, sizeof *t);
    t->family = CHAT_PLAIN;
    if (!strstr(format, "{question}"))
        return chat_wrong(error, "a prompt format needs {question} where the question stands");
    for (; *format && n + 1 < sizeof t->format; format++) {
        const char *escape = *format == '\\' && format[1] ? strchr("nt\\", format[1]) : NULL;
        t->format[n++] = *format;
        if (escape) {
            t->format[n - 1] = *escape == 'n' ? '\n' : *escape == 't' ? '\t' : '\\';
            format++;
        }
    }
    return *format ? chat_wrong(error, "the prompt format is too long") : 1;
}

/* What the published models of a family use, by name: qwen2 qwen2.5 qwen3 smollm2 chatml llama2
 * llama3 llama3.1 llama3.2 zephyr. */
static inline int chat_named(chat_template *t, const char *name, char *error) {
    static const struct { const char *name; int family; const char *system, *bos, *eos; } all[] = {
        { "qwen2", CHAT_CHATML, "You are a helpful assistant.", "", "<|im_end|>" },
        { "qwen2.5", CHAT_CHATML, "You are Qwen, created by Alibaba Cloud. You are a helpful "
                                  "assistant.", "", "<|im_end|>" },
        { "qwen3", CHAT_CHATML, NULL, "", "<|im_end|>" },
        { "smollm2", CHAT_CHATML, "You are a helpful AI assistant named SmolLM, trained by Hugging "
                                  "Face", "", "<|im_end|>" },
        { "chatml", CHAT_CHATML, NULL, "", "<|im_end|>" },
        { "llama2", CHAT_LLAMA2, NULL, "<s>", "</s>" },
        { "llama3", CHAT_LLAMA3, NULL, "<|begin_of_text|>", "<|eot_id|>" },
        { "llama3.1", CHAT_LLAMA3, NULL, "<|begin_of_text|>", "<|eot_id|>" },
        { "llama3.2", CHAT_LLAMA3, NULL, "<|begin_of_text|>", "<|eot_id|>" },
        { "zephyr", CHAT_ZEPHYR, NULL, "<s>", "</s>" },
    };
    size_t i;
    memset(t, 0, sizeof *t);
    for (i = 0; i < sizeof all / sizeof *all && strcmp(all[i].name, name) != 0; ) i++;
    if (i == sizeof all / sizeof *all) {
        snprintf(error, JSON_ERROR_LENGTH, "there is no chat template \"%.40s\": qwen2 qwen2.5 "
                 "qwen3 smollm2 chatml llama2 llama3 llama3.1 llama3.2 zephyr", name);
        return 0;
    }
    t->family = all[i].family;
    t->has_system = all[i].system != NULL;
    snprintf(t->system, sizeof t->system, "%s", all[i].system ? all[i].system : "");
    snprintf(t->bos, sizeof t->bos, "%s", all[i].bos);
    snprintf(t->eos, sizeof t->eos, "%s", all[i].eos);
    t->reasoning = t->can_think = strcmp(name, "qwen3") == 0;
    if (strcmp(name, "llama3.1") == 0) snprintf(t->date, sizeof t->date, "26 Jul 2024");
    if (strcmp(name, "llama3.2") == 0) chat_today(t->date, sizeof t->date);
    return 1;
}

/* ---- recognising a template: first its canonical form
 *
 * Comments are gone; blanks are gone, but inside strings; strings are in single quotes, their
 * escapes undone; ['name'] is .name. What is written outside {{ }} and {% %}, after the blanks that
 * Jinja removes (transformers sets trim_blocks and lstrip_blocks), stands between two CHAT_DATA. A
 * quote within a string is CHAT_QUOTE. */

#define CHAT_DATA "\1"
#define CHAT_QUOTE '\2'

static inline int chat_is_blank(char c) { return c && strchr(" \t\r\n\v\f", c) != NULL; }

/* The text before a tag that begins at to. */
static inline int chat_data(chat_text *out, const char *from, const char *to, int trim_left,
                            int trim_line) {
    const char *at = to;
    if (trim_left) {
        while (to > from && chat_is_blank(to[-1])) to--;
    } else if (trim_line) {         /* blanks between the beginning of the line and the tag      */
        while (at > from && (at[-1] == ' ' || at[-1] == '\t')) at--;
        if (at == from || at[-1] == '\n') to = at;
    }
    if (to <= from) return 1;
    return chat_put(out, CHAT_DATA) && chat_add(out, from, (size_t)(to - from))
           && chat_put(out, CHAT_DATA);
}

/* A string at its opening quote; returns what follows it, NULL if it does not end. */
static inline const char *chat_string(chat_text *out, const char *at, const char *end) {
    char quote = *at++;
    int good = chat_put(out, "'");
    for (; good && at < end && *at != quote; at++) {
        char c = *at;
        if (c == '\\' && at + 1 < end) {
            static const char names[] = "nt\\'\"", meant[] = "\n\t\\'\"";
            const char *name = at[1] ? strchr(names, at[1]) : NULL;
            if (name) { c = meant[name - names]; at++; }
        }
        if (c == '\'') c = CHAT_QUOTE;
        good = chat_add(out, &c, 1);
    }
    return good && at < end && chat_put(out, "'") ? at + 1 : NULL;
}

/* "...['name']" at the end of out becomes "....name". */
static inline void chat_subscript(chat_text *out) {
    size_t end = out->length, at;
    if (end < 5 || memcmp(out->text + end - 2, "']", 2) != 0) return;
    for (at = end - 2; at > 1 && out->text[at - 1] != '\''; at--)
        if (!strchr("abcdefghijklmnopqrstuvwxyz_", out->text[at - 1])) return;
    if (at < 2 || at == end - 2 || out->text[at - 2] != '[') return;
    out->text[at - 2] = '.';
    memmove(out->text + at - 1, out->text + at, end - 2 - at);
    out->text[out->length -= 3] = 0;
}

/* What stands within {{ }} or {% %}, from `at`; returns where its closing begins. */
static inline const char *chat_tag(chat_text *out, const char *at, const char *end, char close) {
    while (at && at < end) {
        if (at + 1 < end && at[0] == close && at[1] == '}') return at;
        if (at + 2 < end && at[0] == '-' && at[1] == close && at[2] == '}') return at;
        if (*at == '\'' || *at == '"') at = chat_string(out, at, end);
        else if (chat_is_blank(*at)) at++;
        else {
            if (!chat_add(out, at, 1)) return NULL;
            if (*at++ == ']') chat_subscript(out);
        }
    }
    return NULL;
}

static inline const char *chat_comment_end(const char *at, const char *end) {
    for (; at + 1 < end; at++)
        if (at[0] == '#' && at[1] == '}') return at[-1] == '-' ? at - 1 : at;
    return NULL;
}

/* 1; 0: it is no template, or there is no memory */
static inline int chat_canonical(chat_text *out, const char *at, size_t length) {
    const char *end = at + length, *from = at;
    if (length && end[-1] == '\n') end--;      /* Jinja drops it                                 */
    while (at < end) {
        char kind = at + 1 < end && *at == '{' ? at[1] : 0;
        if (kind != '{' && kind != '%' && kind != '#') { at++; continue; }
        {
            int dash = at + 2 < end && at[2] == '-', plus = at + 2 < end && at[2] == '+';
            if (!chat_data(out, from, at, dash, kind != '{' && !plus)) return 0;
            at += 2 + (dash || plus);
        }
        if (kind == '#') at = chat_comment_end(at, end);
        else {
            if (!chat_put(out, kind == '{' ? "{{" : "{%")) return 0;
            at = chat_tag(out, at, end, kind == '{' ? '}' : '%');
            if (!at || !chat_put(out, kind == '{' ? "}}" : "%}")) return 0;
        }
        if (!at) return 0;
        if (*at == '-') {
            for (at += 3; at < end && chat_is_blank(*at); ) at++;
        } else {
            at += 2;
            if (kind != '{' && at < end && *at == '\n') at++;
        }
        from = at;
    }
    return chat_data(out, from, end, 0, 0);
}

/* ---- and then what it is made of */

/* Are all <|tokens|> of the template among these, which stand with a blank after each? */
static inline int chat_tokens_known(const char *canonical, const char *known) {
    const char *at = canonical, *end;
    char name[CHAT_TOKEN];
    for (; (at = strstr(at, "<|")) != NULL; at = end) {
        end = strstr(at, "|>");
        if (!end || end - at > CHAT_TOKEN - 8) return 0;
        end += 2;
        snprintf(name, sizeof name, "%.*s ", (int)(end - at), at);
        if (!strstr(known, name)) return 0;
    }
    return 1;
}

static inline int chat_count(const char *canonical, const char *part) {
    int n = 0;
    for (; (canonical = strstr(canonical, part)) != NULL; canonical++) n++;
    return n;
}

static inline int chat_has(const char *canonical, const char *part) {
    return strstr(canonical, part) != NULL;
}

/* Where turns are written by way of a variable: is that the turn's text as it is? */
static inline int chat_content_is_plain(const char *c) {
    return chat_has(c, "{%setcontent=message.content%}")
           && chat_count(c, "{%setcontent=") == chat_count(c, "{%setcontent=message.content%}")
              + chat_count(c, "{%setcontent=''%}")
              + chat_count(c, "{%setcontent=message.content.split('</think>')[-1].lstrip('\n')%}")
              + chat_count(c, "{%setcontent=content.split('</think>')[-1].lstrip('\n')%}");
}

/* The system message in {{'<|im_start|>system\n...<|im_end|>\n'}}, if there is one; 0: there are
 * two that differ, or it is too long. */
static inline int chat_default_system(chat_template *t, const char *canonical) {
    const char *open = "{{'<|im_start|>system\n", *close = "<|im_end|>\n'}}", *at = canonical;
    while ((at = strstr(at, open)) != NULL) {
        const char *text = at + strlen(open), *end = strstr(text, close);
        size_t n = end ? (size_t)(end - text) : 0, i;
        at = text;
        if (!end || memchr(text, '\'', n)) continue;
        if (n >= sizeof t->system) return 0;
        if (t->has_system && (strlen(t->system) != n || memcmp(t->system, text, n) != 0)) return 0;
        t->has_system = 1;
        memcpy(t->system, text, n);
        t->system[n] = 0;
        for (i = 0; i < n; i++) if (t->system[i] == CHAT_QUOTE) t->system[i] = '\'';
    }
    return 1;
}

static inline int chat_is_chatml(chat_template *t, const char *c) {
    static const char turn[] = "{{'<|im_start|>'+message.role+'\n'+message.content+'<|im_end|>'"
                               "+'\n'}}";
    static const char short_turn[] = "{{'<|im_start|>'+message.role+'\n'+message.content"
                                     "+'<|im_end|>\n'}}";
    static const char content_turn[] = "{{'<|im_start|>'+message.role+'\n'+content+'<|im_end|>'"
                                       "+'\n'}}";
    static const char thought[] = "{{'<|im_start|>'+message.role+'\n<think>\n'"
                                  "+reasoning_content.strip('\n')+'\n</think>\n\n'"
                                  "+content.lstrip('\n')}}";
    const char *generate = "{{'<|im_start|>assistant\n'}}";
    const char *open = "{{'<|im_start|>assistant\n<think>\n'}}";
    if (!chat_has(c, turn) && !chat_has(c, short_turn)
        && !(chat_has(c, content_turn) && chat_content_is_plain(c))) return 0;
    if (!chat_has(c, generate) && !chat_has(c, open)) return 0;
    if (chat_has(c, CHAT_DATA) || chat_has(c, "system_message") || chat_has(c, "loop.lastandadd")
        || chat_has(c, "|trim")
        || !chat_tokens_known(c, "<|im_start|> <|im_end|> <|endoftext|> ")) return 0;
    t->bos_first = strncmp(c, "{{bos_token}}", 13) == 0;
    if (!t->bos_first && chat_has(c, "bos_token")) return 0;
    t->reasoning = chat_has(c, thought);
    t->can_think = chat_has(c, "enable_thinking") && chat_has(c, "'<think>\n\n</think>\n\n'");
    if (chat_has(c, open)) t->thinking = CHAT_THINK_ALWAYS;
    if (chat_has(c, "think") && !t->reasoning && t->thinking != CHAT_THINK_ALWAYS) return 0;
    return (!chat_has(c, open) || !chat_has(c, generate)) && chat_default_system(t, c);
}

static inline int chat_is_llama3(chat_template *t, const char *c) {
    int dated = chat_has(c, "{{'Today Date: '+date_string+'\n\n'}}");
    const char *turn = "'<|start_header_id|>'+message.role+'<|end_header_id|>\n\n'"
                       "+message.content|trim+'<|eot_id|>'";
    if (!chat_has(c, turn) || chat_has(c, CHAT_DATA)
        || !chat_has(c, "{{'<|start_header_id|>assistant<|end_header_id|>\n\n'}}")
        || !chat_tokens_known(c, "<|start_header_id|> <|end_header_id|> <|eot_id|> <|eom_id|> "
                              "<|python_tag|> ")) return 0;
    if (!dated) return chat_has(c, "{%setcontent=bos_token+content%}") && !chat_has(c, "'system'");
    if (!chat_has(c, "{{'Cutting Knowledge Date: December 2023\n'}}")
        || strncmp(c, "{{bos_token}}", 13) != 0
        || !chat_has(c, "{%setdate_string='26 Jul 2024'%}")) return 0;
    if (chat_has(c, "strftime_now('%d %b %Y')")) chat_today(t->date, sizeof t->date);
    else snprintf(t->date, sizeof t->date, "26 Jul 2024");
    return 1;
}

static inline int chat_is_llama2(const char *c) {
    return chat_has(c, "{{bos_token+'[INST] '+content.strip()+' [/INST]'}}")
           && chat_has(c, "{{' '+content.strip()+' '+eos_token}}")
           && chat_has(c, "'<<SYS>>\n'+system_message+'\n<</SYS>>\n\n'+message.content")
           && chat_has(c, "{%setsystem_message=false%}") && !chat_has(c, "USE_DEFAULT_PROMPT")
           && !chat_has(c, "true==true") && !chat_has(c, CHAT_DATA);
}

static inline int chat_is_zephyr(const char *c) {
    return chat_has(c, "{{'<|user|>\n'+message.content+eos_token}}" CHAT_DATA "\n" CHAT_DATA)
           && chat_has(c, "{{'<|system|>\n'+message.content+eos_token}}" CHAT_DATA "\n" CHAT_DATA)
           && chat_has(c, "{{'<|assistant|>\n'+message.content+eos_token}}" CHAT_DATA "\n"
                       CHAT_DATA)
           && chat_has(c, "{{'<|assistant|>'}}" CHAT_DATA "\n" CHAT_DATA)
           && chat_count(c, CHAT_DATA) == 8
           && chat_tokens_known(c, "<|user|> <|system|> <|assistant|> ");
}

/* A template in Jinja; bos and eos: the model's tokens as text, "" if it has none. */
static inline int chat_from_jinja(chat_template *t, const char *jinja, size_t length,
                                  const char *bos, const char *eos, char *error) {
    chat_text c = { NULL, 0, 0 };
    int known = chat_put(&c, "") && strlen(jinja) == length && chat_canonical(&c, jinja, length);
    memset(t, 0, sizeof *t);
    snprintf(t->bos, sizeof t->bos, "%s", bos);
    snprintf(t->eos, sizeof t->eos, "%s", eos);
    known = known && c.length == strlen(c.text);
    if (known && chat_is_chatml(t, c.text)) t->family = CHAT_CHATML;
    else if (known && chat_is_llama3(t, c.text)) t->family = CHAT_LLAMA3;
    else if (known && chat_is_llama2(c.text)) t->family = CHAT_LLAMA2;
    else if (known && chat_is_zephyr(c.text)) t->family = CHAT_ZEPHYR;
    else known = 0;
    chat_text_free(&c);
    if (!known)
        return chat_wrong(error, "its chat template is none of those known here (ChatML as Qwen "
                                 "and SmolLM2 write it, Llama 2 and 3, Zephyr): say how a question "
                                 "is put with --prompt-format");
    if (((t->family == CHAT_LLAMA2 || t->family == CHAT_LLAMA3 || t->bos_first) && !t->bos[0])
        || ((t->family == CHAT_LLAMA2 || t->family == CHAT_ZEPHYR) && !t->eos[0]))
        return chat_wrong(error, "its chat template writes a bos_token or eos_token that "
                                 "tokenizer_config.json does not name");
    return 1;
}

/* A token is a string, or an object with its text as content. */
static inline const char *chat_token(const json_value *config, const char *name) {
    const json_value *v = json_find(config, name);
    const char *text = json_string(json_is(v, JSON_OBJECT) ? json_find(v, "content") : v, "");
    return strlen(text) < CHAT_TOKEN ? text : "";
}

/* chat_template in tokenizer_config.json: a string, or a list of named ones. */
static inline const json_value *chat_in_config(const json_value *config) {
    const json_value *v = json_find(config, "chat_template"), *one;
    if (!json_is(v, JSON_ARRAY)) return json_is(v, JSON_STRING) ? v : NULL;
    for (one = json_first(v); one; one = json_next(v, one))
        if (strcmp(json_string(json_find(one, "name"), ""), "default") == 0)
            return json_is(json_find(one, "template"), JSON_STRING) ? json_find(one, "template")
                                                                    : NULL;
    return NULL;
}

/* The template of a Hugging Face folder: chat_template.jinja, or else what tokenizer_config.json
 * says, as transformers looks for it. */
static inline int chat_recognise(chat_template *t, const char *folder, char *error) {
    char path[1024], why[JSON_ERROR_LENGTH];
    const json_value *named;
    json config;
    size_t length = 0;
    char *jinja;
    int good = 0, missing;
    memset(t, 0, sizeof *t);
    if (strlen(folder) > sizeof path - 64)
        return chat_wrong(error, "the name of the model's folder is too long");
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    if (!json_read(&config, path, error)) return 0;
    snprintf(path, sizeof path, "%s/chat_template.jinja", folder);
    errno = 0;
    jinja = json_load(path, &length, why);
    missing = !jinja && errno == ENOENT;
    named = missing ? chat_in_config(config.values) : NULL;
    if (missing && !named)
        snprintf(why, sizeof why, "it has no chat template (it may be a base model): say how a "
                 "question is put with --prompt-format");
    else if (jinja || named)
        good = chat_from_jinja(t, jinja ? jinja : named->text, jinja ? length : named->length,
                               chat_token(config.values, "bos_token"),
                               chat_token(config.values, "eos_token"), why);
    if (!good) snprintf(error, JSON_ERROR_LENGTH, "%.60s: %.190s", folder, why);
    free(jinja);
    json_free(&config);
    return good;
}

#endif
