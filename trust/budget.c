/* budget.c - see budget.h. */
#include "trust/budget.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/hashtable.h"
#include "common/size.h"
#include "proto/limits.h"

struct budget_entry {
    struct budget_account account; /* account.name points to `name` */
    bool idle;                     /* in the count of those that use nothing */
    UT_hash_handle hh;
};

struct budgets {
    struct budget_entry *entries; /* in the order of their first use */
    unsigned n_idle;
    uint64_t limit[BUDGET_COUNT], pool[BUDGET_COUNT], total[BUDGET_COUNT];
    budget_name *name;
    void *self;
};

const struct budget_row *budget_row(enum budget b)
{
#define X(n, w, k, l, u, t, y) {w, u, t, y, BUDGET_KIND_##k, l},
    static const struct budget_row rows[] = {BUDGETS(X)};
#undef X
    assert(b < BUDGET_COUNT);
    return &rows[b];
}

static int unknown_budget(const char *text, struct error *err)
{
    char names[512] = "";
    for (unsigned i = 0; i < BUDGET_COUNT; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "",
                 budget_row(i)->word);
    return error_set(err, -EINVAL, "'%.80s' is not a budget; write NAME=LIMIT, with one of %s",
                     text, names);
}

int budget_parse(const char *text, enum budget *ret, uint64_t *ret_limit, struct error *err)
{
    const char *equals = strchr(text, '=');
    int64_t limit;
    unsigned b;
    for (b = 0; b < BUDGET_COUNT; b++)
        if (equals && strlen(budget_row(b)->word) == (size_t)(equals - text) &&
            strncmp(budget_row(b)->word, text, (size_t)(equals - text)) == 0)
            break;
    if (b == BUDGET_COUNT)
        return unknown_budget(text, err);
    int rc = size_parse(equals + 1, &limit, err);
    if (rc < 0)
        return rc;
    if (limit < 1 || (budget_row(b)->kind == BUDGET_KIND_SHARE && limit > 100))
        return error_set(err, -EINVAL, "'%s': the limit must be %s", text,
                         limit ? "a share of at most 100 percent" : "at least 1");
    *ret = b;
    *ret_limit = (uint64_t)limit;
    return 0;
}

/* ---- Accounts */
struct budgets *budgets_new(void)
{
    struct budgets *b = mem_zalloc(1, sizeof *b);
    for (unsigned i = 0; i < BUDGET_COUNT; i++)
        b->limit[i] = budget_row(i)->limit;
    return b;
}

void budgets_free(struct budgets **bp)
{
    struct budget_entry *e, *next;
    if (!*bp)
        return;
    HASH_ITER (hh, (*bp)->entries, e, next) {
        HASH_DEL((*bp)->entries, e);
        mem_free(&e);
    }
    mem_free(bp);
}

void budgets_set_limit(struct budgets *b, enum budget which, uint64_t limit)
{
    b->limit[which] = limit;
}

void budgets_set_pool(struct budgets *b, enum budget which, uint64_t size)
{
    b->pool[which] = size;
}

uint64_t budgets_limit(const struct budgets *b, enum budget which)
{
    return b->limit[which];
}

static struct budget_entry *entry_of(const struct budgets *b, const struct hash *who)
{
    struct budget_entry *e;
    HASH_FIND(hh, b->entries, who, sizeof *who, e);
    return e;
}

static bool uses_something(const struct budget_entry *e)
{
    for (unsigned i = 0; i < BUDGET_COUNT; i++)
        if (e->account.used[i])
            return true;
    return false;
}

static bool was_refused(const struct budget_entry *e)
{
    for (unsigned i = 0; i < BUDGET_COUNT; i++)
        if (e->account.refused[i])
            return true;
    return false;
}

static void drop(struct budgets *b, struct budget_entry *e)
{
    HASH_DEL(b->entries, e);
    mem_free(&e);
}

static void drop_oldest_idle(struct budgets *b)
{
    struct budget_entry *e, *next;
    HASH_ITER (hh, b->entries, e, next)
        if (e->idle) {
            b->n_idle--;
            drop(b, e);
            return;
        }
}

/* After a change: an account without any use is kept for its refusals, or not at all. */
static void settle(struct budgets *b, struct budget_entry *e)
{
    bool idle = !uses_something(e);
    if (idle && !was_refused(e)) {
        b->n_idle -= e->idle;
        drop(b, e);
        return;
    }
    if (idle && !e->idle)
        b->n_idle++;
    if (!idle && e->idle)
        b->n_idle--;
    e->idle = idle;
    if (b->n_idle > BUDGET_IDLE_MAX)
        drop_oldest_idle(b);
}

static struct budget_entry *open_entry(struct budgets *b, const struct hash *who)
{
    struct budget_entry *e = entry_of(b, who);
    if (e)
        return e;
    e = mem_zalloc(1, sizeof *e);
    e->account.key = *who;
    HASH_ADD_KEYPTR(hh, b->entries, &e->account.key, sizeof e->account.key, e);
    return e;
}

void budgets_name_by(struct budgets *b, budget_name *name, void *self)
{
    b->name = name;
    b->self = self;
}

static const char *name_of(const struct budgets *b, const struct budget_entry *e)
{
    const char *name = b->name ? b->name(b->self, &e->account.key) : NULL;
    return name ? name : "";
}

bool budget_share_fits(uint64_t own, uint64_t amount, uint64_t used, uint64_t size,
                       uint64_t percent)
{
    if (!size)
        return true;
    if (used > size || amount > size - used)
        return false;
    if (percent >= 100)
        return true;
    /* own + amount <= percent / (100 - percent) * free; sizes stay far below 2^57 */
    return (own + amount) * (100 - percent) <= (size - used - amount) * percent;
}

static bool fits(const struct budgets *b, const struct budget_entry *e, enum budget which,
                 uint64_t amount)
{
    uint64_t own = e->account.used[which];
    if (budget_row(which)->kind == BUDGET_KIND_SHARE)
        return budget_share_fits(own, amount, b->total[which], b->pool[which], b->limit[which]);
    return own <= b->limit[which] && amount <= b->limit[which] - own;
}

static int refuse(const struct budgets *b, const struct budget_entry *e, enum budget which,
                  struct error *err)
{
    const struct budget_row *row = budget_row(which);
    const char *name = name_of(b, e);
    name = *name ? name : "a key without a name";
    if (row->kind == BUDGET_KIND_SHARE)
        return error_set(err, -EDQUOT,
                         "'%s' uses its share of what is free (%s; setting budgets: %s=%llu)", name,
                         row->text, row->word, (unsigned long long)b->limit[which]);
    return error_set(err, -EDQUOT, "'%s' has reached the limit of %llu %s (setting budgets: %s)",
                     name, (unsigned long long)b->limit[which], row->text, row->word);
}

static void add(struct budgets *b, struct budget_entry *e, enum budget which, uint64_t amount)
{
    e->account.used[which] += amount;
    b->total[which] += amount;
    if (e->account.used[which] > e->account.most[which])
        e->account.most[which] = e->account.used[which];
}

int budgets_take(struct budgets *b, const struct hash *who, enum budget which, uint64_t amount,
                 struct error *err)
{
    struct budget_entry *e = open_entry(b, who);
    int rc = 0;
    if (fits(b, e, which, amount)) {
        add(b, e, which, amount);
    } else {
        e->account.refused[which]++;
        rc = refuse(b, e, which, err);
    }
    settle(b, e);
    return rc;
}

void budgets_found(struct budgets *b, const struct hash *who, enum budget which, uint64_t amount)
{
    struct budget_entry *e = open_entry(b, who);
    add(b, e, which, amount);
    settle(b, e);
}

void budgets_give(struct budgets *b, const struct hash *who, enum budget which, uint64_t amount)
{
    struct budget_entry *e = entry_of(b, who);
    if (!amount)
        return;
    assert(e && e->account.used[which] >= amount);
    e->account.used[which] -= amount;
    b->total[which] -= amount;
    settle(b, e);
}

uint64_t budgets_used(const struct budgets *b, const struct hash *who, enum budget which)
{
    const struct budget_entry *e = entry_of(b, who);
    return e ? e->account.used[which] : 0;
}

void budgets_each(const struct budgets *b,
                  void (*take)(void *self, const struct budget_account *account), void *self)
{
    for (const struct budget_entry *e = b->entries; e; e = e->hh.next) {
        struct budget_account a = e->account;
        a.name = name_of(b, e);
        take(self, &a);
    }
}
