/* separate_test.c - who owns what where root has started the runner. Needs root: users are numbers,
 * which need no accounts. */
#include "common/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/context.h"
#include "runner/separate.h"

static const struct runner_users users = {.worker = "47111", .unpack = "47112"};

static void put(void **state, const char *name, uid_t owner)
{
    char *path = mem_strdup(testing_path(state, name)), *slash = strrchr(path, '/');
    *slash = 0;
    assert_int_equal(file_make_dirs(path, 0755, NULL), 0);
    *slash = '/';
    assert_int_equal(file_write_atomic(path, span_str("x"), 0644, NULL), 0);
    assert_int_equal(chown(path, owner, owner), 0);
    mem_free(&path);
}

static uid_t owner_of(void **state, const char *name)
{
    struct stat st;
    assert_int_equal(lstat(testing_path(state, name), &st), 0);
    return st.st_uid;
}

static int opened(void **state, struct runner_paths *ret, struct error *err)
{
    if (geteuid() != 0)
        skip();
    setenv("LONGBOAT_HOME", *state, 1);
    return runner_paths_open(ret, &users, err);
}

static void the_first_start_takes_over_what_join_left_and_no_later_one(void **state)
{
    struct runner_paths paths = {0};
    struct error err = {0};
    if (geteuid() != 0)
        skip();
    put(state, "etc/trust/administrators", 47111);
    put(state, "etc/trust/certificate", 47111);
    if (opened(state, &paths, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(owner_of(state, "etc/trust/administrators"), 0);
    assert_int_equal(owner_of(state, "etc/trust/certificate"), 47111);
    assert_int_equal(
        separate_is_roots(&paths, testing_path(state, "etc/trust/administrators"), &err), 0);
    runner_paths_leave_memory(&paths);
    runner_paths_free(&paths);
    put(state, "etc/trust/signers", 47111); /* a captured worker's: there was none */
    assert_int_equal(opened(state, &paths, &err), 0);
    assert_int_equal(owner_of(state, "etc/trust/signers"), 47111);
    assert_int_equal(separate_is_roots(&paths, testing_path(state, "etc/trust/signers"), &err),
                     -EPERM);
    assert_contains(err.text, "belongs to user 47111");
    runner_paths_leave_memory(&paths);
    runner_paths_free(&paths);
}

static void each_folder_belongs_to_whom_it_should_whoever_had_it_before(void **state)
{
    static const struct {
        const char *name;
        mode_t mode;
        uid_t uid;
        gid_t gid;
    } all[] = {{"etc", 0755, 0, 0},
               {"etc/trust", 01775, 0, 47111},
               {"etc/keys", 01770, 0, 47111},
               {"var", 01775, 0, 47111},
               {"var/spool", 0700, 47111, 47111},
               {"var/keepers", 0750, 0, 47111},
               {"var/packages", 0755, 47112, 47112},
               {"var/jobs", 0755, 0, 0},
               {"var/incoming", 02750, 47111, 47112},
               {"var/runner", 0700, 0, 0},
               {"var/work", 0711, 0, 0},
               {"run", 0755, 0, 0},
               {"run/worker", 02710, 47111, 0},
               {"run/keepers", 0700, 0, 0}};
    struct runner_paths paths = {0};
    struct error err = {0};
    struct stat st;
    if (geteuid() != 0)
        skip();
    put(state, "var/keepers/keeper-1.log", 0);
    assert_int_equal(chown(testing_path(state, "var"), 47111, 47111), 0);
    assert_int_equal(chown(testing_path(state, "var/keepers"), 47111, 47111), 0);
    assert_int_equal(opened(state, &paths, &err), 0);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_int_equal(lstat(testing_path(state, all[i].name), &st), 0);
        if ((st.st_mode & 07777) != all[i].mode || st.st_uid != all[i].uid ||
            st.st_gid != all[i].gid)
            fail_msg("%s: %o %u %u", all[i].name, st.st_mode & 07777, st.st_uid, st.st_gid);
    }
    runner_paths_leave_memory(&paths);
    runner_paths_free(&paths);
}

static void a_folder_that_is_a_link_is_not_followed(void **state)
{
    struct runner_paths paths = {0};
    struct error err = {0};
    if (geteuid() != 0)
        skip();
    put(state, "elsewhere/x", 0);
    assert_int_equal(mkdir(testing_path(state, "run"), 0755), 0);
    char *to = mem_strdup(testing_path(state, "elsewhere"));
    assert_int_equal(symlink(to, testing_path(state, "run/worker")), 0);
    assert_true(opened(state, &paths, &err) < 0);
    assert_contains(err.text, "run/worker");
    assert_int_equal(owner_of(state, "elsewhere"), 0);
    mem_free(&to);
}

/* ---- Contexts */

static int take(bool separated, const char *user, uint64_t uid, struct error *err)
{
    const struct runner_paths paths = {
        .separated = separated, .worker = {.uid = 47111}, .unpack = {.uid = 47112}};
    const struct d_context c = {.user = span_str(user), .uid = uid, .gid = uid};
    struct privilege_user got;
    bool switched;
    int rc = context_take(&paths, &c, &got, &switched, err);
    if (rc == 0)
        assert_int_equal(switched, separated);
    return rc;
}

static void nobody_becomes_root_worker_or_unpacker_unasked(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(take(true, "etl", 47113, &err), 0);
    assert_int_equal(take(true, "root", 0, &err), 0); /* by name, as its proxy has to */
    assert_int_equal(take(true, "", 0, &err), -EPERM);
    assert_int_equal(take(true, "toor", 0, &err), -EPERM);
    assert_int_equal(take(true, "longboat", 47111, &err), -EPERM);
    assert_int_equal(take(true, "longboat-unpack", 47112, &err), -EPERM);
    assert_int_equal(take(true, "x", UINT32_MAX, &err), -EBADMSG);
    assert_int_equal(take(true, "x", UINT32_MAX + 1ULL, &err), -EBADMSG);
    assert_int_equal(take(false, "", 0, &err), 0);
    assert_int_equal(take(false, "etl", 47113, &err), -EPERM);
    assert_contains(err.text, "started as root");
}

/* ---- Memory */

static void a_squatted_name_in_memory_stops_no_server(void **state)
{
    struct runner_paths paths = {0}, again = {0};
    struct error err = {0};
    if (geteuid() != 0)
        skip(); /* only root can play the other user */
    setenv("LONGBOAT_HOME", *state, 1);
    assert_int_equal(runner_paths_open(&paths, NULL, &err), 0);
    if (strncmp(paths.memory, "/dev/shm/", 9) != 0)
        skip();
    assert_int_equal(chown(paths.memory, 47113, 47113), 0);
    assert_int_equal(runner_paths_open(&again, NULL, &err), 0);
    assert_string_not_equal(again.memory, paths.memory);
    char *second = mem_strdup(again.memory);
    runner_paths_free(&again);
    assert_int_equal(runner_paths_open(&again, NULL, &err), 0);
    assert_string_equal(again.memory, second); /* the next runner finds the same */
    runner_paths_leave_memory(&again);
    runner_paths_leave_memory(&paths);
    runner_paths_free(&again);
    runner_paths_free(&paths);
    mem_free(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(the_first_start_takes_over_what_join_left_and_no_later_one),
        in_folder(each_folder_belongs_to_whom_it_should_whoever_had_it_before),
        in_folder(a_folder_that_is_a_link_is_not_followed),
        cmocka_unit_test(nobody_becomes_root_worker_or_unpacker_unasked),
        in_folder(a_squatted_name_in_memory_stops_no_server),
    };
    return cmocka_run_group_tests_name("separate", tests, NULL, NULL);
}
