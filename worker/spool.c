/* spool.c - see spool.h. */
#include "worker/spool.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "worker/spoolinside.h"

#include <sys/random.h>

enum { SETTLED_MS = 2000 }; /* no file system's clock ticks more slowly */

/* ---- Names */

static bool parse_name(const char *name, char **ret_stem, uint64_t *ret_generation)
{
    size_t n = strlen(name);
    if (n < 5 || strcmp(name + n - 4, ".log") != 0)
        return false;
    if (strncmp(name, "keeper-", 7) != 0 && strncmp(name, "runner.", 7) != 0)
        return false;
    char *stem = mem_strdup(name);
    stem[n - 4] = '\0';
    char *dot = strrchr(stem, '.');
    char *end = NULL;
    *ret_generation = 0;
    if (dot) {
        *ret_generation = strtoull(dot + 1, &end, 10);
        if (!dot[1] || *end) {
            mem_free(&stem);
            return false;
        }
        *dot = '\0';
    }
    *ret_stem = stem;
    return true;
}

static void file_free(struct spool_file **pf)
{
    struct spool_file *f = *pf;
    spoolfile_reader_close(&f->reader);
    spoolfile_reader_close(&f->shipper);
    mem_free(&f->name);
    mem_free(&f->path);
    mem_free(&f->stem);
    mem_free(pf);
}

static bool has_file(const struct spool *s, const char *name)
{
    for (size_t i = 0; i < s->n_files; i++)
        if (strcmp(s->files[i]->name, name) == 0)
            return true;
    return false;
}

static int by_name(const void *a, const void *b)
{
    const struct spool_file *x = *(struct spool_file *const *)a,
                            *y = *(struct spool_file *const *)b;
    int order = strcmp(x->stem, y->stem);
    return order ? order : x->generation < y->generation ? -1 : x->generation > y->generation;
}

/* A file system's clock ticks every 4 ms, or only every 2 s. A file that appears in the tick in
 * which the folder was read does not change its mtime. So only an mtime that was old by then
 * proves that there is nothing new. */
static bool has_settled(const struct timespec *mtime)
{
    int64_t age = clock_wall_ms() - ((int64_t)mtime->tv_sec * 1000 + mtime->tv_nsec / 1000000);
    return age > SETTLED_MS;
}

/* Finds new names in the folder, if its mtime says that there can be any. */
static int look(struct spool *s, struct error *err)
{
    struct stat st;
    if (stat(s->theirs, &st) < 0)
        return error_errno(err, errno, "cannot examine the spool '%s'", s->theirs);
    if (st.st_mtim.tv_sec == s->looked.tv_sec && st.st_mtim.tv_nsec == s->looked.tv_nsec)
        return 0;
    bool settled = has_settled(&st.st_mtim);
    DIR *d = opendir(s->theirs);
    if (!d)
        return error_errno(err, errno, "cannot read the spool '%s'", s->theirs);
    for (struct dirent *e; (e = readdir(d));) {
        struct spool_file f = {.last = true};
        if (has_file(s, e->d_name) || !parse_name(e->d_name, &f.stem, &f.generation))
            continue;
        f.name = mem_strdup(e->d_name);
        f.path = mem_printf("%s/%s", s->theirs, e->d_name);
        s->files = mem_realloc(s->files, s->n_files + 1, sizeof *s->files);
        s->files[s->n_files++] = mem_dup(&f, sizeof f);
    }
    closedir(d);
    if (s->n_files)
        qsort(s->files, s->n_files, sizeof *s->files, by_name);
    for (size_t i = 0; i < s->n_files; i++)
        s->files[i]->last =
            i + 1 == s->n_files || strcmp(s->files[i]->stem, s->files[i + 1]->stem) != 0;
    s->looked = settled ? st.st_mtim : (struct timespec){0};
    return 0;
}

/* ---- Open and close */

int spool_fresh_id(struct id *ret, struct error *err)
{
    uint8_t random[10];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return error_errno(err, errno, "no random bytes for an id");
    *ret = id_make(clock_wall_ms(), random);
    return 0;
}

int spool_make_id(struct spool *s, struct error *err)
{
    char path[PATH_MAX], text[ID_TEXT + 1];
    int rc = spool_fresh_id(&s->id, err);
    if (rc < 0)
        return rc;
    snprintf(path, sizeof path, "%s/id", s->folder);
    id_format(s->id, text);
    strcat(text, "\n");
    return file_write_atomic(path, span_str(text), 0600, err);
}

static int take_id(struct spool *s, bool *ret_first, struct error *err)
{
    char path[PATH_MAX];
    struct buf b = {0};
    snprintf(path, sizeof path, "%s/id", s->folder);
    int rc = file_read(path, ID_TEXT, &b, err);
    if (rc == 0) {
        while (b.n && b.p[b.n - 1] == '\n')
            b.n--;
        rc = id_parse_span(buf_span(&b), &s->id, err);
        if (rc < 0)
            error_prefix(err, "%s", path);
    } else if (rc == -ENOENT) {
        *ret_first = true;
        rc = spool_make_id(s, err);
    }
    buf_free(&b);
    return rc;
}

/* Only one worker may write a spool. */
static int take_lock(struct spool *s, struct error *err)
{
    char *path = mem_printf("%s/worker.lock", s->folder);
    struct error held = {0};
    int rc = file_lock(path, &s->lock, &held);
    if (rc == -EBUSY)
        error_set(err, rc,
                  "a worker for this home already runs; stop it first (systemctl stop lbworker, or "
                  "kill that process), or give this one a LONGBOAT_HOME of its own: %s",
                  held.text);
    else if (rc < 0)
        error_set(err, rc, "%s", held.text);
    mem_free(&path);
    return rc;
}

int spool_open(struct spool **ret, const char *folder, const char *theirs, struct error *err)
{
    struct spool *s = mem_zalloc(1, sizeof *s);
    bool first = false;
    s->lock = -1;
    s->folder = mem_strdup(folder);
    s->theirs = mem_strdup(theirs ? theirs : folder);
    s->log = mem_printf("%s/worker.log", folder);
    int rc = file_make_dirs(folder, 0700, err);
    if (rc == 0)
        rc = take_lock(s, err);
    if (rc == 0)
        rc = take_id(s, &first, err);
    if (rc == 0)
        rc = spoolgap_take_life(s, err);
    if (rc == 0)
        rc = spoolhome_take(s, first, err);
    if (rc == 0)
        rc = spoolgap_open_log(s, first, err);
    if (rc < 0) {
        spool_close(&s);
        return rc;
    }
    *ret = s;
    return 0;
}

void spool_close(struct spool **ps)
{
    struct spool *s = *ps;
    if (!s)
        return;
    spoolfile_close(&s->own);
    for (size_t i = 0; i < s->n_files; i++)
        file_free(&s->files[i]);
    mem_free(&s->files);
    mem_free(&s->queued);
    buf_free(&s->queue);
    mem_free(&s->folder);
    mem_free(&s->theirs);
    mem_free(&s->log);
    if (s->lock >= 0)
        close(s->lock);
    mem_free(ps);
}

struct id spool_id(const struct spool *s)
{
    return s->id;
}

struct id spool_nonce(const struct spool *s)
{
    return s->life.nonce;
}

const char *spool_folder(const struct spool *s)
{
    return s->folder;
}

struct spool_file **spool_files(const struct spool *s, size_t *ret_n)
{
    *ret_n = s->n_files;
    return s->files;
}

/* ---- Reading */

static int kind_of(struct span entry, uint64_t *ret, struct error *err)
{
    size_t size;
    return wire_peek(entry, ret, &size, err);
}

/* An entry that nobody can have written is as good as damaged. */
static void refuse_entry(struct spool *s, const struct spool_file *f, struct span entry,
                         const struct error *why)
{
    char text[ERROR_TEXT_MAX + PATH_MAX];
    snprintf(text, sizeof text, "%s: %s", f->path, why->text);
    spoolgap_set_aside(s, f->path, spoolfile_reader_offset(f->reader), entry, text);
    s->damaged = true;
}

static void take_entry(struct spool *s, struct spool_file *f, struct span entry, spool_entry_fn *fn,
                       void *self)
{
    struct error why = {0};
    uint64_t kind;
    if (kind_of(entry, &kind, &why) < 0)
        refuse_entry(s, f, entry, &why);
    else if (kind == KIND_S_OUTPUT)
        f->output_to = spoolfile_reader_offset(f->reader);
    else if (fn(self, kind, entry, &why) < 0)
        refuse_entry(s, f, entry, &why);
}

static int follow_file(struct spool *s, struct spool_file *f, spool_entry_fn *fn, void *self,
                       struct error *err)
{
    struct span entry;
    struct error why = {0};
    int rc = f->reader ? 0 : spoolfile_reader_open(f->path, SPOOLFILE_START, &f->reader, err);
    if (rc == -ENOENT)
        return 0;
    while (rc == 0 && (rc = spoolfile_reader_next(f->reader, &entry, &why)) != 0) {
        if (rc == 1) {
            take_entry(s, f, entry, fn, self);
            rc = 0;
        } else if (rc == -EBADMSG) {
            rc = spoolgap_pass(s, f->path, f->reader, &why, err);
        } else {
            error_set(err, rc, "%s", why.text);
        }
    }
    return rc;
}

/* What a killed writer has left at the end is cut off by the next one. Here nobody can tell it from
 * damage. */
static void look_for_torn(struct spool *s)
{
    struct stat st;
    for (size_t i = 0; i < s->n_files; i++)
        if (s->files[i]->reader && stat(s->files[i]->path, &st) == 0 &&
            spoolfile_reader_offset(s->files[i]->reader) < st.st_size)
            s->damaged = true;
}

int spool_follow(struct spool *s, spool_entry_fn *fn, void *self, struct error *err)
{
    int rc = look(s, err);
    for (size_t i = 0; rc == 0 && i < s->n_files; i++)
        rc = follow_file(s, s->files[i], fn, self, err);
    return rc;
}

int spool_replay(struct spool *s, spool_entry_fn *fn, void *self, struct error *err)
{
    struct spool_file own = {.path = s->log};
    int rc = follow_file(s, &own, fn, self, err);
    spoolfile_reader_close(&own.reader);
    if (rc == 0 && spool_was_damaged(s))
        rc = spoolgap_note(s, "worker.log was damaged", err);
    if (rc == 0)
        rc = spool_follow(s, fn, self, err);
    look_for_torn(s);
    return rc;
}

/* ---- Writing */

void spool_put(struct spool *s, struct span entry)
{
    if (s->n_queued == s->cap_queued) {
        s->cap_queued = s->cap_queued ? s->cap_queued * 2 : 16;
        s->queued = mem_realloc(s->queued, s->cap_queued, sizeof *s->queued);
    }
    s->queued[s->n_queued++] = span_of((const uint8_t *)s->queue.n, entry.n);
    buf_add(&s->queue, entry.p, entry.n);
}

int spool_flush(struct spool *s, struct error *err)
{
    if (s->n_queued == 0)
        return 0;
    for (size_t i = 0; i < s->n_queued; i++)
        s->queued[i].p = s->queue.p + (size_t)s->queued[i].p;
    int rc = spoolfile_append_all(s->own, s->queued, s->n_queued, NULL, err);
    s->n_queued = 0;
    buf_clear(&s->queue);
    return rc;
}

/* ---- Tidying */

/* The attempt of an entry. False: it names none, or is malformed. */
static bool attempt_of(uint64_t kind, struct span entry, struct id *ret_run, uint64_t *ret_attempt)
{
#define OF(UP, name) \
    case KIND_S_##UP: { \
        struct s_##name s; \
        if (s_##name##_decode(entry, &s, NULL) < 0) \
            return false; \
        *ret_run = s.run; \
        *ret_attempt = s.attempt; \
        return true; \
    }
    switch (kind) {
        OF(STEPPED, stepped)
        OF(STOPPED, stopped)
        OF(FINISHED, finished)
        OF(RECORDED, recorded)
        OF(GIVEN_BACK, given_back)
        OF(LAUNCHED, launched)
        OF(ENDED, ended)
    case KIND_S_TAKEN: {
        struct s_taken s;
        struct m_execute x;
        if (s_taken_decode(entry, &s, NULL) < 0 || m_execute_decode(s.execute, &x, NULL) < 0)
            return false;
        *ret_run = x.run;
        *ret_attempt = x.attempt;
        return true;
    }
    default:
        return false;
    }
#undef OF
}

struct tidy {
    spool_knows_fn *knows;
    void *self;
    struct spoolfile *to; /* NULL: only count */
    bool needed;
};

static int tidy_entry(void *self, uint64_t kind, struct span entry, struct error *err)
{
    struct tidy *t = self;
    struct id run;
    uint64_t attempt;
    if (!attempt_of(kind, entry, &run, &attempt) || !t->knows(t->self, run, attempt))
        return 0;
    t->needed = true;
    return t->to ? spoolfile_append(t->to, entry, err) : 0;
}

static int rewrite(struct spool *s, struct tidy *t, struct error *err)
{
    char *next = mem_printf("%s/worker.next", s->folder);
    struct spool_file own = {.path = s->log};
    unlink(next);
    int rc = spoolfile_open_append(next, 0600, &t->to, NULL, err);
    if (rc == 0)
        rc = follow_file(s, &own, tidy_entry, t, err);
    spoolfile_reader_close(&own.reader);
    if (rc == 0) /* a power cut may take what comes later, but not what was there before */
        rc = file_sync(next, err);
    if (rc == 0 && rename(next, s->log) < 0)
        rc = error_errno(err, errno, "cannot put '%s' in place", next);
    if (rc == 0) {
        spoolfile_close(&s->own);
        s->own = t->to;
        s->tidied = spoolfile_size(s->own);
        t->to = NULL;
    } else {
        spoolfile_close(&t->to);
        unlink(next);
    }
    mem_free(&next);
    return rc;
}

static bool is_wholly_read(const struct spool_file *f)
{
    struct stat st;
    return f->reader && stat(f->path, &st) == 0 &&
           spoolfile_reader_offset(f->reader) >= st.st_size && f->shipped >= f->output_to;
}

void spool_on_shipped(struct spool *s, spool_shipped_fn *fn, void *self)
{
    s->shipped = fn;
    s->shipped_self = self;
}

/* True if it is gone. */
static bool remove_file(struct spool *s, const struct spool_file *f)
{
    if (!s->shipped)
        return unlink(f->path) == 0;
    s->shipped(s->shipped_self, f->name); /* it is said again until they have removed it */
    return access(f->path, F_OK) < 0 && errno == ENOENT;
}

int spool_tidy(struct spool *s, bool began, spool_knows_fn *knows, void *self, struct error *err)
{
    struct tidy t = {.knows = knows, .self = self};
    int rc = spool_flush(s, err);
    if (rc == 0 && (began || spoolfile_size(s->own) - s->tidied > SPOOL_TIDY_BYTES))
        rc = rewrite(s, &t, err);
    for (size_t i = 0; rc == 0 && i < s->n_files;) {
        struct spool_file *f = s->files[i];
        struct spool_file again = {.path = f->path};
        t = (struct tidy){.knows = knows, .self = self};
        if (!f->last && is_wholly_read(f) &&
            (rc = follow_file(s, &again, tidy_entry, &t, err)) == 0 && !t.needed &&
            remove_file(s, f)) {
            file_free(&s->files[i]);
            memmove(s->files + i, s->files + i + 1, (--s->n_files - i) * sizeof *s->files);
        } else {
            i++;
        }
        spoolfile_reader_close(&again.reader);
    }
    return rc;
}
