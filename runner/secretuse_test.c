/* secretuse_test.c - which secrets a step gets, and from whom the runner takes none. */
#include "runner/testrig.h"

#include "runner/verify.h"
#include "trust/secretdoc.h"

enum { DORA = 40 /* serial */ };

struct use_fixture {
    struct testrig rig;
    struct verifier *v;
    struct key dora;
    struct buf dora_certificate, admin_certificate, call, launch, parameters;
    enum refusal code;
    struct error err;
};

static const struct rig_parameter parameters[] = {
    {.name = "table", .type = "string"},
    {.name = "password", .type = "string", .sensitive = true},
};

static int setup(void **state)
{
    testing_folder(state);
    struct use_fixture *f = mem_zalloc(1, sizeof *f);
    rig_open(&f->rig, *state);
    rig_package(&f->rig, "extract", "exec", "#!/bin/sh\nexit 0\n", parameters, 2, NULL, 0);
    key_make(&f->dora);
    rig_certificate(&f->rig, "dora", ROLE_CALLER, DORA, &f->dora, "secret *@etl", 0,
                    &f->dora_certificate);
    rig_certificate(&f->rig, "anna", ROLE_ADMINISTRATOR, 3, &f->rig.caller, NULL, 0,
                    &f->admin_certificate);
    assert_int_equal(verifier_new(&f->rig.paths, &f->v, &f->err), 0);
    mem_free(state);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct use_fixture *f = *state;
    verifier_free(&f->v);
    key_forget(&f->dora);
    buf_free(&f->dora_certificate);
    buf_free(&f->admin_certificate);
    buf_free(&f->call);
    buf_free(&f->launch);
    buf_free(&f->parameters);
    char *home = mem_strdup(f->rig.home);
    rig_close(&f->rig);
    file_remove_tree(home, NULL);
    mem_free(&home);
    mem_free(&f);
    return 0;
}

struct put_order {
    const char *address, *by, *file;
    uint8_t seal_key; /* 9: the rig's server */
    int64_t issued_at;
    bool remove;
};

/* As a worker leaves it: var/secrets/db. */
static void put(struct use_fixture *f, struct put_order p)
{
    const struct certificate server = {.name = "etl1", .seal_key = {{p.seal_key}}},
                             *servers[] = {&server};
    struct certificate by = {.serial = DORA};
    struct buf document = {0}, kept = {0};
    strcpy(by.name, p.by ? p.by : "dora");
    const struct secretdoc_order o = {.cluster = "wh",
                                      .name = "db",
                                      .address = p.address ? p.address : "etl",
                                      .version = 1,
                                      .issued_at = p.issued_at ? p.issued_at : clock_wall_ms(),
                                      .remove = p.remove,
                                      .by = &by,
                                      .key = &f->dora,
                                      .servers = servers,
                                      .n_servers = !p.remove};
    if (secretdoc_make(&o, p.remove ? SPAN_NONE : span_str("hunter22-s3cr3t"), &document, &f->err) <
        0)
        fail_msg("%s", f->err.text);
    d_secret_kept_encode(&(struct d_secret_kept){.secret = buf_span(&document),
                                                 .certificate = buf_span(&f->dora_certificate)},
                         &kept);
    rig_path_write(&f->rig, p.file ? p.file : "var/secrets/db", buf_span(&kept), 0600);
    buf_free(&document);
    buf_free(&kept);
}

/* A call of a new run that gives {secret: NAME} to a parameter. */
static enum verify_verdict call(struct use_fixture *f, uint8_t run, const char *parameter,
                                const char *secret, bool by_admin)
{
    struct rig_call c = rig_call();
    const char *check = "";
    buf_clear(&f->parameters);
    value_add_str(&f->parameters, span_str(parameter));
    secretdoc_add_use(&f->parameters, span_str(secret));
    c.parameters = &f->parameters;
    c.n_parameters = 1;
    char key[16];
    snprintf(key, sizeof key, "k%u", run);
    c.key = key;
    struct s_step s = rig_step(&f->rig, &c, rig_run(run), &f->call);
    if (by_admin)
        s.certificate = buf_span(&f->admin_certificate);
    buf_clear(&f->launch);
    f->code = REFUSAL_NONE;
    f->err.text[0] = 0;
    return verify_step(f->v, &s, clock_wall_ms(), &f->launch, &f->code, &check, &f->err);
}

static void refused(struct use_fixture *f, uint8_t run, enum refusal code, const char *text)
{
    enum verify_verdict v = call(f, run, "password", "db", true);
    if (v != VERDICT_REFUSED || f->code != code || !strstr(f->err.text, text))
        fail_msg("verdict %d with %s (%s); expected %s (%s)", v, refusal_word(f->code), f->err.text,
                 refusal_word(code), text);
}

static void a_launch_has_the_sealed_value_and_not_the_value(void **state)
{
    struct use_fixture *f = *state;
    struct s_launch l;
    struct d_secret_uses uses;
    struct d_secret_use use;
    struct d_parameter p;
    struct value v;
    struct span item = SPAN_NONE;
    put(f, (struct put_order){.seal_key = 9});
    if (call(f, 1, "password", "db", true) != VERDICT_RUN)
        fail_msg("%s", f->err.text);
    assert_int_equal(s_launch_decode(buf_span(&f->launch), &l, &f->err), 0);
    assert_false(wire_map_get(&l.parameters, "password", &v));
    assert_true(wire_list_has(&l.sensitive, "password"));
    assert_int_equal(d_secret_uses_decode(l.secrets, &uses, &f->err), 0);
    struct wire_iter it = wire_iter(&uses.uses);
    assert_int_equal(uses.uses.count, 1);
    assert_true(wire_next(&it, &item));
    assert_int_equal(d_secret_use_decode(item, &use, &f->err), 0);
    assert_int_equal(d_parameter_decode(use.declared, &p, &f->err), 0);
    assert_true(span_eq_str(p.name, "password"));
    assert_null(memmem(f->launch.p, f->launch.n, "hunter22", 8));
    /* it has waited: its secrets are judged again */
    enum refusal code;
    assert_int_equal(verifier_again(f->v, &f->launch, clock_wall_ms(), &code, &f->err), 0);
    rig_revoke(&f->rig, DORA);
    assert_true(verifier_again(f->v, &f->launch, clock_wall_ms(), &code, &f->err) < 0);
    assert_int_equal(code, REFUSAL_NO_SECRET);
}

static void a_caller_without_the_right_cannot_name_a_secret(void **state)
{
    struct use_fixture *f = *state;
    put(f, (struct put_order){.seal_key = 9});
    assert_int_equal(call(f, 1, "password", "db", false), VERDICT_REFUSED);
    assert_int_equal(f->code, REFUSAL_DENIED);
    assert_contains(f->err.text, "may not secret db@");
}

static void a_parameter_that_is_not_sensitive_takes_no_secret(void **state)
{
    struct use_fixture *f = *state;
    put(f, (struct put_order){.seal_key = 9});
    assert_int_equal(call(f, 1, "table", "db", true), VERDICT_REFUSED);
    assert_int_equal(f->code, REFUSAL_BAD_PARAMETERS);
    assert_contains(f->err.text, "'table' takes no secret, since it is not sensitive");
}

static void a_secret_that_this_server_cannot_open_is_refused_and_says_why(void **state)
{
    struct use_fixture *f = *state;
    refused(f, 1, REFUSAL_NO_SECRET, "no secret 'db' is put to this server");
    put(f, (struct put_order){.seal_key = 8});
    refused(f, 2, REFUSAL_NO_SECRET, "secret 'db' is not sealed to this server; put it again");
    put(f, (struct put_order){.seal_key = 9, .address = "wh"});
    refused(f, 3, REFUSAL_NO_SECRET, "which this server is not in");
    put(f, (struct put_order){.seal_key = 9, .address = "all"});
    refused(f, 4, REFUSAL_NO_SECRET, "may not secret db@all");
    put(f, (struct put_order){.seal_key = 9, .by = "otto"});
    refused(f, 5, REFUSAL_NO_SECRET, "dora");
    put(f, (struct put_order){.seal_key = 9, .issued_at = clock_wall_ms() + RIG_DAY});
    refused(f, 6, REFUSAL_NO_SECRET, "in the future");
    rig_path_write(&f->rig, "var/secrets/db", span_str("x"), 0600);
    refused(f, 7, REFUSAL_NO_SECRET, "is damaged");
    put(f, (struct put_order){.seal_key = 9, .file = "var/secrets/other"});
    assert_int_equal(call(f, 8, "password", "other", true), VERDICT_REFUSED);
    assert_contains(f->err.text, "what is kept as secret 'other' is secret 'db'");
    assert_int_equal(call(f, 9, "password", "../seal", true), VERDICT_REFUSED);
    assert_contains(f->err.text, "the name of a secret");
}

static void a_dropped_or_older_secret_does_not_come_back(void **state)
{
    struct use_fixture *f = *state;
    int64_t now = clock_wall_ms();
    put(f, (struct put_order){.seal_key = 9, .issued_at = now - 20});
    assert_int_equal(call(f, 1, "password", "db", true), VERDICT_RUN);
    put(f, (struct put_order){.issued_at = now - 10, .remove = true});
    refused(f, 2, REFUSAL_NO_SECRET, "secret 'db' was dropped by 'dora'");
    put(f, (struct put_order){.seal_key = 9, .issued_at = now - 20});
    refused(f, 3, REFUSAL_NO_SECRET, "in an older version");
    verifier_free(&f->v); /* also after a restart */
    assert_int_equal(verifier_new(&f->rig.paths, &f->v, &f->err), 0);
    refused(f, 4, REFUSAL_NO_SECRET, "in an older version");
    put(f, (struct put_order){.seal_key = 9, .issued_at = now});
    assert_int_equal(call(f, 5, "password", "db", true), VERDICT_RUN);
}

static void a_secret_of_somebody_revoked_is_not_used(void **state)
{
    struct use_fixture *f = *state;
    put(f, (struct put_order){.seal_key = 9});
    assert_int_equal(call(f, 1, "password", "db", true), VERDICT_RUN);
    rig_revoke(&f->rig, DORA);
    refused(f, 2, REFUSAL_NO_SECRET, "has been revoked; somebody else must put it again");
}

int main(void)
{
#define in_rig(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        in_rig(a_launch_has_the_sealed_value_and_not_the_value),
        in_rig(a_caller_without_the_right_cannot_name_a_secret),
        in_rig(a_parameter_that_is_not_sensitive_takes_no_secret),
        in_rig(a_secret_that_this_server_cannot_open_is_refused_and_says_why),
        in_rig(a_dropped_or_older_secret_does_not_come_back),
        in_rig(a_secret_of_somebody_revoked_is_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
