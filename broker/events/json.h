/* json.h - the fields that events and the rows of queries have in common: each is named, and
 * omitted, in one place. Pure.
 *
 * `o` may be NULL: then nothing is written.
 * An empty field is left out: an empty text, time 0, an id or hash of zeros. Times are RFC 3339 in
 * UTC; hashes begin with "blake2b:". Sealed parameters are bytes, which are shown as "(sealed)". */
#ifndef LB_BROKER_EVENTS_JSON_H
#define LB_BROKER_EVENTS_JSON_H

#include <jansson.h>

#include "proto/messages.h"
#include "proto/outcome.h"

/* A new object that has "v":1, the version of what follows. Yours. */
json_t *json_row(void);

void json_set_word(json_t *o, const char *name, const char *s); /* nothing if NULL or empty */
void json_set_number(json_t *o, const char *name, uint64_t v);
void json_set_flag(json_t *o, const char *name, bool v);
void json_set_text(json_t *o, const char *name, struct span s);
void json_set_time(json_t *o, const char *name, int64_t wall_ms);
void json_set_id(json_t *o, const char *name, const struct id *id);
void json_set_hash(json_t *o, const char *name, const struct hash *h);
void json_set_map(json_t *o, const char *name, const struct wire_list *map); /* an object */

/* task, index, item, child and try of a parent's child; nothing without a task. `child` is its name
 * for people: the task, or task[item] in a for_each. */
void json_set_child(json_t *o, struct span task, struct span item, uint64_t index, uint64_t try);
/* job, job_hash, address, key, parent, parent_name, the child's fields, priority, as_of,
 * parameters */
void json_set_call(json_t *o, const struct d_call *call);
/* plan, key, parent, as_of, tasks */
void json_set_parent(json_t *o, const struct d_parent *parent);
/* delivery, job_outcome and package, each an object with its state */
void json_set_layers(json_t *o, enum delivery delivery, enum job_outcome job,
                     enum package_outcome package);
/* The layers with reason and steps, status, message, outputs, times. */
void json_set_outcome(json_t *o, const struct d_outcome *outcome);
/* `execution` in each step that json_set_outcome has written and of which one is on record, and
 * executions_left_out. bytes: d_executions; what cannot be read is passed over. */
void json_set_executions(json_t *o, struct span bytes);
/* An array of texts. */
void json_set_texts(json_t *o, const char *name, const struct wire_list *list);

#endif
