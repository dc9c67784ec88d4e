/* broker.c - see broker.h. */
#include "broker/broker.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "broker/auditing.h"
#include "broker/depot/enrol.h"
#include "broker/dispatch.h"
#include "broker/shell/gate.h"
#include "broker/shell/ask.h"
#include "broker/shell/endedkeys.h"
#include "broker/shell/hello.h"
#include "broker/shell/known.h"
#include "broker/shell/offload.h"
#include "broker/shell/turn.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "trust/rotation.h"

const char *broker_endpoint(struct broker *b, unsigned index)
{
    return net_server_endpoint(b->shell.net, index);
}

/* ---- What the loop and the sessions bring */
static void on_minute(struct loop *l, struct loop_timer *t, void *arg)
{
    struct broker *b = arg;
    known_expire(b->shell.known, b->shell.invitations, loop_now_wall(l));
    auditing_minute(b);
    loop_timer_set(l, t, "minute", loop_now(l) + 60000, on_minute, b);
}

static void on_store(struct loop *l, int fd, uint32_t events, void *arg)
{
    struct broker *b = arg;
    (void)l, (void)fd, (void)events;
    store_dispatch(b->shell.store);
    auditing_committed(b);
}

static enum refusal on_hello(void *self, uint64_t peer, const struct hash *key, const char *address,
                             struct span hello, struct error *why)
{
    struct broker *b = self;
    enum refusal code = hello_take(&b->shell, peer, key, address, hello, why);
    if (code != REFUSAL_NONE)
        auditing_deny_session(b, key, address, code, why->text);
    return code;
}

static void on_down(void *self, uint64_t peer, const char *reason)
{
    turn_down(&((struct broker *)self)->shell, peer, reason);
}

static void on_window(void *self, uint64_t peer)
{
    turn_window(&((struct broker *)self)->shell, peer);
}

static void on_trouble(void *self, const struct hash *key, const char *text)
{
    (void)self, (void)key;
    log_warn("%s", text);
}

/* ---- Assembling */
static void warn(const char *text)
{
    log_warn("%s", text);
}

static void allow_key(void *self, const struct hash *transport, bool allowed)
{
    struct broker *b = self;
    if (b->shell.net)
        net_server_allow(b->shell.net, transport,
                         allowed || known_by_key(b->shell.known, transport) != NULL);
}

/* The certificate of the next key, which sessions are told, so that they know the broker again when
 * it has that key. */
static void open_next(struct broker *b, const char *key, const char *own,
                      const struct certificate *now)
{
    char *path = mem_printf("%s" ROTATION_NEXT, own);
    struct certificate c = {0};
    struct error err = {0};
    int rc = file_read(path, LIMIT_CERTIFICATE, &b->next_certificate, &err);
    if (rc == 0)
        rc = rotation_verify(key, &b->anchors, now, buf_span(&b->next_certificate), clock_wall_ms(),
                             &c, &err);
    if (rc == 0)
        log_info("sessions are told of this broker's next key; lbbroker rotate --now uses it");
    else if (rc != -ENOENT)
        log_warn("%s is not announced: %s", path, err.text);
    if (rc < 0)
        buf_clear(&b->next_certificate);
    certificate_free(&c);
    mem_free(&path);
}

static int open_trust(struct broker *b, struct error *err)
{
    const char *etc = b->options.config;
    char *anchors = mem_printf("%s/trust/administrators", etc),
         *key = mem_printf("%s/keys/broker.key", etc), *own = mem_printf("%s/trust/broker", etc);
    struct buf bytes = {0};
    struct certificate *c = &b->own;
    int rc = anchors_load(anchors, b->options.cluster, &b->anchors, err);
    if (rc == 0)
        rc = key_load(key, &b->key, err);
    if (rc == 0)
        rc = file_read(own, LIMIT_CERTIFICATE, &bytes, err);
    if (rc == 0)
        rc = certificate_verify(buf_span(&bytes), &b->anchors, clock_wall_ms(), c, NULL, err);
    if (rc == 0 && c->role != ROLE_BROKER)
        rc = error_set(err, -EINVAL, "%s: the certificate of '%s' is for a %s, not for a broker",
                       own, c->name, role_word(c->role));
    /* lbbroker rotate --now may have been cut off after it had replaced the certificate */
    if (rc == 0 && !hash_eq(&c->sign_key, &b->key.sign) &&
        rotation_finish(key, &c->sign_key, NULL) > 0) {
        key_forget(&b->key);
        rc = key_load(key, &b->key, err);
    }
    if (rc == 0 && !hash_eq(&c->sign_key, &b->key.sign))
        rc = error_set(
            err, -EINVAL,
            "%s is not for the key in %s; run lbctl init again or put the right file there", own,
            key);
    if (rc == 0)
        open_next(b, key, own, c);
    buf_free(&bytes);
    mem_free(&anchors);
    mem_free(&key);
    mem_free(&own);
    return rc;
}

static int take_record(void *self, uint64_t lsn, struct span body, struct error *err)
{
    struct broker *b = self;
    int rc = bcore_replay(b->shell.core, lsn, body, err);
    if (rc == 0)
        enrol_replay(&b->shell, body);
    b->last_lsn = lsn;
    return rc;
}

static int open_store(struct broker *b, struct error *err)
{
    struct shell *sh = &b->shell;
    char *folder = mem_printf("%s/broker", b->options.state);
    sh->store_path = mem_printf("%s/broker.db", folder);
    int rc = file_make_dirs(folder, 0700, err);
    struct store_options o = {.path = sh->store_path,
                              .retention_ms = b->options.retention_ms,
                              .history_bytes = b->options.history_bytes,
                              .reserve_bytes = b->options.reserve_bytes,
                              .now = clock_wall_ms()};
    if (rc == 0)
        rc = store_open(&b->shell.store, &o, err);
    if (rc == 0)
        rc = store_load(b->shell.store, take_record, b, err);
    if (rc == 0 && store_is_backup(b->shell.store) && !b->options.restored)
        rc = error_set(
            err, -ESTALE,
            "store '%s' is a backup: runs that ended after it was taken would run again. Start "
            "once with --restored, which holds every live run until lbctl release decides",
            sh->store_path);
    if (rc == 0 && b->options.restored)
        rc = store_restored(b->shell.store, err);
    if (rc == 0)
        rc = store_start(b->shell.store, &(struct store_calls){sh, turn_committed, turn_store_full},
                         err);
    if (rc == 0)
        rc = loop_add(b->shell.loop, store_fd(b->shell.store), EPOLLIN, on_store, b, err);
    b->last_lsn = b->shell.store ? store_committed(b->shell.store) : 0;
    mem_free(&folder);
    return rc;
}

static void open_core(struct broker *b)
{
    struct bcore_config c = {.lease_ms = b->options.lease_ms,
                             .lost_after_ms = b->options.lost_after_ms,
                             .memory_budget = b->options.memory_budget,
                             .bodies_budget = b->options.bodies_budget,
                             .max_runs = b->options.max_runs,
                             .runs_percent = budgets_limit(b->shell.budgets, BUDGET_RUNS),
                             .memory_percent = budgets_limit(b->shell.budgets, BUDGET_MEMORY),
                             .evidence_bytes = budgets_limit(b->shell.budgets, BUDGET_EVIDENCE),
                             .certificate = buf_span(&b->own.signed_bytes),
                             .next = buf_span(&b->next_certificate)};
    span_copy_str(span_str(b->options.cluster), c.cluster, sizeof c.cluster);
    span_copy_str(span_str(b->options.name), c.broker, sizeof c.broker);
    randombytes_buf(c.hash_key, sizeof c.hash_key);
    b->shell.core = bcore_new(&c);
}

static const char *name_of_key(void *broker, const struct hash *key)
{
    const struct broker *b = broker;
    const struct certificate *c = b->shell.known ? known_by_key(b->shell.known, key) : NULL;
    return c ? c->name : NULL;
}

static void open_budgets(struct broker *b)
{
    const struct broker_options *o = &b->options;
    b->shell.budgets = budgets_new();
    budgets_name_by(b->shell.budgets, name_of_key, b);
    for (unsigned i = 0; i < BUDGET_COUNT; i++)
        if (o->budgets[i])
            budgets_set_limit(b->shell.budgets, i, o->budgets[i]);
    budgets_set_pool(b->shell.budgets, BUDGET_RUNS, o->max_runs);
    budgets_set_pool(b->shell.budgets, BUDGET_MEMORY, o->memory_budget);
    budgets_set_pool(b->shell.budgets, BUDGET_LOGS, o->logs_bytes);
    budgets_set_pool(b->shell.budgets, BUDGET_DEPOT, o->depot_bytes);
}

static void open_known(struct broker *b)
{
    char *folder = mem_printf("%s/trust/known", b->options.config);
    int64_t now = clock_wall_ms();
    b->shell.known = known_new(&b->anchors, &b->own, allow_key, b);
    known_add_folder(b->shell.known, folder, now, warn);
    b->shell.invitations = mem_printf("%s/broker/invitations", b->options.state);
    mem_free(&folder);
}

static int open_net(struct broker *b, struct error *err)
{
    struct net_server_options o = {.listen = b->options.listen,
                                   .n_listen = b->options.n_listen,
                                   .secret_transport = b->key.transport_secret,
                                   .public_transport = b->key.transport.b,
                                   .budgets = b->shell.budgets};
    struct net_server_calls calls = {b, on_hello, dispatch_message, on_down, on_window, on_trouble};
    int rc = net_server_open(&b->shell.net, b->shell.loop, &o, &calls, err);
    if (rc == 0)
        known_each_key(b->shell.known, allow_key, b);
    return rc;
}

static int open_services(struct broker *b, struct error *err)
{
    struct shell *sh = &b->shell;
    char *depot = mem_printf("%s/depot", b->options.state),
         *logs = mem_printf("%s/logs", b->options.state);
    turn_new(sh);
    b->events = events_new(sh);
    enrol_listen(sh);
    ask_listen(sh);
    int rc = offload_new(&sh->offload, sh->loop, err);
    if (rc == 0)
        rc = depot_open(&b->depot, sh, depot, b->options.depot_bytes, b->options.retention_ms, err);
    if (rc == 0)
        rc = logs_open(&b->logs, sh, logs, b->options.logs_bytes, b->options.logs_keep_ms, err);
    b->sources = (struct query_sources){sh, b->events, b->depot, b->logs};
    mem_free(&depot);
    mem_free(&logs);
    return rc;
}

int broker_open(struct broker **ret, struct loop *loop, const struct broker_options *o,
                struct error *err)
{
    struct broker *b = mem_zalloc(1, sizeof *b);
    b->options = *o;
    b->shell = (struct shell){.cluster = o->cluster,
                              .name = o->name,
                              .certificate = &b->own,
                              .loop = loop,
                              .anchors = &b->anchors,
                              .started_wall = clock_wall_ms()};
    int rc = open_trust(b, err);
    if (rc == 0) {
        open_budgets(b);
        open_known(b);
        open_core(b);
        rc = open_services(b, err);
    }
    if (rc == 0)
        rc = open_store(b, err);
    if (rc == 0)
        rc = auditing_open(b, err);
    if (rc == 0) {
        known_load_invitations(b->shell.known, b->shell.invitations, clock_wall_ms(), warn);
        turn_begin(&b->shell, b->last_lsn, o->restored);
        endedkeys_read(&b->shell);
        loop_timer_set(loop, &b->minute, "minute", clock_boot_ms() + 60000, on_minute, b);
        rc = open_net(b, err);
    }
    if (rc < 0) {
        broker_close(&b);
        return rc;
    }
    *ret = b;
    return 0;
}

/* Services are closed before the store that they ask and after the sessions that they hear
 * about. */
void broker_close(struct broker **broker)
{
    struct broker *b = *broker;
    if (!b)
        return;
    struct shell *sh = &b->shell;
    *broker = NULL;
    loop_timer_stop(sh->loop, &b->minute);
    net_server_close(&sh->net); /* says goodbye */
    while (sh->peers)
        hello_forget(sh, sh->peers);
    offload_free(&sh->offload);
    auditing_stop(b);
    turn_stop(sh);
    if (sh->store)
        loop_del(sh->loop, store_fd(sh->store));
    sh->n_listeners = 0;
    events_free(&b->events);
    logs_close(&b->logs);
    depot_close(&b->depot);
    store_close(&sh->store);
    auditor_free(&sh->auditor);
    turn_free(sh);
    bcore_free(&sh->core);
    known_free(&sh->known);
    budgets_free(&sh->budgets);
    anchors_free(&b->anchors);
    key_forget(&b->key);
    certificate_free(&b->own);
    buf_free(&b->next_certificate);
    buf_free(&sh->scratch);
    buf_free(&sh->trimmed);
    mem_free(&sh->store_path);
    mem_free(&sh->invitations);
    mem_free(&b);
}
