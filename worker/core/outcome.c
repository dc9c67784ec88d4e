/* outcome.c - folds what became of an attempt's steps into the three layers of its outcome
 * record (proto/outcome.h).
 *
 * The package layer looks at the last try of each step in the main part of the job. Failures
 * that a goto has handled and `always` steps do not count. The record lists all tries. It must
 * fit into one message: if it would not, older tries lose their outputs, messages and command
 * lines first. */
#include "worker/core/inside.h"

#include <string.h>

enum {
    FULL_BYTES = LIMIT_OUTCOME / 2, /* of tries with all that they said */
    /* of tries without; the rest is for the run's own outputs and message */
    BARE_BYTES = LIMIT_OUTCOME / 4,
    BARE_MAX = 1024 /* one such try: names, a hash, numbers */
};

static void add_try(const struct wjob *j, const struct wtry *t, bool full, struct buf *items)
{
    struct d_step_outcome o = t->o;
    struct buf one = {0};
    o.action = t->action;
    o.target = t->action == ACTION_GOTO ? j->steps[t->target].name : SPAN_NONE;
    if (!full) {
        o.message = SPAN_NONE;
        o.outputs = o.argv = o.off = (struct wire_list){.count = 0};
    }
    d_step_outcome_encode(&o, &one);
    wire_add_bin(items, buf_span(&one));
    buf_free(&one);
}

static uint32_t add_tries(const struct wattempt *a, struct buf *items)
{
    size_t full = 0, bare = 0;
    unsigned first_full = a->n_tries, first;
    while (first_full > 0 && full + a->tries[first_full - 1].outcome.n + LIMIT_NAME <= FULL_BYTES)
        full += a->tries[--first_full].outcome.n + LIMIT_NAME;
    for (first = first_full; first > 0 && bare + BARE_MAX <= BARE_BYTES; first--)
        bare += BARE_MAX;
    uint32_t count = 0;
    for (unsigned i = first; i < a->n_tries; i++)
        if (a->tries[i].ended) {
            add_try(a->job, &a->tries[i], i >= first_full, items);
            count++;
        }
    return count;
}

static bool counts(const struct wattempt *a, const struct wtry *t)
{
    return t->ended && t->action != ACTION_RETRY && !a->job->steps[t->step].always;
}

/* The outputs of the run: those of its steps; of two with the same name, that of the later step. */
static struct wire_list merge_outputs(const struct wattempt *a, struct buf *items)
{
    struct wire_list all = {.count = 0};
    uint32_t count = 0;
    for (unsigned i = a->n_tries; i-- > 0;) {
        if (!counts(a, &a->tries[i]))
            continue;
        struct wire_iter it = wire_iter(&a->tries[i].o.outputs);
        struct span name;
        struct value v, known;
        while (wire_next_pair(&it, &name, &v)) {
            char text[LIMIT_NAME + 1];
            span_copy_str(name, text, sizeof text);
            if (wire_map_get(&all, text, &known) || count >= LIMIT_VALUES ||
                items->n + name.n + v.raw.n + 8 > LIMIT_OUTPUTS)
                continue;
            value_add_str(items, name);
            buf_add(items, v.raw.p, v.raw.n);
            all = wire_list_from(items, ++count);
        }
    }
    return all;
}

static void encode(struct d_outcome *o, struct buf *out)
{
    o->status = outcome_status((enum delivery)o->delivery, (enum job_outcome)o->job,
                               (enum package_outcome)o->package);
    d_outcome_encode(o, out);
}

/* Our own sentence may be cut to fit; a child's is within the limit already. */
static struct span text_of(const char *text)
{
    struct span s = span_str(text);
    if (s.n > LIMIT_TEXT)
        s.n = LIMIT_TEXT;
    return s;
}

void outcome_of_attempt(struct wcore *c, struct wattempt *a, const struct machine *m,
                        struct buf *out)
{
    struct buf items = {0}, outputs = {0};
    struct d_outcome o = {.delivery = DELIVERY_CALLED,
                          .job = m->verdict,
                          .package = PACKAGE_NOT_EXECUTED,
                          .message = m->text ? text_of(m->text) : m->message,
                          .server = span_str(c->config.server),
                          .job_name = a->job->head.name,
                          .job_hash = a->x.job_hash,
                          .called_at = a->taken_at,
                          .ended_at = c->ev->wall};
    if (m->refused) {
        o.delivery = DELIVERY_REFUSED;
        o.code = m->refused;
    }
    for (unsigned i = 0; i < a->n_tries; i++) {
        const struct wtry *t = &a->tries[i];
        if (t->launched && !o.started_at)
            o.started_at = t->launched_at;
        if (!counts(a, t))
            continue;
        o.off = t->o.off;
        if (!t->handled && t->o.package < PACKAGE_COUNT)
            o.package = package_outcome_fold((enum package_outcome)o.package,
                                             (enum package_outcome)t->o.package);
    }
    if (m->torn)
        o.package = package_outcome_fold((enum package_outcome)o.package, PACKAGE_UNKNOWN);
    uint32_t count = add_tries(a, &items);
    o.steps = wire_list_from(&items, count);
    o.outputs = merge_outputs(a, &outputs);
    encode(&o, out);
    buf_free(&items);
    buf_free(&outputs);
}

void outcome_of_refusal(struct wcore *c, const struct wattempt *a, enum refusal code,
                        const char *text, struct buf *out)
{
    struct d_outcome o = {.delivery = DELIVERY_REFUSED,
                          .job = JOB_NOT_CALLED,
                          .package = PACKAGE_NOT_EXECUTED,
                          .code = code,
                          .message = text_of(text),
                          .server = span_str(c->config.server),
                          .job_name = a->call.job,
                          .job_hash = a->x.job_hash,
                          .called_at = a->taken_at,
                          .ended_at = c->ev->wall};
    encode(&o, out);
}
