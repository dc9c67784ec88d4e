/* ctl.h - lbctl's verbs, one file each, and what they share: options, the connection, exit codes,
 * rows of queries, and how rows are shown. */
#ifndef LB_ADMIN_CTL_H
#define LB_ADMIN_CTL_H

#include <jansson.h>
#include <stdbool.h>

#include "admin/verb.h"
#include "client/longboat.h"
#include "common/options.h"
#include "common/term.h"

int ctl_doctor(int argc, char **argv);
int ctl_init(int argc, char **argv);
int ctl_key(int argc, char **argv);
int ctl_invite(int argc, char **argv);
int ctl_whoami(int argc, char **argv);
int ctl_servers(int argc, char **argv);
int ctl_runs(int argc, char **argv);
int ctl_show(int argc, char **argv);
int ctl_evidence(int argc, char **argv);
int ctl_logs(int argc, char **argv);
int ctl_history(int argc, char **argv);
int ctl_explain(int argc, char **argv);
int ctl_cancel(int argc, char **argv);
int ctl_drain(int argc, char **argv);
int ctl_undrain(int argc, char **argv);
int ctl_forget(int argc, char **argv);
int ctl_release(int argc, char **argv);
bool ctl_rotate_has(const char *word); /* one of its verbs */
int ctl_rotate(int argc, char **argv);
int ctl_certificates(int argc, char **argv);
int ctl_stats(int argc, char **argv);
int ctl_store(int argc, char **argv);
int ctl_audit(int argc, char **argv);
int ctl_proxy(int argc, char **argv);
int ctl_secret(int argc, char **argv);
int ctl_subsystem(int argc, char **argv);

/* verb_begin, and no positional argument is longer than a field of a message. */
int ctl_begin(const struct option_row *rows, size_t n, int argc, char **argv, const char *synopsis,
              const char *examples, int min, int max, struct option_values *values, int *ret_first);

/* Where a file is verified: if this home cannot give the administrators' keys (rc < 0, err says
 * why), the sentence also says what to do. Returns rc. */
int ctl_needs_administrators(int rc, struct error *err);

/* Prints "lbctl verb: sentence" on stderr and returns `code`. */
int ctl_fail(char **argv, int code, const struct error *err);
/* The exit code for the result of a request: 3 for a refusal or an absent broker, 2 for a wrong
   argument. */
int ctl_code(int rc, enum refusal refusal);

/* Connects with the identity of this user. NULL: the reason is on stderr. */
struct longboat *ctl_connect(char **argv);
enum { CTL_TIMEOUT_MS = 30000 /* for one answer */ };

/* Finds the run that the person means (client/find.h). Returns -1 to go on, else the exit code,
 * having printed the reason and the candidates. */
int ctl_find(char **argv, struct longboat *lb, const char *text, struct id *ret_run);

/* A request whose answer is DONE: prints its text unless empty; returns the exit code. */
int ctl_ask_done(struct longboat *lb, char **argv, uint64_t req, struct span message);
/* The same for requests that may take long: waits as long as needed if timeout_ms is 0. */
int ctl_ask_done_within(struct longboat *lb, char **argv, uint64_t req, struct span message,
                        int64_t timeout_ms);

/* The same, with the text on stderr, for verbs that say more on stdout. */
int ctl_ask_done_aside(struct longboat *lb, char **argv, uint64_t req, struct span message);

/* Sends OPERATE with a verb, a target and a reason (which every operator's verb takes). */
int ctl_operate(char **argv, const char *verb, const char *target,
                const struct wire_list *arguments, const char *reason);
/* The same over an open connection. */
int ctl_operate_over(char **argv, struct longboat *lb, const char *verb, const char *target,
                     const struct wire_list *arguments, const char *reason);

/* ---- Queries */
struct ctl_where { /* a filter; without a value or number it is left out */
    const char *name, *value;
    int64_t number;
    bool is_run; /* the value names a run, as for ctl_find */
};
typedef void (*ctl_row)(void *self, json_t *row);
struct ctl_query {
    const char *what;
    const struct ctl_where *where;
    size_t n_where;
    int64_t limit; /* rows at most; 0: all */
    bool as_json;  /* rows are printed as they are, one a line; `row` is not called */
    bool raw;      /* `row` gets rows as they came, to be printed as JSON */
    ctl_row row;
    void *self;
    /* set: */
    size_t rows;
    bool more; /* there are rows beyond the limit */
    int rc;    /* of longboat_query */
};
/* Connects, asks, and passes each row to `row`. Returns the exit code; if it is not 0, the reason
 * is on stderr. */
int ctl_query(char **argv, struct ctl_query *q);
/* The same over an open connection. */
int ctl_query_over(char **argv, struct longboat *lb, struct ctl_query *q);
/* A ctl_row that appends the row to `self`, a JSON array. */
void ctl_gather(void *self, json_t *row);

/* Everything about the run or parent that `text` names, as `lbctl show --json` prints it. NULL: the
 * reason is on stderr, and *ret_code is the exit code. */
json_t *ctl_run_row(char **argv, struct longboat *lb, const char *text, int *ret_code);
bool ctl_is_parent(json_t *run_row);
bool ctl_has_ended(json_t *run_row);
/* Appends a parent's children, at most so many that have ended and so many that have not, to an
 * array; *ret_more: there are others. Returns the exit code. */
int ctl_children(char **argv, struct longboat *lb, json_t *parent, int64_t most, json_t *children,
                 bool *ret_more);
/* Is there a server that we may watch, of this name ("server") or at this address ("address")? */
bool ctl_any_server(char **argv, struct longboat *lb, const char *filter, const char *value);

/* ---- What people see (ctl_face.c) */
/* The text of a member; "" if it is absent or null; numbers as text in one of sixteen buffers used
   in turn. */
const char *ctl_text(json_t *row, const char *key);
int64_t ctl_int(json_t *row, const char *key);
/* "state" of a member that is an object, or the member itself if it is a text. */
const char *ctl_state(json_t *row, const char *key);
enum term_mood ctl_mood(const char *status_or_state);
/* Prints the table to stdout. */
void ctl_print(const struct term_table *t);
/* The moment of an RFC 3339 text in ms; 0: there is none. */
int64_t ctl_time(json_t *row, const char *key);
/* term_when of a member; "" if there is none. One of sixteen buffers in turn, as for the next. */
const char *ctl_when(json_t *row, const char *key);
/* duration_format of the time between two members; "" unless both are there. */
const char *ctl_took(json_t *row, const char *from, const char *to);
/* "ended (CET)": the title of a column of times, which says the zone. */
const char *ctl_zoned(const char *title);
/* Enough of a "blake2b:..." for people: 12 digits. */
const char *ctl_hash(json_t *row, const char *key);
/* "nightly/load[orders]", without the parent's name if `bare`; nothing if it is not a child. */
void ctl_child(json_t *row, bool bare, struct buf *out);
/* How many digits tell apart the ids under `key` in an array of rows. */
unsigned ctl_id_digits(json_t *rows, const char *key);
/* The last digits of an id; "" if there is none. */
const char *ctl_id(json_t *row, const char *key, unsigned digits);
/* --utc */
#define CTL_UTC_ROW \
    { \
        "utc", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "times in UTC instead of local time" \
    }

#endif
