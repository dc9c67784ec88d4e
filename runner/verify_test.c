/* verify_test.c - each check of a step refuses what it exists to refuse, and says so. */
#include "runner/testrig.h"

#include "proto/kept.h"
#include "runner/verify.h"

struct verify_fixture {
    struct testrig rig;
    struct verifier *v;
    struct buf call, launch;
    enum refusal code;
    const char *check;
    struct error err;
};

static const struct rig_parameter parameters[] = {
    {.name = "table", .type = "string", .required = true, .pattern = "[a-z_]+"},
    {.name = "day", .type = "date", .fallback = "{{as_of}}"},
    {.name = "count", .type = "int"},
    {.name = "password", .type = "string", .sensitive = true},
};

static int setup(void **state)
{
    testing_folder(state);
    struct verify_fixture *f = mem_zalloc(1, sizeof *f);
    rig_open(&f->rig, *state);
    rig_package(&f->rig, "extract", "exec", "#!/bin/sh\nexit 0\n", parameters, 4, NULL, 0);
    assert_int_equal(verifier_new(&f->rig.paths, &f->v, &f->err), 0);
    mem_free(state);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct verify_fixture *f = *state;
    verifier_free(&f->v);
    buf_free(&f->call);
    buf_free(&f->launch);
    char *home = mem_strdup(f->rig.home);
    rig_close(&f->rig);
    file_remove_tree(home, NULL);
    mem_free(&home);
    mem_free(&f);
    return 0;
}

static struct buf with_table(const char *table)
{
    struct buf b = {0};
    value_add_str(&b, span_str("table"));
    value_add_str(&b, span_str(table));
    return b;
}

static enum verify_verdict ask(struct verify_fixture *f, const struct s_step *s)
{
    f->code = REFUSAL_NONE;
    f->check = "";
    f->err.text[0] = 0;
    buf_clear(&f->launch);
    return verify_step(f->v, s, clock_wall_ms(), &f->launch, &f->code, &f->check, &f->err);
}

static void refused(struct verify_fixture *f, const struct s_step *s, const char *check,
                    enum refusal code, const char *text)
{
    enum verify_verdict v = ask(f, s);
    if (v != VERDICT_REFUSED || strcmp(f->check, check) != 0 || f->code != code ||
        !strstr(f->err.text, text))
        fail_msg("verdict %d by '%s' with %s (%s); expected '%s' with %s (%s)", v, f->check,
                 refusal_word(f->code), f->err.text, check, refusal_word(code), text);
}

/* A request with nothing wrong, with this run number. */
static struct s_step good(struct verify_fixture *f, struct rig_call *c, uint8_t run)
{
    static struct buf table;
    buf_free(&table);
    table = with_table("orders");
    c->parameters = &table;
    c->n_parameters = 1;
    return rig_step(&f->rig, c, rig_run(run), &f->call);
}

static void a_valid_request_becomes_a_launch_with_typed_parameters(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    struct s_launch l;
    struct value v;
    if (ask(f, &s) != VERDICT_RUN)
        fail_msg("%s", f->err.text);
    assert_int_equal(s_launch_decode(buf_span(&f->launch), &l, &f->err), 0);
    assert_true(span_eq_str(l.subsystem, "exec") && span_eq_str(l.server, "etl1"));
    assert_true(wire_map_get(&l.parameters, "table", &v) && span_eq_str(v.bytes, "orders"));
    assert_true(wire_map_get(&l.parameters, "day", &v) && span_eq_str(v.bytes, "2026-11-21"));
    assert_false(wire_map_get(&l.parameters, "count", &v));
    assert_int_equal(l.parameters.count, 2);
    assert_int_equal(l.sensitive.count, 0);
    assert_false(hash_is_zero(&l.identity));
}

static void a_step_that_no_caller_has_signed_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    s.local = true;
    refused(f, &s, "origin", REFUSAL_DENIED, "no caller has signed");
}

/* A runner that runs by hand: no certificate, no signature; the proxy alone says who may. */
static void what_runs_by_hand_is_taken_only_by_a_runner_for_that_and_as_the_proxy_says(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_launch l;
    struct s_step s = good(f, &c, 1);
    struct error err = {0};
    f->rig.paths.principal = mem_printf("local:%s", f->rig.paths.user);
    refused(f, &s, "origin", REFUSAL_DENIED, "only what is run by hand");
    s.local = true;
    s.certificate = SPAN_NONE;
    assert_int_equal(ask(f, &s), VERDICT_RUN);
    assert_int_equal(s_launch_decode(buf_span(&f->launch), &l, &err), 0);
    mem_free(&f->rig.paths.principal);
    f->rig.paths.principal = mem_strdup("local:nobody-else");
    s = good(f, &c, 2);
    s.local = true;
    refused(f, &s, "proxy", REFUSAL_NO_PROXY, "does not serve principal 'local:nobody-else'");
}

static void a_plan_asks_for_no_turn_but_for_everything_else(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    f->rig.paths.principal = mem_printf("local:%s", f->rig.paths.user);
    s.local = true;
    s.try_no = 3; /* no job of one try has it */
    refused(f, &s, "turn", REFUSAL_REPLAYED, "may be tried once");
    verifier_plan(f->v);
    assert_int_equal(ask(f, &s), VERDICT_RUN);
    s.step = span_str("other");
    refused(f, &s, "step", REFUSAL_WRONG_JOB, "has no step");
}

static void who_is_no_caller_is_refused_whatever_its_grants_say(void **state)
{
    static const enum role others[] = {ROLE_MONITOR, ROLE_BUILDER};
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct buf other = {0};
        struct s_step s = good(f, &c, 1);
        rig_certificate(&f->rig, "anna", others[i], 3, &f->rig.caller, "call *@etl", 0, &other);
        s.certificate = buf_span(&other);
        refused(f, &s, "certificate", REFUSAL_WRONG_ROLE, "only callers");
        buf_free(&other);
    }
}

static void a_server_without_an_identity_runs_nothing(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    char *path = mem_printf("%s/certificate", f->rig.paths.trust);
    assert_int_equal(unlink(path), 0);
    refused(f, &s, "server", REFUSAL_UNKNOWN_PRINCIPAL, "lbworker join");
    mem_free(&path);
}

static void a_certificate_that_no_administrator_signed_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    struct key real = f->rig.admin;
    struct buf forged = {0};
    key_make(&f->rig.admin);
    rig_certificate(&f->rig, "anna", ROLE_CALLER, 3, &f->rig.caller, "call *@all", 0, &forged);
    f->rig.admin = real;
    s.certificate = buf_span(&forged);
    refused(f, &s, "certificate", REFUSAL_BAD_SIGNATURE, "");
    s.certificate = span_str("nonsense");
    refused(f, &s, "certificate", REFUSAL_MALFORMED, "");
    buf_free(&forged);
}

static void a_revoked_certificate_is_refused_from_the_next_step_on(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    assert_int_equal(ask(f, &s), VERDICT_RUN);
    rig_revoke(&f->rig, 3);
    c.key = "k2";
    s = good(f, &c, 2);
    refused(f, &s, "certificate", REFUSAL_REVOKED, "'anna' (serial 3) has been revoked");
}

static void an_unsigned_revocation_list_stops_everything(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    rig_path_write(&f->rig, "var/revocations", span_str("x"), 0644);
    refused(f, &s, "server", REFUSAL_REVOKED, "is not valid, so no certificate is trusted");
}

/* The runner has been started again, and the worker offers these bytes as its list. */
static void again_with_list(struct verify_fixture *f, const struct buf *list)
{
    verifier_free(&f->v);
    if (list)
        rig_path_write(&f->rig, "var/revocations", buf_span(list), 0644);
    else
        assert_int_equal(unlink(f->rig.paths.revocations), 0);
    assert_int_equal(verifier_new(&f->rig.paths, &f->v, &f->err), 0);
}

static void a_list_of_revocations_is_not_rolled_back_by_a_restart(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    rig_revoke(&f->rig, 8);
    struct buf older = buf_dup(buf_span(&f->rig.revocations));
    rig_revoke(&f->rig, 3);
    struct buf newest = buf_dup(buf_span(&f->rig.revocations));
    refused(f, &s, "certificate", REFUSAL_REVOKED, "'anna' (serial 3) has been revoked");
    again_with_list(f, NULL);
    refused(f, &s, "certificate", REFUSAL_REVOKED, "'anna' (serial 3) has been revoked");
    again_with_list(f, &older);
    refused(f, &s, "server", REFUSAL_REVOKED, "list 1 is older than list 2");
    again_with_list(f, &newest);
    refused(f, &s, "certificate", REFUSAL_REVOKED, "'anna' (serial 3) has been revoked");
    buf_free(&older);
    buf_free(&newest);
}

static void an_expired_certificate_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    struct buf old = {0};
    rig_certificate(&f->rig, "anna", ROLE_CALLER, 4, &f->rig.caller, "call *@etl",
                    clock_wall_ms() - 1000, &old);
    s.certificate = buf_span(&old);
    refused(f, &s, "certificate", REFUSAL_EXPIRED_CERTIFICATE, "");
    buf_free(&old);
}

static void a_malformed_call_or_job_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    struct span call = s.call;
    s.call = span_str("nonsense");
    refused(f, &s, "form", REFUSAL_MALFORMED, "");
    s.call = call;
    s.job = span_str("nonsense");
    refused(f, &s, "form", REFUSAL_MALFORMED, "");
}

static void an_altered_call_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    uint8_t *orders = memmem(f->call.p, f->call.n, "orders", 6);
    assert_non_null(orders);
    orders[0] = 'x';
    refused(f, &s, "call", REFUSAL_BAD_SIGNATURE, "");
}

static void a_call_signed_by_another_caller_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct buf bert = {0};
    struct key other;
    key_make(&other);
    rig_certificate(&f->rig, "bert", ROLE_CALLER, 5, &other, "call *@etl", 0, &bert);
    struct s_step s = good(f, &c, 1);
    s.certificate = buf_span(&bert);
    refused(f, &s, "call", REFUSAL_BAD_SIGNATURE, "");
    buf_free(&bert);
}

static void an_expired_call_is_refused_but_not_in_the_middle_of_its_job(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    c.expires = clock_wall_ms() + 1000;
    struct s_step s = good(f, &c, 1);
    int64_t late = c.expires + 1;
    assert_int_equal(verify_step(f->v, &s, late, &f->launch, &f->code, &f->check, &f->err),
                     VERDICT_REFUSED);
    assert_int_equal(f->code, REFUSAL_EXPIRED);
    assert_string_equal(f->check, "call");
    assert_int_equal(ask(f, &s), VERDICT_RUN);
    s.try_no = 2; /* refused for another reason: its time is fine */
    assert_int_equal(verify_step(f->v, &s, late, &f->launch, &f->code, &f->check, &f->err),
                     VERDICT_REFUSED);
    assert_string_equal(f->check, "turn");
}

static void a_call_without_a_grant_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    buf_clear(&f->rig.caller_certificate);
    rig_certificate(&f->rig, "anna", ROLE_CALLER, 3, &f->rig.caller, "call nightly-*@etl", 0,
                    &f->rig.caller_certificate);
    struct s_step s = good(f, &c, 1);
    refused(f, &s, "call", REFUSAL_DENIED, "anna");
}

static void a_server_or_a_monitor_may_not_call_whatever_its_certificate_grants(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    static const enum role roles[] = {ROLE_SERVER, ROLE_MONITOR};
    for (unsigned i = 0; i < 2; i++) {
        buf_clear(&f->rig.caller_certificate);
        rig_certificate(&f->rig, "anna", roles[i], 3, &f->rig.caller, "call *@etl", 0,
                        &f->rig.caller_certificate);
        struct s_step s = good(f, &c, 1);
        refused(f, &s, "certificate", REFUSAL_WRONG_ROLE, "only callers and administrators");
    }
}

static void a_grant_on_the_pool_covers_a_call_to_the_server_by_name(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    c.address = "etl1";
    struct s_step s = good(f, &c, 1);
    if (ask(f, &s) != VERDICT_RUN)
        fail_msg("%s", f->err.text);
}

static void a_call_for_other_servers_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    buf_clear(&f->rig.caller_certificate);
    rig_certificate(&f->rig, "anna", ROLE_CALLER, 3, &f->rig.caller, "call *@all", 0,
                    &f->rig.caller_certificate);
    c.address = "wh9";
    struct s_step s = good(f, &c, 1);
    refused(f, &s, "address", REFUSAL_UNKNOWN_ADDRESS, "'wh9'");
}

static void another_job_version_is_refused_unless_the_call_wants_the_latest(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    c.job_hash = (struct hash){{1}};
    struct s_step s = good(f, &c, 1);
    refused(f, &s, "job hash", REFUSAL_WRONG_JOB, "not the version");
    c.job_hash = (struct hash){{0}};
    c.job = "package:other";
    s = good(f, &c, 1);
    refused(f, &s, "job hash", REFUSAL_WRONG_JOB, "was called, not");
    c.job = "package:extract";
    c.pin_latest = true;
    s = good(f, &c, 1);
    assert_int_equal(ask(f, &s), VERDICT_RUN);
}

static void a_step_that_the_job_lacks_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    s.step = span_str("other");
    refused(f, &s, "step", REFUSAL_WRONG_JOB, "has no step 'other'");
}

static void a_try_beyond_the_jobs_limit_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    s.try_no = 2;
    refused(f, &s, "turn", REFUSAL_REPLAYED, "may be tried once");
}

/* A job of one step, as a definer might write it. */
static void make_job_with(struct verify_fixture *f, const char *proxy, const char *subsystem,
                          const char *run, bool package, struct span success_codes)
{
    struct buf step = {0}, steps = {0}, bindings = {0}, binding = {0};
    struct d_binding b = {
        .name = span_str("table"), .from = BINDING_CALL, .source = span_str("table")};
    d_binding_encode(&b, &binding);
    wire_add_bin(&bindings, buf_span(&binding));
    struct d_step d = {.name = span_str("run"),
                       .subsystem = span_str(subsystem),
                       .proxy = span_str(proxy),
                       .run = span_str(run),
                       .attempts = 1,
                       .success_codes = success_codes,
                       .bindings = wire_list_from(&bindings, 1)};
    if (package) {
        d.package = f->rig.package;
        d.package_name = span_str("extract");
    }
    d_step_encode(&d, &step);
    wire_add_bin(&steps, buf_span(&step));
    struct d_job j = {
        .name = span_str("nightly"), .version = span_str("1"), .steps = wire_list_from(&steps, 1)};
    buf_clear(&f->rig.job);
    d_job_encode(&j, &f->rig.job);
    buf_free(&step);
    buf_free(&steps);
    buf_free(&bindings);
    buf_free(&binding);
}

static void make_job(struct verify_fixture *f, const char *proxy, const char *subsystem,
                     const char *run, bool package)
{
    make_job_with(f, proxy, subsystem, run, package, SPAN_NONE);
}

static void allow_job(struct verify_fixture *f, mode_t mode)
{
    struct hash h;
    char digits[65], path[100];
    envelope_hash(buf_span(&f->rig.job), &h);
    snprintf(path, sizeof path, "var/jobs/%s", hex_format(h.b, 32, digits));
    rig_path_write(&f->rig, path, span_str(""), mode);
}

static void an_unknown_proxy_or_subsystem_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    c.job = "nightly";
    make_job(f, "etl", "exec", NULL, true);
    struct s_step s = good(f, &c, 1);
    refused(f, &s, "proxy", REFUSAL_NO_PROXY, "'etl'");
    make_job(f, "default", "ssis", NULL, true);
    s = good(f, &c, 1);
    refused(f, &s, "proxy", REFUSAL_NO_PROXY, "'ssis'");
}

static void a_package_that_is_not_installed_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    char *folder = runner_paths_of_hash(f->rig.paths.packages, &f->rig.package),
         *away = mem_printf("%s.away", folder);
    assert_int_equal(rename(folder, away), 0);
    refused(f, &s, "package", REFUSAL_BAD_PACKAGE, "is not installed here");
    mem_free(&folder);
    mem_free(&away);
}

static void a_package_whose_signer_is_no_longer_trusted_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    assert_int_equal(ask(f, &s), VERDICT_RUN);
    rig_path_write(&f->rig, "etc/trust/signers", span_str("# nobody\n"), 0644);
    c.key = "k2";
    s = good(f, &c, 2);
    refused(f, &s, "package", REFUSAL_BAD_PACKAGE, "no signature of a signer");
}

/* What trust/signers says of a builder is asked at each step, not only at installation. */
static void a_package_whose_signer_may_no_longer_sign_it_is_refused(void **state)
{
    static const char *const words[][2] = {{" revoked\n", "which is revoked in trust/signers"},
                                           {" until=2001-01-01\n", "whose time"},
                                           {" packages=else,other-*\n", "allows only"}};
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    char keys[][3] = {"k1", "k2", "k3"};
    for (size_t i = 0; i < 3; i++) {
        struct buf line = {0};
        minisign_public_line(&f->rig.builder, &line);
        buf_add_str(&line, words[i][0]);
        rig_path_write(&f->rig, "etc/trust/signers", buf_span(&line), 0644);
        buf_free(&line);
        c.key = keys[i];
        struct s_step s = good(f, &c, (uint8_t)(i + 1));
        refused(f, &s, "package", REFUSAL_BAD_PACKAGE, words[i][1]);
    }
}

static void a_package_that_others_can_write_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    char *folder = runner_paths_of_hash(f->rig.paths.packages, &f->rig.package);
    assert_int_equal(chmod(folder, 0777), 0);
    refused(f, &s, "package", REFUSAL_BAD_PACKAGE, "can be written by others");
    mem_free(&folder);
}

static void an_entry_not_executable_or_outside_its_package_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    char *folder = runner_paths_of_hash(f->rig.paths.packages, &f->rig.package);
    char *entry = mem_printf("%s/files/bin/entry", folder);
    assert_int_equal(chmod(entry, 0444), 0);
    refused(f, &s, "package", REFUSAL_BAD_PACKAGE, "not executable");
    assert_int_equal(unlink(entry), 0);
    assert_int_equal(symlink("/bin/true", entry), 0);
    refused(f, &s, "package", REFUSAL_BAD_PACKAGE, "cannot open the entry");
    mem_free(&folder);
    mem_free(&entry);
}

static void a_job_that_this_server_has_not_accepted_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    c.job = "nightly";
    make_job(f, "default", "exec", NULL, true);
    struct s_step s = good(f, &c, 1);
    refused(f, &s, "job", REFUSAL_WRONG_JOB, "not accepted by this server");
    allow_job(f, 0666);
    refused(f, &s, "job", REFUSAL_WRONG_JOB, "can be written by others");
    allow_job(f, 0444);
    if (ask(f, &s) != VERDICT_RUN)
        fail_msg("%s", f->err.text);
}

static void shell_text_without_a_package_runs_when_its_job_is_accepted(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_launch l;
    c.job = "nightly";
    make_job(f, "default", "shell", "echo $LB_PARAM_table", false);
    allow_job(f, 0444);
    struct s_step s = good(f, &c, 1);
    if (ask(f, &s) != VERDICT_RUN)
        fail_msg("%s", f->err.text);
    assert_int_equal(s_launch_decode(buf_span(&f->launch), &l, &f->err), 0);
    assert_true(span_eq_str(l.text, "echo $LB_PARAM_table"));
    make_job(f, "default", "exec", "rm -rf /", false);
    allow_job(f, 0444);
    c.key = "k2";
    s = good(f, &c, 2);
    refused(f, &s, "package", REFUSAL_WRONG_JOB,
            "neither a package nor a text that subsystem 'exec' takes");
}

/* What the launch says a code means; PACKAGE_COUNT: nothing. */
static uint64_t meaning(const struct s_launch *l, uint64_t code)
{
    struct wire_iter it = wire_iter(&l->exit_codes);
    struct span item;
    struct d_exit_code e;
    while (wire_next(&it, &item)) {
        assert_int_equal(d_exit_code_decode(item, &e, NULL), 0);
        if (e.code == code)
            return e.package;
    }
    return PACKAGE_COUNT;
}

static void a_steps_exit_codes_replace_those_of_its_package(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_launch l;
    c.job = "nightly";
    for (int package = 0; package < 2; package++) { /* package: 0 succeeded, 3 cancelled */
        make_job_with(f, "default", package ? "exec" : "shell", package ? "" : "true", package,
                      span_of("\2\7", 2));
        allow_job(f, 0444);
        c.key = package ? "k2" : "k1";
        struct s_step s = good(f, &c, (unsigned)package + 1);
        if (ask(f, &s) != VERDICT_RUN)
            fail_msg("%s", f->err.text);
        assert_int_equal(s_launch_decode(buf_span(&f->launch), &l, &f->err), 0);
        assert_int_equal(meaning(&l, 2), PACKAGE_SUCCEEDED);
        assert_int_equal(meaning(&l, 7), PACKAGE_SUCCEEDED);
        assert_int_equal(meaning(&l, 0), PACKAGE_COUNT);
        assert_int_equal(meaning(&l, 3), package ? PACKAGE_CANCELLED : PACKAGE_COUNT);
    }
}

static void a_forged_job_under_a_packages_name_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct d_job j;
    struct buf made = {0};
    assert_int_equal(d_job_decode(buf_span(&f->rig.job), &j, &f->err), 0);
    j.concurrency = 7;
    d_job_encode(&j, &made);
    buf_free(&f->rig.job);
    f->rig.job = made;
    struct s_step s = good(f, &c, 1);
    refused(f, &s, "job", REFUSAL_WRONG_JOB, "not the job that this package makes");
}

static void ask_with(void **state, const char *name, const char *value, const char *text)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    struct buf map = {0};
    uint32_t n = 1;
    if (strcmp(name, "table") != 0) {
        map = with_table("orders");
        n = 2;
    }
    value_add_str(&map, span_str(name));
    value_add_str(&map, span_str(value));
    c.parameters = &map;
    c.n_parameters = n;
    s = rig_step(&f->rig, &c, rig_run(1), &f->call);
    refused(f, &s, "parameters", REFUSAL_BAD_PARAMETERS, text);
    buf_free(&map);
}

static void a_missing_unknown_or_wrong_parameter_is_refused(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = rig_step(&f->rig, &c, rig_run(1), &f->call);
    refused(f, &s, "parameters", REFUSAL_BAD_PARAMETERS, "'table' (string) is required");
    ask_with(state, "tabel", "orders", "has no parameter 'tabel'");
    ask_with(state, "table", "Orders; rm", "must match the pattern '[a-z_]+'");
    ask_with(state, "count", "12x", "not of type int");
    ask_with(state, "day", "2026-02-30", "not of type date");
}

static void the_same_step_is_not_run_twice(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    assert_int_equal(ask(f, &s), VERDICT_RUN);
    assert_int_equal(ask(f, &s), VERDICT_SAME);
    s.run = rig_run(2);
    refused(f, &s, "new", REFUSAL_REPLAYED, "has already run here, as run");
    s.run = rig_run(1);
    s.attempt = 2;
    refused(f, &s, "new", REFUSAL_REPLAYED, "does not allow another");
}

static void an_allowed_rerun_runs_and_fences_the_older_attempt(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    c.on_lost = ON_LOST_RERUN;
    struct s_step s = good(f, &c, 1);
    assert_int_equal(ask(f, &s), VERDICT_RUN);
    s.attempt = 2;
    assert_int_equal(ask(f, &s), VERDICT_RUN);
    s.attempt = 1;
    refused(f, &s, "new", REFUSAL_REPLAYED, "attempt 1 is older");
}

static void restart(struct verify_fixture *f)
{
    verifier_free(&f->v);
    assert_int_equal(verifier_new(&f->rig.paths, &f->v, &f->err), 0);
}

static void steps_launched_before_a_restart_are_known_after_it(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    struct s_launch l;
    assert_int_equal(ask(f, &s), VERDICT_RUN);
    assert_int_equal(s_launch_decode(buf_span(&f->launch), &l, &f->err), 0);
    assert_int_equal(verifier_commit(f->v, clock_wall_ms(), &f->err), 0);
    struct s_kept k = {.run = l.run,
                       .attempt = l.attempt,
                       .step = l.step,
                       .try_no = l.try_no,
                       .state = KEPT_WAITS,
                       .identity = l.identity,
                       .expires = l.expires};
    restart(f); /* it waits at a keeper */
    verifier_taken(f->v, &k, clock_wall_ms());
    assert_int_equal(verifier_settle(f->v, clock_wall_ms(), &f->err), 0);
    assert_int_equal(ask(f, &s), VERDICT_SAME);
    verifier_begun(f->v, &k, clock_wall_ms());
    assert_int_equal(verifier_commit(f->v, clock_wall_ms(), &f->err), 0);
    restart(f); /* it has begun, and nobody else knows of it any more */
    assert_int_equal(verifier_settle(f->v, clock_wall_ms(), &f->err), 0);
    assert_int_equal(ask(f, &s), VERDICT_SAME);
    verifier_lost(f->v, &k, false, clock_wall_ms());
    assert_int_equal(ask(f, &s), VERDICT_RUN);
}

static void what_was_accepted_and_reached_no_keeper_may_be_asked_for_again(void **state)
{
    struct verify_fixture *f = *state;
    struct rig_call c = rig_call();
    struct s_step s = good(f, &c, 1);
    assert_int_equal(ask(f, &s), VERDICT_RUN);
    assert_int_equal(verifier_commit(f->v, clock_wall_ms(), &f->err), 0);
    restart(f);
    assert_int_equal(ask(f, &s), VERDICT_SAME); /* it may be on its way */
    assert_int_equal(verifier_settle(f->v, clock_wall_ms(), &f->err), 0);
    assert_int_equal(ask(f, &s), VERDICT_RUN);
}

static void the_checks_run_in_the_documented_order(void **state)
{
    (void)state;
    static const char *const order[] = {"origin",  "server",   "certificate", "form",    "call",
                                        "address", "job hash", "step",        "turn",    "proxy",
                                        "package", "job",      "parameters",  "secrets", "context",
                                        "new",     NULL};
    for (unsigned i = 0; i < sizeof order / sizeof *order; i++)
        if (order[i])
            assert_string_equal(verify_check_name(i), order[i]);
        else
            assert_null(verify_check_name(i));
}

#define here(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        here(a_valid_request_becomes_a_launch_with_typed_parameters),
        here(a_step_that_no_caller_has_signed_is_refused),
        here(what_runs_by_hand_is_taken_only_by_a_runner_for_that_and_as_the_proxy_says),
        here(a_plan_asks_for_no_turn_but_for_everything_else),
        here(who_is_no_caller_is_refused_whatever_its_grants_say),
        here(a_server_without_an_identity_runs_nothing),
        here(a_certificate_that_no_administrator_signed_is_refused),
        here(a_revoked_certificate_is_refused_from_the_next_step_on),
        here(an_unsigned_revocation_list_stops_everything),
        here(a_list_of_revocations_is_not_rolled_back_by_a_restart),
        here(an_expired_certificate_is_refused),
        here(a_malformed_call_or_job_is_refused),
        here(an_altered_call_is_refused),
        here(a_call_signed_by_another_caller_is_refused),
        here(an_expired_call_is_refused_but_not_in_the_middle_of_its_job),
        here(a_call_without_a_grant_is_refused),
        here(a_server_or_a_monitor_may_not_call_whatever_its_certificate_grants),
        here(a_grant_on_the_pool_covers_a_call_to_the_server_by_name),
        here(a_call_for_other_servers_is_refused),
        here(another_job_version_is_refused_unless_the_call_wants_the_latest),
        here(a_step_that_the_job_lacks_is_refused),
        here(a_try_beyond_the_jobs_limit_is_refused),
        here(an_unknown_proxy_or_subsystem_is_refused),
        here(a_package_that_is_not_installed_is_refused),
        here(a_package_whose_signer_is_no_longer_trusted_is_refused),
        here(a_package_whose_signer_may_no_longer_sign_it_is_refused),
        here(a_package_that_others_can_write_is_refused),
        here(an_entry_not_executable_or_outside_its_package_is_refused),
        here(a_job_that_this_server_has_not_accepted_is_refused),
        here(shell_text_without_a_package_runs_when_its_job_is_accepted),
        here(a_steps_exit_codes_replace_those_of_its_package),
        here(a_forged_job_under_a_packages_name_is_refused),
        here(a_missing_unknown_or_wrong_parameter_is_refused),
        here(the_same_step_is_not_run_twice),
        here(an_allowed_rerun_runs_and_fences_the_older_attempt),
        here(steps_launched_before_a_restart_are_known_after_it),
        here(what_was_accepted_and_reached_no_keeper_may_be_asked_for_again),
        cmocka_unit_test(the_checks_run_in_the_documented_order),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
