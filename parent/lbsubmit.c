/* lbsubmit.c - submits a parent or a single call, follows it to the end and prints the result. */
#include "parent/submit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/suggest.h"
#include "trust/keys.h"
#include "trust/passphrase.h"
#include "trust/secret.h"

/* ---- A parent */

static int read_plan(struct submit_shell *s, const char *path, struct buf *text)
{
    struct error err = {0};
    if (file_read(path, LIMIT_PLAN, text, &err) < 0)
        return shell_fail(s, EXIT_ASKED_WRONGLY, "%s", err.text);
    return 0;
}

static int make_plan(struct submit_shell *s, const char *path, struct span text,
                     const struct option_values *v, int64_t now, struct plan_made *made)
{
    struct problems problems = {0};
    struct plan_order order = {.now = now};
    order.sets = opt_list(v, "set", &order.n_sets);
    int rc = plan_make(path, text, &order, made, &problems);
    for (size_t i = 0; i < problems.n; i++)
        shell_fail(s, 0, "%s", problems.v[i].text);
    problems_free(&problems);
    return rc < 0 ? EXIT_ASKED_WRONGLY : 0;
}

static void say_begun(struct submit_shell *s, const struct plan_made *made,
                      const struct parent_run *run)
{
    char id[ID_TEXT];
    struct buf line = {0};
    shell_say(s, "parent %s is run %s", made->graph.name, id_format(run->id, id));
    if (s->json) {
        buf_printf(&line,
                   "{\"v\":1,\"event\":\"parent\",\"parent\":\"%s\",\"run\":\"%s\",\"tasks\":%u,"
                   "\"children\":%u}\n",
                   made->graph.name, id, made->graph.n, made->children);
        shell_print(buf_span(&line));
        buf_free(&line);
    }
}

static int submit_plan(struct submit_shell *s, const char *path, const struct option_values *v)
{
    struct buf text = {0};
    struct plan_made made = {0};
    struct parent_run run = {0};
    struct error err = {0};
    const int64_t now = clock_wall_ms();
    enum refusal refusal;
    int rc, code = read_plan(s, path, &text);
    if (code == 0)
        code = make_plan(s, path, buf_span(&text), v, now, &made);
    if (code == 0)
        code = shell_open(s, v);
    if (code == 0 && (rc = parent_begin(s, buf_span(&text), &made, opt_str(v, "key"), now, &run,
                                        &refusal, &err)) < 0)
        code = refusal == REFUSAL_CONFLICT ? shell_refusal(s, refusal, err.text)
                                           : shell_refused(s, rc, &err);
    else if (code == 0) {
        say_begun(s, &made, &run);
        code = drive(s, &made, &run);
    }
    longboat_close(&s->lb); /* before the data of its callbacks is freed */
    plan_made_free(&made);
    buf_free(&text);
    return code;
}

/* A word that names no file can only be meant as a command. */
static bool is_word(const char *s)
{
    return !strpbrk(s, "./") && access(s, F_OK) != 0;
}

static int no_command(struct submit_shell *s, const char *word)
{
    static const char *const VERBS[] = {"cancel", "join", "help", NULL};
    char hint[SUGGEST_TEXT];
    suggest_hint(word, VERBS, hint);
    return shell_fail(s, EXIT_ASKED_WRONGLY,
                      "unknown command '%s'%s%s, and there is no plan file of this name", word,
                      hint, *hint ? "" : "; the commands are cancel and join");
}

static int submit(struct submit_shell *s, const struct option_values *v, int argc, char **argv,
                  int first)
{
    struct error err = {0};
    const bool plan = first < argc;
    if (plan && is_word(argv[first]))
        return no_command(s, argv[first]);
    if (argc - first > 1)
        return shell_fail(s, EXIT_ASKED_WRONGLY, "unexpected argument '%s': one plan at a time",
                          argv[first + 1]);
    if (submit_check(v, plan, &err) < 0)
        return shell_fail(s, EXIT_ASKED_WRONGLY, "%s", err.text);
    if (plan)
        return submit_plan(s, argv[first], v);
    const int code = shell_open(s, v);
    return code ? code : single_call(s, v);
}

/* `lbsubmit help` is `lbsubmit --help`, unless there is a plan of this name. */
static void help_is_an_option(int argc, char **argv)
{
    static char help[] = "--help";
    if (argc == 2 && strcmp(argv[1], "help") == 0 && is_word(argv[1]))
        argv[1] = help;
}

int main(int argc, char **argv)
{
    struct option_values values = {0};
    struct error err = {0};
    struct submit_shell s = {0};
    int first, code;
    secret_begin();
    passphrase_may_ask();
    if (trust_init(&err) < 0)
        return shell_fail(&s, EXIT_REFUSED, "%s", err.text);
    if (argc > 1 && (strcmp(argv[1], "cancel") == 0 || strcmp(argv[1], "join") == 0)) {
        bool join = strcmp(argv[1], "join") == 0;
        char *name = mem_printf("lbsubmit %s", argv[1]);
        argv[1] = name;
        code = (join ? verb_join : verb_cancel)(argc - 1, argv + 1);
        mem_free(&name);
        return code;
    }
    help_is_an_option(argc, argv);
    if (options_parse(submit_rows, submit_rows_n, argc, argv, &values, &first, &err) < 0)
        return shell_fail(&s, EXIT_ASKED_WRONGLY, "%s", err.text);
    if (options_answered(&values, "lbsubmit",
                         "[options] PLAN | --job NAME --pool NAME ... | cancel RUN | join",
                         submit_examples)) {
        options_free(&values);
        return EXIT_SUCCEEDED;
    }
    code = shell_code(&s, submit(&s, &values, argc, argv, first));
    shell_close(&s);
    options_free(&values);
    return code;
}
