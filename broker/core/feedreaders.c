/* feedreaders.c - the subscriptions: by principal, who take turns, and by class; see feed.h. */
#include <errno.h>
#include <string.h>

#include "broker/core/feedinside.h"

/* ---- Classes */
static struct feed_class *class_join(struct feed *f, const struct hash *rights,
                                     const struct wire_list *where)
{
    struct feed_class *c = f->classes;
    while (c && (!hash_eq(&c->rights, rights) || !span_eq(buf_span(&c->where), where->items)))
        c = c->next;
    if (!c) {
        c = mem_zalloc(1, sizeof *c);
        c->rights = *rights;
        c->where = buf_dup(where->items);
        feed_filter_read(&c->filter, where);
        c->next = f->classes;
        f->classes = c;
    }
    c->n++;
    return c;
}

static void class_leave(struct feed *f, struct feed_class *c)
{
    struct feed_class **link = &f->classes;
    if (--c->n)
        return;
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    feed_filter_free(&c->filter);
    buf_free(&c->where);
    mem_free(&c);
}

/* ---- Principals */
static struct feed_principal *principal_of(struct feed *f, const struct hash *key)
{
    for (unsigned i = 0; i < f->n_principals; i++)
        if (hash_eq(&f->principals[i]->key, key))
            return f->principals[i];
    struct feed_principal *p = mem_zalloc(1, sizeof *p);
    p->key = *key;
    f->principals =
        mem_realloc(f->principals, f->n_principals + 1, sizeof(struct feed_principal *));
    f->principals[f->n_principals++] = p;
    return p;
}

static void principal_drop(struct feed *f, unsigned at)
{
    struct feed_principal *p = f->principals[at];
    f->n_principals--;
    memmove(&f->principals[at], &f->principals[at + 1],
            (f->n_principals - at) * sizeof(struct feed_principal *));
    f->turn -= f->turn > at;
    mem_free(&p->readers);
    mem_free(&p);
}

/* ---- Readers */
static void reader_drop(struct feed *f, struct feed_principal *p, unsigned at)
{
    struct feed_reader *r = p->readers[at];
    p->n--;
    memmove(&p->readers[at], &p->readers[at + 1], (p->n - at) * sizeof(struct feed_reader *));
    p->turn -= p->turn > at;
    if (f->asker == r) {
        f->asker = NULL;
        f->calls->forget(f->self, f->asked);
    }
    f->calls->give(f->self, &p->key);
    class_leave(f, r->class);
    mem_free(&r);
    f->n--;
}

void feedreaders_drop(struct feed *f, uint64_t peer, bool all, uint64_t req)
{
    for (unsigned i = f->n_principals; i-- > 0;) {
        struct feed_principal *p = f->principals[i];
        for (unsigned k = p->n; k-- > 0;)
            if (p->readers[k]->peer == peer && (all || p->readers[k]->req == req))
                reader_drop(f, p, k);
        if (!p->n)
            principal_drop(f, i);
    }
    if (!f->n) {
        feedring_empty(f);
        feedpage_empty(f);
    }
}

struct feed_reader *feedreaders_find(const struct feed *f, uint64_t peer, uint64_t req)
{
    for (unsigned i = 0; i < f->n_principals; i++)
        for (unsigned k = 0; k < f->principals[i]->n; k++) {
            struct feed_reader *r = f->principals[i]->readers[k];
            if (r->peer == peer && r->req == req)
                return r;
        }
    return NULL;
}

static void reader_add(struct feed *f, uint64_t peer, const struct feed_who *who,
                       const struct m_subscribe *m)
{
    struct feed_principal *p = principal_of(f, &who->principal);
    struct feed_reader *r = mem_zalloc(1, sizeof *r);
    r->feed = f;
    r->peer = peer;
    r->req = m->req;
    r->since = m->after ? 0 : m->since;
    r->position = r->told = m->after;
    r->credit = m->credit;
    r->class = class_join(f, &who->rights, &m->where);
    p->readers = mem_realloc(p->readers, p->n + 1, sizeof(struct feed_reader *));
    p->readers[p->n++] = r;
    f->n++;
    feedring_near(f, r->position);
    if (r->position == f->committed)
        feed_say_live(r); /* nothing older is left to send */
}

enum refusal feed_subscribe(struct feed *f, uint64_t peer, const struct m_subscribe *m,
                            struct error *err)
{
    struct feed_who who;
    feedreaders_drop(f, peer, false, m->req); /* repeated: replaced */
    if (feed_check_filter(&m->where, err) < 0)
        return REFUSAL_BAD_ARGUMENT;
    if (f->n >= FEED_READERS_MAX) {
        error_set(err, -EBUSY, "this broker has %u subscriptions, which is the limit", f->n);
        return REFUSAL_BUSY;
    }
    if (m->after > f->committed) {
        error_set(err, -EINVAL,
                  "no event has the number %llu yet: the newest is %llu; subscribe after that one",
                  (unsigned long long)m->after, (unsigned long long)f->committed);
        return REFUSAL_BAD_ARGUMENT;
    }
    f->calls->who(f->self, peer, &who);
    if (f->calls->take(f->self, &who.principal, err) < 0)
        return REFUSAL_BUSY;
    reader_add(f, peer, &who, m);
    return REFUSAL_NONE;
}

void feed_unsubscribe(struct feed *f, uint64_t peer, uint64_t req)
{
    feedreaders_drop(f, peer, false, req);
}

void feed_forget(struct feed *f, uint64_t peer)
{
    feedreaders_drop(f, peer, true, 0);
}

void feed_credit(struct feed *f, uint64_t peer, const struct m_credit *m)
{
    struct feed_reader *r = feedreaders_find(f, peer, m->req);
    if (r && m->bytes > r->taken && m->bytes <= r->sent)
        r->taken = m->bytes;
}

uint64_t feed_reader_peer(const struct feed_reader *r)
{
    return r->peer;
}

uint64_t feed_reader_req(const struct feed_reader *r)
{
    return r->req;
}

void *feed_reader_shell(const struct feed_reader *r)
{
    return r->feed->self;
}

unsigned feed_readers(const struct feed *f)
{
    return f->n;
}
