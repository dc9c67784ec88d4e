/* lbmon.c - tails results and events: in order, each once, across restarts of the broker and
 * network failures.
 *
 * Data goes to stdout, one line an event; what happens to the connection goes to stderr. --json
 * prints each event as the broker has it, for programs. A program that saves the last `seq` and
 * passes it to --since continues there after it was stopped. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/find.h"
#include "client/person.h"
#include "client/who.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/options.h"
#include "common/termout.h"
#include "monitor/line.h"
#include "trust/passphrase.h"
#include "trust/secret.h"

static const struct option_row rows[] = {
    {"server", 's', OPTION_STR, NULL, 0, 0, false, "NAME", "only of this server"},
    {"job", 'j', OPTION_STR, NULL, 0, 0, false, "NAME",
     "only of this job (packages: package:NAME)"},
    {"parent", 'p', OPTION_STR, NULL, 0, 0, false, "RUN", "only of this parent and its children"},
    {"run", 'r', OPTION_STR, NULL, 0, 0, false, "RUN", "only of this run"},
    {"status", 0, OPTION_STR, NULL, 0, 0, false, "STATUS",
     "only results with this status: succeeded, failed, cancelled, timed_out, lost, unknown, "
     "refused, unreachable"},
    {"event", 'e', OPTION_STR, "result", 0, 0, false, "KIND,...",
     "these events (listed below), or `all`"},
    {"since", 0, OPTION_STR, NULL, 0, 0, false, "TIME|SEQ",
     "begin at this time: 2h (ago), 2026-11-20, '2026-11-20 09:14', 09:14 (today); or after the "
     "event of this number; default: now"},
    {"until-now", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "end at the newest event instead of waiting for more"},
    {"utc", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "times in UTC instead of local time"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
};

#define EVENTS_LISTED \
    "Events: result, called, assigned, started, returned, declined, cancel, lost,\n" \
    "  held, released, evidence, parent_begun, parent_driven, parent_ended\n" \
    "  (`parent`: these three), server, operated, deployed, secret, enrolled,\n" \
    "  revoked, broker.\n"

static const char examples[] =
    "  lbmon                               results as they come\n"
    "  lbmon --since 2h --status failed    what failed lately, and from now on\n"
    "  lbmon --parent last --event all     all about the parent you started last\n"
    "  lbmon --event all --json --since 0  all that the broker remembers\n"
    "\n" EVENTS_LISTED
    "Events are the broker's word: lbctl show RUN verifies what a server has signed.\n"
    "Exit codes: 0 done; 1 the output could not be written; 2 wrong usage; 3 refused,\n"
    "or the broker cannot be reached.\n";

struct monitor {
    bool as_json;
    struct event_line line;
    bool printed;  /* an event */
    int unwritten; /* errno of an event that could not be written to stdout */
};

static void say(void *self, const char *sentence)
{
    (void)self;
    term_say(stderr, "lbmon: %s\n", sentence);
}

/* Each day is announced once, on stderr: stdout has only events. */
static void print_line(struct monitor *m, json_t *event, struct buf *out)
{
    struct buf day = {0};
    if (line_new_day(&m->line, event, &day))
        say(NULL, buf_str(&day));
    line_of_event(&m->line, event, out);
    buf_free(&day);
}

static bool print(void *self, uint64_t seq, struct span json)
{
    struct monitor *m = self;
    struct buf out = {0};
    (void)seq;
    m->printed = true;
    if (m->as_json) {
        buf_add(&out, json.p, json.n);
        buf_add_str(&out, "\n");
    } else {
        struct error err = {0};
        json_t *event = json_parse_shown("event", json, &err);
        m->line.term = term_of(STDOUT_FILENO); /* its window may have changed */
        if (event)
            print_line(m, event, &out);
        else
            term_say(stderr, "lbmon: an event is not JSON: %s\n", err.text);
        json_decref(event);
    }
    bool ok = term_put(stdout, buf_span(&out)) && fflush(stdout) == 0;
    m->unwritten = ok ? 0 : errno;
    buf_free(&out);
    return ok; /* our reader is gone, or the disk is full: end */
}

/* Reads a time to *ret_since, or an event's number to *ret_after. */
static int take_since(const char *s, uint64_t *ret_after, int64_t *ret_since, struct error *err)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(s, &end, 10);
    if (*s >= '0' && *s <= '9' && *end == 0 && errno == 0) {
        *ret_after = n;
        *ret_since = n ? 0 : 1;
        return 0;
    }
    if (term_time_parse(s, clock_wall_ms(), ret_since, err) == 0)
        return 0;
    error_prefix(err, "--since");
    return -EINVAL;
}

/* ---- The filter */
static const char *const parent_events[] = {"parent_begun", "parent_driven", "parent_ended"};

static uint32_t add_words(struct buf *items, const char *word)
{
    if (strcmp(word, "parent") != 0) {
        value_add_str(items, span_str(word));
        return 1;
    }
    for (size_t i = 0; i < COUNT_OF(parent_events); i++)
        value_add_str(items, span_str(parent_events[i]));
    return COUNT_OF(parent_events);
}

/* "result,lost" as a list of texts. */
static void add_events(struct buf *where, const char *events)
{
    struct buf items = {0};
    uint32_t n = 0;
    char *copy = mem_strdup(events);
    for (char *save, *word = strtok_r(copy, ", ", &save); word; word = strtok_r(NULL, ", ", &save))
        n += add_words(&items, word);
    value_add_str(where, span_str("event"));
    value_add_list(where, n);
    buf_add(where, items.p, items.n);
    mem_free(&copy);
    buf_free(&items);
}

static int add_run(struct longboat *lb, struct buf *where, const char *text, struct error *err)
{
    struct id run;
    char id[ID_TEXT];
    struct buf candidates = {0};
    int rc = longboat_find_run(lb, text, &run, &candidates, err);
    if (rc == 0)
        value_add_str(where, span_str(id_format(run, id)));
    else if (candidates.n)
        term_put(stderr, buf_span(&candidates));
    buf_free(&candidates);
    return rc;
}

static int filter(struct longboat *lb, const struct option_values *v, struct buf *where,
                  uint32_t *ret_n, struct error *err)
{
    static const char *const names[] = {"server", "job", "status", "parent", "run"};
    int rc = 0;
    *ret_n = 0;
    for (size_t i = 0; rc == 0 && i < COUNT_OF(names); i++) {
        const char *value = opt_str(v, names[i]);
        if (!value)
            continue;
        value_add_str(where, span_str(names[i]));
        if (i < 3)
            value_add_str(where, span_str(value));
        else
            rc = add_run(lb, where, value, err);
        ++*ret_n;
    }
    if (rc == 0 && strcmp(opt_str(v, "event"), "all") != 0) {
        add_events(where, opt_str(v, "event"));
        ++*ret_n;
    }
    return rc;
}

static int code_of(const struct monitor *m, int rc, struct error *err)
{
    if (rc == 0 && m->unwritten && m->unwritten != EPIPE) {
        error_set(err, -m->unwritten, "standard output does not have all of it: %s",
                  strerror(m->unwritten));
        return 1;
    }
    return rc == -EINVAL || rc == -ENOTUNIQ ? 2 : rc < 0 ? 3 : 0;
}

static bool take_server(void *self, struct span json)
{
    (void)json;
    *(bool *)self = true;
    return false;
}

static bool is_server(struct longboat *lb, const char *name)
{
    struct buf items = {0};
    bool found = false;
    value_add_str(&items, span_str("server"));
    value_add_str(&items, span_str(name));
    struct wire_list where = wire_list_from(&items, 1);
    int rc = longboat_query(lb, "servers", &where, take_server, &found, NULL);
    buf_free(&items);
    return rc < 0 || found;
}

/* No event: did nothing happen, may the asker see none of it, or is the server's name wrong? */
static void explain_none(struct longboat *lb, const char *server)
{
    struct who me;
    if (who_ask(lb, &me, NULL) < 0)
        return;
    if (!me.may_watch)
        who_sees_own(&me, "lbmon");
    else if (server && !is_server(lb, server))
        term_say(stderr, "lbmon: no server '%s' is known, or you may not watch it\n", server);
    who_free(&me);
}

static int follow(const struct option_values *v, struct error *err)
{
    struct monitor m = {.as_json = opt_flag(v, "json")};
    struct longboat *lb = NULL;
    struct buf where = {0};
    uint64_t after = 0;
    uint32_t n = 0;
    int64_t from = clock_wall_ms();
    if (opt_str(v, "since") && take_since(opt_str(v, "since"), &after, &from, err) < 0)
        return 2;
    if (after)
        from = 0;
    if (longboat_open_person(&lb, NULL, err) < 0)
        return 3;
    longboat_watch(lb, say, NULL); /* silence would look like a quiet night */
    int rc = filter(lb, v, &where, &n, err);
    struct wire_list list = wire_list_from(&where, n);
    if (rc == 0)
        rc = longboat_follow_events(lb, after, from, &list, !opt_flag(v, "until-now"), print, &m,
                                    err);
    if (rc == 0 && !m.printed && !m.as_json && opt_flag(v, "until-now"))
        explain_none(lb, opt_str(v, "server"));
    longboat_close(&lb);
    buf_free(&where);
    return code_of(&m, rc, err);
}

int main(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    int first, code;
    secret_begin();
    passphrase_may_ask();
    signal(SIGPIPE, SIG_IGN);
    if (options_parse(rows, COUNT_OF(rows), argc, argv, &v, &first, &err) < 0 ||
        (!opt_flag(&v, "help") && !opt_flag(&v, "version") && first < argc &&
         error_set(&err, -EINVAL, "unexpected argument '%.60s'", argv[first]) < 0)) {
        term_say(stderr, "lbmon: %s; lbmon --help says more\n", err.text);
        return 2;
    }
    if (options_answered(&v, "lbmon", "[options]", examples)) {
        options_free(&v);
        return 0;
    }
    if (opt_flag(&v, "utc"))
        term_utc();
    code = follow(&v, &err);
    if (code)
        term_say(stderr, "lbmon: %s\n", err.text);
    options_free(&v);
    return code;
}
