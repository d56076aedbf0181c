"""Where running VMs are found, who may talk to them, and what is left of one that was killed."""

import os
import shutil
import socket
import stat
import subprocess

from cases import Skip, expect

NOBODY = 65534
RUN = ["--memory", "64M", "--balloon", "size=0", "--cmdline", "mode=follow"]


def boot_ready(context, name):
    vm = context.boot_with(RUN, name)
    vm.wait("^ready: ")
    return vm


def left_files(context):
    return sorted(os.listdir(os.path.join(context.folder, "vmm-balloon")))


def listed(context):
    """{name: pid} as `vmm-balloon list` has it."""
    env = {**os.environ, "XDG_RUNTIME_DIR": context.folder}
    done = subprocess.run([context.binary, "list"], env=env, capture_output=True, text=True, check=True)
    return {words[0]: int(words[1]) for words in (line.split() for line in done.stdout.splitlines()[1:])}


def expect_refused(vm, text):
    status = vm.end()
    expect(status == 1, f"exit status {status}")
    expect(any(text in line for line in vm.log), f"it did not say '{text}'")


def one_name_one_vm(context):
    first = boot_ready(context, "one")
    expect_refused(context.boot_with(RUN, "one"), f"a VM named 'one' is already running (pid {first.process.pid})")
    os.link(first.qmp_path, os.path.join(context.folder, "two.qmp"))
    expect_refused(context.boot_with(RUN, "two"), "another process listens there")
    expect(listed(context) == {"one": first.process.pid}, f"listed: {listed(context)}")
    for path, wanted in (("vmm-balloon", 0o700), ("one.qmp", 0o600)):
        mode = stat.S_IMODE(os.stat(os.path.join(context.folder, path)).st_mode)
        expect(mode == wanted, f"{path} has mode {mode:o}")
    talk(first.qmp_path, b'{"execute":"qmp_capabilities"}{"execute":"quit"}')
    expect(first.end() == 0 and left_files(context) == [], f"left behind: {left_files(context)}")


def killed_vm_is_succeeded(context):
    first = boot_ready(context, "one")
    first.kill()
    expect(left_files(context) == ["one.pid", "one.sock"] and os.path.exists(first.qmp_path), "nothing was left to be succeeded to")
    expect(listed(context) == {}, f"listed: {listed(context)}")
    second = boot_ready(context, "one")
    expect(listed(context) == {"one": second.process.pid}, f"listed: {listed(context)}")
    talk(second.qmp_path, b'{"execute":"qmp_capabilities"}{"execute":"quit"}')
    expect(second.end() == 0 and not os.path.exists(second.qmp_path), "its socket was left behind")


def talk(path, text):
    """What the VM says until it hangs up."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.sendall(text)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def talk_as_nobody(path):
    """What another user hears, or why there is nothing to hear. Our own Python may be out of that user's reach."""
    python = shutil.which("python3", path=os.defpath)
    if not python:
        raise Skip("there is no Python that every user can run")
    program = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(60); s.connect(sys.argv[1]); print(s.recv(65536).decode())"
    done = subprocess.run([python, "-c", program, path], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True)
    return done.stdout or done.stderr


def other_users_are_turned_away(context):
    if os.geteuid() != 0:
        raise Skip("only root can be another user")
    vm = boot_ready(context, "one")
    os.chmod(context.folder, 0o711)
    text = talk_as_nobody(vm.qmp_path)
    expect("PermissionError" in text, f"the socket's mode let another user in: {text}")
    os.chmod(vm.qmp_path, 0o666)
    text = talk_as_nobody(vm.qmp_path)
    expect('"desc":"Permission denied"' in text and '"QMP"' not in text, f"another user was told {text}")
