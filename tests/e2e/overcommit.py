"""The example of overcommitted memory: three VMs of examples/overcommit.yaml, and share-memory, which moves their balloons."""

import csv
import os
import subprocess

from vm import EXAMPLES, MIB, die_with_parent
from waiting import wait_until

NAMES = ("a", "b", "c")
RAM_MIB = 512
BUDGET_MIB = 768


class Overcommit:
    """`make_vm` makes one of a name. `record` is the file that gets the figures."""

    def __init__(self, program, runtime, record, make_vm):
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": runtime, "VMM_BALLOON": program}
        self.runtime = runtime
        self.record = record
        self.vms = {name: make_vm(name) for name in NAMES}
        self.sharing = None

    def boot(self):
        """All at once. Their sockets are where the program's commands look for them."""
        for vm in self.vms.values():
            vm.qmp_path = None
            vm.start()
        for name, vm in self.vms.items():
            vm.connect(os.path.join(self.runtime, "vmm-balloon", name + ".sock"))
        for vm in self.vms.values():
            vm.console.wait_boot()

    def share(self, stdout):
        command = [os.path.join(EXAMPLES, "share-memory"), f"{BUDGET_MIB}M", *NAMES, "--record", self.record]
        self.sharing = subprocess.Popen(command, env=self.environment, stdout=stdout, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)

    def stop_sharing(self):
        self.sharing.terminate()
        self.sharing.wait()

    def hold(self, name, mib):
        """A process in that guest uses memory. Returns its process id when it has all of it."""
        console = self.vms[name].console
        pid = console.spawn(f"mem hold {mib}", "/tmp/held")
        console.wait_output("cat /tmp/held", "pages", 300)
        return pid

    def figures(self):
        """What share-memory has recorded in full lines, numbers in MiB."""
        with open(self.record, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader((line for line in file if line.endswith("\n")), delimiter="\t"))
        return [{key: value if key == "name" else float(value) for key, value in row.items()} for row in rows]

    def balloons(self):
        """{name: MiB}"""
        return {name: vm.balloon_bytes() / MIB for name, vm in self.vms.items()}

    def wait_shared(self, high, used):
        """The VM `high` uses that much, and it is the others that are short of memory."""

        def is_shared():
            sizes = self.balloons()
            others = [size for name, size in sizes.items() if name != high]
            return RAM_MIB - sizes[high] > used and min(others) > (3 * RAM_MIB - BUDGET_MIB) / 3

        wait_until(is_shared, lambda: f"balloons of {self.balloons()} MiB while {high} uses {used} MiB", 200)

    def rss_at_worst(self):
        """MiB that all held together at the worst moment."""
        at = {}
        for row in self.figures():
            at[row["seconds"]] = at.get(row["seconds"], 0) + row["rss"]
        return max(at.values())
