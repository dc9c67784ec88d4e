/* testrig.c - see testrig.h. */
#include "runner/testrig.h"

#include <fcntl.h>

#include "trust/fingerprint.h"

void rig_path_write(struct testrig *r, const char *path, struct span bytes, mode_t mode)
{
    struct error err = {0};
    char *full = mem_printf("%s/%s", r->home, path), *slash = strrchr(full, '/');
    *slash = 0;
    assert_int_equal(file_make_dirs(full, 0755, &err), 0);
    *slash = '/';
    if (file_write_atomic(full, bytes, mode, &err) < 0)
        fail_msg("%s", err.text);
    mem_free(&full);
}

void rig_certificate(struct testrig *r, const char *name, enum role role, uint64_t serial,
                     const struct key *key, const char *grant, int64_t not_after, struct buf *out)
{
    struct error err = {0};
    const char *const pools[] = {"etl"}, *const grants[] = {grant};
    int64_t now = clock_wall_ms();
    const struct hash server_seal = {{9}}, no_seal = {{0}};
    struct certificate_order order = {.cluster = "wh",
                                      .name = name,
                                      .role = role,
                                      .serial = serial,
                                      .sign_key = key->sign,
                                      .seal_key = role == ROLE_SERVER ? server_seal : no_seal,
                                      .pools = pools,
                                      .n_pools = role == ROLE_SERVER,
                                      .grants = grants,
                                      .n_grants = grant != NULL,
                                      .not_before = now - 2 * RIG_DAY,
                                      .not_after = not_after ? not_after : now + RIG_DAY};
    if (certificate_make(&order, &r->admin, out, &err) < 0)
        fail_msg("%s", err.text);
}

void rig_package(struct testrig *r, const char *name, const char *subsystem, const char *script,
                 const struct rig_parameter *p, size_t n, const struct rig_parameter *outputs,
                 size_t n_outputs)
{
    struct buf items[3] = {{0}}, one = {0};
    const struct rig_parameter *lists[] = {p, outputs};
    size_t counts[] = {n, n_outputs};
    for (int list = 0; list < 2; list++)
        for (size_t i = 0; i < counts[list]; i++) {
            struct buf fallback = {0};
            const struct rig_parameter *q = &lists[list][i];
            if (q->fallback)
                value_add_str(&fallback, span_str(q->fallback));
            struct d_parameter d = {.name = span_str(q->name),
                                    .type = span_str(q->type),
                                    .required = q->required,
                                    .sensitive = q->sensitive,
                                    .fallback = buf_span(&fallback),
                                    .pattern = span_str(q->pattern)};
            buf_clear(&one);
            d_parameter_encode(&d, &one);
            wire_add_bin(&items[list], buf_span(&one));
            buf_free(&fallback);
        }
    const struct d_exit_code codes[] = {{.code = 0, .package = PACKAGE_SUCCEEDED},
                                        {.code = 3, .package = PACKAGE_CANCELLED}};
    for (int i = 0; i < 2; i++) {
        buf_clear(&one);
        d_exit_code_encode(&codes[i], &one);
        wire_add_bin(&items[2], buf_span(&one));
    }
    envelope_hash(span_str(script), &r->package);
    struct d_runnable d = {.name = span_str(name),
                           .version = span_str("1.0.0"),
                           .package = r->package,
                           .subsystem = span_str(subsystem),
                           .entry = span_str("bin/entry"),
                           .parameters = wire_list_from(&items[0], (uint32_t)n),
                           .outputs = wire_list_from(&items[1], (uint32_t)n_outputs),
                           .exit_codes = wire_list_from(&items[2], 2),
                           .signer_key = r->builder.key};
    buf_clear(&r->runnable);
    d_runnable_encode(&d, &r->runnable);
    buf_clear(&r->job);
    assert_int_equal(packagejob_compile(&d, &r->job, NULL), 0);
    char digits[65], path[200];
    hex_format(r->package.b, 32, digits);
    snprintf(path, sizeof path, "var/packages/%s/runnable", digits);
    rig_path_write(r, path, buf_span(&r->runnable), 0444);
    snprintf(path, sizeof path, "var/packages/%s/files/bin/entry", digits);
    rig_path_write(r, path, span_str(script), 0555);
    for (int i = 0; i < 3; i++)
        buf_free(&items[i]);
    buf_free(&one);
}

void rig_fingerprint(struct testrig *r)
{
    struct buf print = {0};
    char path[200], digits[65];
    snprintf(path, sizeof path, "var/packages/%s/fingerprint",
             hex_format(r->package.b, 32, digits));
    char *folder = runner_paths_of_hash(r->paths.packages, &r->package);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fingerprint_make(fd, &print, NULL), 0);
    rig_path_write(r, path, buf_span(&print), 0444);
    close(fd);
    mem_free(&folder);
    buf_free(&print);
}

void rig_signers(struct testrig *r)
{
    struct buf line = {0};
    minisign_public_line(&r->builder, &line);
    buf_add_str(&line, " # the rig's builder\n");
    rig_path_write(r, "etc/trust/signers", buf_span(&line), 0644);
    buf_free(&line);
}

void rig_revoke(struct testrig *r, uint64_t serial)
{
    struct error err = {0};
    struct trust_anchors a = {0};
    anchors_from("wh", &r->admin.sign, 1, &a);
    buf_clear(&r->revocations);
    assert_int_equal(
        revocations_next(&r->list, "wh", serial, clock_wall_ms(), &r->admin, &r->revocations, &err),
        0);
    assert_int_equal(revocations_take(&r->list, buf_span(&r->revocations), &a, NULL, &err), 1);
    rig_path_write(r, "var/revocations", buf_span(&r->revocations), 0644);
    anchors_free(&a);
}

void rig_open(struct testrig *r, const char *folder)
{
    struct error err = {0};
    struct buf text = {0}, self = {0};
    struct trust_anchors a = {0};
    *r = (struct testrig){.home = mem_strdup(folder)};
    assert_int_equal(trust_init(&err), 0);
    setenv("LONGBOAT_HOME", folder, 1);
    if (runner_paths_open(&r->paths, NULL, &err) < 0)
        fail_msg("%s", err.text);
    key_make(&r->admin);
    key_make(&r->server);
    key_make(&r->caller);
    minisign_make(&r->builder, &r->builder_secret);
    anchors_from("wh", &r->admin.sign, 1, &a);
    anchors_format(&a, &text);
    rig_path_write(r, "etc/trust/administrators", buf_span(&text), 0644);
    rig_certificate(r, "etl1", ROLE_SERVER, 2, &r->server, NULL, 0, &self);
    rig_path_write(r, "etc/trust/certificate", buf_span(&self), 0644);
    rig_certificate(r, "anna", ROLE_CALLER, 3, &r->caller, "call *@etl", 0, &r->caller_certificate);
    rig_signers(r);
    anchors_free(&a);
    buf_free(&text);
    buf_free(&self);
}

void rig_close(struct testrig *r)
{
    file_remove_tree(r->paths.memory, NULL);
    runner_paths_free(&r->paths);
    buf_free(&r->caller_certificate);
    buf_free(&r->revocations);
    buf_free(&r->runnable);
    buf_free(&r->job);
    revocations_free(&r->list);
    mem_free(&r->home);
}

struct rig_call rig_call(void)
{
    return (struct rig_call){.cluster = "wh",
                             .caller = "anna",
                             .key = "k1",
                             .job = "package:extract",
                             .address = "etl",
                             .expires = clock_wall_ms() + RIG_DAY,
                             .as_of = "2026-11-21"};
}

void rig_sign(struct testrig *r, const struct rig_call *c, struct buf *out)
{
    struct d_call call = {.cluster = span_str(c->cluster),
                          .caller = span_str(c->caller),
                          .key = span_str(c->key),
                          .job = span_str(c->job),
                          .job_hash = c->job_hash,
                          .pin_latest = c->pin_latest,
                          .address = span_str(c->address),
                          .on_lost = c->on_lost,
                          .lost_after_ms = c->lost_after_ms,
                          .as_of = span_str(c->as_of),
                          .task = span_str(c->task),
                          .issued_at = clock_wall_ms(),
                          .expires = c->expires};
    struct error err = {0};
    if (c->parameters)
        call.parameters = wire_list_from(c->parameters, c->n_parameters);
    if (hash_is_zero(&call.job_hash) && !c->pin_latest)
        envelope_hash(buf_span(&r->job), &call.job_hash);
    if (call_sign(&call, &r->caller, c->caller, 3, out, &err) < 0)
        fail_msg("%s", err.text);
}

struct s_step rig_step(struct testrig *r, const struct rig_call *c, struct id run, struct buf *call)
{
    buf_clear(call);
    rig_sign(r, c, call);
    return (struct s_step){.run = run,
                           .attempt = 1,
                           .call = buf_span(call),
                           .certificate = buf_span(&r->caller_certificate),
                           .job = buf_span(&r->job),
                           .step = span_str("run"),
                           .try_no = 1};
}

struct id rig_run(uint8_t n)
{
    uint8_t random[10] = {1, 2, 3, 4, 5, n};
    return id_make(1700000000000, random);
}
