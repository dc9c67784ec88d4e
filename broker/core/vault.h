/* vault.h - the secrets that people have put: sealed documents (trust/secretdoc.h) that nobody here
 * can open. Shared by the files of the core; no other room includes it. */
#ifndef LB_BROKER_CORE_VAULT_H
#define LB_BROKER_CORE_VAULT_H

#include "common/buf.h"
#include "proto/messages.h"

enum {
    /* of the names and bytes here each principal may have a part, so that none can take all */
    VAULT_EACH = LIMIT_SECRETS / 4,
    VAULT_BYTES = 64 << 20,
    VAULT_EACH_BYTES = VAULT_BYTES / 4
};
/* so long a dropped secret is told to servers; then its mark goes with the next secret */
#define VAULT_MARK_MS (90LL * 86400000)

struct bcore;
struct peer_state;
struct server;
struct text;

struct vault_entry {
    struct text *name, *address, *by, *certificate;
    uint64_t version;
    int64_t at, issued_at;
    bool removed; /* a mark */
    struct hash document;
    struct buf bytes; /* d_signed */
};
/* By (name, address). */
struct vault {
    struct vault_entry *v;
    unsigned n, cap;
    uint64_t bytes;
};

int vault_apply(struct bcore *c, const struct r_secret *r, struct error *err);
void vault_free(struct bcore *c);
/* The first that is no mark behind (name, address); NULL: there is none. */
const struct vault_entry *vault_after(const struct bcore *c, struct span name, struct span address);
/* SECRETS for a server: of each name the newest that covers it. */
void vault_send(struct bcore *c, const struct server *s, uint64_t rests_on);
void bcore_on_secret_put(struct bcore *c, struct peer_state *p);
void bcore_on_secret_for(struct bcore *c, struct peer_state *p);
void bcore_on_secret_get(struct bcore *c, struct peer_state *p);

#endif
