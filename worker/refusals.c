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

unsigned refusals_judge(struct refusals *r, struct span job, refusals_trouble_fn *trouble,
                        void *self)
{
    struct d_job j;
    struct d_step s;
    struct span item;
    unsigned refused = 0;
    if (d_job_decode(job, &j, NULL) < 0)
        return 0; /* it was compiled here */
    for (struct wire_iter it = wire_iter(&j.steps); wire_next(&it, &item);) {
        struct error why = {0};
        if (d_step_decode(item, &s, NULL) < 0 || judge_step(r, &s, &why) == 0)
            continue;
        trouble(self, s.name, &why);
        refused++;
    }
    return refused;
}
