/* Chat templates. What is expected was written by the templates as Qwen2, Qwen2.5, Qwen3, SmolLM2,
 * Llama 2, 3 and 3.1 and Zephyr (TinyLlama's too) publish them, under jinja2 with the settings of
 * transformers' apply_chat_template(). They were found in TRL 1.16 (trl/chat_templates: Qwen2.5,
 * Qwen3, Llama 3 and 3.1), in huggingface.js (packages/jinja/test: Llama 2, Zephyr), quoted by
 * SGLang (Qwen2) and in SmolLM2's tokenizer_config.json. The templates here are shorter ones that
 * write turns with the same expressions. With GRPO_DATA set, Qwen3's own is recognised too. */
#include "examples/tool/chat.h"
#include "check.h"

#include <sys/stat.h>

static char error[JSON_ERROR_LENGTH];

#define NBSP "\xc2\xa0"
#define THOUGHT "<think>\nTwo and two.\n</think>\n\n 4" NBSP

static const chat_turn turns[] = {
    { "user", " What is 2+2?\n" }, { "assistant", THOUGHT }, { "user", "And 3+3?" }
};
static const chat_turn question = { "user", "2+2?" };

/* What the templates write: of one question; of three turns with the system message " Be brief. ";
 * of the first two of them without one. */
static const struct { const char *name, *one, *all, *late; } expected[] = {
    { "qwen2", "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n2+2?"
      "<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>system\n Be brief. <|im_end|>\n"
      "<|im_start|>user\n What is 2+2?\n<|im_end|>\n<|im_start|>assistant\n" THOUGHT "<|im_end|>\n"
      "<|im_start|>user\nAnd 3+3?<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>system\nYou "
      "are a helpful assistant.<|im_end|>\n<|im_start|>user\n What is 2+2?\n<|im_end|>\n"
      "<|im_start|>assistant\n" THOUGHT "<|im_end|>\n<|im_start|>assistant\n" },
    { "qwen2.5", "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
      "assistant.<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n",
      "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\n What is 2+2?\n<|im_end|>\n"
      "<|im_start|>assistant\n" THOUGHT "<|im_end|>\n<|im_start|>user\nAnd 3+3?<|im_end|>\n"
      "<|im_start|>assistant\n", "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You "
      "are a helpful assistant.<|im_end|>\n<|im_start|>user\n What is 2+2?\n<|im_end|>\n"
      "<|im_start|>assistant\n" THOUGHT "<|im_end|>\n<|im_start|>assistant\n" },
    { "qwen3", "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n",
      "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\n What is 2+2?\n<|im_end|>\n"
      "<|im_start|>assistant\n 4" NBSP "<|im_end|>\n<|im_start|>user\nAnd 3+3?<|im_end|>\n"
      "<|im_start|>assistant\n", "<|im_start|>user\n What is 2+2?\n<|im_end|>\n"
      "<|im_start|>assistant\n" THOUGHT "<|im_end|>\n<|im_start|>assistant\n" },
    { "smollm2", "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by "
      "Hugging Face<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n",
      "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\n What is 2+2?\n<|im_end|>\n"
      "<|im_start|>assistant\n" THOUGHT "<|im_end|>\n<|im_start|>user\nAnd 3+3?<|im_end|>\n"
      "<|im_start|>assistant\n", "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, "
      "trained by Hugging Face<|im_end|>\n<|im_start|>user\n What is 2+2?\n<|im_end|>\n"
      "<|im_start|>assistant\n" THOUGHT "<|im_end|>\n<|im_start|>assistant\n" },
    { "chatml", "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n",
      "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\n What is 2+2?\n<|im_end|>\n"
      "<|im_start|>assistant\n" THOUGHT "<|im_end|>\n<|im_start|>user\nAnd 3+3?<|im_end|>\n"
      "<|im_start|>assistant\n", "<|im_start|>user\n What is 2+2?\n<|im_end|>\n"
      "<|im_start|>assistant\n" THOUGHT "<|im_end|>\n<|im_start|>assistant\n" },
    { "llama2", "<s>[INST] 2+2? [/INST]", "<s>[INST] <<SYS>>\n Be brief. \n<</SYS>>\n\n What is "
      "2+2? [/INST] <think>\nTwo and two.\n</think>\n\n 4 </s><s>[INST] And 3+3? [/INST]",
      "<s>[INST] What is 2+2? [/INST] <think>\nTwo and two.\n</think>\n\n 4 </s>" },
    { "llama3", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n2+2?<|eot_id|>"
      "<|start_header_id|>assistant<|end_header_id|>\n\n",
      "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
      "<|start_header_id|>user<|end_header_id|>\n\nWhat is 2+2?<|eot_id|><|start_header_id|>"
      "assistant<|end_header_id|>\n\n<think>\nTwo and two.\n</think>\n\n 4<|eot_id|>"
      "<|start_header_id|>user<|end_header_id|>\n\nAnd 3+3?<|eot_id|><|start_header_id|>assistant"
      "<|end_header_id|>\n\n", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhat "
      "is 2+2?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n<think>\nTwo and two.\n"
      "</think>\n\n 4<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n" },
    { "llama3.1", "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting "
      "Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user"
      "<|end_header_id|>\n\n2+2?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
      "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: "
      "December 2023\nToday Date: 26 Jul 2024\n\nBe brief.<|eot_id|><|start_header_id|>user"
      "<|end_header_id|>\n\nWhat is 2+2?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
      "<think>\nTwo and two.\n</think>\n\n 4<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
      "And 3+3?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
      "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: "
      "December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user"
      "<|end_header_id|>\n\nWhat is 2+2?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
      "<think>\nTwo and two.\n</think>\n\n 4<|eot_id|><|start_header_id|>assistant"
      "<|end_header_id|>\n\n" },
    { "zephyr", "<|user|>\n2+2?</s>\n<|assistant|>\n", "<|system|>\n Be brief. </s>\n<|user|>\n "
      "What is 2+2?\n</s>\n<|assistant|>\n" THOUGHT "</s>\n<|user|>\nAnd 3+3?</s>\n"
      "<|assistant|>\n", "<|user|>\n What is 2+2?\n</s>\n<|assistant|>\n" THOUGHT "</s>\n"
      "<|assistant|>\n" },
};

static void renders(const chat_template *t, const char *system, const chat_turn *of, int n,
                    int generate, const char *text) {
    chat_text out = { NULL, 0, 0 };
    CHECK(chat_render(t, system, of, n, generate, &out, error), "%s", error);
    CHECK(out.text && strcmp(out.text, text) == 0 && out.length == strlen(text),
          "\"%s\" should be \"%s\"", out.text, text);
    chat_text_free(&out);
}

static void check_named(void) {
    chat_template t;
    size_t i;
    for (i = 0; i < sizeof expected / sizeof *expected; i++) {
        CHECK(chat_named(&t, expected[i].name, error), "%s", error);
        renders(&t, NULL, &question, 1, 1, expected[i].one);
        renders(&t, " Be brief. ", turns, 3, 1, expected[i].all);
        renders(&t, NULL, turns, 2, 1, expected[i].late);
    }
    CHECK(!chat_named(&t, "gpt", error) && strstr(error, "\"gpt\""), "%s", error);
}

static void check_options(void) {
    chat_text out = { NULL, 0, 0 };
    chat_turn wrong[2] = { { "user", "a" }, { "tool", "b" } };
    chat_template t;
    CHECK(chat_named(&t, "qwen3", error), "%s", error);
    t.thinking = CHAT_THINK_NEVER;
    renders(&t, NULL, &question, 1, 1, "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"
            "<think>\n\n</think>\n\n");
    renders(&t, NULL, &question, 1, 0, "<|im_start|>user\n2+2?<|im_end|>\n");
    t.thinking = CHAT_THINK_ALWAYS;
    renders(&t, "", &question, 1, 1, "<|im_start|>system\n<|im_end|>\n<|im_start|>user\n2+2?"
            "<|im_end|>\n<|im_start|>assistant\n<think>\n");
    CHECK(!chat_render(&t, NULL, wrong, 2, 1, &out, error) && !out.text, "a role unknown");
    CHECK(chat_named(&t, "llama3", error), "%s", error);
    renders(&t, NULL, &question, 1, 0, "<|begin_of_text|><|start_header_id|>user"
            "<|end_header_id|>\n\n2+2?<|eot_id|>");
    CHECK(chat_named(&t, "llama2", error), "%s", error);
    CHECK(!chat_render(&t, NULL, turns + 1, 2, 1, &out, error) && strstr(error, "in turn"), "%s",
          error);
    CHECK(chat_render(&t, NULL, &question, 1, 1, &out, error)
          && chat_render(&t, NULL, &question, 1, 1, &out, error)
          && !strcmp(out.text, "<s>[INST] 2+2? [/INST]<s>[INST] 2+2? [/INST]"), "%s", out.text);
    chat_text_free(&out);
}

static void check_plain(void) {
    chat_template t;
    CHECK(chat_plain(&t, "Q: {question}\\n\\tA\\\\n:\\x", error), "%s", error);
    renders(&t, NULL, &question, 1, 1, "Q: 2+2?\n\tA\\n:\\x");
    CHECK(chat_plain(&t, "{question} {question}?\nA:", error), "%s", error);
    renders(&t, "Sums.", turns + 1, 2, 1, "Sums.\n\n" THOUGHT "\n\nAnd 3+3? And 3+3??\nA:");
    CHECK(!chat_plain(&t, "Question:", error) && strstr(error, "{question}"), "%s", error);
}

static int has_stop(const chat_template *t, const char *text) {
    const char *stops[CHAT_STOPS];
    int i, n = chat_stops(t, stops);
    for (i = 0; i < n && strcmp(stops[i], text) != 0; ) i++;
    return i < n;
}

static void check_stops(void) {
    const char *stops[CHAT_STOPS];
    chat_template t;
    CHECK(chat_named(&t, "smollm2", error) && chat_stops(&t, stops) == 1
          && has_stop(&t, "<|im_end|>"), "%d", chat_stops(&t, stops));
    CHECK(chat_named(&t, "llama3", error) && has_stop(&t, "<|eot_id|>")
          && has_stop(&t, "<|end_of_text|>") && chat_stops(&t, stops) == 2, "llama3");
    CHECK(chat_named(&t, "llama3.1", error) && has_stop(&t, "<|eom_id|>"), "llama3.1");
    CHECK(chat_named(&t, "zephyr", error) && has_stop(&t, "</s>"), "zephyr");
    CHECK(chat_plain(&t, "{question}", error) && chat_stops(&t, stops) == 0, "plain");
}

/* ---- recognising */

#define LOOP "{% for message in messages %}"
#define TURN "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + " \
             "'\n' }}{% endfor %}"
#define ASK "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
#define HEADER "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + " \
               "message['content'] | trim + '<|eot_id|>'"
#define ASK3 "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>" \
             "\n\n' }}{% endif %}"
#define ROLE(r) "{{ '<|" r "|>\\n' + message.content + eos_token }}\n"

static const char llama2_turns[] =
    "{% if messages[0].role == 'system' %}{% set system_message = messages[0].content %}{% else %}"
    "{% set system_message = false %}{% endif %}" LOOP "{% set content = '<<SYS>>\\n' + "
    "system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{{ bos_token + '[INST] ' + "
    "content.strip() + ' [/INST]' }}{{ ' '  + content.strip() + ' ' + eos_token }}{% endfor %}";

static const char thinking_turns[] =
    LOOP "{%- set content = message.content %}\n  {%- if message.role == \"user\" %}\n{{- "
    "'<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}\n{%- else %}\n{{- "
    "'<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + "
    "'\\n</think>\\n\\n' + content.lstrip('\\n') }}\n{%- endif %}\n{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n{{- '<|im_start|>assistant\\n' }}\n{%- if enable_thinking is "
    "false %}\n{{- '<think>\\n\\n</think>\\n\\n' }}\n{%- endif %}\n{%- endif %}\n";

static int from_jinja(chat_template *t, const char *jinja) {
    return chat_from_jinja(t, jinja, strlen(jinja), "<s>", "</s>", error);
}

static void check_recognised(void) {
    chat_template t;
    CHECK(from_jinja(&t, LOOP TURN ASK) && t.family == CHAT_CHATML && !t.has_system, "%s", error);
    CHECK(from_jinja(&t, "{#- what\n it is -#}\n" LOOP "{% if loop.first %}{{- \"<|im_start|>system"
                     "\\nIt's \\\\boxed{}.<|im_end|>\\n\" -}}\n  {% endif %}" TURN ASK "\n"), "%s",
          error);
    CHECK(t.has_system && strcmp(t.system, "It's \\boxed{}.") == 0, "\"%s\"", t.system);
    CHECK(from_jinja(&t, "{{ bos_token }}" LOOP TURN ASK), "%s", error);
    renders(&t, NULL, &question, 1, 0, "<s><|im_start|>user\n2+2?<|im_end|>\n");
    CHECK(from_jinja(&t, thinking_turns) && t.reasoning && t.can_think
          && t.thinking == CHAT_THINK_FREE, "%s", error);
    CHECK(from_jinja(&t, LOOP TURN "{{ '<|im_start|>assistant\n<think>\n' }}")
          && t.thinking == CHAT_THINK_ALWAYS, "%s", error);
    CHECK(from_jinja(&t, LOOP "{% set content = " HEADER " %}{% if loop.index0 == 0 %}{% set "
                     "content = bos_token + content %}{% endif %}{{ content }}{% endfor %}" ASK3)
          && t.family == CHAT_LLAMA3 && !t.date[0], "%s", error);
    CHECK(from_jinja(&t, "{{- bos_token }}\n{%- set date_string = \"26 Jul 2024\" %}\n{{- "
                     "\"Cutting Knowledge Date: December 2023\\n\" }}\n{{- \"Today Date: \" + "
                     "date_string + \"\\n\\n\" }}\n{%- for message in messages %}\n{{- " HEADER
                     " }}\n"
                     "{%- endfor %}" ASK3) && !strcmp(t.date, "26 Jul 2024"), "%s", error);
    CHECK(from_jinja(&t, llama2_turns) && t.family == CHAT_LLAMA2, "%s", error);
    CHECK(from_jinja(&t, LOOP "\n{% if a %}\n" ROLE("user") "{% elif b %}\n" ROLE("system")
                     "{% else %}\n" ROLE("assistant") "{% endif %}\n{% if loop.last %}\n"
                     "{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}")
          && t.family == CHAT_ZEPHYR, "%s", error);
}

/* Near to what is known, but they would write something else. */
static void check_refused(void) {
    static const char *const others[] = {
        "", "{{", "{% for", "{{ 'a", "{# b", "no template",
        LOOP "\n" TURN ASK "x",
        LOOP TURN,
        LOOP "\n{{ bos_token }}" TURN ASK,
        LOOP "{{ '<|im_sep|>' }}" TURN ASK,
        LOOP "{% set system_message = 'You are you.' %}" TURN ASK,
        "{{ '<|im_start|>system\na<|im_end|>\n' }}{{ '<|im_start|>system\nb<|im_end|>\n' }}"
        LOOP TURN ASK,
        LOOP "{% set content = message.content | trim %}{{ '<|im_start|>' + message.role + '\n' + "
        "content + '<|im_end|>' + '\n' }}" ASK,
        LOOP "{{ '<|user|>\n' + message.content + '<|end|>\n<|assistant|>\n' }}{% endfor %}",
        "{{ bos_token }}" LOOP "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% endfor %}",
        LOOP "{{ " HEADER " }}{% endfor %}" ASK3,
    };
    chat_template t;
    size_t i;
    for (i = 0; i < sizeof others / sizeof *others; i++)
        CHECK(!from_jinja(&t, others[i]) && strstr(error, "--prompt-format"), "\"%s\" was taken",
              others[i]);
    CHECK(!chat_from_jinja(&t, llama2_turns, strlen(llama2_turns), "", "</s>", error)
          && strstr(error, "bos_token"), "%s", error);
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    CHECK(file && fputs(text, file) >= 0 && !fclose(file), "%s cannot be written", path);
}

static void check_folder(void) {
    static const char config[] = "chat_folder/tokenizer_config.json";
    static const char jinja[] = "chat_folder/chat_template.jinja";
    chat_template t;
    mkdir("chat_folder", 0777);
    remove(config);
    remove(jinja);
    CHECK(!chat_recognise(&t, "chat_folder", error) && strstr(error, "tokenizer_config"), "%s",
          error);
    write_file(config, "{\"bos_token\": null, \"eos_token\": {\"content\": \"<|im_end|>\"}}");
    CHECK(!chat_recognise(&t, "chat_folder", error) && strstr(error, "--prompt-format"), "%s",
          error);
    write_file(jinja, LOOP TURN ASK);
    CHECK(chat_recognise(&t, "chat_folder", error) && t.family == CHAT_CHATML
          && !strcmp(t.eos, "<|im_end|>") && !t.bos[0], "%s", error);
    write_file(config, "{\"chat_template\": \"{{ 'never read' }}\"}");
    CHECK(chat_recognise(&t, "chat_folder", error), "%s", error);
    remove(jinja);
    CHECK(!chat_recognise(&t, "chat_folder", error) && strstr(error, "none of those"), "%s",
          error);
    write_file(config, "{\"chat_template\": [{\"name\": \"rag\", \"template\": \"\"}, {\"name\": "
               "\"default\", \"template\": \"{{'<|im_start|>' + message.role + '\\\\n' + "
               "message.content + '<|im_end|>\\\\n'}}{{'<|im_start|>assistant\\\\n'}}\"}]}");
    CHECK(chat_recognise(&t, "chat_folder", error) && t.family == CHAT_CHATML, "%s", error);
    remove(config);
    remove("chat_folder");
}

static void check_real_folder(void) {
    const char *data = getenv("GRPO_DATA");
    char folder[512];
    chat_template t;
    if (!data) {
        printf("skipped: Qwen3's own template, for GRPO_DATA is not set\n");
        return;
    }
    snprintf(folder, sizeof folder, "%.400s/tokenizers", data);
    CHECK(chat_recognise(&t, folder, error) && t.family == CHAT_CHATML && t.reasoning
          && t.can_think && !t.has_system && !strcmp(t.eos, "<|im_end|>"), "%s", error);
}

int main(void) {
    check_named();
    check_options();
    check_plain();
    check_stops();
    check_recognised();
    check_refused();
    check_folder();
    check_real_folder();
    return check_finish();
}
