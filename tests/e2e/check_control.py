"""A running VM seen from outside: its name, its socket, its end."""

import os
import subprocess

from qmp import QmpClosed, QmpError
from scenario import Scenario, check
from vm import MIB
from waiting import wait_until


class Names(Scenario):
    """Two VMs of one name cannot run; one that was killed is in nobody's way."""

    memory = "256M"

    def start(self):
        """Far enough to answer QMP; the guest may boot or not."""
        vm = self.make_vm()
        vm.qmp_path = None
        vm.start()
        vm.connect(os.path.join(self.setting.runtime, "vmm-balloon", vm.name + ".sock"))
        return vm

    @check
    def socket_is_in_the_runtime_directory(self):
        self.vm = self.start()
        assert self.vm.cmd("query-name")["name"] == self.vm.name
        folder = os.path.join(self.setting.runtime, "vmm-balloon")
        for path, wanted in ((folder, 0o700), (os.path.join(folder, self.vm.name + ".sock"), 0o600)):
            mode = os.stat(path).st_mode & 0o777
            assert mode == wanted, f"{path} has mode {mode:o}"

    @check
    def second_of_a_name_is_refused(self):
        second = self.make_vm()
        second.start()
        status = second.wait_exit()
        said = second.stderr_text()
        assert status == 1, f"ended with {status}: {said}"
        assert len(said.splitlines()) == 1 and self.vm.name in said, said

    @check
    def first_of_the_name_lives_on(self):
        assert self.vm.cmd("query-status")["running"] is True

    @check
    def killed_one_is_succeeded(self):
        self.vm.signal(9)
        self.vm.wait_exit()
        self.vm = self.start()
        assert self.vm.cmd("query-status")["running"] is True

    @check
    def socket_is_gone_after_the_end(self):
        vm = self.vm
        try:
            vm.cmd("quit")
        except QmpClosed:
            pass
        status = vm.wait_exit()
        assert status == 0, f"quit ended it with {status}"
        left = os.listdir(os.path.join(self.setting.runtime, "vmm-balloon"))
        assert not [name for name in left if name.startswith(vm.name)], f"left behind: {left}"


class Limits(Scenario):
    """What may not be asked of a balloon; nothing of it disturbs the guest."""

    memory = "256M"
    balloon = {"size": "0", "free_page_reporting": False}

    @check
    def boots_to_a_shell(self):
        self.boot()

    def refused(self, command, **arguments):
        try:
            self.vm.cmd(command, **arguments)
        except QmpError as e:
            assert e.desc, f"{command} {arguments}: an error without a text"
            return e.error_class
        raise AssertionError(f"{command} {arguments} was accepted")

    @check
    def nonsense_is_refused(self):
        assert self.refused("balloon", value=0) == "GenericError"
        assert self.refused("balloon", value=-4096) == "GenericError"
        assert self.refused("balloon", value="1G") == "GenericError"
        assert self.refused("balloon") == "GenericError"
        assert self.refused("no-such-command") == "CommandNotFound"
        path = "/machine/peripheral/balloon0"
        assert self.refused("qom-set", path=path, property="guest-stats-polling-interval", value=-1) == "GenericError"
        assert self.refused("qom-get", path="/machine/peripheral/other", property="guest-stats") == "DeviceNotFound"
        assert self.vm.balloon_bytes() == 0

    @check
    def more_than_ram_means_none(self):
        vm = self.vm
        vm.set_balloon(64 * MIB)
        vm.cmd("balloon", value=1 << 40)
        vm.wait_balloon(0)

    @check
    def more_than_the_guest_can_give_does_no_harm(self):
        """All but 8 MiB: the guest gives what it has, lives on, and gets it back."""
        vm = self.vm
        vm.ask_balloon(vm.ram_bytes - 8 * MIB)
        wait_until(lambda: vm.balloon_bytes() > 128 * MIB, lambda: f"balloon {vm.balloon_bytes()}", 240)
        vm.set_balloon(0)
        assert vm.sh("echo alive").strip() == "alive"

    @check
    def stats_interval_zero_keeps_the_values(self):
        path = "/machine/peripheral/balloon0"
        stats = self.vm.cmd("qom-get", path=path, property="guest-stats")
        assert stats["last-update"] > 0, "the buffer that the driver primes at probe already has a first set of values"

    @check
    def console_may_be_closed(self):
        """The end of standard input is not the end of the VM."""
        self.vm.process.stdin.close()
        self.vm.cmd("system_powerdown")
        status = self.vm.wait_exit()
        assert status == 0, f"ended with {status}"


class SerialModes(Scenario):
    """Where the serial line can go besides the terminal."""

    memory = "256M"

    def run_briefly(self, serial):
        vm = self.make_vm({**self.spec(), "serial": serial})
        vm.start()
        vm.connect()
        return vm

    @check
    def file_gets_the_output(self):
        path = os.path.join(self.folder, "serial-of-the-guest.log")
        self.vm = self.run_briefly({"mode": "file", "file": path})

        def booted():
            with open(path) as f:
                return "READY" in f.read()

        wait_until(booted, f"the guest's shell says READY in {path}", 240)
        self.vm.cmd("system_powerdown")
        assert self.vm.wait_exit() == 0
        assert self.vm.console.text == "", "the guest's output is on standard output, too"

    @check
    def null_and_off_run_silently(self):
        for mode in ("null", "off"):
            self.vm = self.run_briefly({"mode": mode})
            wait_until(lambda: self.vm.cmd("qom-get", path="/machine/peripheral/balloon0", property="guest-stats")["last-update"], "the driver is there", 240)
            assert self.vm.console.text == ""
            try:
                self.vm.cmd("quit")
            except QmpClosed:
                pass
            assert self.vm.wait_exit() == 0


class NoGuestWanted(Scenario):
    """Without a kernel the program has a guest of its own."""

    @check
    def built_in_guest_passes(self):
        command = [self.setting.program, "run", "--name", "e2e-built-in", "--memory", "256M", "--balloon", "size=64M"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
        assert done.returncode == 0, f"ended with {done.returncode}: {done.stdout[-400:]} {done.stderr[-400:]}"
