/* enrol.h - new certificates, deployments, revocations: their signatures are verified here, then
 * the core decides. Each takes one message and answers it, or steps the core, which answers. */
#ifndef LB_BROKER_DEPOT_ENROL_H
#define LB_BROKER_DEPOT_ENROL_H

#include "broker/depot/depot.h"

void enrol_take(struct shell *sh, struct shell_peer *p, struct span message);
void enrol_publish(struct shell *sh, struct shell_peer *p, struct span message);
void enrol_revoke(struct shell *sh, struct shell_peer *p, struct span message);
void enrol_certificates(struct shell *sh, struct shell_peer *p, struct span message);
/* The depot must have the package. */
void enrol_deploy(struct depot *d, struct shell_peer *p, struct span message);

/* Listens to the core's records from now on: they change who is known. */
void enrol_listen(struct shell *sh);
/* One record from the store's replay. `shell` is a struct shell. */
void enrol_record(void *shell, uint64_t lsn, struct span record);

#endif
