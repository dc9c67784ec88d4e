/* spool.h - the worker's side of the spool: var/spool/, files of entries that outlive every process
 * (common/spoolfile.h).
 *
 *   id                        the spool's identity, made once; a name that is live under another id
 *   is somebody else worker.log                written by the worker alone keeper-N[.G].log
 *   written by the keeper of slot N; G: generation, counted up when a file has grown large
 *   runner.log                written by the runner: refusals worker.lock               one worker
 *   at a time
 *
 * The files of the others are followed as they grow. Nobody must ring: a bell only makes it
 * sooner. */
#ifndef LB_WORKER_SPOOL_H
#define LB_WORKER_SPOOL_H

#include "common/spoolfile.h"
#include "proto/messages.h"

enum {
    SPOOL_TIDY_BYTES =
        /* worker.log is rewritten once so much was added since; generations end about here too */
    8 << 20
};

struct spool;

/* One file that others write. */
struct spool_file {
    char *name, *path;
    char *stem; /* "keeper-3", "runner" */
    uint64_t generation;
    bool last;                       /* no later generation of the stem is there */
    struct spoolfile_reader *reader; /* where it is followed */
    int64_t output_to;               /* behind the newest OUTPUT that was read; 0: it has none */
    /* logship.c: */
    struct spoolfile_reader *shipper;
    int64_t shipped; /* all OUTPUT before this is at the broker */
};

/* Makes the folder and the id if need be, takes the lock, opens worker.log. -EBUSY: another worker
   lives here. */
int spool_open(struct spool **ret, const char *folder, struct error *err);
void spool_close(struct spool **s);
struct id spool_id(const struct spool *s);
const char *spool_folder(const struct spool *s);

typedef int spool_entry_fn(void *self, uint64_t kind, struct span entry, struct error *err);
/* All there is: worker.log, then the others' files, which are followed from there on. OUTPUT is not
   handed over. */
int spool_replay(struct spool *s, spool_entry_fn *fn, void *self, struct error *err);
/* What was appended to the others' files since. OUTPUT is not handed over, only noted in
   output_to. */
int spool_follow(struct spool *s, spool_entry_fn *fn, void *self, struct error *err);

/* Queues one entry for worker.log; spool_flush writes all that are queued by one write. What rests
 * on an entry may leave only after the flush. */
void spool_put(struct spool *s, struct span entry);
int spool_flush(struct spool *s, struct error *err);

struct spool_file **spool_files(const struct spool *s, size_t *ret_n);

typedef bool spool_knows_fn(void *self, struct id run, uint64_t attempt);
/* Rewrites worker.log without what nobody needs any more, when it has grown; removes the others'
 * files that have a successor, were read and shipped to their end, and speak of no attempt that is
 * still known. `began`: also when it has not grown. */
int spool_tidy(struct spool *s, bool began, spool_knows_fn *knows, void *self, struct error *err);

#endif
