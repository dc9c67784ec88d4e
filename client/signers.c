/* signers.c - the certificates of those who sign results, and whether a result is its server's.
 *
 * A certificate is asked for once in a connection: with the call, if its address has few servers,
 * else when the first result names it. It is verified with the administrators' keys, so it does not
 * matter who hands it out. */
#include "client/inner.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "trust/call.h"

enum {
    EXPECTED_MAX = 8,   /* servers of an address whose certificates are asked for with the call */
    SIGNERS_MAX = 4096, /* certificates kept; beyond it the oldest is asked for again */
    SIGNER_KEY = LIMIT_NAME + 24
};

/* One certificate. serial 0: the newest of this name, while it is asked for. */
struct signer {
    char key[SIGNER_KEY]; /* name/serial */
    struct longboat *lb;
    char name[LIMIT_NAME + 1];
    uint64_t serial, req; /* req not 0: asked and not answered */
    bool known;
    struct certificate certificate;
    struct error why; /* answered, and there is none that verifies */
    struct loop_timer retry;
    UT_hash_handle hh;
};

static char *key_of(struct span name, uint64_t serial, char out[SIGNER_KEY])
{
    snprintf(out, SIGNER_KEY, "%.*s/%llu", (int)(name.n < LIMIT_NAME ? name.n : LIMIT_NAME),
             (const char *)name.p, (unsigned long long)serial);
    return out;
}

static struct signer *find(const struct longboat *lb, struct span name, uint64_t serial)
{
    char key[SIGNER_KEY];
    struct signer *s;
    HASH_FIND_STR(lb->signers, key_of(name, serial, key), s);
    return s;
}

static void signer_free(struct signer *s)
{
    HASH_DEL(s->lb->signers, s);
    loop_timer_stop(s->lb->loop, &s->retry);
    certificate_free(&s->certificate);
    mem_free(&s);
}

void signers_free_all(struct longboat *lb)
{
    while (lb->signers)
        signer_free(lb->signers);
}

static void forget_oldest(struct longboat *lb)
{
    for (struct signer *s = lb->signers; s && HASH_COUNT(lb->signers) >= SIGNERS_MAX;) {
        struct signer *next = s->hh.next;
        if (!s->req)
            signer_free(s);
        s = next;
    }
}

static struct signer *add(struct longboat *lb, struct span name, uint64_t serial)
{
    forget_oldest(lb);
    struct signer *s = mem_zalloc(1, sizeof *s);
    s->lb = lb;
    span_copy_str(name, s->name, sizeof s->name);
    s->serial = serial;
    key_of(name, serial, s->key);
    HASH_ADD_STR(lb->signers, key, s);
    return s;
}

/* ---- Asking */

static void ask(struct signer *s);

static void on_retry(struct loop *l, struct loop_timer *t, void *arg)
{
    (void)l;
    (void)t;
    ask(arg);
}

static int read_answer(const struct signer *s, uint64_t kind, struct span message,
                       struct certificate *ret, struct error *err)
{
    struct m_certificates m;
    struct m_error refused;
    struct span bytes;
    if (kind == KIND_M_ERROR &&
        longboat_decode(s->lb, &m_error_schema, message, &refused, err) == 0)
        return request_error(&refused, err);
    if (kind != KIND_M_CERTIFICATES ||
        longboat_decode(s->lb, &m_certificates_schema, message, &m, NULL) < 0)
        return error_set(err, -EPROTO, "malformed reply to CERTIFICATE");
    struct wire_iter it = wire_iter(&m.certificates);
    if (!wire_next(&it, &bytes))
        return error_set(err, -ENOENT, "the broker has no certificate of '%s' (serial %llu)",
                         s->name, (unsigned long long)s->serial);
    struct certificate c = {0};
    int rc = certificate_verify(bytes, &s->lb->config.anchors, clock_wall_ms(), &c, NULL, err);
    if (rc == 0 && (strcmp(c.name, s->name) != 0 || (s->serial != 0 && c.serial != s->serial))) {
        rc =
            error_set(err, -EBADMSG,
                      "instead of the certificate of '%s' (serial %llu) the broker gave that of "
                      "'%s' (serial %llu)",
                      s->name, (unsigned long long)s->serial, c.name, (unsigned long long)c.serial);
        certificate_free(&c);
    }
    if (rc == 0)
        *ret = c;
    return rc;
}

static void keep(struct longboat *lb, struct certificate *c)
{
    struct signer *s = find(lb, span_str(c->name), c->serial);
    if (!s)
        s = add(lb, span_str(c->name), c->serial);
    certificate_free(&s->certificate);
    s->certificate = *c;
    s->known = true;
}

/* What waits is judged; a certificate that did not come is asked for again when another result
   needs it. */
static bool take_answer(void *self, uint64_t kind, struct span message)
{
    struct signer *s = self;
    struct longboat *lb = s->lb;
    struct certificate c = {0};
    struct m_error refused = {0};
    if (kind == KIND_M_ERROR)
        longboat_decode(lb, &m_error_schema, message, &refused, NULL);
    if (refused.code == REFUSAL_BUSY) {
        loop_timer_set(lb->loop, &s->retry, "client.signer",
                       client_busy_until(lb, refused.retry_ms), on_retry, s);
        return false;
    }
    s->req = 0;
    const bool has = read_answer(s, kind, message, &c, &s->why) == 0;
    const bool done = !has || s->serial == 0;
    char name[LIMIT_NAME + 1];
    const uint64_t serial = s->serial;
    strcpy(name, s->name);
    if (has && s->serial == 0)
        signer_free(s);
    if (has)
        keep(lb, &c);
    call_signer_known(lb);
    s = done ? find(lb, span_str(name), serial) : NULL;
    if (s && !s->req && !s->known)
        signer_free(s);
    return false;
}

static void ask(struct signer *s)
{
    struct buf message = {0};
    struct m_certificate m = {.req = s->req, .name = span_str(s->name), .serial = s->serial};
    m_certificate_encode(&m, &message);
    longboat_request(s->lb, s->req, buf_span(&message), take_answer, s, NULL);
    buf_free(&message);
}

static void ask_first(struct longboat *lb, struct span name, uint64_t serial)
{
    struct signer *s = add(lb, name, serial);
    s->req = longboat_req(lb);
    ask(s);
}

static const struct signer *newest(const struct longboat *lb, struct span name)
{
    const struct signer *best = NULL;
    for (const struct signer *s = lb->signers; s; s = s->hh.next)
        if (s->known && span_eq_str(name, s->name) && (!best || s->serial > best->serial))
            best = s;
    return best;
}

void signers_expect(struct longboat *lb, const char *const *servers, uint32_t n)
{
    if (n > EXPECTED_MAX)
        return;
    for (uint32_t i = 0; i < n; i++)
        if (!find(lb, span_str(servers[i]), 0) && !newest(lb, span_str(servers[i])))
            ask_first(lb, span_str(servers[i]), 0);
}

int longboat_sign_release(struct longboat *lb, const struct id *run, uint64_t attempt,
                          struct span call, struct span outcome, struct buf *out, struct error *err)
{
    const struct certificate *me = &lb->config.me;
    struct d_result r = {
        .cluster = span_str(me->cluster), .run = *run, .attempt = attempt, .outcome = outcome};
    call_digest(call, &r.call);
    return result_sign(&lb->config.key, me->name, me->serial, &r, 1, out, err);
}

/* ---- Judging */

static enum signers_verdict judge_unsigned(const struct call *c, const struct d_outcome *o,
                                           struct error *why)
{
    if (!result_needs_signature(o) || c->lb->config.accept_unsigned)
        return SIGNERS_GOOD;
    error_set(
        why, -EBADMSG,
        "it has no signature. If the server is of a version that cannot sign yet, upgrade it, "
        "or take its word with `unsigned_results: accept` in client.yaml until then");
    return SIGNERS_BAD;
}

static enum signers_verdict judge_signed(const struct call *c, const struct m_run_ended *m,
                                         const struct d_outcome *o, const struct certificate *by,
                                         struct error *why)
{
    struct longboat *lb = c->lb;
    const struct signer *server = newest(lb, span_str(c->address));
    const struct d_result r = {.cluster = span_str(lb->config.me.cluster),
                               .server = m->server,
                               .run = m->run,
                               .attempt = m->attempt,
                               .call = c->digest,
                               .outcome = m->outcome};
    const struct result_scope scope = {
        .job = span_str(c->job),
        .address = span_str(c->address),
        .pools = server ? (const char *const *)server->certificate.pools : NULL,
        .n_pools = server ? server->certificate.n_pools : 0,
        .roots = &lb->roots};
    if (revocations_contain(&lb->revoked, by->serial) || by->not_after <= clock_wall_ms()) {
        error_set(why, -EBADMSG, "the certificate of '%s' (serial %llu) %s", by->name,
                  (unsigned long long)by->serial,
                  by->not_after <= clock_wall_ms() ? "has expired" : "has been revoked");
        return SIGNERS_BAD;
    }
    return result_verify(&r, o, m->signature, by, &scope, why) == 0 ? SIGNERS_GOOD : SIGNERS_BAD;
}

/* Before anyone is asked for a certificate. */
static int check_claim(const struct call *c, const struct m_run_ended *m, struct span signer,
                       struct error *why)
{
    char text[LIMIT_NAME + 1];
    span_copy_str(signer, text, sizeof text);
    if (m->server.n && !span_eq(signer, m->server))
        return error_set(why, -EBADMSG, "it is signed by '%s'", text);
    if (m->attempt < c->attempt)
        return error_set(why, -EBADMSG, "it is of attempt %llu, and attempt %llu came after it",
                         (unsigned long long)m->attempt, (unsigned long long)c->attempt);
    return 0;
}

enum signers_verdict signers_judge(const struct call *c, const struct m_run_ended *m,
                                   const struct d_outcome *o, struct error *why)
{
    struct longboat *lb = c->lb;
    struct span signer;
    uint64_t serial;
    if (result_check_outcome(o, why) < 0)
        return SIGNERS_BAD;
    if (!m->signature.n)
        return judge_unsigned(c, o, why);
    if (result_signer(m->signature, &signer, &serial, why) < 0 ||
        check_claim(c, m, signer, why) < 0)
        return SIGNERS_BAD;
    const struct signer *s = find(lb, signer, serial), *asked = find(lb, signer, 0);
    if (s && s->known)
        return judge_signed(c, m, o, &s->certificate, why);
    if (s && !s->req) {
        *why = s->why;
        return SIGNERS_BAD;
    }
    if (!s && !(asked && asked->req))
        ask_first(lb, signer, serial);
    return SIGNERS_WAIT;
}
