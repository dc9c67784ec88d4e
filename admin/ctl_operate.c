/* ctl_operate.c - the verbs of an operator: cancel, release, undrain, forget (drain: ctl_drain.c).
 * Each takes a --reason, which the broker keeps with who asked and when. */
#include "admin/ctl_proof.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/termout.h"
#include "common/utf8.h"

static const struct option_row cancel_rows[] = {
    {"reason", 'r', OPTION_STR, "", 0, LIMIT_TEXT, false, "TEXT", "why; kept in the history"},
    {"force", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "kill at once (SIGKILL), without the time to clean up that SIGTERM gives"},
};

static const struct option_row reason_rows[] = {
    {"reason", 'r', OPTION_STR, "", 0, LIMIT_TEXT, false, "TEXT", "why; kept in the history"},
};

static const struct option_row release_rows[] = {
    {"reason", 'r', OPTION_STR, "", 0, LIMIT_TEXT, false, "TEXT", "why; kept in the history"},
    {"rerun", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "run it again: the lost attempt did no harm"},
    {"fail", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "end it as lost"},
    {"succeed", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "end it as succeeded: the lost attempt did its work"},
};

static const char cancel_examples[] = "  lbctl cancel 4b3c2d10 --reason 'wrong day'\n"
                                      "  lbctl cancel last\n";

static const char release_examples[] =
    "  lbctl release 4b3c2d10 --rerun --reason 'the load had not started'\n";

/* Refuses what cannot be cancelled. -1 to go on. */
static int judge_cancel(char **argv, json_t *row)
{
    const char *id = ctl_text(row, "run"), *driver = ctl_text(row, "driver");
    if (ctl_has_ended(row)) {
        term_say(stdout, "%s %s had already ended: %s\n", ctl_is_parent(row) ? "parent" : "run", id,
                 ctl_text(row, "status"));
        return EXIT_DONE;
    }
    if (!ctl_is_parent(row))
        return -1;
    if (*driver)
        term_say(stderr,
                 "%s: %s is a parent: it is cancelled by Ctrl-C at the lbsubmit that drives it\n",
                 argv[0], id);
    else
        term_say(stderr, "%s: %s is a parent that nobody drives: it starts nothing new\n", argv[0],
                 id);
    term_say(stderr, "  lbctl runs --parent %s lists its children, which can be cancelled\n", id);
    return EXIT_REFUSED;
}

static int cancel(char **argv, struct longboat *lb, const char *text, struct m_cancel *m)
{
    struct buf message = {0};
    struct m_cancel checked;
    struct error err = {0};
    int code;
    m_cancel_encode(m, &message);
    int rc = m_cancel_decode(buf_span(&message), &checked, &err); /* the reason, before the run */
    buf_clear(&message);
    json_t *row = rc == 0 ? ctl_run_row(argv, lb, text, &code) : NULL;
    if (!row) {
        buf_free(&message);
        return rc < 0 ? ctl_fail(argv, EXIT_ASKED_WRONGLY, &err) : code;
    }
    code = judge_cancel(argv, row);
    id_parse(ctl_text(row, "run"), &m->run, NULL);
    json_decref(row);
    if (code < 0) {
        m->req = longboat_req(lb);
        m_cancel_encode(m, &message);
        code = ctl_ask_done(lb, argv, m->req, buf_span(&message));
    }
    buf_free(&message);
    return code;
}

int ctl_cancel(int argc, char **argv)
{
    struct option_values v = {0};
    int first, code = ctl_begin(cancel_rows, COUNT_OF(cancel_rows), argc, argv,
                                "RUN [--reason TEXT] [--force]", cancel_examples, 1, 1, &v, &first);
    if (code >= 0)
        return code;
    struct m_cancel m = {.force = opt_flag(&v, "force"), .reason = span_str(opt_str(&v, "reason"))};
    struct longboat *lb = ctl_connect(argv);
    code = lb ? cancel(argv, lb, argv[first], &m) : EXIT_REFUSED;
    longboat_close(&lb);
    options_free(&v);
    return code;
}

static int with_reason(int argc, char **argv, const char *verb, const char *examples)
{
    struct option_values v = {0};
    int first, code = ctl_begin(reason_rows, COUNT_OF(reason_rows), argc, argv,
                                "SERVER [--reason TEXT]", examples, 1, 1, &v, &first);
    if (code >= 0)
        return code;
    code = ctl_operate(argv, verb, argv[first], NULL, opt_str(&v, "reason"));
    options_free(&v);
    return code;
}

int ctl_undrain(int argc, char **argv)
{
    return with_reason(argc, argv, "undrain", "  lbctl undrain etl2\n");
}

int ctl_forget(int argc, char **argv)
{
    return with_reason(argc, argv, "forget",
                       "  lbctl forget etl4 --reason 'scrapped'   its worker has stopped for good\n"
                       "The server is listed again when its worker connects. To keep it out:\n"
                       "  lbctl certificates revoke etl4\n");
}

/* Callers believe a success only if somebody has signed it: here the operator does. */
static int sign_success(struct longboat *lb, const struct id *run, json_t *row, const char *reason,
                        struct buf *items, uint32_t *n)
{
    struct ctl_proof proof = {.attempt = 0};
    struct d_signed call = {.serial = 0};
    struct buf outcome = {0}, signature = {0}, message = {0};
    struct error err = {0};
    int rc = ctl_proof_fetch(lb, run, &proof, &err);
    if (rc == 0)
        rc = d_signed_decode(buf_span(&proof.parts[PROOF_call]), &call, &err);
    buf_printf(&message, "released as succeeded by %s: %s", longboat_me(lb)->name,
               reason ? reason : "");
    const struct d_outcome o = {.job = JOB_SUCCEEDED,
                                .package = PACKAGE_SUCCEEDED,
                                .status = STATUS_SUCCEEDED,
                                .message =
                                    span_of(message.p, utf8_cut(buf_span(&message), LIMIT_TEXT)),
                                .job_name = span_str(ctl_text(row, "job")),
                                .ended_at = clock_wall_ms()};
    if (rc == 0) {
        d_outcome_encode(&o, &outcome);
        rc = longboat_sign_release(lb, run, (uint64_t)ctl_int(row, "attempt"), call.body,
                                   buf_span(&outcome), &signature, &err);
    }
    if (rc == 0) {
        value_add_str(items, span_str("outcome"));
        wire_add_bin(items, buf_span(&outcome));
        value_add_str(items, span_str("signature"));
        wire_add_bin(items, buf_span(&signature));
        *n += 2;
    }
    buf_free(&outcome);
    buf_free(&signature);
    buf_free(&message);
    ctl_proof_free(&proof);
    return rc;
}

static int release(char **argv, struct longboat *lb, const char *text,
                   const struct option_values *v)
{
    struct buf items = {0};
    uint32_t n = 1;
    struct id run;
    char id[ID_TEXT];
    int code = ctl_find(argv, lb, text, &run);
    if (code < 0) {
        value_add_str(&items, span_str("how"));
        value_add_str(&items, span_str(opt_flag(v, "rerun")  ? "rerun"
                                       : opt_flag(v, "fail") ? "fail"
                                                             : "succeed"));
        json_t *row =
            opt_flag(v, "succeed") ? ctl_run_row(argv, lb, id_format(run, id), &code) : NULL;
        if (row && sign_success(lb, &run, row, opt_str(v, "reason"), &items, &n) < 0)
            term_say(stderr,
                     "%s: this broker is too old for your signature; whoever called this "
                     "run will not believe that it succeeded\n",
                     argv[0]);
        json_decref(row);
        struct wire_list list = wire_list_from(&items, n);
        code =
            ctl_operate_over(argv, lb, "release", id_format(run, id), &list, opt_str(v, "reason"));
    }
    buf_free(&items);
    return code;
}

int ctl_release(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    int first, code = ctl_begin(release_rows, COUNT_OF(release_rows), argc, argv,
                                "RUN --rerun|--fail|--succeed [--reason TEXT]", release_examples, 1,
                                1, &v, &first);
    if (code >= 0)
        return code;
    int ways = opt_flag(&v, "rerun") + opt_flag(&v, "fail") + opt_flag(&v, "succeed");
    if (ways != 1) {
        error_set(&err, -EINVAL,
                  "give one of --rerun, --fail and --succeed: only you can know what the lost "
                  "attempt did");
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    } else {
        struct longboat *lb = ctl_connect(argv);
        code = lb ? release(argv, lb, argv[first], &v) : EXIT_REFUSED;
        longboat_close(&lb);
    }
    options_free(&v);
    return code;
}
