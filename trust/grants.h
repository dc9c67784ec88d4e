/* grants.h - what a principal may do: "VERB PATTERN@ADDRESS", e.g. `call nightly-*@etl`, `watch
 * *@all`. Pure.
 *
 * VERB is a word of the table below. PATTERN is a glob over the job's name (for deploy: the
 * package's, for secret: the secret's) in which only `*` is special: it matches any characters, or
 * none. ADDRESS is the name of a server or pool, or `all` or `*`: every server. A grant on a pool
 * covers the pool and its servers, one on a server covers that server, and only `all` and `*` cover
 * the address `all`. Administrators may do everything. What no grant covers is denied. */
#ifndef LB_TRUST_GRANTS_H
#define LB_TRUST_GRANTS_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"
#include "proto/limits.h"

#define VERBS(X) /* name, word, for people */ \
    X(CALL, "call", "call jobs, and follow and cancel one's own runs") \
    X(WATCH, "watch", "see runs, servers, events and logs") \
    X(OPERATE, "operate", "cancel and release runs of others, drain and undrain servers") \
    X(DEPLOY, "deploy", "send packages to servers and take them away") \
    X(DEFINE, "define", "define jobs") \
    X(SECRET, "secret", "put and drop secrets, and name them in calls") \
    X(ADMIN, "admin", "invite, enrol and revoke principals")
#define X(n, w, t) VERB_##n,
enum verb { VERBS(X) VERB_COUNT };
#undef X
const char *verb_word(enum verb v);
const char *verb_text(enum verb v);
int verb_parse(struct span word, enum verb *ret, struct error *err);

struct grant {
    enum verb verb;
    char pattern[LIMIT_JOB + 1];
    char address[LIMIT_ADDRESS + 1];
};
enum { GRANT_TEXT = 16 + LIMIT_JOB + LIMIT_ADDRESS + 3 };

/* Reads one grant with exactly one space. -EINVAL: *err names the wrong part and shows a correct
 * grant. */
int grant_parse(struct span text, struct grant *ret, struct error *err);
char *grant_format(const struct grant *g, char out[GRANT_TEXT]);
/* Only `*` is special. Time grows with the product of both lengths. */
bool grants_glob_matches(const char *pattern, struct span text);

struct certificate;

/* Does one of its grants cover `verb` on job@address? If the address is one server, `pools` are
 * that server's pools, otherwise none. Only the pattern `*` covers the job "", which stands for an
 * act on the address itself, such as draining a server. */
bool grant_covers(const struct certificate *who, enum verb verb, const char *job,
                  const char *address, const char *const *pools, size_t n_pools);
/* Does one of its grants give `verb` on any job at this server? */
bool grant_reaches(const struct certificate *who, enum verb verb, const char *server,
                   const char *const *pools, size_t n_pools);
/* As grant_covers, as an error. -EACCES: no grant covers it; *err names the principal, what was
 * asked, its grants, and the command that would allow it. */
int grant_check(const struct certificate *who, enum verb verb, const char *job, const char *address,
                const char *const *pools, size_t n_pools, struct error *err);

#endif
