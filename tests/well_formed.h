/* well_formed.h: is a text well-formed XML 1.0 (https://www.w3.org/TR/xml), of the kind that an
 * HTML page can be? Written for pages that have no comments and no CDATA, which are refused. */
#ifndef WELL_FORMED_H
#define WELL_FORMED_H

#include "examples/tool/json.h"

/* Bytes of the character at s, 0: none that XML may hold (section 2.2). */
static size_t xml_character(const char *s) {
    uint32_t code = 0;
    int n = json_utf8(s, strlen(s), &code);
    int good = n && (code >= 0x20 || code == '\t' || code == '\n' || code == '\r')
               && code != 0xfffe && code != 0xffff;
    return good ? (size_t)n : 0;
}

static size_t xml_name(const char *s) {
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:");
    return strchr("0123456789-", *s) ? 0 : n;
}

/* One of the five entities of XML, or a number: its bytes, 0: it is none. */
static size_t xml_entity(const char *s) {
    static const char *const names[5] = { "&lt;", "&gt;", "&amp;", "&quot;", "&apos;" };
    size_t i, n;
    for (i = 0; i < 5; i++)
        if (!strncmp(s, names[i], strlen(names[i]))) return strlen(names[i]);
    n = !strncmp(s, "&#", 2) ? strspn(s + 2, "0123456789") : 0;
    return n && s[2 + n] == ';' ? n + 3 : 0;
}

/* Text up to `end` or '<': its bytes; *good becomes 0 where it holds what it may not. */
static size_t xml_text(const char *s, char end, int *good) {
    size_t at = 0, n;
    while (s[at] && s[at] != end && s[at] != '<') {
        n = s[at] == '&' ? xml_entity(s + at) : xml_character(s + at);
        if (!n) { *good = 0; return at; }
        at += n;
    }
    return at;
}

/* What stands in a tag behind its name: ` name="value"`, any number of times, none twice. */
static size_t xml_attributes(const char *s, int *good) {
    size_t at = 0, seen[16], i, count = 0;
    while (s[at] == ' ') {
        size_t n = xml_name(s + ++at);
        for (i = 0; i < count; i++) *good &= strncmp(s + seen[i], s + at, n + 1) != 0;
        *good &= n && count < 16 && !strncmp(s + at + n, "=\"", 2);
        if (!*good) return at;
        seen[count++] = at;
        at += n + 2;
        at += xml_text(s + at, '"', good);
        *good &= s[at] == '"';
        if (!*good) return at;
        at++;
    }
    return at;
}

/* One root, every tag closed in its order. NULL, or where it goes wrong. */
static const char *not_well_formed(const char *s) {
    const char *open[64];
    int depth = 0, roots = 0, good = 1;
    if (!strncmp(s, "<!DOCTYPE html>", 15)) s += 15;
    while (*s && good) {
        const char *tag = s;
        size_t n, close;
        if (*s != '<') {
            n = depth ? xml_text(s, '<', &good) : strspn(s, " \n");
            if (!n || !good) return s;
            s += n;
            continue;
        }
        close = s[1] == '/';
        n = xml_name(s += 1 + close);
        if (!n) return tag;
        if (close) {
            if (!depth-- || strncmp(open[depth], s, n) != 0 || xml_name(open[depth]) != n)
                return tag;
        } else {
            roots += !depth;
            if (depth == 64 || roots > 1) return tag;
            open[depth++] = s;
        }
        s += n;
        if (!close) s += xml_attributes(s, &good);
        if (!good) return s;
        if (!close && *s == '/') { depth--; s++; }
        if (*s++ != '>') return tag;
    }
    return good && !depth && roots == 1 ? NULL : s;
}

#endif
