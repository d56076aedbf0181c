"""The cases: each function at the end of this file is one."""

import ctypes
import json
import os
import re
import resource
import shlex
import struct
import subprocess
import tempfile

SECONDS = 180
HOST_SECONDS = 600
PASS_IN = "pass the device into this container: docker or podman run --device /dev/kvm"
THP = "/sys/kernel/mm/transparent_hugepage/"
NOBODY = 65534
OTHER_GROUP = 1  # "daemon" on every Debian


class Wrong(Exception):
    """The case fails; the text says why."""


class Skip(Exception):
    """The case cannot run here; the text says why."""


def expect(condition, text):
    if not condition:
        raise Wrong(text)


# ---- Running it ----------------------------------------------------------


class Report:
    """What doctor said: a dict of its checks, the exit status, and the text that people read."""

    def __init__(self, context, command, setup=None):
        text = run(command, setup)
        context.reports.append(f"$ {shlex.join(command)}\n{text.stdout}{text.stderr}")
        table = run(command + ["--json"], setup)
        expect(not table.stderr, f"--json: standard error says {table.stderr}")
        try:
            parsed = json.loads(table.stdout)
        except ValueError:
            raise Wrong(f"--json: status {table.returncode}, not JSON: {table.stdout!r}") from None
        self.checks = {check["check"]: check for check in parsed["checks"]}
        self.runs_vms = parsed["runs-vms"]
        self.status = text.returncode
        self.text = text.stdout
        self.check_form(table.returncode)

    def check_form(self, json_status):
        """The two forms agree, faults come with cost and remedy, and lines fit a terminal."""
        expect(self.status == json_status == (0 if self.runs_vms else 1), f"status {self.status} and {json_status}, runs-vms {self.runs_vms}")
        broken = [name for name, check in self.checks.items() if check["verdict"] == "broken"]
        expect(self.runs_vms == (not broken), f"runs-vms {self.runs_vms}, but broken is {broken}")
        for name, check in self.checks.items():
            fault = check["verdict"] in ("degraded", "broken")
            expect(fault == ("cost" in check) == ("remedy" in check), f"cost and remedy of {check}")
            expect(any(line.startswith(f"{check['verdict']:9} {name} ") for line in self.text.splitlines()), f"the text does not say of {name}: {check['verdict']}")
        for line in self.text.splitlines():
            expect(len(line) < 80 or len(line.split()) == 1 or " " not in line[27:], f"a line of {len(line)} columns: {line}")

    def verdict(self, name, verdict, found="", remedy=""):
        check = self.checks[name]
        expect(check["verdict"] == verdict, f"{name} is {check['verdict']}, not {verdict}: {check['found']}")
        expect(found in check["found"], f"{name} found {check['found']!r}, not {found!r}")
        expect(remedy in check.get("remedy", ""), f"the remedy of {name} is {check.get('remedy')!r}, not {remedy!r}")


def run(command, setup=None):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, preexec_fn=setup, check=False)


def limited(limits):
    def setup():
        for number, value in limits.items():
            resource.setrlimit(number, (value, value))

    return setup


def in_mount_namespace(script, command):
    """The command after a shell script, both where mounts are nobody else's."""
    if os.getuid() != 0:
        raise Skip("only root can mount")
    return ["unshare", "--mount", "sh", "-ec", script + '\nexec "$@"', "sh", *command]


def doctor_with_files(context, files):
    """doctor without KVM, which would take its time, where some files have other contents; None: a folder that is empty."""
    lines = [own_dev(":")]
    for path, text in files.items():
        fake = os.path.join(tempfile.mkdtemp(dir=context.folder), "fake")
        if not os.path.exists(path):
            raise Skip(f"this host has no {path}")
        if text is None:
            os.mkdir(fake)
        else:
            with open(fake, "w") as f:
                f.write(text)
        lines.append(f"mount --bind {fake} {path}")
    return Report(context, in_mount_namespace("\n".join(lines), [context.binary, "doctor"]))


def own_dev(node):
    """Shell lines for a /dev with null, zero, full and random, and `node`, a line that makes kvm or nothing."""
    lines = ["dev=$(mktemp -d)", 'mount -t tmpfs -o mode=0755 none "$dev"']
    lines += [f'touch "$dev/{name}"; mount --bind /dev/{name} "$dev/{name}"' for name in ("null", "zero", "full", "urandom")]
    return "\n".join(lines + [node, 'mount --rbind "$dev" /dev', 'umount "$dev" 2>/dev/null || umount -l "$dev"', 'rmdir "$dev"'])


def as_nobody(command, groups="--clear-groups"):
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", *groups.split(), *command]


def private_runtime(context):
    folder = os.path.join(context.folder, "run")
    os.mkdir(folder, 0o700)
    os.chown(folder, NOBODY, NOBODY)
    return f"XDG_RUNTIME_DIR={folder}"


def refuse(numbers, error):
    """A seccomp filter as a container has one: these system calls fail, the others pass (linux/filter.h, linux/seccomp.h)."""
    code = [struct.pack("HBBI", 0x20, 0, 0, 0)]  # load seccomp_data.nr
    for number in numbers:
        code += [struct.pack("HBBI", 0x15, 0, 1, number), struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | error)]
    code.append(struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000))
    program = b"".join(code)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)

    def setup():
        assert buffer
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        if libc.prctl(22, 2, header, 0, 0) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
            raise OSError(ctypes.get_errno(), "no seccomp filter")

    return setup


def usable_kvm():
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def kvm_remedy(outside):
    """What doctor advises here: in a container, where these tests may run themselves, only to pass the device in (linux/nsfs.h)."""
    first = {"user": 0xEFFFFFFD, "pid": 0xEFFFFFFC}
    inside = any(os.stat(f"/proc/self/ns/{name}").st_ino != number for name, number in first.items())
    return PASS_IN if inside else outside


def need_kvm():
    if not usable_kvm():
        raise Skip("no /dev/kvm here; emulated-host tries it")


# ---- Cases ---------------------------------------------------------------


def as_it_is(context):
    report = Report(context, [context.binary, "doctor"])
    if not usable_kvm():
        report.verdict("kvm", "broken")
        report.verdict("built-in guest", "untried")
        return
    report.verdict("kvm", "ok", "/dev/kvm has all that is needed")
    report.verdict("built-in guest", "ok", "gave 32 MiB away and got them back")
    report.verdict("dirty log", "ok", "notes which pages a guest writes")
    with open("/proc/cpuinfo") as f:
        has_virt = any(flag in f.read().split() for flag in ("vmx", "svm"))
    if has_virt:
        report.verdict("guest kernels", "ok", "a guest's kernel mode did each of 3 instructions that no interpreter knows")
    else:
        report.verdict("guest kernels", "degraded", "interprets a guest's kernel mode: it gave up at ", "nested virtualisation")


def no_device(context):
    report = Report(context, in_mount_namespace(own_dev(":"), [context.binary, "doctor"]))
    report.verdict("kvm", "broken", "No such file", kvm_remedy("load the kvm_intel or kvm_amd module"))
    for name in ("guest kernels", "built-in guest", "dirty log"):
        report.verdict(name, "untried")


def another_device(context):
    """What is there is not KVM."""
    report = Report(context, in_mount_namespace(own_dev('touch "$dev/kvm"; mount --bind /dev/null "$dev/kvm"'), [context.binary, "doctor"]))
    report.verdict("kvm", "broken", "does not answer as KVM")


def device_without_driver(context):
    report = Report(context, in_mount_namespace(own_dev('mknod -m 0666 "$dev/kvm" c 10 0'), [context.binary, "doctor"]))
    report.verdict("kvm", "broken", "No such device", "no KVM module stands behind it")


def another_user(context):
    node = f'mknod -m 0660 "$dev/kvm" c 10 232; chgrp {OTHER_GROUP} "$dev/kvm"'
    environment = ["env", private_runtime(context)]
    report = Report(context, in_mount_namespace(own_dev(node), as_nobody([*environment, context.binary, "doctor"])))
    report.verdict("kvm", "broken", "Permission denied", kvm_remedy("usermod -aG daemon nobody, then log in again"))
    report.verdict("runtime folder", "ok", context.folder)
    without = as_nobody(["env", "-u", "XDG_RUNTIME_DIR", context.binary, "doctor"])
    report = Report(context, in_mount_namespace("mount -t tmpfs -o mode=1777 none /run\n" + own_dev(node), without))
    report.verdict("runtime folder", "degraded", f"/tmp/vmm-balloon-{NOBODY}", "log in through systemd-logind")
    os.rmdir(f"/tmp/vmm-balloon-{NOBODY}")
    need_kvm()
    # The remedy is one.
    report = Report(context, in_mount_namespace(own_dev(node), as_nobody([*environment, context.binary, "doctor"], f"--groups={OTHER_GROUP}")))
    report.verdict("kvm", "ok")
    report.verdict("built-in guest", "ok")
    expect(report.runs_vms, "an unprivileged user of the group cannot run VMs")


def nobodys_device(context):
    """A device for root alone: the group has to be given rights first."""
    command = as_nobody(["env", private_runtime(context), context.binary, "doctor"])
    report = Report(context, in_mount_namespace(own_dev('mknod -m 0600 "$dev/kvm" c 10 232'), command))
    report.verdict("kvm", "broken", "Permission denied", kvm_remedy("chgrp kvm /dev/kvm && chmod 0660 /dev/kvm, usermod -aG kvm nobody"))


def container(context):
    """Root of a user namespace that owns nothing: neither the device nor /run."""
    inside = ["unshare", "--user", "--map-root-user", "--mount", "env", "-u", "XDG_RUNTIME_DIR", context.binary, "doctor"]
    command = in_mount_namespace(own_dev('mknod -m 0600 "$dev/kvm" c 10 232'), as_nobody(inside))
    if run(["unshare", "--user", "true"]).returncode:
        raise Skip("this host has no user namespaces")
    report = Report(context, command)
    report.verdict("kvm", "broken", "Permission denied", PASS_IN)
    report.verdict("runtime folder", "broken", "/run/vmm-balloon", "export XDG_RUNTIME_DIR=")
    expect(report.status == 1, f"status {report.status}")
    # One of another kind, without any device.
    inside = ["unshare", "--pid", "--fork", "--mount-proc", context.binary, "doctor"]
    Report(context, in_mount_namespace(own_dev(":"), inside)).verdict("kvm", "broken", "No such file", PASS_IN)


def filtered(context):
    """System calls that a container's filter does not know."""
    numbers = {"process_madvise": 440, "landlock_create_ruleset": 444}
    report = Report(context, [context.binary, "doctor"], refuse(numbers.values(), 38))
    report.verdict("process_madvise", "degraded", remedy="Linux 6.13")
    report.verdict("Landlock", "degraded", "Function not implemented", "Linux 5.13")
    if usable_kvm():
        report.verdict("built-in guest", "ok")
    report = Report(context, [context.binary, "doctor"], refuse([319], 38))
    report.verdict("memfd", "broken", "memfd_create fails", "let the seccomp filter of a container pass memfd_create")
    report = Report(context, [context.binary, "doctor"], refuse([317], 38))
    report.verdict("seccomp", "broken", "Function not implemented", "--no-sandbox")
    if usable_kvm():
        report.verdict("built-in guest", "broken", "the sandbox's system call filters")
    # Switched off at boot, not missing.
    report = Report(context, [context.binary, "doctor"], refuse([444], 95))
    report.verdict("Landlock", "degraded", "not supported", "its lsm= option")


def settings(context):
    never = "always madvise [never]\n"
    report = doctor_with_files(context, {THP + "enabled": never, "/proc/sys/vm/overcommit_memory": "2\n"})
    report.verdict("THP", "degraded", "[never]", f"echo madvise >{THP}enabled")
    report.verdict("overcommit", "degraded", "is 2", "sysctl vm.overcommit_memory=0")
    report = doctor_with_files(context, {THP + "enabled": "[always] madvise never\n", "/proc/sys/vm/overcommit_memory": "1\n"})
    report.verdict("THP", "ok", "[always]")
    report.verdict("overcommit", "ok", "is 1")
    report = doctor_with_files(context, {THP + "defrag": "always defer defer+madvise madvise [never]\n", THP + "khugepaged/max_ptes_none": "511\n"})
    report.verdict("THP defrag", "degraded", "[never]", f"echo madvise >{THP}defrag")
    report.verdict("khugepaged", "degraded", "511", f"echo 0 >{THP}khugepaged/max_ptes_none")
    report = doctor_with_files(context, {THP + "defrag": "always [defer] defer+madvise madvise never\n", THP + "khugepaged/max_ptes_none": "0\n"})
    report.verdict("THP defrag", "ok", "[defer]")
    report.verdict("khugepaged", "ok", "max_ptes_none: 0")


def settings_of_shared_memory(context):
    choices = "always within_size advise never deny force"
    for choice, verdict in {"always": "ok", "advise": "ok", "within_size": "ok", "never": "degraded", "deny": "degraded"}.items():
        report = doctor_with_files(context, {THP + "shmem_enabled": choices.replace(choice, f"[{choice}]") + "\n"})
        report.verdict("THP of memfd", verdict, f"[{choice}]", "" if verdict == "ok" else f"echo advise >{THP}shmem_enabled")


def pools(context):
    pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/"
    report = doctor_with_files(context, {pool + "free_hugepages": "3\n", pool + "nr_hugepages": "4\n"})
    report.verdict("hugetlb", "ok", "2M: 3 of 4 free")
    report = doctor_with_files(context, {pool + "free_hugepages": "0\n", pool + "nr_hugepages": "4\n"})
    report.verdict("hugetlb", "degraded", "2M: 0 of 4 free", "sysctl vm.nr_hugepages=N")
    report = doctor_with_files(context, {"/sys/kernel/mm/hugepages": None, "/sys/kernel/mm/transparent_hugepage": None, "/proc/pressure": None})
    report.verdict("hugetlb", "degraded", "no pools", "CONFIG_HUGETLBFS")
    report.verdict("THP", "degraded", "no transparent huge pages", "CONFIG_TRANSPARENT_HUGEPAGE")
    report.verdict("THP of memfd", "degraded", remedy="CONFIG_SHMEM")
    for name in ("THP defrag", "khugepaged"):
        report.verdict(name, "untried", "no transparent huge pages")
    report.verdict("pressure", "degraded", "No such file", "CONFIG_PSI")


def without_proc(context):
    """Nothing that asks the kernel through /proc may take silence for a yes; the program cannot find itself to start a VM."""
    report = Report(context, in_mount_namespace("mount -t tmpfs none /proc", [context.binary, "doctor"]))
    report.verdict("pagemap scan", "degraded", remedy="/proc mounted")
    report.verdict("overcommit", "degraded", remedy="mount -t proc proc /proc")
    report.verdict("cgroup", "degraded", "not mounted")
    if usable_kvm():
        report.verdict("built-in guest", "broken", "cannot run /proc/self/exe")


def doctor_in_cgroup(context, files):
    """doctor in the group /vms/web of a hierarchy that has these files and no more."""
    top = tempfile.mkdtemp(dir=context.folder)
    for name, text in {"cgroup.controllers": "cpu memory hugetlb pids\n", **files}.items():
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
    mount = f"mount -t tmpfs none /proc; mkdir /proc/self; echo '1 1 0:1 / {top} rw - cgroup2 none rw' >/proc/self/mountinfo; echo 0::/vms/web >/proc/self/cgroup"
    return top, Report(context, in_mount_namespace(own_dev(":") + "\n" + mount, [context.binary, "doctor"]))


def limits_of_a_cgroup(context):
    _, report = doctor_in_cgroup(context, {"vms/web/memory.max": "max\n", "vms/memory.high": "max\n"})
    report.verdict("cgroup", "ok", "v2, no limit on this process")
    # What binds is the smallest on the way up.
    top, report = doctor_in_cgroup(context, {"vms/web/memory.max": f"{3 << 30}\n", "vms/memory.max": f"{1 << 30}\n", "memory.max": f"{2 << 30}\n", "vms/web/pids.max": "500\n"})
    report.verdict("cgroup", "ok")
    expect(report.checks["cgroup"]["found"] == f"v2, 1024 MiB by {top}/vms/memory.max, 500 threads by {top}/vms/web/pids.max", f"{report.checks['cgroup']}")
    for name, value, found, cost, remedy in (
        ("memory.max", 100 << 20, "100 MiB", "is killed", "echo 1G"),
        ("memory.high", 0, "0 MiB", "is held up", "echo max"),
        ("memory.swap.max", 0, "0 MiB", None, None),
        ("pids.max", 60, "60 threads", "a VM of more vCPUs does not start", "echo max"),
        ("hugetlb.2MB.max", 4 << 20, "4 MiB", "pages of 2M", "echo max"),
        ("hugetlb.2MB.rsvd.max", 0, "0 MiB", "pages of 2M", "echo max"),
        ("hugetlb.1GB.max", 1 << 30, "1024 MiB", None, None),
        ("hugetlb.1GB.rsvd.max", 0, "0 MiB", "pages of 1G", "echo max"),
    ):
        top, report = doctor_in_cgroup(context, {f"vms/{name}": f"{value}\n"})
        report.verdict("cgroup", "degraded" if cost else "ok", f"v2, {found} by {top}/vms/{name}", f"{remedy} >{top}/vms/{name}" if cost else "")
        expect(not cost or cost in report.checks["cgroup"]["cost"], f"{report.checks['cgroup']}")


def limits(context):
    limit = {resource.RLIMIT_AS: 1 << 30, resource.RLIMIT_DATA: 1 << 30, resource.RLIMIT_NPROC: 200, resource.RLIMIT_NOFILE: 100, resource.RLIMIT_FSIZE: 1 << 20}
    report = Report(context, [context.binary, "doctor"], limited(limit))
    report.verdict("address space", "degraded", "1024 MiB", "ulimit -v unlimited, in a unit LimitAS=infinity")
    report.verdict("data", "degraded", "1024 MiB of data", "ulimit -d unlimited, in a unit LimitDATA=infinity")
    report.verdict("file size", "degraded", "1 MiB", "LimitFSIZE=infinity")
    report.verdict("open files", "degraded", "100 open files", "ulimit -n 1024")
    report.verdict("processes", "degraded", "200 processes", "LimitNPROC=1024")
    if usable_kvm():
        report.verdict("built-in guest", "ok")


def hard_limits(context):
    """Limits under which VMs do not run, or not all of them."""
    report = Report(context, [context.binary, "doctor"], limited({resource.RLIMIT_FSIZE: 100}))
    report.verdict("memfd", "degraded", "ftruncate fails on a memfd: File too large", "ulimit -f unlimited")
    need_kvm()
    report = Report(context, [context.binary, "doctor"], limited({resource.RLIMIT_AS: 50 << 20}))
    report.verdict("built-in guest", "broken", "cannot map 64 MiB of guest RAM", "vmm-balloon run")
    report = Report(context, [context.binary, "doctor"], limited({resource.RLIMIT_NOFILE: 12}))
    report.verdict("built-in guest", "broken", "Too many open files")


def file_limit_of_a_vm(context):
    """A limit on files ends a VM on shared memory with a message, not by a signal."""
    need_kvm()
    command = [context.binary, "run", "--memory", "size=64M,shared=on", "--name", f"doctor-test-{os.getpid()}"]
    result = run(command, limited({resource.RLIMIT_FSIZE: 1 << 20}))
    expect(result.returncode == 1, f"status {result.returncode}")
    expect("cannot size the memfd of guest RAM to 64 MiB: File too large" in result.stderr, result.stderr)


def usage(context):
    result = run([context.binary, "doctor", "--jsonn"])
    expect(result.returncode == 2 and "unknown option '--jsonn'; did you mean '--json'?" in result.stderr, f"status {result.returncode}: {result.stderr}")
    result = run([context.binary, "help", "doctor"])
    expect(result.returncode == 0 and result.stdout.startswith("Usage: vmm-balloon doctor"), f"status {result.returncode}: {result.stdout}")
    with open("/dev/full", "w") as full:
        status = subprocess.run([context.binary, "doctor"], stdout=full, stderr=subprocess.DEVNULL, check=False).returncode
    expect(status == 1, f"status {status} on a full disk")


def emulated_host(context):
    """A host whose processor has SVM: stock kernels run there. In it cgroup v2 can be had whole, so that is tried, too."""
    reason = run([os.path.join(context.tests, "kvmhost", "needed")])
    if reason.returncode == 0:
        raise Skip(f"as-it-is tried it: {reason.stdout.strip()}")
    script = """
        mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null || { mkdir -p /tmp/cg; mount -t cgroup2 none /tmp/cg; }
        at=$(sed -n 's/.* \\([^ ]*\\) [^ ]* - cgroup2 .*/\\1/p' /proc/self/mountinfo | tail -n 1)
        echo '+memory +pids +hugetlb' >"$at/cgroup.subtree_control"
        mkdir "$at/small"
        echo 200M >"$at/small/memory.max"
        "$0" doctor --json
        rm /dev/kvm # to be done with it in a moment
        echo $$ >"$at/small/cgroup.procs"
        "$0" doctor --json
        echo 100M >"$at/small/memory.max"
        "$0" doctor --json
        echo max >"$at/small/memory.max"
        for limit in memory.high=100M memory.swap.max=64M pids.max=100 hugetlb.2MB.max=4M hugetlb.2MB.rsvd.max=1G; do
            echo "${limit#*=}" >"$at/small/${limit%=*}"
        done
        "$0" doctor --json
        true
    """
    command = [os.path.join(context.tests, "kvmhost", "run"), "--timeout", str(HOST_SECONDS), "sh", "-c", script, context.binary]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * HOST_SECONDS, check=False)
    context.reports.append(result.stdout + result.stderr)
    reports = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    expect(result.returncode == 0 and len(reports) == 4, f"status {result.returncode} and {len(reports)} reports")
    unlimited, limited_, small, others = ({check["check"]: check for check in report["checks"]} for report in reports)
    expect(unlimited["guest kernels"]["verdict"] == "ok", f"guest kernels: {unlimited['guest kernels']}")
    for name in ("kvm", "built-in guest", "dirty log"):
        expect(unlimited[name]["verdict"] == "ok", f"{unlimited[name]}")
    expect(unlimited["cgroup"] == {"check": "cgroup", "verdict": "ok", "found": "v2, no limit on this process"}, f"{unlimited['cgroup']}")
    expect("200 MiB" in limited_["cgroup"]["found"] and limited_["cgroup"]["verdict"] == "ok", f"{limited_['cgroup']}")
    expect("100 MiB" in small["cgroup"]["found"] and small["cgroup"]["verdict"] == "degraded", f"{small['cgroup']}")
    for name, value, cost in (
        ("memory.high", "100 MiB", "is held up"),
        ("memory.swap.max", "64 MiB", None),
        ("pids.max", "100 threads", "a VM of more vCPUs"),
        ("hugetlb.2MB.max", "4 MiB", "no more pages of 2M"),
        ("hugetlb.2MB.rsvd.max", "1024 MiB", None),
    ):
        check = others["cgroup"]
        expect(re.search(rf"\b{value} by \S+/small/{re.escape(name)}(,|$)", check["found"]), f"no {name}: {check}")
        expect(check["verdict"] == "degraded" and (not cost or cost in check["cost"]), f"{name}: {check}")
        expect(bool(cost) == (f"echo max >/sys/fs/cgroup/small/{name}" in check["remedy"]), f"{name}: {check}")


CASES = [
    as_it_is,
    no_device,
    another_device,
    device_without_driver,
    another_user,
    nobodys_device,
    container,
    filtered,
    settings,
    settings_of_shared_memory,
    pools,
    without_proc,
    limits_of_a_cgroup,
    limits,
    hard_limits,
    file_limit_of_a_vm,
    usage,
    emulated_host,
]
