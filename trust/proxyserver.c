/* proxyserver.c - see proxyserver.h. */
#include "trust/proxyserver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "common/name.h"
#include "trust/credentials.h"

void proxyserver_close(struct proxyserver *s)
{
    buf_free(&s->implied);
    for (unsigned i = 0; i < SUBSYSTEM_BUILTINS; i++)
        buf_free(&s->builtins[i]);
}

/* A name comes from whoever wrote the job: it must not lead out of the folder. */
static int check_name(const char *what, struct span name, struct error *err)
{
    return name.n <= LIMIT_NAME ? name_check_name(what, name, err)
                                : error_set(err, -EINVAL, "%s is too long", what);
}

int proxyserver_find(struct proxyserver *s, struct span name, struct proxy_found *ret,
                     struct span *ret_document, struct error *err)
{
    int rc = check_name("the name of a proxy", name, err);
    if (rc < 0)
        return rc;
    proxy_file_text(name, ret->file);
    char *path = mem_printf("%s/" SPAN_FMT ".yaml", s->proxies, SPAN_ARG(name));
    rc = s->read(s->self, "proxy", path, ret->file, ret_document, err);
    mem_free(&path);
    if (rc == -ENOENT && !s->separated && span_eq_str(name, PROXY_DEFAULT)) {
        if (!s->implied.n)
            proxy_implied(s->user, &s->implied);
        *ret_document = buf_span(&s->implied);
        snprintf(ret->file, sizeof ret->file, PROXY_IMPLIED);
        rc = 0;
    } else if (rc == -ENOENT)
        return proxy_missing(name, err);
    if (rc == 0 && d_proxy_decode(*ret_document, &ret->proxy, err) < 0)
        rc = error_prefix(err, "%s, once compiled", ret->file);
    return rc < 0 ? error_prefix(err, "proxy '" SPAN_FMT "' is not usable", SPAN_ARG(name)) : 0;
}

/* What every server has, made when it is first asked for. */
static struct span builtin(struct proxyserver *s, unsigned i)
{
    if (!s->builtins[i].n)
        subsystem_builtin(i, &s->builtins[i]);
    return buf_span(&s->builtins[i]);
}

static int read_subsystem(struct proxyserver *s, struct span name, const char *file,
                          struct span *ret, struct error *err)
{
    const int own = subsystem_builtin_find(name);
    if (own >= 0 && !subsystem_is_replaceable((unsigned)own)) {
        *ret = builtin(s, (unsigned)own);
        return 0;
    }
    char *path = mem_printf("%s/" SPAN_FMT ".yaml", s->subsystems, SPAN_ARG(name));
    int rc = s->read(s->self, "subsystem", path, file, ret, err);
    mem_free(&path);
    if (rc == -ENOENT && own >= 0) {
        *ret = builtin(s, (unsigned)own);
        return 0;
    }
    return rc == -ENOENT ? error_set(err, rc,
                                     "this server has no subsystem '" SPAN_FMT
                                     "' (%s); lbctl subsystem list shows those that it has",
                                     SPAN_ARG(name), file)
                         : rc;
}

int proxyserver_subsystem(struct proxyserver *s, struct span name, struct d_subsystem *ret,
                          struct error *err)
{
    struct span document;
    char file[LIMIT_NAME + 32];
    *ret = (struct d_subsystem){0};
    int rc = check_name("the name of a subsystem", name, err);
    if (rc < 0)
        return rc;
    snprintf(file, sizeof file, SUBSYSTEM_FOLDER "/" SPAN_FMT ".yaml", SPAN_ARG(name));
    rc = read_subsystem(s, name, file, &document, err);
    if (rc == -ENOENT)
        return rc;
    if (rc == 0)
        rc = d_subsystem_decode(document, ret, err);
    return rc < 0 ? error_prefix(err, "subsystem '" SPAN_FMT "' is not usable", SPAN_ARG(name)) : 0;
}

int proxyserver_find_account(const struct proxyserver *s, struct proxy_found *found,
                             struct error *err)
{
    return s->separated
               ? account_resolve(&found->proxy, found->file, &s->own, &found->account, err)
               : account_unswitched(&found->proxy, found->file, s->also, &found->account, err);
}

int proxyserver_judge(struct proxyserver *s, struct span name, const struct proxy_question *q,
                      struct proxy_found *ret, struct error *err)
{
    struct span document;
    int rc = proxyserver_find(s, name, ret, &document, err);
    if (rc == 0)
        rc = proxy_judge(&ret->proxy, ret->file, q, err);
    ret->subsystem = (struct d_subsystem){0};
    if (rc == 0 && q->subsystem.n)
        rc = proxyserver_subsystem(s, q->subsystem, &ret->subsystem, err);
    if (rc == 0)
        rc = s->account ? s->account(s->self, document, ret, err)
                        : proxyserver_find_account(s, ret, err);
    if (rc == 0 && !s->skip_credentials &&
        (rc = credentials_check(&ret->proxy.credentials, s->also, err)) < 0)
        error_prefix(err, "proxy '" SPAN_FMT "'", SPAN_ARG(name));
    return rc;
}
