"""The programs whose calls fail: VMs from their start to their end, and the commands."""

import contextlib
import os
import select
import signal
import socket
import struct
import time

from client import Gone, insist
from points import run_points
from program import Program
from trial import Trial, spec

MIB = 1 << 20
TESTING = "zero=any numbering=linux"  # pages that could not be given back are as they were
BALLOON = "/machine/peripheral/balloon0"
REACH_SECONDS = 40
END_SECONDS = 20


# ---- VMs that test themselves --------------------------------------------


def simple_boot(context):
    path = spec(context, "vm.yaml", f'name: boot\nmemory: {{size: 24M}}\nballoon: "size=4M,free_page_reporting=on"\npayload: {{cmdline: "{TESTING}"}}\n')
    return Trial(context, ["run", path])


def boot(context):
    """From a spec: inflates, reports, deflates, powers off."""
    return run_points(simple_boot(context))


def boot_shared(context):
    """Shared memory that is there from the start; two processors; a socket elsewhere; a kernel and an initramfs from files."""
    kernel = os.path.join(os.path.dirname(context.binary), "build", "guest", "guest.elf")
    initramfs = spec(context, "initramfs", "nothing\n" * 1000)
    arguments = ["--name", "shared", "--memory", "size=24M,shared=on,prefault=on", "--cpus", "2", "--balloon", "size=4M,free_page_reporting=on"]
    arguments += ["--kernel", kernel, "--initramfs", initramfs, "--cmdline", TESTING, "--qmp", "elsewhere.sock"]
    return run_points(Trial(context, ["run", *arguments]), simple_boot(context))


def boot_to_file(context):
    """The console goes to a file; without a sandbox; as another user, if this one is root, whom glibc 2.36 crashes over without memory."""
    user = ["--user", "nobody"] if os.geteuid() == 0 else []
    arguments = ["--name", "file", "--memory", "24M", "--balloon", "size=4M", "--cmdline", TESTING, "--serial", "mode=file,file=/dev/null", "--no-sandbox"]
    return run_points(Trial(context, ["run", *arguments, *user], trusted=["libc.so.6"]), simple_boot(context))


def huge_pages_are_free(mib):
    with contextlib.suppress(OSError), open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") as f:
        return int(f.read()) >= mib // 2
    return False


def boot_huge_pages(context):
    """Where the host has none there is no VM; what comes before is tried."""
    arguments = ["--name", "huge", "--memory", "size=24M,hugepages=on,hugepage_size=2M,prefault=on", "--balloon", "size=4M", "--cmdline", TESTING]
    has_pages = huge_pages_are_free(24)
    note = run_points(Trial(context, ["run", *arguments], status=0 if has_pages else 1), simple_boot(context))
    return note if has_pages else f"no huge pages on this host; {note}"


# To port 0x604, the control register of power management, the word that switches off (kvm/acpi.h, ACPI_SLP_TYP_S5).
POWER_OFF = bytes.fromhex("66ba0406 66b80034 66ef f4 ebfd")
SETUP_BYTES, ENTRY_BYTES = 1024, 512  # of which the header is a part; of the code before its 64-bit entry


def bzimage():
    """A kernel by Linux's boot protocol (Documentation/arch/x86/boot.rst) that does nothing but power off."""
    code = bytes(ENTRY_BYTES) + POWER_OFF + bytes(4096)
    image = bytearray(SETUP_BYTES) + code
    fields = {
        0x1F1: ("B", SETUP_BYTES // 512 - 1),
        0x1F4: ("I", len(code) // 16),
        0x1FE: ("H", 0xAA55),
        0x200: ("H", 0x66EB),
        0x202: ("4s", b"HdrS"),
        0x206: ("H", 0x020F),
        0x211: ("B", 1),  # loaded high
        0x22C: ("I", 0x7FFFFFFF),
        0x230: ("I", 0x200000),
        0x234: ("B", 1),  # relocatable
        0x236: ("H", 3),  # 64-bit, above 4 GiB
        0x238: ("I", 2047),
        0x258: ("Q", 0x1000000),
        0x260: ("I", MIB),
    }
    for offset, (kind, value) in fields.items():
        struct.pack_into(f"<{kind}", image, offset, value)
    return bytes(image)


def boot_bzimage(context):
    """A kernel that is loaded as Linux is, and an initramfs; its pages may be merged with equal ones."""
    kernel = os.path.join(context.folder, "vmlinuz")
    with open(kernel, "wb") as f:
        f.write(bzimage())
    initramfs = spec(context, "initramfs", "nothing\n" * 1000)
    arguments = ["--name", "bzimage", "--memory", "24M,mergeable=on", "--balloon", "size=0", "--kernel", kernel, "--initramfs", initramfs]
    return run_points(Trial(context, ["run", *arguments, "--cmdline", "quiet"]), simple_boot(context))


def boot_notified(context):
    """A service manager hears when the guest runs, or a line says why it does not."""
    path = os.path.join(context.folder, "notify")

    def hear(program):
        while not program.is_over() or select.select([manager], [], [], 0)[0]:
            if not select.select([manager], [], [], 0.01)[0]:
                continue
            if b"READY=1" in manager.recv(4096):
                return ""
        program.readers[1].join(END_SECONDS)  # to the last line
        said = "$NOTIFY_SOCKET" in program.errors or ": error: " in program.errors
        return "" if said else "tells its service manager nothing, and no line says so"

    def talk(program):
        wrong = hear(program)
        deadline = time.monotonic() + END_SECONDS
        while not program.is_over() and time.monotonic() < deadline:
            time.sleep(0.01)
        return wrong

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        arguments = ["--name", "notified", "--memory", "24M", "--balloon", "size=4M", "--cmdline", TESTING]
        return run_points(Trial(context, ["run", *arguments], talk, more={"NOTIFY_SOCKET": path}), simple_boot(context))


# ---- VMs that a client drives --------------------------------------------


def must(command):
    """A job for insist(): the command is not refused."""

    def job(client):
        if client.ask(command) is None:
            raise Gone

    return job


def end(program, name):
    """Presses the power button, by a client or by a signal; a second signal ends it without the guest."""
    deadline = time.monotonic() + (END_SECONDS if insist(program, name, must("system_powerdown")) else 0)
    while not program.is_over() and time.monotonic() < deadline:
        time.sleep(0.01)
    for _ in range(2):
        deadline = time.monotonic() + END_SECONDS
        if not program.is_over():
            program.process.send_signal(signal.SIGTERM)
        while not program.is_over() and time.monotonic() < deadline:
            time.sleep(0.01)


def reach(client, balloon_mib, ram_mib):
    deadline = time.monotonic() + REACH_SECONDS
    want = (ram_mib - balloon_mib) * MIB
    client.ask("balloon", value=want)
    while time.monotonic() < deadline:
        answer = client.ask("query-balloon")
        if answer and answer["actual"] == want:
            return
        time.sleep(0.01)
    raise Gone


def drive(client):
    for command in ("query-status", "query-version", "query-commands", "query-name", "query-cpus-fast"):
        client.ask(command)
    reach(client, 8, 24)
    client.ask("x-query-balloon")
    client.ask("qom-list", path=BALLOON)
    client.ask("qom-set", path=BALLOON, property="guest-stats-polling-interval", value=1)
    client.ask("qom-get", path=BALLOON, property="guest-stats")
    client.ask("stop")
    client.ask("cont")
    reach(client, 2, 24)


def follow_and_reset(program):
    """A guest whose output is lost shows by its balloon that it runs."""
    if not program.wait("ready: ") and not program.has_lost_output():
        return "the guest does not start"
    if not insist(program, "talk", drive):
        return "a client gets nowhere"
    if not insist(program, "talk", must("system_reset")) or program.wait("ready: ", 2):
        return ""
    if program.has_lost_output() and insist(program, "talk", lambda client: reach(client, 8, 24)):
        return ""
    return "the guest does not start again"


def talk_to_follower(program):
    wrong = follow_and_reset(program)
    ended = program.is_over()
    end(program, "talk")
    return "" if ended else wrong


def talk(context):
    """Clients come, move the balloon, ask all there is, pause and reset it."""
    arguments = ["--name", "talk", "--memory", "24M", "--balloon", "size=0,statistics=1", "--cmdline", "zero=any mode=follow touch_mb=12"]
    return run_points(Trial(context, ["run", *arguments], talk_to_follower), simple_boot(context))


def hint_once(client):
    runs = (client.ask("x-query-balloon") or {"hint": {"runs": 0}})["hint"]["runs"]
    if client.ask("x-balloon-hint") is None:
        return
    deadline = time.monotonic() + REACH_SECONDS
    while time.monotonic() < deadline:
        state = client.ask("x-query-balloon")
        if state and state["hint"]["runs"] > runs and state["hint"]["phase"] != "running":
            return
        time.sleep(0.01)
    raise Gone


def talk_to_hinter(program):
    done = (program.wait("ready: ") or program.has_lost_output()) and insist(program, "hints", hint_once)
    wrong = "" if done or program.is_over() else "a client gets nowhere"
    end(program, "hints")
    return wrong


def hints(context):
    """A hint run; the guest checks each byte of what it uses again."""
    arguments = ["--name", "hints", "--memory", "24M", "--balloon", "size=0,free_page_hinting=on", "--cmdline", "mode=hint touch_mb=8"]
    return run_points(Trial(context, ["run", *arguments], talk_to_hinter), simple_boot(context))


# ---- Commands ------------------------------------------------------------


def config(context):
    path = spec(context, "c.yaml", "name: c\ncpus: {boot_vcpus: 2}\nmemory: {size: 1G}\ndevices: [{driver: virtio-balloon, size: 512M}]\n")
    return run_points(Trial(context, ["config", path, "--format", "yaml"], exact=True, folder=context.folder))


def config_that_is_wrong(context):
    """All of the ways to say so; the status is 2."""
    path = spec(context, "w.yaml", "name: w\nmemry: {size: 1G}\ncpus: {boot_vcpus: 0}\nballoon: 'size=7X'\n")
    return run_points(Trial(context, ["config", path, "--memory", "size=1G,size=2G"], folder=context.folder, status=2))


def devices(context):
    return run_points(Trial(context, ["devices", "virtio-balloon"], exact=True, folder=context.folder))


@contextlib.contextmanager
def beside_a_vm(context):
    """A VM in which nothing fails, for commands to look at."""
    arguments = ["--name", "live", "--memory", "24M", "--balloon", "size=0,free_page_hinting=on,statistics=1", "--cmdline", "mode=follow"]
    vm = Program(context.binary, context.folder, ["run", *arguments])
    try:
        vm.wait("ready: ")
        yield
    finally:
        vm.process.terminate()
        vm.finish(20)


def look_at_a_vm(context, arguments, **more):
    with beside_a_vm(context):
        return run_points(Trial(context, arguments, folder=context.folder, **more))


def list_vms(context):
    return look_at_a_vm(context, ["list"])


def balloon(context):
    return look_at_a_vm(context, ["balloon", "live", "8M", "--wait=10"])


def stats(context):
    return look_at_a_vm(context, ["stats", "live", "--json"])


def metrics(context):
    return look_at_a_vm(context, ["metrics"])


def stop_another(context):
    """There is no such VM."""
    return look_at_a_vm(context, ["stop", "nobody"], status=1)


def doctor(context):
    """Without memory glob() of glibc 2.36 frees twice; what getgrgid() takes it keeps."""
    return run_points(Trial(context, ["doctor"], folder=context.folder, status=None, trusted=["libc.so.6"]))


CASES = [boot, boot_shared, boot_to_file, boot_huge_pages, boot_bzimage, boot_notified]
CASES += [talk, hints, config, config_that_is_wrong, devices, list_vms, balloon, stats, metrics, stop_another, doctor]
