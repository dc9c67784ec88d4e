/* slotfile_test.c - the next runner finds what was stored, whole or not at all. */
#include "common/testing.h"

#include <fcntl.h>
#include <unistd.h>

#include "runner/slotfile.h"
#include "runner/keeper.h"

static struct slotfile *opened(void **state)
{
    struct slotfile *f = NULL;
    struct error err = {0};
    if (slotfile_open(testing_path(state, "held"), &f, &err) < 0)
        fail_msg("%s", err.text);
    return f;
}

static struct slot_step step(unsigned n)
{
    struct slot_step h = {.run = {{(uint8_t)n, 1}},
                          .attempt = 1,
                          .try_no = n,
                          .step = "load",
                          .expires = 7,
                          .runs = true};
    return h;
}

static unsigned count(const struct slotfile *f)
{
    struct slot_step h;
    unsigned n = 0;
    for (unsigned at = 0; slotfile_next(f, &at, &h); n++)
        assert_false(h.runs || h.told);
    return n;
}

static void entries_outlive_the_process_that_wrote_them(void **state)
{
    struct slotfile *f = opened(state);
    struct slot_step h, one = step(1), two = step(2);
    unsigned at = 0;
    slotfile_put(f, &one);
    slotfile_put(f, &two);
    slotfile_put(f, &two);
    slotfile_drop(f, &one);
    slotfile_close(&f);
    f = opened(state);
    assert_int_equal(count(f), 1);
    assert_true(slotfile_next(f, &at, &h));
    assert_true(id_eq(h.run, two.run));
    assert_string_equal(h.step, "load");
    assert_int_equal(h.expires, 7);
    slotfile_clear(f);
    assert_int_equal(count(f), 0);
    slotfile_close(&f);
}

static void steps_beyond_a_keepers_capacity_are_left_out(void **state)
{
    struct slotfile *f = opened(state);
    for (unsigned i = 1; i <= KEEPER_WAITING + 5; i++) {
        struct slot_step h = step(i);
        slotfile_put(f, &h);
    }
    assert_int_equal(count(f), KEEPER_WAITING + 1);
    slotfile_close(&f);
}

static void a_file_of_another_format_is_emptied(void **state)
{
    struct slotfile *f = opened(state);
    struct slot_step one = step(1);
    slotfile_put(f, &one);
    slotfile_close(&f);
    int fd = open(testing_path(state, "held"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "LBHELD2", 8, 0), 8);
    close(fd);
    f = opened(state);
    assert_int_equal(count(f), 0);
    slotfile_put(f, &one);
    assert_int_equal(count(f), 1);
    slotfile_close(&f);
}

static void without_a_file_nothing_is_remembered(void **state)
{
    struct slotfile *f = NULL;
    struct error err = {0};
    struct slot_step one = step(1);
    assert_true(slotfile_open(testing_path(state, "nothing/held"), &f, &err) < 0);
    assert_contains(err.text, "nothing/held");
    slotfile_put(f, &one);
    slotfile_drop(f, &one);
    slotfile_clear(f);
    assert_int_equal(count(f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(entries_outlive_the_process_that_wrote_them),
        in_folder(steps_beyond_a_keepers_capacity_are_left_out),
        in_folder(a_file_of_another_format_is_emptied),
        in_folder(without_a_file_nothing_is_remembered),
    };
    return cmocka_run_group_tests_name("slotfile", tests, NULL, NULL);
}
