/* ctl.c - what lbctl's verbs share; see ctl.h. */
#include "admin/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/find.h"
#include "client/person.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/termout.h"

int ctl_needs_administrators(int rc, struct error *err)
{
    char why[sizeof err->text];
    snprintf(why, sizeof why, "%s", err->text);
    return rc == 0 ? 0
                   : error_set(err, rc,
                               "what a file says is verified with the administrators' keys: give "
                               "them with --administrators FILE (%s)",
                               why);
}

int ctl_fail(char **argv, int code, const struct error *err)
{
    return verb_fail(argv, code, err);
}

int ctl_code(int rc, enum refusal refusal)
{
    return refusal == REFUSAL_BAD_ARGUMENT || rc == -EINVAL ? EXIT_ASKED_WRONGLY : EXIT_REFUSED;
}

/* Arguments of a verb name something, or a file on the broker's machine: no field of a message
 * holds more. */
static int check_lengths(char **argv, int first, int argc)
{
    struct error err = {0};
    for (int i = first; i < argc; i++)
        if (!*argv[i]) {
            error_set(&err, -EINVAL, "an argument is empty; lbctl help VERB says what it takes");
            return ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
        } else if (strlen(argv[i]) > LIMIT_SHORT) {
            error_set(&err, -EINVAL, "'%.60s...' has %zu bytes; the limit is %d", argv[i],
                      strlen(argv[i]), LIMIT_SHORT);
            return ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
        }
    return 0;
}

int ctl_begin(const struct option_row *rows, size_t n, int argc, char **argv, const char *synopsis,
              const char *examples, int min, int max, struct option_values *values, int *ret_first)
{
    int code = verb_begin(rows, n, argc, argv, synopsis, examples, min, max, values, ret_first);
    if (code >= 0)
        return code;
    int wrong = check_lengths(argv, *ret_first, argc);
    if (!wrong)
        return -1;
    options_free(values);
    return wrong;
}

static void on_silence(void *self, const char *sentence)
{
    char **argv = self;
    term_say(stderr, "%s: %s\n", argv[0], sentence);
}

struct longboat *ctl_connect(char **argv)
{
    struct longboat *lb = NULL;
    struct error err = {0};
    if (longboat_open_person(&lb, NULL, &err) < 0)
        ctl_fail(argv, EXIT_REFUSED, &err);
    else
        longboat_watch(lb, on_silence, argv);
    return lb;
}

int ctl_find(char **argv, struct longboat *lb, const char *text, struct id *ret_run)
{
    struct error err = {0};
    struct buf candidates = {0};
    int rc = longboat_find_run(lb, text, ret_run, &candidates, &err), code = -1;
    if (rc < 0) {
        code = rc == -ENOTUNIQ ? EXIT_ASKED_WRONGLY : ctl_code(rc, REFUSAL_NONE);
        ctl_fail(argv, code, &err);
        term_put(stderr, buf_span(&candidates));
    }
    buf_free(&candidates);
    return code;
}

int ctl_ask_done(struct longboat *lb, char **argv, uint64_t req, struct span message)
{
    return ctl_ask_done_within(lb, argv, req, message, CTL_TIMEOUT_MS);
}

static int ask_done(struct longboat *lb, char **argv, uint64_t req, struct span message,
                    int64_t timeout_ms, FILE *to)
{
    struct buf answer = {0};
    struct m_done done = {0};
    struct error err = {0};
    enum refusal refusal = REFUSAL_NONE;
    int code = EXIT_DONE, rc = longboat_ask(lb, req, message, timeout_ms, &answer, &refusal, &err);
    if (rc == 0)
        rc = longboat_decode(lb, &m_done_schema, buf_span(&answer), &done, &err);
    if (rc < 0)
        code = ctl_fail(argv, ctl_code(rc, refusal), &err);
    else if (done.text.n)
        term_say(to, SPAN_FMT "\n", SPAN_ARG(done.text));
    buf_free(&answer);
    return code;
}

int ctl_ask_done_within(struct longboat *lb, char **argv, uint64_t req, struct span message,
                        int64_t timeout_ms)
{
    return ask_done(lb, argv, req, message, timeout_ms, stdout);
}

int ctl_ask_done_aside(struct longboat *lb, char **argv, uint64_t req, struct span message)
{
    return ask_done(lb, argv, req, message, CTL_TIMEOUT_MS, stderr);
}

int ctl_operate_over(char **argv, struct longboat *lb, const char *verb, const char *target,
                     const struct wire_list *arguments, const char *reason)
{
    struct buf message = {0};
    struct m_operate m = {.req = longboat_req(lb),
                          .verb = span_str(verb),
                          .target = span_str(target),
                          .reason = span_str(reason)};
    if (arguments)
        m.arguments = *arguments;
    m_operate_encode(&m, &message);
    int code = ctl_ask_done(lb, argv, m.req, buf_span(&message));
    buf_free(&message);
    return code;
}

int ctl_operate(char **argv, const char *verb, const char *target,
                const struct wire_list *arguments, const char *reason)
{
    struct longboat *lb = ctl_connect(argv);
    if (!lb)
        return EXIT_REFUSED;
    int code = ctl_operate_over(argv, lb, verb, target, arguments, reason);
    longboat_close(&lb);
    return code;
}

/* ---- Queries */
static bool take_row(void *self, struct span json)
{
    struct ctl_query *q = self;
    struct error err = {0};
    if (q->limit && (int64_t)q->rows == q->limit) {
        q->more = true;
        return false;
    }
    q->rows++;
    if (q->as_json) {
        term_say(stdout, SPAN_FMT "\n", SPAN_ARG(json));
        return true;
    }
    json_t *row = q->raw ? json_parse("row", json, &err) : json_parse_shown("row", json, &err);
    if (row)
        q->row(q->self, row);
    else
        term_say(stderr, "a row of the broker is not JSON: %s\n", err.text);
    json_decref(row);
    return true;
}

void ctl_gather(void *self, json_t *row)
{
    json_array_append(self, row);
}

/* The filters as a map; -1 to go on, else the exit code. */
static int take_where(char **argv, struct longboat *lb, const struct ctl_query *q,
                      struct buf *items, uint32_t *ret_count)
{
    *ret_count = 0;
    for (size_t i = 0; i < q->n_where; i++) {
        const struct ctl_where *w = &q->where[i];
        const char *value = w->value;
        struct id run;
        char text[ID_TEXT];
        if (!(value && *value) && !w->number)
            continue;
        if (w->is_run) {
            int code = ctl_find(argv, lb, value, &run);
            if (code >= 0)
                return code;
            value = id_format(run, text);
        }
        value_add_str(items, span_str(w->name));
        if (value && *value)
            value_add_str(items, span_str(value));
        else
            value_add_int(items, w->number);
        ++*ret_count;
    }
    return -1;
}

int ctl_query_over(char **argv, struct longboat *lb, struct ctl_query *q)
{
    struct buf items = {0};
    struct error err = {0};
    uint32_t count;
    int code = take_where(argv, lb, q, &items, &count);
    if (code < 0) {
        struct wire_list list = wire_list_from(&items, count);
        q->rc = longboat_query(lb, q->what, &list, take_row, q, &err);
        code = q->rc < 0 ? ctl_fail(argv, ctl_code(q->rc, REFUSAL_NONE), &err) : EXIT_DONE;
    }
    buf_free(&items);
    return code;
}

int ctl_query(char **argv, struct ctl_query *q)
{
    struct longboat *lb = ctl_connect(argv);
    if (!lb)
        return EXIT_REFUSED;
    int code = ctl_query_over(argv, lb, q);
    longboat_close(&lb);
    return code;
}

bool ctl_any_server(char **argv, struct longboat *lb, const char *filter, const char *value)
{
    const struct ctl_where where[] = {{filter, value, 0, false}};
    json_t *found = json_array();
    struct ctl_query q = {
        .what = "servers", .where = where, .n_where = 1, .row = ctl_gather, .self = found};
    int code = ctl_query_over(argv, lb, &q);
    json_decref(found);
    return code == EXIT_DONE && q.rows > 0;
}

json_t *ctl_run_row(char **argv, struct longboat *lb, const char *text, int *ret_code)
{
    const struct ctl_where where[] = {{"run", text, 0, true}};
    json_t *found = json_array();
    struct ctl_query q = {
        .what = "run", .where = where, .n_where = 1, .row = ctl_gather, .self = found};
    *ret_code = ctl_query_over(argv, lb, &q);
    json_t *row = *ret_code == EXIT_DONE ? json_incref(json_array_get(found, 0)) : NULL;
    if (*ret_code == EXIT_DONE && !row)
        *ret_code = EXIT_REFUSED;
    json_decref(found);
    return row;
}

bool ctl_is_parent(json_t *run_row)
{
    return !json_object_get(run_row, "job");
}

bool ctl_has_ended(json_t *run_row)
{
    return *ctl_text(run_row, "status");
}
