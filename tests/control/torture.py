"""Clients that do what clients must not do, while a VM goes on."""

import itertools
import os
import socket
import time

from bad_clients import ASK, NEGOTIATE, Crowd
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
        crowd = Crowd(vm.qmp_path, CLIENTS, pause=0.02)
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
