/* desired.h - fetches and installs the packages that the broker wants on this server (DESIRED).
 *
 * A package is fetched in chunks (a broken transfer is resumed), then verified and installed by
 * the runner, one package at a time. A failure is retried later, and its trouble is attested. */
#ifndef LB_WORKER_DESIRED_H
#define LB_WORKER_DESIRED_H

#include "proto/messages.h"

enum {
    DESIRED_RETRY_MS = 30000,     /* after a failure */
    DESIRED_BUSY_MAX_MS = 600000, /* after `busy`, whatever the broker asks for */
    DESIRED_SILENCE_MS = 30000    /* a request without an answer is sent again */
};

struct desired;

struct desired_calls {
    void *self;
    int (*send)(void *self, struct span message); /* to the broker; negative: not possible now */
    bool (*install)(void *self, struct span s_install); /* to the runner; false: it is down */
    bool (*has)(void *self, const struct hash *package);
    void (*changed)(void *self); /* a package was installed, or its trouble has changed */
};

/* Makes `incoming` (var/incoming) if it does not exist. On success *ret is yours: desired_close. */
int desired_open(struct desired **ret, const char *incoming, const struct desired_calls *calls,
                 struct error *err);
void desired_close(struct desired **d);

/* What has arrived. Each call then does whatever can be done now; `now` is boot time in ms. */
void desired_set(struct desired *d, const struct m_desired *m, int64_t now);
/* Looks at the last list again: a package that was here may have been altered and count no more. */
void desired_look(struct desired *d, int64_t now);
void desired_chunk(struct desired *d, const struct m_chunk *m, int64_t now);
void desired_certificates(struct desired *d, const struct m_certificates *m, int64_t now);
void desired_error(struct desired *d, const struct m_error *m, int64_t now);
void desired_installed(struct desired *d, const struct s_installed *s, int64_t now);
/* A new session, or the runner is up: sends again what was asked for. */
void desired_again(struct desired *d, int64_t now);
/* Retries now what has failed: someone has fixed the cause. */
void desired_retry(struct desired *d, int64_t now);
void desired_tick(struct desired *d, int64_t now);
int64_t desired_deadline(const struct desired *d);

/* Appends a d_attested_package with its trouble for each package that is missing, until *count is
 * LIMIT_JOBS. */
void desired_troubles(const struct desired *d, struct buf *items, uint32_t *count);

#endif
