/* verbs.c - lbsubmit cancel, lbsubmit join. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/enrol.h"
#include "client/find.h"
#include "client/person.h"
#include "common/mem.h"
#include "common/termout.h"
#include "parent/submit.h"
#include "trust/passphrase.h"

/* Parses; -1 to go on, else the exit code. */
static int begin(const struct option_row *rows, size_t n, int argc, char **argv,
                 const char *synopsis, const char *examples, int arguments,
                 struct option_values *values, int *ret_first)
{
    struct error err = {0};
    if (options_parse(rows, n, argc, argv, values, ret_first, &err) < 0) {
        term_say(stderr, "%s: %s\n", argv[0], err.text);
        return EXIT_ASKED_WRONGLY;
    }
    if (options_answered(values, argv[0], synopsis, examples)) {
        options_free(values);
        return EXIT_SUCCEEDED;
    }
    if (argc - *ret_first == arguments)
        return -1;
    if (argc - *ret_first < arguments)
        term_say(stderr, "%s: RUN is missing; usage: %s %s\n", argv[0], argv[0], synopsis);
    else
        term_say(stderr, "%s: unexpected argument '%.60s'; usage: %s %s\n", argv[0],
                 argv[*ret_first + arguments], argv[0], synopsis);
    options_free(values);
    return EXIT_ASKED_WRONGLY;
}

/* ---- cancel */

static const struct option_row cancel_rows[] = {
    {"reason", 'r', OPTION_STR, "", 0, LIMIT_TEXT, false, "TEXT", "why; kept in the history"},
    {"force", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "kill at once (SIGKILL), without the time to clean up that SIGTERM gives"},
};
static const char cancel_examples[] =
    "Example:\n"
    "  lbsubmit cancel 4b3c2d10 --reason 'wrong day'\n\n"
    "RUN is an id, its last six or more digits, `last` or `last-failed`.\n"
    "A parent is cancelled with all of its children by Ctrl-C at the lbsubmit that drives it.\n";

/* `candidates`: a line for each run that `text` may mean, if there are several. */
static int cancel(const char *text, const struct option_values *v, struct buf *candidates,
                  struct error *err)
{
    struct longboat *lb = NULL;
    struct id run;
    struct buf message = {0}, answer = {0};
    enum refusal refusal = REFUSAL_NONE;
    struct m_done done;
    int rc = find_check(text, err);
    if (rc < 0 || (rc = longboat_open_person(&lb, NULL, err)) < 0)
        return rc;
    if ((rc = longboat_find_run(lb, text, &run, candidates, err)) < 0) {
        longboat_close(&lb);
        return rc;
    }
    struct m_cancel m = {.req = longboat_req(lb),
                         .run = run,
                         .force = opt_flag(v, "force"),
                         .reason = span_str(opt_str(v, "reason"))};
    m_cancel_encode(&m, &message);
    rc = longboat_ask(lb, m.req, buf_span(&message), CONNECT_MS, &answer, &refusal, err);
    if (rc == -EREMOTEIO && refusal == REFUSAL_UNKNOWN_RUN) {
        char *why = mem_strdup(err->text);
        error_set(err, rc, "%s; a parent is cancelled by Ctrl-C at the lbsubmit that drives it",
                  why);
        mem_free(&why);
    }
    if (rc == 0 && (rc = longboat_decode(lb, &m_done_schema, buf_span(&answer), &done, err)) == 0)
        term_say(stdout, SPAN_FMT "\n", SPAN_ARG(done.text));
    buf_free(&message);
    buf_free(&answer);
    longboat_close(&lb);
    return rc;
}

int verb_cancel(int argc, char **argv)
{
    struct option_values values = {0};
    struct error err = {0};
    struct buf candidates = {0};
    int first, code = begin(cancel_rows, COUNT_OF(cancel_rows), argc, argv,
                            "RUN [--reason TEXT] [--force]", cancel_examples, 1, &values, &first);
    if (code >= 0)
        return code;
    int rc = cancel(argv[first], &values, &candidates, &err);
    if (rc == -EINVAL || rc == -ENOTUNIQ)
        code = EXIT_ASKED_WRONGLY;
    else
        code = rc < 0 ? EXIT_REFUSED : EXIT_SUCCEEDED;
    if (code != EXIT_SUCCEEDED) {
        term_say(stderr, "%s: %s\n", argv[0], err.text);
        shell_print_err(buf_span(&candidates));
    }
    options_free(&values);
    buf_free(&candidates);
    return code;
}

/* ---- join */

static const struct option_row join_rows[] = {
    {"force", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "replace the identity that is here"},
    {"passphrase", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "encrypt the key with a passphrase, which each command then asks for"},
    {"timeout", 0, OPTION_DURATION, "30s", 1, 86400000, false, "TIME",
     "how long to wait for the broker"},
};
static const char join_examples[] =
    "The token is read from standard input; it is a secret until it is used.\n"
    "Example:\n"
    "  lbctl invite --principal anna --grant 'call *@etl' | ssh desk lbsubmit join\n";

static int join(const struct option_values *values, struct error *err)
{
    char *token = NULL, passphrase[PASSPHRASE_MAX];
    struct enrol_result r;
    if (opt_flag(values, "passphrase")) {
        int refused = passphrase_ask_new("your key", passphrase, err);
        if (refused < 0)
            return refused;
    }
    if (isatty(STDIN_FILENO))
        term_say(stderr,
                 "Paste the token that `lbctl invite --principal NAME` printed, then Ctrl-D:\n");
    int rc = enrol_read_token(STDIN_FILENO, &token, err);
    if (rc < 0) {
        explicit_bzero(passphrase, sizeof passphrase);
        return rc;
    }
    const struct enrol_options o = {.token = token,
                                    .passphrase =
                                        opt_flag(values, "passphrase") ? passphrase : NULL,
                                    .force = opt_flag(values, "force"),
                                    .timeout_ms = opt_int(values, "timeout")};
    rc = enrol(&o, &r, err);
    explicit_bzero(token, strlen(token));
    explicit_bzero(passphrase, sizeof passphrase);
    mem_free(&token);
    if (rc == 0)
        term_say(stdout, "joined: %s %s of cluster %s; files in %s\n", role_word(r.role), r.name,
                 r.cluster, r.folder);
    return rc;
}

int verb_join(int argc, char **argv)
{
    struct option_values values = {0};
    struct error err = {0};
    int first, code = begin(join_rows, COUNT_OF(join_rows), argc, argv, "[options]", join_examples,
                            0, &values, &first);
    if (code >= 0)
        return code;
    int rc = join(&values, &err);
    options_free(&values);
    if (rc == 0)
        return EXIT_SUCCEEDED;
    term_say(stderr, "%s: %s\n", argv[0], err.text);
    return rc == -EINVAL ? EXIT_ASKED_WRONGLY : EXIT_REFUSED;
}
