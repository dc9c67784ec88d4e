/* callernode.c - see callernode.h. */
#include "tests/sim/callernode.h"

#include <string.h>

#include "common/mem.h"
#include "tests/sim/peerline.h"

#define EXPIRES_MS (30 * INT64_C(86400000)) /* longer than any simulated time */

enum wish_state {
    WISH_OPEN,     /* no answer yet */
    WISH_ACCEPTED, /* it wants to hear of its end */
    WISH_ENDED,
    WISH_REFUSED
};

struct wish {
    struct callernode *c;
    unsigned index;
    char key[48];
    enum wish_state state;
    struct buf body, signed_call, other_body, other_call;
    struct id run;
    unsigned level;
    bool will_cancel, will_repeat, will_other; /* what it will do later */
    bool cancel, cancel_answered, force, heard_here;
    bool follow_again;
    bool busy; /* the last answer to its call; laws_stepped judges whether that was right */
    struct event later;
};

struct request { /* an operator's */
    char verb[16], target[48], how[16];
    bool answered;
};

struct callernode {
    struct world *w;
    struct laws *laws;
    const struct catalog *catalog;
    struct caller_mood mood;
    char name[32];
    struct clock_sim clock;
    struct process process;
    struct cable cable;
    struct peerline *line;
    struct event come_back;
    struct wish **wishes;
    unsigned n_wishes;
    struct request *requests;
    unsigned n_requests;
    struct buf scratch;
};

/* `req` identifies what an answer is about: which wish or request, and what was asked. */
enum { ASK_CALL, ASK_OTHER, ASK_FOLLOW, ASK_CANCEL, ASK_OPERATE, ASK_KINDS };

static uint64_t req_of(unsigned index, unsigned what)
{
    return (uint64_t)index * ASK_KINDS + what + 1;
}

/* ---- Sending */
#define SAY(c, low, ...) \
    do { \
        struct m_##low m_ = {__VA_ARGS__}; \
        buf_clear(&(c)->scratch); \
        m_##low##_encode(&m_, &(c)->scratch); \
        peerline_send((c)->line, buf_span(&(c)->scratch)); \
    } while (0)

static void say_wish(struct callernode *c, const struct wish *x)
{
    if (x->state == WISH_OPEN)
        SAY(c, call, .req = req_of(x->index, ASK_CALL), .call = buf_span(&x->signed_call),
            .follow = x->level);
    if (x->state == WISH_ACCEPTED)
        SAY(c, follow, .req = req_of(x->index, ASK_FOLLOW), .run = x->run,
            .level = x->level ? x->level : 1);
    if (x->cancel && !x->cancel_answered)
        SAY(c, cancel, .req = req_of(x->index, ASK_CANCEL), .run = x->run, .force = x->force,
            .reason = span_str("not wanted any more"));
}

static void say_request(struct callernode *c, unsigned i)
{
    const struct request *r = &c->requests[i];
    struct buf arguments = {0};
    if (r->answered)
        return;
    if (r->how[0]) {
        value_add_str(&arguments, span_str("how"));
        value_add_str(&arguments, span_str(r->how));
    }
    SAY(c, operate, .req = req_of(i, ASK_OPERATE), .verb = span_str(r->verb),
        .target = span_str(r->target), .arguments = wire_list_from(&arguments, r->how[0] != 0),
        .reason = span_str("to see"));
    buf_free(&arguments);
}

/* The other body gets today's date: whether a key has ended, and when, is not for its signer to
 * say. */
static void sign_again(struct wish *x)
{
    struct d_call d;
    struct buf body = {0};
    world_met(x->c->w, FAULT_SIGNED_AGAIN);
    if (d_call_decode(buf_span(&x->other_body), &d, NULL) < 0)
        return;
    d.expires += world_wall_ms(x->c->w, &x->c->process) - d.issued_at;
    d.issued_at = world_wall_ms(x->c->w, &x->c->process);
    buf_clear(&x->other_call);
    catalog_write_call(&d, &body, &x->other_call);
    buf_free(&x->other_body);
    x->other_body = body;
}

static void on_later(struct world *w, void *self);

static void set_later(struct wish *x, int64_t most)
{
    struct world *w = x->c->w;
    world_at(w, &x->later, w->now + world_skewed(w, MS(1), most), &x->c->process, on_later, x);
}

/* Does one of the things it has put off, if that is still possible. */
static void on_later(struct world *w, void *self)
{
    struct wish *x = self;
    struct callernode *c = x->c;
    if (x->follow_again && peerline_is_up(c->line)) {
        x->follow_again = false;
        say_wish(c, x);
    } else if (!c->process.up || !peerline_is_up(c->line) ||
               (x->state != WISH_ACCEPTED && x->state != WISH_ENDED)) {
        if (x->state == WISH_OPEN && peerline_is_up(c->line))
            say_wish(c, x);
        else if (w->chaos && x->state != WISH_REFUSED)
            set_later(x, SECS(5));
    } else if (x->will_repeat) {
        x->will_repeat = false;
        world_met(w, FAULT_SAME_KEY);
        SAY(c, call, .req = req_of(x->index, ASK_CALL), .call = buf_span(&x->signed_call),
            .follow = x->level);
        set_later(x, SECS(20));
    } else if (x->will_other) {
        x->will_other = false;
        world_met(w, FAULT_OTHER_BODY);
        if (world_chance(w, 500))
            sign_again(x);
        SAY(c, call, .req = req_of(x->index, ASK_OTHER), .call = buf_span(&x->other_call));
        set_later(x, SECS(20));
    } else if (x->will_cancel) {
        x->will_cancel = false;
        x->cancel = true;
        world_met(w, FAULT_CANCEL);
        say_wish(c, x);
    }
    peerline_flush(c->line);
}

/* ---- Wishing */
static const struct sim_job *some_job(struct callernode *c)
{
    static const unsigned weights[CATALOG_JOBS] = {30, 15, 15, 16, 6, 12, 6};
    unsigned at = (unsigned)rng_below(&c->w->rng, 100), i = 0;
    while (i < CATALOG_JOBS - 1 && at >= weights[i])
        at -= weights[i++];
    return &c->catalog->jobs[i];
}

static const char *some_address(struct callernode *c)
{
    if (world_chance(c->w, 400))
        return "all";
    if (world_chance(c->w, 400))
        return sim_pools[rng_below(&c->w->rng, CATALOG_POOLS)];
    return c->mood.servers[rng_below(&c->w->rng, c->mood.n_servers)];
}

static void fill_call(struct callernode *c, struct wish *x, bool quick, struct d_call *d)
{
    struct world *w = c->w;
    bool heavy = !quick && world_chance(w, c->mood.heavy);
    const struct sim_job *job = quick   ? &c->catalog->jobs[0]
                                : heavy ? &c->catalog->jobs[world_chance(w, 500) ? 3 : 5]
                                        : some_job(c);
    *d = (struct d_call){.cluster = span_str(SIM_CLUSTER),
                         .caller = span_str(c->name),
                         .key = span_str(x->key),
                         .job = span_str(job->name),
                         .address = span_str(quick ? "all" : some_address(c)),
                         .on_lost = rng_below(&w->rng, ON_LOST_COUNT),
                         .priority = rng_below(&w->rng, 10),
                         .issued_at = world_wall_ms(w, &c->process)};
    if (heavy)
        d->on_lost = world_chance(w, 600) ? ON_LOST_RERUN : ON_LOST_HOLD;
    d->pin_latest = world_chance(w, 300);
    if (!d->pin_latest)
        d->job_hash = job->hash;
    if (world_chance(w, 300))
        d->lost_after_ms = (uint64_t)world_between(w, 20000, 60000);
    if (world_chance(w, 250) || !strcmp(job->name, "ghost"))
        d->start_within_ms = (uint64_t)world_between(w, 10000, 120000);
    if (!strcmp(job->name, "ghost") && world_chance(w, 300))
        d->start_within_ms = 0; /* it stays parked and says why */
    if (world_chance(w, 200))
        d->timeout_ms = (uint64_t)world_between(w, 200, 20000);
    d->expires =
        d->issued_at + (world_chance(w, 150) ? world_between(w, 5000, 120000) : EXPIRES_MS);
}

void callernode_call(struct callernode *c, bool quick)
{
    struct wish *x = mem_zalloc(1, sizeof *x);
    struct d_call d;
    if (!c->process.up) {
        mem_free(&x);
        return;
    }
    x->c = c;
    x->index = c->n_wishes;
    snprintf(x->key, sizeof x->key, "%s/%u", c->name, c->n_wishes);
    fill_call(c, x, quick, &d);
    catalog_write_call(&d, &x->body, &x->signed_call);
    d.priority = (d.priority + 1) % 10;
    catalog_write_call(&d, &x->other_body, &x->other_call);
    x->level = world_chance(c->w, c->mood.follows) ? 2 : (unsigned)rng_below(&c->w->rng, 2);
    x->will_cancel = world_chance(c->w, c->mood.cancels);
    x->will_repeat = world_chance(c->w, c->mood.repeats);
    x->will_other = world_chance(c->w, c->mood.others);
    x->force = world_chance(c->w, 200);
    c->wishes = mem_realloc(c->wishes, c->n_wishes + 1, sizeof *c->wishes);
    c->wishes[c->n_wishes++] = x;
    TRACE(c->w, c->name, "calls %s of " SPAN_FMT " at " SPAN_FMT ", on_lost %s%s", x->key,
          SPAN_ARG(d.job), SPAN_ARG(d.address), on_lost_text(d.on_lost),
          x->will_cancel ? ", and will cancel it" : "");
    say_wish(c, x);
    peerline_flush(c->line);
    if (x->will_cancel || x->will_repeat || x->will_other)
        set_later(x, world_chance(c->w, 500) ? MS(400) : SECS(40));
}

void callernode_operate(struct callernode *c, const char *verb, const char *target, const char *how)
{
    c->requests = mem_realloc(c->requests, c->n_requests + 1, sizeof *c->requests);
    struct request *r = &c->requests[c->n_requests++];
    memset(r, 0, sizeof *r);
    snprintf(r->verb, sizeof r->verb, "%s", verb);
    snprintf(r->target, sizeof r->target, "%s", target);
    snprintf(r->how, sizeof r->how, "%s", how);
    TRACE(c->w, c->name, "%s %s %s", verb, target, how);
    if (!c->process.up)
        return; /* its next session sends it */
    say_request(c, c->n_requests - 1);
    peerline_flush(c->line);
}

/* ---- Hearing */
static struct wish *wish_of_run(struct callernode *c, struct id run)
{
    for (unsigned i = 0; i < c->n_wishes; i++)
        if (id_eq(c->wishes[i]->run, run))
            return c->wishes[i];
    return NULL;
}

static void hear_accepted(struct callernode *c, const struct m_accepted *m)
{
    unsigned index = (unsigned)((m->req - 1) / ASK_KINDS),
             what = (unsigned)((m->req - 1) % ASK_KINDS);
    struct wish *x = index < c->n_wishes ? c->wishes[index] : NULL;
    if (!x)
        return;
    TRACE(c->w, c->name, "%s is accepted as run %s%s", x->key, world_short_id(m->run),
          m->duplicate ? " (known)" : "");
    laws_accepted(c->laws, c->name, x->key, buf_span(what == ASK_OTHER ? &x->other_body : &x->body),
                  m->run);
    if (x->state != WISH_OPEN)
        return;
    x->run = m->run;
    x->state = WISH_ACCEPTED;
    if (!x->level)
        say_wish(c, x);
}

static void hear_ended(struct callernode *c, const struct m_run_ended *m)
{
    struct wish *x = wish_of_run(c, m->run);
    laws_ended(c->laws, m->run, m->attempt, m->outcome);
    if (!x)
        return; /* its ACCEPTED is lost: the next session asks again */
    TRACE(c->w, c->name, "run %s has ended", world_short_id(m->run));
    x->heard_here = true;
    if (x->state == WISH_ACCEPTED)
        x->state = WISH_ENDED;
}

static void hear_state(struct callernode *c, const struct m_run_state *m)
{
    const struct wish *x = wish_of_run(c, m->run);
    TRACE(c->w, c->name, "run %s is %s", world_short_id(m->run), run_state_text(m->state));
    laws_state_heard(c->laws, m->run, m->state, x && x->heard_here);
}

static void try_later(struct wish *x, const struct m_error *busy)
{
    struct world *w = x->c->w;
    world_at(w, &x->later, w->now + MS((int64_t)busy->retry_ms) + world_between(w, 0, MS(500)),
             &x->c->process, on_later, x);
}

static void refused_call(struct callernode *c, struct wish *x, bool other, const struct m_error *m)
{
    if (m->code == REFUSAL_CONFLICT) {
        laws_conflict(c->laws, c->name, x->key, buf_span(other ? &x->other_body : &x->body));
        if (!other && x->state == WISH_OPEN)
            x->state = WISH_REFUSED;
    } else if (!other && x->state == WISH_OPEN && m->code == REFUSAL_BUSY) {
        x->busy = true;
        try_later(x, m);
    } else if (!other && x->state == WISH_OPEN) {
        x->state = WISH_REFUSED;
    } else if (x->state == WISH_ACCEPTED || x->state == WISH_ENDED) {
        /* a known key is checked before anything else */
        laws_unknown(c->laws, x->run);
    }
}

static void hear_error(struct callernode *c, const struct m_error *m)
{
    unsigned index = (unsigned)((m->req - 1) / ASK_KINDS),
             what = (unsigned)((m->req - 1) % ASK_KINDS);
    TRACE(c->w, c->name, "is refused: %s: " SPAN_FMT, refusal_word(m->code), SPAN_ARG(m->text));
    if (!m->req)
        return;
    if (what == ASK_OPERATE) {
        if (index < c->n_requests)
            c->requests[index].answered = true;
        return;
    }
    struct wish *x = index < c->n_wishes ? c->wishes[index] : NULL;
    if (!x)
        return;
    if (what == ASK_CALL || what == ASK_OTHER) {
        refused_call(c, x, what == ASK_OTHER, m);
    } else if (what == ASK_FOLLOW && m->code == REFUSAL_BUSY) {
        x->follow_again = true;
        try_later(x, m);
    } else if (what == ASK_FOLLOW) {
        laws_unknown(c->laws, x->run);
    } else { /* CANCEL is refused for a run that has ended and left the broker's memory */
        x->cancel_answered = true;
        if (!laws_ended_durably(c->laws, x->run))
            laws_unknown(c->laws, x->run);
    }
}

static void hear_done(struct callernode *c, const struct m_done *m)
{
    unsigned index = (unsigned)((m->req - 1) / ASK_KINDS),
             what = (unsigned)((m->req - 1) % ASK_KINDS);
    if (what == ASK_OPERATE && index < c->n_requests) {
        c->requests[index].answered = true;
    } else if (what == ASK_CANCEL && index < c->n_wishes) {
        c->wishes[index]->cancel_answered = true;
        laws_cancelled(c->laws, c->wishes[index]->run);
    }
}

static void on_message(void *self, uint64_t kind, struct span message)
{
    struct callernode *c = self;
    switch (kind) {
#define ONE(UP, low, hear) \
    case KIND_M_##UP: { \
        struct m_##low m; \
        if (m_##low##_decode(message, &m, NULL) == 0) \
            hear(c, &m); \
        break; \
    }
        ONE(ACCEPTED, accepted, hear_accepted)
        ONE(RUN_STATE, run_state, hear_state)
        ONE(RUN_ENDED, run_ended, hear_ended)
        ONE(ERROR, error, hear_error)
        ONE(DONE, done, hear_done)
#undef ONE
    }
}

static void on_up(void *self, struct span welcome)
{
    struct callernode *c = self;
    (void)welcome;
    TRACE(c->w, c->name, "session is open");
    for (unsigned i = 0; i < c->n_wishes; i++) {
        c->wishes[i]->heard_here = false;
        say_wish(c, c->wishes[i]);
    }
    for (unsigned i = 0; i < c->n_requests; i++)
        say_request(c, i);
}

static const struct peerline_calls peerline_calls = {.up = on_up, .message = on_message};

/* ---- Life */
struct callernode *callernode_new(struct world *w, struct network *n, struct laws *l,
                                  const struct catalog *c, const char *name,
                                  const struct caller_mood *mood)
{
    struct callernode *x = mem_zalloc(1, sizeof *x);
    x->w = w;
    x->laws = l;
    x->catalog = c;
    x->mood = *mood;
    snprintf(x->name, sizeof x->name, "%s", name);
    x->cable.name = x->name;
    process_init_machine(w, &x->process, name, &x->clock, WALL_OFF_MS);
    x->line = peerline_new(w, n, &x->cable, &x->process, &peerline_calls, x);
    return x;
}

void callernode_free(struct callernode **pc)
{
    struct callernode *c = *pc;
    if (!c)
        return;
    for (unsigned i = 0; i < c->n_wishes; i++) {
        struct wish *x = c->wishes[i];
        world_cancel(c->w, &x->later);
        buf_free(&x->body);
        buf_free(&x->signed_call);
        buf_free(&x->other_body);
        buf_free(&x->other_call);
        mem_free(&x);
    }
    world_cancel(c->w, &c->come_back);
    peerline_free(&c->line);
    mem_free(&c->wishes);
    mem_free(&c->requests);
    buf_free(&c->scratch);
    mem_free(pc);
}

void callernode_start(struct callernode *c)
{
    c->process.up = true;
    peerline_start(c->line);
}

static void on_come_back(struct world *w, void *self)
{
    struct callernode *c = self;
    TRACE(w, c->name, "starts again");
    for (unsigned i = 0; i < c->n_wishes; i++) {
        struct wish *x = c->wishes[i];
        if (x->state == WISH_ENDED && world_chance(w, 300))
            x->state = WISH_ACCEPTED; /* it has forgotten that it heard of the end */
        else if (x->state == WISH_ACCEPTED && world_chance(w, 300))
            x->state = WISH_OPEN; /* it has forgotten the answer; the key still finds it */
    }
    callernode_start(c);
}

void callernode_crash(struct callernode *c, int64_t for_us)
{
    if (!c->process.up)
        return;
    TRACE(c->w, c->name, "crashes");
    world_met(c->w, FAULT_CALLER_CRASH);
    process_die(&c->process);
    peerline_down(c->line);
    world_at(c->w, &c->come_back, c->w->now + for_us, NULL, on_come_back, c);
}

void callernode_pause(struct callernode *c, int64_t for_us)
{
    process_stop(c->w, &c->process, FAULT_CALLER_PAUSE, "is stopped", for_us);
}

struct cable *callernode_cable(struct callernode *c)
{
    return &c->cable;
}

bool callernode_is_owed(const struct callernode *c, callernode_excused *excused, void *self,
                        const char **ret_why, struct id *ret_run)
{
    for (unsigned i = 0; i < c->n_wishes; i++) {
        const struct wish *x = c->wishes[i];
        bool open = x->state == WISH_OPEN && !x->busy,
             unheard = x->state == WISH_ACCEPTED && !excused(self, x->run);
        bool uncancelled = x->cancel && !x->cancel_answered;
        if (!open && !unheard && !uncancelled)
            continue;
        *ret_why = open      ? "an answer to its call"
                   : unheard ? "the end of its run"
                             : "an answer to its cancel";
        *ret_run = x->run;
        return true;
    }
    return false;
}
