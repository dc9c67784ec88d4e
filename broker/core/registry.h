/* registry.h - what administrators have decided: certificates, deployments, revocations. Shared by
 * the files of the core; no other room includes it. */
#ifndef LB_BROKER_CORE_REGISTRY_H
#define LB_BROKER_CORE_REGISTRY_H

#include "common/buf.h"
#include "proto/messages.h"

struct bcore;
struct peer_state;
struct server;
struct text;

struct enrolled {
    struct text *name, *role;
    uint64_t serial, order; /* order: of its record, the highest is the name's current one */
    int64_t at;
    struct buf bytes;
};
struct deployment {
    struct text *address, *name, *by;
    struct hash package;
    int64_t at, issued_at;
    uint64_t size;
    struct buf bytes;
};

int registry_apply_enrolled(struct bcore *c, uint64_t lsn, const struct r_enrolled *r,
                            struct error *err);
int deploy_apply(struct bcore *c, const struct r_deployed *r, struct error *err);
int registry_apply_revoked(struct bcore *c, const struct r_revoked *r, struct error *err);
/* Records a peer's certificate if it is new. False: it contradicts what is known, *err says how. */
bool registry_meet(struct bcore *c, struct span certificate, struct error *err);
void bcore_on_enrol(struct bcore *c, struct peer_state *p, bool published);
void bcore_on_revoke(struct bcore *c, struct peer_state *p);
void bcore_on_deploy(struct bcore *c, struct peer_state *p);
void deploy_send_desired(struct bcore *c, const struct server *s, uint64_t rests_on);
void registry_send_revoked(struct bcore *c, uint64_t peer, uint64_t rests_on);
uint32_t deploy_desired(const struct bcore *c, const struct server *s, struct buf *items);
bool registry_is_revoked(const struct bcore *c, uint64_t serial);
const struct enrolled *enrolled_find(const struct bcore *c, struct span name, uint64_t serial);
/* the first one behind (name, serial); NULL: there is none */
const struct enrolled *enrolled_after(const struct bcore *c, struct span name, uint64_t serial);
void registry_free(struct bcore *c);
int registry_decode_certificate(struct span bytes, struct d_certificate *ret, struct error *err);

#endif
