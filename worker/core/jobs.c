/* jobs.c - the jobs of the attempts that are here, one of each version. */
#include "worker/core/inside.h"

static void free_job(struct wjob **j)
{
    steps_job_free(&(*j)->def);
    buf_free(&(*j)->bytes);
    mem_free(j);
}

struct wjob *wjob_hold(struct wcore *c, const struct hash *hash, struct span bytes,
                       struct error *err)
{
    struct wjob *j;
    HASH_FIND(hh, c->jobs, hash, sizeof *hash, j);
    if (j) {
        j->refs++;
        return j;
    }
    j = mem_zalloc(1, sizeof *j);
    j->hash = *hash;
    j->refs = 1;
    buf_add(&j->bytes, bytes.p, bytes.n);
    if (steps_job_read(buf_span(&j->bytes), &j->def, err) < 0) {
        free_job(&j);
        return NULL;
    }
    HASH_ADD(hh, c->jobs, hash, sizeof j->hash, j);
    return j;
}

void wjob_drop(struct wcore *c, struct wjob **pj)
{
    struct wjob *j = *pj;
    *pj = NULL;
    if (!j || --j->refs)
        return;
    HASH_DEL(c->jobs, j);
    free_job(&j);
}
