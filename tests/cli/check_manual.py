"""vmm-balloon(1) says what the program does: its EXAMPLES are run, and its Limits hold. So are the specs of vmm-balloon-spec(5)."""

import os
import re
import shutil
import subprocess
import sys

from harness import SECONDS, TESTS, Skip, Vm, environment, expect, qmp, run

sys.path.append(TESTS)

import mdoc  # noqa: E402

PAGE = "vmm-balloon.1"
# The VM of the examples, unless a note says otherwise (tests/mdoc.py).
USUAL = "--balloon size=0 --cmdline mode=follow"
CLIENTS = 64


def boot(context, options):
    """Called web-1, in place of the one of that name that there was."""
    for vm in context.vms:
        vm.kill()
    vm = context.boot_with(["--memory", "1G", *options.split()], "web-1")
    vm.wait("^ready: ")


def pattern_of(output):
    """As the page has it, but for the width of columns; ... is anything."""
    blanks = re.sub(r"(\\ )+", r"[ ]+", re.escape(output))
    return blanks.replace(re.escape("..."), ".*").replace("\\\n", "[ ]*\n")


def try_command(command, output, folder, env):
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
    text = done.stdout.decode("utf-8", "replace").replace("\r", "")
    expect(done.returncode == 0, f"`{command}` ended with {done.returncode}:\n{text}")
    expect(not output or re.fullmatch(pattern_of(output), text, re.S), f"`{command}` should print\n{output}but prints\n{text}")


def manual_examples(context):
    """In the page's order, in a folder of their own."""
    if not shutil.which("nc"):
        raise Skip("nc is missing: ./configure --install-deps")
    folder = os.path.join(context.folder, "here")
    os.mkdir(folder)
    env = environment(context)
    env["PATH"] = os.path.dirname(context.binary) + ":" + env["PATH"]
    options, n = None, 0
    for display in mdoc.displays(PAGE):
        if display.section != "EXAMPLES" or "not run" in display.notes:
            continue
        if display.notes.get("VM", USUAL) != options:
            options = display.notes.get("VM", USUAL)
            boot(context, options)
        commands = mdoc.commands(display.lines)
        expect(commands, f"no command in {display.text}")
        for command, output in commands:
            try_command(command, output, folder, env)
        n += len(commands)
    expect(n >= 12, f"only {n} commands were found in the page")
    return f"{n} commands"


def manual_specs(context):
    """Each that names no kernel boots the built-in guest, which tries the balloon and ends well."""
    n = 0
    for i, display in enumerate(mdoc.displays("vmm-balloon-spec.5")):
        if display.section != "EXAMPLES" or not display.is_spec or "not run" in display.notes:
            continue
        if "user:" in display.text and os.getuid() != 0:
            continue
        spec = os.path.join(context.folder, f"example-{i}.yaml")
        with open(spec, "w", encoding="utf-8") as file:
            file.write(display.text)
        run(context, "run", spec, seconds=5 * SECONDS, plain=False)
        n += 1
    expect(n >= 2, f"only {n} specs were found in the page")
    return f"{n} specs"


class LimitedVm(Vm):
    n_files = 0

    def command_line(self, binary, arguments):
        return ["prlimit", f"--nofile={self.n_files}", *super().command_line(binary, arguments)]


def manual_limits(context):
    """A VM with no more descriptors than the page says, and all the clients that are let in."""
    text = mdoc.read(PAGE)
    base = int(re.search(r"ulimit -n ,\n.*\n\.Pc\n(\d+), one for each vCPU, and one for each QMP client, of which there are 64 at", text)[1])
    LimitedVm.n_files = base + 2 + CLIENTS
    vm = context.add(LimitedVm(context.binary, context.folder, ["--memory", "64M", "--cpus", "2", *USUAL.split()], "web-1"))
    vm.wait("^ready: ")
    expect(re.search(r"^One for each vCPU and two more\.$", text, re.M), "the page says otherwise of threads")
    n_threads = len(os.listdir(f"/proc/{vm.process.pid}/task"))
    expect(n_threads == 2 + 2, f"{n_threads} threads")
    clients = [qmp(vm.qmp_path) for _ in range(CLIENTS)]
    for client in clients:
        expect(client.cmd("query-status")["running"], "a client has no answer")
    return f"{LimitedVm.n_files} descriptors"


CASES = [manual_examples, manual_specs, manual_limits]
