/* shell.c - loop, connection, Ctrl-C and messages to the user. */
#include "parent/submit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "client/person.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/termout.h"

/* -errno of the first failed write to stdout; a reader that went away is no failure */
static int unwritten;

void shell_print(struct span text)
{
    int rc = unwritten ? 0 : term_put_fd(STDOUT_FILENO, text);
    if (rc < 0 && rc != -EPIPE) /* the reader is gone; the run goes on */
        unwritten = rc;
}

int shell_code(struct submit_shell *s, int code)
{
    if (!unwritten)
        return code;
    shell_fail(s, 0, "standard output does not have all of it: %s", strerror(-unwritten));
    return code == EXIT_SUCCEEDED ? EXIT_RAN_AND_FAILED : code;
}

void shell_print_err(struct span text)
{
    (void)term_put_fd(STDERR_FILENO, text);
}

static void say(struct submit_shell *s, const char *fmt, va_list ap)
{
    struct error text; /* truncates what is too long */
    struct buf line = {0};
    error_vset(&text, -1, fmt, ap);
    buf_add_str(&line, "lbsubmit: ");
    term_safe(&line, span_str(text.text));
    buf_add_str(&line, "\n");
    if (s->screen)
        buf_add(s->screen, line.p, line.n);
    else
        shell_print_err(buf_span(&line));
    buf_free(&line);
}

void shell_say(struct submit_shell *s, const char *fmt, ...)
{
    va_list ap;
    if (s->quiet)
        return;
    va_start(ap, fmt);
    say(s, fmt, ap);
    va_end(ap);
}

int shell_fail(struct submit_shell *s, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(s, fmt, ap);
    va_end(ap);
    return code;
}

int shell_refused(struct submit_shell *s, int rc, const struct error *err)
{
    if (rc == -EINTR)
        return EXIT_LEFT;
    return shell_fail(s, EXIT_REFUSED, "%s", err->text);
}

/* The first id in a sentence; false: there is none. */
static bool find_id(const char *text, struct id *ret)
{
    char word[ID_TEXT];
    for (size_t n = strlen(text); n >= ID_TEXT - 1; n--, text++) {
        span_copy_str(span_of((const uint8_t *)text, ID_TEXT - 1), word, sizeof word);
        if (id_parse(word, ret, NULL) == 0)
            return true;
    }
    return false;
}

int shell_refusal(struct submit_shell *s, enum refusal code, const char *text)
{
    struct id run;
    char id[ID_TEXT];
    if (code == REFUSAL_CONFLICT && find_id(text, &run))
        return shell_fail(s, EXIT_REFUSED,
                          "the key was used before, and a key makes one run only; see what it made "
                          "with: lbctl show %s",
                          id_format(run, id));
    return shell_fail(s, EXIT_REFUSED, "refused by %s: %s", longboat_broker(s->lb), text);
}

/* nohup, and shells without job control, start a program with those signals ignored that are not
 * meant for it. A signalfd delivers them regardless. */
static bool is_ignored(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static void on_signal(struct loop *l, const struct signalfd_siginfo *info, void *arg)
{
    struct submit_shell *s = arg;
    const int number = (int)info->ssi_signo;
    if ((number != SIGINT && number != SIGTERM && number != SIGHUP) || is_ignored(number))
        return;
    s->interrupts++;
    if (s->interrupted)
        s->interrupted(s->self, s->interrupts);
    else
        loop_stop(l, EXIT_LEFT);
}

static void on_silence(void *self, const char *sentence)
{
    shell_say(self, "%s", sentence);
}

int shell_open(struct submit_shell *s, const struct option_values *v)
{
    struct error err = {0};
    s->err = term_of(STDERR_FILENO);
    s->out = term_of(STDOUT_FILENO);
    s->quiet = opt_flag(v, "quiet");
    s->json = opt_flag(v, "json");
    if (!(s->loop = loop_new(&err)) || loop_signals(s->loop, on_signal, s, &err) < 0 ||
        longboat_open_person(&s->lb, s->loop, &err) < 0)
        return shell_fail(s, EXIT_REFUSED, "%s", err.text);
    longboat_watch(s->lb, on_silence, s);
    return 0;
}

void shell_close(struct submit_shell *s)
{
    longboat_close(&s->lb);
    loop_destroy(&s->loop);
}
