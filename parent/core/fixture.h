/* fixture.h - for the tests of parent/core and parent/report: small graphs, and a world that
 * answers the core. Linked into tests only. */
#ifndef LB_PARENT_CORE_FIXTURE_H
#define LB_PARENT_CORE_FIXTURE_H

#include "common/testing.h"
#include "parent/core/core.h"

/* ---- Graphs */
struct graph graph_begin(const char *name);
/* A task that calls job `job-of-NAME` in pool etl. */
uint32_t add_task(struct graph *g, const char *name, uint32_t count);
uint32_t add_each(struct graph *g, const char *name);
void add_after(struct graph *g, uint32_t task, uint32_t on, unsigned is, unsigned layer);
struct graph_binding *add_binding(struct graph *g, uint32_t task, const char *name,
                                  enum graph_source from);

/* ---- The world: remembers the core's effects and answers RESOLVE by itself. */
struct parent_world {
    struct graph graph;
    struct pcore *core;
    struct pcore_out out;
    /* "call extract/0; skip load; cancel extract/0; end failed; " of the last event */
    struct buf log;
    int64_t now;
    const char *servers[3];
    uint32_t n_servers;
    bool silent; /* does not answer RESOLVE */
};

/* Feeds one event; its effects are then in the log. */
void world_step(struct parent_world *w, struct pcore_event ev);
void world_begin(struct parent_world *w, struct graph g, unsigned in_flight);
void world_end(struct parent_world *w);
struct id run_of(uint32_t task, uint32_t index);
void run_is(struct parent_world *w, uint32_t task, uint32_t index, enum run_state state,
            const char *server, unsigned percent, const char *text);
void child_is(struct parent_world *w, uint32_t task, uint32_t index, enum delivery d,
              enum job_outcome j, enum package_outcome p, const char *message,
              const struct wire_list *outputs);
void child_succeeds(struct parent_world *w, uint32_t task, uint32_t index);
void child_fails(struct parent_world *w, uint32_t task, uint32_t index);
void world_cancelled(struct parent_world *w, const char *reason);

#define assert_log(w, text) assert_string_equal(buf_str(&(w)->log), text)

const char *world_reason(const struct parent_world *w, uint32_t task);

#endif
