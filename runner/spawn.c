/* spawn.c - see spawn.h. The child shares our memory until execve, so it calls nothing that
 * allocates or locks. */
#include "runner/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/hashbang.h"
#include "runner/inchild.h"

enum { STACK = 256 << 10 /* of the child until execve */, SIGNALS = 32 /* of the first kind */ };

#define STAGES(X) \
    X(NONE, "") \
    X(PIPES, "connect its pipes") \
    X(FOLDER, "enter its working folder") \
    X(CGROUP, "enter its cgroup") \
    X(LIMITS, "set its limits") \
    X(USER, "become its user") \
    X(PRIVILEGES, "give up privileges") X(SEAL, "close its sandbox") X(EXECUTE, "execute")
#define X(n, t) STAGE_##n,
enum stage { STAGES(X) STAGE_COUNT };
#undef X
#define X(n, t) t,
static const char *const stage_text[] = {STAGES(X)};
#undef X

struct birth {
    const struct spawn *s;
    pid_t parent;
    const sigset_t *mask, *ours;
    volatile enum stage stage; /* how far the child is */
    volatile int failed;       /* errno there; 0: it has executed */
};

/* The signals that we, or who has started us, handle or ignore. Nobody here changes that once
 * children start. */
static const sigset_t *signals_of_ours(void)
{
    static sigset_t ours;
    static bool known;
    struct sigaction is;
    if (known)
        return &ours;
    sigemptyset(&ours);
    for (int sig = 1; sig < SIGNALS; sig++)
        if (sigaction(sig, NULL, &is) == 0 && is.sa_handler != SIG_DFL)
            sigaddset(&ours, sig);
    known = true;
    return &ours;
}

IN_CHILD static void child_signals(const sigset_t *ours)
{
    struct sigaction fresh = {.sa_handler = SIG_DFL};
    /* execve resets handlers, but an ignored signal stays ignored */
    for (int sig = 1; sig < SIGNALS; sig++)
        if (sigismember(ours, sig))
            sigaction(sig, &fresh, NULL);
}

IN_CHILD static void child_oom_score(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "0", 1) < 0) {
        /* if that fails, it keeps ours: worse for others, but no reason not to run */
    }
    close(fd);
}

IN_CHILD static int child_pipes(const struct spawn *s)
{
    const struct command *c = s->command;
    if (dup2(c->n_inputs ? c->input[0] : s->null, 0) < 0 || dup2(s->out, 1) < 0 ||
        dup2(s->err, 2) < 0)
        return -1;
    return 0;
}

/* Last of all: what lay there is ours, and may have been needed until now. */
IN_CHILD static int child_third(const struct command *c)
{
    if (c->n_inputs < 2)
        return 0;
    return c->input[1] == 3 ? fcntl(3, F_SETFD, 0) : dup2(c->input[1], 3);
}

/* The folder is its user's, and closed to us. It becomes that user only later, right before execve:
 * until then no process of that user can send it signals, for which we would wait, too. */
IN_CHILD static int child_folder(const struct spawn *s)
{
    if (s->user && privilege_files_as(s->user, NULL) < 0) {
        errno = EPERM;
        return -1;
    }
    return fchdir(s->folder);
}

IN_CHILD static int child_main(void *arg)
{
    struct birth *b = arg;
    const struct spawn *s = b->s;
    child_signals(b->ours);
    setsid();
    if (s->lower)
        child_oom_score();
    b->stage = STAGE_CGROUP;
    if (sandbox_enter(s->sandbox) < 0)
        goto fail;
    b->stage = STAGE_FOLDER;
    if (child_folder(s) < 0)
        goto fail;
    b->stage = STAGE_PIPES;
    if (child_pipes(s) < 0 || close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        goto fail;
    umask(077);
    b->stage = STAGE_LIMITS;
    if (sandbox_limit(s->sandbox) < 0)
        goto fail;
    b->stage = STAGE_USER;
    if (s->user && privilege_become(s->user) < 0)
        goto fail;
    /* after the user, whose change takes back the signal */
    b->stage = STAGE_PRIVILEGES;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        goto fail;
    if (getppid() != b->parent) /* our keeper died before it could be watched */
        _exit(127);
    b->stage = STAGE_SEAL;
    if (sandbox_seal(s->sandbox) < 0)
        goto fail;
    b->stage = STAGE_PIPES;
    if (child_third(s->command) < 0)
        goto fail;
    b->stage = STAGE_EXECUTE;
    sigprocmask(SIG_SETMASK, b->mask, NULL);
    execve(s->command->argv[0], s->command->argv, s->command->envp);
fail:
    b->failed = errno;
    _exit(127);
}

/* What the kernel's word for it does not say: it speaks of the file also where its interpreter is
 * meant. */
static int explain(const char *path, int why, struct error *err)
{
    char interpreter[HASHBANG_BYTES];
    int is = hashbang_of_file(path, interpreter);
    if (is == HASHBANG_CR)
        return error_set(err, -why,
                         "cannot execute %s: its first line ends with CR LF, so its interpreter is "
                         "looked for as '%s' and a carriage return; save it with LF alone",
                         path, interpreter);
    if (is == HASHBANG_LINE && (why == ENOENT || why == EACCES))
        return error_errno(err, why, "cannot execute %s: its interpreter '%s'", path, interpreter);
    if (is == HASHBANG_EMPTY)
        return error_set(err, -why, "cannot execute %s: it is empty", path);
    if (is == HASHBANG_NONE && why == ENOEXEC)
        return error_set(
            err, -why,
            "cannot execute %s: it is no program and has no #! line; begin it with one "
            "(#!/bin/sh), or use the subsystem of its language",
            path);
    return error_errno(err, why, "cannot execute %s", path);
}

int spawn_child(const struct spawn *s, pid_t *ret_pid, struct error *err)
{
    static void *stack;
    sigset_t all, old, none;
    if (!stack) {
        void *p = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK,
                       -1, 0);
        if (p == MAP_FAILED)
            return error_errno(err, errno, "not enough memory to start a child");
        stack = p;
    }
    sigemptyset(&none);
    struct birth b = {.s = s, .parent = getpid(), .mask = &none, .ours = signals_of_ours()};
    sigfillset(&all); /* no handler of ours may run in the child */
    sigprocmask(SIG_SETMASK, &all, &old);
    pid_t pid = clone(child_main, (char *)stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, &b);
    int why = errno;
    sigprocmask(SIG_SETMASK, &old, NULL);
    if (pid < 0)
        return error_errno(err, why, "cannot start a process");
    if (b.failed) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        if (b.stage == STAGE_EXECUTE)
            return explain(s->command->argv[0], b.failed, err);
        return error_errno(err, b.failed, "cannot %s", stage_text[b.stage]);
    }
    *ret_pid = pid;
    return 0;
}
