/* depot.h - packages, and the plans of parents, by the hash of their bytes: var/depot/<hash>.
 *
 * An upload is written to <hash>.N.part and hashed as it arrives. It gets its name only when it is
 * complete, has the right BLAKE2b-256 and is on disk, so the content of a named file has the hash
 * in its name. Beside it lies <hash>.by, the name of its uploader, and beside a package <hash>.json
 * (its manifest) and <hash>.sig. These are written once: another manifest or signature is refused,
 * unless an administrator sends it, or the uploader the signature. An interrupted upload continues
 * where it stopped, also from another session of its principal, but not after a restart of the
 * broker.
 *
 * What a file costs is charged to its uploader (BUDGET_DEPOT) when the upload begins, so uploads
 * side by side cannot exceed the quota. A plan that no parent has begun is removed an hour after
 * its upload; others are removed when `retention` has passed since their last parent began, unless
 * one is still live. Packages stay. */
#ifndef LB_BROKER_DEPOT_DEPOT_H
#define LB_BROKER_DEPOT_DEPOT_H

#include "broker/shell/shell.h"

#define DEPOT_SIZE_MAX (UINT64_C(1) << 50) /* so that sums of sizes do not wrap */
enum {
    DEPOT_ENTRY = 16 << 10,  /* what a file costs beside its bytes: four files, a block each */
    DEPOT_UPLOADS_MAX = 256, /* of all; each holds a file open. Of a principal: BUDGET_UPLOADS */
    DEPOT_IDLE_MS = 600000,  /* an upload without a byte for this long is dropped */
    /* the same for the oldest of a principal that has all it may have and begins another */
    DEPOT_IDLE_OWN_MS = 30000,
    DEPOT_PLAN_MS = 3600000 /* a plan without a parent is kept for this long */
};

struct depot;

/* Opens the folder, making it if necessary. Beyond most_bytes (0: no limit) nothing new is
 * accepted. retention_ms (0: for ever): how long the plans of ended parents are kept. */
int depot_open(struct depot **ret, struct shell *sh, const char *folder, uint64_t most_bytes,
               uint64_t retention_ms, struct error *err);
void depot_close(struct depot **d);
/* PUT, PUT_END, GET, PARENT_PLAN; and PARENT_BEGIN, which is passed to the core if the plan is
 * here. */
void depot_take(struct depot *d, struct shell_peer *p, uint64_t kind, struct span message);
/* Is it here and complete? *ret_size (may be NULL): its size. */
bool depot_has(const struct depot *d, const struct hash *hash, uint64_t *ret_size);
struct shell *depot_shell(const struct depot *d);
uint64_t depot_bytes(const struct depot *d); /* what counts in the quota */
/* Calls `take` for each package with its manifest (JSON), in the order of their hashes, from the
 * first after `after` (NULL: from the very first), until it returns false. */
typedef bool depot_take_fn(void *self, const struct hash *hash, uint64_t size,
                           struct span manifest);
void depot_each(const struct depot *d, const struct hash *after, depot_take_fn *take, void *self);

/* ---- The pieces, for tests: no session, no thread. */
enum depot_put {
    DEPOT_MORE,
    DEPOT_WHOLE,
    DEPOT_WRONG_HASH,
    DEPOT_FULL, /* the quota, or the principal's share of it */
    DEPOT_BUSY, /* too many uploads at a time */
    DEPOT_FAILED
};
struct depot_piece {
    struct hash hash, who;
    uint64_t offset, size; /* size: of the whole file */
    struct span data;
    int64_t now; /* boot ms */
};
/* `budgets` (NULL: no limits) is lent until depot_close. */
struct depot *depot_new(const char *folder, uint64_t most_bytes, struct budgets *budgets,
                        struct error *err);
/* Takes the bytes if the upload has reached `offset`; *ret_offset is how far it is then.
 * DEPOT_WHOLE: every byte is here and the hash is right, but it is not yet named (depot_name). */
enum depot_put depot_put(struct depot *d, const struct depot_piece *p, uint64_t *ret_offset,
                         struct error *err);
/* Syncs an upload's file and gives it its name. May run on another thread. */
int depot_name(const char *folder, const char *part, const struct hash *hash, struct error *err);
/* What lies beside a package. */
struct depot_beside {
    struct hash hash;
    const char *by; /* the sender */
    bool administrator;
    struct span manifest, signature;
};
/* Writes them. Those of a package that is here (`here`) stay as they are: 0 if they are the same,
 * -EEXIST with a sentence if they are not and the sender may not replace them. May run on another
 * thread. */
int depot_write_beside(const char *folder, const struct depot_beside *b, bool here,
                       struct error *err);
/* Appends up to `n` bytes from `offset` to `out`. -ENOENT: not here. */
int depot_read(const struct depot *d, const struct hash *hash, uint64_t offset, size_t n,
               struct buf *out, uint64_t *ret_size, struct error *err);

#endif
