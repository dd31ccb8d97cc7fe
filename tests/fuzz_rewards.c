/* Fuzzing of all that reads a completion's text: grpo.h's codecs, its number and expression parsers
 * and verifiers, and answers.h. An input is two texts with a NUL between them: the completion, and
 * the answer. fuzz.h says how it is run. */
#define GRPO_IMPLEMENTATION
#include "grpo.h"
#include "examples/tool/answers.h"
#include "fuzz.h"

/* What can be encoded comes back as it was, whatever the room. */
static void fuzz_codec(const char *vocabulary, const char *text) {
    size_t length = strlen(text);
    int *tokens = (int *)malloc((length + 1) * sizeof(int));
    char *back = (char *)malloc(length + 1);
    int i, n, room, vocabulary_size = grpo__vocabulary_size(vocabulary);
    if (!tokens || !back) exit(0);
    n = grpo__encode_text(vocabulary, text, tokens, (int)length);
    require(n <= (int)length && n >= -(int)length - 1, "number of tokens");
    require(grpo__encode_text(vocabulary, text, NULL, 0) == n, "number without room");
    if (n >= 0 && vocabulary_size > 0) {
        for (i = 0; i < n; i++)
            require(tokens[i] >= 0 && tokens[i] < vocabulary_size - 1, "token out of range");
        require(grpo__decode_text(vocabulary, tokens, n, back, (int)length) == (int)length &&
                memcmp(back, text, length) == 0, "round trip");
    }
    for (i = 0; i < (int)length; i++) tokens[i] = ((unsigned char)text[i] - 64) * 5;
    room = (int)length / 2;
    grpo__decode_text(vocabulary, tokens, (int)length, back, room);
    free(tokens);
    free(back);
}

static void fuzz_parsers(const char *text) {
    double value = 0, again = 0, numbers[3];
    int count = 0, capacity;
    if (grpo_evaluate_expression(text, &value, NULL, 0, &count)) {
        require(fabs(value) < HUGE_VAL && count > 0, "value of an expression");
        for (capacity = 0; capacity < 4; capacity++)
            require(grpo_evaluate_expression(text, &again, numbers, capacity, NULL) &&
                    again == value, "capacity changes the value");
    }
    value = 0;
    if (grpo_last_number(text, &value)) require(value == value, "last number");
    else require(strpbrk(text, "0123456789") == NULL, "a digit but no number");
}

static void fuzz_verifiers(const char *completion, const char *answer) {
    grpo_sample s;
    grpo_format format;
    double r;
    format.prefix = answer;
    format.suffix = answer;
    memset(&s, 0, sizeof s);
    s.completion = completion;
    s.answer = answer;
    r = (double)grpo_reward_exact_match(&s, NULL);
    require(r == 0 || r == 1, "exact_match");
    r = (double)grpo_reward_last_number(&s, NULL);
    require(r == 0 || r == 1 || r != r, "last_number");
    r = (double)grpo_reward_countdown(&s, NULL);
    require(r == 0 || r == 1 || r != r, "countdown");
    r = (double)grpo_reward_format(&s, &format);
    require(r == 0 || r == 1, "format");
    s.answer = completion;                                    /* every text matches itself        */
    require(grpo_reward_exact_match(&s, NULL) == 1, "exact_match with itself");
    r = (double)grpo_reward_last_number(&s, NULL);
    require(r == 1 || r != r, "last_number with itself");
    r = (double)answers_reward_number(&s, NULL);
    require(r == 1 || r != r, "number with itself");
    s.answer = answer;
    r = (double)answers_reward_number(&s, NULL);
    require(r == 0 || r == 1 || r != r, "number");
}

static void fuzz_tokens(const char *text, int maximum, int cache) {
    size_t i, length = strlen(text) < 512 ? strlen(text) : 512;
    int *tokens = (int *)malloc((length + 1) * sizeof(int));
    grpo_sample s;
    double r;
    if (!tokens) exit(0);
    for (i = 0; i < length; i++) tokens[i] = text[i];
    memset(&s, 0, sizeof s);
    s.tokens = tokens;
    s.num_tokens = (int)length;
    s.max_completion_length = maximum;
    r = (double)grpo_reward_overlong(&s, &cache);
    require(r >= -1 && r <= 0, "overlong");
    r = (double)grpo_reward_repetition(&s, NULL);
    require(r > -1 && r <= 0, "repetition");
    free(tokens);
}

static int fuzz_one(const uint8_t *data, size_t size) {
    size_t first = 0;
    char *completion, *answer;
    grpo_config config;
    while (first < size && data[first]) first++;
    completion = fuzz_text(data, first);
    answer = first < size ? fuzz_text(data + first + 1, size - first - 1) : fuzz_text(data, 0);
    fuzz_codec(NULL, completion);
    fuzz_codec(answer, completion);
    fuzz_codec("0123456789+-*/()=. \xC3\xA9", completion);
    fuzz_parsers(completion);
    fuzz_parsers(answer);
    fuzz_verifiers(completion, answer);
    fuzz_tokens(completion, (int)strlen(answer), size ? data[0] - 8 : 0);
    memset(&config, 0, sizeof config);
    if (grpo_add_reward(&config, completion, NULL, 1, NULL) == GRPO_OK)
        require(strlen(config.rewards[0].name) < GRPO_NAME_LENGTH, "name of a reward");
    free(completion);
    free(answer);
    return 1;
}

static size_t fuzz_begin_with(int i, uint8_t *to) {
    static const char *const pairs[][2] = { { "12 + 30 = 42", "42" },
        { "(3+5)*-2.5e1/.5", "3 5 1" }, { "so the answer is 1,234.50", "#### 1234.5" },
        { "<a>x</a>", "<a>" },
        { "0123456789+=\303\251", "0123456789+=\303\251" }, { "abab abab abab", "" } };
    size_t first, second;
    if (i >= (int)(sizeof pairs / sizeof *pairs)) return 0;
    first = strlen(pairs[i][0]) + 1;
    second = strlen(pairs[i][1]);
    memcpy(to, pairs[i][0], first);
    memcpy(to + first, pairs[i][1], second);
    return first + second;
}

static const char *const *fuzz_words(void) {
    static const char *const words[] = { "1e400", "10^{6}", "2**", "\xE2\x81\xB6", "1.234,5",
        "million", "-", "(", ")", "/0", "0.1", ",", "####", "$",
        "\\frac{1}{2}", "inf", "nan", "\xff", "\303\251", "\xf4\x90\x80\x80", "%", "1/3", NULL };
    return words;
}

static void fuzz_end(void) {
}
