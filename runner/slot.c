/* slot.c - see slot.h. */
#include "runner/slot.h"

#include <string.h>

#include "common/channelloop.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/attach.h"
#include "runner/slotfile.h"

/* ---- Steps */

void slot_step_of(const struct s_launch *l, struct slot_step *ret)
{
    *ret = (struct slot_step){.run = l->run,
                              .attempt = l->attempt,
                              .try_no = l->try_no,
                              .identity = l->identity,
                              .expires = l->expires};
    span_copy_str(l->step, ret->step, sizeof ret->step);
}

void slot_step_kept(const struct slot_step *h, unsigned slot, enum kept_state state,
                    struct s_kept *ret)
{
    *ret = (struct s_kept){.slot = slot,
                           .run = h->run,
                           .attempt = h->attempt,
                           .step = span_str(h->step),
                           .try_no = h->try_no,
                           .state = state,
                           .identity = h->identity,
                           .expires = h->expires};
}

static bool is_of(const struct slot_step *h, const struct s_kept *k)
{
    return id_eq(h->run, k->run) && h->attempt == k->attempt && h->try_no == k->try_no &&
           span_eq_str(k->step, h->step);
}

static struct slot_step *find(struct slot *t, const struct s_kept *k)
{
    for (unsigned i = 0; i < t->n; i++)
        if (is_of(&t->held[i], k))
            return &t->held[i];
    return NULL;
}

void slot_hold(struct slot *t, const struct slot_step *h)
{
    t->held = mem_realloc(t->held, t->n + 1, sizeof *t->held);
    t->held[t->n] = *h;
    t->n++;
    slotfile_put(t->file, h);
}

static void let_go(struct slot *t, struct slot_step *h)
{
    unsigned i = (unsigned)(h - t->held);
    slotfile_drop(t->file, h);
    memmove(h, h + 1, (t->n - i - 1) * sizeof *h);
    t->n--;
}

/* ---- Speaking with the keeper */

/* Each is tried again, less and less often: what is in the way may be cleared at any time. */
static void failed(struct slot *t)
{
    int64_t ms = SLOT_AGAIN_MS;
    for (unsigned i = 0; i < t->failed && ms < SLOT_AGAIN_MS_MAX; i++)
        ms *= 2;
    t->failed++;
    t->not_before = loop_now(t->loop) + (ms < SLOT_AGAIN_MS_MAX ? ms : SLOT_AGAIN_MS_MAX);
    t->events->trouble(t->events->self);
}

/* A keeper that works after all; the trouble of one that has just left stays until the next. */
static void works(struct slot *t)
{
    bool had = t->failed || t->trouble;
    if (t->works)
        return;
    t->works = true;
    t->failed = 0;
    mem_free(&t->trouble);
    if (had)
        t->events->trouble(t->events->self);
}

static void take_trouble(struct slot *t, const struct s_trouble *m)
{
    mem_free(&t->trouble);
    t->trouble = span_dup_str(m->text);
    t->works = false;
    log_error("slot %u is out of service: %s", t->number, t->trouble);
}

void slot_lost(struct slot *t)
{
    if (!t->channel)
        return;
    channelloop_close(&t->channel, t->loop);
    if (t->n)
        log_warn("the keeper of slot %u has died, with %u steps", t->number, t->n);
    for (unsigned i = 0; i < t->n; i++)
        t->events->gone(t->events->self, t, &t->held[i]);
    t->n = 0;
    slotfile_clear(t->file);
    t->heard = t->written = false;
    t->version = 0;
    if (!t->works)
        failed(t);
}

void slot_send(struct slot *t, struct span message)
{
    struct error err = {0};
    if (!t->channel)
        return;
    if (channel_queue(t->channel, message, &err) < 0) {
        log_error("slot %u: %s", t->number, err.text);
        slot_lost(t);
    } else
        t->written = true;
}

void slot_flush(struct slot *t)
{
    t->written = false;
    if (t->channel && channelloop_flush(t->channel, t->loop, NULL) < 0)
        slot_lost(t);
}

static void end(struct slot *t, struct slot_step *h)
{
    struct slot_step gone = *h;
    if (h->runs) {
        t->events->ended(t->events->self, loop_now(t->loop) - t->since);
        t->since = loop_now(t->loop);
    }
    let_go(t, h);
    t->events->over(t->events->self, t, &gone);
}

void slot_take_kept(struct slot *t, const struct s_kept *k, bool told)
{
    struct slot_step *h = find(t, k);
    if (h && !h->runs && k->state != KEPT_WAITS) /* what ends without a word has begun, too */
        t->events->begun(t->events->self, t, h);
    if (k->state == KEPT_GONE) {
        if (h)
            end(t, h);
        return;
    }
    if (!h) { /* of an earlier runner */
        struct slot_step fresh = {.run = k->run,
                                  .attempt = k->attempt,
                                  .try_no = k->try_no,
                                  .identity = k->identity,
                                  .expires = k->expires};
        span_copy_str(k->step, fresh.step, sizeof fresh.step);
        slot_hold(t, &fresh);
        h = &t->held[t->n - 1];
    }
    h->told |= told;
    if (k->state == KEPT_RUNS) {
        struct slot_step runs = *h;
        runs.runs = true;
        memmove(t->held + 1, t->held, (size_t)(h - t->held) * sizeof *t->held);
        t->held[0] = runs; /* what runs is always the first */
    }
}

/* The keeper has reported everything it holds. A step that our files listed while it was silent,
 * and that it does not confirm, has ended meanwhile or never reached it. */
static void hear_all(struct slot *t)
{
    struct slot_step h;
    struct s_kept k;
    for (unsigned i = t->n; !t->heard && i-- > 0;)
        if (!t->held[i].told) {
            h = t->held[i];
            let_go(t, &t->held[i]);
            t->events->gone(t->events->self, t, &h);
        }
    for (unsigned at = 0; !t->heard && slotfile_next(t->file, &at, &h);) {
        slot_step_kept(&h, t->number, KEPT_WAITS, &k);
        if (!find(t, &k))
            slotfile_drop(t->file, &h);
    }
    t->heard = true;
}

static void take_given_back(struct slot *t, const struct s_launch *l, struct span message)
{
    struct s_kept k = {.run = l->run, .attempt = l->attempt, .step = l->step, .try_no = l->try_no};
    struct slot_step *h = find(t, &k);
    if (!h)
        return;
    let_go(t, h);
    t->events->given_back(t->events->self, message);
}

bool slot_speaks(const struct slot *t)
{
    return t->version >= KEEPER_PROTOCOL_MIN && t->version <= KEEPER_PROTOCOL;
}

static void take_version(struct slot *t, uint64_t version)
{
    t->version = version;
    if (!slot_speaks(t))
        log_error(
            "slot %u: its keeper speaks version %llu, this runner %d to %d: the slot is out of "
            "service until that keeper is ended; install the release that started it, or "
            "kill it once its child has ended",
            t->number, (unsigned long long)version, (int)KEEPER_PROTOCOL_MIN, (int)KEEPER_PROTOCOL);
}

static void take_ended(struct slot *t, const struct s_ended *e)
{
    struct d_step_outcome o;
    if (wire_decode(&d_step_outcome_schema, e->outcome, true, &o, NULL) < 0)
        return;
    struct s_kept k = {.run = e->run, .attempt = e->attempt, .step = o.name, .try_no = o.try_no};
    struct slot_step *h = find(t, &k);
    if (h)
        t->events->outcome(t->events->self, e, h->runs);
}

static void take_message(struct slot *t, struct span message)
{
    struct error err = {0};
    struct s_kept kept;
    struct s_launch l;
    struct s_ended e;
    struct s_trouble trouble;
    uint64_t kind = 0;
    size_t size;
    struct s_attach a;
    int rc = wire_peek(message, &kind, &size, &err);
    if (rc == 0 && kind == KIND_S_ATTACH &&
        (rc = wire_decode(&s_attach_schema, message, true, &a, &err)) == 0)
        take_version(t, a.version);
    if (rc == 0 && !slot_speaks(t))
        return; /* what it says may mean something else */
    if (rc == 0 && kind != KIND_S_TROUBLE)
        works(t);
    if (rc == 0 && kind == KIND_S_TROUBLE &&
        (rc = wire_decode(&s_trouble_schema, message, true, &trouble, &err)) == 0)
        take_trouble(t, &trouble);
    else if (rc == 0 && kind == KIND_S_ENDED &&
             (rc = wire_decode(&s_ended_schema, message, true, &e, &err)) == 0)
        take_ended(t, &e);
    else if (rc == 0 && kind == KIND_S_KEPT &&
             (rc = wire_decode(&s_kept_schema, message, true, &kept, &err)) == 0)
        slot_take_kept(t, &kept, true);
    else if (rc == 0 && kind == KIND_S_LAUNCH &&
             (rc = wire_decode(&s_launch_schema, message, true, &l, &err)) == 0)
        take_given_back(t, &l, message);
    else if (rc == 0 && kind == KIND_S_KEPT_END)
        hear_all(t);
    if (rc < 0) {
        log_error("slot %u: from its keeper: %s", t->number, err.text);
        slot_lost(t);
    }
}

static void on_keeper(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)l;
    (void)fd;
    struct slot *t = arg;
    struct span message;
    if (events & EPOLLOUT)
        slot_flush(t);
    while (t->channel) {
        int rc = channel_receive(t->channel, &message, NULL);
        if (rc == 1)
            take_message(t, message);
        else if (rc < 0)
            slot_lost(t);
        if (rc == 0 || (t->channel && channel_is_drained(t->channel)))
            break;
    }
    t->events->turn(t->events->self);
}

int slot_open(struct slot *t, struct channel *channel, struct error *err)
{
    t->channel = channel;
    t->works = false;
    t->since = loop_now(t->loop);
    int rc = loop_add(t->loop, channel_fd(t->channel), EPOLLIN, on_keeper, t, err);
    if (rc < 0)
        channel_close(&t->channel);
    return rc;
}
