"""Clients that do what clients must not do, while a VM goes on."""

import itertools
import os
import random
import socket
import threading
import time

from cases import MIB, Wrong, expect
from process_memory import footprint
from qmp import Qmp

CLIENTS = 200
SECONDS = 12
RAM_MIB = 256
# What control/qmp_server.h allows: 64 clients, each with 1 MiB of answers and 64 KiB of a message; and some for the
# allocator, which does not give all of it back at once.
MEMORY_MAX = 64 * (MIB + 64 * 1024) + 4 * MIB
ALONE_MAX = 2 * MIB
ALONE_SECONDS = 8
ANSWER_SECONDS = 10  # the machine is busy with the clients' own work

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
    """CLIENTS threads, each of which is one bad client after the other."""

    def __init__(self, path):
        self.path = path
        self.over = threading.Event()
        self.n_connections = itertools.count()
        self.threads = [threading.Thread(target=self.misbehave, args=[MANNERS[i % len(MANNERS)]]) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def misbehave(self, manners):
        while not self.over.is_set():
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(1)
                try:
                    sock.connect(self.path)
                    next(self.n_connections)
                    manners(sock, random.uniform(0, 1))
                except OSError:
                    pass  # turned away, dropped, not read: all as it should be
            self.over.wait(0.02)

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def n_descriptors(vm):
    return len(os.listdir(f"/proc/{vm.process.pid}/fd"))


def own_memory(vm):
    return footprint(vm.process.pid, RAM_MIB * MIB)["Private"]


def flood_alone(vm):
    """One that asks and asks and reads nothing is not listened to for long. Returns what it costs, in bytes."""
    before, until = own_memory(vm), time.monotonic() + ALONE_SECONDS
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(vm.qmp_path)
        sock.settimeout(1)
        sock.sendall(NEGOTIATE)
        try:
            while time.monotonic() < until:
                sock.send(ASK)
        except TimeoutError:
            return own_memory(vm) - before
    raise Wrong(f"the server still listens to a client that has read nothing for {ALONE_SECONDS} s")


def move_balloon(vm, qmp, balloon_mib, seen):
    """The guest obeys, and says so on its console."""
    qmp.cmd("balloon", value=(RAM_MIB - balloon_mib) * MIB)
    seen[balloon_mib] = seen.get(balloon_mib, 0) + 1
    vm.wait(rf"^balloon: from \d+ to {balloon_mib * 256} pages", seen[balloon_mib])
    begin = time.monotonic()
    actual = qmp.cmd("query-balloon")["actual"]
    seconds = time.monotonic() - begin
    expect(actual == (RAM_MIB - balloon_mib) * MIB, f"query-balloon says {actual // MIB} MiB")
    return seconds


def wait_descriptors(vm, n):
    until = time.monotonic() + ANSWER_SECONDS
    while n_descriptors(vm) != n:
        expect(time.monotonic() < until, f"{n_descriptors(vm)} open files afterwards, {n} before")
        time.sleep(0.1)


def torture(context):
    vm = context.boot(f"{RAM_MIB}M", "size=0", "mode=follow touch_mb=64")
    vm.wait("^ready: ")
    with open(os.devnull, "w") as transcript:
        qmp = Qmp(vm.qmp_path, transcript)
        before, descriptors = own_memory(vm), n_descriptors(vm)
        alone = flood_alone(vm)
        crowd = Crowd(vm.qmp_path)
        memory, seconds, seen, until = [], [], {}, time.monotonic() + SECONDS
        try:
            for balloon_mib in itertools.cycle(range(16, 192, 8)):
                if time.monotonic() > until:
                    break
                seconds.append(move_balloon(vm, qmp, balloon_mib, seen))
                memory.append(own_memory(vm))
        finally:
            crowd.end()
        wait_descriptors(vm, descriptors)
        Qmp(vm.qmp_path, transcript).close()  # there is room again
        after = own_memory(vm)
        qmp.cmd("system_powerdown")
    vm.check_pass()
    expect(alone <= ALONE_MAX, f"a client that reads nothing cost {alone / MIB:.1f} MiB")
    expect(max(memory) - before <= MEMORY_MAX, f"the VMM's own memory grew from {before / MIB:.1f} to {max(memory) / MIB:.1f} MiB")
    expect(max(seconds) < ANSWER_SECONDS, f"query-balloon took {max(seconds):.1f} s")
    return (
        f"one client that reads nothing costs {alone // 1024} KiB; {CLIENTS} bad clients, {next(crowd.n_connections)} connections; the VMM's own memory was {before / MIB:.1f} MiB before, "
        f"{max(memory) / MIB:.1f} at most, {after / MIB:.1f} after; the balloon moved {len(seconds)} times, "
        f"query-balloon took {1000 * max(seconds):.0f} ms at most"
    )
