/* secretdocread.c - the form of secrets, without any cryptography: see secretdoc.h. */
#include "trust/secretdoc.h"

#include <errno.h>
#include <string.h>

#include "common/name.h"

int secretdoc_compare(struct span a, struct span b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int cmp = n ? memcmp(a.p, b.p, n) : 0;
    return cmp ? cmp : a.n < b.n ? -1 : a.n > b.n;
}

static int check_boxes(const struct d_secret *d, struct error *err)
{
    struct wire_iter it = wire_iter(&d->sealed);
    struct span item, last = SPAN_NONE;
    struct d_secret_box b;
    int rc = 0;
    while (rc == 0 && wire_next(&it, &item)) {
        rc = d_secret_box_decode(item, &b, err);
        if (rc == 0 && secretdoc_compare(last, b.server) >= 0)
            rc = error_set(err, -EPROTO, "the servers of a secret are not in order");
        last = b.server;
    }
    return rc;
}

int secretdoc_read(struct span bytes, struct d_signed *ret_signed, struct d_secret *ret,
                   struct error *err)
{
    struct d_signed s;
    struct d_secret d;
    int rc = d_signed_decode(bytes, &s, err);
    if (rc == 0)
        rc = d_secret_decode(s.body, &d, err);
    if (rc == 0)
        rc = name_check_name("the name of a secret", d.name, err);
    if (rc == 0)
        rc = name_check_name("the address of a secret", d.address, err);
    if (rc == 0 && d.remove && (d.value.n || d.sealed.count))
        rc = error_set(err, -EPROTO, "a mark that drops a secret has a value");
    if (rc == 0)
        rc = check_boxes(&d, err);
    if (rc < 0)
        return rc;
    *ret_signed = s;
    *ret = d;
    return 0;
}

bool secretdoc_box(const struct d_secret *d, const char *server, const struct hash *seal_key,
                   struct d_secret_box *ret)
{
    struct wire_iter it = wire_iter(&d->sealed);
    struct span item;
    while (wire_next(&it, &item))
        if (d_secret_box_decode(item, ret, NULL) == 0 && span_eq_str(ret->server, server) &&
            hash_eq(&ret->seal_key, seal_key))
            return true;
    return false;
}

void secretdoc_head(const struct d_secret *d, struct buf *out)
{
    struct d_secret head = *d;
    head.sealed = (struct wire_list){SPAN_NONE, 0};
    d_secret_encode(&head, out);
}

/* ---- {secret: NAME} */

bool secretdoc_is_use(const struct value *v, struct span *ret_name)
{
    struct wire_iter it = wire_iter(&v->items);
    struct span key;
    struct value name;
    if (v->type != VALUE_MAP || v->items.count != 1 || !wire_next_pair(&it, &key, &name) ||
        !span_eq_str(key, "secret") || name.type != VALUE_STR)
        return false;
    *ret_name = name.bytes;
    return true;
}

void secretdoc_add_use(struct buf *out, struct span name)
{
    value_add_map(out, 1);
    value_add_str(out, span_str("secret"));
    value_add_str(out, name);
}
