#include "common/heap.h"
#include "common/testing.h"

static uint32_t chance(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void check_order(const struct heap *h)
{
    for (size_t i = 0; i < h->n; i++) {
        assert_int_equal(h->v[i]->at, i + 1);
        if (i)
            assert_true(h->v[(i - 1) / 2]->key <= h->v[i]->key);
    }
}

static void an_empty_heap_has_no_minimum(void **state)
{
    (void)state;
    struct heap h = {0};
    assert_null(heap_peek(&h));
    assert_null(heap_pop(&h));
    heap_free(&h);
}

static void nodes_come_out_in_order(void **state)
{
    (void)state;
    struct heap h = {0};
    struct heap_node node[500] = {0};
    uint32_t seed = 4711;
    for (int i = 0; i < 500; i++) {
        heap_insert(&h, &node[i], chance(&seed) % 100, (uint64_t)i);
        check_order(&h);
    }
    const struct heap_node *last = NULL;
    for (int i = 0; i < 500; i++) {
        struct heap_node *n = heap_pop(&h);
        assert_false(heap_holds(n));
        assert_true(!last || last->key < n->key || (last->key == n->key && last->tie < n->tie));
        last = n;
        check_order(&h);
    }
    assert_null(heap_pop(&h));
    heap_free(&h);
}

static void any_node_can_be_moved_or_removed(void **state)
{
    (void)state;
    struct heap h = {0};
    struct heap_node node[64] = {0};
    uint32_t seed = 1;
    size_t in = 0;
    for (int i = 0; i < 20000; i++) {
        struct heap_node *n = &node[chance(&seed) % 64];
        bool held = heap_holds(n);
        if (chance(&seed) % 2) {
            heap_change(&h, n, chance(&seed) % 1000);
            in += !held;
        } else {
            heap_remove(&h, n);
            in -= held;
        }
        assert_int_equal(h.n, in);
        check_order(&h);
    }
    heap_free(&h);
}

static void the_tie_decides_between_equal_keys(void **state)
{
    (void)state;
    struct heap h = {0};
    struct heap_node a = {0}, b = {0}, c = {0};
    heap_insert(&h, &c, 5, 3);
    heap_insert(&h, &a, 5, 1);
    heap_insert(&h, &b, 5, 2);
    assert_ptr_equal(heap_pop(&h), &a);
    assert_ptr_equal(heap_pop(&h), &b);
    assert_ptr_equal(heap_pop(&h), &c);
    heap_free(&h);
}

static void the_struct_that_embeds_a_node_is_found(void **state)
{
    (void)state;
    struct lease {
        int x;
        struct heap_node timer;
    } lease = {.x = 7};
    struct heap h = {0};
    heap_insert(&h, &lease.timer, 1, 0);
    assert_int_equal(heap_entry(heap_peek(&h), struct lease, timer)->x, 7);
    heap_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_heap_has_no_minimum),
        cmocka_unit_test(nodes_come_out_in_order),
        cmocka_unit_test(any_node_can_be_moved_or_removed),
        cmocka_unit_test(the_tie_decides_between_equal_keys),
        cmocka_unit_test(the_struct_that_embeds_a_node_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
