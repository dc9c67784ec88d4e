/* messages.h - the structs, kinds and tables that schema.h stands for.
 *
 * For each row NAME of a family with prefix p (m, d, r, s; h for the frame head) there are
 *
 *   struct p_name            its fields; spans point into the decoded bytes
 *   KIND_P_NAME              its kind
 *   p_name_schema            const struct wire_schema
 *   p_name_encode(m, out)    see wire_encode
 *   p_name_decode(in, ret, err)
 *                            see wire_decode, newer = false
 */
#ifndef LB_PROTO_MESSAGES_H
#define LB_PROTO_MESSAGES_H

#include "proto/schema.h"

#define MESSAGES_FIELD(type, name, most) wire_c_##type name;

#define MESSAGES_DECLARE(prefix, FIELDS, name) \
    struct prefix##_##name { \
        FIELDS(MESSAGES_FIELD) \
    }; \
    extern const struct wire_schema prefix##_##name##_schema; \
    static inline void prefix##_##name##_encode(const struct prefix##_##name *m, struct buf *out) \
    { \
        wire_encode(&prefix##_##name##_schema, m, out); \
    } \
    static inline int prefix##_##name##_decode(struct span in, struct prefix##_##name *ret, \
                                               struct error *err) \
    { \
        return wire_decode(&prefix##_##name##_schema, in, false, ret, err); \
    }

#define X(UP, low, kind, from) MESSAGES_DECLARE(m, M_##UP, low)
MESSAGES(X)
#undef X
#define X(UP, low, kind) MESSAGES_DECLARE(d, D_##UP, low)
DOCUMENTS(X)
#undef X
#define X(UP, low, kind) MESSAGES_DECLARE(r, R_##UP, low)
RECORDS(X)
#undef X
#define X(UP, low, kind) MESSAGES_DECLARE(s, S_##UP, low)
SPOOLS(X)
#undef X
MESSAGES_DECLARE(h, H_FRAME, frame)

enum kind {
    KIND_H_FRAME = 0,
#define X(UP, low, kind, from) KIND_M_##UP = kind,
    MESSAGES(X)
#undef X
#define X(UP, low, kind) KIND_D_##UP = kind,
        DOCUMENTS(X)
#undef X
#define X(UP, low, kind) KIND_R_##UP = kind,
            RECORDS(X)
#undef X
#define X(UP, low, kind) KIND_S_##UP = kind,
                SPOOLS(X)
#undef X
};

enum { PROTO_MAJOR = 1, PROTO_MINOR = 0 };

/* Who may send a message: see MESSAGES in schema.h. */
enum sender { SENDER_C = 'C', SENDER_W = 'W', SENDER_B = 'B', SENDER_O = 'O' };

/* The schema of a kind, NULL: unknown. *ret_from (may be NULL): its sender, 0 for what is no
   message. */
const struct wire_schema *messages_schema_of_kind(uint64_t kind, enum sender *ret_from);
/* All schemas one after the other, for tables and tests: index 0.. until NULL. */
const struct wire_schema *messages_schema_at(unsigned index);

/* ---- Codes of REFUSED, ERROR and of the `refused` layer of an outcome: one table for programs and
   people. */
#define REFUSALS(X) \
    X(MALFORMED, 1, "malformed", "the message is not of the protocol's form") \
    X(TOO_LARGE, 2, "too_large", "a limit of the protocol is exceeded") \
    X(VERSION, 3, "version", "the two programs speak no common version of the protocol") \
    X(UNKNOWN_PRINCIPAL, 4, "unknown_principal", "the key has no certificate in this cluster") \
    X(REVOKED, 5, "revoked", "the certificate has been revoked") \
    X(EXPIRED_CERTIFICATE, 6, "expired_certificate", "the certificate is past its end") \
    X(DENIED, 7, "denied", "no grant of the principal covers this") \
    X(WRONG_ROLE, 8, "wrong_role", "this kind of principal may not send this message") \
    X(NOT_OPEN, 9, "not_open", "no session is open: HELLO comes first") \
    X(NAME_TAKEN, 10, "name_taken", "another spool is live under this server's name") \
    X(BUSY, 11, "busy", "too much is waiting; come back after retry_ms") \
    X(EXPIRED, 12, "expired", "the call is past its expiry") \
    X(CONFLICT, 13, "conflict", "the key is known with another body") \
    X(UNKNOWN_JOB, 14, "unknown_job", "no server of the address has this job") \
    X(UNKNOWN_ADDRESS, 15, "unknown_address", "no server or pool has this name") \
    X(UNKNOWN_RUN, 16, "unknown_run", "no run has this id") \
    X(BAD_SIGNATURE, 17, "bad_signature", "the signature does not match") \
    X(REPLAYED, 18, "replayed", "this attempt was seen before") \
    X(WRONG_JOB, 19, "wrong_job", "the job on the server is not the one that was signed") \
    X(BAD_PACKAGE, 20, "bad_package", \
      "the package is missing, altered, or signed by nobody this server trusts") \
    X(BAD_PARAMETERS, 21, "bad_parameters", \
      "a parameter is missing, unknown, or of the wrong type") \
    X(NO_PROXY, 22, "no_proxy", "the proxy does not exist or does not allow this") \
    X(START_FAILED, 23, "start_failed", "the child could not be started") \
    X(STATE, 24, "state", "not possible in the state that the thing is in") \
    X(EXISTS, 25, "exists", "there is already one of this name") \
    X(NO_SPACE, 26, "no_space", "a disk or quota is full") \
    X(INTERNAL, 27, "internal", "a defect of Longboat") \
    X(NOT_FOUND, 28, "not_found", "there is no such thing") \
    X(HELD_BY_OTHER, 29, "held_by_other", "another driver holds this parent") \
    X(BAD_ARGUMENT, 30, "bad_argument", "an argument of the request is wrong")
#define X(n, v, w, t) REFUSAL_##n = v,
enum refusal { REFUSAL_NONE = 0, REFUSALS(X) };
#undef X
const char *refusal_word(uint64_t code); /* "denied"; "?" if unknown */
const char *refusal_text(uint64_t code);

/* The declaration of this name in a list of d_parameter (d_runnable.parameters, d_runnable.outputs,
 * d_version.parameters). Malformed ones are skipped: whoever made the list has judged it. */
bool d_parameter_find(const struct wire_list *declared, struct span name, struct d_parameter *ret);

#endif
