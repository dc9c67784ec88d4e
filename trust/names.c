/* names.c - see names.h. */
#include "trust/names.h"

#include "proto/limits.h"

static bool letter_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool form_is_good(struct span s)
{
    if (s.n == 0 || s.n > LIMIT_NAME || !letter_or_digit(s.p[0]))
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (!letter_or_digit(s.p[i]) && s.p[i] != '.' && s.p[i] != '_' && s.p[i] != '-')
            return false;
    return true;
}

bool name_is_good(struct span name)
{
    return form_is_good(name) && !span_eq_str(name, "all");
}

bool address_is_good(struct span address)
{
    return form_is_good(address);
}

bool job_name_is_good(struct span job)
{
    static const char package[] = "package:";
    const size_t n = sizeof package - 1;
    if (job.n > n && span_eq_str(span_of(job.p, n), package))
        job = span_of(job.p + n, job.n - n);
    return form_is_good(job);
}
