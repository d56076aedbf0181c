"""Cases that boot the built-in guest on real KVM: running them, and the VM that a case gets.

A case is a function that takes a Context; it fails by raising Wrong, and is skipped by raising Skip. What it returns, if
anything, is printed beside its result. A program with such cases calls main()."""

import argparse
import concurrent.futures
import ctypes
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

KVMHOST_RUN = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "kvmhost", "run")
MIB = 1 << 20
PREFIX = "vmm-balloon guest: "
SECONDS = 240  # for one VM; an emulated host is slow
CASE_SECONDS = 900  # for one case, unless it has an attribute `seconds`
HOST_SECONDS = 3000
KVM_GET_API_VERSION, KVM_CREATE_VM = 0xAE00, 0xAE01
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Wrong(Exception):
    """The case fails; the text says why."""


class Skip(Exception):
    """The case cannot run here; the text says why."""


def expect(condition, text):
    if not condition:
        raise Wrong(text)


def wait_until(condition, what, seconds=60):
    """Polls until condition() is true and returns what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        expect(time.monotonic() < deadline, f"waited in vain: {what() if callable(what) else what}")
        time.sleep(0.05)


class Program:
    """A process that is read for as long as it lives, so that it never has to wait for the case, nor the case for it."""

    def __init__(self, command, env=None):
        self.command = command
        self.lines = []  # those that can be waited for
        self.log = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, preexec_fn=self.die_with_us
        )
        self.open_streams = 2
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=self.read, args=[stream], daemon=True).start()

    @staticmethod
    def die_with_us():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def read(self, stream):
        for raw in stream:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            with self.changed:
                self.log.append(line)
                self.take(line)
                self.changed.notify_all()
        with self.changed:
            self.open_streams -= 1
            self.changed.notify_all()

    def take(self, line):
        self.lines.append(line)

    def find(self, pattern, nth=1):
        found = [match for match in (re.search(pattern, line) for line in self.lines) if match]
        return found[nth - 1] if len(found) >= nth else None

    def wait(self, pattern, nth=1):
        """The nth line that matches, as soon as it is there."""
        with self.changed:
            self.changed.wait_for(lambda: not self.open_streams or self.find(pattern, nth), SECONDS)
            expect(self.find(pattern, nth), f"nobody said /{pattern}/")
            return self.find(pattern, nth)

    def end(self):
        """The exit status once it has ended and all is read."""
        try:
            status = self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            raise Wrong(f"{' '.join(self.command[:2])} did not end within {SECONDS} s") from None
        with self.changed:
            self.changed.wait_for(lambda: not self.open_streams, 10)
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Vm(Program):
    """One run of the built-in guest, whose own lines are those that can be waited for. `arguments` are those of `vmm-balloon run`."""

    def __init__(self, binary, folder, arguments, name=None):
        self.name = name or f"guest-{os.getpid()}-{threading.get_ident()}"
        self.qmp_path = os.path.join(folder, f"{name or 'vm'}.qmp")
        super().__init__(self.command_line(binary, arguments), {**os.environ, "XDG_RUNTIME_DIR": folder})

    def command_line(self, binary, arguments):
        return [binary, "run", "--name", self.name, "--qmp", self.qmp_path, *arguments]

    def take(self, line):
        if line.startswith(PREFIX):
            self.lines.append(line[len(PREFIX) :])

    def check_pass(self):
        status = self.end()
        expect(self.lines and self.lines[-1] == "PASS", f"verdict: {self.lines[-1] if self.lines else 'none'}")
        expect(status == 0, f"exit status {status}")

    def check_fail(self, pattern):
        status = self.end()
        expect(self.lines and re.search("^FAIL: " + pattern, self.lines[-1]), f"verdict: {self.lines[-1] if self.lines else 'none'}")
        expect(status == 3, f"exit status {status}")


class Context:
    """What a case gets: boots VMs, all of which are gone when it is over."""

    def __init__(self, binary, folder):
        self.binary = binary
        self.folder = folder
        self.vms = []

    def boot(self, memory, balloon=None, cmdline=None, cpus=1):
        arguments = ["--memory", memory, "--cpus", str(cpus)]
        arguments += ["--balloon", balloon] if balloon else []
        arguments += ["--cmdline", cmdline] if cmdline else []
        return self.boot_with(arguments)

    def boot_with(self, arguments, name=None):
        return self.add(Vm(self.binary, self.folder, arguments, name))

    def add(self, vm):
        self.vms.append(vm)
        return vm


def check_events(stream):
    """All that `vmm-balloon events` said is events, one on a line."""
    for line in stream.log:
        try:
            expect("event" in json.loads(line), f"no event: {line}")
        except ValueError:
            raise Wrong(f"no JSON: {line}") from None


# ---- Running them --------------------------------------------------------


def run_case(case, options):
    """passed, failed or skipped, and what to print about it."""
    name = case.__name__.replace("_", "-")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="guest-") as folder:
        context = Context(options.binary, folder)
        result, note = "passed", ""
        try:
            note = case(context) or ""
        except Wrong as e:
            result, note = "failed", str(e)
        except Skip as e:
            result, note = "skipped", str(e)
        except OSError as e:
            result, note = "failed", f"{type(e).__name__}: {e}"
        finally:
            for vm in context.vms:
                vm.kill()
    text = f"{result:8} {name} ({time.monotonic() - begin:.1f} s)" + (f": {note}" if note else "")
    if result == "failed" or options.verbose:
        text += "".join(f"\n    {line}" for vm in context.vms for line in [" ".join(vm.command), *vm.log])
    return result, text


class Watchdog:
    """Ends the program, and with it all that the cases have started, when a case takes longer than any may: it waits for
    what will not come. Says for what."""

    def __init__(self, cases, counts):
        self.left = len(cases)
        self.counts = counts
        self.running = {}  # thread: case and when it has to be over
        threading.Thread(target=self.watch, daemon=True).start()

    def run(self, case, options):
        thread = threading.get_ident()
        self.running[thread] = case, time.monotonic() + getattr(case, "seconds", CASE_SECONDS)
        try:
            return run_case(case, options)
        finally:
            del self.running[thread]

    def watch(self):
        while True:
            time.sleep(1)
            for thread, (case, until) in list(self.running.items()):
                if time.monotonic() > until:
                    self.end(thread, case.__name__.replace("_", "-"))

    def end(self, thread, name):
        print(f"failed   {name}: it does not end, and is here:", flush=True)
        print("".join(traceback.format_stack(sys._current_frames()[thread])))
        self.counts["failed"] += self.left - sum(self.counts.values())
        print(sums(self.counts), flush=True)
        os._exit(1)


def sums(counts):
    return f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"


def run_here(cases, options):
    # The kernel ends the VMs together with this process.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: os._exit(128 + number))
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    watchdog = Watchdog(cases, counts)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for job in concurrent.futures.as_completed([pool.submit(watchdog.run, case, options) for case in cases]):
            result, text = job.result()
            counts[result] += 1
            print(text, flush=True)
    print(sums(counts), flush=True)
    return 1 if counts["failed"] else 0


def kvm_problem():
    """None if this machine's /dev/kvm can make a VM, else what is wrong."""
    try:
        with open("/dev/kvm", "r+b", buffering=0) as kvm:
            version = fcntl.ioctl(kvm, KVM_GET_API_VERSION, 0)
            if version != 12:
                return f"KVM's API version is {version}, not 12"
            os.close(fcntl.ioctl(kvm, KVM_CREATE_VM, 0))
    except OSError as e:
        return f"/dev/kvm: {e.strerror}"
    return None


def where():
    """direct or emulated, and why."""
    chosen = os.environ.get("VMM_TEST_HOST", "")
    if chosen not in ("", "direct", "emulated"):
        print(f"run: VMM_TEST_HOST is neither direct nor emulated: {chosen}", file=sys.stderr)
        sys.exit(2)
    if chosen:
        return chosen, "VMM_TEST_HOST says so"
    problem = kvm_problem()
    return ("emulated", problem) if problem else ("direct", "/dev/kvm can make a VM")


def parse_arguments(doc):
    parser = argparse.ArgumentParser(prog="run", usage=doc, add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-l", "--list", action="store_true")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("binary", nargs="?")
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    if options.help:
        print(doc)
        sys.exit(0)
    if options.list:
        return options
    if not options.binary:
        parser.error("no BINARY")
    options.binary = os.path.abspath(options.binary)
    if not os.access(options.binary, os.X_OK):
        parser.error(f"{options.binary} is no program")
    return options


def chosen_cases(cases, names):
    known = {case.__name__.replace("_", "-"): case for case in cases}
    for name in names:
        if name not in known:
            print(f"run: no such case: {name}; there are: {' '.join(known)}", file=sys.stderr)
            sys.exit(2)
    return [case for name, case in known.items() if not names or name in names]


def main(doc, script, cases):
    """The program of `script`, whose usage is `doc`. Returns its exit status."""
    options = parse_arguments(doc)
    if options.list:
        for case in cases:
            print(case.__name__.replace("_", "-"))
        return 0
    cases = chosen_cases(cases, options.cases)
    place, why = where()
    print(f"built-in guest: {place}: {why}", flush=True)
    if place == "direct":
        return run_here(cases, options)
    again = [os.path.realpath(script), "--jobs", str(options.jobs), *(["--verbose"] if options.verbose else [])]
    os.execv(KVMHOST_RUN, [KVMHOST_RUN, "--timeout", str(HOST_SECONDS), "-e", "VMM_TEST_HOST=direct", *again, options.binary, *options.cases])

