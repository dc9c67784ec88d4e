#include "broker/gate.h"

#include "common/testing.h"

struct left {
    struct gate *gate;
    char text[200];
    uint64_t forget;
};

static void leave(void *self, const struct bcore_effect *e)
{
    struct left *l = self;
    size_t n = strlen(l->text);
    snprintf(l->text + n, sizeof l->text - n, "%llu:" SPAN_FMT " ", (unsigned long long)e->peer, SPAN_ARG(e->body));
    if (l->forget)
        gate_forget(l->gate, l->forget);
}

static void put(struct left *l, uint64_t peer, uint64_t rests_on, const char *body)
{
    gate_put(l->gate, &(struct bcore_effect){.peer = peer, .rests_on = rests_on, .body = span_str(body)});
}

static void an_effect_leaves_when_its_record_is_on_disk(void **state)
{
    (void)state;
    struct left l = {0};
    l.gate = gate_new(leave, &l);
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
    l.gate = gate_new(leave, &l);
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
    l.gate = gate_new(leave, &l);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_effect_leaves_when_its_record_is_on_disk),
        cmocka_unit_test(an_effect_behind_a_later_record_waits_for_that),
        cmocka_unit_test(nothing_leaves_for_a_peer_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
