/* refuse.h - for trust/ only: a refusal is a code for programs and a sentence for people. */
#ifndef LB_TRUST_REFUSE_H
#define LB_TRUST_REFUSE_H

#include "common/error.h"
#include "proto/messages.h"

/* Sets *ret_code (may be NULL) and *err. Returns the negative errno that belongs to the refusal. */
int refuse(enum refusal *ret_code, enum refusal code, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Sets *ret_code to the refusal that the error `rc` of envelope_open or a decoder means. Returns
 * rc. */
int refuse_as(enum refusal *ret_code, int rc);

#endif
