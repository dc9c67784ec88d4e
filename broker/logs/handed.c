/* handed.c - see handed.h. */
#include "broker/logs/handed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/shell/ask.h"

struct handed_key {
    struct id run;
    uint64_t attempt;
    char server[LIMIT_NAME + 1];
};

struct handed_answer {
    struct handed_key key;
    struct handed *of;
    enum handed_verdict verdict;
    uint64_t asked;
    UT_hash_handle hh;
};

struct handed {
    struct shell *shell;
    struct logfile *file;
    handed_hear *heard;
    void *self;
    struct handed_answer *answers; /* from the oldest on */
};

struct handed *handed_new(struct shell *sh, struct logfile *file, handed_hear *heard, void *self)
{
    struct handed *h = mem_znew(struct handed);
    h->shell = sh;
    h->file = file;
    h->heard = heard;
    h->self = self;
    return h;
}

static void drop(struct handed *h, struct handed_answer *a)
{
    if (a->asked)
        store_forget(h->shell->store, a->asked);
    HASH_DEL(h->answers, a);
    mem_free(&a);
}

void handed_free(struct handed **handed)
{
    struct handed *h = *handed;
    if (!h)
        return;
    while (h->answers)
        drop(h, h->answers);
    mem_free(handed);
}

static bool names(struct span record, const struct handed_key *k)
{
    struct r_assigned assigned;
    struct r_ended ended;
    if (r_assigned_decode(record, &assigned, NULL) == 0)
        return assigned.attempt == k->attempt && span_eq_str(assigned.server, k->server);
    return r_ended_decode(record, &ended, NULL) == 0 && ended.attempt == k->attempt &&
           span_eq_str(ended.server, k->server);
}

/* Of a run with more records than a page some in the middle are missing, but not the end, which
 * names the last attempt's server. Nobody is believed for what is missing. */
static void hear(void *self, const struct store_answer *s)
{
    struct handed_answer *a = self;
    struct handed *h = a->of;
    a->asked = 0;
    a->verdict = HANDED_NO;
    for (unsigned i = 0; i < s->n_records && a->verdict == HANDED_NO; i++)
        if (names(s->records[i].body, &a->key))
            a->verdict = HANDED_YES;
    if (s->rc < 0)
        drop(h, a); /* asked again with the next piece */
    if (s->rc != -ECANCELED)
        h->heard(h->self);
}

static enum handed_verdict ask(struct handed *h, const struct shell_peer *p,
                               const struct handed_key *key)
{
    struct store_question q = {.what = STORE_RECORDS, .run = key->run, .most = STORE_PAGE_MAX};
    struct handed_answer *a = NULL, *next;
    HASH_FIND(hh, h->answers, key, sizeof *key, a);
    if (a)
        return a->verdict;
    if (HASH_COUNT(h->answers) >= HANDED_KEPT_MAX)
        HASH_ITER (hh, h->answers, a, next)
            if (!a->asked) {
                drop(h, a);
                break;
            }
    a = mem_znew(struct handed_answer);
    a->key = *key;
    a->of = h;
    a->verdict = HANDED_LATER;
    HASH_ADD(hh, h->answers, key, sizeof a->key, a);
    ask_owner(p, &q);
    q.session = 0; /* other sessions of this server may wait for the answer, too */
    a->asked = store_ask(h->shell->store, &q, hear, a);
    return HANDED_LATER;
}

enum handed_verdict handed_judge(struct handed *h, const struct shell_peer *p, const struct id *run,
                                 uint64_t attempt)
{
    struct view_run r;
    struct handed_key key;
    char server[LIMIT_NAME + 1];
    bool live = view_run(h->shell->core, run, &r);
    if (!attempt || (live && attempt > r.attempt))
        return HANDED_NO;
    if (live && attempt == r.attempt && r.server)
        return strcmp(r.server, p->who.name) == 0 ? HANDED_YES : HANDED_NO;
    if (logfile_server(h->file, run, attempt, server)) /* judged when its first piece came */
        return strcmp(server, p->who.name) == 0 ? HANDED_YES : HANDED_NO;
    memset(&key, 0, sizeof key);
    key.run = *run;
    key.attempt = attempt;
    snprintf(key.server, sizeof key.server, "%s", p->who.name);
    return ask(h, p, &key);
}
