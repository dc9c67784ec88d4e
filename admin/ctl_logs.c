/* ctl_logs.c - lbctl logs: the output of a run's steps, or of a parent's children, from anywhere,
 * even while it runs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/ctl_logs.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    {"follow", 'f', OPTION_FLAG, NULL, 0, 0, false, NULL, "go on until the run has ended"},
    {"step", 's', OPTION_STR, "", 0, LIMIT_NAME, false, "NAME", "only of this step"},
    {"try", 0, OPTION_INT, "0", 0, LIMIT_TRIES, false, "N", "only of this try of each step"},
    {"grep", 'g', OPTION_STR, "", 0, LIMIT_TEXT, false, "PATTERN",
     "only lines that this extended regular expression matches"},
    {"since", 0, OPTION_STR, NULL, 0, 0, false, "TIME",
     "only what was written since: 2h, 09:14, \"2026-11-20 09:14\""},
    {"children", 0, OPTION_INT, "100", 1, LOGS_CHILDREN_MAX, false, "N",
     "of a parent, so many children at most"},
    {"times", 't', OPTION_FLAG, NULL, 0, 0, false, NULL, "before each line when it was read"},
    CTL_UTC_ROW,
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "one JSON object a piece: run, step, attempt, try, stream, offset, at, text; of a parent with "
     "child, a line each"},
};

static const char examples[] =
    "  lbctl logs last -f\n"
    "  lbctl logs 4b3c2d10 --step extract 2>/dev/null       its standard output alone\n"
    "  lbctl logs last --grep 'error|warn' --times\n"
    "  lbctl logs PARENT --times 2>&1 | sort                all children by time\n"
    "Of a parent: one child after the other, in the order in which they began, each\n"
    "line with the child's name; with -f as the lines come.\n"
    "Exit codes: 0 done; 1 there is no output, because it has not started, was\n"
    "refused, or is no longer kept; 2 wrong usage, or an unknown step; 3 refused, or\n"
    "the broker cannot be reached.\n";

static bool is_done(void *self)
{
    return logs_reading_is_done(self);
}

/* As long as something comes, we go on. */
static int wait_for(struct logs_wanted *w, struct logs_reading *r, struct error *err)
{
    uint64_t heard;
    int rc;
    do {
        heard = logs_reading_heard(r);
        rc = longboat_wait(w->lb, is_done, r, w->follow ? 0 : CTL_TIMEOUT_MS, err);
    } while (rc == -ETIMEDOUT && logs_reading_heard(r) > heard);
    return rc;
}

static int read_run(struct logs_wanted *w, const struct id *run, json_t *row, bool *ret_any)
{
    struct error err = {0};
    struct logs_reading *r = logs_reading_begin(w, run, row, "", NULL, &err);
    int rc = r ? wait_for(w, r, &err) : err.code, code = EXIT_REFUSED;
    if (r)
        code = logs_reading_end(&r, ret_any);
    return rc < 0 ? ctl_fail(w->argv, EXIT_REFUSED, &err) : code;
}

static int logs(struct logs_wanted *w, const char *text, int64_t children)
{
    struct id run;
    json_t *row = NULL;
    bool any = true;
    int code = ctl_find(w->argv, w->lb, text, &run);
    if (code < 0)
        code = ctl_logs_look(w, &run, &row);
    if (code < 0)
        code =
            ctl_is_parent(row) ? ctl_logs_parent(w, row, children) : read_run(w, &run, row, &any);
    if (code == EXIT_DONE && !any && !w->as_json && !w->greps && isatty(STDERR_FILENO) == 1)
        term_say(stderr, "no output\n");
    json_decref(row);
    return code;
}

/* -1 to go on. */
static int take_options(struct logs_wanted *w, const struct option_values *v)
{
    struct error err = {0};
    char why[200];
    const char *since = opt_str(v, "since"), *pattern = opt_str(v, "grep");
    w->as_json = opt_flag(v, "json");
    w->times = opt_flag(v, "times");
    w->follow = opt_flag(v, "follow");
    w->step = opt_str(v, "step");
    w->try_no = (uint64_t)opt_int(v, "try");
    if (opt_flag(v, "utc"))
        term_utc();
    if (since && *since && term_time_parse(since, clock_wall_ms(), &w->since, &err) < 0) {
        error_prefix(&err, "--since");
        return ctl_fail(w->argv, EXIT_ASKED_WRONGLY, &err);
    }
    int bad = *pattern ? regcomp(&w->pattern, pattern, REG_EXTENDED) : 0;
    if (bad) {
        regerror(bad, &w->pattern, why, sizeof why);
        error_set(&err, -EINVAL, "--grep: '%s' is not a regular expression: %s", pattern, why);
        return ctl_fail(w->argv, EXIT_ASKED_WRONGLY, &err);
    }
    w->greps = *pattern != '\0';
    return -1;
}

int ctl_logs(int argc, char **argv)
{
    struct option_values v = {0};
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "RUN [options]", examples, 1, 1,
                                &v, &first);
    if (code >= 0)
        return code;
    struct logs_wanted w = {.argv = argv};
    code = take_options(&w, &v);
    if (code < 0) {
        w.lb = ctl_connect(argv);
        code = w.lb ? logs(&w, argv[first], opt_int(&v, "children")) : EXIT_REFUSED;
    }
    longboat_close(&w.lb);
    if (w.greps)
        regfree(&w.pattern);
    options_free(&v);
    return code;
}
