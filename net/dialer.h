/* dialer.h - the other end: a DEALER socket with CURVE that keeps one session with a broker open,
 * for ever.
 *
 * It connects to the first address that answers (several: in turn), says HELLO, waits for WELCOME,
 * says HELLO again after a reset, a gap, a lost connection or LEASE_MS of silence, with a delay
 * that doubles from about 0.5 s to 30 s with chance in it. While it is up it sends a PING every
 * HEARTBEAT_MS. */
#ifndef LB_NET_DIALER_H
#define LB_NET_DIALER_H

#include "common/loop.h"
#include "proto/messages.h"

struct dialer;

struct dialer_options {
    const char *const *addresses; /* "tcp://host:7411" or "host:7411" */
    unsigned n_addresses;
    struct hash broker_key;                             /* the broker's transport key: pinned */
    const uint8_t *secret_transport, *public_transport; /* 32 bytes each; all of this is copied */
    int64_t lease_ms;                                   /* 0: LEASE_MS */
};

/* Called from the loop's thread; dialer_send and dialer_close may be called in them. */
struct dialer_calls {
    void *self;
    /* fill what is to be said (major, minor, software are set) */
    void (*hello)(void *self, struct m_hello *ret);
    void (*up)(void *self, const struct m_welcome *welcome);
    /* everything but WELCOME, RESET, REFUSED */
    void (*message)(void *self, uint64_t kind, struct span message);
    /* was up, is not; it dials again by itself */
    void (*down)(void *self, const char *reason);
    /* It goes on trying after retry_ms unless it is closed here. Also called, with
     * UNKNOWN_PRINCIPAL, when the handshake is refused. */
    void (*refused)(void *self, const struct m_refused *refused);
    void (*window)(void *self); /* it was full and is open again; may be NULL */
};

int dialer_open(struct dialer **ret, struct loop *loop, const struct dialer_options *o,
                const struct dialer_calls *calls, struct error *err);
/* says BYE if up; what was sent before has a moment to leave */
void dialer_close(struct dialer **d);
/* -ENOTCONN: not up (nothing queued: the next session says it again); -ENOBUFS: window and queue
 * are full; -EMSGSIZE: no frame can hold it. What is sent in a turn leaves in shared frames before
 * the loop sleeps (call it not in a prepare hook). */
int dialer_send(struct dialer *d, struct span message);
bool dialer_is_up(const struct dialer *d);
bool dialer_window_open(struct dialer *d); /* if not, `window` will be called */
/* CLOCK_BOOTTIME ms at which the newest HELLO or PING that the broker has answered was sent; 0:
 * none. The fence rests on it. */
int64_t dialer_renewed(const struct dialer *d);
/* Says PING now, behind what was sent before, instead of at the next heartbeat. */
void dialer_renew(struct dialer *d);
/* Why it is not up, for people: "tcp://wh0:7411: nobody answers"; "" when it is up or has only
   begun. */
const char *dialer_trouble(const struct dialer *d);
/* The address that it is up at, or tries. */
const char *dialer_address(const struct dialer *d);

#endif
