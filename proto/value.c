/* value.c - values: what parameters and outputs are made of. See wire.h. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/id.h"
#include "common/jsontext.h"
#include "common/mem.h"
#include "proto/limits.h"
#include "proto/pack.h"
#include "proto/wire_read.h"

bool value_read(struct span *in, struct value *ret)
{
    struct span start = *in, rest = *in;
    struct item it;
    static const enum value_type types[] = {
        [ITEM_NIL] = VALUE_NULL, [ITEM_BOOL] = VALUE_BOOL,   [ITEM_UINT] = VALUE_INT,
        [ITEM_INT] = VALUE_INT,  [ITEM_FLOAT] = VALUE_FLOAT, [ITEM_STR] = VALUE_STR,
        [ITEM_BIN] = VALUE_BIN,  [ITEM_ARRAY] = VALUE_LIST,  [ITEM_MAP] = VALUE_MAP,
    };
    if (item_read(&rest, &it) || item_skip(in, LIMIT_DEPTH + 1))
        return false;
    *ret = (struct value){
        .type = types[it.type], .boolean = it.boolean, .real = it.real, .bytes = it.bytes};
    ret->integer = it.type == ITEM_UINT ? (int64_t)it.u : it.i;
    ret->raw = (struct span){start.p, (size_t)(in->p - start.p)};
    if (it.type == ITEM_ARRAY || it.type == ITEM_MAP)
        ret->items = (struct wire_list){{rest.p, (size_t)(in->p - rest.p)}, (uint32_t)it.u};
    return true;
}

bool wire_next_pair(struct wire_iter *it, struct span *ret_name, struct value *ret_value)
{
    struct item key;
    if (it->left == 0 || item_read(&it->rest, &key) || key.type != ITEM_STR ||
        !value_read(&it->rest, ret_value))
        return false;
    it->left--;
    *ret_name = key.bytes;
    return true;
}

bool wire_map_get(const struct wire_list *map, const char *name, struct value *ret)
{
    struct span key;
    struct value v;
    for (struct wire_iter it = wire_iter(map); wire_next_pair(&it, &key, &v);)
        if (span_eq_str(key, name)) {
            *ret = v;
            return true;
        }
    return false;
}

void value_add_null(struct buf *b)
{
    msgpack_packer pk;
    pack_init(&pk, b);
    msgpack_pack_nil(&pk);
}

void value_add_bool(struct buf *b, bool v)
{
    msgpack_packer pk;
    pack_init(&pk, b);
    v ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk);
}

void value_add_int(struct buf *b, int64_t v)
{
    msgpack_packer pk;
    pack_init(&pk, b);
    msgpack_pack_int64(&pk, v);
}

void value_add_float(struct buf *b, double v)
{
    msgpack_packer pk;
    assert(isfinite(v));
    pack_init(&pk, b);
    msgpack_pack_double(&pk, v);
}

void value_add_str(struct buf *b, struct span v)
{
    pack_str(b, v);
}

void value_add_list(struct buf *b, uint32_t count)
{
    msgpack_packer pk;
    pack_init(&pk, b);
    msgpack_pack_array(&pk, count);
}

void value_add_map(struct buf *b, uint32_t count)
{
    msgpack_packer pk;
    pack_init(&pk, b);
    msgpack_pack_map(&pk, count);
}

/* The shortest decimal text that reads back as the same number, and that JSON takes for a number
   with a fraction. */
static void float_text(double v, struct buf *out)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_add_str(out, text);
    if (!strpbrk(text, ".e"))
        buf_add_str(out, ".0");
}

static void list_to_json(const struct value *v, struct buf *out)
{
    struct span rest = v->items.items;
    struct value item;
    buf_add_str(out, "[");
    for (uint32_t i = 0; i < v->items.count && value_read(&rest, &item); i++) {
        if (i)
            buf_add_str(out, ",");
        value_to_json(&item, out);
    }
    buf_add_str(out, "]");
}

void wire_map_to_json(const struct wire_list *map, struct buf *out)
{
    struct span name;
    struct value v;
    const char *between = "";
    buf_add_str(out, "{");
    for (struct wire_iter it = wire_iter(map); wire_next_pair(&it, &name, &v); between = ",") {
        buf_add_str(out, between);
        json_escape(out, name);
        buf_add_str(out, ":");
        value_to_json(&v, out);
    }
    buf_add_str(out, "}");
}

void value_to_json(const struct value *v, struct buf *out)
{
    switch (v->type) {
    case VALUE_NULL:
        buf_add_str(out, "null");
        break;
    case VALUE_BOOL:
        buf_add_str(out, v->boolean ? "true" : "false");
        break;
    case VALUE_INT:
        buf_printf(out, "%lld", (long long)v->integer);
        break;
    case VALUE_FLOAT:
        float_text(v->real, out);
        break;
    case VALUE_STR:
        json_escape(out, v->bytes);
        break;
    case VALUE_BIN: {
        char *text = b64_format(v->bytes);
        json_escape(out, span_str(text));
        mem_free(&text);
        break;
    }
    case VALUE_LIST:
        list_to_json(v, out);
        break;
    case VALUE_MAP:
        wire_map_to_json(&v->items, out);
        break;
    }
}

void value_to_text(const struct value *v, struct buf *out)
{
    if (v->type == VALUE_STR)
        buf_add(out, v->bytes.p, v->bytes.n);
    else if (v->type != VALUE_NULL)
        value_to_json(v, out);
}

int value_check(struct span in, struct error *err)
{
    const char *why = item_skip_value(&in, LIMIT_DEPTH);
    if (!why && in.n)
        why = "is followed by more bytes";
    return why ? error_set(err, -EPROTO, "the value %s", why) : 0;
}
