/* need.c - see need.h. */
#include "common/need.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/duration.h"

struct need_answer {
    char *const *envp;
    char *trouble;
    size_t size;
};

#define SAY(a, ...) (snprintf((a)->trouble, (a)->size, __VA_ARGS__), false)

static bool probe_path(const char *path, struct need_answer *a)
{
    return access(path, R_OK) == 0 || SAY(a, "%s: %s", path, strerror(errno));
}

/* NULL: it is not set. */
static const char *variable(const struct need_answer *a, const char *name)
{
    size_t n = strlen(name);
    for (char *const *e = a->envp; *e; e++)
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
            return *e + n + 1;
    return NULL;
}

static bool is_program(const char *path)
{
    struct stat st;
    return access(path, X_OK) == 0 && stat(path, &st) == 0 &&
           (S_ISREG(st.st_mode) || ((errno = EACCES), false));
}

static bool probe_command(const char *name, struct need_answer *a)
{
    char path[PATH_MAX];
    const char *dirs = variable(a, "PATH");
    if (strchr(name, '/'))
        return is_program(name) || SAY(a, "%s: %s", name, strerror(errno));
    for (const char *at = dirs ? dirs : ""; *at;) {
        size_t n = strcspn(at, ":");
        snprintf(path, sizeof path, "%.*s/%s", (int)n, at, name);
        if (is_program(path))
            return true;
        at += n + (at[n] == ':');
    }
    return SAY(a, "%s is not in the PATH of children (%s)", name, dirs ? dirs : "");
}

static bool probe_env(const char *name, struct need_answer *a)
{
    return variable(a, name) ||
           SAY(a, "%s is not set in the environment of children (a proxy's file can set it)", name);
}

static bool probe_disk_free(const char *what, struct need_answer *a)
{
    struct statvfs st;
    char *path, has[DURATION_TEXT], wants[DURATION_TEXT];
    unsigned long long least = strtoull(what, &path, 10);
    if (*path != ':' || path[1] != '/')
        return SAY(a, "'%s' is not BYTES:/PATH", what);
    path++;
    if (statvfs(path, &st) < 0)
        return SAY(a, "%s: %s", path, strerror(errno));
    unsigned long long bytes = (unsigned long long)st.f_bavail * st.f_frsize;
    return bytes >= least ||
           SAY(a, "%s: %s free, %s needed", path, size_format((int64_t)bytes, has),
               size_format((int64_t)least, wants));
}

static int connect_within(const struct addrinfo *ai, int ms)
{
    int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol),
        why = 0;
    socklen_t n = sizeof why;
    if (fd < 0)
        return errno;
    if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0)
        why = errno;
    if (why == EINPROGRESS) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int ready = poll(&p, 1, ms);
        why = ready == 0 ? ETIMEDOUT : ready < 0 ? errno : 0;
        if (ready > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n) < 0)
            why = errno;
    }
    close(fd);
    return why;
}

static bool probe_tcp(const char *what, struct need_answer *a)
{
    char host[256];
    const char *colon = strrchr(what, ':');
    if (!colon || colon == what || (size_t)(colon - what) >= sizeof host)
        return SAY(a, "'%s' is not HOST:PORT", what);
    const char *from = what[0] == '[' && colon[-1] == ']' ? what + 1 : what;
    snprintf(host, sizeof host, "%.*s", (int)(colon - from) - (from != what), from);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all = NULL;
    int rc = getaddrinfo(host, colon + 1, &hints, &all), why = ECONNREFUSED;
    if (rc != 0)
        return SAY(a, "%s: %s", what, gai_strerror(rc));
    for (struct addrinfo *ai = all; ai; ai = ai->ai_next)
        if ((why = connect_within(ai, NEED_CONNECT_MS)) == 0)
            break;
    freeaddrinfo(all);
    return why == 0 || SAY(a, "%s: %s", what, strerror(why));
}

bool need_probe(const char *need, char *const envp[], char *trouble, size_t size)
{
    static const struct {
        const char *kind;
        bool (*probe)(const char *what, struct need_answer *a);
    } kinds[] = {{"path:", probe_path},
                 {"command:", probe_command},
                 {"tcp:", probe_tcp},
                 {"env:", probe_env},
                 {"disk_free:", probe_disk_free}};
    struct need_answer a = {envp, trouble, size};
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(need, kinds[i].kind, strlen(kinds[i].kind)) == 0)
            return kinds[i].probe(need + strlen(kinds[i].kind), &a);
    return SAY(&a, "'%s' is not a kind of need that this server can probe", need);
}
