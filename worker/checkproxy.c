/* checkproxy.c - see checkproxy.h. */
#include "worker/checkproxy.h"

#include "common/mem.h"

static int judge_step(struct proxyhere *here, const struct installed_store *packages,
                      const struct d_step *s, struct error *err)
{
    const struct proxy_question q = {.subsystem = s->subsystem};
    const struct installed_package *p =
        hash_is_zero(&s->package) ? NULL : installed_by_hash(packages, &s->package);
    struct proxy_found found = {0};
    int rc = proxyserver_judge(&here->server, s->proxy, &q, &found, err);
    if (rc == 0 && p)
        rc = proxyhere_judge_signer(here, &found, &p->runnable.signer_key, err);
    return rc;
}

unsigned checkproxy_job(struct proxyhere *here, const struct installed_store *packages,
                        const struct job_here *job, checkproxy_trouble_fn *trouble, void *self)
{
    struct d_job d;
    struct d_step s;
    struct span item;
    unsigned refused = 0;
    if (d_job_decode(buf_span(&job->bytes), &d, NULL) < 0)
        return 0; /* it was compiled here */
    for (struct wire_iter it = wire_iter(&d.steps); wire_next(&it, &item);) {
        struct error why = {0};
        if (d_step_decode(item, &s, NULL) < 0 || judge_step(here, packages, &s, &why) == 0)
            continue;
        char *name = span_dup_str(s.name);
        trouble(self, job->name, name, &why);
        mem_free(&name);
        refused++;
    }
    return refused;
}
