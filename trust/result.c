/* result.c - see result.h. */
#include "trust/result.h"

#include <errno.h>
#include <string.h>

#include "proto/outcome.h"

int result_sign(const struct key *key, const char *signer, uint64_t serial,
                const struct d_result *results, size_t n, struct buf *outs, struct error *err)
{
    struct buf bodies[RESULT_BATCH_MAX] = {{0}};
    struct span spans[RESULT_BATCH_MAX] = {{0}};
    if (n > RESULT_BATCH_MAX)
        return error_set(err, -E2BIG, "cannot sign %zu results at once; at most %d are allowed", n,
                         RESULT_BATCH_MAX);
    for (size_t i = 0; i < n; i++) {
        d_result_encode(&results[i], &bodies[i]);
        spans[i] = buf_span(&bodies[i]);
    }
    int rc = batch_sign_kind(ENVELOPE_RESULT, true, key, signer, serial, spans, n, outs, err);
    for (size_t i = 0; i < n; i++)
        buf_free(&bodies[i]);
    return rc;
}

int result_signer(struct span signature, struct span *ret_name, uint64_t *ret_serial,
                  struct error *err)
{
    struct d_signed s;
    int rc = d_signed_decode(signature, &s, err);
    if (rc < 0)
        return error_prefix(err, ENVELOPE_RESULT);
    *ret_name = s.signer;
    *ret_serial = s.serial;
    return 0;
}

bool result_needs_signature(const struct d_outcome *o)
{
    return o->steps.count || o->outputs.count || o->job == JOB_SUCCEEDED || o->job == JOB_FAILED ||
           o->job == JOB_TIMED_OUT || o->package == PACKAGE_SUCCEEDED ||
           o->package == PACKAGE_FAILED;
}

int result_check_outcome(const struct d_outcome *o, struct error *err)
{
    if (o->delivery >= DELIVERY_COUNT || o->job >= JOB_COUNT || o->package >= PACKAGE_COUNT ||
        o->status >= STATUS_COUNT)
        return error_set(err, -EBADMSG, "the outcome has a layer of an unknown value");
    if (o->status != outcome_status(o->delivery, o->job, o->package))
        return error_set(err, -EBADMSG, "the outcome's status '%s' does not follow from its layers",
                         status_text(o->status));
    return 0;
}

static bool is_in_address(const struct certificate *server, struct span address)
{
    if (span_eq_str(address, "all") || span_eq_str(address, server->name))
        return true;
    for (size_t i = 0; i < server->n_pools; i++)
        if (span_eq_str(address, server->pools[i]))
            return true;
    return false;
}

static int check_server(const struct d_result *r, const struct certificate *c,
                        const struct result_scope *scope, struct error *err)
{
    if (c->role != ROLE_SERVER || !span_eq_str(r->server, c->name))
        return error_set(err, -EBADMSG, "it is signed with the certificate of %s '%s'",
                         role_word(c->role), c->name);
    if (!is_in_address(c, scope->address))
        return error_set(err, -EBADMSG,
                         "server '%s' is not in '" SPAN_FMT "', to which the call was addressed",
                         c->name, SPAN_ARG(scope->address));
    return 0;
}

static int check_operator(const struct d_outcome *o, const struct certificate *c,
                          const struct result_scope *scope, struct error *err)
{
    char job[LIMIT_JOB + 1], address[LIMIT_ADDRESS + 1];
    if (o->steps.count || o->outputs.count)
        return error_set(err, -EBADMSG,
                         "it names no server, and yet it has steps or outputs, which only a server "
                         "can know");
    span_copy_str(scope->job, job, sizeof job);
    span_copy_str(scope->address, address, sizeof address);
    if (grant_check(c, VERB_OPERATE, job, address, scope->pools, scope->n_pools, err) < 0) {
        if (err)
            err->code = -EBADMSG;
        return -EBADMSG;
    }
    return 0;
}

int result_verify(const struct d_result *result, const struct d_outcome *o, struct span signature,
                  const struct certificate *signer, const struct result_scope *scope,
                  struct error *err)
{
    struct buf body = {0};
    struct d_signed s;
    int rc = result_check_outcome(o, err);
    if (rc == 0)
        rc = result->server.n ? check_server(result, signer, scope, err)
                              : check_operator(o, signer, scope, err);
    if (rc < 0)
        return rc;
    d_result_encode(result, &body);
    struct span made = buf_span(&body);
    rc = batch_open_kind(ENVELOPE_RESULT, signature, &made, &signer->sign_key, scope->roots, &s,
                         err);
    if (rc == 0)
        rc = certificate_check_signer(signer, ENVELOPE_RESULT, &s, err);
    buf_free(&body);
    return rc;
}
