/* lbmon.c - tails results and events: in order, each once, over restarts of the broker and of the
 * network.
 *
 * Data goes to stdout, one line an event; what happens to the connection is said on stderr. --json
 * prints each event as the broker has it, for programs; keep its `seq` and give it as --since to go
 * on after a break of your own. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/longboat.h"
#include "common/clock.h"
#include "common/duration.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/options.h"
#include "monitor/line.h"

static const struct option_row rows[] = {
    {"server", 's', OPTION_STR, NULL, 0, 0, false, "NAME", "of this server only"},
    {"job", 'j', OPTION_STR, NULL, 0, 0, false, "NAME",
     "of this job only (packages: package:NAME)"},
    {"parent", 'p', OPTION_STR, NULL, 0, 0, false, "RUN", "children of this parent run only"},
    {"run", 'r', OPTION_STR, NULL, 0, 0, false, "RUN", "of this run only"},
    {"status", 0, OPTION_STR, NULL, 0, 0, false, "STATUS",
     "results with this status only: succeeded, failed, ..."},
    {"event", 'e', OPTION_STR, "result", 0, 0, false, "KIND",
     "result, called, assigned, started, lost, operated, server, parent, ...; or all"},
    {"since", 0, OPTION_STR, NULL, 0, 0, false, "TIME|SEQ",
     "begin so long ago (2h), at this time, or after this number; default: now"},
    {"until-now", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "end at the newest event instead of waiting for more"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
};

static const char examples[] =
    "  lbmon                                  results as they come\n"
    "  lbmon --since 2h --status failed       what has failed lately, and what fails from now on\n"
    "  lbmon --event all --json --since 0     everything that the broker remembers, for a program\n";

enum {
    /* a broker that is away for so long is worth a word; a restart often takes less */
    SILENCE_MS = 2000,
    WATCH_MS = 500
};

struct monitor {
    bool as_json;
    struct term term;
    struct longboat *lb;
    struct loop_timer watch;
    int64_t down_since;
    bool said_down;
    int unwritten; /* why stdout does not have an event, errno */
};

static void say(const char *sentence, const char *more)
{
    struct buf line = {0};
    buf_printf(&line, "lbmon: ");
    term_safe(&line, span_str(sentence));
    term_safe(&line, span_str(more));
    fprintf(stderr, "%s\n", buf_str(&line));
    buf_free(&line);
}

/* Says once that the broker is away, and once that it is back: else nobody could tell it from a
   quiet night. */
static void on_watch(struct loop *l, struct loop_timer *t, void *arg)
{
    struct monitor *m = arg;
    const int64_t now = loop_now(l);
    if (longboat_is_up(m->lb)) {
        if (m->said_down)
            say(longboat_broker(m->lb), " is there again");
        m->said_down = false;
        m->down_since = 0;
    } else if (!m->down_since) {
        m->down_since = now;
    } else if (now - m->down_since >= SILENCE_MS && !m->said_down) {
        char *text = mem_printf(" does not answer%s%s; waiting for it",
                                *longboat_trouble(m->lb) ? ": " : "", longboat_trouble(m->lb));
        say(longboat_broker(m->lb), text);
        mem_free(&text);
        m->said_down = true;
    }
    loop_timer_set(l, t, "lbmon.watch", now + WATCH_MS, on_watch, m);
}

static bool print(void *self, uint64_t seq, struct span json)
{
    struct monitor *m = self;
    struct buf out = {0};
    (void)seq;
    if (m->as_json) {
        buf_add(&out, json.p, json.n);
        buf_add_str(&out, "\n");
    } else {
        struct error err = {0};
        json_t *event = json_parse("event", json, &err);
        if (event)
            line_of_event(event, &m->term, &out);
        else
            fprintf(stderr, "lbmon: an event is not JSON: %s\n", err.text);
        json_decref(event);
    }
    bool ok = fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0;
    m->unwritten = ok ? 0 : errno;
    buf_free(&out);
    return ok; /* whoever reads us is gone, or the disk is full: end */
}

/* A duration back from now, a time, or a number: *ret_after or *ret_since. */
static int since(const char *s, uint64_t *ret_after, int64_t *ret_since, struct error *err)
{
    int64_t ms;
    char *end;
    errno = 0;
    unsigned long long n = strtoull(s, &end, 10);
    if (*s >= '0' && *s <= '9' && *end == 0 && errno == 0) {
        *ret_after = n;
        *ret_since = n ? 0 : 1;
        return 0;
    }
    if (duration_parse(s, &ms, NULL) == 0) {
        *ret_since = clock_wall_ms() - ms;
        return 0;
    }
    if (clock_parse(s, ret_since, NULL) == 0)
        return 0;
    return error_set(
        err, -EINVAL,
        "--since takes a duration (2h), a time (2026-11-21T22:00:00Z) or an event's number, not '%s'",
        s);
}

static uint32_t filter(const struct option_values *v, struct buf *where)
{
    static const char *const names[] = {"server", "job", "parent", "run", "status", "event"};
    uint32_t n = 0;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *value = opt_str(v, names[i]);
        if (!value || (strcmp(names[i], "event") == 0 && strcmp(value, "all") == 0))
            continue;
        value_add_str(where, span_str(names[i]));
        value_add_str(where, span_str(value));
        n++;
    }
    return n;
}

static int follow(const struct option_values *v, struct error *err)
{
    struct monitor m = {.as_json = opt_flag(v, "json"), .term = term_of(STDOUT_FILENO)};
    struct longboat *lb = NULL;
    struct buf where = {0};
    uint64_t after = 0;
    int64_t from = clock_wall_ms();
    if (opt_str(v, "since") && since(opt_str(v, "since"), &after, &from, err) < 0)
        return 2;
    if (after)
        from = 0;
    if (longboat_open(&lb, NULL, NULL, err) < 0)
        return 3;
    m.lb = lb;
    loop_timer_set(longboat_loop(lb), &m.watch, "lbmon.watch", loop_now(longboat_loop(lb)),
                   on_watch, &m);
    uint32_t n = filter(v, &where);
    struct wire_list list = wire_list_from(&where, n);
    int rc =
        longboat_follow_events(lb, after, from, &list, !opt_flag(v, "until-now"), print, &m, err);
    loop_timer_stop(longboat_loop(lb), &m.watch);
    longboat_close(&lb);
    buf_free(&where);
    if (rc == 0 && m.unwritten && m.unwritten != EPIPE) {
        error_set(err, -m.unwritten, "standard output does not have all of it: %s",
                  strerror(m.unwritten));
        return 1;
    }
    return rc == -EINVAL ? 2 : rc < 0 ? 3 : 0;
}

int main(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    int first, code;
    signal(SIGPIPE, SIG_IGN);
    if (options_parse(rows, COUNT_OF(rows), argc, argv, &v, &first, &err) < 0 ||
        (!opt_flag(&v, "help") && !opt_flag(&v, "version") && first < argc &&
         error_set(&err, -EINVAL, "what is '%s'? lbmon takes options only", argv[first]) < 0)) {
        fprintf(stderr, "lbmon: %s; lbmon --help says more\n", err.text);
        return 2;
    }
    if (options_answered(&v, "lbmon", "[options]", examples)) {
        options_free(&v);
        return 0;
    }
    code = follow(&v, &err);
    if (code)
        fprintf(stderr, "lbmon: %s\n", err.text);
    options_free(&v);
    return code;
}
