/* secrets.h - which values of a step are secret. Pure. */
#ifndef LB_RUNNER_SECRETS_H
#define LB_RUNNER_SECRETS_H

#include "proto/messages.h"
#include "runner/mask.h"

/* The values of its sensitive parameters; the caller adds those of its credentials, and calls
 * mask_ready. NULL: the step has neither. Yours: mask_free. */
struct mask *secrets_of(const struct s_launch *l, const struct d_context *context);

#endif
