/* grants.c - see grants.h. */
#include "trust/grants.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "trust/certificate.h"
#include "trust/names.h"

static const struct {
    const char *word, *text;
} verbs[] = {
#define X(n, w, t) {w, t},
    VERBS(X)
#undef X
};

const char *verb_word(enum verb v)
{
    return (unsigned)v < VERB_COUNT ? verbs[v].word : "?";
}

const char *verb_text(enum verb v)
{
    return (unsigned)v < VERB_COUNT ? verbs[v].text : "?";
}

int verb_parse(struct span word, enum verb *ret, struct error *err)
{
    for (unsigned v = 0; v < VERB_COUNT; v++)
        if (span_eq_str(word, verbs[v].word)) {
            *ret = (enum verb)v;
            return 0;
        }
    if (word.n > 40)
        word.n = 40;
    return error_set(err, -EINVAL,
                     "'" SPAN_FMT
                     "' is not a verb; verbs are call, watch, operate, deploy, define and admin",
                     SPAN_ARG(word));
}

/* The characters of job names, and the star. */
static bool pattern_is_good(struct span s)
{
    if (s.n == 0 || s.n > LIMIT_JOB)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-' &&
            c != ':' && c != '*')
            return false;
    }
    return true;
}

int grant_parse(struct span text, struct grant *ret, struct error *err)
{
    static const char form[] = "a grant is VERB PATTERN@ADDRESS, such as 'call nightly-*@etl'";
    struct span shown = span_of(text.p, text.n > 120 ? 120 : text.n);
    const uint8_t *space = text.n ? memchr(text.p, ' ', text.n) : NULL;
    if (!space)
        return error_set(err, -EINVAL, "grant '" SPAN_FMT "' has no space after its verb; %s",
                         SPAN_ARG(shown), form);
    struct grant g;
    int rc = verb_parse(span_of(text.p, (size_t)(space - text.p)), &g.verb, err);
    if (rc < 0)
        return error_prefix(err, "grant '" SPAN_FMT "'", SPAN_ARG(shown));
    struct span rest = span_of(space + 1, text.n - (size_t)(space + 1 - text.p));
    const uint8_t *at = rest.n ? memchr(rest.p, '@', rest.n) : NULL;
    if (!at)
        return error_set(err, -EINVAL, "grant '" SPAN_FMT "' has no @ADDRESS; %s", SPAN_ARG(shown),
                         form);
    struct span pattern = span_of(rest.p, (size_t)(at - rest.p));
    struct span address = span_of(at + 1, rest.n - pattern.n - 1);
    if (!pattern_is_good(pattern))
        return error_set(
            err, -EINVAL,
            "grant '" SPAN_FMT
            "' has an invalid pattern: 1 to %d lower-case letters, digits, '_', '-', ':' or '*'",
            SPAN_ARG(shown), LIMIT_JOB);
    if (!span_eq_str(address, "*") && !names_address_is_good(address))
        return error_set(err, -EINVAL,
                         "grant '" SPAN_FMT
                         "' has an invalid address: the name of a server or pool, 'all' or '*'",
                         SPAN_ARG(shown));
    span_copy_str(pattern, g.pattern, sizeof g.pattern);
    span_copy_str(address, g.address, sizeof g.address);
    *ret = g;
    return 0;
}

char *grant_format(const struct grant *g, char out[GRANT_TEXT])
{
    snprintf(out, GRANT_TEXT, "%s %s@%s", verb_word(g->verb), g->pattern, g->address);
    return out;
}

/* On a mismatch the last star takes one character more: no recursion. */
bool grants_glob_matches(const char *pattern, struct span text)
{
    const char *star = NULL;
    size_t at = 0, star_at = 0;
    while (at < text.n) {
        if (*pattern == '*') {
            star = ++pattern;
            star_at = at;
        } else if (*pattern && (uint8_t)*pattern == text.p[at]) {
            pattern++;
            at++;
        } else if (star) {
            pattern = star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == 0;
}

static bool address_is_covered(const char *granted, const char *address, const char *const *pools,
                               size_t n_pools)
{
    if (strcmp(granted, "*") == 0 || strcmp(granted, "all") == 0 || strcmp(granted, address) == 0)
        return true;
    if (strcmp(address, "all") == 0)
        return false;
    for (size_t i = 0; i < n_pools; i++)
        if (strcmp(granted, pools[i]) == 0)
            return true;
    return false;
}

bool grant_covers(const struct certificate *who, enum verb verb, const char *job,
                  const char *address, const char *const *pools, size_t n_pools)
{
    if ((unsigned)verb >= VERB_COUNT)
        return false;
    if (who->role == ROLE_ADMINISTRATOR)
        return true;
    for (size_t i = 0; i < who->n_grants; i++) {
        const struct grant *g = &who->grants[i];
        if (g->verb == verb && grants_glob_matches(g->pattern, span_str(job)) &&
            address_is_covered(g->address, address, pools, n_pools))
            return true;
    }
    return false;
}

bool grant_reaches(const struct certificate *who, enum verb verb, const char *server,
                   const char *const *pools, size_t n_pools)
{
    if (who->role == ROLE_ADMINISTRATOR)
        return true;
    for (size_t i = 0; i < who->n_grants; i++)
        if (who->grants[i].verb == verb &&
            address_is_covered(who->grants[i].address, server, pools, n_pools))
            return true;
    return false;
}

int grant_check(const struct certificate *who, enum verb verb, const char *job, const char *address,
                const char *const *pools, size_t n_pools, struct error *err)
{
    enum { SHOWN = 3 }; /* the sentence must stay short enough to show its remedy */
    if (grant_covers(who, verb, job, address, pools, n_pools))
        return 0;
    struct buf has = {0};
    for (size_t i = 0; i < who->n_grants && i < SHOWN; i++) {
        char text[GRANT_TEXT];
        buf_printf(&has, "%s%.100s", i ? ", " : "", grant_format(&who->grants[i], text));
    }
    if (who->n_grants > SHOWN)
        buf_printf(&has, " and %zu more", who->n_grants - SHOWN);
    if (who->n_grants == 0)
        buf_add_str(&has, "none");
    int rc =
        error_set(err, -EACCES,
                  "principal '%s' may not %s %s@%s (its grants: %s). An administrator can run: "
                  "lbctl certificates renew %s --grant '%s %s@%s'",
                  who->name, verb_word(verb), *job ? job : "*", address, buf_str(&has), who->name,
                  verb_word(verb), *job ? job : "*", address);
    buf_free(&has);
    return rc;
}
