/* ctl_store.c - lbctl store check | backup: checks or copies the broker's store while the broker
 * runs. */
#include "admin/ctl.h"

#include <errno.h>
#include <string.h>

static const struct option_row rows[] = {
    {"reason", 'r', OPTION_STR, "", 0, LIMIT_TEXT, false, "TEXT", "why; kept in the history"},
};

static const char examples[] =
    "  lbctl store check                        reads and checks every record\n"
    "  lbctl store backup /srv/backup/lb.db     a consistent copy; the path is on the\n"
    "                                           broker's machine\n"
    "The broker keeps working. Both take as long as it takes to read the whole store.\n";

static int ask(char **argv, const char *verb, const char *target, const char *reason)
{
    struct buf message = {0};
    struct longboat *lb = ctl_connect(argv);
    if (!lb)
        return EXIT_REFUSED;
    struct m_operate m = {.req = longboat_req(lb),
                          .verb = span_str(verb),
                          .target = span_str(target),
                          .reason = span_str(reason)};
    m_operate_encode(&m, &message);
    int code = ctl_ask_done_within(lb, argv, m.req, buf_span(&message), 0);
    buf_free(&message);
    longboat_close(&lb);
    return code;
}

int ctl_store(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv,
                                "check | backup FILE [--reason TEXT]", examples, 1, 2, &v, &first);
    if (code >= 0)
        return code;
    const char *verb = argv[first], *file = first + 1 < argc ? argv[first + 1] : NULL;
    if (strcmp(verb, "check") == 0 && !file)
        code = ask(argv, "check", "", opt_str(&v, "reason"));
    else if (strcmp(verb, "backup") == 0 && file)
        code = ask(argv, "backup", file, opt_str(&v, "reason"));
    else {
        error_set(&err, -EINVAL, "usage: %s check | backup FILE [--reason TEXT]", argv[0]);
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    }
    options_free(&v);
    return code;
}
