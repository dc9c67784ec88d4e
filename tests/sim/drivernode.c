/* drivernode.c - see drivernode.h: the process and its parents. drive.c has what a parent sends
 * and hears. */
#include "tests/sim/drivernode.h"

#include "common/mem.h"
#include "tests/sim/drive.h"

static void on_message(void *self, uint64_t kind, struct span message)
{
    struct drivernode *d = self;
    for (unsigned i = 0; i < d->n_drives; i++)
        drive_hear(d->drives[i], kind, message);
}

static void on_up(void *self, struct span welcome)
{
    struct drivernode *d = self;
    (void)welcome;
    TRACE(d->w, d->process.name, "session is open");
    for (unsigned i = 0; i < d->n_drives; i++)
        drive_session(d->drives[i]);
}

static const struct peerline_calls peerline_calls = {.up = on_up, .message = on_message};

struct drivernode *drivernode_new(struct world *w, struct network *n, struct laws *l,
                                  const char *principal, const char *process)
{
    struct drivernode *d = mem_zalloc(1, sizeof *d);
    d->w = w;
    d->laws = l;
    snprintf(d->name, sizeof d->name, "%s", principal);
    d->cable.name = d->name;
    process_init_machine(w, &d->process, process, &d->clock, WALL_OFF_MS);
    d->line = peerline_new(w, n, &d->cable, &d->process, &peerline_calls, d);
    return d;
}

void drivernode_free(struct drivernode **pd)
{
    struct drivernode *d = *pd;
    if (!d)
        return;
    world_cancel(d->w, &d->come_back);
    for (unsigned i = 0; i < d->n_drives; i++)
        drive_free(&d->drives[i]);
    peerline_free(&d->line);
    mem_free(&d->drives);
    mem_free(pd);
}

void drivernode_start(struct drivernode *d)
{
    d->process.up = true;
    peerline_start(d->line);
}

void drivernode_take(struct drivernode *d, struct sim_plan *p)
{
    for (unsigned i = 0; i < d->n_drives; i++)
        if (d->drives[i]->plan == p)
            return;
    d->drives = mem_realloc(d->drives, d->n_drives + 1, sizeof *d->drives);
    d->drives[d->n_drives++] = drive_new(d, p);
    TRACE(d->w, d->process.name, "is to drive %s", p->key);
    if (d->process.up && peerline_is_up(d->line)) {
        drive_session(d->drives[d->n_drives - 1]);
        peerline_flush(d->line);
    }
}

void drivernode_cancel(struct drivernode *d)
{
    for (unsigned i = 0; d->process.up && i < d->n_drives; i++)
        if (drive_is_going(d->drives[i]) && world_chance(d->w, 500)) {
            drive_cancel(d->drives[i]);
            peerline_flush(d->line);
            return;
        }
}

struct sim_plan *drivernode_plan(struct drivernode *d)
{
    for (unsigned i = 0; i < d->n_drives; i++)
        if (drive_is_going(d->drives[i]))
            return d->drives[i]->plan;
    return NULL;
}

int64_t drivernode_wall(const struct drivernode *d)
{
    return world_wall_ms(d->w, &d->process);
}

/* ---- Faults */
static void on_come_back(struct world *w, void *self)
{
    struct drivernode *d = self;
    TRACE(w, d->process.name, "starts again");
    for (unsigned i = 0; i < d->n_drives; i++) {
        struct sim_plan *plan = d->drives[i]->plan;
        bool over = drive_is_over(d->drives[i]);
        if (over && !world_chance(w, 100))
            continue; /* it had noted that it was done with it */
        drive_free(&d->drives[i]);
        d->drives[i] = drive_new(d, plan);
    }
    drivernode_start(d);
}

void drivernode_crash(struct drivernode *d, int64_t for_us)
{
    if (!d->process.up)
        return;
    TRACE(d->w, d->process.name, "crashes");
    world_met(d->w, FAULT_DRIVER_CRASH);
    process_die(&d->process);
    for (unsigned i = 0; i < d->n_drives; i++)
        drive_stop(d->drives[i]);
    peerline_down(d->line);
    world_at(d->w, &d->come_back, d->w->now + for_us, NULL, on_come_back, d);
}

void drivernode_pause(struct drivernode *d, int64_t for_us)
{
    process_stop(d->w, &d->process, FAULT_DRIVER_PAUSE, "is stopped", for_us);
}

struct cable *drivernode_cable(struct drivernode *d)
{
    return &d->cable;
}

bool drivernode_is_owed(const struct drivernode *d, struct id *ret_parent)
{
    for (unsigned i = 0; i < d->n_drives; i++)
        if (!d->process.up || !drive_is_over(d->drives[i])) {
            *ret_parent = d->drives[i]->run;
            return true;
        }
    return false;
}
