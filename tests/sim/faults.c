/* faults.c - which faults happen in a seed, and when. Each fault mends itself after a while: the
 * interesting part is what remains. */
#include "tests/sim/clusterinside.h"

static struct workernode *some_server(struct cluster *c)
{
    return c->servers[c->server_at[rng_below(&c->w.rng, c->of_servers)]];
}

static struct callernode *some_caller(struct cluster *c)
{
    unsigned i = (unsigned)rng_below(&c->w.rng, c->of_callers + 1u);
    return i < c->of_callers ? c->callers[c->caller_at[i]] : c->chief;
}

/* How long something is away: mostly briefly, sometimes for longer than lease and lost_after. */
static int64_t while_us(struct cluster *c)
{
    struct world *w = &c->w;
    if (world_chance(w, 500))
        return world_between(w, MS(20), SECS(3));
    return world_chance(w, 600) ? world_between(w, SECS(1), SECS(30))
                                : world_between(w, SECS(10), SECS(150));
}

static int64_t within_chaos(struct cluster *c, int64_t for_us)
{
    int64_t left = c->chaos_us - c->w.now;
    return for_us < left ? for_us : left > 0 ? left : 0;
}

static void on_broker_back(struct world *w, void *self)
{
    struct cluster *c = self;
    (void)w;
    brokernode_start(c->broker);
}

static void broker_crash(struct cluster *c)
{
    if (!brokernode_core(c->broker))
        return;
    brokernode_crash(c->broker);
    world_at(&c->w, &c->broker_back, c->w.now + MS(10) + while_us(c) / 2, NULL, on_broker_back, c);
}

static void broker_pause(struct cluster *c)
{
    brokernode_pause(c->broker, while_us(c) / 2);
}

static void on_disk_well(struct world *w, void *self)
{
    struct cluster *c = self;
    (void)w;
    brokernode_disk(c->broker, false, false);
}

static void disk(struct cluster *c)
{
    bool full = world_chance(&c->w, c->theme == THEME_MEMORY ? 200 : 500);
    brokernode_disk(c->broker, full, !full);
    world_at(&c->w, &c->disk_well, c->w.now + within_chaos(c, while_us(c)), NULL, on_disk_well, c);
}

static void worker_crash(struct cluster *c)
{
    workernode_crash(some_server(c), world_chance(&c->w, 500), while_us(c));
}

static void worker_pause(struct cluster *c)
{
    workernode_pause(some_server(c), while_us(c));
}

static void runner_crash(struct cluster *c)
{
    workernode_runner_crash(some_server(c), while_us(c) / 4);
}

static void keeper_kill(struct cluster *c)
{
    for (unsigned i = 0; i < 3; i++) /* preferably one that has work */
        if (workernode_kill_keeper(some_server(c)))
            return;
}

static void reboot(struct cluster *c)
{
    workernode_reboot(some_server(c), world_chance(&c->w, 250), while_us(c));
}

static void second_worker(struct cluster *c)
{
    workernode_rival(some_server(c), while_us(c));
}

static void attest(struct cluster *c)
{
    unsigned i = c->server_at[rng_below(&c->w.rng, c->of_servers)];
    unsigned flip = 1u << rng_below(&c->w.rng, CATALOG_JOBS - 1);
    workernode_attest(c->servers[i], workernode_jobs(c->servers[i]) ^ flip,
                      !world_chance(&c->w, 300));
}

static void caller_crash(struct cluster *c)
{
    callernode_crash(some_caller(c), while_us(c));
}

static void caller_pause(struct cluster *c)
{
    callernode_pause(some_caller(c), while_us(c));
}

static struct cable *cable_at(struct cluster *c, unsigned i)
{
    if (i < c->n_servers)
        return workernode_cable(c->servers[i]);
    i -= c->n_servers;
    if (i <= c->n_callers)
        return callernode_cable(i < c->n_callers ? c->callers[i] : c->chief);
    return clients_cable(c, i - c->n_callers - 1);
}

static unsigned cables(const struct cluster *c)
{
    return c->n_servers + c->n_callers + 1 + c->n_drivers + c->n_monitors;
}

static void on_mend(struct world *w, void *self)
{
    struct cluster *c = self;
    for (unsigned i = 0; i < cables(c); i++) { /* those whose event is no longer set */
        struct cable *cable = cable_at(c, i);
        if ((cable->cut[0] || cable->cut[1]) && !event_is_set(&c->mend[i]))
            network_mend(c->network, cable);
    }
    (void)w;
}

static void cut(struct cluster *c, unsigned i, bool one_way, int64_t for_us)
{
    struct world *w = &c->w;
    struct cable *cable = cable_at(c, i);
    bool out = one_way ? world_chance(w, 500) : true;
    if (event_is_set(&c->mend[i]))
        return;
    TRACE(w, cable->name, "(cut off%s)",
          !one_way ? ""
          : out    ? ": what it sends is lost"
                   : ": what it is sent is lost");
    network_cut(c->network, cable, out, one_way ? !out : true);
    world_at(w, &c->mend[i], w->now + within_chaos(c, for_us), NULL, on_mend, c);
}

static void partition(struct cluster *c)
{
    unsigned n = cables(c);
    int64_t for_us = while_us(c) * 2;
    bool one_way = world_chance(&c->w, 300);
    if (world_chance(&c->w, 150)) { /* the broker, from every peer */
        for (unsigned i = 0; i < n; i++)
            cut(c, i, false, for_us);
    } else {
        cut(c, (unsigned)rng_below(&c->w.rng, world_chance(&c->w, 700) ? c->n_servers : n), one_way,
            for_us);
    }
}

static void driver_crash(struct cluster *c)
{
    clients_driver_crash(c, while_us(c));
}

static void driver_pause(struct cluster *c)
{
    clients_driver_pause(c, while_us(c));
}

static void driver_replace(struct cluster *c)
{
    int64_t for_us = SECS(5) + while_us(c);
    int cable = clients_driver_replace(c, for_us);
    if (cable >= 0)
        cut(c, c->n_servers + c->n_callers + 1 + (unsigned)cable, false, for_us);
}

static void parent_cancel(struct cluster *c)
{
    if (world_chance(&c->w, 400))
        clients_cancel(c);
}

static void monitor_crash(struct cluster *c)
{
    clients_monitor_crash(c, while_us(c));
}

static void monitor_pause(struct cluster *c)
{
    clients_monitor_pause(c, while_us(c));
}

static void on_decide(struct world *w, void *self)
{
    (void)w;
    cluster_release(self, 700);
}

static void on_late_crash(struct world *w, void *self)
{
    struct cluster *c = self;
    if (w->chaos)
        workernode_runner_crash(c->servers[c->late], c->late_for_us);
}

/* Cuts off a server with work for about lost_after. */
static void exile(struct cluster *c)
{
    for (unsigned i = 0; i < c->n_servers; i++)
        if (workernode_children(c->servers[i]) && world_chance(&c->w, 700)) {
            int64_t away = c->lost_after_us / 2 + world_between(&c->w, 0, c->lost_after_us);
            cut(c, i, world_chance(&c->w, 200), away);
            if (world_chance(&c->w, 800)) /* of what was lost, just as its server comes back */
                world_at(&c->w, &c->decide, c->w.now + away + world_between(&c->w, 0, SECS(12)),
                         NULL, on_decide, c);
            if (world_chance(&c->w, 400))
                workernode_crash(c->servers[i], false, world_between(&c->w, 0, c->lost_after_us));
            if (world_chance(&c->w, 600)) {
                /* requested steps wait for the fence when it crashes */
                c->late = i;
                c->late_for_us = world_between(&c->w, SECS(5), SECS(40));
                world_at(&c->w, &c->late_crash,
                         c->w.now + c->lost_after_us / 2 +
                             world_between(&c->w, 0, c->lost_after_us),
                         NULL, on_late_crash, c);
            } else if (world_chance(&c->w, 400)) /* and it is away when the server comes back */
                workernode_runner_crash(c->servers[i],
                                        c->lost_after_us + world_between(&c->w, 0, SECS(20)));
            return;
        }
}

static void break_one(struct cluster *c)
{
    network_break_some(c->network);
}

static void wall_step(struct cluster *c)
{
    struct world *w = &c->w;
    int64_t ms =
        c->small_steps ? world_between(w, -20000, 20000) : world_between(w, -3600000, 3600000);
    if (world_chance(w, 500))
        brokernode_wall_step(c->broker, ms);
    else
        workernode_wall_step(some_server(c), ms);
}

static void release_some(struct cluster *c)
{
    cluster_release(c, 700);
}

static void drain(struct cluster *c)
{
    world_met(&c->w, FAULT_DRAIN);
    callernode_operate(c->chief, world_chance(&c->w, 600) ? "drain" : "undrain",
                       workernode_name(some_server(c)), "");
}

/* Small steps add up to less than five minutes: at most ten of them happen. */
/* clang-format off */
#define TROUBLES(X) \
    X(broker_crash) X(broker_pause) X(disk) X(worker_crash) X(worker_pause) X(runner_crash) \
    X(keeper_kill) X(reboot) X(second_worker) X(attest) X(caller_crash) X(caller_pause) \
    X(partition) X(exile) X(release_some) X(break_one) X(wall_step) X(drain) X(driver_crash) \
    X(driver_pause) X(driver_replace) X(parent_cancel) X(monitor_crash) X(monitor_pause)
/* clang-format on */
#define FUNCTION(name) name,
#define NAME(name)     #name,
static void (*const troubles[])(struct cluster *c) = {TROUBLES(FUNCTION)};
enum { TROUBLE_COUNT = sizeof troubles / sizeof *troubles };

const char *cluster_trouble(unsigned i)
{
    static const char *const names[] = {TROUBLES(NAME)};
    return i < TROUBLE_COUNT ? names[i] : NULL;
}

static void happens(struct cluster *c, unsigned kind)
{
    unsigned n = ++c->troubled;
    if (c->subset->kinds >> kind & 1 || !only_has(&c->subset->troubles, n))
        return;
    struct rng was = world_chance_begin(&c->w, LUCK_TROUBLE, n);
    only_add(&c->ret->troubles, n);
    TRACE(&c->w, "WORLD", "trouble %u: %s", n, cluster_trouble(kind));
    troubles[kind](c);
    world_chance_end(&c->w, &was);
}

static void on_fault(struct world *w, void *self)
{
    struct cluster *c = self;
    if (w->now >= c->chaos_us) {
        cluster_heal(c);
        return;
    }
    struct rng was = world_chance_begin(w, LUCK_FAULT, ++c->faults);
    unsigned kind = (unsigned)rng_below(&w->rng, TROUBLE_COUNT);
    if (c->kinds & 1u << kind &&
        (troubles[kind] != wall_step || !c->small_steps || ++c->steps_of_walls <= 10))
        happens(c, kind);
    world_at(w, &c->fault, w->now + world_between(w, MS(1), c->every_us * 2), NULL, on_fault, c);
    world_chance_end(w, &was);
}

static uint64_t bit_of(void (*trouble)(struct cluster *c))
{
    for (unsigned i = 0; i < TROUBLE_COUNT; i++)
        if (troubles[i] == trouble)
            return 1u << i;
    return 0;
}

void faults_begin(struct cluster *c)
{
    struct world *w = &c->w;
    c->kinds = world_chance(w, 250)
                   ? ~0u
                   : rng_next(&w->rng) & (world_chance(w, 300) ? rng_next(&w->rng) : ~0u);
    c->every_us = world_between(w, MS(300), SECS(12));
    if (c->theme == THEME_EXILE) {
        c->kinds |= bit_of(exile) | bit_of(release_some) | bit_of(worker_crash);
        c->kinds &= rng_next(&w->rng) |
                    ~(bit_of(broker_crash) | bit_of(drain) | bit_of(attest) | bit_of(reboot));
        c->every_us = world_between(w, MS(200), SECS(2));
    } else if (c->theme == THEME_MEMORY) {
        c->kinds |= bit_of(disk) | bit_of(caller_crash) | bit_of(break_one);
        c->every_us = world_between(w, MS(200), SECS(3));
    }
    world_at(w, &c->fault, SECS(2), NULL, on_fault, c);
}
