/* possession.c - see possession.h. */
#include "trust/possession.h"

#include <errno.h>

#include "trust/sign.h"

#define POSSESSION "possession"

void possession_make(const struct key *own, struct span certificate,
                     uint8_t ret_signature[POSSESSION_SIZE])
{
    sign_content(POSSESSION, own, certificate, ret_signature);
}

int possession_check(const struct hash *sign_key, struct span certificate, struct span signature,
                     struct error *err)
{
    const struct d_signed s = {.key = *sign_key, .signature = signature};
    if (!signature.n)
        return error_set(err, -ENODATA,
                         "this certificate comes without the signature of its own key; update the "
                         "program that joins");
    if (sign_check(POSSESSION, &s, certificate, NULL) < 0)
        return error_set(err, -EBADMSG,
                         "the key of this certificate has not signed it: whoever joins must hold "
                         "the key");
    return 0;
}
