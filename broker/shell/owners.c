/* owners.c - see owners.h. */
#include "broker/shell/owners.h"

#include <errno.h>
#include <string.h>

#include "common/hashtable.h"
#include "common/mem.h"

struct owners_key {
    struct hash key;
    struct owners_name owner;
    UT_hash_handle hh;
};

struct owners {
    const struct trust_anchors *anchors;
    struct hash *transport; /* of each anchor */
    struct owners_key *keys;
};

struct owners *owners_new(const struct trust_anchors *anchors, const struct certificate *broker)
{
    struct owners *o = mem_zalloc(1, sizeof *o);
    o->anchors = anchors;
    o->transport = mem_zalloc(anchors->n + 1, sizeof *o->transport);
    for (size_t i = 0; i < anchors->n; i++)
        key_transport_of(&anchors->administrators[i], &o->transport[i], NULL);
    owners_add(o, broker);
    return o;
}

void owners_free(struct owners **owners)
{
    struct owners *o = *owners;
    struct owners_key *e, *next;
    if (!o)
        return;
    HASH_ITER (hh, o->keys, e, next) {
        HASH_DEL(o->keys, e);
        mem_free(&e);
    }
    mem_free(&o->transport);
    mem_free(owners);
}

const struct owners_name *owners_find(const struct owners *o, const struct hash *key)
{
    struct owners_key *e = NULL;
    HASH_FIND(hh, o->keys, key, sizeof *key, e);
    return e ? &e->owner : NULL;
}

static void add(struct owners *o, const struct hash *key, const char *name, uint64_t serial)
{
    struct owners_key *e = NULL;
    if (hash_is_zero(key))
        return;
    HASH_FIND(hh, o->keys, key, sizeof *key, e);
    if (!e) {
        e = mem_zalloc(1, sizeof *e);
        e->key = *key;
        strcpy(e->owner.name, name);
        HASH_ADD(hh, o->keys, key, sizeof e->key, e);
    }
    if (e->owner.serial < serial && strcmp(e->owner.name, name) == 0)
        e->owner.serial = serial;
}

void owners_add(struct owners *o, const struct certificate *c)
{
    add(o, &c->sign_key, c->name, c->serial);
    add(o, &c->transport_key, c->name, c->serial);
    add(o, &c->seal_key, c->name, c->serial);
}

void owners_remember(struct owners *o, const struct d_certificate *c)
{
    char name[LIMIT_NAME + 1];
    span_copy_str(c->name, name, sizeof name);
    add(o, &c->sign_key, name, c->serial);
    add(o, &c->transport_key, name, c->serial);
    add(o, &c->seal_key, name, c->serial);
}

bool owners_is_anchor(const struct owners *o, const struct hash *key)
{
    for (size_t i = 0; i < o->anchors->n; i++)
        if (hash_eq(&o->anchors->administrators[i], key) || hash_eq(&o->transport[i], key))
            return true;
    return false;
}

static enum refusal judge(const struct owners *o, const struct certificate *c, const char *what,
                          const struct hash *key, struct error *err)
{
    const struct owners_name *owner = owners_find(o, key);
    if (owner && strcmp(owner->name, c->name) != 0)
        error_set(err, -EEXIST,
                  "the %s of this certificate of '%s' belongs to '%s' already: make a new key",
                  what, c->name, owner->name);
    else if (c->role != ROLE_ADMINISTRATOR && owners_is_anchor(o, key))
        error_set(err, -EEXIST,
                  "the %s of this certificate of '%s' is an administrator's: make a new key", what,
                  c->name);
    else
        return REFUSAL_NONE;
    return REFUSAL_KEY_TAKEN;
}

enum refusal owners_judge(const struct owners *o, const struct certificate *c, struct error *err)
{
    enum refusal code = judge(o, c, "signing key", &c->sign_key, err);
    if (code == REFUSAL_NONE)
        code = judge(o, c, "transport key", &c->transport_key, err);
    if (code == REFUSAL_NONE && !hash_is_zero(&c->seal_key))
        code = judge(o, c, "seal key", &c->seal_key, err);
    return code;
}
