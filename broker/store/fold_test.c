/* fold_test.c - promise 5 for the store: whatever was folded, and whenever, a load gives the same
 * state. A real core lives through random events, and its records go into the store, which folds in
 * between; then another core is loaded from it. */
#include "broker/store/testlife.h"

/* Opens the store and compares what it loads with the live core. */
static void open_and_compare(struct core_world *w, struct life_store *s)
{
    struct error err = {0};
    struct hash live, loaded;
    struct bcore *c = bcore_new(&w->config);
    struct store_options o = {
        .path = s->path, .no_pregrow = true, .reserve_bytes = 1, .now = w->wall};
    if (store_open(&s->store, &o, &err) < 0 || store_load(s->store, life_check_loaded, c, &err) < 0)
        fail_msg("%s", err.text);
    bcore_digest(w->core, &live);
    bcore_digest(c, &loaded);
    if (w->journal.n)
        assert_memory_equal(live.b, loaded.b, sizeof live.b);
    bcore_free(&c);
    s->committed = store_committed(s->store);
    assert_int_equal(
        store_start(s->store, &(struct store_calls){s, life_on_committed, life_on_full}, &err), 0);
}

static void a_load_after_folding_gives_the_same_state(void **state)
{
    struct core_world *w = *state;
    void *folder;
    assert_int_equal(testing_folder(&folder), 0);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct life_store s = {
            .path = mem_printf("%s/%llu.db", (char *)folder, (unsigned long long)seed)};
        struct store_life l = {.w = w, .chance = {seed * 2654435761u}};
        struct error err = {0};
        life_begin_sessions(&l);
        assert_int_equal(store_open(&s.store,
                                    &(struct store_options){
                                        .path = s.path, .no_pregrow = true, .reserve_bytes = 1},
                                    &err),
                         0);
        assert_int_equal(store_load(s.store, life_check_loaded, NULL, &err), 0);
        assert_int_equal(
            store_start(s.store, &(struct store_calls){&s, life_on_committed, life_on_full}, &err),
            0);
        for (unsigned act = 0; act < 300; act++) {
            life_act(&l);
            life_append(w, &s);
            if (life_below(&l.chance, 10) == 0)
                life_fold_all(&s);
            if (life_below(&l.chance, 60) == 0) {
                store_close(&s.store);
                open_and_compare(w, &s);
            }
        }
        store_close(&s.store); /* folds everything */
        open_and_compare(w, &s);
        store_close(&s.store);
        mem_free(&s.path);
        for (unsigned i = 0; i < 2; i++)
            world_down(w, l.worker[i]);
        world_down(w, l.caller);
        world_pass(w, 1000000);
    }
    testing_folder_end(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_load_after_folding_gives_the_same_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
