/* typed.h - does a value fit what a package declares? Judged again here, because whoever judged it
 * before is not trusted. Pure.
 *
 * Types: string int float bool date ("2026-11-21") datetime (RFC 3339 with an offset) json
 * (anything). A string that stands for a value of another type becomes that value ("12" for an int,
 * "true" for a bool, '{"a":1}' for json): callers without the manifest send what was typed. An int
 * may stand where a float is declared. */
#ifndef LB_RUNNER_TYPED_H
#define LB_RUNNER_TYPED_H

#include "proto/messages.h"

enum {
    /* bytes of a value that is held against a pattern: matching takes time by its length */
    PATTERN_TEXT_MAX = 4096,
    /* product of a pattern's counted repeats: compiling takes memory by it */
    PATTERN_REPEAT_MAX = 10000
};

/* Appends the value, encoded, as the type wants it, after judging type, allowed values, pattern
 * (POSIX extended, the whole string), minimum and maximum. -EINVAL: the sentence names the
 * parameter, and shows the value unless it is sensitive; nothing is appended. */
int typed_value(const struct d_parameter *p, const struct value *v, struct buf *out,
                struct error *err);

#endif
