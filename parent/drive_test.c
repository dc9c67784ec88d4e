/* lbsubmit's parts against a broker scripted by each test; one loop drives both. */
#include "client/fixture.h"

#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

#include "parent/submit.h"

enum { RUNS = 64 };

/* What the test's broker holds and has received. */
struct drive_play {
    struct client_cluster *c;
    struct submit_shell shell;
    struct buf heard; /* "PLAN BEGIN DRIVE RESOLVE CALL a/0 ...": in order of arrival */
    struct buf plan;  /* its bytes so far */
    unsigned resolves, calls, ended, drives, follows;
    struct id run[RUNS];
    enum refusal refuse_begin, refuse_calls, refuse_resolve;
    unsigned plan_lost; /* how often to forget the chunks */
    unsigned held;      /* ENDs to refuse as if another session drove it */
    bool silent;        /* calls are not answered */
    bool deaf;          /* nor is an END */
    bool stay;          /* runs do not end by themselves */
    const char *fail_task;
    struct buf report;
    uint64_t epoch, ended_epoch, status;
    char keys[RUNS][LIMIT_KEY + 1];
    struct hash hashes[RUNS];
    struct buf parameters; /* of the last call */
    uint32_t n_parameters;
    struct buf declared;
    uint32_t n_declared;
    char *old_home;
};

static const struct id parent_id = {{0x01, 0x99, 7}};

static void hear(struct drive_play *p, const char *what)
{
    buf_printf(&p->heard, "%s%s", p->heard.n ? " " : "", what);
}

static void say_error(struct client_cluster *c, uint64_t req, enum refusal code)
{
    struct m_error m = {.req = req, .code = code, .text = span_str("because it must be so")};
    broker_says(c, &m_error_schema, &m);
}

static void take_plan(struct client_cluster *c, struct drive_play *p, struct span message)
{
    struct m_parent_plan m;
    char text[32];
    assert_int_equal(m_parent_plan_decode(message, &m, NULL), 0);
    hear(p, "PLAN");
    if (m.offset == p->plan.n)
        buf_add(&p->plan, m.data.p, m.data.n);
    if (p->plan_lost && p->plan.n > LIMIT_CHUNK) { /* as if it had restarted in between */
        p->plan_lost--;
        p->plan.n = 0;
    }
    snprintf(text, sizeof text, "%zu", p->plan.n);
    broker_says(c, &m_done_schema, &(struct m_done){.req = m.req, .text = span_str(text)});
}

static void take_begin(struct client_cluster *c, struct drive_play *p, struct span message)
{
    struct m_parent_begin m;
    struct d_signed s;
    struct d_parent d;
    struct error err;
    struct hash hash;
    assert_int_equal(m_parent_begin_decode(message, &m, NULL), 0);
    hear(p, "BEGIN");
    if (envelope_open(ENVELOPE_PARENT, m.parent, &c->anna.sign, &s, &err) < 0 ||
        d_parent_decode(s.body, &d, &err) < 0)
        fail_msg("%s", err.text);
    envelope_hash(buf_span(&p->plan), &hash);
    assert_true(hash_eq(&hash, &d.plan));
    assert_int_equal(d.plan_size, p->plan.n);
    assert_true(span_eq_str(d.name, "night"));
    assert_true(span_eq_str(s.signer, "anna"));
    if (p->refuse_begin)
        say_error(c, m.req, p->refuse_begin);
    else
        broker_says(c, &m_accepted_schema, &(struct m_accepted){.req = m.req, .run = parent_id});
}

static void take_drive(struct client_cluster *c, struct drive_play *p, struct span message)
{
    struct m_parent_drive m;
    assert_int_equal(m_parent_drive_decode(message, &m, NULL), 0);
    assert_true(id_eq(m.parent, parent_id));
    p->drives++;
    hear(p, "DRIVE");
    broker_says(
        c, &m_driving_schema,
        &(struct m_driving){
            .req = m.req, .parent = parent_id, .epoch = ++p->epoch, .resumed = p->epoch > 1});
}

static void take_resolve(struct client_cluster *c, struct drive_play *p, struct span message)
{
    struct m_resolve m;
    struct buf version = {0}, items = {0}, servers = {0};
    assert_int_equal(m_resolve_decode(message, &m, NULL), 0);
    p->resolves++;
    hear(p, "RESOLVE");
    if (p->refuse_resolve) {
        say_error(c, m.req, p->refuse_resolve);
        return;
    }
    struct d_version v = {.job_hash = {{(uint8_t)p->resolves}},
                          .parameters = buf_span(&p->declared)};
    d_version_encode(&v, &version);
    wire_add_bin(&items, buf_span(&version));
    wire_add_str(&servers, span_str("etl2"));
    wire_add_str(&servers, span_str("etl1"));
    struct m_resolved answer = {.req = m.req,
                                .versions = wire_list_from(&items, 1),
                                .servers = wire_list_from(&servers, 2)};
    broker_says(c, &m_resolved_schema, &answer);
    buf_free(&version);
    buf_free(&items);
    buf_free(&servers);
}

static void say_ended(struct client_cluster *c, struct id run, bool good, bool cancelled)
{
    struct buf outputs = {0}, b = {0};
    value_add_str(&outputs, span_str("rows"));
    value_add_int(&outputs, 7);
    struct d_outcome o = {.job = cancelled ? JOB_CANCELLED
                                 : good    ? JOB_SUCCEEDED
                                           : JOB_FAILED,
                          .package = cancelled ? PACKAGE_CANCELLED
                                     : good    ? PACKAGE_SUCCEEDED
                                               : PACKAGE_FAILED,
                          .status = cancelled ? STATUS_CANCELLED
                                    : good    ? STATUS_SUCCEEDED
                                              : STATUS_FAILED,
                          .message = span_str(good ? "" : "exit 4"),
                          .server = span_str("\033[2Jetl9")}; /* the name the worker gives itself */
    if (good)
        o.outputs = wire_list_from(&outputs, 1);
    d_outcome_encode(&o, &b);
    broker_says(c, &m_run_ended_schema,
                &(struct m_run_ended){
                    .run = run, .attempt = 1, .server = span_str("etl2"), .outcome = buf_span(&b)});
    buf_free(&outputs);
    buf_free(&b);
}

static void take_call(struct client_cluster *c, struct drive_play *p, struct span message)
{
    struct m_call m;
    struct d_signed s;
    struct d_call d;
    char what[LIMIT_NAME + 32];
    assert_int_equal(m_call_decode(message, &m, NULL), 0);
    assert_int_equal(batch_open(m.call, &c->anna.sign, NULL, &s, NULL), 0);
    assert_int_equal(d_call_decode(s.body, &d, NULL), 0);
    assert_true(span_eq_str(d.plan, d.task.n ? "night" : ""));
    snprintf(what, sizeof what, "CALL:" SPAN_FMT "/%u", SPAN_ARG(d.task), (unsigned)d.index);
    hear(p, what);
    unsigned n = p->calls++;
    assert_true(n < RUNS);
    span_copy_str(d.key, p->keys[n], sizeof p->keys[n]);
    p->hashes[n] = d.job_hash;
    buf_clear(&p->parameters);
    buf_add(&p->parameters, d.parameters.items.p, d.parameters.items.n);
    p->n_parameters = d.parameters.count;
    if (p->silent)
        return;
    if (p->refuse_calls) {
        say_error(c, m.req, p->refuse_calls);
        return;
    }
    p->run[n] = (struct id){{0x01, 0x98, (uint8_t)n}};
    broker_says(c, &m_accepted_schema, &(struct m_accepted){.req = m.req, .run = p->run[n]});
    if (!p->stay) {
        broker_says(
            c, &m_run_state_schema,
            &(struct m_run_state){
                .run = p->run[n], .state = RUN_RUNNING, .attempt = 1, .server = span_str("etl2")});
        say_ended(c, p->run[n], !p->fail_task || !span_eq_str(d.task, p->fail_task), false);
    }
}

static void take_cancel(struct client_cluster *c, struct drive_play *p, struct span message)
{
    struct m_cancel m;
    assert_int_equal(m_cancel_decode(message, &m, NULL), 0);
    hear(p, "CANCEL");
    broker_says(c, &m_done_schema, &(struct m_done){.req = m.req});
    say_ended(c, m.run, false, true);
}

static void take_end(struct client_cluster *c, struct drive_play *p, struct span message)
{
    struct m_parent_end m;
    assert_int_equal(m_parent_end_decode(message, &m, NULL), 0);
    hear(p, "END");
    if (p->deaf)
        return;
    if (p->held) {
        p->held--;
        say_error(c, m.req, REFUSAL_HELD_BY_OTHER);
        return;
    }
    p->ended++;
    p->status = m.status;
    p->ended_epoch = m.epoch;
    buf_clear(&p->report);
    buf_add(&p->report, m.report.p, m.report.n);
    broker_says(c, &m_done_schema, &(struct m_done){.req = m.req});
}

static void take(struct client_cluster *c, uint64_t kind, struct span message)
{
    struct drive_play *p = c->test;
    struct m_follow follow;
    switch (kind) {
    case KIND_M_PARENT_PLAN:
        take_plan(c, p, message);
        break;
    case KIND_M_PARENT_BEGIN:
        take_begin(c, p, message);
        break;
    case KIND_M_PARENT_DRIVE:
        take_drive(c, p, message);
        break;
    case KIND_M_PARENT_END:
        take_end(c, p, message);
        break;
    case KIND_M_RESOLVE:
        take_resolve(c, p, message);
        break;
    case KIND_M_CALL:
        take_call(c, p, message);
        break;
    case KIND_M_CANCEL:
        take_cancel(c, p, message);
        break;
    case KIND_M_FOLLOW:
        assert_int_equal(m_follow_decode(message, &follow, NULL), 0);
        p->follows++;
        say_ended(c, follow.run, true, false);
        break;
    }
}

/* ---- The scene */

static int begin(void **state)
{
    if (cluster_begin(state) < 0)
        return -1;
    struct drive_play *p = mem_zalloc(1, sizeof *p);
    struct client_cluster *c = *state;
    struct error err = {0};
    char *etc = mem_printf("%s/etc", c->folder);
    if (symlink(".", etc) < 0)
        return -1;
    mem_free(&etc);
    p->c = c;
    p->old_home = getenv("LONGBOAT_HOME") ? mem_strdup(getenv("LONGBOAT_HOME")) : NULL;
    setenv("LONGBOAT_HOME", c->folder, 1);
    c->take = take;
    c->test = p;
    p->shell = (struct submit_shell){.loop = c->loop, .quiet = true, .json = true};
    return longboat_open(&p->shell.lb, NULL, c->loop, &err);
}

static int end(void **state)
{
    struct client_cluster *c = *state;
    struct drive_play *p = c->test;
    longboat_close(&p->shell.lb);
    p->old_home ? setenv("LONGBOAT_HOME", p->old_home, 1) : unsetenv("LONGBOAT_HOME");
    mem_free(&p->old_home);
    buf_free(&p->heard);
    buf_free(&p->plan);
    buf_free(&p->report);
    buf_free(&p->parameters);
    buf_free(&p->declared);
    mem_free(&p);
    return cluster_end(state);
}

/* Runs `work` with stdout in a file and returns what it printed. */
static char *printed(struct drive_play *p, int (*work)(struct drive_play *p, void *argument),
                     void *argument, int *ret_code)
{
    char *path = mem_printf("%s/stdout", p->c->folder);
    struct buf text = {0};
    fflush(stdout);
    int kept = dup(STDOUT_FILENO), file = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    assert_true(kept >= 0 && file >= 0);
    dup2(file, STDOUT_FILENO);
    *ret_code = work(p, argument);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    close(file);
    assert_int_equal(file_read(path, 1 << 24, &text, NULL), 0);
    char *all = span_dup_str(buf_span(&text));
    buf_free(&text);
    mem_free(&path);
    return all;
}

static int run_plan(struct drive_play *p, void *argument)
{
    struct plan_made made = {0};
    struct problems problems = {0};
    struct parent_run run = {0};
    struct error err = {0};
    struct span text = span_str(argument);
    struct plan_order order = {.now = clock_wall_ms()};
    if (plan_make("p.yaml", text, &order, &made, &problems) < 0)
        fail_msg("%s", problems.v[0].text);
    enum refusal refusal;
    int code, rc = parent_begin(&p->shell, text, &made, NULL, order.now, &run, &refusal, &err);
    if (rc < 0) {
        assert_int_equal(rc, -EREMOTEIO);
        assert_contains(err.text, "because it must be so");
        code = EXIT_REFUSED;
    } else {
        code = drive(&p->shell, &made, &run);
    }
    plan_made_free(&made);
    return code;
}

#define PLAN \
    "parent: night\n" \
    "tasks:\n" \
    "  a: {job: j, pool: etl, for_each: {t: [x, y]}, parameters: {t: \"{{t}}\"}}\n" \
    "  b: {job: j, pool: etl, after: [{task: a, is: success}]}\n" \
    "  c:\n" \
    "    package: say\n" \
    "    server: wh1\n" \
    "    after: [{task: b, is: success}]\n" \
    "    parameters: {n: \"{{task.b.outputs.rows}}\"}\n"

static int plan(struct drive_play *p, const char *text)
{
    int code;
    char *out = printed(p, run_plan, (char *)(uintptr_t)text, &code);
    mem_free(&out);
    return code;
}

/* ---- Parents */

static void a_parent_is_durable_before_its_first_call_and_ends_with_its_report(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    struct value v;
    assert_int_equal(plan(p, PLAN), EXIT_SUCCEEDED);
    assert_string_equal(buf_str(&p->heard),
                        "PLAN BEGIN DRIVE RESOLVE CALL:a/0 CALL:a/1 CALL:b/0 RESOLVE CALL:c/0 END");
    assert_int_equal(p->status, STATUS_SUCCEEDED);
    assert_int_equal(p->ended_epoch, 1);
    assert_string_equal(p->keys[1], "01990700-0000-0000-0000-000000000000/a/1/1");
    assert_int_equal(p->hashes[0].b[0], 1); /* one version for a job at an address */
    assert_int_equal(p->hashes[2].b[0], 1);
    assert_int_equal(p->hashes[3].b[0], 2);
    struct wire_list parameters = wire_list_from(&p->parameters, p->n_parameters);
    assert_true(wire_map_get(&parameters, "n", &v) && v.type == VALUE_INT && v.integer == 7);
    json_t *report = json_loadb((const char *)p->report.p, p->report.n, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(report, "status")), "succeeded");
    json_t *children = json_object_get(report, "children");
    assert_int_equal(json_array_size(children), 4);
    for (size_t i = 0; i < 4; i++) /* the broker's name for it, not the worker's */
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(children, i), "server")), "etl2");
    json_decref(report);
}

static void json_lines_start_with_events_and_end_with_the_report(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    int code;
    char *out = printed(p, run_plan, (char *)(uintptr_t)PLAN, &code), *last = NULL;
    unsigned n = 0;
    for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n"), n++) {
        json_t *e = json_loads(line, 0, NULL);
        assert_non_null(e);
        json_decref(e);
        last = line;
    }
    assert_true(n > 8);
    assert_contains(last, "{\"v\":1,\"event\":\"report\",\"report\":{\"v\":1,\"parent\":\"night\"");
    mem_free(&out);
}

static void a_failed_child_skips_waiting_tasks_and_exits_with_1(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    p->fail_task = "b";
    assert_int_equal(plan(p, PLAN), EXIT_RAN_AND_FAILED);
    assert_int_equal(p->status, STATUS_FAILED);
    assert_int_equal(p->calls, 3);
    assert_contains(buf_str(&p->report), "waits for success of 'b', which failed");
}

static void a_refused_begin_makes_no_call(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    p->refuse_begin = REFUSAL_DENIED;
    assert_int_equal(plan(p, PLAN), EXIT_REFUSED);
    assert_int_equal(p->calls, 0);
}

static void refused_calls_become_refused_children(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    p->refuse_calls = REFUSAL_DENIED;
    assert_int_equal(plan(p, PLAN), EXIT_RAN_AND_FAILED);
    assert_contains(buf_str(&p->report),
                    "\"status\":\"refused\",\"message\":\"because it must be so\"");
}

static void if_resolve_fails_the_call_takes_whatever_the_server_has(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    p->refuse_resolve = REFUSAL_UNKNOWN_ADDRESS;
    assert_int_equal(plan(p, PLAN), EXIT_SUCCEEDED);
    assert_true(hash_is_zero(&p->hashes[0]));
}

static void each_calls_every_server_once_by_name(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    assert_int_equal(plan(p, "parent: night\ntasks:\n  a: {job: j, pool: etl, each: true}\n"),
                     EXIT_SUCCEEDED);
    assert_int_equal(p->calls, 2);
    assert_contains(p->keys[0], "/a/etl1/1");
    assert_contains(p->keys[1], "/a/etl2/1");
}

static void a_large_plan_goes_in_chunks_even_if_the_broker_forgets_them(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    struct buf text = {0};
    buf_add_str(&text, "parent: night\ntasks:\n  a: {job: j, pool: etl}\n");
    while (text.n < 2 * LIMIT_CHUNK)
        buf_add_str(&text, "# a line of no importance, of which there are many\n");
    p->plan_lost = 1;
    assert_int_equal(plan(p, buf_str(&text)), EXIT_SUCCEEDED);
    assert_int_equal(p->plan.n, text.n);
    buf_free(&text);
}

static void an_end_refused_for_its_epoch_is_sent_again_with_a_new_lease(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    p->held = 1;
    assert_int_equal(plan(p, PLAN), EXIT_SUCCEEDED);
    assert_int_equal(p->drives, 2);
    assert_int_equal(p->ended, 1);
    assert_int_equal(p->ended_epoch, 2);
}

/* What happens while the plan runs comes from a timer of the loop. */
struct later {
    struct loop_timer timer;
    struct drive_play *play;
};

static void restart_when_called(struct loop *l, struct loop_timer *t, void *arg)
{
    struct later *x = arg;
    struct net_server_owed owed;
    net_server_owed(x->play->c->server, &owed);
    if (x->play->calls == 2 && !owed.now) {
        /* both calls of a are made, and lbsubmit knows that they are accepted */
        broker_restart(x->play->c);
        x->play->stay = false;
        return;
    }
    loop_timer_set(l, t, "later", loop_now(l) + 5, restart_when_called, arg);
}

static void
after_a_restart_of_the_broker_the_lease_is_taken_again_and_runs_are_followed(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    struct later x = {.play = p};
    p->stay = true;
    loop_timer_set(p->c->loop, &x.timer, "later", 0, restart_when_called, &x);
    assert_int_equal(plan(p, PLAN), EXIT_SUCCEEDED);
    assert_int_equal(p->follows, 2);
    assert_true(p->drives >= 2);
    assert_int_equal(p->ended_epoch, p->epoch);
    assert_int_equal(p->calls, 4); /* no call was made twice */
}

static void interrupt_when_called(struct loop *l, struct loop_timer *t, void *arg)
{
    struct later *x = arg;
    if (x->play->calls == 2) {
        x->play->shell.interrupted(x->play->shell.self, 1);
        return;
    }
    loop_timer_set(l, t, "later", loop_now(l) + 5, interrupt_when_called, arg);
}

static void one_interrupt_cancels_the_children_and_waits_for_their_ends(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    struct later x = {.play = p};
    p->stay = true;
    loop_timer_set(p->c->loop, &x.timer, "later", 0, interrupt_when_called, &x);
    assert_int_equal(plan(p, PLAN), EXIT_RAN_AND_FAILED);
    assert_string_equal(buf_str(&p->heard),
                        "PLAN BEGIN DRIVE RESOLVE CALL:a/0 CALL:a/1 CANCEL CANCEL END");
    assert_int_equal(p->status, STATUS_CANCELLED);
    assert_contains(buf_str(&p->report), "the parent was cancelled: lbsubmit was interrupted");
}

static void an_interrupt_drops_calls_that_a_busy_broker_has_not_accepted(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    struct later x = {.play = p};
    p->refuse_calls = REFUSAL_BUSY;
    loop_timer_set(p->c->loop, &x.timer, "later", 0, interrupt_when_called, &x);
    assert_int_equal(plan(p, PLAN), EXIT_RAN_AND_FAILED);
    assert_string_equal(buf_str(&p->heard), "PLAN BEGIN DRIVE RESOLVE CALL:a/0 CALL:a/1 END");
    assert_int_equal(p->status, STATUS_CANCELLED);
    assert_contains(buf_str(&p->report), "\"message\":\"withdrawn before acceptance\"");
}

static void interrupt_when_ended(struct loop *l, struct loop_timer *t, void *arg)
{
    struct later *x = arg;
    if (strstr(buf_str(&x->play->heard), " END"))
        x->play->shell.interrupted(x->play->shell.self, 1);
    else
        loop_timer_set(l, t, "later", loop_now(l) + 5, interrupt_when_ended, arg);
}

static void the_report_is_printed_even_if_the_end_is_not_awaited(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    struct later x = {.play = p};
    int code;
    p->deaf = true;
    loop_timer_set(p->c->loop, &x.timer, "later", 0, interrupt_when_ended, &x);
    char *out = printed(p, run_plan, (char *)(uintptr_t)PLAN, &code);
    assert_int_equal(code, EXIT_LEFT);
    assert_contains(out, "{\"v\":1,\"event\":\"report\",\"report\":{\"v\":1,\"parent\":\"night\"");
    mem_free(&out);
}

/* ---- Single calls */

static int run_single(struct drive_play *p, void *argument)
{
    char *line = mem_strdup(argument), *argv[32] = {(char *)(uintptr_t) "lbsubmit"};
    struct option_values v = {0};
    struct error err = {0};
    int argc = 1, first;
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    if (options_parse(submit_rows, submit_rows_n, argc, argv, &v, &first, &err) < 0 ||
        submit_check(&v, first < argc, &err) < 0)
        fail_msg("%s", err.text);
    p->shell.json = opt_flag(&v, "json");
    int code = single_call(&p->shell, &v);
    options_free(&v);
    mem_free(&line);
    return code;
}

static void declare(struct drive_play *p, const char *name, const char *type, bool required)
{
    struct buf one = {0};
    d_parameter_encode(
        &(struct d_parameter){.name = span_str(name), .type = span_str(type), .required = required},
        &one);
    wire_add_bin(&p->declared, buf_span(&one));
    p->n_declared++;
    buf_free(&one);
}

static void a_single_call_prints_its_outputs(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    int code;
    char *out = printed(p, run_single, (char *)(uintptr_t) "--job j --pool etl -p n=5 -q", &code);
    struct wire_list parameters;
    struct value v;
    assert_int_equal(code, EXIT_SUCCEEDED);
    assert_string_equal(out, "rows=7\n");
    parameters = wire_list_from(&p->parameters, p->n_parameters);
    /* nothing is declared, so they stay as typed */
    assert_true(wire_map_get(&parameters, "n", &v) && v.type == VALUE_STR);
    assert_int_equal(p->hashes[0].b[0], 1);
    mem_free(&out);
}

static void interrupt_when_called_once(struct loop *l, struct loop_timer *t, void *arg)
{
    struct later *x = arg;
    struct net_server_owed owed;
    net_server_owed(x->play->c->server, &owed);
    if (x->play->calls == 1 && !owed.now) { /* and lbsubmit has the answer, if there is one */
        x->play->shell.interrupted(x->play->shell.self, 1);
        return;
    }
    loop_timer_set(l, t, "later", loop_now(l) + 5, interrupt_when_called_once, arg);
}

/* There is no run yet to cancel and wait for; lbsubmit still says what may become of the call. */
static void a_single_call_left_before_acceptance_says_it_will_not_run(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    struct later x = {.play = p};
    struct buf said = {0};
    p->shell.screen = &said;
    p->refuse_calls = REFUSAL_BUSY;
    loop_timer_set(p->c->loop, &x.timer, "later", 0, interrupt_when_called_once, &x);
    assert_int_equal(run_single(p, (char *)(uintptr_t) "--job j --pool etl"), EXIT_LEFT);
    assert_contains(buf_str(&said), "has not taken the call, and it will not run");
    assert_int_equal(p->calls, 1);
    buf_free(&said);
}

static void a_single_call_left_without_an_answer_may_still_run(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    struct later x = {.play = p};
    struct buf said = {0};
    p->shell.screen = &said;
    p->silent = true;
    loop_timer_set(p->c->loop, &x.timer, "later", 0, interrupt_when_called_once, &x);
    assert_int_equal(run_single(p, (char *)(uintptr_t) "--job j --pool etl"), EXIT_LEFT);
    assert_contains(buf_str(&said), "if it has, it runs (lbctl runs)");
    buf_free(&said);
}

static void a_single_call_as_json_is_one_object(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    int code;
    p->fail_task = "";
    char *out = printed(p, run_single,
                        (char *)(uintptr_t) "--package j --server wh1 --json -q --key k1", &code);
    assert_int_equal(code, EXIT_RAN_AND_FAILED);
    json_t *o = json_loads(out, 0, NULL);
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "job")), "package:j");
    assert_string_equal(json_string_value(json_object_get(o, "status")), "failed");
    assert_string_equal(json_string_value(json_object_get(o, "message")), "exit 4");
    /* as the broker says */
    assert_string_equal(json_string_value(json_object_get(o, "server")), "etl2");
    assert_string_equal(p->keys[0], "k1");
    json_decref(o);
    mem_free(&out);
}

static void parameters_get_the_types_that_the_job_declares(void **state)
{
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    int code;
    declare(p, "n", "int", true);
    declare(p, "day", "date", false);
    char *out = printed(p, run_single, (char *)(uintptr_t) "--job j --pool etl -p n=5 -q", &code);
    struct wire_list parameters = wire_list_from(&p->parameters, p->n_parameters);
    struct value v;
    assert_int_equal(code, EXIT_SUCCEEDED);
    assert_true(wire_map_get(&parameters, "n", &v) && v.type == VALUE_INT && v.integer == 5);
    mem_free(&out);
}

static void wrong_parameters_are_refused_before_the_call(void **state)
{
    static const char *const lines[] = {"--job j --pool etl -q -p n=x", "--job j --pool etl -q",
                                        "--job j --pool etl -q -p n=1 -p m=2"};
    struct drive_play *p = ((struct client_cluster *)*state)->test;
    struct error err = {0};
    int code, kept = dup(STDERR_FILENO);
    declare(p, "n", "int", true);
    for (int i = 0; i < 3; i++) {
        if (!p->shell.lb)
            assert_int_equal(longboat_open(&p->shell.lb, NULL, p->c->loop, &err), 0);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDERR_FILENO);
        close(null);
        char *out = printed(p, run_single, (char *)(uintptr_t)lines[i], &code);
        dup2(kept, STDERR_FILENO);
        assert_int_equal(code, EXIT_ASKED_WRONGLY);
        assert_string_equal(out, "");
        mem_free(&out);
    }
    close(kept);
    assert_int_equal(p->calls, 0);
}

static void options_that_cannot_be_combined_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line, *sentence;
        bool plan;
    } rows[] = {
        {"plan.yaml --job j", "--job is for a call without a plan; in a plan, set it in the task",
         true},
        {"plan.yaml --priority 9", "--priority is for a call without a plan", true},
        {"--job j --pool q --set a=b",
         "--set is for the variables of a plan; a call takes -p NAME=VALUE", false},
        {"--job j", "give either --server or --pool", false},
        {"--job j --server s --pool q", "give --server or --pool, not both", false},
        {"--pool q", "give either --job or --package (or name a plan)", false},
        {"--pool q --job j --package p", "give --job or --package, not both", false},
        {"--server all --job j", "'all' is every server: --pool all sends the call to one of them",
         false},
        {"--pool q --job j --on-lost rerum",
         "--on-lost is fail, rerun or hold, not 'rerum' (did you mean 'rerun'?)", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *line = mem_strdup(rows[i].line), *argv[16] = {(char *)(uintptr_t) "lbsubmit"};
        struct option_values v = {0};
        struct error err = {0};
        int argc = 1, first;
        for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
            argv[argc++] = word;
        assert_int_equal(options_parse(submit_rows, submit_rows_n, argc, argv, &v, &first, &err),
                         0);
        assert_int_equal(submit_check(&v, rows[i].plan, &err), -EINVAL);
        assert_contains(err.text, rows[i].sentence);
        options_free(&v);
        mem_free(&line);
    }
}

#define played(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        played(a_parent_is_durable_before_its_first_call_and_ends_with_its_report),
        played(json_lines_start_with_events_and_end_with_the_report),
        played(a_failed_child_skips_waiting_tasks_and_exits_with_1),
        played(a_refused_begin_makes_no_call),
        played(refused_calls_become_refused_children),
        played(if_resolve_fails_the_call_takes_whatever_the_server_has),
        played(each_calls_every_server_once_by_name),
        played(a_large_plan_goes_in_chunks_even_if_the_broker_forgets_them),
        played(an_end_refused_for_its_epoch_is_sent_again_with_a_new_lease),
        played(after_a_restart_of_the_broker_the_lease_is_taken_again_and_runs_are_followed),
        played(one_interrupt_cancels_the_children_and_waits_for_their_ends),
        played(the_report_is_printed_even_if_the_end_is_not_awaited),
        played(an_interrupt_drops_calls_that_a_busy_broker_has_not_accepted),
        played(a_single_call_prints_its_outputs),
        played(a_single_call_left_before_acceptance_says_it_will_not_run),
        played(a_single_call_left_without_an_answer_may_still_run),
        played(a_single_call_as_json_is_one_object),
        played(parameters_get_the_types_that_the_job_declares),
        played(wrong_parameters_are_refused_before_the_call),
        cmocka_unit_test(options_that_cannot_be_combined_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
