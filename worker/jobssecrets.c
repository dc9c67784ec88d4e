/* jobssecrets.c - which secrets the jobs of this server name: see jobs.h. */
#include "worker/jobs.h"

#include <string.h>

#include "trust/secretdoc.h"

struct wire_list jobs_secrets(const struct jobs *j, struct buf *items)
{
    const struct job_here *here;
    struct d_attested_job a;
    struct span item;
    char need[LIMIT_SHORT + 1];
    uint32_t count = 0;
    for (size_t i = 0; (here = jobs_at(j, i)); i++) {
        if (d_attested_job_decode(buf_span(&here->attested), &a, NULL) < 0)
            continue;
        for (struct wire_iter it = wire_iter(&a.needs); wire_next(&it, &item);) {
            const struct wire_list all = wire_list_from(items, count);
            if (!span_copy_str(item, need, sizeof need) || count == LIMIT_NEEDS ||
                strncmp(need, SECRETDOC_NEED, strlen(SECRETDOC_NEED)) != 0 ||
                wire_list_has(&all, need))
                continue;
            wire_add_str(items, item);
            count++;
        }
    }
    return wire_list_from(items, count);
}
