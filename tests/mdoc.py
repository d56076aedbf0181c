r"""The literal displays of the manual pages, for the tests that run them.

A display is what stands between '.Bd -literal' and '.Ed', or '.Dl TEXT'. Comments tell how it is to be tried:

    .\" VM: OPTIONS        before it: the VM that it is about is run with these options
    .\" not run: REASON    before it: no test runs it
    .\" spec               in its first line: it is a whole spec
"""

import os
import re

MAN = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "man")


class Display:
    def __init__(self, section, notes, lines):
        self.section = section
        self.notes = notes  # {"VM": "OPTIONS", "not run": "REASON"}
        self.is_spec = lines[:1] == ['.\\" spec']
        self.lines = [plain(line) for line in lines[self.is_spec :]]

    @property
    def text(self):
        return "".join(line + "\n" for line in self.lines)


def plain(line):
    return line.replace("\\e", "\\").replace("\\&", "")


def read(name):
    with open(os.path.join(MAN, name), encoding="utf-8") as file:
        return file.read()


def displays(name):
    """Those of a page, in its order. Notes are for the next display only."""
    section, notes, lines = "", {}, None
    for line in read(name).splitlines():
        note = re.fullmatch(r'\.\\" ([A-Za-z ]+): (.*)', line)
        if line == ".Ed":
            yield Display(section, notes, lines)
            notes, lines = {}, None
        elif lines is not None:
            lines.append(line)
        elif line.startswith(".Bd -literal"):
            lines = []
        elif line.startswith(".Dl "):
            yield Display(section, notes, [line[4:]])
            notes = {}
        elif line.startswith(".Sh "):
            section = line[4:]
        elif note:
            notes[note[1]] = note[2]


def commands(lines):
    """(command, output) pairs: what follows "$ " with the lines after it that begin with a blank, and the others up to the next one."""
    found = []
    for line in lines:
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif found and not found[-1][1] and line.startswith(" "):
            found[-1][0] += "\n" + line
        elif found:
            found[-1][1] += line + "\n"
    return found
