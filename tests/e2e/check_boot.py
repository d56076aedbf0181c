"""Booting, and what the guest finds: processors, memory, serial line."""

import hashlib
import os
import re

from guest_stats import asked_stats
from memory_moves import hint_run, settled_rss
from process_memory import ram_mappings
from scenario import Scenario, check, kernel_log_is_clean, poweroff_ends_with_0, says_nothing_on_stderr
from vm import MIB
from waiting import wait_until


class OneCpu(Scenario):
    """The smallest VM that a stock kernel is happy with, and the one that shows all of its boot on the serial line."""

    memory = "256M"
    balloon = {"size": "64M"}
    cmdline = "loglevel=7"

    @check
    def boots_to_a_shell(self):
        self.boot()
        assert "Linux version 6.1" in self.vm.console.text, "the kernel's messages are not on the serial line"

    @check
    def has_one_cpu(self):
        cpus = self.vm.sh("nproc").strip()
        assert cpus == "1", f"the guest has {cpus} CPUs"

    @check
    def has_its_memory(self):
        """All of RAM but what the kernel takes for itself, and the balloon."""
        self.vm.wait_balloon(64 * MIB)
        total = self.vm.console.meminfo("MemTotal")
        assert 150 * MIB < total < 192 * MIB, f"MemTotal is {total / MIB:.1f} MiB of 256 MiB with a balloon of 64 MiB"

    @check
    def balloon_of_the_spec_is_exact(self):
        """MemTotal grows by just the balloon's size when it is deflated."""
        self.vm.wait_balloon(64 * MIB)
        inflated = self.vm.console.meminfo("MemTotal")
        self.vm.set_balloon(0)
        deflated = self.vm.console.meminfo("MemTotal")
        assert deflated - inflated == 64 * MIB, f"MemTotal {inflated} with, {deflated} without the balloon"

    @check
    def serial_out_is_intact(self):
        output = self.vm.sh("dd if=/dev/urandom bs=4k count=1 2>/dev/null | base64 >/tmp/noise; cat /tmp/noise; md5sum </tmp/noise")
        noise, _, digest = output.rstrip("\n").rpartition("\n")
        ours = hashlib.md5(noise.encode() + b"\n").hexdigest()
        assert digest.split()[0] == ours, f"{len(noise)} bytes arrived, and not as they were sent"

    @check
    def serial_in_is_intact(self):
        line = "".join(chr(ord("a") + i % 26) for i in range(3000))
        output = self.vm.sh(f"echo {line} | md5sum").split()[0]
        ours = hashlib.md5(line.encode() + b"\n").hexdigest()
        assert output == ours, "a line of 3000 bytes arrived changed in the guest"

    kernel_log_is_clean = kernel_log_is_clean
    poweroff_ends_with_0 = poweroff_ends_with_0
    says_nothing_on_stderr = says_nothing_on_stderr


class BothSidesOfTheHole(Scenario):
    """3 GiB of RAM below the hole for devices, the rest of it above 4 GiB."""

    memory = "3584M"

    @check
    def boots_to_a_shell(self):
        self.boot()

    @check
    def has_its_memory(self):
        total = self.vm.console.meminfo("MemTotal")
        assert 3360 * MIB < total < 3584 * MIB, f"MemTotal is {total / MIB:.1f} MiB of 3584 MiB"

    @check
    def uses_ram_above_4_gib(self):
        """Reads back what it wrote, and the pages are really up there. The host has them then, too."""
        output = self.vm.sh("mem touch 1024")
        pages, high = (int(number) for number in re.match(r"(\d+) pages, (\d+) above 4 GiB", output).groups())
        assert pages == 1024 * 256 and high >= 320 * 256, output
        rss = self.vm.rss()
        assert rss > 1024 * MIB, f"the host has {rss / MIB:.0f} MiB of guest RAM"

    @check
    def inflates_on_both_sides_of_the_hole(self):
        """The guest hands out high memory first, so more than the 512 MiB up there need both parts."""
        vm = self.vm
        before = self.rss_of_parts()
        vm.set_balloon(1024 * MIB)

        def fell():
            return [(old - new) // MIB for old, new in zip(before, self.rss_of_parts())]

        wait_until(lambda: min(fell()) > 64 and sum(fell()) > 512, lambda: f"host memory fell by {fell()} MiB below and above the hole", 60)

    def rss_of_parts(self):
        return [mapping["Rss"] for mapping in sorted(ram_mappings(self.vm.pid, self.vm.ram_bytes), key=lambda mapping: -mapping.size)]

    kernel_log_is_clean = kernel_log_is_clean

    @check
    def sigterm_powers_off(self):
        self.vm.signal(15)
        status = self.vm.wait_exit()
        assert status == 0, f"ended with {status}"

    says_nothing_on_stderr = says_nothing_on_stderr


class Pvh(Scenario):
    """The ELF image by its PVH entry."""

    kernel = "pvh"
    memory = "256M"
    balloon = {"size": "32M"}

    @check
    def boots_to_a_shell(self):
        self.boot()

    @check
    def balloon_works(self):
        self.vm.wait_balloon(32 * MIB)
        self.vm.set_balloon(64 * MIB)

    kernel_log_is_clean = kernel_log_is_clean
    poweroff_ends_with_0 = poweroff_ends_with_0
    says_nothing_on_stderr = says_nothing_on_stderr


class IntxOnly(Scenario):
    """A guest that does not use MSI. All five queues share one interrupt."""

    cpus = 2
    balloon = {"size": "64M", "deflate_on_oom": True, "free_page_reporting": True, "free_page_hinting": True}
    cmdline = "pci=nomsi"

    def interrupts(self):
        """{name of the handler: (kind, number so far)} of the virtio devices."""
        found = {}
        for line in self.vm.sh("cat /proc/interrupts").splitlines():
            fields = line.split()
            if "virtio" in fields[-1]:
                found[fields[-1]] = (fields[1 + self.cpus], sum(int(n) for n in fields[1 : 1 + self.cpus]))
        return found

    @check
    def boots_to_a_shell(self):
        self.boot()

    @check
    def has_no_msi(self):
        kinds = {kind for kind, _ in self.interrupts().values()}
        assert kinds == {"IO-APIC"}, f"the balloon interrupts by {kinds}"

    @check
    def balloon_works(self):
        self.vm.wait_balloon(64 * MIB)
        before = sum(number for _, number in self.interrupts().values())
        for _ in range(5):
            self.vm.set_balloon(128 * MIB)
            self.vm.set_balloon(0)
        after = sum(number for _, number in self.interrupts().values())
        assert after > before, f"{before} interrupts before, {after} after"

    @check
    def all_queues_work(self):
        vm = self.vm
        assert asked_stats(vm)["stat-free-memory"] > 0
        vm.sh("mem touch 128")
        run = hint_run(vm)
        assert run["phase"] == "done" and run["discarded"] > 64 * MIB, run
        vm.sh("mem touch 128")
        settled_rss(vm, 192 * MIB, 240)

    kernel_log_is_clean = kernel_log_is_clean
    poweroff_ends_with_0 = poweroff_ends_with_0
    says_nothing_on_stderr = says_nothing_on_stderr


class FourCpus(Scenario):
    """Four vCPUs that are busy while memory moves."""

    cpus = 4
    memory = "512M"

    @check
    def boots_to_a_shell(self):
        self.boot()

    @check
    def has_four_cpus(self):
        cpus = self.vm.sh("nproc").strip()
        assert cpus == "4", f"the guest has {cpus} CPUs"

    @check
    def balloon_works_under_load(self):
        vm = self.vm
        loads = ["while :; do :; done"] * 2 + ["while :; do mem touch 16 >/dev/null; done"]
        # Nice to the shell, which has to get a word in.
        pids = [str(vm.console.spawn(f"sh -c '{load}'")) for load in loads]
        vm.sh("renice -n 10 -p " + " ".join(pids))
        try:
            for _ in range(2):
                vm.set_balloon(160 * MIB)
                vm.set_balloon(32 * MIB)
        finally:
            vm.sh("kill " + " ".join(pids))

    @check
    def all_cpus_took_interrupts(self):
        line = re.search(r"LOC:((?: +\d+)+)", self.vm.sh("cat /proc/interrupts"))[1].split()
        assert len(line) == 4 and all(int(number) > 0 for number in line), f"local timer interrupts: {line}"

    kernel_log_is_clean = kernel_log_is_clean
    poweroff_ends_with_0 = poweroff_ends_with_0
    says_nothing_on_stderr = says_nothing_on_stderr


class Terminal(Scenario):
    """The serial console on a terminal: raw while the VM runs, as it was when it is over."""

    memory = "256M"

    @check
    def boots_to_a_shell(self):
        self.boot(on_pty=True)

    @check
    def is_raw_while_it_runs(self):
        now = self.vm.terminal_modes()
        assert now != self.vm.modes_before, "the terminal's modes are unchanged while the VM runs"

    @check
    def keys_go_to_the_guest(self):
        """Ctrl-C too, which ends a command of the guest and not the VM; Ctrl-A Ctrl-A is one Ctrl-A."""
        vm = self.vm
        assert vm.sh("echo hello").strip() == "hello"
        vm.console.start("stty raw; echo type; dd bs=1 count=4 2>/dev/null | xxd -p; stty -raw")
        vm.console.wait_for("type\n")
        vm.console.write("\x03\x1a\x01\x01\x1c")
        vm.console.wait_for("031a011c")

    @check
    def ctrl_a_h_shows_help(self):
        self.vm.console.write("\x01h")
        wait_until(lambda: "Ctrl-A" in self.vm.console.text + self.vm.stderr_text(), "the keys are shown")

    @check
    def ctrl_a_x_ends_it(self):
        self.vm.console.write("\x01x")
        status = self.vm.wait_exit()
        assert status == 0, f"ended with {status}"
        assert "Ctrl-A x: the VM ends" in self.vm.stderr_text(), f"does not say that it ends: {self.vm.stderr_text()}"

    @check
    def terminal_is_as_it_was(self):
        now = self.vm.terminal_modes()
        assert now == self.vm.modes_before, f"modes before {self.vm.modes_before}, after {now}"


class FromFlags(Scenario):
    """No spec, all in flags, on a newer kernel."""

    kernel = "6.12"
    memory = "256M"
    balloon = {"size": "64M"}

    @check
    def boots_to_a_shell(self):
        self.boot(by_flags=True)

    @check
    def has_one_cpu(self):
        cpus = self.vm.sh("nproc").strip()
        assert cpus == "1", f"the guest has {cpus} CPUs"

    @check
    def balloon_is_inflated(self):
        self.vm.wait_balloon(64 * MIB)

    @check
    def socket_is_private(self):
        mode = os.stat(self.vm.qmp_path).st_mode & 0o777
        assert mode == 0o600, f"{self.vm.qmp_path} has mode {mode:o}"

    kernel_log_is_clean = kernel_log_is_clean
    poweroff_ends_with_0 = poweroff_ends_with_0
    says_nothing_on_stderr = says_nothing_on_stderr
