/* workerfaults.c - the faults of a server (see workernode.h) and how it recovers from them. */
#include "tests/sim/workerinside.h"

/* ---- The worker alone */
void workernode_crash(struct workernode *s, bool in_step, int64_t for_us)
{
    if (!s->core)
        return;
    if (in_step) {
        s->die_in_step = true;
        return;
    }
    world_met(s->w, FAULT_WORKER_CRASH);
    workernode_back_at(s, s->w->now + for_us);
    workernode_die(s, true);
}

void workernode_pause(struct workernode *s, int64_t for_us)
{
    if (process_stop(s->w, &s->process, FAULT_WORKER_PAUSE, "the worker is stopped", for_us) &&
        s->linked)
        laws_reached(s->laws, s->name, s->process.paused_until);
}

/* ---- The runner, its keepers, the machine */
static void runner_back(struct world *w, void *self)
{
    struct workernode *s = self;
    TRACE(w, s->name, "the runner starts");
    keepers_runner_start(s->keepers);
}

void workernode_runner_crash(struct workernode *s, int64_t for_us)
{
    if (!keepers_runner_is_up(s->keepers))
        return;
    world_at(s->w, &s->runner_back, s->w->now + for_us, NULL, runner_back, s);
    keepers_runner_crash(s->keepers);
}

bool workernode_kill_keeper(struct workernode *s)
{
    return keepers_kill_one(s->keepers);
}

void workernode_reboot(struct workernode *s, bool new_spool, int64_t for_us)
{
    world_met(s->w, new_spool ? FAULT_REINSTALL : FAULT_REBOOT);
    TRACE(s->w, s->name, "the machine %s", new_spool ? "is installed anew" : "reboots");
    workernode_back_at(s, s->w->now + for_us);
    world_at(s->w, &s->runner_back, s->w->now + for_us, NULL, runner_back, s);
    workernode_die(s, false);
    keepers_power_off(s->keepers);
    s->rebooted = true;
    laws_rebooted(s->laws, s->name, s->spool_id);
    s->fence = 0; /* it was a time of the last boot */
    world_random_bytes(s->w, &s->nonce, sizeof s->nonce);
    /* A copy of an earlier boot that comes in while the first cannot be heard is taken for the
     * first after a power cut (docs/operations.md). */
    rivalworker_free(&s->rival);
    world_clock_boot(s->w, &s->clock);
    if (!new_spool && world_chance(s->w, 600)) {
        world_met(s->w, FAULT_POWER_CUT);
        TRACE(s->w, s->name, "its power is cut");
        disk_spool_cut(&s->spool, s->w);
        s->gap = true;
        world_random_bytes(s->w, &s->boot, sizeof s->boot);
        laws_power_cut(s->laws, s->name, s->spool_id, s->boot);
    }
    for (unsigned f = 0; f < SPOOL_FILES; f++)
        disk_spool_sync(&s->spool, f);
    if (!new_spool)
        return;
    world_random_bytes(s->w, &s->boot, sizeof s->boot);
    world_random_bytes(s->w, &s->spool_id, sizeof s->spool_id);
    disk_spool_free(&s->spool);
}

void workernode_wall_step(struct workernode *s, int64_t ms)
{
    world_clock_step(s->w, &s->process, ms);
    if (peerline_is_up(s->line))
        laws_steady(s->laws, s->name, s->w->now);
}

/* ---- Its jobs, and a rival under its name */
static void on_attest(struct world *w, void *self)
{
    struct workernode *s = self;
    TRACE(w, s->name, "what it attests changes");
    workernode_say_attest(s);
    peerline_flush(s->line);
}

void workernode_attest(struct workernode *s, unsigned jobs, bool need_holds)
{
    serverjobs_set(s->jobs, jobs, need_holds);
    world_met(s->w, FAULT_ATTEST);
    /* a stopped worker attests when it resumes; one that is down, in its next session */
    if (s->core)
        world_at(s->w, &s->attest, s->w->now, &s->process, on_attest, s);
}

static void rival_let_in(void *self, struct span welcome)
{
    struct workernode *s = self;
    struct m_welcome m;
    const int64_t renewed = s->core ? peerline_renewed(s->line) : 0;
    if (renewed && m_welcome_decode(welcome, &m, NULL) == 0 && m.epoch == s->epoch)
        laws_let_in(s->laws, s->name, MS(world_boot_ms(s->w, &s->process) - renewed));
}

static void rival_end(struct world *w, void *self)
{
    struct workernode *s = self;
    (void)w;
    rivalworker_free(&s->rival);
}

void workernode_rival(struct workernode *s, int64_t for_us)
{
    struct rivalworker_self self = {
        .spool = s->spool_id, .boot = s->boot, .let_in = rival_let_in, .first = s};
    if (s->rival)
        return;
    world_random_bytes(s->w, &self.incarnation, sizeof self.incarnation);
    if (world_chance(s->w, 500)) {
        world_met(s->w, FAULT_COPIED_HOME);
    } else {
        world_met(s->w, FAULT_SECOND_WORKER);
        world_random_bytes(s->w, &self.spool, sizeof self.spool);
        world_random_bytes(s->w, &self.boot, sizeof self.boot);
    }
    s->rival = rivalworker_new(s->w, peerline_network(s->line), s->laws, &s->cable,
                               &s->rival_process, &s->clock, &self);
    world_at(s->w, &s->rival_end, s->w->now + for_us, NULL, rival_end, s);
}
