/* Fuzzing of jinja.h: a template, then a byte 0, then its variables as JSON; without that byte it
 * has a conversation. fuzz.h says how it is run. */
#include "examples/tool/chat.h"
#include "fuzz.h"

static void need_sentence(const char *error) {
    size_t n = strlen(error);
    require(n > 5 && n < JSON_ERROR_LENGTH, "no sentence");
}

/* Twice the same text or the same sentence, UTF-8, and within the limits. */
static int render_twice(const jinja *t, const json_value *variables) {
    char first[JSON_ERROR_LENGTH] = "", second[JSON_ERROR_LENGTH] = "", *a, *b;
    struct tm now;
    jinja_limits limits;
    size_t n = 0, m = 0, i;
    uint32_t code;
    memset(&now, 0, sizeof now);
    now.tm_mday = 1;
    limits.steps = 50000;
    limits.memory = 1 << 22;
    limits.output = 1 << 16;
    limits.now = &now;
    a = jinja_render(t, variables, &limits, &n, first);
    b = jinja_render(t, variables, &limits, &m, second);
    require(!a == !b && n == m && !strcmp(first, second), "two runs differ");
    if (!a) need_sentence(first);
    else {
        require(n <= limits.output && strlen(a) <= n && !memcmp(a, b, n), "two texts differ");
        for (i = 0; i < n; i += (size_t)json_utf8(a + i, n - i, &code))
            require(json_utf8(a + i, n - i, &code) > 0, "no UTF-8");
    }
    n = a != NULL;
    free(a);
    free(b);
    return (int)n;
}

static int fuzz_one(const uint8_t *data, size_t size) {
    static const char chat[] = "{\"messages\": [{\"role\": \"system\", \"content\": \"Be.\"}, "
        "{\"role\": \"user\", \"content\": \" 2+2? \\n\"}, {\"role\": \"assistant\", \"content\": "
        "null, \"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": {\"x\": 1.5}}}]}, "
        "{\"role\": \"tool\", \"content\": [{\"type\": \"text\", \"text\": \"\\u00e9<\"}]}], "
        "\"tools\": null, \"add_generation_prompt\": true, \"bos_token\": \"<s>\"}";
    const uint8_t *zero = size ? (const uint8_t *)memchr(data, 0, size) : NULL;
    size_t length = zero ? (size_t)(zero - data) : size, left = zero ? size - length - 1 : 0;
    char error[JSON_ERROR_LENGTH] = "", *text = fuzz_text(data, length);
    json variables;
    jinja *t = jinja_parse(text, length, error);
    int good = 0;
    free(text);
    if (!t) need_sentence(error);
    else {
        text = zero ? fuzz_text(zero + 1, left) : fuzz_text((const uint8_t *)chat, sizeof chat - 1);
        good = json_parse(&variables, text, zero ? left : sizeof chat - 1, NULL, error);
        if (good) {
            good = render_twice(t, variables.values);
            json_free(&variables);
        }
    }
    jinja_free(t);
    return good;
}

static const char *const corpus[] = {
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\\n' ~ m.content | trim }}{% endfor %}"
    "{% if add_generation_prompt -%} {{- '<a>' }}{%- endif %}",
    "{{ bos_token }}{% set ns = namespace(n=0, s='') %}{% for m in messages[::-1] if m.content %}"
    "{% set ns.n = ns.n + loop.index0 %}{% set ns.s = ns.s ~ loop.last %}{% else %}x{% endfor %}"
    "{{ ns.n }}{{ ns.s }}{% if x is defined and x or tools is none %}a{% elif y %}b{% else %}c"
    "{% endif %}",
    "{% macro f(a, b=2, c='q') %}{{ a|tojson(indent=2) }}{% if b > 0 %}{{ f([a], b - 1) }}"
    "{% endif %}{{ caller is defined }}{% endmacro %}{{ f({'k': [1, -2.5e3, none]}) }}"
    "{{ f(*[1, 0]) }}"
    "{% call(v) f(1, c=3) %}{{ v }}{% endcall %}",
    "{{ messages|selectattr('role', 'ne', 'user')|map(attribute='content')|list }}{{ messages[0]."
    "items()|list|length }}{{ messages|map(attribute='role')|unique|sort(reverse=true)|join(',') }}"
    "{{ {'b': 1, 'a': (2, 3)}|dictsort }}{{ [3, 1]|min + [2.5]|sum }}{{ 'a b'|title|upper|e }}",
    "{{ 'a,b,c'.split(',', 1)[-1].strip('c').replace('b', 'x')|default('z') }}{{ 'abc'[1:][::-1] }}"
    "{{ ' x'.lstrip().startswith(('x', 'y')) and 'abc'.find('c', 1) in range(3) }}"
    "{{ '%5.1f|%-3s|%d' "
    "% (1.25, 'a', 7) }}{{ '{} {} {x:d}'.format(1, 2, x=3) }}{{ strftime_now('%d %b %Y %-d') }}",
    "  {#- c -#}\n  {% set x %}a\n{% filter upper|indent(2) %}b\nc{% endfilter %}{% endset %}\n"
    "{% generation %}{{ x|length }}{% endgeneration %}{% raw %}{{ no }}{% endraw %}{% for i in "
    "range(9) %}{% if i == 2 %}{% continue %}{% elif i > 3 %}{% break %}{% endif %}{{ i }}"
    "{% endfor %}{{ x|safe + '<' ~ x }}{{ 7 // 2 ** 2 % 3 * -1 / 4 }}{{ 1 < 2 <= 3 != 4 }}",
};

static size_t fuzz_begin_with(int i, uint8_t *to) {
    static const char variables[] = "{\"messages\": [{\"role\": \"a\", \"content\": \"\\u65e5\"}]}";
    int count = (int)(sizeof corpus / sizeof *corpus);
    size_t n = fuzz_put_text(corpus, count, i < count ? i : i - count, to);
    if (i < count || i >= 2 * count || !n) return i < count ? n : 0;
    to[n++] = 0;
    memcpy(to + n, variables, sizeof variables - 1);
    return n + sizeof variables - 1;
}

static const char *const *fuzz_words(void) {
    static const char *const words[] = {
        "{%", "%}", "{{", "}}", "{#", "#}", "-", "+", "(", ")", "[", "]", "{", "}", "|", ".",
        ",", ":", "=", "==", "~", "*", "**", "//", "%", "'", "\"", "\\", "\n", " ", "\0", "\x80",
        "\xe6\x97\xa5", "0", "9", "1.5", "e9", "99999999999", "-1", "none", "true", " is ",
        " in ", " not ", " and ", " or ", " if ", " else ", "for ", "in ", "endfor", "if ",
        "elif ", "else", "endif", "set ", "endset", "macro ", "endmacro", "call ", "endcall",
        "filter ", "endfilter", "generation", "endgeneration", "raw", "endraw", "break",
        "continue", "messages", "m", "loop", "loop.index", "loop.previtem", "role", "content",
        "namespace(", "range(", "dict(", "raise_exception(", "caller", "|list", "|length",
        "|string", "|tojson", "|tojson(indent=", "|map('", "|map(attribute='", "|select('",
        "|selectattr('", "|join(", "|sort", "|unique", "|reverse", "|first", "|last", "|int",
        "|float", "|round", "|safe", "|e", "|indent", "|replace(", "|items", "|dictsort",
        "|title", "|default(", "|max", "|sum", "|trim(", ".split(", ".rsplit(", ".splitlines(",
        ".strip(", ".replace(", ".format(", ".count(", ".index(", ".get(", ".items()", ".keys()",
        ".join(", ".upper()", "defined", "iterable", "sequence", "mapping", "divisibleby",
        "[::-1]", "[1:2]", "[-1]", "[0]", "'%s%5d'", "'{}'", NULL };
    return words;
}

static void fuzz_end(void) {
}
