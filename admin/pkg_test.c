/* pkg_test.c - lbpkg's verbs that need no broker, called as main calls them, and checked by
   minisign itself. */
#include "common/testing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/pkg.h"
#include "package/signature.h"

enum { ARGUMENTS = 12 };

/* Runs a verb with the words of `line` in the test's folder; its output goes to `out` and `err`
   there. */
static int run(void **state, int (*verb)(int, char **), const char *line)
{
    char *words = mem_printf("lbpkg-test %s", line), *argv[ARGUMENTS] = {NULL};
    int argc = 0;
    for (char *w = strtok(words, " "); w && argc < ARGUMENTS - 1; w = strtok(NULL, " "))
        argv[argc++] = w;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int in = open("/dev/null", O_RDONLY),
            out = open(testing_path(state, "out"), O_WRONLY | O_CREAT | O_TRUNC, 0600),
            err = open(testing_path(state, "err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        setenv("LONGBOAT_HOME", *state, 1);
        if (in < 0 || out < 0 || err < 0 || chdir(*state) < 0 || dup2(in, 0) < 0 ||
            dup2(out, 1) < 0 || dup2(err, 2) < 0)
            _exit(99);
        int code = verb(argc, argv);
        fflush(NULL);
        _exit(code);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    mem_free(&words);
    return WEXITSTATUS(status);
}

/* Did the last run print this, on "out" or "err"? */
static void says(void **state, const char *where, const char *what)
{
    struct buf text = {0};
    struct error err;
    if (file_read(testing_path(state, where), 1 << 20, &text, &err) < 0)
        fail_msg("%s", err.text);
    assert_contains(buf_str(&text), what);
    buf_free(&text);
}

static void a_new_package_of_each_kind_lints_builds_signs_and_verifies(void **state)
{
    static const char *const kinds[] = {"exec", "shell", "python", "sql", "ssis"};
    assert_int_equal(run(state, pkg_keygen, ""), EXIT_DONE);
    says(state, "out", "RW");
    for (size_t i = 0; i < 5; i++) {
        char *make = mem_printf("p%zu --kind %s", i, kinds[i]), *folder = mem_printf("p%zu", i),
             *file = mem_printf("p%zu-0.1.0.lbp", i);
        assert_int_equal(run(state, pkg_new, make), EXIT_DONE);
        assert_int_equal(run(state, pkg_lint, folder), EXIT_DONE);
        says(state, "err", "0 errors, 0 warnings");
        assert_int_equal(run(state, pkg_build, folder), EXIT_DONE);
        says(state, "out", file);
        assert_int_equal(run(state, pkg_verify, file), EXIT_REFUSED);
        says(state, "err", "is not signed");
        assert_int_equal(run(state, pkg_sign, file), EXIT_DONE);
        assert_int_equal(run(state, pkg_verify, file), EXIT_DONE);
        says(state, "out", " signed by ");
        assert_int_equal(run(state, pkg_show, file), EXIT_DONE);
        says(state, "out", kinds[i]);
        mem_free(&make);
        mem_free(&folder);
        mem_free(&file);
    }
}

static void existing_files_are_not_overwritten(void **state)
{
    assert_int_equal(run(state, pkg_new, "p"), EXIT_DONE);
    assert_int_equal(run(state, pkg_new, "p"), EXIT_ASKED_WRONGLY);
    says(state, "err", "'p' exists");
    assert_int_equal(run(state, pkg_keygen, "--key k.key"), EXIT_DONE);
    assert_int_equal(run(state, pkg_keygen, "--key k.key"), EXIT_ASKED_WRONGLY);
    unlink(testing_path(state, "k.pub"));
    assert_int_not_equal(run(state, pkg_keygen, "--key k.key"), EXIT_DONE);
    struct stat st;
    assert_int_equal(stat(testing_path(state, "k.key"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0400);
}

static void wrong_arguments_exit_with_code_2(void **state)
{
    assert_int_equal(run(state, pkg_new, ""), EXIT_ASKED_WRONGLY);
    assert_int_equal(run(state, pkg_new, "Bad!"), EXIT_ASKED_WRONGLY);
    assert_int_equal(run(state, pkg_new, "p --kind pyhton"), EXIT_ASKED_WRONGLY);
    says(state, "err", "did you mean 'python'?");
    assert_int_equal(run(state, pkg_build, "a b"), EXIT_ASKED_WRONGLY);
    assert_int_equal(run(state, pkg_show, "none.lbp"), EXIT_ASKED_WRONGLY);
    assert_int_equal(run(state, pkg_verify, "none.lbp"), EXIT_ASKED_WRONGLY);
    says(state, "err", "no key to trust");
    assert_int_equal(run(state, pkg_new, "p"), EXIT_DONE);
    assert_int_equal(run(state, pkg_build, "p"), EXIT_DONE);
    assert_int_equal(run(state, pkg_sign, "p-0.1.0.lbp"), EXIT_ASKED_WRONGLY);
    says(state, "err", "lbpkg keygen");
    assert_int_equal(run(state, pkg_sign, "--help"), EXIT_DONE);
    says(state, "out", "Examples:");
}

static void lint_and_build_report_all_problems(void **state)
{
    struct error err;
    assert_int_equal(run(state, pkg_new, "p"), EXIT_DONE);
    assert_int_equal(run(state, pkg_new, "q"), EXIT_DONE);
    const char *yaml =
        "name: p\nversion: 1\nsubsystem: shell\nentry: gone.sh\nlimits: {timout: 1m}\n";
    assert_int_equal(
        file_write_atomic(testing_path(state, "p/package.yaml"), span_str(yaml), 0644, &err), 0);
    assert_int_equal(run(state, pkg_lint, "p"), EXIT_RAN_AND_FAILED);
    says(state, "out", "p/package.yaml:5:10: unknown key 'timout'");
    says(state, "out", "warning: p/package.yaml:5:9: no limits.timeout");
    yaml = "name: p\nversion: 1\nsubsystem: shell\nentry: mian.sh\nlimits: {timeout: 1m}\n";
    assert_int_equal(
        file_write_atomic(testing_path(state, "q/package.yaml"), span_str(yaml), 0644, &err), 0);
    assert_int_equal(run(state, pkg_lint, "q"), EXIT_RAN_AND_FAILED);
    says(state, "out",
         "q/package.yaml:4:8: entry: the package has no file 'mian.sh' (did you mean 'main.sh'?)");
    assert_int_equal(run(state, pkg_lint, "p --json"), EXIT_RAN_AND_FAILED);
    says(state, "out", "{\"v\":1,\"severity\":\"error\",\"text\":\"p/package.yaml:5:10: ");
    assert_int_equal(run(state, pkg_build, "p"), EXIT_RAN_AND_FAILED);
    assert_int_equal(access(testing_path(state, "p-1.lbp"), F_OK), -1);
}

static void a_changed_file_or_an_unknown_signer_is_refused(void **state)
{
    assert_int_equal(run(state, pkg_new, "p"), EXIT_DONE);
    assert_int_equal(run(state, pkg_build, "p"), EXIT_DONE);
    assert_int_equal(run(state, pkg_keygen, ""), EXIT_DONE);
    assert_int_equal(run(state, pkg_keygen, "--key other.key"), EXIT_DONE);
    assert_int_equal(run(state, pkg_sign, "p-0.1.0.lbp --key other.key"), EXIT_DONE);
    assert_int_equal(run(state, pkg_verify, "p-0.1.0.lbp --key other.pub"), EXIT_DONE);
    assert_int_equal(run(state, pkg_verify, "p-0.1.0.lbp"), EXIT_REFUSED);
    says(state, "err", "which is not trusted here");
    assert_int_equal(run(state, pkg_sign, "p-0.1.0.lbp"), EXIT_DONE);
    int fd = open(testing_path(state, "p-0.1.0.lbp"), O_RDWR);
    assert_int_equal(pwrite(fd, "X", 1, 100), 1);
    close(fd);
    assert_int_equal(run(state, pkg_verify, "p-0.1.0.lbp"), EXIT_REFUSED);
}

static void minisign_and_lbpkg_verify_each_others_signatures(void **state)
{
    if (access("/usr/bin/minisign", X_OK) < 0)
        skip();
    assert_int_equal(run(state, pkg_new, "p"), EXIT_DONE);
    assert_int_equal(run(state, pkg_build, "p"), EXIT_DONE);
    assert_int_equal(run(state, pkg_keygen, "--key b.key"), EXIT_DONE);
    assert_int_equal(run(state, pkg_sign, "p-0.1.0.lbp --key b.key"), EXIT_DONE);
#define SHELL(text) \
    do { \
        char *command = mem_printf("cd %s && " text " >/dev/null 2>&1", (const char *)*state); \
        assert_int_equal(system(command), 0); \
        mem_free(&command); \
    } while (0)
    SHELL("minisign -V -p b.pub -m p-0.1.0.lbp");
    SHELL("minisign -G -W -p m.pub -s m.key");
    assert_int_equal(run(state, pkg_sign, "p-0.1.0.lbp --key m.key"), EXIT_DONE);
    SHELL("minisign -V -p m.pub -m p-0.1.0.lbp");
    assert_int_equal(run(state, pkg_verify, "p-0.1.0.lbp --key m.pub"), EXIT_DONE);
    SHELL("minisign -S -s m.key -m p-0.1.0.lbp -t 'something else'");
    assert_int_equal(run(state, pkg_verify, "p-0.1.0.lbp --key m.pub"), EXIT_REFUSED);
    says(state, "err", "the signature is for something else");
}

static void show_json_contains_the_manifest(void **state)
{
    assert_int_equal(run(state, pkg_new, "p"), EXIT_DONE);
    assert_int_equal(run(state, pkg_build, "p -o x.lbp"), EXIT_DONE);
    assert_int_equal(run(state, pkg_show, "x.lbp --json"), EXIT_DONE);
    says(state, "out", "{\"hash\":\"blake2b:");
    says(state, "out", "\"manifest\":{\"description\":");
    says(state, "out", "\"signer\":null");
    assert_int_equal(run(state, pkg_show, "x.lbp --files"), EXIT_DONE);
    says(state, "out", "main.sh");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_new_package_of_each_kind_lints_builds_signs_and_verifies),
        in_folder(existing_files_are_not_overwritten),
        in_folder(wrong_arguments_exit_with_code_2),
        in_folder(lint_and_build_report_all_problems),
        in_folder(a_changed_file_or_an_unknown_signer_is_refused),
        in_folder(minisign_and_lbpkg_verify_each_others_signatures),
        in_folder(show_json_contains_the_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
