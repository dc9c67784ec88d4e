/* eventjson.h - events as JSON, the same for those that happen now and those read from history.
 *
 * {"v":1,"seq":1042,"event":"result","run":"0193...","attempt":1,"server":"etl1","job":"load",
 *  "job_hash":"blake2b:...","parent":"0193...","task":"extract","index":1,"try":1,
 *  "delivery":{"state":"called"},"job_outcome":{"state":"failed","steps":[...]},
 *  "package":{"state":"failed"},"status":"failed","called_at":"...","started_at":"...",
 *  "ended_at":"...","by":"nightly"}
 *
 * Fields and when they are left out: events/json.h. Pure. */
#ifndef LB_BROKER_EVENTS_EVENTJSON_H
#define LB_BROKER_EVENTS_EVENTJSON_H

#include "broker/core/feed.h"
#include "broker/shell/about.h"

/* The event of a record, without its text: what filters and rights look at. Yours: eventjson_free.
 * `about` is NULL if the record belongs to no run. */
struct feed_event *eventjson_facts(uint64_t seq, struct span record, const struct about *about);
/* Makes the text, the JSON, from the same. It costs ten times as much as the facts. */
void eventjson_tell(struct feed_event *e, struct span record, const struct about *about);
/* Both. */
struct feed_event *eventjson_make(uint64_t seq, struct span record, const struct about *about);
void eventjson_free(struct feed_event **e);

#endif
