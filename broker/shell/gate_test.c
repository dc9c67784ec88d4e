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

static void an_effect_leaves_when_its_record_is_on_disk(void **state)
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

static void an_effect_behind_a_later_record_waits_for_that(void **state)
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

static void nothing_leaves_for_a_peer_that_is_gone(void **state)
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
    l.forget = 2; /* while its effects leave */
    gate_committed(l.gate, 4);
    assert_string_equal(l.text, "2:c ");
    assert_int_equal(gate_waiting(l.gate), 0);
    gate_free(&l.gate);
}

static void what_is_to_be_fetched_is_asked_for_at_once_and_leaves_in_its_turn(void **state)
{
    (void)state;
    struct left l = {0};
    l.gate = gate_new(leave, fetch, &l);
    put_execute(&l, 1, 5);
    put_execute(&l, 1, 6);
    put(&l, 1, 6, "stop");
    put(&l, 2, 0, "other");
    assert_int_equal(l.n_asked, 2); /* side by side, and before the commit */
    gate_filled(l.gate, 1, l.asked[1], span_str("b"));
    gate_committed(l.gate, 6);
    assert_string_equal(l.text, "2:other "); /* the second does not overtake the first */
    gate_filled(l.gate, 1, l.asked[0], span_str("a"));
    assert_string_equal(l.text, "2:other 1:a 1:b 1:stop ");
    assert_int_equal(gate_waiting(l.gate), 0);
    gate_free(&l.gate);
}

static void what_is_filled_early_waits_for_its_record(void **state)
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
    put_execute(&l, 1, 5); /* on disk already: the call is missing still */
    assert_string_equal(l.text, "1:a ");
    gate_filled(l.gate, 1, l.asked[1], span_str("b"));
    assert_string_equal(l.text, "1:a 1:b ");
    gate_free(&l.gate);
}

static void an_answer_for_a_peer_that_is_gone_finds_nobody_and_an_empty_one_drops(void **state)
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
    l.forget = 3; /* while it leaves */
    gate_filled(l.gate, 3, l.asked[2], span_str("c"));
    assert_string_equal(l.text, "2:b 3:c ");
    assert_int_equal(gate_waiting(l.gate), 0);
    gate_free(&l.gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_effect_leaves_when_its_record_is_on_disk),
        cmocka_unit_test(an_effect_behind_a_later_record_waits_for_that),
        cmocka_unit_test(nothing_leaves_for_a_peer_that_is_gone),
        cmocka_unit_test(what_is_to_be_fetched_is_asked_for_at_once_and_leaves_in_its_turn),
        cmocka_unit_test(what_is_filled_early_waits_for_its_record),
        cmocka_unit_test(an_answer_for_a_peer_that_is_gone_finds_nobody_and_an_empty_one_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
