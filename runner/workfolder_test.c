/* What a child may leave in its working folder, and what the next one finds. */
#include "common/testing.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/workfolder.h"

static bool there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void what_a_child_leaves_is_removed_for_the_next(void **state)
{
    struct workfolder *w = NULL;
    assert_int_equal(workfolder_open(testing_path(state, "1"), false, &w, NULL), 0);
    assert_int_equal(file_write_atomic(testing_path(state, "1/f"), span_str("x"), 0600, NULL), 0);
    assert_int_equal(mkdir(testing_path(state, "1/shut"), 0), 0);
    assert_int_equal(workfolder_clean(w, NULL), 0);
    assert_string_equal(workfolder_path(w), testing_path(state, "1"));
    assert_false(there(testing_path(state, "1/f")));
    assert_false(there(testing_path(state, "1/shut")));
    workfolder_close(&w);
}

/* In a name space of its own, in which something is mounted in the folder: that cannot be removed.
 * 77: mounting is not allowed here. */
static int spoil(void **state, const char *folder)
{
    char path[64];
    snprintf(path, sizeof path, "%s/mounted", folder);
    return mkdir(testing_path(state, path), 0700) < 0 ||
                   mount(testing_path(state, "kept"), testing_path(state, path), NULL, MS_BIND,
                         NULL) < 0
               ? -1
               : 0;
}

static int in_its_own_space(void **state)
{
    struct workfolder *w = NULL;
    struct error err = {0};
    char path[16];
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return 77;
    if (workfolder_open(testing_path(state, "1"), false, &w, &err) < 0)
        return 1;
    if (spoil(state, "1") < 0)
        return 77;
    if (workfolder_clean(w, &err) < 0 ||
        strcmp(workfolder_path(w), testing_path(state, "1.1")) != 0)
        return 2;
    for (unsigned i = 1; i <= WORKFOLDER_BESIDE_MAX; i++) {
        snprintf(path, sizeof path, "1.%u", i);
        if (strcmp(workfolder_path(w), testing_path(state, path)) != 0 || spoil(state, path) < 0)
            return 3;
        if ((workfolder_clean(w, &err) < 0) != (i == WORKFOLDER_BESIDE_MAX))
            return 4;
    }
    if (!strstr(err.text, "mounted") || workfolder_fd(w) >= 0)
        return 5;
    umount(testing_path(state, "1/mounted"));
    if (workfolder_clean(w, &err) < 0 || strcmp(workfolder_path(w), testing_path(state, "1")) != 0)
        return 6;
    workfolder_close(&w);
    return 0;
}

static void a_spoilt_folder_is_never_used_again_until_it_is_empty(void **state)
{
    int status = 0;
    assert_int_equal(file_make_dirs(testing_path(state, "kept/x"), 0700, NULL), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(in_its_own_space(state));
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
    assert_true(there(testing_path(state, "kept/x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(what_a_child_leaves_is_removed_for_the_next),
        in_folder(a_spoilt_folder_is_never_used_again_until_it_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
