/* sandbox.h - the walls around the children of a slot: limits, cgroup, Landlock, refused system
 * calls, a /tmp of its own. One for each keeper; it knows what this server can give, and takes for
 * each step what the proxy wants of it.
 *
 * In user mode, a wall between processes of one user is as thick as that user's rights: a child
 * may, for one, leave its cgroup. docs/security.md says what each is worth in which mode. */
#ifndef LB_RUNNER_SANDBOX_H
#define LB_RUNNER_SANDBOX_H

#include <sys/resource.h>

#include "proto/messages.h"
#include "proto/protect.h"
#include "runner/command.h"
#include "runner/excess.h"
#include "runner/privilege.h"
#include "runner/runnerpaths.h"

/* ---- Once for the runner */

/* Finds what this server can give, says so in the log, and writes it to run/protections, where
 * `lbworker check` reads it. Sets paths->cgroup and paths->private_tmp. */
void sandbox_survey(struct runner_paths *paths);

/* ---- Of a slot */

struct sandbox;
/* `paths` is lent. What the server cannot give is no error here. Slot 0: of none, for programs of
 * ours that see what a child would; they enter no cgroup. */
int sandbox_open(const struct runner_paths *paths, unsigned slot, struct sandbox **ret,
                 struct error *err);
void sandbox_close(struct sandbox **s);

struct sandbox_step {
    const struct d_context *context;   /* lent until sandbox_end */
    struct hash package;               /* zero: none */
    const struct privilege_user *user; /* whom the child becomes; NULL: nobody */
    const char *work, *memory;         /* folders that it may write to */
    const char *credentials;           /* that it may read; NULL: none */
    uint64_t off;                      /* PROTECT_: what else it is without */
};
/* Could such a step begin? The first part of sandbox_begin. */
int sandbox_judge(struct sandbox *s, const struct sandbox_step *step, struct error *err);
/* Before a step. -EPERM: its proxy requires what it would not have; *err names it. */
int sandbox_begin(struct sandbox *s, const struct sandbox_step *step, struct error *err);
/* PROTECT_: what the step is without, all told. */
uint64_t sandbox_off(const struct sandbox *s);
/* The same as words, for its outcome. Returns how many. */
size_t sandbox_list_off(const struct sandbox *s, const char *off[PROTECT_COUNT]);

/* In the child between clone and execve, which shares our memory, in this order; each 0, or -1
 * with errno. NULL: a program of ours, with the usual limits alone. As ourselves: */
int sandbox_enter(const struct sandbox *s);
/* While it still has our rights: */
int sandbox_limit(const struct sandbox *s);
/* As its user, no_new_privs is set; after this nothing but execve: */
int sandbox_seal(const struct sandbox *s);

/* Whether the step gets a /tmp of its own. Then what spawn starts is the command that this makes
 * of the step's (owntmp.h), yours to free with owntmp_free, which closes the sandbox itself:
 * sandbox_seal leaves that to it. */
bool sandbox_has_tmp(const struct sandbox *s);
void sandbox_wrap(const struct sandbox *s, const struct command *command, struct command *ret);

/* Kills all that the step has started, where its cgroup can do that; else nothing. */
void sandbox_kill(const struct sandbox *s);
/* After the step, which has ended with this status. Where its cgroup has counted the time of all
 * its processes, usage says so. */
struct excess sandbox_end(struct sandbox *s, int status, struct rusage *usage);

#endif
