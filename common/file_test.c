#include "common/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_file(const char *path, const char *text, mode_t mode)
{
    struct error err = {0};
    if (file_write_atomic(path, span_str(text), mode, &err) < 0)
        fail_msg("%s", err.text);
}

static bool there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void a_file_is_read_whole_after_what_is_in_the_buffer(void **state)
{
    const char *path = testing_path(state, "f");
    write_file(path, "world", 0644);
    struct buf b = buf_dup(span_str("hello "));
    assert_int_equal(file_read(path, 5, &b, NULL), 0);
    assert_string_equal(buf_str(&b), "hello world");
    buf_free(&b);
}

static void a_file_larger_than_allowed_is_refused_and_leaves_no_trace(void **state)
{
    const char *path = testing_path(state, "f");
    write_file(path, "world!", 0644);
    struct buf b = {0};
    struct error err = {0};
    assert_int_equal(file_read(path, 5, &b, &err), -EFBIG);
    assert_int_equal(b.n, 0);
    assert_contains(err.text, "the limit is 5 bytes");
    buf_free(&b);
}

static void a_large_file_is_read_whole(void **state)
{
    struct buf big = {0}, b = {0};
    for (int i = 0; i < 300000; i++)
        buf_add(&big, &(uint8_t){(uint8_t)(i * 7)}, 1);
    const char *path = testing_path(state, "big");
    assert_int_equal(file_write_atomic(path, buf_span(&big), 0600, NULL), 0);
    assert_int_equal(file_read(path, SIZE_MAX / 2, &b, NULL), 0);
    assert_true(span_eq(buf_span(&b), buf_span(&big)));
    buf_free(&b);
    buf_free(&big);
}

static void a_proc_file_is_read_although_its_size_is_zero(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_int_equal(file_read("/proc/self/status", 65536, &b, NULL), 0);
    assert_contains(buf_str(&b), "Pid:");
    buf_free(&b);
}

static void a_fifo_does_not_hang_the_reader(void **state)
{
    const char *path = testing_path(state, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    struct buf b = {0};
    struct error err = {0};
    assert_true(file_read(path, 10, &b, &err) < 0);
    assert_int_equal(file_read(*state, 10, &b, &err), -EISDIR);
    assert_int_equal(file_read(testing_path(state, "none"), 10, &b, &err), -ENOENT);
    assert_contains(err.text, "/none': No such file");
}

static int entries(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void a_replaced_file_has_the_mode_asked_for_and_no_leftovers(void **state)
{
    const char *path = testing_path(state, "f");
    struct stat st;
    write_file(path, "one", 0600);
    write_file(path, "two", 0644);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(entries(*state), 1);
    struct buf b = {0};
    file_read(path, 10, &b, NULL);
    assert_string_equal(buf_str(&b), "two");
    buf_free(&b);
}

static void a_failed_write_leaves_the_old_content(void **state)
{
    const char *folder = testing_path(state, "d"), *inside = testing_path(state, "d/f");
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(mkdir(inside, 0700), 0); /* a rename cannot put a file over a folder */
    struct error err = {0};
    assert_true(file_write_atomic(inside, span_str("x"), 0600, &err) < 0);
    assert_contains(err.text, "cannot replace");
    assert_int_equal(entries(folder), 1);
    assert_int_equal(file_write_atomic(testing_path(state, "none/f"), span_str("x"), 0600, &err),
                     -ENOENT);
    assert_int_equal(file_sync(testing_path(state, "none"), &err), -ENOENT);
    assert_contains(err.text, "none");
}

static void missing_parent_folders_are_made(void **state)
{
    struct error err = {0};
    assert_int_equal(file_make_dirs(testing_path(state, "a//b/c/"), 0700, &err), 0);
    assert_true(there(testing_path(state, "a/b/c")));
    assert_int_equal(file_make_dirs(testing_path(state, "a/b/c"), 0700, &err), 0);
    assert_int_equal(file_make_dirs("/", 0700, &err), 0);
    write_file(testing_path(state, "f"), "", 0600);
    assert_int_equal(file_make_dirs(testing_path(state, "f"), 0700, &err), -ENOTDIR);
    assert_true(file_make_dirs(testing_path(state, "f/x"), 0700, &err) < 0);
    assert_true(file_make_dirs("", 0700, &err) < 0);
}

static void a_secret_open_to_others_is_refused_with_the_remedy(void **state)
{
    const char *path = testing_path(state, "key");
    struct error err = {0};
    struct buf b = {0};
    write_file(path, "secret", 0640);
    assert_int_equal(file_check_private(path, &err), -EPERM);
    assert_contains(err.text, "mode 0640");
    assert_contains(err.text, "chmod 0600");
    assert_int_equal(file_read_private(path, 100, &b, &err), -EPERM);
    assert_int_equal(b.n, 0);
    chmod(path, 0400);
    assert_int_equal(file_check_private(path, &err), 0);
    assert_int_equal(file_read_private(path, 100, &b, &err), 0);
    assert_string_equal(buf_str(&b), "secret");
    buf_free(&b);
}

static void a_secret_behind_a_link_or_in_a_folder_is_refused(void **state)
{
    const char *path = testing_path(state, "key"), *to = testing_path(state, "link");
    struct error err = {0};
    struct buf b = {0};
    write_file(path, "secret", 0400);
    assert_int_equal(symlink(path, to), 0);
    assert_int_equal(file_check_private(to, &err), -EPERM);
    assert_contains(err.text, "symbolic link");
    assert_int_equal(file_read_private(to, 100, &b, &err), -EPERM);
    assert_int_equal(file_check_private(*state, &err), -EPERM);
    assert_int_equal(file_read_private(*state, 100, &b, &err), -EPERM);
    buf_free(&b);
}

static void a_secret_owned_by_another_user_is_refused(void **state)
{
    if (geteuid() != 0)
        skip();
    const char *path = testing_path(state, "key");
    struct error err = {0};
    write_file(path, "secret", 0400);
    assert_int_equal(chown(path, 12345, 0), 0);
    assert_int_equal(file_check_private(path, &err), -EPERM);
    assert_contains(err.text, "belongs to user 12345");
}

static void a_held_lock_names_its_holder(void **state)
{
    const char *path = testing_path(state, "lock");
    struct error err = {0};
    int fd = -1, other = -1;
    char want[64];
    assert_int_equal(file_lock(path, &fd, &err), 0);
    assert_int_equal(file_lock(path, &other, &err), -EBUSY);
    assert_int_equal(other, -1);
    snprintf(want, sizeof want, "held by process %ld", (long)getpid());
    assert_contains(err.text, want);
    close(fd);
    assert_int_equal(file_lock(path, &other, &err), 0);
    close(other);
}

static void testing_a_lock_names_its_holder_and_changes_nothing(void **state)
{
    const char *path = testing_path(state, "lock");
    struct error err = {0};
    struct buf text = {0};
    int fd = -1;
    char want[64];
    assert_int_equal(file_lock_is_held(path, &err), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(file_lock(path, &fd, &err), 0);
    assert_int_equal(file_lock_is_held(path, &err), 1);
    snprintf(want, sizeof want, "held by process %ld", (long)getpid());
    assert_contains(err.text, want);
    close(fd);
    assert_int_equal(file_lock_is_held(path, &err), 0);
    write_file(path, "41", 0600);
    assert_int_equal(file_lock_is_held(path, &err), 0);
    assert_int_equal(file_read(path, 100, &text, &err), 0);
    assert_true(span_eq_str(buf_span(&text), "41"));
    /* a folder is not a held lock */
    assert_int_equal(file_lock_is_held(*state, &err), 0);
    buf_free(&text);
}

static void a_tree_is_removed_without_following_links(void **state)
{
    struct error err = {0};
    write_file(testing_path(state, "outside"), "keep", 0600);
    assert_int_equal(file_make_dirs(testing_path(state, "kept/x"), 0700, NULL), 0);
    assert_int_equal(file_make_dirs(testing_path(state, "t/a/b/c"), 0700, NULL), 0);
    write_file(testing_path(state, "t/a/f"), "x", 0);
    assert_int_equal(symlink(testing_path(state, "outside"), testing_path(state, "t/a/b/l")), 0);
    assert_int_equal(symlink(testing_path(state, "kept"), testing_path(state, "t/d")), 0);
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "t/a/b/n%d", i);
        close(open(testing_path(state, name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
    assert_int_equal(file_remove_tree(testing_path(state, "t"), &err), 0);
    assert_false(there(testing_path(state, "t")));
    assert_true(there(testing_path(state, "outside")));
    assert_true(there(testing_path(state, "kept/x")));
    assert_int_equal(file_remove_tree(testing_path(state, "t"), &err), 0);
}

static void a_link_given_as_the_tree_is_removed_itself(void **state)
{
    assert_int_equal(file_make_dirs(testing_path(state, "kept/x"), 0700, NULL), 0);
    assert_int_equal(symlink(testing_path(state, "kept"), testing_path(state, "l")), 0);
    assert_int_equal(file_remove_tree(testing_path(state, "l"), NULL), 0);
    assert_false(there(testing_path(state, "l")));
    assert_true(there(testing_path(state, "kept/x")));
}

/* As an unprivileged user: root ignores the modes. */
static void folders_without_permissions_are_removed(void **state)
{
    chmod(*state, 0777);
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && setuid(12345) < 0)
            _exit(2);
        mkdir(testing_path(state, "t"), 0700);
        mkdir(testing_path(state, "t/shut"), 0700);
        close(open(testing_path(state, "t/shut/f"), O_CREAT | O_WRONLY | O_CLOEXEC, 0400));
        chmod(testing_path(state, "t/shut"), 0);
        chmod(testing_path(state, "t"), 0500);
        _exit(file_remove_tree(testing_path(state, "t"), NULL) == 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_false(there(testing_path(state, "t")));
}

static void a_tree_of_any_depth_is_removed(void **state)
{
    pid_t pid = fork(); /* the working folder is the process's own */
    if (pid == 0) {
        if (mkdir(testing_path(state, "t"), 0700) < 0 || chdir(testing_path(state, "t")) < 0)
            _exit(2);
        for (int i = 0; i < 3000; i++)
            if (mkdir("deeper", 0700) < 0 || chdir("deeper") < 0)
                _exit(3);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    struct error err = {0};
    if (file_remove_tree(testing_path(state, "t"), &err) < 0)
        fail_msg("%s", err.text);
    assert_false(there(testing_path(state, "t")));
}

/* Where mounting is allowed: in a name space of its own, so that nothing stays mounted. */
static void what_is_bound_into_the_tree_is_not_removed(void **state)
{
    assert_int_equal(file_make_dirs(testing_path(state, "t/a/bound"), 0700, NULL), 0);
    assert_int_equal(file_make_dirs(testing_path(state, "kept/x"), 0700, NULL), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct error err = {0};
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount(testing_path(state, "kept"), testing_path(state, "t/a/bound"), NULL, MS_BIND,
                  NULL) < 0)
            _exit(77);
        _exit(file_remove_tree(testing_path(state, "t"), &err) == -EXDEV &&
                      strstr(err.text, "mount point")
                  ? 0
                  : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
    assert_true(there(testing_path(state, "kept/x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_file_is_read_whole_after_what_is_in_the_buffer),
        in_folder(a_file_larger_than_allowed_is_refused_and_leaves_no_trace),
        in_folder(a_large_file_is_read_whole),
        cmocka_unit_test(a_proc_file_is_read_although_its_size_is_zero),
        in_folder(a_fifo_does_not_hang_the_reader),
        in_folder(a_replaced_file_has_the_mode_asked_for_and_no_leftovers),
        in_folder(a_failed_write_leaves_the_old_content),
        in_folder(missing_parent_folders_are_made),
        in_folder(a_secret_open_to_others_is_refused_with_the_remedy),
        in_folder(a_secret_behind_a_link_or_in_a_folder_is_refused),
        in_folder(a_secret_owned_by_another_user_is_refused),
        in_folder(a_held_lock_names_its_holder),
        in_folder(testing_a_lock_names_its_holder_and_changes_nothing),
        in_folder(a_tree_is_removed_without_following_links),
        in_folder(a_link_given_as_the_tree_is_removed_itself),
        in_folder(folders_without_permissions_are_removed),
        in_folder(a_tree_of_any_depth_is_removed),
        in_folder(what_is_bound_into_the_tree_is_not_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
