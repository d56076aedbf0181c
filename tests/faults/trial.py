"""What is tried at each point, and what may come of it."""

import os
import re
import shutil
import tempfile

import table
from cases import Wrong
from program import Program

SECONDS = 40  # for a run that takes less than one; an emulated host is slow, this one may be busy

# Without these there is no VM.
MUST_NOT_FAIL = ["syscall seccomp", "syscall capset", "syscall landlock_restrict_self", "unshare", "mount", "setgroups", "setresgid", "setresuid"]
MUST_NOT_FAIL += ["madvise DONTDUMP"]

# No success without them: what a command is there for.
WRITES = ["fputc", "putc", "fputs", "puts", "fwrite", "fflush"]


class Trial:
    """A command line, and what else happens while the program runs.

    talk(program): what a client does meanwhile; ends the program and returns what was wrong, or "".
    exact: whether success prints the same text each time. status: that of a run in which nothing fails, None for any.
    trusted: libraries whose own calls do not fail, and whose account is not looked at. more: environment variables."""

    def __init__(self, context, arguments, talk=None, exact=False, folder=None, status=0, trusted=(), more=None):
        self.context, self.arguments, self.talk, self.exact, self.status = context, arguments, talk, exact, status
        self.trusted, self.folder, self.more, self.baseline = trusted, folder, more, None

    def run(self, faults=(), limits=None):
        """Returns the program that has ended, and a text that says what is wrong, "" if nothing is."""
        folder = self.folder or tempfile.mkdtemp(prefix="run-", dir=self.context.folder)
        program = Program(self.context.binary, folder, self.arguments, faults, self.more, limits)
        wrong = self.talk(program) if self.talk else ""
        program.finish(SECONDS)
        leftovers = [] if self.folder else program.leftovers()
        if leftovers and not self.is_hindered_by(folder):
            leftovers = []
        if not self.folder:
            shutil.rmtree(folder)
        if any(fault.last > fault.first for fault in faults):
            wrong = ""  # what fails for good may be missed by a client; the VM still has to end as it should
        return program, self.judge(program, faults, leftovers) or wrong

    def is_hindered_by(self, folder):
        """Whether a VM of the same name finds its way in nonetheless."""
        again = Program(self.context.binary, folder, self.arguments, more=self.more)
        if self.talk:
            self.talk(again)
        again.finish(SECONDS)
        return again.status != 0 or again.leftovers()

    def clean(self):
        """A run in which nothing fails."""
        self.baseline = None
        self.baseline, wrong = self.run()
        if wrong or self.status not in (None, self.baseline.status):
            raise Wrong(f"fails by itself: status {self.baseline.status} {wrong}{self.baseline.output()}")
        return self.baseline

    # ---- Judging

    def judge(self, program, faults, leftovers):
        failed = {fault.place.call for fault in faults}
        if program.hung:
            return "hangs"
        if program.status < 0:
            return f"dies of signal {-program.status}"
        if "CHECK failed: sanitizer_" in program.errors:
            return ""  # a sanitizer that cannot do without memory itself
        if re.search("Sanitizer|runtime error:", program.errors):
            return "a sanitizer complains"
        if "error: sandbox: the" in program.errors:
            return "breaks the rules of its sandbox"
        if program.modes_changed and "tcsetattr" not in failed:
            return "leaves the terminal raw"
        if leftovers:
            return f"leaves {' '.join(leftovers)} behind, and the next VM of that name cannot start"
        return self.judge_status(program) or self.judge_account(program)

    def judge_status(self, program):
        if program.status == 0 and any(table.call_name(place) in MUST_NOT_FAIL and count.failed for place, count in program.table.counts.items()):
            return "goes on without what protects the host"
        if program.status == 0 and any(place.call in WRITES and count.failed for place, count in program.table.counts.items()):
            return "ends with status 0 although it could not write"
        if program.status not in (0, 1, 2):
            return f"ends with status {program.status}"
        if program.status != 0 and not re.search(": error: |VMs do not run here", program.errors + program.text):
            return f"ends with status {program.status} and no message"
        if program.status == 0 and self.exact and self.baseline and program.text != self.baseline.text:
            return "ends with status 0 and prints something else"
        return ""

    def judge_account(self, program):
        if not self.baseline:
            return ""
        if program.table.n_fds > self.baseline.table.n_fds:
            return f"leaves {program.table.n_fds} descriptors open at its end"
        unmapped = any(place.call == "munmap" and count.failed for place, count in program.table.counts.items())
        for place, count in program.table.counts.items():
            if place.call == "mmap" and unmapped:
                continue
            usual = self.baseline.table.counts.get(place)
            if place.module not in self.trusted and count.held > (usual.held if usual else 0):
                return f"leaks {count.held} blocks of {table.call_name(place)} from {place.module} {place.offset:#x}"
        return ""


def spec(context, name, text):
    path = os.path.join(context.folder, name)
    with open(path, "w") as f:
        f.write(text)
    return path
