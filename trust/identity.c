/* identity.c - see identity.h. */
#include "trust/identity.h"

#include <errno.h>
#include <string.h>

#include "trust/envelope.h"
#include "trust/names.h"
#include "trust/refuse.h"

static bool repeats_before(const struct wire_list *list, unsigned index, struct span item)
{
    struct wire_iter it = wire_iter(list);
    struct span other;
    for (unsigned i = 0; i < index && wire_next(&it, &other); i++)
        if (span_eq(other, item))
            return true;
    return false;
}

static int check_pools(const struct identity *id, enum role role, enum refusal *ret_code,
                       struct error *err)
{
    if (role != ROLE_SERVER && id->pools.count)
        return refuse(ret_code, REFUSAL_MALFORMED, err,
                      "%s of %s '" SPAN_FMT "' has pools, which only servers have", id->what,
                      role_word(role), SPAN_ARG(id->name));
    struct wire_iter it = wire_iter(&id->pools);
    struct span pool;
    for (unsigned i = 0; wire_next(&it, &pool); i++) {
        struct span shown = span_of(pool.p, pool.n > LIMIT_NAME ? LIMIT_NAME : pool.n);
        if (!name_is_good(pool))
            return refuse(ret_code, REFUSAL_MALFORMED, err,
                          "%s of '" SPAN_FMT "': '" SPAN_FMT "' is not a pool name", id->what,
                          SPAN_ARG(id->name), SPAN_ARG(shown));
        if (span_eq(pool, id->name) || repeats_before(&id->pools, i, pool))
            return refuse(ret_code, REFUSAL_MALFORMED, err,
                          "%s of '" SPAN_FMT "': pool '" SPAN_FMT
                          "' has the server's own name or is listed twice",
                          id->what, SPAN_ARG(id->name), SPAN_ARG(shown));
    }
    return 0;
}

static int check_grants(const struct identity *id, enum role role, enum refusal *ret_code,
                        struct error *err)
{
    if (role == ROLE_BROKER && id->grants.count)
        return refuse(ret_code, REFUSAL_MALFORMED, err,
                      "%s of broker '" SPAN_FMT
                      "' has grants: a broker forwards calls and makes none",
                      id->what, SPAN_ARG(id->name));
    struct wire_iter it = wire_iter(&id->grants);
    struct span text;
    while (wire_next(&it, &text)) {
        struct grant g;
        struct error why = {0};
        if (grant_parse(text, &g, &why) < 0)
            return refuse(ret_code, REFUSAL_MALFORMED, err, "%s of '" SPAN_FMT "': %s", id->what,
                          SPAN_ARG(id->name), why.text);
    }
    return 0;
}

int identity_check(const struct identity *id, const char *cluster, enum role *ret_role,
                   enum refusal *ret_code, struct error *err)
{
    enum role role;
    struct error why = {0};
    int rc;
    if (!name_is_good(id->name))
        return refuse(
            ret_code, REFUSAL_MALFORMED, err,
            "%s: '" SPAN_FMT
            "' is not a name: lower-case letters, digits, '_' and '-', a letter first, and not "
            "'all'",
            id->what, SPAN_ARG(id->name));
    if (!span_eq_str(id->cluster, cluster))
        return refuse(ret_code, REFUSAL_UNKNOWN_PRINCIPAL, err,
                      "%s of '" SPAN_FMT "' is for cluster '" SPAN_FMT "'; this is '%s'", id->what,
                      SPAN_ARG(id->name), SPAN_ARG(id->cluster), cluster);
    if (role_parse(id->role, &role, &why) < 0)
        return refuse(ret_code, REFUSAL_MALFORMED, err, "%s of '" SPAN_FMT "': %s", id->what,
                      SPAN_ARG(id->name), why.text);
    if (strcmp(id->what, ENVELOPE_INVITATION) == 0 &&
        (role == ROLE_ADMINISTRATOR || role == ROLE_BROKER))
        return refuse(ret_code, REFUSAL_DENIED, err,
                      "the invitation of '" SPAN_FMT
                      "' is for the role %s, which nobody gets by invitation: an administrator "
                      "signs such a certificate",
                      SPAN_ARG(id->name), role_word(role));
    if (id->serial == 0)
        return refuse(ret_code, REFUSAL_MALFORMED, err,
                      "%s of '" SPAN_FMT "' has serial 0: it could not be revoked", id->what,
                      SPAN_ARG(id->name));
    if ((rc = check_pools(id, role, ret_code, err)) < 0 ||
        (rc = check_grants(id, role, ret_code, err)) < 0)
        return rc;
    *ret_role = role;
    return 0;
}

int identity_check_nameless(const char *kind, const struct d_signed *s, struct error *err)
{
    if (s->signer.n == 0 && s->serial == 0)
        return 0;
    return error_set(err, -EBADMSG,
                     "this %s names the signer '" SPAN_FMT "' outside the part that is signed",
                     kind, SPAN_ARG(s->signer));
}

int identity_open(const char *kind, struct span bytes, const struct trust_anchors *anchors,
                  struct d_signed *ret, enum refusal *ret_code, struct error *err)
{
    struct d_signed s;
    int rc = d_signed_decode(bytes, &s, err);
    if (rc < 0) {
        error_prefix(err, "%s", kind);
        return refuse_as(ret_code, rc);
    }
    char text[KEY_SHORT_TEXT];
    if (!anchors_have(anchors, &s.key))
        return refuse(ret_code, REFUSAL_BAD_SIGNATURE, err,
                      "this %s is signed by key %s, which belongs to no administrator of '%s'",
                      kind, key_short(&s.key, text), anchors->cluster);
    const struct hash key = s.key;
    if ((rc = envelope_open(kind, bytes, &key, &s, err)) < 0 ||
        (rc = identity_check_nameless(kind, &s, err)) < 0)
        return refuse_as(ret_code, rc);
    *ret = s;
    return 0;
}

int identity_list(const char *what, const char *const *items, size_t n, size_t most_items,
                  size_t most_bytes, struct buf *out, struct wire_list *ret, struct error *err)
{
    if (n > most_items)
        return error_set(err, -EINVAL, "%zu %s entries; the limit is %zu", n, what, most_items);
    for (size_t i = 0; i < n; i++) {
        if (strlen(items[i]) > most_bytes)
            return error_set(err, -EINVAL, "%s '%.80s...' is longer than %zu bytes", what, items[i],
                             most_bytes);
        wire_add_str(out, span_str(items[i]));
    }
    *ret = wire_list_from(out, (uint32_t)n);
    return 0;
}
