/* handrun.h - runs one job, or the job of one package, by hand on this machine, without a broker:
 * what `lbworker run-job` and `lbpkg run` share. The work is done by a runner of its own
 * (runner/byhand.h); here a person speaks with it.
 *
 * Output of the children goes to standard output and standard error as it comes, headings and how
 * it ended to standard error. Ctrl-C (or SIGTERM) stops the run as a cancel does: TERM, grace, KILL
 * of the whole tree, then `always` steps; a second one kills at once and skips those. */
#ifndef LB_CLIENT_HANDRUN_H
#define LB_CLIENT_HANDRUN_H

#include "common/options.h"
#include "proto/messages.h"

/* Rows for the verb's table, and what they mean for its page of help. */
#define HANDRUN_OPTIONS \
    {"parameter", \
     'p', \
     OPTION_LIST, \
     NULL, \
     0, \
     0, \
     false, \
     "NAME=VALUE", \
     "a parameter of the call; may be repeated; NAME=@FILE: the text of a file, or of @-, which " \
     "ps does not show"}, \
        {"as-of", 0,      OPTION_STR, \
         NULL,    0,      LIMIT_SHORT, \
         false,   "TIME", "what the run is for: a time, or a day; default: now"}, \
        {"dry-run", 0,    OPTION_FLAG, \
         NULL,      0,    0, \
         false,     NULL, "run nothing; say what each step would run, as whom and within what"}, \
    { \
        "json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, \
            "one JSON object: how it ended, or with --dry-run one for each step; the children's " \
            "output then goes to stderr" \
    }
#define HANDRUN_EXIT_CODES \
    "Exit codes: 0 succeeded; 1 it ran and failed; 2 wrong usage; 3 refused, so that\n" \
    "nothing was started, or not possible here; 130 cancelled with Ctrl-C.\n"

enum {
    HANDRUN_SUCCEEDED = 0,
    HANDRUN_FAILED = 1,
    HANDRUN_ASKED_WRONGLY = 2,
    HANDRUN_REFUSED = 3,
    HANDRUN_INTERRUPTED = 130
};

/* For a program that judges the run itself: nothing of it is printed but what went wrong here. */
struct handrun_watch {
    const struct wire_list *parameters;
    const char *as_of;  /* NULL: now */
    int64_t timeout_ms; /* then the run is stopped, as with Ctrl-C; 0: none */
    bool late;          /* it has been stopped for that */
    void (*on_output)(void *arg, unsigned stream, struct span data); /* 1 stdout, 2 stderr */
    /* At most one of these. Refused: nothing was started. */
    void (*on_outcome)(void *arg, const struct d_outcome *o);
    void (*on_refused)(void *arg, uint64_t code, struct span text);
    void *arg;
};

struct handrun {
    const char *program;                /* "lbworker run-job", for messages */
    const struct option_values *values; /* of HANDRUN_OPTIONS; not asked with a watch */
    struct handrun_watch *watch;        /* NULL: a person reads it */
    const char *job;                    /* NULL: the package's own */
    struct hash package;                /* zero: none */
    /* How to find a runner: the socket of a door, if there is one (runner/byhanddoor.h); else one
     * is started, */
    const char *door;
    const char *home;     /* with this home (NULL: that of the environment), */
    const char *settings; /* and these settings; NULL: those of the home */
    bool undeployed;      /* the package was never deployed, and the home is no server's */
};
/* Does all of it. Returns the exit code; what was wrong is on stderr. */
int handrun(const struct handrun *r);

#endif
