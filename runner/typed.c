/* typed.c - see typed.h. */
#include "runner/typed.h"

#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/utf8.h"
#include "runner/jsonread.h"

enum {
    TEXT_MAX = 400, /* of a number or a date as text */
    SHOWN_MAX = 60  /* of a refused value */
};

/* ---- Types */

static bool is_date(struct span s)
{
    char text[CLOCK_TEXT], again[CLOCK_TEXT];
    int64_t ms;
    return s.n == 10 && span_copy_str(s, text, sizeof text) && clock_parse(text, &ms, NULL) == 0 &&
           memcmp(clock_format(ms, again), text, 10) == 0;
}

static bool is_datetime(struct span s, int64_t *ret_ms)
{
    char text[64];
    return s.n > 10 && span_copy_str(s, text, sizeof text) && clock_parse(text, ret_ms, NULL) == 0;
}

static bool text_to_int(struct span s, int64_t *ret)
{
    char text[TEXT_MAX], *end;
    if (!s.n || !span_copy_str(s, text, sizeof text) ||
        !(text[0] == '-' || (text[0] >= '0' && text[0] <= '9')))
        return false;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    *ret = v;
    return *end == 0 && errno == 0;
}

static bool text_to_float(struct span s, double *ret)
{
    char text[TEXT_MAX], *end;
    if (!s.n || !span_copy_str(s, text, sizeof text) || strspn(text, "+-.0123456789eE") != s.n)
        return false;
    *ret = strtod(text, &end);
    return *end == 0 && isfinite(*ret);
}

/* Appends `v` as `type`. False: it cannot be one. */
static bool convert(struct span type, const struct value *v, struct buf *out)
{
    bool text = v->type == VALUE_STR;
    int64_t i, ms;
    double d;
    if (span_eq_str(type, "int") && text && text_to_int(v->bytes, &i))
        value_add_int(out, i);
    else if (span_eq_str(type, "float") && v->type == VALUE_INT)
        value_add_float(out, (double)v->integer);
    else if (span_eq_str(type, "float") && text && text_to_float(v->bytes, &d))
        value_add_float(out, d);
    else if (span_eq_str(type, "bool") && text &&
             (span_eq_str(v->bytes, "true") || span_eq_str(v->bytes, "false")))
        value_add_bool(out, v->bytes.p[0] == 't');
    else if (span_eq_str(type, "json") && text && jsonread_value(v->bytes, out, NULL) == 0)
        return true;
    else if ((span_eq_str(type, "int") && v->type == VALUE_INT) ||
             (span_eq_str(type, "float") && v->type == VALUE_FLOAT) ||
             (span_eq_str(type, "bool") && v->type == VALUE_BOOL) || span_eq_str(type, "json") ||
             (span_eq_str(type, "string") && text) ||
             (span_eq_str(type, "date") && text && is_date(v->bytes)) ||
             (span_eq_str(type, "datetime") && text && is_datetime(v->bytes, &ms)))
        buf_add(out, v->raw.p, v->raw.n);
    else
        return false;
    return true;
}

/* ---- Declared bounds */

static int compare(struct span type, const struct value *a, const struct value *b)
{
    if (a->type == VALUE_INT && b->type == VALUE_INT)
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    if (span_eq_str(type, "int") || span_eq_str(type, "float")) {
        double x = a->type == VALUE_INT ? (double)a->integer : a->real,
               y = b->type == VALUE_INT ? (double)b->integer : b->real;
        return x < y ? -1 : x > y;
    }
    int64_t x = 0, y = 0;
    if (span_eq_str(type, "datetime") && is_datetime(a->bytes, &x) && is_datetime(b->bytes, &y))
        return x < y ? -1 : x > y;
    size_t n = a->bytes.n < b->bytes.n ? a->bytes.n : b->bytes.n;
    int c = n ? memcmp(a->bytes.p, b->bytes.p, n) : 0;
    return c ? c : (a->bytes.n > b->bytes.n) - (a->bytes.n < b->bytes.n);
}

static int judge_range(const struct d_parameter *p, const struct value *v, struct error *err)
{
    struct span least = p->minimum, most = p->maximum;
    struct value edge;
    struct buf text = {0};
    int rc = 0;
    if (value_read(&least, &edge) && compare(p->type, v, &edge) < 0) {
        value_to_text(&edge, &text);
        rc = error_set(err, -EINVAL, "must be at least %s", buf_str(&text));
    } else if (value_read(&most, &edge) && compare(p->type, v, &edge) > 0) {
        value_to_text(&edge, &text);
        rc = error_set(err, -EINVAL, "must be at most %s", buf_str(&text));
    }
    buf_free(&text);
    return rc;
}

static int judge_allowed(const struct d_parameter *p, const struct value *v, struct error *err)
{
    struct wire_iter it = wire_iter(&p->allowed);
    struct span item;
    while (wire_next(&it, &item))
        if (span_eq(item, v->raw))
            return 0;
    return p->allowed.count
               ? error_set(err, -EINVAL, "is not one of the %u allowed values", p->allowed.count)
               : 0;
}

/* glibc needs memory in proportion to the product of counted repeats, and exponential time for back
 * references. */
static bool pattern_is_bounded(const char *p)
{
    unsigned long product = 1;
    for (; *p; p++) {
        if (*p == '\\' && p[1]) {
            if (*++p >= '1' && *p <= '9')
                return false;
        } else if (*p == '{') {
            unsigned long most = 0;
            for (p++; *p && *p != '}'; p++)
                most = *p == ','                ? most
                       : *p >= '0' && *p <= '9' ? most * 10 + (unsigned long)(*p - '0')
                                                : most;
            product *= most > 1 ? most : 1;
            if (product > PATTERN_REPEAT_MAX)
                return false;
            if (!*p)
                return true; /* regcomp says what is wrong */
        }
    }
    return true;
}

static int judge_pattern(const struct d_parameter *p, const struct value *v, struct error *err)
{
    if (!p->pattern.n || v->type != VALUE_STR)
        return 0;
    if (v->bytes.n > PATTERN_TEXT_MAX)
        return error_set(err, -EINVAL,
                         "is longer than the %d bytes that can be matched against a pattern",
                         (int)PATTERN_TEXT_MAX);
    char *pattern = mem_printf("^(" SPAN_FMT ")$", SPAN_ARG(p->pattern)),
         *text = span_dup_str(v->bytes);
    regex_t re;
    int rc = 0;
    if (!pattern_is_bounded(pattern) || regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        rc = error_set(err, -EINVAL, "has an unusable pattern: '" SPAN_FMT "'",
                       SPAN_ARG(p->pattern));
    else {
        if (regexec(&re, text, 0, NULL, 0) != 0)
            rc = error_set(err, -EINVAL, "must match the pattern '" SPAN_FMT "'",
                           SPAN_ARG(p->pattern));
        regfree(&re);
    }
    mem_free(&pattern);
    mem_free(&text);
    return rc;
}

static int name_value(const char *what, const struct d_parameter *p, const struct value *v,
                      struct error *err)
{
    struct buf text = {0};
    if (p->sensitive)
        buf_add_str(&text, "(not shown)");
    else
        value_to_text(v, &text);
    text.n = utf8_cut(buf_span(&text), SHOWN_MAX);
    error_prefix(err, "%s '" SPAN_FMT "' = '%s'", what, SPAN_ARG(p->name), buf_str(&text));
    buf_free(&text);
    return -EINVAL;
}

int typed_value(const char *what, const struct d_parameter *p, const struct value *v,
                struct buf *out, struct error *err)
{
    size_t was = out->n;
    struct value made;
    if (!convert(p->type, v, out)) {
        error_set(err, -EINVAL, "is not of type " SPAN_FMT, SPAN_ARG(p->type));
        return name_value(what, p, v, err);
    }
    struct span in = span_of(out->p + was, out->n - was);
    if (value_read(&in, &made) && judge_allowed(p, &made, err) == 0 &&
        judge_pattern(p, &made, err) == 0 && judge_range(p, &made, err) == 0)
        return 0;
    out->n = was;
    return name_value(what, p, v, err);
}
