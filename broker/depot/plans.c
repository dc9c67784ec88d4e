/* plans.c - see inside.h: which plans are here, which live parents need them, and when a plan goes.
 *
 * The time of the file <hash>.begun, beside a plan, is when its last parent began. It need not be
 * on disk before the parent is accepted: after a crash, the live parents keep their plans, since
 * the start walks through them. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/depot/inside.h"
#include "broker/shell/known.h"
#include "broker/shell/offload.h"
#include "common/log.h"

enum {
    SWEEP_MS = 5000,
    WALK_MS = 50,
    WALKED_AT_A_TIME = 16, /* parents; finding the next one looks at all of them */
    DROPPED_AT_A_TIME = 64
};

struct depot_plan {
    struct hash hash, who;
    uint64_t cost;   /* charged to `who`; 0: not charged */
    int64_t due;     /* wall ms; INT64_MAX: for ever */
    unsigned needed; /* live parents */
    UT_hash_handle hh;
};

/* A live parent. */
struct depot_parent {
    struct id run;
    struct hash plan;
    UT_hash_handle hh;
};

struct depot_plans {
    struct depot *depot;
    uint64_t retention_ms;
    struct depot_plan *plans;
    struct depot_parent *parents;
    bool walked; /* the parents that were live at the start are all known */
    struct id walk;
    struct loop_timer timer;
};

static int64_t now_of(const struct depot_plans *ps)
{
    return loop_now_wall(ps->depot->shell->loop);
}

static struct depot_plan *plan_of(const struct depot_plans *ps, const struct hash *hash)
{
    struct depot_plan *p = NULL;
    HASH_FIND(hh, ps->plans, hash, sizeof *hash, p);
    return p;
}

static int64_t due_after(const struct depot_plans *ps, int64_t begun)
{
    return ps->retention_ms ? begun + (int64_t)ps->retention_ms : INT64_MAX;
}

static void keep_until(struct depot_plan *p, int64_t due)
{
    if (due > p->due)
        p->due = due;
}

/* When the last parent with it began. 0: none has. */
static int64_t begun_at(const struct depot_plans *ps, const struct hash *plan)
{
    struct stat st;
    char *path = depot_path(ps->depot->folder, plan, ".begun");
    int64_t at = stat(path, &st) == 0 ? (int64_t)st.st_mtime * 1000 : 0;
    mem_free(&path);
    return at;
}

void plans_here(struct depot_plans *ps, const struct hash *plan, const struct hash *who,
                uint64_t cost)
{
    struct depot_plan *p = plan_of(ps, plan);
    if (!p) {
        p = mem_zalloc(1, sizeof *p);
        p->hash = *plan;
        int64_t begun = begun_at(ps, plan);
        if (begun)
            keep_until(p, due_after(ps, begun));
        if (who) {
            p->who = *who;
            p->cost = cost;
        }
        HASH_ADD(hh, ps->plans, hash, sizeof p->hash, p);
    }
    keep_until(p, now_of(ps) + DEPOT_PLAN_MS);
}

void plans_ask(struct depot_plans *ps, const struct hash *plan)
{
    struct depot_plan *p = plan_of(ps, plan);
    if (p)
        keep_until(p, now_of(ps) + DEPOT_PLAN_MS);
}

static void forget(struct depot_plans *ps, struct depot_plan *p)
{
    HASH_DEL(ps->plans, p);
    mem_free(&p);
}

void plans_forget(struct depot_plans *ps, const struct hash *plan)
{
    struct depot_plan *p = plan_of(ps, plan);
    if (p)
        forget(ps, p);
}

/* ---- Live parents */
struct depot_marking {
    struct offload_job job;
    char *path;
};

static void mark_work(struct offload_job *job)
{
    struct depot_marking *m = (struct depot_marking *)job;
    int fd = open(m->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || futimens(fd, NULL) < 0 || fsync(fd) < 0)
        log_warn("depot: '%s' cannot be written; its plan may go too early", m->path);
    if (fd >= 0)
        close(fd);
}

static void mark_done(struct offload_job *job, bool cancelled)
{
    struct depot_marking *m = (struct depot_marking *)job;
    (void)cancelled;
    mem_free(&m->path);
    mem_free(&m);
}

static void mark(const struct depot_plans *ps, const struct hash *plan)
{
    struct depot_marking *m = mem_zalloc(1, sizeof *m);
    m->job = (struct offload_job){.work = mark_work, .done = mark_done};
    m->path = depot_path(ps->depot->folder, plan, ".begun");
    offload_push(ps->depot->shell->offload, &m->job);
}

/* True: it was not known to be live. */
static bool add_parent(struct depot_plans *ps, const struct id *run, struct span signed_parent,
                       struct hash *ret_plan)
{
    struct d_signed s;
    struct d_parent d;
    struct depot_parent *p = NULL;
    HASH_FIND(hh, ps->parents, run, sizeof *run, p);
    if (p || d_signed_decode(signed_parent, &s, NULL) < 0 ||
        d_parent_decode(s.body, &d, NULL) < 0 || !d.plan_size)
        return false;
    p = mem_zalloc(1, sizeof *p);
    p->run = *run;
    p->plan = *ret_plan = d.plan;
    HASH_ADD(hh, ps->parents, run, sizeof p->run, p);
    struct depot_plan *plan = plan_of(ps, &d.plan);
    if (plan)
        plan->needed++;
    return true;
}

static void drop_parent(struct depot_plans *ps, const struct id *run)
{
    struct depot_parent *p = NULL;
    HASH_FIND(hh, ps->parents, run, sizeof *run, p);
    if (!p)
        return;
    struct depot_plan *plan = plan_of(ps, &p->plan);
    if (plan && plan->needed)
        plan->needed--;
    HASH_DEL(ps->parents, p);
    mem_free(&p);
}

static void on_record(void *self, uint64_t lsn, struct span record)
{
    struct depot_plans *ps = self;
    struct r_parent_begun begun;
    struct r_parent_ended ended;
    struct hash plan;
    uint64_t kind;
    size_t size;
    (void)lsn;
    if (wire_peek(record, &kind, &size, NULL) < 0)
        return;
    if (kind == KIND_R_PARENT_BEGUN && r_parent_begun_decode(record, &begun, NULL) == 0 &&
        add_parent(ps, &begun.run, begun.parent, &plan)) {
        struct depot_plan *p = plan_of(ps, &plan);
        if (p)
            keep_until(p, due_after(ps, now_of(ps)));
        mark(ps, &plan);
    } else if (kind == KIND_R_PARENT_ENDED && r_parent_ended_decode(record, &ended, NULL) == 0) {
        drop_parent(ps, &ended.run);
    }
}

static void walk(struct depot_plans *ps)
{
    struct view_parent v;
    struct hash plan;
    for (unsigned i = 0; i < WALKED_AT_A_TIME; i++) {
        if (!view_parent_after(ps->depot->shell->core, &ps->walk, &v)) {
            ps->walked = true;
            return;
        }
        ps->walk = v.id;
        add_parent(ps, &v.id, v.parent, &plan);
    }
}

/* ---- Going */
/* One that was found at the start was charged to the key that its uploader's name has now. */
static void give_back(const struct depot_plans *ps, const struct depot_plan *p, uint64_t cost)
{
    struct budgets *budgets = ps->depot->budgets;
    char by[LIMIT_NAME + 1];
    if (p->cost) {
        budgets_give(budgets, &p->who, BUDGET_DEPOT, p->cost);
        return;
    }
    depot_uploader(ps->depot->folder, &p->hash, by);
    const struct certificate *c = known_by_name(ps->depot->shell->known, by);
    if (c && budgets_used(budgets, &c->transport_key, BUDGET_DEPOT) >= cost)
        budgets_give(budgets, &c->transport_key, BUDGET_DEPOT, cost);
}

static void drop_plan(struct depot_plans *ps, struct depot_plan *p)
{
    static const char *const endings[] = {"", ".begun", ".by"};
    struct depot *d = ps->depot;
    uint64_t cost = depot_cost(d, &p->hash);
    give_back(ps, p, cost);
    for (unsigned i = 0; i < sizeof endings / sizeof *endings; i++) {
        char *path = depot_path(d->folder, &p->hash, endings[i]);
        unlink(path);
        mem_free(&path);
    }
    d->bytes -= cost < d->bytes ? cost : d->bytes;
    forget(ps, p);
}

static void sweep(struct depot_plans *ps)
{
    struct depot_plan *p, *next;
    unsigned n = 0;
    HASH_ITER (hh, ps->plans, p, next)
        if (!p->needed && p->due <= now_of(ps) && n++ < DROPPED_AT_A_TIME)
            drop_plan(ps, p);
}

static void on_timer(struct loop *loop, struct loop_timer *t, void *arg)
{
    struct depot_plans *ps = arg;
    if (ps->walked)
        sweep(ps);
    else
        walk(ps);
    loop_timer_set(loop, t, "plans", loop_now(loop) + (ps->walked ? SWEEP_MS : WALK_MS), on_timer,
                   ps);
}

/* ---- Start and end */
struct depot_plans *plans_new(struct depot *d, uint64_t retention_ms)
{
    struct depot_plans *ps = mem_zalloc(1, sizeof *ps);
    struct loop *loop = d->shell->loop;
    ps->depot = d;
    ps->retention_ms = retention_ms;
    shell_listen(d->shell, &(struct shell_listener){.self = ps, .record = on_record});
    loop_timer_set(loop, &ps->timer, "plans", loop_now(loop), on_timer, ps);
    return ps;
}

void plans_free(struct depot_plans **plans)
{
    struct depot_plans *ps = *plans;
    struct depot_parent *p, *next;
    if (!ps)
        return;
    loop_timer_stop(ps->depot->shell->loop, &ps->timer);
    while (ps->plans)
        forget(ps, ps->plans);
    HASH_ITER (hh, ps->parents, p, next) {
        HASH_DEL(ps->parents, p);
        mem_free(&p);
    }
    mem_free(plans);
}
