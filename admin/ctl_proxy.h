/* ctl_proxy.h - what the verbs of `lbctl proxy` share. They work on the files of this machine's
 * server and need no broker. */
#ifndef LB_ADMIN_CTL_PROXY_H
#define LB_ADMIN_CTL_PROXY_H

#include "admin/ctl.h"
#include "common/paths.h"
#include "package/proxyhere.h"

struct ctl_proxy {
    char **argv;
    const struct option_values *values;
    struct paths paths;
    struct proxyhere here;
    const char *name; /* NULL: none was given */
};

/* Verbs; each returns the exit code. */
int ctl_proxy_new(struct ctl_proxy *c);
int ctl_proxy_change(struct ctl_proxy *c, bool grant);
int ctl_proxy_list(struct ctl_proxy *c);
int ctl_proxy_show(struct ctl_proxy *c);
int ctl_proxy_test(struct ctl_proxy *c);

/* "<etc>/proxies.d/NAME.yaml"; yours to free. */
char *ctl_proxy_path(const struct ctl_proxy *c);
/* Writes the file, and a line about it into <etc>/proxies.log: when, who, what, why. */
int ctl_proxy_write(const struct ctl_proxy *c, struct span text, const char *verb, const char *what,
                    struct error *err);
/* The proxy as a JSON object, whether it is usable or not. A new reference. */
json_t *ctl_proxy_json(struct ctl_proxy *c, const char *name);

#endif
