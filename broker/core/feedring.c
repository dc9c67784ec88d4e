/* feedring.c - the newest events, ready to be sent; see feed.h. */
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

static struct feed_event **slot_of(const struct feed *f, uint64_t lsn)
{
    assert(f->config.ring_most);
    return &f->ring[lsn % f->config.ring_most];
}

static void pop_first(struct feed *f)
{
    struct feed_event **slot = slot_of(f, f->first++);
    if (*slot)
        f->bytes -= (*slot)->n;
    f->calls->drop(f->self, slot);
}

static void flying_drop(struct feed *f, struct flying *x)
{
    HASH_DEL(f->flying, x);
    buf_free(&x->begin);
    mem_free(&x);
}

void feedring_empty(struct feed *f)
{
    while (f->first < f->next)
        pop_first(f);
    while (f->flying)
        flying_drop(f, f->flying);
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
        flying_drop(f, f->flying); /* its end will come from the store */
    x->run = run;
    HASH_ADD(hh, f->flying, run, sizeof x->run, x);
    return x;
}

/* The run's first record: remembered, or rebuilt from the core. */
static bool find_begin(struct feed *f, struct id run, struct span *ret)
{
    struct flying *x = flying_of(f, run);
    struct view_run r;
    struct view_parent p;
    if (!x && view_run(f->core, &run, &r)) {
        if (!r.call.n)
            return false; /* the store has the first record */
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
    if (x)
        *ret = buf_span(&x->begin);
    return x != NULL;
}

static struct feed_event *make(struct feed *f, uint64_t lsn, struct span record)
{
    uint64_t kind;
    bool begins;
    struct span begin = record;
    struct id run = feed_run_of(record, &kind, &begins);
    if (id_is_zero(run))
        return f->calls->make(f->self, lsn, record, SPAN_NONE);
    if (!begins && !find_begin(f, run, &begin))
        return NULL;
    struct feed_event *made = f->calls->make(f->self, lsn, record, begin);
    struct flying *x;
    if ((kind == KIND_R_ENDED || kind == KIND_R_PARENT_ENDED) && (x = flying_of(f, run)))
        flying_drop(f, x);
    return made;
}

void feed_record(struct feed *f, uint64_t lsn, struct span record)
{
    if (!f->all) { /* without readers there is no ring; a later reader starts from the store */
        feedring_empty(f);
        f->first = f->next = lsn + 1;
        return;
    }
    if (f->next != lsn) {
        feedring_empty(f);
        f->first = f->next = lsn;
    }
    if (f->next - f->first == f->config.ring_most)
        pop_first(f);
    struct feed_event *made = make(f, lsn, record);
    *slot_of(f, f->next++) = made;
    f->bytes += made ? made->n : 0;
    while (f->bytes > f->config.ring_bytes && f->first < f->next - 1)
        pop_first(f);
}

const struct feed_event *feedring_at(const struct feed *f, uint64_t lsn)
{
    return lsn >= f->first && lsn < f->next ? *slot_of(f, lsn) : NULL;
}
