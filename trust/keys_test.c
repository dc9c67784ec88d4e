#include "trust/keys.h"

#include <sys/stat.h>
#include <unistd.h>

#include "trust/fixture.h"
#include "trust/secret.h"

static void a_seed_always_gives_the_same_keys(void **state)
{
    (void)state;
    /* RFC 8032, 7.1, test 1 */
    static const char seed_text[] =
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    uint8_t seed[KEY_SEED];
    struct key k;
    char text[KEY_TEXT];
    assert_int_equal(sodium_hex2bin(seed, sizeof seed, seed_text, 64, NULL, NULL, NULL), 0);
    key_from_seed(seed, &k);
    assert_string_equal(key_format(&k.sign, text),
                        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
}

static void the_transport_key_follows_from_the_signing_key(void **state)
{
    (void)state;
    struct key k;
    struct hash transport, computed;
    key_make(&k);
    assert_int_equal(key_transport_of(&k.sign, &transport, NULL), 0);
    assert_true(hash_eq(&transport, &k.transport));
    crypto_scalarmult_base(computed.b, k.transport_secret);
    assert_true(hash_eq(&computed, &k.transport));
}

static void bytes_that_are_not_a_key_have_no_transport_key(void **state)
{
    (void)state;
    struct hash zero = {{0}}, transport = {{5}};
    struct error err = {0};
    assert_int_equal(key_transport_of(&zero, &transport, &err), -EINVAL);
    assert_contains(err.text, "not an Ed25519");
    assert_int_equal(transport.b[0], 5);
}

static void two_new_keys_differ(void **state)
{
    (void)state;
    struct key a, b;
    key_make(&a);
    key_make(&b);
    assert_false(hash_eq(&a.sign, &b.sign));
}

static void a_forgotten_key_is_wiped(void **state)
{
    (void)state;
    static const struct key nothing;
    struct key k = fixture_key('a');
    key_forget(&k);
    assert_memory_equal(&k, &nothing, sizeof k);
    struct seal_key s;
    seal_key_from_seed(fixture_key('a').seed, &s);
    seal_key_forget(&s);
    assert_memory_equal(&s, &nothing, sizeof s);
}

static void a_key_file_is_private_and_can_be_read_back(void **state)
{
    const char *path = testing_path(state, "sign.key");
    struct key k = fixture_key('k'), back;
    struct error err = {0};
    assert_int_equal(key_file_create(path, k.seed, &err), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    assert_int_equal(st.st_size, 65);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(key_load(path, &back, &err), 0);
    assert_memory_equal(&back.sign, &k.sign, sizeof k.sign);
    assert_memory_equal(back.sign_secret, k.sign_secret, 64);
    assert_memory_equal(back.transport_secret, k.transport_secret, 32);
    key_forget(&back);
    struct seal_key seal, again;
    seal_key_from_seed(k.seed, &seal);
    assert_int_equal(seal_key_load(path, &again, &err), 0);
    assert_memory_equal(&again.public_key, &seal.public_key, sizeof seal.public_key);
    assert_memory_equal(again.secret, seal.secret, 32);
    seal_key_forget(&seal);
    seal_key_forget(&again);
}

static void a_key_file_is_never_overwritten(void **state)
{
    const char *path = testing_path(state, "sign.key");
    struct error err = {0};
    struct key back;
    assert_int_equal(key_file_create(path, fixture_key('k').seed, NULL), 0);
    assert_int_equal(key_file_create(path, fixture_key('x').seed, &err), -EEXIST);
    assert_contains(err.text, path);
    assert_contains(err.text, "already exists");
    assert_int_equal(key_load(path, &back, NULL), 0);
    assert_memory_equal(&back.sign, fixture_key('k').sign.b, sizeof back.sign);
}

static void a_missing_folder_is_named(void **state)
{
    struct error err = {0};
    const char *path = testing_path(state, "none/sign.key");
    assert_int_equal(key_file_create(path, fixture_key('k').seed, &err), -ENOENT);
    assert_contains(err.text, path);
}

static void a_key_file_that_others_can_read_is_refused(void **state)
{
    const char *path = testing_path(state, "sign.key");
    struct error err = {0};
    uint8_t seed[KEY_SEED];
    assert_int_equal(key_file_create(path, fixture_key('k').seed, NULL), 0);
    assert_int_equal(chmod(path, 0440), 0);
    assert_int_equal(key_file_load(path, seed, &err), -EPERM);
    assert_contains(err.text, path);
}

static void a_key_file_with_other_content_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "\n",
        "abc\n",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f6\n",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f600\n",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f6x\n"};
    const char *path = testing_path(state, "sign.key");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct key k = {.sign = {"as it was"}};
        struct error err = {0};
        assert_int_equal(file_write_atomic(path, span_str(wrong[i]), 0400, NULL), 0);
        assert_int_equal(key_load(path, &k, &err), -EINVAL);
        assert_string_equal((char *)k.sign.b, "as it was");
        struct seal_key s;
        assert_int_equal(seal_key_load(path, &s, &err), -EINVAL);
    }
}

static void public_keys_are_text_for_files_and_short_for_people(void **state)
{
    (void)state;
    struct key k = fixture_key('a');
    struct hash back;
    char text[KEY_TEXT], one[KEY_SHORT_TEXT], two[KEY_SHORT_TEXT];
    assert_int_equal(key_parse(key_format(&k.sign, text), &back, NULL), 0);
    assert_true(hash_eq(&back, &k.sign));
    assert_int_equal(strlen(key_short(&k.sign, one)), 8);
    assert_string_not_equal(one, key_short(&k.transport, two));
    struct error err = {0};
    assert_int_equal(key_parse("12", &back, &err), -EINVAL);
    assert_contains(err.text, "64 hexadecimal digits");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_always_gives_the_same_keys),
        cmocka_unit_test(the_transport_key_follows_from_the_signing_key),
        cmocka_unit_test(bytes_that_are_not_a_key_have_no_transport_key),
        cmocka_unit_test(two_new_keys_differ),
        cmocka_unit_test(a_forgotten_key_is_wiped),
        in_folder(a_key_file_is_private_and_can_be_read_back),
        in_folder(a_key_file_is_never_overwritten),
        in_folder(a_missing_folder_is_named),
        in_folder(a_key_file_that_others_can_read_is_refused),
        in_folder(a_key_file_with_other_content_is_refused),
        cmocka_unit_test(public_keys_are_text_for_files_and_short_for_people),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
