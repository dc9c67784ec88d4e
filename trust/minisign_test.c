#include "trust/minisign.h"

#include <sys/stat.h>

#include "proto/limits.h"
#include "trust/fixture.h"

/* Runs a command in the test's folder; returns its exit code. */
static int run(void **state, const char *command)
{
    char *line = mem_printf("cd '%s' && %s >out 2>&1 </dev/null", (const char *)*state, command);
    int rc = system(line);
    mem_free(&line);
    return rc;
}

static bool minisign_is_missing(void)
{
    if (system("command -v minisign >/dev/null 2>&1") == 0)
        return false;
    printf("the program minisign is missing: what it thinks of our files is not tested\n");
    return true;
}

static void put(void **state, const char *name, struct span text)
{
    assert_int_equal(file_write_atomic(testing_path(state, name), text, 0600, NULL), 0);
}

static struct buf get(void **state, const char *name)
{
    struct buf b = {0};
    assert_int_equal(file_read(testing_path(state, name), 1 << 20, &b, NULL), 0);
    return b;
}

static void digest_of(struct span data, uint8_t out[MINISIGN_DIGEST])
{
    struct minisign_hash h;
    minisign_hash_begin(&h);
    minisign_hash_add(&h, data);
    minisign_hash_end(&h, out);
}

struct minisign_pair {
    struct minisign_public p;
    struct minisign_secret s;
};

static struct buf sign(const struct minisign_secret *s, const char *data, const char *comment)
{
    struct buf out = {0};
    uint8_t digest[MINISIGN_DIGEST];
    digest_of(span_str(data), digest);
    assert_int_equal(minisign_sign(s, digest, comment, &out, NULL), 0);
    return out;
}

static int judge(struct span signature, const struct minisign_public *p, const char *data,
                 struct error *err)
{
    struct minisign_signature sig;
    uint8_t digest[MINISIGN_DIGEST];
    int rc = minisign_signature_parse(signature, &sig, err);
    digest_of(span_str(data), digest);
    return rc < 0 ? rc : minisign_verify(&sig, p, digest, err);
}

static void signed_data_is_verified(void **state)
{
    (void)state;
    struct minisign_pair k;
    struct minisign_signature sig;
    minisign_make(&k.p, &k.s);
    struct buf b = sign(&k.s, "data", "extract 1.2.0");
    struct error err = {0};
    assert_int_equal(judge(buf_span(&b), &k.p, "data", &err), 0);
    assert_int_equal(minisign_signature_parse(buf_span(&b), &sig, NULL), 0);
    assert_true(sig.prehashed);
    assert_string_equal(sig.comment, "extract 1.2.0");
    assert_int_equal(minisign_verify_data(&sig, &k.p, span_str("data"), NULL), 0);
    assert_int_equal(judge(buf_span(&b), &k.p, "date", &err), -EBADMSG);
    assert_contains(err.text, "the file was altered");
    buf_free(&b);
}

static void data_may_come_in_pieces(void **state)
{
    (void)state;
    struct minisign_hash h;
    uint8_t whole[MINISIGN_DIGEST], pieces[MINISIGN_DIGEST];
    digest_of(span_str("a large archive"), whole);
    minisign_hash_begin(&h);
    minisign_hash_add(&h, span_str("a large "));
    minisign_hash_add(&h, SPAN_NONE);
    minisign_hash_add(&h, span_str("archive"));
    minisign_hash_end(&h, pieces);
    assert_memory_equal(whole, pieces, sizeof whole);
}

static void another_builders_signature_is_refused(void **state)
{
    (void)state;
    struct minisign_pair k, other;
    struct error err = {0};
    minisign_make(&k.p, &k.s);
    minisign_make(&other.p, &other.s);
    struct buf b = sign(&k.s, "data", "");
    assert_int_equal(judge(buf_span(&b), &other.p, "data", &err), -EBADMSG);
    assert_contains(err.text, "not by key");
    memcpy(other.p.number, k.p.number, sizeof other.p.number);
    assert_int_equal(judge(buf_span(&b), &other.p, "data", &err), -EBADMSG);
    assert_contains(err.text, "does not match");
    buf_free(&b);
}

/* Only the untrusted comment's words may change: nothing depends on them. */
static void no_byte_of_a_signature_can_be_altered(void **state)
{
    (void)state;
    struct minisign_pair k;
    minisign_make(&k.p, &k.s);
    struct buf b = sign(&k.s, "data", "extract 1.2.0");
    size_t words = strlen("untrusted comment: "),
           end = (size_t)((uint8_t *)memchr(b.p, '\n', b.n) - b.p);
    for (size_t at = 0; at < b.n; at++)
        for (int bit = 0; bit < 8; bit++) {
            struct error err = {0};
            b.p[at] ^= (uint8_t)(1 << bit);
            bool ours = at >= words && at < end && b.p[at] != '\n';
            if ((judge(buf_span(&b), &k.p, "data", &err) == 0) != ours)
                fail_msg("bit %d of byte %zu: %s", bit, at, err.text);
            b.p[at] ^= (uint8_t)(1 << bit);
        }
    for (size_t n = 0; n < b.n - 1; n++)
        assert_int_not_equal(judge(span_of(b.p, n), &k.p, "data", NULL), 0);
    buf_free(&b);
}

static void a_file_that_is_not_a_signature_is_refused(void **state)
{
    (void)state;
    struct minisign_signature sig = {.comment = "as it was"};
    struct minisign_pair k;
    struct error err = {0};
    minisign_make(&k.p, &k.s);
    struct buf b = sign(&k.s, "data", "c"), more = buf_dup(buf_span(&b));
    buf_add_str(&more, "more\n");
    assert_int_equal(minisign_signature_parse(buf_span(&more), &sig, &err), -EINVAL);
    assert_contains(err.text, "there is text after line 4");
    char *comment = strstr((char *)buf_str(&b), "\ntrusted comment: c\n") + 1;
    int before = (int)(comment - (char *)b.p);
    const char *after = comment + strlen("trusted comment: c\n");
    char large[MINISIGN_COMMENT + 1];
    memset(large, 'c', MINISIGN_COMMENT);
    large[MINISIGN_COMMENT] = 0;
    const char *const lines[] = {"trusted Comment: c", "", large}, *const begins[] = {
                                                                       "", "", "trusted comment: "};
    for (size_t i = 0; i < 3; i++) {
        buf_clear(&more);
        buf_printf(&more, "%.*s%s%s\n%s", before, (char *)b.p, begins[i], lines[i], after);
        assert_int_equal(minisign_signature_parse(buf_span(&more), &sig, &err), -EINVAL);
        assert_contains(err.text, "line 3");
    }
    buf_clear(&more);
    buf_grow(&more, LIMIT_SIGNATURE + 1);
    memset(more.p, 'a', LIMIT_SIGNATURE + 1);
    assert_int_equal(minisign_signature_parse(span_of(more.p, LIMIT_SIGNATURE + 1), &sig, &err),
                     -EMSGSIZE);
    static const char *const wrong[] = {"", "\n\n\n\n", "untrusted comment: x\n",
                                        "untrusted comment: x\nAAAA\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(minisign_signature_parse(span_str(wrong[i]), &sig, &err), -EINVAL);
    assert_string_equal(sig.comment, "as it was");
    buf_free(&b);
    buf_free(&more);
}

static void a_trusted_comment_is_one_line(void **state)
{
    (void)state;
    struct minisign_pair k;
    char large[MINISIGN_COMMENT + 1];
    minisign_make(&k.p, &k.s);
    memset(large, 'c', sizeof large);
    large[MINISIGN_COMMENT] = 0;
    const char *const wrong[] = {"two\nlines", "a\tb", "del\x7f", large};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct buf out = {0};
        struct error err = {0};
        assert_int_equal(
            minisign_sign(&k.s, (const uint8_t[MINISIGN_DIGEST]){0}, wrong[i], &out, &err),
            -EINVAL);
        assert_contains(err.text, "trusted comment");
        assert_int_equal(out.n, 0);
    }
    large[MINISIGN_COMMENT - 1] = 0;
    struct buf b = sign(&k.s, "data", large);
    assert_int_equal(judge(buf_span(&b), &k.p, "data", NULL), 0);
    buf_free(&b);
}

static void public_keys_are_read_with_and_without_their_comment(void **state)
{
    (void)state;
    struct minisign_pair k;
    struct minisign_public back;
    struct buf text = {0}, line = {0};
    minisign_make(&k.p, &k.s);
    minisign_public_format(&k.p, &text);
    minisign_public_line(&k.p, &line);
    assert_int_equal(line.n, 56);
    assert_int_equal(minisign_public_parse(buf_span(&text), &back, NULL), 0);
    assert_true(minisign_public_eq(&back, &k.p));
    assert_int_equal(minisign_public_parse(buf_span(&line), &back, NULL), 0);
    assert_true(minisign_public_eq(&back, &k.p));
    buf_add_str(&line, "\r\n");
    back = (struct minisign_public){0};
    assert_int_equal(minisign_public_parse(buf_span(&line), &back, NULL), 0);
    assert_true(minisign_public_eq(&back, &k.p));
    minisign_public_of(&k.s, &back);
    assert_true(minisign_public_eq(&back, &k.p));
    back.number[0] ^= 1;
    assert_false(minisign_public_eq(&back, &k.p));
    static const char *const wrong[] = {
        "",
        "RW",
        "untrusted comment: x\n",
        "RWRD3Q9glaWWvZS1/V1pU34eEVSzc4NNhOmtR4wonQinHA76OT9OAy3B\nmore",
        "XWRD3Q9glaWWvZS1/V1pU34eEVSzc4NNhOmtR4wonQinHA76OT9OAy3B",
        "RWRD3Q9glaWWvZS1/V1pU34eEVSzc4NNhOmtR4wonQinHA76OT9OAy3"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct error err = {0};
        assert_int_equal(minisign_public_parse(span_str(wrong[i]), &back, &err), -EINVAL);
        assert_contains(err.text, "begins with RW");
    }
    buf_free(&text);
    buf_free(&line);
}

static void a_keys_number_is_read_as_minisign_prints_it(void **state)
{
    (void)state;
    char text[MINISIGN_NUMBER_TEXT];
    assert_string_equal(minisign_number((const uint8_t *)"\x89\x96\x3f\x32\x1d\x9d\x9a\x0a", text),
                        "A9A9D1D323F9689");
    assert_string_equal(minisign_number((const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff", text),
                        "FFFFFFFFFFFFFFFF");
}

static void a_secret_key_is_kept_in_a_file(void **state)
{
    const char *path = testing_path(state, "builder.key");
    struct minisign_pair k;
    struct minisign_secret back;
    struct error err = {0};
    minisign_make(&k.p, &k.s);
    assert_int_equal(minisign_secret_create(path, &k.s, &err), 0);
    assert_int_equal(minisign_secret_load(path, NULL, &back, &err), 0);
    assert_memory_equal(&back, &k.s, sizeof back);
    assert_int_equal(minisign_secret_create(path, &k.s, &err), -EEXIST);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(file_write_atomic(path, span_str("nothing"), 0400, NULL), 0);
    assert_int_equal(minisign_secret_load(path, NULL, &back, &err), -EINVAL);
    assert_contains(err.text, path);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(minisign_secret_load(path, NULL, &back, &err), -EPERM);
    minisign_forget(&back);
    static const struct minisign_secret none;
    assert_memory_equal(&back, &none, sizeof back);
}

static void a_damaged_secret_key_is_refused(void **state)
{
    (void)state;
    struct minisign_pair k, other;
    struct minisign_secret back;
    struct buf text = {0};
    struct error err = {0};
    minisign_make(&k.p, &k.s);
    minisign_make(&other.p, &other.s);
    struct minisign_secret mixed = k.s;
    memcpy(mixed.secret + 32, other.p.key.b, 32); /* another public half */
    minisign_secret_format(&mixed, &text);
    assert_int_equal(minisign_secret_parse(buf_span(&text), NULL, &back, &err), -EBADMSG);
    assert_contains(err.text, "damaged");
    char *kdf = strstr((char *)buf_str(&text), "\nRWQAAEIy");
    assert_non_null(kdf);
    kdf[4] = 'B'; /* the kdf "\0@", which is unknown */
    assert_int_equal(minisign_secret_parse(buf_span(&text), NULL, &back, &err), -EINVAL);
    assert_contains(err.text, "encrypted in an unknown way");
    for (size_t n = 0; n < text.n - 1; n++)
        assert_int_equal(minisign_secret_parse(span_of(text.p, n), NULL, &back, NULL), -EINVAL);
    buf_free(&text);
}

/* The line of a secret key with scrypt's smallest parameters; the layout is minisign's: see
 * minisign_key.c. */
static struct buf encrypted_key(const struct minisign_secret *s, const char *password,
                                uint8_t memory_high)
{
    enum { SALT = 6, OPERATIONS = 38, MEMORY = 46, HIDDEN = 54, CHECK = HIDDEN + 72, SIZE = 158 };
    uint8_t line[SIZE] = "EdScB2", stream[SIZE - HIDDEN], covered[2 + 72] = "Ed";
    memset(line + SALT, 5, 32);
    line[OPERATIONS + 1] = 0x80; /* 32768 */
    line[MEMORY + 3] = memory_high;
    line[MEMORY + 2] = 1; /* 65536 */
    memcpy(line + HIDDEN, s->number, 8);
    memcpy(line + HIDDEN + 8, s->secret, 64);
    memcpy(covered + 2, line + HIDDEN, 72);
    crypto_generichash(line + CHECK, 32, covered, sizeof covered, NULL, 0);
    assert_int_equal(crypto_pwhash_scryptsalsa208sha256(stream, sizeof stream, password,
                                                        strlen(password), line + SALT, 32768,
                                                        65536),
                     0);
    for (size_t i = 0; i < sizeof stream; i++)
        line[HIDDEN + i] ^= stream[i];
    char text[300];
    sodium_bin2base64(text, sizeof text, line, sizeof line, sodium_base64_VARIANT_ORIGINAL);
    struct buf out = {0};
    buf_printf(&out, "untrusted comment: minisign encrypted secret key\n%s\n", text);
    return out;
}

static void an_encrypted_secret_key_needs_its_password(void **state)
{
    (void)state;
    struct minisign_pair k;
    struct minisign_secret back = {.number = "asitwas"};
    struct error err = {0};
    minisign_make(&k.p, &k.s);
    struct buf text = encrypted_key(&k.s, "hush", 0), plain = {0},
               greedy = encrypted_key(&k.s, "hush", 0x80);
    minisign_secret_format(&k.s, &plain);
    assert_true(minisign_secret_is_encrypted(buf_span(&text)));
    assert_false(minisign_secret_is_encrypted(buf_span(&plain)));
    assert_false(minisign_secret_is_encrypted(span_str("nothing")));
    assert_int_equal(minisign_secret_parse(buf_span(&text), NULL, &back, &err), -EACCES);
    assert_contains(err.text, "its password is needed");
    assert_int_equal(minisign_secret_parse(buf_span(&text), "hushh", &back, &err), -EBADMSG);
    assert_contains(err.text, "password");
    assert_int_equal(minisign_secret_parse(buf_span(&greedy), "hush", &back, &err), -EINVAL);
    assert_contains(err.text, "more memory");
    assert_string_equal((char *)back.number, "asitwas");
    assert_int_equal(minisign_secret_parse(buf_span(&text), "hush", &back, &err), 0);
    assert_memory_equal(&back, &k.s, sizeof back);
    buf_free(&text);
    buf_free(&plain);
    buf_free(&greedy);
}

static void minisign_accepts_our_signatures(void **state)
{
    if (minisign_is_missing())
        return skip();
    struct minisign_pair k;
    struct buf text = {0};
    minisign_make(&k.p, &k.s);
    minisign_public_format(&k.p, &text);
    put(state, "our.pub", buf_span(&text));
    put(state, "data", span_str("data"));
    struct buf sig = sign(&k.s, "data", "extract 1.2.0");
    put(state, "data.minisig", buf_span(&sig));
    assert_int_equal(run(state, "minisign -V -H -p our.pub -m data"), 0);
    struct buf said = get(state, "out");
    assert_contains(buf_str(&said), "Trusted comment: extract 1.2.0");
    put(state, "data", span_str("date"));
    assert_int_not_equal(run(state, "minisign -V -p our.pub -m data"), 0);
    buf_free(&text);
    buf_free(&sig);
    buf_free(&said);
}

static void minisign_signs_with_our_secret_keys(void **state)
{
    if (minisign_is_missing())
        return skip();
    struct minisign_pair k;
    minisign_make(&k.p, &k.s);
    assert_int_equal(minisign_secret_create(testing_path(state, "our.key"), &k.s, NULL), 0);
    put(state, "data", span_str("data"));
    assert_int_equal(run(state, "minisign -S -W -s our.key -m data -t 'by hand'"), 0);
    struct buf sig = get(state, "data.minisig");
    assert_int_equal(judge(buf_span(&sig), &k.p, "data", NULL), 0);
    buf_free(&sig);
}

static void we_accept_what_minisign_makes(void **state)
{
    if (minisign_is_missing())
        return skip();
    struct minisign_public p;
    struct minisign_secret s;
    struct minisign_signature sig;
    struct error err = {0};
    uint8_t digest[MINISIGN_DIGEST];
    put(state, "data", span_str("data"));
    assert_int_equal(run(state, "minisign -G -W -p its.pub -s its.key"), 0);
    struct buf text = get(state, "its.pub"), secret = get(state, "its.key");
    assert_int_equal(minisign_public_parse(buf_span(&text), &p, NULL), 0);
    char number[MINISIGN_NUMBER_TEXT];
    assert_contains(buf_str(&text), minisign_number(p.number, number));
    assert_int_equal(minisign_secret_parse(buf_span(&secret), NULL, &s, &err), 0);
    struct minisign_public own;
    minisign_public_of(&s, &own);
    assert_true(minisign_public_eq(&own, &p));
    assert_int_equal(run(state, "minisign -S -W -s its.key -m data -t 'extract 1.2.0'"), 0);
    struct buf made = get(state, "data.minisig");
    assert_int_equal(judge(buf_span(&made), &p, "data", &err), 0);
    assert_int_equal(run(state, "minisign -S -l -W -s its.key -m data"), 0);
    struct buf legacy = get(state, "data.minisig");
    assert_int_equal(minisign_signature_parse(buf_span(&legacy), &sig, NULL), 0);
    assert_false(sig.prehashed);
    digest_of(span_str("data"), digest);
    assert_int_equal(minisign_verify_data(&sig, &p, span_str("data"), &err), 0);
    assert_int_equal(minisign_verify_data(&sig, &p, span_str("date"), &err), -EBADMSG);
    assert_int_equal(minisign_verify(&sig, &p, digest, &err), -EOPNOTSUPP);
    assert_contains(err.text, "legacy");
    buf_free(&text);
    buf_free(&secret);
    buf_free(&made);
    buf_free(&legacy);
}

static void minisign_and_we_agree_on_altered_signatures(void **state)
{
    if (minisign_is_missing())
        return skip();
    struct minisign_pair k;
    struct buf text = {0};
    minisign_make(&k.p, &k.s);
    minisign_public_format(&k.p, &text);
    put(state, "our.pub", buf_span(&text));
    put(state, "data", span_str("data"));
    struct buf sig = sign(&k.s, "data", "extract 1.2.0");
    for (size_t at = 0; at < sig.n; at++) {
        struct error err = {0};
        sig.p[at] ^= 2;
        put(state, "data.minisig", buf_span(&sig));
        bool its = run(state, "minisign -V -q -p our.pub -m data") == 0;
        bool ours = judge(buf_span(&sig), &k.p, "data", &err) == 0;
        /* minisign also takes other spellings of the same bytes: stray bits in base64's last
         * character, and what follows it */
        bool spelling =
            at + 1 == sig.n || memchr("=\n", sig.p[at + 1], 2) || sig.p[at] == ('\n' ^ 2);
        if (its != ours && !(its && spelling))
            fail_msg("byte %zu: minisign says %s, we say: %s", at, its ? "yes" : "no", err.text);
        sig.p[at] ^= 2;
    }
    buf_free(&text);
    buf_free(&sig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signed_data_is_verified),
        cmocka_unit_test(data_may_come_in_pieces),
        cmocka_unit_test(another_builders_signature_is_refused),
        cmocka_unit_test(no_byte_of_a_signature_can_be_altered),
        cmocka_unit_test(a_file_that_is_not_a_signature_is_refused),
        cmocka_unit_test(a_trusted_comment_is_one_line),
        cmocka_unit_test(public_keys_are_read_with_and_without_their_comment),
        cmocka_unit_test(a_keys_number_is_read_as_minisign_prints_it),
        in_folder(a_secret_key_is_kept_in_a_file),
        cmocka_unit_test(a_damaged_secret_key_is_refused),
        cmocka_unit_test(an_encrypted_secret_key_needs_its_password),
        in_folder(minisign_accepts_our_signatures),
        in_folder(minisign_signs_with_our_secret_keys),
        in_folder(we_accept_what_minisign_makes),
        in_folder(minisign_and_we_agree_on_altered_signatures),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
