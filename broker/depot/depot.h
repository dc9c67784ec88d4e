/* depot.h - packages, and the plans of parents, by the hash of their bytes: var/depot/<hash>.
 *
 * An upload is written to <hash>.part and hashed as it arrives. It gets its name only when it is
 * complete, has the right BLAKE2b-256 and is on disk, so the content of a named file has the hash
 * in its name. Beside a package lie <hash>.json (its manifest) and <hash>.sig. An interrupted
 * upload continues where it stopped, also from another session, but not after a restart of the
 * broker. */
#ifndef LB_BROKER_DEPOT_DEPOT_H
#define LB_BROKER_DEPOT_DEPOT_H

#include "broker/shell/shell.h"

struct depot;

/* Opens the folder, making it if necessary. Beyond most_bytes (0: no limit) nothing new is
 * accepted. */
int depot_open(struct depot **ret, struct shell *sh, const char *folder, uint64_t most_bytes,
               struct error *err);
void depot_close(struct depot **d);
/* PUT, PUT_END, GET, PARENT_PLAN; and PARENT_BEGIN, which is passed to the core if the plan is
 * here. */
void depot_take(struct depot *d, struct shell_peer *p, uint64_t kind, struct span message);
/* Is it here and complete? *ret_size (may be NULL): its size. */
bool depot_has(const struct depot *d, const struct hash *hash, uint64_t *ret_size);
struct shell *depot_shell(const struct depot *d);
uint64_t depot_bytes(const struct depot *d);
/* Calls `take` for each package with its manifest (JSON), in the order of their hashes, from the
 * first after `after` (NULL: from the very first), until it returns false. */
typedef bool depot_take_fn(void *self, const struct hash *hash, uint64_t size,
                           struct span manifest);
void depot_each(const struct depot *d, const struct hash *after, depot_take_fn *take, void *self);

/* ---- The pieces, for tests: no session, no thread. */
enum depot_put { DEPOT_MORE, DEPOT_WHOLE, DEPOT_WRONG_HASH, DEPOT_FULL, DEPOT_FAILED };
struct depot *depot_new(const char *folder, uint64_t most_bytes, struct error *err);
/* Takes the bytes if the upload has reached `offset`; *ret_offset is how far it is then.
 * DEPOT_WHOLE: every byte is here and the hash is right, but it is not yet named (depot_name). */
enum depot_put depot_put(struct depot *d, const struct hash *hash, uint64_t offset, uint64_t size,
                         struct span data, uint64_t *ret_offset, struct error *err);
/* Syncs and names an upload that is DEPOT_WHOLE. May run on another thread. */
int depot_name(const char *folder, const struct hash *hash, struct error *err);
/* Appends up to `n` bytes from `offset` to `out`. -ENOENT: not here. */
int depot_read(const struct depot *d, const struct hash *hash, uint64_t offset, size_t n,
               struct buf *out, uint64_t *ret_size, struct error *err);

#endif
