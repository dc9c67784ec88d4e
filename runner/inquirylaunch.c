/* inquirylaunch.c - what a step that has passed the checks is started with: call, job, package,
 * proxy and subsystem each say a part. */
#include "runner/inquiry.h"

#include "proto/kept.h"
#include "runner/exitcodes.h"

static uint64_t on_lost_of(const struct inquiry *q)
{
    if (q->call.on_lost == ON_LOST_RERUN || q->request->on_lost == ON_LOST_RERUN)
        return ON_LOST_RERUN; /* to be safe: then the fence ends it in time */
    return q->call.on_lost != ON_LOST_DEFAULT ? q->call.on_lost : q->request->on_lost;
}

/* The broker counts by the same minimum. */
static uint64_t lost_after_of(const struct inquiry *q)
{
    uint64_t ms = q->call.lost_after_ms ? q->call.lost_after_ms : q->request->lost_after_ms;
    return ms > LOST_AFTER_MIN_MS ? ms : LOST_AFTER_MIN_MS;
}

static struct wire_list exit_codes_of(const struct inquiry *q, struct buf *items)
{
    static const struct wire_list nothing;
    const struct exitcodes from = {
        .package = q->has_package ? &q->package.runnable.exit_codes : &nothing,
        .subsystem = &q->proxy.subsystem.exit_codes,
        /* the job of a package repeats what the package says */
        .step = inquiry_is_package(q->job.head.name) ? SPAN_NONE : q->step.success_codes};
    return exitcodes_of(&from, items);
}

struct span inquiry_hash(const struct hash *h)
{
    return span_of(h->b, sizeof h->b);
}

void inquiry_launch(const struct inquiry *q, struct buf *out)
{
    struct buf codes = {0};
    const struct s_step *r = q->request;
    const struct d_runnable *p = &q->package.runnable;
    struct s_launch l = {.run = r->run,
                         .attempt = r->attempt,
                         .step = r->step,
                         .try_no = r->try_no,
                         .identity = q->seen.identity,
                         .expires = q->call.expires,
                         .on_lost = on_lost_of(q),
                         .lost_after_ms = lost_after_of(q),
                         .deadline = r->deadline,
                         .timeout_ms = proxies_least(q->step.timeout_ms, q->proxy.proxy.timeout_ms),
                         .output_cap = proxies_least(q->step.output_cap, q->proxy.proxy.output_cap),
                         .as_of = q->call.as_of,
                         .server = inquiry_server(q),
                         .task = q->call.task,
                         .job = q->call.job,
                         .subsystem = q->step.subsystem,
                         .text = q->has_package ? SPAN_NONE : q->step.run,
                         .package = q->step.package,
                         .package_name = q->step.package_name,
                         .exit_codes = exit_codes_of(q, &codes),
                         .job_hash = q->has_turn ? inquiry_hash(&q->turn.job_hash) : SPAN_NONE,
                         .parameters = wire_list_from(&q->bound.items, q->bound.count),
                         .sensitive = wire_list_from(&q->bound.sensitive, q->bound.n_sensitive),
                         .context = buf_span(&q->context),
                         .secrets = buf_span(&q->secrets),
                         .form = span_str(q->v->first_form ? "1" : "")};
    if (q->has_package) {
        l.timeout_ms = proxies_least(l.timeout_ms, p->timeout_ms);
        l.output_cap = proxies_least(l.output_cap, p->output_cap);
        l.package_version = p->version;
        l.entry = p->entry;
        l.outputs = p->outputs;
        if (!hash_is_zero(&q->fingerprint))
            l.fingerprint = span_of(q->fingerprint.b, sizeof q->fingerprint.b);
    }
    s_launch_encode(&l, out);
    buf_free(&codes);
}
