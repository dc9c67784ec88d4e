/* desired.h - brings the packages here that the broker says this server is to have (DESIRED):
 * fetched in chunks, resumable, then verified and installed by the runner. One at a time; what
 * fails is tried again and its trouble can be seen. */
#ifndef LB_WORKER_DESIRED_H
#define LB_WORKER_DESIRED_H

#include "proto/messages.h"

enum {
    DESIRED_RETRY_MS = 30000,  /* after a failure */
    DESIRED_SILENCE_MS = 30000 /* a question that nobody answers is asked again */
};

struct desired;

struct desired_calls {
    void *self;
    int (*send)(void *self, struct span message);       /* to the broker; negative: not now */
    bool (*install)(void *self, struct span s_install); /* to the runner; false: it is not there */
    bool (*has)(void *self, const struct hash *package);
    void (*changed)(void *self); /* a package is installed, or its trouble is another */
};

/* `incoming`: var/incoming, made if need be. */
int desired_open(struct desired **ret, const char *incoming, const struct desired_calls *calls,
                 struct error *err);
void desired_close(struct desired **d);

/* Each goes on with what can be done now; `now` is boot time. */
void desired_set(struct desired *d, const struct m_desired *m, int64_t now);
void desired_chunk(struct desired *d, const struct m_chunk *m, int64_t now);
void desired_certificates(struct desired *d, const struct m_certificates *m, int64_t now);
void desired_error(struct desired *d, const struct m_error *m, int64_t now);
void desired_installed(struct desired *d, const struct s_installed *s, int64_t now);
/* A new session, or the runner has come: what was asked for is asked for again. */
void desired_again(struct desired *d, int64_t now);
/* What has failed is tried again now: somebody has put right what was wrong. */
void desired_retry(struct desired *d, int64_t now);
void desired_tick(struct desired *d, int64_t now);
int64_t desired_deadline(const struct desired *d);

/* d_attested_package of each that is wanted and not here: its trouble. As many as make *count
   LIMIT_JOBS. */
void desired_troubles(const struct desired *d, struct buf *items, uint32_t *count);

#endif
