/* checkproxy.h - would the runner of this server take each step of a job under its proxy? For
 * `lbworker check`; who calls is not known here, so it is asked for anybody. */
#ifndef LB_WORKER_CHECKPROXY_H
#define LB_WORKER_CHECKPROXY_H

#include "package/installed.h"
#include "package/proxyhere.h"
#include "worker/jobs.h"

/* A step that would be refused, and why. */
typedef void checkproxy_trouble_fn(void *self, const char *job, const char *step,
                                   const struct error *why);
/* Returns how many steps of the job would be refused. */
unsigned checkproxy_job(struct proxyhere *here, const struct installed_store *packages,
                        const struct job_here *job, checkproxy_trouble_fn *trouble, void *self);

#endif
