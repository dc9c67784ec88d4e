/* hashbang.h - how a file says which program runs it: its #! line. */
#ifndef LB_COMMON_HASHBANG_H
#define LB_COMMON_HASHBANG_H

#include "common/buf.h"

enum { HASHBANG_BYTES = 256 /* the kernel reads no more */ };
enum hashbang {
    HASHBANG_PROGRAM, /* compiled: it needs none */
    HASHBANG_EMPTY,   /* the file is empty */
    HASHBANG_NONE,    /* text without such a line */
    HASHBANG_CR,      /* the line ends with CR LF: the CR counts as part of a name */
    HASHBANG_LINE
};
/* Looks at the beginning of a file. interpreter: of CR and LINE, "" otherwise. */
enum hashbang hashbang_read(struct span head, char interpreter[HASHBANG_BYTES]);
/* The same of a file. Negative: it cannot be read. */
int hashbang_of_file(const char *path, char interpreter[HASHBANG_BYTES]);

#endif
