"""What checks do to a guest's memory, and how they look at the host's memory for it."""

import contextlib

from vm import MIB
from waiting import wait_until


def touch_most(vm, spare=64 * MIB):
    """The guest writes to almost all memory that it has to give, and frees it. Returns the host's memory for it then."""
    vm.sh("echo 1 >/proc/sys/vm/drop_caches")
    free = vm.console.meminfo("MemFree")
    vm.sh(f"mem touch {(free - spare) // MIB}", seconds=240)
    rss = vm.rss()
    assert rss > vm.ram_bytes * 80 // 100, f"the guest touched {(free - spare) // MIB} MiB and the host has {rss // MIB} MiB"
    return rss


def settled_rss(vm, limit, seconds=120):
    """Host memory once it is at most `limit`; the guest's own life and huge pages of the host make it move."""
    wait_until(lambda: vm.rss() <= limit, lambda: f"host RSS of guest RAM is {vm.rss() / MIB:.1f} MiB, wanted {limit / MIB:.1f}", seconds)
    return vm.rss()


def compare_measures(vm):
    """What the VMM says of host memory is what the kernel says of the VMM. The guest runs, so both move a little."""

    def agree():
        kernel = vm.rss()
        own = vm.state()["ram-rss"]
        return abs(kernel - own) <= 4 * MIB

    wait_until(agree, lambda: f"smaps: {vm.rss()}, x-query-balloon: {vm.state()['ram-rss']}", 60)


def hint_run(vm, start=True, seconds=120):
    """A free page hinting run from its start to its end, and what came of it."""
    if start:
        vm.cmd("x-balloon-hint")
    wait_until(lambda: vm.state()["hint"]["phase"] != "running", lambda: f"the hinting run ends: {vm.state()['hint']}", seconds)
    return vm.state()["hint"]


@contextlib.contextmanager
def keeps_its_data(vm, command):
    """Runs the guest's program with memory of its own in use ("mem hold 64") while something else goes on; in the end it
    compares every byte."""
    pid = vm.console.spawn(command, "/tmp/kept")
    vm.console.wait_output("cat /tmp/kept", "pages,", 240)
    try:
        yield
        vm.sh(f"kill -USR1 {pid}")
        kept = vm.console.wait_output("cat /tmp/kept", "intact|damaged")[0]
        assert kept == "intact", "memory that was in use in the guest changed"
    finally:
        vm.sh(f"kill {pid}", check=False)
