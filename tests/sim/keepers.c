/* keepers.c - see keepers.h. */
#include "tests/sim/keepers.h"

#include <inttypes.h>
#include <string.h>

#include "common/mem.h"
#include "proto/kept.h"
#include "tests/sim/runnersocket.h"
#include "trust/envelope.h"

enum {
    /* as runner/fence.h: TERM this long before KILL, half of lost_after if that is less */
    FENCE_MARGIN_MS = 10000
};

struct keepers_step { /* a step that waits or runs */
    struct buf bytes; /* s_step; `step` points into it */
    struct s_step step;
    const struct sim_job *job;
    struct keepers_step *next;
};

struct keepers_keeper {
    struct keepers *all;
    unsigned slot;
    struct keepers_step *waiting, *runs;
    struct event start, end, look, progress; /* look: at deadline and fence */
    bool told_to_end, timed_out, cancelled, fenced;
};

struct keepers_seen { /* what this runner knows has been launched */
    struct id run;
    uint64_t attempt, try_no;
    char step[LIMIT_NAME + 1];
};

struct keepers {
    struct world *w;
    struct laws *laws;
    struct keepers_house h;
    const struct keepers_calls *calls;
    void *self;
    struct process machine; /* keepers and runner: never stopped */
    bool runner, attached;
    struct keepers_keeper keeper[KEEPERS_MAX];
    struct runnersocket *socket;
    struct keepers_seen *seen;
    unsigned n_seen;
};

static void pump(struct keepers_keeper *k);
static void read_message(void *self, bool to_worker, struct span message);

struct keepers *keepers_new(struct world *w, struct laws *l, const struct keepers_house *h,
                            const struct keepers_calls *calls, void *self)
{
    struct keepers *k = mem_zalloc(1, sizeof *k);
    k->w = w;
    k->laws = l;
    k->h = *h;
    k->calls = calls;
    k->self = self;
    process_init(&k->machine, h->server, h->clock);
    k->machine.luck++; /* not the worker's, which has the same name */
    k->socket = runnersocket_new(w, read_message, k);
    for (unsigned i = 0; i < KEEPERS_MAX; i++) {
        k->keeper[i].all = k;
        k->keeper[i].slot = i;
    }
    return k;
}

static void held_free(struct keepers_step *h)
{
    buf_free(&h->bytes);
    mem_free(&h);
}

void keepers_free(struct keepers **pk)
{
    struct keepers *k = *pk;
    if (!k)
        return;
    keepers_power_off(k);
    runnersocket_free(&k->socket);
    mem_free(&k->seen);
    mem_free(pk);
}

/* ---- Messages to and from the worker */
static void take_step(struct keepers *k, struct span message);
static void take_halt(struct keepers *k, struct span message);

static void read_message(void *self, bool to_worker, struct span message)
{
    struct keepers *k = self;
    uint64_t kind = 0;
    size_t size;
    wire_peek(message, &kind, &size, NULL);
    if (to_worker && k->attached)
        k->calls->told(k->self, message);
    else if (!to_worker && k->runner && kind == KIND_S_STEP)
        take_step(k, message);
    else if (!to_worker && k->runner && kind == KIND_S_HALT)
        take_halt(k, message);
}

void keepers_say(struct keepers *k, struct span message)
{
    if (k->attached)
        runnersocket_post(k->socket, false, message);
}

static void tell_kept(struct keepers *k, const struct keepers_keeper *keeper,
                      const struct s_step *s, enum kept_state state)
{
    struct buf b = {0};
    if (!k->attached || !k->runner)
        return;
    s_kept_encode(&(struct s_kept){.slot = keeper->slot + 1,
                                   .run = s->run,
                                   .attempt = s->attempt,
                                   .step = s->step,
                                   .try_no = s->try_no,
                                   .state = state},
                  &b);
    runnersocket_post(k->socket, true, buf_span(&b));
    buf_free(&b);
}

bool keepers_attach(struct keepers *k)
{
    struct buf b = {0};
    uint64_t count = 0;
    if (!k->runner)
        return false;
    k->attached = true;
    for (unsigned i = 0; i < k->h.slots; i++) {
        if (k->keeper[i].runs) {
            tell_kept(k, &k->keeper[i], &k->keeper[i].runs->step, KEPT_RUNS);
            count++;
        }
        for (struct keepers_step *h = k->keeper[i].waiting; h; h = h->next, count++)
            tell_kept(k, &k->keeper[i], &h->step, KEPT_WAITS);
    }
    s_kept_end_encode(&(struct s_kept_end){.count = count}, &b);
    runnersocket_post(k->socket, true, buf_span(&b));
    buf_free(&b);
    return true;
}

void keepers_detach(struct keepers *k)
{
    k->attached = false;
    runnersocket_drop(k->socket, true);
}

/* ---- The spool */
static void write_entry(struct keepers *k, unsigned file, struct span entry)
{
    disk_spool_add(k->h.spool, file, entry);
    if (world_chance(k->w, 60))
        disk_spool_sync(k->h.spool, file);
    if (world_chance(k->w, 50))
        world_met(k->w, FAULT_BELL_LOST);
    else
        k->calls->bell(k->self);
}

static void write_ended(struct keepers *k, unsigned file, const struct s_step *s,
                        struct d_step_outcome *o)
{
    struct buf outcome = {0}, entry = {0};
    o->name = s->step;
    o->try_no = s->try_no;
    o->ended_at = world_wall_ms(k->w, &k->machine);
    d_step_outcome_encode(o, &outcome);
    s_ended_encode(
        &(struct s_ended){.run = s->run, .attempt = s->attempt, .outcome = buf_span(&outcome)},
        &entry);
    write_entry(k, file, buf_span(&entry));
    buf_free(&outcome);
    buf_free(&entry);
}

/* ---- What was launched before */
static void seen_add(struct keepers *k, const struct s_step *s)
{
    k->seen = mem_realloc(k->seen, k->n_seen + 1, sizeof *k->seen);
    struct keepers_seen *x = &k->seen[k->n_seen++];
    memset(x, 0, sizeof *x);
    x->run = s->run;
    x->attempt = s->attempt;
    x->try_no = s->try_no;
    span_copy_str(s->step, x->step, sizeof x->step);
}

static bool was_launched(const struct keepers *k, const struct s_step *s)
{
    for (unsigned i = k->n_seen; i-- > 0;)
        if (k->seen[i].attempt == s->attempt && k->seen[i].try_no == s->try_no &&
            id_eq(k->seen[i].run, s->run) && span_eq_str(s->step, k->seen[i].step))
            return true;
    return false;
}

/* ---- Steps */
static bool is_same(const struct s_step *a, const struct s_step *b)
{
    return id_eq(a->run, b->run) && a->attempt == b->attempt && a->try_no == b->try_no &&
           span_eq(a->step, b->step);
}

static unsigned load_of(const struct keepers_keeper *k)
{
    unsigned n = k->runs ? 1 : 0;
    for (const struct keepers_step *h = k->waiting; h; h = h->next)
        n++;
    return n;
}

static void judge_load(struct keepers *k)
{
    unsigned running = 0, held = 0;
    for (unsigned i = 0; i < k->h.slots; i++) {
        running += k->keeper[i].runs != NULL;
        held += load_of(&k->keeper[i]);
    }
    laws_load(k->laws, k->h.server, running, held, k->h.slots, k->h.ahead);
}

static bool is_held(const struct keepers *k, const struct s_step *s)
{
    for (unsigned i = 0; i < k->h.slots; i++) {
        if (k->keeper[i].runs && is_same(&k->keeper[i].runs->step, s))
            return true;
        for (const struct keepers_step *h = k->keeper[i].waiting; h; h = h->next)
            if (is_same(&h->step, s))
                return true;
    }
    return false;
}

static void take_step(struct keepers *k, struct span message)
{
    struct keepers_step *h = mem_zalloc(1, sizeof *h), **at;
    struct keepers_keeper *best = &k->keeper[0];
    struct hash hash;
    h->bytes = buf_dup(message);
    if (s_step_decode(buf_span(&h->bytes), &h->step, NULL) < 0 || is_held(k, &h->step)) {
        held_free(h);
        return;
    }
    if (was_launched(k, &h->step)) {
        /* the worker must have read that it was launched before it may ask again */
        law_break(k->laws, LAW_EXECUTED_ONCE,
                  "server %s: try %" PRIu64 " of step " SPAN_FMT " of run %s attempt %" PRIu64
                  " was launched and is requested again",
                  k->h.server, h->step.try_no, SPAN_ARG(h->step.step), world_short_id(h->step.run),
                  h->step.attempt);
        held_free(h);
        return;
    }
    envelope_hash(h->step.job, &hash);
    h->job = catalog_by_hash(k->h.catalog, &hash);
    if (k->w->chaos && world_chance(k->w, 12)) { /* one of the runner's checks */
        static const enum refusal codes[] = {REFUSAL_DENIED, REFUSAL_NO_PROXY, REFUSAL_BAD_PACKAGE};
        TRACE(k->w, k->h.server, "the runner refuses run %s", world_short_id(h->step.run));
        write_ended(k, SPOOL_RUNNER, &h->step,
                    &(struct d_step_outcome){
                        .package = PACKAGE_NOT_EXECUTED,
                        .code = codes[rng_below(&k->w->rng, sizeof codes / sizeof *codes)],
                        .message = span_str("no")});
        held_free(h);
        return;
    }
    for (unsigned i = 1; i < k->h.slots; i++)
        if (load_of(&k->keeper[i]) < load_of(best))
            best = &k->keeper[i];
    for (at = &best->waiting; *at; at = &(*at)->next)
        ;
    *at = h;
    judge_load(k);
    pump(best);
}

/* ---- Children */
static void fence_of(const struct keepers *k, const struct s_step *s, int64_t *ret_term,
                     int64_t *ret_kill)
{
    *ret_term = *ret_kill = INT64_MAX;
    if (s->on_lost != ON_LOST_RERUN)
        return;
    uint64_t own = s->lost_after_ms;
    int64_t margin = own / 2 < FENCE_MARGIN_MS ? (int64_t)(own / 2) : FENCE_MARGIN_MS;
    *ret_kill = *k->h.fence + (int64_t)own;
    *ret_term = *ret_kill - margin;
}

static int64_t now_of(const struct keepers_keeper *k)
{
    return world_boot_ms(k->all->w, &k->all->machine);
}

static void child_over(struct keepers_keeper *k, struct d_step_outcome *o)
{
    struct keepers_step *h = k->runs;
    struct world *w = k->all->w;
    TRACE(w, k->all->h.server, "child of run %s attempt %" PRIu64 " step " SPAN_FMT " ends: %s",
          world_short_id(h->step.run), h->step.attempt, SPAN_ARG(h->step.step),
          package_outcome_text(o->package));
    world_cancel(w, &k->end);
    world_cancel(w, &k->look);
    world_cancel(w, &k->progress);
    laws_child_over(k->all->laws, h->step.run, h->step.attempt, h->step.step, h->step.try_no,
                    (enum package_outcome)o->package);
    write_ended(k->all, SPOOL_KEEPERS + k->slot, &h->step, o);
    k->runs = NULL;
    if (world_chance(w, 500))
        tell_kept(k->all, k, &h->step, KEPT_GONE);
    held_free(h);
    pump(k);
}

static void on_progress(struct world *w, void *self)
{
    struct keepers_keeper *k = self;
    struct buf entry = {0};
    s_progress_encode(&(struct s_progress){.run = k->runs->step.run,
                                           .attempt = k->runs->step.attempt,
                                           .percent = rng_below(&w->rng, 101),
                                           .text = span_str("at it")},
                      &entry);
    write_entry(k->all, SPOOL_KEEPERS + k->slot, buf_span(&entry));
    buf_free(&entry);
    world_at(w, &k->progress, w->now + world_skewed(w, MS(100), SECS(20)), &k->all->machine,
             on_progress, k);
}

static void on_end(struct world *w, void *self)
{
    struct keepers_keeper *k = self;
    const struct sim_job *job = k->runs->job;
    struct d_step_outcome o = {.package = PACKAGE_SUCCEEDED, .message = span_str("done")};
    if (k->told_to_end && !world_chance(w, 100)) {
        o.package = k->cancelled ? PACKAGE_CANCELLED : PACKAGE_FAILED;
        o.cancelled = k->cancelled;
        o.timed_out = k->timed_out;
        o.signal = 15;
    } else if (job && world_chance(w, job->fails)) {
        o.package = PACKAGE_FAILED;
        o.exit_code = 4;
    }
    child_over(k, &o);
}

/* TERM now, KILL after the grace period: the child ends at some moment in between. */
static void end_tree(struct keepers_keeper *k, int64_t grace_ms, bool timed_out, bool cancelled)
{
    struct world *w = k->all->w;
    int64_t last = world_true_time(w, &k->all->machine, now_of(k) + grace_ms);
    int64_t at = world_chance(w, 600)   ? w->now + world_skewed(w, 100, MS(200))
                 : world_chance(w, 500) ? last /* deaf to TERM */
                                        : world_between(w, w->now, last);
    if (grace_ms <= 0)
        at = w->now + world_skewed(w, 100, MS(80)); /* a tree takes a moment to go */
    if (!k->told_to_end) {
        k->timed_out = timed_out;
        k->cancelled = cancelled;
    }
    k->told_to_end = true;
    if (!event_is_set(&k->end) || at < k->end.node.key)
        world_at(w, &k->end, at, &k->all->machine, on_end, k);
}

static void on_look(struct world *w, void *self)
{
    struct keepers_keeper *k = self;
    const struct s_step *s = &k->runs->step;
    int64_t term, end, now = now_of(k), next = INT64_MAX;
    fence_of(k->all, s, &term, &end);
    if (s->deadline && now >= s->deadline)
        end_tree(k, KILL_GRACE_MS, true, false);
    else if (s->deadline)
        next = s->deadline;
    if (now >= term && !k->fenced) {
        world_met(w, FAULT_FENCE);
        TRACE(w, k->all->h.server, "run %s is fenced", world_short_id(s->run));
        k->fenced = true;
        end_tree(k, end - now, false, true);
    } else if (now < term) {
        next = term < next ? term : next;
    }
    if (next != INT64_MAX) { /* the fence moves: check again when it would be due */
        int64_t at = world_true_time(w, &k->all->machine, next);
        world_at(w, &k->look, at, &k->all->machine, on_look, k);
    }
}

/* Reports that the child is about to start, then starts it. */
static void launch(struct keepers_keeper *k)
{
    struct keepers *all = k->all;
    struct keepers_step *h = k->runs;
    struct buf entry = {0};
    const struct sim_job *job = h->job;
    s_launched_encode(&(struct s_launched){.run = h->step.run,
                                           .attempt = h->step.attempt,
                                           .step = h->step.step,
                                           .try_no = h->step.try_no,
                                           .at = world_wall_ms(all->w, &all->machine),
                                           .pid = 1},
                      &entry);
    k->told_to_end = k->timed_out = k->cancelled = k->fenced = false;
    seen_add(all, &h->step);
    write_entry(all, SPOOL_KEEPERS + k->slot, buf_span(&entry));
    buf_free(&entry);
    TRACE(all->w, all->h.server, "child of run %s attempt %" PRIu64 " step " SPAN_FMT " starts",
          world_short_id(h->step.run), h->step.attempt, SPAN_ARG(h->step.step));
    laws_launched(all->laws, all->h.server, *all->h.spool_id, &h->step);
    judge_load(all);
    int64_t takes = job ? world_skewed(all->w, job->least_us, job->most_us) : MS(1);
    world_at(all->w, &k->end, all->w->now + takes, &all->machine, on_end, k);
    world_at(all->w, &k->look, all->w->now, &all->machine, on_look, k);
    if (world_chance(all->w, 300))
        world_at(all->w, &k->progress, all->w->now + world_between(all->w, 0, SECS(2)),
                 &all->machine, on_progress, k);
}

static void on_start(struct world *w, void *self)
{
    struct keepers_keeper *k = self;
    struct keepers_step *h = k->waiting;
    int64_t term, end;
    if (k->runs || !h)
        return;
    fence_of(k->all, &h->step, &term, &end);
    bool late = h->step.deadline && now_of(k) >= h->step.deadline;
    if (h->step.on_lost == ON_LOST_RERUN && (!*k->all->h.fence || now_of(k) >= term) && !late) {
        /* no broker has been heard since this machine started, or not for too long: it waits for
         * one */
        world_at(w, &k->start, w->now + MS(500), &k->all->machine, on_start, k);
        return;
    }
    k->waiting = h->next;
    h->next = NULL;
    if (late) {
        write_ended(k->all, SPOOL_KEEPERS + k->slot, &h->step,
                    &(struct d_step_outcome){
                        .package = PACKAGE_NOT_EXECUTED,
                        .code = REFUSAL_EXPIRED,
                        .message = span_str("its time was over before it could start")});
        held_free(h);
        pump(k);
        return;
    }
    k->runs = h;
    launch(k);
}

static void pump(struct keepers_keeper *k)
{
    if (!k->runs && k->waiting && !event_is_set(&k->start))
        world_at(k->all->w, &k->start, k->all->w->now + world_skewed(k->all->w, 10, MS(2)),
                 &k->all->machine, on_start, k);
}

static void take_halt(struct keepers *k, struct span message)
{
    struct s_halt m;
    if (s_halt_decode(message, &m, NULL) < 0)
        return;
    TRACE(k->w, k->h.server, "run %s attempt %" PRIu64 " is to be ended", world_short_id(m.run),
          m.attempt);
    for (unsigned i = 0; i < k->h.slots; i++) {
        struct keepers_keeper *keeper = &k->keeper[i];
        for (struct keepers_step **at = &keeper->waiting, *h; (h = *at);) {
            if (!id_eq(h->step.run, m.run) || h->step.attempt != m.attempt) {
                at = &h->next;
                continue;
            }
            *at = h->next;
            write_ended(
                k, SPOOL_KEEPERS + i, &h->step,
                &(struct d_step_outcome){.package = PACKAGE_NOT_EXECUTED,
                                         .cancelled = true,
                                         .message = span_str("cancelled before it could start")});
            held_free(h);
        }
        if (keeper->runs && id_eq(keeper->runs->step.run, m.run) &&
            keeper->runs->step.attempt == m.attempt)
            end_tree(keeper, m.force ? 0 : (int64_t)m.grace_ms, m.timed_out, !m.timed_out);
    }
}

/* ---- Faults */
void keepers_runner_crash(struct keepers *k)
{
    bool was_attached = k->attached;
    if (!k->runner)
        return;
    TRACE(k->w, k->h.server, "the runner crashes");
    world_met(k->w, FAULT_RUNNER_CRASH);
    k->runner = false;
    k->attached = false;
    k->n_seen = 0;
    runnersocket_drop(k->socket, true);
    runnersocket_drop(k->socket, false);
    if (was_attached)
        k->calls->link_down(k->self);
}

void keepers_runner_start(struct keepers *k)
{
    struct span entry;
    struct s_launched l;
    if (k->runner)
        return;
    k->runner = true;
    for (unsigned f = SPOOL_KEEPERS; f < SPOOL_FILES; f++)
        for (size_t at = 0; disk_spool_next(k->h.spool, f, &at, &entry);)
            if (s_launched_decode(entry, &l, NULL) == 0)
                seen_add(
                    k, &(struct s_step){
                           .run = l.run, .attempt = l.attempt, .step = l.step, .try_no = l.try_no});
}

bool keepers_runner_is_up(const struct keepers *k)
{
    return k->runner;
}

static void keeper_die(struct keepers_keeper *k, bool tell)
{
    struct keepers_step *h, *next;
    world_cancel(k->all->w, &k->start);
    world_cancel(k->all->w, &k->end);
    world_cancel(k->all->w, &k->look);
    world_cancel(k->all->w, &k->progress);
    if (k->runs) {
        const struct s_step *s = &k->runs->step;
        laws_child_vanished(k->all->laws, s->run, s->attempt, s->step, s->try_no);
        k->runs->next = k->waiting;
        k->waiting = k->runs;
    }
    for (h = k->waiting; h; h = next) {
        next = h->next;
        if (tell)
            tell_kept(k->all, k, &h->step, KEPT_GONE);
        held_free(h);
    }
    k->waiting = k->runs = NULL;
}

bool keepers_kill_one(struct keepers *k)
{
    unsigned at = (unsigned)rng_below(&k->w->rng, k->h.slots);
    for (unsigned i = 0; i < k->h.slots; i++) {
        struct keepers_keeper *keeper = &k->keeper[(at + i) % k->h.slots];
        if (!keeper->runs && !keeper->waiting)
            continue;
        TRACE(k->w, k->h.server, "the keeper of slot %u is killed", keeper->slot + 1);
        world_met(k->w, FAULT_KEEPER_KILL);
        keeper_die(keeper, true);
        return true;
    }
    return false;
}

void keepers_power_off(struct keepers *k)
{
    k->runner = k->attached = false;
    k->n_seen = 0;
    runnersocket_drop(k->socket, true);
    runnersocket_drop(k->socket, false);
    for (unsigned i = 0; i < KEEPERS_MAX; i++)
        keeper_die(&k->keeper[i], false);
}

unsigned keepers_children(const struct keepers *k)
{
    unsigned n = 0;
    for (unsigned i = 0; i < k->h.slots; i++)
        n += k->keeper[i].runs != NULL;
    return n;
}
