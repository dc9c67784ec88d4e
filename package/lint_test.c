#include "package/fixture.h"

#include <errno.h>

#include "package/lint.h"

#define HEAD \
    "name: p\nversion: 1\nsubsystem: shell\nentry: main.sh\nlimits: {timeout: 1m}\n" \
    "needs: [{command: psql}]\n"

static void make(struct manifest *m)
{
    struct problems ps = {0};
    assert_int_equal(manifest_parse_yaml("p", span_str(HEAD), m, &ps), 0);
    problems_free(&ps);
}

static char *said(struct problems *ps)
{
    struct buf all = {0};
    for (size_t i = 0; i < ps->n; i++) {
        assert_true(ps->v[i].warning);
        buf_printf(&all, "%s\n", ps->v[i].text);
    }
    problems_free(ps);
    char *text = mem_strdup(buf_str(&all));
    buf_free(&all);
    return text;
}

static void variables_outside_of_quotes_are_found_where_they_are_split(void **state)
{
    (void)state;
    static const struct {
        const char *script, *at; /* NULL: nothing is wrong */
    } rows[] = {
        {"echo $x\n", "s:1:6: $x is outside of quotes"},
        {"a\n  rm -rf ${dir}/x\n", "s:2:10: $dir is"},
        {"echo \"$(cat $f)\"\n", "s:1:13: $f"},
        {"x=$(cat $f)\n", "s:1:9: $f"},
        {"cat <<E\n$no\nE\necho $yes\n", "s:4:6: $yes"},
        {"[ $i -lt 3 ]\n", "s:1:3: $i"},
        {"f $*\n", "s:1:3: $*"},
        {"echo $((1 + (2 * 3))) $x\n", "s:1:23: $x"},
        {"for f in a; do rm $f; done\n", "s:1:19: $f"},
        {"case $x in a) rm $y;; esac\n", "s:1:18: $y"},
        {"echo \"$x\" '$y' \\$z # $c\n", NULL},
        {"x=$y z=${a:-$b}\n", NULL},
        {"case $x in a) ;; esac\n", NULL},
        {"for f in $list; do :; done\n", NULL},
        {"[[ $x == a ]] && :\n", NULL},
        {"echo $((i + $j)) $? $# $$ ${#x}\n", NULL},
        {"cat <<-'END'\n\t$x\n\tEND\n", NULL},
        {"echo \"a ${x:-\"b c\"} $y\"\n", NULL},
        {"\\", NULL},
        {"echo $", NULL},
        {"cat <<", NULL},
        {"echo $((", NULL},
    };
    struct manifest m;
    make(&m);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct problems ps = {0};
        lint_shell("s", span_str(rows[i].script), &m, &ps);
        char *text = said(&ps);
        if (rows[i].at ? strncmp(text, rows[i].at, strlen(rows[i].at)) != 0 : *text)
            fail_msg("%s gives: %s", rows[i].script, text);
        mem_free(&text);
    }
    manifest_free(&m);
}

static void programs_that_no_need_names_are_found_where_a_command_begins(void **state)
{
    (void)state;
    struct manifest m;
    struct problems ps = {0};
    make(&m);
    lint_shell("s",
               span_str("psql -c x\nif curl -s y; then echo jq; fi\nA=b wget z | jq .\n"
                        "echo \"$(git log)\"; x=$(rsync a b)\n"),
               &m, &ps);
    assert_int_equal(ps.n, 5);
    char *text = said(&ps);
    assert_contains(text, "s:2: uses 'curl', and no need names it");
    assert_contains(text, "s:3: uses 'wget'");
    assert_contains(text, "s:3: uses 'jq'");
    assert_contains(text, "s:4: uses 'git'");
    assert_contains(text, "s:4: uses 'rsync'");
    mem_free(&text);
    manifest_free(&m);
}

static void what_fails_elsewhere_is_a_warning_with_its_path(void **state)
{
    const char *folder = testing_path(state, "p");
    struct manifest m = {0};
    struct problems ps = {0};
    fixture_put(folder, "package.yaml", HEAD, 0644);
    fixture_put(folder, "main.sh", "echo a\r\necho b\n", 0644);
    fixture_put(folder, "bin/tool", "#!/usr/bin/perl\nprint 1;\n", 0644);
    fixture_put(folder, "bin/dos", "#!/bin/sh\r\n:\n", 0755);
    fixture_put(folder, "bin/near", "#!perl\n", 0755);
    fixture_put(folder, "a b", "x", 0644);
    fixture_put(folder, "sub/aux.txt", "x", 0644);
    fixture_put(folder, "-f", "x", 0644);
    fixture_put(folder, "w:x", "x", 0644);
    fixture_put(folder, "data.bin", "$x", 0644);
    assert_int_equal(archive_examine(folder, &m, &ps), 0);
    lint_folder(folder, &m, &ps);
    assert_int_equal(ps.n, 9);
    char *text = said(&ps);
    assert_contains(text, "p/main.sh:1: this line ends with CR LF");
    assert_contains(text, "p/bin/tool:1: it has a #! line and is not executable; run: chmod +x");
    assert_contains(text, "p/bin/tool:1: its interpreter '/usr/bin/perl' is no need");
    assert_contains(text, "p/bin/dos:1: the #! line ends with CR LF");
    assert_contains(text, "p/bin/near:1: the interpreter 'perl' must be an absolute path");
    assert_contains(text, "p/a b: the name 'a b' is not portable: it has a space");
    assert_contains(text, "p/sub/aux.txt: the name 'aux.txt' is not portable: other systems");
    assert_contains(text, "p/-f: the name '-f' is not portable: programs take");
    assert_contains(text, "p/w:x: the name 'w:x' is not portable: it has one of");
    mem_free(&text);
    manifest_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_outside_of_quotes_are_found_where_they_are_split),
        cmocka_unit_test(programs_that_no_need_names_are_found_where_a_command_begins),
        in_folder(what_fails_elsewhere_is_a_warning_with_its_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
