/* auditing.c - see auditing.h. */
#include "broker/auditing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/acts.h"
#include "broker/dispatch.h"
#include "broker/shell/hello.h"
#include "broker/shell/known.h"
#include "common/clock.h"
#include "common/log.h"
#include "proto/request.h"

/* ---- Who: copied, since a session may end while its message is taken. */
struct auditing_who {
    struct ledger_who who;
    char name[LIMIT_NAME + 1], address[sizeof((struct shell_peer *)0)->address];
};

static void who_is(const struct shell_peer *p, struct auditing_who *ret)
{
    span_copy_str(span_str(p->who.name), ret->name, sizeof ret->name);
    span_copy_str(span_str(p->address), ret->address, sizeof ret->address);
    ret->who = (struct ledger_who){
        .name = ret->name,
        .role = p->certificate ? role_word(p->certificate->role) : "invited",
        .address = ret->address,
        .key = p->key,
        .serial = p->certificate ? p->certificate->serial : 0,
    };
}

/* ---- Time */
static void on_gathered(struct loop *l, struct loop_timer *t, void *arg);

/* Denials that were gathered are written once they are old enough. */
static void arm(struct broker *b)
{
    struct loop *l = b->shell.loop;
    if (!loop_timer_is_set(&b->gathered))
        loop_timer_set(l, &b->gathered, "audit", loop_now(l) + LEDGER_GATHER_MS, on_gathered, b);
}

static void on_gathered(struct loop *l, struct loop_timer *t, void *arg)
{
    struct broker *b = arg;
    (void)t;
    auditor_tick(b->shell.auditor, loop_now(l), loop_now_wall(l));
    if (auditor_due(b->shell.auditor, loop_now(l)) < loop_now(l) + LEDGER_GATHER_MS)
        arm(b);
}

static void hear_due(void *self, const struct store_answer *a)
{
    struct broker *b = self;
    b->asked_due = false;
    if (a->rc == 0 && a->next)
        auditor_drop(b->shell.auditor, loop_now_wall(b->shell.loop), a->next);
}

void auditing_minute(struct broker *b)
{
    struct loop *l = b->shell.loop;
    struct store_question q = {.what = STORE_AUDIT_DUE, .most = 1};
    auditor_tick(b->shell.auditor, loop_now(l), loop_now_wall(l));
    if (!b->options.audit_retention_ms || b->asked_due)
        return;
    q.filter.until = loop_now_wall(l) - (int64_t)b->options.audit_retention_ms;
    b->asked_due = true;
    store_ask(b->shell.store, &q, hear_due, b);
}

/* ---- Start and end */
static void add_settings(const struct broker_options *o, struct buf *out)
{
    for (unsigned i = 0; i < BUDGET_COUNT; i++)
        if (o->budgets[i])
            buf_printf(out, "%s=%llu ", budget_row(i)->word, (unsigned long long)o->budgets[i]);
    buf_printf(out,
               "retention=%llums history-size=%llu audit-retention=%llums audit-copy=%s "
               "max-runs=%llu memory-budget=%llu depot-size=%llu logs-size=%llu "
               "logs-retention=%llums",
               (unsigned long long)o->retention_ms, (unsigned long long)o->history_bytes,
               (unsigned long long)o->audit_retention_ms, copy_word(o->audit_copy),
               (unsigned long long)o->max_runs, (unsigned long long)o->memory_budget,
               (unsigned long long)o->depot_bytes, (unsigned long long)o->logs_bytes,
               (unsigned long long)o->logs_keep_ms);
}

/* The store's trail must reach its own last checkpoint. What is wrong is said, and the trail goes
 * on: whoever verifies it finds the place. */
static void check_end(struct broker *b, const struct store_audit_end *end, int64_t wall)
{
    if (end->sealed < end->head.number ||
        (end->sealed == end->head.number && hash_eq(&end->sealed_to, &end->head.hash)) || !end->seq)
        return;
    char *why = mem_printf("the audit trail ends at entry %llu and does not agree with its last "
                           "checkpoint, about entry %llu; somebody has changed the store",
                           (unsigned long long)end->head.number, (unsigned long long)end->sealed);
    log_error("%s: lbctl audit verify finds the place", why);
    auditor_note(b->shell.auditor, wall, NULL,
                 &(struct auditor_entry){.verb = "trail-broken", .reason = why});
    mem_free(&why);
}

int auditing_open(struct broker *b, struct error *err)
{
    struct shell *sh = &b->shell;
    struct store_audit_end end;
    struct buf settings = {0};
    const int64_t now = clock_boot_ms(), wall = clock_wall_ms();
    int rc = store_audit_end(sh->store, &end, err);
    if (rc < 0)
        return rc;
    struct auditor_options o = {.cluster = sh->cluster,
                                .broker = b->own.name,
                                .key = &b->key,
                                .certificate = buf_span(&b->own.signed_bytes),
                                .serial = b->own.serial,
                                .copy = b->options.audit_copy};
    sh->auditor = auditor_new(&o, &end, store_epoch(sh->store));
    check_end(b, &end, wall);
    add_settings(&b->options, &settings);
    auditor_note(sh->auditor, wall, NULL,
                 &(struct auditor_entry){.verb = b->options.restored ? "start-restored" : "start",
                                         .object = sh->cluster,
                                         .after = buf_str(&settings)});
    auditor_checkpoint(sh->auditor, now, wall);
    buf_free(&settings);
    return 0;
}

void auditing_stop(struct broker *b)
{
    struct loop *l = b->shell.loop;
    loop_timer_stop(l, &b->gathered);
    if (b->shell.auditor)
        auditor_stop(b->shell.auditor, loop_now(l), clock_wall_ms());
}

void auditing_committed(struct broker *b)
{
    auditor_committed(b->shell.auditor, store_audited(b->shell.store));
}

/* ---- Messages */
static void entry_of(struct acts *a, struct auditor_entry *ret)
{
    *ret = (struct auditor_entry){.verb = a->verb,
                                  .object = a->object,
                                  .reason = buf_str(&a->reason),
                                  .before = buf_str(&a->before),
                                  .after = buf_str(&a->after)};
}

static void tell(struct broker *b, const struct auditing_who *who, const struct acts *a,
                 enum audit_decision decision, enum refusal code, const char *why)
{
    struct shell *sh = &b->shell;
    struct auditor_entry e = {
        .verb = a->verb, .object = a->object, .decision = decision, .code = code, .reason = why};
    auditor_deny(sh->auditor, loop_now(sh->loop), loop_now_wall(sh->loop), &who->who, &e);
    arm(b);
}

/* Hands the message on; returns by which refusal it was answered. p may be gone then. */
static enum refusal take(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message)
{
    const struct dispatch_row *row = dispatch_row_of(kind, rights_role(p->certificate));
    b->shell.taking.peer = p->handle;
    b->shell.taking.code = REFUSAL_NONE;
    row->take(b, p, kind, message);
    b->shell.taking.peer = 0;
    return b->shell.taking.code;
}

/* An act whose entry is not yet on disk. */
struct auditing_later {
    struct broker *b;
    uint64_t peer, kind;
    struct buf message;
    struct auditing_who who;
    struct acts act;
};

static void take_later(void *self, bool cancelled)
{
    struct auditing_later *l = self;
    struct shell *sh = &l->b->shell;
    struct shell_peer *p = cancelled ? NULL : shell_find_peer(sh, l->peer);
    const char *text = "the session had ended before it was done";
    enum refusal code = p ? hello_still_good(sh, p, &text) : REFUSAL_NOT_OPEN;
    l->who.who.name = l->who.name;
    l->who.who.address = l->who.address;
    if (p && code != REFUSAL_NONE)
        shell_drop(sh, p, code, text);
    else if (p && (code = take(l->b, p, l->kind, buf_span(&l->message))) != REFUSAL_NONE)
        text = sh->taking.text;
    if (!cancelled && code != REFUSAL_NONE)
        tell(l->b, &l->who, &l->act, acts_is_denial(code) ? AUDIT_DENIED : AUDIT_REFUSED, code,
             text);
    acts_free(&l->act);
    buf_free(&l->message);
    mem_free(&l);
}

static void wait_for_entry(struct broker *b, const struct shell_peer *p, uint64_t kind,
                           struct span message, uint64_t ticket, const struct auditing_who *who,
                           struct acts *act)
{
    struct auditing_later *l = mem_zalloc(1, sizeof *l);
    l->b = b;
    l->peer = p->handle;
    l->kind = kind;
    l->message = buf_dup(message);
    l->who = *who;
    l->act = *act;
    *act = (struct acts){0};
    auditor_when(b->shell.auditor, ticket, take_later, l);
}

static bool may_act(struct broker *b, const struct shell_peer *p, uint64_t kind,
                    struct span message, const struct auditing_who *who, const struct acts *act)
{
    struct shell *sh = &b->shell;
    struct error err = {0};
    uint64_t req = 0;
    if (act->entry_first && auditor_waiting(sh->auditor) >= AUDITOR_WAITING_MAX)
        error_set(&err, -EDQUOT,
                  "the audit trail cannot be written now, and without an entry "
                  "nothing is done: is the broker's disk full?");
    else if (auditor_may_act(sh->auditor, loop_now(sh->loop), &who->who, &err) == 0)
        return true;
    request_number(kind, message, false, &req);
    shell_error(sh, p->handle, req, REFUSAL_BUSY, "%s", err.text);
    tell(b, who, act, AUDIT_REFUSED, REFUSAL_BUSY, err.text);
    return false;
}

static void take_act(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message,
                     const struct auditing_who *who, struct acts *act)
{
    struct shell *sh = &b->shell;
    const int64_t now = loop_now(sh->loop), wall = loop_now_wall(sh->loop);
    struct auditor_entry e;
    if (!may_act(b, p, kind, message, who, act))
        return;
    entry_of(act, &e);
    if (act->entry_first) {
        wait_for_entry(b, p, kind, message, auditor_act(sh->auditor, now, wall, &who->who, &e), who,
                       act);
        return;
    }
    enum refusal code = take(b, p, kind, message);
    if (code == REFUSAL_NONE)
        auditor_act(sh->auditor, now, wall, &who->who, &e);
    else
        tell(b, who, act, acts_is_denial(code) ? AUDIT_DENIED : AUDIT_REFUSED, code,
             sh->taking.text);
}

/* The message's bytes may have gone with its session. */
static void tell_denied(struct broker *b, const struct shell_peer *sender,
                        const struct auditing_who *who, uint64_t kind, struct span message,
                        enum refusal code)
{
    struct acts act;
    bool there = shell_find_peer(&b->shell, sender->handle) != NULL;
    acts_read(&b->shell, sender, kind, there ? message : SPAN_NONE, &act);
    tell(b, who, &act, AUDIT_DENIED, code, b->shell.taking.text);
    acts_free(&act);
}

void auditing_take(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message)
{
    struct auditing_who who;
    struct acts act = {0};
    who_is(p, &who);
    if (acts_may_be(kind))
        acts_read(&b->shell, p, kind, message, &act);
    if (act.privileged) {
        take_act(b, p, kind, message, &who, &act);
    } else {
        const struct shell_peer sender = *p; /* with its certificate, which outlives the session */
        enum refusal code = take(b, p, kind, message);
        if (acts_is_denial(code)) /* by a service or the core */
            tell_denied(b, &sender, &who, kind, message, code);
    }
    acts_free(&act);
}

void auditing_deny(struct broker *b, const struct shell_peer *p, uint64_t kind, struct span message,
                   enum refusal code, const char *why)
{
    struct auditing_who who;
    struct acts act;
    who_is(p, &who);
    acts_read(&b->shell, p, kind, message, &act);
    tell(b, &who, &act, AUDIT_DENIED, code, why);
    acts_free(&act);
}

void auditing_deny_session(struct broker *b, const struct hash *key, const char *address,
                           enum refusal code, const char *why)
{
    const struct certificate *c = known_by_key(b->shell.known, key);
    struct auditing_who who = {
        .who = {.name = c ? c->name : "",
                .role = c ? role_word(c->role) : "",
                .address = address,
                .key = *key,
                .serial = c ? c->serial : 0},
    };
    struct acts act = {.verb = "hello"};
    tell(b, &who, &act, AUDIT_DENIED, code, why);
}
