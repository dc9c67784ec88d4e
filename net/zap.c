/* zap.c - see zap.h. */
#include "net/zap.h"

#include <czmq.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <zmq.h>

#include "common/clock.h"
#include "common/mem.h"
#include "net/keyhash.h"
#include "net/socket.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01" /* where libzmq looks for it */
#define ZAP_VERSION  "1.0"

enum {
    PARTS = 7, /* of a request with one credential */
    REPLY_PARTS = 6
};

/* ---- Keys and decisions */

/* When connections were let in that have not spoken yet, the oldest first, from `at` on. */
struct zap_silent {
    int64_t since[ZAP_SILENT_MAX];
    unsigned at, n;
};

struct zap_key {
    struct hash key;
    struct zap_silent *silent; /* NULL: none */
    UT_hash_handle hh;
};

struct zap_keys {
    pthread_mutex_t lock;
    struct zap_key *all;
    uint64_t put_off;
};

struct zap_keys *zap_keys_new(void)
{
    struct zap_keys *k = mem_zalloc(1, sizeof *k);
    net_hash_begin();
    pthread_mutex_init(&k->lock, NULL);
    return k;
}

void zap_keys_free(struct zap_keys **k)
{
    struct zap_key *key, *next;
    if (!*k)
        return;
    HASH_ITER (hh, (*k)->all, key, next) {
        HASH_DEL((*k)->all, key);
        mem_free(&key->silent);
        mem_free(&key);
    }
    pthread_mutex_destroy(&(*k)->lock);
    mem_free(k);
}

void zap_keys_set(struct zap_keys *k, const struct hash *key, bool allowed)
{
    struct zap_key *found;
    pthread_mutex_lock(&k->lock);
    HASH_FIND(hh, k->all, key, sizeof *key, found);
    if (allowed && !found) {
        found = mem_zalloc(1, sizeof *found);
        found->key = *key;
        HASH_ADD(hh, k->all, key, sizeof *key, found);
    } else if (!allowed && found) {
        HASH_DEL(k->all, found);
        mem_free(&found->silent);
        mem_free(&found);
    }
    pthread_mutex_unlock(&k->lock);
}

static void forget_oldest(struct zap_key *key)
{
    key->silent->at = (key->silent->at + 1) % ZAP_SILENT_MAX;
    if (--key->silent->n == 0)
        mem_free(&key->silent);
}

void zap_keys_spoke(struct zap_keys *k, const struct hash *key)
{
    struct zap_key *found;
    pthread_mutex_lock(&k->lock);
    HASH_FIND(hh, k->all, key, sizeof *key, found);
    if (found && found->silent)
        forget_oldest(found);
    pthread_mutex_unlock(&k->lock);
}

uint64_t zap_keys_put_off(struct zap_keys *k)
{
    pthread_mutex_lock(&k->lock);
    uint64_t n = k->put_off;
    pthread_mutex_unlock(&k->lock);
    return n;
}

static bool admit(struct zap_key *key, int64_t now)
{
    while (key->silent && key->silent->since[key->silent->at] + ZAP_SILENT_MS <= now)
        forget_oldest(key);
    if (!key->silent)
        key->silent = mem_zalloc(1, sizeof *key->silent);
    if (key->silent->n == ZAP_SILENT_MAX)
        return false;
    key->silent->since[(key->silent->at + key->silent->n++) % ZAP_SILENT_MAX] = now;
    return true;
}

enum zap_verdict zap_judge(struct zap_keys *k, const struct span *parts, size_t n, int64_t now,
                           struct hash *ret_key)
{
    enum zap_verdict verdict = ZAP_REFUSED;
    struct zap_key *found;
    struct hash key;

    if (n != PARTS || !span_eq_str(parts[0], ZAP_VERSION) || !span_eq_str(parts[2], ZAP_DOMAIN) ||
        !span_eq_str(parts[5], "CURVE") || parts[6].n != sizeof key)
        return ZAP_REFUSED;
    memcpy(&key, parts[6].p, sizeof key);
    pthread_mutex_lock(&k->lock);
    HASH_FIND(hh, k->all, &key, sizeof key, found);
    if (found) {
        verdict = admit(found, now) ? ZAP_IN : ZAP_LATER;
        k->put_off += verdict == ZAP_LATER;
    }
    pthread_mutex_unlock(&k->lock);
    if (found)
        *ret_key = key;
    return verdict;
}

/* ---- The handler's thread */

struct zap {
    struct zap_keys *keys;
    zactor_t *actor;
    zsock_t *door;
};

static void answer(void *rep, struct span request_id, enum zap_verdict verdict,
                   const struct hash *key)
{
    static const struct {
        const char *status, *text;
    } said[] = {[ZAP_REFUSED] = {"400", "unknown key"},
                [ZAP_LATER] = {"300", "too many connections without a session"},
                [ZAP_IN] = {"200", "OK"}};
    char user[2 * sizeof *key + 1] = "";
    if (verdict == ZAP_IN)
        hex_format(key->b, sizeof key->b, user);
    const struct span parts[REPLY_PARTS] = {
        span_str(ZAP_VERSION),        request_id,     span_str(said[verdict].status),
        span_str(said[verdict].text), span_str(user), SPAN_NONE, /* no metadata of ours */
    };
    for (int i = 0; i < REPLY_PARTS; i++)
        zmq_send(rep, parts[i].p, parts[i].n, i + 1 < REPLY_PARTS ? ZMQ_SNDMORE : 0);
}

/* Takes one request and answers it; a malformed one too, since a REP socket must. */
static void serve(struct zap_keys *keys, void *rep)
{
    zmq_msg_t got[PARTS + 1]; /* the last: for any excess part */
    struct span parts[PARTS];
    struct hash key;
    size_t n = 0;
    bool more = true;

    for (; more; n++) {
        zmq_msg_t *m = &got[n < PARTS ? n : PARTS];
        zmq_msg_init(m);
        more = zmq_msg_recv(m, rep, 0) >= 0 && zmq_msg_more(m);
        if (n < PARTS)
            parts[n] = span_of(zmq_msg_data(m), zmq_msg_size(m));
        else
            zmq_msg_close(m);
    }
    enum zap_verdict verdict = zap_judge(keys, parts, n, clock_boot_ms(), &key);
    answer(rep, n > 1 ? parts[1] : SPAN_NONE, verdict, &key);
    for (size_t i = 0; i < n && i < PARTS; i++)
        zmq_msg_close(&got[i]);
}

static void handler(zsock_t *pipe, void *arg)
{
    struct zap *z = arg;
    zmq_pollitem_t items[] = {
        {.socket = zsock_resolve(pipe), .events = ZMQ_POLLIN},
        {.socket = zsock_resolve(z->door), .events = ZMQ_POLLIN},
    };

    zsock_signal(pipe, 0);
    while (zmq_poll(items, 2, -1) >= 0 || errno == EINTR) {
        if (items[0].revents)
            return; /* $TERM, the only command it ever gets */
        if (items[1].revents & ZMQ_POLLIN)
            serve(z->keys, items[1].socket);
    }
}

int zap_open(struct zap **ret, struct zap_keys *keys, struct error *err)
{
    struct zap *z = mem_zalloc(1, sizeof *z);
    sigset_t all, before;
    int rc;

    net_begin();
    z->keys = keys;
    z->door = zsock_new(ZMQ_REP);
    if (!z->door || zmq_bind(zsock_resolve(z->door), ZAP_ENDPOINT) != 0) {
        rc = error_set(err, errno == EADDRINUSE ? -EADDRINUSE : -EIO,
                       "the ZAP handler cannot bind %s: %s", ZAP_ENDPOINT, zmq_strerror(errno));
        goto fail;
    }
    sigfillset(&all); /* signals go to the loop's thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    z->actor = zactor_new(handler, z);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!z->actor) {
        rc = error_set(err, -EAGAIN, "cannot start the ZAP handler's thread");
        goto fail;
    }
    *ret = z;
    return 0;
fail:
    zap_close(&z);
    return rc;
}

void zap_close(struct zap **z)
{
    if (!*z)
        return;
    zactor_destroy(&(*z)->actor);
    if ((*z)->door)
        /* now; closing does it in the background */
        zmq_unbind(zsock_resolve((*z)->door), ZAP_ENDPOINT);
    zsock_destroy(&(*z)->door);
    mem_free(z);
}
