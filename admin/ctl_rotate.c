/* ctl_rotate.c - lbctl certificates rotate | sign | take | trust: a new key for a principal that
 * keeps its name. `rotate` makes the key and prints a request, `sign` answers it with a
 * certificate, `take` puts both into their places; the three make one pipe between two machines.
 * `trust` is for who did not hear of the broker's new key.
 *
 * An administrator signs certificates with the key that is rotated, so the new one must first be
 * among the administrators' keys of every machine: `rotate` makes it, and once more, when the line
 * is there, uses it. */
#include "admin/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/config.h"
#include "client/rotate.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/termout.h"
#include "trust/passphrase.h"
#include "trust/rotation.h"

enum { WORD_MAX = 64 << 10 };

static const struct option_row rows[] = {
    {"valid", 0, OPTION_DURATION, NULL, 3600000, INT64_MAX, false, "TIME",
     "sign: validity of the new certificate; default: as long as the old one"},
    {"new-passphrase-file", 0, OPTION_STR, NULL, 0, 0, false, "FILE",
     "rotate: the new key's passphrase is this file's first line"},
    {"reason", 'r', OPTION_STR, "", 0, LIMIT_TEXT, false, "TEXT", "sign: why; kept in the history"},
};

static const char examples[] =
    "  lbctl certificates rotate                     a request, and at an administrator's\n"
    "                                                what to do\n"
    "  ssh etl4 lbworker rotate | lbctl certificates sign |\n"
    "      ssh etl4 lbworker rotate --take\n"
    "  ssh desk lbctl certificates rotate | lbctl certificates sign |\n"
    "      ssh desk lbctl certificates take\n"
    "  lbctl certificates trust <broker.word         who did not hear of the broker's new key\n"
    "Restart what runs with the old key, then withdraw that:\n"
    "  lbctl certificates revoke etl4 --old\n";

struct desk {
    char **argv;
    const struct option_values *v;
    struct client_config config;
    struct longboat *lb;
    struct error err;
};

bool ctl_rotate_has(const char *word)
{
    return strcmp(word, "rotate") == 0 || strcmp(word, "sign") == 0 || strcmp(word, "take") == 0 ||
           strcmp(word, "trust") == 0;
}

/* All of standard input; free it. */
static int read_word(char **ret, struct error *err)
{
    char *text = mem_zalloc(1, WORD_MAX + 1);
    ssize_t n = file_read_all(STDIN_FILENO, text, WORD_MAX);
    if (n > 0 && n < WORD_MAX) {
        *ret = text;
        return 0;
    }
    mem_free(&text);
    return n < 0 ? error_errno(err, (int)-n, "cannot read standard input")
                 : error_set(err, -EINVAL,
                             n ? "standard input is too long" : "nothing came on standard input");
}

/* ---- sign */

/* The newest certificate of the name, verified here. A broker's is the one that is pinned. */
static int find_old(struct desk *d, const struct rotation *r, struct certificate *ret)
{
    struct buf message = {0}, answer = {0};
    struct m_certificates m;
    struct span item = buf_span(&d->config.broker.signed_bytes);
    enum refusal refusal = REFUSAL_NONE;
    bool is_broker = strcmp(r->name, d->config.broker.name) == 0;
    struct m_certificate ask = {.req = longboat_req(d->lb), .name = span_str(r->name)};
    m_certificate_encode(&ask, &message);
    int rc = is_broker ? 0
                       : longboat_ask(d->lb, ask.req, buf_span(&message), CTL_TIMEOUT_MS, &answer,
                                      &refusal, &d->err);
    if (rc == 0 && !is_broker)
        rc = longboat_decode(d->lb, &m_certificates_schema, buf_span(&answer), &m, &d->err);
    if (rc == 0 && !is_broker) {
        struct wire_iter it = wire_iter(&m.certificates);
        if (!wire_next(&it, &item))
            rc = error_set(&d->err, -ENOENT, "there is no certificate for '%s'", r->name);
    }
    if (rc == 0)
        rc = certificate_verify(item, &d->config.anchors, clock_wall_ms(), ret, NULL, &d->err);
    if (rc == 0 && !hash_eq(&ret->sign_key, &r->old_key)) {
        char asked[KEY_SHORT_TEXT], known[KEY_SHORT_TEXT];
        rc = error_set(&d->err, -EACCES,
                       "the request is signed by key %s, but '%s' has key %s: somebody else asks, "
                       "or the key has been rotated since",
                       key_short(&r->old_key, asked), r->name, key_short(&ret->sign_key, known));
        certificate_free(ret);
    }
    buf_free(&message);
    buf_free(&answer);
    return rc;
}

/* What the old certificate says, for another key. */
static int make_next(struct desk *d, const struct certificate *old, const struct hash *new_key,
                     const struct key *signer, struct buf *out)
{
    const char *grants[LIMIT_GRANTS];
    char texts[LIMIT_GRANTS][GRANT_TEXT];
    const int64_t now = clock_wall_ms();
    for (size_t i = 0; i < old->n_grants; i++)
        grants[i] = grant_format(&old->grants[i], texts[i]);
    struct certificate_order order = {
        .cluster = old->cluster,
        .name = old->name,
        .role = old->role,
        .serial = (uint64_t)now * 1000 > old->serial ? (uint64_t)now * 1000 : old->serial + 1,
        .sign_key = *new_key,
        .seal_key = old->seal_key,
        .pools = (const char *const *)old->pools,
        .n_pools = old->n_pools,
        .grants = grants,
        .n_grants = old->n_grants,
        .not_before = now,
        .not_after = opt_given(d->v, "valid") ? now + opt_int(d->v, "valid") : old->not_after,
    };
    return certificate_make(&order, signer, out, &d->err);
}

static int publish(struct desk *d, struct span certificate)
{
    struct buf message = {0}, answer = {0};
    enum refusal refusal = REFUSAL_NONE;
    struct m_publish m = {.req = longboat_req(d->lb), .certificate = certificate};
    m_publish_encode(&m, &message);
    int rc =
        longboat_ask(d->lb, m.req, buf_span(&message), CTL_TIMEOUT_MS, &answer, &refusal, &d->err);
    buf_free(&message);
    buf_free(&answer);
    return rc;
}

/* A broker's key is no principal's: nobody has a session with it, and the broker does not learn its
 * certificate from here but from `lbbroker rotate --take`. */
static int sign(struct desk *d)
{
    char *text = NULL;
    struct rotation r;
    struct certificate old = {0};
    struct buf bytes = {0};
    int rc = read_word(&text, &d->err);
    if (rc == 0 && !anchors_have(&d->config.anchors, &d->config.key.sign))
        rc = error_set(&d->err, -EPERM,
                       "only an administrator can sign certificates; '%s' is not "
                       "one",
                       d->config.me.name);
    if (rc == 0)
        rc = rotation_open(text, clock_wall_ms(), &r, &d->err);
    if (rc == 0)
        rc = longboat_open(&d->lb, NULL, NULL, &d->err);
    if (rc == 0)
        rc = find_old(d, &r, &old);
    if (rc == 0)
        rc = make_next(d, &old, &r.new_key, &d->config.key, &bytes);
    if (rc == 0 && old.role != ROLE_BROKER)
        rc = publish(d, buf_span(&bytes));
    if (rc == 0 && ctl_operate_over(d->argv, d->lb, "renew", r.name, NULL,
                                    *opt_str(d->v, "reason") ? opt_str(d->v, "reason")
                                                             : "its key is rotated") != EXIT_DONE)
        rc = error_set(&d->err, -EIO, "the reason could not be kept");
    if (rc == 0) {
        char *word = rotation_certificate_format(buf_span(&bytes));
        term_say(stdout, "%s\n", word);
        mem_free(&word);
        term_say(stderr, "'%s' may now use its new key as well as the old one\n", r.name);
    }
    certificate_free(&old);
    buf_free(&bytes);
    mem_free(&text);
    return rc;
}

/* ---- rotate */

/* The passphrase of the new key; *ret NULL: the old one has none either. */
static int ask_passphrase(struct desk *d, char text[PASSPHRASE_MAX], const char **ret)
{
    *ret = NULL;
    if (!rotate_is_locked(&d->config))
        return 0;
    *ret = text;
    if (opt_str(d->v, "new-passphrase-file"))
        passphrase_use_file(opt_str(d->v, "new-passphrase-file"));
    return passphrase_ask_new("your new key", text, &d->err);
}

static int request(struct desk *d, const char *passphrase)
{
    char *word = NULL;
    int rc = rotate_begin(&d->config, passphrase, &word, &d->err);
    if (rc == 0) {
        term_say(stdout, "%s\n", word);
        term_say(stderr,
                 "This request is for `lbctl certificates sign` at an administrator's, whose "
                 "answer is for\n`lbctl certificates take` here. Until then the old key is "
                 "used.\n");
    }
    mem_free(&word);
    return rc;
}

static int add_anchor(struct desk *d, const struct key *next)
{
    char *path = mem_printf("%s/%s", d->config.folder, ADMINISTRATORS_FILE), text[KEY_TEXT];
    struct buf file = {0};
    int rc = file_read(path, 1 << 20, &file, &d->err);
    if (rc == 0) {
        buf_printf(&file, "%s %s, new\n", key_format(&next->sign, text), d->config.me.name);
        rc = file_write_atomic(path, buf_span(&file), 0600, &d->err);
    }
    if (rc == 0)
        term_say(
            stdout,
            "A new key is made, and not used yet. Add this line to trust/administrators of the\n"
            "broker, of each server, and of everybody else, and restart broker and workers:\n\n"
            "%s %s\n\nThen: lbctl certificates rotate\n",
            text, d->config.me.name);
    buf_free(&file);
    mem_free(&path);
    return rc;
}

/* The new key signs its own certificate: that the broker takes it shows that it knows the key. */
static int use_anchor(struct desk *d, const struct key *next)
{
    struct buf bytes = {0};
    char *word = NULL;
    int rc = make_next(d, &d->config.me, &next->sign, next, &bytes);
    if (rc == 0)
        rc = longboat_open(&d->lb, NULL, NULL, &d->err);
    if (rc == 0 && (rc = publish(d, buf_span(&bytes))) < 0)
        error_prefix(&d->err, "the broker does not take the new key; is it in its "
                              "trust/administrators, and was it restarted since?");
    if (rc == 0) {
        word = rotation_certificate_format(buf_span(&bytes));
        rc = rotate_take(&d->config, word, &d->err);
    }
    if (rc == 0)
        term_say(
            stdout,
            "The new key is in use. Certificates that the old one has signed are good as long as "
            "its line\nstands in trust/administrators: renew them (lbctl certificates renew), "
            "and take it out\neverywhere. Keep a copy of the new key away from all machines.\n");
    mem_free(&word);
    buf_free(&bytes);
    return rc;
}

static int rotate(struct desk *d)
{
    char text[PASSPHRASE_MAX], *path = mem_printf("%s/%s", d->config.folder, SIGN_KEY_FILE),
                               *next_path = mem_printf("%s" ROTATION_NEXT, path);
    const char *passphrase = NULL;
    struct key next = {0};
    bool staged = access(next_path, F_OK) == 0;
    int rc = staged ? 0 : ask_passphrase(d, text, &passphrase);
    if (staged && opt_str(d->v, "new-passphrase-file"))
        passphrase_use_file(opt_str(d->v, "new-passphrase-file"));
    if (rc == 0 && !anchors_have(&d->config.anchors, &d->config.key.sign)) {
        rc = request(d, passphrase);
    } else if (rc == 0) {
        rc = rotation_stage(path, passphrase, &next, &d->err);
        if (rc == 0)
            rc = anchors_have(&d->config.anchors, &next.sign) ? use_anchor(d, &next)
                                                              : add_anchor(d, &next);
    }
    explicit_bzero(text, sizeof text);
    key_forget(&next);
    mem_free(&path);
    mem_free(&next_path);
    return rc;
}

static int take(struct desk *d)
{
    char *text = NULL;
    int rc = read_word(&text, &d->err);
    if (rc == 0)
        rc = rotate_take(&d->config, text, &d->err);
    if (rc == 0)
        term_say(stdout,
                 "The new key of '%s' is in use here. Restart what runs with the old one; then an "
                 "administrator\ncan withdraw that: lbctl certificates revoke %s --old\n",
                 d->config.me.name, d->config.me.name);
    mem_free(&text);
    return rc;
}

/* For who did not hear from the broker that its key changes. */
static int trust(struct desk *d)
{
    char *text = NULL;
    struct buf bytes = {0};
    int rc = read_word(&text, &d->err);
    if (rc == 0)
        rc = rotation_certificate_parse(text, &bytes, &d->err);
    if (rc == 0)
        rc = client_config_next_broker(&d->config, buf_span(&bytes), clock_wall_ms(), &d->err);
    if (rc >= 0)
        term_say(stdout, "The key of broker '%s' is known here.\n", d->config.broker.name);
    buf_free(&bytes);
    mem_free(&text);
    return rc < 0 ? rc : 0;
}

int ctl_rotate(int argc, char **argv)
{
    struct option_values v = {0};
    struct desk d = {.argv = argv, .v = &v};
    int first,
        code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "rotate | sign | take | trust [options]",
                         examples, 1, 1, &v, &first);
    if (code >= 0)
        return code;
    int rc = client_config_load(&d.config, NULL, &d.err);
    if (rc == 0)
        rc = strcmp(argv[first], "sign") == 0    ? sign(&d)
             : strcmp(argv[first], "take") == 0  ? take(&d)
             : strcmp(argv[first], "trust") == 0 ? trust(&d)
                                                 : rotate(&d);
    code = rc < 0 ? ctl_fail(argv, ctl_code(rc, REFUSAL_NONE), &d.err) : EXIT_DONE;
    longboat_close(&d.lb);
    client_config_free(&d.config);
    options_free(&v);
    return code;
}
