/* command.c - see command.h. */
#include "runner/command.h"

#include <stdio.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "proto/childenv.h"
#include "runner/commandline.h"

void command_free(struct command *c)
{
    for (size_t i = 0; i < c->n_argv; i++)
        mem_free(&c->argv[i]);
    for (size_t i = 0; i < c->n_envp; i++)
        mem_free(&c->envp[i]);
    mem_free(&c->argv);
    mem_free(&c->envp);
    for (unsigned i = 0; i < c->n_inputs; i++)
        close(c->input[i]);
    *c = (struct command){0};
}

/* Takes ownership of the text. */
static void push(char ***list, size_t *n, char *text)
{
    *list = mem_realloc(*list, *n + 2, sizeof **list);
    (*list)[(*n)++] = text;
    (*list)[*n] = NULL;
}

void command_add(struct command *c, char *word)
{
    push(&c->argv, &c->n_argv, word);
}

static void env(struct command *c, const char *name, struct span value)
{
    push(&c->envp, &c->n_envp, mem_printf("%s=" SPAN_FMT, name, SPAN_ARG(value)));
}

/* Sets a variable that may be set already. */
static void env_again(struct command *c, struct span name, struct span value)
{
    for (size_t i = 0; i < c->n_envp; i++)
        if (strncmp(c->envp[i], (const char *)name.p, name.n) == 0 && c->envp[i][name.n] == '=') {
            mem_free(&c->envp[i]);
            c->envp[i] = mem_printf(SPAN_FMT "=" SPAN_FMT, SPAN_ARG(name), SPAN_ARG(value));
            return;
        }
    push(&c->envp, &c->n_envp, mem_printf(SPAN_FMT "=" SPAN_FMT, SPAN_ARG(name), SPAN_ARG(value)));
}

void command_set(struct command *c, const char *name, const char *value)
{
    const size_t n = strlen(name);
    for (size_t i = 0; i < c->n_envp; i++)
        if (strncmp(c->envp[i], name, n) == 0 && c->envp[i][n] == '=')
            return;
    env(c, name, span_str(value));
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

/* The zone by its name, which every language knows. Where the system has a file instead of a link
 * to one, there is no name, and programs read that file by themselves. */
static void env_zone(struct command *c)
{
    static const char folder[] = "/zoneinfo/";
    char path[PATH_MAX];
    ssize_t n = readlink("/etc/localtime", path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    const char *zone = strstr(path, folder);
    if (zone)
        env(c, "TZ", span_str(zone + sizeof folder - 1));
}

void command_environment(const struct runner_paths *paths, const struct d_context *x,
                         const char *work, struct command *c)
{
    const struct span user = x->user.n ? x->user : span_str(paths->user);
    /* "/" is nobody's to write to */
    const char *home = x->user.n || !paths->home ? work : paths->home;
    struct wire_iter it = wire_iter(&x->environment);
    struct span name;
    struct value v;
    env(c, "PATH", span_str(CHILDENV_PATH));
    env(c, "LANG", span_str("C.UTF-8"));
    env_zone(c);
    env(c, "HOME", x->home.n ? x->home : span_str(home));
    env(c, "USER", user);
    env(c, "LOGNAME", user);
    while (wire_next_pair(&it, &name, &v))
        env_again(c, name, v.bytes);
}

static void make_env(const struct command_source *from, struct command *c)
{
    const struct s_launch *l = from->launch;
    const struct childfiles *files = from->files;
    char run[ID_TEXT];
    command_environment(from->paths, from->context, from->work, c);
    env(c, "LB_RUN", span_str(id_format(l->run, run)));
    env_number(c, "LB_ATTEMPT", l->attempt);
    env(c, "LB_AS_OF", l->as_of);
    env(c, "LB_SERVER", l->server);
    env(c, "LB_JOB", l->job);
    env(c, "LB_STEP", l->step);
    env_number(c, "LB_TRY", l->try_no);
    env(c, "LB_TASK", l->task);
    env(c, "LB_WORK", span_str(from->work));
    if (from->credentials)
        env(c, "LB_CREDENTIALS", span_str(from->credentials));
    if (!hash_is_zero(&l->package)) {
        char *folder = runner_paths_of_hash(from->paths->packages, &l->package);
        push(&c->envp, &c->n_envp, mem_printf("LB_PACKAGE=%s/files", folder));
        mem_free(&folder);
    }
    env(c, "LB_PARAMETERS", span_str(childfiles_path(files, CHILDFILE_PARAMETERS)));
    env(c, "LB_OUTPUTS", span_str(childfiles_path(files, CHILDFILE_OUTPUTS)));
    env(c, "LB_RESULT", span_str(childfiles_path(files, CHILDFILE_RESULT)));
    env(c, "LB_PROGRESS", span_str(childfiles_path(files, CHILDFILE_PROGRESS)));
    env_parameters(c, l);
}

int command_make(const struct command_source *from, struct command *ret, struct error *err)
{
    struct command c = {0};
    make_env(from, &c);
    int rc = commandline_make(from, &c, err);
    if (rc < 0) {
        command_free(&c);
        return rc;
    }
    *ret = c;
    return 0;
}

void command_parameters(const struct s_launch *l, struct buf *out)
{
    wire_map_to_json(&l->parameters, out);
    buf_add(out, "\n", 1);
}
