/* ctl_logsnone.c - see ctl_logs.h. */
#include <stdio.h>
#include <string.h>

#include "admin/ctl_logs.h"
#include "client/find.h"
#include "common/termout.h"

static bool is_one_of(const char *word, const char *const words[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/* -1 to go on. */
static int judge(char **argv, json_t *row, bool follow)
{
    static const char *const early[] = {"waiting", "parked", "handed_over"}, *const never[] = {
                                                                                 "refused",
                                                                                 "unreachable"};
    const char *state = ctl_text(row, "state"), *status = ctl_text(row, "status"),
               *id = ctl_id(row, "run", FIND_TAIL);
    struct buf why = {0};
    if (is_one_of(state, early, COUNT_OF(early)) && ctl_int(row, "attempt") <= 1) {
        term_say(stderr, "%s: run %s has not started: it is %s%s%s%s\n", argv[0], id,
                 strcmp(state, "handed_over") == 0 ? "handed over" : state,
                 follow ? "" : "; lbctl explain ", follow ? "" : id,
                 follow ? "; waiting for it" : " says why");
        return follow ? -1 : EXIT_RAN_AND_FAILED;
    }
    json_t *steps = json_object_get(json_object_get(row, "job_outcome"), "steps");
    bool none_ran = steps && json_array_size(steps) == 0 && !json_object_get(row, "left_out");
    if (!is_one_of(status, never, COUNT_OF(never)) && !none_ran)
        return -1;
    term_safe(&why, span_str(ctl_text(row, "message")));
    term_say(stderr, "%s: run %s has no output, it was never started: %s%s%s\n", argv[0], id,
             status, why.n ? ": " : "", buf_str(&why));
    buf_free(&why);
    return EXIT_RAN_AND_FAILED;
}

/* A run that has ended lists its steps: is this one of them? -1 to go on. */
static int check_step(char **argv, json_t *row, const char *step)
{
    json_t *steps = json_object_get(json_object_get(row, "job_outcome"), "steps"), *item;
    struct buf names = {0};
    size_t i;
    bool known = !*step || json_array_size(steps) == 0;
    json_array_foreach (steps, i, item) {
        const char *name = ctl_text(item, "name");
        known |= strcmp(name, step) == 0;
        if (ctl_int(item, "tries") <= 1)
            buf_printf(&names, "%s%s", names.n ? ", " : "", name);
    }
    if (!known)
        term_say(stderr, "%s: %s has no step '%s' (steps: %s)\n", argv[0], ctl_text(row, "job"),
                 step, buf_str(&names));
    buf_free(&names);
    return known ? -1 : EXIT_ASKED_WRONGLY;
}

int ctl_logs_look(const struct logs_wanted *w, const struct id *run, json_t **ret_row)
{
    char id[ID_TEXT];
    json_t *found = json_array();
    const struct ctl_where where[] = {{"run", id_format(*run, id), 0, false}};
    struct ctl_query q = {
        .what = "run", .where = where, .n_where = 1, .row = ctl_gather, .self = found};
    int code = ctl_query_over(w->argv, w->lb, &q);
    json_t *row = *ret_row = json_incref(json_array_get(found, 0));
    json_decref(found);
    if (code != EXIT_DONE)
        return code;
    if (ctl_is_parent(row))
        return -1;
    code = judge(w->argv, row, w->follow);
    return code < 0 ? check_step(w->argv, row, w->step) : code;
}
