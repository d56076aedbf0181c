"""What the shell completions offer: bash runs them, zsh at least reads its own."""

import os
import shutil
import socket
import subprocess

import cases

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(TOP, "contrib", "completions")

# The line up to the cursor; words that are offered among others; words that are not.
# bash replaces what follows the last '=', so that is what the words begin with.
CASES = [
    ("vmm-balloon ", ["run", "config", "devices", "help"], ["--memory"]),
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
    ("vmm-balloon stop ", ["web-1"], ["spec.yaml"]),
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


def run(binary):
    results = []
    vm = socket.socket(socket.AF_UNIX)
    folder = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"completions.{os.getpid()}")
    os.makedirs(folder)
    try:
        for name in ("spec.yaml", "other.txt", "vmlinuz"):
            with open(os.path.join(folder, name), "w", encoding="utf-8"):
                pass
        os.mkdir(os.path.join(folder, "vmm-balloon"))
        vm.bind(os.path.join(folder, "vmm-balloon", "web-1.sock"))
        for line, wanted, unwanted in CASES:
            results.append((f"completion of '{line}'", *try_case(line, wanted, unwanted, folder, binary)))
    finally:
        shutil.rmtree(folder)
        vm.close()
    if shutil.which("zsh"):
        result = subprocess.run(["zsh", "-n", os.path.join(FOLDER, "vmm-balloon.zsh")], capture_output=True, text=True, check=False)
        results.append(("zsh completion", "failed" if result.returncode else "passed", result.stderr))
    return results
