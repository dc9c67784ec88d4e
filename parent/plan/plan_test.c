#include "common/testing.h"
#include "parent/plan/plan.h"

#include <errno.h>

static const struct plan_order no_values = {.now = 1763716435012};

static struct plan_made made_with(const char *text, const struct plan_order *order)
{
    struct plan_made m = {0};
    struct problems ps = {0};
    if (plan_make("p.yaml", span_str(text), order, &m, &ps) < 0)
        fail_msg("%s", ps.v[0].text);
    problems_free(&ps);
    return m;
}

static const struct graph_task *task_of(const struct plan_made *m, const char *name)
{
    for (uint32_t i = 0; i < m->graph.n; i++)
        if (strcmp(m->graph.tasks[i].name, name) == 0)
            return &m->graph.tasks[i];
    fail_msg("no task %s", name);
    return NULL;
}

static struct value value_of(const struct graph_task *t, const char *name)
{
    for (uint32_t i = 0; i < t->n_bindings; i++)
        if (strcmp(t->bindings[i].name, name) == 0) {
            struct span in = buf_span(&t->bindings[i].value);
            struct value v;
            assert_true(value_read(&in, &v));
            return v;
        }
    fail_msg("no parameter %s", name);
    return (struct value){0};
}

static void a_plan_becomes_a_graph(void **state)
{
    (void)state;
    struct plan_made m = made_with(
        "parent: nightly\n"
        "variables:\n"
        "  stage: {type: string, default: /srv}\n"
        "tasks:\n"
        "  load:\n"
        "    package: load\n"
        "    server: wh1\n"
        "    after: [{task: extract, is: completion, layer: job}, {task: beat, is: called}]\n"
        "    join: or\n"
        "    may_fail: true\n"
        "    on_lost: rerun\n"
        "    priority: 7\n"
        "    start_within: 15m\n"
        "    timeout: 2h\n"
        "    lost_after: 90s\n"
        "  extract:\n"
        "    job: nightly-extract\n"
        "    pool: etl\n"
        "    for_each: {table: [orders, 2], day: [1.5, true]}\n"
        "    parameters: {z: [1, {a: b}], table: \"{{table}}\", stage: '{{ stage }}', n: 3}\n"
        "  beat: {job: ping, pool: all, each: true}\n",
        &no_values);
    assert_string_equal(m.graph.name, "nightly");
    assert_string_equal(m.graph.as_of, "2025-11-21T09:13:55.012Z");
    assert_int_equal(m.children, 4);
    const struct graph_task *load = task_of(&m, "load"), *extract = task_of(&m, "extract"),
                            *beat = task_of(&m, "beat");
    assert_string_equal(load->job, "package:load");
    assert_string_equal(load->address, "wh1");
    assert_int_equal(load->n_after, 2);
    assert_ptr_equal(&m.graph.tasks[load->after[0].task], extract);
    assert_int_equal(load->after[0].is, IS_COMPLETION);
    assert_int_equal(load->after[0].layer, LAYER_JOB);
    assert_int_equal(load->after[1].is, IS_CALLED);
    assert_int_equal(load->after[1].layer, LAYER_DELIVERY);
    assert_true(load->join_or && load->may_fail);
    assert_int_equal(load->on_lost, ON_LOST_RERUN);
    assert_int_equal(load->priority, 7);
    assert_int_equal(load->start_within_ms, 900000);
    assert_int_equal(load->timeout_ms, 7200000);
    assert_int_equal(load->lost_after_ms, 90000);
    assert_int_equal(extract->count, 2);
    assert_int_equal(extract->on_lost, ON_LOST_DEFAULT);
    assert_int_equal(extract->priority, PLAN_PRIORITY);
    struct buf label = {0};
    graph_label(extract, 1, &label);
    assert_string_equal(buf_str(&label), "table=2 day=true");
    buf_free(&label);
    assert_string_equal(extract->bindings[0].name, "n"); /* sorted */
    assert_int_equal(value_of(extract, "n").integer, 3);
    assert_true(span_eq_str(value_of(extract, "stage").bytes, "/srv"));
    assert_int_equal(value_of(extract, "z").type, VALUE_LIST);
    assert_int_equal(extract->bindings[2].from, FROM_ITEM);
    assert_true(beat->each);
    assert_int_equal(beat->count, 0);
    plan_made_free(&m);
}

static void variables_take_typed_values_from_set_or_default(void **state)
{
    (void)state;
    static const char plan[] =
        "parent: p\n"
        "timezone: Asia/Kolkata\n"
        "variables:\n"
        "  n: {type: int}\n"
        "  day: {type: date, default: \"{{as_of}}\"}\n"
        "  at: {type: datetime, default: \"{{as_of}}\"}\n"
        "  s: {default: 012}\n"
        "  tables: {type: json, default: [a, b]}\n"
        "tasks:\n"
        "  t:\n"
        "    job: j\n"
        "    pool: q\n"
        "    for_each: {table: \"{{tables}}\"}\n"
        "    parameters: {n: \"{{n}}\", day: \"{{day}}\", at: \"{{at}}\", s: \"{{s}}\", now: "
        "\"{{as_of}}\"}\n";
    static const char *const sets[] = {"n=5", "tables=[\"x\", \"y\", \"z\"]"};
    /* 21:13 UTC is the next day in Kolkata */
    struct plan_order order = {.sets = sets, .n_sets = 2, .now = 1763759635012};
    struct plan_made m = made_with(plan, &order);
    const struct graph_task *t = task_of(&m, "t");
    assert_string_equal(m.graph.as_of, "2025-11-22T02:43:55.012+05:30");
    assert_int_equal(value_of(t, "n").integer, 5);
    assert_true(span_eq_str(value_of(t, "day").bytes, "2025-11-22"));
    assert_true(span_eq_str(value_of(t, "at").bytes, "2025-11-22T02:43:55.012+05:30"));
    assert_true(span_eq_str(value_of(t, "now").bytes, "2025-11-22T02:43:55.012+05:30"));
    assert_true(span_eq_str(value_of(t, "s").bytes, "012"));
    assert_int_equal(t->count, 3);
    struct span item = graph_item(&t->lists[0], 2);
    struct value v;
    assert_true(value_read(&item, &v) && span_eq_str(v.bytes, "z"));
    struct wire_list map = wire_list_from(&m.values, m.n_values);
    assert_true(wire_map_get(&map, "n", &v) && v.integer == 5);
    assert_int_equal(m.n_values, 5);
    plan_made_free(&m);
}

static void an_output_may_come_from_a_task_waited_for_indirectly(void **state)
{
    (void)state;
    struct plan_made m =
        made_with("parent: p\n"
                  "tasks:\n"
                  "  c: {job: j, pool: q, after: [{task: b, is: success}], parameters: {n: "
                  "\"{{task.a.outputs.rows}}\"}}\n"
                  "  b: {job: j, pool: q, after: [{task: a, is: success}]}\n"
                  "  a: {job: j, pool: q}\n",
                  &no_values);
    const struct graph_task *c = task_of(&m, "c");
    assert_int_equal(c->bindings[0].from, FROM_OUTPUT);
    assert_ptr_equal(&m.graph.tasks[c->bindings[0].task], task_of(&m, "a"));
    assert_string_equal(c->bindings[0].output, "rows");
    plan_made_free(&m);
}

static void the_example_plans_compile(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t n_sets;
        uint32_t children;
    } files[] = {{"examples/nightly-load/nightly.yaml", 3, 19},
                 {"examples/nightly-load/with-a-failure.yaml", 1, 4}};
    static const char *const sets[] = {"stage=/srv/stage", "warehouse=/srv/w.db",
                                       "page=/srv/page.html"};
    for (size_t i = 0; i < 2; i++) {
        struct buf text = {0};
        struct error err = {0};
        if (file_read(files[i].path, LIMIT_PLAN, &text, &err) < 0)
            fail_msg("%s (tests run from the top of the tree)", err.text);
        struct plan_order order = {.sets = sets, .n_sets = files[i].n_sets, .now = 1763716435012};
        char *whole = span_dup_str(buf_span(&text));
        struct plan_made m = made_with(whole, &order);
        assert_int_equal(m.children, files[i].children);
        plan_made_free(&m);
        mem_free(&whole);
        buf_free(&text);
    }
}

/* ---- Refusals: a plan's text, and the one sentence that it must produce, with its place. */
#define HEAD "parent: p\ntasks:\n"
#define GOOD "  a: {job: j, pool: q}\n"
static const struct refusal_row {
    const char *text, *sentence;
} refused[] = {
    {HEAD GOOD
     "  b:\n    job: j\n    pool: q\n    after: [{task: extarct, is: success}]\n  extract: {job: "
     "j, pool: q}\n",
     "p.yaml:7:20: task 'b' waits for 'extarct', which is not in this plan (did you mean "
     "'extract'?)"},
    {HEAD "  a: {job: j, pool: q, after: [{task: a, is: success}]}\n",
     "p.yaml:3:39: task 'a' waits for itself"},
    {HEAD "  a: {job: j, pool: q, after: [{task: c, is: success}]}\n"
          "  b: {job: j, pool: q, after: [{task: a, is: failure}]}\n"
          "  c: {job: j, pool: q, after: [{task: b, is: called}]}\n",
     "p.yaml:4:39: tasks wait for each other in a circle: 'a' waits for 'c', which waits for 'b', "
     "which waits for "
     "'a'"},
    {HEAD GOOD "  a: {job: k, pool: q}\n", "p.yaml:4:3: key 'a' is given twice, first on line 3"},
    {"parent: p\ntask: {}\ntasks:\n" GOOD,
     "p.yaml:2:1: unknown key 'task' (did you mean 'tasks'?)"},
    {"tasks:\n" GOOD, "p.yaml:1:1: 'parent' is missing"},
    {"parent: Night!\ntasks:\n" GOOD, "p.yaml:1:9: the name of a parent must begin with a-z"},
    {"parent: p\n", "p.yaml:1:1: 'tasks' is missing"},
    {"parent: p\ntasks: {}\n", "p.yaml:2:8: a plan needs at least one task"},
    {"parent: p\ntasks: [a]\n", "p.yaml:2:8: 'tasks' must be a mapping, not a list"},
    {"- a\n", "p.yaml:1:1: the document must be a mapping, not a list"},
    {"parent: p\ntimezone: Europe/Berlni\ntasks:\n" GOOD,
     "p.yaml:2:11: unknown time zone 'Europe/Berlni'"},
    {"parent: p\ntimezone: Europe\ntasks:\n" GOOD, "p.yaml:2:11: unknown time zone 'Europe'"},
    {"parent: p\ntimezone: leapseconds\ntasks:\n" GOOD,
     "p.yaml:2:11: unknown time zone 'leapseconds'"},
    {"parent: p\ntasks:\n  a: {job: j, pool: q}\n  \"a\\0b\": {job: j, pool: q}\n",
     "p.yaml:4:3: key 'a' has a NUL character"},
    {"parent: p\ntimezone: ../../etc/passwd\ntasks:\n" GOOD,
     "p.yaml:2:11: unknown time zone '../../etc/passwd'"},
    {"parent: p\ndeadline: \"05:30\"\ntasks:\n" GOOD, "p.yaml:2:1: unknown key 'deadline'"},
    /* variables */
    {"parent: p\nvariables: {v: {type: integer}}\ntasks:\n" GOOD,
     "p.yaml:2:23: variable 'v' has the unknown type 'integer'"},
    {"parent: p\nvariables: {v: {type: sting, default: x}}\ntasks:\n" GOOD,
     "(did you mean 'string'?)"},
    {"parent: p\nvariables: {v: {type: int, default: abc}}\ntasks:\n" GOOD,
     "p.yaml:2:37: 'default' must be a whole number, not 'abc'"},
    {"parent: p\nvariables: {v: {type: date, default: 2026-02-30}}\ntasks:\n" GOOD,
     "p.yaml:2:38: expected a date like 2026-11-21, not '2026-02-30'"},
    {"parent: p\nvariables: {as_of: {type: date}}\ntasks:\n" GOOD,
     "p.yaml:2:20: a variable cannot be called as_of"},
    {"parent: p\nvariables: {v: {type: int, default: \"{{as_of}}\"}}\ntasks:\n" GOOD,
     "p.yaml:2:37: variable 'v' is of type int; {{as_of}} is a date or datetime"},
    {"parent: p\nvariables: {v: {default: \"{{other}}\"}}\ntasks:\n" GOOD,
     "p.yaml:2:26: the default of a variable is a value or {{as_of}}, not '{{other}}'"},
    {"parent: p\nvariables: {V: {}}\ntasks:\n" GOOD, "the name of a variable must begin with a-z"},
    {"parent: p\nvariables: {v: {typ: int, default: x}}\ntasks:\n" GOOD,
     "p.yaml:2:17: unknown key 'typ' (did you mean 'type'?)"},
    {"parent: p\nvariables: {v: int}\ntasks:\n" GOOD,
     "p.yaml:2:16: 'v' must be a mapping, not 'int'"},
    {"parent: p\nvariables: {v: {required: true, default: x}}\ntasks:\n" GOOD,
     "p.yaml:2:27: variable 'v' has a default, so it cannot be required"},
    {"parent: p\nvariables: {v: {required: false}}\ntasks:\n" GOOD,
     "p.yaml:2:27: variable 'v' has no default, so it is required"},
    {"parent: p\nvariables:\n  v: {type: int}\ntasks:\n" GOOD,
     "p.yaml:3:6: variable 'v' is required: give it with --set v=VALUE"},
    /* what and where */
    {HEAD "  a: {pool: q}\n",
     "p.yaml:3:3: task 'a' has neither 'job' nor 'package': what does it run?"},
    {HEAD "  a: {job: j, package: k, pool: q}\n",
     "p.yaml:3:24: task 'a' has both 'job' and 'package'; it runs one"},
    {HEAD "  a: {job: j}\n",
     "p.yaml:3:3: task 'a' has neither 'server' nor 'pool': where does it run?"},
    {HEAD "  a: {job: j, server: s, pool: q}\n",
     "p.yaml:3:32: task 'a' has both 'server' and 'pool'"},
    {HEAD "  a: {job: j, server: all}\n", "p.yaml:3:23: 'all' is every server: write `pool: all`"},
    {HEAD "  a: {job: j, server: s, each: true}\n",
     "p.yaml:3:32: 'each' needs a pool, not a server"},
    {HEAD "  a: {job: J, pool: q}\n", "p.yaml:3:12: the name of a job must begin with a-z"},
    {HEAD "  a: {package: extract@1.2.0, pool: q}\n",
     "p.yaml:3:16: the name of a package must begin with a-z"},
    {HEAD "  a: {job: j, pool: [q]}\n", "p.yaml:3:21: 'pool' must be a text, not a list"},
    {HEAD "  a-b: {job: j, pool: q}\n", "p.yaml:3:3: the name of a task must begin with a-z"},
    {HEAD "  a: [job]\n", "p.yaml:3:6: 'a' must be a mapping, not a list"},
    {HEAD "  a: {job: j, pool: q, may_fial: true}\n",
     "p.yaml:3:24: unknown key 'may_fial' (did you mean 'may_fail'?)"},
    {HEAD "  a: {job: j, pool: q, semaphores: [w]}\n", "p.yaml:3:24: unknown key 'semaphores'"},
    {HEAD "  a: {job: j, pool: q, may_fail: yes}\n",
     "p.yaml:3:34: 'may_fail' must be true or false, not 'yes'"},
    {HEAD "  a: {job: j, pool: q, on_lost: rerum}\n",
     "p.yaml:3:33: 'on_lost' is fail, rerun or hold, not 'rerum' (did you mean 'rerun'?)"},
    {HEAD "  a: {job: j, pool: q, priority: 10}\n",
     "p.yaml:3:34: priority 10 is not between 0 and 9"},
    {HEAD "  a: {job: j, pool: q, priority: high}\n",
     "p.yaml:3:34: 'priority' must be a whole number, not 'high'"},
    {HEAD "  a: {job: j, pool: q, timeout: 5}\n",
     "p.yaml:3:33: 'timeout': the duration '5' has no unit"},
    {HEAD "  a: {job: j, pool: q, start_within: 0s}\n",
     "p.yaml:3:38: 'start_within' must be greater than zero"},
    /* conditions */
    {HEAD GOOD "  b: {job: j, pool: q, after: [{task: a, on: success}]}\n",
     "p.yaml:4:46: a condition is written with 'is', as in {task: NAME, is: success}: YAML 1.1 "
     "takes a bare 'on' for "
     "true"},
    {HEAD GOOD "  b: {job: j, pool: q, after: [{task: a, true: success}]}\n",
     "a condition is written with 'is'"},
    {HEAD GOOD "  b: {job: j, pool: q, after: [{task: a}]}\n",
     "p.yaml:4:32: the condition on 'a' lacks 'is': success, failure, completion or called"},
    {HEAD GOOD "  b: {job: j, pool: q, after: [{task: a, is: succes}]}\n",
     "p.yaml:4:46: 'is' is success, failure, completion or called, not 'succes' (did you mean "
     "'success'?)"},
    {HEAD GOOD "  b: {job: j, pool: q, after: [{task: a, is: success, layer: jobs}]}\n",
     "p.yaml:4:62: 'layer' is package, job or delivery, not 'jobs' (did you mean 'job'?)"},
    {HEAD GOOD "  b: {job: j, pool: q, after: [{task: a, is: called, layer: job}]}\n",
     "p.yaml:4:61: `is: called` is about the layer delivery; leave 'layer' out"},
    {HEAD GOOD "  b: {job: j, pool: q, after: [{is: success}]}\n",
     "p.yaml:4:32: 'task' is missing"},
    {HEAD GOOD "  b: {job: j, pool: q, after: [{task: a, is: success, layr: job}]}\n",
     "p.yaml:4:55: unknown key 'layr' (did you mean 'layer'?)"},
    {HEAD GOOD "  b: {job: j, pool: q, after: a}\n",
     "p.yaml:4:31: 'after' must be a list, not 'a'"},
    {HEAD GOOD "  b: {job: j, pool: q, after: [a]}\n",
     "p.yaml:4:32: item 1 of 'after' must be a mapping, not 'a'"},
    {HEAD "  a: {job: j, pool: q, join: xor}\n", "p.yaml:3:30: 'join' is and or or, not 'xor'"},
    /* for_each */
    {HEAD "  a: {job: j, pool: q, for_each: [x]}\n",
     "p.yaml:3:34: 'for_each' must be a mapping, not a list"},
    {HEAD "  a: {job: j, pool: q, for_each: {}}\n", "p.yaml:3:34: for_each is empty"},
    {HEAD "  a: {job: j, pool: q, for_each: {x: y}}\n",
     "p.yaml:3:38: for_each takes a list for 'x', or the {{variable}}"},
    {HEAD "  a: {job: j, pool: q, for_each: {x: \"{{y}}\"}}\n",
     "p.yaml:3:38: there is no variable 'y'"},
    {HEAD "  a: {job: j, pool: q, for_each: {x: [1, 2], y: [1]}}\n",
     "p.yaml:3:49: for_each takes the items of its lists together, but 'x' has 2 and 'y' 1"},
    {HEAD "  a: {job: j, pool: q, each: true, for_each: {x: [1]}}\n",
     "p.yaml:3:46: task 'a' has both 'each' and"},
    {HEAD "  a: {job: j, pool: q, for_each: {x: [\"{{as_of}}\"]}}\n",
     "p.yaml:3:39: a template must be the whole"},
    {"parent: p\nvariables: {x: {default: y}}\n"
     "tasks:\n  a: {job: j, pool: q, for_each: {x: [1]}}\n",
     "p.yaml:4:35: 'x' is also a variable, so {{x}} would be ambiguous"},
    {"parent: p\nvariables: {v: {type: int, default: 1}}\ntasks:\n  a: {job: j, pool: q, "
     "for_each: {x: \"{{v}}\"}}\n",
     "p.yaml:4:38: variable 'v' is of type int; for_each needs one of type json"},
    {"parent: p\nvariables: {v: {type: json, default: {a: 1}}}\ntasks:\n  a: {job: j, pool: q, "
     "for_each: {x: "
     "\"{{v}}\"}}\n",
     "p.yaml:4:38: for_each needs a list; variable 'v' holds something else"},
    /* parameters */
    {HEAD "  a: {job: j, pool: q, parameters: {x: \"{{stage}}\"}}\n",
     "p.yaml:3:40: parameter 'x' takes '{{stage}}': no variable or for_each name is called "
     "'stage'"},
    {"parent: p\nvariables: {stage: {default: s}}\ntasks:\n  a: {job: j, pool: q, parameters: {x: "
     "\"{{stag}}\"}}\n",
     "(did you mean 'stage'?)"},
    {HEAD "  a: {job: j, pool: q, parameters: {x: \"pre-{{as_of}}\"}}\n",
     "p.yaml:3:40: parameter 'x': 'pre-{{as_of}}' is not a template: {{variable}}, {{as_of}} and"},
    {HEAD "  a: {job: j, pool: q, parameters: {x: \"{{task.b.rows}}\"}}\n",
     "'{{task.b.rows}}' is not a template"},
    {HEAD "  a: {job: j, pool: q, parameters: {x: \"{{a + b}}\"}}\n",
     "'{{a + b}}' is not a template"},
    {HEAD "  a: {job: j, pool: q, parameters: {x: [\"{{as_of}}\"]}}\n",
     "p.yaml:3:41: a template must be the whole"},
    {HEAD "  a: {job: j, pool: q, parameters: {X: 1}}\n",
     "p.yaml:3:37: the name of a parameter must begin with a-z"},
    {HEAD "  a: {job: j, pool: q, parameters: [x]}\n",
     "p.yaml:3:36: 'parameters' must be a mapping, not a list"},
    /* outputs */
    {HEAD GOOD "  b: {job: j, pool: q, parameters: {x: \"{{task.a.outputs.n}}\"}}\n",
     "p.yaml:4:40: parameter 'x' takes an output of 'a', but 'b' does not wait for it: add {task: "
     "a, is: success} to "
     "its 'after'"},
    {HEAD GOOD "  b: {job: j, pool: q, parameters: {x: \"{{task.c.outputs.n}}\"}}\n",
     "p.yaml:4:40: parameter 'x' takes an output of 'c', which is not in this plan"},
    {HEAD "  b: {job: j, pool: q, parameters: {x: \"{{task.b.outputs.n}}\"}}\n",
     "p.yaml:3:40: parameter 'x' takes an output of 'b' itself"},
    {HEAD "  a: {job: j, pool: q, for_each: {t: [1, 2]}}\n"
          "  b: {job: j, pool: q, after: [{task: a, is: success}], parameters: {x: "
          "\"{{task.a.outputs.n}}\"}}\n",
     "p.yaml:4:73: parameter 'x' takes an output of 'a', which runs many times (for_each), so it "
     "has no single output"},
    {HEAD "  a: {job: j, pool: q, each: true}\n"
          "  b: {job: j, pool: q, after: [{task: a, is: success}], parameters: {x: "
          "\"{{task.a.outputs.n}}\"}}\n",
     "which runs many times (each)"},
};

static void each_refusal_names_its_place_and_cause(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct plan_made m = {0};
        struct problems ps = {0};
        if (plan_make("p.yaml", span_str(refused[i].text), &no_values, &m, &ps) == 0)
            fail_msg("taken:\n%s", refused[i].text);
        bool found = false;
        for (size_t k = 0; k < ps.n; k++)
            found |= strstr(ps.v[k].text, refused[i].sentence) != NULL;
        if (!found)
            fail_msg("'%s' instead of '%s'", ps.v[0].text, refused[i].sentence);
        if (ps.n != 1)
            fail_msg("%zu problems, one was expected: %s / %s", ps.n, ps.v[0].text, ps.v[1].text);
        assert_null(m.graph.tasks);
        problems_free(&ps);
    }
}

static void all_problems_are_found_at_once(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "p.yaml:2:1: unknown key 'variabels' (did you mean 'variables'?)",
        "p.yaml:3:11: unknown time zone 'Mars/Olympus': write it as Europe/Berlin or UTC",
        "p.yaml:6:3: task 'c' has neither 'server' nor 'pool': where does it run?",
        "p.yaml:5:39: task 'a' waits for 'bb', which is not in this plan",
        "--set n=5: the plan has no variable 'n'",
    };
    static const char *const sets[] = {"n=5"};
    struct plan_order order = {.sets = sets, .n_sets = 1};
    struct plan_made m = {0};
    struct problems ps = {0};
    assert_int_equal(plan_make("p.yaml",
                               span_str("parent: p\nvariabels: {}\ntimezone: Mars/Olympus\ntasks:\n"
                                        "  a: {job: j, pool: q, after: [{task: bb, is: success}]}\n"
                                        "  c: {job: j}\n"),
                               &order, &m, &ps),
                     -EINVAL);
    assert_int_equal(ps.n, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(ps.v[i].text, expected[i]);
    problems_free(&ps);
}

static void a_bad_set_is_refused_with_the_place_of_the_declaration(void **state)
{
    (void)state;
    static const char plan[] =
        "parent: p\nvariables:\n  n: {type: int}\n  day: {type: date, default: 2026-11-21}\n"
        "tasks:\n" GOOD;
    static const struct {
        const char *set, *sentence;
    } rows[] = {
        {"n=12a", "--set n=12a: expected an int, not '12a' (declared at p.yaml:3:6)"},
        {"day=tomorrow",
         "--set day=tomorrow: expected a date like 2026-11-21, not 'tomorrow' (declared at "
         "p.yaml:4:8)"},
        {"dya=2026-11-21",
         "--set dya=2026-11-21: the plan has no variable 'dya' (did you mean 'day'?)"},
        {"day", "--set day: expected name=value"},
        {"n=2", "--set n=2: variable 'n' is set twice (declared at p.yaml:3:6)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *sets[] = {"n=1", rows[i].set};
        bool alone = strncmp(rows[i].set, "n=12", 4) == 0;
        struct plan_order order = {
            .sets = alone ? sets + 1 : sets, .n_sets = alone ? 1 : 2, .now = 1};
        struct plan_made m = {0};
        struct problems ps = {0};
        assert_int_equal(plan_make("p.yaml", span_str(plan), &order, &m, &ps), -EINVAL);
        assert_string_equal(ps.v[0].text, rows[i].sentence);
        problems_free(&ps);
    }
}

static void too_many_calls_are_refused_where_the_limit_is_exceeded(void **state)
{
    (void)state;
    struct buf text = {0};
    struct plan_made m = {0};
    struct problems ps = {0};
    buf_add_str(&text, "parent: p\ntasks:\n  a: {job: j, pool: q, for_each: {i: [");
    for (int i = 0; i < LIMIT_TASKS; i++)
        buf_printf(&text, "%s%d", i ? ", " : "", i);
    buf_add_str(&text, "]}}\n");
    assert_int_equal(plan_make("p.yaml", buf_span(&text), &no_values, &m, &ps), 0);
    assert_int_equal(m.children, LIMIT_TASKS);
    plan_made_free(&m);
    buf_add_str(&text, "  b: {job: j, pool: q}\n");
    assert_int_equal(plan_make("p.yaml", buf_span(&text), &no_values, &m, &ps), -EINVAL);
    assert_string_equal(
        ps.v[0].text,
        "p.yaml:4:3: with task 'b' the plan comes to 100001 calls; the limit is 100000");
    problems_free(&ps);
    buf_free(&text);
}

static void
a_hundred_thousand_tasks_in_a_chain_are_no_burden_and_a_huge_circle_is_shown_in_short(void **state)
{
    (void)state;
    struct buf text = {0};
    struct plan_made m = {0};
    struct problems ps = {0};
    buf_add_str(&text, HEAD "  t0: {job: j, pool: q}\n");
    for (int i = 1; i < LIMIT_TASKS; i++)
        buf_printf(&text,
                   "  t%d: {job: j, pool: q, after: [{task: t%d, is: success}], parameters: {x: "
                   "\"{{task.t%d.outputs.x}}\"}}\n",
                   i, i - 1, i - 1);
    if (plan_make("p.yaml", buf_span(&text), &no_values, &m, &ps) < 0)
        fail_msg("%s", ps.v[0].text);
    plan_made_free(&m);
    buf_clear(&text);
    buf_add_str(&text, HEAD);
    for (int i = 0; i < 20; i++)
        buf_printf(&text, "  t%d: {job: j, pool: q, after: [{task: t%d, is: success}]}\n", i,
                   (i + 1) % 20);
    assert_int_equal(plan_make("p.yaml", buf_span(&text), &no_values, &m, &ps), -EINVAL);
    assert_int_equal(ps.n, 1);
    assert_contains(ps.v[0].text, "'t0' waits for 't1', which waits for 't2'");
    assert_contains(ps.v[0].text, "'t7', and so on over 20 tasks, back to 't0'");
    problems_free(&ps);
    buf_free(&text);
}

static void a_long_list_of_problems_is_truncated_and_says_so(void **state)
{
    (void)state;
    struct buf text = {0};
    struct plan_made m = {0};
    struct problems ps = {0};
    buf_add_str(&text, HEAD);
    for (int i = 0; i < 1000; i++)
        buf_printf(&text, "  t%d: {pool: q}\n", i);
    assert_int_equal(plan_make("p.yaml", buf_span(&text), &no_values, &m, &ps), -EINVAL);
    assert_int_equal(ps.n, PLAN_PROBLEMS_MAX + 1);
    assert_string_equal(ps.v[PLAN_PROBLEMS_MAX].text, "more than 50 problems; the rest are not "
                                                      "shown");
    problems_free(&ps);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_becomes_a_graph),
        cmocka_unit_test(variables_take_typed_values_from_set_or_default),
        cmocka_unit_test(an_output_may_come_from_a_task_waited_for_indirectly),
        cmocka_unit_test(the_example_plans_compile),
        cmocka_unit_test(each_refusal_names_its_place_and_cause),
        cmocka_unit_test(all_problems_are_found_at_once),
        cmocka_unit_test(a_bad_set_is_refused_with_the_place_of_the_declaration),
        cmocka_unit_test(too_many_calls_are_refused_where_the_limit_is_exceeded),
        cmocka_unit_test(
            a_hundred_thousand_tasks_in_a_chain_are_no_burden_and_a_huge_circle_is_shown_in_short),
        cmocka_unit_test(a_long_list_of_problems_is_truncated_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
