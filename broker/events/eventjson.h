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

#include "broker/core/feed.h"
#include "broker/shell/about.h"

/* The text is the JSON. Owned; eventjson_free. `about` NULL: the record is of no run. */
struct feed_event *eventjson_make(uint64_t seq, struct span record, const struct about *about);
void eventjson_free(struct feed_event **e);

#endif
