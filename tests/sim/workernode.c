/* workernode.c - see workernode.h. */
#include "tests/sim/workerinside.h"

#include "common/mem.h"

enum {
    POLL_US = 500000,      /* the shell reads the spool this often without a bell */
    RUNNER_RETRY_MS = 200, /* between two looks for the runner */
    SYNC_CHANCE = 60       /* per mille of the entries with which the kernel writes the file */
};

static void turn_end(void *self);

/* ---- What leaves the core */
static void trace_message(struct workernode *s, const char *to, struct span message)
{
    uint64_t kind;
    size_t size;
    if (s->w->trace && wire_peek(message, &kind, &size, NULL) == 0)
        TRACE(s->w, s->name, "-> %s %s", to, world_kind_name(kind));
}

static void to_spool(struct workernode *s, struct span entry)
{
    struct s_finished f;
    uint64_t kind;
    size_t size;
    wire_peek(entry, &kind, &size, NULL);
    if (kind == KIND_S_FINISHED && s_finished_decode(entry, &f, NULL) == 0)
        laws_finished(s->laws, f.run, f.attempt, f.outcome);
    trace_message(s, "spool", entry);
    disk_spool_add(&s->spool, SPOOL_WORKER, entry);
    if (world_chance(s->w, SYNC_CHANCE))
        disk_spool_sync(&s->spool, SPOOL_WORKER);
    s->spool.read_to[SPOOL_WORKER] = s->spool.file[SPOOL_WORKER].n;
}

static void to_broker(struct workernode *s, struct span message)
{
    laws_worker_says(s->laws, message);
    peerline_send(s->line, message);
}

/* How many effects of this kind are carried out before the process dies. */
static unsigned survive(struct workernode *s, enum wcore_effect_kind kind, bool *dead)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->out.n_effects; i++)
        n += s->out.effects[i].kind == kind;
    if (*dead)
        return 0;
    unsigned left = s->die_in_step ? (unsigned)rng_below(&s->w->rng, n + 2) : n;
    *dead = left < n;
    return left < n ? left : n;
}

/* In the order of the real shell: all entries, then the runner, then the broker. True: it died
 * on the way. */
static bool let_go(struct workernode *s)
{
    static const enum wcore_effect_kind order[] = {WCORE_FX_SPOOL, WCORE_FX_RUNNER, WCORE_FX_SEND,
                                                   WCORE_FX_FIND_JOB};
    bool dead = false;
    for (unsigned k = 0; k < sizeof order / sizeof *order; k++) {
        unsigned most = survive(s, order[k], &dead);
        for (unsigned i = 0; i < s->out.n_effects && most; i++) {
            const struct wcore_effect *e = &s->out.effects[i];
            if (e->kind != order[k])
                continue;
            most--;
            if (e->kind == WCORE_FX_SPOOL)
                to_spool(s, e->body);
            else if (e->kind == WCORE_FX_FIND_JOB)
                serverjobs_find(s->jobs, e);
            else if (e->kind == WCORE_FX_RUNNER)
                keepers_say(s->keepers, e->body);
            else
                to_broker(s, e->body);
            if (e->kind == WCORE_FX_RUNNER || e->kind == WCORE_FX_SEND)
                trace_message(s, e->kind == WCORE_FX_SEND ? "broker" : "runner", e->body);
        }
    }
    return dead;
}

static void feed(struct workernode *s, struct wcore_event ev)
{
    if (!s->core)
        return;
    ev.now = world_boot_ms(s->w, &s->process);
    ev.wall = world_wall_ms(s->w, &s->process);
    wcore_step(s->core, &ev, &s->out);
    bool may_die = s->die_in_step && s->out.n_effects > 1;
    if (!may_die) {
        bool later = s->die_in_step;
        s->die_in_step = false;
        let_go(s);
        s->die_in_step = later;
    } else if (let_go(s)) {
        world_met(s->w, FAULT_WORKER_CRASH_IN_STEP);
        peerline_flush(s->line);
        workernode_die(s, false);
    } else {
        s->die_in_step = false;
        peerline_flush(s->line);
        workernode_die(s, true);
    }
}

static void on_found(void *self, struct wcore_event ev)
{
    feed(self, ev);
    turn_end(self);
}

/* ---- The spool files of keepers and runner */
static void read_spool(struct workernode *s)
{
    struct span entry;
    for (unsigned f = SPOOL_RUNNER; f < SPOOL_FILES; f++)
        while (s->core && disk_spool_next(&s->spool, f, &s->spool.read_to[f], &entry)) {
            struct buf copy = buf_dup(entry); /* a death in the step may move the file */
            feed(s, (struct wcore_event){.kind = WCORE_SPOOL, .message = buf_span(&copy)});
            buf_free(&copy);
        }
}

static void on_bell(struct world *w, void *self)
{
    (void)w;
    read_spool(self);
    turn_end(self);
}

static void on_poll(struct world *w, void *self)
{
    struct workernode *s = self;
    world_at(w, &s->poll, w->now + POLL_US, &s->process, on_poll, s);
    on_bell(w, s);
}

static void ring(void *self)
{
    struct workernode *s = self;
    if (s->core && !event_is_set(&s->bell))
        world_at(s->w, &s->bell, s->w->now + world_skewed(s->w, 20, MS(10)), &s->process, on_bell,
                 s);
}

/* ---- The runner */
static void told(void *self, struct span message)
{
    struct workernode *s = self;
    uint64_t kind;
    size_t size;
    if (!s->core || wire_peek(message, &kind, &size, NULL) < 0)
        return;
    read_spool(s);
    feed(s, (struct wcore_event){.kind = kind == KIND_S_KEPT ? WCORE_KEPT : WCORE_KEPT_END,
                                 .message = message});
    turn_end(s);
}

static void on_link(struct world *w, void *self)
{
    struct workernode *s = self;
    if (!s->core || s->linked)
        return;
    if (!keepers_runner_is_up(s->keepers)) {
        world_at(w, &s->link, w->now + MS(RUNNER_RETRY_MS), &s->process, on_link, s);
        return;
    }
    s->linked = true;
    laws_reached(s->laws, s->name, s->w->now);
    feed(s, (struct wcore_event){.kind = WCORE_RUNNER_UP});
    if (s->core)
        keepers_attach(s->keepers);
    turn_end(s);
}

static void link_down(void *self)
{
    struct workernode *s = self;
    s->linked = false;
    laws_reached(s->laws, s->name, INT64_MAX);
    feed(s, (struct wcore_event){.kind = WCORE_RUNNER_DOWN});
    world_at(s->w, &s->link, s->w->now + MS(RUNNER_RETRY_MS), &s->process, on_link, s);
    turn_end(s);
}

static const struct keepers_calls keepers_calls = {
    .told = told, .link_down = link_down, .bell = ring};

/* ---- The session */
static void say_hello(void *self, struct m_hello *m)
{
    struct workernode *s = self;
    m->spool = s->spool_id;
    m->boot = s->boot;
    m->slots = s->options.slots;
    m->incarnation = s->nonce;
    m->process = span_str("first");
}

void workernode_say_attest(struct workernode *s)
{
    struct buf message = {0};
    serverjobs_attest(s->jobs, s->options.slots, &message);
    peerline_send(s->line, buf_span(&message));
    buf_free(&message);
}

static void session_up(void *self, struct span welcome)
{
    struct workernode *s = self;
    struct m_welcome m;
    if (m_welcome_decode(welcome, &m, NULL) == 0)
        s->epoch = m.epoch;
    TRACE(s->w, s->name, "session is open");
    laws_steady(s->laws, s->name, s->w->now);
    feed(s, (struct wcore_event){.kind = WCORE_SESSION_UP, .message = welcome});
    if (!s->core)
        return;
    workernode_say_attest(s);
    /* Only answers after HAVE_END move the fence: before that the broker sends STOP for what is no
     * longer ours. */
    s->renewed = peerline_renewed(s->line);
    peerline_renew(s->line);
}

static void session_message(void *self, uint64_t kind, struct span message)
{
    struct workernode *s = self;
    struct m_stop stop;
    if (kind != KIND_M_PONG)
        TRACE(s->w, s->name, "<- broker %s", world_kind_name(kind));
    if (kind == KIND_M_STOP && m_stop_decode(message, &stop, NULL) == 0)
        laws_stop_heard(s->laws, stop.run, stop.attempt);
    feed(s, (struct wcore_event){.kind = WCORE_MESSAGE, .message = message});
}

static void session_down(void *self)
{
    struct workernode *s = self;
    laws_steady(s->laws, s->name, INT64_MAX);
    feed(s, (struct wcore_event){.kind = WCORE_SESSION_DOWN});
    turn_end(s);
}

static void on_tick(struct world *w, void *self)
{
    (void)w;
    feed(self, (struct wcore_event){.kind = WCORE_TICK});
    turn_end(self);
}

static void turn_end(void *self)
{
    struct workernode *s = self;
    if (!s->core)
        return;
    if (peerline_renewed(s->line) > s->renewed && peerline_is_up(s->line) &&
        !wcore_holds_fence(s->core))
        s->fence = peerline_renewed(s->line);
    peerline_flush(s->line);
    int64_t due = wcore_deadline(s->core);
    if (due == INT64_MAX)
        world_cancel(s->w, &s->tick);
    else
        world_at(s->w, &s->tick, world_true_time(s->w, &s->process, due), &s->process, on_tick, s);
}

static const struct peerline_calls peerline_calls = {.hello = say_hello,
                                                     .up = session_up,
                                                     .message = session_message,
                                                     .down = session_down,
                                                     .turn_end = turn_end};

/* ---- Life of the process */
static bool replay(struct workernode *s, struct wcore *core, bool all)
{
    struct error err = {0};
    struct span entry;
    for (unsigned f = 0; f < SPOOL_FILES; f++)
        for (size_t at = 0;
             (all || at < s->spool.read_to[f]) && disk_spool_next(&s->spool, f, &at, &entry);)
            if (wcore_replay(core, entry, &err) < 0) {
                law_break(s->laws, LAW_SPOOL_IS_STATE, "server %s: %s", s->name, err.text);
                return false;
            }
    return true;
}

static struct wcore *core_new(struct workernode *s)
{
    struct wcore_config c = {.slots = s->options.slots,
                             .ahead = s->options.ahead,
                             .spool = s->spool_id,
                             .boot = s->boot,
                             .rebooted = s->rebooted,
                             .gap = s->gap};
    snprintf(c.server, sizeof c.server, "%s", s->name);
    return wcore_new(&c);
}

static void judge_spool(struct workernode *s)
{
    struct wcore *replayed = core_new(s);
    struct hash is, was;
    char what[120];
    snprintf(what, sizeof what, "server %s: replaying the spool does not give its worker's state",
             s->name);
    if (replay(s, replayed, false)) {
        wcore_digest(s->core, &is);
        wcore_digest(replayed, &was);
        laws_digests(s->laws, LAW_SPOOL_IS_STATE, what, &is, &was);
    }
    wcore_free(&replayed);
}

static bool knows(void *self, struct id run, uint64_t attempt)
{
    return wcore_knows(self, run, attempt);
}

static void start(struct workernode *s)
{
    s->core = core_new(s);
    s->process.up = true;
    s->linked = false;
    if (!replay(s, s->core, true))
        return;
    for (unsigned f = 0; f < SPOOL_FILES; f++)
        s->spool.read_to[f] = s->spool.file[f].n;
    if (world_chance(s->w, 400)) {
        world_met(s->w, FAULT_TIDY);
        disk_spool_tidy(&s->spool, knows, s->core);
    }
    TRACE(s->w, s->name, "the worker starts with %u attempts", wcore_live(s->core));
    feed(s, (struct wcore_event){.kind = WCORE_TICK});
    if (!s->core)
        return;
    /* what it has made of a gap is on the disk before a broker hears of it */
    disk_spool_sync(&s->spool, SPOOL_WORKER);
    s->rebooted = s->gap = false;
    peerline_start(s->line);
    world_at(s->w, &s->poll, s->w->now + world_between(s->w, 0, POLL_US), &s->process, on_poll, s);
    world_at(s->w, &s->link, s->w->now + world_between(s->w, 0, MS(100)), &s->process, on_link, s);
}

static void come_back(struct world *w, void *self)
{
    struct workernode *s = self;
    (void)w;
    if (!s->core)
        start(s);
}

void workernode_back_at(struct workernode *s, int64_t at)
{
    world_at(s->w, &s->come_back, at, NULL, come_back, s);
}

void workernode_die(struct workernode *s, bool whole)
{
    if (!s->core)
        return;
    if (whole)
        judge_spool(s);
    TRACE(s->w, s->name, "the worker dies");
    laws_reached(s->laws, s->name, INT64_MAX);
    laws_steady(s->laws, s->name, INT64_MAX);
    s->die_in_step = false;
    process_die(&s->process);
    peerline_down(s->line);
    keepers_detach(s->keepers);
    serverjobs_forget(s->jobs);
    world_cancel(s->w, &s->tick);
    world_cancel(s->w, &s->poll);
    world_cancel(s->w, &s->bell);
    world_cancel(s->w, &s->link);
    world_cancel(s->w, &s->attest);
    wcore_free(&s->core);
    if (!event_is_set(&s->come_back)) /* it died in a step */
        workernode_back_at(s, s->w->now + world_skewed(s->w, MS(50), SECS(10)));
}

struct workernode *workernode_new(struct world *w, struct network *n, struct laws *l,
                                  const struct catalog *c, const struct workernode_options *o)
{
    struct workernode *s = mem_zalloc(1, sizeof *s);
    s->w = w;
    s->laws = l;
    s->options = *o;
    snprintf(s->name, sizeof s->name, "%s", o->name);
    s->cable.name = s->name;
    process_init_machine(w, &s->process, s->name, &s->clock, WALL_OFF_MS);
    world_random_bytes(w, &s->spool_id, sizeof s->spool_id);
    world_random_bytes(w, &s->boot, sizeof s->boot);
    world_random_bytes(w, &s->nonce, sizeof s->nonce);
    s->line = peerline_new(w, n, &s->cable, &s->process, &peerline_calls, s);
    s->jobs = serverjobs_new(w, &s->process, c, o->jobs, on_found, s);
    s->keepers = keepers_new(w, l,
                             &(struct keepers_house){.server = s->name,
                                                     .clock = &s->clock,
                                                     .spool = &s->spool,
                                                     .spool_id = &s->spool_id,
                                                     .fence = &s->fence,
                                                     .catalog = c,
                                                     .slots = o->slots,
                                                     .ahead = o->ahead},
                             &keepers_calls, s);
    return s;
}

void workernode_free(struct workernode **ps)
{
    struct workernode *s = *ps;
    if (!s)
        return;
    workernode_die(s, false);
    world_cancel(s->w, &s->come_back);
    world_cancel(s->w, &s->runner_back);
    world_cancel(s->w, &s->rival_end);
    peerline_free(&s->line);
    rivalworker_free(&s->rival);
    keepers_free(&s->keepers);
    serverjobs_free(&s->jobs);
    disk_spool_free(&s->spool);
    wcore_out_free(&s->out);
    mem_free(ps);
}

void workernode_power_on(struct workernode *s)
{
    keepers_runner_start(s->keepers);
    start(s);
}

/* ---- What can be asked */
struct cable *workernode_cable(struct workernode *s)
{
    return &s->cable;
}
const char *workernode_name(const struct workernode *s)
{
    return s->name;
}
unsigned workernode_jobs(const struct workernode *s)
{
    return serverjobs_bits(s->jobs);
}
unsigned workernode_live(const struct workernode *s)
{
    return s->core ? wcore_live(s->core) : 0;
}
unsigned workernode_children(const struct workernode *s)
{
    return keepers_children(s->keepers);
}
bool workernode_is_up(const struct workernode *s)
{
    return process_runs(s->w, &s->process);
}
