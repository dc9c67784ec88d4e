/* childfiles.h - the files through which a keeper and its child hand each other things: parameters
 * in, outputs, verdict and progress out. In memory (runnerpaths.h), one folder a slot, kept and reused: a
 * step costs no folder, no file and no disk.
 *
 * The child may do with them what it likes, replace them too (`mv new "$LB_OUTPUTS"`); what is read
 * back is a regular file of the expected owner, opened without following links, and never more of
 * it than asked for. */
#ifndef LB_RUNNER_CHILDFILES_H
#define LB_RUNNER_CHILDFILES_H

#include "common/buf.h"
#include "common/error.h"

#define CHILDFILES(X) \
    X(PARAMETERS, "parameters", 0400) /* all parameters as JSON */ \
    X(OUTPUTS, "outputs", 0600)       /* name=value or JSON lines */ \
    X(RESULT, "result", 0600)         /* succeeded|failed|cancelled and a message */ \
    X(PROGRESS, "progress", 0600)     /* its last line: 42 loading orders */
#define X(n, t, mode) CHILDFILE_##n,
enum childfile { CHILDFILES(X) CHILDFILE_COUNT };
#undef X

struct childfiles;
/* Makes the folder if need be. Closing removes it. */
int childfiles_open(const char *folder, struct childfiles **ret, struct error *err);
void childfiles_close(struct childfiles **f);
const char *childfiles_path(const struct childfiles *f, enum childfile which);

/* Before a step: what an earlier one left is gone, PARAMETERS has this text, the others are
   empty. */
int childfiles_prepare(struct childfiles *f, struct span parameters, struct error *err);
/* Appends the file's content. -EFBIG: it has more than `most` bytes; -EPERM: it is something else
 * than a plain file. A file that the child has removed is empty. */
int childfiles_read(struct childfiles *f, enum childfile which, size_t most, struct buf *out,
                    struct error *err);
/* The same, but of a longer one its first `most` bytes. */
int childfiles_read_start(struct childfiles *f, enum childfile which, size_t most, struct buf *out,
                          struct error *err);
/* Has PROGRESS changed since it was asked before? Then appends its end: at most `most` bytes. */
bool childfiles_progress(struct childfiles *f, size_t most, struct buf *out);

#endif
