/* submit.h - what the files of lbsubmit share: the program's own state, and its parts.
 *
 *   options.c one row an option, and which go together
 *   shell.c   the loop, the connection and what is said of it, Ctrl-C
 *   begin.c   the parent run, durable before its first call
 *   drive.c   carries out what the core decides, and shows it
 *   single.c  one call without a plan; singlejson.c: as JSON
 *   hint.c    names that are near to one that nobody knows
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
    CONNECT_MS = 30000 /* how long to wait for the broker before anything has been accepted */
};

struct shell {
    struct loop *loop;
    struct longboat *lb;
    struct term err, out;
    bool quiet, json;
    /* not NULL: a picture is on the terminal; what is said goes here and is written with it */
    struct buf *screen;
    /* Ctrl-C: called with 1, then 2, ...; NULL: the program leaves. */
    void (*interrupted)(void *self, int times);
    void *self;
    int interrupts;
    struct hint *hints; /* hint.c's */
};

/* ---- shell.c */
/* Loop, signals, connection. On failure it has been said; returns the exit code, or 0. */
int shell_open(struct shell *s, const struct option_values *v);
void shell_close(struct shell *s);
/* A sentence for people on stderr, unless --quiet. */
void shell_say(struct shell *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, also with --quiet: what went wrong. Returns `code`. */
int shell_fail(struct shell *s, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The exit code for a client's error, which is said: 130 after Ctrl-C, else EXIT_REFUSED. */
int shell_refused(struct shell *s, int rc, const struct error *err);
/* Says that the broker has refused: its sentence, and for a key that was used before how to see what
 * it made. Returns EXIT_REFUSED. */
int shell_refusal(struct shell *s, enum refusal code, const char *text);
void shell_print(struct span text); /* to stdout; a failure is kept for shell_code */
/* The exit code, at the end: what could not be printed (a full disk, not a reader that is gone) is
 * said, and is no success. */
int shell_code(struct shell *s, int code);
void shell_print_err(struct span text); /* to stderr */

/* ---- begin.c */
struct parent_run {
    struct id id;
    uint64_t epoch;
};
/* Hands in the plan's bytes, begins the run under `key` (NULL: a new one), takes its lease. */
int parent_begin(struct shell *s, struct span plan, const struct plan_made *made, const char *key,
                 int64_t now, struct parent_run *ret, enum refusal *ret_refusal, struct error *err);
/* Takes the lease again; said without waiting, whenever a session is new. */
void parent_hold(struct shell *s, struct parent_run *run);
/* Ends it durably; waits for as long as it takes. */
int parent_end(struct shell *s, struct parent_run *run, enum status verdict, struct span report,
               struct error *err);

/* ---- drive.c: from begin to end; the verdict's exit code. The connection is closed then. */
int drive(struct shell *s, const struct plan_made *made, struct parent_run *run);

/* ---- options.c */
extern const struct option_row submit_rows[];
extern const size_t submit_rows_n;
extern const char submit_examples[];
/* Do the options belong to this form, and are those that it needs there? -EINVAL */
int submit_check(const struct option_values *v, bool plan, struct error *err);

/* ---- single.c: from an open shell to the exit code; closes the connection. */
int single_call(struct shell *s, const struct option_values *v);

/* ---- singlejson.c: what a single call prints with --json, one object a line. */
struct single_end {
    struct id run;
    uint64_t attempt;
    const char *server, *job; /* the server as the broker knows it */
};
void single_json_state(const struct longboat_run *r, int64_t now, struct buf *out);
void single_json_result(const struct single_end *e, const struct d_outcome *o, struct buf *out);
void single_json_refused(const char *job, enum refusal code, const char *text, struct buf *out);

/* ---- hint.c */
/* Says, when the broker has told which, that a job ("package:NAME", too) that no server in `address`
 * has is nearly called like one that `server` has; once for each job and address. */
void hint_job(struct shell *s, const char *job, const char *address, const char *server);
void hint_free_all(struct shell *s); /* after longboat_close */

/* ---- verbs.c: argv[0] is "lbsubmit cancel"; the exit code. */
int verb_cancel(int argc, char **argv);
int verb_join(int argc, char **argv);

#endif
