/* take.c - the depot's messages: packages and plans come in and go out. */
#include <errno.h>

#include "broker/depot/inside.h"
#include "broker/shell/offload.h"
#include "broker/shell/turn.h"
#include "common/file.h"
#include "common/log.h"

/* ---- Naming on the other thread */
struct depot_naming {
    struct offload_job job;
    struct depot *d;
    struct hash hash;
    uint64_t peer, req, size;
    bool package; /* with manifest and signature; else a plan */
    struct buf manifest, signature;
    int rc;
    struct error err;
};

static int write_beside(const struct depot_naming *n, const char *ending, struct span content,
                        struct error *err)
{
    char *path = depot_path(n->d->folder, &n->hash, ending);
    int rc = file_write_atomic(path, content, 0600, err);
    mem_free(&path);
    return rc;
}

static void name_work(struct offload_job *job)
{
    struct depot_naming *n = (struct depot_naming *)job;
    if (n->package)
        n->rc = write_beside(n, ".json", buf_span(&n->manifest), &n->err);
    if (n->rc == 0 && n->package)
        n->rc = write_beside(n, ".sig", buf_span(&n->signature), &n->err);
    if (n->rc == 0 && !depot_has(n->d, &n->hash, NULL))
        n->rc = depot_name(n->d->folder, &n->hash, &n->err);
}

static void name_done(struct offload_job *job, bool cancelled)
{
    struct depot_naming *n = (struct depot_naming *)job;
    struct depot_upload *u = depot_upload(n->d, &n->hash);
    if (!cancelled) {
        if (u && n->rc == 0)
            depot_upload_free(n->d, u);
        else if (u)
            depot_upload_drop(n->d, u);
        if (n->rc == 0)
            shell_done(n->d->shell, n->peer, n->req, "%llu", (unsigned long long)n->size);
        else
            shell_error(n->d->shell, n->peer, n->req,
                        n->rc == -ENOSPC ? REFUSAL_NO_SPACE : REFUSAL_INTERNAL, "%s", n->err.text);
    }
    buf_free(&n->manifest);
    buf_free(&n->signature);
    mem_free(&n);
}

static void name_it(struct depot *d, uint64_t peer, uint64_t req, const struct hash *hash,
                    uint64_t size, const struct m_put_end *package)
{
    struct depot_naming *n = mem_zalloc(1, sizeof *n);
    n->job = (struct offload_job){.work = name_work, .done = name_done};
    n->d = d;
    n->hash = *hash;
    n->peer = peer;
    n->req = req;
    n->size = size;
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
        enum depot_put result = depot_put(d, &m.package, m.offset, m.size, m.data, &offset, &err);
        answer_put(d, p, m.req, result, offset, &err);
    }
}

static void take_put_end(struct depot *d, struct shell_peer *p, struct span message)
{
    struct m_put_end m;
    uint64_t size = 0;
    shell_read(&m_put_end_schema, message, &m);
    struct depot_upload *u = depot_upload(d, &m.package);
    if (!depot_has(d, &m.package, &size) && (!u || !u->whole))
        shell_error(d->shell, p->handle, m.req, REFUSAL_STATE,
                    "the package is incomplete: %llu of its bytes have arrived",
                    (unsigned long long)(u ? u->offset : 0));
    else
        name_it(d, p->handle, m.req, &m.package, u ? u->size : size, &m);
}

static void take_plan(struct depot *d, struct shell_peer *p, struct span message)
{
    struct m_parent_plan m;
    struct error err = {0};
    uint64_t offset;
    shell_read(&m_parent_plan_schema, message, &m);
    if (depot_has(d, &m.plan, &offset)) {
        shell_done(d->shell, p->handle, m.req, "%llu", (unsigned long long)offset);
        return;
    }
    enum depot_put result = depot_put(d, &m.plan, m.offset, m.size, m.data, &offset, &err);
    if (result == DEPOT_WHOLE)
        name_it(d, p->handle, m.req, &m.plan, offset, NULL);
    else
        answer_put(d, p, m.req, result, offset, &err);
}

static void take_get(struct depot *d, struct shell_peer *p, struct span message)
{
    struct m_get m;
    struct error err = {0};
    struct buf data = {0}, signature = {0};
    uint64_t size;
    shell_read(&m_get_schema, message, &m);
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
