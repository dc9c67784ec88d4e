/* packagejob.c - see packagejob.h. */
#include "proto/packagejob.h"

#include <errno.h>

#include "proto/outcome.h"

static int compile_bindings(const struct d_runnable *r, struct buf *items, uint32_t *ret_n,
                            struct error *err)
{
    struct wire_iter it = wire_iter(&r->parameters);
    struct span bytes;
    struct buf one = {0};
    int rc = 0;
    *ret_n = 0;
    while (rc == 0 && wire_next(&it, &bytes)) {
        struct d_parameter p;
        if ((rc = d_parameter_decode(bytes, &p, err)) < 0)
            rc = error_set(err, -EINVAL, "a parameter of package '" SPAN_FMT "' is malformed",
                           SPAN_ARG(r->name));
        else {
            struct d_binding b = {.name = p.name, .from = BINDING_CALL, .source = p.name};
            buf_clear(&one);
            d_binding_encode(&b, &one);
            wire_add_bin(items, buf_span(&one));
            ++*ret_n;
        }
    }
    buf_free(&one);
    return rc;
}

/* One byte a code, as D_STEP has them, in the runnable's order (the manifest's is ascending). */
static int compile_codes(const struct d_runnable *r, struct buf *codes, struct error *err)
{
    struct wire_iter it = wire_iter(&r->exit_codes);
    struct span bytes;
    while (wire_next(&it, &bytes)) {
        struct d_exit_code e;
        if (d_exit_code_decode(bytes, &e, err) < 0)
            return error_set(err, -EINVAL, "an exit code of package '" SPAN_FMT "' is malformed",
                             SPAN_ARG(r->name));
        uint8_t code = (uint8_t)e.code;
        if (e.package == PACKAGE_SUCCEEDED)
            buf_add(codes, &code, 1);
    }
    return 0;
}

int packagejob_compile(const struct d_runnable *r, struct buf *out, struct error *err)
{
    struct buf bindings = {0}, codes = {0}, step = {0}, steps = {0}, name = {0};
    uint32_t n = 0;
    int rc = compile_bindings(r, &bindings, &n, err);
    if (rc == 0)
        rc = compile_codes(r, &codes, err);
    if (rc == 0) {
        struct d_step s = {.name = span_str(PACKAGEJOB_STEP),
                           .subsystem = r->subsystem,
                           .package_name = r->name,
                           .package = r->package,
                           .proxy = span_str(PACKAGEJOB_PROXY),
                           .bindings = wire_list_from(&bindings, n),
                           .attempts = 1,
                           .success_codes = buf_span(&codes),
                           .on_success = span_str("next"),
                           .on_failure = span_str("quit-failure")};
        d_step_encode(&s, &step);
        wire_add_bin(&steps, buf_span(&step));
        buf_printf(&name, PACKAGEJOB_PREFIX SPAN_FMT, SPAN_ARG(r->name));
        struct d_job job = {
            .name = buf_span(&name), .version = r->version, .steps = wire_list_from(&steps, 1)};
        d_job_encode(&job, out);
    }
    buf_free(&bindings);
    buf_free(&codes);
    buf_free(&step);
    buf_free(&steps);
    buf_free(&name);
    return rc;
}
