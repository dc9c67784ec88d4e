/* keeper.c - see keeper.h. */
#include "runner/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/channelloop.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/attach.h"
#include "proto/kept.h"
#include "runner/child.h"
#include "runner/ended.h"
#include "runner/fence.h"
#include "runner/tree.h"

enum {
    SHIELD = -500, /* our oom_score_adj, where permitted: a child dies before its keeper */
    BATCH_MS = 2   /* while enough steps wait here, messages to the runner may wait this long */
};

/* A step that was sent to this keeper. */
struct keeper_step {
    struct buf launch; /* S_LAUNCH */
    int64_t handed_at; /* wall */
};

struct keeper {
    const struct runner_paths *paths;
    unsigned slot;
    struct loop *loop;
    struct report *report;
    struct child *child;
    int listening;
    struct channel *runner; /* NULL: none */
    struct channel *coming; /* a new connection; S_ATTACH will prove that it is a runner */
    struct loop_timer alone, batch;
    struct keeper_step waiting[KEEPER_WAITING]; /* a ring */
    unsigned first, n;
    int64_t waiting_since; /* boot; none of them has waited for longer */
    /* the most that have waited since none did; at half of it the runner is told */
    unsigned most;
    struct buf scratch;
    struct keeper_step started; /* what runs */
    bool told_start;
};

static void on_runner(struct loop *l, int fd, uint32_t events, void *arg);
static void on_alone(struct loop *l, struct loop_timer *t, void *arg);

/* ---- Speaking with the runner */

/* What runs by hand ends with the runner that has started it for a person. */
static void end_by_hand(struct keeper *k)
{
    for (; k->n; k->n--)
        k->first = (k->first + 1) % KEEPER_WAITING;
    if (child_launch(k->child))
        child_halt(k->child, KILL_GRACE_MS, false);
}

static void drop_runner(struct keeper *k)
{
    if (!k->runner)
        return;
    channelloop_close(&k->runner, k->loop);
    if (k->paths->principal)
        end_by_hand(k);
    loop_timer_set(k->loop, &k->alone, "alone", loop_now(k->loop) + KEEPER_ALONE_MS, on_alone, k);
}

static void flush_runner(struct keeper *k)
{
    if (!k->runner)
        return;
    loop_timer_stop(k->loop, &k->batch);
    if (channelloop_flush(k->runner, k->loop, NULL) < 0)
        drop_runner(k);
}

static void on_batch(struct loop *l, struct loop_timer *t, void *arg)
{
    (void)l;
    (void)t;
    flush_runner(arg);
}

static void tell(struct keeper *k, struct span message)
{
    if (k->runner && channel_queue(k->runner, message, NULL) < 0)
        drop_runner(k);
}

static void tell_kept(struct keeper *k, const struct s_launch *l, enum kept_state state)
{
    struct s_kept kept = {.slot = k->slot,
                          .run = l->run,
                          .attempt = l->attempt,
                          .step = l->step,
                          .try_no = l->try_no,
                          .state = state,
                          .identity = l->identity,
                          .expires = l->expires};
    buf_clear(&k->scratch);
    s_kept_encode(&kept, &k->scratch);
    tell(k, buf_span(&k->scratch));
}

static bool launch_of(const struct buf *b, struct s_launch *ret)
{
    return wire_decode(&s_launch_schema, buf_span(b), true, ret, NULL) == 0;
}

static struct keeper_step *waiting_at(struct keeper *k, unsigned i)
{
    return &k->waiting[(k->first + i) % KEEPER_WAITING];
}

/* Takes the i-th out of the ring and swaps its bytes with *ret. */
static void take_waiting(struct keeper *k, unsigned i, struct keeper_step *ret)
{
    struct keeper_step t = *ret;
    *ret = *waiting_at(k, i);
    for (; i > 0; i--)
        *waiting_at(k, i) = *waiting_at(k, i - 1);
    *waiting_at(k, 0) = t;
    k->first = (k->first + 1) % KEEPER_WAITING;
    k->n--;
}

/* Tells a new runner what this keeper holds. */
static void tell_all(struct keeper *k, uint64_t version)
{
    struct s_attach a = {.version = attach_common(KEEPER_PROTOCOL, version), .slots = k->slot};
    struct s_kept_end end = {.count = k->n + (child_launch(k->child) != NULL)};
    struct s_launch l;
    buf_clear(&k->scratch);
    s_attach_encode(&a, &k->scratch);
    tell(k, buf_span(&k->scratch));
    if (child_launch(k->child))
        tell_kept(k, child_launch(k->child), KEPT_RUNS);
    for (unsigned i = 0; i < k->n; i++)
        if (launch_of(&waiting_at(k, i)->launch, &l))
            tell_kept(k, &l, KEPT_WAITS);
    buf_clear(&k->scratch);
    s_kept_end_encode(&end, &k->scratch);
    tell(k, buf_span(&k->scratch));
    flush_runner(k);
}

/* ---- Messages from the runner */

static void say_dropped(struct keeper *k, const struct s_launch *l, bool timed_out)
{
    struct error err = {0};
    buf_clear(&k->scratch);
    ended_refused(l, REFUSAL_NONE, true,
                  timed_out ? "its time ran out before it could start"
                            : "cancelled before it could start",
                  loop_now_wall(k->loop), &k->scratch);
    report_form_of(k->report, l);
    report_add(k->report, buf_span(&k->scratch));
    if (report_flush(k->report, &err) < 0)
        log_error("slot %u: %s", k->slot, err.text);
    if (l->job_hash.n)
        tell(k, buf_span(&k->scratch));
}

static void take_halt(struct keeper *k, const struct s_halt *h)
{
    const struct s_launch *runs = child_launch(k->child);
    struct s_launch l;
    for (unsigned i = k->n; i-- > 0;) {
        struct keeper_step gone = {.handed_at = 0};
        if (!launch_of(&waiting_at(k, i)->launch, &l) || !id_eq(l.run, h->run) ||
            l.attempt != h->attempt)
            continue;
        take_waiting(k, i, &gone);
        if (launch_of(&gone.launch, &l)) {
            say_dropped(k, &l, h->timed_out);
            tell_kept(k, &l, KEPT_GONE);
        }
        buf_free(&gone.launch);
    }
    if (runs && id_eq(runs->run, h->run) && runs->attempt == h->attempt) {
        int64_t grace = h->force                                 ? 0
                        : h->grace_ms && h->grace_ms < INT32_MAX ? (int64_t)h->grace_ms
                                                                 : KILL_GRACE_MS;
        child_halt(k->child, grace, h->timed_out);
    }
    flush_runner(k);
}

static void take_back(struct keeper *k, const struct s_kept *what)
{
    struct s_launch l;
    for (unsigned i = 0; i < k->n; i++) {
        struct keeper_step gone = {.handed_at = 0};
        if (!launch_of(&waiting_at(k, i)->launch, &l) || !id_eq(l.run, what->run) ||
            l.attempt != what->attempt || l.try_no != what->try_no || !span_eq(l.step, what->step))
            continue;
        take_waiting(k, i, &gone);
        tell(k, buf_span(&gone.launch));
        buf_free(&gone.launch);
        break;
    }
    flush_runner(k);
}

static void take_launch(struct keeper *k, struct span message)
{
    if (k->n == KEEPER_WAITING) {
        log_error("slot %u: the runner has sent more than %d steps ahead", k->slot,
                  (int)KEEPER_WAITING);
        drop_runner(k);
        return;
    }
    if (k->n == 0)
        k->waiting_since = loop_now(k->loop);
    struct keeper_step *s = waiting_at(k, k->n++);
    buf_clear(&s->launch);
    buf_add(&s->launch, message.p, message.n);
    s->handed_at = loop_now_wall(k->loop);
    if (k->n > k->most)
        k->most = k->n;
}

static void take_message(struct keeper *k, struct span message)
{
    struct error err = {0};
    struct s_attach a;
    struct s_halt h;
    struct s_kept kept;
    uint64_t kind = 0;
    size_t size;
    int rc = wire_peek(message, &kind, &size, &err);
    if (rc == 0 && kind == KIND_S_LAUNCH)
        take_launch(k, message);
    else if (rc == 0 && kind == KIND_S_HALT &&
             (rc = wire_decode(&s_halt_schema, message, true, &h, &err)) == 0)
        take_halt(k, &h);
    else if (rc == 0 && kind == KIND_S_KEPT &&
             (rc = wire_decode(&s_kept_schema, message, true, &kept, &err)) == 0)
        take_back(k, &kept);
    else if (rc == 0 && kind == KIND_S_ATTACH &&
             (rc = wire_decode(&s_attach_schema, message, true, &a, &err)) == 0)
        tell_all(k, a.version);
    if (rc < 0) {
        log_error("slot %u: from the runner: %s", k->slot, err.text);
        drop_runner(k);
    }
}

static void on_runner(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)fd;
    (void)l;
    struct keeper *k = arg;
    struct span message;
    if (events & EPOLLOUT)
        flush_runner(k);
    while (k->runner) {
        int rc = channel_receive(k->runner, &message, NULL);
        if (rc == 1)
            take_message(k, message);
        else if (rc < 0)
            drop_runner(k);
        if (rc == 0 || (k->runner && channel_is_drained(k->runner)))
            return;
    }
}

/* The newest runner replaces the last one. */
static void adopt_runner(struct keeper *k, struct channel *c)
{
    struct error err = {0};
    drop_runner(k);
    k->runner = c;
    if (loop_add(k->loop, channel_fd(c), EPOLLIN, on_runner, k, &err) < 0) {
        log_error("slot %u: %s", k->slot, err.text);
        channel_close(&k->runner);
        return;
    }
    loop_timer_stop(k->loop, &k->alone);
}

/* Only a connection that begins with S_ATTACH replaces the runner. */
static void on_coming(struct loop *l, int fd, uint32_t events, void *arg)
{
    struct keeper *k = arg;
    struct channel *c = k->coming;
    struct span message;
    uint64_t kind = 0;
    size_t size;
    int rc = channel_receive(c, &message, NULL);
    if (rc == 0)
        return;
    if (rc < 0 || wire_peek(message, &kind, &size, NULL) < 0 || kind != KIND_S_ATTACH) {
        channelloop_close(&k->coming, k->loop);
        return;
    }
    loop_del(l, fd);
    k->coming = NULL;
    adopt_runner(k, c);
    if (k->runner)
        take_message(k, message);
    on_runner(l, fd, events, k); /* what has come after S_ATTACH */
}

static void on_listening(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)events;
    struct keeper *k = arg;
    struct channel *c;
    while (channel_accept(fd, &c, NULL) == 0) {
        uid_t uid = channel_peer_uid(c);
        if (uid != geteuid() && uid != 0) {
            channel_close(&c);
            continue;
        }
        channelloop_close(&k->coming, k->loop);
        k->coming = c;
        if (loop_add(l, channel_fd(c), EPOLLIN, on_coming, k, NULL) < 0)
            channel_close(&k->coming);
    }
}

/* ---- Steps */

/* The runner learns of the start before it learns of the end. It waits for the end of a step that
 * others may follow. */
static void on_ended(void *self, struct span ended, bool launched)
{
    struct keeper *k = self;
    struct s_launch l;
    if (launch_of(&k->started.launch, &l)) {
        if (launched && l.job_hash.n)
            tell_kept(k, &l, KEPT_RUNS);
        if (ended.n && l.job_hash.n)
            tell(k, ended);
        tell_kept(k, &l, KEPT_GONE);
        if (l.job_hash.n)
            flush_runner(k);
    }
    report_roll(k->report);
}

static bool may_start(const struct keeper *k, const struct buf *launch)
{
    struct s_launch l;
    if (!launch_of(launch, &l) || l.on_lost != ON_LOST_RERUN)
        return true;
    return fence_permits(&l, fence_read(k->paths->fence), clock_boot_ms());
}

/* Back to the runner, in their order. */
static void give_all_back(struct keeper *k)
{
    struct keeper_step gone = {0};
    while (k->n) {
        take_waiting(k, k->n - 1, &gone);
        tell(k, buf_span(&gone.launch));
    }
    buf_free(&gone.launch);
}

/* What was allowed a while ago may not be any more: the runner judges it again. Without a runner
 * they run as they were allowed. */
static void give_back_stale(struct keeper *k)
{
    if (k->runner && k->n && loop_now(k->loop) - k->waiting_since >= KEEPER_STALE_MS)
        give_all_back(k);
}

static void say_trouble(struct keeper *k, const char *why)
{
    buf_clear(&k->scratch);
    s_trouble_encode(&(struct s_trouble){.slots = k->slot, .text = span_str(why)}, &k->scratch);
    tell(k, buf_span(&k->scratch));
}

/* What waits here goes back, and the slot is left: its next keeper looks again. */
static void leave(struct keeper *k, const char *why)
{
    give_all_back(k);
    say_trouble(k, why);
    flush_runner(k);
    loop_stop(k->loop, 0);
}

/* After each turn: starts the next step if the slot is free. A step that the fence no longer
 * lets start goes back to the runner, which has others for this slot; without a runner it waits. */
static void on_turn_end(struct loop *l, void *arg)
{
    struct keeper *k = arg;
    if (k->paths->principal && !k->runner && !child_launch(k->child)) {
        loop_stop(l, 0);
        return;
    }
    if (!child_launch(k->child) && child_trouble(k->child)->code) {
        leave(k, child_trouble(k->child)->text);
        return;
    }
    if (!child_launch(k->child))
        give_back_stale(k);
    while (!child_launch(k->child) && k->n) {
        bool may = may_start(k, &waiting_at(k, 0)->launch);
        if (!may && !k->runner)
            return;
        take_waiting(k, 0, &k->started);
        if (!may) {
            tell(k, buf_span(&k->started.launch));
            continue;
        }
        child_start(k->child, buf_span(&k->started.launch), k->started.handed_at);
        if (child_launch(k->child))
            tell_kept(k, child_launch(k->child), KEPT_RUNS);
        else if (child_trouble(k->child)->code) {
            leave(k, child_trouble(k->child)->text);
            return;
        }
    }
    if (!k->runner || channel_wants_write(k->runner) == false)
        return;
    if (k->n * 2 > k->most) { /* enough waits here: no need to wake the runner for each */
        if (!loop_timer_is_set(&k->batch))
            loop_timer_set(l, &k->batch, "batch", loop_now(l) + BATCH_MS, on_batch, k);
        return;
    }
    if (k->n == 0)
        k->most = 0;
    flush_runner(k);
}

static void on_alone(struct loop *l, struct loop_timer *t, void *arg)
{
    struct keeper *k = arg;
    if (!child_launch(k->child) && k->n == 0 && !k->runner)
        loop_stop(l, 0);
    else if (!k->runner)
        loop_timer_set(l, t, "alone", loop_now(l) + KEEPER_ALONE_MS, on_alone, k);
}

static void on_signal(struct loop *l, const struct signalfd_siginfo *info, void *arg)
{
    (void)l;
    struct keeper *k = arg;
    /* other signals are ignored: the channel brings every order to end */
    if (info->ssi_signo == SIGCHLD)
        child_reap(k->child);
}

/* ---- Birth */

static bool shield(void)
{
    char text[12];
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    int n = snprintf(text, sizeof text, "%d", SHIELD);
    bool done = fd >= 0 && write(fd, text, (size_t)n) == n;
    if (fd >= 0)
        close(fd);
    return done;
}

static int keeper_open(struct keeper *k, int channel, bool shielded, struct error *err)
{
    struct channel *c;
    char *stem = mem_printf("keeper-%u", k->slot);
    char *sock = runner_paths_of_slot(k->paths->keepers, "keeper", k->slot, ".sock");
    int rc = tree_own(err);
    if (rc == 0 && k->paths->separated)
        rc = privilege_keep(PRIVILEGE_KEEPER, err);
    if (rc == 0 && !(k->loop = loop_new(err)))
        rc = -ENOMEM;
    if (rc == 0)
        rc = loop_signals(k->loop, on_signal, k, err);
    if (rc == 0)
        rc = report_open(k->paths, stem, &k->report, err);
    if (rc == 0)
        rc = runner_paths_claim_memory(k->paths, err);
    if (rc == 0 && (rc = channel_from_fd(channel, &c, err)) == 0)
        adopt_runner(k, c);
    if (rc == 0 && (rc = child_new(k->paths, k->slot, shielded, k->loop, k->report, on_ended, k,
                                   &k->child, err)) < 0) {
        say_trouble(k, err->text);
        flush_runner(k);
    }
    if (rc == 0)
        rc = channel_listen(sock, &k->listening, err);
    if (rc == 0)
        rc = loop_add(k->loop, k->listening, EPOLLIN, on_listening, k, err);
    if (rc == 0) {
        loop_on_turn_end(k->loop, on_turn_end, k);
        tell_all(k, KEEPER_PROTOCOL); /* it works */
    }
    mem_free(&stem);
    mem_free(&sock);
    return rc;
}

_Noreturn void keeper_main(const struct runner_paths *paths, unsigned slot, int channel)
{
    static struct keeper k; /* lives as long as the process */
    struct error err = {0};
    prctl(PR_SET_NAME, "lbkeeper");
    k.paths = paths;
    k.slot = slot;
    k.listening = -1;
    if (keeper_open(&k, channel, shield(), &err) < 0 || loop_run(k.loop, &err) < 0) {
        log_error("keeper of slot %u: %s", slot, err.text);
        _exit(1);
    }
    char *sock = runner_paths_of_slot(paths->keepers, "keeper", slot, ".sock");
    /* a runner that connects now fails and starts another keeper, which waits for our lock */
    unlink(sock);
    mem_free(&sock);
    child_free(&k.child);
    report_close(&k.report);
    runner_paths_leave_memory(paths);
    _exit(0);
}
