/* lawstesting.h - what laws_test.c and lawsclients_test.c share: a witness that is told of a world
 * which there is not, and the table of violations, each of which must break its law first. Included
 * by *_test.c only. */
#ifndef LB_TESTS_SIM_LAWSTESTING_H
#define LB_TESTS_SIM_LAWSTESTING_H

#include "common/testing.h"
#include "parent/core/graph.h"
#include "tests/sim/catalog.h"
#include "tests/sim/laws.h"

struct rig {
    struct world w;
    struct laws *laws;
    struct catalog catalog;
    uint64_t lsn;
    struct buf body, call, outcome;
    struct graph graph; /* these of the laws about parents and monitors */
    struct buf plan, plan_signed, texts;
};

struct violation {
    enum law law;
    void (*happens)(struct rig *r);
};

/* A record is on disk. RECORD: of the run in its field; RECORD_OF_NONE: of a kind without one. */
#define RECORD_OF(r, id, UP, low, ...) \
    do { \
        struct buf b_ = {0}; \
        struct r_##low v_ = {__VA_ARGS__}; \
        r_##low##_encode(&v_, &b_); \
        laws_durable((r)->laws, &(struct journal_record){.lsn = ++(r)->lsn, \
                                                         .kind = KIND_R_##UP, \
                                                         .run = id, \
                                                         .body = buf_span(&b_)}); \
        buf_free(&b_); \
    } while (0)
#define RECORD(r, UP, low, ...)         RECORD_OF(r, v_.run, UP, low, __VA_ARGS__)
#define RECORD_OF_NONE(r, UP, low, ...) RECORD_OF(r, ID_ZERO, UP, low, __VA_ARGS__)

/* The broker says this to a session, or takes it. */
#define SPOKEN(tell, r, peer, low, ...) \
    do { \
        struct buf b_ = {0}; \
        struct m_##low m_ = {__VA_ARGS__}; \
        m_##low##_encode(&m_, &b_); \
        tell((r)->laws, peer, buf_span(&b_)); \
        buf_free(&b_); \
    } while (0)
#define SAYS_TO(r, peer, low, ...)    SPOKEN(laws_broker_says, r, peer, low, __VA_ARGS__)
#define HEARS_FROM(r, peer, low, ...) SPOKEN(laws_broker_hears, r, peer, low, __VA_ARGS__)

static void rig_begin(struct rig *r)
{
    memset(r, 0, sizeof *r);
    world_init(&r->w, 1, NULL);
    r->laws = laws_new(&r->w);
    catalog_make(&r->catalog);
    for (unsigned i = 0; i < CATALOG_JOBS; i++)
        laws_job(r->laws, r->catalog.jobs[i].hash, r->catalog.jobs[i].idempotent,
                 r->catalog.jobs[i].concurrency);
}

static void rig_end(struct rig *r)
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

/* A story that was told well is over. */
static void rig_end_unbroken(struct rig *r)
{
    const char *text;
    enum law is = laws_broken(r->laws, &text);
    if (is != LAW_COUNT)
        fail_msg("%s is broken: %s", law_name(is), text);
    rig_end(r);
}

/* more: what each of them begins with; NULL: nothing. */
static void each_breaks_its_law(const struct violation *violations, unsigned n,
                                void (*more)(struct rig *r))
{
    for (unsigned i = 0; i < n; i++) {
        struct rig r;
        const char *text;
        rig_begin(&r);
        if (more)
            more(&r);
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

#endif
