/* manifest_parameter.h - the parts of a package.yaml that other files have too: declarations of
 * parameters and outputs, needs, exit codes. For this room only. */
#ifndef LB_PACKAGE_MANIFEST_PARAMETER_H
#define LB_PACKAGE_MANIFEST_PARAMETER_H

#include "package/manifest.h"

/* `node` may be NULL: there are none. Those of a job may have a description. */
void manifest_read_job_parameters(const struct yaml_node *node, struct manifest *m,
                                  struct problems *ps);
void manifest_read_parameters(const struct yaml_node *node, struct manifest *m,
                              struct problems *ps);
void manifest_read_outputs(const struct yaml_node *node, struct manifest *m, struct problems *ps);
/* One problem for each key of the map that is not in the NULL-ended list. */
void manifest_note_unknown_keys(const struct yaml_node *map, const char *const allowed[],
                                struct problems *ps);
/* One entry of `needs`, as the text that the manifest keeps; yours to free. -EINVAL: `ps` has
 * why. */
int manifest_read_need(const struct yaml_node *item, char **ret, struct problems *ps);
/* One entry of `exit_codes`. False: `ps` has why. */
bool manifest_read_exit_code(const struct yaml_node *key, const struct yaml_node *value,
                             struct manifest_exit *ret, struct problems *ps);
/* The key `exit_codes` of the map into m->exits, which is never empty afterwards. */
void manifest_read_exit_codes(const struct yaml_node *root, struct manifest *m,
                              struct problems *ps);

/* What YAML and JSON share: is the declaration itself valid? */
int manifest_parameter_check(const struct manifest_parameter *p, struct error *err);
/* A default of the type, or VALUES_AS_OF (date, datetime, string) or VALUES_SERVER (string). */
int manifest_fallback_from_text(enum parameter_type type, struct span text, struct buf *out,
                                struct error *err);

#endif
