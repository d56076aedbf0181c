"""Guest memory that the host does not take back: it is counted and told, the guest goes on, and its data stay right."""

import errno
import re
import resource

from cases import MIB, PREFIX, Skip, expect
from client import Client
from points import EVER
from program import Program
from table import Fault, Symbols, call_name

RAM_MIB, TOUCHED_MIB = 64, 48
HINTED_MIB = 320  # more than the host looks at in one go
LOCKED_MIB = 4
NAME = "discards"
TOLD = r"balloon0: the host could not free \d+ KiB of guest memory: "


class Vm:
    """The built-in guest with some of the VM's calls failing."""

    def __init__(self, context, memory, balloon, cmdline, faults=(), more=None):
        arguments = ["run", "--name", NAME, "--memory", memory, "--balloon", balloon, "--cmdline", cmdline]
        self.program = Program(context.binary, context.folder, arguments, faults, more)
        context.add(self)
        expect(self.program.wait("ready: "), f"the guest does not start{self.program.output()}")
        self.client = Client(self.program, NAME)

    def kill(self):
        self.program.process.kill()
        self.program.process.wait()

    @property
    def command(self):
        return self.program.process.args

    @property
    def log(self):
        return (self.program.text + self.program.errors).splitlines()

    def ask(self, command, **arguments):
        answer = self.client.ask(command, **arguments)
        expect(answer is not None, f"{command} is refused")
        return answer

    def move(self, balloon_mib, ram_mib=RAM_MIB):
        was_mib = self.ask("x-query-balloon")["balloon-actual"] // MIB
        line = rf"balloon: from {was_mib * 256} to {balloon_mib * 256} pages"
        nth = len(re.findall(f"^{PREFIX}{line}", self.program.text, re.M)) + 1
        self.ask("balloon", value=(ram_mib - balloon_mib) * MIB)
        expect(self.program.wait(line, nth), f"the guest does not move from {was_mib} to {balloon_mib} MiB{self.program.output()}")

    def state(self):
        return self.ask("x-query-balloon")

    def queue(self, name):
        return self.state()["queues"][name]

    def pass_and_end(self):
        """The guest looks at every page before it passes."""
        self.ask("system_powerdown")
        self.program.finish(60)
        expect(self.program.status == 0, f"status {self.program.status}{self.program.output()}")
        expect(self.program.has_said("PASS"), f"the guest does not pass{self.program.output()}")
        return self.program

    def told(self):
        return len(re.findall(TOLD, self.program.errors))


def follower(context, memory, faults=(), more=None):
    return Vm(context, memory, "size=0,statistics=0", f"mode=follow zero=any touch_mb={TOUCHED_MIB}", faults, more)


def hinter(context, faults=()):
    return Vm(context, f"{HINTED_MIB + 64}M", "size=0,free_page_hinting=on", f"mode=hint touch_mb={HINTED_MIB}", faults)


def places(program, binary, name, function):
    symbols = Symbols(binary, program.table.counts)
    found = [place for place in program.table.counts if call_name(place) == name and symbols.function(place) == function]
    expect(found, f"no {name} in {function}")
    return found


def discarding_places(context, memory):
    """How this kind of memory is given back, found by doing it. process_madvise may be missing."""
    vm = follower(context, memory)
    vm.move(32)
    expect(vm.queue("inflate")["discarded-bytes"] == 32 * MIB, "memory is not given back when nothing fails")
    program = vm.pass_and_end()
    names = {"syscall process_madvise": "vector_flush", "madvise DONTNEED": "drop_anonymous", "fallocate": "punch_hole"}
    symbols = Symbols(context.binary, program.table.counts)
    return [place for place in program.table.counts if names.get(call_name(place), "") == symbols.function(place)]


def single_places(context):
    """The madvise that takes one piece. It is not called as long as the vector works, so the vector is refused here."""
    found = discarding_places(context, f"size={RAM_MIB}M,thp=off")
    vectors = [Fault(place, 1, EVER, errno.EPERM) for place in found if place.call == "syscall"]
    vm = follower(context, f"size={RAM_MIB}M,thp=off", vectors)
    vm.move(32)
    queue = vm.queue("inflate")
    expect(queue["discarded-bytes"] == 32 * MIB and queue["failed-bytes"] == 0, f"single calls do not do what the vector would not: {queue}")
    program = vm.pass_and_end()
    return found, places(program, context.binary, "madvise DONTNEED", "drop_anonymous")


def refuse_for_ever(context, memory, where, error):
    vm = follower(context, memory, [Fault(place, 1, EVER, error) for place in where])
    vm.move(32)
    queue = vm.queue("inflate")
    expect(queue["failed-bytes"] == 32 * MIB and queue["discarded-bytes"] == 0, f"32 MiB were refused, counted is {queue}")
    expect(queue["faults"]["discard-refused"] > 0 and queue["bad-buffers"] == 0, f"faults: {queue}")
    expect(vm.told() >= 1, "no line tells of it")
    lines, buffers = vm.told(), queue["buffers"]
    expect(lines <= 10 < buffers, f"{lines} lines for {buffers} requests")
    vm.move(4)
    vm.move(40)
    vm.move(0)
    vm.pass_and_end()


def refuse_for_a_while(context, memory, where):
    vm = follower(context, memory, [Fault(place, 1, 20, errno.EAGAIN) for place in where])
    vm.move(32)
    failed = vm.queue("inflate")["failed-bytes"]
    expect(0 < failed, "nothing was refused")
    vm.move(0)
    before = vm.queue("inflate")["discarded-bytes"]
    vm.move(32)
    vm.move(0)
    vm.move(32)
    queue, rss = vm.queue("inflate"), vm.state()["ram-rss"]
    expect(queue["discarded-bytes"] > before and queue["failed-bytes"] < 96 * MIB, f"nothing goes later: {queue}")
    expect(rss < (RAM_MIB - 24) * MIB, f"{rss // MIB} MiB are resident in the end")
    vm.pass_and_end()


# ---- Cases: each function below is one -----------------------------------


def private_memory_refused(context):
    """Where process_madvise is refused, madvise does it; where that is refused as well, the memory stays."""
    vectors, singles = single_places(context)
    where = [place for place in vectors if place.call == "syscall"] + singles
    for error in (errno.EAGAIN, errno.ENOMEM, errno.EINVAL, errno.ENOSYS):
        refuse_for_ever(context, f"size={RAM_MIB}M,thp=off", where, error)
    refuse_for_ever(context, f"size={RAM_MIB}M,thp=on", where, errno.EAGAIN)
    refuse_for_a_while(context, f"size={RAM_MIB}M,thp=off", where)


def shared_memory_refused(context):
    memory = f"size={RAM_MIB}M,shared=on"
    where = discarding_places(context, memory)
    for error in (errno.ENOSPC, errno.EPERM, errno.ENOMEM):
        refuse_for_ever(context, memory, where, error)
    refuse_for_a_while(context, memory, where)


def locked_memory(context):
    """A part of guest RAM is locked, so the kernel itself refuses (madvise(2), EINVAL): that part stays, and little more."""
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if limit != resource.RLIM_INFINITY and limit < LOCKED_MIB * MIB:
        raise Skip(f"no more than {limit // 1024} KiB can be locked (ulimit -l)")
    for thp in ("off", "on"):
        vm = follower(context, f"size={RAM_MIB}M,thp={thp}", more={"FAULTS_LOCK": f"{16 * MIB} {LOCKED_MIB * MIB}"})
        vm.move(32)
        queue = vm.queue("inflate")
        expect(queue["failed-bytes"] >= LOCKED_MIB * MIB, f"locked memory is not refused: {queue}")
        expect(queue["failed-bytes"] + queue["discarded-bytes"] == 32 * MIB, f"32 MiB were given away: {queue}")
        expect(queue["failed-bytes"] <= (LOCKED_MIB + 4) * MIB, f"more than the locked part stays: {queue}")
        expect("Invalid argument" in vm.program.errors and vm.told(), "no line tells of it")
        vm.move(0)
        vm.pass_and_end()


def one_hint_run(vm, nth):
    vm.ask("x-balloon-hint")
    expect(vm.program.wait(f"ready again after hint run {nth + 1}"), f"the run does not end{vm.program.output()}")
    return vm.state()["hint"]


def write_log_unreadable(context):
    """KVM says once, in the middle of a run, that it cannot tell what was written, with or without having forgotten it."""
    vm = hinter(context)
    hint = one_hint_run(vm, 1)
    expect(hint["failed"] == 0 and hint["discarded"] > 0 and hint["holds"] > 2, f"when nothing fails: {hint}")
    reading = places(vm.pass_and_end(), context.binary, "ioctl KVM_GET_DIRTY_LOG", "take_news")
    for mode in ("once", "late"):
        vm = hinter(context, [Fault(place, 2, 2, errno.EFAULT, mode) for place in reading])
        hint = one_hint_run(vm, 1)
        kept = hint["hinted"] - hint["discarded"] - hint["written"]
        expect(hint["failed"] == kept, f"not all is accounted for: {hint}")
        expect(hint["discarded"] + hint["written"] <= 160 * MIB, f"what came after the failure was not left alone: {hint}")
        expect(vm.told(), "no line tells of it")
        hint = one_hint_run(vm, 2)
        expect(hint["failed"] == 0 and hint["discarded"] > 0, f"the next run: {hint}")
        vm.pass_and_end()


def write_log_refused(context):
    """KVM will not note writes: there is no run. It will not stop noting them: the next run is right nonetheless."""
    vm = hinter(context)
    one_hint_run(vm, 1)
    switching = places(vm.pass_and_end(), context.binary, "ioctl KVM_SET_USER_MEMORY_REGION", "switch_log")
    refused = 0
    for place in switching:
        vm = hinter(context, [Fault(place, 1, 1, errno.ENOMEM)])
        begun = vm.client.ask("x-balloon-hint") is not None
        if not begun:
            refused += 1
            expect(vm.state()["hint"]["phase"] != "running", "a run goes on without a log of writes")
        else:
            expect(vm.program.wait("ready again after hint run 2"), f"the run does not end{vm.program.output()}")
        hint = one_hint_run(vm, 2 if begun else 1)
        expect(hint["failed"] == 0 and hint["discarded"] > 0, f"the run after that: {hint}")
        vm.pass_and_end()
    expect(refused == 1, f"{refused} runs did not begin")


CASES = [private_memory_refused, shared_memory_refused, locked_memory, write_log_unreadable, write_log_refused]
