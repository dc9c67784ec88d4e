#include "common/termout.h"
#include "parent/core/fixture.h"
#include "parent/report/report.h"

#include <jansson.h>
#include <time.h>

static const struct term screen = {.is_terminal = true, .colour = false, .width = 80};
static const struct term paper = {.is_terminal = false, .colour = false, .width = 80};

/* Compares, ignoring spaces at the ends of lines. */
static void the_same(struct buf *text, const char *expected)
{
    struct buf trimmed = {0}, *got = &trimmed;
    for (size_t i = 0; i < text->n; i++) {
        while (text->p[i] == '\n' && trimmed.n && trimmed.p[trimmed.n - 1] == ' ')
            trimmed.n--;
        buf_add(&trimmed, &text->p[i], 1);
    }
    buf_free(text);
    if (strcmp(buf_str(got), expected) != 0) {
        fprintf(stderr, "got:\n%s\nexpected:\n%s\n", buf_str(got), expected);
        fail();
    }
    buf_free(got);
}

/* The picture without the sequences that move the cursor. */
static struct buf plain(const struct buf *drawn)
{
    struct buf out = {0}, shown = {0};
    term_show(&shown, buf_span(drawn));
    for (size_t i = 0; i < shown.n; i++)
        if (shown.p[i] == 27)
            while (i < shown.n && !(shown.p[i] >= 'A' && shown.p[i] <= 'Z'))
                i++;
        else if (shown.p[i] != '\r')
            buf_add(&out, &shown.p[i], 1);
    buf_free(&shown);
    return out;
}

static void assert_shows(const struct buf *drawn, const char *part)
{
    struct buf shown = {0};
    term_show(&shown, buf_span(drawn));
    assert_contains(buf_str(&shown), part);
    buf_free(&shown);
}

static void one_output(struct buf *b, struct wire_list *ret)
{
    value_add_str(b, span_str("rows"));
    value_add_int(b, 48211);
    *ret = wire_list_from(b, 1);
}

/* Two ended, one running with progress, one parked, one waiting; a task that waits. */
static void night_begins(struct parent_world *w)
{
    struct graph g = graph_begin("nightly");
    uint32_t prepare = add_task(&g, "prepare", 5), load = add_task(&g, "load", 1),
             say = add_task(&g, "say", 1);
    g.tasks[prepare].may_fail = true;
    add_after(&g, load, prepare, IS_COMPLETION, LAYER_PACKAGE);
    add_after(&g, say, prepare, IS_SUCCESS, LAYER_PACKAGE);
    world_begin(w, g, 0);
    w->now += 1000;
    for (uint32_t i = 0; i < 5; i++)
        run_is(w, prepare, i, RUN_WAITING, NULL, 0, NULL);
    for (uint32_t i = 0; i < 3; i++)
        run_is(w, prepare, i, RUN_RUNNING, i == 1 ? "etl2" : "etl1", 0, NULL);
    run_is(w, prepare, 4, RUN_PARKED, NULL, 0, "no server of 'etl' has the job 'job-of-prepare'");
    w->now += 12400;
    run_is(w, prepare, 2, RUN_RUNNING, "etl1", 42, "loading orders");
}

static void night_ends(struct parent_world *w)
{
    struct buf b = {0};
    struct wire_list outputs;
    one_output(&b, &outputs);
    child_is(w, 0, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED, NULL, &outputs);
    child_fails(w, 0, 1);
    w->now += 1600;
    child_succeeds(w, 0, 2);
    child_is(w, 0, 3, DELIVERY_CALLED, JOB_TIMED_OUT, PACKAGE_FAILED,
             "ended after its timeout of 10s", NULL);
    child_is(w, 0, 4, DELIVERY_UNREACHABLE, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED,
             "no server took it within 15m", NULL);
    run_is(w, 1, 0, RUN_RUNNING, "wh1", 0, NULL);
    w->now += 500;
    child_succeeds(w, 1, 0);
    buf_free(&b);
}

static void the_picture_has_a_line_for_each_child_and_one_for_totals(void **state)
{
    (void)state;
    struct parent_world w;
    struct live live = {0};
    struct buf drawn = {0}, seen;
    night_begins(&w);
    child_fails(&w, 0, 1);
    live_draw(&live, w.core, w.now, &screen, 24, &drawn);
    assert_int_equal(live.drawn, 5);
    seen = plain(&drawn);
    the_same(&seen,
             "  prepare[t0]  etl1  running              12.4s\n"
             "  prepare[t2]  etl1  █████░░░░░░░  42%    12.4s  loading orders\n"
             "  prepare[t4]  -     parked               13.4s  no server of 'etl' has the jo…\n"
             "  prepare[t3]  -     waiting              13.4s\n"
             "nightly  13.4s  1 of 6 ended (0 succeeded)  2 running  1 waiting  1 parked  1 …\n");
    buf_free(&drawn);
    world_end(&w);
}

static void a_picture_of_many_children_fits_the_screen_and_counts_the_rest(void **state)
{
    (void)state;
    struct parent_world w;
    struct live live = {0};
    struct buf drawn = {0}, seen;
    struct graph g = graph_begin("nightly");
    add_task(&g, "extract_the_orders_of_a_whole_year", 10000);
    world_begin(&w, g, 0);
    for (uint32_t i = 0; i < 600; i++)
        run_is(&w, 0, i, i % 2 ? RUN_RUNNING : RUN_WAITING,
               i % 2 ? "a-server-with-a-long-name" : NULL, i % 2 ? i % 100 : 0,
               i % 2 ? "reading a file whose name is quite long, far beyond the width of the screen"
                     : NULL);
    live_draw(&live, w.core, w.now, &screen, 24, &drawn);
    assert_int_equal(live.drawn, 23);
    seen = plain(&drawn);
    unsigned lines = 0;
    for (char *line = strtok((char *)(uintptr_t)buf_str(&seen), "\n"); line;
         line = strtok(NULL, "\n")) {
        assert_true(term_width(span_str(line)) < 80);
        if (++lines == 1)
            assert_string_equal(
                line,
                "  extract_the_orders_of_a_who…  a-server-…  ░░░░░░░░░░░░   1%      0ms  readin…");
        if (lines == 22)
            assert_string_equal(line, "  ... and 979 more: 279 running, 300 waiting, 400 asked");
        if (lines == 23)
            assert_string_equal(
                line, "nightly  0ms  0 of 10000 ended  300 running  300 waiting  400 asked");
    }
    assert_int_equal(lines, 23);
    buf_free(&seen);
    buf_free(&drawn);
    world_end(&w);
}

static void a_picture_replaces_the_last_one(void **state)
{
    (void)state;
    struct parent_world w;
    struct live live = {0};
    struct buf drawn = {0};
    night_begins(&w);
    live_clear(&live, &screen, 24, &drawn); /* there is none */
    assert_int_equal(drawn.n, 0);
    live_draw(&live, w.core, w.now, &screen, 24, &drawn);
    buf_clear(&drawn);
    live_draw(&live, w.core, w.now, &screen, 24, &drawn);
    assert_shows(&drawn, "\r\033[6A");
    buf_clear(&drawn);
    live_clear(&live, &screen, 24, &drawn);
    struct buf shown = {0};
    term_show(&shown, buf_span(&drawn));
    assert_string_equal(buf_str(&shown), "\r\033[6A\033[K\n\033[K\n\033[K\n\033[K\n\033[K\n\033[K\n"
                                         "\r\033[6A");
    assert_int_equal(live.drawn, 0);
    buf_free(&shown);
    buf_free(&drawn);
    world_end(&w);
}

/* Feeds one event and returns what both kinds of lines say about it. */
static void lines_of(struct parent_world *w, struct pcore_event ev, bool loud, struct buf *out)
{
    struct lines lines = {0};
    ev.now = w->now;
    ev.run = run_of(ev.task, ev.index);
    pcore_step(w->core, &ev, &w->out);
    for (uint32_t i = 0; i < w->out.n_effects; i++)
        lines_add(&lines, w->core, &w->out.effects[i], w->now, loud, &paper, out);
    lines_flush(&lines, w->core, &paper, out);
}

static void the_same_story(struct parent_world *w, bool loud, struct buf *out)
{
    struct graph g = graph_begin("nightly");
    struct buf b = {0};
    struct wire_list outputs;
    one_output(&b, &outputs);
    struct d_outcome good = {.status = STATUS_SUCCEEDED,
                             .job = JOB_SUCCEEDED,
                             .package = PACKAGE_SUCCEEDED,
                             .server = span_str("etl2"),
                             .outputs = outputs},
                     bad = {.status = STATUS_FAILED,
                            .job = JOB_FAILED,
                            .package = PACKAGE_FAILED,
                            .server = span_str("etl1"),
                            .message = span_str("exit 4:\nno such \033table")};
    uint32_t extract = add_task(&g, "extract", 2), load = add_task(&g, "load", 1);
    add_after(&g, load, extract, IS_SUCCESS, LAYER_PACKAGE);
    world_begin(w, g, 0);
    const struct pcore_event evs[] = {
        {.kind = PCORE_RUN, .task = extract, .index = 0, .state = RUN_WAITING},
        {.kind = PCORE_RUN,
         .task = extract,
         .index = 0,
         .state = RUN_RUNNING,
         .attempt = 1,
         .server = "etl2"},
        {.kind = PCORE_RUN,
         .task = extract,
         .index = 0,
         .state = RUN_RUNNING,
         .attempt = 1,
         .server = "etl2",
         .percent = 9},
        {.kind = PCORE_RUN,
         .task = extract,
         .index = 1,
         .state = RUN_PARKED,
         .text = "no server of 'etl' has the job"},
        {.kind = PCORE_RUN,
         .task = extract,
         .index = 1,
         .state = RUN_RUNNING,
         .attempt = 2,
         .server = "etl1"},
        {.kind = PCORE_RUN,
         .task = extract,
         .index = 1,
         .state = RUN_OUT_OF_CONTACT,
         .attempt = 2,
         .server = "etl1"},
        {.kind = PCORE_ENDED, .task = extract, .index = 0, .attempt = 1, .outcome = &good},
        {.kind = PCORE_ENDED, .task = extract, .index = 1, .attempt = 2, .outcome = &bad},
    };
    for (unsigned i = 0; i < sizeof evs / sizeof *evs; i++) {
        w->now += 1500;
        lines_of(w, evs[i], loud, out);
    }
    buf_free(&b);
}

static void lines_report_starts_ends_and_problems(void **state)
{
    (void)state;
    struct parent_world w;
    struct buf out = {0};
    the_same_story(&w, false, &out);
    the_same(
        &out,
        "09:13:58  etl2  extract[t0]  started\n"
        "09:14:01  -  extract[t1]  parked: no server of 'etl' has the job\n"
        "09:14:02  etl1  extract[t1]  started  attempt 2\n"
        "09:14:04  etl1  extract[t1]  out of contact\n"
        "09:14:05  etl2  extract[t0]  succeeded  7.5s  rows=48211\n"
        "09:14:07  etl1  extract[t1]  failed  4.5s  attempt 2  exit 4:\\u000ano such \\u001btable\n"
        "09:14:07  -  load  skipped: waits for success of 'extract', of which extract[t1] "
        "failed\n");
    world_end(&w);
}

static void beside_a_picture_lines_report_only_problems(void **state)
{
    (void)state;
    struct parent_world w;
    struct buf out = {0};
    the_same_story(&w, true, &out);
    the_same(
        &out,
        "09:14:01  -  extract[t1]  parked: no server of 'etl' has the job\n"
        "09:14:02  etl1  extract[t1]  started  attempt 2\n"
        "09:14:04  etl1  extract[t1]  out of contact\n"
        "09:14:07  etl1  extract[t1]  failed  4.5s  attempt 2  exit 4:\\u000ano such \\u001btable\n"
        "09:14:07  -  load  skipped: waits for success of 'extract', of which extract[t1] "
        "failed\n");
    world_end(&w);
}

static void events_are_json_objects_one_a_line(void **state)
{
    (void)state;
    struct parent_world w;
    struct buf out = {0};
    struct graph g = graph_begin("nightly");
    struct buf b = {0};
    struct d_outcome o = {
        .status = STATUS_SUCCEEDED, .job = JOB_SUCCEEDED, .package = PACKAGE_SUCCEEDED};
    one_output(&b, &o.outputs);
    uint32_t extract = add_task(&g, "extract", 2), load = add_task(&g, "load", 1);
    add_after(&g, load, extract, IS_FAILURE, LAYER_PACKAGE);
    world_begin(&w, g, 0);
    const struct pcore_event evs[] = {
        {.kind = PCORE_RUN,
         .task = extract,
         .index = 1,
         .state = RUN_RUNNING,
         .attempt = 1,
         .server = "etl2",
         .percent = 9,
         .text = "a \"b\""},
        {.kind = PCORE_ENDED, .task = extract, .index = 1, .attempt = 1, .outcome = &o},
        {.kind = PCORE_ENDED, .task = extract, .index = 0, .attempt = 1, .outcome = &o},
    };
    for (unsigned i = 0; i < 3; i++) {
        struct pcore_event ev = evs[i];
        ev.now = w.now;
        ev.run = run_of(ev.task, ev.index);
        pcore_step(w.core, &ev, &w.out);
        for (uint32_t k = 0; k < w.out.n_effects; k++)
            report_events_add(w.core, &w.out.effects[k], w.now, &out);
    }
    unsigned n = 0;
    for (char *at = (char *)(uintptr_t)buf_str(&out), *end; (end = strchr(at, '\n'));
         at = end + 1, n++) {
        json_t *e = json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(e);
        const char *event = json_string_value(json_object_get(e, "event"));
        assert_int_equal(json_integer_value(json_object_get(e, "v")), 1);
        assert_string_equal(event, n == 0 ? "child" : n == 3 ? "skipped" : "ended");
        if (n == 0) {
            assert_string_equal(json_string_value(json_object_get(e, "state")), "running");
            assert_string_equal(json_string_value(json_object_get(e, "text")), "a \"b\"");
            assert_int_equal(json_integer_value(json_object_get(e, "percent")), 9);
            assert_string_equal(
                json_string_value(json_object_get(json_object_get(e, "items"), "table")), "t1");
        } else if (n == 1) {
            assert_int_equal(
                json_integer_value(json_object_get(json_object_get(e, "outputs"), "rows")), 48211);
            assert_string_equal(
                json_string_value(json_object_get(json_object_get(e, "job_outcome"), "state")),
                "succeeded");
            assert_string_equal(json_string_value(json_object_get(e, "run")),
                                "22000000-0000-0000-0000-000001000000");
        } else if (n == 3) {
            assert_string_equal(json_string_value(json_object_get(e, "reason")),
                                "waits for failure of 'extract', which succeeded");
        }
        json_decref(e);
    }
    assert_int_equal(n, 4);
    buf_free(&out);
    buf_free(&b);
    world_end(&w);
}

static void the_overview_has_tasks_children_reasons_and_the_verdict(void **state)
{
    (void)state;
    struct parent_world w;
    struct buf out = {0};
    night_begins(&w);
    night_ends(&w);
    report_text(w.core, &screen, &out);
    the_same(&out,
             "task     job             on   result\n"
             "prepare  job-of-prepare  etl  2 of 5 succeeded (may fail)\n"
             "load     job-of-load     etl  1 of 1 succeeded\n"
             "say      job-of-say      etl  skipped: waits for success of 'prepare', of which…\n"
             "\n"
             "child        server  att  delivery     job         package        took  message\n"
             "prepare[t1]  etl1      1  called       failed      failed        12.4s  exit 4:…\n"
             "prepare[t3]  etl1      1  called       timed_out   failed            -  ended a…\n"
             "prepare[t4]  -         0  unreachable  not_called  not_executed      -  no serv…\n"
             "prepare[t0]  etl1      1  called       succeeded   succeeded     12.4s  rows=48…\n"
             "prepare[t2]  etl1      1  called       succeeded   succeeded     14.0s\n"
             "load         etl1      1  called       succeeded   succeeded     500ms\n"
             "\n"
             "  prepare[t1] failed on etl1 (run 01000000): exit 4: no such table\n"
             "  prepare[t3] timed out on etl1 (run 03000000): ended after its timeout of 10s\n"
             "  prepare[t4] unreachable (run 04000000): no server took it within 15m\n"
             "  say skipped: waits for success of 'prepare', of which prepare[t1] failed\n"
             "\n"
             "3 of 6 children succeeded, 1 of 3 tasks skipped\n"
             "parent nightly (11111111) succeeded after 15.5s\n");
    world_end(&w);
}

static void the_overview_of_a_cancelled_parent_says_what_was_not_started(void **state)
{
    (void)state;
    struct parent_world w;
    struct buf out = {0};
    struct graph g = graph_begin("nightly");
    uint32_t a = add_task(&g, "a", 3), b = add_task(&g, "b", 1);
    add_after(&g, b, a, IS_SUCCESS, LAYER_PACKAGE);
    world_begin(&w, g, 1);
    run_is(&w, a, 0, RUN_RUNNING, "etl1", 0, NULL);
    world_cancelled(&w, "Ctrl-C");
    child_is(&w, a, 0, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_CANCELLED, NULL, NULL);
    report_text(w.core, &screen, &out);
    the_same(&out, "task  job       on   result\n"
                   "a     job-of-a  etl  0 of 3 succeeded, 2 not started\n"
                   "b     job-of-b  etl  skipped: the parent was cancelled: Ctrl-C\n"
                   "\n"
                   "child  server  att  delivery  job        package    took  message\n"
                   "a[t0]  etl1      1  called    cancelled  cancelled   0ms\n"
                   "\n"
                   "  a[t0] cancelled on etl1 (run 00000000)\n"
                   "  b skipped: the parent was cancelled: Ctrl-C\n"
                   "\n"
                   "0 of 3 children succeeded, 2 not started, 1 of 2 tasks skipped\n"
                   "parent nightly (11111111) cancelled after 0ms\n");
    world_end(&w);
}

static void a_long_overview_lists_only_what_did_not_succeed(void **state)
{
    (void)state;
    struct parent_world w;
    struct buf out = {0};
    struct graph g = graph_begin("nightly");
    uint32_t a = add_task(&g, "a", 1000);
    world_begin(&w, g, 0);
    for (uint32_t i = 0; i < 1000; i++)
        i == 500 ? child_fails(&w, a, i) : child_succeeds(&w, a, i);
    report_text(w.core, &paper, &out);
    the_same(&out, "task  job       on   result\n"
                   "a     job-of-a  etl  999 of 1000 succeeded\n"
                   "\n"
                   "child    server  att  delivery  job     package  took  message\n"
                   "a[t500]  etl1      1  called    failed  failed      -  exit 4: no such table\n"
                   "1000 children in all, those without success first: lbctl history --parent "
                   "11111111\n"
                   "\n"
                   "  a[t500] failed on etl1 (run f4010000): exit 4: no such table\n"
                   "\n"
                   "999 of 1000 children succeeded\n"
                   "parent nightly (11111111) failed after 0ms\n");
    world_end(&w);
}

/* A task of three children, one of which fails, and after it a chain of 300 tasks. */
static void a_chain_breaks(struct parent_world *w, struct lines *lines, struct buf *out)
{
    struct graph g = graph_begin("month-end");
    uint32_t before = add_task(&g, "broken", 3);
    for (int i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof name, "step_%03d", i);
        uint32_t task = add_task(&g, name, 1);
        add_after(&g, task, before, IS_SUCCESS, LAYER_PACKAGE);
        before = task;
    }
    world_begin(w, g, 0);
    child_fails(w, 0, 1);
    for (uint32_t i = 0; i < w->out.n_effects; i++)
        lines_add(lines, w->core, &w->out.effects[i], w->now, true, &screen, out);
    lines_flush(lines, w->core, &screen, out);
    child_succeeds(w, 0, 0);
    child_succeeds(w, 0, 2);
}

static void skips_with_one_cause_are_counted_in_one_line(void **state)
{
    (void)state;
    struct parent_world w;
    struct lines lines = {0};
    struct buf out = {0};
    a_chain_breaks(&w, &lines, &out);
    the_same(&out, "09:13:55  etl1  broken[t1]  failed  exit 4: no such table\n"
                   "09:13:55  -  300 tasks  skipped because broken[t1] failed\n");
    report_text(w.core, &screen, &out);
    the_same(&out,
             "task    job            on   result\n"
             "broken  job-of-broken  etl  2 of 3 succeeded\n"
             "\n"
             "child       server  att  delivery  job        package    took  message\n"
             "broken[t1]  etl1      1  called    failed     failed        -  exit 4: no such …\n"
             "broken[t0]  etl1      1  called    succeeded  succeeded     -\n"
             "broken[t2]  etl1      1  called    succeeded  succeeded     -\n"
             "\n"
             "  broken[t1] failed on etl1 (run 01000000): exit 4: no such table\n"
             "  300 tasks skipped because broken[t1] failed (step_000, step_001, step_002,\n"
             "    ...)\n"
             "\n"
             "2 of 3 children succeeded, 300 of 301 tasks skipped\n"
             "parent month-end (11111111) failed after 0ms\n");
    world_end(&w);
}

static void
a_picture_that_became_too_wide_is_taken_away_with_the_lines_that_it_folds_into(void **state)
{
    (void)state;
    const struct term narrow = {.is_terminal = true, .width = 40};
    struct live live = {0};
    struct buf drawn = {0};
    struct parent_world w;
    night_begins(&w);
    live_draw(&live, w.core, w.now, &screen, 24, &drawn);
    buf_clear(&drawn);
    live_draw(&live, w.core, w.now, &narrow, 24, &drawn);
    assert_shows(&drawn, "\r\033[12A"); /* each line folds */
    buf_clear(&drawn);
    live_draw(&live, w.core, w.now, &narrow, 6, &drawn);
    assert_shows(&drawn, "\r\033[5A"); /* no screen has more above the cursor */
    buf_free(&drawn);
    world_end(&w);
}

static void the_report_as_json_has_every_child_and_task(void **state)
{
    (void)state;
    struct parent_world w;
    struct buf out = {0};
    night_begins(&w);
    night_ends(&w);
    report_json(w.core, LIMIT_CALL, &out);
    json_error_t why;
    json_t *r = json_loadb((const char *)out.p, out.n, JSON_REJECT_DUPLICATES, &why);
    if (!r)
        fail_msg("%s: %s", why.text, buf_str(&out));
    assert_string_equal(json_string_value(json_object_get(r, "parent")), "nightly");
    assert_string_equal(json_string_value(json_object_get(r, "status")), "succeeded");
    const json_t *children = json_object_get(r, "children"), *tasks = json_object_get(r, "tasks");
    assert_int_equal(json_array_size(children), 6);
    assert_int_equal(json_array_size(tasks), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(children, 1), "message")),
                        "exit 4: no such table");
    assert_string_equal(json_string_value(json_object_get(json_array_get(tasks, 2), "reason")),
                        "waits for success of 'prepare', of which prepare[t1] failed");
    assert_int_equal(json_integer_value(json_object_get(r, "children_left_out")), 0);
    assert_null(json_object_get(r, "left_out_at"));
    assert_string_equal(json_string_value(json_object_get(json_array_get(tasks, 2), "cause")),
                        "prepare[t1] failed");
    const json_t *second = json_array_get(children, 1);
    assert_string_equal(json_string_value(json_object_get(second, "child")), "prepare[t1]");
    assert_string_equal(json_string_value(json_object_get(second, "item")), "t1");
    assert_null(json_object_get(json_array_get(children, 5), "item"));
    json_decref(r);
    buf_free(&out);
    world_end(&w);
}

static void a_report_stays_within_its_bytes_and_shows_what_failed(void **state)
{
    (void)state;
    enum { MAX = 64 << 10, CHILDREN = 20000 };
    struct parent_world w;
    struct buf out = {0};
    struct graph g = graph_begin("nightly");
    uint32_t a = add_task(&g, "a", CHILDREN);
    world_begin(&w, g, 0);
    for (uint32_t i = 0; i < CHILDREN; i++)
        i == CHILDREN - 1 ? child_fails(&w, a, i) : child_succeeds(&w, a, i);
    report_json(w.core, MAX, &out);
    assert_true(out.n <= MAX);
    json_t *r = json_loadb((const char *)out.p, out.n, 0, NULL);
    assert_non_null(r);
    const json_t *children = json_object_get(r, "children");
    assert_string_equal(json_string_value(json_object_get(json_array_get(children, 0), "status")),
                        "failed");
    assert_int_equal(json_array_size(children) +
                         (size_t)json_integer_value(json_object_get(r, "children_left_out")),
                     CHILDREN);
    assert_string_equal(json_string_value(json_object_get(r, "left_out_at")),
                        "lbctl history --parent 11111111-1111-1111-1111-111111111111");
    json_decref(r);
    buf_free(&out);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_picture_has_a_line_for_each_child_and_one_for_totals),
        cmocka_unit_test(a_picture_of_many_children_fits_the_screen_and_counts_the_rest),
        cmocka_unit_test(a_picture_replaces_the_last_one),
        cmocka_unit_test(lines_report_starts_ends_and_problems),
        cmocka_unit_test(beside_a_picture_lines_report_only_problems),
        cmocka_unit_test(events_are_json_objects_one_a_line),
        cmocka_unit_test(the_overview_has_tasks_children_reasons_and_the_verdict),
        cmocka_unit_test(the_overview_of_a_cancelled_parent_says_what_was_not_started),
        cmocka_unit_test(a_long_overview_lists_only_what_did_not_succeed),
        cmocka_unit_test(skips_with_one_cause_are_counted_in_one_line),
        cmocka_unit_test(
            a_picture_that_became_too_wide_is_taken_away_with_the_lines_that_it_folds_into),
        cmocka_unit_test(the_report_as_json_has_every_child_and_task),
        cmocka_unit_test(a_report_stays_within_its_bytes_and_shows_what_failed),
    };
    setenv("TZ", "UTC", 1);
    term_unicode_set(true);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
