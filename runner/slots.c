/* slots.c - see slots.h. */
#include "runner/slots.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channelloop.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/attach.h"
#include "proto/outcome.h"
#include "runner/ended.h"
#include "runner/fence.h"
#include "runner/slotfile.h"
#include "runner/keeper.h"
#include "runner/launched.h"
#include "runner/slot.h"
#include "runner/waiting.h"

enum { UNFENCED_MS = 100 /* how soon to read the fence again for steps that wait for it */ };

struct slots {
    const struct runner_paths *paths;
    struct loop *loop;
    struct report *report;
    struct slots_events events;
    struct slot_events slot_events;
    struct slot **slot; /* by number - 1; may be more than `limit` after a resize */
    unsigned n, limit;
    struct waiting_queue queue;
    double average_ms; /* of a step, weighted to the last few; long at first */
    struct loop_timer timer;
    int64_t renewed; /* the last result of fence_read; it only grows */
    struct buf scratch;
};

static void dispatch(struct slots *s);

void slots_flush(struct slots *s)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->slot[i]->written)
            slot_flush(s->slot[i]);
}

/* ---- Making keepers */

static struct slot *slot_at(struct slots *s, unsigned number)
{
    while (s->n < number) {
        struct slot *t = mem_zalloc(1, sizeof *t);
        t->events = &s->slot_events;
        t->loop = s->loop;
        t->number = s->n + 1;
        s->slot = mem_realloc(s->slot, s->n + 1, sizeof *s->slot);
        s->slot[s->n++] = t;
    }
    return s->slot[number - 1];
}

/* Without the file, a keeper that does not answer the next runner may run a step a second time.
 * That is no reason to run nothing now. */
static void open_file(const struct runner_paths *paths, struct slot *t)
{
    struct error err = {0};
    char *path = runner_paths_of_slot(paths->keepers, "keeper", t->number, ".held");
    if (!t->file && slotfile_open(path, &t->file, &err) < 0)
        log_warn("slot %u: %s", t->number, err.text);
    mem_free(&path);
}

static int make_keeper(const struct runner_paths *paths, struct slot *t, struct error *err)
{
    int ends[2];
    struct channel *c = NULL;
    pid_t guard;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return error_errno(err, errno, "cannot make a socket for a keeper");
    int rc = keeper_fork(paths, t->number, ends[1], &guard, err);
    close(ends[1]);
    if (rc == 0)
        rc = channel_from_fd(ends[0], &c, err);
    if (rc < 0) {
        close(ends[0]);
        return rc;
    }
    open_file(paths, t);
    slotfile_clear(t->file);
    t->heard = true; /* a new keeper holds nothing */
    t->version = KEEPER_PROTOCOL;
    return slot_open(t, c, err);
}

static void on_timer(struct loop *l, struct loop_timer *timer, void *arg);

static void look_again(struct slots *s, int64_t ms)
{
    int64_t at = loop_now(s->loop) + ms;
    if (!loop_timer_is_set(&s->timer) || at < s->timer.node.key)
        loop_timer_set(s->loop, &s->timer, "slots", at, on_timer, s);
}

/* It has no keeper, and one may be started. */
static bool may_be_kept(struct slots *s, const struct slot *t)
{
    const int64_t wait = t->not_before - loop_now(s->loop);
    if (t->channel)
        return false;
    if (wait <= 0 && keeper_slot_is_free(s->paths, t->number))
        return true;
    look_again(s, wait > 0 ? wait : LOCKED_MS);
    return false;
}

static struct slot *empty_slot(struct slots *s)
{
    for (unsigned i = 1; i <= s->limit; i++)
        if (may_be_kept(s, slot_at(s, i)))
            return s->slot[i - 1];
    return NULL;
}

static bool keep(struct slots *s, struct slot *t)
{
    struct error err = {0};
    if (make_keeper(s->paths, t, &err) == 0)
        return true;
    log_error("slot %u: %s", t->number, err.text);
    look_again(s, LOCKED_MS);
    return false;
}

static struct slot *least_busy(struct slots *s)
{
    struct slot *best = NULL;
    for (unsigned i = 0; i < s->n && i < s->limit; i++) {
        struct slot *t = s->slot[i];
        if (t->channel && t->heard && t->version == KEEPER_PROTOCOL && (!best || t->n < best->n))
            best = t;
    }
    return best;
}

static struct slot *choose(struct slots *s)
{
    struct slot *best = least_busy(s), *empty;
    if (best && best->n == 0)
        return best;
    if ((empty = empty_slot(s)) && keep(s, empty))
        return empty;
    double ahead = AHEAD_MS / (s->average_ms < 1 ? 1 : s->average_ms);
    unsigned most = 1 + (unsigned)(ahead > AHEAD_MAX ? AHEAD_MAX : ahead);
    return best && best->n < most ? best : NULL;
}

static bool may_start(struct slots *s, const struct s_launch *l)
{
    int64_t now = loop_now(s->loop);
    if (fence_permits(l, s->renewed, now))
        return true;
    s->renewed = fence_read(s->paths->fence);
    return fence_permits(l, s->renewed, now);
}

/* The first step that may start. NULL: none; while no broker is heard, another server may be
 * running what is fenced. */
static struct waiting **first_ready(struct slots *s)
{
    struct s_launch l;
    for (struct waiting **at = &s->queue.first; *at; at = &(*at)->next)
        if (!waiting_launch(*at, &l) || may_start(s, &l))
            return at;
    if (s->queue.first)
        look_again(s, UNFENCED_MS);
    return NULL;
}

static void refuse(struct slots *s, const struct s_launch *l, enum refusal code, bool cancelled,
                   const char *sentence)
{
    buf_clear(&s->scratch);
    ended_refused(l, code, cancelled, sentence, loop_now_wall(s->loop), &s->scratch);
    report_add(s->report, buf_span(&s->scratch));
    struct s_ended ended;
    if (l->job_hash.n && s_ended_decode(buf_span(&s->scratch), &ended, NULL) == 0)
        s->events.outcome(s->events.self, &ended, false);
}

/* It was allowed when it came; what has waited is asked for again. */
static bool still_may(struct slots *s, struct waiting *w)
{
    enum refusal code = REFUSAL_NONE;
    struct error err = {0};
    struct s_launch l;
    if (loop_now(s->loop) - w->since < SLOTS_STALE_MS ||
        s->events.again(s->events.self, &w->launch, &code, &err) == 0)
        return true;
    if (waiting_launch(w, &l))
        refuse(s, &l, code, false, err.text);
    return false;
}

/* It has no keeper, and two have tried in vain. */
static bool is_out_of_service(const struct slot *t)
{
    return t->failed >= 2 && !t->works;
}

static unsigned out_of_service(const struct slots *s, const char **ret_why)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->n && i < s->limit; i++)
        if (is_out_of_service(s->slot[i])) {
            *ret_why = s->slot[i]->trouble ? s->slot[i]->trouble : "its keeper does not start";
            n++;
        }
    return n;
}

/* Also without work: that it can be used again is worth to be known. */
static void mend(struct slots *s)
{
    for (unsigned i = 0; i < s->n && i < s->limit; i++)
        if (is_out_of_service(s->slot[i]) && may_be_kept(s, s->slot[i]))
            keep(s, s->slot[i]);
}

/* Where no slot can be used, nothing that waits here will start: others may run it. */
static void give_up(struct slots *s)
{
    const char *why;
    struct s_launch l;
    struct s_kept k;
    struct slot_step h;
    if (!s->queue.first || !s->limit || out_of_service(s, &why) < s->limit)
        return;
    while (s->queue.first) {
        struct waiting *w = waiting_take(&s->queue, &s->queue.first);
        if (waiting_launch(w, &l)) {
            slot_step_of(&l, &h);
            slot_step_kept(&h, 0, KEPT_NOWHERE, &k);
            s->events.gone(s->events.self, &k, false);
        }
        waiting_free(&w);
    }
}

static void dispatch(struct slots *s)
{
    struct waiting **at;
    struct slot *t;
    struct s_launch l;
    bool behind = false;
    while ((at = first_ready(s)) && (t = choose(s))) {
        struct waiting *w = waiting_take(&s->queue, at);
        struct slot_step h;
        if (still_may(s, w) && waiting_launch(w, &l)) {
            slot_step_of(&l, &h);
            if (t->n == 0)
                t->since = loop_now(s->loop);
            slot_hold(t, &h);
            slot_send(t, buf_span(&w->launch));
        }
        waiting_free(&w);
    }
    give_up(s);
    mend(s);
    for (unsigned i = 0; i < s->n; i++)
        behind |= s->slot[i]->n > 1;
    if (behind)
        look_again(s, TAKE_BACK_MS);
}

/* Takes back a step that waits behind a long one while a slot is idle. */
static void take_back(struct slots *s)
{
    int64_t now = loop_now(s->loop);
    struct slot *idle = least_busy(s);
    struct s_kept k;
    if (first_ready(s) || !idle || (idle->n && !(s->n < s->limit)))
        return;
    for (unsigned i = 0; i < s->n; i++) {
        struct slot *t = s->slot[i];
        struct slot_step *h = t->n > 1 ? &t->held[t->n - 1] : NULL;
        if (!h || h->runs || h->wanted_back || now - t->since < TAKE_BACK_MS)
            continue;
        h->wanted_back = true;
        slot_step_kept(h, t->number, KEPT_WAITS, &k);
        buf_clear(&s->scratch);
        s_kept_encode(&k, &s->scratch);
        slot_send(t, buf_span(&s->scratch));
        return;
    }
}

static void on_timer(struct loop *l, struct loop_timer *timer, void *arg)
{
    (void)l;
    (void)timer;
    struct slots *s = arg;
    take_back(s);
    dispatch(s);
}

/* ---- Reports from the slots */

static void on_gone(void *self, struct slot *t, const struct slot_step *h)
{
    struct slots *s = self;
    struct s_kept k;
    slot_step_kept(h, t->number, KEPT_GONE, &k);
    s->events.gone(s->events.self, &k, h->runs || launched_find(s->paths->spool, t->number, &k));
}

static void on_begun(void *self, struct slot *t, const struct slot_step *h)
{
    struct slots *s = self;
    struct s_kept k;
    slot_step_kept(h, t->number, KEPT_RUNS, &k);
    s->events.begun(s->events.self, &k);
}

static void on_ended(void *self, int64_t ms)
{
    struct slots *s = self;
    double by = (double)ms - s->average_ms;
    s->average_ms += by / (by < 0 ? 8 : 2); /* slow to conclude that steps are short */
}

static void on_given_back(void *self, struct span launch)
{
    struct slots *s = self;
    waiting_put_first(&s->queue, launch);
}

/* A keeper of an earlier version that has nothing left to do makes room for one of ours. Its guard
 * cleans up. */
static void retire(struct slot *t)
{
    pid_t pid = t->channel ? channel_peer_pid(t->channel) : 0;
    if (pid <= 1 || !t->heard || t->n || t->version >= KEEPER_PROTOCOL)
        return;
    log_info("slot %u: its keeper is of an earlier version and idle: another one takes its place",
             t->number);
    if (kill(pid, SIGKILL) < 0)
        log_warn("slot %u: its keeper cannot be ended: %s", t->number, strerror(errno));
}

static void on_outcome(void *self, const struct s_ended *e, bool launched)
{
    struct slots *s = self;
    s->events.outcome(s->events.self, e, launched);
}

static void on_over(void *self, struct slot *t, const struct slot_step *h)
{
    struct slots *s = self;
    struct s_kept k;
    slot_step_kept(h, t->number, KEPT_GONE, &k);
    s->events.over(s->events.self, &k);
}

static void on_trouble(void *self)
{
    struct slots *s = self;
    const char *why = "";
    unsigned n = out_of_service(s, &why);
    s->events.trouble(s->events.self, n, why);
}

static void on_turn(void *self)
{
    struct slots *s = self;
    for (unsigned i = 0; i < s->n; i++)
        retire(s->slot[i]);
    dispatch(s);
}

/* ---- For the owner */

struct slots *slots_new(const struct runner_paths *paths, struct loop *loop, struct report *report,
                        const struct slots_events *events)
{
    struct slots *s = mem_zalloc(1, sizeof *s);
    s->paths = paths;
    s->loop = loop;
    s->report = report;
    s->events = *events;
    s->slot_events = (struct slot_events){
        on_gone, on_begun, on_ended, on_given_back, on_outcome, on_over, on_trouble, on_turn, s};
    waiting_init(&s->queue);
    s->average_ms = AHEAD_MS;
    return s;
}

void slots_free(struct slots **ps)
{
    struct slots *s = *ps;
    if (!s)
        return;
    loop_timer_stop(s->loop, &s->timer);
    while (s->queue.first) {
        struct waiting *w = waiting_take(&s->queue, &s->queue.first);
        waiting_free(&w);
    }
    for (unsigned i = 0; i < s->n; i++) {
        struct slot *t = s->slot[i];
        channelloop_close(&t->channel, s->loop);
        slotfile_close(&t->file);
        mem_free(&t->held);
        mem_free(&t->trouble);
        mem_free(&s->slot[i]);
    }
    mem_free(&s->slot);
    buf_free(&s->scratch);
    mem_free(ps);
}

void slots_tell_trouble(struct slots *s)
{
    on_trouble(s);
}

void slots_resize(struct slots *s, unsigned n)
{
    s->limit = n;
    dispatch(s);
}

void slots_take(struct slots *s, struct span launch)
{
    waiting_put(&s->queue, launch, loop_now(s->loop));
    dispatch(s);
}

static void drop_waiting(struct slots *s, const struct s_halt *h)
{
    struct s_launch l;
    for (struct waiting **at = &s->queue.first; *at;) {
        if (!waiting_launch(*at, &l) || !id_eq(l.run, h->run) || l.attempt != h->attempt) {
            at = &(*at)->next;
            continue;
        }
        refuse(s, &l, REFUSAL_NONE, true,
               h->timed_out ? "its time ran out before it could start"
                            : "cancelled before it could start");
        struct waiting *w = waiting_take(&s->queue, at);
        waiting_free(&w);
    }
}

void slots_halt(struct slots *s, const struct s_halt *h)
{
    struct buf message = {0};
    drop_waiting(s, h);
    s_halt_encode(h, &message);
    for (unsigned i = 0; i < s->n; i++) {
        struct slot *t = s->slot[i];
        bool here = t->channel && !t->heard; /* it may be */
        for (unsigned j = 0; j < t->n; j++)
            here |= id_eq(t->held[j].run, h->run) && t->held[j].attempt == h->attempt;
        if (here)
            slot_send(t, buf_span(&message));
    }
    buf_free(&message);
}

unsigned slots_list(struct slots *s, slots_kept_fn *fn, void *self)
{
    struct s_kept k;
    struct s_launch l;
    struct slot_step h;
    unsigned n = 0;
    for (unsigned i = 0; i < s->n; i++)
        for (unsigned j = 0; j < s->slot[i]->n; j++, n++) {
            slot_step_kept(&s->slot[i]->held[j], i + 1,
                           s->slot[i]->held[j].runs ? KEPT_RUNS : KEPT_WAITS, &k);
            fn(self, &k);
        }
    for (const struct waiting *w = s->queue.first; w; w = w->next)
        if (waiting_launch(w, &l)) {
            slot_step_of(&l, &h);
            slot_step_kept(&h, 0, KEPT_WAITS, &k);
            fn(self, &k);
            n++;
        }
    return n;
}

bool slots_hold_any(const struct slots *s, struct id run)
{
    for (unsigned i = 0; i < s->n; i++)
        for (unsigned j = 0; j < s->slot[i]->n; j++)
            if (id_eq(s->slot[i]->held[j].run, run))
                return true;
    return waiting_has_run(&s->queue, run);
}

bool slots_hold(const struct slots *s, const struct s_step *step)
{
    for (unsigned i = 0; i < s->n; i++)
        for (unsigned j = 0; j < s->slot[i]->n; j++) {
            const struct slot_step *h = &s->slot[i]->held[j];
            if (id_eq(h->run, step->run) && h->attempt == step->attempt &&
                h->try_no == step->try_no && span_eq_str(step->step, h->step))
                return true;
        }
    return waiting_has(&s->queue, step);
}

/* ---- After a restart */

static void adopt(struct slots *s, unsigned number, const char *path)
{
    struct error err = {0};
    struct s_attach a = {.version = KEEPER_PROTOCOL};
    struct slot *t = slot_at(s, number);
    struct channel *c;
    if (channel_connect(path, &c, &err) < 0 || slot_open(t, c, &err) < 0)
        return; /* its keeper is dead; the guard cleans up */
    open_file(s->paths, t);
    buf_clear(&s->scratch);
    s_attach_encode(&a, &s->scratch);
    slot_send(t, buf_span(&s->scratch));
    slot_flush(t);
}

static bool all_heard(const struct slots *s)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->slot[i]->channel && !s->slot[i]->heard)
            return false;
    return true;
}

static void add_from_spool(void *self, const struct s_kept *k)
{
    slot_take_kept(self, k, false);
}

/* For a keeper that does not answer: the spool tells what it runs, our file what waits there. */
static void answer_for(struct slots *s, struct slot *t)
{
    struct slot_step h;
    struct s_kept k;
    launched_open(s->paths->spool, t->number, add_from_spool, t);
    for (unsigned at = 0; slotfile_next(t->file, &at, &h);) {
        slot_step_kept(&h, t->number, KEPT_WAITS, &k);
        if (!launched_find(s->paths->spool, t->number, &k))
            slot_take_kept(t, &k, false);
    }
}

/* The N of "keeper-N.sock"; 0: another name. */
static unsigned number_of(const char *name)
{
    static const char stem[] = "keeper-";
    char *end;
    if (strncmp(name, stem, sizeof stem - 1) != 0)
        return 0;
    unsigned long n = strtoul(name + sizeof stem - 1, &end, 10);
    return strcmp(end, ".sock") == 0 && n <= LIMIT_SLOTS ? (unsigned)n : 0;
}

int slots_adopt(struct slots *s, struct error *err)
{
    DIR *d = opendir(s->paths->keepers);
    if (!d)
        return error_errno(err, errno, "cannot read the folder '%s'", s->paths->keepers);
    for (struct dirent *e; (e = readdir(d));) {
        unsigned number = number_of(e->d_name);
        if (!number)
            continue;
        char *path = runner_paths_of_slot(s->paths->keepers, "keeper", number, ".sock");
        adopt(s, number, path);
        mem_free(&path);
    }
    closedir(d);
    int64_t until = clock_boot_ms() + ADOPT_MS;
    while (!all_heard(s) && clock_boot_ms() < until)
        if (loop_turn(s->loop, until, err) < 0)
            return -EIO;
    for (unsigned i = 0; i < s->n; i++)
        if (s->slot[i]->channel && !s->slot[i]->heard) {
            log_warn("the keeper of slot %u does not answer; what it runs and holds is taken from "
                     "our files",
                     i + 1);
            answer_for(s, s->slot[i]);
        }
    return 0;
}
