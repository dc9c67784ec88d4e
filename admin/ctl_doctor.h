/* ctl_doctor.h - what lbctl doctor's files share: findings, and who makes them. */
#ifndef LB_ADMIN_CTL_DOCTOR_H
#define LB_ADMIN_CTL_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/config.h"
#include "client/longboat.h"

enum doctor_severity { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_WARN, DOCTOR_BAD, DOCTOR_SEVERITIES };

struct doctor {
    char **argv;
    bool as_json;
    struct client_config who;
    bool known; /* `who` was read */
    size_t found[DOCTOR_SEVERITIES];
};

enum {
    DOCTOR_TEXT = 1024,

    DOCTOR_EXPIRY_WARN_DAYS = 30, /* before its end a certificate is a warning */
    DOCTOR_EXPIRY_BAD_DAYS = 7,
    DOCTOR_CLOCK_WARN_MS = 60000, /* beyond CLOCK_SKEW_MS it is bad: certificates are refused */
};

/* Prints a finding. `finding`: a word that stays the same, for programs. `where`: a path, a name.
 * `remedy`: what to do; NULL or "": nothing. */
void doctor_say(struct doctor *d, enum doctor_severity s, const char *finding, const char *where,
                const char *remedy, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* This user's home; reads `who`. */
void doctor_home(struct doctor *d);
/* The home of a broker on this machine. */
void doctor_broker_home(struct doctor *d, const char *home);
/* This machine as a server: what `lbworker check` says. */
void doctor_server(struct doctor *d);
/* What the broker tells. */
void doctor_cluster(struct doctor *d);

/* A certificate's end, for home and cluster. */
void doctor_expiry(struct doctor *d, const char *name, int64_t not_after, const char *remedy);

#endif
