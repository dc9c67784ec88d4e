#include "trust/lockedkey.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trust/fixture.h"
#include "trust/passphrase.h"
#include "trust/secret.h"

static const struct lockedkey_cost cheap = {crypto_pwhash_OPSLIMIT_MIN, crypto_pwhash_MEMLIMIT_MIN};

static struct buf sealed(const char *passphrase)
{
    struct key k = fixture_key('k');
    struct buf text = {0};
    struct error err = {0};
    if (lockedkey_seal(&k, passphrase, &cheap, &text, &err) < 0)
        fail_msg("%s", err.text);
    return text;
}

static void the_right_passphrase_gives_the_seed_back(void **state)
{
    (void)state;
    struct buf text = sealed("four words are long");
    uint8_t seed[KEY_SEED];
    struct hash public_key;
    assert_true(lockedkey_is(buf_span(&text)));
    assert_int_equal(lockedkey_open(buf_span(&text), "four words are long", seed, NULL), 0);
    assert_memory_equal(seed, fixture_key('k').seed, KEY_SEED);
    assert_int_equal(lockedkey_public(buf_span(&text), &public_key, NULL), 0);
    assert_memory_equal(public_key.b, fixture_key('k').sign.b, sizeof public_key.b);
    buf_free(&text);
}

static void the_file_does_not_hold_the_seed(void **state)
{
    (void)state;
    struct buf text = sealed("four words are long");
    char digits[2 * KEY_SEED + 1];
    sodium_bin2hex(digits, sizeof digits, fixture_key('k').seed, KEY_SEED);
    assert_null(strstr(buf_str(&text), digits));
    buf_free(&text);
}

static void a_wrong_passphrase_is_called_wrong(void **state)
{
    (void)state;
    struct buf text = sealed("four words are long");
    uint8_t seed[KEY_SEED];
    struct error err = {0};
    assert_int_equal(lockedkey_open(buf_span(&text), "four words are lon", seed, &err), -EBADMSG);
    assert_contains(err.text, "the passphrase is wrong");
    buf_free(&text);
}

static void every_changed_byte_is_called_damage(void **state)
{
    (void)state;
    struct buf text = sealed("four words are long");
    for (size_t i = strlen("longboat-locked-key 1\n"); i < text.n; i++) {
        struct error err = {0};
        struct hash public_key;
        text.p[i] ^= 1;
        assert_int_equal(lockedkey_public(buf_span(&text), &public_key, &err), -EINVAL);
        assert_contains(err.text, "damaged");
        text.p[i] ^= 1;
    }
    for (size_t n = 0; n < text.n; n++)
        assert_int_equal(lockedkey_public(span_of(text.p, n), &(struct hash){{0}}, NULL), -EINVAL);
    buf_free(&text);
}

/* Somebody who can write the file but does not know the passphrase makes the sum right again. */
static void a_forged_line_is_refused_even_with_a_right_sum(void **state)
{
    (void)state;
    struct buf text = sealed("four words are long");
    char *other = strstr(buf_str(&text), "public ") + strlen("public ");
    *other = *other == '0' ? '1' : '0';
    char *check = strstr(buf_str(&text), "check ");
    uint8_t digest[32], seed[KEY_SEED];
    crypto_generichash(digest, sizeof digest, text.p, (size_t)((uint8_t *)check - text.p), NULL, 0);
    char sum[17];
    sodium_bin2hex(sum, sizeof sum, digest, 8);
    memcpy(check + strlen("check "), sum, 16);
    assert_int_equal(lockedkey_open(buf_span(&text), "four words are long", seed, NULL), -EBADMSG);
    buf_free(&text);
}

static void a_newer_version_is_named(void **state)
{
    (void)state;
    struct hash public_key;
    struct error err = {0};
    assert_int_equal(
        lockedkey_public(span_str("longboat-locked-key 2\nsomething\n"), &public_key, &err),
        -EPROTONOSUPPORT);
    assert_contains(err.text, "version '2'");
    assert_contains(err.text, "newer");
}

/* A file may not make us take all memory. */
static void costs_beyond_those_of_libsodium_are_refused(void **state)
{
    (void)state;
    struct buf text = {0};
    struct hash public_key;
    struct error err = {0};
    struct key k = fixture_key('k');
    struct lockedkey_cost cost = {1, 1 << 20};
    assert_int_equal(lockedkey_seal(&k, "x", &cost, &text, &err), 0);
    char *memory = strstr(buf_str(&text), "1048576");
    assert_non_null(memory);
    memcpy(memory, "9999999999", 7);
    assert_int_equal(lockedkey_public(buf_span(&text), &public_key, NULL), -EINVAL);
    buf_free(&text);
}

static const char *passphrase_file(void **state, const char *text)
{
    const char *path = testing_path(state, "passphrase");
    assert_int_equal(file_write_atomic(path, span_str(text), 0600, NULL), 0);
    setenv("LONGBOAT_PASSPHRASE_FILE", path, 1);
    return path;
}

static void an_encrypted_key_file_is_opened_with_the_passphrase_of_a_file(void **state)
{
    char *path = mem_strdup(testing_path(state, "sign.key"));
    struct key k = fixture_key('k'), back;
    struct hash public_key;
    struct error err = {0};
    passphrase_file(state, "four words are long\n");
    assert_int_equal(key_file_create_locked(path, &k, "four words are long", &err), 0);
    assert_int_equal(key_file_is_locked(path, &public_key, &err), 1);
    assert_memory_equal(&public_key, &k.sign, sizeof public_key);
    assert_int_equal(key_load(path, &back, &err), 0);
    assert_memory_equal(back.seed, k.seed, KEY_SEED);
    key_forget(&back);
    /* once in a process: the passphrase is not needed again */
    passphrase_file(state, "another one, wrong\n");
    assert_int_equal(key_load(path, &back, &err), 0);
    key_forget(&back);
    assert_int_equal(key_file_replace(path, &k, NULL, &err), 0);
    assert_int_equal(key_file_is_locked(path, &public_key, &err), 0);
    assert_int_equal(key_load(path, &back, &err), 0);
    key_forget(&back);
    assert_int_equal(key_file_replace(path, &k, "quite another one", &err), 0);
    assert_int_equal(key_load(path, &back, &err), -EBADMSG);
    assert_contains(err.text, path);
    assert_contains(err.text, "wrong");
    mem_free(&path);
}

static void without_a_terminal_or_a_file_the_sentence_says_what_to_do(void **state)
{
    char *path = mem_strdup(testing_path(state, "sign.key"));
    struct key k = fixture_key('z'), back;
    struct error err = {0};
    unsetenv("LONGBOAT_PASSPHRASE_FILE");
    assert_int_equal(key_file_create_locked(path, &k, "four words are long", &err), 0);
    assert_int_equal(key_load(path, &back, &err), -EACCES);
    assert_contains(err.text, path);
    assert_contains(err.text, "LONGBOAT_PASSPHRASE_FILE");
    mem_free(&path);
}

static void a_passphrase_file_is_judged(void **state)
{
    char line[PASSPHRASE_MAX];
    struct error err = {0};
    const char *path = passphrase_file(state, "\n");
    assert_int_equal(passphrase_ask("it", line, &err), -EINVAL);
    assert_contains(err.text, "is empty");
    passphrase_file(state, "short\n");
    assert_int_equal(passphrase_ask_new("it", line, &err), -EINVAL);
    assert_contains(err.text, "fewer than 12");
    assert_int_equal(passphrase_ask("it", line, &err), 0);
    assert_string_equal(line, "short");
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(passphrase_ask("it", line, &err), -EPERM);
}

static void secrets_are_zero_apart_and_used_again(void **state)
{
    (void)state;
    static const uint8_t zero[SECRET_MAX];
    enum { MANY = 100 };
    uint8_t *all[MANY];
    for (int i = 0; i < MANY; i++) {
        all[i] = secret_alloc();
        assert_memory_equal(all[i], zero, sizeof zero);
        memset(all[i], i + 1, SECRET_MAX);
    }
    for (int i = 0; i < MANY; i++)
        for (size_t j = 0; j < SECRET_MAX; j++)
            assert_int_equal(all[i][j], i + 1);
    uint8_t *one = all[50];
    secret_free(one);
    assert_memory_equal(one, zero, sizeof zero);
    all[50] = secret_alloc();
    assert_memory_equal(all[50], zero, sizeof zero);
    for (int i = 0; i < MANY; i++)
        secret_free(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_passphrase_gives_the_seed_back),
        cmocka_unit_test(the_file_does_not_hold_the_seed),
        cmocka_unit_test(a_wrong_passphrase_is_called_wrong),
        cmocka_unit_test(every_changed_byte_is_called_damage),
        cmocka_unit_test(a_forged_line_is_refused_even_with_a_right_sum),
        cmocka_unit_test(a_newer_version_is_named),
        cmocka_unit_test(costs_beyond_those_of_libsodium_are_refused),
        in_folder(an_encrypted_key_file_is_opened_with_the_passphrase_of_a_file),
        in_folder(without_a_terminal_or_a_file_the_sentence_says_what_to_do),
        in_folder(a_passphrase_file_is_judged),
        cmocka_unit_test(secrets_are_zero_apart_and_used_again),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
