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

static void list_verbs(FILE *to, const char *program, const char *purpose, const char *examples,
                       const struct command *verbs, unsigned n)
{
    fprintf(to, "%s - %s\n\nUsage: %s VERB [ARGUMENTS]      %s VERB --help says more\n\n", program,
            purpose, program, program);
    for (unsigned i = 0; i < n; i++)
        fprintf(to, "  %-14s %s\n", verbs[i].name, verbs[i].what);
    fprintf(to, "\nExamples:\n%s", examples);
    fprintf(
        to,
        "Exit codes: 0 done; 1 it ran and failed; 2 asked wrongly; 3 refused or the broker is not reachable.\n");
}

static int no_such_verb(const char *program, const struct command *verbs, unsigned n,
                        const char *word)
{
    const char **names = mem_zalloc(n + 1, sizeof *names); /* NULL-ended */
    char hint[SUGGEST_TEXT];
    for (unsigned i = 0; i < n; i++)
        names[i] = verbs[i].name;
    fprintf(stderr, "%s: there is no verb '%s'%s; %s --help lists them\n", program, word,
            suggest_hint(word, names, hint), program);
    mem_free(&names);
    return EXIT_ASKED_WRONGLY;
}

/* What was printed must have arrived: a listing that lacks its end, or an invitation that nobody
 * has, is not done. The reader of a pipe that went away has what it wanted. */
static int end_output(const char *program, int rc)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return rc;
    const int why = errno ? errno : EIO;
    if (why == EPIPE || (poll(&out, 1, 0) == 1 && (out.revents & POLLERR)))
        return rc;
    fprintf(stderr, "%s: cannot write to standard output: %s\n", program, strerror(why));
    return rc == EXIT_DONE ? EXIT_RAN_AND_FAILED : rc;
}

static int run_verb(const char *program, const char *purpose, const char *examples,
                    const struct command *verbs, unsigned n, int argc, char **argv)
{
    if (argc < 2) {
        list_verbs(stderr, program, purpose, examples, verbs, n);
        return EXIT_ASKED_WRONGLY;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        list_verbs(stdout, program, purpose, examples, verbs, n);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("%s (Longboat) %s\n", program, LB_VERSION);
        return EXIT_DONE;
    }
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(argv[1], verbs[i].name) != 0)
            continue;
        char *name = mem_printf("%s %s", program, argv[1]);
        argv[1] = name;
        int rc = verbs[i].run(argc - 1, argv + 1);
        mem_free(&name);
        return rc;
    }
    return no_such_verb(program, verbs, n, argv[1]);
}

int verb_main(const char *program, const char *purpose, const char *examples,
              const struct command *verbs, unsigned n, int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* `lbctl history | head` ends by a failed write, not by a signal */
    return end_output(program, run_verb(program, purpose, examples, verbs, n, argc, argv));
}
