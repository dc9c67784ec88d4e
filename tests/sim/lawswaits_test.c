/* lawswaits_test.c - what the witness must see, and what it must let pass, while a step waits for
 * its next try. The broker's core is a real one; where the witness hears what the core has not
 * heard, the core is one that takes no notice. */
#include "tests/sim/lawstesting.h"

enum { ANNA = 1, WH1 = 2, STEADY = 1, WALL_MS = 1000000 };

static const struct id RUN = {{1}}, SPOOL = {{7}};
static struct bcore *core;
static struct bcore_out out;
static struct id run; /* the last one that the core has accepted */

/* ---- The worker */
static void tries(struct rig *r, uint64_t try_no)
{
    struct s_step s = {.run = RUN,
                       .attempt = 1,
                       .step = span_str("run"),
                       .try_no = try_no,
                       .job = buf_span(&r->catalog.jobs[STEADY].body)};
    laws_launched(r->laws, "wh1", SPOOL, &s);
}

static void says_that_it_waits(struct rig *r)
{
    struct buf b = {0};
    m_progress_encode(&(struct m_progress){.run = RUN, .attempt = 1, .waits = span_str("run")}, &b);
    laws_worker_says(r->laws, buf_span(&b));
    buf_free(&b);
}

static void assigned(struct rig *r)
{
    catalog_write_call(&(struct d_call){.caller = span_str("anna"), .key = span_str("k")}, &r->body,
                       &r->call);
    RECORD(r, CALLED, called, .run = RUN, .call = buf_span(&r->call));
    RECORD(r, ASSIGNED, assigned, .run = RUN, .attempt = 1, .server = span_str("wh1"),
           .spool = SPOOL, .job_hash = r->catalog.jobs[STEADY].hash, .on_lost = ON_LOST_FAIL);
}

static void first_try_fails(struct rig *r)
{
    assigned(r);
    laws_reached(r->laws, "wh1", r->w.now);
    laws_steady(r->laws, "wh1", r->w.now);
    tries(r, 1);
    r->w.now += SECS(1);
    laws_child_over(r->laws, RUN, 1, span_str("run"), 1, PACKAGE_FAILED);
}

static void a_silent_wait(struct rig *r)
{
    first_try_fails(r);
    r->w.now += MS(1500);
    tries(r, 2);
}

static void waits_while_a_child_lives(struct rig *r)
{
    assigned(r);
    tries(r, 1);
    says_that_it_waits(r);
}

static void a_wait_that_is_said_breaks_no_law(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    first_try_fails(&r);
    says_that_it_waits(&r);
    r.w.now += MS(1500);
    tries(&r, 2);
    rig_end_unbroken(&r);
}

static void a_worker_that_was_away_need_not_have_said_that_a_run_waited(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    first_try_fails(&r);
    laws_steady(r.laws, "wh1", r.w.now + SECS(1));
    r.w.now += MS(1500);
    tries(&r, 2);
    rig_end_unbroken(&r);
}

/* ---- The broker. The witness is told of each step, but of a message it is told what `heard`
 * says. */
static void steps(struct rig *r, struct bcore_event ev, const char *name, const char *role,
                  const struct buf *heard)
{
    struct buf certificate = {0};
    catalog_write_certificate(name, role, ev.peer, 0, &certificate);
    struct bcore_peer who = {
        .name = name, .role = role, .certificate = buf_span(&certificate), .address = "sim"};
    ev.who = &who;
    ev.window_open = true;
    ev.wall = WALL_MS;
    bcore_step(core, &ev, &out);
    for (unsigned i = 0; i < out.n_records; i++) {
        struct journal_record j = {.lsn = out.records[i].lsn, .body = out.records[i].body};
        struct r_called called;
        size_t size;
        wire_peek(j.body, &j.kind, &size, NULL);
        if (r_called_decode(j.body, &called, NULL) == 0)
            run = called.run;
        j.run = run;
        if (j.kind == KIND_R_CALLED || j.kind == KIND_R_ASSIGNED)
            laws_durable(r->laws, &j);
    }
    laws_stepped(r->laws, &(struct laws_turn){.core = core,
                                              .out = &out,
                                              .sender = heard ? name : NULL,
                                              .peer = ev.peer,
                                              .message = heard ? buf_span(heard) : SPAN_NONE});
    buf_free(&certificate);
}

#define ARRIVES(r, from, name, role, low, ...) \
    do { \
        struct buf b_ = {0}; \
        m_##low##_encode(&(struct m_##low){__VA_ARGS__}, &b_); \
        steps(r, \
              (struct bcore_event){.kind = BCORE_MESSAGE, .peer = from, .message = buf_span(&b_)}, \
              name, role, &b_); \
        buf_free(&b_); \
    } while (0)

static void calls(struct rig *r)
{
    catalog_write_call(&(struct d_call){.cluster = span_str(SIM_CLUSTER),
                                        .caller = span_str("anna"),
                                        .key = span_str("k"),
                                        .job = span_str("steady"),
                                        .job_hash = r->catalog.jobs[STEADY].hash,
                                        .address = span_str("wh1"),
                                        .issued_at = WALL_MS,
                                        .expires = WALL_MS + 86400000},
                       &r->body, &r->call);
    ARRIVES(r, ANNA, "anna", "caller", call, .req = 1, .call = buf_span(&r->call));
}

/* A server with one slot, which has a run. */
static void one_slot_is_taken(struct rig *r)
{
    struct buf hello = {0}, attest = {0};
    struct view_server s;
    core = bcore_new(&(struct bcore_config){.memory_budget = 1 << 20,
                                            .max_runs = 100,
                                            .lost_after_ms = 60000,
                                            .cluster = SIM_CLUSTER,
                                            .broker = "broker"});
    bcore_begin(core, &(struct bcore_event){.wall = WALL_MS}, &out);
    m_hello_encode(
        &(struct m_hello){
            .major = PROTO_MAJOR, .spool = SPOOL, .boot = {{8}}, .incarnation = {{9}}, .slots = 1},
        &hello);
    steps(r, (struct bcore_event){.kind = BCORE_PEER_UP, .peer = WH1, .message = buf_span(&hello)},
          "wh1", "server", NULL);
    ARRIVES(r, WH1, "wh1", "server", have_end, .count = 0);
    catalog_attest(&r->catalog, 1u << STEADY, 1, true, &attest);
    steps(r, (struct bcore_event){.kind = BCORE_MESSAGE, .peer = WH1, .message = buf_span(&attest)},
          "wh1", "server", &attest);
    buf_clear(&hello);
    m_hello_encode(&(struct m_hello){.major = PROTO_MAJOR}, &hello);
    steps(r, (struct bcore_event){.kind = BCORE_PEER_UP, .peer = ANNA, .message = buf_span(&hello)},
          "anna", "caller", NULL);
    calls(r);
    assert_true(view_server(core, "wh1", &s));
    assert_int_equal(s.live, 1);
    assert_int_equal(s.credit, 0);
    buf_free(&hello);
    buf_free(&attest);
}

static void broker_ends(void)
{
    bcore_free(&core);
    bcore_out_free(&out);
}

static void the_wait_counts_for_nothing(struct rig *r)
{
    struct buf b = {0};
    one_slot_is_taken(r);
    assert_false(r->w.broken);
    m_progress_encode(&(struct m_progress){.run = run, .attempt = 1, .waits = span_str("run")}, &b);
    steps(r, (struct bcore_event){.kind = BCORE_TICK}, "wh1", "server", &b);
    buf_free(&b);
    broker_ends();
}

static void a_wait_that_frees_its_slot_breaks_no_law(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    one_slot_is_taken(&r);
    ARRIVES(&r, WH1, "wh1", "server", progress, .run = run, .attempt = 1, .waits = span_str("run"));
    assert_int_equal(r.w.counts.faults[FAULT_SLOT_LENT], 1);
    ARRIVES(&r, WH1, "wh1", "server", progress, .run = run, .attempt = 1); /* it goes on */
    assert_int_equal(r.w.counts.faults[FAULT_SLOT_LENT], 1);
    broker_ends();
    rig_end_unbroken(&r);
}

static const struct violation violations[] = {
    {LAW_WAIT_FREES_SLOT, a_silent_wait},
    {LAW_WAIT_FREES_SLOT, waits_while_a_child_lives},
    {LAW_WAIT_FREES_SLOT, the_wait_counts_for_nothing},
};

static void each_violation_breaks_its_law(void **state)
{
    (void)state;
    rig_each_breaks_its_law(violations, sizeof violations / sizeof *violations, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_violation_breaks_its_law),
        cmocka_unit_test(a_wait_that_is_said_breaks_no_law),
        cmocka_unit_test(a_worker_that_was_away_need_not_have_said_that_a_run_waited),
        cmocka_unit_test(a_wait_that_frees_its_slot_breaks_no_law),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
