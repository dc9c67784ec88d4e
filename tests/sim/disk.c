/* disk.c - see disk.h. */
#include "tests/sim/disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

struct journal {
    struct world *w;
    struct process *broker;
    const struct journal_calls *calls;
    void *self;
    struct journal_record *v;
    size_t n, cap, durable, told, batch; /* batch: end of the current commit; 0: none */
    uint64_t turn, left_out;
    bool full, slow, said_full;
    struct event commit, notice;
};

static void on_commit(struct world *w, void *self);
static void on_notice(struct world *w, void *self);

struct journal *journal_new(struct world *w, struct process *broker,
                            const struct journal_calls *calls, void *self)
{
    struct journal *j = mem_zalloc(1, sizeof *j);
    j->w = w;
    j->broker = broker;
    j->calls = calls;
    j->self = self;
    return j;
}

static void cut_to(struct journal *j, size_t n)
{
    while (j->n > n)
        free((void *)(uintptr_t)j->v[--j->n].body.p);
}

void journal_free(struct journal **pj)
{
    struct journal *j = *pj;
    if (!j)
        return;
    cut_to(j, 0);
    world_cancel(j->w, &j->commit);
    world_cancel(j->w, &j->notice);
    mem_free(&j->v);
    mem_free(pj);
}

uint64_t journal_durable(const struct journal *j)
{
    return j->durable ? j->v[j->durable - 1].lsn : 0;
}

/* In every record of a run or parent the time comes first and the run second. */
static struct id run_of(uint64_t kind, struct span body)
{
    switch (kind) {
#define ONE(UP, low) \
    case KIND_R_##UP: { \
        struct r_##low r; \
        return r_##low##_decode(body, &r, NULL) == 0 ? r.run : ID_ZERO; \
    }
        ONE(CALLED, called)
        ONE(ASSIGNED, assigned)
        ONE(STARTED, started)
        ONE(RETURNED, returned)
        ONE(DECLINED, declined)
        ONE(CANCELLED, cancelled)
        ONE(LOST, lost)
        ONE(HELD, held)
        ONE(RELEASED, released)
        ONE(ENDED, ended)
        ONE(EVIDENCE, evidence)
        ONE(PARENT_BEGUN, parent_begun)
        ONE(PARENT_DRIVEN, parent_driven)
        ONE(PARENT_ENDED, parent_ended)
#undef ONE
    default:
        return ID_ZERO;
    }
}

void journal_append(struct journal *j, uint64_t lsn, struct span body)
{
    size_t size;
    if (j->n == j->cap) {
        j->cap = j->cap ? j->cap * 2 : 256;
        j->v = mem_realloc(j->v, j->cap, sizeof *j->v);
    }
    struct journal_record *r = &j->v[j->n++];
    *r = (struct journal_record){
        .lsn = lsn, .turn = j->turn, .body = {mem_dup(body.p, body.n), body.n}};
    wire_peek(body, &r->kind, &size, NULL);
    r->run = run_of(r->kind, body);
}

static void begin_commit(struct journal *j)
{
    if (j->batch || j->full || j->durable == j->n)
        return;
    j->batch = j->n;
    int64_t takes =
        j->slow ? world_between(j->w, MS(20), SECS(2)) : world_skewed(j->w, 200, MS(15));
    world_at(j->w, &j->commit, j->w->now + takes, NULL, on_commit, j);
}

void journal_turn_end(struct journal *j)
{
    j->turn++;
    begin_commit(j);
}

static void make_durable(struct journal *j, size_t to)
{
    for (; j->durable < to; j->durable++)
        j->calls->durable(j->self, &j->v[j->durable]);
}

static void on_commit(struct world *w, void *self)
{
    struct journal *j = self;
    make_durable(j, j->batch);
    j->batch = 0;
    world_at(w, &j->notice, w->now + world_between(w, 0, 300), j->broker, on_notice, j);
    begin_commit(j);
}

static void on_notice(struct world *w, void *self)
{
    struct journal *j = self;
    (void)w;
    j->told = j->durable;
    if (j->said_full != j->full) {
        j->said_full = j->full;
        j->calls->full(j->self, j->full);
    }
    j->calls->committed(j->self, journal_durable(j));
}

bool journal_crash(struct journal *j)
{
    bool in_commit = j->batch != 0;
    if (in_commit) { /* some of its turns may have reached the disk */
        size_t to = j->durable + rng_below(&j->w->rng, j->batch - j->durable + 1);
        while (to > j->durable && to < j->n && j->v[to].turn == j->v[to - 1].turn)
            to--;
        make_durable(j, to);
    }
    world_cancel(j->w, &j->commit);
    world_cancel(j->w, &j->notice);
    j->batch = 0;
    j->said_full = false;
    cut_to(j, j->durable);
    return in_commit;
}

void journal_set_full(struct journal *j, bool full)
{
    j->full = full;
    if (full && j->batch) { /* what was being written did not fit */
        world_cancel(j->w, &j->commit);
        j->batch = 0;
    }
    if (j->broker->up)
        world_at(j->w, &j->notice, j->w->now + world_between(j->w, 0, MS(5)), j->broker, on_notice,
                 j);
    begin_commit(j);
}

void journal_set_slow(struct journal *j, bool slow)
{
    j->slow = slow;
}

/* ---- Loading */
static const struct journal_record *find_last(const struct journal *j, size_t from, uint64_t kind,
                                              struct id run)
{
    for (size_t i = j->durable; i > from; i--)
        if (j->v[i - 1].kind == kind && id_eq(j->v[i - 1].run, run))
            return &j->v[i - 1];
    return NULL;
}

/* Does a later record make this one superfluous? core.h lists which ones do. */
static bool is_replaced(const struct journal *j, size_t at)
{
    const struct journal_record *r = &j->v[at];
    struct r_operated o, later;
    if (r->kind == KIND_R_EVIDENCE || r->kind == KIND_R_SERVER)
        return true;
    if (r->kind == KIND_R_EPOCH)
        return find_last(j, at + 1, KIND_R_EPOCH, ID_ZERO) != NULL;
    if (r->kind != KIND_R_OPERATED || r_operated_decode(r->body, &o, NULL) < 0)
        return false;
    for (size_t i = at + 1; i < j->durable; i++)
        if (j->v[i].kind == KIND_R_OPERATED && r_operated_decode(j->v[i].body, &later, NULL) == 0 &&
            span_eq(later.target, o.target))
            return true;
    return false;
}

static bool is_begin(const struct journal_record *r)
{
    return r->kind == KIND_R_CALLED || r->kind == KIND_R_PARENT_BEGUN;
}

static bool is_end(const struct journal_record *r)
{
    return r->kind == KIND_R_ENDED || r->kind == KIND_R_PARENT_ENDED;
}

static const struct journal_record *begin_of(const struct journal *j, struct id run)
{
    for (size_t i = 0; i < j->durable; i++)
        if (is_begin(&j->v[i]) && id_eq(j->v[i].run, run))
            return &j->v[i];
    return NULL;
}

static bool has_ended(const struct journal *j, size_t from, struct id run)
{
    for (size_t i = j->durable; i > from; i--)
        if (is_end(&j->v[i - 1]) && id_eq(j->v[i - 1].run, run))
            return true;
    return false;
}

static bool call_of(const struct r_called *c, struct d_call *ret)
{
    struct d_signed s;
    return d_signed_decode(c->call, &s, NULL) == 0 && d_call_decode(s.body, ret, NULL) == 0;
}

static bool parent_of(const struct r_parent_begun *b, struct d_parent *ret)
{
    struct d_signed s;
    return d_signed_decode(b->parent, &s, NULL) == 0 && d_parent_decode(s.body, ret, NULL) == 0;
}

/* What remains of a run or parent that has ended. */
static int kept_of(const struct journal *j, const struct journal_record *end, struct r_kept *ret,
                   struct error *err)
{
    struct r_ended e;
    struct r_called c;
    struct d_call d;
    struct r_parent_ended pe;
    struct r_parent_begun pb;
    struct d_parent pd;
    const struct journal_record *begin = begin_of(j, end->run);
    if (begin && end->kind == KIND_R_ENDED && r_ended_decode(end->body, &e, err) == 0 &&
        r_called_decode(begin->body, &c, err) == 0 && call_of(&c, &d)) {
        *ret = (struct r_kept){.at = e.at,
                               .run = e.run,
                               .principal = d.caller,
                               .key = d.key,
                               .digest = c.digest,
                               .attempt = e.attempt,
                               .reported = e.reported};
        return 0;
    }
    if (begin && end->kind == KIND_R_PARENT_ENDED &&
        r_parent_ended_decode(end->body, &pe, err) == 0 &&
        r_parent_begun_decode(begin->body, &pb, err) == 0 && parent_of(&pb, &pd)) {
        *ret = (struct r_kept){.at = pe.at,
                               .run = pe.run,
                               .principal = pd.caller,
                               .key = pd.key,
                               .digest = pb.digest,
                               .parent = true};
        return 0;
    }
    return error_set(err, -1, "the journal has an end without its beginning");
}

static int take_kept(struct journal *j, const struct journal_record *r, journal_take *take,
                     void *self, struct error *err)
{
    struct r_kept kept;
    struct buf body = {0};
    int rc = kept_of(j, r, &kept, err);
    if (rc < 0)
        return rc;
    r_kept_encode(&kept, &body);
    rc = take(self, r->lsn, buf_span(&body), err);
    buf_free(&body);
    return rc;
}

int journal_load(struct journal *j, bool folded, uint64_t kept_max, journal_take *take, void *self,
                 struct error *err)
{
    uint64_t ends = 0;
    int rc = 0;
    j->left_out = 0;
    for (size_t i = 0; i < j->durable; i++)
        ends += is_end(&j->v[i]);
    for (size_t i = 0; rc == 0 && i < j->durable; i++) {
        const struct journal_record *r = &j->v[i];
        if (!folded)
            rc = take(self, r->lsn, r->body, err);
        else if (is_end(r) && ends-- > kept_max)
            j->left_out = r->lsn;
        else if (is_end(r))
            rc = take_kept(j, r, take, self, err);
        else if (!is_replaced(j, i) && (id_is_zero(r->run) || !has_ended(j, i, r->run)))
            rc = take(self, r->lsn, r->body, err);
    }
    j->told = j->durable;
    return rc;
}

uint64_t journal_left_out(const struct journal *j)
{
    return j->left_out;
}

/* ---- History */
uint64_t journal_next_end(const struct journal *j, uint64_t after, uint64_t upto,
                          struct r_kept *ret)
{
    for (size_t i = 0; i < j->durable; i++)
        if (j->v[i].lsn > after && j->v[i].lsn <= upto && is_end(&j->v[i]) &&
            kept_of(j, &j->v[i], ret, NULL) == 0)
            return j->v[i].lsn;
    return 0;
}

bool journal_end_of(const struct journal *j, struct id run, struct r_ended *ret)
{
    const struct journal_record *r = find_last(j, 0, KIND_R_ENDED, run);
    return r && r_ended_decode(r->body, ret, NULL) == 0;
}

static bool has_key(const struct journal_record *r, struct span principal, struct span key,
                    bool parent, struct hash *ret_digest)
{
    struct r_called c;
    struct d_call d;
    struct r_parent_begun pb;
    struct d_parent pd;
    if (r->kind != (parent ? KIND_R_PARENT_BEGUN : KIND_R_CALLED) ||
        !memmem(r->body.p, r->body.n, key.p, key.n))
        return false; /* most are not decoded */
    if (parent && r->kind == KIND_R_PARENT_BEGUN &&
        r_parent_begun_decode(r->body, &pb, NULL) == 0 && parent_of(&pb, &pd)) {
        *ret_digest = pb.digest;
        return span_eq(pd.caller, principal) && span_eq(pd.key, key);
    }
    if (!parent && r->kind == KIND_R_CALLED && r_called_decode(r->body, &c, NULL) == 0 &&
        call_of(&c, &d)) {
        *ret_digest = c.digest;
        return span_eq(d.caller, principal) && span_eq(d.key, key);
    }
    return false;
}

bool journal_key_of(const struct journal *j, struct span principal, struct span key, bool parent,
                    struct id *ret_run, struct hash *ret_digest)
{
    for (size_t i = 0; i < j->durable; i++)
        if (has_key(&j->v[i], principal, key, parent, ret_digest) && has_ended(j, i, j->v[i].run)) {
            *ret_run = j->v[i].run;
            return true;
        }
    return false;
}

bool journal_has_assigned(const struct journal *j, struct id run, uint64_t attempt,
                          struct span server)
{
    struct r_assigned r;
    for (size_t i = 0; i < j->durable; i++)
        if (j->v[i].kind == KIND_R_ASSIGNED && id_eq(j->v[i].run, run) &&
            r_assigned_decode(j->v[i].body, &r, NULL) == 0 && r.attempt == attempt &&
            span_eq(r.server, server))
            return true;
    return false;
}

unsigned journal_events(const struct journal *j, uint64_t after, uint64_t upto, unsigned most,
                        const struct journal_record **ret)
{
    unsigned n = 0;
    for (uint64_t i = after; i < j->durable && n < most && j->v[i].lsn <= upto; i++) {
        assert(j->v[i].lsn == i + 1);
        ret[n++] = &j->v[i];
    }
    return n;
}

const struct journal_record *journal_begin_of(const struct journal *j, struct id run)
{
    return begin_of(j, run);
}

/* ---- The spool */
void disk_spool_free(struct spool_sim *s)
{
    for (unsigned i = 0; i < SPOOL_FILES; i++)
        buf_free(&s->file[i]);
    memset(s, 0, sizeof *s);
}

void disk_spool_add(struct spool_sim *s, unsigned file, struct span entry)
{
    buf_add(&s->file[file], entry.p, entry.n);
}

void disk_spool_sync(struct spool_sim *s, unsigned file)
{
    s->synced[file] = s->file[file].n;
}

void disk_spool_cut(struct spool_sim *s, struct world *w)
{
    struct span entry;
    for (unsigned f = 0; f < SPOOL_FILES; f++) {
        size_t at = s->synced[f];
        while (world_chance(w, 800) && disk_spool_next(s, f, &at, &entry))
            ;
        s->file[f].n = at;
        disk_spool_sync(s, f);
    }
}

bool disk_spool_next(const struct spool_sim *s, unsigned file, size_t *at, struct span *ret_entry)
{
    uint64_t kind;
    size_t size;
    struct span rest = {s->file[file].p + *at, s->file[file].n - *at};
    if (!rest.n || wire_peek(rest, &kind, &size, NULL) < 0)
        return false;
    *ret_entry = span_of(rest.p, size);
    *at += size;
    return true;
}

bool disk_spool_about(struct span entry, uint64_t *ret_kind, struct id *ret_run,
                      uint64_t *ret_attempt)
{
    struct s_taken taken;
    struct m_execute x;
    size_t size;
    if (wire_peek(entry, ret_kind, &size, NULL) < 0)
        return false;
    switch (*ret_kind) {
    case KIND_S_TAKEN:
        if (s_taken_decode(entry, &taken, NULL) < 0 ||
            m_execute_decode(taken.execute, &x, NULL) < 0)
            return false;
        *ret_run = x.run;
        *ret_attempt = x.attempt;
        return true;
#define ONE(UP, low) \
    case KIND_S_##UP: { \
        struct s_##low s; \
        if (s_##low##_decode(entry, &s, NULL) < 0) \
            return false; \
        *ret_run = s.run; \
        *ret_attempt = s.attempt; \
        return true; \
    }
        ONE(STEPPED, stepped)
        ONE(STOPPED, stopped)
        ONE(FINISHED, finished)
        ONE(RECORDED, recorded)
        ONE(GIVEN_BACK, given_back)
        ONE(LAUNCHED, launched)
        ONE(PROGRESS, progress)
        ONE(ENDED, ended)
#undef ONE
    default:
        return false;
    }
}

void disk_spool_tidy(struct spool_sim *s, spool_knows *knows, void *self)
{
    for (unsigned f = 0; f < SPOOL_FILES; f++) {
        struct buf left = {0};
        struct span entry;
        struct id run;
        uint64_t kind, attempt;
        for (size_t at = 0; disk_spool_next(s, f, &at, &entry);)
            if (disk_spool_about(entry, &kind, &run, &attempt) && knows(self, run, attempt))
                buf_add(&left, entry.p, entry.n);
        buf_free(&s->file[f]);
        s->file[f] = left;
        s->read_to[f] = left.n;
        disk_spool_sync(s, f);
    }
}
