"""The commands on QEMU's socket: they do what QEMU can, and say what it cannot."""

import os
import select
import signal
import socket
import subprocess

from harness import MIB, Vm, expect, qmp, run, wait_until


class Qemu:
    """A machine that does not run, with a balloon: its monitor answers all the same."""

    def __init__(self, folder, *arguments):
        self.path = os.path.join(folder, "qemu.sock")
        command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-S", "-m", "512", "-display", "none", "-nodefaults"]
        self.process = subprocess.Popen(
            [*command, "-qmp", f"unix:{self.path},server=on,wait=off", *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=Vm.die_with_us
        )

    def __enter__(self):
        wait_until(self.listens, "QEMU's socket")
        return self

    def listens(self):
        """The file is there a moment before anybody can connect."""
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(self.path) == 0

    def __exit__(self, *_exception):
        self.process.kill()
        self.process.wait()


def qemu_is_served(context):
    with Qemu(context.folder, "-device", "virtio-balloon-pci,id=balloon0") as qemu:
        on_qemu = ("--qmp", qemu.path)
        expect(" 512M " in run(context, "list", *on_qemu).out, "list")
        vm = run(context, "list", "--json", *on_qemu).jsons()[0]
        expect(vm["ram"] == 512 * MIB and vm["balloon-actual"] == 0 and vm["status"] == "prelaunch" and "balloon-target" not in vm, f"{vm}")
        expect("the balloon has 0 of 512M RAM" in run(context, "balloon", qemu.path).out, "balloon")
        result = run(context, "balloon", *on_qemu, "100M", "--wait=1", status=4)
        expect("its status is prelaunch" in result.err, f"{result}")
        expect("say the SIZE to wait for" in run(context, "balloon", "--wait=1", *on_qemu, status=2).err, "no target")
        expect("guest-stats-polling-interval" in run(context, "stats", *on_qemu).out, "stats")
        expect(run(context, "stats", "--json", *on_qemu).jsons()[0]["last-update"] == 0, "stats --json")
        expect("QEMU takes hints for a migration only" in run(context, "hint", *on_qemu, status=1).err, "hint")
        expect("vmm_balloon_left_bytes{vm=" in run(context, "metrics", *on_qemu).out, "metrics")
        run(context, "stop", "--wait=1", *on_qemu, status=4)
        run(context, "stop", "--wait=0", "--force", *on_qemu)
        expect(qemu.process.wait(30) == 0, "QEMU's status")


def qemu_tells_its_events(context):
    """Each of QEMU's monitors serves one client: a second one makes it do something."""
    other = os.path.join(context.folder, "other.sock")
    with Qemu(context.folder, "-qmp", f"unix:{other},server=on,wait=off") as qemu:
        stream = subprocess.Popen([context.binary, "events", "--qmp", qemu.path], stdout=subprocess.PIPE, text=True)
        control = qmp(other)

        def something_happens():
            control.cmd("cont")
            control.cmd("stop")
            return select.select([stream.stdout], [], [], 0)[0]

        wait_until(something_happens, "an event")
        qemu.process.send_signal(signal.SIGTERM)
        out = stream.communicate(timeout=60)[0]
        expect(stream.returncode == 0 and '"STOP"' in out and '"SHUTDOWN"' in out, f"ended with {stream.returncode}: {out}")


def qemu_without_a_balloon(context):
    with Qemu(context.folder) as qemu:
        expect("no balloon" in run(context, "list", "--qmp", qemu.path).out, "list")
        for command in ("balloon", "stats"):
            expect("this VM has no balloon" in run(context, command, "--qmp", qemu.path, status=1).err, command)


CASES = [qemu_is_served, qemu_tells_its_events, qemu_without_a_balloon]
