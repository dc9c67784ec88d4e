"""rawpeer.py - a peer without libzmq: ZMTP and CURVE by hand, for what a library never sends: half
messages, messages of endless parts, commands in wrong places, deaths at any byte.

usage: rawpeer.py ATTACK [TIMES]
Speaks to the broker of $LONGBOAT_HOME, with its keys. Each ATTACK below is a function;
--help has a list.
Exit: 0 the attack was carried out (whether it did harm is for the caller to judge).
"""
import argparse
import os
import re
import socket
import struct
import sys
import time

from peer import Identity, ZERO16, lb

import nacl.public  # noqa: E402

MORE, COMMAND = 1, 2
TINY, LARGE = 64, 1 << 20


class Raw:
    def __init__(self, who):
        host, port = re.fullmatch(r"(?:tcp://)?(.+):(\d+)", who.address).groups()
        self.who, self.nonce = who, 0
        self.socket = socket.create_connection((host.strip("[]"), int(port)), 10)

    # ---- ZMTP

    def exactly(self, n):
        data = b""
        while len(data) < n:
            piece = self.socket.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def greeting(self):
        self.socket.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0")
                            + bytes(32))
        self.exactly(64)

    @staticmethod
    def framed(body, flags=0):
        if len(body) > 255:
            return bytes([flags | 2]) + struct.pack(">Q", len(body)) + body
        return bytes([flags, len(body)]) + body

    def hear(self):
        flags = self.exactly(1)[0]
        size = struct.unpack(">Q", self.exactly(8))[0] if flags & 2 else self.exactly(1)[0]
        return self.exactly(size)

    # ---- CURVE

    def next_nonce(self):
        self.nonce += 1
        return struct.pack(">Q", self.nonce)

    def handshake(self):
        """True: the broker let us in."""
        own = self.who.key.to_curve25519_private_key()
        server = nacl.public.PublicKey(self.who.broker_key)
        short = nacl.public.PrivateKey.generate()
        short_public = bytes(short.public_key)
        self.greeting()
        n = self.next_nonce()
        signature = nacl.public.Box(short, server).encrypt(bytes(64), b"CurveZMQHELLO---" + n)
        self.socket.sendall(self.framed(b"\x05HELLO\x01\x00" + bytes(72) + short_public + n
                                        + signature.ciphertext, 4))
        welcome = self.hear()
        if not welcome.startswith(b"\x07WELCOME"):
            return False
        opened = nacl.public.Box(short, server).decrypt(welcome[24:],
                                                        b"WELCOME-" + welcome[8:24])
        server_short, cookie = nacl.public.PublicKey(opened[:32]), opened[32:]
        long_nonce = os.urandom(16)
        vouch = nacl.public.Box(own, server_short).encrypt(short_public + bytes(server),
                                                           b"VOUCH---" + long_nonce).ciphertext
        self.box = nacl.public.Box(short, server_short)
        n = self.next_nonce()
        inside = (bytes(own.public_key) + long_nonce + vouch
                  + b"\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
                  + b"\x08Identity" + struct.pack(">I", 0))
        self.socket.sendall(self.framed(b"\x08INITIATE" + cookie + n + self.box.encrypt(
            inside, b"CurveZMQINITIATE" + n).ciphertext, 4))
        return self.hear().startswith(b"\x05READY")

    def wrapped(self, body, flags=0):
        """The bytes of one part (or command) as they go over the wire."""
        n = self.next_nonce()
        return self.framed(b"\x07MESSAGE" + n + self.box.encrypt(
            bytes([flags]) + body, b"CurveZMQMESSAGEC" + n).ciphertext)

    def say(self, body, flags=0):
        self.socket.sendall(self.wrapped(body, flags))

    def hello(self):
        self.session = lb.Session()
        self.say(self.session.frame(lb.pack(lb.HELLO, lb.MAJOR, lb.MINOR, "rawpeer",
                                            self.who.certificate, ZERO16, ZERO16, ZERO16, 0, 0)))

    def reset(self):
        """Dies with an RST, as a process that is killed with data unread."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def enter(who):
    """The broker puts off a key with too many connections without a session: then again, later."""
    for _ in range(100):
        r = Raw(who)
        try:
            if r.handshake():
                return r
        except (EOFError, OSError):
            pass
        r.socket.close()
        time.sleep(0.2)
    sys.exit("rawpeer.py: the handshake was refused")


def is_let_in(r):
    """False: put off, as a key with many connections without a session is."""
    try:
        return r.handshake()
    except (EOFError, OSError):
        return False


# ---- Attacks

def parts(who, times):
    """A message of endless parts, 1 MiB each; prints how many were taken."""
    r = enter(who)
    r.hello()
    n = 0
    try:
        for n in range(times):
            r.say(bytes(LARGE - TINY), MORE)
    except OSError:
        pass
    print(n)


def ping_and_die(who, times):
    """Fills libzmq's queue, leaves a ZMTP PING behind it and dies."""
    for _ in range(times):
        r = enter(who)
        r.hello()
        flood = b"".join(r.wrapped(b"x" * TINY) for _ in range(60))
        r.socket.sendall(flood + r.wrapped(b"\x04PING\x00\x00", COMMAND)
                         + flood[:0] + r.wrapped(b"\x04PING\x00\x0a", COMMAND))
        r.reset()


def commands(who, times):
    """ZMTP commands of every kind after the handshake, short, empty and too long."""
    names = [b"PING", b"PONG", b"SUBSCRIBE", b"CANCEL", b"ERROR", b"READY", b"HELLO", b"JOIN", b""]
    for _ in range(times):
        for name in names:
            for tail in (b"", b"\0", b"\0\0", b"\xff\xff" + bytes(40)):
                r = enter(who)
                try:
                    r.say(bytes([len(name)]) + name + tail, COMMAND)
                    r.say(bytes([len(name) + 9]) + name + tail, COMMAND)
                    r.hello()
                    time.sleep(0.001)
                except OSError:
                    pass
                r.socket.close()


def half(who, times):
    """Half a greeting, half a HELLO, half an INITIATE, half a frame: then a pause or a death."""
    keep = []
    for i in range(times):
        r = Raw(who)
        if i % 4 == 0:
            r.socket.sendall(b"\xff" + bytes(i % 9))
        elif i % 4 == 1:
            r.greeting()
            r.socket.sendall(b"\x04\xc8\x05HEL")
        elif is_let_in(r):
            whole = r.wrapped(bytes(LARGE // 2))
            r.socket.sendall(whole[:len(whole) // 2])
        if i % 3:
            r.reset()
        else:
            keep.append(r)
    time.sleep(1)


def tiny(who, times):
    """Frames of no byte and one byte, and a long one cut into many segments."""
    r = enter(who)
    r.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        for i in range(times):
            r.say(bytes(i % 2))
            for b in r.wrapped(b"y" * 20):
                r.socket.send(bytes([b]))
    except OSError:
        pass


ATTACKS = {f.__name__: f for f in (parts, ping_and_die, commands, half, tiny)}


def main():
    p = argparse.ArgumentParser(epilog="; ".join(f"{n}: {f.__doc__}" for n, f in ATTACKS.items()))
    p.add_argument("attack", choices=ATTACKS)
    p.add_argument("times", type=int, nargs="?", default=100)
    a = p.parse_args()
    ATTACKS[a.attack](Identity(os.environ["LONGBOAT_HOME"]), a.times)


if __name__ == "__main__":
    main()
