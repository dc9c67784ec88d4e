/* needs.c - the thread that probes, and the loop's view of it: see needs.h. */
#include "worker/needs.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"

enum { TROUBLE = 512 };

struct need {
    char *text;
    bool probed, holds;
    enum { TOLD_NOTHING, TOLD_HOLDS, TOLD_NOT } told; /* what `changed` last reported */
    int64_t began;                                    /* boot: the probe that runs; 0: none */
    int64_t probed_at;                                /* wall */
    char trouble[TROUBLE];
};

struct needs {
    struct loop *loop;
    void (*changed)(void *self);
    void *self;
    int event;
    struct loop_timer watch;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* under the lock */
    bool stop, soon, done; /* done: the thread has left its loop */
    struct need *v;
    size_t n;
};

static struct need *find(struct needs *n, const char *text)
{
    for (size_t i = 0; i < n->n; i++)
        if (strcmp(n->v[i].text, text) == 0)
            return &n->v[i];
    return NULL;
}

/* ---- The thread */

static void store(struct needs *n, const char *text, bool holds, const char *trouble)
{
    struct need *need = find(n, text);
    if (!need)
        return; /* no longer needed */
    need->probed = true;
    need->holds = holds;
    need->began = 0;
    need->probed_at = clock_wall_ms();
    snprintf(need->trouble, sizeof need->trouble, "%s", holds ? "" : trouble);
}

static void probe_all(struct needs *n)
{
    char trouble[TROUBLE];
    for (size_t i = 0; i < n->n && !n->stop; i++) {
        char *text = mem_strdup(n->v[i].text);
        n->v[i].began = clock_boot_ms();
        pthread_mutex_unlock(&n->lock);
        bool holds = need_probe(text, trouble, sizeof trouble);
        pthread_mutex_lock(&n->lock);
        store(n, text, holds, trouble);
        mem_free(&text);
    }
    if (eventfd_write(n->event, 1) < 0)
        return; /* full: the loop has yet to take the last signal, and looks at all needs then */
}

static void *run(void *arg)
{
    struct needs *n = arg;
    pthread_mutex_lock(&n->lock);
    while (!n->stop) {
        n->soon = false;
        probe_all(n);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += NEEDS_PERIOD_MS / 1000;
        while (!n->stop && !n->soon &&
               pthread_cond_timedwait(&n->wake, &n->lock, &until) != ETIMEDOUT)
            ;
    }
    n->done = true;
    pthread_cond_signal(&n->wake);
    pthread_mutex_unlock(&n->lock);
    return NULL;
}

/* ---- The loop */

static bool is_stuck(const struct need *need, int64_t now)
{
    return need->began && now - need->began > NEEDS_STUCK_MS;
}

static void compare(struct needs *n)
{
    bool differs = false;
    int64_t now = clock_boot_ms();
    pthread_mutex_lock(&n->lock);
    for (size_t i = 0; i < n->n; i++) {
        struct need *need = &n->v[i];
        bool stuck = is_stuck(need, now);
        if (!need->probed && !stuck)
            continue;
        int tell = need->holds && !stuck ? TOLD_HOLDS : TOLD_NOT;
        differs |= tell != (int)need->told;
        need->told = tell;
    }
    pthread_mutex_unlock(&n->lock);
    if (differs)
        n->changed(n->self);
}

static void on_event(struct loop *l, int fd, uint32_t events, void *arg)
{
    eventfd_t count;
    (void)l;
    (void)events;
    if (eventfd_read(fd, &count) == 0)
        compare(arg);
}

static void on_watch(struct loop *l, struct loop_timer *t, void *arg)
{
    struct needs *n = arg;
    compare(n);
    loop_timer_set(l, t, "needs.watch", loop_now(l) + NEEDS_STUCK_MS / 2, on_watch, n);
}

static int start_thread(struct needs *n, struct error *err)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->wake, &attr);
    pthread_condattr_destroy(&attr);
    int why = pthread_create(&n->thread, NULL, run, n);
    return why ? error_errno(err, why, "cannot start the thread that probes needs") : 0;
}

int needs_start(struct needs **ret, struct loop *loop, void (*changed)(void *), void *self,
                struct error *err)
{
    struct needs *n = mem_zalloc(1, sizeof *n);
    n->loop = loop;
    n->changed = changed;
    n->self = self;
    n->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = n->event < 0 ? error_errno(err, errno, "cannot make an event descriptor") : 0;
    if (rc == 0)
        rc = loop_add(loop, n->event, EPOLLIN, on_event, n, err);
    if (rc == 0)
        rc = start_thread(n, err);
    if (rc < 0) {
        if (n->event >= 0) {
            loop_del(loop, n->event);
            close(n->event);
        }
        mem_free(&n);
        return rc;
    }
    loop_timer_set(loop, &n->watch, "needs.watch", loop_now(loop) + NEEDS_STUCK_MS / 2, on_watch,
                   n);
    *ret = n;
    return 0;
}

void needs_stop(struct needs **pn)
{
    struct needs *n = *pn;
    if (!n)
        return;
    *pn = NULL;
    loop_del(n->loop, n->event);
    loop_timer_stop(n->loop, &n->watch);
    pthread_mutex_lock(&n->lock);
    n->stop = true;
    pthread_cond_signal(&n->wake);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    while (!n->done && pthread_cond_timedwait(&n->wake, &n->lock, &until) != ETIMEDOUT)
        ;
    bool done = n->done;
    pthread_mutex_unlock(&n->lock);
    if (!done) {
        pthread_detach(n->thread);
        return; /* it hangs in a probe and still uses our memory */
    }
    pthread_join(n->thread, NULL);
    close(n->event);
    for (size_t i = 0; i < n->n; i++)
        mem_free(&n->v[i].text);
    mem_free(&n->v);
    pthread_cond_destroy(&n->wake);
    pthread_mutex_destroy(&n->lock);
    mem_free(&n);
}

void needs_probe_soon(struct needs *n)
{
    pthread_mutex_lock(&n->lock);
    n->soon = true;
    pthread_cond_signal(&n->wake);
    pthread_mutex_unlock(&n->lock);
}

void needs_set(struct needs *n, const struct wire_list *list)
{
    struct need *v = mem_zalloc(list->count, sizeof *v);
    size_t count = 0;
    struct wire_iter it = wire_iter(list);
    struct span item;
    pthread_mutex_lock(&n->lock);
    while (wire_next(&it, &item)) {
        char *text = span_dup_str(item);
        struct need *old = find(n, text);
        if (old) {
            v[count] = *old;
            old->text = mem_strdup(""); /* moved */
            mem_free(&text);
        } else {
            v[count].text = text;
            n->soon = true;
        }
        count++;
    }
    for (size_t i = 0; i < n->n; i++)
        mem_free(&n->v[i].text);
    mem_free(&n->v);
    n->v = v;
    n->n = count;
    pthread_cond_signal(&n->wake);
    pthread_mutex_unlock(&n->lock);
}

struct wire_list needs_state(struct needs *n, struct buf *items)
{
    struct buf one = {0};
    uint32_t count = 0;
    int64_t now = clock_boot_ms();
    pthread_mutex_lock(&n->lock);
    for (size_t i = 0; i < n->n; i++) {
        const struct need *need = &n->v[i];
        bool stuck = is_stuck(need, now);
        if (!need->probed && !stuck)
            continue;
        struct d_need d = {
            .need = span_str(need->text),
            .holds = need->holds && !stuck,
            .trouble = span_str(stuck ? "the probe has not answered within 10 s" : need->trouble),
            .probed_at = need->probed_at};
        buf_clear(&one);
        d_need_encode(&d, &one);
        wire_add_bin(items, buf_span(&one));
        count++;
    }
    pthread_mutex_unlock(&n->lock);
    buf_free(&one);
    return wire_list_from(items, count);
}
