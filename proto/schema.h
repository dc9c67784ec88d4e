/* schema.h - every message, signed document and record of Longboat, each field once; what a server
 * keeps to itself is in schemaspool.h.
 *
 * A row: X(type, field, most). Types and their meaning are in wire.h; `most` is a number of
 * limits.h: the greatest value of a u64, the bytes of a str, bin or map, the entries of strs and
 * bins. Kinds are numbers that never change meaning; fields are only appended, and one of type
 * added_ may be missing. m_: messages (PROTOCOL.md), d_: documents, r_: journal, s_: spool.
 *
 * Times are milliseconds since 1970 UTC in i64 (`_at`), durations milliseconds in u64 (`_ms`); 0
 * means "not set". */
#ifndef LB_PROTO_SCHEMA_H
#define LB_PROTO_SCHEMA_H

#include "proto/limits.h"
#include "proto/wire.h"
/* Rows are laid out by hand. */
/* clang-format off */
#define ANY UINT64_MAX
/* ======== The head of a frame: [0, session, number, ack]; messages follow one after the other. */

/* session: chosen by the client at random with HELLO. number: 1, 2, ... for frames with messages; a
   frame without messages repeats the last number sent, so that a lost tail is noticed. ack: the
   last number received in order. */
#define H_FRAME(X) X(u64, session, ANY) X(u64, number, ANY) X(u64, ack, ANY)

/* ======== Sessions ======== */

/* First message of every session. `spool`, `boot`, `incarnation` and `slots` are a worker's; others
   send zeros. boot: another one when the spool may have lost entries, as after a power cut.
   certificate: the sender's; empty for a one-time key, or if the broker has it. revocations: the
   number of the list that the sender has; 0: none. process: host and process id, for people. With
   it, `incarnation` stays the same while a worker is started again on the same spool, and is
   another one for a copy of it and after a boot; without, each process has its own. */
#define M_HELLO(X) \
    X(u64, major, 255) X(u64, minor, 255) X(str, software, LIMIT_SHORT) \
    X(bin, certificate, LIMIT_CERTIFICATE) X(id, incarnation, 0) X(id, spool, 0) X(id, boot, 0) \
    X(u64, slots, LIMIT_SLOTS) X(u64, revocations, ANY) X(added_str, process, LIMIT_SHORT)
/* The session is open. certificate: the broker's. yours: a newer certificate of the sender's own
   key than the one in HELLO, to be used from now on; empty: there is none. next: the broker's, for
   the key that it will have soon. */
#define M_WELCOME(X) \
    X(u64, minor, 255) X(str, cluster, LIMIT_NAME) X(str, broker, LIMIT_NAME) \
    X(bin, certificate, LIMIT_CERTIFICATE) X(u64, epoch, ANY) X(u64, lease_ms, ANY) \
    X(u64, lost_after_ms, ANY) X(i64, now, 0) X(u64, revocations, ANY) \
    X(bin, yours, LIMIT_CERTIFICATE) X(added_bin, next, LIMIT_CERTIFICATE)
/* The session is not opened, or ends now; do not come back before retry_ms. */
#define M_REFUSED(X) X(u64, code, 9999) X(str, text, LIMIT_TEXT) X(u64, retry_ms, ANY)
/* A frame of a session that the receiver does not know, or after a gap, or malformed: say HELLO
   again. */
#define M_RESET(X) X(str, reason, LIMIT_SHORT)
/* stamp: the sender's own clock, returned untouched. */
#define M_PING(X) X(u64, stamp, ANY)
#define M_PONG(X) X(u64, stamp, ANY)
#define M_BYE(X) X(str, reason, LIMIT_SHORT)

/* ======== Answers that many requests share. `req`: the client's own number of its request. */

#define M_DONE(X) X(u64, req, ANY) X(str, text, LIMIT_TEXT)
#define M_ERROR(X) \
    X(u64, req, ANY) X(u64, code, 9999) X(str, text, LIMIT_TEXT) X(u64, retry_ms, ANY)

/* ======== Calls ======== */

/* Asks which versions of a job there are. address: a server, a pool or `all`. */
#define M_RESOLVE(X) X(u64, req, ANY) X(str, job, LIMIT_JOB) X(str, address, LIMIT_ADDRESS)
/* versions: a version each, newest deployment first. servers: all in the address. */
#define M_RESOLVED(X) X(u64, req, ANY) X(bins, versions, LIMIT_JOBS) X(strs, servers, LIMIT_SERVERS)
/* call: a signed call. follow: 0 nothing, 1 its end, 2 its states too. */
#define M_CALL(X) X(u64, req, ANY) X(bin, call, LIMIT_CALL) X(u64, follow, 2)
/* The call is on disk. duplicate: the key was known, with the same body; this is that run. */
#define M_ACCEPTED(X) X(u64, req, ANY) X(id, run, 0) X(flag, duplicate, 0)
/* Asks again for what a new session has not heard. */
#define M_FOLLOW(X) X(u64, req, ANY) X(id, run, 0) X(u64, level, 2)
/* The latest state; those in between may have been left out. */
#define M_RUN_STATE(X) \
    X(id, run, 0) X(u64, state, 15) X(u64, attempt, LIMIT_ATTEMPTS) X(str, server, LIMIT_NAME) \
    X(u64, percent, 100) X(str, text, LIMIT_TEXT) X(i64, at, 0)
/* On disk. outcome: an outcome. signature: its server's, as in RESULT; empty: the broker's word. */
#define M_RUN_ENDED(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(str, server, LIMIT_NAME) \
    X(bin, outcome, LIMIT_OUTCOME) X(added_bin, signature, LIMIT_RESULT_SIGNATURE)
#define M_CANCEL(X) \
    X(u64, req, ANY) X(id, run, 0) X(flag, force, 0) X(str, reason, LIMIT_TEXT)

/* ======== Parents ======== */

/* parent: a signed parent. drive: take its lease, too. */
#define M_PARENT_BEGIN(X) X(u64, req, ANY) X(bin, parent, LIMIT_CALL) X(flag, drive, 0)
/* The plan's bytes in pieces, by their hash, before PARENT_BEGIN. */
#define M_PARENT_PLAN(X) \
    X(u64, req, ANY) X(hash, plan, 0) X(u64, offset, LIMIT_PLAN) X(u64, size, LIMIT_PLAN) \
    X(bin, data, LIMIT_CHUNK)
/* By its driver, with the epoch of its lease. report: JSON. */
#define M_PARENT_END(X) \
    X(u64, req, ANY) X(id, parent, 0) X(u64, epoch, ANY) X(u64, status, 15) \
    X(str, report, LIMIT_CALL)
/* Takes the lease of a parent that nobody drives. */
#define M_PARENT_DRIVE(X) X(u64, req, ANY) X(id, parent, 0)
#define M_DRIVING(X) \
    X(u64, req, ANY) X(id, parent, 0) X(u64, epoch, ANY) X(flag, resumed, 0)

/* ======== Broker and worker ======== */

/* What this server can run now: whole, and again whenever it changes. jobs: an attested_job each;
   packages: an attested_package; needs: a need. */
#define M_ATTEST(X) \
    X(u64, slots, LIMIT_SLOTS) X(bins, jobs, LIMIT_JOBS) X(bins, packages, LIMIT_JOBS) \
    X(bins, needs, LIMIT_NEEDS) X(map, facts, LIMIT_OUTPUTS)
/* After WELCOME, before HAVE_END: one for each attempt that this spool knows and that is not
   RECORDED. state: handed_over (it waits), running, or ended (its RESULT follows). */
#define M_HAVE(X) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(u64, state, 15)
#define M_HAVE_END(X) X(u64, count, ANY)
/* call, certificate: the caller's bytes as received. */
#define M_EXECUTE(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(bin, call, LIMIT_CALL) \
    X(bin, certificate, LIMIT_CERTIFICATE) X(hash, job_hash, 0) X(u64, on_lost, 15) \
    X(u64, lost_after_ms, ANY)
#define M_STARTED(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(str, step, LIMIT_NAME) X(i64, at, 0)
/* waits: the step that waits for its next try; meanwhile the attempt takes no slot; empty: none */
#define M_PROGRESS(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(u64, percent, 100) \
    X(str, text, LIMIT_TEXT) X(added_str, waits, LIMIT_NAME)
/* signature: a signed of kind "result" without its body, which is a result with these fields.
   executions: an executions, which is not signed. */
#define M_RESULT(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(bin, outcome, LIMIT_OUTCOME) \
    X(added_bin, signature, LIMIT_RESULT_SIGNATURE) X(added_bin, executions, LIMIT_EXECUTIONS)
/* On disk: the spool may forget it. */
#define M_RECORDED(X) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS)
#define M_STOP(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(flag, force, 0) X(str, reason, LIMIT_TEXT)
/* Give it back if none of its steps has started. */
#define M_RECALL(X) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS)
#define M_RETURNED(X) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(str, reason, LIMIT_TEXT)
/* stream: 1 stdout, 2 stderr. offset: in this step's stream, cut bytes included. */
#define M_LOG_DATA(X) \
    X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(str, step, LIMIT_NAME) \
    X(u64, try_no, LIMIT_TRIES) X(u64, stream, 2) X(u64, offset, ANY) X(i64, at, 0) \
    X(bin, data, LIMIT_LOG_CHUNK) X(u64, cut, ANY)
/* Credit for logs: bytes of LOG_DATA, that is, of `data`, taken so far in this session, in order,
   dropped ones included. A worker that goes beyond its credit is REFUSED. */
#define M_LOG_ACK(X) X(u64, bytes, ANY)
/* The packages that this server is to have, a deployed each: whole, after WELCOME and whenever it
   changes. */
#define M_DESIRED(X) X(u64, generation, ANY) X(bins, packages, LIMIT_JOBS)
/* The secrets of this server, a secret_listed each, marks of dropped ones too: whole, after WELCOME
   and whenever it changes. */
#define M_SECRETS(X) X(bins, secrets, LIMIT_SECRETS)
/* document: as SECRETS lists it. */
#define M_SECRET_GET(X) X(u64, req, ANY) X(hash, document, 0)
/* secret: a signed secret. certificate: of who has signed it. */
#define M_SECRET(X) \
    X(u64, req, ANY) X(bin, secret, LIMIT_SECRET) X(bin, certificate, LIMIT_CERTIFICATE)
/* list: signed revocations; in every session when newer. */
#define M_REVOKED(X) X(bin, list, LIMIT_FRAME)

/* ======== Seeing ======== */

/* what: runs, run, find, history, servers, explain, packages, certificates, parents, whoami,
   principals, stats, store or evidence. after: the cursor that the page before named. */
#define M_QUERY(X) \
    X(u64, req, ANY) X(str, what, LIMIT_NAME) X(map, where, LIMIT_OUTPUTS) \
    X(str, after, LIMIT_SHORT) X(u64, limit, LIMIT_ROWS)
/* rows: JSON objects. next: the cursor of the next page; empty: this is the last. */
#define M_ROWS(X) X(u64, req, ANY) X(strs, rows, LIMIT_ROWS) X(str, next, LIMIT_SHORT)
/* verb, target, arguments: see "Requests and answers". */
#define M_OPERATE(X) \
    X(u64, req, ANY) X(str, verb, LIMIT_NAME) X(str, target, LIMIT_SHORT) \
    X(map, arguments, LIMIT_OUTPUTS) X(str, reason, LIMIT_TEXT)
/* Events after `after` that match (empty: all); at most `credit` bytes until CREDIT. */
#define M_SUBSCRIBE(X) \
    X(u64, req, ANY) X(u64, after, ANY) X(i64, since, 0) X(map, where, LIMIT_OUTPUTS) \
    X(u64, credit, ANY)
/* Every event in (from, to] that matches and may be seen. events: JSON objects. */
#define M_EVENTS(X) \
    X(u64, req, ANY) X(u64, from, ANY) X(u64, to, ANY) X(strs, events, LIMIT_EVENTS) \
    X(flag, live, 0)
/* Bytes taken in all so far. */
#define M_CREDIT(X) X(u64, req, ANY) X(u64, bytes, ANY)
#define M_UNSUBSCRIBE(X) X(u64, req, ANY)
/* follow: go on until the run has ended. */
#define M_LOGS(X) \
    X(u64, req, ANY) X(id, run, 0) X(str, step, LIMIT_NAME) X(u64, after, ANY) X(flag, follow, 0)
/* chunks: a LOG_DATA each. end: this is the last. dropped: in the first, what output of this server
   is no longer kept, and why; empty: all is. */
#define M_LOG(X) \
    X(u64, req, ANY) X(bins, chunks, LIMIT_EVENTS) X(u64, next, ANY) X(flag, end, 0) \
    X(added_str, dropped, LIMIT_TEXT)

/* ======== Packages, certificates ======== */

/* Into the depot, in order; resumable. DONE's text is the offset that is there. */
#define M_PUT(X) \
    X(u64, req, ANY) X(hash, package, 0) X(u64, offset, ANY) X(u64, size, ANY) \
    X(bin, data, LIMIT_CHUNK)
#define M_PUT_END(X) \
    X(u64, req, ANY) X(hash, package, 0) X(bin, manifest, LIMIT_MANIFEST) \
    X(bin, signature, LIMIT_SIGNATURE)
#define M_GET(X) \
    X(u64, req, ANY) X(hash, package, 0) X(u64, offset, ANY) X(u64, length, LIMIT_CHUNK)
#define M_CHUNK(X) \
    X(u64, req, ANY) X(hash, package, 0) X(u64, offset, ANY) X(u64, size, ANY) \
    X(bin, data, LIMIT_CHUNK) X(bin, signature, LIMIT_SIGNATURE)
/* deployment: a signed deployment. */
#define M_DEPLOY(X) X(u64, req, ANY) X(bin, deployment, LIMIT_CERTIFICATE)
/* secret: a signed secret, which is put or, as a mark, drops the one that is there. */
#define M_SECRET_PUT(X) X(u64, req, ANY) X(bin, secret, LIMIT_SECRET)
/* Asks for whom a secret is to be sealed. after: the `next` of the answer before. */
#define M_SECRET_FOR(X) \
    X(u64, req, ANY) X(str, name, LIMIT_NAME) X(str, address, LIMIT_ADDRESS) \
    X(str, after, LIMIT_NAME)
/* version: the one that it will be. certificates: of the servers in the address, by name, without
   revoked ones. next: empty: these are the last. */
#define M_SECRET_TO(X) \
    X(u64, req, ANY) X(u64, version, ANY) X(bins, certificates, LIMIT_ROWS) \
    X(str, next, LIMIT_NAME)
/* The only request of a one-time key. certificate: a signed certificate. possession: the signature
   of the certificate's own key over these bytes, of kind "possession"; must be there. */
#define M_ENROL(X) \
    X(u64, req, ANY) X(bin, certificate, LIMIT_CERTIFICATE) X(added_bin, possession, 64)
/* serial: 0 for the newest. */
#define M_CERTIFICATE(X) X(u64, req, ANY) X(str, name, LIMIT_NAME) X(u64, serial, ANY)
#define M_CERTIFICATES(X) X(u64, req, ANY) X(bins, certificates, LIMIT_ROWS)
/* An administrator hands in a signed certificate. */
#define M_PUBLISH(X) X(u64, req, ANY) X(bin, certificate, LIMIT_CERTIFICATE)
#define M_REVOKE(X) X(u64, req, ANY) X(bin, list, LIMIT_FRAME)

/* X(macro suffix, name, kind, from, answer or purpose): `from` is who may send it: C any client, W
 * a worker, B the broker, O a one-time key */
#define MESSAGES(M) \
    M(HELLO, hello, 1, C) M(WELCOME, welcome, 2, B) M(REFUSED, refused, 3, B) \
    M(RESET, reset, 4, B) M(PING, ping, 5, C) M(PONG, pong, 6, B) M(BYE, bye, 7, C) \
    M(DONE, done, 8, B) M(ERROR, error, 9, B) M(RESOLVE, resolve, 10, C) \
    M(RESOLVED, resolved, 11, B) M(CALL, call, 12, C) M(ACCEPTED, accepted, 13, B) \
    M(FOLLOW, follow, 14, C) M(RUN_STATE, run_state, 15, B) M(RUN_ENDED, run_ended, 16, B) \
    M(CANCEL, cancel, 17, C) M(PARENT_BEGIN, parent_begin, 20, C) \
    M(PARENT_PLAN, parent_plan, 21, C) M(PARENT_END, parent_end, 22, C) \
    M(PARENT_DRIVE, parent_drive, 23, C) M(DRIVING, driving, 24, B) M(ATTEST, attest, 30, W) \
    M(HAVE, have, 31, W) M(HAVE_END, have_end, 32, W) M(EXECUTE, execute, 33, B) \
    M(STARTED, started, 34, W) M(PROGRESS, progress, 35, W) M(RESULT, result, 36, W) \
    M(RECORDED, recorded, 37, B) M(STOP, stop, 38, B) M(RECALL, recall, 39, B) \
    M(RETURNED, returned, 40, W) M(LOG_DATA, log_data, 41, W) M(LOG_ACK, log_ack, 42, B) \
    M(DESIRED, desired, 43, B) M(REVOKED, revoked, 44, B) M(SECRETS, secrets, 46, B) \
    M(SECRET_GET, secret_get, 47, W) M(SECRET, secret, 48, B) M(QUERY, query, 50, C) \
    M(ROWS, rows, 51, B) M(OPERATE, operate, 52, C) M(SUBSCRIBE, subscribe, 53, C) \
    M(EVENTS, events, 54, B) M(CREDIT, credit, 55, C) M(UNSUBSCRIBE, unsubscribe, 56, C) \
    M(LOGS, logs, 57, C) M(LOG, log, 58, B) M(PUT, put, 70, C) M(PUT_END, put_end, 71, C) \
    M(GET, get, 72, C) M(CHUNK, chunk, 73, B) M(DEPLOY, deploy, 74, C) \
    M(SECRET_PUT, secret_put, 76, C) M(SECRET_FOR, secret_for, 77, C) \
    M(SECRET_TO, secret_to, 78, B) M(ENROL, enrol, 80, O) \
    M(CERTIFICATE, certificate, 81, C) M(CERTIFICATES, certificates, 82, B) \
    M(PUBLISH, publish, 83, C) M(REVOKE, revoke, 84, C)

/* ======== Documents ======== */

/* What is signed is "longboat/<kind>/1\0" + body, as sent, kept as received. For calls and results
 * the signature is over the root of a Merkle tree: leaf = BLAKE2b-256(0x00 body), node =
 * BLAKE2b-256(0x01 left right); proof: the siblings from the leaf up, index: the leaf's place (bit
 * i tells the side at height i). A single one has an empty proof: its root is its leaf. */
/* signer, serial: of the signer's certificate; empty and 0: signed by `key` itself. */
#define D_SIGNED(X) \
    X(str, signer, LIMIT_NAME) X(u64, serial, ANY) X(hash, key, 0) X(bin, body, LIMIT_FRAME) \
    X(bins, proof, LIMIT_PROOF) X(u64, index, ANY) X(bin, signature, 64)
/* Kind "certificate": signed by an administrator or, with an invitation, by its one-time key. */
#define D_CERTIFICATE(X) \
    X(str, cluster, LIMIT_NAME) X(str, name, LIMIT_NAME) X(str, role, LIMIT_NAME) \
    X(u64, serial, ANY) X(hash, sign_key, 0) X(hash, transport_key, 0) X(hash, seal_key, 0) \
    X(strs, pools, LIMIT_POOLS) X(strs, grants, LIMIT_GRANTS) X(i64, not_before, 0) \
    X(i64, not_after, 0) X(bin, invitation, LIMIT_CERTIFICATE)
/* Kind "invitation", signed by an administrator: the holder of one_time_key may become this. */
#define D_INVITATION(X) \
    X(str, cluster, LIMIT_NAME) X(hash, one_time_key, 0) X(str, name, LIMIT_NAME) \
    X(str, role, LIMIT_NAME) X(u64, serial, ANY) X(strs, pools, LIMIT_POOLS) \
    X(strs, grants, LIMIT_GRANTS) X(i64, expires, 0) X(i64, certificate_not_after, 0)
/* What `lbctl invite` prints, base64url after "longboat-join:". */
#define D_TOKEN(X) \
    X(str, cluster, LIMIT_NAME) X(strs, addresses, 16) X(hash, broker_key, 0) \
    X(bins, administrators, 16) X(hash, one_time_seed, 0) X(bin, invitation, LIMIT_CERTIFICATE)
/* Kind "revocations", signed by an administrator. number: grows by one. serials: 8 bytes each, big
   endian, ascending. */
#define D_REVOCATIONS(X) \
    X(str, cluster, LIMIT_NAME) X(u64, number, ANY) X(i64, issued_at, 0) \
    X(bin, serials, LIMIT_REVOKED * 8)
/* Kind "rotation", signed by the new key itself; that is the body of kind "rotation-request",
   signed by the key of now. sign_key: the new one. serial: of the certificate of now. */
#define D_ROTATION(X) \
    X(str, cluster, LIMIT_NAME) X(str, name, LIMIT_NAME) X(u64, serial, ANY) \
    X(hash, sign_key, 0) X(i64, issued_at, 0)
/* Kind "call". pin_latest: job_hash is zero, and what the server has is run. plan: its parent's
   name. item: for people, the values of a for_each, joined by commas. */
#define D_CALL(X) \
    X(str, cluster, LIMIT_NAME) X(str, caller, LIMIT_NAME) X(str, key, LIMIT_KEY) \
    X(str, job, LIMIT_JOB) X(hash, job_hash, 0) X(flag, pin_latest, 0) \
    X(str, address, LIMIT_ADDRESS) X(map, parameters, LIMIT_PARAMETERS) X(u64, on_lost, 15) \
    X(u64, lost_after_ms, ANY) X(u64, start_within_ms, ANY) X(u64, timeout_ms, ANY) \
    X(u64, priority, 9) X(str, as_of, LIMIT_SHORT) X(i64, issued_at, 0) X(i64, expires, 0) \
    X(id, parent, 0) X(str, task, LIMIT_NAME) X(u64, index, LIMIT_TASKS) \
    X(u64, try_no, LIMIT_TRIES) X(strs, semaphores, LIMIT_POOLS) X(str, plan, LIMIT_NAME) \
    X(added_str, item, LIMIT_SHORT)
/* Kind "parent": the beginning of a parent run. values: its variables. parent: the one around it,
   or zero. */
#define D_PARENT(X) \
    X(str, cluster, LIMIT_NAME) X(str, caller, LIMIT_NAME) X(str, key, LIMIT_KEY) \
    X(str, name, LIMIT_NAME) X(hash, plan, 0) X(u64, plan_size, LIMIT_PLAN) \
    X(map, values, LIMIT_PARAMETERS) X(str, as_of, LIMIT_SHORT) X(u64, tasks, LIMIT_TASKS) \
    X(i64, issued_at, 0) X(id, parent, 0)
/* Kind "result", signed by the server that ran it; made anew by whoever verifies, and never sent.
   call: the BLAKE2b-256 of the signed call's body. server: empty where an operator has released the
   run, and signs. */
#define D_RESULT(X) \
    X(str, cluster, LIMIT_NAME) X(str, server, LIMIT_NAME) X(id, run, 0) \
    X(u64, attempt, LIMIT_ATTEMPTS) X(hash, call, 0) X(bin, outcome, LIMIT_OUTCOME)
/* One version of a job in a RESOLVED. example: a server that has it. */
#define D_VERSION(X) \
    X(hash, job_hash, 0) X(str, version, LIMIT_SHORT) X(u64, servers, LIMIT_SERVERS) \
    X(str, example, LIMIT_NAME) X(flag, idempotent, 0) X(bin, parameters, LIMIT_MANIFEST)
/* older: 0 for what is called now; n for the n-th version before it, kept for calls that were
   signed for it. */
#define D_ATTESTED_JOB(X) \
    X(str, name, LIMIT_JOB) X(hash, job_hash, 0) X(str, version, LIMIT_SHORT) \
    X(u64, concurrency, ANY) X(flag, idempotent, 0) X(bins, packages, LIMIT_STEPS) \
    X(strs, needs, LIMIT_NEEDS) X(bin, parameters, LIMIT_MANIFEST) X(u64, older, 255)
/* trouble: if not empty, the package is wanted and not there, and this is why. */
#define D_ATTESTED_PACKAGE(X) \
    X(str, name, LIMIT_NAME) X(str, version, LIMIT_SHORT) X(hash, package, 0) \
    X(str, signer, LIMIT_SHORT) X(u64, size, ANY) X(str, trouble, LIMIT_TEXT)
#define D_NEED(X) \
    X(str, need, LIMIT_SHORT) X(flag, holds, 0) X(str, trouble, LIMIT_TEXT) X(i64, probed_at, 0)
/* Kind "deployment". remove: take it away. */
#define D_DEPLOYMENT(X) \
    X(str, cluster, LIMIT_NAME) X(hash, package, 0) X(str, name, LIMIT_NAME) \
    X(str, version, LIMIT_SHORT) X(str, address, LIMIT_ADDRESS) X(flag, remove, 0) \
    X(i64, issued_at, 0)
#define D_DEPLOYED(X) X(bin, deployment, LIMIT_CERTIFICATE) X(u64, size, ANY)
/* A compiled job; the BLAKE2b-256 of its bytes is the job hash. steps: a step each. parameters:
   that the job declares: a parameter each, one encoded bin after the other; empty: whatever its
   steps use. */
#define D_JOB(X) \
    X(str, name, LIMIT_JOB) X(str, version, LIMIT_SHORT) X(u64, concurrency, ANY) \
    X(bins, steps, LIMIT_STEPS) X(added_bin, parameters, LIMIT_MANIFEST)
/* bindings: a binding each. package: zero for a step without one. retry_codes, success_codes: exit
   codes, a byte each. */
#define D_STEP(X) \
    X(str, name, LIMIT_NAME) X(flag, always, 0) X(str, subsystem, LIMIT_NAME) \
    X(str, package_name, LIMIT_NAME) X(hash, package, 0) X(bin, run, LIMIT_JOB_BODY) \
    X(str, proxy, LIMIT_NAME) X(bins, bindings, LIMIT_VALUES) X(u64, attempts, LIMIT_TRIES) \
    X(u64, interval_ms, ANY) X(u64, backoff, 100) X(bin, retry_codes, 256) \
    X(bin, success_codes, 256) X(u64, timeout_ms, ANY) X(str, on_success, LIMIT_NAME) \
    X(str, on_failure, LIMIT_NAME) X(u64, output_cap, ANY)
/* from: 0 a literal value, 1 a parameter of the call, 2 as_of, 3 the server, 4 output `source` of
   step `step`, 5 the secret `source`. */
#define D_BINDING(X) \
    X(str, name, LIMIT_NAME) X(u64, from, 5) X(bin, value, LIMIT_PARAMETERS) \
    X(str, step, LIMIT_NAME) X(str, source, LIMIT_NAME)
/* Of an attempt and, when counted, of its run. steps: a step_outcome each, in the order in which
   they ran. off: protections that were off. */
#define D_OUTCOME(X) \
    X(u64, delivery, 15) X(u64, job, 15) X(u64, package, 15) X(u64, status, 15) X(u64, code, 9999) \
    X(str, message, LIMIT_TEXT) X(str, server, LIMIT_NAME) X(str, job_name, LIMIT_JOB) \
    X(hash, job_hash, 0) X(i64, called_at, 0) X(i64, started_at, 0) X(i64, ended_at, 0) \
    X(bins, steps, LIMIT_STEPS * LIMIT_TRIES) X(map, outputs, LIMIT_OUTPUTS) X(strs, off, 32)
/* action: what its end led to. code: why it was not started. off: protections that were off. */
#define D_STEP_OUTCOME(X) \
    X(str, name, LIMIT_NAME) X(u64, try_no, LIMIT_TRIES) X(u64, action, 15) \
    X(str, target, LIMIT_NAME) X(u64, package, 15) X(str, package_name, LIMIT_NAME) \
    X(str, package_version, LIMIT_SHORT) X(hash, package_hash, 0) X(str, message, LIMIT_TEXT) \
    X(map, outputs, LIMIT_OUTPUTS) X(i64, exit_code, 0) X(u64, signal, 255) X(flag, timed_out, 0) \
    X(flag, cancelled, 0) X(flag, out_of_memory, 0) X(i64, started_at, 0) X(i64, ended_at, 0) \
    X(u64, user_us, ANY) X(u64, system_us, ANY) X(u64, max_rss_kib, ANY) X(u64, out_bytes, ANY) \
    X(u64, err_bytes, ANY) X(u64, cut_bytes, ANY) X(str, user, LIMIT_SHORT) X(strs, argv, 64) \
    X(strs, off, 32) X(u64, code, 9999)
/* What the runner needs of an installed package; made from the manifest. parameters, outputs: a
   parameter each. */
#define D_RUNNABLE(X) \
    X(str, name, LIMIT_NAME) X(str, version, LIMIT_SHORT) X(hash, package, 0) \
    X(str, subsystem, LIMIT_NAME) X(str, entry, LIMIT_PATH) X(bins, parameters, LIMIT_VALUES) \
    X(bins, outputs, LIMIT_VALUES) X(bins, exit_codes, 256) X(u64, timeout_ms, ANY) \
    X(u64, output_cap, ANY) X(u64, memory, ANY) X(u64, processes, ANY) X(flag, idempotent, 0) \
    X(flag, entry_point, 0) X(hash, signer_key, 0) X(strs, needs, LIMIT_NEEDS)
/* type: string, int, float, bool, date, datetime, json. fallback: encoded. read_from: "file".
   description: of a job's parameter, for people. */
#define D_PARAMETER(X) \
    X(str, name, LIMIT_NAME) X(str, type, LIMIT_NAME) X(flag, required, 0) X(flag, sensitive, 0) \
    X(bin, fallback, LIMIT_PARAMETERS) X(bins, allowed, LIMIT_VALUES) X(str, pattern, LIMIT_TEXT) \
    X(bin, minimum, 64) X(bin, maximum, 64) X(added_str, read_from, LIMIT_NAME) \
    X(added_str, description, LIMIT_TEXT)
/* What a step runs as and within: made by the runner from proxy, subsystem and package, applied by
   the keeper. user, home: for people and for the child's environment. uid, gid: 0: the keeper's
   own (nobody is switched). groups: supplementary, 4 bytes each, big endian. environment: name and
   text, after the fixed one. argv: what comes before the entry or the text. memory: bytes; cpu:
   thousandths of a processor; processes, files (open descriptors), file_size (bytes): 0: no limit.
   warn_ms: before the timeout, `warn_signal` is sent. on, required: protections (bits of
   proto/protect.h) that are to be on, and without which the step is refused. reads, writes: paths
   beyond the usual ones that the sandbox leaves open. principal: who asked: a name, or `local:` and
   a user. signer: of the package; zero: it has none. credentials: name and path of a file that only
   the keeper opens. parameters: how a program gets them that does not read its environment
   (trust/subsystem.h); then `program` stands in place of argv: its words, an encoded str each. */
#define D_CONTEXT(X) \
    X(str, proxy, LIMIT_NAME) X(str, user, LIMIT_SHORT) X(u64, uid, ANY) \
    X(u64, gid, ANY) X(bin, groups, LIMIT_GROUPS * 4) X(str, home, LIMIT_PATH) \
    X(map, environment, LIMIT_OUTPUTS) X(strs, argv, 64) X(u64, memory, ANY) X(u64, cpu, ANY) \
    X(u64, processes, ANY) X(u64, files, ANY) X(u64, file_size, ANY) X(u64, warn_ms, ANY) \
    X(u64, warn_signal, 255) X(u64, on, ANY) X(u64, required, ANY) X(strs, reads, 64) \
    X(strs, writes, 64) X(str, principal, LIMIT_SHORT) X(hash, signer, 0) \
    X(map, credentials, LIMIT_OUTPUTS) X(added_str, parameters, LIMIT_NAME) \
    X(added_bin, program, LIMIT_OUTPUTS)
/* How a try was run, for people; nothing is decided by it. groups: ids as text. environment: names;
   unnamed: so many did not fit. on: protections. timeout_ms to output_cap: 0: no limit. left:
   processes left over, left_names: of the first. read, written: bytes from and to disks. */
#define D_EXECUTION(X) \
    X(str, step, LIMIT_NAME) X(u64, try_no, LIMIT_TRIES) X(str, host, LIMIT_SHORT) \
    X(str, proxy, LIMIT_NAME) X(str, subsystem, LIMIT_NAME) X(u64, uid, ANY) X(u64, gid, ANY) \
    X(strs, groups, LIMIT_GROUPS) X(str, folder, LIMIT_PATH) X(strs, environment, LIMIT_VALUES) \
    X(u64, unnamed, ANY) X(strs, on, 32) X(u64, timeout_ms, ANY) X(u64, memory, ANY) \
    X(u64, cpu, ANY) X(u64, processes, ANY) X(u64, files, ANY) X(u64, file_size, ANY) \
    X(u64, output_cap, ANY) X(u64, left, ANY) X(strs, left_names, 16) X(u64, read, ANY) \
    X(u64, written, ANY) X(i64, handed_at, 0)
/* Of an attempt's tries: an execution each, in order. left_out: the first so many did not fit. */
#define D_EXECUTIONS(X) X(bins, tries, LIMIT_STEPS * LIMIT_TRIES) X(u64, left_out, ANY)
/* A compiled proxies.d/NAME.yaml. user: name or number; empty: the runner's own. group: empty: the
   user's. own_groups: all that the user is in, not `groups`. system_user: the file allows its user
   by name although it is one of the system. any_signer: all of trust/signers, not `signers`: a
   public key or a name each. Limits, protections and paths as in a context; 0: no limit.
   user_line and so on: where the file says it, for messages. */
#define D_PROXY(X) \
    X(str, name, LIMIT_NAME) X(str, description, LIMIT_TEXT) X(str, user, LIMIT_SHORT) \
    X(str, group, LIMIT_SHORT) X(flag, own_groups, 0) X(strs, groups, LIMIT_GROUPS) \
    X(flag, system_user, 0) X(strs, subsystems, 64) X(strs, principals, LIMIT_VALUES) \
    X(flag, any_signer, 0) X(strs, signers, LIMIT_VALUES) X(map, environment, LIMIT_OUTPUTS) \
    X(map, credentials, LIMIT_OUTPUTS) X(u64, timeout_ms, ANY) X(u64, output_cap, ANY) \
    X(u64, memory, ANY) X(u64, cpu, ANY) X(u64, processes, ANY) X(u64, files, ANY) \
    X(u64, file_size, ANY) X(u64, warn_ms, ANY) X(u64, warn_signal, 255) X(u64, on, ANY) \
    X(u64, required, ANY) X(strs, reads, 64) X(strs, writes, 64) X(u64, user_line, ANY) \
    X(u64, subsystems_line, ANY) X(u64, principals_line, ANY) X(u64, signers_line, ANY)
/* A subsystem: one that every server has, or a compiled subsystems.d/NAME.yaml. argv: the command
   before a package's entry; text_argv: before a step's text; empty: no step may have one. needs: as
   in D_RUNNABLE; exit_codes: an exit_code each, for codes of which the package says nothing.
   parameters: see trust/subsystem.h. */
#define D_SUBSYSTEM(X) \
    X(str, name, LIMIT_NAME) X(str, description, LIMIT_TEXT) X(strs, argv, 64) \
    X(strs, text_argv, 64) X(map, environment, LIMIT_OUTPUTS) X(strs, needs, LIMIT_NEEDS) \
    X(bins, exit_codes, 256) X(str, parameters, LIMIT_NAME)
/* means: in words, for the message of a failure */
#define D_EXIT_CODE(X) X(u64, code, 255) X(u64, package, 15) X(added_str, means, LIMIT_SHORT)
/* An installed package as it was left: a fingerprinted each. mode: with its type; changed: ctime in
   ns; hash: of the content, of a link's target, or of a folder's names. */
#define D_FINGERPRINT(X) X(bins, files, LIMIT_FINGERPRINTED)
#define D_FINGERPRINTED(X) \
    X(str, path, LIMIT_PATH) X(u64, mode, ANY) X(u64, size, ANY) X(u64, inode, ANY) \
    X(i64, changed, 0) X(hash, hash, 0)
/* An entry of the audit trail; trust/audit.h chains them. principal, role, key (transport), serial,
   address: who asked, and from where. decision: AUDIT_; code: of a denial or refusal. count: how
   often, since the last entry about the same. before, after: what the act has changed. */
#define D_AUDIT(X) \
    X(u64, number, ANY) X(i64, at, 0) X(str, principal, LIMIT_NAME) X(str, role, LIMIT_NAME) \
    X(hash, key, 0) X(u64, serial, ANY) X(str, address, LIMIT_SHORT) X(str, verb, LIMIT_NAME) \
    X(str, object, LIMIT_SHORT) X(u64, decision, 15) X(u64, code, 9999) X(u64, count, ANY) \
    X(str, reason, LIMIT_TEXT) X(str, before, LIMIT_TEXT) X(str, after, LIMIT_TEXT)
/* Kind "checkpoint", signed by the broker: entry `number` of its audit trail has this hash. seq:
   1, 2, ...; previous: BLAKE2b-256 of the signed checkpoint before, zero for the first. */
#define D_CHECKPOINT(X) \
    X(str, cluster, LIMIT_NAME) X(str, broker, LIMIT_NAME) X(u64, epoch, ANY) X(u64, seq, ANY) \
    X(u64, number, ANY) X(hash, hash, 0) X(i64, at, 0) X(hash, previous, 0)

/* Kind "secret": put to the servers of an address by a principal. version: counts up. remove: it is
   dropped. value: a nonce and, by crypto_secretbox with a key of its own, the padded value. sealed:
   a secret_box for each server that can open it. */
#define D_SECRET(X) \
    X(str, cluster, LIMIT_NAME) X(str, name, LIMIT_NAME) X(u64, version, ANY) \
    X(str, address, LIMIT_ADDRESS) X(str, by, LIMIT_NAME) X(flag, remove, 0) \
    X(i64, issued_at, 0) X(bin, value, LIMIT_SECRET_SEALED) X(bins, sealed, LIMIT_SERVERS)
/* key: that of `value`, sealed to this server's seal key. */
#define D_SECRET_BOX(X) X(str, server, LIMIT_NAME) X(hash, seal_key, 0) X(bin, key, 255)
/* document: the BLAKE2b-256 of the signed secret. */
#define D_SECRET_LISTED(X) X(str, name, LIMIT_NAME) X(hash, document, 0)
/* What a server keeps of a secret. */
#define D_SECRET_KEPT(X) X(bin, secret, LIMIT_SECRET) X(bin, certificate, LIMIT_CERTIFICATE)
/* A parameter of a step whose value only the keeper reads. declared: the parameter. secret: a
   secret without its boxes; key: from this server's. */
#define D_SECRET_USE(X) \
    X(bin, declared, LIMIT_MANIFEST) X(bin, secret, LIMIT_SECRET_SEALED * 2) X(bin, key, 255)
#define D_SECRET_USES(X) X(bins, uses, LIMIT_VALUES)

#define DOCUMENTS(M) \
    M(SIGNED, signed, 100) M(CERTIFICATE, certificate, 101) M(INVITATION, invitation, 102) \
    M(TOKEN, token, 103) M(REVOCATIONS, revocations, 104) M(CALL, call, 105) \
    M(PARENT, parent, 106) M(VERSION, version, 107) M(ATTESTED_JOB, attested_job, 108) \
    M(ATTESTED_PACKAGE, attested_package, 109) M(NEED, need, 110) M(DEPLOYMENT, deployment, 111) \
    M(DEPLOYED, deployed, 112) M(JOB, job, 113) M(STEP, step, 114) M(BINDING, binding, 115) \
    M(OUTCOME, outcome, 116) M(STEP_OUTCOME, step_outcome, 117) M(RUNNABLE, runnable, 118) \
    M(PARAMETER, parameter, 119) M(EXIT_CODE, exit_code, 120) M(RESULT, result, 121) \
    M(CONTEXT, context, 122) M(EXECUTION, execution, 123) M(ROTATION, rotation, 125) \
    M(PROXY, proxy, 126) M(SUBSYSTEM, subsystem, 127) M(EXECUTIONS, executions, 128) \
    M(AUDIT, audit, 130) M(CHECKPOINT, checkpoint, 131) M(FINGERPRINT, fingerprint, 134) \
    M(FINGERPRINTED, fingerprinted, 135) M(SECRET, secret, 140) M(SECRET_BOX, secret_box, 141) \
    M(SECRET_LISTED, secret_listed, 142) M(SECRET_KEPT, secret_kept, 143) \
    M(SECRET_USE, secret_use, 144) M(SECRET_USES, secret_uses, 145)

/* ======== The broker's journal. A record's number in the store (lsn) is its event's `seq`. */
/* a run begins. certificate: the caller's, as it was */
#define R_CALLED(X) \
    X(i64, at, 0) X(id, run, 0) X(str, principal, LIMIT_NAME) X(bin, call, LIMIT_CALL) \
    X(bin, certificate, LIMIT_CERTIFICATE) X(hash, digest, 0)
/* on_lost, lost_after_ms: as told to the server: never DEFAULT, never 0. boot, incarnation: as its
   HELLO said; incarnation empty: it said no process */
#define R_ASSIGNED(X) \
    X(i64, at, 0) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(str, server, LIMIT_NAME) \
    X(id, spool, 0) X(hash, job_hash, 0) X(u64, on_lost, 15) X(u64, lost_after_ms, ANY) \
    X(added_bin, boot, 16) X(added_bin, incarnation, 16)
#define R_STARTED(X) \
    X(i64, at, 0) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(str, step, LIMIT_NAME)
/* never started there: waits again */
#define R_RETURNED(X) \
    X(i64, at, 0) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(str, reason, LIMIT_TEXT)
/* refused by its server's own fault: waits again, and never goes back there */
#define R_DECLINED(X) X(i64, at, 0) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) \
    X(u64, code, 9999) X(str, text, LIMIT_TEXT)
/* asked for */
#define R_CANCELLED(X) \
    X(i64, at, 0) X(id, run, 0) X(str, by, LIMIT_NAME) X(flag, force, 0) \
    X(str, reason, LIMIT_TEXT)
/* then: the ON_LOST_ that acts */
#define R_LOST(X) \
    X(i64, at, 0) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(u64, then, 15)
#define R_RELEASED(X) \
    X(i64, at, 0) X(id, run, 0) X(str, by, LIMIT_NAME) X(str, how, LIMIT_NAME) \
    X(str, reason, LIMIT_TEXT)
/* of a backup that was put back: nobody knows what became of it. attempt: what its next ones go
   on from */
#define R_HELD(X) X(i64, at, 0) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS)
/* the counted outcome: nothing moves this run again. attempt 0: it never ran. reported: the outcome
   is its server's RESULT; else the broker's or an operator's word. The last two: as received */
#define R_ENDED(X) \
    X(i64, at, 0) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(str, server, LIMIT_NAME) \
    X(bin, outcome, LIMIT_OUTCOME) X(flag, reported, 0) \
    X(added_bin, signature, LIMIT_RESULT_SIGNATURE) X(added_bin, executions, LIMIT_EXECUTIONS)
/* what the store says at load of a run or parent that has ended, instead of its records */
#define R_KEPT(X) \
    X(i64, at, 0) X(id, run, 0) X(str, principal, LIMIT_NAME) X(str, key, LIMIT_KEY) \
    X(hash, digest, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(flag, reported, 0) X(flag, parent, 0)
/* a result that does not count. why: superseded, late. signature: as received */
#define R_EVIDENCE(X) \
    X(i64, at, 0) X(id, run, 0) X(u64, attempt, LIMIT_ATTEMPTS) X(str, server, LIMIT_NAME) \
    X(str, why, LIMIT_NAME) X(bin, outcome, LIMIT_OUTCOME) \
    X(added_bin, signature, LIMIT_RESULT_SIGNATURE)
#define R_PARENT_BEGUN(X) \
    X(i64, at, 0) X(id, run, 0) X(str, principal, LIMIT_NAME) X(bin, parent, LIMIT_CALL) \
    X(hash, digest, 0)
#define R_PARENT_DRIVEN(X) \
    X(i64, at, 0) X(id, run, 0) X(u64, epoch, ANY) X(str, principal, LIMIT_NAME)
#define R_PARENT_ENDED(X) X(i64, at, 0) X(id, run, 0) X(u64, status, 15) X(str, report, LIMIT_CALL)
/* a session came or went */
#define R_SERVER(X) \
    X(i64, at, 0) X(str, server, LIMIT_NAME) X(id, spool, 0) X(id, boot, 0) \
    X(str, software, LIMIT_SHORT) X(str, state, LIMIT_NAME)
/* a verb of an operator: drain, undrain, forget, ... */
#define R_OPERATED(X) \
    X(i64, at, 0) X(str, by, LIMIT_NAME) X(str, verb, LIMIT_NAME) X(str, target, LIMIT_SHORT) \
    X(str, reason, LIMIT_TEXT)
#define R_DEPLOYED(X) \
    X(i64, at, 0) X(str, by, LIMIT_NAME) X(bin, deployment, LIMIT_CERTIFICATE) X(u64, size, ANY)
#define R_ENROLLED(X) X(i64, at, 0) X(str, by, LIMIT_NAME) X(bin, certificate, LIMIT_CERTIFICATE)
#define R_REVOKED(X) X(i64, at, 0) X(str, by, LIMIT_NAME) X(bin, list, LIMIT_FRAME)
/* a secret was put or dropped. certificate: of who has signed it */
#define R_SECRET(X) \
    X(i64, at, 0) X(str, by, LIMIT_NAME) X(bin, secret, LIMIT_SECRET) \
    X(bin, certificate, LIMIT_CERTIFICATE)
/* a broker process began */
#define R_EPOCH(X) X(i64, at, 0) X(u64, epoch, ANY) X(str, software, LIMIT_SHORT)

#define RECORDS(M) \
    M(CALLED, called, 200) M(ASSIGNED, assigned, 201) M(STARTED, started, 202) \
    M(RETURNED, returned, 203) M(CANCELLED, cancelled, 204) M(LOST, lost, 205) \
    M(RELEASED, released, 206) M(ENDED, ended, 207) M(EVIDENCE, evidence, 208) M(KEPT, kept, 209) \
    M(PARENT_BEGUN, parent_begun, 210) M(PARENT_DRIVEN, parent_driven, 211) \
    M(PARENT_ENDED, parent_ended, 212) M(HELD, held, 213) M(DECLINED, declined, 214) \
    M(SERVER, server, 220) M(OPERATED, operated, 221) M(DEPLOYED, deployed, 222) \
    M(ENROLLED, enrolled, 223) M(REVOKED, revoked, 224) M(EPOCH, epoch, 225) \
    M(SECRET, secret, 228)

#endif
