/* unpack_test.c - what the unpacker does with good archives, and with everything that can be wrong
 * around them. Hostile archives are in unpack_hostile_test.c, kills in unpack_kill_test.c. */
#include "package/fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "common/id.h"

/* Names in the store: what is not hidden; `ret_hidden` counts the others. */
static unsigned stored(void **state, unsigned *ret_hidden)
{
    unsigned n = 0, hidden = 0;
    DIR *dir = opendir(testing_path(state, "store"));
    const struct dirent *e;
    while (dir && (e = readdir(dir)))
        if (e->d_name[0] != '.')
            n++;
        else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            hidden++;
    if (dir)
        closedir(dir);
    if (ret_hidden)
        *ret_hidden = hidden;
    return n;
}

static char *package_path(void **state, const struct hash *hash, const char *name)
{
    char hex[65];
    return mem_printf("%s/store/%s/%s", (const char *)*state, hex_format(hash->b, 32, hex), name);
}

static void made(void **state, struct hash *ret)
{
    fixture_source(testing_path(state, "p"), FIXTURE_YAML);
    fixture_build(testing_path(state, "p"), testing_path(state, "p.lbp"), ret);
    fixture_sign(testing_path(state, "p.lbp"), "extract", "1.2.0", testing_path(state, "signers"));
}

static void assert_mode(const char *path, mode_t mode)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void a_package_is_installed_whole_and_read_only(void **state)
{
    static const struct {
        const char *name;
        mode_t mode;
    } all[] = {{"", 0555},
               {"manifest.json", 0444},
               {"signature", 0444},
               {"runnable", 0444},
               {"fingerprint", 0444},
               {"files", 0555},
               {"files/bin", 0555},
               {"files/bin/extract", 0555},
               {"files/bin/data", 0777},
               {"files/data/größe.txt", 0444},
               {"files/data/empty", 0444},
               {"files/package.yaml", 0444}};
    struct error err = {0};
    struct hash hash;
    made(state, &hash);
    must(fixture_install(state, testing_path(state, "p.lbp"), &err));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char *path = package_path(state, &hash, all[i].name);
        assert_mode(path, all[i].mode);
        mem_free(&path);
    }
    struct buf bytes = {0};
    struct d_runnable r;
    char *path = package_path(state, &hash, "runnable");
    must(file_read(path, 1 << 20, &bytes, &err));
    must(d_runnable_decode(buf_span(&bytes), &r, &err));
    assert_true(span_eq_str(r.name, "extract") && span_eq_str(r.entry, "bin/extract"));
    assert_true(hash_eq(&r.package, &hash));
    assert_false(hash_is_zero(&r.signer_key));
    assert_int_equal(r.timeout_ms, 60000);
    buf_free(&bytes);
    mem_free(&path);
    path = package_path(state, &hash, "files/bin/data/größe.txt"); /* through the link */
    must(file_read(path, 100, &bytes, &err));
    assert_string_equal(buf_str(&bytes), "42\n");
    mem_free(&path);
    buf_free(&bytes);
}

static int64_t stamp_of(void **state, const struct hash *hash)
{
    struct stat st;
    char *path = package_path(state, hash, "");
    assert_int_equal(lstat(path, &st), 0);
    mem_free(&path);
    return st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

static void installing_again_changes_nothing_but_makes_it_the_last(void **state)
{
    struct error err = {0};
    struct hash one, two;
    made(state, &one);
    must(fixture_install(state, testing_path(state, "p.lbp"), &err));
    fixture_put(testing_path(state, "p"), "data/empty", "no more", 0644);
    fixture_build(testing_path(state, "p"), testing_path(state, "q.lbp"), &two);
    fixture_sign(testing_path(state, "q.lbp"), "extract", "1.2.0", testing_path(state, "signers"));
    must(fixture_install(state, testing_path(state, "q.lbp"), &err));
    assert_true(stamp_of(state, &two) > stamp_of(state, &one));
    fixture_sign(testing_path(state, "p.lbp"), "extract", "1.2.0", testing_path(state, "signers"));
    must(fixture_install(state, testing_path(state, "p.lbp"), &err));
    assert_true(stamp_of(state, &one) > stamp_of(state, &two));
    assert_int_equal(stored(state, NULL), 2);
}

static void the_last_installed_stays_the_last_when_the_clock_goes_back(void **state)
{
    struct error err = {0};
    struct hash one, two;
    made(state, &one);
    must(fixture_install(state, testing_path(state, "p.lbp"), &err));
    char *path = package_path(state, &one, "");
    struct timespec future[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};
    assert_int_equal(utimensat(AT_FDCWD, path, future, 0), 0);
    mem_free(&path);
    fixture_put(testing_path(state, "p"), "data/empty", "no more", 0644);
    fixture_build(testing_path(state, "p"), testing_path(state, "p.lbp"), &two);
    fixture_sign(testing_path(state, "p.lbp"), "extract", "1.2.0", testing_path(state, "signers"));
    must(fixture_install(state, testing_path(state, "p.lbp"), &err));
    assert_true(stamp_of(state, &two) > stamp_of(state, &one));
}

static void refused(void **state, const char *sentence)
{
    struct error err = {0};
    unsigned hidden;
    assert_int_equal(fixture_install(state, testing_path(state, "p.lbp"), &err), -EBADMSG);
    assert_contains(err.text, sentence);
    assert_int_equal(stored(state, &hidden), 0);
    assert_int_equal(hidden, 0);
}

static void a_wrong_hash_is_refused(void **state)
{
    struct error err = {0};
    struct hash hash;
    made(state, &hash);
    struct unpack u = {.archive = testing_path(state, "p.lbp"),
                       .signature = testing_path(state, "p.lbp.minisig"),
                       .signers = testing_path(state, "signers"),
                       .store = testing_path(state, "store"),
                       .hash = hash};
    u.hash.b[31] ^= 1;
    assert_int_equal(unpack_install(&u, &err), -EBADMSG);
    assert_contains(err.text, "the archive has the hash blake2b:");
    assert_int_equal(stored(state, NULL), 0);
}

static void an_untrusted_signer_is_refused(void **state)
{
    struct hash hash;
    made(state, &hash);
    fixture_sign(testing_path(state, "p.lbp"), "extract", "1.2.0", NULL); /* by another builder */
    refused(state, "which is not trusted here");
    fixture_put(*state, "signers", "# nobody\n\n", 0644);
    refused(state, "this server trusts no builder");
    unlink(testing_path(state, "signers"));
    refused(state, "this server trusts no builder");
    unlink(testing_path(state, "p.lbp.minisig"));
    refused(state, "an unsigned package cannot be installed");
}

static void a_signature_for_another_package_name_or_version_is_refused(void **state)
{
    struct hash hash;
    made(state, &hash);
    fixture_sign(testing_path(state, "p.lbp"), "other", "1.2.0", testing_path(state, "signers"));
    refused(state, "but the package is extract 1.2.0");
    fixture_sign(testing_path(state, "p.lbp"), "extract", "1.2.1", testing_path(state, "signers"));
    refused(state, "but the package is extract 1.2.0");
    fixture_put(*state, "p.lbp.minisig", "nonsense", 0644);
    refused(state, "the signature is malformed");
}

/* Permission to deploy `extract` does not allow another package under that name. */
static void a_package_that_was_deployed_under_another_name_is_refused(void **state)
{
    struct error err = {0};
    struct hash hash;
    made(state, &hash);
    struct unpack u = {.archive = testing_path(state, "p.lbp"),
                       .signature = testing_path(state, "p.lbp.minisig"),
                       .signers = testing_path(state, "signers"),
                       .store = testing_path(state, "store"),
                       .hash = hash,
                       .name = "load",
                       .version = "1.2.0"};
    assert_int_equal(unpack_install(&u, &err), -EBADMSG);
    assert_contains(err.text, "load");
    u.name = "extract";
    u.version = "9.9.9";
    assert_int_equal(unpack_install(&u, &err), -EBADMSG);
    u.version = "1.2.0";
    must(unpack_install(&u, &err));
    u.name = "load"; /* even if it is already installed */
    assert_int_equal(unpack_install(&u, &err), -EBADMSG);
}

static void a_changed_byte_anywhere_is_refused(void **state)
{
    struct error err = {0};
    struct hash hash;
    struct buf good = {0};
    made(state, &hash);
    must(file_read(testing_path(state, "p.lbp"), 1 << 20, &good, &err));
    for (size_t i = 0; i < good.n; i += 13) {
        good.p[i] ^= 1;
        must(file_write_atomic(testing_path(state, "p.lbp"), buf_span(&good), 0644, &err));
        assert_int_equal(fixture_install(state, testing_path(state, "p.lbp"), &err), -EBADMSG);
        good.p[i] ^= 1;
    }
    assert_int_equal(stored(state, NULL), 0);
    buf_free(&good);
}

/* As above, but the thief has a trusted key and signs the archive: the reader itself must
 * refuse. */
static void a_truncated_archive_is_refused_even_if_it_is_signed(void **state)
{
    struct error err = {0};
    struct hash hash;
    struct buf good = {0};
    unsigned hidden;
    made(state, &hash);
    must(file_read(testing_path(state, "p.lbp"), 1 << 20, &good, &err));
    for (size_t n = 0; n < good.n; n += 1 + good.n / 60) {
        must(file_write_atomic(testing_path(state, "p.lbp"), span_of(good.p, n), 0644, &err));
        fixture_sign(testing_path(state, "p.lbp"), "extract", "1.2.0",
                     testing_path(state, "signers"));
        if (fixture_install(state, testing_path(state, "p.lbp"), &err) != -EBADMSG)
            fail_msg("cut at %zu of %zu: %s", n, good.n, err.text);
    }
    assert_int_equal(stored(state, &hidden), 0);
    assert_int_equal(hidden, 0);
    buf_free(&good);
}

/* Puts words behind the one key in signers. */
static void limit_signer(void **state, const char *words)
{
    struct error err = {0};
    struct buf text = {0};
    must(file_read(testing_path(state, "signers"), 1000, &text, &err));
    buf_add_str(&text, words);
    must(file_write_atomic(testing_path(state, "signers"), buf_span(&text), 0644, &err));
    buf_free(&text);
}

static void a_builder_installs_only_what_the_server_lets_them_sign(void **state)
{
    static const char *const words[][2] = {{" packages=load,report", "allows only these packages"},
                                           {" until=2020-01-01", "is over"},
                                           {" revoked", "which is revoked"},
                                           {" packages=", "signers:1: "}};
    struct error err = {0};
    struct hash hash;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        made(state, &hash);
        limit_signer(state, words[i][0]);
        assert_true(fixture_install(state, testing_path(state, "p.lbp"), &err) < 0);
        if (!strstr(err.text, words[i][1]))
            fail_msg("%s: %s", words[i][0], err.text);
        assert_int_equal(stored(state, NULL), 0);
        must(file_remove_tree(testing_path(state, "p"), &err));
    }
    made(state, &hash);
    limit_signer(state, " packages=load,extr* until=2999-12-31");
    must(fixture_install(state, testing_path(state, "p.lbp"), &err));
}

static void an_unsigned_package_is_installed_only_where_its_name_is_allowed(void **state)
{
    struct error err = {0};
    struct hash hash;
    struct buf bytes = {0};
    struct d_runnable r;
    made(state, &hash);
    unlink(testing_path(state, "p.lbp.minisig"));
    refused(state, "an unsigned package cannot be installed");
    limit_signer(state, "\nunsigned packages=load");
    refused(state, "is signed by no one, whom trust/signers allows only these packages: load");
    limit_signer(state, ",extract");
    must(fixture_install(state, testing_path(state, "p.lbp"), &err));
    char *path = package_path(state, &hash, "runnable");
    must(file_read(path, 1 << 20, &bytes, &err));
    must(d_runnable_decode(buf_span(&bytes), &r, &err));
    assert_true(hash_is_zero(&r.signer_key));
    buf_free(&bytes);
    mem_free(&path);
}

static void trouble_on_the_server_is_distinguished_from_a_bad_package(void **state)
{
    struct error err = {0};
    struct hash hash;
    made(state, &hash);
    fixture_put(*state, "store", "a file where the store should be", 0644);
    assert_int_equal(fixture_install(state, testing_path(state, "p.lbp"), &err), -ENOTDIR);
    unlink(testing_path(state, "store"));
    assert_int_equal(fixture_install(state, testing_path(state, "absent.lbp"), &err), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_package_is_installed_whole_and_read_only),
        in_folder(installing_again_changes_nothing_but_makes_it_the_last),
        in_folder(the_last_installed_stays_the_last_when_the_clock_goes_back),
        in_folder(a_wrong_hash_is_refused),
        in_folder(an_untrusted_signer_is_refused),
        in_folder(a_signature_for_another_package_name_or_version_is_refused),
        in_folder(a_package_that_was_deployed_under_another_name_is_refused),
        in_folder(a_changed_byte_anywhere_is_refused),
        in_folder(a_truncated_archive_is_refused_even_if_it_is_signed),
        in_folder(a_builder_installs_only_what_the_server_lets_them_sign),
        in_folder(an_unsigned_package_is_installed_only_where_its_name_is_allowed),
        in_folder(trouble_on_the_server_is_distinguished_from_a_bad_package),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
