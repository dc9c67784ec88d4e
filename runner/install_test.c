/* install_test.c - who may have a package installed, and what the unpacker reports. The unpacker
 * is a stand-in beside this program, as lbunpack is beside lbrunner. */
#include "runner/testrig.h"

#include <signal.h>
#include <sys/wait.h>

#include "runner/install.h"

struct install_fixture {
    struct testrig rig;
    struct policy *policy;
    struct buf deployment, deployer;
    struct installer *installer;
    struct loop *loop;
    char *unpacker;
    unsigned answers;
    enum refusal code;
    char sentence[500];
};

static void on_installed(void *self, const struct hash *package, enum refusal code,
                         const char *sentence)
{
    struct install_fixture *f = self;
    assert_int_equal(package->b[0], 7);
    f->answers++;
    f->code = code;
    snprintf(f->sentence, sizeof f->sentence, "%s", sentence);
}

static void on_signal(struct loop *l, const struct signalfd_siginfo *info, void *arg)
{
    (void)l;
    (void)info;
    struct install_fixture *f = arg;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        installer_reaped(f->installer, pid, status);
}

static int setup(void **state)
{
    struct error err = {0};
    char self[1000];
    testing_folder(state);
    struct install_fixture *f = mem_zalloc(1, sizeof *f);
    rig_open(&f->rig, *state);
    mem_free(state);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = 0;
    *strrchr(self, '/') = 0;
    f->unpacker = mem_printf("%s/lbunpack", self);
    f->loop = loop_new(&err);
    assert_int_equal(loop_signals(f->loop, on_signal, f, &err), 0);
    f->policy = policy_new(&f->rig.paths);
    f->installer = installer_new(&f->rig.paths, f->policy, f->loop, on_installed, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct install_fixture *f = *state;
    installer_free(&f->installer);
    policy_free(&f->policy);
    loop_destroy(&f->loop);
    unlink(f->unpacker);
    buf_free(&f->deployment);
    buf_free(&f->deployer);
    mem_free(&f->unpacker);
    char *home = mem_strdup(f->rig.home);
    rig_close(&f->rig);
    file_remove_tree(home, NULL);
    mem_free(&home);
    mem_free(&f);
    return 0;
}

static void unpacker_is(struct install_fixture *f, const char *script)
{
    struct error err = {0};
    assert_int_equal(file_write_atomic(f->unpacker, span_str(script), 0755, &err), 0);
}

static void deployment_at(struct install_fixture *f, const char *address, uint8_t package,
                          int64_t at, struct buf *out)
{
    struct buf body = {0};
    struct d_deployment d = {.cluster = span_str("wh"),
                             .package = {{package}},
                             .name = span_str("extract"),
                             .version = span_str("1"),
                             .address = span_str(address),
                             .issued_at = at};
    d_deployment_encode(&d, &body);
    assert_int_equal(
        envelope_sign(ENVELOPE_DEPLOYMENT, &f->rig.caller, "anna", 3, buf_span(&body), out, NULL),
        0);
    buf_free(&body);
}

static void deployment(struct install_fixture *f, const char *address, uint8_t package,
                       struct buf *out)
{
    deployment_at(f, address, package, 1000, out);
}

/* One that is permitted. */
static struct s_install request(struct install_fixture *f)
{
    buf_clear(&f->deployment);
    buf_clear(&f->deployer);
    deployment(f, "etl", 7, &f->deployment);
    rig_certificate(&f->rig, "anna", ROLE_CALLER, 3, &f->rig.caller, "deploy extract@etl", 0,
                    &f->deployer);
    return (struct s_install){.package = {{7}},
                              .archive = span_str("/tmp/x.lbp"),
                              .signature = span_str("a signature"),
                              .deployment = buf_span(&f->deployment),
                              .certificate = buf_span(&f->deployer)};
}

static void take(struct install_fixture *f, const struct s_install *r)
{
    struct error err = {0};
    unsigned had = f->answers;
    installer_take(f->installer, r, clock_wall_ms());
    int64_t until = clock_boot_ms() + 10000;
    while (f->answers == had && clock_boot_ms() < until)
        assert_true(loop_turn(f->loop, until, &err) >= 0);
    assert_int_equal(f->answers, had + 1);
}

static void lbunpack_gets_archive_hash_store_signers_and_signature(void **state)
{
    struct install_fixture *f = *state;
    struct s_install r = request(f);
    unpacker_is(f, "#!/bin/sh\necho \"$1|${2%0000}|$3|$4|$(cat \"$5\")\" >&2\nexit 3\n");
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_BAD_PACKAGE);
    assert_contains(f->sentence, "/tmp/x.lbp|blake2b:0700");
    assert_contains(f->sentence, f->rig.paths.packages);
    assert_contains(f->sentence, "/trust/signers|a signature");
    unpacker_is(f, "#!/bin/sh\nexit 0\n");
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_NONE);
}

static void a_failing_or_missing_lbunpack_is_reported(void **state)
{
    struct install_fixture *f = *state;
    struct s_install r = request(f);
    unpacker_is(f, "#!/bin/sh\nkill -SEGV $$\n");
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_INTERNAL);
    assert_contains(f->sentence, "signal 11");
    unlink(f->unpacker);
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_INTERNAL);
    assert_contains(f->sentence, "cannot execute");
}

static void packages_are_unpacked_one_after_the_other(void **state)
{
    struct install_fixture *f = *state;
    struct s_install r = request(f);
    struct error err = {0};
    unpacker_is(f, "#!/bin/sh\nset -C; echo > \"$3/lock\" || exit 1; sleep 0.1; rm \"$3/lock\"\n");
    for (int i = 0; i < 3; i++)
        installer_take(f->installer, &r, clock_wall_ms());
    while (f->answers < 3) {
        assert_true(loop_turn(f->loop, clock_boot_ms() + 10000, &err) >= 0);
        assert_int_equal(f->code, REFUSAL_NONE);
    }
}

static void a_package_that_no_deployment_names_is_refused(void **state)
{
    struct install_fixture *f = *state;
    struct s_install r = request(f);
    unpacker_is(f, "#!/bin/sh\nexit 0\n");
    r.deployment = SPAN_NONE;
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_DENIED);
    assert_contains(f->sentence, "nobody has signed a deployment");
}

static void a_deployment_without_a_grant_is_refused(void **state)
{
    struct install_fixture *f = *state;
    struct s_install r = request(f);
    struct buf d = {0}, own = {0};
    unpacker_is(f, "#!/bin/sh\nexit 0\n");
    deployment(f, "etl", 7, &d);
    r.deployment = buf_span(&d);
    r.certificate = buf_span(&f->rig.caller_certificate);
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_DENIED); /* anna may call but not deploy */
    r.deployment = SPAN_NONE;
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_DENIED);
    assert_contains(f->sentence, "nobody has signed a deployment");
    r.deployment = buf_span(&d);
    rig_certificate(&f->rig, "anna", ROLE_MONITOR, 3, &f->rig.caller, "deploy extract@etl", 0,
                    &own);
    r.certificate = buf_span(&own);
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_WRONG_ROLE);
    buf_clear(&own);
    rig_certificate(&f->rig, "anna", ROLE_CALLER, 3, &f->rig.caller, "deploy extract@etl", 0, &own);
    r.certificate = buf_span(&own);
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_NONE);
    d.p[d.n - 1] ^= 1;
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_BAD_SIGNATURE);
    buf_clear(&d);
    deployment(f, "etl", 8, &d);
    r.deployment = buf_span(&d);
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_DENIED);
    buf_clear(&d);
    deployment(f, "wh9", 7, &d);
    r.deployment = buf_span(&d);
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_DENIED);
    rig_revoke(&f->rig, 3);
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_REVOKED);
    buf_free(&d);
    buf_free(&own);
}

static void a_deployment_older_than_one_that_was_taken_is_refused(void **state)
{
    struct install_fixture *f = *state;
    struct s_install r = request(f);
    struct buf older = {0}, newer = {0};
    unpacker_is(f, "#!/bin/sh\nexit 0\n");
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_NONE);
    deployment_at(f, "etl", 7, 999, &older);
    r.deployment = buf_span(&older);
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_REPLAYED);
    assert_contains(f->sentence, "a newer deployment of package 'extract' to 'etl' was taken here");
    deployment_at(f, "etl", 7, 1001, &newer);
    r.deployment = buf_span(&newer);
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_NONE);
    buf_free(&older);
    buf_free(&newer);
}

static void an_archive_without_an_absolute_path_is_refused(void **state)
{
    struct install_fixture *f = *state;
    struct s_install r = request(f);
    r.archive = span_str("../x");
    take(f, &r);
    assert_int_equal(f->code, REFUSAL_BAD_ARGUMENT);
}

#define here(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        here(lbunpack_gets_archive_hash_store_signers_and_signature),
        here(a_failing_or_missing_lbunpack_is_reported),
        here(packages_are_unpacked_one_after_the_other),
        here(a_package_that_no_deployment_names_is_refused),
        here(a_deployment_without_a_grant_is_refused),
        here(a_deployment_older_than_one_that_was_taken_is_refused),
        here(an_archive_without_an_absolute_path_is_refused),
    };
    return cmocka_run_group_tests_name("install", tests, NULL, NULL);
}
