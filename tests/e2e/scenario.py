"""Scenarios: a VM, and the checks that are made on it in the order in which they are written. Each check is a test of
its own, with a name, a time limit and a line in the report."""

import inspect
import os
import re
import shutil
import sys
import threading
import time
import traceback

from vm import backend_of
from waiting import check_deadline

# What the VMM rightly remarks where the host has fewer processors than the guest, with the line that it is about.
SMALL_HOST = r"warning: \d+ vCPUs on a host with|^  "

CHECK_SECONDS = 400
TAIL_LINES = 20


def check(function=None, *, seconds=CHECK_SECONDS):
    """Marks a method as a check, which must be over within `seconds`."""
    if function is None:
        return lambda f: check(f, seconds=seconds)
    function.check_seconds = seconds
    return function


class Scenario:
    """A class below this one is a scenario; its checks are its methods marked with @check, its VM is what the class
    attributes say. Checks set what they need by themselves, as far as they can, so that one failure is one failure."""

    kernel = "6.1"
    cpus = 1
    memory = "512M"
    memory_options = {}
    balloon = {"size": "0"}
    cmdline = ""
    # What the host itself has to be booted with, on its kernel's command line.
    host_cmdline = ""
    # Lines on stderr that may be there besides information and a remark on a small host. Anything else that the VMM says
    # is an error.
    expected_stderr = r"(?!)"

    def __init__(self, setting, folder):
        self.setting = setting
        self.folder = folder
        self.vms = []
        self.vm = None

    @classmethod
    def checks(cls):
        return [name for name, item in vars(cls).items() if hasattr(item, "check_seconds")]

    def kernel_file(self):
        return self.setting.kernels[self.kernel]

    def spec(self, name=None):
        return {
            "name": name or f"e2e-{type(self).__name__}",
            "cpus": {"boot_vcpus": self.cpus},
            "memory": {"size": self.memory, **self.memory_options},
            "payload": {
                "kernel": self.kernel_file(),
                "initramfs": self.setting.initramfs[self.kernel],
                "cmdline": " ".join(["console=ttyS0 quiet lines=on", self.setting.cmdline, self.cmdline]),
            },
            "balloon": self.balloon,
        }

    def make_vm(self, spec=None, **options):
        """A VM that ends with the scenario at the latest."""
        folder = os.path.join(self.folder, f"vm{len(self.vms)}")
        backend = backend_of(self.setting.program)
        vm = backend(self.setting.program, folder, self.setting.runtime, spec or self.spec(), **options)
        self.vms.append(vm)
        return vm

    def boot(self, **options):
        self.vm = self.make_vm(**options)
        return self.vm.boot()

    def boot_another(self, **options):
        """As `boot`, when the VM before is of no more use."""
        self.finish()
        return self.boot(**options)

    def finish(self):
        for vm in self.vms:
            vm.destroy()


# Checks that many scenarios take into their own list.

# What a kernel says when firmware, tables or devices are wrong, or when it had to wait for them. Nothing is exempt.
# An extended regular expression for the guest's own grep: all of the log over the serial line takes too long.
BLAME = (
    "Firmware Bug|ACPI (BIOS )?(Error|Warning|Exception)|ACPI: .*[Ii]nvalid|MMCONFIG.*not |not using MMCONFIG|BUG:|WARNING:|Oops|"
    "nobody cared|irq [0-9]+: .*disabl|Out of puff|virtio.*([Ff]ail|[Ee]rror|invalid)|clocksource.*unstable|soft lockup|"
    "rcu.*stall|hung_task|blocked for more than|pci .*(can.t|failed|invalid)|8250.*(fail|error)"
)


def check_kernel_log(vm):
    lines = int(vm.sh("dmesg | wc -l"))
    assert lines > 50, f"dmesg has {lines} lines only"
    bad = vm.sh(f"dmesg | grep -E '{BLAME}' | head -n 20", check=False)
    assert not bad, f"the guest's kernel complains:\n{bad}"


@check
def kernel_log_is_clean(self):
    """The guest's kernel found nothing to blame on the machine."""
    check_kernel_log(self.vm)


@check
def poweroff_ends_with_0(self):
    self.vm.console.start("poweroff -f")
    status = self.vm.wait_exit()
    assert status == 0, f"the guest powered off and the VMM ended with {status}"


@check
def says_nothing_on_stderr(self):
    """Neither a warning nor an error, in the whole life of the VM."""
    lines = [line for vm in self.vms for line in vm.stderr_text().splitlines()]
    bad = [line for line in lines if not re.search(rf"^vmm-balloon: info: |{SMALL_HOST}|{self.expected_stderr}", line)]
    assert not bad, "on stderr:\n" + "\n".join(bad)


# Running them.


class Report:
    """One line a check as soon as it is over, from several threads."""

    def __init__(self, logs):
        self.logs = logs
        self.lock = threading.Lock()
        self.passed = 0
        self.failed = []

    def add(self, name, seconds, error=None):
        with self.lock:
            if error is None:
                self.passed += 1
                print(f"ok    {seconds:6.1f} s  {name}", flush=True)
            else:
                self.failed.append(name)
                print(f"FAIL  {seconds:6.1f} s  {name}: {error}", flush=True)

    def show_logs(self, folder):
        with self.lock:
            for parent, _, names in sorted(os.walk(folder)):
                for name in sorted(names):
                    if name.endswith(".log"):
                        show_tail(os.path.join(parent, name), self.logs)
            sys.stdout.flush()


def show_tail(path, logs):
    with open(path, errors="replace") as f:
        lines = f.read().replace("\r", "").splitlines()
    if lines:
        print(f"  ---- the end of {os.path.relpath(path, logs)}")
    for line in lines[-TAIL_LINES:]:
        print("  | " + line[:240])


def describe(error):
    """What went wrong, and where in a check; assertions speak for themselves."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if os.path.basename(frame.filename).startswith("check")]
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    kind = "" if isinstance(error, AssertionError) and str(error) else f"{type(error).__name__}: "
    return f"{kind}{error}{where}"


def run_check(scenario, name):
    """None, or what went wrong."""
    method = getattr(scenario, name)
    check_deadline.set(method.check_seconds)
    try:
        method()
    except Exception as e:  # whatever it is, the others go on
        vm = scenario.vm
        ended = f" [the VMM ended with {vm.process.returncode}]" if vm and vm.process and not vm.alive() else ""
        return describe(e) + ended
    return None


def run_scenario(cls, wanted, setting, report, keep):
    """Runs the wanted checks of a scenario, in order, and keeps its logs when one failed."""
    title = cls.__name__
    folder = os.path.join(setting.logs, title)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    scenario = cls(setting, folder)
    failures = 0
    try:
        for name in wanted:
            begin = time.monotonic()
            error = run_check(scenario, name)
            failures += error is not None
            report.add(f"{title}.{name}", time.monotonic() - begin, error)
    finally:
        scenario.finish()
    if failures:
        report.show_logs(folder)
    elif not keep:
        shutil.rmtree(folder, ignore_errors=True)


def scenarios_of(modules):
    found = []
    for module in modules:
        classes = [item for item in vars(module).values() if inspect.isclass(item) and item.__module__ == module.__name__]
        found += [cls for cls in classes if issubclass(cls, Scenario) and cls.checks()]
    return found
