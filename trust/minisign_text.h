/* minisign_text.h - for trust/minisign*.c only: the lines and base64 of minisign's files. */
#ifndef LB_TRUST_MINISIGN_TEXT_H
#define LB_TRUST_MINISIGN_TEXT_H

#include <stdbool.h>

#include "common/buf.h"

#define MINISIGN_UNTRUSTED "untrusted comment: "

/* Takes the next line, without its end, from *text. False: there is none. */
bool minisign_line(struct span *text, struct span *ret_line);
/* Removes the prefix. False, and *line untouched: it does not begin with it. */
bool minisign_starts(struct span *line, const char *prefix);
void minisign_base64_add(struct buf *out, const void *p, size_t n);
/* Decodes exactly n bytes. False: the text holds anything else. */
bool minisign_base64_get(struct span text, void *out, size_t n);

#endif
