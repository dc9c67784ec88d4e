/* proxyfile_limits.c - what a proxy limits, and what it shuts out: `limits` and `sandbox`. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>

#include "common/suggest.h"
#include "package/manifest_parameter.h"
#include "package/proxyfile_inner.h"
#include "trust/proxy.h"

enum { CPU_MAX = 4096, PATHS = 64 };

static const char *const limit_keys[] = {"timeout",   "memory", "cpu",  "processes",   "files",
                                         "file_size", "output", "warn", "warn_signal", NULL};
static const char *const sandbox_keys[] = {"user",    "cgroup",      "landlock",
                                           "seccomp", "private_tmp", "memory_files",
                                           "reads",   "writes",      NULL};

static void take_number(const struct yaml_node *node,
                        int (*read)(const struct yaml_node *, int64_t *, struct error *),
                        uint64_t *ret, struct problems *ps)
{
    struct error err;
    int64_t v = 0;
    int rc = read(node, &v, &err);
    if (rc == 0 && v <= 0)
        rc = yaml_error(node, &err, "a limit must be more than 0; leave it out for none");
    if (proxyfile_note(ps, rc, &err))
        *ret = (uint64_t)v;
}

static void take_cpu(const struct yaml_node *node, uint64_t *ret, struct problems *ps)
{
    struct error err;
    double v = 0;
    int rc = yaml_float(node, &v, &err);
    if (rc == 0 && !(v >= 0.01 && v <= CPU_MAX))
        rc = yaml_error(node, &err, "processors are a number from 0.01 to %d, such as 1.5",
                        (int)CPU_MAX);
    if (proxyfile_note(ps, rc, &err))
        *ret = (uint64_t)lround(v * 1000);
}

static void take_signal(const struct yaml_node *map, struct d_proxy *d, struct problems *ps)
{
    static const char *const names[] = {"TERM", "INT", "HUP", "USR1", "USR2", NULL};
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    const struct yaml_node *node = yaml_get(map, "warn_signal");
    struct error err;
    char hint[SUGGEST_TEXT];
    if (!node) {
        d->warn_signal = d->warn_ms ? SIGTERM : 0;
        return;
    }
    const char *text = proxyfile_text(map, "warn_signal", LIMIT_NAME, ps);
    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], text) == 0)
            d->warn_signal = (uint64_t)numbers[i];
    if (!d->warn_ms)
        yaml_error(node, &err, "'warn_signal' needs 'warn', the time before the timeout");
    else if (*text && !d->warn_signal)
        yaml_error(node, &err, "unknown signal '%.40s'%s; known are TERM, INT, HUP, USR1, USR2",
                   text, suggest_hint(text, names, hint));
    else
        return;
    problems_add_error(ps, &err);
}

void proxyfile_limits(const struct yaml_node *map, struct d_proxy *d, struct problems *ps)
{
    struct error err;
    const struct yaml_node *node;
    if (!proxyfile_note(ps, yaml_expect_map(map, &err), &err))
        return;
    manifest_note_unknown_keys(map, limit_keys, ps);
    const struct {
        const char *key;
        int (*read)(const struct yaml_node *, int64_t *, struct error *);
        uint64_t *ret;
    } rows[] = {{"timeout", yaml_duration, &d->timeout_ms}, {"memory", yaml_size, &d->memory},
                {"processes", yaml_int, &d->processes},     {"files", yaml_int, &d->files},
                {"file_size", yaml_size, &d->file_size},    {"output", yaml_size, &d->output_cap},
                {"warn", yaml_duration, &d->warn_ms}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((node = yaml_get(map, rows[i].key)))
            take_number(node, rows[i].read, rows[i].ret, ps);
    if ((node = yaml_get(map, "cpu")))
        take_cpu(node, &d->cpu, ps);
    take_signal(map, d, ps);
}

/* `user`, `cgroup` and `memory_files` are on wherever the server has them; they can only be
 * required. */
static void take_protection(const struct yaml_node *map, unsigned at, struct d_proxy *d,
                            struct problems *ps)
{
    static const char *const words[] = {"off", "on", "required", NULL};
    const bool choice = (1U << at) & (PROTECT_LANDLOCK | PROTECT_SECCOMP | PROTECT_PRIVATE_TMP);
    const struct yaml_node *node = yaml_get(map, protect_word(at));
    struct error err;
    char hint[SUGGEST_TEXT];
    if (!node)
        return;
    const char *text = proxyfile_text(map, protect_word(at), LIMIT_NAME, ps);
    if (strcmp(text, "off") == 0 && choice)
        d->on &= ~(1ULL << at);
    else if (strcmp(text, "on") == 0)
        d->on |= 1ULL << at;
    else if (strcmp(text, "required") == 0) {
        d->on |= 1ULL << at;
        d->required |= 1ULL << at;
    } else if (*text) {
        yaml_error(node, &err, "'%.40s'%s: '%s' is %s", text,
                   suggest_hint(text, words + !choice, hint), protect_word(at),
                   choice ? "off, on or required" : "on or required");
        problems_add_error(ps, &err);
    }
}

void proxyfile_sandbox(const struct yaml_node *map, struct proxyfile *f, struct d_proxy *d)
{
    struct error err;
    const struct yaml_node *node;
    d->on = PROXY_USUALLY_ON;
    if (!map || !proxyfile_note(f->problems, yaml_expect_map(map, &err), &err))
        return;
    manifest_note_unknown_keys(map, sandbox_keys, f->problems);
    for (unsigned at = 0; at < PROTECT_COUNT; at++)
        take_protection(map, at, d, f->problems);
    if ((node = yaml_get(map, "reads")))
        d->reads =
            wire_list_from(&f->reads, proxyfile_list(node, "reads", PATHS, proxyfile_check_path,
                                                     &f->reads, f->problems));
    if ((node = yaml_get(map, "writes")))
        d->writes =
            wire_list_from(&f->writes, proxyfile_list(node, "writes", PATHS, proxyfile_check_path,
                                                      &f->writes, f->problems));
}
