/* logs.c - see logs.h: output comes in from workers under credit and goes out to readers. The
   files: logfile.h. */
#include "broker/logs/logs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/logs/logfile.h"
#include "broker/shell/about.h"
#include "broker/shell/ask.h"
#include "broker/shell/rights.h"
#include "common/log.h"

struct logs_reader {
    uint64_t peer, req, after;
    struct id run;
    char step[LIMIT_NAME + 1];
    bool follow;
    bool judging; /* the store is asked whether it may read, and how much there is */
    bool over;    /* the run has ended: `expected` bytes in all, or until `deadline` */
    uint64_t expected;
    int64_t deadline;
    uint64_t asked;
    struct logs *logs;
    struct logs_reader *next;
};

struct logs {
    struct shell *shell;
    struct logfile *file;
    struct logs_reader *readers;
    unsigned n;
    bool dirty, owe; /* pieces were added; acknowledgements are owed */
    struct loop_timer tail;
};

uint64_t logs_bytes(const struct logs *l)
{
    return logfile_bytes(l->file);
}

static void reader_free(struct logs *l, struct logs_reader **link)
{
    struct logs_reader *r = *link;
    *link = r->next;
    if (r->asked)
        store_forget(l->shell->store, r->asked);
    mem_free(&r);
    l->n--;
}

/* ---- In */
/* May this server write to the run's log? A live run names its server; for an ended one the first
 * piece of its output does. */
static bool is_its_run(const struct logs *l, const struct shell_peer *p, const struct m_log_data *m)
{
    struct view_run r;
    char server[LIMIT_NAME + 1];
    if (view_run(l->shell->core, &m->run, &r))
        return m->attempt < r.attempt || (r.server && strcmp(r.server, p->who.name) == 0);
    return !logfile_server(l->file, &m->run, server) || strcmp(server, p->who.name) == 0;
}

static void acknowledge(struct logs *l, struct shell_peer *p)
{
    shell_send(l->shell, p->handle, &m_log_ack_schema, &(struct m_log_ack){.bytes = p->log_bytes});
    p->log_acked = p->log_bytes;
}

static void take_data(struct logs *l, struct shell_peer *p, struct span message)
{
    struct m_log_data m;
    struct error err = {0};
    shell_read(&m_log_data_schema, message, &m);
    if (!is_its_run(l, p, &m))
        log_warn("logs: dropped output that '%s' sent for another server's run", p->who.name);
    else if (logfile_add(l->file, p->who.name, &m, &err) < 0)
        /* a log must not fail a job: the worker continues */
        log_warn("%s; the piece is dropped", err.text);
    l->dirty = l->owe = true;
    p->log_bytes += m.data.n;
    if (p->log_bytes - p->log_acked >= LOGS_ACK_EVERY)
        acknowledge(l, p);
}

/* ---- Out */
static bool is_live(const struct logs *l, const struct id *run)
{
    struct view_owner o;
    return view_owner(l->shell->core, run, &o);
}

/* Sends a page. True: the reader has advanced. */
static bool send_page(struct logs *l, struct logs_reader *r, bool *ret_end)
{
    struct buf items = {0};
    struct error err = {0};
    uint64_t next;
    int n =
        logfile_read(l->file, &r->run, span_str(r->step), r->after, LOGS_PAGE, &items, &next, &err);
    *ret_end = n <= 0 && next == r->after &&
               (!r->follow || (r->over && (logfile_reached(l->file, &r->run) >= r->expected ||
                                           loop_now(l->shell->loop) >= r->deadline)));
    if (n < 0)
        shell_error(l->shell, r->peer, r->req, REFUSAL_INTERNAL, "%s", err.text);
    bool moved = n > 0 || next != r->after;
    if (n > 0 || (n == 0 && *ret_end)) {
        struct m_log m = {.req = r->req,
                          .chunks = wire_list_from(&items, (uint32_t)n),
                          .next = next,
                          .end = *ret_end};
        shell_send(l->shell, r->peer, &m_log_schema, &m);
    }
    r->after = next;
    buf_free(&items);
    *ret_end |= n < 0;
    return moved;
}

static void ask_about(struct logs *l, struct logs_reader *r);

/* False: the reader has been sent the end. */
static bool pump(struct logs *l, struct logs_reader *r)
{
    bool end = false;
    while (!end && !r->judging && net_server_window_open(l->shell->net, r->peer))
        if (!send_page(l, r, &end))
            break;
    if (!end && !r->judging && r->follow && !r->over && !is_live(l, &r->run))
        ask_about(l, r);
    return !end;
}

static void pump_all(struct logs *l)
{
    for (struct logs_reader **link = &l->readers; *link;) {
        if (pump(l, *link))
            link = &(*link)->next;
        else
            reader_free(l, link);
    }
}

static void on_tail(struct loop *loop, struct loop_timer *t, void *arg)
{
    (void)loop, (void)t;
    pump_all(arg);
}

/* ---- A run that is not live: may it be read, and how much is there? */
static uint64_t bytes_of(struct span record)
{
    struct r_ended ended;
    struct d_outcome o;
    struct d_step_outcome step;
    struct span item;
    uint64_t n = 0;
    if (r_ended_decode(record, &ended, NULL) < 0 || d_outcome_decode(ended.outcome, &o, NULL) < 0)
        return 0;
    for (struct wire_iter it = wire_iter(&o.steps); wire_next(&it, &item);)
        if (d_step_outcome_decode(item, &step, NULL) == 0)
            n += step.out_bytes + step.err_bytes;
    return n;
}

/* ---- A run without output: the reason, instead of an empty log */
static void refuse(struct logs *l, const struct logs_reader *r, enum refusal code, const char *text)
{
    char id[ID_TEXT];
    shell_error(l->shell, r->peer, r->req, code, "run %s %s", id_format(r->run, id), text);
}

/* "extract, publish"; the rest is left out */
static void step_names(const struct d_outcome *o, char *text, size_t size)
{
    struct d_step_outcome step;
    struct span item, last = SPAN_NONE;
    size_t n = 0;
    text[0] = '\0';
    for (struct wire_iter it = wire_iter(&o->steps); wire_next(&it, &item) && n < size;) {
        if (d_step_outcome_decode(item, &step, NULL) < 0 || span_eq(step.name, last))
            continue; /* another try of the same step */
        n +=
            (size_t)snprintf(text + n, size - n, "%s" SPAN_FMT, n ? ", " : "", SPAN_ARG(step.name));
        last = step.name;
    }
}

static bool has_step(const struct d_outcome *o, const char *name)
{
    struct d_step_outcome step;
    struct span item;
    for (struct wire_iter it = wire_iter(&o->steps); wire_next(&it, &item);)
        if (d_step_outcome_decode(item, &step, NULL) == 0 && span_eq_str(step.name, name))
            return true;
    return false;
}

/* True: it has ended, none of its output was kept, and the reader has been told why. */
static bool refuse_ended(struct logs *l, const struct logs_reader *r, struct span record)
{
    struct r_ended ended;
    struct d_outcome o;
    char names[300], text[500];
    if (r->after || r_ended_decode(record, &ended, NULL) < 0 ||
        d_outcome_decode(ended.outcome, &o, NULL) < 0)
        return false;
    if (*r->step && o.steps.count && !has_step(&o, r->step)) {
        step_names(&o, names, sizeof names);
        snprintf(text, sizeof text, "has no step '%s' (its steps: %s)", r->step, names);
        refuse(l, r, REFUSAL_NOT_FOUND, text);
        return true;
    }
    if (o.steps.count || logfile_reached(l->file, &r->run))
        return false;
    snprintf(text, sizeof text, "has no output: no step of it ran (%s)", status_text(o.status));
    refuse(l, r, REFUSAL_STATE, text);
    return true;
}

/* The same for a run that has not started; a follower waits. */
static bool refuse_live(struct logs *l, const struct logs_reader *r)
{
    struct view_run run;
    char text[200];
    if (r->follow || !view_run(l->shell->core, &r->run, &run) || run.started_at ||
        logfile_reached(l->file, &r->run))
        return false;
    snprintf(text, sizeof text,
             "has no output yet: it is %s (follow its log, or ask lbctl explain why it waits)",
             run_state_text(run.state));
    refuse(l, r, REFUSAL_STATE, text);
    return true;
}

static struct logs_reader **link_of(struct logs *l, const struct logs_reader *r)
{
    struct logs_reader **link = &l->readers;
    while (*link != r)
        link = &(*link)->next;
    return link;
}

static void hear_about(void *self, const struct store_answer *a)
{
    struct logs_reader *r = self;
    struct logs *l = r->logs;
    const struct shell_peer *p = a->rc == -ECANCELED ? NULL : shell_find_peer(l->shell, r->peer);
    uint64_t kind;
    size_t size;
    r->asked = 0;
    r->judging = false;
    if (!p)
        return;
    struct about about;
    about_of(a->n_records ? a->records[0].body : SPAN_NONE, &about);
    if (!rights_may_see_about(l->shell->core, p->certificate, &about)) {
        if (about.known)
            shell_hidden(l->shell, p, "logs", &r->run);
        shell_error(l->shell, r->peer, r->req, REFUSAL_UNKNOWN_RUN,
                    "no run with this id is live or in the history");
        reader_free(l, link_of(l, r));
        return;
    }
    if (about.is_parent) {
        refuse(l, r, REFUSAL_STATE,
               "is a parent: its children have the output (lbctl history --parent lists them)");
        reader_free(l, link_of(l, r));
        return;
    }
    r->over = true;
    r->deadline = loop_now(l->shell->loop) + LOGS_TAIL_MS;
    for (unsigned i = 0; i < a->n_records; i++) {
        if (wire_peek(a->records[i].body, &kind, &size, NULL) < 0 || kind != KIND_R_ENDED)
            continue;
        if (refuse_ended(l, r, a->records[i].body)) {
            reader_free(l, link_of(l, r));
            return;
        }
        r->expected = bytes_of(a->records[i].body);
    }
    loop_timer_set(l->shell->loop, &l->tail, "logs", r->deadline, on_tail, l);
    if (!pump(l, r))
        reader_free(l, link_of(l, r));
}

static void ask_about(struct logs *l, struct logs_reader *r)
{
    const struct shell_peer *p = shell_find_peer(l->shell, r->peer);
    /* its first record and its end */
    struct store_question q = {.what = STORE_RECORDS, .run = r->run, .most = 2, .quick = true};
    if (p)
        ask_owner(p, &q);
    r->judging = true;
    r->asked = store_ask(l->shell->store, &q, hear_about, r);
}

static void take_logs(struct logs *l, struct shell_peer *p, struct span message)
{
    struct m_logs m;
    shell_read(&m_logs_schema, message, &m);
    for (struct logs_reader **link = &l->readers; *link;) {
        if ((*link)->peer == p->handle && (*link)->req == m.req)
            reader_free(l, link); /* a repeated request */
        else
            link = &(*link)->next;
    }
    if (l->n >= LOGS_READERS) {
        shell_error(l->shell, p->handle, m.req, REFUSAL_BUSY,
                    "%u readers of logs are being served, the limit; try again later", l->n);
        return;
    }
    struct logs_reader *r = mem_zalloc(1, sizeof *r);
    r->logs = l;
    r->peer = p->handle;
    r->req = m.req;
    r->run = m.run;
    r->after = m.after;
    r->follow = m.follow;
    span_copy_str(m.step, r->step, sizeof r->step);
    r->next = l->readers;
    l->readers = r;
    l->n++;
    if (!is_live(l, &r->run))
        ask_about(l, r);
    else if (refuse_live(l, r) || !pump(l, r))
        reader_free(l, link_of(l, r));
}

void logs_take(struct logs *l, struct shell_peer *p, uint64_t kind, struct span message)
{
    if (kind == KIND_M_LOG_DATA)
        take_data(l, p, message);
    else
        take_logs(l, p, message);
}

/* ---- What it is told; start and end */
static void on_peer_gone(void *self, uint64_t peer)
{
    struct logs *l = self;
    for (struct logs_reader **link = &l->readers; *link;) {
        if ((*link)->peer == peer)
            reader_free(l, link);
        else
            link = &(*link)->next;
    }
}

static void on_turn_end(void *self)
{
    struct logs *l = self;
    struct error err = {0};
    if (l->owe)
        for (struct shell_peer *p = l->shell->peers; p; p = p->hh.next)
            if (p->log_bytes != p->log_acked)
                acknowledge(l, p);
    if (l->dirty && logfile_commit(l->file, &err) < 0)
        log_warn("%s", err.text);
    if (l->dirty)
        pump_all(l);
    l->dirty = l->owe = false;
}

/* Runs may have ended. */
static void on_committed(void *self, uint64_t lsn)
{
    struct logs *l = self;
    (void)lsn;
    if (l->readers)
        pump_all(l);
}

static void on_window(void *self, uint64_t peer)
{
    struct logs *l = self;
    for (const struct logs_reader *r = l->readers; r; r = r->next)
        if (r->peer == peer) {
            pump_all(l);
            return;
        }
}

int logs_open(struct logs **ret, struct shell *sh, const char *folder, uint64_t most_bytes,
              struct error *err)
{
    struct logs *l = mem_zalloc(1, sizeof *l);
    l->shell = sh;
    int rc = logfile_open(&l->file, folder, most_bytes, LOGS_SEGMENT, err);
    if (rc < 0) {
        mem_free(&l);
        return rc;
    }
    shell_listen(sh, &(struct shell_listener){.self = l,
                                              .committed = on_committed,
                                              .window = on_window,
                                              .turn_end = on_turn_end,
                                              .peer_gone = on_peer_gone});
    *ret = l;
    return 0;
}

void logs_close(struct logs **logs)
{
    struct logs *l = *logs;
    if (!l)
        return;
    loop_timer_stop(l->shell->loop, &l->tail);
    while (l->readers)
        reader_free(l, &l->readers);
    logfile_close(&l->file);
    mem_free(logs);
}
