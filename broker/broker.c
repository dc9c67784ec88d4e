/* broker.c - the shell's heart: from a message to the core, from the core to disk and peers. */
#include "broker/broker.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/depot/depot.h"
#include "broker/events/events.h"
#include "broker/logs/logs.h"
#include "broker/shell/offload.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"

struct peer *broker_peer(struct broker *b, uint64_t handle)
{
    struct peer *p = NULL;
    HASH_FIND(hh, b->peers, &handle, sizeof handle, p);
    return p;
}

const char *broker_endpoint(struct broker *b, unsigned index)
{
    return net_server_endpoint(b->net, index);
}

/* ---- Answers */
void broker_send(struct broker *b, uint64_t peer, const struct wire_schema *schema,
                 const void *message)
{
    buf_clear(&b->scratch);
    wire_encode(schema, message, &b->scratch);
    net_server_send(b->net, peer,
                    /* gone, or dropped for not reading: `down` has said so or will */
                    buf_span(&b->scratch));
}

/* A sentence cut to what a field takes, at a character. */
static struct span sentence(char text[LIMIT_TEXT + 1], const char *fmt, va_list ap)
{
    int n = vsnprintf(text, LIMIT_TEXT + 1, fmt, ap);
    size_t size = n < 0 ? 0 : n > LIMIT_TEXT ? LIMIT_TEXT : (size_t)n;
    while (size && n > LIMIT_TEXT && ((uint8_t)text[size] & 0xc0) == 0x80)
        size--;
    return span_of(text, size);
}

void broker_error(struct broker *b, uint64_t peer, uint64_t req, enum refusal code, const char *fmt,
                  ...)
{
    char text[LIMIT_TEXT + 1];
    va_list ap;
    va_start(ap, fmt);
    struct m_error m = {.req = req,
                        .code = code,
                        .text = sentence(text, fmt, ap),
                        .retry_ms = code == REFUSAL_BUSY ? BUSY_RETRY_MS : 0};
    va_end(ap);
    broker_send(b, peer, &m_error_schema, &m);
}

void broker_done(struct broker *b, uint64_t peer, uint64_t req, const char *fmt, ...)
{
    char text[LIMIT_TEXT + 1];
    va_list ap;
    va_start(ap, fmt);
    struct m_done m = {.req = req, .text = sentence(text, fmt, ap)};
    va_end(ap);
    broker_send(b, peer, &m_done_schema, &m);
}

void broker_note(struct broker *b, const char *by, const char *verb, const char *target,
                 const char *text)
{
    struct span reason = span_str(text), on = span_str(target);
    on.n = on.n < LIMIT_SHORT ? on.n : LIMIT_SHORT;
    store_note(b->store, &(struct r_operated){.at = loop_now_wall(b->loop),
                                              .by = span_str(by),
                                              .verb = span_str(verb),
                                              .target = on,
                                              .reason = reason});
}

void broker_drop(struct broker *b, struct peer *p, enum refusal code, const char *text)
{
    uint64_t handle = p->handle;
    struct bcore_event ev = {.kind = BCORE_PEER_DOWN, .peer = handle};
    buf_clear(&b->scratch);
    m_refused_encode(
        &(struct m_refused){.code = code, .text = span_str(text), .retry_ms = LEASE_MS},
        &b->scratch);
    net_server_close_peer(b->net, handle, buf_span(&b->scratch));
    gate_forget(b->gate, handle);
    broker_step(b, &ev);
    hello_forget(b, p);
}

/* ---- The core */
static void gather(struct broker *b, const struct bcore_record *r)
{
    if (b->n_records == b->cap_records) {
        b->cap_records = b->cap_records ? b->cap_records * 2 : 64;
        b->records = mem_realloc(b->records, b->cap_records, sizeof *b->records);
    }
    /* the bytes may move while more gather: spans are made when the turn ends */
    b->records[b->n_records++] =
        (struct bcore_record){r->lsn, {(const uint8_t *)(uintptr_t)b->pending.n, r->body.n}};
    buf_add(&b->pending, r->body.p, r->body.n);
    b->last_lsn = r->lsn;
}

static void take_output(struct broker *b)
{
    uint64_t kind;
    size_t size;
    for (unsigned i = 0; i < b->out.n_records; i++) {
        struct span body = b->out.records[i].body;
        gather(b, &b->out.records[i]);
        events_record(b->events, b->out.records[i].lsn, body);
        if (wire_peek(body, &kind, &size, NULL) == 0)
            enrol_record(b, kind, body);
    }
    for (unsigned i = 0; i < b->out.n_effects; i++)
        gate_put(b->gate, &b->out.effects[i]);
}

void broker_step(struct broker *b, struct bcore_event *ev)
{
    ev->now = loop_now(b->loop);
    ev->wall = loop_now_wall(b->loop);
    randombytes_buf(ev->random, sizeof ev->random);
    bcore_step(b->core, ev, &b->out);
    take_output(b);
}

void broker_step_message(struct broker *b, const struct peer *p, struct span message)
{
    struct bcore_event ev = {.kind = BCORE_MESSAGE,
                             .peer = p->handle,
                             .who = &p->who,
                             .message = message,
                             .window_open = net_server_window_open(b->net, p->handle)};
    broker_step(b, &ev);
}

static void note_full(struct broker *b, uint64_t handle)
{
    struct peer *p = broker_peer(b, handle);
    if (!p || p->told_full || net_server_window_open(b->net, handle))
        return;
    p->told_full = true;
    b->full = mem_realloc(b->full, b->n_full + 1, sizeof *b->full);
    b->full[b->n_full++] = handle;
}

/* An effect may leave: its record is on disk. */
static void leave(void *self, const struct bcore_effect *e)
{
    struct broker *b = self;
    struct peer *p;
    switch (e->kind) {
    case BCORE_FX_SEND:
        net_server_send(b->net, e->peer, e->body);
        note_full(b, e->peer);
        break;
    case BCORE_FX_CLOSE:
        net_server_close_peer(b->net, e->peer, e->body);
        if ((p = broker_peer(b, e->peer)))
            hello_forget(b, p);
        break;
    case BCORE_FX_LOOKUP:
        lookup_run(b, e);
        break;
    case BCORE_FX_LOOKUP_KEY:
        lookup_key(b, e);
        break;
    case BCORE_FX_EXECUTE: /* the gate makes a SEND of it */
        break;
    }
}

static void fetch_call(void *self, const struct bcore_effect *e, uint64_t number)
{
    lookup_call(self, e, number);
}

/* ---- What the loop brings */
static void flush_records(struct broker *b)
{
    if (!b->n_records)
        return;
    for (unsigned i = 0; i < b->n_records; i++)
        b->records[i].body.p = b->pending.p + (uintptr_t)b->records[i].body.p;
    store_append(b->store, b->records, b->n_records);
    b->n_records = 0;
    buf_clear(&b->pending);
}

/* The core is told which windows have become full in this turn, so that it remembers instead of
   sending. */
static void tell_full_windows(struct broker *b)
{
    for (unsigned i = 0; i < b->n_full; i++) {
        struct peer *p = broker_peer(b, b->full[i]);
        if (!p)
            continue;
        struct bcore_event ev = {
            .kind = BCORE_WINDOW, .peer = p->handle, .who = &p->who, .window_open = false};
        broker_step(b, &ev);
    }
    b->n_full = 0;
}

static void on_tick(struct loop *l, struct loop_timer *t, void *arg)
{
    struct bcore_event ev = {.kind = BCORE_TICK};
    (void)l, (void)t;
    broker_step(arg, &ev);
}

static void on_turn_end(struct loop *l, void *arg)
{
    struct broker *b = arg;
    tell_full_windows(b);
    flush_records(b);
    logs_turn_end(b->logs);
    int64_t due = bcore_deadline(b->core);
    if (due != INT64_MAX)
        loop_timer_set(l, &b->tick, "core", due, on_tick, b);
    else
        loop_timer_stop(l, &b->tick);
}

static void on_minute(struct loop *l, struct loop_timer *t, void *arg)
{
    struct broker *b = arg;
    known_expire(b->known, b->invitations, loop_now_wall(l));
    loop_timer_set(l, t, "minute", loop_now(l) + 60000, on_minute, b);
}

static void on_store(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)l, (void)fd, (void)events;
    store_dispatch(((struct broker *)arg)->store);
}

static void on_committed(void *self, uint64_t lsn)
{
    struct broker *b = self;
    struct bcore_event ev = {.kind = BCORE_COMMITTED, .lsn = lsn};
    broker_step(b, &ev);
    gate_committed(b->gate, lsn);
    events_committed(b->events, lsn);
    logs_committed(b->logs);
}

static void on_full(void *self, bool full)
{
    struct bcore_event ev = {.kind = full ? BCORE_STORE_FULL : BCORE_STORE_OK};
    broker_step(self, &ev);
}

static enum refusal on_hello(void *self, uint64_t peer, const struct hash *key, const char *address,
                             struct span hello, struct error *why)
{
    return hello_take(self, peer, key, address, hello, why);
}

static void on_message(void *self, uint64_t peer, uint64_t kind, struct span message)
{
    handlers_take(self, peer, kind, message);
}

static void on_down(void *self, uint64_t handle, const char *reason)
{
    struct broker *b = self;
    struct peer *p = broker_peer(b, handle);
    struct bcore_event ev = {.kind = BCORE_PEER_DOWN, .peer = handle};
    gate_forget(b->gate, handle);
    broker_step(b, &ev);
    if (p) {
        log_debug("session of %s from %s ends: %s", p->who.name, p->address, reason);
        hello_forget(b, p);
    }
}

static void on_window(void *self, uint64_t handle)
{
    struct broker *b = self;
    struct peer *p = broker_peer(b, handle);
    if (!p)
        return;
    struct bcore_event ev = {
        .kind = BCORE_WINDOW, .peer = handle, .who = &p->who, .window_open = true};
    p->told_full = false;
    broker_step(b, &ev);
    events_window(b->events, handle);
    logs_window(b->logs, handle);
}

/* ---- Assembling */
static void warn(const char *text)
{
    log_warn("%s", text);
}

static void allow_key(void *self, const struct hash *transport, bool allowed)
{
    struct broker *b = self;
    if (b->net)
        net_server_allow(b->net, transport, allowed || known_by_key(b->known, transport) != NULL);
}

static int open_trust(struct broker *b, struct error *err)
{
    const char *etc = b->options.config;
    char *anchors = mem_printf("%s/trust/administrators", etc),
         *key = mem_printf("%s/keys/broker.key", etc), *own = mem_printf("%s/trust/broker", etc);
    struct certificate c = {0};
    int rc = anchors_load(anchors, b->options.cluster, &b->anchors, err);
    if (rc == 0)
        rc = key_load(key, &b->key, err);
    if (rc == 0)
        rc = file_read(own, LIMIT_CERTIFICATE, &b->certificate, err);
    if (rc == 0)
        rc = certificate_verify(buf_span(&b->certificate), &b->anchors, clock_wall_ms(), &c, NULL,
                                err);
    if (rc == 0 && c.role != ROLE_BROKER)
        rc = error_set(err, -EINVAL, "%s: the certificate of '%s' is a %s's, not a broker's", own,
                       c.name, role_word(c.role));
    if (rc == 0 && !hash_eq(&c.sign_key, &b->key.sign))
        rc = error_set(
            err, -EINVAL,
            "%s is not for the key in %s; run lbctl init again or put the right file there", own,
            key);
    certificate_free(&c);
    mem_free(&anchors);
    mem_free(&key);
    mem_free(&own);
    return rc;
}

static int take_record(void *self, uint64_t lsn, struct span body, struct error *err)
{
    struct broker *b = self;
    uint64_t kind;
    size_t size;
    int rc = bcore_replay(b->core, lsn, body, err);
    if (rc == 0 && wire_peek(body, &kind, &size, NULL) == 0)
        enrol_record(b, kind, body);
    b->last_lsn = lsn;
    return rc;
}

static int open_store(struct broker *b, struct error *err)
{
    char *folder = mem_printf("%s/broker", b->options.state),
         *path = mem_printf("%s/broker.db", folder);
    int rc = file_make_dirs(folder, 0700, err);
    struct store_options o = {.path = path,
                              .retention_ms = b->options.retention_ms,
                              .history_bytes = b->options.history_bytes,
                              .reserve_bytes = b->options.reserve_bytes,
                              .now = clock_wall_ms()};
    if (rc == 0)
        rc = store_open(&b->store, &o, err);
    if (rc == 0)
        rc = store_load(b->store, take_record, b, err);
    if (rc == 0 && store_is_backup(b->store) && !b->options.restored)
        rc = error_set(
            err, -ESTALE,
            "store '%s' is a backup: what has ended since it was taken is not known here and would run "
            "again. Start once with --restored, which holds every live run until lbctl release decides",
            path);
    if (rc == 0)
        rc = store_start(b->store, &(struct store_calls){b, on_committed, on_full}, err);
    if (rc == 0)
        rc = loop_add(b->loop, store_fd(b->store), EPOLLIN, on_store, b, err);
    b->last_lsn = b->store ? store_committed(b->store) : 0;
    mem_free(&folder);
    mem_free(&path);
    return rc;
}

static void open_core(struct broker *b)
{
    struct bcore_config c = {.lease_ms = b->options.lease_ms,
                             .lost_after_ms = b->options.lost_after_ms,
                             .memory_budget = b->options.memory_budget,
                             .max_runs = b->options.max_runs,
                             .certificate = buf_span(&b->certificate)};
    span_copy_str(span_str(b->options.cluster), c.cluster, sizeof c.cluster);
    span_copy_str(span_str(b->options.name), c.broker, sizeof c.broker);
    randombytes_buf(c.hash_key, sizeof c.hash_key);
    b->core = bcore_new(&c);
}

static void open_known(struct broker *b)
{
    char *folder = mem_printf("%s/trust/known", b->options.config);
    int64_t now = clock_wall_ms();
    b->known = known_new(&b->anchors, allow_key, b);
    known_add_folder(b->known, folder, now, warn);
    b->invitations = mem_printf("%s/broker/invitations", b->options.state);
    mem_free(&folder);
}

static int open_net(struct broker *b, struct error *err)
{
    struct net_server_options o = {.listen = b->options.listen,
                                   .n_listen = b->options.n_listen,
                                   .secret_transport = b->key.transport_secret,
                                   .public_transport = b->key.transport.b};
    struct net_server_calls calls = {b, on_hello, on_message, on_down, on_window};
    int rc = net_server_open(&b->net, b->loop, &o, &calls, err);
    if (rc == 0)
        known_each_key(b->known, allow_key, b);
    return rc;
}

static void begin(struct broker *b)
{
    struct bcore_event ev = {.now = clock_boot_ms(),
                             .wall = clock_wall_ms(),
                             .lsn = b->last_lsn,
                             .restored = b->options.restored};
    randombytes_buf(ev.random, sizeof ev.random);
    events_committed(b->events, b->last_lsn); /* before anybody can ask for what is behind it */
    bcore_begin(b->core, &ev, &b->out);
    take_output(b);
    flush_records(b);
    loop_on_turn_end(b->loop, on_turn_end, b);
    loop_timer_set(b->loop, &b->minute, "minute", clock_boot_ms() + 60000, on_minute, b);
}

static int open_services(struct broker *b, struct error *err)
{
    b->gate = gate_new(leave, fetch_call, b);
    b->events = events_new(b);
    int rc = offload_new(&b->offload, b->loop, err);
    if (rc == 0)
        rc = depot_open(&b->depot, b, err);
    return rc < 0 ? rc : logs_open(&b->logs, b, err);
}

int broker_open(struct broker **ret, struct loop *loop, const struct broker_options *o,
                struct error *err)
{
    struct broker *b = mem_zalloc(1, sizeof *b);
    b->options = *o;
    b->loop = loop;
    b->started_wall = clock_wall_ms();
    int rc = open_trust(b, err);
    if (rc == 0) {
        open_known(b);
        open_core(b);
        rc = open_services(b, err);
    }
    if (rc == 0)
        rc = open_store(b, err);
    if (rc == 0) {
        known_load_invitations(b->known, b->invitations, clock_wall_ms(), warn);
        begin(b);
        rc = open_net(b, err);
    }
    if (rc < 0) {
        broker_close(&b);
        return rc;
    }
    *ret = b;
    return 0;
}

void broker_close(struct broker **broker)
{
    struct broker *b = *broker;
    if (!b)
        return;
    *broker = NULL;
    b->stopping = true;
    loop_off(b->loop, b);
    loop_timer_stop(b->loop, &b->tick);
    loop_timer_stop(b->loop, &b->minute);
    net_server_close(&b->net); /* says goodbye */
    for (struct peer *p; (p = b->peers);)
        hello_forget(b, p);
    offload_free(&b->offload);
    if (b->store) {
        flush_records(b);
        loop_del(b->loop, store_fd(b->store));
    }
    events_free(&b->events);
    logs_close(&b->logs);
    depot_close(&b->depot);
    store_close(&b->store);
    gate_free(&b->gate);
    bcore_out_free(&b->out);
    bcore_free(&b->core);
    known_free(&b->known);
    anchors_free(&b->anchors);
    key_forget(&b->key);
    buf_free(&b->certificate);
    buf_free(&b->pending);
    buf_free(&b->scratch);
    mem_free(&b->records);
    mem_free(&b->full);
    mem_free(&b->invitations);
    mem_free(&b);
}
