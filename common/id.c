/* id.c - see id.h. Public values only: nothing here runs in constant time, so no secret key passes
   through hex. */
#include "common/id.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"

struct id id_make(int64_t wall_ms, const uint8_t random[10])
{
    struct id id;
    uint64_t ms = (uint64_t)wall_ms;
    for (int i = 0; i < 6; i++)
        id.b[i] = (uint8_t)(ms >> (40 - 8 * i));
    memcpy(id.b + 6, random, 10);
    id.b[6] = (uint8_t)(0x70 | (id.b[6] & 0x0f)); /* version 7 */
    id.b[8] = (uint8_t)(0x80 | (id.b[8] & 0x3f)); /* variant of RFC 9562 */
    return id;
}

static const char hex_digits[] = "0123456789abcdef";

/* Where the dashes of a UUID stand: before the bytes 4, 6, 8 and 10. */
static bool dash_before(int byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

char *id_format(struct id id, char out[ID_TEXT])
{
    char *at = out;
    for (int i = 0; i < 16; i++) {
        if (dash_before(i))
            *at++ = '-';
        *at++ = hex_digits[id.b[i] >> 4];
        *at++ = hex_digits[id.b[i] & 15];
    }
    *at = 0;
    return out;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int id_parse_span(struct span s, struct id *ret_id, struct error *err)
{
    struct id id;
    const char *at = (const char *)s.p;
    if (s.n != ID_TEXT - 1)
        goto refuse;
    for (int i = 0; i < 16; i++) {
        if (dash_before(i) && *at++ != '-')
            goto refuse;
        int high = hex_value(at[0]), low = hex_value(at[1]);
        if (high < 0 || low < 0)
            goto refuse;
        id.b[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    *ret_id = id;
    return 0;
refuse:
    if (s.n > 60)
        s.n = 60;
    return error_set(err, -EINVAL,
                     "'" SPAN_FMT "' is not an id: an id has 36 characters, as in "
                     "019aa5c3-5c74-7abc-8def-0123456789ab",
                     SPAN_ARG(s));
}

int id_parse(const char *s, struct id *ret_id, struct error *err)
{
    return id_parse_span(span_str(s), ret_id, err);
}

bool id_eq(struct id a, struct id b)
{
    return id_cmp(a, b) == 0;
}

int id_cmp(struct id a, struct id b)
{
    return memcmp(a.b, b.b, sizeof a.b);
}

bool id_is_zero(struct id id)
{
    return id_eq(id, ID_ZERO);
}

char *hex_format(const uint8_t *p, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = hex_digits[p[i] >> 4];
        out[2 * i + 1] = hex_digits[p[i] & 15];
    }
    out[2 * n] = 0;
    return out;
}

int hex_parse(const char *s, uint8_t *out, size_t n)
{
    if (strlen(s) != 2 * n)
        return -EINVAL;
    for (size_t i = 0; i < 2 * n; i++)
        if (hex_value(s[i]) < 0)
            return -EINVAL;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)((unsigned)hex_value(s[2 * i]) << 4 | (unsigned)hex_value(s[2 * i + 1]));
    return 0;
}

static const char b64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *b64_format(struct span s)
{
    char *out = mem_alloc(s.n / 3 * 4 + 5), *at = out;
    uint32_t bits = 0;
    int held = 0;
    for (size_t i = 0; i < s.n; i++) {
        bits = bits << 8 | s.p[i];
        for (held += 8; held >= 6; held -= 6)
            *at++ = b64_digits[bits >> (held - 6) & 63];
    }
    if (held)
        *at++ = b64_digits[bits << (6 - held) & 63];
    *at = 0;
    return out;
}

static int b64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int b64_parse(const char *s, struct buf *out, struct error *err)
{
    size_t n = strlen(s), was = out->n;
    if (n % 4 == 1)
        return error_set(err, -EINVAL,
                         "a base64url text cannot have %zu characters: some are missing", n);
    uint8_t *to = buf_grow(out, n / 4 * 3 + 3);
    uint32_t bits = 0;
    int held = 0;
    for (size_t i = 0; i < n; i++) {
        int v = b64_value(s[i]);
        if (v < 0)
            return error_set(err, -EINVAL,
                             "character %zu of a base64url text is not one of A-Z a-z 0-9 - _",
                             i + 1);
        bits = bits << 6 | (uint32_t)v;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *to++ = (uint8_t)(bits >> held);
            bits &= (1u << held) - 1;
        }
    }
    if (bits)
        return error_set(err, -EINVAL, "the last character of a base64url text has extra bits");
    out->n = was + n / 4 * 3 + (n % 4 ? n % 4 - 1 : 0);
    return 0;
}
