/* shell.h - the part of the broker that every message passes: sessions, answers, and what the
 * services around the core need for both.
 *
 * A service (events, depot, logs, queries) keeps a pointer to the shell. It reads core, store and
 * known, answers with the calls below, and steps the core with shell/turn.h. It registers once for
 * what it wants to hear, with shell_listen; the shell itself calls no service by name.
 *
 * One thread: all of it runs in the callbacks of `loop`. */
#ifndef LB_BROKER_SHELL_SHELL_H
#define LB_BROKER_SHELL_SHELL_H

#include "broker/audit/auditor.h"
#include "broker/core/view.h"
#include "broker/store/store.h"
#include "common/hashtable.h"
#include "common/loop.h"
#include "net/server.h"
#include "trust/budget.h"

enum { SHELL_LISTENERS_MAX = 8 };

/* A session. */
struct shell_peer {
    uint64_t handle;
    struct hash key;                       /* transport */
    const struct certificate *certificate; /* NULL: a one-time key */
    char address[64];
    char invited[LIMIT_NAME + 1]; /* the name that the holder of a one-time key asks for */
    uint64_t minor;               /* version of the protocol that it speaks */
    bool told_full;               /* the core has been told that its window is full */
    struct bcore_peer who;
    UT_hash_handle hh;
};

/* What a service hears. A NULL is not called; listeners are called in the order of registration. */
struct shell_listener {
    void *self;
    /* The core has emitted this record; it is not yet on disk. */
    void (*record)(void *self, uint64_t lsn, struct span record);
    void (*committed)(void *self, uint64_t lsn);  /* everything up to lsn is on disk */
    void (*window)(void *self, uint64_t peer);    /* it was full and is open again */
    void (*turn_end)(void *self);                 /* the records of this turn are with the store */
    void (*peer_gone)(void *self, uint64_t peer); /* its session has ended */
};

/* The message that is being taken: whether it was answered by a refusal, and by which. For the
 * audit trail. */
struct shell_taking {
    uint64_t peer; /* 0: none */
    enum refusal code;
    char text[ERROR_TEXT_MAX];
};

/* Filled in by broker.c, which owns what the pointers point to unless another file is named. */
struct shell {
    const char *cluster, *name;            /* of this broker */
    const struct certificate *certificate; /* its own */
    char *store_path;
    char *invitations; /* the folder that keeps them across restarts */
    struct loop *loop;
    struct net_server *net;
    struct store *store;
    struct bcore *core;
    struct known *known;
    struct budgets *budgets; /* what each principal uses; by its transport key */
    struct offload *offload;
    struct auditor *auditor;
    struct shell_taking taking;
    const struct trust_anchors *anchors;
    struct turn *turn;        /* turn.c */
    struct gate *gate;        /* turn.c */
    struct shell_peer *peers; /* hello.c; a hash by handle */
    struct shell_listener listeners[SHELL_LISTENERS_MAX];
    unsigned n_listeners;
    struct buf scratch; /* of shell_send */
    struct buf trimmed; /* a message without the fields that a newer peer appends */
    int64_t started_wall;
    uint64_t messages, denials; /* counted by dispatch.c but for PINGs, shown by QUERY stats */
};

/* Copied. To be called while the broker opens. */
void shell_listen(struct shell *sh, const struct shell_listener *listener);
struct shell_peer *shell_find_peer(const struct shell *sh, uint64_t handle); /* NULL: gone */

/* Reads a message that dispatch.c has found well-formed; *ret points into it. */
void shell_read(const struct wire_schema *schema, struct span message, void *ret);

/* Each sends one answer. A peer that is gone, or is dropped because it does not read, gets nothing;
 * that is not the caller's concern. Texts longer than LIMIT_TEXT are cut between characters. */
void shell_send(struct shell *sh, uint64_t peer, const struct wire_schema *schema,
                const void *message);
void shell_error(struct shell *sh, uint64_t peer, uint64_t req, enum refusal code, const char *fmt,
                 ...) __attribute__((format(printf, 5, 6)));
void shell_done(struct shell *sh, uint64_t peer, uint64_t req, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Tells the audit trail that this is how the message that is being taken was answered. */
void shell_refused(struct shell *sh, uint64_t peer, enum refusal code, struct span text);
/* Tells it that a principal asked by `verb` for a run that it may not see, and is told that there
 * is none. For what is judged only when the store has answered. */
void shell_hidden(struct shell *sh, const struct shell_peer *p, const char *verb,
                  const struct id *run);
/* Ends the session: REFUSED is the last message. Frees p. */
void shell_drop(struct shell *sh, struct shell_peer *p, enum refusal code, const char *text);
/* Adds a line to the view `events` that is not a record of the core: a denial, an invitation, a
 * backup. */
void shell_note(struct shell *sh, const char *by, const char *verb, const char *target,
                const char *text);

#endif
