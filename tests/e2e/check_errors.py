"""What the user or the host gets wrong: one clear message, the right exit status, nothing left behind."""

import os
import shutil
import subprocess

from scenario import Scenario, check

HOST = 1
USAGE = 2
NOBODY = 65534

# A /dev/kvm that is missing, that is another device, and that only root may open. In a mount name space of its own, so
# that the real one stays as it is.
NO_KVM = "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3"
OTHER_KVM = "mount --bind /dev/null /dev/kvm"
CLOSED_KVM = NO_KVM + " && mknod -m 600 /dev/kvm c 10 232"
CLOSED_KVM_NOT_ROOT = "mount --bind /etc/shadow /dev/kvm"


class Mistakes(Scenario):
    """No VM comes up in any of these."""

    memory = "256M"

    def run_program(self, *arguments, prepare=None, as_nobody=False):
        command = [self.setting.program, *arguments]
        if as_nobody:
            command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
        if prepare:
            unshare = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--mount", "--map-root-user"]
            command = [*unshare, "sh", "-c", prepare + ' && exec "$@"', "sh", *command]
        env = {**os.environ, "XDG_RUNTIME_DIR": self.setting.runtime}
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, env=env)

    def host_failure(self, words, *arguments, **options):
        """Status 1 and one line with all of the words."""
        done = self.run_program("run", *arguments, **options)
        assert done.returncode == HOST, f"ended with {done.returncode}: {done.stderr}"
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("vmm-balloon: error: "), f"not one line of error: {done.stderr}"
        assert all(word in lines[0] for word in words), f"{words} are not all in: {lines[0]}"
        self.nothing_is_left()

    def unreadable(self, words, *arguments):
        """Status 1, and a message that points at the place where the file is named."""
        self.pointed_at(words, HOST, *arguments)

    def config_error(self, words, *arguments):
        """Status 2, and a message that points at the place."""
        self.pointed_at(words, USAGE, *arguments)

    def pointed_at(self, words, status, *arguments):
        done = self.run_program("run", *arguments)
        assert done.returncode == status, f"ended with {done.returncode}: {done.stderr}"
        assert all(word in done.stderr for word in words), f"{words} are not all in: {done.stderr}"
        self.nothing_is_left()

    def nothing_is_left(self):
        folder = os.path.join(self.setting.runtime, "vmm-balloon")
        left = [name for name in os.listdir(folder) if name.startswith("e2e-mistake")] if os.path.isdir(folder) else []
        assert not left, f"left behind: {left}"

    def payload(self, kernel=None, initramfs=None):
        kernel = kernel or self.kernel_file()
        initramfs = initramfs or self.setting.initramfs[self.kernel]
        return ["--name", "e2e-mistake", "--memory", self.memory, "--kernel", kernel, "--initramfs", initramfs]

    @check
    def kernel_is_missing(self):
        self.unreadable(["--kernel", "^", "/nonexistent/vmlinuz", "No such file"], *self.payload(kernel="/nonexistent/vmlinuz"))

    @check
    def initramfs_is_missing(self):
        self.unreadable(["--initramfs", "^", "/nonexistent/initrd", "No such file"], *self.payload(initramfs="/nonexistent/initrd"))

    @check
    def kernel_is_no_kernel(self):
        self.host_failure(["guest_init"], *self.payload(kernel=os.path.join(os.path.dirname(__file__), "guest_init")))

    @check
    def kernel_is_a_folder(self):
        self.unreadable(["--kernel", "^", self.folder, "Is a directory"], *self.payload(kernel=self.folder))

    @check
    def initramfs_does_not_fit(self):
        path = os.path.join(self.folder, "huge")
        with open(path, "wb") as f:
            f.truncate(1 << 30)
        self.host_failure(["huge"], *self.payload(initramfs=path))

    @check
    def kvm_is_missing(self):
        self.host_failure(["/dev/kvm"], *self.payload(), prepare=NO_KVM)

    @check
    def kvm_is_another_device(self):
        self.host_failure(["/dev/kvm"], *self.payload(), prepare=OTHER_KVM)

    @check
    def kvm_may_not_be_opened(self):
        if os.getuid() != 0:
            self.host_failure(["/dev/kvm", "Permission denied"], *self.payload(), prepare=CLOSED_KVM_NOT_ROOT)
            return
        # Everything else has to be open to nobody.
        folder = os.path.join(self.setting.runtime, "open")
        os.mkdir(folder)
        os.chmod(self.setting.runtime, 0o755)
        files = [shutil.copy(path, folder) for path in (self.setting.program, self.kernel_file(), self.setting.initramfs[self.kernel])]
        for path in (folder, *files):
            os.chmod(path, 0o755)
        script = f'{CLOSED_KVM} && shift && exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups "$0" "$@"'
        command = ["unshare", "--mount", "sh", "-c", script, files[0], "x", "run", *self.payload(files[1], files[2])]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        os.chmod(self.setting.runtime, 0o700)
        shutil.rmtree(folder)
        lines = done.stderr.splitlines()
        assert done.returncode == HOST, f"ended with {done.returncode}: {done.stderr}"
        assert len(lines) == 1 and "/dev/kvm" in lines[0] and "Permission denied" in lines[0], done.stderr

    @check
    def spec_is_missing(self):
        self.config_error(["/nonexistent/spec.yaml"], "/nonexistent/spec.yaml")

    @check
    def spec_is_wrong(self):
        path = os.path.join(self.folder, "wrong.yaml")
        with open(path, "w") as f:
            f.write("memory: {size: 256M}\nballoon: {size: 1G, deflate-on-oom: on}\n")
        self.config_error(["wrong.yaml:2:", "^", "deflate_on_oom"], path)

    @check
    def balloon_is_larger_than_ram(self):
        self.config_error(["--balloon", "^"], *self.payload(), "--balloon", "size=512M")

    @check
    def socket_path_is_taken(self):
        path = os.path.join(self.folder, "not-a-socket")
        with open(path, "w") as f:
            f.write("precious\n")
        self.host_failure([path], *self.payload(), "--qmp", path)
        with open(path) as f:
            assert f.read() == "precious\n", "what was there was overwritten"
