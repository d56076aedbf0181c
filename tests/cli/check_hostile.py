"""Sockets behind which there is no good VM: no command hangs, crashes, or lets a byte through that drives a terminal."""

import concurrent.futures
import contextlib
import fcntl
import os
import socket
import struct
import threading

from harness import CONTROL, SECONDS, expect, run, wait_until
from terminal import Terminal

GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\r\n'
EMPTY = b'{"return": {}}\r\n'
EVIL = "\\u001b[2J\\u009b31m\x9b31m\x7f\u202e"
EVIL_STATE = (
    f'{{"status": "{EVIL}", "running": true, "base-memory": 1e300, "x-ram-rss": -5, "actual": 1e19, "balloon-target": "x", "balloon-actual": {{}}, "driver-ok": 7,'
    f' "negotiated-features": [1, "{EVIL}"], "hint": {{"phase": "{EVIL}", "runs": []}}, "guest-stats": [], "stats": {{"stat-free-memory": "{EVIL}"}}, "last-update": 1e18,'
    f' "queues": {{"{EVIL}": {{"pages": 1, "faults": {{"{EVIL}": 2}}}}}}}}'
)


def forever(peer, data):
    while True:
        peer.sendall(data)


def hear(peer):
    heard = peer.recv(65536)
    if not heard:
        raise ConnectionError
    return heard.count(b'"execute"')


def answer(peer, text, greeting=GREETING + EMPTY):
    """The same to every command."""
    peer.sendall(greeting)
    pending = hear(peer) - 1
    while True:
        for _ in range(pending):
            peer.sendall(text.encode() + b"\r\n")
        pending = hear(peer)


def trickle(peer):
    for byte in GREETING * 1000:
        peer.sendall(bytes([byte]))
        threading.Event().wait(0.05)


# Most of it is waiting for somebody who does not answer.
AT_ONCE = 24
BAD = {
    "says nothing": lambda peer: hear(peer) and threading.Event().wait(30),
    "hangs up at once": lambda peer: None,
    "hangs up after the greeting": lambda peer: peer.sendall(GREETING),
    "stops after the greeting": lambda peer: (peer.sendall(GREETING + EMPTY), threading.Event().wait(30)),
    "answers half": lambda peer: (peer.sendall(GREETING + EMPTY + b'{"return": {"status": "run'), threading.Event().wait(30)),
    "trickles": trickle,
    "is no VM": lambda peer: peer.sendall(b"SSH-2.0-OpenSSH_9.2p1\x1b[2J\r\n"),
    "floods with newlines": lambda peer: (peer.sendall(GREETING + EMPTY), forever(peer, b"\n" * 4096)),
    "floods with events": lambda peer: (peer.sendall(GREETING + EMPTY), forever(peer, b'{"event": "A"}\r\n' * 100)),
    "floods with answers": lambda peer: (peer.sendall(GREETING + EMPTY), forever(peer, EMPTY * 100)),
    "sends a line without an end": lambda peer: (peer.sendall(GREETING + EMPTY), forever(peer, b"x" * 65536)),
    "sends deep JSON": lambda peer: (peer.sendall(GREETING + EMPTY), peer.sendall(b"[" * 100000 + b"\r\n")),
    "answers nothing of use": lambda peer: answer(peer, '{"return": {}}'),
    "answers another type": lambda peer: answer(peer, '{"return": [1, {"a": null}]}'),
    "refuses everything": lambda peer: answer(peer, f'{{"error": {{"class": "{EVIL}", "desc": "{EVIL}"}}}}'),
    "errs without words": lambda peer: answer(peer, '{"error": 7}'),
    "answers escapes": lambda peer: answer(peer, f'{{"return": {EVIL_STATE}}}'),
    "turns everybody away": lambda peer: peer.sendall(f'{{"error": {{"desc": "{EVIL}"}}}}\r\n'.encode()),
}
COMMANDS = [
    ["list", "x"],
    ["list", "x", "--json"],
    ["balloon", "x"],
    ["balloon", "x", "64M", "--wait=1"],
    ["balloon", "x", "--json"],
    ["stats", "x"],
    ["stats", "x", "--json"],
    ["hint", "x", "--wait=1"],
    ["hint", "x", "--json", "--wait=1"],
    ["metrics", "x"],
    ["stop", "x", "--wait=1", "--force"],
]


class Fake:
    """A VM in the runtime directory: with the lock that says that it runs, and a socket behind which it behaves badly."""

    def __init__(self, context, behave, name="x"):
        self.folder = os.path.join(context.folder, "vmm-balloon")
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self.path = os.path.join(self.folder, f"{name}.sock")
        self.lock = open(os.path.join(self.folder, f"{name}.pid"), "w+", encoding="ascii")
        self.lock.write("1\n")
        self.lock.flush()
        fcntl.fcntl(self.lock, fcntl.F_OFD_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        self.behave = behave
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.socket.accept()
                threading.Thread(target=self.serve, args=[peer], daemon=True).start()

    def serve(self, peer):
        with peer, contextlib.suppress(OSError):
            self.behave(peer)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.lock.close()
        os.unlink(self.path)
        os.unlink(self.lock.name)


def bad_vms(context):
    def try_one(name, what, command):
        words = [name if word == "x" else word for word in command]
        result = run(context, *words, status=None, seconds=SECONDS)
        expect(result.status in (0, 1, 2, 4), f"{what}: {result}")

    with contextlib.ExitStack() as stack:
        tries = []
        for i, (what, behave) in enumerate(BAD.items()):
            stack.enter_context(Fake(context, behave, f"bad-{i}"))
            tries += [(f"bad-{i}", what, command) for command in COMMANDS]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for job in [pool.submit(try_one, *one) for one in tries]:
                job.result()


def bad_events(context):
    """A stream of events has no end, but what is no event ends it."""
    line = f'{{"event": "{EVIL}", "data": {{"{EVIL}": "\U0001f388"}}}}'.encode()

    def tell(peer):
        peer.sendall(GREETING)
        hear(peer)
        peer.sendall(EMPTY + line + b"\r\n" + line + b"\r\nnonsense\r\n")
        hear(peer)

    with Fake(context, tell):
        result = run(context, "events", "x", status=1)
        expect(result.out.count("\n") == 2 and result.out.isascii() and "\\ud83c\\udf88" in result.out, f"{result}")
        expect(result.jsons()[0]["event"] == "\x1b[2J\x9b31m\x9b31m\x7f\u202e", f"{result}")
    with Fake(context, BAD["floods with answers"]):
        run(context, "events", "x", status=1)


def bad_vms_on_the_screen(context):
    """All at once, one with a name that drives a terminal."""
    names = [f"bad-{i}" for i in range(len(BAD) - 1)] + ["z\x1b[2J\x1b]0;x\x07"]
    with contextlib.ExitStack() as stack:
        for name, behave in zip(names, BAD.values()):
            stack.enter_context(Fake(context, behave, name))
        terminal = stack.enter_context(Terminal(context, "top", rows=30))
        terminal.wait(f"{len(BAD)} VMs")
        wait_until(lambda: terminal.screen().count("does not answer") >= 8, terminal.screen)
        for key in ("Down", "+", "-", "t", "1", "Enter", "End", "+", "t", "0", "Enter", "Home", "?", "?"):
            terminal.keys(key)
        expect(not CONTROL.search(terminal.screen().encode()), terminal.screen())
        terminal.keys("q")
        terminal.check_left_as_it_was(0)
        run(context, "list")
        run(context, "metrics")


CASES = [bad_vms, bad_events, bad_vms_on_the_screen]
