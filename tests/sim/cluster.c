/* cluster.c - see cluster.h. */
#include "tests/sim/clusterinside.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "broker/core/explain.h"
#include "common/mem.h"

static const char *const server_names[CLUSTER_SERVERS] = {"wh1", "wh2", "wh3", "wh4"};
static const char *const caller_names[CLUSTER_CALLERS] = {"anna", "bert", "carl"};

/* Each rate is 0 in most seeds, so that rare events also coincide in quiet surroundings. */
static unsigned some_rate(struct world *w, unsigned most)
{
    return world_chance(w, 400) ? (unsigned)rng_below(&w->rng, most) : 0;
}

static void make_network(struct cluster *c)
{
    struct world *w = &c->w;
    struct network_mood mood = {.drop = some_rate(w, 4000),
                                .duplicate = some_rate(w, 8000),
                                .reorder = some_rate(w, 3000),
                                .spike = some_rate(w, 20000),
                                .latency =
                                    world_chance(w, 700) ? 300 : world_between(w, 1000, MS(40))};
    const struct subset *l = c->subset;
    if (SUBSET_WITHOUT(l, HABIT_DROP))
        mood.drop = 0;
    if (SUBSET_WITHOUT(l, HABIT_DUPLICATE))
        mood.duplicate = 0;
    if (SUBSET_WITHOUT(l, HABIT_REORDER))
        mood.reorder = 0;
    if (SUBSET_WITHOUT(l, HABIT_SPIKE))
        mood.spike = 0;
    if (SUBSET_WITHOUT(l, HABIT_FAR))
        mood.latency = 300;
    c->network = network_new(w, &mood);
}

/* Chooses which of n members stay (ret_who), at least the first, and the place of each (ret_at):
 * a member that is left out is replaced by one that stays. */
static unsigned some_stay(const struct only *which, unsigned n, unsigned *ret_at, unsigned *ret_who)
{
    unsigned stay = 0;
    ret_who[0] = 0;
    for (unsigned i = 0; i < n; i++)
        if (only_has(which, i + 1)) {
            ret_at[i] = stay;
            ret_who[stay++] = i;
        }
    for (unsigned i = 0; i < n; i++)
        if (!only_has(which, i + 1))
            ret_at[i] = stay ? i % stay : 0;
    return stay ? stay : 1;
}

static void make_servers(struct cluster *c)
{
    struct world *w = &c->w;
    c->of_servers = c->theme == THEME_EXILE && world_chance(w, 200)
                        ? 1
                        : (unsigned)world_between(w, 1, CLUSTER_SERVERS);
    unsigned who[CLUSTER_SERVERS];
    c->n_servers = some_stay(&c->subset->servers, c->of_servers, c->server_at, who);
    for (unsigned at = 0; at < c->n_servers; at++) {
        unsigned i = who[at];
        struct rng was = world_chance_begin(w, LUCK_SERVER, i);
        unsigned pools = (unsigned)rng_below(&w->rng, 1u << CATALOG_POOLS);
        unsigned jobs = ((1u << (CATALOG_JOBS - 1)) - 1) &
                        ~(unsigned)(world_chance(w, 300) ? rng_next(&w->rng) : 0);
        struct workernode_options o = {
            .name = server_names[i],
            .slots = (unsigned)world_between(
                w, c->theme == THEME_EXILE && c->of_servers == 1 ? 2 : 1, 3),
            .ahead = world_chance(w, 500) ? (unsigned)world_between(w, 1, 3) : 0,
            .jobs = jobs | 1};
        if (c->subset->slots && o.slots > c->subset->slots)
            o.slots = c->subset->slots;
        if (SUBSET_WITHOUT(c->subset, HABIT_AHEAD))
            o.ahead = 0;
        c->jobs_at_first[at] = o.jobs;
        pools |= 1u << i % CATALOG_POOLS;
        brokernode_know(c->broker, o.name, "server", pools);
        laws_member(c->laws, o.name, pools);
        c->servers[at] = workernode_new(w, c->network, c->laws, &c->catalog, &o);
        world_chance_end(w, &was);
    }
}

static void make_callers(struct cluster *c)
{
    struct world *w = &c->w;
    struct caller_mood mood = {.cancels = world_chance(w, 700) ? 150 : 600,
                               .repeats = c->theme == THEME_MEMORY ? 700 : 200,
                               .heavy = c->theme == THEME_EXILE ? 700 : 100,
                               .follows = c->theme == THEME_RUSH ? 800 : 300,
                               .others = 100,
                               .servers = server_names,
                               .n_servers = c->of_servers};
    if (SUBSET_WITHOUT(c->subset, HABIT_CANCELS))
        mood.cancels = 0;
    if (SUBSET_WITHOUT(c->subset, HABIT_REPEATS))
        mood.repeats = 0;
    if (SUBSET_WITHOUT(c->subset, HABIT_OTHERS))
        mood.others = 0;
    c->of_callers = (unsigned)world_between(w, 1, CLUSTER_CALLERS);
    c->calls =
        (unsigned)world_between(w, 4, 16) * c->of_callers * (c->theme == THEME_EXILE ? 3 : 1);
    unsigned who[CLUSTER_CALLERS] = {0};
    c->n_callers = some_stay(&c->subset->callers, c->of_callers, c->caller_at, who);
    for (unsigned at = 0; at < c->n_callers; at++) {
        unsigned i = who[at];
        struct rng was = world_chance_begin(w, LUCK_CALLER, i);
        brokernode_know(c->broker, caller_names[i], "caller", 0);
        c->callers[at] =
            callernode_new(w, c->network, c->laws, &c->catalog, caller_names[i], &mood);
        world_chance_end(w, &was);
    }
    brokernode_know(c->broker, "opal", "administrator", 0);
    c->chief = callernode_new(w, c->network, c->laws, &c->catalog, "opal", &mood);
}

static void call(struct cluster *c, struct callernode *caller, bool quick)
{
    unsigned n = ++c->called;
    if (!only_has(&c->subset->calls, n))
        return;
    struct rng was = world_chance_begin(&c->w, LUCK_CALL, n);
    only_add(&c->ret->calls, n);
    TRACE(&c->w, "WORLD", "call %u", n);
    callernode_call(caller, quick);
    world_chance_end(&c->w, &was);
}

static void on_call(struct world *w, void *self)
{
    struct cluster *c = self;
    if (!c->calls_left)
        return;
    struct rng was = world_chance_begin(w, LUCK_TURN_OF_CALLS, ++c->turns_of_calls);
    c->calls_left--;
    struct callernode *caller = c->callers[c->caller_at[rng_below(&w->rng, c->of_callers)]];
    call(c, caller, false);
    int64_t more = c->theme == THEME_RUSH && world_chance(w, 150)     ? world_between(w, 20, 80)
                   : c->theme == THEME_MEMORY && world_chance(w, 500) ? world_between(w, 2, 6)
                                                                      : 0;
    for (; more > 0; more--)
        call(c, caller, true);
    if (c->theme == THEME_RUSH && w->chaos && world_chance(w, 400))
        callernode_pause(caller, world_between(w, 0, SECS(20)));
    world_at(w, &c->call,
             w->now + (world_chance(w, 300) ? 0 : world_between(w, 0, c->call_every * 2)), NULL,
             on_call, c);
    if (only_is_over(&c->subset->calls, c->called))
        c->calls_left = 0;
    world_chance_end(w, &was);
}

/* Memory for bodies. Little: waiting calls are in the store only; 0: as much as anything needs. */
static uint64_t some_bodies_budget(struct cluster *c)
{
    struct world *w = &c->w;
    struct rng was = world_chance_begin(w, LUCK_BODIES, 0);
    bool small = c->theme == THEME_MEMORY || (c->theme != THEME_EXILE && world_chance(w, 300));
    uint64_t budget = small ? (uint64_t)world_between(w, 1, 2000) : 0;
    world_chance_end(w, &was);
    return budget;
}

static void make(struct cluster *c)
{
    struct world *w = &c->w;
    struct broker_mood mood = {.lost_after_ms = world_between(w, 16000, 80000),
                               .seeing = {.ring_most = (unsigned)world_between(w, 2, 60),
                                          .scan_most = (unsigned)world_between(w, 1, 20),
                                          .silent_most = (unsigned)world_between(w, 1, 50),
                                          .page_most = (unsigned)world_between(w, 1, 40)}};
    unsigned theme = (unsigned)rng_below(&w->rng, 1000);
    c->theme = theme < 400   ? THEME_MIXED
               : theme < 740 ? THEME_EXILE
               : theme < 870 ? THEME_MEMORY
                             : THEME_RUSH;
    if (c->theme == THEME_EXILE)
        mood.lost_after_ms = world_between(w, 16000, 24000);
    if (c->theme == THEME_MEMORY || (c->theme != THEME_EXILE && world_chance(w, 300)))
        mood.kept_max = (uint64_t)world_between(w, 1, c->theme == THEME_MEMORY ? 2 : 5);
    mood.bodies_budget = some_bodies_budget(c);
    clients_choose_room(c, &mood);
    c->lost_after_us = MS(mood.lost_after_ms);
    c->small_steps = mood.kept_max != 0;
    c->laws = laws_new(w);
    laws_kept(c->laws, mood.kept_max);
    catalog_make(&c->catalog);
    for (unsigned i = 0; i < CATALOG_JOBS; i++)
        laws_job(c->laws, c->catalog.jobs[i].hash, c->catalog.jobs[i].idempotent,
                 c->catalog.jobs[i].concurrency);
    make_network(c);
    c->broker = brokernode_new(w, c->network, c->laws, &mood);
    make_servers(c);
    make_callers(c);
    clients_make(c, server_names);
    c->chaos_us = world_between(w, c->theme == THEME_EXILE ? SECS(200) : SECS(30),
                                c->theme == THEME_EXILE ? SECS(700) : SECS(400));
    c->calls_left = c->calls;
    c->call_every = c->chaos_us / (c->calls + 1);
    if (c->subset->chaos_ms && c->chaos_us > MS(c->subset->chaos_ms))
        c->chaos_us = MS(c->subset->chaos_ms);
    w->dice = c->subset->dice;
    c->ret->servers = c->n_servers;
    c->ret->callers = c->n_callers;
    c->ret->chaos_ms = c->chaos_us / MS(1);
    c->ret->calls.given = c->ret->troubles.given = true;
    brokernode_start(c->broker);
    for (unsigned i = 0; i < c->n_servers; i++)
        workernode_power_on(c->servers[i]);
    for (unsigned i = 0; i < c->n_callers; i++)
        callernode_start(c->callers[i]);
    callernode_start(c->chief);
    clients_start(c);
    world_at(w, &c->call, SECS(1), NULL, on_call, c);
    faults_begin(c);
}

static void unmake(struct cluster *c)
{
    clients_free(c);
    for (unsigned i = 0; i < c->n_callers; i++)
        callernode_free(&c->callers[i]);
    callernode_free(&c->chief);
    for (unsigned i = 0; i < c->n_servers; i++)
        workernode_free(&c->servers[i]);
    brokernode_free(&c->broker);
    network_free(&c->network);
    laws_free(&c->laws);
    catalog_free(&c->catalog);
    world_end(&c->w);
}

/* ---- After the faults */

/* Is there a lasting reason why no server can run it? */
static bool nobody_can(const struct explain *e)
{
    for (unsigned i = 0; i < e->n_servers; i++) {
        bool lasts = false;
        for (unsigned k = 0; k < e->servers[i].n; k++) {
            enum explain_condition c = e->unmet[e->servers[i].first + k].condition;
            lasts |= c != EXPLAIN_CONCURRENCY && c != EXPLAIN_CREDIT && c != EXPLAIN_RESTING;
        }
        if (!lasts)
            return false;
    }
    return true;
}

/* A run may remain if it is held, or if it is parked and gives the right reason. */
static bool is_excused(void *self, struct id run)
{
    struct cluster *c = self;
    const struct bcore *core = brokernode_core(c->broker);
    struct view_run v;
    struct explain e;
    struct error err = {0};
    if (!core || !view_run(core, &run, &v))
        return false;
    if (v.state == RUN_HELD)
        return true;
    if (v.state != RUN_PARKED || bcore_explain(core, &run, &e, &err) < 0)
        return false;
    bool says = e.summary[0] != 0 && nobody_can(&e);
    explain_free(&e);
    return says;
}

static bool runs_are_over(struct cluster *c, struct id *ret_run)
{
    const struct bcore *core = brokernode_core(c->broker);
    struct view_run v;
    struct id after = ID_ZERO;
    if (!core)
        return false;
    for (; view_run_after(core, &after, &v); after = v.id)
        if (!is_excused(c, v.id)) {
            *ret_run = v.id;
            return false;
        }
    return true;
}

/* What is still missing; LAW_COUNT: nothing. */
static enum law missing(struct cluster *c, char *text, size_t size)
{
    struct id run = ID_ZERO;
    const char *why;
    const unsigned callers = c->n_callers;
    assert(callers <= CLUSTER_CALLERS);
    if (c->calls_left || !runs_are_over(c, &run)) {
        snprintf(text, size, "run %s has not ended", world_short_id(run));
        return LAW_RUN_ENDS;
    }
    for (unsigned i = 0; i < callers; i++)
        if (callernode_is_owed(c->callers[i], is_excused, c, &why, &run)) {
            snprintf(text, size, "%s is owed %s (run %s)", callernode_cable(c->callers[i])->name,
                     why, world_short_id(run));
            return LAW_CALLER_HEARS;
        }
    for (unsigned i = 0; i < c->n_servers; i++) {
        if (!workernode_is_up(c->servers[i]) || workernode_live(c->servers[i])) {
            snprintf(text, size, "server %s has %u attempts that are not recorded",
                     workernode_name(c->servers[i]), workernode_live(c->servers[i]));
            return LAW_SPOOL_EMPTIES;
        }
        if (workernode_children(c->servers[i])) {
            snprintf(text, size, "server %s has %u children", workernode_name(c->servers[i]),
                     workernode_children(c->servers[i]));
            return LAW_NO_CHILD_LEFT;
        }
    }
    return clients_missing(c, text, size);
}

void cluster_release(struct cluster *c, unsigned per_mille)
{
    static const char *const how[] = {"rerun", "fail", "succeed"};
    const struct bcore *core = brokernode_core(c->broker);
    struct view_run v;
    struct id after = ID_ZERO;
    char text[ID_TEXT];
    for (; core && view_run_after(core, &after, &v); after = v.id)
        if (v.state == RUN_HELD && world_chance(&c->w, per_mille))
            callernode_operate(c->chief, "release", id_format(v.id, text),
                               how[world_chance(&c->w, 600) ? 0 : rng_below(&c->w.rng, 3)]);
}

static void on_look(struct world *w, void *self)
{
    struct cluster *c = self;
    char text[160];
    enum law law = missing(c, text, sizeof text);
    c->over = law == LAW_COUNT;
    if (!c->over && w->now > c->healed_at + c->heal_us)
        law_break(c->laws, law, "%d minutes after the last fault: %s", (int)(c->heal_us / SECS(60)),
                  text);
    cluster_release(c, 30);
    if (!c->over)
        world_at(w, &c->look, w->now + MS(500), NULL, on_look, c);
}

void cluster_heal(struct cluster *c)
{
    struct world *w = &c->w;
    TRACE(w, "WORLD", "no more faults");
    w->chaos = false;
    c->healed_at = w->now;
    network_calm(c->network);
    for (unsigned i = 0; i < c->n_servers; i++) {
        network_mend(c->network, workernode_cable(c->servers[i]));
        workernode_attest(c->servers[i], c->jobs_at_first[i], true);
        callernode_operate(c->chief, "undrain", workernode_name(c->servers[i]), "");
    }
    for (unsigned i = 0; i < c->n_callers; i++)
        network_mend(c->network, callernode_cable(c->callers[i]));
    network_mend(c->network, callernode_cable(c->chief));
    clients_heal(c);
    brokernode_disk(c->broker, false, false);
    world_at(w, &c->look, w->now + SECS(1), NULL, on_look, c);
}

void cluster_tell(const struct cluster_order *o, struct cluster_result *ret)
{
    struct cluster *c = mem_zalloc(1, sizeof *c);
    const char *text;
    memset(ret, 0, sizeof *ret);
    world_init(&c->w, o->seed, o->trace);
    c->subset = &o->subset;
    c->ret = ret;
    c->heal_us = SECS(60) * (o->heal_minutes ? o->heal_minutes : HEAL_MINUTES);
    make(c);
    while (!c->over && (!o->most || c->w.counts.events < o->most) && world_step(&c->w)) {
        ret->steps = c->w.counts.events;
        if (o->also)
            o->also(&c->w, c->laws);
    }
    ret->law = laws_broken(c->laws, &text);
    ret->passed = ret->law == LAW_COUNT;
    snprintf(ret->text, sizeof ret->text, "%s", text);
    ret->steps = c->w.counts.events;
    ret->virtual_us = c->w.now;
    ret->trace_hash = c->w.trace_hash;
    ret->counts = c->w.counts;
    unmake(c);
    mem_free(&c);
}

void cluster_say(FILE *out, const struct cluster_result *r)
{
    if (r->law < LAW_COUNT)
        fprintf(out, "promise %u, %s (%s) is broken at step %" PRIu64 ": %s\n", law_promise(r->law),
                law_name(r->law), law_text(r->law), r->steps, r->text);
    else
        fprintf(out, "%s at step %" PRIu64 "\n", r->text, r->steps);
}

void cluster_run(uint64_t seed, FILE *trace, uint64_t most, struct cluster_result *ret)
{
    struct cluster_order o = {.seed = seed, .trace = trace, .most = most};
    cluster_tell(&o, ret);
}
