"""QMP between programs that do not come from one hand: a client written for QEMU drives our VM, and ours drives QEMU's."""

import os
import shutil
import subprocess

from cases import MIB, SECONDS, Skip, expect

HERE = os.path.dirname(os.path.realpath(__file__))
GOPATH = "/usr/share/gocode"  # of Debian's packages
LIBRARY = os.path.join(GOPATH, "src/github.com/digitalocean/go-qemu/qmp")
RAM_MIB = 256


def build_folder(binary):
    return os.path.join(os.path.dirname(binary), "build", "control")


def build_go_client(folder):
    """Compiles go_qemu.go into the folder, unless that was done. Raises Skip when the library or the compiler is missing."""
    source, program = os.path.join(HERE, "go_qemu.go"), os.path.join(folder, "go_qemu")
    if os.path.exists(program) and os.path.getmtime(program) > os.path.getmtime(source):
        return program
    if not os.path.isdir(LIBRARY) or not shutil.which("go"):
        raise Skip("go or golang-github-digitalocean-go-qemu-dev is missing: ./configure --install-deps")
    os.makedirs(folder, exist_ok=True)
    settings = {"GO111MODULE": "off", "GOPATH": GOPATH, "GOTOOLCHAIN": "local", "GOFLAGS": "", "CGO_ENABLED": "0"}
    env = {**os.environ, **settings, "GOCACHE": os.path.join(folder, "go-cache")}
    done = subprocess.run(["go", "build", "-o", program, source], env=env, capture_output=True, text=True)
    expect(done.returncode == 0, f"go build: {done.stderr}")
    return program


def go_qemu(context):
    folder = build_folder(context.binary)
    program = build_go_client(folder)
    vm = context.boot(f"{RAM_MIB}M", "size=0", "mode=follow touch_mb=64")
    vm.wait("^ready: ")
    done = subprocess.run(
        [program, vm.qmp_path, str(RAM_MIB * MIB), "/machine/peripheral/balloon0"], capture_output=True, text=True, timeout=SECONDS
    )
    with open(os.path.join(folder, "go_qemu.log"), "w") as log:
        log.write(done.stdout + done.stderr)
    expect(done.stdout.endswith("\nPASS\n"), f"{done.stdout}{done.stderr}")
    expect(vm.end() == 0, f"exit status {vm.end()}")
    return f"{done.stdout.count(' -> ')} exchanges, in {log.name}"
