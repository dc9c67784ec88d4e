/* eventjson.h - what happened, as JSON: one function for events as they happen and for those read
 * from history.
 *
 * {"v":1,"seq":1042,"event":"result","run":"0193...","attempt":1,"server":"etl1","job":"load",
 *  "job_hash":"blake2b:...","parent":"0193...","task":"extract","index":1,"try":1,
 *  "delivery":{"state":"called"},"job_outcome":{"state":"failed","steps":[...]},
 *  "package":{"state":"failed"},"status":"failed","called_at":"...","started_at":"...",
 *  "ended_at":"...","by":"nightly"}
 *
 * Fields that say nothing are left out. Sealed parameters are bytes, which are never shown.
 * Pure. */
#ifndef LB_BROKER_EVENTS_EVENTJSON_H
#define LB_BROKER_EVENTS_EVENTJSON_H

#include <jansson.h>

#include "broker/core/feed.h"
#include "broker/shell/about.h"

/* The text is the JSON. Owned; event_free. `about` NULL: the record is of no run. */
struct feed_event *event_make(uint64_t seq, struct span record, const struct about *about);
void event_free(struct feed_event **e);

/* ---- Pieces that queries use too */
void json_set_word(json_t *o, const char *name, const char *s); /* nothing if it is NULL or empty */
void json_set_number(json_t *o, const char *name, uint64_t v);
void json_set_flag(json_t *o, const char *name, bool v);
void json_set_text(json_t *o, const char *name, struct span s);        /* nothing if it is empty */
void json_set_time(json_t *o, const char *name, int64_t wall_ms);      /* nothing if it is 0 */
void json_set_id(json_t *o, const char *name, const struct id *id);    /* nothing if it is zero */
void json_set_hash(json_t *o, const char *name, const struct hash *h); /* "blake2b:..." */
void json_set_map(json_t *o, const char *name, const struct wire_list *map);
/* job, address, key, parent, parameters, ... */
void json_set_call(json_t *o, const struct d_call *call);
/* the three layers with the steps */
void json_set_outcome(json_t *o, const struct d_outcome *outcome);

#endif
