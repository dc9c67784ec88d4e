/* monitornode.c - see monitornode.h. */
#include "tests/sim/monitornode.h"

#include <inttypes.h>
#include <string.h>

#include "common/mem.h"
#include "tests/sim/peerline.h"

struct monitornode {
    struct world *w;
    struct laws *laws;
    char name[32];
    struct clock_sim clock;
    struct process process;
    struct cable cable;
    struct peerline *line;
    struct event come_back, later;
    struct sim_filter filter;
    uint64_t credit, req, taken, given; /* of this subscription: bytes */
    uint64_t position, written_down;
    unsigned lazy; /* per mille of messages whose credit comes late */
    struct buf scratch;
};

/* ---- Sending */
static void add_filter(const struct sim_filter *f, struct buf *items, uint32_t *n)
{
    char id[ID_TEXT];
    *n = f->key != NULL;
    if (!f->key)
        return;
    value_add_str(items, span_str(f->key));
    value_add_str(items, span_str(id_is_zero(f->parent) ? f->value : id_format(f->parent, id)));
}

static void subscribe(struct monitornode *m)
{
    struct buf where = {0};
    uint32_t n;
    add_filter(&m->filter, &where, &n);
    m->req++;
    m->taken = m->given = 0;
    laws_monitor_subscribes(m->laws, m->name, m->req, m->position, &m->filter);
    buf_clear(&m->scratch);
    m_subscribe_encode(&(struct m_subscribe){.req = m->req,
                                             .after = m->position,
                                             .credit = m->credit,
                                             .where = wire_list_from(&where, n)},
                       &m->scratch);
    peerline_send(m->line, buf_span(&m->scratch));
    buf_free(&where);
}

static void give_credit(struct monitornode *m)
{
    if (m->given == m->taken || !peerline_is_up(m->line))
        return;
    m->given = m->taken;
    buf_clear(&m->scratch);
    m_credit_encode(&(struct m_credit){.req = m->req, .bytes = m->taken}, &m->scratch);
    peerline_send(m->line, buf_span(&m->scratch));
}

static void on_later(struct world *w, void *self)
{
    struct monitornode *m = self;
    (void)w;
    give_credit(m);
    peerline_flush(m->line);
}

/* ---- Hearing */
static void hear_events(struct monitornode *m, const struct m_events *e)
{
    struct wire_iter it = wire_iter(&e->events);
    struct span text;
    if (e->req != m->req)
        return; /* of an older subscription */
    laws_monitor_hears(m->laws, m->name, e);
    TRACE(m->w, m->name, "hears %u events of (%" PRIu64 ", %" PRIu64 "]%s",
          (unsigned)e->events.count, e->from, e->to, e->live ? ", live" : "");
    while (wire_next(&it, &text))
        m->taken += text.n;
    if (m->taken - m->given >= m->credit)
        world_met(m->w, FAULT_CREDIT_OUT);
    if (e->to > m->position)
        m->position = e->to;
    if (world_chance(m->w, 200))
        m->written_down = m->position;
    if (!world_chance(m->w, m->lazy))
        give_credit(m);
    else if (!event_is_set(&m->later))
        world_at(m->w, &m->later, m->w->now + world_skewed(m->w, MS(1), SECS(4)), &m->process,
                 on_later, m);
}

static void on_message(void *self, uint64_t kind, struct span message)
{
    struct monitornode *m = self;
    struct m_events events;
    struct m_error error;
    if (kind == KIND_M_EVENTS && m_events_decode(message, &events, NULL) == 0)
        hear_events(m, &events);
    else if (kind == KIND_M_ERROR && m_error_decode(message, &error, NULL) == 0)
        law_break(m->laws, LAW_MONITOR_IN_ORDER, "%s is refused: " SPAN_FMT, m->name,
                  SPAN_ARG(error.text));
}

static void on_up(void *self, struct span welcome)
{
    struct monitornode *m = self;
    (void)welcome;
    TRACE(m->w, m->name, "session is open, subscribes behind %" PRIu64, m->position);
    subscribe(m);
}

static const struct peerline_calls peerline_calls = {.up = on_up, .message = on_message};

/* ---- Life */
static struct sim_filter some_filter(struct world *w, const char *const *servers,
                                     unsigned n_servers)
{
    static const struct sim_filter filters[] = {
        {.key = NULL},
        {.key = "event", .value = "result", .kind = KIND_R_ENDED},
        {.key = "event", .value = "started", .kind = KIND_R_STARTED},
        {.key = "event", .value = "parent_ended", .kind = KIND_R_PARENT_ENDED},
        {.key = "status", .value = "failed", .status = STATUS_FAILED},
        {.key = "parent", .value = "", .parent = {{[15] = 1}}},
        {.key = "server", .value = ""}};
    enum { FILTERS = sizeof filters / sizeof *filters };
    struct sim_filter f = filters[world_chance(w, 400) ? 0 : rng_below(&w->rng, FILTERS)];
    if (f.key && !strcmp(f.key, "server"))
        f.value = servers[rng_below(&w->rng, n_servers)];
    return f;
}

struct monitornode *monitornode_new(struct world *w, struct network *n, struct laws *l,
                                    const char *name, const char *const *servers,
                                    unsigned n_servers)
{
    struct monitornode *m = mem_zalloc(1, sizeof *m);
    m->w = w;
    m->laws = l;
    snprintf(m->name, sizeof m->name, "%s", name);
    m->cable.name = m->name;
    m->filter = some_filter(w, servers, n_servers);
    m->credit = (uint64_t)world_between(w, 20, world_chance(w, 500) ? 300 : 5000);
    m->lazy = world_chance(w, 500) ? 0 : 500;
    process_init_machine(w, &m->process, name, &m->clock, 0);
    m->line = peerline_new(w, n, &m->cable, &m->process, &peerline_calls, m);
    return m;
}

void monitornode_free(struct monitornode **pm)
{
    struct monitornode *m = *pm;
    if (!m)
        return;
    world_cancel(m->w, &m->come_back);
    world_cancel(m->w, &m->later);
    peerline_free(&m->line);
    buf_free(&m->scratch);
    mem_free(pm);
}

void monitornode_start(struct monitornode *m)
{
    m->process.up = true;
    peerline_start(m->line);
}

static void on_come_back(struct world *w, void *self)
{
    struct monitornode *m = self;
    TRACE(w, m->name, "starts again at %" PRIu64, m->written_down);
    m->position = m->written_down;
    monitornode_start(m);
}

void monitornode_crash(struct monitornode *m, int64_t for_us)
{
    if (!m->process.up)
        return;
    TRACE(m->w, m->name, "crashes");
    world_met(m->w, FAULT_MONITOR_CRASH);
    process_die(&m->process);
    world_cancel(m->w, &m->later);
    peerline_down(m->line);
    world_at(m->w, &m->come_back, m->w->now + for_us, NULL, on_come_back, m);
}

void monitornode_pause(struct monitornode *m, int64_t for_us)
{
    process_stop(m->w, &m->process, FAULT_MONITOR_PAUSE, "is stopped", for_us);
}

struct cable *monitornode_cable(struct monitornode *m)
{
    return &m->cable;
}

bool monitornode_is_owed(const struct monitornode *m, uint64_t *ret_lsn)
{
    *ret_lsn = laws_last_event(m->laws, &m->filter);
    return m->position < *ret_lsn;
}
