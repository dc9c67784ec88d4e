#include "worker/jobs.h"

#include <errno.h>
#include <fcntl.h>

#include "common/clock.h"
#include "package/fixture.h"
#include "package/jobfile.h"

#define HELLO \
    "job: hello\nsteps:\n  - {name: greet, subsystem: shell, run: echo hello, " \
    "parameters: {who: \"{{who}}\"}}\n"
#define NIGHTLY \
    "job: nightly\nsteps:\n  - {name: a, package: extract, parameters: {table: \"{{t}}\"}}\n"

struct jobs_world {
    struct jobs *jobs;
    unsigned troubles;
    char trouble[ERROR_TEXT_MAX];
    bool uses;
};

static void on_trouble(void *self, const char *file, const struct error *why)
{
    struct jobs_world *w = self;
    (void)file;
    w->troubles++;
    snprintf(w->trouble, sizeof w->trouble, "%s", why->text);
}

static bool uses(void *self, const struct hash *job)
{
    (void)job;
    return ((struct jobs_world *)self)->uses;
}

static void begin(void **state, struct jobs_world *w)
{
    struct error err = {0};
    *w = (struct jobs_world){.jobs = NULL};
    must(jobs_open(&w->jobs,
                   &(struct jobs_folders){testing_path(state, "etc"), testing_path(state, "store"),
                                          testing_path(state, "compiled"), false, false, NULL},
                   &err));
}

static int refresh(struct jobs_world *w, int64_t later_ms)
{
    struct error err = {0};
    w->troubles = 0;
    int rc = jobs_refresh(w->jobs, clock_wall_ms() + later_ms, uses, on_trouble, w, &err);
    must(rc);
    return rc;
}

static const char *etc(void **state)
{
    return testing_path(state, "etc");
}

static struct hash install_extract(void **state, const char *version, const char *more)
{
    struct error err = {0};
    struct hash hash;
    char *yaml = mem_printf(
        "name: extract\nversion: %s\nsubsystem: exec\nentry: bin/extract\nlimits: {timeout: 1m}\n"
        "parameters:\n  table: {type: string, required: true, pattern: \"[a-z]+\"}\n%s",
        version, more);
    fixture_put(testing_path(state, "p"), "package.yaml", yaml, 0644);
    fixture_put(testing_path(state, "p"), "bin/extract", "#!/bin/sh\n", 0755);
    mem_free(&yaml);
    fixture_build(testing_path(state, "p"), testing_path(state, "p.lbp"), &hash);
    fixture_sign(testing_path(state, "p.lbp"), "extract", version, testing_path(state, "signers"));
    must(fixture_install(state, testing_path(state, "p.lbp"), &err));
    return hash;
}

static const struct job_here *named(const struct jobs_world *w, const char *name)
{
    const struct job_here *j;
    for (size_t i = 0; (j = jobs_at(w->jobs, i)); i++)
        if (strcmp(j->name, name) == 0)
            return j;
    fail_msg("there is no job '%s'", name);
    return NULL;
}

static struct d_attested_job attested(const struct jobs_world *w, const char *name)
{
    struct d_attested_job a = {.concurrency = 0};
    struct error err = {0};
    must(d_attested_job_decode(buf_span(&named(w, name)->attested), &a, &err));
    return a;
}

static void a_job_file_is_compiled_kept_and_found(void **state)
{
    struct jobs_world w;
    struct error err = {0};
    struct span bytes;
    begin(state, &w);
    fixture_put(etc(state), "hello.yaml", HELLO, 0644);
    fixture_put(etc(state), "notes.txt", "not a job", 0644);
    assert_int_equal(refresh(&w, 0), 1);
    assert_int_equal(refresh(&w, 0), 0);
    const struct job_here *j = named(&w, "hello");
    char hex[65];
    char *path =
        mem_printf("%s/%s", testing_path(state, "compiled"), hex_format(j->hash.b, 32, hex));
    struct buf kept = {0};
    must(file_read(path, LIMIT_JOB_BODY, &kept, &err));
    struct hash h;
    jobfile_hash(buf_span(&kept), &h);
    assert_true(hash_eq(&h, &j->hash));
    must(jobs_find(w.jobs, span_str("hello"), &h, &bytes, &err));
    assert_true(span_eq(bytes, buf_span(&kept)));
    mem_free(&path);
    buf_free(&kept);
    jobs_close(&w.jobs);
}

static void a_file_that_others_can_write_is_ignored(void **state)
{
    struct jobs_world w;
    begin(state, &w);
    fixture_put(etc(state), "hello.yaml", HELLO, 0666);
    refresh(&w, 0);
    assert_null(jobs_at(w.jobs, 0));
    assert_int_equal(w.troubles, 1);
    assert_contains(w.trouble, "can be written by others (mode 666)");
    fixture_put(etc(state), "hello.yaml", HELLO, 0644);
    assert_int_equal(refresh(&w, 0), 1);
    named(&w, "hello");
    jobs_close(&w.jobs);
}

static void a_file_that_does_not_compile_is_reported_and_others_are_used(void **state)
{
    struct jobs_world w;
    begin(state, &w);
    fixture_put(etc(state), "hello.yaml", HELLO, 0644);
    fixture_put(etc(state), "bad.yaml", "job: bad\nsteps: 5\n", 0644);
    assert_int_equal(refresh(&w, 0), 1);
    assert_int_equal(w.troubles, 1);
    assert_contains(w.trouble, "bad.yaml");
    assert_int_equal(jobs_troubled(w.jobs), 1);
    named(&w, "hello");
    jobs_close(&w.jobs);
}

static void a_package_has_a_job_of_its_own(void **state)
{
    struct jobs_world w;
    begin(state, &w);
    struct hash package = install_extract(
        state, "1.0", "idempotent: true\nneeds:\n  - path: /srv\n  - command: sh\n");
    assert_int_equal(refresh(&w, 0), 1);
    struct d_attested_job a = attested(&w, "package:extract");
    assert_true(a.idempotent);
    assert_true(span_eq_str(a.version, "1.0"));
    assert_int_equal(a.packages.count, 1);
    struct wire_iter it = wire_iter(&a.packages);
    struct span item;
    assert_true(wire_next(&it, &item));
    assert_true(span_eq(item, span_of(package.b, 32)));
    jobs_close(&w.jobs);
}

/* ---- What the runner says */

static uint64_t asked;

static void on_ask(void *self, struct span question)
{
    struct s_probe p;
    (void)self;
    assert_int_equal(s_probe_decode(question, &p, NULL), 0);
    asked = p.number;
}

static void on_change(void *self)
{
    (void)self;
}

/* Each name and a comma. */
static const char *needs_of(const struct jobs_world *w, const char *job)
{
    static struct buf text;
    struct d_attested_job a = attested(w, job);
    struct span item;
    buf_clear(&text);
    for (struct wire_iter it = wire_iter(&a.needs); wire_next(&it, &item);)
        buf_printf(&text, SPAN_FMT ",", SPAN_ARG(item));
    return buf_str(&text);
}

static void says_holds(struct answers *a, const char *need)
{
    struct buf items = {0}, one = {0};
    d_need_encode(&(struct d_need){.need = span_str(need), .holds = true, .probed_at = 1}, &one);
    wire_add_bin(&items, buf_span(&one));
    answers_take(a, &(struct s_probed){.number = asked, .needs = wire_list_from(&items, 1)});
    buf_free(&items);
    buf_free(&one);
}

static void a_job_needs_what_the_runner_says_and_what_it_would_refuse_is_not_offered(void **state)
{
    struct jobs_world w;
    struct buf items = {0};
    struct error err = {0};
    uint32_t n = 0;
    struct loop *loop = loop_new(NULL);
    struct answers *a = answers_new(loop, &(struct answers_calls){NULL, on_ask, on_change});
    answers_runner_up(a, true);
    begin(state, &w);
    jobs_close(&w.jobs);
    must(jobs_open(&w.jobs,
                   &(struct jobs_folders){testing_path(state, "etc"), testing_path(state, "store"),
                                          testing_path(state, "compiled"), false, false, a},
                   &err));
    install_extract(state, "1.0", "needs:\n  - command: sh\n");
    assert_int_equal(refresh(&w, 0), 1);
    /* not answered yet: a need that nothing says holds, and no trouble */
    assert_string_equal(needs_of(&w, "package:extract"), "runner:package:extract,");
    jobs_add_refusals(w.jobs, 1, &items, &n);
    assert_int_equal(n, 0);
    says_holds(a, "command:sh");
    jobs_attest_again(w.jobs);
    assert_string_equal(needs_of(&w, "package:extract"), "command:sh,");
    answers_ask_all(a);
    answers_take(a, &(struct s_probed){.number = asked,
                                       .code = REFUSAL_NO_PROXY,
                                       .text = span_str("no proxy for it")});
    jobs_attest_again(w.jobs);
    assert_string_equal(needs_of(&w, "package:extract"), "runner:package:extract,");
    assert_string_equal(named(&w, "package:extract")->refused, "step 'run': no proxy for it");
    jobs_add_refusals(w.jobs, 1, &items, &n);
    assert_int_equal(n, 1);
    jobs_close(&w.jobs);
    answers_free(&a);
    loop_destroy(&loop);
    buf_free(&items);
}

static void the_parameters_of_a_job_are_declared_like_those_of_its_package(void **state)
{
    struct jobs_world w;
    struct error err = {0};
    struct value v;
    struct d_parameter p;
    begin(state, &w);
    install_extract(state, "1.0", "");
    fixture_put(etc(state), "nightly.yaml", NIGHTLY, 0644);
    assert_int_equal(refresh(&w, 0), 1);
    struct d_attested_job a = attested(&w, "nightly");
    struct span rest = a.parameters;
    assert_true(value_read(&rest, &v));
    must(d_parameter_decode(v.bytes, &p, &err));
    assert_true(span_eq_str(p.name, "t"));
    assert_true(p.required && span_eq_str(p.pattern, "[a-z]+"));
    assert_int_equal(rest.n, 0);
    assert_false(a.idempotent);
    jobs_close(&w.jobs);
}

static void a_new_version_of_a_package_makes_a_new_version_of_the_job(void **state)
{
    struct jobs_world w;
    struct error err = {0};
    struct span bytes;
    begin(state, &w);
    install_extract(state, "1.0", "");
    fixture_put(etc(state), "nightly.yaml", NIGHTLY, 0644);
    refresh(&w, 0);
    struct hash first = named(&w, "nightly")->hash;
    install_extract(state, "1.1", "");
    assert_int_equal(refresh(&w, 0), 1);
    assert_false(hash_eq(&first, &named(&w, "nightly")->hash));
    /* calls on their way still find it */
    must(jobs_find(w.jobs, span_str("nightly"), &first, &bytes, &err));
    w.uses = true;
    refresh(&w, JOBS_OLDER_MS + 1000);
    must(jobs_find(w.jobs, span_str("nightly"), &first, &bytes, &err)); /* an attempt needs it */
    w.uses = false;
    refresh(&w, JOBS_OLDER_MS + 1000);
    assert_int_equal(jobs_find(w.jobs, span_str("nightly"), &first, &bytes, &err), -ENOENT);
    assert_contains(err.text, "another version");
    must(jobs_find(w.jobs, span_str("nightly"), &named(&w, "nightly")->hash, &bytes, &err));
    jobs_close(&w.jobs);
}

static void put_hello(void **state, unsigned version)
{
    char *yaml = mem_printf(
        "job: hello\nsteps:\n  - {name: greet, subsystem: shell, run: echo %u}\n", version);
    fixture_put(etc(state), "hello.yaml", yaml, 0644);
    mem_free(&yaml);
}

static unsigned attested_versions(const struct jobs_world *w)
{
    const struct job_here *j;
    unsigned n = 0;
    for (; (j = jobs_at(w->jobs, n)); n++) {
        struct d_attested_job a;
        assert_int_equal(j->older, n);
        assert_int_equal(d_attested_job_decode(buf_span(&j->attested), &a, NULL), 0);
        assert_int_equal(a.older, n);
        assert_true(hash_eq(&a.job_hash, &j->hash));
    }
    return n;
}

static void older_versions_of_a_changed_job_are_attested_newest_first(void **state)
{
    struct jobs_world w;
    struct hash seen[12];
    begin(state, &w);
    for (unsigned i = 0; i < 12; i++) {
        put_hello(state, i);
        assert_int_equal(refresh(&w, i * 1000), 1);
        seen[i] = jobs_at(w.jobs, 0)->hash;
    }
    assert_int_equal(attested_versions(&w), 1 + JOBS_OLDER);
    for (unsigned i = 0; i <= JOBS_OLDER; i++)
        assert_true(hash_eq(&jobs_at(w.jobs, i)->hash, &seen[11 - i]));
    jobs_close(&w.jobs);
    begin(state, &w); /* a restarted worker knows as much */
    assert_int_equal(refresh(&w, 12000), 1);
    assert_int_equal(attested_versions(&w), 1 + JOBS_OLDER);
    assert_true(hash_eq(&jobs_at(w.jobs, 1)->hash, &seen[10]));
    put_hello(state, 5); /* back to an older version */
    assert_int_equal(refresh(&w, 13000), 1);
    assert_int_equal(attested_versions(&w), 1 + JOBS_OLDER);
    assert_true(hash_eq(&jobs_at(w.jobs, 0)->hash, &seen[5]));
    assert_true(hash_eq(&jobs_at(w.jobs, 1)->hash, &seen[11]));
    /* one was replaced a second earlier */
    assert_int_equal(refresh(&w, 12000 + JOBS_OLDER_MS), 1);
    assert_int_equal(attested_versions(&w), 2);
    assert_int_equal(refresh(&w, 14000 + JOBS_OLDER_MS), 1);
    assert_int_equal(attested_versions(&w), 1);
    jobs_close(&w.jobs);
}

/* However old a version is, its time counts from when it was replaced. */
static void a_version_that_was_current_for_a_month_stays_for_a_week(void **state)
{
    struct jobs_world w;
    begin(state, &w);
    put_hello(state, 1);
    refresh(&w, 0);
    put_hello(state, 2);
    assert_int_equal(refresh(&w, 30LL * 86400000), 1);
    assert_int_equal(attested_versions(&w), 2);
    jobs_close(&w.jobs);
}

static void an_older_version_whose_package_is_gone_is_not_attested(void **state)
{
    struct jobs_world w;
    struct error err = {0};
    char hex[65];
    begin(state, &w);
    struct hash package = install_extract(state, "1.0", "");
    fixture_put(etc(state), "nightly.yaml", NIGHTLY, 0644);
    refresh(&w, 0);
    struct hash first = named(&w, "nightly")->hash;
    install_extract(state, "1.1", "");
    refresh(&w, 0);
    unsigned with = 0, without = 0;
    for (size_t i = 0; jobs_at(w.jobs, i); i++)
        with += hash_eq(&jobs_at(w.jobs, i)->hash, &first);
    char *path = mem_printf("%s/%s", testing_path(state, "store"), hex_format(package.b, 32, hex));
    must(file_remove_tree(path, &err));
    mem_free(&path);
    assert_int_equal(refresh(&w, 0), 1);
    for (size_t i = 0; jobs_at(w.jobs, i); i++)
        without += hash_eq(&jobs_at(w.jobs, i)->hash, &first);
    assert_int_equal(with, 1);
    assert_int_equal(without, 0);
    jobs_close(&w.jobs);
}

static void a_removed_job_is_gone(void **state)
{
    struct jobs_world w;
    struct error err = {0};
    struct span bytes;
    begin(state, &w);
    fixture_put(etc(state), "hello.yaml", HELLO, 0644);
    refresh(&w, 0);
    struct hash h = named(&w, "hello")->hash;
    must(file_remove_tree(testing_path(state, "etc/hello.yaml"), &err));
    assert_int_equal(refresh(&w, 0), 1);
    assert_null(jobs_at(w.jobs, 0));
    /* calls on their way still find it */
    must(jobs_find(w.jobs, span_str("hello"), &h, &bytes, &err));
    refresh(&w, JOBS_GRACE_MS * 2);
    assert_int_equal(jobs_find(w.jobs, span_str("hello"), &h, &bytes, &err), -ENOENT);
    assert_contains(err.text, "not here");
    jobs_close(&w.jobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_job_file_is_compiled_kept_and_found),
        in_folder(a_file_that_others_can_write_is_ignored),
        in_folder(a_file_that_does_not_compile_is_reported_and_others_are_used),
        in_folder(a_package_has_a_job_of_its_own),
        in_folder(a_job_needs_what_the_runner_says_and_what_it_would_refuse_is_not_offered),
        in_folder(the_parameters_of_a_job_are_declared_like_those_of_its_package),
        in_folder(a_new_version_of_a_package_makes_a_new_version_of_the_job),
        in_folder(older_versions_of_a_changed_job_are_attested_newest_first),
        in_folder(a_version_that_was_current_for_a_month_stays_for_a_week),
        in_folder(an_older_version_whose_package_is_gone_is_not_attested),
        in_folder(a_removed_job_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
