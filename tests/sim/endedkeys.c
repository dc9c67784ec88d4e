/* endedkeys.c - see endedkeys.h. */
#include "tests/sim/endedkeys.h"

#include "common/mem.h"

enum { PAGE = 8 };

struct endedkeys {
    struct world *w;
    struct process *broker;
    const struct journal *journal;
    endedkeys_give *give;
    void *self;
    uint64_t after, upto;
    struct event event;
};

static void on_page(struct world *w, void *self);

static void next_page(struct endedkeys *k)
{
    int64_t most = world_chance(k->w, 300) ? SECS(60) : MS(200);
    world_at(k->w, &k->event, k->w->now + world_skewed(k->w, 200, most), k->broker, on_page, k);
}

static void on_page(struct world *w, void *self)
{
    struct endedkeys *k = self;
    struct bcore_ended_key keys[PAGE];
    struct r_kept end;
    unsigned n = 0, most = (unsigned)world_between(w, 1, PAGE);
    uint64_t lsn;
    while (n < most && (lsn = journal_next_end(k->journal, k->after, k->upto, &end))) {
        keys[n++] = (struct bcore_ended_key){end.principal, end.key, end.parent};
        k->after = lsn;
    }
    bool last = n < most;
    if (!last)
        next_page(k);
    k->give(k->self, &(struct bcore_event){
                         .kind = BCORE_ENDED_KEYS, .keys = keys, .n_keys = n, .last = last});
}

struct endedkeys *endedkeys_new(struct world *w, struct process *broker, const struct journal *j,
                                uint64_t left_out, endedkeys_give *give, void *self)
{
    struct endedkeys *k = mem_zalloc(1, sizeof *k);
    k->w = w;
    k->broker = broker;
    k->journal = j;
    k->give = give;
    k->self = self;
    k->upto = left_out;
    if (left_out)
        next_page(k);
    return k;
}

void endedkeys_free(struct endedkeys **k)
{
    if (*k)
        world_cancel((*k)->w, &(*k)->event);
    mem_free(k);
}
