/* command.h - the command line and the whole environment of a child. Nothing of our own
 * environment is passed on.
 *
 * The command line is what the subsystem says, then the entry or the step's text
 * (trust/subsystem.h). A program whose name has no slash is looked up in the PATH that the step
 * gets, then beside lbrunner. Programs that do not read an environment get the parameters in their
 * own way: sqlcommand.h, dtexec.h.
 *
 * The entry is named by its path inside the content-addressed, read-only package folder: an
 * interpreter opens its script by that name anyway.
 *
 * The environment:
 *     PATH, LANG, TZ
 *     HOME, USER, LOGNAME   the account that it runs as
 *     what subsystem and proxy give, perhaps another PATH, LANG or TZ
 *     LB_RUN, LB_ATTEMPT, LB_JOB, LB_STEP, LB_TRY, LB_TASK, LB_AS_OF, LB_SERVER   what runs
 *     LB_WORK       the folder in which the child starts: empty (but for owntmp.h's), its own, an
 *                   absolute path
 *     LB_PACKAGE    the files of its package
 *     LB_PARAMETERS, LB_OUTPUTS, LB_RESULT, LB_PROGRESS   files, see childfiles.h
 *     LB_CREDENTIALS   a folder with a file for each of the proxy's credentials, if it has any
 *     LB_PARAM_name each parameter that is not sensitive and at most LIMIT_PARAMETER_ENV long */
#ifndef LB_RUNNER_COMMAND_H
#define LB_RUNNER_COMMAND_H

#include "proto/messages.h"
#include "runner/childfiles.h"
#include "runner/runnerpaths.h"

enum { COMMAND_INPUTS = 2 };
struct command {
    char **argv, **envp; /* NULL-ended */
    size_t n_argv, n_envp;
    /* what the child reads: as standard input, and as descriptor 3; without the first, nothing */
    int input[COMMAND_INPUTS];
    unsigned n_inputs;
};
void command_free(struct command *c);
/* Appends a word to argv, and takes it over. */
void command_add(struct command *c, char *word);
/* Adds a variable, unless it is set already. */
void command_set(struct command *c, const char *name, const char *value);

/* What decides a command. */
struct command_source {
    const struct runner_paths *paths;
    const struct childfiles *files;
    const char *work;
    const char *credentials; /* NULL: there are none */
    const struct s_launch *launch;
    const struct d_context *context;
};
/* On success *ret is yours: command_free. -ENOENT, -EPERM: the package, its entry or the program is
 * missing, or was altered; -EINVAL: this runner lacks the subsystem, or it cannot run this step. */
int command_make(const struct command_source *from, struct command *ret, struct error *err);

/* The variables of every child of this context: all but LB_. `work`: its folder. */
void command_environment(const struct runner_paths *paths, const struct d_context *context,
                         const char *work, struct command *ret);
/* The text of $LB_PARAMETERS: all parameters as one JSON object, sensitive ones too. */
void command_parameters(const struct s_launch *l, struct buf *out);

#endif
