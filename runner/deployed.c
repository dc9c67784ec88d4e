/* deployed.c - see deployed.h. A line is "ISSUED_AT NAME ADDRESS". */
#include "runner/deployed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "trust/names.h"

enum { DEPLOYED_LINE_MAX = 20 + 1 + LIMIT_NAME + 1 + LIMIT_ADDRESS + 1 };

struct deployed_one {
    int64_t issued_at;
    char name[LIMIT_NAME + 1], address[LIMIT_ADDRESS + 1];
};

struct deployed {
    char *path;
    bool read;
    struct deployed_one *v;
    unsigned n;
};

struct deployed *deployed_new(const char *folder)
{
    struct deployed *d = mem_zalloc(1, sizeof *d);
    d->path = mem_printf("%s/deployed", folder);
    return d;
}

void deployed_free(struct deployed **d)
{
    if (!*d)
        return;
    mem_free(&(*d)->path);
    mem_free(&(*d)->v);
    mem_free(d);
}

/* A place for another; where there is none, that of the oldest. */
static struct deployed_one *add(struct deployed *d)
{
    if (d->n < DEPLOYED_MAX) {
        d->v = mem_realloc(d->v, d->n + 1, sizeof *d->v);
        return &d->v[d->n++];
    }
    struct deployed_one *oldest = d->v;
    for (unsigned i = 1; i < d->n; i++)
        if (d->v[i].issued_at < oldest->issued_at)
            oldest = &d->v[i];
    return oldest;
}

/* The text up to `end`, which moves *at behind it. */
static bool take_word(struct span *at, char end, char *ret, size_t room)
{
    const uint8_t *to = at->n ? memchr(at->p, end, at->n) : NULL;
    if (!to || !span_copy_str(span_of(at->p, (size_t)(to - at->p)), ret, room) || !*ret)
        return false;
    *at = span_of(to + 1, at->n - (size_t)(to + 1 - at->p));
    return true;
}

static int read_it(struct deployed *d, struct error *err)
{
    struct buf text = {0};
    struct deployed_one one;
    char number[32], *end;
    int rc = file_read(d->path, (size_t)DEPLOYED_MAX * DEPLOYED_LINE_MAX, &text, err);
    d->n = 0;
    for (struct span at = buf_span(&text); rc == 0 && at.n;) {
        if (take_word(&at, ' ', number, sizeof number) &&
            take_word(&at, ' ', one.name, sizeof one.name) &&
            take_word(&at, '\n', one.address, sizeof one.address) &&
            ((one.issued_at = strtoll(number, &end, 10)), *end == 0))
            *add(d) = one;
        else
            rc = error_set(err, -EPROTO,
                           "'%s' is damaged; remove it, and the server forgets which deployments "
                           "were the newest",
                           d->path);
    }
    buf_free(&text);
    if (rc == -ENOENT)
        rc = 0;
    d->read = rc == 0;
    return rc;
}

static int write_it(const struct deployed *d, struct error *err)
{
    struct buf text = {0};
    for (unsigned i = 0; i < d->n; i++)
        buf_printf(&text, "%" PRId64 " %s %s\n", d->v[i].issued_at, d->v[i].name, d->v[i].address);
    int rc = file_write_atomic(d->path, buf_span(&text), 0600, err);
    buf_free(&text);
    return rc;
}

int deployed_take(struct deployed *d, const struct d_deployment *x, struct error *err)
{
    struct deployed_one *o = NULL;
    int rc = d->read ? 0 : read_it(d, err);
    if (rc < 0)
        return rc;
    if (!name_is_good(x->name) ||
        !names_address_is_good(x->address)) /* they become words of a line */
        return error_set(err, -EINVAL, "the deployment has a bad name or address");
    for (unsigned i = 0; !o && i < d->n; i++)
        if (span_eq_str(x->name, d->v[i].name) && span_eq_str(x->address, d->v[i].address))
            o = &d->v[i];
    if (o && x->issued_at < o->issued_at)
        return error_set(err, -ESTALE,
                         "a newer deployment of package '%s' to '%s' was taken here; to go back to "
                         "version " SPAN_FMT ", deploy it again",
                         o->name, o->address, SPAN_ARG(x->version));
    if (o && x->issued_at == o->issued_at)
        return 0;
    if (!o)
        o = add(d);
    o->issued_at = x->issued_at;
    span_copy_str(x->name, o->name, sizeof o->name);
    span_copy_str(x->address, o->address, sizeof o->address);
    rc = write_it(d, err);
    d->read = rc == 0; /* else the file is asked again, so that both say the same */
    return rc;
}
