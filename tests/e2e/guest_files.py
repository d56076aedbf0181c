"""What test guests boot from: stock Debian kernels, an initramfs for each, and the ELF image inside a bzImage."""

import os
import shutil
import struct
import subprocess

HERE = os.path.dirname(os.path.realpath(__file__))
KERNELS = os.path.join(os.path.dirname(HERE), "kernels")
PACKAGES = {"6.1": "linux-image-cloud-amd64", "6.12": "linux-image-6.12-cloud-amd64"}
MODULES = ["virtio_pci", "virtio_balloon", "button", "evdev", "pvpanic-mmio"]


class Missing(Exception):
    """Something that a guest needs could not be had."""


def run(command):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as e:
        raise Missing(f"{os.path.basename(command[0])} failed: {e}") from None


def fetch_kernel(version):
    """The folder of a kernel, fetched if it is not there."""
    return run([os.path.join(KERNELS, "fetch"), PACKAGES[version]])


def build_mem(folder):
    """The guest's program that uses memory, see guest_mem.c."""
    program = os.path.join(folder, "mem")
    compiler = os.environ.get("CC", "").split() or [next((cc for cc in ("cc", "gcc", "clang") if shutil.which(cc)), "cc")]
    flags = "-O2 -Wall -Wextra -static -nostdlib -ffreestanding -fno-pie -no-pie -fno-stack-protector -fcf-protection=none".split()
    run([*compiler, *flags, "-o", program, os.path.join(HERE, "guest_mem.c")])
    return program


def build_initramfs(path, kernel_dir, extras=()):
    run([os.path.join(KERNELS, "initramfs"), path, kernel_dir, os.path.join(HERE, "guest_init"), *MODULES, "--", *extras])
    return path


# A bzImage carries the kernel's ELF image compressed (Documentation/arch/x86/boot.rst: setup_sects, payload_offset,
# payload_length). Debian's 6.1 uses LZ4 in its "legacy" frame: a magic, then blocks, each with its length before it.

LZ4_LEGACY_MAGIC = 0x184C2102


def lz4_length(data, at, length):
    """A length of 15 goes on in the next bytes, up to one that is not 255."""
    if length == 15:
        while True:
            byte = data[at]
            at += 1
            length += byte
            if byte != 255:
                break
    return length, at


def unlz4_block(data):
    """One block: sequences of a token, literals, and a match to copy from what is there already (lz4_Block_format.md).
    A match may overlap its own output and then repeats it."""
    out = bytearray()
    at, end = 0, len(data)
    while at < end:
        token = data[at]
        literals, at = lz4_length(data, at + 1, token >> 4)
        out += data[at : at + literals]
        at += literals
        if at >= end:
            break
        distance = data[at] | data[at + 1] << 8
        length, at = lz4_length(data, at + 2, token & 15)
        length += 4
        start = len(out) - distance
        piece = out[start : start + length]
        while len(piece) < length:
            piece = piece + piece
        out += piece[:length]
    return out


def unlz4(payload):
    magic, = struct.unpack_from("<I", payload)
    if magic != LZ4_LEGACY_MAGIC:
        raise Missing(f"the kernel is not packed with LZ4 (magic {magic:#x})")
    out, at = bytearray(), 4
    # Behind the last block there is the unpacked size in 4 bytes.
    while at + 4 < len(payload):
        length, = struct.unpack_from("<I", payload, at)
        out += unlz4_block(payload[at + 4 : at + 4 + length])
        at += 4 + length
    return out


def extract_vmlinux(bzimage, path):
    """Writes the ELF image of a bzImage; does nothing when it is there already and newer."""
    if os.path.exists(path) and os.stat(path).st_mtime > os.stat(bzimage).st_mtime:
        return path
    with open(bzimage, "rb") as f:
        image = f.read()
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    begin = (setup_sectors + 1) * 512 + offset
    vmlinux = unlz4(image[begin : begin + length])
    if vmlinux[:4] != b"\x7fELF":
        raise Missing(f"{bzimage} does not unpack to an ELF image")
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "wb") as f:
        f.write(vmlinux)
    os.rename(temporary, path)
    return path
