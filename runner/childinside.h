/* childinside.h - internal: what child.c (its life) and childreport.c (what is said of it)
 * share. */
#ifndef LB_RUNNER_CHILDINSIDE_H
#define LB_RUNNER_CHILDINSIDE_H

#include <sys/resource.h>

#include "runner/child.h"
#include "runner/command.h"
#include "runner/ended.h"
#include "runner/execution.h"
#include "runner/mask.h"
#include "runner/output.h"
#include "runner/privilege.h"
#include "runner/sandbox.h"

enum phase {
    PHASE_NONE,
    PHASE_RUNS,
    PHASE_ENDING, /* TERM was sent */
    PHASE_KILLING,
    PHASE_SAYING /* all is over, but the spool cannot take the outcome yet */
};

struct child {
    const struct runner_paths *paths;
    struct loop *loop;
    struct report *report;
    child_ended_fn *ended;
    void *self;
    unsigned slot;
    bool shielded;
    struct childfiles *files;
    struct workfolder *work;
    struct intact *intact;
    struct sandbox *sandbox;
    struct error trouble; /* why no further child may start here; code 0: it may */
    char *credentials; /* the folder of what a proxy hands out; there only while a step has some */
    int null;
    struct output output;
    struct execution_self own; /* what is the same for each step */
    struct loop_timer timer;
    struct buf entry; /* scratch for what is reported */

    /* Of the step that runs */
    enum phase phase;
    struct buf bytes;
    struct s_launch launch;
    struct d_context context; /* what its proxy gives it; points into bytes */
    struct privilege_user user;
    bool switched; /* it becomes this user */
    struct command command;
    struct buf opened;    /* its parameters, if some of them were sealed */
    struct mask *secrets; /* values that leave this process masked; NULL: there are none */
    struct execution_left left;
    int64_t handed_at; /* wall */
    pid_t pid;
    bool launched; /* its S_LAUNCHED is in the spool, or will be before its S_ENDED */
    bool exited;
    int status;
    struct rusage usage;
    enum stop_cause stop;
    int64_t started_at, ended_at; /* wall */
    int64_t timeout_at, kill_at;  /* boot; INT64_MAX: never */
    int64_t warn_at;              /* the same */
    bool warned;
    struct excess excess;
    int64_t fence_term, fence_kill, fence_again; /* boot */
    int64_t progress_at;
    uint64_t percent;
};

/* ---- childreport.c: each is written to the spool through `report`. */
void child_say_output(void *self, unsigned stream, uint64_t offset, struct span data, uint64_t cut);
int child_say_launched(struct child *c, struct error *err); /* and waits for the disk */
void child_say_progress(struct child *c);                   /* if there is something new */
void child_say_ended(struct child *c);                      /* into `entry`, too */
/* What the step is without for other reasons than its walls: PROTECT_. */
uint64_t child_otherwise_off(const struct child *c);
const char *child_user(const struct child *c, char out[LIMIT_SHORT + 1]);

#endif
