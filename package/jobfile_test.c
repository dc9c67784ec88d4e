#include "common/testing.h"

#include <errno.h>

#include "package/jobfile.h"
#include "package/manifest.h"
#include "proto/packagejob.h"

/* A server with two packages: extract (table required, day, n int 1..9, secret; output rows) and
   publish (rows). */
struct jobfile_server {
    struct buf extract, publish;
    struct hash one, two;
};

static void add(const char *yaml, struct hash *hash, struct buf *out)
{
    struct manifest m;
    struct problems ps = {0};
    struct hash key = {{9}};
    if (manifest_parse_yaml("p", span_str(yaml), &m, &ps) < 0)
        fail_msg("%s", ps.v[0].text);
    manifest_to_runnable(&m, hash, &key, out);
    manifest_free(&m);
    problems_free(&ps);
}

static int set_up(void **state)
{
    struct jobfile_server *s = mem_zalloc(1, sizeof *s);
    s->one.b[0] = 1;
    s->two.b[0] = 2;
    add("name: extract\nversion: 1.2.0\nsubsystem: exec\nentry: a\nlimits: {timeout: 1m}\n"
        "parameters: {table: {type: string, required: true}, day: {type: date}, n: {type: int, "
        "min: 1, max: 9}, "
        "secret: {type: string, sensitive: true}}\noutputs: {rows: {type: int}}\n",
        &s->one, &s->extract);
    add("name: publish\nversion: 2.0\nsubsystem: python\nentry: a\nlimits: {timeout: "
        "1m}\nparameters: {rows: {type: "
        "int}}\n",
        &s->two, &s->publish);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct jobfile_server *s = *state;
    buf_free(&s->extract);
    buf_free(&s->publish);
    mem_free(state);
    return 0;
}

static int find(void *self, const char *name, struct hash *ret_hash, struct span *ret,
                struct error *err)
{
    struct jobfile_server *s = self;
    bool extract = strcmp(name, "extract") == 0 || strcmp(name, "extract@1.2.0") == 0;
    if (!extract && strcmp(name, "publish") != 0)
        return error_set(err, -ENOENT, "package '%s' is not installed here", name);
    *ret_hash = extract ? s->one : s->two;
    *ret = buf_span(extract ? &s->extract : &s->publish);
    return 0;
}

/* The first of the problems as an error. */
static int compile_text(const char *name, struct span text, jobfile_find_package found, void *self,
                        struct buf *out, struct error *err)
{
    struct problems ps = {0};
    int rc = jobfile_compile_bytes(name, text, found, self, out, &ps);
    assert_int_equal(rc<0, ps.errors> 0);
    if (rc < 0)
        error_set(err, rc, "%s", ps.v[0].text);
    problems_free(&ps);
    return rc;
}

static const char whole[] =
    "job: nightly-extract\n"
    "version: \"3\"\n"
    "concurrency: 4\n"
    "steps:\n"
    "  - name: extract\n"
    "    package: extract@1.2.0\n"
    "    proxy: etl\n"
    "    parameters: {table: \"{{table}}\", day: \"{{ as_of }}\", n: 3, secret: \"{{dsn}}\"}\n"
    "    retry: {attempts: 2, interval: 30s, backoff: 2, exit_codes: [75, 7, 75]}\n"
    "    timeout: 2h\n"
    "    success_exit_codes: [2, 0]\n"
    "    on_success: goto publish\n"
    "    on_failure: quit-success\n"
    "  - name: publish\n"
    "    package: publish\n"
    "    parameters: {rows: \"{{step.extract.outputs.rows}}\"}\n"
    "  - name: clean\n"
    "    always: true\n"
    "    subsystem: shell\n"
    "    run: rm -rf \"$LB_WORK/partial\" && docker inspect -f '{{.Id}}' x\n"
    "    parameters: {host: \"{{server}}\", list: [1, two]}\n";

static void decode(const struct buf *b, struct d_job *job, struct d_step *steps, size_t n)
{
    struct error err = {0};
    struct span item;
    if (d_job_decode(buf_span(b), job, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(job->steps.count, n);
    struct wire_iter it = wire_iter(&job->steps);
    for (size_t i = 0; i < n; i++) {
        assert_true(wire_next(&it, &item));
        assert_int_equal(d_step_decode(item, &steps[i], &err), 0);
    }
}

static struct d_binding binding(const struct d_step *s, const char *name)
{
    struct wire_iter it = wire_iter(&s->bindings);
    struct span item;
    struct d_binding b;
    while (wire_next(&it, &item)) {
        assert_int_equal(d_binding_decode(item, &b, NULL), 0);
        if (span_eq_str(b.name, name))
            return b;
    }
    fail_msg("no binding %s", name);
    return (struct d_binding){0};
}

static void every_key_of_a_job_is_compiled(void **state)
{
    struct error err = {0};
    struct buf out = {0};
    struct d_job job;
    struct d_step s[3];
    if (compile_text("j", span_str(whole), find, *state, &out, &err) < 0)
        fail_msg("%s", err.text);
    decode(&out, &job, s, 3);
    assert_true(span_eq_str(job.name, "nightly-extract") && span_eq_str(job.version, "3") &&
                job.concurrency == 4);
    assert_true(span_eq_str(s[0].name, "extract") && span_eq_str(s[0].package_name, "extract") &&
                span_eq_str(s[0].subsystem, "exec"));
    assert_int_equal(s[0].package.b[0], 1);
    assert_true(span_eq_str(s[0].proxy, "etl") && span_eq_str(s[1].proxy, "default"));
    assert_true(s[0].attempts == 2 && s[0].interval_ms == 30000 && s[0].backoff == 2 &&
                s[0].timeout_ms == 7200000);
    assert_true(span_eq(s[0].retry_codes, span_of("\x07\x4b", 2)));
    assert_true(span_eq(s[0].success_codes, span_of("\0\x02", 2)));
    assert_true(span_eq_str(s[0].on_success, "goto publish") &&
                span_eq_str(s[0].on_failure, "quit-success"));
    assert_true(s[1].attempts == 1 && span_eq_str(s[1].on_success, "next") &&
                span_eq_str(s[1].on_failure, "quit-failure"));
    assert_true(s[2].always && hash_is_zero(&s[2].package) && span_eq_str(s[2].subsystem, "shell"));
    assert_true(s[2].run.n > 20);
    assert_int_equal(binding(&s[0], "table").from, BINDING_CALL);
    assert_true(span_eq_str(binding(&s[0], "secret").source, "dsn"));
    assert_int_equal(binding(&s[0], "day").from, BINDING_AS_OF);
    struct d_binding n = binding(&s[0], "n");
    assert_true(n.from == BINDING_LITERAL && n.value.n == 1 && n.value.p[0] == 3);
    struct d_binding rows = binding(&s[1], "rows");
    assert_true(rows.from == BINDING_OUTPUT && span_eq_str(rows.step, "extract") &&
                span_eq_str(rows.source, "rows"));
    assert_int_equal(binding(&s[2], "host").from, BINDING_SERVER);
    assert_int_equal(binding(&s[2], "list").from, BINDING_LITERAL);
    buf_free(&out);
}

static void the_same_file_gives_the_same_hash_until_a_package_changes(void **state)
{
    struct jobfile_server *server = *state;
    struct buf a = {0}, b = {0}, c = {0};
    struct hash x, y, z;
    assert_int_equal(compile_text("a", span_str(whole), find, server, &a, NULL), 0);
    assert_int_equal(compile_text("b", span_str(whole), find, server, &b, NULL), 0);
    server->one.b[31] ^= 1;
    assert_int_equal(compile_text("c", span_str(whole), find, server, &c, NULL), 0);
    jobfile_hash(buf_span(&a), &x);
    jobfile_hash(buf_span(&b), &y);
    jobfile_hash(buf_span(&c), &z);
    assert_true(hash_eq(&x, &y));
    assert_false(hash_eq(&x, &z));
    buf_free(&a);
    buf_free(&b);
    buf_free(&c);
}

#define STEP  "job: j\nsteps:\n  - name: a\n    package: extract\n    parameters: {table: t}\n"
#define SHELL "job: j\nsteps:\n  - {name: a, subsystem: shell, run: 'true'}\n"

static void each_wrong_job_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *yaml, *says;
    } rows[] = {
        {"[]", "j.yaml:1:1: "},
        {"job: j\n", "'steps' is missing"},
        {"steps: []\n", "'job' is missing"},
        {"job: J\nsteps: []\n", "j.yaml:1:6: "},
        {"job: j\nsteps: []\n", "j.yaml:2:8: a job has 1 to 100 steps"},
        {"job: j\nstesp: []\n", "j.yaml:2:1: "},
        {SHELL "concurrency: 0\n", "j.yaml:4:14: 0 is not between 1 and"},
        {SHELL "version: new\n", "j.yaml:4:10: 'new' is not a version"},
        {SHELL "  - {name: a, subsystem: shell, run: 'true'}\n",
         "j.yaml:4:12: there are two steps named 'a'"},
        {SHELL "  - {subsystem: shell, run: 'true'}\n", "j.yaml:4:5: 'name' is missing"},
        {SHELL "  - {name: b}\n", "j.yaml:4:5: step 'b' needs a package"},
        {SHELL "  - {name: b, run: x}\n", "step 'b' needs a package"},
        {SHELL "  - {name: b, subsystem: parent, run: x}\n", "subsystem parent has no run: TEXT"},
        {SHELL "  - {name: b, subsystem: shell, run: x, pakcage: y}\n", "j.yaml:4:41: "},
        {SHELL "  - {name: b, package: extract, run: x}\n",
         "has a package, which decides what runs"},
        {SHELL "  - {name: b, package: extrakt, parameters: {}}\n",
         "j.yaml:4:24: package 'extrakt' is not installed here"},
        {SHELL "  - {name: b, package: extract@x}\n", "j.yaml:4:24: 'x' is not a version"},
        {SHELL "  - {name: b, package: extract}\n",
         "step 'b' does not give 'table', which package 'extract' requires"},
        {STEP "    on_success: goto b\n", "j.yaml:6:17: this job has no step 'b'"},
        {STEP "    on_failure: goto b\n  - {name: b, always: true, subsystem: shell, run: x}\n",
         "j.yaml:6:17: step 'b' always runs at the end: it cannot be a goto target"},
        {STEP "    on_failure: nxet\n", "unknown action 'nxet' (did you mean 'next'?)"},
        {STEP "    on_failure: retry\n", "unknown action 'retry'"},
        {STEP "  - {name: b, always: true, subsystem: shell, run: x, on_failure: next}\n",
         "takes no on_success or on_failure"},
        {"job: j\nsteps: [{name: a, always: true, subsystem: shell, run: x}]\n",
         "a job needs a step that is not `always`"},
        {STEP "    retry: {interval: 1s}\n", "'attempts' is missing"},
        {STEP "    retry: {attempts: 0}\n", "j.yaml:6:23: 0 is not between 1 and 100"},
        {STEP "    retry: {attempts: 101}\n", "101 is not between"},
        {STEP "    retry: {attempts: 2, interval: 5}\n", "j.yaml:6:36: "},
        {STEP "    retry: {attempts: 2, exit_codes: [256]}\n", "256 is not between 0 and 255"},
        {STEP "    retry: {attempts: 2, exit_codes: []}\n", "the list of exit codes is empty"},
        {STEP "    retry: {attempts: 2, wait: 1s}\n", "j.yaml:6:26: "},
        {STEP "    timeout: 0s\n", "j.yaml:6:14: "},
        {STEP "    success_exit_codes: 0\n", "j.yaml:6:25: "},
        {STEP "    always: yes\n", "j.yaml:6:13: "},
        {STEP "    proxy: A\n", "j.yaml:6:12: "},
        {"job: j\nsteps:\n  - {name: a, package: extract, parameters: {tabel: x}}\n",
         "j.yaml:3:46: package 'extract' has no parameter 'tabel' (did you mean 'table'?)"},
        {"job: j\nsteps:\n  - {name: a, package: extract, parameters: {table: \"x{{table}}\"}}\n",
         "j.yaml:3:53: a {{template}} must be a parameter's whole value"},
        {"job: j\nsteps:\n  - {name: a, package: extract, parameters: {table: \"{{a}}{{b}}\"}}\n",
         "whole value"},
        {"job: j\nsteps:\n  - {name: a, package: extract, parameters: {table: \"{{Table}}\"}}\n",
         "unknown template '{{Table}}'"},
        {"job: j\nsteps:\n  - {name: a, subsystem: shell, run: x, parameters: {l: [\"{{t}}\"]}}\n",
         "whole value"},
        {"job: j\nsteps:\n  - {name: a, package: extract, parameters: {table: t, n: x}}\n",
         "j.yaml:3:59: "},
        {"job: j\nsteps:\n  - {name: a, package: extract, parameters: {table: t, n: 10}}\n",
         "must be at most 9"},
        {"job: j\nsteps:\n  - {name: a, package: extract, parameters: {table: t, secret: x}}\n",
         "must not be in a job file; put it with lbctl secret put, and write {secret: NAME}"},
        {"job: j\nsteps:\n  - {name: a, package: extract, parameters: {table: {secret: db}}}\n",
         "'table' takes no secret, since it is not sensitive"},
        {"job: j\nsteps:\n  - {name: a, subsystem: shell, run: x, parameters: {t: {secret: db}}}\n",
         "'t' takes no secret: this step has no package"},
        {"job: j\nsteps:\n  - {name: a, package: extract, parameters: {table: t, secret: "
         "{secret: DB}}}\n",
         "the name of a secret"},
        {STEP "  - {name: b, package: publish, parameters: {rows: \"{{step.x.outputs.rows}}\"}}\n",
         "this job has no step 'x'"},
        {STEP "  - {name: b, package: publish, parameters: {rows: \"{{step.a.outputs.row}}\"}}\n",
         "declares no output 'row'"},
        {STEP "  - {name: b, package: publish, parameters: {rows: \"{{step.b.outputs.rows}}\"}}\n",
         "an output of its own"},
        {"job: j\nsteps:\n  - {name: b, package: publish, parameters: {rows: "
         "\"{{step.c.outputs.x}}\"}}\n"
         "  - {name: c, subsystem: shell, run: x}\n",
         "step 'b' runs before 'c' and cannot use its output"},
        {"job: j\nsteps:\n  - {name: b, package: publish, parameters: {rows: "
         "\"{{step.c.outputs.x}}\"}}\n"
         "  - {name: c, always: true, subsystem: shell, run: x}\n",
         "which always runs at the end"},
        {"job: j\nsteps:\n  - {name: a, subsystem: shell, run: \"echo {{table}}\"}\n",
         "j.yaml:3:38: '{{table}}' is not replaced inside 'run'"},
        {"job: j\nsteps:\n  - {name: a, subsystem: shell, run: \"echo {{ step.x.outputs.y }}\"}\n",
         "is not replaced inside 'run'"},
        {"job: j\nsteps:\n  - {name: a, subsystem: shell, run: x, parameters: {A: 1}}\n",
         "the name of a parameter"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        struct buf out = {0};
        if (compile_text("j.yaml", span_str(rows[i].yaml), find, *state, &out, &err) == 0)
            fail_msg("was taken: %s", rows[i].yaml);
        if (!strstr(err.text, rows[i].says) || strncmp(err.text, "j.yaml:", 7) != 0)
            fail_msg("expected '%s', not '%s'", rows[i].says, err.text);
        assert_int_equal(out.n, 0);
        buf_free(&out);
    }
}

/* What compiling says, a line each. */
static char *problems_of(const char *yaml, void *server)
{
    struct problems ps = {0};
    struct buf out = {0}, text = {0};
    jobfile_compile_bytes("j.yaml", span_str(yaml), find, server, &out, &ps);
    for (size_t i = 0; i < ps.n; i++)
        buf_printf(&text, "%s\n", ps.v[i].text);
    char *all = mem_strdup(buf_str(&text));
    problems_free(&ps);
    buf_free(&out);
    buf_free(&text);
    return all;
}

static void all_errors_of_a_job_are_said_at_once(void **state)
{
    char *all = problems_of("job: j\nconcurency: 3\nsteps:\n"
                            "  - {name: a, package: extract, parameters: {tabel: x, n: 10}}\n"
                            "  - {name: b, package: extrakt, parameters: {x: 1}, timeout: soon}\n"
                            "  - {name: c, subsystem: shell, run: x, on_success: goto d}\n",
                            *state);
    static const char *const wanted[] = {
        "j.yaml:2:1: unknown key 'concurency' (did you mean 'concurrency'?)",
        "j.yaml:4:46: package 'extract' has no parameter 'tabel'",
        "j.yaml:4:59: ",
        "j.yaml:4:45: step 'a' does not give 'table'",
        "j.yaml:5:24: package 'extrakt' is not installed here",
        "j.yaml:5:62: ",
        "j.yaml:6:53: this job has no step 'd'",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_contains(all, wanted[i]);
    assert_null(strstr(all, "parameter 'x'")); /* nobody knows what that package has */
    mem_free(&all);
}

static void of_too_many_errors_the_rest_is_counted(void **state)
{
    struct buf yaml = {0};
    buf_add_str(&yaml, "job: j\nsteps:\n");
    for (int i = 0; i < JOBFILE_PROBLEMS_MAX + 5; i++)
        buf_printf(&yaml, "  - {name: s%d, subsystem: shell, run: x, timeout: 0s}\n", i);
    char *all = problems_of(buf_str(&yaml), *state);
    size_t lines = 0;
    for (const char *at = all; *at; at++)
        lines += *at == '\n';
    assert_int_equal(lines, JOBFILE_PROBLEMS_MAX + 1);
    assert_contains(all, "5 more errors are not shown");
    mem_free(&all);
    buf_free(&yaml);
}

#define DECLARED \
    "job: j\nparameters:\n" \
    "  table: {type: string, required: true, description: which one}\n" \
    "  day: {type: date, default: \"{{as_of}}\"}\n"

static void a_job_declares_its_parameters(void **state)
{
    struct error err = {0};
    struct buf out = {0};
    struct d_job job;
    struct d_step s;
    struct d_parameter p;
    struct value v;
    const char *yaml = DECLARED "steps:\n  - {name: a, package: extract, parameters: {table: "
                                "\"{{table}}\", day: \"{{day}}\"}}\n";
    if (compile_text("j", span_str(yaml), find, *state, &out, &err) < 0)
        fail_msg("%s", err.text);
    decode(&out, &job, &s, 1);
    assert_true(value_read(&job.parameters, &v));
    assert_int_equal(d_parameter_decode(v.bytes, &p, &err), 0);
    assert_true(span_eq_str(p.name, "day") && span_eq_str(p.type, "date") && p.fallback.n);
    assert_true(value_read(&job.parameters, &v));
    assert_int_equal(d_parameter_decode(v.bytes, &p, &err), 0);
    assert_true(span_eq_str(p.name, "table") && p.required);
    assert_true(span_eq_str(p.description, "which one"));
    assert_int_equal(job.parameters.n, 0);
    buf_free(&out);
}

static void what_a_job_declares_is_held_against_its_steps(void **state)
{
    static const struct {
        const char *yaml, *says;
    } rows[] = {
        {DECLARED "steps:\n  - {name: a, package: extract, parameters: {table: \"{{tabel}}\"}}\n",
         "j.yaml:6:53: the job declares no parameter 'tabel' (did you mean 'table'?)"},
        {DECLARED "steps:\n  - {name: a, package: extract, parameters: {table: \"{{table}}\"}}\n",
         "j.yaml:4:3: no step uses the parameter 'day'"},
        {DECLARED "steps:\n  - {name: a, package: extract, parameters: {table: \"{{table}}\", "
                  "n: \"{{day}}\"}}\n",
         "j.yaml:6:69: the job declares 'day' as date, which cannot be 'n' of type int"},
        {"job: j\nparameters:\n  a: {type: text}\nsteps:\n  - {name: a, subsystem: shell, run: x, "
         "parameters: {a: \"{{a}}\"}}\n",
         "j.yaml:3:13: unknown type 'text'"},
        {"job: j\nparameters:\n  a: {type: int, default: x}\nsteps:\n  - {name: a, subsystem: "
         "shell, run: x, parameters: {a: \"{{a}}\"}}\n",
         "j.yaml:3:27: "},
        {"job: j\nparameters:\n  a: {type: int, descripton: x}\nsteps:\n  - {name: a, subsystem: "
         "shell, run: x, parameters: {a: \"{{a}}\"}}\n",
         "(did you mean 'description'?)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *all = problems_of(rows[i].yaml, *state);
        assert_contains(all, rows[i].says);
        mem_free(&all);
    }
}

static void a_goto_back_allows_the_output_of_a_later_step(void **state)
{
    struct error err = {0};
    struct buf out = {0};
    const char *yaml = "job: j\nsteps:\n  - {name: b, package: publish, parameters: {rows: "
                       "\"{{step.c.outputs.x}}\"}}\n"
                       "  - {name: c, subsystem: shell, run: x, on_success: goto b}\n";
    if (compile_text("j", span_str(yaml), find, *state, &out, &err) < 0)
        fail_msg("%s", err.text);
    buf_free(&out);
}

static void the_job_of_a_package_binds_each_parameter_to_the_calls(void **state)
{
    struct jobfile_server *server = *state;
    struct buf out = {0};
    struct d_runnable r;
    struct d_job job;
    struct d_step s;
    assert_int_equal(d_runnable_decode(buf_span(&server->extract), &r, NULL), 0);
    jobfile_of_package(&r, &out);
    decode(&out, &job, &s, 1);
    assert_true(span_eq_str(job.name, "package:extract"));
    assert_int_equal(s.bindings.count, 4);
    assert_int_equal(binding(&s, "table").from, BINDING_CALL);
    buf_free(&out);
}

static void a_job_has_the_name_of_its_file(void **state)
{
    void *folder = NULL;
    struct error err = {0};
    struct problems ps = {0};
    struct buf out = {0};
    assert_int_equal(testing_folder(&folder), 0);
    const char *good = testing_path(&folder, "j.yaml"), *bad = testing_path(&folder, "k.yaml");
    assert_int_equal(file_write_atomic(good, span_str(SHELL), 0644, &err), 0);
    assert_int_equal(file_write_atomic(bad, span_str(SHELL), 0644, &err), 0);
    assert_int_equal(jobfile_compile(good, find, *state, &out, &ps), 0);
    assert_true(jobfile_compile(bad, find, *state, &out, &ps) < 0);
    assert_contains(ps.v[0].text, "job 'j' must be in a file named j.yaml");
    problems_free(&ps);
    buf_free(&out);
    assert_int_equal(testing_folder_end(&folder), 0);
}

#define with_server(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_server(every_key_of_a_job_is_compiled),
        with_server(the_same_file_gives_the_same_hash_until_a_package_changes),
        with_server(each_wrong_job_is_refused_with_its_place),
        with_server(all_errors_of_a_job_are_said_at_once),
        with_server(of_too_many_errors_the_rest_is_counted),
        with_server(a_job_declares_its_parameters),
        with_server(what_a_job_declares_is_held_against_its_steps),
        with_server(a_goto_back_allows_the_output_of_a_later_step),
        with_server(the_job_of_a_package_binds_each_parameter_to_the_calls),
        with_server(a_job_has_the_name_of_its_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
