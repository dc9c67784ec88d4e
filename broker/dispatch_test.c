/* dispatch_test.c - what nobody may send, and that the core knows the messages that reach it. Who
 * may send what: matrix_test.c. */
#include "broker/dispatch.h"

#include "common/testing.h"
#include "trust/grants.h"

struct dispatch_world {
    struct bcore *core;
    struct certificate who;
};

static void begin(struct dispatch_world *w, enum role role, bool granted)
{
    static struct grant all[VERB_COUNT];
    struct bcore_config c = {
        .cluster = "test", .broker = "b", .memory_budget = 1 << 20, .max_runs = 10};
    memset(w, 0, sizeof *w);
    w->core = bcore_new(&c);
    w->who.role = role;
    strcpy(w->who.name, "anna");
    for (unsigned v = 0; v < VERB_COUNT; v++)
        all[v] = (struct grant){.verb = v, .pattern = "*", .address = "*"};
    w->who.grants = granted ? all : NULL;
    w->who.n_grants = granted ? VERB_COUNT : 0;
}

static void end(struct dispatch_world *w)
{
    bcore_free(&w->core);
}

static enum rights_verdict judge(struct dispatch_world *w, bool newcomer, uint64_t kind,
                                 struct span message)
{
    const struct certificate *who = newcomer ? NULL : &w->who;
    const struct dispatch_row *row = dispatch_row_of(kind, rights_role(who));
    struct error err = {0};
    enum refusal code = REFUSAL_NONE;
    enum rights_verdict v =
        rights_judge(w->core, who, row ? &row->rule : NULL, kind, message, &code, &err);
    if (v == RIGHTS_DENIED) {
        assert_true(code != REFUSAL_NONE);
        assert_true(err.text[0] != '\0'); /* every refusal says why */
    }
    return v;
}

static void unknown_kinds_are_denied_to_every_role(void **state)
{
    struct dispatch_world w;
    (void)state;
    begin(&w, ROLE_ADMINISTRATOR, true);
    assert_int_equal(judge(&w, false, 77, SPAN_NONE), RIGHTS_DENIED);
    assert_int_equal(judge(&w, false, KIND_R_CALLED, SPAN_NONE), RIGHTS_DENIED);
    assert_int_equal(judge(&w, true, 77, SPAN_NONE), RIGHTS_DENIED);
    end(&w);
}

static void malformed_bytes_are_denied(void **state)
{
    struct dispatch_world w;
    (void)state;
    begin(&w, ROLE_ADMINISTRATOR, false);
    const uint64_t kinds[] = {KIND_M_CALL,       KIND_M_RESOLVE, KIND_M_FOLLOW,
                              KIND_M_CANCEL,     KIND_M_LOGS,    KIND_M_PARENT_BEGIN,
                              KIND_M_PARENT_END, KIND_M_OPERATE, KIND_M_DEPLOY};
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        assert_int_equal(judge(&w, false, kinds[i], span_str("\x93\x01\x02")), RIGHTS_DENIED);
    end(&w);
}

static void a_principal_sees_its_own_and_by_a_grant_those_of_others(void **state)
{
    struct dispatch_world w;
    struct grant one = {.verb = VERB_WATCH, .pattern = "load", .address = "etl"};
    (void)state;
    begin(&w, ROLE_MONITOR, false);
    assert_true(rights_may_see(w.core, &w.who, "anna", "load", "etl", NULL));
    assert_false(rights_may_see(w.core, &w.who, "otto", "load", "etl", NULL));
    w.who.grants = &one;
    w.who.n_grants = 1;
    assert_true(rights_may_see(w.core, &w.who, "otto", "load", "etl", NULL));
    assert_false(rights_may_see(w.core, &w.who, "otto", "drop", "etl", NULL));
    assert_false(rights_may_see(w.core, &w.who, "otto", "load", "wh", NULL));
    assert_false(rights_may_see(w.core, &w.who, "", "", "all", NULL));
    end(&w);
}

/* Sends the message in a session of its own. */
static bool core_knows(struct dispatch_world *w, uint64_t peer, uint64_t kind)
{
    /* The first field is of a wrong type: to the core a message that it knows is malformed. */
    const uint8_t message[] = {0x92, (uint8_t)kind, 0xc0};
    struct bcore_peer who = {.name = "", .role = "", .address = ""};
    struct bcore_out out = {0};
    struct buf hello = {0};
    struct m_refused refused;
    bool known = true;
    m_hello_encode(&(struct m_hello){.major = PROTO_MAJOR, .minor = PROTO_MINOR}, &hello);
    struct bcore_event up = {
        .kind = BCORE_PEER_UP, .peer = peer, .who = &who, .message = buf_span(&hello)};
    bcore_step(w->core, &up, &out);
    struct bcore_event says = {.kind = BCORE_MESSAGE,
                               .peer = peer,
                               .who = &who,
                               .message = span_of(message, sizeof message)};
    bcore_step(w->core, &says, &out);
    for (unsigned i = 0; i < out.n_effects; i++)
        if (out.effects[i].kind == BCORE_FX_CLOSE &&
            m_refused_decode(out.effects[i].body, &refused, NULL) == 0)
            known = !memmem(refused.text.p, refused.text.n, "takes no message", 16);
    bcore_out_free(&out);
    buf_free(&hello);
    return known;
}

static void the_core_accepts_exactly_the_messages_routed_to_it(void **state)
{
    struct dispatch_world w;
    struct bcore_out out = {0};
    (void)state;
    begin(&w, ROLE_CALLER, true);
    bcore_begin(w.core, &(struct bcore_event){.now = 1, .wall = 1}, &out);
    for (unsigned i = 0; messages_schema_at(i); i++) {
        const struct wire_schema *s = messages_schema_at(i);
        enum sender from = 0;
        bool given = false;
        if (s != messages_schema_of_kind(s->kind, &from) || !from || s->kind >= 128)
            continue;
        for (unsigned k = 0; dispatch_row_at(k); k++)
            if (dispatch_row_at(k)->rule.kind == s->kind)
                given = dispatch_row_at(k)->core;
        if (core_knows(&w, 100 + i, s->kind) != given)
            fail_msg("%s: the table says %s", s->name, given ? "core" : "not the core");
    }
    bcore_out_free(&out);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_kinds_are_denied_to_every_role),
        cmocka_unit_test(malformed_bytes_are_denied),
        cmocka_unit_test(a_principal_sees_its_own_and_by_a_grant_those_of_others),
        cmocka_unit_test(the_core_accepts_exactly_the_messages_routed_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
