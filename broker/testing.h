/* testing.h - the whole broker in one process: a broker on a port of its own, and peers that speak
 * to it. Any failure fails the test. For *_test.c only. */
#ifndef LB_BROKER_TESTING_H
#define LB_BROKER_TESTING_H

#include "broker/broker.h"
#include "broker/shell/turn.h"
#include "common/clock.h"
#include "common/testing.h"
#include "net/dialer.h"
#include "trust/certificate.h"
#include "trust/envelope.h"

enum { BTEST_WAIT_MS = 20000, BTEST_GRANTS = 3 };

/* The world of a test: a folder, a loop, a broker. */
struct btest {
    char *home;
    struct loop *loop;
    struct broker *broker;         /* NULL: not started, or closed */
    struct key administrator, key; /* key: the broker's */
    char *endpoint;
    uint64_t memory_budget; /* 0: plenty */
    uint64_t bodies_budget; /* 0: the part of it that the core takes */
    uint64_t max_runs;      /* 0: 1000 */
};

struct btest_peer {
    struct btest *w;
    struct dialer *dialer;
    struct key key;
    struct buf certificate;
    bool up, refused;
    uint64_t refused_code;
    struct id spool;
    uint64_t minor;   /* not 0: the version that its HELLO names */
    struct buf heard; /* [u32 size][message] ... */
    size_t read;      /* how far `heard` has been read */
    size_t pongs;     /* bytes of `heard` that answer PINGs: how many depends on the time */
    unsigned sessions;
};

/* cmocka's: a world with keys and folders, with no broker yet. */
int btest_setup(void **state);
int btest_teardown(void **state);
/* Starts the broker, on its previous port, if any. */
void btest_start(struct btest *w);
/* Writes HOME/etc/NAME. */
void btest_write_file(struct btest *w, const char *name, struct span content, mode_t mode);
void btest_turn(struct btest *w); /* one turn of the loop, of at most 100 ms */
#define wait_until(w, condition) \
    do { \
        int64_t until_ = clock_boot_ms() + BTEST_WAIT_MS; \
        while (!(condition)) { \
            if (clock_boot_ms() > until_) \
                fail_msg("waited in vain for: " #condition); \
            btest_turn(w); \
        } \
    } while (0)

/* ---- Peers */
/* Makes a certificate for t->key. A server is in the pool etl. */
void btest_certify(struct btest_peer *t, const char *name, enum role role, uint64_t serial,
                   const char *const *grants, size_t n_grants);
/* A principal with a new key, whose certificate lies in etc/trust/known: before btest_start. */
void btest_principal(struct btest *w, struct btest_peer *t, const char *name, enum role role,
                     uint64_t serial, const char *const *grants, size_t n_grants);
extern const char *const btest_all_grants[BTEST_GRANTS]; /* call, watch, operate everything */
void btest_dial(struct btest_peer *t);
void btest_connect(struct btest_peer *t); /* dials, and waits for WELCOME */
void btest_bye(struct btest_peer *t);     /* closes, and frees what the peer has */

/* say(t, call, .req = 1, ...) sends m_call; hear(t, done, &m) waits for the next m_done, skipping
 * what comes before it. */
#define say(t, low, ...)  btest_say_schema((t), &m_##low##_schema, &(struct m_##low){__VA_ARGS__})
#define hear(t, low, ret) wait_until((t)->w, btest_next_of((t), &m_##low##_schema, (ret)))
void btest_say_schema(struct btest_peer *t, const struct wire_schema *s, const void *message);
/* False: not yet. */
bool btest_next_of(struct btest_peer *t, const struct wire_schema *s, void *ret);

/* ---- What callers, workers and people do */
/* etl1 offers the job `load` in four slots. */
void btest_attest(struct btest_peer *worker);
/* Calls `load` at the pool etl and follows it. */
void btest_call(struct btest_peer *caller, const char *name, const char *key, uint64_t req);
void btest_result(struct btest_peer *worker, struct id run); /* success, of attempt 1 */
/* A call of anna's, through the worker, to its end. */
struct id btest_run_one(struct btest_peer *caller, struct btest_peer *worker, const char *key);
/* anna with all grants and etl1, connected; the broker is started. */
void btest_caller_and_worker(struct btest *w, struct btest_peer *anna, struct btest_peer *etl1);
/* QUERY with one filter (key NULL: none): the rows, a line each. */
void btest_ask(struct btest_peer *t, const char *what, const char *key, const char *value,
               struct buf *ret);
/* Takes events until `to` is at least `upto`; checks that stretches join without a gap and counts
 * each number once. */
unsigned btest_follow_events(struct btest_peer *t, uint64_t req, uint64_t after, uint64_t upto,
                             uint64_t *ret_to);

#endif
