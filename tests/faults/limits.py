"""What runs out for real: address space, file descriptors, the size of files."""

import os
import random
import resource
import subprocess

import points
from cases import MIB, Skip, Wrong, expect
from programs import beside_a_vm, simple_boot
from trial import SECONDS

TRIES = 24
CANNOT_BE_LOADED = 127  # by ld.so, which says why


def run_with(trial, limit, value):
    """Whether a VM with this limit comes to its end; Wrong if neither that nor a clear failure."""
    program, wrong = trial.run(limits={limit: value})
    if program.status == CANNOT_BE_LOADED:
        wrong = "" if "error while loading shared libraries" in program.errors + program.text else "no message"
    if wrong:
        raise Wrong(f"with a limit of {value}: {wrong}{program.output()}")
    return program.status == 0


def enough(trial, limit, unit, first=1):
    """The least number of units that is enough, to one. Fewer than the first are not."""
    low, high = first - 1, first
    while not run_with(trial, limit, high * unit):
        low, high = high, high * 2
        expect(high < 1 << 20, f"no limit is high enough in {SECONDS} s")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if run_with(trial, limit, middle * unit) else (middle, high)
    return high


def little_address_space(context):
    """Each allocation may be the one that fails, also those of libraries that do not look."""
    trial = simple_boot(context)
    if "off in this build" in trial.clean().errors:
        raise Skip("a sanitizer takes more address space than can be limited")
    # Where not even the program has room the kernel ends it: one built for coverage takes more than 1 MiB.
    need_mib = enough(trial, resource.RLIMIT_AS, MIB, first=2)
    chance = random.Random(points.SEED)
    tries = [chance.randrange(max(0, need_mib - 8) * MIB, need_mib * MIB) // 4096 * 4096 for _ in range(TRIES)]
    ended = sum(run_with(trial, resource.RLIMIT_AS, value) for value in tries)
    return f"{need_mib} MiB are enough; with less, {ended} of {TRIES} VMs ran and the others said why not"


def few_descriptors(context):
    trial = simple_boot(context)
    need = enough(trial, resource.RLIMIT_NOFILE, 1)
    for n in range(need):
        run_with(trial, resource.RLIMIT_NOFILE, n)
    return f"{need} are enough"


def no_large_files(context):
    """The files of a VM are a lock and what libseccomp's filters pass through; shared guest RAM is one as well."""
    trial = simple_boot(context)
    for value in (0, 1, 100, 1000, 4096, MIB):
        run_with(trial, resource.RLIMIT_FSIZE, value)


def full_disk(context):
    """Nothing can be written to standard output: each command says so."""
    with beside_a_vm(context), open("/dev/full", "w") as full:
        for arguments in (["config", "--balloon", "size=64M"], ["devices"], ["list"], ["list", "--json"], ["balloon", "live"], ["stats", "live"], ["metrics"]):
            env = {**os.environ, "XDG_RUNTIME_DIR": context.folder}
            ended = subprocess.run([context.binary, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, env=env, timeout=SECONDS)
            expect(ended.returncode == 1 and ": error: " in ended.stderr, f"{' '.join(arguments)}: status {ended.returncode}: {ended.stderr}")


CASES = [little_address_space, few_descriptors, no_large_files, full_disk]
