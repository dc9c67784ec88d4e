/* reader.c - the thread that answers questions, one at a time, from a connection that can only
 * read. */
#include <errno.h>

#include "broker/store/inside.h"

static int open_reader(const struct store *s, struct history *h, struct error *err)
{
    int rc = sqlite3_open_v2(s->path, &h->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return db_error(h->db, rc, "opening for reading", err);
    sqlite3_extended_result_codes(h->db, 1);
    sqlite3_busy_timeout(h->db, 10000);
    return db_exec(
        h->db, "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY",
        err);
}

/* Waits for the next question and until everything that it must see has been folded; NULL: the
 * store is closing. */
static struct store_asked *next_question(struct store *s)
{
    pthread_mutex_lock(&s->mutex);
    while (!s->reader_stop && !s->asked_soon.first && !s->asked.first)
        pthread_cond_wait(&s->questions, &s->mutex);
    struct store_asked_list *from = s->asked_soon.first ? &s->asked_soon : &s->asked;
    struct store_asked *a = from->first;
    if (s->reader_stop) {
        pthread_mutex_unlock(&s->mutex);
        return NULL;
    }
    if (!(from->first = a->next))
        from->last = &from->first;
    a->next = NULL;
    s->reading = a;
    if (a->fold_to > s->fold_wanted) {
        s->fold_wanted = a->fold_to;
        pthread_cond_signal(&s->work);
    }
    while (!s->reader_stop && s->folded < a->fold_to && !s->full)
        pthread_cond_wait(&s->folded_cond, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
    return a;
}

static void give(struct store *s, struct store_asked *a)
{
    pthread_mutex_lock(&s->mutex);
    s->reading = NULL;
    *s->answered.last = a;
    s->answered.last = &a->next;
    pthread_mutex_unlock(&s->mutex);
    store_news(s);
}

void *store_reader(void *arg)
{
    struct store *s = arg;
    struct history h = {0};
    struct error err = {0};
    if (open_reader(s, &h, &err) < 0)
        store_die(s, &err);
    for (struct store_asked *a; (a = next_question(s));) {
        history_answer(&h, &a->question, &a->answer);
        if (a->answer.public.rc < 0 && a->answer.public.rc != -EBUSY) /* the file is unreliable */
            store_die(s, &a->answer.public.err);
        give(s, a);
    }
    history_free(&h);
    return NULL;
}
