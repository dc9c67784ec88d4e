/* secretopen.c - see secretopen.h. */
#include "runner/secretopen.h"

#include <errno.h>
#include <string.h>

#include "runner/typed.h"
#include "trust/secretdoc.h"

static void wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->cap);
    buf_free(b);
}

static int open_one(const struct d_secret_use *use, const struct seal_key *key, struct buf *items,
                    struct error *err)
{
    struct d_parameter p;
    struct d_secret d;
    struct buf plain = {0}, text = {0};
    struct value v;
    int rc = d_parameter_decode(use->declared, &p, err);
    if (rc == 0)
        rc = d_secret_decode(use->secret, &d, err);
    if (rc == 0)
        rc = secretdoc_open(&d, use->key, key, &plain, err);
    if (rc == 0) {
        buf_grow(&text, plain.n + 16); /* so that no copy is left behind as it grows */
        value_add_str(&text, buf_span(&plain));
        struct span in = buf_span(&text);
        value_read(&in, &v);
        value_add_str(items, p.name);
        if ((rc = typed_value("parameter", &p, &v, items, err)) < 0)
            error_prefix(err, "secret '" SPAN_FMT "'", SPAN_ARG(d.name));
    }
    wipe(&plain);
    wipe(&text);
    return rc;
}

int secretopen_all(const char *seal_key_path, struct s_launch *l, struct buf *ret,
                   struct error *err)
{
    struct seal_key key = {0};
    struct d_secret_uses uses;
    struct d_secret_use use;
    struct span item;
    struct buf items = {0};
    if (!l->secrets.n)
        return 0;
    int rc = d_secret_uses_decode(l->secrets, &uses, err);
    if (rc == 0 && (rc = seal_key_load(seal_key_path, &key, err)) < 0)
        return error_prefix(err, "no secret can be opened here");
    if (rc < 0)
        return rc;
    /* a value that is typed may be longer than its text, as numbers in JSON are */
    buf_grow(&items, l->parameters.items.n + l->secrets.n * 8 + 64);
    buf_add(&items, l->parameters.items.p, l->parameters.items.n);
    for (struct wire_iter it = wire_iter(&uses.uses); rc == 0 && wire_next(&it, &item);)
        if ((rc = d_secret_use_decode(item, &use, err)) == 0)
            rc = open_one(&use, &key, &items, err);
    seal_key_forget(&key);
    if (rc < 0) {
        wipe(&items);
        return rc;
    }
    *ret = items;
    l->parameters = wire_list_from(ret, l->parameters.count + uses.uses.count);
    return 0;
}
