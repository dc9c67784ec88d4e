#include "worker/answers.h"

#include "common/testing.h"

enum { ASKED_MAX = 16 };

struct answers_world {
    struct loop *loop;
    struct answers *a;
    uint64_t asked[ASKED_MAX]; /* numbers of the questions, in their order */
    char proxy[ASKED_MAX][LIMIT_NAME + 1];
    unsigned n, changes;
};

static void on_ask(void *self, struct span question)
{
    struct answers_world *w = self;
    struct s_probe p;
    assert_true(w->n < ASKED_MAX);
    assert_int_equal(s_probe_decode(question, &p, NULL), 0);
    span_copy_str(p.proxy, w->proxy[w->n], sizeof w->proxy[0]);
    w->asked[w->n++] = p.number;
}

static void on_change(void *self)
{
    ((struct answers_world *)self)->changes++;
}

static int setup(void **state)
{
    struct answers_world *w = mem_zalloc(1, sizeof *w);
    w->loop = loop_new(NULL);
    w->a = answers_new(w->loop, &(struct answers_calls){w, on_ask, on_change});
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct answers_world *w = *state;
    answers_free(&w->a);
    loop_destroy(&w->loop);
    mem_free(&w);
    return 0;
}

static const struct answers_said *find(struct answers_world *w, const char *proxy)
{
    const struct d_step s = {.proxy = span_str(proxy), .subsystem = span_str("shell")};
    return answers_find(w->a, &s);
}

static void answer(struct answers_world *w, unsigned nth, uint64_t code, const char *need,
                   bool holds)
{
    struct buf items = {0}, one = {0};
    d_need_encode(&(struct d_need){.need = span_str(need),
                                   .holds = holds,
                                   .trouble = span_str(holds ? "" : "it is not there"),
                                   .probed_at = 1},
                  &one);
    if (!code)
        wire_add_bin(&items, buf_span(&one));
    answers_take(w->a, &(struct s_probed){.number = w->asked[nth],
                                          .code = code,
                                          .text = span_str(code ? need : ""),
                                          .needs = wire_list_from(&items, !code)});
    buf_free(&items);
    buf_free(&one);
}

/* "NAME holds" or "NAME does not", each in a line. */
static const char *listed(struct answers_world *w)
{
    static struct buf text;
    struct buf items = {0};
    struct wire_list all = answers_needs(w->a, &items);
    struct span item;
    struct d_need d;
    buf_clear(&text);
    for (struct wire_iter it = wire_iter(&all); wire_next(&it, &item);) {
        assert_int_equal(d_need_decode(item, &d, NULL), 0);
        buf_printf(&text, SPAN_FMT " %s\n", SPAN_ARG(d.need), d.holds ? "holds" : "does not");
    }
    buf_free(&items);
    return buf_str(&text);
}

static void nothing_is_known_before_the_runner_has_answered(void **state)
{
    struct answers_world *w = *state;
    assert_null(find(w, "default"));
    answers_sweep(w->a);
    assert_int_equal(w->n, 0);
    answers_runner_up(w->a, true);
    assert_int_equal(w->n, 1);
    assert_null(find(w, "default"));
    answer(w, 0, 0, "command:psql", true);
    assert_int_equal(w->changes, 1);
    assert_non_null(find(w, "default"));
    assert_null(find(w, "default")->refused);
    assert_string_equal(listed(w), "command:psql holds\n");
}

static void a_new_kind_is_asked_about_at_once_and_a_known_one_is_not(void **state)
{
    struct answers_world *w = *state;
    answers_runner_up(w->a, true);
    find(w, "default");
    answers_sweep(w->a);
    answer(w, 0, 0, "command:psql", true);
    find(w, "default");
    find(w, "finance");
    answers_sweep(w->a);
    assert_int_equal(w->n, 2);
    assert_string_equal(w->proxy[1], "finance");
    answer(w, 1, REFUSAL_NO_PROXY, "no such proxy", false);
    assert_string_equal(find(w, "finance")->refused, "no such proxy");
}

static void a_need_of_another_proxy_has_a_name_of_its_own(void **state)
{
    struct answers_world *w = *state;
    answers_runner_up(w->a, true);
    find(w, "default");
    find(w, "finance");
    answers_sweep(w->a);
    answer(w, 0, 0, "command:psql", true);
    answer(w, 1, 0, "command:psql", false);
    assert_string_equal(listed(w), "command:psql holds\ncommand:psql for proxy finance does not\n");
}

static void a_need_holds_if_it_does_for_every_kind_of_its_proxy(void **state)
{
    struct answers_world *w = *state;
    const struct d_step sql = {.proxy = span_str("default"), .subsystem = span_str("sql")};
    answers_runner_up(w->a, true);
    find(w, "default");
    answers_find(w->a, &sql);
    answers_sweep(w->a);
    answer(w, 0, 0, "command:psql", false);
    answer(w, 1, 0, "command:psql", true);
    assert_string_equal(listed(w), "command:psql does not\n");
}

static void the_same_answer_changes_nothing(void **state)
{
    struct answers_world *w = *state;
    answers_runner_up(w->a, true);
    find(w, "default");
    answers_sweep(w->a);
    answer(w, 0, 0, "command:psql", true);
    answers_ask_all(w->a);
    answers_ask_all(w->a); /* while one waits: once more after it */
    assert_int_equal(w->n, 2);
    answer(w, 1, 0, "command:psql", true);
    assert_int_equal(w->n, 3);
    assert_int_equal(w->changes, 1);
    answer(w, 2, 0, "command:psql", false);
    assert_int_equal(w->changes, 2);
}

static void what_was_said_stands_while_the_runner_is_down(void **state)
{
    struct answers_world *w = *state;
    answers_runner_up(w->a, true);
    find(w, "default");
    answers_sweep(w->a);
    answers_ask_all(w->a);
    answer(w, 0, 0, "command:psql", true);
    answers_runner_down(w->a);
    answers_ask_all(w->a);
    assert_int_equal(w->n, 2);
    assert_string_equal(listed(w), "command:psql holds\n");
    answers_runner_up(w->a, true);
    assert_int_equal(w->n, 3);
    answer(w, 1, 0, "command:psql", false); /* of the runner before */
    assert_string_equal(listed(w), "command:psql holds\n");
    answer(w, 2, 0, "command:psql", false);
    assert_string_equal(listed(w), "command:psql does not\n");
}

static void a_kind_that_no_job_has_any_more_is_forgotten(void **state)
{
    struct answers_world *w = *state;
    answers_runner_up(w->a, true);
    find(w, "default");
    answers_sweep(w->a);
    answer(w, 0, 0, "command:psql", true);
    answers_sweep(w->a);
    assert_string_equal(listed(w), "");
    answers_ask_all(w->a);
    assert_int_equal(w->n, 1);
}

static void a_runner_that_is_not_asked_is_taken_to_agree(void **state)
{
    struct answers_world *w = *state;
    find(w, "default");
    answers_sweep(w->a);
    answers_runner_up(w->a, false);
    assert_int_equal(w->n, 0);
    assert_int_equal(w->changes, 1);
    assert_non_null(find(w, "default"));
    assert_null(find(w, "default")->refused);
    assert_string_equal(listed(w), "");
}

#define in_answers(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_answers(nothing_is_known_before_the_runner_has_answered),
        in_answers(a_new_kind_is_asked_about_at_once_and_a_known_one_is_not),
        in_answers(a_need_of_another_proxy_has_a_name_of_its_own),
        in_answers(a_need_holds_if_it_does_for_every_kind_of_its_proxy),
        in_answers(the_same_answer_changes_nothing),
        in_answers(what_was_said_stands_while_the_runner_is_down),
        in_answers(a_kind_that_no_job_has_any_more_is_forgotten),
        in_answers(a_runner_that_is_not_asked_is_taken_to_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
