"""A QMP client of a VM that may fail at any moment: it goes on without an answer."""

import json
import os
import socket
import time

SECONDS = 20


class Gone(Exception):
    """The connection has ended, or there is none."""


class Client:
    def __init__(self, program, name):
        path = os.path.join(program.folder, "vmm-balloon", f"{name}.sock")
        deadline = time.monotonic() + SECONDS
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(SECONDS)
            try:
                self.socket.connect(path)
                break
            except OSError as e:
                self.socket.close()
                if program.is_over() or time.monotonic() > deadline:
                    raise Gone from e
                time.sleep(0.02)
        self.file = self.socket.makefile("rw", encoding="utf-8", newline="\n")
        self.next_line()
        self.ask("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.socket.close()

    def next_line(self):
        try:
            line = self.file.readline()
        except OSError as e:
            raise Gone from e
        if not line.endswith("\n"):
            raise Gone
        return json.loads(line)

    def ask(self, command, **arguments):
        """What it returns, None for an error."""
        try:
            self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self.file.flush()
        except OSError as e:
            raise Gone from e
        while True:
            answer = self.next_line()
            if "return" in answer or "error" in answer:
                return answer.get("return")


def insist(program, name, job, tries=3):
    """Does the job with a client; with another one if it is dropped. Returns whether it was done."""
    for _ in range(tries):
        try:
            with Client(program, name) as client:
                job(client)
            return True
        except Gone:
            if program.is_over():
                return False
    return False
