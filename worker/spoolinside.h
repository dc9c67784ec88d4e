/* spoolinside.h - what spool.c and spoolgap.c share. No other file includes it. */
#ifndef LB_WORKER_SPOOLINSIDE_H
#define LB_WORKER_SPOOLINSIDE_H

#include <time.h>

#include "worker/life.h"
#include "worker/spool.h"

struct spool {
    char *folder, *log;
    char *theirs;              /* the folder of the files that keepers and runner write */
    spool_shipped_fn *shipped; /* NULL: we remove what is shipped */
    void *shipped_self;
    int lock;
    struct id id;
    struct spoolfile *own;
    int64_t tidied; /* size of worker.log after it was last rewritten */
    struct buf queue;
    struct span *queued; /* p is an offset until the flush */
    size_t n_queued, cap_queued;
    struct spool_file **files;
    size_t n_files;
    /* the folder's mtime when its names were last read; zero: read them again */
    struct timespec looked;
    struct id boot; /* the kernel's */
    struct spool_life life;
    bool rebooted, gap, damaged;
    char trouble[ERROR_TEXT_MAX];
};

/* A new id, as of now. */
int spool_fresh_id(struct id *ret, struct error *err);
/* Gives the spool another identity, on the disk too. */
int spool_make_id(struct spool *s, struct error *err);

/* Is this the home in which the spool was last written? A copy gets an identity of its own. first:
 * the spool has just been made. */
int spoolhome_take(struct spool *s, bool first, struct error *err);

/* The boot in which the spool was last written, as far as that is known. */
int spoolgap_take_life(struct spool *s, struct error *err);
/* Opens worker.log for writing, without what is damaged. first: the spool has just been made. */
int spoolgap_open_log(struct spool *s, bool first, struct error *err);
/* The spool may lack entries of worker.log; `why` is for the log. */
int spoolgap_note(struct spool *s, const char *why, struct error *err);
/* Keeps bytes of this file that are passed over, and says so once. */
void spoolgap_set_aside(struct spool *s, const char *path, int64_t at, struct span bytes,
                        const char *why);
/* Passes over the damage in front of the reader. */
int spoolgap_pass(struct spool *s, const char *path, struct spoolfile_reader *r,
                  const struct error *why, struct error *err);

#endif
