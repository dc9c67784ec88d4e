/* depot.h - packages, and the plans of parents, by the hash of their bytes: var/depot/<hash>.
 *
 * What comes is written to <hash>.part, hashed on the way, and takes its name only when it is
 * whole, its BLAKE2b-256 is right and it is on disk: so what has a name is what it says. Beside a
 * package lie <hash>.json (manifest) and <hash>.sig. An upload that broke off goes on where it was,
 * also from another session; a restart of the broker begins it anew. */
#ifndef LB_BROKER_DEPOT_DEPOT_H
#define LB_BROKER_DEPOT_DEPOT_H

#include "broker/shell/shell.h"

struct depot;

/* Opens the folder, which is made if need be; beyond most_bytes (0: no limit) nothing new is taken.
 */
int depot_open(struct depot **ret, struct shell *sh, const char *folder, uint64_t most_bytes,
               struct error *err);
void depot_close(struct depot **d);
/* PUT, PUT_END, GET, PARENT_PLAN; and PARENT_BEGIN, which goes on to the core if its plan is here.
 */
void depot_take(struct depot *d, struct shell_peer *p, uint64_t kind, struct span message);
/* Is it here, whole? Its size. */
bool depot_has(const struct depot *d, const struct hash *hash, uint64_t *ret_size);
struct shell *depot_shell(const struct depot *d);
uint64_t depot_bytes(const struct depot *d);
/* Each package with its manifest (JSON): for QUERY packages. */
void depot_each(const struct depot *d,
                void (*take)(void *self, const struct hash *hash, uint64_t size,
                             struct span manifest),
                void *self);

/* ---- The pieces, for tests: no session, no thread. */
enum depot_put { DEPOT_MORE, DEPOT_WHOLE, DEPOT_WRONG_HASH, DEPOT_FULL, DEPOT_FAILED };
struct depot *depot_new(const char *folder, uint64_t most_bytes, struct error *err);
/* Takes bytes at `offset` if that is where it stands; *ret_offset: where it stands now. WHOLE:
 * every byte is here and the hash is right; it has no name yet (depot_name). */
enum depot_put depot_put(struct depot *d, const struct hash *hash, uint64_t offset, uint64_t size,
                         struct span data, uint64_t *ret_offset, struct error *err);
/* Syncs and names what is WHOLE. May run on another thread. */
int depot_name(const char *folder, const struct hash *hash, struct error *err);
/* Up to `n` bytes at `offset`. -ENOENT: not here. */
int depot_read(const struct depot *d, const struct hash *hash, uint64_t offset, size_t n,
               struct buf *out, uint64_t *ret_size, struct error *err);

#endif
