/* Parent runs: started once for a key, one driver at a time, ended by its epoch. */
#include "broker/core/testing.h"

static struct d_parent parent_of(const char *key)
{
    return (struct d_parent){.cluster = span_str("test"),
                             .caller = span_str("anna"),
                             .key = span_str(key),
                             .name = span_str("nightly"),
                             .plan = world_hash(3),
                             .tasks = 8,
                             .issued_at = WORLD_WALL};
}

static void begin(struct core_world *w, uint64_t peer, uint64_t req, const struct d_parent *d,
                  bool drive)
{
    struct buf *body = world_scratch(w);
    d_parent_encode(d, body);
    SAY(w, peer, "anna", parent_begin, .req = req,
        .parent = world_wrapped(w, buf_span(body), "anna"), .drive = drive);
}

static void a_parent_starts_durably_and_once(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct d_parent d = parent_of("p");
    struct m_accepted a, b;
    begin(w, anna, 1, &d, false);
    const struct world_logged *l = SENT(w, anna, ACCEPTED, accepted, &a);
    assert_int_equal(l->effect.rests_on, w->lsn);
    begin(w, anna, 2, &d, false);
    SENT(w, anna, ACCEPTED, accepted, &b);
    assert_true(b.duplicate && id_eq(a.run, b.run));
    d.tasks = 9;
    begin(w, anna, 3, &d, false);
    assert_int_equal(world_told_error(w, anna, "whose plan or values were different"),
                     REFUSAL_CONFLICT);
    assert_int_equal(world_records_of(w, KIND_R_PARENT_BEGUN), 1);
    world_call(w, anna, "p"); /* calls and parents have separate keys */
    struct view_parent v;
    assert_true(view_parent(w->core, &a.run, &v));
    assert_true(span_eq_str(v.name, "nightly"));
    assert_true(view_parent_after(w->core, &ID_ZERO, &v));
    assert_true(id_eq(v.id, a.run));
    assert_false(view_parent_after(w->core, &a.run, &v));
}

static void two_drivers_never_drive_at_the_same_time(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), other = world_caller_up(w, "anna");
    struct d_parent d = parent_of("p");
    struct m_accepted a;
    struct m_driving g;
    begin(w, anna, 1, &d, true);
    SENT(w, anna, ACCEPTED, accepted, &a);
    const struct world_logged *l = SENT(w, anna, DRIVING, driving, &g);
    assert_int_equal(l->effect.rests_on, w->lsn);
    assert_int_equal(g.epoch, 1);
    assert_false(g.resumed);
    SAY(w, anna, "anna", parent_drive, .req = 2, .parent = a.run);
    SENT(w, anna, DRIVING, driving, &g); /* it already drives */
    assert_int_equal(g.epoch, 1);
    SAY(w, other, "anna", parent_drive, .req = 3, .parent = a.run);
    assert_int_equal(world_told_error(w, other, "is driven by"), REFUSAL_HELD_BY_OTHER);
    begin(w, other, 4, &d, true);
    assert_int_equal(world_told_error(w, other, "is driven by"), REFUSAL_HELD_BY_OTHER);
    world_down(w, anna); /* its lease ends with its session */
    SAY(w, other, "anna", parent_drive, .req = 5, .parent = a.run);
    SENT(w, other, DRIVING, driving, &g);
    assert_int_equal(g.epoch, 2);
    assert_true(g.resumed);
    SAY(w, other, "anna", parent_end, .req = 6, .parent = a.run, .epoch = 1);
    assert_int_equal(world_told_error(w, other, "does not drive it in epoch 1"),
                     REFUSAL_HELD_BY_OTHER);
}

static void a_parent_is_ended_once_and_only_by_its_driver(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), other = world_caller_up(w, "anna");
    struct d_parent d = parent_of("p");
    struct m_accepted a;
    struct m_done done;
    begin(w, anna, 1, &d, true);
    SENT(w, anna, ACCEPTED, accepted, &a);
    SAY(w, other, "anna", parent_end, .req = 2, .parent = a.run, .epoch = 1,
        .status = STATUS_SUCCEEDED);
    assert_int_equal(world_told_error(w, other, "does not drive"), REFUSAL_HELD_BY_OTHER);
    SAY(w, anna, "anna", parent_end, .req = 2, .parent = a.run, .epoch = 1, .status = STATUS_COUNT);
    assert_int_equal(world_told_error(w, anna, "status"), REFUSAL_MALFORMED);
    SAY(w, anna, "anna", parent_end, .req = 3, .parent = a.run, .epoch = 1,
        .status = STATUS_SUCCEEDED, .report = span_str("{}"));
    const struct world_logged *l = SENT(w, anna, DONE, done, &done);
    assert_int_equal(l->effect.rests_on, w->lsn);
    SAY(w, anna, "anna", parent_end, .req = 4, .parent = a.run, .epoch = 1,
        .status = STATUS_SUCCEEDED);
    SENT(w, anna, DONE, done, &done);
    assert_int_equal(world_records_of(w, KIND_R_PARENT_ENDED), 1);
    begin(w, anna, 5, &d, true);
    struct m_accepted b;
    SENT(w, anna, ACCEPTED, accepted, &b);
    assert_true(b.duplicate && id_eq(b.run, a.run));
    SAY(w, anna, "anna", parent_drive, .req = 6, .parent = a.run);
    assert_int_equal(world_told_error(w, anna, "has ended"), REFUSAL_STATE);
    SAY(w, anna, "anna", parent_drive, .req = 7, .parent = world_id(9));
    assert_int_equal(world_told_error(w, anna, "no live parent"), REFUSAL_UNKNOWN_RUN);
    SAY(w, anna, "anna", parent_end, .req = 8, .parent = world_id(9), .epoch = 1);
    assert_int_equal(world_told_error(w, anna, "no live parent"), REFUSAL_UNKNOWN_RUN);
}

static void the_epoch_grows_over_a_restart(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct d_parent d = parent_of("p");
    struct m_accepted a;
    struct m_driving g;
    begin(w, anna, 1, &d, true);
    SENT(w, anna, ACCEPTED, accepted, &a);
    world_restart(w);
    anna = world_caller_up(w, "anna");
    SAY(w, anna, "anna", parent_drive, .req = 1, .parent = a.run);
    SENT(w, anna, DRIVING, driving, &g);
    assert_int_equal(g.epoch, 2);
    assert_true(g.resumed);
}

static void bad_parents_are_refused(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct d_parent d = parent_of("");
    begin(w, anna, 1, &d, false);
    assert_int_equal(world_told_error(w, anna, "key is empty"), REFUSAL_MALFORMED);
    d = parent_of("p");
    d.caller = span_str("bert");
    begin(w, anna, 1, &d, false);
    assert_int_equal(world_told_error(w, anna, "bert"), REFUSAL_DENIED);
    d = parent_of("p");
    d.cluster = span_str("other");
    begin(w, anna, 1, &d, false);
    assert_int_equal(world_told_error(w, anna, "other"), REFUSAL_DENIED);
    SAY(w, anna, "anna", parent_begin, .req = 1, .parent = span_str("x"));
    assert_int_equal(world_told_error(w, anna, ""), REFUSAL_MALFORMED);
    world_step(w, (struct bcore_event){.kind = BCORE_STORE_FULL});
    d = parent_of("p");
    begin(w, anna, 1, &d, false);
    assert_int_equal(world_told_error(w, anna, "disk is full"), REFUSAL_BUSY);
}

static void the_end_of_a_parent_is_reported_only_once_it_is_on_disk(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), other = world_caller_up(w, "anna");
    struct d_parent d = parent_of("p");
    struct m_accepted a;
    struct m_error e;
    begin(w, anna, 1, &d, true);
    SENT(w, anna, ACCEPTED, accepted, &a);
    SAY(w, anna, "anna", parent_end, .req = 2, .parent = a.run, .epoch = 1,
        .status = STATUS_FAILED);
    SAY(w, other, "anna", parent_drive, .req = 3, .parent = a.run);
    const struct world_logged *l = SENT(w, other, ERROR, error, &e);
    assert_int_equal(e.code, REFUSAL_STATE);
    assert_int_equal(l->effect.rests_on, w->lsn);
    d.tasks = 9;
    begin(w, other, 4, &d, false);
    l = SENT(w, other, ERROR, error, &e);
    assert_int_equal(e.code, REFUSAL_CONFLICT);
    assert_int_equal(l->effect.rests_on, w->lsn);
}

static void the_end_of_a_forgotten_parent_is_reported_once_it_is_on_disk(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct m_accepted a, b;
    struct m_error e;
    struct d_parent d = parent_of("p");
    begin(w, anna, 1, &d, true);
    SENT(w, anna, ACCEPTED, accepted, &a);
    SAY(w, anna, "anna", parent_end, .req = 2, .parent = a.run, .epoch = 1,
        .status = STATUS_FAILED);
    uint64_t end = w->lsn;
    d = parent_of("q");
    begin(w, anna, 3, &d, true);
    SENT(w, anna, ACCEPTED, accepted, &b);
    SAY(w, anna, "anna", parent_end, .req = 4, .parent = b.run, .epoch = 1,
        .status = STATUS_FAILED);
    SAY(w, anna, "anna", parent_drive, .req = 5, .parent = a.run); /* memory keeps one end */
    const struct world_logged *l = SENT(w, anna, ERROR, error, &e);
    assert_int_equal(e.code, REFUSAL_UNKNOWN_RUN);
    assert_int_equal(l->effect.rests_on, end);
    SAY(w, anna, "anna", cancel, .req = 6, .run = a.run);
    l = SENT(w, anna, ERROR, error, &e);
    assert_int_equal(e.code, REFUSAL_UNKNOWN_RUN);
    assert_int_equal(l->effect.rests_on, end);
}

static int setup_forgetful(void **state)
{
    int rc = world_setup(state);
    struct core_world *w = *state;
    bcore_free(&w->core);
    w->config.kept_max = 1;
    w->core = world_replayed(w);
    world_begin(w);
    return rc;
}

/* ---- What is below a parent */
static enum refusal child_of(struct core_world *w, uint64_t peer, const char *name, struct d_call d,
                             const char *part)
{
    d.caller = span_str(name);
    d.task = span_str("extract");
    world_log_clear(w);
    world_call_with(w, peer, 9, &d, 0);
    return part ? world_told_error(w, peer, part)
                : (assert_non_null(world_find_sent(w, peer, KIND_M_ACCEPTED)), REFUSAL_NONE);
}

static void only_its_driver_starts_children_of_a_parent(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), other = world_caller_up(w, "anna"),
             bert = world_caller_up(w, "bert");
    struct d_call d = world_call_of("k1"), forged = world_call_of("f");
    d.parent = forged.parent = world_parent(w, anna, "anna", "p");
    assert_int_equal(child_of(w, anna, "anna", d, NULL), REFUSAL_NONE);
    assert_int_equal(child_of(w, bert, "bert", forged, "is driven by another session, of 'anna'"),
                     REFUSAL_DENIED);
    d.key = span_str("k2");
    assert_int_equal(child_of(w, other, "anna", d, "another session"), REFUSAL_HELD_BY_OTHER);
    d.index = 8 + LIMIT_SERVERS;
    assert_int_equal(child_of(w, anna, "anna", d, "has 8 tasks"), REFUSAL_DENIED);
    d.index = 0;
    forged.parent = world_id(9);
    assert_int_equal(child_of(w, anna, "anna", forged, "is not known"), REFUSAL_DENIED);
    world_down(w, anna); /* its next session may call before it takes the lease again */
    assert_int_equal(child_of(w, other, "anna", d, NULL), REFUSAL_NONE);
    forged.parent = d.parent;
    assert_int_equal(child_of(w, bert, "bert", forged, "is driven by 'anna'"), REFUSAL_DENIED);
    world_restart(w);
    bert = world_caller_up(w, "bert");
    assert_int_equal(child_of(w, bert, "bert", forged, "is driven by 'anna'"), REFUSAL_DENIED);
    assert_int_equal(world_records_of(w, KIND_R_CALLED), 2);
}

static void after_a_takeover_the_old_driver_starts_nothing_new(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), bert = world_caller_up(w, "bert");
    struct d_call d = world_call_of("k1");
    struct m_accepted a;
    d.parent = world_parent(w, anna, "anna", "p");
    assert_int_equal(child_of(w, anna, "anna", d, NULL), REFUSAL_NONE);
    world_down(w, anna);
    SAY(w, bert, "bert", parent_drive, .req = 1, .parent = d.parent);
    anna = world_caller_up(w, "anna");
    assert_int_equal(child_of(w, anna, "anna", d, NULL), REFUSAL_NONE); /* a repeat is answered */
    SENT(w, anna, ACCEPTED, accepted, &a);
    assert_true(a.duplicate);
    d.key = span_str("k2");
    assert_int_equal(child_of(w, anna, "anna", d, "of 'bert'"), REFUSAL_HELD_BY_OTHER);
    assert_int_equal(child_of(w, bert, "bert", d, NULL), REFUSAL_NONE);
    SAY(w, bert, "bert", parent_end, .req = 2, .parent = d.parent, .epoch = 2);
    d.key = span_str("k3");
    assert_int_equal(child_of(w, bert, "bert", d, "has ended"), REFUSAL_DENIED);
}

static void a_parent_below_another_is_begun_by_its_driver(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), other = world_caller_up(w, "anna");
    struct d_parent d = parent_of("inner");
    d.parent = world_parent(w, anna, "anna", "outer");
    begin(w, other, 1, &d, true);
    assert_int_equal(world_told_error(w, other, "another session"), REFUSAL_HELD_BY_OTHER);
    world_log_clear(w);
    begin(w, anna, 2, &d, true);
    assert_non_null(world_find_sent(w, anna, KIND_M_ACCEPTED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_parent_starts_durably_and_once),
        in_world(two_drivers_never_drive_at_the_same_time),
        in_world(a_parent_is_ended_once_and_only_by_its_driver),
        in_world(the_epoch_grows_over_a_restart),
        in_world(bad_parents_are_refused),
        in_world(the_end_of_a_parent_is_reported_only_once_it_is_on_disk),
        cmocka_unit_test_setup_teardown(
            the_end_of_a_forgotten_parent_is_reported_once_it_is_on_disk, setup_forgetful,
            world_teardown),
        in_world(only_its_driver_starts_children_of_a_parent),
        in_world(after_a_takeover_the_old_driver_starts_nothing_new),
        in_world(a_parent_below_another_is_begun_by_its_driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
