/* byhandcall.c - what is to be run by hand: the job, compiled now, and a call that nobody has
 * signed. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/ownfile.h"
#include "proto/packagejob.h"
#include "runner/byhandinside.h"
#include "runner/compiled.h"
#include "runner/installed.h"
#include "runner/jobfiles.h"
#include "runner/parsed.h"
#include "trust/envelope.h"

enum { EXPIRES_MS = 86400000 /* steps that begin later are judged as of the first */ };

/* ---- The job */

static int compile_file(struct byhand *h, const char *name, struct error *err)
{
    const struct runner_paths *p = h->paths;
    char *program = compiled_program(), *shown = mem_printf("jobs/%s.yaml", name),
         *path = mem_printf("%s/%s.yaml", p->jobfiles, name);
    struct stat st;
    int fd, rc = ownfile_open(path, p->separated ? 0 : p->worker.uid, &fd, &st, err);
    if (rc == 0) {
        rc = parsed_run(program, p->separated ? &p->unpack : NULL, "job", shown, p->packages, fd,
                        JOBFILES_WAIT_MS, LIMIT_JOB_BODY, &h->job, err);
        close(fd);
    } else if (rc == -ENOENT)
        error_set(err, rc, "this server has no job '%s': there is no '%s'", name, path);
    mem_free(&program);
    mem_free(&shown);
    mem_free(&path);
    return rc;
}

static int make_of_package(struct byhand *h, const struct hash *package, struct error *err)
{
    struct installed i = {0};
    int rc = installed_load(h->paths, package, &i, err);
    if (rc == 0)
        rc = packagejob_compile(&i.runnable, &h->job, err);
    else if (rc == -ENOENT)
        error_set(err, rc, "this package is not installed here");
    installed_free(&i);
    return rc;
}

/* Where the verifier looks for what this server accepts. */
static int accept_job(struct byhand *h, struct error *err)
{
    envelope_hash(buf_span(&h->job), &h->job_hash);
    char *path = runner_paths_of_hash(h->paths->jobs, &h->job_hash);
    int rc = file_write_atomic(path, buf_span(&h->job), 0444, err);
    mem_free(&path);
    return rc < 0 ? rc : steps_job_read(buf_span(&h->job), &h->def, err);
}

/* ---- The call */

static int make_call(struct byhand *h, const struct s_by_hand *asked, struct error *err)
{
    uint8_t random[10];
    char as_of[CLOCK_TEXT];
    struct buf body = {0};
    h->called_at = clock_wall_ms();
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return error_errno(err, errno, "no random bytes");
    h->run = id_make(h->called_at, random);
    const struct d_call c = {.caller = span_str(h->paths->principal),
                             .key = span_str("by-hand"),
                             .job = h->def.head.name,
                             .job_hash = h->job_hash,
                             .parameters = asked->parameters,
                             .on_lost = ON_LOST_FAIL,
                             .as_of = asked->as_of.n ? asked->as_of
                                                     : span_str(clock_format(h->called_at, as_of)),
                             .issued_at = h->called_at,
                             .expires = h->called_at + EXPIRES_MS};
    d_call_encode(&c, &body);
    const struct d_signed s = {.signer = c.caller, .body = buf_span(&body)};
    d_signed_encode(&s, &h->call);
    buf_free(&body);
    return 0;
}

int byhand_call(struct byhand *h, const struct s_by_hand *asked, enum refusal *ret_code,
                struct error *err)
{
    char name[LIMIT_JOB + 1];
    int rc = 0;
    *ret_code = REFUSAL_BAD_ARGUMENT;
    if (asked->as_of.n) {
        char *as_of = span_dup_str(asked->as_of);
        int64_t ignored;
        rc = clock_parse(as_of, &ignored, err);
        mem_free(&as_of);
    }
    if (rc < 0)
        return rc;
    *ret_code = REFUSAL_UNKNOWN_JOB;
    if (!hash_is_zero(&asked->package))
        rc = make_of_package(h, &asked->package, err);
    else if (!span_copy_str(asked->job, name, sizeof name) || !name[0] || name[0] == '.' ||
             strchr(name, '/'))
        rc = error_set(err, -EINVAL, "'" SPAN_FMT "' is not the name of a job",
                       SPAN_ARG(asked->job));
    else
        rc = compile_file(h, name, err);
    if (rc == 0)
        rc = accept_job(h, err);
    return rc < 0 ? rc : make_call(h, asked, err);
}
