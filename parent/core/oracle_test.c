/* Random graphs against an oracle that shares no code with the core (oracle.h): it evaluates
 * conditions naively over everything reported so far. After every event it says for each task
 * whether it must have started, must be skipped or must still wait; at the end it computes the
 * verdict from the fates alone.
 *
 * Set ORACLE_GRAPHS in the environment to test more graphs. */
#include "parent/core/fixture.h"
#include "parent/core/oracle.h"

enum { TASKS = ORACLE_TASKS, COUNT = ORACLE_COUNT };

static const struct oracle_fate fates[] = {
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

/* The oracle knows how much the core has been told, but holds all fates from the start. */
struct tale {
    uint64_t seed;
    struct graph graph;
    struct pcore *core;
    struct pcore_out out;
    struct oracle o; /* `skipped` as reported by the core */
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
            t->o.k[i][k].fate = fates[roll(t, sizeof fates / sizeof *fates)];
        order[i] = i;
    }
    for (unsigned i = n; i > 1; i--) { /* so that a task may come before those it waits for */
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
            tell(t, (struct pcore_event){
                        .kind = PCORE_RESOLVED, .task = e->task, .found = roll(t, 2)});
        else if (e->kind == PCORE_FX_CALL) {
            assert_false(t->cancelled);
            assert_false(t->o.k[e->task][e->index].asked);
            t->o.k[e->task][e->index].asked = true;
            assert_true(++t->in_flight <= t->bound);
        } else if (e->kind == PCORE_FX_SKIPPED) {
            assert_false(t->o.skipped[e->task]);
            t->o.skipped[e->task] = true;
        } else if (e->kind == PCORE_FX_END) {
            t->over = true;
            t->verdict = e->verdict;
        }
    }
    mem_free(&copy);
}

/* The core's decisions must match the oracle's now, neither early nor late. */
static void compare(struct tale *t)
{
    if (t->cancelled)
        return;
    oracle_start(&t->o); /* only calls show a start, and tasks without instances make none */
    for (unsigned i = 0; i < t->graph.n; i++) {
        struct pcore_task seen;
        pcore_task(t->core, i, &seen);
        bool begun = seen.state == TASK_ACTIVE || seen.state == TASK_ENDED;
        enum truth truth = oracle_may_start(&t->o, i);
        if (begun != t->o.started[i] || t->o.skipped[i] != (truth == NO) ||
            (seen.state == TASK_SKIPPED) != t->o.skipped[i])
            fail_msg("task %u: core says %d, oracle %d", i, (int)seen.state, (int)truth);
        for (unsigned k = 0; k < t->graph.tasks[i].count; k++)
            assert_true(!t->o.k[i][k].asked || t->o.started[i]);
        if (t->o.skipped[i])
            assert_true(strlen(seen.reason) > 0);
    }
}

static bool say_something(struct tale *t)
{
    unsigned pick[TASKS * COUNT], n = 0;
    for (unsigned i = 0; i < TASKS * COUNT; i++)
        if (t->o.k[i / COUNT][i % COUNT].asked && !t->o.k[i / COUNT][i % COUNT].ended)
            pick[n++] = i;
    if (n == 0)
        return false;
    unsigned at = pick[roll(t, n)], task = at / COUNT, index = at % COUNT;
    struct oracle_known *k = &t->o.k[task][index];
    struct pcore_event ev = {
        .task = task, .index = index, .run = run_of(task, index), .attempt = 1};
    if (roll(t, 2)) {
        static const enum run_state states[] = {RUN_WAITING, RUN_PARKED, RUN_HANDED_OVER,
                                                RUN_RUNNING, RUN_OUT_OF_CONTACT};
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
    return t->cancelled ? STATUS_CANCELLED : oracle_verdict(&t->o);
}

static unsigned seen_verdicts[STATUS_COUNT], seen_skips;

static void tell_one(uint64_t seed)
{
    struct tale t = {.seed = seed * 0x9e3779b97f4a7c15ULL + 1};
    make_graph(&t);
    t.o.graph = &t.graph;
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
        fail_msg("seed %llu: the core says %s, the oracle %s", (unsigned long long)seed,
                 status_text(t.verdict), status_text(verdict(&t)));
    assert_int_equal(pcore_in_flight(t.core), 0);
    seen_verdicts[t.verdict]++;
    for (unsigned i = 0; i < t.graph.n; i++)
        seen_skips += t.o.skipped[i];
    pcore_free(&t.core);
    pcore_out_free(&t.out);
    graph_free(&t.graph);
}

static void the_core_and_the_oracle_agree_on_random_graphs(void **state)
{
    (void)state;
    const char *asked = getenv("ORACLE_GRAPHS");
    unsigned long graphs = asked ? strtoul(asked, NULL, 10) : 2000;
    for (unsigned long seed = 1; seed <= graphs; seed++)
        tell_one(seed);
    /* the test proves something only if each of these occurred */
    assert_true(seen_verdicts[STATUS_SUCCEEDED] && seen_verdicts[STATUS_FAILED] &&
                seen_verdicts[STATUS_CANCELLED]);
    assert_true(seen_skips > graphs / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_core_and_the_oracle_agree_on_random_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
