"""mob_test.py - what counts as a fault of an attack: its own mistakes, and nothing that a broker
does to it that is away, refuses or dies. Every attack is made against nobody, and against somebody
who hangs up."""
import concurrent.futures
import errno
import socket
import threading
import time
import unittest

import nacl.signing
import zmq

from attacks import GOALS, Mob
from peer import Identity, lb
from trouble import NoSession, Rest, is_trouble

SECONDS = 0.2


def identity(port):
    broker = nacl.signing.SigningKey(bytes(32)).verify_key.to_curve25519_public_key()
    who = Identity(seed=bytes(range(32)), broker_key=bytes(broker),
                   address=f"tcp://127.0.0.1:{port}")
    who.me = {"name": "carl", "serial": 1, "cluster": "test", "role": "caller"}
    return who


class HangsUp:
    """Takes connections, and closes each after a few bytes, now and then with an RST."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        n = 0
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            n += 1
            if n % 2:
                c.recv(1)
            c.close()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def port_of_nobody():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class MobTest(unittest.TestCase):
    def test_what_a_broker_that_is_away_causes_is_trouble(self):
        for e in (zmq.Again(), zmq.ZMQError(errno.EAGAIN), zmq.ZMQError(errno.EHOSTUNREACH),
                  zmq.ZMQError(errno.EMFILE), EOFError(), ConnectionResetError(),
                  ConnectionRefusedError(), BrokenPipeError(), TimeoutError(), socket.timeout(),
                  OSError(errno.ENETUNREACH, ""), OSError(errno.EADDRNOTAVAIL, ""), NoSession()):
            self.assertTrue(is_trouble(e), repr(e))

    def test_a_mistake_is_no_trouble(self):
        for e in (KeyError("a"), AssertionError(), TypeError(), ValueError(), IndexError(),
                  AttributeError(), FileNotFoundError(errno.ENOENT, ""), OSError("of nothing"),
                  zmq.ZMQError(errno.ENOTSOCK), zmq.ZMQError(errno.EINVAL), lb.LongboatError("")):
            self.assertFalse(is_trouble(e), repr(e))

    def test_trouble_begins_the_attack_again_and_a_mistake_ends_it(self):
        mob, tries = Mob(identity(1), 5, 1), []

        def troubled(mob):
            tries.append(1)
            if len(tries) < 3:
                raise ConnectionResetError

        mob.persist(troubled)
        self.assertEqual((len(tries), mob.troubles), (3, 2))

        def mistaken(mob):
            mob.talk({}.__getitem__, "no such key")

        with self.assertRaises(KeyError):
            mob.persist(mistaken)

    def test_an_attack_in_trouble_ends_with_its_time(self):
        begun, mob = time.monotonic(), Mob(identity(1), SECONDS, 1)

        def troubled(mob):
            raise zmq.Again

        mob.persist(troubled)
        self.assertGreaterEqual(time.monotonic() - begun, SECONDS)
        self.assertGreater(mob.troubles, 1)

    def test_the_rest_grows_while_nobody_is_there_and_not_when_refused(self):
        rest = Rest()
        self.assertLess(rest.after(EOFError()), rest.after(EOFError()))
        for _ in range(20):
            longest = rest.after(EOFError())
        self.assertEqual(longest, Rest.MOST_S)
        self.assertEqual(rest.after(None), 0)
        self.assertEqual(rest.after(NoSession()), Rest.FIRST_S)
        self.assertEqual(rest.after(NoSession()), Rest.FIRST_S)

    def each_attack(self, port):
        def make(roles, f):
            who = identity(port)
            who.me["role"] = roles[0]
            Mob(who, SECONDS, 1, "anna").persist(f)

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for made in [pool.submit(make, *goal) for goal in GOALS.values()]:
                made.result()

    def test_each_attack_lasts_while_nobody_is_there(self):
        self.each_attack(port_of_nobody())

    def test_each_attack_lasts_while_somebody_hangs_up(self):
        away = HangsUp()
        self.each_attack(away.port)
        away.close()


if __name__ == "__main__":
    unittest.main()
