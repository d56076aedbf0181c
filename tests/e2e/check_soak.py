"""Everything at once, for as long as $SOAK_SECONDS says."""

import contextlib
import os
import random
import re
import subprocess
import threading
import time

from bad_clients import Crowd
from guest_stats import BALLOON, guest_stats
from memory_moves import settled_rss
from process_memory import footprint
from qmp import Qmp, QmpError
from scenario import BLAME, Scenario, check, check_kernel_log, poweroff_ends_with_0, says_nothing_on_stderr
from vm import MIB
from waiting import wait_until

SECONDS = int(os.environ.get("SOAK_SECONDS") or 60)
SEED = int(os.environ.get("SOAK_SEED") or time.time())

MOST = 768 * MIB  # of the targets: more than the guest has free, when its processes take all that they may
CHURN_MIB = 160
CHURNS = 3
BAD_CLIENTS = 4
BAD_PAUSE = 10  # seconds between two of one thread: an emulated processor has other things to do, too
RSS_SLACK = 32 * MIB  # of guest RAM: what lies between pages in use is not reported
OWN_SLACK = 4 * MIB  # of the VMM: what its allocator keeps of the clients' buffers
HOST_BLAME = "BUG:|WARNING:|Oops|soft lockup|rcu.*stall|hung_task|blocked for more than|Out of memory"


def host_log():
    """The log of this machine's kernel, nothing where it may not be read."""
    return subprocess.run(["dmesg"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace").stdout.splitlines()


def threads_and_descriptors(vm):
    return {name: len(os.listdir(f"/proc/{vm.pid}/{name}")) for name in ("task", "fd")}


class Soak(Scenario):
    """Four vCPUs. Processes take, fill, compare and free memory; each second the host sets another target, most of them
    beside hinting runs, reports and statistics, and clients of QMP come and go, bad ones too. What the guest needs it takes
    out of the balloon."""

    cpus = 4
    memory = "1G"
    balloon = {"size": "0", "deflate_on_oom": True, "free_page_hinting": True, "free_page_reporting": True, "statistics": 1}

    def count(self, what, number=1):
        self.counts[what] = self.counts.get(what, 0) + number

    def rest(self, most):
        """The guest at rest, all that it does not use given back: (what it uses, host memory). Linux reports no less than huge
        pages: what is free in smaller pieces stays, and how much that is depends on what happens to lie between. So the balloon
        takes nearly all that is free, and when it is empty again the guest has touched none of it: `most` is left."""
        vm = self.vm
        vm.set_balloon(0)
        vm.sh("echo 1 >/proc/sys/vm/compact_memory")
        vm.sh(f"mem touch {vm.console.meminfo('MemFree') // MIB - 64}", seconds=300)

        def is_back():
            self.used, self.small = vm.ram_bytes - vm.console.meminfo("MemFree"), vm.console.small_free_bytes()
            return vm.rss() <= self.used + self.small + RSS_SLACK

        def why_not():
            return f"RSS {vm.rss() // MIB} MiB, used {self.used // MIB}, free in small pieces {self.small // MIB}"

        wait_until(is_back, why_not, 300)
        vm.set_balloon((vm.console.meminfo("MemFree") // MIB - 48) * MIB)
        vm.set_balloon(0)
        return self.used, settled_rss(vm, most)

    @check
    def boots_to_a_shell(self):
        print(f"soak: SOAK_SECONDS={SECONDS} SOAK_SEED={SEED}", flush=True)
        random.seed(SEED)
        self.counts = {}
        self.target = 0
        self.slowest = 0
        self.host_log = len(host_log())
        self.boot()
        check_kernel_log(self.vm)

    @check
    def guest_takes_its_memory(self):
        """What it is at the beginning, and should be again in the end."""
        vm = self.vm
        self.base_used, self.base = self.rest(self.vm.ram_bytes // 4)
        self.before = {**threads_and_descriptors(vm), "own": footprint(vm.pid, vm.ram_bytes)["Private"]}
        vm.sh("dd if=/dev/urandom of=/tmp/noise bs=1M count=32 2>/dev/null")
        self.digest = vm.sh("sha256sum /tmp/noise")
        self.kept = [vm.console.spawn(f"mem {how} 64", f"/tmp/{how}") for how in ("hold", "comb")]
        for how in ("hold", "comb"):
            vm.console.wait_output(f"cat /tmp/{how}", "pages,", 240)
        self.churns = [vm.console.spawn(f"mem churn {CHURN_MIB} {SEED + i}", f"/tmp/churn{i}") for i in range(CHURNS)]
        self.short = vm.console.spawn("sh -c 'while mem touch 24; do :; done'", "/tmp/short")
        # The shell has to get a word in.
        vm.sh("renice -n 10 -p " + " ".join(map(str, [*self.churns, self.short])))

    @check(seconds=SECONDS + 600)
    def lives_through_it_all(self):
        crowd = Crowd(self.vm.qmp_path, BAD_CLIENTS, BAD_PAUSE)
        self.put_first()
        begin, minutes = time.monotonic(), 0
        try:
            while time.monotonic() - begin < SECONDS:
                now = time.monotonic()
                self.one_second()
                if now - begin > 60 * (minutes + 1):
                    minutes += 1
                    self.look(f"{now - begin:.0f} s")
                time.sleep(max(0, now + 1 - time.monotonic()))
        finally:
            crowd.end()
            self.count("bad clients", next(crowd.n_connections))
            self.look("the end")
        missing = {"X_BALLOON_HINT_DONE", "X_BALLOON_TARGET_REACHED"} - self.counts.keys()
        assert not missing, f"never came: {missing}"

    def put_first(self):
        """On a host with fewer processors than the guest: who sets the targets and who obeys should not have to wait for
        each of the vCPUs."""
        with contextlib.suppress(PermissionError):
            for thread in (threading.get_native_id(), self.vm.pid):
                os.setpriority(os.PRIO_PROCESS, thread, -10)

    def one_second(self):
        """A new target, as often near to the last as anywhere."""
        vm = self.vm
        near = self.target + random.randrange(-64 * MIB, 64 * MIB, 4096)
        self.target = random.choice((min(max(near, 0), MOST), random.randrange(0, MOST, 4096)))
        vm.ask_balloon(self.target)
        self.count("targets")
        if random.random() < 0.5:
            self.start_hinting()
        if random.random() < 0.1:
            vm.cmd("qom-set", property="guest-stats-polling-interval", value=random.randrange(4), **BALLOON)
        if random.random() < 0.1:
            vm.cmd("stop")
            time.sleep(random.random() / 4)
            vm.cmd("cont")
            self.count("stops")
        self.good_client()
        while vm.qmp.events:
            self.count(vm.qmp.events.popleft()["event"])

    def start_hinting(self):
        try:
            self.vm.cmd("x-balloon-hint")
            self.count("hinting runs")
        except QmpError as e:
            assert "is on already" in e.desc, e.desc
            self.count("hinting refused")

    def good_client(self):
        """One of its own connection, which takes the time of all that it is answered."""
        with open(os.devnull, "w") as nowhere:
            client = Qmp(self.vm.qmp_path, nowhere)
            for command, arguments in (("query-balloon", {}), ("x-query-balloon", {}), ("qom-get", {"property": "guest-stats", **BALLOON})):
                begin = time.monotonic()
                client.cmd(command, **arguments)
                self.slowest = max(self.slowest, time.monotonic() - begin)
            client.close()
        self.count("good clients")

    def look(self, when):
        """Once a minute: the guest's shell answers, its kernel has nothing to complain of, and the figures so far. The
        kernel remarks that it is out of puff when it is asked for more than it has."""
        vm = self.vm
        bad = vm.sh(f"dmesg -c | grep -E '{BLAME}' | grep -v 'Out of puff' | head -n 20", check=False)
        with open(os.path.join(self.folder, "soak.log"), "a") as log:
            own = footprint(vm.pid, vm.ram_bytes)["Private"]
            print(f"{when}: {self.counts}, slowest answer {self.slowest:.2f} s, RSS {vm.rss() // MIB} MiB, own {own // 1024} KiB,"
                  f" {threads_and_descriptors(vm)} {bad}\n  {vm.state()}", file=log)
        assert not bad, f"the guest's kernel complains:\n{bad}"

    @check
    def every_byte_is_intact(self):
        vm = self.vm
        vm.ask_balloon(0)
        vm.sh(f"kill {self.short}; kill " + " ".join(map(str, self.churns)), check=False)
        verdicts = [vm.console.wait_output(f"cat /tmp/churn{i}", ".*\n")[0].strip() for i in range(CHURNS)]
        vm.sh("kill -USR1 " + " ".join(map(str, self.kept)))
        verdicts += [vm.console.wait_output(f"cat /tmp/{how}", "intact|damaged")[0] for how in ("hold", "comb")]
        assert all(verdict.endswith("intact") for verdict in verdicts), verdicts
        assert vm.sh("sha256sum /tmp/noise") == self.digest, "a file in the guest's memory changed"
        lost = vm.sh("grep -v 'pages, ' /tmp/short", check=False)
        assert not lost, f"a process that took memory again and again: {lost}"
        self.count("MiB compared", sum(int(re.match(r"(\d*)", verdict)[1] or 0) for verdict in verdicts))

    @check
    def nothing_was_killed(self):
        """All that the guest wanted was in the balloon."""
        kills = self.vm.sh("grep oom_kill /proc/vmstat").strip()
        assert kills == "oom_kill 0", kills

    @check
    def statistics_went_on(self):
        vm = self.vm
        before = guest_stats(vm)["last-update"]
        vm.cmd("qom-set", property="guest-stats-polling-interval", value=1, **BALLOON)
        time.sleep(5)
        assert guest_stats(vm)["last-update"] > before

    @check
    def memory_goes_back(self):
        vm = self.vm
        vm.sh("rm /tmp/noise; kill " + " ".join(map(str, self.kept)))
        vm.sh("echo 3 >/proc/sys/vm/drop_caches")
        used, after = self.rest(self.base + RSS_SLACK)
        queues = vm.state()["queues"]
        moved = {name: queue["discarded-bytes"] // MIB for name, queue in queues.items() if "discarded-bytes" in queue}
        print(f"soak: {self.counts}, MiB discarded {moved}, of hinted pages written since {queues['hint']['written-bytes'] // MIB} MiB,"
              f" slowest answer {self.slowest:.2f} s, RSS {self.base // MIB} MiB before, {after // MIB} after,"
              f" in use {self.base_used // MIB} and {used // MIB} MiB, free in small pieces {self.small // MIB} at the end")
        assert used <= self.base_used + RSS_SLACK, f"the guest uses {used // MIB} MiB, {self.base_used // MIB} at the beginning"
        assert not any(queue.get("failed-bytes") for queue in queues.values()), queues

    @check
    def vmm_is_as_it_was(self):
        vm = self.vm
        now = threads_and_descriptors(vm)
        own = footprint(vm.pid, vm.ram_bytes)["Private"]
        print(f"soak: at the beginning {self.before}, now {now}, own {own}")
        assert all(now[name] == self.before[name] for name in now), f"{self.before} before, {now} now"
        assert own < self.before["own"] + OWN_SLACK, f"the VMM's own memory was {self.before['own']} bytes, and is {own}"

    @check
    def host_log_is_clean(self):
        bad = [line for line in host_log()[self.host_log :] if re.search(HOST_BLAME, line)]
        assert not bad, "the host's kernel complains:\n" + "\n".join(bad)

    poweroff_ends_with_0 = poweroff_ends_with_0
    says_nothing_on_stderr = says_nothing_on_stderr
