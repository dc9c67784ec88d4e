/* inside.h - what the files of QUERY share. Each row is judged by the grants of the principal that
 * asks before it is written. A listing continues from a cursor, the key of the last row, and a page
 * takes rows while they fit. */
#ifndef LB_BROKER_QUERY_INSIDE_H
#define LB_BROKER_QUERY_INSIDE_H

#include <jansson.h>

#include "broker/query/query.h"
#include "broker/shell/about.h"

enum {
    QUERY_PAGE_BYTES = 512 << 10, /* of rows; a frame holds them with room to spare */
    QUERY_SCAN_MAX = 20000,       /* items looked at for one page */
    QUERY_FOUND_MAX = 10,         /* rows of `find`: enough to see that it is ambiguous */
    QUERY_CURSOR_MAX = 131        /* bytes: two names, a name and a number, or a word and an id */
};

/* The text of a refusal. */
#define QUERY_NO_CURSOR "`after` is not the `next` of an answer to this query"

struct query {
    const struct query_sources *from;
    struct shell *shell; /* from->shell */
    uint64_t peer, req;
    const struct certificate *who;
    unsigned limit;
    char after[QUERY_CURSOR_MAX + 1], next[QUERY_CURSOR_MAX + 1];
    struct buf rows;
    uint32_t n;
    /* of `runs` and `find`: the last run looked at; the run whose call the store is asked for */
    struct id at, asked;
    unsigned scanned;
    /* of `find`: the question to the store; the runs of the page; the newest of the principal that
     * asks */
    struct store_find find;
    struct id found[QUERY_FOUND_MAX];
    json_t *newest;
    /* `where`. Texts that were not given are empty; the others lie behind this struct, no longer
       than they are: many questions may wait. */
    const char *job, *server, *principal, *address, *name, *state;
    const char *text;                              /* `run` of find */
    const char *verb, *object, *decision, *number; /* of an entry of the audit trail */
    struct id run, parent;
    int status; /* STATUS_ + 1 */
    int64_t since, until;
};

/* Takes the row (and frees it). False: the page is full; the row was not taken. */
bool query_row(struct query *q, json_t *row);
/* Does a filter of `where` match? An empty one matches everything. */
bool query_matches(const char *pattern, const char *text);
void query_answer(struct query *q); /* sends ROWS and frees the query */
void query_refuse(struct query *q, enum refusal code, const char *text);
bool query_may_see(const struct query *q, const char *owner, const char *job, const char *address,
                   const char *server);

/* The same of the run that the query names; that it may not see it is in the audit trail then. */
bool query_may_see_about(const struct query *q, const struct about *about);

/* False, and the query is freed: while the store was asked, the peer has gone or its certificate
 * was revoked. */
bool query_still_there(struct query *q, const struct store_answer *a);

/* Asks the store; `hear` gets the query as `self`. If its principal has too many questions without
 * an answer the query is refused and freed. */
void query_ask(struct query *q, const struct store_question *ask, store_hear *hear);
/* A question to the store for the next page of ended runs or parents, with the filters that both
 * have. False: `after` was not a cursor, and the query is refused and freed. */
bool query_question(struct query *q, enum store_what what, struct store_question *ret);
/* A cursor that is a number; empty: 0, the start. False: not a number. */
bool query_number_of(const char *cursor, uint64_t *ret);
/* The store's page becomes rows, each judged, and is sent. */
void query_hear_page(struct query *q, const struct store_answer *a,
                     json_t *(*json)(const struct store_ended *r));

/* ---- Listings: each answers and frees the query, at once or when the store has answered. */
void query_runs(struct query *q);    /* runs.c */
void query_parents(struct query *q); /* parents.c */
void query_find(struct query *q);    /* find.c */
void query_history(struct query *q); /* past.c */
void query_run(struct query *q);
void query_evidence(struct query *q); /* evidence.c */
void query_servers(struct query *q);  /* live.c */
void query_packages(struct query *q);
void query_certificates(struct query *q);
void query_secrets(struct query *q); /* secrets.c */
void query_whoami(struct query *q);
void query_stats(struct query *q);
void query_principals(struct query *q); /* principals.c */
void query_explain(struct query *q);
void query_audit(struct query *q); /* audit.c */
void query_trail(struct query *q);

/* Rows of runs and parents as runs, parents, run, history and find share them. */
json_t *query_run_head(const struct id *run, const char *state); /* v, kind, run, state */
json_t *query_parent_head(const struct id *run, const char *state);
json_t *query_run_json(const struct view_run *r, const struct d_call *call);
json_t *query_parent_json(const struct view_parent *p);
void query_parent_of(const struct view_parent *p, struct d_parent *ret); /* as signed */

#endif
