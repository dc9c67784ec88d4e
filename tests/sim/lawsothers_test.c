/* lawsothers_test.c - for each law about principals a violation that the witness must see. The
 * broker's core is made from records here, and what it is said to do next is invented. */
#include "tests/sim/lawstesting.h"

static const struct id RUN = {{1}};
static struct bcore *core;

static struct span signed_call(struct rig *r, const char *caller, const char *key)
{
    catalog_write_call(&(struct d_call){.cluster = span_str(SIM_CLUSTER),
                                        .caller = span_str(caller),
                                        .key = span_str(key),
                                        .job = span_str("quick"),
                                        .address = span_str("all"),
                                        .pin_latest = true,
                                        .as_of = SPAN_NONE,
                                        .expires = INT64_MAX},
                       &r->body, &r->call);
    return buf_span(&r->call);
}

static struct r_called call_of(struct rig *r, uint8_t run, const char *caller)
{
    char key[8];
    snprintf(key, sizeof key, "k%u", run);
    return (struct r_called){
        .run = {{run}}, .principal = span_str(caller), .call = signed_call(r, caller, key)};
}

/* It waits in the core. */
static void waits(struct rig *r, uint8_t run, const char *caller)
{
    struct buf b = {0};
    struct error err = {0};
    struct r_called called = call_of(r, run, caller);
    r_called_encode(&called, &b);
    if (bcore_replay(core, ++r->lsn, buf_span(&b), &err) < 0)
        fail_msg("%s", err.text);
    buf_free(&b);
}

static void stepped(struct rig *r, const char *sender, const struct buf *record,
                    const struct buf *answer, const struct buf *message)
{
    struct bcore_record records[] = {{.lsn = r->lsn + 1, .body = buf_span(record)}};
    struct bcore_effect effects[] = {
        {.kind = BCORE_FX_SEND, .peer = 1, .body = answer ? buf_span(answer) : SPAN_NONE}};
    struct bcore_out out = {.records = records,
                            .n_records = record->n != 0,
                            .effects = effects,
                            .n_effects = answer != NULL};
    laws_stepped(r->laws, &(struct laws_turn){.core = core,
                                              .out = &out,
                                              .sender = sender,
                                              .peer = 1,
                                              .is_caller = sender != NULL,
                                              .message = buf_span(message)});
}

/* A call of anna makes this record, says the broker. */
static void records_a_call(struct rig *r, const char *sender, bool refused)
{
    struct buf record = {0}, answer = {0}, message = {0};
    struct r_called called = call_of(r, 200, "anna");
    r_called_encode(&called, &record);
    m_call_encode(&(struct m_call){.req = 1, .call = called.call}, &message);
    m_error_encode(&(struct m_error){.req = 1, .code = REFUSAL_EXPIRED}, &answer);
    stepped(r, sender, &record, refused ? &answer : NULL, &message);
    buf_free(&record);
    buf_free(&answer);
    buf_free(&message);
}

static void in_anothers_name(struct rig *r)
{
    records_a_call(r, "bert", false);
}

static void refused_and_recorded(struct rig *r)
{
    records_a_call(r, "anna", true);
}

static void more_than_its_share(struct rig *r)
{
    laws_room(r->laws, 4, 1 << 20);
    for (uint8_t i = 1; i <= 4; i++)
        waits(r, i, "anna");
    records_a_call(r, "anna", false);
}

static void cancels_anothers(struct rig *r)
{
    struct buf record = {0}, message = {0};
    RECORD(r, CALLED, called, .run = RUN, .call = signed_call(r, "anna", "k"));
    r_cancelled_encode(&(struct r_cancelled){.run = RUN, .by = span_str("bert")}, &record);
    m_cancel_encode(&(struct m_cancel){.req = 1, .run = RUN}, &message);
    stepped(r, "bert", &record, NULL, &message);
    buf_free(&record);
    buf_free(&message);
}

static void hears_of_anothers(struct rig *r)
{
    struct buf b = {0};
    RECORD(r, CALLED, called, .run = RUN, .call = signed_call(r, "anna", "k"));
    m_run_state_encode(&(struct m_run_state){.run = RUN, .state = RUN_RUNNING}, &b);
    laws_told(r->laws, "anna", buf_span(&b));
    assert_false(r->w.broken);
    laws_told(r->laws, "bert", buf_span(&b));
    buf_free(&b);
}

static void is_refused_for_room(struct rig *r, const char *who)
{
    struct buf none = {0}, answer = {0}, message = {0};
    m_call_encode(&(struct m_call){.req = 1, .call = signed_call(r, who, "new")}, &message);
    m_error_encode(&(struct m_error){.req = 1, .code = REFUSAL_BUSY}, &answer);
    stepped(r, who, &none, &answer, &message);
    buf_free(&answer);
    buf_free(&message);
}

static void no_room_for_the_modest(struct rig *r)
{
    laws_room(r->laws, 16, 1 << 20);
    for (uint8_t i = 1; i <= 12; i++)
        waits(r, i, "bert");
    is_refused_for_room(r, "bert");
    assert_false(r->w.broken); /* it has its share */
    is_refused_for_room(r, "anna");
}

static void served(struct rig *r, uint8_t run)
{
    struct buf record = {0}, none = {0};
    r_assigned_encode(&(struct r_assigned){.run = {{run}}, .attempt = 1}, &record);
    stepped(r, NULL, &record, NULL, &none);
    buf_free(&record);
}

static void three_turns_in_a_row(struct rig *r)
{
    for (uint8_t i = 1; i <= 5; i++)
        waits(r, i, "bert");
    waits(r, 6, "anna");
    waits(r, 7, "anna");
    served(r, 1);
    served(r, 2);
    served(r, 6);
    served(r, 3);
    served(r, 4);
    assert_false(r->w.broken);
    served(r, 5);
}

static const struct violation violations[] = {
    {LAW_OTHERS_UNTOUCHED, in_anothers_name},  {LAW_OTHERS_UNTOUCHED, cancels_anothers},
    {LAW_OTHERS_UNTOUCHED, hears_of_anothers}, {LAW_REFUSED_LEAVES_NOTHING, refused_and_recorded},
    {LAW_SHARES_HOLD, more_than_its_share},    {LAW_ROOM_FOR_OTHERS, no_room_for_the_modest},
    {LAW_TURNS, three_turns_in_a_row},
};

static void make_core(struct rig *r)
{
    (void)r;
    bcore_free(&core);
    core = bcore_new(&(struct bcore_config){
        .memory_budget = 1 << 20, .max_runs = 100, .cluster = SIM_CLUSTER, .broker = "broker"});
}

static void each_violation_breaks_its_law(void **state)
{
    (void)state;
    rig_each_breaks_its_law(violations, sizeof violations / sizeof *violations, make_core);
    bcore_free(&core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_violation_breaks_its_law)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
