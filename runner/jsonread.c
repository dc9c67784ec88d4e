/* jsonread.c - see jsonread.h. A recursive descent that encodes as it goes. Lists and objects are
 * gathered in buffers of their own, because their header contains the count. */
#include "runner/jsonread.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "proto/limits.h"
#include "proto/wire.h"

struct jsonread_reader {
    struct span text;
    size_t at;
    struct error *err;
};

enum { NUMBER_TEXT = 400 }; /* digits passed to strtod; the largest double has 309 */

static int fail(struct jsonread_reader *r, const char *why)
{
    return error_set(r->err, -EINVAL, "invalid JSON at byte %zu: %s", r->at, why);
}

static int peek(const struct jsonread_reader *r)
{
    return r->at < r->text.n ? r->text.p[r->at] : -1;
}

static void skip_space(struct jsonread_reader *r)
{
    for (int c = peek(r); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(r))
        r->at++;
}

static bool take(struct jsonread_reader *r, const char *word)
{
    size_t n = strlen(word);
    if (r->text.n - r->at < n || memcmp(r->text.p + r->at, word, n) != 0)
        return false;
    r->at += n;
    return true;
}

/* ---- Strings */

static int read_hex4(struct jsonread_reader *r, uint32_t *ret)
{
    *ret = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        int c = peek(r);
        int digit = c >= '0' && c <= '9'                 ? c - '0'
                    : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                         : -1;
        if (c < 0 || digit < 0)
            return fail(r, "\\u needs four hexadecimal digits");
        *ret = *ret << 4 | (uint32_t)digit;
    }
    return 0;
}

static int read_escaped_point(struct jsonread_reader *r, struct buf *out)
{
    uint32_t point, low;
    uint8_t bytes[4];
    int rc = read_hex4(r, &point);
    if (rc < 0)
        return rc;
    if (point >= 0xd800 && point < 0xdc00) {
        if (!take(r, "\\u") || (rc = read_hex4(r, &low)) < 0 || low < 0xdc00 || low > 0xdfff)
            return rc < 0 ? rc : fail(r, "half of a surrogate pair");
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    } else if (point >= 0xdc00 && point < 0xe000)
        return fail(r, "half of a surrogate pair");
    if (point == 0)
        return fail(r, "a string may not contain NUL");
    buf_add(out, bytes, utf8_put(point, bytes));
    return 0;
}

static int read_escape(struct jsonread_reader *r, struct buf *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int c = peek(r);
    r->at++;
    if (c == 'u')
        return read_escaped_point(r, out);
    const char *found = c > 0 ? strchr(from, c) : NULL;
    if (!found)
        return fail(r, "unknown escape in a string");
    buf_add(out, &to[found - from], 1);
    return 0;
}

static int read_string(struct jsonread_reader *r, struct buf *out)
{
    if (!take(r, "\""))
        return fail(r, "expected a string");
    for (;;) {
        uint32_t point;
        struct span rest = span_of(r->text.p + r->at, r->text.n - r->at);
        int c = peek(r), rc;
        if (c < 0)
            return fail(r, "unterminated string");
        if (c == '"') {
            r->at++;
            return 0;
        }
        if (c == '\\') {
            r->at++;
            if ((rc = read_escape(r, out)) < 0)
                return rc;
            continue;
        }
        size_t n = utf8_take(rest, &point);
        if (c < 0x20 || n == 0)
            return fail(r, c < 0x20 ? "a control character in a string"
                                    : "a string that is not UTF-8");
        buf_add(out, rest.p, n);
        r->at += n;
    }
}

/* ---- Numbers */

static size_t take_digits(struct jsonread_reader *r)
{
    size_t was = r->at;
    while (peek(r) >= '0' && peek(r) <= '9')
        r->at++;
    return r->at - was;
}

static int read_number(struct jsonread_reader *r, struct buf *out)
{
    size_t from = r->at;
    bool whole = true;
    take(r, "-");
    int first = peek(r);
    size_t digits = take_digits(r);
    if (digits == 0 || (first == '0' && digits > 1))
        return fail(r, "expected a value");
    if (take(r, ".")) {
        whole = false;
        if (take_digits(r) == 0)
            return fail(r, "expected digits after the point");
    }
    if (take(r, "e") || take(r, "E")) {
        whole = false;
        if (!take(r, "-"))
            take(r, "+");
        if (take_digits(r) == 0)
            return fail(r, "expected digits in the exponent");
    }
    char text[NUMBER_TEXT + 1];
    if (!span_copy_str(span_of(r->text.p + from, r->at - from), text, sizeof text))
        return fail(r, "too many digits in a number");
    errno = 0;
    long long integer = strtoll(text, NULL, 10);
    if (whole && errno == 0) {
        value_add_int(out, integer);
        return 0;
    }
    double real = strtod(text, NULL);
    if (!isfinite(real))
        return fail(r, "the number is too large");
    value_add_float(out, real);
    return 0;
}

/* ---- Values */

static int read_value(struct jsonread_reader *r, unsigned depth, struct buf *out);

static int read_list(struct jsonread_reader *r, unsigned depth, struct buf *out)
{
    struct buf items = {0};
    uint32_t n = 0;
    int rc = 0;
    take(r, "[");
    skip_space(r);
    if (!take(r, "]"))
        for (;;) {
            if ((rc = n < LIMIT_VALUES ? read_value(r, depth, &items)
                                       : fail(r, "too many items in a list")) < 0)
                break;
            n++;
            skip_space(r);
            if (take(r, "]"))
                break;
            if (!take(r, ",") && (rc = fail(r, "expected ',' or ']'")) < 0)
                break;
        }
    if (rc == 0) {
        value_add_list(out, n);
        buf_add(out, items.p, items.n);
    }
    buf_free(&items);
    return rc;
}

static int read_pair(struct jsonread_reader *r, unsigned depth, struct buf *items, uint32_t n)
{
    struct buf name = {0};
    struct wire_list so_far = wire_list_from(items, n);
    struct value old;
    skip_space(r);
    int rc = read_string(r, &name);
    if (rc == 0 && (name.n == 0 || name.n > LIMIT_NAME))
        rc = fail(r, "an empty name, or one that is too long");
    if (rc == 0 && n >= LIMIT_VALUES)
        rc = fail(r, "too many names in an object");
    if (rc == 0 && wire_map_get(&so_far, buf_str(&name), &old))
        rc = fail(r, "the same name twice in an object");
    skip_space(r);
    if (rc == 0 && !take(r, ":"))
        rc = fail(r, "expected ':'");
    if (rc == 0) {
        value_add_str(items, buf_span(&name));
        rc = read_value(r, depth, items);
    }
    buf_free(&name);
    return rc;
}

static int read_pairs(struct jsonread_reader *r, unsigned depth, struct buf *items, uint32_t *ret_n)
{
    int rc = 0;
    *ret_n = 0;
    if (!take(r, "{"))
        return fail(r, "expected an object");
    skip_space(r);
    if (take(r, "}"))
        return 0;
    while ((rc = read_pair(r, depth, items, *ret_n)) == 0) {
        ++*ret_n;
        skip_space(r);
        if (take(r, "}"))
            break;
        if (!take(r, ","))
            return fail(r, "expected ',' or '}'");
    }
    return rc;
}

static int read_map(struct jsonread_reader *r, unsigned depth, struct buf *out)
{
    struct buf items = {0};
    uint32_t n;
    int rc = read_pairs(r, depth, &items, &n);
    if (rc == 0) {
        value_add_map(out, n);
        buf_add(out, items.p, items.n);
    }
    buf_free(&items);
    return rc;
}

static int read_text(struct jsonread_reader *r, struct buf *out)
{
    struct buf text = {0};
    int rc = read_string(r, &text);
    if (rc == 0)
        value_add_str(out, buf_span(&text));
    buf_free(&text);
    return rc;
}

/* `depth`: how many levels may still open. */
static int read_value(struct jsonread_reader *r, unsigned depth, struct buf *out)
{
    skip_space(r);
    int c = peek(r);
    if ((c == '{' || c == '[') && depth == 0)
        return fail(r, "nested too deeply");
    if (c == '{')
        return read_map(r, depth - 1, out);
    if (c == '[')
        return read_list(r, depth - 1, out);
    if (c == '"')
        return read_text(r, out);
    if (take(r, "true") || take(r, "false"))
        value_add_bool(out, c == 't');
    else if (take(r, "null"))
        value_add_null(out);
    else
        return read_number(r, out);
    return 0;
}

static int read_end(struct jsonread_reader *r)
{
    skip_space(r);
    return r->at < r->text.n ? fail(r, "unexpected text after the value") : 0;
}

enum { DEPTH = LIMIT_DEPTH - 2 }; /* the value is put into a map, and that into a message */

int jsonread_value(struct span text, struct buf *out, struct error *err)
{
    struct jsonread_reader r = {.text = text, .err = err};
    size_t was = out->n;
    int rc = read_value(&r, DEPTH, out);
    if (rc == 0)
        rc = read_end(&r);
    if (rc < 0)
        out->n = was;
    return rc;
}

int jsonread_object(struct span text, struct buf *items, uint32_t *ret_count, struct error *err)
{
    struct jsonread_reader r = {.text = text, .err = err};
    struct buf own = {0};
    skip_space(&r);
    int rc = read_pairs(&r, DEPTH - 1, &own, ret_count);
    if (rc == 0)
        rc = read_end(&r);
    if (rc == 0)
        buf_add(items, own.p, own.n);
    buf_free(&own);
    return rc;
}
