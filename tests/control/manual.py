"""vmm-balloon-qmp(7) says what a live VM does: its examples are run, and its lists are those of the program."""

import json
import os
import re
import select
import socket
import time

import mdoc
from cases import SECONDS, Wrong, expect

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
# The VM of the examples, unless a note says otherwise (tests/mdoc.py).
COMMON = "--memory 1G --cpus 2"
USUAL = "--balloon size=0 --cmdline mode=follow"
# What no page can know. Of the data of the events named here only the shape is known.
VARYING = re.compile(r"seconds|microseconds|thread-id|(x-)?ram-rss|last-update|stats-age-ms|stats-asked|package|stat-.*")
VARYING_EVENTS = ("X_BALLOON_STALLED", "X_BALLOON_HINT_DONE")


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as f:
        return f.read()


PAGE_NAME = "vmm-balloon-qmp.7"
PAGE = mdoc.read(PAGE_NAME)


# ---- Examples ------------------------------------------------------------


class Example:
    """Messages in their order, each ("->" or "<-", text), and the options of the VM that they are about."""

    def __init__(self, options):
        self.options = options
        self.messages = []

    def add(self, line):
        if line[:3] in ("-> ", "<- "):
            self.messages.append((line[:2], line[3:]))
        else:
            arrow, text = self.messages.pop()
            self.messages.append((arrow, text + " " + line.strip()))


def examples():
    for display in mdoc.displays(PAGE_NAME):
        example = Example(display.notes.get("VM", USUAL))
        for line in display.lines:
            example.add(line)
        yield example


def parse(text):
    """JSON with ... for what is left out of an object or an array."""
    text = re.sub(r"\.\.\.(?=\s*\})", '"...": 0', text)
    return json.loads(re.sub(r"\.\.\.(?=\s*\])", '"..."', text))


def differs(expected, got, shape_only=False, path=""):
    """None, or where they differ."""
    if isinstance(expected, dict) and isinstance(got, dict):
        missing = expected.keys() - got.keys() - {"..."}
        unexpected = set() if "..." in expected else got.keys() - expected.keys()
        if missing or unexpected:
            return f"{path or 'the message'}: lacks {sorted(missing)}, has {sorted(unexpected)}"
        found = (differs(expected[key], got[key], shape_only or VARYING.fullmatch(key), f"{path}.{key}") for key in expected.keys() - {"..."})
        return next(filter(None, found), None)
    if isinstance(expected, list) and isinstance(got, list):
        wanted = [item for item in expected if item != "..."]
        if len(got) < len(wanted) or (len(got) > len(wanted) and wanted == expected):
            return f"{path}: {len(got)} elements"
        found = (differs(a, b, shape_only, f"{path}[{i}]") for i, (a, b) in enumerate(zip(wanted, got)))
        return next(filter(None, found), None)
    same = type(expected) is type(got) if shape_only else expected == got
    return None if same else f"{path}: {json.dumps(got)}"


class Client:
    """Bytes as the page has them; what comes is kept until an example wants it."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.pending = b""
        self.messages = []

    def send(self, text):
        self.sock.sendall(text.encode() + b"\n")

    def receive(self, until):
        while b"\n" not in self.pending:
            readable = select.select([self.sock], [], [], max(0, until - time.monotonic()))[0]
            data = self.sock.recv(65536) if readable else b""
            if not data:
                raise Wrong("no more answers came")
            self.pending += data
        line, _, self.pending = self.pending.partition(b"\n")
        self.messages.append(json.loads(line))

    def take(self, wanted):
        """An answer has to be the next one; an event comes among others."""
        is_event = "event" in wanted
        until = time.monotonic() + SECONDS
        shape_only = wanted.get("event") in VARYING_EVENTS
        while True:
            for message in [message for message in self.messages if ("event" in message) == is_event]:
                difference = None if shape_only and message["event"] == wanted["event"] else differs(wanted, message)
                if shape_only and not difference:
                    difference = differs(wanted["data"], message.get("data"), True)
                if not difference:
                    self.messages.remove(message)
                    return
                expect(is_event, f"{difference} in {json.dumps(message)}")
            try:
                self.receive(until)
            except Wrong as e:
                raise Wrong(f"{e}; wanted {json.dumps(wanted)}, there are {json.dumps(self.messages)}") from None


class Place:
    """A VM with a client, as long as it lives."""

    def __init__(self, context, options, is_first):
        name = "web-1" if options == USUAL else f"web-{len(context.vms) + 2}"
        self.vm = context.boot_with(f"{COMMON} {options}".split(), name)
        self.n_boots = 1
        self.wait_ready()
        self.client = Client(self.vm.qmp_path)
        if not is_first:  # the page's own examples begin with greeting and negotiation
            self.client.send('{"execute": "qmp_capabilities"}')
            self.client.take({"QMP": {"...": 0}})
            self.client.take({"return": {}})

    def wait_ready(self):
        self.vm.wait("^ready: ", self.n_boots)

    def run(self, example):
        for arrow, text in example.messages:
            if arrow == "->":
                self.wait_ready()
                self.client.send(text)
                continue
            wanted = parse(text)
            self.client.take(wanted)
            self.n_boots += wanted.get("event") == "RESET"
            if wanted.get("event") == "SHUTDOWN":
                expect(self.vm.end() == 0, "the VM did not end well")

    def is_over(self):
        return self.vm.process.poll() is not None


def manual_examples(context):
    """In the page's order. A VM stays for the examples to come until one of them ends it."""
    places, n = {}, 0
    for example in examples():
        place = places.get(example.options)
        if not place or place.is_over():
            place = places[example.options] = Place(context, example.options, n == 0)
        try:
            place.run(example)
        except Wrong as e:
            raise Wrong(f"{example.messages}: {e}") from None
        n += len(example.messages)
    expect(n > 60, f"only {n} messages were found in the page")
    return f"{n} messages"


# ---- Lists ---------------------------------------------------------------


def items_of(section):
    """{name: whether an asterisk follows} of the tags of a section."""
    body = re.search(rf"^\.Sh {section}\n(.*?)^\.Sh ", PAGE, re.M | re.S)[1]
    tags = [(tag.replace("No *", "").split(" , "), "No *" in tag) for tag in re.findall(r"^\.It Cm (.*)$", body, re.M)]
    return {name.strip(): starred for names, starred in tags for name in names}


def same(what, page, program):
    page, program = set(page), set(program)
    expect(page == program, f"{what}: the page lacks {sorted(program - page)}, the program {sorted(page - program)}")


def keys_of(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from keys_of(item)


def manual_lists(context):
    vm = context.boot_with(f"{COMMON} {USUAL}".split())
    vm.wait("^ready: ")
    client = Client(vm.qmp_path)
    client.send('{"execute": "qmp_capabilities"}{"execute": "query-commands"}{"execute": "x-query-balloon"}')
    while len(client.messages) < 4:
        client.receive(time.monotonic() + SECONDS)
    commands, state = (message["return"] for message in client.messages[2:])
    same("commands", items_of("COMMANDS"), [command["name"] for command in commands])
    events = dict(re.findall(r'\] = \{"(\w+)", (true|false)\},', read("control", "qmp_events.c")))
    same("events", items_of("EVENTS").items(), [(name, limited == "true") for name, limited in events.items()])
    same("classes", items_of("ERROR CLASSES"), re.findall(r'\[QMP_\w+\] = "([A-Z]\w+)"', read("control", "qmp_command.c")))
    known = set(re.findall(r"[a-z][a-z-]+", PAGE[PAGE.index(".Sh THE BALLOON AS AN OBJECT") : PAGE.index(".Sh EVENTS")]))
    same("state of the balloon", set(keys_of(state)) & known, keys_of(state))
    client.sock.close()
