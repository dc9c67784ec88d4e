/* auditor.h - writes the audit trail (trust/audit.h): who did or asked for what, and what became of
 * it.
 *
 * The auditor numbers and chains entries, gathers denials (ledger.h), and signs checkpoints: at the
 * start, each hour, before the trail is read, and at the end. What it has made waits in its list
 * until the turn ends (shell/turn.c), which gives it to the store together with the records of the
 * same turn. So an act that is a record of the core and its entry are committed together. An act
 * that is something else, such as a file, waits for its entry: auditor_when.
 *
 * Not pure only in copies (copy.h). Times: `now` never goes back, `wall` is for people; ms. */
#ifndef LB_BROKER_AUDIT_AUDITOR_H
#define LB_BROKER_AUDIT_AUDITOR_H

#include "broker/audit/copy.h"
#include "broker/audit/ledger.h"
#include "broker/store/store.h"

enum {
    AUDITOR_HOUR_MS = 3600000,
    /* between two checkpoints that were made because somebody reads: so readers add little */
    AUDITOR_FRESH_MS = 1000,
    AUDITOR_WAITING_MAX = 64 /* acts that wait for their entry; more would wait for a disk */
};

struct auditor_options {
    const char *cluster, *broker; /* names; lent */
    const struct key *key;        /* the broker's; lent */
    struct span certificate;      /* the broker's, d_signed; lent */
    uint64_t serial;              /* of that */
    enum copy copy;
};

/* An entry. NULL texts are empty; longer ones than a field takes are cut. */
struct auditor_entry {
    const char *verb, *object, *reason, *before, *after;
    enum audit_decision decision;
    enum refusal code;
    uint64_t count; /* 0: once */
};

struct auditor;
/* Goes on where the trail ends. */
struct auditor *auditor_new(const struct auditor_options *o, const struct store_audit_end *end,
                            uint64_t epoch);
void auditor_free(struct auditor **a);

/* ---- Entries */
/* `who` NULL: the broker itself. Returns a ticket for auditor_when. */
uint64_t auditor_note(struct auditor *a, int64_t wall, const struct ledger_who *who,
                      const struct auditor_entry *e);
/* The same for an act of a principal, which counts it (ledger_may_act has allowed it). */
uint64_t auditor_act(struct auditor *a, int64_t now, int64_t wall, const struct ledger_who *who,
                     const struct auditor_entry *e);
/* May it do one more? -EDQUOT, with the sentence for `busy`. */
int auditor_may_act(struct auditor *a, int64_t now, const struct ledger_who *who,
                    struct error *err);
/* Counted, and written at once or with others of its kind; e->decision is DENIED or REFUSED. */
void auditor_deny(struct auditor *a, int64_t now, int64_t wall, const struct ledger_who *who,
                  const struct auditor_entry *e);

/* ---- Work that is due */
/* Writes gathered denials, and the hourly checkpoint. */
void auditor_tick(struct auditor *a, int64_t now, int64_t wall);
int64_t auditor_due(const struct auditor *a, int64_t now); /* of auditor_tick */
/* A checkpoint at the last entry. */
void auditor_checkpoint(struct auditor *a, int64_t now, int64_t wall);
/* The same for a reader: only if there are new entries and the last checkpoint is older than
 * AUDITOR_FRESH_MS. */
void auditor_refresh(struct auditor *a, int64_t now, int64_t wall);
/* The newest checkpoint that is on disk, a d_signed; empty: none yet. Valid until the next
 * auditor_committed. */
struct span auditor_sealed(const struct auditor *a);
/* Entries up to `number` go; an entry says so. */
void auditor_drop(struct auditor *a, int64_t wall, uint64_t number);
/* The end: writes everything that was gathered, an entry `stop`, and a checkpoint. */
void auditor_stop(struct auditor *a, int64_t now, int64_t wall);

/* ---- The way to the store */
/* What was made since auditor_taken; valid until the next call. */
const struct store_audit *auditor_pending(struct auditor *a, unsigned *ret_n);
void auditor_taken(struct auditor *a);
/* So many of the pieces made since the start are on disk (store_audited): entries among them are
 * copied, and what waits for them goes on. */
void auditor_committed(struct auditor *a, uint64_t pieces);
/* The ticket of what was made last. */
uint64_t auditor_last(const struct auditor *a);
/* Calls `go` once what the ticket is for is on disk: perhaps at once; or when the auditor ends
 * (`cancelled`). */
typedef void auditor_go(void *self, bool cancelled);
void auditor_when(struct auditor *a, uint64_t ticket, auditor_go *go, void *self);
unsigned auditor_waiting(const struct auditor *a); /* how many wait */

#endif
