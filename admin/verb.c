/* verb.c - see verb.h. */
#include "admin/verb.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/suggest.h"
#include "common/termout.h"
#include "trust/passphrase.h"
#include "trust/secret.h"

static void list_verbs(FILE *to, const char *program, const char *purpose, const char *examples,
                       const struct verb_command *verbs, unsigned n)
{
    term_say(to, "%s - %s\n\nUsage: %s COMMAND [ARGUMENTS]\n       %s help COMMAND\n\nCommands:\n",
             program, purpose, program, program);
    for (unsigned i = 0; i < n; i++)
        term_say(to, "  %-14s %s\n", verbs[i].name, verbs[i].what);
    term_say(to, "\nExamples:\n");
    term_put(to, span_str(examples));
    term_say(to, "\nAn encrypted key asks for its passphrase at the terminal. In scripts, name a\n"
                 "file that only you can read: --passphrase-file FILE before the command, or\n"
                 "LONGBOAT_PASSPHRASE_FILE.\n\n"
                 "Exit codes: 0 done; 1 it ran and failed; 2 wrong usage; 3 refused, "
                 "or the broker\ncannot be reached.\n");
}

static int no_such_verb(const char *program, const struct verb_command *verbs, unsigned n,
                        const char *word)
{
    const char **names = mem_zalloc(n + 1, sizeof *names); /* NULL-terminated */
    char hint[SUGGEST_TEXT];
    for (unsigned i = 0; i < n; i++)
        names[i] = verbs[i].name;
    term_say(stderr, "%s: unknown command '%.60s'%s; %s --help lists them\n", program, word,
             suggest_hint(word, names, hint), program);
    mem_free(&names);
    return EXIT_ASKED_WRONGLY;
}

/* ---- Standard output: stdio forgets why a write failed unless it is asked at that moment, so the
 * writing is ours. */
static int out_errno;

static ssize_t write_out(void *cookie, const char *bytes, size_t n)
{
    ssize_t written;
    (void)cookie;
    do
        written = write(STDOUT_FILENO, bytes, n);
    while (written < 0 && errno == EINTR);
    if (written < 0 && !out_errno)
        out_errno = errno;
    return written < 0 ? 0 : written;
}

static void begin_output(void)
{
    FILE *out = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_out});
    if (!out)
        mem_die();
    setvbuf(out, NULL, isatty(STDOUT_FILENO) == 1 ? _IOLBF : _IOFBF, BUFSIZ);
    stdout = out;
}

/* What was printed must have arrived: half a listing, or an invitation lost, is not success. A
 * pipe's reader that went away has what it wanted. */
static int end_output(const char *program, int rc)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    bool whole = fflush(stdout) == 0 && !ferror(stdout);
    if (whole || out_errno == EPIPE || (poll(&out, 1, 0) == 1 && (out.revents & POLLERR)))
        return rc;
    term_say(stderr, "%s: cannot write to standard output: %s\n", program,
             strerror(out_errno ? out_errno : EIO));
    return rc == EXIT_DONE ? EXIT_RAN_AND_FAILED : rc;
}

/* ---- One verb */
int verb_fail(char **argv, int code, const struct error *err)
{
    term_say(stderr, "%s: %s\n", argv[0], err->text);
    return code;
}

/* "RUN" of "RUN [options]": what the argument after the `given` first ones is called, if the
 * synopsis says it plainly. */
static struct span name_of_argument(const char *synopsis, int given)
{
    for (int i = 0; *synopsis; i++) {
        size_t n = strcspn(synopsis, " ");
        bool plain = n && strspn(synopsis, "ABCDEFGHIJKLMNOPQRSTUVWXYZ|") == n;
        if (!plain)
            break;
        if (i == given)
            return span_of(synopsis, n);
        synopsis += n;
        synopsis += *synopsis == ' ';
    }
    return span_str("an argument");
}

static int count_arguments(char **argv, const char *synopsis, int given, int min, int max,
                           const char *extra)
{
    if (given > max)
        term_say(stderr, "%s: unexpected argument '%.60s'; usage: %s %s\n", argv[0], extra, argv[0],
                 synopsis);
    else if (given < min)
        term_say(stderr, "%s: " SPAN_FMT " is missing; usage: %s %s\n", argv[0],
                 SPAN_ARG(name_of_argument(synopsis, given)), argv[0], synopsis);
    return given < min || given > max ? EXIT_ASKED_WRONGLY : -1;
}

int verb_begin(const struct option_row *rows, size_t n, int argc, char **argv, const char *synopsis,
               const char *examples, int min, int max, struct option_values *values, int *ret_first)
{
    struct error err = {0};
    if (options_parse(rows, n, argc, argv, values, ret_first, &err) < 0)
        return verb_fail(argv, EXIT_ASKED_WRONGLY, &err);
    int code = -1, given = argc - *ret_first;
    if (options_answered(values, argv[0], synopsis, examples))
        code = EXIT_DONE;
    else
        code = count_arguments(argv, synopsis, given, min, max,
                               given > max ? argv[*ret_first + max] : "");
    if (code >= 0)
        options_free(values);
    return code;
}

static int run_verb(const char *program, const char *purpose, const char *examples,
                    const struct verb_command *verbs, unsigned n, int argc, char **argv)
{
    char help[] = "--help";
    const char *word = argc < 2 ? "" : argv[1];
    bool is_help = strcmp(word, "help") == 0;
    if (strcmp(word, "--passphrase-file") == 0 && argc > 2) { /* before the verb: for all of them */
        passphrase_use_file(argv[2]);
        return run_verb(program, purpose, examples, verbs, n, argc - 2, argv + 2);
    }
    if (!*word) {
        list_verbs(stderr, program, purpose, examples, verbs, n);
        return EXIT_ASKED_WRONGLY;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || (is_help && argc == 2)) {
        list_verbs(stdout, program, purpose, examples, verbs, n);
        return EXIT_DONE;
    }
    if (strcmp(word, "--version") == 0) {
        term_say(stdout, "%s (Longboat) %s\n", program, LB_VERSION);
        return EXIT_DONE;
    }
    if (is_help) { /* help VERB: VERB --help */
        word = argv[1] = argv[2];
        argv[2] = help;
        argc = 3;
    }
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(word, verbs[i].name) != 0)
            continue;
        char *name = mem_printf("%s %s", program, word);
        argv[1] = name;
        int rc = verbs[i].run(argc - 1, argv + 1);
        mem_free(&name);
        return rc;
    }
    return no_such_verb(program, verbs, n, word);
}

int verb_main(const char *program, const char *purpose, const char *examples,
              const struct verb_command *verbs, unsigned n, int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* `lbctl history | head` ends by a failed write, not by a signal */
    secret_begin();
    passphrase_may_ask();
    begin_output();
    return end_output(program, run_verb(program, purpose, examples, verbs, n, argc, argv));
}
