/* readersbegin.c - see readersinside.h: may a run's output be read, how much is there, and why is
 * there none? */
#include <stdio.h>
#include <string.h>

#include "broker/logs/logs.h"
#include "broker/logs/readersinside.h"
#include "broker/shell/about.h"
#include "broker/shell/rights.h"

bool readers_is_live(const struct readers *rs, const struct id *run)
{
    struct view_owner o;
    return view_owner(rs->shell->core, run, &o);
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

/* How much is to come, from where, and until when: what has not come some seconds after the end is
 * not waited for. */
static void take_end(const struct readers *rs, struct reader *r, struct span record)
{
    struct r_ended ended;
    if (r_ended_decode(record, &ended, NULL) < 0)
        return;
    int64_t ago = loop_now_wall(rs->shell->loop) - ended.at;
    r->expected = bytes_of(record);
    span_copy_str(ended.server, r->server, sizeof r->server);
    if (ago > 0)
        r->deadline -= ago < LOGS_TAIL_MS ? ago : LOGS_TAIL_MS;
}

/* ---- A run without output: the reason, instead of an empty log */
static void refuse(const struct readers *rs, const struct reader *r, enum refusal code,
                   const char *text)
{
    char id[ID_TEXT];
    shell_error(rs->shell, r->peer, r->req, code, "run %s %s", id_format(r->run, id), text);
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
static bool refuse_ended(const struct readers *rs, const struct reader *r, struct span record)
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
        refuse(rs, r, REFUSAL_NOT_FOUND, text);
        return true;
    }
    if (o.steps.count || logfile_reached(rs->file, &r->run))
        return false;
    snprintf(text, sizeof text, "has no output: no step of it ran (%s)", status_text(o.status));
    refuse(rs, r, REFUSAL_STATE, text);
    return true;
}

bool readers_refuse_live(const struct readers *rs, const struct reader *r)
{
    struct view_run run;
    char text[200];
    if (r->follow || !view_run(rs->shell->core, &r->run, &run) || run.started_at ||
        logfile_reached(rs->file, &r->run))
        return false;
    snprintf(text, sizeof text,
             "has no output yet: it is %s (follow its log, or ask lbctl explain why it waits)",
             run_state_text(run.state));
    refuse(rs, r, REFUSAL_STATE, text);
    return true;
}

bool readers_may_begin(struct readers *rs, struct reader *r, const struct store_answer *a)
{
    const struct shell_peer *p = shell_find_peer(rs->shell, r->peer);
    struct about about;
    uint64_t kind;
    size_t size;
    about_of(a->n_records ? a->records[0].body : SPAN_NONE, &about);
    if (!p || !rights_may_see_about(rs->shell->core, p->certificate, &about)) {
        if (p && about.known)
            shell_hidden(rs->shell, p, "logs", &r->run);
        shell_error(rs->shell, r->peer, r->req, REFUSAL_UNKNOWN_RUN,
                    "no run with this id is live or in the history");
        return false;
    }
    if (about.is_parent) {
        refuse(rs, r, REFUSAL_STATE,
               "is a parent: its children have the output (lbctl history --parent lists them)");
        return false;
    }
    r->over = true;
    r->deadline = loop_now(rs->shell->loop) + LOGS_TAIL_MS;
    r->expected = UINT64_MAX; /* if its end is not in the store yet */
    for (unsigned i = 0; i < a->n_records; i++) {
        if (wire_peek(a->records[i].body, &kind, &size, NULL) < 0 || kind != KIND_R_ENDED)
            continue;
        if (refuse_ended(rs, r, a->records[i].body))
            return false;
        take_end(rs, r, a->records[i].body);
    }
    return true;
}
