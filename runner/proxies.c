/* proxies.c - see proxies.h. */
#include "runner/proxies.h"

#include <errno.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/ownfile.h"
#include "runner/compiled.h"
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
    struct proxyserver server;
    struct compiled *files;
    struct proxies_account account[ACCOUNTS];
    unsigned next;
    int64_t now; /* of the judgement */
};

static int read_compiled(void *self, const char *kind, const char *path, const char *shown,
                         struct span *ret, struct error *err)
{
    struct proxies *p = self;
    return compiled_get(p->files, kind, path, shown, p->now, ret, err);
}

static void look_at(const char *path, struct stat *ret)
{
    if (stat(path, ret) < 0)
        *ret = (struct stat){0};
}

/* Asking the system's databases costs as much as starting a child, so the answer stands for a
 * while, unless the proxy or the databases' files change. */
static int find_account(void *self, struct span document, struct proxy_found *f, struct error *err)
{
    struct proxies *p = self;
    struct proxies_account fresh = {.until = p->now + ACCOUNT_MS};
    if (p->server.separated) { /* else it can be but one */
        look_at("/etc/passwd", &fresh.users);
        look_at("/etc/group", &fresh.groups);
    }
    envelope_hash(document, &fresh.proxy);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        const struct proxies_account *a = &p->account[i];
        if (hash_eq(&a->proxy, &fresh.proxy) && p->now < a->until &&
            p->now >= a->until - ACCOUNT_MS && ownfile_same(&a->users, &fresh.users) &&
            ownfile_same(&a->groups, &fresh.groups)) {
            f->account = a->account;
            return 0;
        }
    }
    int rc = proxyserver_find_account(&p->server, f, err);
    if (rc < 0)
        return rc;
    fresh.account = f->account;
    p->account[p->next++ % ACCOUNTS] = fresh;
    return 0;
}

struct proxies *proxies_new(const struct runner_paths *paths)
{
    struct proxies *p = mem_zalloc(1, sizeof *p);
    char *program = compiled_program();
    p->server = (struct proxyserver){
        .proxies = paths->proxies,
        .subsystems = paths->subsystems,
        .user = paths->user,
        .separated = paths->separated,
        .own = {.uids = {paths->worker.uid, paths->unpack.uid}, .n = paths->separated ? 2 : 0},
        .also = paths->separated ? 0 : geteuid(),
        .read = read_compiled,
        .account = find_account,
        .self = p};
    p->files = compiled_new(program, paths->separated ? &paths->unpack : NULL, p->server.also);
    mem_free(&program);
    return p;
}

void proxies_free(struct proxies **pp)
{
    struct proxies *p = *pp;
    if (!p)
        return;
    compiled_free(&p->files);
    proxyserver_close(&p->server);
    mem_free(pp);
}

int proxies_judge(struct proxies *p, struct span name, const struct proxy_question *q, int64_t now,
                  struct proxy_found *ret, struct error *err)
{
    p->now = now;
    return proxyserver_judge(&p->server, name, q, ret, err);
}

/* ---- The context */

uint64_t proxies_least(uint64_t a, uint64_t b)
{
    return a == 0 || (b && b < a) ? b : a;
}

/* The subsystem's variables, then the proxy's, which count more. */
static struct wire_list environment_of(const struct proxy_found *f, struct buf *items)
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

/* A keeper that knows no other way than the environment must not take it for argv. */
static void set_command(struct d_context *c, const struct d_subsystem *s, bool is_text,
                        struct buf *program)
{
    const struct wire_list *words = is_text ? &s->text_argv : &s->argv;
    struct wire_iter it = wire_iter(words);
    struct span word;
    if (subsystem_parameters_parse(s->parameters) == SUBSYSTEM_ENVIRONMENT) {
        c->argv = *words;
        return;
    }
    c->parameters = s->parameters;
    while (wire_next(&it, &word))
        value_add_str(program, word);
    c->program = buf_span(program);
}

static void add_group(struct buf *out, gid_t g)
{
    const uint8_t bytes[4] = {(uint8_t)(g >> 24), (uint8_t)(g >> 16), (uint8_t)(g >> 8),
                              (uint8_t)g};
    buf_add(out, bytes, sizeof bytes);
}

int proxies_context(const struct proxy_found *f, const struct proxies_step *step, bool separated,
                    struct buf *out, struct error *err)
{
    const struct d_proxy *p = &f->proxy;
    struct buf groups = {0}, environment = {0}, program = {0};
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
    set_command(&c, &f->subsystem, step->is_text, &program);
    if (step->is_text && !f->subsystem.text_argv.count)
        rc = error_set(err, -EINVAL,
                       "subsystem '" SPAN_FMT "' takes no text (subsystems.d/" SPAN_FMT
                       ".yaml could say `text`); make a package (lbpkg new)",
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
    buf_free(&program);
    return rc;
}

/* ---- Again */

static int judge_again(struct proxies *p, const struct policy *policy, const struct s_launch *l,
                       const struct d_context *was, int64_t now, struct proxy_found *ret,
                       struct error *err)
{
    const struct proxy_question q = {.principal = was->principal, .subsystem = l->subsystem};
    int rc = proxies_judge(p, was->proxy, &q, now, ret, err);
    const struct builder *signer = NULL;
    if (rc == 0 && !l->text.n) /* a text has no package */
        rc = policy_judge_signer(policy, &was->signer, l->package_name, now, &signer, err);
    return rc < 0 || !signer ? rc : proxy_judge_signer(&ret->proxy, ret->file, signer, err);
}

int proxies_again(struct proxies *p, const struct policy *policy, struct buf *launch, int64_t now,
                  struct error *err)
{
    struct s_launch l;
    struct d_context was;
    struct proxy_found found;
    struct buf context = {0}, made = {0};
    int rc = s_launch_decode(buf_span(launch), &l, err);
    if (rc < 0 || !l.context.n) /* of a runner that knew no proxies */
        return rc;
    if ((rc = d_context_decode(l.context, &was, err)) == 0)
        rc = judge_again(p, policy, &l, &was, now, &found, err);
    if (rc == 0) {
        const struct proxies_step step = {.principal = was.principal,
                                          .signer = was.signer,
                                          .is_text = l.text.n > 0,
                                          .memory = was.memory,
                                          .processes = was.processes};
        rc = proxies_context(&found, &step, p->server.separated, &context, err);
    }
    if (rc == 0) {
        l.context = buf_span(&context);
        l.timeout_ms = proxies_least(l.timeout_ms, found.proxy.timeout_ms);
        l.output_cap = proxies_least(l.output_cap, found.proxy.output_cap);
        s_launch_encode(&l, &made);
        buf_free(launch);
        *launch = made;
    }
    buf_free(&context);
    return rc;
}
