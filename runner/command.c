/* command.c - see command.h. */
#include "runner/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "runner/installed.h"

#define CHILD_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void command_free(struct command *c)
{
    for (size_t i = 0; i < c->n_argv; i++)
        mem_free(&c->argv[i]);
    for (size_t i = 0; i < c->n_envp; i++)
        mem_free(&c->envp[i]);
    mem_free(&c->argv);
    mem_free(&c->envp);
    *c = (struct command){0};
}

/* Takes ownership of the text. */
static void push(char ***list, size_t *n, char *text)
{
    *list = mem_realloc(*list, *n + 2, sizeof **list);
    (*list)[(*n)++] = text;
    (*list)[*n] = NULL;
}

static void arg(struct command *c, const char *text)
{
    push(&c->argv, &c->n_argv, mem_strdup(text));
}

static void env(struct command *c, const char *name, struct span value)
{
    push(&c->envp, &c->n_envp, mem_printf("%s=" SPAN_FMT, name, SPAN_ARG(value)));
}

static void env_number(struct command *c, const char *name, uint64_t value)
{
    push(&c->envp, &c->n_envp, mem_printf("%s=%llu", name, (unsigned long long)value));
}

/* Only what anyone may see: sensitive values do not belong in /proc/PID/environ. */
static void env_parameters(struct command *c, const struct s_launch *l)
{
    struct wire_iter it = wire_iter(&l->parameters);
    struct span name;
    struct value v;
    struct buf text = {0};
    while (wire_next_pair(&it, &name, &v)) {
        char key[sizeof "LB_PARAM_" + LIMIT_NAME];
        char bare[LIMIT_NAME + 1];
        if (!span_copy_str(name, bare, sizeof bare) || wire_list_has(&l->sensitive, bare))
            continue;
        buf_clear(&text);
        value_to_text(&v, &text);
        snprintf(key, sizeof key, "LB_PARAM_%s", bare);
        if (text.n <= LIMIT_PARAMETER_ENV)
            env(c, key, buf_span(&text));
    }
    buf_free(&text);
}

static void make_env(const struct runner_paths *paths, const struct childfiles *files,
                     const char *work, const struct s_launch *l, struct command *c)
{
    char run[ID_TEXT];
    env(c, "PATH", span_str(CHILD_PATH));
    env(c, "LANG", span_str("C.UTF-8"));
    env(c, "TZ", span_str(":/etc/localtime"));
    env(c, "USER", span_str(paths->user));
    env(c, "LOGNAME", span_str(paths->user));
    env(c, "HOME", span_str(paths->home ? paths->home : work)); /* "/" is nobody's to write to */
    env(c, "LB_RUN", span_str(id_format(l->run, run)));
    env_number(c, "LB_ATTEMPT", l->attempt);
    env(c, "LB_AS_OF", l->as_of);
    env(c, "LB_SERVER", l->server);
    env(c, "LB_JOB", l->job);
    env(c, "LB_STEP", l->step);
    env_number(c, "LB_TRY", l->try_no);
    env(c, "LB_TASK", l->task);
    env(c, "LB_WORK", span_str(work));
    if (!hash_is_zero(&l->package)) {
        char *folder = runner_paths_of_hash(paths->packages, &l->package);
        push(&c->envp, &c->n_envp, mem_printf("LB_PACKAGE=%s/files", folder));
        mem_free(&folder);
    }
    env(c, "LB_PARAMETERS", span_str(childfiles_path(files, CHILDFILE_PARAMETERS)));
    env(c, "LB_OUTPUTS", span_str(childfiles_path(files, CHILDFILE_OUTPUTS)));
    env(c, "LB_RESULT", span_str(childfiles_path(files, CHILDFILE_RESULT)));
    env(c, "LB_PROGRESS", span_str(childfiles_path(files, CHILDFILE_PROGRESS)));
    env_parameters(c, l);
}

static int find_entry(const struct runner_paths *paths, const struct s_launch *l, char **ret,
                      struct error *err)
{
    struct installed i = {0};
    int rc = installed_load(paths->packages, &l->package, &i, err);
    if (rc == 0)
        rc = installed_entry(paths->packages, &i, span_eq_str(l->subsystem, "exec"), ret, err);
    installed_free(&i);
    return rc;
}

static int make_argv(const struct runner_paths *paths, const struct s_launch *l, struct command *c,
                     struct error *err)
{
    char *what = NULL;
    if (l->text.n) {
        if (memchr(l->text.p, 0, l->text.n))
            return error_set(err, -EINVAL, "the step's text contains a NUL byte");
        what = span_dup_str(l->text);
        arg(c, "/bin/sh");
        arg(c, "-eu");
        arg(c, "-c");
    } else {
        int rc = find_entry(paths, l, &what, err);
        if (rc < 0)
            return rc;
        if (span_eq_str(l->subsystem, "shell"))
            arg(c, "/bin/sh");
        else if (span_eq_str(l->subsystem, "python"))
            arg(c, "/usr/bin/python3");
        else if (!span_eq_str(l->subsystem, "exec")) {
            mem_free(&what);
            return error_set(err, -EINVAL, "this runner lacks the subsystem '" SPAN_FMT "'",
                             SPAN_ARG(l->subsystem));
        }
    }
    push(&c->argv, &c->n_argv, what);
    return 0;
}

int command_make(const struct runner_paths *paths, const struct childfiles *files, const char *work,
                 const struct s_launch *l, struct command *ret, struct error *err)
{
    struct command c = {0};
    int rc = make_argv(paths, l, &c, err);
    if (rc < 0) {
        command_free(&c);
        return rc;
    }
    make_env(paths, files, work, l, &c);
    *ret = c;
    return 0;
}

void command_parameters(const struct s_launch *l, struct buf *out)
{
    wire_map_to_json(&l->parameters, out);
    buf_add(out, "\n", 1);
}
