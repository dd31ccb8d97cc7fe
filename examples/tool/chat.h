/* chat.h: the text that a chat model was trained to read, made from the turns of a conversation.
 *
 *     chat_template t;
 *     if (!chat_recognise(&t, "Qwen2.5-0.5B-Instruct", error)) return fail(error);
 *     chat_turn turns[1] = { { "user", "What is 2+2?" } };
 *     chat_text text = { 0 };
 *     if (!chat_render(&t, NULL, turns, 1, 1, &text, error)) return fail(error);
 *     encode(text.text); ... chat_text_free(&text); chat_free(&t);
 *
 * The folder's own template writes it, run by jinja.h, as transformers' apply_chat_template(
 * tokenize=False, add_generation_prompt=True) would: BOS stands in it exactly where the template
 * writes it, so encode the text without adding one. Without a template a format with {question} in
 * it serves instead (chat_plain).
 *
 * What a user writes is not searched for special tokens: <|im_end|> in a question ends the turn,
 * as it does in transformers. */
#ifndef CHAT_H
#define CHAT_H

#include "jinja.h"
#include "special_tokens.h"

enum { CHAT_ROOM = 2048, CHAT_TOKEN = 64, CHAT_STOPS = 2, CHAT_PATH = 1024 };

typedef struct chat_text {          /* all zeros: empty; text is NULL until something is written */
    char *text;
    size_t length, capacity;
} chat_text;

typedef struct chat_template {
    jinja *parsed;                  /* NULL: the format                                          */
    char format[CHAT_ROOM];
    chat_text tokens;               /* bos_token and the like, as members of a JSON object       */
    char stops[CHAT_STOPS][CHAT_TOKEN];
    const char *tools;              /* a JSON array, or NULL: none                               */
    const char *variables;          /* more of the template's, or NULL: "\"enable_thinking\": false"
                                       (both must live as long as this)                          */
    struct tm now;                  /* what it says today is, where tm_mday is not 0             */
} chat_template;

typedef struct chat_turn {
    const char *role;               /* "user" or "assistant", or others that the template knows  */
    const char *text;
} chat_turn;

static inline void chat_text_free(chat_text *t) {
    free(t->text);
    memset(t, 0, sizeof *t);
}

static inline void chat_free(chat_template *t) {
    jinja_free(t->parsed);
    chat_text_free(&t->tokens);
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

/* A string of JSON; bytes that are not UTF-8 become U+FFFD. */
static inline int chat_put_json(chat_text *t, const char *s) {
    size_t n = strlen(s);
    int good = chat_put(t, "\"");
    while (n && good) {
        uint32_t code = 0;
        size_t bytes = (size_t)json_utf8(s, n, &code);
        char escape[8];
        if (!bytes) good = chat_put(t, "\xef\xbf\xbd");
        else if (code >= 0x20 && code != '"' && code != '\\') good = chat_add(t, s, bytes);
        else {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)code);
            good = chat_put(t, escape);
        }
        s += bytes ? bytes : 1;
        n -= bytes ? bytes : 1;
    }
    return good && chat_put(t, "\"");
}

/* ---- writing a conversation */

/* Appends what the template writes of messages, a JSON array; or 0 with a sentence. */
static inline int chat_run(const chat_template *t, const char *messages, int add_generation_prompt,
                           chat_text *out, char *error) {
    chat_text input = { NULL, 0, 0 };
    jinja_limits limits;
    json parsed;
    char *text = NULL;
    size_t length = 0;
    const char *tokens = t->tokens.text ? t->tokens.text : "";
    int good = chat_put(&input, "{\"messages\": ") && chat_put(&input, messages)
               && chat_put(&input, ", \"tools\": ")
               && chat_put(&input, t->tools ? t->tools : "null")
               && chat_put(&input, ", \"documents\": null, \"add_generation_prompt\": ")
               && chat_put(&input, add_generation_prompt ? "true" : "false")
               && chat_put(&input, tokens) && chat_put(&input, t->variables ? ", " : "")
               && chat_put(&input, t->variables ? t->variables : "") && chat_put(&input, "}");
    memset(&limits, 0, sizeof limits);
    if (t->now.tm_mday) limits.now = &t->now;
    if (!good) chat_text_free(&input);
    else if (json_parse(&parsed, input.text, input.length, "the conversation", error)) {
        text = jinja_render(t->parsed, parsed.values, &limits, &length, error);
        json_free(&parsed);
        if (!text) return 0;
        good = chat_add(out, text, length);
        free(text);
    } else return 0;
    return good || chat_wrong(error, "there is not enough memory for the conversation");
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

/* Appends the conversation. system NULL: what the template says without a system message. With
 * add_generation_prompt 1 the text ends where the assistant's answer begins. thoughts[n] or NULL,
 * each of them or NULL: what preceded each text, which goes by the names that transformers gives
 * it; templates read one, the other or none. Returns 1, or 0 with a sentence; out is then as it
 * was. */
static inline int chat_render_thoughts(const chat_template *t, const char *system,
                                       const chat_turn *turns, const char *const *thoughts, int n,
                                       int add_generation_prompt, chat_text *out, char *error) {
    static const char *const names[] = { ", \"thinking\": ", ", \"reasoning_content\": " };
    chat_text messages = { NULL, 0, 0 };
    chat_turn first;
    size_t before = out->length;
    int i, k, good;
    first.role = "system";
    first.text = system;
    good = t->parsed ? chat_put(&messages, "[") : chat_format(t, system, turns, n, out);
    for (i = system ? -1 : 0; i < n && good && t->parsed; i++) {
        const chat_turn *turn = i < 0 ? &first : &turns[i];
        const char *thought = i < 0 || !thoughts ? NULL : thoughts[i];
        good = chat_put(&messages, "{\"role\": ") && chat_put_json(&messages, turn->role)
               && chat_put(&messages, ", \"content\": ")
               && chat_put_json(&messages, turn->text);
        for (k = 0; k < 2 && thought && good; k++)
            good = chat_put(&messages, names[k]) && chat_put_json(&messages, thought);
        good = good && chat_put(&messages, i + 1 < n ? "}, " : "}");
    }
    if (!good || (t->parsed && !chat_put(&messages, "]")))
        good = chat_wrong(error, "there is not enough memory for the conversation");
    else if (t->parsed) good = chat_run(t, messages.text, add_generation_prompt, out, error);
    chat_text_free(&messages);
    if (good) return 1;
    out->length = before;
    if (out->text) out->text[before] = 0;
    return 0;
}

static inline int chat_render(const chat_template *t, const char *system, const chat_turn *turns,
                              int n, int add_generation_prompt, chat_text *out, char *error) {
    return chat_render_thoughts(t, system, turns, NULL, n, add_generation_prompt, out, error);
}

/* Does all that is said stand in what the template writes? Each message says two lines of digits
 * instead of its own, for they survive what honest templates do to a text: trim it, change its
 * case. A system message may also be a word that chooses among the template's own texts, such as a
 * pair of languages. 1: it does; 0: a message is dropped, *error says which; -1: nothing is written
 * of such digits, and *error is the template's reason. */
static inline int chat_check(const chat_template *t, const char *system, const chat_turn *turns,
                             int n, char *error) {
    enum { LINE = 10, PROBE = 2 * LINE };
    chat_text out = { NULL, 0, 0 }, chosen = { NULL, 0, 0 };
    chat_turn *probes = (chat_turn *)malloc(((size_t)n + 1) * (sizeof *probes + PROBE));
    char *said = (char *)(probes ? probes + n + 1 : NULL);
    int i, found;
    if (!probes) return chat_wrong(error, "there is not enough memory for the conversation") - 1;
    for (i = 0; i <= n; i++) {      /* the last is the system's                                  */
        probes[i].role = i < n ? turns[i].role : "system";
        probes[i].text = said + PROBE * i;
        snprintf(said + PROBE * i, PROBE, "51%07d\n82%07d", i % 10000000, i % 10000000);
    }
    found = chat_render(t, system ? probes[n].text : NULL, probes, n, 1, &out, error) ? 1 : -1;
    for (i = system ? n : n - 1; i >= 0 && found == 1; i--) {
        char first[LINE];
        int begins;
        snprintf(first, sizeof first, "%s", probes[i].text);
        begins = out.text && strstr(out.text, first);
        if (begins && strstr(out.text, probes[i].text + LINE)) continue;
        if (i == n && !begins && chat_render(t, system, probes, n, 1, &chosen, error)
            && strcmp(chosen.text ? chosen.text : "", out.text ? out.text : "")) continue;
        found = 0;
        snprintf(error, JSON_ERROR_LENGTH, "the chat template drops %s%.40s: not all of its text "
                 "stands in what the template writes. Choose another template, by --template or "
                 "--prompt-format%s", i == n ? "the system message" : i == n - 1 ? "the question"
                 : "messages of the role ", i < n - 1 ? probes[i].role : "",
                 i == n ? ", or do without that message" : "");
    }
    free(probes);
    chat_text_free(&out);
    chat_text_free(&chosen);
    return found;
}

/* The texts that end an answer, each one token where the vocabulary has it: what the template
 * writes after one, if it looks like a token, and eos. Returns how many. */
static inline int chat_stops(const chat_template *t, const char *stops[CHAT_STOPS]) {
    int i, n = 0;
    for (i = 0; i < CHAT_STOPS; i++)
        if (t->stops[i][0] && (i == 0 || strcmp(t->stops[0], t->stops[i]) != 0))
            stops[n++] = t->stops[i];
    return n;
}

static inline void chat_find_stop(chat_template *t) {
    static const chat_turn turns[2] = { { "user", "?" }, { "assistant", "An answer, 1234567." } };
    char unread[JSON_ERROR_LENGTH];
    chat_text text = { NULL, 0, 0 };
    const char *at = NULL, *next, *end;
    if (chat_render(t, NULL, turns, 2, 0, &text, unread))
        for (next = text.text; (next = strstr(next, turns[1].text)) != NULL; at = next)
            next += strlen(turns[1].text);
    if (at) at += strspn(at, " \n");
    end = at && *at == '<' ? strchr(at, '>') : NULL;
    if (end && end - at + 1 < CHAT_TOKEN) memcpy(t->stops[0], at, (size_t)(end - at) + 1);
    chat_text_free(&text);
}

/* ---- where templates come from */

/* A format for questions: "Question: {question}\nAnswer:", where \n, \t and \\ mean what they
 * mean in C, for a command line cannot easily hold them. */
static inline int chat_plain(chat_template *t, const char *format, char *error) {
    size_t n = 0;
    memset(t, 0, sizeof *t);
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

/* One of the special tokens that a template can name; the text "" is none. */
static inline int chat_set_token(chat_template *t, const char *name, const char *text) {
    if (!strcmp(name, "eos_token") && strlen(text) < CHAT_TOKEN) strcpy(t->stops[1], text);
    return !*text || (chat_put(&t->tokens, ", ") && chat_put_json(&t->tokens, name)
                      && chat_put(&t->tokens, ": ") && chat_put_json(&t->tokens, text));
}

/* A template in Jinja; bos and eos: the model's tokens as text, "" if it has none. */
static inline int chat_from_jinja(chat_template *t, const char *text, size_t length,
                                  const char *bos, const char *eos, char *error) {
    memset(t, 0, sizeof *t);
    if (!chat_set_token(t, "bos_token", bos) || !chat_set_token(t, "eos_token", eos))
        chat_wrong(error, "there is not enough memory for a chat template");
    else t->parsed = jinja_parse(text, length, error);
    if (t->parsed) chat_find_stop(t);
    else chat_free(t);
    return t->parsed != NULL;
}

/* Today is 26 July 2024 from here on, as Llama 3.1 has it: texts are the same tomorrow. */
static inline void chat_keep_day(chat_template *t) {
    t->now.tm_mday = 26;
    t->now.tm_mon = 6;
    t->now.tm_year = 124;
    t->now.tm_wday = 5;
}

/* What the published models of a family write, by name; without tools. */
#define CHAT_NAMES "qwen2 | qwen2.5 | qwen3 | smollm2 | chatml | llama2 | llama3 | llama3.1 | " \
                   "llama3.2 | zephyr"
static inline int chat_named(chat_template *t, const char *name, char *error) {
    static const char chatml[] =
        "{% if default_system is defined and messages[0].role != 'system' %}{{ '<|im_start|>system"
        "\\n' ~ default_system ~ '<|im_end|>\\n' }}{% endif %}{% for m in messages %}{{ "
        "'<|im_start|>' ~ m.role ~ '\\n' ~ m.content ~ '<|im_end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
    static const char qwen3[] =     /* thoughts are shown only after the last question           */
        "{% set ns = namespace(last=messages|length - 1) %}{% for m in messages %}{% if m.role == "
        "'user' and not (m.content.startswith('<tool_response>') and m.content.endswith("
        "'</tool_response>')) %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
        "{% for m in messages %}{% set c = m.content %}{% if m.role == 'assistant' %}"
        "{% set thought = '' %}{% if '</think>' in c %}{% set thought = c.split('</think>')[0]."
        "rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}{% set c = c.split('</think>')[-1]."
        "lstrip('\\n') %}{% endif %}{% if loop.index0 > ns.last and (loop.last or thought) %}"
        "{% set c = '<think>\\n' ~ thought.strip('\\n') ~ '\\n</think>\\n\\n' ~ c.lstrip('\\n') %}"
        "{% endif %}{% endif %}{{ '<|im_start|>' ~ m.role ~ '\\n' ~ c ~ '<|im_end|>\\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
        "{% if enable_thinking is defined and not enable_thinking %}{{ "
        "'<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}";
    static const char llama3[] =
        "{{ bos_token }}{% if date is defined %}{% if messages[0].role == 'system' %}{% set system "
        "= messages[0].content|trim %}{% set messages = messages[1:] %}{% endif %}{{ "
        "'<|start_header_id|>system<|end_header_id|>\\n\\nCutting Knowledge Date: December 2023\\n"
        "Today Date: ' ~ (date or strftime_now('%d %b %Y')) ~ '\\n\\n' ~ system ~ '<|eot_id|>' }}"
        "{% endif %}{% for m in messages %}{{ '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>"
        "\\n\\n' ~ m.content|trim ~ '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ "
        "'<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";
    static const char llama2[] =
        "{% set ns = namespace(system='') %}{% if messages[0].role == 'system' %}{% set ns.system ="
        " '<<SYS>>\\n' ~ messages[0].content ~ '\\n<</SYS>>\\n\\n' %}{% set messages = messages[1:]"
        " %}{% endif %}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) "
        "%}{{ raise_exception('Llama 2 needs questions and answers in turn, a question first') }}"
        "{% endif %}{% if m.role == 'user' %}{{ bos_token ~ '[INST] ' ~ (ns.system ~ m.content)|"
        "trim ~ ' [/INST]' }}{% else %}{{ ' ' ~ m.content|trim ~ ' ' ~ eos_token }}{% endif %}"
        "{% set ns.system = '' %}{% endfor %}";
    static const char zephyr[] =
        "{% for m in messages %}{{ '<|' ~ m.role ~ '|>\\n' ~ m.content ~ eos_token ~ '\\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}";
    static const struct { const char *name, *jinja, *variables, *bos, *eos; } all[] = {
        { "qwen2", chatml, "\"default_system\": \"You are a helpful assistant.\"", "",
          "<|im_end|>" },
        { "qwen2.5", chatml, "\"default_system\": \"You are Qwen, created by Alibaba Cloud. You "
          "are a helpful assistant.\"", "", "<|im_end|>" },
        { "qwen3", qwen3, NULL, "", "<|im_end|>" },
        { "smollm2", chatml, "\"default_system\": \"You are a helpful AI assistant named SmolLM, "
          "trained by Hugging Face\"", "", "<|im_end|>" },
        { "chatml", chatml, NULL, "", "<|im_end|>" },
        { "llama2", llama2, NULL, "<s>", "</s>" },
        { "llama3", llama3, NULL, "<|begin_of_text|>", "<|eot_id|>" },
        { "llama3.1", llama3, "\"date\": \"26 Jul 2024\"", "<|begin_of_text|>", "<|eot_id|>" },
        { "llama3.2", llama3, "\"date\": null", "<|begin_of_text|>", "<|eot_id|>" },
        { "zephyr", zephyr, NULL, "<s>", "</s>" },
    };
    size_t i;
    memset(t, 0, sizeof *t);
    for (i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) {
            if (!chat_from_jinja(t, all[i].jinja, strlen(all[i].jinja), all[i].bos, all[i].eos,
                                 error)) return 0;
            t->variables = all[i].variables;
            return 1;
        }
    snprintf(error, JSON_ERROR_LENGTH, "there is no chat template \"%.40s\": it is one of "
             CHAT_NAMES, name);
    return 0;
}

/* chat_template in tokenizer_config.json: a string, or several with names, of which "default" is
 * the one without tools. */
static inline const json_value *chat_in_config(const json_value *config, char *error) {
    const json_value *v = json_find(config, "chat_template"), *one;
    const json_value *found = json_is(v, JSON_STRING) ? v : json_find(v, "default");
    for (one = json_is(v, JSON_ARRAY) ? json_first(v) : NULL; one; one = json_next(v, one))
        if (!strcmp(json_string(json_find(one, "name"), ""), "default"))
            found = json_find(one, "template");
    if (json_is(found, JSON_STRING)) return found;
    chat_wrong(error, json_first(v) ? "tokenizer_config.json has chat templates, but none with the "
               "name default: copy the right one to chat_template.jinja, or say --template"
               : "it has no chat template (it may be a base model): say how a question is put with "
               "--prompt-format");
    return NULL;
}

/* A folder's JSON; what is not there has no values. */
static inline int chat_read(json *j, const char *folder, const char *name, char *error) {
    char path[CHAT_PATH];
    memset(j, 0, sizeof *j);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    errno = 0;
    return json_read(j, path, error) || errno == ENOENT;
}

/* The special tokens that a template can name. */
static inline int chat_tokens(chat_template *t, const json_value *config, const json_value *map,
                              char *error) {
    special_tokens *all = (special_tokens *)calloc(1, sizeof *all);
    int i, good = all && special_tokens_read(all, config, map);
    for (i = 0; good && i < all->named; i++)
        good = chat_set_token(t, all->items[i].name, special_token_text(all->items[i].value)->text);
    if (!all) return chat_wrong(error, "there is not enough memory for its special tokens");
    free(all);
    return good || chat_wrong(error, "it has more special tokens than there is room for");
}

/* The template of a Hugging Face folder, as transformers looks for it: chat_template.jinja, or else
 * what tokenizer_config.json says. A file that nobody writes, but which would count first, is
 * refused. */
static inline int chat_recognise(chat_template *t, const char *folder, char *error) {
    static const char *const files[] = { "additional_chat_templates/default.jinja",
                                         "chat_template.jinja" };
    char path[CHAT_PATH], why[JSON_ERROR_LENGTH];
    const json_value *named = NULL;
    json config, map;
    size_t length = 0;
    char *text = NULL;
    int i, good;
    memset(t, 0, sizeof *t);
    if (strlen(folder) > sizeof path - 64)
        return chat_wrong(error, "the name of the model's folder is too long");
    if (!chat_read(&config, folder, "tokenizer_config.json", error)) return 0;
    good = chat_read(&map, folder, "special_tokens_map.json", why);
    for (i = 0; i < 2 && good; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        errno = 0;
        text = json_load(path, &length, why);
        good = text ? i == 1 || chat_wrong(why, "additional_chat_templates/default.jinja is not "
                                           "read here: make it chat_template.jinja")
                    : errno == ENOENT;
    }
    if (good && !text) good = (named = chat_in_config(config.values, why)) != NULL;
    good = good && chat_tokens(t, config.values, map.values, why);
    if (good)
        t->parsed = jinja_parse(text ? text : named->text, text ? length : named->length, why);
    if (t->parsed) chat_find_stop(t);
    else chat_free(t);
    good = t->parsed != NULL;
    if (!good) snprintf(error, JSON_ERROR_LENGTH, "%.60s: %s%.170s", folder,
                        text || named ? "its chat template: " : "", why);
    free(text);
    json_free(&config);
    json_free(&map);
    return good;
}

#endif
