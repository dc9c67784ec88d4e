/* answers.c - see answers.h. */
#include "worker/answers.h"

#include <stdio.h>
#include <string.h>

#include "common/hashtable.h"
#include "common/mem.h"

#define PROXY_OF_ALL "default"

struct answers_kind {
    char *key, *proxy, *subsystem;
    struct hash package;
    uint64_t asked; /* the number of the question that waits for its answer; 0: none does */
    bool again;     /* ask once more after that */
    bool wanted;    /* since the last sweep */
    bool known;
    struct answers_said said;
    UT_hash_handle hh;
};

struct answers {
    struct loop *loop;
    struct answers_calls calls;
    struct answers_kind *kinds;
    struct loop_timer timer;
    uint64_t number;
    bool asks;   /* the runner is up and understands questions */
    bool agrees; /* it is up and does not */
};
static const struct answers_said agreed;

static void on_period(struct loop *l, struct loop_timer *t, void *arg)
{
    answers_ask_all(arg);
    loop_timer_set(l, t, "answers", loop_now(l) + ANSWERS_PERIOD_MS, on_period, arg);
}

struct answers *answers_new(struct loop *loop, const struct answers_calls *calls)
{
    struct answers *a = mem_zalloc(1, sizeof *a);
    a->loop = loop;
    a->calls = *calls;
    loop_timer_set(loop, &a->timer, "answers", loop_now(loop) + ANSWERS_PERIOD_MS, on_period, a);
    return a;
}

static void kind_free(struct answers *a, struct answers_kind *k)
{
    HASH_DEL(a->kinds, k);
    mem_free(&k->key);
    mem_free(&k->proxy);
    mem_free(&k->subsystem);
    mem_free(&k->said.refused);
    buf_free(&k->said.needs);
    mem_free(&k);
}

void answers_free(struct answers **pa)
{
    struct answers *a = *pa;
    struct answers_kind *k, *next;
    if (!a)
        return;
    loop_timer_stop(a->loop, &a->timer);
    HASH_ITER (hh, a->kinds, k, next)
        kind_free(a, k);
    mem_free(pa);
}

/* ---- Asking */

static void ask(struct answers *a, struct answers_kind *k)
{
    struct buf b = {0};
    if (!a->asks)
        return;
    if (k->asked) {
        k->again = true;
        return;
    }
    k->asked = ++a->number;
    s_probe_encode(&(struct s_probe){.number = k->asked,
                                     .proxy = span_str(k->proxy),
                                     .subsystem = span_str(k->subsystem),
                                     .package = k->package},
                   &b);
    a->calls.ask(a->calls.self, buf_span(&b));
    buf_free(&b);
}

static char *key_of(const struct d_step *s)
{
    char hex[2 * sizeof s->package.b + 1];
    return mem_printf(SPAN_FMT " " SPAN_FMT " %s", SPAN_ARG(s->proxy), SPAN_ARG(s->subsystem),
                      hex_format(s->package.b, sizeof s->package.b, hex));
}

const struct answers_said *answers_find(struct answers *a, const struct d_step *s)
{
    char *key = key_of(s);
    struct answers_kind *k;
    HASH_FIND_STR(a->kinds, key, k);
    if (!k) {
        k = mem_zalloc(1, sizeof *k);
        k->key = mem_strdup(key);
        k->proxy = span_dup_str(s->proxy);
        k->subsystem = span_dup_str(s->subsystem);
        k->package = s->package;
        HASH_ADD_KEYPTR(hh, a->kinds, k->key, strlen(k->key), k);
    }
    mem_free(&key);
    k->wanted = true;
    return k->known ? &k->said : a->agrees ? &agreed : NULL;
}

void answers_sweep(struct answers *a)
{
    struct answers_kind *k, *next;
    HASH_ITER (hh, a->kinds, k, next) {
        if (!k->wanted)
            kind_free(a, k);
        else if (!k->known && !k->asked)
            ask(a, k);
    }
    for (k = a->kinds; k; k = k->hh.next)
        k->wanted = false;
}

void answers_ask_all(struct answers *a)
{
    struct answers_kind *k;
    for (k = a->kinds; k; k = k->hh.next)
        ask(a, k);
}

void answers_runner_up(struct answers *a, bool speaks)
{
    a->asks = speaks;
    a->agrees = !speaks;
    for (struct answers_kind *k = a->kinds; k; k = k->hh.next) {
        k->asked = 0; /* of the runner before */
        k->again = false;
        ask(a, k);
    }
    if (a->agrees)
        a->calls.changed(a->calls.self);
}

void answers_runner_down(struct answers *a)
{
    a->asks = false;
}

/* ---- Answers */

void answers_name(struct span need, struct span proxy, char ret[LIMIT_SHORT + 1])
{
    if (span_eq_str(proxy, PROXY_OF_ALL) || proxy.n > LIMIT_NAME)
        snprintf(ret, LIMIT_SHORT + 1, SPAN_FMT, SPAN_ARG(need));
    else
        snprintf(
            ret, LIMIT_SHORT + 1, "%.*s for proxy " SPAN_FMT,
            (int)(need.n < LIMIT_SHORT - LIMIT_NAME - 11 ? need.n : LIMIT_SHORT - LIMIT_NAME - 11),
            (const char *)need.p, SPAN_ARG(proxy));
}

static bool is_same_answer(const struct answers_said *x, const struct answers_said *y)
{
    const struct wire_list xs = wire_list_from(&x->needs, x->n_needs),
                           ys = wire_list_from(&y->needs, y->n_needs);
    struct wire_iter i = wire_iter(&xs), j = wire_iter(&ys);
    struct span one, other;
    struct d_need a, b;
    if (!x->refused != !y->refused || (x->refused && strcmp(x->refused, y->refused) != 0) ||
        x->n_needs != y->n_needs)
        return false;
    while (wire_next(&i, &one) && wire_next(&j, &other))
        if (d_need_decode(one, &a, NULL) < 0 || d_need_decode(other, &b, NULL) < 0 ||
            !span_eq(a.need, b.need) || a.holds != b.holds || !span_eq(a.trouble, b.trouble))
            return false;
    return true;
}

static void take_needs(const struct answers_kind *k, const struct s_probed *m,
                       struct answers_said *ret)
{
    struct buf one = {0};
    struct span item;
    struct d_need d;
    char name[LIMIT_SHORT + 1];
    for (struct wire_iter it = wire_iter(&m->needs); wire_next(&it, &item);) {
        if (d_need_decode(item, &d, NULL) < 0)
            continue;
        answers_name(d.need, span_str(k->proxy), name);
        d.need = span_str(name);
        buf_clear(&one);
        d_need_encode(&d, &one);
        wire_add_bin(&ret->needs, buf_span(&one));
        ret->n_needs++;
    }
    buf_free(&one);
}

void answers_take(struct answers *a, const struct s_probed *m)
{
    struct answers_said said = {0};
    struct answers_kind *k = a->kinds;
    while (k && k->asked != m->number)
        k = k->hh.next;
    if (!k || !m->number)
        return; /* the jobs that asked are gone */
    k->asked = 0;
    if (m->code)
        said.refused = span_dup_str(m->text);
    else
        take_needs(k, m, &said);
    const bool changed = !k->known || !is_same_answer(&k->said, &said);
    mem_free(&k->said.refused);
    buf_free(&k->said.needs);
    k->said = said;
    k->known = true;
    if (k->again) {
        k->again = false;
        ask(a, k);
    }
    if (changed)
        a->calls.changed(a->calls.self);
}

/* Into a list in which each name is once. */
static void merge(struct buf *items, uint32_t *count, const struct d_need *d)
{
    struct wire_list so_far = wire_list_from(items, *count);
    struct buf all = {0}, one = {0};
    struct span item;
    struct d_need old;
    bool found = false;
    for (struct wire_iter it = wire_iter(&so_far); wire_next(&it, &item);) {
        if (!found && d_need_decode(item, &old, NULL) == 0 && span_eq(old.need, d->need)) {
            found = true;
            if (old.holds && !d->holds) { /* the one that does not counts */
                d_need_encode(d, &one);
                item = buf_span(&one);
            }
        }
        wire_add_bin(&all, item);
    }
    if (!found && *count < LIMIT_NEEDS) {
        d_need_encode(d, &one);
        wire_add_bin(&all, buf_span(&one));
        ++*count;
    }
    buf_free(&one);
    buf_free(items);
    *items = all;
}

struct wire_list answers_needs(const struct answers *a, struct buf *items)
{
    uint32_t count = 0;
    struct span item;
    struct d_need d;
    for (const struct answers_kind *k = a->kinds; k; k = k->hh.next) {
        const struct wire_list needs = wire_list_from(&k->said.needs, k->said.n_needs);
        for (struct wire_iter it = wire_iter(&needs); wire_next(&it, &item);)
            if (d_need_decode(item, &d, NULL) == 0)
                merge(items, &count, &d);
    }
    return wire_list_from(items, count);
}
