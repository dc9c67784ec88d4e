/* names.c - see names.h. */
#include "trust/names.h"

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
