/* logship.c - see logship.h. */
#include "worker/logship.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"

/* A chunk on its way. */
struct logship_flight {
    char *name;     /* of its file, which may be gone */
    uint64_t total; /* bytes of this session up to the end of the chunk */
    int64_t place;  /* after the chunk in its file */
};

struct logship {
    struct spool *spool;
    char *path;
    uint64_t sent, acked; /* bytes of this session */
    struct logship_flight *flights;
    size_t first, n, cap;
    bool moved;
    /* lines "name place" of the last process, for files not yet seen */
    struct buf saved;
    struct buf message;
};

int logship_open(struct logship **ret, struct spool *spool, struct error *err)
{
    struct logship *l = mem_zalloc(1, sizeof *l);
    l->spool = spool;
    l->path = mem_printf("%s/shipped", spool_folder(spool));
    int rc = file_read(l->path, 1 << 20, &l->saved, err);
    if (rc < 0 && rc != -ENOENT) {
        logship_close(&l);
        return rc;
    }
    *ret = l;
    return 0;
}

static void forget_flights(struct logship *l)
{
    for (size_t i = l->first; i < l->n; i++)
        mem_free(&l->flights[i].name);
    l->first = l->n = 0;
}

void logship_close(struct logship **pl)
{
    struct logship *l = *pl;
    if (!l)
        return;
    forget_flights(l);
    mem_free(&l->flights);
    mem_free(&l->path);
    buf_free(&l->saved);
    buf_free(&l->message);
    mem_free(pl);
}

/* The place that the last process had reached in this file. If it is wrong, because the file is
 * a different one now, the reader notices, and the whole file is shipped. */
static int64_t saved_place(struct logship *l, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = buf_str(&l->saved), *end; line && *line; line = end) {
        end = strchrnul(line, '\n');
        if (strncmp(line, name, n) == 0 && line[n] == ' ')
            return strtoll(line + n, NULL, 10);
        end += *end == '\n';
    }
    return 0;
}

/* ---- Sending */

static int send_output(struct logship *l, const struct s_output *o,
                       int (*send)(void *, struct span), void *self)
{
    struct m_log_data m = {.run = o->run,
                           .attempt = o->attempt,
                           .step = o->step,
                           .try_no = o->try_no,
                           .stream = o->stream,
                           .offset = o->offset,
                           .at = o->at,
                           .data = o->data,
                           .cut = o->cut};
    buf_clear(&l->message);
    m_log_data_encode(&m, &l->message);
    return send(self, buf_span(&l->message));
}

static void took_off(struct logship *l, const struct spool_file *f, size_t bytes)
{
    l->sent += bytes;
    if (l->n == l->cap && l->first > l->cap / 2) {
        memmove(l->flights, l->flights + l->first, (l->n - l->first) * sizeof *l->flights);
        l->n -= l->first;
        l->first = 0;
    } else if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->flights = mem_realloc(l->flights, l->cap, sizeof *l->flights);
    }
    l->flights[l->n++] =
        (struct logship_flight){mem_strdup(f->name), l->sent, spoolfile_reader_offset(f->shipper)};
}

static int open_shipper(struct logship *l, struct spool_file *f, struct error *err)
{
    if (f->shipped == 0)
        f->shipped = saved_place(l, f->name);
    if (f->shipped < SPOOLFILE_START || f->shipped > f->output_to)
        f->shipped = SPOOLFILE_START;
    return spoolfile_reader_open(f->path, f->shipped, &f->shipper, err);
}

/* Ships from one file. 1: credit or `send` allowed no more; 0: all of it is on its way. */
static int pump_file(struct logship *l, struct spool_file *f, size_t *left,
                     int (*send)(void *, struct span), void *self, struct error *err)
{
    struct span entry;
    struct s_output o;
    if (f->output_to == 0 || f->shipped >= f->output_to)
        return 0;
    int rc = f->shipper ? 0 : open_shipper(l, f, err);
    while (rc == 0 && spoolfile_reader_offset(f->shipper) < f->output_to) {
        if (*left == 0 || l->sent - l->acked >= LOGSHIP_CREDIT)
            return 1;
        int64_t before = spoolfile_reader_offset(f->shipper);
        rc = spoolfile_reader_next(f->shipper, &entry, err);
        if (rc == -EBADMSG) { /* spool.c has set it aside and said so */
            struct buf damaged = {0};
            rc = spoolfile_reader_skip(f->shipper, &damaged, err) < 0 ? -EIO : 0;
            buf_free(&damaged);
            continue;
        }
        if (rc <= 0)
            return rc;
        rc = 0;
        if (s_output_decode(entry, &o, NULL) < 0)
            continue; /* an entry of another kind */
        size_t bytes = o.data.n;
        if (send_output(l, &o, send, self) < 0) {
            spoolfile_reader_close(&f->shipper);
            return spoolfile_reader_open(f->path, before, &f->shipper, err) < 0 ? -EIO : 1;
        }
        took_off(l, f, bytes);
        *left -= bytes < *left ? bytes : *left;
    }
    return rc;
}

int logship_pump(struct logship *l, int (*send)(void *self, struct span message), void *self,
                 struct error *err)
{
    size_t n, left = LOGSHIP_TURN;
    struct spool_file **f = spool_files(l->spool, &n);
    for (size_t i = 0; i < n; i++) {
        int rc = pump_file(l, f[i], &left, send, self, err);
        if (rc != 0)
            return rc < 0 ? rc : left == 0;
    }
    return 0;
}

/* ---- Acknowledged */

static struct spool_file *file_named(struct logship *l, const char *name)
{
    size_t n;
    struct spool_file **f = spool_files(l->spool, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(f[i]->name, name) == 0)
            return f[i];
    return NULL;
}

void logship_acked(struct logship *l, uint64_t bytes)
{
    if (bytes > l->sent)
        bytes = l->sent; /* the broker cannot have more than was sent */
    if (bytes > l->acked)
        l->acked = bytes;
    while (l->first < l->n && l->flights[l->first].total <= l->acked) {
        struct logship_flight *x = &l->flights[l->first++];
        struct spool_file *f = file_named(l, x->name);
        if (f) {
            f->shipped = x->place;
            l->moved = true;
        }
        mem_free(&x->name);
    }
}

void logship_session(struct logship *l)
{
    size_t n;
    struct spool_file **f = spool_files(l->spool, &n);
    forget_flights(l);
    l->sent = l->acked = 0;
    for (size_t i = 0; i < n; i++)
        spoolfile_reader_close(&f[i]->shipper);
}

int logship_save(struct logship *l, struct error *err)
{
    size_t n;
    struct spool_file **f = spool_files(l->spool, &n);
    if (!l->moved)
        return 0;
    struct buf b = {0};
    for (size_t i = 0; i < n; i++) {
        int64_t place = f[i]->shipped ? f[i]->shipped : saved_place(l, f[i]->name);
        if (place)
            buf_printf(&b, "%s %" PRId64 "\n", f[i]->name, place);
    }
    int rc = file_write_atomic(l->path, buf_span(&b), 0600, err);
    buf_free(&b);
    l->moved = rc < 0;
    return rc;
}
