#include "worker/runnerlink.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/clock.h"
#include "common/testing.h"

enum { WAIT_MS = 20000 };

struct runnerlink_watcher {
    struct loop *loop;
    struct runnerlink *link;
    unsigned ups, downs, messages;
    int listening;
    struct channel *runner;
    uint64_t version; /* the runner's answer to ATTACH */
};

#define must(call) \
    do { \
        if ((call) < 0) \
            fail_msg("%s: %s", #call, err.text); \
    } while (0)

static void on_up(void *self)
{
    ((struct runnerlink_watcher *)self)->ups++;
}

static void on_message(void *self, uint64_t kind, struct span m)
{
    (void)m;
    assert_int_equal(kind, KIND_S_KEPT_END);
    ((struct runnerlink_watcher *)self)->messages++;
}

static void on_down(void *self, const char *why)
{
    assert_true(*why);
    ((struct runnerlink_watcher *)self)->downs++;
}

static void say(struct runnerlink_watcher *w, const struct wire_schema *schema, const void *m)
{
    struct error err = {0};
    struct buf b = {0};
    wire_encode(schema, m, &b);
    must(channel_send(w->runner, buf_span(&b), &err));
    buf_free(&b);
}

static void on_runner(struct loop *l, int fd, uint32_t events, void *arg)
{
    struct runnerlink_watcher *w = arg;
    struct span m;
    struct s_attach a;
    struct error err = {0};
    (void)events;
    int rc;
    while ((rc = channel_receive(w->runner, &m, NULL)) > 0) {
        must(s_attach_decode(m, &a, &err));
        assert_int_equal(a.slots, 3);
        say(w, &s_attach_schema, &(struct s_attach){.version = w->version});
        say(w, &s_kept_end_schema, &(struct s_kept_end){.count = 0});
    }
    if (rc < 0) {
        loop_del(l, fd);
        channel_close(&w->runner);
    }
}

static void on_connect(struct loop *l, int fd, uint32_t events, void *arg)
{
    struct runnerlink_watcher *w = arg;
    struct error err = {0};
    (void)events;
    must(channel_accept(fd, &w->runner, &err));
    must(loop_add(l, channel_fd(w->runner), EPOLLIN, on_runner, w, &err));
}

static void begin(void **state, struct runnerlink_watcher *w, const char *program, bool runner)
{
    struct error err = {0};
    const struct runnerlink_calls calls = {w, on_up, on_message, on_down};
    const struct runnerlink_options o = {
        .socket = testing_path(state, "runner.sock"), .program = program, .slots = 3};
    *w = (struct runnerlink_watcher){.listening = -1, .version = RUNNER_PROTOCOL};
    assert_non_null(w->loop = loop_new(&err));
    if (runner) {
        must(channel_listen(o.socket, &w->listening, &err));
        must(loop_add(w->loop, w->listening, EPOLLIN, on_connect, w, &err));
    }
    must(runnerlink_open(&w->link, w->loop, &o, &calls, &err));
}

static void end(struct runnerlink_watcher *w)
{
    runnerlink_close(&w->link);
    if (w->runner)
        loop_del(w->loop, channel_fd(w->runner));
    channel_close(&w->runner);
    if (w->listening >= 0) {
        loop_del(w->loop, w->listening);
        close(w->listening);
    }
    loop_destroy(&w->loop);
}

#define turn_until(w, condition) \
    do { \
        struct error turn_err_ = {0}; \
        int64_t until_ = clock_boot_ms() + WAIT_MS; \
        while (!(condition) && clock_boot_ms() < until_) \
            assert_true(loop_turn((w)->loop, clock_boot_ms() + 100, &turn_err_) >= 0); \
        assert_true(condition); \
    } while (0)

static void the_link_attaches_and_receives_the_runners_messages(void **state)
{
    struct runnerlink_watcher w;
    begin(state, &w, NULL, true);
    turn_until(&w, w.messages == 1);
    assert_int_equal(w.ups, 1);
    assert_true(runnerlink_is_up(w.link));
    assert_string_equal(runnerlink_trouble(w.link), "");
    end(&w);
}

static void a_lost_runner_is_reported_and_sought_again(void **state)
{
    struct runnerlink_watcher w;
    begin(state, &w, NULL, true);
    turn_until(&w, w.ups == 1);
    loop_del(w.loop, channel_fd(w.runner));
    channel_close(&w.runner);
    turn_until(&w, w.ups == 2);
    assert_int_equal(w.downs, 1);
    end(&w);
}

static void a_runner_of_another_protocol_is_rejected(void **state)
{
    struct runnerlink_watcher w;
    begin(state, &w, NULL, true);
    w.version = RUNNER_PROTOCOL + 1;
    turn_until(&w, runnerlink_is_strange(w.link));
    assert_contains(runnerlink_trouble(w.link), "install both of one release");
    assert_int_equal(w.ups, 0);
    assert_int_equal(w.downs, 0);
    /* it goes on trying, until one is there that it understands */
    w.version = RUNNER_PROTOCOL_MIN;
    turn_until(&w, w.ups == 1);
    assert_false(runnerlink_is_strange(w.link));
    end(&w);
}

/* A program that appends a line to a file and exits at once. */
static const char *program(void **state)
{
    struct error err = {0};
    char *text =
        mem_printf("#!/bin/sh\necho \"started $*\" >>'%s'\n", testing_path(state, "starts"));
    must(file_write_atomic(testing_path(state, "lbrunner"), span_str(text), 0700, &err));
    mem_free(&text);
    return testing_path(state, "lbrunner");
}

static size_t starts(void **state, const char *line)
{
    struct buf b = {0};
    size_t n = 0;
    file_read(testing_path(state, "starts"), 10000, &b, NULL);
    for (const char *at = buf_str(&b); (at = strstr(at, line)); at += strlen(line))
        n++;
    buf_free(&b);
    return n;
}

static void a_runner_is_started_when_none_listens_and_restarted_if_it_dies(void **state)
{
    struct runnerlink_watcher w;
    unsetenv("LONGBOAT_HOME");
    begin(state, &w, program(state), false);
    turn_until(&w, (runnerlink_reap(w.link), starts(state, "started \n") >= 2));
    assert_int_equal(w.ups, 0);
    end(&w);
}

static void a_runner_gets_its_home_on_the_command_line(void **state)
{
    struct runnerlink_watcher w;
    setenv("LONGBOAT_HOME", "/of/etl1", 1);
    begin(state, &w, program(state), false);
    turn_until(&w, (runnerlink_reap(w.link), starts(state, "started --home /of/etl1\n") >= 1));
    unsetenv("LONGBOAT_HOME");
    end(&w);
}

static void the_link_waits_for_an_external_runner(void **state)
{
    struct runnerlink_watcher w;
    struct error err = {0};
    begin(state, &w, NULL, false);
    turn_until(&w, runnerlink_trouble(w.link)[0] != '\0');
    must(channel_listen(testing_path(state, "runner.sock"), &w.listening, &err));
    must(loop_add(w.loop, w.listening, EPOLLIN, on_connect, &w, &err));
    turn_until(&w, w.ups == 1);
    end(&w);
}

static void a_program_that_cannot_be_started_is_named(void **state)
{
    struct runnerlink_watcher w;
    begin(state, &w, testing_path(state, "no-such-runner"), false);
    turn_until(&w, strstr(runnerlink_trouble(w.link), "no-such-runner") != NULL);
    end(&w);
}

static void messages_to_a_runner_that_is_down_are_dropped(void **state)
{
    struct runnerlink_watcher w;
    begin(state, &w, NULL, false);
    assert_false(runnerlink_send(w.link, span_str("x")));
    runnerlink_flush(w.link);
    assert_false(runnerlink_is_up(w.link));
    end(&w);
}

/* A thousand steps with large parameters are more than a channel's queue can hold. */
static void a_runner_that_reads_slowly_is_not_dropped(void **state)
{
    struct runnerlink_watcher w;
    struct error err = {0};
    struct span m;
    struct buf step = {0};
    unsigned sent = 0, got = 0;
    begin(state, &w, NULL, true);
    turn_until(&w, w.ups == 1);
    loop_del(w.loop, channel_fd(w.runner)); /* it does not read */
    memset(buf_grow(&step, 512 << 10), 1, 512 << 10);
    step.n = 512 << 10;
    while (sent < 1000 && runnerlink_send(w.link, buf_span(&step)))
        sent++;
    assert_in_range(sent, 1, 999);
    assert_true(runnerlink_is_up(w.link));
    for (int64_t until = clock_boot_ms() + WAIT_MS; got < sent && clock_boot_ms() < until;) {
        runnerlink_flush(w.link);
        while (channel_receive(w.runner, &m, &err) == 1)
            got++;
    }
    assert_int_equal(got, sent);
    assert_true(runnerlink_send(w.link, buf_span(&step)));
    assert_int_equal(w.downs, 0);
    channel_close(&w.runner);
    buf_free(&step);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(the_link_attaches_and_receives_the_runners_messages),
        in_folder(a_lost_runner_is_reported_and_sought_again),
        in_folder(a_runner_of_another_protocol_is_rejected),
        in_folder(a_runner_is_started_when_none_listens_and_restarted_if_it_dies),
        in_folder(a_runner_gets_its_home_on_the_command_line),
        in_folder(the_link_waits_for_an_external_runner),
        in_folder(a_program_that_cannot_be_started_is_named),
        in_folder(messages_to_a_runner_that_is_down_are_dropped),
        in_folder(a_runner_that_reads_slowly_is_not_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
