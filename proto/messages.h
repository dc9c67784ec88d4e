/* messages.h - the structs, kinds and tables that schema.h and schemaspool.h stand for.
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
#include "proto/schemaspool.h"

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

enum { PROTO_MAJOR = 1, PROTO_MINOR = 2 };

/* How many fields a message has in version PROTO_MAJOR.`minor`: what came later is left out towards
 * a peer of that version. */
unsigned messages_fields(const struct wire_schema *s, uint64_t minor);
/* The message for, or from, a peer of another minor version: without the fields that the older of
 * the two does not know. As wire_fit; unknown kinds stay as they are. */
struct span messages_fit(uint64_t kind, uint64_t minor, struct span message, struct buf *scratch);

/* Who may send a message: see MESSAGES in schema.h. */
enum sender { SENDER_C = 'C', SENDER_W = 'W', SENDER_B = 'B', SENDER_O = 'O' };

/* The schema of a kind, NULL: unknown. *ret_from (may be NULL): its sender, 0 if it is not a
 * message. */
const struct wire_schema *messages_schema_of_kind(uint64_t kind, enum sender *ret_from);
/* All schemas one after the other, for tables and tests: index 0.. until NULL. */
const struct wire_schema *messages_schema_at(unsigned index);

/* ---- Codes of REFUSED, ERROR and of the `refused` layer of an outcome: one table for programs and
   people. Its third column says what a client does about a code, as PROTOCOL.md explains. */
#define REFUSALS(X) \
    X(MALFORMED, 1, FINAL, "malformed", "the message does not match its schema") \
    X(TOO_LARGE, 2, FINAL, "too_large", "a limit of the protocol is exceeded") \
    X(VERSION, 3, FINAL, "version", "the two programs share no version of the protocol") \
    X(UNKNOWN_PRINCIPAL, 4, FINAL, "unknown_principal", \
      "the key has no certificate in this cluster") \
    X(REVOKED, 5, FINAL, "revoked", "the certificate is revoked") \
    X(EXPIRED_CERTIFICATE, 6, SIGN_AGAIN, "expired_certificate", \
      "the certificate has expired; renew it first") \
    X(DENIED, 7, FINAL, "denied", "no grant of the principal covers this") \
    X(WRONG_ROLE, 8, FINAL, "wrong_role", "this kind of principal may not send this message") \
    X(NOT_OPEN, 9, RECONNECT, "not_open", "no session is open: HELLO comes first") \
    X(NAME_TAKEN, 10, FINAL, "name_taken", \
      "the name belongs to another key, or another worker uses it") \
    X(BUSY, 11, RETRY, "busy", "too much is queued; try again after retry_ms") \
    X(EXPIRED, 12, SIGN_AGAIN, "expired", "the call has expired") \
    X(CONFLICT, 13, FINAL, "conflict", "this key was used before with a different body") \
    X(UNKNOWN_JOB, 14, SIGN_AGAIN, "unknown_job", "the server no longer has this job") \
    X(UNKNOWN_ADDRESS, 15, FINAL, "unknown_address", "no server or pool has this name") \
    X(UNKNOWN_RUN, 16, FINAL, "unknown_run", "no run that you may see has this id") \
    X(BAD_SIGNATURE, 17, FINAL, "bad_signature", "the signature does not match") \
    X(REPLAYED, 18, FINAL, "replayed", "this attempt was seen before") \
    X(WRONG_JOB, 19, SIGN_AGAIN, "wrong_job", \
      "the server has another version of the job than was signed") \
    X(BAD_PACKAGE, 20, FINAL, "bad_package", \
      "the package is missing, altered, or its signer is not trusted") \
    X(BAD_PARAMETERS, 21, FINAL, "bad_parameters", \
      "a parameter is missing, unknown, or of the wrong type") \
    X(NO_PROXY, 22, FINAL, "no_proxy", "the proxy does not exist or does not allow this") \
    X(START_FAILED, 23, FINAL, "start_failed", "the child could not be started") \
    X(STATE, 24, FINAL, "state", "not possible in the current state") \
    X(EXISTS, 25, FINAL, "exists", "one with this name already exists") \
    X(NO_SPACE, 26, FINAL, "no_space", "a disk or quota is full") \
    X(INTERNAL, 27, FINAL, "internal", "a bug in Longboat") \
    X(NOT_FOUND, 28, FINAL, "not_found", "nothing with this name exists") \
    X(HELD_BY_OTHER, 29, RETRY, "held_by_other", "another driver holds this parent") \
    X(BAD_ARGUMENT, 30, FINAL, "bad_argument", "an argument of the request is invalid") \
    X(KEY_TAKEN, 31, FINAL, "key_taken", "the key belongs to a principal or an invitation") \
    X(NO_SECRET, 33, FINAL, "no_secret", "the server cannot open a secret that the step names")
#define X(n, v, remedy, w, t) REFUSAL_##n = v,
enum refusal { REFUSAL_NONE = 0, REFUSALS(X) };
#undef X
const char *refusal_word(uint64_t code); /* "denied"; "?" if unknown */
const char *refusal_text(uint64_t code);

/* Whose fault is it that a server has refused a run? */
enum refusal_fault {
    REFUSAL_OF_CALL,   /* the call's: it would be refused everywhere */
    REFUSAL_OF_SERVER, /* the server's, or between it and this caller: others may take the run */
    REFUSAL_OF_JOB     /* the server's, for every run of this job */
};
enum refusal_fault refusal_fault(uint64_t code);

/* May this value go into a child's environment, or need it not? Sensitive ones never go there; what
 * is longer than LIMIT_PARAMETER_ENV only if its reader takes it from the file. -EMSGSIZE: no.
 * p NULL: nobody has declared it. */
#define PARAMETER_FROM_FILE "file" /* d_parameter.read_from */
int d_parameter_fits(const struct d_parameter *p, struct span name, const struct value *v,
                     struct error *err);

/* The declaration of this name in a list of d_parameter (d_runnable.parameters, d_runnable.outputs,
 * d_version.parameters). Malformed ones are skipped: the maker of the list has already checked
 * them. */
bool d_parameter_find(const struct wire_list *declared, struct span name, struct d_parameter *ret);

#endif
