/* testing.h - a store under test: what it has reported, records for it, questions. For tests
 * only. */
#ifndef LB_BROKER_STORE_TESTING_H
#define LB_BROKER_STORE_TESTING_H

#include "broker/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/testing.h"

/* ---- A store and what it has reported */
struct store_heard {
    uint64_t committed;
    bool full;
    unsigned fulls;
};

void testing_on_committed(void *self, uint64_t lsn);

void testing_on_full(void *self, bool full);

/* Opens broker.db in the folder of the test; o may be NULL. */
struct store *testing_open(void **state, struct store_options *o);

int testing_take_nothing(void *self, uint64_t lsn, struct span body, struct error *err);

/* Loads, and starts the threads. */
void testing_start(struct store *s, struct store_heard *h);

/* Waits for something from the store, and dispatches it. */
void testing_hear(struct store *s);

void testing_wait_committed(struct store *s, struct store_heard *h, uint64_t lsn);

/* ---- Records */
/* The id of run `n`; `n` stands for it below. Every run is a call of anna with key-<n>. */
struct id testing_run_id(unsigned n);

/* Appends the record, and frees `body`. */
void testing_add(struct store *s, uint64_t lsn, struct buf *body);

void testing_called(struct store *s, uint64_t lsn, unsigned n, const char *job);

void testing_assigned(struct store *s, uint64_t lsn, unsigned n);

/* outcome_at: when it ended at its server; 0: the outcome has no time. */
void testing_ended_at(struct store *s, uint64_t lsn, unsigned n, uint64_t status, int64_t at,
                      int64_t outcome_at);

void testing_ended(struct store *s, uint64_t lsn, unsigned n, uint64_t status);

void testing_operated(struct store *s, uint64_t lsn, const char *verb, const char *target);

/* ---- What a load gives, as text: "kind@lsn " */

void testing_assert_loads(void **state, const char *expected, struct store_options *o);

/* ---- Questions */
struct store_got {
    bool done;
    unsigned n_rows, n_records, n_begins, n_keys;
    uint64_t next, first_lsn;
    struct store_ended row;
    int rc;
};

void testing_take_answer(void *self, const struct store_answer *a);

/* Asks and waits. The texts of got.row are no longer valid afterwards. */
struct store_got testing_ask(struct store *s, struct store_question q);

/* Runs SQL in a connection of its own; returns the first column of the first row, yours to free. */
char *testing_shell(void **state, const char *sql);

void testing_assert_shell(void **state, const char *sql, const char *expected);

/* Makes a store with that many live runs, and closes it. */
void testing_filled(void **state, unsigned runs);

#endif
