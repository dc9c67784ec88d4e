/* reader.c - the threads that answer questions, each one at a time, from a connection that can only
 * read. */
#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/store/inside.h"
#include "common/clock.h"

/* What a scan gets beside other work that wants its processor: a tenth, and that in short slices,
 * or who wakes up would wait for the rest of a long one. */
enum { SCANS_NICE = 10, SCANS_SLICE_NS = 100000 };

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

/* The kernel's struct sched_attr in its first form; the C library has none. Kernels before 6.12
 * have no slices of one's own and ignore that. A thread with another policy keeps what it has. */
static void give_way(void)
{
    const struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } a = {.size = sizeof a, .policy = SCHED_OTHER, .nice = SCANS_NICE, .runtime = SCANS_SLICE_NS};
    if (sched_getscheduler(0) == SCHED_OTHER)
        syscall(SYS_sched_setattr, 0, &a, 0);
}

void store_wake_readers(struct store *s)
{
    for (unsigned i = 0; i < READERS; i++)
        if (s->readers[i].asked.n)
            pthread_cond_signal(&s->readers[i].questions);
}

/* Waits for a question of which everything that it must see has been folded, or asks the writer to
 * fold for one. On a full disk nothing can be folded: questions are answered without. NULL: the
 * store is closing. */
static struct store_asked *next_question(struct store_reader *r)
{
    struct store *s = r->store;
    struct store_asked *a = NULL;
    pthread_mutex_lock(&s->mutex);
    while (!s->reader_stop) {
        if (s->answered_bytes < ANSWERED_MAX &&
            (a = asked_next(&r->asked, s->full ? UINT64_MAX : s->folded)))
            break;
        uint64_t to = asked_fold_to(&r->asked);
        if (to != UINT64_MAX && to > s->folded && to > s->fold_wanted) {
            s->fold_wanted = to;
            pthread_cond_signal(&s->work);
        }
        pthread_cond_wait(&r->questions, &s->mutex);
    }
    if (a) {
        s->stats.reads++;
        s->stats.scans += r->scans;
        if (!a->answer)
            a->answer = mem_zalloc(1, sizeof *a->answer);
        a->answer->public.folded = s->folded;
        if (a->question.what == STORE_EVENTS && a->question.upto > s->folded && !s->full)
            a->question.upto = s->folded;
    }
    r->reading = a;
    pthread_mutex_unlock(&s->mutex);
    return a;
}

/* A page that is not whole waits for its principal's next turn among those that scan. The mutex is
 * held. */
static void go_on(struct store_reader *r, struct store_asked *a)
{
    struct store_reader *scans = &r->store->readers[READER_SCANS];
    if (r->scans) {
        asked_put_back(&r->asked, a);
    } else {
        asked_put(&scans->asked, a);
        pthread_cond_signal(&scans->questions);
    }
}

/* A step has been read. */
static void give(struct store_reader *r, struct store_asked *a, bool whole)
{
    struct store *s = r->store;
    pthread_mutex_lock(&s->mutex);
    bool heard = a->hear;
    r->reading = NULL;
    if (heard && whole) {
        asked_list_add(&s->answered, a);
        s->answered_bytes += a->answer->arena.n + sizeof *a->answer;
    } else if (heard) {
        go_on(r, a);
    }
    pthread_mutex_unlock(&s->mutex);
    if (!heard)
        asked_free(a);
    else if (whole)
        store_news(s);
}

void *store_read(void *reader)
{
    struct store_reader *r = reader;
    struct store *s = r->store;
    struct history h = {0};
    struct error err = {0};
    if (r->scans)
        give_way();
    if (open_reader(s, &h, &err) < 0)
        store_die(s, &err);
    for (struct store_asked *a; (a = next_question(r));) {
        int64_t begun = clock_thread_us();
        bool whole = history_answer(&h, &a->question, a->answer);
        a->answer->public.us += clock_thread_us() - begun;
        if (a->answer->public.rc < 0 && a->answer->public.rc != -EBUSY) /* the file is unreliable */
            store_die(s, &a->answer->public.err);
        if (whole)
            history_settle(a->answer);
        give(r, a, whole);
    }
    history_free(&h);
    return NULL;
}
