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
    UT_hash_handle hh;
};

struct known {
    const struct trust_anchors *anchors;
    known_allow *allow;
    void *self;
    struct known_one *all;
    struct known_by_key *by_key;
    struct known_by_name *by_name;
    struct known_invited *invited;
};

struct known *known_new(const struct trust_anchors *anchors, known_allow *allow, void *self)
{
    struct known *k = mem_zalloc(1, sizeof *k);
    k->anchors = anchors;
    k->allow = allow;
    k->self = self;
    return k;
}

static void drop_invited(struct known *k, struct known_invited *i)
{
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
    mem_free(known);
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
    if (rc < 0) {
        mem_free(&o);
        return rc;
    }
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
    *ret_code = REFUSAL_BAD_ARGUMENT;
    int rc = keep(k, invitation, now, &i, err);
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
    if (!i || i->invitation.expires <= now)
        return false;
    *ret = i->invitation;
    return true;
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
