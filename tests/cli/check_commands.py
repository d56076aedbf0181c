"""The commands on live VMs."""

import itertools
import os
import re
import signal
import subprocess

from harness import MIB, SECONDS, Program, Skip, boot, check_events, environment, expect, live_vm, qmp, run, wait_until


def column(text, name, title):
    """What `list` has for a VM under a heading: the words of both lines end at the same column."""
    lines = text.splitlines()
    end = lines[0].index(title) + len(title)
    row = next(line for line in lines[1:] if line.startswith(name + " "))
    return row[:end].split()[-1]


def list_shows_all(context):
    vm = live_vm(context)
    live_vm(context, "web-2", "512M", "size=0", 100)
    text = run(context, "list").out
    for title, value in {"RAM": "256M", "TARGET": "64M", "ACTUAL": "64M", "PID": str(vm.process.pid)}.items():
        expect(column(text, "web-1", title) == value, f"{title} of web-1 is not {value}:\n{text}")
    expect(column(text, "web-2", "RAM") == "512M" and column(text, "web-2", "ACTUAL") == "0", text)
    first, second = run(context, "list", "--json").jsons()
    expect(first["name"] == "web-1" and first["balloon-actual"] == first["balloon-target"] == 64 * MIB and first["ram"] == 256 * MIB, f"{first}")
    expect(100 * MIB < first["ram-rss"] < 256 * MIB and first["answers"] and first["driver-ok"] and not first["stalled"], f"{first}")
    expect(second["name"] == "web-2" and second["balloon-actual"] == 0, f"{second}")
    expect([vm["name"] for vm in run(context, "list", "web-2", "web-2", "--json").jsons()] == ["web-2"], "list web-2")
    expect(run(context, "list", "--names").out == "web-1\nweb-2\n", "list --names")
    expect(run(context, "list", "web-2", "nobody", "--names").out == "web-2\n", "list web-2 nobody --names")
    expect([vm["answers"] for vm in run(context, "list", "web-1", "nobody", "--json", status=1).jsons()] == [True, False], "list web-1 nobody")
    expect("is not running" in run(context, "list", "nobody", status=1).out, "list nobody")


def a_silent_vm_costs_little(context):
    live_vm(context)
    silent = live_vm(context, "silent")
    silent.process.send_signal(signal.SIGSTOP)
    try:
        result = run(context, "list")
        expect(run(context, "list", "--names").seconds < 1, "list --names waits for a VM")
        expect("silent" in result.out and "does not answer" in result.out and column(result.out, "web-1", "ACTUAL") == "64M", f"{result}")
        expect(result.seconds < 10, f"took too long: {result}")
        expect("does not answer" in run(context, "balloon", "silent", status=1).err, "balloon silent")
    finally:
        silent.process.send_signal(signal.SIGCONT)
    expect("does not answer" not in run(context, "list").out, "it answers again")


# In a /run of its own. The folder of the units is another user's, as it is where systemd made it.
UNITS = """
mount -t tmpfs none /run
mkdir -p -m 700 /run/private/vmm-balloon-units
unset XDG_RUNTIME_DIR
XDG_RUNTIME_DIR=/run/private/vmm-balloon-units "$0" run --name web-1 --memory 64M --balloon size=16M --cmdline mode=follow --serial null 2>/dev/null &
until XDG_RUNTIME_DIR=/run/private/vmm-balloon-units "$0" balloon web-1 --wait=60 >/dev/null 2>&1; do sleep 0.1; done
chown -R 65534:65534 /run/private/vmm-balloon-units
"$0" list --names
"$0" list web-1 | tail -n 1
"$0" balloon web-1 20M --wait=60
"$0" run --name web-1 --memory 64M --cmdline mode=idle --serial null 2>/dev/null &
until [ "$("$0" list web-1 --json | grep -c '"has-balloon":false')" = 1 ]; do sleep 0.1; done
echo "both: $("$0" list --names)"
"$0" stop web-1 --force --wait=0
"$0" stop web-1
"$0" list web-1 | tail -n 1 || true
wait
"""


def root_finds_units(context):
    """Beside its own VMs, which come first where two have a name."""
    if os.getuid() != 0:
        raise Skip("only root sees the units' folder")
    done = subprocess.run(["unshare", "--mount", "sh", "-c", UNITS, context.binary], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)
    lines = done.stdout.splitlines()
    expect(len(lines) == 5 and lines[0] == "web-1" and lines[3] == "both: web-1", f"{done}")
    expect(re.search(r"running +64M +16M +16M ", lines[1]) and "has 20M of 64M" in lines[2], f"{done}")
    expect("is not running" in lines[4], f"{done}")


def balloon_moves_memory(context):
    vm = live_vm(context)
    result = run(context, "balloon", "web-1", "160M", "--wait=60")
    expect("the balloon has 160M of 256M RAM" in result.out, f"{result}")
    rss = run(context, "list", "--json").jsons()[0]["ram-rss"]
    expect(rss < 100 * MIB, f"the host holds {rss // MIB} MiB with a balloon of 160 MiB")
    answer = run(context, "balloon", "web-1", "32M", "--wait", "--json").jsons()[0]
    expect(answer["balloon-actual"] == answer["balloon-target"] == 32 * MIB and "reason" not in answer, f"{answer}")
    expect("leaves nothing" in run(context, "balloon", "web-1", "256M", status=2).err, "all of RAM")
    expect("SIZE:1:1: error" in run(context, "balloon", "web-1", "half", status=2).err, "half")
    expect("a multiple of 4K" in run(context, "balloon", "web-1", "60", status=2).err, "60 bytes")
    expect("follow a '='" in run(context, "balloon", "web-1", "--wait", "60", status=2).err, "--wait 60")
    expect(run(context, "balloon", "web-1", "--json").jsons()[0]["balloon-target"] == 32 * MIB, "a refused size changed the target")
    run(context, "stop", "web-1")
    vm.check_pass()


def balloon_says_why_it_stalls(context):
    live_vm(context, balloon="size=0,stall_timeout=1")
    result = run(context, "balloon", "web-1", "255M", "--wait=4", status=4)
    expect("web-1: the guest is out of puff: it has 0 free" in result.err and result.err.count("out of puff") == 1, f"{result}")
    expect(result.err.endswith("web-1: the balloon is not there after 4 s\n"), f"{result}")
    expect("and is to have 255M" in result.out, f"{result}")
    expect("stalled" in run(context, "list").out, "list")
    expect("\nweb-1: the guest is out of puff" in run(context, "balloon", "web-1").out, "balloon")
    answer = run(context, "balloon", "web-1", "--json").jsons()[0]
    expect(answer["stalled"] and "out of puff" in answer["reason"], f"{answer}")


def balloon_of_a_paused_vm(context):
    vm = live_vm(context)
    qmp(vm.qmp_path).cmd("stop")
    result = run(context, "balloon", "web-1", "128M", "--wait=2", status=4)
    expect("the VM does not run: its status is paused" in result.err, f"{result}")


def the_target_is_changed_meanwhile(context):
    live_vm(context, balloon="size=0")
    waiting = subprocess.Popen([context.binary, "balloon", "web-1", "255M", "--wait=60"], env=environment(context), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: run(context, "balloon", "web-1", "--json").jsons()[0]["balloon-target"] == 255 * MIB, "the target")
    run(context, "balloon", "web-1", "16M")
    _, err = waiting.communicate(timeout=60)
    expect(waiting.returncode == 1 and b"somebody else has set the target to 16M" in err, f"ended with {waiting.returncode}: {err}")


def stats_are_fresh(context):
    live_vm(context)
    result = run(context, "stats", "web-1")
    expect("total memory" in result.out and "free memory" in result.out and "M\n" in result.out, f"{result}")
    stats = run(context, "stats", "web-1", "--json").jsons()[0]
    expect(stats["name"] == "web-1" and stats["last-update"] > 0, f"{stats}")
    expect(0 < stats["stats"]["stat-free-memory"] < 64 * MIB < stats["stats"]["stat-total-memory"] <= 256 * MIB, f"{stats}")


def hint_gives_memory_back(context):
    vm = boot(context, "web-1", "256M", "size=0,free_page_hinting=on", "mode=hint touch_mb=160")
    vm.wait("^ready: hints at 40960 pages")
    result = run(context, "hint", "web-1")
    expect("came back to the host, of 160M that the guest called free" in result.out and "vCPUs were held" in result.out, f"{result}")
    vm.wait("^ready again after hint run 2")
    answer = run(context, "hint", "web-1", "--json").jsons()[0]
    expect(answer["phase"] == "done" and answer["runs"] == 2 and answer["hinted"] == 160 * MIB and answer["discarded"] >= 64 * MIB, f"{answer}")


def hint_of_a_vm_that_has_none(context):
    live_vm(context)
    result = run(context, "hint", "web-1", status=1)
    expect(result.err.startswith("vmm-balloon: error: web-1: ") and "free_page_hinting is off" in result.err and result.err.count("\n") == 1, f"{result}")


def hint_that_the_guest_ignores(context):
    """mode=follow accepts hinting and hints at nothing."""
    live_vm(context, balloon="size=0,free_page_hinting=on,stall_timeout=1")
    result = run(context, "hint", "web-1", status=1)
    expect("0 came back to the host, of 0 that" in result.out and "since" not in result.out, f"{result}")
    expect("web-1: the run did not come to its end: the guest fell silent" in result.err, f"{result}")


def events_are_lines(context):
    vm = live_vm(context, balloon="size=0")
    stream = context.add(Program([context.binary, "events", "web-1"], environment(context)))
    sizes = itertools.cycle(("16M", "32M"))

    def target_reached():
        run(context, "balloon", "web-1", next(sizes), "--wait=30")
        return stream.find("BALLOON")

    wait_until(target_reached, lambda: f"an event: {stream.log}")
    run(context, "stop", "web-1")
    status = stream.end()
    expect(status == 0 and stream.find('"SHUTDOWN"'), f"ended with {status}: {stream.log}")
    check_events(stream)
    vm.check_pass()


def stop_waits_for_the_end(context):
    vm = live_vm(context)
    run(context, "stop", "web-1")
    expect(vm.process.wait(10) == 0, "the VM's status")
    expect(run(context, "list", "--json").out == "", "list after stop")
    expect("no VM of this name" in run(context, "stop", "web-1", status=1).err, "stop again")


CASES = [
    list_shows_all,
    root_finds_units,
    a_silent_vm_costs_little,
    balloon_moves_memory,
    balloon_says_why_it_stalls,
    balloon_of_a_paused_vm,
    the_target_is_changed_meanwhile,
    stats_are_fresh,
    hint_gives_memory_back,
    hint_of_a_vm_that_has_none,
    hint_that_the_guest_ignores,
    events_are_lines,
    stop_waits_for_the_end,
]
