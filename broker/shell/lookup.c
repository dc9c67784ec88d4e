/* lookup.c - see lookup.h. */
#include "broker/shell/lookup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "broker/shell/about.h"
#include "broker/shell/ask.h"
#include "broker/shell/gate.h"
#include "broker/shell/rights.h"
#include "broker/shell/turn.h"
#include "common/log.h"

struct lookup {
    struct shell *shell;
    uint64_t peer, req, lsn, number, attempt;
    struct id run;
    struct buf message;
};

static void lookup_free(struct lookup *l)
{
    buf_free(&l->message);
    mem_free(&l);
}

static const struct store_record *record_of(const struct store_answer *a, uint64_t kind)
{
    uint64_t k;
    size_t size;
    for (unsigned i = a->n_records; i; i--)
        if (wire_peek(a->records[i - 1].body, &k, &size, NULL) == 0 && k == kind)
            return &a->records[i - 1];
    return NULL;
}

/* A parent has no outcome of its own, only the status that its driver reported; these layers yield
 * that status. */
static const struct {
    enum delivery delivery;
    enum job_outcome job;
    enum package_outcome package;
} LAYERS[STATUS_COUNT] = {
    [STATUS_REFUSED] = {DELIVERY_REFUSED, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED},
    [STATUS_UNREACHABLE] = {DELIVERY_UNREACHABLE, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED},
    [STATUS_CANCELLED] = {DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_CANCELLED},
    [STATUS_TIMED_OUT] = {DELIVERY_CALLED, JOB_TIMED_OUT, PACKAGE_CANCELLED},
    [STATUS_LOST] = {DELIVERY_CALLED, JOB_LOST, PACKAGE_UNKNOWN},
    [STATUS_UNKNOWN] = {DELIVERY_CALLED, JOB_UNKNOWN, PACKAGE_UNKNOWN},
    [STATUS_FAILED] = {DELIVERY_CALLED, JOB_FAILED, PACKAGE_FAILED},
    [STATUS_SUCCEEDED] = {DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED},
};

static bool parents_end(struct span end, const struct about *about, struct buf *outcome,
                        struct m_run_ended *ret)
{
    struct r_parent_ended m;
    if (!about->is_parent || r_parent_ended_decode(end, &m, NULL) < 0 || m.status >= STATUS_COUNT)
        return false;
    struct d_outcome o = {.delivery = LAYERS[m.status].delivery,
                          .job = LAYERS[m.status].job,
                          .package = LAYERS[m.status].package,
                          .status = m.status,
                          .job_name = about->parent.name,
                          .called_at = about->begun_at,
                          .started_at = about->begun_at,
                          .ended_at = m.at};
    d_outcome_encode(&o, outcome);
    *ret = (struct m_run_ended){.run = m.run, .outcome = buf_span(outcome)};
    return true;
}

static bool runs_end(const struct store_answer *a, const struct about *about, struct buf *outcome,
                     struct m_run_ended *ret)
{
    const struct store_record *end =
        record_of(a, about->is_parent ? KIND_R_PARENT_ENDED : KIND_R_ENDED);
    struct r_ended m;
    if (!end || !about->known)
        return false;
    if (about->is_parent)
        return parents_end(end->body, about, outcome, ret);
    if (r_ended_decode(end->body, &m, NULL) < 0)
        return false;
    *ret = (struct m_run_ended){.run = m.run,
                                .attempt = m.attempt,
                                .server = m.server,
                                .outcome = m.outcome,
                                .signature = m.signature};
    return true;
}

static void hear_run(void *self, const struct store_answer *a)
{
    struct lookup *l = self;
    struct shell_peer *p = a->rc == -ECANCELED ? NULL : shell_find_peer(l->shell, l->peer);
    struct about about;
    struct m_run_ended ended;
    struct buf outcome = {0};
    char text[ID_TEXT];
    about_of(a->n_records ? a->records[0].body : SPAN_NONE, &about);
    bool may = p && p->certificate && about.known &&
               (!l->req || rights_may_see_about(l->shell->core, p->certificate, &about));
    if (may && runs_end(a, &about, &outcome, &ended))
        shell_send(l->shell, l->peer, &m_run_ended_schema, &ended);
    else if (may && l->req && about.is_parent)
        shell_error(
            l->shell, l->peer, l->req, REFUSAL_STATE,
            "run %s is a parent that has not ended; follow its children or its events instead",
            id_format(l->run, text));
    else if (p && l->req) {
        if (about.known && p->certificate && !may)
            shell_hidden(l->shell, p, "follow", &l->run);
        shell_error(l->shell, l->peer, l->req, REFUSAL_UNKNOWN_RUN,
                    "run %s is neither live nor in the history", id_format(l->run, text));
    }
    buf_free(&outcome);
    lookup_free(l);
}

void lookup_run(struct shell *sh, const struct bcore_effect *e)
{
    const struct shell_peer *p = shell_find_peer(sh, e->peer);
    /* its first record and its end */
    struct store_question q = {.what = STORE_RECORDS, .run = e->run, .most = 2, .quick = true};
    struct error err = {0};
    if (!p)
        return;
    struct lookup *l = mem_zalloc(1, sizeof *l);
    l->shell = sh;
    l->peer = e->peer;
    l->req = e->req;
    l->run = e->run;
    if (!e->req) { /* it follows this run already, which bounds how often */
        ask_owner(p, &q);
        store_ask(sh->store, &q, hear_run, l);
    } else if (ask_store(sh, p, BUDGET_LOOKUPS, sizeof *l, &q, hear_run, l, &err) < 0) {
        shell_error(sh, e->peer, e->req, REFUSAL_BUSY, "%s", err.text);
        lookup_free(l);
    }
}

/* The core takes the message again, with what the store knows. */
static void step_again(const struct lookup *l, const struct shell_peer *p,
                       const struct bcore_known *known)
{
    turn_step(l->shell,
              &(struct bcore_event){.kind = BCORE_MESSAGE,
                                    .peer = l->peer,
                                    .who = &p->who,
                                    .message = buf_span(&l->message),
                                    .window_open = net_server_window_open(l->shell->net, l->peer),
                                    .looked_up = true,
                                    .lsn = l->lsn,
                                    .known = known});
}

static void hear_key(void *self, const struct store_answer *a)
{
    struct lookup *l = self;
    struct shell_peer *p = a->rc == -ECANCELED ? NULL : shell_find_peer(l->shell, l->peer);
    struct bcore_known known = {0};
    if (a->n_rows) {
        known.run = a->rows[0].run;
        known.digest = a->rows[0].digest;
    }
    l->lsn = a->folded > l->lsn ? a->folded : l->lsn;
    if (p && p->certificate)
        step_again(l, p, a->n_rows ? &known : NULL);
    lookup_free(l);
}

static bool is_hand_over(struct span record, uint64_t attempt, const char *server)
{
    struct r_assigned r;
    return r_assigned_decode(record, &r, NULL) == 0 && r.attempt == attempt &&
           span_eq_str(r.server, server);
}

/* If the history cannot be read the worker gets no answer, and asks again in its next session. */
static void hear_handed(void *self, const struct store_answer *a)
{
    struct lookup *l = self;
    struct shell_peer *p = a->rc < 0 ? NULL : shell_find_peer(l->shell, l->peer);
    bool handed = a->n_records == STORE_PAGE_MAX; /* there are more, so it is believed */
    for (unsigned i = 0; p && i < a->n_records && !handed; i++)
        handed = is_hand_over(a->records[i].body, l->attempt, p->who.name);
    if (p && p->certificate)
        step_again(l, p, handed ? &(struct bcore_known){.run = l->run} : NULL);
    lookup_free(l);
}

void lookup_handed(struct shell *sh, const struct bcore_effect *e)
{
    const struct shell_peer *p = shell_find_peer(sh, e->peer);
    struct store_question q = {.what = STORE_RECORDS, .run = e->run, .most = STORE_PAGE_MAX};
    struct error err = {0};
    if (!p)
        return;
    struct lookup *l = mem_zalloc(1, sizeof *l);
    l->shell = sh;
    l->peer = e->peer;
    l->lsn = e->rests_on;
    l->run = e->run;
    l->attempt = e->attempt;
    l->message = buf_dup(e->body);
    if (ask_store(sh, p, BUDGET_LOOKUPS, sizeof *l + l->message.n, &q, hear_handed, l, &err) < 0)
        lookup_free(l); /* no answer, as above */
}

void lookup_key(struct shell *sh, const struct bcore_effect *e)
{
    struct shell_peer *p = shell_find_peer(sh, e->peer);
    if (!p)
        return;
    char key[LIMIT_KEY + 1];
    struct error err = {0};
    struct lookup *l = mem_zalloc(1, sizeof *l);
    l->shell = sh;
    l->peer = e->peer;
    l->lsn = e->called_lsn;
    l->message = buf_dup(e->body);
    span_copy_str(e->key, key, sizeof key);
    const struct store_question q = {.what = STORE_KEY,
                                     .most = 1,
                                     .quick = true,
                                     .parent = e->parent,
                                     .key = key,
                                     .lsn = e->called_lsn ? e->called_lsn : 1,
                                     .filter = {.principal = p->who.name}};
    if (ask_store(sh, p, BUDGET_LOOKUPS, sizeof *l + l->message.n, &q, hear_key, l, &err) < 0) {
        shell_error(sh, e->peer, e->req, REFUSAL_BUSY, "%s", err.text);
        lookup_free(l);
    }
}

/* ---- Calls whose bytes are in the store only */
static void ask_call(struct lookup *l);

/* The first record is missing. If the run has ended, its call is no longer needed. */
static void has_no_call(const struct lookup *l)
{
    struct view_owner owner;
    char id[ID_TEXT];
    if (!view_owner(l->shell->core, &l->run, &owner)) {
        gate_filled(l->shell->gate, l->peer, l->number, SPAN_NONE);
        return;
    }
    log_error(
        "record %llu, the call of live run %s, is missing from the store, which cannot be relied "
        "on: the broker stops. Run lbbroker check, or put a backup back",
        (unsigned long long)l->lsn, id_format(l->run, id));
    log_flush(1);
    _exit(EXIT_STORE);
}

static void hear_call(void *self, const struct store_answer *a)
{
    struct lookup *l = self;
    struct buf message = {0};
    if (a->rc == -EBUSY) { /* someone's shell has the file locked */
        ask_call(l);
        return;
    }
    if (a->rc == 0 && a->n_records &&
        bcore_execute_fill(buf_span(&l->message), a->records[0].body, &message, NULL) == 0)
        gate_filled(l->shell->gate, l->peer, l->number, buf_span(&message));
    else if (a->rc == 0)
        has_no_call(l);
    buf_free(&message);
    lookup_free(l);
}

static void ask_call(struct lookup *l)
{
    store_ask(
        l->shell->store,
        &(struct store_question){.what = STORE_RECORD, .lsn = l->lsn, .soon = true, .most = 1},
        hear_call, l);
}

void lookup_call(struct shell *sh, const struct bcore_effect *e, uint64_t number)
{
    struct lookup *l = mem_zalloc(1, sizeof *l);
    l->shell = sh;
    l->peer = e->peer;
    l->run = e->run;
    l->lsn = e->called_lsn;
    l->number = number;
    l->message = buf_dup(e->body);
    ask_call(l);
}
