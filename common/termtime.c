/* termtime.c - the times of term.h. */
#include "common/term.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/duration.h"

enum { HALF_YEAR_S = 183 * 86400 };

void term_utc(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
}

static void local_of(int64_t wall_ms, struct tm *ret)
{
    time_t t = (time_t)(wall_ms / 1000);
    localtime_r(&t, ret);
}

static char *write_time(int64_t wall_ms, const char *how, char out[TERM_TIME])
{
    struct tm tm;
    local_of(wall_ms, &tm);
    if (strftime(out, TERM_TIME, how, &tm) == 0)
        out[0] = 0;
    return out;
}

char *term_zone(int64_t wall_ms, char out[TERM_TIME])
{
    return write_time(wall_ms, "%Z", out);
}

char *term_when(int64_t wall_ms, int64_t now_ms, char out[TERM_TIME])
{
    struct tm then, today;
    local_of(wall_ms, &then);
    local_of(now_ms, &today);
    int64_t away = llabs((wall_ms - now_ms) / 1000);
    if (then.tm_yday == today.tm_yday && then.tm_year == today.tm_year)
        return write_time(wall_ms, "%H:%M:%S", out);
    return write_time(wall_ms, away < HALF_YEAR_S ? "%b %e %H:%M" : "%Y-%m-%d", out);
}

char *term_moment(int64_t wall_ms, char out[TERM_TIME])
{
    return write_time(wall_ms, "%Y-%m-%d %H:%M:%S", out);
}

char *term_clock(int64_t wall_ms, char out[TERM_TIME])
{
    return write_time(wall_ms, "%H:%M:%S", out);
}

/* A time without an offset. strptime takes "2026-02-31"; mktime turns it into another day, which
 * gives it away. */
static bool parse_local(const char *s, int64_t now_ms, int64_t *ret_ms)
{
    static const char *const forms[] = {"%Y-%m-%d",       "%Y-%m-%d %H:%M",    "%Y-%m-%d %H:%M:%S",
                                        "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%H:%M",
                                        "%H:%M:%S"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = {0}, today;
        const char *end = strptime(s, forms[i], &tm);
        if (!end || *end)
            continue;
        if (forms[i][1] == 'H') {
            local_of(now_ms, &today);
            tm.tm_year = today.tm_year, tm.tm_mon = today.tm_mon, tm.tm_mday = today.tm_mday;
        }
        const int day = tm.tm_mday;
        tm.tm_isdst = -1;
        errno = 0;
        time_t t = mktime(&tm);
        if (tm.tm_mday != day || (t == (time_t)-1 && errno))
            return false;
        *ret_ms = (int64_t)t * 1000;
        return true;
    }
    return false;
}

int term_time_parse(const char *s, int64_t now_ms, int64_t *ret_ms, struct error *err)
{
    int64_t ms;
    if (parse_local(s, now_ms, ret_ms))
        return 0;
    if (strlen(s) > 10 && clock_parse(s, ret_ms, NULL) == 0)
        return 0;
    if (duration_parse(s, &ms, NULL) < 0)
        return error_set(err, -EINVAL,
                         "'%.40s' is not a time: give a duration (2h), a day (2026-11-20), a day "
                         "and time ('2026-11-20 09:14') or a time of today (09:14)",
                         s);
    *ret_ms = now_ms - ms;
    return 0;
}
