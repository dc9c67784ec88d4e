/* outputs.h - what a child says of itself: its outputs, its verdict, its progress. Pure: the bytes
 * come in. They are a child's, so they may be anything. */
#ifndef LB_RUNNER_OUTPUTS_H
#define LB_RUNNER_OUTPUTS_H

#include "proto/messages.h"
#include "proto/outcome.h"

/* The text of $LB_OUTPUTS: a line is name=value, or one JSON object, whose members are outputs;
 * empty lines say nothing. A name that comes again replaces what it had. `declared` (d_parameter
 * each): values of declared names are typed, and other names are refused; an empty list declares
 * nothing: then name=value is a string and JSON keeps its types. *items: pairs of a map of at most
 * LIMIT_OUTPUTS bytes. -EINVAL: the sentence begins with the line. */
int outputs_read(struct span text, const struct wire_list *declared, struct buf *items,
                 uint32_t *ret_count, struct error *err);

/* The text of $LB_RESULT: its first word is succeeded, failed or cancelled, the rest is a message
 * (appended, made fit for people: outputs_clean_text). False: it says none of them; then all of it is the
 * message. */
bool outputs_read_verdict(struct span text, enum package_outcome *ret, struct buf *message);

/* The last line of $LB_PROGRESS: "42 loading orders", "42%", "loading orders". *ret_percent keeps
 * its value if the line has no number; at most 100. False: there is no line yet (one that does not
 * end yet is waited for). */
bool outputs_read_progress(struct span text, uint64_t *ret_percent, struct buf *message);

/* Appends at most `most` bytes of `s` as one line of UTF-8: what is none becomes U+FFFD, control
 * characters become spaces, spaces at both ends go. */
void outputs_clean_text(struct span s, size_t most, struct buf *out);

#endif
