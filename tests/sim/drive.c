/* drive.c - see drive.h. */
#include "tests/sim/drive.h"

#include <inttypes.h>
#include <string.h>

#include "common/mem.h"

enum { HELD_RETRY_MS = 1000 /* see parent/begin.c */ };

/* `req` identifies what an answer is about: plan, task, instance, and what was asked. */
enum { ASK_BEGIN, ASK_DRIVE, ASK_END, ASK_RESOLVE, ASK_CALL, ASK_FOLLOW, ASK_CANCEL, ASK_KINDS };

static uint64_t req_of(const struct drive *d, uint32_t task, uint32_t index, unsigned what)
{
    return (((uint64_t)d->plan->index * PLAN_TASKS + task) * PLAN_COUNT + index) * ASK_KINDS +
           what + 1;
}

/* False: it belongs to another parent. */
static bool req_is(const struct drive *d, uint64_t req, uint32_t *ret_task, uint32_t *ret_index,
                   unsigned *ret_what)
{
    uint64_t n = req - 1;
    *ret_what = (unsigned)(n % ASK_KINDS);
    *ret_index = (uint32_t)(n / ASK_KINDS % PLAN_COUNT);
    *ret_task = (uint32_t)(n / ASK_KINDS / PLAN_COUNT % PLAN_TASKS);
    return req && n / ASK_KINDS / PLAN_COUNT / PLAN_TASKS == d->plan->index &&
           *ret_task < d->plan->graph.n;
}

/* ---- Sending */
#define SAY(d, low, ...) \
    do { \
        struct m_##low m_ = {__VA_ARGS__}; \
        buf_clear(&(d)->scratch); \
        m_##low##_encode(&m_, &(d)->scratch); \
        peerline_send((d)->node->line, buf_span(&(d)->scratch)); \
    } while (0)

static void say_begin(struct drive *d)
{
    SAY(d, parent_begin, .req = req_of(d, 0, 0, ASK_BEGIN),
        .parent = buf_span(&d->plan->signed_parent));
}

static void say_drive(struct drive *d)
{
    SAY(d, parent_drive, .req = req_of(d, 0, 0, ASK_DRIVE), .parent = d->run);
}

static void say_end(struct drive *d)
{
    SAY(d, parent_end, .req = req_of(d, 0, 0, ASK_END), .parent = d->run, .epoch = d->epoch,
        .status = d->verdict, .report = span_str("{}"));
}

static void say_resolve(struct drive *d, uint32_t task)
{
    const struct graph_task *g = &d->plan->graph.tasks[task];
    SAY(d, resolve, .req = req_of(d, task, 0, ASK_RESOLVE), .job = span_str(g->job),
        .address = span_str(g->address));
}

static void say_flight(struct drive *d, uint32_t task, uint32_t index)
{
    const struct flight *f = &d->flights[task][index];
    if (f->state == FLIGHT_ASKED)
        SAY(d, call, .req = req_of(d, task, index, ASK_CALL), .call = buf_span(&f->signed_call),
            .follow = 2);
    if (f->state == FLIGHT_ACCEPTED)
        SAY(d, follow, .req = req_of(d, task, index, ASK_FOLLOW), .run = f->run, .level = 2);
    if (f->state == FLIGHT_ACCEPTED && f->cancel)
        SAY(d, cancel, .req = req_of(d, task, index, ASK_CANCEL), .run = f->run,
            .reason = span_str("its parent was interrupted"));
}

void drive_session(struct drive *d)
{
    switch (d->state) {
    case DRIVE_BEGINS:
        say_begin(d);
        break;
    case DRIVE_WAITS:
        say_drive(d);
        break;
    case DRIVE_GOES:
        say_drive(d); /* the lease of the old session has ended */
        for (uint32_t t = 0; t < d->plan->graph.n; t++) {
            if (d->resolving[t])
                say_resolve(d, t);
            for (uint32_t i = 0; i < PLAN_COUNT; i++)
                say_flight(d, t, i);
        }
        break;
    case DRIVE_ENDS:
        say_end(d);
        break;
    case DRIVE_OVER:
        break;
    }
}

static void on_later(struct world *w, void *self)
{
    struct drive *d = self;
    (void)w;
    if (!peerline_is_up(d->node->line))
        return; /* the next session sends it */
    if (d->state == DRIVE_ENDS)
        say_drive(d);
    else
        drive_session(d);
    peerline_flush(d->node->line);
}

static void set_later(struct drive *d, int64_t ms)
{
    struct world *w = d->node->w;
    world_at(w, &d->later, w->now + MS(ms) + world_between(w, 0, MS(500)), &d->node->process,
             on_later, d);
}

/* ---- The core */
static void call(struct drive *d, const struct pcore_effect *e)
{
    struct flight *f = &d->flights[e->task][e->index];
    plan_call(d->plan, d->node->name, d->run, e->task, e->index, e->key, e->address, &e->job_hash,
              &e->parameters, &f->body, &f->signed_call);
    f->state = FLIGHT_ASKED;
    const struct graph_task *g = &d->plan->graph.tasks[e->task];
    TRACE(d->node->w, d->node->process.name, "calls %s/%u of %s: %s at %s, on_lost %s", g->name,
          (unsigned)e->index, d->plan->key, g->job, g->address, on_lost_text(g->on_lost));
    say_flight(d, e->task, e->index);
}

static void act(struct drive *d, const struct pcore_effect *e)
{
    struct world *w = d->node->w;
    switch (e->kind) {
    case PCORE_FX_RESOLVE:
        d->resolving[e->task] = true;
        say_resolve(d, e->task);
        break;
    case PCORE_FX_CALL:
        call(d, e);
        break;
    case PCORE_FX_CANCEL:
        d->flights[e->task][e->index].cancel = true;
        say_flight(d, e->task, e->index);
        break;
    case PCORE_FX_END:
        TRACE(w, d->node->process.name, "%s is over: %s", d->plan->key, status_text(e->verdict));
        d->state = DRIVE_ENDS;
        d->verdict = e->verdict;
        say_end(d);
        break;
    case PCORE_FX_CHILD:
        break;
    case PCORE_FX_SKIPPED:
        world_met(w, FAULT_TASK_SKIPPED);
        break;
    }
}

static void feed(struct drive *d, struct pcore_event ev)
{
    if (d->state != DRIVE_GOES)
        return;
    ev.now = world_wall_ms(d->node->w, &d->node->process);
    pcore_step(d->core, &ev, &d->out);
    for (uint32_t i = 0; i < d->out.n_effects; i++)
        act(d, &d->out.effects[i]);
}

void drive_cancel(struct drive *d)
{
    TRACE(d->node->w, d->node->process.name, "%s is cancelled", d->plan->key);
    world_met(d->node->w, FAULT_PARENT_CANCEL);
    laws_parent_cancel(d->node->laws, d->run);
    feed(d, (struct pcore_event){.kind = PCORE_CANCEL, .text = "enough"});
}

/* ---- Hearing: of the parent */
static void over(struct drive *d, const char *why)
{
    TRACE(d->node->w, d->node->process.name, "%s: %s", d->plan->key, why);
    d->state = DRIVE_OVER;
    world_cancel(d->node->w, &d->later);
}

static void hear_begun(struct drive *d, const struct m_accepted *m)
{
    laws_parent_accepted(d->node->laws, d->node->name, d->plan->key, m->run);
    if (d->state != DRIVE_BEGINS)
        return;
    d->run = m->run;
    d->state = DRIVE_WAITS;
    say_drive(d);
}

static void hear_driving(struct drive *d, const struct m_driving *m)
{
    struct world *w = d->node->w;
    laws_driving(d->node->laws, m->parent, m->epoch, d->node->process.name);
    TRACE(w, d->node->process.name, "drives %s with epoch %" PRIu64, d->plan->key, m->epoch);
    if (d->plan->driver && d->plan->driver != d->node)
        world_met(w, FAULT_DRIVER_REPLACED);
    d->plan->driver = d->node;
    d->epoch = m->epoch;
    if (d->state == DRIVE_WAITS) {
        d->core = pcore_new(&(struct pcore_config){.parent = d->run,
                                                   .graph = &d->plan->graph,
                                                   .in_flight = (unsigned)world_between(w, 2, 12)});
        d->state = DRIVE_GOES;
        feed(d, (struct pcore_event){.kind = PCORE_BEGIN});
    } else if (d->state == DRIVE_ENDS) {
        say_end(d);
    }
}

static void refused_parent(struct drive *d, unsigned what, const struct m_error *m)
{
    if (m->code == REFUSAL_BUSY) {
        set_later(d, (int64_t)m->retry_ms);
    } else if (what == ASK_BEGIN) {
        law_break(d->node->laws, LAW_ONE_RUN_FOR_A_KEY, "parent '%s' is refused: " SPAN_FMT,
                  d->plan->key, SPAN_ARG(m->text));
    } else if (m->code == REFUSAL_HELD_BY_OTHER) {
        world_met(d->node->w, what == ASK_END ? FAULT_OLD_EPOCH : FAULT_LEASE_HELD);
        if (what == ASK_END && d->state == DRIVE_ENDS)
            say_drive(d);
        else if (d->state == DRIVE_ENDS || d->state == DRIVE_WAITS)
            set_later(d, HELD_RETRY_MS);
    } else if (d->state != DRIVE_BEGINS) { /* it is no longer live */
        laws_parent_gone(d->node->laws, d->run);
        over(d, "has ended already");
    }
}

static void hear_end(struct drive *d, const struct m_done *m)
{
    if (d->state != DRIVE_ENDS)
        return;
    laws_parent_end_heard(d->node->laws, d->run, d->epoch, d->verdict, m->text.n != 0);
    over(d, "its end is recorded");
}

/* ---- Hearing: of children */
static struct flight *flight_of(struct drive *d, struct id run, uint32_t *ret_task,
                                uint32_t *ret_index)
{
    for (uint32_t t = 0; t < d->plan->graph.n; t++)
        for (uint32_t i = 0; i < PLAN_COUNT; i++)
            if (d->flights[t][i].state >= FLIGHT_ACCEPTED && id_eq(d->flights[t][i].run, run)) {
                *ret_task = t;
                *ret_index = i;
                return &d->flights[t][i];
            }
    return NULL;
}

static void hear_accepted(struct drive *d, uint32_t task, uint32_t index, struct id run)
{
    struct flight *f = &d->flights[task][index];
    const struct graph_task *g = &d->plan->graph.tasks[task];
    char key[LIMIT_KEY + 1], parent[ID_TEXT];
    snprintf(key, sizeof key, "%s/%s/%u/1", id_format(d->run, parent), g->name, (unsigned)index);
    laws_accepted(d->node->laws, d->node->name, key, buf_span(&f->body), run);
    if (f->state != FLIGHT_ASKED)
        return;
    f->state = FLIGHT_ACCEPTED;
    f->run = run;
    TRACE(d->node->w, d->node->process.name, "%s/%u of %s is run %s", g->name, (unsigned)index,
          d->plan->key, world_short_id(run));
    feed(d, (struct pcore_event){
                .kind = PCORE_RUN, .task = task, .index = index, .run = run, .state = RUN_WAITING});
}

static void hear_state(struct drive *d, const struct m_run_state *m)
{
    struct pcore_event ev = {
        .kind = PCORE_RUN, .run = m->run, .attempt = m->attempt, .state = (enum run_state)m->state};
    const struct flight *f = flight_of(d, m->run, &ev.task, &ev.index);
    if (f && f->state == FLIGHT_ACCEPTED)
        feed(d, ev);
}

static void hear_ended(struct drive *d, const struct m_run_ended *m)
{
    struct d_outcome outcome;
    struct pcore_event ev = {
        .kind = PCORE_ENDED, .run = m->run, .attempt = m->attempt, .outcome = &outcome};
    struct flight *f = flight_of(d, m->run, &ev.task, &ev.index);
    if (!f)
        return;
    laws_ended(d->node->laws, m->run, m->attempt, m->outcome);
    if (f->state != FLIGHT_ACCEPTED || d_outcome_decode(m->outcome, &outcome, NULL) < 0)
        return;
    f->state = FLIGHT_ENDED;
    feed(d, ev);
}

/* Whatever the answer, even none, it calls what the plan has pinned. */
static void hear_resolved(struct drive *d, uint32_t task)
{
    if (!d->resolving[task])
        return;
    d->resolving[task] = false;
    feed(d,
         (struct pcore_event){
             .kind = PCORE_RESOLVED, .task = task, .found = true, .job_hash = d->plan->pins[task]});
}

static void refused_child(struct drive *d, uint32_t task, uint32_t index, unsigned what,
                          const struct m_error *m)
{
    struct flight *f = &d->flights[task][index];
    if (m->code == REFUSAL_BUSY) {
        set_later(d, (int64_t)m->retry_ms);
    } else if (what == ASK_CALL && m->code == REFUSAL_HELD_BY_OTHER) {
        set_later(d, HELD_RETRY_MS);
    } else if (what == ASK_CALL && m->code == REFUSAL_DENIED) { /* its parent is no longer live */
        laws_parent_gone(d->node->laws, d->run);
        over(d, "has ended already");
    } else if (what == ASK_RESOLVE) {
        hear_resolved(d, task);
    } else if (what == ASK_CALL) {
        law_break(d->node->laws, LAW_ONE_CALL_FOR_AN_INSTANCE, "%s/%u of %s is refused: " SPAN_FMT,
                  d->plan->graph.tasks[task].name, (unsigned)index, d->plan->key,
                  SPAN_ARG(m->text));
    } else if (what == ASK_FOLLOW || !laws_ended_durably(d->node->laws, f->run)) {
        laws_unknown(d->node->laws, f->run);
    }
}

static void hear_error(struct drive *d, const struct m_error *m)
{
    uint32_t task, index;
    unsigned what;
    if (!req_is(d, m->req, &task, &index, &what) || d->state == DRIVE_OVER)
        return;
    TRACE(d->node->w, d->node->process.name, "is refused: %s: " SPAN_FMT, refusal_word(m->code),
          SPAN_ARG(m->text));
    if (what <= ASK_END)
        refused_parent(d, what, m);
    else
        refused_child(d, task, index, what, m);
}

void drive_hear(struct drive *d, uint64_t kind, struct span message)
{
    union {
        struct m_accepted accepted;
        struct m_driving driving;
        struct m_resolved resolved;
        struct m_run_state state;
        struct m_run_ended ended;
        struct m_done done;
        struct m_error error;
    } m;
    uint32_t task, index;
    unsigned what;
    if (kind == KIND_M_ACCEPTED && m_accepted_decode(message, &m.accepted, NULL) == 0 &&
        req_is(d, m.accepted.req, &task, &index, &what)) {
        if (what == ASK_BEGIN)
            hear_begun(d, &m.accepted);
        else
            hear_accepted(d, task, index, m.accepted.run);
    } else if (kind == KIND_M_DRIVING && m_driving_decode(message, &m.driving, NULL) == 0) {
        if (req_is(d, m.driving.req, &task, &index, &what))
            hear_driving(d, &m.driving);
    } else if (kind == KIND_M_RESOLVED && m_resolved_decode(message, &m.resolved, NULL) == 0) {
        if (req_is(d, m.resolved.req, &task, &index, &what))
            hear_resolved(d, task);
    } else if (kind == KIND_M_RUN_STATE && m_run_state_decode(message, &m.state, NULL) == 0) {
        hear_state(d, &m.state);
    } else if (kind == KIND_M_RUN_ENDED && m_run_ended_decode(message, &m.ended, NULL) == 0) {
        hear_ended(d, &m.ended);
    } else if (kind == KIND_M_DONE && m_done_decode(message, &m.done, NULL) == 0) {
        if (req_is(d, m.done.req, &task, &index, &what) && what == ASK_END)
            hear_end(d, &m.done);
    } else if (kind == KIND_M_ERROR && m_error_decode(message, &m.error, NULL) == 0) {
        hear_error(d, &m.error);
    }
}

/* ---- Life */
struct drive *drive_new(struct drivernode *node, struct sim_plan *plan)
{
    struct drive *d = mem_zalloc(1, sizeof *d);
    d->node = node;
    d->plan = plan;
    return d;
}

void drive_stop(struct drive *d)
{
    world_cancel(d->node->w, &d->later);
}

void drive_free(struct drive **pd)
{
    struct drive *d = *pd;
    drive_stop(d);
    for (uint32_t t = 0; t < PLAN_TASKS; t++)
        for (uint32_t i = 0; i < PLAN_COUNT; i++) {
            buf_free(&d->flights[t][i].body);
            buf_free(&d->flights[t][i].signed_call);
        }
    pcore_free(&d->core);
    pcore_out_free(&d->out);
    buf_free(&d->scratch);
    mem_free(pd);
}

bool drive_is_going(const struct drive *d)
{
    return d->state == DRIVE_GOES;
}

bool drive_is_over(const struct drive *d)
{
    return d->state == DRIVE_OVER;
}
