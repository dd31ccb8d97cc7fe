/* Chats. What is expected was written by the templates as Qwen2, Qwen2.5, Qwen3, SmolLM2, Llama 2,
 * 3 and 3.1 and Zephyr (TinyLlama's too) publish them, under jinja2 with the settings of
 * transformers' apply_chat_template(). They were found in TRL 1.16 (trl/chat_templates: Qwen2.5,
 * Qwen3, Llama 3 and 3.1), in huggingface.js (packages/jinja/test: Llama 2, Zephyr), quoted by
 * SGLang (Qwen2) and in SmolLM2's tokenizer_config.json. The language itself is test_jinja's. */
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
        chat_free(&t);
    }
    CHECK(!chat_named(&t, "gpt", error) && strstr(error, "\"gpt\""), "%s", error);
}

static void check_options(void) {
    chat_text out = { NULL, 0, 0 };
    chat_template t;
    CHECK(chat_named(&t, "qwen3", error), "%s", error);
    t.variables = "\"enable_thinking\": false";
    renders(&t, NULL, &question, 1, 1, "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"
            "<think>\n\n</think>\n\n");
    renders(&t, NULL, &question, 1, 0, "<|im_start|>user\n2+2?<|im_end|>\n");
    t.variables = "\"enable_thinking\": true";
    renders(&t, "", &question, 1, 1, "<|im_start|>system\n<|im_end|>\n<|im_start|>user\n2+2?"
            "<|im_end|>\n<|im_start|>assistant\n");
    t.variables = NULL;
    t.tools = "[{\"name\": \"f\"}]";
    renders(&t, NULL, &question, 1, 0, "<|im_start|>user\n2+2?<|im_end|>\n");
    t.tools = "[";
    CHECK(!chat_render(&t, NULL, &question, 1, 1, &out, error) && strstr(error, "column"), "%s",
          error);
    t.tools = NULL;
    t.variables = "\"messages\": 1";
    CHECK(!chat_render(&t, NULL, &question, 1, 1, &out, error) && strstr(error, "twice"), "%s",
          error);
    chat_free(&t);
    CHECK(chat_named(&t, "llama3", error), "%s", error);
    renders(&t, NULL, &question, 1, 0, "<|begin_of_text|><|start_header_id|>user"
            "<|end_header_id|>\n\n2+2?<|eot_id|>");
    chat_free(&t);
    CHECK(chat_named(&t, "llama3.2", error), "%s", error);
    chat_keep_day(&t);
    renders(&t, "", &question, 0, 0, "<|begin_of_text|><|start_header_id|>system<|end_header_id|>"
            "\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>");
    chat_free(&t);
    CHECK(chat_named(&t, "llama2", error), "%s", error);
    CHECK(!chat_render(&t, NULL, turns + 1, 2, 1, &out, error) && strstr(error, "in turn"), "%s",
          error);
    CHECK(chat_render(&t, NULL, &question, 1, 1, &out, error)
          && !chat_render(&t, NULL, turns + 1, 2, 1, &out, error)
          && chat_render(&t, NULL, &question, 1, 1, &out, error)
          && !strcmp(out.text, "<s>[INST] 2+2? [/INST]<s>[INST] 2+2? [/INST]"), "%s", out.text);
    chat_text_free(&out);
    chat_free(&t);
}

/* A thought goes by the names that transformers 5.24 gives it. */
static void check_thoughts(void) {
    static const char all[] = "{% for m in messages %}{{ m|tojson }}{% endfor %}";
    static const char *const thoughts[] = { NULL, "Two\n", NULL };
    chat_text out = { NULL, 0, 0 };
    chat_template t;
    CHECK(chat_from_jinja(&t, all, strlen(all), "", "", error)
          && chat_render_thoughts(&t, "S", turns + 1, thoughts, 2, 0, &out, error), "%s", error);
    CHECK(strstr(out.text, "\"And 3+3?\", \"thinking\": \"Two\\n\", \"reasoning_content\": "
                 "\"Two\\n\"}")
          && !strstr(strstr(out.text, "thinking") + 1, "thinking"), "%s", out.text);
    chat_text_free(&out);
    chat_free(&t);
}

/* What is no UTF-8 (an answer cut off within a character), quotes and control characters. */
static void check_bytes(void) {
    static const chat_turn turn = { "user", "\"\\\x01\t\xe2\x82\xac\xe2\x82" };
    chat_template t;
    CHECK(chat_named(&t, "zephyr", error), "%s", error);
    renders(&t, NULL, &turn, 1, 0,
            "<|user|>\n\"\\\x01\t\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd</s>\n");
    chat_free(&t);
}

static void check_plain(void) {
    chat_template t;
    CHECK(chat_plain(&t, "Q: {question}\\n\\tA\\\\n:\\x", error), "%s", error);
    renders(&t, NULL, &question, 1, 1, "Q: 2+2?\n\tA\\n:\\x");
    CHECK(chat_plain(&t, "{question} {question}?\nA:", error), "%s", error);
    renders(&t, "Sums.", turns + 1, 2, 1, "Sums.\n\n" THOUGHT "\n\nAnd 3+3? And 3+3??\nA:");
    CHECK(!chat_plain(&t, "Question:", error) && strstr(error, "{question}"), "%s", error);
}

static void drops(const char *template, const char *system, int n, const char *what) {
    chat_template t;
    int found;
    CHECK(chat_from_jinja(&t, template, strlen(template), "", "", error), "%s", error);
    found = chat_check(&t, system, turns, n, error);
    CHECK(found == !what && (found || strstr(error, what)), "%d: %s", found, error);
    chat_free(&t);
}

/* Whether all that is said is written. */
static void check_dropped(void) {
    chat_template t;
    size_t i;
#define EACH(what) "{% for m in messages %}" what "{% endfor %}"
    for (i = 0; i < sizeof expected / sizeof *expected; i++)
        CHECK(chat_named(&t, expected[i].name, error) && chat_check(&t, "s", turns, 3, error) == 1
              && (chat_free(&t), 1), "%s: %s", expected[i].name, error);
    drops(EACH("{{ m.content|trim|title }}"), "s", 3, NULL);
    drops(EACH("{{ m.content.split()|join('_') }}"), "s", 3, NULL);
    drops(EACH("{{ m.content|tojson }}"), "s", 3, NULL);
    drops(EACH("{{ m.role }}"), NULL, 1, "the question");
    drops(EACH("{{ m.content.split('\n')[1] }}"), NULL, 1, "the question");
    drops(EACH("{{ m.content.split('\n')[0] }}"), NULL, 1, "the question");
    drops(EACH("{% for part in m.content %}{{ part.text }}{% endfor %}"), NULL, 1, "question");
    drops(EACH("{{ m.content if m.role != 'assistant' }}"), NULL, 3, "the role assistant");
    drops(EACH("{{ m.content if m.role != 'system' }}"), NULL, 3, NULL);
    drops(EACH("{{ m.content if m.role != 'system' }}"), "s", 3, "the system message");
    drops("{{ messages[-1].content }}", NULL, 3, "the role assistant");
    drops("{{ 'Short.' if messages[0].content == 's' else 'Long.' }}" EACH("{{ m.content if "
          "m.role != 'system' }}"), "s", 3, NULL);            /* a word that chooses            */
    drops("{{ 'Long.' if messages[0].content == 't' else 'Long.' }}" EACH("{{ m.content if "
          "m.role != 'system' }}"), "s", 3, "the system message");
    drops(EACH("{{ m.content.split('\n')[0] if m.role == 'system' else m.content }}"), "s\nt", 3,
          "the system message");
    CHECK(chat_from_jinja(&t, "{{ 1 // 0 }}", 12, "", "", error)
          && chat_check(&t, NULL, turns, 1, error) == -1 && strstr(error, "zero"), "%s", error);
    chat_free(&t);
}

static void stops_are(const char *name, int count, const char *text) {
    const char *stops[CHAT_STOPS];
    chat_template t;
    CHECK(chat_named(&t, name, error), "%s", error);
    CHECK(chat_stops(&t, stops) == count && !strcmp(stops[0], text), "%s: %d, \"%s\"", name,
          chat_stops(&t, stops), stops[0]);
    chat_free(&t);
}

static void check_stops(void) {
    const char *stops[CHAT_STOPS];
    chat_template t;
    stops_are("smollm2", 1, "<|im_end|>");
    stops_are("qwen3", 1, "<|im_end|>");
    stops_are("llama3", 1, "<|eot_id|>");
    stops_are("llama2", 1, "</s>");
    CHECK(chat_plain(&t, "{question}", error) && chat_stops(&t, stops) == 0, "plain");
#define TURNS "{% for m in messages %}[{{ m.role }}] {{ m.content }}"
    CHECK(chat_from_jinja(&t, TURNS "<end> {% endfor %}", strlen(TURNS "<end> {% endfor %}"), "",
                          "<eos>", error) && chat_stops(&t, stops) == 2
          && !strcmp(stops[0], "<end>") && !strcmp(stops[1], "<eos>"), "%s", error);
    chat_free(&t);
    CHECK(chat_from_jinja(&t, TURNS "\n### {% endfor %}", strlen(TURNS "\n### {% endfor %}"), "",
                          "", error) && chat_stops(&t, stops) == 0, "%s", error);
    chat_free(&t);
}

/* ---- folders */

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    CHECK(file && fputs(text, file) >= 0 && !fclose(file), "%s cannot be written", path);
}

/* The special tokens of a folder, as transformers 5.24 takes them of two files. */
static void check_special_tokens(void) {
    static const char map[] = "chat_folder/special_tokens_map.json";
    static const char shown[] = "\"chat_template\": \"{{ bos_token }}|{{ eos_token }}|"
        "{{ pad_token }}|{{ image_token }}|{{ tool_token }}|{{ other }}\"}";
    static const struct { const char *config, *map, *text; } files[] = {
        { "\"bos_token\": \"<a>\", ", "{\"bos_token\": {\"content\": \"<b>\"}, "
          "\"pad_token\": \"<p>\"}", "<b>||<p>|||" },
        { "\"bos_token\": \"<a>\", ", "{\"bos_token\": null}", "|||||" },
        { "\"bos_token\": \"<a>\", \"added_tokens_decoder\": {}, ", "{\"pad_token\": \"<p>\"}",
          "<a>|||||" },
        { "\"image_token\": \"<i>\", ", "{\"image_token\": \"<j>\", \"tool_token\": \"<t>\"}",
          "|||<i>|<t>|" },
        { "\"image_token\": {\"__type\": \"AddedToken\", \"content\": \"<i>\"}, \"tool_token\": "
          "{\"content\": \"<t>\"}, ", "{\"image_token\": \"<j>\"}", "|||<j>||" },
        { "\"extra_special_tokens\": {\"other\": \"<o>\", \"eos_token\": \"<e>\"}, ", "{}",
          "|<e>||||<o>" },
        { "\"model_specific_special_tokens\": {\"other\": \"<o>\"}, ", "{}", "|||||<o>" },
        { "\"model_specific_special_tokens\": {\"other\": \"<o>\"}, \"tool_token\": \"<t>\", ",
          "{\"tool_token\": \"<u>\"}", "||||<t>|" },
    };
    char text[512];
    chat_template t;
    size_t i;
    for (i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(text, sizeof text, "{%s%s", files[i].config, shown);
        write_file("chat_folder/tokenizer_config.json", text);
        write_file(map, files[i].map);
        CHECK(chat_recognise(&t, "chat_folder", error), "%s", error);
        renders(&t, NULL, &question, 1, 1, files[i].text);
        chat_free(&t);
    }
    remove(map);
}

static void check_folder(void) {
    static const char config[] = "chat_folder/tokenizer_config.json";
    static const char path[] = "chat_folder/chat_template.jinja";
    chat_template t;
    mkdir("chat_folder", 0777);
    remove(config);
    remove(path);
    CHECK(!chat_recognise(&t, "chat_folder", error) && strstr(error, "--prompt-format"), "%s",
          error);
    write_file(path, "[{{ bos_token }}]");
    CHECK(chat_recognise(&t, "chat_folder", error), "%s", error);
    renders(&t, NULL, &question, 1, 1, "[]");       /* without any configuration               */
    chat_free(&t);
    remove(path);
    write_file(config, "{");
    CHECK(!chat_recognise(&t, "chat_folder", error) && strstr(error, "tokenizer_config"), "%s",
          error);
    write_file(config, "{\"bos_token\": null, \"eos_token\": {\"content\": \"<|e|>\"}, "
               "\"pad_token\": \"<\\\"pad\\\">\", \"chat_template\": null}");
    CHECK(!chat_recognise(&t, "chat_folder", error) && strstr(error, "--prompt-format"), "%s",
          error);
    write_file(path, "{{ bos_token }}{{ eos_token }}{{ pad_token }}\r\n{% for m in messages %}\r\n"
               "  {{ m.role }}: {{ m.content }};\r\n{% endfor %}{{ tools is none and documents is "
               "none and enable_thinking is undefined }}\r\n");
    CHECK(chat_recognise(&t, "chat_folder", error), "%s", error);
    renders(&t, "s", &question, 1, 0, "<|e|><\"pad\">\n  system: s;\n  user: 2+2?;\nTrue");
    t.tools = "[1]";
    renders(&t, NULL, &question, 1, 0, "<|e|><\"pad\">\n  user: 2+2?;\nFalse");
    chat_free(&t);
    write_file(config, "{\"chat_template\": \"{{ 'never read' }}\"}");
    CHECK(chat_recognise(&t, "chat_folder", error), "%s", error);
    chat_free(&t);
    write_file(path, "{% for m in messages %}\n{% include 'other' %}{% endfor %}");
    CHECK(!chat_recognise(&t, "chat_folder", error) && strstr(error, "line 2, column 4")
          && strstr(error, "include") && strstr(error, "chat_folder"), "%s", error);
    remove(path);
    CHECK(chat_recognise(&t, "chat_folder", error), "%s", error);
    renders(&t, NULL, &question, 1, 1, "never read");
    chat_free(&t);
    write_file(config, "{\"chat_template\": [{\"name\": \"rag\", \"template\": \"\"}, {\"name\": "
               "\"default\", \"template\": \"{{ messages[0].content }}\"}]}");
    CHECK(chat_recognise(&t, "chat_folder", error), "%s", error);
    renders(&t, NULL, &question, 1, 1, "2+2?");
    chat_free(&t);
    write_file(config, "{\"chat_template\": [{\"name\": \"rag\", \"template\": \"\"}]}");
    CHECK(!chat_recognise(&t, "chat_folder", error) && strstr(error, "name default"), "%s", error);
    write_file(config, "{\"chat_template\": {\"rag\": \"\", \"default\": \"<{{ sep_token }}>\"}}");
    CHECK(chat_recognise(&t, "chat_folder", error), "%s", error);
    renders(&t, NULL, &question, 1, 1, "<>");
    chat_free(&t);
    check_special_tokens();
    write_file(config, "{\"chat_template\": \"{{ raise_exception('No system \\\\u00e9!') }}\"}");
    CHECK(chat_recognise(&t, "chat_folder", error), "%s", error);
    {
        chat_text out = { NULL, 0, 0 };
        CHECK(!chat_render(&t, NULL, &question, 1, 1, &out, error)
              && strstr(error, "No system \xc3\xa9!") && !out.text, "%s", error);
    }
    chat_free(&t);
    mkdir("chat_folder/additional_chat_templates", 0777);
    write_file("chat_folder/additional_chat_templates/default.jinja", "");
    CHECK(!chat_recognise(&t, "chat_folder", error) && strstr(error, "make it chat_template.jinja"),
          "%s", error);
    remove("chat_folder/additional_chat_templates/default.jinja");
    remove("chat_folder/additional_chat_templates");
    remove(config);
    remove("chat_folder");
}

static void check_real_folder(void) {
    const char *data = getenv("GRPO_DATA"), *stops[CHAT_STOPS];
    char folder[512];
    chat_template t;
    if (!data) {
        printf("skipped: Qwen3's own template, for GRPO_DATA is not set\n");
        return;
    }
    snprintf(folder, sizeof folder, "%.400s/tokenizers", data);
    CHECK(chat_recognise(&t, folder, error) && chat_stops(&t, stops) == 1
          && !strcmp(stops[0], "<|im_end|>"), "%s", error);
    renders(&t, NULL, &question, 1, 1, expected[2].one);
    renders(&t, " Be brief. ", turns, 3, 1, expected[2].all);
    renders(&t, NULL, turns, 2, 1, expected[2].late);
    chat_free(&t);
}

int main(void) {
    check_named();
    check_options();
    check_thoughts();
    check_bytes();
    check_plain();
    check_dropped();
    check_stops();
    check_folder();
    check_real_folder();
    return check_finish();
}
