/* loop.c - see loop.h. epoll for descriptors, one timerfd (CLOCK_BOOTTIME: epoll's own timeout
 * stands still in a suspend) for the nearest deadline, one signalfd. */
#include "common/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

/* the kernel keeps more for the next turn, so that timers and turn_end get their share */
enum { EVENTS_A_TURN = 256, SIGNALS_AT_ONCE = 8 };

struct loop_slot {
    uint32_t generation; /* of the registration; travels through the kernel with each event */
    uint32_t events;     /* that the kernel was told last */
    bool used;
    loop_fd_fn *fn;
    void *arg;
};

struct hook {
    loop_prepare_fn *prepare;
    loop_turn_end_fn *turn_end;
    void *arg;
};

struct loop {
    int epoll, timer, signals;
    struct loop_slot *slot; /* by descriptor */
    size_t slots;
    uint32_t generation;
    struct heap timers;
    uint64_t timers_set; /* the tie: order of setting */
    int64_t deadline, armed, now, now_wall;
    int64_t longest_us, longest_cpu_us;
    bool counts_cpu;
    int64_t cpu_us; /* of the thread, as of the end of the last turn; it sleeps without any */
    struct hook *hook;
    size_t hooks;
    loop_signal_fn *signal_fn;
    void *signal_arg;
    bool stopping;
    int exit_code;
};

static void read_clocks(struct loop *l)
{
    l->now = clock_boot_ms();
    l->now_wall = clock_wall_ms();
}

static void on_timer_fd(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)events;
    (void)arg;
    uint64_t expirations;
    if (read(fd, &expirations, sizeof expirations) > 0)
        l->armed = INT64_MAX;
}

struct loop *loop_new(struct error *err)
{
    struct loop *l = mem_zalloc(1, sizeof *l);
    l->signals = l->timer = -1;
    l->deadline = l->armed = INT64_MAX;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll >= 0)
        l->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (l->epoll < 0 || l->timer < 0) {
        error_errno(err, errno, "cannot create an event loop");
        loop_destroy(&l);
    } else if (loop_add(l, l->timer, EPOLLIN, on_timer_fd, NULL, err) < 0) {
        loop_destroy(&l);
    } else {
        read_clocks(l);
    }
    return l;
}

void loop_destroy(struct loop **lp)
{
    struct loop *l = *lp;
    if (!l)
        return;
    if (l->signals >= 0)
        close(l->signals);
    if (l->timer >= 0)
        close(l->timer);
    if (l->epoll >= 0)
        close(l->epoll);
    heap_free(&l->timers);
    mem_free(&l->slot);
    mem_free(&l->hook);
    mem_free(lp);
}

int64_t loop_now(const struct loop *l)
{
    return l->now;
}

int64_t loop_now_wall(const struct loop *l)
{
    return l->now_wall;
}

int64_t loop_longest_us(const struct loop *l)
{
    return l->longest_us;
}

void loop_count_cpu(struct loop *l)
{
    l->counts_cpu = true;
}

int64_t loop_longest_cpu_us(const struct loop *l)
{
    return l->longest_cpu_us;
}

void loop_stop(struct loop *l, int exit_code)
{
    if (!l->stopping)
        l->exit_code = exit_code;
    l->stopping = true;
}

bool loop_is_stopping(const struct loop *l)
{
    return l->stopping;
}

/* ---- descriptors ---- */

static bool is_used(const struct loop *l, int fd)
{
    return fd >= 0 && (size_t)fd < l->slots && l->slot[fd].used;
}

static struct epoll_event tagged(const struct loop *l, int fd, uint32_t events)
{
    return (struct epoll_event){.events = events,
                                .data.u64 = (uint64_t)l->slot[fd].generation << 32 | (uint32_t)fd};
}

int loop_add(struct loop *l, int fd, uint32_t events, loop_fd_fn *fn, void *arg, struct error *err)
{
    if (fd < 0)
        return error_set(err, -EBADF, "%d is not a descriptor", fd);
    if (is_used(l, fd))
        return error_set(err, -EEXIST, "descriptor %d is in the loop already", fd);
    if ((size_t)fd >= l->slots) {
        size_t slots = (size_t)fd + 32;
        l->slot = mem_realloc(l->slot, slots, sizeof *l->slot);
        memset(l->slot + l->slots, 0, (slots - l->slots) * sizeof *l->slot);
        l->slots = slots;
    }
    struct loop_slot *s = &l->slot[fd];
    s->generation = ++l->generation;
    struct epoll_event e = tagged(l, fd, events);
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
        return error_errno(err, errno, "cannot wait for descriptor %d", fd);
    s->used = true;
    s->events = events;
    s->fn = fn;
    s->arg = arg;
    return 0;
}

int loop_mod(struct loop *l, int fd, uint32_t events, struct error *err)
{
    if (!is_used(l, fd))
        return error_set(err, -ENOENT, "descriptor %d is not in the loop", fd);
    /* Most changes change nothing: who writes to a channel sets this after each write. To set an
     * edge-triggered one again is a wish of its own. */
    if (events == l->slot[fd].events && !(events & (EPOLLET | EPOLLONESHOT)))
        return 0;
    struct epoll_event e = tagged(l, fd, events);
    if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, fd, &e) < 0)
        return error_errno(err, errno, "cannot change the events of descriptor %d", fd);
    l->slot[fd].events = events;
    return 0;
}

void loop_del(struct loop *l, int fd)
{
    if (!is_used(l, fd))
        return;
    l->slot[fd].used = false;
    /* fails only for a closed descriptor, which is fine */
    epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void loop_closed(struct loop *l, int fd)
{
    if (is_used(l, fd))
        l->slot[fd].used = false;
}

static void deliver(struct loop *l, const struct epoll_event *e)
{
    int fd = (int)(uint32_t)e->data.u64;
    uint32_t generation = (uint32_t)(e->data.u64 >> 32);
    if (is_used(l, fd) && l->slot[fd].generation == generation)
        l->slot[fd].fn(l, fd, e->events, l->slot[fd].arg);
}

/* ---- time ---- */

void loop_set_deadline(struct loop *l, int64_t boot_ms)
{
    l->deadline = boot_ms;
}

void loop_timer_set(struct loop *l, struct loop_timer *timer, const char *name, int64_t boot_ms,
                    loop_timer_fn *fn, void *arg)
{
    heap_remove(&l->timers, &timer->node);
    timer->name = name;
    timer->fn = fn;
    timer->arg = arg;
    /* A past time becomes now: it must not overtake timers that have been due for longer (see
     * fire_timers). */
    heap_insert(&l->timers, &timer->node, boot_ms < l->now ? l->now : boot_ms, ++l->timers_set);
}

void loop_timer_stop(struct loop *l, struct loop_timer *timer)
{
    heap_remove(&l->timers, &timer->node);
}

bool loop_timer_is_set(const struct loop_timer *timer)
{
    return heap_holds(&timer->node);
}

static int64_t next_wake(const struct loop *l, int64_t until)
{
    const struct heap_node *first = heap_peek(&l->timers);
    int64_t at = loop_earlier(until, l->deadline), log_due = log_flush_due();
    if (first)
        at = loop_earlier(at, first->key);
    return log_due >= 0 ? loop_earlier(at, clock_boot_ms() + log_due) : at;
}

/* Fires the timers that are due and were set before this call. Those set by the callbacks have a
 * greater tie, and a key of at least `now` (see loop_timer_set), so they come after all that were
 * due and stop the firing. */
static void fire_timers(struct loop *l)
{
    uint64_t set_before = l->timers_set;
    struct heap_node *first;
    while ((first = heap_peek(&l->timers)) && first->key <= l->now && first->tie <= set_before) {
        struct loop_timer *timer = heap_entry(heap_pop(&l->timers), struct loop_timer, node);
        timer->fn(l, timer, timer->arg);
    }
}

/* A timer that is armed for an earlier time stays: it costs one idle turn, after which the right
 * time is armed, and most deadlines are moved away again and again before they come. */
static int arm(struct loop *l, int64_t at, struct error *err)
{
    if (at >= l->armed)
        return 0;
    const struct itimerspec when = {
        .it_value = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000}};
    if (timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        return error_errno(err, errno, "cannot set the timer of the event loop");
    l->armed = at;
    return 0;
}

/* ---- hooks and signals ---- */

static void add_hook(struct loop *l, struct hook hook)
{
    l->hook = mem_realloc(l->hook, l->hooks + 1, sizeof *l->hook);
    l->hook[l->hooks++] = hook;
}

void loop_on_prepare(struct loop *l, loop_prepare_fn *fn, void *arg)
{
    add_hook(l, (struct hook){.prepare = fn, .arg = arg});
}

void loop_on_turn_end(struct loop *l, loop_turn_end_fn *fn, void *arg)
{
    add_hook(l, (struct hook){.turn_end = fn, .arg = arg});
}

/* The slots stay, so that a hook may remove itself while hooks run; prune_hooks closes the gaps. */
void loop_off(struct loop *l, const void *arg)
{
    for (size_t i = 0; i < l->hooks; i++)
        if (l->hook[i].arg == arg)
            l->hook[i] = (struct hook){0};
}

static void prune_hooks(struct loop *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->hooks; i++)
        if (l->hook[i].prepare || l->hook[i].turn_end)
            l->hook[kept++] = l->hook[i];
    l->hooks = kept;
}

static void on_signal_fd(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)events;
    (void)arg;
    struct signalfd_siginfo info[SIGNALS_AT_ONCE];
    ssize_t n;
    do {
        n = read(fd, info, sizeof info);
        for (ssize_t at = 0; at < n / (ssize_t)sizeof *info; at++)
            l->signal_fn(l, &info[at], l->signal_arg);
    } while (n == sizeof info); /* fewer than asked for: no more are there */
}

static sigset_t our_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    return set;
}

int loop_signals(struct loop *l, loop_signal_fn *fn, void *arg, struct error *err)
{
    if (l->signals >= 0)
        return error_set(err, -EEXIST, "the event loop already handles signals");
    sigset_t set = our_signals();
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return error_errno(err, errno, "cannot receive signals");
    int rc = loop_add(l, fd, EPOLLIN, on_signal_fd, NULL, err);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN); /* a peer that is gone makes a write fail; it must not kill us */
    l->signals = fd;
    l->signal_fn = fn;
    l->signal_arg = arg;
    return 0;
}

void loop_signals_restore(void)
{
    sigset_t set = our_signals();
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- the turn ---- */

static bool run_prepare(struct loop *l)
{
    bool work = false;
    for (size_t i = 0; i < l->hooks; i++)
        if (l->hook[i].prepare && l->hook[i].prepare(l, l->hook[i].arg))
            /* the others still run: each may have work to do before a sleep */
            work = true;
    return work;
}

static void run_turn_end(struct loop *l)
{
    for (size_t i = 0; i < l->hooks; i++)
        if (l->hook[i].turn_end)
            l->hook[i].turn_end(l, l->hook[i].arg);
}

static void note_length(struct loop *l, int64_t us)
{
    if (us > l->longest_us)
        l->longest_us = us;
    if (!l->counts_cpu)
        return;
    const int64_t cpu_us = clock_thread_us(), used = cpu_us - l->cpu_us;
    if (l->cpu_us && used > l->longest_cpu_us)
        l->longest_cpu_us = used;
    l->cpu_us = cpu_us;
}

int loop_turn(struct loop *l, int64_t until_boot_ms, struct error *err)
{
    struct epoll_event events[EVENTS_A_TURN];
    int64_t begun = clock_boot_us(), worked;
    prune_hooks(l);
    bool sleep = !run_prepare(l) && !l->stopping;
    int64_t wake = sleep ? next_wake(l, until_boot_ms) : 0;
    if (sleep && wake <= clock_boot_ms())
        sleep = false;
    int rc = sleep ? arm(l, wake, err) : 0;
    if (rc < 0)
        return rc;
    worked = clock_boot_us() - begun;
    int n = epoll_wait(l->epoll, events, EVENTS_A_TURN, sleep ? -1 : 0);
    begun = clock_boot_us();
    if (n < 0 && errno != EINTR)
        return error_errno(err, errno, "the event loop cannot wait");
    read_clocks(l);
    for (int i = 0; i < n; i++)
        deliver(l, &events[i]);
    fire_timers(l);
    if (l->deadline <= l->now)
        l->deadline = INT64_MAX;
    run_turn_end(l);
    log_flush(0);
    note_length(l, worked + clock_boot_us() - begun);
    return 0;
}

int loop_run(struct loop *l, struct error *err)
{
    while (!l->stopping) {
        int rc = loop_turn(l, INT64_MAX, err);
        if (rc < 0)
            return rc;
    }
    return l->exit_code;
}
