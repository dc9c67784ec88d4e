/* worker.h - the worker, assembled: what its files share. The core decides; everything here carries
 * out what it decided.
 *
 * A turn of the loop: what came in is fed to the core, and the core's effects are gathered. At the
 * end of the turn the spool's entries are written, and only then does what rests on them leave:
 * requests to the runner, messages to the broker, and last of all logs. */
#ifndef LB_WORKER_WORKER_H
#define LB_WORKER_WORKER_H

#include "client/config.h"
#include "common/loop.h"
#include "common/paths.h"
#include "net/dialer.h"
#include "worker/core/core.h"
#include "worker/desired.h"
#include "worker/fence.h"
#include "worker/answers.h"
#include "worker/jobs.h"
#include "worker/logship.h"
#include "worker/revoked.h"
#include "worker/runnerlink.h"
#include "worker/secretstore.h"
#include "worker/spool.h"

enum {
    /* Steps asked for beyond the slots. The runner starts them without us; they can no longer be
     * recalled. */
    AHEAD_STEPS = 16,
    /* While all slots are busy, results wait this long for others, so that one frame carries
     * many */
    BATCH_MS = 3,
    LOOK_MS = 1000,  /* the spool is read at least this often, even if no bell rings */
    TIDY_MS = 10000, /* between two looks for spool entries that can be thrown away */
    ATTEST_MS = 100, /* changes to what can run here are gathered for this long */
    SETTLE_MS = 200  /* a folder that changes is read when it has been quiet for this long */
};

struct worker_options {
    unsigned slots;
    bool external_runner; /* something else, such as systemd, starts lbrunner */
};

/* Encoded messages one after the other, first in first out. */
struct worker_queue {
    struct buf bytes;
    size_t taken;
    size_t sealed; /* RESULTs up to here have their signature, as far as they get one */
};

enum { WORKER_EXIT_TAKEN = 3 /* of worker_run: another worker of this server is live */ };

struct worker {
    struct loop *loop;
    struct paths paths;
    struct worker_options options;
    struct client_config who;
    struct id boot;
    char process[LIMIT_SHORT + 1]; /* who we are, for people: host and process id */
    bool welcomed;                 /* by a broker, since we were started */
    bool doubted;                  /* the last HELLO was refused because of another worker */
    /* the runner is another user: it was started as root, by somebody else, and has given us our
     * folders (runner/runnerpaths.h) */
    bool apart;

    struct wcore *core;
    struct wcore_out out;
    struct spool *spool;
    struct jobs *jobs;
    struct answers *answers;
    struct desired *desired;
    struct secretstore *secrets;
    struct logship *logs;
    struct fence *fence;
    struct revoked revoked;
    struct runnerlink *runner;
    struct dialer *dialer;
    int64_t broker_ahead_ms; /* its wall clock, of ours, when the session began */

    int bell, watch; /* run/worker.bell; inotify on etc/jobs and var/packages */
    char *bell_path;
    struct worker_queue to_broker, to_runner;
    int64_t queued_since; /* boot ms: since when to_broker has something; 0: it is empty */
    char *slots_trouble;  /* of the runner's slots; NULL: none */
    bool bell_rang;       /* another process has written to the spool */
    int64_t attest_at;    /* boot ms: when to attest what can run here; 0: nothing new */
    int64_t reread_at;    /* boot ms: when to read jobs and packages again; 0: nothing changed */
    int64_t renewed;      /* boot ms: the renewal of the lease that the fence shows */
    bool renew;           /* ask for a renewal at the end of this turn, after HAVE_END */
    struct loop_timer look, tidy;
};

/* ---- worker.c */
/* Opens everything but the connections: identity, spool (replayed), jobs. On success *ret is
 * yours: worker_close. -EBUSY: another worker uses this spool; -ENOENT, -EPERM: no identity of a
 * server. */
int worker_open(struct worker **ret, const struct worker_options *options, struct error *err);
/* Connects and runs until a signal ends it. Returns the program's exit code, or a negative one. */
int worker_run(struct worker *w, struct error *err);
/* Children go on with their keepers; sets *w to NULL. */
void worker_close(struct worker **w);

/* ---- inout.c: events into the core, effects out of it */
void worker_feed(struct worker *w, struct wcore_event ev); /* now and wall are filled in */
void worker_feed_message(struct worker *w, enum wcore_event_kind kind, struct span message);
/* Hands the core what the spool has gained. A spool that cannot be read ends the process. */
void worker_feed_spool(struct worker *w);
/* Drops what waits for a session that is over: the next session says again what still counts. */
void worker_forget_messages(struct worker *w);
/* Queues a message for the runner; it is lost if that is down. */
void worker_tell_runner(struct worker *w, struct span message);
/* Gives a new core all that the spool holds. */
int worker_replay(struct worker *w, struct error *err);
/* Writes the spool, then sends what rests on it. If it cannot be written, nothing leaves and the
 * process ends; the next one replays what is there. */
void worker_let_go(struct worker *w);

/* ---- sealing.c */
/* Signs the RESULTs that wait for the broker, many with one signature. */
void worker_sign_results(struct worker *w);

/* ---- brokerlink.c: the session with the broker */
extern const struct dialer_calls worker_dialer_calls;
int worker_open_desired(struct worker *w, const char *incoming, struct error *err);
int worker_open_secrets(struct worker *w, const char *folder, struct error *err);

/* ---- attest.c: tells the broker what can run here */
void attest_soon(struct worker *w, int64_t ms); /* within this time */
void attest_now(struct worker *w);

/* ---- join.c, check.c, rotate.c, runjob.c: the verbs of the program; each returns its exit code */
int join_verb(int argc, char **argv);
int check_verb(int argc, char **argv);
int rotate_verb(int argc, char **argv);
int runjob_verb(int argc, char **argv);

#endif
