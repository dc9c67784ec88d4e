/* known.c - see known.h. */
#include "broker/shell/known.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hashtable.h"
#include "common/mem.h"
#include "trust/invitation.h"

struct known_one { /* a certificate */
    struct certificate certificate;
    struct known_one *next; /* in the list of all */
};

struct known_by_key {
    struct hash key;
    const struct certificate *certificate;
    UT_hash_handle hh;
};

struct known_by_name {
    char name[LIMIT_NAME + 1];
    const struct certificate *certificate; /* of the highest serial */
    UT_hash_handle hh;
};

struct known_invited {
    struct hash transport;
    struct buf bytes;
    struct d_invitation invitation;
    uint64_t used_by; /* the record that enrolled its holder; 0: it is open */
    UT_hash_handle hh;
};

struct known {
    const struct trust_anchors *anchors;
    known_allow *allow;
    void *self;
    struct known_one *all;
    struct owners *owners;
    struct known_by_key *by_key;
    struct known_by_name *by_name;
    struct known_invited *invited;
    unsigned n_used; /* of them, whose record is not yet on disk */
};

struct known *known_new(const struct trust_anchors *anchors, const struct certificate *broker,
                        known_allow *allow, void *self)
{
    struct known *k = mem_zalloc(1, sizeof *k);
    k->anchors = anchors;
    k->allow = allow;
    k->self = self;
    k->owners = owners_new(anchors, broker);
    return k;
}

static void drop_invited(struct known *k, struct known_invited *i)
{
    k->n_used -= i->used_by != 0;
    HASH_DEL(k->invited, i);
    buf_free(&i->bytes);
    mem_free(&i);
}

void known_free(struct known **known)
{
    struct known *k = *known;
    if (!k)
        return;
    struct known_by_key *bk, *bk_next;
    struct known_by_name *bn, *bn_next;
    struct known_invited *i, *i_next;
    HASH_ITER (hh, k->by_key, bk, bk_next) {
        HASH_DEL(k->by_key, bk);
        mem_free(&bk);
    }
    HASH_ITER (hh, k->by_name, bn, bn_next) {
        HASH_DEL(k->by_name, bn);
        mem_free(&bn);
    }
    HASH_ITER (hh, k->invited, i, i_next) {
        drop_invited(k, i);
    }
    for (struct known_one *o = k->all, *next; o; o = next) {
        next = o->next;
        certificate_free(&o->certificate);
        mem_free(&o);
    }
    owners_free(&k->owners);
    mem_free(known);
}

const struct owners_name *known_owner(const struct known *k, const struct hash *key)
{
    return owners_find(k->owners, key);
}

void known_remember(struct known *k, const struct d_certificate *c)
{
    owners_remember(k->owners, c);
}

static bool is_one_time(const struct known *k, const struct hash *transport)
{
    struct known_invited *i = NULL;
    HASH_FIND(hh, k->invited, transport, sizeof *transport, i);
    return i != NULL;
}

enum refusal known_judge_keys(const struct known *k, const struct certificate *c, struct error *err)
{
    enum refusal code = owners_judge(k->owners, c, err);
    if (code != REFUSAL_NONE)
        return code;
    /* the signing key is told by the transport key, which is made from it */
    if (!is_one_time(k, &c->transport_key) && !is_one_time(k, &c->seal_key))
        return REFUSAL_NONE;
    error_set(err, -EEXIST,
              "a key of this certificate of '%s' is the one-time key of an invitation: make a new "
              "key",
              c->name);
    return REFUSAL_KEY_TAKEN;
}

const struct certificate *known_by_key(const struct known *k, const struct hash *transport)
{
    struct known_by_key *e = NULL;
    HASH_FIND(hh, k->by_key, transport, sizeof *transport, e);
    return e ? e->certificate : NULL;
}

const struct certificate *known_by_name(const struct known *k, const char *name)
{
    struct known_by_name *e = NULL;
    HASH_FIND_STR(k->by_name, name, e);
    return e ? e->certificate : NULL;
}

const struct certificate *known_by_serial(const struct known *k, const char *name, uint64_t serial)
{
    for (const struct known_one *o = k->all; o; o = o->next)
        if (o->certificate.serial == serial && strcmp(o->certificate.name, name) == 0)
            return &o->certificate;
    return NULL;
}

static void index_certificate(struct known *k, const struct certificate *c)
{
    struct known_by_key *bk = NULL;
    struct known_by_name *bn = NULL;
    HASH_FIND(hh, k->by_key, &c->transport_key, sizeof c->transport_key, bk);
    if (!bk) {
        bk = mem_zalloc(1, sizeof *bk);
        bk->key = c->transport_key;
        HASH_ADD(hh, k->by_key, key, sizeof bk->key, bk);
    }
    if (!bk->certificate || bk->certificate->serial <= c->serial)
        bk->certificate = c;
    HASH_FIND_STR(k->by_name, c->name, bn);
    if (!bn) {
        bn = mem_zalloc(1, sizeof *bn);
        strcpy(bn->name, c->name);
        HASH_ADD_STR(k->by_name, name, bn);
    }
    if (!bn->certificate || bn->certificate->serial <= c->serial)
        bn->certificate = c;
    k->allow(k->self, &c->transport_key, true);
}

const struct certificate *known_by_bytes(const struct known *k, struct span signed_bytes)
{
    for (const struct known_one *o = k->all; o; o = o->next)
        if (span_eq(buf_span(&o->certificate.signed_bytes), signed_bytes))
            return &o->certificate;
    return NULL;
}

int known_add(struct known *k, struct span signed_bytes, int64_t now,
              const struct certificate **ret, enum refusal *ret_code, struct error *err)
{
    const struct certificate *there = known_by_bytes(k, signed_bytes);
    if (there) {
        if (ret)
            *ret = there;
        return 0;
    }
    struct known_one *o = mem_zalloc(1, sizeof *o);
    int rc = certificate_verify(signed_bytes, k->anchors, now, &o->certificate, ret_code, err);
    enum refusal taken = rc < 0 ? REFUSAL_NONE : known_judge_keys(k, &o->certificate, err);
    if (taken != REFUSAL_NONE) {
        rc = -EEXIST;
        if (ret_code)
            *ret_code = taken;
        certificate_free(&o->certificate);
    }
    if (rc < 0) {
        mem_free(&o);
        return rc;
    }
    owners_add(k->owners, &o->certificate);
    o->next = k->all;
    k->all = o;
    index_certificate(k, &o->certificate);
    if (ret)
        *ret = &o->certificate;
    return 0;
}

/* Calls `take` for the content of each regular file of a folder. */
static void each_file(struct known *k, const char *folder,
                      void (*take)(struct known *k, const char *path, struct span bytes,
                                   int64_t now, void (*warn)(const char *)),
                      int64_t now, void (*warn)(const char *))
{
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    for (const struct dirent *e; (e = readdir(dir));) {
        struct buf bytes = {0};
        struct error err = {0};
        if (e->d_name[0] == '.')
            continue;
        char *path = mem_printf("%s/%s", folder, e->d_name);
        if (file_read(path, LIMIT_CERTIFICATE, &bytes, &err) < 0)
            warn(err.text);
        else
            take(k, path, buf_span(&bytes), now, warn);
        buf_free(&bytes);
        mem_free(&path);
    }
    closedir(dir);
}

static void take_certificate(struct known *k, const char *path, struct span bytes, int64_t now,
                             void (*warn)(const char *))
{
    struct error err = {0};
    if (known_add(k, bytes, now, NULL, NULL, &err) < 0) {
        error_prefix(&err, "%s is ignored", path);
        warn(err.text);
    }
}

void known_add_folder(struct known *k, const char *folder, int64_t now,
                      void (*warn)(const char *text))
{
    each_file(k, folder, take_certificate, now, warn);
}

void known_each_key(const struct known *k, known_allow *take, void *self)
{
    for (const struct known_by_key *e = k->by_key; e; e = e->hh.next)
        take(self, &e->key, true);
    for (const struct known_invited *i = k->invited; i; i = i->hh.next)
        if (!i->used_by)
            take(self, &i->transport, true);
}

/* ---- Invitations */
static int open_invitation(struct known *k, struct span bytes, struct known_invited **ret,
                           struct error *err)
{
    struct known_invited *i = mem_zalloc(1, sizeof *i);
    i->bytes = buf_dup(bytes);
    int rc = invitation_open(buf_span(&i->bytes), k->anchors, &i->invitation, err);
    if (rc == 0)
        rc = key_transport_of(&i->invitation.one_time_key, &i->transport, err);
    if (rc < 0) {
        buf_free(&i->bytes);
        mem_free(&i);
        return rc;
    }
    *ret = i;
    return 0;
}

static bool is_somebodys(const struct known *k, const struct known_invited *i)
{
    return owners_find(k->owners, &i->transport) || owners_is_anchor(k->owners, &i->transport);
}

static bool is_used(const struct known *k, const struct d_invitation *i)
{
    char name[LIMIT_NAME + 1];
    span_copy_str(i->name, name, sizeof name);
    return known_by_serial(k, name, i->serial) != NULL;
}

static char *path_of(const char *folder, const struct hash *transport)
{
    char text[KEY_TEXT];
    return mem_printf("%s/%s", folder, key_format(transport, text));
}

static int keep(struct known *k, struct span bytes, int64_t now, const struct known_invited **ret,
                struct error *err)
{
    struct known_invited *i = NULL, *there = NULL;
    int rc = open_invitation(k, bytes, &i, err);
    if (rc == 0 && i->invitation.expires <= now)
        rc = error_set(err, -ETIME,
                       "the invitation of '" SPAN_FMT
                       "' has expired; make a new one with lbctl invite",
                       SPAN_ARG(i->invitation.name));
    else if (rc == 0 && is_used(k, &i->invitation))
        rc = error_set(err, -EALREADY,
                       "the invitation of '" SPAN_FMT
                       "' has been used; make a new one with lbctl invite",
                       SPAN_ARG(i->invitation.name));
    else if (rc == 0 && is_somebodys(k, i))
        rc = error_set(err, -EEXIST,
                       "the one-time key of the invitation of '" SPAN_FMT
                       "' is a principal's own key; make a new one with lbctl invite",
                       SPAN_ARG(i->invitation.name));
    if (rc < 0) {
        if (i)
            buf_free(&i->bytes);
        mem_free(&i);
        return rc;
    }
    HASH_FIND(hh, k->invited, &i->transport, sizeof i->transport, there);
    if (there)
        drop_invited(k, there);
    HASH_ADD(hh, k->invited, transport, sizeof i->transport, i);
    k->allow(k->self, &i->transport, true);
    *ret = i;
    return 0;
}

int known_invite(struct known *k, const char *folder, struct span invitation, int64_t now,
                 enum refusal *ret_code, struct error *err)
{
    const struct known_invited *i;
    int rc = keep(k, invitation, now, &i, err);
    *ret_code = rc == -EEXIST ? REFUSAL_KEY_TAKEN : REFUSAL_BAD_ARGUMENT;
    if (rc < 0)
        return rc;
    char *path = path_of(folder, &i->transport);
    rc = file_make_dirs(folder, 0700, err);
    if (rc == 0)
        rc = file_write_atomic(path, invitation, 0600, err);
    if (rc < 0) {
        *ret_code = REFUSAL_NO_SPACE;
        known_uninvite(k, folder, &i->transport);
    }
    mem_free(&path);
    return rc;
}

static void take_invitation(struct known *k, const char *path, struct span bytes, int64_t now,
                            void (*warn)(const char *))
{
    const struct known_invited *i;
    struct error err = {0};
    int rc = keep(k, bytes, now, &i, &err);
    if (rc == -ETIME || rc == -EALREADY)
        unlink(path);
    else if (rc < 0) {
        error_prefix(&err, "%s is ignored", path);
        warn(err.text);
    }
}

void known_load_invitations(struct known *k, const char *folder, int64_t now,
                            void (*warn)(const char *text))
{
    each_file(k, folder, take_invitation, now, warn);
}

bool known_invited(const struct known *k, const struct hash *transport, int64_t now,
                   struct d_invitation *ret)
{
    struct known_invited *i = NULL;
    HASH_FIND(hh, k->invited, transport, sizeof *transport, i);
    if (!i || i->used_by || i->invitation.expires <= now)
        return false;
    *ret = i->invitation;
    return true;
}

void known_use(struct known *k, const struct hash *transport, uint64_t lsn)
{
    struct known_invited *i = NULL;
    HASH_FIND(hh, k->invited, transport, sizeof *transport, i);
    if (!i || i->used_by)
        return;
    i->used_by = lsn;
    k->n_used++;
    k->allow(k->self, &i->transport, false);
}

void known_committed(struct known *k, const char *folder, uint64_t lsn)
{
    struct known_invited *i, *next;
    if (!k->n_used)
        return;
    HASH_ITER (hh, k->invited, i, next) {
        if (i->used_by && i->used_by <= lsn)
            known_uninvite(k, folder, &i->transport);
    }
}

void known_each_invitation(struct known *k, known_take_invitation *take, void *self)
{
    struct known_invited *i, *next;
    HASH_ITER (hh, k->invited, i, next) {
        if (!i->used_by)
            take(self, &i->transport, &i->invitation);
    }
}

void known_uninvite(struct known *k, const char *folder, const struct hash *transport)
{
    struct known_invited *i = NULL;
    struct hash key = *transport;
    HASH_FIND(hh, k->invited, &key, sizeof key, i);
    if (!i)
        return;
    char *path = path_of(folder, &key);
    unlink(path); /* if that fails, the next start finds that it was used or has expired */
    mem_free(&path);
    drop_invited(k, i);
    k->allow(k->self, &key, false);
}

void known_expire(struct known *k, const char *folder, int64_t now)
{
    struct known_invited *i, *next;
    HASH_ITER (hh, k->invited, i, next) {
        if (i->invitation.expires <= now)
            known_uninvite(k, folder, &i->transport);
    }
}
