/* ctl_operate.c - the verbs with which an operator interferes: cancel, release, drain, undrain,
 * forget. Each takes a --reason, which the broker keeps with who asked and when. */
#include "admin/ctl.h"

#include <errno.h>
#include <string.h>

static const struct option_row cancel_rows[] = {
    {"reason", 'r', OPTION_STR, "", 0, LIMIT_TEXT, false, "TEXT", "why; kept in the history"},
    {"force", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "KILL at once, without the time to clean up that TERM gives"},
};

static const struct option_row reason_rows[] = {
    {"reason", 'r', OPTION_STR, "", 0, LIMIT_TEXT, false, "TEXT", "why; kept in the history"},
};

static const struct option_row release_rows[] = {
    {"reason", 'r', OPTION_STR, "", 0, LIMIT_TEXT, false, "TEXT", "why; kept in the history"},
    {"rerun", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "run it again: you know that the lost attempt did no harm"},
    {"fail", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "end it as lost"},
    {"succeed", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "end it as succeeded: you know that the lost attempt did its work"},
};

int ctl_cancel(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    struct buf message = {0};
    struct m_cancel m = {0};
    int first, code = ctl_begin(cancel_rows, COUNT_OF(cancel_rows), argc, argv,
                                "RUN [--reason TEXT] [--force]",
                                "  lbctl cancel RUN --reason 'wrong day'\n", 1, 1, &v, &first);
    if (code >= 0)
        return code;
    m.force = opt_flag(&v, "force");
    m.reason = span_str(opt_str(&v, "reason"));
    if (id_parse(argv[first], &m.run, &err) < 0) {
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    } else {
        struct longboat *lb = ctl_connect(argv);
        if (lb) {
            m.req = longboat_req(lb);
            m_cancel_encode(&m, &message);
            code = ctl_ask_done(lb, argv, m.req, buf_span(&message));
        } else {
            code = EXIT_REFUSED;
        }
        longboat_close(&lb);
    }
    buf_free(&message);
    options_free(&v);
    return code;
}

static int with_reason(int argc, char **argv, const char *verb, const char *example)
{
    struct option_values v = {0};
    int first, code = ctl_begin(reason_rows, COUNT_OF(reason_rows), argc, argv,
                                "SERVER [--reason TEXT]", example, 1, 1, &v, &first);
    if (code >= 0)
        return code;
    code = ctl_operate(argv, verb, argv[first], NULL, opt_str(&v, "reason"));
    options_free(&v);
    return code;
}

int ctl_drain(int argc, char **argv)
{
    return with_reason(
        argc, argv, "drain",
        "  lbctl drain etl2 --reason 'new disk'    what runs there ends there; nothing new comes\n");
}

int ctl_undrain(int argc, char **argv)
{
    return with_reason(argc, argv, "undrain", "  lbctl undrain etl2\n");
}

int ctl_forget(int argc, char **argv)
{
    return with_reason(
        argc, argv, "forget",
        "  lbctl forget etl4 --reason 'scrapped'   its worker has stopped, nothing of it is left there\n"
        "It comes back by itself when its worker connects; to keep it out: lbctl certificates revoke "
        "etl4\n");
}

int ctl_release(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    struct buf items = {0};
    int first, code = ctl_begin(
                   release_rows, COUNT_OF(release_rows), argc, argv,
                   "RUN --rerun|--fail|--succeed [--reason TEXT]",
                   "  lbctl release RUN --rerun --reason 'etl2 is scrap, the load had not begun'\n",
                   1, 1, &v, &first);
    if (code >= 0)
        return code;
    int ways = opt_flag(&v, "rerun") + opt_flag(&v, "fail") + opt_flag(&v, "succeed");
    if (ways != 1) {
        error_set(
            &err, -EINVAL,
            "say one of --rerun, --fail, --succeed: only you can know what the lost attempt did");
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    } else {
        value_add_str(&items, span_str("how"));
        value_add_str(&items, span_str(opt_flag(&v, "rerun")  ? "rerun"
                                       : opt_flag(&v, "fail") ? "fail"
                                                              : "succeed"));
        struct wire_list list = wire_list_from(&items, 1);
        code = ctl_operate(argv, "release", argv[first], &list, opt_str(&v, "reason"));
    }
    buf_free(&items);
    options_free(&v);
    return code;
}
