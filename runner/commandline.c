/* commandline.c - see commandline.h. */
#include "runner/commandline.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "runner/dtexec.h"
#include "runner/installed.h"
#include "runner/sqlcommand.h"
#include "trust/subsystem.h"

/* The proxy's credentials that psql knows what to do with. */
#define COMMANDLINE_PGPASS    "pgpass"
#define COMMANDLINE_PGSERVICE "pg_service"

/* How this step is run, and what. */
struct commandline {
    const struct command_source *from;
    enum subsystem_parameters parameters;
    struct wire_list words; /* the subsystem's */
    struct buf builtin;     /* of which they are part, if the runner has not said them */
    struct installed package;
    bool has_package;
    char *what; /* the entry's path, or the text */
};

static void commandline_free(struct commandline *l)
{
    buf_free(&l->builtin);
    installed_free(&l->package);
    mem_free(&l->what);
}

/* ---- The subsystem */

/* A runner of an older version leaves it to the keeper what its own subsystems are. */
static int take_builtin(struct commandline *l, struct error *err)
{
    const struct s_launch *launch = l->from->launch;
    const int i = subsystem_builtin_find(launch->subsystem);
    struct d_subsystem d;
    if (i >= 0)
        subsystem_builtin((unsigned)i, &l->builtin);
    if (i < 0 || d_subsystem_decode(buf_span(&l->builtin), &d, NULL) < 0 ||
        subsystem_parameters_parse(d.parameters) != SUBSYSTEM_ENVIRONMENT)
        return error_set(err, -EINVAL, "this runner lacks the subsystem '" SPAN_FMT "'",
                         SPAN_ARG(launch->subsystem));
    l->words = launch->text.n ? d.text_argv : d.argv;
    return 0;
}

static int take_subsystem(struct commandline *l, struct error *err)
{
    const struct d_context *x = l->from->context;
    const int parameters = subsystem_parameters_parse(x->parameters);
    struct span rest = x->program;
    struct value word;
    if (parameters < 0)
        return error_set(err, -EINVAL,
                         "this keeper does not know how parameters reach '" SPAN_FMT "'",
                         SPAN_ARG(x->parameters));
    l->parameters = (enum subsystem_parameters)parameters;
    if (l->parameters == SUBSYSTEM_ENVIRONMENT) {
        l->words = x->argv; /* exec has none */
        return l->words.count || span_eq_str(l->from->launch->subsystem, "exec")
                   ? 0
                   : take_builtin(l, err);
    }
    l->words = (struct wire_list){.items = x->program};
    while (rest.n && value_read(&rest, &word))
        l->words.count++;
    return l->words.count ? 0 : error_set(err, -EINVAL, "the subsystem names no program");
}

/* ---- Programs */

static const char *variable(const struct command *c, const char *name)
{
    const size_t n = strlen(name);
    for (size_t i = 0; i < c->n_envp; i++)
        if (strncmp(c->envp[i], name, n) == 0 && c->envp[i][n] == '=')
            return c->envp[i] + n + 1;
    return "";
}

static char *in_folder(const char *folder, size_t n, const char *name)
{
    char *path = mem_printf("%.*s/%s", (int)n, folder, name);
    if (!n || access(path, X_OK) < 0)
        mem_free(&path);
    return path;
}

/* Those of Longboat itself need not be in anybody's PATH. */
static char *beside_us(const char *name)
{
    char *path = file_beside_program(name);
    if (access(path, X_OK) < 0)
        mem_free(&path);
    return path;
}

/* Appends the program. */
static int add_program(const struct commandline *l, struct command *c, const char *name,
                       struct error *err)
{
    const char *path = variable(c, "PATH");
    char *found = NULL;
    if (strchr(name, '/')) {
        command_add(c, mem_strdup(name));
        return 0;
    }
    for (const char *at = path; *at && !found;) {
        const size_t n = strcspn(at, ":");
        found = in_folder(at, n, name);
        at += n + (at[n] == ':');
    }
    if (!found)
        found = beside_us(name);
    if (!found)
        return error_set(err, -ENOENT,
                         "there is no program '%s' in the PATH of this step (%s); install it, or "
                         "name it in subsystems.d/" SPAN_FMT ".yaml on this server",
                         name, path, SPAN_ARG(l->from->launch->subsystem));
    command_add(c, found);
    return 0;
}

/* `instead`: of the first word; NULL: the word itself. */
static int add_words(const struct commandline *l, struct command *c, const char *instead,
                     struct error *err)
{
    struct wire_iter it = wire_iter(&l->words);
    struct span word;
    if (!wire_next(&it, &word))
        return 0;
    char *first = instead ? mem_strdup(instead) : span_dup_str(word);
    int rc = add_program(l, c, first, err);
    mem_free(&first);
    while (rc == 0 && wire_next(&it, &word))
        command_add(c, span_dup_str(word));
    return rc;
}

/* ---- What a child reads from a descriptor. It is in memory alone. */

static int add_input(struct command *c, struct span text, struct error *err)
{
    int fd = memfd_create("longboat", MFD_CLOEXEC);
    int rc = fd < 0 ? -errno : file_write_all(fd, text.p, text.n);
    if (rc == 0 && lseek(fd, 0, SEEK_SET) < 0)
        rc = -errno;
    if (rc < 0) {
        if (fd >= 0)
            close(fd);
        return error_errno(err, -rc, "cannot keep in memory what the step reads");
    }
    c->input[c->n_inputs++] = fd;
    return 0;
}

static int add_file_input(struct command *c, const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "cannot read '%s'", path);
    c->input[c->n_inputs++] = fd;
    return 0;
}

/* ---- sql */

static int find_database(const struct commandline *l, const struct command *c, struct sqlcommand *s,
                         struct buf *text, struct error *err)
{
    const struct s_launch *launch = l->from->launch;
    struct value v;
    if (wire_map_get(&launch->parameters, SUBSYSTEM_SQL_PARAMETER, &v)) {
        if (wire_list_has(&launch->sensitive, SUBSYSTEM_SQL_PARAMETER))
            return error_set(err, -EINVAL,
                             "parameter '" SUBSYSTEM_SQL_PARAMETER
                             "' is sensitive, but it stands in the command line; keep only its "
                             "password apart, in the proxy's credential '" COMMANDLINE_PGPASS "'");
        value_to_text(&v, text);
    } else
        buf_add_str(text, variable(c, SUBSYSTEM_SQL_VARIABLE));
    if (!text->n)
        return error_set(err, -EINVAL,
                         "nobody says which database: the step needs a parameter "
                         "'" SUBSYSTEM_SQL_PARAMETER
                         "', or its proxy the variable " SUBSYSTEM_SQL_VARIABLE);
    const int engine = subsystem_sql_engine(buf_span(text), &s->database);
    if (engine >= 0 && (l->parameters == SUBSYSTEM_SQL || (int)l->parameters == engine)) {
        s->engine = (enum subsystem_parameters)engine;
        return 0;
    }
    if (l->parameters != SUBSYSTEM_SQL && engine < 0) {
        s->engine = l->parameters; /* a bare path, or the bare name of a database */
        s->database = buf_span(text);
        return 0;
    }
    return error_set(err, -EINVAL,
                     "'%.100s' is no database of this subsystem: expected sqlite:PATH, "
                     "postgresql://..., or host=... dbname=... or service=NAME",
                     buf_str(text));
}

/* What psql reads by itself: where the proxy hands out its files of passwords and services. */
static void set_psql(const struct commandline *l, struct command *c)
{
    static const struct {
        const char *credential, *variable;
    } files[] = {{COMMANDLINE_PGPASS, "PGPASSFILE"}, {COMMANDLINE_PGSERVICE, "PGSERVICEFILE"}};
    struct value v;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (wire_map_get(&l->from->context->credentials, files[i].credential, &v)) {
            char *path = mem_printf("%s/%s", l->from->credentials, files[i].credential);
            command_set(c, files[i].variable, path);
            mem_free(&path);
        }
    command_set(c, "PGCLIENTENCODING", "UTF8"); /* what parameters are in */
    command_set(c, "PGAPPNAME", "longboat");
}

static int run_sql(struct commandline *l, struct command *c, struct error *err)
{
    const struct command_source *from = l->from;
    const struct sqlcommand_own own[] = {
        {"lb_outputs", childfiles_path(from->files, CHILDFILE_OUTPUTS)},
        {"lb_result", childfiles_path(from->files, CHILDFILE_RESULT)},
        {"lb_progress", childfiles_path(from->files, CHILDFILE_PROGRESS)},
        {"lb_work", from->work},
        {"lb_package", l->has_package ? variable(c, "LB_PACKAGE") : NULL},
        {"lb_run", variable(c, "LB_RUN")},
        {"lb_job", variable(c, "LB_JOB")},
        {"lb_server", variable(c, "LB_SERVER")},
        {"lb_as_of", variable(c, "LB_AS_OF")},
    };
    struct buf database = {0}, bindings = {0};
    struct sqlcommand s = {.script = l->has_package ? l->what : "-",
                           .parameters = &from->launch->parameters,
                           .own = own,
                           .n_own = sizeof own / sizeof *own};
    int rc = find_database(l, c, &s, &database, err);
    if (rc == 0) /* the subsystem `sql` leaves the program open */
        rc = add_words(l, c,
                       l->parameters != SUBSYSTEM_SQL  ? NULL
                       : s.engine == SUBSYSTEM_SQLITE3 ? "sqlite3"
                                                       : "psql",
                       err);
    if (rc == 0 && s.engine == SUBSYSTEM_PSQL)
        set_psql(l, c);
    if (rc == 0)
        rc = sqlcommand_arguments(&s, c, err);
    if (rc == 0)
        sqlcommand_bindings(&s, &bindings);
    if (rc == 0 && l->has_package && s.engine == SUBSYSTEM_SQLITE3)
        rc = add_file_input(c, l->what, err);
    else if (rc == 0)
        rc = add_input(c, l->has_package ? SPAN_NONE : from->launch->text, err);
    if (rc == 0)
        rc = add_input(c, buf_span(&bindings), err);
    explicit_bzero(bindings.p, bindings.p ? bindings.cap : 0);
    buf_free(&bindings);
    buf_free(&database);
    return rc;
}

/* ---- ssis */

static int run_dtexec(struct commandline *l, struct command *c, struct error *err)
{
    const struct s_launch *launch = l->from->launch;
    struct buf text = {0};
    struct dtexec d = {.catalogue = launch->text,
                       .server = span_str(variable(c, DTEXEC_SERVER)),
                       .parameters = &launch->parameters,
                       .sensitive = &launch->sensitive,
                       .declared = l->has_package ? &l->package.runnable.parameters : NULL};
    int rc = add_words(l, c, NULL, err);
    if (rc == 0 && l->has_package) {
        if (dtexec_is_file(l->what))
            d.file = l->what;
        else if ((rc = file_read(l->what, LIMIT_PATH, &text, err)) == 0)
            d.catalogue = buf_span(&text);
    }
    if (rc == 0)
        rc = dtexec_arguments(&d, c, err);
    buf_free(&text);
    return rc;
}

/* ---- */

static int find_what(struct commandline *l, struct error *err)
{
    const struct s_launch *launch = l->from->launch;
    if (launch->text.n && memchr(launch->text.p, 0, launch->text.n))
        return error_set(err, -EINVAL, "the step's text contains a NUL byte");
    if (launch->text.n) {
        l->what = span_dup_str(launch->text);
        return 0;
    }
    int rc = installed_load(l->from->paths, &launch->package, &l->package, err);
    l->has_package = rc == 0;
    return rc < 0 ? rc
                  : installed_entry(l->from->paths, &l->package,
                                    span_eq_str(launch->subsystem, "exec"), &l->what, err);
}

int commandline_make(const struct command_source *from, struct command *c, struct error *err)
{
    struct commandline l = {.from = from};
    int rc = find_what(&l, err);
    if (rc == 0)
        rc = take_subsystem(&l, err);
    if (rc == 0 && l.parameters == SUBSYSTEM_DTEXEC)
        rc = run_dtexec(&l, c, err);
    else if (rc == 0 && l.parameters != SUBSYSTEM_ENVIRONMENT)
        rc = run_sql(&l, c, err);
    else if (rc == 0 && (rc = add_words(&l, c, NULL, err)) == 0)
        command_add(c, mem_strdup(l.what));
    commandline_free(&l);
    return rc;
}
