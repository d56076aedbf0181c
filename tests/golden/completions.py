"""What the shell completions offer: bash runs all of them; zsh runs its own as far as they ask the program."""

import fcntl
import os
import shutil
import subprocess

import cases
import commands

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(TOP, "contrib", "completions")

# The line up to the cursor; words that are offered among others; words that are not.
# bash replaces what follows the last '=', so that is what the words begin with.
CASES = [
    ("vmm-balloon ", ["run", "config", "devices", "help", "version"], ["--memory"]),
    ("vmm-balloon co", ["config"], ["run"]),
    ("vmm-balloon config --me", ["--memory"], ["--name"]),
    ("vmm-balloon config --", ["--balloon", "--device", "--format", "--help"], ["-h"]),
    ("vmm-balloon config --format ", ["yaml", "json"], []),
    ("vmm-balloon config --format=j", ["json"], ["yaml"]),
    ("vmm-balloon config --balloon ", ["size=", "deflate_on_oom="], ["shared="]),
    ("vmm-balloon config --balloon size=1G,de", [",deflate_on_oom=".join(["1G", ""])], ["size="]),
    ("vmm-balloon config --balloon size=1G,", ["1G,id="], ["1G,size="]),
    ("vmm-balloon config --balloon=size=1G,deflate_on_oom=o", ["on", "off"], []),
    ("vmm-balloon config --memory 1G,", ["1G,shared="], ["1G,boot_vcpus="]),
    ("vmm-balloon config --serial ", ["tty", "null", "mode=", "file="], []),
    ("vmm-balloon config --serial mode=f", ["file"], ["tty"]),
    ("vmm-balloon config --device ", ["virtio-balloon"], ["cpus"]),
    ("vmm-balloon config --device virtio-balloon,fr", ["virtio-balloon,free_page_reporting="], []),
    ("vmm-balloon devices ", ["virtio-balloon"], ["memory"]),
    ("vmm-balloon help ", ["run", "config"], []),
    ("vmm-balloon run ", ["spec.yaml"], ["other.txt"]),
    ("vmm-balloon run --kernel vm", ["vmlinuz"], ["spec.yaml"]),
    ("vmm-balloon run spec.yaml --kernel=vm", ["vmlinuz"], []),
    ("vmm-balloon run --verbose ", ["spec.yaml"], []),
    ("vmm-balloon run --no-sandbox ", ["spec.yaml"], []),
    ("vmm-balloon run --no", ["--no-sandbox"], []),
    ("vmm-balloon run --user ro", ["root"], ["spec.yaml"]),
    ("vmm-balloon run --group=ro", ["root"], []),
    ("vmm-balloon stop ", ["web-1"], ["spec.yaml", "ended"]),
    ("vmm-balloon stop --force we", ["web-1"], []),
    ("vmm-balloon balloon --wait=5 ", ["web-1"], []),
    ("vmm-balloon balloon web-1 --", ["--wait", "--json", "--qmp"], ["--memory"]),
    ("vmm-balloon hint ", ["web-1"], []),
    ("vmm-balloon list web-1 ", ["web-1"], ["spec.yaml"]),
    ("vmm-balloon top --", ["--qmp"], ["--json"]),
    ("vmm-balloon metrics --format ", ["openmetrics", "prometheus"], ["yaml", "web-1"]),
    ("vmm-balloon metrics --format=o", ["openmetrics"], ["prometheus"]),
    ("vmm-balloon metrics --qmp s", ["spec.yaml"], ["web-1"]),
    ("vmm-balloon m", ["metrics"], ["top"]),
    ("vmm-balloon doctor ", [""], ["web-1", "spec.yaml"]),
    ("vmm-balloon doctor --", ["--json", "--help"], ["--memory"]),
]

SCRIPT = """
. "$1"
COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
_vmm_balloon
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(line, folder, binary):
    command = ["bash", "-c", SCRIPT, "bash", os.path.join(FOLDER, "vmm-balloon.bash"), line]
    environment = {**cases.environment(binary), "XDG_RUNTIME_DIR": folder}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return result.stdout.split("\n"), result.stderr


def try_case(line, wanted, unwanted, folder, binary):
    words, errors = offered(line, folder, binary)
    missing, extra = [w for w in wanted if w not in words], [w for w in unwanted if w in words]
    if not missing and not extra and not errors:
        return "passed", ""
    return "failed", f"  {line}\n  offers {words}\n  lacks {missing}, has {extra}\n{errors}"


ZSH_SCRIPT = """
_arguments() { return 1 }
_describe() { print -l -- ${(P)${@[-1]}} }
source "$1"
_vmm_balloon_commands
_vmm_balloon_vms
for command in "${@[2,-1]}"; do
	print -- ">$command"
	_vmm_balloon_options $command
	print -l -- $reply
done
"""


def try_zsh(folder, binary):
    """zsh's own part of completion is left out: what it would be told is printed."""
    page = os.path.join(FOLDER, "vmm-balloon.zsh")
    offered_by = {name: commands.options(binary, name) for name in commands.names(binary)}
    environment = {**cases.environment(binary), "XDG_RUNTIME_DIR": folder}
    result = subprocess.run(["zsh", "-f", "-c", ZSH_SCRIPT, "zsh", page, *offered_by], env=environment, capture_output=True, text=True, timeout=60, check=False)
    head, *parts = result.stdout.split("\n>")
    words = [line.split(":")[0] for line in head.splitlines()]
    wanted = [*offered_by, "help", "version", "web-1"]
    text = "" if words == wanted and not result.stderr else f"  offers {words}, not {wanted}\n{result.stderr}"
    yield "zsh completion of commands and VMs", "failed" if text else "passed", text
    for (name, options), part in zip(offered_by.items(), parts):
        found = [line.lstrip("*").split("[")[0].split("=")[0] for line in part.splitlines()[1:]]
        text = "" if found == options else f"  offers {found}, not {options}"
        yield f"zsh completion of {name}'s options", "failed" if text else "passed", text


def try_bash_options(folder, binary):
    for name in commands.names(binary):
        wanted = commands.options(binary, name)
        yield (f"bash completion of {name}'s options", *try_case(f"vmm-balloon {name} --", wanted, [], folder, binary))


def start_vm(folder, name):
    """What says of a VM that it runs is the lock; it lasts as long as the file stays open."""
    lock = open(os.path.join(folder, "vmm-balloon", f"{name}.pid"), "w", encoding="ascii")
    fcntl.lockf(lock, fcntl.LOCK_EX)
    return lock


def run(binary):
    results = []
    folder = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"completions.{os.getpid()}")
    os.makedirs(folder)
    try:
        for name in ("spec.yaml", "other.txt", "vmlinuz"):
            with open(os.path.join(folder, name), "w", encoding="utf-8"):
                pass
        os.mkdir(os.path.join(folder, "vmm-balloon"))
        start_vm(folder, "ended").close()
        with start_vm(folder, "web-1"):
            for line, wanted, unwanted in CASES:
                results.append((f"completion of '{line}'", *try_case(line, wanted, unwanted, folder, binary)))
            results += try_bash_options(folder, binary)
            results += try_zsh(folder, binary) if shutil.which("zsh") else [("zsh completions", "skipped", "  zsh is missing: ./configure --install-deps")]
    finally:
        shutil.rmtree(folder)
    return results
