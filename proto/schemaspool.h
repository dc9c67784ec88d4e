/* schemaspool.h - what worker, runner and keepers of a server say to each other on unix sockets,
 * and the entries of its spool; rows as in schema.h. */
#ifndef LB_PROTO_SCHEMASPOOL_H
#define LB_PROTO_SCHEMASPOOL_H

#include "proto/schema.h"
/* Rows are laid out by hand. */
/* clang-format off */

/* worker: this attempt is ours (m_execute, d_job) */
#define S_TAKEN(X) X(i64, at, 0) X(bin, execute, LIMIT_FRAME) X(bin, job, LIMIT_JOB_BODY)
/* worker: this try was asked for */
#define S_STEPPED(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(str, step, LIMIT_NAME) \
    X(u64, try_no, LIMIT_TRIES) X(i64, at, 0)
/* worker: it ends as `job` unless what runs still succeeds. force: no always steps */
#define S_STOPPED(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(i64, at, 0) X(u64, job, 15) X(flag, force, 0) \
    X(str, reason, LIMIT_TEXT)
/* worker: its RESULT */
#define S_FINISHED(X) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(bin, outcome, LIMIT_OUTCOME) \
    X(added_bin, executions, LIMIT_EXECUTIONS)
/* worker: the broker has it; forget */
#define S_RECORDED(X) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS)
/* worker: RETURNED was decided */
#define S_GIVEN_BACK(X) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS)
/* keeper, before a child starts. identity, expires: of the call. job_hash: see runner/attempts.h */
#define S_LAUNCHED(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(str, step, LIMIT_NAME) \
    X(u64, try_no, LIMIT_TRIES) X(i64, at, 0) X(u64, pid, ANY) X(hash, identity, 0) \
    X(i64, expires, 0) X(added_bin, job_hash, 32)
#define S_OUTPUT(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(str, step, LIMIT_NAME) \
    X(u64, try_no, LIMIT_TRIES) X(u64, stream, 2) X(u64, offset, ANY) X(i64, at, 0) \
    X(bin, data, LIMIT_LOG_CHUNK) X(u64, cut, ANY)
#define S_PROGRESS(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(u64, percent, 100) X(str, text, LIMIT_TEXT)
/* keeper or runner: d_step_outcome. execution: d_execution; empty: it was not started. job_hash: as
   in LAUNCHED; empty also for a refusal that ends no try */
#define S_ENDED(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(bin, outcome, LIMIT_OUTCOME) \
    X(added_bin, execution, LIMIT_EXECUTION) X(added_bin, job_hash, 32)
/* runner, first in its table of calls and again after each boot (runner/replay.h): what follows is
   of this boot. floor: calls issued before it may be missing; 0: none is */
#define S_REPLAY(X) X(id, boot, 0) X(i64, floor, 0)
/* runner, in that table: what became of a step; states as in runner/seen.h. turn: the digest of its
   name and the number of its try; caller: of its caller's name */
#define S_SEEN(X) \
    X(u64, state, 15) X(hash, identity, 0) X(u64, caller, ANY) X(id, run, 0) \
    X(u64, attempt, LIMIT_ATTEMPTS) X(hash, turn, 0) X(i64, at, 0) X(i64, expires, 0)
/* worker -> runner: run this step. The runner verifies all of it. outputs: for runners before 0.2
   alone. deadline: CLOCK_BOOTTIME. lost_after: this attempt's, never 0 for `rerun` */
#define S_STEP(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(bin, call, LIMIT_CALL) \
    X(bin, certificate, LIMIT_CERTIFICATE) X(bin, job, LIMIT_JOB_BODY) X(str, step, LIMIT_NAME) \
    X(u64, try_no, LIMIT_TRIES) X(bins, outputs, LIMIT_STEPS) X(u64, on_lost, 15) \
    X(i64, deadline, 0) X(flag, local, 0) X(u64, lost_after_ms, ANY)
#define S_OUTPUTS(X) X(str, step, LIMIT_NAME) X(map, outputs, LIMIT_OUTPUTS)
/* end the tree of this attempt's step */
#define S_HALT(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(flag, force, 0) X(u64, grace_ms, ANY) \
    X(flag, timed_out, 0)
#define S_INSTALL(X) \
    X(hash, package, 0) X(str, archive, LIMIT_PATH) X(bin, signature, LIMIT_SIGNATURE) \
    X(bin, deployment, LIMIT_CERTIFICATE) X(bin, certificate, LIMIT_CERTIFICATE)
#define S_INSTALLED(X) X(hash, package, 0) X(u64, code, 9999) X(str, text, LIMIT_TEXT)
/* first on a runner's socket, both ways */
#define S_ATTACH(X) X(u64, version, 255) X(id, spool, 0) X(u64, slots, LIMIT_SLOTS)
/* keeper -> runner -> worker: what it holds; state 1: waits, 2: runs, 3: gone (kept.h) */
#define S_KEPT(X) \
    X(u64, slot, LIMIT_SLOTS) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) \
    X(str, step, LIMIT_NAME) X(u64, try_no, LIMIT_TRIES) X(u64, state, 15) X(hash, identity, 0) \
    X(i64, expires, 0)
/* worker -> runner, in separated mode: this file of the spool has been read; it may go */
#define S_SHIPPED(X) X(str, name, LIMIT_NAME)
/* all keepers have been heard */
#define S_KEPT_END(X) X(u64, count, ANY)
/* keeper -> runner: slot `slots` cannot be used; runner -> worker: so many of them; 0: none */
#define S_TROUBLE(X) X(u64, slots, LIMIT_SLOTS) X(str, text, LIMIT_TEXT)
/* worker -> runner: would you take such a step, whoever calls, and do its needs hold? number: the
   worker's own. package: zero for a step with a text. */
#define S_PROBE(X) \
    X(u64, number, ANY) X(str, proxy, LIMIT_NAME) X(str, subsystem, LIMIT_NAME) X(hash, package, 0)
/* runner -> worker: code 0: it would, and `needs` has a need for each of package and subsystem */
#define S_PROBED(X) \
    X(u64, number, ANY) X(u64, code, 9999) X(str, text, LIMIT_TEXT) X(bins, needs, LIMIT_NEEDS)
/* runner -> keeper: verified, run it. parameters: bound and typed; outputs, exit_codes: as in
   D_RUNNABLE; context: a context; fingerprint: hash of the one with which files are compared;
   job_hash: as in LAUNCHED: the runner is then told S_ENDED, too. form: "1": the worker reads
   entries of the spool as 0.1 wrote them alone, without what was added; empty: it reads all.
   secrets: a secret_uses; their parameters are not in `parameters`, but in `sensitive` */
#define S_LAUNCH(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(str, step, LIMIT_NAME) \
    X(u64, try_no, LIMIT_TRIES) X(hash, identity, 0) X(i64, expires, 0) X(u64, on_lost, 15) \
    X(u64, lost_after_ms, ANY) X(i64, deadline, 0) X(u64, timeout_ms, ANY) X(u64, output_cap, ANY) \
    X(str, as_of, LIMIT_SHORT) X(str, server, LIMIT_NAME) X(str, task, LIMIT_NAME) \
    X(str, job, LIMIT_JOB) X(str, subsystem, LIMIT_NAME) X(bin, text, LIMIT_JOB_BODY) \
    X(hash, package, 0) X(str, package_name, LIMIT_NAME) X(str, package_version, LIMIT_SHORT) \
    X(str, entry, LIMIT_PATH) X(bins, outputs, LIMIT_VALUES) X(bins, exit_codes, 256) \
    X(map, parameters, LIMIT_PARAMETERS) X(strs, sensitive, LIMIT_VALUES) \
    X(added_bin, context, LIMIT_CONTEXT) X(added_bin, fingerprint, 32) X(added_bin, job_hash, 32) \
    X(added_str, form, LIMIT_NAME) X(added_bin, secrets, LIMIT_SECRET_USES)

/* who runs something by hand -> the runner that serves them alone, first: a job of this server, or
   the one of the package that the hash names. as_of: empty: now. plan: run nothing, say
   with a PLANNED for each step what would run. Then S_HALT, which stops it, and back LAUNCHED,
   OUTPUT, PROGRESS and ENDED as they come, and at last BY_HAND_END */
#define S_BY_HAND(X) \
    X(str, job, LIMIT_JOB) X(hash, package, 0) X(map, parameters, LIMIT_PARAMETERS) \
    X(str, as_of, LIMIT_SHORT) X(flag, plan, 0)
/* code, text: why it would be refused. argv, environment: what would be executed; sensitive: names
   of parameters whose values stay out of `parameters`. off: protections that would be off;
   warn_ms, warn_signal: how its time is said to run out */
#define S_PLANNED(X) \
    X(str, step, LIMIT_NAME) X(u64, code, 9999) X(str, text, LIMIT_TEXT) \
    X(bin, execution, LIMIT_EXECUTION) X(str, user, LIMIT_SHORT) X(bins, argv, ANY) \
    X(bins, environment, ANY) X(map, parameters, LIMIT_PARAMETERS) \
    X(strs, sensitive, LIMIT_VALUES) X(strs, off, 32) X(u64, warn_ms, ANY) \
    X(u64, warn_signal, 255) X(str, package_name, LIMIT_NAME) \
    X(str, package_version, LIMIT_SHORT) X(hash, package, 0)
/* outcome: an outcome; empty: it was not begun, and code and text say why */
#define S_BY_HAND_END(X) \
    X(u64, code, 9999) X(str, text, LIMIT_TEXT) X(bin, outcome, LIMIT_OUTCOME)

#define SPOOLS(M) \
    M(TAKEN, taken, 300) M(STEPPED, stepped, 301) M(FINISHED, finished, 302) \
    M(RECORDED, recorded, 303) M(GIVEN_BACK, given_back, 304) M(LAUNCHED, launched, 305) \
    M(OUTPUT, output, 306) M(PROGRESS, progress, 307) M(ENDED, ended, 308) \
    M(STOPPED, stopped, 309) M(STEP, step, 320) M(OUTPUTS, outputs, 321) M(HALT, halt, 322) \
    M(INSTALL, install, 323) M(INSTALLED, installed, 324) M(ATTACH, attach, 325) \
    M(KEPT, kept, 326) M(KEPT_END, kept_end, 327) M(LAUNCH, launch, 328) \
    M(TROUBLE, trouble, 329) M(PROBE, probe, 330) M(PROBED, probed, 331) \
    M(SHIPPED, shipped, 335) M(REPLAY, replay, 340) M(SEEN, seen, 341) \
    M(BY_HAND, by_hand, 345) M(PLANNED, planned, 346) M(BY_HAND_END, by_hand_end, 347)

#endif
