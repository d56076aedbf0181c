"""What startup, footprint and idle share: the VMM with its built-in guest, and the least program beside it."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

LIMIT_SHAPE = "/dev/kvm, VM, one vCPU"
READY = re.compile("ready:")
FIRST_RUN = re.compile(r"first KVM_RUN (\d+) us after exec")


class Refused(Exception):
    """A program did not do what is to be measured; the text is what it said."""


def build_limit(folder):
    """Compiles startup_limit.c as the program is compiled: optimised, dynamically linked."""
    compiler = os.environ.get("CC", "").split() or [next((cc for cc in ("cc", "gcc", "clang") if shutil.which(cc)), "cc")]
    program = os.path.join(folder, "startup_limit")
    subprocess.run([*compiler, "-O2", "-o", program, os.path.join(HERE, "startup_limit.c")], check=True)
    return program


class Vmm:
    """A running VMM. What it says on standard error goes to a file: a pipe's reader would be woken, and take the processor from it."""

    def __init__(self, process, stderr):
        self.process = process
        self.pid = process.pid
        self.stderr = stderr

    def said(self):
        self.stderr.seek(0)
        return self.stderr.read()

    def wait_until_idle(self):
        if not find_line(self.process.stdout, READY):
            raise Refused(self.said() or "it ended without a word")

    def first_run_us(self):
        """Microseconds from exec to the first KVM_RUN, which it has passed."""
        return int(FIRST_RUN.search(self.said())[1])


@contextlib.contextmanager
def vmm(binary, *options):
    """A running VMM whose guest idles; killed at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as runtime, tempfile.TemporaryFile("w+", errors="replace") as stderr:
        command = [binary, "run", "-v", "-v", "--cmdline", "mode=idle", *options]
        env = {**os.environ, "XDG_RUNTIME_DIR": runtime}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True, errors="replace", env=env)
        try:
            yield Vmm(process, stderr)
        finally:
            process.kill()
            process.communicate()


def find_line(stream, pattern):
    """The first match in a stream's lines; None at its end."""
    return next((match for match in map(pattern.search, stream) if match), None)
