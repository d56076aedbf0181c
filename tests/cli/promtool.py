"""Prometheus's own checker of metrics. Debian has it in the package prometheus, which also starts a server: so it is
unpacked into the cache ($VMM_BALLOON_CACHE, or ~/.cache/vmm-balloon), not installed."""

import glob
import os
import shutil
import subprocess
import tempfile


def cached():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(os.environ.get("VMM_BALLOON_CACHE") or os.path.join(cache, "vmm-balloon"), "promtool")


def download(folder):
    """The package's file, None when it cannot be had. A fresh container has no package lists yet."""
    for prepare in ([], ["apt-get", "-qq", "update"]):
        if prepare and (os.geteuid() != 0 or subprocess.run(prepare, capture_output=True, check=False).returncode):
            return None
        subprocess.run(["apt-get", "-q", "download", "prometheus"], cwd=folder, capture_output=True, check=False)
        files = glob.glob(os.path.join(folder, "*.deb"))
        if files:
            return files[0]
    return None


def unpack(package, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    contents = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True).stdout
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), delete=False) as file:
        subprocess.run(["tar", "-xO", "./usr/bin/promtool"], input=contents, stdout=file, check=True)
    os.chmod(file.name, 0o755)
    os.rename(file.name, path)


def find():
    """Its path, "" when there is none."""
    installed = shutil.which("promtool")
    if installed or os.path.exists(cached()):
        return installed or cached()
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return ""
    with tempfile.TemporaryDirectory(prefix="promtool-") as folder:
        package = download(folder)
        if not package:
            return ""
        unpack(package, cached())
    return cached()
