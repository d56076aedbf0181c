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

FIRST_RUN = re.compile(r"first KVM_RUN (\d+) us after exec")


class Refused(Exception):
    """A program did not do what is to be measured; the text is what it said."""


def build_limit(folder):
    """Compiles startup_limit.c as the program is compiled: optimised, dynamically linked."""
    compiler = os.environ.get("CC", "").split() or [next((cc for cc in ("cc", "gcc", "clang") if shutil.which(cc)), "cc")]
    program = os.path.join(folder, "startup_limit")
    subprocess.run([*compiler, "-O2", "-o", program, os.path.join(HERE, "startup_limit.c")], check=True)
    return program


@contextlib.contextmanager
def vmm(binary, *options):
    """A running VMM whose guest idles; killed at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as runtime:
        command = [binary, "run", "-v", "-v", "--cmdline", "mode=idle", *options]
        env = {**os.environ, "XDG_RUNTIME_DIR": runtime}
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", env=env
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def read_until(stream, pattern):
    """The first match in a stream's lines."""
    seen = []
    for line in stream:
        match = pattern.search(line)
        if match:
            return match
        seen.append(line)
    raise Refused("".join(seen[-5:]) or "it ended without a word")
