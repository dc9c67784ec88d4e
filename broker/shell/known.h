/* known.h - whose transport key is it? The certificates that the broker has seen and verified, by
 * key and by name.
 *
 * They come from etc/trust/known/, from enrolments in the journal and from HELLO. A certificate
 * once taken lives until known_free, so sessions may point to it; a newer one of the same key or
 * name takes its place for the next session. Invitations that have not been used lie here too:
 * their one-time keys may connect, to say ENROL and nothing else. */
#ifndef LB_BROKER_SHELL_KNOWN_H
#define LB_BROKER_SHELL_KNOWN_H

#include "trust/certificate.h"

struct known;

/* Told whenever a transport key becomes welcome or stops being so: for the ZAP handler. */
typedef void known_allow(void *self, const struct hash *transport, bool allowed);

/* anchors are lent */
struct known *known_new(const struct trust_anchors *anchors, known_allow *allow, void *self);
void known_free(struct known **k);

/* Verifies and takes a certificate. Refused: *ret_code and err. What is known already is found and
 * not verified again. */
int known_add(struct known *k, struct span signed_bytes, int64_t now,
              const struct certificate **ret, enum refusal *ret_code, struct error *err);
/* All files of a folder; one that is refused is told to `warn` and passed over. No such folder:
   nothing. */
void known_add_folder(struct known *k, const char *folder, int64_t now,
                      void (*warn)(const char *text));
/* NULL: unknown */
const struct certificate *known_by_key(const struct known *k, const struct hash *transport);
const struct certificate *known_by_bytes(const struct known *k, struct span signed_bytes);
const struct certificate *known_by_name(const struct known *k, const char *name);
const struct certificate *known_by_serial(const struct known *k, const char *name, uint64_t serial);

/* Tells all keys that are welcome now. */
void known_each_key(const struct known *k, known_allow *take, void *self);

/* ---- Invitations. `folder` keeps them over a restart. */
/* Verifies and keeps one; -EALREADY: a certificate was made of it. */
int known_invite(struct known *k, const char *folder, struct span invitation, int64_t now,
                 enum refusal *ret_code, struct error *err);
void known_load_invitations(struct known *k, const char *folder, int64_t now,
                            void (*warn)(const char *text));
/* Is it the one-time key of an invitation that is open? *ret points into memory of `k`. */
bool known_invited(const struct known *k, const struct hash *transport, int64_t now,
                   struct d_invitation *ret);
/* It has been used, or has ended. */
void known_uninvite(struct known *k, const char *folder, const struct hash *transport);
/* Ends those whose time is over. */
void known_expire(struct known *k, const char *folder, int64_t now);

#endif
