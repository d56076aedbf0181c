"""Free page hinting: runs that the host starts, over QMP."""

import os
import re
import time

from memory_moves import hint_run, settled_rss, touch_most
from qmp import QmpError
from scenario import Scenario, check, kernel_log_is_clean, poweroff_ends_with_0, says_nothing_on_stderr
from thread_stop import stopped
from vm import MIB
from waiting import wait_until

RUNS = 40
# How long a guest may take to take back what it has hinted. Only the first surely is less than the ten seconds after which a
# driver that nobody hears counts as silent, which ends the run.
STOP_SECONDS = (4, 8, 16, 32, 64)
# take KIB MIB: waits until no more than KIB are free, for ten seconds or so, and takes MIB.
TAKE = """take() { n=0; while [ $(awk '/MemFree/ { print $2 }' /proc/meminfo) -gt $1 ] && [ $n -lt 500 ]; do n=$((n + 1)); usleep 20000; done; exec mem hold $2; }"""


def hint_at_rest(vm, least, kept):
    """A run while the guest uses nothing new: at least so much is hinted, and all but `kept` of it goes back. (run, host memory)"""
    run = hint_run(vm)
    assert run["phase"] == "done" and run["failed"] == 0, run
    assert run["hinted"] > least and run["discarded"] >= run["hinted"] - kept, run
    return run, settled_rss(vm, vm.ram_bytes - run["discarded"] + 16 * MIB)


class Hinting(Scenario):
    """Free page hinting alone: without a run, what the guest has freed stays where it is. Four vCPUs."""

    cpus = 4
    memory = "512M"
    balloon = {"size": "0", "free_page_hinting": True}

    @check
    def boots_to_a_shell(self):
        self.boot()

    @check
    def freed_memory_goes_back(self):
        """All that is hinted, since nobody writes to it. The guest has it at its disposal again when the run is over."""
        vm = self.vm
        before = touch_most(vm)
        free = vm.console.meminfo("MemFree")
        run, after = hint_at_rest(vm, 300 * MIB, 64 * MIB)
        print(f"hinting: {run}, RSS {before // MIB} MiB before, {after // MIB} after")
        now = vm.console.meminfo("MemFree")
        assert abs(now - free) < 16 * MIB, f"MemFree was {free} before the run and is {now} after it"
        touch_most(vm)

    @check
    def works_beside_the_balloon(self):
        vm = self.vm
        touch_most(vm)
        vm.set_balloon(256 * MIB)
        run = hint_run(vm)
        assert run["phase"] == "done" and run["discarded"] > 64 * MIB, run
        settled_rss(vm, 200 * MIB)
        vm.set_balloon(0)

    @check
    def second_run_at_once_is_refused(self):
        vm = self.vm
        vm.cmd("stop")
        vm.cmd("x-balloon-hint")
        try:
            vm.cmd("x-balloon-hint")
        except QmpError as e:
            assert e.desc, "an error without a text"
        else:
            raise AssertionError("a run was started while another one was going on")
        finally:
            vm.cmd("cont")
        run = hint_run(vm, start=False)
        assert run["phase"] == "done", run

    @check
    def pages_that_are_in_use_again_are_kept(self):
        """Once the guest has hinted most of its memory, it takes back some of that and writes to it, before anybody has looked:
        the thread that looks, the VMM's first, stands still meanwhile."""
        vm = self.vm
        free = vm.console.meminfo("MemFree")
        left = free - 240 * MIB
        vm.sh(TAKE)
        for seconds in STOP_SECONDS:
            pid = vm.console.spawn(f"take {left // 1024} {left // MIB + 64}", "/tmp/kept")
            vm.cmd("x-balloon-hint")
            with stopped(vm.pid):
                time.sleep(seconds)
            run = hint_run(vm, start=False)
            vm.console.wait_output("cat /tmp/kept", "pages,", 240)
            vm.sh(f"kill -USR1 {pid}")
            kept = vm.console.wait_output("cat /tmp/kept", "intact|damaged")[0]
            vm.sh(f"kill {pid}")
            assert kept == "intact", f"memory that was in use in the guest changed: {run}"
            assert run["phase"] in ("done", "done" if seconds == STOP_SECONDS[0] else "timed-out") and run["failed"] == 0, run
            if run["written"]:
                print(f"hinting: taken back within {seconds} s: {run}")
                return
            wait_until(lambda: vm.console.meminfo("MemFree") > free - 16 * MIB, "the guest's memory is free again")
        raise AssertionError(f"the guest took nothing back in time: {run}")

    @check
    def no_byte_is_lost(self):
        """Two processes take, fill, compare and free memory all the time, up to almost all that there is, while run follows
        run. The guest takes back blocks that it has hinted, so some are written before they are looked at: above all when the
        thread that looks, the VMM's first, has to wait for a processor."""
        vm = self.vm
        vm.set_balloon(128 * MIB)
        os.setpriority(os.PRIO_PROCESS, vm.pid, 10)
        most = (vm.console.meminfo("MemFree") - 40 * MIB) // 2 // MIB
        pids = [vm.console.spawn(f"mem churn {most}", f"/tmp/churn{i}") for i in range(2)]
        runs = []
        for i in range(RUNS):
            runs.append(hint_run(vm))
            time.sleep(i % 4 / 4)
        # One that found damage has ended.
        vm.sh("kill " + " ".join(map(str, pids)), check=False)
        verdicts = [vm.console.wait_output(f"cat /tmp/churn{i}", ".*\n")[0].strip() for i in range(2)]
        total = {name: sum(run[name] for run in runs) for name in ("hinted", "discarded", "written", "failed", "holds")}
        done = sum(run["phase"] == "done" for run in runs)
        print(f"hinting under load: {done} of {RUNS} runs done, {total}; in the guest: {', '.join(verdicts)}")
        checked = [re.match(r"(\d+) MiB intact", verdict) for verdict in verdicts]
        assert all(checked), f"in the guest: {', '.join(verdicts)}"
        assert sum(int(match[1]) for match in checked) > 2 * most, "hardly anything was compared"
        assert done > RUNS // 2 and total["discarded"] > 512 * MIB and total["failed"] == 0, total
        os.setpriority(os.PRIO_PROCESS, vm.pid, 0)
        vm.set_balloon(0)

    kernel_log_is_clean = kernel_log_is_clean
    poweroff_ends_with_0 = poweroff_ends_with_0
    says_nothing_on_stderr = says_nothing_on_stderr


class HintingOfZeroedPages(Scenario):
    """Debian's default: the kernel zeroes each page that the driver allocates for a hint, after the run has begun."""

    memory = "384M"
    cmdline = "init_on_alloc=1"
    balloon = {"size": "0", "free_page_hinting": True}

    @check
    def boots_to_a_shell(self):
        self.boot()

    @check
    def freed_memory_goes_back(self):
        touch_most(self.vm)
        hint_at_rest(self.vm, 160 * MIB, 32 * MIB)

    poweroff_ends_with_0 = poweroff_ends_with_0
    says_nothing_on_stderr = says_nothing_on_stderr
