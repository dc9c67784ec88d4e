/* secrets.c - who has put which secret to whom, and which servers cannot open it: `secrets`. */
#include <stdio.h>
#include <string.h>

#include "broker/events/json.h"
#include "broker/query/inside.h"
#include "broker/shell/known.h"
#include "broker/shell/rights.h"
#include "trust/secretdoc.h"

enum {
    LACKS_NAMED = 100, /* servers that a row names; the others are counted */
    ROWS_MAX = 50      /* of a page: each walks over the servers of its address */
};

/* Boxes and servers are both by name, so one walk compares them. */
struct box_walk {
    const struct shell *shell;
    struct wire_iter it;
    struct d_secret_box box;
    bool has;
    json_t *lacks;
    uint64_t have, lack;
};

static void next_box(struct box_walk *w)
{
    struct span item;
    w->has = wire_next(&w->it, &item) && d_secret_box_decode(item, &w->box, NULL) == 0;
}

static bool is_sealed_to(struct box_walk *w, const struct certificate *server)
{
    const struct span name = span_str(server->name);
    while (w->has && secretdoc_compare(w->box.server, name) < 0)
        next_box(w);
    return w->has && span_eq(w->box.server, name) && hash_eq(&w->box.seal_key, &server->seal_key);
}

static void take_server(void *self, const char *name)
{
    struct box_walk *w = self;
    const struct certificate *c = known_by_name(w->shell->known, name);
    if (!c || c->role != ROLE_SERVER || view_revoked(w->shell->core, c->serial))
        return;
    if (is_sealed_to(w, c))
        w->have++;
    else if (w->lack++ < LACKS_NAMED)
        json_array_append_new(w->lacks, json_string(name));
}

static void add_servers(const struct query *q, const struct view_secret *v,
                        const struct d_secret *d, json_t *o)
{
    struct box_walk w = {.shell = q->shell, .it = wire_iter(&d->sealed), .lacks = json_array()};
    next_box(&w);
    view_each_in_address(q->shell->core, v->address, take_server, &w);
    json_set_number(o, "servers", w.have);
    json_set_number(o, "lacking", w.lack);
    json_object_set_new(o, "lacks", w.lacks);
}

static json_t *secret_json(const struct query *q, const struct view_secret *v)
{
    struct d_signed s;
    struct d_secret d;
    json_t *o = json_row();
    json_set_word(o, "name", v->name);
    json_set_word(o, "address", v->address);
    json_set_number(o, "version", v->version);
    json_set_word(o, "by", v->by);
    json_set_time(o, "at", v->at);
    if (secretdoc_read(v->secret, &s, &d, NULL) == 0) {
        add_servers(q, v, &d, o);
        json_set_flag(o, "revoked", view_revoked(q->shell->core, s.serial));
    }
    return o;
}

/* Not what they hold, which nobody here can read. */
static bool may_see_secret(const struct query *q, const struct view_secret *v)
{
    return rights_cover(q->shell->core, q->who, VERB_SECRET, v->name, v->address) ||
           rights_cover(q->shell->core, q->who, VERB_WATCH, "", v->address);
}

void query_secrets(struct query *q)
{
    char name[LIMIT_NAME + 1] = "", address[LIMIT_ADDRESS + 1] = "";
    const char *between = strchr(q->after, ' ');
    struct view_secret v;
    if (*q->after && !between) {
        query_refuse(q, REFUSAL_BAD_ARGUMENT, QUERY_NO_CURSOR);
        return;
    }
    if (between) {
        span_copy_str(span_of(q->after, (size_t)(between - q->after)), name, sizeof name);
        span_copy_str(span_str(between + 1), address, sizeof address);
    }
    while (view_secret_after(q->shell->core, name, address, &v)) {
        const bool wanted = query_matches(q->name, v.name) &&
                            query_matches(q->address, v.address) && may_see_secret(q, &v);
        if (wanted && (q->n == ROWS_MAX || !query_row(q, secret_json(q, &v)))) {
            snprintf(q->next, sizeof q->next, "%s %s", name, address);
            break;
        }
        span_copy_str(span_str(v.name), name, sizeof name);
        span_copy_str(span_str(v.address), address, sizeof address);
    }
    query_answer(q);
}
