/* ask.h - questions to the store on behalf of a session. They are counted against its principal,
 * answered in turn with those of other principals, and cancelled when the session ends. */
#ifndef LB_BROKER_SHELL_ASK_H
#define LB_BROKER_SHELL_ASK_H

#include "broker/shell/shell.h"

/* Fills in whose the question is. For what has a budget of its own and never more than one question
 * at a time: a subscription, a reader of a log. Ask with store_ask then. */
void ask_owner(const struct shell_peer *p, struct store_question *q);

/* Takes `amount` from the account of the peer's principal, asks, and gives it back when the answer
 * has been heard. `hear` is called as by store_ask; with -ECANCELED when the session has ended.
 * -EDQUOT: it was not asked, and *err is the sentence for ERROR `busy`. */
int ask_store(struct shell *sh, const struct shell_peer *p, enum budget budget, uint64_t amount,
              const struct store_question *q, store_hear *hear, void *self, struct error *err);

/* Call it once, while the broker opens: sessions that end then cancel their questions. */
void ask_listen(struct shell *sh);

#endif
