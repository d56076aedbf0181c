"""What the cases share: the built-in guest's VMs (tests/guest/cases.py), and running the program's commands beside them."""

import io
import json
import os
import re
import subprocess
import sys
import time

TESTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "guest"), os.path.join(TESTS, "e2e")]

from cases import MIB, Program, Skip, Vm, Wrong, check_events, expect, main, wait_until  # noqa: E402, F401 # for the cases
from qmp import Qmp  # noqa: E402

SECONDS = 60
# Bytes that must not reach a terminal or a file: control characters but newline and tab, and C1 in UTF-8.
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")


def environment(context):
    """A sanitizer that finds something ends the program with a status of its own."""
    return {**os.environ, "XDG_RUNTIME_DIR": context.folder, "LC_ALL": "C.UTF-8", "ASAN_OPTIONS": "exitcode=99", "UBSAN_OPTIONS": "exitcode=99"}


class Result:
    def __init__(self, command, done, seconds):
        self.command = command
        self.status = done.returncode
        self.raw_out, self.raw_err = done.stdout, done.stderr
        self.out, self.err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        self.seconds = seconds

    def __str__(self):
        return f"`{self.command}` ended with {self.status} after {self.seconds:.1f} s: {self.out[-2000:]!r} {self.err[-2000:]!r}"

    def jsons(self):
        try:
            return [json.loads(line) for line in self.out.splitlines()]
        except ValueError:
            raise Wrong(f"no JSON: {self}") from None


def run(context, *arguments, status=0, seconds=SECONDS, plain=True):
    """One command, which must end with that status (None: any) in time and print nothing that drives a terminal."""
    command = " ".join(["vmm-balloon", *arguments])
    begin = time.monotonic()
    try:
        done = subprocess.run([context.binary, *arguments], env=environment(context), stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise Wrong(f"`{command}` did not end within {seconds} s") from None
    result = Result(command, done, time.monotonic() - begin)
    expect(status is None or result.status == status, f"wanted status {status}, but {result}")
    expect(not plain or not CONTROL.search(result.raw_out + result.raw_err), f"control characters: {result}")
    return result


def qmp(path):
    """Another client of that socket."""
    return Qmp(path, io.StringIO())


def boot(context, name, memory, balloon, cmdline):
    return context.boot_with(["--memory", memory, "--balloon", balloon, "--cmdline", cmdline], name)


def live_vm(context, name="web-1", memory="256M", balloon="size=64M", touch_mb=192):
    """A VM whose guest follows its target, once it has reached the first one."""
    vm = boot(context, name, memory, balloon, f"mode=follow touch_mb={touch_mb}")
    vm.wait(f"^ready: {touch_mb} MiB touched")
    if not balloon.startswith("size=0"):
        vm.wait("^balloon: from 0 to ")
    return vm
