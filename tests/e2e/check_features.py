"""Each set of features that a spec can offer, with a driver that leaves and returns."""

from guest_stats import asked_stats, guest_stats
from memory_moves import hint_run
from qmp import QmpError
from scenario import Scenario, check, check_kernel_log, says_nothing_on_stderr
from vm import MIB
from waiting import wait_until

# VIRTIO 1.4, section 5.5.3; the names are those of a spec.
BITS = {"deflate_on_oom": 2, "free_page_hinting": 3, "free_page_reporting": 5}
STATS_VQ, PAGE_POISON, VERSION_1 = 1, 4, 32
BALLOON_OWN = 0b111110  # MUST_TELL_HOST is left out: it changes nothing
DRIVER = "/sys/bus/virtio/drivers/virtio_balloon"
SIZE = 64 * MIB


def guest_features(vm):
    """The bits that the driver accepted, as the guest's kernel shows them: a digit for each, bit 0 first."""
    digits = vm.sh("cat /sys/bus/virtio/devices/*/features").strip()
    return sum(1 << bit for bit, digit in enumerate(digits) if digit == "1")


class Features(Scenario):
    """A VM for each set of options. Each is checked with the driver's second probe, since the first is everywhere."""

    memory = "256M"

    def try_options(self, options, statistics=0, kernel="6.1", cmdline=""):
        self.kernel, self.cmdline = kernel, cmdline
        self.balloon = {"size": f"{SIZE // MIB}M", "statistics": statistics, **{name: name in options for name in BITS}}
        self.boot_another()
        self.vm.wait_balloon(SIZE)
        self.check_features(options)
        self.rebind()
        self.check_features(options)
        self.check_statistics(statistics)
        self.vm.set_balloon(SIZE + 32 * MIB)
        self.check_oom("deflate_on_oom" in options)
        self.vm.set_balloon(0)
        self.check_reporting("free_page_reporting" in options)
        self.check_hinting("free_page_hinting" in options)
        check_kernel_log(self.vm)
        self.vm.console.start("poweroff -f")
        status = self.vm.wait_exit()
        assert status == 0, f"the guest powered off and the VMM ended with {status}"

    def check_features(self, options):
        wanted = sum(1 << BITS[name] for name in options) | 1 << STATS_VQ
        if "init_on_free" in self.cmdline:
            wanted |= 1 << PAGE_POISON  # else Linux has no use for it
        there = guest_features(self.vm)
        assert there & BALLOON_OWN == wanted, f"the driver negotiated {there:#x} and not {wanted:#x} of the balloon's own features"
        assert there >> VERSION_1 & 1
        ours = self.vm.state()["negotiated-feature-bits"]
        assert ours == there, f"features: {there:#x} in the guest, {ours:#x} in x-query-balloon"

    def rebind(self):
        """Unbound, the driver gives all back; bound again, it inflates to the target that still stands."""
        vm = self.vm
        inflated = vm.console.meminfo("MemTotal")
        device = vm.sh(f"basename {DRIVER}/virtio*").strip()
        vm.sh(f"echo {device} >{DRIVER}/unbind")
        vm.wait_balloon(0)
        came_back = vm.console.meminfo("MemTotal") - inflated
        # With deflate_on_oom the memory is only lent, and MemTotal stays.
        assert came_back == (0 if self.balloon["deflate_on_oom"] else SIZE), f"unbinding brought {came_back} bytes back"
        state = vm.state()
        assert not state["driver-ok"] and state["balloon-target"] == SIZE, state
        for command in ("x-balloon-request-stats", "x-balloon-hint"):
            self.is_refused(command)
        vm.sh(f"echo {device} >{DRIVER}/bind")
        vm.wait_balloon(SIZE)
        assert vm.console.meminfo("MemTotal") == inflated

    def is_refused(self, command):
        try:
            self.vm.cmd(command)
        except QmpError as e:
            assert e.desc, f"{command}: an error without a text"
        else:
            raise AssertionError(f"{command} was accepted")

    def check_statistics(self, interval):
        if interval:
            last = guest_stats(self.vm)["last-update"]
            wait_until(lambda: guest_stats(self.vm)["last-update"] > last + interval, "statistics arrive by themselves")
        assert asked_stats(self.vm)["stat-free-memory"] > 0

    def check_oom(self, offered):
        vm = self.vm
        if not offered:
            return
        before = vm.balloon_bytes()
        free = vm.console.meminfo("MemFree")
        vm.sh(f"mem touch {free // MIB + 32}", seconds=240)
        assert vm.balloon_bytes() < before, f"the guest took {free // MIB + 32} MiB with {free // MIB} free, and the balloon did not shrink"

    def check_reporting(self, offered):
        vm = self.vm
        before = self.reported()
        vm.sh("mem touch 96")
        if offered:
            wait_until(lambda: self.reported() - before >= 48 * MIB, lambda: f"{self.reported() - before} bytes were reported and went back", 240)
        else:
            assert vm.state()["queues"]["report"]["buffers"] == 0

    def reported(self):
        return self.vm.state()["queues"]["report"]["discarded-bytes"]

    def check_hinting(self, offered):
        vm = self.vm
        if not offered:
            self.is_refused("x-balloon-hint")
            assert vm.state()["queues"]["hint"]["buffers"] == 0
            return
        vm.sh("mem touch 96")
        run = hint_run(vm)
        assert run["phase"] == "done" and run["discarded"] > 48 * MIB and run["failed"] == 0, run

    @check
    def none(self):
        self.try_options([])

    @check
    def oom(self):
        self.try_options(["deflate_on_oom"], statistics=1)

    @check
    def reporting(self):
        self.try_options(["free_page_reporting"], statistics=1)

    @check
    def hinting(self):
        self.try_options(["free_page_hinting"], statistics=1, kernel="6.12")

    @check
    def oom_reporting(self):
        self.try_options(["deflate_on_oom", "free_page_reporting"], kernel="6.12")

    @check
    def oom_hinting(self):
        self.try_options(["deflate_on_oom", "free_page_hinting"])

    @check
    def hinting_reporting(self):
        self.try_options(["free_page_hinting", "free_page_reporting"])

    @check
    def all_of_them_and_poison(self):
        """A kernel that zeroes what it frees tells what free pages have in them."""
        self.try_options(list(BITS), statistics=1, kernel="6.12", cmdline="init_on_free=1")

    says_nothing_on_stderr = says_nothing_on_stderr
