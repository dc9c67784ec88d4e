/* wire_read.c - see wire_read.h. Nothing is allocated; every length is compared with what is left
 * before it is used. */
#include "proto/wire_read.h"

#include <math.h>
#include <string.h>

static const char truncated[] = "truncated";
static const char not_shortest[] = "not in its shortest form";

static uint64_t big_endian(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* Takes n bytes as a number. */
static const char *take_number(struct span *in, unsigned n, uint64_t *ret)
{
    if (in->n < n)
        return truncated;
    *ret = big_endian(in->p, n);
    in->p += n;
    in->n -= n;
    return NULL;
}

static const char *take_bytes(struct span *in, uint64_t n, struct span *ret)
{
    if (in->n < n)
        return truncated;
    *ret = (struct span){in->p, (size_t)n};
    in->p += n;
    in->n -= (size_t)n;
    return NULL;
}

bool wire_utf8_valid(struct span s)
{
    size_t i = 0;
    while (i < s.n) {
        uint8_t c = s.p[i];
        if (c == 0)
            return false;
        if (c < 0x80) {
            i++;
            continue;
        }
        unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (c < 0xc2 || c > 0xf4 || s.n - i <= more)
            return false;
        uint32_t v = c & (0x3fu >> more);
        for (unsigned k = 1; k <= more; k++) {
            if ((s.p[i + k] & 0xc0) != 0x80)
                return false;
            v = v << 6 | (s.p[i + k] & 0x3f);
        }
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (v < least[more] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
            return false;
        i += more + 1;
    }
    return true;
}

static const char *text_item(struct span *in, uint64_t n, struct item *ret)
{
    const char *why = take_bytes(in, n, &ret->bytes);
    if (why)
        return why;
    ret->type = ITEM_STR;
    return wire_utf8_valid(ret->bytes) ? NULL : "not valid UTF-8 without NUL";
}

static const char *counted_item(struct span *in, enum item_type type, uint64_t n, struct item *ret)
{
    ret->type = type;
    ret->u = n;
    /* Each element takes at least one byte: a header that promises more than is there is refused
     * before its elements are read. */
    return n > (type == ITEM_MAP ? in->n / 2 : in->n) ? "has fewer bytes than entries" : NULL;
}

static const char *unsigned_item(struct span *in, unsigned size, uint64_t least, struct item *ret)
{
    const char *why = take_number(in, size, &ret->u);
    ret->type = ITEM_UINT;
    return why ? why : ret->u < least ? not_shortest : NULL;
}

static const char *signed_item(struct span *in, unsigned size, int64_t below, struct item *ret)
{
    uint64_t v;
    const char *why = take_number(in, size, &v);
    if (why)
        return why;
    unsigned shift = 64 - 8 * size;
    ret->type = ITEM_INT;
    ret->i = (int64_t)(v << shift) >> shift;
    return ret->i >= below ? not_shortest : NULL;
}

static const char *float_item(struct span *in, struct item *ret)
{
    uint64_t v;
    const char *why = take_number(in, 8, &v);
    if (why)
        return why;
    memcpy(&ret->real, &v, sizeof v);
    ret->type = ITEM_FLOAT;
    return isfinite(ret->real) ? NULL : "not a finite number";
}

/* Lengths of 1, 2 or 4 bytes; `least`: below it a shorter form exists. */
static const char *sized(struct span *in, unsigned size, uint64_t least, uint64_t *ret)
{
    const char *why = take_number(in, size, ret);
    return why ? why : *ret < least ? not_shortest : NULL;
}

static const char *long_item(uint8_t head, struct span *in, struct item *ret)
{
    uint64_t n;
    const char *why;
    switch (head) {
    case 0xc4:
    case 0xc5:
    case 0xc6:
        why = sized(in, 1u << (head - 0xc4), head == 0xc4 ? 0 : head == 0xc5 ? 0x100 : 0x10000, &n);
        ret->type = ITEM_BIN;
        return why ? why : take_bytes(in, n, &ret->bytes);
    case 0xd9:
    case 0xda:
    case 0xdb:
        why = sized(in, 1u << (head - 0xd9),
                    head == 0xd9   ? 32
                    : head == 0xda ? 0x100
                                   : 0x10000,
                    &n);
        return why ? why : text_item(in, n, ret);
    case 0xdc:
    case 0xdd:
        why = sized(in, head == 0xdc ? 2 : 4, head == 0xdc ? 16 : 0x10000, &n);
        return why ? why : counted_item(in, ITEM_ARRAY, n, ret);
    case 0xde:
    case 0xdf:
        why = sized(in, head == 0xde ? 2 : 4, head == 0xde ? 16 : 0x10000, &n);
        return why ? why : counted_item(in, ITEM_MAP, n, ret);
    default:
        return "of a type that the protocol does not use";
    }
}

const char *item_read(struct span *in, struct item *ret)
{
    if (in->n == 0)
        return truncated;
    uint8_t head = *in->p;
    in->p++;
    in->n--;
    *ret = (struct item){0};
    if (head <= 0x7f) {
        ret->type = ITEM_UINT;
        ret->u = head;
        return NULL;
    }
    if (head >= 0xe0) {
        ret->type = ITEM_INT;
        ret->i = (int64_t)head - 0x100;
        return NULL;
    }
    if (head <= 0x8f)
        return counted_item(in, ITEM_MAP, head & 0x0f, ret);
    if (head <= 0x9f)
        return counted_item(in, ITEM_ARRAY, head & 0x0f, ret);
    if (head <= 0xbf)
        return text_item(in, head & 0x1f, ret);
    switch (head) {
    case 0xc0:
        ret->type = ITEM_NIL;
        return NULL;
    case 0xc2:
    case 0xc3:
        ret->type = ITEM_BOOL;
        ret->boolean = head == 0xc3;
        return NULL;
    case 0xcb:
        return float_item(in, ret);
    case 0xcc:
        return unsigned_item(in, 1, 0x80, ret);
    case 0xcd:
        return unsigned_item(in, 2, 0x100, ret);
    case 0xce:
        return unsigned_item(in, 4, 0x10000, ret);
    case 0xcf:
        return unsigned_item(in, 8, 0x100000000, ret);
    case 0xd0:
        return signed_item(in, 1, -32, ret);
    case 0xd1:
        return signed_item(in, 2, INT8_MIN, ret);
    case 0xd2:
        return signed_item(in, 4, INT16_MIN, ret);
    case 0xd3:
        return signed_item(in, 8, INT32_MIN, ret);
    default:
        return long_item(head, in, ret);
    }
}

const char *item_skip(struct span *in, unsigned depth)
{
    struct item it;
    const char *why = item_read(in, &it);
    if (why || (it.type != ITEM_ARRAY && it.type != ITEM_MAP))
        return why;
    if (depth == 0)
        return "nested too deep";
    uint64_t n = it.type == ITEM_MAP ? 2 * it.u : it.u;
    while (n-- > 0)
        if ((why = item_skip(in, depth - 1)))
            return why;
    return NULL;
}

static bool is_among(struct span key, const struct span *keys, uint64_t n)
{
    while (n-- > 0)
        if (span_eq(keys[n], key))
            return true;
    return false;
}

/* Not inlined: its table of names (16 KiB) is on the stack only while a map is read, at most
   LIMIT_DEPTH times. */
__attribute__((noinline)) static const char *skip_pairs(struct span *in, uint64_t count,
                                                        unsigned depth)
{
    struct span keys[LIMIT_VALUES];
    if (count > LIMIT_VALUES)
        return "has too many entries";
    for (uint64_t i = 0; i < count; i++) {
        struct item key;
        const char *why = item_read(in, &key);
        if (!why && key.type != ITEM_STR)
            why = "has a name that is not a string";
        if (!why && (key.bytes.n == 0 || key.bytes.n > LIMIT_NAME))
            why = "has a name that is empty or too long";
        if (!why && is_among(key.bytes, keys, i))
            why = "has a name twice";
        if (!why)
            why = item_skip_value(in, depth);
        if (why)
            return why;
        keys[i] = key.bytes;
    }
    return NULL;
}

const char *item_skip_value(struct span *in, unsigned depth)
{
    struct item it;
    const char *why = item_read(in, &it);
    if (why)
        return why;
    if (it.type == ITEM_UINT && it.u > INT64_MAX)
        return "has a number beyond 63 bits";
    if (it.type != ITEM_ARRAY && it.type != ITEM_MAP)
        return NULL;
    if (depth == 0)
        return "nested too deep";
    if (it.type == ITEM_MAP)
        return skip_pairs(in, it.u, depth - 1);
    while (it.u-- > 0)
        if ((why = item_skip_value(in, depth - 1)))
            return why;
    return NULL;
}
