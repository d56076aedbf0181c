"""Each message that the sources can give has a golden case that shows it.

The messages are the string literals in calls of the functions below, in the
argument that holds the format. What no input of a golden case can reach is in
UNREACHABLE, with the reason.
"""

import glob
import os
import re

import cases

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = ["parser/*.c", "device/*.c", "cli/config.c", "cli/devices.c", "cli/vm_options.c", "cli/unknown.c", "cli/vm_client.c"]

# Function: which argument (from 0) is the message.
FUNCTIONS = {"diag_add": 4, "diag_note": 2, "value_error": 3, "keyval_error": 3, "log_line": 2}
# log_line() is how subcommands speak, and how devices speak about guests, which is none of this.
ONLY_IN = {"log_line": "cli/"}

UNREACHABLE = {
    "out of memory": "memory would have to be short",
    "cannot read the spec: %s": "memory would have to be short",
    "%s": "passes a message on",
}


def arguments(text, start):
    """The arguments of the call whose '(' is at text[start]."""
    found, depth, begin, at = [], 0, start + 1, start
    while True:
        char = text[at]
        if char in "\"'":
            at += 1
            while text[at] != char:
                at += 2 if text[at] == "\\" else 1
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth == 0:
                return found + [text[begin:at]]
        elif char == "," and depth == 1:
            found.append(text[begin:at])
            begin = at + 1
        at += 1


def literals(expression):
    """The string literals of an expression: neighbours are one, the two of a conditional are two."""
    for run in re.findall(r'(?:"(?:[^"\\]|\\.)*"\s*|PRIu64\s*)+', expression):
        parts = re.findall(r'"((?:[^"\\]|\\.)*)"|(PRIu64)', run)
        yield "".join("lu" if macro else part for part, macro in parts).replace('\\"', '"').replace("\\\\", "\\")


def messages():
    for pattern in SOURCES:
        for path in sorted(glob.glob(os.path.join(TOP, pattern))):
            with open(path, encoding="utf-8") as file:
                text = re.sub(r"/\*.*?\*/", lambda m: " " * len(m[0]), file.read(), flags=re.S)
            name = os.path.relpath(path, TOP)
            for call in re.finditer(r"\b(" + "|".join(FUNCTIONS) + r")\(", text):
                function = call[1]
                found = arguments(text, call.end() - 1)
                is_definition = re.match(r"[^;]*\)\s*\{", text[call.end():]) and text[: call.start()].rsplit("\n", 1)[-1][:1] not in ("\t", " ", "")
                if is_definition or not name.startswith(ONLY_IN.get(function, "")) or len(found) <= FUNCTIONS[function]:
                    continue
                for literal in literals(found[FUNCTIONS[function]]):
                    yield name, literal


def pattern_of(literal):
    """A printf format as a regular expression."""
    parts = re.split(r"(%%|%[-0-9.*]*(?:l|z|h)*[a-zA-Z])", literal)
    return "".join("%" if p == "%%" else ".*" if p.startswith("%") and len(p) > 1 else re.escape(p) for p in parts)


def run():
    shown = "\n".join(case.expected["stderr"] + case.expected["stdout"] for case in cases.load([]))
    results = []
    for name, literal in messages():
        if literal in UNREACHABLE:
            continue
        found = re.search(pattern_of(literal), shown)
        text = "" if found else f"  no golden case shows {literal!r} of {name}"
        results.append((f"message of {name}", "passed" if found else "failed", text))
    if len(results) < 50:
        results.append(("messages", "failed", f"  found only {len(results)} messages in the sources"))
    return results
