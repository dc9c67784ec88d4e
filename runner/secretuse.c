/* secretuse.c - see secretuse.h. */
#include "runner/secretuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/name.h"
#include "trust/secretdoc.h"

enum {
    NEWEST_BYTES = 4 * LIMIT_SECRETS * (LIMIT_NAME + 24), /* of the file */
    KEPT_BYTES = LIMIT_SECRET + LIMIT_CERTIFICATE + 64
};

/* When the newest document of a name was issued. */
struct newest {
    char name[LIMIT_NAME + 1];
    int64_t issued_at;
};

struct secretuse {
    const struct runner_paths *paths;
    struct policy *policy;
    struct newest *v;
    size_t n;
    bool loaded;
};

struct secretuse *secretuse_new(const struct runner_paths *paths, struct policy *policy)
{
    struct secretuse *u = mem_zalloc(1, sizeof *u);
    u->paths = paths;
    u->policy = policy;
    return u;
}

void secretuse_free(struct secretuse **u)
{
    if (*u)
        mem_free(&(*u)->v);
    mem_free(u);
}

/* ---- What was seen of each name. Lines "issued_at name". */

static char *newest_path(const struct secretuse *u)
{
    return mem_printf("%s/secrets", u->paths->own);
}

static struct newest *newest_of(struct secretuse *u, struct span name)
{
    for (size_t i = 0; i < u->n; i++)
        if (span_eq_str(name, u->v[i].name))
            return &u->v[i];
    u->v = mem_realloc(u->v, u->n + 1, sizeof *u->v);
    u->v[u->n] = (struct newest){.issued_at = INT64_MIN};
    span_copy_str(name, u->v[u->n].name, sizeof u->v[u->n].name);
    return &u->v[u->n++];
}

static int load_newest(struct secretuse *u, struct error *err)
{
    struct buf text = {0};
    char *path = newest_path(u);
    int rc = u->loaded ? 0 : file_read(path, NEWEST_BYTES, &text, err);
    const char *at = buf_str(&text);
    while (rc == 0 && *at) {
        char *end;
        long long issued_at = strtoll(at, &end, 10);
        size_t n = strcspn(end, "\n");
        if (*end != ' ' || !name_is_name(span_of(end + 1, n - 1)))
            rc = error_set(err, -EBADMSG, "'%s' is damaged; remove it", path);
        else
            newest_of(u, span_of(end + 1, n - 1))->issued_at = issued_at;
        at = end + n + (end[n] == '\n');
    }
    u->loaded |= rc == 0 || rc == -ENOENT;
    mem_free(&path);
    buf_free(&text);
    return rc == -ENOENT ? 0 : rc;
}

static int by_issue(const void *a, const void *b)
{
    const struct newest *x = a, *y = b;
    return x->issued_at > y->issued_at ? -1 : x->issued_at < y->issued_at;
}

static int save_newest(struct secretuse *u, struct error *err)
{
    struct buf text = {0};
    char *path = newest_path(u);
    qsort(u->v, u->n, sizeof *u->v, by_issue); /* the oldest go if there are too many */
    for (size_t i = 0; i < u->n && text.n < NEWEST_BYTES - 2 * LIMIT_NAME; i++)
        buf_printf(&text, "%lld %s\n", (long long)u->v[i].issued_at, u->v[i].name);
    int rc = file_write_atomic(path, buf_span(&text), 0600, err);
    mem_free(&path);
    buf_free(&text);
    return rc;
}

static int judge_age(struct secretuse *u, const struct d_secret *d, struct error *err)
{
    int rc = load_newest(u, err);
    if (rc < 0)
        return rc;
    struct newest *n = newest_of(u, d->name);
    if (d->issued_at < n->issued_at)
        return error_set(err, -EPERM,
                         "secret '" SPAN_FMT "' is here in an older version than one that was used "
                         "here before",
                         SPAN_ARG(d->name));
    if (d->issued_at == n->issued_at)
        return 0;
    n->issued_at = d->issued_at;
    return save_newest(u, err);
}

/* ---- One secret */

static int read_kept(struct secretuse *u, const char *name, struct buf *bytes,
                     struct d_secret_kept *ret, struct error *err)
{
    char *path = mem_printf("%s/%s", u->paths->secrets, name);
    int rc = policy_read_of_worker(u->policy, path, KEPT_BYTES, bytes, err);
    if (rc == -ENOENT)
        error_set(err, rc,
                  "no secret '%s' is put to this server, or it was dropped; run: lbctl secret put "
                  "%s --to %s",
                  name, name, policy_self(u->policy)->name);
    else if (rc == 0 && (rc = d_secret_kept_decode(buf_span(bytes), ret, err)) < 0)
        error_prefix(err, "'%s' is damaged", path);
    mem_free(&path);
    return rc;
}

/* Which document counts, and this server's box in it. */
static int judge(struct secretuse *u, const struct d_secret_kept *k, const char *name, int64_t now,
                 struct d_secret *ret, struct d_secret_box *ret_box, struct error *err)
{
    const struct certificate *self = policy_self(u->policy);
    struct certificate by = {0};
    enum refusal ignored;
    int rc = secretdoc_judge(k, policy_anchors(u->policy), self, now, &by, ret, &ignored, err);
    if (rc < 0)
        return rc;
    if (policy_revoked(u->policy, by.serial))
        rc = error_set(err, -EPERM,
                       "secret '%s' was put by '%s', whose certificate (serial %llu) has been "
                       "revoked; somebody else must put it again",
                       name, by.name, (unsigned long long)by.serial);
    else if (!span_eq_str(ret->name, name))
        rc = error_set(err, -EPERM, "what is kept as secret '%s' is secret '" SPAN_FMT "'", name,
                       SPAN_ARG(ret->name));
    else if ((rc = judge_age(u, ret, err)) == 0 && ret->remove)
        rc = error_set(err, -EPERM, "secret '%s' was dropped by '%s'; put it again", name, by.name);
    else if (rc == 0 && !secretdoc_box(ret, self->name, &self->seal_key, ret_box))
        rc = error_set(err, -EPERM, "secret '%s' is not sealed to this server; put it again", name);
    certificate_free(&by);
    return rc;
}

static int add_use(struct secretuse *u, struct span secret, struct span declared, int64_t now,
                   struct buf *items, struct error *err)
{
    struct buf kept = {0}, head = {0}, one = {0};
    struct d_secret_kept k;
    struct d_secret d;
    struct d_secret_box box;
    char name[LIMIT_NAME + 1];
    int rc = name_check_name("the name of a secret", secret, err);
    if (rc < 0)
        return rc;
    span_copy_str(secret, name, sizeof name);
    if ((rc = read_kept(u, name, &kept, &k, err)) == 0 &&
        (rc = judge(u, &k, name, now, &d, &box, err)) == 0) {
        secretdoc_head(&d, &head);
        d_secret_use_encode(
            &(struct d_secret_use){.declared = declared, .secret = buf_span(&head), .key = box.key},
            &one);
        wire_add_bin(items, buf_span(&one));
        if (items->n > LIMIT_SECRET_USES - 64)
            rc = error_set(err, -EMSGSIZE, "the secrets of a step have more than %d bytes together",
                           LIMIT_SECRET_USES);
    }
    buf_free(&kept);
    buf_free(&head);
    buf_free(&one);
    return rc;
}

/* ---- All secrets of a step */

static int may_name(const struct secretuse *u, const struct certificate *caller, const char *name,
                    struct span address, struct error *err)
{
    const struct certificate *self = policy_self(u->policy);
    char to[LIMIT_ADDRESS + 1];
    if (!caller)
        return error_set(err, -EPERM, "a run by hand names no secret itself; let the job name '%s'",
                         name);
    span_copy_str(address, to, sizeof to);
    const bool by_name = strcmp(to, self->name) == 0;
    return grant_check(caller, VERB_SECRET, name, to,
                       by_name ? (const char *const *)self->pools : NULL,
                       by_name ? self->n_pools : 0, err);
}

static void write_uses(const struct buf *items, uint32_t n, struct buf *out)
{
    d_secret_uses_encode(&(struct d_secret_uses){.uses = wire_list_from(items, n)}, out);
}

int secretuse_make(struct secretuse *u, const struct bound *b, const struct certificate *caller,
                   struct span address, int64_t now, struct buf *out, enum refusal *ret_code,
                   struct error *err)
{
    struct buf items = {0};
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < b->n_secrets; i++) {
        const struct bound_secret *s = &b->secrets[i];
        *ret_code = REFUSAL_DENIED;
        if (s->of_call)
            rc = may_name(u, caller, s->name, address, err);
        if (rc < 0)
            break;
        *ret_code = REFUSAL_NO_SECRET;
        rc = add_use(u, span_str(s->name), s->declared, now, &items, err);
    }
    if (rc == 0 && b->n_secrets)
        write_uses(&items, b->n_secrets, out);
    buf_free(&items);
    return rc;
}

int secretuse_again(struct secretuse *u, struct buf *launch, int64_t now, enum refusal *ret_code,
                    struct error *err)
{
    struct s_launch l;
    struct d_secret_uses old;
    struct d_secret_use use;
    struct d_secret d;
    struct span item;
    struct buf items = {0}, uses = {0}, out = {0};
    *ret_code = REFUSAL_INTERNAL;
    int rc = wire_decode(&s_launch_schema, buf_span(launch), true, &l, err);
    if (rc < 0 || !l.secrets.n || (rc = d_secret_uses_decode(l.secrets, &old, err)) < 0)
        return rc;
    *ret_code = REFUSAL_NO_SECRET;
    for (struct wire_iter it = wire_iter(&old.uses); rc == 0 && wire_next(&it, &item);)
        if ((rc = d_secret_use_decode(item, &use, err)) == 0 &&
            (rc = d_secret_decode(use.secret, &d, err)) == 0)
            rc = add_use(u, d.name, use.declared, now, &items, err);
    if (rc == 0) {
        write_uses(&items, old.uses.count, &uses);
        l.secrets = buf_span(&uses);
        s_launch_encode(&l, &out);
        buf_free(launch);
        *launch = out;
    }
    buf_free(&items);
    buf_free(&uses);
    return rc;
}
