/* fixture.h - a cluster `test` for tests: one administrator, and principals whose keys are known.
 * For tests only. What cannot be made fails the test that asks for it. */
#ifndef LB_TRUST_FIXTURE_H
#define LB_TRUST_FIXTURE_H

#include <errno.h>
#include <sodium.h>

#include "common/testing.h"
#include "trust/certificate.h"
#include "trust/envelope.h"

enum { NOW = 1000000000, HOUR = 3600000 };

/* The key whose seed is 32 times `c`. */
struct key fixture_key(char c);

/* The anchors of the cluster: its administrator is fixture_key('A'). Free with anchors_free(). */
struct trust_anchors fixture_anchors(void);

/* Orders for certificates that are valid at NOW, from an hour before to an hour after it. They
 * point to constants: nothing needs to be freed. */
struct certificate_order fixture_anna(void);   /* a caller: fixture_key('a'), two grants */
struct certificate_order fixture_server(void); /* wh1: fixture_key('w'), two pools */

/* The certificate that the administrator signs for the order, encoded. The caller frees it. */
struct buf fixture_certificate_bytes(const struct certificate_order *order);
/* The same, verified at NOW. */
struct certificate fixture_certificate(const struct certificate_order *order);

/* A cmocka setup: starts libsodium. */
int fixture_setup(void **state);

#endif
