"""How the built-in guest gets memory back that was in the balloon (mode=refill): how fast, and in huge pages or small ones."""

import os
import re
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

from cases import MIB, expect  # noqa: E402
from process_memory import ram_mappings  # noqa: E402

WHOLE = "whole"  # huge pages reported in one piece each: the most that can be had
PATTERNS = ("ascending", "descending", "buddies", "large-runs", "every-second", "random")
PAGE_BYTES = 4096
HUGE_BYTES = 2 << 20
SPARE_MIB = 64  # of the guest, for its tables


def huge_share(pid, ram_bytes):
    """Of the guest RAM that the host holds, the part that lies in huge pages."""
    mappings = ram_mappings(pid, ram_bytes)
    present = sum(mapping["Rss"] for mapping in mappings)
    return sum(mapping["AnonHugePages"] + mapping["ShmemPmdMapped"] for mapping in mappings) / present


def gives_huge_pages():
    """To who asks for them."""
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled") as f:
            return "[never]" not in f.read()
    except OSError:
        return False


# How long a driver may take to fill its huge pages piece by piece until those that it has begun are split, one each millisecond
# at most (device/balloon_lazy.c). It pauses as well; then they all are.
MAX_WAIT_NS, TICK_NS = 100_000_000, 1_000_000
BEGUN = {"ascending": 1, "descending": 1}  # huge pages at a time, by pattern; of others any number


def faults_without_huge_page():
    """None where there are none. Of the whole host."""
    with open("/proc/vmstat") as f:
        found = re.search(r"^thp_fault_fallback (\d+)$", f.read(), re.M)
    return int(found[1]) if found else None


def excuse(pattern, give, pauses, fallbacks, lost):
    """What the host did that kept so many huge pages from coming back through no fault of the device, "" for nothing."""
    if fallbacks is None or faults_without_huge_page() != fallbacks:
        return "the host had no huge pages to give"
    splits = pauses + max(0, give - MAX_WAIT_NS) // TICK_NS
    if splits and lost <= 2 + splits * BEGUN.get(pattern, lost):
        return f"the driver had to wait {pauses} times, and needed {give / 1e6:.0f} ms in all"
    return ""


def measure(context, pattern, depth=1, balloon_mib=128):
    """Boots a guest that gives pages away in this order and takes them back. In nanoseconds a page, a clock of the guest's
    own presumed, and a share of 1."""
    ram_mib = balloon_mib + SPARE_MIB
    fallbacks = faults_without_huge_page()
    vm = context.boot(f"{ram_mib}M", f"size={balloon_mib}M,free_page_reporting=on", f"mode=refill pattern={pattern} depth={depth}")
    match = vm.wait(rf"^refill pattern={pattern} depth={depth} pages=(\d+) give=(\d+) pauses=(\d+) refill=(\d+) unit=(\w+)")
    vm.wait("^ready: all of it is in use again")
    share = huge_share(vm.process.pid, ram_mib * MIB)
    vm.process.terminate()  # presses the power button
    vm.check_pass()
    pages, give, pauses, refill = (int(number) for number in match.groups()[:4])
    unit = match[5]
    expect(pages > 0 and refill > 0, f"{pages} pages in {refill} {unit}")
    return {
        "pattern": pattern,
        "depth": depth,
        "unit": unit,
        "give_page": give / pages,
        "refill_page": refill / pages,
        "refill_gib_s": pages * PAGE_BYTES / refill * 1e9 / (1 << 30) if unit == "ns" else None,
        "huge_share": share,
        "excuse": excuse(pattern, give, pauses, fallbacks, (1 - share) * ram_mib * MIB / HUGE_BYTES),
    }
