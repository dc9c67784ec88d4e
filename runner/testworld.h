/* testworld.h - a runner in a process of its own, its worker's end of the socket, and the spool,
 * for the tests of this room. */
#ifndef LB_RUNNER_TESTWORLD_H
#define LB_RUNNER_TESTWORLD_H

#include "runner/testrig.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/channel.h"
#include "common/spoolfile.h"
#include "proto/attach.h"
#include "proto/kept.h"
#include "runner/runner.h"
#include "runner/tree.h"

enum { PATIENCE_MS = 20000 };

struct testworld {
    struct testrig rig;
    pid_t runner;
    struct channel *c;
    int bell;
    struct buf call, bytes, outcome_bytes;
    uint8_t runs;
};

/* ---- The runner */

void world_start_runner(struct testworld *w, unsigned slots); /* and attaches to it */
void world_stop_runner(struct testworld *w, int sig);
/* The next message of the runner; waits for it. Returns its kind. */
uint64_t world_hear(struct testworld *w, struct span *ret);
/* Reads what the runner holds, as it reports after S_ATTACH; returns how many are in this state. */
unsigned world_hear_kept(struct testworld *w, enum kept_state state, struct s_kept *ret_last);
void world_say(struct testworld *w, struct buf *message);

/* ---- The spool */

typedef bool testworld_entry_fn(struct testworld *w, uint64_t kind, struct span entry, void *arg);

/* Hands every entry of every file to fn until it returns true: it has seen enough. */
bool world_scan(struct testworld *w, testworld_entry_fn *fn, void *arg);
/* Scans after each ring of the bell until fn has seen enough. */
void world_wait_for(struct testworld *w, testworld_entry_fn *fn, void *arg, const char *what);

/* The run to look for, and what was found. */
struct testworld_wanted {
    struct id run;
    struct d_step_outcome outcome;
    struct buf text[2]; /* collected output */
    uint64_t cut, percent;
    unsigned count;
    char progress[100];
};

/* For world_scan; arg: struct testworld_wanted. */
testworld_entry_fn world_is_ended, world_is_launched, world_collect_output, world_has_progress;

/* ---- Steps */

/* deadline: boot ms; 0: none. */
void world_ask_as(struct testworld *w, const struct rig_call *c, struct id run, int64_t deadline);
/* Requests step `run` of a call, or of a package that is this script; returns the run's id. */
struct id world_ask(struct testworld *w, const struct rig_call *c);
struct id world_ask_script(struct testworld *w, const char *script);
struct testworld_wanted world_outcome(struct testworld *w, struct id run); /* waits for it */
void world_halt(struct testworld *w, struct id run, bool force, uint64_t grace, bool timed_out);

/* The pid in a file that a child writes; waits until it is whole. */
pid_t world_pid_in(struct testworld *w, const char *name);
bool world_is_alive(pid_t pid);
void world_wait_gone(pid_t pid);

int world_setup(void **state);
/* Ends every keeper: kills the guards, which takes down what they guard. */
int world_teardown(void **state);

#define in_world(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

#endif
