/* executions.c - what is on record of how the tries of an attempt were run, gathered for its
 * RESULT. All of it has at most LIMIT_EXECUTIONS bytes: the newest tries are kept, since they
 * decided, and those left out are counted. */
#include "worker/core/inside.h"

enum { AROUND = 16 /* bytes around one execution, and around all of them */ };

void executions_of_attempt(const struct wattempt *a, struct buf *out)
{
    struct buf items = {0};
    struct d_executions all = {.left_out = 0};
    unsigned first = a->n_tries, count = 0;
    size_t bytes = AROUND;
    while (first > 0 && bytes + a->tries[first - 1].execution.n + AROUND <= LIMIT_EXECUTIONS)
        bytes += a->tries[--first].execution.n + AROUND;
    for (unsigned i = 0; i < a->n_tries; i++) {
        if (!a->tries[i].execution.n)
            continue;
        if (i < first) {
            all.left_out++;
            continue;
        }
        wire_add_bin(&items, buf_span(&a->tries[i].execution));
        count++;
    }
    all.tries = wire_list_from(&items, count);
    if (count || all.left_out)
        d_executions_encode(&all, out);
    buf_free(&items);
}
