/* log.c - see log.h. */
#include "common/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/suggest.h"
#include "common/term.h"

enum {
    LINE_MAX_BYTES = 2048, /* journald's own default; longer lines are cut and end in "..." */
    /* formats tracked at once; two that share a slot are throttled less, never more */
    THROTTLE_SLOTS = 128,
    THROTTLE_MAX = 10,
    THROTTLE_MS = 1000
};

struct throttle {
    const char *fmt; /* by address: a format string is a literal */
    enum log_level level;
    int64_t since;
    unsigned seen, held_back;
};

static struct {
    pthread_mutex_t lock;
    const char *program;
    enum log_level level;
    bool opened, to_journal;
    unsigned slots_held_back;
    struct throttle slot[THROTTLE_SLOTS];
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_LEVEL_INFO};

static const char *const level_names[] = {"error", "warn", "info", "debug", NULL};
static const int level_priorities[] = {3, 4, 6, 7};

/* Every process below a unit inherits the variable; only device and inode show that it means our
 * stderr. */
static bool stderr_is_the_journal(void)
{
    const char *s = getenv("JOURNAL_STREAM");
    struct stat st;
    char own[50];
    if (!s || fstat(STDERR_FILENO, &st) < 0)
        return false;
    snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return strcmp(s, own) == 0;
}

void log_open(const char *program, enum log_level level)
{
    pthread_mutex_lock(&the_log.lock);
    the_log.program = program;
    the_log.level = level;
    the_log.to_journal = stderr_is_the_journal();
    the_log.opened = true;
    pthread_mutex_unlock(&the_log.lock);
}

void log_set_level(enum log_level level)
{
    __atomic_store_n(&the_log.level, level, __ATOMIC_RELAXED);
}

enum log_level log_level(void)
{
    return __atomic_load_n(&the_log.level, __ATOMIC_RELAXED);
}

int log_level_parse(const char *s, enum log_level *ret_level, struct error *err)
{
    for (int i = 0; level_names[i]; i++)
        if (strcmp(s, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    char hint[SUGGEST_TEXT];
    return error_set(err, -EINVAL, "'%.40s' is not a log level: error, warn, info or debug%s", s,
                     suggest_hint(s, level_names, hint));
}

/* The message with all made visible that could act on a terminal or begin a line. Cut with "..." at
 * the end of out, between characters. */
static size_t copy_visible(char *out, size_t size, const char *text)
{
    struct buf safe = {0};
    size_t n;
    term_safe(&safe, span_str(text));
    n = safe.n;
    if (n > size) {
        n = size - 3;
        while (n && (safe.p[n] & 0xc0) == 0x80)
            n--;
        memcpy(out + n, "...", 3);
    }
    if (n)
        memcpy(out, safe.p, n);
    n += safe.n > size ? 3 : 0;
    buf_free(&safe);
    return n;
}

/* One write: lines of several processes on one stderr do not mix. */
static void write_line(enum log_level level, const char *text)
{
    char line[LINE_MAX_BYTES], when[CLOCK_TEXT];
    if (!the_log.opened) {
        the_log.program = program_invocation_short_name;
        the_log.to_journal = stderr_is_the_journal();
        the_log.opened = true;
    }
    int head = the_log.to_journal ? snprintf(line, sizeof line, "<%d>", level_priorities[level])
                                  : snprintf(line, sizeof line,
                                             "%s %-5s %.64s: ", clock_format(clock_wall_ms(), when),
                                             level_names[level], the_log.program);
    size_t n = (size_t)head;
    n += copy_visible(line + n, sizeof line - n - 1, text);
    line[n++] = '\n';
    for (size_t done = 0; done < n;) {
        ssize_t put = write(STDERR_FILENO, line + done, n - done);
        if (put < 0 && errno != EINTR)
            return; /* there is nowhere left to report this */
        if (put > 0)
            done += (size_t)put;
    }
}

static void summarise(struct throttle *t)
{
    char text[400];
    if (t->held_back) {
        snprintf(text, sizeof text, "%u more like this within a second were not logged: %s",
                 t->held_back, t->fmt);
        write_line(t->level, text);
        the_log.slots_held_back--;
    }
    t->held_back = 0;
}

static void flush_locked(int64_t now, bool all)
{
    for (int i = 0; the_log.slots_held_back && i < THROTTLE_SLOTS; i++)
        if (all || now - the_log.slot[i].since >= THROTTLE_MS)
            summarise(&the_log.slot[i]);
}

void log_flush(int all)
{
    pthread_mutex_lock(&the_log.lock);
    flush_locked(clock_boot_ms(), all != 0);
    pthread_mutex_unlock(&the_log.lock);
}

int64_t log_flush_due(void)
{
    int64_t now = clock_boot_ms(), due = -1;
    pthread_mutex_lock(&the_log.lock);
    for (int i = 0; the_log.slots_held_back && i < THROTTLE_SLOTS; i++)
        if (the_log.slot[i].held_back) {
            int64_t left = the_log.slot[i].since + THROTTLE_MS - now;
            left = left < 0 ? 0 : left;
            due = due < 0 || left < due ? left : due;
        }
    pthread_mutex_unlock(&the_log.lock);
    return due;
}

static bool may_write(enum log_level level, const char *fmt, int64_t now)
{
    struct throttle *t =
        &the_log.slot[((uintptr_t)fmt >> 3 ^ (uintptr_t)fmt >> 10) % THROTTLE_SLOTS];
    if (t->fmt != fmt || now - t->since >= THROTTLE_MS) {
        summarise(t);
        *t = (struct throttle){.fmt = fmt, .level = level, .since = now};
    }
    if (++t->seen <= THROTTLE_MAX)
        return true;
    if (t->held_back++ == 0)
        the_log.slots_held_back++;
    return false;
}

static void log_v(enum log_level level, const char *fmt, va_list ap)
{
    if (level > log_level())
        return;
    /* logging must not change the errno that the caller is about to report */
    int saved = errno;
    char text[LINE_MAX_BYTES];
    vsnprintf(text, sizeof text, fmt, ap);
    pthread_mutex_lock(&the_log.lock);
    int64_t now = clock_boot_ms();
    flush_locked(now, false);
    if (may_write(level, fmt, now))
        write_line(level, text);
    pthread_mutex_unlock(&the_log.lock);
    errno = saved;
}

#define LOG_FUNCTION(name, level) \
    void name(const char *fmt, ...) \
    { \
        va_list ap; \
        va_start(ap, fmt); \
        log_v(level, fmt, ap); \
        va_end(ap); \
    }
LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
