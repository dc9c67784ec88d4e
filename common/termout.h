/* termout.h - the one way out: all that a program of ours says to people leaves through here.
 *
 * What others can choose (names, messages of children, sentences of a broker) must neither move a
 * reader's cursor nor pretend to be a line of ours. Nothing at the place where it is printed can
 * forget that, because only this file writes to standard output and standard error (log.c, for a
 * daemon's log, and mem.c, when memory is out, excepted); `make walls` holds every other file to
 * it. The colours and cursor moves of term.h are marks of our own, made of a byte that UTF-8 never
 * has, and become sequences here; a sequence that comes from anywhere else is made visible. */
#ifndef LB_COMMON_TERMOUT_H
#define LB_COMMON_TERMOUT_H

#include <stdarg.h>
#include <stdio.h>

#include "common/buf.h"

/* Prints one message. Line feeds and tabs of the format are ours and stay; in what the arguments
 * bring in, every control character is made visible, line feeds and tabs too. Returns the bytes
 * that the formatted text has. */
int term_say(FILE *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int term_vsay(FILE *to, const char *fmt, va_list ap);

/* Prints a page that was made in a buffer: its lines and tabs stay, its marks become sequences, all
 * else that could act on a terminal is made visible. False: it was not written; errno says why. */
bool term_put(FILE *to, struct span page);
/* The same to a descriptor, by one write: 0, or -errno. */
int term_put_fd(int fd, struct span page);
/* What term_put writes. */
void term_show(struct buf *out, struct span page);

/* Bytes that are a program's business and not a page: the output of a child, a package. As they
 * are, unless `to` is a terminal: then as term_put, without marks. */
bool term_bytes(FILE *to, struct span bytes);

/* A question for the person at the terminal, on standard error, without a line feed. */
void term_ask(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
