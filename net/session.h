/* session.h - one end of a session: numbers, acknowledgements, window, packing. Pure: the caller
 * moves the bytes and passes the time.
 *
 * A frame is H_FRAME [0, session, number, ack] followed by messages. Frames with messages are
 * numbered 1, 2, ... in each direction. A duplicate is ignored; a gap, or a frame of another
 * session, ends the session. There is one way to recover: a new HELLO, after which each side
 * repeats what it still owes. Nothing is resent inside a session, because a TCP connection loses
 * nothing: what is lost is lost with the connection, or is noticed here.
 *
 * Flow: at most LIMIT_WINDOW bytes (or one longer frame) and LIMIT_WINDOW_FRAMES frames are
 * unacknowledged; then messages wait in the session's queue (at most LIMIT_SESSION_QUEUE bytes;
 * beyond it session_push refuses). An acknowledgement means "handled", no more: durable answers
 * are messages of their own. So whoever cannot keep up leaves frames unacknowledged, and an honest
 * sender stops at its window; one that goes on breaks the protocol. */
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
/* Makes a frame without messages if one is due at `now`: an acknowledgement 50 ms after a handled
 * frame that nothing has acknowledged, or after 16 frames or a quarter of the window; a heartbeat
 * after HEARTBEAT_MS of silence. 1 or 0 as above. */
int session_idle_frame(struct session *s, int64_t now, struct buf *frame);
/* When to call session_idle_frame next, in CLOCK_BOOTTIME ms. */
int64_t session_deadline(const struct session *s);

enum session_verdict {
    SESSION_MESSAGES, /* *ret_messages is the run of encoded messages; walk it with wire_peek */
    SESSION_NOTHING,  /* heartbeat, acknowledgement or duplicate */
    SESSION_GAP,      /* something was lost: end the session */
    SESSION_FOREIGN,  /* of another session */
    SESSION_EXCESS,   /* beyond the sender's window, err says how: end the session */
    SESSION_MALFORMED /* err says what; the session is as it was */
};
enum session_verdict session_take(struct session *s, struct span frame, int64_t now,
                                  struct span *ret_messages, struct error *err);
/* The same, except that the run of messages is not looked at: for a frame that waits until somebody
 * has time for it. Whoever walks the run finds what is malformed. */
enum session_verdict session_admit(struct session *s, struct span frame, int64_t now,
                                   struct span *ret_messages, struct error *err);
/* The messages of the oldest frame that session_take returned and that has not been named here have
 * been handled: the frame, of `bytes` in all, can be acknowledged. */
void session_handled(struct session *s, size_t bytes, int64_t now);
/* The head of a frame, without a session: for finding the session it belongs to. */
int session_peek(struct span frame, struct h_frame *ret, struct error *err);

/* True if what is queued and one more message of up to LIMIT_PACK bytes would leave at once. */
bool session_window_open(const struct session *s);
size_t session_waiting(const struct session *s); /* bytes queued behind the window */
/* those, what it costs to know their sizes, and the bytes that were sent and not acknowledged */
size_t session_owed(const struct session *s);
uint64_t session_acked(const struct session *s); /* the last of our frames that was acknowledged */
int64_t session_heard(const struct session *s);  /* when the last frame came (boot ms) */

/* A session's last word: a frame with number 0 and one message: RESET, REFUSED or BYE. Nothing of
 * the session counts after it. It needs no session, so it also answers frames of unknown
 * sessions. */
void session_last_word(uint64_t id, struct span message, struct buf *frame);
bool session_is_last_word(struct span frame, uint64_t *ret_session, uint64_t *ret_kind,
                          struct span *ret_message);

#endif
