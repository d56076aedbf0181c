"""Who a VM is, what the kernel says that its threads have given up, what a core dump of it holds."""

import os
import pwd
import re
import resource
import signal
import stat

from vm import Qmp, Skip, expect, follow, refuse_instrumented, running

UID = 54321  # of no account


def sandbox_is_on(binary, folder):
    refuse_instrumented(binary)
    with follow(binary, folder, "--cpus", "2") as vm:
        vm.wait_for("guest: ready")
        expect("sandbox: off" not in vm.text, vm.text)
        threads = vm.threads()
        for name, fields in threads.items():
            expect(fields["Seccomp"] == "2", f"{name}: Seccomp {fields['Seccomp']}")
            # Linux 5.10 counts them. There may be a thread of KVM's own.
            filters, wanted = fields.get("Seccomp_filters"), {"vcpu0": "2", "vcpu1": "2", "vmm-balloon": "1"}.get(name)
            expect(not filters or not wanted or filters == wanted, f"{name}: {filters} filters")
            expect(fields["NoNewPrivs"] == "1", f"{name}: may gain privileges")
            expect(int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == int(fields["CapInh"], 16) == 0, f"{name}: has capabilities")
        expect({"vcpu0", "vcpu1"} < set(threads), f"threads: {sorted(threads)}")
        vm.signal(signal.SIGTERM)
        expect(vm.end() == 0, vm.text)
    return f"{len(threads)} threads"


def off_is_said(binary, folder):
    spec = os.path.join(folder, "spec.yaml")
    with open(spec, "w") as f:
        f.write("sandbox: off\n")
    for argument in ("--no-sandbox", spec):
        with running(binary, folder, argument) as vm:
            expect(vm.end() == 0, vm.text)
            expect("warn: sandbox: off" in vm.text, f"{argument}: nothing was said:\n{vm.text}")


def reset_works_inside(binary, folder):
    with follow(binary, folder, "--cpus", "2", "--qmp", "own.sock") as vm:
        for nth in range(1, 4):
            vm.wait_for(r"(?s)" + "guest: ready.*" * nth)
            qmp = Qmp(os.path.join(folder, "own.sock"))
            qmp.command("system_reset" if nth < 3 else "quit")
            qmp.close()
        expect(vm.end() == 0, vm.text)
    expect(os.listdir(folder) == ["vmm-balloon"] and not os.listdir(os.path.join(folder, "vmm-balloon")), "files were left behind")


def another_user(binary, folder):
    if os.geteuid() != 0:
        raise Skip("only root can run a VM as another user")
    try:
        pwd.getpwuid(UID)
        raise Skip(f"user {UID} exists")
    except KeyError:
        pass
    runtime = f"/tmp/vmm-balloon-{UID}"
    with follow(binary, folder, "--user", str(UID)) as vm:
        socket_path = os.path.join(runtime, "vm.sock")
        vm.wait_for(f"root reaches it by --qmp {socket_path}")
        vm.wait_for("guest: ready")
        fields = vm.threads()["vcpu0"]
        expect(set(fields["Uid"].split()) == set(fields["Gid"].split()) == {str(UID)}, f"Uid {fields['Uid']} Gid {fields['Gid']}")
        expect(fields["Groups"].split() == [str(UID)], f"groups: {fields['Groups']}")
        status = os.stat(socket_path)
        expect(status.st_uid == UID and stat.S_IMODE(status.st_mode) == 0o600, f"socket of {status.st_uid}, mode {status.st_mode:o}")
        for space in ("net", "mnt"):
            same = os.readlink(f"/proc/{vm.pid}/ns/{space}") == os.readlink(f"/proc/self/ns/{space}")
            expect(not same, f"the namespace {space} is everybody's")
        with open(f"/proc/{vm.pid}/net/dev") as f:
            expect(re.findall(r"^ *(\S+):", f.read(), re.M) == ["lo"], "the VM sees network devices")
        Qmp(socket_path).command("system_powerdown")
        expect(vm.end() == 0, vm.text)
    expect(os.listdir(runtime) == [], f"left behind: {os.listdir(runtime)}")
    os.rmdir(runtime)


def dump(binary, folder, memory):
    """Outside the sandbox: inside, Landlock keeps the kernel itself from making the file. Mappings of all kinds are to be in it."""
    with follow(binary, folder, "--no-sandbox", memory=memory) as vm:
        vm.wait_for("guest: ready")
        expect(vm.own_memory() < 32 << 20, f"{vm.own_memory() >> 20} MiB would be dumped")
        with open(f"/proc/{vm.pid}/coredump_filter", "w") as f:
            f.write("0x1ff")
        resource.prlimit(vm.pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        vm.signal(signal.SIGABRT)
        expect(vm.end() == -signal.SIGABRT, vm.text)
    cores = [name for name in os.listdir(folder) if name.startswith("core")]
    if not cores:
        return "by its mappings"
    path = os.path.join(folder, cores[0])
    size = os.path.getsize(path)
    os.unlink(path)
    expect(size < 32 << 20, f"the core has {size >> 20} MiB")
    return f"{size >> 10} KiB"


def has_huge_pages(n):
    try:
        with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") as f:
            return int(f.read()) >= n
    except OSError:
        return False


def core_without_guest_memory(binary, folder):
    refuse_instrumented(binary)
    kinds = {"private": "", "shared": ",shared=on"}
    if has_huge_pages(128):
        kinds["huge pages"] = ",hugepages=on,hugepage_size=2M"
    found = [f"{kind}: {dump(binary, folder, f'256M,prefault=on{options}')}" for kind, options in kinds.items()]
    with open("/proc/sys/kernel/core_pattern") as f:
        pattern = f.read().strip()
    without = "" if "huge pages" in kinds else "; no huge pages on this host"
    return f"cores for 256 MiB of guest RAM: {', '.join(found)}; core_pattern is {pattern}{without}"


CASES = [sandbox_is_on, off_is_said, reset_works_inside, another_user, core_without_guest_memory]
