"""What signals and a lost terminal do to a VM."""

import os
import pty
import signal
import subprocess
import termios
import threading

from vm import Qmp, SECONDS, expect, follow, running, wait_until


def sigterm_presses_the_button(binary, folder):
    for number in (signal.SIGTERM, signal.SIGINT):
        with follow(binary, folder) as vm:
            vm.wait_for("guest: ready")
            vm.signal(number)
            vm.wait_for("the power button was pressed|PASS")
            expect(vm.end() == 0, vm.text)
            expect("ends without the guest" not in vm.text, vm.text)


def second_sigterm_forces(binary, folder):
    """This guest is busy and does not look at the power button."""
    with running(binary, folder, "--cmdline", "hold_ms=100000", balloon="size=64M") as vm:
        vm.wait_for("guest: inflated")
        vm.signal(signal.SIGTERM)
        vm.wait_for("SIGTERM: pressed the guest's power button")
        try:
            vm.process.wait(0.5)
            expect(False, f"the first signal ended the VM:\n{vm.text}")
        except subprocess.TimeoutExpired:
            pass
        vm.signal(signal.SIGTERM)
        expect(vm.end() == 0, vm.text)
        vm.wait_for("another SIGTERM: the VM ends without the guest")


def sighup_is_survived(binary, folder):
    with follow(binary, folder) as vm:
        vm.wait_for("guest: ready")
        for _ in range(2):
            vm.signal(signal.SIGHUP)
        vm.wait_for("SIGHUP: the VM goes on")
        qmp = Qmp(vm.qmp_path)
        expect(qmp.command("query-status")["status"] == "running", "the VM does not run")
        qmp.command("quit")
        expect(vm.end() == 0, vm.text)


class Terminal:
    """A pseudo terminal whose other end is read all the time."""

    def __init__(self):
        self.ours, self.slave = pty.openpty()
        self.modes = termios.tcgetattr(self.slave)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def watch(self, vm):
        threading.Thread(target=vm.read, args=[os.dup(self.ours)], daemon=True).start()


def interrupt_key_is_the_guests(binary, folder):
    """Ctrl-C, Ctrl-Z and Ctrl-\\ are keys like others; Ctrl-A x ends the VM, and the terminal is as before."""
    terminal = Terminal()
    with follow(binary, folder, terminal=terminal.slave) as vm:
        terminal.watch(vm)
        vm.wait_for("guest: ready")
        expect(terminal.is_raw(), "the terminal is not raw")
        os.write(terminal.ours, b"\x03\x1a\x1c")
        qmp = Qmp(vm.qmp_path)
        for _ in range(20):
            expect(qmp.command("query-status")["status"] == "running", "the VM does not run")
        expect("SIG" not in vm.text, vm.text)
        os.write(terminal.ours, b"\x01x")
        expect(vm.end() == 0, vm.text)
        expect(termios.tcgetattr(terminal.slave) == terminal.modes, "the terminal has other modes than before")


def lost_terminal_is_survived(binary, folder):
    """The window is closed: the VM goes on, takes no processor time, and ends when a client says so."""
    terminal = Terminal()
    with follow(binary, folder, terminal=terminal.slave) as vm:
        reader = os.fdopen(os.dup(terminal.ours), "rb", buffering=0)
        seen = b""
        while b"guest: ready" not in seen:
            seen += reader.read(4096)
        os.close(terminal.slave)
        reader.close()
        os.close(terminal.ours)  # the kernel hangs the terminal up
        qmp = Qmp(vm.qmp_path)
        qmp.command("balloon", value=96 << 20)  # the guest has something to say
        wait_until(lambda: qmp.command("query-balloon")["actual"] == 96 << 20, "the balloon follows")
        loop_ticks = loop_time(vm)
        expect(vm.process.poll() is None, "the VM has ended")
        wait_until(lambda: qmp.command("query-status")["status"] == "running", "it runs")
        try:
            vm.process.wait(1)
        except subprocess.TimeoutExpired:
            pass
        used = loop_time(vm) - loop_ticks
        expect(used < 20, f"the event loop took {used} ticks in a second: it spins")
        qmp.command("system_powerdown")
        expect(vm.process.wait(SECONDS) == 0, "exit status")


def loop_time(vm):
    with open(f"/proc/{vm.pid}/task/{vm.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


CASES = [sigterm_presses_the_button, second_sigterm_forces, sighup_is_survived, interrupt_key_is_the_guests, lost_terminal_is_survived]
