/* spoolfile.c - see spoolfile.h. */
#include "common/spoolfile.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/mem.h"

static const char magic[SPOOLFILE_START + 1] = "LBSPOOL1";
_Static_assert(SPOOLFILE_VERSION == 1, "the last character of the magic is the version");

enum {
    HEAD = 8,           /* length and checksum */
    READ_AHEAD = 65536, /* many small records in one read */
    SCRATCH_KEPT = 1 << 20
};

struct spoolfile {
    char *path;
    int fd;
    int64_t size;
    bool broken; /* a failed write could not be undone */
    struct buf frames;
};

struct spoolfile_reader {
    char *path;
    int fd;
    bool opened;     /* the magic has been seen */
    int64_t offset;  /* of the next record */
    struct buf held; /* bytes of the file from held_at on */
    int64_t held_at;
};

enum frame { FRAME_WHOLE, FRAME_SHORT, FRAME_BAD };

/* What starts at s? FRAME_SHORT: the file, or the part that was read, ends first. */
static enum frame frame_at(struct span s, struct span *ret_payload, size_t *ret_size)
{
    uint32_t length, sum;
    *ret_size = HEAD;
    if (s.n < HEAD)
        return FRAME_SHORT;
    memcpy(&length, s.p, 4);
    memcpy(&sum, s.p + 4, 4);
    length = le32toh(length);
    if (length == 0 || length > SPOOLFILE_RECORD_MAX)
        return FRAME_BAD;
    *ret_size = HEAD + length;
    if (s.n < *ret_size)
        return FRAME_SHORT;
    *ret_payload = span_of(s.p + HEAD, length);
    return crc32c(*ret_payload) == le32toh(sum) ? FRAME_WHOLE : FRAME_BAD;
}

/* ---- the reader ---- */

int spoolfile_reader_open(const char *path, int64_t offset, struct spoolfile_reader **ret,
                          struct error *err)
{
    if (offset < SPOOLFILE_START)
        return error_set(err, -EINVAL, "spool '%s': no record begins at byte %lld", path,
                         (long long)offset);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "cannot open the spool '%s'", path);
    struct spoolfile_reader *r = mem_zalloc(1, sizeof *r);
    r->path = mem_strdup(path);
    r->fd = fd;
    r->offset = r->held_at = offset;
    *ret = r;
    return 0;
}

void spoolfile_reader_close(struct spoolfile_reader **r)
{
    if (!*r)
        return;
    close((*r)->fd);
    buf_free(&(*r)->held);
    mem_free(&(*r)->path);
    mem_free(r);
}

int64_t spoolfile_reader_offset(const struct spoolfile_reader *r)
{
    return r->offset;
}

static struct span held_from_offset(const struct spoolfile_reader *r)
{
    size_t skip = (size_t)(r->offset - r->held_at);
    return span_of(r->held.p + skip, r->held.n - skip);
}

/* Reads again from the offset: the part held of an unfinished record may have been cut off and
 * overwritten since. */
static int refill(struct spoolfile_reader *r, size_t want, struct error *err)
{
    size_t ask = want > READ_AHEAD ? want : READ_AHEAD;
    buf_clear(&r->held);
    r->held_at = r->offset;
    while (r->held.n < ask) {
        ssize_t n = pread(r->fd, buf_grow(&r->held, ask - r->held.n), ask - r->held.n,
                          r->offset + (int64_t)r->held.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "cannot read the spool '%s'", r->path);
        if (n == 0)
            break;
        r->held.n += (size_t)n;
    }
    return 0;
}

static int other_magic(const struct spoolfile_reader *r, const char *text, size_t n,
                       struct error *err)
{
    const size_t stem = SPOOLFILE_START - 1;
    const int version = n == SPOOLFILE_START ? text[stem] - '0' : -1;
    if (memcmp(text, magic, n < stem ? n : stem) == 0 && version >= 0 && version <= 9 &&
        (version > SPOOLFILE_VERSION || version < SPOOLFILE_VERSION_MIN))
        return error_set(err, -EPROTONOSUPPORT,
                         "'%s' was written by %s Longboat (spool version %d; this one reads %d to "
                         "%d): install that version again, let the server finish its work (lbctl "
                         "drain), then exchange the programs",
                         r->path, version > SPOOLFILE_VERSION ? "a newer" : "a much older", version,
                         SPOOLFILE_VERSION_MIN, SPOOLFILE_VERSION);
    return error_set(err, -EBADMSG, "'%s' is not a spool: it does not begin with %s", r->path,
                     magic);
}

/* 1: it is a spool, 0: its first bytes are not there yet. */
static int check_magic(struct spoolfile_reader *r, struct error *err)
{
    char text[SPOOLFILE_START];
    ssize_t n = pread(r->fd, text, sizeof text, 0);
    if (n < 0)
        return error_errno(err, errno, "cannot read the spool '%s'", r->path);
    if (memcmp(text, magic, (size_t)n) != 0)
        return other_magic(r, text, (size_t)n, err);
    r->opened = n == SPOOLFILE_START;
    return r->opened;
}

static bool all_zero(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i])
            return false;
    return true;
}

/* A record that ends behind the end of the file, or does not match its checksum there, is torn,
 * unless a shorter one at this place would match: then its length is damaged, and what follows
 * is not its payload. */
static bool has_damaged_length(const struct spoolfile_reader *r)
{
    struct span rest = held_from_offset(r);
    uint32_t sum;
    if (rest.n <= HEAD)
        return false;
    memcpy(&sum, rest.p + 4, 4);
    return crc32c_beginning(span_of(rest.p + HEAD, rest.n - HEAD), le32toh(sum)) > 0;
}

/* A bad frame at the end of the file may be what a killed writer left, and its successor cuts it
 * off; so may zeros up to the end (the file grew, but its blocks were never written). Any other bad
 * frame with bytes behind it is damage. */
static int may_be_torn(const struct spoolfile_reader *r, size_t size, bool *ret, struct error *err)
{
    struct stat st;
    struct span rest = held_from_offset(r);
    if (fstat(r->fd, &st) < 0)
        return error_errno(err, errno, "cannot examine the spool '%s'", r->path);
    int64_t left = st.st_size - r->offset;
    *ret = (size > HEAD && left <= (int64_t)size && !has_damaged_length(r)) ||
           (left <= (int64_t)rest.n && all_zero(rest));
    return 0;
}

/* Called with a bad frame. 1: a successor has repaired it since; read on. */
static int judge_bad(struct spoolfile_reader *r, size_t size, struct error *err)
{
    bool torn = false;
    struct span payload;
    int rc = may_be_torn(r, size, &torn, err);
    if (rc < 0 || torn)
        return rc;
    /* it may have been cut off and overwritten between our read and our check */
    rc = refill(r, size, err);
    if (rc < 0)
        return rc;
    enum frame got = frame_at(held_from_offset(r), &payload, &size);
    if (got == FRAME_WHOLE || (got == FRAME_SHORT && !has_damaged_length(r)))
        return 1;
    return error_set(
        err, -EBADMSG,
        "spool '%s' is damaged at byte %lld: length or checksum of the record there is wrong",
        r->path, (long long)r->offset);
}

/* The frame at the offset, from the buffer or else from the file. */
static int fetch(struct spoolfile_reader *r, enum frame *ret, struct span *ret_payload,
                 size_t *ret_size, struct error *err)
{
    *ret = frame_at(held_from_offset(r), ret_payload, ret_size);
    for (int i = 0; *ret != FRAME_WHOLE && i < 2; i++) {
        /* the first read may bring only the length of a long one */
        int rc = refill(r, *ret_size, err);
        if (rc < 0)
            return rc;
        *ret = frame_at(held_from_offset(r), ret_payload, ret_size);
        if (*ret == FRAME_SHORT && *ret_size <= READ_AHEAD)
            break;
    }
    return 0;
}

int spoolfile_reader_next(struct spoolfile_reader *r, struct span *ret, struct error *err)
{
    int rc = r->opened ? 1 : check_magic(r, err);
    if (rc <= 0)
        return rc;
    struct span payload;
    size_t size;
    enum frame got;
    do {
        rc = fetch(r, &got, &payload, &size, err);
        if (rc == 0 && (got == FRAME_BAD || (got == FRAME_SHORT && has_damaged_length(r))))
            rc = judge_bad(r, size, err);
    } while (rc > 0);
    if (rc < 0 || got != FRAME_WHOLE)
        return rc;
    r->offset += (int64_t)size;
    *ret = payload;
    return 1;
}

/* Copies [from, to) of the file, as far as it fits. */
static int copy_damage(const struct spoolfile_reader *r, int64_t from, int64_t to, struct buf *out,
                       struct error *err)
{
    if (to - from > SPOOLFILE_DAMAGE_MAX)
        to = from + SPOOLFILE_DAMAGE_MAX;
    while (from < to) {
        ssize_t n = pread(r->fd, buf_grow(out, (size_t)(to - from)), (size_t)(to - from), from);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "cannot read the spool '%s'", r->path);
        if (n == 0)
            break;
        out->n += (size_t)n;
        from += n;
    }
    return 0;
}

/* Where the record after the damaged one begins, if its length can be right; else `end`. */
static int after_damage(struct spoolfile_reader *r, int64_t end, int64_t *ret, struct error *err)
{
    struct span payload;
    size_t size;
    enum frame got;
    int64_t from = r->offset;
    *ret = end;
    int rc = refill(r, HEAD, err);
    if (rc < 0 || !r->opened)
        return rc;
    frame_at(held_from_offset(r), &payload, &size);
    if (size <= HEAD || from + (int64_t)size >= end)
        return 0;
    r->offset = from + (int64_t)size;
    rc = fetch(r, &got, &payload, &size, err);
    if (rc == 0 && got == FRAME_WHOLE)
        *ret = r->offset;
    r->offset = from;
    return rc;
}

int64_t spoolfile_reader_skip(struct spoolfile_reader *r, struct buf *out, struct error *err)
{
    struct stat st;
    int64_t from = r->opened ? r->offset : 0, to;
    if (fstat(r->fd, &st) < 0)
        return error_errno(err, errno, "cannot examine the spool '%s'", r->path);
    int rc = after_damage(r, st.st_size, &to, err);
    if (rc == 0)
        rc = copy_damage(r, from, to, out, err);
    if (rc < 0)
        return rc;
    r->opened = true;
    r->offset = to > SPOOLFILE_START ? to : SPOOLFILE_START;
    rc = refill(r, HEAD, err);
    return rc < 0 ? rc : to - from;
}

/* ---- the writer ---- */

/* Finds the last good record with a reader of its own. */
static int find_end(const char *path, int64_t *ret_end, struct error *err)
{
    struct spoolfile_reader *r = NULL;
    int rc = spoolfile_reader_open(path, SPOOLFILE_START, &r, err);
    if (rc < 0)
        return rc;
    struct span payload;
    while ((rc = spoolfile_reader_next(r, &payload, err)) > 0)
        ;
    *ret_end = r->opened ? r->offset : 0;
    spoolfile_reader_close(&r);
    return rc;
}

static int start_writing(struct spoolfile *f, int64_t end, bool *ret_torn, struct error *err)
{
    struct stat st;
    if (fstat(f->fd, &st) < 0)
        return error_errno(err, errno, "cannot examine the spool '%s'", f->path);
    *ret_torn = st.st_size > end;
    if (*ret_torn && ftruncate(f->fd, end) < 0)
        return error_errno(
            err, errno, "cannot remove the partial record at the end of the spool '%s'", f->path);
    f->size = end;
    if (end > 0)
        return 0;
    ssize_t n = write(f->fd, magic, SPOOLFILE_START);
    if (n != SPOOLFILE_START) {
        int why = n < 0 ? errno : ENOSPC;
        if (ftruncate(f->fd, 0) < 0)
            why = errno;
        return error_errno(err, why, "cannot create the spool '%s'", f->path);
    }
    f->size = SPOOLFILE_START;
    return 0;
}

int spoolfile_open_append(const char *path, mode_t mode, struct spoolfile **ret, bool *ret_torn,
                          struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return error_errno(err, errno, "cannot open the spool '%s'", path);
    struct spoolfile *f = mem_zalloc(1, sizeof *f);
    f->path = mem_strdup(path);
    f->fd = fd;
    int64_t end = 0;
    bool torn = false;
    int rc = find_end(path, &end, err);
    if (rc == 0)
        rc = start_writing(f, end, &torn, err);
    if (rc < 0) {
        spoolfile_close(&f);
        return rc;
    }
    *ret = f;
    if (ret_torn)
        *ret_torn = torn;
    return 0;
}

void spoolfile_close(struct spoolfile **f)
{
    if (!*f)
        return;
    close((*f)->fd);
    buf_free(&(*f)->frames);
    mem_free(&(*f)->path);
    mem_free(f);
}

int64_t spoolfile_size(const struct spoolfile *f)
{
    return f->size;
}

static void add_frame(struct buf *out, struct span record)
{
    uint32_t head[2] = {htole32((uint32_t)record.n), htole32(crc32c(record))};
    buf_add(out, head, sizeof head);
    buf_add(out, record.p, record.n);
}

/* How many of the n records lie wholly in `written` bytes? *ret_bytes: their size. */
static size_t whole_records(const struct span *records, size_t n, size_t written, size_t *ret_bytes)
{
    size_t done = 0;
    for (*ret_bytes = 0; done < n && *ret_bytes + HEAD + records[done].n <= written; done++)
        *ret_bytes += HEAD + records[done].n;
    return done;
}

/* After a partial write the incomplete record is cut off: half a record in the middle of the file
 * would be damage. The whole ones before it stay: a reader may already have passed them. */
static int write_frames(struct spoolfile *f, const struct span *records, size_t n, size_t *ret_done,
                        struct error *err)
{
    *ret_done = 0;
    if (f->broken && ftruncate(f->fd, f->size) < 0)
        return error_errno(
            err, errno, "the spool '%s' ends in a partial record that cannot be removed", f->path);
    f->broken = false;
    ssize_t put;
    do
        put = write(f->fd, f->frames.p, f->frames.n);
    while (put < 0 && errno == EINTR);
    int why = put < 0 ? errno : ENOSPC; /* a disk that fills up takes a part and gives no reason */
    size_t bytes, written = put < 0 ? 0 : (size_t)put;
    *ret_done = whole_records(records, n, written, &bytes);
    f->size += (int64_t)bytes;
    if (*ret_done == n)
        return 0;
    f->broken = written > bytes && ftruncate(f->fd, f->size) < 0;
    return error_errno(err, why, "cannot append to the spool '%s'", f->path);
}

int spoolfile_append_all(struct spoolfile *f, const struct span *records, size_t n,
                         size_t *ret_done, struct error *err)
{
    size_t done = 0;
    buf_clear(&f->frames);
    if (ret_done)
        *ret_done = 0;
    for (size_t i = 0; i < n; i++) {
        if (records[i].n == 0)
            return error_set(err, -EINVAL, "an empty record cannot be written to the spool '%s'",
                             f->path);
        if (records[i].n > SPOOLFILE_RECORD_MAX)
            return error_set(err, -E2BIG,
                             "a record of %zu bytes is too large for a spool; the limit is %d",
                             records[i].n, SPOOLFILE_RECORD_MAX);
        add_frame(&f->frames, records[i]);
    }
    int rc = f->frames.n ? write_frames(f, records, n, &done, err) : 0;
    if (ret_done)
        *ret_done = done;
    if (f->frames.cap > SCRATCH_KEPT)
        buf_free(&f->frames);
    return rc;
}

int spoolfile_append(struct spoolfile *f, struct span record, struct error *err)
{
    return spoolfile_append_all(f, &record, 1, NULL, err);
}
