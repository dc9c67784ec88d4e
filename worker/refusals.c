/* refusals.c - see refusals.h. */
#include "worker/refusals.h"

#include <unistd.h>

#include "common/mem.h"
#include "package/proxyhere.h"

struct refusals {
    struct proxyhere here;
    const struct installed_store *store;
};

struct refusals *refusals_new(const struct paths *paths, const struct installed_store *store)
{
    struct refusals *r = mem_zalloc(1, sizeof *r);
    proxyhere_open(&r->here, paths);
    r->here.server.skip_credentials = r->here.server.separated && geteuid() != 0;
    r->store = store;
    return r;
}

void refusals_free(struct refusals **pr)
{
    if (!*pr)
        return;
    proxyhere_close(&(*pr)->here);
    mem_free(pr);
}

static int judge_step(struct refusals *r, const struct d_step *s, struct error *err)
{
    const struct proxy_question asked = {.subsystem = s->subsystem};
    struct proxy_found found = {0};
    int rc = proxyserver_judge(&r->here.server, s->proxy, &asked, &found, err);
    if (rc < 0 || hash_is_zero(&s->package))
        return rc;
    const struct installed_package *p = installed_by_hash(r->store, &s->package);
    /* without the package, the job has a trouble of its own */
    return p ? proxyhere_judge_signer(&r->here, &found, &p->runnable.signer_key, err) : 0;
}

int refusals_judge(struct refusals *r, struct span job, struct error *err)
{
    struct d_job j;
    struct span item;
    int rc = d_job_decode(job, &j, err);
    for (struct wire_iter it = wire_iter(&j.steps); rc == 0 && wire_next(&it, &item);) {
        struct d_step s;
        if ((rc = d_step_decode(item, &s, err)) == 0 && (rc = judge_step(r, &s, err)) < 0)
            error_prefix(err, "step '" SPAN_FMT "'", SPAN_ARG(s.name));
    }
    return rc;
}
