/* feedring.c - the newest records, for readers that keep up; see feed.h. */
#include <assert.h>
#include <string.h>

#include "broker/core/feedinside.h"
#include "broker/core/view.h"

struct id feed_run_of(struct span record, uint64_t *ret_kind, bool *ret_begins)
{
    _Alignas(16) uint8_t decoded[512];
    struct id run = ID_ZERO;
    size_t size;
    *ret_kind = 0;
    *ret_begins = false;
    if (wire_peek(record, ret_kind, &size, NULL) < 0)
        return run;
    const struct wire_schema *s = messages_schema_of_kind(*ret_kind, NULL);
    if (!s || s->count < 2 || s->size > sizeof decoded || s->fields()[1].type != WIRE_id ||
        strcmp(s->fields()[1].name, "run") != 0 || wire_decode(s, record, false, decoded, NULL) < 0)
        return run;
    memcpy(&run, decoded + s->fields()[1].offset, sizeof run);
    *ret_begins = *ret_kind == KIND_R_CALLED || *ret_kind == KIND_R_PARENT_BEGUN;
    return run;
}

static struct feed_slot *slot_of(const struct feed *f, uint64_t lsn)
{
    assert(f->config.ring_most);
    return &f->ring[lsn % f->config.ring_most];
}

static void flying_free(struct flying *x)
{
    if (x->listed || x->slots)
        return;
    buf_free(&x->begin);
    mem_free(&x);
}

/* No further record of the run is expected, or the list is full. */
static void flying_unlist(struct feed *f, struct flying *x)
{
    HASH_DEL(f->flying, x);
    x->listed = false;
    flying_free(x);
}

static void pop_first(struct feed *f)
{
    struct feed_slot *slot = slot_of(f, f->first++);
    f->bytes -= slot->record.n + (slot->event ? slot->event->n : 0);
    f->calls->drop(f->self, &slot->event);
    if (slot->run) {
        slot->run->slots--;
        flying_free(slot->run);
    }
    mem_free(&slot->record.p);
    *slot = (struct feed_slot){0};
}

void feedring_empty(struct feed *f)
{
    f->keep = false;
    while (f->first < f->next)
        pop_first(f);
    while (f->flying)
        flying_unlist(f, f->flying);
}

static struct flying *flying_of(struct feed *f, struct id run)
{
    struct flying *x = NULL;
    HASH_FIND(hh, f->flying, &run, sizeof run, x);
    return x;
}

static struct flying *flying_add(struct feed *f, struct id run)
{
    struct flying *x = mem_zalloc(1, sizeof *x);
    if (HASH_COUNT(f->flying) >= FLYING_MAX)
        flying_unlist(f, f->flying); /* its end will come from the store */
    x->run = run;
    x->listed = true;
    HASH_ADD(hh, f->flying, run, sizeof x->run, x);
    return x;
}

/* The run's first record: remembered, or rebuilt from the core. NULL: only the store has it. */
static struct flying *find_begin(struct feed *f, struct id run)
{
    struct flying *x = flying_of(f, run);
    struct view_run r;
    struct view_parent p;
    if (!x && view_run(f->core, &run, &r) && r.call.n) {
        x = flying_add(f, run);
        r_called_encode(
            &(struct r_called){
                .at = r.called_at, .run = run, .principal = span_str(r.principal), .call = r.call},
            &x->begin);
    } else if (!x && view_parent(f->core, &run, &p)) {
        x = flying_add(f, run);
        r_parent_begun_encode(&(struct r_parent_begun){.at = p.begun_at,
                                                       .run = run,
                                                       .principal = span_str(p.principal),
                                                       .parent = p.parent},
                              &x->begin);
    }
    return x;
}

/* The first record of the record's run belongs to the slot, since the run may have ended before
 * anybody asks for the event. */
static void fill_slot(struct feed *f, struct feed_slot *slot, uint64_t lsn, struct span record)
{
    uint64_t kind;
    bool begins;
    struct id run = feed_run_of(record, &kind, &begins);
    struct flying *x = NULL;
    *slot = (struct feed_slot){.lsn = lsn};
    if (begins && !(x = flying_of(f, run))) {
        x = flying_add(f, run);
        x->begin = buf_dup(record);
    } else if (!id_is_zero(run) && !x && !(x = find_begin(f, run))) {
        return;
    }
    slot->record = span_of(mem_dup(record.p, record.n), record.n);
    if (!x)
        return;
    slot->run = x;
    slot->begin = buf_span(&x->begin);
    x->slots++;
    if (x->listed && (kind == KIND_R_ENDED || kind == KIND_R_PARENT_ENDED))
        flying_unlist(f, x);
}

static bool somebody_is_inside(const struct feed *f)
{
    for (unsigned i = 0; i < f->n_principals; i++)
        for (unsigned k = 0; k < f->principals[i]->n; k++)
            if (feedring_has(f, f->principals[i]->readers[k]->position + 1))
                return true;
    return false;
}

/* Begins anew with this record, or behind it. */
static void begin_ring(struct feed *f, uint64_t lsn)
{
    bool keep = f->keep;
    feedring_empty(f);
    f->keep = keep;
    f->first = f->next = keep ? lsn : lsn + 1;
}

void feed_record(struct feed *f, uint64_t lsn, struct span record)
{
    const unsigned look_every = f->config.ring_most / 8 + 1;
    if (!f->keep || f->next != lsn)
        begin_ring(f, lsn);
    if (!f->keep)
        return;
    if (f->next - f->first == f->config.ring_most)
        pop_first(f);
    fill_slot(f, slot_of(f, lsn), lsn, record);
    f->bytes += slot_of(f, lsn)->record.n;
    f->next++;
    while (f->bytes > f->config.ring_bytes && f->first < f->next - 1)
        pop_first(f);
    /* readers that cannot keep up go on from the store, and the ring costs nothing more */
    if (lsn % look_every == 0 && !somebody_is_inside(f))
        feedring_empty(f);
}

void feedring_near(struct feed *f, uint64_t position)
{
    if (position + f->config.ring_most / 8 + 1 >= f->next)
        f->keep = true;
}

bool feedring_has(const struct feed *f, uint64_t lsn)
{
    return lsn >= f->first && lsn < f->next && slot_of(f, lsn)->record.n;
}

struct feed_slot *feedring_at(const struct feed *f, uint64_t lsn)
{
    return feedring_has(f, lsn) ? slot_of(f, lsn) : NULL;
}
