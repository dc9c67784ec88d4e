/* CALL: accepted once for each key, refused with a sentence. */
#include "broker/core/testing.h"

static void a_call_is_accepted_only_once_its_record_is_on_disk(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("k");
    struct m_accepted a;
    world_call_with(w, anna, 7, &d, 0);
    const struct world_logged *l = SENT(w, anna, ACCEPTED, accepted, &a);
    assert_int_equal(a.req, 7);
    assert_false(a.duplicate);
    assert_int_equal(world_records_of(w, KIND_R_CALLED), 1);
    assert_int_equal(l->effect.rests_on, w->lsn);
    struct view_run v;
    assert_true(view_run(w->core, &a.run, &v));
    assert_string_equal(v.job, "load");
    assert_string_equal(v.address, "etl");
    assert_string_equal(v.principal, "anna");
    assert_true(span_eq(v.call, world_called_bytes(w, a.run)) && v.call.n > 0);
}

static void the_same_key_never_makes_a_second_run(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    struct m_accepted a;
    struct d_call d = world_call_of("k");
    world_call_with(w, anna, 8, &d, 2);
    const struct world_logged *l = SENT(w, anna, ACCEPTED, accepted, &a);
    assert_true(a.duplicate);
    assert_true(id_eq(a.run, run));
    assert_true(l->effect.rests_on > 0);
    struct m_run_state s;
    SENT(w, anna, RUN_STATE, run_state, &s);
    assert_int_equal(s.state, RUN_PARKED);
    assert_int_equal(world_records_of(w, KIND_R_CALLED), 1);
    world_restart(w);
    anna = world_caller_up(w, "anna");
    world_call_with(w, anna, 9, &d, 0);
    SENT(w, anna, ACCEPTED, accepted, &a);
    assert_true(id_eq(a.run, run));
    assert_int_equal(world_records_of(w, KIND_R_CALLED), 1);
}

static void the_key_of_an_ended_run_still_answers(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "k");
    struct d_call d = world_call_of("k");
    struct m_accepted a;
    world_succeed(w, wh1, "wh1", run, 1, 5);
    for (unsigned i = 0; i < 2; i++) {
        world_log_clear(w);
        world_call_with(w, anna, 8, &d, 1);
        SENT(w, anna, ACCEPTED, accepted, &a);
        assert_true(a.duplicate);
        assert_true(id_eq(a.run, run));
        const struct world_logged *l =
            world_find_lookup(w, BCORE_FX_LOOKUP); /* its end is in the history */
        assert_non_null(l);
        assert_true(id_eq(l->effect.run, run));
        assert_int_equal(l->effect.req, 8);
        assert_true(l->effect.rests_on > 0);
        world_restart(w);
        anna = world_caller_up(w, "anna");
    }
}

static void the_same_key_with_another_body_is_a_conflict(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1;
    struct d_call d = world_call_of("k");
    struct id run = world_call(w, anna, "k");
    d.priority = 3;
    world_call_with(w, anna, 8, &d, 0);
    assert_int_equal(world_told_error(w, anna, "belongs to run"), REFUSAL_CONFLICT);
    wh1 = world_worker_up(w, "wh1", 1);
    world_succeed(w, wh1, "wh1", run, 1, 5);
    world_call_with(w, anna, 9, &d, 0);
    assert_int_equal(world_told_error(w, anna, "whose call was different"), REFUSAL_CONFLICT);
    assert_int_equal(world_records_of(w, KIND_R_CALLED), 1);
}

static void two_principals_may_use_the_same_key(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), bert = world_caller_up(w, "bert");
    struct d_call d = world_call_of("k");
    struct id a = world_call(w, anna, "k"), b;
    d.caller = span_str("bert");
    b = world_call_d(w, bert, d);
    assert_false(id_eq(a, b));
}

static void bad_calls_are_refused_with_a_sentence(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct buf items = {0};
    wire_add_str(&items, span_str("lock"));
    const struct {
        struct d_call d;
        enum refusal code;
        const char *part;
    } bad[] = {
#define BAD(code, part, ...) \
    {({ \
         struct d_call d = world_call_of("k"); \
         __VA_ARGS__; \
         d; \
     }), \
     REFUSAL_##code, part}
        BAD(UNKNOWN_PRINCIPAL, "is for cluster 'other'", d.cluster = span_str("other")),
        BAD(DENIED, "signed by 'bert'", d.caller = span_str("bert")),
        BAD(MALFORMED, "key is empty", d.key = SPAN_NONE),
        BAD(MALFORMED, "invalid job name", d.job = span_str("a b")),
        BAD(MALFORMED, "invalid address", d.address = span_str("")),
        BAD(MALFORMED, "on_lost", d.on_lost = 9),
        BAD(MALFORMED, "neither a job hash", d.job_hash = world_hash(0)),
        BAD(MALFORMED, "as_of", d.as_of = span_str("yesterday")),
        BAD(MALFORMED, "as_of", d.as_of = span_str("2026-11-21T09:13:55")),
        BAD(MALFORMED, "never expires", d.expires = 0),
        BAD(MALFORMED, "a parent and no task", d.parent = world_id(1)),
        BAD(BAD_ARGUMENT, "no semaphores", d.semaphores = wire_list_from(&items, 1)),
        BAD(EXPIRED, "expired 5 s ago", d.expires = WORLD_WALL - 5000),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf *body = world_scratch(w);
        d_call_encode(&bad[i].d, body);
        SAY(w, anna, "anna", call, .req = 3, .call = world_wrapped(w, buf_span(body), "anna"));
        assert_int_equal(world_told_error(w, anna, bad[i].part), bad[i].code);
    }
    SAY(w, anna, "anna", call, .req = 3, .call = span_str("no document"));
    assert_int_equal(world_told_error(w, anna, ""), REFUSAL_MALFORMED);
    assert_int_equal(world_records_of(w, KIND_R_CALLED), 0);
    buf_free(&items);
}

static void a_duplicate_of_an_expired_call_still_gets_its_run(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct d_call d = world_call_of("k");
    struct m_accepted a;
    d.expires = w->wall + 1000;
    struct id run = world_call_d(w, anna, d);
    SAY(w, wh1, "wh1", started, .run = run, .attempt = 1, .step = span_str("s"));
    world_pass(w, 2000);
    world_call_with(w, anna, 2, &d, 0);
    SENT(w, anna, ACCEPTED, accepted, &a);
    assert_true(id_eq(a.run, run));
}

static void a_call_that_no_server_can_take_is_parked_and_says_so_at_once(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("k");
    struct m_run_state s;
    char text[LIMIT_TEXT];
    world_worker_up(w, "wh1", 1);
    d.job = span_str("lod");
    world_call_with(w, anna, 1, &d, 1);
    SENT(w, anna, RUN_STATE, run_state, &s);
    assert_int_equal(s.state, RUN_PARKED);
    span_copy_str(s.text, text, sizeof text);
    assert_contains(text, "wh1: it does not have job 'lod'");
    d = world_call_of("k2");
    d.address = span_str("wh2");
    world_call_with(w, anna, 2, &d, 1);
    SENT(w, anna, RUN_STATE, run_state, &s);
    span_copy_str(s.text, text, sizeof text);
    assert_contains(text, "did you mean 'wh1'?");
}

static void overload_answers_busy_with_a_time(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("x");
    struct m_error e;
    world_step(w, (struct bcore_event){.kind = BCORE_STORE_FULL});
    world_call_with(w, anna, 1, &d, 0);
    SENT(w, anna, ERROR, error, &e);
    assert_int_equal(e.code, REFUSAL_BUSY);
    assert_true(e.retry_ms >= BUSY_RETRY_MS && e.retry_ms < 2 * BUSY_RETRY_MS);
    world_step(w, (struct bcore_event){.kind = BCORE_STORE_OK});
    world_call(w, anna, "x");
    /* First few runs, then little memory. */
    w->config.max_runs = 1;
    world_restart(w);
    anna = world_caller_up(w, "anna");
    d = world_call_of("y");
    world_call_with(w, anna, 1, &d, 0);
    assert_int_equal(world_told_error(w, anna, "1 runs are live"), REFUSAL_BUSY);
    world_call(w, anna, "x"); /* a known key is answered nevertheless */
    w->config.max_runs = 100;
    w->config.memory_budget = 6000;
    world_restart(w);
    anna = world_caller_up(w, "anna");
    unsigned taken = 0;
    char key[16];
    for (unsigned i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "m%u", i);
        d = world_call_of(key);
        world_call_with(w, anna, 1, &d, 0);
        if (!world_find_sent(w, anna, KIND_M_ERROR))
            taken++;
    }
    assert_int_equal(world_told_error(w, anna, "memory, which is its share"), REFUSAL_BUSY);
    struct view_counts counts;
    view_counts(w->core, &counts);
    assert_true(taken >= 1 && counts.memory <= 6000);
}

static void a_further_call_of_200_byte_parameters_costs_less_than_1_kib(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("k");
    struct buf map = {0};
    struct view_counts counts;
    char value[190];
    memset(value, 'v', sizeof value);
    value_add_str(&map, span_str("table"));
    value_add_str(&map, span_of(value, sizeof value));
    d.parameters = wire_list_from(&map, 1);
    world_call_d(w, anna, d); /* with its class */
    view_counts(w->core, &counts);
    uint64_t first = counts.memory;
    d.key = span_str("k2");
    world_call_d(w, anna, d);
    view_counts(w->core, &counts);
    assert_true(counts.memory - first < 1024);
    buf_free(&map);
}

static void a_forgotten_key_is_looked_up_in_the_store(void **state)
{
    struct core_world *w = *state;
    w->config.kept_max = 1;
    world_restart(w);
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id first = world_call(w, anna, "a");
    world_succeed(w, wh1, "wh1", first, 1, 5);
    struct d_call d = world_call_of("b");
    struct id second = world_call_d(w, anna, d);
    world_succeed(w, wh1, "wh1", second, 1, 5); /* now `a` is forgotten */
    world_log_clear(w);
    d = world_call_of("a");
    world_call_with(w, anna, 5, &d, 1);
    const struct world_logged *l = world_find_lookup(w, BCORE_FX_LOOKUP_KEY);
    assert_non_null(l);
    assert_int_equal(l->kind, KIND_M_CALL);
    /* not before the forgotten end is in the store */
    assert_int_equal(l->effect.rests_on, w->lsn);
    NOT_SENT(w, anna, ACCEPTED);
    /* The store has it: the same run. */
    struct bcore_known known = {.run = first};
    struct buf *body = world_scratch(w);
    struct m_accepted a;
    d_call_encode(&d, body);
    call_digest(buf_span(body), &known.digest);
    w->looked_up = true;
    w->known = &known;
    world_call_with(w, anna, 5, &d, 1);
    SENT(w, anna, ACCEPTED, accepted, &a);
    assert_true(a.duplicate && id_eq(a.run, first));
    assert_non_null(world_find_lookup(w, BCORE_FX_LOOKUP));
    d.priority = 1;
    world_call_with(w, anna, 6, &d, 0);
    assert_int_equal(world_told_error(w, anna, "whose call was different"), REFUSAL_CONFLICT);
    w->known = NULL; /* the store does not have it: a new run */
    d = world_call_of("c");
    world_call_with(w, anna, 7, &d, 0);
    SENT(w, anna, ACCEPTED, accepted, &a);
    assert_false(a.duplicate);
    w->looked_up = false;
    world_log_clear(w);
    d = world_call_of("d"); /* no key like it was forgotten: no lookup */
    world_call_with(w, anna, 8, &d, 0);
    SENT(w, anna, ACCEPTED, accepted, &a);
    d = world_call_of("a"); /* signed long after all that is forgotten */
    d.issued_at = w->wall + 400000;
    world_call_with(w, anna, 9, &d, 0);
    NOT_SENT(w, anna, ACCEPTED);
    assert_non_null(world_find_lookup(w, BCORE_FX_LOOKUP_KEY));
}

static void a_key_forgotten_during_its_lookup_is_looked_up_again(void **state)
{
    struct core_world *w = *state;
    struct m_accepted a;
    w->config.kept_max = 1;
    w->left_out = 1; /* so every key is looked up */
    world_restart(w);
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    world_log_clear(w);
    struct d_call d = world_call_of("c");
    world_call_with(w, anna, 5, &d, 0);
    const struct world_logged *l = world_find_lookup(w, BCORE_FX_LOOKUP_KEY);
    assert_non_null(l);
    uint64_t asked = l->effect.rests_on;
    w->looked_up = true;
    world_call_with(w, anna, 6, &d, 0); /* another session of anna's was faster */
    SENT(w, anna, ACCEPTED, accepted, &a);
    world_succeed(w, wh1, "wh1", a.run, 1, 5);
    d = world_call_of("d");
    world_call_with(w, anna, 7, &d, 0);
    SENT(w, anna, ACCEPTED, accepted, &a);
    world_succeed(w, wh1, "wh1", a.run, 1, 5); /* `c` is forgotten as well */
    w->asked_at = asked;
    world_log_clear(w);
    d = world_call_of("c");
    world_call_with(w, anna, 5, &d, 0); /* the answer to the first question: there is no `c` */
    NOT_SENT(w, anna, ACCEPTED);
    assert_non_null(world_find_lookup(w, BCORE_FX_LOOKUP_KEY));
}

static void keys_are_forgotten_after_their_time(void **state)
{
    struct core_world *w = *state;
    struct view_counts counts;
    w->config.kept_ms = 1000;
    world_restart(w);
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "a");
    world_succeed(w, wh1, "wh1", run, 1, 5);
    assert_true(view_ended(w->core, &run));
    world_pass(w, 1500);
    struct id other = world_call(w, anna, "b");
    world_succeed(w, wh1, "wh1", other, 1, 5);
    assert_false(view_ended(w->core, &run));
    assert_true(view_ended(w->core, &other));
    view_counts(w->core, &counts);
    assert_int_equal(counts.kept, 1);
}

static void a_kept_row_replaces_the_records_of_an_ended_run(void **state)
{
    struct core_world *w = *state;
    struct bcore *c = bcore_new(&w->config);
    struct buf b = {0};
    struct error err = {0};
    struct d_call d = world_call_of("k");
    struct buf *body = world_scratch(w);
    struct r_kept k = {.at = 5,
                       .run = world_id(9),
                       .principal = span_str("anna"),
                       .key = span_str("k"),
                       .attempt = 1,
                       .reported = true};
    d_call_encode(&d, body);
    call_digest(buf_span(body), &k.digest);
    r_kept_encode(&k, &b);
    assert_int_equal(bcore_replay(c, 3, buf_span(&b), &err), 0);
    assert_true(view_ended(c, &k.run));
    assert_true(bcore_replay(c, 4, buf_span(&b), &err) < 0);
    assert_contains(err.text, "record 4");
    bcore_free(&w->core);
    w->core = c;
    buf_clear(&w->journal);
    uint64_t head[2] = {3, b.n};
    buf_add(&w->journal, head, sizeof head);
    buf_add(&w->journal, b.p, b.n);
    w->lsn = 3;
    world_begin(w);
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct m_accepted a;
    world_call_with(w, anna, 1, &d, 0);
    SENT(w, anna, ACCEPTED, accepted, &a);
    assert_true(a.duplicate && id_eq(a.run, k.run));
    world_log_clear(w);
    world_succeed(w, wh1, "wh1", k.run, 1, 5); /* already counted: the same answer, no record */
    struct m_recorded rec;
    SENT(w, wh1, RECORDED, recorded, &rec);
    assert_int_equal(world_records_of(w, KIND_R_EVIDENCE), 0);
    buf_free(&b);
}

static void list(struct core_world *w, const char *key, bool parent, bool last)
{
    struct bcore_ended_key k = {span_str("anna"), span_str(key), parent};
    world_step(
        w, (struct bcore_event){.kind = BCORE_ENDED_KEYS, .keys = &k, .n_keys = 1, .last = last});
}

static bool is_looked_up(struct core_world *w, uint64_t peer, const char *key)
{
    struct d_call d = world_call_of(key);
    world_log_clear(w);
    world_call_with(w, peer, 5, &d, 0);
    bool asked = world_find_lookup(w, BCORE_FX_LOOKUP_KEY) != NULL;
    assert_int_equal(world_count_sent(w, peer, KIND_M_ACCEPTED), !asked);
    return asked;
}

static void once_the_keys_before_the_start_are_listed_only_they_are_looked_up(void **state)
{
    struct core_world *w = *state;
    uint64_t anna, bert;
    w->left_out = 7;
    world_restart(w);
    anna = world_caller_up(w, "anna"), bert = world_caller_up(w, "bert");
    assert_true(is_looked_up(w, anna, "new"));
    list(w, "old", false, false);
    assert_true(is_looked_up(w, anna, "new")); /* there are more to come */
    list(w, "older", true, true);
    assert_false(is_looked_up(w, anna, "new"));
    assert_true(is_looked_up(w, anna, "old"));
    assert_false(is_looked_up(w, anna, "older")); /* it is a parent's */
    struct d_call d = world_call_of("old");
    d.caller = span_str("bert");
    world_log_clear(w);
    world_call_with(w, bert, 5, &d, 0);
    assert_null(world_find_lookup(w, BCORE_FX_LOOKUP_KEY)); /* it is anna's */
}

/* A replay has only the ends within kept_ms; the store's history has the older ones. */
static void keys_left_out_of_a_replay_are_looked_up_in_the_store(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct d_call d = world_call_of("a");
    world_succeed(w, wh1, "wh1", world_call_d(w, anna, d), 1, 5);
    uint64_t last = w->lsn;
    w->now += 8 * 86400000LL, w->wall += 8 * 86400000LL;
    world_log_clear(w);
    struct bcore *old = w->core;
    w->core = bcore_new(&w->config); /* the replay has nothing of it */
    bcore_begin(
        w->core,
        &(struct bcore_event){.now = w->now, .wall = w->wall, .lsn = last, .left_out = last},
        &w->out);
    anna = ++w->peers;
    struct bcore_peer who = {.name = "anna", .role = "caller", .address = ""};
    struct buf *hello = world_scratch(w), *body = world_scratch(w), message = {0};
    who.certificate = world_certificate(w, "anna", "caller", world_serial("anna"), NULL);
    m_hello_encode(&(struct m_hello){.major = PROTO_MAJOR}, hello);
    bcore_step(w->core,
               &(struct bcore_event){.kind = BCORE_PEER_UP,
                                     .now = w->now,
                                     .wall = w->wall,
                                     .peer = anna,
                                     .who = &who,
                                     .message = buf_span(hello)},
               &w->out);
    d_call_encode(&d, body);
    m_call_encode(&(struct m_call){.req = 1, .call = world_wrapped(w, buf_span(body), "anna")},
                  &message);
    bcore_step(w->core,
               &(struct bcore_event){.kind = BCORE_MESSAGE,
                                     .now = w->now,
                                     .wall = w->wall,
                                     .peer = anna,
                                     .who = &who,
                                     .message = buf_span(&message)},
               &w->out);
    assert_int_equal(w->out.n_records, 0); /* no second run of the key */
    assert_int_equal(w->out.n_effects, 1);
    assert_int_equal(w->out.effects[0].kind, BCORE_FX_LOOKUP_KEY);
    bcore_free(&w->core);
    w->core = old;
    buf_free(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(keys_left_out_of_a_replay_are_looked_up_in_the_store),
        in_world(once_the_keys_before_the_start_are_listed_only_they_are_looked_up),
        in_world(a_call_is_accepted_only_once_its_record_is_on_disk),
        in_world(the_same_key_never_makes_a_second_run),
        in_world(the_key_of_an_ended_run_still_answers),
        in_world(the_same_key_with_another_body_is_a_conflict),
        in_world(two_principals_may_use_the_same_key),
        in_world(bad_calls_are_refused_with_a_sentence),
        in_world(a_duplicate_of_an_expired_call_still_gets_its_run),
        in_world(a_call_that_no_server_can_take_is_parked_and_says_so_at_once),
        in_world(overload_answers_busy_with_a_time),
        in_world(a_further_call_of_200_byte_parameters_costs_less_than_1_kib),
        in_world(a_forgotten_key_is_looked_up_in_the_store),
        in_world(a_key_forgotten_during_its_lookup_is_looked_up_again),
        in_world(keys_are_forgotten_after_their_time),
        in_world(a_kept_row_replaces_the_records_of_an_ended_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
