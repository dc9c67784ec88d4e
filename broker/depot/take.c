/* take.c - the depot's messages: packages and plans come in and go out. */
#include <errno.h>
#include <stdio.h>

#include "broker/depot/inside.h"
#include "broker/shell/known.h"
#include "broker/shell/offload.h"
#include "broker/shell/rights.h"
#include "broker/shell/turn.h"
#include "common/file.h"
#include "common/log.h"

/* ---- Who held what when the broker started */
/* At the first message: then the certificates of the registry are known. */
static void settle(struct depot *d)
{
    struct depot_found *f, *next;
    HASH_ITER (hh, d->found, f, next) {
        const struct certificate *c = known_by_name(d->shell->known, f->name);
        if (c)
            budgets_found(d->budgets, &c->transport_key, BUDGET_DEPOT, f->cost);
        HASH_DEL(d->found, f);
        mem_free(&f);
    }
}

/* ---- Naming on the other thread */
struct depot_naming {
    struct offload_job job;
    struct depot *d;
    struct depot_upload_key key;
    uint64_t peer, req, size;
    bool package; /* with manifest and signature; else a plan */
    bool administrator;
    bool counted; /* as an upload, since it has none of its own: so the queue stays short */
    char by[LIMIT_NAME + 1];
    char *part; /* NULL: it is here */
    struct buf manifest, signature;
    bool named;
    int rc;
    struct error err;
};

static int write_by(const struct depot_naming *n, struct error *err)
{
    char *path = depot_path(n->d->folder, &n->key.hash, ".by");
    int rc = file_write_atomic(path, span_str(n->by), 0600, err);
    mem_free(&path);
    return rc;
}

static void name_work(struct offload_job *job)
{
    struct depot_naming *n = (struct depot_naming *)job;
    const bool here = depot_has(n->d, &n->key.hash, NULL);
    const struct depot_beside beside = {.hash = n->key.hash,
                                        .by = n->by,
                                        .administrator = n->administrator,
                                        .manifest = buf_span(&n->manifest),
                                        .signature = buf_span(&n->signature)};
    if (!here && !n->part) /* a plan that went meanwhile */
        n->rc = error_set(&n->err, -ENOENT, "the file is not in the depot any more; send it again");
    else if (n->package)
        n->rc = depot_write_beside(n->d->folder, &beside, here, &n->err);
    else if (!here)
        n->rc = write_by(n, &n->err);
    if (n->rc == 0 && !here) {
        n->rc = depot_name(n->d->folder, n->part, &n->key.hash, &n->err);
        n->named = n->rc == 0;
    }
}

static enum refusal refusal_of(int rc)
{
    return rc == -ENOSPC ? REFUSAL_NO_SPACE : rc == -EEXIST ? REFUSAL_CONFLICT : REFUSAL_INTERNAL;
}

static void named(struct depot *d, const struct depot_naming *n)
{
    struct depot_upload *u = depot_upload(d, &n->key.hash, &n->key.who);
    if (n->package && n->rc == 0)
        plans_forget(d->plans, &n->key.hash);
    else if (n->rc == 0 && n->named && u)
        plans_here(d->plans, &n->key.hash, &n->key.who, u->cost);
    else if (n->rc == 0)
        plans_ask(d->plans, &n->key.hash);
    if (u && n->named)
        depot_upload_free(d, u);
    else if (u)
        depot_upload_drop(d, u);
}

static void name_done(struct offload_job *job, bool cancelled)
{
    struct depot_naming *n = (struct depot_naming *)job;
    if (!cancelled) {
        named(n->d, n);
        if (n->rc == 0)
            shell_done(n->d->shell, n->peer, n->req, "%llu", (unsigned long long)n->size);
        else
            shell_error(n->d->shell, n->peer, n->req, refusal_of(n->rc), "%s", n->err.text);
    }
    if (n->counted)
        budgets_give(n->d->budgets, &n->key.who, BUDGET_UPLOADS, 1);
    mem_free(&n->part);
    buf_free(&n->manifest);
    buf_free(&n->signature);
    mem_free(&n);
}

/* `u` NULL: it is here, and only what lies beside it is judged. */
static void name_it(struct depot *d, const struct shell_peer *p, uint64_t req,
                    const struct hash *hash, struct depot_upload *u, uint64_t size,
                    const struct m_put_end *package)
{
    struct depot_naming *n = mem_zalloc(1, sizeof *n);
    n->job = (struct offload_job){.work = name_work, .done = name_done};
    n->d = d;
    n->key = (struct depot_upload_key){*hash, p->key};
    n->peer = p->handle;
    n->req = req;
    n->size = size;
    n->administrator = rights_role(p->certificate) == RIGHTS_ADM;
    snprintf(n->by, sizeof n->by, "%s", p->who.name);
    n->counted = !u || u->naming;
    if (u) {
        u->naming = true;
        n->part = mem_strdup(u->part);
    }
    if (package) {
        n->package = true;
        n->manifest = buf_dup(package->manifest);
        n->signature = buf_dup(package->signature);
    }
    offload_push(d->shell->offload, &n->job);
}

/* ---- Messages */
static void answer_put(struct depot *d, const struct shell_peer *p, uint64_t req,
                       enum depot_put result, uint64_t offset, const struct error *err)
{
    switch (result) {
    case DEPOT_MORE:
    case DEPOT_WHOLE:
        shell_done(d->shell, p->handle, req, "%llu", (unsigned long long)offset);
        break;
    case DEPOT_WRONG_HASH:
        shell_error(d->shell, p->handle, req, REFUSAL_BAD_PACKAGE, "%s", err->text);
        break;
    case DEPOT_FULL:
        shell_error(d->shell, p->handle, req, REFUSAL_NO_SPACE, "%s", err->text);
        break;
    case DEPOT_BUSY:
        shell_error(d->shell, p->handle, req, REFUSAL_BUSY, "%s", err->text);
        break;
    case DEPOT_FAILED:
        log_error("%s", err->text);
        shell_error(d->shell, p->handle, req, REFUSAL_INTERNAL, "%s", err->text);
    }
}

static void take_put(struct depot *d, struct shell_peer *p, struct span message)
{
    struct m_put m;
    struct error err = {0};
    uint64_t offset;
    shell_read(&m_put_schema, message, &m);
    if (depot_has(d, &m.package, &offset))
        shell_done(d->shell, p->handle, m.req, "%llu", (unsigned long long)offset);
    else {
        const struct depot_piece piece = {.hash = m.package,
                                          .who = p->key,
                                          .offset = m.offset,
                                          .size = m.size,
                                          .data = m.data,
                                          .now = loop_now(d->shell->loop)};
        enum depot_put result = depot_put(d, &piece, &offset, &err);
        answer_put(d, p, m.req, result, offset, &err);
    }
}

/* A job without an upload of its own counts as one. True: it may be queued. */
static bool may_queue(struct depot *d, const struct shell_peer *p, uint64_t req,
                      const struct depot_upload *u)
{
    struct error err = {0};
    if ((u && !u->naming) || budgets_take(d->budgets, &p->key, BUDGET_UPLOADS, 1, &err) == 0)
        return true;
    shell_error(d->shell, p->handle, req, REFUSAL_BUSY, "%s", err.text);
    return false;
}

static void take_put_end(struct depot *d, struct shell_peer *p, struct span message)
{
    struct m_put_end m;
    struct error err = {0};
    uint64_t size = 0;
    shell_read(&m_put_end_schema, message, &m);
    struct depot_upload *u = depot_upload(d, &m.package, &p->key);
    bool here = depot_has(d, &m.package, &size);
    if (!here && (!u || !u->whole))
        shell_error(d->shell, p->handle, m.req, REFUSAL_STATE,
                    "the package is incomplete: %llu of its bytes have arrived",
                    (unsigned long long)(u ? u->offset : 0));
    else if (!here && !u->naming && depot_charge(d, u, m.manifest.n + m.signature.n, &err) < 0)
        shell_error(d->shell, p->handle, m.req, REFUSAL_NO_SPACE, "%s", err.text);
    else if (may_queue(d, p, m.req, here ? NULL : u))
        name_it(d, p, m.req, &m.package, here ? NULL : u, here ? size : u->size, &m);
}

static void take_plan(struct depot *d, struct shell_peer *p, struct span message)
{
    struct m_parent_plan m;
    struct error err = {0};
    uint64_t offset;
    shell_read(&m_parent_plan_schema, message, &m);
    if (depot_has(d, &m.plan, &offset)) {
        plans_ask(d->plans, &m.plan);
        shell_done(d->shell, p->handle, m.req, "%llu", (unsigned long long)offset);
        return;
    }
    const struct depot_piece piece = {.hash = m.plan,
                                      .who = p->key,
                                      .offset = m.offset,
                                      .size = m.size,
                                      .data = m.data,
                                      .now = loop_now(d->shell->loop)};
    enum depot_put result = depot_put(d, &piece, &offset, &err);
    struct depot_upload *u = depot_upload(d, &m.plan, &p->key);
    if (result != DEPOT_WHOLE)
        answer_put(d, p, m.req, result, offset, &err);
    else if (may_queue(d, p, m.req, u))
        name_it(d, p, m.req, &m.plan, u, offset, NULL);
}

static void take_get(struct depot *d, struct shell_peer *p, struct span message)
{
    struct m_get m;
    struct error err = {0};
    struct buf data = {0}, signature = {0};
    uint64_t size;
    shell_read(&m_get_schema, message, &m);
    if (!net_server_window_open(d->shell->net, p->handle)) {
        /* nothing is read for who does not take what was read before */
        shell_error(d->shell, p->handle, m.req, REFUSAL_BUSY,
                    "earlier answers wait to be read by this session; ask for one piece after the "
                    "other");
        return;
    }
    if (depot_read(d, &m.package, m.offset, m.length, &data, &size, &err) < 0) {
        shell_error(d->shell, p->handle, m.req, REFUSAL_NOT_FOUND, "%s", err.text);
    } else {
        char *path = depot_path(d->folder, &m.package, ".sig");
        /* With every piece, so that a resumed download has it. Plans have none. */
        file_read(path, LIMIT_SIGNATURE, &signature, NULL);
        mem_free(&path);
        struct m_chunk c = {.req = m.req,
                            .package = m.package,
                            .offset = m.offset,
                            .size = size,
                            .data = buf_span(&data),
                            .signature = buf_span(&signature)};
        shell_send(d->shell, p->handle, &m_chunk_schema, &c);
    }
    buf_free(&data);
    buf_free(&signature);
}

/* A parent starts only if its plan is here: another driver may have to continue it. */
static void take_begin(struct depot *d, struct shell_peer *p, struct span message)
{
    struct m_parent_begin m;
    struct d_signed s;
    struct d_parent parent;
    shell_read(&m_parent_begin_schema, message, &m);
    if (d_signed_decode(m.parent, &s, NULL) == 0 && d_parent_decode(s.body, &parent, NULL) == 0 &&
        parent.plan_size && !depot_has(d, &parent.plan, NULL))
        shell_error(d->shell, p->handle, m.req, REFUSAL_NOT_FOUND,
                    "the depot does not have the plan; send it first (PARENT_PLAN)");
    else
        turn_step_message(d->shell, p, message);
}

void depot_take(struct depot *d, struct shell_peer *p, uint64_t kind, struct span message)
{
    settle(d);
    switch (kind) {
    case KIND_M_PUT:
        take_put(d, p, message);
        break;
    case KIND_M_PUT_END:
        take_put_end(d, p, message);
        break;
    case KIND_M_GET:
        take_get(d, p, message);
        break;
    case KIND_M_PARENT_PLAN:
        take_plan(d, p, message);
        break;
    case KIND_M_PARENT_BEGIN:
        take_begin(d, p, message);
        break;
    }
}
