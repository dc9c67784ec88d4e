/* turn.c - see turn.h. */
#include "broker/shell/turn.h"

#include <sodium.h>

#include "broker/shell/gate.h"
#include "broker/shell/hello.h"
#include "broker/shell/lookup.h"
#include "common/clock.h"
#include "common/log.h"

struct turn {
    struct bcore_out out;
    struct buf pending; /* the bodies of this turn's records */
    struct bcore_record *records;
    unsigned n_records, cap_records;
    uint64_t last_lsn;
    uint64_t *full; /* peers whose window has become full in this turn */
    unsigned n_full;
    struct loop_timer tick;
};

/* ---- The core */
static void gather(struct turn *t, const struct bcore_record *r)
{
    if (t->n_records == t->cap_records) {
        t->cap_records = t->cap_records ? t->cap_records * 2 : 64;
        t->records = mem_realloc(t->records, t->cap_records, sizeof *t->records);
    }
    /* the bytes may move as more are added, so spans are made when the turn ends */
    t->records[t->n_records++] =
        (struct bcore_record){r->lsn, {(const uint8_t *)(uintptr_t)t->pending.n, r->body.n}};
    buf_add(&t->pending, r->body.p, r->body.n);
    t->last_lsn = r->lsn;
}

static void tell_record(struct shell *sh, const struct bcore_record *r)
{
    for (unsigned i = 0; i < sh->n_listeners; i++)
        if (sh->listeners[i].record)
            sh->listeners[i].record(sh->listeners[i].self, r->lsn, r->body);
}

/* Is it an ERROR? A look at the first bytes is enough of what the core has encoded itself. */
static bool is_error(struct span message)
{
    return message.n > 2 && (message.p[0] & 0xf0) == 0x90 && message.p[1] == KIND_M_ERROR;
}

/* The core's answer to the message that is being taken. */
static void note_refusal(struct shell *sh, const struct bcore_effect *e)
{
    struct m_error m;
    struct m_refused r;
    if (e->kind == BCORE_FX_SEND && is_error(e->body) && m_error_decode(e->body, &m, NULL) == 0)
        shell_refused(sh, e->peer, (enum refusal)m.code, m.text);
    else if (e->kind == BCORE_FX_CLOSE && m_refused_decode(e->body, &r, NULL) == 0)
        shell_refused(sh, e->peer, (enum refusal)r.code, r.text);
}

static void take_output(struct shell *sh)
{
    const struct bcore_out *out = &sh->turn->out;
    for (unsigned i = 0; i < out->n_records; i++) {
        gather(sh->turn, &out->records[i]);
        tell_record(sh, &out->records[i]);
    }
    for (unsigned i = 0; i < out->n_effects; i++) {
        if (sh->taking.peer && out->effects[i].peer == sh->taking.peer)
            note_refusal(sh, &out->effects[i]);
        gate_put(sh->gate, &out->effects[i]);
    }
}

void turn_step(struct shell *sh, struct bcore_event *ev)
{
    ev->now = loop_now(sh->loop);
    ev->wall = loop_now_wall(sh->loop);
    randombytes_buf(ev->random, sizeof ev->random);
    bcore_step(sh->core, ev, &sh->turn->out);
    take_output(sh);
}

void turn_step_message(struct shell *sh, const struct shell_peer *p, struct span message)
{
    struct bcore_event ev = {.kind = BCORE_MESSAGE,
                             .peer = p->handle,
                             .who = &p->who,
                             .message = message,
                             .window_open = net_server_window_open(sh->net, p->handle)};
    turn_step(sh, &ev);
}

void turn_peer_gone(struct shell *sh, uint64_t peer)
{
    struct bcore_event ev = {.kind = BCORE_PEER_DOWN, .peer = peer};
    gate_forget(sh->gate, peer);
    turn_step(sh, &ev);
}

uint64_t turn_last_lsn(const struct shell *sh)
{
    return sh->turn->last_lsn;
}

/* ---- Effects that may leave: their records are on disk */
static void note_full(struct shell *sh, uint64_t handle)
{
    struct turn *t = sh->turn;
    struct shell_peer *p = shell_find_peer(sh, handle);
    if (!p || p->told_full || net_server_window_open(sh->net, handle))
        return;
    p->told_full = true;
    t->full = mem_realloc(t->full, t->n_full + 1, sizeof *t->full);
    t->full[t->n_full++] = handle;
}

static void note(struct shell *sh, const struct bcore_effect *e)
{
    char by[LIMIT_NAME + 1], text[LIMIT_TEXT + 1], run[ID_TEXT];
    span_copy_str(e->key, by, sizeof by);
    span_copy_str(e->body, text, sizeof text);
    shell_note(sh, by, "refused", id_format(e->run, run), text);
}

static void leave(void *self, const struct bcore_effect *e)
{
    struct shell *sh = self;
    struct shell_peer *p;
    switch (e->kind) {
    case BCORE_FX_SEND:
        net_server_send(sh->net, e->peer, e->body);
        note_full(sh, e->peer);
        break;
    case BCORE_FX_CLOSE:
        net_server_close_peer(sh->net, e->peer, e->body);
        if ((p = shell_find_peer(sh, e->peer)))
            hello_forget(sh, p);
        break;
    case BCORE_FX_LOOKUP:
        lookup_run(sh, e);
        break;
    case BCORE_FX_LOOKUP_KEY:
        lookup_key(sh, e);
        break;
    case BCORE_FX_LOOKUP_HANDED:
        lookup_handed(sh, e);
        break;
    case BCORE_FX_NOTE:
        note(sh, e);
        break;
    case BCORE_FX_EXECUTE: /* the gate turns it into a SEND */
        break;
    }
}

static void fetch_call(void *self, const struct bcore_effect *e, uint64_t number)
{
    lookup_call(self, e, number);
}

/* ---- The end of a turn */
/* Records and the entries of the audit trail about them go together, and are committed together. */
static void flush_records(struct shell *sh)
{
    struct turn *t = sh->turn;
    unsigned n_audit = 0;
    const struct store_audit *audit = sh->auditor ? auditor_pending(sh->auditor, &n_audit) : NULL;
    if (!t->n_records && !n_audit)
        return;
    for (unsigned i = 0; i < t->n_records; i++)
        t->records[i].body.p = t->pending.p + (uintptr_t)t->records[i].body.p;
    store_append_audited(sh->store, t->records, t->n_records, audit, n_audit);
    t->n_records = 0;
    buf_clear(&t->pending);
    if (sh->auditor)
        auditor_taken(sh->auditor);
}

/* The core learns which windows became full in this turn, so that it takes notes instead of
 * sending. */
static void tell_full_windows(struct shell *sh)
{
    struct turn *t = sh->turn;
    for (unsigned i = 0; i < t->n_full; i++) {
        struct shell_peer *p = shell_find_peer(sh, t->full[i]);
        if (!p)
            continue;
        struct bcore_event ev = {
            .kind = BCORE_WINDOW, .peer = p->handle, .who = &p->who, .window_open = false};
        turn_step(sh, &ev);
    }
    t->n_full = 0;
}

static void on_tick(struct loop *l, struct loop_timer *timer, void *arg)
{
    struct bcore_event ev = {.kind = BCORE_TICK};
    (void)l, (void)timer;
    turn_step(arg, &ev);
}

static void on_turn_end(struct loop *l, void *arg)
{
    struct shell *sh = arg;
    tell_full_windows(sh);
    flush_records(sh);
    for (unsigned i = 0; i < sh->n_listeners; i++)
        if (sh->listeners[i].turn_end)
            sh->listeners[i].turn_end(sh->listeners[i].self);
    int64_t due = bcore_deadline(sh->core);
    if (due != INT64_MAX)
        loop_timer_set(l, &sh->turn->tick, "core", due, on_tick, sh);
    else
        loop_timer_stop(l, &sh->turn->tick);
}

/* ---- What the store and the sessions report */
void turn_committed(void *shell, uint64_t lsn)
{
    struct shell *sh = shell;
    struct bcore_event ev = {.kind = BCORE_COMMITTED, .lsn = lsn};
    turn_step(sh, &ev);
    gate_committed(sh->gate, lsn);
    if (sh->net)
        net_server_settled(sh->net, lsn);
    for (unsigned i = 0; i < sh->n_listeners; i++)
        if (sh->listeners[i].committed)
            sh->listeners[i].committed(sh->listeners[i].self, lsn);
}

/* On a full disk nobody is held, so that everybody hears why their calls are refused. */
void turn_store_full(void *shell, bool full)
{
    struct shell *sh = shell;
    struct bcore_event ev = {.kind = full ? BCORE_STORE_FULL : BCORE_STORE_OK};
    turn_step(sh, &ev);
    if (sh->net && full)
        net_server_settled(sh->net, turn_last_lsn(sh));
}

void turn_down(void *shell, uint64_t peer, const char *reason)
{
    struct shell *sh = shell;
    struct shell_peer *p = shell_find_peer(sh, peer);
    turn_peer_gone(sh, peer);
    if (p) {
        log_debug("session of %s from %s ends: %s", p->who.name, p->address, reason);
        hello_forget(sh, p);
    }
}

void turn_window(void *shell, uint64_t peer)
{
    struct shell *sh = shell;
    struct shell_peer *p = shell_find_peer(sh, peer);
    if (!p)
        return;
    struct bcore_event ev = {
        .kind = BCORE_WINDOW, .peer = peer, .who = &p->who, .window_open = true};
    p->told_full = false;
    turn_step(sh, &ev);
    for (unsigned i = 0; i < sh->n_listeners; i++)
        if (sh->listeners[i].window)
            sh->listeners[i].window(sh->listeners[i].self, peer);
}

/* ---- Start and end */
void turn_new(struct shell *sh)
{
    sh->turn = mem_zalloc(1, sizeof *sh->turn);
    sh->gate = gate_new(leave, fetch_call, sh);
}

void turn_begin(struct shell *sh, uint64_t last_lsn, bool restored)
{
    struct bcore_event ev = {
        .now = clock_boot_ms(), .wall = clock_wall_ms(), .lsn = last_lsn, .restored = restored};
    ev.left_out = store_left_out(sh->store);
    randombytes_buf(ev.random, sizeof ev.random);
    sh->turn->last_lsn = last_lsn;
    /* before anyone can ask for what follows it */
    for (unsigned i = 0; i < sh->n_listeners; i++)
        if (sh->listeners[i].committed)
            sh->listeners[i].committed(sh->listeners[i].self, last_lsn);
    bcore_begin(sh->core, &ev, &sh->turn->out);
    take_output(sh);
    flush_records(sh);
    loop_on_turn_end(sh->loop, on_turn_end, sh);
}

void turn_stop(struct shell *sh)
{
    loop_off(sh->loop, sh);
    if (!sh->turn)
        return;
    loop_timer_stop(sh->loop, &sh->turn->tick);
    if (sh->store)
        flush_records(sh);
}

void turn_free(struct shell *sh)
{
    struct turn *t = sh->turn;
    gate_free(&sh->gate);
    if (!t)
        return;
    bcore_out_free(&t->out);
    buf_free(&t->pending);
    mem_free(&t->records);
    mem_free(&t->full);
    mem_free(&sh->turn);
}
