/* replay.h - the replay table on disk: what seen.h knows, in a file that the runner alone writes
 * and that nothing else tidies. A call stays in it until it has expired.
 *
 * What is accepted is written before it is launched (replay_commit), with one write and no sync: it
 * survives a kill of the runner, and perhaps not a power cut. What a power cut has taken is nothing
 * that an honest broker or worker asks for again: after another boot, what a server does not list
 * was perhaps begun, and on_lost decides (proto/PROTOCOL.md, HELLO).
 *
 * A runner that is killed between the write and the launch must not lose the right to launch. So
 * the file also says which steps a keeper has begun, and a new runner in the same boot forgets
 * those that were accepted, of which neither the keepers nor their spool files know anything
 * (replay_settle). After another boot nobody can know that: they count as begun.
 *
 * The file is a spool file (common/spoolfile.h). Each record of it is several messages, s_replay
 * and s_seen, so that what is written at once is there whole or not at all. When it has doubled
 * it is written anew. Damage in it is set aside (common/aside.h). Then calls may be missing from
 * it, and those that are not known and were issued before it was noticed are refused. */
#ifndef LB_RUNNER_REPLAY_H
#define LB_RUNNER_REPLAY_H

#include "runner/seen.h"

enum {
    REPLAY_GROWTH_MIN = 1 << 20, /* it is not written anew before it has grown by this */
    REPLAY_NOTES_MAX = 1 << 20   /* bytes about what has begun that wait to be written */
};

struct replay_options {
    const char *folder; /* of the file, named "replay", and of what is damaged */
    struct id boot;     /* the machine's */
    size_t most;        /* calls: SEEN_CALLS_MAX */
};

struct replay;
/* Reads the table. The caller holds a lock: there is one writer at a time. On success *ret is
 * yours: replay_close. -EPROTONOSUPPORT: a newer version wrote it. */
int replay_open(struct replay **ret, const struct replay_options *o, int64_t now,
                struct error *err);
void replay_close(struct replay **r); /* what waits is written, if it can be */

/* Adds what the LAUNCHED entries of every keeper-*.log in the folder say has begun. *ret_doubt: one
 * of the files has lost entries, so what it does not name may have begun all the same. */
int replay_load(struct replay *r, const char *spool_folder, bool *ret_doubt, struct error *err);
/* A keeper holds this step. */
void replay_taken(struct replay *r, const struct seen_step *step, bool runs, int64_t now);
/* Once it is known what keepers hold and have begun: decides about the rest. */
int replay_settle(struct replay *r, bool doubt, int64_t now, struct error *err);

/* As seen_ask. */
enum seen_answer replay_ask(struct replay *r, const struct seen_step *step, int64_t now,
                            int64_t *ret_begun, struct error *err);
/* Accepts the step. It may be launched after replay_commit. */
void replay_accept(struct replay *r, const struct seen_step *step, int64_t now);
/* A keeper has begun it. Written with the next commit. */
void replay_begun(struct replay *r, const struct seen_step *step, int64_t now);
/* It certainly was not launched. Written with the next commit. */
void replay_forget(struct replay *r, const struct seen_step *step, int64_t now);
/* Writes what waits. On failure what was accepted since the last commit is forgotten again and must
 * not be launched. */
int replay_commit(struct replay *r, int64_t now, struct error *err);
bool replay_waits(const struct replay *r); /* is there anything to write? */
size_t replay_count(const struct replay *r);
/* What was found damaged, as a sentence; "": nothing. */
const char *replay_trouble(const struct replay *r);

#endif
