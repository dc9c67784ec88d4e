/* turn.h - one turn of the broker's loop: take, decide, write, tell.
 *
 * Messages step the core. Its records are gathered and go to the store at the end of the turn; its
 * effects wait in the gate until the records that they rest on are on disk, and then leave. */
#ifndef LB_BROKER_SHELL_TURN_H
#define LB_BROKER_SHELL_TURN_H

#include "broker/shell/shell.h"

/* Makes sh->turn and sh->gate. turn_free frees them; safe on a shell that never had them. */
void turn_new(struct shell *sh);
void turn_free(struct shell *sh);
/* Starts the core after record last_lsn, the store's last, and gives the loop the work for the end
 * of each turn. */
void turn_begin(struct shell *sh, uint64_t last_lsn, bool restored);
/* Hands the gathered records to the store and leaves the loop: for the broker's end. */
void turn_stop(struct shell *sh);

/* Fills in the times and random bytes of an event and steps the core with it. */
void turn_step(struct shell *sh, struct bcore_event *ev);
void turn_step_message(struct shell *sh, const struct shell_peer *p, struct span message);
/* Tells the core and the gate, but not the listeners (hello_forget), that a session has ended. */
void turn_peer_gone(struct shell *sh, uint64_t peer);
/* The last record that the core has emitted. */
uint64_t turn_last_lsn(const struct shell *sh);

/* ---- What the store and the sessions report: `shell` is a struct shell. */
void turn_committed(void *shell, uint64_t lsn);
void turn_store_full(void *shell, bool full);
void turn_down(void *shell, uint64_t peer, const char *reason);
void turn_window(void *shell, uint64_t peer);

#endif
