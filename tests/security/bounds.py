"""What a VM's process holds does not grow with what its clients and its guest do."""

import contextlib
import os
import random
import socket

from vm import Qmp, expect, follow, refuse_instrumented, wait_until

CLIENTS = 80  # more than are let in
ROUNDS = 120
RESETS = 40
GROWTH = 2 << 20


class Figures:
    """Descriptors, threads and memory that is not guest RAM: now, and the most that was seen."""

    def __init__(self, vm):
        self.vm = vm
        self.first = self.most = self.now()

    def now(self):
        return self.vm.n_descriptors(), len(self.vm.threads()), self.vm.own_memory()

    def look(self):
        self.most = tuple(map(max, self.most, self.now()))

    def __str__(self):
        rows = (("at first", self.first), ("at most", self.most), ("in the end", self.now()))
        return "; ".join(f"{name} {fds} descriptors, {threads} threads, {memory >> 10} KiB" for name, (fds, threads, memory) in rows)

    def check(self, max_growth):
        fds, threads, memory = self.now()
        expect(fds == self.first[0] and threads == self.first[1], f"not as at first: {self}")
        expect(memory <= self.first[2] + max_growth, f"memory has grown: {self}")


def connect(path):
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    with contextlib.suppress(OSError):
        client.connect(path)
    return client


def nasty_bytes(source):
    """Some of what a client should not send."""
    return source.choice(
        [
            b"",
            b"\0" * 4096,
            b"\xff" * 1000,
            b"{" * 5000,
            b"[" * 65536,
            b'{"execute":"' + b"x" * 100000,
            b'{"execute":"qmp_capabilities"}{"execute":"query-commands"}' * 200,
            b'{"execute":"qmp_capabilities"}' + b'{"execute":"x-query-balloon"}' * 500,
            b'{"execute":"balloon","arguments":{"value":' + b"9" * 5000 + b"}}",
            source.randbytes(3000),
        ]
    )


def come_and_go(path, source, look):
    """A round of them; look() is called while all are there."""
    clients = [connect(path) for _ in range(CLIENTS)]
    for client in clients:
        with contextlib.suppress(OSError):
            client.send(nasty_bytes(source))
    look()
    source.shuffle(clients)
    for client in clients:
        client.close()


def clients_come_and_go(binary, folder):
    """Too many of them, that send nonsense, ask for much and read nothing, and leave at any moment."""
    refuse_instrumented(binary)
    source = random.Random(1)
    with follow(binary, folder) as vm:
        vm.wait_for("guest: ready")
        Qmp(vm.qmp_path).close()
        wait_until(lambda: vm.n_descriptors() == settled(vm), "the first client has gone")
        figures = Figures(vm)
        for _ in range(ROUNDS):
            come_and_go(vm.qmp_path, source, figures.look)
        wait_until(lambda: vm.n_descriptors() == figures.first[0], f"all have gone: {figures}")
        figures.check(GROWTH)
        text = f"{ROUNDS * CLIENTS} clients: {figures}"
        qmp = Qmp(vm.qmp_path)
        expect(qmp.command("query-status")["status"] == "running", "the VM does not run")
        qmp.command("system_powerdown")
        expect(vm.end() == 0, vm.text)
        return text


def settled(vm):
    """Without clients: those of standard input and output, and no socket but the one that listens."""
    kinds = [os.readlink(f"/proc/{vm.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{vm.pid}/fd")]
    return len(kinds) - max(0, sum(kind.startswith("socket:") for kind in kinds) - 1)


def guest_starts_over(binary, folder):
    """Resets: a VM, its vCPUs and their threads are made anew each time, the balloon is inflated meanwhile."""
    refuse_instrumented(binary)
    balloon = "size=32M,free_page_reporting=on,free_page_hinting=on,statistics=1"
    with follow(binary, folder, "--cpus", "2", balloon=balloon) as vm:
        vm.wait_for("guest: ready")
        qmp = Qmp(vm.qmp_path)
        figures = None
        for nth in range(RESETS):
            qmp.command("system_reset")
            wait_until(lambda: vm.text.count("guest: ready") >= nth + 2, f"reset {nth}")
            # What is allocated once only is there after the first.
            figures = figures or Figures(vm)
            figures.look()
        figures.check(GROWTH)
        text = f"{RESETS} resets: {figures}"
        qmp.command("system_powerdown")
        expect(vm.end() == 0, vm.text)
        return text


CASES = [clients_come_and_go, guest_starts_over]
