/* Certificates, revocations, deployments, verbs of operators. */
#include "broker/core/testing.h"

static void publish(struct core_world *w, uint64_t peer, const char *name, const char *role,
                    uint64_t serial, const char *const *pools)
{
    SAY(w, peer, "root", publish, .req = 1,
        .certificate = world_certificate(w, name, role, serial, pools));
}

static void a_certificate_makes_a_server_known(void **state)
{
    struct core_world *w = *state;
    static const char *const pools[] = {"etl", "big", NULL};
    uint64_t root = world_caller_up(w, "root");
    struct m_done done;
    struct view_server v;
    struct view_certificate vc;
    publish(w, root, "wh1", "server", 11, pools);
    const struct world_logged *l = SENT(w, root, DONE, done, &done);
    assert_int_equal(l->effect.rests_on, w->lsn);
    publish(w, root, "wh1", "server", 11, pools); /* repeated */
    SENT(w, root, DONE, done, &done);
    assert_int_equal(view_address(w->core, "wh1"), VIEW_ADDRESS_SERVER);
    assert_int_equal(view_address(w->core, "big"), VIEW_ADDRESS_POOL);
    assert_int_equal(view_address(w->core, "all"), VIEW_ADDRESS_ALL);
    assert_int_equal(view_address(w->core, "small"), VIEW_ADDRESS_UNKNOWN);
    assert_true(view_in_address(w->core, "wh1", "all") && view_in_address(w->core, "wh1", "big"));
    assert_false(view_in_address(w->core, "wh1", "small"));
    assert_true(view_server(w->core, "wh1", &v));
    assert_string_equal(v.state, "unreachable");
    world_restart(w);
    root = world_caller_up(w, "root");
    assert_true(view_server_after(w->core, "", &v));
    assert_string_equal(v.name, "wh1");
    assert_false(view_server_after(w->core, "wh1", &v));
    static const char *const fewer[] = {"etl", NULL};
    publish(w, root, "wh1", "server", 12, fewer); /* a newer one replaces its pools */
    assert_false(view_in_address(w->core, "wh1", "big"));
    assert_true(view_certificate(w->core, "wh1", 0, &vc));
    assert_int_equal(vc.serial, 12);
    assert_true(view_certificate(w->core, "wh1", 11, &vc));
    assert_true(view_certificate_after(w->core, "wh1", 11, &vc));
    assert_int_equal(vc.serial, 12);
}

static void an_invitation_makes_one_certificate(void **state)
{
    struct core_world *w = *state;
    static const char *const pools[] = {"etl", NULL};
    uint64_t root = world_caller_up(w, "root"),
             one = world_up(w, "wh1", "", NULL, (struct m_hello){0});
    struct m_done done;
    SAY(w, one, "wh1", enrol, .req = 1,
        .certificate = world_certificate(w, "wh1", "server", 11, pools));
    SENT(w, one, DONE, done, &done);
    SAY(w, one, "wh1", enrol, .req = 1,
        .certificate = world_certificate(w, "wh1", "server", 11, NULL));
    assert_int_equal(world_told_error(w, one, "invitation has been used"), REFUSAL_EXISTS);
    publish(w, root, "wh1", "caller", 12, NULL);
    assert_int_equal(world_told_error(w, root, "is already a server"), REFUSAL_EXISTS);
    publish(w, root, "etl", "server", 13, NULL);
    assert_int_equal(world_told_error(w, root, "is the name of a pool"), REFUSAL_EXISTS);
    static const char *const same[] = {"wh1", NULL};
    publish(w, root, "wh2", "server", 14, same);
    assert_int_equal(world_told_error(w, root, "name of a server"), REFUSAL_EXISTS);
    publish(w, root, "bert", "caller", 0, NULL);
    assert_int_equal(world_told_error(w, root, "no serial"), REFUSAL_MALFORMED);
    SAY(w, root, "root", publish, .req = 1, .certificate = span_str("x"));
    assert_int_equal(world_told_error(w, root, ""), REFUSAL_MALFORMED);
}

/* ---- Revocations */
static void revoke(struct core_world *w, uint64_t peer, uint64_t number, const uint64_t *serials,
                   unsigned n)
{
    uint8_t bytes[64];
    struct buf *body = world_scratch(w);
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < 8; k++)
            bytes[8 * i + k] = (uint8_t)(serials[i] >> 8 * (7 - k));
    d_revocations_encode(&(struct d_revocations){.cluster = span_str("test"),
                                                 .number = number,
                                                 .serials = span_of(bytes, 8 * n)},
                         body);
    SAY(w, peer, "root", revoke, .req = 1, .list = world_wrapped(w, buf_span(body), "root"));
}

static void a_revocation_reaches_every_session_and_ends_the_revoked(void **state)
{
    struct core_world *w = *state;
    uint64_t root = world_caller_up(w, "root"), anna = world_caller_up(w, "anna"),
             wh1 = world_worker_up(w, "wh1", 1), number;
    struct m_revoked list;
    struct m_refused r;
    struct m_done done;
    uint64_t serials[] = {5, world_serial("anna")};
    revoke(w, root, 1, serials, 2);
    SENT(w, root, DONE, done, &done);
    const struct world_logged *l = SENT(w, wh1, REVOKED, revoked, &list);
    assert_int_equal(l->effect.rests_on, w->lsn);
    SENT(w, anna, REFUSED, refused, &r);
    assert_int_equal(r.code, REFUSAL_REVOKED);
    assert_true(view_revoked(w->core, 5) && view_revoked(w->core, world_serial("anna")));
    assert_false(view_revoked(w->core, 6));
    assert_true(view_revocations(w->core, &number).n > 0);
    assert_int_equal(number, 1);
    revoke(w, root, 1, serials, 2); /* repeated */
    SENT(w, root, DONE, done, &done);
    revoke(w, root, 1, serials, 1);
    assert_int_equal(world_told_error(w, root, "number 1 is in force"), REFUSAL_STATE);
    assert_int_equal(world_records_of(w, KIND_R_REVOKED), 1);
    uint64_t wh2 = world_worker_hello(w, "wh2", 2); /* it has none yet */
    SENT(w, wh2, REVOKED, revoked, &list);
    uint64_t bert = world_up(w, "bert", "caller", NULL, (struct m_hello){.revocations = 1});
    NOT_SENT(w, bert, REVOKED);
    SAY(w, root, "root", revoke, .req = 1, .list = span_str("x"));
    assert_int_equal(world_told_error(w, root, ""), REFUSAL_MALFORMED);
}

/* ---- Deployments */
static void deploy(struct core_world *w, uint64_t peer, const char *name, uint8_t package,
                   const char *address, int64_t at, bool remove)
{
    struct buf *body = world_scratch(w);
    d_deployment_encode(&(struct d_deployment){.cluster = span_str("test"),
                                               .package = world_hash(package),
                                               .name = span_str(name),
                                               .version = span_str("1"),
                                               .address = span_str(address),
                                               .remove = remove,
                                               .issued_at = at},
                        body);
    w->deploy_size = 1000 + package;
    SAY(w, peer, "root", deploy, .req = 1, .deployment = world_wrapped(w, buf_span(body), "root"));
}

static unsigned desired(struct core_world *w, uint64_t peer, uint64_t *ret_generation,
                        uint64_t *ret_size)
{
    struct m_desired m;
    struct d_deployed d;
    struct span item;
    struct error err;
    SENT(w, peer, DESIRED, desired, &m);
    for (struct wire_iter it = wire_iter(&m.packages); wire_next(&it, &item);) {
        assert_int_equal(d_deployed_decode(item, &d, &err), 0);
        *ret_size = d.size;
    }
    *ret_generation = m.generation;
    return m.packages.count;
}

static void a_deployment_changes_the_desired_state_of_its_servers(void **state)
{
    struct core_world *w = *state;
    uint64_t root = world_caller_up(w, "root"), wh1 = world_worker_up(w, "wh1", 1), size = 0,
             generation, first;
    struct m_done done;
    assert_int_equal(desired(w, wh1, &first, &size), 0);
    deploy(w, root, "extract", 1, "etl", 10, false);
    const struct world_logged *l = SENT(w, root, DONE, done, &done);
    assert_int_equal(l->effect.rests_on, w->lsn);
    assert_int_equal(desired(w, wh1, &generation, &size), 1);
    assert_int_equal(size, 1001);
    assert_true(generation > first);
    deploy(w, root, "extract", 1, "etl", 10, false); /* repeated */
    SENT(w, root, DONE, done, &done);
    NOT_SENT(w, wh1, DESIRED);
    deploy(w, root, "extract", 2, "etl", 20, false); /* replaces it */
    assert_int_equal(desired(w, wh1, &generation, &size), 1);
    assert_int_equal(size, 1002);
    deploy(w, root, "extract", 1, "etl", 10, false);
    assert_int_equal(world_told_error(w, root, "newer deployment"), REFUSAL_STATE);
    deploy(w, root, "extract", 3, "wh1", 30, false); /* the one signed last counts */
    assert_int_equal(desired(w, wh1, &generation, &size), 1);
    assert_int_equal(size, 1003);
    uint64_t before = generation;
    world_restart(w);
    root = world_caller_up(w, "root");
    wh1 = world_worker_hello(w, "wh1", 1); /* all of it, with WELCOME */
    assert_int_equal(desired(w, wh1, &generation, &size), 1);
    assert_true(generation > before);
    deploy(w, root, "extract", 3, "wh1", 40, true);
    assert_int_equal(desired(w, wh1, &generation, &size), 1);
    assert_int_equal(size, 1002);
    deploy(w, root, "extract", 2, "etl", 40, true);
    assert_int_equal(desired(w, wh1, &generation, &size), 0);
    deploy(w, root, "extract", 2, "etl", 35, false); /* older than its removal */
    assert_int_equal(world_told_error(w, root, "newer deployment"), REFUSAL_STATE);
    deploy(w, root, "extract", 2, "etl", 50, true);
    assert_int_equal(world_told_error(w, root, "is not deployed"), REFUSAL_NOT_FOUND);
    deploy(w, root, "extract", 2, "nowhere", 50, false);
    assert_int_equal(world_told_error(w, root, "no server or pool"), REFUSAL_UNKNOWN_ADDRESS);
    SAY(w, root, "root", deploy, .req = 1, .deployment = span_str("x"));
    assert_int_equal(world_told_error(w, root, ""), REFUSAL_MALFORMED);
    struct view_deployment v;
    assert_false(view_deployment_after(w->core, "", "", &v)); /* marks of removal are not shown */
}

/* ---- Operators */
static void operate(struct core_world *w, uint64_t peer, const char *verb, const char *target)
{
    SAY(w, peer, "root", operate, .req = 1, .verb = span_str(verb), .target = span_str(target),
        .reason = span_str("kernel update"));
}

static void a_draining_server_keeps_what_it_has_and_gets_nothing_new(void **state)
{
    struct core_world *w = *state;
    uint64_t root = world_caller_up(w, "root"), anna = world_caller_up(w, "anna"),
             wh1 = world_worker_up(w, "wh1", 1);
    struct m_done done;
    struct view_server v;
    struct id run = world_call(w, anna, "a"), next;
    operate(w, root, "drain", "wh1");
    SENT(w, root, DONE, done, &done);
    assert_true(span_eq_str(done.text, "wh1 is draining; attempts there: 1"));
    operate(w, root, "drain", "wh1"); /* repeated */
    assert_int_equal(world_records_of(w, KIND_R_OPERATED), 1);
    next = world_call(w, anna, "b");
    assert_int_equal(world_state_of(w, next), RUN_PARKED);
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    world_succeed(w, wh1, "wh1", run, 1, 5);
    assert_int_equal(world_state_of(w, next), RUN_PARKED);
    world_restart(w);
    root = world_caller_up(w, "root");
    world_worker_up(w, "wh1", 1);
    view_server(w->core, "wh1", &v);
    assert_true(v.draining);
    assert_string_equal(v.draining_reason, "kernel update");
    assert_int_equal(world_state_of(w, next), RUN_PARKED);
    operate(w, root, "undrain", "wh1");
    assert_int_equal(world_state_of(w, next), RUN_HANDED_OVER);
}

static void a_new_reason_for_a_drain_is_recorded(void **state)
{
    struct core_world *w = *state;
    uint64_t root = world_caller_up(w, "root");
    struct view_server v;
    world_worker_up(w, "wh1", 1);
    operate(w, root, "drain", "wh1");
    SAY(w, root, "root", operate, .req = 2, .verb = span_str("drain"), .target = span_str("wh1"));
    assert_int_equal(world_records_of(w, KIND_R_OPERATED), 1); /* no new reason */
    SAY(w, root, "root", operate, .req = 3, .verb = span_str("drain"), .target = span_str("wh1"),
        .reason = span_str("new disk"));
    assert_int_equal(world_records_of(w, KIND_R_OPERATED), 2);
    view_server(w->core, "wh1", &v);
    assert_string_equal(v.draining_reason, "new disk");
}

static void a_server_can_be_forgotten_once_it_holds_no_runs(void **state)
{
    struct core_world *w = *state;
    uint64_t root = world_caller_up(w, "root"), anna = world_caller_up(w, "anna"),
             wh1 = world_worker_up(w, "wh1", 1);
    struct m_done done;
    struct view_server v;
    struct view_certificate vc;
    world_call(w, anna, "a");
    operate(w, root, "forget", "wh1");
    assert_int_equal(world_told_error(w, root, "is connected"), REFUSAL_STATE);
    world_down(w, wh1);
    operate(w, root, "forget", "wh1"); /* it may return in a moment */
    assert_int_equal(world_told_error(w, root, "is connected"), REFUSAL_STATE);
    world_pass(w, LEASE_MS);
    operate(w, root, "forget", "wh1");
    assert_int_equal(world_told_error(w, root, "has 1 attempts"), REFUSAL_STATE);
    world_pass(w, 400000);
    operate(w, root, "forget", "wh1");
    SENT(w, root, DONE, done, &done);
    assert_false(view_server(w->core, "wh1", &v));
    assert_true(view_certificate(w->core, "wh1", 0, &vc)); /* it is still valid */
    assert_int_equal(view_address(w->core, "etl"), VIEW_ADDRESS_UNKNOWN);
    operate(w, root, "forget", "wh1");
    assert_int_equal(world_told_error(w, root, "no server is named"), REFUSAL_NOT_FOUND);
    world_restart(w);
    assert_false(view_server(w->core, "wh1", &v));
    world_worker_up(w, "wh1", 1); /* it returns */
    assert_true(view_server(w->core, "wh1", &v));
}

static void unknown_verbs_and_servers_are_refused(void **state)
{
    struct core_world *w = *state;
    uint64_t root = world_caller_up(w, "root");
    operate(w, root, "reboot", "wh1");
    assert_int_equal(world_told_error(w, root, "drain, undrain, forget and release"),
                     REFUSAL_BAD_ARGUMENT);
    operate(w, root, "drain", "wh1");
    assert_int_equal(world_told_error(w, root, "no server is named 'wh1'"), REFUSAL_NOT_FOUND);
}

/* ---- RESOLVE */
static void resolve_lists_versions_newest_deployment_first(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1),
             wh2 = world_worker_up(w, "wh2", 2);
    struct m_resolved m;
    struct d_version v;
    struct error err;
    struct span item;
    world_attest(
        w, wh2, "wh2", 2,
        (struct world_attested[]){{.job = "load", .hash = 1}, {.job = "load", .hash = 2}, {0}},
        NULL, false);
    SAY(w, anna, "anna", resolve, .req = 4, .job = span_str("load"), .address = span_str("etl"));
    SENT(w, anna, RESOLVED, resolved, &m);
    assert_int_equal(m.req, 4);
    assert_int_equal(m.servers.count, 2);
    assert_int_equal(m.versions.count, 2);
    struct wire_iter it = wire_iter(&m.versions);
    wire_next(&it, &item);
    assert_int_equal(d_version_decode(item, &v, &err), 0);
    assert_int_equal(v.servers, 2);
    assert_int_equal(v.job_hash.b[0], 1);
    SAY(w, anna, "anna", resolve, .req = 4, .job = span_str("other"), .address = span_str("wh1"));
    SENT(w, anna, RESOLVED, resolved, &m);
    assert_int_equal(m.versions.count, 0);
    assert_int_equal(m.servers.count, 1);
    SAY(w, anna, "anna", resolve, .req = 4, .job = span_str("load"),
        .address = span_str("nowhere"));
    assert_int_equal(world_told_error(w, anna, "no server or pool"), REFUSAL_UNKNOWN_ADDRESS);
    (void)wh1;
}

static void resolve_lists_current_versions_before_older_ones(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct m_resolved m;
    struct d_version v;
    struct error err;
    struct span item;
    const uint8_t want[] = {3, 1, 2};
    unsigned n = 0;
    for (uint8_t i = 1; i <= 2; i++) { /* the newest has the fewest servers, not the lowest hash */
        uint64_t p = world_worker_up(w, i == 1 ? "wh1" : "wh2", i);
        const struct world_attested both[] = {{.job = "load", .hash = 3},
                                              {.job = "load", .hash = 1, .older = 1},
                                              {.job = "load", .hash = 2, .older = 2},
                                              {0}},
                                    kept[] = {{.job = "load", .hash = 3},
                                              {.job = "load", .hash = 2, .older = 2},
                                              {.job = "load", .hash = 1, .older = 1},
                                              {0}};
        world_attest(w, p, i == 1 ? "wh1" : "wh2", 2, i == 1 ? both : kept, NULL, false);
    }
    SAY(w, anna, "anna", resolve, .req = 4, .job = span_str("load"), .address = span_str("etl"));
    SENT(w, anna, RESOLVED, resolved, &m);
    for (struct wire_iter it = wire_iter(&m.versions); wire_next(&it, &item); n++) {
        assert_int_equal(d_version_decode(item, &v, &err), 0);
        assert_int_equal(v.job_hash.b[0], want[n]);
    }
    assert_int_equal(n, 3);
}

/* Whatever a server attests, a question about a job takes a few versions of each server. */
static void resolve_takes_a_few_versions_of_each_server(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct world_attested many[60] = {{.job = "above", .hash = 1}};
    struct m_resolved m;
    for (uint8_t i = 1; i <= 40; i++)
        many[i] = (struct world_attested){.job = "load", .hash = i, .older = i - 1u};
    many[41] = (struct world_attested){.job = "zebra", .hash = 1};
    world_attest(w, wh1, "wh1", 4, many, NULL, false);
    SAY(w, anna, "anna", resolve, .req = 4, .job = span_str("load"), .address = span_str("wh1"));
    SENT(w, anna, RESOLVED, resolved, &m);
    assert_int_equal(m.versions.count, 16);
    world_log_clear(w);
    SAY(w, anna, "anna", resolve, .req = 5, .job = span_str("zebra"), .address = span_str("wh1"));
    SENT(w, anna, RESOLVED, resolved, &m);
    assert_int_equal(m.versions.count, 1);
}

/* A call is unaffected if its job changes between acceptance and hand-over. */
static void a_call_for_an_older_version_goes_where_that_is_kept(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct m_execute m;
    world_attest(w, wh1, "wh1", 4,
                 (struct world_attested[]){
                     {.job = "load", .hash = 9}, {.job = "load", .hash = 1, .older = 1}, {0}},
                 NULL, false);
    world_call(w, anna, "a"); /* hash 1 */
    SENT(w, wh1, EXECUTE, execute, &m);
    assert_int_equal(m.job_hash.b[0], 1);
    struct d_call d = world_call_of("b");
    d.pin_latest = true;
    d.job_hash = (struct hash){{0}};
    world_call_d(w, anna, d);
    SENT(w, wh1, EXECUTE, execute, &m);
    assert_int_equal(m.job_hash.b[0], 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_certificate_makes_a_server_known),
        in_world(an_invitation_makes_one_certificate),
        in_world(a_revocation_reaches_every_session_and_ends_the_revoked),
        in_world(a_deployment_changes_the_desired_state_of_its_servers),
        in_world(a_draining_server_keeps_what_it_has_and_gets_nothing_new),
        in_world(a_new_reason_for_a_drain_is_recorded),
        in_world(a_server_can_be_forgotten_once_it_holds_no_runs),
        in_world(unknown_verbs_and_servers_are_refused),
        in_world(resolve_lists_versions_newest_deployment_first),
        in_world(resolve_lists_current_versions_before_older_ones),
        in_world(resolve_takes_a_few_versions_of_each_server),
        in_world(a_call_for_an_older_version_goes_where_that_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
