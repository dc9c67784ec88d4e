/* proxyfile_edit_test.c - a list changes, and what people wrote around it stays. */
#include "common/testing.h"

#include <errno.h>

#include "package/proxyfile_edit.h"
#include "trust/keys.h"

#define HEAD "# ours\nproxy: etl\nuser: etl   # since May\n"

static struct error err;

static void changes(const char *text, const char *key, const char *value, bool add,
                    const char *wanted, bool lost)
{
    const struct proxyfile_edit e = {"etl.yaml", span_str(text), key, value, add};
    struct buf out = {0};
    bool is_lost = false;
    int rc = proxyfile_edit(&e, &out, &is_lost, &err);
    if (rc != 1 || strcmp(buf_str(&out), wanted) != 0 || is_lost != lost)
        fail_msg("%d %s, lost %d:\n%s\ninstead of:\n%s", rc, err.text, is_lost, buf_str(&out),
                 wanted);
    buf_free(&out);
}

static void lists_of_every_form_are_changed_in_place(void **state)
{
    (void)state;
    changes(HEAD "subsystems: [exec]   # more?\nprincipals: []\n", "subsystems", "shell", true,
            HEAD "subsystems: [exec, \"shell\"]   # more?\nprincipals: []\n", false);
    changes(HEAD "subsystems: [exec]\nprincipals: [] # nobody\n", "principals", "nightly-*", true,
            HEAD "subsystems: [exec]\nprincipals: [\"nightly-*\"] # nobody\n", false);
    changes(HEAD "subsystems: [exec, shell, python]\nprincipals: []\n", "subsystems", "shell",
            false, HEAD "subsystems: [exec, python]\nprincipals: []\n", false);
    changes(HEAD "subsystems: ['exec', \"shell\"]\nprincipals: []\n", "subsystems", "shell", false,
            HEAD "subsystems: ['exec']\nprincipals: []\n", false);
    changes(HEAD "subsystems: [exec]\nprincipals:\n  - anna # hers\n  - bert\n", "principals",
            "carl", true,
            HEAD "subsystems: [exec]\nprincipals:\n  - anna # hers\n  - bert\n  - \"carl\"\n",
            false);
    changes(HEAD "principals:\n- anna # hers\n- bert\nsubsystems: [exec]", "principals", "anna",
            false, HEAD "principals:\n- bert\nsubsystems: [exec]", false);
    changes(HEAD "subsystems: [exec]\nprincipals:\n  - anna\n", "principals", "anna", false,
            HEAD "subsystems: [exec]\nprincipals: []\n", false);
    changes(HEAD "subsystems: [exec]\nprincipals:\n  - anna", "principals", "bert", true,
            HEAD "subsystems: [exec]\nprincipals:\n  - anna\n  - \"bert\"\n", false);
}

static void what_cannot_be_changed_in_place_is_written_anew_and_said(void **state)
{
    (void)state;
    changes(HEAD "subsystems: [exec]\nprincipals: []\nsigners: ['o''brien']\n", "signers", "anna",
            true,
            "proxy: etl\nuser: etl\nsubsystems:\n  - exec\nprincipals: []\nsigners:\n"
            "  - \"o'brien\"\n  - anna\n",
            true);
    changes("{proxy: etl, user: etl, subsystems: [exec], principals: [\"anna\"]}", "principals",
            "bert", true,
            "{proxy: etl, user: etl, subsystems: [exec], principals: [\"anna\", \"bert\"]}", false);
}

static void what_is_so_already_changes_nothing(void **state)
{
    (void)state;
    static const char text[] = HEAD "subsystems: '*'\nprincipals: [anna]\n";
    static const struct {
        const char *key, *value;
        bool add;
        int rc;
    } rows[] = {
        {"principals", "anna", true, 0},        {"principals", "bert", false, 0},
        {"subsystems", "exec", true, 0},        {"signers", "bert", true, 0},
        {"subsystems", "exec", false, -EINVAL}, {"signers", "bert", false, -EINVAL},
        {"principals", "Bert", true, -EINVAL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct proxyfile_edit e = {"etl.yaml", span_str(text), rows[i].key, rows[i].value,
                                         rows[i].add};
        struct buf out = {0};
        bool lost;
        int rc = proxyfile_edit(&e, &out, &lost, &err);
        if (rc != rows[i].rc)
            fail_msg("row %zu: %d %s", i, rc, err.text);
        buf_free(&out);
    }
}

static void a_file_that_is_wrong_is_not_changed(void **state)
{
    (void)state;
    const struct proxyfile_edit e = {"etl.yaml", span_str("proxy: etl\n"), "principals", "a", true};
    struct buf out = {0};
    bool lost;
    assert_int_equal(proxyfile_edit(&e, &out, &lost, &err), -EINVAL);
    assert_contains(err.text, "etl.yaml:1:1: ");
    assert_int_equal(out.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_every_form_are_changed_in_place),
        cmocka_unit_test(what_cannot_be_changed_in_place_is_written_anew_and_said),
        cmocka_unit_test(what_is_so_already_changes_nothing),
        cmocka_unit_test(a_file_that_is_wrong_is_not_changed),
    };
    if (trust_init(NULL) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
