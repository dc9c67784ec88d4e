/* dispatch.c - see dispatch.h. */
#include "broker/dispatch.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "broker/acts.h"
#include "broker/auditing.h"
#include "broker/depot/enrol.h"
#include "broker/shell/hello.h"
#include "broker/shell/later.h"
#include "broker/shell/operate.h"
#include "broker/shell/turn.h"
#include "common/log.h"
#include "proto/request.h"

/* ---- Who takes what */
static void to_core(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message)
{
    (void)kind;
    turn_step_message(&b->shell, p, message);
}

/* The sessions of net/ handle these themselves. */
static void to_session(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message)
{
    (void)kind, (void)message;
    shell_drop(&b->shell, p, REFUSAL_MALFORMED, "unexpected message");
}

static void to_query(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message)
{
    (void)kind;
    query_take(&b->sources, p, message);
}

static void to_operate(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message)
{
    (void)kind;
    operate_take(&b->shell, p, message);
}

static void to_events(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message)
{
    events_take(b->events, p, kind, message);
}

static void to_logs(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message)
{
    logs_take(b->logs, p, kind, message);
}

static void to_depot(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message)
{
    depot_take(b->depot, p, kind, message);
}

static void to_enrol(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message)
{
    switch (kind) {
    case KIND_M_ENROL:
        enrol_take(&b->shell, p, message);
        break;
    case KIND_M_CERTIFICATE:
        enrol_certificates(&b->shell, p, message);
        break;
    case KIND_M_PUBLISH:
        enrol_publish(&b->shell, p, message);
        break;
    case KIND_M_REVOKE:
        enrol_revoke(&b->shell, p, message);
        break;
    case KIND_M_DEPLOY:
        enrol_deploy(b->depot, p, message);
        break;
    case KIND_M_SECRET_PUT:
        enrol_secret(&b->shell, p, message);
        break;
    }
}

/* ---- The table. Several rows for one message: the first with the sender's role counts. */
/* clang-format off */
#define ROW(kind, roles, verb, target, take, core) \
    {{KIND_M_##kind, RIGHTS_##roles, VERB_##verb, RIGHTS_##target}, take, core}
#define RIGHTS_CALLERS (RIGHTS_ADM | RIGHTS_CLL)

static const struct dispatch_row ROWS[] = {
    /*  message       roles    verb     target      taker       reaches the core? */
    ROW(HELLO,        ALL,     CALL,    NOTHING,    to_session, false),
    ROW(BYE,          ALL,     CALL,    NOTHING,    to_session, false),
    ROW(PING,         ALL,     CALL,    NOTHING,    to_core,    true),
    ROW(RESOLVE,      CALLERS, CALL,    RESOLVE,    to_core,    true),
    ROW(CALL,         CALLERS, CALL,    CALL,       to_core,    true),
    ROW(FOLLOW,       PEOPLE,  WATCH,   RUN,        to_core,    true),
    ROW(CANCEL,       CALLERS, OPERATE, RUN,        to_core,    true),
    ROW(PARENT_PLAN,  CALLERS, CALL,    SOMEWHERE,  to_depot,   false),
    ROW(PARENT_BEGIN, CALLERS, CALL,    BEGIN,      to_depot,   true),
    ROW(PARENT_DRIVE, CALLERS, OPERATE, PARENT,     to_core,    true),
    ROW(PARENT_END,   CALLERS, OPERATE, PARENT,     to_core,    true),
    ROW(ATTEST,       SRV,     CALL,    NOTHING,    to_core,    true),
    ROW(HAVE,         SRV,     CALL,    NOTHING,    to_core,    true),
    ROW(HAVE_END,     SRV,     CALL,    NOTHING,    to_core,    true),
    ROW(STARTED,      SRV,     CALL,    NOTHING,    to_core,    true),
    ROW(PROGRESS,     SRV,     CALL,    NOTHING,    to_core,    true),
    ROW(RESULT,       SRV,     CALL,    NOTHING,    to_core,    true),
    ROW(RETURNED,     SRV,     CALL,    NOTHING,    to_core,    true),
    ROW(LOG_DATA,     SRV,     CALL,    NOTHING,    to_logs,    false), /* of its own runs */
    ROW(LOGS,         PEOPLE,  WATCH,   RUN,        to_logs,    false),
    ROW(QUERY,        PEOPLE,  WATCH,   NOTHING,    to_query,   false), /* each row is judged */
    ROW(OPERATE,      PEOPLE,  OPERATE, OPERATE,    to_operate, true),
    ROW(SUBSCRIBE,    PEOPLE,  WATCH,   NOTHING,    to_events,  false), /* each event is judged */
    ROW(CREDIT,       PEOPLE,  WATCH,   NOTHING,    to_events,  false),
    ROW(UNSUBSCRIBE,  PEOPLE,  WATCH,   NOTHING,    to_events,  false),
    ROW(PUT,          CALLERS, DEPLOY,  SOMEWHERE,  to_depot,   false),
    ROW(PUT_END,      CALLERS, DEPLOY,  SOMEWHERE,  to_depot,   false),
    ROW(GET,          SRV,     CALL,    NOTHING,    to_depot,   false),
    ROW(GET,          CALLERS, CALL,    SOMEWHERE,  to_depot,   false),
    ROW(DEPLOY,       CALLERS, DEPLOY,  DEPLOY,     to_enrol,   true),
    ROW(SECRET_PUT,   CALLERS, SECRET,  SECRET,     to_enrol,   true),
    ROW(SECRET_FOR,   CALLERS, SECRET,  SECRET,     to_core,    true),
    ROW(SECRET_GET,   SRV,     CALL,    NOTHING,    to_core,    true), /* of its own */
    ROW(ENROL,        ONE,     CALL,    NOTHING,    to_enrol,   true),
    ROW(CERTIFICATE,  PEERS,   WATCH,   CERTIFICATE, to_enrol,  false),
    ROW(PUBLISH,      CALLERS, ADMIN,   EVERYTHING, to_enrol,   true),
    ROW(REVOKE,       CALLERS, ADMIN,   EVERYTHING, to_enrol,   true),
};
/* clang-format on */

const struct dispatch_row *dispatch_row_at(unsigned i)
{
    return i < sizeof ROWS / sizeof *ROWS ? &ROWS[i] : NULL;
}

const struct dispatch_row *dispatch_row_of(uint64_t kind, unsigned role)
{
    for (unsigned i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (ROWS[i].rule.kind == kind && (ROWS[i].rule.roles & role))
            return &ROWS[i];
    return NULL;
}

/* ---- Refusals */

/* ERROR wherever the request has a number that can be read, even if nothing else of it can. What
 * has none ends the session: its sender would wait for ever, or go on the wrong way. The number of
 * CREDIT is its subscription's, so the ERROR is about that: it ends, since nobody can tell what
 * its reader has taken. */
static void answer(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message,
                   enum refusal code, const char *why)
{
    uint64_t req;
    const bool numbered = request_peek(kind, message, &req);
    if (numbered && kind == KIND_M_CREDIT)
        events_end(b->events, p, req);
    if (numbered)
        shell_error(&b->shell, p->handle, req, code, "%s", why);
    else
        shell_drop(&b->shell, p, code, why);
}

/* Kept in `events`, each principal and message at most once in BROKER_DENIAL_NOTE_MS, with the
 * count of those skipped. */
static void note_denial(struct broker *b, const struct shell_peer *p, uint64_t kind,
                        const char *why)
{
    const struct wire_schema *s = messages_schema_of_kind(kind, NULL);
    const char *name = *p->who.name ? p->who.name : "(one-time key)", *what = s ? s->name : "?";
    int64_t now = loop_now(b->shell.loop);
    struct broker_denial *d = &b->denials[0];
    b->shell.denials++;
    for (unsigned i = 0; i < sizeof b->denials / sizeof *b->denials; i++) {
        if (b->denials[i].kind == kind && strcmp(b->denials[i].name, name) == 0) {
            d = &b->denials[i];
            break;
        }
        if (b->denials[i].noted < d->noted)
            d = &b->denials[i];
    }
    if (d->kind != kind || strcmp(d->name, name) != 0) {
        memset(d, 0, sizeof *d);
        d->kind = kind;
        strcpy(d->name, name);
    }
    d->count++;
    if (d->noted && now - d->noted < BROKER_DENIAL_NOTE_MS)
        return;
    char *text =
        mem_printf("%s (%llu times, from %s)", why, (unsigned long long)d->count, p->address);
    shell_note(&b->shell, name, "denied", what, text);
    log_info("denied: %s to '%s': %s", what, name, text);
    mem_free(&text);
    d->count = 0;
    d->noted = now;
}

static void deny(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message,
                 enum refusal code, const char *why)
{
    note_denial(b, p, kind, why);
    auditing_deny(b, p, kind, message, code, why);
    answer(b, p, kind, message, code, why);
}

/* Is it of the form of its kind? What the takers get is; none of them decides about it again. */
static enum refusal judge_form(uint64_t kind, struct span message, struct error *err)
{
    _Alignas(max_align_t) uint8_t decoded[REQUEST_DECODED_MAX];
    const struct wire_schema *s = messages_schema_of_kind(kind, NULL);
    assert(s && s->size <= sizeof decoded);
    const int rc = wire_decode(s, message, false, decoded, err);
    return rc == 0 ? REFUSAL_NONE : rc == -EMSGSIZE ? REFUSAL_TOO_LARGE : REFUSAL_MALFORMED;
}

static bool is_of_form(enum refusal code)
{
    return code == REFUSAL_MALFORMED || code == REFUSAL_TOO_LARGE;
}

static void judged_later(void *self, struct shell_peer *p, uint64_t kind, struct span message,
                         enum refusal code, const char *why)
{
    struct broker *b = self;
    if (code == REFUSAL_NONE)
        auditing_take(b, p, kind, message);
    else if (acts_is_denial(code))
        deny(b, p, kind, message, code, why);
    else
        answer(b, p, kind, message, code, why);
}

static void dispatch(struct broker *b, uint64_t handle, uint64_t kind, struct span message)
{
    struct shell *sh = &b->shell;
    struct shell_peer *p = shell_find_peer(sh, handle);
    struct error err = {0};
    enum refusal code = REFUSAL_NONE;
    const char *text;
    if (!p)
        return;
    sh->messages += kind != KIND_M_PING;
    if ((code = hello_still_good(sh, p, &text)) != REFUSAL_NONE) {
        auditing_deny(b, p, kind, message, code, text);
        shell_drop(sh, p, code, text);
        return;
    }
    if (p->minor > PROTO_MINOR)
        message = messages_fit(kind, PROTO_MINOR, message, &sh->trimmed);
    const struct dispatch_row *row = dispatch_row_of(kind, rights_role(p->certificate));
    enum rights_verdict verdict = RIGHTS_DENIED;
    if (!row || (code = judge_form(kind, message, &err)) == REFUSAL_NONE)
        verdict = rights_judge(sh->core, p->certificate, row ? &row->rule : NULL, kind, message,
                               &code, &err);
    if (verdict == RIGHTS_LATER && row->core && row->rule.verb != VERB_WATCH)
        later_judge(sh, p, &row->rule, kind, message, judged_later, b);
    else if (verdict != RIGHTS_DENIED)
        auditing_take(b, p, kind, message);
    else if (row && is_of_form(code))
        answer(b, p, kind, message, code, err.text);
    else
        deny(b, p, kind, message, code, err.text);
}

void dispatch_message(void *broker, uint64_t handle, uint64_t kind, struct span message)
{
    struct broker *b = broker;
    const uint64_t before = turn_last_lsn(&b->shell);
    dispatch(b, handle, kind, message);
    const uint64_t last = turn_last_lsn(&b->shell);
    if (last > before)
        net_server_made(b->shell.net, handle, last - before, last);
}
