/* log.h - one line on stderr for the operator. Only a program's main, its event loop or its threads
 * log; libraries return errors.
 *
 * Under systemd (stderr is the stream that JOURNAL_STREAM names) a line is "<3>text" and the
 * journal adds the rest; elsewhere it is "2026-11-21T09:13:55.012Z error lbbroker: text". Control
 * bytes are written as \xHH, so that no peer can forge a line or control a terminal. A
 * format string that is used more than 10 times within a second is counted and not written; the
 * count follows when the second is over. Safe from several threads. */
#ifndef LB_COMMON_LOG_H
#define LB_COMMON_LOG_H

#include <stdint.h>

#include "common/error.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Sets the program's name, which must stay valid, and the level. Until then the name is that of the
 * process and the level is info. */
void log_open(const char *program, enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_level(void); /* to skip preparing what is not logged */
/* error, warn, info, debug */
int log_level_parse(const char *s, enum log_level *ret_level, struct error *err);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Logs the counts of suppressed lines whose second is over (`all`: every count, for the end of a
 * program). Each logged line does this, too; a loop that may sleep long calls it when log_flush_due
 * says so. */
void log_flush(int all);
/* Milliseconds until log_flush has something to log; -1: nothing was suppressed. */
int64_t log_flush_due(void);

#endif
