/* row.c - the rows of history: one for each run and parent that has ended, made from all its
 * records. */
#include <errno.h>
#include <string.h>

#include "broker/store/inside.h"
#include "common/jsontext.h"

/* bytes of a step's message in step_history; the record has all of it */
enum { STEP_MESSAGE_MAX = 400 };

static void key_of(struct buf *out, const char *name)
{
    buf_printf(out, "%s\"%s\":", out->p[out->n - 1] == '{' ? "" : ",", name);
}

static void text_of(struct buf *out, const char *name, struct span s)
{
    key_of(out, name);
    json_escape(out, s);
}

static void number_of(struct buf *out, const char *name, int64_t v)
{
    key_of(out, name);
    buf_printf(out, "%lld", (long long)v);
}

static void step_json(const struct d_step_outcome *s, struct buf *out)
{
    buf_add_str(out, "{");
    text_of(out, "name", s->name);
    number_of(out, "try", (int64_t)s->try_no);
    text_of(out, "package", s->package_name);
    text_of(out, "version", s->package_version);
    text_of(out, "state", span_str(package_outcome_text(s->package)));
    text_of(out, "action", span_str(step_action_text(s->action)));
    if (s->signal)
        number_of(out, "signal", (int64_t)s->signal);
    else
        number_of(out, "exit_code", s->exit_code);
    text_of(
        out, "message",
        span_of(s->message.p, s->message.n < STEP_MESSAGE_MAX ? s->message.n : STEP_MESSAGE_MAX));
    number_of(out, "started_at", s->started_at);
    number_of(out, "ended_at", s->ended_at);
    number_of(out, "cpu_us", (int64_t)(s->user_us + s->system_us));
    number_of(out, "max_rss_kib", (int64_t)s->max_rss_kib);
    buf_add_str(out, "}");
}

static void steps_json(const struct d_outcome *o, struct buf *out)
{
    struct wire_iter it = wire_iter(&o->steps);
    struct d_step_outcome step;
    struct span item;
    buf_add_str(out, "[");
    while (wire_next(&it, &item))
        if (d_step_outcome_decode(item, &step, NULL) == 0) {
            if (out->p[out->n - 1] == '}')
                buf_add_str(out, ",");
            step_json(&step, out);
        }
    buf_add_str(out, "]");
}

static void add_lsns(const struct record *v, unsigned n, struct buf *out)
{
    for (unsigned i = 0; i < n; i++)
        buf_add(out, &v[i].lsn, 8);
}

/* Decodes the body of a d_signed. If that fails *ret stays zero: the row says less, and the record
 * still has everything. */
static void call_in(struct span bytes, struct d_call *ret)
{
    struct d_signed envelope;
    if (d_signed_decode(bytes, &envelope, NULL) == 0)
        d_call_decode(envelope.body, ret, NULL);
}

static void parent_in(struct span bytes, struct d_parent *ret)
{
    struct d_signed envelope;
    if (d_signed_decode(bytes, &envelope, NULL) == 0)
        d_parent_decode(envelope.body, ret, NULL);
}

static void bind_id_or_null(sqlite3_stmt *st, int at, const struct id *id)
{
    if (id_is_zero(*id))
        sqlite3_bind_null(st, at);
    else
        db_bind_bytes(st, at, id->b, sizeof id->b);
}

static void bind_call(sqlite3_stmt *st, const struct r_called *called, const struct d_call *call)
{
    db_bind_bytes(st, 2, called->run.b, sizeof called->run.b);
    db_bind_span(st, 3, called->principal);
    db_bind_span(st, 4, call->key);
    db_bind_bytes(st, 5, called->digest.b, sizeof called->digest.b);
    bind_id_or_null(st, 6, &call->parent);
    db_bind_span(st, 7, call->task);
    sqlite3_bind_int64(st, 8, (int64_t)call->index);
    sqlite3_bind_int64(st, 9, (int64_t)call->try_no);
    db_bind_span(st, 10, call->job);
    db_bind_span(st, 12, call->address);
    db_bind_span(st, 26, call->item);
}

static void bind_outcome(sqlite3_stmt *st, const struct r_ended *ended, const struct d_outcome *o,
                         const struct d_call *call)
{
    const struct hash *job = hash_is_zero(&o->job_hash) ? &call->job_hash : &o->job_hash;
    db_bind_bytes(st, 11, job->b, sizeof job->b);
    db_bind_span(st, 13, ended->server);
    sqlite3_bind_int64(st, 14, (int64_t)ended->attempt);
    sqlite3_bind_int64(st, 15, (int64_t)o->delivery);
    sqlite3_bind_int64(st, 16, (int64_t)o->job);
    sqlite3_bind_int64(st, 17, (int64_t)o->package);
    sqlite3_bind_int64(st, 18, (int64_t)o->status);
    db_bind_span(st, 19, o->message);
    sqlite3_bind_int64(st, 21, o->started_at);
}

int row_of_run(sqlite3 *db, sqlite3_stmt *st, const struct record *v, unsigned n, struct error *err)
{
    struct r_called called = {0};
    struct r_ended ended = {0};
    struct d_call call = {0};
    struct d_outcome outcome = {0};
    struct buf steps = {0}, lsns = {0};
    uint64_t lsn = 0;
    for (unsigned i = 0; i < n; i++) {
        int rc = 0;
        if (v[i].kind == KIND_R_CALLED)
            rc = r_called_decode(v[i].body, &called, err);
        else if (v[i].kind == KIND_R_ENDED && (lsn = v[i].lsn))
            rc = r_ended_decode(v[i].body, &ended, err);
        if (rc < 0)
            return rc;
    }
    call_in(called.call, &call);
    d_outcome_decode(ended.outcome, &outcome, NULL);
    steps_json(&outcome, &steps);
    add_lsns(v, n, &lsns);
    called.run = ended.run; /* even if the call's record has been dropped */
    sqlite3_bind_int64(st, 1, (int64_t)lsn);
    bind_call(st, &called, &call);
    bind_outcome(st, &ended, &outcome, &call);
    sqlite3_bind_int64(st, 20, called.at);
    /* the server's time: the record is later if the broker was unreachable */
    sqlite3_bind_int64(st, 22, outcome.ended_at ? outcome.ended_at : ended.at);
    db_bind_span(st, 23, buf_span(&steps));
    db_bind_bytes(st, 24, lsns.p, lsns.n);
    sqlite3_bind_int(st, 25, ended.reported ? 1 : 0);
    int rc = db_run(db, st, err);
    buf_free(&steps);
    buf_free(&lsns);
    return rc;
}

int row_of_parent(sqlite3 *db, sqlite3_stmt *st, const struct record *v, unsigned n,
                  struct error *err)
{
    struct r_parent_begun begun = {0};
    struct r_parent_ended ended = {0};
    struct d_parent parent = {0};
    struct buf lsns = {0};
    uint64_t lsn = 0;
    for (unsigned i = 0; i < n; i++) {
        int rc = 0;
        if (v[i].kind == KIND_R_PARENT_BEGUN)
            rc = r_parent_begun_decode(v[i].body, &begun, err);
        else if (v[i].kind == KIND_R_PARENT_ENDED && (lsn = v[i].lsn))
            rc = r_parent_ended_decode(v[i].body, &ended, err);
        if (rc < 0)
            return rc;
    }
    parent_in(begun.parent, &parent);
    add_lsns(v, n, &lsns);
    sqlite3_bind_int64(st, 1, (int64_t)lsn);
    db_bind_bytes(st, 2, ended.run.b, sizeof ended.run.b);
    db_bind_span(st, 3, begun.principal);
    db_bind_span(st, 4, parent.key);
    db_bind_bytes(st, 5, begun.digest.b, sizeof begun.digest.b);
    bind_id_or_null(st, 6, &parent.parent);
    db_bind_span(st, 7, parent.name);
    sqlite3_bind_int64(st, 8, (int64_t)ended.status);
    sqlite3_bind_int64(st, 9, begun.at);
    sqlite3_bind_int64(st, 10, ended.at);
    sqlite3_bind_int64(st, 11, (int64_t)parent.tasks);
    db_bind_span(st, 12, ended.report);
    db_bind_bytes(st, 13, lsns.p, lsns.n);
    int rc = db_run(db, st, err);
    buf_free(&lsns);
    return rc;
}
