/* disk.h - what outlives a process: the broker's journal, and the files of a server's spool.
 *
 * The journal commits in groups: what has been appended when a commit starts is durable at its
 * end, and the broker hears of it a little later. A crash in the middle of a commit leaves some
 * of its turns, the first ones; each turn is there completely or not at all. On a full disk
 * nothing becomes durable until there is room again. */
#ifndef LB_TESTS_SIM_DISK_H
#define LB_TESTS_SIM_DISK_H

#include "proto/messages.h"
#include "tests/sim/world.h"

struct journal;

struct journal_record {
    uint64_t lsn, turn;
    uint64_t kind;
    struct id run; /* or parent; zero: of none */
    struct span body;
};

struct journal_calls {
    /* at once: it is on disk (for the laws) */
    void (*durable)(void *self, const struct journal_record *r);
    void (*committed)(void *self, uint64_t lsn); /* the broker hears of it */
    void (*full)(void *self, bool full);
};

struct journal *journal_new(struct world *w, struct process *broker,
                            const struct journal_calls *calls, void *self);
void journal_free(struct journal **j);
/* The records of one turn; their lsn follow on without a gap. */
void journal_append(struct journal *j, uint64_t lsn, struct span body);
void journal_turn_end(struct journal *j);
/* The broker's process dies. Returns whether it died in the middle of a commit. */
bool journal_crash(struct journal *j);
void journal_set_full(struct journal *j, bool full);
void journal_set_slow(struct journal *j, bool slow);
uint64_t journal_durable(const struct journal *j); /* lsn */

/* What a start replays: all that is durable, or (`folded`) the least that core.h lets a store keep.
 * */
typedef int journal_take(void *self, uint64_t lsn, struct span body, struct error *err);
int journal_load(struct journal *j, bool folded, uint64_t kept_max, journal_take *take, void *self,
                 struct error *err);
/* The newest end that the last journal_load left out; 0: none. */
uint64_t journal_left_out(const struct journal *j);

/* Questions to the history, about what is durable. */
bool journal_end_of(const struct journal *j, struct id run, struct r_ended *ret);
bool journal_key_of(const struct journal *j, struct span principal, struct span key, bool parent,
                    struct id *ret_run, struct hash *ret_digest);
bool journal_has_assigned(const struct journal *j, struct id run, uint64_t attempt,
                          struct span server);
/* Up to `most` records with lsn in (after, upto], lent until the next append. Their number. */
unsigned journal_events(const struct journal *j, uint64_t after, uint64_t upto, unsigned most,
                        const struct journal_record **ret);
/* The oldest end with an lsn in (after, upto]: its lsn, and in *ret what remains of it. 0: none. */
uint64_t journal_next_end(const struct journal *j, uint64_t after, uint64_t upto,
                          struct r_kept *ret);
/* The first record of a run or parent; NULL: it has none. */
const struct journal_record *journal_begin_of(const struct journal *j, struct id run);

/* ---- The spool: files of entries, appended by one writer each; appends survive every process. */
enum { SPOOL_WORKER, SPOOL_RUNNER, SPOOL_KEEPERS, SPOOL_FILES = SPOOL_KEEPERS + 8 };

struct spool_sim {
    struct buf file[SPOOL_FILES];
    size_t read_to[SPOOL_FILES]; /* by the living worker; worker.log: written by it */
    size_t synced[SPOOL_FILES];  /* a power cut may take what is behind it */
};
void disk_spool_free(struct spool_sim *s);
void disk_spool_add(struct spool_sim *s, unsigned file, struct span entry);
void disk_spool_sync(struct spool_sim *s, unsigned file);
/* A power cut: of each file the end is lost, from some entry behind what is synced on. */
void disk_spool_cut(struct spool_sim *s, struct world *w);
/* Reads the entry at *at and moves *at behind it. False: the end of the file. */
bool disk_spool_next(const struct spool_sim *s, unsigned file, size_t *at, struct span *ret_entry);
/* Rewrites all files without entries of attempts that `knows` denies. */
typedef bool spool_knows(void *self, struct id run, uint64_t attempt);
void disk_spool_tidy(struct spool_sim *s, spool_knows *knows, void *self);
/* The attempt that an entry is about. False: none. */
bool disk_spool_about(struct span entry, uint64_t *ret_kind, struct id *ret_run,
                      uint64_t *ret_attempt);

#endif
