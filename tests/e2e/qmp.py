"""A QMP client."""

import collections
import json
import select
import socket
import time

from waiting import Timeout, remaining, wait_until


class QmpError(AssertionError):
    """The answer was an error."""

    def __init__(self, command, error):
        super().__init__(f"QMP {command}: {error.get('class')}: {error.get('desc')}")
        self.error_class = error.get("class")
        self.desc = error.get("desc")


class QmpClosed(AssertionError):
    """The other end hung up."""


class Qmp:
    """One connection. Everything that goes over it is written to `transcript`, an open text file."""

    def __init__(self, path, transcript, alive=lambda: True):
        self.path = path
        self.transcript = transcript
        self.events = collections.deque()
        self.pending = b""
        self.counter = 0
        self.sock = wait_until(lambda: self._connect(alive), f"{path} accepts connections", 60)
        self.greeting = self._receive(60)
        self.cmd("qmp_capabilities")

    def _connect(self, alive):
        if not alive():
            raise QmpClosed("the VM ended before its QMP socket was there")
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(self.path)
            return sock
        except OSError:
            sock.close()
            return None

    def _note(self, arrow, line):
        self.transcript.write(f"{time.monotonic():.3f} {arrow} {line}\n")
        self.transcript.flush()

    def _receive(self, seconds):
        """The next message, None when there was none in time."""
        until = time.monotonic() + seconds
        while b"\n" not in self.pending:
            left = remaining(until)
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                return None
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                raise QmpClosed("the VM closed the QMP connection")
            self.pending += data
        line, _, self.pending = self.pending.partition(b"\n")
        self._note("<-", line.decode().rstrip())
        return json.loads(line)

    def cmd(self, command, seconds=60, **arguments):
        """Runs a command and returns its result. An underscore in a parameter's name stands for a dash."""
        self.counter += 1
        message = {"execute": command, "id": self.counter}
        if arguments:
            message["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        line = json.dumps(message)
        self._note("->", line)
        try:
            self.sock.sendall(line.encode() + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            raise QmpClosed(f"the VM closed the QMP connection before {command}") from None
        until = time.monotonic() + seconds
        while True:
            answer = self._receive(remaining(until))
            if answer is None:
                raise Timeout(f"QMP {command}: no answer")
            if "event" in answer:
                self.events.append(answer)
            elif answer.get("id") == self.counter and "error" in answer:
                raise QmpError(command, answer["error"])
            elif answer.get("id") == self.counter:
                return answer["return"]

    def wait_event(self, name, seconds=120, matches=lambda data: True):
        """Takes the next event of that name, and drops what came before it. Returns its data."""
        until = time.monotonic() + seconds
        while True:
            while self.events:
                event = self.events.popleft()
                if event["event"] == name and matches(event.get("data", {})):
                    return event.get("data", {})
            message = self._receive(remaining(until))
            if message is None:
                raise Timeout(f"no event {name} came")
            self.events.append(message)

    def close(self):
        self.sock.close()
