/* ctl_lists.h - the lists of revoked certificates that a person has themselves, beside the one that
 * the broker shows: whoever doubts a broker does not take its word for who is revoked. */
#ifndef LB_ADMIN_CTL_LISTS_H
#define LB_ADMIN_CTL_LISTS_H

#include "common/buf.h"
#include "common/paths.h"
#include "trust/evidence.h"

/* All zero is empty. `lists` points into `bytes` and `from`. Release with ctl_lists_free. */
struct ctl_lists {
    struct evidence_list lists[EVIDENCE_LISTS_MAX];
    struct buf bytes[EVIDENCE_LISTS_MAX];
    char from[EVIDENCE_LISTS_MAX][PATHS_MAX];
    unsigned n;
};
void ctl_lists_free(struct ctl_lists *l);

/* Adds the list in a file, unverified. */
int ctl_lists_add(struct ctl_lists *l, const char *path, struct error *err);
/* Adds those of this home that exist: an administrator's and a server's. */
int ctl_lists_add_home(struct ctl_lists *l, struct error *err);
/* Into the bundle; *l must outlive it. */
void ctl_lists_offer(const struct ctl_lists *l, struct evidence_bundle *e);

#endif
