/* check_test.c - lbbroker check: alone, beside a running broker, and with faults to find. */
#include "broker/check.h"

#include <fcntl.h>
#include <unistd.h>

#include "broker/testing.h"

/* Returns what the check returns; *ret_text, the caller's to free, is its output. */
static int check(struct btest *w, struct buf *ret_text)
{
    struct error err = {0};
    char *config = mem_printf("%s/etc", w->home), *state = mem_printf("%s/var", w->home),
         *said = mem_printf("%s/said", w->home);
    const char *listen[] = {w->endpoint ? w->endpoint : "tcp://127.0.0.1:*"};
    struct broker_options o = {.cluster = "test",
                               .name = "b1",
                               .listen = listen,
                               .n_listen = 1,
                               .config = config,
                               .state = state};
    int old = dup(1), fd = open(said, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    fflush(stdout);
    assert_true(old >= 0 && fd >= 0 && dup2(fd, 1) == 1);
    int rc = broker_check(&o);
    fflush(stdout);
    dup2(old, 1);
    close(old);
    close(fd);
    buf_clear(ret_text);
    if (file_read(said, 1 << 16, ret_text, &err) < 0)
        fail_msg("%s", err.text);
    buf_str(ret_text);
    mem_free(&config);
    mem_free(&state);
    mem_free(&said);
    return rc;
}

static void a_sound_installation_passes(void **state)
{
    struct buf text = {0};
    assert_int_equal(check(*state, &text), 0);
    assert_contains(buf_str(&text), "none yet");
    assert_contains(buf_str(&text), "listen       ok: tcp://");
    buf_free(&text);
}

static void a_check_beside_a_running_broker_says_so_and_passes(void **state)
{
    struct btest *w = *state;
    struct buf text = {0};
    char want[64];
    btest_start(w);
    assert_int_equal(check(w, &text), 0);
    snprintf(want, sizeof want, "held by process %ld", (long)getpid());
    assert_contains(buf_str(&text), "broker       ok: one is running here");
    assert_contains(buf_str(&text), want);
    assert_null(strstr(buf_str(&text), "WRONG"));
    buf_free(&text);
}

static void a_port_in_use_by_another_program_fails(void **state)
{
    struct btest *w = *state;
    struct buf text = {0};
    btest_start(w);
    char *lock = mem_printf("%s/var/broker/broker.db.lock", w->home);
    assert_int_equal(unlink(lock), 0); /* what has the port is not this broker */
    mem_free(&lock);
    assert_int_equal(check(w, &text), 1);
    assert_contains(buf_str(&text), "listen       WRONG");
    buf_free(&text);
}

static void a_broken_key_fails(void **state)
{
    struct btest *w = *state;
    struct buf text = {0};
    btest_write_file(w, "keys/broker.key", span_str("no key\n"), 0400);
    assert_int_equal(check(w, &text), 1);
    assert_contains(buf_str(&text), "key          WRONG");
    buf_free(&text);
}

int main(void)
{
#define in_world(test) cmocka_unit_test_setup_teardown(test, btest_setup, btest_teardown)
    const struct CMUnitTest tests[] = {
        in_world(a_sound_installation_passes),
        in_world(a_check_beside_a_running_broker_says_so_and_passes),
        in_world(a_port_in_use_by_another_program_fails),
        in_world(a_broken_key_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
