"""A VM with the built-in guest, and what /proc says of its process."""

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import termios
import threading
import time

SECONDS = 60


class Wrong(Exception):
    """The case fails; the text says why."""


class Skip(Exception):
    """The case cannot run here; the text says why."""


def expect(condition, text):
    if not condition:
        raise Wrong(text)


def wait_until(condition, text, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < deadline, f"not within {seconds} s: {text}")
        time.sleep(0.02)


def ask(tool, *arguments):
    """What one of binutils prints."""
    return subprocess.run([tool, "--wide", *arguments], stdout=subprocess.PIPE, check=True, text=True).stdout


def is_instrumented(binary):
    """With sanitizers a program is linked otherwise, has no sandbox, and takes other amounts of memory."""
    return bool(re.search(r"__(asan|tsan|ubsan|gcov)_", ask("readelf", "--symbols", binary)))


def refuse_instrumented(binary):
    if is_instrumented(binary):
        raise Skip("the program is built with sanitizers or for coverage")


class Qmp:
    """Commands only; events are dropped."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(path)
        self.file = self.socket.makefile("rw", encoding="utf-8", newline="\n")
        self.file.readline()
        self.command("qmp_capabilities")

    def answer(self, name, **arguments):
        """The whole of it, which may be an error."""
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            line = self.file.readline()
            expect(line, f"the QMP connection ended during {name}")
            answer = json.loads(line)
            if "return" in answer or "error" in answer:
                return answer

    def command(self, name, **arguments):
        answer = self.answer(name, **arguments)
        expect("return" in answer, f"{name}: {answer.get('error')}")
        return answer["return"]

    def close(self):
        self.file.close()
        self.socket.close()


class Vm:
    """`terminal`: the slave of a pseudo terminal that is to control the VM; without one, standard input is empty."""

    def __init__(self, binary, folder, arguments, memory="128M", balloon="size=0", terminal=None):
        self.folder = folder
        self.text = ""
        self.changed = threading.Condition()
        self.qmp_path = os.path.join(folder, "vmm-balloon", "vm.sock")
        command = [binary, "run", "--name", "vm", "--memory", memory, "--balloon", balloon, *arguments]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.PIPE if terminal is None else terminal,
            cwd=folder,
            env={**os.environ, "XDG_RUNTIME_DIR": folder},
            start_new_session=True,
            preexec_fn=lambda: self.prepare(terminal),
        )
        self.pid = self.process.pid
        if terminal is None:
            for stream in (self.process.stdout, self.process.stderr):
                threading.Thread(target=self.read, args=[stream.fileno()], daemon=True).start()

    @classmethod
    def prepare(cls, terminal):
        """In the child: signals do what they do by default, although whoever runs the tests may ignore some (nohup, &)."""
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        if terminal is not None:
            cls.take(terminal)

    @staticmethod
    def take(terminal):
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    def read(self, fd):
        """All that the VM or its guest says, until nobody can say more. In whole lines: both may speak at once."""
        begun = b""
        while True:
            try:
                data = os.read(fd, 4096)
            except OSError:
                data = b""
            lines, newline, begun = (begun + data).rpartition(b"\n") if data else (begun, b"", b"")
            with self.changed:
                self.text += (lines + newline).decode("utf-8", "replace")
                self.changed.notify_all()
            if not data:
                return

    def wait_for(self, pattern):
        with self.changed:
            self.changed.wait_for(lambda: re.search(pattern, self.text), SECONDS)
            expect(re.search(pattern, self.text), f"nobody said /{pattern}/:\n{self.text}")

    def end(self):
        try:
            return self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            raise Wrong(f"the VM did not end within {SECONDS} s:\n{self.text}") from None

    def signal(self, number):
        os.kill(self.pid, number)

    def threads(self):
        """{name: fields of status} of each thread; vCPUs are called vcpuN."""
        found = {}
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{tid}/status") as f:
                fields = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
            found[fields["Name"]] = fields
        return found

    def n_descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def own_memory(self):
        """Resident bytes that are not guest RAM, whose mappings are those that are not dumped."""
        with open(f"/proc/{self.pid}/smaps") as f:
            areas = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", f.read(), flags=re.M)[1:]
        dumped = [area for area in areas if not re.search(r"^VmFlags:.* dd\b", area, re.M)]
        return sum(int(re.search(r"^Rss: +(\d+) kB", area, re.M)[1]) << 10 for area in dumped)


@contextlib.contextmanager
def running(binary, folder, *arguments, **options):
    """A VM that is killed if it has not ended."""
    vm = Vm(binary, folder, arguments, **options)
    try:
        yield vm
    finally:
        if vm.process.poll() is None:
            vm.signal(signal.SIGKILL)
            vm.process.wait()


def follow(binary, folder, *arguments, **options):
    """Its guest waits for the power button."""
    return running(binary, folder, "--cmdline", "mode=follow touch_mb=16", *arguments, **options)
