#!/bin/sh
# grpo.h as a book: the contents name every chapter, in order, with about as many lines as each part
# has; part III declares nothing ahead of its definition; nothing outgrows its limit.
passed=0 failed=0
check() { # check DESCRIPTION OFFENDERS
    if [ -z "$2" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "$1: $2"; fi
}
header=${1:-grpo.h}
chapters() { # chapters contents|banners: the tags, in order
    awk -v which="$1" '
        / V   *LICENCE/ { inside = 0 }
        inside && which == "contents" { for (i = 2; i <= NF; i++) if ($i ~ /^>>/) print $i }
        / \* CONTENTS/ { inside = 1 }
        which == "banners" && /^\/\* --* >>[a-z]* --$/ { print $3 }' "$header"
}
parts() { # parts contents|banners: number of each part and its lines, as printed and as counted
    awk -v which="$1" '
        which == "contents" && /^ \*   [IV]+  +[A-Z].* [0-9]+$/ { print $2, $NF }
        which == "banners" && after && /^ \*   [IV]+   [A-Z]/ {
            if (part) print part, NR - 2 - first
            part = $2; first = part == "I" ? 1 : NR - 2 }   # from its ruler on
        { after = before ~ /^(\/\*| \*) ==*$/; if ($0 != " *") before = $0 }
        END { if (which == "banners") print part, NR + 1 - first }' "$header"
}
lines() { parts banners | awk -v part="$1" '$1 == part { print $2 }'; }
at_most() { # at_most DESCRIPTION LINES LIMIT
    check "$1" "$([ "$2" -gt 0 ] && [ "$2" -le "$3" ] || echo "$2 lines, at most $3")"
}

check "the contents name each chapter once, in order" "$(
    [ -n "$(chapters banners)" ] && [ "$(chapters contents)" = "$(chapters banners)" ] ||
        echo $(chapters contents) but $(chapters banners))"
named=$(parts contents | awk '{ printf "%s ", $1 }')
check "the parts are I to V" "$([ "$named" = "I II III IV V " ] || echo "$named")"
for part in I II III IV V; do      # within 5 lines, or 5 %
    printed=$(parts contents | awk -v part=$part '$1 == part { print $2 }') counted=$(lines $part)
    check "lines of part $part in the contents" "$(awk -v p="$printed" -v c="$counted" 'BEGIN {
        d = p > c ? p - c : c - p
        if (!p || !c || (d > 5 && d > c / 20)) print p " but it has " c }')"
done
check "declared ahead in part III" "$(awk '
    /^ \*   III   / { inside = 1 }
    /^ \*   IV   [A-Z ]*$/ { inside = 0 }
    { line = $0; gsub(/\/\*.*\*\//, "", line) }
    inside && !text && line ~ /^[a-z]/ { text = line; line = "" }
    text { text = text " " line
           if (match(text, /[{;=]/)) {
               if (substr(text, RSTART, 1) == ";" && text !~ /^enum/) print text
               text = "" } }' "$header")"
at_most "part I" "$(lines I)" 200
at_most "parts I to III" "$(($(lines I) + $(lines II) + $(lines III)))" 3640
at_most "grpo.h" "$(awk 'END { print NR }' "$header")" 10100
long=$(awk 'length($0) > 100 { print NR }' "$header" | tr '\n' ' ')
check "lines of more than 100 columns" "$long"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
