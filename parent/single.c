/* single.c - one call without a plan: its parameters get the types that the job declares, it is
   followed to the end, and its outputs are printed. */
#include "parent/submit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/duration.h"
#include "common/jsontext.h"
#include "common/mem.h"
#include "package/values.h"
#include "parent/core/core.h"

struct single {
    struct submit_shell *shell;
    const struct option_values *values;
    char *job;
    const char *address;
    bool follow;
    /* the offer */
    bool offered;
    struct hash job_hash;
    struct buf parameters;
    uint32_t n_declared;
    /* the run */
    bool ended;
    struct id run;
    uint64_t attempt;
    enum run_state state;
    unsigned percent;
    char said[LIMIT_TEXT + 1];
    struct buf outcome;
    /* as the broker knows it; the outcome has only what the worker says */
    char server[LIMIT_NAME + 1];
    enum refusal refused;
    char refusal_text[ERROR_TEXT_MAX];
};

/* ---- The call */

static void on_offer(void *self, const struct longboat_offer *o)
{
    struct single *c = self;
    c->offered = true;
    if (o->refused == REFUSAL_NONE && !o->found && o->n_servers)
        hint_job(c->shell, c->job, c->address, o->servers[0]);
    c->job_hash = o->job_hash;
    buf_add(&c->parameters, o->parameters.items.p, o->parameters.items.n);
    c->n_declared = o->parameters.count;
}

static bool is_offered(void *self)
{
    return ((struct single *)self)->offered;
}

/* -EINVAL: bad arguments. */
static int type_parameters(struct single *c, struct buf *items, struct wire_list *ret,
                           struct error *err)
{
    size_t n;
    const char *const *texts = opt_list(c->values, "parameter", &n);
    struct wire_list declared = wire_list_from(&c->parameters, c->n_declared);
    *ret = (struct wire_list){0};
    int rc =
        n ? values_map_from_texts(texts, n, c->n_declared ? &declared : NULL, items, ret, err) : 0;
    if (rc == 0 && c->n_declared)
        rc = values_missing(ret, &declared, err);
    return rc < 0 ? error_set(err, -EINVAL, "%s: %s", c->job, err->text) : 0;
}

/* ---- While it runs */

static void add_server(struct buf *line, const struct longboat_run *r)
{
    if (*r->server)
        buf_printf(line, r->state == RUN_HANDED_OVER ? " to %s" : " on %s", r->server);
    if (r->attempt > 1)
        buf_printf(line, ", attempt %llu", (unsigned long long)r->attempt);
}

/* A call that hangs is always reported, everything else with --follow. */
static void tell_state(struct single *c, const struct longboat_run *r)
{
    struct buf line = {0};
    bool hangs = r->state == RUN_PARKED || r->state == RUN_HELD || r->state == RUN_OUT_OF_CONTACT;
    bool changed = r->state != c->state || r->attempt != c->attempt;
    bool progress = r->percent != c->percent || strcmp(r->text, c->said) != 0;
    if (!(hangs ? changed : c->follow && (changed || progress)))
        return;
    for (const char *w = run_state_text(r->state); *w; w++)
        buf_add(&line, *w == '_' ? " " : w, 1);
    if (r->state != RUN_PARKED)
        add_server(&line, r);
    if (r->state == RUN_RUNNING && r->percent)
        buf_printf(&line, " %u%%", r->percent);
    if (*r->text)
        buf_printf(&line, ": %s", r->text);
    if (hangs)
        shell_fail(c->shell, 0, "%s", buf_str(&line));
    else
        shell_say(c->shell, "%s", buf_str(&line));
    buf_free(&line);
}

static void print_state(struct single *c, const struct longboat_run *r)
{
    struct buf out = {0};
    if (!c->shell->json || !c->follow)
        return;
    single_json_state(r, loop_now_wall(c->shell->loop), &out);
    shell_print(buf_span(&out));
    buf_free(&out);
}

static void on_follow(void *self, const struct longboat_run *r)
{
    struct single *c = self;
    char id[ID_TEXT];
    if (r->refused != REFUSAL_NONE || r->outcome) {
        c->ended = true;
        c->refused = r->refused;
        c->attempt = r->attempt;
        span_copy_str(span_str(r->server), c->server, sizeof c->server);
        if (r->outcome)
            d_outcome_encode(r->outcome, &c->outcome);
        else
            span_copy_str(span_str(r->text), c->refusal_text, sizeof c->refusal_text);
        return;
    }
    print_state(c, r);
    if (id_is_zero(c->run)) {
        c->run = r->run;
        c->state = RUN_WAITING;
        shell_say(c->shell, "run %s", id_format(r->run, id));
        return;
    }
    tell_state(c, r);
    c->state = r->state;
    c->attempt = r->attempt;
    c->percent = r->percent;
    span_copy_str(span_str(r->text), c->said, sizeof c->said);
}

static bool has_ended(void *self)
{
    return ((struct single *)self)->ended;
}

static bool take_cancelled(void *self, uint64_t kind, struct span message)
{
    struct single *c = self;
    struct m_error error;
    if (kind == KIND_M_ERROR &&
        longboat_decode(c->shell->lb, &m_error_schema, message, &error, NULL) == 0 && !c->ended)
        shell_fail(c->shell, 0, "it could not be cancelled: " SPAN_FMT, SPAN_ARG(error.text));
    return false;
}

static void leave_unaccepted(struct single *c)
{
    longboat_withdraw(c->shell->lb);
    if (c->ended)
        shell_fail(c->shell, 0, "left; %s has not taken the call, and it will not run",
                   longboat_broker(c->shell->lb));
    else
        shell_fail(
            c->shell, 0,
            "left; %s has not said whether it has taken the call; if it has, it runs (lbctl runs)",
            longboat_broker(c->shell->lb));
    c->ended = false; /* its refusal is not reported as well */
    loop_stop(c->shell->loop, EXIT_LEFT);
}

static void on_interrupt(void *self, int times)
{
    struct single *c = self;
    char id[ID_TEXT];
    if (id_is_zero(c->run)) { /* no run to cancel yet */
        leave_unaccepted(c);
        return;
    }
    if (times > 1) {
        shell_fail(c->shell, 0, "left; run %s may still run", id_format(c->run, id));
        _exit(EXIT_LEFT);
    }
    struct m_cancel m = {.req = longboat_req(c->shell->lb),
                         .run = c->run,
                         .reason = span_str("lbsubmit was interrupted")};
    struct buf message = {0};
    shell_fail(c->shell, 0, "cancelling the run; press again to leave at once");
    m_cancel_encode(&m, &message);
    longboat_request(c->shell->lb, m.req, buf_span(&message), take_cancelled, c, NULL);
    buf_free(&message);
}

static int call(struct single *c, const struct wire_list *parameters, struct error *err)
{
    const struct option_values *v = c->values;
    const char *lost = opt_str(v, "on-lost");
    struct longboat_call o = {.job = c->job,
                              .address = c->address,
                              .key = opt_str(v, "key"),
                              .parameters = *parameters,
                              .on_lost = lost ? (enum on_lost)on_lost_parse(span_str(lost))
                                              : ON_LOST_DEFAULT,
                              .pin_latest = hash_is_zero(&c->job_hash),
                              .job_hash = c->job_hash,
                              .priority = (uint64_t)opt_int(v, "priority"),
                              .lost_after_ms = (uint64_t)opt_int(v, "lost-after"),
                              .start_within_ms = (uint64_t)opt_int(v, "start-within"),
                              .timeout_ms = (uint64_t)opt_int(v, "timeout"),
                              .expires = loop_now_wall(c->shell->loop) + opt_int(v, "expires"),
                              .try_no = 1};
    return longboat_call_start(c->shell->lb, &o, on_follow, c, err);
}

/* ---- The end */

static void print_json(const struct single *c, const struct d_outcome *o)
{
    const struct single_end e = {c->run, c->attempt, c->server, c->job};
    struct buf out = {0};
    single_json_result(&e, o, &out);
    shell_print(buf_span(&out));
    buf_free(&out);
}

/* Retries of steps are known only at the end: the worker makes them on its own. */
static void tell_tries(const struct single *c, const struct d_outcome *o)
{
    struct wire_iter it = wire_iter(&o->steps);
    struct span item;
    struct d_step_outcome step;
    while (wire_next(&it, &item))
        if (d_step_outcome_decode(item, &step, NULL) == 0 && step.action == ACTION_RETRY)
            shell_say(c->shell, "step " SPAN_FMT ", try %llu: %s%s" SPAN_FMT, SPAN_ARG(step.name),
                      (unsigned long long)step.try_no, package_outcome_text(step.package),
                      step.message.n ? ": " : "", SPAN_ARG(step.message));
}

/* Only outputs go to stdout, for shell scripts; the verdict goes to stderr. */
static void print_text(const struct single *c, const struct d_outcome *o)
{
    struct wire_iter it = wire_iter(&o->outputs);
    struct span name, message = child_message(o);
    struct value v;
    struct buf out = {0}, text = {0};
    char d[DURATION_TEXT];
    while (wire_next_pair(&it, &name, &v)) {
        buf_clear(&text);
        buf_printf(&out, SPAN_FMT "=", SPAN_ARG(name));
        value_to_text(&v, &text);
        if (memchr(buf_str(&text), '\n', text.n)) { /* a line of it could pass for another output */
            struct buf plain = text;
            text = (struct buf){0};
            json_escape(&text, buf_span(&plain));
            buf_free(&plain);
        }
        c->shell->out.is_terminal ? term_safe(&out, buf_span(&text))
                                  : buf_add(&out, text.p, text.n);
        buf_add_str(&out, "\n");
    }
    shell_print(buf_span(&out));
    buf_clear(&text);
    buf_add_str(&text, status_text(o->status));
    if (*c->server)
        buf_printf(&text, " on %s", c->server);
    if (o->started_at && o->ended_at >= o->started_at)
        buf_printf(&text, " after %s", duration_format(o->ended_at - o->started_at, d));
    if (message.n)
        buf_printf(&text, ": " SPAN_FMT, SPAN_ARG(message));
    if (o->status == STATUS_SUCCEEDED)
        shell_say(c->shell, "%s", buf_str(&text));
    else
        shell_fail(c->shell, 0, "%s", buf_str(&text)); /* errors are printed with --quiet, too */
    buf_free(&text);
    buf_free(&out);
}

static int refuse(struct single *c)
{
    struct buf out = {0};
    if (c->shell->json) {
        single_json_refused(c->job, c->refused, c->refusal_text, &out);
        shell_print(buf_span(&out));
        buf_free(&out);
    }
    return shell_refusal(c->shell, c->refused, c->refusal_text);
}

static int finish(struct single *c)
{
    struct d_outcome o;
    struct error err = {0};
    if (c->refused != REFUSAL_NONE)
        return refuse(c);
    if (d_outcome_decode(buf_span(&c->outcome), &o, &err) < 0)
        return shell_fail(c->shell, EXIT_REFUSED, "%s", err.text);
    if (c->follow)
        tell_tries(c, &o);
    c->shell->json ? print_json(c, &o) : print_text(c, &o);
    if (o.status == STATUS_SUCCEEDED)
        return EXIT_SUCCEEDED;
    return o.status == STATUS_REFUSED || o.status == STATUS_UNREACHABLE || longboat_is_unproven(&o)
               ? EXIT_REFUSED
               : EXIT_RAN_AND_FAILED;
}

static int run(struct single *c)
{
    struct error err = {0};
    struct buf items = {0};
    struct wire_list parameters;
    int rc, code = 0;
    longboat_offer(c->shell->lb, c->job, c->address, true, on_offer, c);
    if ((rc = longboat_wait(c->shell->lb, is_offered, c, CONNECT_MS, &err)) < 0)
        code = shell_refused(c->shell, rc, &err);
    else if (type_parameters(c, &items, &parameters, &err) < 0)
        code = shell_fail(c->shell, EXIT_ASKED_WRONGLY, "%s", err.text);
    else if (c->shell->interrupted = on_interrupt, c->shell->self = c,
             call(c, &parameters, &err) < 0)
        code = shell_fail(c->shell, EXIT_ASKED_WRONGLY, "%s", err.text);
    else if ((rc = longboat_wait(c->shell->lb, has_ended, c, 0, &err)) < 0)
        code = shell_refused(c->shell, rc, &err);
    else
        code = finish(c);
    c->shell->interrupted = NULL;
    buf_free(&items);
    return code;
}

int single_call(struct submit_shell *s, const struct option_values *v)
{
    const char *package = opt_str(v, "package"), *server = opt_str(v, "server");
    struct single c = {.shell = s,
                       .values = v,
                       .follow = opt_flag(v, "follow"),
                       .address = server ? server : opt_str(v, "pool")};
    c.job = package ? mem_printf("package:%s", package) : mem_strdup(opt_str(v, "job"));
    int code = run(&c);
    longboat_close(&s->lb); /* before the data of its callbacks is freed */
    hint_free_all(s);
    buf_free(&c.parameters);
    buf_free(&c.outcome);
    mem_free(&c.job);
    return code;
}
