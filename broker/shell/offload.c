/* offload.c - see offload.h. */
#include "broker/shell/offload.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/mem.h"

struct offload_queue {
    struct offload_job *first, **last;
};

struct offload {
    struct loop *loop;
    int fd;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct offload_queue todo, done;
    bool stop;
};

static void put(struct offload_queue *q, struct offload_job *j)
{
    j->next = NULL;
    *q->last = j;
    q->last = &j->next;
}

static struct offload_job *take(struct offload_queue *q)
{
    struct offload_job *j = q->first;
    if (j && !(q->first = j->next))
        q->last = &q->first;
    return j;
}

static void *run(void *arg)
{
    struct offload *o = arg;
    uint64_t one = 1;
    pthread_mutex_lock(&o->mutex);
    for (;;) {
        struct offload_job *j;
        while (!o->stop && !o->todo.first)
            pthread_cond_wait(&o->cond, &o->mutex);
        if (o->stop)
            break;
        j = take(&o->todo);
        pthread_mutex_unlock(&o->mutex);
        j->work(j);
        pthread_mutex_lock(&o->mutex);
        put(&o->done, j);
        if (write(o->fd, &one, sizeof one) < 0 && errno != EAGAIN)
            break;
    }
    pthread_mutex_unlock(&o->mutex);
    return NULL;
}

static void on_done(struct loop *l, int fd, uint32_t events, void *arg)
{
    struct offload *o = arg;
    uint64_t count;
    (void)l, (void)events;
    if (read(fd, &count, sizeof count) < 0)
        return;
    for (;;) {
        pthread_mutex_lock(&o->mutex);
        struct offload_job *j = take(&o->done);
        pthread_mutex_unlock(&o->mutex);
        if (!j)
            return;
        j->done(j, false);
    }
}

int offload_new(struct offload **ret, struct loop *loop, struct error *err)
{
    struct offload *o = mem_zalloc(1, sizeof *o);
    o->loop = loop;
    o->todo.last = &o->todo.first;
    o->done.last = &o->done.first;
    pthread_mutex_init(&o->mutex, NULL);
    pthread_cond_init(&o->cond, NULL);
    o->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = o->fd < 0 ? error_errno(err, errno, "eventfd")
                       : loop_add(loop, o->fd, EPOLLIN, on_done, o, err);
    int why = rc == 0 ? pthread_create(&o->thread, NULL, run, o) : 0;
    if (why) {
        loop_del(loop, o->fd);
        rc = error_errno(err, why, "starting a thread");
    }
    if (rc < 0) {
        if (o->fd >= 0)
            close(o->fd);
        mem_free(&o);
        return rc;
    }
    *ret = o;
    return 0;
}

void offload_free(struct offload **offload)
{
    struct offload *o = *offload;
    if (!o)
        return;
    pthread_mutex_lock(&o->mutex);
    o->stop = true;
    pthread_cond_signal(&o->cond);
    pthread_mutex_unlock(&o->mutex);
    pthread_join(o->thread, NULL);
    for (struct offload_job *j; (j = take(&o->done)) || (j = take(&o->todo));)
        j->done(j, true);
    loop_del(o->loop, o->fd);
    close(o->fd);
    pthread_cond_destroy(&o->cond);
    pthread_mutex_destroy(&o->mutex);
    mem_free(offload);
}

void offload_push(struct offload *o, struct offload_job *job)
{
    pthread_mutex_lock(&o->mutex);
    put(&o->todo, job);
    pthread_cond_signal(&o->cond);
    pthread_mutex_unlock(&o->mutex);
}
