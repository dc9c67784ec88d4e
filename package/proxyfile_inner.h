/* proxyfile_inner.h - what the files that compile proxies.d and subsystems.d share. */
#ifndef LB_PACKAGE_PROXYFILE_INNER_H
#define LB_PACKAGE_PROXYFILE_INNER_H

#include "common/yaml.h"
#include "package/manifest.h"

/* What a file is made of while it is read: texts are lent by the tree, lists lie here. */
struct proxyfile {
    struct problems *problems;
    struct buf subsystems, principals, signers, groups, environment, credentials, reads, writes;
};

/* Records the sentence that a reader left, if it failed; true: it has not. */
bool proxyfile_note(struct problems *ps, int rc, const struct error *err);
/* The text of a key, at most `most` bytes; "" if it is missing or wrong. */
const char *proxyfile_text(const struct yaml_node *map, const char *key, size_t most,
                           struct problems *ps);

/* Judges one entry of a list; -EINVAL with a sentence without a place. */
typedef int proxyfile_rule(struct span text, struct error *err);
/* A list of texts, none twice. Returns how many are in *items. */
uint32_t proxyfile_list(const struct yaml_node *seq, const char *what, size_t most,
                        proxyfile_rule *rule, struct buf *items, struct problems *ps);
/* A map of texts; `key_rule` judges names, `rule` values. */
uint32_t proxyfile_map(const struct yaml_node *map, const char *what, proxyfile_rule *key_rule,
                       proxyfile_rule *rule, struct buf *items, struct problems *ps);

/* An absolute path without `.` and `..` parts. */
int proxyfile_check_path(struct span text, struct error *err);
/* The key at the top that names what the file defines, in NAME.yaml; "" if it is wrong. */
const char *proxyfile_name(const struct yaml_node *root, const char *key, const char *file,
                           struct problems *ps);

/* `limits` and `sandbox`, in proxyfile_limits.c. */
void proxyfile_limits(const struct yaml_node *map, struct d_proxy *d, struct problems *ps);
void proxyfile_sandbox(const struct yaml_node *map, struct proxyfile *f, struct d_proxy *d);

#endif
