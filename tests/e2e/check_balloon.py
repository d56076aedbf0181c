"""Memory that moves: between the guest and the balloon, and between the host and guest RAM."""

import os
import re
import shlex
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

import mdoc
from guest_stats import STATS_OF_6_1, STATS_SINCE_6_12, asked_stats, check_tags, statistics_move
from memory_moves import compare_measures, keeps_its_data, settled_rss, touch_most
from scenario import Scenario, check, kernel_log_is_clean, poweroff_ends_with_0, says_nothing_on_stderr
from vm import MIB
from waiting import wait_until


def inflate_and_measure(vm, taken, slack):
    """Nothing that is in the balloon is in the host's memory, but for `slack` bytes."""
    vm.set_balloon(0)
    touch_most(vm)
    vm.set_balloon(taken)
    settled_rss(vm, vm.ram_bytes - taken + slack)


class Runtime(Scenario):
    """A balloon that starts empty and moves at run time. Two vCPUs, transparent huge pages in the host."""

    cpus = 2

    @check
    def boots_to_a_shell(self):
        self.boot()

    @check
    def has_two_cpus(self):
        cpus = self.vm.sh("nproc").strip()
        assert cpus == "2", f"the guest has {cpus} CPUs"

    @check
    def memtotal_falls_by_the_target(self):
        vm = self.vm
        vm.set_balloon(0)
        full = vm.console.meminfo("MemTotal")
        for target in (128 * MIB, 150 * MIB + 4096, 4096, 0):
            vm.set_balloon(target)
            total = vm.console.meminfo("MemTotal")
            assert full - total == target, f"balloon {target}: MemTotal fell by {full - total}"

    @check
    def host_memory_falls(self):
        inflate_and_measure(self.vm, 320 * MIB, slack=48 * MIB)

    @check
    def both_measures_of_host_memory_agree(self):
        self.vm.set_balloon(320 * MIB)
        compare_measures(self.vm)

    @check
    def deflated_memory_is_usable(self):
        self.vm.set_balloon(320 * MIB)
        self.vm.set_balloon(0)
        touch_most(self.vm)

    @check
    def content_survives_20_rounds(self):
        """The guest hands out single pages first, so that the balloon has all between those in use."""
        vm = self.vm
        vm.set_balloon(0)
        vm.sh("dd if=/dev/urandom of=/tmp/noise bs=1M count=32 2>/dev/null")
        digest = vm.sh("sha256sum /tmp/noise")
        with keeps_its_data(vm, "mem comb 128"):
            for _ in range(20):
                vm.set_balloon(160 * MIB)
                vm.set_balloon(0)
            assert vm.sh("sha256sum /tmp/noise") == digest, "a file in the guest's memory changed while the balloon moved"
        vm.sh("rm /tmp/noise")

    @check
    def events_tell_of_changes(self):
        vm = self.vm
        vm.set_balloon(0)
        vm.ask_balloon(96 * MIB)
        wanted = vm.ram_bytes - 96 * MIB
        vm.qmp.wait_event("BALLOON_CHANGE", matches=lambda data: data["actual"] == wanted)

    @check
    def statistics_move_the_right_way(self):
        statistics_move(self.vm)

    @check
    def statistics_are_those_of_this_kernel(self):
        """Linux 6.1 has these ten, and tells nothing of the others."""
        check_tags(self.vm, {*STATS_OF_6_1})

    @check
    def stop_and_cont(self):
        """A stopped guest does nothing, and takes up a target that was set meanwhile when it goes on."""
        vm = self.vm
        vm.set_balloon(64 * MIB)
        vm.cmd("stop")
        assert vm.cmd("query-status")["running"] is False
        vm.ask_balloon(128 * MIB)
        begin = vm.balloon_bytes()
        vm.console.start("echo woke; true")
        assert begin == 64 * MIB and "woke\n" not in vm.console.text
        vm.cmd("cont")
        vm.console.wait_for("woke\n")
        vm.wait_balloon(128 * MIB)
        assert vm.cmd("query-status")["running"] is True

    kernel_log_is_clean = kernel_log_is_clean

    @check
    def reboot_keeps_process_and_target(self):
        self.reboot_by(lambda: self.vm.console.start("reboot -f"))

    @check
    def system_reset_keeps_process_and_target(self):
        self.reboot_by(lambda: self.vm.cmd("system_reset"))

    def reboot_by(self, action):
        vm = self.vm
        vm.set_balloon(160 * MIB)
        pid, boot_id = vm.pid, vm.boot_id
        action()
        vm.boot_id = vm.console.wait_boot()
        assert vm.boot_id != boot_id and vm.pid == pid and vm.alive()
        vm.qmp.wait_event("RESET")
        vm.wait_balloon(160 * MIB)
        total = vm.console.meminfo("MemTotal")
        assert 272 * MIB < total < 352 * MIB, f"MemTotal is {total / MIB:.1f} MiB of 512 with a balloon of 160"

    @check
    def memory_goes_back_on_reboot(self):
        """What the last boot touched is not kept for the next."""
        vm = self.vm
        vm.set_balloon(0)
        touch_most(vm)
        vm.console.start("reboot -f")
        vm.boot_id = vm.console.wait_boot()
        rss = vm.rss()
        assert rss < 256 * MIB, f"after a reboot the host has {rss / MIB:.0f} MiB of guest RAM"

    @check
    def system_powerdown_ends_with_0(self):
        self.vm.cmd("system_powerdown")
        status = self.vm.wait_exit()
        assert status == 0, f"ended with {status}"

    says_nothing_on_stderr = says_nothing_on_stderr


def manual_options(command):
    """What follows the command in the manual page's example."""
    texts = [text for display in mdoc.displays("vmm-balloon.1") for text, _ in mdoc.commands(display.lines)]
    (found,) = [text for text in texts if text.startswith(command)]
    return shlex.split(found[len(command) :].replace("\\\n", ""))


class DeflateOnOom(Scenario):
    """Three quarters of RAM in a balloon that the guest may take back when it needs it: examples/lend.yaml."""

    memory = "512M"
    lent = 384 * MIB
    expected_stderr = "the guest panicked"

    def kills(self):
        return int(re.search(r"^oom_kill (\d+)$", self.vm.sh("cat /proc/vmstat"), re.MULTILINE)[1])

    @check
    def boots_inflated(self):
        """With this feature the driver leaves MemTotal alone: the memory is only lent."""
        self.boot(example="lend.yaml")
        self.vm.wait_balloon(self.lent)
        total = self.vm.console.meminfo("MemTotal")
        assert total > 400 * MIB, f"MemTotal is {total / MIB:.1f} MiB"

    @check
    def sysrq_f_deflates(self):
        """The OOM killer asks the balloon first; called by this key it kills one process whatever the balloon gave."""
        vm = self.vm
        vm.set_balloon(self.lent)
        pid = vm.console.spawn("sh -c 'echo 1000 >/proc/self/oom_score_adj; exec mem hold 16'", "/tmp/victim")
        vm.console.wait_output("cat /tmp/victim", "pages")
        vm.sh("echo f >/proc/sysrq-trigger")
        wait_until(lambda: vm.balloon_bytes() < self.lent, "the balloon shrinks", 60)
        vm.sh(f"kill {pid}; true", check=False)

    @check
    def need_is_met_from_the_balloon(self):
        """A process that needs more than is free gets it, and nothing has to die."""
        vm = self.vm
        vm.set_balloon(self.lent)
        kills = self.kills()
        free = vm.console.meminfo("MemFree")
        vm.sh(f"mem touch {free // MIB + 64}", seconds=300)
        assert self.kills() == kills, "the guest killed a process that it need not"
        actual = vm.balloon_bytes()
        assert actual < self.lent - 16 * MIB, f"the guest took {free // MIB + 64} MiB with {free // MIB} free, and the balloon has {actual / MIB:.1f}"

    @check
    def deflations_are_counted(self):
        count = self.vm.state()["oom-deflations"]
        assert count > 0, "x-query-balloon counts no OOM deflation"

    @check
    def inflates_again_when_asked(self):
        self.vm.set_balloon(self.lent - MIB)
        self.vm.set_balloon(self.lent)

    @check
    def panic_ends_with_3(self):
        self.vm.console.start("echo c >/proc/sysrq-trigger")
        status = self.vm.wait_exit()
        assert status == 3, f"the guest panicked and the VMM ended with {status}"

    says_nothing_on_stderr = says_nothing_on_stderr


class Reporting(Scenario):
    """Free page reporting: the guest tells what it has freed, nobody asks for anything. The VM is examples/debian.yaml as vmm-balloon(1) runs it."""

    memory = "1G"
    expected_stderr = "another SIGTERM: the VM ends without the guest"

    @check
    def boots_to_a_shell(self):
        self.boot(example="debian.yaml", options=manual_options("vmm-balloon run examples/debian.yaml "))
        self.vm.wait_balloon(512 * MIB)
        assert {"deflate-on-oom", "free-page-reporting"} <= set(self.vm.state()["negotiated-features"])
        self.vm.set_balloon(0)

    @check
    def freed_memory_goes_back(self):
        vm = self.vm
        free = vm.console.meminfo("MemFree")
        vm.sh(f"mem hold {(free - 96 * MIB) // MIB} >/tmp/held & echo $! >/tmp/pid")
        vm.console.wait_output("cat /tmp/held", "pages", 240)
        high = vm.rss()
        assert high > 800 * MIB, f"the guest holds {(free - 96 * MIB) // MIB} MiB and the host has {high / MIB:.0f} MiB"
        vm.sh("kill $(cat /tmp/pid)")
        settled_rss(vm, 350 * MIB, 300)

    @check
    def used_memory_does_not(self):
        """What is in use keeps its content while all around it is reported."""
        with keeps_its_data(self.vm, "mem hold 128"):
            self.vm.sh("mem touch 512", seconds=240)
            settled_rss(self.vm, 500 * MIB, 300)

    @check
    def works_beside_the_balloon(self):
        vm = self.vm
        vm.set_balloon(512 * MIB)
        vm.sh("mem touch 256", seconds=240)
        settled_rss(vm, 350 * MIB, 300)
        vm.set_balloon(0)

    kernel_log_is_clean = kernel_log_is_clean

    @check
    def second_sigterm_forces(self):
        """A guest that does not listen to its power button."""
        vm = self.vm
        vm.sh("killall dd")
        vm.signal(15)
        vm.qmp.wait_event("POWERDOWN")
        assert vm.sh("echo alive").strip() == "alive"
        vm.signal(15)
        status = vm.wait_exit()
        assert status == 0, f"ended with {status}"

    says_nothing_on_stderr = says_nothing_on_stderr


class SharedMemory(Scenario):
    """Guest RAM in a memfd: whole ranges are punched out of it. The guest reports free pages one by one, too."""

    kernel = "6.12"  # 6.1 takes order 0 for none given
    memory = "512M"
    cmdline = "page_reporting.page_reporting_order=0"
    memory_options = {"shared": True}
    balloon = {"size": "0", "free_page_reporting": True}

    @check
    def boots_to_a_shell(self):
        self.boot()

    @check
    def host_memory_falls(self):
        vm = self.vm
        vm.sh("mem touch 300", seconds=240)
        vm.set_balloon(320 * MIB)
        settled_rss(vm, 192 * MIB + 16 * MIB)

    @check
    def both_measures_of_host_memory_agree(self):
        self.vm.set_balloon(320 * MIB)
        compare_measures(self.vm)

    @check
    def freed_memory_goes_back(self):
        vm = self.vm
        vm.set_balloon(0)
        vm.sh("mem touch 300", seconds=240)
        settled_rss(vm, 200 * MIB, 300)

    @check
    def single_pages_go_back(self):
        """Every other page of 192 MiB is free, each between two that are in use and keep their data."""
        vm = self.vm
        order = vm.sh("cat /sys/module/page_reporting/parameters/page_reporting_order").strip()
        assert order == "0", f"the guest reports pages from order {order}"
        vm.set_balloon(0)
        before = vm.state()["queues"]["report"]

        def reported():
            after = vm.state()["queues"]["report"]
            return [after[name] - before[name] for name in ("pages", "ranges")]

        with keeps_its_data(vm, "mem comb 192"):
            # The driver reports a part of each free list at a time.
            wait_until(
                lambda: reported()[0] > 16384 and reported()[1] > 8192,
                lambda: "{} pages were reported in {} ranges".format(*reported()),
                300,
            )
            settled_rss(vm, 224 * MIB, 120)
        after = vm.state()["queues"]["report"]
        assert after["failed-bytes"] == 0 and after["bad-pages"] == 0, after

    kernel_log_is_clean = kernel_log_is_clean
    poweroff_ends_with_0 = poweroff_ends_with_0
    says_nothing_on_stderr = says_nothing_on_stderr


class SmallPages(Scenario):
    """Without transparent huge pages every page counts: nothing of the balloon stays in the host."""

    memory = "512M"
    memory_options = {"thp": False}

    @check
    def boots_to_a_shell(self):
        self.boot()

    @check
    def host_memory_falls(self):
        inflate_and_measure(self.vm, 320 * MIB, slack=MIB)

    @check
    def both_measures_of_host_memory_agree(self):
        self.vm.set_balloon(320 * MIB)
        compare_measures(self.vm)

    @check
    def comes_back_from_500_small_steps(self):
        """Up and down by a few pages to a few MiB, as fast as the guest follows, between pages that are in use."""
        vm = self.vm
        base = 256 * MIB
        vm.set_balloon(base)
        with keeps_its_data(vm, "mem comb 64"):
            before = vm.rss()
            for i in range(500):
                vm.set_balloon(base + (4096 << i % 11), poll=0.01)
                vm.set_balloon(base, poll=0.01)
            settled_rss(vm, before + 2 * MIB)
        queues = vm.state()["queues"]
        assert queues["inflate"]["failed-bytes"] == 0, queues["inflate"]

    kernel_log_is_clean = kernel_log_is_clean
    poweroff_ends_with_0 = poweroff_ends_with_0
    says_nothing_on_stderr = says_nothing_on_stderr


class Newer(Scenario):
    """The core of it on Linux 6.12."""

    kernel = "6.12"
    cpus = 2
    balloon = {"size": "128M", "free_page_reporting": True, "free_page_hinting": True}

    @check
    def boots_to_a_shell(self):
        self.boot()

    @check
    def has_two_cpus(self):
        cpus = self.vm.sh("nproc").strip()
        assert cpus == "2", f"the guest has {cpus} CPUs"

    @check
    def balloon_of_the_spec_is_exact(self):
        vm = self.vm
        vm.wait_balloon(128 * MIB)
        inflated = vm.console.meminfo("MemTotal")
        vm.set_balloon(0)
        deflated = vm.console.meminfo("MemTotal")
        assert deflated - inflated == 128 * MIB, f"MemTotal {inflated} with, {deflated} without the balloon"

    @check
    def host_memory_falls(self):
        vm = self.vm
        vm.sh("mem touch 350", seconds=240)
        vm.set_balloon(320 * MIB)
        settled_rss(vm, 192 * MIB + 48 * MIB)
        compare_measures(vm)

    @check
    def freed_memory_goes_back(self):
        vm = self.vm
        vm.set_balloon(0)
        vm.sh("mem touch 300", seconds=240)
        settled_rss(vm, 200 * MIB, 300)

    @check
    def statistics_are_all_sixteen(self):
        check_tags(self.vm, {*STATS_OF_6_1, *STATS_SINCE_6_12})

    @check
    def statistics_of_distress_move(self):
        """The guest runs short of memory until its kernel kills the process that took it."""
        vm = self.vm
        vm.set_balloon(320 * MIB)
        before = asked_stats(vm)
        total = vm.console.meminfo("MemTotal")
        vm.sh(f"sh -c 'echo 1000 >/proc/self/oom_score_adj; exec mem touch {total // MIB}'", seconds=240, check=False)
        after = asked_stats(vm)
        still = [tag for tag in ("stat-oom-kills", "stat-alloc-stalls") if after[tag] <= before[tag]]
        assert not still, f"the guest ran out of memory, and these did not move: {still}"

    @check
    def reboot_keeps_process_and_target(self):
        vm = self.vm
        vm.set_balloon(160 * MIB)
        vm.console.start("reboot -f")
        boot_id = vm.console.wait_boot()
        assert boot_id != vm.boot_id
        vm.wait_balloon(160 * MIB)

    kernel_log_is_clean = kernel_log_is_clean
    poweroff_ends_with_0 = poweroff_ends_with_0
    says_nothing_on_stderr = says_nothing_on_stderr
