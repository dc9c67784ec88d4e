/* proxies.c - see proxies.h. */
#include "runner/proxies.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/name.h"
#include "common/ownfile.h"
#include "runner/compiled.h"
#include "trust/credentials.h"
#include "trust/envelope.h"

enum {
    ACCOUNTS = 32,     /* remembered */
    ACCOUNT_MS = 10000 /* and asked again after this, wherever accounts come from */
};

struct proxies_account {
    struct hash proxy; /* of the document */
    struct stat users, groups;
    int64_t until; /* wall */
    struct account_user account;
};

struct proxies {
    const struct runner_paths *paths;
    struct compiled *files;
    uid_t also; /* who besides root may own what decides */
    struct account_own own;
    struct buf implied;
    struct proxies_account account[ACCOUNTS];
    unsigned next;
};

struct proxies *proxies_new(const struct runner_paths *paths)
{
    struct proxies *p = mem_zalloc(1, sizeof *p);
    char *program = compiled_program();
    p->paths = paths;
    p->also = paths->separated ? 0 : geteuid();
    p->files = compiled_new(program, p->also);
    proxy_implied(paths->user, &p->implied);
    mem_free(&program);
    return p;
}

void proxies_free(struct proxies **pp)
{
    struct proxies *p = *pp;
    if (!p)
        return;
    compiled_free(&p->files);
    buf_free(&p->implied);
    mem_free(pp);
}

/* ---- Files */

/* A name comes from whoever wrote the job: it must not lead out of the folder. */
static int check_name(const char *what, struct span name, struct error *err)
{
    return name.n <= LIMIT_NAME ? name_check_name(what, name, err)
                                : error_set(err, -EINVAL, "%s is too long", what);
}

static int find_proxy(struct proxies *p, struct span name, int64_t now, struct proxies_found *ret,
                      struct span *ret_document, struct error *err)
{
    int rc = check_name("the name of a proxy", name, err);
    if (rc < 0)
        return rc;
    proxy_file_text(name, ret->file);
    char *path = mem_printf("%s/" SPAN_FMT ".yaml", p->paths->proxies, SPAN_ARG(name));
    rc = compiled_get(p->files, "proxy", path, ret->file, now, ret_document, err);
    mem_free(&path);
    if (rc == -ENOENT && !p->paths->separated && span_eq_str(name, PROXY_DEFAULT)) {
        *ret_document = buf_span(&p->implied);
        snprintf(ret->file, sizeof ret->file, PROXY_IMPLIED);
        rc = 0;
    } else if (rc == -ENOENT)
        return proxy_missing(name, err);
    if (rc == 0 && d_proxy_decode(*ret_document, &ret->proxy, err) < 0)
        rc = error_prefix(err, "%s, as lbparse made it", ret->file);
    return rc < 0 ? error_prefix(err, "proxy '" SPAN_FMT "' is not usable", SPAN_ARG(name)) : 0;
}

static bool is_ours(struct span subsystem)
{
    static const char *const ours[] = {"exec", "shell", "python"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (span_eq_str(subsystem, ours[i]))
            return true;
    return false;
}

static int find_subsystem(struct proxies *p, struct span name, int64_t now, struct d_subsystem *ret,
                          struct error *err)
{
    struct span document;
    char file[LIMIT_NAME + 32];
    *ret = (struct d_subsystem){0};
    if (!name.n || is_ours(name))
        return 0;
    int rc = check_name("the name of a subsystem", name, err);
    if (rc < 0)
        return rc;
    char *path = mem_printf("%s/" SPAN_FMT ".yaml", p->paths->subsystems, SPAN_ARG(name));
    snprintf(file, sizeof file, "subsystems.d/" SPAN_FMT ".yaml", SPAN_ARG(name));
    rc = compiled_get(p->files, "subsystem", path, file, now, &document, err);
    mem_free(&path);
    if (rc == -ENOENT)
        return error_set(err, rc, "this server has no subsystem '" SPAN_FMT "' (%s)",
                         SPAN_ARG(name), file);
    if (rc == 0)
        rc = d_subsystem_decode(document, ret, err);
    return rc < 0 ? error_prefix(err, "subsystem '" SPAN_FMT "' is not usable", SPAN_ARG(name)) : 0;
}

/* ---- Accounts */

static void look_at(const char *path, struct stat *ret)
{
    if (stat(path, ret) < 0)
        *ret = (struct stat){0};
}

/* Asking the system's databases costs as much as starting a child, so the answer stands for a
 * while, unless the proxy or the databases' files change. */
static int find_account(struct proxies *p, struct span document, int64_t now,
                        struct proxies_found *f, struct error *err)
{
    struct proxies_account fresh = {.until = now + ACCOUNT_MS};
    look_at("/etc/passwd", &fresh.users);
    look_at("/etc/group", &fresh.groups);
    envelope_hash(document, &fresh.proxy);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        const struct proxies_account *a = &p->account[i];
        if (hash_eq(&a->proxy, &fresh.proxy) && now < a->until && now >= a->until - ACCOUNT_MS &&
            ownfile_same(&a->users, &fresh.users) && ownfile_same(&a->groups, &fresh.groups)) {
            f->account = a->account;
            return 0;
        }
    }
    int rc = p->paths->separated ? account_resolve(&f->proxy, f->file, &p->own, &fresh.account, err)
                                 : account_unswitched(&f->proxy, f->file, &fresh.account, err);
    if (rc < 0)
        return rc;
    f->account = fresh.account;
    p->account[p->next++ % ACCOUNTS] = fresh;
    return 0;
}

int proxies_judge(struct proxies *p, struct span name, const struct proxy_question *q, int64_t now,
                  struct proxies_found *ret, struct error *err)
{
    struct span document;
    int rc = find_proxy(p, name, now, ret, &document, err);
    if (rc == 0)
        rc = proxy_judge(&ret->proxy, ret->file, q, err);
    if (rc == 0)
        rc = find_subsystem(p, q->subsystem, now, &ret->subsystem, err);
    if (rc == 0)
        rc = find_account(p, document, now, ret, err);
    if (rc == 0 && (rc = credentials_check(&ret->proxy.credentials, p->also, err)) < 0)
        error_prefix(err, "proxy '" SPAN_FMT "'", SPAN_ARG(name));
    return rc;
}

/* ---- The context */

uint64_t proxies_least(uint64_t a, uint64_t b)
{
    return a == 0 || (b && b < a) ? b : a;
}

/* The subsystem's variables, then the proxy's, which count more. */
static struct wire_list environment_of(const struct proxies_found *f, struct buf *items)
{
    struct wire_iter it = wire_iter(&f->subsystem.environment);
    struct span name;
    struct value v, other;
    uint32_t n = f->proxy.environment.count;
    char key[LIMIT_NAME + 1];
    buf_add(items, f->proxy.environment.items.p, f->proxy.environment.items.n);
    while (wire_next_pair(&it, &name, &v))
        if (span_copy_str(name, key, sizeof key) &&
            !wire_map_get(&f->proxy.environment, key, &other)) {
            value_add_str(items, name);
            buf_add(items, v.raw.p, v.raw.n);
            n++;
        }
    return wire_list_from(items, n);
}

static void add_group(struct buf *out, gid_t g)
{
    const uint8_t bytes[4] = {(uint8_t)(g >> 24), (uint8_t)(g >> 16), (uint8_t)(g >> 8),
                              (uint8_t)g};
    buf_add(out, bytes, sizeof bytes);
}

int proxies_context(const struct proxies_found *f, const struct proxies_step *step, bool separated,
                    struct buf *out, struct error *err)
{
    const struct d_proxy *p = &f->proxy;
    struct buf groups = {0}, environment = {0};
    int rc = 0;
    for (size_t i = 0; separated && i < f->account.n_groups; i++)
        add_group(&groups, f->account.groups[i]);
    struct d_context c = {.proxy = p->name,
                          .user = span_str(f->account.name),
                          .uid = separated ? f->account.uid : 0,
                          .gid = separated ? f->account.gid : 0,
                          .groups = buf_span(&groups),
                          .home = span_str(f->account.home),
                          .environment = environment_of(f, &environment),
                          .argv = step->is_text ? f->subsystem.text_argv : f->subsystem.argv,
                          .memory = proxies_least(p->memory, step->memory),
                          .cpu = p->cpu,
                          .processes = proxies_least(p->processes, step->processes),
                          .files = p->files,
                          .file_size = p->file_size,
                          .warn_ms = p->warn_ms,
                          .warn_signal = p->warn_signal,
                          .on = p->on,
                          .required = p->required,
                          .reads = p->reads,
                          .writes = p->writes,
                          .principal = step->principal,
                          .signer = step->signer,
                          .credentials = p->credentials};
    const size_t was = out->n;
    if (f->subsystem.name.n && !c.argv.count)
        rc = error_set(err, -EINVAL,
                       "subsystem '" SPAN_FMT "' takes no text (subsystems.d/" SPAN_FMT ".yaml)",
                       SPAN_ARG(f->subsystem.name), SPAN_ARG(f->subsystem.name));
    else if (environment.n > LIMIT_OUTPUTS - 8 || c.environment.count > LIMIT_VALUES)
        rc = error_set(err, -EMSGSIZE,
                       "proxy '" SPAN_FMT "' and subsystem '" SPAN_FMT "' set too many variables",
                       SPAN_ARG(p->name), SPAN_ARG(f->subsystem.name));
    else
        d_context_encode(&c, out);
    if (rc == 0 && out->n - was > LIMIT_CONTEXT) {
        rc = error_set(err, -EMSGSIZE,
                       "proxy '" SPAN_FMT "' gives a step %zu bytes; the limit is %d",
                       SPAN_ARG(p->name), out->n - was, (int)LIMIT_CONTEXT);
        out->n = was;
    }
    buf_free(&groups);
    buf_free(&environment);
    return rc;
}
