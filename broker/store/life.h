/* life.h - a real core that lives through chance, and a store beside it that is given its records.
 * Included by *_test.c only. */
#ifndef LB_BROKER_STORE_LIFE_H
#define LB_BROKER_STORE_LIFE_H

#include "broker/core/testing.h"

#include <poll.h>

#include "broker/store/store.h"

struct chance {
    uint64_t state;
};

UNUSED uint64_t below(struct chance *c, uint64_t n)
{
    c->state ^= c->state << 13, c->state ^= c->state >> 7, c->state ^= c->state << 17;
    return c->state % n;
}

/* ---- The store beside the world */
struct beside {
    struct store *store;
    char *path;
    size_t at; /* of w->journal: what has been appended */
    uint64_t committed;
    bool answered;
};

UNUSED void on_committed(void *self, uint64_t lsn)
{
    ((struct beside *)self)->committed = lsn;
}

UNUSED void on_full(void *self, bool full)
{
    (void)self;
    assert_false(full);
}

UNUSED int check_loaded(void *self, uint64_t lsn, struct span body, struct error *err)
{
    return bcore_replay(self, lsn, body, err);
}

UNUSED void hear(struct beside *s)
{
    struct pollfd p = {.fd = store_fd(s->store), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    store_dispatch(s->store);
}

UNUSED void on_answer(void *self, const struct store_answer *a)
{
    (void)a;
    ((struct beside *)self)->answered = true;
}

/* Everything appended so far is folded when a question has been answered. */
UNUSED void fold_all(struct beside *s)
{
    s->answered = false;
    store_ask(s->store, &(struct store_question){.what = STORE_HISTORY, .most = 1}, on_answer, s);
    while (!s->answered)
        hear(s);
}

UNUSED void append_new(struct world *w, struct beside *s)
{
    uint64_t last = s->committed;
    while (s->at < w->journal.n) {
        uint64_t head[2];
        memcpy(head, w->journal.p + s->at, sizeof head);
        struct bcore_record r = {head[0], span_of(w->journal.p + s->at + sizeof head, head[1])};
        store_append(s->store, &r, 1);
        s->at += sizeof head + head[1];
        last = head[0];
    }
    while (s->committed < last)
        hear(s);
}

/* ---- A life */
struct life {
    struct world *w;
    struct chance chance;
    uint64_t caller, worker[2];
    struct id run[64];
    unsigned n, serial;
};

__attribute__((unused)) static const char *const WORKER[] = {"etl1", "etl2"};

UNUSED void begin_sessions(struct life *l)
{
    l->caller = caller_up(l->w, "anna");
    for (uint8_t i = 0; i < 2; i++)
        l->worker[i] = worker_up(l->w, WORKER[i], (uint8_t)(10 + i));
}

UNUSED void begin_parent(struct life *l)
{
    struct buf body = {0};
    struct m_accepted a;
    char key[32];
    snprintf(key, sizeof key, "parent-%u", l->serial++);
    d_parent_encode(&(struct d_parent){.cluster = span_str("test"),
                                       .caller = span_str("anna"),
                                       .key = span_str(key),
                                       .name = span_str("nightly"),
                                       .tasks = 1},
                    &body);
    log_clear(l->w);
    SAY(l->w, l->caller, "anna", parent_begin, .req = 1,
        .parent = wrapped(l->w, buf_span(&body), "anna"), .drive = true);
    SENT(l->w, l->caller, ACCEPTED, accepted, &a);
    if (below(&l->chance, 2))
        SAY(l->w, l->caller, "anna", parent_end, .req = 2, .parent = a.run, .epoch = 1,
            .status = STATUS_SUCCEEDED, .report = span_str("{}"));
    buf_free(&body);
}

UNUSED void results_of(struct life *l, unsigned i)
{
    for (unsigned k = 0; k < l->n; k++) {
        struct view_run v;
        if (!view_run(l->w->core, &l->run[k], &v) || !v.server ||
            strcmp(v.server, WORKER[i]) != 0 || below(&l->chance, 3) == 0)
            continue;
        if (below(&l->chance, 4) == 0)
            SAY(l->w, l->worker[i], WORKER[i], started, .run = v.id, .attempt = v.attempt,
                .step = span_str("s"));
        if (below(&l->chance, 8) == 0)
            SAY(l->w, l->worker[i], WORKER[i], returned, .run = v.id, .attempt = v.attempt);
        else
            succeed(l->w, l->worker[i], WORKER[i], l->run[k], v.attempt, 100);
    }
}

UNUSED void one_act(struct life *l)
{
    char key[32];
    unsigned i = (unsigned)below(&l->chance, 2);
    log_clear(l->w);
    switch (below(&l->chance, 10)) {
    case 0:
    case 1:
    case 2:
        snprintf(key, sizeof key, "key-%u", l->serial++);
        l->run[l->n < 64 ? l->n++ : below(&l->chance, 64)] = call(l->w, l->caller, key);
        break;
    case 3:
    case 4:
        results_of(l, i);
        break;
    case 5:
        if (l->n)
            SAY(l->w, l->caller, "anna", cancel, .req = 3, .run = l->run[below(&l->chance, l->n)],
                .force = false, .reason = span_str("no more"));
        break;
    case 6:
        SAY(l->w, l->caller, "anna", operate, .req = 4,
            .verb = span_str(below(&l->chance, 2) ? "drain" : "undrain"),
            .target = span_str(WORKER[i]));
        break;
    case 7:
        begin_parent(l);
        break;
    case 8:
        down(l->w, l->worker[i]);
        l->worker[i] = worker_up(l->w, WORKER[i], (uint8_t)(10 + i));
        break;
    case 9:
        world_pass(l->w, (int64_t)below(&l->chance, 400000));
        break;
    }
}

#endif
