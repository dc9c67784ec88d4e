/* jsontext.h - writes JSON strings without a library, for programs that must stay small. Pure. */
#ifndef LB_COMMON_JSONTEXT_H
#define LB_COMMON_JSONTEXT_H

#include "common/buf.h"

/* Appends `s` as a JSON string literal, quotes included. The result is always valid JSON and valid
 * UTF-8: a byte that is not part of a well-formed character becomes U+FFFD, control characters
 * become escapes. */
void json_escape(struct buf *out, struct span s);

#endif
