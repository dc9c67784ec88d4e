/* passphrase.h - where the passphrase of an encrypted key comes from: a file that
 * LONGBOAT_PASSPHRASE_FILE or an option names, or the terminal. Never from an argument or from the
 * environment itself: others can read those. */
#ifndef LB_TRUST_PASSPHRASE_H
#define LB_TRUST_PASSPHRASE_H

#include <stdbool.h>

#include "common/error.h"

enum {
    PASSPHRASE_MAX = 1024,   /* bytes, with the NUL */
    PASSPHRASE_NEW_MIN = 12, /* bytes of a new one: shorter ones can be tried out */
};

/* This program serves a person: it may ask at the terminal. A library or a service never does. */
void passphrase_may_ask(void);
/* The file of --passphrase-file, which counts more than LONGBOAT_PASSPHRASE_FILE. NULL: none. */
void passphrase_use_file(const char *path);
/* Does a file give it, so that nobody is asked? */
bool passphrase_has_file(void);
/* Is there a terminal or a file to get one from? */
bool passphrase_can_ask(void);

/* The passphrase of `what` ("the key in /home/anna/..."): the first line of the file, else what is
 * typed at the terminal, which does not show it. The caller wipes it. -EACCES: there is neither;
 * -EPERM: others can read the file; -EINVAL: it is empty or too long. */
int passphrase_ask(const char *what, char ret[PASSPHRASE_MAX], struct error *err);
/* A new one: asked twice at a terminal. -EINVAL also: too short, or typed differently. */
int passphrase_ask_new(const char *what, char ret[PASSPHRASE_MAX], struct error *err);

#endif
