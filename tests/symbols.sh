#!/bin/sh
# What the compiled header exports and holds: only grpo_ names, no mutable data, calls to libc and
# libm only; two translation units; GRPO_STATIC; no GRPO_ macro beyond the documented ones.
: "${CC:=cc}" "${BUILD:=build}"
passed=0 failed=0
check() { # check DESCRIPTION OFFENDERS
    if [ -z "$2" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "$1: $2"; fi
}
dir=$BUILD/symbols
mkdir -p "$dir"
printf '#define GRPO_IMPLEMENTATION\n#include "grpo.h"\n' > "$dir/one.c"
cat > "$dir/two.c" << 'END'
#include "grpo.h"
int main(void) { grpo_config c = grpo_defaults(); c.num_prompts = -1;
    return grpo_new(&c) != NULL; }
END
cat > "$dir/static.c" << 'END'
#define GRPO_STATIC
#define GRPO_IMPLEMENTATION
#include "grpo.h"
int main(void) { return grpo_pass_at_k(2, 1, 2) != 1; }
END
exported() { # exported OBJECT: the names that it defines for others
    nm -g --defined-only "$1" | awk '{print $3}'
}
# Not PIE: there, constant tables that hold addresses count as data.
flags="-std=c99 -O1 -fno-pie -Wall -Wextra -Wpedantic -Werror -I."
for file in one two static; do
    $CC $flags -c "$dir/$file.c" -o "$dir/$file.o" || failed=$((failed + 1))
done
$CC -no-pie "$dir/one.o" "$dir/two.o" -o "$dir/two" -lm && "$dir/two"
check "two translation units" "$([ $? -eq 0 ] || echo failed)"
$CC -no-pie "$dir/static.o" -o "$dir/static" -lm && "$dir/static"
check "GRPO_STATIC" "$([ $? -eq 0 ] || echo failed)"
check "exported names without grpo_" \
    "$(exported "$dir/one.o" | grep -v '^_*grpo_[a-z]' | tr '\n' ' ')"
check "exported private names" "$(exported "$dir/one.o" | grep '^_*grpo__' | tr '\n' ' ')"
check "mutable globals" "$(nm "$dir/one.o" | awk '$2 ~ /^[BbDdCc]$/ {print $3}' | tr '\n' ' ')"
forbidden='^_*(exit|abort|_exit|system|printf|puts|__assert_fail)$'
check "calls that a library must not make" \
    "$(nm -u "$dir/one.o" | awk '{print $2}' | grep -E "$forbidden" | tr '\n' ' ')"
check "exported by a static build" "$(exported "$dir/static.o" | grep -v '^_*main$' | tr '\n' ' ')"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
