"""What is in examples/ works as it stands. Those that are not here are the VMs of scenarios about what they show."""

import os
import re
import shutil
import subprocess

from memory_moves import settled_rss
from overcommit import BUDGET_MIB, Overcommit
from scenario import SMALL_HOST, Scenario, check, check_kernel_log, says_nothing_on_stderr
from vm import EXAMPLES, MIB
from waiting import wait_until


class Examples(Scenario):
    """All of them are what the program takes."""

    memory = "1G"

    @check
    def specs_are_valid(self):
        folder = os.path.join(self.folder, "examples")
        shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("vmlinuz", "initrd.img"))
        for name in ("vmlinuz", "initrd.img"):
            with open(os.path.join(folder, name), "w"):
                pass
        specs = [name for name in os.listdir(folder) if name.endswith((".yaml", ".json"))]
        assert "debian.yaml" in specs
        for name in specs:
            command = [self.setting.program, "config", os.path.join(folder, name)]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
            said = [line for line in done.stderr.splitlines() if not re.search(SMALL_HOST, line)]
            assert done.returncode == 0 and not said, f"{name}: status {done.returncode}: {done.stderr}"
            assert f"name: {name.rpartition('.')[0]}\n" in done.stdout, done.stdout

    @check
    def cloud_hypervisor_body_runs(self):
        """Two vCPUs, shared memory, a balloon: each as the body says."""
        vm = self.boot(example="cloud-hypervisor.json")
        assert vm.sh("nproc").strip() == "2"
        vm.wait_balloon(256 * MIB)
        vm.sh("mem touch 300", seconds=240)
        settled_rss(vm, 256 * MIB, 300)
        state = vm.state()
        assert {"deflate-on-oom", "free-page-reporting"} <= set(state["negotiated-features"]), state
        check_kernel_log(vm)

    says_nothing_on_stderr = says_nothing_on_stderr


class SharedBudget(Scenario):
    """examples/overcommit.yaml with share-memory: three guests of 512 MiB each on 768 MiB."""

    memory = "512M"

    @check
    def boots_three_vms(self):
        record = os.path.join(self.folder, "overcommit.tsv")
        self.all = Overcommit(self.setting.program, self.setting.runtime, record, lambda name: self.make_vm(self.spec(name), example="overcommit.yaml"))
        self.all.boot()
        with open(os.path.join(self.folder, "share-memory.log"), "w") as log:
            self.all.share(log)

    @check
    def memory_goes_where_it_is_needed(self):
        every = self.all
        for name in ("a", "b"):
            pid = every.hold(name, 300)
            every.wait_shared(name, 300)
            vm = every.vms[name]
            vm.sh(f"kill -USR1 {pid}")
            vm.console.wait_output("cat /tmp/held", "intact")
            vm.sh(f"kill {pid}")

    @check
    def host_memory_stays_in_the_budget(self):
        worst = self.all.rss_at_worst()
        assert 300 < worst <= BUDGET_MIB, f"together they held {worst:.0f} MiB"

    @check
    def nobody_was_killed(self):
        for vm in self.all.vms.values():
            assert vm.sh("grep oom_kill /proc/vmstat").strip() == "oom_kill 0", f"{vm.name} killed a process"

    @check
    def it_ends_when_a_vm_does(self):
        self.vm = self.all.vms["c"]
        self.vm.cmd("system_powerdown")
        assert self.vm.wait_exit() == 0
        wait_until(lambda: self.all.sharing.poll() is not None, "share-memory ends")
        assert self.all.sharing.returncode == 1

    says_nothing_on_stderr = says_nothing_on_stderr
