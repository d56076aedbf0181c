"""What tests/faults/inject.c counts, and the plans that it reads."""

import functools
import os
import re
import struct
import subprocess
from typing import NamedTuple

HEAD = struct.Struct("QQ")
SITE = struct.Struct("32s32sQQQQQQ")
N_SITES = 4096
TABLE_BYTES = HEAD.size + N_SITES * SITE.size

KVM_HEADER = "/usr/include/linux/kvm.h"
SYSCALL_HEADER = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
MADVISE = {4: "DONTNEED", 8: "FREE", 10: "DONTFORK", 12: "MERGEABLE", 14: "HUGEPAGE", 15: "NOHUGEPAGE", 16: "DONTDUMP", 23: "POPULATE_WRITE"}
OTHER_IOCTLS = {0x5401: "TCGETS", 0xC0606610: "PAGEMAP_SCAN"}


class Place(NamedTuple):
    """Where a call is made; `detail` tells its uses apart."""

    call: str
    module: str
    offset: int
    detail: int


class Count(NamedTuple):
    calls: int
    failed: int
    held: int  # blocks of memory from there that were not freed


class Table(NamedTuple):
    pid: int
    n_fds: int
    counts: dict  # of Place to Count


class Fault(NamedTuple):
    """The calls first to last from `place` fail."""

    place: Place
    first: int
    last: int
    error: int
    mode: str = "once"


def create(path):
    with open(path, "wb") as f:
        f.truncate(TABLE_BYTES)


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    pid, n_fds = HEAD.unpack_from(data)
    counts = {}
    for i in range(N_SITES):
        call, module, offset, detail, calls, failed, address, held = SITE.unpack_from(data, HEAD.size + i * SITE.size)
        if address:
            place = Place(call.rstrip(b"\0").decode(), module.rstrip(b"\0").decode(), offset, detail)
            counts[place] = Count(calls, failed, held)
    return Table(pid, n_fds, counts)


def plan(faults):
    """The text for FAULTS_PLAN."""
    return ";".join(
        f"{f.place.call} {f.place.module} {f.place.offset:x} {f.place.detail:x} {f.first} {f.last} {f.error} {f.mode}" for f in faults
    )


# ---- Names for people ----------------------------------------------------


@functools.cache
def defines(path, pattern):
    try:
        with open(path) as f:
            return {int(number, 0): name for name, number in re.findall(pattern, f.read(), re.M)}
    except OSError:
        return {}


def ioctl_name(request):
    if request >> 8 & 0xFF == 0xAE:
        names = defines(KVM_HEADER, r"^#define\s+(KVM_\w+)\s+_IOW?R?\(KVMIO,\s*(0x[0-9a-f]+)")
        return names.get(request & 0xFF, f"KVM {request & 0xFF:#x}")
    return OTHER_IOCTLS.get(request, f"{request:#x}")


def call_name(place):
    """The call and what it is used for: "ioctl KVM_RUN"."""
    if place.call == "ioctl":
        return f"ioctl {ioctl_name(place.detail)}"
    if place.call == "syscall":
        names = defines(SYSCALL_HEADER, r"^#define __NR_(\w+) (\d+)$")
        return f"syscall {names.get(place.detail, place.detail)}"
    if place.call == "madvise":
        return f"madvise {MADVISE.get(place.detail, place.detail)}"
    return place.call.removeprefix("__")


class Symbols:
    """Functions and lines of the program, from its debug information."""

    def __init__(self, binary, places):
        offsets = sorted({place.offset for place in places if place.module == "program"})
        # The address to return to is behind the call. What a header has inlined is shown before who asked for it.
        command = ["addr2line", "-f", "-i", "-s", "-a", "-e", binary, *(f"{offset - 1:x}" for offset in offsets)]
        text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        self.functions, self.lines = {}, {}
        for offset, frames in zip(offsets, re.split(r"^0x[0-9a-f]+\n", text, flags=re.M)[1:]):
            lines = frames.splitlines()
            found = next((pair for pair in zip(lines[::2], lines[1::2]) if ".c:" in pair[1]), ("?", hex(offset)))
            self.functions[offset], self.lines[offset] = found[0], found[1].split(" ")[0]

    def function(self, place):
        return self.functions.get(place.offset) if place.module == "program" else None

    def where(self, place):
        if place.module == "program":
            return f"{self.functions.get(place.offset, '?')} ({self.lines.get(place.offset, hex(place.offset))})"
        return f"{place.module}+{place.offset:#x}"

    def describe(self, fault):
        times = f"{fault.first}" if fault.last == fault.first else f"{fault.first} and later"
        mode = "" if fault.mode == "once" else f" {fault.mode}"
        return f"{call_name(fault.place)} no. {times} from {self.where(fault.place)}: {os.strerror(fault.error)}{mode}"
