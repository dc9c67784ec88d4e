#include "common/loop.h"
#include "common/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

/* What happened, as letters in order. */
static char trace[256];

static void note(char c)
{
    size_t n = strlen(trace);
    trace[n] = c;
    trace[n + 1] = 0;
}

static struct loop *fresh(void)
{
    struct error err = {0};
    struct loop *l = loop_new(&err);
    if (!l)
        fail_msg("%s", err.text);
    trace[0] = 0;
    return l;
}

static void turn(struct loop *l, int64_t until)
{
    struct error err = {0};
    if (loop_turn(l, until, &err) < 0)
        fail_msg("%s", err.text);
}

struct pipes {
    int in, out;
};

static struct pipes a_pipe(void)
{
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
    return (struct pipes){p[0], p[1]};
}

static void close_pipe(struct pipes p)
{
    close(p.in);
    close(p.out);
}

static void take_byte(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)l;
    (void)arg;
    char c = '?';
    if (events & EPOLLIN && read(fd, &c, 1) == 1)
        note(c);
}

static void a_descriptor_with_data_is_delivered(void **state)
{
    (void)state;
    struct loop *l = fresh();
    struct pipes p = a_pipe();
    assert_int_equal(loop_add(l, p.in, EPOLLIN, take_byte, NULL, NULL), 0);
    assert_int_equal(loop_add(l, p.in, EPOLLIN, take_byte, NULL, NULL), -EEXIST);
    assert_int_equal(write(p.out, "xy", 2), 2);
    turn(l, INT64_MAX);
    turn(l, INT64_MAX);
    assert_string_equal(trace, "xy");
    assert_int_equal(loop_mod(l, p.in, EPOLLIN, NULL), 0); /* no change */
    assert_int_equal(loop_mod(l, p.in, 0, NULL), 0);
    assert_int_equal(write(p.out, "z", 1), 1);
    turn(l, 0);
    assert_string_equal(trace, "xy");
    assert_int_equal(loop_mod(l, p.in, EPOLLIN, NULL), 0);
    turn(l, 0);
    assert_string_equal(trace, "xyz");
    loop_del(l, p.in);
    loop_del(l, p.in);
    assert_int_equal(loop_mod(l, p.in, EPOLLIN, NULL), -ENOENT);
    assert_int_equal(loop_add(l, -1, EPOLLIN, take_byte, NULL, NULL), -EBADF);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct error err = {0};
    assert_int_equal(loop_add(l, file, EPOLLIN, take_byte, NULL, &err), -EPERM);
    close(file);
    close_pipe(p);
    loop_destroy(&l);
    loop_destroy(&l);
}

static struct pipes pair[2];
static int other_of(int fd)
{
    return fd == pair[0].in ? pair[1].in : pair[0].in;
}

static void delete_the_other(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)events;
    (void)arg;
    note('d');
    loop_del(l, other_of(fd));
}

static void an_event_for_a_deleted_descriptor_is_not_delivered(void **state)
{
    (void)state;
    struct loop *l = fresh();
    for (int i = 0; i < 2; i++) {
        pair[i] = a_pipe();
        assert_int_equal(loop_add(l, pair[i].in, EPOLLIN, delete_the_other, NULL, NULL), 0);
        assert_int_equal(write(pair[i].out, "x", 1), 1);
    }
    turn(l, 0);
    assert_string_equal(trace, "d");
    close_pipe(pair[0]);
    close_pipe(pair[1]);
    loop_destroy(&l);
}

static void reuse_the_number(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)events;
    (void)arg;
    int other = other_of(fd);
    note('d');
    loop_del(l, fd);
    loop_del(l, other);
    struct pipes quiet = a_pipe(); /* it is empty: an event for it would be the old one's */
    assert_int_equal(dup2(quiet.in, other), other);
    assert_int_equal(loop_add(l, other, EPOLLIN, take_byte, NULL, NULL), 0);
    close(quiet.in);
    pair[other == pair[0].in ? 0 : 1].out = quiet.out;
}

static void take_any(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)l;
    (void)fd;
    (void)events;
    (void)arg;
    note('s');
}

static void reuse_for_any(struct loop *l, int fd, uint32_t events, void *arg)
{
    int other = other_of(fd);
    reuse_the_number(l, fd, events, arg);
    loop_del(l, other);
    assert_int_equal(loop_add(l, other, EPOLLIN, take_any, NULL, NULL), 0);
}

static void an_old_event_for_a_reused_descriptor_is_not_delivered(void **state)
{
    (void)state;
    struct loop *l = fresh();
    for (int i = 0; i < 2; i++) {
        pair[i] = a_pipe();
        assert_int_equal(loop_add(l, pair[i].in, EPOLLIN, reuse_for_any, NULL, NULL), 0);
        assert_int_equal(write(pair[i].out, "x", 1), 1);
    }
    turn(l, 0);
    turn(l, 0);
    assert_string_equal(trace, "d");
    close_pipe(pair[0]);
    close_pipe(pair[1]);
    loop_destroy(&l);
}

static void note_timer(struct loop *l, struct loop_timer *timer, void *arg)
{
    assert_true(loop_now(l) >= timer->node.key);
    note(*(const char *)arg);
}

static void timers_fire_in_order_and_not_early(void **state)
{
    (void)state;
    struct loop *l = fresh();
    struct loop_timer a = {0}, b = {0}, c = {0}, never = {0};
    int64_t now = loop_now(l);
    loop_timer_set(l, &c, "c", now + 30, note_timer, "c");
    loop_timer_set(l, &a, "a", now + 10, note_timer, "a");
    loop_timer_set(l, &b, "b", now + 10, note_timer, "b");
    loop_timer_set(l, &never, "never", now + 5, note_timer, "n");
    loop_timer_stop(l, &never);
    assert_true(loop_timer_is_set(&a));
    assert_false(loop_timer_is_set(&never));
    while (strlen(trace) < 3)
        turn(l, INT64_MAX);
    assert_string_equal(trace, "abc");
    assert_false(loop_timer_is_set(&a));
    assert_true(clock_boot_ms() >= now + 30);
    loop_destroy(&l);
}

/* The kernel's timer is left alone when a deadline moves away, and set when one comes closer. */
static void a_timer_that_is_moved_fires_at_its_new_time(void **state)
{
    (void)state;
    struct loop *l = fresh();
    struct pipes p = a_pipe();
    struct loop_timer a = {0}, b = {0};
    assert_int_equal(loop_add(l, p.in, EPOLLIN, take_byte, NULL, NULL), 0);
    int64_t now = clock_boot_ms();
    loop_timer_set(l, &a, "a", now + 10000, note_timer, "a");
    assert_int_equal(write(p.out, "1", 1), 1);
    turn(l, INT64_MAX);
    loop_timer_set(l, &a, "a", now + 20, note_timer, "a");
    assert_int_equal(write(p.out, "2", 1), 1);
    turn(l, INT64_MAX);
    loop_timer_set(l, &a, "a", now + 40, note_timer, "a");
    loop_timer_set(l, &b, "b", now + 30, note_timer, "b");
    while (loop_timer_is_set(&a))
        turn(l, INT64_MAX);
    assert_string_equal(trace, "12ba");
    assert_true(loop_now(l) < now + 10000); /* it did not wait for the first of all times */
    close_pipe(p);
    loop_destroy(&l);
}

static void a_descriptor_that_was_closed_makes_room_for_another(void **state)
{
    (void)state;
    struct loop *l = fresh();
    struct pipes a = a_pipe(), b;
    assert_int_equal(loop_add(l, a.in, EPOLLIN, take_byte, NULL, NULL), 0);
    close(a.out);
    close(a.in);
    loop_closed(l, a.in);
    turn(l, 0); /* its end is not delivered */
    assert_string_equal(trace, "");
    b = a_pipe();
    assert_int_equal(b.in, a.in); /* the same number */
    assert_int_equal(loop_add(l, b.in, EPOLLIN, take_byte, NULL, NULL), 0);
    assert_int_equal(write(b.out, "b", 1), 1);
    turn(l, INT64_MAX);
    assert_string_equal(trace, "b");
    close_pipe(b);
    loop_destroy(&l);
}

static void hold_the_loop(struct loop *l, struct loop_timer *timer, void *arg)
{
    int64_t until = clock_boot_us() + 5000;
    (void)l, (void)timer, (void)arg;
    while (clock_boot_us() < until)
        ;
}

static void the_longest_turn_is_counted_without_its_sleep(void **state)
{
    (void)state;
    struct loop *l = fresh();
    struct loop_timer t = {0};
    assert_int_equal(loop_longest_us(l), 0);
    loop_timer_set(l, &t, "hold", loop_now(l), hold_the_loop, NULL);
    turn(l, INT64_MAX);
    int64_t longest = loop_longest_us(l);
    assert_true(longest >= 5000);
    loop_timer_set(l, &t, "sleep", clock_boot_ms() + 5, note_timer, "x");
    turn(l, INT64_MAX);
    assert_true(loop_longest_us(l) >= longest);
    assert_int_equal(loop_longest_cpu_us(l), 0); /* nobody has asked for it */
    loop_count_cpu(l);
    turn(l, 0);
    loop_timer_set(l, &t, "sleep", clock_boot_ms() + 5, note_timer, "x");
    turn(l, INT64_MAX);
    assert_true(loop_longest_cpu_us(l) > 0);
    assert_true(loop_longest_cpu_us(l) < loop_longest_us(l));
    loop_destroy(&l);
}

static void set_again(struct loop *l, struct loop_timer *timer, void *arg)
{
    note('t');
    loop_timer_set(l, timer, "again", 0, set_again, arg);
}

static void a_timer_that_sets_itself_does_not_starve_others(void **state)
{
    (void)state;
    struct loop *l = fresh();
    struct loop_timer t = {0}, due = {0};
    loop_timer_set(l, &t, "again", 0, set_again, NULL);
    loop_timer_set(l, &due, "due", 0, note_timer, "x");
    turn(l, INT64_MAX);
    assert_string_equal(trace, "tx");
    turn(l, INT64_MAX);
    assert_string_equal(trace, "txt");
    loop_timer_stop(l, &t);
    loop_destroy(&l);
}

static void stop_other(struct loop *l, struct loop_timer *timer, void *arg)
{
    (void)timer;
    note('s');
    loop_timer_stop(l, arg);
}

static void a_timer_stopped_earlier_in_the_turn_does_not_fire(void **state)
{
    (void)state;
    struct loop *l = fresh();
    struct loop_timer a = {0}, b = {0};
    loop_timer_set(l, &a, "a", 0, stop_other, &b);
    loop_timer_set(l, &b, "b", 0, stop_other, &a);
    turn(l, 0);
    assert_string_equal(trace, "s");
    loop_destroy(&l);
}

static void a_deadline_wakes_the_loop_once(void **state)
{
    (void)state;
    struct loop *l = fresh();
    int64_t now = loop_now(l);
    loop_set_deadline(l, now + 20);
    turn(l, INT64_MAX);
    assert_true(loop_now(l) >= now + 20);
    turn(l, loop_now(l) + 10); /* would come back at once if the deadline were still there */
    assert_true(loop_now(l) >= now + 30);
    loop_set_deadline(l, loop_now(l) + 100000);
    loop_set_deadline(l, loop_now(l) + 5);
    turn(l, INT64_MAX);
    loop_destroy(&l);
}

static bool work_twice(struct loop *l, void *arg)
{
    (void)l;
    note('p');
    return ++*(int *)arg <= 2;
}

static void end_turn(struct loop *l, void *arg)
{
    note('e');
    if (arg && ++*(int *)arg == 3)
        loop_stop(l, 7);
}

static void prepare_can_prevent_the_sleep(void **state)
{
    (void)state;
    struct loop *l = fresh();
    int asked = 0;
    loop_on_prepare(l, work_twice, &asked);
    loop_on_turn_end(l, end_turn, NULL);
    turn(l, INT64_MAX); /* would sleep for ever */
    turn(l, INT64_MAX);
    assert_string_equal(trace, "pepe");
    turn(l, loop_now(l) + 5);
    assert_string_equal(trace, "pepepe");
    loop_destroy(&l);
}

static bool leave_at_once(struct loop *l, void *arg)
{
    note('l');
    loop_off(l, arg); /* itself, while hooks run */
    return false;
}

static void a_removed_hook_is_not_called(void **state)
{
    (void)state;
    struct loop *l = fresh();
    int first = 5, second = 5;
    loop_on_prepare(l, leave_at_once, &first);
    loop_on_turn_end(l, end_turn, &first);
    loop_on_prepare(l, work_twice, &second);
    turn(l, 0);
    assert_string_equal(trace, "lp");
    turn(l, 0);
    assert_string_equal(trace, "lpp");
    loop_off(l, &second);
    loop_off(l, &second); /* a second call changes nothing */
    turn(l, 0);
    assert_string_equal(trace, "lpp");
    loop_destroy(&l);
}

static void take_and_note(struct loop *l, int fd, uint32_t events, void *arg)
{
    take_byte(l, fd, events, arg);
    loop_stop(l, 3);
    loop_stop(l, 4);
}

static void a_turn_runs_in_order_and_the_first_stop_counts(void **state)
{
    (void)state;
    struct loop *l = fresh();
    struct pipes p = a_pipe();
    struct loop_timer t = {0};
    int asked = 5;
    loop_on_turn_end(l, end_turn, NULL);
    loop_on_prepare(l, work_twice, &asked);
    loop_timer_set(l, &t, "t", 0, note_timer, "t");
    assert_int_equal(loop_add(l, p.in, EPOLLIN, take_and_note, NULL, NULL), 0);
    assert_int_equal(write(p.out, "f", 1), 1);
    assert_int_equal(loop_run(l, NULL), 3);
    assert_true(loop_is_stopping(l));
    assert_string_equal(trace, "pfte");
    close_pipe(p);
    loop_destroy(&l);
}

static void note_signal(struct loop *l, const struct signalfd_siginfo *info, void *arg)
{
    (void)l;
    (void)arg;
    note(info->ssi_signo == SIGHUP    ? 'H'
         : info->ssi_signo == SIGTERM ? 'T'
         : info->ssi_signo == SIGCHLD ? 'C'
                                      : '?');
}

static void signals_are_delivered_by_the_loop(void **state)
{
    (void)state;
    struct loop *l = fresh();
    assert_int_equal(loop_signals(l, note_signal, NULL, NULL), 0);
    assert_int_equal(loop_signals(l, note_signal, NULL, NULL), -EEXIST);
    kill(getpid(), SIGHUP);
    turn(l, INT64_MAX);
    kill(getpid(), SIGTERM);
    turn(l, INT64_MAX);
    pid_t pid = fork();
    if (pid == 0) {
        struct pipes p = a_pipe();
        loop_destroy(&l); /* must not take the parent's descriptors out of its loop */
        loop_signals_restore();
        close(p.in);
        ssize_t n = write(p.out, "x", 1); /* dies of PIPE as a program should */
        _exit(n < 0 ? 1 : 2);
    }
    turn(l, INT64_MAX);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    assert_string_equal(trace, "HTC");
    loop_destroy(&l);
    loop_signals_restore();
}

static void the_clock_stands_still_within_a_turn(void **state)
{
    (void)state;
    struct loop *l = fresh();
    int64_t now = loop_now(l);
    usleep(3000);
    assert_int_equal(loop_now(l), now);
    turn(l, 0);
    assert_true(loop_now(l) > now);
    assert_true(loop_now_wall(l) > 1700000000000);
    loop_destroy(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_descriptor_with_data_is_delivered),
        cmocka_unit_test(an_event_for_a_deleted_descriptor_is_not_delivered),
        cmocka_unit_test(an_old_event_for_a_reused_descriptor_is_not_delivered),
        cmocka_unit_test(timers_fire_in_order_and_not_early),
        cmocka_unit_test(a_timer_that_is_moved_fires_at_its_new_time),
        cmocka_unit_test(a_descriptor_that_was_closed_makes_room_for_another),
        cmocka_unit_test(the_longest_turn_is_counted_without_its_sleep),
        cmocka_unit_test(a_timer_that_sets_itself_does_not_starve_others),
        cmocka_unit_test(a_timer_stopped_earlier_in_the_turn_does_not_fire),
        cmocka_unit_test(a_deadline_wakes_the_loop_once),
        cmocka_unit_test(prepare_can_prevent_the_sleep),
        cmocka_unit_test(a_removed_hook_is_not_called),
        cmocka_unit_test(a_turn_runs_in_order_and_the_first_stop_counts),
        cmocka_unit_test(signals_are_delivered_by_the_loop),
        cmocka_unit_test(the_clock_stands_still_within_a_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
