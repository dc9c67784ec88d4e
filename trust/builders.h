/* builders.h - trust/signers: the builders whose packages a server accepts. Pure.
 *
 * One minisign public key a line, in base64; what follows it on the line is a remark. A comment in
 * the line before it, `# anna`, is its name, by which a proxy may ask for it. An `untrusted
 * comment:` names nobody, and nor does a key's number: both are the builder's own words. Of a name
 * that two keys have, nobody can say whom it means, so then neither has it. */
#ifndef LB_TRUST_BUILDERS_H
#define LB_TRUST_BUILDERS_H

#include "proto/limits.h"
#include "trust/minisign.h"

struct builder {
    struct minisign_public key;
    char name[LIMIT_NAME + 1]; /* "": none */
};

enum { BUILDERS_BYTES = 256 << 10, BUILDERS_MAX = 1000 /* what is beyond is left out */ };

/* Lines that are no keys are left out. The caller frees *ret. */
void builders_parse(struct span text, struct builder **ret, size_t *ret_n);
/* NULL: no builder has this key. */
const struct builder *builders_find(const struct builder *list, size_t n, const struct hash *key);

#endif
