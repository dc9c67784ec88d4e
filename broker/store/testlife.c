/* testlife.c - see testlife.h. */
#include "broker/store/testlife.h"

static const char *const WORKER[] = {"etl1", "etl2"};

uint64_t life_below(struct life_chance *c, uint64_t n)
{
    c->state ^= c->state << 13, c->state ^= c->state >> 7, c->state ^= c->state << 17;
    return c->state % n;
}

void life_on_committed(void *self, uint64_t lsn)
{
    ((struct life_store *)self)->committed = lsn;
}

void life_on_full(void *self, bool full)
{
    (void)self;
    assert_false(full);
}

int life_check_loaded(void *self, uint64_t lsn, struct span body, struct error *err)
{
    return bcore_replay(self, lsn, body, err);
}

static void life_hear(struct life_store *s)
{
    struct pollfd p = {.fd = store_fd(s->store), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    store_dispatch(s->store);
}

static void life_on_answer(void *self, const struct store_answer *a)
{
    (void)a;
    ((struct life_store *)self)->answered = true;
}

void life_fold_all(struct life_store *s)
{
    s->answered = false;
    store_ask(s->store, &(struct store_question){.what = STORE_HISTORY, .most = 1}, life_on_answer,
              s);
    while (!s->answered)
        life_hear(s);
}

void life_append(struct core_world *w, struct life_store *s)
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
        life_hear(s);
}

void life_begin_sessions(struct store_life *l)
{
    l->caller = world_caller_up(l->w, "anna");
    for (uint8_t i = 0; i < 2; i++)
        l->worker[i] = world_worker_up(l->w, WORKER[i], (uint8_t)(10 + i));
}

static void life_begin_parent(struct store_life *l)
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
    world_log_clear(l->w);
    SAY(l->w, l->caller, "anna", parent_begin, .req = 1,
        .parent = world_wrapped(l->w, buf_span(&body), "anna"), .drive = true);
    SENT(l->w, l->caller, ACCEPTED, accepted, &a);
    if (life_below(&l->chance, 2))
        SAY(l->w, l->caller, "anna", parent_end, .req = 2, .parent = a.run, .epoch = 1,
            .status = STATUS_SUCCEEDED, .report = span_str("{}"));
    buf_free(&body);
}

static void life_results_of(struct store_life *l, unsigned i)
{
    for (unsigned k = 0; k < l->n; k++) {
        struct view_run v;
        if (!view_run(l->w->core, &l->run[k], &v) || !v.server ||
            strcmp(v.server, WORKER[i]) != 0 || life_below(&l->chance, 3) == 0)
            continue;
        if (life_below(&l->chance, 4) == 0)
            SAY(l->w, l->worker[i], WORKER[i], started, .run = v.id, .attempt = v.attempt,
                .step = span_str("s"));
        if (life_below(&l->chance, 8) == 0)
            SAY(l->w, l->worker[i], WORKER[i], returned, .run = v.id, .attempt = v.attempt);
        else
            world_succeed(l->w, l->worker[i], WORKER[i], l->run[k], v.attempt, 100);
    }
}

void life_act(struct store_life *l)
{
    char key[32];
    unsigned i = (unsigned)life_below(&l->chance, 2);
    world_log_clear(l->w);
    switch (life_below(&l->chance, 10)) {
    case 0:
    case 1:
    case 2:
        snprintf(key, sizeof key, "key-%u", l->serial++);
        l->run[l->n < 64 ? l->n++ : life_below(&l->chance, 64)] = world_call(l->w, l->caller, key);
        break;
    case 3:
    case 4:
        life_results_of(l, i);
        break;
    case 5:
        if (l->n)
            SAY(l->w, l->caller, "anna", cancel, .req = 3,
                .run = l->run[life_below(&l->chance, l->n)], .force = false,
                .reason = span_str("no more"));
        break;
    case 6:
        SAY(l->w, l->caller, "anna", operate, .req = 4,
            .verb = span_str(life_below(&l->chance, 2) ? "drain" : "undrain"),
            .target = span_str(WORKER[i]));
        break;
    case 7:
        life_begin_parent(l);
        break;
    case 8:
        world_down(l->w, l->worker[i]);
        l->worker[i] = world_worker_up(l->w, WORKER[i], (uint8_t)(10 + i));
        break;
    case 9:
        world_pass(l->w, (int64_t)life_below(&l->chance, 400000));
        break;
    }
}
