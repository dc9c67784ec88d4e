/* sandbox.c - see sandbox.h. */
#include "runner/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/protect.h"
#include "runner/inchild.h"
#include "runner/landlock.h"
#include "runner/owntmp.h"
#include "runner/rlimits.h"
#include "runner/syscalls.h"

struct sandbox {
    const struct runner_paths *paths;
    struct cgroup *cgroup;      /* NULL: there is none, or it is of no slot */
    bool has_cgroup;            /* the server has one for each slot */
    struct sock_fprog syscalls; /* filter NULL: the kernel cannot */
    struct landlock_list usual; /* only its version counts: 0: the kernel cannot */

    /* Of the step */
    const struct d_context *context;
    uint64_t off;
    struct rlimits rlimits;
    struct landlock_list files;
};

/* ---- What this server can give */

static void note(struct buf *out, enum protect_at at, bool has, const struct error *why)
{
    if (has)
        buf_printf(out, "%s: possible: %s\n", protect_word(at), protect_text(at));
    else
        buf_printf(out, "%s: off: %s\n", protect_word(at), why->text);
}

void sandbox_survey(struct runner_paths *paths)
{
    struct error err = {0};
    struct buf out = {0};
    struct sock_fprog filter;
    char *file = mem_printf("%s/protections", paths->run);
    const struct cgroup_place here = cgroup_here();
    error_set(&err, 0, "the runner was not started as root");
    note(&out, PROTECT_AT_USER, paths->separated, &err);
    bool has = cgroup_claim(&here, &paths->cgroup, &err) == 0;
    if (!has)
        log_info("memory, processors and processes of steps are not limited: %s", err.text);
    note(&out, PROTECT_AT_CGROUP, has, &err);
    error_set(&err, 0, "this kernel has no Landlock, or does not use it");
    note(&out, PROTECT_AT_LANDLOCK, landlock_version(&landlock_kernel) > 0, &err);
    has = syscalls_compile(&filter, &err) == 0;
    if (!has)
        log_warn("no system call of a step is refused: %s", err.text);
    note(&out, PROTECT_AT_SECCOMP, has, &err);
    syscalls_free(&filter);
    paths->private_tmp = owntmp_possible(paths, &err);
    note(&out, PROTECT_AT_PRIVATE_TMP, paths->private_tmp, &err);
    error_set(&err, 0, "there is no tmpfs for them");
    note(&out, PROTECT_AT_MEMORY_FILES, paths->memory_backed, &err);
    if (file_write_atomic(file, buf_span(&out), 0644, &err) < 0)
        log_warn("%s", err.text);
    buf_free(&out);
    mem_free(&file);
}

int sandbox_open(const struct runner_paths *paths, unsigned slot, struct sandbox **ret,
                 struct error *err)
{
    struct sandbox *s = mem_zalloc(1, sizeof *s);
    struct error without = {0};
    s->paths = paths;
    s->files.fd = -1;
    s->usual.version = landlock_version(&landlock_kernel);
    int rc = 0;
    s->has_cgroup = paths->cgroup != NULL;
    if (slot && paths->cgroup &&
        (rc = cgroup_open(paths->cgroup, paths->run, slot, &s->cgroup, err)) == 0)
        log_debug("slot %u: its children are in a cgroup below %s", slot, paths->cgroup);
    if (rc == 0 && syscalls_compile(&s->syscalls, &without) < 0)
        log_debug("slot %u: %s", slot, without.text);
    if (rc < 0)
        sandbox_close(&s);
    else
        *ret = s;
    return rc;
}

static void close_files(struct sandbox *s)
{
    if (s->files.fd >= 0)
        close(s->files.fd);
    s->files.fd = -1;
}

void sandbox_close(struct sandbox **s)
{
    if (!*s)
        return;
    close_files(*s);
    cgroup_close(&(*s)->cgroup);
    syscalls_free(&(*s)->syscalls);
    mem_free(s);
}

/* ---- The files that it may reach */

/* Of every child: programs and their libraries, settings, what the kernel says. */
static const char *const system_folders[] = {"/usr",   "/bin",   "/sbin",   "/lib",
                                             "/lib32", "/lib64", "/libx32", "/opt",
                                             "/etc",   "/proc",  "/sys",    "/run/systemd/resolve"};
static const char *const devices[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                      "/dev/random", "/dev/urandom", "/dev/tty"};

static int allow_all(const struct landlock_list *l, const char *const paths[], size_t n,
                     enum landlock_access access, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (paths[i])
            rc = landlock_allow(l, paths[i], access, err);
    return rc;
}

static int allow_listed(const struct landlock_list *l, const struct wire_list *paths,
                        enum landlock_access access, struct error *err)
{
    struct wire_iter it = wire_iter(paths);
    struct span path;
    int rc = 0;
    while (rc == 0 && wire_next(&it, &path)) {
        char *text = span_dup_str(path);
        rc = landlock_allow(l, text, access, err);
        mem_free(&text);
    }
    return rc;
}

static int allow_files(const struct sandbox *s, const struct sandbox_step *step, struct error *err)
{
    const struct landlock_list *l = &s->files;
    char *package = hash_is_zero(&step->package)
                        ? NULL
                        : runner_paths_of_hash(s->paths->packages, &step->package);
    const char *const reads[] = {package, step->credentials},
                      *writes[] = {step->work, step->memory};
    int rc = allow_all(l, system_folders, sizeof system_folders / sizeof *system_folders,
                       LANDLOCK_READ, err);
    if (rc == 0)
        rc = allow_all(l, devices, sizeof devices / sizeof *devices, LANDLOCK_DEVICE, err);
    if (rc == 0)
        rc = allow_all(l, reads, sizeof reads / sizeof *reads, LANDLOCK_READ, err);
    if (rc == 0)
        rc = allow_all(l, writes, sizeof writes / sizeof *writes, LANDLOCK_WRITE, err);
    if (rc == 0)
        rc = allow_listed(l, &step->context->reads, LANDLOCK_READ, err);
    if (rc == 0)
        rc = allow_listed(l, &step->context->writes, LANDLOCK_WRITE, err);
    mem_free(&package);
    return rc;
}

/* As the child's user: what that one cannot reach, no list needs. */
static int list_files(struct sandbox *s, const struct sandbox_step *step, struct error *err)
{
    struct error back = {0};
    int rc = landlock_begin(&landlock_kernel, &s->files, err);
    if (rc == 0 && step->user)
        rc = privilege_files_as(step->user, err);
    if (rc == 0)
        rc = allow_files(s, step, err);
    if (step->user && privilege_files_as(NULL, &back) < 0 && rc == 0)
        rc = error_set(err, -EPERM, "%s", back.text);
    return rc;
}

/* ---- A step */

static uint64_t missing(const struct sandbox *s, const struct sandbox_step *step)
{
    const uint64_t wanted = step->context->on | step->context->required;
    return step->off | (s->has_cgroup ? 0 : PROTECT_CGROUP) |
           (s->paths->private_tmp && (wanted & PROTECT_PRIVATE_TMP) ? 0 : PROTECT_PRIVATE_TMP) |
           (s->usual.version && (wanted & PROTECT_LANDLOCK) ? 0 : PROTECT_LANDLOCK) |
           (s->syscalls.filter && (wanted & PROTECT_SECCOMP) ? 0 : PROTECT_SECCOMP);
}

static int check_required(const struct sandbox *s, struct error *err)
{
    const struct d_context *c = s->context;
    for (unsigned at = 0; at < PROTECT_COUNT; at++)
        if (c->required & s->off & ((uint64_t)1 << at))
            return error_set(err, -EPERM,
                             "proxy '" SPAN_FMT "' requires %s (%s), which this server does not "
                             "have; `lbworker check` says why",
                             SPAN_ARG(c->proxy), protect_word(at), protect_text(at));
    return 0;
}

int sandbox_judge(struct sandbox *s, const struct sandbox_step *step, struct error *err)
{
    s->context = step->context;
    s->off = missing(s, step);
    return check_required(s, err);
}

int sandbox_begin(struct sandbox *s, const struct sandbox_step *step, struct error *err)
{
    const struct d_context *c = step->context;
    const struct cgroup_limits limits = {
        .memory = c->memory, .cpu = c->cpu, .processes = c->processes};
    s->rlimits = rlimits_of(c, step->user != NULL, s->has_cgroup);
    close_files(s);
    int rc = sandbox_judge(s, step, err);
    if (rc == 0 && s->cgroup)
        rc = cgroup_begin(s->cgroup, &limits, err);
    if (rc == 0 && !(s->off & PROTECT_LANDLOCK))
        rc = list_files(s, step, err);
    return rc;
}

uint64_t sandbox_off(const struct sandbox *s)
{
    return s->off;
}

size_t sandbox_list_off(const struct sandbox *s, const char *off[PROTECT_COUNT])
{
    size_t n = 0;
    for (unsigned at = 0; at < PROTECT_COUNT; at++)
        if (s->off & ((uint64_t)1 << at))
            off[n++] = protect_word(at);
    return n;
}

IN_CHILD int sandbox_enter(const struct sandbox *s)
{
    return s && s->cgroup ? cgroup_enter(s->cgroup) : 0;
}

IN_CHILD int sandbox_limit(const struct sandbox *s)
{
    const struct rlimits usual = {0};
    return rlimits_set(s ? &s->rlimits : &usual);
}

IN_CHILD int sandbox_seal(const struct sandbox *s)
{
    if (!s)
        return 0;
    if (sandbox_has_tmp(s)) /* lbtmp does the rest */
        return s->files.fd < 0 ? 0 : fcntl(s->files.fd, F_SETFD, 0);
    if (s->files.fd >= 0 && landlock_enter(s->files.fd) < 0)
        return -1;
    return s->off & PROTECT_SECCOMP ? 0 : syscalls_refuse(&s->syscalls);
}

IN_CHILD bool sandbox_has_tmp(const struct sandbox *s)
{
    return !(s->off & PROTECT_PRIVATE_TMP);
}

void sandbox_wrap(const struct sandbox *s, const struct command *command, struct command *ret)
{
    owntmp_wrap(command, s->files.fd, !(s->off & PROTECT_SECCOMP), ret);
}

void sandbox_kill(const struct sandbox *s)
{
    if (s->cgroup)
        cgroup_kill(s->cgroup);
}

static struct timeval time_of(uint64_t us)
{
    return (struct timeval){.tv_sec = (time_t)(us / 1000000),
                            .tv_usec = (suseconds_t)(us % 1000000)};
}

struct excess sandbox_end(struct sandbox *s, int status, struct rusage *usage)
{
    struct cgroup_use use;
    close_files(s);
    if (!s->cgroup)
        return excess_of(s->context, NULL, status);
    cgroup_end(s->cgroup, &use);
    usage->ru_utime = time_of(use.user_us);
    usage->ru_stime = time_of(use.system_us);
    return excess_of(s->context, &use, status);
}
