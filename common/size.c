/* size.c - see size.h. */
#include "common/size.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char size_letters[] = "KMGT";

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

int size_parse(const char *s, int64_t *ret_bytes, struct error *err)
{
    const char *at = s;
    int64_t v;
    if (!take_number(&at, &v))
        goto refuse;
    if (*at) {
        if (*at == ' ')
            at++;
        char upper = *at >= 'a' && *at <= 'z' ? (char)(*at - 32) : *at;
        const char *letter = upper ? strchr(size_letters, upper) : NULL;
        if (!letter || (at[1] && strcmp(at + 1, "iB") != 0))
            goto refuse;
        if (__builtin_mul_overflow(v, (int64_t)1 << 10 * (letter - size_letters + 1), &v))
            goto refuse;
    }
    *ret_bytes = v;
    return 0;
refuse:
    return error_set(
        err, -EINVAL,
        "'%.40s' is not a size: write bytes as 4096, or 64K, 16M, 2G, 1T (powers of 1024)", s);
}

char *size_format(int64_t bytes, char out[SIZE_TEXT])
{
    const char *sign = bytes < 0 ? "-" : "";
    uint64_t u = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;
    int power = 0;
    uint64_t tenths = 0;
    for (; u >= 1024 && power < 4; power++) {
        tenths = u % 1024 * 10 / 1024;
        u /= 1024;
    }
    if (power == 0)
        snprintf(out, SIZE_TEXT, "%s%llu B", sign, (unsigned long long)u);
    else
        snprintf(out, SIZE_TEXT, "%s%llu.%llu %ciB", sign, (unsigned long long)u,
                 (unsigned long long)tenths, size_letters[power - 1]);
    return out;
}
