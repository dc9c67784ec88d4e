#include "broker/shell/gate.h"

#include "common/testing.h"

struct left {
    struct gate *gate;
    char text[200];
    uint64_t forget;
    uint64_t asked[8];
    unsigned n_asked;
};

static void leave(void *self, const struct bcore_effect *e)
{
    struct left *l = self;
    size_t n = strlen(l->text);
    snprintf(l->text + n, sizeof l->text - n, "%llu:" SPAN_FMT " ", (unsigned long long)e->peer,
             SPAN_ARG(e->body));
    if (l->forget)
        gate_forget(l->gate, l->forget);
}

static void fetch(void *self, const struct bcore_effect *e, uint64_t number)
{
    struct left *l = self;
    assert_int_equal(e->kind, BCORE_FX_EXECUTE);
    l->asked[l->n_asked++] = number;
}

/* An EXECUTE whose call must be fetched. */
static void put_execute(struct left *l, uint64_t peer, uint64_t rests_on)
{
    gate_put(l->gate, &(struct bcore_effect){.kind = BCORE_FX_EXECUTE,
                                             .peer = peer,
                                             .rests_on = rests_on,
                                             .body = span_str("without")});
}

static void put(struct left *l, uint64_t peer, uint64_t rests_on, const char *body)
{
    gate_put(l->gate,
             &(struct bcore_effect){.peer = peer, .rests_on = rests_on, .body = span_str(body)});
}

static void an_effect_leaves_once_its_record_is_on_disk(void **state)
{
    (void)state;
    struct left l = {0};
    l.gate = gate_new(leave, fetch, &l);
    put(&l, 1, 5, "a");
    put(&l, 1, 0, "b"); /* does not overtake */
    put(&l, 2, 0, "c");
    assert_string_equal(l.text, "2:c ");
    gate_committed(l.gate, 4);
    assert_string_equal(l.text, "2:c ");
    gate_committed(l.gate, 5);
    assert_string_equal(l.text, "2:c 1:a 1:b ");
    put(&l, 1, 5, "d");
    assert_string_equal(l.text, "2:c 1:a 1:b 1:d ");
    assert_int_equal(gate_waiting(l.gate), 0);
    gate_free(&l.gate);
}

static void an_effect_waits_for_those_put_before_it(void **state)
{
    (void)state;
    struct left l = {0};
    l.gate = gate_new(leave, fetch, &l);
    put(&l, 1, 9, "a");
    put(&l, 1, 3, "b");
    put(&l, 2, 3, "c");
    gate_committed(l.gate, 3);
    assert_string_equal(l.text, "2:c ");
    gate_committed(l.gate, 9);
    assert_string_equal(l.text, "2:c 1:a 1:b ");
    gate_free(&l.gate);
}

static void nothing_leaves_for_a_peer_that_has_gone(void **state)
{
    (void)state;
    struct left l = {0};
    l.gate = gate_new(leave, fetch, &l);
    put(&l, 1, 3, "a");
    put(&l, 1, 3, "b");
    gate_forget(l.gate, 1);
    gate_committed(l.gate, 3);
    assert_string_equal(l.text, "");
    put(&l, 2, 4, "c");
    put(&l, 2, 4, "d");
    l.forget = 2; /* while its effects are leaving */
    gate_committed(l.gate, 4);
    assert_string_equal(l.text, "2:c ");
    assert_int_equal(gate_waiting(l.gate), 0);
    gate_free(&l.gate);
}

static void a_fetch_starts_at_once_and_its_effect_leaves_in_turn(void **state)
{
    (void)state;
    struct left l = {0};
    l.gate = gate_new(leave, fetch, &l);
    put_execute(&l, 1, 5);
    put_execute(&l, 1, 6);
    put(&l, 1, 6, "stop");
    put(&l, 2, 0, "other");
    assert_int_equal(l.n_asked, 2); /* both at the same time, before the commit */
    gate_filled(l.gate, 1, l.asked[1], span_str("b"));
    gate_committed(l.gate, 6);
    assert_string_equal(l.text, "2:other "); /* the second does not overtake the first */
    gate_filled(l.gate, 1, l.asked[0], span_str("a"));
    assert_string_equal(l.text, "2:other 1:a 1:b 1:stop ");
    assert_int_equal(gate_waiting(l.gate), 0);
    gate_free(&l.gate);
}

static void an_effect_filled_early_waits_for_its_record(void **state)
{
    (void)state;
    struct left l = {0};
    l.gate = gate_new(leave, fetch, &l);
    put_execute(&l, 1, 5);
    gate_filled(l.gate, 1, l.asked[0], span_str("a"));
    gate_filled(l.gate, 1, l.asked[0], span_str("again"));
    assert_string_equal(l.text, "");
    gate_committed(l.gate, 5);
    assert_string_equal(l.text, "1:a ");
    put_execute(&l, 1, 5); /* already on disk, but without the call */
    assert_string_equal(l.text, "1:a ");
    gate_filled(l.gate, 1, l.asked[1], span_str("b"));
    assert_string_equal(l.text, "1:a 1:b ");
    gate_free(&l.gate);
}

static void a_fetch_for_a_gone_peer_is_ignored_and_an_empty_one_drops(void **state)
{
    (void)state;
    struct left l = {0};
    l.gate = gate_new(leave, fetch, &l);
    put_execute(&l, 1, 0);
    gate_forget(l.gate, 1);
    gate_filled(l.gate, 1, l.asked[0], span_str("a"));
    assert_string_equal(l.text, "");
    put_execute(&l, 2, 0);
    put(&l, 2, 0, "b");
    gate_filled(l.gate, 2, l.asked[1], SPAN_NONE);
    assert_string_equal(l.text, "2:b ");
    put_execute(&l, 3, 0);
    put(&l, 3, 0, "d");
    l.forget = 3; /* while it is leaving */
    gate_filled(l.gate, 3, l.asked[2], span_str("c"));
    assert_string_equal(l.text, "2:b 3:c ");
    assert_int_equal(gate_waiting(l.gate), 0);
    gate_free(&l.gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_effect_leaves_once_its_record_is_on_disk),
        cmocka_unit_test(an_effect_waits_for_those_put_before_it),
        cmocka_unit_test(nothing_leaves_for_a_peer_that_has_gone),
        cmocka_unit_test(a_fetch_starts_at_once_and_its_effect_leaves_in_turn),
        cmocka_unit_test(an_effect_filled_early_waits_for_its_record),
        cmocka_unit_test(a_fetch_for_a_gone_peer_is_ignored_and_an_empty_one_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
