/* rotate.c - lbworker rotate: a new key for this server. Children and their keepers do not know the
 * key: they go on, also while the worker is restarted with the new one. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "client/rotate.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/options.h"
#include "common/termout.h"
#include "worker/worker.h"

enum { EXIT_DONE, EXIT_FAILED, EXIT_ASKED_WRONGLY };
enum { WORD_MAX = 64 << 10 };

static const struct option_row rows[] = {
    {"take", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "read the certificate for the new key from standard input, and use both"},
};

static const char examples[] =
    "Makes a new key and prints a request for an administrator; with --take, takes\n"
    "the answer. Until then, and until the worker is restarted, the old key is used.\n"
    "\n"
    "Example, at an administrator's:\n"
    "  ssh etl4 lbworker rotate | lbctl certificates sign |\n"
    "      ssh etl4 lbworker rotate --take\n"
    "  ssh etl4 systemctl restart lbworker\n"
    "  lbctl certificates revoke etl4 --old\n"
    "\n"
    "Exit codes: 0 done; 1 failed; 2 bad usage.\n";

static int take(const struct client_config *c, struct error *err)
{
    char *text = mem_zalloc(1, WORD_MAX + 1);
    ssize_t n = file_read_all(STDIN_FILENO, text, WORD_MAX);
    int rc = n < 0 ? error_errno(err, (int)-n, "cannot read standard input")
             : n == 0 || n == WORD_MAX
                 ? error_set(err, -EINVAL, "no certificate came on standard input")
                 : rotate_take(c, text, err);
    if (rc == 0)
        term_say(stdout, "The new key of server %s is in place; restart lbworker to use it.\n",
                 c->me.name);
    mem_free(&text);
    return rc;
}

static int begin(const struct client_config *c, struct error *err)
{
    char *word = NULL;
    int rc = rotate_begin(c, NULL, &word, err);
    if (rc == 0)
        term_say(stdout, "%s\n", word);
    mem_free(&word);
    return rc;
}

int rotate_verb(int argc, char **argv)
{
    struct option_values values = {0};
    struct client_config c = {0};
    struct error err = {0};
    int first;
    if (options_parse(rows, COUNT_OF(rows), argc, argv, &values, &first, &err) < 0 ||
        (first < argc && error_set(&err, -EINVAL, "unexpected argument '%s'", argv[first]) < 0)) {
        term_say(stderr, "lbworker rotate: %s\n", err.text);
        options_free(&values);
        return EXIT_ASKED_WRONGLY;
    }
    if (options_answered(&values, "lbworker rotate", "[--take]", examples)) {
        options_free(&values);
        return EXIT_DONE;
    }
    int rc = client_config_load(&c, NULL, &err);
    if (rc == 0)
        rc = opt_flag(&values, "take") ? take(&c, &err) : begin(&c, &err);
    if (rc < 0)
        term_say(stderr, "lbworker rotate: %s\n", err.text);
    client_config_free(&c);
    options_free(&values);
    return rc == -EINVAL ? EXIT_ASKED_WRONGLY : rc < 0 ? EXIT_FAILED : EXIT_DONE;
}
