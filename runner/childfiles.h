/* childfiles.h - the files that a keeper and its child exchange: parameters in; outputs, verdict
 * and progress out. They lie in memory (runnerpaths.h), in one folder for each slot that is kept
 * and reused: a step costs no folder, no file and no disk access.
 *
 * The child may do with them what it likes, even replace them (`mv new "$LB_OUTPUTS"`). What is
 * read back is a regular file of the expected owner, opened without following links, and never
 * more of it than asked for. */
#ifndef LB_RUNNER_CHILDFILES_H
#define LB_RUNNER_CHILDFILES_H

#include "common/buf.h"
#include "common/error.h"
#include "runner/privilege.h"

#define CHILDFILES(X) \
    X(PARAMETERS, "parameters", 0400) /* all parameters as JSON */ \
    X(OUTPUTS, "outputs", 0600)       /* name=value or JSON lines */ \
    X(RESULT, "result", 0600)         /* succeeded|failed|cancelled and a message */ \
    X(PROGRESS, "progress", 0600)     /* its last line: 42 loading orders */
#define X(n, t, mode) CHILDFILE_##n,
enum childfile { CHILDFILES(X) CHILDFILE_COUNT };
#undef X

struct childfiles;
/* Makes the folder if need be. Closing removes it. separated: folder and files belong to the user
 * of the last child (runnerpaths.h), and are touched only as that user. On success *ret is yours:
 * childfiles_close. */
int childfiles_open(const char *folder, bool separated, struct childfiles **ret, struct error *err);
/* After a step: its parameters, which may be sensitive, are gone, and whatever else it has put
 * there. */
void childfiles_empty(struct childfiles *f);
void childfiles_close(struct childfiles **f);
const char *childfiles_path(const struct childfiles *f, enum childfile which);

/* Before a step: removes what an earlier one has left, writes this text into PARAMETERS and empties
 * the others. They belong to `user` from then on; NULL: to us. */
int childfiles_prepare(struct childfiles *f, const struct privilege_user *user,
                       struct span parameters, struct error *err);
/* Appends the file's content. -EFBIG: it is larger than `most` bytes; -EPERM: it is not a plain
 * file. A file that the child has removed counts as empty. */
int childfiles_read(struct childfiles *f, enum childfile which, size_t most, struct buf *out,
                    struct error *err);
/* The same, but takes only the first `most` bytes of a longer file. */
int childfiles_read_start(struct childfiles *f, enum childfile which, size_t most, struct buf *out,
                          struct error *err);
/* If PROGRESS has changed since the last call: appends its last bytes, at most `most`; true. */
bool childfiles_progress(struct childfiles *f, size_t most, struct buf *out);

#endif
