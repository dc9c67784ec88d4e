/* passphrase.c - see passphrase.h. */
#include "trust/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/termout.h"

static bool may_ask;
static const char *option_file;

void passphrase_may_ask(void)
{
    may_ask = true;
}

void passphrase_use_file(const char *path)
{
    option_file = path;
}

static const char *file_of(void)
{
    const char *path = option_file ? option_file : secure_getenv("LONGBOAT_PASSPHRASE_FILE");
    return path && *path ? path : NULL;
}

bool passphrase_has_file(void)
{
    return file_of() != NULL;
}

static int open_terminal(void)
{
    return may_ask ? open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
}

bool passphrase_can_ask(void)
{
    int fd = file_of() ? -1 : open_terminal();
    if (fd >= 0)
        close(fd);
    return fd >= 0 || file_of();
}

/* The first line, without what ends it. */
static int take_line(const char *where, struct span text, char ret[PASSPHRASE_MAX],
                     struct error *err)
{
    size_t n = 0;
    while (n < text.n && text.p[n] != '\n' && text.p[n] != '\r')
        n++;
    if (n == 0)
        return error_set(err, -EINVAL, "the passphrase in %s is empty", where);
    if (n >= PASSPHRASE_MAX || memchr(text.p, 0, n))
        return error_set(err, -EINVAL, "the passphrase in %s has a NUL or more than %d bytes",
                         where, PASSPHRASE_MAX - 1);
    memcpy(ret, text.p, n);
    ret[n] = 0;
    return 0;
}

static int from_file(const char *path, char ret[PASSPHRASE_MAX], struct error *err)
{
    struct buf text = {0};
    buf_grow(&text, 4 * PASSPHRASE_MAX); /* at once: no copy stays behind in freed memory */
    int rc = file_read_private(path, 2 * PASSPHRASE_MAX, &text, err);
    if (rc == 0)
        rc = take_line(path, buf_span(&text), ret, err);
    sodium_memzero(text.p, text.cap);
    buf_free(&text);
    return rc;
}

/* A signal that ends or stops the program while nothing is shown would leave the terminal so. It
 * ends the reading instead, and is raised again when the terminal is as it was. */
static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
enum { SIGNALS = sizeof signals / sizeof *signals };
static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

/* They stay blocked but for wait_for_line, so that none comes between a look and a sleep. */
struct passphrase_signals {
    struct sigaction handlers[SIGNALS];
    sigset_t mask;
};

static void catch_signals(struct passphrase_signals *was)
{
    const struct sigaction mine = {.sa_handler = on_signal};
    sigset_t ours;
    caught = 0;
    sigemptyset(&ours);
    for (int i = 0; i < SIGNALS; i++)
        sigaddset(&ours, signals[i]);
    sigprocmask(SIG_BLOCK, &ours, &was->mask);
    for (int i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], NULL, &was->handlers[i]);
        if (was->handlers[i].sa_handler != SIG_IGN)
            sigaction(signals[i], &mine, NULL);
    }
}

static void release_signals(const struct passphrase_signals *was)
{
    for (int i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &was->handlers[i], NULL);
    sigprocmask(SIG_SETMASK, &was->mask, NULL);
    if (caught)
        raise(caught);
}

/* False: a signal came first. */
static bool wait_for_line(int fd, const struct passphrase_signals *was)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return ppoll(&p, 1, NULL, &was->mask) > 0;
}

/* Reads a line without showing it. The terminal is as it was even if reading fails, or a signal
 * ends it. */
static int from_terminal(int fd, const char *prompt, char ret[PASSPHRASE_MAX], struct error *err)
{
    struct termios was, quiet;
    struct passphrase_signals before;
    char line[PASSPHRASE_MAX];
    if (tcgetattr(fd, &was) < 0)
        return error_errno(err, errno, "cannot ask for a passphrase at this terminal");
    quiet = was;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    catch_signals(&before);
    tcsetattr(fd, TCSAFLUSH, &quiet); /* first: what is typed after the prompt must not be seen */
    term_put_fd(fd, span_str(prompt));
    /* a terminal gives a whole line */
    ssize_t n = wait_for_line(fd, &before) ? read(fd, line, sizeof line) : -1;
    int why = errno;
    tcsetattr(fd, TCSADRAIN, &was); /* what was typed ahead is for the next prompt */
    term_put_fd(fd, span_str("\n"));
    release_signals(&before);
    int rc = n < 0 ? error_errno(err, why, "cannot read a passphrase from this terminal")
                   : take_line("what you typed", span_of(line, (size_t)n), ret, err);
    sodium_memzero(line, sizeof line);
    return rc;
}

static int no_source(const char *what, struct error *err)
{
    return error_set(err, -EACCES,
                     "%s needs a passphrase, and there is no terminal to ask for it; put it into a "
                     "file that only you can read and name that in LONGBOAT_PASSPHRASE_FILE",
                     what);
}

int passphrase_ask(const char *what, char ret[PASSPHRASE_MAX], struct error *err)
{
    int rc, fd;
    if (file_of())
        return from_file(file_of(), ret, err);
    if ((fd = open_terminal()) < 0)
        return no_source(what, err);
    char *prompt = mem_printf("Passphrase of %s: ", what);
    rc = from_terminal(fd, prompt, ret, err);
    mem_free(&prompt);
    close(fd);
    return rc;
}

static int ask_twice(int fd, const char *what, char ret[PASSPHRASE_MAX], struct error *err)
{
    char again[PASSPHRASE_MAX];
    char *prompt = mem_printf("New passphrase of %s: ", what);
    int rc = from_terminal(fd, prompt, ret, err);
    if (rc == 0)
        rc = from_terminal(fd, "The same once more: ", again, err);
    if (rc == 0 && strcmp(ret, again) != 0)
        rc = error_set(err, -EINVAL, "the two passphrases differ; nothing was changed");
    sodium_memzero(again, sizeof again);
    mem_free(&prompt);
    return rc;
}

int passphrase_ask_new(const char *what, char ret[PASSPHRASE_MAX], struct error *err)
{
    int rc, fd = -1;
    if (file_of())
        rc = from_file(file_of(), ret, err);
    else if ((fd = open_terminal()) >= 0)
        rc = ask_twice(fd, what, ret, err);
    else
        rc = no_source(what, err);
    if (fd >= 0)
        close(fd);
    if (rc == 0 && strlen(ret) < PASSPHRASE_NEW_MIN)
        rc = error_set(err, -EINVAL,
                       "the passphrase has fewer than %d characters; several words are easy to "
                       "keep in mind and hard to guess",
                       PASSPHRASE_NEW_MIN);
    if (rc < 0)
        sodium_memzero(ret, PASSPHRASE_MAX);
    return rc;
}
