/* strays.c - strays: attempts that a server still has but that no longer count.
 *
 * The server is told to end them, with one exception. A person decides about a held run, judging by
 * what its last attempt does. So that attempt goes on, its result is evidence, and the server that
 * has it is remembered until the decision. Then that server is told to end it, at once and again
 * after the HAVE of each later session. */
#include <stdio.h>
#include <string.h>

#include "broker/core/inside.h"

static void stop(struct bcore *c, uint64_t peer, uint64_t rests_on, struct id run, uint64_t attempt,
                 bool force)
{
    SEND(c, peer, rests_on, stop, .run = run, .attempt = attempt, .force = force,
         .reason = span_str("this attempt no longer counts"));
}

static struct stray **find(struct run *r, const struct peer_state *p)
{
    struct stray **at = &r->strays;
    while (*at && (*at)->server_name != p->server->name)
        at = &(*at)->next;
    return at;
}

static void drop(struct bcore *c, struct stray **at)
{
    struct stray *s = *at;
    *at = s->next;
    text_put(c, &s->server_name);
    mem_free(&s);
}

static void remember(const struct peer_state *p, struct run *r, uint64_t attempt)
{
    struct stray **at = find(r, p);
    if (!*at) {
        *at = mem_zalloc(1, sizeof **at);
        (*at)->server_name = text_ref(p->server->name);
    }
    (*at)->peer = p->handle;
    (*at)->attempt = attempt;
}

/* After a backup is restored it is unknown which attempt was the last, so all go on. Of other runs,
 * all attempts but the last end at once and without their `always` steps, because another attempt
 * of the run may be executing, perhaps one that is also lost, and two must never execute at the
 * same time. Only the last attempt of a run that has ended may clean up. The end or release of the
 * run is on disk before any attempt is ended. */
void stray_met(struct bcore *c, const struct peer_state *p, struct id run, uint64_t attempt)
{
    struct run *r = run_find(c, run);
    const struct kept *k = r ? NULL : kept_by_id(c, run);
    if (r && r->state == RUN_HELD && (r->restored || attempt == r->attempt))
        remember(p, r, attempt);
    else
        stop(c, p->handle, r ? r->lsn : k ? k->lsn : 0, run, attempt, !k || attempt != k->attempt);
}

void stray_over(struct bcore *c, const struct peer_state *p, struct id run, uint64_t attempt)
{
    struct run *r = run_find(c, run);
    struct stray **at = r ? find(r, p) : NULL;
    if (at && *at && (*at)->attempt == attempt)
        drop(c, at);
}

void strays_end(struct bcore *c, const struct run *r, bool force)
{
    for (const struct stray *s = r->strays; s; s = s->next)
        if (bcore_peer_find(c, s->peer))
            stop(c, s->peer, r->lsn, r->id, s->attempt, force || s->attempt != r->attempt);
}

bool strays_text(const struct bcore *c, const struct run *r, char *ret, size_t size)
{
    size_t n = 0;
    ret[0] = '\0';
    for (const struct stray *s = r->strays; s && n < size; s = s->next)
        if (bcore_peer_find(c, s->peer))
            n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? ", " : "", s->server_name->s);
    return n > 0;
}

void strays_forget(struct bcore *c, struct run *r)
{
    while (r->strays)
        drop(c, &r->strays);
}
