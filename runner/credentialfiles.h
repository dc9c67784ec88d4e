/* credentialfiles.h - a proxy's credentials as a step gets them: files in memory,
 * $LB_CREDENTIALS/NAME, mode 0400, there while the step runs. Never an argument, never a
 * variable. */
#ifndef LB_RUNNER_CREDENTIALFILES_H
#define LB_RUNNER_CREDENTIALFILES_H

#include "proto/messages.h"
#include "runner/mask.h"
#include "runner/runnerpaths.h"

/* Where those of a slot lie; yours to free. */
char *credentialfiles_folder(const struct runner_paths *paths, unsigned slot);
/* Makes the folder anew with a file for each credential of the context. In separated mode the files
 * belong to the context's user; the folder does not, so that the child can replace nothing in it.
 * Each content is added to `secrets`. Negative: no file is left; *err names the credential. */
int credentialfiles_put(const struct runner_paths *paths, const char *folder,
                        const struct d_context *context, struct mask *secrets, struct error *err);
/* Removes the folder, if it is there. */
int credentialfiles_remove(const char *folder, struct error *err);

#endif
