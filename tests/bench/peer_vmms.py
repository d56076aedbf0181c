"""VMMs beside which peers measures, as tests/e2e/vm.py has vmm-balloon and QEMU: by what they document of themselves."""

import http.client
import json
import os
import shutil
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "e2e"))

from guest_files import extract_vmlinux  # noqa: E402
from vm import MIB, Qemu, Vm, backend_of  # noqa: E402
from waiting import wait_until  # noqa: E402

PAGE_BYTES = 4096


class RefusedRequest(AssertionError):
    """A request to a VMM did not succeed."""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class RestVm(Vm):
    """A VMM with a REST API on a Unix socket and the guest's serial line on its terminal."""

    def __init__(self, program, folder, runtime, spec):
        super().__init__(program, folder, runtime, spec, on_pty=True)
        self.api_path = os.path.join(runtime, f"{self.name}.sock")
        # Neither takes every bzImage.
        self.kernel = extract_vmlinux(spec["payload"]["kernel"], os.path.join(runtime, "vmlinux"))

    def request(self, method, path, body=None):
        """The object that it answers, None where it has nothing to say."""
        connection = UnixConnection(self.api_path)
        try:
            headers = {"Accept": "application/json", "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status not in (200, 204):
            raise RefusedRequest(f"{os.path.basename(self.program)}: {method} {path}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text) if text else None

    def listens(self):
        connection = UnixConnection(self.api_path)
        try:
            connection.connect()
            return True
        except OSError:
            return not self.alive()
        finally:
            connection.close()

    def connect(self, path=None):
        wait_until(self.listens, f"{self.api_path} accepts connections", 60, 0.01)
        return self


class CloudHypervisor(RestVm):
    """docs/api.md, docs/balloon.md and vmm/src/api/openapi/cloud-hypervisor.yaml in its repository."""

    def command(self):
        payload = self.spec["payload"]
        return [
            *[self.program, "--api-socket", f"path={self.api_path}", "--kernel", self.kernel, "--initramfs", payload["initramfs"]],
            *["--cmdline", payload["cmdline"], "--cpus", f"boot={self.spec['cpus']['boot_vcpus']}"],
            *["--memory", f"size={self.ram_bytes},thp=on", "--balloon", "size=0", "--serial", "tty", "--console", "off"],
        ]

    def balloon_bytes(self):
        return self.ram_bytes - self.request("GET", "/api/v1/vm.info")["memory_actual_size"]

    def ask_balloon(self, taken):
        self.request("PUT", "/api/v1/vm.resize", {"desired_balloon": taken})


class Firecracker(RestVm):
    """docs/getting-started.md, initrd.md and ballooning.md in its repository. PCI, from 1.13 on, is what the guest has a
    driver for. It asks for no transparent huge pages, but gets them where the host gives them to all."""

    def command(self):
        return [self.program, "--api-sock", self.api_path, "--enable-pci"]

    def connect(self, path=None):
        super().connect(path)
        payload = self.spec["payload"]
        boot = {"kernel_image_path": self.kernel, "initrd_path": payload["initramfs"], "boot_args": payload["cmdline"]}
        self.request("PUT", "/boot-source", boot)
        self.request("PUT", "/machine-config", {"vcpu_count": self.spec["cpus"]["boot_vcpus"], "mem_size_mib": self.ram_bytes // MIB})
        # Without statistics it does not tell how large the balloon is. The guest is asked for them as seldom as can be.
        self.request("PUT", "/balloon", {"amount_mib": 0, "deflate_on_oom": False, "stats_polling_interval_s": 65535})
        self.request("PUT", "/actions", {"action_type": "InstanceStart"})
        return self

    def balloon_bytes(self):
        return self.request("GET", "/balloon/statistics")["actual_pages"] * PAGE_BYTES

    def ask_balloon(self, taken):
        self.request("PATCH", "/balloon", {"amount_mib": taken // MIB})


# What may be on PATH. None: there is no class here that drives it, though it has a balloon and a command that moves it.
PEERS = {"qemu-system-x86_64": Qemu, "cloud-hypervisor": CloudHypervisor, "firecracker": Firecracker, "crosvm": None}


def installed_peers():
    """(programs, a line about each of the others)"""
    programs, lines = [], []
    for name, peer in PEERS.items():
        path = shutil.which(name)
        if path and peer:
            programs.append(os.path.abspath(path))
        else:
            lines.append(f"{name}: {'installed, but this bench has nothing that drives it' if path else 'not installed'}")
    return programs, lines


def class_of(program):
    return PEERS.get(os.path.basename(program)) or backend_of(program)
