/* serverjobs.c - see serverjobs.h. */
#include "tests/sim/serverjobs.h"

#include "common/mem.h"

struct sought { /* a job that is being looked for */
    struct event event;
    struct serverjobs *all;
    struct id run;
    uint64_t attempt;
    struct hash job;
    struct sought *next;
};

struct serverjobs {
    struct world *w;
    struct process *worker;
    const struct catalog *catalog;
    unsigned jobs;
    bool need_holds;
    serverjobs_found *found;
    void *self;
    struct sought *sought;
};

struct serverjobs *serverjobs_new(struct world *w, struct process *worker, const struct catalog *c,
                                  unsigned jobs, serverjobs_found *found, void *self)
{
    struct serverjobs *j = mem_zalloc(1, sizeof *j);
    j->w = w;
    j->worker = worker;
    j->catalog = c;
    j->jobs = jobs;
    j->need_holds = true;
    j->found = found;
    j->self = self;
    return j;
}

static void sought_free(struct sought *f)
{
    struct sought **at = &f->all->sought;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    world_cancel(f->all->w, &f->event);
    mem_free(&f);
}

void serverjobs_forget(struct serverjobs *j)
{
    while (j->sought)
        sought_free(j->sought);
}

void serverjobs_free(struct serverjobs **pj)
{
    if (!*pj)
        return;
    serverjobs_forget(*pj);
    mem_free(pj);
}

/* ---- What this server has */
void serverjobs_set(struct serverjobs *j, unsigned jobs, bool need_holds)
{
    j->jobs = jobs;
    j->need_holds = need_holds;
}

unsigned serverjobs_bits(const struct serverjobs *j)
{
    return j->jobs;
}

void serverjobs_attest(const struct serverjobs *j, unsigned slots, struct buf *out)
{
    catalog_attest(j->catalog, j->jobs, slots, j->need_holds, out);
}

/* ---- Finding one */
static void on_sought(struct world *w, void *self)
{
    struct sought *f = self;
    struct serverjobs *j = f->all;
    struct wcore_event ev = {.kind = WCORE_JOB,
                             .run = f->run,
                             .attempt = f->attempt,
                             .code = REFUSAL_UNKNOWN_JOB,
                             .text = "the job is not here"};
    (void)w;
    for (unsigned i = 0; i < CATALOG_JOBS; i++)
        if (j->jobs & 1u << i && hash_eq(&j->catalog->jobs[i].hash, &f->job))
            ev.message = buf_span(&j->catalog->jobs[i].body);
    sought_free(f);
    j->found(j->self, ev);
}

void serverjobs_find(struct serverjobs *j, const struct wcore_effect *e)
{
    struct m_execute x;
    struct sought *f = mem_zalloc(1, sizeof *f);
    if (m_execute_decode(e->body, &x, NULL) == 0)
        f->job = x.job_hash;
    f->all = j;
    f->run = e->run;
    f->attempt = e->attempt;
    f->next = j->sought;
    j->sought = f;
    int64_t takes = world_chance(j->w, 800) ? 0 : world_between(j->w, 0, MS(20));
    world_at(j->w, &f->event, j->w->now + takes, j->worker, on_sought, f);
}
