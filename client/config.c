/* config.c - see config.h. */
#include "client/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/paths.h"
#include "common/yaml.h"
#include "net/address.h"
#include "trust/rotation.h"

static int path_of(char path[PATHS_MAX], const char *folder, const char *name, struct error *err)
{
    return path_join(path, PATHS_MAX, err, folder, name, NULL);
}

/* ---- client.yaml */

static int read_address(const struct yaml_node *node, char **ret, struct error *err)
{
    char endpoint[NET_ENDPOINT_MAX];
    const char *text;
    int rc;

    if ((rc = yaml_str(node, &text, err)) < 0)
        return rc;
    if ((rc = net_endpoint(text, false, endpoint, err)) < 0) {
        yaml_place(node, err);
        return rc;
    }
    *ret = mem_strdup(text);
    return 0;
}

static int read_brokers(struct client_config *c, const struct yaml_node *root, struct error *err)
{
    const struct yaml_node *brokers;
    int rc;

    if (!(brokers = yaml_require(root, "brokers", err)))
        return -EINVAL;
    if ((rc = yaml_expect_seq(brokers, err)) < 0)
        return rc;
    size_t n = yaml_count(brokers);
    if (n == 0 || n > CLIENT_BROKERS_MAX)
        return yaml_error(brokers, err, "'brokers' must list 1 to %d addresses, not %zu",
                          CLIENT_BROKERS_MAX, n);
    c->addresses = mem_zalloc(n, sizeof *c->addresses);
    for (; c->n_addresses < n; c->n_addresses++)
        if ((rc = read_address(yaml_item(brokers, c->n_addresses), &c->addresses[c->n_addresses],
                               err)) < 0)
            return rc;
    return 0;
}

/* accept: for the time in which some servers are still of a version that cannot sign. */
static int read_unsigned(struct client_config *c, const struct yaml_node *root, struct error *err)
{
    const struct yaml_node *node = yaml_get(root, "unsigned_results");
    const char *word;
    int rc;

    if (!node)
        return 0;
    if ((rc = yaml_str(node, &word, err)) < 0)
        return rc;
    c->accept_unsigned = strcmp(word, "accept") == 0;
    if (!c->accept_unsigned && strcmp(word, "refuse") != 0)
        return yaml_error(node, err, "'unsigned_results' must be refuse or accept, not '%s'", word);
    return 0;
}

static int read_client(struct client_config *c, const struct yaml_node *root, struct error *err)
{
    static const char *const keys[] = {"brokers", "unsigned_results", NULL};
    int rc = yaml_check_keys(root, keys, err);

    if (rc == 0)
        rc = read_brokers(c, root, err);
    return rc < 0 ? rc : read_unsigned(c, root, err);
}

static int load_addresses(struct client_config *c, const char *folder, struct error *err)
{
    char path[PATHS_MAX];
    struct yaml *yaml = NULL;
    int rc;

    if ((rc = path_of(path, folder, CLIENT_FILE, err)) < 0 ||
        (rc = yaml_read_file(path, &yaml, err)) < 0)
        return rc;
    rc = read_client(c, yaml_root(yaml), err);
    yaml_free(&yaml);
    return rc;
}

void client_config_format(const char *const *addresses, size_t n, struct buf *out)
{
    buf_add_str(
        out,
        "# Where the broker is; several addresses of one broker are tried in turn.\nbrokers:\n");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "  - \"%s\"\n", addresses[i]);
}

/* ---- Certificates */

/* The cluster that our own certificate names; everything else is checked against it. */
static int read_cluster(struct span certificate, char ret[LIMIT_NAME + 1], struct error *err)
{
    struct d_signed envelope;
    struct d_certificate body;
    int rc;

    if ((rc = d_signed_decode(certificate, &envelope, err)) < 0 ||
        (rc = d_certificate_decode(envelope.body, &body, err)) < 0)
        return rc;
    span_copy_str(body.cluster, ret, LIMIT_NAME + 1);
    return 0;
}

static int load_certificate(const struct client_config *c, const char *path, struct span bytes,
                            struct certificate *ret, struct error *err)
{
    int rc = certificate_verify(bytes, &c->anchors, clock_wall_ms(), ret, NULL, err);
    if (rc < 0)
        error_prefix(err, "%s", path);
    return rc;
}

static bool is_newer_broker(const struct client_config *c, const struct certificate *n)
{
    return n->role == ROLE_BROKER && strcmp(n->name, c->broker.name) == 0 &&
           n->serial > c->broker.serial && !hash_eq(&n->sign_key, &c->broker.sign_key);
}

/* One that is not good is as none: the pinned key stays. */
static void load_next_broker(struct client_config *c, const char *folder)
{
    char path[PATHS_MAX];
    struct buf bytes = {0};
    if (path_of(path, folder, BROKER_FILE ROTATION_NEXT, NULL) == 0 &&
        file_read(path, LIMIT_CERTIFICATE, &bytes, NULL) == 0 &&
        certificate_verify(buf_span(&bytes), &c->anchors, clock_wall_ms(), &c->broker_next, NULL,
                           NULL) == 0 &&
        !is_newer_broker(c, &c->broker_next))
        certificate_free(&c->broker_next);
    buf_free(&bytes);
}

static int load_trust(struct client_config *c, const char *folder, struct error *err)
{
    char path[PATHS_MAX], administrators[PATHS_MAX], cluster[LIMIT_NAME + 1];
    struct buf mine = {0}, brokers = {0};
    struct error why = {0};
    int rc;

    if ((rc = path_of(path, folder, CERTIFICATE_FILE, err)) < 0 ||
        (rc = file_read(path, LIMIT_CERTIFICATE, &mine, err)) < 0)
        goto done;
    if ((rc = read_cluster(buf_span(&mine), cluster, &why)) < 0) {
        error_set(err, rc,
                  "'%s' is empty or damaged (%s): join the cluster again, with a new token from an "
                  "administrator",
                  path, why.text);
        goto done;
    }
    if ((rc = path_of(administrators, folder, ADMINISTRATORS_FILE, err)) < 0 ||
        (rc = anchors_load(administrators, cluster, &c->anchors, err)) < 0 ||
        (rc = load_certificate(c, path, buf_span(&mine), &c->me, err)) < 0)
        goto done;
    if ((rc = path_of(path, folder, BROKER_FILE, err)) < 0 ||
        (rc = file_read(path, LIMIT_CERTIFICATE, &brokers, err)) < 0 ||
        (rc = load_certificate(c, path, buf_span(&brokers), &c->broker, err)) < 0)
        goto done;
    load_next_broker(c, folder);
    if (c->broker.role != ROLE_BROKER)
        rc = error_set(err, -EINVAL, "%s: '%s' is a %s, not a broker", path, c->broker.name,
                       role_word(c->broker.role));
done:
    buf_free(&mine);
    buf_free(&brokers);
    return rc;
}

static int load_key(struct client_config *c, const char *folder, struct error *err)
{
    char path[PATHS_MAX];
    int rc;

    if ((rc = path_of(path, folder, SIGN_KEY_FILE, err)) < 0 ||
        (rc = key_load(path, &c->key, err)) < 0)
        return rc;
    /* a rotation may have been cut off after it had replaced the certificate */
    if (!hash_eq(&c->key.sign, &c->me.sign_key) &&
        rotation_finish(path, &c->me.sign_key, NULL) > 0) {
        key_forget(&c->key);
        if ((rc = key_load(path, &c->key, err)) < 0)
            return rc;
    }
    if (!hash_eq(&c->key.sign, &c->me.sign_key))
        return error_set(err, -EINVAL,
                         "%s does not belong to the certificate of '%s' in %s/%s; join again", path,
                         c->me.name, folder, CERTIFICATE_FILE);
    return 0;
}

int client_config_load(struct client_config *ret, const char *folder, struct error *err)
{
    struct client_config c = {0};
    struct paths paths;
    int rc;

    if ((rc = trust_init(err)) < 0)
        return rc;
    if (!folder) {
        if ((rc = paths_resolve(&paths, err)) < 0)
            return rc;
        folder = paths.config;
    }
    if ((rc = load_trust(&c, folder, err)) < 0 || (rc = load_key(&c, folder, err)) < 0 ||
        (rc = load_addresses(&c, folder, err)) < 0) {
        bool joined = c.me.signed_bytes.n > 0;
        client_config_free(&c);
        if (rc == -ENOENT && !joined)
            error_set(
                err, -ENOENT,
                "no identity in %s: ask an administrator for a token (lbctl invite) and give it "
                "to `lbsubmit join`, "
                "on a server to `lbworker join`",
                folder);
        return rc;
    }
    c.folder = mem_strdup(folder);
    *ret = c;
    return 0;
}

int client_config_adopt(struct client_config *c, struct span certificate, int64_t now,
                        struct error *err)
{
    struct certificate newer = {0};
    char path[PATHS_MAX];
    int rc;

    if (span_eq(certificate, buf_span(&c->me.signed_bytes)))
        return 0;
    if ((rc = certificate_verify(certificate, &c->anchors, now, &newer, NULL, err)) < 0)
        return rc;
    if (strcmp(newer.name, c->me.name) != 0 || newer.role != c->me.role ||
        newer.serial <= c->me.serial || !hash_eq(&newer.sign_key, &c->me.sign_key) ||
        !hash_eq(&newer.seal_key, &c->me.seal_key)) {
        certificate_free(&newer);
        return error_set(err, -EBADMSG,
                         "the broker sent a certificate that is not a newer one for '%s'",
                         c->me.name);
    }
    certificate_free(&c->me);
    c->me = newer;
    if ((rc = path_of(path, c->folder, CERTIFICATE_FILE, err)) < 0)
        return rc;
    return file_write_atomic(path, buf_span(&c->me.signed_bytes), 0600, err);
}

int client_config_next_broker(struct client_config *c, struct span certificate, int64_t now,
                              struct error *err)
{
    struct certificate next = {0};
    char path[PATHS_MAX];
    int rc;

    if (span_eq(certificate, buf_span(&c->broker_next.signed_bytes)) ||
        span_eq(certificate, buf_span(&c->broker.signed_bytes)))
        return 0;
    if ((rc = certificate_verify(certificate, &c->anchors, now, &next, NULL, err)) < 0)
        return rc;
    if (!is_newer_broker(c, &next)) {
        rc = error_set(err, -EBADMSG,
                       "this certificate of %s '%s' is not one for a new key of "
                       "broker '%s'",
                       role_word(next.role), next.name, c->broker.name);
        certificate_free(&next);
        return rc;
    }
    certificate_free(&c->broker_next);
    c->broker_next = next;
    if ((rc = path_of(path, c->folder, BROKER_FILE ROTATION_NEXT, err)) < 0 ||
        (rc = file_write_atomic(path, certificate, 0644, err)) < 0)
        return rc;
    return 1;
}

int client_config_pin_next(struct client_config *c, struct error *err)
{
    char path[PATHS_MAX], next[PATHS_MAX];
    int rc;

    certificate_free(&c->broker);
    c->broker = c->broker_next;
    c->broker_next = (struct certificate){0};
    if ((rc = path_of(path, c->folder, BROKER_FILE, err)) < 0 ||
        (rc = path_of(next, c->folder, BROKER_FILE ROTATION_NEXT, err)) < 0)
        return rc;
    return rename(next, path) < 0
               ? error_errno(err, errno, "cannot put the broker's new certificate into %s", path)
               : 0;
}

void client_config_free(struct client_config *c)
{
    for (size_t i = 0; i < c->n_addresses; i++)
        mem_free(&c->addresses[i]);
    mem_free(&c->addresses);
    mem_free(&c->folder);
    anchors_free(&c->anchors);
    key_forget(&c->key);
    certificate_free(&c->me);
    certificate_free(&c->broker);
    certificate_free(&c->broker_next);
    memset(c, 0, sizeof *c);
}
