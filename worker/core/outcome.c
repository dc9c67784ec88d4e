/* outcome.c - folds what became of an attempt's steps into the three layers of its outcome
 * record (proto/outcome.h).
 *
 * The package layer looks at the last try of each step in the main part of the job. Failures
 * that the job has handled and `always` steps do not count. The record lists all tries. It must
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

static void add_try(const struct steps_job *j, const struct wtry *t, bool full, struct buf *items)
{
    struct d_step_outcome o = t->o;
    struct buf one = {0};
    o.action = t->t.action;
    o.target = t->t.action == ACTION_GOTO ? j->steps[t->t.target].name : SPAN_NONE;
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
        if (a->tries[i].t.ended) {
            add_try(&a->job->def, &a->tries[i], i >= first_full, items);
            count++;
        }
    return count;
}

static bool counts(const struct wattempt *a, const struct wtry *t)
{
    return steps_counts(&a->job->def, &t->t);
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

static enum package_outcome package_layer(const struct wattempt *a, enum job_outcome verdict)
{
    struct steps_layer l = {.all = PACKAGE_NOT_EXECUTED};
    for (unsigned i = 0; i < a->n_tries; i++)
        steps_layer_add(&l, &a->job->def, &a->tries[i].t);
    return steps_layer_end(&l, verdict);
}

static struct span message_of(const struct wattempt *a, const struct steps_next *n)
{
    bool ours = n->verdict == JOB_CANCELLED || n->verdict == JOB_TIMED_OUT;
    if (n->text)
        return text_of(n->text);
    if (n->by_stop && (n->by < 0 || (ours && a->stopped_why.n)))
        return buf_span(&a->stopped_why);
    return n->by < 0 ? SPAN_NONE : a->tries[n->by].o.message;
}

void outcome_of_attempt(struct wcore *c, struct wattempt *a, const struct steps_next *n,
                        struct buf *out)
{
    struct buf items = {0}, outputs = {0};
    struct d_outcome o = {.delivery = DELIVERY_CALLED,
                          .job = n->verdict,
                          .message = message_of(a, n),
                          .server = span_str(c->config.server),
                          .job_name = a->job->def.head.name,
                          .job_hash = a->x.job_hash,
                          .called_at = a->taken_at,
                          .ended_at = c->ev->wall};
    if (n->refused) {
        o.delivery = DELIVERY_REFUSED;
        o.code = n->refused;
    }
    o.package = package_layer(a, n->verdict);
    for (unsigned i = 0; i < a->n_tries; i++) {
        const struct wtry *t = &a->tries[i];
        if (t->t.launched && !o.started_at)
            o.started_at = t->launched_at;
        if (counts(a, t))
            o.off = t->o.off;
    }
    if (n->torn)
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
