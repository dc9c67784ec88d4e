/* wire.c - encodes and decodes by tables of fields; see wire.h. Packing is msgpack-c's (its inline
 * packer, nothing of its library is linked); reading is wire_read.c's. */
#include "proto/wire.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <msgpack/pack.h>

#include "common/mem.h"
#include "proto/wire_read.h"
#include "proto/limits.h"
#include "proto/pack.h"

bool hash_eq(const struct hash *a, const struct hash *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool hash_is_zero(const struct hash *h)
{
    static const struct hash zero;
    return hash_eq(h, &zero);
}

/* ---- Encoding */

static void pack_list(msgpack_packer *pk, struct buf *out, const struct wire_list *l, uint64_t most)
{
    assert(l->count <= most);
    msgpack_pack_array(pk, l->count);
    buf_add(out, l->items.p, l->items.n);
}

static void pack_field(msgpack_packer *pk, struct buf *out, const struct wire_field *f,
                       const uint8_t *at)
{
    switch (f->type) {
    case WIRE_u64: {
        uint64_t v = *(const uint64_t *)(const void *)at;
        assert(v <= f->most);
        msgpack_pack_uint64(pk, v);
        break;
    }
    case WIRE_i64:
        msgpack_pack_int64(pk, *(const int64_t *)(const void *)at);
        break;
    case WIRE_flag:
        *(const bool *)at ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
        break;
    case WIRE_str:
    case WIRE_bin: {
        const struct span *v = (const struct span *)(const void *)at;
        assert(v->n <= f->most);
        f->type == WIRE_str ? pack_str(out, *v) : pack_bin(out, *v);
        break;
    }
    case WIRE_id:
        pack_bin(out, (struct span){at, sizeof(struct id)});
        break;
    case WIRE_hash:
        pack_bin(out, (struct span){at, sizeof(struct hash)});
        break;
    case WIRE_strs:
    case WIRE_bins:
        pack_list(pk, out, (const struct wire_list *)(const void *)at, f->most);
        break;
    case WIRE_map: {
        const struct wire_list *l = (const struct wire_list *)(const void *)at;
        assert(l->count <= LIMIT_VALUES && l->items.n <= f->most);
        msgpack_pack_map(pk, l->count);
        buf_add(out, l->items.p, l->items.n);
        break;
    }
    }
}

/* How many fields are written: appended ones that are empty at the end are left out, so that what
 * does not use them has the bytes, and the digest, that it has always had. */
static unsigned written_fields(const struct wire_schema *s, const struct wire_field *f,
                               const uint8_t *msg)
{
    unsigned n = s->count;
    while (n > s->required) {
        struct span value; /* what is appended is of type str */
        memcpy(&value, msg + f[n - 1].offset, sizeof value);
        if (value.n)
            break;
        n--;
    }
    return n;
}

void wire_encode(const struct wire_schema *s, const void *msg, struct buf *out)
{
    msgpack_packer pk;
    const struct wire_field *f = s->fields();
    const unsigned count = written_fields(s, f, msg);
    pack_init(&pk, out);
    msgpack_pack_array(&pk, count + 1);
    msgpack_pack_uint64(&pk, s->kind);
    for (unsigned i = 0; i < count; i++)
        pack_field(&pk, out, &f[i], (const uint8_t *)msg + f[i].offset);
}

/* ---- Decoding */

static const char *read_number(const struct wire_field *f, const struct item *it, uint8_t *at)
{
    if (f->type == WIRE_u64) {
        if (it->type != ITEM_UINT)
            return "is not a whole number of 0 or more";
        if (it->u > f->most)
            return "is greater than its limit";
        memcpy(at, &it->u, sizeof it->u);
        return NULL;
    }
    if (it->type != ITEM_INT && it->type != ITEM_UINT)
        return "is not a whole number";
    if (it->type == ITEM_UINT && it->u > INT64_MAX)
        return "is greater than its limit";
    int64_t v = it->type == ITEM_INT ? it->i : (int64_t)it->u;
    if (f->most && (v > (int64_t)f->most || v < -(int64_t)f->most))
        return "is greater than its limit";
    memcpy(at, &v, sizeof v);
    return NULL;
}

static const char *read_bytes(const struct wire_field *f, const struct item *it, uint8_t *at)
{
    enum item_type want = f->type == WIRE_str ? ITEM_STR : ITEM_BIN;
    if (it->type != want)
        return want == ITEM_STR ? "is not a string" : "is not a byte string";
    if (f->type == WIRE_id || f->type == WIRE_hash) {
        size_t n = f->type == WIRE_id ? sizeof(struct id) : sizeof(struct hash);
        if (it->bytes.n != n)
            return f->type == WIRE_id ? "is not 16 bytes long" : "is not 32 bytes long";
        memcpy(at, it->bytes.p, n);
        return NULL;
    }
    if (it->bytes.n > f->most)
        return "is longer than its limit";
    memcpy(at, &it->bytes, sizeof it->bytes);
    return NULL;
}

static const char *read_list(const struct wire_field *f, const struct item *it, struct span *in,
                             uint8_t *at)
{
    if (it->type != ITEM_ARRAY)
        return "is not an array";
    if (it->u > f->most)
        return "has more entries than its limit";
    struct wire_list l = {.items = {in->p, 0}, .count = (uint32_t)it->u};
    for (uint32_t i = 0; i < l.count; i++) {
        struct item e;
        const char *why = item_read(in, &e);
        if (why)
            return why;
        if (e.type != (f->type == WIRE_strs ? ITEM_STR : ITEM_BIN))
            return f->type == WIRE_strs ? "has an entry that is not a string"
                                        : "has an entry that is not a byte string";
    }
    l.items.n = (size_t)(in->p - l.items.p);
    memcpy(at, &l, sizeof l);
    return NULL;
}

static const char *read_map(const struct wire_field *f, struct span *in, uint8_t *at)
{
    struct span head = *in;
    struct item it;
    const char *why = item_skip_value(in, LIMIT_DEPTH);
    if (why)
        return why;
    item_read(&head, &it);
    if (it.type != ITEM_MAP)
        return "is not a map";
    struct wire_list l = {.items = {head.p, (size_t)(in->p - head.p)}, .count = (uint32_t)it.u};
    if (l.items.n > f->most)
        return "is longer than its limit";
    memcpy(at, &l, sizeof l);
    return NULL;
}

static const char *read_field(const struct wire_field *f, struct span *in, uint8_t *msg)
{
    struct item it;
    if (f->type == WIRE_map)
        return read_map(f, in, msg + f->offset);
    const char *why = item_read(in, &it);
    if (why)
        return why;
    switch (f->type) {
    case WIRE_u64:
    case WIRE_i64:
        return read_number(f, &it, msg + f->offset);
    case WIRE_flag:
        if (it.type != ITEM_BOOL)
            return "is not a boolean";
        *(bool *)(msg + f->offset) = it.boolean;
        return NULL;
    case WIRE_strs:
    case WIRE_bins:
        return read_list(f, &it, in, msg + f->offset);
    default:
        return read_bytes(f, &it, msg + f->offset);
    }
}

static int is_limit(const char *why)
{
    return strstr(why, "limit") || strstr(why, "too") ? -EMSGSIZE : -EPROTO;
}

/* The array's header and kind; *ret_fields: how many fields follow. */
static int read_head(const struct wire_schema *s, struct span *in, bool newer, uint64_t *ret_fields,
                     struct error *err)
{
    struct item it, kind;
    const char *why = item_read(in, &it);
    if (!why && it.type != ITEM_ARRAY)
        why = "is not an array";
    if (!why)
        why = it.u == 0 ? "is empty" : item_read(in, &kind);
    if (why)
        return error_set(err, -EPROTO, "%s: the message %s", s->name, why);
    if (kind.type != ITEM_UINT || kind.u != s->kind)
        return error_set(err, -EPROTO, "%s: wrong kind of message", s->name);
    *ret_fields = it.u - 1;
    if (*ret_fields < s->required)
        return error_set(err, -EPROTO, "%s: %llu fields are missing", s->name,
                         (unsigned long long)(s->required - *ret_fields));
    if (*ret_fields > s->count && !newer)
        return error_set(err, -EPROTO, "%s: %llu unexpected fields", s->name,
                         (unsigned long long)(*ret_fields - s->count));
    return 0;
}

int wire_decode(const struct wire_schema *s, struct span in, bool newer, void *ret_msg,
                struct error *err)
{
    uint64_t fields = 0;
    /* filled separately, so that *ret_msg is written only on success */
    _Alignas(16) uint8_t msg[1024];
    assert(s->size <= sizeof msg);
    memset(msg, 0, s->size);
    int rc = read_head(s, &in, newer, &fields, err);
    if (rc < 0)
        return rc;
    const struct wire_field *f = s->fields();
    for (uint64_t i = 0; i < fields; i++) {
        const char *why = i < s->count ? read_field(&f[i], &in, msg) : item_skip(&in, LIMIT_DEPTH);
        if (why)
            return error_set(err, is_limit(why), "%s: field '%s' %s", s->name,
                             i < s->count ? f[i].name : "(unknown)", why);
    }
    if (in.n)
        return error_set(err, -EPROTO, "%s: %zu bytes follow the message", s->name, in.n);
    memcpy(ret_msg, msg, s->size);
    return 0;
}

struct span wire_fit(struct span message, unsigned count, struct buf *scratch)
{
    struct span rest = message;
    struct item head;
    if (item_read(&rest, &head) || head.type != ITEM_ARRAY || head.u <= count + 1)
        return message;
    const struct span kept = rest;
    for (unsigned i = 0; i < count + 1; i++)
        if (item_skip(&rest, LIMIT_DEPTH))
            return message;
    buf_clear(scratch);
    value_add_list(scratch, count + 1);
    buf_add(scratch, kept.p, kept.n - rest.n);
    return buf_span(scratch);
}

int wire_peek(struct span in, uint64_t *ret_kind, size_t *ret_size, struct error *err)
{
    struct span rest = in;
    struct item head, kind;
    const char *why = item_read(&rest, &head);
    if (!why && (head.type != ITEM_ARRAY || head.u == 0))
        why = "is not an array with a kind";
    if (!why)
        why = item_read(&rest, &kind);
    if (!why && kind.type != ITEM_UINT)
        why = "has a kind that is not a number";
    rest = in;
    if (!why)
        why = item_skip(&rest, LIMIT_DEPTH + 1);
    if (why)
        return error_set(err, -EPROTO, "the message %s", why);
    *ret_kind = kind.u;
    *ret_size = in.n - rest.n;
    return 0;
}

/* ---- Lists */

struct wire_iter wire_iter(const struct wire_list *l)
{
    return (struct wire_iter){l->items, l->count};
}

bool wire_next(struct wire_iter *it, struct span *ret_item)
{
    struct item e;
    if (it->left == 0 || item_read(&it->rest, &e) || (e.type != ITEM_STR && e.type != ITEM_BIN))
        return false;
    it->left--;
    *ret_item = e.bytes;
    return true;
}

bool wire_list_has(const struct wire_list *l, const char *s)
{
    struct span e;
    for (struct wire_iter it = wire_iter(l); wire_next(&it, &e);)
        if (span_eq_str(e, s))
            return true;
    return false;
}

void wire_add_str(struct buf *items, struct span s)
{
    pack_str(items, s);
}

void wire_add_bin(struct buf *items, struct span s)
{
    pack_bin(items, s);
}

struct wire_list wire_list_from(const struct buf *items, uint32_t count)
{
    return (struct wire_list){buf_span(items), count};
}
