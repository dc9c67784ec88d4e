/* check.c - see check.h. */
#include "broker/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/termout.h"

static bool say(bool good, const char *what, const char *text)
{
    term_say(stdout, "%-12s %s%s%s\n", what, good ? "ok" : "WRONG", *text ? ": " : "", text);
    return good;
}

static bool check_keys(const struct broker_options *o, struct key *key)
{
    struct trust_anchors anchors = {0};
    struct certificate c = {0};
    struct buf bytes = {0};
    struct error err = {0};
    char *administrators = mem_printf("%s/trust/administrators", o->config),
         *sign = mem_printf("%s/keys/broker.key", o->config),
         *own = mem_printf("%s/trust/broker", o->config);
    bool good =
        say(anchors_load(administrators, o->cluster, &anchors, &err) == 0, "anchors", err.text);
    err.text[0] = '\0';
    good &= say(key_load(sign, key, &err) == 0, "key", err.text);
    err.text[0] = '\0';
    int rc = file_read(own, LIMIT_CERTIFICATE, &bytes, &err);
    if (rc == 0)
        rc = certificate_verify(buf_span(&bytes), &anchors, clock_wall_ms(), &c, NULL, &err);
    if (rc == 0 && (c.role != ROLE_BROKER || !hash_eq(&c.sign_key, &key->sign)))
        rc = error_set(&err, -EINVAL,
                       "%s is not for this broker: its role is another, or its key is not %s", own,
                       sign);
    good &= say(rc == 0, "certificate", err.text);
    certificate_free(&c);
    anchors_free(&anchors);
    buf_free(&bytes);
    mem_free(&administrators);
    mem_free(&sign);
    mem_free(&own);
    return good;
}

static bool check_store(const struct broker_options *o)
{
    struct error err = {0};
    struct buf text = {0};
    char *path = mem_printf("%s/broker/broker.db", o->state);
    bool there = access(path, F_OK) == 0 || errno != ENOENT;
    bool good = !there || store_check(path, &text, &err) == 0;
    say(good, "store",
        good ? (there ? buf_str(&text) : "none yet; the first start makes it") : err.text);
    buf_free(&text);
    mem_free(&path);
    return good;
}

/* Listens as the broker would, self-probe included, and stops again. */
static bool check_port(const struct broker_options *o, const struct key *key)
{
    struct error err = {0};
    struct net_server *net = NULL;
    struct loop *loop = loop_new(&err);
    struct net_server_options n = {.listen = o->listen,
                                   .n_listen = o->n_listen,
                                   .secret_transport = key->transport_secret,
                                   .public_transport = key->transport.b};
    struct net_server_calls calls = {0};
    int rc = loop ? net_server_open(&net, loop, &n, &calls, &err) : err.code;
    say(rc == 0, "listen", rc == 0 ? net_server_endpoint(net, 0) : err.text);
    net_server_close(&net);
    loop_destroy(&loop);
    return rc == 0;
}

/* A running broker has the port as well as the store, so the port is tried only without one. */
static bool check_door(const struct broker_options *o, const struct key *key)
{
    struct error err = {0};
    char text[ERROR_TEXT_MAX + 32], *lock = mem_printf("%s/broker/broker.db.lock", o->state);
    int rc = file_lock_is_held(lock, &err);
    mem_free(&lock);
    if (rc == 0)
        return check_port(o, key);
    snprintf(text, sizeof text, "%s%s", rc > 0 ? "one is running here: " : "", err.text);
    return say(rc > 0, "broker", text);
}

int broker_check(const struct broker_options *o)
{
    struct key key = {0};
    struct error err = {0};
    bool good = say(true, "options", "");
    if (trust_init(&err) < 0)
        return say(false, "libsodium", err.text), 1;
    bool keys = check_keys(o, &key);
    good &= keys & check_store(o);
    if (keys)
        good &= check_door(o, &key);
    key_forget(&key);
    return good ? 0 : 1;
}
