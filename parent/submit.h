/* submit.h - what the files of lbsubmit share: the program's own state, and its parts.
 *
 *   options.c one row for each option, and which may be combined
 *   shell.c   loop, connection, Ctrl-C, messages
 *   begin.c   makes the parent run durable before its first call
 *   drive.c   carries out the core's decisions and shows progress
 *   single.c  one call without a plan; singlejson.c: as JSON
 *   hint.c    "did you mean" for a job that no server has
 *   verbs.c   cancel, join
 */
#ifndef LB_PARENT_SUBMIT_H
#define LB_PARENT_SUBMIT_H

#include "client/longboat.h"
#include "common/options.h"
#include "common/term.h"
#include "parent/plan/plan.h"

enum { EXIT_SUCCEEDED, EXIT_RAN_AND_FAILED, EXIT_ASKED_WRONGLY, EXIT_REFUSED, EXIT_LEFT = 130 };

enum {
    CONNECT_MS = 30000 /* how long to wait for the broker to accept something */
};

struct submit_shell {
    struct loop *loop;
    struct longboat *lb;
    struct term err, out;
    bool quiet, json;
    /* not NULL: a live display is on; messages go here and are written with it */
    struct buf *screen;
    /* Ctrl-C: called with 1, then 2, ...; NULL: the program leaves. */
    void (*interrupted)(void *self, int times);
    void *self;
    int interrupts;
    struct hint *hints; /* of hint.c */
};

/* ---- shell.c */
/* Opens loop, signals and connection. 0, or the exit code after it has printed the error. */
int shell_open(struct submit_shell *s, const struct option_values *v);
void shell_close(struct submit_shell *s);
/* Prints a message on stderr, unless --quiet. */
void shell_say(struct submit_shell *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints an error on stderr, with --quiet, too. Returns `code`. */
int shell_fail(struct submit_shell *s, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Prints a client's error and returns its exit code: 130 after Ctrl-C, else EXIT_REFUSED. */
int shell_refused(struct submit_shell *s, int rc, const struct error *err);
/* Prints the broker's refusal; for a key that was used before, how to see the run that it made.
 * Returns EXIT_REFUSED. */
int shell_refusal(struct submit_shell *s, enum refusal code, const char *text);
void shell_print(struct span text); /* to stdout; a failure is kept for shell_code */
/* The final exit code: output that could not be written (a full disk, not a reader that went away)
 * is reported and is not a success. */
int shell_code(struct submit_shell *s, int code);
void shell_print_err(struct span text); /* to stderr */

/* ---- begin.c */
struct parent_run {
    struct longboat *lb; /* the session that holds the lease */
    struct id id;
    uint64_t epoch;
};
/* Sends the plan, begins the run under `key` (NULL: a new one) and takes its lease. *ret_refusal is
 * the broker's code if it refused. */
int parent_begin(struct submit_shell *s, struct span plan, const struct plan_made *made,
                 const char *key, int64_t now, struct parent_run *ret, enum refusal *ret_refusal,
                 struct error *err);
/* Takes the lease again, without waiting; for each new session. */
void parent_hold(struct submit_shell *s, struct parent_run *run);
/* Records the end; waits for as long as that takes. */
int parent_end(struct submit_shell *s, struct parent_run *run, enum status verdict,
               struct span report, struct error *err);

/* ---- drive.c: drives the run to its end; returns the exit code; closes the connection. */
int drive(struct submit_shell *s, const struct plan_made *made, struct parent_run *run);

/* ---- options.c */
extern const struct option_row submit_rows[];
extern const size_t submit_rows_n;
extern const char submit_examples[];
/* May these options be combined, and are none missing? -EINVAL */
int submit_check(const struct option_values *v, bool plan, struct error *err);

/* ---- single.c: makes the call; returns the exit code; closes the connection. */
int single_call(struct submit_shell *s, const struct option_values *v);

/* ---- singlejson.c: what a single call prints with --json, one object a line. */
struct single_end {
    struct id run;
    uint64_t attempt;
    const char *server, *job; /* the server's name comes from the broker */
};
void single_json_state(const struct longboat_run *r, int64_t now, struct buf *out);
void single_json_result(const struct single_end *e, const struct d_outcome *o, struct buf *out);
void single_json_refused(const char *job, enum refusal code, const char *text, struct buf *out);

/* ---- hint.c */
/* For a job (or "package:NAME") that no server in `address` has: asks the broker what `server` has
 * and later, if a name is close, suggests it. Once for each job and address. */
void hint_job(struct submit_shell *s, const char *job, const char *address, const char *server);
void hint_free_all(struct submit_shell *s); /* after longboat_close */

/* ---- verbs.c: argv[0] is "lbsubmit cancel"; the exit code. */
int verb_cancel(int argc, char **argv);
int verb_join(int argc, char **argv);

#endif
