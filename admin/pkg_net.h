/* pkg_net.h - what lbpkg's verbs that talk to the broker share. */
#ifndef LB_ADMIN_PKG_NET_H
#define LB_ADMIN_PKG_NET_H

#include <jansson.h>

#include "admin/pkg.h"
#include "client/longboat.h"

int pkg_deploy(int argc, char **argv);
int pkg_list(int argc, char **argv);

enum { PKG_TIMEOUT_MS = 30000 }; /* for one answer */

/* Connects with the identity of this user. NULL: the reason is on stderr. */
struct longboat *pkg_connect(char **argv);
/* A request whose answer is DONE. *ret_text (may be NULL) gets its text, *ret_refusal the code of a
 * refusal. -EREMOTEIO and others as longboat_ask. */
int pkg_ask(struct longboat *lb, uint64_t req, struct span message, struct buf *ret_text,
            enum refusal *ret_refusal, struct error *err);
/* Each row of a query as JSON, lent. */
typedef void (*pkg_row)(void *self, json_t *row);
/* of the depot */
int pkg_packages(struct longboat *lb, pkg_row take, void *self, struct error *err);
/* The servers of the address (NULL: all) that our grants let us watch, with what they attest. */
int pkg_servers(struct longboat *lb, const char *address, pkg_row take, void *self,
                struct error *err);
/* A member's text; "" if it is absent or not a text. */
const char *pkg_text(const json_t *row, const char *key);

#endif
