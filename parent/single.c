/* single.c - one call without a plan: typed by what the job declares, followed to its end, its
   outputs printed. */
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
    struct shell *shell;
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
    /* as the broker knows it; the outcome has what the worker says of itself */
    char server[LIMIT_NAME + 1];
    enum refusal refused;
    char refusal_text[ERROR_TEXT_MAX];
};

/* ---- What is asked for */

static void on_offer(void *self, uint32_t task, const struct offer *o)
{
    struct single *c = self;
    (void)task;
    c->offered = true;
    c->job_hash = o->job_hash;
    buf_add(&c->parameters, o->parameters.items.p, o->parameters.items.n);
    c->n_declared = o->parameters.count;
}

static bool is_offered(void *self)
{
    return ((struct single *)self)->offered;
}

/* -EINVAL: asked wrongly. */
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
        buf_printf(line, " on %s", r->server);
    if (r->attempt > 1)
        buf_printf(line, ", attempt %llu", (unsigned long long)r->attempt);
}

/* What hangs is said in any case, all the rest with --follow. */
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
    shell_say(c->shell, "%s", buf_str(&line));
    buf_free(&line);
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
    if (kind == KIND_M_ERROR && m_error_decode(message, &error, NULL) == 0 && !c->ended)
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
    c->ended = false; /* else its refusal would be said, too */
    loop_stop(c->shell->loop, EXIT_LEFT);
}

static void on_interrupt(void *self, int times)
{
    struct single *c = self;
    char id[ID_TEXT];
    if (id_is_zero(c->run)) { /* there is no run that could be cancelled and waited for */
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
    struct buf out = {0};
    char id[ID_TEXT], at[CLOCK_TEXT];
    buf_printf(&out, "{\"v\":1,\"run\":\"%s\",\"attempt\":%llu,\"server\":", id_format(c->run, id),
               (unsigned long long)c->attempt);
    json_escape(&out, span_str(c->server));
    buf_add_str(&out, ",\"job\":");
    json_escape(&out, span_str(c->job));
    buf_printf(
        &out,
        ",\"delivery\":{\"state\":\"%s\"},\"job_outcome\":{\"state\":\"%s\"},\"package\":{\"state\":\"%s\"},"
        "\"status\":\"%s\",\"message\":",
        delivery_text(o->delivery), job_outcome_text(o->job), package_outcome_text(o->package),
        status_text(o->status));
    json_escape(&out, child_message(o));
    buf_add_str(&out, ",\"outputs\":");
    wire_map_to_json(&o->outputs, &out);
    const struct {
        const char *name;
        int64_t at;
    } times[] = {
        {"called_at", o->called_at}, {"started_at", o->started_at}, {"ended_at", o->ended_at}};
    for (int i = 0; i < 3; i++)
        if (times[i].at)
            buf_printf(&out, ",\"%s\":\"%s\"", times[i].name, clock_format(times[i].at, at));
    buf_add_str(&out, "}\n");
    shell_print(buf_span(&out));
    buf_free(&out);
}

/* Outputs alone on stdout, so that a shell can take them; how it went on stderr. */
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
    shell_say(c->shell, "%s", buf_str(&text));
    buf_free(&text);
    buf_free(&out);
}

static int finish(struct single *c)
{
    struct d_outcome o;
    struct error err = {0};
    if (c->refused != REFUSAL_NONE)
        return shell_fail(c->shell, EXIT_REFUSED, "refused by %s: %s",
                          longboat_broker(c->shell->lb), c->refusal_text);
    if (d_outcome_decode(buf_span(&c->outcome), &o, &err) < 0)
        return shell_fail(c->shell, EXIT_REFUSED, "%s", err.text);
    c->shell->json ? print_json(c, &o) : print_text(c, &o);
    if (o.status == STATUS_SUCCEEDED)
        return EXIT_SUCCEEDED;
    return o.status == STATUS_REFUSED || o.status == STATUS_UNREACHABLE ? EXIT_REFUSED
                                                                        : EXIT_RAN_AND_FAILED;
}

static int run(struct single *c)
{
    struct error err = {0};
    struct buf items = {0};
    struct wire_list parameters;
    struct offers *offers = offers_new(c->shell->lb, on_offer, c);
    int rc, code = 0;
    offers_ask(offers, 0, c->job, c->address);
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
    offers_free(&offers);
    buf_free(&items);
    return code;
}

int single_call(struct shell *s, const struct option_values *v)
{
    const char *package = opt_str(v, "package"), *server = opt_str(v, "server");
    struct single c = {.shell = s,
                       .values = v,
                       .follow = opt_flag(v, "follow"),
                       .address = server ? server : opt_str(v, "pool")};
    c.job = package ? mem_printf("package:%s", package) : mem_strdup(opt_str(v, "job"));
    int code = run(&c);
    longboat_close(&s->lb); /* before the memory that its answers go to */
    buf_free(&c.parameters);
    buf_free(&c.outcome);
    mem_free(&c.job);
    return code;
}
