/* byhand.h - one job, or one package, run by a person on this machine, without a broker: `lbworker
 * run-job`, `lbpkg run`.
 *
 * It is run by a runner of its own, a process that lives for this one run: the same verifier, step
 * machine, slots, keeper and child as in earnest, so that what a person sees is what happens. Its
 * folders are its own, below run/hand-XXXXXX, work/hand-XXXXXX and in memory, so a server that runs
 * in the same home is not disturbed, and with the end of the run all of it is removed.
 *
 * The person is at the other end of standard input, a socket, and says S_BY_HAND; then S_HALT. The
 * runner says what it and its keeper write to their spool, and S_BY_HAND_END. A person who goes
 * away stops the run.
 *
 * Nobody has signed such a call. Who asks, the kernel says (SO_PEERCRED): the principal is
 * local:USER, and the proxy of each step must list it. All else is judged as in earnest. A job is
 * compiled by lbparse from the files of this server's administrator, at each run.
 *
 * In separated mode an ordinary user cannot start such a runner. The server's own runner does it
 * for them, at a door (byhanddoor.h). */
#ifndef LB_RUNNER_BYHAND_H
#define LB_RUNNER_BYHAND_H

#include "common/loop.h"
#include "runner/runnerpaths.h"

/* ---- Folders: byhandpaths.c */
struct byhand_options {
    int person;           /* the socket */
    bool undeployed;      /* the packages of a home that is no server's: see runner_paths */
    const char *settings; /* whose proxies.d and subsystems.d count; NULL: those of the home */
};
/* As runner_paths_open, with folders of its own. -EPERM: this home belongs to another user, or root
 * asks and it is not in separated mode, or to see who asks is not possible. Also removes what a run
 * that was killed has left. */
int byhand_paths_open(struct runner_paths *ret, const struct byhand_options *o, struct error *err);
/* Removes the folders, once no process uses them. */
void byhand_paths_remove(const struct runner_paths *h);

/* ---- The run */
struct byhand;
/* Takes the socket. Runs when it has heard S_BY_HAND; stops the loop when all is over: then
 * byhand_close. `paths` and `loop` are lent. */
int byhand_open(const struct runner_paths *paths, struct loop *loop, int person,
                struct byhand **ret, struct error *err);
/* Ends the keeper, waits for it and for all that it has started, and says S_BY_HAND_END. */
void byhand_close(struct byhand **h);
void byhand_stop(struct byhand *h, bool force); /* as S_HALT */
void byhand_reap(struct byhand *h);             /* on SIGCHLD */

#endif
