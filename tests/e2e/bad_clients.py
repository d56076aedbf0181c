"""Clients that do what clients of QMP must not do, one after the other."""

import itertools
import random
import socket
import threading
import time

NEGOTIATE = b'{"execute":"qmp_capabilities"}\r\n'
ASK = b'{"execute":"x-query-balloon"}{"execute":"query-commands"}' * 1000


def disconnect(_sock, _patience):
    """At once, with the greeting unread."""


def say_nothing(_sock, patience):
    time.sleep(patience)


def half_write(sock, patience):
    sock.sendall(NEGOTIATE + b'{"execute":"balloon","argum')
    time.sleep(patience)


def half_write_long(sock, patience):
    """A message that fills the server's buffer and does not end."""
    sock.sendall(NEGOTIATE + b'{"execute":"' + b"x" * 200000)
    time.sleep(patience)


def flood_with_noise(sock, patience):
    until = time.monotonic() + patience
    while time.monotonic() < until:
        sock.sendall(random.choice([b"}", b"\x01", b"[[", b"'", b'{"a":1}', b"nonsense ", b"\xff"]) * 4096)
        drain(sock)


def flood_and_read_nothing(sock, patience):
    sock.sendall(NEGOTIATE)
    until = time.monotonic() + patience
    while time.monotonic() < until:
        sock.sendall(ASK)  # blocks when the server has enough of it, until the socket's timeout


def ask_and_read_nothing(sock, patience):
    """As many answers as the server keeps, and then the events."""
    sock.sendall(NEGOTIATE + ASK[: 57 * 140])
    time.sleep(patience)


def drain(sock):
    try:
        while sock.recv(65536, socket.MSG_DONTWAIT):
            pass
    except BlockingIOError:
        pass


MANNERS = [disconnect, say_nothing, half_write, half_write_long, flood_with_noise, flood_and_read_nothing, ask_and_read_nothing]


class Crowd:
    """`size` threads, each of which is one bad client after the other, with a pause of so many seconds between two."""

    def __init__(self, path, size, pause):
        self.path = path
        self.pause = pause
        self.over = threading.Event()
        self.n_connections = itertools.count()
        self.threads = [threading.Thread(target=self.misbehave, args=[i], daemon=True) for i in range(size)]
        for thread in self.threads:
            thread.start()

    def misbehave(self, first):
        for i in itertools.count(first):
            if self.over.is_set():
                break
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(1)
                try:
                    sock.connect(self.path)
                    next(self.n_connections)
                    MANNERS[i % len(MANNERS)](sock, random.uniform(0, 1))
                except OSError:
                    pass  # turned away, dropped, not read: all as it should be
            self.over.wait(self.pause)

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
