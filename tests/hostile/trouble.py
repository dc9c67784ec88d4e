"""trouble.py - what happens to whoever talks to a broker that is away, full or tired of them: no
fault of the one who talks. Any other exception is.
"""
import errno

import zmq

# The connection's or the machine's. An operation on no socket, or with senseless words, is neither.
ERRNOS = frozenset((
    errno.EAGAIN, errno.EINTR, errno.EPIPE, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ECONNRESET,
    errno.ECONNABORTED, errno.ENOTCONN, errno.ESHUTDOWN, errno.EHOSTUNREACH, errno.EHOSTDOWN,
    errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.EADDRNOTAVAIL, errno.EADDRINUSE,
    errno.EMFILE, errno.ENFILE, errno.ENOBUFS))


class NoSession(ConnectionError):
    """The broker is there, and welcomes nobody of this key now."""


def is_trouble(e):
    if isinstance(e, (EOFError, ConnectionError, TimeoutError)):
        return True
    return isinstance(e, (OSError, zmq.ZMQError)) and e.errno in ERRNOS


class Rest:
    """How long to wait after trouble: longer each time while nobody is there."""

    FIRST_S, MOST_S = 0.05, 2.0

    def __init__(self):
        self.next_s = self.FIRST_S

    def after(self, e):
        """Seconds until the next try; e: the trouble, None: there was none."""
        if e is None or isinstance(e, NoSession):
            self.next_s = self.FIRST_S
            return 0.0 if e is None else self.FIRST_S
        this_s, self.next_s = self.next_s, min(2 * self.next_s, self.MOST_S)
        return this_s
