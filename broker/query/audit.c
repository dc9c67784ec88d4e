/* audit.c - the audit trail: `audit` shows entries to people, newest first; `trail` gives the whole
 * trail as it is stored, for a copy that can be verified.
 *
 * It names everybody and all that they did, so it is for those who may see everything anyway:
 * administrators, and who holds `admin` or `watch` for every job at every address. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/json.h"
#include "broker/query/inside.h"
#include "broker/shell/rights.h"
#include "common/id.h"

static bool may_read(struct query *q)
{
    if (rights_cover(q->shell->core, q->who, VERB_ADMIN, "", "all") ||
        rights_cover(q->shell->core, q->who, VERB_WATCH, "", "all"))
        return true;
    query_refuse(q, REFUSAL_DENIED,
                 "the audit trail is for those who may watch everything: administrators, and who "
                 "holds the grant 'watch *@*' or 'admin *@*'");
    return false;
}

/* ---- For people */
static json_t *entry_json(const struct d_audit *m)
{
    char key[65];
    json_t *o = json_row();
    json_set_number(o, "number", m->number);
    json_set_time(o, "at", m->at);
    json_set_text(o, "principal", m->principal);
    json_set_text(o, "role", m->role);
    if (!hash_is_zero(&m->key))
        json_set_word(o, "key", hex_format(m->key.b, sizeof m->key.b, key));
    if (m->serial)
        json_set_number(o, "serial", m->serial);
    json_set_text(o, "address", m->address);
    json_set_text(o, "verb", m->verb);
    json_set_text(o, "object", m->object);
    json_set_word(o, "decision", audit_decision_word(m->decision));
    if (m->code)
        json_set_word(o, "code", refusal_word(m->code));
    json_set_number(o, "count", m->count);
    json_set_text(o, "reason", m->reason);
    json_set_text(o, "before", m->before);
    json_set_text(o, "after", m->after);
    return o;
}

static bool glob(const char *pattern, struct span text)
{
    return !*pattern || grants_glob_matches(pattern, text);
}

static bool wanted(const struct query *q, const struct d_audit *m)
{
    return glob(q->principal, m->principal) && glob(q->verb, m->verb) &&
           glob(q->object, m->object) &&
           (!*q->decision || strcmp(q->decision, audit_decision_word(m->decision)) == 0) &&
           (!*q->number || strtoull(q->number, NULL, 10) == m->number) &&
           (!q->since || m->at >= q->since) && (!q->until || m->at < q->until);
}

static void hear_audit(void *self, const struct store_answer *a)
{
    struct query *q = self;
    uint64_t next = a->next;
    if (!query_still_there(q, a))
        return;
    for (unsigned i = 0; i < a->n_records; i++) {
        struct d_audit m;
        if (d_audit_decode(a->records[i].body, &m, NULL) < 0)
            continue;                                 /* altered: `lbctl audit verify` names it */
        if (q->since && m.at + 86400000 < q->since) { /* in order, unless the clock jumps */
            next = 0;
            break;
        }
        if (wanted(q, &m) && !query_row(q, entry_json(&m))) {
            next = a->records[i].lsn + 1;
            break;
        }
    }
    if (next && !*q->number)
        snprintf(q->next, sizeof q->next, "%llu", (unsigned long long)next);
    query_answer(q);
}

void query_audit(struct query *q)
{
    struct store_question ask = {.what = STORE_AUDIT, .most = *q->number ? 1 : STORE_PAGE_MAX};
    uint64_t number;
    if (!may_read(q))
        return;
    if (query_number_of(q->after, &ask.after) && query_number_of(q->number, &number)) {
        ask.after = *q->number ? number + 1 : ask.after;
        query_ask(q, &ask, hear_audit);
    } else
        query_refuse(q, REFUSAL_BAD_ARGUMENT, QUERY_NO_CURSOR);
}

/* ---- For a copy */
static void set_bytes(json_t *o, const char *name, struct span bytes)
{
    char *text = b64_format(bytes);
    json_set_word(o, name, text);
    mem_free(&text);
}

static json_t *piece_json(const struct store_audit *p)
{
    char hex[65];
    json_t *o = json_row();
    if (p->what == STORE_AUDIT_CHECKPOINT) {
        json_set_number(o, "seq", p->seq);
        set_bytes(o, "checkpoint", p->body);
        set_bytes(o, "certificate", p->certificate);
    } else {
        json_set_number(o, "number", p->number);
        json_set_word(o, "hash", hex_format(p->hash.b, sizeof p->hash.b, hex));
        set_bytes(o, "entry", p->body);
    }
    return o;
}

static void hear_trail(void *self, const struct store_answer *a)
{
    struct query *q = self;
    uint64_t number, seq;
    bool more = a->next != 0;
    if (!query_still_there(q, a))
        return;
    sscanf(*q->after ? q->after : "0:0", "%lu:%lu", &number, &seq);
    for (unsigned i = 0; i < a->n_trail; i++) {
        const struct store_audit *p = &a->trail[i];
        if (!query_row(q, piece_json(p))) {
            more = true;
            break;
        }
        *(p->what == STORE_AUDIT_CHECKPOINT ? &seq : &number) = p->seq ? p->seq : p->number;
    }
    if (more)
        snprintf(q->next, sizeof q->next, "%lu:%lu", number, seq);
    query_answer(q);
}

static void ask_trail(void *self, bool cancelled)
{
    struct query *q = self;
    struct store_question ask = {.what = STORE_TRAIL, .most = q->limit};
    char rest;
    if (!query_still_there(q, &(struct store_answer){.rc = cancelled ? -ECANCELED : 0}))
        return;
    if (!*q->after || sscanf(q->after, "%lu:%lu%c", &ask.after, &ask.upto, &rest) == 2)
        query_ask(q, &ask, hear_trail);
    else
        query_refuse(q, REFUSAL_BAD_ARGUMENT, QUERY_NO_CURSOR);
}

/* The first page waits for a checkpoint about the newest entry, so that the copy is sealed to its
 * end. */
void query_trail(struct query *q)
{
    struct shell *sh = q->shell;
    if (!may_read(q))
        return;
    if (*q->after) {
        ask_trail(q, false);
        return;
    }
    auditor_refresh(sh->auditor, loop_now(sh->loop), loop_now_wall(sh->loop));
    if (auditor_waiting(sh->auditor) < AUDITOR_WAITING_MAX)
        auditor_when(sh->auditor, auditor_last(sh->auditor), ask_trail, q);
    else
        ask_trail(q, false); /* a disk is full: there is no newer checkpoint */
}
