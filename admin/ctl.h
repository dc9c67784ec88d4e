/* ctl.h - lbctl's verbs, one file each, and what they share: options, the connection, exit codes,
   rows of queries. */
#ifndef LB_ADMIN_CTL_H
#define LB_ADMIN_CTL_H

#include <jansson.h>
#include <stdbool.h>

#include "admin/verb.h"
#include "client/longboat.h"
#include "common/options.h"
#include "common/term.h"

int ctl_init(int argc, char **argv);
int ctl_invite(int argc, char **argv);
int ctl_whoami(int argc, char **argv);
int ctl_servers(int argc, char **argv);
int ctl_runs(int argc, char **argv);
int ctl_show(int argc, char **argv);
int ctl_logs(int argc, char **argv);
int ctl_history(int argc, char **argv);
int ctl_explain(int argc, char **argv);
int ctl_cancel(int argc, char **argv);
int ctl_drain(int argc, char **argv);
int ctl_undrain(int argc, char **argv);
int ctl_forget(int argc, char **argv);
int ctl_release(int argc, char **argv);
int ctl_certificates(int argc, char **argv);
int ctl_store(int argc, char **argv);

/* What every verb does first: parses, answers --help and --version. Returns -1 to go on, else the
 * exit code. *ret_first: index of the first positional argument, of which there must be `least` to
 * `most`. */
int ctl_begin(const struct option_row *rows, size_t n, int argc, char **argv, const char *synopsis,
              const char *examples, int least, int most, struct option_values *values,
              int *ret_first);

/* Says "lbctl verb: sentence" on stderr and returns `code`. */
int ctl_fail(char **argv, int code, const struct error *err);
/* The exit code for what a request came to: 3 for a refusal or an absent broker, 2 for a wrong
   argument. */
int ctl_code(int rc, enum refusal refusal);

/* Connects with the identity of this user; NULL: it has said why on stderr. Waits at most
 * `--timeout` (10 s) per request. */
struct longboat *ctl_connect(char **argv);
enum { CTL_TIMEOUT_MS = 30000 /* for one answer; listings wait as long */ };

/* A request whose answer is DONE: prints its text unless empty; returns the exit code. */
int ctl_ask_done(struct longboat *lb, char **argv, uint64_t req, struct span message);
/* The same for what may take long: waits for as long as it takes if timeout_ms is 0. */
int ctl_ask_done_within(struct longboat *lb, char **argv, uint64_t req, struct span message,
                        int64_t timeout_ms);

/* OPERATE with a verb, a target and a reason (which every operator's verb takes). */
int ctl_operate(char **argv, const char *verb, const char *target,
                const struct wire_list *arguments, const char *reason);

/* Rows of a query: `print` gets each as JSON; with --json they are printed as they are. Returns the
   exit code. */
struct ctl_where { /* a query's filter; without a value or number it is left out */
    const char *name, *value;
    int64_t number;
};
typedef void (*ctl_row)(void *self, json_t *row);
int ctl_query(char **argv, const char *what, const struct ctl_where *where, size_t n, int64_t limit,
              bool as_json, ctl_row print, void *self, size_t *ret_rows);

/* Text of a member, "" if it is absent or null; numbers as text in one of sixteen buffers used in
   turn. */
const char *ctl_text(json_t *row, const char *key);
int64_t ctl_int(json_t *row, const char *key);
enum term_mood ctl_mood(const char *status_or_state);
/* The table to stdout. */
void ctl_print(const struct term_table *t);
/* "09:14:07" today, "2026-11-20 09:14" else, of an RFC 3339 text; local time. */
const char *ctl_when(const char *rfc3339);

#endif
