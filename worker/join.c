/* join.c - lbworker join: makes this machine a server of a cluster, with a token read from standard
 * input. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/enrol.h"
#include "common/mem.h"
#include "common/options.h"
#include "common/termout.h"
#include "worker/worker.h"

enum { EXIT_DONE, EXIT_FAILED, EXIT_ASKED_WRONGLY, EXIT_REFUSED };

static const struct option_row rows[] = {
    {"force", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "replace the identity that this machine has"},
    {"timeout", 0, OPTION_DURATION, "30s", 1, 86400000, false, "TIME",
     "how long to wait for the broker"},
};

static const char examples[] =
    "Makes this machine a server of a cluster. Reads the token from standard input;\n"
    "a token is a secret, and good for one use. Writes keys and certificate into the\n"
    "configuration folder.\n"
    "\n"
    "Examples:\n"
    "  lbctl invite --server etl4 --pools etl | ssh etl4 lbworker join\n"
    "  lbworker join --force < token\n"
    "\n"
    "Exit codes: 0 joined; 1 failed; 2 bad usage; 3 refused, or no answer from the\n"
    "broker.\n";

static int join(const struct option_values *values, struct error *err)
{
    char *token = NULL;
    struct enrol_result r;
    if (isatty(STDIN_FILENO))
        term_say(stderr,
                 "Paste the token that `lbctl invite --server NAME` printed, then press Ctrl-D:\n");
    int rc = enrol_read_token(STDIN_FILENO, &token, err);
    if (rc < 0)
        return rc;
    const struct enrol_options o = {.token = token,
                                    .server = true,
                                    .force = opt_flag(values, "force"),
                                    .timeout_ms = opt_int(values, "timeout")};
    rc = enrol(&o, &r, err);
    sodium_memzero(token, strlen(token));
    mem_free(&token);
    if (rc == 0)
        term_say(stdout, "joined: server %s of cluster %s; files in %s\n", r.name, r.cluster,
                 r.folder);
    return rc;
}

int join_verb(int argc, char **argv)
{
    struct option_values values = {0};
    struct error err = {0};
    int first;
    if (options_parse(rows, COUNT_OF(rows), argc, argv, &values, &first, &err) < 0 ||
        (first < argc &&
         error_set(&err, -EINVAL, "unexpected argument '%s'; the token is read from standard input",
                   argv[first]) < 0)) {
        term_say(stderr, "lbworker join: %s\n", err.text);
        options_free(&values);
        return EXIT_ASKED_WRONGLY;
    }
    if (options_answered(&values, "lbworker join", "[options]", examples)) {
        options_free(&values);
        return EXIT_DONE;
    }
    int rc = join(&values, &err);
    options_free(&values);
    if (rc == 0)
        return EXIT_DONE;
    term_say(stderr, "lbworker join: %s\n", err.text);
    bool refused = rc == -EACCES || rc == -EEXIST || rc == -ETIME || rc == -ETIMEDOUT;
    return rc == -EINVAL ? EXIT_ASKED_WRONGLY : refused ? EXIT_REFUSED : EXIT_FAILED;
}
