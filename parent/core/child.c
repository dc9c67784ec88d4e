/* child.c - one instance of a task, from its call to its end, and the counters of its task. */
#include "parent/core/inside.h"

/* The total in which a child that is asked or live counts. */
static uint64_t *bucket(struct pcore *c, const struct child_record *k)
{
    if (k->state == CHILD_ASKED)
        return &c->totals.asked;
    switch ((enum run_state)k->run_state) {
    case RUN_WAITING:
    case RUN_HANDED_OVER:
        return &c->totals.waiting;
    case RUN_PARKED:
        return &c->totals.parked;
    default:
        return &c->totals.running;
    }
}

static void set_text(struct child_record *k, struct span text)
{
    if (text.n > CHILD_TEXT_KEPT) {
        text.n = CHILD_TEXT_KEPT;
        while (text.n && (text.p[text.n] & 0xc0) == 0x80) /* not in the middle of a character */
            text.n--;
    }
    mem_free(&k->text);
    if (text.n)
        k->text = span_dup_str(text);
}

void child_free(struct child_record *k)
{
    mem_free(&k->text);
    mem_free(&k->outputs);
}

void child_call(struct pcore *c, struct child_record *k)
{
    k->state = CHILD_ASKED;
    k->called_at = c->now;
    k->prev = c->last;
    k->next = NULL;
    *(c->last ? &c->last->next : &c->first) = k;
    c->last = k;
    c->in_flight++;
    c->totals.asked++;
}

/* No longer asked or live. */
static void unlink_child(struct pcore *c, struct child_record *k)
{
    --*bucket(c, k);
    *(k->prev ? &k->prev->next : &c->first) = k->next;
    *(k->next ? &k->next->prev : &c->last) = k->prev;
    k->prev = k->next = NULL;
    c->in_flight--;
}

static void was_called(struct pcore *c, struct child_record *k)
{
    if (!k->called) {
        k->called = true;
        c->tasks[k->task].ok[LAYER_DELIVERY]++;
        constraint_touch(c, k->task);
    }
}

void child_cancel(struct pcore *c, struct child_record *k)
{
    k->cancel_asked = true;
    if (k->state == CHILD_LIVE)
        pcore_fx(c, PCORE_FX_CANCEL, k->task, k->index)->run = k->run;
}

void child_run(struct pcore *c, struct child_record *k, const struct pcore_event *ev)
{
    bool accepted = k->state == CHILD_ASKED;
    if ((!accepted && k->state != CHILD_LIVE) || ev->state >= RUN_ENDED)
        return;
    enum child_news news = accepted || k->run_state != ev->state ? NEWS_STATE : NEWS_PROGRESS;
    --*bucket(c, k);
    k->state = CHILD_LIVE;
    k->run = ev->run;
    k->run_state = (uint8_t)ev->state;
    k->attempt = (uint32_t)ev->attempt;
    k->percent = (uint8_t)(ev->percent > 100 ? 100 : ev->percent);
    if (ev->server && *ev->server)
        k->server = pcore_name_keep(c, ev->server);
    set_text(k, span_str(ev->text));
    ++*bucket(c, k);
    if (ev->state == RUN_RUNNING) {
        k->started_at = k->started_at ? k->started_at : c->now;
        was_called(c, k);
        if (k->attempt_told != k->attempt)
            news = NEWS_STARTED;
        k->attempt_told = k->attempt;
    }
    pcore_fx(c, PCORE_FX_CHILD, k->task, k->index)->news = news;
    if (accepted && k->cancel_asked)
        child_cancel(c, k);
}

/* Counts the child in each layer. A delivery counts even if a later attempt was not delivered. */
static void count_layers(struct task *t, const struct child_record *k)
{
    bool job = k->job == JOB_SUCCEEDED;
    bool good[LAYER_COUNT] = {
        [LAYER_PACKAGE] =
            k->package == PACKAGE_SUCCEEDED || (k->package == PACKAGE_NOT_EXECUTED && job),
        [LAYER_JOB] = job,
        [LAYER_DELIVERY] = k->called,
    };
    for (unsigned l = 0; l < LAYER_COUNT; l++) {
        if (!good[l] && t->bad[l]++ == 0)
            t->first_bad[l] = k->index;
        if (good[l] && l != LAYER_DELIVERY) /* was_called has counted it already */
            t->ok[l]++;
    }
}

/* Call it when the child's layers and texts are set. */
static void finish(struct pcore *c, struct child_record *k)
{
    struct task *t = &c->tasks[k->task];
    if (k->state != CHILD_UNCALLED)
        unlink_child(c, k);
    k->state = CHILD_ENDED;
    if (k->delivery == DELIVERY_CALLED)
        was_called(c, k);
    count_layers(t, k);
    t->ended++;
    c->totals.ended++;
    if (k->status == STATUS_SUCCEEDED) {
        t->succeeded++;
        c->totals.succeeded++;
    } else if (!c->graph->tasks[k->task].may_fail) {
        c->totals.verdict = STATUS_FAILED;
    }
    if (t->ended == t->count)
        t->state = TASK_ENDED;
    constraint_touch(c, k->task);
    pcore_fx(c, PCORE_FX_CHILD, k->task, k->index)->news = NEWS_ENDED;
}

static void keep_outputs(struct pcore *c, struct child_record *k, const struct wire_list *outputs)
{
    if (!outputs->count ||
        (outputs->items.n > PCORE_OUTPUTS_KEPT && !c->tasks[k->task].outputs_wanted))
        return;
    k->outputs = mem_dup(outputs->items.p, outputs->items.n);
    k->outputs_size = (uint32_t)outputs->items.n;
    k->n_outputs = outputs->count;
}

struct span child_message(const struct d_outcome *o)
{
    struct wire_iter it = wire_iter(&o->steps);
    struct span item, message = SPAN_NONE;
    struct d_step_outcome step;
    while (wire_next(&it, &item))
        if (d_step_outcome_decode(item, &step, NULL) == 0 && step.message.n &&
            (step.package != PACKAGE_SUCCEEDED || o->status == STATUS_SUCCEEDED))
            message = step.message;
    return message.n ? message : o->message;
}

void child_ended(struct pcore *c, struct child_record *k, const struct pcore_event *ev)
{
    const struct d_outcome *o = ev->outcome;
    if (k->state != CHILD_ASKED && k->state != CHILD_LIVE)
        return;
    if (!id_is_zero(ev->run))
        k->run = ev->run;
    if (ev->attempt)
        k->attempt = (uint32_t)ev->attempt;
    k->delivery = (uint8_t)(o->delivery < DELIVERY_COUNT ? o->delivery : DELIVERY_UNREACHABLE);
    k->job = (uint8_t)(o->job < JOB_COUNT ? o->job : JOB_UNKNOWN);
    k->package = (uint8_t)(o->package < PACKAGE_COUNT ? o->package : PACKAGE_UNKNOWN);
    k->status = (uint8_t)(o->status < STATUS_COUNT ? o->status : STATUS_UNKNOWN);
    if (ev->server && *ev->server)
        k->server = pcore_name_keep(c, ev->server);
    k->started_at = o->started_at ? o->started_at : k->started_at;
    k->ended_at = o->ended_at ? o->ended_at : c->now;
    set_text(k, child_message(o));
    keep_outputs(c, k, &o->outputs);
    finish(c, k);
}

void child_refused(struct pcore *c, struct child_record *k, enum delivery delivery,
                   const char *text)
{
    if (k->state == CHILD_ENDED)
        return;
    k->delivery = (uint8_t)delivery;
    k->job = JOB_NOT_CALLED;
    k->package = PACKAGE_NOT_EXECUTED;
    k->status = delivery == DELIVERY_REFUSED ? STATUS_REFUSED : STATUS_UNREACHABLE;
    k->ended_at = c->now;
    set_text(k, span_str(text));
    finish(c, k);
}
