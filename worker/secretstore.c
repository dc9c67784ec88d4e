/* secretstore.c - see secretstore.h. */
#include "worker/secretstore.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/name.h"
#include "trust/envelope.h"
#include "trust/secretdoc.h"

struct stored_secret {
    char *name;
    struct hash wanted, here; /* documents; zero: none */
    bool removed;             /* what is here is a mark */
    char by[LIMIT_NAME + 1], address[LIMIT_ADDRESS + 1];
    struct hash sealed_to; /* the seal key of ours to which it is sealed; zero: to none */
};

struct secretstore {
    char *folder;
    const struct trust_anchors *anchors;
    const struct certificate *me;
    struct secretstore_calls calls;
    struct stored_secret *v;
    size_t n;
    uint64_t req, last_req; /* req: of the request without an answer yet; 0: none */
    size_t asked;           /* for which of v */
    int64_t rest_until;     /* boot; 0: not at rest */
    bool listed;            /* SECRETS has come */
    struct buf message;
};

static struct stored_secret *find(const struct secretstore *s, struct span name)
{
    for (size_t i = 0; i < s->n; i++)
        if (span_eq_str(name, s->v[i].name))
            return &s->v[i];
    return NULL;
}

static struct stored_secret *find_or_add(struct secretstore *s, struct span name)
{
    struct stored_secret *e = find(s, name);
    if (e)
        return e;
    s->v = mem_realloc(s->v, s->n + 1, sizeof *s->v);
    s->v[s->n] = (struct stored_secret){.name = span_dup_str(name)};
    return &s->v[s->n++];
}

static char *path_of(const struct secretstore *s, const char *name)
{
    return mem_printf("%s/%s", s->folder, name);
}

/* A seal key of ours is in it, perhaps an older one: which, is asked again at each look. */
static void note(struct secretstore *s, const struct d_secret *d, struct span secret)
{
    struct stored_secret *e = find_or_add(s, d->name);
    struct d_secret_box box;
    envelope_hash(secret, &e->here);
    e->removed = d->remove;
    span_copy_str(d->by, e->by, sizeof e->by);
    span_copy_str(d->address, e->address, sizeof e->address);
    e->sealed_to = secretdoc_box(d, s->me->name, &s->me->seal_key, &box) ? s->me->seal_key
                                                                         : (struct hash){{0}};
}

/* ---- What is on disk */

static void read_one(struct secretstore *s, const char *name)
{
    struct buf bytes = {0};
    struct d_secret_kept k;
    struct d_signed envelope;
    struct d_secret d;
    struct error err = {0};
    if (!name_is_name(span_str(name)))
        return;
    char *path = path_of(s, name);
    int rc = file_read(path, LIMIT_SECRET + LIMIT_CERTIFICATE + 64, &bytes, &err);
    if (rc == 0 && (rc = d_secret_kept_decode(buf_span(&bytes), &k, &err)) == 0 &&
        (rc = secretdoc_read(k.secret, &envelope, &d, &err)) == 0 && span_eq_str(d.name, name))
        note(s, &d, k.secret);
    if (rc < 0)
        log_warn("'%s' is fetched again: %s", path, err.text);
    mem_free(&path);
    buf_free(&bytes);
}

int secretstore_open(struct secretstore **ret, const char *folder,
                     const struct trust_anchors *anchors, const struct certificate *me,
                     const struct secretstore_calls *calls, struct error *err)
{
    int rc = file_make_dirs(folder, 0700, err);
    DIR *d = rc == 0 ? opendir(folder) : NULL;
    if (rc < 0)
        return rc;
    if (!d)
        return error_errno(err, errno, "cannot read the folder '%s'", folder);
    struct secretstore *s = mem_zalloc(1, sizeof *s);
    s->folder = mem_strdup(folder);
    s->anchors = anchors;
    s->me = me;
    s->calls = *calls;
    s->last_req = SECRETSTORE_REQ;
    for (struct dirent *e; (e = readdir(d));)
        read_one(s, e->d_name);
    closedir(d);
    *ret = s;
    return 0;
}

void secretstore_close(struct secretstore **ps)
{
    struct secretstore *s = *ps;
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        mem_free(&s->v[i].name);
    mem_free(&s->v);
    mem_free(&s->folder);
    buf_free(&s->message);
    mem_free(ps);
}

/* ---- Fetching */

static void ask_next(struct secretstore *s, int64_t now)
{
    if (s->req || now < s->rest_until)
        return;
    s->rest_until = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (hash_is_zero(&s->v[i].wanted) || hash_eq(&s->v[i].wanted, &s->v[i].here))
            continue;
        const struct m_secret_get m = {.req = ++s->last_req, .document = s->v[i].wanted};
        buf_clear(&s->message);
        m_secret_get_encode(&m, &s->message);
        if (s->calls.send(s->calls.self, buf_span(&s->message)) == 0) {
            s->req = m.req;
            s->asked = i;
        } else
            s->rest_until = now + 1000; /* the next session, or the next tick, asks again */
        return;
    }
}

static void rest(struct secretstore *s, int64_t now, const char *why)
{
    log_error("secret '%s' cannot be fetched: %s", s->v[s->asked].name, why);
    s->req = 0;
    s->rest_until = now + SECRETSTORE_RETRY_MS;
}

/* What is not listed is none of this server's any more. */
static void remove_unlisted(struct secretstore *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct stored_secret *e = &s->v[i];
        if (!hash_is_zero(&e->wanted)) {
            s->v[n++] = *e;
            continue;
        }
        char *path = path_of(s, e->name);
        if (unlink(path) < 0 && errno != ENOENT)
            log_error("cannot remove '%s': %s", path, strerror(errno));
        mem_free(&path);
        mem_free(&e->name);
    }
    s->n = n;
}

void secretstore_set(struct secretstore *s, const struct m_secrets *m, int64_t now)
{
    struct wire_iter it = wire_iter(&m->secrets);
    struct d_secret_listed l;
    struct span item;
    for (size_t i = 0; i < s->n; i++)
        s->v[i].wanted = (struct hash){{0}};
    while (wire_next(&it, &item))
        if (d_secret_listed_decode(item, &l, NULL) == 0 && name_is_name(l.name))
            find_or_add(s, l.name)->wanted = l.document;
    remove_unlisted(s);
    s->req = 0; /* an answer that is still on its way has an older number */
    s->rest_until = 0;
    s->listed = true;
    s->calls.changed(s->calls.self);
    ask_next(s, now);
}

static int keep(struct secretstore *s, const struct m_secret *m, int64_t wall, struct error *err)
{
    const struct d_secret_kept k = {.secret = m->secret, .certificate = m->certificate};
    struct certificate by = {0};
    struct d_secret d;
    struct hash document;
    struct buf bytes = {0};
    enum refusal code;
    envelope_hash(m->secret, &document);
    if (!hash_eq(&document, &s->v[s->asked].wanted))
        return error_set(err, -EBADMSG, "the broker has sent another document");
    int rc = secretdoc_judge(&k, s->anchors, s->me, wall, &by, &d, &code, err);
    if (rc < 0)
        return rc;
    certificate_free(&by);
    if (!span_eq_str(d.name, s->v[s->asked].name))
        return error_set(err, -EBADMSG, "the document is of secret '" SPAN_FMT "'",
                         SPAN_ARG(d.name));
    char *path = path_of(s, s->v[s->asked].name);
    d_secret_kept_encode(&k, &bytes);
    rc = file_write_atomic(path, buf_span(&bytes), 0600, err);
    if (rc == 0)
        note(s, &d, m->secret);
    mem_free(&path);
    buf_free(&bytes);
    return rc;
}

void secretstore_take(struct secretstore *s, const struct m_secret *m, int64_t now, int64_t wall)
{
    struct error err = {0};
    if (!s->req || m->req != s->req)
        return;
    if (keep(s, m, wall, &err) < 0) {
        rest(s, now, err.text);
        return;
    }
    s->req = 0;
    log_info("secret '%s' is here", s->v[s->asked].name);
    s->calls.changed(s->calls.self);
    ask_next(s, now);
}

bool secretstore_error(struct secretstore *s, const struct m_error *m, int64_t now)
{
    char text[ERROR_TEXT_MAX];
    if (m->req <= SECRETSTORE_REQ)
        return false;
    if (s->req && m->req == s->req) {
        span_copy_str(m->text, text, sizeof text);
        rest(s, now, text);
    }
    return true;
}

void secretstore_again(struct secretstore *s, int64_t now)
{
    s->req = 0;
    s->rest_until = 0;
    ask_next(s, now);
}

int64_t secretstore_deadline(const struct secretstore *s)
{
    return s->rest_until && !s->req ? s->rest_until : INT64_MAX;
}

void secretstore_tick(struct secretstore *s, int64_t now)
{
    s->rest_until = 0;
    ask_next(s, now);
}

/* ---- Is it here? */

bool secretstore_holds(const struct secretstore *s, struct span need, char *trouble, size_t size)
{
    const size_t head = strlen(SECRETDOC_NEED);
    const struct span name = need.n > head ? span_of(need.p + head, need.n - head) : SPAN_NONE;
    const struct stored_secret *e = find(s, name);
    *trouble = 0;
    if (!e || (hash_is_zero(&e->here) && hash_is_zero(&e->wanted)))
        snprintf(trouble, size,
                 "no secret '" SPAN_FMT "' is put to this server; run: lbctl secret "
                 "put " SPAN_FMT " --to %s",
                 SPAN_ARG(name), SPAN_ARG(name), s->me->name);
    else if (s->listed && !hash_eq(&e->here, &e->wanted))
        snprintf(trouble, size, "secret '%s' is still to be fetched from the broker", e->name);
    else if (e->removed)
        snprintf(trouble, size, "secret '%s' was dropped by '%s'; put it again", e->name, e->by);
    else if (!hash_eq(&e->sealed_to, &s->me->seal_key))
        snprintf(trouble, size,
                 "secret '%s' is not sealed to this server; put it again (lbctl secret put %s --to "
                 "%s)",
                 e->name, e->name, e->address);
    return !*trouble;
}
