/* outputs.h - what a child reports about itself: outputs, verdict, progress. Pure: the bytes
 * come in. A child wrote them, so they may be anything. */
#ifndef LB_RUNNER_OUTPUTS_H
#define LB_RUNNER_OUTPUTS_H

#include "proto/messages.h"
#include "proto/outcome.h"

/* Reads the text of $LB_OUTPUTS. A line is name=value, or one JSON object whose members are
 * outputs; empty lines are skipped, and a later value replaces an earlier one. `declared`
 * (d_parameter each): values are typed accordingly and other names are refused. An empty list
 * declares nothing: then name=value is a string, and JSON keeps its types. *items: pairs of a
 * map of at most LIMIT_OUTPUTS bytes. -EINVAL: the sentence begins with the line. */
int outputs_read(struct span text, const struct wire_list *declared, struct buf *items,
                 uint32_t *ret_count, struct error *err);

/* Reads the text of $LB_RESULT: the first word is succeeded, failed or cancelled, the rest a
 * message, which is cleaned (outputs_clean_text) and appended. False: the first word is none of
 * these; then all of it is the message. */
bool outputs_read_verdict(struct span text, enum package_outcome *ret, struct buf *message);

/* Reads the last whole line of $LB_PROGRESS: "42 loading orders", "42%", "loading orders".
 * *ret_percent is at most 100 and keeps its value if the line has no number. False: there is no
 * whole line yet. */
bool outputs_read_progress(struct span text, uint64_t *ret_percent, struct buf *message);

/* Appends at most `most` bytes of `s` as one line of UTF-8: invalid bytes become U+FFFD, escape
 * sequences are removed, other control characters become spaces, and spaces at both ends are
 * removed. */
void outputs_clean_text(struct span s, size_t most, struct buf *out);

#endif
