/* auditor.c - see auditor.h. */
#include "broker/audit/auditor.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/utf8.h"
#include "trust/envelope.h"

/* What waits for its entry to be on disk. */
struct auditor_waiting {
    uint64_t ticket;
    auditor_go *go;
    void *self;
    struct auditor_waiting *next;
};

struct auditor_copy {
    struct hash hash;
    uint64_t ticket, size;
};

struct auditor {
    struct auditor_options options;
    struct ledger *ledger;
    struct audit_head head;
    uint64_t epoch, seq, sealed; /* sealed: the number in the last checkpoint */
    struct hash previous;        /* of the last checkpoint */
    int64_t sealed_at, denied_wall;
    struct buf seal, kept_seal; /* the newest checkpoint; the newest one that is on disk */
    uint64_t seal_ticket;
    struct buf bytes; /* of the pieces; their spans hold offsets until auditor_pending */
    struct store_audit *pieces;
    unsigned n_pieces, cap_pieces;
    uint64_t made, committed; /* pieces since the start; a piece's ticket is its place */
    struct buf copies;        /* not yet on disk: [struct auditor_copy][bytes] of each entry */
    struct auditor_waiting *first, **last;
    unsigned waiting;
};

static size_t write_denial(void *self, const struct ledger_who *who, const struct ledger_denial *d);

struct auditor *auditor_new(const struct auditor_options *o, const struct store_audit_end *end,
                            uint64_t epoch)
{
    struct auditor *a = mem_zalloc(1, sizeof *a);
    a->options = *o;
    a->ledger = ledger_new(write_denial, a);
    a->head = end->head;
    a->epoch = epoch;
    a->seq = end->seq;
    a->sealed = end->sealed;
    a->previous = end->previous;
    a->last = &a->first;
    return a;
}

static void go_on(struct auditor *a, bool cancelled)
{
    while (a->first && (cancelled || a->first->ticket <= a->committed)) {
        struct auditor_waiting *w = a->first;
        if (!(a->first = w->next))
            a->last = &a->first;
        a->waiting--;
        w->go(w->self, cancelled);
        mem_free(&w);
    }
}

void auditor_free(struct auditor **auditor)
{
    struct auditor *a = *auditor;
    if (!a)
        return;
    go_on(a, true);
    ledger_free(&a->ledger);
    buf_free(&a->bytes);
    buf_free(&a->copies);
    buf_free(&a->seal);
    buf_free(&a->kept_seal);
    mem_free(&a->pieces);
    mem_free(auditor);
}

/* ---- Pieces */
static struct span keep(struct auditor *a, struct span bytes)
{
    size_t at = a->bytes.n;
    buf_add(&a->bytes, bytes.p, bytes.n);
    return span_of((const uint8_t *)(uintptr_t)at, bytes.n);
}

static void add(struct auditor *a, const struct store_audit *piece)
{
    if (a->n_pieces == a->cap_pieces) {
        a->cap_pieces = a->cap_pieces ? a->cap_pieces * 2 : 16;
        a->pieces = mem_realloc(a->pieces, a->cap_pieces, sizeof *a->pieces);
    }
    struct store_audit *p = &a->pieces[a->n_pieces++];
    a->made++;
    *p = *piece;
    p->body = keep(a, piece->body);
    p->certificate = keep(a, piece->certificate);
}

const struct store_audit *auditor_pending(struct auditor *a, unsigned *ret_n)
{
    for (unsigned i = 0; i < a->n_pieces; i++) {
        a->pieces[i].body.p = a->bytes.p + (uintptr_t)a->pieces[i].body.p;
        a->pieces[i].certificate.p = a->bytes.p + (uintptr_t)a->pieces[i].certificate.p;
    }
    *ret_n = a->n_pieces;
    return a->pieces;
}

void auditor_taken(struct auditor *a)
{
    a->n_pieces = 0;
    buf_clear(&a->bytes);
}

/* ---- Entries */
/* Cut between characters, and before anything that is no character. */
static struct span fit(const char *text, size_t most)
{
    struct span s = span_str(text);
    utf8_is_valid(s, &s.n);
    s.n = s.n > most ? utf8_cut(s, most) : s.n;
    return s;
}

static size_t write_entry(struct auditor *a, int64_t wall, const struct ledger_who *who,
                          const struct auditor_entry *e)
{
    const struct ledger_who self = {.name = a->options.broker,
                                    .role = role_word(ROLE_BROKER),
                                    .address = "",
                                    .key = a->options.key->transport,
                                    .serial = a->options.serial};
    struct buf body = {0};
    who = who ? who : &self;
    struct d_audit m = {.number = a->head.number + 1,
                        .at = wall,
                        .principal = fit(who->name, LIMIT_NAME),
                        .role = fit(who->role, LIMIT_NAME),
                        .key = who->key,
                        .serial = who->serial,
                        .address = fit(who->address, LIMIT_SHORT),
                        .verb = fit(e->verb, LIMIT_NAME),
                        .object = fit(e->object, LIMIT_SHORT),
                        .decision = e->decision,
                        .code = e->code,
                        .count = e->count ? e->count : 1,
                        .reason = fit(e->reason, LIMIT_TEXT),
                        .before = fit(e->before, LIMIT_TEXT),
                        .after = fit(e->after, LIMIT_TEXT)};
    d_audit_encode(&m, &body);
    audit_chain(&a->head, buf_span(&body));
    add(a, &(struct store_audit){.what = STORE_AUDIT_ENTRY,
                                 .number = m.number,
                                 .at = wall,
                                 .hash = a->head.hash,
                                 .body = buf_span(&body)});
    const struct auditor_copy c = {a->head.hash, a->made, body.n};
    if (a->options.copy != COPY_NONE) {
        buf_add(&a->copies, &c, sizeof c);
        buf_add(&a->copies, body.p, body.n);
    }
    buf_free(&body);
    return c.size;
}

uint64_t auditor_note(struct auditor *a, int64_t wall, const struct ledger_who *who,
                      const struct auditor_entry *e)
{
    write_entry(a, wall, who, e);
    return a->made;
}

uint64_t auditor_act(struct auditor *a, int64_t now, int64_t wall, const struct ledger_who *who,
                     const struct auditor_entry *e)
{
    ledger_acted(a->ledger, now, who, write_entry(a, wall, who, e));
    return a->made;
}

int auditor_may_act(struct auditor *a, int64_t now, const struct ledger_who *who, struct error *err)
{
    return ledger_may_act(a->ledger, now, who, err);
}

static size_t write_denial(void *self, const struct ledger_who *who, const struct ledger_denial *d)
{
    struct auditor *a = self;
    struct auditor_entry e = {.verb = d->verb,
                              .object = d->object,
                              .reason = d->reason,
                              .decision = d->decision,
                              .code = (enum refusal)d->code,
                              .count = d->count};
    return write_entry(a, a->denied_wall, who, &e);
}

void auditor_deny(struct auditor *a, int64_t now, int64_t wall, const struct ledger_who *who,
                  const struct auditor_entry *e)
{
    a->denied_wall = wall;
    ledger_deny(a->ledger, now, who,
                &(struct ledger_denial){.verb = e->verb,
                                        .code = e->code,
                                        .count = 1,
                                        .decision = e->decision,
                                        .object = e->object ? e->object : "",
                                        .reason = e->reason ? e->reason : ""});
}

/* ---- Checkpoints */
void auditor_checkpoint(struct auditor *a, int64_t now, int64_t wall)
{
    struct error err = {0};
    struct buf bytes = {0};
    struct d_checkpoint c = {.cluster = span_str(a->options.cluster),
                             .broker = span_str(a->options.broker),
                             .epoch = a->epoch,
                             .seq = a->seq + 1,
                             .number = a->head.number,
                             .hash = a->head.hash,
                             .at = wall,
                             .previous = a->previous};
    if (audit_checkpoint_sign(&c, a->options.key, a->options.broker, a->options.serial, &bytes,
                              &err) < 0) {
        log_error("the audit trail gets no checkpoint: %s", err.text);
        return;
    }
    add(a, &(struct store_audit){.what = STORE_AUDIT_CHECKPOINT,
                                 .seq = c.seq,
                                 .number = c.number,
                                 .at = wall,
                                 .body = buf_span(&bytes),
                                 .certificate = a->options.certificate});
    envelope_hash(buf_span(&bytes), &a->previous);
    a->seq = c.seq;
    a->sealed = c.number;
    a->sealed_at = now;
    buf_free(&a->seal);
    a->seal = bytes;
    a->seal_ticket = a->made;
}

struct span auditor_sealed(const struct auditor *a)
{
    return buf_span(&a->kept_seal);
}

/* One that was handed out before it is on disk could be gone after a crash, and another one be
 * signed in its place. */
static void keep_seal(struct auditor *a)
{
    if (!a->seal.n || a->seal_ticket > a->committed)
        return;
    buf_free(&a->kept_seal);
    a->kept_seal = a->seal;
    a->seal = (struct buf){0};
}

void auditor_refresh(struct auditor *a, int64_t now, int64_t wall)
{
    a->denied_wall = wall;
    if (now - a->sealed_at < AUDITOR_FRESH_MS)
        return;
    ledger_flush(a->ledger, now, false);
    if (a->head.number > a->sealed)
        auditor_checkpoint(a, now, wall);
}

void auditor_tick(struct auditor *a, int64_t now, int64_t wall)
{
    a->denied_wall = wall;
    ledger_flush(a->ledger, now, false);
    if (now - a->sealed_at >= AUDITOR_HOUR_MS)
        auditor_checkpoint(a, now, wall);
}

int64_t auditor_due(const struct auditor *a, int64_t now)
{
    int64_t due = ledger_due(a->ledger), seal = a->sealed_at + AUDITOR_HOUR_MS;
    due = seal < due ? seal : due;
    return due < now ? now : due;
}

void auditor_drop(struct auditor *a, int64_t wall, uint64_t number)
{
    char object[24];
    snprintf(object, sizeof object, "%llu", (unsigned long long)number);
    add(a, &(struct store_audit){.what = STORE_AUDIT_DROP, .number = number});
    auditor_note(a, wall, NULL,
                 &(struct auditor_entry){.verb = AUDIT_DROP,
                                         .object = object,
                                         .reason = "entries up to this number are older than "
                                                   "audit-retention"});
}

void auditor_stop(struct auditor *a, int64_t now, int64_t wall)
{
    a->denied_wall = wall;
    ledger_flush(a->ledger, now, true);
    auditor_note(a, wall, NULL, &(struct auditor_entry){.verb = "stop"});
    auditor_checkpoint(a, now, wall);
}

/* ---- On disk */
static void send_copies(struct auditor *a)
{
    size_t at = 0;
    while (at < a->copies.n) {
        struct auditor_copy c;
        struct d_audit m;
        memcpy(&c, a->copies.p + at, sizeof c);
        if (c.ticket > a->committed)
            break;
        if (d_audit_decode(span_of(a->copies.p + at + sizeof c, c.size), &m, NULL) == 0)
            copy_send(a->options.copy, &m, &c.hash);
        at += sizeof c + c.size;
    }
    if (at) {
        memmove(a->copies.p, a->copies.p + at, a->copies.n - at);
        a->copies.n -= at;
    }
}

void auditor_committed(struct auditor *a, uint64_t pieces)
{
    a->committed = pieces;
    keep_seal(a);
    send_copies(a);
    go_on(a, false);
}

uint64_t auditor_last(const struct auditor *a)
{
    return a->made;
}

void auditor_when(struct auditor *a, uint64_t ticket, auditor_go *go, void *self)
{
    struct auditor_waiting *w;
    if (ticket <= a->committed) {
        go(self, false);
        return;
    }
    w = mem_zalloc(1, sizeof *w);
    *w = (struct auditor_waiting){ticket, go, self, NULL};
    *a->last = w;
    a->last = &w->next;
    a->waiting++;
}

unsigned auditor_waiting(const struct auditor *a)
{
    return a->waiting;
}
