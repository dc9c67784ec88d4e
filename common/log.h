/* log.h - one line to stderr for the operator. The only global state of the house, and only a
 * program's main, its event loop or its threads write here: libraries return errors.
 *
 * Under systemd (stderr is the stream that JOURNAL_STREAM names) a line is "<3>text" and the
 * journal adds the rest; elsewhere it is "2026-11-21T09:13:55.012Z error lbbroker: text". Control
 * bytes are written as \xHH, so that no peer writes a second line or to a terminal through us. A
 * format string that is used more than 10 times within a second is counted and not written; the
 * count follows when the second is over. Safe from several threads. */
#ifndef LB_COMMON_LOG_H
#define LB_COMMON_LOG_H

#include <stdint.h>

#include "common/error.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* `program` is lent for good. Before it is called, the level is info and the program is the name of
   the process. */
void log_open(const char *program, enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_level(void); /* to spare the work of preparing what nobody will read */
/* error, warn, info, debug */
int log_level_parse(const char *s, enum log_level *ret_level, struct error *err);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Writes the counts whose second is over (`all`: every one, for the end of a program). Every line
 * written does this too; a loop that may sleep long calls it when log_flush_due says so. */
void log_flush(int all);
/* Milliseconds until log_flush has something to say; -1: nothing was held back. */
int64_t log_flush_due(void);

#endif
