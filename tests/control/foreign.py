"""QMP between programs that do not come from one hand: a client written for QEMU drives our VM, and ours drives QEMU's."""

import itertools
import json
import os
import shutil
import subprocess

from cases import MIB, SECONDS, Program, Skip, Vm, check_events, expect, wait_until

HERE = os.path.dirname(os.path.realpath(__file__))
GOPATH = "/usr/share/gocode"  # of Debian's packages
LIBRARY = os.path.join(GOPATH, "src/github.com/digitalocean/go-qemu/qmp")
RAM_MIB = 256


def build_folder(binary):
    return os.path.join(os.path.dirname(binary), "build", "control")


def build_go_client(folder):
    """Compiles go_qemu.go into the folder, unless that was done. Raises Skip when the library or the compiler is missing."""
    source, program = os.path.join(HERE, "go_qemu.go"), os.path.join(folder, "go_qemu")
    if os.path.exists(program) and os.path.getmtime(program) > os.path.getmtime(source):
        return program
    if not os.path.isdir(LIBRARY) or not shutil.which("go"):
        raise Skip("go or golang-github-digitalocean-go-qemu-dev is missing: ./configure --install-deps")
    os.makedirs(folder, exist_ok=True)
    settings = {"GO111MODULE": "off", "GOPATH": GOPATH, "GOTOOLCHAIN": "local", "GOFLAGS": "", "CGO_ENABLED": "0"}
    env = {**os.environ, **settings, "GOCACHE": os.path.join(folder, "go-cache")}
    done = subprocess.run(["go", "build", "-o", program, source], env=env, capture_output=True, text=True)
    expect(done.returncode == 0, f"go build: {done.stderr}")
    return program


def go_qemu(context):
    folder = build_folder(context.binary)
    program = build_go_client(folder)
    vm = context.boot(f"{RAM_MIB}M", "size=0", "mode=follow touch_mb=64")
    vm.wait("^ready: ")
    done = subprocess.run(
        [program, vm.qmp_path, str(RAM_MIB * MIB), "/machine/peripheral/balloon0"], capture_output=True, text=True, timeout=SECONDS
    )
    with open(os.path.join(folder, "go_qemu.log"), "w") as log:
        log.write(done.stdout + done.stderr)
    expect(done.stdout.endswith("\nPASS\n"), f"{done.stdout}{done.stderr}")
    expect(vm.end() == 0, f"exit status {vm.end()}")
    return f"{done.stdout.count(' -> ')} exchanges, in {log.name}"


class Qemu(Vm):
    """The built-in guest in QEMU, emulated. Each of its QMP sockets serves one client at a time."""

    def command_line(self, binary, arguments):
        self.second_path = self.qmp_path + "2"
        command = "qemu-system-x86_64 -M q35 -accel tcg -nodefaults -no-user-config -display none -serial stdio".split()
        command += ["-m", f"{RAM_MIB}M", "-device", "virtio-balloon-pci,disable-legacy=on,id=balloon0"]
        for path in (self.qmp_path, self.second_path):
            command += ["-qmp", f"unix:{path},server=on,wait=off"]
        return [*command, "-kernel", os.path.join(os.path.dirname(binary), "build", "guest", "guest.elf"), *arguments]


def ours(context, *arguments):
    """Runs a subcommand and returns what it prints."""
    done = subprocess.run([context.binary, *arguments], capture_output=True, text=True, timeout=SECONDS)
    expect(done.returncode == 0, f"{' '.join(arguments)}: exit status {done.returncode}: {done.stderr}")
    return done.stdout


def change_seen(context, path, events):
    """The data of the first BALLOON_CHANGE. Whoever tells events may have come too late for the first changes."""
    sizes = itertools.cycle(("48M", "32M"))

    def seen():
        ours(context, "balloon", path, next(sizes), f"--wait={SECONDS}")
        return events.find('"BALLOON_CHANGE"')

    return json.loads(wait_until(seen, "an event BALLOON_CHANGE").string)["data"]


def our_client_on_qemu(context):
    vm = context.add(Qemu(context.binary, context.folder, ["-append", "mode=follow touch_mb=16"]))
    vm.wait("^ready: ")
    path = vm.qmp_path
    events = context.add(Program([context.binary, "events", vm.second_path]))
    text = ours(context, "balloon", path)
    expect(f"has 0 of {RAM_MIB}M RAM" in text, text)
    for balloon_mib in (64, 32):
        text = ours(context, "balloon", path, f"{balloon_mib}M", f"--wait={SECONDS}")
        expect(f"has {balloon_mib}M of {RAM_MIB}M RAM" in text, text)
        vm.wait(rf"^balloon: from \d+ to {balloon_mib * 256} pages")
    actual = change_seen(context, path, events)["actual"]
    expect(actual in range((RAM_MIB - 64) * MIB, RAM_MIB * MIB), f"the event says {actual}")
    stats = ours(context, "stats", path)
    expect("total memory" in stats and "free memory" in stats, stats)
    ours(context, "stop", path, f"--wait={SECONDS}")
    events.wait('"event": ?"SHUTDOWN"')
    expect(events.end() == 0, f"events ended with {events.end()}")
    check_events(events)
    vm.check_pass()
