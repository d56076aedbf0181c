"""A VM that has nothing to do does not wake its process."""

import time

from vm import Qmp, expect, follow, refuse_instrumented, wait_until

MIB = 1 << 20
SECONDS = 4
QUIET_SECONDS = 2  # what follows work: events come no closer than a second apart
RAM_MIB = 128


def switches(vm):
    """How often each thread that is no vCPU went off a processor: one that slept all the time did not."""
    kinds = ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
    return {name: sum(int(fields[kind]) for kind in kinds) for name, fields in vm.threads().items() if not name.startswith("vcpu")}


def is_quiet(vm):
    before = switches(vm)
    time.sleep(QUIET_SECONDS)
    return switches(vm) == before


def move(qmp, balloon_mib):
    want = (RAM_MIB - balloon_mib) * MIB
    qmp.command("balloon", value=want)
    wait_until(lambda: qmp.command("query-balloon")["actual"] == want, f"a balloon of {balloon_mib} MiB")


def wakeups(binary, folder, balloon, may_settle):
    """Of a VM that has worked: its balloon moved, and a client came and went."""
    with follow(binary, folder, "--cpus", "2", memory=f"{RAM_MIB}M", balloon=balloon) as vm:
        vm.wait_for("guest: ready")
        qmp = Qmp(vm.qmp_path)
        move(qmp, 32)
        move(qmp, 8)
        qmp.close()
        if may_settle:
            wait_until(lambda: is_quiet(vm), f"its threads come to rest: {switches(vm)}")
        else:
            time.sleep(QUIET_SECONDS)
        before = switches(vm)
        time.sleep(SECONDS)
        after = switches(vm)
        expect(before and set(before) == set(after), f"threads: {sorted(before)}, then {sorted(after)}")
        return {name: after[name] - before[name] for name in after if after[name] != before[name]}, len(after)


def idle_wakes_nobody(binary, folder):
    """But statistics do, if they are on: what is counted here can be seen."""
    refuse_instrumented(binary)
    balloon = "size=0,free_page_reporting=on,free_page_hinting=on"
    woken, n_threads = wakeups(binary, folder, balloon, True)
    expect(not woken, f"woken in {SECONDS} s: {woken}")
    woken, _ = wakeups(binary, folder, f"{balloon},statistics=1", False)
    expect(sum(woken.values()) >= 1, "statistics each second wake nobody: nothing is measured")
    return f"none of {n_threads} threads in {SECONDS} s; with statistics each second {sum(woken.values())} times"


CASES = [idle_wakes_nobody]
