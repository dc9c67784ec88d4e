/* evidence.c - see evidence.h. */
#include "trust/evidence.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/outcome.h"
#include "trust/audit.h"
#include "trust/call.h"
#include "trust/revocation.h"

/* What one check leaves for those after it. */
struct evidence_check {
    const struct evidence_bundle *e;
    const struct trust_anchors *anchors;
    evidence_say *say;
    void *self;
    bool good; /* so far */
    bool called, ended;
    struct certificate caller, signer, broker;
    struct d_call call;
    struct hash digest;
    struct d_outcome outcome;
};

static void tell(struct evidence_check *c, const char *part, bool good, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void tell(struct evidence_check *c, const char *part, bool good, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->good &= good;
    if (c->say)
        c->say(c->self, part, good, text);
}

static bool is_there(struct evidence_check *c, const char *part, struct span document)
{
    if (document.n)
        return true;
    tell(c, part, false, "it is missing");
    return false;
}

/* ---- Certificates */

static bool open_certificate(struct evidence_check *c, const char *part, struct span bytes,
                             int64_t at, struct certificate *ret)
{
    struct error err = {0};
    char key[KEY_SHORT_TEXT];
    if (!is_there(c, part, bytes))
        return false;
    if (certificate_verify(bytes, c->anchors, at, ret, NULL, &err) < 0) {
        tell(c, part, false, "%s", err.text);
        return false;
    }
    tell(c, part, true, "%s '%s', serial %llu, key %s", role_word(ret->role), ret->name,
         (unsigned long long)ret->serial, key_short(&ret->sign_key, key));
    return true;
}

/* When it begins: a broker's certificate may be younger than the run. */
static int64_t beginning_of(struct span certificate)
{
    struct d_signed s;
    struct d_certificate d;
    if (d_signed_decode(certificate, &s, NULL) < 0 || d_certificate_decode(s.body, &d, NULL) < 0)
        return 0;
    return d.not_before;
}

/* ---- What was asked for */

static void check_call(struct evidence_check *c)
{
    struct error err = {0};
    struct d_signed s;
    const struct evidence_bundle *e = c->e;
    if (!is_there(c, "call", e->call))
        return;
    if (d_signed_decode(e->call, &s, &err) < 0 || d_call_decode(s.body, &c->call, &err) < 0) {
        tell(c, "call", false, "%s", err.text);
        return;
    }
    if (!open_certificate(c, "caller_certificate", e->caller_certificate, c->call.issued_at,
                          &c->caller))
        return;
    /* a call to one server may rest on a grant for one of its pools */
    struct certificate server = {0};
    certificate_verify(e->signer_certificate, c->anchors, c->call.issued_at, &server, NULL, NULL);
    const bool to_server = span_eq_str(c->call.address, server.name);
    const struct call_scope scope = {.cluster = c->anchors->cluster,
                                     .now = c->call.issued_at,
                                     .pools = (const char *const *)server.pools,
                                     .n_pools = to_server ? server.n_pools : 0};
    if (call_verify(e->call, &c->caller, &scope, &c->call, &c->digest, NULL, &err) < 0) {
        tell(c, "call", false, "%s", err.text);
    } else {
        c->called = true;
        tell(c, "call", true,
             "'" SPAN_FMT "' signed it: job " SPAN_FMT " at " SPAN_FMT ", key '" SPAN_FMT "'",
             SPAN_ARG(c->call.caller), SPAN_ARG(c->call.job), SPAN_ARG(c->call.address),
             SPAN_ARG(c->call.key));
    }
    certificate_free(&server);
}

/* ---- How it ended */

static void check_outcome(struct evidence_check *c)
{
    struct error err = {0};
    const struct d_outcome *o = &c->outcome;
    if (!is_there(c, "outcome", c->e->outcome))
        return;
    if (d_outcome_decode(c->e->outcome, &c->outcome, &err) < 0 ||
        result_check_outcome(&c->outcome, &err) < 0) {
        tell(c, "outcome", false, "%s", err.text);
        return;
    }
    if (c->called && !c->call.pin_latest && !hash_is_zero(&o->job_hash) &&
        !hash_eq(&o->job_hash, &c->call.job_hash)) {
        tell(c, "outcome", false, "another version of the job ran than the call names");
        return;
    }
    c->ended = true;
    tell(c, "outcome", true, "%s: delivery %s, job %s, package %s", status_text(o->status),
         delivery_text(o->delivery), job_outcome_text(o->job), package_outcome_text(o->package));
}

static int64_t ended_at(const struct evidence_check *c)
{
    const struct d_outcome *o = &c->outcome;
    return o->ended_at ? o->ended_at : o->called_at ? o->called_at : c->call.issued_at;
}

static void check_signature(struct evidence_check *c)
{
    const struct evidence_bundle *e = c->e;
    struct error err = {0};
    char id[ID_TEXT];
    if (!e->signature.n) {
        tell(c, "signature", false,
             !c->ended || result_needs_signature(&c->outcome)
                 ? "it is missing"
                 : "there is none: this outcome is the broker's own word, which nothing proves");
        return;
    }
    /* the outcome's time is believed only once its signature is */
    if (!open_certificate(c, "signer_certificate", e->signer_certificate,
                          beginning_of(e->signer_certificate), &c->signer))
        return;
    if (!c->called || !c->ended) {
        tell(c, "signature", false, "it cannot be checked without the call and the outcome");
        return;
    }
    const struct d_result r = {.cluster = span_str(c->anchors->cluster),
                               .server = e->server,
                               .run = e->run,
                               .attempt = e->attempt,
                               .call = c->digest,
                               .outcome = e->outcome};
    const struct result_scope scope = {.job = c->call.job, .address = c->call.address};
    if (result_verify(&r, &c->outcome, e->signature, &c->signer, &scope, &err) < 0)
        tell(c, "signature", false, "%s", err.text);
    else if (ended_at(c) < c->signer.not_before - CLOCK_SKEW_MS ||
             ended_at(c) >= c->signer.not_after)
        tell(c, "signer_certificate", false, "it was not valid when the run ended");
    else
        tell(c, "signature", true,
             "'%s' signed this outcome for run %s, attempt %llu, of this call", c->signer.name,
             id_format(e->run, id), (unsigned long long)e->attempt);
}

/* ---- What stands around it */

static void check_broker(struct evidence_check *c)
{
    const struct evidence_bundle *e = c->e;
    const char *part = "broker_certificate";
    if (e->broker_certificate.n &&
        open_certificate(c, part, e->broker_certificate, beginning_of(e->broker_certificate),
                         &c->broker) &&
        c->broker.role != ROLE_BROKER)
        tell(c, part, false, "it is of a %s, not of a broker", role_word(c->broker.role));
}

/* It says which audit trail there was when this was handed out; the trail must hold it for ever. */
static void check_checkpoint(struct evidence_check *c)
{
    const struct evidence_bundle *e = c->e;
    struct d_checkpoint d;
    struct error err = {0};
    if (!e->checkpoint.n)
        return;
    if (!e->broker_certificate.n)
        tell(c, "checkpoint", false, "the broker's certificate, which verifies it, is missing");
    else if (audit_checkpoint_open(e->checkpoint, e->broker_certificate, c->anchors, &d, &err) < 0)
        tell(c, "checkpoint", false, "%s", err.text);
    else
        tell(c, "checkpoint", true,
             "the broker '" SPAN_FMT "' signed it: number %llu, at entry %llu of the audit trail",
             SPAN_ARG(d.broker), (unsigned long long)d.seq, (unsigned long long)d.number);
}

static void check_revoked(struct evidence_check *c, const struct revocations *list,
                          const struct certificate *who)
{
    if (*who->name && revocations_contain(list, who->serial))
        tell(c, "revocations", false,
             "the certificate of '%s' (serial %llu) is revoked: whoever has its key may have made "
             "this",
             who->name, (unsigned long long)who->serial);
}

/* One more list: it is the one that counts if it is newer. */
static void offer_list(struct evidence_check *c, struct revocations *list, const char **from,
                       const struct evidence_list *offered)
{
    struct error err = {0};
    enum refusal code = REFUSAL_NONE;
    int rc = revocations_take(list, offered->list, c->anchors, &code, &err);
    if (rc > 0)
        *from = offered->from;
    else if (rc < 0 && code != REFUSAL_REPLAYED)
        tell(c, "revocations", false, "the list in %s: %s", offered->from, err.text);
}

static void check_revocations(struct evidence_check *c)
{
    const struct evidence_bundle *e = c->e;
    struct revocations list = {0};
    const char *from = "the evidence";
    if (e->revocations.n)
        offer_list(c, &list, &from, &(struct evidence_list){from, e->revocations});
    for (unsigned i = 0; i < e->n_lists; i++)
        offer_list(c, &list, &from, &e->lists[i]);
    if (list.number)
        tell(c, "revocations", true, "list %llu, from %s, %zu certificates",
             (unsigned long long)list.number, from, list.n);
    check_revoked(c, &list, &c->caller);
    check_revoked(c, &list, &c->signer);
    check_revoked(c, &list, &c->broker);
    revocations_free(&list);
}

bool evidence_verify(const struct evidence_bundle *e, const struct trust_anchors *anchors,
                     evidence_say *say, void *self)
{
    struct evidence_check c = {.e = e, .anchors = anchors, .say = say, .self = self, .good = true};
    check_call(&c);
    check_outcome(&c);
    check_signature(&c);
    check_broker(&c);
    check_checkpoint(&c);
    check_revocations(&c);
    certificate_free(&c.caller);
    certificate_free(&c.signer);
    certificate_free(&c.broker);
    return c.good;
}
