/* batch.c - see batch.h. */
#include "trust/batch.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "common/mem.h"
#include "trust/sign.h"

static void leaf_of(struct span body, struct hash *ret)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof ret->b);
    crypto_generichash_update(&state, (const uint8_t[]){0x00}, 1);
    crypto_generichash_update(&state, body.p, body.n);
    crypto_generichash_final(&state, ret->b, sizeof ret->b);
}

static void node_of(const struct hash *left, const struct hash *right, struct hash *ret)
{
    uint8_t in[1 + 2 * sizeof left->b];
    in[0] = 0x01;
    memcpy(in + 1, left->b, sizeof left->b);
    memcpy(in + 1 + sizeof left->b, right->b, sizeof right->b);
    crypto_generichash(ret->b, sizeof ret->b, in, sizeof in, NULL, 0);
}

/* All heights of the tree, each padded with a zero hash to an even number of nodes; height 0 are
   the leaves. */
struct tree {
    struct hash *nodes;
    size_t start[LIMIT_PROOF + 1];
    unsigned height; /* of the root */
};

static struct tree tree_make(const struct span *bodies, size_t n)
{
    struct tree t = {.nodes = mem_zalloc(2 * n + 2 * LIMIT_PROOF, sizeof *t.nodes)};
    for (size_t i = 0; i < n; i++)
        leaf_of(bodies[i], &t.nodes[i]);
    for (size_t count = n; count > 1; t.height++) {
        const struct hash *from = t.nodes + t.start[t.height];
        size_t padded = count + (count & 1);
        t.start[t.height + 1] = t.start[t.height] + padded;
        struct hash *to = t.nodes + t.start[t.height + 1];
        for (size_t i = 0; i < padded; i += 2)
            node_of(&from[i], &from[i + 1], &to[i / 2]);
        count = padded / 2;
    }
    return t;
}

bool batch_is_kind(const char *kind)
{
    return strcmp(kind, ENVELOPE_CALL) == 0 || strcmp(kind, ENVELOPE_RESULT) == 0;
}

int batch_sign_kind(const char *kind, bool detached, const struct key *key, const char *signer,
                    uint64_t serial, const struct span *bodies, size_t n, struct buf *outs,
                    struct error *err)
{
    if (n == 0 || n > BATCH_MAX)
        return error_set(err, -E2BIG, "cannot sign %zu %ss at once; 1 to %d are allowed", n, kind,
                         BATCH_MAX);
    for (size_t i = 0; i < n; i++) {
        int rc = sign_check_order(signer, bodies[i].n, err);
        if (rc < 0)
            return rc;
    }
    struct tree t = tree_make(bodies, n);
    uint8_t signature[64];
    sign_content(kind, key, span_of(t.nodes[t.start[t.height]].b, sizeof t.nodes->b), signature);
    struct buf proof = {0};
    for (size_t i = 0; i < n; i++) {
        buf_clear(&proof);
        for (unsigned h = 0; h < t.height; h++)
            wire_add_bin(&proof,
                         span_of(t.nodes[t.start[h] + ((i >> h) ^ 1)].b, sizeof t.nodes->b));
        struct d_signed s = {.signer = span_str(signer),
                             .serial = serial,
                             .key = key->sign,
                             .body = detached ? SPAN_NONE : bodies[i],
                             .proof = wire_list_from(&proof, t.height),
                             .index = i,
                             .signature = span_of(signature, sizeof signature)};
        d_signed_encode(&s, &outs[i]);
    }
    buf_free(&proof);
    mem_free(&t.nodes);
    return 0;
}

int batch_sign(const struct key *key, const char *signer, uint64_t serial,
               const struct span *bodies, size_t n, struct buf *outs, struct error *err)
{
    return batch_sign_kind(ENVELOPE_CALL, false, key, signer, serial, bodies, n, outs, err);
}

static int root_of(const char *kind, const struct d_signed *s, struct hash *ret, struct error *err)
{
    if (s->proof.count < 64 && s->index >> s->proof.count)
        return error_set(err, -EBADMSG, "a %s claims to be number %llu of a batch of at most 2^%u",
                         kind, (unsigned long long)s->index, s->proof.count);
    struct hash at, side;
    leaf_of(s->body, &at);
    struct wire_iter it = wire_iter(&s->proof);
    struct span item;
    for (unsigned h = 0; wire_next(&it, &item); h++) {
        if (item.n != sizeof side.b)
            return error_set(err, -EBADMSG, "a %s's proof has a hash of %zu bytes, not of %zu",
                             kind, item.n, sizeof side.b);
        memcpy(side.b, item.p, sizeof side.b);
        struct hash up;
        if (s->index >> h & 1)
            node_of(&side, &at, &up);
        else
            node_of(&at, &side, &up);
        at = up;
    }
    *ret = at;
    return 0;
}

static bool was_verified(const struct verified_roots *roots, const char *kind,
                         const struct d_signed *s, const struct hash *root)
{
    for (unsigned i = 0; i < roots->used; i++) {
        const struct verified_root *r = &roots->ring[i];
        if (strcmp(r->kind, kind) == 0 && memcmp(r->root.b, root->b, sizeof root->b) == 0 &&
            memcmp(r->key.b, s->key.b, sizeof s->key.b) == 0 &&
            s->signature.n == sizeof r->signature &&
            memcmp(r->signature, s->signature.p, sizeof r->signature) == 0)
            return true;
    }
    return false;
}

static void remember(struct verified_roots *roots, const char *kind, const struct d_signed *s,
                     const struct hash *root)
{
    struct verified_root *r = &roots->ring[roots->next];
    r->kind = kind;
    r->key = s->key;
    r->root = *root;
    memcpy(r->signature, s->signature.p, sizeof r->signature);
    roots->next = (roots->next + 1) % VERIFIED_ROOTS;
    if (roots->used < VERIFIED_ROOTS)
        roots->used++;
}

int batch_open_kind(const char *kind, struct span bytes, const struct span *detached,
                    const struct hash *key, struct verified_roots *roots, struct d_signed *ret,
                    struct error *err)
{
    struct d_signed s;
    struct hash root;
    int rc = d_signed_decode(bytes, &s, err);
    if (rc < 0)
        return error_prefix(err, "%s", kind);
    if (detached && s.body.n)
        return error_set(err, -EBADMSG, "the signature of this %s comes with a body of its own",
                         kind);
    if (detached)
        s.body = *detached;
    if ((rc = sign_check_key(kind, &s, key, err)) < 0 || (rc = root_of(kind, &s, &root, err)) < 0)
        return rc;
    if (roots && was_verified(roots, kind, &s, &root)) {
        roots->hits++;
    } else {
        if ((rc = sign_check(kind, &s, span_of(root.b, sizeof root.b), err)) < 0)
            return rc;
        if (roots) {
            roots->misses++;
            remember(roots, kind, &s, &root);
        }
    }
    *ret = s;
    return 0;
}

int batch_open(struct span bytes, const struct hash *key, struct verified_roots *roots,
               struct d_signed *ret, struct error *err)
{
    return batch_open_kind(ENVELOPE_CALL, bytes, NULL, key, roots, ret, err);
}
