/* ledger_test.c - every denial counts, and nobody fills the disk with them. */
#include "broker/audit/ledger.h"

#include <errno.h>

#include "common/testing.h"

struct book {
    struct ledger *ledger;
    unsigned entries;
    uint64_t denials, left_out, last_count;
    char last[LIMIT_NAME + 1];
    size_t size;
};

static size_t note(void *self, const struct ledger_who *who, const struct ledger_denial *d)
{
    struct book *b = self;
    (void)who;
    b->entries++;
    b->last_count = d->count;
    snprintf(b->last, sizeof b->last, "%s", d->verb);
    if (strcmp(d->verb, LEDGER_LEFT_OUT) == 0)
        b->left_out += d->count;
    else
        b->denials += d->count;
    return b->size;
}

static void deny(struct book *b, int64_t now, uint8_t key, const char *verb, uint64_t code)
{
    struct ledger_who who = {.name = "anna", .role = "caller", .address = "here", .key = {{key}}};
    struct ledger_denial d = {
        .verb = verb, .code = code, .count = 1, .object = "load@etl", .reason = "no grant"};
    ledger_deny(b->ledger, now, &who, &d);
}

static struct book begin(void)
{
    return (struct book){.size = 300};
}

static void the_first_denial_is_written_at_once_and_the_next_ones_as_a_count(void **state)
{
    struct book b = begin();
    (void)state;
    b.ledger = ledger_new(note, &b);
    for (unsigned i = 0; i < 1000; i++)
        deny(&b, 50000 + i, 1, "call", 7);
    assert_int_equal(b.entries, 1);
    assert_int_equal(ledger_due(b.ledger), 50000 + LEDGER_GATHER_MS);
    ledger_flush(b.ledger, 50000 + LEDGER_GATHER_MS, false);
    assert_int_equal(b.entries, 2);
    assert_int_equal(b.last_count, 999);
    deny(&b, 61000, 1, "drain", 7); /* another verb, another code, another principal */
    deny(&b, 61000, 1, "call", 8);
    deny(&b, 61000, 2, "call", 7);
    assert_int_equal(b.entries, 5);
    ledger_free(&b.ledger);
}

static void at_the_end_nothing_is_left_uncounted(void **state)
{
    struct book b = begin();
    (void)state;
    b.ledger = ledger_new(note, &b);
    for (unsigned i = 0; i < 500; i++) {
        char verb[8];
        snprintf(verb, sizeof verb, "v%u", i % 200); /* more than there are slots */
        deny(&b, 1000 + i, 1, verb, 7);
    }
    ledger_flush(b.ledger, 2000, true);
    assert_int_equal(b.denials, 500);
    ledger_free(&b.ledger);
}

static void one_principal_adds_a_bounded_number_of_bytes_and_the_rest_is_counted(void **state)
{
    struct book b = begin();
    (void)state;
    b.ledger = ledger_new(note, &b);
    for (unsigned i = 0; i < 5000; i++)
        deny(&b, 1000, 1, "call", i);
    deny(&b, 1000, 2, "call", 7); /* another one is not concerned */
    assert_string_equal(b.last, "call");
    ledger_flush(b.ledger, 1001, false);
    assert_in_range((uint64_t)b.entries * b.size, LEDGER_DENIALS_MAX,
                    LEDGER_DENIALS_MAX + 3 * b.size);
    ledger_flush(b.ledger, 1000 + LEDGER_HOUR_MS, false);
    assert_string_equal(b.last, LEDGER_LEFT_OUT);
    ledger_flush(b.ledger, 1000 + LEDGER_HOUR_MS, true);
    assert_int_equal(b.denials + b.left_out, 5001);
    assert_true(b.left_out > 0);
    ledger_free(&b.ledger);
}

static void acts_beyond_the_bound_are_refused_until_the_hour_is_over(void **state)
{
    struct book b = begin();
    struct ledger_who who = {.name = "olga", .role = "caller", .address = "", .key = {{1}}};
    struct error err = {0};
    (void)state;
    b.ledger = ledger_new(note, &b);
    assert_int_equal(ledger_may_act(b.ledger, 1000, &who, &err), 0);
    ledger_acted(b.ledger, 1000, &who, LEDGER_ACTS_MAX);
    assert_int_equal(ledger_may_act(b.ledger, 2000, &who, &err), -EDQUOT);
    assert_non_null(strstr(err.text, "olga"));
    assert_int_equal(ledger_may_act(b.ledger, 1000 + LEDGER_HOUR_MS, &who, &err), 0);
    ledger_free(&b.ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_denial_is_written_at_once_and_the_next_ones_as_a_count),
        cmocka_unit_test(at_the_end_nothing_is_left_uncounted),
        cmocka_unit_test(one_principal_adds_a_bounded_number_of_bytes_and_the_rest_is_counted),
        cmocka_unit_test(acts_beyond_the_bound_are_refused_until_the_hour_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
