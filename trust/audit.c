/* audit.c - see audit.h. */
#include "trust/audit.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "trust/envelope.h"

#define ULL(x) ((unsigned long long)(x))

const char *audit_decision_word(uint64_t decision)
{
#define X(n, w) [AUDIT_##n] = w,
    static const char *const words[] = {AUDIT_DECISIONS(X)};
#undef X
    return decision < AUDIT_DECISION_COUNT ? words[decision] : "?";
}

void audit_chain(struct audit_head *head, struct span entry)
{
    static const char tag[] = "longboat/audit/1"; /* its NUL belongs to it */
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, sizeof head->hash.b);
    crypto_generichash_update(&st, (const uint8_t *)tag, sizeof tag);
    crypto_generichash_update(&st, head->hash.b, sizeof head->hash.b);
    crypto_generichash_update(&st, entry.p, entry.n);
    crypto_generichash_final(&st, head->hash.b, sizeof head->hash.b);
    head->number++;
}

/* ---- Checkpoints */
int audit_checkpoint_sign(const struct d_checkpoint *c, const struct key *key, const char *signer,
                          uint64_t serial, struct buf *out, struct error *err)
{
    struct buf body = {0};
    d_checkpoint_encode(c, &body);
    int rc = envelope_sign(ENVELOPE_CHECKPOINT, key, signer, serial, buf_span(&body), out, err);
    buf_free(&body);
    return rc;
}

/* Without looking at the signature. */
static int read_checkpoint(struct span bytes, struct d_checkpoint *ret, struct error *err)
{
    struct d_signed s;
    int rc = d_signed_decode(bytes, &s, err);
    return rc < 0 ? rc : d_checkpoint_decode(s.body, ret, err);
}

int audit_checkpoint_open(struct span bytes, struct span certificate,
                          const struct trust_anchors *anchors, struct d_checkpoint *ret,
                          struct error *err)
{
    struct certificate broker = {0};
    struct d_checkpoint c;
    struct d_signed s;
    int rc = read_checkpoint(bytes, &c, err);
    if (rc < 0)
        return rc;
    /* an old checkpoint was signed under a certificate that may have expired since */
    rc = certificate_verify(certificate, anchors, c.at, &broker, NULL, err);
    if (rc == 0 && broker.role != ROLE_BROKER)
        rc = error_set(err, -EBADMSG, "'%s', who has signed it, is a %s, not a broker", broker.name,
                       role_word(broker.role));
    if (rc == 0)
        rc = certificate_open(&broker, ENVELOPE_CHECKPOINT, bytes, NULL, &s, err);
    if (rc == 0 && !span_eq_str(c.cluster, anchors->cluster))
        rc = error_set(err, -EBADMSG, "it is of another cluster, '" SPAN_FMT "'",
                       SPAN_ARG(c.cluster));
    certificate_free(&broker);
    if (rc == 0)
        *ret = c;
    return rc;
}

/* ---- The walk */
int audit_walk_begin(struct audit_walk *w, const struct trust_anchors *anchors, struct span known,
                     struct error *err)
{
    struct d_checkpoint c;
    *w = (struct audit_walk){.anchors = anchors};
    if (!known.n)
        return 0;
    int rc = read_checkpoint(known, &c, err);
    if (rc < 0)
        return error_prefix(err, "the checkpoint that was kept");
    w->known.seq = c.seq;
    w->known.number = c.number;
    w->known.hash = c.hash;
    w->known.at = c.at;
    envelope_hash(known, &w->known.bytes);
    return 0;
}

#define fault(w, at, ...) ((w)->fault = (at), error_set(err, -EBADMSG, __VA_ARGS__))

static int check_number(struct audit_walk *w, uint64_t number, struct error *err)
{
    const uint64_t next = w->head.number + 1;
    if (number == next)
        return 0;
    if (number < next)
        return fault(w, number, "entry %llu comes after entry %llu: the order was changed",
                     ULL(number), ULL(w->head.number));
    if (number == next + 1)
        return fault(w, next, "entry %llu is missing", ULL(next));
    return fault(w, next, "entries %llu to %llu are missing", ULL(next), ULL(number - 1));
}

static int check_known(struct audit_walk *w, struct error *err)
{
    if (w->head.number != w->known.number || !w->known.seq)
        return 0;
    if (hash_eq(&w->head.hash, &w->known.hash))
        return 0;
    return fault(w, w->head.number,
                 "the trail up to entry %llu is not the one whose checkpoint %llu was kept: it was "
                 "written anew, or the broker's store was restored from a backup",
                 ULL(w->head.number), ULL(w->known.seq));
}

int audit_walk_entry(struct audit_walk *w, uint64_t number, struct span entry,
                     const struct hash *hash, struct d_audit *ret, struct error *err)
{
    struct error why = {0};
    struct d_audit a;
    int rc = check_number(w, number, err);
    if (rc < 0)
        return rc;
    if (d_audit_decode(entry, &a, &why) < 0)
        return fault(w, number, "entry %llu was altered: %s", ULL(number), why.text);
    if (a.number != number)
        return fault(w, number, "in the place of entry %llu stands entry %llu", ULL(number),
                     ULL(a.number));
    audit_chain(&w->head, entry);
    if (!hash_eq(&w->head.hash, hash))
        return fault(w, number, "entry %llu was altered, or its hash: they do not match",
                     ULL(number));
    if (!w->first)
        w->first = number;
    w->entries++;
    if (span_eq_str(a.verb, AUDIT_DROP) && a.object.n && a.object.n < 21) {
        char text[24];
        span_copy_str(a.object, text, sizeof text);
        w->dropped |= strtoull(text, NULL, 10) + 1 == w->first;
    }
    if (ret)
        *ret = a;
    return check_known(w, err);
}

static int check_link(struct audit_walk *w, const struct d_checkpoint *c, const struct hash *bytes,
                      struct error *err)
{
    if (c->seq != w->seq + 1)
        return fault(w, c->number, "checkpoint %llu is missing, or out of its place, at entry %llu",
                     ULL(w->seq + 1), ULL(c->number));
    if (!hash_eq(&c->previous, &w->previous))
        return fault(w, c->number,
                     "checkpoint %llu, at entry %llu, does not follow the one before it: one of "
                     "them was replaced",
                     ULL(c->seq), ULL(c->number));
    if (w->known.seq == c->seq && !hash_eq(&w->known.bytes, bytes))
        return fault(w, c->number,
                     "checkpoint %llu, at entry %llu, is not the one that was kept: the trail was "
                     "written anew, or the broker's store was restored from a backup",
                     ULL(c->seq), ULL(c->number));
    return 0;
}

static int check_seal(struct audit_walk *w, const struct d_checkpoint *c, struct error *err)
{
    if (!w->first && c->number > w->head.number) {
        w->head = (struct audit_head){c->number, c->hash}; /* those up to it were dropped */
        return 0;
    }
    if (c->number > w->head.number)
        return fault(w, w->head.number + 1,
                     "entries %llu to %llu are missing: checkpoint %llu is about the last of them",
                     ULL(w->head.number + 1), ULL(c->number), ULL(c->seq));
    if (c->number < w->head.number)
        return fault(w, c->number, "checkpoint %llu, about entry %llu, comes after entry %llu",
                     ULL(c->seq), ULL(c->number), ULL(w->head.number));
    if (!hash_eq(&c->hash, &w->head.hash))
        return fault(w, w->sealed + 1,
                     "entries %llu to %llu are not those that the broker has signed as checkpoint "
                     "%llu",
                     ULL(w->sealed + 1), ULL(c->number), ULL(c->seq));
    return 0;
}

int audit_walk_checkpoint(struct audit_walk *w, struct span bytes, struct span certificate,
                          struct error *err)
{
    struct d_checkpoint c;
    struct error why = {0};
    struct hash hash;
    if (audit_checkpoint_open(bytes, certificate, w->anchors, &c, &why) < 0)
        return fault(w, w->head.number, "checkpoint %llu, after entry %llu, is not genuine: %s",
                     ULL(w->seq + 1), ULL(w->head.number), why.text);
    envelope_hash(bytes, &hash);
    int rc = check_link(w, &c, &hash, err);
    if (rc == 0)
        rc = check_seal(w, &c, err);
    if (rc < 0)
        return rc;
    w->seq = c.seq;
    w->sealed = c.number;
    w->sealed_at = c.at;
    w->previous = hash;
    return check_known(w, err);
}

int audit_walk_end(struct audit_walk *w, struct error *err)
{
    if (!w->seq)
        return fault(w, 1, "the trail has no checkpoint: nothing says that the broker wrote it");
    if (w->first > 1 && !w->dropped)
        return fault(w, 1,
                     "entries 1 to %llu are missing, and no entry says that they were dropped",
                     ULL(w->first - 1));
    if (!w->first)
        return fault(w, 1, "there are checkpoints up to entry %llu, and not one entry",
                     ULL(w->head.number));
    if (w->known.seq > w->seq)
        return fault(
            w, w->head.number + 1,
            "the trail ends at entry %llu and checkpoint %llu, but checkpoint %llu, about "
            "entry %llu, was kept: its end was cut off, or the broker's store was restored "
            "from a backup",
            ULL(w->head.number), ULL(w->seq), ULL(w->known.seq), ULL(w->known.number));
    return 0;
}
