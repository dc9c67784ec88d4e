/* followers.c - COUNT sessions in one process, each of which follows all events from now on and
 * throws them away.
 *     usage: followers COUNT
 * Prints "live" once all have heard that they are. At SIGTERM it asks which event is the newest,
 * prints JSON and exits: `events` that all received, `bytes` of their texts, and how many events
 * the last one is behind the newest (`behind`). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/config.h"
#include "common/clock.h"
#include "common/mem.h"
#include "net/dialer.h"

enum { FOLLOW_REQ = 1, NEWEST_REQ = 2, CREDIT = 1 << 20, CREDIT_EVERY = CREDIT / 4 };

struct bench_follower {
    struct dialer *dialer;
    uint64_t bytes, told, events, to;
    bool live;
};

static struct bench_follower *followers;
static unsigned n_followers, n_live;
static struct client_config config;
static struct buf message;
static bool asked;
static volatile sig_atomic_t stop;

static void die(const struct error *err)
{
    fprintf(stderr, "followers: %s\n", err->text);
    exit(1);
}

static void subscribe(struct bench_follower *f, uint64_t req)
{
    buf_clear(&message);
    m_subscribe_encode(
        &(struct m_subscribe){.req = req, .since = clock_wall_ms(), .credit = CREDIT}, &message);
    dialer_send(f->dialer, buf_span(&message));
}

static void print_end(uint64_t newest)
{
    uint64_t events = 0, bytes = 0, least = newest;
    for (unsigned i = 0; i < n_followers; i++) {
        const struct bench_follower *f = &followers[i];
        events += f->events;
        bytes += f->bytes;
        least = f->to < least ? f->to : least;
    }
    printf("{\"events\": %llu, \"bytes\": %llu, \"behind\": %llu}\n", (unsigned long long)events,
           (unsigned long long)bytes, (unsigned long long)(newest - least));
    fflush(stdout);
    _exit(0); /* the sessions are still open */
}

static void take_events(struct bench_follower *f, const struct m_events *e)
{
    struct wire_iter it = wire_iter(&e->events);
    struct span text;
    if (e->req == NEWEST_REQ)
        print_end(e->to);
    while (wire_next(&it, &text)) {
        f->events++;
        f->bytes += text.n;
    }
    f->to = e->to;
    if (e->live && !f->live) {
        f->live = true;
        if (++n_live == n_followers) {
            printf("live\n");
            fflush(stdout);
        }
    }
    if (f->bytes - f->told < CREDIT_EVERY)
        return;
    buf_clear(&message);
    m_credit_encode(&(struct m_credit){.req = FOLLOW_REQ, .bytes = f->bytes}, &message);
    dialer_send(f->dialer, buf_span(&message));
    f->told = f->bytes;
}

static void on_hello(void *self, struct m_hello *h)
{
    (void)self;
    h->certificate = buf_span(&config.me.signed_bytes);
}

static void on_up(void *self, const struct m_welcome *welcome)
{
    (void)welcome;
    subscribe(self, FOLLOW_REQ);
}

static void on_message(void *self, uint64_t kind, struct span m)
{
    struct m_events events;
    struct m_error error;
    if (kind == KIND_M_EVENTS && m_events_decode(m, &events, NULL) == 0)
        take_events(self, &events);
    else if (kind == KIND_M_ERROR && m_error_decode(m, &error, NULL) == 0)
        fprintf(stderr, "followers: " SPAN_FMT "\n", SPAN_ARG(error.text));
}

static void on_down(void *self, const char *reason)
{
    (void)self;
    fprintf(stderr, "followers: a session ended: %s\n", reason);
    exit(1);
}

static void on_refused(void *self, const struct m_refused *r)
{
    (void)self;
    fprintf(stderr, "followers: refused: " SPAN_FMT "\n", SPAN_ARG(r->text));
}

static void dial(struct bench_follower *f, struct loop *loop)
{
    struct error err = {0};
    struct dialer_options o = {.addresses = (const char *const *)config.addresses,
                               .n_addresses = config.n_addresses,
                               .broker_key = config.broker.transport_key,
                               .secret_transport = config.key.transport_secret,
                               .public_transport = config.key.transport.b};
    struct dialer_calls calls = {.self = f,
                                 .hello = on_hello,
                                 .up = on_up,
                                 .message = on_message,
                                 .down = on_down,
                                 .refused = on_refused};
    if (dialer_open(&f->dialer, loop, &o, &calls, &err) < 0)
        die(&err);
}

static void on_term(int signal)
{
    (void)signal;
    stop = 1;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    n_followers = argc == 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    if (n_followers == 0) {
        fprintf(stderr, "usage: followers COUNT\n");
        return 2;
    }
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_term}, NULL);
    followers = mem_zalloc(n_followers, sizeof *followers);
    if (trust_init(&err) < 0 || client_config_load(&config, NULL, &err) < 0)
        die(&err);
    struct loop *loop = loop_new(&err);
    for (unsigned i = 0; loop && i < n_followers; i++)
        dial(&followers[i], loop);
    while (loop && loop_turn(loop, clock_boot_ms() + 100, &err) >= 0)
        if (stop && !asked) {
            asked = true;
            subscribe(&followers[0], NEWEST_REQ);
        }
    die(&err);
}
