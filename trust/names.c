/* names.c - see names.h. */
#include "trust/names.h"

#include <string.h>

#include "common/clock.h"
#include "common/name.h"
#include "proto/limits.h"

_Static_assert((int)NAME_LENGTH_MAX == (int)LIMIT_NAME, "a name fits into the fields for names");

bool name_is_good(struct span name)
{
    return name_is_name(name) && !span_eq_str(name, "all");
}

bool names_address_is_good(struct span address)
{
    return name_is_name(address);
}

bool names_job_is_good(struct span job)
{
    static const char package[] = "package:";
    const size_t n = sizeof package - 1;
    if (job.n > n && span_eq_str(span_of(job.p, n), package))
        job = span_of(job.p + n, job.n - n);
    return name_is_name(job);
}

bool names_as_of_is_good(struct span as_of)
{
    char text[40];
    int64_t ms;
    return as_of.n == 0 || (span_copy_str(as_of, text, sizeof text) && !strchr(text, ' ') &&
                            clock_parse(text, &ms, NULL) == 0);
}
