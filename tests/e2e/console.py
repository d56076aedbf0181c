"""The guest's serial line, and the shell on it (guest_init with lines=on)."""

import os
import re
import threading
import time

from waiting import Timeout, check_deadline, wait_until


class GuestError(AssertionError):
    """A command failed in the guest."""


class Console:
    """Reads the serial line all the time into memory and a log, so that the guest never has to wait for the harness."""

    def __init__(self, read_fd, write_fd, log_path, alive):
        self.alive = alive
        self.read_fd = read_fd
        self.write_fd = write_fd
        self.text = ""
        self.taken = 0
        self.counter = 0
        self.boots = 0
        self.ended = False
        self.arrived = threading.Condition()
        self.log = open(log_path, "wb", buffering=0)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self.read_fd, 65536)
            except OSError:  # a pty whose other end is closed
                data = b""
            if not data:
                break
            self.log.write(data)
            with self.arrived:
                self.text += data.decode("latin-1").replace("\r", "")
                self.arrived.notify_all()
        with self.arrived:
            self.ended = True
            self.arrived.notify_all()

    def write(self, text):
        data = text.encode()
        while data:
            try:
                data = data[os.write(self.write_fd, data) :]
            except BrokenPipeError:
                raise GuestError("the VM is gone: its serial line is closed") from None

    def wait_for(self, pattern, seconds=120):
        """The next match of the regular expression behind what was taken before. Returns the match."""
        regex = re.compile(pattern, re.DOTALL)
        until = min(time.monotonic() + seconds, check_deadline.at)
        with self.arrived:
            while True:
                match = regex.search(self.text, self.taken)
                if match:
                    self.taken = match.end()
                    return match
                if self.ended:
                    raise GuestError(f"the serial line ended before {pattern!r} came")
                left = until - time.monotonic()
                if left <= 0:
                    raise Timeout(f"waited in vain for {pattern!r} on the serial line")
                # A terminal does not end with the VM.
                if not self.arrived.wait(min(left, 5)) and not self.alive():
                    raise GuestError(f"the VM ended before {pattern!r} came")

    def wait_boot(self, seconds=240):
        """Waits for the guest's shell, of the first boot or the next. Returns the boot's id, which differs from boot to
        boot."""
        boot_id = self.wait_for(r"READY ([0-9a-f-]{36})\n", seconds)[1]
        self.boots += 1
        return boot_id

    def start(self, command):
        """Types a command and does not wait for its end: one that ends the guest."""
        self.write(command + "\n")

    def sh(self, command, seconds=120, check=True):
        """Runs a command line in the guest's shell and returns what it printed. The markers are not in the line as it
        is typed, should anything echo it. Fails when the command does, unless check is False."""
        self.counter += 1
        mark = f"{self.boots}.{self.counter}"
        line = f'echo "BEGIN "{mark}; {{ {command}; }} 2>&1; echo "END "{mark} $?'
        assert len(line) < 4000, "the guest's terminal takes lines of up to 4095 bytes"
        self.write(line + "\n")
        mark = re.escape(mark)
        match = self.wait_for(rf"BEGIN {mark}\n(.*?)END {mark} (\d+)\n", seconds)
        output, status = match[1], int(match[2])
        if check and status != 0:
            raise GuestError(f"in the guest: {command}: status {status}: {output.strip()[-500:]}")
        return output

    def meminfo(self, field):
        """A field of /proc/meminfo in bytes."""
        return int(re.search(rf"^{field}: +(\d+) kB$", self.sh("cat /proc/meminfo"), re.MULTILINE)[1]) * 1024

    def small_free_bytes(self):
        """What is free in less than huge pages (/proc/buddyinfo: how many of each order), which Linux does not report."""
        orders = re.findall(r"zone +\w+((?: +\d+)+)", self.sh("cat /proc/buddyinfo"))
        return sum(int(n) << order for zone in orders for order, n in enumerate(zone.split()[:9])) * 4096

    def spawn(self, command, output="/dev/null"):
        """Starts a command in the background; its output goes to a file of the guest. Returns its process id."""
        return int(self.sh(f"{command} >{output} 2>&1 & echo $!"))

    def wait_output(self, command, pattern, seconds=120):
        """Runs a command until what it prints matches."""
        return wait_until(lambda: re.search(pattern, self.sh(command)), f"{command} prints {pattern}", seconds)

    def close(self):
        self.reader.join(10)
        self.log.close()
