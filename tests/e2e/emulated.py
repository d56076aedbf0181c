"""Scenarios in emulated hosts, where this machine's KVM can run no stock kernel."""

import collections
import json
import os
import re
import subprocess
import threading
import time

from scenario import CHECK_SECONDS
from vm import die_with_parent

HERE = os.path.dirname(os.path.realpath(__file__))
KVMHOST = os.path.join(os.path.dirname(HERE), "kvmhost")

# QEMU's emulated SVM does not tell KVM when a nested guest sets XCR0, so that CPUID's leaf 0xD does not follow, and Linux
# warns of an "XSAVE consistency problem", under any VMM. With several vCPUs on one processor Linux waits for spin locks by
# HLT with interrupts off until it is kicked (KVM_HC_KICK_CPU), and now and then a vCPU sleeps on there until the watchdogs
# send it an NMI; nopvspin lets it spin. The rest spares an emulated processor work; above all the zeroing of each page that
# goes into the balloon, for which the host first has to find memory.
GUEST_CMDLINE = "noxsave nopvspin mitigations=off cryptomgr.notests init_on_alloc=0"

# What the inner program says between two scenarios, and every few seconds by its own clock, which may be slow.
OVER = "over: "
ALIVE = "alive"
PULSE_SECONDS = 180


class EmulatedHost:
    """One emulated host, with the program `run` once more in there, which is given one scenario after the other.

    The host has one processor: QEMU's emulation of SVM on several of them at once loses its way now and then, under any
    VMM: an interrupt is taken where none can be, and the nested guest or the host itself triple-faults. With one, on a
    very busy machine, it happens that all of a host stands still for minutes, and a guest in it does not get over that.
    """

    LIFE_SECONDS = 24 * 3600  # more than a watchdog of ours lets it have

    def __init__(self, cmdline, options, setting_file):
        self.cmdline = cmdline
        host = [os.path.join(KVMHOST, "run"), "-i", "--cpus", "1", "--out", options.logs, "--append", cmdline]
        host += ["--timeout", str(self.LIFE_SECONDS)]
        inner = [os.path.join(HERE, "run"), "--setting", setting_file, "--logs", options.logs]
        inner += ["--keep"] if options.keep else []
        self.process = subprocess.Popen(
            [*host, *inner, options.binary],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=die_with_parent,
        )

    def lines_of(self, title, names, seconds):
        """What the scenario's run prints. A host that is silent for longer than any check may take is ended."""
        try:
            self.process.stdin.write(" ".join(f"{title}.{name}" for name in names) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it says why
        stands_still = threading.Event()
        deadline = time.monotonic() + seconds
        while True:
            pulse = threading.Timer(PULSE_SECONDS, self.give_up, [stands_still])
            pulse.start()
            line = self.process.stdout.readline()
            pulse.cancel()
            if stands_still.is_set():
                yield f"run: the host has stood still for {PULSE_SECONDS} s"
            if not line or line == f"{OVER}{title}\n":
                return
            if line == f"{ALIVE}\n":
                if time.monotonic() > deadline:
                    self.process.terminate()
            elif line != "\n":
                deadline = time.monotonic() + seconds
                yield line.rstrip("\n")

    def give_up(self, stands_still):
        stands_still.set()
        self.process.terminate()

    def end(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


class EmulatedScenario:
    """One scenario and what came of it. Should the emulation lose its way, it is tried once more in a fresh host, and the
    report says so. Whatever else fails, fails."""

    LOST_ITS_WAY = re.compile(r"^run: the host|the guest triple-faulted")

    def __init__(self, cls, names):
        self.title = cls.__name__
        self.host_cmdline = cls.host_cmdline
        self.names = names
        self.silence = max(getattr(cls, name).check_seconds for name in names) + CHECK_SECONDS
        self.results = {}  # check: whether it passed

    def run_once(self, host, say):
        """Verdicts are told as they come, what belongs to them in one piece. Returns whether the host was to blame."""
        self.results = {}
        rest = []
        for line in host.lines_of(self.title, self.names, self.silence):
            verdict = re.match(r"(ok|FAIL) +[0-9.]+ s +(\w+)\.(\w+)", line)
            if verdict and verdict[2] == self.title:
                self.results[verdict[3]] = verdict[1] == "ok"
                say(line)
            else:
                rest.append(line)
        if rest:
            say("\n".join([f"  ---- of {self.title}", *rest]))
        passed = len(self.results) == len(self.names) and all(self.results.values())
        return not passed and any(self.LOST_ITS_WAY.search(line) for line in rest)


class Lane:
    """Takes the next scenario as soon as it is done with one, and keeps its host as long as that is good for the next."""

    def __init__(self, scenarios, say, make_host):
        self.scenarios = scenarios
        self.say = say
        self.make_host = make_host
        self.host = None

    def host_for(self, scenario, fresh=False):
        if self.host and (fresh or self.host.cmdline != scenario.host_cmdline or self.host.process.poll() is not None):
            self.end_host()
        if not self.host:
            self.host = self.make_host(scenario.host_cmdline)
        return self.host

    def end_host(self):
        if self.host:
            self.host.end()
        self.host = None

    def run(self):
        try:
            while True:
                try:
                    scenario = self.scenarios.popleft()
                except IndexError:
                    return
                self.run_scenario(scenario)
        finally:
            self.end_host()

    def run_scenario(self, scenario):
        if scenario.run_once(self.host_for(scenario), self.say):
            self.say(f"again           {scenario.title}: the emulated processor lost its way, once more in a fresh host")
            scenario.run_once(self.host_for(scenario, fresh=True), self.say)
        for name in scenario.names:
            if name not in scenario.results:
                self.say(f"FAIL            {scenario.title}.{name}: not reached")


def run_in_emulated_hosts(setting, plan, options):
    """The numbers of checks that passed and that failed."""
    setting.cmdline = GUEST_CMDLINE
    path = os.path.join(options.logs, "guest", "setting.json")
    with open(path, "w") as f:
        json.dump(vars(setting), f)
    lock = threading.Lock()

    def say(line):
        with lock:
            print(line, flush=True)

    scenarios = [EmulatedScenario(cls, names) for cls, names in plan]
    queue = collections.deque(scenarios)
    lanes = [Lane(queue, say, lambda cmdline: EmulatedHost(cmdline, options, path)) for _ in range(options.jobs)]
    threads = [threading.Thread(target=lane.run) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = sum(sum(scenario.results.values()) for scenario in scenarios)
    return passed, sum(len(names) for _, names in plan) - passed
