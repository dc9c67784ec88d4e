/* replay.c - see replay.h. */
#include "runner/replay.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/aside.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/spoolfile.h"

#define REPLAY_FILE "replay"

enum { CHUNK = 64 << 10 /* bytes of a record when the file is written anew */ };

struct replay {
    struct replay_options o;
    char *folder, *path;
    struct seen *seen;
    struct spoolfile *file;
    struct buf accepts, notes; /* encoded, not written yet */
    int64_t base;              /* the size after it was last written anew */
    int64_t floor;
    bool stale; /* the file lacks notes that could not be kept: write it anew */
    struct error trouble;
    struct buf scratch;
};

/* ---- Reading */

struct reading {
    struct replay *r;
    struct id boot; /* of what is being read */
};

static void as_begun(void *self, const struct s_seen *s)
{
    struct replay *r = self;
    seen_apply(r->seen, s);
}

static void take_head(struct reading *at, const struct s_replay *head)
{
    struct replay *r = at->r;
    if (head->floor > r->floor)
        r->floor = head->floor;
    if (!id_eq(at->boot, head->boot)) /* what that boot had accepted was perhaps begun */
        seen_settle(r->seen, SEEN_STATE_BEGUN, as_begun, r);
    at->boot = head->boot;
}

/* A message of a kind that we do not know is passed over. */
static void take_record(struct reading *at, struct span record)
{
    struct s_replay head;
    struct s_seen s;
    uint64_t kind;
    size_t size;
    while (record.n && wire_peek(record, &kind, &size, NULL) == 0) {
        const struct span m = span_of(record.p, size);
        if (kind == KIND_S_REPLAY && s_replay_decode(m, &head, NULL) == 0)
            take_head(at, &head);
        else if (kind == KIND_S_SEEN && s_seen_decode(m, &s, NULL) == 0)
            seen_apply(at->r->seen, &s);
        record = span_of(record.p + size, record.n - size);
    }
}

static int pass_damage(struct replay *r, struct spoolfile_reader *reader, const struct error *what,
                       struct error *err)
{
    struct buf bytes = {0};
    struct error failed = {0};
    int64_t at = spoolfile_reader_offset(reader);
    int64_t n = spoolfile_reader_skip(reader, &bytes, err);
    if (n >= 0 && aside_put(r->folder, REPLAY_FILE, at, buf_span(&bytes), NULL, &failed) < 0)
        log_error("%s", failed.text);
    buf_free(&bytes);
    if (n < 0)
        return (int)n;
    error_set(&r->trouble, -EBADMSG,
              "the table of calls that have run here was damaged: %s; %lld bytes are set aside in "
              "%s/damaged; calls that were issued before and are not in the table are refused: "
              "submit them again",
              what->text, (long long)n, r->folder);
    log_error("%s", r->trouble.text);
    return 0;
}

static int read_file(struct replay *r, struct reading *at, struct error *err)
{
    struct spoolfile_reader *reader = NULL;
    struct span record;
    struct error what = {0};
    int rc = spoolfile_reader_open(r->path, SPOOLFILE_START, &reader, err);
    if (rc == -ENOENT)
        return 0;
    while (rc >= 0 && (rc = spoolfile_reader_next(reader, &record, &what)) != 0) {
        if (rc == 1)
            take_record(at, record);
        else if (rc == -EBADMSG)
            rc = pass_damage(r, reader, &what, err);
        else
            error_set(err, rc, "%s", what.text);
    }
    spoolfile_reader_close(&reader);
    return rc;
}

/* ---- Writing it anew */

struct rewriting {
    struct spoolfile *to;
    struct buf chunk;
    int rc;
    struct error *err;
};

static void write_chunk(struct rewriting *w)
{
    if (w->rc == 0 && w->chunk.n)
        w->rc = spoolfile_append(w->to, buf_span(&w->chunk), w->err);
    buf_clear(&w->chunk);
}

static void rewrite_one(void *self, const struct s_seen *s)
{
    struct rewriting *w = self;
    s_seen_encode(s, &w->chunk);
    if (w->chunk.n >= CHUNK)
        write_chunk(w);
}

static void add_head(const struct replay *r, struct buf *out)
{
    s_replay_encode(&(struct s_replay){.boot = r->o.boot, .floor = r->floor}, out);
}

/* The old file stays until the new one is on the disk, whole. */
static int rewrite(struct replay *r, int64_t now, struct error *err)
{
    char *next = mem_printf("%s.next", r->path);
    struct rewriting w = {.err = err};
    seen_drop_old(r->seen, now);
    unlink(next);
    w.rc = spoolfile_open_append(next, 0600, &w.to, NULL, err);
    if (w.rc == 0) {
        add_head(r, &w.chunk);
        seen_each(r->seen, rewrite_one, &w);
        write_chunk(&w);
    }
    if (w.rc == 0)
        w.rc = file_sync(next, err);
    if (w.rc == 0 && rename(next, r->path) < 0)
        w.rc = error_errno(err, errno, "cannot put '%s' in place", next);
    if (w.rc == 0) {
        spoolfile_close(&r->file);
        r->file = w.to;
        r->base = spoolfile_size(r->file);
        r->stale = false;
        w.rc = file_sync(r->path, err);
    } else {
        spoolfile_close(&w.to);
        unlink(next);
    }
    buf_free(&w.chunk);
    mem_free(&next);
    return w.rc;
}

/* ---- Open and close */

int replay_open(struct replay **ret, const struct replay_options *o, int64_t now, struct error *err)
{
    struct replay *r = mem_zalloc(1, sizeof *r);
    struct reading at = {.r = r};
    struct stat st;
    bool fresh;
    r->o = *o;
    r->folder = mem_strdup(o->folder);
    r->path = mem_printf("%s/" REPLAY_FILE, o->folder);
    r->seen = seen_new(o->most);
    fresh = stat(r->path, &st) < 0 && errno == ENOENT;
    int rc = read_file(r, &at, err);
    if (rc == 0 && r->trouble.code)
        r->floor = now;
    if (rc == 0 && !id_eq(at.boot, o->boot))
        seen_settle(r->seen, SEEN_STATE_BEGUN, as_begun, r);
    if (rc == 0 && (fresh || r->trouble.code))
        rc = rewrite(r, now, err);
    else if (rc == 0)
        rc = spoolfile_open_append(r->path, 0600, &r->file, NULL, err);
    if (rc == 0 && !id_eq(at.boot, o->boot)) {
        add_head(r, &r->notes);
        r->base = spoolfile_size(r->file);
        rc = replay_commit(r, now, err);
    }
    if (rc < 0)
        replay_close(&r);
    else
        *ret = r;
    return rc;
}

void replay_close(struct replay **pr)
{
    struct replay *r = *pr;
    struct error err = {0};
    if (!r)
        return;
    if (r->file && replay_waits(r) && replay_commit(r, 0, &err) < 0)
        log_warn("%s", err.text);
    spoolfile_close(&r->file);
    seen_free(&r->seen);
    buf_free(&r->accepts);
    buf_free(&r->notes);
    buf_free(&r->scratch);
    mem_free(&r->folder);
    mem_free(&r->path);
    mem_free(pr);
}

/* ---- What the keepers know */

static void note(struct replay *r, const struct s_seen *s)
{
    if (!seen_apply(r->seen, s))
        return;
    s_seen_encode(s, &r->notes);
    if (r->notes.n > REPLAY_NOTES_MAX) {
        r->stale = true;
        buf_clear(&r->notes);
    }
}

static void take_launched(struct replay *r, const struct s_launched *l)
{
    const struct seen_step step = {.identity = l->identity,
                                   .run = l->run,
                                   .attempt = l->attempt,
                                   .step = l->step,
                                   .try_no = l->try_no,
                                   .expires = l->expires};
    struct s_seen s;
    seen_record(&step, SEEN_STATE_BEGUN, l->at, &s);
    if (!hash_is_zero(&l->identity))
        note(r, &s);
}

/* The worker sets aside what is damaged; here it is enough to know. */
static int load_file(struct replay *r, const char *path, bool *ret_doubt, struct error *err)
{
    struct spoolfile_reader *reader = NULL;
    struct span entry;
    struct s_launched l;
    struct stat st;
    uint64_t kind;
    size_t size;
    int rc = spoolfile_reader_open(path, SPOOLFILE_START, &reader, err);
    while (rc >= 0 && (rc = spoolfile_reader_next(reader, &entry, err)) != 0) {
        struct buf ignored = {0};
        if (rc == 1 && wire_peek(entry, &kind, &size, NULL) == 0 && kind == KIND_S_LAUNCHED &&
            wire_decode(&s_launched_schema, entry, true, &l, NULL) == 0)
            take_launched(r, &l);
        if (rc == -EBADMSG) {
            *ret_doubt = true;
            rc = spoolfile_reader_skip(reader, &ignored, err) < 0 ? -EIO : 1;
        }
        buf_free(&ignored);
    }
    if (reader && stat(path, &st) == 0 && spoolfile_reader_offset(reader) < st.st_size)
        *ret_doubt = true;
    spoolfile_reader_close(&reader);
    return rc;
}

int replay_load(struct replay *r, const char *spool_folder, bool *ret_doubt, struct error *err)
{
    DIR *d = opendir(spool_folder);
    *ret_doubt = false;
    if (!d)
        return error_errno(err, errno, "cannot read the folder '%s'", spool_folder);
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (strncmp(e->d_name, "keeper-", 7) != 0 || n < 4 ||
            strcmp(e->d_name + n - 4, ".log") != 0)
            continue;
        char *path = mem_printf("%s/%s", spool_folder, e->d_name);
        rc = load_file(r, path, ret_doubt, err);
        mem_free(&path);
    }
    closedir(d);
    return rc;
}

void replay_taken(struct replay *r, const struct seen_step *step, bool runs, int64_t now)
{
    struct s_seen s;
    seen_record(step, runs ? SEEN_STATE_BEGUN : SEEN_STATE_ACCEPTED, now, &s);
    note(r, &s);
    seen_hold(r->seen, step);
}

static void settle_one(void *self, const struct s_seen *s)
{
    note(self, s);
}

int replay_settle(struct replay *r, bool doubt, int64_t now, struct error *err)
{
    seen_settle(r->seen, doubt ? SEEN_STATE_BEGUN : SEEN_STATE_FORGOTTEN, settle_one, r);
    return replay_commit(r, now, err);
}

/* ---- In operation */

enum seen_answer replay_ask(struct replay *r, const struct seen_step *step, int64_t now,
                            int64_t *ret_begun, struct error *err)
{
    enum seen_answer answer = seen_ask(r->seen, step, now, ret_begun, err);
    if (answer != SEEN_NEW || step->issued_at >= r->floor || seen_knows(r->seen, &step->identity))
        return answer;
    error_set(err, -EALREADY,
              "this server's table of calls was damaged after this call was issued, so it may have "
              "run here already; submit it again");
    return SEEN_REPLAYED;
}

void replay_accept(struct replay *r, const struct seen_step *step, int64_t now)
{
    struct s_seen s;
    seen_record(step, SEEN_STATE_ACCEPTED, now, &s);
    if (seen_apply(r->seen, &s))
        s_seen_encode(&s, &r->accepts);
}

void replay_begun(struct replay *r, const struct seen_step *step, int64_t now)
{
    struct s_seen s;
    seen_record(step, SEEN_STATE_BEGUN, now, &s);
    note(r, &s);
}

void replay_forget(struct replay *r, const struct seen_step *step, int64_t now)
{
    struct s_seen s;
    seen_record(step, SEEN_STATE_FORGOTTEN, now, &s);
    note(r, &s);
}

bool replay_waits(const struct replay *r)
{
    return r->accepts.n || r->notes.n || r->stale;
}

size_t replay_count(const struct replay *r)
{
    return seen_count(r->seen);
}

const char *replay_trouble(const struct replay *r)
{
    return r->trouble.text;
}

/* Nothing of it is in the file, so nothing is written about it. */
static void take_back_accepts(struct replay *r)
{
    struct span rest = buf_span(&r->accepts);
    struct s_seen s;
    uint64_t kind;
    size_t size;
    while (rest.n && wire_peek(rest, &kind, &size, NULL) == 0) {
        if (s_seen_decode(span_of(rest.p, size), &s, NULL) == 0) {
            s.state = SEEN_STATE_FORGOTTEN;
            seen_apply(r->seen, &s);
        }
        rest = span_of(rest.p + size, rest.n - size);
    }
}

static int append(struct replay *r, struct error *err)
{
    buf_clear(&r->scratch);
    buf_add(&r->scratch, r->notes.p, r->notes.n);
    buf_add(&r->scratch, r->accepts.p, r->accepts.n);
    return r->scratch.n ? spoolfile_append(r->file, buf_span(&r->scratch), err) : 0;
}

int replay_commit(struct replay *r, int64_t now, struct error *err)
{
    struct error later = {0};
    int rc = append(r, err);
    if (rc < 0)
        take_back_accepts(r);
    else
        buf_clear(&r->notes);
    buf_clear(&r->accepts);
    if (rc < 0)
        return error_prefix(err, "the table of calls cannot be written, so nothing new is started");
    int64_t size = spoolfile_size(r->file);
    if (r->stale || size > 2 * r->base + REPLAY_GROWTH_MIN) {
        r->base = size; /* if it fails now, not again at once */
        if (rewrite(r, now, &later) < 0)
            log_warn("the table of calls cannot be written anew yet: %s", later.text);
    }
    return 0;
}
