/* ctl_drain.c - lbctl drain: nothing new starts on a server, and, with --wait, until nothing runs
 * there.
 *
 * That the server drains is the broker's state and outlives this program: whatever ends the
 * waiting, undrain alone takes it back. A broker that is away for a while does not end it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "common/clock.h"
#include "common/duration.h"
#include "common/termout.h"

enum { ASK_MS = 1000 /* between two checks */, EXIT_INTERRUPTED = 130 };

static const struct option_row rows[] = {
    {"reason", 'r', OPTION_STR, "", 0, LIMIT_TEXT, false, "TEXT", "why; kept in the history"},
    {"wait", 'w', OPTION_FLAG, NULL, 0, 0, false, NULL, "wait until nothing runs there"},
    {"timeout", 0, OPTION_DURATION, NULL, 1000, 30LL * 86400000, false, "TIME",
     "how long --wait waits; default: as long as it takes"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "print what is there at the end as JSON"},
};

static const char examples[] =
    "  lbctl drain etl2 --reason 'new disk'    running jobs go on, new ones stay away\n"
    "  lbctl drain etl2 --wait --timeout 2h && ssh etl2 reboot\n"
    "The server drains until lbctl undrain, also if the waiting ends early.\n"
    "\n"
    "Exit codes of --wait: 0 nothing is there any more; 1 something still is, because\n"
    "the time is over or the server was undrained; 130 interrupted (Ctrl-C).\n";

enum drain_end { DRAIN_GOES_ON, DRAIN_DONE, DRAIN_LATE, DRAIN_UNDONE, DRAIN_INTERRUPTED };

struct drain_wait {
    char **argv;
    struct longboat *lb;
    const char *server;
    bool json;
    int64_t began_at;   /* boot */
    json_t *row, *runs; /* as last heard; NULL: not yet */
    int64_t said;       /* how many were there when we last said it; -1: never */
    bool drawn;         /* a line of progress stands on the terminal */
    bool away;          /* the broker did not answer the last question */
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* A second one ends us as usual. */
static void catch_interrupts(void)
{
    struct sigaction a = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}, was;
    if (sigaction(SIGINT, NULL, &was) == 0 && was.sa_handler != SIG_IGN)
        sigaction(SIGINT, &a, NULL);
}

static bool is_interrupted(void *self)
{
    (void)self;
    return interrupted;
}

/* ---- What is there */

static int ask(struct drain_wait *w, const char *what, const char *filter, json_t **ret)
{
    const struct ctl_where where[] = {{filter, w->server, 0, false}};
    json_t *found = json_array();
    struct ctl_query q = {.what = what,
                          .where = where,
                          .n_where = 1,
                          .raw = w->json,
                          .row = ctl_gather,
                          .self = found};
    int code = ctl_query_over(w->argv, w->lb, &q);
    w->away = q.rc == -ETIMEDOUT;
    if (code != EXIT_DONE) {
        json_decref(found);
        return code;
    }
    json_decref(*ret);
    *ret = found;
    return EXIT_DONE;
}

/* The row of the server and the runs there. */
static int look(struct drain_wait *w)
{
    json_t *found = NULL;
    int code = ask(w, "servers", "address", &found); /* "server" would list all its jobs, too */
    if (code == EXIT_DONE && json_array_size(found) != 1) {
        struct error err = {0};
        error_set(&err, -ENOENT,
                  "no grant of yours (watch *@%s) lets you see what runs on '%s', so there is "
                  "nothing to wait for; it drains",
                  w->server, w->server);
        code = ctl_fail(w->argv, EXIT_REFUSED, &err);
    }
    if (code == EXIT_DONE) {
        json_decref(w->row);
        w->row = json_incref(json_array_get(found, 0));
        code = ask(w, "runs", "server", &w->runs);
    }
    json_decref(found);
    return code;
}

static bool is_empty(const struct drain_wait *w)
{
    return ctl_int(w->row, "live") == 0;
}

/* ---- What people see of it */

/* "3 are still there, 2m 05s: nightly-extract 31%, load" */
static void describe(const struct drain_wait *w, struct buf *out)
{
    char took[DURATION_TEXT];
    size_t i;
    json_t *run;
    buf_printf(out, "%s: %lld still there", w->server, (long long)ctl_int(w->row, "live"));
    if (strcmp(ctl_text(w->row, "session"), "unreachable") == 0)
        buf_add_str(out, ", and it is unreachable");
    buf_printf(out, ", %s", duration_format(clock_boot_ms() - w->began_at, took));
    json_array_foreach (w->runs, i, run) {
        buf_printf(out, "%s%s", i ? ", " : ": ", ctl_text(run, "job"));
        if (ctl_int(run, "percent"))
            buf_printf(out, " %lld%%", (long long)ctl_int(run, "percent"));
    }
}

static void draw(struct drain_wait *w)
{
    const struct term t = term_of(STDERR_FILENO);
    struct buf line = {0}, out = {0};
    const int64_t live = ctl_int(w->row, "live");
    describe(w, &line);
    if (t.is_terminal) {
        term_up(&out, 0);
        struct buf safe = {0};
        term_safe(&safe, buf_span(&line));
        term_cut(&out, buf_span(&safe), t.width - 1);
        term_erase_line(&out);
        buf_free(&safe);
        w->drawn = true;
        term_put(stderr, buf_span(&out));
    } else if (live != w->said) {
        term_say(stderr, SPAN_FMT "\n", SPAN_ARG(buf_span(&line)));
    }
    w->said = live;
    buf_free(&line);
    buf_free(&out);
}

static void clear(struct drain_wait *w)
{
    struct buf out = {0};
    if (!w->drawn)
        return;
    term_up(&out, 0);
    term_erase_line(&out);
    term_put(stderr, buf_span(&out));
    buf_free(&out);
    w->drawn = false;
}

static void print_runs(json_t *runs)
{
    const struct term_column columns[] = {
        {"run", 0},
        {"state", 0},
        {"job", TERM_SHRINK(12)},
        {ctl_zoned("called"), 0},
        {"done", TERM_RIGHT | TERM_OPTIONAL},
        {"by", TERM_SHRINK(5) | TERM_DROP(2)},
        {"text", TERM_OPTIONAL | TERM_SHRINK(12) | TERM_DROP(1)},
    };
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    unsigned digits = ctl_id_digits(runs, "run");
    size_t i;
    json_t *row;
    json_array_foreach (runs, i, row) {
        term_table_add(t, ctl_id(row, "run", digits));
        term_table_add_in(t, ctl_mood(ctl_text(row, "state")), ctl_text(row, "state"));
        term_table_add(t, ctl_text(row, "job"));
        term_table_add(t, ctl_when(row, "called_at"));
        if (ctl_int(row, "percent"))
            term_table_addf(t, TERM_PLAIN, "%lld%%", (long long)ctl_int(row, "percent"));
        else
            term_table_add(t, "");
        term_table_add(t, ctl_text(row, "by"));
        term_table_add(t, ctl_text(row, "text"));
    }
    ctl_print(t);
    term_table_free(&t);
}

static void print_json(const struct drain_wait *w)
{
    json_t *o = json_object();
    json_object_set_new(o, "v", json_integer(1));
    json_object_set_new(o, "server", json_string(w->server));
    json_object_set(o, "draining", json_object_get(w->row, "draining"));
    json_object_set(o, "session", json_object_get(w->row, "session"));
    json_object_set(o, "live", json_object_get(w->row, "live"));
    json_object_set_new(
        o, "drained",
        json_boolean(json_is_true(json_object_get(w->row, "draining")) && is_empty(w)));
    json_object_set_new(o, "waited_ms", json_integer(clock_boot_ms() - w->began_at));
    json_object_set(o, "runs", w->runs);
    char *line = json_dumps(o, JSON_COMPACT);
    term_say(stdout, "%s\n", line);
    free(line);
    json_decref(o);
}

static void say_end(struct drain_wait *w, enum drain_end end)
{
    char took[DURATION_TEXT];
    const long long live = (long long)ctl_int(w->row, "live");
    duration_format(clock_boot_ms() - w->began_at, took);
    clear(w);
    switch (end) {
    case DRAIN_DONE:
        if (!w->json)
            term_say(stdout, "%s is drained: nothing runs there\n", w->server);
        return;
    case DRAIN_LATE:
        term_say(stderr, "%s: after %s, %lld still there; %s goes on draining\n", w->argv[0], took,
                 live, w->server);
        break;
    case DRAIN_UNDONE:
        term_say(stderr, "%s: %s was undrained meanwhile, and takes work again\n", w->argv[0],
                 w->server);
        break;
    case DRAIN_INTERRUPTED:
        term_say(stderr,
                 "%s: interrupted after %s, %lld still there; %s goes on draining (lbctl undrain "
                 "%s ends that)\n",
                 w->argv[0], took, live, w->server, w->server);
        break;
    case DRAIN_GOES_ON:
        break;
    }
    if (strcmp(ctl_text(w->row, "session"), "unreachable") == 0)
        term_say(stderr,
                 "%s is unreachable: what it has goes on when it is back, or is lost after its "
                 "time (lost_after)\n",
                 w->server);
    if (!w->json)
        print_runs(w->runs);
}

/* ---- The verb */

static enum drain_end judge(const struct drain_wait *w, int64_t timeout_ms)
{
    if (!json_is_true(json_object_get(w->row, "draining")))
        return DRAIN_UNDONE;
    if (is_empty(w) && !w->away)
        return DRAIN_DONE;
    if (interrupted)
        return DRAIN_INTERRUPTED;
    if (timeout_ms && clock_boot_ms() - w->began_at >= timeout_ms)
        return DRAIN_LATE;
    return DRAIN_GOES_ON;
}

static int64_t next_look_ms(const struct drain_wait *w, int64_t timeout_ms)
{
    const int64_t left = w->began_at + timeout_ms - clock_boot_ms();
    return timeout_ms && left < ASK_MS ? (left > 1 ? left : 1) : ASK_MS;
}

static int wait_until_drained(struct drain_wait *w, int64_t timeout_ms)
{
    enum drain_end end = DRAIN_GOES_ON;
    catch_interrupts();
    for (;;) {
        int code = look(w);
        if (code != EXIT_DONE && (!w->away || !w->row))
            return code;
        if ((end = judge(w, timeout_ms)) != DRAIN_GOES_ON)
            break;
        draw(w);
        longboat_wait(w->lb, is_interrupted, NULL, next_look_ms(w, timeout_ms), NULL);
    }
    say_end(w, end);
    return end == DRAIN_DONE          ? EXIT_DONE
           : end == DRAIN_INTERRUPTED ? EXIT_INTERRUPTED
                                      : EXIT_RAN_AND_FAILED;
}

static int drain(struct drain_wait *w, const struct option_values *v)
{
    const bool wait = opt_flag(v, "wait");
    struct buf message = {0};
    struct m_operate m = {.req = longboat_req(w->lb),
                          .verb = span_str("drain"),
                          .target = span_str(w->server),
                          .reason = span_str(opt_str(v, "reason"))};
    m_operate_encode(&m, &message);
    int code = wait || w->json ? ctl_ask_done_aside(w->lb, w->argv, m.req, buf_span(&message))
                               : ctl_ask_done(w->lb, w->argv, m.req, buf_span(&message));
    buf_free(&message);
    if (code == EXIT_DONE && wait)
        code = wait_until_drained(w, opt_given(v, "timeout") ? opt_int(v, "timeout") : 0);
    else if (code == EXIT_DONE && w->json)
        code = look(w);
    if (w->json && w->row && w->runs)
        print_json(w);
    return code;
}

int ctl_drain(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv,
                                "SERVER [--reason TEXT] [--wait [--timeout TIME]]", examples, 1, 1,
                                &v, &first);
    if (code >= 0)
        return code;
    struct drain_wait w = {.argv = argv,
                           .server = argv[first],
                           .json = opt_flag(&v, "json"),
                           .began_at = clock_boot_ms(),
                           .said = -1};
    if (opt_given(&v, "timeout") && !opt_flag(&v, "wait")) {
        error_set(&err, -EINVAL, "--timeout is for --wait, which is not given");
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    } else {
        w.lb = ctl_connect(argv);
        code = w.lb ? drain(&w, &v) : EXIT_REFUSED;
    }
    longboat_close(&w.lb);
    json_decref(w.row);
    json_decref(w.runs);
    options_free(&v);
    return code;
}
