/* loop.h - the one reactor of a process. A turn: prepare, sleep, read the clock, signals and
 * descriptors, timers, turn_end. One thread.
 *
 *   - The clock is read once a turn; callbacks ask loop_now() and never the clock.
 *   - An event for a descriptor that was deleted earlier in the same turn is never delivered, also
 *     when its number is in use again.
 *   - Deadlines are in boot time: those that pass during a suspend fire right after it. */
#ifndef LB_COMMON_LOOP_H
#define LB_COMMON_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "common/error.h"
#include "common/heap.h"

struct loop;

struct loop *loop_new(struct error *err); /* NULL: the system refused */
/* Closes the kernel's set without deleting from it, so that a forked child may destroy its copy
 * without harm to the parent. The caller closes the descriptors themselves. Sets *l to NULL;
 * NULL is fine. */
void loop_destroy(struct loop **l);

/* Runs turns until loop_stop; returns its exit code. -errno: waiting itself failed. */
int loop_run(struct loop *l, struct error *err);
/* One turn that sleeps until something happens or `until_boot_ms` has come (0: does not sleep;
 * INT64_MAX: no limit); it may also end at a deadline that has since been put off. For tests, and
 * for waiting within a program. */
int loop_turn(struct loop *l, int64_t until_boot_ms, struct error *err);
/* Ends loop_run after this turn. The first exit code counts. */
void loop_stop(struct loop *l, int exit_code);
bool loop_is_stopping(const struct loop *l);

/* The earlier of two times; of deadlines, the one to wait for. */
static inline int64_t loop_earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
int64_t loop_now(const struct loop *l);      /* boot time in ms, as of this turn */
int64_t loop_now_wall(const struct loop *l); /* wall time in ms, as of this turn */

/* The longest turn since loop_new, without its sleep, in microseconds: so long did everybody wait
 * for one turn, or it for the processor or the disk. */
int64_t loop_longest_us(const struct loop *l);
/* The most processor time that a turn has used since loop_count_cpu, the first one's left out: that
 * is what the work itself takes, however busy the machine is. It costs a system call each turn. */
void loop_count_cpu(struct loop *l);
int64_t loop_longest_cpu_us(const struct loop *l);

/* Descriptors. `events` are EPOLLIN, EPOLLOUT, ...; level-triggered unless EPOLLET is among
 * them. Delete before close. -EEXIST: it is already in the loop (perhaps closed without
 * loop_del); -EPERM: epoll does not support this kind of file. */
typedef void loop_fd_fn(struct loop *l, int fd, uint32_t events, void *arg);
int loop_add(struct loop *l, int fd, uint32_t events, loop_fd_fn *fn, void *arg, struct error *err);
int loop_mod(struct loop *l, int fd, uint32_t events, struct error *err); /* -ENOENT: not there */
/* A descriptor that is not in the loop is ignored. */
void loop_del(struct loop *l, int fd);
/* Instead of loop_del, right after the close of the only copy of a descriptor: the kernel has
 * dropped it already. */
void loop_closed(struct loop *l, int fd);

/* Wakes the loop at that boot time without a callback, for turn_end. There is one deadline:
 * setting it replaces it, INT64_MAX removes it, and it is removed when it has passed. */
void loop_set_deadline(struct loop *l, int64_t boot_ms);

/* Named timers, embedded in what waits for them; all zero is one that is not set. One-shot. The
 * loop borrows them until they fire or are stopped: stop before freeing. */
struct loop_timer;
typedef void loop_timer_fn(struct loop *l, struct loop_timer *timer, void *arg);
struct loop_timer {
    struct heap_node node;
    const char *name; /* a literal, for debugging */
    loop_timer_fn *fn;
    void *arg;
};
/* Sets or resets it. Timers of one time fire in the order in which they were set. One set to a time
 * that is past fires in the next turn, so a timer that sets itself cannot starve the others. */
void loop_timer_set(struct loop *l, struct loop_timer *timer, const char *name, int64_t boot_ms,
                    loop_timer_fn *fn, void *arg);
void loop_timer_stop(struct loop *l, struct loop_timer *timer);
bool loop_timer_is_set(const struct loop_timer *timer);

/* Hooks, called in the order in which they were added. `prepare` runs before each sleep and says
 * whether to sleep: true is "there is work, do not" (a ZeroMQ socket's descriptor is
 * edge-triggered, so the socket must be asked what it still holds). `turn_end` runs after
 * everything else of a turn: commit, tell, set the next deadline. */
typedef bool loop_prepare_fn(struct loop *l, void *arg);
typedef void loop_turn_end_fn(struct loop *l, void *arg);
void loop_on_prepare(struct loop *l, loop_prepare_fn *fn, void *arg);
void loop_on_turn_end(struct loop *l, loop_turn_end_fn *fn, void *arg);
/* Removes all hooks that were added with this `arg`; also from within a hook. For objects that end
 * before their loop. */
void loop_off(struct loop *l, const void *arg);

/* Blocks TERM, INT, HUP and CHLD in this process (call it before any thread starts), ignores PIPE,
 * and calls `fn` from the loop. Several CHLD may come as one: wait for children until none is left.
 * Once per loop. */
typedef void loop_signal_fn(struct loop *l, const struct signalfd_siginfo *info, void *arg);
int loop_signals(struct loop *l, loop_signal_fn *fn, void *arg, struct error *err);
/* For a forked process before it runs a program: undoes what loop_signals did, which exec would
 * pass on. */
void loop_signals_restore(void);

#endif
