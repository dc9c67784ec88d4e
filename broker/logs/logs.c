/* logs.c - see logs.h: output comes in from workers under credit. Out: readers.h; the files:
   logfile.h. */
#include "broker/logs/logs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "broker/logs/handed.h"
#include "broker/logs/readers.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/size.h"

/* A piece that waits until the store has said whose attempt it is, or for those before it. */
struct logs_held {
    struct buf message;
    STAILQ_ENTRY(logs_held) next;
};

/* A session that has sent LOG_DATA. */
struct logs_session {
    uint64_t peer;
    struct hash key;
    /* bytes of LOG_DATA: come, taken, and acknowledged; what has come and is not taken is held */
    uint64_t come, taken, acked;
    STAILQ_HEAD(, logs_held) held;
    bool waits; /* for the store */
    UT_hash_handle hh;
};

/* Whose output was dropped. */
struct logs_liar {
    char server[LIMIT_NAME + 1];
    uint64_t count; /* since it was last said */
    int64_t said;   /* boot ms; 0: never */
    UT_hash_handle hh;
};

struct logs {
    struct shell *shell;
    struct logfile *file;
    struct handed *handed;
    struct readers *readers;
    struct logs_session *sessions;
    struct logs_liar *liars;
    uint64_t refused;
    bool dirty, owe; /* pieces were added; acknowledgements are owed */
    struct loop_timer work, age;
};

uint64_t logs_bytes(const struct logs *l)
{
    return logfile_bytes(l->file);
}

uint64_t logs_refused(const struct logs *l)
{
    return l->refused;
}

uint64_t logs_dropped(const struct logs *l, enum logfile_cause why)
{
    return logfile_dropped(l->file, why);
}

/* ---- Sessions */
static struct logs_session *session_of(struct logs *l, const struct shell_peer *p)
{
    struct logs_session *s = NULL;
    HASH_FIND(hh, l->sessions, &p->handle, sizeof p->handle, s);
    if (s)
        return s;
    s = mem_zalloc(1, sizeof *s);
    s->peer = p->handle;
    s->key = p->key;
    STAILQ_INIT(&s->held);
    HASH_ADD(hh, l->sessions, peer, sizeof s->peer, s);
    return s;
}

static uint64_t held_cost(const struct logs_held *h)
{
    return sizeof *h + h->message.n;
}

static void release(struct logs *l, struct logs_session *s)
{
    struct logs_held *h = STAILQ_FIRST(&s->held);
    STAILQ_REMOVE_HEAD(&s->held, next);
    budgets_give(l->shell->budgets, &s->key, BUDGET_LOOKUPS, held_cost(h));
    buf_free(&h->message);
    mem_free(&h);
}

static void session_free(struct logs *l, struct logs_session *s)
{
    while (!STAILQ_EMPTY(&s->held))
        release(l, s);
    HASH_DEL(l->sessions, s);
    mem_free(&s);
}

static void acknowledge(struct logs *l, struct logs_session *s)
{
    shell_send(l->shell, s->peer, &m_log_ack_schema, &(struct m_log_ack){.bytes = s->taken});
    s->acked = s->taken;
}

/* ---- Pieces */
static void refuse(struct logs *l, const struct shell_peer *p, const char *why)
{
    struct logs_liar *x = NULL;
    int64_t now = loop_now(l->shell->loop);
    l->refused++;
    HASH_FIND_STR(l->liars, p->who.name, x);
    if (!x) {
        x = mem_zalloc(1, sizeof *x);
        snprintf(x->server, sizeof x->server, "%s", p->who.name);
        HASH_ADD_STR(l->liars, server, x);
    }
    x->count++;
    if (x->said && now - x->said < LOGS_SAID_MS)
        return;
    char *text = mem_printf("%s (%llu pieces)", why, (unsigned long long)x->count);
    shell_note(l->shell, x->server, "denied", "LOG_DATA", text);
    log_warn("logs: dropped output that '%s' sent: %s", x->server, text);
    mem_free(&text);
    x->said = now;
    x->count = 0;
}

static void keep(struct logs *l, struct logs_session *s, const struct shell_peer *p,
                 const struct m_log_data *m, bool theirs)
{
    struct error err = {0};
    int kept = 0;
    if (!theirs)
        refuse(l, p, "the attempt was not handed to this server");
    else if ((kept = logfile_add(l->file, p->who.name, m, loop_now_wall(l->shell->loop), &err)) < 0)
        /* a log must not fail a job: the worker continues */
        log_warn("%s; the piece is dropped", err.text);
    if (kept > 0) {
        readers_printed(l->readers, &m->run);
        l->dirty = true;
    }
    s->taken += m->data.n;
    l->owe = true;
    if (s->taken - s->acked >= LOGS_ACK_EVERY)
        acknowledge(l, s);
}

/* Pieces behind one that waits wait, too, so that LOG_ACK counts them in order. What the budget
 * does not allow is dropped; many pieces of a few bytes each reach it, and credit does not. */
static void hold(struct logs *l, struct logs_session *s, const struct shell_peer *p,
                 const struct m_log_data *m, struct span message)
{
    struct error err = {0};
    struct logs_held *h = mem_zalloc(1, sizeof *h);
    h->message = buf_dup(message);
    if (budgets_take(l->shell->budgets, &p->key, BUDGET_LOOKUPS, held_cost(h), &err) == 0) {
        STAILQ_INSERT_TAIL(&s->held, h, next);
        return;
    }
    refuse(l, p, err.text);
    buf_free(&h->message);
    mem_free(&h);
    s->taken += m->data.n;
    l->owe = true;
}

static void on_work(struct loop *loop, struct loop_timer *t, void *arg);

static void work_later(struct logs *l)
{
    if (!loop_timer_is_set(&l->work))
        loop_timer_set(l->shell->loop, &l->work, "logs held", loop_now(l->shell->loop), on_work, l);
}

static void take_data(struct logs *l, struct shell_peer *p, struct span message)
{
    struct m_log_data m;
    enum handed_verdict verdict = HANDED_LATER;
    shell_read(&m_log_data_schema, message, &m);
    struct logs_session *s = session_of(l, p);
    s->come += m.data.n;
    if (s->come - s->acked > LIMIT_LOG_CREDIT + LIMIT_LOG_CHUNK) {
        shell_drop(l->shell, p, REFUSAL_MALFORMED,
                   "more LOG_DATA than LOG_ACK allows: see LOG_ACK in PROTOCOL.md");
        return;
    }
    if (!m.data.n && !m.cut)
        return; /* says nothing */
    if (STAILQ_EMPTY(&s->held))
        verdict = handed_judge(l->handed, p, &m.run, m.attempt);
    if (verdict != HANDED_LATER) {
        keep(l, s, p, &m, verdict == HANDED_YES);
        return;
    }
    s->waits |= STAILQ_EMPTY(&s->held);
    hold(l, s, p, &m, message);
}

/* Takes some of what a session waits with. */
static void take_held(struct logs *l, struct logs_session *s, const struct shell_peer *p)
{
    for (unsigned n = 0; n < LOGS_HELD_A_TURN && !STAILQ_EMPTY(&s->held); n++) {
        struct m_log_data m;
        shell_read(&m_log_data_schema, buf_span(&STAILQ_FIRST(&s->held)->message), &m);
        enum handed_verdict verdict = handed_judge(l->handed, p, &m.run, m.attempt);
        s->waits = verdict == HANDED_LATER;
        if (s->waits)
            break;
        keep(l, s, p, &m, verdict == HANDED_YES);
        release(l, s);
    }
}

static void say_losses(struct logs *l, int64_t now)
{
    struct logfile_loss loss;
    char target[LIMIT_NAME + 20], size[SIZE_TEXT], until[CLOCK_TEXT];
    while (logfile_next_loss(l->file, now - LOGS_SAID_MS, now, &loss)) {
        snprintf(target, sizeof target, "logs of %s",
                 *loss.server ? loss.server : "the time before 0.2.0");
        char *text =
            mem_printf("%s of output, up to %s: %s", size_format((int64_t)loss.bytes, size),
                       clock_format(loss.until, until), logfile_cause_text(loss.cause));
        shell_note(l->shell, "broker", "dropped", target, text);
        log_info("logs: dropped of '%s': %s", loss.server, text);
        mem_free(&text);
    }
}

static void on_work(struct loop *loop, struct loop_timer *t, void *arg)
{
    struct logs *l = arg;
    struct logs_session *s, *next;
    struct error err = {0};
    bool more = false;
    (void)t;
    HASH_ITER (hh, l->sessions, s, next) {
        const struct shell_peer *p = shell_find_peer(l->shell, s->peer);
        if (p && !s->waits)
            take_held(l, s, p);
        more |= p && !s->waits && !STAILQ_EMPTY(&s->held);
    }
    if (logfile_drops(l->file) && !l->dirty) {
        if (logfile_commit(l->file, &err) < 0)
            log_warn("%s", err.text);
        else if (!logfile_drops(l->file))
            say_losses(l, loop_now_wall(loop));
    }
    if (more || (logfile_drops(l->file) && !err.text[0]))
        work_later(l);
}

static void heard(void *self)
{
    struct logs *l = self;
    for (struct logs_session *s = l->sessions; s; s = s->hh.next)
        s->waits = false;
    work_later(l);
}

void logs_take(struct logs *l, struct shell_peer *p, uint64_t kind, struct span message)
{
    if (kind == KIND_M_LOG_DATA)
        take_data(l, p, message);
    else
        readers_take(l->readers, p, message);
}

/* ---- Retention */
static void on_age(struct loop *loop, struct loop_timer *t, void *arg)
{
    struct logs *l = arg;
    say_losses(l, loop_now_wall(loop));
    logfile_expire(l->file, loop_now_wall(loop));
    if (logfile_drops(l->file))
        work_later(l);
    loop_timer_set(loop, t, "logs age", loop_now(loop) + LOGS_AGE_MS, on_age, l);
}

/* ---- What it is told; start and end */
static void on_record(void *self, uint64_t lsn, struct span record)
{
    const struct logs *l = self;
    readers_record(l->readers, lsn, record);
}

static void on_committed(void *self, uint64_t lsn)
{
    const struct logs *l = self;
    readers_committed(l->readers, lsn);
}

static void on_window(void *self, uint64_t peer)
{
    const struct logs *l = self;
    readers_window(l->readers, peer);
}

static void on_turn_end(void *self)
{
    struct logs *l = self;
    struct error err = {0};
    if (l->owe)
        for (struct logs_session *s = l->sessions; s; s = s->hh.next)
            if (s->taken != s->acked)
                acknowledge(l, s);
    if (l->dirty && logfile_commit(l->file, &err) < 0)
        log_warn("%s", err.text);
    if (l->dirty && logfile_drops(l->file))
        work_later(l);
    l->dirty = l->owe = false;
}

static void on_peer_gone(void *self, uint64_t peer)
{
    struct logs *l = self;
    struct logs_session *s = NULL;
    readers_gone(l->readers, peer);
    HASH_FIND(hh, l->sessions, &peer, sizeof peer, s);
    if (s)
        session_free(l, s);
}

int logs_open(struct logs **ret, struct shell *sh, const char *folder, uint64_t most_bytes,
              uint64_t keep_ms, struct error *err)
{
    struct logs *l = mem_zalloc(1, sizeof *l);
    l->shell = sh;
    int rc =
        logfile_open(&l->file,
                     &(struct logfile_options){.folder = folder,
                                               .most_bytes = most_bytes,
                                               .keep_ms = keep_ms,
                                               .segment_bytes = LOGS_SEGMENT,
                                               .share = budgets_limit(sh->budgets, BUDGET_LOGS)},
                     err);
    if (rc < 0) {
        mem_free(&l);
        return rc;
    }
    l->handed = handed_new(sh, l->file, heard, l);
    l->readers = readers_new(sh, l->file);
    shell_listen(sh, &(struct shell_listener){.self = l,
                                              .record = on_record,
                                              .committed = on_committed,
                                              .window = on_window,
                                              .turn_end = on_turn_end,
                                              .peer_gone = on_peer_gone});
    loop_timer_set(sh->loop, &l->age, "logs age", loop_now(sh->loop) + LOGS_AGE_FIRST_MS, on_age,
                   l);
    *ret = l;
    return 0;
}

void logs_close(struct logs **logs)
{
    struct logs *l = *logs;
    struct logs_liar *x, *next;
    if (!l)
        return;
    loop_timer_stop(l->shell->loop, &l->work);
    loop_timer_stop(l->shell->loop, &l->age);
    while (l->sessions)
        session_free(l, l->sessions);
    HASH_ITER (hh, l->liars, x, next) {
        HASH_DEL(l->liars, x);
        mem_free(&x);
    }
    readers_free(&l->readers);
    handed_free(&l->handed);
    logfile_close(&l->file);
    mem_free(logs);
}
