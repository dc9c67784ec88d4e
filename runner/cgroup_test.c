/* cgroup_test.c - a slot's cgroup, in folders with files as the kernel has them. */
#include "common/testing.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/cgroup.h"

#define SELF "tree/unit/longboat"

static void write_text(void **state, const char *name, const char *text)
{
    FILE *f = fopen(testing_path(state, name), "we");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void make_folder(void **state, const char *name)
{
    assert_int_equal(file_make_dirs(testing_path(state, name), 0755, NULL), 0);
}

static char *text_of(void **state, const char *name)
{
    static char text[200];
    struct buf b = {0};
    assert_int_equal(file_read(testing_path(state, name), sizeof text - 1, &b, NULL), 0);
    memcpy(text, b.p, b.n);
    text[b.n] = '\0';
    buf_free(&b);
    return text;
}

/* A tree in which we are in tree/unit/longboat. */
static struct cgroup_place make_tree(void **state)
{
    char line[800];
    make_folder(state, SELF);
    snprintf(line, sizeof line,
             "24 1 0:22 / /proc rw - proc proc rw\n36 35 0:30 / %s rw - cgroup2 c rw\n",
             testing_path(state, "tree"));
    write_text(state, "mounts", line);
    write_text(state, "self", "1:name=systemd:/\n0::/unit/longboat\n");
    write_text(state, "tree/unit/cgroup.procs", "");
    write_text(state, "tree/unit/cgroup.controllers", "cpuset cpu io memory pids\n");
    write_text(state, "tree/unit/cgroup.subtree_control", "memory cpu\n");
    return (struct cgroup_place){.mounts = testing_path(state, "mounts"),
                                 .self = testing_path(state, "self")};
}

/* A slot's files, in the folder that cgroup_open uses for slot 3 of the home "h". */
static const char *make_slot(void **state)
{
    static const char *const names[] = {"cgroup.procs", "memory.max", "memory.swap.max",
                                        "cpu.max",      "pids.max",   "memory.oom.group",
                                        "cgroup.kill",  "memory.peak"};
    static char folder[100];
    struct cgroup *c;
    struct error err = {0};
    make_folder(state, "tree/unit");
    /* the error names the folder */
    assert_true(cgroup_open(testing_path(state, "tree/unit"), "h", 3, &c, &err) < 0);
    const char *at = strstr(err.text, "/slot-3-");
    assert_non_null(at);
    snprintf(folder, sizeof folder, "tree/unit/%.15s", at + 1);
    make_folder(state, folder);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = mem_printf("%s/%s", folder, names[i]);
        write_text(state, path, "");
        mem_free(&path);
    }
    return folder;
}

static const char *below(const char *folder, const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void counts(void **state, const char *folder, const char *memory, const char *processes,
                   const char *cpu)
{
    write_text(state, below(folder, "memory.current"), "0\n");
    write_text(state, below(folder, "memory.events"), memory);
    write_text(state, below(folder, "pids.events"), processes);
    write_text(state, below(folder, "cpu.stat"), cpu);
}

static struct cgroup *open_slot(void **state)
{
    struct cgroup *c;
    struct error err = {0};
    if (cgroup_open(testing_path(state, "tree/unit"), "h", 3, &c, &err) < 0)
        fail_msg("%s", err.text);
    return c;
}

static void the_cgroup_above_our_own_longboat_hands_on_its_controllers(void **state)
{
    const struct cgroup_place at = make_tree(state);
    char *path = NULL;
    assert_int_equal(cgroup_claim(&at, &path, NULL), 0);
    assert_string_equal(path, testing_path(state, "tree/unit"));
    /* memory and cpu it had handed on before */
    assert_string_equal(text_of(state, "tree/unit/cgroup.subtree_control"), "+pidsy cpu\n");
    mem_free(&path);
}

static void refuses(const struct cgroup_place *at, const char *why)
{
    char *path = NULL;
    struct error err = {0};
    assert_int_equal(cgroup_claim(at, &path, &err), -ENOTSUP);
    assert_contains(err.text, why);
    assert_null(path);
}

static void a_cgroup_of_another_name_is_left_alone(void **state)
{
    const struct cgroup_place at = make_tree(state);
    write_text(state, "self", "0::/unit\n");
    refuses(&at, "is no cgroup 'longboat' below a delegated one");
}

static void a_cgroup_that_we_cannot_write_to_is_not_delegated(void **state)
{
    const struct cgroup_place at = make_tree(state);
    assert_int_equal(unlink(testing_path(state, "tree/unit/cgroup.procs")), 0);
    refuses(&at, "is not delegated to this user");
}

static void without_a_controller_or_a_mount_there_are_no_limits(void **state)
{
    const struct cgroup_place at = make_tree(state);
    write_text(state, "tree/unit/cgroup.controllers", "cpu pids\n");
    refuses(&at, "has no controller 'memory'");
    write_text(state, "mounts", "24 1 0:22 / /proc rw - proc proc rw\n");
    refuses(&at, "no cgroup v2 is mounted");
}

static void limits_are_written_where_they_differ_from_the_last_steps(void **state)
{
    const char *folder = make_slot(state);
    counts(state, folder, "", "", "");
    struct cgroup *c = open_slot(state);
    struct cgroup_limits l = {.memory = 1 << 20, .cpu = 1500, .processes = 20};
    assert_string_equal(text_of(state, below(folder, "memory.max")), "max");
    assert_string_equal(text_of(state, below(folder, "memory.oom.group")), "1");
    assert_string_equal(text_of(state, below(folder, "cgroup.kill")), "1");
    assert_int_equal(cgroup_begin(c, &l, NULL), 0);
    assert_string_equal(text_of(state, below(folder, "memory.max")), "1048576");
    assert_string_equal(text_of(state, below(folder, "memory.swap.max")), "0ax");
    assert_string_equal(text_of(state, below(folder, "cpu.max")), "150000 100000");
    assert_string_equal(text_of(state, below(folder, "pids.max")), "20x");
    write_text(state, below(folder, "memory.max"), "");
    l.processes = 0;
    assert_int_equal(cgroup_begin(c, &l, NULL), 0);
    assert_string_equal(text_of(state, below(folder, "memory.max")), "");
    assert_string_equal(text_of(state, below(folder, "pids.max")), "max");
    cgroup_close(&c);
}

static void a_step_has_only_what_was_counted_since_it_began(void **state)
{
    const char *folder = make_slot(state);
    const struct cgroup_limits none = {0};
    struct cgroup_use use;
    counts(state, folder, "low 0\noom 7\noom_kill 3\noom_group_kill 2\n", "max 4\n",
           "usage_usec 30\nuser_usec 20\nsystem_usec 10\n");
    struct cgroup *c = open_slot(state);
    assert_int_equal(cgroup_begin(c, &none, NULL), 0);
    counts(state, folder, "low 0\noom 9\noom_kill 5\noom_group_kill 3\n", "max 4\n",
           "usage_usec 95\nuser_usec 70\nsystem_usec 25\n");
    cgroup_end(c, &use);
    assert_int_equal(use.out_of_memory, 2);
    assert_int_equal(use.refused, 0);
    assert_int_equal(use.user_us, 50);
    assert_int_equal(use.system_us, 15);
    cgroup_close(&c);
}

static void a_child_goes_into_its_slots_cgroup_and_is_killed_there(void **state)
{
    const char *folder = make_slot(state);
    counts(state, folder, "", "", "");
    struct cgroup *c = open_slot(state);
    assert_int_equal(cgroup_enter(c), 0);
    assert_string_equal(text_of(state, below(folder, "cgroup.procs")), "0");
    write_text(state, below(folder, "cgroup.kill"), "");
    cgroup_kill(c);
    assert_string_equal(text_of(state, below(folder, "cgroup.kill")), "1");
    cgroup_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(the_cgroup_above_our_own_longboat_hands_on_its_controllers),
        in_folder(a_cgroup_of_another_name_is_left_alone),
        in_folder(a_cgroup_that_we_cannot_write_to_is_not_delegated),
        in_folder(without_a_controller_or_a_mount_there_are_no_limits),
        in_folder(limits_are_written_where_they_differ_from_the_last_steps),
        in_folder(a_step_has_only_what_was_counted_since_it_began),
        in_folder(a_child_goes_into_its_slots_cgroup_and_is_killed_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
