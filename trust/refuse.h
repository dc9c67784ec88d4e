/* refuse.h - inside this room: a refusal's code for programs beside its sentence for people. */
#ifndef LB_TRUST_REFUSE_H
#define LB_TRUST_REFUSE_H

#include "common/error.h"
#include "proto/messages.h"

/* Sets *ret_code (may be NULL) and the error, whose code is the errno that goes with the refusal;
   returns that. */
int refuse(enum refusal *ret_code, enum refusal code, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* For an error of envelope_open or a decoder: sets *ret_code to the refusal that it means and
   returns rc. */
int refuse_as(enum refusal *ret_code, int rc);

#endif
