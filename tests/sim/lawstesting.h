/* lawstesting.h - what laws_test.c and lawsclients_test.c share: a witness that is told of a
 * world that does not exist, and tables of violations, each of which must first break its own
 * law. For *_test.c only. */
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
    struct graph graph; /* from here on: for the laws about parents and monitors */
    struct buf plan, plan_signed, texts;
};

struct violation {
    enum law law; /* the law that it breaks */
    void (*happens)(struct rig *r);
};

void rig_begin(struct rig *r);
void rig_end(struct rig *r);
void rig_end_unbroken(struct rig *r); /* fails the test if a law was broken */
/* Lets each violation happen in a rig of its own. `prepare` runs first in each; NULL: nothing. */
void rig_each_breaks_its_law(const struct violation *violations, unsigned n,
                             void (*prepare)(struct rig *r));

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

/* The broker sends this to a session, or takes it. */
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

#endif
