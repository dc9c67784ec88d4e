/* refusals.c - see refusals.h. */
#include "worker/refusals.h"

#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/need.h"
#include "package/proxyhere.h"
#include "proto/childenv.h"
#include "worker/answers.h"

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

/* NULL: it is a step with a text, or the job has a trouble of its own. */
static const struct installed_package *package_of(const struct refusals *r, const struct d_step *s)
{
    return hash_is_zero(&s->package) ? NULL : installed_by_hash(r->store, &s->package);
}

static int judge_step(struct refusals *r, const struct d_step *s, struct proxy_found *ret,
                      struct error *err)
{
    const struct proxy_question asked = {.subsystem = s->subsystem};
    int rc = proxyserver_judge(&r->here.server, s->proxy, &asked, ret, err);
    const struct installed_package *p = package_of(r, s);
    return rc == 0 && p ? proxyhere_judge_signer(&r->here, ret, &p->runnable.signer_key, err) : rc;
}

/* ---- Needs */

struct refusals_variables {
    char **v;
    size_t n;
};

static void set(struct refusals_variables *e, struct span name, struct span value)
{
    size_t at = 0;
    while (at < e->n &&
           !(strncmp(e->v[at], (const char *)name.p, name.n) == 0 && e->v[at][name.n] == '='))
        at++;
    if (at == e->n) {
        e->v = mem_realloc(e->v, e->n + 2, sizeof *e->v);
        e->v[++e->n] = NULL;
    } else
        mem_free(&e->v[at]);
    e->v[at] = mem_printf(SPAN_FMT "=" SPAN_FMT, SPAN_ARG(name), SPAN_ARG(value));
}

static void set_all(struct refusals_variables *e, const struct wire_list *map)
{
    struct wire_iter it = wire_iter(map);
    struct span name;
    struct value v;
    while (wire_next_pair(&it, &name, &v))
        set(e, name, v.bytes);
}

static void probe_all(const struct refusals_variables *e, const struct wire_list *needs,
                      const struct d_step *s, const struct refusals_calls *calls)
{
    struct wire_iter it = wire_iter(needs);
    struct span need;
    char name[LIMIT_SHORT + 1], trouble[ERROR_TEXT_MAX] = "";
    while (wire_next(&it, &need)) {
        char *text = span_dup_str(need);
        bool holds = need_probe(text, e->v, trouble, sizeof trouble);
        answers_name(need, s->proxy, name);
        calls->need(calls->self, name, holds, trouble);
        mem_free(&text);
    }
}

/* With the variables that decide, but as this user. */
static void probe_needs(const struct refusals *r, const struct d_step *s,
                        const struct proxy_found *found, const struct refusals_calls *calls)
{
    struct refusals_variables e = {0};
    const struct installed_package *p = package_of(r, s);
    set(&e, span_str("PATH"), span_str(CHILDENV_PATH));
    set_all(&e, &found->subsystem.environment);
    set_all(&e, &found->proxy.environment);
    probe_all(&e, &found->subsystem.needs, s, calls);
    if (p)
        probe_all(&e, &p->runnable.needs, s, calls);
    for (size_t i = 0; i < e.n; i++)
        mem_free(&e.v[i]);
    mem_free(&e.v);
}

/* ---- */

unsigned refusals_judge(struct refusals *r, struct span job, const struct refusals_calls *calls)
{
    struct d_job j;
    struct d_step s;
    struct span item;
    unsigned refused = 0;
    if (d_job_decode(job, &j, NULL) < 0)
        return 0; /* it was compiled here */
    for (struct wire_iter it = wire_iter(&j.steps); wire_next(&it, &item);) {
        struct error why = {0};
        struct proxy_found found = {0};
        if (d_step_decode(item, &s, NULL) < 0)
            continue;
        if (judge_step(r, &s, &found, &why) < 0) {
            calls->refused(calls->self, s.name, &why);
            refused++;
        } else
            probe_needs(r, &s, &found, calls);
    }
    return refused;
}
