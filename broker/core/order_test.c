#include "broker/core/order.h"

#include "common/mem.h"
#include "common/testing.h"

enum { MANY = 100000 };

static uint64_t mixed(uint64_t n)
{
    n = (n ^ n >> 31) * 0x9E3779B97F4A7C15u;
    return (n ^ n >> 29) * 0xBF58476D1CE4E5B9u;
}

static struct id id_of(uint32_t n)
{
    struct id id = {{0}};
    for (unsigned i = 0; i < 4; i++)
        id.b[i] = (uint8_t)(n >> (24 - 8 * i));
    return id;
}

static struct order_node *nodes_of(uint32_t n)
{
    struct order_node *v = mem_zalloc(n, sizeof *v);
    for (uint32_t i = 0; i < n; i++) {
        v[i].id = id_of(i + 1);
        v[i].rank = mixed(i + 1);
    }
    return v;
}

static void items_are_found_in_order_while_others_come_and_go(void **state)
{
    enum { N = 300 };
    struct order_node *v = nodes_of(N), *set = NULL;
    bool in[N] = {0};
    (void)state;
    for (uint64_t turn = 1; turn < 20000; turn++) {
        uint32_t i = (uint32_t)(mixed(turn) >> 33) % N;
        if (in[i])
            order_remove(&set, &v[i]);
        else
            order_add(&set, &v[i]);
        in[i] = !in[i];
        if (turn % 97)
            continue;
        for (uint32_t k = 0; k <= N; k++) {
            uint32_t next = k;
            while (next < N && !in[next])
                next++;
            assert_ptr_equal(order_after(set, id_of(k)), next < N ? &v[next] : NULL);
            uint32_t last = k;
            while (last > 0 && !in[last - 1])
                last--;
            assert_ptr_equal(order_before(set, id_of(k + 1)), last > 0 ? &v[last - 1] : NULL);
        }
    }
    mem_free(&v);
}

/* As order_after does; one step for each node that it meets. */
static unsigned steps_to(const struct order_node *n, struct id id)
{
    unsigned steps = 0;
    for (; n; steps++)
        n = id_cmp(n->id, id) > 0 ? n->less : n->more;
    return steps;
}

static void a_step_to_the_next_of_very_many_meets_few_of_them(void **state)
{
    struct order_node *v = nodes_of(MANY), *set = NULL;
    (void)state;
    for (uint32_t i = 0; i < MANY; i++) /* ids grow with the time, the worst for a plain tree */
        order_add(&set, &v[i]);
    for (uint32_t i = 0; i <= MANY; i++)
        assert_in_range(steps_to(set, id_of(i)), 1, 64);
    mem_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_found_in_order_while_others_come_and_go),
        cmocka_unit_test(a_step_to_the_next_of_very_many_meets_few_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
