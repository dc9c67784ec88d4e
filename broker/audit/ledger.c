/* ledger.c - see ledger.h. */
#include "broker/audit/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/hashtable.h"
#include "common/mem.h"
#include "common/utf8.h"

enum { KEPT_REASON = 240 };

/* Denials of one verb with one code. */
struct ledger_slot {
    char verb[LIMIT_NAME + 1], object[LIMIT_SHORT + 1], reason[KEPT_REASON + 1],
        address[LIMIT_SHORT + 1];
    uint64_t code, count; /* count: since `noted` */
    unsigned decision;
    int64_t noted;
};

struct ledger_account {
    struct hash key;
    char name[LIMIT_NAME + 1], role[LIMIT_NAME + 1];
    uint64_t serial;
    int64_t hour; /* began then */
    uint64_t denied_bytes, acted_bytes, left_out;
    struct ledger_slot *slots;
    unsigned n_slots;
    UT_hash_handle hh;
};

struct ledger {
    ledger_write *write;
    void *self;
    struct ledger_account *accounts;
};

struct ledger *ledger_new(ledger_write *write, void *self)
{
    struct ledger *l = mem_zalloc(1, sizeof *l);
    l->write = write;
    l->self = self;
    return l;
}

static void remove_account(struct ledger *l, struct ledger_account *a)
{
    HASH_DEL(l->accounts, a);
    mem_free(&a->slots);
    mem_free(&a);
}

void ledger_free(struct ledger **ledger)
{
    struct ledger *l = *ledger;
    if (!l)
        return;
    while (l->accounts)
        remove_account(l, l->accounts);
    mem_free(ledger);
}

static void copy(char *to, size_t size, const char *text)
{
    span_copy_str(span_str(text), to, size);
    utf8_trim(to);
}

static struct ledger_who who_of(const struct ledger_account *a, const char *address)
{
    return (struct ledger_who){
        .name = a->name, .role = a->role, .address = address, .key = a->key, .serial = a->serial};
}

/* A new hour: what the last one left out is said. */
static void turn_hour(struct ledger *l, struct ledger_account *a, int64_t now)
{
    if (now - a->hour < LEDGER_HOUR_MS)
        return;
    a->hour = now;
    a->denied_bytes = a->acted_bytes = 0;
    if (!a->left_out)
        return;
    struct ledger_who who = who_of(a, "");
    struct ledger_denial d = {.verb = LEDGER_LEFT_OUT,
                              .count = a->left_out,
                              .decision = AUDIT_DENIED,
                              .object = "",
                              .reason = "more denials in an hour than the trail takes"};
    a->left_out = 0;
    a->denied_bytes += l->write(l->self, &who, &d);
}

static struct ledger_account *account_of(struct ledger *l, int64_t now,
                                         const struct ledger_who *who)
{
    struct ledger_account *a;
    HASH_FIND(hh, l->accounts, &who->key, sizeof who->key, a);
    if (!a) {
        a = mem_zalloc(1, sizeof *a);
        a->key = who->key;
        a->hour = now;
        HASH_ADD(hh, l->accounts, key, sizeof a->key, a);
    }
    copy(a->name, sizeof a->name, who->name);
    copy(a->role, sizeof a->role, who->role);
    a->serial = who->serial;
    turn_hour(l, a, now);
    return a;
}

static void write_slot(struct ledger *l, struct ledger_account *a, struct ledger_slot *s,
                       int64_t now)
{
    struct ledger_who who = who_of(a, s->address);
    struct ledger_denial d = {.verb = s->verb,
                              .code = s->code,
                              .count = s->count,
                              .decision = s->decision,
                              .object = s->object,
                              .reason = s->reason};
    if (a->denied_bytes >= LEDGER_DENIALS_MAX)
        a->left_out += s->count;
    else
        a->denied_bytes += l->write(l->self, &who, &d);
    s->count = 0;
    s->noted = now;
}

/* The slot of this verb and code; else a new one, or that of the oldest, which is written first. */
static struct ledger_slot *slot_of(struct ledger *l, struct ledger_account *a, int64_t now,
                                   const struct ledger_denial *d)
{
    struct ledger_slot *s = NULL;
    for (unsigned i = 0; i < a->n_slots; i++) {
        if (a->slots[i].code == d->code && a->slots[i].decision == d->decision &&
            strcmp(a->slots[i].verb, d->verb) == 0)
            return &a->slots[i];
        if (!s || a->slots[i].noted < s->noted)
            s = &a->slots[i];
    }
    if (a->n_slots < LEDGER_SLOTS_MAX) {
        a->slots = mem_realloc(a->slots, a->n_slots + 1, sizeof *a->slots);
        s = &a->slots[a->n_slots++];
        memset(s, 0, sizeof *s);
    } else if (s->count) {
        write_slot(l, a, s, now);
    }
    copy(s->verb, sizeof s->verb, d->verb);
    s->code = d->code;
    s->decision = d->decision;
    s->noted = now - LEDGER_GATHER_MS;
    return s;
}

void ledger_deny(struct ledger *l, int64_t now, const struct ledger_who *who,
                 const struct ledger_denial *d)
{
    struct ledger_account *a = account_of(l, now, who);
    struct ledger_slot *s = slot_of(l, a, now, d);
    copy(s->object, sizeof s->object, d->object);
    copy(s->reason, sizeof s->reason, d->reason);
    copy(s->address, sizeof s->address, who->address);
    s->count += d->count;
    if (now - s->noted >= LEDGER_GATHER_MS)
        write_slot(l, a, s, now);
}

static void flush_account(struct ledger *l, struct ledger_account *a, int64_t now, bool all)
{
    for (unsigned i = 0; i < a->n_slots; i++)
        if (a->slots[i].count && (all || now - a->slots[i].noted >= LEDGER_GATHER_MS))
            write_slot(l, a, &a->slots[i], now);
    if (all && a->left_out)
        a->hour = now - LEDGER_HOUR_MS;
    bool old = now - a->hour >= LEDGER_HOUR_MS;
    turn_hour(l, a, now);
    if (old && !a->denied_bytes && !a->acted_bytes)
        remove_account(l, a);
}

void ledger_flush(struct ledger *l, int64_t now, bool all)
{
    struct ledger_account *a, *next;
    HASH_ITER (hh, l->accounts, a, next)
        flush_account(l, a, now, all);
}

int64_t ledger_due(const struct ledger *l)
{
    int64_t due = INT64_MAX;
    for (const struct ledger_account *a = l->accounts; a; a = a->hh.next) {
        int64_t at = a->hour + LEDGER_HOUR_MS;
        for (unsigned i = 0; i < a->n_slots; i++)
            if (a->slots[i].count && a->slots[i].noted + LEDGER_GATHER_MS < at)
                at = a->slots[i].noted + LEDGER_GATHER_MS;
        due = at < due ? at : due;
    }
    return due;
}

int ledger_may_act(struct ledger *l, int64_t now, const struct ledger_who *who, struct error *err)
{
    struct ledger_account *a = account_of(l, now, who);
    if (a->acted_bytes < LEDGER_ACTS_MAX)
        return 0;
    return error_set(err, -EDQUOT,
                     "'%s' has done more within an hour than the audit trail takes of one "
                     "principal (%d MiB); it may go on in %lld minutes",
                     a->name, LEDGER_ACTS_MAX >> 20,
                     (long long)((a->hour + LEDGER_HOUR_MS - now) / 60000 + 1));
}

void ledger_acted(struct ledger *l, int64_t now, const struct ledger_who *who, size_t bytes)
{
    account_of(l, now, who)->acted_bytes += bytes;
}
