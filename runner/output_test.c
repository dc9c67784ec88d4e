/* output_test.c - output is kept up to its cap, counted beyond it, and reported in pieces that
 * are neither too many nor too large. */
#include "common/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "runner/output.h"

struct output_heard {
    struct buf text[2], both;
    unsigned entries, cuts;
    uint64_t cut[2];
    size_t largest;
};

static void hear(void *self, unsigned stream, uint64_t offset, struct span data, uint64_t cut)
{
    struct output_heard *h = self;
    assert_in_range(stream, 1, 2);
    if (data.n)
        assert_int_equal(offset, h->text[stream - 1].n);
    buf_add(&h->text[stream - 1], data.p, data.n);
    buf_add(&h->both, data.p, data.n);
    h->entries++;
    h->cuts += cut > 0;
    if (cut)
        h->cut[stream - 1] = cut;
    h->largest = data.n > h->largest ? data.n : h->largest;
}

static void heard_free(struct output_heard *h)
{
    buf_free(&h->text[0]);
    buf_free(&h->text[1]);
    buf_free(&h->both);
}

static struct output o;
static struct mask *secrets; /* of the test that runs; NULL: none */

static void begin(struct output_heard *h, uint64_t cap, int ends[2])
{
    struct error err = {0};
    *h = (struct output_heard){0};
    assert_int_equal(output_begin(&o, cap, secrets, hear, h, ends, &err), 0);
}

static void small_outputs_are_gathered_into_one_entry(void **state)
{
    (void)state;
    struct output_heard h;
    int ends[2];
    begin(&h, 0, ends);
    assert_int_equal(output_due(&o), INT64_MAX);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(write(ends[0], "line\n", 5), 5);
        assert_false(output_read(&o, 1, 1000 + i));
    }
    assert_int_equal(h.entries, 0);
    assert_int_equal(output_due(&o), 1000 + OUTPUT_PACE_MS);
    output_flush(&o, 1000 + OUTPUT_PACE_MS - 1);
    assert_int_equal(h.entries, 0);
    output_flush(&o, 1000 + OUTPUT_PACE_MS);
    assert_int_equal(h.entries, 1);
    assert_int_equal(h.text[0].n, 50);
    assert_int_equal(output_due(&o), INT64_MAX);
    close(ends[0]);
    close(ends[1]);
    assert_true(output_read(&o, 1, 2000));
    output_end(&o, 2000);
    assert_int_equal(h.entries, 1);
    heard_free(&h);
}

static void output_beyond_the_cap_is_counted_and_the_cut_is_marked(void **state)
{
    (void)state;
    struct output_heard h;
    int ends[2];
    begin(&h, 100, ends);
    for (int i = 0; i < 30; i++)
        assert_int_equal(write(ends[i % 2], "0123456789", 10), 10);
    output_read(&o, 1, 0);
    output_read(&o, 2, 0);
    output_end(&o, 0);
    assert_int_equal(h.text[0].n + h.text[1].n, 100);
    assert_int_equal(o.stream[0].read, 150);
    assert_int_equal(o.stream[1].read, 150);
    assert_int_equal(output_cut_bytes(&o), 200);
    assert_int_equal(h.cut[0] + h.cut[1], 200);
    assert_true(span_eq_str(output_tail(&o), "01234567890123456789012345678901234567890123456789"
                                             "01234567890123456789012345678901234567890123456789"
                                             "01234567890123456789012345678901234567890123456789"));
    close(ends[0]);
    close(ends[1]);
    heard_free(&h);
}

static void the_end_drains_the_pipe_without_waiting_for_more(void **state)
{
    (void)state;
    struct output_heard h;
    int ends[2];
    begin(&h, 0, ends);
    assert_int_equal(write(ends[1], "last words\n", 11), 11);
    output_end(&o, 0); /* the writing ends stay open, as if held outside the tree */
    assert_true(span_eq_str(buf_span(&h.text[1]), "last words\n"));
    assert_int_equal(o.stream[0].fd, -1);
    close(ends[0]);
    close(ends[1]);
    heard_free(&h);
}

static void large_output_is_split_into_entries_of_at_most_one_chunk(void **state)
{
    (void)state;
    struct output_heard h;
    int ends[2];
    static uint8_t block[30000];
    begin(&h, 0, ends);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(write(ends[0], block, sizeof block), (int)sizeof block);
        output_read(&o, 1, 0);
    }
    output_end(&o, 0);
    assert_int_equal(h.text[0].n, 20 * sizeof block);
    assert_int_equal(h.largest, LIMIT_LOG_CHUNK);
    assert_in_range(h.entries, 10, 11);
    close(ends[0]);
    close(ends[1]);
    heard_free(&h);
}

static void the_tail_is_the_end_of_standard_error(void **state)
{
    (void)state;
    struct output_heard h;
    int ends[2];
    char text[OUTPUT_TAIL];
    begin(&h, 10, ends);
    memset(text, 'a', sizeof text);
    assert_int_equal(write(ends[1], text, sizeof text), (int)sizeof text);
    output_read(&o, 2, 0);
    assert_int_equal(write(ends[1], "the end", 7), 7);
    output_read(&o, 2, 0);
    output_end(&o, 0);
    struct span tail = output_tail(&o);
    assert_int_equal(tail.n, OUTPUT_TAIL);
    assert_memory_equal(tail.p + OUTPUT_TAIL - 8, "athe end", 8);
    close(ends[0]);
    close(ends[1]);
    heard_free(&h);
}

/* Writes to stream 0 or 1, which is read at once. */
static void put(int fd, const char *text, int stream)
{
    struct span s = span_str(text);
    assert_int_equal(write(fd, s.p, s.n), (int)s.n);
    output_read(&o, (unsigned)(stream % 2) + 1, 1000);
}

static void lines_of_both_streams_keep_the_order_in_which_they_were_read(void **state)
{
    (void)state;
    struct output_heard h;
    int ends[2];
    begin(&h, 0, ends);
    put(ends[0], "one\n", 0);
    put(ends[0], "two\n", 0);
    put(ends[1], "three\n", 1);
    put(ends[0], "four\n", 0);
    put(ends[1], "five\n", 1);
    output_end(&o, 1000);
    assert_true(span_eq_str(buf_span(&h.both), "one\ntwo\nthree\nfour\nfive\n"));
    assert_int_equal(h.entries, 4);
    close(ends[0]);
    close(ends[1]);
    heard_free(&h);
}

static void turns_between_the_streams_have_a_limit(void **state)
{
    (void)state;
    struct output_heard h;
    int ends[2];
    begin(&h, 0, ends);
    for (int i = 0; i < OUTPUT_TURNS_MAX + 5000; i++)
        put(ends[i % 2], "x", i);
    output_end(&o, 1000);
    assert_in_range(h.entries, OUTPUT_TURNS_MAX, OUTPUT_TURNS_MAX + 2);
    assert_int_equal(h.both.n, OUTPUT_TURNS_MAX + 5000);
    close(ends[0]);
    close(ends[1]);
    heard_free(&h);
}

static void know(const char *secret)
{
    secrets = mask_new();
    mask_add(secrets, span_str(secret));
    assert_int_equal(mask_ready(secrets, NULL), 0);
}

static void a_secret_is_masked_in_entries_and_in_the_tail_wherever_reads_end(void **state)
{
    (void)state;
    struct output_heard h;
    int ends[2];
    know("hunter22");
    for (size_t cut = 1; cut < 8; cut++) {
        char first[9] = "hunter22";
        first[cut] = 0;
        begin(&h, 0, ends);
        put(ends[1], "pw=", 1);
        put(ends[1], first, 1);
        output_flush(&o, 1000 + OUTPUT_PACE_MS);
        assert_true(span_eq_str(buf_span(&h.text[1]), "pw="));
        assert_int_equal(output_due(&o), INT64_MAX); /* what is undecided waits for more */
        put(ends[1], &"hunter22"[cut], 1);
        put(ends[1], " hunter", 1);
        output_end(&o, 1000);
        assert_true(span_eq_str(buf_span(&h.text[1]), "pw=******** hunter"));
        assert_true(span_eq_str(output_tail(&o), "pw=******** hunter"));
        close(ends[0]);
        close(ends[1]);
        heard_free(&h);
    }
    mask_free(&secrets);
}

static void a_secret_that_the_cap_cuts_in_two_is_masked(void **state)
{
    (void)state;
    struct output_heard h;
    int ends[2];
    know("hunter22hunter22");
    begin(&h, 14, ends);
    put(ends[0], "password: hunter22hunter22\n", 0);
    output_end(&o, 1000);
    assert_true(span_eq_str(buf_span(&h.text[0]), "password: ****"));
    close(ends[0]);
    close(ends[1]);
    heard_free(&h);
    begin(&h, 17, ends);
    put(ends[0], "password: hunter22hu", 0); /* the rest never comes */
    output_end(&o, 1000);
    assert_true(span_eq_str(buf_span(&h.text[0]), "password: *******"));
    close(ends[0]);
    close(ends[1]);
    heard_free(&h);
    mask_free(&secrets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_outputs_are_gathered_into_one_entry),
        cmocka_unit_test(output_beyond_the_cap_is_counted_and_the_cut_is_marked),
        cmocka_unit_test(the_end_drains_the_pipe_without_waiting_for_more),
        cmocka_unit_test(large_output_is_split_into_entries_of_at_most_one_chunk),
        cmocka_unit_test(the_tail_is_the_end_of_standard_error),
        cmocka_unit_test(lines_of_both_streams_keep_the_order_in_which_they_were_read),
        cmocka_unit_test(turns_between_the_streams_have_a_limit),
        cmocka_unit_test(a_secret_is_masked_in_entries_and_in_the_tail_wherever_reads_end),
        cmocka_unit_test(a_secret_that_the_cap_cuts_in_two_is_masked),
    };
    return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
