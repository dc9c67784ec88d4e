/* builders.h - trust/signers: the builders whose packages a server accepts, and which of those.
 * Pure.
 *
 * A line is a builder: their minisign public key in base64, then perhaps words, in any order:
 *     packages=GLOB,GLOB   only packages of these names; without it, all
 *     until=2027-01-31     the last day (UTC) on which what they have signed is accepted
 *     revoked              nothing that they have signed is accepted any more
 * or it is the word `unsigned` and, necessarily, packages=...: those need no signature here.
 * A remark begins with ` #`. A comment in the line before a builder, `# anna`, is their name, by
 * which a proxy may ask for them. An `untrusted comment:` names nobody, nor does a key's number:
 * both are the builder's own words. Of a name that two keys have, nobody can say whom it means, so
 * then neither has it.
 *
 * A key may stand in several lines, such as one for each of two kinds of packages; if one of them
 * is revoked, all are. A line that cannot be read grants nothing. */
#ifndef LB_TRUST_BUILDERS_H
#define LB_TRUST_BUILDERS_H

#include "proto/limits.h"
#include "trust/minisign.h"

enum {
    BUILDERS_BYTES = 256 << 10,
    BUILDERS_MAX = 1000,     /* what is beyond is left out */
    BUILDERS_PACKAGES = 1024 /* bytes of a list of names, with the NUL */
};

struct builder {
    struct minisign_public key;       /* all zero: of what nobody has signed */
    char name[LIMIT_NAME + 1];        /* "": none */
    char packages[BUILDERS_PACKAGES]; /* names, globs, with commas between; "": all */
    int64_t until;                    /* wall ms: from then on it grants nothing; 0: for ever */
    bool is_revoked, is_unsigned;
};

/* Lines that cannot be read are left out. The caller frees *ret. */
void builders_parse(struct span text, struct builder **ret, size_t *ret_n);
/* -EINVAL: builders_parse leaves a line out: the first such is number *ret_line, from 1. */
int builders_check(struct span text, unsigned *ret_line, struct error *err);
/* NULL: no builder has this key. */
const struct builder *builders_find(const struct builder *list, size_t n, const struct hash *key);

/* May packages of this name that `key` has signed (all zero: that nobody has) be used now? `now` is
 * wall time. *ret: the line that says so. -EPERM: no; *err says why. */
int builders_judge(const struct builder *list, size_t n, const struct hash *key, struct span name,
                   int64_t now, const struct builder **ret, struct error *err);

#endif
