/* ctl_certificates.c - lbctl certificates list | revoke | renew: lists certificates, locks
 * principals out, changes grants. ctl_rotate.c has rotate, sign and take.
 *
 * Revoking signs the next number of the revocation list. The previous list is beside our key; if
 * another administrator has revoked since, the broker's, which comes with each session, is newer.
 * Renewing signs a new certificate for the same key, with other grants or pools; its holder
 * receives it with the next session. Neither a list nor a certificate says who did it and why, so
 * the reason is kept as an event. */
#include "admin/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/config.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/paths.h"
#include "common/termout.h"
#include "trust/names.h"
#include "trust/revocation.h"

static const struct option_row rows[] = {
    {"grant", 'g', OPTION_LIST, NULL, 0, 0, false, "'VERB JOB@ADDRESS'",
     "renew: add this grant; may be repeated"},
    {"only", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "renew: these grants and no others"},
    {"valid", 0, OPTION_DURATION, "730d", 3600000, INT64_MAX, false, "TIME",
     "renew: validity of the new certificate"},
    {"old", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "revoke: all but the newest certificate, after the key was rotated"},
    {"reason", 'r', OPTION_STR, "", 0, LIMIT_TEXT, false, "TEXT", "why; kept in the history"},
    CTL_UTC_ROW,
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "list: one JSON object a line"},
};

static const char examples[] = "  lbctl certificates list\n"
                               "  lbctl certificates revoke anna --reason 'left the company'\n"
                               "  lbctl certificates renew anna --grant 'call load@wh1'\n"
                               "  lbctl certificates rotate |\n"
                               "      ssh desk lbctl certificates sign | lbctl certificates take\n";

static void add_list(struct buf *out, json_t *array)
{
    size_t i;
    json_t *item;
    json_array_foreach (array, i, item)
        buf_printf(out, "%s%s", out->n ? ", " : "", json_string_value(item));
}

static void add_certificate(struct term_table *t, json_t *row)
{
    struct buf may = {0};
    char moment[TERM_TIME];
    bool revoked = json_is_true(json_object_get(row, "revoked"));
    int64_t end = ctl_time(row, "not_after");
    bool over = end && end < clock_wall_ms();
    add_list(&may, json_object_get(row, "grants"));
    add_list(&may, json_object_get(row, "pools"));
    term_table_add(t, ctl_text(row, "name"));
    term_table_add(t, ctl_text(row, "role"));
    term_table_addf(t, TERM_PLAIN, "%.10s", end ? term_moment(end, moment) : "");
    term_table_add_in(t, revoked || over ? TERM_BAD : TERM_GOOD,
                      revoked ? "revoked"
                      : over  ? "expired"
                              : "valid");
    term_table_add(t, ctl_text(row, "serial"));
    term_table_add(t, buf_str(&may));
    buf_free(&may);
}

static int list(char **argv, bool as_json)
{
    const struct term_column columns[] = {
        {"name", TERM_SHRINK(8)},
        {"role", 0},
        {ctl_zoned("until"), 0},
        {"state", 0},
        {"serial", TERM_RIGHT | TERM_DROP(1)},
        {"grants, pools", TERM_SHRINK(24) | TERM_WRAP},
    };
    json_t *certificates = json_array(), *row;
    size_t i;
    struct ctl_query q = {
        .what = "certificates", .as_json = as_json, .row = ctl_gather, .self = certificates};
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    int code = ctl_query(argv, &q);
    json_array_foreach (certificates, i, row)
        add_certificate(t, row);
    ctl_print(t);
    term_table_free(&t);
    json_decref(certificates);
    return code;
}

/* What revoke and renew share. */
struct office {
    char **argv;
    struct client_config config;
    struct longboat *lb;
    struct certificate subject; /* the newest for the name */
    char path[PATHS_MAX];       /* of the list beside our key */
    struct error err;
};

static void office_close(struct office *o)
{
    longboat_close(&o->lb);
    certificate_free(&o->subject);
    client_config_free(&o->config);
}

/* Verified at the time when it began: one that has expired is what people renew. */
static int verify_subject(struct office *o, struct span bytes)
{
    struct certificate c = {0};
    int rc = certificate_read(bytes, &c, &o->err);
    if (rc == 0)
        rc =
            certificate_verify(bytes, &o->config.anchors, c.not_before, &o->subject, NULL, &o->err);
    certificate_free(&c);
    return rc;
}

/* The newest certificate of the name, from the broker, verified here. */
static int find_subject(struct office *o, const char *name)
{
    struct buf message = {0}, answer = {0};
    struct m_certificates m;
    struct span item;
    enum refusal refusal = REFUSAL_NONE;
    struct m_certificate ask = {.req = longboat_req(o->lb), .name = span_str(name)};
    m_certificate_encode(&ask, &message);
    int rc = longboat_ask(o->lb, ask.req, buf_span(&message), CTL_TIMEOUT_MS, &answer, &refusal,
                          &o->err);
    if (rc == 0)
        rc = longboat_decode(o->lb, &m_certificates_schema, buf_span(&answer), &m, &o->err);
    if (rc == 0) {
        struct wire_iter it = wire_iter(&m.certificates);
        rc = wire_next(&it, &item)
                 ? verify_subject(o, item)
                 : error_set(&o->err, -ENOENT,
                             "no certificate for '%s'; lbctl certificates list shows all", name);
    }
    buf_free(&message);
    buf_free(&answer);
    return rc;
}

static int office_open(struct office *o, const char *name)
{
    struct paths paths;
    int rc = client_config_load(&o->config, NULL, &o->err);
    if (rc == 0 && !anchors_have(&o->config.anchors, &o->config.key.sign))
        rc = error_set(
            &o->err, -EPERM,
            "only an administrator can sign certificates and revocations; '%s' is not one",
            o->config.me.name);
    if (rc == 0)
        rc = paths_resolve(&paths, &o->err);
    if (rc == 0)
        rc = path_join(o->path, sizeof o->path, &o->err, paths.config, "trust/revocations", NULL);
    if (rc == 0)
        rc = longboat_open(&o->lb, NULL, NULL, &o->err);
    return rc < 0 ? rc : find_subject(o, name);
}

/* ---- Revoking: every valid certificate of the name, since renewing leaves older ones valid. */

struct serials {
    const char *name;
    uint64_t spared; /* 0: none */
    uint64_t *v;
    size_t n;
};

static bool take_serial(void *self, struct span json)
{
    struct serials *s = self;
    json_t *row = json_parse_shown("row", json, NULL);
    if (row && strcmp(ctl_text(row, "name"), s->name) == 0 &&
        !json_is_true(json_object_get(row, "revoked")) &&
        (uint64_t)ctl_int(row, "serial") != s->spared) {
        s->v = mem_realloc(s->v, s->n + 1, sizeof *s->v);
        s->v[s->n++] = (uint64_t)ctl_int(row, "serial");
    }
    json_decref(row);
    return true;
}

/* The newer of the list beside our key and the broker's, which may be a backup's. */
static int newest_list(struct office *o, struct revocations *list)
{
    enum refusal code = REFUSAL_NONE;
    struct span brokers = longboat_revocations(o->lb);
    int rc = revocations_load(list, o->path, &o->config.anchors, &o->err);
    if (rc == 0 && brokers.n &&
        revocations_take(list, brokers, &o->config.anchors, &code, &o->err) < 0 &&
        code != REFUSAL_REPLAYED)
        rc = o->err.code;
    return rc;
}

/* Makes the next list, with one more serial: first for the broker, then beside our key. */
static int revoke_serial(struct office *o, uint64_t serial)
{
    struct revocations list_now = {0};
    struct buf next = {0}, message = {0};
    int code = EXIT_REFUSED;
    int rc = newest_list(o, &list_now);
    if (rc == 0)
        rc = revocations_next(&list_now, o->config.anchors.cluster, serial, clock_wall_ms(),
                              &o->config.key, &next, &o->err);
    if (rc == 0) {
        struct m_revoke m = {.req = longboat_req(o->lb), .list = buf_span(&next)};
        m_revoke_encode(&m, &message);
        code = ctl_ask_done(o->lb, o->argv, m.req, buf_span(&message));
        if (code == EXIT_DONE && file_write_atomic(o->path, buf_span(&next), 0600, &o->err) < 0)
            code = ctl_fail(o->argv, EXIT_REFUSED, &o->err);
    } else {
        ctl_fail(o->argv, code, &o->err);
    }
    revocations_free(&list_now);
    buf_free(&next);
    buf_free(&message);
    return code;
}

static int revoke_all(struct office *o, bool old)
{
    struct serials s = {.name = o->subject.name, .spared = old ? o->subject.serial : 0};
    struct wire_list where = {0};
    int code = EXIT_DONE,
        rc = longboat_query(o->lb, "certificates", &where, take_serial, &s, &o->err);
    if (rc == 0 && s.n == 0)
        rc = error_set(&o->err, -EALREADY,
                       old ? "'%s' has no older certificate" : "'%s' is already revoked",
                       o->subject.name);
    if (rc < 0)
        code = ctl_fail(o->argv, EXIT_REFUSED, &o->err);
    for (size_t i = 0; code == EXIT_DONE && i < s.n; i++) {
        code = revoke_serial(o, s.v[i]);
        if (code == EXIT_DONE)
            term_say(stdout, "'%s' (serial %llu) is revoked\n", o->subject.name,
                     (unsigned long long)s.v[i]);
    }
    mem_free(&s.v);
    return code;
}

/* A key that was revoked may be a thief's: no certificate brings it back. */
static int check_not_revoked(struct office *o)
{
    struct revocations list = {0};
    int rc = newest_list(o, &list);
    if (rc == 0 && revocations_contain(&list, o->subject.serial))
        rc = error_set(&o->err, -EACCES,
                       "'%s' is revoked, and its key stays so; it can join again with a new key: "
                       "lbctl invite --%s %s",
                       o->subject.name, o->subject.role == ROLE_SERVER ? "server" : "principal",
                       o->subject.name);
    revocations_free(&list);
    return rc;
}

static int renew_one(struct office *o, const struct option_values *v)
{
    const char *grants[LIMIT_GRANTS * 2];
    char texts[LIMIT_GRANTS][GRANT_TEXT];
    size_t n = 0, n_new;
    struct buf signed_bytes = {0}, message = {0};
    int64_t now = clock_wall_ms();
    const char *const *new_grants = opt_list(v, "grant", &n_new);
    for (size_t i = 0; i < o->subject.n_grants && !opt_flag(v, "only"); i++)
        grants[n] = grant_format(&o->subject.grants[i], texts[n]), n++;
    for (size_t i = 0; i < n_new && n < COUNT_OF(grants); i++)
        grants[n++] = new_grants[i];
    struct certificate_order order = {
        .cluster = o->config.anchors.cluster,
        .name = o->subject.name,
        .role = o->subject.role,
        .serial = (uint64_t)now * 1000,
        .sign_key = o->subject.sign_key,
        .seal_key = o->subject.seal_key,
        .pools = (const char *const *)o->subject.pools,
        .n_pools = o->subject.n_pools,
        .grants = grants,
        .n_grants = n,
        .not_before = now,
        .not_after = now + opt_int(v, "valid"),
    };
    int code = EXIT_ASKED_WRONGLY;
    if (check_not_revoked(o) < 0) {
        code = ctl_fail(o->argv, EXIT_REFUSED, &o->err);
    } else if (certificate_make(&order, &o->config.key, &signed_bytes, &o->err) < 0) {
        ctl_fail(o->argv, code, &o->err);
    } else {
        struct m_publish m = {.req = longboat_req(o->lb), .certificate = buf_span(&signed_bytes)};
        m_publish_encode(&m, &message);
        code = ctl_ask_done(o->lb, o->argv, m.req, buf_span(&message));
    }
    if (code == EXIT_DONE)
        term_say(
            stdout,
            "'%s' has a new certificate, serial %llu; it is handed over with the next session\n",
            o->subject.name, (unsigned long long)order.serial);
    buf_free(&signed_bytes);
    buf_free(&message);
    return code;
}

static int keep_reason(struct office *o, const char *verb, const char *reason)
{
    struct buf message = {0};
    struct m_operate m = {.req = longboat_req(o->lb),
                          .verb = span_str(verb),
                          .target = span_str(o->subject.name),
                          .reason = span_str(reason)};
    m_operate_encode(&m, &message);
    int code = ctl_ask_done(o->lb, o->argv, m.req, buf_span(&message));
    buf_free(&message);
    return code;
}

int ctl_certificates(int argc, char **argv)
{
    struct option_values v = {0};
    struct office o = {.argv = argv};
    if (argc > 1 && ctl_rotate_has(argv[1]))
        return ctl_rotate(argc, argv);
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv,
                                "list | revoke|renew NAME | rotate|sign|take|trust", examples, 1, 2,
                                &v, &first);
    if (code >= 0)
        return code;
    const char *verb = argv[first], *name = first + 1 < argc ? argv[first + 1] : NULL;
    bool is_revoke = strcmp(verb, "revoke") == 0, is_renew = strcmp(verb, "renew") == 0;
    if (strcmp(verb, "list") == 0 && !name) {
        if (opt_flag(&v, "utc"))
            term_utc();
        code = list(argv, opt_flag(&v, "json"));
    } else if (!(is_revoke || is_renew) || !name) {
        error_set(&o.err, -EINVAL, "usage: %s list | revoke|renew NAME | rotate|sign|take|trust",
                  argv[0]);
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &o.err);
    } else if (!name_is_good(span_str(name))) {
        error_set(&o.err, -EINVAL, "'%.60s' is not a name; lbctl certificates list shows all",
                  name);
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &o.err);
    } else {
        code = office_open(&o, name) < 0 ? ctl_fail(argv, EXIT_REFUSED, &o.err)
               : is_revoke               ? revoke_all(&o, opt_flag(&v, "old"))
                                         : renew_one(&o, &v);
        if (code == EXIT_DONE)
            code = keep_reason(&o, verb, opt_str(&v, "reason"));
        office_close(&o);
    }
    options_free(&v);
    return code;
}
