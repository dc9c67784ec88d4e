/* parsed.c - see parsed.h. */
#include "runner/parsed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "runner/outputs.h"
#include "runner/spawn.h"

enum {
    EXIT_PARSE_REFUSED = 3, /* lbparse's: the file is wrong */
    SAID_MAX = 500          /* bytes of its standard error that a sentence has room for */
};

struct parsed {
    pid_t pid;
    int watch;  /* readable when it has ended */
    int end[2]; /* what it writes: the document, and why there is none; -1: closed */
    struct buf text[2];
    size_t most[2];
};

static int start(const char *program, const struct privilege_user *user, const char *kind,
                 const char *shown, const char *also, int fd, const int pipes[2], pid_t *ret,
                 struct error *err)
{
    static char path[] = "PATH=/usr/bin:/bin", lang[] = "LANG=C.UTF-8";
    struct error why = {0};
    char *what = mem_strdup(kind), *name = mem_strdup(shown), *self = mem_strdup(program);
    char *third = also ? mem_strdup(also) : NULL;
    char *envp[] = {path, lang, NULL}, *argv[] = {self, what, name, third, NULL};
    struct command c = {.argv = argv, .envp = envp};
    struct spawn s = {.command = &c,
                      .folder = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
                      .null = fd,
                      .out = pipes[0],
                      .err = pipes[1],
                      .user = user};
    int rc = s.folder < 0 ? error_errno(&why, errno, "cannot open /") : spawn_child(&s, ret, &why);
    if (s.folder >= 0)
        close(s.folder);
    mem_free(&self);
    mem_free(&what);
    mem_free(&name);
    return rc < 0
               ? error_set(err, -EPROTO,
                           "cannot start '%s', which reads %s for lbrunner: %s; install it again",
                           program, shown, why.text)
               : 0;
}

/* False: it has said more than there is room for. */
static bool take(struct parsed *p, int i)
{
    uint8_t piece[4096];
    ssize_t n = read(p->end[i], piece, sizeof piece);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0) {
        close(p->end[i]);
        p->end[i] = -1;
        return true;
    }
    size_t room = p->most[i] - p->text[i].n;
    buf_add(&p->text[i], piece, (size_t)n < room ? (size_t)n : room);
    return i == 1 || (size_t)n <= room; /* an explanation may be cut, a document not */
}

/* Until it has ended and all that it said is here. -ETIMEDOUT, -EMSGSIZE. */
static int listen_to(struct parsed *p, int64_t wait_ms)
{
    const int64_t until = clock_boot_ms() + wait_ms;
    for (bool over = false; !over || p->end[0] >= 0 || p->end[1] >= 0;) {
        struct pollfd on[3] = {{.fd = p->end[0], .events = POLLIN},
                               {.fd = p->end[1], .events = POLLIN},
                               {.fd = over ? -1 : p->watch, .events = POLLIN}};
        const int64_t left = until - clock_boot_ms();
        if (left <= 0)
            return -ETIMEDOUT;
        if (poll(on, 3, (int)left) < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < 2; i++)
            if (on[i].revents && !take(p, i))
                return -EMSGSIZE;
        over |= on[2].revents != 0;
    }
    return 0;
}

/* One sentence of them: it goes into one line of a log, and one field of an outcome. */
static void join_lines(struct buf *text)
{
    struct buf one = {0};
    while (text->n && text->p[text->n - 1] == '\n')
        text->n--;
    for (size_t i = 0; i < text->n; i++)
        text->p[i] == '\n' ? buf_add_str(&one, "; ") : buf_add(&one, &text->p[i], 1);
    buf_free(text);
    *text = one;
}

static int explain(struct parsed *p, const char *shown, int rc, int status, struct error *err)
{
    struct buf clean = {0};
    if (rc == -ETIMEDOUT)
        return error_set(err, rc,
                         "lbparse did not finish %s in time and was killed; it is tried again soon",
                         shown);
    if (rc < 0)
        return error_set(err, -EPROTO, "lbparse said too much about %s", shown);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    join_lines(&p->text[1]);
    outputs_clean_text(buf_span(&p->text[1]), SAID_MAX, &clean);
    if (!clean.n)
        buf_printf(&clean, "lbparse ended with %s %d on %s",
                   WIFSIGNALED(status) ? "signal" : "exit code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), shown);
    rc = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_PARSE_REFUSED ? -EINVAL : -EPROTO;
    error_set(err, rc, "%s", buf_str(&clean));
    buf_free(&clean);
    return rc;
}

static int run(struct parsed *p, const char *shown, int64_t wait_ms, struct error *err)
{
    int status = 0, rc;
    p->watch = (int)syscall(SYS_pidfd_open, p->pid, 0);
    rc = p->watch < 0 ? -errno : listen_to(p, wait_ms);
    if (rc < 0)
        kill(p->pid, SIGKILL);
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (p->watch >= 0)
        close(p->watch);
    return explain(p, shown, rc, status, err);
}

int parsed_run(const char *program, const struct privilege_user *user, const char *kind,
               const char *shown, const char *also, int fd, int64_t wait_ms, size_t most,
               struct buf *out, struct error *err)
{
    struct parsed p = {.end = {-1, -1}, .most = {most, 4 * SAID_MAX}};
    int theirs[2] = {-1, -1}, rc = 0;
    for (int i = 0; rc == 0 && i < 2; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
            rc = error_errno(err, errno, "cannot make a pipe");
        else {
            p.end[i] = ends[0];
            theirs[i] = ends[1];
        }
    }
    /* ours may not block, but it knows nothing of pipes that do not */
    for (int i = 0; rc == 0 && i < 2; i++)
        if (fcntl(theirs[i], F_SETFL, 0) < 0)
            rc = error_errno(err, errno, "cannot set up a pipe");
    if (rc == 0)
        rc = start(program, user, kind, shown, also, fd, theirs, &p.pid, err);
    for (int i = 0; i < 2; i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    if (rc == 0 && (rc = run(&p, shown, wait_ms, err)) == 0)
        buf_add(out, p.text[0].p, p.text[0].n);
    for (int i = 0; i < 2; i++) {
        if (p.end[i] >= 0)
            close(p.end[i]);
        buf_free(&p.text[i]);
    }
    return rc;
}
