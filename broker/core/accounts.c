/* accounts.c - what each principal holds in the core, so that one that is greedy is refused before
 * it costs others anything. The rule of a share is in trust/budget.h.
 *
 * Everything that grows with what a principal sends is charged to it: its live runs and parents,
 * the classes and lanes that it brings, what its sessions follow. The core knows principals by
 * name, the shell by key; a name has one key at a time. */
#include "broker/core/inside.h"
#include "broker/core/view.h"

static uint64_t account_hash(const void *self, uintptr_t item)
{
    (void)self;
    return ((const struct account *)item)->name->hash;
}

static bool account_same(const void *self, uintptr_t item, const void *key)
{
    (void)self;
    return ((const struct account *)item)->name == key;
}

static void gone_unlink(struct bcore *c, struct account *a)
{
    *(a->gone_prev ? &a->gone_prev->gone_next : &c->gone_first) = a->gone_next;
    *(a->gone_next ? &a->gone_next->gone_prev : &c->gone_last) = a->gone_prev;
    a->gone_prev = a->gone_next = NULL;
    c->n_gone--;
}

static void free_oldest_gone(struct bcore *c)
{
    struct account *a = c->gone_first;
    gone_unlink(c, a);
    table_remove(&c->accounts, (uintptr_t)a);
    text_put(c, &a->name);
    mem_free(&a);
}

void account_free_gone(struct bcore *c)
{
    while (c->gone_first)
        free_oldest_gone(c);
}

struct account *account_get(struct bcore *c, struct text *name)
{
    struct account *a;
    if (!c->accounts.hash)
        c->accounts = (struct table){.hash = account_hash, .same = account_same};
    a = (struct account *)table_find(&c->accounts, name->hash, name);
    if (!a) {
        a = mem_zalloc(1, sizeof *a);
        a->name = text_ref(name);
        a->served = c->counts.decisions;
        table_add(&c->accounts, (uintptr_t)a);
    } else if (!a->refs) {
        gone_unlink(c, a);
    }
    a->refs++;
    return a;
}

void account_put(struct bcore *c, struct account **pa)
{
    struct account *a = *pa;
    *pa = NULL;
    if (!a || --a->refs)
        return;
    a->gone_at = c->now;
    a->gone_prev = c->gone_last;
    *(c->gone_last ? &c->gone_last->gone_next : &c->gone_first) = a;
    c->gone_last = a;
    c->n_gone++;
    while (c->n_gone > ACCOUNTS_GONE_MAX || c->now - c->gone_first->gone_at > ACCOUNT_GONE_MS)
        free_oldest_gone(c);
}

void account_charge(struct bcore *c, struct account *a, uint64_t bytes)
{
    a->memory += bytes;
    c->memory += bytes;
    if (a->memory > a->most_memory)
        a->most_memory = a->memory;
}

void account_release(struct bcore *c, struct account *a, uint64_t bytes)
{
    a->memory -= bytes;
    c->memory -= bytes;
}

bool account_rate(const struct bcore *c, struct rate *r, uint64_t amount, uint64_t most,
                  uint64_t full_ms)
{
    uint64_t gone = c->now > r->at ? (uint64_t)(c->now - r->at) : 0;
    uint64_t back = gone < full_ms ? most / full_ms * gone + most % full_ms * gone / full_ms : most;
    if (back) { /* else less than one has come back, and the time goes on counting */
        r->used -= back < r->used ? back : r->used;
        r->at = c->now;
    }
    if (!r->used)
        r->at = c->now;
    if (amount > most || r->used > most - amount)
        return false;
    r->used += amount;
    return true;
}

bool account_allows_memory(struct bcore *c, struct account *a, uint64_t req, uint64_t bytes)
{
    uint64_t size = c->config.memory_budget, percent = c->config.memory_percent;
    if (c->memory + bytes > size)
        out_fail_busy(c, req, "waiting calls fill the broker's memory budget");
    else if (!budget_share_fits(a->memory, bytes, c->memory, size, percent))
        out_fail_busy(c, req,
                      "the live runs of '%s' take %llu bytes of the broker's memory, which is its "
                      "share of what is free (setting budgets: memory=%llu)",
                      a->name->s, (unsigned long long)a->memory, (unsigned long long)percent);
    else
        return true;
    a->refused_memory++;
    return false;
}

bool account_allows_live(struct bcore *c, struct account *a, uint64_t req, const char *what,
                         uint64_t own, uint64_t all)
{
    uint64_t size = c->config.max_runs, percent = c->config.runs_percent;
    if (all >= size)
        out_fail_busy(c, req, "%llu %s are live, which is this broker's limit",
                      (unsigned long long)all, what);
    else if (!budget_share_fits(own, 1, all, size, percent))
        out_fail_busy(c, req,
                      "%llu %s of '%s' are live, which is its share of what is free (setting "
                      "budgets: runs=%llu)",
                      (unsigned long long)own, what, a->name->s, (unsigned long long)percent);
    else
        return true;
    a->refused_runs++;
    return false;
}

bool account_allows_class(struct bcore *c, struct account *a, uint64_t req)
{
    uint64_t all = c->classes.n - c->n_idle;
    if (budget_share_fits(a->classes, 1, all, c->config.classes_max, c->config.runs_percent))
        return true;
    out_fail_busy(c, req,
                  "the live runs of '%s' name %llu different pairs of job and address, which is "
                  "its share of the %llu that this broker looks after",
                  a->name->s, (unsigned long long)a->classes,
                  (unsigned long long)c->config.classes_max);
    a->refused_runs++;
    return false;
}

void view_accounts(const struct bcore *c, void (*take)(void *self, const struct view_account *v),
                   void *self)
{
    size_t place = 0;
    uintptr_t item;
    while ((item = table_next(&c->accounts, &place))) {
        const struct account *a = (const struct account *)item;
        if (!a->refs)
            continue;
        const struct server *s = server_find(c, span_of(a->name->s, a->name->n));
        take(self, &(struct view_account){.name = a->name->s,
                                          .sessions = a->sessions,
                                          .runs = a->runs,
                                          .parents = a->parents,
                                          .follows = a->follows,
                                          .memory = a->memory,
                                          .most_runs = a->most_runs,
                                          .most_memory = a->most_memory,
                                          .refused_runs = a->refused_runs,
                                          .refused_memory = a->refused_memory,
                                          .evidence = s ? s->evidence.used : 0,
                                          .refused_evidence = s ? s->forged + s->unkept : 0});
    }
}
