/* known.h - the certificates that the broker has verified, by transport key and by name, and the
 * unused invitations.
 *
 * Certificates come from etc/trust/known/, from enrolments in the journal and from HELLO. Each
 * lives until known_free, so a session may point to it; a newer one of the same key or name
 * replaces it in later sessions. The one-time key of an open invitation may connect, but only to
 * send ENROL. */
#ifndef LB_BROKER_SHELL_KNOWN_H
#define LB_BROKER_SHELL_KNOWN_H

#include "broker/shell/owners.h"

struct known;

/* Called when a transport key is admitted or no longer admitted: for the ZAP handler. */
typedef void known_allow(void *self, const struct hash *transport, bool allowed);

/* The anchors and the broker's own certificate are lent until known_free. */
struct known *known_new(const struct trust_anchors *anchors, const struct certificate *broker,
                        known_allow *allow, void *self);
void known_free(struct known **k);

/* Verifies and keeps a certificate; a known one is not verified again. One that binds a key of
 * another name to its own is refused, wherever it comes from. On failure *ret_code and err say
 * why. */
int known_add(struct known *k, struct span signed_bytes, int64_t now,
              const struct certificate **ret, enum refusal *ret_code, struct error *err);
/* Adds the files of a folder. A refused one is reported to `warn` and ignored; a missing folder
 * counts as empty. */
void known_add_folder(struct known *k, const char *folder, int64_t now,
                      void (*warn)(const char *text));
/* Each returns NULL if there is none. */
const struct certificate *known_by_key(const struct known *k, const struct hash *transport);
const struct certificate *known_by_bytes(const struct known *k, struct span signed_bytes);
const struct certificate *known_by_name(const struct known *k, const char *name);
const struct certificate *known_by_serial(const struct known *k, const char *name, uint64_t serial);

/* May this certificate have these keys? KEY_TAKEN: another name or an invitation has one of them
 * (owners.h). */
enum refusal known_judge_keys(const struct known *k, const struct certificate *c,
                              struct error *err);
/* NULL: no certificate that is or was known has this key. */
const struct owners_name *known_owner(const struct known *k, const struct hash *key);
/* The keys of a certificate of the registry that is no longer valid stay its name's. */
void known_remember(struct known *k, const struct d_certificate *c);

/* Calls `take` for each key admitted now. */
void known_each_key(const struct known *k, known_allow *take, void *self);

/* ---- Invitations. `folder` keeps them across restarts. */
/* Verifies and keeps one. -EALREADY: it has been used; -ETIME: it has expired; -EEXIST: its
 * one-time key is somebody's. */
int known_invite(struct known *k, const char *folder, struct span invitation, int64_t now,
                 enum refusal *ret_code, struct error *err);
void known_load_invitations(struct known *k, const char *folder, int64_t now,
                            void (*warn)(const char *text));
/* Is this the one-time key of an open invitation? *ret points into memory of `k`. */
bool known_invited(const struct known *k, const struct hash *transport, int64_t now,
                   struct d_invitation *ret);
/* It was used by the record `lsn`: its key is no longer admitted. Its file stays until the record
 * is on disk, so that a crash in between loses neither. */
void known_use(struct known *k, const struct hash *transport, uint64_t lsn);
void known_committed(struct known *k, const char *folder, uint64_t lsn);
/* Removes one that has expired or was withdrawn. */
void known_uninvite(struct known *k, const char *folder, const struct hash *transport);
/* Calls `take` for each open one; it may remove that one. */
typedef void known_take_invitation(void *self, const struct hash *transport,
                                   const struct d_invitation *i);
void known_each_invitation(struct known *k, known_take_invitation *take, void *self);
/* Removes the expired ones. */
void known_expire(struct known *k, const char *folder, int64_t now);

#endif
