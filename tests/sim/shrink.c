/* shrink.c - see shrink.h. */
#include "tests/sim/shrink.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/mem.h"
#include "common/options.h"
#include "tests/sim/tries.h"

enum {
    EDITS_MAX = ONLY_MAX,
    DICE_A_ROUND = 24,
    SOON_MINUTES = 10,
    /* What a reader would have to read, counted in events. Without a trouble there are often
     * more events (nothing is cut off), but ordinary ones. */
    COST_TROUBLE = 300,
    COST_CALL = 100,
    COST_MEMBER = 100,
    COST_HABIT = 50
};

/* Something that can be left out of the best world so far. */
struct edit {
    enum {
        EDIT_SERVERS,
        EDIT_CALLERS,
        EDIT_SLOTS,
        EDIT_HABITS,
        EDIT_KINDS,
        EDIT_CHAOS,
        EDIT_TROUBLES,
        EDIT_CALLS,
        OTHER_DICE
    } what;
    uint64_t a, b; /* the number, or bits; where there are ordinals: the first and the last one */
};

struct search {
    const struct shrink_order *o;
    struct shrunk *best;
    uint64_t cost;
    double began;
    int heal_minutes;
    struct edit *edits;
    unsigned n_edits;
    uint64_t dice;
};

static uint64_t cost_of(const struct subset *l, const struct cluster_result *r)
{
    unsigned habits = HABIT_COUNT - (unsigned)__builtin_popcountll(l->habits);
    return r->steps + COST_TROUBLE * only_count(&r->troubles) + COST_CALL * only_count(&r->calls) +
           COST_HABIT * habits + COST_MEMBER * (r->servers + r->callers);
}

static bool is_over(const struct search *s)
{
    return (s->o->tries && s->best->tries >= s->o->tries) ||
           (s->o->seconds > 0 && tries_now() - s->began >= s->o->seconds);
}

/* ---- Trying */
static void drop_range(struct only *o, uint64_t first, uint64_t last)
{
    for (uint64_t i = first; i <= last && i < ONLY_MAX; i++)
        only_drop(o, (unsigned)i);
}

/* One member stays. */
static void drop_members(struct only *o, uint64_t first, uint64_t last)
{
    struct only left = *o;
    drop_range(&left, first, last);
    if (only_count(&left))
        *o = left;
}

static struct subset edited(const struct subset *from, const struct edit *e)
{
    struct subset l = *from;
    switch (e->what) {
    case EDIT_SERVERS:
        drop_members(&l.servers, e->a, e->b);
        break;
    case EDIT_CALLERS:
        drop_members(&l.callers, e->a, e->b);
        break;
    case EDIT_SLOTS:
        if (!l.slots || e->a < l.slots)
            l.slots = (unsigned)e->a;
        break;
    case EDIT_HABITS:
        l.habits |= e->a;
        break;
    case EDIT_KINDS:
        l.kinds |= e->a;
        break;
    case EDIT_CHAOS:
        if (!l.chaos_ms || (int64_t)e->a < l.chaos_ms)
            l.chaos_ms = (int64_t)e->a;
        break;
    case EDIT_TROUBLES:
        drop_range(&l.troubles, e->a, e->b);
        break;
    case EDIT_CALLS:
        drop_range(&l.calls, e->a, e->b);
        break;
    case OTHER_DICE:
        l.dice = e->a;
        break;
    }
    return l;
}

static bool breaks_the_same(const struct cluster_result *a, const struct cluster_result *b)
{
    return !b->passed && a->law == b->law && (a->law < LAW_COUNT || !strcmp(a->text, b->text));
}

/* Takes the first edit that improves the best world. Returns how many edits have been dealt
 * with. */
static unsigned try_some(struct search *s, const struct edit *edits, unsigned n)
{
    struct cluster_order *orders = mem_zalloc(n, sizeof *orders);
    struct cluster_result *results = mem_zalloc(n, sizeof *results);
    unsigned i;
    for (i = 0; i < n; i++) {
        orders[i] = s->o->world;
        orders[i].trace = NULL;
        orders[i].heal_minutes = s->heal_minutes;
        orders[i].most = s->cost; /* a world that takes longer is no better */
        orders[i].subset = edited(&s->best->subset, &edits[i]);
    }
    tries_tell(orders, n, results);
    s->best->tries += n;
    for (i = 0; i < n; i++)
        if (breaks_the_same(&s->best->whole, &results[i]) &&
            cost_of(&orders[i].subset, &results[i]) < s->cost) {
            s->best->subset = orders[i].subset;
            s->best->small = results[i];
            s->cost = cost_of(&orders[i].subset, &results[i]);
            break;
        }
    mem_free(&orders);
    mem_free(&results);
    return i < n ? i + 1 : n;
}

static bool changes(const struct search *s, const struct edit *e)
{
    struct subset l = edited(&s->best->subset, e);
    char *as_edited = subset_options(&l), *as_is = subset_options(&s->best->subset);
    bool differ = strcmp(as_edited, as_is) != 0;
    mem_free(&as_edited);
    mem_free(&as_is);
    return differ;
}

static void edit(struct search *s, struct edit e)
{
    if (s->n_edits < EDITS_MAX)
        s->edits[s->n_edits++] = e;
}

/* Tries all that edit() has noted, in this order. */
static void try_all(struct search *s)
{
    struct edit some[64];
    unsigned most = s->o->processes < COUNT_OF(some) ? s->o->processes : COUNT_OF(some);
    for (unsigned at = 0; at < s->n_edits && !is_over(s);) {
        unsigned n = 0, from[COUNT_OF(some)];
        for (; at < s->n_edits && n < most; at++)
            if (changes(s, &s->edits[at])) {
                from[n] = at;
                some[n++] = s->edits[at];
            }
        if (n)
            at = from[try_some(s, some, n) - 1] + 1;
    }
    s->n_edits = 0;
}

/* ---- What is tried */
static void fewer_slots(struct search *s)
{
    for (unsigned i = 1; i < 3; i++)
        edit(s, (struct edit){EDIT_SLOTS, i, 0});
    try_all(s);
}

static void fewer_habits(struct search *s)
{
    edit(s, (struct edit){EDIT_HABITS, (1u << HABIT_COUNT) - 1, 0});
    for (unsigned i = 0; i < HABIT_COUNT; i++)
        edit(s, (struct edit){EDIT_HABITS, 1u << i, 0});
    try_all(s);
}

static void fewer_kinds(struct search *s)
{
    for (unsigned i = 0; cluster_trouble(i); i++)
        edit(s, (struct edit){EDIT_KINDS, 1u << i, 0});
    try_all(s);
}

/* Leaves out groups: all, halves, quarters, ... single ones; the last ones first, because a
 * world with early troubles ends early. `left`: those that remain in the best world. */
static void fewer_of(struct search *s, int what, const struct only *left)
{
    unsigned ordinals[ONLY_MAX], n;
    for (unsigned group = ONLY_MAX; group && !is_over(s); group /= 2) {
        n = 0;
        for (unsigned i = 1; i < ONLY_MAX; i++)
            if (only_has(left, i))
                ordinals[n++] = i;
        if (group / 2 >= n)
            continue;
        for (unsigned to = n; to; to -= group < to ? group : to)
            edit(s, (struct edit){what, ordinals[group < to ? to - group : 0], ordinals[to - 1]});
        try_all(s);
    }
}

static void less_time(struct search *s)
{
    static const unsigned per_mille[] = {250, 500, 750, 900};
    uint64_t now = (uint64_t)s->best->small.chaos_ms;
    for (unsigned i = 0; i < COUNT_OF(per_mille); i++)
        edit(s, (struct edit){EDIT_CHAOS, now * per_mille[i] / 1000 + 1, 0});
    try_all(s);
}

static void other_dice(struct search *s)
{
    for (unsigned i = 0; i < DICE_A_ROUND; i++)
        edit(s, (struct edit){OTHER_DICE, ++s->dice, 0});
    try_all(s);
}

/* ---- No option without an effect */
static void keep_if_as_good(struct search *s, const struct subset *l)
{
    struct cluster_order o = s->o->world;
    struct cluster_result r;
    o.subset = *l;
    o.trace = NULL;
    o.heal_minutes = s->heal_minutes;
    o.most = s->best->small.steps + 1;
    tries_tell(&o, 1, &r);
    s->best->tries++;
    if (!breaks_the_same(&s->best->whole, &r) || r.steps > s->best->small.steps ||
        only_count(&r.troubles) > only_count(&s->best->small.troubles) ||
        only_count(&r.calls) > only_count(&s->best->small.calls))
        return;
    s->best->subset = *l;
    s->best->small = r;
}

static void tidy(struct search *s)
{
    const struct subset *best = &s->best->subset, *given = &s->o->world.subset;
    struct subset l = *best;
    l.troubles = s->best->small.troubles;
    l.kinds = given->kinds;
    keep_if_as_good(s, &l);
    l = *best, l.calls = s->best->small.calls;
    keep_if_as_good(s, &l);
    l = *best, l.servers = given->servers;
    keep_if_as_good(s, &l);
    l = *best, l.callers = given->callers;
    keep_if_as_good(s, &l);
    l = *best, l.slots = given->slots;
    keep_if_as_good(s, &l);
    l = *best, l.chaos_ms = given->chaos_ms;
    keep_if_as_good(s, &l);
    for (unsigned i = 0; i < HABIT_COUNT; i++) {
        l = *best, l.habits &= ~(1ull << i) | given->habits;
        keep_if_as_good(s, &l);
    }
}

/* ---- The whole */
static void search(struct search *s)
{
    struct subset *l = &s->best->subset;
    const struct cluster_result *small = &s->best->small;
    uint64_t before;
    if (!l->troubles.given)
        only_first(&l->troubles, ONLY_MAX);
    if (!l->calls.given)
        only_first(&l->calls, ONLY_MAX);
    if (!l->servers.given)
        only_first(&l->servers, small->servers);
    if (!l->callers.given)
        only_first(&l->callers, small->callers);
    do {
        before = s->cost;
        fewer_of(s, EDIT_SERVERS, &l->servers);
        fewer_of(s, EDIT_CALLERS, &l->callers);
        fewer_kinds(s);
        fewer_of(s, EDIT_TROUBLES, &small->troubles);
        fewer_of(s, EDIT_CALLS, &small->calls);
        fewer_habits(s);
        fewer_slots(s);
        less_time(s);
        other_dice(s);
    } while (s->cost < before && !is_over(s));
    s->best->done = !is_over(s);
    tidy(s);
}

/* The laws about what must happen in the end take an hour of heartbeats to break. Ten minutes
 * mostly show the same, so the search starts with those; but what it finds must also break the
 * law after the hour. */
static bool is_patient(enum law l)
{
    return l == LAW_RUN_ENDS || l == LAW_CALLER_HEARS || l == LAW_SPOOL_EMPTIES ||
           l == LAW_NO_CHILD_LEFT;
}

static bool breaks_after(struct search *s, int heal_minutes, struct cluster_result *ret)
{
    struct cluster_order o = s->o->world;
    o.trace = NULL;
    o.most = 0;
    o.heal_minutes = heal_minutes;
    o.subset = s->best->subset;
    tries_tell(&o, 1, ret);
    s->best->tries++;
    return breaks_the_same(&s->best->whole, ret);
}

static void begin(struct search *s, const struct cluster_result *r, int heal_minutes)
{
    s->best->subset = s->o->world.subset;
    s->best->small = *r;
    s->cost = cost_of(&s->best->subset, r);
    s->heal_minutes = heal_minutes;
}

static void search_in_time(struct search *s)
{
    struct cluster_result r;
    if (is_patient(s->best->whole.law) && breaks_after(s, SOON_MINUTES, &r)) {
        begin(s, &r, SOON_MINUTES);
        search(s);
        if (breaks_after(s, 0, &r)) {
            s->best->small = r;
            return;
        }
    }
    begin(s, &s->best->whole, 0);
    search(s);
}

int shrink(const struct shrink_order *o, struct shrunk *ret, struct error *err)
{
    struct search s = {.o = o, .best = ret, .began = tries_now()};
    memset(ret, 0, sizeof *ret);
    ret->subset = o->world.subset;
    breaks_after(&s, 0, &ret->whole);
    if (ret->whole.passed)
        return error_set(err, -ENOENT, "seed %" PRIu64 " breaks no law: there is nothing to shrink",
                         o->world.seed);
    if (ret->whole.law == LAW_COUNT && tries_now() - s.began >= SEED_SECONDS)
        return error_set(err, -ETIME,
                         "seed %" PRIu64 " does not end, so no smaller world is looked for: %s",
                         o->world.seed, ret->whole.text);
    s.edits = mem_zalloc(EDITS_MAX, sizeof *s.edits);
    search_in_time(&s);
    mem_free(&s.edits);
    ret->seconds = tries_now() - s.began;
    return 0;
}

int shrink_and_say(const struct shrink_order *o, const char *program, struct error *err)
{
    struct shrunk *x = mem_zalloc(1, sizeof *x);
    int rc = shrink(o, x, err);
    if (rc == 0) {
        char *options = subset_options(&x->subset);
        printf("sim: seed %" PRIu64 " shrinks from %" PRIu64
               " events, %u troubles, %u calls to %" PRIu64
               " events, %u troubles, %u calls in %u tries, %.1f s%s\n",
               o->world.seed, x->whole.steps, only_count(&x->whole.troubles),
               only_count(&x->whole.calls), x->small.steps, only_count(&x->small.troubles),
               only_count(&x->small.calls), x->tries, x->seconds,
               x->done ? "" : " (then time was over)");
        printf("     there: ");
        cluster_say(stdout, &x->small);
        printf("     its trace: %s %" PRIu64 "%s\n", program, o->world.seed, options);
        mem_free(&options);
    }
    mem_free(&x);
    return rc;
}
