/* channel_test.c - messages over unix sockets: whole, in order, checked before they are read. */
#include "common/testing.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/channel.h"

struct channel_pair {
    struct channel *a, *b;
    int raw; /* of a */
};

static void pair_open(struct channel_pair *p)
{
    struct error err = {0};
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(channel_from_fd(fds[0], &p->a, &err), 0);
    assert_int_equal(channel_from_fd(fds[1], &p->b, &err), 0);
    p->raw = fds[0];
}

static void pair_end(struct channel_pair *p)
{
    channel_close(&p->a);
    channel_close(&p->b);
}

static void messages_arrive_whole_and_in_order(void **state)
{
    (void)state;
    struct channel_pair p;
    struct error err = {0};
    struct span m;
    pair_open(&p);
    assert_int_equal(channel_receive(p.b, &m, &err), 0);
    assert_int_equal(channel_send(p.a, span_str("one"), &err), 0);
    assert_int_equal(channel_send(p.a, SPAN_NONE, &err), 0);
    assert_int_equal(channel_send(p.a, span_str("three"), &err), 0);
    assert_int_equal(channel_receive(p.b, &m, &err), 1);
    assert_true(span_eq_str(m, "one"));
    assert_int_equal(channel_receive(p.b, &m, &err), 1);
    assert_int_equal(m.n, 0);
    assert_int_equal(channel_receive(p.b, &m, &err), 1);
    assert_true(span_eq_str(m, "three"));
    assert_int_equal(channel_receive(p.b, &m, &err), 0);
    pair_end(&p);
}

/* It says so once the last message has been taken, and not while there may be more. */
static void a_channel_knows_when_it_has_read_all(void **state)
{
    (void)state;
    static uint8_t large[64 << 10];
    struct channel_pair p;
    struct error err = {0};
    struct span m;
    pair_open(&p);
    assert_int_equal(channel_send(p.a, span_str("one"), &err), 0);
    assert_int_equal(channel_send(p.a, span_str("two"), &err), 0);
    assert_int_equal(channel_receive(p.b, &m, &err), 1);
    assert_false(channel_is_drained(p.b)); /* "two" has been read, and not been taken */
    assert_int_equal(channel_receive(p.b, &m, &err), 1);
    assert_true(channel_is_drained(p.b));

    /* a part of the next message is no whole one, and what comes later is not lost */
    assert_int_equal(channel_send(p.a, span_str("three"), &err), 0);
    assert_int_equal(write(p.raw, "\x04\0\0", 3), 3);
    assert_int_equal(channel_receive(p.b, &m, &err), 1);
    assert_true(channel_is_drained(p.b));
    assert_int_equal(write(p.raw, "\0four", 5), 5);
    assert_int_equal(channel_receive(p.b, &m, &err), 1);
    assert_true(span_eq_str(m, "four"));

    /* a read that got all it asked for may have left something */
    assert_int_equal(channel_queue(p.a, span_of(large, (64 << 10) - 4), &err), 0);
    assert_int_equal(channel_queue(p.a, span_str("five"), &err), 0);
    assert_int_equal(channel_flush(p.a, &err), 0);
    assert_int_equal(channel_receive(p.b, &m, &err), 1);
    assert_false(channel_is_drained(p.b));
    assert_int_equal(channel_receive(p.b, &m, &err), 1);
    assert_true(span_eq_str(m, "five"));
    assert_true(channel_is_drained(p.b));
    pair_end(&p);
}

static void a_message_received_byte_by_byte_is_one_message(void **state)
{
    (void)state;
    struct channel_pair p;
    struct error err = {0};
    struct span m;
    static const char bytes[] = "\x02\0\0\0hi";
    pair_open(&p);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(channel_receive(p.b, &m, &err), 0);
        assert_int_equal(write(p.raw, bytes + i, 1), 1);
    }
    assert_int_equal(channel_receive(p.b, &m, &err), 1);
    assert_true(span_eq_str(m, "hi"));
    pair_end(&p);
}

static void a_large_message_waits_for_a_slow_reader(void **state)
{
    (void)state;
    struct channel_pair p;
    struct error err = {0};
    struct span m;
    pair_open(&p);
    size_t n = CHANNEL_MESSAGE_MAX;
    uint8_t *big = mem_alloc(n);
    for (size_t i = 0; i < n; i++)
        big[i] = (uint8_t)(i * 31 >> 3);
    assert_int_equal(channel_send(p.a, span_of(big, n), &err), 0);
    assert_true(channel_wants_write(p.a));
    int rc = 0;
    for (int i = 0; i < 10000 && rc == 0; i++) {
        assert_int_equal(channel_flush(p.a, &err), 0);
        rc = channel_receive(p.b, &m, &err);
    }
    assert_int_equal(rc, 1);
    assert_true(span_eq(m, span_of(big, n)));
    assert_false(channel_wants_write(p.a));
    mem_free(&big);
    pair_end(&p);
}

static void a_message_beyond_the_limit_is_refused_on_both_sides(void **state)
{
    (void)state;
    struct channel_pair p;
    struct error err = {0};
    struct span m;
    pair_open(&p);
    uint8_t *big = mem_zalloc(1, CHANNEL_MESSAGE_MAX + 1);
    assert_int_equal(channel_send(p.a, span_of(big, CHANNEL_MESSAGE_MAX + 1), &err), -EMSGSIZE);
    assert_false(channel_wants_write(p.a));
    mem_free(&big);
    assert_int_equal(write(p.raw, "\xff\xff\xff\xff", 4), 4);
    assert_int_equal(channel_receive(p.b, &m, &err), -EMSGSIZE);
    assert_contains(err.text, "4294967295");
    pair_end(&p);
}

static void sends_to_a_peer_that_does_not_read_are_refused(void **state)
{
    (void)state;
    struct channel_pair p;
    struct error err = {0};
    pair_open(&p);
    uint8_t *big = mem_zalloc(1, CHANNEL_MESSAGE_MAX);
    int rc = 0, sent = 0;
    for (; sent < 20 && rc == 0; sent++)
        rc = channel_queue(p.a, span_of(big, CHANNEL_MESSAGE_MAX), &err);
    assert_int_equal(rc, -ENOBUFS);
    assert_in_range(sent, 7, 9);
    mem_free(&big);
    pair_end(&p);
}

static void a_closed_peer_is_distinguished_from_a_broken_message(void **state)
{
    (void)state;
    struct channel_pair p;
    struct error err = {0};
    struct span m;
    pair_open(&p);
    assert_int_equal(channel_send(p.a, span_str("last"), &err), 0);
    channel_close(&p.a);
    assert_int_equal(channel_receive(p.b, &m, &err), 1);
    assert_int_equal(channel_receive(p.b, &m, &err), -ECONNRESET);
    pair_end(&p);
    pair_open(&p);
    assert_int_equal(write(p.raw, "\x09\0\0\0half", 8), 8);
    channel_close(&p.a);
    assert_int_equal(channel_receive(p.b, &m, &err), -EPROTO);
    pair_end(&p);
}

static void sending_to_a_closed_peer_is_an_error_not_a_signal(void **state)
{
    (void)state;
    struct channel_pair p;
    struct error err = {0};
    pair_open(&p);
    channel_close(&p.b);
    assert_int_equal(channel_send(p.a, span_str("x"), &err), -EPIPE);
    pair_end(&p);
}

static void a_listener_is_private_and_knows_its_peer(void **state)
{
    struct error err = {0};
    struct channel *c = NULL, *s = NULL;
    struct stat st;
    struct span m;
    const char *path = testing_path(state, "a.sock");
    int fd = -1;
    assert_int_equal(channel_connect(path, &c, &err), -ENOENT);
    assert_int_equal(channel_listen(path, &fd, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(channel_accept(fd, &s, &err), -EAGAIN);
    assert_int_equal(channel_connect(path, &c, &err), 0);
    assert_int_equal(channel_accept(fd, &s, &err), 0);
    assert_int_equal(channel_peer_uid(s), getuid());
    assert_int_equal(channel_peer_pid(s), getpid());
    assert_int_equal(channel_send(c, span_str("hello"), &err), 0);
    assert_int_equal(channel_receive(s, &m, &err), 1);
    assert_true(span_eq_str(m, "hello"));
    channel_close(&c);
    channel_close(&s);
    close(fd);
}

static void a_dead_listeners_socket_is_replaced_and_a_live_ones_is_not(void **state)
{
    struct error err = {0};
    const char *path = testing_path(state, "a.sock");
    int first = -1, second = -1;
    struct channel *c = NULL;
    assert_int_equal(channel_listen(path, &first, &err), 0);
    assert_int_equal(channel_listen(path, &second, &err), -EADDRINUSE);
    close(first);
    assert_int_equal(channel_connect(path, &c, &err), -ECONNREFUSED);
    assert_int_equal(channel_listen(path, &second, &err), 0);
    close(second);
}

static void a_file_that_is_not_a_socket_is_left_alone(void **state)
{
    struct error err = {0};
    const char *path = testing_path(state, "precious");
    int fd = -1;
    assert_int_equal(file_write_atomic(path, span_str("text"), 0600, &err), 0);
    assert_int_equal(channel_listen(path, &fd, &err), -EEXIST);
    assert_int_equal(access(path, F_OK), 0);
}

static void a_path_longer_than_a_socket_address_works(void **state)
{
    struct error err = {0};
    char folder[400];
    snprintf(folder, sizeof folder, "%s/%0120d", (const char *)*state, 7);
    assert_int_equal(file_make_dirs(folder, 0700, &err), 0);
    char path[500];
    snprintf(path, sizeof path, "%s/a.sock", folder);
    struct channel *c = NULL, *s = NULL;
    int fd = -1;
    assert_int_equal(channel_listen(path, &fd, &err), 0);
    assert_int_equal(channel_connect(path, &c, &err), 0);
    assert_int_equal(channel_accept(fd, &s, &err), 0);
    channel_close(&c);
    channel_close(&s);
    close(fd);
    assert_int_equal(channel_listen(path, &fd, &err), 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_arrive_whole_and_in_order),
        cmocka_unit_test(a_channel_knows_when_it_has_read_all),
        cmocka_unit_test(a_message_received_byte_by_byte_is_one_message),
        cmocka_unit_test(a_large_message_waits_for_a_slow_reader),
        cmocka_unit_test(a_message_beyond_the_limit_is_refused_on_both_sides),
        cmocka_unit_test(sends_to_a_peer_that_does_not_read_are_refused),
        cmocka_unit_test(a_closed_peer_is_distinguished_from_a_broken_message),
        cmocka_unit_test(sending_to_a_closed_peer_is_an_error_not_a_signal),
        in_folder(a_listener_is_private_and_knows_its_peer),
        in_folder(a_dead_listeners_socket_is_replaced_and_a_live_ones_is_not),
        in_folder(a_file_that_is_not_a_socket_is_left_alone),
        in_folder(a_path_longer_than_a_socket_address_works),
    };
    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
