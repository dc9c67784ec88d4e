/* feedfilter.c - the filters of subscriptions. */
#include <errno.h>
#include <string.h>

#include "broker/core/feed.h"
#include "common/mem.h"
#include "common/suggest.h"
#include "trust/grants.h"

static const char *const KEYS[] = {"server", "job", "parent", "run", "status", "event", NULL};

/* ---- Reading, and matching */
struct feed_term_value {
    char *text; /* a glob or a word */
    struct id id;
    int status;
};

struct feed_term {
    enum { BY_SERVER, BY_JOB, BY_PARENT, BY_RUN, BY_STATUS, BY_EVENT } by; /* as KEYS */
    struct feed_term_value *values;                                        /* any of them */
    unsigned n;
};

static void add_value(struct feed_term *t, struct span word)
{
    t->values = mem_realloc(t->values, t->n + 1, sizeof *t->values);
    struct feed_term_value *v = &t->values[t->n++];
    *v = (struct feed_term_value){.text = span_dup_str(word), .status = status_parse(word)};
    id_parse_span(word, &v->id, NULL);
}

void feed_filter_read(struct feed_filter *ret, const struct wire_list *where)
{
    struct wire_iter it = wire_iter(where);
    struct span key;
    struct value v, item;
    *ret = (struct feed_filter){0};
    while (wire_next_pair(&it, &key, &v)) {
        struct span rest = v.items.items;
        ret->terms = mem_realloc(ret->terms, ret->n + 1, sizeof *ret->terms);
        struct feed_term *t = &ret->terms[ret->n++];
        *t = (struct feed_term){0};
        while (KEYS[t->by] && !span_eq_str(key, KEYS[t->by]))
            t->by++;
        if (v.type == VALUE_STR)
            add_value(t, v.bytes);
        for (uint32_t i = 0; v.type == VALUE_LIST && i < v.items.count; i++)
            if (value_read(&rest, &item))
                add_value(t, item.bytes);
        ret->words += t->n;
    }
}

void feed_filter_free(struct feed_filter *filter)
{
    for (unsigned i = 0; i < filter->n; i++) {
        for (unsigned k = 0; k < filter->terms[i].n; k++)
            mem_free(&filter->terms[i].values[k].text);
        mem_free(&filter->terms[i].values);
    }
    mem_free(&filter->terms);
    *filter = (struct feed_filter){0};
}

static bool value_matches(const struct feed_term *t, const struct feed_term_value *v,
                          const struct feed_event *e)
{
    switch (t->by) {
    case BY_SERVER:
        return grants_glob_matches(v->text, span_str(e->server));
    case BY_JOB:
        return grants_glob_matches(v->text, span_str(e->job));
    case BY_PARENT:
        return id_eq(v->id, e->parent) || id_eq(v->id, e->run); /* the parent's own events, too */
    case BY_RUN:
        return id_eq(v->id, e->run);
    case BY_STATUS:
        return e->status >= 0 && e->status == v->status;
    case BY_EVENT:
        return strcmp(v->text, e->word) == 0;
    }
    return false;
}

bool feed_filter_matches(const struct feed_filter *filter, const struct feed_event *e)
{
    for (unsigned i = 0; i < filter->n; i++) {
        const struct feed_term *t = &filter->terms[i];
        bool any = false;
        for (unsigned k = 0; !any && k < t->n; k++)
            any = value_matches(t, &t->values[k], e);
        if (!any)
            return false;
    }
    return true;
}

/* ---- Checking */
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
        "result",        "evidence",     "called", "assigned", "started",  "returned",
        "declined",      "cancel",       "lost",   "held",     "released", "parent_begun",
        "parent_driven", "parent_ended", "server", "operated", "deployed", "secret",
        "enrolled",      "revoked",      "broker", NULL};
    char word[LIMIT_NAME + 1], hint[SUGGEST_TEXT];
    struct id id;
    bool known = false;
    if (value.n > LIMIT_SHORT)
        return error_set(err, -EINVAL, "a word of a filter has at most %d bytes", LIMIT_SHORT);
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
        "deployed, secret, enrolled, revoked, broker)",
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
    unsigned words = 0;
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
        words += v.type == VALUE_LIST ? v.items.count : 1;
        if (words > FEED_WORDS_MAX)
            return error_set(err, -EINVAL, "a filter has at most %d words", FEED_WORDS_MAX);
    }
    return 0;
}
