/* builders_test.c - trust/signers, and who counts as whom. */
#include "common/testing.h"

#include <errno.h>

#include "trust/builders.h"

static struct minisign_public key[3];
static struct buf text;
static struct builder *list;
static size_t n;

static int setup(void **state)
{
    struct minisign_secret secret;
    (void)state;
    for (int i = 0; i < 3; i++)
        minisign_make(&key[i], &secret);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&text);
    mem_free(&list);
    return 0;
}

static void add_key(int i)
{
    minisign_public_line(&key[i], &text);
    buf_add_str(&text, "\n");
}

static void parse(void)
{
    builders_parse(buf_span(&text), &list, &n);
}

static void keys_are_read_with_and_without_remarks(void **state)
{
    (void)state;
    minisign_public_line(&key[0], &text);
    buf_add_str(&text, " # since May\r\n\nnonsense\n");
    minisign_public_line(&key[1], &text);
    parse();
    assert_int_equal(n, 2);
    assert_ptr_equal(builders_find(list, n, &key[1].key), &list[1]);
    assert_null(builders_find(list, n, &key[2].key));
}

static void the_comment_above_a_key_is_its_name(void **state)
{
    (void)state;
    buf_add_str(&text, "# who may build\n\n#  anna \n");
    add_key(0);
    add_key(1);
    parse();
    assert_string_equal(list[0].name, "anna");
    assert_string_equal(list[1].name, "");
}

/* A .pub file is copied as its builder wrote it. */
static void a_builder_cannot_name_themselves(void **state)
{
    (void)state;
    buf_add_str(&text, "untrusted comment: anna\n");
    add_key(0);
    parse();
    assert_int_equal(n, 1);
    assert_string_equal(list[0].name, "");
}

static void a_name_that_two_keys_have_is_nobodys(void **state)
{
    (void)state;
    buf_add_str(&text, "# anna\n");
    add_key(0);
    buf_add_str(&text, "# bert\n");
    add_key(1);
    buf_add_str(&text, "# anna\n");
    add_key(2);
    parse();
    assert_string_equal(list[0].name, "");
    assert_string_equal(list[1].name, "bert");
    assert_string_equal(list[2].name, "");
}

static int judge(int i, const char *name, int64_t now, struct error *err)
{
    const struct builder *by;
    const struct hash nobody = {{0}};
    return builders_judge(list, n, i < 0 ? &nobody : &key[i].key, span_str(name), now, &by, err);
}

static void refused(int i, const char *name, int64_t now, const char *why)
{
    struct error err = {0};
    if (judge(i, name, now, &err) != -EPERM || !strstr(err.text, why))
        fail_msg("expected '%s', not '%s'", why, err.text);
}

static void a_key_may_sign_the_packages_that_its_lines_name(void **state)
{
    (void)state;
    minisign_public_line(&key[0], &text);
    buf_add_str(&text, " packages=extract,load-*\n");
    minisign_public_line(&key[0], &text);
    buf_add_str(&text, " until=2027-01-31 packages=report # for the audit\n");
    add_key(1);
    parse();
    assert_int_equal(n, 3);
    assert_int_equal(judge(0, "extract", 0, NULL), 0);
    assert_int_equal(judge(0, "load-orders", 0, NULL), 0);
    assert_int_equal(judge(0, "report", 0, NULL), 0);
    assert_int_equal(judge(1, "anything", 0, NULL), 0);
    refused(0, "extract2", 0, "allows only these packages: ");
    refused(0, "xload-", 0, "allows only");
    refused(2, "extract", 0, "has no signature of a signer in trust/signers");
    refused(-1, "extract", 0, "has no signature");
}

static void a_day_ends_at_midnight(void **state)
{
    (void)state;
    const int64_t over = INT64_C(1801440000000); /* 2027-02-01 */
    minisign_public_line(&key[0], &text);
    buf_add_str(&text, " until=2027-01-31\n");
    parse();
    assert_int_equal(judge(0, "extract", over - 1, NULL), 0);
    refused(0, "extract", over, "whose time in trust/signers is over");
}

static void one_line_that_revokes_a_key_is_enough(void **state)
{
    (void)state;
    buf_add_str(&text, "# anna\n");
    add_key(0);
    minisign_public_line(&key[0], &text);
    buf_add_str(&text, " revoked\n");
    add_key(1);
    parse();
    refused(0, "extract", 0, "is signed by key ");
    refused(0, "extract", 0, "which is revoked");
    assert_int_equal(judge(1, "extract", 0, NULL), 0);
}

static void unsigned_packages_are_taken_by_name_only(void **state)
{
    (void)state;
    add_key(0);
    buf_add_str(&text, "unsigned packages=hello-*\n");
    parse();
    assert_int_equal(judge(-1, "hello-you", 0, NULL), 0);
    refused(-1, "extract", 0, "is signed by no one, whom trust/signers allows only");
    assert_null(builders_find(list, n, &(struct hash){{0}}));
}

/* They grant nothing, and the first of them is named. */
static void lines_that_cannot_be_read(void **state)
{
    static const struct {
        const char *rest, *why;
    } all[] = {{" until=2027-02-30", "is no day"},
               {" until=tomorrow", "is no day"},
               {" until=", "is no day"},
               {" packages=", "is no list"},
               {" packages=a,,b", "is no list"},
               {" packages=A", "is no list"},
               {" packages=a, b", "is no list"},
               {" since May", "'since' is not known here"},
               {" packages=a packages=b", "each once"},
               {" Revoked", "not known here"}};
    struct error err;
    unsigned line;
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        buf_clear(&text);
        add_key(1);
        minisign_public_line(&key[0], &text);
        buf_add_str(&text, all[i].rest);
        assert_int_equal(builders_check(buf_span(&text), &line, &err), -EINVAL);
        assert_int_equal(line, 2);
        if (!strstr(err.text, all[i].why))
            fail_msg("'%s': '%s'", all[i].rest, err.text);
        mem_free(&list);
        parse();
        assert_int_equal(n, 1);
        refused(0, "a", 0, "has no signature");
    }
    assert_int_equal(builders_check(span_str("unsigned"), &line, &err), -EINVAL);
    assert_non_null(strstr(err.text, "must say of which packages"));
    assert_int_equal(builders_check(span_str("nonsense"), &line, &err), -EINVAL);
    assert_int_equal(builders_check(span_str("# a\n\nuntrusted comment: b\n"), &line, &err), 0);
}

#define here(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        here(keys_are_read_with_and_without_remarks),
        here(the_comment_above_a_key_is_its_name),
        here(a_builder_cannot_name_themselves),
        here(a_name_that_two_keys_have_is_nobodys),
        here(a_key_may_sign_the_packages_that_its_lines_name),
        here(a_day_ends_at_midnight),
        here(one_line_that_revokes_a_key_is_enough),
        here(unsigned_packages_are_taken_by_name_only),
        here(lines_that_cannot_be_read),
    };
    if (trust_init(NULL) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
