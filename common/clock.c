/* clock.c - see clock.h. The calendar is computed here and not by gmtime: it must not depend on a
   time zone file. */
#include "common/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/file.h"

static struct timespec read_clock(clockid_t which)
{
    struct timespec t = {0};
    clock_gettime(which, &t); /* cannot fail for the clocks asked here */
    return t;
}

int64_t clock_wall_ms(void)
{
    struct timespec t = read_clock(CLOCK_REALTIME);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int clock_boot_id(struct id *ret, struct error *err)
{
    struct buf b = {0};
    int rc = file_read("/proc/sys/kernel/random/boot_id", 64, &b, err);
    if (rc == 0) {
        while (b.n && b.p[b.n - 1] == '\n')
            b.n--;
        rc = id_parse_span(buf_span(&b), ret, err);
    }
    buf_free(&b);
    return rc;
}

int64_t clock_boot_us(void)
{
    struct timespec t = read_clock(CLOCK_BOOTTIME);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_thread_us(void)
{
    struct timespec t = read_clock(CLOCK_THREAD_CPUTIME_ID);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_waited_us(void)
{
    long long waited = 0;
    struct buf b = {0};
    /* its numbers: ns that the thread ran, ns that it waited to run, how often it ran */
    if (file_read("/proc/thread-self/schedstat", 128, &b, NULL) == 0)
        sscanf(buf_str(&b), "%*s %lld", &waited);
    buf_free(&b);
    return waited / 1000;
}

int64_t clock_boot_ms(void)
{
    return clock_boot_us() / 1000;
}

enum { DAYS_PER_ERA = 146097 }; /* 400 Gregorian years */

/* Days since 1970-01-01. Years run from March here, so that the leap day is the last of its
   year. */
static int64_t days_of(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int64_t of_era = days - era * DAYS_PER_ERA;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / (DAYS_PER_ERA - 1)) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;
    *ret_day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *ret_month = (int)(m < 10 ? m + 3 : m - 9);
    *ret_year = era * 400 + y + (*ret_month <= 2);
}

char *clock_format(int64_t wall_ms, char out[CLOCK_TEXT])
{
    const int64_t day_ms = 86400000;
    int64_t days = wall_ms / day_ms, rest = wall_ms % day_ms, year;
    if (rest < 0) {
        rest += day_ms;
        days--;
    }
    int month, day;
    date_of(days, &year, &month, &day);
    int ms = (int)rest;
    snprintf(out, CLOCK_TEXT, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", (long long)year, month, day,
             ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
    return out;
}

/* Exactly `width` digits at *s; moves *s past them. */
static bool take_digits(const char **s, int width, int *ret)
{
    int v = 0;
    for (int i = 0; i < width; i++) {
        char c = (*s)[i];
        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (c - '0');
    }
    *s += width;
    *ret = v;
    return true;
}

static bool take_char(const char **s, const char *one_of)
{
    if (**s == 0 || !strchr(one_of, **s))
        return false;
    (*s)++;
    return true;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static bool take_date(const char **s, int64_t *ret_days)
{
    int year, month, day;
    if (!take_digits(s, 4, &year) || !take_char(s, "-") || !take_digits(s, 2, &month) ||
        !take_char(s, "-") || !take_digits(s, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month))
        return false;
    *ret_days = days_of(year, month, day);
    return true;
}

static bool take_time(const char **s, int64_t *ret_ms)
{
    int h, m, sec, ms = 0;
    if (!take_digits(s, 2, &h) || !take_char(s, ":") || !take_digits(s, 2, &m) ||
        !take_char(s, ":") || !take_digits(s, 2, &sec) || h > 23 || m > 59 || sec > 60)
        return false;
    if (take_char(s, ".")) {
        int digit, weight = 100;
        if (!take_digits(s, 1, &digit))
            return false;
        do {
            ms += digit * weight;
            weight /= 10;
        } while (take_digits(s, 1, &digit));
    }
    *ret_ms = ((int64_t)h * 3600 + m * 60 + sec) * 1000 + ms;
    return true;
}

static bool take_offset(const char **s, int64_t *ret_ms)
{
    *ret_ms = 0;
    if (take_char(s, "Zz"))
        return true;
    int sign = **s == '-' ? -1 : 1, h, m;
    if (!take_char(s, "+-") || !take_digits(s, 2, &h) || !take_char(s, ":") ||
        !take_digits(s, 2, &m) || h > 23 || m > 59)
        return false;
    *ret_ms = sign * ((int64_t)h * 60 + m) * 60000;
    return true;
}

int clock_parse(const char *s, int64_t *ret_ms, struct error *err)
{
    const char *at = s;
    int64_t days, time_ms = 0, offset_ms = 0;
    if (!take_date(&at, &days))
        goto refuse;
    if (*at) {
        if (!take_char(&at, "Tt ") || !take_time(&at, &time_ms))
            goto refuse;
        if (!*at)
            return error_set(
                err, -EINVAL,
                "the time '%.40s' has no offset: write Z for UTC or, say, +01:00 after it", s);
        if (!take_offset(&at, &offset_ms) || *at)
            goto refuse;
    }
    *ret_ms = days * 86400000 + time_ms - offset_ms;
    return 0;
refuse:
    return error_set(err, -EINVAL,
                     "'%.40s' is not a time: write it as 2026-11-21T09:13:55Z or 2026-11-21", s);
}
