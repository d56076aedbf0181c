r"""Every example in README.md, man/* and examples/ is accepted by the program.

What counts as an example:

    Markdown   a fenced block "yaml" is a whole spec. In other fenced blocks a
               line that begins with "vmm-balloon" or "$ vmm-balloon" is a
               command; after "$ " the lines up to the next "$ " or the end of
               the block are its exact output, if there are any.
    mdoc       the displays (tests/mdoc.py): a whole spec, or commands with
               output as above.
    examples/  each .yaml file is a spec.

Commands other than run, config and devices are not looked at; `run` is tried as
`config`, which starts nothing. A spec file that a command names need not exist,
nor need kernels and initramfs: they are the reader's.
"""

import glob
import os
import re
import shlex
import sys
import tempfile

import cases

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(TOP, "tests"))

import mdoc  # noqa: E402

RUN_LIVE = ("vmm-balloon.1", "EXAMPLES")  # by tests/cli
READERS_FILE = re.compile(r"error: cannot read the (kernel|initramfs) '[^']*': No such file or directory$")


def markdown(path):
    with open(path, encoding="utf-8") as file:
        for kind, body in re.findall(r"^```(\w*)\n(.*?)^```$", file.read(), flags=re.M | re.S):
            if kind == "yaml":
                yield "spec", body, None
            else:
                yield from commands(body)


def mdoc_page(name):
    for display in mdoc.displays(name):
        if (name, display.section) == RUN_LIVE and "not run" not in display.notes:
            continue
        if display.is_spec:
            yield "spec", display.text, None
        else:
            yield from commands(display.text)


def commands(body):
    lines = body.replace("\\\n", " ").splitlines()
    for i, line in enumerate(lines):
        match = re.match(r"(\$ )?(vmm-balloon\b.*)", line)
        if not match:
            continue
        output = []
        for following in lines[i + 1:] if match[1] else []:
            if following.startswith("$ "):
                break
            output.append(following + "\n")
        yield "command", re.sub(r"\s#.*", "", match[2]), "".join(output) or None


def try_command(command, expected, binary):
    words = shlex.split(command)
    if len(words) < 2 or words[1] not in ("run", "config", "devices"):
        return None
    words[1] = words[1].replace("run", "config")
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.join(TOP, "examples"), os.path.join(folder, "examples"))
        for word in words[2:]:
            if re.fullmatch(r"[\w.-]+\.yaml", word):
                with open(os.path.join(folder, word), "w", encoding="utf-8") as out:
                    out.write("memory: 1G\n")
        got = cases.shell(shlex.join(words), os.path.realpath(folder), binary)
    if expected is not None:
        text = got["stdout"] + got["stderr"]
        return "" if text == expected else f"  $ {command}\n  should print:\n{cases.indent(expected)}  but prints:\n{cases.indent(text)}"
    return verdict(command, got)


def try_spec(spec, binary):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "spec.yaml"), "w", encoding="utf-8") as out:
            out.write(spec)
        return verdict(spec, cases.shell("vmm-balloon config spec.yaml", os.path.realpath(folder), binary))


def verdict(what, got):
    problems = [line for line in got["stderr"].splitlines() if re.search(r": (error|warning): ", line)]
    wrong = [line for line in problems if not READERS_FILE.search(line)]
    if not wrong and (got["status"] == "0" or problems):
        return ""
    return f"{cases.indent(what)}  ends with status {got['status']}:\n{cases.indent(got['stderr'])}"


def run(binary):
    found = [("README.md", e) for e in markdown(os.path.join(TOP, "README.md"))]
    for path in sorted(glob.glob(os.path.join(TOP, "man", "*.[0-9]"))):
        found += [(os.path.relpath(path, TOP), e) for e in mdoc_page(os.path.basename(path))]
    results = []
    for source, (kind, text, expected) in found:
        problem = try_spec(text, binary) if kind == "spec" else try_command(text, expected, binary)
        if problem is not None:
            results.append((f"example in {source}", "failed" if problem else "passed", problem))
    for path in sorted(glob.glob(os.path.join(TOP, "examples", "*.yaml"))):
        problem = verdict(path, cases.shell(f"vmm-balloon config {shlex.quote(path)}", TOP, binary))
        results.append((os.path.relpath(path, TOP), "failed" if problem else "passed", problem))
    if len(results) < 8:
        results.append(("examples", "failed", f"  found only {len(results)} examples"))
    return results
