/* session.h - one end of a session: number, acknowledge, window, packing. Pure: bytes in, bytes
 * out; time comes in.
 *
 * A frame is H_FRAME [0, session, number, ack] followed by messages. Frames with messages are
 * numbered 1, 2, ... in each direction. What arrives twice is ignored; a gap, or a frame of another
 * session, ends the session: there is one way to recover, a new HELLO, after which whoever holds an
 * obligation says it again. Nothing is resent inside a session, because inside one TCP connection
 * nothing is lost; what is lost is lost with the connection, or noticed here.
 *
 * Flow: at most LIMIT_WINDOW bytes (or one longer frame) and LIMIT_WINDOW_FRAMES frames are
 * unacknowledged; then messages wait in the session's queue (at most LIMIT_SESSION_QUEUE bytes;
 * beyond it session_push refuses). An acknowledgement means "taken", no more: durable answers are
 * messages of their own. */
#ifndef LB_NET_SESSION_H
#define LB_NET_SESSION_H

#include <stdbool.h>
#include "proto/messages.h"

struct session;

struct session *session_new(uint64_t id);
void session_free(struct session **s);
uint64_t session_id(const struct session *s);

/* Queues one encoded message (copied). -ENOBUFS: the queue is full; -EMSGSIZE: no frame could hold
 * it, or it is empty; nothing was queued. */
int session_push(struct session *s, struct span message);
/* Makes the next frame if there is something to send and the window allows: 1 and *frame replaced;
   0: nothing. */
int session_frame(struct session *s, int64_t now, struct buf *frame);
/* A frame without messages (acknowledgement, heartbeat) if one is due at `now`: acknowledgements
 * within 50 ms of a frame that nothing has answered, or every 16 frames or quarter window; a
 * heartbeat after HEARTBEAT_MS of silence. 1 or 0 as above. */
int session_idle_frame(struct session *s, int64_t now, struct buf *frame);
/* when session_idle_frame wants to be asked; boot ms */
int64_t session_deadline(const struct session *s);

enum session_verdict {
    SESSION_MESSAGES, /* *ret_messages is the run of encoded messages; walk it with wire_peek */
    SESSION_NOTHING,  /* heartbeat, acknowledgement or duplicate */
    SESSION_GAP,      /* something was lost: end the session */
    SESSION_FOREIGN,  /* of another session */
    SESSION_MALFORMED /* err says what; the session is as it was */
};
enum session_verdict session_take(struct session *s, struct span frame, int64_t now,
                                  struct span *ret_messages, struct error *err);
/* The head of a frame, without a session: for finding the session it belongs to. */
int session_peek(struct span frame, struct h_frame *ret, struct error *err);

/* What waits and one message of up to LIMIT_PACK bytes more would leave at once. */
bool session_window_open(const struct session *s);
size_t session_waiting(const struct session *s); /* bytes queued behind the window */
/* those, and the bytes that were sent and not acknowledged */
size_t session_owed(const struct session *s);
int64_t session_heard(const struct session *s); /* when the last frame came (boot ms) */

/* A session's last word: a frame outside its numbering (number 0) with one message, RESET, REFUSED
 * or BYE, and nothing of the session counts after it. It needs no session, so it also answers
 * frames of sessions that nobody knows. */
void session_last_word(uint64_t id, struct span message, struct buf *frame);
bool session_is_last_word(struct span frame, uint64_t *ret_session, uint64_t *ret_kind,
                          struct span *ret_message);

#endif
