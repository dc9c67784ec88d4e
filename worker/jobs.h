/* jobs.h - which jobs and packages this server has: etc/jobs/NAME.yaml, and `package:NAME` for each
 * installed package.
 *
 * Compiled jobs lie in var/jobs/<hash hex>: what lies there is what the runner lets run, beside
 * packages' own jobs. While a job is here, its newest OLDER versions stay for OLDER_MS after they
 * were replaced and are attested, so that what was signed and accepted for them still runs; if all
 * their packages are here. Of a job that was taken away, and beyond these bounds, a version stays
 * while an attempt needs it, and a moment longer. */
#ifndef LB_WORKER_JOBS_H
#define LB_WORKER_JOBS_H

#include "package/installed.h"

enum {
    JOBS_GRACE_MS = 600000, /* what is not attested any more can still be handed over for so long */
    JOBS_OLDER = 8,
    JOBS_OLDER_MS = 7 * 86400000,
    /* of all that is attested of them: an ATTEST has room for it */
    JOBS_OLDER_BYTES = LIMIT_FRAME / 4
};

struct jobs_folders {
    const char *files;    /* etc/jobs */
    const char *packages; /* var/packages */
    const char *compiled; /* var/jobs */
};

struct job_here {
    char *name;
    struct hash hash;
    struct buf bytes;    /* d_job */
    struct buf attested; /* d_attested_job */
    unsigned older;      /* 0: current; n: the n-th before it */
};

struct jobs;
int jobs_open(struct jobs **ret, const struct jobs_folders *folders,
              struct error *err); /* makes the folders; empty */
void jobs_close(struct jobs **j);

typedef bool jobs_uses_fn(void *self, const struct hash *job);
typedef void jobs_trouble_fn(void *self, const char *file, const struct error *why);
/* Reads all of it again. A file that does not compile is reported and left out; the others stand.
 * 1: what can be attested has changed. `uses`: is a version needed by an attempt? */
int jobs_refresh(struct jobs *j, int64_t now_wall, jobs_uses_fn *uses, jobs_trouble_fn *trouble,
                 void *self, struct error *err);

/* current ones first; NULL behind the last */
const struct job_here *jobs_at(const struct jobs *j, size_t i);
/* The compiled bytes of a version, current or not. -ENOENT with a sentence that says what is here
 * instead. *ret is lent until the next call. */
int jobs_find(struct jobs *j, struct span name, const struct hash *hash, struct span *ret,
              struct error *err);
const struct installed_store *jobs_packages(const struct jobs *j);
/* All needs of all packages here, each once. */
struct wire_list jobs_needs(const struct jobs *j, struct buf *items);
unsigned jobs_troubled(const struct jobs *j); /* files that do not compile */

#endif
