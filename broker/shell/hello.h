/* hello.h - who is at the other end: the start and the end of a session. */
#ifndef LB_BROKER_SHELL_HELLO_H
#define LB_BROKER_SHELL_HELLO_H

#include "broker/shell/shell.h"

/* Judges a HELLO and, if it is acceptable, makes the peer and tells the core. REFUSAL_NONE, or the
 * code of the refusal with its sentence in *why. `shell` is a struct shell. */
enum refusal hello_take(void *shell, uint64_t handle, const struct hash *key, const char *address,
                        struct span hello, struct error *why);
/* The session has ended: tells the listeners and frees p. The core is not told (turn_peer_gone). */
void hello_forget(struct shell *sh, struct shell_peer *p);
/* REFUSAL_NONE, or why this session must end: its certificate is revoked or has expired. */
enum refusal hello_still_good(const struct shell *sh, const struct shell_peer *p,
                              const char **ret_text);

#endif
