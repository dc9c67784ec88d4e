/* launched.c - see launched.h. */
#include "runner/launched.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/spoolfile.h"
#include "proto/kept.h"

/* A keeper runs one step at a time, so an S_ENDED is of the newest. */
struct launched_search {
    const struct s_kept *step; /* the step to look for; NULL: any that is open */
    bool seen;
    struct buf open; /* the newest S_LAUNCHED; empty: it has ended */
};

static bool is_step(const struct s_launched *l, const struct s_kept *k)
{
    return id_eq(l->run, k->run) && l->attempt == k->attempt && l->try_no == k->try_no &&
           span_eq(l->step, k->step);
}

static void take_entry(struct launched_search *s, struct span entry)
{
    struct s_launched l;
    struct s_ended e;
    struct d_step_outcome o;
    uint64_t kind;
    size_t size;
    if (wire_peek(entry, &kind, &size, NULL) < 0)
        return;
    if (kind == KIND_S_LAUNCHED && wire_decode(&s_launched_schema, entry, true, &l, NULL) == 0) {
        s->seen |= s->step && is_step(&l, s->step);
        buf_clear(&s->open);
        buf_add(&s->open, entry.p, entry.n);
    } else if (kind == KIND_S_ENDED && s->open.n &&
               wire_decode(&s_ended_schema, entry, true, &e, NULL) == 0 &&
               wire_decode(&d_step_outcome_schema, e.outcome, true, &o, NULL) == 0 &&
               wire_decode(&s_launched_schema, buf_span(&s->open), true, &l, NULL) == 0) {
        struct s_kept k = {.run = e.run, .attempt = e.attempt, .try_no = o.try_no, .step = o.name};
        if (is_step(&l, &k))
            buf_clear(&s->open);
    }
}

static void take_file(struct launched_search *s, const char *path)
{
    struct spoolfile_reader *r = NULL;
    struct span entry;
    if (spoolfile_reader_open(path, SPOOLFILE_START, &r, NULL) < 0)
        return;
    int rc;
    while ((rc = spoolfile_reader_next(r, &entry, NULL)) == 1 || rc == -EBADMSG) {
        struct buf damaged = {0};
        if (rc == 1)
            take_entry(s, entry);
        else if (spoolfile_reader_skip(r, &damaged, NULL) < 0)
            break;
        buf_free(&damaged);
    }
    spoolfile_reader_close(&r);
}

static int is_log(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return strncmp(e->d_name, "keeper-", 7) == 0 && n > 4 && strcmp(e->d_name + n - 4, ".log") == 0;
}

/* A step never ends in another file than the one in which it started (report_roll), so each file is
 * read by itself. */
static void take_slot(const char *folder, unsigned slot, struct launched_search *s, launched_fn *fn,
                      void *self)
{
    struct dirent **names = NULL;
    struct s_launched l;
    char stem[32];
    size_t n = (size_t)snprintf(stem, sizeof stem, "keeper-%u.", slot);
    int count = scandir(folder, &names, is_log, alphasort);
    for (int i = 0; i < count; i++) {
        if (strncmp(names[i]->d_name, stem, n) == 0) {
            char *path = mem_printf("%s/%s", folder, names[i]->d_name);
            take_file(s, path);
            mem_free(&path);
            if (fn && s->open.n &&
                wire_decode(&s_launched_schema, buf_span(&s->open), true, &l, NULL) == 0) {
                struct s_kept k = {.slot = slot,
                                   .run = l.run,
                                   .attempt = l.attempt,
                                   .step = l.step,
                                   .try_no = l.try_no,
                                   .state = KEPT_RUNS,
                                   .identity = l.identity,
                                   .expires = l.expires};
                fn(self, &k);
            }
            buf_clear(&s->open);
        }
        free(names[i]);
    }
    free(names);
}

bool launched_find(const char *spool_folder, unsigned slot, const struct s_kept *step)
{
    struct launched_search s = {.step = step};
    take_slot(spool_folder, slot, &s, NULL, NULL);
    buf_free(&s.open);
    return s.seen;
}

void launched_open(const char *spool_folder, unsigned slot, launched_fn *fn, void *self)
{
    struct launched_search s = {0};
    take_slot(spool_folder, slot, &s, fn, self);
    buf_free(&s.open);
}
