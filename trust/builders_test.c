/* builders_test.c - trust/signers, and who counts as whom. */
#include "common/testing.h"

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
    buf_add_str(&text, " since May\r\n\nnonsense\n");
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

#define here(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        here(keys_are_read_with_and_without_remarks),
        here(the_comment_above_a_key_is_its_name),
        here(a_builder_cannot_name_themselves),
        here(a_name_that_two_keys_have_is_nobodys),
    };
    if (trust_init(NULL) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
