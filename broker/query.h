/* query.h - inside the broker: what the files of QUERY share. A row is a JSON object; each is
 * judged by the asker's grants before it is written. A listing goes from a cursor (the key of the
 * last row) as far as a page takes. */
#ifndef LB_BROKER_QUERY_H
#define LB_BROKER_QUERY_H

#include <jansson.h>

#include "broker/broker.h"

enum {
    QUERY_PAGE_BYTES = 512 << 10, /* of rows; a frame holds them with room to spare */
    QUERY_SCAN_MAX = 20000        /* things looked at for one page */
};

/* The text of a refusal. */
#define QUERY_NO_CURSOR "`after` is not the `next` of an answer to this query"

struct query {
    struct broker *b;
    uint64_t peer, req;
    const struct certificate *who;
    unsigned limit;
    char after[LIMIT_SHORT + 1], next[LIMIT_SHORT + 1];
    struct buf rows;
    uint32_t n;
    /* of `runs`: up to here it has looked; whose call the store is asked for */
    struct id at, asked;
    unsigned scanned;
    /* `where` */
    char job[LIMIT_JOB + 1], server[LIMIT_NAME + 1], principal[LIMIT_NAME + 1],
        address[LIMIT_ADDRESS + 1], name[LIMIT_NAME + 1];
    char state[LIMIT_NAME + 1];
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

/* The asker may have gone, or its certificate have been revoked, while the store was asked: false,
 * and the query is freed. */
bool query_still_there(struct query *q, const struct store_answer *a);

/* querylive.c: what the core knows now. Each fills rows; query_answer is the caller's. */
void query_servers(struct query *q);
/* False: the page is full before the last of them. A live parent has no status: who asks for one
 * sees those that ended. */
bool query_parents_live(struct query *q);
void query_packages(struct query *q);
void query_certificates(struct query *q);
void query_whoami(struct query *q);
void query_stats(struct query *q);
/* False: it was refused and freed. */
bool query_explain(struct query *q);
/* From the store, too; they answer by themselves, later. queryruns.c: the calls of runs may be in
   the store only. */
void query_runs(struct query *q);
/* querypast.c */
void query_history(struct query *q, bool parents);
void query_run(struct query *q);

/* Run and parent rows as runs, show and history share them. */
json_t *query_run_json(const struct view_run *r, const struct d_call *call);
json_t *query_parent_json(const struct view_parent *p);

#endif
