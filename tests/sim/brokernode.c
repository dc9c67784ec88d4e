/* brokernode.c - see brokernode.h. Where it follows broker/shell/turn.c, the core relies on
 * that. */
#include "tests/sim/brokernode.h"

#include <inttypes.h>
#include <string.h>

#include "common/mem.h"
#include "tests/sim/disk.h"
#include "tests/sim/door.h"
#include "tests/sim/endedkeys.h"
#include "tests/sim/listener.h"
#include "tests/sim/gate.h"
#include "tests/sim/lookup.h"
#include "tests/sim/seeing.h"
#include "tests/sim/shadow.h"

enum {
    SIM_MEMBERS = 16,
    HOT_TICKS = 50 /* ticks at one moment; with more the core is in a busy loop */
};

struct member {
    char name[32];
    struct buf certificate;
    const char *role, *pools[CATALOG_POOLS];
    unsigned n_pools;
};

struct brokernode_guest { /* a session, as the shell knows it */
    uint64_t peer;
    struct member *who;
    bool window_open;      /* as the core was last told */
    struct id incarnation; /* of a worker */
    bool closing;          /* the core has forgotten it */
    struct brokernode_guest *next;
};

struct brokernode {
    struct world *w;
    struct network *net;
    struct laws *laws;
    struct process process;
    struct clock_sim clock;
    struct bcore_config config;
    struct buf certificate;
    struct journal *journal;
    struct bcore *core;
    struct bcore_out out;
    struct shadow *shadow;
    struct listener *listener;
    struct sim_gate *gate;
    struct sim_lookup *lookup;
    struct endedkeys *ended_keys;
    struct seeing_mood seeing_mood;
    struct seeing *seeing;
    struct event tick;
    struct brokernode_guest *guests;
    struct member members[SIM_MEMBERS];
    unsigned n_members;
    uint64_t last_lsn;
    int64_t tick_at;
    unsigned ticks;
    bool disk_full; /* as the core was last told */
};

static void turn_end(void *self);

/* ---- Effects */
static struct brokernode_guest *guest_of(const struct brokernode *b, uint64_t peer)
{
    struct brokernode_guest *g = b->guests;
    while (g && g->peer != peer)
        g = g->next;
    return g;
}

static void guest_forget(struct brokernode *b, uint64_t peer)
{
    struct brokernode_guest **at = &b->guests, *g;
    while ((g = *at) && g->peer != peer)
        at = &g->next;
    if (!g)
        return;
    seeing_forget(b->seeing, peer);
    gate_forget(b->gate, peer);
    *at = g->next;
    mem_free(&g);
}

static void say(void *self, uint64_t peer, struct span message)
{
    struct brokernode *b = self;
    const struct brokernode_guest *g = guest_of(b, peer);
    laws_broker_says(b->laws, peer, message);
    if (g && !strcmp(g->who->role, "caller"))
        laws_told(b->laws, g->who->name, message);
    listener_send(b->listener, peer, message);
}

static void leave(void *self, const struct bcore_effect *e)
{
    struct brokernode *b = self;
    switch (e->kind) {
    case BCORE_FX_SEND:
        say(b, e->peer, e->body);
        break;
    case BCORE_FX_CLOSE:
        listener_close_peer(b->listener, e->peer, e->body);
        guest_forget(b, e->peer);
        break;
    case BCORE_FX_LOOKUP:
        lookup_run(b->lookup, e);
        break;
    case BCORE_FX_LOOKUP_KEY:
        lookup_key(b->lookup, e, guest_of(b, e->peer)->who->name);
        break;
    case BCORE_FX_LOOKUP_HANDED:
        lookup_handed(b->lookup, e);
        break;
    case BCORE_FX_NOTE: /* for people */
        break;
    case BCORE_FX_EXECUTE: /* it has become a SEND */
        break;
    }
}

static void fetch(void *self, const struct bcore_effect *e, uint64_t number)
{
    struct brokernode *b = self;
    lookup_call(b->lookup, e, number);
}

/* ---- Stepping the core */
static void trace_record(struct brokernode *b, const struct bcore_record *r)
{
    uint64_t kind;
    size_t size;
    if (!b->w->trace || wire_peek(r->body, &kind, &size, NULL) < 0)
        return;
    struct buf line = {0};
    const struct wire_schema *s = messages_schema_of_kind(kind, NULL);
    buf_printf(&line, "record %" PRIu64 " %s", r->lsn, world_kind_name(kind));
    for (unsigned i = 0; s && i < s->count; i++)
        if (s->fields()[i].type == WIRE_id) {
            uint8_t decoded[2048];
            struct id id;
            if (s->size > sizeof decoded || wire_decode(s, r->body, false, decoded, NULL) < 0)
                break;
            memcpy(&id, decoded + s->fields()[i].offset, sizeof id);
            buf_printf(&line, " %s", world_short_id(id));
            break;
        }
    TRACE(b->w, "broker", "%s", buf_str(&line));
    buf_free(&line);
}

/* asker: the peer whose message this answers; 0: none. */
static void take_output(struct brokernode *b, uint64_t asker)
{
    for (unsigned i = 0; i < b->out.n_records; i++) {
        const struct bcore_record *r = &b->out.records[i];
        trace_record(b, r);
        laws_decides(b->laws, r->body);
        if (r->lsn != ++b->last_lsn)
            law_break(b->laws, LAW_REPLAY_IS_STATE, "record %" PRIu64 " follows record %" PRIu64,
                      r->lsn, b->last_lsn - 1);
        journal_append(b->journal, r->lsn, r->body);
        seeing_record(b->seeing, r->lsn, r->body);
        shadow_emitted(b->shadow, r->lsn, r->body);
    }
    for (unsigned i = 0; i < b->out.n_effects; i++) {
        const struct bcore_effect *e = &b->out.effects[i];
        struct brokernode_guest *g = guest_of(b, e->peer);
        if (g && g->peer != asker && e->kind == BCORE_FX_SEND)
            laws_news(b->laws, g->who->name, g->window_open, e->body);
        if (g && e->kind == BCORE_FX_CLOSE)
            g->closing = true;
        gate_put(b->gate, e);
    }
    if (b->out.n_records)
        shadow_stepped(b->shadow, b->core);
}

static void step(struct brokernode *b, struct bcore_event *ev)
{
    ev->now = world_boot_ms(b->w, &b->process);
    ev->wall = world_wall_ms(b->w, &b->process);
    world_random_bytes(b->w, ev->random, sizeof ev->random);
    struct brokernode_guest *g = ev->peer ? guest_of(b, ev->peer) : NULL;
    if (g && ev->kind != BCORE_PEER_DOWN)
        g->window_open = ev->window_open;
    bcore_step(b->core, ev, &b->out);
    b->w->counts.broker_steps++;
    b->disk_full = ev->kind == BCORE_STORE_FULL || (b->disk_full && ev->kind != BCORE_STORE_OK);
    bool sent = g && ev->kind == BCORE_MESSAGE;
    laws_stepped(b->laws, &(struct laws_turn){.core = b->core,
                                              .out = &b->out,
                                              .sender = sent ? g->who->name : NULL,
                                              .peer = ev->peer,
                                              .is_caller = sent && !strcmp(g->who->role, "caller"),
                                              .disk_full = b->disk_full,
                                              .message = ev->message});
    take_output(b, ev->kind == BCORE_MESSAGE ? ev->peer : 0);
    if (ev->kind != BCORE_COMMITTED)
        laws_broker_state(b->laws, b->core);
}

static void on_tick(struct world *w, void *self)
{
    struct brokernode *b = self;
    struct bcore_event ev = {.kind = BCORE_TICK};
    b->ticks = b->tick_at == w->now ? b->ticks + 1 : 0;
    b->tick_at = w->now;
    if (b->ticks > HOT_TICKS)
        law_break(b->laws, LAW_STEPS_WITHIN_TIME,
                  "the broker's core asks for tick after tick at the same moment");
    step(b, &ev);
    turn_end(b);
}

/* Sends on everything that a turn has produced. */
static void turn_end(void *self)
{
    struct brokernode *b = self;
    listener_flush(b->listener);
    journal_turn_end(b->journal);
    int64_t due = bcore_deadline(b->core);
    if (due == INT64_MAX)
        world_cancel(b->w, &b->tick);
    else
        world_at(b->w, &b->tick, world_true_time(b->w, &b->process, due), &b->process, on_tick, b);
}

/* ---- Peers */
static void who_is(const struct member *m, struct bcore_peer *ret)
{
    *ret = (struct bcore_peer){.name = m->name,
                               .role = m->role,
                               .certificate = buf_span(&m->certificate),
                               .pools = m->pools,
                               .n_pools = m->n_pools,
                               .address = "sim"};
}

static void on_hello(void *self, uint64_t peer, const char *name, struct span hello)
{
    struct brokernode *b = self;
    struct bcore_peer who;
    struct m_hello m;
    struct brokernode_guest *g = mem_zalloc(1, sizeof *g);
    g->peer = peer;
    g->next = b->guests;
    b->guests = g;
    gate_welcome(b->gate, peer);
    for (unsigned i = 0; i < b->n_members; i++)
        if (!strcmp(b->members[i].name, name))
            g->who = &b->members[i];
    who_is(g->who, &who);
    TRACE(b->w, "broker", "session %" PRIu64 " of %s", peer, name);
    step(b, &(struct bcore_event){.kind = BCORE_PEER_UP,
                                  .peer = peer,
                                  .who = &who,
                                  .message = hello,
                                  .window_open = true});
    if ((g = guest_of(b, peer)) && !g->closing && m_hello_decode(hello, &m, NULL) == 0 &&
        !id_is_zero(m.spool))
        /* a worker that is refused does not count as heard */
        laws_heard(b->laws, name, g->incarnation = m.incarnation);
}

static void take_message(struct brokernode *b, uint64_t peer, struct span message,
                         const struct bcore_effect *asked, const struct bcore_known *known)
{
    struct brokernode_guest *g = guest_of(b, peer);
    struct bcore_peer who;
    if (!g)
        return;
    who_is(g->who, &who);
    step(b, &(struct bcore_event){.kind = BCORE_MESSAGE,
                                  .peer = peer,
                                  .who = &who,
                                  .message = message,
                                  .window_open = listener_window_open(b->listener, peer),
                                  .looked_up = asked != NULL,
                                  .lsn = asked ? asked->rests_on : 0,
                                  .known = known});
}

static void give_ended_keys(void *self, struct bcore_event *ev)
{
    struct brokernode *b = self;
    world_met(b->w, FAULT_KEYS_LISTED);
    step(b, ev);
    turn_end(b);
}

static void on_known(void *self, const struct bcore_effect *e, const struct bcore_known *known)
{
    take_message(self, e->peer, e->body, e, known);
}

static bool passes_door(struct brokernode *b, const struct brokernode_guest *g, struct span message)
{
    struct buf answer = {0};
    bool passes = door_admits(b->core, buf_span(&g->who->certificate), message, &answer);
    if (!passes)
        gate_put(b->gate, &(struct bcore_effect){
                              .kind = BCORE_FX_SEND, .peer = g->peer, .body = buf_span(&answer)});
    buf_free(&answer);
    return passes;
}

static bool may_see(void *self, uint64_t peer, struct span first_record)
{
    const struct brokernode *b = self;
    const struct brokernode_guest *g = guest_of(b, peer);
    return g && door_may_see(b->core, buf_span(&g->who->certificate), first_record);
}

static void on_message(void *self, uint64_t peer, struct span message)
{
    struct brokernode *b = self;
    struct brokernode_guest *g = guest_of(b, peer);
    uint64_t kind = 0;
    size_t size;
    wire_peek(message, &kind, &size, NULL);
    if (g && kind != KIND_M_PING)
        TRACE(b->w, "broker", "<- %s %s", g->who->name, world_kind_name(kind));
    if (g && !g->closing && !id_is_zero(g->incarnation))
        laws_heard(b->laws, g->who->name, g->incarnation);
    if (g && !passes_door(b, g, message))
        return;
    if (!g || !seeing_take(b->seeing, peer, message))
        take_message(b, peer, message, NULL, NULL);
}

static void on_down(void *self, uint64_t peer)
{
    struct brokernode *b = self;
    guest_forget(b, peer);
    step(b, &(struct bcore_event){.kind = BCORE_PEER_DOWN, .peer = peer});
}

static void on_window(void *self, uint64_t peer, bool open)
{
    struct brokernode *b = self;
    struct brokernode_guest *g = guest_of(b, peer);
    struct bcore_peer who;
    if (!g)
        return;
    who_is(g->who, &who);
    step(b, &(struct bcore_event){
                .kind = BCORE_WINDOW, .peer = peer, .who = &who, .window_open = open});
    if (open)
        seeing_window(b->seeing, peer);
}

static void on_queued(void *self, uint64_t peer, size_t owed)
{
    struct brokernode *b = self;
    const struct brokernode_guest *g = guest_of(b, peer);
    if (g)
        laws_queued(b->laws, peer, g->who->name, owed);
}

static const struct listener_calls listener_calls = {.hello = on_hello,
                                                     .message = on_message,
                                                     .down = on_down,
                                                     .window = on_window,
                                                     .queued = on_queued,
                                                     .turn_end = turn_end};

static const struct lookup_calls lookup_calls = {
    .say = say, .may_see = may_see, .known = on_known, .turn_end = turn_end};

/* ---- The journal */
static void on_durable(void *self, const struct journal_record *r)
{
    struct brokernode *b = self;
    laws_durable(b->laws, r);
    shadow_durable(b->shadow, r->lsn, r->body);
}

static void on_committed(void *self, uint64_t lsn)
{
    struct brokernode *b = self;
    step(b, &(struct bcore_event){.kind = BCORE_COMMITTED, .lsn = lsn});
    gate_committed(b->gate, lsn);
    seeing_committed(b->seeing, lsn);
    turn_end(b);
}

static void on_full(void *self, bool full)
{
    step(self, &(struct bcore_event){.kind = full ? BCORE_STORE_FULL : BCORE_STORE_OK});
}

static const struct journal_calls journal_calls = {
    .durable = on_durable, .committed = on_committed, .full = on_full};

/* ---- Life */
struct brokernode *brokernode_new(struct world *w, struct network *n, struct laws *l,
                                  const struct broker_mood *mood)
{
    struct brokernode *b = mem_zalloc(1, sizeof *b);
    b->w = w;
    b->net = n;
    b->laws = l;
    b->seeing_mood = mood->seeing;
    process_init_machine(w, &b->process, "broker", &b->clock, 0);
    b->config =
        (struct bcore_config){.lost_after_ms = (uint64_t)mood->lost_after_ms,
                              .memory_budget = mood->memory_budget ? mood->memory_budget : 64 << 20,
                              .max_runs = mood->max_runs ? mood->max_runs : 100000,
                              .kept_max = mood->kept_max,
                              .bodies_budget = mood->bodies_budget,
                              .cluster = SIM_CLUSTER,
                              .broker = "broker"};
    catalog_write_certificate("broker", "broker", 1, 0, &b->certificate);
    b->config.certificate = buf_span(&b->certificate);
    world_random_bytes(w, b->config.hash_key, sizeof b->config.hash_key);
    laws_room(l, b->config.max_runs, b->config.memory_budget);
    b->journal = journal_new(w, &b->process, &journal_calls, b);
    b->shadow = shadow_new(l, &b->config);
    return b;
}

static void stop(struct brokernode *b)
{
    process_die(&b->process);
    world_cancel(b->w, &b->tick);
    while (b->guests)
        guest_forget(b, b->guests->peer);
    seeing_free(&b->seeing);
    listener_free(&b->listener);
    lookup_free(&b->lookup);
    endedkeys_free(&b->ended_keys);
    gate_free(&b->gate);
    bcore_free(&b->core);
    shadow_end(b->shadow);
    bcore_out_free(&b->out);
}

void brokernode_free(struct brokernode **pb)
{
    struct brokernode *b = *pb;
    if (!b)
        return;
    stop(b);
    shadow_free(&b->shadow);
    journal_free(&b->journal);
    for (unsigned i = 0; i < b->n_members; i++)
        buf_free(&b->members[i].certificate);
    buf_free(&b->certificate);
    mem_free(pb);
}

void brokernode_start(struct brokernode *b)
{
    bool folded = world_chance(b->w, 600);
    uint64_t left_out;
    b->core = bcore_new(&b->config);
    if (!shadow_begin(b->shadow, b->journal, folded, b->core, &left_out))
        return;
    if (folded)
        world_met(b->w, FAULT_REDUCED_REPLAY);
    TRACE(b->w, "broker", "starts at record %" PRIu64 "%s", journal_durable(b->journal),
          folded ? ", folded" : "");
    b->process.up = true;
    b->last_lsn = journal_durable(b->journal);
    struct bcore_event ev = {.now = world_boot_ms(b->w, &b->process),
                             .wall = world_wall_ms(b->w, &b->process),
                             .lsn = journal_durable(b->journal),
                             .left_out = left_out};
    world_random_bytes(b->w, ev.random, sizeof ev.random);
    b->listener = listener_new(b->w, b->net, &b->process, &listener_calls, b);
    b->gate = gate_new(b->last_lsn, leave, fetch, b);
    b->lookup = lookup_new(b->w, &b->process, b->laws, b->journal, b->gate, &lookup_calls, b);
    b->ended_keys = endedkeys_new(b->w, &b->process, b->journal, left_out, give_ended_keys, b);
    b->seeing =
        seeing_new(b->w, &b->seeing_mood, &b->process, b->laws, b->journal, b->listener, b->core);
    seeing_on_turn_end(b->seeing, turn_end, b);
    seeing_committed(b->seeing, b->last_lsn);
    bcore_begin(b->core, &ev, &b->out);
    take_output(b, 0);
    laws_broker_begins(b->laws, b->core);
    laws_listens(b->laws, b->w->now);
    turn_end(b);
}

void brokernode_crash(struct brokernode *b)
{
    if (!b->process.up)
        return;
    TRACE(b->w, "broker", "crashes");
    shadow_judge(b->shadow, b->core,
                 "the broker's state at its death is not what replaying its records gives");
    stop(b);
    network_broker_down(b->net);
    world_met(b->w, journal_crash(b->journal) ? FAULT_BROKER_CRASH_IN_COMMIT : FAULT_BROKER_CRASH);
    if (world_chance(b->w, 200))
        world_clock_boot(b->w, &b->clock);
}

void brokernode_pause(struct brokernode *b, int64_t for_us)
{
    if (process_stop(b->w, &b->process, FAULT_BROKER_PAUSE, "is stopped", for_us))
        laws_listens(b->laws, b->process.paused_until);
}

void brokernode_disk(struct brokernode *b, bool full, bool slow)
{
    TRACE(b->w, "broker", "its disk is %s", full ? "full" : slow ? "slow" : "well");
    if (full)
        world_met(b->w, FAULT_DISK_FULL);
    if (slow)
        world_met(b->w, FAULT_DISK_SLOW);
    journal_set_slow(b->journal, slow);
    journal_set_full(b->journal, full);
}

void brokernode_wall_step(struct brokernode *b, int64_t ms)
{
    world_clock_step(b->w, &b->process, ms);
}

bool brokernode_is_up(const struct brokernode *b)
{
    return process_runs(b->w, &b->process);
}

const struct bcore *brokernode_core(const struct brokernode *b)
{
    return b->process.up ? b->core : NULL;
}

void brokernode_know(struct brokernode *b, const char *name, const char *role, unsigned pools)
{
    struct member *m = &b->members[b->n_members++];
    snprintf(m->name, sizeof m->name, "%s", name);
    m->role = role;
    for (unsigned i = 0; i < CATALOG_POOLS; i++)
        if (pools & 1u << i)
            m->pools[m->n_pools++] = sim_pools[i];
    catalog_write_certificate(name, role, 100 + b->n_members, pools, &m->certificate);
}
