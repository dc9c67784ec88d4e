/* testscript.h - a broker's life on the breakable disk of testvfs.h, the same each time, and a
 * judge of what remains of it. For tests only.
 *
 * The records come from a real core (testlife.h). The script makes a store, commits them in turns,
 * asks every kind of question in between (which folds), closes the store, opens it again and goes
 * on. It tells the disk what was reported as committed. The judge opens what remains, on a disk
 * without faults: at least what was reported must be there, and what is loaded must give exactly
 * the state of a replay of the first n records, with nothing missing and nothing half done. */
#ifndef LB_BROKER_STORE_TESTSCRIPT_H
#define LB_BROKER_STORE_TESTSCRIPT_H

#include "broker/store/testlife.h"
#include "broker/store/testvfs.h"

#include <sys/wait.h>

enum { SCRIPT_TURN = 3, SCRIPT_ASK_EVERY = 6, SCRIPT_REFUSED = 3 };

struct script {
    struct core_world *w;
    char *folder, *path;
    struct bcore_record *records; /* of the world's journal */
    struct hash *state;           /* after the first n records */
    unsigned n;
    bool pregrow;
    struct store *store;
    unsigned answers, rows;
};

/* ---- Before */
/* The distance from one case to the next, where `make check` has time only for every `sample`th.
 * `make faults` sets LB_EVERY and so asks for all of them. */
unsigned script_stride(unsigned sample);

/* Makes the records of a life of that many acts, and the disk. */
void script_begin(struct script *s, struct core_world *w, unsigned acts);

void script_end(struct script *s);

/* Removes the store of the previous life. */
void script_clear(struct script *s);

struct store_options script_options(const struct script *s);

/* ---- The life, in a child process */

void script_ask(struct script *s);

void script_open(struct script *s);

void script_append(struct script *s, unsigned from, unsigned to);

void script_close(struct script *s);

void script_live(struct script *s);

/* Long enough for checkpoints in the middle; ends by dying. */
void script_live_long(struct script *s);

/* The first half ends by dying, with a WAL that is not fully synced; the second starts from
   that. */
void script_live_first(struct script *s);

void script_live_second(struct script *s);

void script_live_dropping(struct script *s);

/* Lives in a child and returns its exit code; a signal is a failure. */
int script_run(struct script *s, void live(struct script *));

/* ---- The judge */
/* Returns how many records are there; fails unless at least `reported` are, with the right
   state. */
uint64_t script_judge(struct script *s, uint64_t reported, const char *where);

/* Judges what a power cut before op `end` leaves. */
uint64_t script_judge_cut(struct script *s, size_t end, enum disk_loss loss, uint64_t seed);

#endif
