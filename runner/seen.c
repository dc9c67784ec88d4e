/* seen.c - see seen.h. */
#include "runner/seen.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "common/hashtable.h"
#include "common/mem.h"
#include "common/spoolfile.h"
#include "trust/envelope.h"

struct seen_call {
    struct hash identity;
    struct id run;
    uint64_t attempt;
    int64_t begun, expires;
    struct hash *tries; /* of step and number of the try */
    unsigned n;
    UT_hash_handle hh;
};

struct seen {
    struct seen_call *calls; /* in order of arrival */
};

struct seen *seen_new(void)
{
    return mem_zalloc(1, sizeof(struct seen));
}

static void drop(struct seen *s, struct seen_call *c)
{
    HASH_DEL(s->calls, c);
    mem_free(&c->tries);
    mem_free(&c);
}

void seen_free(struct seen **s)
{
    struct seen_call *c, *next;
    if (!*s)
        return;
    HASH_ITER (hh, (*s)->calls, c, next)
        drop(*s, c);
    mem_free(s);
}

size_t seen_count(const struct seen *s)
{
    return HASH_COUNT(s->calls);
}

void seen_identity(struct span caller, struct span key, struct hash *ret)
{
    struct buf b = {0};
    buf_add(&b, caller.p, caller.n);
    buf_add(&b, "", 1); /* names have no NUL */
    buf_add(&b, key.p, key.n);
    envelope_hash(buf_span(&b), ret);
    buf_free(&b);
}

static void try_digest(struct span step, uint64_t try_no, struct hash *ret)
{
    struct buf b = {0};
    buf_printf(&b, "%llu ", (unsigned long long)try_no);
    buf_add(&b, step.p, step.n);
    envelope_hash(buf_span(&b), ret);
    buf_free(&b);
}

static struct seen_call *find(const struct seen *s, const struct hash *identity)
{
    struct seen_call *c;
    HASH_FIND(hh, s->calls, identity, sizeof *identity, c);
    return c;
}

static bool has_turn(const struct seen_call *c, const struct seen_step *step)
{
    struct hash h;
    try_digest(step->step, step->try_no, &h);
    for (unsigned i = 0; i < c->n; i++)
        if (hash_eq(&c->tries[i], &h))
            return true;
    return false;
}

/* Makes room: expired calls are refused anyway. */
static void sweep(struct seen *s, int64_t now)
{
    struct seen_call *c, *next;
    HASH_ITER (hh, s->calls, c, next)
        if (c->expires <= now)
            drop(s, c);
}

enum seen_answer seen_ask(struct seen *s, const struct seen_step *step, int64_t now,
                          int64_t *ret_begun, struct error *err)
{
    struct seen_call *c = find(s, &step->identity);
    *ret_begun = 0;
    if (!c) {
        if (seen_count(s) >= SEEN_MAX)
            sweep(s, now);
        if (seen_count(s) < SEEN_MAX)
            return SEEN_NEW;
        error_set(err, -ENOSPC,
                  "the table of calls is full: %d have not expired; no new call is accepted until "
                  "one has",
                  (int)SEEN_MAX);
        return SEEN_FULL;
    }
    char run[ID_TEXT];
    if (!id_eq(c->run, step->run)) {
        error_set(err, -EALREADY, "this call has already run here, as run %s",
                  id_format(c->run, run));
        return SEEN_REPLAYED;
    }
    if (step->attempt < c->attempt) {
        error_set(err, -EALREADY, "attempt %llu has already run here; attempt %llu is older",
                  (unsigned long long)c->attempt, (unsigned long long)step->attempt);
        return SEEN_REPLAYED;
    }
    if (step->attempt > c->attempt) {
        if (step->may_repeat)
            return SEEN_NEW;
        error_set(err, -EALREADY,
                  "attempt %llu has already run here, and the caller does not allow another "
                  "(on_lost: fail)",
                  (unsigned long long)c->attempt);
        return SEEN_REPLAYED;
    }
    if (has_turn(c, step))
        return SEEN_SAME;
    *ret_begun = c->begun;
    return SEEN_NEW;
}

void seen_add(struct seen *s, const struct seen_step *step, int64_t now)
{
    struct seen_call *c = find(s, &step->identity);
    if (c && (step->attempt < c->attempt || (step->attempt == c->attempt && has_turn(c, step))))
        return;
    if (!c) {
        c = mem_zalloc(1, sizeof *c);
        c->identity = step->identity;
        HASH_ADD(hh, s->calls, identity, sizeof c->identity, c);
    }
    if (c->n == 0 || step->attempt > c->attempt) {
        c->n = 0;
        c->attempt = step->attempt;
        c->begun = now;
    }
    c->run = step->run;
    c->expires = step->expires;
    c->tries = mem_realloc(c->tries, c->n + 1, sizeof *c->tries);
    try_digest(step->step, step->try_no, &c->tries[c->n++]);
}

void seen_forget(struct seen *s, const struct seen_step *step)
{
    struct seen_call *c = find(s, &step->identity);
    struct hash h;
    if (!c || c->attempt != step->attempt || !id_eq(c->run, step->run))
        return;
    try_digest(step->step, step->try_no, &h);
    for (unsigned i = 0; i < c->n; i++)
        if (hash_eq(&c->tries[i], &h)) {
            c->tries[i] = c->tries[--c->n];
            break;
        }
    if (c->n == 0)
        drop(s, c);
}

void seen_launched(struct seen *s, const struct s_launched *l)
{
    struct seen_step step = {.identity = l->identity,
                             .run = l->run,
                             .attempt = l->attempt,
                             .step = l->step,
                             .try_no = l->try_no,
                             .expires = l->expires};
    if (!hash_is_zero(&l->identity))
        seen_add(s, &step, l->at);
}

static int load_file(struct seen *s, const char *path, struct error *err)
{
    struct spoolfile_reader *r = NULL;
    struct span entry;
    struct s_launched l;
    uint64_t kind;
    size_t size;
    int rc = spoolfile_reader_open(path, SPOOLFILE_START, &r, err);
    if (rc < 0)
        return rc;
    while ((rc = spoolfile_reader_next(r, &entry, err)) == 1)
        if (wire_peek(entry, &kind, &size, NULL) == 0 && kind == KIND_S_LAUNCHED &&
            wire_decode(&s_launched_schema, entry, true, &l, NULL) == 0)
            seen_launched(s, &l);
    spoolfile_reader_close(&r);
    return rc;
}

int seen_load(struct seen *s, const char *spool_folder, struct error *err)
{
    DIR *d = opendir(spool_folder);
    if (!d)
        return error_errno(err, errno, "cannot read the folder '%s'", spool_folder);
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (strncmp(e->d_name, "keeper-", 7) != 0 || n < 4 ||
            strcmp(e->d_name + n - 4, ".log") != 0)
            continue;
        char *path = mem_printf("%s/%s", spool_folder, e->d_name);
        rc = load_file(s, path, err);
        mem_free(&path);
    }
    closedir(d);
    return rc;
}
