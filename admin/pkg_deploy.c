/* pkg_deploy.c - lbpkg deploy: uploads to the broker's depot, then sends the wish, signed by us,
   that these servers have it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/pkg_deploy.h"
#include "admin/pkg_net.h"
#include "client/config.h"
#include "common/clock.h"
#include "common/duration.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/term.h"
#include "common/termout.h"
#include "package/signature.h"
#include "trust/envelope.h"

static const struct option_row rows[] = {
    {"to", 't', OPTION_STR, NULL, 0, LIMIT_ADDRESS, false, "ADDRESS", "a server, a pool, or all"},
    {"wait", 'w', OPTION_FLAG, NULL, 0, 0, false, NULL,
     "wait until every server of the address has it, and say how each fared"},
    {"timeout", 0, OPTION_DURATION, "5m", 1000, 86400000, false, "TIME", "how long --wait waits"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "with --wait: one JSON object a server"},
};

static const char examples[] =
    "  lbpkg deploy extract-1.2.0.lbp --to etl --wait\n"
    "A server that is away fetches the package when it returns.\n"
    "Exit codes: 0 deployed (with --wait: every server has it); 1 a server lacks it;\n"
    "2 wrong usage; 3 refused, or the broker cannot be reached.\n";

static int load(struct deploy *d, const char *archive, struct error *err)
{
    uint8_t digest[MINISIGN_DIGEST];
    char *path = mem_printf("%s" SIGNATURE_SUFFIX, archive);
    d->archive = archive;
    int rc = archive_manifest(archive, &d->m, &d->json, err);
    if (rc == 0)
        rc = archive_digest(archive, &d->hash, digest, &d->size, err);
    if (rc == 0 && (rc = file_read(path, LIMIT_SIGNATURE, &d->signature, err)) == -ENOENT)
        rc = error_set(err, -EINVAL,
                       "'%s' is not signed, and no server would take it; run: lbpkg sign %s",
                       archive, archive);
    if (rc == 0 &&
        (rc = signature_names(buf_span(&d->signature), &d->hash, d->m.name, d->m.version, err)) < 0)
        error_prefix(err, "%s", path);
    mem_free(&path);
    if (rc == 0 && (d->fd = open(archive, O_RDONLY | O_CLOEXEC)) < 0)
        rc = error_errno(err, errno, "cannot open '%s'", archive);
    return rc;
}

static void show_upload(const struct deploy *d, uint64_t offset)
{
    struct term t = term_of(STDERR_FILENO);
    char have[DURATION_TEXT], all[DURATION_TEXT];
    struct buf out = {0};
    if (!t.is_terminal)
        return;
    term_up(&out, 0);
    buf_add_str(&out, "upload ");
    term_bar(&out, 30, d->size ? (double)offset / (double)d->size : 1);
    buf_printf(&out, " %s of %s", size_format((int64_t)offset, have),
               size_format((int64_t)d->size, all));
    term_erase_line(&out);
    if (offset >= d->size)
        buf_add_str(&out, "\n");
    term_put(stderr, buf_span(&out));
    buf_free(&out);
}

/* One PUT; *offset becomes what the depot has. */
static int put(struct deploy *d, uint64_t *offset, struct span data, struct error *err)
{
    struct buf message = {0}, text = {0};
    struct m_put m = {.req = longboat_req(d->lb),
                      .package = d->hash,
                      .offset = *offset,
                      .size = d->size,
                      .data = data};
    m_put_encode(&m, &message);
    int rc = pkg_ask(d->lb, m.req, buf_span(&message), &text, &d->refusal, err);
    if (rc == 0) {
        char *end;
        *offset = strtoull(buf_str(&text), &end, 10);
        if (*end || !text.n || *offset > d->size)
            rc = error_set(err, -EPROTO, "the broker answered the upload with '%.60s'",
                           buf_str(&text));
    }
    buf_free(&message);
    buf_free(&text);
    return rc;
}

/* The depot says how much it has: a second upload of the same package goes on there, and a complete
   one sends nothing. */
static int upload(struct deploy *d, struct error *err)
{
    uint8_t *block = mem_alloc(LIMIT_CHUNK);
    uint64_t offset = 0, was;
    unsigned stuck = 0;
    int rc = put(d, &offset, SPAN_NONE, err);
    while (rc == 0 && offset < d->size) {
        size_t n = d->size - offset < LIMIT_CHUNK ? (size_t)(d->size - offset) : LIMIT_CHUNK;
        ssize_t got = pread(d->fd, block, n, (off_t)offset);
        if (got != (ssize_t)n) {
            rc = error_set(err, -EIO, "'%s' changed or cannot be read", d->archive);
            break;
        }
        was = offset;
        rc = put(d, &offset, span_of(block, n), err);
        stuck = offset > was ? 0 : stuck + 1; /* the depot may start over once */
        if (rc == 0 && stuck > 3)
            rc = error_set(err, -EIO, "the broker's depot takes no more of '%s'", d->archive);
        if (rc == 0)
            show_upload(d, offset);
    }
    mem_free(&block);
    return rc;
}

static int put_end(struct deploy *d, struct error *err)
{
    struct buf message = {0};
    struct m_put_end m = {.req = longboat_req(d->lb),
                          .package = d->hash,
                          .manifest = buf_span(&d->json),
                          .signature = buf_span(&d->signature)};
    m_put_end_encode(&m, &message);
    int rc = pkg_ask(d->lb, m.req, buf_span(&message), NULL, &d->refusal, err);
    buf_free(&message);
    return rc;
}

static int deploy(struct deploy *d, struct error *err)
{
    struct client_config config = {0};
    struct buf body = {0}, envelope = {0}, message = {0};
    int rc = client_config_load(&config, NULL, err);
    if (rc < 0)
        return rc;
    struct d_deployment wish = {.cluster = span_str(config.me.cluster),
                                .package = d->hash,
                                .name = span_str(d->m.name),
                                .version = span_str(d->m.version),
                                .address = span_str(d->address),
                                .issued_at = clock_wall_ms()};
    d_deployment_encode(&wish, &body);
    rc = envelope_sign(ENVELOPE_DEPLOYMENT, &config.key, config.me.name, config.me.serial,
                       buf_span(&body), &envelope, err);
    if (rc == 0) {
        struct m_deploy m = {.req = longboat_req(d->lb), .deployment = buf_span(&envelope)};
        m_deploy_encode(&m, &message);
        rc = pkg_ask(d->lb, m.req, buf_span(&message), NULL, &d->refusal, err);
    }
    client_config_free(&config);
    buf_free(&body);
    buf_free(&envelope);
    buf_free(&message);
    return rc;
}

/* -1 to go on, else the exit code. */
static int bring(struct deploy *d, char **argv)
{
    struct error err = {0};
    char hash[PACKAGE_HASH_TEXT];
    int rc = upload(d, &err);
    if (rc == 0)
        rc = put_end(d, &err);
    if (rc == 0)
        rc = deploy(d, &err);
    if (rc < 0) {
        if (rc == -EREMOTEIO)
            error_prefix(&err, "refused by %s", longboat_broker(d->lb));
        pkg_fail(argv, EXIT_REFUSED, &err);
        if (d->refusal == REFUSAL_DENIED && !strstr(err.text, "lbctl certificates renew"))
            term_say(
                stderr,
                "An administrator can run:\n  lbctl certificates renew %s --grant 'deploy %s@%s'\n",
                longboat_me(d->lb)->name, d->m.name, d->address);
        return EXIT_REFUSED;
    }
    term_say(stderr, "Deployed %s %s (%s) to %s\n", d->m.name, d->m.version,
             package_hash_format(&d->hash, hash), d->address);
    return -1;
}

static int run(struct deploy *d, const struct option_values *v, char **argv, const char *archive)
{
    struct error err = {0};
    int rc = load(d, archive, &err);
    if (rc < 0)
        return pkg_fail(argv, pkg_code(rc), &err);
    if (!(d->lb = pkg_connect(argv)))
        return EXIT_REFUSED;
    rc = bring(d, argv);
    if (rc >= 0 || !opt_flag(v, "wait"))
        return rc >= 0 ? rc : EXIT_DONE;
    return deploy_wait(d, opt_int(v, "timeout"), opt_flag(v, "json"), argv);
}

int pkg_deploy(int argc, char **argv)
{
    struct option_values v = {0};
    struct deploy d = {.fd = -1};
    struct error err = {0};
    int first, rc = pkg_begin(rows, COUNT_OF(rows), argc, argv, "FILE --to ADDRESS [--wait]",
                              examples, 1, 1, &v, &first);
    if (rc >= 0)
        return rc;
    if (!(d.address = opt_str(&v, "to"))) {
        error_set(&err, -EINVAL, "--to is missing: a server, a pool, or all");
        rc = pkg_fail(argv, EXIT_ASKED_WRONGLY, &err);
    } else {
        rc = run(&d, &v, argv, argv[first]);
    }
    longboat_close(&d.lb);
    if (d.fd >= 0)
        close(d.fd);
    manifest_free(&d.m);
    buf_free(&d.json);
    buf_free(&d.signature);
    options_free(&v);
    return rc;
}
