/* claim.h - may this certificate be recorded? A certificate claims a name and keys; the broker
 * records it only if nobody else has them.
 *
 * ENROL is a newcomer's own word, so the key must have signed it, and neither name nor key may be
 * in use. PUBLISH is an administrator's: it renews a certificate, or gives a name a new key, and
 * never binds one principal's key to another name. Neither brings back what was revoked. */
#ifndef LB_BROKER_DEPOT_CLAIM_H
#define LB_BROKER_DEPOT_CLAIM_H

#include "broker/shell/shell.h"

/* `p`: the session of the one-time key. */
enum refusal claim_enrol(const struct shell *sh, const struct shell_peer *p,
                         const struct m_enrol *m, struct error *err);
enum refusal claim_publish(const struct shell *sh, struct span certificate, struct error *err);

#endif
