"""How the built-in guest gets memory back that was in the balloon (mode=refill): how fast, and in huge pages or small ones."""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

from cases import MIB, expect  # noqa: E402
from process_memory import ram_mappings  # noqa: E402

WHOLE = "whole"  # huge pages reported in one piece each: the most that can be had
PATTERNS = ("ascending", "descending", "buddies", "large-runs", "every-second", "random")
PAGE_BYTES = 4096
SPARE_MIB = 64  # of the guest, for its tables


def huge_share(pid, ram_bytes):
    """Of the guest RAM that the host holds, the part that lies in huge pages."""
    mappings = ram_mappings(pid, ram_bytes)
    present = sum(mapping["Rss"] for mapping in mappings)
    return sum(mapping["AnonHugePages"] + mapping["ShmemPmdMapped"] for mapping in mappings) / present


def measure(context, pattern, depth=1, balloon_mib=128):
    """Boots a guest that gives pages away in this order and takes them back. In nanoseconds a page, a clock of the guest's
    own presumed, and a share of 1."""
    ram_mib = balloon_mib + SPARE_MIB
    vm = context.boot(f"{ram_mib}M", f"size={balloon_mib}M,free_page_reporting=on", f"mode=refill pattern={pattern} depth={depth}")
    match = vm.wait(rf"^refill pattern={pattern} depth={depth} pages=(\d+) give=(\d+) refill=(\d+) unit=(\w+)")
    vm.wait("^ready: all of it is in use again")
    share = huge_share(vm.process.pid, ram_mib * MIB)
    vm.process.terminate()  # presses the power button
    vm.check_pass()
    pages, give, refill = (int(number) for number in match.groups()[:3])
    expect(pages > 0 and refill > 0, f"{pages} pages in {refill} {match[4]}")
    return {
        "pattern": pattern,
        "depth": depth,
        "unit": match[4],
        "give_page": give / pages,
        "refill_page": refill / pages,
        "refill_gib_s": pages * PAGE_BYTES / refill * 1e9 / (1 << 30) if match[4] == "ns" else None,
        "huge_share": share,
    }
