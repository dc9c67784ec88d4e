/* lawstesting.c - see lawstesting.h. */
#include "tests/sim/lawstesting.h"

void rig_begin(struct rig *r)
{
    memset(r, 0, sizeof *r);
    world_init(&r->w, 1, NULL);
    r->laws = laws_new(&r->w);
    catalog_make(&r->catalog);
    for (unsigned i = 0; i < CATALOG_JOBS; i++)
        laws_job(r->laws, r->catalog.jobs[i].hash, r->catalog.jobs[i].idempotent,
                 r->catalog.jobs[i].concurrency);
}

void rig_end(struct rig *r)
{
    laws_free(&r->laws);
    catalog_free(&r->catalog);
    graph_free(&r->graph);
    buf_free(&r->plan);
    buf_free(&r->plan_signed);
    buf_free(&r->texts);
    buf_free(&r->body);
    buf_free(&r->call);
    buf_free(&r->outcome);
    world_end(&r->w);
}

void rig_end_unbroken(struct rig *r)
{
    const char *text;
    enum law is = laws_broken(r->laws, &text);
    if (is != LAW_COUNT)
        fail_msg("%s is broken: %s", law_name(is), text);
    rig_end(r);
}

void rig_each_breaks_its_law(const struct violation *violations, unsigned n,
                             void (*prepare)(struct rig *r))
{
    for (unsigned i = 0; i < n; i++) {
        struct rig r;
        const char *text;
        rig_begin(&r);
        if (prepare)
            prepare(&r);
        violations[i].happens(&r);
        enum law is = laws_broken(r.laws, &text);
        if (is != violations[i].law)
            fail_msg("violation %u breaks %s (%s), not %s", i, law_name(is), text,
                     law_name(violations[i].law));
        assert_true(r.w.broken);
        assert_true(text[0]);
        rig_end(&r);
    }
}
