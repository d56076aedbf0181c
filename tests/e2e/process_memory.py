"""The memory of a process as the kernel tells it in /proc/PID/smaps (proc(5)), told apart into guest RAM and the rest."""

import re

LOW_RAM_MAX = 3 << 30  # where guest RAM has its hole for devices: kvm/board.h
RAM_MEMFD = re.compile(r"/memfd:(vmm-balloon guest RAM|memory-backend-memfd)")


class Mapping:
    def __init__(self, head):
        addresses, access, _, _, _, *name = head.split(None, 5)
        start, end = (int(address, 16) for address in addresses.split("-"))
        self.size = end - start
        self.readable = access.startswith("r")
        self.name = name[0].rstrip() if name else ""
        self.fields = {}

    def __getitem__(self, field):
        return self.fields.get(field, 0)


def mappings(pid):
    result = []
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            name, _, value = line.partition(":")
            if value.endswith(" kB\n"):
                result[-1].fields[name] = int(value.split()[0]) * 1024
            elif "-" in name and " " in line:
                if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                    result.append(Mapping(line))
    return result


def is_guest_ram(mapping, ram_bytes):
    """A memfd is known by its name; private RAM has none, but its size is one of the board's. The guards around it are of any
    size, and nobody reads them."""
    low = min(ram_bytes, LOW_RAM_MAX)
    sizes = {ram_bytes, low, ram_bytes - low}
    return mapping.readable and (bool(RAM_MEMFD.match(mapping.name)) or (not mapping.name and mapping.size in sizes))


def ram_mappings(pid, ram_bytes):
    found = [mapping for mapping in mappings(pid) if is_guest_ram(mapping, ram_bytes)]
    total = sum(mapping.size for mapping in found)
    assert total == ram_bytes, f"process {pid}: the mappings that look like guest RAM have {total} bytes, not {ram_bytes}"
    return found


def guest_rss(pid, ram_bytes):
    """Bytes of guest RAM that the host holds in memory. Huge pages of hugetlb count apart."""
    fields = ("Rss", "Shared_Hugetlb", "Private_Hugetlb")
    return sum(mapping[field] for mapping in ram_mappings(pid, ram_bytes) for field in fields)


def footprint(pid, ram_bytes):
    """What the process needs besides guest RAM, in bytes: {"Rss": ..., "Pss": ..., "Private": ...}."""
    rest = [mapping for mapping in mappings(pid) if not is_guest_ram(mapping, ram_bytes)]
    return {
        "Rss": sum(mapping["Rss"] for mapping in rest),
        "Pss": sum(mapping["Pss"] for mapping in rest),
        "Private": sum(mapping["Private_Clean"] + mapping["Private_Dirty"] for mapping in rest),
    }
