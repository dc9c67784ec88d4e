/* unpack_kill_test.c - an installation that is killed: whenever that happens, the store holds the
 * old or the new package, whole, and the next installation removes the remains.
 *
 * What a kill would leave is what lies there at that moment. So one installation is stopped before
 * and after each of its system calls, and the store is examined each time; at some of the stops it
 * is really killed. */
#include "package/fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "common/id.h"
#include "trust/fingerprint.h"

static const char *store_path(void **state, const struct hash *hash)
{
    char hex[65];
    char *name = mem_printf("store/%s", hex_format(hash->b, 32, hex));
    const char *path = testing_path(state, name);
    mem_free(&name);
    return path;
}

/* Is it there? If so, it must be as an installation leaves it. */
static bool is_whole(void **state, const struct hash *hash)
{
    struct error err = {0};
    struct fingerprint *f = NULL;
    struct buf bytes = {0};
    int folder = open(store_path(state, hash), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return false;
    char *path = mem_printf("%s/" FINGERPRINT_NAME, store_path(state, hash));
    must(file_read(path, FINGERPRINT_MAX, &bytes, &err));
    must(fingerprint_parse(buf_span(&bytes), &f, &err));
    must(fingerprint_check(f, folder, UNPACK_RUNNABLE, SIZE_MAX, &err));
    fingerprint_free(&f);
    buf_free(&bytes);
    mem_free(&path);
    close(folder);
    return true;
}

/* Names in the store; `ret_hidden`: those of installations that were not finished. */
static unsigned stored(void **state, unsigned *ret_hidden)
{
    unsigned n = 0;
    DIR *dir = opendir(testing_path(state, "store"));
    const struct dirent *e;
    *ret_hidden = 0;
    while (dir && (e = readdir(dir)))
        if (e->d_name[0] != '.')
            n++;
        else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            ++*ret_hidden;
    if (dir)
        closedir(dir);
    return n;
}

/* Builds and signs <name>.lbp of <name>/, with a key of its own in signers. */
static void make(void **state, const char *name, const char *yaml, struct hash *ret)
{
    char *archive = mem_printf("%s.lbp", name);
    const char *version = strstr(yaml, "1.2.0") ? "1.2.0" : "1.3.0";
    fixture_source(testing_path(state, name), yaml);
    fixture_build(testing_path(state, name), testing_path(state, archive), ret);
    fixture_sign(testing_path(state, archive), "extract", version, testing_path(state, "signers"));
    mem_free(&archive);
}

/* What must hold at every stop. */
typedef void look_fn(void **state);

static int next_stop(pid_t pid)
{
    int status;
    assert_int_equal(ptrace(PTRACE_SYSCALL, pid, 0, 0), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* Installs in a child; `look` at each stop; killed at the nth (0: never). Returns the stops. */
static unsigned install_stopped(void **state, const char *archive, look_fn *look, unsigned nth)
{
    unsigned n = 0;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        _exit(fixture_install(state, testing_path(state, archive), NULL) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    while (WIFSTOPPED(status) && (!nth || n < nth)) {
        if (look)
            look(state);
        status = next_stop(pid);
        n++;
    }
    if (WIFSTOPPED(status)) {
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    } else {
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    return n;
}

static struct hash old_hash, new_hash;
static unsigned leftovers;

static void look_for_all_or_nothing(void **state)
{
    unsigned hidden;
    assert_int_equal(stored(state, &hidden), is_whole(state, &new_hash));
    leftovers += hidden;
}

static void a_kill_leaves_all_or_nothing_and_the_next_call_cleans_up(void **state)
{
    struct error err = {0};
    make(state, "p", FIXTURE_YAML, &new_hash);
    leftovers = 0;
    unsigned hidden, all = install_stopped(state, "p.lbp", look_for_all_or_nothing, 0);
    assert_true(all > 100 && leftovers > 50);
    for (unsigned nth = 1; nth < all; nth += all / 8) {
        must(file_remove_tree(testing_path(state, "store"), &err));
        install_stopped(state, "p.lbp", NULL, nth);
        look_for_all_or_nothing(state);
        must(fixture_install(state, testing_path(state, "p.lbp"), &err));
        assert_int_equal(stored(state, &hidden), 1);
        assert_int_equal(hidden, 0);
    }
}

static void look_for_the_old_one(void **state)
{
    unsigned hidden;
    assert_true(is_whole(state, &old_hash));
    assert_int_equal(stored(state, &hidden), 1 + is_whole(state, &new_hash));
}

static void a_kill_while_the_next_version_is_installed_leaves_the_old_one(void **state)
{
    struct error err = {0};
    make(state, "p", FIXTURE_YAML, &old_hash);
    must(fixture_install(state, testing_path(state, "p.lbp"), &err));
    make(state, "q", "name: extract\nversion: 1.3.0\nsubsystem: exec\nentry: bin/extract\n",
         &new_hash);
    install_stopped(state, "q.lbp", look_for_the_old_one, 0);
    assert_true(is_whole(state, &old_hash) && is_whole(state, &new_hash));
}

/* One that was altered is made anew: it stays as it is until the new one takes its place. */
static void look_for_the_altered_or_the_new_one(void **state)
{
    unsigned hidden;
    struct error err = {0};
    struct buf bytes = {0};
    char *file = mem_printf("%s/files/data/empty", store_path(state, &new_hash));
    assert_int_equal(stored(state, &hidden), 1);
    must(file_read(file, 10, &bytes, &err));
    if (bytes.n == 0)
        assert_true(is_whole(state, &new_hash));
    buf_free(&bytes);
    mem_free(&file);
}

static void a_kill_while_an_altered_package_is_replaced_leaves_one_or_the_other(void **state)
{
    struct error err = {0};
    make(state, "p", FIXTURE_YAML, &new_hash);
    must(fixture_install(state, testing_path(state, "p.lbp"), &err));
    char *file = mem_printf("%s/files/data/empty", store_path(state, &new_hash));
    assert_int_equal(chmod(file, 0644), 0);
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, "altered", 7), 7);
    close(fd);
    install_stopped(state, "p.lbp", look_for_the_altered_or_the_new_one, 0);
    assert_true(is_whole(state, &new_hash));
    mem_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_kill_leaves_all_or_nothing_and_the_next_call_cleans_up),
        in_folder(a_kill_while_the_next_version_is_installed_leaves_the_old_one),
        in_folder(a_kill_while_an_altered_package_is_replaced_leaves_one_or_the_other),
    };
    /* Kills lose nothing that is written, so a disk would only make its syncs slow. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
