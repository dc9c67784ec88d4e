/* parents.c - rows of parents: those in the core, then those in the store. */
#include <stdio.h>
#include <string.h>

#include "broker/events/json.h"
#include "broker/query/inside.h"

json_t *query_parent_head(const struct id *run, const char *state)
{
    json_t *o = json_row();
    json_set_word(o, "kind", "parent");
    json_set_id(o, "run", run);
    json_set_word(o, "state", state);
    return o;
}

/* ---- Live */
void query_parent_of(const struct view_parent *p, struct d_parent *ret)
{
    struct d_signed s;
    memset(ret, 0, sizeof *ret);
    if (d_signed_decode(p->parent, &s, NULL) == 0)
        d_parent_decode(s.body, ret, NULL); /* the core has already decoded it */
}

json_t *query_parent_json(const struct view_parent *p)
{
    json_t *o = query_parent_head(&p->id, "running");
    struct d_parent d;
    query_parent_of(p, &d);
    json_set_parent(o, &d);
    json_set_word(o, "driver", p->driver);
    json_set_number(o, "epoch", p->epoch);
    json_set_time(o, "begun_at", p->begun_at);
    json_set_word(o, "by", p->principal);
    return o;
}

static bool name_matches(const struct query *q, const char *name)
{
    return query_matches(q->name, name) && query_matches(q->job, name);
}

static bool live_matches(const struct query *q, const struct view_parent *p)
{
    char name[LIMIT_NAME + 1];
    struct d_parent d;
    span_copy_str(p->name, name, sizeof name);
    if (!name_matches(q, name) || !query_matches(q->principal, p->principal) ||
        (q->since && p->begun_at < q->since) || (q->until && p->begun_at > q->until))
        return false;
    if (id_is_zero(q->parent))
        return true;
    query_parent_of(p, &d);
    return id_eq(d.parent, q->parent);
}

/* False: the page is full before the last of them. */
static bool add_live(struct query *q)
{
    static const char MARK[] = "live ";
    struct view_parent p;
    struct id at = ID_ZERO;
    unsigned scanned = 0;
    if (*q->after && (strncmp(q->after, MARK, strlen(MARK)) != 0 ||
                      id_parse(q->after + strlen(MARK), &at, NULL) < 0))
        return true;
    q->after[0] = 0; /* the history starts from its own first page */
    while (view_parent_after(q->shell->core, &at, &p)) {
        bool taken = !live_matches(q, &p) || !query_may_see(q, p.principal, "", "all", NULL) ||
                     query_row(q, query_parent_json(&p));
        if (taken)
            at = p.id;
        if (!taken || ++scanned == QUERY_SCAN_MAX) {
            char id[ID_TEXT];
            snprintf(q->next, sizeof q->next, "%s%s", MARK, id_format(at, id));
            return false;
        }
    }
    return true;
}

/* ---- Ended */
static json_t *ended_parent_json(const struct store_ended *r)
{
    json_t *o = query_parent_head(&r->run, "ended");
    json_set_number(o, "seq", r->lsn);
    json_set_word(o, "status", status_text(r->status));
    json_set_word(o, "plan", r->job);
    json_set_word(o, "key", r->key);
    json_set_id(o, "parent", &r->parent);
    json_set_number(o, "tasks", r->index);
    json_set_time(o, "begun_at", r->called_at);
    json_set_time(o, "ended_at", r->ended_at);
    json_set_word(o, "by", r->principal);
    return o;
}

static void hear_ended(void *self, const struct store_answer *a)
{
    query_hear_page(self, a, ended_parent_json);
}

static void ask_ended(struct query *q)
{
    struct store_question ask;
    if (!query_question(q, STORE_PARENTS, &ask))
        return;
    ask.filter.job = *q->name ? q->name : q->job;
    query_ask(q, &ask, hear_ended);
}

/* A live parent has no status, so that filter gives only ended ones. */
void query_parents(struct query *q)
{
    bool live = !q->status && (!*q->state || strcmp(q->state, "running") == 0),
         ended = !*q->state || strcmp(q->state, "ended") == 0;
    if ((live && !add_live(q)) || !ended)
        query_answer(q);
    else
        ask_ended(q);
}
