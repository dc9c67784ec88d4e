/* heldfile_test.c - what was put there is there for the next runner, whole or not at all. */
#include "common/testing.h"

#include <fcntl.h>
#include <unistd.h>

#include "runner/heldfile.h"
#include "runner/keeper.h"

static struct heldfile *opened(void **state)
{
    struct heldfile *f = NULL;
    struct error err = {0};
    if (heldfile_open(testing_path(state, "held"), &f, &err) < 0)
        fail_msg("%s", err.text);
    return f;
}

static struct held step(unsigned n)
{
    struct held h = {.run = {{(uint8_t)n, 1}},
                     .attempt = 1,
                     .try_no = n,
                     .step = "load",
                     .expires = 7,
                     .runs = true};
    return h;
}

static unsigned count(const struct heldfile *f)
{
    struct held h;
    unsigned n = 0;
    for (unsigned at = 0; heldfile_next(f, &at, &h); n++)
        assert_false(h.runs || h.told);
    return n;
}

static void what_was_put_outlives_the_process_that_did(void **state)
{
    struct heldfile *f = opened(state);
    struct held h, one = step(1), two = step(2);
    unsigned at = 0;
    heldfile_put(f, &one);
    heldfile_put(f, &two);
    heldfile_put(f, &two);
    heldfile_drop(f, &one);
    heldfile_close(&f);
    f = opened(state);
    assert_int_equal(count(f), 1);
    assert_true(heldfile_next(f, &at, &h));
    assert_true(id_eq(h.run, two.run));
    assert_string_equal(h.step, "load");
    assert_int_equal(h.expires, 7);
    heldfile_clear(f);
    assert_int_equal(count(f), 0);
    heldfile_close(&f);
}

static void more_than_a_keeper_takes_is_left_out(void **state)
{
    struct heldfile *f = opened(state);
    for (unsigned i = 1; i <= KEEPER_WAITING + 5; i++) {
        struct held h = step(i);
        heldfile_put(f, &h);
    }
    assert_int_equal(count(f), KEEPER_WAITING + 1);
    heldfile_close(&f);
}

static void a_file_of_another_form_says_nothing(void **state)
{
    struct heldfile *f = opened(state);
    struct held one = step(1);
    heldfile_put(f, &one);
    heldfile_close(&f);
    int fd = open(testing_path(state, "held"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "LBHELD2", 8, 0), 8);
    close(fd);
    f = opened(state);
    assert_int_equal(count(f), 0);
    heldfile_put(f, &one);
    assert_int_equal(count(f), 1);
    heldfile_close(&f);
}

static void without_a_file_nothing_is_kept(void **state)
{
    struct heldfile *f = NULL;
    struct error err = {0};
    struct held one = step(1);
    assert_true(heldfile_open(testing_path(state, "nothing/held"), &f, &err) < 0);
    assert_contains(err.text, "nothing/held");
    heldfile_put(f, &one);
    heldfile_drop(f, &one);
    heldfile_clear(f);
    assert_int_equal(count(f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(what_was_put_outlives_the_process_that_did),
        in_folder(more_than_a_keeper_takes_is_left_out),
        in_folder(a_file_of_another_form_says_nothing),
        in_folder(without_a_file_nothing_is_kept),
    };
    return cmocka_run_group_tests_name("heldfile", tests, NULL, NULL);
}
