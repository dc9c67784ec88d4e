/* asked.c - the questions that wait for the reader, by principal, and whose turn it is. The store's
 * mutex is held. */
#include <string.h>

#include "broker/store/inside.h"
#include "common/hashtable.h"

struct asked_principal {
    struct hash who;
    struct store_asked_list quick, pages;
    unsigned taken; /* quick questions in this turn */
    struct asked_principal *next;
    UT_hash_handle hh;
};

/* ---- One question */
static const char *keep_text(const char *text, char **at)
{
    size_t n = text ? strlen(text) : 0;
    if (!n)
        return NULL;
    char *kept = memcpy(*at, text, n + 1);
    *at += n + 1;
    return kept;
}

static size_t size_of_text(const char *text)
{
    return text && *text ? strlen(text) + 1 : 0;
}

struct store_asked *asked_new(const struct store_question *q)
{
    size_t size = sizeof(struct store_asked) + size_of_text(q->key) + size_of_text(q->filter.job) +
                  size_of_text(q->filter.server) + size_of_text(q->filter.principal) +
                  size_of_text(q->filter.address) + size_of_text(q->find.principal);
    struct store_asked *a = mem_zalloc(1, size);
    struct store_question *mine = &a->question;
    char *at = (char *)(a + 1);
    a->size = size;
    *mine = *q;
    mine->key = keep_text(q->key, &at);
    mine->filter.job = keep_text(q->filter.job, &at);
    mine->filter.server = keep_text(q->filter.server, &at);
    mine->filter.principal = keep_text(q->filter.principal, &at);
    mine->filter.address = keep_text(q->filter.address, &at);
    mine->find.principal = keep_text(q->find.principal, &at);
    return a;
}

void asked_free(struct store_asked *a)
{
    if (a->answer)
        answer_free(a->answer);
    mem_free(&a->answer);
    mem_free(&a);
}

/* ---- Lists */
void asked_list_add(struct store_asked_list *l, struct store_asked *a)
{
    a->next = NULL;
    if (l->first)
        l->last->next = a;
    else
        l->first = a;
    l->last = a;
}

static struct store_asked *list_take_first(struct store_asked_list *l)
{
    struct store_asked *a = l->first;
    l->first = a->next;
    return a;
}

static void list_take(struct store_asked_list *l, uint64_t session, uint64_t number,
                      struct store_asked_list *out)
{
    struct store_asked_list rest = {0};
    for (struct store_asked *a = l->first, *next; a; a = next) {
        next = a->next;
        bool wanted = session  ? a->question.session == session
                      : number ? a->number == number
                               : true;
        asked_list_add(wanted ? out : &rest, a);
    }
    *l = rest;
}

/* ---- Principals */
static struct asked_principal *principal_of(struct asked_queue *q, const struct hash *who)
{
    struct asked_principal *p = NULL;
    HASH_FIND(hh, q->by_who, who, sizeof *who, p);
    if (p)
        return p;
    p = mem_zalloc(1, sizeof *p);
    p->who = *who;
    HASH_ADD(hh, q->by_who, who, sizeof p->who, p);
    if (q->first)
        q->last->next = p;
    else
        q->first = p;
    q->last = p;
    q->n_principals++;
    return p;
}

/* The first one's turn is over: it comes last, or leaves if it has no question. */
static void end_turn(struct asked_queue *q)
{
    struct asked_principal *p = q->first;
    q->first = p->next;
    p->next = NULL;
    p->taken = 0;
    if (p->quick.first || p->pages.first) {
        if (q->first)
            q->last->next = p;
        else
            q->first = p;
        q->last = p;
        return;
    }
    HASH_DEL(q->by_who, p);
    mem_free(&p);
    q->n_principals--;
}

void asked_put(struct asked_queue *q, struct store_asked *a)
{
    if (a->question.soon) {
        asked_list_add(&q->soon, a);
    } else {
        struct asked_principal *p = principal_of(q, &a->question.who);
        asked_list_add(a->question.quick ? &p->quick : &p->pages, a);
    }
    q->n++;
    q->bytes += a->size;
}

void asked_put_back(struct asked_queue *q, struct store_asked *a)
{
    struct asked_principal *p = principal_of(q, &a->question.who);
    a->next = p->pages.first;
    if (!p->pages.first)
        p->pages.last = a;
    p->pages.first = a;
    q->n++;
    q->bytes += a->size;
}

static bool is_ready(const struct store_asked_list *l, uint64_t folded)
{
    return l->first && l->first->fold_to <= folded;
}

/* In each turn up to STORE_QUICK_TURN quick ones and then one page, which ends the turn. */
static struct store_asked *next_in_turn(struct asked_queue *q, uint64_t folded)
{
    for (unsigned i = q->n_principals; i; i--) {
        struct asked_principal *p = q->first;
        struct store_asked *a = NULL;
        if (p->taken < STORE_QUICK_TURN && is_ready(&p->quick, folded)) {
            p->taken++;
            a = list_take_first(&p->quick);
            if (!p->quick.first && !p->pages.first)
                end_turn(q);
            return a;
        }
        if (is_ready(&p->pages, folded))
            a = list_take_first(&p->pages);
        bool took_quick = p->taken;
        end_turn(q);
        if (a)
            return a;
        i += took_quick; /* it had its turn: the others, and then it again, are looked at */
    }
    return NULL;
}

struct store_asked *asked_next(struct asked_queue *q, uint64_t folded)
{
    struct store_asked *a =
        is_ready(&q->soon, folded) ? list_take_first(&q->soon) : next_in_turn(q, folded);
    if (!a)
        return NULL;
    a->next = NULL;
    q->n--;
    q->bytes -= a->size;
    return a;
}

static uint64_t least(const struct store_asked_list *l, uint64_t than)
{
    return l->first && l->first->fold_to < than ? l->first->fold_to : than;
}

uint64_t asked_fold_to(const struct asked_queue *q)
{
    uint64_t to = least(&q->soon, UINT64_MAX);
    for (const struct asked_principal *p = q->first; p; p = p->next)
        to = least(&p->quick, least(&p->pages, to));
    return to;
}

void asked_take(struct asked_queue *q, uint64_t session, uint64_t number,
                struct store_asked_list *out)
{
    struct store_asked_list taken = {0};
    list_take(&q->soon, session, number, &taken);
    for (unsigned i = q->n_principals; i; i--) {
        list_take(&q->first->quick, session, number, &taken);
        list_take(&q->first->pages, session, number, &taken);
        end_turn(q); /* all in turn, so that their order stays; those without a question leave */
    }
    for (struct store_asked *a = taken.first, *next; a; a = next) {
        next = a->next;
        q->n--;
        q->bytes -= a->size;
        asked_list_add(out, a);
    }
}
