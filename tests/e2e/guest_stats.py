"""The statistics that a guest's driver sends, as QMP shows them."""

import time

from vm import MIB
from waiting import wait_until

BALLOON = {"path": "/machine/peripheral/balloon0"}
STAT_UNSET = (1 << 64) - 1
STATS_OF_6_1 = (
    "stat-swap-in stat-swap-out stat-major-faults stat-minor-faults stat-free-memory stat-total-memory stat-available-memory"
    " stat-disk-caches stat-htlb-pgalloc stat-htlb-pgfail"
).split()
STATS_SINCE_6_12 = (
    "stat-oom-kills stat-alloc-stalls stat-async-scans stat-direct-scans stat-async-reclaims stat-direct-reclaims"
).split()


def guest_stats(vm):
    return vm.cmd("qom-get", property="guest-stats", **BALLOON)


def asked_stats(vm):
    """What the guest says when it is asked now. One answer may still be on its way, so that the next one counts."""

    def answered_since(second):
        vm.cmd("x-balloon-request-stats")
        return guest_stats(vm)["last-update"] > second

    for _ in range(2):
        now = int(time.time())
        wait_until(lambda: answered_since(now), "the guest answers with statistics", 120)
    return guest_stats(vm)["stats"]


def statistics_move(vm):
    """The guest takes memory, fills its page cache, allocates huge pages: polled and asked for, the values follow."""
    vm.set_balloon(0)
    vm.cmd("qom-set", property="guest-stats-polling-interval", value=1, **BALLOON)

    def fresh():
        after = guest_stats(vm)["last-update"]
        wait_until(lambda: guest_stats(vm)["last-update"] > after + 2, "statistics arrive", 120)
        return guest_stats(vm)["stats"]

    first = fresh()
    total = vm.console.meminfo("MemTotal")
    assert first["stat-total-memory"] == total, f"stat-total-memory {first['stat-total-memory']}, MemTotal {total}"
    pid = vm.console.spawn("mem hold 256", "/tmp/held")
    vm.console.wait_output("cat /tmp/held", "pages")
    second = fresh()
    vm.sh(f"kill {pid}")
    vm.cmd("qom-set", property="guest-stats-polling-interval", value=0, **BALLOON)
    fell = first["stat-free-memory"] - second["stat-free-memory"]
    assert 224 * MIB < fell < 288 * MIB, f"the guest took 256 MiB and stat-free-memory fell by {fell}"
    assert second["stat-available-memory"] < first["stat-available-memory"]
    assert second["stat-minor-faults"] > first["stat-minor-faults"]

    vm.sh("dd if=/dev/zero of=/tmp/cached bs=1M count=64 2>/dev/null; echo 8 >/proc/sys/vm/nr_hugepages")
    third = asked_stats(vm)
    vm.sh("rm /tmp/cached; echo 0 >/proc/sys/vm/nr_hugepages")
    grew = third["stat-disk-caches"] - second["stat-disk-caches"]
    assert 56 * MIB < grew < 80 * MIB, f"the guest wrote a file of 64 MiB and stat-disk-caches grew by {grew}"
    taken = third["stat-htlb-pgalloc"] - second["stat-htlb-pgalloc"]
    assert taken == 8, f"the guest took 8 huge pages and stat-htlb-pgalloc grew by {taken}"


def check_tags(vm, tags):
    stats = asked_stats(vm)
    there = {tag for tag, value in stats.items() if value != STAT_UNSET}
    assert there == tags, f"statistics that should not be there: {there - tags}; that are missing: {tags - there}"
