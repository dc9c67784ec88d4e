/* budget.h - what one principal may use of the broker: the table, and the accounts against which
 * every use is judged. Pure.
 *
 * A principal is known by its transport key, which CURVE has proved; all its sessions share one
 * account. A service takes from the account before it does the work and gives back when the work is
 * over. What the account does not allow is refused with a sentence, counted, and costs nothing
 * more; the sender gets ERROR `busy` with a time. So one principal reaches its own limit before it
 * costs others anything.
 *
 * Two kinds of budget. A `count` has a limit of its own. A `share` is a part of a pool that all
 * use, such as the memory for waiting calls: a principal may hold at most share / (100 - share)
 * times what is still free. With a share of 75, one alone gets three quarters of the pool, and
 * however many are greedy, something stays free for the next one. (This is the dynamic threshold of
 * A. K. Choudhury and E. L. Hahne, "Dynamic queue length thresholds for shared-memory packet
 * switches", IEEE/ACM Transactions on Networking 6(2), 1998.) */
#ifndef LB_TRUST_BUDGET_H
#define LB_TRUST_BUDGET_H

#include <stdbool.h>

#include "common/error.h"
#include "proto/wire.h"

/* X(NAME, word, kind, limit, unit, what it is, why this much)
 * The word is the name of the setting in broker.yaml (`budgets: [sessions=64]`) and of the column
 * in `lbctl stats --principals`. */
#define BUDGETS(X) \
    X(SESSIONS, "sessions", COUNT, 128, "sessions", "open sessions", \
      "each costs about 65 KiB, most of it buffers of libzmq, so 128 stay below 10 MiB") \
    X(BYTES_IN, "bytes_in", COUNT, 4 << 20, "bytes", "bytes received and not yet handled", \
      "eight windows of 512 KiB; one session cannot fill it") \
    X(BYTES_OUT, "bytes_out", COUNT, 8 << 20, "bytes", "bytes that wait for it to read them", \
      "two full queues of a session (4 MiB); slow readers get no more by opening more sessions") \
    X(QUESTIONS, "questions", COUNT, 64, "questions", "questions to the store without an answer", \
      "one page each; the store answers fairly, so more would only wait longer") \
    X(LOOKUPS, "lookups", COUNT, 8 << 20, "bytes", \
      "calls whose key, or whose end, is being looked up in the store", \
      "ten thousand ordinary calls that a client repeats after it was away") \
    X(SUBSCRIPTIONS, "subscriptions", COUNT, 64, "subscriptions", "subscriptions to events", \
      "two sessions of 32, which is what a session may have") \
    X(LOG_READERS, "log_readers", COUNT, 32, "readers", "LOGS that are not over", \
      "a reader keeps a place in a log until the run ends") \
    X(UPLOADS, "uploads", COUNT, 4, "uploads", "packages and plans that are being uploaded", \
      "each keeps a file open and its size reserved") \
    X(EVIDENCE, "evidence", COUNT, 16 << 20, "bytes", \
      "bytes of results that are kept as evidence and do not count", \
      "thirty of the largest outcomes, many thousands of ordinary ones") \
    X(RUNS, "runs", SHARE, 75, "runs", "live runs, as a share of max_runs", \
      "one principal alone may use most of the broker, and never all of it") \
    X(MEMORY, "memory", SHARE, 75, "bytes", "memory of its runs, as a share of memory_budget", \
      "as for runs") \
    X(LOGS, "logs", SHARE, 75, "bytes", "logs of its server's children, as a share of logs_size", \
      "above it a server loses its oldest output, so that of others finds room; the index of a " \
      "log counts, too") \
    X(DEPOT, "depot", SHARE, 75, "bytes", "packages and plans, as a share of depot_size", \
      "as for runs; a file counts for the one who uploaded it, from the upload's first byte on")
#define X(n, w, k, l, u, t, y) BUDGET_##n,
enum budget { BUDGETS(X) BUDGET_COUNT };
#undef X

enum budget_kind { BUDGET_KIND_COUNT, BUDGET_KIND_SHARE };

/* One row of the table. */
struct budget_row {
    const char *word, *unit, *text, *why;
    enum budget_kind kind;
    uint64_t limit; /* the default; of a share: percent, 1 to 100 */
};
const struct budget_row *budget_row(enum budget b);
/* Reads "sessions=64" or "bytes_in=8M". -EINVAL: *err says what is wrong and names the budgets. */
int budget_parse(const char *text, enum budget *ret, uint64_t *ret_limit, struct error *err);

/* ---- Accounts */
struct budgets;
struct budgets *budgets_new(void); /* with the table's limits; pools are 0, that is, unlimited */
void budgets_free(struct budgets **b);
void budgets_set_limit(struct budgets *b, enum budget which, uint64_t limit);
void budgets_set_pool(struct budgets *b, enum budget which, uint64_t size);
uint64_t budgets_limit(const struct budgets *b, enum budget which);
/* Who tells the name of the principal with this key, for people; NULL: it is not known. It is asked
 * when a name is shown: accounts come and go, and a key has none before its holder has joined. */
typedef const char *budget_name(void *self, const struct hash *who);
void budgets_name_by(struct budgets *b, budget_name *name, void *self);

/* Takes `amount`: 0. -EDQUOT: nothing was taken, the refusal was counted, and *err is the sentence
 * for ERROR `busy`. */
int budgets_take(struct budgets *b, const struct hash *who, enum budget which, uint64_t amount,
                 struct error *err);
/* The same without a limit, for what was allowed before and is found again, as at a restart. */
void budgets_found(struct budgets *b, const struct hash *who, enum budget which, uint64_t amount);
/* Gives back what was taken or found; asserts that it was. */
void budgets_give(struct budgets *b, const struct hash *who, enum budget which, uint64_t amount);
uint64_t budgets_used(const struct budgets *b, const struct hash *who, enum budget which);

/* The rule of a share, for those who keep accounts of their own: may a principal that holds `own`
 * of a pool of which `used` is taken, its own included, take `amount` more? size 0: unlimited. */
bool budget_share_fits(uint64_t own, uint64_t amount, uint64_t used, uint64_t size,
                       uint64_t percent);

/* What one principal uses, for `lbctl stats --principals`. */
struct budget_account {
    struct hash key;
    const char *name; /* "": not known */
    uint64_t used[BUDGET_COUNT], most[BUDGET_COUNT], refused[BUDGET_COUNT];
};
/* Calls `take` for each account. One without any use is kept while it was refused something, until
 * BUDGET_IDLE_MAX of these are kept; then the oldest goes. */
enum { BUDGET_IDLE_MAX = 1024 };
void budgets_each(const struct budgets *b,
                  void (*take)(void *self, const struct budget_account *account), void *self);

#endif
