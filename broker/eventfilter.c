/* eventfilter.c - which events a subscription asked for. Pure. */
#include <errno.h>

#include "broker/events.h"
#include "common/suggest.h"

static const char *const KEYS[] = {"server", "job", "parent", "run", "status", "event", NULL};

static bool text_matches(struct span pattern, const char *text)
{
    char glob[LIMIT_SHORT + 1];
    return span_copy_str(pattern, glob, sizeof glob) && glob_matches(glob, span_str(text));
}

static bool one_matches(struct span key, struct span value, const struct event *e)
{
    struct id id;
    if (span_eq_str(key, "server"))
        return text_matches(value, e->server);
    if (span_eq_str(key, "job"))
        return text_matches(value, e->job);
    if (span_eq_str(key, "status"))
        return e->status >= 0 && span_eq_str(value, status_text((uint64_t)e->status));
    if (span_eq_str(key, "event"))
        return span_eq_str(value, e->word);
    if (id_parse_span(value, &id, NULL) < 0)
        return false;
    if (span_eq_str(key, "parent"))
        return id_eq(id, e->parent) || id_eq(id, e->run); /* the parent's own events too */
    return id_eq(id, e->run);
}

bool events_match(const struct wire_list *where, const struct event *e)
{
    struct wire_iter it = wire_iter(where);
    struct span key;
    struct value v, item;
    while (wire_next_pair(&it, &key, &v)) {
        bool any = v.type == VALUE_STR && one_matches(key, v.bytes, e);
        if (v.type == VALUE_LIST) {
            struct span rest = v.items.items;
            for (uint32_t i = 0; i < v.items.count && !any && value_read(&rest, &item); i++)
                any = item.type == VALUE_STR && one_matches(key, item.bytes, e);
        }
        if (!any)
            return false;
    }
    return true;
}

int events_check_filter(const struct wire_list *where, struct error *err)
{
    struct wire_iter it = wire_iter(where);
    struct span key;
    struct value v;
    while (wire_next_pair(&it, &key, &v)) {
        char name[LIMIT_NAME + 1], hint[SUGGEST_TEXT];
        bool known = false;
        span_copy_str(key, name, sizeof name);
        for (unsigned i = 0; KEYS[i]; i++)
            known |= span_eq_str(key, KEYS[i]);
        if (!known)
            return error_set(err, -EINVAL,
                             "events cannot be filtered by '%s'%s (server, job, parent, run, status, event)", name,
                             suggest_hint(name, KEYS, hint));
        if (v.type != VALUE_STR && v.type != VALUE_LIST)
            return error_set(err, -EINVAL, "the filter '%s' must be a text or a list of texts", name);
    }
    return 0;
}
