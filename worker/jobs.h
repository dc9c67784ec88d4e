/* jobs.h - the jobs and packages of this server: etc/jobs/NAME.yaml, and `package:NAME` for each
 * installed package.
 *
 * Compiled jobs lie in var/jobs/<hash hex>: the runner runs what lies there, and the packages'
 * own jobs. When a job is replaced, its older versions are attested for JOBS_OLDER_MS, at most
 * the newest JOBS_OLDER of them and only while all their packages are here, so that calls that
 * were signed and accepted for them still run. Any other old version stays while an attempt
 * needs it, and JOBS_GRACE_MS longer. */
#ifndef LB_WORKER_JOBS_H
#define LB_WORKER_JOBS_H

#include "package/installed.h"
#include "worker/answers.h"

enum {
    JOBS_GRACE_MS = 600000, /* what is no longer attested may still be handed over for this long */
    JOBS_OLDER = 8,
    JOBS_OLDER_MS = 7 * 86400000,
    /* bytes that an ATTEST may spend on older versions */
    JOBS_OLDER_BYTES = LIMIT_FRAME / 4
};

struct jobs_folders {
    const char *files;       /* etc/jobs */
    const char *packages;    /* var/packages */
    const char *compiled;    /* var/jobs */
    bool read_only;          /* nothing is made or changed; a folder that is missing is empty */
    bool must_be_kept;       /* a job counts only once the runner has put it into `compiled` */
    struct answers *answers; /* what the runner says of steps; NULL: nobody asks it */
};

struct job_here {
    char *name;
    struct hash hash;
    struct buf bytes;    /* d_job */
    struct buf attested; /* d_attested_job */
    unsigned older;      /* 0: current; n: the n-th before it */
    char *refused;       /* why the runner would refuse it; NULL: it would not, or is to say */
};

struct jobs;
/* Makes the folders, unless read_only; holds nothing before jobs_refresh. On success *ret is yours:
 * jobs_close. */
int jobs_open(struct jobs **ret, const struct jobs_folders *folders, struct error *err);
void jobs_close(struct jobs **j);

typedef bool jobs_uses_fn(void *self, const struct hash *job);
typedef void jobs_trouble_fn(void *self, const char *file, const struct error *why);
/* Reads everything again. A file that does not compile is passed to `trouble` and left out. `uses`
 * says whether an attempt needs a version; nobody asks it when read_only. 1: what can be attested
 * has changed; 0: it has not. */
int jobs_refresh(struct jobs *j, int64_t now_wall, jobs_uses_fn *uses, jobs_trouble_fn *trouble,
                 void *self, struct error *err);
/* The runner has answered: makes anew what is attested of each job. */
void jobs_attest_again(struct jobs *j);

/* Current versions come first; NULL after the last. */
const struct job_here *jobs_at(const struct jobs *j, size_t i);
/* The compiled bytes of a version, current or not, lent until the next call. -ENOENT: the sentence
 * says what is here instead. */
int jobs_find(struct jobs *j, struct span name, const struct hash *hash, struct span *ret,
              struct error *err);
const struct installed_store *jobs_packages(const struct jobs *j);
/* Adds a need that does not hold for each job that the runner would refuse; *count grows. Needs
 * beyond LIMIT_NEEDS are left out: they do not hold either. */
void jobs_add_refusals(const struct jobs *j, int64_t now_wall, struct buf *items, uint32_t *count);
/* The needs "secret:NAME" of all jobs, each once (trust/secretdoc.h); the list points into
 * *items. */
struct wire_list jobs_secrets(const struct jobs *j, struct buf *items);
unsigned jobs_troubled(const struct jobs *j); /* files that do not compile */

#endif
