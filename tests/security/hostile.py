"""Hostile guests: their VMs keep to their bounds and answer, other VMs take no harm, and none ends but by its guest's own power-off.

VMM_HOSTILE_SECONDS: how long each case takes (12). VMM_HOSTILE_SEED: of the first hostile guest, to repeat another run.
"""

import contextlib
import os
import random
import re
import time

from bounds import GROWTH, Figures, come_and_go
from vm import Qmp, Wrong, expect, follow, is_instrumented, running, wait_until

LOAD_SECONDS = int(os.environ.get("VMM_HOSTILE_SECONDS", "12"))
SEED = int(os.environ.get("VMM_HOSTILE_SEED", random.randrange(1, 10**8)))
REPEAT = f"with VMM_HOSTILE_SEED={SEED}"
MIB = 1 << 20
RAM_MIB = 128
N_HOSTILE = 3
BALLOON = "size=16M,free_page_reporting=on,free_page_hinting=on,statistics=1"
ANSWER_SECONDS = 10  # the machine is busy with the guests
LINES_AT_START = 5  # and then one a second

# What 64 clients, whom control/qmp_server.h lets in, may cost: 1 MiB of answers and 64 KiB of a message each, and some for malloc.
CROWD_MAX = 64 * (MIB + 64 * 1024) + 4 * MIB

# Of the load, so that an hour of it takes no more than about half a processor.
GUEST_PAUSE_MS = 200
CROWD_SECONDS = 0.3
ROUND_SECONDS = 1
SAMPLE_SECONDS = 10


class Watched:
    """A VM, a client that stays with it, and what the two see of each other."""

    def __init__(self, vm, binary):
        self.vm = vm
        self.growth_max = None if is_instrumented(binary) else GROWTH
        self.begin = time.monotonic()
        self.slowest = 0
        vm.wait_for("guest: ready")
        self.qmp = Qmp(vm.qmp_path)
        self.ask("query-status")
        self.figures = Figures(vm)

    def ask(self, name, **arguments):
        begin = time.monotonic()
        try:
            answer = self.qmp.answer(name, **arguments)
        except (OSError, Wrong) as e:
            raise Wrong(f"{name}: {e}, {REPEAT}: {self.vm.text[-1000:]}") from None
        self.slowest = max(self.slowest, time.monotonic() - begin)
        return answer

    def disturb(self, source):
        """What a host does with a VM, while its guest does what it does."""
        self.ask("balloon", value=(RAM_MIB - source.randrange(64)) * MIB)
        self.ask("x-balloon-hint")
        expect("return" in self.ask("x-query-balloon"), "the VM does not tell its state")

    def look(self):
        self.figures.look()
        fds, threads, memory = self.figures.now()
        expect((fds, threads) == self.figures.first[:2], f"descriptors or threads are not as at first, {REPEAT}: {self.figures}")
        expect(self.growth_max is None or memory <= self.figures.first[2] + self.growth_max, f"memory has grown, {REPEAT}: {self.figures}")

    def power_off(self):
        """The guest does it itself, and it said little until then."""
        figures = str(self.figures)
        self.ask("system_powerdown")
        expect(self.vm.end() == 0, f"the VM did not end well, {REPEAT}: {self.vm.text[-1000:]}")
        self.vm.wait_for("guest: PASS")
        expect(self.slowest < ANSWER_SECONDS, f"an answer took {self.slowest:.1f} s")
        lines = len(re.findall(r"^vmm-balloon: ", self.vm.text, re.M))
        seconds = time.monotonic() - self.begin
        expect(lines <= LINES_AT_START + seconds, f"{lines} lines in the log within {seconds:.0f} s")
        acts = re.search(r"guest: (seed .* serves)", self.vm.text)
        return f"{acts[1] + ': ' if acts else ''}{figures}; answers within {1000 * self.slowest:.0f} ms, {lines} lines in the log"


@contextlib.contextmanager
def hostile(binary, folder, seed, pause_ms=0):
    os.makedirs(folder)
    words = f"mode=hostile seed={seed} seconds={LOAD_SECONDS + 600} pause_ms={pause_ms}"
    with running(binary, folder, "--cmdline", words, balloon=BALLOON) as vm:
        yield Watched(vm, binary)


def move_balloon(good, mib):
    """The good guest goes where it is told to and says so on its console; it checks each page that comes back."""
    wanted = rf"balloon: from \d+ to {mib * 256} pages"
    seen = len(re.findall(wanted, good.vm.text))
    good.ask("balloon", value=(RAM_MIB - mib) * MIB)
    wait_until(lambda: len(re.findall(wanted, good.vm.text)) > seen, f"the good guest says /{wanted}/")
    actual = good.ask("query-balloon")["return"]["actual"]
    expect(actual == (RAM_MIB - mib) * MIB, f"query-balloon says {actual // MIB} MiB")


def beside_hostile_guests(binary, folder):
    """A guest that plays by the rules has its memory, its console and its balloon, whatever its neighbours do."""
    source = random.Random(SEED)
    with contextlib.ExitStack() as stack:
        os.makedirs(os.path.join(folder, "good"))
        good = Watched(stack.enter_context(follow(binary, os.path.join(folder, "good"))), binary)
        seeds = range(SEED, SEED + N_HOSTILE)
        bad = [stack.enter_context(hostile(binary, os.path.join(folder, str(seed)), seed)) for seed in seeds]
        moves, end = 0, time.monotonic() + LOAD_SECONDS
        while time.monotonic() < end:
            move_balloon(good, 8 + moves % 2 * 40 + source.randrange(32))  # never where it is: it would say nothing
            moves += 1
            for watched in bad:
                watched.disturb(source)
                watched.look()
            good.look()
        figures = [watched.power_off() for watched in bad]
        return "; ".join([*figures, f"beside them a balloon moved {moves} times: {good.power_off()}"])


def table(samples):
    """Descriptors, threads, KiB: at the start, after a quarter, a half, three quarters, in the end, and the most."""
    picked = [("start", samples[0])] + [(f"{100 * part // 4} %", samples[part * (len(samples) - 1) // 4]) for part in (1, 2, 3)]
    picked += [("end", samples[-1]), ("max", tuple(map(max, *samples, samples[0])))]
    return "; ".join(f"{name} {fds} descriptors, {threads} threads, {memory >> 10} KiB" for name, (fds, threads, memory) in picked)


def hostile_load(binary, folder):
    """A hostile guest and crowds of hostile clients at once: what the VM holds, whenever the crowd is gone, stays as it was."""
    source = random.Random(SEED)
    with hostile(binary, os.path.join(folder, "load"), SEED, GUEST_PAUSE_MS) as watched:
        vm, samples, rounds = watched.vm, [], 0
        begin = sampled = time.monotonic()

        def look_at_crowd():
            time.sleep(CROWD_SECONDS)
            watched.figures.look()

        while time.monotonic() < begin + LOAD_SECONDS or len(samples) < 2:
            come_and_go(vm.qmp_path, source, look_at_crowd)
            rounds += 1
            watched.disturb(source)
            wait_until(lambda: vm.n_descriptors() == watched.figures.first[0], f"the crowd has gone: {watched.figures}")
            if time.monotonic() >= sampled + min(SAMPLE_SECONDS, LOAD_SECONDS / 8):
                sampled = time.monotonic()
                samples.append(watched.figures.now())
                watched.look()
            time.sleep(ROUND_SECONDS)
        crowd = watched.figures.most[2] - watched.figures.first[2]
        expect(watched.growth_max is None or crowd <= CROWD_MAX, f"a crowd of clients cost {crowd >> 10} KiB")
        text = f"{rounds} crowds of clients within {time.monotonic() - begin:.0f} s: {table(samples)}"
        return f"{text}; {watched.power_off()}"


CASES = [beside_hostile_guests, hostile_load]
