/* revocation.c - see revocation.h. */
#include "trust/revocation.h"

#include <errno.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "trust/envelope.h"
#include "trust/identity.h"
#include "trust/names.h"
#include "trust/refuse.h"

enum { SERIAL_BYTES = 8 };

static uint64_t serial_get(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < SERIAL_BYTES; i++)
        v = v << 8 | p[i];
    return v;
}

static void serial_add(struct buf *b, uint64_t v)
{
    uint8_t p[SERIAL_BYTES];
    for (int i = SERIAL_BYTES - 1; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
    buf_add(b, p, sizeof p);
}

void revocations_free(struct revocations *r)
{
    mem_free(&r->serials);
    buf_free(&r->signed_bytes);
    *r = (struct revocations){0};
}

bool revocations_contain(const struct revocations *r, uint64_t serial)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->serials[middle] == serial)
            return true;
        if (r->serials[middle] < serial)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static int check(const struct d_revocations *d, const char *cluster, enum refusal *ret_code,
                 struct error *err)
{
    if (!span_eq_str(d->cluster, cluster))
        return refuse(ret_code, REFUSAL_UNKNOWN_PRINCIPAL, err,
                      "the revocation list is for cluster '" SPAN_FMT "'; this is '%s'",
                      SPAN_ARG(d->cluster), cluster);
    if (d->number == 0 || d->serials.n % SERIAL_BYTES != 0)
        return refuse(ret_code, REFUSAL_MALFORMED, err,
                      "the revocation list has number 0 or an incomplete serial");
    uint64_t last = 0;
    for (size_t i = 0; i < d->serials.n; i += SERIAL_BYTES) {
        uint64_t serial = serial_get(d->serials.p + i);
        if (serial <= last)
            return refuse(ret_code, REFUSAL_MALFORMED, err,
                          "the serials of the revocation list are not ascending");
        last = serial;
    }
    return 0;
}

static int check_number(const struct revocations *r, const struct d_revocations *d,
                        struct span bytes, enum refusal *ret_code, struct error *err)
{
    if (d->number < r->number)
        return refuse(ret_code, REFUSAL_REPLAYED, err,
                      "revocation list %llu is older than list %llu, which is already known",
                      (unsigned long long)d->number, (unsigned long long)r->number);
    if (d->number > r->number)
        return 1;
    if (span_eq(bytes, buf_span(&r->signed_bytes)))
        return 0;
    return refuse(
        ret_code, REFUSAL_CONFLICT, err,
        "another revocation list has number %llu: two administrators signed at the same time; "
        "revoke again",
        (unsigned long long)d->number);
}

static void replace(struct revocations *r, const struct d_revocations *d, struct span bytes)
{
    struct revocations taken = {.number = d->number,
                                .issued_at = d->issued_at,
                                .n = d->serials.n / SERIAL_BYTES,
                                .signed_bytes = buf_dup(bytes)};
    taken.serials = mem_zalloc(taken.n, sizeof *taken.serials);
    for (size_t i = 0; i < taken.n; i++)
        taken.serials[i] = serial_get(d->serials.p + i * SERIAL_BYTES);
    revocations_free(r);
    *r = taken;
}

int revocations_take(struct revocations *r, struct span bytes, const struct trust_anchors *anchors,
                     enum refusal *ret_code, struct error *err)
{
    struct d_signed s;
    struct d_revocations d;
    int rc;
    if (bytes.n > LIMIT_FRAME)
        return refuse(ret_code, REFUSAL_TOO_LARGE, err,
                      "a revocation list has %zu bytes; the limit is %d", bytes.n, LIMIT_FRAME);
    if ((rc = identity_open(ENVELOPE_REVOCATIONS, bytes, anchors, &s, ret_code, err)) < 0)
        return rc;
    if ((rc = d_revocations_decode(s.body, &d, err)) < 0)
        return refuse_as(ret_code, rc);
    if ((rc = check(&d, anchors->cluster, ret_code, err)) < 0 ||
        (rc = check_number(r, &d, bytes, ret_code, err)) <= 0)
        return rc;
    replace(r, &d, bytes);
    return 1;
}

int revocations_load(struct revocations *r, const char *path, const struct trust_anchors *anchors,
                     struct error *err)
{
    struct buf bytes = {0};
    struct error why = {0};
    int rc = file_read(path, LIMIT_FRAME, &bytes, &why);
    if (rc == -ENOENT)
        rc = 0;
    else if (rc < 0)
        rc = error_set(err, rc, "%s", why.text);
    else if ((rc = revocations_take(r, buf_span(&bytes), anchors, NULL, err)) < 0)
        error_prefix(err, "%s", path);
    buf_free(&bytes);
    return rc < 0 ? rc : 0;
}

int revocations_recall(struct revocations *r, const char *path, const char *cluster,
                       struct error *err)
{
    struct buf bytes = {0};
    struct d_signed s;
    struct d_revocations d;
    int rc = file_read(path, LIMIT_FRAME, &bytes, err);
    if (rc == 0 && (rc = d_signed_decode(buf_span(&bytes), &s, err)) == 0 &&
        (rc = d_revocations_decode(s.body, &d, err)) == 0 && span_eq_str(d.cluster, cluster) &&
        (rc = check(&d, cluster, NULL, err)) == 0)
        replace(r, &d, buf_span(&bytes));
    buf_free(&bytes);
    if (rc == -ENOENT)
        return 0;
    return rc < 0 ? error_prefix(err, "%s", path) : 0;
}

int revocations_next(const struct revocations *r, const char *cluster, uint64_t serial, int64_t now,
                     const struct key *administrator, struct buf *out, struct error *err)
{
    if (!name_is_good(span_str(cluster)))
        return error_set(err, -EINVAL, "'%.70s' is not a cluster name", cluster);
    if (serial == 0)
        return error_set(err, -EINVAL, "serial 0 belongs to no certificate");
    if (revocations_contain(r, serial))
        return error_set(err, -EALREADY,
                         "serial %llu is already revoked, by list %llu or an earlier one",
                         (unsigned long long)serial, (unsigned long long)r->number);
    if (r->n >= LIMIT_REVOKED)
        return error_set(
            err, -ENOSPC,
            "%d serials are revoked and the list is full: start over with new administrators' "
            "keys and new certificates",
            LIMIT_REVOKED);
    struct buf serials = {0}, body = {0};
    bool placed = false;
    for (size_t i = 0; i < r->n; i++) {
        if (!placed && r->serials[i] > serial) {
            serial_add(&serials, serial);
            placed = true;
        }
        serial_add(&serials, r->serials[i]);
    }
    if (!placed)
        serial_add(&serials, serial);
    struct d_revocations d = {.cluster = span_str(cluster),
                              .number = r->number + 1,
                              .issued_at = now,
                              .serials = buf_span(&serials)};
    d_revocations_encode(&d, &body);
    int rc = envelope_sign(ENVELOPE_REVOCATIONS, administrator, "", 0, buf_span(&body), out, err);
    buf_free(&serials);
    buf_free(&body);
    return rc;
}
