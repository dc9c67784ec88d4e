/* compiled_test.c - files are compiled when they have changed, and only then. */
#include "common/testing.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "runner/compiled.h"

static struct error err;

enum { LATER_MS = 1000 /* by then a file that was just written has settled */ };

/* A parser that notes each start in `started` and does this. */
static const char *write_parser(void **state, const char *does)
{
    char text[1500];
    snprintf(text, sizeof text, "#!/bin/sh\necho \"$1 $2\" >>'%s'\n%s\n",
             testing_path(state, "started"), does);
    const char *program = testing_path(state, "parser");
    assert_int_equal(file_write_atomic(program, span_str(text), 0755, &err), 0);
    return program;
}

static struct compiled *with_parser(void **state, const char *does)
{
    return compiled_new(write_parser(state, does), NULL, geteuid());
}

static unsigned starts(void **state)
{
    struct buf b = {0};
    unsigned n = 0;
    if (file_read(testing_path(state, "started"), 100000, &b, NULL) == 0)
        for (size_t i = 0; i < b.n; i++)
            n += b.p[i] == '\n';
    buf_free(&b);
    return n;
}

static const char *write_etl(void **state, const char *text)
{
    const char *path = testing_path(state, "etl.yaml");
    assert_int_equal(file_write_atomic(path, span_str(text), 0644, &err), 0);
    return path;
}

static int get(struct compiled *c, const char *path, int64_t after_ms, struct span *ret)
{
    err.text[0] = 0;
    return compiled_get(c, "proxy", path, "proxies.d/etl.yaml", clock_wall_ms() + after_ms, ret,
                        &err);
}

static void a_file_is_compiled_once_until_it_changes(void **state)
{
    struct compiled *c = with_parser(state, "cat");
    struct span doc;
    const char *path = write_etl(state, "one");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(get(c, path, LATER_MS, &doc), 0);
        assert_true(span_eq_str(doc, "one"));
    }
    assert_int_equal(starts(state), 1);
    write_etl(state, "two");
    assert_int_equal(get(c, path, LATER_MS, &doc), 0);
    assert_true(span_eq_str(doc, "two"));
    assert_int_equal(starts(state), 2);
    compiled_free(&c);
}

static void a_file_that_is_wrong_now_is_refused_and_the_older_one_forgotten(void **state)
{
    struct compiled *c = with_parser(
        state, "read x; [ \"$x\" = good ] && echo $x && exit 0; echo \"$2:1:1: no\" >&2\n"
               "echo \"$2:2:1: no again\" >&2; exit 3");
    struct span doc;
    const char *path = write_etl(state, "good\n");
    assert_int_equal(get(c, path, LATER_MS, &doc), 0);
    write_etl(state, "bad\n");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(get(c, path, LATER_MS, &doc), -EINVAL);
        assert_string_equal(err.text,
                            "proxies.d/etl.yaml:1:1: no; proxies.d/etl.yaml:2:1: no again");
    }
    assert_int_equal(starts(state), 2); /* what is wrong is remembered, too */
    write_etl(state, "good\n");
    assert_int_equal(get(c, path, LATER_MS, &doc), 0);
    compiled_free(&c);
}

/* Two writes within one tick of the clock may leave the same times. */
static void a_file_that_has_just_changed_is_not_believed_to_be_unchanged(void **state)
{
    struct compiled *c = with_parser(state, "cat");
    struct span doc;
    const char *path = write_etl(state, "one");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    const int64_t changed = (int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000;
    for (int i = 0; i < 2; i++)
        assert_int_equal(compiled_get(c, "proxy", path, "f", changed + 1, &doc, &err), 0);
    assert_int_equal(starts(state), 2);
    compiled_free(&c);
}

static void a_file_that_is_gone_or_not_ours_alone_is_refused(void **state)
{
    struct compiled *c = with_parser(state, "cat");
    struct span doc;
    const char *path = write_etl(state, "one");
    assert_int_equal(get(c, path, LATER_MS, &doc), 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(get(c, path, LATER_MS, &doc), -EPERM);
    assert_contains(err.text, "others can write");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(get(c, path, LATER_MS, &doc), -ENOENT);
    assert_int_equal(starts(state), 1);
    compiled_free(&c);
}

static void a_parser_that_hangs_is_killed_and_left_alone_for_a_while(void **state)
{
    struct compiled *c = with_parser(state, "exec sleep 600");
    struct span doc;
    const char *path = write_etl(state, "one");
    const int64_t now = clock_wall_ms();
    assert_int_equal(compiled_get(c, "proxy", path, "f", now, &doc, &err), -ETIMEDOUT);
    assert_contains(err.text, "lbparse did not finish f in time and was killed");
    assert_int_equal(compiled_get(c, "proxy", path, "f", now + 5000, &doc, &err), -ETIMEDOUT);
    assert_int_equal(starts(state), 1);
    write_parser(state, "cat"); /* it has been mended */
    assert_int_equal(compiled_get(c, "proxy", path, "f", now + COMPILED_AGAIN_MS + 1, &doc, &err),
                     0);
    compiled_free(&c);
}

static void a_parser_that_fails_or_is_missing_is_named(void **state)
{
    struct compiled *c = with_parser(state, "kill -SEGV $$");
    struct span doc;
    const char *path = write_etl(state, "one");
    assert_int_equal(get(c, path, LATER_MS, &doc), -EPROTO);
    assert_contains(err.text, "lbparse ended with signal 11 on proxies.d/etl.yaml");
    compiled_free(&c);
    c = with_parser(state, "yes");
    assert_int_equal(get(c, path, LATER_MS, &doc), -EPROTO);
    assert_contains(err.text, "said too much");
    compiled_free(&c);
    c = compiled_new(testing_path(state, "none"), NULL, geteuid());
    assert_int_equal(get(c, path, LATER_MS, &doc), -EPROTO);
    assert_contains(err.text, "cannot start");
    compiled_free(&c);
}

static void the_files_asked_for_last_are_remembered(void **state)
{
    struct compiled *c = with_parser(state, "cat");
    struct span doc;
    char name[20];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "p%d.yaml", i);
        const char *path = testing_path(state, name);
        assert_int_equal(file_write_atomic(path, span_str(name), 0644, &err), 0);
        assert_int_equal(get(c, path, LATER_MS, &doc), 0);
        assert_true(span_eq_str(doc, name));
    }
    assert_int_equal(starts(state), 100);
    assert_int_equal(get(c, testing_path(state, "p99.yaml"), LATER_MS, &doc), 0);
    assert_int_equal(starts(state), 100);
    compiled_free(&c);
}

static void the_real_parser_compiles_a_proxy(void **state)
{
    char *program = compiled_program();
    struct compiled *c = compiled_new(program, NULL, geteuid());
    struct span doc;
    const char *path =
        write_etl(state, "proxy: etl\nuser: etl\nsubsystems: [exec]\nprincipals: [anna]\n");
    if (get(c, path, LATER_MS, &doc) < 0)
        fail_msg("%s", err.text);
    assert_true(doc.n > 20);
    write_etl(state, "proxy: etl\nusr: etl\n");
    assert_int_equal(get(c, path, LATER_MS, &doc), -EINVAL);
    assert_contains(err.text, "proxies.d/etl.yaml:2:1: unknown key 'usr' (did you mean 'user'?); ");
    compiled_free(&c);
    mem_free(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_file_is_compiled_once_until_it_changes),
        in_folder(a_file_that_is_wrong_now_is_refused_and_the_older_one_forgotten),
        in_folder(a_file_that_has_just_changed_is_not_believed_to_be_unchanged),
        in_folder(a_file_that_is_gone_or_not_ours_alone_is_refused),
        in_folder(a_parser_that_hangs_is_killed_and_left_alone_for_a_while),
        in_folder(a_parser_that_fails_or_is_missing_is_named),
        in_folder(the_files_asked_for_last_are_remembered),
        in_folder(the_real_parser_compiles_a_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
