/* ctl_secret.c - lbctl secret put | drop | list | show: values that only servers can read.
 *
 * The value is read from standard input, never from the command line, and leaves this process only
 * sealed to the keys of the servers (trust/secretdoc.h). Whose keys these are, the administrators
 * have signed: the broker is asked for certificates, and not believed about any. */
#include "admin/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/config.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/termout.h"
#include "trust/revocation.h"
#include "trust/secretdoc.h"

static const struct option_row rows[] = {
    {"to", 't', OPTION_STR, NULL, 0, LIMIT_ADDRESS, false, "ADDRESS",
     "put, drop: a server, a pool, or all; list: only those put there"},
    {"as-is", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "put: keep a line feed at the end of the value"},
    CTL_UTC_ROW,
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "list, show: one JSON object a line"},
};

static const char synopsis[] = "put|drop NAME --to ADDRESS | list | show NAME";
static const char examples[] =
    "  lbctl secret put warehouse --to etl < password     only from standard input\n"
    "  pass show warehouse | lbctl secret put warehouse --to etl\n"
    "  lbctl secret list                  who put what, and which servers lack it\n"
    "  lbctl secret drop warehouse --to etl\n"
    "A job, a call or a plan names it as the value of a sensitive parameter:\n"
    "  {secret: warehouse}\n"
    "Nobody gets the value back: only the servers that it is sealed to can open it.\n";

/* ---- The servers of an address, and whether their certificates are good */

struct secret_targets {
    char **argv;
    struct longboat *lb;
    struct client_config config;
    struct revocations revoked;
    const char *name, *address;
    uint64_t version;
    struct certificate *v;
    size_t n;
    enum refusal refusal;
};

static void targets_free(struct secret_targets *t)
{
    for (size_t i = 0; i < t->n; i++)
        certificate_free(&t->v[i]);
    mem_free(&t->v);
    revocations_free(&t->revoked);
    client_config_free(&t->config);
    longboat_close(&t->lb);
}

static bool is_in(const struct certificate *c, const char *address)
{
    if (strcmp(address, "all") == 0 || strcmp(address, c->name) == 0)
        return true;
    for (size_t i = 0; i < c->n_pools; i++)
        if (strcmp(address, c->pools[i]) == 0)
            return true;
    return false;
}

/* What is not good is left out, and said: that server will not have the secret. */
static void take_certificate(struct secret_targets *t, struct span bytes)
{
    struct certificate c = {0};
    struct error err = {0};
    int rc = certificate_verify(bytes, &t->config.anchors, clock_wall_ms(), &c, NULL, &err);
    if (rc == 0 && (c.role != ROLE_SERVER || !is_in(&c, t->address)))
        rc = error_set(&err, -EPERM, "'%s' is no server of '%s'", c.name, t->address);
    if (rc == 0 && revocations_contain(&t->revoked, c.serial))
        rc = error_set(&err, -EPERM, "the certificate of '%s' is revoked", c.name);
    if (rc == 0 && t->n && secretdoc_compare(span_str(t->v[t->n - 1].name), span_str(c.name)) >= 0)
        rc = error_set(&err, -EPROTO, "the broker lists '%s' out of its order", c.name);
    if (rc < 0) {
        term_say(stderr, "%s: not sealed to a server: %s\n", t->argv[0], err.text);
        certificate_free(&c);
        return;
    }
    t->v = mem_realloc(t->v, t->n + 1, sizeof *t->v);
    t->v[t->n++] = c;
}

static int ask_page(struct secret_targets *t, char after[LIMIT_NAME + 1], struct error *err)
{
    struct buf message = {0}, answer = {0};
    struct m_secret_to to;
    struct span item;
    const struct m_secret_for m = {.req = longboat_req(t->lb),
                                   .name = span_str(t->name),
                                   .address = span_str(t->address),
                                   .after = span_str(after)};
    m_secret_for_encode(&m, &message);
    int rc =
        longboat_ask(t->lb, m.req, buf_span(&message), CTL_TIMEOUT_MS, &answer, &t->refusal, err);
    if (rc == 0)
        rc = longboat_decode(t->lb, &m_secret_to_schema, buf_span(&answer), &to, err);
    if (rc == 0) {
        t->version = to.version;
        revocations_take(&t->revoked, longboat_revocations(t->lb), &t->config.anchors, NULL, NULL);
        for (struct wire_iter it = wire_iter(&to.certificates); wire_next(&it, &item);)
            take_certificate(t, item);
        const bool on = to.next.n && secretdoc_compare(span_str(after), to.next) < 0;
        span_copy_str(on ? to.next : SPAN_NONE, after, LIMIT_NAME + 1);
    }
    buf_free(&message);
    buf_free(&answer);
    return rc;
}

static int find_targets(struct secret_targets *t, struct error *err)
{
    char after[LIMIT_NAME + 1] = "";
    int rc = client_config_load(&t->config, NULL, err);
    do {
        if (rc == 0)
            rc = ask_page(t, after, err);
    } while (rc == 0 && *after);
    return rc;
}

/* ---- Putting and dropping */

static int send_secret(struct secret_targets *t, struct span value, bool remove, struct error *err)
{
    const struct certificate **servers = mem_zalloc(t->n + 1, sizeof *servers);
    struct buf document = {0}, message = {0}, answer = {0};
    for (size_t i = 0; i < t->n; i++)
        servers[i] = &t->v[i];
    const struct secretdoc_order o = {.cluster = t->config.me.cluster,
                                      .name = t->name,
                                      .address = t->address,
                                      .version = t->version,
                                      .issued_at = clock_wall_ms(),
                                      .remove = remove,
                                      .by = &t->config.me,
                                      .key = &t->config.key,
                                      .servers = servers,
                                      .n_servers = remove ? 0 : t->n};
    int rc = secretdoc_make(&o, value, &document, err);
    if (rc == 0) {
        const struct m_secret_put m = {.req = longboat_req(t->lb), .secret = buf_span(&document)};
        m_secret_put_encode(&m, &message);
        rc = longboat_ask(t->lb, m.req, buf_span(&message), CTL_TIMEOUT_MS, &answer, &t->refusal,
                          err);
    }
    mem_free(&servers);
    buf_free(&document);
    buf_free(&message);
    buf_free(&answer);
    return rc;
}

/* At most one byte more than is allowed is read, so that more is noticed. */
static int read_value(bool as_is, struct buf *ret, struct error *err)
{
    uint8_t *p = buf_grow(ret, LIMIT_SECRET_VALUE + 3);
    ssize_t got = 1;
    if (isatty(STDIN_FILENO))
        term_say(stderr, "Type or paste the value, then press Ctrl-D:\n");
    while (got > 0 && ret->n < LIMIT_SECRET_VALUE + 2) {
        got = read(STDIN_FILENO, p + ret->n, LIMIT_SECRET_VALUE + 2 - ret->n);
        if (got < 0)
            return error_errno(err, errno, "cannot read the value from standard input");
        ret->n += (size_t)got;
    }
    if (!as_is && ret->n && p[ret->n - 1] == '\n')
        ret->n--;
    return secretdoc_check_value(buf_span(ret), err);
}

static int report(const struct secret_targets *t, bool remove)
{
    if (remove)
        term_say(stderr, "Dropped secret %s at %s\n", t->name, t->address);
    else if (t->n)
        term_say(stderr, "Put secret %s, version %llu, sealed to %zu server%s of %s\n", t->name,
                 (unsigned long long)t->version, t->n, t->n == 1 ? "" : "s", t->address);
    else
        term_say(stderr,
                 "Put secret %s, version %llu; %s has no server yet, so nobody can open it: put it "
                 "again when one has joined\n",
                 t->name, (unsigned long long)t->version, t->address);
    return EXIT_DONE;
}

static void forget(struct buf *value)
{
    if (value->p)
        explicit_bzero(value->p, value->cap);
    buf_free(value);
}

static int change(char **argv, const char *name, const struct option_values *v, bool remove)
{
    struct secret_targets t = {.argv = argv, .name = name, .address = opt_str(v, "to")};
    struct error err = {0};
    struct buf value = {0};
    int rc = name_check_name("the name of a secret", span_str(name), &err);
    if (rc == 0 && !t.address)
        rc = error_set(&err, -EINVAL, "--to is missing: a server, a pool, or all");
    if (rc == 0)
        rc = name_check_name("an address", span_str(t.address), &err);
    if (rc == 0 && !remove)
        rc = read_value(opt_flag(v, "as-is"), &value, &err);
    if (rc < 0) {
        forget(&value);
        return ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    }
    int code = EXIT_REFUSED;
    if ((t.lb = ctl_connect(argv)) != NULL) {
        rc = find_targets(&t, &err);
        if (rc == 0)
            rc = send_secret(&t, buf_span(&value), remove, &err);
        code = rc < 0 ? ctl_fail(argv, ctl_code(rc, t.refusal), &err) : report(&t, remove);
    }
    forget(&value);
    targets_free(&t);
    return code;
}

/* ---- Listing */

static void add_names(struct buf *out, json_t *row, const char *key)
{
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get(row, key), i, item)
        buf_printf(out, "%s%s", out->n ? ", " : "", json_string_value(item));
}

static void add_row(void *self, json_t *row)
{
    struct term_table *t = self;
    struct buf lacks = {0};
    const bool revoked = json_is_true(json_object_get(row, "revoked"));
    add_names(&lacks, row, "lacks");
    if (revoked)
        buf_printf(&lacks, "all: the certificate of '%s' is revoked", ctl_text(row, "by"));
    term_table_add(t, ctl_text(row, "name"));
    term_table_add(t, ctl_text(row, "address"));
    term_table_add(t, ctl_text(row, "version"));
    term_table_add(t, ctl_text(row, "by"));
    term_table_add(t, ctl_when(row, "at"));
    term_table_add(t, ctl_text(row, "servers"));
    term_table_add_in(t, TERM_WARN, buf_str(&lacks));
    buf_free(&lacks);
}

static int list(char **argv, const struct option_values *v, const char *name)
{
    const struct term_column columns[] = {
        {"name", TERM_SHRINK(8)},
        {"put to", TERM_SHRINK(8)},
        {"version", TERM_RIGHT},
        {"by", TERM_SHRINK(8)},
        {ctl_zoned("at"), 0},
        {"servers", TERM_RIGHT},
        {"lacking", TERM_SHRINK(16) | TERM_WRAP},
    };
    const struct ctl_where where[] = {{"name", name, 0, false},
                                      {"address", opt_str(v, "to"), 0, false}};
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    struct ctl_query q = {.what = "secrets",
                          .where = where,
                          .n_where = COUNT_OF(where),
                          .as_json = opt_flag(v, "json"),
                          .row = add_row,
                          .self = t};
    struct error err = {0};
    int code = ctl_query(argv, &q);
    if (!q.as_json)
        ctl_print(t);
    term_table_free(&t);
    if (code == EXIT_DONE && name && !q.rows) {
        error_set(&err, -ENOENT, "there is no secret '%s' that you may see", name);
        code = ctl_fail(argv, EXIT_REFUSED, &err);
    }
    return code;
}

static int run(char **argv, const struct option_values *v, const char *verb, const char *name)
{
    struct error err = {0};
    if (opt_flag(v, "utc"))
        term_utc();
    if (strcmp(verb, "put") == 0 && name)
        return change(argv, name, v, false);
    if (strcmp(verb, "drop") == 0 && name)
        return change(argv, name, v, true);
    if (strcmp(verb, "list") == 0 && !name)
        return list(argv, v, NULL);
    if (strcmp(verb, "show") == 0 && name)
        return list(argv, v, name);
    error_set(&err, -EINVAL, "usage: %s %s", argv[0], synopsis);
    return ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
}

int ctl_secret(int argc, char **argv)
{
    struct option_values v = {0};
    int first,
        code = ctl_begin(rows, COUNT_OF(rows), argc, argv, synopsis, examples, 1, 2, &v, &first);
    if (code >= 0)
        return code;
    code = run(argv, &v, argv[first], first + 1 < argc ? argv[first + 1] : NULL);
    options_free(&v);
    return code;
}
