/* duration.c - see duration.h. */
#include "common/duration.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t ms;
};
/* "ms" stands before "m": the first match wins. */
static const struct unit units[] = {
    {"d", 86400000}, {"h", 3600000}, {"ms", 1}, {"m", 60000}, {"s", 1000}};

/* Digits; false: none, or more than 63 bits hold. */
static bool take_number(const char **s, int64_t *ret)
{
    const char *start = *s;
    int64_t v = 0;
    for (; **s >= '0' && **s <= '9'; (*s)++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, **s - '0', &v))
            return false;
    *ret = v;
    return *s > start;
}

/* ".5" as 500 thousandths. Also true if there is no point. */
static bool take_thousandths(const char **s, int64_t *ret)
{
    *ret = 0;
    if (**s != '.')
        return true;
    const char *start = ++*s;
    for (int64_t weight = 100; **s >= '0' && **s <= '9' && weight; (*s)++, weight /= 10)
        *ret += (**s - '0') * weight;
    return *s > start;
}

static const struct unit *take_unit(const char **s)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t n = strlen(units[i].name);
        if (strncmp(*s, units[i].name, n) == 0) {
            *s += n;
            return &units[i];
        }
    }
    return NULL;
}

int duration_parse(const char *s, int64_t *ret_ms, struct error *err)
{
    const char *at = s;
    int64_t total = 0, last = INT64_MAX;
    while (*at || at == s) {
        int64_t whole, thousandths, part;
        if (!take_number(&at, &whole) || !take_thousandths(&at, &thousandths))
            goto refuse;
        if (!*at && last == INT64_MAX)
            return error_set(
                err, -EINVAL,
                "the duration '%.40s' has no unit: write, say, %.40ss, %.40sm or %.40sh", s, s, s,
                s);
        const struct unit *unit = take_unit(&at);
        if (!unit || unit->ms >= last || (thousandths * unit->ms) % 1000)
            goto refuse;
        last = unit->ms;
        if (__builtin_mul_overflow(whole, unit->ms, &part) ||
            __builtin_add_overflow(total, part, &total) ||
            __builtin_add_overflow(total, thousandths * unit->ms / 1000, &total))
            goto refuse;
        if (*at == ' ' && at[1])
            at++;
    }
    *ret_ms = total;
    return 0;
refuse:
    return error_set(err, -EINVAL,
                     "'%.40s' is not a duration: write it as 1500ms, 90s, 5m, 2h, 1d or 1h30m", s);
}

char *duration_format(int64_t ms, char out[DURATION_TEXT])
{
    const char *sign = ms < 0 ? "-" : "";
    uint64_t u = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
    typedef unsigned long long ull;
    if (u < 1000)
        snprintf(out, DURATION_TEXT, "%s%llums", sign, (ull)u);
    else if (u < 60000)
        snprintf(out, DURATION_TEXT, "%s%llu.%llus", sign, (ull)(u / 1000), (ull)(u / 100 % 10));
    else if (u < 3600000)
        snprintf(out, DURATION_TEXT, "%s%llum %02llus", sign, (ull)(u / 60000),
                 (ull)(u / 1000 % 60));
    else if (u < 86400000)
        snprintf(out, DURATION_TEXT, "%s%lluh %02llum", sign, (ull)(u / 3600000),
                 (ull)(u / 60000 % 60));
    else
        snprintf(out, DURATION_TEXT, "%s%llud %02lluh", sign, (ull)(u / 86400000),
                 (ull)(u / 3600000 % 24));
    return out;
}
