/* prober.c - see prober.h. */
#include "runner/prober.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/need.h"
#include "runner/command.h"
#include "runner/context.h"

enum { SAYS = 3 /* the descriptor of its answers */ };

void prober_step(const struct runner_paths *paths, const struct d_context *c,
                 const struct privilege_user *user, struct sandbox_step *ret)
{
    *ret = (struct sandbox_step){.context = c,
                                 .user = user,
                                 .off = (user ? 0 : PROTECT_USER) |
                                        (paths->memory_backed ? 0 : PROTECT_MEMORY_FILES)};
}

/* ---- In the process */

static void leave_everything(int says)
{
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    dup2(says, SAYS);
    close_range(SAYS + 1, ~0U, 0);
}

/* As a child is started (spawn.c). */
static int become(const struct prober *p, struct error *err)
{
    struct privilege_user user;
    struct sandbox_step step;
    bool switched;
    int rc = context_take(p->paths, p->context, &user, &switched, err);
    prober_step(p->paths, p->context, switched ? &user : NULL, &step);
    if (rc == 0 && p->sandbox)
        rc = sandbox_begin(p->sandbox, &step, err);
    if (rc < 0)
        return rc;
    umask(077);
    if (chdir("/") < 0 || sandbox_limit(p->sandbox) < 0 ||
        (switched && privilege_become(&user) < 0) || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sandbox_seal(p->sandbox) < 0)
        return error_errno(err, errno, "cannot become what a child would be");
    return 0;
}

/* A /tmp of the step's own hides what is there (owntmp.h). */
static bool is_hidden(const struct prober *p, const char *need)
{
    static const char *const below[] = {"path:/tmp/", "path:/var/tmp/"};
    for (size_t i = 0; p->sandbox && sandbox_has_tmp(p->sandbox) && i < 2; i++)
        if (strncmp(need, below[i], strlen(below[i])) == 0)
            return true;
    return false;
}

static void say(const char *need, bool holds, const char *trouble)
{
    struct buf b = {0};
    d_need_encode(&(struct d_need){.need = span_str(need),
                                   .holds = holds,
                                   .trouble = span_str(holds ? "" : trouble),
                                   .probed_at = clock_wall_ms()},
                  &b);
    if (send(SAYS, b.p, b.n, MSG_NOSIGNAL) < 0)
        _exit(1); /* the runner is gone */
    buf_free(&b);
}

static _Noreturn void prober_main(const struct prober *p, int says)
{
    struct command c = {0};
    struct error err = {0};
    char trouble[ERROR_TEXT_MAX];
    prctl(PR_SET_NAME, "lbprobe");
    leave_everything(says);
    command_environment(p->paths, p->context, p->paths->work, &c);
    const bool ready = become(p, &err) == 0;
    for (size_t i = 0; i < p->n_needs; i++) {
        if (!ready)
            say(p->needs[i], false, err.text);
        else if (is_hidden(p, p->needs[i]))
            say(p->needs[i], false, "the proxy's private_tmp hides it from the step");
        else {
            bool holds = need_probe(p->needs[i], c.envp, trouble, sizeof trouble);
            say(p->needs[i], holds, trouble);
        }
    }
    _exit(0);
}

/* ---- */

int prober_start(const struct prober *p, pid_t *ret_pid, int *ret_fd, struct error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_errno(err, errno, "cannot make a socket for a probe");
    pid_t pid = fork();
    if (pid == 0)
        prober_main(p, ends[1]);
    int why = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return error_errno(err, why, "cannot start a process that probes");
    }
    *ret_pid = pid;
    *ret_fd = ends[0];
    return 0;
}
