"""A virtual machine as a process: started, watched, driven over its serial line and QMP, and surely ended.

Two programs can run it, vmm-balloon and QEMU, whose QMP is the same: tests are written against one class, and figures
can be compared."""

import ctypes
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import termios

from console import Console
from process_memory import guest_rss
from qmp import Qmp
from waiting import POLL_SECONDS, wait_until

LIBC = ctypes.CDLL(None)
EXAMPLES = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "examples")
PR_SET_PDEATHSIG = 1
MIB = 1 << 20
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_size(text):
    number, unit = re.fullmatch(r"(\d+)([KMG]?)", text).groups()
    return int(number) * UNITS.get(unit, 1)


def die_with_parent():
    """Before exec in a child: it is killed when the thread that started it ends, however that comes about."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def yaml_scalar(value):
    """Plain words as they are, everything else as JSON, which is YAML too."""
    if isinstance(value, bool):
        return "on" if value else "off"
    text = str(value)
    return text if re.fullmatch(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*", text) else json.dumps(text)


def yaml_line(key, value):
    if isinstance(value, dict):
        value = "{" + ", ".join(f"{name}: {yaml_scalar(item)}" for name, item in value.items()) + "}"
    else:
        value = yaml_scalar(value)
    return f"{key}: {value}\n"


class Vm:
    """What both programs have in common. `folder` gets serial.log, stderr.log, qmp.log and what else there is; `runtime`
    is for sockets, whose paths must be short (107 bytes, unix(7))."""

    def __init__(self, program, folder, runtime, spec, on_pty=False, by_flags=False, example=None, options=()):
        self.program = program
        self.folder = folder
        self.runtime = runtime
        self.spec = spec
        self.on_pty = on_pty
        self.by_flags = by_flags
        self.example = example
        self.options = options  # beside the example
        self.name = spec["name"]
        self.ram_bytes = parse_size(spec["memory"]["size"])
        self.qmp_path = os.path.join(runtime, f"{self.name}.qmp")
        self.process = None
        self.console = None
        self.qmp = None

    def command(self):
        raise NotImplementedError

    def start(self):
        os.makedirs(self.folder, exist_ok=True)
        self.stderr_path = os.path.join(self.folder, "stderr.log")
        serial_log = os.path.join(self.folder, "serial.log")
        command = self.command()
        if self.on_pty:
            ours, self.terminal = pty.openpty()
            self.modes_before = self.terminal_modes()
            stdin = stdout = self.terminal
        else:
            stdin = stdout = subprocess.PIPE
        env = {**os.environ, "XDG_RUNTIME_DIR": self.runtime}
        with open(self.stderr_path, "wb") as stderr:
            # A session of its own: its terminal is the pty or none, never ours.
            self.process = subprocess.Popen(
                command, stdin=stdin, stdout=stdout, stderr=stderr, env=env, bufsize=0, preexec_fn=self.before_exec, start_new_session=True
            )
        if not self.on_pty:
            ours = self.process.stdout.fileno()
        self.console = Console(ours, ours if self.on_pty else self.process.stdin.fileno(), serial_log, self.alive)
        return self

    def before_exec(self):
        die_with_parent()
        if self.on_pty:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def terminal_modes(self):
        return termios.tcgetattr(self.terminal)

    def connect(self, path=None):
        self.qmp = Qmp(path or self.qmp_path, open(os.path.join(self.folder, "qmp.log"), "a"), self.alive)
        return self

    def boot(self):
        self.start()
        self.connect()
        self.boot_id = self.console.wait_boot()
        return self

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def sh(self, command, **options):
        return self.console.sh(command, **options)

    def cmd(self, command, **arguments):
        return self.qmp.cmd(command, **arguments)

    def stderr_text(self):
        with open(self.stderr_path, errors="replace") as f:
            return f.read()

    # The balloon, in bytes taken from the guest: QMP counts what is left.

    def balloon_bytes(self):
        return self.ram_bytes - self.cmd("query-balloon")["actual"]

    def ask_balloon(self, taken):
        self.cmd("balloon", value=self.ram_bytes - taken)

    def wait_balloon(self, taken, seconds=240, poll=POLL_SECONDS):
        wait_until(lambda: self.balloon_bytes() == taken, lambda: f"balloon {self.balloon_bytes()}, wanted {taken}", seconds, poll)

    def set_balloon(self, taken, **options):
        self.ask_balloon(taken)
        self.wait_balloon(taken, **options)

    def rss(self):
        return guest_rss(self.pid, self.ram_bytes)

    # The end.

    def wait_exit(self, seconds=120):
        """The exit status; minus the signal's number when one ended it."""
        wait_until(lambda: not self.alive(), "the VM's process ends", seconds)
        return self.process.returncode

    def signal(self, number):
        os.kill(self.pid, number)

    def destroy(self):
        """Whatever state it is in."""
        if self.process:
            if self.alive():
                self.process.kill()
            self.process.wait()
            if self.on_pty:
                os.close(self.terminal)
            if self.console:
                self.console.close()
        if self.qmp:
            self.qmp.close()
            self.qmp.transcript.close()


class Balloon(Vm):
    """vmm-balloon, with its spec in a file."""

    def payload_flags(self):
        return [word for name, value in self.spec["payload"].items() for word in ("--" + name, value)]

    def flags(self):
        spec = self.spec
        flags = ["--name", self.name, "--cpus", str(spec["cpus"]["boot_vcpus"]), *self.payload_flags()]
        for name in ("memory", "balloon", "serial"):
            if name in spec:
                flags += ["--" + name, ",".join(f"{key}={yaml_scalar(value)}" for key, value in spec[name].items())]
        return flags

    def spec_file(self):
        path = os.path.join(self.folder, "spec.yaml")
        with open(path, "w") as f:
            f.writelines(yaml_line(key, value) for key, value in self.spec.items())
        return path

    def example_as_it_stands(self):
        """But for its name, and a payload that a program can drive."""
        return [os.path.join(EXAMPLES, self.example), "--name", self.name, *self.payload_flags(), *self.options]

    def command(self):
        if self.example:
            what = self.example_as_it_stands()
        else:
            what = self.flags() if self.by_flags else [self.spec_file()]
        return [self.program, "run", *what, *(["--qmp", self.qmp_path] if self.qmp_path else [])]

    def state(self):
        return self.cmd("x-query-balloon")


class Qemu(Vm):
    """The same VM in QEMU, as far as QEMU has it."""

    def command(self):
        spec = self.spec
        memory, payload = spec["memory"], spec["payload"]
        accel = "kvm" if self.can_kvm() else "tcg"
        command = [self.program, "-M", "q35,usb=off,memory-backend=ram", "-accel", accel, "-cpu", "host" if accel == "kvm" else "max"]
        command += "-nodefaults -no-user-config -display none -serial stdio -device pvpanic".split()
        command += ["-action", "panic=exit-failure", "-smp", str(spec["cpus"]["boot_vcpus"])]
        kind = "memfd,share=on" if memory.get("shared") else "ram"
        command += ["-object", f"memory-backend-{kind},id=ram,size={memory['size']}", "-m", memory["size"]]
        command += ["-kernel", payload["kernel"], "-initrd", payload["initramfs"], "-append", payload["cmdline"]]
        command += ["-qmp", f"unix:{self.qmp_path},server=on,wait=off"]
        if "balloon" in spec:
            command += ["-device", self.balloon_device(spec["balloon"])]
        return command

    @staticmethod
    def balloon_device(balloon):
        options = ["virtio-balloon-pci", "disable-legacy=on", "id=balloon0"]
        for name in ("deflate_on_oom", "free_page_reporting"):
            options.append(f"{name.replace('_', '-')}={'on' if balloon.get(name) else 'off'}")
        return ",".join(options)

    def connect(self, path=None):
        """QEMU has no initial size: it is asked for before the guest looks."""
        super().connect(path)
        size = parse_size(self.spec.get("balloon", {}).get("size", "0"))
        if size:
            self.ask_balloon(size)
        return self

    @staticmethod
    def can_kvm():
        with open("/proc/cpuinfo") as f:
            return bool(re.search(r"^flags.*\b(svm|vmx)\b", f.read(), re.MULTILINE)) and os.access("/dev/kvm", os.W_OK)


def backend_of(program):
    return Qemu if os.path.basename(program).startswith("qemu-system") else Balloon


def resolve_program(program):
    path = shutil.which(program)
    if not path:
        raise SystemExit(f"{program}: no such program")
    return os.path.abspath(path)
