/* spoolgap.c - what the spool may lack: after a boot, after damage. See spool.h and life.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/aside.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/spoolinside.h"

/* From now on HELLO says another boot. On the disk the old boot stays until spool_begun, so that a
 * start that is cut short is repeated. */
int spoolgap_note(struct spool *s, const char *why, struct error *err)
{
    struct id fresh;
    if (s->gap)
        return 0;
    log_warn("%s: what the spool does not say may have happened all the same; nothing of it is "
             "started again",
             why);
    int rc = spool_fresh_id(&fresh, err);
    if (rc < 0)
        return rc;
    s->gap = true;
    s->life.said = s->rebooted && !id_eq(s->life.said, s->boot) ? s->boot : fresh;
    s->life.closed = -1;
    return life_write(s->folder, &s->life, err);
}

void spoolgap_set_aside(struct spool *s, const char *path, int64_t at, struct span bytes,
                        const char *why)
{
    struct error err = {0};
    bool fresh = true;
    const char *slash = strrchr(path, '/');
    if (aside_put(s->folder, slash ? slash + 1 : path, at, bytes, &fresh, &err) < 0)
        log_error("%s", err.text);
    if (fresh)
        log_error("%s; %zu bytes are set aside in %s/damaged, and the rest goes on", why, bytes.n,
                  s->folder);
}

/* Passes over what is damaged. */
int spoolgap_pass(struct spool *s, const char *path, struct spoolfile_reader *r,
                  const struct error *why, struct error *err)
{
    struct buf bytes = {0};
    int64_t at = spoolfile_reader_offset(r);
    int64_t n = spoolfile_reader_skip(r, &bytes, err);
    if (n >= 0)
        spoolgap_set_aside(s, path, at, buf_span(&bytes), why->text);
    buf_free(&bytes);
    s->damaged = true;
    return n < 0 ? (int)n : 0;
}

/* Copies all entries that are whole into a new file, which takes the place of the damaged one. */
static int salvage(struct spool *s, struct error *err)
{
    char *next = mem_printf("%s/worker.next", s->folder);
    struct spoolfile *to = NULL;
    struct spoolfile_reader *r = NULL;
    struct span entry;
    struct error why = {0};
    unlink(next);
    int rc = spoolfile_open_append(next, 0600, &to, NULL, err);
    if (rc == 0)
        rc = spoolfile_reader_open(s->log, SPOOLFILE_START, &r, err);
    while (rc >= 0 && (rc = spoolfile_reader_next(r, &entry, &why)) != 0)
        rc = rc == 1          ? spoolfile_append(to, entry, err)
             : rc == -EBADMSG ? spoolgap_pass(s, s->log, r, &why, err)
                              : error_set(err, rc, "%s", why.text);
    spoolfile_reader_close(&r);
    spoolfile_close(&to);
    if (rc == 0)
        rc = file_sync(next, err);
    if (rc == 0 && rename(next, s->log) < 0)
        rc = error_errno(err, errno, "cannot put '%s' in place", next);
    mem_free(&next);
    return rc;
}

/* The boot in which the spool was last written, as far as that is known. */
int spoolgap_take_life(struct spool *s, struct error *err)
{
    struct error ignored = {0};
    int rc = clock_boot_id(&s->boot, err);
    if (rc < 0)
        return rc;
    rc = life_read(s->folder, &s->life, &ignored);
    if (rc < 0 && rc != -ENOENT && rc != -EBADMSG)
        return error_set(err, rc, "%s", ignored.text);
    if (rc < 0) {
        s->life = (struct spool_life){.boot = s->boot, .closed = -1};
        if (life_boot_of_fence(s->folder, &s->life.boot))
            s->life.said = s->life.boot; /* an earlier version said the kernel's */
        else
            s->life.said = s->boot;
    }
    s->rebooted = !id_eq(s->life.boot, s->boot);
    return 0;
}

int spoolgap_open_log(struct spool *s, bool first, struct error *err)
{
    struct stat st;
    bool torn = false;
    struct error why = {0};
    int64_t size = stat(s->log, &st) == 0 ? st.st_size : 0;
    int rc = spoolfile_open_append(s->log, 0600, &s->own, &torn, &why);
    if (rc == -EBADMSG) {
        rc = spoolgap_note(s, why.text, err);
        if (rc == 0)
            rc = salvage(s, err);
        if (rc == 0)
            rc = spoolfile_open_append(s->log, 0600, &s->own, NULL, err);
    } else if (rc < 0)
        return error_set(err, rc, "%s", why.text);
    else if (torn)
        rc = spoolgap_note(s, "the end of worker.log was torn", err);
    else if (!first && size == 0)
        rc = spoolgap_note(s, "worker.log is missing", err);
    if (rc == 0 && s->rebooted && s->life.closed != size)
        rc = spoolgap_note(s, "the machine was started anew and the worker had not stopped", err);
    return rc;
}

bool spool_rebooted(const struct spool *s)
{
    return s->rebooted;
}

bool spool_has_gap(const struct spool *s)
{
    return s->gap;
}

struct id spool_boot(const struct spool *s)
{
    return s->life.said;
}

bool spool_was_damaged(struct spool *s)
{
    bool was = s->damaged;
    s->damaged = false;
    return was;
}

int spool_begun(struct spool *s, struct error *err)
{
    int rc = spool_flush(s, err);
    if (rc == 0 && s->gap)
        rc = file_sync(s->log, err);
    s->life.boot = s->boot;
    s->life.closed = -1;
    return rc < 0 ? rc : life_write(s->folder, &s->life, err);
}

int spool_finish(struct spool *s, struct error *err)
{
    int rc = spool_flush(s, err);
    if (rc == 0)
        rc = file_sync(s->log, err);
    s->life.closed = spoolfile_size(s->own);
    return rc < 0 ? rc : life_write(s->folder, &s->life, err);
}

int spool_describe_damage(const char *folder, char *ret, size_t size)
{
    size_t n = aside_count(folder);
    ret[0] = '\0';
    if (n)
        snprintf(ret, size,
                 "%zu damaged parts of the spool are in %s/damaged: what they said is unknown; "
                 "check the disk, then remove them",
                 n, folder);
    return (int)n;
}

const char *spool_trouble(struct spool *s)
{
    spool_describe_damage(s->folder, s->trouble, sizeof s->trouble);
    return s->trouble;
}
