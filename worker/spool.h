/* spool.h - the worker's side of the spool: var/spool/, files of entries that outlive every process
 * (common/spoolfile.h).
 *
 *     id                  the identity of the spool, made once; a server that is live under
 *                         another id is a different one
 *     worker.log          written by the worker
 *     keeper-N[.G].log    written by the keeper of slot N; G, the generation, is counted up
 *                         when a file has grown large
 *     runner.log          written by the runner: refusals
 *     worker.lock         one worker at a time
 *     life                which boot it was last written in, and whether it was closed (life.h)
 *     damaged/            the bytes of entries that were damaged (common/aside.h)
 *
 * A damaged entry is set aside with its bytes, and the rest goes on. What it said is then unknown:
 * damage in worker.log is a gap (spool_has_gap), damage in another file is told by
 * spool_was_damaged.
 *
 * Where the runner was started as root, keepers and runner write to var/keepers, which the worker
 * can read, and the runner removes there what the worker says that it has shipped.
 *
 * The worker follows these files as they grow. It does so without a bell, too; a bell only makes
 * it sooner. */
#ifndef LB_WORKER_SPOOL_H
#define LB_WORKER_SPOOL_H

#include "common/spoolfile.h"
#include "proto/messages.h"

enum {
    /* worker.log is rewritten when this much was added since; generations end about here, too */
    SPOOL_TIDY_BYTES = 8 << 20
};

struct spool;

/* One file that others write. */
struct spool_file {
    char *name, *path;
    char *stem; /* "keeper-3", "runner" */
    uint64_t generation;
    bool last;                       /* there is no later generation of the stem */
    struct spoolfile_reader *reader; /* where it is followed */
    int64_t output_to;               /* the end of the newest OUTPUT read; 0: none */
    /* logship.c: */
    struct spoolfile_reader *shipper;
    int64_t shipped; /* all OUTPUT before this is at the broker */
};

/* Makes the folder and the id if need be, takes the lock, opens worker.log. `theirs`: where keepers
 * and runner write, if they are other users; NULL: in the same folder. On success *ret is yours:
 * spool_close. -EBUSY: another worker runs here. */
int spool_open(struct spool **ret, const char *folder, const char *theirs, struct error *err);
void spool_close(struct spool **s);
/* The machine was started anew since the spool was last written. */
bool spool_rebooted(const struct spool *s);
/* The spool may lack entries of worker.log. */
bool spool_has_gap(const struct spool *s);
struct id spool_boot(const struct spool *s); /* what HELLO says as boot */
/* Call once after the replay, when what follows from a gap is queued: writes and syncs it. Only
 * then a broker may hear of it. */
int spool_begun(struct spool *s, struct error *err);
/* The last call before spool_close when the worker stops in good order: nothing is missing from
 * worker.log, even after a power cut. */
int spool_finish(struct spool *s, struct error *err);
/* Damage was found in a file of keepers or runner since the last call. */
bool spool_was_damaged(struct spool *s);
/* What people should know of damage, as a sentence; "": nothing. Valid until the next call. */
const char *spool_trouble(struct spool *s);
/* The same for a spool that is not open. */
int spool_describe_damage(const char *folder, char *ret, size_t size);
struct id spool_id(const struct spool *s);
/* What HELLO says as `incarnation`: see life.h. */
struct id spool_nonce(const struct spool *s);
const char *spool_folder(const struct spool *s);

typedef int spool_entry_fn(void *self, uint64_t kind, struct span entry, struct error *err);
/* Hands over everything: worker.log, then the files of keepers and runner, which are followed
 * from there on. OUTPUT is left out. */
int spool_replay(struct spool *s, spool_entry_fn *fn, void *self, struct error *err);
/* Hands over what keepers and runner have appended since. OUTPUT is left out, but noted in
 * output_to. */
int spool_follow(struct spool *s, spool_entry_fn *fn, void *self, struct error *err);

/* Queues an entry for worker.log; spool_flush writes all queued entries at once. What rests on an
 * entry may leave only after the flush. */
void spool_put(struct spool *s, struct span entry);
int spool_flush(struct spool *s, struct error *err);

struct spool_file **spool_files(const struct spool *s, size_t *ret_n);

typedef void spool_shipped_fn(void *self, const char *name);
/* From now on spool_tidy tells `fn` which files may go, again and again until they have gone, and
 * does not remove them. */
void spool_on_shipped(struct spool *s, spool_shipped_fn *fn, void *self);

typedef bool spool_knows_fn(void *self, struct id run, uint64_t attempt);
/* If worker.log has grown by SPOOL_TIDY_BYTES (or `began`), rewrites it without the entries that
 * are no longer needed. Removes a keeper's or the runner's file if it has a successor, has been
 * read and shipped to its end, and contains nothing of an attempt that `knows` still knows. */
int spool_tidy(struct spool *s, bool began, spool_knows_fn *knows, void *self, struct error *err);

#endif
