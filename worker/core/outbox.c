/* outbox.c - what the broker must be told until it says RECORDED: HAVE after each WELCOME, and
 * RESULT.
 *
 * The spool has an outcome before the broker hears of it. Each session says everything again;
 * within a session a RESULT leaves once. At most OUTBOX_BYTES are on their way, so that a
 * thousand results after an outage neither flood the queue of the session nor delay other
 * messages. */
#include "worker/core/inside.h"

#include <string.h>

static void send_result(struct wcore *c, struct wattempt *a)
{
    EMIT(c, SEND, a, m_result, .run = a->run->id, .attempt = a->attempt,
         .outcome = buf_span(&a->outcome), .executions = buf_span(&a->executions));
}

static void push(struct wcore *c)
{
    for (; c->up && c->unsent && c->in_flight < OUTBOX_BYTES; c->unsent = c->unsent->next) {
        send_result(c, c->unsent);
        c->unsent->sent = true;
        c->in_flight += attempt_result_bytes(c->unsent);
    }
}

/* Newer attempts of the run may have waited for this one to end. */
static void wake_newer(struct wcore *c, struct wrun *r)
{
    struct wattempt *a, *next;
    for (a = r->attempts; a; a = next) {
        next = a->a_next;
        if (a->state == ATTEMPT_LIVE && a->queued == NOT_QUEUED && a->n_tries == 0)
            slots_go(c, a);
    }
}

void outbox_finish(struct wcore *c, struct wattempt *a, struct span outcome)
{
    struct buf executions = {0};
    executions_of_attempt(a, &executions);
    SPOOL(c, a, s_finished, .run = a->run->id, .attempt = a->attempt, .outcome = outcome,
          .executions = buf_span(&executions));
    buf_free(&executions);
    push(c);
    if (a->run->attempts->a_next)
        wake_newer(c, a->run);
}

void outbox_refuse(struct wcore *c, struct wattempt *a, enum refusal code, const char *text)
{
    struct buf outcome = {0};
    outcome_of_refusal(c, a, code, text, &outcome);
    outbox_finish(c, a, buf_span(&outcome));
    buf_free(&outcome);
}

void outbox_recorded(struct wcore *c, struct wattempt *a)
{
    if (a->state != ATTEMPT_FINISHED)
        return; /* we gave no outcome, so there is nothing to forget */
    struct wrun run = {.id = a->run->id};
    struct wattempt gone = {.run = &run, .attempt = a->attempt};
    SPOOL(c, a, s_recorded, .run = run.id, .attempt = a->attempt);
    wcore_emit(c, WCORE_FX_FORGET, &gone, SPAN_NONE);
    push(c);
}

void outbox_again(struct wcore *c, struct wattempt *a)
{
    if (c->up && a->sent)
        send_result(c, a);
}

static uint64_t state_of(const struct wattempt *a)
{
    return a->state == ATTEMPT_FINISHED ? RUN_ENDED
           : attempt_launched(a)        ? RUN_RUNNING
                                        : RUN_HANDED_OVER;
}

void outbox_session(struct wcore *c)
{
    uint64_t count = 0;
    c->up = true;
    c->in_flight = 0;
    c->unsent = c->outbox;
    for (struct wrun *r = c->runs; r; r = r->hh.next) {
        struct wattempt *a;
        DL_FOREACH2 (r->attempts, a, a_next) {
            a->sent = false;
            EMIT(c, SEND, a, m_have, .run = r->id, .attempt = a->attempt, .state = state_of(a));
            count++;
            if (a->waits)
                slots_say_wait(c, a); /* after HAVE_END */
        }
    }
    EMIT(c, SEND, NULL, m_have_end, .count = count);
    push(c);
}

void outbox_returned(struct wcore *c, struct id run, uint64_t attempt, const char *reason)
{
    EMIT(c, SEND, NULL, m_returned, .run = run, .attempt = attempt, .reason = span_str(reason));
}
