"""What check and check-vms expect of the JSON of a bench."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "guest"))

from cases import Wrong  # noqa: E402

TEXT, COUNT, SHARE, TIME, TRUTH, SAMPLES = "a text", "a count", "a share", "a time", "true or false", "a list of figures"


def is_number(value):
    return type(value) in (int, float) and value >= 0


KINDS = {
    TEXT: lambda v: isinstance(v, str) and v,
    COUNT: lambda v: type(v) is int and v >= 0,
    SHARE: lambda v: is_number(v) and v <= 1,
    TIME: is_number,
    TRUTH: lambda v: isinstance(v, bool),
    SAMPLES: lambda v: isinstance(v, list) and v and all(item is None or is_number(item) for item in v),
}


def expect(is_so, *what):
    if not is_so:
        raise Wrong(" ".join(str(w) for w in what))


def check_rows(bench, text, members, others=()):
    """The objects in the text, each of which has a line: with these members, {name: kind}, and perhaps the others."""
    found = json.loads(text)
    expect(isinstance(found, list) and found, bench, "printed no array of objects:", text)
    expect([json.loads(line.strip("[], ")) for line in text.splitlines()] == found, bench, "does not have an object on each line")
    for row in found:
        expect(not set(members) - set(row), bench, "lacks", set(members) - set(row), row)
        expect(not set(row) - set(members) - set(others), bench, "has", set(row) - set(members) - set(others))
        for name, kind in members.items():
            expect(KINDS[kind](row[name]), bench, name, "is not", kind, row)
    return found
