/* handed.h - to which server was an attempt handed? Only that server's word about its output is
 * taken. The core knows the current attempts of live runs; earlier ones, and those of ended runs,
 * are looked up in the store, and what it said is remembered. */
#ifndef LB_BROKER_LOGS_HANDED_H
#define LB_BROKER_LOGS_HANDED_H

#include "broker/logs/logfile.h"
#include "broker/shell/shell.h"

enum { HANDED_KEPT_MAX = 4096 /* answers that are remembered */ };

enum handed_verdict {
    HANDED_YES,
    HANDED_NO,
    HANDED_LATER /* the store is asked; ask again when `heard` is called */
};

struct handed;
typedef void handed_hear(void *self);
struct handed *handed_new(struct shell *sh, struct logfile *file, handed_hear *heard, void *self);
void handed_free(struct handed **h);
/* A caller waits for an answer before it asks about another attempt, so that the open questions
 * are no more than the sessions. */
enum handed_verdict handed_judge(struct handed *h, const struct shell_peer *p, const struct id *run,
                                 uint64_t attempt);

#endif
