/* dialer.h - the end that connects: a DEALER socket with CURVE that keeps a session with a broker
 * open until it is closed.
 *
 * It tries the addresses in turn, says HELLO to the first that answers and waits for WELCOME.
 * After a reset, a gap, a lost connection or LEASE_MS of silence it says HELLO again, after a
 * random delay that doubles from about 0.5 s to 30 s. While it is up it sends a PING every
 * HEARTBEAT_MS. */
#ifndef LB_NET_DIALER_H
#define LB_NET_DIALER_H

#include "common/loop.h"
#include "net/pinned.h"
#include "proto/messages.h"

struct dialer;

struct dialer_options {
    const char *const *addresses; /* "tcp://host:7411" or "host:7411" */
    unsigned n_addresses;
    struct hash broker_key; /* the broker's transport key: pinned */
    struct hash next_key; /* tried in turn with it while the broker's key is rotated; zero: none */
    const uint8_t *secret_transport, *public_transport; /* 32 bytes each; all options are copied */
    int64_t lease_ms;                                   /* 0: LEASE_MS */
};

/* Callbacks, from the loop's thread. They may call dialer_send and dialer_close. */
struct dialer_calls {
    void *self;
    /* fill the HELLO; major, minor and software are already set */
    void (*hello)(void *self, struct m_hello *ret);
    void (*up)(void *self, const struct m_welcome *welcome);
    /* everything but WELCOME, RESET, REFUSED */
    void (*message)(void *self, uint64_t kind, struct span message);
    /* the session was up and has ended; the dialer connects again by itself */
    void (*down)(void *self, const char *reason);
    /* HELLO was refused, or (UNKNOWN_PRINCIPAL) the handshake was. The dialer tries again after
     * retry_ms unless it is closed here. */
    void (*refused)(void *self, const struct m_refused *refused);
    void (*window)(void *self); /* it was full and is open again; may be NULL */
};

int dialer_open(struct dialer **ret, struct loop *loop, const struct dialer_options *o,
                const struct dialer_calls *calls, struct error *err);
/* Says BYE if it is up, gives earlier messages a moment to leave, and sets *d to NULL. */
void dialer_close(struct dialer **d);
/* Queues a message. What is sent in a turn leaves in shared frames before the loop sleeps, so do
 * not call it from a prepare hook. -ENOTCONN: not up and nothing queued: send it in the next
 * session; -ENOBUFS: window and queue are full; -EMSGSIZE: no frame can hold it. */
int dialer_send(struct dialer *d, struct span message);
bool dialer_is_up(const struct dialer *d);
bool dialer_window_open(struct dialer *d); /* if not, `window` will be called */
/* When the newest HELLO or PING that the broker has answered was sent, in CLOCK_BOOTTIME ms; 0:
 * none. The fence depends on it. */
int64_t dialer_renewed(const struct dialer *d);
/* Sends a PING now, after what was sent before, instead of at the next heartbeat. */
void dialer_renew(struct dialer *d);
/* The broker's keys: set `next`, or adopt it where the session that is up is on it. */
struct pinned *dialer_pinned(struct dialer *d);
/* Why it is not up, for people: "tcp://wh0:7411: nobody answers"; "" while it is up or has only
 * just started. */
const char *dialer_trouble(const struct dialer *d);
/* The address of the session, or the one that it is trying. */
const char *dialer_address(const struct dialer *d);

#endif
