/* Random graphs against an oracle that knows nothing of the core: it evaluates conditions naively, from the
 * definitions in graph.h, over all that has been told so far. After every event it says of each task whether it must
 * have started, must be skipped, or must still wait; at the end it computes the verdict from the fates alone.
 *
 * ORACLE_GRAPHS in the environment asks for more graphs than usual. */
#include "parent/core/fixture.h"

enum { TASKS = 12, COUNT = 4 };

struct fate {
    enum delivery d;
    enum job_outcome j;
    enum package_outcome p;
};
static const struct fate fates[] = {
    {DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED},
    {DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED},
    {DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED},
    {DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_NOT_EXECUTED},
    {DELIVERY_CALLED, JOB_FAILED, PACKAGE_FAILED},
    {DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_FAILED},
    {DELIVERY_CALLED, JOB_FAILED, PACKAGE_SUCCEEDED},
    {DELIVERY_CALLED, JOB_LOST, PACKAGE_UNKNOWN},
    {DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_CANCELLED},
    {DELIVERY_REFUSED, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED},
    {DELIVERY_UNREACHABLE, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED},
};

/* What the test knows: fates that the core does not know, and how much of them it has been told. */
struct known {
    struct fate fate;
    bool asked, started, ended;
};
struct tale {
    uint64_t seed;
    struct graph graph;
    struct pcore *core;
    struct pcore_out out;
    struct known k[TASKS][COUNT];
    bool started[TASKS], skipped[TASKS]; /* as the core has said */
    bool cancelled, over;
    enum status verdict;
    unsigned in_flight, bound;
};

static uint64_t roll(struct tale *t, uint64_t n)
{
    t->seed ^= t->seed << 13;
    t->seed ^= t->seed >> 7;
    t->seed ^= t->seed << 17;
    return (t->seed * 0x2545f4914f6cdd1dULL >> 33) % n;
}

/* ---- The oracle */
static bool good(const struct known *k, unsigned layer)
{
    if (layer == LAYER_DELIVERY)
        return k->started || k->fate.d == DELIVERY_CALLED;
    if (layer == LAYER_JOB)
        return k->fate.j == JOB_SUCCEEDED;
    return k->fate.p == PACKAGE_SUCCEEDED || (k->fate.p == PACKAGE_NOT_EXECUTED && k->fate.j == JOB_SUCCEEDED);
}

/* Is the instance's part of the layer known, and is it good? 1 good, 0 bad, -1 open. */
static int part(const struct known *k, unsigned layer)
{
    if (layer == LAYER_DELIVERY && k->started)
        return 1;
    return k->ended ? good(k, layer) : -1;
}

enum truth { NO, YES, OPEN };

static enum truth condition(const struct tale *t, const struct graph_condition *a)
{
    unsigned is = a->is, layer = a->layer, n = t->graph.tasks[a->task].count, yes = 0, no = 0, open = 0;
    if (t->skipped[a->task])
        return NO;
    if (is == IS_CALLED) {
        is = IS_SUCCESS;
        layer = LAYER_DELIVERY;
    }
    for (unsigned i = 0; i < n; i++) {
        int p = part(&t->k[a->task][i], layer);
        p == 1 ? yes++ : p == 0 ? no++ : open++;
    }
    if (!t->started[a->task])
        return OPEN;
    switch (is) {
    case IS_SUCCESS:
        return no ? NO : open ? OPEN : YES;
    case IS_FAILURE:
        return no ? YES : open ? OPEN : NO;
    default:
        return open ? OPEN : YES;
    }
}

static enum truth may_start(const struct tale *t, unsigned task)
{
    const struct graph_task *g = &t->graph.tasks[task];
    unsigned count[3] = {0};
    for (unsigned i = 0; i < g->n_after; i++)
        count[condition(t, &g->after[i])]++;
    if (g->n_after == 0)
        return YES;
    if (g->join_or)
        return count[YES] ? YES : count[OPEN] ? OPEN : NO;
    return count[NO] ? NO : count[OPEN] ? OPEN : YES;
}

/* ---- Graphs */
static void make_graph(struct tale *t)
{
    unsigned n = 1 + (unsigned)roll(t, TASKS), order[TASKS];
    t->graph = graph_begin("random");
    for (unsigned i = 0; i < n; i++) {
        char name[16];
        static const uint32_t counts[] = {1, 1, 1, 1, 2, 3, COUNT, 0};
        snprintf(name, sizeof name, "t%u", i);
        add_task(&t->graph, name, counts[roll(t, 8)]);
        t->graph.tasks[i].join_or = roll(t, 2);
        t->graph.tasks[i].may_fail = roll(t, 4) == 0;
        t->graph.tasks[i].priority = (unsigned)roll(t, 3);
        for (unsigned k = 0; k < COUNT; k++)
            t->k[i][k].fate = fates[roll(t, sizeof fates / sizeof *fates)];
        order[i] = i;
    }
    for (unsigned i = n; i > 1; i--) { /* so that what waits may stand before what it waits for */
        unsigned k = (unsigned)roll(t, i), was = order[i - 1];
        order[i - 1] = order[k];
        order[k] = was;
    }
    for (unsigned i = 1; i < n; i++)
        for (uint64_t k = roll(t, 4); k > 0; k--) {
            unsigned is = (unsigned)roll(t, IS_COUNT);
            add_after(&t->graph, order[i], order[roll(t, i)], is,
                      is == IS_CALLED ? LAYER_DELIVERY : (unsigned)roll(t, LAYER_COUNT));
        }
}

/* ---- The world */
static void tell(struct tale *t, struct pcore_event ev)
{
    pcore_step(t->core, &ev, &t->out);
    struct pcore_effect *copy = mem_dup(t->out.effects, t->out.n_effects * sizeof *copy);
    uint32_t n = t->out.n_effects;
    for (uint32_t i = 0; i < n; i++) {
        struct pcore_effect *e = &copy[i];
        assert_false(t->over);
        if (e->kind == PCORE_FX_RESOLVE)
            tell(t, (struct pcore_event){.kind = PCORE_RESOLVED, .task = e->task, .found = roll(t, 2)});
        else if (e->kind == PCORE_FX_CALL) {
            assert_false(t->cancelled);
            assert_false(t->k[e->task][e->index].asked);
            t->k[e->task][e->index].asked = true;
            assert_true(++t->in_flight <= t->bound);
        } else if (e->kind == PCORE_FX_SKIPPED) {
            assert_false(t->skipped[e->task]);
            t->skipped[e->task] = true;
        } else if (e->kind == PCORE_FX_END) {
            t->over = true;
            t->verdict = e->verdict;
        }
    }
    mem_free(&copy);
}

/* All that the core has decided must be what the oracle says, now: neither early nor late. */
static void compare(struct tale *t)
{
    if (t->cancelled)
        return;
    bool more = true;
    while (more) { /* started is only seen by calls, and tasks of no instances make none: let the oracle say it */
        more = false;
        for (unsigned i = 0; i < t->graph.n; i++)
            if (!t->started[i] && !t->skipped[i] && may_start(t, i) == YES)
                t->started[i] = more = true;
    }
    for (unsigned i = 0; i < t->graph.n; i++) {
        struct pcore_task seen;
        pcore_task(t->core, i, &seen);
        bool begun = seen.state == TASK_ACTIVE || seen.state == TASK_ENDED;
        enum truth truth = may_start(t, i);
        if (begun != t->started[i] || t->skipped[i] != (truth == NO) || (seen.state == TASK_SKIPPED) != t->skipped[i])
            fail_msg("task %u: core says %d, oracle %d", i, (int)seen.state, (int)truth);
        for (unsigned k = 0; k < t->graph.tasks[i].count; k++)
            assert_true(!t->k[i][k].asked || t->started[i]);
        if (t->skipped[i])
            assert_true(strlen(seen.reason) > 0);
    }
}

static bool say_something(struct tale *t)
{
    unsigned pick[TASKS * COUNT], n = 0;
    for (unsigned i = 0; i < TASKS * COUNT; i++)
        if (t->k[i / COUNT][i % COUNT].asked && !t->k[i / COUNT][i % COUNT].ended)
            pick[n++] = i;
    if (n == 0)
        return false;
    unsigned at = pick[roll(t, n)], task = at / COUNT, index = at % COUNT;
    struct known *k = &t->k[task][index];
    struct pcore_event ev = {.task = task, .index = index, .run = run_of(task, index), .attempt = 1};
    if (roll(t, 2)) {
        static const enum run_state states[] = {RUN_WAITING, RUN_PARKED, RUN_HANDED_OVER, RUN_RUNNING,
                                                RUN_OUT_OF_CONTACT};
        ev.kind = PCORE_RUN;
        ev.state = states[roll(t, 5)];
        if (ev.state == RUN_RUNNING && k->fate.d == DELIVERY_REFUSED)
            ev.state = RUN_WAITING;
        k->started |= ev.state == RUN_RUNNING;
        tell(t, ev);
        return true;
    }
    struct d_outcome o = {.delivery = k->fate.d, .job = k->fate.j, .package = k->fate.p};
    o.status = outcome_status(k->fate.d, k->fate.j, k->fate.p);
    ev.kind = k->fate.d == DELIVERY_REFUSED && roll(t, 2) ? PCORE_REFUSED : PCORE_ENDED;
    ev.outcome = &o;
    k->ended = true;
    t->in_flight--;
    tell(t, ev);
    if (roll(t, 4) == 0)
        tell(t, ev); /* again */
    return true;
}

static enum status verdict(const struct tale *t)
{
    if (t->cancelled)
        return STATUS_CANCELLED;
    for (unsigned i = 0; i < t->graph.n; i++)
        for (unsigned k = 0; t->started[i] && k < t->graph.tasks[i].count; k++) {
            const struct fate *f = &t->k[i][k].fate;
            if (!t->graph.tasks[i].may_fail && outcome_status(f->d, f->j, f->p) != STATUS_SUCCEEDED)
                return STATUS_FAILED;
        }
    return STATUS_SUCCEEDED;
}

static unsigned seen_verdicts[STATUS_COUNT], seen_skips;

static void tell_one(uint64_t seed)
{
    struct tale t = {.seed = seed * 0x9e3779b97f4a7c15ULL + 1};
    make_graph(&t);
    t.bound = 1 + (unsigned)roll(&t, 6);
    t.core = pcore_new(&(struct pcore_config){.graph = &t.graph, .in_flight = t.bound});
    uint64_t cancel_at = roll(&t, 10) == 0 ? roll(&t, 10) : UINT64_MAX;
    tell(&t, (struct pcore_event){.kind = PCORE_BEGIN});
    compare(&t);
    for (uint64_t step = 0; !t.over; step++) {
        if (step == cancel_at) {
            t.cancelled = true;
            tell(&t, (struct pcore_event){.kind = PCORE_CANCEL, .text = "enough"});
        } else if (!say_something(&t) && !t.over) {
            fail_msg("seed %llu hangs", (unsigned long long)seed);
        }
        compare(&t);
    }
    if (t.verdict != verdict(&t))
        fail_msg("seed %llu: the core says %s, the oracle %s", (unsigned long long)seed, status_text(t.verdict),
                 status_text(verdict(&t)));
    assert_int_equal(pcore_in_flight(t.core), 0);
    seen_verdicts[t.verdict]++;
    for (unsigned i = 0; i < t.graph.n; i++)
        seen_skips += t.skipped[i];
    pcore_free(&t.core);
    pcore_out_free(&t.out);
    graph_free(&t.graph);
}

static void the_core_and_the_oracle_agree_over_random_graphs(void **state)
{
    (void)state;
    const char *asked = getenv("ORACLE_GRAPHS");
    unsigned long graphs = asked ? strtoul(asked, NULL, 10) : 2000;
    for (unsigned long seed = 1; seed <= graphs; seed++)
        tell_one(seed);
    /* the test is worth something only if it met each of these */
    assert_true(seen_verdicts[STATUS_SUCCEEDED] && seen_verdicts[STATUS_FAILED] && seen_verdicts[STATUS_CANCELLED]);
    assert_true(seen_skips > graphs / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_core_and_the_oracle_agree_over_random_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
