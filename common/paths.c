/* paths.c - see paths.h. */
#include "common/paths.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"

int path_join(char *out, size_t size, struct error *err, const char *a, ...)
{
    va_list ap;
    va_start(ap, a);
    size_t n = 0;
    bool fits = true;
    for (const char *part = a; part && fits; part = va_arg(ap, const char *)) {
        size_t len = strlen(part);
        if (len == 0)
            continue;
        bool slash = n > 0 && out[n - 1] != '/' && part[0] != '/';
        if (n > 0 && out[n - 1] == '/' && part[0] == '/')
            part++, len--;
        fits = n + slash + len < size;
        if (fits && slash)
            out[n++] = '/';
        if (fits)
            memmove(out + n, part, len);
        n += fits ? len : 0;
    }
    va_end(ap);
    if (size)
        out[fits ? n : 0] = 0;
    if (!fits)
        return error_set(err, -ENAMETOOLONG, "a path in '%.200s' is longer than %zu bytes",
                         a == out ? "" : a, size);
    return 0;
}

/* XDG: an unset, empty or relative value counts as unset. */
static const char *absolute_env(const char *name)
{
    const char *s = secure_getenv(name);
    return s && s[0] == '/' ? s : NULL;
}

static int home_folder(char *out, struct error *err)
{
    const char *home = absolute_env("HOME");
    if (!home) {
        const struct passwd *pw = getpwuid(geteuid());
        home = pw && pw->pw_dir && pw->pw_dir[0] == '/' ? pw->pw_dir : NULL;
    }
    if (!home)
        return error_set(err, -EINVAL, "user %u has no home folder: set HOME or LONGBOAT_HOME",
                         (unsigned)geteuid());
    return path_join(out, PATHS_MAX, err, home, NULL);
}

static int user_paths(struct paths *p, struct error *err)
{
    char *home = mem_alloc(PATHS_MAX);
    const char *config = absolute_env("XDG_CONFIG_HOME"), *state = absolute_env("XDG_STATE_HOME");
    const char *run = absolute_env("XDG_RUNTIME_DIR");
    int rc = config && state ? 0 : home_folder(home, err);
    if (rc == 0)
        rc = config ? path_join(p->config, PATHS_MAX, err, config, "longboat", NULL)
                    : path_join(p->config, PATHS_MAX, err, home, ".config/longboat", NULL);
    if (rc == 0)
        rc = state ? path_join(p->state, PATHS_MAX, err, state, "longboat", NULL)
                   : path_join(p->state, PATHS_MAX, err, home, ".local/state/longboat", NULL);
    if (rc == 0)
        rc = run ? path_join(p->run, PATHS_MAX, err, run, "longboat", NULL)
                 : path_join(p->run, PATHS_MAX, err, p->state, "run", NULL);
    mem_free(&home);
    return rc;
}

static int three(struct paths *p, const char *config, const char *state, const char *run,
                 const char *below, struct error *err)
{
    int rc = path_join(p->config, PATHS_MAX, err, below, config, NULL);
    if (rc == 0)
        rc = path_join(p->state, PATHS_MAX, err, below, state, NULL);
    if (rc == 0)
        rc = path_join(p->run, PATHS_MAX, err, below, run, NULL);
    return rc;
}

int paths_resolve(struct paths *ret, struct error *err)
{
    const char *moved = secure_getenv("LONGBOAT_HOME");
    struct paths *p = mem_zalloc(1, sizeof *p);
    int rc;
    if (moved && *moved && moved[0] != '/')
        rc = error_set(err, -EINVAL, "LONGBOAT_HOME must be an absolute path, not '%.200s'", moved);
    else if (moved && *moved)
        rc = three(p, "etc", "var", "run", moved, err);
    else if (geteuid() == 0)
        rc = three(p, "/etc/longboat", "/var/lib/longboat", "/run/longboat", "", err);
    else
        rc = user_paths(p, err);
    if (rc == 0)
        *ret = *p;
    mem_free(&p);
    return rc;
}

int paths_check_socket(const char *path, struct error *err)
{
    size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (strlen(path) <= most)
        return 0;
    return error_set(
        err, -ENAMETOOLONG,
        "the socket path '%.300s' has %zu bytes and the system allows %zu: choose a shorter "
        "LONGBOAT_HOME or XDG_RUNTIME_DIR",
        path, strlen(path), most);
}
