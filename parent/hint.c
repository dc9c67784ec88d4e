/* hint.c - "did you mean 'extract'?" for a job that no server of an address has. The call waits,
 * since a server may still come, but a typing error need not wait for a day. The broker says what
 * one of the servers has, if we may watch that server. */
#include "parent/submit.h"

#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/suggest.h"

struct hint {
    struct hint *next;
    struct submit_shell *shell;
    char *job, *address;
};

struct hint_names {
    const char **v; /* NULL-terminated, for suggest() */
    size_t n;
    bool packages; /* packages, without their prefix, or jobs */
    json_t *rows;  /* owns the names */
};

static const char OF_PACKAGE[] = "package:"; /* left out when names are compared */

static bool is_package(const char *job)
{
    return strncmp(job, OF_PACKAGE, strlen(OF_PACKAGE)) == 0;
}

static void add_names(struct hint_names *l, const json_t *server)
{
    const json_t *one, *jobs = json_object_get(server, "jobs");
    size_t i;
    l->v = mem_realloc(l->v, l->n + json_array_size(jobs) + 1, sizeof *l->v);
    json_array_foreach (jobs, i, one) {
        const char *name = json_string_value(json_object_get(one, "job"));
        if (name && is_package(name) == l->packages)
            l->v[l->n++] = name + (l->packages ? strlen(OF_PACKAGE) : 0);
    }
    l->v[l->n] = NULL;
}

static bool take_rows(void *self, uint64_t kind, struct span message)
{
    const struct hint *h = self;
    struct hint_names l = {.packages = is_package(h->job), .rows = json_array()};
    const char *prefix = l.packages ? OF_PACKAGE : "";
    struct m_rows m;
    struct span row;
    if (kind == KIND_M_ROWS &&
        longboat_decode(h->shell->lb, &m_rows_schema, message, &m, NULL) == 0) {
        struct wire_iter it = wire_iter(&m.rows);
        while (wire_next(&it, &row)) {
            json_t *server = json_parse_shown("server", row, NULL);
            if (server && json_array_append_new(l.rows, server) == 0)
                add_names(&l, server);
        }
    }
    const char *near = l.n ? suggest(h->job + strlen(prefix), l.v) : NULL;
    if (near)
        shell_fail(h->shell, 0, "no server in '%s' has '%s'; did you mean '%s%s'?", h->address,
                   h->job, prefix, near);
    json_decref(l.rows);
    mem_free(&l.v);
    return false;
}

static bool is_asked(const struct submit_shell *s, const char *job, const char *address)
{
    for (const struct hint *h = s->hints; h; h = h->next)
        if (strcmp(h->job, job) == 0 && strcmp(h->address, address) == 0)
            return true;
    return false;
}

void hint_job(struct submit_shell *s, const char *job, const char *address, const char *server)
{
    struct buf where = {0}, message = {0};
    if (is_asked(s, job, address))
        return;
    struct hint *h = mem_zalloc(1, sizeof *h);
    *h = (struct hint){
        .next = s->hints, .shell = s, .job = mem_strdup(job), .address = mem_strdup(address)};
    s->hints = h;
    value_add_str(&where, span_str("server"));
    value_add_str(&where, span_str(server));
    struct m_query m = {.req = longboat_req(s->lb),
                        .what = span_str("servers"),
                        .where = wire_list_from(&where, 1),
                        .limit = 1};
    m_query_encode(&m, &message);
    longboat_request(s->lb, m.req, buf_span(&message), take_rows, h, NULL);
    buf_free(&message);
    buf_free(&where);
}

void hint_free_all(struct submit_shell *s)
{
    while (s->hints) {
        struct hint *h = s->hints;
        s->hints = h->next;
        mem_free(&h->job);
        mem_free(&h->address);
        mem_free(&h);
    }
}
