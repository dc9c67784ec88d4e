/* Why a run is where it is. */
#include "broker/core/testing.h"

static const struct explain_unmet *unmet_of(const struct explain *e, const char *server)
{
    for (unsigned i = 0; i < e->n_servers; i++)
        if (!strcmp(e->servers[i].server, server))
            return e->servers[i].n ? &e->unmet[e->servers[i].first] : NULL;
    fail_msg("%s is not there", server);
    return NULL;
}

static void each_server_lists_what_is_unmet_and_what_would_clear_it(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), root = world_caller_up(w, "root");
    static const char *const other[] = {"web", NULL}, *const etl[] = {"etl", NULL};
    struct explain e;
    struct error err = {0};
    const struct {
        const char *server;
        enum explain_condition condition;
        const char *text, *clears;
    } want[] = {
        {"busy", EXPLAIN_CREDIT, "slots are taken", "one of them ends"},
        {"draining", EXPLAIN_DRAINING, "kernel", "lbctl undrain draining"},
        {"full", EXPLAIN_CONCURRENCY, "which is its limit", "ends"},
        {"gone", EXPLAIN_CONTACT, "last heard 20 s ago", "gone"},
        {"need", EXPLAIN_NEED, "need 'disk' does not hold: absent", "lbworker check"},
        {"never", EXPLAIN_CONTACT, "has not connected", "never"},
        {"nojob", EXPLAIN_JOB, "does not have job 'load'", "put a job file into etc/jobs on nojob"},
        {"other", EXPLAIN_ADDRESS, "not in pool 'etl'", "puts other in it"},
        {"starting", EXPLAIN_ATTACHING, "attaching", ""},
        {"version", EXPLAIN_VERSION, "another version", "deploy that version to version"},
    };
    world_worker_up(w, "gone", 20);
    world_pass(w, 20000);
    world_up(w, "other", "server", other, (struct m_hello){.spool = world_id(9)});
    SAY(w, root, "root", publish, .req = 1,
        .certificate = world_certificate(w, "never", "server", 77, etl));
    uint64_t p = world_worker_up(w, "nojob", 21);
    world_attest(w, p, "nojob", 2, (struct world_attested[]){{0}}, NULL, false);
    p = world_worker_up(w, "version", 22);
    world_attest(w, p, "version", 2, (struct world_attested[]){{.job = "load", .hash = 2}, {0}},
                 NULL, false);
    p = world_worker_up(w, "need", 23);
    world_attest(w, p, "need", 2,
                 (struct world_attested[]){{.job = "load", .hash = 1, .need = "disk"}, {0}}, "disk",
                 false);
    world_worker_up(w, "draining", 24);
    SAY(w, root, "root", operate, .verb = span_str("drain"), .target = span_str("draining"),
        .reason = span_str("kernel"));
    world_worker_hello(w, "starting", 25);
    p = world_worker_up(w, "full", 26);
    world_attest(w, p, "full", 4,
                 (struct world_attested[]){{.job = "load", .hash = 1, .concurrency = 1}, {0}}, NULL,
                 false);
    world_worker_up(w, "busy", 27);
    for (unsigned i = 0; i < 3; i++)
        world_call(w, anna, (const char *[]){"a", "b", "c"}[i]);
    struct id run = world_call(w, anna, "d");
    world_call(w, anna, "e");
    assert_int_equal(bcore_explain(w->core, &run, &e, &err), 0);
    assert_int_equal(e.state, RUN_WAITING);
    assert_int_equal(e.ahead, 0);
    assert_int_equal(e.n_servers, sizeof want / sizeof *want);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const struct explain_unmet *u = unmet_of(&e, want[i].server);
        if (!u)
            fail_msg("%s: nothing is unmet", want[i].server);
        assert_string_equal(explain_condition_text(u->condition),
                            explain_condition_text(want[i].condition));
        assert_contains(u->text, want[i].text);
        assert_contains(u->clears, want[i].clears);
    }
    assert_contains(e.summary, "2 of 9 servers in 'etl' can take it, and all of them are busy");
    explain_free(&e);
}

static void a_missing_job_of_a_package_is_explained_by_its_package(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct explain e;
    struct error err = {0};
    struct d_call d = world_call_of("a");
    d.job = span_str("package:extract");
    world_worker_up(w, "etl1", 1);
    struct id run = world_call_d(w, anna, d);
    assert_int_equal(bcore_explain(w->core, &run, &e, &err), 0);
    const struct explain_unmet *u = unmet_of(&e, "etl1");
    assert_non_null(u);
    assert_string_equal(u->clears, "lbpkg deploy extract to etl1");
    explain_free(&e);
}

static void assert_elsewhere(struct core_world *w, uint64_t anna, const char *address,
                             const char *text, const char *clears)
{
    struct explain e;
    struct error err = {0};
    struct d_call d = world_call_of(address);
    d.address = span_str(address);
    struct id run = world_call_d(w, anna, d);
    assert_int_equal(bcore_explain(w->core, &run, &e, &err), 0);
    assert_string_equal(unmet_of(&e, "etl1")->text, text);
    assert_string_equal(unmet_of(&e, "etl1")->clears, clears);
    explain_free(&e);
}

static void a_server_outside_the_address_says_so(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    static const char *const web[] = {"web", NULL};
    world_worker_up(w, "etl1", 1);
    world_worker_up(w, "etl2", 2);
    world_up(w, "web1", "server", web, (struct m_hello){.spool = world_id(3)});
    assert_elsewhere(w, anna, "etl2", "the call is for server 'etl2'",
                     "call etl1, or a pool that contains it");
    assert_elsewhere(w, anna, "web", "not in pool 'web'",
                     "have a certificate signed that puts etl1 in it");
    assert_elsewhere(w, anna, "elt", "no server or pool is named 'elt'",
                     "call a server or pool that exists");
}

static void runs_ahead_are_counted(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct explain e;
    struct error err = {0};
    world_call(w, anna, "a");
    world_call(w, anna, "b");
    struct id run = world_call(w, anna, "c");
    assert_int_equal(bcore_explain(w->core, &run, &e, &err), 0);
    assert_int_equal(e.ahead, 2);
    assert_int_equal(e.state, RUN_PARKED);
    explain_free(&e);
    assert_true(bcore_explain(w->core, &ID_ZERO, &e, &err) < 0);
    assert_contains(err.text, "no live run");
}

static void a_drain_without_a_reason_is_explained_without_one(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), root = world_caller_up(w, "root");
    struct explain e;
    struct error err = {0};
    world_worker_up(w, "wh1", 1);
    SAY(w, root, "root", operate, .verb = span_str("drain"), .target = span_str("wh1"));
    struct id run = world_call(w, anna, "a");
    assert_int_equal(bcore_explain(w->core, &run, &e, &err), 0);
    assert_string_equal(unmet_of(&e, "wh1")->text, "it is draining");
    explain_free(&e);
}

static void a_run_at_a_server_says_where_it_is(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct explain e;
    struct error err = {0};
    world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "a");
    SAY(w, anna, "anna", cancel, .req = 1, .run = run);
    assert_int_equal(bcore_explain(w->core, &run, &e, &err), 0);
    assert_contains(e.summary, "cancelling: attempt 1 at wh1; cancelled by anna");
    explain_free(&e);
}

/* Callers are told the reason, which contains text from workers and operators. */
static void a_long_reason_is_cut_and_stays_readable(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), root = world_caller_up(w, "root");
    world_worker_up(w, "wh1", 1);
    for (unsigned i = 0; i < 2; i++) {
        char reason[600], key[] = "0";
        struct m_run_state s;
        strcpy(reason, i ? "x" : "");
        while (strlen(reason) < 500)
            strcat(reason, "\xc3\xa4");
        SAY(w, root, "root", operate, .verb = span_str("drain"), .target = span_str("wh1"),
            .reason = span_str(reason));
        struct d_call d = world_call_of((key[0] += (char)i, key));
        world_call_with(w, anna, 1, &d, 2);
        SENT(w, anna, RUN_STATE, run_state, &s);
        assert_int_equal(s.state, RUN_PARKED);
        assert_true(s.text.n > 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_long_reason_is_cut_and_stays_readable),
        in_world(each_server_lists_what_is_unmet_and_what_would_clear_it),
        in_world(a_missing_job_of_a_package_is_explained_by_its_package),
        in_world(a_server_outside_the_address_says_so),
        in_world(runs_ahead_are_counted),
        in_world(a_drain_without_a_reason_is_explained_without_one),
        in_world(a_run_at_a_server_says_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
