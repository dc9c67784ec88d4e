/* pkg_net.c - see pkg_net.h. */
#include "admin/pkg_net.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"

struct longboat *pkg_connect(char **argv)
{
    struct longboat *lb = NULL;
    struct error err = {0};
    if (longboat_open(&lb, NULL, NULL, &err) < 0)
        pkg_fail(argv, EXIT_REFUSED, &err);
    return lb;
}

int pkg_ask(struct longboat *lb, uint64_t req, struct span message, struct buf *ret_text, struct error *err)
{
    struct buf answer = {0};
    struct m_done done;
    int rc = longboat_ask(lb, req, message, PKG_TIMEOUT_MS, &answer, NULL, err);
    if (rc == 0)
        rc = m_done_decode(buf_span(&answer), &done, err);
    if (rc == 0 && ret_text) {
        buf_clear(ret_text);
        buf_add(ret_text, done.text.p, done.text.n);
    }
    buf_free(&answer);
    return rc;
}

struct rows {
    void (*take)(void *self, json_t *row);
    void *self;
    struct error err;
};

static bool take_row(void *self, struct span text)
{
    struct rows *r = self;
    json_t *row = json_parse("the broker's answer", text, &r->err);
    if (!row)
        return false;
    r->take(r->self, row);
    json_decref(row);
    return true;
}

int pkg_rows(struct longboat *lb, const char *what, void (*take)(void *self, json_t *row), void *self,
             struct error *err)
{
    struct rows r = {.take = take, .self = self};
    struct wire_list none = {SPAN_NONE, 0};
    int rc = longboat_query(lb, what, &none, take_row, &r, err);
    if (rc == 0 && r.err.code) {
        if (err)
            *err = r.err;
        rc = -EPROTO;
    }
    return rc;
}

const char *pkg_text(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

bool pkg_in_address(const json_t *server, const char *address)
{
    const json_t *pools = json_object_get(server, "pools"), *pool;
    size_t i;
    if (strcmp(address, "all") == 0 || strcmp(pkg_text(server, "server"), address) == 0)
        return true;
    json_array_foreach(pools, i,
                       pool) if (json_is_string(pool) && strcmp(json_string_value(pool), address) == 0) return true;
    return false;
}
