/* lbtmp.c - gives a step a /tmp of its own and becomes the step's program. The keeper starts it as
 * the step's user, in the step's working folder, in place of a program that is to have one.
 *
 * Mounting needs a namespace of users, in which this process may do so without any right outside.
 * Its rights there end with execve. Making one is refused to the step itself, so the sandbox is
 * closed here, after the mount, and not by the keeper (runner/sandbox.h).
 *
 * It is a program because it opens files of its own process below /proc, and a child of the keeper
 * may not do that before execve: they share memory that no process of the step's user may read. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/termout.h"
#include "runner/landlock.h"
#include "runner/owntmp.h"
#include "runner/syscalls.h"

/* As shells say it of a command that they cannot start. */
enum { EXIT_ASKED_WRONGLY = 2, EXIT_CANNOT = 126 };

static const char help[] =
    "usage: lbtmp LIST SYSCALLS PROGRAM [ARGUMENT]...\n"
    "       lbtmp --probe\n"
    "\n"
    "Executes PROGRAM with a /tmp of its own: the folder .tmp of the current folder,\n"
    "which it makes, seen as /tmp and as /var/tmp. lbrunner's keepers start it.\n"
    "\n"
    "  LIST      the open descriptor of a Landlock list to enter, or -\n"
    "  SYSCALLS  refuse: refuse the usual system calls; or -\n"
    "  --probe   only tells whether this is possible, and why not\n"
    "\n"
    "Exit codes: those of PROGRAM; 126 it was not executed; 2 bad usage.\n";

/* Steps are never root's, and what the kernel allows root is another matter. The process stays one
 * that may open its own files below /proc. */
static int become_nobody(struct error *err)
{
    enum { NOBODY = 65534 };
    if (geteuid() != 0)
        return 0;
    return setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
                   setresuid(NOBODY, NOBODY, NOBODY) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0
               ? 0
               : error_errno(err, errno, "cannot try it as an ordinary user");
}

static int write_file(const char *path, const char *text, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : file_write_all(fd, text, strlen(text));
    if (fd >= 0)
        close(fd);
    return rc < 0 ? error_errno(err, -rc, "cannot write %s", path) : 0;
}

/* The user stays who they are; all others look like nobody from inside. */
static int map_ids(uid_t uid, gid_t gid, struct error *err)
{
    char *users = mem_printf("%u %u 1", uid, uid), *groups = mem_printf("%u %u 1", gid, gid);
    int rc = write_file("/proc/self/uid_map", users, err);
    if (rc == 0)
        rc = write_file("/proc/self/setgroups", "deny", err);
    if (rc == 0)
        rc = write_file("/proc/self/gid_map", groups, err);
    mem_free(&users);
    mem_free(&groups);
    return rc;
}

static int own_namespaces(struct error *err)
{
    const uid_t uid = geteuid();
    const gid_t gid = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return error_errno(err, errno, "this system gives its users no namespaces");
    int rc = map_ids(uid, gid, err);
    if (rc == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        rc = error_errno(err, errno, "cannot set the mounts apart");
    return rc;
}

static int put_over(const char *path, struct error *err)
{
    return mount(OWNTMP_FOLDER, path, NULL, MS_BIND, NULL) == 0
               ? 0
               : error_errno(err, errno, "cannot mount its own folder as %s", path);
}

static int own_tmp(struct error *err)
{
    if (mkdir(OWNTMP_FOLDER, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "cannot make the folder " OWNTMP_FOLDER);
    int rc = own_namespaces(err);
    if (rc == 0)
        rc = put_over("/tmp", err);
    return rc < 0 ? rc : put_over("/var/tmp", err);
}

/* What is mounted over /tmp is reached by that path, not through the working folder. */
static int enter_list(const char *text, struct error *err)
{
    char *end;
    const long fd = strtol(text, &end, 10);
    if (strcmp(text, "-") == 0)
        return 0;
    if (!*text || *end || fd < 3 || fd > INT_MAX)
        return error_set(err, -EINVAL, "LIST is '%s': give a descriptor or -", text);
    const struct landlock_list list = {
        .kernel = &landlock_kernel, .version = landlock_version(&landlock_kernel), .fd = (int)fd};
    int rc = landlock_allow(&list, OWNTMP_FOLDER, LANDLOCK_WRITE, err);
    if (rc == 0 && landlock_enter(list.fd) < 0)
        rc = error_errno(err, errno, "cannot enter the list of files");
    close(list.fd);
    return rc;
}

static int refuse_calls(const char *calls, struct error *err)
{
    struct sock_fprog filter;
    if (strcmp(calls, "refuse") != 0)
        return strcmp(calls, "-") == 0
                   ? 0
                   : error_set(err, -EINVAL, "SYSCALLS is '%s': give refuse or -", calls);
    int rc = syscalls_compile(&filter, err);
    if (rc == 0 && syscalls_refuse(&filter) < 0)
        rc = error_errno(err, errno, "cannot refuse system calls");
    syscalls_free(&filter);
    return rc;
}

static int cannot(const struct error *err)
{
    term_say(stderr, "lbtmp: %s\n", err->text);
    return EXIT_CANNOT;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        return term_put(stdout, span_str(help)) && fflush(stdout) == 0 ? 0 : EXIT_CANNOT;
    }
    if (argc == 2 && strcmp(argv[1], "--probe") == 0)
        return become_nobody(&err) == 0 && own_namespaces(&err) == 0 ? 0 : cannot(&err);
    if (argc < 4) {
        term_say(stderr, "lbtmp: see lbtmp --help\n");
        return EXIT_ASKED_WRONGLY;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        error_errno(&err, errno, "cannot give up new privileges");
    else if (own_tmp(&err) == 0 && enter_list(argv[1], &err) == 0 &&
             refuse_calls(argv[2], &err) == 0) {
        execv(argv[3], argv + 3);
        error_errno(&err, errno, "cannot execute %s", argv[3]);
    }
    return cannot(&err);
}
