/* fixture.h - for the tests of client: a cluster `test` in a folder, with an administrator, a
 * caller anna who has joined, and a net/server.h broker scripted by each test. One loop drives both
 * ends. Linked into tests only. */
#ifndef LB_CLIENT_FIXTURE_H
#define LB_CLIENT_FIXTURE_H

#include <errno.h>
#include <sodium.h>

#include "client/config.h"
#include "client/longboat.h"
#include "common/clock.h"
#include "common/testing.h"
#include "net/server.h"
#include "net/socket.h"
#include "trust/batch.h"
#include "trust/invitation.h"

enum { PATIENCE_MS = 20000 };

struct client_cluster {
    char *folder; /* of anna */
    struct loop *loop;
    struct net_server *server;
    struct key administrator, broker, anna;
    struct buf broker_certificate;
    struct trust_anchors anchors;
    char endpoint[NET_ENDPOINT_MAX];
    uint64_t peer;
    struct hash peer_key;
    unsigned hellos, downs;
    enum refusal refuse;
    bool strict;    /* before put_identity: the client takes no unsigned results */
    uint64_t minor; /* beyond PROTO_MINOR: the broker is newer, and so are its messages */
    /* What the broker does with a message; NULL: nothing. */
    void (*take)(struct client_cluster *c, uint64_t kind, struct span message);
    void *test; /* the test's own */
};

/* ---- The broker */

void broker_encode(const struct client_cluster *c, const struct wire_schema *s, const void *message,
                   struct buf *out);
void broker_says(struct client_cluster *c, const struct wire_schema *s, const void *message);
/* Tries until it listens: libzmq releases a port in the background. */
void broker_start(struct client_cluster *c);
void broker_restart(struct client_cluster *c);

/* ---- Files */

void put_file(const char *folder, const char *name, struct span content, mode_t mode);
struct buf certificate_for(const struct client_cluster *c, const char *name, enum role role,
                           const struct key *key);
void put_identity(const struct client_cluster *c);

/* ---- The scene */

/* Keys, certificates and files; no broker runs. */
int cluster_files(void **state);
int cluster_begin(void **state);
int cluster_end(void **state);

/* Runs the loop until `condition` holds. */
#define until(c, condition) \
    do { \
        int64_t end_ = clock_boot_ms() + PATIENCE_MS; \
        while (!(condition)) { \
            assert_int_equal(loop_turn((c)->loop, end_, NULL), 0); \
            if (clock_boot_ms() >= end_) \
                fail_msg("waited in vain for: %s", #condition); \
        } \
    } while (0)

#endif
