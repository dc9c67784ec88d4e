/* reader.c - the thread that answers questions, one at a time, from a connection that can only
 * read. */
#include <errno.h>

#include "broker/store/inside.h"
#include "common/clock.h"

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

/* Waits for a question of which everything that it must see has been folded, or asks the writer to
 * fold for one. On a full disk nothing can be folded: questions are answered without. NULL: the
 * store is closing. */
static struct store_asked *next_question(struct store *s)
{
    struct store_asked *a = NULL;
    pthread_mutex_lock(&s->mutex);
    while (!s->reader_stop) {
        if (s->answered_bytes < ANSWERED_MAX &&
            (a = asked_next(&s->asked, s->full ? UINT64_MAX : s->folded)))
            break;
        uint64_t to = asked_fold_to(&s->asked);
        if (to != UINT64_MAX && to > s->folded && to > s->fold_wanted) {
            s->fold_wanted = to;
            pthread_cond_signal(&s->work);
        }
        pthread_cond_wait(&s->questions, &s->mutex);
    }
    if (a) {
        s->stats.reads++;
        if (!a->answer)
            a->answer = mem_zalloc(1, sizeof *a->answer);
        a->answer->public.folded = s->folded;
        if (a->question.what == STORE_EVENTS && a->question.upto > s->folded && !s->full)
            a->question.upto = s->folded;
    }
    s->reading = a;
    pthread_mutex_unlock(&s->mutex);
    return a;
}

/* A step has been read. A page that is not whole waits for its principal's next turn. */
static void give(struct store *s, struct store_asked *a, bool whole)
{
    pthread_mutex_lock(&s->mutex);
    bool heard = a->hear;
    s->reading = NULL;
    if (heard && whole) {
        asked_list_add(&s->answered, a);
        s->answered_bytes += a->answer->arena.n + sizeof *a->answer;
    } else if (heard) {
        asked_put_back(&s->asked, a);
    }
    pthread_mutex_unlock(&s->mutex);
    if (!heard)
        asked_free(a);
    else if (whole)
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
        int64_t begun = clock_thread_us();
        bool whole = history_answer(&h, &a->question, a->answer);
        a->answer->public.us += clock_thread_us() - begun;
        if (a->answer->public.rc < 0 && a->answer->public.rc != -EBUSY) /* the file is unreliable */
            store_die(s, &a->answer->public.err);
        if (whole)
            history_settle(a->answer);
        give(s, a, whole);
    }
    history_free(&h);
    return NULL;
}
