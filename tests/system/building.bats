# How the tree is built: which flags count, what is printed, what is generated.

setup() {
    top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    object=$BATS_TEST_TMPDIR/b/obj/common/error.o
}

# make as a user calls it, with a build folder of the test's own.
make_here() {
    env -u MAKEFLAGS -u MAKELEVEL -u WERROR make -C "$top" --no-print-directory \
        B="$BATS_TEST_TMPDIR/b" "$@"
}

# compiles WORD...: is there a command that compiles common/error.c and has these words, in order?
compiles() {
    local pattern='-c -o .*common/error.o'
    [ $# -eq 0 ] || pattern="$(printf '%s .*' "$@")$pattern"
    grep -q -- "$pattern" <<<"$output" || {
        echo "no '$pattern' in: $output"
        return 1
    }
}

@test "a packager's flags come after the project's own, and none of those is lost" {
    run make_here -n V=1 "$object" CPPFLAGS=-DPACKAGED CFLAGS='-O3 -fcf-protection'
    [ "$status" -eq 0 ]
    compiles -D_GNU_SOURCE -DPACKAGED -std=gnu11 -fstack-protector-strong '-O3 -fcf-protection'
    run make_here -n V=1 "$BATS_TEST_TMPDIR/b/bin/lbrunner" LDFLAGS='-Wl,-z,defs'
    grep -q -- '-z,relro,-z,now .*-Wl,-z,defs .*-o .*/bin/lbrunner' <<<"$output"
}

@test "the code is fortified once: by default, or at the level that the flags choose" {
    run make_here -n V=1 "$object"
    compiles -D_FORTIFY_SOURCE=2
    run make_here -n V=1 "$object" CPPFLAGS=-D_FORTIFY_SOURCE=3
    compiles -D_FORTIFY_SOURCE=3
    run grep -c -- '_FORTIFY_SOURCE=2' <<<"$output"
    [ "$output" = 0 ]
    run make_here -n V=1 "$object" CFLAGS='-O0 -g'
    compiles '-O0 -g'
    run grep -c FORTIFY <<<"$output"
    [ "$output" = 0 ]
}

@test "warnings are errors only on request" {
    run make_here -n V=1 "$object"
    compiles
    run grep -c -- -Werror <<<"$output"
    [ "$output" = 0 ]
    run make_here -n V=1 "$object" WERROR=1
    compiles -Werror
}

@test "compiling a file prints one short line, nothing with -s, and the command with V=1" {
    run make_here "$object"
    grep -qx "CC common/error.c" <<<"$output"
    run grep -vE '^[A-Z]+ [^ ]+$' <<<"$output" # what is generated has a line of the same form
    [ -z "$output" ]
    rm "$object"
    run make_here -s "$object"
    [ -z "$output" ]
    rm "$object"
    run make_here V=1 "$object"
    compiles
}

@test "a text becomes a header whose string is that text" {
    printf 'SELECT "a\\n" -- %%s\n\n  ;\ttab, caf\xc3\xa9\n' >"$BATS_TEST_TMPDIR/my-text.sql"
    "$top/tools/embed.sh" "$BATS_TEST_TMPDIR/my-text.sql" >"$BATS_TEST_TMPDIR/text.h"
    cat >"$BATS_TEST_TMPDIR/text.c" <<'C'
#include <stdio.h>
#include "text.h"
int main(void) { fputs(my_text_sql, stdout); }
C
    gcc -Wall -Werror -o "$BATS_TEST_TMPDIR/text" "$BATS_TEST_TMPDIR/text.c"
    cmp <("$BATS_TEST_TMPDIR/text") "$BATS_TEST_TMPDIR/my-text.sql"
}

@test "the compilation database has the flags of each file" {
    run "$top/tools/compile_commands.py" gcc -I. '-DV="1.0"' <<<"common/error.c"
    [ "$status" -eq 0 ]
    [ "$(jq -r '.[0].directory' <<<"$output")" = "$top" ]
    local arguments='["gcc","-I.","-DV=\"1.0\"","-c","common/error.c"]'
    [ "$(jq -c '.[0].arguments' <<<"$output")" = "$arguments" ]
}

@test "a server's dependencies are listed, without compiler and linters" {
    run "$top/tools/deps.sh" --list runtime
    [ "$status" -eq 0 ]
    grep -q '^libsodium[0-9]*$' <<<"$output"
    grep -qx python3 <<<"$output"
    run grep -E -- '-dev$|gcc|clang|cppcheck' <<<"$output"
    [ "$status" -eq 1 ]
    run "$top/tools/deps.sh" nonsense
    [ "$status" -eq 2 ]
}
