/* ctl.c - what lbctl's verbs share; see ctl.h. */
#include "admin/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/mem.h"

int ctl_fail(char **argv, int code, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", argv[0], err->text);
    return code;
}

int ctl_code(int rc, enum refusal refusal)
{
    return refusal == REFUSAL_BAD_ARGUMENT || rc == -EINVAL ? EXIT_ASKED_WRONGLY : EXIT_REFUSED;
}

/* What stands behind a verb names something, or a file on the broker's machine: no field of a
 * message has room for more. */
static int check_lengths(char **argv, int first, int argc)
{
    struct error err = {0};
    for (int i = first; i < argc; i++)
        if (strlen(argv[i]) > LIMIT_SHORT) {
            error_set(&err, -EINVAL, "'%.60s...' has %zu bytes; at most %d are possible", argv[i],
                      strlen(argv[i]), LIMIT_SHORT);
            return ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
        }
    return 0;
}

int ctl_begin(const struct option_row *rows, size_t n, int argc, char **argv, const char *synopsis,
              const char *examples, int least, int most, struct option_values *values,
              int *ret_first)
{
    struct error err = {0};
    if (options_parse(rows, n, argc, argv, values, ret_first, &err) < 0)
        return ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    if (options_answered(values, argv[0], synopsis, examples)) {
        options_free(values);
        return EXIT_DONE;
    }
    int given = argc - *ret_first, wrong = check_lengths(argv, *ret_first, argc);
    if (wrong) {
        options_free(values);
        return wrong;
    }
    if (given >= least && given <= most)
        return -1;
    if (given > most)
        fprintf(stderr, "%s: what is '%s'? It takes: %s\n", argv[0], argv[*ret_first + most],
                synopsis);
    else
        fprintf(stderr, "%s: something is missing: %s\n", argv[0], synopsis);
    options_free(values);
    return EXIT_ASKED_WRONGLY;
}

struct longboat *ctl_connect(char **argv)
{
    struct longboat *lb = NULL;
    struct error err = {0};
    if (longboat_open(&lb, NULL, NULL, &err) < 0)
        ctl_fail(argv, EXIT_REFUSED, &err);
    return lb;
}

int ctl_ask_done(struct longboat *lb, char **argv, uint64_t req, struct span message)
{
    return ctl_ask_done_within(lb, argv, req, message, CTL_TIMEOUT_MS);
}

int ctl_ask_done_within(struct longboat *lb, char **argv, uint64_t req, struct span message,
                        int64_t timeout_ms)
{
    struct buf answer = {0};
    struct m_done done = {0};
    struct error err = {0};
    enum refusal refusal = REFUSAL_NONE;
    int code = EXIT_DONE, rc = longboat_ask(lb, req, message, timeout_ms, &answer, &refusal, &err);
    if (rc == 0)
        rc = m_done_decode(buf_span(&answer), &done, &err);
    if (rc < 0)
        code = ctl_fail(argv, ctl_code(rc, refusal), &err);
    else if (done.text.n)
        printf(SPAN_FMT "\n", SPAN_ARG(done.text));
    buf_free(&answer);
    return code;
}

int ctl_operate(char **argv, const char *verb, const char *target,
                const struct wire_list *arguments, const char *reason)
{
    struct buf message = {0};
    struct longboat *lb = ctl_connect(argv);
    if (!lb)
        return EXIT_REFUSED;
    struct m_operate m = {.req = longboat_req(lb),
                          .verb = span_str(verb),
                          .target = span_str(target),
                          .reason = span_str(reason)};
    if (arguments)
        m.arguments = *arguments;
    m_operate_encode(&m, &message);
    int code = ctl_ask_done(lb, argv, m.req, buf_span(&message));
    buf_free(&message);
    longboat_close(&lb);
    return code;
}

struct reading {
    bool as_json;
    int64_t left; /* rows still wanted */
    ctl_row print;
    void *self;
    size_t rows;
};

static bool take_row(void *self, struct span json)
{
    struct reading *r = self;
    struct error err = {0};
    if (r->left-- <= 0)
        return false;
    r->rows++;
    if (r->as_json) {
        printf(SPAN_FMT "\n", SPAN_ARG(json));
        return true;
    }
    json_t *row = json_parse("row", json, &err);
    if (row)
        r->print(r->self, row);
    else
        fprintf(stderr, "a row of the broker is not JSON: %s\n", err.text);
    json_decref(row);
    return true;
}

int ctl_query(char **argv, const char *what, const struct ctl_where *where, size_t n, int64_t limit,
              bool as_json, ctl_row print, void *self, size_t *ret_rows)
{
    struct reading r = {.as_json = as_json, .left = limit, .print = print, .self = self};
    struct buf items = {0};
    struct error err = {0};
    uint32_t count = 0;
    struct longboat *lb = ctl_connect(argv);
    if (!lb)
        return EXIT_REFUSED;
    for (size_t i = 0; i < n; i++) {
        bool text = where[i].value && *where[i].value;
        if (!text && !where[i].number)
            continue;
        value_add_str(&items, span_str(where[i].name));
        if (text)
            value_add_str(&items, span_str(where[i].value));
        else
            value_add_int(&items, where[i].number);
        count++;
    }
    struct wire_list list = wire_list_from(&items, count);
    int rc = longboat_query(lb, what, &list, take_row, &r, &err);
    int code = rc < 0 ? ctl_fail(argv, ctl_code(rc, REFUSAL_NONE), &err) : EXIT_DONE;
    buf_free(&items);
    longboat_close(&lb);
    if (ret_rows)
        *ret_rows = r.rows;
    return code;
}

const char *ctl_text(json_t *row, const char *key)
{
    static char texts[16][24]; /* more than one printf has arguments */
    static unsigned turn;
    json_t *v = json_object_get(row, key);
    if (json_is_string(v))
        return json_string_value(v);
    if (!json_is_integer(v))
        return json_is_true(v) ? "yes" : "";
    char *out = texts[turn++ % COUNT_OF(texts)];
    snprintf(out, sizeof texts[0], "%lld", (long long)json_integer_value(v));
    return out;
}

int64_t ctl_int(json_t *row, const char *key)
{
    return json_integer_value(json_object_get(row, key));
}

enum term_mood ctl_mood(const char *word)
{
    static const struct {
        const char *word;
        enum term_mood mood;
    } moods[] = {
        {"succeeded", TERM_GOOD},  {"up", TERM_GOOD},
        {"running", TERM_BOLD},    {"failed", TERM_BAD},
        {"timed_out", TERM_BAD},   {"lost", TERM_BAD},
        {"refused", TERM_BAD},     {"unreachable", TERM_BAD},
        {"unknown", TERM_WARN},    {"cancelled", TERM_WARN},
        {"cancelling", TERM_WARN}, {"parked", TERM_WARN},
        {"held", TERM_WARN},       {"out_of_contact", TERM_WARN},
        {"draining", TERM_WARN},
    };
    for (size_t i = 0; i < COUNT_OF(moods); i++)
        if (strcmp(word, moods[i].word) == 0)
            return moods[i].mood;
    return TERM_PLAIN;
}

void ctl_print(const struct term_table *t)
{
    struct term term = term_of(STDOUT_FILENO);
    struct buf out = {0};
    term_table_print(t, &term, &out);
    if (out.n)
        fwrite(out.p, 1, out.n, stdout);
    buf_free(&out);
}

const char *ctl_when(const char *rfc3339)
{
    static char texts[4][32];
    static unsigned turn;
    int64_t ms;
    struct tm then, today;
    if (!*rfc3339 || clock_parse(rfc3339, &ms, NULL) < 0)
        return "";
    time_t t = (time_t)(ms / 1000), now = (time_t)(clock_wall_ms() / 1000);
    char *out = texts[turn++ % 4];
    localtime_r(&t, &then);
    localtime_r(&now, &today);
    bool same_day = then.tm_yday == today.tm_yday && then.tm_year == today.tm_year;
    strftime(out, sizeof texts[0], same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M", &then);
    return out;
}
