/* endedkeys.h - after a start, the keys of what ended too long ago for the core's memory. */
#ifndef LB_BROKER_SHELL_ENDEDKEYS_H
#define LB_BROKER_SHELL_ENDEDKEYS_H

#include "broker/shell/shell.h"

/* Reads them out of the store, page by page, and gives them to the core as BCORE_ENDED_KEYS. Call
 * it once, after turn_begin; it returns at once. The pages after the first are read by the store's
 * thread for scans: a million keys take some seconds, in which the core asks the store about every
 * key that it does not know. */
void endedkeys_read(struct shell *sh);

#endif
