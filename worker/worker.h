/* worker.h - the worker assembled: what its files share. The core decides; everything here carries
 * out.
 *
 * A turn of the loop: what came in is fed to the core, whose effects are only gathered; at the
 * turn's end the spool's entries are written, and then what rests on them leaves: requests to the
 * runner, messages to the broker, last of all logs. */
#ifndef LB_WORKER_WORKER_H
#define LB_WORKER_WORKER_H

#include "client/config.h"
#include "common/loop.h"
#include "common/paths.h"
#include "net/dialer.h"
#include "worker/core/core.h"
#include "worker/desired.h"
#include "worker/fence.h"
#include "worker/jobs.h"
#include "worker/logship.h"
#include "worker/needs.h"
#include "worker/revoked.h"
#include "worker/runnerlink.h"
#include "worker/spool.h"

enum {
    AHEAD_STEPS =
        /* asked for beyond the slots: the runner starts them without us; they can no longer be
           recalled */
    16,
    /* results wait so long for others while all slots are busy: then a frame carries many */
    BATCH_MS = 3,
    LOOK_MS = 1000,  /* the spool is looked at this often even if no bell rings */
    TIDY_MS = 10000, /* between two looks for what can be thrown away */
    ATTEST_MS = 100, /* changes of what can be run here are gathered for so long */
    SETTLE_MS = 200  /* a folder that changes is read when it has been quiet for so long */
};

struct worker_options {
    unsigned slots;
    bool external_runner; /* somebody else starts lbrunner */
};

/* Encoded messages one after the other, first in first out. */
struct worker_queue {
    struct buf bytes;
    size_t taken;
};

struct worker {
    struct loop *loop;
    struct paths paths;
    struct worker_options options;
    struct client_config who;
    struct id boot, incarnation;

    struct wcore *core;
    struct wcore_out out;
    struct spool *spool;
    struct jobs *jobs;
    struct needs *needs;
    struct desired *desired;
    struct logship *logs;
    struct fence *fence;
    struct revoked revoked;
    struct runnerlink *runner;
    struct dialer *dialer;

    int bell, watch; /* run/worker.bell; inotify on etc/jobs and var/packages */
    char *bell_path;
    struct worker_queue to_broker, to_runner;
    int64_t queued_since; /* boot: the first message that is kept back; 0: none is */
    bool bell_rang;       /* somebody has written to the spool */
    int64_t attest_at;    /* boot; 0: nothing new */
    int64_t reread_at;    /* boot: job files and packages; 0: nothing has changed */
    int64_t renewed;
    bool renew; /* ask for a renewal at the end of this turn, behind HAVE_END */
    struct loop_timer look, tidy;
};

/* ---- worker.c */
/* Everything but the connections: identity, spool, replay, jobs. */
int worker_open(struct worker **ret, const struct worker_options *options, struct error *err);
/* Connects and runs until a signal ends it; the program's exit code, or negative. */
int worker_run(struct worker *w, struct error *err);
void worker_close(struct worker **w);

/* ---- inout.c: events into the core, effects out of it */
void worker_feed(struct worker *w, struct wcore_event ev);
void worker_feed_message(struct worker *w, enum wcore_event_kind kind, struct span message);
/* Hands the core what the spool has got since. A spool that cannot be read ends the process. */
void worker_feed_spool(struct worker *w);
/* What was for a session that is over: the next one says again what still counts. */
void worker_forget_messages(struct worker *w);
int worker_replay(struct worker *w, struct error *err);
/* Writes the spool, then lets go what rests on it. */
void worker_let_go(struct worker *w);

/* ---- brokerlink.c: the session */
extern const struct dialer_calls worker_dialer_calls;
bool worker_uses_job(void *self, const struct hash *job);
void attest_soon(struct worker *w, int64_t ms);
void attest_now(struct worker *w);
void worker_reread(struct worker *w); /* job files and packages */
int worker_open_desired(struct worker *w, const char *incoming, struct error *err);

/* ---- attest.c */
void attest_encode(struct worker *w, struct buf *out);

/* ---- join.c, check.c: verbs; their exit codes */
int join_verb(int argc, char **argv);
int check_verb(int argc, char **argv);

#endif
