/* query.c - QUERY: reads the question and its cursor, and answers with a page of rows. */
#include "broker/query/query.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/feed.h"
#include "broker/query/inside.h"
#include "common/suggest.h"
#include "proto/state.h"
#include "trust/audit.h"

/* ---- The questions, and the filters that each listing has */
enum {
    BY_JOB = 1 << 0,
    BY_SERVER = 1 << 1,
    BY_PRINCIPAL = 1 << 2,
    BY_ADDRESS = 1 << 3,
    BY_NAME = 1 << 4,
    BY_STATE = 1 << 5,
    BY_STATUS = 1 << 6,
    BY_PARENT = 1 << 7,
    BY_RUN = 1 << 8,
    BY_TIME = 1 << 9,
    RUN_IS_TEXT = 1 << 10, /* `run` is text as a person types it */
    BY_ENTRY = 1 << 11     /* what an entry of the audit trail says */
};

/* clang-format off */
static const struct query_filter {
    const char *name;
    unsigned bit;
} FILTERS[] = {
    {"job", BY_JOB},         {"server", BY_SERVER}, {"principal", BY_PRINCIPAL},
    {"address", BY_ADDRESS}, {"name", BY_NAME},     {"state", BY_STATE},
    {"status", BY_STATUS},   {"parent", BY_PARENT}, {"run", BY_RUN},
    {"since", BY_TIME},      {"until", BY_TIME},    {"verb", BY_ENTRY},
    {"object", BY_ENTRY},    {"decision", BY_ENTRY}, {"number", BY_ENTRY},
};

/* Each answers, at once or when the store has answered. */
static const struct query_listing {
    const char *what;
    unsigned filters;
    void (*ask)(struct query *q);
} LISTINGS[] = {
    {"runs", BY_JOB | BY_SERVER | BY_PRINCIPAL | BY_ADDRESS | BY_STATE | BY_PARENT | BY_TIME,
     query_runs},
    {"run", BY_RUN, query_run},
    {"evidence", BY_RUN, query_evidence},
    {"find", BY_RUN | RUN_IS_TEXT, query_find},
    {"history", BY_JOB | BY_SERVER | BY_PRINCIPAL | BY_ADDRESS | BY_STATUS | BY_PARENT | BY_TIME,
     query_history},
    {"parents", BY_JOB | BY_NAME | BY_PRINCIPAL | BY_STATE | BY_STATUS | BY_PARENT | BY_TIME,
     query_parents},
    {"servers", BY_SERVER | BY_NAME | BY_ADDRESS, query_servers},
    {"explain", BY_RUN, query_explain},
    {"packages", BY_NAME, query_packages},
    {"certificates", BY_NAME, query_certificates},
    {"secrets", BY_NAME | BY_ADDRESS, query_secrets},
    {"audit", BY_PRINCIPAL | BY_ENTRY | BY_TIME, query_audit},
    {"trail", 0, query_trail},
    {"whoami", 0, query_whoami},
    {"stats", 0, query_stats},
    {"principals", BY_NAME, query_principals},
    {"store", 0, query_stats},
};
/* clang-format on */

static const struct query_listing *listing_of(struct span what)
{
    for (unsigned i = 0; i < sizeof LISTINGS / sizeof *LISTINGS; i++)
        if (span_eq_str(what, LISTINGS[i].what))
            return &LISTINGS[i];
    return NULL;
}

static void refuse_listing(struct query *q, struct span what)
{
    const char *words[sizeof LISTINGS / sizeof *LISTINGS + 1] = {0};
    char name[LIMIT_NAME + 1], text[200], hint[SUGGEST_TEXT];
    for (unsigned i = 0; i < sizeof LISTINGS / sizeof *LISTINGS; i++)
        words[i] = LISTINGS[i].what;
    span_copy_str(what, name, sizeof name);
    snprintf(text, sizeof text, "unknown query '%.60s'%s", name, suggest_hint(name, words, hint));
    query_refuse(q, REFUSAL_BAD_ARGUMENT, text);
}

/* A word that no row can have is a mistake: it would match nothing. */
static int check_word(const char *filter, const char *given, const char *const words[],
                      struct error *err)
{
    struct buf all = {0};
    char hint[SUGGEST_TEXT];
    for (unsigned i = 0; words[i]; i++) {
        if (strcmp(given, words[i]) == 0) {
            buf_free(&all);
            return 0;
        }
        buf_printf(&all, "%s%s", i ? ", " : "", words[i]);
    }
    error_set(err, -EINVAL, "unknown %s '%s'%s (%s)", filter, given,
              suggest_hint(given, words, hint), buf_str(&all));
    buf_free(&all);
    return -EINVAL;
}

static int check_words(const struct query *q, const char *const *text, struct error *err)
{
    const char *words[RUN_STATE_COUNT + 1] = {0};
    static_assert((int)AUDIT_DECISION_COUNT < (int)RUN_STATE_COUNT, "room");
    if (text == &q->state) {
        for (unsigned i = 0; i < RUN_STATE_COUNT; i++)
            words[i] = run_state_text(i);
        return check_word("state", q->state, words, err);
    }
    if (text == &q->decision) {
        for (unsigned i = 0; i < AUDIT_DECISION_COUNT; i++)
            words[i] = audit_decision_word(i);
        return check_word("decision", q->decision, words, err);
    }
    return 0;
}

/* Copies the text to the space behind the query, which `where` as received has room for: there
 * each text has a byte of length or more. */
static const char *keep(char **space, struct span v)
{
    char *text = *space;
    span_copy_str(v, text, v.n + 1);
    *space += v.n + 1;
    return text;
}

static int take_text(struct query *q, bool run_is_text, struct span key, struct span v,
                     char **space, struct error *err)
{
    const struct {
        const char *key, **to;
        size_t most;
    } texts[] = {{"job", &q->job, LIMIT_JOB},
                 {"server", &q->server, LIMIT_NAME},
                 {"principal", &q->principal, LIMIT_NAME},
                 {"address", &q->address, LIMIT_ADDRESS},
                 {"name", &q->name, LIMIT_NAME},
                 {"state", &q->state, LIMIT_NAME},
                 {"verb", &q->verb, LIMIT_NAME},
                 {"object", &q->object, LIMIT_SHORT},
                 {"decision", &q->decision, LIMIT_NAME},
                 {"number", &q->number, LIMIT_NAME},
                 {run_is_text ? "run" : "", &q->text, LIMIT_SHORT}};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        if (span_eq_str(key, texts[i].key)) {
            if (v.n > texts[i].most)
                return error_set(err, -EINVAL, "the filter '%s' is too long", texts[i].key);
            *texts[i].to = keep(space, v);
            return check_words(q, texts[i].to, err);
        }
    if (span_eq_str(key, "status")) {
        int status = feed_status(v, err);
        if (status < 0)
            return status;
        q->status = status + 1;
        return 0;
    }
    return id_parse_span(v, span_eq_str(key, "parent") ? &q->parent : &q->run, err);
}

/* A filter on a field that the rows lack would silently give all of them. */
static int check_filter(const struct query_listing *l, const char *name, struct error *err)
{
    const char *words[sizeof FILTERS / sizeof *FILTERS + 1] = {0};
    char hint[SUGGEST_TEXT];
    for (unsigned i = 0; i < sizeof FILTERS / sizeof *FILTERS; i++) {
        words[i] = FILTERS[i].name;
        if (strcmp(name, FILTERS[i].name) == 0)
            return l->filters & FILTERS[i].bit
                       ? 0
                       : error_set(err, -EINVAL, "`%s` cannot be filtered by '%s'", l->what, name);
    }
    return error_set(err, -EINVAL, "unknown filter '%s'%s", name, suggest_hint(name, words, hint));
}

static int take_where(struct query *q, const struct query_listing *l, const struct wire_list *where,
                      struct error *err)
{
    struct wire_iter it = wire_iter(where);
    struct span key;
    struct value v;
    char *space = (char *)(q + 1);
    while (wire_next_pair(&it, &key, &v)) {
        char name[LIMIT_NAME + 1];
        bool time = span_eq_str(key, "since") || span_eq_str(key, "until");
        span_copy_str(key, name, sizeof name);
        int rc = check_filter(l, name, err);
        if (rc < 0)
            return rc;
        if (v.type != (time ? VALUE_INT : VALUE_STR))
            return error_set(err, -EINVAL, "the filter '%s' must be %s", name,
                             time ? "a number of milliseconds since 1970" : "a text");
        if (time)
            *(name[0] == 's' ? &q->since : &q->until) = v.integer;
        else if ((rc = take_text(q, l->filters & RUN_IS_TEXT, key, v.bytes, &space, err)) < 0)
            return rc;
    }
    return 0;
}

void query_take(const struct query_sources *from, struct shell_peer *p, struct span message)
{
    struct m_query m;
    struct error err = {0};
    shell_read(&m_query_schema, message, &m);
    struct query *q = mem_zalloc(1, sizeof *q + m.where.items.n);
    q->job = q->server = q->principal = q->address = q->name = q->state = q->text = "";
    q->verb = q->object = q->decision = q->number = "";
    q->from = from;
    q->shell = from->shell;
    q->peer = p->handle;
    q->req = m.req;
    q->who = p->certificate;
    q->limit = m.limit && m.limit < LIMIT_ROWS ? (unsigned)m.limit : LIMIT_ROWS;
    const struct query_listing *l = listing_of(m.what);
    if (!l)
        refuse_listing(q, m.what);
    else if (!span_copy_str(m.after, q->after, sizeof q->after))
        query_refuse(q, REFUSAL_BAD_ARGUMENT, QUERY_NO_CURSOR);
    else if (take_where(q, l, &m.where, &err) < 0)
        query_refuse(q, REFUSAL_BAD_ARGUMENT, err.text);
    else
        l->ask(q);
}
