/* readers.c - see readers.h. */
#include "broker/logs/readersinside.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "broker/logs/logs.h"
#include "broker/shell/ask.h"
#include "common/clock.h"

/* ---- Who is next */
static void on_work(struct loop *loop, struct loop_timer *t, void *arg);

static void make_ready(struct readers *rs, struct reader *r)
{
    struct readers_owner *o = r->owner;
    if (r->ready || r->judging)
        return;
    r->ready = true;
    r->blocked = false;
    o->ready++;
    if (!o->queued)
        TAILQ_INSERT_TAIL(&rs->turns, o, turn);
    o->queued = true;
    if (!loop_timer_is_set(&rs->work))
        loop_timer_set(rs->shell->loop, &rs->work, "log readers", loop_now(rs->shell->loop),
                       on_work, rs);
}

static void make_idle(struct readers *rs, struct reader *r)
{
    struct readers_owner *o = r->owner;
    if (!r->ready)
        return;
    r->ready = false;
    if (--o->ready == 0 && o->queued) {
        TAILQ_REMOVE(&rs->turns, o, turn);
        o->queued = false;
    }
}

static struct reader *reader_new(struct readers *rs, const struct shell_peer *p,
                                 const struct m_logs *m)
{
    struct reader *r = mem_zalloc(1, sizeof *r);
    HASH_FIND(hh, rs->owners, &p->key, sizeof p->key, r->owner);
    if (!r->owner) {
        r->owner = mem_zalloc(1, sizeof *r->owner);
        r->owner->key = p->key;
        TAILQ_INIT(&r->owner->readers);
        HASH_ADD(hh, rs->owners, key, sizeof r->owner->key, r->owner);
    }
    HASH_FIND(hh, rs->runs, &m->run, sizeof m->run, r->watched);
    if (!r->watched) {
        r->watched = mem_zalloc(1, sizeof *r->watched);
        r->watched->run = m->run;
        LIST_INIT(&r->watched->readers);
        HASH_ADD(hh, rs->runs, run, sizeof r->watched->run, r->watched);
    }
    TAILQ_INSERT_TAIL(&r->owner->readers, r, turn);
    LIST_INSERT_HEAD(&r->watched->readers, r, watch);
    r->of = rs;
    r->peer = p->handle;
    r->req = m->req;
    r->run = m->run;
    r->after = m->after;
    r->follow = m->follow;
    span_copy_str(m->step, r->step, sizeof r->step);
    rs->n++;
    return r;
}

static void reader_free(struct readers *rs, struct reader *r)
{
    struct readers_owner *o = r->owner;
    struct readers_run *watched = r->watched;
    make_idle(rs, r);
    if (r->asked)
        store_forget(rs->shell->store, r->asked);
    budgets_give(rs->shell->budgets, &o->key, BUDGET_LOG_READERS, 1);
    TAILQ_REMOVE(&o->readers, r, turn);
    LIST_REMOVE(r, watch);
    mem_free(&r);
    rs->n--;
    if (TAILQ_EMPTY(&o->readers)) {
        HASH_DEL(rs->owners, o);
        mem_free(&o);
    }
    if (LIST_EMPTY(&watched->readers)) {
        HASH_DEL(rs->runs, watched);
        mem_free(&watched);
    }
}

/* Calls `visit` for each reader; it may free that one. */
static void each(struct readers *rs, void (*visit)(struct readers *, struct reader *, uint64_t),
                 uint64_t what)
{
    struct readers_owner *o, *next_owner;
    HASH_ITER (hh, rs->owners, o, next_owner)
        for (struct reader *r = TAILQ_FIRST(&o->readers), *next; r; r = next) {
            next = TAILQ_NEXT(r, turn); /* its owner goes with the last */
            visit(rs, r, what);
        }
}

/* ---- Pages */
static bool has_all(struct readers *rs, const struct reader *r)
{
    return !r->follow || (r->over && (loop_now(rs->shell->loop) >= r->deadline ||
                                      logfile_reached(rs->file, &r->run) >= r->expected));
}

/* "output of etl1 up to 2026-11-21T09:13:55.012Z was dropped: ...", once for each reader. */
static void say_dropped(struct readers *rs, struct reader *r, struct buf *text)
{
    struct logfile_loss loss;
    struct view_run run;
    char until[CLOCK_TEXT];
    if (r->told)
        return;
    r->told = true;
    if (!*r->server && view_run(rs->shell->core, &r->run, &run) && run.server)
        snprintf(r->server, sizeof r->server, "%s", run.server);
    if (*r->server && logfile_loss(rs->file, r->server, &loss))
        buf_printf(text, "output of %s up to %s was dropped: %s", r->server,
                   clock_format(loss.until, until), logfile_cause_text(loss.cause));
}

/* Sends a page. True: the reader has advanced. */
static bool send_page(struct readers *rs, struct reader *r, bool *ret_end)
{
    struct buf items = {0};
    struct error err = {0};
    uint64_t next;
    int n = logfile_read(rs->file, &r->run, span_str(r->step), r->after, LOGS_PAGE, &items, &next,
                         &err);
    bool moved = n > 0 || next != r->after;
    *ret_end = n < 0 || (!moved && has_all(rs, r));
    if (n < 0)
        shell_error(rs->shell, r->peer, r->req, REFUSAL_INTERNAL, "%s", err.text);
    if (n > 0 || (n == 0 && *ret_end)) {
        struct buf dropped = {0};
        say_dropped(rs, r, &dropped);
        struct m_log m = {.req = r->req,
                          .chunks = wire_list_from(&items, (uint32_t)n),
                          .next = next,
                          .end = *ret_end,
                          .dropped = buf_span(&dropped)};
        shell_send(rs->shell, r->peer, &m_log_schema, &m);
        buf_free(&dropped);
    }
    r->after = next;
    buf_free(&items);
    return moved;
}

static void ask_about(struct readers *rs, struct reader *r);

/* Its turn: one page. */
static void serve(struct readers *rs, struct reader *r)
{
    bool end = false;
    struct readers_owner *o = r->owner;
    TAILQ_REMOVE(&o->readers, r, turn);
    TAILQ_INSERT_TAIL(&o->readers, r, turn);
    make_idle(rs, r);
    if (!net_server_has_room(rs->shell->net, r->peer)) {
        r->blocked = true;
        return;
    }
    bool moved = send_page(rs, r, &end);
    if (end)
        reader_free(rs, r);
    else if (moved)
        make_ready(rs, r);
    else if (r->follow && !r->over && !r->ends && !readers_is_live(rs, &r->run))
        ask_about(rs, r);
}

static void on_work(struct loop *loop, struct loop_timer *t, void *arg)
{
    struct readers *rs = arg;
    for (unsigned i = 0; i < LOGS_PAGES_A_TURN; i++) {
        struct readers_owner *o = TAILQ_FIRST(&rs->turns);
        struct reader *r;
        if (!o)
            return;
        TAILQ_REMOVE(&rs->turns, o, turn);
        TAILQ_INSERT_TAIL(&rs->turns, o, turn);
        TAILQ_FOREACH(r, &o->readers, turn)
        if (r->ready)
            break;
        assert(r);
        serve(rs, r);
    }
    if (!TAILQ_EMPTY(&rs->turns))
        loop_timer_set(loop, t, "log readers", loop_now(loop), on_work, rs);
}

/* ---- After a run's end its last output may still be on its way */
static void on_tail(struct loop *loop, struct loop_timer *t, void *arg);

static void wait_for_tail(struct readers *rs, const struct reader *r)
{
    if (!loop_timer_is_set(&rs->tail))
        loop_timer_set(rs->shell->loop, &rs->tail, "logs", r->deadline, on_tail, rs);
}

static void end_wait(struct readers *rs, struct reader *r, uint64_t now)
{
    if (r->over && r->deadline <= (int64_t)now)
        make_ready(rs, r);
    else if (r->over)
        wait_for_tail(rs, r);
}

static void on_tail(struct loop *loop, struct loop_timer *t, void *arg)
{
    (void)t;
    each(arg, end_wait, (uint64_t)loop_now(loop));
}

/* ---- A run that is not live: may it be read, and how much is there? */
static void begin(struct readers *rs, struct reader *r, const struct store_answer *a)
{
    if (!readers_may_begin(rs, r, a)) {
        reader_free(rs, r);
        return;
    }
    wait_for_tail(rs, r);
    make_ready(rs, r);
}

static void hear_about(void *self, const struct store_answer *a)
{
    struct reader *r = self;
    r->asked = 0;
    r->judging = false;
    if (a->rc != -ECANCELED) /* else its session has gone, and it goes, too */
        begin(r->of, r, a);
}

static void ask_about(struct readers *rs, struct reader *r)
{
    const struct shell_peer *p = shell_find_peer(rs->shell, r->peer);
    /* its first record and its end */
    struct store_question q = {.what = STORE_RECORDS, .run = r->run, .most = 2, .quick = true};
    if (p)
        ask_owner(p, &q);
    r->judging = true;
    r->asked = store_ask(rs->shell->store, &q, hear_about, r);
}

/* ---- LOGS */
static void forget_request(struct readers *rs, const struct shell_peer *p, uint64_t req)
{
    struct readers_owner *o = NULL;
    struct reader *r;
    HASH_FIND(hh, rs->owners, &p->key, sizeof p->key, o);
    if (!o)
        return;
    TAILQ_FOREACH(r, &o->readers, turn)
    if (r->peer == p->handle && r->req == req) {
        reader_free(rs, r);
        return;
    }
}

void readers_take(struct readers *rs, struct shell_peer *p, struct span message)
{
    struct m_logs m;
    struct error err = {0};
    shell_read(&m_logs_schema, message, &m);
    forget_request(rs, p, m.req); /* a repeated one */
    if (rs->n >= LOGS_READERS) {
        shell_error(rs->shell, p->handle, m.req, REFUSAL_BUSY,
                    "%u readers of logs are being served, the limit; try again later", rs->n);
        return;
    }
    if (budgets_take(rs->shell->budgets, &p->key, BUDGET_LOG_READERS, 1, &err) < 0) {
        shell_error(rs->shell, p->handle, m.req, REFUSAL_BUSY, "%s", err.text);
        return;
    }
    struct reader *r = reader_new(rs, p, &m);
    if (!readers_is_live(rs, &r->run))
        ask_about(rs, r);
    else if (readers_refuse_live(rs, r))
        reader_free(rs, r);
    else
        make_ready(rs, r);
}

/* ---- What has happened */
static struct readers_run *watched(const struct readers *rs, const struct id *run)
{
    struct readers_run *w = NULL;
    HASH_FIND(hh, rs->runs, run, sizeof *run, w);
    return w;
}

void readers_printed(struct readers *rs, const struct id *run)
{
    const struct readers_run *w = watched(rs, run);
    struct reader *r;
    if (w)
        LIST_FOREACH(r, &w->readers, watch)
    if (!r->blocked)
        make_ready(rs, r);
}

void readers_record(struct readers *rs, uint64_t lsn, struct span record)
{
    uint64_t kind;
    size_t size;
    struct r_ended ended;
    struct r_parent_ended parent;
    const struct readers_run *w = NULL;
    struct reader *r;
    if (!rs->n || wire_peek(record, &kind, &size, NULL) < 0)
        return;
    if (kind == KIND_R_ENDED && r_ended_decode(record, &ended, NULL) == 0)
        w = watched(rs, &ended.run);
    else if (kind == KIND_R_PARENT_ENDED && r_parent_ended_decode(record, &parent, NULL) == 0)
        w = watched(rs, &parent.run);
    if (!w)
        return;
    LIST_FOREACH(r, &w->readers, watch)
    r->ends = lsn;
    rs->ending = true;
}

static void end_one(struct readers *rs, struct reader *r, uint64_t lsn)
{
    if (r->ends && r->ends <= lsn) {
        r->ends = 0;
        if (!r->blocked)
            make_ready(rs, r);
    } else if (r->ends) {
        rs->ending = true;
    }
}

void readers_committed(struct readers *rs, uint64_t lsn)
{
    if (!rs->ending)
        return;
    rs->ending = false;
    each(rs, end_one, lsn);
}

/* The room is the principal's, and one of its sessions is told for all: whoever waits looks
 * again. */
static void look_again(struct readers *rs, struct reader *r, uint64_t peer)
{
    (void)peer;
    if (r->blocked)
        make_ready(rs, r);
}

void readers_window(struct readers *rs, uint64_t peer)
{
    each(rs, look_again, peer);
}

static void forget_peer(struct readers *rs, struct reader *r, uint64_t peer)
{
    if (r->peer == peer)
        reader_free(rs, r);
}

void readers_gone(struct readers *rs, uint64_t peer)
{
    each(rs, forget_peer, peer);
    each(rs, look_again, peer);
}

/* ---- Start and end */
struct readers *readers_new(struct shell *sh, struct logfile *file)
{
    struct readers *rs = mem_zalloc(1, sizeof *rs);
    rs->shell = sh;
    rs->file = file;
    TAILQ_INIT(&rs->turns);
    return rs;
}

static void forget_any(struct readers *rs, struct reader *r, uint64_t what)
{
    (void)what;
    reader_free(rs, r);
}

void readers_free(struct readers **readers)
{
    struct readers *rs = *readers;
    if (!rs)
        return;
    loop_timer_stop(rs->shell->loop, &rs->work);
    loop_timer_stop(rs->shell->loop, &rs->tail);
    each(rs, forget_any, 0);
    mem_free(readers);
}
