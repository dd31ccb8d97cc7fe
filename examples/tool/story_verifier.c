/* story_verifier - a verifier for `grpo train --reward "cmd:build/story_verifier"`: a line of JSON
 * in for each completion, a number out. It grades a children's story by a rubric of four,
 * each worth a quarter:
 *
 *     the hero (the question's answer) is named again
 *     somebody says something: a pair of quotation marks with words between them
 *     no sentence stands twice
 *     it ends where a sentence ends
 *
 * All four can be had by a dull story. That is what a verifier is: it says what it checks. When it
 * let a sentence of four letters stand twice, "Yes." was soon all that anybody said. */
#include "json.h"

enum { LINE = 1 << 16, MOST_SENTENCES = 64 };

static int names_the_hero(const char *story, const char *hero) {
    return *hero && strstr(story, hero) != NULL;
}

static int somebody_speaks(const char *story) {
    const char *open = strchr(story, '"'), *close = open ? strchr(open + 1, '"') : NULL;
    return close && close - open > 6;
}

static size_t sentence_length(const char *s) {
    size_t n = strcspn(s, ".!?");
    return s[n] ? n + 1 : n;
}

static int no_sentence_twice(const char *story) {
    const char *begins[MOST_SENTENCES];
    size_t lengths[MOST_SENTENCES];
    int n = 0, i;
    for (; *story && n < MOST_SENTENCES; story += lengths[n++]) {
        story += strspn(story, " \n\"");
        begins[n] = story;
        lengths[n] = sentence_length(story);
        for (i = 0; i < n; i++)
            if (lengths[i] == lengths[n] && lengths[n] > 3
                && !memcmp(begins[i], story, lengths[n])) return 0;
    }
    return 1;
}

static int ends_a_sentence(const char *story) {
    size_t n = strlen(story);
    while (n && strchr(" \n", story[n - 1])) n--;
    if (n > 1 && story[n - 1] == '"') n--;
    return n && strchr(".!?", story[n - 1]) != NULL;
}

static double grade(const json_value *object) {
    const char *story = json_string(json_find(object, "completion"), "");
    const char *hero = json_string(json_find(object, "answer"), "");
    return 0.25 * (names_the_hero(story, hero) + somebody_speaks(story) + no_sentence_twice(story)
                   + ends_a_sentence(story));
}

static int usage(void) {
    puts("usage:   story_verifier\n"
         "example: grpo train MODEL --data beginnings.jsonl --reward \"cmd:build/story_verifier\" "
         "--out FOLDER\n\n"
         "Reads a JSON object a line with a \"completion\" and its \"answer\", the hero, and\n"
         "prints a number for each: a quarter if the hero is named again, if somebody speaks,\n"
         "if no sentence stands twice, and if it ends where a sentence does; null for a line\n"
         "that is no JSON.");
    return 0;
}

int main(int argc, char **argv) {
    static char line[LINE];
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) return usage();
    if (argc > 1) {
        fprintf(stderr, "story_verifier: it takes no arguments, not %s; --help says what it "
                "reads\n", argv[1]);
        return 2;
    }
    while (fgets(line, sizeof line, stdin)) {
        char error[JSON_ERROR_LENGTH], *copy = (char *)malloc(strlen(line) + 1);
        json j;
        if (!copy) return 1;
        strcpy(copy, line);
        if (!json_parse(&j, copy, strlen(line), "a completion", error)) {
            fprintf(stderr, "%s\n", error);
            puts("null");
            continue;
        }
        printf("%g\n", grade(j.values));
        json_free(&j);
    }
    return 0;
}
