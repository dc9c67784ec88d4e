/* seen.c - see seen.h. */
#include "runner/seen.h"

#include <errno.h>
#include <string.h>

#include "common/hashtable.h"
#include "common/mem.h"
#include "trust/envelope.h"

struct seen_turn {
    struct hash hash;
    bool begun, held;
};

struct seen_caller_count {
    uint64_t caller;
    size_t calls;
    UT_hash_handle hh;
};

struct seen_call {
    struct hash identity;
    uint64_t caller;
    struct id run;
    uint64_t attempt;
    bool older; /* an older attempt has begun */
    int64_t begun, last, expires;
    struct seen_turn *turns;
    unsigned n;
    UT_hash_handle hh;
};

struct seen {
    struct seen_call *calls; /* in order of arrival */
    struct seen_caller_count *callers;
    size_t most;
    int64_t swept;
};

struct seen *seen_new(size_t most)
{
    struct seen *s = mem_zalloc(1, sizeof *s);
    s->most = most;
    return s;
}

/* ---- How many calls each caller has */

static struct seen_caller_count *count_of(const struct seen *s, uint64_t caller)
{
    struct seen_caller_count *n;
    HASH_FIND(hh, s->callers, &caller, sizeof caller, n);
    return n;
}

static void count_up(struct seen *s, uint64_t caller)
{
    struct seen_caller_count *n = count_of(s, caller);
    if (!n) {
        n = mem_zalloc(1, sizeof *n);
        n->caller = caller;
        HASH_ADD(hh, s->callers, caller, sizeof n->caller, n);
    }
    n->calls++;
}

static void count_down(struct seen *s, uint64_t caller)
{
    struct seen_caller_count *n = count_of(s, caller);
    if (n && --n->calls == 0) {
        HASH_DEL(s->callers, n);
        mem_free(&n);
    }
}

/* ---- Calls */

static void drop(struct seen *s, struct seen_call *c)
{
    count_down(s, c->caller);
    HASH_DEL(s->calls, c);
    mem_free(&c->turns);
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

uint64_t seen_caller(struct span name)
{
    struct hash h;
    uint64_t n;
    envelope_hash(name, &h);
    memcpy(&n, h.b, sizeof n);
    return n ? n : 1;
}

static void turn_digest(struct span step, uint64_t try_no, struct hash *ret)
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

bool seen_knows(const struct seen *s, const struct hash *identity)
{
    return find(s, identity) != NULL;
}

static struct seen_turn *find_turn(const struct seen_call *c, const struct hash *turn)
{
    for (unsigned i = c->n; i-- > 0;)
        if (hash_eq(&c->turns[i].hash, turn))
            return &c->turns[i];
    return NULL;
}

/* ---- Room */

static void sweep(struct seen *s, int64_t now)
{
    struct seen_call *c, *next;
    if (s->swept && now >= s->swept && now - s->swept < SEEN_SWEEP_MS)
        return;
    s->swept = now;
    HASH_ITER (hh, s->calls, c, next)
        if (c->expires <= now)
            drop(s, c);
}

void seen_drop_old(struct seen *s, int64_t now)
{
    struct seen_call *c, *next;
    HASH_ITER (hh, s->calls, c, next)
        if (c->expires <= now && c->last + SEEN_KEEP_MS <= now)
            drop(s, c);
}

static size_t calls_of(const struct seen *s, uint64_t caller)
{
    const struct seen_caller_count *n = caller ? count_of(s, caller) : NULL;
    return n ? n->calls : 0;
}

static bool has_room(const struct seen *s, uint64_t caller)
{
    return seen_count(s) < s->most && calls_of(s, caller) < s->most - s->most / 4;
}

static enum seen_answer ask_room(struct seen *s, const struct seen_step *step, int64_t now,
                                 struct error *err)
{
    if (!has_room(s, step->caller))
        sweep(s, now);
    if (has_room(s, step->caller))
        return SEEN_NEW;
    if (seen_count(s) < s->most)
        error_set(err, -ENOSPC,
                  "this caller has %zu calls in this server's table that have not expired, which "
                  "is its share; give calls a shorter time to expire, or wait until some have",
                  calls_of(s, step->caller));
    else
        error_set(err, -ENOSPC,
                  "the table of calls is full: %zu have not expired; no new call is accepted until "
                  "one has",
                  s->most);
    return SEEN_FULL;
}

/* ---- Questions */

enum seen_answer seen_ask(struct seen *s, const struct seen_step *step, int64_t now,
                          int64_t *ret_begun, struct error *err)
{
    struct seen_call *c = find(s, &step->identity);
    struct hash turn;
    char run[ID_TEXT];
    *ret_begun = 0;
    if (!c)
        return ask_room(s, step, now, err);
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
    turn_digest(step->step, step->try_no, &turn);
    if (find_turn(c, &turn))
        return SEEN_SAME;
    if (c->n >= SEEN_TURNS_MAX) {
        error_set(err, -ENOSPC, "this attempt has had %d steps here already", (int)SEEN_TURNS_MAX);
        return SEEN_FULL;
    }
    *ret_begun = c->n ? c->begun : 0;
    return SEEN_NEW;
}

/* ---- Records */

void seen_record(const struct seen_step *step, enum seen_state state, int64_t now,
                 struct s_seen *ret)
{
    *ret = (struct s_seen){.state = state,
                           .identity = step->identity,
                           .caller = step->caller,
                           .run = step->run,
                           .attempt = step->attempt,
                           .at = now,
                           .expires = step->expires};
    turn_digest(step->step, step->try_no, &ret->turn);
}

static bool forget(struct seen *s, const struct s_seen *r)
{
    struct seen_call *c = find(s, &r->identity);
    if (!c || c->attempt != r->attempt || !id_eq(c->run, r->run))
        return false;
    struct seen_turn *t = find_turn(c, &r->turn);
    if (!t)
        return false;
    *t = c->turns[--c->n];
    if (c->n == 0 && !c->older)
        drop(s, c);
    return true;
}

static bool reach(struct seen_call *c, uint64_t attempt)
{
    if (attempt <= c->attempt)
        return false;
    c->older |= c->attempt != 0;
    c->attempt = attempt;
    c->n = 0;
    return true;
}

static bool add_turn(struct seen_call *c, const struct s_seen *r)
{
    struct seen_turn *t = find_turn(c, &r->turn);
    bool begun = r->state == SEEN_STATE_BEGUN;
    if (t) {
        bool changed = begun && !t->begun;
        t->begun |= begun;
        return changed;
    }
    if (c->n == 0)
        c->begun = r->at;
    c->turns = mem_realloc(c->turns, c->n + 1, sizeof *c->turns);
    c->turns[c->n++] = (struct seen_turn){.hash = r->turn, .begun = begun};
    return true;
}

bool seen_apply(struct seen *s, const struct s_seen *r)
{
    if (r->state == SEEN_STATE_FORGOTTEN)
        return forget(s, r);
    struct seen_call *c = find(s, &r->identity);
    if (c && r->attempt < c->attempt)
        return false;
    if (!c) {
        c = mem_zalloc(1, sizeof *c);
        c->identity = r->identity;
        c->caller = r->caller;
        HASH_ADD(hh, s->calls, identity, sizeof c->identity, c);
        count_up(s, c->caller);
    }
    c->run = r->run;
    c->expires = r->expires;
    c->last = r->at > c->last ? r->at : c->last;
    bool changed = reach(c, r->attempt);
    if (r->state == SEEN_STATE_REACHED) {
        c->older = true;
        return true;
    }
    return add_turn(c, r) || changed;
}

void seen_hold(struct seen *s, const struct seen_step *step)
{
    struct seen_call *c = find(s, &step->identity);
    struct hash turn;
    turn_digest(step->step, step->try_no, &turn);
    struct seen_turn *t = c && c->attempt == step->attempt ? find_turn(c, &turn) : NULL;
    if (t)
        t->held = true;
}

static void record_of(const struct seen_call *c, const struct seen_turn *t, enum seen_state state,
                      struct s_seen *ret)
{
    *ret = (struct s_seen){.state = state,
                           .identity = c->identity,
                           .caller = c->caller,
                           .run = c->run,
                           .attempt = c->attempt,
                           .at = c->n ? c->begun : c->last,
                           .expires = c->expires};
    if (t)
        ret->turn = t->hash;
}

void seen_settle(struct seen *s, enum seen_state as, seen_fn *fn, void *self)
{
    struct seen_call *c, *next;
    struct s_seen r;
    HASH_ITER (hh, s->calls, c, next)
        for (unsigned i = c->n; i-- > 0;) {
            const struct seen_turn *t = &c->turns[i];
            const bool last = c->n == 1 && !c->older; /* to forget it drops the call */
            if (t->begun || t->held)
                continue;
            record_of(c, t, as, &r);
            fn(self, &r);
            if (last)
                break;
        }
}

void seen_each(const struct seen *s, seen_fn *fn, void *self)
{
    struct s_seen r;
    for (const struct seen_call *c = s->calls; c; c = c->hh.next) {
        if (c->older || c->n == 0) {
            record_of(c, NULL, SEEN_STATE_REACHED, &r);
            fn(self, &r);
        }
        for (unsigned i = 0; i < c->n; i++) {
            record_of(c, &c->turns[i], c->turns[i].begun ? SEEN_STATE_BEGUN : SEEN_STATE_ACCEPTED,
                      &r);
            fn(self, &r);
        }
    }
}
