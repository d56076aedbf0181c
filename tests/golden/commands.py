"""The program's own help, and vmm-balloon(1), which has all that it tells of.

Each command's --help, and what devices prints, fits on a terminal of 80 columns. Each command has an item
in the page's COMMANDS, with an item for each of its options; those that describe
a VM are in OPTIONS, --qmp and --help, which are the same for all, stand anywhere.
The page names no other options.
"""

import os
import re

import cases

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COLUMNS = 80
ANYWHERE = {"--qmp", "--help"}
# Those of the VM's description, which `run` and `config` share.
WITH_SPEC = ("run", "config")


def help_of(binary, *words):
    return cases.shell(f"vmm-balloon {' '.join(words)} --help", TOP, binary)["stdout"]


def names(binary):
    return re.findall(r"^  ([a-z]+) +\S", re.search(r"^Commands:\n(.*?)^$", help_of(binary), re.M | re.S)[1], re.M)


def options(binary, *words):
    return re.findall(r"^  (?:-\w, )?(--[a-z-]+)", help_of(binary, *words), re.M)


def items(text):
    """The options that are tags of lists, `--` and all."""
    return {"-" + name for tag in re.findall(r"^\.It (Fl .*)$", text, re.M) for name in re.findall(r"(?:Fl|,) (-[a-z-]{2,})", tag)}


def section(page, title):
    return re.search(rf"^\.Sh {title}\n(.*?)(?=^\.Sh )", page, re.M | re.S)[1]


def check_help(binary):
    for words in [(), *((name,) for name in names(binary))]:
        text = help_of(binary, *words)
        wide = [line for line in text.splitlines() if len(line) > COLUMNS]
        problem = "".join(f"  wider than {COLUMNS} columns: {line}\n" for line in wide)
        if "--help" not in options(binary, *words):
            problem += "  --help does not name itself\n"
        if words and cases.shell(f"vmm-balloon help {words[0]}", TOP, binary)["stdout"] != text:
            problem += f"  help {words[0]} and {words[0]} --help differ\n"
        yield f"help of {' '.join(words) or 'the program'}", problem
    listing = cases.shell("vmm-balloon devices", TOP, binary)["stdout"]
    for name in ["", *re.findall(r"^  (\S+)", listing, re.M)]:
        wide = [line for line in cases.shell(f"vmm-balloon devices {name}", TOP, binary)["stdout"].splitlines() if len(line) > COLUMNS]
        yield f"devices {name}", "".join(f"  wider than {COLUMNS} columns: {line}\n" for line in wide)


def differences(kind, page, program):
    lacks, extra = sorted(program - page), sorted(page - program)
    return (f"  the page lacks the {kind} {', '.join(lacks)}\n" if lacks else "") + (f"  the program lacks the {kind} {', '.join(extra)}\n" if extra else "")


def check_page(binary):
    with open(os.path.join(TOP, "man", "vmm-balloon.1"), encoding="utf-8") as file:
        page = file.read()
    _, *parts = re.split(r"^\.It Cm ([a-z]+)", section(page, "COMMANDS"), flags=re.M)
    documented = {name: text.split("\n.Ss ")[0] for name, text in zip(parts[::2], parts[1::2])}
    synopsis = section(page, "SYNOPSIS")
    yield "commands of vmm-balloon.1", differences("command", set(documented), set(names(binary)))
    yield "synopsis of vmm-balloon.1", differences("command", set(re.findall(r"^\.Cm ([a-z]+)", synopsis, re.M)), {*names(binary), "help"})
    shared = items(section(page, "OPTIONS"))
    for name, text in documented.items():
        own = items(text) | (shared if name in WITH_SPEC else set())
        yield f"options of {name} in vmm-balloon.1", differences("option", own | ANYWHERE, set(options(binary, name)) | ANYWHERE)
        used = re.search(rf"^\.Cm {name}\n(.*?)(?=^\.Nm|\Z)", synopsis, re.M | re.S)
        in_synopsis = {"-" + option for option in re.findall(r"Fl (-[a-z-]+)", used[1] if used else "")}
        yield f"synopsis of {name} in vmm-balloon.1", differences("option", in_synopsis, items(text) - ANYWHERE)
    yield "options of the program in vmm-balloon.1", differences("option", set(options(binary)) - items(page), set())


def run(binary):
    return [(name, "failed" if problem else "passed", problem) for name, problem in [*check_help(binary), *check_page(binary)]]
