/* refuse.c - see refuse.h. */
#include "trust/refuse.h"

#include <errno.h>

/* One table, read in both directions: -EPROTO, -EMSGSIZE and -EBADMSG come from decoders and
 * envelopes. */
static const struct {
    enum refusal code;
    int error;
} table[] = {
    {REFUSAL_MALFORMED, -EPROTO},         {REFUSAL_TOO_LARGE, -EMSGSIZE},
    {REFUSAL_BAD_SIGNATURE, -EBADMSG},    {REFUSAL_DENIED, -EACCES},
    {REFUSAL_UNKNOWN_PRINCIPAL, -ENOENT}, {REFUSAL_EXPIRED_CERTIFICATE, -ETIME},
    {REFUSAL_EXPIRED, -ETIMEDOUT},        {REFUSAL_REPLAYED, -ESTALE},
    {REFUSAL_CONFLICT, -EEXIST},
};

int refuse(enum refusal *ret_code, enum refusal code, struct error *err, const char *fmt, ...)
{
    int rc = -EPROTO;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].code == code)
            rc = table[i].error;
    if (ret_code)
        *ret_code = code;
    va_list ap;
    va_start(ap, fmt);
    error_vset(err, rc, fmt, ap);
    va_end(ap);
    return rc;
}

int refuse_as(enum refusal *ret_code, int rc)
{
    if (ret_code)
        *ret_code = REFUSAL_MALFORMED;
    for (size_t i = 0; ret_code && i < sizeof table / sizeof *table; i++)
        if (table[i].error == rc)
            *ret_code = table[i].code;
    return rc;
}
