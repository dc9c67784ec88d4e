/* proxyfile.h - proxies.d/NAME.yaml: a proxy, as a server's administrator writes it, compiled to a
 * d_proxy.
 *
 *     proxy: etl                        # in etl.yaml
 *     description: the nightly load
 *     user: etl                         # a name or a number
 *     group: etl                        # default: the user's own
 *     groups: [warehouse]               # default: all that the user is in; [] for none
 *     subsystems: [exec, shell]         # or "*": all
 *     principals: [nightly-*, local:anna]   # who may: globs over names; [] for nobody
 *     signers: [anna]                   # of packages; default: all of trust/signers
 *     environment: {PATH: /opt/etl/bin:/usr/bin:/bin, REGION: eu}
 *     credentials: {warehouse: /etc/longboat/secrets/warehouse}
 *     limits: {timeout: 2h, memory: 4G, cpu: 1.5, processes: 200, files: 4096, file_size: 10G,
 *              output: 16M, warn: 60s, warn_signal: TERM}
 *     sandbox: {landlock: on, seccomp: required, private_tmp: off, reads: [/srv/source],
 *               writes: [/srv/stage]}
 *     allow_system_user: postgres       # repeats the user, if it is root or one of the system's */
#ifndef LB_PACKAGE_PROXYFILE_H
#define LB_PACKAGE_PROXYFILE_H

#include "package/manifest.h"

/* Compiles a file's text and appends the d_proxy. `name` is what messages call the file; what
 * stands behind its last slash is NAME.yaml. -EINVAL: `problems` has all of its errors, each with
 * "name:line:column: ". */
int proxyfile_compile(const char *name, struct span text, struct buf *out,
                      struct problems *problems);
/* The text of a file that compiles to this proxy, without comments. */
void proxyfile_format(const struct d_proxy *p, struct buf *out);

#endif
