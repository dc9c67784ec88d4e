/* error.c - see error.h. Nothing here allocates: an error must be reportable when memory is
 * short. */
#include "common/error.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"

/* snprintf truncated the sentence: mark that with three dots instead of ending in the middle of a
 * word. Never cut inside a character: a peer refuses a message whose text is not valid UTF-8. */
static void mark_cut(char *text, int wanted)
{
    if (wanted >= ERROR_TEXT_MAX)
        memcpy(text + utf8_cut(span_of(text, ERROR_TEXT_MAX - 1), ERROR_TEXT_MAX - 4), "...", 4);
}

int error_vset(struct error *err, int code, const char *fmt, va_list ap)
{
    if (code >=
        /* with a code of success the program would go on, whatever the sentence says */
        0)
        code = -EINVAL;
    if (!err)
        return code;
    char text[ERROR_TEXT_MAX]; /* the arguments may lie in err->text */
    mark_cut(text, vsnprintf(text, sizeof text, fmt, ap));
    memcpy(err->text, text, strlen(text) + 1);
    err->code = code;
    return code;
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    code = error_vset(err, code, fmt, ap);
    va_end(ap);
    return code;
}

int error_prefix(struct error *err, const char *fmt, ...)
{
    if (!err)
        return -EINVAL;
    char prefix[ERROR_TEXT_MAX], text[ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    mark_cut(prefix, vsnprintf(prefix, sizeof prefix, fmt, ap));
    va_end(ap);
    mark_cut(text, snprintf(text, sizeof text, "%s: %s", prefix, err->text));
    memcpy(err->text, text, strlen(text) + 1);
    return err->code;
}

int error_errno(struct error *err, int errno_value, const char *fmt, ...)
{
    if (errno_value <= 0)
        errno_value = EIO;
    char text[ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    mark_cut(text, vsnprintf(text, sizeof text, fmt, ap));
    va_end(ap);
    char why[128];
    return error_set(err, -errno_value, "%s: %s", text, strerror_r(errno_value, why, sizeof why));
}
