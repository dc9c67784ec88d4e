#include "package/fixture.h"

#include <errno.h>

#include "common/id.h"
#include "package/installed.h"

/* Builds, signs and installs one version of a package. */
static struct hash install_version(void **state, const char *name, const char *version)
{
    struct error err = {0};
    struct hash hash;
    char *yaml = mem_printf(
        "name: %s\nversion: %s\nsubsystem: exec\nentry: bin/extract\nlimits: {timeout: 1m}\n", name,
        version);
    fixture_put(testing_path(state, "p"), "package.yaml", yaml, 0644);
    fixture_put(testing_path(state, "p"), "bin/extract", "#!/bin/sh\n", 0755);
    mem_free(&yaml);
    fixture_build(testing_path(state, "p"), testing_path(state, "p.lbp"), &hash);
    fixture_sign(testing_path(state, "p.lbp"), name, version, testing_path(state, "signers"));
    must(fixture_install(state, testing_path(state, "p.lbp"), &err));
    return hash;
}

static void found(const struct installed_store *s, const char *what, const struct hash *hash)
{
    struct error err = {0};
    const struct installed_package *p;
    must(installed_find(s, what, &p, &err));
    if (!hash_eq(&p->hash, hash))
        fail_msg("'%s' found version %s", what, p->version);
}

static void a_name_finds_the_last_installed_and_a_version_the_newest_match(void **state)
{
    struct error err = {0};
    struct installed_store *s;
    struct hash v110 = install_version(state, "extract", "1.10.0"),
                v2 = install_version(state, "extract", "2.0"),
                v19 = install_version(state, "extract", "1.9.0"),
                other = install_version(state, "other", "3");
    must(installed_open(testing_path(state, "store"), &s, &err));
    found(s, "extract", &v19);
    found(s, "extract@1", &v110);
    found(s, "extract@1.9", &v19);
    found(s, "extract@2.0", &v2);
    found(s, "other", &other);
    const struct installed_package *p = installed_by_hash(s, &v2);
    assert_non_null(p);
    assert_string_equal(p->version, "2.0");
    assert_true(p->size > 50);
    assert_string_equal(installed_at(s, 0)->version, "1.9.0");
    assert_string_equal(installed_at(s, 3)->name, "other");
    assert_null(installed_at(s, 4));
    installed_close(&s);
}

static void a_missing_package_is_reported_with_what_is_installed(void **state)
{
    struct error err = {0};
    struct installed_store *s;
    const struct installed_package *p;
    install_version(state, "extract", "1.2");
    must(installed_open(testing_path(state, "store"), &s, &err));
    assert_int_equal(installed_find(s, "extrakt", &p, &err), -ENOENT);
    assert_contains(err.text, "package 'extrakt' is not installed here (did you mean 'extract'?)");
    assert_int_equal(installed_find(s, "extract@1.20", &p, &err), -ENOENT);
    assert_contains(err.text, "package 'extract' is here, but not version 1.20 (there is 1.2)");
    assert_int_equal(installed_find(s, "extract@", &p, &err), -ENOENT);
    installed_close(&s);
    must(installed_open(testing_path(state, "nowhere"), &s, &err));
    assert_null(installed_at(s, 0));
    installed_close(&s);
}

static void a_package_that_cannot_be_used_says_why_and_is_not_found(void **state)
{
    struct error err = {0};
    struct installed_store *s;
    const struct installed_package *p;
    char hex[65];
    struct hash hash = install_version(state, "extract", "1.2"), another = {{7}};
    char *from = mem_printf("%s/%s", testing_path(state, "store"), hex_format(hash.b, 32, hex));
    char *to = mem_printf("%s/%s", testing_path(state, "store"), hex_format(another.b, 32, hex));
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(mkdir(testing_path(state, "store/.unpack-x"), 0700), 0); /* not one of ours */
    must(installed_open(testing_path(state, "store"), &s, &err));
    assert_non_null(installed_at(s, 0));
    assert_contains(installed_at(s, 0)->trouble,
                    "holds a package other than the one that it is named after");
    assert_null(installed_at(s, 1));
    assert_int_equal(installed_find(s, "extract", &p, &err), -ENOENT);
    installed_close(&s);
    mem_free(&from);
    mem_free(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_name_finds_the_last_installed_and_a_version_the_newest_match),
        in_folder(a_missing_package_is_reported_with_what_is_installed),
        in_folder(a_package_that_cannot_be_used_says_why_and_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
