/* enrol.h - new certificates, deployments, secrets, revocations: their signatures are verified
 * here, and by claim.h whose names and keys they are; then the core decides. Each takes one
 * message, which dispatch.c has read before, and answers it, or steps the core, which answers. */
#ifndef LB_BROKER_DEPOT_ENROL_H
#define LB_BROKER_DEPOT_ENROL_H

#include "broker/depot/depot.h"

void enrol_take(struct shell *sh, struct shell_peer *p, struct span message);
void enrol_publish(struct shell *sh, struct shell_peer *p, struct span message);
void enrol_revoke(struct shell *sh, struct shell_peer *p, struct span message);
void enrol_certificates(struct shell *sh, struct shell_peer *p, struct span message);
/* The depot must have the package. */
void enrol_deploy(struct depot *d, struct shell_peer *p, struct span message);
void enrol_secret(struct shell *sh, struct shell_peer *p, struct span message);

/* Listens to the core's records from now on: they change who is known, and are noted. */
void enrol_listen(struct shell *sh);
/* One record from the store's replay. */
void enrol_replay(struct shell *sh, struct span record);

#endif
