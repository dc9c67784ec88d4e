/* pkg_net.c - see pkg_net.h. */
#include "admin/pkg_net.h"

#include <errno.h>

#include "client/person.h"
#include "common/json.h"
#include "common/termout.h"

static void on_silence(void *self, const char *sentence)
{
    char **argv = self;
    term_say(stderr, "%s: %s\n", argv[0], sentence);
}

struct longboat *pkg_connect(char **argv)
{
    struct longboat *lb = NULL;
    struct error err = {0};
    if (longboat_open_person(&lb, NULL, &err) < 0)
        pkg_fail(argv, EXIT_REFUSED, &err);
    else
        longboat_watch(lb, on_silence, argv);
    return lb;
}

int pkg_ask(struct longboat *lb, uint64_t req, struct span message, struct buf *ret_text,
            enum refusal *ret_refusal, struct error *err)
{
    struct buf answer = {0};
    struct m_done done;
    int rc = longboat_ask(lb, req, message, PKG_TIMEOUT_MS, &answer, ret_refusal, err);
    if (rc == 0)
        rc = longboat_decode(lb, &m_done_schema, buf_span(&answer), &done, err);
    if (rc == 0 && ret_text) {
        buf_clear(ret_text);
        buf_add(ret_text, done.text.p, done.text.n);
    }
    buf_free(&answer);
    return rc;
}

struct pkg_rows {
    pkg_row take;
    void *self;
    struct error err;
};

static bool take_row(void *self, struct span text)
{
    struct pkg_rows *r = self;
    json_t *row = json_parse_shown("the broker's answer", text, &r->err);
    if (!row)
        return false;
    r->take(r->self, row);
    json_decref(row);
    return true;
}

static int query(struct longboat *lb, const char *what, const struct wire_list *where, pkg_row take,
                 void *self, struct error *err)
{
    struct pkg_rows r = {.take = take, .self = self};
    int rc = longboat_query(lb, what, where, take_row, &r, err);
    if (rc == 0 && r.err.code) {
        if (err)
            *err = r.err;
        rc = -EPROTO;
    }
    return rc;
}

int pkg_packages(struct longboat *lb, pkg_row take, void *self, struct error *err)
{
    struct wire_list none = {SPAN_NONE, 0};
    return query(lb, "packages", &none, take, self, err);
}

int pkg_servers(struct longboat *lb, const char *address, pkg_row take, void *self,
                struct error *err)
{
    struct buf items = {0};
    uint32_t n = 1;
    if (address) {
        value_add_str(&items, span_str("address"));
        value_add_str(&items, span_str(address));
        n++;
    }
    /* a filter by server, even for all of them, brings all that they attest */
    value_add_str(&items, span_str("server"));
    value_add_str(&items, span_str("*"));
    struct wire_list where = wire_list_from(&items, n);
    int rc = query(lb, "servers", &where, take, self, err);
    buf_free(&items);
    return rc;
}

const char *pkg_text(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}
