/* handinside.h - internal: what the files of a run by hand share on the person's side. */
#ifndef LB_CLIENT_HANDINSIDE_H
#define LB_CLIENT_HANDINSIDE_H

#include <jansson.h>

#include "common/buf.h"
#include "proto/messages.h"

enum { HAND_EXECUTIONS_MAX = 1000 };

/* How each try was run, as it came: s_ended in the order of the tries. */
struct hand_ends {
    struct buf *v;
    unsigned n;
};

/* ---- handshow.c: for people. Each appends lines. */
void handshow_plan(const struct s_planned *p, struct buf *out);
void handshow_end(const struct d_step_outcome *o, struct buf *out);

/* ---- handjson.c; the caller releases them */
json_t *handjson_plan(const struct s_planned *p);
json_t *handjson_outcome(const struct d_outcome *o, const struct hand_ends *ends);

#endif
