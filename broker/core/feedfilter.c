/* feedfilter.c - the filters of subscriptions. */
#include <errno.h>

#include "broker/core/feed.h"
#include "common/suggest.h"
#include "trust/grants.h"

static const char *const KEYS[] = {"server", "job", "parent", "run", "status", "event", NULL};

static bool text_matches(struct span pattern, const char *text)
{
    char glob[LIMIT_SHORT + 1];
    return span_copy_str(pattern, glob, sizeof glob) && grants_glob_matches(glob, span_str(text));
}

static bool one_matches(struct span key, struct span value, const struct feed_event *e)
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
        return id_eq(id, e->parent) || id_eq(id, e->run); /* the parent's own events, too */
    return id_eq(id, e->run);
}

bool feed_matches(const struct wire_list *where, const struct feed_event *e)
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

int feed_status(struct span word, struct error *err)
{
    const char *words[STATUS_COUNT + 1] = {0};
    char given[LIMIT_NAME + 1], hint[SUGGEST_TEXT];
    int status = status_parse(word);
    if (status >= 0)
        return status;
    for (unsigned i = 0; i < STATUS_COUNT; i++)
        words[i] = status_text(i);
    span_copy_str(word, given, sizeof given);
    return error_set(
        err, -EINVAL,
        "unknown status '%s'%s (succeeded, failed, cancelled, timed_out, lost, unknown, refused, "
        "unreachable)",
        given, suggest_hint(given, words, hint));
}

/* A word that no event has would wait for ever: it must be a typing mistake. */
static int check_word(struct span key, struct span value, struct error *err)
{
    static const char *const events[] = {
        "result",       "evidence",      "called",       "assigned", "started",
        "returned",     "cancel",        "lost",         "held",     "released",
        "parent_begun", "parent_driven", "parent_ended", "server",   "operated",
        "deployed",     "enrolled",      "revoked",      "broker",   NULL};
    char word[LIMIT_NAME + 1], hint[SUGGEST_TEXT];
    struct id id;
    bool known = false;
    span_copy_str(value, word, sizeof word);
    if (span_eq_str(key, "run") || span_eq_str(key, "parent"))
        return id_parse_span(value, &id, err);
    if (span_eq_str(key, "status") && feed_status(value, err) < 0)
        return -EINVAL;
    if (!span_eq_str(key, "event"))
        return 0;
    for (unsigned i = 0; events[i]; i++)
        known |= span_eq_str(value, events[i]);
    if (known)
        return 0;
    return error_set(
        err, -EINVAL,
        "unknown event '%s'%s (result, evidence, called, assigned, started, returned, cancel, "
        "lost, held, released, parent_begun, parent_driven, parent_ended, server, operated, "
        "deployed, enrolled, revoked, broker)",
        word, suggest_hint(word, events, hint));
}

static int check_words(struct span key, const struct value *v, struct error *err)
{
    struct span rest = v->items.items;
    struct value item;
    if (v->type == VALUE_STR)
        return check_word(key, v->bytes, err);
    for (uint32_t i = 0; i < v->items.count && value_read(&rest, &item); i++)
        if (item.type != VALUE_STR || check_word(key, item.bytes, err) < 0)
            return item.type == VALUE_STR
                       ? -EINVAL
                       : error_set(err, -EINVAL, "a filter must be a text or a list of texts");
    return 0;
}

int feed_check_filter(const struct wire_list *where, struct error *err)
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
            return error_set(
                err, -EINVAL,
                "events cannot be filtered by '%s'%s (server, job, parent, run, status, event)",
                name, suggest_hint(name, KEYS, hint));
        if (v.type != VALUE_STR && v.type != VALUE_LIST)
            return error_set(err, -EINVAL, "the filter '%s' must be a text or a list of texts",
                             name);
        if (check_words(key, &v, err) < 0)
            return -EINVAL;
    }
    return 0;
}
