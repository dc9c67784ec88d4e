/* typed.h - whether a value fits what a package declares. Checked again here, because no earlier
 * check is trusted. Pure.
 *
 * Types: string int float bool date ("2026-11-21") datetime (RFC 3339 with an offset) json
 * (anything). A string that stands for a value of another type becomes that value ("12" for an
 * int, "true" for a bool, '{"a":1}' for json): callers that lack the manifest send what was
 * typed. An int may stand where a float is declared. */
#ifndef LB_RUNNER_TYPED_H
#define LB_RUNNER_TYPED_H

#include "proto/messages.h"

enum {
    /* bytes of a value that is matched against a pattern: longer ones take long */
    PATTERN_TEXT_MAX = 4096,
    /* product of a pattern's counted repeats: compiling takes memory in proportion */
    PATTERN_REPEAT_MAX = 10000
};

/* Checks type, allowed values, pattern (POSIX extended, the whole string), minimum and maximum, and
 * appends the value, encoded as its type wants it. -EINVAL: the sentence names it (`what`:
 * "parameter" or "output") and shows the value unless it is sensitive; nothing is appended. */
int typed_value(const char *what, const struct d_parameter *p, const struct value *v,
                struct buf *out, struct error *err);

#endif
