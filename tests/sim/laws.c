/* laws.c - what the witness remembers. See laws.h; the other laws*.c and witness.c judge. */
#include "tests/sim/lawsinside.h"

#include <stdarg.h>
#include <string.h>

static const struct {
    const char *name, *text;
    unsigned promise;
} table[] = {
#define X(n, p, t) {#n, t, p},
    LAWS(X)
#undef X
};

const char *law_name(enum law l)
{
    return l < LAW_COUNT ? table[l].name : "none";
}
const char *law_text(enum law l)
{
    return l < LAW_COUNT ? table[l].text : "";
}
unsigned law_promise(enum law l)
{
    return l < LAW_COUNT ? table[l].promise : 0;
}

struct laws *laws_new(struct world *w)
{
    struct laws *l = mem_zalloc(1, sizeof *l);
    l->w = w;
    l->broken = LAW_COUNT;
    /* Only restoring a backup holds a run that was not lost, and it happens between two
     * processes. */
    for (unsigned s = 0; s < RUN_STATE_COUNT; s++)
        l->reach[s][s] = true;
    for (unsigned moves = 0; moves < MOVES_A_STEP; moves++) {
        bool next[RUN_STATE_COUNT][RUN_STATE_COUNT];
        memcpy(next, l->reach, sizeof next);
        for (unsigned s = 0; s < RUN_STATE_COUNT; s++)
            for (unsigned t = 0; t < RUN_STATE_COUNT; t++)
                for (unsigned e = 0; l->reach[s][t] && e < RUN_EV_COUNT; e++) {
                    enum run_state to;
                    if (e != RUN_EV_HOLD &&
                        run_state_next((enum run_state)t, (enum run_event)e, &to) == 0)
                        next[s][to] = true;
                }
        memcpy(l->reach, next, sizeof next);
    }
    return l;
}

void laws_free(struct laws **pl)
{
    struct laws *l = *pl;
    struct fact *f, *next_f;
    struct tried *a, *next_a;
    struct keyed *k, *next_k;
    if (!l)
        return;
    lawsothers_free(l);
    lawswaits_free(l);
    HASH_ITER (hh, l->facts, f, next_f) {
        HASH_DEL(l->facts, f);
        buf_free(&f->outcome);
        mem_free(&f);
    }
    HASH_ITER (hh, l->tried, a, next_a) {
        HASH_DEL(l->tried, a);
        buf_free(&a->finished);
        buf_free(&a->finished_before);
        mem_free(&a->children);
        mem_free(&a);
    }
    HASH_ITER (hh, l->keys, k, next_k) {
        HASH_DEL(l->keys, k);
        mem_free(&k);
    }
    laws_forget_views(l);
    lawsparents_free(l);
    lawsseeing_end(l);
    mem_free(&l->jobs);
    mem_free(&l->members);
    mem_free(&l->servers);
    mem_free(pl);
}

void law_break(struct laws *l, enum law law, const char *fmt, ...)
{
    va_list ap;
    if (l->broken != LAW_COUNT)
        return;
    l->broken = law;
    l->w->broken = true;
    va_start(ap, fmt);
    vsnprintf(l->text, sizeof l->text, fmt, ap);
    va_end(ap);
    TRACE(l->w, "LAW", "%s is broken: %s", law_name(law), l->text);
}

enum law laws_broken(const struct laws *l, const char **ret_text)
{
    *ret_text = l->text;
    return l->broken;
}

/* ---- Memory */
struct fact *fact_find(const struct laws *l, struct id run)
{
    struct fact *f;
    HASH_FIND(hh, l->facts, &run, sizeof run, f);
    return f;
}

struct tried *tried_find(const struct laws *l, struct id run, uint64_t attempt)
{
    struct tried_key key = {run, attempt};
    struct tried *a;
    HASH_FIND(hh, l->tried, &key, sizeof key, a);
    return a;
}

struct tried *tried_get(struct laws *l, struct id run, uint64_t attempt)
{
    struct tried *a = tried_find(l, run, attempt);
    if (!a) {
        a = mem_zalloc(1, sizeof *a);
        a->key.run = run;
        a->key.attempt = attempt;
        HASH_ADD(hh, l->tried, key, sizeof a->key, a);
    }
    return a;
}

void laws_job(struct laws *l, struct hash job, bool idempotent, uint64_t concurrency)
{
    l->jobs = mem_realloc(l->jobs, l->n_jobs + 1, sizeof *l->jobs);
    l->jobs[l->n_jobs++] = (struct job_fact){job, idempotent, concurrency};
}

void laws_member(struct laws *l, const char *server, unsigned pools)
{
    l->members = mem_realloc(l->members, l->n_members + 1, sizeof *l->members);
    struct member_fact *m = &l->members[l->n_members++];
    m->pools = pools;
    snprintf(m->name, sizeof m->name, "%s", server);
}

void laws_kept(struct laws *l, uint64_t most)
{
    l->kept = most;
}

unsigned laws_children(const struct laws *l)
{
    return l->children;
}

unsigned laws_runs(const struct laws *l)
{
    return HASH_COUNT(l->facts);
}
