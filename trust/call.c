/* call.c - see call.h. */
#include "trust/call.h"

#include <errno.h>
#include <string.h>

#include "trust/names.h"
#include "trust/refuse.h"

/* what d_signed adds: a proof of LIMIT_PROOF hashes, signature, key, names */
enum { ENVELOPE_ROOM = 2048 };

/* The rules for a well-formed call, the same for the caller who signs and for all who verify. */
static int check_form(const struct d_call *c, enum refusal *ret_code, struct error *err)
{
    if (!name_is_good(c->cluster) || !name_is_good(c->caller))
        return refuse(ret_code, REFUSAL_MALFORMED, err,
                      "a call has an invalid name of a cluster or caller");
    if (c->key.n == 0)
        return refuse(ret_code, REFUSAL_MALFORMED, err, "a call has no key");
    if (!names_job_is_good(c->job))
        return refuse(
            ret_code, REFUSAL_MALFORMED, err,
            "call '" SPAN_FMT "': '" SPAN_FMT
            "' is not a job name: lower-case letters, digits, '_' and '-', a letter first",
            SPAN_ARG(c->key), SPAN_ARG(c->job));
    if (!names_address_is_good(c->address))
        return refuse(ret_code, REFUSAL_MALFORMED, err,
                      "call '" SPAN_FMT "': '" SPAN_FMT
                      "' is not an address: the name of a server or pool, or 'all'",
                      SPAN_ARG(c->key), SPAN_ARG(c->address));
    if (c->pin_latest != hash_is_zero(&c->job_hash))
        return refuse(ret_code, REFUSAL_MALFORMED, err,
                      "call '" SPAN_FMT "' must have either the hash of its job or `pin: latest`",
                      SPAN_ARG(c->key));
    if (!names_as_of_is_good(c->as_of))
        return refuse(ret_code, REFUSAL_MALFORMED, err,
                      "call '" SPAN_FMT "': its as_of must be a day, such as 2026-11-21, or a time "
                      "with its offset, such as 2026-11-21T09:13:55Z",
                      SPAN_ARG(c->key));
    if (c->expires <= 0)
        return refuse(ret_code, REFUSAL_MALFORMED, err,
                      "call '" SPAN_FMT "' has no end: set `expires`", SPAN_ARG(c->key));
    return 0;
}

/* wire_encode asserts on text that is too long: here the text comes from a person. */
static int check_lengths(const struct d_call *c, struct error *err)
{
    if (c->key.n > LIMIT_KEY)
        return error_set(err, -EINVAL, "a call's key of %zu bytes is longer than %d", c->key.n,
                         LIMIT_KEY);
    if (c->parameters.items.n > LIMIT_PARAMETERS || c->parameters.count > LIMIT_VALUES)
        return error_set(
            err, -EINVAL, "a call has %u parameters of %zu bytes; the limits are %d and %d",
            c->parameters.count, c->parameters.items.n, LIMIT_VALUES, LIMIT_PARAMETERS);
    if (c->priority > 9)
        return error_set(err, -EINVAL, "priority %llu is above 9", (unsigned long long)c->priority);
    if (c->task.n > LIMIT_NAME || c->index > LIMIT_TASKS || c->try_no > LIMIT_TRIES ||
        c->semaphores.count > LIMIT_POOLS || c->on_lost > 15)
        return error_set(err, -EINVAL,
                         "a call's task, index, try, semaphores or on_lost exceeds its limit");
    return 0;
}

int call_encode(const struct d_call *call, struct buf *out, struct error *err)
{
    int rc = 0;
    if (check_form(call, NULL, err) < 0 || check_lengths(call, err) < 0) {
        if (err)
            err->code = -EINVAL;
        return -EINVAL;
    }
    size_t was = out->n;
    d_call_encode(call, out);
    if (out->n - was > LIMIT_CALL - ENVELOPE_ROOM) {
        rc = error_set(err, -EINVAL, "a call has %zu bytes; the limit is %d", out->n - was,
                       LIMIT_CALL - ENVELOPE_ROOM);
        out->n = was;
    }
    return rc;
}

int call_sign(const struct d_call *call, const struct key *key, const char *signer, uint64_t serial,
              struct buf *out, struct error *err)
{
    struct buf body = {0};
    int rc = call_encode(call, &body, err);
    if (rc == 0)
        rc = envelope_sign(ENVELOPE_CALL, key, signer, serial, buf_span(&body), out, err);
    buf_free(&body);
    return rc;
}

void call_digest(struct span body, struct hash *ret)
{
    envelope_hash(body, ret);
}

static int check_caller(const struct d_call *c, const struct certificate *caller,
                        const struct call_scope *scope, enum refusal *ret_code, struct error *err)
{
    if (!span_eq_str(c->cluster, scope->cluster) || strcmp(caller->cluster, scope->cluster) != 0)
        return refuse(ret_code, REFUSAL_UNKNOWN_PRINCIPAL, err,
                      "call '" SPAN_FMT "' of '%s' is for cluster '" SPAN_FMT "'; this is '%s'",
                      SPAN_ARG(c->key), caller->name, SPAN_ARG(c->cluster), scope->cluster);
    if (!span_eq_str(c->caller, caller->name))
        return refuse(ret_code, REFUSAL_BAD_SIGNATURE, err,
                      "call '" SPAN_FMT "' names '" SPAN_FMT "' as its caller, but '%s' signed it",
                      SPAN_ARG(c->key), SPAN_ARG(c->caller), caller->name);
    return 0;
}

/* Others may hold a key that has grants by mistake; what they are for does not include calls. */
static int check_role(const struct certificate *caller, enum refusal *ret_code, struct error *err)
{
    if (caller->role == ROLE_CALLER || caller->role == ROLE_ADMINISTRATOR)
        return 0;
    return refuse(ret_code, REFUSAL_DENIED, err,
                  "'%s' is a %s; only callers and administrators may call", caller->name,
                  role_word(caller->role));
}

static int check_time(const struct d_call *c, const struct certificate *caller,
                      const struct call_scope *scope, enum refusal *ret_code, struct error *err)
{
    if (scope->now >= c->expires)
        return refuse(ret_code, REFUSAL_EXPIRED, err,
                      "call '" SPAN_FMT "' of '%s' expired %lld seconds ago", SPAN_ARG(c->key),
                      caller->name, (long long)((scope->now - c->expires) / 1000));
    if (scope->now >= caller->not_after)
        return refuse(
            ret_code, REFUSAL_EXPIRED_CERTIFICATE, err,
            "the certificate of '%s' expired %lld minutes ago. An administrator can run: lbctl "
            "certificates renew %s",
            caller->name, (long long)((scope->now - caller->not_after) / 60000), caller->name);
    return 0;
}

int call_verify(struct span bytes, const struct certificate *caller, const struct call_scope *scope,
                struct d_call *ret, struct hash *ret_digest, enum refusal *ret_code,
                struct error *err)
{
    struct d_signed s;
    struct d_call c;
    if (bytes.n > LIMIT_CALL)
        return refuse(ret_code, REFUSAL_TOO_LARGE, err, "a call has %zu bytes; the limit is %d",
                      bytes.n, LIMIT_CALL);
    int rc = certificate_open(caller, ENVELOPE_CALL, bytes, scope->roots, &s, err);
    if (rc < 0 || (rc = d_call_decode(s.body, &c, err)) < 0)
        return refuse_as(ret_code, rc);
    if ((rc = check_form(&c, ret_code, err)) < 0 ||
        (rc = check_caller(&c, caller, scope, ret_code, err)) < 0 ||
        (rc = check_role(caller, ret_code, err)) < 0 ||
        (rc = check_time(&c, caller, scope, ret_code, err)) < 0)
        return rc;
    char job[LIMIT_JOB + 1], address[LIMIT_ADDRESS + 1];
    span_copy_str(c.job, job, sizeof job);
    span_copy_str(c.address, address, sizeof address);
    if ((rc = grant_check(caller, VERB_CALL, job, address, scope->pools, scope->n_pools, err)) < 0)
        return refuse_as(ret_code, rc);
    if (ret_digest)
        call_digest(s.body, ret_digest);
    *ret = c;
    return 0;
}
