/* waiting.c - see waiting.h. */
#include "runner/waiting.h"

#include "common/mem.h"

void waiting_init(struct waiting_queue *q)
{
    q->first = NULL;
    q->last = &q->first;
}

static struct waiting *waiting_new(struct span launch, int64_t since)
{
    struct waiting *w = mem_zalloc(1, sizeof *w);
    w->since = since;
    buf_add(&w->launch, launch.p, launch.n);
    return w;
}

void waiting_put(struct waiting_queue *q, struct span launch, int64_t since)
{
    struct waiting *w = waiting_new(launch, since);
    *q->last = w;
    q->last = &w->next;
}

void waiting_put_first(struct waiting_queue *q, struct span launch)
{
    struct waiting *w = waiting_new(launch, 0);
    w->next = q->first;
    q->first = w;
    if (!w->next)
        q->last = &w->next;
}

struct waiting *waiting_take(struct waiting_queue *q, struct waiting **at)
{
    struct waiting *w = *at;
    *at = w->next;
    if (!w->next)
        q->last = at;
    return w;
}

void waiting_free(struct waiting **w)
{
    buf_free(&(*w)->launch);
    mem_free(w);
}

bool waiting_launch(const struct waiting *w, struct s_launch *ret)
{
    return s_launch_decode(buf_span(&w->launch), ret, NULL) == 0;
}

bool waiting_has_run(const struct waiting_queue *q, struct id run)
{
    struct s_launch l;
    for (const struct waiting *w = q->first; w; w = w->next)
        if (waiting_launch(w, &l) && id_eq(l.run, run))
            return true;
    return false;
}

bool waiting_has(const struct waiting_queue *q, const struct s_step *step)
{
    struct s_launch l;
    for (const struct waiting *w = q->first; w; w = w->next)
        if (waiting_launch(w, &l) && id_eq(l.run, step->run) && l.attempt == step->attempt &&
            l.try_no == step->try_no && span_eq(l.step, step->step))
            return true;
    return false;
}
