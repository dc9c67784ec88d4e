/* request_fuzz.c - arbitrary bytes as what a captured worker says to its runner: refused, or read
 * as far as the runner reads before it trusts anything: the message, the call and the deployment in
 * it, the job, what its steps bind, and where the step machine leads. */
/* needs: runner/bind.c runner/typed.c runner/jsonread.c */
#include <assert.h>
#include <string.h>

#include "proto/steps.h"
#include "runner/bind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TRIES_MAX = 64 };

/* Each byte of `ends` is how a try ends. */
static void walk(const struct steps_job *job, struct span ends)
{
    const struct steps_scope scope = {.rerun = ends.n & 1};
    static struct steps_try tries[TRIES_MAX];
    struct steps machine, probe;
    struct steps_next next;
    steps_begin(&machine, job, &scope);
    for (unsigned n = 0; n < TRIES_MAX; n++) {
        const uint8_t end = n < ends.n ? ends.p[n] : 1;
        probe = machine;
        steps_next(&probe, &next);
        if (next.what == STEPS_OVER)
            return;
        assert(next.what == STEPS_RUN && next.step < job->n && next.try_no > 0);
        assert(next.wait_ms <= STEPS_WAIT_MAX_MS);
        tries[n] = (struct steps_try){.step = next.step,
                                      .try_no = next.try_no,
                                      .launched = end & 8,
                                      .ended = true,
                                      .cancelled = end & 16,
                                      .timed_out = end & 32,
                                      .package = end & 7,
                                      .exit_code = end >> 4};
        steps_add(&machine, &tries[n]);
        if (end == 255)
            steps_stop(&machine, JOB_CANCELLED);
    }
}

static void bind_all(const struct steps_job *job, const struct d_call *call,
                     const struct wire_list *outputs)
{
    const struct bind_scope scope = {.call = call, .server = span_str("etl1"), .outputs = outputs};
    struct error err;
    for (unsigned i = 0; i < job->n; i++) {
        struct bound bound = {0};
        if (bind_step(&job->steps[i], NULL, &scope, &bound, &err) == 0)
            assert(bound.items.n <= LIMIT_PARAMETERS);
        bound_free(&bound);
    }
    bind_check_call(&job->head, call, &err);
}

static void a_job(struct span bytes, const struct d_call *call, const struct wire_list *outputs)
{
    struct steps_job job = {0};
    struct error err;
    if (steps_job_read(bytes, &job, &err) == 0) {
        assert(job.n > 0 && job.n <= LIMIT_STEPS);
        for (unsigned i = 0; i < job.n; i++)
            assert(steps_find(&job, job.steps[i].name) == (int)i);
        walk(&job, bytes);
        bind_all(&job, call, outputs);
    }
    steps_job_free(&job);
}

static void a_step(const struct s_step *s)
{
    struct d_signed envelope;
    struct d_call call;
    struct error err;
    if (d_signed_decode(s->call, &envelope, &err) == 0 &&
        d_call_decode(envelope.body, &call, &err) == 0)
        a_job(s->job, &call, &s->outputs);
}

static void an_installation(const struct s_install *s)
{
    struct d_signed envelope;
    struct d_deployment deployment;
    struct error err;
    if (d_signed_decode(s->deployment, &envelope, &err) == 0)
        d_deployment_decode(envelope.body, &deployment, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct d_call nothing = {0};
    const struct wire_list none = {0};
    struct span rest = span_of(data, size);
    struct error err;
    struct s_step step;
    struct s_install install;
    uint64_t kind;
    size_t n;
    a_job(rest, &nothing, &none);
    while (rest.n && wire_peek(rest, &kind, &n, &err) == 0) {
        const struct span message = span_of(rest.p, n);
        assert(n > 0 && n <= rest.n);
        rest = span_of(rest.p + n, rest.n - n);
        if (kind == KIND_S_STEP && s_step_decode(message, &step, &err) == 0)
            a_step(&step);
        else if (kind == KIND_S_INSTALL && s_install_decode(message, &install, &err) == 0)
            an_installation(&install);
    }
    return 0;
}
