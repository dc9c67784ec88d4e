/* byhandend.c - what came of a run by hand: the outcome that its broker would have got. */
#include <string.h>

#include "common/clock.h"
#include "runner/byhandinside.h"

enum { STEPS_BYTES = LIMIT_OUTCOME / 2 /* of tries; the oldest are left out */ };

static void add_try(const struct byhand *h, const struct byhand_try *t, struct buf *items)
{
    struct d_step_outcome o = t->o;
    struct buf one = {0};
    o.action = t->t.action;
    o.target = t->t.action == ACTION_GOTO ? h->def.steps[t->t.target].name : SPAN_NONE;
    d_step_outcome_encode(&o, &one);
    wire_add_bin(items, buf_span(&one));
    buf_free(&one);
}

static uint32_t add_tries(const struct byhand *h, struct buf *items)
{
    unsigned first = h->n_tries;
    size_t bytes = 0;
    uint32_t n = 0;
    while (first > 0 && (bytes += h->tries[first - 1].outcome.n + LIMIT_NAME) <= STEPS_BYTES)
        first--;
    for (unsigned i = first; i < h->n_tries; i++)
        if (h->tries[i].t.ended) {
            add_try(h, &h->tries[i], items);
            n++;
        }
    return n;
}

static struct span message_of(const struct byhand *h, const struct steps_next *n)
{
    if (n->text)
        return span_str(n->text);
    if (n->by_stop && (n->by < 0 || n->verdict == JOB_CANCELLED))
        return span_str("cancelled by hand");
    return n->by < 0 ? SPAN_NONE : h->tries[n->by].o.message;
}

void byhand_outcome(const struct byhand *h, const struct steps_next *n, struct buf *out)
{
    struct steps_layer layer = {.all = PACKAGE_NOT_EXECUTED};
    struct buf items = {0}, outcome = {0};
    struct d_outcome o = {.delivery = n->refused ? DELIVERY_REFUSED : DELIVERY_CALLED,
                          .job = n->verdict,
                          .code = n->refused,
                          .message = message_of(h, n),
                          .job_name = h->def.head.name,
                          .job_hash = h->job_hash,
                          .called_at = h->called_at,
                          .ended_at = clock_wall_ms()};
    for (unsigned i = 0; i < h->n_tries; i++) {
        const struct byhand_try *t = &h->tries[i];
        steps_layer_add(&layer, &h->def, &t->t);
        if (t->t.launched && !o.started_at)
            o.started_at = t->launched_at;
        if (steps_counts(&h->def, &t->t))
            o.off = t->o.off;
    }
    o.package = steps_layer_end(&layer, n->verdict);
    o.status =
        outcome_status((enum delivery)o.delivery, n->verdict, (enum package_outcome)o.package);
    const uint32_t count = add_tries(h, &items);
    o.steps = wire_list_from(&items, count);
    d_outcome_encode(&o, &outcome);
    buf_clear(out);
    s_by_hand_end_encode(&(struct s_by_hand_end){.outcome = buf_span(&outcome)}, out);
    buf_free(&items);
    buf_free(&outcome);
}
