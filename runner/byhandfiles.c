/* byhandfiles.c - what the keeper and we have written to the spool of a run by hand is read, and
 * told the person. */
#include "runner/byhandinside.h"

#include <errno.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/spoolfile.h"

static void take_ended(struct byhand *h, const struct s_ended *e)
{
    struct byhand_try *t = byhand_open_try(h);
    struct d_step_outcome o;
    if (d_step_outcome_decode(e->outcome, &o, NULL) < 0 || !byhand_is_try(h, t, o.name, o.try_no))
        return;
    buf_add(&t->outcome, e->outcome.p, e->outcome.n);
    if (d_step_outcome_decode(buf_span(&t->outcome), &t->o, NULL) == 0)
        steps_take_end(&t->t, &t->o);
}

static void take_launched(struct byhand *h, const struct s_launched *l)
{
    struct byhand_try *t = byhand_open_try(h);
    if (!byhand_is_try(h, t, l->step, l->try_no))
        return;
    t->t.launched = true;
    t->launched_at = l->at;
}

static void take_entry(struct byhand *h, struct span entry)
{
    struct s_ended ended;
    struct s_launched launched;
    uint64_t kind;
    size_t size;
    if (wire_peek(entry, &kind, &size, NULL) < 0)
        return;
    if (kind == KIND_S_ENDED && s_ended_decode(entry, &ended, NULL) == 0)
        take_ended(h, &ended);
    else if (kind == KIND_S_LAUNCHED && s_launched_decode(entry, &launched, NULL) == 0)
        take_launched(h, &launched);
    byhand_tell(h, entry);
}

static char *path_of(const struct byhand *h, const struct byhand_file *f, unsigned long generation)
{
    return generation ? mem_printf("%s/%s.%lu.log", h->paths->spool, f->stem, generation)
                      : mem_printf("%s/%s.log", h->paths->spool, f->stem);
}

/* Its writer goes on in a next one when it has grown large. */
static bool go_to_next(struct byhand *h, struct byhand_file *f)
{
    char *next = path_of(h, f, f->generation + 1);
    const bool there = access(next, F_OK) == 0;
    mem_free(&next);
    if (there) {
        spoolfile_reader_close(&f->reader);
        f->generation++;
    }
    return there;
}

/* True if something was read. */
static bool follow(struct byhand *h, struct byhand_file *f)
{
    struct error err = {0};
    struct span entry;
    bool any = false;
    int rc = 0;
    if (!f->reader) {
        char *path = path_of(h, f, f->generation);
        rc = spoolfile_reader_open(path, SPOOLFILE_START, &f->reader, &err);
        mem_free(&path);
    }
    while (rc >= 0 && f->reader && byhand_has_room(h) &&
           (rc = spoolfile_reader_next(f->reader, &entry, &err)) == 1) {
        take_entry(h, entry);
        any = true;
    }
    if (rc < 0 && rc != -ENOENT && !h->warned) {
        h->warned = true;
        log_error("%s", err.text);
    }
    return any;
}

void byhand_follow(struct byhand *h)
{
    for (unsigned i = 0; i < BYHAND_FILES; i++)
        do
            while (byhand_has_room(h) && follow(h, &h->files[i]))
                ;
        while (byhand_has_room(h) && go_to_next(h, &h->files[i]));
}
