/* clients.c - the cluster's other clients besides plain callers: drivers with their plans,
 * monitors, and in some seeds one who is hostile. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "tests/sim/clusterinside.h"

static const char *const driver_names[CLUSTER_DRIVERS] = {"dora-1", "dora-2"};
static const char *const monitor_names[CLUSTER_MONITORS] = {"mia", "moe"};

#define DRIVERS "dora" /* one principal */

static void make_drivers(struct cluster *c, const char *const *servers)
{
    struct world *w = &c->w;
    if (world_chance(w, 250))
        return;
    c->n_drivers = CLUSTER_DRIVERS;
    c->plans_wanted = (unsigned)world_between(w, 1, CLUSTER_PLANS);
    c->plan_mood = (struct plan_mood){.servers = servers,
                                      .n_servers = c->of_servers,
                                      .heavy = c->theme == THEME_EXILE ? 600 : 100};
    for (unsigned i = 0; i < c->n_servers; i++)
        c->plan_mood.jobs |= c->jobs_at_first[i];
    brokernode_know(c->broker, DRIVERS, "caller", 0);
    for (unsigned i = 0; i < CLUSTER_DRIVERS; i++)
        c->drivers[i] = drivernode_new(w, c->network, c->laws, DRIVERS, driver_names[i]);
}

static void make_monitors(struct cluster *c, const char *const *servers)
{
    struct world *w = &c->w;
    const unsigned n = c->n_monitors = (unsigned)world_between(w, 0, CLUSTER_MONITORS);
    assert(n <= CLUSTER_MONITORS);
    for (unsigned i = 0; i < n; i++) {
        brokernode_know(c->broker, monitor_names[i], "monitor", 0);
        c->monitors[i] =
            monitornode_new(w, c->network, c->laws, monitor_names[i], servers, c->of_servers);
    }
}

void clients_choose_room(struct cluster *c, struct broker_mood *mood)
{
    struct world *w = &c->w;
    struct rng was = world_chance_begin(w, LUCK_HOSTILE, 0);
    if (world_chance(w, 120) && !SUBSET_WITHOUT(c->subset, HABIT_HOSTILE)) {
        c->trick_every = world_skewed(w, MS(200), SECS(60));
        mood->max_runs = (uint64_t)world_between(w, 60, 120);
        if (world_chance(w, 500))
            mood->memory_budget = (uint64_t)world_between(w, 64 << 10, 160 << 10);
    }
    world_chance_end(w, &was);
}

static void make_hostile(struct cluster *c, const char *const *servers)
{
    struct world *w = &c->w;
    if (!c->trick_every)
        return;
    struct rng was = world_chance_begin(w, LUCK_HOSTILE, 1);
    brokernode_know(c->broker, HOSTILE, "caller", 0);
    c->hostile = hostilecaller_new(w, c->network, &c->catalog, servers, c->of_servers);
    world_chance_end(w, &was);
}

static void on_trick(struct world *w, void *self)
{
    struct cluster *c = self;
    struct rng was = world_chance_begin(w, LUCK_TRICK, ++c->tricks);
    hostilecaller_act(c->hostile, brokernode_core(c->broker));
    if (w->chaos)
        world_at(w, &c->trick, w->now + world_between(w, 0, c->trick_every * 2), NULL, on_trick, c);
    world_chance_end(w, &was);
}

void clients_make(struct cluster *c, const char *const *servers)
{
    make_drivers(c, servers);
    make_monitors(c, servers);
    make_hostile(c, servers);
}

static void on_plan(struct world *w, void *self)
{
    struct cluster *c = self;
    struct rng was = world_chance_begin(w, LUCK_PLAN, c->n_plans);
    struct drivernode *d = c->drivers[rng_below(&w->rng, c->n_drivers)];
    struct sim_plan *p = c->plans[c->n_plans] =
        plan_new(w, &c->catalog, &c->plan_mood, c->n_plans, DRIVERS, drivernode_wall(d));
    c->n_plans++;
    laws_plan(c->laws, DRIVERS, p->key, buf_span(&p->body), &p->graph);
    drivernode_take(d, p);
    if (c->n_plans < c->plans_wanted)
        world_at(w, &c->plan, w->now + world_between(w, 0, c->chaos_us * 2 / (c->plans_wanted + 1)),
                 NULL, on_plan, c);
    world_chance_end(w, &was);
}

void clients_start(struct cluster *c)
{
    for (unsigned i = 0; i < c->n_drivers; i++)
        drivernode_start(c->drivers[i]);
    for (unsigned i = 0; i < c->n_monitors; i++)
        monitornode_start(c->monitors[i]);
    if (c->hostile) {
        hostilecaller_start(c->hostile);
        world_at(&c->w, &c->trick, SECS(1), NULL, on_trick, c);
    }
    if (c->n_drivers)
        world_at(&c->w, &c->plan, SECS(1), NULL, on_plan, c);
}

void clients_free(struct cluster *c)
{
    world_cancel(&c->w, &c->trick);
    hostilecaller_free(&c->hostile);
    for (unsigned i = 0; i < c->n_drivers; i++)
        drivernode_free(&c->drivers[i]);
    for (unsigned i = 0; i < c->n_monitors; i++)
        monitornode_free(&c->monitors[i]);
    for (unsigned i = 0; i < c->n_plans; i++)
        plan_free(&c->plans[i]);
}

struct cable *clients_cable(struct cluster *c, unsigned i)
{
    return i < c->n_drivers ? drivernode_cable(c->drivers[i])
                            : monitornode_cable(c->monitors[i - c->n_drivers]);
}

void clients_heal(struct cluster *c)
{
    for (unsigned i = 0; i < c->n_drivers + c->n_monitors; i++)
        network_mend(c->network, clients_cable(c, i));
}

enum law clients_missing(struct cluster *c, char *text, size_t size)
{
    struct id parent = ID_ZERO;
    uint64_t lsn;
    if (c->n_plans < c->plans_wanted || laws_parents_open(c->laws, &parent)) {
        snprintf(text, size, "parent %s has not ended", world_short_id(parent));
        return LAW_PARENT_ENDS;
    }
    const unsigned drivers = c->n_drivers, monitors = c->n_monitors;
    assert(drivers <= CLUSTER_DRIVERS && monitors <= CLUSTER_MONITORS);
    for (unsigned i = 0; i < drivers; i++)
        if (drivernode_is_owed(c->drivers[i], &parent)) {
            snprintf(text, size, "%s is owed the end of parent %s", driver_names[i],
                     world_short_id(parent));
            return LAW_DRIVER_HEARS;
        }
    for (unsigned i = 0; i < monitors; i++)
        if (monitornode_is_owed(c->monitors[i], &lsn)) {
            snprintf(text, size, "%s is owed event %" PRIu64, monitor_names[i], lsn);
            return LAW_MONITOR_CATCHES_UP;
        }
    return LAW_COUNT;
}

/* ---- Faults */
static struct drivernode *some_driver(struct cluster *c)
{
    return c->n_drivers ? c->drivers[rng_below(&c->w.rng, c->n_drivers)] : NULL;
}

static struct monitornode *some_monitor(struct cluster *c)
{
    return c->n_monitors ? c->monitors[rng_below(&c->w.rng, c->n_monitors)] : NULL;
}

void clients_driver_crash(struct cluster *c, int64_t for_us)
{
    struct drivernode *d = some_driver(c);
    if (d)
        drivernode_crash(d, for_us);
}

void clients_driver_pause(struct cluster *c, int64_t for_us)
{
    struct drivernode *d = some_driver(c);
    if (d)
        drivernode_pause(d, for_us);
}

int clients_driver_replace(struct cluster *c, int64_t for_us)
{
    unsigned old = (unsigned)rng_below(&c->w.rng, CLUSTER_DRIVERS),
             how = (unsigned)rng_below(&c->w.rng, 3);
    struct sim_plan *p = c->n_drivers ? drivernode_plan(c->drivers[old]) : NULL;
    if (!p)
        return -1;
    drivernode_take(c->drivers[1 - old], p);
    if (how == 0)
        drivernode_pause(c->drivers[old], for_us);
    return how == 1 ? (int)old : -1;
}

void clients_cancel(struct cluster *c)
{
    struct drivernode *d = some_driver(c);
    if (d)
        drivernode_cancel(d);
}

void clients_monitor_crash(struct cluster *c, int64_t for_us)
{
    struct monitornode *m = some_monitor(c);
    if (m)
        monitornode_crash(m, for_us);
}

void clients_monitor_pause(struct cluster *c, int64_t for_us)
{
    struct monitornode *m = some_monitor(c);
    if (m)
        monitornode_pause(m, for_us);
}
