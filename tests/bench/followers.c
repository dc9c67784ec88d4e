/* followers.c - what seeing costs, in turns: for PHASE_MS nobody follows, for as long COUNT
 * sessions of this process follow all events and throw them away, for as long nobody, and so on
 * with the next COUNT, all of them ROUNDS times. They go on where the phase before ended.
 *     usage: followers PHASE_MS ROUNDS COUNT...
 * Prints "live" when it knows the newest event, and then a line for each phase: its beginning and
 * its end in us since boot, how many followed, and how many events each of them got (the mean). */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/config.h"
#include "common/clock.h"
#include "common/mem.h"
#include "net/dialer.h"

enum { WARM_US = 2000000, CREDIT = 1 << 20, CREDIT_EVERY = CREDIT / 4 };

struct bench_follower {
    struct dialer *dialer;
    uint64_t req; /* of its subscription; each has its own number */
    uint64_t bytes, told;
};

static struct bench_follower *followers, *first;
static unsigned n_followers, n_up;
static struct client_config config;
static struct buf message;
static uint64_t last_req, n_events, newest; /* of the events that were got */
static bool ended, live;

static void die(const struct error *err)
{
    fprintf(stderr, "followers: %s\n", err->text);
    exit(1);
}

/* ---- Following */
static void subscribe(struct bench_follower *f)
{
    *f = (struct bench_follower){.dialer = f->dialer, .req = ++last_req};
    buf_clear(&message);
    m_subscribe_encode(
        &(struct m_subscribe){
            .req = f->req, .after = newest, .since = clock_wall_ms(), .credit = CREDIT},
        &message);
    dialer_send(f->dialer, buf_span(&message));
}

static void unsubscribe(struct bench_follower *f)
{
    buf_clear(&message);
    m_unsubscribe_encode(&(struct m_unsubscribe){.req = f->req}, &message);
    dialer_send(f->dialer, buf_span(&message));
    f->req = 0;
}

static void take_events(struct bench_follower *f, const struct m_events *e)
{
    struct wire_iter it = wire_iter(&e->events);
    struct span text;
    if (e->req != f->req)
        return; /* it was on its way when the phase ended */
    while (wire_next(&it, &text)) {
        n_events++;
        f->bytes += text.n;
    }
    newest = e->to > newest ? e->to : newest;
    live |= e->live;
    if (f->bytes - f->told < CREDIT_EVERY)
        return;
    buf_clear(&message);
    m_credit_encode(&(struct m_credit){.req = f->req, .bytes = f->bytes}, &message);
    dialer_send(f->dialer, buf_span(&message));
    f->told = f->bytes;
}

/* ---- The sessions */
static void on_hello(void *self, struct m_hello *h)
{
    (void)self;
    h->certificate = buf_span(&config.me.signed_bytes);
}

static void on_up(void *self, const struct m_welcome *welcome)
{
    (void)welcome;
    if (n_up++ == 0)
        subscribe(first = self);
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
    ended = true; /* where it was refused, the reason comes next */
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

/* ---- Phases */
static void turn_until(struct loop *loop, int64_t boot_us)
{
    struct error err = {0};
    while (!ended && clock_boot_us() < boot_us)
        if (loop_turn(loop, boot_us / 1000 + 1, &err) < 0)
            die(&err);
    if (ended)
        exit(1);
}

static void phase(struct loop *loop, int64_t us, unsigned n)
{
    int64_t begun = clock_boot_us();
    n_events = 0;
    for (unsigned i = 0; i < n; i++)
        subscribe(&followers[i]);
    turn_until(loop, begun + us);
    printf("%lld %lld %u %llu\n", (long long)begun, (long long)clock_boot_us(), n,
           (unsigned long long)(n ? n_events / n : 0));
    fflush(stdout);
    for (unsigned i = 0; i < n; i++)
        unsubscribe(&followers[i]);
}

static void open_all(struct loop *loop)
{
    const int64_t patience = clock_boot_us() + 30000000;
    followers = mem_zalloc(n_followers, sizeof *followers);
    for (unsigned i = 0; i < n_followers; i++)
        dial(&followers[i], loop);
    while ((n_up < n_followers || !live) && clock_boot_us() < patience)
        turn_until(loop, clock_boot_us() + 10000);
    if (n_up < n_followers || !live) {
        fprintf(stderr, "followers: %u of %u sessions are open, and %s\n", n_up, n_followers,
                live ? "live" : "not live");
        exit(1);
    }
    unsubscribe(first);
    printf("live\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    if (argc < 4) {
        fprintf(stderr, "usage: followers PHASE_MS ROUNDS COUNT...\n");
        return 2;
    }
    const int64_t us = strtol(argv[1], NULL, 10) * 1000;
    const long rounds = strtol(argv[2], NULL, 10);
    for (int i = 3; i < argc; i++) {
        unsigned n = (unsigned)strtoul(argv[i], NULL, 10);
        n_followers = n > n_followers ? n : n_followers;
    }
    if (trust_init(&err) < 0 || client_config_load(&config, NULL, &err) < 0)
        die(&err);
    struct loop *loop = loop_new(&err);
    if (!loop)
        die(&err);
    open_all(loop);
    turn_until(loop, clock_boot_us() + WARM_US); /* somebody begins to work */
    for (long round = 0; round < rounds; round++)
        for (int i = 3; i < argc; i++) {
            phase(loop, us, 0);
            phase(loop, us, (unsigned)strtoul(argv[i], NULL, 10));
        }
    phase(loop, us, 0);
    _exit(0); /* the sessions are still open */
}
