/* compiled.h - files of this server's administrator, compiled by lbparse: a proxy, a subsystem.
 *
 * A file is asked for at every step: its place, owner, mode, size and times. If anything of these
 * has changed it is compiled again; if it is wrong now, that is the answer, and never what it said
 * before. While nothing changes, no file is opened and no process started. */
#ifndef LB_RUNNER_COMPILED_H
#define LB_RUNNER_COMPILED_H

#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"
#include "runner/privilege.h"

enum {
    COMPILED_WAIT_MS = 2000,  /* an lbparse that takes longer is killed */
    COMPILED_AGAIN_MS = 10000 /* where lbparse itself has failed, it is tried again after this */
};

struct compiled;
/* program: lbparse; it is copied. user: as whom it runs; lent; NULL: as we. also: who besides root
 * may own the files; 0: nobody. */
struct compiled *compiled_new(const char *program, const struct privilege_user *user, uid_t also);
void compiled_free(struct compiled **c);

/* The document of the file at `path`, which messages call `shown`. `now`: wall ms. Blocks while
 * lbparse runs, for COMPILED_WAIT_MS at most. *ret is lent until as many other files have been
 * asked for as are remembered (64). -ENOENT: there is no such file; -EPERM: others may have written
 * it; -EINVAL: it is wrong, and *err names lines and columns; else lbparse has failed. */
int compiled_get(struct compiled *c, const char *kind, const char *path, const char *shown,
                 int64_t now, struct span *ret, struct error *err);

/* The lbparse beside this program; yours to free. */
char *compiled_program(void);

#endif
