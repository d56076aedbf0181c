"""One run of the program, on a terminal of its own, with some of its calls failing."""

import contextlib
import ctypes
import fcntl
import glob
import os
import pty
import re
import resource
import signal
import subprocess
import tempfile
import termios
import threading
import time

import table
from cases import PREFIX, expect

HERE = os.path.dirname(os.path.realpath(__file__))
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
RUNTIME_FOLDER = "vmm-balloon"  # in $XDG_RUNTIME_DIR


def library_of(binary):
    return os.path.join(os.path.dirname(binary), "build", "tests", "inject.so")


def library_complaint(binary):
    """None if that is built of what stands here, else what to do: `make` alone does not build it."""
    library = library_of(binary)
    built = os.path.getmtime(library) if os.path.exists(library) else 0
    newer = [name for name in glob.glob(os.path.join(HERE, "*.[ch]")) if os.path.getmtime(name) > built]
    return f"{library} is {'older than ' + newer[0] if built else 'missing'}: make build/tests/inject.so" if newer else None


class Program:
    """`text`: what came on its terminal, `errors`: what came on standard error; both grow while it runs."""

    def __init__(self, binary, folder, arguments, faults=(), more=None, limits=None):
        self.folder, self.limits = folder, limits or {}
        self.text, self.errors = "", ""
        self.changed = threading.Condition()
        handle, self.table_path = tempfile.mkstemp(prefix="table-", dir=folder)
        os.close(handle)
        table.create(self.table_path)
        self.master, self.slave = pty.openpty()
        self.modes = termios.tcgetattr(self.slave)
        env = {
            **os.environ,
            "XDG_RUNTIME_DIR": folder,
            "TERM": "xterm",
            "LD_PRELOAD": library_of(binary),
            "FAULTS_TABLE": self.table_path,
            "FAULTS_PLAN": table.plan(faults),
            "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", ""),
            **(more or {}),
        }
        self.process = subprocess.Popen(
            [binary, *arguments], stdin=self.slave, stdout=self.slave, stderr=subprocess.PIPE, env=env, preexec_fn=self.take_terminal, cwd=folder
        )
        self.readers = [threading.Thread(target=self.read_terminal, daemon=True), threading.Thread(target=self.read_errors, daemon=True)]
        for reader in self.readers:
            reader.start()

    def take_terminal(self):
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for limit, value in self.limits.items():
            resource.setrlimit(limit, (value, value))

    def read_terminal(self):
        with contextlib.suppress(OSError):  # EIO: nobody holds the other side any more
            while data := os.read(self.master, 65536):
                with self.changed:
                    self.text += data.decode("utf-8", "replace")
                    self.changed.notify_all()

    def read_errors(self):
        for line in self.process.stderr:
            with self.changed:
                self.errors += line.decode("utf-8", "replace")
                self.changed.notify_all()

    def is_over(self):
        return self.process.poll() is not None

    def has_said(self, pattern, nth=1):
        return len(re.findall(f"^{PREFIX}{pattern}", self.text, re.M)) >= nth

    def has_lost_output(self):
        """Whether the guest may have said more than was written."""
        return "cannot write the guest's output: " in self.errors

    def wait(self, pattern, nth=1, seconds=60):
        """Whether the guest says it, unless the program ends or output is lost first."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not self.has_said(pattern, nth) and not self.is_over() and not self.has_lost_output() and time.monotonic() < deadline:
                self.changed.wait(0.05)
        return self.has_said(pattern, nth)

    def finish(self, seconds):
        """Waits for its end; sets what is known then."""
        self.hung = False
        try:
            self.status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.hung = True
            self.process.kill()
            self.status = self.process.wait()
        self.modes_changed = termios.tcgetattr(self.slave) != self.modes
        os.close(self.slave)
        for reader in self.readers:
            reader.join(10)
        os.close(self.master)
        self.process.stderr.close()
        self.table = table.read(self.table_path)
        os.unlink(self.table_path)
        expect(self.table.pid or self.limits, f"{library_of(self.process.args[0])} does not count")
        return self

    def leftovers(self):
        with contextlib.suppress(FileNotFoundError):
            return sorted(os.listdir(os.path.join(self.folder, RUNTIME_FOLDER)))
        return []

    def output(self):
        return "".join(f"\n      {line}" for line in (self.text + self.errors).splitlines()[-12:])
