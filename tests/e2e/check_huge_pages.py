"""Guest RAM on hugetlb pages: only whole huge pages go back to the host, and what is of no whole one is told."""

import os
import subprocess

from memory_moves import hint_run, keeps_its_data
from scenario import Scenario, check, check_kernel_log, says_nothing_on_stderr
from vm import MIB

KIB = 1 << 10
TWO_MIB, ONE_GIB = 2 * MIB, 1024 * MIB
GUEST_RUN = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "guest", "run")


def free_huge_pages(size):
    """Of the host, not promised to anybody else."""
    with open(f"/sys/kernel/mm/hugepages/hugepages-{size // KIB}kB/free_hugepages") as f:
        return int(f.read())


class HugePages(Scenario):
    """One emulated host with huge pages of both sizes, several VMs. RAM is faulted in before the guest runs, so that what
    the host has back can be counted to the page."""

    host_cmdline = "hugepagesz=1G hugepages=3 hugepagesz=2M hugepages=256 default_hugepagesz=2M"

    def boot_on(self, page_size, memory, **options):
        self.page_size = page_size
        self.memory = memory
        self.boot_another(**options)

    def account(self, balloon):
        """The balloon has reached `balloon`. Returns the bytes that the host has back for it: whole huge pages all, and
        what is in the balloon without being part of one is held."""
        vm = self.vm
        state = vm.state()
        back = vm.ram_bytes - vm.rss()
        free = free_huge_pages(self.page_size) * self.page_size
        assert back == free, f"{back / MIB} MiB of RAM are not in host memory, and {free / MIB} MiB of huge pages are free"
        assert state["ram-rss"] == vm.rss(), f"smaps: {vm.rss()}, x-query-balloon: {state['ram-rss']}"
        assert state["held-bytes"] == balloon - back, f"{balloon - back} bytes of the balloon are not back, {state['held-bytes']} held"
        assert state["queues"]["inflate"]["failed-bytes"] == 0
        return back

    def end(self):
        check_kernel_log(self.vm)
        self.vm.console.start("poweroff -f")
        status = self.vm.wait_exit()
        assert status == 0, f"the guest powered off and the VMM ended with {status}"

    @check
    def built_in_guest_passes(self):
        command = [GUEST_RUN, self.setting.program, "huge-pages", "gigabyte-pages"]
        env = {**os.environ, "VMM_TEST_HOST": "direct"}
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, env=env)
        assert done.stdout.endswith("2 passed, 0 failed, 0 skipped\n"), done.stdout

    @check
    def two_mib_boots(self):
        self.boot_on(TWO_MIB, "512M", example="hugepages.yaml")
        assert self.vm.rss() == self.vm.ram_bytes and free_huge_pages(TWO_MIB) == 0

    @check
    def two_mib_pages_go_back_when_whole(self):
        self.vm.set_balloon(320 * MIB)
        back = self.account(320 * MIB)
        assert back > 288 * MIB, f"of 320 MiB in the balloon the host has {back / MIB} MiB back"

    @check
    def two_mib_pages_in_part_are_held(self):
        """Between pages in use there is no whole huge page; the pages in use keep their data."""
        vm = self.vm
        vm.set_balloon(0)
        with keeps_its_data(vm, "mem comb 192"):
            vm.set_balloon(320 * MIB)
            back = self.account(320 * MIB)
            assert back < 288 * MIB, f"192 MiB have holes, and the host has {back / MIB} MiB back"
            vm.set_balloon(0)
        assert vm.state()["held-bytes"] == 0
        vm.sh("mem touch 400", seconds=240)

    @check
    def two_mib_pages_go_back_by_hints(self):
        vm = self.vm
        vm.set_balloon(0)
        vm.sh("mem touch 400", seconds=240)
        before = vm.rss()
        run = hint_run(vm)
        assert run["phase"] == "done" and run["discarded"] > 256 * MIB and run["failed"] == 0, run
        # What was hinted was not all in host memory: the guest had not used all that the balloon gave back.
        back = before - vm.rss()
        assert 256 * MIB < back <= run["discarded"], f"{run}, and host memory fell by {back / MIB} MiB"
        vm.sh("mem touch 400", seconds=240)

    @check
    def two_mib_ends_with_0(self):
        self.end()

    @check
    def one_gib_boots(self):
        self.memory_options = {"hugepages": True, "hugepage_size": "1G", "prefault": True}
        self.boot_on(ONE_GIB, "3G")
        assert self.vm.rss() == self.vm.ram_bytes and free_huge_pages(ONE_GIB) == 0

    @check
    def one_gib_page_goes_back_if_whole(self):
        """Of three, the kernel is in the first and has its tables in the last. Whether the last pages that it keeps free are
        in the other is chance: it counts what it lent, and the host has back exactly what is whole."""
        vm = self.vm
        with keeps_its_data(vm, "mem hold 64"):
            vm.set_balloon(1280 * MIB)
            vm.set_balloon(2688 * MIB)
            lent = [int(pages) for pages in vm.sh(f"mem lent {ONE_GIB // MIB}").split()]
            whole = lent.count(ONE_GIB // (4 * KIB))
            back = self.account(2688 * MIB)
            assert sum(lent) * 4 * KIB == 2688 * MIB, f"the balloon has 2688 MiB; of each GiB, the guest lent {lent} pages"
            assert back == whole * ONE_GIB, f"the host has {back // MIB} MiB back; of each GiB, the guest lent {lent} pages"
            vm.set_balloon(0)
            assert vm.state()["held-bytes"] == 0
            vm.sh("mem touch 2304", seconds=300)

    @check
    def one_gib_ends_with_0(self):
        self.end()

    says_nothing_on_stderr = says_nothing_on_stderr
