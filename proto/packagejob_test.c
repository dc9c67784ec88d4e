/* packagejob_test.c - a package's job is the same everywhere, and changes with the package. */
#include "common/testing.h"

#include <errno.h>

#include "proto/outcome.h"
#include "proto/packagejob.h"

struct packagejob_sample {
    struct buf parameters, codes, one;
    struct d_runnable r;
};

static void add_parameter(struct packagejob_sample *m, const char *name)
{
    struct d_parameter p = {.name = span_str(name), .type = span_str("string")};
    buf_clear(&m->one);
    d_parameter_encode(&p, &m->one);
    wire_add_bin(&m->parameters, buf_span(&m->one));
    m->r.parameters = wire_list_from(&m->parameters, m->r.parameters.count + 1);
}

static void add_code(struct packagejob_sample *m, uint64_t code, uint64_t package)
{
    struct d_exit_code e = {.code = code, .package = package};
    buf_clear(&m->one);
    d_exit_code_encode(&e, &m->one);
    wire_add_bin(&m->codes, buf_span(&m->one));
    m->r.exit_codes = wire_list_from(&m->codes, m->r.exit_codes.count + 1);
}

static void make(struct packagejob_sample *m)
{
    *m = (struct packagejob_sample){.r = {.name = span_str("extract"),
                                          .version = span_str("1.2.0"),
                                          .subsystem = span_str("exec"),
                                          .entry = span_str("bin/extract"),
                                          .package = {{7}},
                                          .signer_key = {{9}}}};
    add_parameter(m, "table");
    add_parameter(m, "day");
    add_code(m, 0, PACKAGE_SUCCEEDED);
    add_code(m, 3, PACKAGE_CANCELLED);
    add_code(m, 4, PACKAGE_SUCCEEDED);
}

static void end(struct packagejob_sample *m)
{
    buf_free(&m->parameters);
    buf_free(&m->codes);
    buf_free(&m->one);
}

static void the_job_of_a_package_has_one_step_with_the_calls_parameters(void **state)
{
    (void)state;
    struct packagejob_sample m;
    struct error err = {0};
    struct buf out = {0};
    struct d_job job;
    struct d_step step;
    struct d_binding b;
    struct span item;
    make(&m);
    assert_int_equal(packagejob_compile(&m.r, &out, &err), 0);
    assert_int_equal(d_job_decode(buf_span(&out), &job, &err), 0);
    assert_true(span_eq_str(job.name, "package:extract"));
    assert_int_equal(job.steps.count, 1);
    struct wire_iter it = wire_iter(&job.steps);
    assert_true(wire_next(&it, &item));
    assert_int_equal(d_step_decode(item, &step, &err), 0);
    assert_true(span_eq_str(step.name, "run") && span_eq_str(step.proxy, "default"));
    assert_true(hash_eq(&step.package, &m.r.package));
    assert_true(span_eq(step.success_codes, span_of("\0\4", 2)));
    assert_int_equal(step.attempts, 1);
    it = wire_iter(&step.bindings);
    assert_true(wire_next(&it, &item) && d_binding_decode(item, &b, &err) == 0);
    assert_true(span_eq_str(b.name, "table") && b.from == BINDING_CALL &&
                span_eq_str(b.source, "table"));
    assert_true(wire_next(&it, &item) && d_binding_decode(item, &b, &err) == 0);
    assert_true(span_eq_str(b.name, "day"));
    buf_free(&out);
    end(&m);
}

static void two_servers_make_the_same_bytes_for_any_signer_of_a_package(void **state)
{
    (void)state;
    struct packagejob_sample a, b;
    struct buf x = {0}, y = {0};
    make(&a);
    make(&b);
    b.r.signer_key = (struct hash){{1}};
    b.r.memory = 5;
    assert_int_equal(packagejob_compile(&a.r, &x, NULL), 0);
    assert_int_equal(packagejob_compile(&b.r, &y, NULL), 0);
    assert_true(span_eq(buf_span(&x), buf_span(&y)));
    buf_clear(&y);
    b.r.package = (struct hash){{8}};
    assert_int_equal(packagejob_compile(&b.r, &y, NULL), 0);
    assert_false(span_eq(buf_span(&x), buf_span(&y)));
    buf_free(&x);
    buf_free(&y);
    end(&a);
    end(&b);
}

static void a_malformed_parameter_gives_no_job(void **state)
{
    (void)state;
    struct packagejob_sample m;
    struct error err = {0};
    struct buf out = {0};
    make(&m);
    wire_add_bin(&m.parameters, span_str("x"));
    m.r.parameters = wire_list_from(&m.parameters, 3);
    assert_int_equal(packagejob_compile(&m.r, &out, &err), -EINVAL);
    assert_int_equal(out.n, 0);
    end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_job_of_a_package_has_one_step_with_the_calls_parameters),
        cmocka_unit_test(two_servers_make_the_same_bytes_for_any_signer_of_a_package),
        cmocka_unit_test(a_malformed_parameter_gives_no_job),
    };
    return cmocka_run_group_tests_name("packagejob", tests, NULL, NULL);
}
